"""Time spans: what a FHIR date of any precision covers, for comparing in a search.

Microseconds since the epoch, so that comparing is integer comparing. A date with a time and without a zone is UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_FHIR_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

ALWAYS = 10**18
"""Beyond any moment a FHIR date can say: the open end of a period."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `low`, inclusive, to `high`, exclusive, in microseconds since 1970 UTC."""

    low: int
    high: int

    @staticmethod
    def at(moment: datetime) -> Span:
        """Return the span of one stored instant: whole milliseconds."""
        low = (moment - _EPOCH) // _MICROSECOND
        return Span(low, low + 1000)

    @staticmethod
    def between(start: Span | None, end: Span | None) -> Span:
        """Return the span of a Period; a side that is missing is open."""
        return Span(start.low if start else -ALWAYS, end.high if end else ALWAYS)


def span_of(text: str) -> Span | None:
    """Return the span of a FHIR date, dateTime or instant; `None` when the text is none."""
    found = _FHIR_DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        start = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
        low = (start - _offset(zone) - _EPOCH) // _MICROSECOND
        if fraction:
            low += int(fraction[:6].ljust(6, "0"))
            width = 10 ** max(0, 6 - len(fraction))
        else:
            width = (_end(start, found) - start) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
    return Span(low, low + width)


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return -offset if zone[0] == "-" else offset


def _end(start: datetime, found: re.Match[str]) -> datetime:
    _, month, day, hour, _, second, *_ = found.groups()
    if second:
        return start + timedelta(seconds=1)
    if hour:
        return start + timedelta(minutes=1)
    if day:
        return start + timedelta(days=1)
    if month:
        return datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
    return datetime(start.year + 1, 1, 1, tzinfo=UTC)
