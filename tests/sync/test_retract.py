"""Taking back what was sent and may no longer be there, in the four ways of a connection (design 5.10)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.store.inbox import Item
from fhirgoals.sync.guard import clear
from tests.sync.world import World, started, taken_back, withhold, world

PLAN, GOAL = "plan-dep-01", "g-explore-empty"
EMPTY = "Understand what feeds the lasting dissatisfaction behind an outwardly successful life"
WAYS = ("blank", "entered_in_error", "delete")


@pytest.fixture(params=WAYS)
def here(request: pytest.FixtureRequest) -> Iterator[World]:
    with world(retract=request.param) as one:
        yield one


async def share_again(here: World, goal: str = GOAL) -> None:
    plan = await here.plan(PLAN)
    disclosure = msgspec.structs.replace(plan.disclosure, withheld=())
    goals = tuple(msgspec.structs.replace(one, share="default") if one.id == goal else one for one in plan.goals)
    await here.put(msgspec.structs.replace(plan, goals=goals, disclosure=disclosure))


def everything(here: World) -> str:
    """Return the current text of every resource there."""
    kinds = ("Goal", "CarePlan")
    return "".join(
        msgspec.json.encode(one, enc_hook=str).decode()
        for kind in kinds
        for one in here.sandbox.storage.resources(kind)
    )


def words_of(plan: Plan, goal_id: str) -> list[str]:
    goal = plan.goal(goal_id)
    texts = [goal.text, goal.client_words, *(step.text for step in goal.steps), *(one.text for one in goal.progress)]
    return [text for text in texts if text]


async def quiet(here: World) -> None:
    counts = await here.sync()
    assert (counts.writes, counts.pulled, counts.proposals, counts.conflicts) == (0, 0, 0, 0)


async def test_a_withheld_goal_leaves_no_word_and_no_reference(here: World) -> None:
    """Its words are in no current version there, nothing refers to it, and the report says what the history keeps."""
    plan = await started(here)
    gone = f"Goal/{here.goals()[EMPTY]['id']}"
    assert all(text in everything(here) for text in words_of(plan, GOAL) if text == EMPTY)
    await withhold(here, PLAN, GOAL)
    counts = await here.sync()
    way = here.config["retract"]
    assert taken_back(counts) == [{"resource": "Goal", "id": GOAL, "way": way, "versions_left": 1}]
    others = [(one["resource"], one["id"], one["versions_left"]) for one in counts.retracted if one["id"] != GOAL]
    assert others == [("Goal", "g-create", 1), ("Goal", "g-mood", 1), ("CarePlan", PLAN, 1)]
    text = everything(here)
    assert [one for one in words_of(plan, GOAL) if one in text] == []
    assert f'"{gone}"' not in text
    assert await here.inbox() == []
    left = [one for one in here.sandbox.storage.resources("Goal") if f"Goal/{one['id']}" == gone]
    states = {"blank": ["cancelled"], "entered_in_error": ["entered-in-error"], "delete": []}
    assert [one["lifecycleStatus"] for one in left] == states[str(way)]
    await quiet(here)


async def test_what_others_wrote_in_it_stays_where_it_is_not_deleted(here: World) -> None:
    """A nurse's note and a field of the EHR's own are theirs: only what was ours is taken out."""
    await started(here)

    def nurse(tree: dict[str, Any]) -> None:
        tree["extension"] = [*tree.get("extension", []), {"url": "https://ehr.example/own", "valueString": "bed 7"}]
        tree["note"] = [*tree.get("note", []), {"authorString": "A nurse", "text": "Slept through"}]

    here.change("Goal", str(here.goals()[EMPTY]["id"]), nurse)
    await here.sync()
    await withhold(here, PLAN, GOAL)
    await here.sync()
    kept = ("bed 7" in everything(here), "Slept through" in everything(here))
    assert kept == ((False, False) if here.config["retract"] == "delete" else (True, True))
    await quiet(here)


async def test_what_was_marked_void_there_is_not_brought_back_by_taking_it_back() -> None:
    """Blanked, it stays entered in error: another status would bring its edges and itself to life again."""
    with world(retract="blank") as here:
        await started(here)
        goal_id = str(here.goals()[EMPTY]["id"])
        here.change("Goal", goal_id, lambda tree: tree.update(lifecycleStatus="entered-in-error"))
        await here.sync()
        await withhold(here, PLAN, GOAL)
        await here.sync()
        [left] = [one for one in here.sandbox.storage.resources("Goal") if one["id"] == goal_id]
        assert (left["lifecycleStatus"], left["description"]) == ("entered-in-error", {"text": "Withdrawn"})
        await quiet(here)


async def test_what_is_shared_again_is_there_again(here: World) -> None:
    """Withheld and shared again: the goal, its steps and its place in the tree are as before, and there once."""
    plan = await started(here)
    before = len(here.goals())
    await withhold(here, PLAN, GOAL)
    await here.sync()
    await share_again(here)
    await here.sync()
    assert len(here.goals()) == before
    assert [text for text in words_of(plan, GOAL) if text in everything(here)] != []
    assert here.goals()[EMPTY]["lifecycleStatus"] == "completed"
    assert (await here.plan(PLAN)).goal(GOAL).text == EMPTY
    assert await here.inbox() == []
    await quiet(here)


async def test_a_step_that_another_ehr_reworded_meanwhile_is_not_shared_again_without_its_words(here: World) -> None:
    """Its words may not go here, so nothing of it goes: what was taken back is as if it had never been there."""
    await started(here)
    await withhold(here, PLAN, GOAL)
    await here.sync()
    plan = await here.plan(PLAN)
    first, *others = plan.goal(GOAL).steps
    steps = (msgspec.structs.replace(first, text="Words of another EHR"), *others)
    goals = tuple(msgspec.structs.replace(one, steps=steps) if one.id == GOAL else one for one in plan.goals)
    await here.put(msgspec.structs.replace(plan, goals=goals), origin="ehr-other")
    await share_again(here)
    await here.sync()
    assert [one.text in everything(here) for one in others] == [True] * len(others)
    assert not {"Words of another EHR", first.text} & set(re.findall('"([^"]*)"', everything(here)))
    assert await here.inbox() == []
    await quiet(here)
    details = [one["detail"] for one in here.care_plans()[0]["activity"]]  # type: ignore[index, call-overload, union-attr]
    assert all(one.get("description") for one in details)


async def test_what_another_ehr_moved_is_referred_to_by_nothing_once_it_is_withheld(here: World) -> None:
    """Its new place may not be told here, and its old one goes with it: no question is asked about that."""
    await started(here)
    own = f"Goal/{here.goals()[EMPTY]['id']}"
    plan = await here.plan(PLAN)
    goals = tuple(msgspec.structs.replace(one, parent="g-selfcare") if one.id == GOAL else one for one in plan.goals)
    await here.put(msgspec.structs.replace(plan, goals=goals), origin="ehr-other")
    await here.sync()
    assert own in everything(here)
    await withhold(here, PLAN, GOAL)
    await here.sync()
    await here.sync()
    assert own not in everything(here)
    assert await here.inbox() == []


@dataclass
class Refusing:
    """A network on which one resource is refused every update, for its content, or every delete."""

    inner: Any
    resource_id: str
    method: str = "PUT"
    status: int = 422

    async def send(self, request: Request) -> Reply | Failure:
        if request.method == self.method and request.url.endswith(self.resource_id):
            return Reply(self.status, {}, b"")
        reply: Reply | Failure = await self.inner.send(request)
        return reply


async def test_what_a_resource_that_takes_no_update_still_names_loses_its_words_and_stays(here: World) -> None:
    """Deleted, it would be forgotten, and nobody would know any more what to take out of the other."""
    await started(here)
    own = f"Goal/{here.goals()[EMPTY]['id']}"
    words = words_of(await here.plan(PLAN), GOAL)
    parent, _predecessor = (one["id"] for one in here.goals().values() if own in json.dumps(one, default=str))
    plain = here.http
    here.http = Refusing(plain, str(parent))  # type: ignore[assignment]
    await withhold(here, PLAN, GOAL)
    counts = await here.sync()
    way = "entered_in_error" if here.config["retract"] == "entered_in_error" else "blank"
    assert [(one["id"], one["way"]) for one in taken_back(counts)] == [(GOAL, way)]
    for _ in range(2):
        assert not taken_back(await here.sync())
    assert not [word for word in words if word in everything(here)]
    assert own in everything(here)
    assert [kind for kind, _, _ in await here.inbox()] == ["held"]
    here.http = plain
    here.now += timedelta(hours=2)
    counts = await here.sync()
    deleted = [(one["id"], one["way"]) for one in taken_back(counts)]
    assert deleted == ([(GOAL, "delete")] if here.config["retract"] == "delete" else [])
    assert own not in everything(here)
    assert await here.inbox() == []
    await quiet(here)


@pytest.mark.parametrize("status", [403, 405, 409, 422])
async def test_what_the_ehr_does_not_delete_loses_its_words(status: int) -> None:
    """Somebody else's resource may refer to it: it stays, blank and told of, and is deleted once the EHR lets us."""
    with world(retract="delete") as here:
        await started(here)
        goal = here.goals()[EMPTY]["id"]
        words = words_of(await here.plan(PLAN), GOAL)
        plain = here.http
        here.http = Refusing(plain, str(goal), "DELETE", status)  # type: ignore[assignment]
        await withhold(here, PLAN, GOAL)
        counts = await here.sync()
        assert [(one["id"], one["way"]) for one in taken_back(counts)] == [(GOAL, "blank")]
        for _ in range(3):
            assert (await here.sync()).writes == 0
        assert not [word for word in words if word in everything(here)]
        assert await here.inbox() == [("held", GOAL, "Goal")]
        here.http = plain
        here.now += timedelta(hours=2)
        await here.sync()
        assert f"Goal/{goal}" not in [f"Goal/{one['id']}" for one in here.sandbox.storage.resources("Goal")]
        assert await here.inbox() == []
        await quiet(here)


