"""The body of a resource that was sent and may no longer be there: everything of ours is taken out (design 5.10).

Pure. What others wrote in it stays as it is, to the byte: it is their chart. What FHIR asks for is filled with a word
that says nothing of the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from fhirgoals.domain.units import Json, Pair, Unit, Values
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers import careplan, goal
from fhirgoals.mappers.overlay import Push, overlay_goal
from fhirgoals.mappers.overlay_plan import overlay_care_plan
from fhirgoals.mappers.records import WireCarePlan, WireGoal
from fhirgoals.sync.decide import Kind, Place
from fhirgoals.sync.reading import There

WITHDRAWN = "Withdrawn"
"""The description of a Goal whose words were taken back; FHIR R4 asks for one."""

WITHDRAWN_REV = -1
"""The revision of a pair after taking back: what is shared again later is newer than it, and goes out anew."""

_VOID = "entered_in_error"
_GOAL_STATUS = {"blank": "cancelled", "entered_in_error": _VOID}
_PLAN_STATUS = {"blank": "revoked", "entered_in_error": _VOID}


def withdrawn(
    key: tuple[Kind, str],
    mode: Literal["leave", "blank", "entered_in_error", "delete"],
    there: There,
    pairs: Mapping[Unit, Pair],
    *,
    with_text: bool = False,
) -> Resource:
    """Return the resource without what was sent in it; `pairs` are the units that it carried.

    `with_text` keeps its narrative, which is somebody else's.
    What was marked entered in error there stays so.
    """
    kind, local_id = key
    tree = there.found[key].tree
    void = there.theirs.place(*key) is Place.VOID
    agreed = {unit: pair.ours if pair.ours is not None else pair.theirs for unit, pair in pairs.items()}
    taken: dict[Unit, Json] = dict.fromkeys(pairs)
    if kind == "Goal":
        taken |= {
            Unit(local_id, "text"): WITHDRAWN,
            Unit(local_id, "status"): {"lifecycle": _VOID if void else _GOAL_STATUS[mode]},
        }
        blank = goal.GOAL.from_fhir(tree) if local_id not in there.goals else there.goals[local_id]
        body = goal.GOAL.to_fhir(_goal(local_id, blank, Push(taken, agreed), there), tree)
    else:
        status: Values = {Unit(local_id, "plan_status"): {"status": _VOID if void else _PLAN_STATUS[mode]}}
        body = careplan.CAREPLAN.to_fhir(_plan(local_id, Push(taken | status, agreed), status, there), tree)
    return {name: part for name, part in body.items() if with_text or name != "text"}


def _goal(local_id: str, record: WireGoal, push: Push, there: There) -> WireGoal:
    return overlay_goal(local_id, record, push, there.theirs.assembled, there.refs)


def _plan(plan_id: str, push: Push, merged: Values, there: There) -> WireCarePlan:
    record = overlay_care_plan(
        plan_id, there.care_plan or WireCarePlan(), push, merged, there.theirs.assembled, there.refs
    )
    ours = Unit(plan_id, "participants") in push.units
    return msgspec.structs.replace(record, author=None) if ours else record


def references_in(tree: Tree) -> set[str]:
    """Return every relative reference in a resource."""
    found: set[str] = set()
    if isinstance(tree, dict):
        reference = tree.get("reference")
        if isinstance(reference, str):
            found.add("/".join(reference.partition("/_history/")[0].rsplit("/", 2)[-2:]))
        for part in tree.values():
            found |= references_in(part)
    elif isinstance(tree, list):
        for part in tree:
            found |= references_in(part)
    return found
