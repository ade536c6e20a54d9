"""Finds what others wrote in the activities that a call takes out of a CarePlan: it goes with them, and is kept here.

Pure. A nurse's entry on a step (`CarePlan.activity.progress`) is in no unit of ours: nothing else would know of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fhirgoals.domain.units import Json, Pair, Unit
from fhirgoals.fhir.exact_json import Resource, Tree, canonical
from fhirgoals.mappers.activity import ACTIVITIES, is_ours_to_read
from fhirgoals.sync.call import Call
from fhirgoals.sync.merge import Action, Seen, Verdict
from fhirgoals.sync.reading import There

BY_OTHERS = "written_by_others"
"""Why it is in the history, and the way of its row in the report."""


def taken_along(call: Call, there: There, bases: Mapping[Unit, Pair]) -> list[Verdict]:
    """Return what others wrote in each activity that goes with its step or intervention, by the member's unit.

    Of a resource that is deleted nothing is named here: all of it is kept.
    """
    if call.kind != "CarePlan" or call.before is None or call.way == "delete":
        return []
    listed = call.before.get("activity")
    elements = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    readable = [one for one in elements if is_ours_to_read(one)]
    found = []
    for member, element in zip(there.theirs.assembled.activities, readable, strict=False):
        for unit in (Unit(call.local_id, f"{head}:{member}") for head in ("steps", "intervention")):
            left = _beyond(element, _made(element)) if _goes(unit, call, there) else None
            if left is not None:
                found.append(Verdict(Seen(unit, bases.get(unit), None, left), Action.IGNORE, BY_OTHERS))
    return found


def told_of(call: Call, kept: Sequence[Verdict], left: int | None) -> list[dict[str, Json]]:
    """Return the report's row of what others wrote that went with what was taken back; none where nothing did."""
    units = sorted(one.seen.unit.name for one in kept if one.why == BY_OTHERS)
    if not units or not (call.unsays or call.takes_back):
        return []
    row = {"resource": call.kind, "id": call.local_id, "way": BY_OTHERS, "versions_left": left, "units": units}
    return [row]


def _goes(unit: Unit, call: Call, there: There) -> bool:
    """Tell whether a call takes a member out: it is gone here, or names no goal that has a resource there."""
    if unit not in call.units:
        return False
    value = call.units[unit].ours
    named = [] if value is None else [value.get("goal"), *value.get("goals", ())]
    return not any(goal in there.refs.goals for goal in named)


def _made(element: Resource) -> Resource:
    """Return the activity as we would make it of what we read in it."""
    tree: dict[str, Tree] = {}
    ACTIVITIES.write(tree, ACTIVITIES.read({"activity": [element]}))
    made = tree.get("activity")
    return made[0] if isinstance(made, list) and isinstance(made[0], dict) else {}


def _beyond(tree: Tree, made: Tree) -> Tree:
    """Return what of a tree is not in another one, in its place; `None` where all of it is."""
    if isinstance(tree, dict) and isinstance(made, dict):
        parts = {key: _beyond(part, made.get(key)) for key, part in tree.items()}
        return {key: part for key, part in parts.items() if part is not None} or None
    if isinstance(tree, list) and isinstance(made, list):
        known = {canonical(one) for one in made}
        return [one for one in tree if canonical(one) not in known] or None
    return None if tree is None or canonical(tree) == canonical(made) else tree