@pytest.mark.parametrize("how", ["refused", "revoked", "expired"])
async def test_the_end_of_a_consent_takes_everything_back(here: World, how: str) -> None:
    """Refused, revoked, or expired by the calendar: no word of the plan is left in a current version."""
    plan = await started(here)
    if how == "expired":
        here.now = here.now.replace(year=2027, month=6)
    else:
        ended = {"granted": None, "refused": date(2026, 11, 6)} if how == "refused" else {"expires": date(2026, 11, 5)}
        consents = tuple(
            msgspec.structs.replace(one, **ended) if one.endpoint == "ehr-main" else one
            for one in plan.disclosure.consents
        )
        disclosure = msgspec.structs.replace(plan.disclosure, consents=consents)
        await here.put(msgspec.structs.replace(plan, disclosure=disclosure))
    assert (await here.sync()).writes == 0
    assert await here.inbox() == [("guard", PLAN, None)]  # fifteen at once: a person looks first
    at = here.clock()
    await here.store.write(lambda tx: clear(tx, "ehr-main", by="it-1", at=at))
    counts = await here.sync()
    assert len(taken_back(counts)) == 15
    text = everything(here)
    found = [one for goal in plan.goals for one in words_of(plan, goal.id) if one in text]
    assert found == []
    assert plan.title not in text
    assert await here.inbox() == []
    await quiet(here)


