"""The store on PostgreSQL: every test of the store that is not of SQLite's files, and what only PostgreSQL can show."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from fhirgoals.domain.records import Plan
from fhirgoals.errors import Outdated, Refused, StoreError
from fhirgoals.store import Store, open_store
from tests.unit import (
    test_store_connections,
    test_store_inbox,
    test_store_links,
    test_store_people,
    test_store_plans,
    test_store_transactions,
)
from tests.unit.store_fixtures import NOW, a_plan, later, plan, save, store, with_text

__all__ = ["plan", "store"]

pytestmark = pytest.mark.servers

for _module in (
    test_store_connections,
    test_store_inbox,
    test_store_links,
    test_store_people,
    test_store_plans,
    test_store_transactions,
):
    globals().update({name: value for name, value in vars(_module).items() if name.startswith("test_")})


@pytest.fixture
def store_url(postgres_database: str) -> str:
    """A fresh, empty PostgreSQL database."""
    return postgres_database


def test_lease_can_not_be_taken_while_its_owner_commits(store: Store, store_url: str) -> None:
    """Between the check of a fence and the commit nobody else gets the lease."""
    with store.write() as tx:
        fence = tx.connections.acquire("ehr-a", "w1", 1, NOW)
        assert fence is not None
    other = open_store(store_url, busy_timeout_s=0.2)
    with store.write() as tx:
        tx.connections.check_fence("ehr-a", fence)
        with pytest.raises(StoreError, match="locked"), other.write() as late:
            late.connections.acquire("ehr-a", "w2", 30, later(60))
    with other.write() as late:
        assert late.connections.acquire("ehr-a", "w2", 30, later(60)) == fence + 1
    with pytest.raises(Refused), store.write() as tx:
        tx.connections.check_fence("ehr-a", fence)
    other.close()


@pytest.mark.parametrize("expect", [None, 1])
def test_of_two_saves_at_once_one_is_refused(store: Store, store_url: str, plan: Plan, expect: int | None) -> None:
    """Two processes that save the same plan over the same revision, new or not: one is saved, the other is told."""
    mine = plan if expect else a_plan("plan-2")
    other = open_store(store_url, busy_timeout_s=10)
    caught: list[Exception] = []

    def late() -> None:
        try:
            with other.write() as tx:
                save(tx, with_text(mine, "late"), expect)
        except Outdated as error:
            caught.append(error)

    thread = threading.Thread(target=late)
    with store.write() as tx:
        save(tx, with_text(mine, "first"), expect)
        thread.start()
        # The other one is waiting for our row before we commit.
        waiting = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = :name")
        engine = sa.create_engine(store_url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watch:
            assert any(watch.scalar(waiting, {"name": engine.url.database}) for _ in range(10_000))
        engine.dispose()
    thread.join(timeout=30)
    assert len(caught) == 1
    with store.read() as tx:
        stored = tx.plans.get(mine.id)
        assert stored is not None
        assert stored.plan.goals[0].text == "first"
    other.close()


@pytest.mark.parametrize("table", ["audit", "plan_revisions"])
def test_record_can_not_be_truncated(store: Store, store_url: str, table: str) -> None:
    """PostgreSQL's TRUNCATE is refused as well."""
    engine = sa.create_engine(store_url.replace("postgresql://", "postgresql+psycopg://"))
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {table} CASCADE")
    engine.dispose()


def test_database_may_be_shared(store_url: str) -> None:
    """Tables of others do not keep us from a database, and stay as they are."""
    engine = sa.create_engine(store_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (x integer)")
    open_store(store_url).close()
    with engine.connect() as connection:
        assert "theirs" in sa.inspect(connection).get_table_names()
    engine.dispose()


def test_missing_database_is_named(store_url: str) -> None:
    """A database that is not there is an error that says so."""
    with pytest.raises(StoreError, match="can't be reached"):
        open_store(store_url + "_none")


def test_a_copied_database_starts_paused(store_url: str) -> None:
    """A database made from this one as its template lies elsewhere; the one it was made from stays armed."""
    store = open_store(store_url)
    with store.write() as tx:
        tx.connections.add("ehr-c", {}, at=NOW, by="it-1")
        tx.connections.set_state("ehr-c", "armed", by="it-1", reason=None, at=NOW)
    store.close()
    again = open_store(store_url)
    assert again.paused == ()
    again.close()
    url = sa.make_url(store_url.replace("postgresql://", "postgresql+psycopg://"))
    engine = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    copy = f"{url.database}_copy"
    try:
        with engine.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{copy}" TEMPLATE "{url.database}"'))
        copied = open_store(str(store_url).replace(f"/{url.database}", f"/{copy}"))
        assert copied.paused == ("ehr-c",)
        with copied.read() as tx:
            known = tx.connections.get("ehr-c")
            assert known is not None
            assert (known.state, known.state_by) == ("paused", "store")
        copied.close()
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)'))
        engine.dispose()
    original = open_store(store_url)
    assert original.paused == ()
    original.close()
