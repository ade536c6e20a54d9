"""Knows a store that was restored from a backup, copied or moved: it pauses what was armed, for a person to look first.

Two installations that both believe to be the one would each send; one that lost its last days would overwrite what it
no longer remembers. Two marks tell: the store's *home*, kept inside it (a copy lies elsewhere), and for an SQLite file
the number of its last audit line, kept beside it in FILE.seen (an older backup put over the file has fewer lines).
Both are cautious: a file that was only renamed is paused too.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from fhirgoals.store import schema
from fhirgoals.store.tx import Tx

REASON = "store restored or copied: look at `fhirgoals preview`, then `fhirgoals ehr resume`"
"""Why such a connection is paused, as `ehr list` and every run tell it."""

_MACHINE = Path("/etc/machine-id")


def file_of(url: sa.URL) -> Path | None:
    """Return the file of an SQLite store; `None` for one in memory, one opened by an SQLite URI, and PostgreSQL."""
    name = url.database
    if url.get_backend_name() != "sqlite" or name in (None, "", ":memory:") or str(name).startswith("file:"):
        return None
    return Path(str(name))


def home_of(connection: sa.Connection, url: sa.URL) -> str | None:
    """Return a hash of where the store lies; `None` where that can't be told, as for a store in memory.

    A file: machine, inode and path. The number of its device is left out: it may change with every start of a machine.
    PostgreSQL: the cluster, its timeline (another one after a restore to a moment, and after a failover) and database.
    """
    if connection.dialect.name == "postgresql":
        return _hash(*_cluster(connection))
    file = file_of(url)
    if file is None:
        return None
    machine = ""
    with suppress(OSError):
        machine = _MACHINE.read_text(encoding="ascii", errors="replace").strip()
    return _hash(machine, str(file.stat().st_ino), str(file.resolve()))


def lines_of(connection: sa.Connection) -> int:
    """Return the number of the last line of the audit."""
    return int(connection.scalar(sa.select(sa.func.max(schema.audit.c.id))) or 0)


def lines_seen(url: sa.URL) -> int:
    """Return the number of the last audit line that the file was left with; 0 where nothing says so."""
    file = _seen(url)
    try:
        return int(file.read_text(encoding="ascii")) if file is not None else 0
    except (OSError, ValueError):
        return 0


def note_lines(url: sa.URL, lines: int) -> None:
    """Write beside the file which audit line is its last; where that can't be, an older backup is not known as one."""
    file = _seen(url)
    if file is None:
        return
    part = file.with_name(file.name + ".part")
    with suppress(OSError):
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(f"{lines}\n")
        part.replace(file)


def settle(connection: sa.Connection, home: str | None, at: datetime) -> tuple[str, ...]:
    """Pause every armed connection and keep the new home; return the names of those that were paused."""
    tx = Tx(connection)
    armed = tuple(one.name for one in tx.connections.list() if one.state == "armed")
    for name in armed:
        tx.connections.set_state(name, "paused", by="store", reason=REASON, at=at)
        tx.audit.write(at=at, actor="store", action="ehr_pause", connection=name, detail={"why": "store_restored"})
    keep_home(connection, home)
    return armed


def keep_home(connection: sa.Connection, home: str | None) -> None:
    """Keep where the store lies."""
    connection.execute(sa.update(schema.installation).values(home=home))


def _seen(url: sa.URL) -> Path | None:
    file = file_of(url)
    return None if file is None else file.with_name(file.name + ".seen")


def _cluster(connection: sa.Connection) -> tuple[str, ...]:
    database = connection.scalar(sa.text("SELECT oid FROM pg_database WHERE datname = current_database()"))
    found = [str(database)]
    # Some services keep these two from users: then the database's number has to do.
    for function, column in (("pg_control_system()", "system_identifier"), ("pg_control_checkpoint()", "timeline_id")):
        allowed = sa.text("SELECT has_function_privilege(:name, 'execute')").bindparams(name=function)
        if connection.scalar(allowed):
            found.append(str(connection.scalar(sa.text(f"SELECT {column} FROM {function}"))))  # noqa: S608 (our words)
    return tuple(found)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
