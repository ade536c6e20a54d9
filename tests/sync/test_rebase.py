"""An upgrade whose mappers read more, or the same in other words, sends nothing and loses no edit (design 5.14)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fhirgoals.domain.units import Pair
from tests.sync.world import World, started, world

PLAN = "plan-dep-01"
SLEEP = "Be out of bed by 07:00 on at least six days a week for three weeks"


@pytest.fixture
def here() -> Iterator[World]:
    with world() as one:
        yield one


async def as_an_older_mapper_left_it(here: World) -> int:
    """Let the links say version 0: no priorities read, categories called otherwise; return how many pairs."""

    def work(tx: Any) -> int:
        for link in tx.links.for_plan("ehr-main", PLAN):
            tx.links.put(replace(link, mapper_version="0"))
        bases = tx.bases.for_plan("ehr-main", PLAN)
        tx.bases.drop("ehr-main", PLAN, [unit for unit in bases if unit.family == "priority"])
        renamed = {
            unit: Pair("old words", "old words", pair.rev) for unit, pair in bases.items() if unit.family == "category"
        }
        tx.bases.settle("ehr-main", PLAN, renamed)
        return len(renamed) + sum(unit.family == "priority" for unit in bases)

    return await here.store.write(work)


async def test_an_upgrade_sends_nothing_and_asks_nothing(here: World) -> None:
    """New and renamed units are agreed as they stand: no write, no pull, no item; the preview says how many."""
    await started(here)
    touched = await as_an_older_mapper_left_it(here)
    planned = await here.runner().preview()
    counts = await here.sync()
    assert (counts.rebased, planned.rebased) == (touched, touched)
    assert (counts.writes, counts.pulled, counts.conflicts, counts.proposals, planned.operations) == (0, 0, 0, 0, [])
    assert await here.inbox() == []
    counts = await here.sync()
    assert (counts.rebased, counts.writes) == (0, 0)


async def test_edits_before_and_after_the_upgrade_go_through(here: World) -> None:
    """A text changed here and a priority changed there, both not yet seen: each arrives on the other side."""
    await started(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await as_an_older_mapper_left_it(here)
    system = "http://terminology.hl7.org/CodeSystem/goal-priority"
    low = {"coding": [{"system": system, "code": "low-priority"}]}
    here.change("Goal", str(here.goals()[SLEEP]["id"]), lambda tree: tree.update(priority=low))
    await here.sync()
    goal = (await here.plan(PLAN)).goal("g-sleep")
    assert (goal.priority, goal.text) == ("low", "Up by seven")
    assert "Up by seven" in here.goals()
    assert (await here.sync()).writes == 0


async def test_what_waits_for_a_person_still_waits(here: World) -> None:
    """An open conflict keeps its pair: the EHR's value is not taken for agreed because it was the last one read."""
    await started(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    goal = str(here.goals()[SLEEP]["id"])
    here.change("Goal", goal, lambda tree: tree.update(description={"text": "Up by eight"}))
    await here.sync()
    before = await here.inbox()
    assert before == [("conflict", "g-sleep", "text")]
    await as_an_older_mapper_left_it(here)
    await here.sync()
    assert await here.inbox() == before
    assert "Up by eight" in here.goals()
