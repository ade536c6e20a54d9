"""One reply that makes no sense stops neither the other plans nor our next run: what it is about waits, and no more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.wire import Failure, Reply, Request
from tests.sync.world import World, example, world

Odd = Callable[[Request, Reply], Reply]


@dataclass
class Changing:
    """A network that changes replies on their way."""

    inner: Any
    odd: Odd

    async def send(self, request: Request) -> Reply | Failure:
        reply = await self.inner.send(request)
        return self.odd(request, reply) if isinstance(reply, Reply) else reply


@pytest.fixture
async def here() -> AsyncIterator[World]:
    """Two plans of two clients, pushed; then each has a goal with another text, the one of the odd replies first."""
    with world() as it:
        await it.add_connection()
        for number in ("01", "02"):
            plan = example(number)
            await it.put(plan)
            await it.know_people(plan)
        await it.sync()
        for plan_id, text in zip(await plans(it), ("First plan edit", "Second plan edit"), strict=True):
            plan = await it.plan(plan_id)
            await it.edit(plan_id, plan.goals[0].id, text=text)
        yield it


async def plans(here: World) -> tuple[str, ...]:
    """Return the plans in the order in which a run takes them up."""
    return await here.store.read(lambda tx: tx.plans.ids())


async def first_goal(here: World) -> str:
    """Return the id that the EHR has for the goal that is edited first."""
    plan = await here.plan((await plans(here))[0])
    links = await here.store.read(lambda tx: tx.links.for_plan(here.connection, plan.id))
    return next(link.resource_id or "" for link in links if link.local_id == plan.goals[0].id)


def texts(here: World) -> list[str]:
    return [tree["description"]["text"] for tree in here.goals().values()]


async def test_an_etag_that_no_header_can_give_back_is_none(here: World) -> None:
    """It counts as not given: the plan goes on by the version, and the other one anyway."""
    own, inner = await first_goal(here), here.http
    here.http = Changing(inner, lambda asked, reply: _with_etag(reply) if asked.url.endswith(own) else reply)  # type: ignore[assignment]
    counts = await here.sync()
    assert not counts.broken
    assert "Second plan edit" in texts(here)
    here.http = inner
    await here.sync()
    assert texts(here).count("First plan edit") == 1


async def test_an_update_that_is_answered_with_another_resource_leaves_the_link(here: World) -> None:
    """Nothing says what became of it: it is looked into, and our goal stays linked to its own resource."""
    own, inner = await first_goal(here), here.http
    here.http = Changing(inner, lambda asked, reply: _renamed(reply) if asked.method == "PUT" else reply)  # type: ignore[assignment]
    await here.sync()
    here.http = inner
    await here.sync()
    assert await first_goal(here) == own
    assert texts(here).count("First plan edit") == texts(here).count("Second plan edit") == 1
    assert not await here.inbox()


async def test_a_read_that_is_answered_with_another_resource_says_nothing_of_ours(here: World) -> None:
    """The words of another goal are not taken over for the one that was asked for."""
    own, inner = await first_goal(here), here.http
    other = next(tree for tree in here.goals().values() if tree["id"] != own)
    before = [goal.text for goal in (await here.plan((await plans(here))[0])).goals]

    def swapped(asked: Request, reply: Reply) -> Reply:
        if asked.method == "GET" and asked.url.endswith(f"Goal/{own}"):
            return Reply(200, reply.headers, exact_json.dumps(other))
        if asked.method == "GET" and "/Goal?" in asked.url:
            tree = json.loads(reply.body)
            tree["entry"] = [one for one in tree.get("entry", ()) if one["resource"]["id"] != own]
            return Reply(200, reply.headers, json.dumps(tree).encode())
        return reply

    here.http = Changing(inner, swapped)  # type: ignore[assignment]
    counts = await here.sync()
    assert "Second plan edit" in texts(here)
    assert counts.unanswered
    here.http = inner
    await here.sync()
    assert texts(here).count("First plan edit") == 1
    assert [goal.text for goal in (await here.plan((await plans(here))[0])).goals] == before


@pytest.mark.parametrize("odd", ["x" * 300, ".."])
async def test_a_goal_with_an_id_that_no_address_can_hold_is_left_out(here: World, odd: str) -> None:
    """Nobody could ever write there; our own goals beside it are read and written as ever."""
    inner = here.http

    def with_one_more(asked: Request, reply: Reply) -> Reply:
        if asked.method != "GET" or "/Goal?" not in asked.url:
            return reply
        tree = json.loads(reply.body)
        known = next(iter(tree.get("entry", ())), None)
        if known is not None:
            stranger = {**known["resource"], "id": odd, "identifier": [], "description": {"text": "Born there"}}
            tree["entry"].append({"resource": stranger, "search": {"mode": "match"}})
        return Reply(200, reply.headers, json.dumps(tree).encode())

    for plan in here.care_plans():
        here.change("CarePlan", plan["id"], lambda tree: tree["goal"].append({"reference": f"Goal/{odd}"}))
    here.http = Changing(inner, with_one_more)  # type: ignore[assignment]
    counts = await here.sync()
    assert not counts.broken
    assert counts.adopted == 0
    assert {"First plan edit", "Second plan edit"} <= set(texts(here))


async def test_a_plan_that_breaks_does_not_stop_the_others(here: World) -> None:
    """A create is answered with the id of another goal of ours: nothing is linked twice, and the other plan goes on."""
    own, _ = await plans(here)
    taken, inner = await first_goal(here), here.http
    plan = await here.plan(own)
    await here.put(replace(plan, goals=(*plan.goals, replace(plan.goals[0], id="g-new", text="New here", steps=()))))

    def misnamed(asked: Request, reply: Reply) -> Reply:
        return _renamed(reply, taken) if asked.method == "POST" else reply

    here.http = Changing(inner, misnamed)  # type: ignore[assignment]
    counts = await here.sync()
    assert counts.unanswered == [own]
    assert len(counts.broken) == 1
    assert "Second plan edit" in texts(here)
    here.http = inner
    await here.sync()
    assert {"New here", "First plan edit"} <= set(texts(here))
    assert texts(here).count("New here") == 1


def _with_etag(reply: Reply) -> Reply:
    return Reply(reply.status, {**reply.headers, "etag": 'W/"é"'}, reply.body)


def _renamed(reply: Reply, id_: str = "someone-else") -> Reply:
    tree = json.loads(reply.body)
    return Reply(reply.status, reply.headers, json.dumps({**tree, "id": id_}).encode())
