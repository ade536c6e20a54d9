"""Leaves out of a plan's units what names a goal that has no resource there: it goes once the goal does.

Pure; part of `decide` and of `calls`. What was left out is agreed on by nobody, so that it counts as ours and new.
"""

from __future__ import annotations

from collections.abc import Collection

from fhirgoals.domain.units import Json, Unit, Values


def nameable(
    plan_id: str, values: Values, goals: Collection[str], known: Collection[Unit] = frozenset()
) -> dict[Unit, Json]:
    """Return the units with only what can be said where just `goals` have a resource.

    A step goes with its goal, parts and all, unless it is `known` there or was once; an order and an intervention name
    the goals that are there.
    """
    found: dict[Unit, Json] = {}
    for unit, value in values.items():
        if unit.owner != plan_id or value is None:
            found[unit] = value
        elif (left := _left(unit, value, goals, values)) is not None:
            found[unit] = left
        elif unit in known:
            found[unit] = value
    return found


def _left(unit: Unit, value: Json, goals: Collection[str], values: Values) -> Json:
    if unit.name == "order" and isinstance(value, list):
        return [goal for goal in value if goal in goals] or None
    match unit.family:
        case "membership" | "order":
            return value if unit.member in goals else None
        case "steps":
            return value if _goal_of(value) in goals else None
        case "intervention:<id>" if isinstance(value, dict) and value.get("goals"):
            named = [goal for goal in value["goals"] if goal in goals]
            return {**value, "goals": named} if named else None
        case family if family.startswith("step:<id>."):
            whole = values.get(Unit(unit.owner, f"steps:{unit.member}"))
            return value if whole is None or _goal_of(whole) in goals else None
        case _:
            return value


def _goal_of(step: Json) -> Json:
    return step.get("goal") if isinstance(step, dict) else None


def is_shown(unit: Unit, plan_id: str, goals: Collection[str]) -> bool:
    """Tell whether the goals that a unit is about may be seen; else it is taken back, wherever its value came from."""
    ends = unit.member.split("|") if unit.family in ("parent_map", "relations") else []
    return unit.owner in (plan_id, *goals) and {*ends[:1], *ends[2:]} <= {*goals}
