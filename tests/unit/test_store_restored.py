"""A store that was restored, copied or moved writes nowhere until a person looked (design 5.13)."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from fhirgoals.cli.main import main
from fhirgoals.store import Store, open_store, schema
from fhirgoals.store.engine import _parsed
from fhirgoals.store.migrations import migrate, migrate_down
from fhirgoals.store.restored import REASON, home_of, lines_of, lines_seen
from tests.unit.store_fixtures import NOW, a_plan, save, store_url

__all__ = ["store_url"]

CONFIG = {"base_url": "http://127.0.0.1:9/fhir"}


@pytest.fixture
def file(store_url: str) -> Path:
    """The file of a store with an armed, a paused and an observing connection."""
    store = open_store(store_url)
    with store.write() as tx:
        save(tx, a_plan())
        for name in ("armed", "paused", "watching"):
            tx.connections.add(name, CONFIG, at=NOW, by="it-1")
        for name in ("armed", "paused"):
            tx.connections.set_state(name, "armed", by="it-1", reason="seen", at=NOW)
            tx.audit.write(at=NOW, actor="it-1", action="ehr_arm", connection=name)
        tx.connections.set_state("paused", "paused", by="it-1", reason="by hand", at=NOW)
    store.close()
    return Path(store_url.removeprefix("sqlite:///"))


def opened(file: Path) -> Store:
    return open_store(f"sqlite:///{file}", create=False)


def states(file: Path) -> dict[str, tuple[str, str | None]]:
    """Return each connection's state and reason, as an opening finds or leaves them."""
    store = opened(file)
    with store.read() as tx:
        found = {one.name: (one.state, one.state_reason) for one in tx.connections.list()}
    store.close()
    return found


def armed(file: Path) -> bool:
    return states(file)["armed"][0] == "armed"


def work(file: Path, times: int = 1) -> None:
    """Do something that the audit knows of."""
    store = opened(file)
    with store.write() as tx:
        for _ in range(times):
            tx.audit.write(at=NOW, actor="sync", action="push", connection="armed")
    store.close()


def test_a_store_that_stays_where_it_is_stays_armed(file: Path) -> None:
    """However often it is opened and written, under whatever way its path is put."""
    for _ in range(3):
        work(file)
        assert armed(file)
    assert armed(file.parent / "." / file.name)
    link = file.with_name("link.db")
    link.symlink_to(file)
    assert armed(link)
    assert lines_seen(_parsed(f"sqlite:///{file}")) == 5


def test_a_copy_starts_paused_and_the_original_stays_armed(file: Path, tmp_path: Path) -> None:
    """Only what was armed is paused, with the reason and what to do; each line is in the audit."""
    copy = tmp_path / "copy.db"
    shutil.copy(file, copy)
    store = opened(copy)
    assert store.paused == ("armed",)
    with store.read() as tx:
        rows = [(row.actor, row.connection, row.detail) for row in tx.audit.list() if row.action == "ehr_pause"]
    store.close()
    assert rows == [("store", "armed", {"why": "store_restored"})]
    assert states(copy) == {
        "armed": ("paused", REASON),
        "paused": ("paused", "by hand"),
        "watching": ("observe", None),
    }
    assert armed(file)


def test_what_was_looked_at_is_armed_again_for_good(file: Path, tmp_path: Path) -> None:
    """After `ehr resume` the copy has a home of its own; it is not paused once more."""
    copy = tmp_path / "copy.db"
    shutil.copy(file, copy)
    assert not armed(copy)
    assert main(["--store", f"sqlite:///{copy}", "ehr", "resume", "armed"]) == 0
    assert armed(copy)
    assert armed(copy)


def test_an_older_backup_put_over_the_file_starts_paused(file: Path, tmp_path: Path) -> None:
    """The same file at the same place, with fewer audit lines than it was left with."""
    backup = tmp_path / "backup"
    shutil.copyfile(file, backup)
    work(file, 10)
    assert armed(file)
    with file.open("r+b") as over:  # in place: the same inode
        over.write(backup.read_bytes())
        over.truncate()
    assert not armed(file)
    assert main(["--store", f"sqlite:///{file}", "ehr", "resume", "armed"]) == 0
    work(file)
    assert armed(file)


