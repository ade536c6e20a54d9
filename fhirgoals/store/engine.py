"""Opens the store: one way in for SQLite and PostgreSQL, with its schema checked and its transactions kept short.

A transaction is synchronous and spans no network call: one that is held over an `await` is refused.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from fhirgoals.domain.identity import Installation
from fhirgoals.errors import Bug, StoreError
from fhirgoals.store import restored, schema
from fhirgoals.store.faults import Mode, store_errors
from fhirgoals.store.tx import Tx

_MODE = "fhirgoals_mode"
_MIGRATION_LOCK = 0x666867  # any fixed number: one migration at a time in a PostgreSQL database


def open_store(
    url: str,
    *,
    create: bool = True,
    upgrade: bool = False,
    busy_timeout_s: float = 5.0,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Store:
    """Open the store at a database URL (`sqlite:///FILE`, `sqlite://` in memory, `postgresql://…`).

    `create` makes the tables where the database is empty; `upgrade` brings an older store up to date.
    `busy_timeout_s` is how long a locked store is waited for. Raises `StoreError` where the store can't be used.
    """
    store = Store(url, busy_timeout_s=busy_timeout_s, clock=clock)
    try:
        store.prepare(create=create, upgrade=upgrade)
    except BaseException:
        store.close()
        raise
    return store


class Store:
    """An open store; made by `open_store`. Safe to use from several threads."""

    def __init__(self, url: str, *, busy_timeout_s: float, clock: Callable[[], datetime]) -> None:
        self._url = _parsed(url)
        self._shown = self._url.render_as_string(hide_password=True)
        self._busy_timeout_s = busy_timeout_s
        self._clock = clock
        self._in_memory = self._url.get_backend_name() == "sqlite" and self._url.database in (None, "", ":memory:")
        # One connection holds a store in memory, so its users take turns.
        self._turn = threading.Lock() if self._in_memory else None
        self._thread = threading.local()
        self._closed = False
        self._installation: Installation | None = None
        self._wrote = False
        self.paused: tuple[str, ...] = ()
        """Connections that opening paused, since the store was restored or copied."""
        self._engine = _engine(self._url, self._in_memory, busy_timeout_s)

    @property
    def installation(self) -> Installation:
        """This installation's two UUIDs, minted when the store was made."""
        if self._installation is None:
            raise Bug("the store was not opened by `open_store`")
        return self._installation

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A transaction that sees one state of the store and writes nothing."""
        with self._begin("read") as connection:
            yield Tx(connection)

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """A transaction that is committed at the end of its block, or leaves no trace where the block raises."""
        with self._begin("write") as connection:
            yield Tx(connection)
        self._wrote = True

    def prepare(self, *, create: bool, upgrade: bool) -> None:
        """Check the schema's version and load the installation; see `open_store`."""
        file = None if self._in_memory or self._url.get_backend_name() != "sqlite" else str(self._url.database)
        if file and not file.startswith("file:") and not Path(file).exists():
            if not create:
                raise StoreError(f"there is no store {self._shown}: `fhirgoals put` makes one")
            if Path(file).parent.is_dir():
                # Nobody else on the machine may read it; SQLite gives its log the same rights.
                with suppress(OSError):
                    Path(file).touch(mode=0o600)
        with self._begin("read") as connection:
            version = self._version(connection)
        if version is None and not create:
            raise StoreError(f"the store {self._shown} is empty: `fhirgoals put` fills one")
        if version is None or (upgrade and version != schema.REVISIONS[-1]):
            self.upgrade()
        elif fault := version_fault(version):
            raise StoreError(f"the store {self._shown} {fault}")
        with self._begin("read") as connection:
            row = connection.execute(sa.select(schema.installation)).one()
            at_home = self._at_home(connection)
        self._installation = Installation(row.identifier_system, UUID(row.namespace))
        if not at_home:
            self._settle()

    def note_lines(self) -> None:
        """Write beside an SQLite file how far its audit has come; call where much was written, as after each run."""
        if restored.file_of(self._url) is not None:
            with self._begin("read") as connection:
                lines = restored.lines_of(connection)
            restored.note_lines(self._url, lines)
            self._wrote = False

    def _at_home(self, connection: sa.Connection) -> bool:
        """Tell whether the store lies where it lay, and is no older than it was."""
        home = restored.home_of(connection, self._url)
        if home is None:
            return True
        kept = connection.scalar(sa.select(schema.installation.c.home))
        return kept == home and restored.lines_of(connection) >= restored.lines_seen(self._url)

    def _settle(self) -> None:
        """Keep where a new store lies; pause what is armed in one that was restored, copied or moved."""
        file = restored.file_of(self._url)
        if file is not None and not os.access(file, os.W_OK):
            return  # nothing can be sent from it either
        with self._begin("write") as connection:
            if self._at_home(connection):
                return  # another process was first
            home = restored.home_of(connection, self._url)
            fresh = connection.scalar(sa.select(schema.installation.c.home)) is None
            if fresh and restored.lines_of(connection) >= restored.lines_seen(self._url):
                restored.keep_home(connection, home)
            else:
                self.paused = restored.settle(connection, home, self._clock())
            lines = restored.lines_of(connection)
        restored.note_lines(self._url, lines)

    def upgrade(self) -> None:
        """Bring the schema to this program's version, in one transaction; a store that is there already stays as is."""
        from fhirgoals.store.migrations import migrate  # noqa: PLC0415 (Alembic is slow to import and rarely needed)

        self._write_ahead()
        with self._begin("migrate") as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            if self._version(connection) == schema.REVISIONS[-1]:
                return
            migrate(connection, "head")
            if connection.scalar(sa.select(schema.installation.c.id)) is None:
                connection.execute(
                    sa.insert(schema.installation).values(
                        id=1, identifier_system=uuid4().urn, namespace=str(uuid4()), created_at=self._clock()
                    )
                )

    def close(self) -> None:
        """Close all database connections; a second time does nothing."""
        if self._wrote and not self._closed:
            with suppress(StoreError):
                self.note_lines()
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _begin(self, mode: Mode) -> Iterator[sa.Connection]:
        if self._closed:
            raise StoreError(f"the store {self._shown} is closed")
        if getattr(self._thread, "busy", False):
            raise Bug("a transaction inside a transaction")
        self._thread.busy = True
        try:
            options: dict[str, Any] = {_MODE: mode}
            if mode == "read" and self._engine.dialect.name == "postgresql":
                options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            with (
                store_errors(self._shown, mode, self._busy_timeout_s),
                self._turn or nullcontext(),
                self._engine.execution_options(**options).begin() as connection,
                _no_await(),
            ):
                yield connection
        finally:
            self._thread.busy = False

    def _version(self, connection: sa.Connection) -> str | None:
        """Return the schema's version, `None` for an empty database; raises `StoreError` for any other."""
        tables = set(sa.inspect(connection).get_table_names())
        if schema.VERSION_TABLE not in tables:
            # A PostgreSQL database may be shared with others, a file may not.
            strange = tables if connection.dialect.name == "sqlite" else tables & set(schema.metadata.tables)
            if strange:
                raise StoreError(f"{self._shown} belongs to another program: name another database")
            return None
        version = connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(schema.VERSION_TABLE)))
        if version is not None and version not in schema.REVISIONS:
            raise StoreError(f"the store {self._shown} {version_fault(version)}")
        return version

    def _write_ahead(self) -> None:
        """Let readers go on while somebody writes (SQLite keeps the setting in the file)."""
        if self._engine.dialect.name != "sqlite" or self._in_memory:
            return
        with store_errors(self._shown, "write", self._busy_timeout_s), self._engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            if raw is not None:
                raw.execute("PRAGMA journal_mode=WAL")


