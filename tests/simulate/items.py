"""What waits in our inbox, is kept of what was decided, or stands in the ledger, as the oracle reads it by SQL."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from tests.simulate import sides
from tests.simulate.log import NOTHING, Key, first_word

WHOLE = ("gone", "void", "unreadable", "retract", "withheld")
"""Kinds of items that stand for a whole resource."""


@dataclass(frozen=True)
class Item:
    """One item of the inbox, or a row of the ledger (`kind` ledger)."""

    kind: str
    connection: str
    owner: str
    unit: str
    why: str = ""
    ours: Any = None
    theirs: Any = None
    open: bool = True
    by_person: bool = False
    text: str = ""

    @property
    def whole(self) -> bool:
        """Whether it stands for a whole resource."""
        return self.kind in WHOLE or self.unit in ("Goal", "CarePlan", "")


def items_of(raw: sqlite3.Connection) -> list[Item]:
    """Return everything that waits or is kept of what was decided, and what the ledger says of present revisions."""
    found = [
        Item(
            kind,
            connection or "",
            owner or "",
            unit or "",
            why,
            _tree(ours),
            _tree(theirs),
            closed_at is None,
            closed_by is not None,
            f"{base} {ours} {theirs}",
        )
        for kind, connection, owner, unit, why, base, ours, theirs, closed_at, closed_by in raw.execute(
            "select kind, connection, owner, unit, why, base, ours, theirs, closed_at, closed_by from inbox order by id"
        )
    ]
    query = """select l.connection, l.owner, l.unit from ledger l join unit_revisions u
               on u.plan_id = l.plan_id and u.owner = l.owner and u.unit = l.unit where l.rev >= u.rev"""
    return found + [Item("ledger", *row) for row in raw.execute(query)]


def _tree(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def key_of(item: Item) -> Key | None:
    """Return what of the watched values an item is about, where that can be told by its unit alone."""
    head, _, member = item.unit.partition(":")
    match head:
        case "parent_map":
            return (member, "parent")
        case "relations":
            start, _, end = member.split("|")
            return (start, f"after {end}")
        case "text" | "status" | "target_date" | "priority":
            return (item.owner, item.unit)
        case _:
            return None


def said(unit: str, value: Any) -> str:
    """Return a unit's value in an item as the log writes it."""
    if value is None:
        return NOTHING
    match unit.partition(":")[0]:
        case "text":
            return first_word(value)
        case "status" if isinstance(value, dict):
            return f"{value.get('lifecycle')}/{first_word(value.get('status_reason'))}"
        case "parent_map":
            return "+".join(sorted(value)) or NOTHING
        case "relations":
            return "yes" if value else NOTHING
        case "order":
            return "+".join(value)
        case "note" if isinstance(value, dict):
            return first_word(value.get("text"))
        case "step" if unit.endswith(".text"):
            return first_word(value)
        case "step" if unit.endswith(".status"):
            return sides.OURS_TO_WIRE.get(str(value.get("status")), str(value.get("status")))
        case _:
            return str(value)


def parts(unit: str, value: Any) -> set[str]:
    """Return what an item says, and of several parents each."""
    whole = said(unit, value)
    return {whole, *whole.split("+")} if unit.startswith("parent_map:") else {whole}


def same_order(item: Item, value: str, theirs: str) -> bool:
    """Tell whether an order in an item is the one that stands there, as far as both name the same goals."""
    return item.unit == "order" and len(set(common(value, theirs, set()))) == 1


def common(one: str, other: str, but: set[str]) -> tuple[str, str]:
    """Return two orders without what only one of them names."""
    first, second = one.split("+"), other.split("+")
    both = (set(first) & set(second)) - but
    return "+".join(each for each in first if each in both), "+".join(each for each in second if each in both)
