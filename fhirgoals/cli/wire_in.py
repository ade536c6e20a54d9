"""Reads Goals and CarePlans back as plans, without a store: as new plans, or laid over a plan file.

A new plan takes its ids from the wire: a goal is called as its resource, a step or note as its element. People and
problems are known by their references alone, so their names and codes are not there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, get_args
from uuid import UUID

import msgspec

from fhirgoals.cli.wire_out import MAPPED_BASE, people_on_wire, problems_on_wire
from fhirgoals.domain.codes import ParticipantRole, Sensitivity
from fhirgoals.domain.identity import Installation
from fhirgoals.domain.records import (
    Achievement,
    Client,
    Coding,
    Foreign,
    Goal,
    Origin,
    Participant,
    Plan,
    Problem,
    ProgressEntry,
    Step,
)
from fhirgoals.domain.units import Unit, Values, same_value, units
from fhirgoals.domain.with_units import CannotTake, with_units
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import stamp
from fhirgoals.mappers.assemble import assemble
from fhirgoals.mappers.careplan import CAREPLAN
from fhirgoals.mappers.goal import GOAL
from fhirgoals.mappers.records import WireCarePlan, WireGoal
from fhirgoals.mappers.refs import Refs, participants_of, visible
from fhirgoals.sync.newborn import errors_of
from fhirgoals.sync.reading import member_ids

replace = msgspec.structs.replace

Readable: TypeAlias = Mapping[str, Resource]
"""Resources by their id."""

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NO_NAMESPACE = UUID(int=0)
_READ_ELSEWHERE = frozenset({"labels", "order", "participants", "problems", "membership", "note:<id>", "steps"})
"""Families of units that the skeleton of a plan holds already, so that they are not put in one by one."""


@dataclass(frozen=True)
class ReadBack:
    """A plan that was read, and the units that a plan file has no place for."""

    plan: Plan
    left: tuple[Unit, ...] = ()
    taken: tuple[Unit, ...] = ()


@dataclass(frozen=True)
class _WireRefs(Refs):
    """Names by which everything is called as on the wire."""

    def element(self, kind: str, local_id: str) -> str:
        """Return the element's own id."""
        return {"target": local_id.rpartition("|")[2], "words": f"words of {local_id}"}.get(kind, local_id)


def plans_in(resources: Sequence[Resource], source: str) -> list[ReadBack]:
    """Return one plan per CarePlan, and one per patient for the Goals that no CarePlan lists.

    `source` names where the resources came from, for what was not written by us.
    """
    goals = {str(one["id"]): one for one in resources if one.get("resourceType") == "Goal" and "id" in one}
    found: list[ReadBack] = []
    listed: set[str] = set()
    for number, tree in enumerate(one for one in resources if one.get("resourceType") == "CarePlan"):
        record = CAREPLAN.from_fhir(tree)
        members = [_local(reference) for reference in record.goals if _is_goal(reference, goals)]
        listed.update(members)
        plan_id = _fit(str(tree.get("id") or f"care-plan-{number + 1}"))
        found.append(_plan(plan_id, tree, record, {goal: goals[goal] for goal in dict.fromkeys(members)}, source))
    unfiled: dict[str | None, dict[str, Resource]] = {}
    for goal_id, tree in goals.items():
        if goal_id not in listed:
            unfiled.setdefault(stamp.subject(tree), {})[goal_id] = tree
    for subject, members_of in unfiled.items():
        name = _fit(f"unfiled-{_local(subject)}" if subject else "unfiled")
        found.append(_plan(name, None, None, members_of, source))
    return found


def laid_over(plan: Plan, resources: Iterable[Resource], installation: Installation, seen: Plan | None) -> ReadBack:
    """Return a plan with what its resources say laid over it; ids stay those of the plan.

    `seen` is the disclosed plan that the resources were made from: what is missing from them was then taken away
    there. Without it nothing is taken away. What would break an invariant or has no place is left as it is.
    """
    wire = {("Goal", installation.wire_id("Goal", plan.id, goal.id)): goal.id for goal in plan.goals}
    wire["CarePlan", installation.wire_id("CarePlan", plan.id, plan.id)] = plan.id
    goals: dict[str, WireGoal] = {}
    names: dict[str, str] = {}
    care_plan: WireCarePlan | None = None
    for tree in resources:
        kind, resource_id = str(tree.get("resourceType")), str(tree.get("id"))
        marks = [one.value for one in stamp.identifiers(tree) if one.system == installation.identifier_system]
        local = next((wire[kind, mark] for mark in (resource_id, *marks) if (kind, mark) in wire), None)
        if local is None:
            continue
        if kind == "CarePlan":
            care_plan = CAREPLAN.from_fhir(tree)
        else:
            goals[local] = GOAL.from_fhir(tree)
            names[local] = f"Goal/{resource_id}"
    refs = Refs(
        installation.namespace,
        plan.id,
        people_on_wire(plan, installation),
        problems_on_wire(plan, installation),
        names,
        participants_of(plan),
        MAPPED_BASE,
    )
    there = assemble(plan.id, goals, care_plan, refs, {}, member_ids(plan))
    ours = visible(seen, refs) if seen is not None else units(plan)
    readable = {unit for unit in ours if _was_read(unit, plan.id, goals, care_plan)} if seen is not None else set()
    return _changed(plan, there.values, ours, there.values.keys() | readable)


