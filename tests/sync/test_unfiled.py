"""Goals born at an EHR that no care plan lists: a wider scope takes them into a plan that never leaves (design 5.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.records import Consent, Goal, Plan
from fhirgoals.errors import ConfigurationError
from fhirgoals.fhir.http import record_everywhere
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.store.intents import Intent
from fhirgoals.sync.connection import config_of
from fhirgoals.sync.identify import confirm, match
from fhirgoals.sync.planned_file import Noted, only_of
from fhirgoals.sync.planned_items import Marks
from fhirgoals.sync.unlink import begin
from tests.sync.test_newborn import PLAN, WORDS, born, quiet
from tests.sync.test_resolve import settled, the_item, two_connected
from tests.sync.world import BASE, World, started, text_of, world

UNFILED = "unfiled-client-101"
SYSTEM = "http://terminology.hl7.org/CodeSystem/goal-category"
DIET = {"category": [{"coding": [{"system": SYSTEM, "code": "dietary"}]}]}


@pytest.fixture
def here() -> Iterator[World]:
    with world(scope="all") as one:
        yield one


async def filed(here: World) -> list[Goal]:
    """Return the goals of the client's unfiled plan; none where there is no such plan."""
    stored = await here.store.read(lambda tx: tx.plans.get(UNFILED))
    return [] if stored is None else list(stored.plan.goals)


async def plans(here: World) -> tuple[str, ...]:
    return await here.store.read(lambda tx: tx.plans.ids())


def put_into_the_plan(here: World, resource_id: str, *, there: bool = True) -> None:
    """Put a goal on the CarePlan's list at the EHR, or take it off."""
    [care_plan] = here.care_plans()
    name = {"reference": f"Goal/{resource_id}"}

    def edit(tree: dict[str, Any]) -> None:
        tree["goal"] = [*(one for one in tree["goal"] if one != name), *([name] if there else [])]

    here.change("CarePlan", str(care_plan["id"]), edit)


async def reword(here: World, resource_id: str, text: str) -> None:
    here.change("Goal", resource_id, lambda tree: tree.update(description={"text": text}))


async def with_consents(here: World, consents: tuple[Consent, ...]) -> None:
    plan = await here.plan(PLAN)
    disclosure = msgspec.structs.replace(plan.disclosure, consents=consents)
    await here.put(msgspec.structs.replace(plan, disclosure=disclosure))


async def test_a_goal_that_no_plan_lists_begins_the_clients_unfiled_plan(here: World) -> None:
    """The run that first sees it makes the plan, with the people of the client's own one; nothing is written there."""
    plan = await started(here)
    resource_id = born(here, listed=False)
    planned = await here.runner().preview()
    assert (planned.adopted, await plans(here)) == (1, (PLAN,))
    counts = await here.sync()
    assert (counts.adopted, counts.writes, counts.outside_scope) == (1, 0, 0)
    assert await plans(here) == (PLAN, UNFILED)
    unfiled = await here.plan(UNFILED)
    assert (unfiled.participants, unfiled.client) == (plan.participants, plan.client)
    [goal] = unfiled.goals
    assert (goal.text, goal.lifecycle, goal.review) == (WORDS, "accepted", "unreviewed")
    assert goal.origin is not None
    assert (goal.origin.system, goal.origin.resource) == ("ehr-main", f"Goal/{resource_id}")
    assert [entry.text for entry in goal.progress] == ["Managed it twice"]
    assert await here.inbox() == []
    await quiet(here)


async def test_without_such_a_goal_there_is_no_such_plan(here: World) -> None:
    """The widest scope alone makes nothing and asks for nothing more."""
    await started(here)
    wide = (await here.sync()).requests
    assert await plans(here) == (PLAN,)
    with world() as narrow:
        await started(narrow)
        assert (await narrow.sync()).requests == wide


