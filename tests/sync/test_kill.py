"""A run may die at any await: whatever the moment, later runs bring both sides to the same rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import msgspec
import pytest

from fhirgoals.domain.records import Plan, Step
from fhirgoals.fhir.client import EhrClient
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.run import Runner
from tests.sync.test_run import put_priority
from tests.sync.world import BASE, World, started, text_of, world

T = TypeVar("T")
PLAN = "plan-ado-01"
LUNCH = "Eat lunch with someone on two school days a week"
JOY = "Spend three afternoons a week on something she likes"


class KilledError(BaseException):
    """The process is dead from here on."""


@dataclass
class Life:
    """Counts awaits and ends at one of them, before or after what is awaited was done; nothing runs afterwards."""

    ends_at: int
    after: bool
    awaits: int = 0
    dead: bool = False

    def enter(self) -> None:
        if self.dead:
            raise KilledError
        self.awaits += 1
        if self.awaits == self.ends_at and not self.after:
            self.dead = True
            raise KilledError

    def leave(self) -> None:
        if self.awaits == self.ends_at and self.after:
            self.dead = True
            raise KilledError


class MortalStore(AsyncStore):
    """The store behind a life."""

    def __init__(self, inner: AsyncStore, life: Life) -> None:
        self.inner = inner
        self.store = inner.store
        self.life = life

    async def write(self, fn: Callable[[Any], T]) -> T:
        self.life.enter()
        result = await self.inner.write(fn)
        self.life.leave()
        return result

    async def read(self, fn: Callable[[Any], T]) -> T:
        self.life.enter()
        result = await self.inner.read(fn)
        self.life.leave()
        return result


@dataclass
class MortalHttp:
    """The network behind a life."""

    inner: Any
    life: Life

    async def send(self, request: Any) -> Any:
        self.life.enter()
        reply = await self.inner.send(request)
        self.life.leave()
        return reply


def edited(plan: Plan) -> Plan:
    """Return the plan after a session: a text, a moved goal, a closed step, a new goal with a step."""
    changed = {
        "h-lunch": {"text": "Eat lunch with somebody twice a week", "target_date": date(2027, 1, 22)},
        "h-joy": {"parent": "h-belong"},
    }
    goals = [msgspec.structs.replace(goal, **changed.get(goal.id, {})) for goal in plan.goals]
    new = msgspec.structs.replace(
        plan.goal("h-lunch"), id="h-new", text="A new goal", steps=(Step(id="st-n", n=1, text="One", status="planned"),)
    )
    return msgspec.structs.replace(plan, goals=(*goals, new))


async def prepared(one: World) -> None:
    """Push the plan, then edit on both sides."""
    plan = await started(one, "05")
    await one.put(edited(plan))
    one.change("Goal", str(one.goals()[LUNCH]["id"]), lambda tree: put_priority(tree, "low"))


def at_rest(one: World, plan: Plan) -> dict[str, Any]:
    """Return what a person would compare: both sides in words, and how many resources there are."""
    goals = one.sandbox.storage.resources("Goal")
    [care_plan] = one.care_plans()
    return {
        "texts": sorted(text_of(goal) for goal in goals),
        "lunch": (plan.goal("h-lunch").priority, plan.goal("h-lunch").text),
        "parent": plan.goal("h-joy").parent,
        "goals": len(care_plan["goal"]),
        "steps": sorted(activity["detail"]["description"] for activity in care_plan["activity"]),
        "milestones": sorted(
            (text_of(goal), sum("goal-relationship" in one["url"] for one in goal.get("extension", [])))
            for goal in goals
        ),
        "low": sorted(text_of(g) for g in goals if g["priority"]["coding"][0]["code"] == "low-priority"),
    }


async def ended(one: World, expected: dict[str, Any], moment: object) -> None:
    """Show that after further runs both sides are as they should be, and nothing is left to do or to ask."""
    await one.sync()
    assert at_rest(one, await one.plan(PLAN)) == expected, moment
    assert await one.inbox() == [], moment
    assert await one.store.read(lambda tx: tx.intents.all_open("ehr-main")) == (), moment
    counts = await one.sync()
    assert (counts.writes, counts.pulled) == (0, 0), moment


async def run_until_death(one: World, life: Life) -> None:
    client = EhrClient(BASE, MortalHttp(one.http, life), clock=one.clock, connection=one.connection)
    runner = Runner(MortalStore(one.store, life), one.connection, client, one.clock, one.new_id, "test")
    await runner.sync()


async def count_awaits() -> tuple[int, dict[str, Any]]:
    with world() as one:
        await prepared(one)
        life = Life(0, after=False)
        await run_until_death(one, life)
        return life.awaits, at_rest(one, await one.plan(PLAN))


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_run_killed_at_any_await_ends_like_one_that_was_not(after: bool) -> None:
    """Nothing lost, nothing doubled, no question, no write in a further run, whatever the moment of death."""
    awaits, expected = await count_awaits()
    assert awaits > 25
    for moment in range(1, awaits + 1):
        with world() as one:
            await prepared(one)
            with pytest.raises(KilledError):
                await run_until_death(one, Life(moment, after))
            await ended(one, expected, moment)
