"""A stand-in for `sa.Connection` that runs the product's statements on the raw connection.

SQLAlchemy compiles each statement once, as for any connection; the SQL, what binds its values and what reads its
columns are kept and used again. What was seen only once, or needs more than that, goes by SQLAlchemy as ever.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.result import SimpleResultMetaData

KEPT = 500
"""So many statements are known at a time."""

Processor = Callable[[Any], Any]


@dataclass(slots=True)
class Answer:
    """The rows of one statement, and how many it changed; the part of `sa.CursorResult` that repositories use."""

    _rows: list[sa.Row[Any]]
    rowcount: int

    def __iter__(self) -> Iterator[sa.Row[Any]]:
        return iter(self._rows)

    def first(self) -> sa.Row[Any] | None:
        """Return the first row, if there is one."""
        return self._rows[0] if self._rows else None

    def one_or_none(self) -> sa.Row[Any] | None:
        """Return the only row, if there is one."""
        if len(self._rows) > 1:
            raise sa.exc.MultipleResultsFound("more than one row where one or none is expected")
        return self.first()

    def scalar_one_or_none(self) -> Any:
        """Return the first column of the only row, if there is one."""
        row = self.one_or_none()
        return None if row is None else row[0]


class Values(list[Any]):
    """The first column of each row; the part of `sa.ScalarResult` that repositories use."""

    def all(self) -> list[Any]:
        """Return all."""
        return self


@dataclass(frozen=True, slots=True)
class _Form:
    """A compiled statement: its SQL, what each place is bound to, and how its rows are read."""

    sql: str
    places: tuple[tuple[str, Processor | None], ...]
    fixed: Mapping[str, Any]
    """Values that the statement brings along."""
    columns: SimpleResultMetaData | None
    processors: tuple[Processor | None, ...] | None

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values in their places."""
        if self.fixed:
            values = {**self.fixed, **values}
        return [values[name] if process is None else process(values[name]) for name, process in self.places]

    def rows(self, cursor: sqlite3.Cursor) -> list[sa.Row[Any]]:
        """Return all rows, as SQLAlchemy gives them."""
        columns, processors = self.columns, self.processors
        if columns is None:
            return []
        index: Any = columns._key_to_index
        return [sa.Row(columns, processors, index, row) for row in cursor.fetchall()]


@dataclass(slots=True)
class _Seen:
    """A statement that is kept, so that its identity stays its own; its form once it came again."""

    statement: Any
    form: _Form | None = None
    again: bool = False


class Direct:
    """Knows statements by their identity: the repositories make theirs once."""

    def __init__(self, connection: sa.Connection, raw: sqlite3.Connection) -> None:
        self.connection = connection
        self.dialect = connection.dialect
        self._raw = raw
        self._seen: OrderedDict[tuple[int, tuple[str, ...]], _Seen] = OrderedDict()

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement, or the same one for many rows."""
        many = isinstance(parameters, list | tuple)
        form = self._form(statement, tuple((parameters[0] if many else parameters) or ()))
        if form is None or (many and form.columns is not None):
            return self.connection.execute(statement, parameters)
        bound: Any = [form.bound(row) for row in parameters] if many else form.bound(parameters or {})
        try:
            cursor = self._raw.executemany(form.sql, bound) if many else self._raw.execute(form.sql, bound)
            return Answer(form.rows(cursor), cursor.rowcount)
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance(form.sql, None, error, sqlite3.Error, dialect=self.dialect) from error

    def scalar(self, statement: Any, parameters: Any = None) -> Any:
        """Return the first column of the first row, if there is one."""
        row = self.execute(statement, parameters).first()
        return None if row is None else row[0]

    def scalars(self, statement: Any, parameters: Any = None) -> Values:
        """Return the first column of each row."""
        return Values(row[0] for row in self.execute(statement, parameters))

    def _form(self, statement: Any, names: tuple[str, ...]) -> _Form | None:
        """Return the compiled statement from the second time on that it is run, if it can be run here."""
        key = (id(statement), names)
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = _Seen(statement)
            if len(self._seen) > KEPT:
                self._seen.popitem(last=False)
            return None
        self._seen.move_to_end(key)
        if not seen.again:
            seen.form, seen.again = self._compiled(statement, names), True
        return seen.form

    def _compiled(self, statement: Any, names: tuple[str, ...]) -> _Form | None:
        made = statement.compile(dialect=self.dialect, column_keys=list(names))
        binds = [made.binds[name] for name in made.positiontup]
        if made.post_compile_params or made.insert_prefetch or made.update_prefetch:
            return None  # a list of any length, or a default that Python gives
        if any(bind.callable or (bind.required and bind.key not in names) for bind in binds):
            return None
        columns = made._result_columns
        return _Form(
            made.string,
            tuple((name, made._bind_processors.get(name)) for name in made.positiontup),
            {name: bind.value for bind, name in zip(binds, made.positiontup, strict=True) if not bind.required},
            SimpleResultMetaData([one.keyname for one in columns]) if columns else None,
            tuple(one.type._cached_result_processor(self.dialect, None) for one in columns) if columns else None,
        )
