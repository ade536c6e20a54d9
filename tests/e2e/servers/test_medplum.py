"""Medplum's FHIR router through the cut proxy: put, sync, an edit at the EHR, sync, and then quiet.

It loses the last digit of `1.00` and gives every write a new version: neither may look like an edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal

import msgspec
import pytest

from fhirgoals.demo.oracle_sides import coded
from fhirgoals.domain.records import Plan, Step
from tests.e2e.servers.world import World, behind_the_cut_proxy, due, note, priority
from tests.plans import EXAMPLES, example
from tests.servers.fixtures import FhirServer

PLAN = "plan-ado-01"
LUNCH = "Eat lunch with someone on two school days a week"
JOY = "Spend three afternoons a week on something she likes"
BELONG = "Keep two friendships going through the school year"

replace = msgspec.structs.replace


def adolescent(value: str = "3") -> Plan:
    """Return the fifth example, its goal for afternoons set to a number with these digits."""
    plan = example(EXAMPLES[4])
    goals = tuple(
        replace(goal, targets=tuple(replace(target, value=Decimal(value)) for target in goal.targets))
        if goal.id == "h-joy"
        else goal
        for goal in plan.goals
    )
    return replace(plan, goals=goals)


@pytest.fixture
async def here(medplum: FhirServer) -> AsyncIterator[World]:
    """The plan stands at Medplum."""
    async with behind_the_cut_proxy(medplum.url) as world:
        await world.start(adolescent("3.00"))
        yield world


async def test_a_plan_arrives_and_a_second_run_is_quiet(here: World) -> None:
    """Five goals and a care plan are created once; a decimal that lost its digits there is no edit."""
    assert (len(here.resources("Goal")), len(here.resources("CarePlan"))) == (5, 1)
    value = here.goal(JOY)["target"][-1]["detailQuantity"]["value"]
    assert str(value) == "3"
    await here.quiet()
    assert str((await here.plan(PLAN)).goal("h-joy").targets[0].value) == "3.00"


async def test_a_lost_digit_never_comes_back_as_an_edit(here: World) -> None:
    """After our edit of another field, and theirs, of the goal whose decimal was cut, both sides rest."""
    await here.edit(PLAN, "h-joy", priority="low")
    await here.rest()
    await here.quiet()
    here.change(here.goal(JOY), note("Played twice", "A school nurse", "2026-11-06T10:22:00Z"))
    await here.rest()
    await here.quiet()
    assert str((await here.plan(PLAN)).goal("h-joy").targets[0].value) == "3.00"
    assert await here.inbox() == []


async def test_edits_on_both_sides_arrive(here: World) -> None:
    """A text of ours and a priority of theirs in one goal are kept; a moved date there is a proposal; then quiet."""
    await here.edit(PLAN, "h-lunch", text="Eat lunch in company")
    here.change(here.goal(LUNCH), priority("low"))
    here.change(here.goal(BELONG), due("2027-06-30"))
    await here.rest()
    goal = (await here.plan(PLAN)).goal("h-lunch")
    assert (goal.text, goal.priority) == ("Eat lunch in company", "low")
    assert coded(here.goal("Eat lunch in company")["priority"]) == "low-priority"
    assert (await here.plan(PLAN)).goal("h-belong").target_date == date(2027, 5, 28)
    assert await here.inbox() == [("proposal", "h-belong", "target_date")]
    await here.quiet()


async def test_a_stale_etag_is_refused_and_read_again(here: World) -> None:
    """Medplum answers 412 to our stale ETag: both edits stand on both sides."""
    await here.edit(PLAN, "h-lunch", text="Eat lunch in company")
    here.meanwhile("before", "PUT", lambda: here.change(here.goal(LUNCH), priority("low")))
    await here.rest()
    assert [one.status for one in here.proxy.exchanges if one.method == "PUT"] == [412, 200]
    assert (await here.plan(PLAN)).goal("h-lunch").priority == "low"
    assert coded(here.goal("Eat lunch in company")["priority"]) == "low-priority"
    await here.quiet()


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_lost_reply_doubles_and_loses_nothing(here: World, method: str) -> None:
    """A create or update that Medplum stored and whose reply never came is found again."""
    plan = await here.plan(PLAN)
    step = Step(id="st-n", n=1, text="Ask one person", status="planned")
    new = replace(plan.goal("h-lunch"), id="h-new", text="A new goal", steps=(step,), gas=None)
    goals = tuple(replace(goal, text="Play") if goal.id == "h-joy" else goal for goal in plan.goals)
    await here.put(replace(plan, goals=(*goals, new)))
    cut = here.proxy.cut_next(method=method, path=r"/Goal(\?|/|$)")
    await here.rest()
    assert cut.exchange is not None
    assert sorted(goal["description"]["text"] for goal in here.resources("Goal")).count("A new goal") == 1
    assert len(here.resources("Goal")) == 6
    assert here.goal("Play")["lifecycleStatus"] == "active"
    assert await here.inbox() == []
    assert await here.store.read(lambda tx: tx.intents.all_open("ehr-main")) == ()
    await here.quiet()
