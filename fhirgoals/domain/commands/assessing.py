"""Keeps a goal's SMART letters with the goal whenever it takes a step towards work: drafted, proposed, agreed, begun.

They are computed, with the version of the rules that gave them; what a file says of them is not taken. The wordings of
other clients' goals are not known here, so that hint is `show`'s alone.
"""

from __future__ import annotations

from datetime import date

import msgspec

from fhirgoals.domain import instruments, smart_limits
from fhirgoals.domain.records import Goal, Plan
from fhirgoals.domain.smart import assess, result_of

TOWARDS_WORK = frozenset({"draft", "proposed", "accepted", "planned", "active"})


def assessed(before: Plan, after: Plan, today: date) -> Plan:
    """Return the plan with fresh letters for every goal that is new or came to a state before or of work today."""
    was = {goal.id: goal for goal in before.goals}
    goals = tuple(_kept(was.get(goal.id), goal, after, today) for goal in after.goals)
    return msgspec.structs.replace(after, goals=goals)


def _kept(before: Goal | None, goal: Goal, plan: Plan, today: date) -> Goal:
    moved = before is None or before.lifecycle != goal.lifecycle
    if moved and isinstance(goal.lifecycle, str) and goal.lifecycle in TOWARDS_WORK:
        found = assess(plan, goal.id, today, smart_limits.standard(), instruments.standard())
        return msgspec.structs.replace(goal, smart=result_of(found))
    smart = None if before is None else before.smart
    return goal if goal.smart == smart else msgspec.structs.replace(goal, smart=smart)
