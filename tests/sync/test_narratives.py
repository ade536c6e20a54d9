"""The text of a resource there: ours is written anew, a person's own is never gone over, and neither names in silence
what was taken back (design 4 and 5.10)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fhirgoals.fhir.exact_json import Resource
from fhirgoals.sync.counts import Counts
from tests.sync.test_retract import EMPTY, GOAL, PLAN, everything
from tests.sync.world import World, started, withhold, world

STATUSES = ("generated", "additional", "extensions", "empty", None)
TOLD = ("retract", PLAN, "CarePlan")
XHTML = '<div xmlns="http://www.w3.org/1999/xhtml"><p>{}</p></div>'


def set_status(here: World, status: str | None) -> None:
    """Give our narrative there another status, or none, as servers and people do."""

    def edit(tree: dict[str, Any]) -> None:
        tree["text"] = {"div": tree["text"]["div"]} | ({} if status is None else {"status": status})

    here.change("CarePlan", str(here.care_plans()[0]["id"]), edit)


def write_text(here: World, kind: str, resource_id: object, words: str, status: str = "additional") -> Resource:
    """Write a narrative of a person's own there."""
    text: Resource = {"status": status, "div": XHTML.format(words)}
    here.change(kind, str(resource_id), lambda tree: tree.update(text=text))
    return text


def left_in_texts(counts: Counts) -> list[tuple[Any, Any]]:
    return [(one["resource"], one["id"]) for one in counts.retracted if one["way"] == "text"]


@pytest.mark.parametrize("way", ["blank", "delete", "leave"])
@pytest.mark.parametrize("status", STATUSES)
async def test_our_narrative_is_written_anew_whatever_its_status_says(status: str | None, way: str) -> None:
    """Byte for byte the one that we sent: it forgets the withheld goal, and the others are still in it."""
    with world(retract=way) as here:
        await started(here)
        set_status(here, status)
        await here.sync()
        await withhold(here, PLAN, GOAL)
        counts = await here.sync()
        [plan] = here.care_plans()
        text: Any = plan["text"]
        assert text["status"] == "generated"
        assert EMPTY not in text["div"]
        assert "Be out of bed by 07:00" in text["div"]
        assert (left_in_texts(counts), TOLD in await here.inbox()) == ([], False)


async def test_a_narrative_that_was_sent_is_ours_though_the_plan_moved_on() -> None:
    """What stands there by now would be told otherwise: what was sent is remembered."""
    with world(retract="blank") as here:
        await started(here)
        goal = next(one for text, one in here.goals().items() if text.startswith("Be out of bed"))
        here.change("Goal", str(goal["id"]), lambda tree: tree.update(description={"text": "Up by six"}))
        set_status(here, "additional")
        await here.sync()
        await withhold(here, PLAN, GOAL)
        await here.sync()
        assert EMPTY not in everything(here)
        assert await here.inbox() == []


async def test_a_persons_own_narrative_that_names_what_is_withheld_is_told_of() -> None:
    """It stays as it is, the report lists it, and one open item without the words closes once they are out of it."""
    with world(retract="blank") as here:
        await started(here)
        plan_id = here.care_plans()[0]["id"]
        words = f"Seen by Dr A. <b>Aim:</b> {EMPTY.replace(' ', '  ').upper()}."
        text = write_text(here, "CarePlan", plan_id, words)
        await here.sync()
        assert await here.inbox() == []
        await withhold(here, PLAN, GOAL)
        planned = await here.runner().preview()
        counts = await here.sync()
        assert (planned.operations, planned.held) == (counts.operations, counts.held)
        assert here.care_plans()[0]["text"] == text
        assert left_in_texts(counts) == [("CarePlan", PLAN)]
        [item] = await here.store.read(lambda tx: tx.inbox.list(open_only=True))
        assert (item.kind, item.owner, item.unit, item.why) == (*TOLD, "named_in_the_text")
        assert EMPTY.encode() not in msgspec.json.encode([item.base, item.ours, item.theirs])
        again = await here.sync()
        assert (again.writes, again.new_items, await here.inbox()) == (0, 0, [TOLD])
        write_text(here, "CarePlan", plan_id, "Seen by Dr A.")
        await here.sync()
        assert await here.inbox() == []


@pytest.mark.parametrize("way", ["blank", "delete", "leave"])
async def test_a_persons_own_narrative_that_names_nothing_of_it_stays_without_a_word(way: str) -> None:
    """Other words of other people: nothing to tell."""
    with world(retract=way) as here:
        await started(here)
        text = write_text(here, "CarePlan", here.care_plans()[0]["id"], "Seen by Dr A.")
        await here.sync()
        await withhold(here, PLAN, GOAL)
        counts = await here.sync()
        assert here.care_plans()[0]["text"] == text
        assert (left_in_texts(counts), TOLD in await here.inbox()) == ([], False)


@pytest.mark.parametrize(("status", "stays"), [("additional", True), ("generated", False)])
async def test_the_withheld_goals_own_narrative_goes_only_where_it_is_generated(status: str, stays: bool) -> None:
    """A person's own is left and told of; what a server made of the goal goes with its words."""
    with world(retract="blank") as here:
        await started(here)
        goal_id = here.goals()[EMPTY]["id"]
        write_text(here, "Goal", goal_id, EMPTY, status)
        await here.sync()
        await withhold(here, PLAN, GOAL)
        counts = await here.sync()
        [left] = [one for one in here.sandbox.storage.resources("Goal") if one["id"] == goal_id]
        assert ("text" in left, EMPTY in everything(here)) == (stays, stays)
        assert left_in_texts(counts) == ([("Goal", GOAL)] if stays else [])
        assert await here.inbox() == ([("retract", GOAL, "Goal")] if stays else [])


async def test_an_old_narrative_of_ours_that_the_ehr_brings_back_is_told_of() -> None:
    """Nothing else is to be written there, so the words stand there again until somebody takes them out."""
    with world(retract="blank") as here:
        await started(here)
        [before] = here.care_plans()
        await withhold(here, PLAN, GOAL)
        await here.sync()
        [now] = here.care_plans()
        here.change("CarePlan", str(now["id"]), lambda tree: tree.update(text=before["text"]))
        counts = await here.sync()
        assert (counts.writes, await here.inbox()) == (0, [TOLD])


async def test_words_of_a_withheld_goal_within_those_of_a_visible_one_name_nothing() -> None:
    """A short text that is a part of what may be seen is not looked for there."""
    with world(retract="blank") as here:
        await started(here)
        await here.edit(PLAN, GOAL, text="out of bed")
        await here.sync()
        await withhold(here, PLAN, GOAL)
        counts = await here.sync()
        assert (left_in_texts(counts), await here.inbox()) == ([], [])
