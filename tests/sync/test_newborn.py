"""Goals born at an EHR: those in a linked CarePlan come into our plan as they are (design 5.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fhirgoals.domain.disclosure import disclose
from tests.sync.world import World, started, world

PLAN = "plan-dep-01"
WORDS = "Walk to the ward kitchen and back each morning"


@pytest.fixture
def here() -> Iterator[World]:
    with world() as one:
        yield one


def born(here: World, *, listed: bool = True, **changes: Any) -> str:
    """Create a Goal at the EHR, as its people do, and add it to the CarePlan's list; return its id there."""
    [care_plan] = here.care_plans()
    tree = {
        "resourceType": "Goal",
        "lifecycleStatus": "accepted",
        "description": {"text": WORDS},
        "subject": care_plan["subject"],
        "note": [{"authorString": "A nurse", "text": "Managed it twice"}],
        **changes,
    }
    stored = here.sandbox.storage.create("Goal", tree, unless=None)
    resource_id = stored.version.id
    if listed:
        reference = {"reference": f"Goal/{resource_id}"}
        here.change("CarePlan", str(care_plan["id"]), lambda plan: plan.update(goal=[*plan["goal"], reference]))
    return resource_id


async def newborns(here: World) -> list[Any]:
    return [goal for goal in (await here.plan(PLAN)).goals if goal.origin is not None]


async def quiet(here: World) -> None:
    before = await here.inbox()
    counts = await here.sync()
    assert (counts.writes, counts.pulled, counts.adopted, counts.new_items) == (0, 0, 0, 0)
    assert await here.inbox() == before


async def test_a_goal_added_to_the_linked_plan_there_is_taken_as_it_is(here: World) -> None:
    """It keeps lifecycle, words and note, names its origin, waits for a therapist's look; nothing is written."""
    await started(here)
    resource_id = born(here)
    planned = await here.runner().preview()
    counts = await here.sync()
    assert (counts.adopted, planned.adopted, counts.writes) == (1, 1, 0)
    [goal] = await newborns(here)
    assert (goal.text, goal.lifecycle, goal.review) == (WORDS, "accepted", "unreviewed")
    assert (goal.origin.system, goal.origin.resource) == ("ehr-main", f"Goal/{resource_id}")
    assert [entry.text for entry in goal.progress] == ["Managed it twice"]
    assert await here.inbox() == []
    await quiet(here)


async def test_it_goes_back_and_forth_like_any_other(here: World) -> None:
    """Reworded here it changes there, and there only once; reworded there it changes here; it is never created anew."""
    await started(here)
    resource_id = born(here)
    await here.sync()
    [goal] = await newborns(here)
    await here.edit(PLAN, goal.id, text="Walk to the kitchen and back each morning")
    await here.sync()
    assert "Walk to the kitchen and back each morning" in here.goals()
    here.change("Goal", resource_id, lambda tree: tree.update(description={"text": "Walk to the garden"}))
    await here.sync()
    assert [one.text for one in await newborns(here)] == ["Walk to the garden"]
    assert len(here.goals()) == 15
    await quiet(here)


async def test_its_place_in_the_tree_is_taken_with_it(here: World) -> None:
    """A parent of ours that names it as a milestone is its parent here."""
    await started(here)
    resource_id = born(here)
    mood = "Recover from the current depressive episode and feel interested in daily life again"
    system = "http://hl7.org/fhir/goal-relationship-type"
    milestone = {
        "url": "http://hl7.org/fhir/StructureDefinition/goal-relationship",
        "extension": [
            {"url": "type", "valueCodeableConcept": {"coding": [{"system": system, "code": "milestone"}]}},
            {"url": "target", "valueReference": {"reference": f"Goal/{resource_id}"}},
        ],
    }
    parent = str(here.goals()[mood]["id"])
    here.change("Goal", parent, lambda tree: tree.update(extension=[*tree.get("extension", []), milestone]))
    await here.sync()
    assert [goal.parent for goal in await newborns(here)] == ["g-mood"]
    await quiet(here)


@pytest.mark.parametrize("case", ["not_listed", "void", "scope", "unknown_modifier"])
async def test_what_is_outside_is_counted_and_not_stored(case: str) -> None:
    """Not in our CarePlan, entered in error, not in scope, or with a modifier that we don't know: nothing is taken."""
    config = {"scope": "ours"} if case == "scope" else {}
    with world(**config) as here:
        await started(here)
        changes: dict[str, Any] = {}
        if case == "void":
            changes = {"lifecycleStatus": "entered-in-error"}
        if case == "unknown_modifier":
            changes = {"modifierExtension": [{"url": "https://ehr.example/not", "valueBoolean": True}]}
        born(here, listed=case != "not_listed", **changes)
        counts = await here.sync()
        assert (counts.adopted, counts.read, counts.writes) == (0, 16, 0)
        assert await newborns(here) == []
        await quiet(here)


async def test_another_ehr_is_not_told_of_it() -> None:
    """What was born at one EHR goes to no other, unless that connection shares its origin: no id, no word, no count."""
    with world() as here:
        plan = await started(here)
        born(here)
        await here.sync()
        [goal] = await newborns(here)
        seen = disclose(await here.plan(PLAN), "primary-care", on=here.now.date(), portal_visible=False)
        assert goal.id not in seen.goals
        assert plan.id == PLAN
