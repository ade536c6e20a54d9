"""How far a target is: percent of the way, whether it is met and since when (domain reference 6, "Measure").

A discharge criterion is judged by the same rule. Nothing here sets a status: numbers propose, a person confirms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias, assert_never

from fhirgoals.domain import codes
from fhirgoals.domain.instruments import Catalogue, facts
from fhirgoals.domain.readings import baseline, rounded, series
from fhirgoals.domain.records import DischargeCriterion, Goal, Measure, Plan, Reading, Sustain, Target
from fhirgoals.domain.trend import Trend, trend

Verdict: TypeAlias = Literal["met", "not_shown", "person"]
_ONCE = Sustain(count=1)


@dataclass(frozen=True, slots=True)
class Aim:
    """What a measure shall reach, complete: a number with an operator, or a range from `low` to `high`."""

    op: codes.Operator
    low: Decimal
    high: Decimal

    def is_met_by(self, value: Decimal) -> bool:
        """Say if a reading meets the operator: `<5` is not met at 5; a range holds its ends."""
        match self.op:
            case "<":
                return value < self.high
            case "<=":
                return value <= self.high
            case "=":
                return value == self.low
            case ">=":
                return value >= self.low
            case ">":
                return value > self.low
            case "between":
                return self.low <= value <= self.high
            case _ as never:
                assert_never(never)

    def distance(self, value: Decimal) -> Decimal:
        """Return how many points a value is away from the number or range; 0 inside."""
        return max(self.low - value, value - self.high, Decimal(0))

    def gain(self, first: Decimal, last: Decimal) -> Decimal:
        """Return by how many points the last value is nearer to recovery than the first; negative = worse."""
        match self.op:
            case "<" | "<=":
                return first - last
            case ">" | ">=":
                return last - first
            case "=" | "between":
                return self.distance(first) - self.distance(last)
            case _ as never:
                assert_never(never)


@dataclass(frozen=True, slots=True)
class TargetProgress:
    """How one target of a goal stands.

    `percent` is a share from 0 to 1 with three decimals, `None` where it can't be told (no baseline, or the baseline
    had the target already). `met` is `None` where the target can't be judged (a foreign detail, a part missing).
    `met_on` is the first day on which it was met, given while it is met; `late_days` counts from the day it was due.
    """

    goal: str
    target: str
    measure: str | None
    percent: Decimal | None
    met: bool | None
    met_on: date | None
    late_days: int | None
    trend: Trend | None
    latest: Decimal | None
    latest_on: date | None


@dataclass(frozen=True, slots=True)
class CriterionVerdict:
    """One discharge criterion, by its place in the plan: met, not shown by the readings, or for a person to judge."""

    at: int
    verdict: Verdict
    met_on: date | None


def aim(target: Target | DischargeCriterion) -> Aim | None:
    """Return what a target or criterion asks of its measure; `None` where that is not said in full."""
    if target.op is None:
        return None
    if target.op == "between":
        return None if target.range is None else Aim(target.op, min(target.range), max(target.range))
    return None if target.value is None else Aim(target.op, target.value, target.value)


def met_on(
    readings: Sequence[Reading], is_met_by: Callable[[Decimal], bool], sustain: Sustain | None = None
) -> date | None:
    """Return the first day on which the readings had met a target for as long as `sustain` asks; else `None`.

    Asked for are `count` readings in a row that all meet it, first and last at most `span_days` apart and at least
    `apart_days`. `readings` are one a day, oldest first. Without `sustain` one reading is enough.
    """
    asked = sustain or _ONCE
    run: list[Reading] = []
    for reading in readings:
        if not is_met_by(reading.value):
            run.clear()
            continue
        run.append(reading)
        for first in run[: max(len(run) - asked.count + 1, 0)]:
            days = (reading.date - first.date).days
            near = asked.span_days is None or days <= asked.span_days
            if near and (asked.apart_days is None or days >= asked.apart_days):
                return reading.date
    return None


def percent_to(wanted: Aim, first: Decimal | None, last: Decimal | None, *, met: bool) -> Decimal | None:
    """Return the share of the way from the baseline to the target, 0 to 1, unrounded.

    `(c-b)/(t-b)`; for a range `1 - d(c)/d(b)` by distance; without a reading c = b. Where there is no way to go
    (no baseline, or one that meets the target already) it is 1 when the target is met, else `None`. The reference says
    so for b = t and is silent on a baseline beyond the target; its bare formula would call a client who has left such
    a target behind 100 %, and one who stays there 0 %.
    """
    if first is None:
        return Decimal(1) if met else None
    now = first if last is None else last
    if wanted.op == "between":
        start = wanted.distance(first)
        if start == 0:
            return Decimal(wanted.distance(now) == 0)
        return _clamped(1 - wanted.distance(now) / start)
    if first == wanted.low or wanted.is_met_by(first):
        return Decimal(1) if met else None
    return _clamped((now - first) / (wanted.low - first))


def target_progress(plan: Plan, goal: Goal, target: Target, as_of: date, catalogue: Catalogue) -> TargetProgress:
    """Return how one target stands on a day; readings after it don't count."""
    return _judged(plan, goal, target, as_of, catalogue)[0]


