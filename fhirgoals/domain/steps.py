"""Steps done per owner, the next step of each goal, and exposure ladders (domain reference 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import get_args

from fhirgoals.domain import codes
from fhirgoals.domain.records import Goal, Plan, Step

UNCOUNTED: frozenset[str] = frozenset({"draft", "proposed", "cancelled", "declined", "entered_in_error"})
"""Lifecycles of goals that count in no figure: not agreed on, or given up."""

_OPEN = frozenset({"planned", "scheduled", "in_progress"})
_STARTED = frozenset({"in_progress", "done"})
_GONE = frozenset({"stopped", "entered_in_error"})


@dataclass(frozen=True, slots=True)
class StepCount:
    """Steps done, of those that count: all but stopped and entered in error. `total` may be 0."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Ladder:
    """An exposure ladder: rungs done of all that count, rungs begun before the one below was done or skipped, and
    for each rung with a trial by that day whether distress fell by half in the last one (end <= peak / 2)."""

    goal: str
    done: int
    total: int
    order_violations: tuple[str, ...]
    last_halved: Mapping[str, bool]


def count(steps: tuple[Step, ...]) -> StepCount:
    """Return how many steps are done, of all but stopped ones and those entered in error."""
    counted = [step for step in steps if step.status not in _GONE]
    return StepCount(sum(step.status == "done" for step in counted), len(counted))


def steps_done(plan: Plan) -> dict[codes.StepOwner, StepCount]:
    """Return the steps done per owner (adherence), of goals that are neither given up nor yet to be agreed on.

    Owners without a step that counts are left out; so are steps whose owner is not known.
    """
    counted = [step for goal in plan.goals if goal.lifecycle not in UNCOUNTED for step in goal.steps]
    owners: tuple[codes.StepOwner, ...] = get_args(codes.StepOwner)
    found = {owner: count(tuple(step for step in counted if step.owner == owner)) for owner in owners}
    return {owner: each for owner, each in found.items() if each.total}


def next_steps(plan: Plan) -> dict[str, str]:
    """Return by goal id the next step of each active goal: the first that is planned, scheduled or in progress."""
    found: dict[str, str] = {}
    for goal in plan.goals:
        if goal.lifecycle == "active":
            coming = [step for step in _in_order(goal) if step.status in _OPEN]
            if coming:
                found[goal.id] = coming[0].id
    return found


def ladders(plan: Plan, as_of: date) -> tuple[Ladder, ...]:
    """Return every exposure ladder of a goal that was not entered in error; trials after `as_of` don't count."""
    return tuple(
        _ladder(goal, as_of) for goal in plan.goals if goal.exposure_hierarchy and goal.lifecycle != "entered_in_error"
    )


def _ladder(goal: Goal, as_of: date) -> Ladder:
    rungs = [step for step in _in_order(goal) if step.status != "entered_in_error"]
    numbers = count(goal.steps)
    halved: dict[str, bool] = {}
    for rung in rungs:
        trials = [each for each in rung.trials if each.date <= as_of]
        if trials:
            last = max(trials, key=lambda each: (each.date, each.end * 2 - each.peak, each.end))
            halved[rung.id] = last.end * 2 <= last.peak
    early = tuple(rung.id for below, rung in pairwise(rungs) if _begun_early(below, rung, as_of))
    return Ladder(goal.id, numbers.done, numbers.total, early, halved)


def _begun_early(below: Step, rung: Step, as_of: date) -> bool:
    """Say if a rung was begun before the one below it was done or skipped. Therapists do jump: it only warns."""
    tried = [each.date for each in rung.trials if each.date <= as_of]
    if not tried and rung.status not in _STARTED:
        return False
    if below.status == "skipped":
        return False
    if below.status != "done":
        return True
    begun = min(tried, default=rung.done_on)
    return isinstance(begun, date) and isinstance(below.done_on, date) and begun < below.done_on


def _in_order(goal: Goal) -> list[Step]:
    return sorted(goal.steps, key=lambda step: step.n)
