"""The plan in words, as it will stand at the EHR: what the CarePlan's narrative shows."""

from __future__ import annotations

from fhirgoals.domain.units import Json, Unit, Values
from fhirgoals.mappers.narrative import Line, Outline
from fhirgoals.mappers.refs import Refs


def outline_there(plan_id: str, merged: Values, refs: Refs) -> tuple[str | None, tuple[Outline, ...]]:
    """Return the title and the goals, nested and in order, with their steps.

    Only goals that are listed and named there are shown; `merged` are the units as they will stand at the EHR.
    """

    def value(owner: str, name: str) -> Json:
        return merged.get(Unit(owner, name))

    listed = [goal for goal in value(plan_id, "order") or [] if goal in refs.goals]
    members = [goal for goal in listed if value(plan_id, f"membership:{goal}")]
    parent = {goal: (value(plan_id, f"parent_map:{goal}") or [None])[0] for goal in members}

    def words(status: Json) -> str:
        return status.replace("_", " ") if isinstance(status, str) else ""

    def steps(goal: str) -> tuple[Line, ...]:
        found = []
        for step in value(plan_id, f"order:{goal}") or []:
            text, status = value(plan_id, f"step:{step}.text"), value(plan_id, f"step:{step}.status") or {}
            if isinstance(text, str) and value(plan_id, f"steps:{step}"):
                found.append(Line(text=text, status=words(status.get("status"))))
        return tuple(found)

    def entry(goal: str, above: frozenset[str]) -> Outline:
        text, status = value(goal, "text"), value(goal, "status") or {}
        below = [one for one in members if parent[one] == goal and one not in above]
        return Outline(
            heading=text if isinstance(text, str) else "",
            status=words(status.get("lifecycle")),
            steps=steps(goal),
            children=tuple(entry(one, above | {one}) for one in below),
        )

    roots = [goal for goal in members if parent[goal] not in members]
    title = value(plan_id, "title")
    return title if isinstance(title, str) else None, tuple(entry(goal, frozenset({goal})) for goal in roots)
