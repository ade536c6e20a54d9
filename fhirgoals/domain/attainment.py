"""Goal attainment scaling: the T-score per rater, and where raters see a goal differently.

A T-score is a number of the whole plan: local, never sent. Ratings of different raters are never mixed.
Sources: Kiresuk & Sherman 1968; Turner-Stokes 2009, Clin Rehabil 23:362, by its printed erratum, since the formulas in
the article's body are wrong (`S w` is squared inside the root).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, localcontext

from fhirgoals.domain import codes
from fhirgoals.domain.instruments import Limits
from fhirgoals.domain.readings import rounded
from fhirgoals.domain.records import Gas, GasRating, Goal, Plan

RATERS: tuple[codes.Rater, ...] = ("client", "therapist", "caregiver", "self")
"""The order in which raters are shown; the first one's ratings count for display (domain reference 11.14)."""

_CORRELATION = Decimal("0.3")  # expected correlation between goals, r of the formula: a constant of the method
_LEFT_OUT = frozenset({"cancelled", "declined", "entered_in_error"})


@dataclass(frozen=True, slots=True)
class GasScore:
    """One rater's T-score (50 = all goals as expected, 10 = one standard deviation), two decimals, half up.

    `goals`, `weights` and `levels` go together, in the plan's order; the coverage is `len(goals)` of `scaled` goals
    that have a scale. `baseline` and `change` are over the same goals, and `None` where one has no baseline level.
    `change` is rounded last, so it may differ from the difference of the rounded scores in the last digit.
    """

    rater: codes.Rater
    goals: tuple[str, ...]
    weights: tuple[int, ...]
    levels: tuple[int, ...]
    scaled: int
    baseline: Decimal | None
    latest: Decimal
    change: Decimal | None
    unweighted_latest: Decimal

    @property
    def attained(self) -> tuple[str, ...]:
        """The goals at the expected level or better (x >= 0, PCO GAS profile)."""
        return tuple(goal for goal, level in zip(self.goals, self.levels, strict=True) if level >= 0)


@dataclass(frozen=True, slots=True)
class RaterGap:
    """A goal that raters see at levels far apart: each rater's latest level."""

    goal: str
    levels: tuple[tuple[codes.Rater, int], ...]


def t_score(weights: Sequence[int], levels: Sequence[int]) -> Decimal | None:
    """Return `50 + 10 S(wx) / sqrt((1-r) S(w^2) + r (S w)^2)`, unrounded; `None` without goals.

    Levels are -2 to 2, weights at least 1. Raises `ValueError` where the two differ in number.
    """
    if not weights and not levels:
        return None
    total = sum(weight * level for weight, level in zip(weights, levels, strict=True))
    with localcontext(Context(prec=40)):  # the caller's own precision must not show in a score
        squares = Decimal(sum(weight * weight for weight in weights))
        spread = (1 - _CORRELATION) * squares + _CORRELATION * Decimal(sum(weights)) ** 2
        return 50 + 10 * Decimal(total) / spread.sqrt()


def gas_scores(plan: Plan, as_of: date) -> tuple[GasScore, ...]:
    """Return one score for each rater who rated by that day, by each goal's latest rating of that rater.

    Goals that are cancelled, declined or entered in error don't count; unrated ones are left out and the coverage
    says so.
    """
    scaled = [(goal, goal.gas) for goal in plan.goals if goal.gas is not None and goal.lifecycle not in _LEFT_OUT]
    found = (_score(scaled, rater, as_of) for rater in RATERS)
    return tuple(each for each in found if each is not None)


def rater_gaps(plan: Plan, as_of: date, limits: Limits) -> tuple[RaterGap, ...]:
    """Return the goals whose raters' latest levels lie at least `limits.rater_gap` apart, in the plan's order."""
    found: list[RaterGap] = []
    for goal in plan.goals:
        if goal.gas is None or goal.lifecycle in _LEFT_OUT:
            continue
        rated = tuple((rater, level) for rater in RATERS if (level := latest_level(goal.gas, rater, as_of)) is not None)
        levels = [level for _, level in rated]
        if levels and max(levels) - min(levels) >= limits.rater_gap:
            found.append(RaterGap(goal.id, rated))
    return tuple(found)


def ratings(gas: Gas, rater: codes.Rater, as_of: date) -> tuple[GasRating, ...]:
    """Return one rater's ratings up to a day, one a day, oldest first; of two on a day the lower counts."""
    known = sorted(
        (each for each in gas.ratings if each.rater == rater and each.date <= as_of),
        key=lambda each: (each.date, -each.level),
    )
    return tuple({each.date: each for each in known}.values())


def latest_level(gas: Gas, rater: codes.Rater, as_of: date) -> int | None:
    """Return a rater's latest level, -2 to 2, or `None` where they have not rated by that day."""
    rated = ratings(gas, rater, as_of)
    return rated[-1].level if rated else None


def own_rater(plan: Plan) -> codes.Rater:
    """Return whose rating stands for a goal's progress: the client's, in a development plan the subject's own."""
    return "client" if plan.kind == "client_treatment" else "self"


def _score(scaled: Sequence[tuple[Goal, Gas]], rater: codes.Rater, as_of: date) -> GasScore | None:
    rated = [(goal, gas, level) for goal, gas in scaled if (level := latest_level(gas, rater, as_of)) is not None]
    weights = _weights([gas for _, gas, _ in rated])
    levels = [level for _, _, level in rated]
    latest = t_score(weights, levels)
    plain = t_score([1] * len(levels), levels)
    if latest is None or plain is None:
        return None
    starts = [gas.baseline for _, gas, _ in rated if gas.baseline is not None]
    first = t_score(weights, starts) if len(starts) == len(rated) else None
    return GasScore(
        rater=rater,
        goals=tuple(goal.id for goal, _, _ in rated),
        weights=weights,
        levels=tuple(levels),
        scaled=len(scaled),
        baseline=None if first is None else rounded(first, 2),
        latest=rounded(latest, 2),
        change=None if first is None else rounded(latest - first, 2),
        unweighted_latest=rounded(plain, 2),
    )


def _weights(scales: Sequence[Gas]) -> tuple[int, ...]:
    """Return importance times difficulty of each; all 1 where one is unset, since weights only compare with weights."""
    if any(gas.weight is None for gas in scales):
        return (1,) * len(scales)
    return tuple(gas.weight.importance * gas.weight.difficulty for gas in scales if gas.weight is not None)
