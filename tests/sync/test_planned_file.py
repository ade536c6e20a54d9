"""A kept preview: a run does exactly what it names, and says of each item that moved why it was left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from fhirgoals.domain.identity import Installation
from fhirgoals.fhir import exact_json
from fhirgoals.sandbox.variants import VARIANTS
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.planned_file import Noted, Only, only_of
from fhirgoals.sync.planned_items import Marks
from fhirgoals.sync.run import Runner
from tests.sync.world import World, example, world

PLAN, OTHER = "plan-dep-01", "plan-ocd-01"


@pytest.fixture
def here() -> Iterator[World]:
    with world() as opened:
        yield opened


def marks(here: World) -> Marks:
    return Marks(here.store.store.installation)


async def kept(here: World) -> tuple[Any, Counts]:
    """Preview, and return the file's part as JSON with the counts."""
    noted = Noted(marks(here))
    counts = await here.runner().preview(noted=noted)
    return exact_json.loads(exact_json.dumps(noted.as_json())), counts


async def applied(here: World, tree: Any) -> tuple[Counts, Only]:
    only = only_of(tree, marks(here))
    assert only is not None
    runner = Runner(here.store, here.connection, here.client(), here.clock, here.new_id, "test", only=only)
    return await runner.sync(), only


async def loaded(here: World, *names: str) -> None:
    await here.add_connection()
    for plan in map(example, names):
        await here.put(plan)
        await here.know_people(plan)


async def sent(here: World, *names: str) -> None:
    await loaded(here, *names)
    await here.sync()
    await here.sync()


async def born(here: World, *texts: str) -> None:
    """Add goals there, as its people do: each listed in the CarePlan."""
    [care_plan] = here.care_plans()
    for text in texts:
        goal = {
            "resourceType": "Goal",
            "lifecycleStatus": "active",
            "description": {"text": text},
            "subject": care_plan["subject"],
        }
        new = here.sandbox.storage.create("Goal", goal, unless=None).version.id
        here.change(
            "CarePlan",
            str(care_plan["id"]),
            lambda tree, new=new: tree["goal"].append({"reference": f"Goal/{new}"}),  # type: ignore[misc]
        )


def left(only: Only) -> dict[tuple[str, str | None], str]:
    return {(one.item.operation, one.item.id or ",".join(one.item.units)): one.why for one in only.left()}


async def goal_there(here: World, goal: str) -> str:
    """Return the id there of one of our goals."""
    link = await here.store.read(lambda tx: tx.links.get("ehr-main", "Goal", goal))
    assert link is not None
    return str(link.resource_id)


def say(words: str) -> Any:
    return lambda tree: tree.update(description={"text": words})


async def text_of(here: World, goal: str) -> str:
    plan = await here.plan(PLAN)
    return str(next(one.text for one in plan.goals if one.id == goal))


@pytest.mark.parametrize(
    ("variant", "create"),
    [
        ("plain", "if_none_exist"),
        ("plain", "client_id"),
        ("no_etag", "if_none_exist"),
        ("no_meta", "if_none_exist"),
        ("absolute_references", "if_none_exist"),
        ("rewrites_narrative", "if_none_exist"),
        ("rewrites_decimals", "client_id"),
        ("drops_extensions", "if_none_exist"),
        ("like_hapi", "if_none_exist"),
        ("like_medplum", "if_none_exist"),
    ],
)
async def test_everything_is_done_as_it_was_shown(variant: str, create: str) -> None:
    """Creates that name each other under ids that only the server knows, edits, moves and take-overs: all of them."""
    with world(VARIANTS[variant].knobs, create=create) as here:
        await loaded(here, "01", "02")
        tree, planned = await kept(here)
        counts, only = await applied(here, tree)
        assert only.left() == []
        assert counts.operations == planned.operations
        assert (await here.sync()).writes == 0
        await here.edit(PLAN, "g-sleep", text="In bed by eleven")
        await here.edit(PLAN, "g-ba", parent="g-selfcare")
        here.change("Goal", await goal_there(here, "g-wash"), say("Wash for less than half an hour"))
        tree, planned = await kept(here)
        counts, only = await applied(here, tree)
        assert (only.left(), counts.operations) == ([], planned.operations)
        assert counts.pulled == 1
        assert (await here.runner().preview()).operations == []