def _changed(plan: Plan, theirs: Values, ours: Values, candidates: Iterable[Unit]) -> ReadBack:
    left: list[Unit] = []
    taken: list[Unit] = []
    faults = errors_of(plan)
    for unit in sorted(candidates, key=lambda unit: (unit.name.startswith("step:"), unit)):
        if same_value(theirs.get(unit), ours.get(unit)):
            continue
        try:
            changed = with_units(plan, {unit: theirs.get(unit)}, Origin(system="file"))
        except CannotTake:
            left.append(unit)
            continue
        if errors_of(changed) <= faults:
            plan = changed
            taken.append(unit)
        else:
            left.append(unit)
    return ReadBack(plan, tuple(left), tuple(taken))


def _was_read(unit: Unit, plan_id: str, goals: Mapping[str, WireGoal], care_plan: WireCarePlan | None) -> bool:
    if unit.owner != plan_id:
        return unit.owner in goals
    if unit.family in ("parent_map", "relations"):
        return set(unit.member.replace("|predecessor|", "|").replace("|replacement|", "|").split("|")) <= goals.keys()
    return care_plan is not None


def _plan(
    plan_id: str, tree: Resource | None, record: WireCarePlan | None, goals: Mapping[str, Resource], source: str
) -> ReadBack:
    """Return a new plan from one CarePlan (or none) and its Goals."""
    wire = {goal_id: GOAL.from_fhir(one) for goal_id, one in goals.items()}
    subject = stamp.subject(tree) if tree is not None else next((stamp.subject(one) for one in goals.values()), None)
    people = _people(subject, record, wire.values())
    problems = {
        reference: _fit(_local(reference))
        for reference in dict.fromkeys((*(record.addresses if record else ()), *_addressed(wire.values())))
    }
    refs = _WireRefs(
        namespace=_NO_NAMESPACE,
        plan_id=plan_id,
        people={one.ref: one.ref for one in people},
        problems={local: reference for reference, local in problems.items()},
        goals={goal_id: f"Goal/{goal_id}" for goal_id in goals},
        participants={one.id: (one.ref, one.role) for one in people},
        base_url=MAPPED_BASE,
    )
    there = assemble(plan_id, wire, record, refs, {}, _ids(wire, record))
    values = there.values
    order: list[str] = values.get(Unit(plan_id, "order")) or []
    by_id = {
        goal_id: _goal(plan_id, goal_id, values, wire[goal_id], _origin(goals[goal_id], source)) for goal_id in goals
    }
    plan = Plan(
        id=plan_id,
        kind="client_treatment",
        status=Foreign(foreign="null"),
        client=Client(id=_fit(_local(subject)), display=subject) if subject else None,
        participants=tuple(replace(one, ref=_fit(_local(one.ref))) for one in people),
        problems=tuple(
            Problem(id=local, code=Coding(system="reference", code=reference)) for reference, local in problems.items()
        ),
        goals=tuple(by_id[goal_id] for goal_id in dict.fromkeys((*order, *goals))),
    )
    for unit in sorted(values, key=lambda unit: (unit.name.startswith("step:"), unit)):
        if unit.family in _READ_ELSEWHERE:
            continue
        try:
            plan = with_units(plan, {unit: values[unit]}, Origin(system=source))
        except CannotTake:
            continue
    made = units(plan)
    return ReadBack(plan, tuple(unit for unit in sorted(values) if not same_value(values[unit], made.get(unit))))


