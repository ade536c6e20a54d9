"""Empties every field that the table of fields does not let out: deny by default, by name of record and field.

It knows no gates (which goals, whose consent): `disclosure` takes away what must stay, this module empties the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import TypeVar

from fhirgoals.domain import fields
from fhirgoals.domain.records import Coding, Foreign, Record, fields_of
from fhirgoals.errors import Bug

R = TypeVar("R", bound=Record)

RELEASED: frozenset[str] = frozenset({"CORE"})
"""The issues whose rows are on the wire by now; a row of a later issue is emptied until then."""

STRUCTURAL: Mapping[tuple[str, str], str] = {
    ("Client", "id"): "looked up in the links; the wire holds the linked Patient",
    ("Plan", "id"): "hashed into the wire ids",
    ("Goal", "id"): "hashed into the wire ids; relations name it",
    ("Participant", "id"): "acceptance, notes and steps name it",
    ("Participant", "role"): "decides between author and contributor, and names an unlinked author in words",
    ("Problem", "id"): "a goal's addresses name it; looked up in the links",
    ("Measure", "id"): "a target names it; hashed into the element id",
}
"""Fields that the table keeps from the wire and that a pruned record still holds, each with its reason."""

ALIASES: Mapping[tuple[str, str], str] = {
    ("Target", "foreign_detail"): "value",
    ("Measure", "foreign_code"): "code",
}
"""Fields that hold the foreign form of another field and go by that one's row."""

NEUTRAL: Mapping[tuple[str, str], object] = {
    ("Client", "display"): "",
    ("Plan", "kind"): "client_treatment",  # the gate let no other kind pass
    ("Problem", "code"): Coding(system="", code=""),
    ("ProgressEntry", "visibility"): "shared",  # the gate let no other pass
}
"""What stands in a field that is emptied and that its record can't do without: the same for every plan."""


@cache
def may_stay(record: str, field: str) -> bool:
    """Say whether a field (by its name in a file) of a record keeps its value when the record is pruned."""
    if (record, field) in STRUCTURAL:
        return True
    row = fields.row(record, ALIASES.get((record, field), field))
    return row is not None and row.issue in RELEASED and row.sent not in ("never", "identity_only")


def pruned(record: R) -> R:
    """Return the record with every field emptied that has no row, or a row that does not let it out.

    A field goes back to its default, or to `NEUTRAL` where it has none. Raises `Bug` for a record that can't be
    emptied: better nothing than a field too much.
    """
    kind = type(record)
    kept: dict[str, object] = {}
    for name, known_as, required, stays in _fields(kind):
        if stays:
            value = _value(getattr(record, name), kind.__name__, known_as)
            if value is not None or not required:
                kept[name] = value
                continue
        if required:
            neutral = NEUTRAL.get((kind.__name__, known_as))
            if neutral is None:
                raise Bug(f"{kind.__name__}.{known_as} may not be disclosed and has no neutral value")
            kept[name] = neutral
    return kind(**kept)


@cache
def _fields(kind: type[Record]) -> tuple[tuple[str, str, bool, bool], ...]:
    """Return each field's name here and in a file, whether the record needs it, and whether it may stay."""
    return tuple(
        (one.name, one.encode_name, one.required, may_stay(kind.__name__, one.encode_name)) for one in fields_of(kind)
    )


def _value(value: object, record: str, field: str) -> object:
    match value:
        case None | str() | bool() | int() | Decimal() | date() | Foreign():
            return value
        case tuple():
            members = tuple(_value(each, record, field) for each in value)
            return tuple(each for each in members if each is not None)
        case Record() if type(value).__name__ in fields.RECORDS:
            return pruned(value)
        case Record():
            return _members(value, record, field)
        case dict():
            return value if all(isinstance(each, str) for each in (*value, *value.values())) else None
        case _:
            return None


def _members(value: Record, record: str, field: str) -> Record | None:
    """A record without rows of its own goes only by the members that the field's row names in braces."""
    row = fields.row(record, ALIASES.get((record, field), field))
    allowed = row.members if row is not None else ()
    kept: dict[str, object] = {}
    for each in fields_of(type(value)):
        if each.encode_name in allowed:
            kept[each.name] = _value(getattr(value, each.name), record, field)
        elif each.required:
            return None
    return type(value)(**kept)
