"""Release by quiet minutes: an edit goes once nobody edited the plan for so long; nothing else waits (design 5.9)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from fhirgoals.cli.editing import Make, save
from fhirgoals.cli.running import not_sent_yet
from fhirgoals.domain.changes import Change
from fhirgoals.domain.commands import Accepted, Actor, AnyCommand, Edit, RevokeConsent, Withhold, decide_command
from fhirgoals.domain.records import Plan
from fhirgoals.sync.counts import Counts
from tests.sync.test_retract import share_again
from tests.sync.world import World, started, world

PLAN, GOAL, OTHER = "plan-dep-01", "g-sleep", "g-social"
SLEEP = "Be out of bed by 07:00 on at least six days a week for three weeks"


@pytest.fixture
async def here() -> AsyncIterator[World]:
    """A plan that was released and sent."""
    with world(release="quiet_minutes", retract="blank") as it:
        await started(it)
        it.now += timedelta(minutes=16)
        assert (await it.sync()).writes > 0
        yield it


def there(here: World) -> str:
    """Return all that stands at the EHR now."""
    return json.dumps([*here.goals().values(), *here.care_plans()], default=str)


async def test_an_edit_goes_once_nobody_edited_for_so_long(here: World) -> None:
    """Until then it can be taken back without trace, and a later edit begins the time anew."""
    await here.edit(PLAN, GOAL, text="Up by seven")
    here.now += timedelta(minutes=10)
    waits = await here.sync()
    assert (waits.writes, waits.not_sent_yet, await here.inbox()) == (0, {PLAN: 1}, [])
    await here.edit(PLAN, OTHER, priority="low")
    here.now += timedelta(minutes=10)
    assert (await here.sync()).not_sent_yet == {PLAN: 2}
    assert "Up by seven" not in there(here)
    here.now += timedelta(minutes=6)
    goes = await here.sync()
    assert (goes.writes, goes.not_sent_yet) == (2, {})
    assert "Up by seven" in there(here)
    assert (await here.sync()).writes == 0


async def test_an_edit_that_was_let_rest_goes_beside_one_that_is_not_yet(here: World) -> None:
    """No run came by in the quiet time: what was released then is released."""
    await here.edit(PLAN, GOAL, text="Up by seven")
    here.now += timedelta(minutes=20)
    await here.edit(PLAN, OTHER, text="See two friends")
    run = await here.sync()
    assert (run.writes, run.not_sent_yet) == (1, {PLAN: 1})
    assert "Up by seven" in there(here)
    assert "See two friends" not in there(here)


async def test_an_edit_that_is_taken_back_in_time_leaves_no_trace(here: World) -> None:
    """The EHR never hears of it."""
    await here.edit(PLAN, GOAL, text="Up by seven")
    await here.sync()
    await here.edit(PLAN, GOAL, text=SLEEP)
    here.now += timedelta(minutes=20)
    assert ((await here.sync()).writes, await here.inbox()) == (0, [])


@pytest.mark.parametrize("consent", [False, True])
async def test_taking_back_waits_for_nothing(here: World, consent: bool) -> None:
    """Neither for its own quiet minutes, nor for those of others who go on editing."""
    await here.edit(PLAN, OTHER, priority="low")
    if consent:
        plan = await here.plan(PLAN)
        [known] = [one.id for one in plan.disclosure.consents if one.endpoint == here.connection]
        await here.do(PLAN, RevokeConsent(id=known), by="client-101")
    else:
        await here.do(PLAN, Withhold(target=GOAL), by="client-101")
    here.now += timedelta(minutes=1)
    await here.sync()
    if consent:  # so many at once are for a person to clear
        assert [kind for kind, *_ in await here.inbox()] == ["guard"]
    else:
        assert SLEEP not in there(here)


async def test_the_day_on_which_a_consent_ends_waits_for_no_edit(here: World) -> None:
    """From that midnight on nothing of it may stand there, whoever is typing."""
    plan = await here.plan(PLAN)
    ends = here.now.date() + timedelta(days=1)
    consents = tuple(msgspec.structs.replace(one, expires=ends) for one in plan.disclosure.consents)
    await here.put(
        msgspec.structs.replace(plan, disclosure=msgspec.structs.replace(plan.disclosure, consents=consents))
    )
    await here.sync()
    here.now += timedelta(days=2)
    await here.edit(PLAN, GOAL, text="Up by seven")
    await here.sync()
    assert [kind for kind, *_ in await here.inbox()] == ["guard"]  # so many at once are for a person to clear


async def test_what_is_shared_anew_waits_and_what_is_withheld_again_was_never_seen(here: World) -> None:
    """Somebody took the wrong goal: within the quiet minutes nobody outside sees it."""
    await here.do(PLAN, Withhold(target=GOAL), by="client-101")
    here.now += timedelta(minutes=20)
    await here.sync()
    assert SLEEP not in there(here)
    await share_again(here, GOAL)
    before = there(here)
    run = await here.sync()
    assert (run.writes, there(here)) == (0, before)
    here.now += timedelta(minutes=20)
    await here.sync()
    assert SLEEP in there(here)
    assert (await here.sync()).writes == 0


async def test_the_ehrs_edits_are_read_meanwhile_and_restart_nothing(here: World) -> None:
    """Theirs is taken over while ours waits, and ours goes at its time."""
    await here.edit(PLAN, GOAL, text="Up by seven")
    other = here.goals()[str((await here.plan(PLAN)).goal(OTHER).text)]
    here.now += timedelta(minutes=10)
    here.change("Goal", str(other["id"]), lambda tree: tree.update(description={"text": "See friends weekly"}))
    run = await here.sync()
    assert (run.pulled, run.writes) == (1, 0)
    here.now += timedelta(minutes=6)
    assert (await here.sync()).writes == 1
    assert {"Up by seven", "See friends weekly"} <= set(here.goals())


async def test_preview_says_what_sync_does(here: World) -> None:
    """What is not released is not counted as something that would be sent."""
    await here.edit(PLAN, GOAL, text="Up by seven")
    edited = here.now
    preview, run = await here.runner().preview(), await here.sync()
    assert (preview.operations, preview.pushed, preview.created) == ([], 0, 0)
    assert (run.operations, run.writes) == ([], 0)
    assert preview.not_sent_yet == run.not_sent_yet == {PLAN: 1}
    assert preview.not_sent_until == run.not_sent_until
    assert timedelta() <= goes(run) - (edited + timedelta(minutes=15)) < timedelta(minutes=1)
    assert "may go from 6 Nov 2026, " in not_sent_yet(run)


async def test_a_goal_that_was_edited_and_then_withheld_is_not_said_to_go_later(here: World) -> None:
    """It is taken back; what waits is the other edit alone."""
    await here.edit(PLAN, GOAL, text="Up by seven")
    await here.edit(PLAN, OTHER, priority="low")
    await here.do(PLAN, Withhold(target=GOAL), by="client-101")
    assert (await here.sync()).not_sent_yet == {PLAN: 1}
    assert SLEEP not in there(here)


@pytest.fixture(params=["instant", "history"])
async def asked(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The same where a run asks what changed, and reads only plans with a mark that is due."""
    with world(release="quiet_minutes", retract="blank", changes=request.param, changes_of="server") as it:
        await started(it)
        it.now += timedelta(minutes=16)
        assert (await it.sync()).writes > 0
        await it.sync()
        assert (await it.sync()).read == 0
        yield it


