"""Turns a decision into the next requests: which resources are created or updated, with which bodies (design 5.7).

Pure. One pass returns one phase only, in the order that every crash in between survives: new goals, then removals
(a move is taken from the old parent first), then other goals with their additions, then the CarePlan. The caller
sends them, puts the replies in and asks again until nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fhirgoals.domain.identity import Installation
from fhirgoals.domain.records import Record
from fhirgoals.domain.units import Json, Pair, Unit, Values
from fhirgoals.errors import Bug, InputError
from fhirgoals.fhir.exact_json import Resource, same
from fhirgoals.mappers import careplan, goal, narrative, stamp
from fhirgoals.mappers.lens import Mapper
from fhirgoals.mappers.overlay import Push, overlay_goal
from fhirgoals.mappers.overlay_plan import overlay_care_plan
from fhirgoals.mappers.records import WireCarePlan, WireGoal
from fhirgoals.mappers.refs import Refs
from fhirgoals.sync.call import Call, Sent, Way
from fhirgoals.sync.decide import WRONG_CHART, Decision, Key, Kind, Ours, Place, Retract, carriers
from fhirgoals.sync.merge import Action
from fhirgoals.sync.nameable import nameable
from fhirgoals.sync.narratives import may_be_rewritten
from fhirgoals.sync.outline import outline_there
from fhirgoals.sync.own import WITHDRAWN_REV, agreed_in, is_theirs, ours_in
from fhirgoals.sync.reading import There
from fhirgoals.sync.tree import closes_a_ring, edges_of
from fhirgoals.sync.withdraw import references_in, withdrawn

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Pass:
    """The next phase: calls to send, and pushed units that already stand there as they should and only settle.

    `forget` are resources of a chart that is being left of which nothing of ours is left there.
    `kept` are those that the server keeps content of although it was told not to.
    `unwritable` are resources of which no body can be made (a kept foreign value that can't stand in its new place).
    """

    calls: tuple[Call, ...] = ()
    settled: Mapping[Unit, Pair] = field(default_factory=dict)
    unwritable: tuple[Key, ...] = ()
    forget: tuple[Key, ...] = ()
    kept: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Terms:
    """What building bodies needs besides the plan: who we are there, and the patient whose plan it is."""

    installation: Installation
    patient: str
    failed: frozenset[Key] = frozenset()
    told: frozenset[Key] = frozenset()
    seen_once: frozenset[Key] = frozenset()
    narratives: frozenset[str] = frozenset()
    """Digests of the narratives that we sent."""
    undeletable: frozenset[Key] = frozenset()


def next_pass(decision: Decision, ours: Ours, there: There, bases: Mapping[Unit, Pair], terms: Terms) -> Pass:
    """Return the next phase of writes for a decision; empty when nothing is left to send.

    Resources in `terms.failed` were refused in this run and are left alone; so are those in `terms.told`, which were
    told to forget what was ours and stand as they then answered. Deleting those in `terms.undeletable` was refused. One
    that has no body comes back as `unwritable`, alone: the caller leaves it out and asks again.
    """
    try:
        return _next_pass(decision, ours, there, bases, terms)
    except _NoBodyError as error:
        return Pass(unwritable=(error.key,))


class _NoBodyError(Exception):
    def __init__(self, key: Key) -> None:
        super().__init__(f"no body can be made for {key[0]}")
        self.key = key


def _next_pass(decision: Decision, ours: Ours, there: There, bases: Mapping[Unit, Pair], terms: Terms) -> Pass:
    wanted = decision.units(Action.PUSH)
    pushes = {
        unit: verdict.seen.ours
        for unit, verdict in wanted.items()
        if _named(unit, verdict.seen.ours, ours.plan_id, there.refs)
    }
    builder = _Builder(ours, there, bases, terms, pushes, frozenset(wanted))
    creates = [one for one in decision.creates if ("Goal", one) not in terms.failed]
    if creates:
        return Pass(tuple(builder.create_goal(one) for one in _ready(creates, ours)))
    updates, settled = builder.update_goals()
    removals = tuple(call for call in updates if builder.removes(call))
    if removals or updates:
        return Pass(removals or updates, settled)
    some = any(one in there.refs.goals for one in ours.goals)
    if decision.create_plan and some and ("CarePlan", ours.plan_id) not in terms.failed:
        return Pass((builder.create_plan(),), settled)
    call, settled_there = builder.update_plan()
    if call or settled or settled_there:
        return Pass((call,) if call else (), settled | settled_there)
    calls = builder.retirements(decision.retire)
    kept = tuple(key for key in decision.retire if key in terms.told and builder.would_retire(key))
    # A chart is left as a whole: what is still to be taken back there names others by the links that are known of them.
    hidden = any(place is Place.UNREADABLE for place in there.theirs.places.values())
    left = ours.refused == WRONG_CHART and not (calls or terms.failed or kept or terms.seen_once or hidden)
    forget = decision.retire if left else ()
    return Pass(calls, forget=forget, kept=kept)


def _named(unit: Unit, value: Json, plan_id: str, refs: Refs) -> bool:
    """Tell whether every goal that a plan unit names has a reference there; else it waits for the goal's creation."""
    if unit.owner != plan_id:
        return True
    match unit.family:
        case "parent_map":
            return all(goal in refs.goals for goal in (unit.member, *(value or ())))
        case "relations":
            start, _kind, end = unit.member.split("|")
            return start in refs.goals and end in refs.goals
        case "membership":
            return unit.member in refs.goals
        case _:
            return True


def _ready(creates: list[str], ours: Ours) -> list[str]:
    """Return the goals whose children, predecessors and successors-in-place are there already; of a ring, the first."""
    waiting = set(creates)
    needs: dict[str, set[str]] = {one: set() for one in creates}
    for unit, value in ours.visible.items():
        if unit.family == "parent_map":
            for parent in value or ():
                needs.get(parent, set()).add(unit.member)
        elif unit.family == "relations":
            start, _kind, end = unit.member.split("|")
            needs.get(start, set()).add(end)
    ready = [one for one in creates if not needs[one] & waiting]
    return ready or creates[:1]


@dataclass(frozen=True)
class _Builder:
    ours: Ours
    there: There
    bases: Mapping[Unit, Pair]
    terms: Terms
    pushes: Values
    wanted: frozenset[Unit]

    def create_goal(self, goal_id: str) -> Call:
        refs = self.there.refs
        units = {
            unit: value
            for unit, value in self.ours.released.items()
            if unit.owner == goal_id
            or (
                unit.family in ("parent_map", "relations")
                and unit in self.wanted
                and ("Goal", goal_id) in carriers(self.ours.plan_id, unit, value)
                and _named(unit, value, self.ours.plan_id, _with_goal(refs, goal_id))
                and not self._too_early(goal_id, unit, value)
            )
        }
        record = overlay_goal(goal_id, WireGoal(), Push(units), self.there.theirs.assembled, _with_goal(refs, goal_id))
        body = stamp.new_goal(
            _body(("Goal", goal_id), goal.GOAL, record, {}),
            identifier=(self.terms.installation.identifier_system, self._wire_id("Goal", goal_id)),
            subject=self.terms.patient,
        )
        return Call("Goal", goal_id, body, self._sent(units))

    def update_goals(self) -> tuple[tuple[Call, ...], dict[Unit, Pair]]:
        calls: list[Call] = []
        settled: dict[Unit, Pair] = {}
        for goal_id, record in self.there.goals.items():
            key: Key = ("Goal", goal_id)
            if self.there.theirs.place(*key) is not Place.PRESENT or key in self.terms.failed:
                continue
            units = {unit: value for unit, value in self.pushes.items() if self._touches(goal_id, unit, value)}
            if not units:
                continue
            allowed = self._allowed(goal_id, units)
            after = overlay_goal(goal_id, record, self._push(allowed), self.there.theirs.assembled, self.there.refs)
            found = self.there.found[key]
            body = _body(key, goal.GOAL, after, found.tree)
            if same(body, found.tree):
                settled |= {
                    unit: self._as_it_is(unit, value)
                    for unit, value in allowed.items()
                    if unit.family != "relations" and self._complete(goal_id, unit)
                }
                continue
            sent = self._sent(allowed, goal_id)
            way: Way = "write" if goal_id in self.ours.goals else "withdraw"
            hidden = self._unsays(allowed)
            calls.append(Call("Goal", goal_id, body, sent, found.resource_id, found.etag, found.tree, way, hidden))
        return tuple(calls), settled

    def retirements(self, keys: Iterable[Key]) -> tuple[Call, ...]:
        """Return the calls that take resources back: those to be deleted once nothing refers to them any more."""
        left = {key: self.there.found[key] for key in keys if key in self.there.found and key not in self.terms.failed}
        if self.ours.retract != "delete":
            calls = (self._withdrawal(key, self.ours.retract) for key in left if key not in self.terms.told)
            return tuple(call for call in calls if call is not None)
        names = {key: f"{key[0]}/{one.resource_id}" for key, one in left.items()}
        named = {key: references_in(one.tree) for key, one in self.there.found.items()}
        # Who still names one that is not to be deleted could not be written to: the words go, what is left of it waits.
        stay = {key for key in named.keys() - left.keys() if self.there.theirs.place(*key) is Place.PRESENT}
        not_ours = {key for key in left if is_theirs(key, self.ours, self.there.theirs, self.bases)}
        kept = {key for key, name in names.items() if any(name in named[one] for one in stay | not_ours)}
        kept |= not_ours | (self.terms.undeletable & left.keys())
        blank = [call for key in kept - self.terms.told if (call := self._withdrawal(key, "blank")) is not None]
        if blank:
            return tuple(sorted(blank, key=lambda call: call.key))
        go = [key for key in left if key not in kept]
        free = [key for key in go if not any(names[key] in named[one] for one in go if one != key)]
        return tuple(self._delete(key) for key in free or go[:1])

    def would_retire(self, key: Key) -> bool:
        """Tell whether anything of ours is left in a resource that is to be taken back."""
        way: Retract = "blank" if self.ours.retract == "delete" else self.ours.retract
        return key in self.there.found and self._withdrawal(key, way) is not None

    def _withdrawal(self, key: Key, way: Retract) -> Call | None:
        kind, local_id = key
        found = self.there.found[key]
        taken = ours_in(key, self.ours, self.there.theirs, self.bases)
        sent = {unit: Sent(None, WITHDRAWN_REV) for unit in taken}
        agreed = agreed_in(taken, self.ours, self.bases)
        with_text = not (taken and self._may_rewrite(key, found.tree))
        body = withdrawn(key, way, self.there, taken, agreed, theirs=local_id in self.ours.born, with_text=with_text)
        if self.ours.refused == WRONG_CHART:
            body = stamp.without_identifier(body, self.terms.installation.identifier_system)
        if same(body, found.tree):
            return None
        return Call(kind, local_id, body, sent, found.resource_id, found.etag, found.tree, "withdraw")

    def _delete(self, key: Key) -> Call:
        kind, local_id = key
        found = self.there.found[key]
        pairs = self.bases.items()
        carried = [unit for unit, pair in pairs if key in carriers(self.ours.plan_id, unit, pair.ours, pair.theirs)]
        sent = {unit: Sent(None, WITHDRAWN_REV) for unit in carried}
        return Call(kind, local_id, {}, sent, found.resource_id, found.etag, found.tree, "delete")

    def removes(self, call: Call) -> bool:
        """Tell whether a call takes a child from a parent: such calls go before those that only add."""
        return any(unit.family == "parent_map" and not sent.complete for unit, sent in call.units.items())

    def create_plan(self) -> Call:
        plan_id = self.ours.plan_id
        units = {
            unit: value
            for unit, value in nameable(plan_id, self.ours.released, self.there.refs.goals).items()
            if unit.owner == plan_id and unit.family not in ("parent_map", "relations")
        }
        merged = self.there.theirs.assembled.values | self.ours.released
        record = overlay_care_plan(
            plan_id, WireCarePlan(), Push(units), merged, self.there.theirs.assembled, self.there.refs
        )
        body = stamp.new_care_plan(
            _body(("CarePlan", plan_id), careplan.CAREPLAN, record, {}),
            identifier=(self.terms.installation.identifier_system, self._wire_id("CarePlan", plan_id)),
            subject=self.terms.patient,
        )
        return Call("CarePlan", plan_id, self._with_narrative(body, merged), self._sent(units))

    def update_plan(self) -> tuple[Call | None, dict[Unit, Pair]]:
        plan_id = self.ours.plan_id
        key: Key = ("CarePlan", plan_id)
        if (
            self.there.care_plan is None
            or self.there.theirs.place(*key) is not Place.PRESENT
            or key in self.terms.failed
        ):
            return None, {}
        units = {
            unit: value
            for unit, value in self.pushes.items()
            if unit.owner == plan_id and unit.family not in ("parent_map", "relations")
        }
        if not units:
            return None, {}
        merged = {
            unit: value for unit, value in (self.there.theirs.assembled.values | units).items() if value is not None
        }
        record = overlay_care_plan(
            plan_id, self.there.care_plan, self._push(units), merged, self.there.theirs.assembled, self.there.refs
        )
        found = self.there.found[key]
        body = _body(key, careplan.CAREPLAN, record, found.tree)
        if same(body, found.tree):
            return None, {unit: self._as_it_is(unit, value) for unit, value in units.items()}
        body = self._with_narrative(body, merged)
        sent, hidden = self._sent(units), self._unsays(units)
        return Call("CarePlan", plan_id, body, sent, found.resource_id, found.etag, found.tree, unsays=hidden), {}

    def _unsays(self, units: Values) -> bool:
        """Tell whether units are taken out that we have and the connection may no longer see."""
        return any(value is None and unit in self.ours.hidden for unit, value in units.items())

    def _with_narrative(self, body: Resource, merged: Values) -> Resource:
        if not self._may_rewrite(("CarePlan", self.ours.plan_id), body):
            return body
        title, outline = outline_there(self.ours.plan_id, merged, self.there.refs)
        return narrative.with_text(body, narrative.care_plan_text(title, outline))

    def _may_rewrite(self, key: Key, tree: Resource) -> bool:
        return may_be_rewritten(key, tree, self.there, self.terms.narratives)

    def _touches(self, goal_id: str, unit: Unit, value: Json) -> bool:
        if unit.owner == goal_id:
            return True
        if unit.owner != self.ours.plan_id or unit.family not in ("parent_map", "relations"):
            return False
        if unit.family == "parent_map" and unit.member == goal_id:
            return True
        if unit.family == "relations":
            start, _kind, end = unit.member.split("|")
            # The other end only ever loses an edge that somebody wrote there the other way round (`successor`).
            return goal_id == start or (goal_id == end and value is None)
        there = self.there.theirs.assembled.values.get(unit)
        ends = carriers(self.ours.plan_id, unit, value, there)
        return ("Goal", goal_id) in ends

    def _allowed(self, goal_id: str, units: Values) -> Values:
        """Return the units without additions of a child that another parent still has there (rule R3)."""
        return {unit: value for unit, value in units.items() if not self._too_early(goal_id, unit, value)}

    def _too_early(self, goal_id: str, unit: Unit, value: Json) -> bool:
        if unit.family != "parent_map" or goal_id not in (value or ()):
            return False
        values = self.there.theirs.assembled.values
        if set(values.get(unit) or ()) - set(value or ()):
            return True
        edges = edges_of(values)
        failed = {goal for kind, goal in self.terms.failed if kind == "Goal"}
        for other, parents in self.pushes.items():
            if other.family == "parent_map" and failed.isdisjoint([*(parents or ()), *(values.get(other) or ())]):
                edges[other.member] = edges.get(other.member, frozenset()) | frozenset(parents or ())
        # Until what is taken away elsewhere is in, the new edge could close a ring there (rule R5).
        return closes_a_ring(unit.member, goal_id, {**edges, unit.member: frozenset()})

    def _complete(self, goal_id: str, unit: Unit) -> bool:
        if unit.family == "relations":
            return goal_id == unit.member.partition("|")[0]
        if unit.family != "parent_map":
            return True
        wanted = self.pushes.get(unit) or ()
        if wanted:
            return goal_id in wanted
        others = set(self.there.theirs.assembled.values.get(unit) or ()) - {goal_id}
        return not others

    def _push(self, units: Values) -> Push:
        return Push(units, {unit: pair.ours for unit, pair in self.bases.items()})

    def _sent(self, units: Values, goal_id: str | None = None) -> dict[Unit, Sent]:
        return {
            unit: Sent(value, self.ours.rev, goal_id is None or self._complete(goal_id, unit), self._left(unit))
            for unit, value in units.items()
        }

    def _left(self, unit: Unit) -> tuple[str, ...]:
        """Return the parents agreed on that a child has left there; of a parent that can't be read nobody knows."""
        pair = self.bases.get(unit) if unit.family == "parent_map" else None
        if pair is None:
            return ()
        left = set(pair.theirs or ()) - set(self.there.theirs.assembled.values.get(unit) or ())
        return tuple(sorted(one for one in left if self.there.theirs.place("Goal", one) is Place.PRESENT))

    def _as_it_is(self, unit: Unit, value: Json) -> Pair:
        return Pair(value, self.there.theirs.assembled.values.get(unit), self.ours.rev)

    def _wire_id(self, kind: Kind, local_id: str) -> str:
        return self.terms.installation.wire_id(kind, self.ours.plan_id, local_id)


def _body(key: Key, table: Mapper[R], record: R, onto: Resource) -> Resource:
    try:
        return table.to_fhir(record, onto)
    except (InputError, Bug):
        raise _NoBodyError(key) from None


def _with_goal(refs: Refs, goal_id: str) -> Refs:
    """Return the names with the goal itself named: its own edges need no reference to it."""
    if goal_id in refs.goals:
        return refs
    return replace(refs, goals={**refs.goals, goal_id: f"Goal/{goal_id}"})
