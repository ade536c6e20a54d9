"""What a measure says on a day: latest, change since the baseline, and the instrument's own verdicts."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias

from fhirgoals.domain import codes
from fhirgoals.domain.instruments import Better, Catalogue, Facts, Instrument, facts
from fhirgoals.domain.readings import baseline, rounded, series
from fhirgoals.domain.records import Measure, Plan

ReliableChange: TypeAlias = Literal["improved", "none", "worsened"]

_HOLDS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class MeasureSummary:
    """One measure on a day; what its scale gives no rule for is `None`.

    `latest`, `change` (latest minus baseline; negative = the score fell) and `first` (the baseline) in score points.
    `percent_reduction` is a share of the baseline with three decimals, given where the instrument has a response rule,
    and `response_at` the share that makes `response`. `below_cutoff` (lower is better) and `above_cutoff` (higher is
    better) are true outside the clinical range. Sources: `config/codes/instruments.toml`.
    """

    measure: str
    instrument: str | None
    first: Decimal | None
    latest: Decimal
    latest_on: date
    change: Decimal | None = None
    reliable_change: ReliableChange | None = None
    percent_reduction: Decimal | None = None
    response_at: Decimal | None = None
    response: bool | None = None
    remission: bool | None = None
    below_cutoff: bool | None = None
    above_cutoff: bool | None = None


def measure_summaries(plan: Plan, as_of: date, catalogue: Catalogue) -> tuple[MeasureSummary, ...]:
    """Return a summary of every measure that has a reading by that day, in the plan's order."""
    found = (measure_summary(measure, as_of, catalogue) for measure in plan.measures)
    return tuple(each for each in found if each is not None)


def measure_summary(measure: Measure, as_of: date, catalogue: Catalogue) -> MeasureSummary | None:
    """Return what a measure says on a day, or `None` before its first reading."""
    readings = series(measure, as_of)
    if not readings:
        return None
    known, latest, start = facts(measure, catalogue), readings[-1], baseline(measure, as_of)
    first = None if start is None else start.value
    change = None if first is None else latest.value - first
    clinical = None if known.cutoff is None else holds(known.cutoff.op, latest.value, known.cutoff.value)
    reduction, response = _fall(known.instrument, first, latest.value)
    rule = known.instrument.remission if known.instrument else None
    return MeasureSummary(
        measure=measure.id,
        instrument=known.instrument.name if known.instrument else measure.instrument,
        first=first,
        latest=latest.value,
        latest_on=latest.date,
        change=change,
        reliable_change=_reliable(change, known),
        percent_reduction=None if reduction is None else rounded(reduction, 3),
        response_at=known.instrument.response.share if known.instrument and known.instrument.response else None,
        response=response,
        remission=None if rule is None else holds(rule.op, latest.value, rule.value),
        below_cutoff=None if clinical is None or known.better != "lower" else not clinical,
        above_cutoff=None if clinical is None or known.better != "higher" else not clinical,
    )


def holds(op: codes.Operator, value: Decimal, limit: Decimal) -> bool | None:
    """Say if `value op limit` is true; `None` for `between`, which has no single limit."""
    compare = _HOLDS.get(op)
    return None if compare is None else compare(value, limit)


def gain(change: Decimal, better: Better | None) -> Decimal | None:
    """Return by how many points a change is for the better (negative = worse); `None` where the scale can't say."""
    match better:
        case "lower":
            return -change
        case "higher":
            return change
        case _:
            return None


def _reliable(change: Decimal | None, known: Facts) -> ReliableChange | None:
    gained = None if change is None else gain(change, known.better)
    if gained is None or known.reliable_change is None:
        return None
    if gained == 0 or abs(gained) < known.reliable_change:
        return "none"
    return "improved" if gained > 0 else "worsened"


def _fall(instrument: Instrument | None, first: Decimal | None, latest: Decimal) -> tuple[Decimal | None, bool | None]:
    """Return the fall as a share of the baseline, unrounded, and whether it is a response."""
    if instrument is None or instrument.response is None or first is None or first <= 0:
        return None, None
    reduction = (first - latest) / first
    return reduction, reduction >= instrument.response.share
