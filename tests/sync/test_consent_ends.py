"""A consent that ends in the middle of a run: what it alone covered goes in nothing that is sent from then on.

Two consents: one for mental health, and one for substance use too that ends at midnight. The goal of the latter has a
new step, which the CarePlan would carry. Each run here begins before midnight.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, cast

import msgspec
import pytest

from fhirgoals.domain.records import Step
from fhirgoals.fhir.wire import Failure, Reply, Request
from tests.sync.test_resolve import PLAN, SLEEP, five_goals
from tests.sync.world import World, world

ENDS = date(2026, 11, 7)
BEFORE = datetime(2026, 11, 6, 23, 58, tzinfo=UTC)
AFTER = datetime(2026, 11, 7, 0, 5, tzinfo=UTC)
SECRET = "Attend the methadone clinic on Mondays"
BUSY = Reply(429, {"retry-after": "1"})


@dataclass
class Night:
    """The network of a world in which midnight passes with the reply to a write that says `passes_with`.

    `instead` is answered to the first ones of these, and the EHR sees none of them; midnight passes with the last.
    `late` are the writes that went out afterwards.
    """

    here: World
    inner: Any
    passes_with: str | None = None
    instead: list[Reply | Failure] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    async def send(self, request: Request) -> Reply | Failure:
        words = "" if request.method == "GET" else (request.body or b"").decode()
        if words and self.here.now.date() >= ENDS:
            self.late.append(words)
        if self.passes_with is None or self.passes_with not in words:
            return cast("Reply | Failure", await self.inner.send(request))
        reply = self.instead.pop(0) if self.instead else await self.inner.send(request)
        if not self.instead:
            self.passes_with, self.here.now = None, AFTER
        return cast("Reply | Failure", reply)


@contextmanager
def evening(**config: object) -> Iterator[tuple[World, Night]]:
    with world(retract="blank", **config) as here:
        night = Night(here, here.http)
        here.http = cast("Any", night)
        yield here, night


async def begun(here: World) -> None:
    """Push the plan in the evening, and give two of its goals something new after that."""
    plan = five_goals()
    [consent] = [one for one in plan.disclosure.consents if one.endpoint == here.connection]
    ends = msgspec.structs.replace(consent, id="c-ends", expires=ENDS, sensitivities=("MH", "SUD"))
    disclosure = msgspec.structs.replace(plan.disclosure, consents=(*plan.disclosure.consents, ends))
    goals = [msgspec.structs.replace(one, sensitivities=("SUD",)) if one.id == "g-sleep" else one for one in plan.goals]
    plan = msgspec.structs.replace(plan, disclosure=disclosure, goals=tuple(goals))
    await here.add_connection()
    await here.put(plan)
    await here.know_people(plan)
    await here.sync()
    assert SLEEP in here.goals()
    steps = plan.goal("g-sleep").steps
    step = Step(id="st-new", n=len(steps) + 1, owner="client", text=SECRET, status="planned")
    await here.edit(PLAN, "g-sleep", steps=(*steps, step))
    await here.edit(PLAN, "g-social", text="See a friend")
    here.now = BEFORE


def taken_back(here: World, night: Night) -> bool:
    """Tell whether a run past midnight took back what the consent had covered, and sent the rest."""
    assert night.late, "nothing was sent after midnight"
    there = str([*here.goals().values(), *here.care_plans()])
    return "See a friend" in there and SECRET not in there and SLEEP not in there


@pytest.mark.parametrize("transactions", ["none", "atomic"])
async def test_nothing_of_a_goal_goes_after_the_consent_for_it_ended(transactions: str) -> None:
    """The CarePlan may be there still; the step in it may not, and the same run looks again and takes its goal back."""
    with evening(transactions=transactions) as (here, night):
        await begun(here)
        night.passes_with = "See a friend"
        await here.sync()
        assert not [words for words in night.late if SECRET in words]
        assert taken_back(here, night)


async def test_a_call_that_waits_past_midnight_is_not_sent_again() -> None:
    """Each attempt looks anew: the EHR was busy before midnight, and what is sent to it afterwards is decided anew."""
    with evening() as (here, night):
        await begun(here)
        night.passes_with, night.instead = SECRET, [BUSY]
        await here.sync()
        assert not [words for words in night.late if SECRET in words]
        assert taken_back(here, night)


async def test_a_call_in_doubt_is_not_repeated_past_midnight() -> None:
    """Its reply never came; the EHR is busy when it is repeated, and then the consent ends."""
    with evening() as (here, night):
        await begun(here)
        night.passes_with, night.instead = SECRET, [Failure("timeout", sent=True), BUSY]
        await here.sync()
        assert not [words for words in night.late if SECRET in words]
        assert taken_back(here, night)
