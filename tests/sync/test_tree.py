"""The goal tree at a server whose moves are two writes: half of a move is no answer, no ring is closed (design 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.commands import Void
from fhirgoals.fhir.rest import Precondition
from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.sandbox.knobs import Knobs
from tests.sync.world import START, World, started, world

PLAN = "plan-dep-01"
CHILD, OLD, NEW = "g-sleep", "g-selfcare", "g-resilience"
URL = "http://hl7.org/fhir/StructureDefinition/goal-relationship"
AUTO = {"parent_map": ("auto", "ask")}


@pytest.fixture
def here() -> Iterator[World]:
    with world(policy=AUTO, overlap_s=3600) as one:
        yield one


async def resource(here: World, goal: str) -> Any:
    plan = await here.plan(PLAN)
    wire = here.store.store.installation.wire_id("Goal", PLAN, plan.goal(goal).id)
    found = [
        one
        for one in here.sandbox.storage.resources("Goal")
        if any(each["value"] == wire for each in one.get("identifier", []))
    ]
    return found[0] if found else None


def milestone(child: str) -> dict[str, Any]:
    system = "http://hl7.org/fhir/goal-relationship-type"
    return {
        "url": URL,
        "extension": [
            {"url": "type", "valueCodeableConcept": {"coding": [{"system": system, "code": "milestone"}]}},
            {"url": "target", "valueReference": {"reference": f"Goal/{child}"}},
        ],
    }


def names(extension: dict[str, Any], child: str) -> bool:
    return extension["url"] == URL and any(
        part.get("valueReference", {}).get("reference") == f"Goal/{child}" for part in extension["extension"]
    )


async def take_from(here: World, parent: str, child: str) -> None:
    child_id = (await resource(here, child))["id"]

    def edit(tree: dict[str, Any]) -> None:
        tree["extension"] = [one for one in tree["extension"] if not names(one, child_id)]

    here.change("Goal", (await resource(here, parent))["id"], edit)


async def give_to(here: World, parent: str, child: str) -> None:
    child_id = (await resource(here, child))["id"]

    def edit(tree: dict[str, Any]) -> None:
        tree["extension"] = [*tree.get("extension", []), milestone(child_id)]

    here.change("Goal", (await resource(here, parent))["id"], edit)


async def parents_there(here: World, child: str) -> list[str]:
    """Return our ids of the goals that name the child, read from the raw resources."""
    child_id = (await resource(here, child))["id"]
    plan = await here.plan(PLAN)
    found = []
    for goal in plan.goals:
        tree = await resource(here, goal.id) or {}
        if any(names(one, child_id) for one in tree.get("extension", [])):
            found.append(goal.id)
    return found


async def quiet(here: World) -> None:
    counts = await here.sync()
    assert (counts.writes, counts.pulled, counts.new_items) == (0, 0, 0)


async def asked(here: World) -> list[tuple[str, Any]]:
    """Return the open items of the tree: kind and the parents that the EHR has."""
    items = await here.store.read(lambda tx: tx.inbox.list())
    return [(item.kind, item.theirs) for item in items if (item.unit or "").startswith("parent_map")]


@pytest.mark.parametrize("first", ["take", "give"])
async def test_half_of_a_move_there_is_not_judged(here: World, first: str) -> None:
    """Read between its two writes, a move is neither a removal nor a second parent; whole, it is one proposal."""
    await started(here)
    steps = [(take_from, OLD), (give_to, NEW)]
    found = []
    for act, parent in steps if first == "take" else reversed(steps):
        await act(here, parent, CHILD)
        assert (await here.sync()).writes == 0
        found.append(await asked(here))
    assert found == [[], [("proposal", [NEW])]]
    await quiet(here)


async def test_a_child_without_a_parent_is_believed_at_the_second_reading(here: World) -> None:
    """The EHR makes it a root: the first reading asks nothing, a later one that agrees does."""
    await started(here)
    await take_from(here, OLD, CHILD)
    for _ in range(2):  # the second of these comes before the overlap has passed
        await here.sync()
        assert await asked(here) == []
    here.now += timedelta(hours=1)
    await here.sync()
    assert await asked(here) == [("proposal", None)]
    assert await parents_there(here, CHILD) == []
    await quiet(here)


async def test_a_search_that_lags_does_not_make_half_of_a_move_out_of_a_whole_one() -> None:
    """One half was read by its id, the search still shows the other as it was: what may be half is read itself."""
    times = [START]
    with world(clock=lambda: times[0], policy=AUTO, overlap_s=10) as here:
        await started(here)
        here.sandbox.knobs = Knobs(stale_search_s=60)
        times[0] += timedelta(seconds=30)
        await take_from(here, OLD, CHILD)
        await here.sync()
        await give_to(here, NEW, CHILD)
        times[0] += timedelta(seconds=45)
        here.now += timedelta(seconds=45)
        await here.sync()
        items = await here.store.read(lambda tx: tx.inbox.list(open_only=False))
        assert [(item.kind, item.theirs) for item in items] == [("proposal", [NEW])]
        await quiet(here)


async def test_two_parents_there_are_a_question_at_the_second_reading(here: World) -> None:
    """The EHR adds a second parent and leaves it so: first nothing, then one conflict, and nothing is written."""
    await started(here)
    await give_to(here, NEW, CHILD)
    await here.sync()
    assert await here.inbox() == []
    here.now += timedelta(hours=1)
    counts = await here.sync()
    assert (counts.writes, await here.inbox()) == (0, [("conflict", PLAN, f"parent_map:{CHILD}")])
    assert sorted(await parents_there(here, CHILD)) == [NEW, OLD]


async def test_a_move_here_and_one_there_never_close_a_ring(here: World) -> None:
    """X goes under Y here while Y goes under X there: the edge is held, a person is asked, no ring stands anywhere."""
    plan = await started(here)
    goals = tuple(
        msgspec.structs.replace(one, parent=NEW, horizon="short_term") if one.id == OLD else one for one in plan.goals
    )
    await give_to(here, OLD, NEW)
    here.now += timedelta(hours=1)
    await here.put(msgspec.structs.replace(plan, goals=goals))
    await here.sync()
    here.now += timedelta(hours=1)
    await here.sync()
    assert not (OLD in await parents_there(here, NEW) and NEW in await parents_there(here, OLD))
    assert {unit for _, _, unit in await here.inbox()} & {f"parent_map:{OLD}", f"parent_map:{NEW}"}
    await quiet(here)


async def test_a_search_that_lags_hides_no_ring_from_a_move_of_ours() -> None:
    """The parent of X was put under X there, which the search does not show yet: X does not go under it by us."""
    times = [START]
    with world(clock=lambda: times[0], policy=AUTO) as here:
        plan = await started(here)
        here.sandbox.knobs = Knobs(stale_search_s=60)
        times[0] += timedelta(seconds=90)
        await give_to(here, OLD, NEW)
        goals = tuple(msgspec.structs.replace(one, parent=NEW) if one.id == OLD else one for one in plan.goals)
        await here.put(msgspec.structs.replace(plan, goals=goals))
        counts = await here.sync()
        assert [one["id"] for one in counts.operations if one["resource"] == "Goal"] == []
        assert await parents_there(here, OLD) == []


async def test_the_child_of_a_dead_parent_is_judged_by_what_is_left(here: World) -> None:
    """The EHR deletes the parent and moves the child: the move is seen (rule R13), the deletion is its own item."""
    await started(here)
    await give_to(here, NEW, CHILD)
    storage = here.sandbox.storage
    storage.delete("Goal", (await resource(here, OLD))["id"], Precondition())
    await here.sync()
    here.now += timedelta(hours=1)
    await here.sync()
    assert ("proposal", [NEW]) in await asked(here)
    assert ("gone", OLD, None) in await here.inbox()
    await quiet(here)


async def test_a_branch_that_is_voided_from_below_asks_nothing(here: World) -> None:
    """Its edges stay there and do not count: a void parent has dropped none of its children."""
    plan = await started(here)
    for goal in (*(one.id for one in plan.goals if one.parent == OLD), OLD):
        await here.do(PLAN, Void(target=goal, reason="wrong client"))
        await here.sync()
    for _ in range(2):
        assert (await here.sync()).writes == 0
    assert await here.inbox() == []


async def test_a_new_parent_gets_its_child_after_the_old_one_lost_it(here: World) -> None:
    """A goal moved under one that is created in the same run: one parent at the end, and never two on the way."""
    plan = await started(here)
    new = msgspec.structs.replace(
        plan.goal(NEW), id="g-fresh", text="A fresh aim", steps=(), targets=(), progress=(), achievements=()
    )
    goals = tuple(msgspec.structs.replace(one, parent="g-fresh") if one.id == CHILD else one for one in plan.goals)
    await here.put(msgspec.structs.replace(plan, goals=(*goals, new)))
    counts = await here.sync()
    kinds = [(one["operation"], one["id"]) for one in counts.operations if one["resource"] == "Goal"]
    assert kinds == [("create", "g-fresh"), ("update", OLD), ("update", "g-fresh")]
    assert await parents_there(here, CHILD) == ["g-fresh"]
    await quiet(here)


class Late:
    """A network on which writes with some words are not answered: they arrive when the test says so."""

    def __init__(self, inner: Any, words: bytes) -> None:
        self.inner = inner
        self.words = words
        self.under_way: list[Request] = []

    async def send(self, request: Request) -> Reply | Failure:
        if request.method == "GET" or self.words not in (request.body or b""):
            reply: Reply | Failure = await self.inner.send(request)
            return reply
        self.under_way.append(request)
        return Failure("timeout", sent=True)


async def test_an_edge_of_an_earlier_create_that_came_late_is_no_edit_of_the_ehr(here: World) -> None:
    """A parent was created with its child, late, and again without it, since it was moved here: the move goes out."""
    plan = await started(here)
    bare = msgspec.structs.replace(plan.goal(NEW), steps=(), targets=(), progress=(), achievements=())
    parent = msgspec.structs.replace(bare, id="g-fresh", text="A fresh parent")
    child = msgspec.structs.replace(plan.goal(CHILD), id="g-kid", text="A child", parent="g-fresh", progress=())
    child = msgspec.structs.replace(child, steps=(), targets=(), achievements=())
    await here.put(msgspec.structs.replace(plan, goals=(*plan.goals, parent, child)))
    plain, late = here.http, Late(here.http, b"A fresh parent")
    here.http = late  # type: ignore[assignment]
    await here.sync()
    await here.edit(PLAN, "g-kid", parent=OLD)
    await here.sync()
    assert (b"milestone" in (late.under_way[0].body or b""), b"milestone" in (late.under_way[-1].body or b"")) == (
        True,
        False,
    )
    here.http = plain
    await plain.send(late.under_way[0])
    await here.sync()
    here.now += timedelta(hours=2)
    await here.sync()
    assert await here.inbox() == []
    assert await parents_there(here, "g-kid") == [OLD]
    await quiet(here)


@pytest.mark.parametrize("how", ["comes late", "is sent again"])
async def test_a_call_that_landed_agrees_on_no_place_that_it_did_not_write(here: World, how: str) -> None:
    """A child's own resource landed after the EHR gave the child to another parent: that stays a question."""
    await started(here)
    await here.edit(PLAN, CHILD, parent="g-mood", text="Sleep through the night")
    plain, late = here.http, Late(here.http, b"Sleep through the night")
    here.http = late  # type: ignore[assignment]
    await here.sync()
    await give_to(here, NEW, CHILD)
    await here.sync()
    assert await asked(here) == [("conflict", [NEW])]
    here.http = plain
    if how == "comes late":
        await plain.send(late.under_way[0])
    await here.sync()
    assert (await resource(here, CHILD))["description"]["text"] == "Sleep through the night"
    assert await asked(here) == [("conflict", [NEW])]
    assert await parents_there(here, CHILD) == [NEW]
    await quiet(here)


