"""A measure's readings as one series, up to a day; and how figures are rounded.

One reading a day: where several raters gave one, the client's counts (domain reference 11.14), then the person's own,
the caregiver's, the therapist's, one without a rater. The order in the file never matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal

from fhirgoals.domain.records import Measure, Reading

_RATERS = ("client", "self", "caregiver", "therapist", None)


def rounded(value: Decimal, places: int) -> Decimal:
    """Return a figure to so many decimals, half away from zero: shares have 3, T-scores 2."""
    found = value.quantize(Decimal((0, (1,), -places)), rounding=ROUND_HALF_UP, context=Context(prec=40))
    return found if found else abs(found)  # never -0.000


def all_readings(measure: Measure, as_of: date) -> tuple[Reading, ...]:
    """Return every reading up to `as_of`, by day, and within a day the one that counts last."""
    known = [reading for reading in measure.readings if reading.date <= as_of]
    return tuple(sorted(known, key=lambda each: (each.date, -_RATERS.index(each.rater), each.value)))


def series(measure: Measure, as_of: date) -> tuple[Reading, ...]:
    """Return the readings up to `as_of`, one a day, oldest first; the baseline is not among them."""
    return tuple({reading.date: reading for reading in all_readings(measure, as_of)}.values())


def baseline(measure: Measure, as_of: date) -> Reading | None:
    """Return the baseline, or `None` where there is none yet on that day."""
    found = measure.baseline
    return found if found is not None and found.date <= as_of else None


def with_baseline(measure: Measure, as_of: date) -> Iterator[Reading]:
    """Yield the baseline, if any, and then every reading of every rater up to `as_of`."""
    first = baseline(measure, as_of)
    if first is not None:
        yield first
    yield from all_readings(measure, as_of)
