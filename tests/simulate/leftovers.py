"""What is left of a withheld goal at an EHR although nobody is told: its words, or references to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.simulate import sides
from tests.simulate.evidence import Evidence
from tests.simulate.log import PLAN, first_word

_ID = re.compile(r"g-\w+")


def left_standing(case: Evidence, name: str) -> Iterator[str]:
    """Yield a line for each word of a withheld goal, or reference to it, that is still there though nobody is told."""
    hidden = {goal for goal in case.log.withheld if goal not in case.log.void}
    if not hidden or name in case.log.refused or "all" in case.lost_there or case.stopped(name):
        return
    local = {id_: own for (where, id_), own in case.log.resources.items() if where == name}
    asked = {item.owner for item in case.waiting if item.connection == name and item.whole}
    # An item comes first where the EHR changed a reference to it meanwhile (design 5.10).
    units = set(
        _ID.findall(
            " ".join(f"{item.owner} {item.unit} {item.text}" for item in case.waiting if item.connection == name)
        )
    )
    # What the EHR refuses to have written stays as it is, and an item says so of the resource that it refuses.
    refused = {one.owner for one in case.waiting if one.connection == name and one.why == "refused" and one.whole}
    storage = case.world.boxes[name].storage
    for id_, body in sides.bodies(storage, "CarePlan").items():
        if id_ in local and PLAN not in asked:
            for goal in sorted(hidden - units):
                resources = {resource for resource, own in local.items() if own == goal}
                yield from _left_in_plan(case, name, goal, resources, body)
    for id_, body in sides.bodies(storage, "Goal").items():
        own = local.get(id_)
        if own is None or own in case.log.void:
            continue
        for _, target in sides.relations(body):
            other = local.get(target)
            named = {own, other} & hidden
            told = named & (asked | units) or own in refused
            if named and other is not None and not told and not _drawn_there(case, name, own, other):
                yield f"leak: {own} and {other} still refer to each other at {name}"
        if own in hidden and case.world.retract != "leave" and own not in asked | units:
            text = json.dumps(body, default=str)
            words = [word for word in sorted(case.log.words.get(own, ())) if word in text]
            if words:
                yield f"leak: {own} at {name} still says {words[0]}"


def _left_in_plan(case: Evidence, name: str, goal: str, resources: set[str], plan: dict[str, Any]) -> list[str]:
    found = []
    activities = [one for one in plan.get("activity", ()) if not _is_their_own(case, name, one)]
    text = json.dumps({**plan, "activity": activities}, default=str)
    if any(f"Goal/{resource}" in text for resource in resources):
        found.append(f"leak: the CarePlan at {name} still refers to {goal}")
    narrative = str(plan.get("text", {}).get("div"))
    words = [word for word in sorted(case.log.words.get(goal, ())) if word in narrative]
    if words:
        found.append(f"leak: the narrative at {name} still says {words[0]} of {goal}")
    return found


def _is_their_own(case: Evidence, name: str, activity: dict[str, Any]) -> bool:
    """Tell whether a step never came into our record, or somebody at that EHR made it: what it refers to is their
    chart, as its edges are."""
    step = case.log.steps.get(first_word(activity.get("detail", {}).get("description")), "")
    if not step.startswith("there-") or step not in sides.by_words(case.plan, case.log):
        return step.startswith("there-")
    made = next((edit for edit in case.log.edits if edit.key[1] == f"step {step}"), None)
    return made is not None and made.side == name


def _drawn_there(case: Evidence, name: str, one: str, other: str) -> bool:
    """Tell whether somebody at that EHR drew an edge between two goals: that is their chart."""
    ways = {(one, f"after {other}"), (other, f"after {one}")}
    moves = {((one, "parent"), other), ((other, "parent"), one)}
    return any(edit.side == name and (edit.key in ways or (edit.key, edit.value) in moves) for edit in case.log.edits)
