"""Release by signature: an edit goes to the EHR once a review that covers it is signed (design 5.9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import msgspec
import pytest

from fhirgoals.domain.commands import HoldReview, RefuseSignature, Sign
from fhirgoals.domain.records import Plan, Review
from fhirgoals.fhir.exact_json import Resource, Tree
from tests.sync.world import World, example, started, withhold, world

PLAN = "plan-dep-01"
SLEEP = "Be out of bed by 07:00 on at least six days a week for three weeks"


@pytest.fixture
def here() -> Iterator[World]:
    with world(release="on_sign") as one:
        yield one


async def hold(here: World, review: str = "rv-3", *, supervisor_signs: bool = False) -> None:
    held = Review(id=review, date=here.now.date(), kind="triggered", outcome="modify", client_participation="active")
    await here.do(PLAN, HoldReview(review=held, supervisor_signs=supervisor_signs))


async def sign(here: World, by: str, review: str = "rv-3", on: date | None = None) -> None:
    await here.do(PLAN, Sign(review=review, by=by, on=on))


async def unsigned(here: World) -> Plan:
    """Put the first example in without its reviews."""
    plan = msgspec.structs.replace(example("01"), reviews=())
    await here.put(plan)
    return plan


async def add_goal(here: World, **fields: object) -> None:
    plan = await here.plan(PLAN)
    like = plan.goal("g-sleep")
    new = msgspec.structs.replace(like, id="g-new", text="Read before bed", steps=(), targets=(), progress=(), **fields)
    await here.put(msgspec.structs.replace(plan, goals=(*plan.goals, new)))


async def test_an_edit_waits_until_the_last_signature(here: World) -> None:
    """Neither the edit nor the first of two signatures sends it; the second one does, in the next run."""
    await started(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    waits = await here.sync()
    assert (waits.writes, waits.not_sent_yet, await here.inbox()) == (0, {PLAN: 1}, [])
    await hold(here)
    await sign(here, "p-ther")
    assert (await here.sync()).writes == 0
    await sign(here, "p-client")
    assert await here.store.read(lambda tx: tx.dirty.marked(here.connection)) == {PLAN}
    goes = await here.sync()
    assert (goes.writes, goes.not_sent_yet) == (1, {})
    assert "Up by seven" in here.goals()
    assert (await here.sync()).writes == 0


async def test_an_edit_after_the_first_signature_waits_for_the_next_review(here: World) -> None:
    """Whoever signs first has not seen what was written after; it goes with the review that covers it."""
    await started(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await hold(here)
    await sign(here, "p-client")
    await here.edit(PLAN, "g-social", priority="low")
    await sign(here, "p-ther")
    assert ((await here.sync()).writes, "Up by seven" in here.goals()) == (1, True)
    assert (await here.sync()).not_sent_yet == {PLAN: 1}
    await hold(here, "rv-4")
    await sign(here, "p-ther", "rv-4")
    await sign(here, "p-client", "rv-4")
    assert (await here.sync()).writes == 1


async def test_a_signature_of_an_earlier_day_covers_no_later_edit(here: World) -> None:
    """A paper that was signed yesterday, recorded today, does not cover what was written today."""
    await started(here)
    await hold(here)
    yesterday = here.now.date()
    here.now = here.now.replace(day=here.now.day + 1)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await sign(here, "p-client", on=yesterday)
    await sign(here, "p-ther")
    assert (await here.sync()).writes == 0


async def test_a_client_who_refuses_keeps_nothing_back_and_a_therapist_who_refuses_does(here: World) -> None:
    """The client's refusal is on record with its reason; a review that its own practice refuses is not signed."""
    await started(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await hold(here)
    await here.do(PLAN, RefuseSignature(review="rv-3", reason="Not agreed", by="p-ther"))
    await sign(here, "p-client")
    assert (await here.sync()).writes == 0
    await hold(here, "rv-4")
    await sign(here, "p-ther", "rv-4")
    await here.do(PLAN, RefuseSignature(review="rv-4", reason="Not today", by="p-client"))
    assert (await here.sync()).writes == 1


async def test_an_edit_that_is_taken_back_leaves_no_trace(here: World) -> None:
    """There and back again before any signature: nothing is sent then, and an EHR's edit meanwhile is taken."""
    await started(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await here.sync()
    await here.edit(PLAN, "g-sleep", text=SLEEP)
    goal = here.goals()[SLEEP]
    here.change("Goal", str(goal["id"]), lambda tree: tree.update(description={"text": "Up by eight"}))
    counts = await here.sync()
    assert (counts.writes, counts.pulled, counts.not_sent_yet, await here.inbox()) == (0, 1, {}, [])
    assert (await here.plan(PLAN)).goal("g-sleep").text == "Up by eight"


async def test_an_edit_at_the_ehr_is_seen_while_ours_waits(here: World) -> None:
    """Other fields are taken over at once; the same field is a clash, which a person sees before the signature."""
    await started(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")

    def low(tree: dict[str, Tree]) -> None:
        system = "http://terminology.hl7.org/CodeSystem/goal-priority"
        tree["priority"] = {"coding": [{"system": system, "code": "low-priority"}]}

    goal = here.goals()[SLEEP]
    here.change("Goal", str(goal["id"]), low)
    assert (await here.sync()).pulled == 1
    assert (await here.plan(PLAN)).goal("g-sleep").priority == "low"
    here.change("Goal", str(goal["id"]), lambda tree: tree.update(description={"text": "Up by eight"}))
    counts = await here.sync()
    assert (counts.writes, await here.inbox()) == (0, [("conflict", "g-sleep", "text")])


async def test_a_new_goal_is_created_by_its_signature_only(here: World) -> None:
    """Until then no resource, no list entry, no edge and no word of it stands there; afterwards it is in its place."""
    await started(here)
    before = here.sandbox.storage.resources("Goal"), here.care_plans()
    await add_goal(here)
    counts = await here.sync()
    assert (counts.writes, counts.not_sent_yet) == (0, {PLAN: 2})
    assert (here.sandbox.storage.resources("Goal"), here.care_plans()) == before
    await hold(here)
    await sign(here, "p-ther")
    await sign(here, "p-client")
    assert (await here.sync()).created == 1
    assert "Read before bed" in here.goals()
    assert len(here.care_plans()[0]["goal"]) == 15


async def test_a_step_that_was_signed_and_changed_since_waits_as_a_whole(here: World) -> None:
    """It is not sent without the part that waits, and none of its words stand in the activities or the narrative."""
    await started(here)
    goal = (await here.plan(PLAN)).goal("g-sleep")
    step = msgspec.structs.replace(goal.steps[0], id="s-new", n=99, text="Put the phone away", status="planned")
    await here.edit(PLAN, "g-sleep", steps=(*goal.steps, step))
    await hold(here)
    await sign(here, "p-ther")
    await sign(here, "p-client")
    await here.edit(PLAN, "g-sleep", steps=(*goal.steps, msgspec.structs.replace(step, text="Phone off")))
    await here.sync()
    assert not {"Put the phone away", "Phone off"} & _texts(here.care_plans()[0])
    assert await here.inbox() == []


async def test_withholding_goes_at_once_and_takes_no_unreleased_edit_along(here: World) -> None:
    """What may no longer be seen is taken back in the next run, while other edits go on waiting."""
    await started(here)
    here_goal = here.goals()[SLEEP]
    await here.edit(PLAN, "g-social", text="See a friend twice a week")
    await withhold(here, PLAN, "g-sleep")
    await here.sync()
    [care_plan] = here.care_plans()
    assert f"Goal/{here_goal['id']}" not in str(care_plan)
    assert "See a friend twice a week" not in str(here.goals())
    assert ("retract", "g-sleep", None) in [(kind, owner, unit or None) for kind, owner, unit in await here.inbox()]


async def test_a_child_that_moved_unreleased_still_leaves_a_withheld_parent(here: World) -> None:
    """The edge that names the withheld goal goes at once; the new place waits for its signature."""
    await started(here)
    plan = await here.plan(PLAN)
    child = next(one for one in plan.goals if one.parent and one.lifecycle == "active" and one.horizon == "short_term")
    other = next(
        one for one in plan.goals if one.horizon == "long_term" and one.id != child.parent and one.lifecycle == "active"
    )
    parent = here.goals()[plan.goal(str(child.parent)).text]
    reference = f"Goal/{here.goals()[child.text]['id']}"
    await here.edit(PLAN, child.id, parent=other.id)
    await here.sync()
    assert reference in str(here.goals()[plan.goal(str(child.parent)).text])
    await withhold(here, PLAN, str(child.parent))
    await here.sync()
    now = next(one for one in here.sandbox.storage.resources("Goal") if one["id"] == parent["id"])
    assert reference not in str(now)
    assert reference not in str(here.goals()[other.text])


async def test_nothing_goes_of_a_plan_without_any_signed_review(here: World) -> None:
    """A plan that came in unsigned has neither goals nor a care plan there, and the preview says what waits."""
    await here.add_connection()
    plan = await unsigned(here)
    await here.know_people(plan)
    shown = await here.runner().preview()
    assert (shown.operations, shown.not_sent_yet) == ([], {PLAN: 15})
    counts = await here.sync()
    assert (counts.writes, here.goals(), here.care_plans(), await here.inbox()) == (0, {}, [], [])
    await hold(here)
    await sign(here, "p-client")
    await sign(here, "p-ther")
    assert (await here.sync()).created == 15


async def test_a_connection_that_comes_later_gets_what_was_signed_before(here: World) -> None:
    """What is released follows from the plan's history, whatever was sent to whom; a field that moved since waits."""
    plan = await unsigned(here)
    await hold(here)
    await sign(here, "p-client")
    await sign(here, "p-ther")
    await here.edit(PLAN, "g-sleep", priority="low")
    await here.edit(PLAN, "g-social", text="See a friend twice a week")
    plan = await here.plan(PLAN)
    await here.put(msgspec.structs.replace(plan, planned_end_date=date(2027, 9, 1)))
    await add_goal(here)
    await here.add_connection()
    await here.know_people(plan)
    counts = await here.sync()
    assert (counts.created, counts.not_sent_yet, here.care_plans()) == (13, {PLAN: 4}, [])
    assert not {"Read before bed", "See a friend twice a week"} & here.goals().keys()
    assert "priority" not in here.goals()[SLEEP]
    assert await here.inbox() == []


def _texts(tree: Tree) -> set[str]:
    """Return every text in a tree."""
    match tree:
        case dict():
            return {text for part in tree.values() for text in _texts(part)}
        case list():
            return {text for part in tree for text in _texts(part)}
        case _:
            return {str(tree)}


@pytest.mark.parametrize("goal", ["g-sleep", "g-social"])
async def test_what_hangs_on_a_goal_that_is_created_later_comes_with_it(here: World, goal: str) -> None:
    """Its steps, its place in the plan's order and the interventions for it stand as if it had gone at once."""
    with world(release="on_sign") as at_once:
        await started(at_once)
        [wanted] = at_once.care_plans()
        words = {str(one["id"]): text for text, one in at_once.goals().items()}
    plan = example("01")
    await here.add_connection()
    await here.put(plan)
    await here.know_people(plan)
    await here.edit(PLAN, goal, text="Not signed yet")
    await here.sync()
    assert (await here.sync()).writes == 0
    assert len(here.goals()) == len(words) - 1
    await here.edit(PLAN, goal, text=plan.goal(goal).text)
    await hold(here)
    await sign(here, "p-ther")
    await sign(here, "p-client")
    await here.sync()
    [care_plan] = here.care_plans()
    own = {str(one["id"]): text for text, one in here.goals().items()}
    assert listed(care_plan, own) == listed(wanted, words)
    assert ((await here.sync()).writes, await here.inbox()) == (0, [])


def listed(care_plan: Resource, words: dict[str, str]) -> list[list[str]]:
    """Return the goals of a CarePlan, and those of each of its activities, by their words."""
    details = [one["detail"] for one in care_plan["activity"]]
    lists = [care_plan["goal"], *(detail.get("goal", []) for detail in details)]
    named = [[words[str(one["reference"]).rpartition("/")[2]] for one in goals] for goals in lists]
    return [[str(detail.get("description")) for detail in details], *named]


async def test_an_order_that_the_ehr_changes_while_a_goal_may_not_go_there_stays(here: World) -> None:
    """Nobody changed it here: that is an edit there, which the policy ignores, and no clash that ours wins."""
    plan = example("01")
    await here.add_connection()
    await here.put(plan)
    await here.know_people(plan)
    await here.edit(PLAN, "g-sleep", text="Not signed yet")
    await here.sync()
    [care_plan] = here.care_plans()
    goals = care_plan["goal"]
    assert isinstance(goals, list)
    here.change("CarePlan", str(care_plan["id"]), lambda tree: tree.update(goal=goals[::-1]))
    assert ((await here.sync()).writes, here.care_plans()[0]["goal"]) == (0, goals[::-1])