async def test_preview_names_what_is_taken_back(here: World) -> None:
    """The operations of the preview are those of the run, and nothing is written before it."""
    await started(here)
    await withhold(here, PLAN, GOAL)
    planned = await here.runner().preview()
    assert EMPTY in here.goals()
    done = await here.sync()
    assert planned.operations == done.operations
    assert [one["operation"] for one in done.operations if one["id"] == GOAL] == [
        "delete" if here.config["retract"] == "delete" else "retract"
    ]


async def test_a_change_of_the_ehr_in_it_stays_in_the_history_here(here: World) -> None:
    """The EHR reworded the goal and nobody here has seen it: taking the goal back keeps those words in our history."""
    await started(here)
    here.change("Goal", str(here.goals()[EMPTY]["id"]), lambda tree: tree.update(description={"text": "Reworded"}))
    await withhold(here, PLAN, GOAL)
    await here.sync()
    items = await here.store.read(lambda tx: tx.inbox.list(open_only=False))
    kept = {one.unit: one.theirs for one in items if one.kind == "history" and one.owner == GOAL}
    assert kept.pop("text") == "Reworded"
    if here.config["retract"] == "delete":  # all of it is gone there: all of it is kept
        assert kept.pop(None)["description"]["text"] == "Reworded"
    assert kept == {}
    assert "Reworded" not in everything(here)
    await quiet(here)