async def test_no_parent_at_all_is_not_what_a_call_left_where_the_ehr_had_given_the_child_another(here: World) -> None:
    """Our call takes it from the old parent, late; the EHR gave it to another one, and then made it a root: a clash."""
    plan = await started(here)
    await here.edit(PLAN, CHILD, parent=NEW)
    plain, late = here.http, Late(here.http, plan.goal(OLD).text.encode())
    here.http = late  # type: ignore[assignment]
    await here.sync()
    await give_to(here, "g-mood", CHILD)
    await here.sync()
    here.http = plain
    await plain.send(late.under_way[0])
    await take_from(here, "g-mood", CHILD)
    for _ in range(2):  # a child without a parent is read twice
        await here.sync()
        here.now += timedelta(hours=1)
    assert await asked(here) == [("conflict", None)]
    assert await parents_there(here, CHILD) == []
    await quiet(here)


async def test_a_call_in_doubt_that_is_refused_when_sent_again_keeps_no_child_from_being_judged(here: World) -> None:
    """It never landed, and the run knows: the place where the child stands now is asked about, not one of before."""
    await started(here)
    await take_from(here, OLD, CHILD)
    await give_to(here, NEW, CHILD)
    await here.sync()
    await here.edit(PLAN, OLD, text="Look after myself")
    plain, late = here.http, Late(here.http, b"Look after myself")
    here.http = late  # type: ignore[assignment]
    await here.sync()
    assert await asked(here) == [("proposal", [NEW])]
    here.http = plain
    await take_from(here, NEW, CHILD)
    await give_to(here, "g-mood", CHILD)
    here.sandbox.knobs = Knobs(refuse_fields=("Goal.description",))
    await here.sync()
    assert await asked(here) == [("proposal", ["g-mood"])]
    assert ("held", OLD, "Goal") in await here.inbox()
    await quiet(here)


