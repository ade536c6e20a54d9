"""What is not to be seen for a while is not gone; what comes back as it was is a change (design 5.1, 5.10, 5.12)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from fhirgoals.fhir.rest import Precondition
from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.sandbox.memory import Version
from fhirgoals.store.inbox import Item
from fhirgoals.sync.guard import clear
from fhirgoals.sync.unlink import begin
from tests.sync.test_retract import EMPTY, GOAL, PLAN, everything, share_again
from tests.sync.world import World, started, taken_back, withhold, world

HIDDEN = pytest.mark.parametrize("status", [403, 404, 410])
ABSENT = pytest.mark.parametrize("status", [404, 410])
WAYS = pytest.mark.parametrize("way", ["blank", "entered_in_error", "delete"])
NOT_SEEN = ("retract", GOAL, "Goal", "not_seen_taken_back")


@dataclass
class Hiding:
    """A network on which one resource is in no search and is answered with a status; of these methods alone."""

    inner: Any
    resource_id: str
    status: int
    methods: tuple[str, ...] = ("GET",)

    async def send(self, request: Request) -> Reply | Failure:
        if request.url.endswith(self.resource_id) and request.method in self.methods:
            return Reply(self.status, {}, b"")
        reply: Reply | Failure = await self.inner.send(request)
        if "GET" in self.methods and "/Goal?" in request.url and isinstance(reply, Reply):
            bundle = json.loads(reply.body)
            bundle["entry"] = [one for one in bundle.get("entry", []) if one["resource"]["id"] != self.resource_id]
            return Reply(reply.status, reply.headers, json.dumps(bundle).encode())
        return reply


@contextmanager
def hidden(here: World, status: int, *methods: str) -> Iterator[None]:
    """Hide the goal there for a while."""
    plain = here.http
    here.http = Hiding(plain, goal_there(here), status, methods or ("GET",))  # type: ignore[assignment]
    yield
    here.http = plain


def goal_there(here: World) -> str:
    return str(here.goals()[EMPTY]["id"])


async def why(here: World) -> list[tuple[str, str | None, str | None, str]]:
    items: tuple[Item, ...] = await here.store.read(lambda tx: tx.inbox.list(open_only=True))
    return [(one.kind, one.owner, one.unit, one.why) for one in items]


async def marked(here: World) -> bool:
    return PLAN in await here.store.read(lambda tx: tx.dirty.marked(here.connection))


async def unlink(here: World) -> None:
    """Unlink the client, and let an operator pass that much."""
    client, at = (await here.plan(PLAN)).client, here.clock()
    assert client is not None
    await here.store.write(
        lambda tx: begin(tx, here.connection, client.id, retract=True, by="it-1", reason="wrong-chart", at=at)
    )
    await here.store.write(lambda tx: clear(tx, here.connection, by="it-1", at=at))


async def still_linked(here: World) -> tuple[int, int]:
    """Return how many resources of the plan are linked, and how many patients."""
    return await here.store.read(
        lambda tx: (
            len(tx.links.for_plan(here.connection, PLAN)),
            sum(one.kind == "Patient" for one in tx.people.links(here.connection)),
        )
    )


async def rest(here: World) -> None:
    """Two more runs, an hour apart: nothing is written, nothing waits, nothing is left to look at."""
    for _ in range(2):
        here.now += timedelta(minutes=61)
        assert (await here.sync()).writes == 0
    assert await here.inbox() == []
    assert not await marked(here)


@WAYS
@HIDDEN
async def test_what_was_not_to_be_seen_when_it_was_withheld_is_taken_back_once_it_is(way: str, status: int) -> None:
    """One look that shows nothing is no taking back: an item stands, the plan stays marked, and the words go later."""
    with world(retract=way) as here:
        await started(here)
        await here.sync()
        with hidden(here, status):
            await withhold(here, PLAN, GOAL)
            await here.sync()
            assert [one[0] for one in await why(here)] == ["unreadable" if status == 403 else "retract"]
            assert await marked(here)
        assert len(taken_back(await here.sync())) == 1
        assert EMPTY not in everything(here)
        await rest(here)


async def test_at_an_ehr_that_is_asked_what_changed_the_second_look_is_taken_too() -> None:
    """No search by instant shows that a resource can be read again: the mark of the first look does."""
    with world(retract="blank", changes="instant") as here:
        await started(here)
        await here.sync()
        with hidden(here, 404):
            await withhold(here, PLAN, GOAL)
            await here.sync()
        here.now += timedelta(minutes=1)
        assert len(taken_back(await here.sync())) == 1
        assert EMPTY not in everything(here)


@WAYS
@ABSENT
async def test_two_runs_that_see_nothing_settle_a_taking_back(way: str, status: int) -> None:
    """The second look counts once the overlap has passed; what can be read after that all the same is taken back."""
    with world(retract=way, overlap_s=600.0) as here:
        await started(here)
        await here.sync()
        with hidden(here, status):
            await withhold(here, PLAN, GOAL)
            await here.sync()
            await here.sync()
            assert await why(here) == [NOT_SEEN]
            here.now += timedelta(minutes=11)
            await here.sync()
            assert await why(here) == []
            assert not await marked(here)
            assert (await here.sync()).writes == 0
        assert len(taken_back(await here.sync())) == 1
        assert EMPTY not in everything(here)
        await rest(here)


async def test_what_was_seen_taken_back_needs_no_second_look() -> None:
    """Blanked, and deleted there since: nobody is told, for its words went before."""
    with world(retract="blank") as here:
        await started(here)
        goal_id = goal_there(here)
        await withhold(here, PLAN, GOAL)
        await here.sync()
        here.sandbox.storage.delete("Goal", goal_id, Precondition())
        await here.sync()
        assert await why(here) == []
        await rest(here)


@WAYS
@HIDDEN
async def test_a_chart_is_left_only_when_nothing_is_hidden_in_it(way: str, status: int) -> None:
    """Link and patient are kept while one goal was not seen taken back; the run that can read it ends the leaving."""
    with world(retract=way) as here:
        await started(here)
        await here.sync()
        with hidden(here, status):
            await unlink(here)
            await here.sync()
            assert (GOAL, "Goal" if status != 403 else None) in {(owner, unit) for _, owner, unit, _ in await why(here)}
            assert await marked(here)
            assert (await still_linked(here))[1] == 1
        await here.sync()
        assert EMPTY not in everything(here)
        assert await still_linked(here) == (0, 0)
        assert await here.inbox() == []


async def test_in_a_chart_that_is_left_no_reference_stays_of_what_was_hidden() -> None:
    """A parent that is blanked later than its children names none of them: their links were kept for that."""
    with world(retract="blank") as here:
        await started(here)
        await here.sync()
        parents = [one for one in here.goals().values() if "milestone" in json.dumps(one, default=str)]
        hiding = Hiding(here.http, str(parents[0]["id"]), 404)
        plain, here.http = here.http, hiding  # type: ignore[assignment]
        await unlink(here)
        await here.sync()
        here.http = plain
        await here.sync()
        assert await still_linked(here) == (0, 0)
        assert "milestone" not in everything(here)


@ABSENT
async def test_a_chart_is_left_when_two_runs_see_nothing(status: int) -> None:
    """Somebody there deleted the goal: the second look, an overlap later, ends the leaving."""
    with world(retract="delete") as here:
        await started(here)
        await here.sync()
        with hidden(here, status):
            await unlink(here)
            await here.sync()
            assert await still_linked(here) == (1, 1)
            here.now += timedelta(minutes=1)
            await here.sync()
        assert await still_linked(here) == (0, 0)


@ABSENT
async def test_a_delete_that_finds_nothing_is_no_proof(status: int) -> None:
    """Its answer may be for want of a permission: an item says so, and the next run deletes what it can read."""
    with world(retract="delete") as here:
        await started(here)
        await here.sync()
        await withhold(here, PLAN, GOAL)
        with hidden(here, status, "DELETE"):
            assert taken_back(await here.sync()) == []
            assert ("held", GOAL, "Goal", "not_there") in await why(here)
        assert len(taken_back(await here.sync())) == 1
        assert EMPTY not in everything(here)
        await rest(here)


@dataclass
class Unanswered:
    """A network on which no delete is answered; those that are to be lost do not arrive either."""

    inner: Any
    arrives: bool

    async def send(self, request: Request) -> Reply | Failure:
        if request.method != "DELETE" or self.arrives:
            reply: Reply | Failure = await self.inner.send(request)
            if request.method != "DELETE":
                return reply
        return Failure("timeout", sent=True)


async def withheld_without_an_answer(here: World, *, arrives: bool) -> None:
    """Push the plan, withhold a goal of it, and lose the reply of its delete or the call itself."""
    await started(here)
    await here.sync()
    await withhold(here, PLAN, GOAL)
    plain, here.http = here.http, Unanswered(here.http, arrives=arrives)  # type: ignore[assignment]
    await here.sync()
    here.http = plain


async def test_a_delete_that_was_not_answered_is_done_when_two_runs_see_nothing() -> None:
    """It arrived: the second look forgets the link, and what is shared again is made anew."""
    with world(retract="delete") as here:
        await withheld_without_an_answer(here, arrives=True)
        here.now += timedelta(minutes=1)
        await here.sync()
        await rest(here)
        await share_again(here)
        await here.sync()
        assert EMPTY in here.goals()
        await rest(here)


async def test_a_delete_that_was_lost_is_sent_again_when_its_goal_is_to_be_seen_again() -> None:
    """It never arrived, and the run that looked for it could not see the goal."""
    with world(retract="delete") as here:
        await withheld_without_an_answer(here, arrives=False)
        with hidden(here, 404):
            await here.sync()
        await here.sync()
        assert EMPTY not in everything(here)
        here.now += timedelta(minutes=1)
        await here.sync()
        await rest(here)


@HIDDEN
async def test_an_edit_arrives_once_what_it_is_of_can_be_read_again(status: int) -> None:
    """It stands there as it was last seen, but not as it was last judged: the edit goes and the item closes."""
    with world() as here:
        await started(here)
        await here.sync()
        with hidden(here, status):
            await here.edit(PLAN, GOAL, text="Edited here meanwhile")
            await here.sync()
            assert [one[0] for one in await why(here)] == ["unreadable" if status == 403 else "gone"]
        assert (await here.sync()).writes == 1
        assert "Edited here meanwhile" in here.goals()
        await rest(here)


async def test_an_edit_arrives_once_what_was_deleted_there_is_restored_as_it_was() -> None:
    """The EHR took its delete back: same content, same id, and our edit still to be sent."""
    with world() as here:
        await started(here)
        await here.sync()
        goal = dict(here.goals()[EMPTY])
        here.sandbox.storage.delete("Goal", str(goal["id"]), Precondition())
        await here.edit(PLAN, GOAL, text="Edited here meanwhile")
        await here.sync()
        here.sandbox.storage.update("Goal", str(goal["id"]), goal, Precondition())
        assert (await here.sync()).writes == 1
        assert "Edited here meanwhile" in here.goals()
        await rest(here)


async def test_a_stray_that_goes_closes_its_item() -> None:
    """Nothing of ours moved: that it is not there any more is the change."""
    with world() as here:
        await started(here)
        goal = dict(here.goals()[EMPTY])
        [ours] = goal["identifier"]  # type: ignore[misc]
        identifier = [{**ours, "value": "urn:uuid:00000000-0000-0000-0000-000000000001"}]  # type: ignore[dict-item]
        copy = {name: part for name, part in goal.items() if name not in ("id", "meta")} | {"identifier": identifier}
        stray: Version = here.sandbox.storage.create("Goal", copy, unless=None).version
        await here.sync()
        assert await why(here) == [("identity", PLAN, f"Goal/{stray.id}", "unknown_identifier")]
        here.sandbox.storage.delete("Goal", stray.id, Precondition())
        await here.sync()
        assert await why(here) == []


async def test_once_a_day_every_plan_is_judged_though_nothing_moved() -> None:
    """An item whose cause went without a trace closes on the next day at the latest."""
    with world() as here:
        await started(here)
        at = here.clock()
        item = Item(kind="held", connection=here.connection, plan_id=PLAN, owner=GOAL, why="odd", opened_at=at)
        await here.store.write(lambda tx: tx.inbox.raise_(item))
        await here.sync()
        assert len(await why(here)) == 1
        here.now += timedelta(days=1)
        await here.sync()
        assert await why(here) == []
