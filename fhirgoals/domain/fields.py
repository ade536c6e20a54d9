"""The one table of fields, `fields.csv`: what may be sent, where it stands on the wire, its merge unit and its policy.

A field without a row is never sent. How to read the columns: domain reference, section 3, below the entity table.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from importlib import resources
from typing import Literal, TypeAlias, get_args

Sent: TypeAlias = Literal["never", "with_goal", "with_plan", "if_shared", "identity_only"]
Accept: TypeAlias = Literal["auto", "propose", "ignore"]
Clash: TypeAlias = Literal["ours", "theirs", "ask"]


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One row. `field` has no `[]`; a path, unit, key or policy that the table leaves out (`-`) is empty or `None`."""

    record: str
    field: str
    many: bool
    type: str
    sent: Sent
    r4_paths: tuple[str, ...]
    r5_paths: tuple[str, ...]
    merge_unit: str | None
    key: str | None
    accept: Accept | None
    clash: Clash | None
    issue: str
    notes: str

    @property
    def members(self) -> tuple[str, ...]:
        """The member names of a type in braces: `{system, code}` gives `("system", "code")`; else none."""
        if not self.type.startswith("{"):
            return ()
        return tuple(part.split()[0].removesuffix("[]") for part in self.type.strip("{}").split(","))


def _given(text: str) -> str | None:
    return None if text == "-" else text


def _paths(text: str) -> tuple[str, ...]:
    return () if text == "-" else tuple(path.strip() for path in text.split(";"))


def _one_of(allowed: tuple[str, ...], text: str) -> str:
    if text not in allowed:
        raise ValueError(f"fields.csv: {text!r} is none of {', '.join(allowed)}")
    return text


def _row(cells: dict[str, str]) -> FieldRow:
    accept, clash = _given(cells["accept"]), _given(cells["clash"])
    return FieldRow(
        record=cells["record"],
        field=cells["field"].removesuffix("[]"),
        many=cells["field"].endswith("[]"),
        type=cells["type"],
        sent=_one_of(get_args(Sent), cells["sent"]),  # type: ignore[arg-type]
        r4_paths=_paths(cells["r4_path"]),
        r5_paths=_paths(cells["r5_path"]),
        merge_unit=_given(cells["merge_unit"]),
        key=_given(cells["key"]),
        accept=None if accept is None else _one_of(get_args(Accept), accept),  # type: ignore[arg-type]
        clash=None if clash is None else _one_of(get_args(Clash), clash),  # type: ignore[arg-type]
        issue=cells["issue"],
        notes=cells["notes"],
    )


def _load() -> tuple[FieldRow, ...]:
    text = resources.files("fhirgoals.domain").joinpath("fields.csv").read_text(encoding="utf-8")
    return tuple(_row(cells) for cells in csv.DictReader(text.splitlines()))


FIELDS: tuple[FieldRow, ...] = _load()
"""Every row, in the order of the file."""

_BY_FIELD: dict[tuple[str, str], FieldRow] = {(row.record, row.field): row for row in FIELDS}
RECORDS: frozenset[str] = frozenset(row.record for row in FIELDS)
"""The names of the records that have rows; `Wire` lists what the wire form adds by itself."""


def row(record: str, field: str) -> FieldRow | None:
    """Return the row of a record's field, or `None` where the table has none."""
    return _BY_FIELD.get((record, field))


def sent(record: str, field: str) -> Sent:
    """Say how a field is sent; a field without a row is `never` sent."""
    found = _BY_FIELD.get((record, field))
    return "never" if found is None else found.sent


def _policies() -> dict[str, tuple[Accept, Clash]]:
    found: dict[str, tuple[Accept, Clash]] = {}
    for each in FIELDS:
        if each.merge_unit in (None, "derived", "identity") or each.accept is None or each.clash is None:
            continue
        before = found.setdefault(each.merge_unit, (each.accept, each.clash))
        if before != (each.accept, each.clash):
            raise ValueError(f"fields.csv: the rows of unit {each.merge_unit} differ in policy")
    return found


POLICIES: dict[str, tuple[Accept, Clash]] = _policies()
"""The default policy per merge unit, by its name in the table (`target:<id>`)."""

_MEMBER_UNITS = tuple(
    (re.compile(re.sub(r"<\w+>", "(.+)", re.escape(name).replace(r"\<", "<").replace(r"\>", ">")) + r"\Z"), name)
    for name in sorted(POLICIES, key=len, reverse=True)
    if "<" in name
)


def policy(unit: str) -> tuple[Accept, Clash]:
    """Return (accept, clash), the default policy of a merge unit.

    `unit` is a name of the table (`status`, `step:<id>.text`) or that of one member (`step:st-1.text`). Raises
    `KeyError` where the table has no such unit; `derived` and `identity` are not merged and have none.
    """
    known = POLICIES.get(unit)
    if known is not None:
        return known
    for pattern, name in _MEMBER_UNITS:
        if pattern.match(unit):
            return POLICIES[name]
    raise KeyError(unit)
