"""Alerts: a reliable worsening, the item-9 mark, a low session rating (domain reference 6).

An alert is local: it is shown to the therapist, changes no status and is never sent. No crisis function is promised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias

from fhirgoals.domain.instruments import Catalogue, Facts, facts
from fhirgoals.domain.measures import gain
from fhirgoals.domain.readings import all_readings, baseline, series, with_baseline
from fhirgoals.domain.records import Measure, Plan

AlertKind: TypeAlias = Literal["deterioration", "item9", "session_rating"]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a therapist should look at. `change` is the worst worsening in points (value minus earlier value)."""

    measure: str
    date: date
    kind: AlertKind
    change: Decimal | None = None


def alerts(plan: Plan, as_of: date, catalogue: Catalogue) -> tuple[Alert, ...]:
    """Return the alerts of all readings up to a day: by measure in the plan's order, then by day.

    Every rater's reading is looked at, and the baseline too (except for a worsening). There is one alert per measure,
    day and kind.
    """
    found: list[Alert] = []
    for measure in plan.measures:
        known = facts(measure, catalogue)
        of_one = {(each.date, each.kind): each for each in _of(measure, known, as_of)}
        found += [of_one[key] for key in sorted(of_one)]
    return tuple(found)


def _of(measure: Measure, known: Facts, as_of: date) -> Iterator[Alert]:
    yield from _worsenings(measure, known, as_of)
    limit = known.instrument.alert_below if known.instrument else None
    for reading in with_baseline(measure, as_of):
        if "item9_positive" in reading.flags:
            yield Alert(measure.id, reading.date, "item9")
        if limit is not None and reading.value < limit.value:
            yield Alert(measure.id, reading.date, "session_rating")


def _worsenings(measure: Measure, known: Facts, as_of: date) -> Iterator[Alert]:
    """Yield a reading that is worse than the one before it, or than the baseline, by at least the reliable change."""
    if known.reliable_change is None:
        return
    days = series(measure, as_of)
    start = baseline(measure, as_of)
    worst: dict[date, tuple[Decimal, Decimal]] = {}
    for reading in all_readings(measure, as_of):
        earlier = [each for each in days if each.date < reading.date][-1:]
        if start is not None and start.date <= reading.date:
            earlier.append(start)
        for other in earlier:
            change = reading.value - other.value
            gained = gain(change, known.better)
            if gained is not None and gained < 0 and -gained >= known.reliable_change:
                worst[reading.date] = max(worst.get(reading.date, (-gained, change)), (-gained, change))
    for day, (_, change) in worst.items():
        yield Alert(measure.id, day, "deterioration", change)
