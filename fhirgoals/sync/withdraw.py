"""The body of a resource that was sent and may no longer be there: everything of ours is taken out (design 5.10).

Pure. What others wrote in it stays as it is, to the byte: it is their chart (`own` tells what that is). What FHIR asks
for is filled with a word that says nothing of the client.
"""

from __future__ import annotations

import msgspec

from fhirgoals.domain.units import Unit, Values
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers import careplan, goal
from fhirgoals.mappers.overlay import Push, overlay_goal
from fhirgoals.mappers.overlay_plan import overlay_care_plan
from fhirgoals.mappers.records import WireCarePlan, WireGoal
from fhirgoals.sync.reading import There
from fhirgoals.sync.sides import Key, Place, Retract

WITHDRAWN = "Withdrawn"
"""The description of a Goal whose words were taken back; FHIR R4 asks for one."""

_VOID = "entered_in_error"
_GOAL_STATUS = {"blank": "cancelled", "entered_in_error": _VOID}
_PLAN_STATUS = {"blank": "revoked", "entered_in_error": _VOID}


def withdrawn(
    key: Key,
    mode: Retract,
    there: There,
    taken: Values,
    agreed: Values,
    *,
    theirs: bool = False,
    with_text: bool = False,
) -> Resource:
    """Return the resource without what was sent in it: `taken` are the units of ours, each with what stands there then.

    `agreed` are the values agreed on. `theirs` keeps a resource that is not ours alive. `with_text` keeps its
    narrative, which is somebody else's. What was marked entered in error there stays so.
    """
    kind, local_id = key
    tree = there.found[key].tree
    void = there.theirs.place(*key) is Place.VOID
    status = {"Goal": _GOAL_STATUS, "CarePlan": _PLAN_STATUS}[kind].get(mode, _VOID)
    unit = Unit(local_id, {"Goal": "status", "CarePlan": "plan_status"}[kind])
    if not theirs and unit in taken:
        taken = taken | {unit: {"lifecycle" if kind == "Goal" else "status": _VOID if void else status}}
    if kind == "Goal":
        if not theirs and Unit(local_id, "text") in taken:
            taken = taken | {Unit(local_id, "text"): WITHDRAWN}
        blank = goal.GOAL.from_fhir(tree) if local_id not in there.goals else there.goals[local_id]
        body = goal.GOAL.to_fhir(_goal(local_id, blank, Push(taken, agreed), there), tree)
    else:
        left = {one: value for one, value in there.theirs.assembled.values.items() if one not in taken}
        merged = left | {one: value for one, value in taken.items() if value is not None}
        body = careplan.CAREPLAN.to_fhir(_plan(local_id, Push(taken, agreed), merged, there), tree)
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
