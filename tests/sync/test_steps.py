"""What an EHR does to the activities of our steps: nothing of it is deleted, doubled or passed over by our writes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from fhirgoals.fhir.exact_json import Resource, Tree
from tests.sync.test_resolve import PLAN, started
from tests.sync.world import World, world

GOAL, STEP, WORDS = "g-sleep", "st-sl-3", "Same rising time at weekends"
NEW = "Rise at seven every day"


def the_activity(care_plan: Resource, words: str = WORDS) -> dict[str, Tree]:
    [one] = [each for each in activities(care_plan) if detail(each).get("description") == words]
    return one


def activities(care_plan: Resource) -> list[dict[str, Tree]]:
    listed = care_plan.get("activity")
    assert isinstance(listed, list)
    return [each for each in listed if isinstance(each, dict)]


def detail(activity: Resource) -> dict[str, Tree]:
    found = activity.get("detail")
    return found if isinstance(found, dict) else {}


def at_the_ehr(here: World, edit: Callable[[dict[str, Tree]], object]) -> None:
    """Edit the step's activity at the EHR."""
    here.change("CarePlan", str(here.care_plans()[0]["id"]), lambda tree: edit(the_activity(tree)))


async def step_edited(here: World, **parts: object) -> None:
    """Edit the step here."""
    goal = (await here.plan(PLAN)).goal(GOAL)
    steps = tuple(msgspec.structs.replace(step, **parts) if step.id == STEP else step for step in goal.steps)
    await here.edit(PLAN, GOAL, steps=steps)


async def test_new_words_go_to_a_step_whose_goal_the_ehr_took_off() -> None:
    """While its goal is asked about, the activity stays, our words go into it, and the EHR's goal stands."""
    for goal in ([], [{"reference": "Goal/of-the-ward"}]):
        with world() as here:
            await started(here)
            at_the_ehr(here, lambda activity, goal=goal: detail(activity).update(goal=goal))  # type: ignore[misc]
            await here.sync()
            await step_edited(here, text=NEW)
            await here.sync()
            assert detail(the_activity(here.care_plans()[0], NEW)).get("goal", []) == goal
            assert await here.inbox() == [("proposal", PLAN, f"steps:{STEP}")]