async def test_one_that_a_linked_plan_lists_goes_into_that_plan(here: World) -> None:
    """Born and listed at the same time it is filed once, beside one that is not listed."""
    await started(here)
    born(here)
    born(here, listed=False, description={"text": "Eat something green"})
    assert (await here.sync()).adopted == 2
    assert [one.text for one in (await here.plan(PLAN)).goals if one.origin] == [WORDS]
    assert [one.text for one in await filed(here)] == ["Eat something green"]
    await quiet(here)


async def test_while_an_edit_of_its_plan_waits_a_listed_goal_goes_into_it_all_the_same(here: World) -> None:
    """An edit in its quiet time keeps nothing else out of the run: the other goal is filed, this one is not."""
    await started(here)
    born(here, listed=False, description={"text": "Eat something green"})
    await here.sync()
    born(here)
    at = here.clock()
    later = at + timedelta(minutes=15)
    await here.store.write(lambda tx: tx.dirty.mark(PLAN, "ehr-main", why="edit", at=at, not_before=later))
    assert (await here.sync()).adopted == 1
    assert WORDS in [one.text for one in (await here.plan(PLAN)).goals]
    here.now = later
    assert (await here.sync()).adopted == 0


async def test_only_goals_of_the_named_categories_are_taken() -> None:
    """With its system or without: others are counted, by patient, however many plans the client has."""
    for names in (("dietary",), (f"{SYSTEM}|dietary", "safety")):
        with world(scope="categories", scope_categories=names) as here:
            plan = await started(here)
            second = msgspec.structs.replace(plan, id="plan-dep-02", goals=(), title="Another", interventions=())
            goal = msgspec.structs.replace(plan.goal("g-sleep"), id="g-second", parent=None, horizon="long_term")
            await here.put(msgspec.structs.replace(second, goals=(goal,)))
            born(here, listed=False)
            born(here, listed=False, lifecycleStatus="entered-in-error")
            born(here, listed=False, description={"text": "Eat something green"}, **DIET)
            born(here, listed=False, category=[{"coding": [{"system": "urn:other", "code": "dietary"}]}, "odd"])
            counts = await here.sync()
            assert counts.created == 2
            expected = ["Eat something green"] if "safety" in names else ["Eat something green", WORDS]
            assert sorted(str(one.text) for one in await filed(here)) == expected
            assert counts.outside_scope == 3 - len(expected)
            assert counts.as_json()["outside_scope"] == counts.outside_scope
            assert "outside" not in counts.as_json()


@pytest.mark.parametrize(("scope", "outside"), [("ours", 2), ("linked_plans", 1), ("all", 0)])
async def test_what_the_scope_leaves_there_is_counted(scope: str, outside: int) -> None:
    """A listed and an unlisted goal: `ours` leaves both, `linked_plans` the second; the count stands in every run."""
    with world(scope=scope) as here:
        await started(here)
        born(here)
        born(here, listed=False, description={"text": "Eat something green"})
        planned = await here.runner().preview()
        counts = await here.sync()
        assert (planned.outside_scope, counts.outside_scope) == (outside, outside)
        assert (await here.sync()).outside_scope == outside
        assert counts.adopted == 2 - outside


async def test_an_edit_there_is_taken_over_as_of_any_linked_goal(here: World) -> None:
    """Words are taken, a target date is proposed; what is decided stays here and is sent nowhere."""
    await started(here)
    resource_id = born(here, listed=False)
    await here.sync()
    await reword(here, resource_id, "Walk to the garden")
    assert (await here.sync()).pulled == 1
    assert [one.text for one in await filed(here)] == ["Walk to the garden"]
    here.change("Goal", resource_id, lambda tree: tree.update(target=[{"dueDate": "2027-01-04"}]))
    await here.sync()
    item = await the_item(here, "ehr-main")
    assert (item.kind, item.plan_id) == ("proposal", UNFILED)
    assert not (await settled(here, item, "ours")).sends
    counts = await here.sync()
    assert (counts.writes, await here.inbox()) == (0, [])
    await quiet(here)


