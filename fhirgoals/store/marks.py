"""What to look at next: dirty marks per (plan, connection), and how far changes were read from each connection.

A mark only says "look here" (design 5): what is to be done is decided from the state of both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa

from fhirgoals.domain.readers import next_change
from fhirgoals.domain.records import Plan
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store import schema
from fhirgoals.store.statements import insert, upsert

CALENDAR = "calendar"
"""Why a plan is marked for the day on which what the connection may see changes by time alone (design 5.10)."""

UpTo = Mapping[str, int]
"""How many marks of each kind were taken; give it back to `clear` as it is."""


@dataclass(frozen=True)
class DirtyPlan:
    """A plan to look at; `why` are the kinds of marks on it, `since` is the oldest."""

    plan_id: str
    connection: str
    since: datetime
    why: tuple[str, ...]
    upto: UpTo


class Dirty:
    """The dirty marks of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def mark(
        self, plan_id: str, connection: str, *, why: str, at: datetime, not_before: datetime | None = None
    ) -> None:
        """Mark the plan for the connection, not to be taken before `not_before` (`None` = now).

        Marks of different `why` stand side by side; one of the same `why` takes the place of the one before.
        """
        self._mark([_row(plan_id, connection, why, at, not_before)])

    def mark_all(self, plan_ids: Iterable[str], connection: str, *, why: str, at: datetime) -> None:
        """Mark many plans for one connection."""
        self._mark([_row(plan_id, connection, why, at, None) for plan_id in plan_ids])

    def mark_everywhere(self, plan_ids: Sequence[str], *, why: str, at: datetime) -> None:
        """Mark plans for every connection."""
        names = self._connection.scalars(_CONNECTIONS).all()
        self._mark([_row(plan_id, name, why, at, None) for plan_id in plan_ids for name in names])

    def mark_day(self, plan: Plan, connection: str, at: datetime) -> None:
        """Mark the plan for the first day after `at` on which a consent for the connection begins or ends, if one does.

        Days are those of UTC, as everywhere.
        """
        day = next_change(plan, at.astimezone(UTC).date(), connection)
        if day is not None:
            self.mark(plan.id, connection, why=CALENDAR, at=at, not_before=datetime.combine(day, time(), UTC))

    def take(self, connection: str, now: datetime) -> tuple[DirtyPlan, ...]:
        """Return the plans that are due for the connection, the longest waiting first; the marks stay until `clear`."""
        rows = self._connection.execute(_DUE, {"at": connection, "now": now})
        plans: dict[str, list[sa.Row[Any]]] = {}
        for row in rows:
            plans.setdefault(row.plan_id, []).append(row)
        return tuple(
            DirtyPlan(
                plan_id,
                connection,
                since=marks[0].since,
                why=tuple(row.why for row in marks),
                upto={row.why: row.marks for row in marks},
            )
            for plan_id, marks in plans.items()
        )

    def marked(self, connection: str, why: Sequence[str] = ()) -> frozenset[str]:
        """Return the ids of the plans that are marked for the connection, due or not; of these kinds where given.

        Else of all but `CALENDAR`: until its day nothing is to be done because of that one.
        """
        if why:
            return frozenset(self._connection.scalars(_marked_as(tuple(why)), {"at": connection}))
        return frozenset(self._connection.scalars(_MARKED, {"at": connection}))

    def clear(self, plan_id: str, connection: str, upto: UpTo) -> None:
        """Clear the marks that were taken; one set since then stays."""
        taken = [
            {"at": connection, "of": plan_id, "as": why, "done": marks, "upto": marks} for why, marks in upto.items()
        ]
        if taken:
            self._connection.execute(_CLEARED, taken)

    def _mark(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._connection.execute(_marking(self._connection.dialect.name), rows)


_CONNECTIONS = sa.select(schema.connections.c.name)
_DIRTY = (schema.dirty.c.connection == sa.bindparam("at")) & (schema.dirty.c.marks > schema.dirty.c.done)
_MARKED = sa.select(schema.dirty.c.plan_id).where(_DIRTY, schema.dirty.c.why != CALENDAR)
_DUE = (
    sa.select(schema.dirty)
    .where(_DIRTY, schema.dirty.c.not_before.is_(None) | (schema.dirty.c.not_before <= sa.bindparam("now")))
    .order_by(schema.dirty.c.since, schema.dirty.c.plan_id, schema.dirty.c.why)
)
_CLEARED = sa.update(schema.dirty).where(
    schema.dirty.c.connection == sa.bindparam("at"),
    schema.dirty.c.plan_id == sa.bindparam("of"),
    schema.dirty.c.why == sa.bindparam("as"),
    schema.dirty.c.done < sa.bindparam("upto"),
)


@lru_cache(maxsize=16)
def _marked_as(why: tuple[str, ...]) -> sa.Select[Any]:
    return sa.select(schema.dirty.c.plan_id).where(_DIRTY, sa.or_(*(schema.dirty.c.why == one for one in why)))


@cache
def _marking(dialect: str) -> sa.Insert:
    """Return the statement that adds a mark, or counts one more; `since` stays that of the oldest not yet cleared."""
    table = schema.dirty
    statement = insert(dialect, table)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={
            "marks": table.c.marks + 1,
            "since": sa.case((table.c.marks > table.c.done, table.c.since), else_=new.since),
            "not_before": new.not_before,
        },
    )


_CURSOR = sa.select(schema.cursors.c.value).where(
    schema.cursors.c.connection == sa.bindparam("at"), schema.cursors.c.scope == sa.bindparam("of")
)


class Cursors:
    """How far changes were read, per connection and scope."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def get(self, connection: str, scope: str) -> Tree:
        """Return the cursor, or `None`."""
        return self._connection.scalar(_CURSOR, {"at": connection, "of": scope})

    def set(self, connection: str, scope: str, value: Tree, at: datetime) -> None:
        """Move the cursor; in the same transaction as the marks of what was read (design 5.12)."""
        row = {"connection": connection, "scope": scope, "value": value, "at": at}
        upsert(self._connection, schema.cursors, [row])


def _row(plan_id: str, connection: str, why: str, at: datetime, not_before: datetime | None) -> dict[str, Any]:
    return {
        "plan_id": plan_id,
        "connection": connection,
        "why": why,
        "marks": 1,
        "done": 0,
        "since": at,
        "not_before": not_before,
    }
