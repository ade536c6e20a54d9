"""What came from one EHR stays its own, part by part, until somebody replaces it: no other one is told before."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from fhirgoals.domain.origins import OURS, Source, changed
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.fhir.wire import Request
from tests.sync.test_resolve import change, open_items, settled, two_connected
from tests.sync.test_run import PLAN, SOCIAL, quiet
from tests.sync.world import World, world

WORDS = "Zebra score"
DAY = "2026-12-31"


class Heard:
    """Everything that is sent to an EHR, as text."""

    def __init__(self, to: World) -> None:
        self._inner = to.http
        self.text = ""
        to.http = self  # type: ignore[assignment]

    async def send(self, request: Request) -> object:
        self.text += request.wire().decode("utf-8", "replace")
        return await self._inner.send(request)


async def kept_back(first: World, second: World) -> list[tuple[str, str]]:
    """Return the fields of which something was kept back from the second EHR, and why."""
    rows = await first.store.read(lambda tx: tx.ledger.list(second.connection, PLAN))
    return [(row.unit.family, row.why) for row in rows]


async def with_a_target_of_the_first(first: World, second: World) -> None:
    """Let the first EHR add a target of its own words, and a person take it."""
    await two_connected(first, second)
    target: dict[str, Tree] = {"measure": {"text": WORDS}, "detailQuantity": {"value": Decimal(3)}}
    change(first, SOCIAL, lambda tree: tree.update(target=[*tree["target"], target]))
    await first.sync()
    for item in await open_items(first, first.connection):
        await settled(first, item, "theirs")
    await first.sync()
    await second.sync()


async def with_our_value(first: World) -> None:
    """Change the value of that target here, and nothing else of it."""
    targets = (await first.plan(PLAN)).goal("g-social").targets
    await first.edit(PLAN, "g-social", targets=(*targets[:-1], msgspec.structs.replace(targets[-1], value=Decimal(4))))


def targets_there(one: World) -> str:
    return msgspec.json.encode(one.goals()[SOCIAL]["target"], enc_hook=str).decode()


@pytest.mark.parametrize("shared", [False, True], ids=["by default", "where its origin is shared"])
async def test_a_part_of_ours_in_a_target_of_one_ehr_does_not_take_the_rest_of_it_to_another(shared: bool) -> None:
    """Our value and A's measure are one unit: it goes to A, and to B only where B's disclosure covers A."""
    with world() as first, world(share_origins=("ehr-main",) if shared else ()) as second:
        await with_a_target_of_the_first(first, second)
        heard = Heard(second)
        await with_our_value(first)
        await first.sync()
        await second.sync()
        assert '"value":4' in targets_there(first)
        assert (WORDS in heard.text) is shared
        assert (WORDS in targets_there(second)) is shared
        assert (("target:<id>", "from_another_ehr") in await kept_back(first, second)) is not shared
        await quiet(first)
        await quiet(second)


async def test_a_target_goes_to_every_ehr_once_all_of_it_is_ours() -> None:
    """The measure is replaced too: nothing in it is A's any more."""
    with world() as first, world() as second:
        await with_a_target_of_the_first(first, second)
        await with_our_value(first)
        plan = await first.plan(PLAN)
        named = plan.goal("g-social").targets[-1].measure
        measures = tuple(
            msgspec.structs.replace(one, instrument="Our score") if one.id == named else one for one in plan.measures
        )
        await first.put(msgspec.structs.replace(plan, measures=measures))
        heard = Heard(second)
        await first.sync()
        await second.sync()
        assert "Our score" in targets_there(second)
        assert WORDS not in heard.text
        await quiet(first)
        await quiet(second)


def ended(tree: dict[str, Tree]) -> None:
    tree.update(lifecycleStatus="completed", statusDate=DAY)


@pytest.mark.parametrize("take", ["theirs", "value"])
async def test_a_status_of_one_ehr_that_a_person_completed_does_not_go_to_another(take: str) -> None:
    """What the person added is ours, the day is A's still: A gets all of it, B nothing until the day is ours too."""
    with world() as first, world() as second:
        await two_connected(first, second)
        change(first, SOCIAL, ended)
        await first.sync()
        [item] = [one for one in await open_items(first, first.connection) if one.unit == "status"]
        added = {"closure_reason": "achieved", "achievement": "achieved"}
        await settled(first, item, take, value=added if take == "theirs" else {**item.theirs, **added})
        heard = Heard(second)
        assert (await first.sync()).writes == 1
        await second.sync()
        assert DAY not in heard.text
        assert second.goals()[SOCIAL]["lifecycleStatus"] == "active"
        assert ("status", "from_another_ehr") in await kept_back(first, second)
        await quiet(first)
        await quiet(second)
        ours = {"lifecycle": "cancelled", "closure_reason": "client_request", "status_date": date(2027, 1, 4)}
        await first.edit(PLAN, "g-social", **ours)
        await first.sync()
        await second.sync()
        for one in (first, second):
            there = one.goals()[SOCIAL]
            assert (there["lifecycleStatus"], there["statusDate"]) == ("cancelled", "2027-01-04")
            await quiet(one)


def test_a_part_keeps_its_source_until_it_is_changed() -> None:
    """Part by part: as it was = as before; new = of this edit; the same as in a quoted value = of that EHR."""
    old = {"a": 1, "b": 2, "sustain": {"count": 3, "span_days": 4}, "code": {"system": "loinc", "code": "x"}}
    theirs = changed(OURS, old, {**old, "a": 9, "sustain": {"count": 8, "span_days": 4}}, "ehr-a")
    assert theirs == Source("ehr-a", {"a": "ehr-a", "sustain.count": "ehr-a"})
    now = {**old, "a": 9, "sustain": {"count": 8, "span_days": 5}}
    ours = changed(theirs, {**old, "a": 9, "sustain": {"count": 8, "span_days": 4}}, now, None)
    assert ours == Source(None, {"a": "ehr-a", "sustain.count": "ehr-a"})
    assert ours.connections == {"ehr-a"}
    second = changed(ours, now, {**now, "b": 7, "code": {"system": "loinc", "code": "y"}}, "ehr-b")
    assert second.connections == {"ehr-a", "ehr-b"}
    assert changed(ours, now, {**now, "a": 1, "sustain": None}, None) == OURS
    assert changed(OURS, old, {**old, "a": 5, "b": 6}, None, ("ehr-a", {"a": 5})) == Source(None, {"a": "ehr-a"})


def test_of_an_older_row_every_part_came_with_its_last_change() -> None:
    """A row without parts speaks for the whole; a value without parts is one, and a person's own words are ours."""
    old = {"a": 1, "b": 2}
    assert changed(Source("ehr-a"), old, {"a": 1, "b": 3}, None) == Source(None, {"a": "ehr-a"})
    assert changed(Source("ehr-a"), "their words", "their words and mine", None) == OURS
    assert changed(OURS, "mine", "theirs", "ehr-a") == Source("ehr-a")
    assert changed(Source("ehr-a"), None, old, "ehr-a") == Source("ehr-a")
    assert changed(OURS, old, {"a": 1}, "ehr-a") == Source("ehr-a", {})