async def test_an_edit_here_stays_here_with_a_row_in_the_ledger(here: World) -> None:
    """It is told once that the plan is never exported; edited there too, a person is asked."""
    await started(here)
    resource_id = born(here, listed=False)
    await here.sync()
    [goal] = await filed(here)
    await here.edit(UNFILED, goal.id, text="Ours alone")
    planned = await here.runner().preview()
    counts = await here.sync()
    assert (planned.operations, counts.writes, counts.operations) == ([], 0, [])
    rows = await here.store.read(lambda tx: tx.ledger.list(plan_id=UNFILED))
    assert [(one.unit.name, one.why) for one in rows if one.unit.owner == goal.id] == [("text", "never_exported")]
    assert "Ours alone" not in here.goals()
    await quiet(here)
    await reword(here, resource_id, "Theirs")
    await here.sync()
    item = await the_item(here, "ehr-main")
    assert (item.kind, item.ours, item.theirs) == ("conflict", "Ours alone", "Theirs")


async def test_an_edit_of_it_waits_for_no_signature() -> None:
    """What is never sent is not told as "not sent yet"."""
    with world(scope="all", release="on_sign") as here:
        await started(here)
        born(here, listed=False)
        await here.sync()
        [goal] = await filed(here)
        await here.edit(UNFILED, goal.id, text="Ours alone")
        assert UNFILED not in (await here.sync()).not_sent_yet
        rows = await here.store.read(lambda tx: tx.ledger.list(plan_id=UNFILED))
        assert "never_exported" in [one.why for one in rows]


