"""What was done: the append-only audit, the ledger of what was not deliverable, and the runs with their counts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

import sqlalchemy as sa

from fhirgoals.domain.units import Unit
from fhirgoals.errors import Bug
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.store import schema
from fhirgoals.store.statements import insert

Word: TypeAlias = str | int | bool | None
Detail: TypeAlias = Mapping[str, "Word | Sequence[Word]"]
"""Ids, counts and names of fields; never content."""

# Ids, codes, unit names, references, hashes, instants: no blank, so no prose.
_WORD = re.compile(r"[\w.:/|#>+\-]{0,200}", re.ASCII)


@dataclass(frozen=True)
class AuditRow:
    """One line of the audit."""

    id: int
    at: datetime
    actor: str
    action: str
    connection: str | None
    plan_id: str | None
    detail: Resource


@dataclass(frozen=True)
class Undelivered:
    """A revision of a unit that the connection may not see or can't take; `why` is a code."""

    connection: str
    plan_id: str
    unit: Unit
    rev: int
    why: str
    at: datetime


@dataclass(frozen=True)
class Run:
    """One run; `outcome` is `None` while it goes on, or where its process died."""

    id: str
    connection: str | None
    kind: str
    by: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    counts: Tree


class Audit:
    """The audit of one transaction. There is no way to change or remove a line, and the database refuses both."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def write(
        self,
        *,
        at: datetime,
        actor: str,
        action: str,
        connection: str | None = None,
        plan_id: str | None = None,
        detail: Detail | None = None,
    ) -> None:
        """Write one line. Raises `Bug` where `detail` holds anything but ids, counts and names of fields."""
        for name, value in (detail or {}).items():
            for word in value if isinstance(value, list | tuple) else [value]:
                if not (word is None or isinstance(word, int) or (isinstance(word, str) and _WORD.fullmatch(word))):
                    raise Bug(f"audit detail {name} of {action} is no id, count or field name; nothing was written")
        row = {"at": at, "actor": actor, "action": action, "connection": connection, "plan_id": plan_id}
        self._connection.execute(_LINE, {**row, "detail": dict(detail or {})})

    def list(
        self, *, connection: str | None = None, plan_id: str | None = None, since: datetime | None = None
    ) -> tuple[AuditRow, ...]:
        """Return the lines, the oldest first; of one connection, of one plan and since a moment where given."""
        wanted = {"from": connection, "of": plan_id, "since": since}
        given = {name: value for name, value in wanted.items() if value is not None}
        return tuple(AuditRow(**row._mapping) for row in self._connection.execute(_lines(*given), given))


_LINE = sa.insert(schema.audit)


@cache
def _lines(*given: str) -> sa.Select[Any]:
    table = schema.audit
    wheres = {
        "from": table.c.connection == sa.bindparam("from"),
        "of": table.c.plan_id == sa.bindparam("of"),
        "since": table.c.at >= sa.bindparam("since"),
    }
    return sa.select(table).where(*(wheres[name] for name in given)).order_by(table.c.id)


class Ledger:
    """The ledger of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def note(self, connection: str, plan_id: str, unit: tuple[str, str], rev: int, *, why: str, at: datetime) -> bool:
        """Note that this revision of the unit was not deliverable; return whether that is new."""
        owner, name = unit
        row = {"connection": connection, "plan_id": plan_id, "owner": owner, "unit": name, "rev": rev}
        noted = self._connection.execute(_noted(self._connection.dialect.name), {**row, "why": why, "at": at})
        return noted.scalar_one_or_none() is not None

    def list(self, connection: str | None = None, plan_id: str | None = None) -> tuple[Undelivered, ...]:
        """Return the rows, by connection, plan, unit and revision; of one connection and one plan where given."""
        table = schema.ledger
        wanted = sa.select(table).order_by(*table.primary_key)
        if connection is not None:
            wanted = wanted.where(table.c.connection == connection)
        if plan_id is not None:
            wanted = wanted.where(table.c.plan_id == plan_id)
        return tuple(
            Undelivered(row.connection, row.plan_id, Unit(row.owner, row.unit), row.rev, row.why, row.at)
            for row in self._connection.execute(wanted)
        )


@cache
def _noted(dialect: str) -> Any:
    """Return the statement that adds a row to the ledger unless it is there."""
    return insert(dialect, schema.ledger).on_conflict_do_nothing().returning(schema.ledger.c.rev)


_BEGUN = sa.insert(schema.runs)
_FINISHED = sa.update(schema.runs).where(schema.runs.c.id == sa.bindparam("of"), schema.runs.c.finished_at.is_(None))


class Runs:
    """The runs of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def start(self, run_id: str, *, kind: str, by: str, at: datetime, connection: str | None = None) -> None:
        """Write down that a run begins."""
        row = {"id": run_id, "connection": connection, "kind": kind, "by": by, "started_at": at}
        self._connection.execute(_BEGUN, row)

    def finish(self, run_id: str, *, outcome: str, counts: Mapping[str, int], at: datetime) -> None:
        """Write down how it ended. Raises `Bug` where it did not begin or has ended."""
        end = {"finished_at": at, "outcome": outcome, "counts": dict(counts)}
        done = self._connection.execute(_FINISHED, {"of": run_id, **end})
        if done.rowcount == 0:
            raise Bug(f"run {run_id} did not begin, or has ended already")

    def list(self, connection: str | None = None, *, limit: int = 50) -> tuple[Run, ...]:
        """Return the last runs, the newest first; of one connection where given."""
        table = schema.runs
        wanted: sa.Select[Any] = sa.select(table).order_by(table.c.started_at.desc(), table.c.id).limit(limit)
        if connection is not None:
            wanted = wanted.where(table.c.connection == connection)
        return tuple(Run(**row._mapping) for row in self._connection.execute(wanted))
