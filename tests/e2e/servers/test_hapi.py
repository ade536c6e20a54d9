"""HAPI FHIR, search cache on, behind the cut proxy: plans arrive, edits go both ways, replies get lost."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import date
from pathlib import Path

import msgspec
import pytest

from fhirgoals.demo.oracle_sides import coded
from fhirgoals.domain.records import Plan, Step
from tests.e2e.servers.world import World, behind_the_cut_proxy, due, note, priority
from tests.plans import EXAMPLES, example
from tests.servers.fixtures import FhirServer

DEPRESSION, _OCD, _WORKLIFE, _DEVELOPMENT, ADOLESCENT = EXAMPLES
PLAN = "plan-ado-01"
LUNCH = "Eat lunch with someone on two school days a week"
JOY = "Spend three afternoons a week on something she likes"
STEADY = "Get through the school week with energy left for what she likes"
BELONG = "Keep two friendships going through the school year"

replace = msgspec.structs.replace


@pytest.fixture(params=[False, True], ids=["no-operation-id", "operation-id-kept"])
async def here(request: pytest.FixtureRequest, hapi: FhirServer) -> AsyncIterator[World]:
    """A small plan that stands at HAPI, once without and once with the operation's id in meta.source."""
    async with behind_the_cut_proxy(hapi.url, operation_id_kept=request.param) as world:
        await world.start(example(ADOLESCENT))
        yield world


def new_goal(plan: Plan) -> Plan:
    """Return the plan with one more goal that has a step."""
    step = Step(id="st-n", n=1, text="Ask one person", status="planned")
    goal = replace(plan.goal("h-lunch"), id="h-new", text="A new goal", steps=(step,), gas=None)
    return replace(plan, goals=(*plan.goals, goal))


async def test_the_example_plans_arrive_whole_and_a_second_run_is_quiet(
    hapi: FhirServer, figure: Callable[[str], None]
) -> None:
    """39 goals and 4 care plans are created, each by one write, each with an identifier that no other has."""
    async with behind_the_cut_proxy(hapi.url) as world:
        counts = await world.start(*(example(path) for path in EXAMPLES))
        goals, care_plans = world.resources("Goal"), world.resources("CarePlan")
        assert (len(goals), len(care_plans), counts.created) == (39, 4, 43)
        assert counts.writes == 43
        assert len({one["identifier"][0]["value"] for one in (*goals, *care_plans)}) == 43
        assert sorted(len(plan["goal"]) for plan in care_plans) == [5, 9, 11, 14]
        tasks = [step for plan in care_plans for step in plan["activity"] if step["detail"]["kind"] == "Task"]
        assert len(tasks) == 74
        again = await world.sync()
        figure(f"first run: {counts.requests} requests, {counts.writes} writes")
        figure(f"second run: {again.requests} requests, {again.writes} writes")
        assert (again.writes, again.pulled, again.new_items, again.unanswered) == (0, 0, 0, [])


async def test_an_edit_here_arrives_there_by_one_write(here: World) -> None:
    """A text changed here stands there after one PUT of that goal."""
    await here.edit(PLAN, "h-lunch", text="Eat lunch in company")
    counts = await here.sync()
    assert (counts.pushed, counts.writes) == (1, 1)
    assert coded(here.goal("Eat lunch in company")["priority"]) == "medium-priority"
    await here.quiet()


async def test_an_edit_there_arrives_here_without_a_write(here: World) -> None:
    """A priority set at the EHR becomes a revision here that names the connection; nothing is written there."""
    here.change(here.goal(LUNCH), priority("low"))
    counts = await here.sync()
    assert (counts.pulled, counts.writes) == (1, 0)
    assert (await here.plan(PLAN)).goal("h-lunch").priority == "low"
    revisions = await here.store.read(lambda tx: tx.plans.revisions(PLAN))
    assert (revisions[-1].origin, revisions[-1].reason) == ("ehr-main", "external_edit")
    await here.quiet()


async def test_edits_of_different_fields_of_one_goal_are_both_kept(here: World) -> None:
    """Our text and their priority stand on both sides."""
    await here.edit(PLAN, "h-lunch", text="Eat lunch in company")
    here.change(here.goal(LUNCH), priority("low"))
    await here.rest()
    goal = (await here.plan(PLAN)).goal("h-lunch")
    assert (goal.text, goal.priority) == ("Eat lunch in company", "low")
    assert coded(here.goal("Eat lunch in company")["priority"]) == "low-priority"
    assert await here.inbox() == []
    await here.quiet()


