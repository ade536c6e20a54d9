"""Turns what was read from an EHR into the other side of `decide`: wire records, merge units, and how each stands.

Pure: trees in, `There` out. The network is read in `changes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Pair, Unit, Values
from fhirgoals.fhir.exact_json import Resource, dumps, loads
from fhirgoals.mappers import careplan, goal
from fhirgoals.mappers.assemble import Assembled, assemble
from fhirgoals.mappers.other_form import in_another_form
from fhirgoals.mappers.records import WireCarePlan, WireGoal
from fhirgoals.mappers.refs import Refs
from fhirgoals.mappers.wrong_types import wrong_types
from fhirgoals.sync.decide import Kind, Place, Theirs


@dataclass(frozen=True)
class Found:
    """One resource as the EHR has it: its id there, its body, the ETag to send back, its version."""

    resource_id: str
    tree: Resource
    etag: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class There:
    """Everything of one plan at one EHR, read and assembled."""

    plan_id: str
    found: Mapping[tuple[Kind, str], Found]
    goals: Mapping[str, WireGoal]
    care_plan: WireCarePlan | None
    theirs: Theirs
    refs: Refs


def member_ids(plan: Plan) -> dict[str, frozenset[str]]:
    """Return the ids of the plan's own members by kind, as `assemble` wants them to find element ids."""
    return {
        "note": frozenset(
            note_id
            for goal in plan.goals
            for note_id in (*(one.id for one in goal.progress), *(one.id for one in goal.achievements))
            if note_id is not None
        ),
        "target": frozenset(f"{goal.id}|{target.key}" for goal in plan.goals for target in goal.targets),
        "step": frozenset(step.id for goal in plan.goals for step in goal.steps),
        "intervention": frozenset(intervention.id for intervention in plan.interventions),
    }


@dataclass(frozen=True)
class Knowledge:
    """What reading needs to know of our side: the names of members, the bases, and what is void here."""

    ids: Mapping[str, frozenset[str]]
    bases: Mapping[Unit, Pair]
    void_here: frozenset[str] = frozenset()
    sent: Values = field(default_factory=dict)
    read_again: frozenset[Unit] = frozenset()

    def void(self, kind: Kind, local_id: str) -> bool:
        """Tell whether we marked a resource entered-in-error ourselves: here, or there when it was taken back."""
        name, part = ("status", "lifecycle") if kind == "Goal" else ("plan_status", "status")
        pair = self.bases.get(Unit(local_id, name))
        if local_id in self.void_here or pair is None or pair.ours is not None:
            return local_id in self.void_here
        return isinstance(pair.theirs, dict) and pair.theirs.get(part) == "entered_in_error"

    @property
    def taken_out(self) -> frozenset[Unit]:
        """The units that were just sent as taken out."""
        return frozenset(unit for unit, value in self.sent.items() if value is None)

    @property
    def known(self) -> Values:
        """The units last seen there, and over them what was just sent: a server may drop every id that we gave."""
        seen = {unit: pair.theirs for unit, pair in self.bases.items() if pair.theirs is not None}
        return seen | {unit: value for unit, value in self.sent.items() if value is not None}


