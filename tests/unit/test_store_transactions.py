"""Transactions: all or nothing, one at a time, short, and the same from threads and async code."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Pair, Unit
from fhirgoals.errors import Bug, Outdated, StoreError
from fhirgoals.store import AsyncStore, Store, open_store, schema
from fhirgoals.store.migrations import migrate, migrate_down
from tests.unit.store_fixtures import a_plan, plan, save, store, store_url, with_text

__all__ = ["plan", "store", "store_url"]

_OPEN = """
import sys
from fhirgoals.store import open_store
print(open_store(sys.argv[1], busy_timeout_s=30).installation.namespace)
"""

_SAVE_THEN_STAY = """
import sys
from fhirgoals.store import open_store
from tests.unit.store_fixtures import a_plan, save, with_text
store = open_store(sys.argv[1])
with store.write() as tx:
    save(tx, with_text(a_plan(), "committed"), 1)
with store.write() as tx:
    save(tx, with_text(a_plan(), "never committed"), 2)
    print("saved", flush=True)
    sys.stdin.read()
"""


def test_installation_is_minted_once(store_url: str) -> None:
    """A store keeps its two independent UUIDs for good."""
    first = open_store(store_url)
    minted = first.installation
    first.close()
    again = open_store(store_url)
    assert again.installation == minted
    assert minted.identifier_system.startswith("urn:uuid:")
    assert str(minted.namespace) not in minted.identifier_system
    assert str(minted.namespace) not in repr(minted)
    again.close()


def test_processes_that_create_a_store_together_make_one(store_url: str) -> None:
    """Several processes that open an empty database at once all find the same installation."""
    command = [sys.executable, "-W", "error", "-c", _OPEN, store_url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(set(answers)) == 1


def test_kill_9_in_a_transaction_leaves_the_last_commit(store: Store, store_url: str, plan: Plan) -> None:
    """A process killed inside a transaction loses that transaction whole, and nothing committed before."""
    command = [sys.executable, "-c", _SAVE_THEN_STAY, store_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "saved\n"
        process.kill()
    with store.write() as tx:
        stored = tx.plans.get("plan-1")
        assert stored is not None
        assert (stored.rev, stored.plan.goals[0].text) == (2, "committed")
        assert len(tx.plans.revisions("plan-1")) == 2
        save(tx, with_text(plan, "next"), 2)


def test_locked_store_says_so(store: Store, store_url: str, plan: Plan) -> None:
    """Who waits longer than the busy timeout for another process's lock is told, and wrote nothing."""
    other = open_store(store_url)
    with other.write() as held:
        save(held, with_text(plan, "theirs"), 1)
        with pytest.raises(StoreError, match=r"is locked by another process for more than 0\.2 s"), store.write() as tx:
            save(tx, with_text(plan, "ours"), 1)
        with store.read() as tx:
            stored = tx.plans.get("plan-1")
            assert stored is not None
            assert stored.rev == 1
    with pytest.raises(Outdated), store.write() as tx:
        save(tx, with_text(plan, "ours"), 1)
    other.close()


def test_error_of_the_database_holds_no_content(store: Store, store_url: str, plan: Plan) -> None:
    """Neither the message nor a chained error carries the statement's values."""
    other = open_store(store_url)
    with other.write() as held:
        save(held, with_text(plan, "theirs"), 1)
        with pytest.raises(StoreError) as caught, store.write() as tx:
            save(tx, with_text(plan, "SENTINEL-TEXT"), 1)
    other.close()
    assert "SENTINEL-TEXT" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_reader_sees_one_state(store: Store, store_url: str, plan: Plan) -> None:
    """What is committed while a reader reads is not seen by it, not even in other tables."""
    other = open_store(store_url)
    with store.read() as tx:
        assert tx.dirty.marked("ehr-a") == set()
        with other.write() as writer:
            save(writer, with_text(plan, "new"), 1)
        stored = tx.plans.get("plan-1")
        assert stored is not None
        assert (stored.rev, tx.dirty.marked("ehr-a")) == (1, set())
    with store.read() as tx:
        assert tx.dirty.marked("ehr-a") == {"plan-1"}
    other.close()


