"""Short ways to write measures, goals and plans for the tests of progress."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from fhirgoals.domain.records import Gas, GasRating, Goal, Measure, Plan, Reading, Target, Weight
from tests.plans import goal, small

DAY_0 = date(2026, 1, 5)
LATER = date(2026, 12, 31)


def day(number: int) -> date:
    return DAY_0 + timedelta(days=number)


def readings(*values: float | str, every: int = 7, rater: Any = "client") -> tuple[Reading, ...]:
    """One reading a week (or `every` so many days) from the seventh day on."""
    return tuple(
        Reading(date=day(every * place), value=Decimal(str(value)), rater=rater)
        for place, value in enumerate(values, 1)
    )


def measure(*values: float | str, start: float | str | None = None, **given: Any) -> Measure:
    base: dict[str, Any] = {
        "id": "m",
        "range": (Decimal(0), Decimal(20)),
        "better": "lower",
        "readings": readings(*values),
        "baseline": None if start is None else Reading(date=DAY_0, value=Decimal(str(start))),
    }
    return Measure(**(base | given))


def target(op: str | None, value: Any = None, **given: Any) -> Target:
    base: dict[str, Any] = {"measure": "m", "op": op}
    if isinstance(value, tuple):
        base["range"] = tuple(Decimal(str(each)) for each in value)
    elif value is not None:
        base["value"] = Decimal(str(value))
    return Target(**(base | given))


def plan_of(*goals: Goal, **changes: Any) -> Plan:
    return small(goals=goals, **changes)


def gas(*levels: int, baseline: int | None = -1, weight: tuple[int, int] | None = None, rater: Any = "client") -> Gas:
    """A scale with one rating a week by one rater."""
    rated = tuple(GasRating(date=day(7 * place), level=level, rater=rater) for place, level in enumerate(levels, 1))
    weighed = None if weight is None else Weight(importance=weight[0], difficulty=weight[1])
    return Gas(baseline=baseline, weight=weighed, ratings=rated)


def scaled(goal_id: str, *levels: int, lifecycle: Any = "active", **given: Any) -> Goal:
    return goal(goal_id, lifecycle=lifecycle, gas=gas(*levels, **given))


values = st.integers(0, 200).map(lambda number: Decimal(number) / 10)
"""Scores from 0.0 to 20.0."""
raters = st.sampled_from(["client", "therapist", "caregiver", "self"])
days = st.integers(0, 60).map(day)
ratings = st.builds(GasRating, date=days, level=st.integers(-2, 2), rater=raters)
scales = st.builds(
    Gas,
    weight=st.none() | st.builds(Weight, importance=st.integers(1, 3), difficulty=st.integers(1, 3)),
    baseline=st.none() | st.sampled_from([-2, -1]),
    ratings=st.lists(ratings, max_size=8).map(tuple),
)
measured_readings = st.lists(
    st.builds(
        Reading,
        date=days,
        value=values,
        rater=st.none() | raters,
        flags=st.sampled_from([(), (), ("item9_positive",)]),
    ),
    max_size=8,
).map(tuple)
targets_of_m = st.one_of(
    st.builds(Target, measure=st.just("m"), op=st.sampled_from(["<", "<=", "=", ">=", ">"]), value=values),
    st.builds(
        Target, measure=st.just("m"), op=st.just("between"), range=st.tuples(values, values).map(sorted).map(tuple)
    ),
)
