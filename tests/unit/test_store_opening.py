"""Opening a SQLite store: what it can't be used for is said in one sentence, and nothing is half written."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from fhirgoals.domain.identity import wire_id
from fhirgoals.errors import StoreError
from fhirgoals.store import Store, migrations, open_store, schema
from fhirgoals.store.engine import version_fault
from tests.unit.store_fixtures import NOW, a_plan, save, store_url, with_text

__all__ = ["store_url"]


@contextmanager
def only_pages(pages: int) -> Iterator[None]:
    """Let every SQLite database opened meanwhile grow to that many pages: a full disk."""

    def limit(raw: Any, _record: object) -> None:
        raw.execute(f"PRAGMA max_page_count={pages}")

    sa.event.listen(sa.Engine, "connect", limit)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "connect", limit)


def _save_many(store: Store, characters: int) -> None:
    """Save 50 plans with a long text each, in one transaction."""
    with store.write() as tx:
        for number in range(50):
            save(tx, with_text(a_plan(f"plan-{number}"), "x" * characters))


def test_text_file_is_no_store(tmp_path: Path) -> None:
    """A file that is no database is refused and stays as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("not a database, " * 100)
    with pytest.raises(StoreError, match="is not a database"):
        open_store(f"sqlite:///{file}")
    assert file.read_text() == "not a database, " * 100


def test_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """A database with tables that are not ours gets none of ours."""
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(StoreError, match="belongs to another program"):
        open_store(f"sqlite:///{file}")


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A store in a folder that is not there can't be opened."""
    with pytest.raises(StoreError, match="check that its folder exists"):
        open_store(f"sqlite:///{tmp_path / 'no' / 'store.db'}")


def test_store_is_not_made_where_it_must_be_there(store_url: str, tmp_path: Path) -> None:
    """Without `create` a missing or empty file is an error and no file appears."""
    with pytest.raises(StoreError, match="there is no store"):
        open_store(store_url, create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "store.db").touch()
    with pytest.raises(StoreError, match="is empty"):
        open_store(store_url, create=False)
    open_store(store_url).close()
    open_store(store_url, create=False).close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://localhost/x", "postgresql://h:port/x"])
def test_url_of_no_store_is_refused(url: str) -> None:
    """A URL that names no SQLite file and no PostgreSQL is a clear error."""
    with pytest.raises(StoreError, match="URL"):
        open_store(url)


def test_unreachable_server_is_an_error_without_the_password() -> None:
    """A PostgreSQL that does not answer is named without the password in its URL."""
    with pytest.raises(StoreError, match="can't be reached") as caught:
        open_store("postgresql://someone:SECRET@127.0.0.1:1/none", busy_timeout_s=0.1)
    assert "SECRET" not in str(caught.value)
    assert "someone" in str(caught.value)


def test_newer_store_is_not_touched(store_url: str) -> None:
    """A store of a schema that this program does not know is refused, for reading too."""
    open_store(store_url).close()
    file = store_url.removeprefix("sqlite:///")
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE fhirgoals_version SET version_num = '9999'")
    raw.close()
    for upgrade in (False, True):
        with pytest.raises(StoreError, match="newer fhirgoals"):
            open_store(store_url, upgrade=upgrade)


def test_older_store_asks_for_the_upgrade() -> None:
    """A store of an older schema says which command brings it up to date."""
    assert "fhirgoals db upgrade" in (version_fault("0001", ("0001", "0002")) or "")
    assert "newer" in (version_fault("0003", ("0001", "0002")) or "")
    assert version_fault("0002", ("0001", "0002")) is None


def test_known_versions_are_the_migrations() -> None:
    """The list that opening checks against is the list of migration files."""
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert [each.revision for each in reversed(list(script.walk_revisions()))] == list(schema.REVISIONS)


def test_upgrade_of_a_current_store_changes_nothing(store_url: str) -> None:
    """Upgrading twice is harmless."""
    store = open_store(store_url)
    minted = store.installation
    store.upgrade()
    store.close()
    again = open_store(store_url, upgrade=True)
    assert again.installation == minted
    again.close()