async def test_a_reference_that_the_ehr_changed_comes_first(here: World) -> None:
    """The EHR moved a step of the goal meanwhile: one item asks, and the goal stands until that is settled."""
    await started(here)
    [care_plan] = here.care_plans()
    gone = f"Goal/{here.goals()[EMPTY]['id']}"
    other = next(f"Goal/{one['id']}" for text, one in here.goals().items() if text != EMPTY)

    def moved(tree: dict[str, Any]) -> None:
        for activity in tree["activity"]:
            for reference in activity.get("detail", {}).get("goal", []):
                if reference["reference"] == gone:
                    reference["reference"] = other
                    return

    here.change("CarePlan", str(care_plan["id"]), moved)
    await withhold(here, PLAN, GOAL)
    counts = await here.sync()
    assert taken_back(counts) == []
    assert EMPTY in here.goals()
    assert {(kind, owner) for kind, owner, _ in await here.inbox()} == {("conflict", PLAN)}


async def test_a_server_that_keeps_what_it_was_told_to_forget_is_told_of() -> None:
    """The reply is well but the words still stand: one open item, not another try without end."""
    with world(retract="blank") as here:
        await started(here)
        await withhold(here, PLAN, GOAL)
        here.http = Keeper(here.http)  # type: ignore[assignment]
        counts = await here.sync()
        assert ("held", GOAL, "Goal") in await here.inbox()
        assert EMPTY in here.goals()
        assert counts.writes < 8


class Keeper:
    """A server that answers 200 to the taking back of a text, and keeps the text."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def send(self, request: Request) -> Any:
        if request.method == "PUT" and b"Withdrawn" in (request.body or b""):
            headers = {name: value for name, value in request.headers.items() if name == "Accept"}
            return await self.inner.send(Request("GET", request.url, headers, None))
        return await self.inner.send(request)


class LateDeletes:
    """A network on which the deletes of goals are not answered: they arrive when the test says so."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.under_way: list[Request] = []

    async def send(self, request: Request) -> Reply | Failure:
        if request.method != "DELETE" or "/Goal/" not in request.url:
            reply: Reply | Failure = await self.inner.send(request)
            return reply
        self.under_way.append(request)
        return Failure("timeout", sent=True)


async def delete_in_doubt(here: World) -> tuple[Any, Request]:
    """Withhold a goal whose delete is not answered, and write into it there; return the network and that delete."""
    await started(here)
    goal_id = str(here.goals()[EMPTY]["id"])
    await withhold(here, PLAN, GOAL)
    plain, late = here.http, LateDeletes(here.http)
    here.http = late  # type: ignore[assignment]
    await here.sync()
    here.change("Goal", goal_id, lambda tree: tree.update(note=[{"text": "Seen on the ward"}]))
    return plain, next(one for one in late.under_way if one.url.endswith(goal_id))


async def arrives(here: World, plain: Any, request: Request) -> list[Item]:
    """Let a call arrive, run once more, and return what the history here keeps of the goal."""
    await plain.send(request)
    here.http = plain
    await here.sync()
    kept = await here.store.read(lambda tx: tx.inbox.list(open_only=False))
    return [one for one in kept if one.owner == GOAL and one.kind == "history"]


@pytest.mark.parametrize("history", [True, False])
async def test_what_was_written_before_a_late_delete_stays_in_the_history_here(*, history: bool) -> None:
    """No ETag held it back: the EHR's last words are kept whole; without a history, that there may be some."""
    with world(Knobs(no_etag=True, no_history=not history), retract="delete") as here:
        about = await arrives(here, *await delete_in_doubt(here))
        assert [one.why for one in about][-1] == ("overwritten_there" if history else "may_have_gone_over_an_edit")
        assert ("Seen on the ward" in str(about[-1].theirs)) is history


async def test_what_a_delete_that_is_not_checked_may_still_take_out_is_kept() -> None:
    """The resource moved before a delete in doubt: it is read, kept whole, and then the delete comes after all."""
    with world(Knobs(delete_unchecked=True), retract="delete") as here:
        plain, request = await delete_in_doubt(here)
        await here.sync()
        about = await arrives(here, plain, request)
        assert any("Seen on the ward" in str(one.theirs) for one in about)
        assert EMPTY not in here.goals()
