"""The limits and word lists of the SMART letters, read from `config/smart.toml`, and their version.

The version that a result carries is the file's own with a mark of its content, so that limits changed on the spot
never pass for the shipped ones.
"""

from __future__ import annotations

import hashlib
import tomllib
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec

from fhirgoals.domain.records import Record
from fhirgoals.errors import ConfigurationError


class Specific(Record, frozen=True, kw_only=True):
    """S: numbers of words; lists of words in small letters, without punctuation but for the joins."""

    words_fail_below: int
    words_pass_from: int
    joins: tuple[str, ...]
    harmless_joins: tuple[str, ...]
    vague: tuple[str, ...]
    harmless_phrases: tuple[str, ...]
    diagnosis_names: frozenset[str]
    qualifiers: frozenset[str]


class Attainable(Record, frozen=True, kw_only=True):
    """A: confidence 0-10, shares of a measure's range per week, numbers of goals and steps at once."""

    confidence_pass_from: int
    confidence_fail_to: int
    weekly_share_pass_to: Decimal
    weekly_share_fail_above: Decimal
    active_goals_pass_to: int
    active_goals_fail_above: int
    open_steps_pass_to: int


class Relevant(Record, frozen=True, kw_only=True):
    """R: importance 0-10, and how many missing ties only warn."""

    importance_pass_from: int
    missing_warn_to: int


class TimeBound(Record, frozen=True, kw_only=True):
    """T: calendar months that a goal may run, by horizon."""

    short_term_months: int
    long_term_months: int


class SmartRules(Record, frozen=True, kw_only=True):
    """All of them; `mark` is set when they are read."""

    version: str
    specific: Specific
    attainable: Attainable
    relevant: Relevant
    time_bound: TimeBound
    mark: str = ""

    @property
    def rule_version(self) -> str:
        """The version that a result is stored with: `1-8f3a90c2`."""
        return f"{self.version}-{self.mark}"


def read_rules(text: str, *, name: str) -> SmartRules:
    """Return the rules of a TOML text. Raises `ConfigurationError` with the path and the rule, never a value."""
    try:
        rules = msgspec.convert(
            tomllib.loads(text, parse_float=Decimal), SmartRules, builtin_types=(Decimal,), strict=True
        )
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{name}: {error}; mend it or take it away to use the defaults") from None
    content = msgspec.json.encode(msgspec.structs.replace(rules, mark=""), order="deterministic")
    return msgspec.structs.replace(rules, mark=hashlib.sha256(content).hexdigest()[:8])


@cache
def standard() -> SmartRules:
    """Return the rules that ship with fhirgoals: of an installed package, or of a checkout."""
    inside, checkout = (Path(__file__).parents[up] / "config" / "smart.toml" for up in (1, 2))
    path = inside if inside.is_file() else checkout
    return read_rules(path.read_text(encoding="utf-8"), name=path.name)
