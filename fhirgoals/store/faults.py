"""What a database's refusal means, in one place: each becomes one sentence that says who must do what.

Database errors carry the statement and its values, which are clinical: none of their text goes on, and none is chained.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import sqlalchemy as sa

from fhirgoals.errors import Bug, FhirgoalsError, Outdated, StoreError

Mode = Literal["read", "write", "migrate"]

_UNIQUE = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "23505"}
_LOCKED = {"SQLITE_BUSY", "SQLITE_LOCKED", "55P03"}
_CROSSED = {"40001", "40P01"}
_READ_ONLY = {"SQLITE_READONLY", "25006"}
_FULL = {"SQLITE_FULL", "53100"}
_NO_STORE = {"SQLITE_NOTADB"}
_DAMAGED = {"SQLITE_CORRUPT", "XX001", "XX002"}
_CANT_OPEN = {"SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH"}
_NOT_ALLOWED = {"42501", "28P01", "28000"}
_NO_DATABASE = {"3D000"}


@contextmanager
def store_errors(shown: str, mode: Mode, busy_timeout_s: float) -> Iterator[None]:
    """Turn the database's errors into ours; `shown` is the store's address without a password."""
    try:
        yield
    except FhirgoalsError:
        raise
    except sa.exc.DBAPIError as error:
        raise _ours(error, shown, mode, busy_timeout_s) from None
    except sa.exc.StatementError:
        raise Bug("a value of a type or zone that the store does not keep; nothing was written") from None
    except sa.exc.TimeoutError:
        raise StoreError(
            f"the store {shown} is busy: no free database connection; nothing was written, try again"
        ) from None


def _ours(error: sa.exc.DBAPIError, shown: str, mode: Mode, busy_timeout_s: float) -> FhirgoalsError:
    codes = _codes(error)
    if codes & _UNIQUE:
        return Outdated("somebody else wrote the same row at the same moment; nothing was written: read again")
    if isinstance(error, sa.exc.IntegrityError):
        return Bug(f"the store refused a row ({_first(codes)}); nothing was written")
    if isinstance(error, sa.exc.DataError | sa.exc.ProgrammingError) and not codes & _NOT_ALLOWED:
        return Bug(f"the store can't keep a value, or not read a statement ({_first(codes)}); nothing was written")
    if codes & _READ_ONLY and mode == "read":
        return Bug("a write inside `store.read()`; nothing was written")
    return StoreError(f"the store {shown} {_sentence(codes, busy_timeout_s)}; nothing was written")


def _sentence(codes: set[str], busy_timeout_s: float) -> str:
    table = (
        (_LOCKED, f"is locked by another process for more than {busy_timeout_s:g} s: wait for it or end it"),
        (_CROSSED, "was written by another process at the same moment: try again"),
        (_READ_ONLY, "is read-only: give this user the right to write to the file and its folder"),
        (_FULL, "has no space left: make room on its disk and try again"),
        (_NO_STORE, "is not a database: name another file, or move this one away"),
        (_DAMAGED, "is damaged: restore it from a backup"),
        (_CANT_OPEN, "can't be opened: check that its folder exists and that this user may read and write there"),
        (_NOT_ALLOWED, "refused this user: check user, password and rights"),
        (_NO_DATABASE, "names a database that does not exist: create it"),
    )
    for known, sentence in table:
        if codes & known:
            return sentence
    if not codes:
        return "can't be reached: check that the database runs, and its address, user and password"
    return f"failed ({_first(codes)}): check its disk and its database"


def _codes(error: sa.exc.DBAPIError) -> set[str]:
    """Return the codes of the database's error: SQLite's names (extended and primary) or PostgreSQL's SQLSTATE."""
    if state := getattr(error.orig, "sqlstate", None):
        return {str(state)}
    if name := getattr(error.orig, "sqlite_errorname", None):
        return {str(name), "_".join(str(name).split("_")[:2])}
    return set()


def _first(codes: set[str]) -> str:
    return max(codes, key=len, default="no code")
