"""Which JSON values are a FHIR R4 primitive: type, spelling and calendar (hl7.org/fhir/R4/datatypes.html)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from fhirgoals.fhir.exact_json import Tree

MAX_ID = 64
"""Longest id that FHIR allows. Real servers exceed it, so a longer one is read with a warning."""

_DAY = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"

_DATE = re.compile(rf"\d{{4}}(?:-(?:0[1-9]|1[0-2]))?|{_DAY}", re.ASCII)
_DATE_TIME = re.compile(rf"\d{{4}}(?:-(?:0[1-9]|1[0-2]))?|{_DAY}(?:T{_TIME}{_ZONE})?", re.ASCII)
_INSTANT = re.compile(rf"{_DAY}T{_TIME}{_ZONE}", re.ASCII)
_CLOCK = re.compile(_TIME, re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-.]+")
_CODE = re.compile(r"[^\s]+(?:\s[^\s]+)*")
_URI = re.compile(r"\S+")
_BASE64 = re.compile(r"(?:\s*[0-9a-zA-Z+/=]){4,}\s*")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _spelled(pattern: re.Pattern[str]) -> Callable[[Tree], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _dated(pattern: re.Pattern[str]) -> Callable[[Tree], bool]:
    def check(value: Tree) -> bool:
        return isinstance(value, str) and pattern.fullmatch(value) is not None and _in_calendar(value)

    return check


def _in_calendar(text: str) -> bool:
    if len(text) < 10:
        return text[:4] != "0000"
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _text(value: Tree) -> bool:
    return isinstance(value, str) and bool(value.strip()) and _CONTROL.search(value) is None


def _whole(least: int) -> Callable[[Tree], bool]:
    # bool is an int to Python, and JSON has no integers of its own: 1.0 is no FHIR integer.
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= 2**31 - 1


def _number(value: Tree) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


CHECKS: Mapping[str, Callable[[Tree], bool]] = MappingProxyType(
    {
        "base64Binary": _spelled(_BASE64),
        "boolean": lambda value: isinstance(value, bool),
        "canonical": _spelled(_URI),
        "code": _spelled(_CODE),
        "date": _dated(_DATE),
        "dateTime": _dated(_DATE_TIME),
        "decimal": _number,
        "element-id": _spelled(_URI),
        "id": _spelled(_ID),
        "instant": _dated(_INSTANT),
        "integer": _whole(-(2**31)),
        "markdown": _text,
        "oid": _spelled(_URI),
        "positiveInt": _whole(1),
        "string": _text,
        "time": _spelled(_CLOCK),
        "unsignedInt": _whole(0),
        "uri": _spelled(_URI),
        "url": _spelled(_URI),
        "uuid": _spelled(_URI),
        "xhtml": lambda value: isinstance(value, str),
    }
)
"""For each primitive type, whether a JSON value is one."""
