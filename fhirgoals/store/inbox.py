"""The inbox: conflicts, proposals and whatever else waits for a person; one open item per cause and value."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from fhirgoals.fhir import exact_json
from fhirgoals.store import schema
from fhirgoals.store.statements import insert


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that waits for a person.

    `kind` is `conflict`, `proposal`, `held`, `withheld`, `identity`, … ; `why` a code that says what caused it;
    `who_may` the roles that may settle it. The values are JSON trees, `None` = not there. `id` is given by the store.
    """

    id: int = 0
    kind: str
    connection: str | None = None
    plan_id: str | None = None
    owner: str | None = None
    unit: str | None = None
    base: Any = None
    ours: Any = None
    theirs: Any = None
    why: str
    who_may: tuple[str, ...] = ()
    opened_at: datetime
    closed_at: datetime | None = None
    close_reason: str | None = None
    closed_by: str | None = None

    @property
    def key(self) -> str:
        """What makes it this item: where it is, its kind and both values; another value is another item."""
        place = [self.connection, self.plan_id, self.owner, self.unit, self.kind]
        return hashlib.sha256(exact_json.canonical([*place, self.ours, self.theirs])).hexdigest()


class Inbox:
    """The inbox of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def raise_(self, item: Item) -> bool:
        """Put the item in; return whether it is new: one that is open already is not raised again."""
        row = {**vars(item), "key": item.key, "who_may": list(item.who_may)}
        del row["id"]
        return self._connection.execute(_raised(self._connection.dialect.name), row).scalar_one_or_none() is not None

    def keeps(self, item: Item) -> bool:
        """Tell whether an item of the very same place, kind and values is there, open or closed."""
        return self._connection.execute(_OF_KEY, {"of": item.key}).first() is not None

    def close_missing(
        self,
        connection: str,
        plan_id: str,
        keep_keys: Collection[str],
        at: datetime,
        *,
        keep_units: Collection[tuple[str, str]] = (),
    ) -> tuple[int, ...]:
        """Close the plan's open items at the connection whose cause is gone; return their ids.

        `keep_keys` are the `Item.key` of those whose cause stands, `keep_units` those of which nobody knows now.
        """
        open_ones = self._connection.execute(_OPEN, {"at": connection, "of": plan_id})
        gone = tuple(
            row.id for row in open_ones if row.key not in keep_keys and (row.owner, row.unit) not in keep_units
        )
        self._close(gone, at, "cause gone", None)
        return gone

    def close(self, item_id: int, *, at: datetime, reason: str, by: str | None) -> bool:
        """Close one item; return whether it was open."""
        return self._close([item_id], at, reason, by) > 0

    def list(
        self, *, open_only: bool = True, connection: str | None = None, plan_id: str | None = None
    ) -> tuple[Item, ...]:
        """Return the items, the oldest first; of one connection and one plan where given."""
        wanted = {"at": connection, "of": plan_id}
        given = {name: value for name, value in wanted.items() if value is not None}
        return tuple(_item(row) for row in self._connection.execute(_items(*given, open_only=open_only), given))

    def show(self, item_id: int) -> Item | None:
        """Return the item, open or closed, or `None`."""
        row = self._connection.execute(sa.select(schema.inbox).where(schema.inbox.c.id == item_id)).one_or_none()
        return _item(row) if row else None

    def _close(self, ids: Sequence[int], at: datetime, reason: str, by: str | None) -> int:
        if not ids:
            return 0
        table = schema.inbox
        closed = sa.update(table).where(table.c.id.in_(ids), table.c.closed_at.is_(None))
        return self._connection.execute(closed, {"closed_at": at, "close_reason": reason, "closed_by": by}).rowcount


_OF_KEY = sa.select(schema.inbox.c.id).where(schema.inbox.c.key == sa.bindparam("of")).limit(1)
_OPEN = (
    sa.select(schema.inbox.c.id, schema.inbox.c.key, schema.inbox.c.owner, schema.inbox.c.unit)
    .where(
        schema.inbox.c.connection == sa.bindparam("at"),
        schema.inbox.c.plan_id == sa.bindparam("of"),
        schema.inbox.c.closed_at.is_(None),
    )
    .order_by(schema.inbox.c.id)
)


@cache
def _items(*given: str, open_only: bool) -> sa.Select[Any]:
    table = schema.inbox
    wheres = {"at": table.c.connection == sa.bindparam("at"), "of": table.c.plan_id == sa.bindparam("of")}
    wanted = sa.select(table).where(*(wheres[name] for name in given)).order_by(table.c.id)
    return wanted.where(table.c.closed_at.is_(None)) if open_only else wanted


@cache
def _raised(dialect: str) -> Any:
    """Return the statement that puts an item in unless one of its key is open."""
    table = schema.inbox
    return (
        insert(dialect, table)
        .on_conflict_do_nothing(index_elements=[table.c.key], index_where=table.c.closed_at.is_(None))
        .returning(table.c.id)
    )


def _item(row: sa.Row[Any]) -> Item:
    values = {name: value for name, value in row._mapping.items() if name != "key"}
    return Item(**{**values, "who_may": tuple(row.who_may)})
