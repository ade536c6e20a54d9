"""What an EHR does to the activities of our steps: nothing of it is deleted, doubled or passed over by our writes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.sync.guard import clear
from tests.sync.test_release import hold, sign
from tests.sync.test_resolve import CLIENT, PLAN, SUPERVISOR, THERAPIST, open_items, started
from tests.sync.test_run import quiet
from tests.sync.world import World, withhold, world

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


def taken_out(here: World) -> None:
    """Take the step's activity out at the EHR."""

    def edit(tree: dict[str, Tree]) -> None:
        tree["activity"] = [one for one in activities(tree) if detail(one).get("description") != WORDS]

    here.change("CarePlan", str(here.care_plans()[0]["id"]), edit)


async def status_here(here: World) -> object:
    [step] = [one for one in (await here.plan(PLAN)).goal(GOAL).steps if one.id == STEP]
    return step.status, step.text


@pytest.mark.parametrize(
    ("accept", "clash", "later", "there", "kind", "status"),
    [
        ("ignore", "ask", True, True, None, "in_progress"),
        ("ignore", "ours", False, True, None, "in_progress"),
        ("ignore", "ask", False, False, "conflict", "in_progress"),
        ("propose", "ask", True, False, "conflict", "in_progress"),
        ("propose", "ours", True, True, None, "in_progress"),
        ("propose", "theirs", False, False, None, "entered_in_error"),
    ],
)
async def test_an_edit_of_a_part_is_one_of_the_step_that_the_ehr_took_out(
    accept: str, clash: str, later: bool, there: bool, kind: str | None, status: str
) -> None:
    """It goes back whole, or is asked about as changed on both sides; taken out here, it keeps its words."""
    with world(policy={"steps": (accept, clash)}) as here:
        await started(here)
        before = {**the_activity(here.care_plans()[0]), "detail": None}
        taken_out(here)
        if later:
            await here.sync()
        await step_edited(here, text=NEW)
        await here.sync()
        [care_plan] = here.care_plans()
        found = [one for one in activities(care_plan) if detail(one).get("description") == NEW]
        assert [{**one, "detail": None} for one in found] == ([before] if there else [])
        assert all({"kind", "code", "goal", "status", "performer"} <= detail(one).keys() for one in found)
        assert await here.inbox() == ([(kind, PLAN, f"steps:{STEP}")] if kind else [])
        assert await status_here(here) == (status, NEW)
        kept = [one for one in await here.store.read(lambda tx: tx.inbox.list(open_only=False)) if one.ours == NEW]
        assert ("policy_theirs" in [one.why for one in kept]) == (clash == "theirs")
        await quiet(here)


async def test_an_edit_before_the_ehr_takes_a_step_out_is_not_a_later_one() -> None:
    """What was sent is known there: the removal alone is new, and under `ignore` nothing goes back."""
    with world(policy={"steps": ("ignore", "ask")}) as here:
        await started(here)
        await step_edited(here, frequency="Every day")
        await here.sync()
        taken_out(here)
        await here.sync()
        assert [one for one in activities(here.care_plans()[0]) if detail(one).get("description") == WORDS] == []
        assert await here.inbox() == []
        await quiet(here)


async def signed(here: World, review: str) -> None:
    await hold(here, review)
    await sign(here, "p-ther", review)
    await sign(here, "p-client", review)


async def test_a_step_that_was_taken_out_goes_back_whole_or_not_yet() -> None:
    """An edit that may go waits for a later one of the same step that may not go yet."""
    with world(policy={"steps": ("ignore", "ask")}, release="on_sign") as here:
        await started(here)
        taken_out(here)
        await here.sync()
        await step_edited(here, frequency="Every day")
        await signed(here, "rv-8")
        await step_edited(here, text=NEW)
        counts = await here.sync()
        assert (counts.writes, counts.not_sent_yet, await here.inbox()) == (0, {PLAN: 1}, [])
        await signed(here, "rv-9")
        assert (await here.sync()).writes == 1
        assert detail(the_activity(here.care_plans()[0], NEW))["scheduledString"] == "Every day"
        await quiet(here)


