"""The trend of readings: better, worse or neither, by more than chance (domain reference 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal, TypeAlias

from fhirgoals.domain.instruments import Facts, Limits
from fhirgoals.domain.records import Reading

Trend: TypeAlias = Literal["improving", "worsening", "no_change", "in_progress"]
Gain: TypeAlias = Callable[[Decimal, Decimal], Decimal]
"""Points by which a second value is better than a first; negative = worse."""


def trend(readings: Sequence[Reading], gain: Gain, known: Facts, limits: Limits) -> Trend | None:
    """Return the trend of the last up to three readings, first against last; the baseline is not among them.

    A difference counts from the reliable change on, or from 5 % of the range where that is not known. One reading, or
    a scale of which neither is known, is `in_progress`; none is `None`.
    """
    if not readings:
        return None
    last = readings[-limits.trend_readings :]
    least = known.reliable_change
    if least is None and known.width is not None:
        least = known.width * limits.trend_share_of_range
    if len(last) == 1 or least is None:
        return "in_progress"
    gained = gain(last[0].value, last[-1].value)
    if gained == 0 or abs(gained) < least:
        return "no_change"
    return "improving" if gained > 0 else "worsening"
