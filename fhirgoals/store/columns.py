"""Column types that hold the same text on SQLite and on PostgreSQL: exact JSON and instants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Tree

_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"


class Json(sa.types.TypeDecorator[Tree]):
    """A JSON tree as text, with the digits and key order it came with; SQL NULL is `None`.

    Never a database's own JSON type: PostgreSQL's `jsonb` drops digits and key order and refuses an escaped NUL.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Tree, dialect: sa.Dialect) -> str | None:
        """Return the text that is stored."""
        return None if value is None else exact_json.dumps(value).decode()

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> Tree:
        """Return the tree of the stored text."""
        return None if value is None else exact_json.loads(value)


class Instant(sa.types.TypeDecorator[datetime]):
    """An instant in UTC as text of fixed width, so that order of text is order of time on both databases."""

    impl = sa.String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:
        """Return the text that is stored; raises `ValueError` for an instant without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC).strftime(_INSTANT)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        """Return the instant of the stored text."""
        return None if value is None else datetime.fromisoformat(value)