def test_a_moved_store_starts_paused(file: Path) -> None:
    """A file that was renamed may have been moved to another machine: a person looks."""
    moved = file.with_name("moved.db")
    file.rename(moved)
    assert not armed(moved)


def test_a_new_store_at_an_old_place_is_new(file: Path) -> None:
    """What is left beside a store that was deleted does not pause the next one."""
    work(file, 10)
    file.unlink()
    store = open_store(f"sqlite:///{file}")
    assert store.paused == ()
    with store.write() as tx:
        tx.connections.add("armed", CONFIG, at=NOW, by="it-1")
        tx.connections.set_state("armed", "armed", by="it-1", reason=None, at=NOW)
    store.close()
    assert armed(file)


def test_a_store_without_its_side_file_is_as_it_was(file: Path) -> None:
    """The file beside it is deleted, empty or no number: nothing is concluded from that."""
    seen = file.with_name(file.name + ".seen")
    for content in (None, "", "x\n"):
        seen.unlink() if content is None else seen.write_text(content)
        assert armed(file)


def test_a_store_in_memory_and_one_opened_for_reading_have_no_home() -> None:
    """Neither has a file that could be copied, or is kept as it is."""
    for url in ("sqlite://", "sqlite:///file:x.db?mode=ro&uri=true"):
        parsed = _parsed(url)
        with sa.create_engine("sqlite://").connect() as connection:
            assert home_of(connection, parsed) is None


def test_one_of_two_that_open_at_once_pauses(file: Path, tmp_path: Path) -> None:
    """The second finds it done; each line stands once in the audit."""
    copy = tmp_path / "copy.db"
    shutil.copy(file, copy)
    first, second = opened(copy), opened(copy)
    assert (first.paused, second.paused) == (("armed",), ())
    first.close()
    second.close()


def test_it_is_said_once(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that opens a copy first says which connections are paused and what is next; the second does not."""
    copy = tmp_path / "copy.db"
    shutil.copy(file, copy)
    capsys.readouterr()
    assert main(["--store", f"sqlite:///{copy}", "ehr", "list", "--json"]) == 0
    told = capsys.readouterr()
    assert "writes nothing to armed." in " ".join(told.err.split())  # folded at the terminal's width
    assert "ehr resume" in told.err
    assert '"paused"' in told.out
    assert main(["--store", f"sqlite:///{copy}", "ehr", "list", "--json"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["--store", f"sqlite:///{copy}", "sync", "armed"]) == 2
    assert REASON in capsys.readouterr().err


def test_an_upgrade_keeps_everything(file: Path) -> None:
    """From the first schema with data in it: the plan, the states and the audit stay, and nothing is paused."""
    before = states(file)
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        migrate_down(connection, "0001")
        assert "home" not in {one["name"] for one in sa.inspect(connection).get_columns("installation")}
    with engine.begin() as connection:
        lines = lines_of(connection)
        assert lines == 2
    engine.dispose()
    with pytest.raises(Exception, match="fhirgoals db upgrade"):
        opened(file)
    assert main(["--store", f"sqlite:///{file}", "db", "upgrade"]) == 0
    assert states(file) == before
    store = opened(file)
    with store.read() as tx:
        assert tx.plans.ids() == ("plan-1",)
        assert lines_of(tx._connection) == lines
        assert tx._connection.scalar(sa.select(schema.installation.c.home)) is not None
    store.close()


def test_the_first_schema_is_still_made_and_brought_up(store_url: str) -> None:
    """A store that the first version made, filled and left is opened by this one after the upgrade."""
    file = store_url.removeprefix("sqlite:///")
    engine = sa.create_engine(store_url)
    with engine.begin() as connection:
        migrate(connection, "0001")
    engine.dispose()
    with sqlite3.connect(file) as raw:
        raw.execute(
            "INSERT INTO installation VALUES (1, 'urn:uuid:x', '00000000-0000-0000-0000-000000000001',"
            " '2026-01-01T00:00:00.000000Z')"
        )
        raw.execute("INSERT INTO audit VALUES (7, '2026-01-01T00:00:00.000000Z', 'it-1', 'ehr_add', NULL, NULL, '{}')")
    raw.close()
    store = open_store(store_url, upgrade=True)
    assert store.installation.identifier_system == "urn:uuid:x"
    with store.read() as tx:
        assert [row.id for row in tx.audit.list()] == [7]
    store.close()
