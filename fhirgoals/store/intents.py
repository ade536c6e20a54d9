"""Intents: calls to an EHR written down before they are sent, until their outcome is settled (design 5.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from fhirgoals.domain.units import Unit
from fhirgoals.errors import Bug
from fhirgoals.store import schema
from fhirgoals.store.links import LinkKind

Method = Literal["create", "update", "delete"]
IntentState = Literal["open", "doubtful"]


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One call. `id` is its operation id, `etag` the one sent in `If-Match`, `units` the unit values that were sent.

    `body` is the exact JSON text that is sent, `body_hash` the hash of it; both are empty for a delete.
    `open` = not known to have been sent; `doubtful` = sent, and no answer settled it.
    """

    id: str
    connection: str
    plan_id: str
    kind: LinkKind
    local_id: str
    method: Method
    resource_id: str | None = None
    etag: str | None = None
    units: Mapping[Unit, Any]
    body: str
    body_hash: str
    state: IntentState = "open"
    opened_at: datetime
    sent_at: datetime | None = None
    fence: int


_OF_PLAN = (
    sa.select(schema.intents)
    .where(schema.intents.c.connection == sa.bindparam("at"), schema.intents.c.plan_id == sa.bindparam("of"))
    .order_by(schema.intents.c.opened_at, schema.intents.c.id)
)

_OPENED = sa.insert(schema.intents)
_MARKED = sa.update(schema.intents).where(schema.intents.c.id == sa.bindparam("of"))
_CLOSED = sa.delete(schema.intents).where(schema.intents.c.id == sa.bindparam("of"))


class Intents:
    """The intents of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def open(self, intent: Intent) -> None:
        """Write the intent down."""
        values = {name: getattr(intent, name) for name in Intent.__dataclass_fields__}
        units = [[owner, name, value] for (owner, name), value in intent.units.items()]
        self._connection.execute(_OPENED, {**values, "units": units})

    def get(self, intent_id: str) -> Intent | None:
        """Return the intent, or `None` once it is closed."""
        row = self._connection.execute(sa.select(schema.intents).where(schema.intents.c.id == intent_id)).one_or_none()
        return _intent(row) if row else None

    def mark_sent(self, intent_id: str, at: datetime) -> None:
        """Say that the call was, or may have been, sent: from now on it is in doubt until it is closed."""
        marked = self._connection.execute(_MARKED, {"of": intent_id, "state": "doubtful", "sent_at": at})
        if marked.rowcount == 0:
            raise Bug(f"intent {intent_id} is closed and was sent after all")

    def close(self, intent_id: str) -> bool:
        """Remove the intent, its outcome being settled; return whether it was there."""
        return self._connection.execute(_CLOSED, {"of": intent_id}).rowcount > 0

    def for_plan(self, connection: str, plan_id: str) -> tuple[Intent, ...]:
        """Return the open intents of the plan at the connection, the oldest first."""
        rows = self._connection.execute(_OF_PLAN, {"at": connection, "of": plan_id})
        return tuple(_intent(row) for row in rows)

    def all_open(self, connection: str) -> tuple[Intent, ...]:
        """Return every open intent at the connection, the oldest first."""
        return self._all(schema.intents.c.connection == connection)

    def _all(self, *where: sa.ColumnElement[bool]) -> tuple[Intent, ...]:
        table = schema.intents
        rows = self._connection.execute(sa.select(table).where(*where).order_by(table.c.opened_at, table.c.id))
        return tuple(_intent(row) for row in rows)


def _intent(row: sa.Row[Any]) -> Intent:
    units = {Unit(owner, name): value for owner, name, value in row.units}
    return Intent(**{**row._mapping, "units": units})