def test_read_only_store_can_be_read(store_url: str) -> None:
    """A read-only file shows its plans, and says what is wrong when written to."""
    writable = open_store(store_url)
    with writable.write() as tx:
        save(tx, a_plan())
    read_only = open_store(f"sqlite:///file:{store_url.removeprefix('sqlite:///')}?mode=ro&uri=true", create=False)
    with pytest.raises(StoreError, match="is read-only"), read_only.write() as tx:
        save(tx, with_text(a_plan(), "b"), 1)
    with read_only.read() as tx:
        assert tx.plans.ids() == ("plan-1",)
    read_only.close()
    writable.close()


def test_full_disk_leaves_nothing_half_written(store_url: str) -> None:
    """A save that runs out of space leaves no row, and works again when there is room."""
    open_store(store_url).close()
    with only_pages(120):
        full = open_store(store_url)
        with pytest.raises(StoreError, match="has no space left"):
            _save_many(full, 20_000)
        with full.read() as tx:
            assert tx.plans.ids() == ()
            assert tx.people.list() == ()
        full.close()
    roomy = open_store(store_url)
    _save_many(roomy, 20_000)
    roomy.close()


def test_full_disk_at_creation_leaves_an_empty_database(store_url: str) -> None:
    """A store that could not be made whole is not there at all, and can be made later."""
    with only_pages(10), pytest.raises(StoreError, match="has no space left"):
        open_store(store_url)
    open_store(store_url).close()


def test_damaged_store_is_named(store_url: str) -> None:
    """A store whose file was overwritten in the middle asks for its backup."""
    store = open_store(store_url)
    _save_many(store, 5_000)
    store.close()
    file = Path(store_url.removeprefix("sqlite:///"))
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError, match=r"damaged|not a database"):
        open_store(store_url)


def test_commits_survive_a_power_cut(store_url: str) -> None:
    """The file is in write-ahead mode and each connection waits for the disk at commit."""
    store = open_store(store_url)
    with store.write() as tx:
        settings = {
            name: tx._connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "query_only")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "query_only": 0}
    store.close()


def test_store_in_memory_serves_all_threads() -> None:
    """`sqlite://` is one store for all threads of the process, for tests and previews."""
    store = open_store("sqlite://")

    def work(number: int) -> None:
        with store.write() as tx:
            save(tx, a_plan(f"plan-{number}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert len(tx.plans.ids()) == 8
    store.close()


def test_store_is_for_its_user_alone(store_url: str, tmp_path: Path) -> None:
    """Neither the new file nor its log can be read by other users."""
    store = open_store(store_url)
    with store.write() as tx:
        save(tx, a_plan())
        rights = {file.name: file.stat().st_mode & 0o077 for file in tmp_path.iterdir()}
    assert rights.keys() >= {"store.db", "store.db-wal"}
    assert set(rights.values()) == {0}
    store.close()


def test_clock_is_an_argument(store_url: str) -> None:
    """The time of creation is the clock's."""
    store = open_store(store_url, clock=lambda: NOW)
    with store.read() as tx:
        assert tx._connection.scalar(sa.select(schema.installation.c.created_at)) == NOW
    store.close()


def test_wire_id_tells_two_things_apart() -> None:
    """Kind, plan and id all count, also where an id holds a slash; the same three give the same id."""
    store = open_store("sqlite://")
    mine = store.installation
    store.close()
    ids = {
        mine.wire_id("Goal", "plan-1", "g1"),
        mine.wire_id("CarePlan", "plan-1", "g1"),
        mine.wire_id("Goal", "plan-2", "g1"),
        mine.wire_id("Goal", "a/b", "c"),
        mine.wire_id("Goal", "a", "b/c"),
        mine.wire_id("Goal", "a%2Fb", "c"),
    }
    assert len(ids) == 6
    assert wire_id(mine.namespace, "Goal", "plan-1", "g1") == mine.wire_id("Goal", "plan-1", "g1")
