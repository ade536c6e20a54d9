"""A server that drops our identifiers: what a call of ours made there is known by what it was when it was stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Plan
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