@pytest.mark.parametrize("how", ["comes late", "is sent again"])
async def test_a_place_given_back_there_after_ours_went_over_its_loss_is_an_edit(how: str) -> None:
    """The EHR's move lost to ours; before that was answered the EHR gave the child back to where both had had it."""
    with world(policy={"parent_map": ("auto", "ours")}) as here:
        await started(here)
        await take_from(here, OLD, CHILD)
        await give_to(here, NEW, CHILD)
        await here.edit(PLAN, CHILD, parent=None)
        plain, late = here.http, Late(here.http, (await resource(here, NEW))["description"]["text"].encode())
        here.http = late  # type: ignore[assignment]
        await here.sync()
        here.http = plain
        if how == "comes late":
            await plain.send(late.under_way[0])
        await give_to(here, OLD, CHILD)
        await here.sync()
        assert await parents_there(here, CHILD) == [OLD]
        assert await asked(here) == [("proposal", [OLD])]
        await quiet(here)


async def test_a_child_that_was_at_the_top_when_it_was_first_sent_may_be_moved_there(here: World) -> None:
    """It was moved to the top here before that, and both sides agreed on it: the EHR's move is a proposal, no clash."""
    plan = await started(here)
    child = msgspec.structs.replace(plan.goal(CHILD), id="g-kid", text="A child", steps=(), targets=(), progress=())
    await here.put(msgspec.structs.replace(plan, goals=(*plan.goals, msgspec.structs.replace(child, achievements=()))))
    await here.edit(PLAN, "g-kid", parent=None)
    await here.sync()
    await give_to(here, NEW, "g-kid")
    await here.sync()
    assert await asked(here) == [("proposal", [NEW])]
    assert await parents_there(here, "g-kid") == [NEW]
    await quiet(here)