def forbidden(activity: dict[str, Tree]) -> None:
    detail(activity)["doNotPerform"] = True


def as_a_task(activity: dict[str, Tree]) -> None:
    del activity["detail"]
    activity["reference"] = {"reference": "Task/77"}


def forbidden_without_ids(activity: dict[str, Tree]) -> None:
    forbidden(activity)
    del activity["id"], activity["extension"]


@pytest.mark.parametrize("form", [forbidden, as_a_task, forbidden_without_ids])
async def test_a_step_that_stands_there_in_another_form_is_held(form: Callable[[dict[str, Tree]], None]) -> None:
    """It is neither removed nor written again beside it, whatever is edited or withheld here; one item says so."""
    with world() as here:
        await started(here)
        at_the_ehr(here, form)
        stands = here.care_plans()[0]["activity"]
        await here.sync()
        [item] = await open_items(here)
        assert (item.kind, item.unit, item.why) == ("held", f"steps:{STEP}", "in_another_form")
        await step_edited(here, text=NEW)
        assert (await here.sync()).writes == 0
        await withhold(here, PLAN, GOAL)
        await here.sync()
        assert ("held", PLAN, f"steps:{STEP}") in await here.inbox()
        left = activities(here.care_plans()[0])
        assert [one for one in left if one in stands] == left
        assert len(left) == len(activities({"activity": stands})) - 2


async def test_a_step_that_stands_there_as_before_goes_on() -> None:
    """Once it may be done again, the item closes and what was edited here meanwhile goes there."""
    with world() as here:
        await started(here)
        at_the_ehr(here, forbidden)
        await here.sync()
        await step_edited(here, text=NEW)
        await here.sync()
        at_the_ehr(here, lambda activity: detail(activity).pop("doNotPerform"))
        assert (await here.sync()).writes == 1
        assert await here.inbox() == []
        assert the_activity(here.care_plans()[0], NEW)
        await quiet(here)


@pytest.mark.parametrize(
    ("way", "whole"), [("leave", False), ("blank", False), ("entered_in_error", True), ("delete", False)]
)
async def test_what_a_nurse_noted_on_a_step_that_is_taken_out_is_kept_here(way: str, whole: bool) -> None:
    """It goes with the activity, stays in the history as she wrote it, and the report names the step."""
    noted: list[Tree] = [{"time": "2026-11-05", "text": "Did it twice, dizzy afterwards"}]
    with world(retract=way) as here:
        await started(here)
        at_the_ehr(here, lambda activity: activity.update(progress=noted))
        await here.sync()
        if whole:  # the consent ends by the calendar, and a person says that all of that is meant
            here.now = here.now.replace(year=2027, month=6)
            await here.sync()
            await here.store.write(lambda tx: clear(tx, here.connection, by="it-1", at=here.now))
        else:
            await withhold(here, PLAN, GOAL)
        counts = await here.sync()
        rows = [one for one in counts.retracted if one["way"] == "written_by_others"]
        assert [(one["resource"], one["id"], one["units"]) for one in rows] == [("CarePlan", PLAN, [f"steps:{STEP}"])]
        items = await here.store.read(lambda tx: tx.inbox.list(open_only=False))
        assert [(one.unit, one.theirs) for one in items if one.why == "written_by_others"] == [
            (f"steps:{STEP}", {"progress": noted})
        ]
        await quiet(here)


async def test_a_colleague_who_does_a_step_too_stays_when_somebody_else_does_it_here() -> None:
    """Only the performer who was read as ours is replaced; the others are the EHR's to say."""
    with world() as here:
        await started(here)
        links = await here.store.read(lambda tx: tx.people.links(here.connection))
        known = {one.local_id: one.reference for one in links}
        both: list[Tree] = [{"reference": known[CLIENT]}, {"reference": known[SUPERVISOR], "display": "kept"}]
        at_the_ehr(here, lambda activity: detail(activity).update(performer=both))
        await here.sync()
        await step_edited(here, owner="therapist", participant="p-ther")
        await here.sync()
        assert detail(the_activity(here.care_plans()[0]))["performer"] == [{"reference": known[THERAPIST]}, both[1]]
        assert await here.inbox() == []
        await quiet(here)
