"""Lays chosen merge units over a CarePlan's wire record: goal list, steps, interventions, people, status.

`merged` are the plan's units as they will stand at the EHR; which of them are pushed decides what is touched. Goals
and activities that we do not know keep their place behind ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from fhirgoals.domain.units import CONTRIBUTORS, Json, Unit, Values
from fhirgoals.fhir.terminology import SYSTEM_NAMES
from fhirgoals.mappers.assemble import Assembled
from fhirgoals.mappers.overlay import Push, labels, typed, with_reference
from fhirgoals.mappers.records import WireActivity, WireCarePlan, WireCode
from fhirgoals.mappers.refs import Refs

replace = msgspec.structs.replace

INTERVENTION_STATUS: Mapping[str, str] = {
    "active": "in_progress",
    "on_hold": "on_hold",
    "completed": "done",
    "revoked": "stopped",
    "entered_in_error": "entered_in_error",
}
"""An intervention has no status of its own: it goes as the plan goes (`fields.csv`, Wire.intervention_status)."""


def overlay_care_plan(
    plan_id: str, record: WireCarePlan, push: Push, merged: Values, there: Assembled, refs: Refs
) -> WireCarePlan:
    """Return the CarePlan's record with the pushed units of the plan laid over it."""
    place = _Place(plan_id, push, merged, there, refs)
    families = {unit.name.partition(":")[0] for unit in push.units if unit.owner == plan_id}
    for family, put in _PLAN:
        if family & families:
            record = put(place, record)
    return record


@dataclass(frozen=True)
class _Place:
    plan_id: str
    push: Push
    merged: Values
    there: Assembled
    refs: Refs

    def pushed(self, name: str) -> bool:
        return Unit(self.plan_id, name) in self.push.units

    def value(self, name: str) -> Json:
        return self.merged.get(Unit(self.plan_id, name))

    def agreed(self, name: str) -> Json:
        """Return our value when both sides last agreed on the unit."""
        return self.push.agreed.get(Unit(self.plan_id, name))

    def members(self, family: str) -> dict[str, Json]:
        """Return the pushed members of a keyed set with their values."""
        return {
            unit.member: value
            for unit, value in self.push.units.items()
            if unit.owner == self.plan_id and unit.name.partition(":")[0] == family and ":" in unit.name
        }


def _title(place: _Place, record: WireCarePlan) -> WireCarePlan:
    return replace(record, title=place.value("title"))


def _status(place: _Place, record: WireCarePlan) -> WireCarePlan:
    parts = place.value("plan_status") or {}
    record = replace(
        record,
        status=typed(WireCarePlan, "status", parts.get("status")),
        period_start=typed(WireCarePlan, "period_start", parts.get("start")),
        period_end=typed(WireCarePlan, "period_end", parts.get("end")),
    )
    status = _intervention_status(place)
    ours = {
        place.refs.element("intervention", unit.member) for unit in place.merged if unit.family == "intervention:<id>"
    }
    kept = tuple(
        replace(one, status=status) if one.id in ours or one.step_id in ours else one for one in record.activities
    )
    return replace(record, activities=kept)


def _intervention_status(place: _Place) -> Json:
    status = (place.value("plan_status") or {}).get("status")
    return INTERVENTION_STATUS.get(status, "in_progress") if isinstance(status, str) else "in_progress"


def _labels(place: _Place, record: WireCarePlan) -> WireCarePlan:
    agreed = place.agreed("labels") or []
    return replace(record, labels=labels(record.labels, place.value("labels") or [], agreed))


def _participants(place: _Place, record: WireCarePlan) -> WireCarePlan:
    wanted = place.value("participants") or []
    agreed = place.agreed("participants") or []
    contributors = record.contributors
    for participant in agreed:
        if participant not in wanted:
            contributors = with_reference(contributors, place.refs.person(participant), place.refs, False)
    for participant in sorted(wanted, key=lambda one: _rank(place.refs, one)):
        contributors = with_reference(contributors, place.refs.person(participant), place.refs, True)
    therapists = [one for one in wanted if place.refs.participants[one][1] == "primary_therapist"]
    author = place.refs.person(therapists[0]) if therapists else record.author
    return replace(record, contributors=contributors, author=author)


def _rank(refs: Refs, participant: str) -> tuple[int, str]:
    role = refs.participants[participant][1]
    return (CONTRIBUTORS.index(role) if role in CONTRIBUTORS else len(CONTRIBUTORS), participant)


def _problems(place: _Place, record: WireCarePlan) -> WireCarePlan:
    addresses = record.addresses
    for problem, value in place.members("problems").items():
        addresses = with_reference(addresses, place.refs.problems.get(problem), place.refs, value)
    return replace(record, addresses=addresses)


def _goals(place: _Place, record: WireCarePlan) -> WireCarePlan:
    goals = record.goals
    for goal, value in place.members("membership").items():
        goals = with_reference(goals, place.refs.goals.get(goal), place.refs, value)
    if place.pushed("order"):
        order = [goal for goal in place.value("order") or [] if goal in place.refs.goals]
        rank = {place.refs.goals[goal]: index for index, goal in enumerate(order)}
        goals = tuple(sorted(goals, key=lambda one: rank.get(place.refs.relative(one), len(rank))))
    return replace(record, goals=goals)