def test_reader_can_not_write(store: Store, plan: Plan) -> None:
    """A write in a reading transaction is a bug of ours, and nothing is written."""
    with pytest.raises(Bug, match="read"), store.read() as tx:
        save(tx, with_text(plan, "b"), 1)
    with store.read() as tx:
        assert tx.plans.at_revision("plan-1", 2) is None


def test_transaction_inside_a_transaction_is_refused(store: Store, plan: Plan) -> None:
    """One at a time per thread: an inner one would wait for the outer or miss what it wrote."""

    def nested() -> None:
        with store.write() as tx:
            save(tx, with_text(plan, "b"), 1)
            with store.read():
                pass

    with pytest.raises(Bug, match="inside"):
        nested()
    with store.read() as tx:
        assert tx.plans.at_revision("plan-1", 2) is None


async def test_transaction_held_over_an_await_is_refused(store: Store, plan: Plan) -> None:
    """A block that lets the event loop go on is rolled back; one that does not is committed."""

    async def held() -> None:
        with store.write() as tx:
            save(tx, with_text(plan, "b"), 1)
            await asyncio.sleep(0)

    with pytest.raises(Bug, match="await"):
        await held()
    with store.write() as tx:
        assert save(tx, with_text(plan, "c"), 1) == 2


async def test_async_code_writes_through_one_thread(store: Store) -> None:
    """Writes that are started together are all made, one after the other; reads run beside them."""
    behind = AsyncStore(store)
    names = set()

    async def write(number: int) -> None:
        def work(tx: object) -> None:
            names.add(threading.current_thread().name)
            save(tx, a_plan(f"plan-{number}"))  # type: ignore[arg-type]

        await behind.write(work)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(write(number))
            group.create_task(behind.read(lambda tx: tx.plans.ids()))
    assert len(await behind.read(lambda tx: tx.plans.ids())) == 10
    assert len(names) == 1
    behind.close()


async def test_error_passes_through_the_thread(store: Store, plan: Plan) -> None:
    """What the function raises is what the caller gets, and its transaction left no trace."""
    behind = AsyncStore(store)

    def fail(tx: object) -> None:
        save(tx, with_text(plan, "b"), 1)  # type: ignore[arg-type]
        raise KeyError("x")

    with pytest.raises(KeyError):
        await behind.write(fail)
    assert await behind.read(lambda tx: tx.plans.at_revision("plan-1", 2)) is None
    behind.close()
    with pytest.raises(StoreError, match="closed"), store.read():
        pass


def test_value_without_a_zone_is_refused(store: Store, plan: Plan) -> None:
    """An instant without a zone is a bug of ours and named without the statement."""
    with pytest.raises(Bug, match="zone"), store.write() as tx:
        save(tx, with_text(plan, "b"), 1, at=tx.plans.get("plan-1").stamp.updated_at.replace(tzinfo=None))  # type: ignore[union-attr]


def test_many_pairs_settle_in_one_statement(store: Store, plan: Plan) -> None:
    """500 pairs go to the database in one batch."""
    batches = []
    engine = store._engine
    listen = lambda *args: batches.append(args[-1])  # noqa: E731
    sa.event.listen(engine, "before_cursor_execute", listen)
    with store.write() as tx:
        tx.bases.settle("ehr-a", "plan-1", {Unit("plan-1-g1", f"note:{n}"): Pair(n, n, 1) for n in range(500)})
        assert len(tx.bases.for_plan("ehr-a", "plan-1")) == 500
    sa.event.remove(engine, "before_cursor_execute", listen)
    assert batches.count(True) == 1


def test_migrations_go_up_and_down(store_url: str) -> None:
    """Up makes the tables that the statements are written for, down leaves none, and up works again."""
    engine = sa.create_engine(store_url.replace("postgresql://", "postgresql+psycopg://"))
    for _ in range(2):
        with engine.begin() as connection:
            migrate(connection, "head")
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
            assert compare_metadata(context, schema.metadata) == []
            assert context.get_current_revision() == schema.REVISIONS[-1]
        with engine.begin() as connection:
            migrate_down(connection, "base")
        with engine.connect() as connection:
            assert sa.inspect(connection).get_table_names() == [schema.VERSION_TABLE]
    engine.dispose()
    open_store(store_url).close()
