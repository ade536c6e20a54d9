"""The store of a simulated world: the product's schema and repositories over one SQLite connection, without threads.

A process keeps one connection; a world starts by taking a finished database over as bytes (migrations and the first
push are played once per process and kind of world). Reads and writes have the same API as `store.threads.AsyncStore`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from fhirgoals.domain.identity import Installation
from fhirgoals.store import schema
from fhirgoals.store.migrations import migrate
from fhirgoals.store.tx import Tx
from tests.simulate.direct import Direct
from tests.simulate.machine import Life, give_way

INSTALLATION = Installation(UUID(int=0x51).urn, UUID(int=0x52))
"""Fixed, so that all ids of a run are the same each time."""


@dataclass
class Database:
    """One SQLite database in memory that can be left as bytes and taken up again."""

    connection: Any
    """As repositories take it: a `sa.Connection`, or what stands for one."""
    raw: sqlite3.Connection
    installation: Installation = INSTALLATION

    def leave(self) -> bytes:
        """Return the whole database."""
        return self.raw.serialize()

    def take_up(self, image: bytes) -> None:
        """Become that database."""
        self.raw.deserialize(image)
        self.raw.execute("PRAGMA foreign_keys=1")

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """One transaction that writes nothing."""
        yield Tx(self.connection)

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """One transaction that is kept, or leaves no trace where the block raises."""
        self.raw.execute("BEGIN")
        try:
            yield Tx(self.connection)
        except BaseException:
            self.raw.execute("ROLLBACK")
            raise
        self.raw.execute("COMMIT")


@cache
def database() -> Database:
    """Return the process's database, empty at first; the world that was made last owns it."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    connection = engine.connect()
    raw = connection.connection.dbapi_connection
    raw.isolation_level = None
    return Database(Direct(connection, raw), raw)


@cache
def empty() -> bytes:
    """Return a migrated database with nothing in it."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as connection:
        migrate(connection, "head")
        row = {"identifier_system": INSTALLATION.identifier_system, "namespace": str(INSTALLATION.namespace)}
        connection.execute(
            sa.insert(schema.installation).values(id=1, created_at=datetime(2026, 1, 1, tzinfo=UTC), **row)
        )
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        image: bytes = raw.serialize()
    engine.dispose()
    return image


@dataclass
class Front:
    """The store as one process sees it: each call is one transaction, before and after which the process may die."""

    store: Database
    life: Life = field(default_factory=lambda: Life(None, 0.0))  # type: ignore[arg-type]

    async def write(self, fn: Callable[[Tx], Any]) -> Any:
        """Return `fn(tx)`; nobody else comes between its end and what the process does next."""
        await give_way()
        self.life.step()
        with self.store.write() as tx:
            result = fn(tx)
        self.life.step()
        return result

    async def read(self, fn: Callable[[Tx], Any]) -> Any:
        """Return `fn(tx)` of one state of the store."""
        await give_way()
        self.life.step()
        with self.store.read() as tx:
            return fn(tx)
