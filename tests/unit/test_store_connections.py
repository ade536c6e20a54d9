"""Connections, leases, dirty marks and cursors: one owner at a time, and no mark is lost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.errors import Refused
from fhirgoals.store import Store
from tests.unit.store_fixtures import NOW, later, plan, save, store, store_url, with_text

__all__ = ["plan", "store", "store_url"]


def test_connection_begins_by_observing(store: Store) -> None:
    """A new connection may not write, and its configuration comes back to the digit."""
    with store.read() as tx:
        connection = tx.connections.get("ehr-a")
        assert tx.connections.get("nowhere") is None
        assert [each.name for each in tx.connections.list()] == ["ehr-a", "ehr-b"]
    assert connection is not None
    assert (connection.state, connection.state_by, connection.added_at) == ("observe", "admin", NOW)
    assert str(connection.config["factor"]) == "1.50"


def test_new_connection_has_every_plan_to_look_at(store: Store, plan: Plan) -> None:
    """Plans that were there before the connection are dirty for it."""
    with store.write() as tx:
        tx.connections.add("ehr-c", {}, at=NOW, by="admin")
        assert [dirty.plan_id for dirty in tx.dirty.take("ehr-c", NOW)] == ["plan-1"]


def test_connection_name_is_taken_once(store: Store) -> None:
    """A second connection of a name is refused, and so is a change to one that is not there."""
    with pytest.raises(Refused, match="ehr-a"), store.write() as tx:
        tx.connections.add("ehr-a", {}, at=NOW, by="admin")
    with pytest.raises(Refused, match="nowhere"), store.write() as tx:
        tx.connections.set_state("nowhere", "armed", by="admin", reason=None, at=NOW)
    with pytest.raises(Refused, match="nowhere"), store.write() as tx:
        tx.connections.update_config("nowhere", {})


def test_state_says_who_when_and_why(store: Store) -> None:
    """Pausing keeps person, reason and time; the configuration can change under it."""
    with store.write() as tx:
        tx.connections.set_state("ehr-a", "paused", by="admin", reason="wrong chart", at=later(60))
        tx.connections.update_config("ehr-a", {"factor": Decimal("2.0")})
        paused = tx.connections.get("ehr-a")
    assert paused is not None
    assert (paused.state, paused.state_by, paused.state_reason, paused.state_at) == (
        "paused",
        "admin",
        "wrong chart",
        later(60),
    )
    assert str(paused.config["factor"]) == "2.0"


def test_one_owner_at_a_time(store: Store) -> None:
    """A held lease is refused to others until it runs out; each holder's fence is higher than the last one's."""
    with store.write() as tx:
        first = tx.connections.acquire("ehr-a", "w1", 30, NOW)
        assert first is not None
        assert tx.connections.acquire("ehr-a", "w2", 30, later(29)) is None
        assert tx.connections.renew("ehr-a", first, 30, later(29))
        assert tx.connections.acquire("ehr-a", "w2", 30, later(58)) is None
        second = tx.connections.acquire("ehr-a", "w2", 30, later(59))
        assert second is not None
        assert second > first
        assert not tx.connections.renew("ehr-a", first, 30, later(60))
        assert not tx.connections.release("ehr-a", first)
        lease = tx.connections.lease("ehr-a")
        assert lease is not None
        assert (lease.holder, lease.fence, lease.expires_at) == ("w2", second, later(89))
        assert tx.connections.acquire("ehr-b", "w1", 30, NOW) is not None


def test_overtaken_owner_writes_nothing(store: Store, plan: Plan) -> None:
    """A transaction under an old fence is refused as a whole."""
    with store.write() as tx:
        old = tx.connections.acquire("ehr-a", "w1", 30, NOW)
        assert old is not None
        tx.connections.check_fence("ehr-a", old)
    with store.write() as tx:
        assert tx.connections.acquire("ehr-a", "w2", 30, later(31)) is not None

    def overtaken() -> None:
        with store.write() as tx:
            save(tx, with_text(plan, "b"), 1)
            tx.connections.check_fence("ehr-a", old)

    with pytest.raises(Refused, match="ehr-a"):
        overtaken()
    with store.read() as tx:
        assert tx.plans.at_revision("plan-1", 2) is None


def test_released_lease_is_free_and_no_longer_ours(store: Store) -> None:
    """After release the next owner need not wait, and the old fence does not pass."""
    with store.write() as tx:
        assert tx.connections.lease("ehr-a") is None
        fence = tx.connections.acquire("ehr-a", "w1", 30, NOW)
        assert fence is not None
        assert tx.connections.release("ehr-a", fence)
        with pytest.raises(Refused):
            tx.connections.check_fence("ehr-a", fence)
        assert tx.connections.acquire("ehr-a", "w2", 30, later(1)) == fence + 1


def test_lease_needs_its_connection(store: Store) -> None:
    """A lease of a connection that is not there is refused."""
    with pytest.raises(Refused, match="nowhere"), store.write() as tx:
        tx.connections.acquire("nowhere", "w1", 30, NOW)


def test_mark_set_meanwhile_outlives_the_clearing(store: Store, plan: Plan) -> None:
    """What is marked between taking and clearing is taken again, however often it was cleared before."""
    with store.write() as tx:
        for _ in range(3):
            tx.dirty.mark("plan-1", "ehr-a", why="ehr", at=NOW)
            (taken,) = tx.dirty.take("ehr-a", NOW)
            tx.dirty.mark("plan-1", "ehr-a", why="ehr", at=later(5))
            tx.dirty.clear("plan-1", "ehr-a", taken.upto)
            (again,) = tx.dirty.take("ehr-a", NOW)
            # Two workers may clear the same marks; a mark set in between stays all the same.
            tx.dirty.clear("plan-1", "ehr-a", again.upto)
            tx.dirty.mark("plan-1", "ehr-a", why="ehr", at=later(6))
            tx.dirty.clear("plan-1", "ehr-a", again.upto)
            (left,) = tx.dirty.take("ehr-a", NOW)
            assert left.since == later(6)
            tx.dirty.clear("plan-1", "ehr-a", left.upto)
            assert tx.dirty.take("ehr-a", NOW) == ()


def test_scheduled_mark_outlives_an_earlier_one(store: Store, plan: Plan) -> None:
    """A mark for a consent's last day stays when the plan is looked at before for another reason."""
    with store.write() as tx:
        tx.dirty.mark("plan-1", "ehr-a", why="consent", at=NOW, not_before=later(3600))
        tx.dirty.mark("plan-1", "ehr-a", why="ehr", at=later(1))
        (now,) = tx.dirty.take("ehr-a", later(2))
        assert now.why == ("ehr",)
        tx.dirty.clear("plan-1", "ehr-a", now.upto)
        assert tx.dirty.take("ehr-a", later(3599)) == ()
        assert tx.dirty.marked("ehr-a") == {"plan-1"}
        (then,) = tx.dirty.take("ehr-a", later(3600))
        assert then.why == ("consent",)