def _goal(plan_id: str, goal_id: str, values: Values, record: WireGoal, origin: Origin | None) -> Goal:
    """Return a goal with the members that need a place of their own: notes, steps, labels."""
    progress: list[ProgressEntry] = []
    victories: list[Achievement] = []
    for unit, value in values.items():
        if unit.owner != goal_id or unit.family != "note:<id>" or not isinstance(value.get("text"), str):
            continue
        parts = {name: value.get(name) for name in ("date", "text")}
        if value["kind"] == "victory":
            known = msgspec.convert({**parts, "id": unit.member, "noted_by": value.get("author")}, Achievement)
            victories.append(replace(known, share=True))
        else:
            entry = {**parts, "id": unit.member, "author": value.get("author"), "author_text": value.get("author_text")}
            progress.append(msgspec.convert({**entry, "visibility": "shared"}, ProgressEntry))
    if origin is not None:
        progress = [replace(one, origin=origin) for one in progress]
    steps = values.get(Unit(plan_id, f"order:{goal_id}")) or []
    return Goal(
        id=goal_id,
        share_words=Unit(goal_id, "client_words") in values,
        sensitivities=tuple(
            dict.fromkeys(label for one in record.labels if (label := _SENSITIVITY.get(one.code)) is not None)
        ),
        origin=origin,
        review="unreviewed" if origin is not None else None,
        steps=tuple(Step(id=step, n=number) for number, step in enumerate(steps, 1)),
        progress=tuple(progress),
        achievements=tuple(victories),
    )


_SENSITIVITY: dict[str, Sensitivity] = {code: code for code in get_args(Sensitivity)} | {"ETH": "SUD", "MENCAT": "MH"}
"""ETH and MENCAT are wider codes that are read as ours (domain reference 7)."""


def _origin(tree: Resource, source: str) -> Origin | None:
    """Return where a goal came from, or `None` for one that a fhirgoals wrote."""
    if any(one.system.startswith("urn:uuid:") and one.value == tree.get("id") for one in stamp.identifiers(tree)):
        return None
    meta = tree.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return Origin(system=source, resource=f"Goal/{tree['id']}", version=version if isinstance(version, str) else None)


def _people(subject: str | None, record: WireCarePlan | None, goals: Iterable[WireGoal]) -> list[Participant]:
    """Return everyone who is referred to, each once; `ref` is the reference.

    The wire tells the author and the contributors apart and no other roles: another member of staff who contributes
    is called a supervisor, one who is only mentioned a former therapist.
    """
    author = record.author if record is not None and isinstance(record.author, str) else None
    contributors = list(record.contributors) if record else []
    mentioned = [person for one in record.activities for person in one.performers] if record else []
    for goal in goals:
        mentioned += [goal.expressed_by] if isinstance(goal.expressed_by, str) else []
        mentioned += [line.individual for line in goal.acceptance]
        mentioned += [note.author_reference for note in goal.notes if note.author_reference]
    found: list[Participant] = []
    for reference in dict.fromkeys((*([author] if author else []), *contributors, *mentioned)):
        kind = reference.rpartition("/")[0].rpartition("/")[2]
        role: ParticipantRole
        if reference == subject or kind == "Patient":
            role = "client"
        elif kind == "RelatedPerson":
            role = "support_person"
        elif reference == author:
            role = "primary_therapist"
        else:
            role = "clinical_supervisor" if reference in contributors else "former_therapist"
        found.append(Participant(id=_fit(_local(reference)), role=role, ref=reference))
    return found


def _ids(goals: Mapping[str, WireGoal], record: WireCarePlan | None) -> dict[str, frozenset[str]]:
    """Return the element ids of the wire by kind, in the place of ids of our own."""
    activities = record.activities if record else ()
    return {
        "note": frozenset(note.id for goal in goals.values() for note in goal.notes if note.id),
        "target": frozenset(f"{goal_id}|{one.id}" for goal_id, goal in goals.items() for one in goal.targets if one.id),
        "step": frozenset(name for one in activities if one.role == "step" and (name := one.id or one.step_id)),
        "intervention": frozenset(
            name for one in activities if one.role == "intervention" and (name := one.id or one.step_id)
        ),
    }


def _addressed(goals: Iterable[WireGoal]) -> list[str]:
    return [reference for goal in goals for reference in goal.addresses]


def _is_goal(reference: str, goals: Readable) -> bool:
    return _local(reference) in goals


def _local(reference: str | None) -> str:
    return (reference or "").partition("/_history/")[0].rpartition("/")[2].removeprefix("urn:uuid:")


def _fit(name: str) -> str:
    """Return a name that may be an id of ours; one that may not is replaced by a mark of it."""
    return name if _ID.fullmatch(name) else f"wire-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
