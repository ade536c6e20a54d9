"""Plans: exact documents, every revision kept, no id with two meanings, no edit over an unseen one."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from fhirgoals.domain.records import Goal, Plan
from fhirgoals.domain.units import Unit
from fhirgoals.errors import Bug, Outdated, Refused
from fhirgoals.store import Store
from tests.unit.store_fixtures import NOW, a_plan, later, plan, save, store, store_url, with_text

__all__ = ["plan", "store", "store_url"]


def test_plan_comes_back_to_the_digit(store: Store) -> None:
    """A plan read from the store is the plan saved: equal, and with the digits of each number."""
    with store.write() as tx:
        save(tx, a_plan())
    with store.read() as tx:
        stored = tx.plans.get("plan-1")
    assert stored is not None
    assert stored.plan == a_plan()
    assert [str(reading.value) for reading in stored.plan.measures[0].readings] == [
        "7.10",
        "-0.0",
        "1E+2",
        "12345678901234567890.12345",
    ]
    assert str(stored.plan.revisions[0].changes[0].from_) == "1.50"
    assert (stored.rev, stored.stamp.created_at, stored.stamp.updated_by) == (1, NOW, "staff-7")


def test_value_that_would_not_come_back_is_not_saved(store: Store) -> None:
    """A plan that JSON can't hold is refused before anything is written."""
    fine = a_plan()
    measure = msgspec.structs.replace(fine.measures[0], reliable_change=Decimal("NaN"))
    with pytest.raises(Bug, match="plan-1"), store.write() as tx:
        save(tx, msgspec.structs.replace(fine, measures=(measure,)))
    with store.read() as tx:
        assert tx.plans.ids() == ()


def test_each_save_is_the_next_revision_and_all_stay(store: Store, plan: Plan) -> None:
    """Revisions count from 1 and each can be read back with what it touched, by whom and from where."""
    second = with_text(plan, "second")
    unit = Unit("plan-1-g1", "text")
    with store.write() as tx:
        touched = {unit: ("text of plan-1-g1", "second"), Unit("plan-1", "title"): (None, {"n": Decimal("7.10")})}
        rev = save(tx, second, 1, at=later(5), by="ehr-a", origin="ehr-a", touched=touched, summary="a \x00 summary")
    assert rev == 2
    with store.read() as tx:
        revisions = tx.plans.revisions("plan-1")
        assert tx.plans.at_revision("plan-1", 1) == plan
        assert tx.plans.at_revision("plan-1", 2) == second
        assert tx.plans.at_revision("plan-1", 3) is None
    assert [(row.rev, row.at, row.by, row.origin) for row in revisions] == [
        (1, NOW, "staff-7", None),
        (2, later(5), "ehr-a", "ehr-a"),
    ]
    assert revisions[1].summary == "a \x00 summary"
    assert revisions[1].touched[unit] == ("text of plan-1-g1", "second")
    assert str(revisions[1].touched[Unit("plan-1", "title")][1]) == "{'n': Decimal('7.10')}"


def test_edit_over_an_unseen_one_is_refused(store: Store, plan: Plan) -> None:
    """Who read revision 1 can't save over revision 2, and nothing of the attempt stays."""
    with store.write() as tx:
        save(tx, with_text(plan, "first"), 1)
    with pytest.raises(Outdated, match="revision 2"), store.write() as tx:
        save(tx, with_text(plan, "too late"), 1)
    with store.read() as tx:
        stored = tx.plans.get("plan-1")
        assert stored is not None
        assert (stored.rev, stored.plan.goals[0].text) == (2, "first")
        assert len(tx.plans.revisions("plan-1")) == 2


def test_new_plan_needs_a_new_id(store: Store, plan: Plan) -> None:
    """A plan saved as new does not replace the one of that id; a changed one must be there."""
    with pytest.raises(Outdated, match="already"), store.write() as tx:
        save(tx, plan)
    with pytest.raises(Outdated, match="not in the store"), store.write() as tx:
        save(tx, a_plan("plan-2"), 1)


