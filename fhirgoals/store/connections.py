"""Connections: what the operator configured, whether it may write, and who holds its lease.

One worker owns a connection at a time. Each new holder gets the next fencing number; a transaction that checks it can't
be overtaken by a holder who lost the lease without noticing (design 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa

from fhirgoals.errors import Refused
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.store import schema
from fhirgoals.store.marks import Dirty
from fhirgoals.store.statements import insert

State = Literal["observe", "armed", "paused"]


@dataclass(frozen=True)
class Connection:
    """A connection to an EHR. `observe` reads and previews, `armed` also writes, `paused` does not write any more."""

    name: str
    config: Resource
    state: State
    state_by: str
    state_reason: str | None
    state_at: datetime
    added_at: datetime


@dataclass(frozen=True)
class Lease:
    """Who holds a connection, until when; `fence` grows with each holder."""

    holder: str | None
    fence: int
    expires_at: datetime


_BY_NAME = sa.select(schema.connections).where(schema.connections.c.name == sa.bindparam("of"))
_OURS = (
    (schema.leases.c.connection == sa.bindparam("of"))
    & (schema.leases.c.fence == sa.bindparam("held"))
    & schema.leases.c.holder.is_not(None)
)
_HELD = sa.select(schema.leases.c.fence).where(_OURS).with_for_update()
_LEASE = sa.update(schema.leases).where(_OURS)


class Connections:
    """The connections of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, name: str, config: Resource, *, at: datetime, by: str) -> None:
        """Add a connection in the state `observe`, with every plan dirty. Raises `Refused` where the name is taken."""
        if self.get(name):
            raise Refused(f"connection {name} is there already: give the new one another name")
        table = schema.connections
        row = {"name": name, "config": config, "state": "observe", "state_by": by, "state_at": at, "added_at": at}
        self._connection.execute(sa.insert(table).values(row))
        plans = self._connection.scalars(sa.select(schema.plans.c.plan_id)).all()
        Dirty(self._connection).mark_all(plans, name, why="added", at=at)

    def get(self, name: str) -> Connection | None:
        """Return the connection, or `None`."""
        row = self._connection.execute(_BY_NAME, {"of": name}).one_or_none()
        return _connection(row) if row else None

    def list(self) -> tuple[Connection, ...]:
        """Return all connections by name."""
        table = schema.connections
        return tuple(_connection(row) for row in self._connection.execute(sa.select(table).order_by(table.c.name)))

    def set_state(self, name: str, state: State, *, by: str, reason: str | None, at: datetime) -> None:
        """Arm, pause or put back to observing. Raises `Refused` where there is no such connection."""
        self._update(name, state=state, state_by=by, state_reason=reason, state_at=at)

    def update_config(self, name: str, config: Resource) -> None:
        """Replace the configuration. Raises `Refused` where there is no such connection."""
        self._update(name, config=config)

    def acquire(self, name: str, owner: str, ttl_s: float, now: datetime) -> int | None:
        """Take the lease for `ttl_s` seconds; return its fence, or `None` while somebody else holds it.

        `owner` is unique per process. Raises `Refused` where there is no such connection.
        """
        if not self.get(name):
            raise Refused(f"there is no connection {name}: `fhirgoals ehr list` names them")
        row = {"connection": name, "holder": owner, "fence": 1, "expires_at": now + timedelta(seconds=ttl_s)}
        return self._connection.execute(_taken(self._connection.dialect.name), {**row, "now": now}).scalar_one_or_none()

    def renew(self, name: str, fence: int, ttl_s: float, now: datetime) -> bool:
        """Hold the lease on for `ttl_s` seconds from now; return whether it was still ours."""
        return self._set_lease(name, fence, expires_at=now + timedelta(seconds=ttl_s))

    def release(self, name: str, fence: int) -> bool:
        """Give the lease back; return whether it was still ours."""
        return self._set_lease(name, fence, holder=None)

    def lease(self, name: str) -> Lease | None:
        """Return the lease, or `None` where nobody ever held one."""
        table = schema.leases
        row = self._connection.execute(sa.select(table).where(table.c.connection == name)).one_or_none()
        return Lease(row.holder, row.fence, row.expires_at) if row else None

    def check_fence(self, name: str, fence: int) -> None:
        """Raise `Refused` unless the lease is still the one of this fence; until commit nobody can take it.

        A lease that ran out and that nobody took since is still good.
        """
        held = self._connection.scalar(_HELD, {"of": name, "held": fence})
        if held is None:
            raise Refused(f"connection {name} is now worked by another process; nothing was written: stop here")

    def _set_lease(self, name: str, fence: int, **values: Any) -> bool:
        return self._connection.execute(_LEASE, {"of": name, "held": fence, **values}).rowcount > 0

    def _update(self, name: str, **values: Any) -> None:
        table = schema.connections
        if self._connection.execute(sa.update(table).where(table.c.name == name).values(**values)).rowcount == 0:
            raise Refused(f"there is no connection {name}: `fhirgoals ehr list` names them")


@cache
def _taken(dialect: str) -> Any:
    """Return the statement that takes a lease that is free, one's own, or ran out before `now`."""
    table = schema.leases
    statement = insert(dialect, table)
    new = statement.excluded
    free = table.c.holder.is_(None) | (table.c.holder == new.holder) | (table.c.expires_at <= sa.bindparam("now"))
    return statement.on_conflict_do_update(
        index_elements=[table.c.connection],
        set_={"holder": new.holder, "expires_at": new.expires_at, "fence": table.c.fence + 1},
        where=free,
    ).returning(table.c.fence)


def _connection(row: sa.Row[Any]) -> Connection:
    return Connection(**row._mapping)
