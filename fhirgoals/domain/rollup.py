"""A goal's own figure, and a parent's roll-up of its children's (domain reference 6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias

from fhirgoals.domain.attainment import latest_level, own_rater
from fhirgoals.domain.instruments import Catalogue, PriorityWeight
from fhirgoals.domain.readings import rounded
from fhirgoals.domain.records import Goal, Plan
from fhirgoals.domain.steps import UNCOUNTED, count
from fhirgoals.domain.targets import exact_percent

Source: TypeAlias = Literal["targets", "attainment", "steps"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A goal's own figure, a share from 0 to 1 with three decimals, and what it is made of; `None` = nothing counts."""

    goal: str
    share: Decimal | None
    source: Source | None


@dataclass(frozen=True, slots=True)
class RollUp:
    """A parent's figure: the priority-weighted mean of its children's, from 0 to 1, three decimals, half up.

    The coverage is `covered` children with a figure of `children` that count; `value` is `None` where none has one.
    """

    goal: str
    value: Decimal | None
    covered: int
    children: int


def figures(plan: Plan, as_of: date, catalogue: Catalogue) -> tuple[Figure, ...]:
    """Return the own figure of every goal that was not entered in error, in the plan's order."""
    found: list[Figure] = []
    for goal in plan.goals:
        if goal.lifecycle != "entered_in_error":
            share, source = own_figure(plan, goal, as_of, catalogue)
            found.append(Figure(goal.id, None if share is None else rounded(share, 3), source))
    return tuple(found)


def roll_ups(plan: Plan, as_of: date, catalogue: Catalogue) -> tuple[RollUp, ...]:
    """Return the roll-up of every goal with children that count, in the plan's order.

    Children that are drafts, proposals, cancelled, declined or entered in error don't count.
    """
    found: list[RollUp] = []
    for parent in plan.goals:
        children = [goal for goal in plan.goals if goal.parent == parent.id and goal.lifecycle not in UNCOUNTED]
        if not children or parent.lifecycle == "entered_in_error":
            continue
        shares = [
            (_weight(goal, catalogue.limits.priority_weight), share)
            for goal in children
            if (share := own_figure(plan, goal, as_of, catalogue)[0]) is not None
        ]
        total = sum(weight for weight, _ in shares)
        mean = sum((weight * share for weight, share in shares), Decimal(0)) / total if total else None
        found.append(RollUp(parent.id, None if mean is None else rounded(mean, 3), len(shares), len(children)))
    return tuple(found)


def own_figure(plan: Plan, goal: Goal, as_of: date, catalogue: Catalogue) -> tuple[Decimal | None, Source | None]:
    """Return a goal's own figure, unrounded, and what it is made of.

    The mean percent of its targets; else the way from the baseline to the expected level by the client's own rating;
    else steps done of all but stopped ones; else nothing.
    """
    percents = [
        share for target in goal.targets if (share := exact_percent(plan, goal, target, as_of, catalogue)) is not None
    ]
    if percents:
        return sum(percents, Decimal(0)) / len(percents), "targets"
    attained = _attained(plan, goal, as_of)
    if attained is not None:
        return attained, "attainment"
    steps = count(goal.steps)
    if steps.total:
        return Decimal(steps.done) / steps.total, "steps"
    return None, None


def _attained(plan: Plan, goal: Goal, as_of: date) -> Decimal | None:
    if goal.gas is None or goal.gas.baseline is None or goal.gas.baseline >= 0:
        return None
    level, first = latest_level(goal.gas, own_rater(plan), as_of), goal.gas.baseline
    if level is None:
        return None
    return min(max(Decimal(level - first) / -first, Decimal(0)), Decimal(1))


def _weight(goal: Goal, weights: PriorityWeight) -> int:
    match goal.priority:
        case "high":
            return weights.high
        case "low":
            return weights.low
        case _:  # medium, unset, or a priority that our list does not know
            return weights.medium
