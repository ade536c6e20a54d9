"""Links, bases and intents: exact values, one resource per thing of ours, nothing in doubt forgotten."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Pair, Unit
from fhirgoals.errors import Bug, Refused
from fhirgoals.fhir import exact_json
from fhirgoals.store import Store
from fhirgoals.store.intents import Intent
from fhirgoals.store.links import Link
from tests.unit.store_fixtures import NOW, later, plan, store, store_url

__all__ = ["plan", "store", "store_url"]

RAW = '{"resourceType":"Goal","z":1,"a":7.10,"text":"\\u0000 ü","n":null,"big":12345678901234567890.12345}'

LINK = Link(
    connection="ehr-a",
    kind="Goal",
    local_id="plan-1-g1",
    plan_id="plan-1",
    resource_id="77",
    etag='W/"3"',
    version="3",
    raw=RAW,
    raw_hash="h",
    mapper_version="1",
    seen_at=NOW,
)

INTENT = Intent(
    id="op-1",
    connection="ehr-a",
    plan_id="plan-1",
    kind="Goal",
    local_id="plan-1-g1",
    method="update",
    resource_id="77",
    etag='W/"3"',
    units={Unit("plan-1-g1", "target:t1"): {"value": Decimal("7.10")}, Unit("plan-1-g1", "note:n1"): None},
    body=RAW,
    body_hash="h",
    opened_at=NOW,
    fence=1,
)


def test_link_keeps_the_resource_to_the_byte(store: Store, plan: Plan) -> None:
    """The raw text comes back byte for byte, and a second put replaces the whole row."""
    with store.write() as tx:
        tx.links.put(LINK)
        assert tx.links.get("ehr-a", "Goal", "plan-1-g1") == LINK
        gone = replace(LINK, raw=None, state="gone", etag=None, seen_at=later(1))
        tx.links.put(gone)
        assert tx.links.get("ehr-a", "Goal", "plan-1-g1") == gone
        assert tx.links.get("ehr-b", "Goal", "plan-1-g1") is None


def test_resource_stands_for_one_thing_of_ours(store: Store, plan: Plan) -> None:
    """A resource that is linked can't be linked to another goal; at another connection its id means nothing."""
    with store.write() as tx:
        tx.links.put(LINK)
        tx.links.put(replace(LINK, connection="ehr-b"))
        tx.links.put(replace(LINK, kind="CarePlan", local_id="plan-1"))
    with pytest.raises(Refused, match="Goal/77"), store.write() as tx:
        tx.links.put(replace(LINK, local_id="plan-1-g2"))
    with store.write() as tx:
        tx.links.put(replace(LINK, local_id="plan-1-g2", resource_id=None))
        tx.links.put(replace(LINK, local_id="plan-1-g3", resource_id=None))
        assert [(link.kind, link.local_id) for link in tx.links.for_plan("ehr-a", "plan-1")] == [
            ("CarePlan", "plan-1"),
            ("Goal", "plan-1-g1"),
            ("Goal", "plan-1-g2"),
            ("Goal", "plan-1-g3"),
        ]
        assert tx.links.by_resource("ehr-a", "Goal", "77") == LINK
        assert tx.links.by_resource("ehr-a", "Goal", "78") is None


def test_deleted_link_frees_its_resource(store: Store, plan: Plan) -> None:
    """A link that was forgotten does not hold its resource."""
    with store.write() as tx:
        tx.links.put(LINK)
        assert tx.links.delete("ehr-a", "Goal", "plan-1-g1")
        assert not tx.links.delete("ehr-a", "Goal", "plan-1-g1")
        tx.links.put(replace(LINK, local_id="plan-1-g2"))


def test_base_pair_comes_back_to_the_digit(store: Store, plan: Plan) -> None:
    """Both sides of a pair keep digits and key order; what is not there stays not there."""
    ours = {"z": Decimal("7.10"), "a": [True, 1, "x", None]}
    pairs = {
        Unit("plan-1-g1", "target:t1"): Pair(ours, Decimal("19.00"), 3),
        Unit("plan-1", "parent_map:plan-1-g2"): Pair(None, "plan-1-g1", 1),
        Unit("plan-1-g1", "text"): Pair("", None, 2),
    }
    with store.write() as tx:
        tx.bases.settle("ehr-a", "plan-1", pairs)
    with store.read() as tx:
        read = tx.bases.for_plan("ehr-a", "plan-1")
        assert tx.bases.for_plan("ehr-b", "plan-1") == {}
    assert read == pairs
    for unit, pair in read.items():
        assert exact_json.same(pair.ours, pairs[unit].ours)
        assert exact_json.same(pair.theirs, pairs[unit].theirs)


def test_settling_a_unit_leaves_the_others(store: Store, plan: Plan) -> None:
    """Only the named units move, and only those are dropped."""
    one, two, three = (Unit("plan-1-g1", name) for name in ("text", "priority", "status"))
    with store.write() as tx:
        tx.bases.settle("ehr-a", "plan-1", {one: Pair("a", "a", 1), two: Pair("b", "b", 1), three: Pair("c", "c", 1)})
        tx.bases.settle("ehr-a", "plan-1", {two: Pair("B", "cut", 2)})
        tx.bases.drop("ehr-a", "plan-1", [three])
        tx.bases.drop("ehr-a", "plan-1", [])
        tx.bases.settle("ehr-a", "plan-1", {})
        assert tx.bases.for_plan("ehr-a", "plan-1") == {one: Pair("a", "a", 1), two: Pair("B", "cut", 2)}


def test_intent_comes_back_whole(store: Store, plan: Plan) -> None:
    """What was to be sent, and the unit values in it, come back as they were written down."""
    with store.write() as tx:
        tx.intents.open(INTENT)
    with store.read() as tx:
        (read,) = tx.intents.all_open("ehr-a")
    assert read == INTENT
    assert str(read.units[Unit("plan-1-g1", "target:t1")]) == "{'value': Decimal('7.10')}"


def test_intent_is_in_doubt_once_sent_until_it_is_closed(store: Store, plan: Plan) -> None:
    """A sent call is doubtful; closing takes it away; several may stand for one resource, the oldest first."""
    with store.write() as tx:
        tx.intents.open(replace(INTENT, id="op-2", opened_at=later(1)))
        tx.intents.open(INTENT)
        tx.intents.mark_sent("op-1", later(2))
        assert [(each.id, each.state, each.sent_at) for each in tx.intents.for_plan("ehr-a", "plan-1")] == [
            ("op-1", "doubtful", later(2)),
            ("op-2", "open", None),
        ]
        assert tx.intents.for_plan("ehr-b", "plan-1") == ()
        assert tx.intents.close("op-1")
        assert not tx.intents.close("op-1")
        assert tx.intents.get("op-1") is None
        assert [each.id for each in tx.intents.all_open("ehr-a")] == ["op-2"]
        with pytest.raises(Bug, match="op-1"):
            tx.intents.mark_sent("op-1", later(3))


def test_row_of_an_unknown_plan_is_refused(store: Store) -> None:
    """Links and intents belong to a plan that is there, on both databases."""
    with pytest.raises(Bug), store.write() as tx:
        tx.links.put(LINK)
    with pytest.raises(Bug), store.write() as tx:
        tx.intents.open(INTENT)