async def test_what_moved_at_the_ehr_is_left_alone(here: World) -> None:
    """One goal was edited there after the preview: it is named, the others are done, and both edits stand."""
    await sent(here, "01")
    await here.edit(PLAN, "g-sleep", text="In bed by eleven")
    await here.edit(PLAN, "g-move", text="Walk every day")
    tree, _ = await kept(here)
    here.change("Goal", await goal_there(here, "g-sleep"), lambda tree: tree.update(startDate="2026-10-01"))
    counts, only = await applied(here, tree)
    assert left(only) == {("update", "g-sleep"): "changed_there"}
    assert (counts.writes, "Walk every day" in here.goals(), "In bed by eleven" in here.goals()) == (1, True, False)
    assert await text_of(here, "g-sleep") == "In bed by eleven"
    assert PLAN in await here.store.read(lambda tx: tx.dirty.marked("ehr-main"))


async def test_a_plan_that_moved_here_is_left_alone_and_the_others_are_done(here: World) -> None:
    """After an edit of our record nothing of that plan goes by the file; the other does, and `sync` does the rest."""
    await loaded(here, "01", "02")
    tree, _ = await kept(here)
    await here.edit(PLAN, "g-sleep", text="In bed by eleven")
    counts, only = await applied(here, tree)
    assert {why for (_, _), why in left(only).items()} <= {"changed_here", "no_longer"}
    assert {one.item.plan for one in only.left()} == {PLAN}
    assert counts.created == len(only.done) == 10
    assert await here.store.read(lambda tx: tx.links.for_plan("ehr-main", PLAN)) == ()
    assert await here.inbox() == []
    assert (await here.sync()).created == 15


async def test_what_is_not_in_the_file_is_left_for_a_run(here: World) -> None:
    """An edit there after the preview is neither taken over nor asked about; what it would overwrite is not noted."""
    await sent(here, "01")
    await here.edit(PLAN, "g-move", text="Walk every day")
    tree, _ = await kept(here)
    here.change("Goal", await goal_there(here, "g-sleep"), say("Lights out at ten"))
    counts, only = await applied(here, tree)
    assert (counts.pulled, counts.pushed, counts.new_items) == (0, 1, 0)
    assert left(only) == {("pull", "g-sleep/text"): "not_in_the_file"}
    assert await here.store.read(lambda tx: tx.inbox.list(open_only=False)) == ()
    assert (await here.sync()).pulled == 1
    assert await text_of(here, "g-sleep") == "Lights out at ten"


async def test_a_value_that_moved_again_is_not_taken_over(here: World) -> None:
    """The file saw one edit there, now stands another: the other take-overs of the same plan are done."""
    await sent(here, "01")
    sleep = await goal_there(here, "g-sleep")
    here.change("Goal", sleep, say("Lights out at ten"))
    here.change("Goal", await goal_there(here, "g-move"), say("Walk every day"))
    tree, _ = await kept(here)
    here.change("Goal", sleep, say("Lights out at nine"))
    counts, only = await applied(here, tree)
    assert left(only) == {("pull", "g-sleep/text"): "changed_there"}
    assert counts.pulled == 1
    assert await text_of(here, "g-move") == "Walk every day"
    assert await text_of(here, "g-sleep") != "Lights out at nine"