async def test_one_that_is_put_into_a_plan_later_is_not_doubled(here: World) -> None:
    """It stays where it is, with one item that closes itself when it is taken off the list."""
    await started(here)
    resource_id = born(here, listed=False)
    await here.sync()
    [goal] = await filed(here)
    put_into_the_plan(here, resource_id)
    counts = await here.sync()
    assert (counts.adopted, counts.writes, counts.new_items) == (0, 0, 1)
    assert await here.inbox() == [("held", goal.id, None)]
    assert [one.id for one in (await here.plan(PLAN)).goals if one.origin] == []
    await quiet(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await here.sync()
    [care_plan] = here.care_plans()
    assert {"reference": f"Goal/{resource_id}"} in care_plan["goal"]
    put_into_the_plan(here, resource_id, there=False)
    await here.sync()
    assert await here.inbox() == []
    assert len(here.goals()) == 15


async def test_without_consent_nothing_of_the_chart_is_asked_filed_or_taken_over(here: World) -> None:
    """What was filed stays as it was, and what happened there meanwhile is taken when a consent is given again."""
    plan = await started(here)
    resource_id = born(here, listed=False)
    await here.sync()
    await with_consents(here, ())
    await here.sync()
    await reword(here, resource_id, "Walk to the garden")
    born(here, listed=False, description={"text": "Eat something green"})
    counts = await here.sync()
    assert (counts.adopted, counts.pulled, counts.writes) == (0, 0, 0)
    assert [one.text for one in await filed(here)] == [WORDS]
    assert ("retract", UNFILED, None) not in await here.inbox()
    await with_consents(here, plan.disclosure.consents)
    counts = await here.sync()
    assert (counts.adopted, counts.pulled) == (1, 2)  # the new one's note is its second edit
    assert sorted(str(one.text) for one in await filed(here)) == ["Eat something green", "Walk to the garden"]


async def test_nothing_of_it_ever_leaves() -> None:
    """Edited, added to, with a consent of its own: no byte of it goes to the EHR of its birth or to another."""
    mark = "UNFILED-MARK"
    sent: list[bytes] = []

    def seen(request: Any, *_: Any) -> None:
        sent.append(b" ".join((str(request.url).encode(), request.body or b"")))

    with world(scope="all", send_proposed=True) as first, world(scope="all", share_origins=("ehr-main",)) as second:
        await two_connected(first, second)
        one = born(first, listed=False, description={"text": f"{mark} at A"})
        born(second, listed=False, description={"text": f"{mark} at B"})
        before = [len(where.goals()) for where in (first, second)]
        undo = record_everywhere(seen)
        try:
            for where in (first, second):
                assert (await where.sync()).adopted == 1
            [at_a, at_b] = await filed(first)
            plan = await first.plan(UNFILED)
            own = msgspec.structs.replace(at_a, id="g-own", text=f"{mark} ours", origin=None, lifecycle="proposed")
            edited = msgspec.structs.replace(at_a, text=f"{mark} edited", parent=at_b.id)
            consents = (await first.plan(PLAN)).disclosure.consents
            disclosure = msgspec.structs.replace(plan.disclosure, consents=consents)
            await first.put(msgspec.structs.replace(plan, goals=(edited, at_b, own), disclosure=disclosure))
            await reword(first, one, f"{mark} reworded")
            for where in (first, second, first, second):
                assert (await where.sync()).writes == 0
        finally:
            undo()
        assert sent
        ids = (UNFILED, at_a.id, at_b.id, "g-own", mark)
        assert not [text for text in sent for name in ids if name.encode() in text]
        assert [len(where.goals()) for where in (first, second)] == before
        now = await first.plan(UNFILED)
        for endpoint in ("ehr-main", "ehr-b", "primary-care"):
            seen_there = disclose(now, endpoint, on=first.now.date(), portal_visible=False)
            assert (seen_there.plan, seen_there.refused) == (None, "unfiled")


async def test_each_of_two_ehrs_has_its_own_goals_in_it() -> None:
    """One plan here; an edit at A changes A's goal alone, and B is asked of nothing that came from A."""
    with world(scope="all") as first, world() as second:
        await two_connected(first, second)
        resource_id = born(first, listed=False)
        other = born(second, listed=False, description={"text": "Eat something green"})
        asked = (await second.sync()).requests
        await first.sync()
        counts = await second.sync()
        assert (counts.adopted, counts.outside_scope, counts.writes, counts.requests) == (0, 1, 0, asked)
        await reword(first, resource_id, "Walk to the garden")
        await reword(second, other, "Not taken")
        await first.sync()
        await second.sync()
        assert [one.text for one in await filed(first)] == ["Walk to the garden"]
        assert await first.store.read(lambda tx: tx.links.for_plan("ehr-b", UNFILED)) == ()
        assert UNFILED not in await first.store.read(lambda tx: tx.dirty.marked("ehr-b"))


async def test_a_connection_that_observes_counts_and_files_nothing(here: World) -> None:
    """Its preview shows what would be filed."""
    await started(here)
    await here.sync()
    at = here.clock()
    await here.store.write(lambda tx: tx.connections.set_state("ehr-main", "observe", by="it-1", reason="x", at=at))
    born(here, listed=False)
    assert ((await here.sync()).adopted, await plans(here)) == (0, (PLAN,))
    assert (await here.runner().preview()).adopted == 1


async def test_nothing_is_filed_of_a_patient_who_is_no_longer_the_one_that_was_linked(here: World) -> None:
    """Merged or replaced there: the run says so, for every run, and takes nothing over either."""
    await started(here)
    resource_id = born(here, listed=False)
    await here.sync()
    [patient] = here.sandbox.storage.resources("Patient")
    here.change("Patient", str(patient["id"]), lambda tree: tree.update(birthDate="1950-01-01"))
    await reword(here, resource_id, "Of somebody else")
    born(here, listed=False, description={"text": "Also of somebody else"})
    for _ in range(2):
        counts = await here.sync()
        assert (counts.adopted, counts.pulled, counts.unanswered) == (0, 0, [UNFILED])
        assert "patients list" in counts.problems[0]
    assert "no longer bears" in (await here.runner().preview()).problems[0]
    assert [one.text for one in await filed(here)] == [WORDS]


async def test_a_list_that_the_search_does_not_show_is_read_itself() -> None:
    """What a linked care plan lists is left for its plan although the search lags behind."""
    hidden = False

    class Lagging:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def send(self, request: Any) -> Any:
            if hidden and "/CarePlan?" in str(request.url):
                request = replace(request, url=str(request.url).replace("/CarePlan?", "/CarePlan?_id=none&"))
            return await self.inner.send(request)

    with world(scope="all") as here:
        await started(here)
        here.http = Lagging(here.http)  # type: ignore[assignment]
        born(here, listed=False, description={"text": "Eat something green"})
        await here.sync()
        hidden = True
        born(here)
        assert (await here.sync()).adopted == 1
        assert WORDS in [one.text for one in (await here.plan(PLAN)).goals]
        assert [one.text for one in await filed(here)] == ["Eat something green"]


async def test_two_runs_that_begin_the_plan_at_once_file_both() -> None:
    """The second one finds the plan that the first one made, whichever that is."""
    with world(scope="all") as first, world(scope="all") as second:
        await two_connected(first, second)
        born(first, listed=False)
        born(second, listed=False, description={"text": "Eat something green"})
        done = await asyncio.gather(first.sync(), second.sync())
        assert [one.adopted for one in done] == [1, 1]
        assert sorted(str(one.text) for one in await filed(first)) == ["Eat something green", WORDS]
        await quiet(first)
        await quiet(second)


@pytest.mark.parametrize("way", ["leave", "blank", "delete"])
async def test_a_chart_that_is_left_is_forgotten_and_not_touched(way: str) -> None:
    """Its goal is theirs: it stays there to the byte, and here with an item once the right chart is linked."""
    with world(scope="all", retract=way) as here:
        plan = await started(here)
        born(here, listed=False)
        await here.sync()
        before = here.goals()[WORDS]
        at = here.clock()
        await here.store.write(
            lambda tx: begin(tx, "ehr-main", "client-101", retract=True, by="it-1", reason="wrong-chart", at=at)
        )
        assert await here.store.read(lambda tx: tx.links.for_plan("ehr-main", UNFILED)) == ()
        for _ in range(2):
            await here.sync()
        assert here.goals()[WORDS] == before
        assert [one.text for one in await filed(here)] == [WORDS]
        if way == "leave":
            return  # what was sent stays in that chart, and so does the link to it
        links = await here.store.read(lambda tx: tx.people.links("ehr-main"))
        assert "client-101" not in [one.local_id for one in links]
        await linked_elsewhere(here, plan)
        await here.sync()
        [goal] = await filed(here)
        assert ("held", goal.id, None) in await here.inbox()
        assert here.goals()[WORDS] == before


async def linked_elsewhere(here: World, plan: Plan) -> None:
    """Link the client to another patient, as a person does by hand."""
    client = plan.client
    assert client is not None
    assert client.birth_date is not None
    for one in list(here.sandbox.storage.resources("Patient")):
        here.change("Patient", str(one["id"]), lambda tree: tree.pop("identifier"))
    await here.know_people(plan)


@pytest.mark.parametrize("void", [False, True], ids=["as it was", "ended here as an error"])
async def test_the_same_chart_linked_again_finds_its_goal_again(void: bool) -> None:
    """It is not filed a second time: equal fields are agreed, one that was changed there meanwhile is asked.

    One that was ended here as an error is left alone.
    """
    with world(scope="all", retract="blank") as here:
        await started(here)
        resource_id = born(here, listed=False)
        await here.sync()
        at = here.clock()
        await here.store.write(
            lambda tx: begin(tx, "ehr-main", "client-101", retract=True, by="it-1", reason="wrong-chart", at=at)
        )
        await here.sync()
        await reword(here, resource_id, "Walk to the garden")
        if void:
            [goal] = await filed(here)
            await here.edit(UNFILED, goal.id, lifecycle="entered_in_error")
        await match(here.store, here.client(), "ehr-main", by="it-1", clock=here.clock)
        at = here.clock()
        await here.store.write(lambda tx: confirm(tx, "ehr-main", None, by="it-1", at=at))
        await here.sync()
        assert len(await filed(here)) == 1
        if void:
            assert await here.store.read(lambda tx: tx.inbox.list(plan_id=UNFILED)) == ()
            assert await here.store.read(lambda tx: tx.links.for_plan("ehr-main", UNFILED)) == ()
            return
        [item] = await here.store.read(lambda tx: tx.inbox.list(plan_id=UNFILED))
        assert (item.kind, item.unit, item.theirs) == ("conflict", "text", "Walk to the garden")


async def test_a_late_call_of_ours_is_not_taken_for_a_goal_of_theirs() -> None:
    """Where a server drops identifiers, a goal that says what one of ours says is left to a person."""
    knobs = Knobs(drop_fields=("Goal.identifier",))
    with world(knobs, scope="all") as here:
        plan = await started(here)
        text = plan.goal("g-sleep").text
        born(here, listed=False, description=here.goals()[str(text)]["description"])
        counts = await here.sync()
        assert (counts.adopted, counts.outside_scope) == (0, 0)
        assert [kind for kind, _, _ in await here.inbox()] == ["identity"]


async def test_while_a_create_is_in_doubt_nothing_is_filed(here: World) -> None:
    """A goal that may be the one whose reply was lost waits until that is known."""
    await started(here)
    born(here, listed=False)
    at = here.clock()
    await here.store.write(lambda tx: tx.intents.open(in_doubt(at)))
    assert (await here.sync()).adopted == 0
    await here.store.write(lambda tx: tx.intents.close("op-1"))
    assert (await here.sync()).adopted == 1


def in_doubt(at: datetime) -> Intent:
    """Return a create of a goal whose reply never came."""
    return Intent(
        id="op-1",
        connection="ehr-main",
        plan_id=PLAN,
        kind="Goal",
        local_id="g-lost",
        method="create",
        resource_id=None,
        etag=None,
        units={},
        body='{"resourceType":"Goal","description":{"text":"lost"}}',
        body_hash="x",
        opened_at=at,
        sent_at=at,
        fence=1,
    )


async def test_a_kept_preview_files_what_it_names(here: World) -> None:
    """The plan begins by the file too, and a goal that came later is left for the next run."""
    await started(here)
    born(here, listed=False)
    marks = Marks(here.store.store.installation)
    noted = Noted(marks)
    await here.runner().preview(noted=noted)
    only = only_of(noted.as_json(), marks)
    assert only is not None
    born(here, listed=False, description={"text": "Eat something green"})
    counts = await replace(here.runner(), only=only).sync()
    assert (counts.adopted, [one.text for one in await filed(here)]) == (1, [WORDS])
    assert only.left() == []
    assert (await here.sync()).adopted == 1


async def test_where_changes_are_asked_for_it_is_found_too() -> None:
    """A goal born there marks the client's plans; one that changed marks the unfiled one."""
    with world(scope="all", changes="instant") as here:
        await started(here)
        await here.sync()
        resource_id = born(here, listed=False)
        assert (await here.sync()).adopted == 1
        await here.sync()
        assert (await here.sync()).read == 0
        await reword(here, resource_id, "Walk to the garden")
        assert (await here.sync()).pulled == 1


async def test_one_that_is_gone_or_marked_as_an_error_there_is_told(here: World) -> None:
    """It stays here; a person ends it."""
    await started(here)
    resource_id = born(here, listed=False)
    await here.sync()
    here.change("Goal", resource_id, lambda tree: tree.update(lifecycleStatus="entered-in-error"))
    await here.sync()
    [goal] = await filed(here)
    assert await here.inbox() == [("void", goal.id, None)]
    assert text_of(here.goals()[WORDS]) == WORDS


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "categories"},
        {"scope": "all", "scope_categories": ["dietary"]},
        {"scope": "categories", "scope_categories": ["two words"]},
        {"scope": "categories", "scope_categories": ["a|b|c"]},
    ],
)
def test_categories_belong_to_that_scope_alone(wrong: dict[str, Any]) -> None:
    """The error names the field, never its value."""
    with pytest.raises(ConfigurationError, match=r"\$\.scope_categories") as error:
        config_of({"base_url": BASE, **wrong})
    assert "dietary" not in str(error.value)
