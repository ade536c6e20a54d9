"""Status: done and its day (7), closed and its reason (8), status and achievement (4), goals of an ended plan (19)."""

from __future__ import annotations

from collections.abc import Iterator

from fhirgoals.domain.invariants.finding import Finding, of_goal
from fhirgoals.domain.lifecycle import OPEN, status_conflicts
from fhirgoals.domain.records import Goal, Plan

_NEED_A_REASON = frozenset({"cancelled", "declined", "on_hold"})


def goal_status(goal: Goal, path: str) -> Iterator[Finding]:
    """Yield what is missing from, or does not fit, the status of a goal and of its steps."""
    for index, step in enumerate(goal.steps):
        if step.status == "entered_in_error":
            continue
        place = f"{path}.steps[{index}].done_on"
        if step.status == "done" and step.done_on is None:
            yield of_goal(goal, "done_without_day", 7, place, "A step that is done needs the day it was done on.")
        elif step.done_on is not None and isinstance(step.status, str) and step.status != "done":
            yield of_goal(goal, "day_without_done", 7, place, "Only a step that is done has a day it was done on.")
    if goal.lifecycle == "completed":
        for field in ("closure_reason", "status_date"):
            if getattr(goal, field) is None:
                what = field.replace("_", " ")
                yield of_goal(
                    goal, f"completed_without_{field}", 8, f"{path}.{field}", f"A completed goal needs a {what}."
                )
    if goal.lifecycle in _NEED_A_REASON and goal.closure_reason is None and not (goal.status_reason or "").strip():
        sentence = "A goal that is cancelled, declined or on hold needs a reason."
        yield of_goal(goal, "status_without_reason", 8, f"{path}.status_reason", sentence)
    for field, sentence in status_conflicts(goal):
        yield of_goal(goal, "status_conflict", 8, f"{path}.{field}", sentence)


def ended_plan(plan: Plan) -> Iterator[Finding]:
    """Yield the goals that are still open though their plan has ended."""
    if plan.status not in ("completed", "revoked"):
        return
    for index, goal in enumerate(plan.goals):
        if goal.lifecycle in OPEN:
            yield of_goal(
                goal,
                "open_goal_in_ended_plan",
                19,
                f"goals[{index}].lifecycle",
                "A plan that has ended has no goal that is still active, planned or on hold: close it first.",
            )
