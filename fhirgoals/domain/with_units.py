"""Puts changed merge units into a plan: the other half of `units`, used when an EHR's edit is taken.

Only values are placed here; whether they may be taken is `decide`'s business and whether the result is a sound plan
is the invariants'. What can't be expressed in our records is told, never dropped: `CannotTake` names the unit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec

from fhirgoals.domain.codes import sensitivities
from fhirgoals.domain.disclosure import inherited_sensitivities
from fhirgoals.domain.records import (
    Acceptance,
    Achievement,
    Coding,
    Foreign,
    Goal,
    Intervention,
    Measure,
    Origin,
    Plan,
    ProgressEntry,
    Record,
    Step,
    Target,
    fields_of,
)
from fhirgoals.domain.units import (
    Changes,
    Json,
    Unit,
    default_performer,
    same_value,
    target_value,
    value_text,
)
from fhirgoals.errors import Refused

replace = msgspec.structs.replace

R = TypeVar("R", bound=Record)


class CannotTake(Refused):
    """A value of that unit has no place in our records as things stand; a person decides."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(f"the unit {unit.name} of {unit.owner} can't be taken over as it stands: settle it by hand")
        self.unit = unit


def with_units(plan: Plan, changes: Changes, origin: Origin) -> Plan:
    """Return the plan with those units changed; `None` takes a unit away.

    `origin` is set on what is born by the change. Raises `CannotTake` for the first unit that has no place, and then
    nothing was changed.
    """
    for unit, value in sorted(changes.items(), key=_members_before_their_parts):
        try:
            if unit.owner == plan.id:
                plan = _PLAN_UNITS[unit.name.partition(":")[0]](plan, unit, value)
            else:
                goal = plan.goal(unit.owner)
                changed = _GOAL_UNITS[unit.name.partition(":")[0]](plan, goal, unit, value, origin)
                plan = changed if isinstance(changed, Plan) else _with_goal(plan, changed)
        except (KeyError, msgspec.ValidationError):
            raise CannotTake(unit) from None
    return plan


def _members_before_their_parts(change: tuple[Unit, Json]) -> tuple[bool, Unit]:
    return change[0].name.startswith("step:"), change[0]


def _typed(record: type[R], field: str, value: Json) -> Any:
    """Return the value as the record's field holds it (dates, decimals, foreign values)."""
    whole: Any = msgspec.convert({field: value}, _partial(record))
    return getattr(whole, field)


@cache
def _partial(record: type[Record]) -> type:
    """Return a struct with the record's fields, each optional, so that one field can be converted alone."""
    fields = [(f.encode_name, f.type, None) for f in fields_of(record)]
    return msgspec.defstruct(f"Partial{record.__name__}", fields, forbid_unknown_fields=True)


def _with_goal(plan: Plan, goal: Goal) -> Plan:
    return replace(plan, goals=tuple(goal if one.id == goal.id else one for one in plan.goals))


def _with_member(members: tuple[R, ...], at: Callable[[R], bool], new: R | None) -> tuple[R, ...]:
    """Return the members with the one found replaced, taken out (`None`) or, where none is found, added."""
    kept = [new if at(member) else member for member in members]
    if new is not None and not any(at(member) for member in members):
        kept.append(new)
    return tuple(member for member in kept if member is not None)


# -- units of a goal ---------------------------------------------------------------------------------------------------


def _field(name: str) -> Callable[[Plan, Goal, Unit, Json, Origin], Goal]:
    def put(_plan: Plan, goal: Goal, _unit: Unit, value: Json, _origin: Origin) -> Goal:
        return replace(goal, **{name: _typed(Goal, name, value)})

    return put


def _labels(plan: Plan, goal: Goal, unit: Unit, value: Json, _origin: Origin) -> Goal:
    """Add what is stricter: an EHR that takes a label away makes nothing here less sensitive."""
    added = sensitivities(value or ()) - inherited_sensitivities(plan)[goal.id]
    if not added:
        raise CannotTake(unit)
    return replace(goal, sensitivities=_typed(Goal, "sensitivities", [*goal.sensitivities, *sorted(added)]))


def _composite(*names: str) -> Callable[[Plan, Goal, Unit, Json, Origin], Goal]:
    def put(_plan: Plan, goal: Goal, _unit: Unit, value: Json, _origin: Origin) -> Goal:
        parts = value or {}
        return replace(goal, **{name: _typed(Goal, name, parts.get(name)) for name in names})

    return put


