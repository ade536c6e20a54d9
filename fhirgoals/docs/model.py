"""The page on the model: every record with its fields, what may follow what, the invariants, and the SMART hints."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fhirgoals.docs.markdown import GENERATED, code, page, table
from fhirgoals.docs.rules import RULES
from fhirgoals.domain import fields, lifecycle, records, smart_limits
from fhirgoals.domain.lifecycle import Machine
from fhirgoals.domain.records import Foreign, Plan, Record, fields_of
from fhirgoals.domain.smart_reasons import REASONS

_SIMPLE: dict[object, str] = {
    str: "text",
    int: "whole number",
    bool: "yes or no",
    Decimal: "number",
    date: "day",
    datetime: "instant",
    Any: "anything",
    Foreign: "*foreign*",
}
_LETTERS = {"S": "Specific", "M": "Measurable", "A": "Attainable", "R": "Relevant", "T": "Time-bound"}
_RESULT = {"warn": "warns", "fail": "fails", "not_applicable": "does not apply"}

_INTRO = """# The model

A plan is a file (`examples/` has five) and a record in the store; both have the fields below, under the same names.

- *Needed*: "yes" must be there. Where a default stands, the field may be left out. All others may be missing: what an
  EHR or an import did not say is not made up, and the rules at the end point it out.
- A *day* is written `2026-11-06`. A number keeps its digits: `19.0` stays `19.0`.
- *foreign* is a value that our lists do not know. It is kept word for word as `{foreign: "…"}`, and pointed out.
- An id is 1 to 64 letters, digits, `-`, `_`, `.` or `:`. It never changes and is never used again."""

_RULES_INTRO = """## What must be true

Each rule has a code, by which messages name it, and the number it has in the domain reference (0: ids, references and
fields that must be given).

- **error**: a command or a plan file that breaks it is refused, and nothing is changed. What an EHR or an import says
  is loaded all the same and only warned of; a part of a goal whose merge would break a rule is held for a person.
- **warn**: pointed out, never refused."""

_SMART_INTRO = """## SMART hints

Five letters for each goal: specific, measurable, attainable, relevant, time-bound. A letter without a hint passes; the
score counts the letters that pass among those that apply. Hints warn and never stop anyone, stay here and are sent to
no one. Numbers and word lists: `config/smart.toml`. In braces stands what is filled in. More than {missing} ties
missing under R fail together."""


def model_page() -> str:
    """Return `model.md`."""
    return page(_lines())


def every_record() -> tuple[type[Record], ...]:
    """Return the records as a reader meets them: a plan, then what it holds, depth first; at the end those outside."""
    known: list[type[Record]] = [
        each
        for each in vars(records).values()
        if isinstance(each, type) and issubclass(each, Record) and each is not Record
    ]
    found: list[type[Record]] = []
    roots: list[type[Record]] = [Plan, *known]
    for root in roots:
        if root is not Foreign:
            _meet(root, found)
    return (*found, Foreign)


def _meet(kind: type[Record], found: list[type[Record]]) -> None:
    if kind in found or kind is Foreign:  # Foreign stands in many fields and is told of last
        return
    found.append(kind)
    for hint in _hints(kind).values():
        for part in _parts(hint):
            if isinstance(part, type) and issubclass(part, Record):
                _meet(part, found)


def _lines() -> Iterator[str]:
    yield GENERATED
    yield from _INTRO.splitlines()
    yield ""
    for kind in every_record():
        yield from _record(kind)
    yield from _machines()
    yield from _RULES_INTRO.splitlines()
    yield ""
    rows = sorted(RULES, key=lambda rule: (rule.invariant, rule.code))
    yield from table(
        ("No.", "Code", "Weight", "Where", "What it says"),
        ((str(each.invariant), code(each.code), each.severity, _where(each.where), each.sentence) for each in rows),
    )
    yield from _SMART_INTRO.format(missing=smart_limits.standard().relevant.missing_warn_to).splitlines()
    yield ""
    yield from table(
        ("Letter", "Code", "Weight", "What it says"),
        ((_LETTERS[each.letter], code(name), _RESULT[each.result], each.sentence) for name, each in REASONS.items()),
    )


def _where(place: str) -> str:
    return place if " " in place else code(place)


def _record(kind: type[Record]) -> Iterator[str]:
    name = kind.__name__
    yield f"## {name}"
    yield ""
    yield " ".join(inspect.cleandoc(kind.__doc__ or "").split())
    yield ""
    hints = _hints(kind)
    rows = [
        (code(each.encode_name), _words(hints[each.encode_name], _reference(name, each.encode_name)), _needed(each))
        for each in fields_of(kind)
    ]
    rows += [
        (code(each.field), "not written: " + _place(each), "")
        for each in fields.FIELDS
        if each.record == name and each.field not in hints and each.field != "schema"
    ]
    yield from table(("Field", "What it holds", "Needed"), rows)


def _hints(kind: type[Record]) -> dict[str, Any]:
    types = get_type_hints(kind)
    return {field.encode_name: types[field.name] for field in fields_of(kind)}


def _reference(record: str, field: str) -> str | None:
    """Whose id a field holds, by the table of fields."""
    row = fields.row(record, field)
    return (
        row.type.removeprefix("ref ").replace("|", " or ") if row is not None and row.type.startswith("ref ") else None
    )


def _place(row: fields.FieldRow) -> str:
    if row.type.startswith("ref "):
        return f"the {row.type.removeprefix('ref ')} that it stands under"
    return row.notes if row.notes else row.type


def _parts(hint: Any) -> Iterator[Any]:
    """The types in a union, list or map."""
    origin = get_origin(hint)
    if origin is Literal:
        return
    if origin is None:
        yield hint
    for part in get_args(hint):
        if part is not Ellipsis:
            yield from _parts(part)


def _words(hint: Any, reference: str | None) -> str:
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(code(str(each)) for each in inside)
    if origin in (Union, UnionType):
        said = [_words(each, reference) for each in inside if each is not type(None)]
        return " or ".join(said)
    if origin is tuple and inside[-1] is Ellipsis:
        return f"list: {_words(inside[0], reference)}"
    if origin is tuple:
        return "from, to: " + ", ".join(_words(each, None) for each in inside)
    if origin is dict:
        return f"map: {_words(inside[0], None)} to {_words(inside[1], None)}"
    if hint is str and reference is not None:
        return f"id of a {reference}"
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    return f"[{hint.__name__}](#{hint.__name__.lower()})"


def _needed(field: Any) -> str:
    if field.required:
        return "yes"
    match field.default:
        case bool() as default:
            return f"default {'yes' if default else 'no'}"
        case str() | int() as default:
            return f"default {code(str(default))}"
        case _:
            return ""


def _machines() -> Iterator[str]:
    yield "## What may follow what"
    yield ""
    yield "A command that would move something else than this is refused. What an EHR says is kept as it says it."
    yield ""
    for name, machine in (
        ("A goal", lifecycle.GOAL),
        ("A plan", lifecycle.PLAN),
        ("A step", lifecycle.STEP),
        ("A signature on a review", lifecycle.SIGNATURE),
        ("A consent", lifecycle.CONSENT),
    ):
        yield from table((name, "may become"), _moves(machine))


def _moves(machine: Machine) -> Iterator[tuple[str, str]]:
    for state, following in machine.items():
        ordered = [each for each in machine if each in following]
        yield code(state), ", ".join(code(each) for each in ordered) or "nothing else: it is final"
