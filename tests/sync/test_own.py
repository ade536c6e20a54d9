"""Taking back takes out what was sent; what the EHR's own people wrote stays there as they wrote it (design 5.10)."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from fhirgoals.domain.records import Goal, ProgressEntry
from fhirgoals.domain.units import Values
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.sync.decide import Decision, Place, Waiting, decide
from fhirgoals.sync.own import own_values
from tests.sync.test_decide import STATUS, TEXT, A, agreed, goal, ours, theirs
from tests.sync.test_merge import Fixed
from tests.sync.test_planned_file import born
from tests.sync.test_resolve import PLAN, open_items, settled, started
from tests.sync.test_retract import Refusing
from tests.sync.test_unlink import unlink
from tests.sync.world import World, withhold, world

NURSE = "Walk to the ward kitchen twice a day"
WAYS = ["leave", "blank", "entered_in_error", "delete"]
LATER = {"description": {"text": "Daily walk (ward)"}, "lifecycleStatus": "active", "note": [{"text": "Her own"}]}
CAUSES = ["withheld", "wrong chart"]


async def adopted(here: World) -> Goal:
    """Start with a goal that the EHR's people wrote and that is ours to work with by now."""
    await started(here)
    await born(here, NURSE)
    await here.sync()
    [one] = [one for one in (await here.plan(PLAN)).goals if one.text == NURSE]
    return one


async def taken_back(here: World, goal_id: str, cause: str) -> None:
    if cause == "withheld":
        await withhold(here, PLAN, goal_id)
    else:
        await unlink(here, await here.plan(PLAN))
    for _ in range(3):
        await here.sync()


