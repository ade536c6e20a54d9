"""Inbox, audit, ledger and runs: one item per cause, closed with it; an audit that nobody changes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Unit
from fhirgoals.errors import Bug
from fhirgoals.store import Store
from fhirgoals.store.inbox import Item
from fhirgoals.store.journal import Undelivered
from tests.unit.store_fixtures import NOW, later, plan, save, store, store_url, with_text

__all__ = ["plan", "store", "store_url"]

ITEM = Item(
    kind="conflict",
    connection="ehr-a",
    plan_id="plan-1",
    owner="plan-1-g1",
    unit="text",
    base="a",
    ours={"v": Decimal("7.10")},
    theirs={"v": Decimal("7.1")},
    why="both_changed",
    who_may=("primary_therapist",),
    opened_at=NOW,
)


def test_item_is_not_raised_twice_while_open(store: Store, plan: Plan) -> None:
    """The same cause and values are one open item; another value is another one."""
    with store.write() as tx:
        assert tx.inbox.raise_(ITEM)
        assert not tx.inbox.raise_(replace(ITEM, opened_at=later(9)))
        assert tx.inbox.raise_(replace(ITEM, theirs={"v": Decimal("7.2")}))
        assert tx.inbox.raise_(replace(ITEM, connection="ehr-b"))
        first, *others = tx.inbox.list()
    assert (first, len(others)) == (replace(ITEM, id=first.id), 2)
    assert str(first.ours) == "{'v': Decimal('7.10')}"


def test_item_closes_itself_when_the_cause_goes(store: Store, plan: Plan) -> None:
    """Items that are not raised any more are closed, of this plan and connection alone; they can come again."""
    gone, stands, elsewhere = (
        replace(ITEM, unit="status"),
        ITEM,
        replace(ITEM, connection="ehr-b", unit="status"),
    )
    with store.write() as tx:
        for item in (gone, stands, elsewhere):
            tx.inbox.raise_(item)
        (closed,) = tx.inbox.close_missing("ehr-a", "plan-1", {stands.key}, later(5))
        assert [(item.connection, item.unit) for item in tx.inbox.list()] == [("ehr-a", "text"), ("ehr-b", "status")]
        shown = tx.inbox.show(closed)
        assert shown is not None
        assert (shown.closed_at, shown.close_reason, shown.unit) == (later(5), "cause gone", "status")
        assert tx.inbox.close_missing("ehr-a", "plan-1", {stands.key}, later(6)) == ()
        assert tx.inbox.raise_(gone)
        assert len(tx.inbox.list(open_only=False)) == 4


def test_person_closes_an_item_once(store: Store, plan: Plan) -> None:
    """Closing keeps who, when and why, and happens once."""
    with store.write() as tx:
        tx.inbox.raise_(ITEM)
        (item,) = tx.inbox.list(connection="ehr-a", plan_id="plan-1")
        assert tx.inbox.close(item.id, at=later(1), reason="kept ours", by="staff-7")
        assert not tx.inbox.close(item.id, at=later(2), reason="again", by="staff-2")
        closed = tx.inbox.show(item.id)
        assert tx.inbox.list() == ()
        assert tx.inbox.show(item.id + 99) is None
    assert closed is not None
    assert (closed.closed_at, closed.close_reason, closed.closed_by) == (later(1), "kept ours", "staff-7")


def test_item_may_stand_without_plan_or_connection(store: Store) -> None:
    """Not everything that waits belongs to a plan, and it is not doubled either."""
    item = Item(kind="identity", connection="ehr-a", why="two_candidates", opened_at=NOW)
    with store.write() as tx:
        assert tx.inbox.raise_(item)
        assert not tx.inbox.raise_(item)
        assert tx.inbox.raise_(Item(kind="store", why="x", opened_at=NOW))


def test_audit_is_written_in_order(store: Store, plan: Plan) -> None:
    """Lines come back in the order written, with ids, counts and names of fields."""
    with store.write() as tx:
        tx.audit.write(at=NOW, actor="staff-7", action="arm", connection="ehr-a", detail={"first": 5})
        tx.audit.write(
            at=later(1),
            actor="worker",
            action="push",
            connection="ehr-a",
            plan_id="plan-1",
            detail={"resource": "Goal/77", "units": ["text", "note:n1"], "etag": None, "ok": True},
        )
    with store.read() as tx:
        lines = tx.audit.list(connection="ehr-a")
        assert [line.action for line in lines] == ["arm", "push"]
        assert lines[1].detail == {"resource": "Goal/77", "units": ["text", "note:n1"], "etag": None, "ok": True}
        assert [line.action for line in tx.audit.list(plan_id="plan-1")] == ["push"]


@pytest.mark.parametrize("content", ["sleeps badly since spring", ["ok", "two words"], {"a": "b"}, Decimal("7.1"), "ü"])
def test_audit_takes_no_content(store: Store, content: object) -> None:
    """Prose and clinical numbers are refused, and the transaction with them."""
    with pytest.raises(Bug, match="detail"), store.write() as tx:
        tx.audit.write(at=NOW, actor="worker", action="push", detail={"text": content})  # type: ignore[dict-item]
    with store.read() as tx:
        assert tx.audit.list() == ()


@pytest.mark.parametrize("table", ["audit", "plan_revisions"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = at", "DELETE FROM {}"])
def test_database_itself_keeps_the_record(store: Store, store_url: str, plan: Plan, table: str, statement: str) -> None:
    """Audit lines and revisions can be neither changed nor removed, not even past this program."""
    with store.write() as tx:
        tx.audit.write(at=NOW, actor="staff-7", action="put", plan_id="plan-1")
    engine = sa.create_engine(store_url)
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql(statement.format(table))
    engine.dispose()
    with store.read() as tx:
        assert len(tx.audit.list()) == 1
        assert len(tx.plans.revisions("plan-1")) == 1


def test_ledger_holds_a_revision_once(store: Store, plan: Plan) -> None:
    """What could not be delivered is noted once per unit and revision."""
    unit = Unit("plan-1-g1", "text")
    with store.write() as tx:
        save(tx, with_text(plan, "b"), 1)
        assert tx.ledger.note("ehr-a", "plan-1", unit, 2, why="origin", at=NOW)
        assert not tx.ledger.note("ehr-a", "plan-1", unit, 2, why="origin", at=later(1))
        assert tx.ledger.note("ehr-a", "plan-1", unit, 3, why="origin", at=later(2))
        assert tx.ledger.list("ehr-a", "plan-1")[0] == Undelivered("ehr-a", "plan-1", unit, 2, "origin", NOW)
        assert len(tx.ledger.list()) == 2
        assert tx.ledger.list("ehr-b") == ()


def test_run_ends_once(store: Store) -> None:
    """A run is written down before it begins and ends once, with its counts; the newest comes first."""
    with store.write() as tx:
        tx.runs.start("r1", kind="sync", by="worker", at=NOW, connection="ehr-a")
        tx.runs.start("r2", kind="sync", by="worker", at=later(1), connection="ehr-b")
        tx.runs.finish("r1", outcome="done", counts={"pushed": 2}, at=later(2))
        with pytest.raises(Bug, match="r1"):
            tx.runs.finish("r1", outcome="done", counts={}, at=later(3))
        assert [(run.id, run.outcome, run.counts) for run in tx.runs.list()] == [
            ("r2", None, None),
            ("r1", "done", {"pushed": 2}),
        ]
        assert [run.id for run in tx.runs.list("ehr-a")] == ["r1"]