def _activities(place: _Place, record: WireCarePlan) -> WireCarePlan:
    """Rebuild the activities: pushed members changed in place, taken out or added; ours reordered where pushed."""
    names = list(place.there.activities)
    present = dict(zip(names, record.activities, strict=False))
    steps = place.members("steps")
    touched = {
        unit.member for unit in place.push.units if unit.owner == place.plan_id and unit.name.startswith("step:")
    }
    for step, value in steps.items():
        goal = None if value is None else value.get("goal")
        if not isinstance(goal, str) or goal not in place.refs.goals:
            present.pop(step, None)
            continue
        present[step] = _step(place, step, goal, present.get(step))
        if step not in names:
            names.append(step)
    # Where only parts of a step go, its place there is not in question: it has the goal that the EHR gave it, or none.
    for step in (touched - steps.keys()) & present.keys():
        present[step] = _parts(place, step, present[step])
    for name, value in place.members("intervention").items():
        if value is None or not any(goal in place.refs.goals for goal in value.get("goals", ())):
            present.pop(name, None)
            continue
        present[name] = _intervention(place, name, value, present.get(name))
        if name not in names:
            names.append(name)
    names = [name for name in names if name in present]
    if any(place.pushed(one.name) for one in place.push.units if one.name == "order" or one.name.startswith("order:")):
        rank = _ranks(place)
        names.sort(key=lambda name: rank.get(name, len(rank)))
    return replace(record, activities=tuple(present[name] for name in names))


def _ranks(place: _Place) -> dict[str, int]:
    order: list[str] = []
    for goal in place.value("order") or []:
        order.extend(place.value(f"order:{goal}") or [])
    order.extend(sorted(unit.member for unit in place.merged if unit.name.startswith("intervention:")))
    return {name: index for index, name in enumerate(order)}


def _step(place: _Place, step: str, goal: str, old: WireActivity | None) -> WireActivity:
    element = place.refs.element("step", step)
    record = old or WireActivity(id=element, step_id=element, role="step")
    goals = with_reference(_others(record.goals, place), place.refs.goals[goal], place.refs, True)
    return _parts(place, step, replace(record, goals=goals), every=True)


def _parts(place: _Place, step: str, record: WireActivity, *, every: bool = False) -> WireActivity:
    """Return a step's activity with its pushed parts laid over it, or with `every` one."""
    for part, put in _STEP.items():
        unit = f"step:{step}.{part}"
        if every or place.pushed(unit):
            record = put(place, record, place.value(unit), place.agreed(unit))
    return record


def _others(goals: Sequence[str], place: _Place) -> tuple[str, ...]:
    return tuple(one for one in goals if place.refs.goal(one) is None)


def _kind(_place: _Place, record: WireActivity, value: Json, _before: Json) -> WireActivity:
    return replace(record, code=typed(WireActivity, "code", value))


def _text(_place: _Place, record: WireActivity, value: Json, _before: Json) -> WireActivity:
    return replace(record, text=value)


def _who(place: _Place, record: WireActivity, value: Json, before: Json) -> WireActivity:
    parts, agreed = value or {}, before or {}
    return replace(
        record,
        owner=typed(WireActivity, "owner", parts.get("owner")),
        performers=_performers(place.refs, record, parts.get("participant"), agreed.get("participant")),
    )


def _performers(refs: Refs, record: WireActivity, participant: str | None, before: str | None) -> tuple[str, ...]:
    """Return who does it: ours first, in the place of the one that was read as ours or agreed on; any others stay."""
    read = next((one for one in record.performers if refs.participant(one)), None)
    if participant == (read and refs.participant(read)):
        return record.performers
    reference = refs.person(participant)
    theirs = [one for one in record.performers if one != read and refs.relative(one) != refs.person(before)]
    if reference is None:
        return tuple(theirs)
    first = next((one for one in theirs if refs.relative(one) == reference), reference)
    return (first, *(one for one in theirs if one != first))


def _schedule(_place: _Place, record: WireActivity, value: Json, _before: Json) -> WireActivity:
    parts = value or {}
    return replace(
        record,
        frequency=parts.get("frequency"),
        scheduled=typed(WireActivity, "scheduled", parts.get("scheduled")),
        schedule=typed(WireActivity, "schedule", parts.get("other")),
    )


def _done(_place: _Place, record: WireActivity, value: Json, _before: Json) -> WireActivity:
    parts = value or {}
    return replace(
        record,
        status=typed(WireActivity, "status", parts.get("status")),
        done_on=typed(WireActivity, "done_on", parts.get("done_on")),
    )


_STEP: Mapping[str, Callable[[_Place, WireActivity, Json, Json], WireActivity]] = {
    "kind": _kind,
    "who": _who,
    "text": _text,
    "schedule": _schedule,
    "status": _done,
}


def _intervention(place: _Place, name: str, value: Json, old: WireActivity | None) -> WireActivity:
    element = place.refs.element("intervention", name)
    record = old or WireActivity(id=element, step_id=element, role="intervention")
    code = value.get("code")
    goals = [place.refs.goals[goal] for goal in value.get("goals", ()) if goal in place.refs.goals]
    return replace(
        record,
        code=typed(WireActivity, "code", value.get("modality")),
        coding=code and WireCode(system=SYSTEM_NAMES.get(code["system"], code["system"]), code=code["code"]),
        text=value.get("technique"),
        frequency=value.get("frequency"),
        performers=_performers(
            place.refs, record, value.get("by"), (place.agreed(f"intervention:{name}") or {}).get("by")
        ),
        goals=(*goals, *_others(record.goals, place)),
        status=_intervention_status(place),
    )


_PLAN: Sequence[tuple[frozenset[str], Callable[[_Place, WireCarePlan], WireCarePlan]]] = (
    (frozenset({"title"}), _title),
    (frozenset({"participants"}), _participants),
    (frozenset({"problems"}), _problems),
    (frozenset({"membership", "order"}), _goals),
    (frozenset({"steps", "step", "intervention", "order"}), _activities),
    (frozenset({"plan_status"}), _status),
    (frozenset({"labels"}), _labels),
)
"""The families of plan units and what lays them over; activities stand before the status that theirs follows."""
