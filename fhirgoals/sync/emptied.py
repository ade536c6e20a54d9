"""Knows a linked resource that stands as a taking back of ours leaves it, of which our record remembers nothing.

So it is after the store was restored from a backup of before (design 5.13), whatever was withheld since is shared again
in that record. Our own word is no edit of the EHR: nothing of such a resource is taken over. Nothing is sent there
either, for somebody wanted it taken back: a person is asked. Once it is withheld here too, the taking back is known
again, and what is shared after that goes out anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from fhirgoals.domain.units import Json, Pair, Unit
from fhirgoals.mappers.records import WireCarePlan, WireGoal
from fhirgoals.sync.decide import Waiting
from fhirgoals.sync.own import WITHDRAWN_REV
from fhirgoals.sync.reading import There
from fhirgoals.sync.sides import Ours, Theirs, carriers
from fhirgoals.sync.view import Key, View
from fhirgoals.sync.withdraw import WITHDRAWN

STANDS_EMPTIED = "stands_as_taken_back"
"""Why a resource waits: it was taken back there, and our record says that it may be there."""

_HELD = "resource_stands_as_taken_back"
"""Why its units are held: one item stands for all of them."""


def emptied(view: View, there: There) -> frozenset[Key]:
    """Return the resources that stand as a taking back leaves them, and were last agreed on as something else."""
    found: set[Key] = {
        ("Goal", goal_id)
        for goal_id, record in there.goals.items()
        if _is_emptied(record) and _agreed(view, goal_id, "text") not in (None, WITHDRAWN)
    }
    plan_id = view.plan.id
    if there.care_plan is not None and _is_emptied(there.care_plan) and _agreed(view, plan_id, "title") is not None:
        found.add(("CarePlan", plan_id))
    return frozenset(key for key in found if key in there.found)


def unasked(view: View, there: There, ours: Ours) -> dict[Unit, Pair]:
    """Return the pairs of what stands so and may not be there, as the taking back would have left them."""
    back = emptied(view, there) - _shown(ours)
    values = there.theirs.assembled.values
    return {
        unit: Pair(None, values.get(unit), WITHDRAWN_REV)
        for unit, pair in view.bases.items()
        if back and not view.leaving and back.issuperset(carriers(ours.plan_id, unit, pair.ours, pair.theirs))
    }


def with_emptied(view: View, there: There, ours: Ours) -> Theirs:
    """Return the EHR's side with everything held that stands on such a resource, or names it."""
    keys = emptied(view, there) & _shown(ours)
    theirs = there.theirs
    if not keys:
        return theirs
    goals = {local_id for kind, local_id in keys if kind == "Goal"}
    names = goals | {step.id for goal in view.plan.goals if goal.id in goals for step in goal.steps}
    values = theirs.assembled.values
    held = dict(theirs.assembled.held)
    for unit in {*values, *view.bases, *ours.visible}:
        pair = view.bases.get(unit)
        said = (values.get(unit), ours.visible.get(unit), *((pair.ours, pair.theirs) if pair else ()))
        named = {*unit.member.split("|"), *(word for value in said for word in _words(value))}
        of_the_plan = unit.owner == ours.plan_id
        if keys & {*carriers(ours.plan_id, unit, *said)} or (of_the_plan and names & named):
            held[unit] = _HELD
    return replace(theirs, assembled=replace(theirs.assembled, held=held))


def asked(view: View, there: There, ours: Ours) -> list[Waiting]:
    """Return an item for each resource that stands so and may be there."""
    keys = emptied(view, there) & _shown(ours)
    return [Waiting("held", local_id, kind, STANDS_EMPTIED) for kind, local_id in sorted(keys)]


def _is_emptied(record: WireGoal | WireCarePlan) -> bool:
    if isinstance(record, WireGoal):
        return record.text == WITHDRAWN and record.lifecycle == "cancelled"
    return record.status == "revoked" and record.title is None and not record.goals


def _agreed(view: View, owner: str, name: str) -> Json:
    pair = view.bases.get(Unit(owner, name))
    return None if pair is None else pair.theirs


def _shown(ours: Ours) -> frozenset[Key]:
    shown: set[Key] = {("Goal", goal) for goal in ours.goals}
    return frozenset({*shown, ("CarePlan", ours.plan_id)} if shown else shown)


def _words(value: Json) -> Iterator[str]:
    """Return every text in a value: a goal is named by its id alone."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Collection):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _words(part)
