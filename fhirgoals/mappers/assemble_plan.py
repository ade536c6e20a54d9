"""The CarePlan's half of `assemble`: title, status, people, goal list, steps and interventions as merge units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fhirgoals.domain.records import Foreign
from fhirgoals.domain.units import Json, Unit, plain
from fhirgoals.fhir.terminology import SYSTEM_SHORT
from fhirgoals.mappers.assembly import Assembly, by_beginning, given, labels_of, minted
from fhirgoals.mappers.records import WireActivity, WireCarePlan
from fhirgoals.mappers.refs import Refs


def care_plan_units(assembly: Assembly, plan_id: str, record: WireCarePlan) -> tuple[str, ...]:
    """Keep the CarePlan's units; return our ids of its activities, in the order of the record."""
    refs = assembly.refs
    assembly.put_text(plan_id, "title", record.title)
    status = given(status=record.status, start=record.period_start, end=record.period_end)
    assembly.put(plan_id, "plan_status", status)
    assembly.put(plan_id, "labels", labels_of((label.system, label.code) for label in record.labels))
    people = [refs.participant(reference) for reference in record.contributors]
    if isinstance(record.author, str):
        people.append(refs.participant(record.author))
    assembly.put(plan_id, "participants", sorted({one for one in people if one is not None}))
    for reference in record.addresses:
        if problem := refs.problem(reference):
            assembly.put(plan_id, f"problems:{problem}", True)
    members = [goal for reference in record.goals if (goal := refs.goal(reference))]
    assembly.put(plan_id, "order", list(dict.fromkeys(members)))
    for goal in members:
        assembly.put(plan_id, f"membership:{goal}", True)
    return _activities(assembly, plan_id, record.activities)


def _activities(assembly: Assembly, plan_id: str, activities: Sequence[WireActivity]) -> tuple[str, ...]:
    """Align the activities and keep them as steps and interventions; return our ids in the order of the record."""
    refs = assembly.refs
    names = {
        refs.element(kind, member): (kind, member) for kind in ("step", "intervention") for member in assembly.ids[kind]
    }
    seen = {"step": _step_texts(assembly, plan_id), "intervention": _techniques(assembly, plan_id)}
    texts = {activity.text for activity in activities if isinstance(activity.text, str)}
    cut = {kind: {one: text for one, text in known.items() if text not in texts} for kind, known in seen.items()}
    result: list[str] = []
    steps_of: dict[str, list[str]] = {}
    for index, activity in enumerate(activities):
        kind, member = names.get(activity.id or "") or names.get(activity.step_id or "") or (activity.role, "")
        if not member:
            minted_id = minted(kind, activity.id or plain(activity))
            by_text = _by_text(activity, seen[kind], result) or by_beginning(activity.text, cut[kind], result)
            member = minted_id if minted_id in seen[kind] else by_text or minted_id
        while member in result:
            member = minted(kind, member, index)
        result.append(member)
        goals = [goal for reference in activity.goals if (goal := refs.goal(reference))]
        if kind == "intervention":
            assembly.put(plan_id, f"intervention:{member}", intervention_value(activity, goals, refs))
            continue
        goal = goals[0] if goals else None
        assembly.values[Unit(plan_id, f"steps:{member}")] = given(goal=goal)
        if goal:
            steps_of.setdefault(goal, []).append(member)
        for part, value in step_values(activity, refs).items():
            assembly.put(plan_id, f"step:{member}.{part}", value)
        if isinstance(activity.text, Foreign):
            assembly.held[Unit(plan_id, f"step:{member}.text")] = "wrong_type"
    for goal, steps in steps_of.items():
        assembly.put(plan_id, f"order:{goal}", steps)
    return tuple(result)


def _step_texts(assembly: Assembly, plan_id: str) -> dict[str, Json]:
    return {
        unit.member: assembly.known.get(Unit(plan_id, f"step:{unit.member}.text"))
        for unit in assembly.known
        if unit.owner == plan_id and unit.name.startswith("steps:")
    }


def _techniques(assembly: Assembly, plan_id: str) -> dict[str, Json]:
    return {
        unit.member: value.get("technique")
        for unit, value in assembly.known.items()
        if unit.owner == plan_id and unit.name.startswith("intervention:")
    }


def _by_text(activity: WireActivity, seen: Mapping[str, Json], taken: Sequence[str]) -> str | None:
    """Return the one member last seen with this activity's text, where ids and extensions were dropped."""
    if not isinstance(activity.text, str):
        return None
    found = [member for member, text in seen.items() if text == activity.text and member not in taken]
    return found[0] if len(found) == 1 else None


def step_values(activity: WireActivity, refs: Refs) -> dict[str, Json]:
    """Return the parts of a step (`kind`, `who`, `text`, `schedule`, `status`) as unit values."""
    performers = [one for reference in activity.performers if (one := refs.participant(reference))]
    return {
        "kind": plain(activity.code),
        "who": given(owner=activity.owner, participant=performers[0] if performers else None),
        "text": plain(activity.text),
        "schedule": given(frequency=activity.frequency, scheduled=activity.scheduled, other=activity.schedule),
        "status": given(status=activity.status, done_on=activity.done_on),
    }


def intervention_value(activity: WireActivity, goals: Sequence[str], refs: Refs) -> Json:
    """Return an intervention's unit value, in the terms of `domain.units`."""
    performers = [one for reference in activity.performers if (one := refs.participant(reference))]
    coding = activity.coding
    return given(
        modality=activity.code,
        technique=activity.text,
        by=performers[0] if performers else None,
        frequency=activity.frequency,
        goals=sorted(goals),
        code=coding and {"system": SYSTEM_SHORT.get(coding.system, coding.system), "code": coding.code},
    )
