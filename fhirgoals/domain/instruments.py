"""The instrument catalogue: what is known of a questionnaire's score, and the limits by which scores are read.

The figures stand in `config/codes/instruments.toml` with their sources; no item text is kept anywhere. `facts` lays a
plan's own statements over the catalogue's; what neither says is `None` and nothing is judged by it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from fhirgoals.domain import codes
from fhirgoals.domain.records import Coding, Cutoff, Measure, Record
from fhirgoals.errors import ConfigurationError

Better: TypeAlias = Literal["lower", "higher", "range"]


class InstrumentCode(Record, frozen=True, kw_only=True):
    """A code that stands for the instrument's score, or (`panel`) for the whole questionnaire."""

    system: codes.CodeSystem
    code: str
    source: str
    panel: bool = False


class ScoreLine(Record, frozen=True, kw_only=True):
    """A line on the scale: `score op value` holds = on the side that the line is named for."""

    op: Literal["<", "<=", ">=", ">"]
    value: Decimal
    source: str
    meaning: Literal["clinical", "screening"] = "clinical"


class Threshold(Record, frozen=True, kw_only=True):
    """A number of score points."""

    value: Decimal
    source: str


class Response(Record, frozen=True, kw_only=True):
    """The share of the baseline (0 to 1) by which a score has fallen at least when treatment works."""

    share: Decimal
    source: str


class Instrument(Record, frozen=True, kw_only=True):
    """What is known of one instrument; a field that is `None` was not found in a source."""

    name: str
    title: str
    names: tuple[str, ...]
    unit: str
    range: tuple[Decimal, Decimal]
    better: Literal["lower", "higher"]
    codes: tuple[InstrumentCode, ...]
    cutoff: ScoreLine | None = None
    reliable_change: Threshold | None = None
    response: Response | None = None
    remission: ScoreLine | None = None
    alert_below: Threshold | None = None
    item9: bool = False


class PriorityWeight(Record, frozen=True, kw_only=True):
    """How much a child goal counts in its parent's figure, by its priority."""

    high: int
    medium: int
    low: int


class Limits(Record, frozen=True, kw_only=True):
    """The numbers that are ours to choose (domain reference 6 and 11)."""

    trend_readings: int
    trend_share_of_range: Decimal
    rater_gap: int
    review_interval_days: int
    priority_weight: PriorityWeight


class Catalogue(Record, frozen=True, kw_only=True):
    """All instruments and limits."""

    limits: Limits
    instruments: tuple[Instrument, ...]

    def instrument(self, measure: Measure) -> Instrument | None:
        """Return a measure's instrument, by its name and else by its code; `None` where it is none of ours."""
        wanted = _plain_name(measure.instrument)
        for each in self.instruments:
            if wanted and wanted in {_plain_name(name) for name in each.names}:
                return each
        return None if measure.code is None else self._by_code(measure.code)

    def _by_code(self, code: Coding) -> Instrument | None:
        for each in self.instruments:
            if any((one.system, one.code) == (code.system, code.code) for one in each.codes):
                return each
        return None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a measure's scale: the plan's own statement, else the catalogue's, else `None`.

    `width` is that of the range, in score points; `reliable_change` likewise.
    """

    instrument: Instrument | None
    better: Better | None
    width: Decimal | None
    cutoff: Cutoff | None
    reliable_change: Decimal | None


def facts(measure: Measure, catalogue: Catalogue) -> Facts:
    """Return what is known of a measure's scale. A screening cut-off of the catalogue is not among it."""
    known = catalogue.instrument(measure)
    scale = measure.range or (known.range if known else None)
    cutoff = measure.cutoff
    if cutoff is None and known is not None and known.cutoff is not None and known.cutoff.meaning == "clinical":
        cutoff = Cutoff(op=known.cutoff.op, value=known.cutoff.value)
    change = measure.reliable_change
    if change is None and known is not None and known.reliable_change is not None:
        change = known.reliable_change.value
    return Facts(
        instrument=known,
        better=measure.better or (known.better if known else None),
        width=None if scale is None else scale[1] - scale[0],
        cutoff=cutoff,
        reliable_change=change,
    )


def read_catalogue(text: str, *, name: str) -> Catalogue:
    """Return the catalogue of a TOML text; numbers keep their digits.

    Raises `ConfigurationError` with path and rule.
    """
    try:
        # msgspec takes a whole number or a text for a Decimal, so a fraction is handed on as its text, to the digit.
        catalogue = msgspec.convert(tomllib.loads(text, parse_float=str), Catalogue)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{name}: {error}; mend it or take it away to use the defaults") from None
    names: dict[str, str] = {}
    for each in catalogue.instruments:
        for one in {_plain_name(name_) for name_ in (each.name, *each.names)}:
            if names.setdefault(one, each.name) != each.name:
                raise ConfigurationError(f"{name}: {each.name} and {names[one]} share a name; give each its own")
    return catalogue


@cache
def standard() -> Catalogue:
    """Return the catalogue that ships with fhirgoals: of an installed package, or of a checkout."""
    inside, checkout = (Path(__file__).parents[up] / "config" / "codes" / "instruments.toml" for up in (1, 2))
    path = inside if inside.is_file() else checkout
    return read_catalogue(path.read_text(encoding="utf-8"), name=path.name)


def _plain_name(name: str | None) -> str:
    return "".join((name or "").split()).casefold()
