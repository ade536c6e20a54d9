"""Inbox items in lines and as JSON, without their values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fhirgoals.cli import words
from fhirgoals.cli.inbox_words import KIND, field, place
from fhirgoals.cli.output import table
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store.inbox import Item

_HOW = {"ours": "took ours", "theirs": "took theirs", "value": "took another value"}


def item_table(items: Sequence[Item], at: datetime, values: Sequence[tuple[str, str]] | None = None) -> None:
    """Print items in a line each: where they are and since when; with both values in short where they are given."""
    several = len({one.connection for one in items}) > 1
    cells = [
        [
            str(one.id),
            words.age(one.opened_at, at),
            one.plan_id or "",
            place(one) if place(one) != one.plan_id else "",
            field(one),
            kind_words(one.kind),
            (one.connection or "") if several else "",
            how_closed(one),
            *(values[index] if values is not None else ("", "")),
        ]
        for index, one in enumerate(items)
    ]
    table(("no", "age", "plan", "goal", "field", "what", "connection", "closed", "here", "at the EHR"), cells)


def kind_words(kind: str) -> str:
    """Return a kind in a word or two."""
    return KIND.get(kind, kind)


def how_closed(item: Item) -> str:
    """Return how an item was closed, without the words that a person gave for it."""
    if item.closed_at is None:
        return ""
    code = (item.close_reason or "").partition(":")[0]
    how = _HOW.get(code, code.replace("_", " "))
    return f"{how} ({item.closed_by})" if item.closed_by else how


def head(item: Item, at: datetime) -> dict[str, Tree]:
    """Return an item for programs, without its values."""
    return {
        "id": item.id,
        "kind": item.kind,
        "connection": item.connection,
        "plan": item.plan_id,
        "owner": item.owner,
        "goal": place(item),
        "unit": item.unit,
        "field": field(item),
        "why": item.why,
        "who_may": list(item.who_may),
        "meanwhile": words.MEANWHILE.get(item.kind),
        "opened_at": item.opened_at.isoformat(),
        "age_s": int((at - item.opened_at).total_seconds()),
        "open": item.closed_at is None,
    }