async def test_edits_of_one_field_on_both_sides_wait_for_a_person(here: World) -> None:
    """Both dates stay where they were written, one item holds both, and another field of the goal goes through."""
    await here.edit(PLAN, "h-lunch", target_date=date(2027, 2, 12), priority="low")
    here.change(here.goal(LUNCH), due("2027-03-05"))
    await here.rest()
    [item] = await here.store.read(lambda tx: tx.inbox.list(open_only=True))
    assert (item.kind, item.owner, item.unit) == ("conflict", "h-lunch", "target_date")
    assert (item.base, item.ours, item.theirs) == ("2027-01-29", "2027-02-12", "2027-03-05")
    there = here.goal(LUNCH)
    assert next(one for one in there["target"] if one.get("id") == "due")["dueDate"] == "2027-03-05"
    assert coded(there["priority"]) == "low-priority"
    assert (await here.plan(PLAN)).goal("h-lunch").target_date == date(2027, 2, 12)
    await here.quiet()


async def test_a_closure_there_is_a_proposal(here: World) -> None:
    """A goal closed at the EHR stays open here and one item asks for a decision."""
    here.change(here.goal(JOY), lambda tree: tree.update(lifecycleStatus="completed"))
    counts = await here.sync()
    assert (counts.proposals, counts.writes) == (1, 0)
    assert (await here.plan(PLAN)).goal("h-joy").lifecycle == "active"
    assert here.goal(JOY)["lifecycleStatus"] == "completed"
    assert await here.inbox() == [("proposal", "h-joy", "status")]
    await here.quiet()


async def test_a_note_there_becomes_a_shared_entry(here: World) -> None:
    """A note with its author and time comes here once, and a later push of the goal leaves it there as it was."""
    added = here.change(here.goal(LUNCH), note("She smiled", "A school nurse", "2026-11-06T10:22:00.120+01:00"))
    counts = await here.sync()
    assert (counts.pulled, counts.writes) == (1, 0)
    entry = (await here.plan(PLAN)).goal("h-lunch").progress[-1]
    assert (entry.text, entry.author_text, entry.visibility) == ("She smiled", "A school nurse", "shared")
    await here.quiet()
    await here.edit(PLAN, "h-lunch", text="Eat lunch in company")
    await here.sync()
    assert here.goal("Eat lunch in company")["note"] == added["note"]
    await here.quiet()


async def test_a_create_whose_reply_is_lost_is_one_goal(here: World) -> None:
    """HAPI stored the goal and its reply never came: there is one, it is linked, and parent and care plan name it."""
    await here.put(new_goal(await here.plan(PLAN)))
    cut = here.proxy.cut_next(method="POST", path=r"/Goal(\?|$)", body_has=b"A new goal")
    await here.rest()
    assert cut.exchange is not None
    assert cut.exchange.status == 201
    goal = here.goal("A new goal")
    reference = {"reference": f"Goal/{goal['id']}"}
    links = await here.store.read(lambda tx: tx.links.for_plan("ehr-main", PLAN))
    assert {link.local_id: link.resource_id for link in links}["h-new"] == goal["id"]
    [care_plan] = here.resources("CarePlan")
    assert reference in care_plan["goal"]
    assert reference["reference"] in str(here.goal(BELONG)["extension"])
    assert await here.store.read(lambda tx: tx.intents.all_open("ehr-main")) == ()
    await here.quiet()


async def test_a_goal_edited_there_before_we_learn_that_it_was_created_keeps_that_edit(here: World) -> None:
    """Between the lost reply and our next look somebody sets the new goal's priority: it comes here as their edit."""
    await here.put(new_goal(await here.plan(PLAN)))
    here.proxy.cut_next(method="POST", path=r"/Goal(\?|$)", body_has=b"A new goal")
    # The same run looks again and finds out: the edit falls after the cut and before that look.
    here.meanwhile("after", "POST", lambda: here.change(here.goal("A new goal"), priority("high")))
    await here.rest()
    assert (await here.plan(PLAN)).goal("h-new").priority == "high"
    assert coded(here.goal("A new goal")["priority"]) == "high-priority"
    await here.quiet()


async def test_an_update_whose_reply_is_lost_is_no_edit_of_theirs(here: World) -> None:
    """HAPI stored our text and its reply never came: it is recognised, nothing is taken, nothing waits."""
    await here.edit(PLAN, "h-lunch", text="Eat lunch in company")
    cut = here.proxy.cut_next(method="PUT", path=r"/Goal/")
    counts = await here.rest()
    assert cut.exchange is not None
    assert cut.exchange.status == 200
    assert counts.pulled == 0
    assert here.goal("Eat lunch in company")["meta"]["versionId"] == "2"
    assert await here.inbox() == []
    assert await here.store.read(lambda tx: tx.intents.all_open("ehr-main")) == ()
    await here.quiet()