def _addresses(_plan: Plan, goal: Goal, unit: Unit, value: Json, _origin: Origin) -> Goal:
    kept = tuple(problem for problem in goal.addresses if problem != unit.member)
    return replace(goal, addresses=(*kept, unit.member) if value else kept)


def _acceptance(_plan: Plan, goal: Goal, unit: Unit, value: Json, _origin: Origin) -> Goal:
    before = next((one for one in goal.acceptance if one.by == unit.member), None)
    if value is None:
        after = None
    else:
        parts = {name: _typed(Acceptance, name, value.get(name)) for name in ("status", "priority")}
        after = replace(before, **parts) if before else Acceptance(by=unit.member, **parts)
    return replace(goal, acceptance=_with_member(goal.acceptance, lambda one: one.by == unit.member, after))


def _note(_plan: Plan, goal: Goal, unit: Unit, value: Json, origin: Origin) -> Goal:
    victory = next((one for one in goal.achievements if one.id == unit.member), None)
    if victory is not None:
        changed = value and replace(victory, text=value["text"], date=_typed(ProgressEntry, "date", value.get("date")))
        kept = _with_member(goal.achievements, lambda one: one.id == unit.member, changed)
        return replace(goal, achievements=kept)
    before = next((one for one in goal.progress if one.id == unit.member), None)
    if before is None and value is not None and value.get("kind") == "victory":
        return _victory(goal, unit, value)
    after: ProgressEntry | None = None
    if value is not None:
        parts = {
            name: _typed(ProgressEntry, name, value.get(name)) for name in ("date", "author", "author_text", "text")
        }
        after = (
            replace(before, **parts)
            if before
            else ProgressEntry(id=unit.member, visibility="shared", origin=origin, **parts)
        )
    return replace(goal, progress=_with_member(goal.progress, lambda one: one.id == unit.member, after))


def _victory(goal: Goal, unit: Unit, value: Json) -> Goal:
    """Return the goal with a victory that it did not have; what came over the wire is shared."""
    if "author_text" in value:
        raise CannotTake(unit)  # a victory is noted by a participant, and this one is none
    new = Achievement(
        id=unit.member,
        date=_typed(Achievement, "date", value.get("date")),
        text=_typed(Achievement, "text", value.get("text")),
        noted_by=value.get("author"),
        share=True,
    )
    return replace(goal, achievements=(*goal.achievements, new))


def _target(plan: Plan, goal: Goal, unit: Unit, value: Json, origin: Origin) -> Plan | Goal:
    before = next((one for one in goal.targets if one.key == unit.member), None)
    if value is None:
        return replace(goal, targets=_with_member(goal.targets, lambda one: one.key == unit.member, None))
    parts = {name: _typed(Target, name, value.get(name)) for name in ("op", "value", "range", "by", "sustain")}
    parts["foreign_detail"] = _typed(Target, "foreign_detail", value.get("detail"))
    measured = {name: value[name] for name in ("instrument", "code", "unit", "foreign") if name in value}
    known = target_value(plan, before) if before else {}
    if before and same_value(measured, {name: known[name] for name in measured.keys() & known.keys()}):
        after = replace(before, **parts)
    else:
        measure = _measure(unit.member, measured) if measured else None
        after = Target(id=unit.member, measure=measure.id if measure else None, **parts)
        if measure and all(one.id != measure.id for one in plan.measures):
            plan = replace(plan, measures=(*plan.measures, measure))
    targets = _with_member(goal.targets, lambda one: one.key == unit.member, after)
    return _with_goal(plan, replace(goal, targets=targets))


def _measure(key: str, measured: dict[str, Json]) -> Measure:
    """Return a new measure: an EHR's edit never changes one that another target uses. Its id follows its content."""
    mark = hashlib.sha256(value_text(measured)).hexdigest()[:8]
    return Measure(
        id=f"{key}-{mark}",
        instrument=measured.get("instrument"),
        code=msgspec.convert(measured.get("code"), Coding | None),
        unit=measured.get("unit"),
        foreign_code=msgspec.convert(measured.get("foreign"), Foreign | None),
    )


_GOAL_UNITS: dict[str, Callable[[Plan, Goal, Unit, Json, Origin], Plan | Goal]] = {
    "text": _field("text"),
    "client_words": _field("client_words"),
    "axes": _composite("horizon", "nature"),
    "category": _field("domain"),
    "priority": _field("priority"),
    "status": _composite("lifecycle", "achievement", "closure_reason", "status_date", "status_reason"),
    "start_date": _field("start_date"),
    "target_date": _field("target_date"),
    "completion_criterion": _field("completion_criterion"),
    "expressed_by": _field("expressed_by"),
    "labels": _labels,
    "addresses": _addresses,
    "acceptance": _acceptance,
    "note": _note,
    "target": _target,
}