def exact_percent(plan: Plan, goal: Goal, target: Target, as_of: date, catalogue: Catalogue) -> Decimal | None:
    """Return a target's percent unrounded, for figures that are made of it."""
    return _judged(plan, goal, target, as_of, catalogue)[1]


def targets(plan: Plan, as_of: date, catalogue: Catalogue) -> tuple[TargetProgress, ...]:
    """Return every target of every goal that was not entered in error, in the plan's order."""
    return tuple(
        target_progress(plan, goal, target, as_of, catalogue)
        for goal in plan.goals
        if goal.lifecycle != "entered_in_error"
        for target in goal.targets
    )


def discharge_criteria(plan: Plan, as_of: date) -> tuple[CriterionVerdict, ...]:
    """Return the verdict on each discharge criterion, in the plan's order."""
    return tuple(_criterion(plan, at, each, as_of) for at, each in enumerate(plan.discharge_criteria))


def _criterion(plan: Plan, at: int, criterion: DischargeCriterion, as_of: date) -> CriterionVerdict:
    wanted, measure = aim(criterion), _measure(plan, criterion.measure)
    if wanted is None or measure is None:
        return CriterionVerdict(at, "person", None)
    since = _met_since(wanted, series(measure, as_of), criterion.sustain)
    return CriterionVerdict(at, "not_shown" if since is None else "met", since)


def _judged(
    plan: Plan, goal: Goal, target: Target, as_of: date, catalogue: Catalogue
) -> tuple[TargetProgress, Decimal | None]:
    wanted, measure = aim(target), _measure(plan, target.measure)
    readings = () if measure is None else series(measure, as_of)
    latest = readings[-1] if readings else None
    share: Decimal | None = None
    since: date | None = None
    met: bool | None = None
    way: Trend | None = None
    if wanted is not None and measure is not None:
        since = _met_since(wanted, readings, target.sustain)
        met = since is not None
        first = baseline(measure, as_of)
        share = percent_to(
            wanted, None if first is None else first.value, None if latest is None else latest.value, met=met
        )
        way = trend(readings, wanted.gain, facts(measure, catalogue), catalogue.limits)
    progress = TargetProgress(
        goal=goal.id,
        target=target.key,
        measure=target.measure,
        percent=None if share is None else rounded(share, 3),
        met=met,
        met_on=since,
        late_days=_late(since, target.by if target.by is not None else goal.target_date),
        trend=way,
        latest=None if latest is None else latest.value,
        latest_on=None if latest is None else latest.date,
    )
    return progress, share


def _met_since(wanted: Aim, readings: Sequence[Reading], sustain: Sustain | None) -> date | None:
    """Return since when it is met: the latest reading meets it and it once held as long as it must."""
    if not readings or not wanted.is_met_by(readings[-1].value):
        return None
    return met_on(readings, wanted.is_met_by, sustain)


def _late(since: date | None, due: object) -> int | None:
    if since is None or not isinstance(due, date) or since <= due:
        return None
    return (since - due).days


def _measure(plan: Plan, measure_id: str | None) -> Measure | None:
    return next((each for each in plan.measures if each.id == measure_id), None)


def _clamped(share: Decimal) -> Decimal:
    return min(max(share, Decimal(0)), Decimal(1))