async def test_an_edit_there_on_top_of_our_unseen_update_is_theirs_alone(here: World) -> None:
    """Our update's reply is lost and the goal is edited there at once: our text stands, their priority comes here."""
    await here.edit(PLAN, "h-lunch", text="Eat lunch in company")
    here.proxy.cut_next(method="PUT", path=r"/Goal/")
    here.meanwhile("after", "PUT", lambda: here.change(here.goal("Eat lunch in company"), priority("low")))
    await here.rest()
    goal = (await here.plan(PLAN)).goal("h-lunch")
    assert (goal.text, goal.priority) == ("Eat lunch in company", "low")
    assert coded(here.goal("Eat lunch in company")["priority"]) == "low-priority"
    assert await here.inbox() == []
    await here.quiet()


async def test_an_edit_there_between_our_read_and_our_write_is_not_overwritten(here: World) -> None:
    """HAPI refuses our stale ETag with 409: we read again, and both edits stand on both sides."""
    await here.edit(PLAN, "h-lunch", text="Eat lunch in company")
    here.meanwhile("before", "PUT", lambda: here.change(here.goal(LUNCH), priority("low")))
    await here.rest()
    statuses = [one.status for one in here.proxy.exchanges if one.method == "PUT"]
    assert statuses == [409, 200]
    goal = (await here.plan(PLAN)).goal("h-lunch")
    assert (goal.text, goal.priority) == ("Eat lunch in company", "low")
    assert coded(here.goal("Eat lunch in company")["priority"]) == "low-priority"
    await here.quiet()


async def test_a_goal_moves_to_another_parent(here: World) -> None:
    """The old parent's milestone goes and the new one's comes; at no time do two parents name the goal."""
    await here.edit(PLAN, "h-lunch", parent="h-steady")
    await here.rest()
    child = f"Goal/{here.goal(LUNCH)['id']}"
    assert child not in str(here.goal(BELONG).get("extension"))
    assert child in str(here.goal(STEADY)["extension"])
    assert await here.inbox() == []
    await here.quiet()


async def test_a_deleted_goal_waits_for_a_person_and_is_not_made_again(here: World) -> None:
    """A goal that somebody deletes at HAPI is not created anew; an item says so, also after our own edit of it."""
    # HAPI deletes nothing that others refer to: the EHR's user takes the references out first.
    lunch = here.goal(LUNCH)
    name = f"Goal/{lunch['id']}"
    [care_plan] = here.resources("CarePlan")

    def without(tree: dict[str, object]) -> None:
        tree["goal"] = [one for one in tree["goal"] if one["reference"] != name]
        for activity in tree["activity"]:
            goals = [one for one in activity["detail"].get("goal", ()) if one["reference"] != name]
            activity["detail"].pop("goal", None)
            if goals:
                activity["detail"]["goal"] = goals

    here.change(care_plan, without)
    assert here.server.ask("DELETE", name).status == 200
    await here.edit(PLAN, "h-lunch", text="Eat lunch in company")
    await here.rest()
    assert all(goal["id"] != lunch["id"] for goal in here.resources("Goal"))
    assert len(here.resources("Goal")) == 4
    assert any(owner == "h-lunch" for _, owner, _ in await here.inbox())
    await here.quiet()


async def test_the_same_on_postgresql(hapi: FhirServer, postgres_database: str) -> None:
    """With our store on PostgreSQL: push, edits on both sides, a lost reply, and a quiet run."""
    async with behind_the_cut_proxy(hapi.url, postgres_database) as world:
        await world.start(example(ADOLESCENT))
        await world.quiet()
        await world.put(new_goal(await world.plan(PLAN)))
        await world.edit(PLAN, "h-joy", text="Play the trumpet")
        world.change(world.goal(LUNCH), priority("low"))
        world.change(world.goal(STEADY), due("2027-03-05"))
        world.proxy.cut_next(method="POST", path=r"/Goal(\?|$)", body_has=b"A new goal")
        await world.rest()
        assert len(world.resources("Goal")) == 6
        assert world.goal("Play the trumpet")["lifecycleStatus"] == "active"
        assert (await world.plan(PLAN)).goal("h-lunch").priority == "low"
        assert await world.inbox() == [("proposal", "h-steady", "target_date")]
        await world.quiet()


async def test_a_file_store_is_taken_up_where_it_was_left(hapi: FhirServer, tmp_path: Path) -> None:
    """Closed and opened again, the store knows what stands at the EHR: the first run after it writes nothing."""
    file = tmp_path / "store.db"
    async with behind_the_cut_proxy(hapi.url, f"sqlite:///{file}") as world:
        await world.start(example(ADOLESCENT))
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM links").fetchone() == (6,)
    database.close()
    async with behind_the_cut_proxy(hapi.url, f"sqlite:///{file}") as again:
        counts = await again.sync()
    assert (counts.writes, counts.pulled, counts.read) == (0, 0, 6)