# -- units of the plan -------------------------------------------------------------------------------------------------


def _title(plan: Plan, _unit: Unit, value: Json) -> Plan:
    return replace(plan, title=value)


def _plan_status(plan: Plan, _unit: Unit, value: Json) -> Plan:
    parts = value or {}
    status = _typed(Plan, "status", parts.get("status"))
    ended = status in ("completed", "revoked")
    end = _typed(Plan, "end_date", parts.get("end"))
    return replace(
        plan,
        status=status,
        start_date=_typed(Plan, "start_date", parts.get("start")),
        planned_end_date=plan.planned_end_date if ended else end,
        end_date=end if ended else None,
    )


def _parent(plan: Plan, unit: Unit, value: Json) -> Plan:
    if value and (len(value) > 1 or all(goal.id != value[0] for goal in plan.goals)):
        raise CannotTake(unit)
    return _with_goal(plan, replace(plan.goal(unit.member), parent=value[0] if value else None))


def _relation(plan: Plan, unit: Unit, value: Json) -> Plan:
    start, kind, end = unit.member.split("|")
    goal = plan.goal(start)
    if kind == "predecessor":
        kept = tuple(one for one in goal.predecessors if one != end)
        return _with_goal(plan, replace(goal, predecessors=(*kept, end) if value else kept))
    if kind == "replacement":
        if value:
            return _with_goal(plan, replace(goal, replaced_by=end))
        return _with_goal(plan, replace(goal, replaced_by=None if goal.replaced_by == end else goal.replaced_by))
    raise CannotTake(unit)


def _steps(plan: Plan, unit: Unit, value: Json) -> Plan:
    holder = next((goal for goal in plan.goals if any(step.id == unit.member for step in goal.steps)), None)
    if value is None and holder is not None:  # a step is never dropped: void is the only delete
        void = tuple(
            replace(step, status="entered_in_error") if step.id == unit.member else step for step in holder.steps
        )
        return _with_goal(plan, replace(holder, steps=void))
    if holder is not None and value == {"goal": holder.id}:
        return plan
    if value is None or holder is not None:
        raise CannotTake(unit)
    goal = plan.goal(value["goal"])
    number = 1 + max((step.n for step in goal.steps), default=0)
    return _with_goal(plan, replace(goal, steps=(*goal.steps, Step(id=unit.member, n=number))))


def _step_part(plan: Plan, unit: Unit, value: Json) -> Plan:
    part = unit.name.rpartition(".")[2]
    goal = next(goal for goal in (*plan.goals, None) if goal is None or any(s.id == unit.member for s in goal.steps))
    if goal is None:
        raise CannotTake(unit)
    parts = value if isinstance(value, dict) and "foreign" not in value else {}
    if part == "schedule" and "other" in parts:
        raise CannotTake(unit)  # a timing that our records can't say stays as it is there
    names = {"who": ("owner", "participant"), "schedule": ("frequency", "scheduled"), "status": ("status", "done_on")}
    fields = (
        {name: _typed(Step, name, parts.get(name)) for name in names[part]}
        if part in names
        else {part: _typed(Step, part, value)}
    )
    if fields.get("participant") == default_performer(plan, fields.get("owner")):
        fields.pop("participant", None)
    steps = tuple(replace(step, **fields) if step.id == unit.member else step for step in goal.steps)
    return _with_goal(plan, replace(goal, steps=steps))


def _intervention(plan: Plan, unit: Unit, value: Json) -> Plan:
    before = next((one for one in plan.interventions if one.id == unit.member), None)
    after = None
    if value is not None:
        names = ("modality", "technique", "by", "frequency", "goals", "code")
        parts = {name: _typed(Intervention, name, value.get(name, () if name == "goals" else None)) for name in names}
        after = replace(before, **parts) if before else Intervention(id=unit.member, **parts)
    kept = _with_member(plan.interventions, lambda one: one.id == unit.member, after)
    return replace(plan, interventions=kept)


_PLAN_UNITS: dict[str, Callable[[Plan, Unit, Json], Plan]] = {
    "title": _title,
    "plan_status": _plan_status,
    "parent_map": _parent,
    "relations": _relation,
    "steps": _steps,
    "step": _step_part,
    "intervention": _intervention,
}
