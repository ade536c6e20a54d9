"""The inbox: conflicts, proposals and whatever else waits for a person; one open item per cause and value."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
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
        values = asdict(item)
        del values["id"]
        table = schema.inbox
        statement = insert(self._connection, table).values({**values, "key": item.key, "who_may": list(item.who_may)})
        raised = statement.on_conflict_do_nothing(index_elements=[table.c.key], index_where=table.c.closed_at.is_(None))
        return self._connection.execute(raised.returning(table.c.id)).scalar_one_or_none() is not None

    def keeps(self, item: Item) -> bool:
        """Tell whether an item of the very same place, kind and values is there, open or closed."""
        wanted = sa.select(schema.inbox.c.id).where(schema.inbox.c.key == item.key).limit(1)
        return self._connection.execute(wanted).one_or_none() is not None

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
        table = schema.inbox
        open_ones = self._connection.execute(
            sa.select(table.c.id, table.c.key, table.c.owner, table.c.unit)
            .where(table.c.connection == connection, table.c.plan_id == plan_id, table.c.closed_at.is_(None))
            .order_by(table.c.id)
        )
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
        table = schema.inbox
        wanted = sa.select(table).order_by(table.c.id)
        if open_only:
            wanted = wanted.where(table.c.closed_at.is_(None))
        if connection is not None:
            wanted = wanted.where(table.c.connection == connection)
        if plan_id is not None:
            wanted = wanted.where(table.c.plan_id == plan_id)
        return tuple(_item(row) for row in self._connection.execute(wanted))

    def show(self, item_id: int) -> Item | None:
        """Return the item, open or closed, or `None`."""
        row = self._connection.execute(sa.select(schema.inbox).where(schema.inbox.c.id == item_id)).one_or_none()
        return _item(row) if row else None

    def _close(self, ids: Sequence[int], at: datetime, reason: str, by: str | None) -> int:
        table = schema.inbox
        closed = (
            sa.update(table)
            .where(table.c.id.in_(ids), table.c.closed_at.is_(None))
            .values(closed_at=at, close_reason=reason, closed_by=by)
        )
        return self._connection.execute(closed).rowcount if ids else 0


def _item(row: sa.Row[Any]) -> Item:
    values = {name: value for name, value in row._mapping.items() if name != "key"}
    return Item(**{**values, "who_may": tuple(row.who_may)})
