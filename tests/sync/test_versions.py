"""Servers whose versions do not move: what somebody there wrote between our reading and our write is never lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, cast

import pytest

from fhirgoals.fhir.exact_json import Tree
from fhirgoals.fhir.wire import Request
from fhirgoals.sandbox.variants import VARIANTS
from fhirgoals.sync.recover import LATEST
from fhirgoals.sync.versions import trusted
from tests.sync.test_run import PLAN, SLEEP, SOCIAL, Sluggish, put_priority, quiet, started
from tests.sync.world import World, world

Edit: TypeAlias = Callable[[dict[str, Tree]], object]


@pytest.fixture
def here() -> Iterator[World]:
    with world(VARIANTS["version_always_1"].knobs) as one:
        yield one


class Busy:
    """A network on which somebody at the EHR edits a goal right before our first update: that one, or the other."""

    def __init__(self, here: World, ids: tuple[str, ...], edit: Edit, *, same: bool) -> None:
        self.inner = here.http
        self.here = here
        self.ids = ids
        self.edit = edit
        self.same = same
        self.done = False

    async def send(self, request: Request) -> Any:
        if request.method == "PUT" and not self.done:
            self.done = True
            [id_] = [one for one in self.ids if request.url.endswith(f"/{one}") == self.same]
            self.here.change("Goal", id_, self.edit)
        return await self.inner.send(request)


def low(tree: dict[str, Tree]) -> None:
    put_priority(tree, "low")


async def synced(here: World, edit: Edit = low, *, same: bool) -> None:
    """Change two goals here and sync while the EHR is at one of them."""
    await started(here)
    ids = tuple(str(here.goals()[text]["id"]) for text in (SLEEP, SOCIAL))
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await here.edit(PLAN, "g-social", text="See two")
    here.http = cast("Any", Busy(here, ids, edit, same=same))
    await here.sync()
    assert {"Up by seven", "See two"} <= set(here.goals())
    assert not await here.store.read(lambda tx: trusted(tx, here.connection))


async def test_the_first_update_already_looks_for_what_it_went_over(here: World) -> None:
    """Its answer shows that no ETag held it: the edit that it went over is in the history."""
    await synced(here, same=True)
    items = await here.store.read(lambda tx: tx.inbox.list(open_only=False))
    assert [(one.kind, one.unit, one.why, one.theirs) for one in items] == [
        ("history", "priority", "overwritten_there", "low")
    ]
    await quiet(here)


async def test_what_was_taken_out_there_and_put_back_is_in_the_history(here: World) -> None:
    """A removal is an edit too: the call that went over it put back what it was built on."""
    await synced(here, lambda tree: tree.pop("priority"), same=True)
    items = await here.store.read(lambda tx: tx.inbox.list(open_only=False))
    assert [(one.kind, one.unit, one.why, one.theirs) for one in items] == [
        ("history", "priority", "overwritten_there", None)
    ]
    await quiet(here)


async def test_the_second_update_of_that_run_is_read_before(here: World) -> None:
    """What the first answer showed holds at once: an edit of the next goal is seen, and taken as the policy says."""
    await synced(here, same=False)
    plan = await here.plan(PLAN)
    assert [plan.goal(one).priority for one in ("g-sleep", "g-social")].count("low") == 1
    assert await here.inbox() == []
    await quiet(here)


async def test_a_call_that_was_repeated_may_come_once_more(here: World) -> None:
    """The answer to the repeat shows that nothing keeps the first try away: what that goes over is in the history."""
    await started(here)
    id_ = str(here.goals()[SLEEP]["id"])
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    plain, slow = here.http, Sluggish(here.http)
    here.http = cast("Any", slow)
    await here.sync()
    here.http = plain
    await here.sync()
    assert "Up by seven" in here.goals()
    here.change("Goal", id_, low)
    slow.under_way = slow.under_way[:1]
    await slow.deliver()
    await here.sync()
    items = await here.store.read(lambda tx: tx.inbox.list(open_only=False))
    assert ("priority", "overwritten_there", "low") in [(one.unit, one.why, one.theirs) for one in items]
    await quiet(here)
    here.now += 2 * LATEST
    await here.edit(PLAN, "g-sleep", text="Up by six")
    await here.sync()
    assert await here.store.read(lambda tx: tx.intents.all_open(here.connection)) == ()


async def test_a_call_in_doubt_does_not_go_over_what_was_asked_about_since(here: World) -> None:
    """The resource moved and its ETag did not: that is known before what the call was built on is forgotten."""
    await started(here)
    id_ = str(here.goals()[SLEEP]["id"])
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    plain = here.http
    here.http = cast("Any", Sluggish(plain))
    await here.sync()
    here.http = plain
    here.change("Goal", id_, lambda tree: tree.update(description={"text": "Their words"}))
    await here.sync()
    await here.sync()
    assert "Their words" in here.goals()
    assert await here.inbox() == [("conflict", "g-sleep", "text")]
    await quiet(here)


class Arriving:
    """A network on which the calls under way arrive when a plan is read, after calls in doubt were looked into.

    They do so at the reading of that number in a run: the first, or the one after a second look.
    """

    def __init__(self, slow: Sluggish, reading: int) -> None:
        self.slow = slow
        self.reading = reading

    async def send(self, request: Request) -> Any:
        if "/CarePlan?" in request.url:
            self.reading -= 1
            if self.reading == 0:
                await self.slow.deliver()
        return await self.slow.inner.send(request)


@pytest.mark.parametrize("reading", [1, 2])
async def test_a_call_that_comes_between_the_look_for_it_and_the_reading_is_found(here: World, reading: int) -> None:
    """What it went over is in the history, although the same run writes that resource anew."""
    await started(here)
    id_ = str(here.goals()[SLEEP]["id"])
    await here.edit(PLAN, "g-social", text="See two")
    await here.sync()
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    slow = Sluggish(here.http)
    here.http = cast("Any", slow)
    await here.sync()
    slow.under_way = slow.under_way[:1]
    here.change("Goal", id_, low)
    await here.edit(PLAN, "g-sleep", text="Up by six")
    here.http = cast("Any", Arriving(slow, reading))
    await here.sync()
    assert slow.under_way == []
    items = await here.store.read(lambda tx: tx.inbox.list(open_only=False))
    assert ("priority", "overwritten_there", "low") in [(one.unit, one.why, one.theirs) for one in items]
    assert "Up by six" in here.goals()
    await quiet(here)


async def test_a_late_call_that_may_have_gone_over_an_edit_is_told_of() -> None:
    """With neither ETag nor history nobody can know what stood there: the history says which call it was."""
    with world(VARIANTS["no_meta_no_etag"].knobs, operation_id_kept=False) as here:
        await started(here)
        id_ = str(here.goals()[SLEEP]["id"])
        await here.edit(PLAN, "g-sleep", text="Up by seven")
        plain, slow = here.http, Sluggish(here.http)
        here.http = cast("Any", slow)
        await here.sync()
        here.http = plain
        here.change("Goal", id_, low)
        slow.under_way = slow.under_way[:1]
        await slow.deliver()
        await here.sync()
        items = await here.store.read(lambda tx: tx.inbox.list(open_only=False))
        told = [one for one in items if one.why == "may_have_gone_over_an_edit"]
        assert [(one.kind, one.owner, one.unit, one.ours) for one in told] == [
            ("history", "g-sleep", None, {"text": "Up by seven"})
        ]
        await quiet(here)
