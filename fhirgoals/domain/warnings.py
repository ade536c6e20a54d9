"""Warnings about time: the invariants 5, 20 and 22 (domain reference 3), which only warn and never reject.

They speak of how goals and reviews follow each other, so they need the day; the others are in `invariants`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from fhirgoals.domain.invariants import Finding
from fhirgoals.domain.records import Goal, Plan
from fhirgoals.domain.reviews import late

_GIVEN_UP = frozenset({"cancelled", "declined", "entered_in_error"})
_NOT_BEGUN = _GIVEN_UP | {"draft", "proposed"}


@dataclass(frozen=True, slots=True)
class TimeWarning(Finding):
    """A finding that only warns; `days` is given where it is about a delay, `predecessor` where about another goal."""

    days: int | None = None
    predecessor: str | None = None


def time_warnings(plan: Plan, as_of: date) -> tuple[TimeWarning, ...]:
    """Return the warnings on a day: by goal and then by review, in the plan's order.

    Goals that were given up or entered in error get none.
    """
    goals = {goal.id: goal for goal in plan.goals}
    found: list[TimeWarning] = []
    for at, goal in enumerate(plan.goals):
        if goal.lifecycle in _GIVEN_UP:
            continue
        path = f"goals[{at}]"
        found += _beside_parent(goals, goal, path)
        found += _achieved_late(goal, path)
        found += _before_predecessors(goals, goal, path, as_of)
    for at, review in enumerate(plan.reviews):
        days = late(review)
        if days is not None and review.date <= as_of:
            sentence = "This review was held after the day it was due."
            found.append(
                TimeWarning("review_late", 5, "warn", f"reviews[{at}].date", review.id, sentence, days=days.days)
            )
    return tuple(found)


def _beside_parent(goals: Mapping[str, Goal], goal: Goal, path: str) -> Iterator[TimeWarning]:
    parent = goals.get(goal.parent or "")
    if parent is None or goal.horizon != "short_term" or parent.lifecycle == "entered_in_error":
        return
    for code, place, days, sentence in (
        (
            "outlives_parent",
            "target_date",
            _days(parent.target_date, goal.target_date),
            "This short-term goal ends after the long-term goal that it belongs to.",
        ),
        (
            "starts_before_parent",
            "start_date",
            _days(goal.start_date, parent.start_date),
            "This short-term goal starts before the long-term goal that it belongs to.",
        ),
    ):
        if days is not None:
            yield TimeWarning(code, 5, "warn", f"{path}.{place}", goal.id, sentence, days=days)
    if goal.lifecycle == "active" and parent.lifecycle != "active":
        sentence = "This goal is active, but the long-term goal that it belongs to is not."
        yield TimeWarning("active_under_inactive_parent", 20, "warn", f"{path}.lifecycle", goal.id, sentence)


def _achieved_late(goal: Goal, path: str) -> Iterator[TimeWarning]:
    if goal.lifecycle != "completed" or goal.achievement not in ("achieved", "sustaining"):
        return
    days = _days(goal.target_date, goal.status_date)
    if days is not None:
        sentence = "This goal was achieved after its target date."
        yield TimeWarning("achieved_late", 5, "warn", f"{path}.status_date", goal.id, sentence, days=days)


def _before_predecessors(goals: Mapping[str, Goal], goal: Goal, path: str, as_of: date) -> Iterator[TimeWarning]:
    """Yield a warning for each stepping stone that was not completed when this goal started.

    A start that is still to come warns of nothing, and a stepping stone that was given up is not waited for.
    """
    if goal.lifecycle in _NOT_BEGUN or not isinstance(goal.start_date, date) or goal.start_date > as_of:
        return
    for at, name in enumerate(goal.predecessors):
        stone = goals.get(name)
        if stone is None or stone.lifecycle in _GIVEN_UP:
            continue
        if stone.lifecycle == "completed" and _days(goal.start_date, stone.status_date) is None:
            continue
        yield TimeWarning(
            "starts_before_predecessor_completed",
            22,
            "warn",
            f"{path}.predecessors[{at}]",
            goal.id,
            "This goal started before the goal that leads to it was completed.",
            predecessor=name,
        )


def _days(first: object, then: object) -> int | None:
    """Return by how many days the second date is later; `None` where it is not, or where one is no date."""
    if not isinstance(first, date) or not isinstance(then, date) or then <= first:
        return None
    return (then - first).days