def test_unit_keeps_the_last_revision_that_touched_it(store: Store, plan: Plan) -> None:
    """A revision that did not touch a unit leaves that unit's revision, author and origin."""
    text, title = Unit("plan-1-g1", "text"), Unit("plan-1", "title")
    with store.write() as tx:
        save(tx, with_text(plan, "b"), 1, touched={title: (None, "b")}, by="ehr-a", origin="ehr-a", at=later(1))
        save(tx, with_text(plan, "c"), 2, touched={}, at=later(2))
    with store.read() as tx:
        revs = tx.plans.unit_revs("plan-1")
    assert (revs[text].rev, revs[text].by, revs[text].origin, revs[text].at) == (1, "staff-7", None, NOW)
    assert (revs[title].rev, revs[title].by, revs[title].origin) == (2, "ehr-a", "ehr-a")
    assert set(revs) == {text, title}


def test_goal_id_means_one_goal_in_the_whole_store(store: Store, plan: Plan) -> None:
    """Another plan can't use the id of a goal, not even of one that its plan no longer has."""
    with pytest.raises(Refused, match="plan-1-g2"), store.write() as tx:
        save(tx, a_plan("plan-2", "plan-1-g2"))
    with store.write() as tx:
        save(tx, msgspec.structs.replace(plan, goals=plan.goals[:1]), 1)
    with pytest.raises(Refused, match="uses or used"), store.write() as tx:
        save(tx, a_plan("plan-2", "plan-1-g2"))
    with store.read() as tx:
        assert tx.plans.ids() == ("plan-1",)
        assert tx.plans.plan_of("plan-1-g2") == "plan-1"
        assert tx.plans.plan_of("unknown") is None


def test_goal_comes_back_into_its_own_plan(store: Store, plan: Plan) -> None:
    """The plan that had a goal may have it again: taking an edit back is no new meaning."""
    with store.write() as tx:
        save(tx, msgspec.structs.replace(plan, goals=plan.goals[:1]), 1)
        assert save(tx, plan, 2) == 3


def test_save_marks_the_plan_for_every_connection(store: Store, plan: Plan) -> None:
    """An edit and its marks are one transaction, the connection that it came from included."""
    with store.write() as tx:
        save(tx, with_text(plan, "b"), 1, origin="ehr-a")
    with store.read() as tx:
        for name in ("ehr-a", "ehr-b"):
            assert [dirty.plan_id for dirty in tx.dirty.take(name, NOW)] == ["plan-1"]


def test_failed_save_leaves_no_mark(store: Store, plan: Plan) -> None:
    """Where the block raises after the save, plan, units and marks are as before."""

    def fail() -> None:
        with store.write() as tx:
            save(tx, with_text(plan, "b"), 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.read() as tx:
        stored = tx.plans.get("plan-1")
        assert stored is not None
        assert stored.rev == 1
        assert tx.dirty.marked("ehr-a") == set()
        assert tx.plans.unit_revs("plan-1")[Unit("plan-1-g1", "text")].rev == 1


def test_plans_are_listed_by_id(store: Store) -> None:
    """The list holds whole plans in the order of their ids."""
    with store.write() as tx:
        for plan_id in ("plan-2", "plan-1"):
            save(tx, a_plan(plan_id))
    with store.read() as tx:
        assert [stored.plan.id for stored in tx.plans.list()] == ["plan-1", "plan-2"]
        assert tx.plans.get("plan-3") is None


def test_plan_without_people_or_goals_is_kept(store: Store) -> None:
    """The smallest plan there is can be saved and read."""
    bare = Plan(id="plan-9", kind="client_treatment", status="draft")
    with store.write() as tx:
        save(tx, bare)
        save(tx, msgspec.structs.replace(bare, goals=(Goal(id="g-9"),)), 1)
    with store.read() as tx:
        assert tx.plans.at_revision("plan-9", 1) == bare
