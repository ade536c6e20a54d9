"""The first run after arming: a few plans go, the others wait for the next run (design 5.13)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.sync.first import First, first_of, keep
from tests.sync.world import World, example, world

PLANS = ("01", "02", "03")


@pytest.fixture
async def here() -> AsyncIterator[World]:
    """Three plans of three linked clients, and nothing sent yet."""
    with world() as here:
        await here.add_connection()
        for plan in map(example, PLANS):
            await here.put(plan)
            await here.know_people(plan)
        yield here


async def limited(here: World, first: First) -> None:
    at = here.clock()
    await here.store.write(lambda tx: keep(tx, "ehr-main", first, at))


async def sent(here: World) -> set[str]:
    """Return the plans of which anything stands there."""
    ids = await here.store.read(lambda tx: tx.plans.ids())
    return {one for one in ids if await here.store.read(lambda tx, one=one: tx.links.for_plan("ehr-main", one))}  # type: ignore[misc]


def ids(*plans: Plan) -> set[str]:
    return {plan.id for plan in plans}


async def test_the_first_run_writes_a_few_plans_and_the_next_one_the_rest(here: World) -> None:
    """Of three plans two go, one is left with its mark; the run after it has no limit, and then nothing is left."""
    await limited(here, First(2))
    planned = await here.runner().preview()
    counts = await here.sync()
    assert counts.operations == planned.operations
    assert (counts.left_for_later, planned.left_for_later) == (1, 1)
    assert len(await sent(here)) == 2
    [left] = ids(*map(example, PLANS)) - await sent(here)
    assert left in await here.store.read(lambda tx: tx.dirty.marked("ehr-main"))
    assert counts.unanswered == []
    assert (await here.sync()).left_for_later == 0
    assert await sent(here) == ids(*map(example, PLANS))
    assert (await here.sync()).writes == 0


async def test_the_whole_preview_shows_what_is_left_too(here: World) -> None:
    """Before arming anew everything is shown, whatever limit an earlier arming left."""
    await limited(here, First(1))
    some, everything = await here.runner().preview(), await here.runner().preview(whole=True)
    assert 0 < len(some.operations) < len(everything.operations)
    assert everything.left_for_later == 0


async def test_a_run_that_wrote_nothing_does_not_use_the_limit_up(here: World) -> None:
    """An EHR that takes no writes leaves the limit for the run in which it does."""
    await limited(here, First(2))
    at = here.clock()
    await here.store.write(lambda tx: tx.connections.set_state("ehr-main", "observe", by="it-1", reason=None, at=at))
    assert (await here.sync()).writes == 0
    assert (await here.store.read(lambda tx: first_of(tx, "ehr-main"))).limit == 2
    await here.store.write(lambda tx: tx.connections.set_state("ehr-main", "armed", by="it-1", reason=None, at=at))
    assert (await here.sync()).left_for_later == 1
    assert await here.store.read(lambda tx: first_of(tx, "ehr-main")) == First()


async def test_a_run_whose_process_died_goes_on_with_what_is_left_of_the_limit(here: World) -> None:
    """One plan was written before the crash: that plan may go on, and only one more with it."""
    first, *_ = await here.store.read(lambda tx: tx.plans.ids())
    await limited(here, First(2, frozenset({first})))
    assert (await here.sync()).left_for_later == 1
    assert first in await sent(here)
    assert len(await sent(here)) == 2


async def test_plans_with_nothing_to_write_are_not_counted(here: World) -> None:
    """What stands there as it should passes the limit; an edited plan is the one that counts."""
    await here.sync()
    await here.edit("plan-dep-01", "g-sleep", text="In bed by eleven")
    await limited(here, First(1))
    counts = await here.sync()
    assert (counts.writes, counts.left_for_later) == (1, 2)