async def test_a_goal_born_there_is_taken_as_it_was_seen_or_not_at_all(here: World) -> None:
    """Of two goals that people added there one is edited after the preview: only the other is taken over."""
    await sent(here, "02")
    await born(here, "First new goal", "Second new goal")
    tree, planned = await kept(here)
    assert [one["operation"] for one in planned.operations] == ["adopt", "adopt"]
    here.change("Goal", str(here.goals()["Second new goal"]["id"]), say("Second, reworded"))
    counts, only = await applied(here, tree)
    assert (counts.adopted, sorted(left(only).values())) == (1, ["changed_there"])
    plan = await here.plan(OTHER)
    assert [goal.text for goal in plan.goals if goal.review == "unreviewed"] == ["First new goal"]
    assert (await here.sync()).adopted == 1


async def test_a_goal_born_there_later_is_not_taken(here: World) -> None:
    """It is not in the file."""
    await sent(here, "02")
    await here.edit(OTHER, "g-wash", text="Wash for less than half an hour")
    tree, _ = await kept(here)
    await born(here, "New goal")
    counts, _ = await applied(here, tree)
    assert counts.adopted == 0


async def test_what_may_no_longer_go_is_no_longer_done(here: World) -> None:
    """A consent that ended by the calendar: nothing of the file is sent, and nothing is taken back by it either."""
    await loaded(here, "01")
    tree, _ = await kept(here)
    here.now += timedelta(days=300)
    counts, only = await applied(here, tree)
    assert (counts.writes, set(left(only).values())) == (0, {"no_longer"})


async def test_a_file_is_applied_once(here: World) -> None:
    """A second time there is nothing left to be done by it."""
    await loaded(here, "01")
    tree, _ = await kept(here)
    await applied(here, tree)
    counts, only = await applied(here, tree)
    assert (counts.writes, set(left(only).values())) == (0, {"no_longer"})


async def test_what_the_ehr_refuses_is_told() -> None:
    """An item that was sent and not taken is not done: the file says why, and the inbox as in any run."""
    with world(VARIANTS["refuses_fields"].knobs) as here:
        await loaded(here, "01")
        tree, _ = await kept(here)
        _, only = await applied(here, tree)
        whys = {(one.why, one.answer) for one in only.left() if one.why == "not_done"}
        assert whys == {("not_done", "refused")}


async def test_the_file_holds_no_word_of_anyone(here: World) -> None:
    """Ids, fields and marks alone; and a mark is of this store: nobody can try out what it stands for."""
    await sent(here, "02")
    await here.edit(OTHER, "g-wash", text="Wash for less than half an hour", priority="low")
    here.change("Goal", await goal_there(here, "g-guests"), say("Their own words"))
    tree, _ = await kept(here)
    told = json.dumps(tree)
    plan = await here.plan(OTHER)
    assert not [goal.id for goal in plan.goals if goal.text in told]
    assert "Their own words" not in told
    assert '"low"' not in told
    assert "Renwick" not in told
    assert set(tree["operations"][0]) <= {*"plan operation units resource id resource_id etag body values".split()}
    other = Marks(Installation("urn:uuid:x", here.new_id()))
    assert marks(here).of("low") == marks(here).of("low") != other.of("low")


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        {},
        {"revisions": {}, "operations": {}},
        {"revisions": [], "operations": []},
        {"revisions": {}, "operations": [1]},
        {"revisions": {}, "operations": [{"plan": "p", "operation": "pull"}]},
        {"revisions": {}, "operations": [{"plan": "p", "operation": 1, "units": []}]},
        {"revisions": {}, "operations": [{"plan": "p", "operation": "pull", "units": [], "values": 1}]},
        {"revisions": {}, "operations": [{"plan": "p", "operation": "pull", "units": [], "other": "x"}]},
        {"revisions": {}, "operations": [{"units": []}]},
    ],
)
def test_anything_else_is_no_file(tree: Any) -> None:
    """Each shape that `preview` does not write is refused as a whole."""
    assert only_of(tree, Marks(Installation("urn:uuid:x", UUID(int=1)))) is None