def of_the_nurse(here: World) -> Resource:
    """Return the goal there with what the EHR's people made of it, without version and time."""
    return {name: part for name, part in here.goals()[NURSE].items() if name != "meta"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cause", CAUSES)
async def test_a_goal_that_was_born_there_stays_to_the_byte(way: str, cause: str) -> None:
    """Nothing of it was ever sent, so nothing is taken back: not its words, not its place in the CarePlan."""
    with world(retract=way) as here:
        one = await adopted(here)
        before = here.goals()[NURSE]
        await taken_back(here, one.id, cause)
        assert here.goals()[NURSE] == before
        if cause == "withheld":
            assert before["id"] in str(here.care_plans()[0]["goal"])
        assert not [item for item in await open_items(here) if (item.owner, item.kind) == (one.id, "retract")]
        link = await here.store.read(lambda tx: tx.links.get("ehr-main", "Goal", one.id))
        assert (link is None) == (cause == "wrong chart")


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("cause", CAUSES)
async def test_what_we_put_into_a_goal_of_theirs_goes_out_of_it(way: str, cause: str) -> None:
    """Our note and priority are taken out, and where we changed its words and status, theirs stand there again."""
    with world(retract=way) as here:
        one = await adopted(here)
        before = of_the_nurse(here)
        note = ProgressEntry(id="n-ours", visibility="shared", text="Managed it twice")
        await here.edit(PLAN, one.id, text="Our own words", priority="high", lifecycle="on_hold", progress=(note,))
        await here.sync()
        there = here.goals()["Our own words"]
        assert (there["lifecycleStatus"], "Managed it twice" in str(there)) == ("on-hold", True)
        await taken_back(here, one.id, cause)
        assert of_the_nurse(here) == before
        assert (await here.sync()).writes == 0


async def test_what_is_shared_again_stands_there_again_in_a_goal_of_theirs() -> None:
    """Withheld and shared again: what we changed in it goes out anew, and nobody is asked."""
    with world(retract="blank") as here:
        one = await adopted(here)
        await here.edit(PLAN, one.id, text="Our own words", priority="high")
        await here.sync()
        before = {name: part for name, part in here.goals()["Our own words"].items() if name != "meta"}
        await taken_back(here, one.id, "withheld")
        plan = await here.plan(PLAN)
        goals = tuple(msgspec.structs.replace(each, share="default") for each in plan.goals)
        disclosure = msgspec.structs.replace(plan.disclosure, withheld=())
        await here.put(msgspec.structs.replace(plan, goals=goals, disclosure=disclosure))
        await here.sync()
        assert {name: part for name, part in here.goals()["Our own words"].items() if name != "meta"} == before
        assert await open_items(here) == ()


@pytest.mark.parametrize("way", WAYS[1:3])
@pytest.mark.parametrize("cause", CAUSES)
async def test_a_step_and_a_target_of_theirs_stay_where_ours_are_taken_back(way: str, cause: str) -> None:
    """A nurse's step and target in a goal of ours, which a person took over here; what is ours is gone."""
    with world(retract=way) as here:
        plan = await started(here)
        sleep = next(one for one in here.goals().values() if "out of bed" in str(one["description"]))
        own = {"detail": {"kind": "Task", "status": "not-started", "description": "Nurse step"}}
        own["detail"]["goal"] = [{"reference": f"Goal/{sleep['id']}"}]  # type: ignore[assignment]
        here.change("CarePlan", str(here.care_plans()[0]["id"]), lambda tree: tree["activity"].append(own))  # type: ignore[union-attr]
        target = {"measure": {"text": "Nurse target"}, "detailString": "better"}
        here.change("Goal", str(sleep["id"]), lambda tree: tree["target"].append(target))  # type: ignore[union-attr]
        await here.sync()
        for item in await open_items(here):
            await settled(here, item, "theirs")
        await here.sync()
        await taken_back(here, "g-sleep", cause)
        left = str(here.care_plans()) + str(here.sandbox.storage.resources("Goal"))
        assert ("Nurse step" in left, "Nurse target" in left) == (True, True)
        assert not [step.text for step in plan.goal("g-sleep").steps if step.text in left]


@pytest.mark.parametrize("way", WAYS[1:3])
async def test_what_somebody_writes_later_into_a_goal_that_was_taken_back_is_theirs(way: str) -> None:
    """A nurse uses the empty resource for words of her own: they stay, in every later run."""
    with world(retract=way) as here:
        await started(here)
        social = str(next(one["id"] for one in here.goals().values() if "friend" in str(one["description"])))
        await withhold(here, PLAN, "g-social")
        await here.sync()
        await here.sync()
        later = {
            "description": {"text": "Daily walk (ward)"},
            "lifecycleStatus": "active",
            "note": [{"text": "Her own"}],
        }
        here.change("Goal", social, lambda tree: tree.update(later))
        for _ in range(2):
            assert (await here.sync()).writes == 0
        now = here.goals()["Daily walk (ward)"]
        assert (now["lifecycleStatus"], now["note"]) == ("active", [{"text": "Her own"}])


async def test_what_somebody_wrote_into_it_since_is_not_deleted_once_it_could_be() -> None:
    """It was to be deleted and could only be blanked; by the time that the EHR would let us it is a nurse's own."""
    with world(retract="delete") as here:
        await started(here)
        social = str(next(one["id"] for one in here.goals().values() if "friend" in str(one["description"])))
        plain = here.http
        here.http = Refusing(plain, social, "DELETE", 409)  # type: ignore[assignment]
        await withhold(here, PLAN, "g-social")
        await here.sync()
        here.change("Goal", social, lambda tree: tree.update(LATER))
        here.http = plain
        for _ in range(3):
            here.now += timedelta(hours=2)
            assert (await here.sync()).writes == 0
        assert here.goals()["Daily walk (ward)"]["id"] == social


@pytest.mark.parametrize("way", WAYS[1:3])
async def test_our_words_that_somebody_puts_back_there_are_taken_out_again(way: str) -> None:
    """An older version that is restored there is ours and not theirs."""
    with world(retract=way) as here:
        await started(here)
        [(words, before)] = [(text, one) for text, one in here.goals().items() if "friend" in text]
        await withhold(here, PLAN, "g-social")
        await here.sync()
        here.change("Goal", str(before["id"]), lambda tree: tree.update({**before, "meta": tree["meta"]}))
        assert words in here.goals()
        await here.sync()
        assert words not in here.goals()


# -- what is known of their own values --

OURS_TOO = {"lifecycle": "on_hold", "achievement": "improving", "status_date": "2026-11-02"}


def test_of_a_value_of_several_parts_each_is_theirs_as_they_last_wrote_it() -> None:
    """A part of ours in between is not theirs, and of one that we changed their last is known."""
    edits = [
        {STATUS: (None, {"lifecycle": "active"}), TEXT: (None, "a")},
        {STATUS: ({"lifecycle": "on_hold", "achievement": "improving"}, OURS_TOO)},
    ]
    assert own_values(edits) == {STATUS: {"lifecycle": "active", "status_date": "2026-11-02"}, TEXT: "a"}
    assert own_values([*edits, {TEXT: ("a", None)}]).keys() == {STATUS}


def retired(own: Values) -> Decision:
    mine = ours(goals=(), retract="blank", born=frozenset({A}), own=own)
    return decide(mine, theirs({TEXT: "ours"}, {goal(A): Place.PRESENT}), agreed({TEXT: "ours"}), Fixed())


def test_where_nobody_knows_what_they_had_ours_stays_and_a_person_is_told() -> None:
    """A goal can't stand without words: without theirs nothing is put in the place of ours."""
    assert retired({}).waiting == (Waiting("retract", A, "text", "own_value_not_known"),)
    assert retired({TEXT: "theirs"}).waiting == ()
    assert retired({TEXT: "theirs"}).retire == (goal(A),)
