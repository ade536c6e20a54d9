"""What is measured: targets, measures and their readings, goal attainment scales, exposure trials.

Numbers are `Decimal` with their digits, dates are calendar dates.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from fhirgoals.domain import codes
from fhirgoals.domain.base import Coding, Day, Foreign, OptionalDate, Record
from fhirgoals.domain.smart_reasons import Letter, Result


class Sustain(Record, frozen=True, kw_only=True):
    """How long a target must hold: `count` readings in a row within `span_days`, or at least `apart_days` apart."""

    count: int
    span_days: int | None = None
    apart_days: int | None = None


class Target(Record, frozen=True, kw_only=True):
    """What a measure shall reach. `value` with an operator, or `range` with `between`."""

    measure: str | None = None
    id: str | None = None
    op: codes.Operator | None = None
    value: Decimal | None = None
    range: tuple[Decimal, Decimal] | None = None
    by: OptionalDate = None
    sustain: Sustain | None = None
    foreign_detail: Foreign | None = None

    @property
    def key(self) -> str:
        """The target's id; by default the measure's."""
        return self.id or self.measure or ""


class Reading(Record, frozen=True, kw_only=True):
    """One value of a measure."""

    date: Day
    value: Decimal
    rater: codes.Rater | None = None
    note: str | None = None
    flags: tuple[Literal["item9_positive"], ...] = ()


class Cutoff(Record, frozen=True, kw_only=True):
    """The instrument's clinical cut-off."""

    op: codes.Operator
    value: Decimal


class Measure(Record, frozen=True, kw_only=True):
    """An instrument, its unit and its readings."""

    id: str
    instrument: str | None = None
    code: Coding | None = None
    unit: str | None = None
    range: tuple[Decimal, Decimal] | None = None
    better: Literal["lower", "higher", "range"] | None = None
    baseline: Reading | None = None
    readings: tuple[Reading, ...] = ()
    cutoff: Cutoff | None = None
    reliable_change: Decimal | None = None
    schedule: str | None = None
    sensitivities: tuple[codes.Sensitivity, ...] = ()
    foreign_code: Foreign | None = None


class Weight(Record, frozen=True, kw_only=True):
    """How much a goal counts in the T-score."""

    importance: int
    difficulty: int


class GasRating(Record, frozen=True, kw_only=True):
    """A rating on a goal attainment scale, from -2 to +2."""

    date: Day
    level: int
    rater: codes.Rater


class Gas(Record, frozen=True, kw_only=True):
    """A goal attainment scale: five levels, weight, baseline and ratings."""

    weight: Weight | None = None
    baseline: int | None = None
    levels: dict[Literal["-2", "-1", "0", "1", "2"], str] = msgspec.field(default_factory=dict)
    ratings: tuple[GasRating, ...] = ()


class SmartResult(Record, frozen=True, kw_only=True):
    """How SMART a goal was on the day it was drafted, proposed, agreed to or begun, and by which version of the rules.

    Computed by `smart` and kept with the goal, so that it stays readable when rules or goal change. No one enters it.
    """

    date: Day
    rule_version: str
    letters: dict[Letter, Result]
    reasons: tuple[str, ...] = ()


class Trial(Record, frozen=True, kw_only=True):
    """One exposure: distress (SUDS 0-100) at its peak and at its end."""

    date: Day
    peak: int
    end: int
