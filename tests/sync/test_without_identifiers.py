"""A server that drops our identifiers: what a call of ours made there is known by what it was when it was stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.fhir.rest import Precondition
from fhirgoals.fhir.wire import Reply, Request
from fhirgoals.sandbox.knobs import Asked, Knobs
from fhirgoals.sync.recover import LATEST
from tests.sync.test_run import PLAN
from tests.sync.test_tree import Late
from tests.sync.test_unfiled import filed
from tests.sync.world import World, started, text_of, world

DROPPED = ("Goal.identifier", "CarePlan.identifier")
WORDS, THEIRS = "A new goal", "Words of somebody there"


def reply_of_a_new_goal(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path.endswith("/Goal")


@dataclass
class EditedAtOnce:
    """Somebody at the EHR edits each new goal before anything else is asked."""

    inner: Any
    here: World

    async def send(self, request: Request) -> Reply:
        try:
            reply: Reply = await self.inner.send(request)
        finally:
            if request.method == "POST" and request.url.endswith("/Goal"):
                self.here.change("Goal", str(self.here.goals()[WORDS]["id"]), reworded)
        return reply


def reworded(tree: dict[str, Any]) -> None:
    tree["description"] = {"text": THEIRS}


def with_a_new_goal(plan: Plan) -> Plan:
    new = msgspec.structs.replace(plan.goal("g-social"), id="g-new", text=WORDS, steps=(), targets=(), progress=())
    return msgspec.structs.replace(plan, goals=(*plan.goals, new))


@pytest.mark.parametrize("kept", [True, False])
async def test_a_create_in_doubt_that_was_edited_there_is_found_by_its_first_version(kept: bool) -> None:
    """The reply was lost and somebody reworded the goal: it is ours, the words are taken, no second one is made."""
    knobs = Knobs(drop_fields=DROPPED, source="kept" if kept else "dropped")
    with world(knobs, operation_id_kept=kept) as here:
        plan = await started(here)
        http: Any = EditedAtOnce(here.http, here)
        here.http = http
        here.sandbox.knobs = Knobs(
            drop_fields=DROPPED, source="kept" if kept else "dropped", lose_reply=reply_of_a_new_goal
        )
        await here.put(with_a_new_goal(plan))
        await here.sync()
        here.sandbox.knobs = knobs
        await here.sync()
        texts = [text_of(one) for one in here.sandbox.storage.resources("Goal")]
        assert (texts.count(THEIRS), texts.count(WORDS)) == (1, 0)
        assert (await here.plan(PLAN)).goal("g-new").text == THEIRS
        assert await here.inbox() == []


def copied(here: World, kind: str, tree: Any) -> str:
    """Store a resource once more, as a call that came late does; return its id."""
    again = {name: part for name, part in tree.items() if name not in ("id", "meta")}
    return f"{kind}/{here.sandbox.storage.create(kind, again, unless=None).version.id}"


@pytest.mark.parametrize("kind", ["Goal", "CarePlan"])
async def test_what_may_be_ours_twice_stays_told_until_it_is_gone_there(kind: str) -> None:
    """A late call made a second one: a person is told, also after ours got other words, until one was taken out."""
    with world(Knobs(drop_fields=DROPPED)) as here:
        plan = await started(here)
        [ours] = [here.goals()[str(plan.goal("g-sleep").text)]] if kind == "Goal" else here.care_plans()
        twin = copied(here, kind, ours)
        told = [("identity", PLAN, twin)]
        await here.sync()
        assert await here.inbox() == told
        if kind == "Goal":
            await here.edit(PLAN, "g-sleep", text=WORDS)
        else:
            await here.put(msgspec.structs.replace(plan, title=WORDS))
        assert (await here.sync()).writes == 1
        assert await here.inbox() == told
        assert (await here.sync()).writes == 0
        assert await here.inbox() == told
        here.sandbox.storage.delete(kind, twin.partition("/")[2], Precondition())
        await here.sync()
        assert await here.inbox() == []


async def test_what_may_be_ours_twice_is_told_although_the_linked_one_was_reworded_there_before() -> None:
    """The second one came in the same interval as somebody's edit of the first: it says what the first one said."""
    with world(Knobs(drop_fields=DROPPED), policy={"text": ("auto", "ask")}) as here:
        plan = await started(here)
        ours = here.goals()[str(plan.goal("g-sleep").text)]
        twin = copied(here, "Goal", ours)
        here.change("Goal", str(ours["id"]), reworded)
        for _ in range(2):
            await here.sync()
            assert (await here.plan(PLAN)).goal("g-sleep").text == THEIRS
            assert await here.inbox() == [("identity", PLAN, twin)]


async def created_late(here: World) -> str:
    """Have a new goal's first create come after another one that was sent for it; return its name there."""
    plain, late = here.http, Late(here.http, WORDS.encode())
    here.http = late  # type: ignore[assignment]
    await here.put(with_a_new_goal(await here.plan(PLAN)))
    await here.sync()
    here.http = plain
    await here.sync()
    before = {str(one["id"]) for one in here.sandbox.storage.resources("Goal")}
    await plain.send(late.under_way[0])
    [came] = [one for one in here.sandbox.storage.resources("Goal") if one["id"] not in before]
    return f"Goal/{came['id']}"


@pytest.mark.parametrize("reworded_at", ["the late one", "the linked one"])
async def test_a_create_that_came_late_is_told_whatever_was_reworded_before_it_was_seen(reworded_at: str) -> None:
    """It says no more, or alone says, what was sent: a person is told, also when no other one can come any more.

    It is no goal of the EHR's that belongs to the unfiled plan.
    """
    with world(Knobs(drop_fields=DROPPED), scope="all") as here:
        await started(here)
        twin = await created_late(here)
        if reworded_at == "the late one":
            here.change("Goal", twin.partition("/")[2], reworded)
        else:
            await here.edit(PLAN, "g-new", text="Other words of ours")
        for _ in range(3):
            await here.sync()
            assert await here.inbox() == [("identity", PLAN, twin)]
            assert await filed(here) == []
            here.now += LATEST + timedelta(minutes=1)


async def test_what_the_ehr_wrote_itself_is_looked_into_only_while_a_create_may_come_late() -> None:
    """Its history is asked for after a create was sent again, until the first one is too old to come."""
    with world(Knobs(drop_fields=DROPPED)) as here:
        await started(here)
        twin = await created_late(here)
        here.sandbox.storage.delete("Goal", twin.partition("/")[2], Precondition())
        theirs = {**here.goals()[WORDS], "description": {"text": THEIRS}}
        name = copied(here, "Goal", theirs)
        asked = Histories(here.http)
        here.http = asked  # type: ignore[assignment]
        await here.sync()
        assert asked.of == [name]
        here.now += LATEST
        await here.sync()
        asked.of.clear()
        await here.sync()
        assert (asked.of, await here.inbox()) == ([], [])


class Histories:
    """A network that notes whose history is asked for."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.of: list[str] = []

    async def send(self, request: Request) -> Reply:
        path, _, rest = request.url.partition("/_history")
        if rest or path != request.url:
            self.of.append("/".join(path.split("/")[-2:]))
        reply: Reply = await self.inner.send(request)
        return reply