def read_there(
    plan_id: str,
    found: Mapping[tuple[Kind, str], Found],
    missing: Mapping[tuple[Kind, str], Place],
    refs: Refs,
    knowledge: Knowledge,
) -> There:
    """Return one plan's resources as the EHR has them.

    `found` are the linked resources that were read, `missing` the linked ones that were not and why.
    """
    places: dict[tuple[Kind, str], Place] = dict(missing)
    goals: dict[str, WireGoal] = {}
    care_plan: WireCarePlan | None = None
    families: dict[tuple[Kind, str], Mapping[str, str]] = {}
    for key, one in found.items():
        local_id = key[1]
        record, families[key] = _read(key[0], one.tree)
        places[key] = Place.UNREADABLE if record is None else Place.PRESENT
        if isinstance(record, WireCarePlan):
            care_plan = record
        elif isinstance(record, WireGoal):
            goals[local_id] = record
        if _is_void(record) and not knowledge.void(*key):
            places[key] = Place.VOID
    # Milestones of void goals do not count (design 5.2).
    alive = {
        local_id: record
        if places[("Goal", local_id)] is Place.PRESENT and record.lifecycle != "entered_in_error"
        else _without_relations(record)
        for local_id, record in goals.items()
    }
    known = knowledge.known
    assembled: Assembled = assemble(plan_id, alive, care_plan, refs, known, knowledge.ids, knowledge.taken_out)
    void = {local_id: record for local_id, record in goals.items() if record is not alive[local_id]}
    again = dict.fromkeys(knowledge.read_again, "read_again")
    held = {**again, **_unreadable(plan_id, families, assembled.values.keys() | known.keys()), **assembled.held}
    if care_plan is not None:
        tree = found["CarePlan", plan_id].tree
        held = {**held, **in_another_form(tree, assembled, refs, known, knowledge.ids)}
    theirs = Theirs(replace(assembled, held=held), places, _listed_by(void, refs))
    return There(plan_id, found, goals, care_plan, theirs, refs)


def _listed_by(void: Mapping[str, WireGoal], refs: Refs) -> dict[str, list[str]]:
    """Return the void goals that list each child as their milestone."""
    parents: dict[str, list[str]] = {}
    for local_id, record in sorted(void.items()):
        for child in sorted({refs.goal(one.target) or "" for one in record.relations if one.type == "milestone"}):
            parents.setdefault(child, []).append(local_id)
    return parents


_Record: TypeAlias = WireGoal | WireCarePlan | None


def _is_void(record: _Record) -> bool:
    status = record.lifecycle if isinstance(record, WireGoal) else record.status if record else None
    return status == "entered_in_error"


def _read(kind: Kind, tree: Resource) -> tuple[_Record, Mapping[str, str]]:
    """Return a resource as a wire record (`None` where a modifier keeps us from reading it), and the units of which
    JSON of another type stands there."""
    return _read_text(kind, dumps(tree))


@lru_cache(maxsize=256)
def _read_text(kind: Kind, text: bytes) -> tuple[_Record, Mapping[str, str]]:
    """Read a text: a run reads the same one several times over, and the next run reads most of them again."""
    tree: Any = loads(text)
    table = careplan.CAREPLAN if kind == "CarePlan" else goal.GOAL
    record: _Record = None if goal.blocked(tree) else table.from_fhir(tree)
    return record, wrong_types(table, tree)


def _unreadable(
    plan_id: str, wrong: Mapping[tuple[Kind, str], Mapping[str, str]], units: Iterable[Unit]
) -> dict[Unit, str]:
    """Return the units of which JSON of another type stands there: no list is not an empty list (design 4)."""
    held: dict[Unit, str] = {}
    for (kind, local_id), families in wrong.items():
        if not families:
            continue
        for unit in units:
            own = unit.owner == (plan_id if kind == "CarePlan" else local_id)
            edge = kind == "Goal" and unit.owner == plan_id and unit.family in ("parent_map", "relations")
            if unit.family in families and (own or edge):
                held[unit] = "wrong_type"
    return held


def _without_relations(record: WireGoal) -> WireGoal:
    return msgspec.structs.replace(record, relations=())


def with_stored(there: There, key: tuple[Kind, str], stored: Found, refs: Refs, knowledge: Knowledge) -> There:
    """Return the reading with one resource replaced by what the server has just stored."""
    missing = {one: place for one, place in there.theirs.places.items() if one != key and one not in there.found}
    return read_there(there.plan_id, {**there.found, key: stored}, missing, refs, knowledge)


def without(there: There, key: tuple[Kind, str], refs: Refs, knowledge: Knowledge) -> There:
    """Return the reading without a resource that was deleted there."""
    missing = {one: place for one, place in there.theirs.places.items() if one != key and one not in there.found}
    found = {one: known for one, known in there.found.items() if one != key}
    return read_there(there.plan_id, found, missing, refs, knowledge)
