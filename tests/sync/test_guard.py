"""The guard: too much taken away or changed within a day stops a connection before it is written (design 5.11)."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from fhirgoals.sync.guard import Tally, clear, stops
from tests.sync.world import started, taken_back, withhold, world

PLAN = "plan-dep-01"
SENT = ["g-ba", "g-thought", "g-sleep", "g-move", "g-social", "g-gratitude", "g-work"]


def tally(removed: int = 0, changed: int = 0, start: int = 0) -> Tally:
    return Tally(
        frozenset(f"r{n}" for n in range(start, start + removed)),
        frozenset(f"c{n}" for n in range(start, start + changed)),
    )


@pytest.mark.parametrize(
    ("planned", "before", "links", "why"),
    [
        (tally(removed=5), Tally(), 10, None),
        (tally(removed=6), Tally(), 10, ("too_many_removals", 6, 5)),
        (tally(removed=6), Tally(), 59, ("too_many_removals", 6, 5)),
        (tally(removed=6), Tally(), 60, None),
        (tally(removed=10), Tally(), 100, None),
        (tally(removed=11), Tally(), 100, ("too_many_removals", 11, 10)),
        (tally(removed=3), tally(removed=3, start=50), 10, ("too_many_removals", 6, 5)),
        (tally(removed=5), tally(removed=5), 10, None),
        (tally(changed=49), Tally(), 49, None),
        (tally(changed=25), Tally(), 50, None),
        (tally(changed=26), Tally(), 50, ("too_many_changes", 26, 25)),
        (tally(changed=1), tally(changed=25, start=50), 50, ("too_many_changes", 26, 25)),
        (Tally(), tally(removed=50, changed=50), 60, None),
    ],
)
def test_the_limits(planned: Tally, before: Tally, links: int, why: tuple[str, int, int] | None) -> None:
    """More than 5 and than a tenth of the links removed, or more than half of at least 50 links changed: stop."""
    stop = stops(planned, before, links)
    assert (stop and (stop.why, stop.found, stop.limit)) == why


async def test_six_goals_at_once_wait_for_a_person() -> None:
    """Six goals to be deleted at once: nothing is written, one item says why; cleared, the next run does it."""
    with world(retract="delete") as here:
        await started(here)
        await withhold(here, PLAN, *SENT[:6])
        planned = await here.runner().preview()
        counts = await here.sync()
        assert (counts.writes, taken_back(counts), taken_back(planned)) == (0, [], [])
        assert await here.inbox() == [("guard", PLAN, None)]
        assert len(here.goals()) == 14
        at = here.clock()
        await here.store.write(lambda tx: clear(tx, "ehr-main", by="it-1", at=at))
        counts = await here.sync()
        assert len(taken_back(counts)) == 6
        assert (await here.inbox(), len(here.goals())) == ([], 8)
        assert (await here.sync()).writes == 0


async def test_the_clearance_holds_for_one_run_and_the_day_counts() -> None:
    """Three goals, then three more within the day: the second three wait; a day later they go without a person."""
    with world(retract="delete") as here:
        await started(here)
        await withhold(here, PLAN, *SENT[:3])
        assert len(taken_back(await here.sync())) == 3
        await withhold(here, PLAN, *SENT[:6])
        assert taken_back(await here.sync()) == []
        here.now += timedelta(hours=24)
        assert len(taken_back(await here.sync())) == 3
        at = here.clock()
        await here.store.write(lambda tx: clear(tx, "ehr-main", by="it-1", at=at))
        assert (await here.sync()).writes == 0
        await withhold(here, PLAN, *SENT, "g-mood", "g-selfcare", "g-resilience", "g-create")
        assert taken_back(await here.sync()) == []


async def test_goals_that_are_marked_entered_in_error_are_taken_away() -> None:
    """It is the only delete there is (design 3): more than the limit wait."""
    with world() as here:
        await started(here)
        plan = await here.plan(PLAN)
        void = {goal.id for goal in plan.goals[:6]}
        goals = (
            msgspec.structs.replace(one, lifecycle="entered_in_error") if one.id in void else one for one in plan.goals
        )
        await here.put(msgspec.structs.replace(plan, goals=tuple(goals)))
        assert (await here.sync()).writes == 0
        assert await here.inbox() == [("guard", PLAN, None)]
        at = here.clock()
        await here.store.write(lambda tx: clear(tx, "ehr-main", by="it-1", at=at))
        await here.sync()
        assert [one["lifecycleStatus"] for one in here.goals().values()].count("entered-in-error") == 6
        assert await here.inbox() == []