def version_fault(version: str, known: Sequence[str] = schema.REVISIONS) -> str | None:
    """Return what is wrong with a store at that schema version, and what to do; `None` where it is the newest known."""
    if version not in known:
        return f"was written by a newer fhirgoals (schema {version}): use that one"
    if version != known[-1]:
        return f"is of an older fhirgoals (schema {version}): make a backup, then run `fhirgoals db upgrade`"
    return None


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        raise StoreError("the store's URL can't be read: write sqlite:///FILE or postgresql://…") from None
    match backend:
        case "sqlite":
            return parsed
        case "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        case _:
            raise StoreError("the store's URL names an unknown database: write sqlite:///FILE or postgresql://…")


def _engine(url: sa.URL, in_memory: bool, busy_timeout_s: float) -> sa.Engine:
    # Values are clinical: they never get into an error's text.
    common: dict[str, Any] = {"hide_parameters": True}
    if url.get_backend_name() == "sqlite":
        options: dict[str, Any] = {"timeout": busy_timeout_s}
        if in_memory:
            common |= {"poolclass": StaticPool}
            options |= {"check_same_thread": False}
        engine = sa.create_engine(url, connect_args=options, **common)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = sa.create_engine(
            url, connect_args={"connect_timeout": max(2, round(busy_timeout_s))}, pool_pre_ping=True, **common
        )
    except ImportError:
        raise StoreError("the driver for PostgreSQL is not installed: `pip install fhirgoals[postgres]`") from None
    lock_timeout_ms = round(busy_timeout_s * 1000)

    def prepare(raw: Any, _record: object) -> None:
        raw.execute(f"SET lock_timeout = {lock_timeout_ms}")
        raw.commit()

    sa.event.listen(engine, "connect", prepare)
    return engine


def _prepare_sqlite(raw: Any, _record: object) -> None:
    # The driver would begin transactions late and by itself; `_begin_sqlite` does it.
    raw.isolation_level = None
    # FULL: what is committed survives a power cut, also with a write-ahead log.
    raw.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    mode: Mode | None = connection.get_execution_options().get(_MODE)
    reads = mode == "read"
    connection.exec_driver_sql(f"PRAGMA query_only={int(reads)}")
    # Off while tables are rebuilt, as SQLite's page on ALTER TABLE asks.
    connection.exec_driver_sql(f"PRAGMA foreign_keys={int(mode != 'migrate')}")
    # Writers take the lock at once: one that began by reading could not get it any more without starting again.
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def _no_await() -> Iterator[None]:
    """Refuse a block during which an event loop of this thread went on to something else."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        yield
        return
    went_on = threading.Event()
    watch = loop.call_soon(went_on.set)
    try:
        yield
    finally:
        watch.cancel()
    if went_on.is_set():
        raise Bug("a transaction was held over an await; nothing was written")
