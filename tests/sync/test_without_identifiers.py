"""A server that drops our identifiers: what a call of ours made there is known by what it was when it was stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.fhir.rest import Precondition
from fhirgoals.fhir.wire import Reply, Request
from fhirgoals.sandbox.knobs import Asked, Knobs
from tests.sync.test_run import PLAN
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