async def test_where_only_marked_plans_are_read_a_withholding_is_still_taken_back_at_once(asked: World) -> None:
    """Before an edit's time is over, and although somebody edits after it: by the command line's own marks."""
    await by_command(asked, reworded("See two friends"), "staff-7")
    assert (await asked.sync()).writes == 0
    await by_command(asked, withheld, "client-101")
    await by_command(asked, reworded("See three friends"), "staff-7")
    assert (await asked.sync()).retracted != []
    assert SLEEP not in there(asked)
    assert "See three friends" not in there(asked)


async def test_where_only_marked_plans_are_read_an_edit_goes_at_its_time(asked: World) -> None:
    """Every run until then says that it waits, though it reads nothing; at its time the plan is looked at again."""
    await by_command(asked, reworded("See two friends"), "staff-7")
    assert (await asked.sync()).not_sent_yet == {PLAN: 1}
    waits = await asked.sync()
    assert (waits.read, waits.writes, waits.not_sent_yet) == (0, 0, {PLAN: 1})
    asked.now = goes(waits)
    run = await asked.sync()
    assert (run.writes, run.not_sent_yet, run.not_sent_until) == (1, {}, None)
    assert "See two friends" in there(asked)
    assert await asked.store.read(lambda tx: tx.dirty.marked(asked.connection, ("release", "edit"))) == set()


async def test_a_withholding_while_a_run_is_under_way_is_taken_back_by_the_next_one(asked: World) -> None:
    """The run that marks the plan for the end of its quiet minutes does not put the later mark off."""
    await by_command(asked, reworded("See two friends"), "staff-7")
    asked.http = Meanwhile(asked.http, partial(by_command, asked, withheld, "client-101"))  # type: ignore[assignment]
    await asked.sync()
    assert SLEEP in there(asked)
    await asked.sync()
    assert SLEEP not in there(asked)


def goes(counts: Counts) -> datetime:
    """Return from when what waits may go, as it was said."""
    assert counts.not_sent_until is not None
    return datetime.fromisoformat(counts.not_sent_until)


async def by_command(here: World, make: Make, by: str) -> None:
    """Carry a command out and save it as the command line does."""
    stored = await here.store.read(lambda tx: tx.plans.get(PLAN))
    assert stored is not None
    at = here.clock()
    answer = decide_command(stored.plan, make(stored.plan), Actor(by), at.date(), rev=stored.rev)
    assert isinstance(answer, Accepted), answer
    await here.store.write(lambda tx: save(tx, answer, stored.rev, by, at))


def reworded(text: str) -> Make:
    field = f"goals[{OTHER}].text"
    return lambda plan: Edit(changes=(Change(field=field, from_=plan.goal(OTHER).text, to=text),), because="correction")


def withheld(_: Plan) -> AnyCommand:
    return Withhold(target=GOAL)


class Meanwhile:
    """Lets something happen here once, when a run looks at the patient, after it read our plan."""

    def __init__(self, inner: Any, happens: Callable[[], Awaitable[None]]) -> None:
        self.inner, self.happens, self.happened = inner, happens, False

    async def send(self, request: Any) -> Any:
        reply = await self.inner.send(request)
        if not self.happened and "/Patient/" in str(request.url):
            self.happened = True
            await self.happens()
        return reply
