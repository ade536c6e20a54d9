"""The one statement that SQLAlchemy Core writes differently for each database: insert, or update what is there.

Statements that every run needs are made once, here and beside the repositories: making one costs more than running it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

Values = Mapping[str, Any]
"""Column values; raw by nature, since each column has a type of its own."""


def insert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[Values], *, keep: Collection[str] = ()) -> None:
    """Insert the rows, or set all columns but the key and `keep` where the primary key is there already."""
    if rows:
        statement = _upsert(connection.dialect.name, table, tuple(rows[0]), frozenset(keep))
        connection.execute(statement, rows)


@cache
def _upsert(dialect: str, table: sa.Table, names: tuple[str, ...], keep: frozenset[str]) -> sa.Insert:
    statement = insert(dialect, table)
    key = {column.name for column in table.primary_key}
    changes = {name: statement.excluded[name] for name in names if name not in key and name not in keep}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes)