def test_longest_waiting_plan_comes_first(store: Store, plan: Plan) -> None:
    """Plans come in the order in which they were first marked; marks of one plan come together."""
    with store.write() as tx:
        for plan_id in ("plan-0", "plan-2"):
            save(tx, Plan(id=plan_id, kind="client_treatment", status="draft"), at=later(9))
        tx.dirty.mark("plan-1", "ehr-a", why="ehr", at=later(5))
        tx.dirty.mark("plan-2", "ehr-a", why="ehr", at=later(1))
        taken = tx.dirty.take("ehr-a", later(10))
    assert [(dirty.plan_id, dirty.since, dirty.why) for dirty in taken] == [
        ("plan-2", later(1), ("ehr", "edit")),
        ("plan-1", later(5), ("ehr",)),
        ("plan-0", later(9), ("edit",)),
    ]


def test_cursor_moves_with_its_marks(store: Store, plan: Plan) -> None:
    """Where the transaction fails, neither the cursor nor the marks moved; scopes stand apart."""
    with store.write() as tx:
        tx.cursors.set("ehr-a", "Goal", {"since": "2026-11-23T09:00:00.123456789Z"}, NOW)
        tx.cursors.set("ehr-a", "CarePlan", "c", NOW)

    def fail() -> None:
        with store.write() as tx:
            tx.cursors.set("ehr-a", "Goal", "later", later(1))
            tx.dirty.mark("plan-1", "ehr-a", why="ehr", at=later(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.read() as tx:
        assert tx.cursors.get("ehr-a", "Goal") == {"since": "2026-11-23T09:00:00.123456789Z"}
        assert tx.cursors.get("ehr-a", "CarePlan") == "c"
        assert tx.cursors.get("ehr-b", "Goal") is None
        assert tx.dirty.marked("ehr-a") == set()
