"""A person settles what waits: what then stands on both sides, and how long the decision holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.errors import Outdated, Refused
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.fhir.http import Http
from fhirgoals.store.inbox import Item
from fhirgoals.sync.resolve import Choice, Resolved, resolve, resolve_all
from tests.sync.test_run import PLAN, SLEEP, SOCIAL, put_priority, quiet
from tests.sync.world import World, example, world

THERAPIST, SUPERVISOR, CLIENT = "staff-7", "staff-2", "client-101"
MOOD = "Recover from the current depressive episode and feel interested in daily life again"
RESILIENCE = "Recognise early signs of a new episode and act on a written plan within one week"
EMPTY = "Understand what feeds the lasting dissatisfaction behind an outwardly successful life"

KEPT = ("g-mood", "g-resilience", "g-social", "g-sleep", "g-explore-empty")


def five_goals() -> Plan:
    """Return the example with five of its goals, so that a world is made in a moment."""
    plan = example("01")
    goals = [
        msgspec.structs.replace(
            goal,
            predecessors=tuple(one for one in goal.predecessors if one in KEPT),
            replaced_by=goal.replaced_by if goal.replaced_by in KEPT else None,
        )
        for goal in plan.goals
        if goal.id in KEPT
    ]
    return msgspec.structs.replace(plan, goals=tuple(goals), interventions=())


async def started(one: World) -> Plan:
    """Load the plan, link its people and push it."""
    plan = five_goals()
    await one.add_connection()
    await one.put(plan)
    await one.know_people(plan)
    assert (await one.sync()).created == len(KEPT) + 1
    assert await one.inbox() == []
    return plan


@pytest.fixture
def here() -> Iterator[World]:
    with world() as one:
        yield one


async def open_items(one: World, connection: str | None = None) -> tuple[Item, ...]:
    return await one.store.read(lambda tx: tx.inbox.list(connection=connection))


async def the_item(one: World, connection: str | None = None) -> Item:
    [item] = await open_items(one, connection)
    return item


async def settled(one: World, item: Item, take: str, by: str = THERAPIST, **more: object) -> Resolved:
    choice = Choice(take=take, by=by, at=one.clock(), **more)  # type: ignore[arg-type]
    installation = one.store.store.installation

    def work(tx):  # type: ignore[no-untyped-def]
        names = frozenset(each.name for each in tx.connections.list())
        return resolve(tx, installation, item.id, choice, names)

    return await one.store.write(work)


async def refused(one: World, item: Item, take: str, by: str = THERAPIST, **more: object) -> str:
    """Return the sentence of a refusal; nothing was changed by it."""
    before = await standing(one)
    with pytest.raises(Refused) as error:
        await settled(one, item, take, by, **more)
    assert await standing(one) == before
    return str(error.value)


async def standing(one: World) -> object:
    """Return everything of ours that a decision could change."""

    def look(tx):  # type: ignore[no-untyped-def]
        names = [each.name for each in tx.connections.list()]
        bases = [sorted(tx.bases.for_plan(name, PLAN).items(), key=str) for name in names]
        stored = tx.plans.get(PLAN)
        audit = [row for row in tx.audit.list() if row.action == "inbox_resolve"]
        return stored, bases, tx.inbox.list(open_only=False), len(audit)

    return await one.store.read(look)


def due(day: str) -> Callable[[dict[str, Tree]], None]:
    def edit(tree: dict[str, Tree]) -> None:
        next(one for one in tree["target"] if one.get("id") == "due")["dueDate"] = day

    return edit


def due_there(one: World, text: str = SOCIAL) -> Tree:
    return next(each for each in one.goals()[text]["target"] if each.get("id") == "due")["dueDate"]


def change(one: World, text: str, edit: Callable[[dict[str, Tree]], None]) -> None:
    one.change("Goal", str(one.goals()[text]["id"]), edit)


async def clashed(one: World) -> Item:
    """Let both sides change the day of one goal: 18 January here, 31 December there, 14 December before."""
    await started(one)
    await one.edit(PLAN, "g-social", target_date=date(2027, 1, 18))
    change(one, SOCIAL, due("2026-12-31"))
    await one.sync()
    return await the_item(one)


async def day_here(one: World) -> date:
    day = (await one.plan(PLAN)).goal("g-social").target_date
    assert isinstance(day, date)
    return day


# -- a conflict --------------------------------------------------------------------------------------------------------


async def test_ours_goes_out_with_the_next_run(here: World) -> None:
    """One write, both sides ours, the item closed with who and both values; the run after it writes nothing."""
    item = await clashed(here)
    done = await settled(here, item, "ours", words="agreed on the phone")
    assert (done.rev, done.sends) == (None, True)
    assert await here.inbox() == []
    counts = await here.sync()
    assert (counts.writes, counts.pulled, counts.conflicts) == (1, 0, 0)
    assert due_there(here) == "2027-01-18"
    assert await day_here(here) == date(2027, 1, 18)
    assert await here.inbox() == []
    await quiet(here)
    closed = await here.store.read(lambda tx: tx.inbox.show(item.id))
    assert closed is not None
    assert (closed.closed_by, closed.close_reason) == (THERAPIST, "ours: agreed on the phone")
    assert (closed.ours, closed.theirs) == ("2027-01-18", "2026-12-31")
    [row] = [row for row in await here.store.read(lambda tx: tx.audit.list()) if row.action == "inbox_resolve"]
    assert (row.actor, row.connection, row.plan_id) == (THERAPIST, "ehr-main", PLAN)
    assert row.detail == {"item": item.id, "take": "ours", "field": "target_date", "rev": None}


async def test_theirs_becomes_a_revision_by_the_person_and_is_not_sent_back(here: World) -> None:
    """Our record has their day, by the therapist, of that EHR's origin, with the reason; no run writes anything."""
    item = await clashed(here)
    before = (await here.store.read(lambda tx: tx.plans.get(PLAN))).rev  # type: ignore[union-attr]
    done = await settled(here, item, "theirs", words="the clinic is right")
    assert (done.rev, done.sends) == (before + 1, False)
    assert await day_here(here) == date(2026, 12, 31)
    last = (await here.store.read(lambda tx: tx.plans.revisions(PLAN)))[-1]
    assert (last.by, last.reason, last.origin) == (THERAPIST, "external_edit", "ehr-main")
    assert last.summary == "the clinic is right"
    assert [(unit.name, *values) for unit, values in last.touched.items()] == [
        ("target_date", "2027-01-18", "2026-12-31")
    ]
    assert await here.inbox() == []
    counts = await here.sync()
    assert (counts.writes, counts.pulled) == (0, 0)
    assert await here.inbox() == []
    await quiet(here)


async def test_another_value_is_the_persons_own_and_goes_out(here: World) -> None:
    """A third day stands on both sides after one write, of no EHR's origin."""
    item = await clashed(here)
    done = await settled(here, item, "value", value="2027-01-08", because="client_request")
    assert done.sends
    last = (await here.store.read(lambda tx: tx.plans.revisions(PLAN)))[-1]
    assert (last.by, last.reason, last.origin) == (THERAPIST, "client_request", None)
    assert (await here.sync()).writes == 1
    assert due_there(here) == "2027-01-08"
    assert await day_here(here) == date(2027, 1, 8)
    assert await here.inbox() == []
    await quiet(here)


@pytest.mark.parametrize(("value", "take"), [("2026-12-31", "theirs"), ("2027-01-18", "ours")])
async def test_a_value_that_one_side_has_is_that_side(here: World, value: str, take: str) -> None:
    """Naming a value that stands on one side already is taking that side: no revision says what is so."""
    item = await clashed(here)
    assert (await settled(here, item, "value", value=value)).take == take
    await here.sync()
    assert due_there(here) == value
    assert await day_here(here) == date.fromisoformat(value)
    assert await here.inbox() == []
    await quiet(here)


@pytest.mark.parametrize("take", ["ours", "theirs", "value"])
async def test_a_further_edit_there_asks_again(here: World, take: str) -> None:
    """The EHR moves between the decision and the run: a new item shows the new value, nothing is overwritten."""
    item = await clashed(here)
    await settled(here, item, take, value="2027-01-08" if take == "value" else None)
    change(here, SOCIAL, due("2027-02-01"))
    counts = await here.sync()
    assert (counts.writes, counts.pulled) == (0, 0)
    again = await the_item(here)
    assert again.kind == ("proposal" if take == "theirs" else "conflict")
    assert (again.theirs, again.ours) == (
        "2027-02-01",
        {"ours": "2027-01-18", "theirs": "2026-12-31", "value": "2027-01-08"}[take],
    )
    await quiet(here)


async def test_there_and_back_at_the_ehr_keeps_the_decision(here: World) -> None:
    """The EHR's value moves and comes back before the run: both values stand, so the decision does too."""
    item = await clashed(here)
    await settled(here, item, "ours")
    change(here, SOCIAL, due("2027-02-01"))
    change(here, SOCIAL, due("2026-12-31"))
    assert (await here.sync()).writes == 1
    assert due_there(here) == "2027-01-18"
    assert await here.inbox() == []
    await quiet(here)


async def test_a_later_edit_here_goes_out_instead(here: World) -> None:
    """Ours was taken and then changed again before the run: what goes out is the last of ours."""
    item = await clashed(here)
    await settled(here, item, "ours")
    await here.edit(PLAN, "g-social", target_date=date(2027, 3, 1))
    assert (await here.sync()).writes == 1
    assert due_there(here) == "2027-03-01"
    assert await here.inbox() == []
    await quiet(here)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("take", ["ours", "theirs"])
async def test_what_is_decided_while_a_run_is_under_way_is_not_asked_again(here: World, take: str) -> None:
    """The run read both sides before the decision and ends after it: the item stays closed, the decision holds."""
    item = await clashed(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    decided: list[Resolved] = []

    async def deciding(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "PUT" and not decided:
            decided.append(await settled(here, item, take))
        await here.sandbox.app(scope, receive, send)

    here.http = Http(app=deciding)
    with suppress(Outdated):  # a decision that is a revision of ours ends the run
        await here.sync()
    assert len(decided) == 1
    assert await here.inbox() == []
    await here.sync()
    day = "2027-01-18" if take == "ours" else "2026-12-31"
    assert (due_there(here), str(await day_here(here))) == (day, day)
    assert await here.inbox() == []
    await quiet(here)


async def test_a_side_that_moved_since_is_refused(here: World) -> None:
    """Our value changed after the question: nothing is decided on what the person did not see."""
    item = await clashed(here)
    await here.edit(PLAN, "g-social", target_date=date(2027, 3, 1))
    assert "run `fhirgoals sync`" in await refused(here, item, "theirs")


async def test_an_ehr_that_moved_since_is_refused(here: World) -> None:
    """The EHR's value, as another run of another item has read it, is not the one that was asked about."""
    item = await clashed(here)
    change(here, SOCIAL, due("2027-02-01"))
    await here.sync()
    new = await the_item(here)
    assert "closed already" in await refused(here, item, "ours")

    def reopened(tx) -> None:  # type: ignore[no-untyped-def]
        tx.inbox.close(new.id, at=here.clock(), reason="test", by=None)
        tx.inbox.raise_(item)

    await here.store.write(reopened)
    assert "either side moved" in await refused(here, await the_item(here), "ours")


async def test_a_supervisor_settles_too_and_is_kept_by_their_own_id(here: World) -> None:
    """The part in the plan names the person; what is kept is the id of the member of staff."""
    item = await clashed(here)
    part = next(one for one in (await here.plan(PLAN)).participants if one.ref == SUPERVISOR)
    await settled(here, item, "theirs", part.id)
    assert (await here.store.read(lambda tx: tx.plans.revisions(PLAN)))[-1].by == SUPERVISOR


async def test_what_is_no_choice_says_what_to_do(here: World) -> None:
    """A field that can't be read there is not taken: the refusal says that it is mended at the EHR."""
    await started(here)
    change(here, SLEEP, lambda tree: tree.update(description={"text": 7}))
    await here.sync()
    text = await refused(here, await the_item(here), "ours")
    assert "is not settled by a choice of values" in text
    assert "the next sync closes it" in text


# -- proposals ---------------------------------------------------------------------------------------------------------


async def closure_proposed(one: World) -> Item:
    await started(one)
    change(one, SOCIAL, lambda tree: tree.update(lifecycleStatus="completed"))
    await one.sync()
    return await the_item(one)


CLOSED = {"closure_reason": "achieved", "achievement": "achieved", "status_date": "2026-11-06"}


async def test_a_closure_is_confirmed_with_its_reason_by_a_therapist(here: World) -> None:
    """The EHR does not say why: the rule asks for it, the therapist completes their value, and both sides have it."""
    item = await closure_proposed(here)
    assert "primary therapist" in await refused(here, item, "theirs", CLIENT, value=CLOSED)
    text = await refused(here, item, "theirs")
    assert "A completed goal needs a closure reason; nothing was changed: complete it with --with" in text
    await settled(here, item, "theirs", value=CLOSED)
    goal = (await here.plan(PLAN)).goal("g-social")
    assert (goal.lifecycle, goal.closure_reason, goal.achievement) == ("completed", "achieved", "achieved")
    assert (await here.sync()).writes == 1
    assert here.goals()[SOCIAL]["statusDate"] == "2026-11-06"
    assert await here.inbox() == []
    await quiet(here)


async def test_a_pause_with_its_reason_is_taken_as_it_is(here: World) -> None:
    """What the EHR says is whole: the goal is on hold here too, by the therapist, and nothing is sent."""
    await started(here)
    change(here, SOCIAL, lambda tree: tree.update(lifecycleStatus="on-hold", statusReason="Moving house"))
    await here.sync()
    await settled(here, await the_item(here), "theirs")
    goal = (await here.plan(PLAN)).goal("g-social")
    assert (goal.lifecycle, goal.status_reason) == ("on_hold", "Moving house")
    assert (await here.sync()).writes == 0
    assert await here.inbox() == []
    await quiet(here)


async def test_a_closure_that_is_rejected_is_undone_there(here: World) -> None:
    """Ours was not changed at all: it goes out all the same, and the proposal does not come back."""
    item = await closure_proposed(here)
    assert (await settled(here, item, "ours")).sends
    assert (await here.sync()).writes == 1
    assert here.goals()[SOCIAL]["lifecycleStatus"] == "active"
    assert (await here.plan(PLAN)).goal("g-social").lifecycle == "active"
    assert await here.inbox() == []
    await quiet(here)


async def test_a_rejected_closure_that_is_repeated_there_is_asked_again(here: World) -> None:
    """There and back is an edit: the EHR closes the goal once more after ours was sent."""
    item = await closure_proposed(here)
    await settled(here, item, "ours")
    await here.sync()
    change(here, SOCIAL, lambda tree: tree.update(lifecycleStatus="completed"))
    await here.sync()
    again = await the_item(here)
    assert (again.kind, again.theirs) == ("proposal", item.theirs)
    assert again.id != item.id


@pytest.mark.parametrize("take", ["ours", "value"])
async def test_what_is_taken_out_here_after_the_decision_is_taken_out_there(here: World, take: str) -> None:
    """Ours was chosen, and then is no more, as when both last agreed: the EHR's value does not stay for that."""
    await started(here)
    await here.edit(PLAN, "g-sleep", priority=None)
    await here.sync()
    await here.edit(PLAN, "g-sleep", priority="high")
    change(here, SLEEP, lambda tree: put_priority(tree, "low"))
    await here.sync()
    await settled(here, await the_item(here), take, **({"value": None} if take == "value" else {}))
    await here.edit(PLAN, "g-sleep", priority=None)
    await here.sync()
    assert "priority" not in here.goals()[SLEEP]
    await quiet(here)


async def test_of_two_notes_born_there_the_other_one_stays_a_question() -> None:
    """One is not wanted and taken out again; the one that is left is not taken for it, whoever signed them."""
    with world(policy={"note:<id>": ["propose", "ask"]}) as here:
        await started(here)
        born: list[Tree] = [{"authorString": "A nurse", "text": f"{word} on the ward"} for word in ("First", "Second")]
        change(here, SLEEP, lambda tree: tree.update(note=[*tree.get("note", []), *born]))
        await here.sync()
        first, second = sorted(await open_items(here), key=lambda one: str(one.theirs))
        await settled(here, second, "ours")
        await here.sync()
        assert "First" in str(here.goals()[SLEEP]["note"])
        assert "Second" not in str(here.goals()[SLEEP]["note"])
        assert [one.unit for one in await open_items(here)] == [first.unit]
        await quiet(here)


async def note_removed(one: World) -> Item:
    await started(one)
    change(one, MOOD, lambda tree: tree.update(note=tree["note"][1:]))
    await one.sync()
    item = await the_item(one)
    assert item.theirs is None
    assert str(item.unit).startswith("note:")
    return item


async def test_a_removed_note_is_put_back_or_taken_out_here(here: World) -> None:
    """Ours: it stands there again, as it was."""
    item = await note_removed(here)
    notes = len(here.goals()[MOOD].get("note", []))
    await settled(here, item, "ours")
    assert (await here.sync()).writes == 1
    assert len(here.goals()[MOOD]["note"]) == notes + 1
    assert await here.inbox() == []
    await quiet(here)


async def test_a_removal_that_is_taken_removes_it_here(here: World) -> None:
    """Theirs: our record has the note no longer; its text stays in the history and in the closed item."""
    item = await note_removed(here)
    await settled(here, item, "theirs")
    member = str(item.unit).partition(":")[2]
    goal = (await here.plan(PLAN)).goal("g-mood")
    assert member not in {one.id for one in (*goal.progress, *goal.achievements)}
    assert (await here.sync()).writes == 0
    assert await here.inbox() == []
    await quiet(here)
    closed = await here.store.read(lambda tx: tx.inbox.show(item.id))
    assert closed is not None
    assert closed.ours == item.ours


async def target_added(one: World) -> Item:
    await started(one)
    new = {"measure": {"text": "Steps a day"}, "detailQuantity": {"value": 4000, "comparator": ">="}, "id": "t-ehr"}
    change(one, SLEEP, lambda tree: tree.update(target=[*tree.get("target", []), new]))
    await one.sync()
    item = await the_item(one)
    assert (item.ours, item.base) == (None, None)
    return item


async def test_an_addition_that_is_taken_stands_on_both_sides(here: World) -> None:
    """A target added at the EHR becomes one of ours, and nothing is sent."""
    item = await target_added(here)
    before = len((await here.plan(PLAN)).goal("g-sleep").targets)
    await settled(here, item, "theirs")
    assert len((await here.plan(PLAN)).goal("g-sleep").targets) == before + 1
    assert (await here.sync()).writes == 0
    assert await here.inbox() == []
    await quiet(here)


async def test_an_addition_that_is_rejected_is_taken_out_there(here: World) -> None:
    """Ours has no such target: the EHR has it no longer after the next run, and the item keeps it."""
    item = await target_added(here)
    assert (await settled(here, item, "ours")).sends
    assert (await here.sync()).writes == 1
    assert all(one.get("id") != "t-ehr" for one in here.goals()[SLEEP].get("target", []))
    assert await here.inbox() == []
    await quiet(here)


async def step_added(one: World) -> Item:
    await started(one)
    goal = one.goals()[SLEEP]
    detail = {
        "kind": "Task",
        "status": "not-started",
        "description": "Bring a list of medicines",
        "goal": [{"reference": f"Goal/{goal['id']}"}],
    }
    [care_plan] = one.care_plans()
    one.change(
        "CarePlan",
        str(care_plan["id"]),
        lambda tree: tree.update(activity=[*tree["activity"], {"detail": detail}]),
    )
    await one.sync()
    return await the_item(one)


async def test_a_step_that_is_taken_comes_with_its_parts(here: World) -> None:
    """One decision brings the step with its words and state; the run afterwards asks nothing."""
    item = await step_added(here)
    await settled(here, item, "theirs")
    step = (await here.plan(PLAN)).goal("g-sleep").steps[-1]
    assert (step.text, step.status) == ("Bring a list of medicines", "planned")
    await here.sync()
    assert await here.inbox() == []
    await quiet(here)
    [care_plan] = here.care_plans()
    words = [one["detail"]["description"] for one in care_plan["activity"]]
    assert words.count("Bring a list of medicines") == 1


async def test_a_step_that_is_rejected_is_taken_out_there(here: World) -> None:
    """Its activity is gone after the next run; all others stand as they did."""
    item = await step_added(here)
    [care_plan] = here.care_plans()
    before = [one["detail"]["description"] for one in care_plan["activity"]]
    await settled(here, item, "ours")
    await here.sync()
    [care_plan] = here.care_plans()
    assert [one["detail"]["description"] for one in care_plan["activity"]] == before[:-1]
    assert await here.inbox() == []
    await quiet(here)


async def step_removed(one: World) -> Item:
    await started(one)
    [care_plan] = one.care_plans()
    one.change("CarePlan", str(care_plan["id"]), lambda tree: tree.update(activity=tree["activity"][1:]))
    await one.sync()
    return await the_item(one)


@pytest.mark.parametrize("take", ["ours", "theirs"])
async def test_a_removed_step_is_put_back_whole_or_voided_here(here: World, take: str) -> None:
    """Ours: the activity stands there again with all its parts. Theirs: the step is entered in error, not dropped."""
    item = await step_removed(here)
    [care_plan] = here.care_plans()
    before = len(care_plan["activity"])
    await settled(here, item, take)
    await here.sync()
    [care_plan] = here.care_plans()
    assert len(care_plan["activity"]) == before + (take == "ours")
    member = str(item.unit).partition(":")[2]
    [step] = [step for goal in (await here.plan(PLAN)).goals for step in goal.steps if step.id == member]
    assert (step.status == "entered_in_error") == (take == "theirs")
    assert await here.inbox() == []
    await quiet(here)


# -- the tree ----------------------------------------------------------------------------------------------------------


def milestone(one: World, child: str, kind: str = "milestone") -> Tree:
    code = {"system": "http://terminology.hl7.org/CodeSystem/goal-relationship-type", "code": kind}
    return {
        "url": "http://hl7.org/fhir/StructureDefinition/goal-relationship",
        "extension": [
            {"url": "type", "valueCodeableConcept": {"coding": [code]}},
            {"url": "target", "valueReference": {"reference": f"Goal/{one.goals()[child]['id']}"}},
        ],
    }


async def second_parent(one: World) -> Item:
    await started(one)
    edge = milestone(one, SOCIAL)
    change(one, RESILIENCE, lambda tree: tree.update(extension=[*tree.get("extension", []), edge]))
    for _ in range(2):  # the tree is judged when two readings agree on it
        await one.sync()
        one.now += timedelta(minutes=10)
    items = [item for item in await open_items(one) if item.unit == "parent_map:g-social"]
    assert len(items) == 1
    return items[0]


async def test_a_second_parent_is_taken_away_again(here: World) -> None:
    """Ours: the child has one parent there after the next run."""
    item = await second_parent(here)
    await settled(here, item, "ours")
    await here.sync()
    await here.sync()
    child = f"Goal/{here.goals()[SOCIAL]['id']}"
    assert child not in msgspec.json.encode(here.goals()[RESILIENCE], enc_hook=str).decode()
    assert child in msgspec.json.encode(here.goals()[MOOD], enc_hook=str).decode()
    assert await here.inbox() == []
    await quiet(here)


async def test_two_parents_can_not_be_taken(here: World) -> None:
    """Our tree has one parent for each goal: the refusal says what can be done, and another parent can be given."""
    item = await second_parent(here)
    assert "no place" in await refused(here, item, "theirs")
    await settled(here, item, "value", value=["g-resilience"])
    await here.sync()
    await here.sync()
    assert (await here.plan(PLAN)).goal("g-social").parent == "g-resilience"
    child = f"Goal/{here.goals()[SOCIAL]['id']}"
    assert child not in msgspec.json.encode(here.goals()[MOOD], enc_hook=str).decode()
    assert await here.inbox() == []
    await quiet(here)


# -- two EHRs ----------------------------------------------------------------------------------------------------------


async def two_connected(first: World, second: World) -> Plan:
    """Start both worlds on one store: the second EHR is another sandbox under another name."""
    plan = await started(first)
    second.store.close()
    second.store, second.connection, second.ids = first.store, "ehr-b", first.ids
    await second.add_connection()
    consents = tuple(
        msgspec.structs.replace(one, id=f"{one.id}-b", endpoint="ehr-b")
        for one in plan.disclosure.consents
        if one.endpoint == "ehr-main"
    )
    disclosure = msgspec.structs.replace(plan.disclosure, consents=(*plan.disclosure.consents, *consents))
    plan = msgspec.structs.replace(plan, disclosure=disclosure)
    await first.put(plan)
    await first.sync()
    await second.know_people(plan)
    assert (await second.sync()).created == len(KEPT) + 1
    return plan


@pytest.mark.parametrize("shared", [False, True], ids=["by default", "where its origin is shared"])
async def test_what_was_taken_from_one_ehr_reaches_another_only_by_its_rules(shared: bool) -> None:
    """Theirs at A is of A's origin: B is told of it only where B's disclosure covers A; else an edit at B asks."""
    with world() as first, world(share_origins=("ehr-main",) if shared else ()) as second:
        await two_connected(first, second)
        change(first, SOCIAL, due("2026-12-31"))
        await first.sync()
        await settled(first, await the_item(first, "ehr-main"), "theirs")
        await first.sync()
        counts = await second.sync()
        assert counts.writes == (1 if shared else 0)
        assert due_there(second) == ("2026-12-31" if shared else "2026-12-14")
        await quiet(first)
        await quiet(second)
        if not shared:
            change(second, SOCIAL, due("2027-02-01"))
            await second.sync()
            item = await the_item(second, "ehr-b")
            assert (item.kind, item.ours, item.theirs) == ("conflict", "2026-12-31", "2027-02-01")
            assert not (await settled(second, item, "ours")).sends
            assert (await second.sync()).writes == 0
            assert await second.inbox() == []
            await quiet(second)


async def test_what_two_ehrs_wrote_alike_goes_on_from_us_to_both() -> None:
    """The first EHR's value came to us and not to the second, which wrote the same: what we make of it goes to both."""
    policy = {"relations": ["auto", "ask"]}
    with world(policy=policy) as first, world(policy=policy) as second:
        await two_connected(first, second)
        before = (await first.plan(PLAN)).goal("g-resilience").predecessors
        for one in (first, second):
            edge = milestone(one, SOCIAL, "predecessor")
            change(one, RESILIENCE, lambda tree: tree.update(extension=[*tree["extension"], edge]))  # noqa: B023
            await first.sync()
            await second.sync()
        assert (await first.plan(PLAN)).goal("g-resilience").predecessors == (*before, "g-social")
        await first.edit(PLAN, "g-resilience", predecessors=before)
        for one in (first, second):
            await one.sync()
            earlier = f"Goal/{one.goals()[SOCIAL]['id']}"
            assert earlier not in msgspec.json.encode(one.goals()[RESILIENCE], enc_hook=str).decode()
            assert await one.inbox() == []
            await quiet(one)


async def test_a_value_given_at_one_ehr_goes_to_both() -> None:
    """Another value is the practice's own: both EHRs get it."""
    with world() as first, world() as second:
        await two_connected(first, second)
        change(first, SOCIAL, due("2026-12-31"))
        await first.sync()
        await settled(first, await the_item(first, "ehr-main"), "value", value="2027-01-08")
        assert [(await one.sync()).writes for one in (first, second)] == [1, 1]
        assert [due_there(one) for one in (first, second)] == ["2027-01-08", "2027-01-08"]
        await quiet(first)
        await quiet(second)


# -- many at once ------------------------------------------------------------------------------------------------------


async def test_many_are_settled_one_by_one_and_a_refusal_stops_no_other(here: World) -> None:
    """Of three days one was changed here since: that one is refused by name, the others are taken."""
    await started(here)
    for text in (SOCIAL, SLEEP, EMPTY):
        change(here, text, due("2027-02-01"))
    await here.sync()
    items = await open_items(here)
    assert len(items) == 3
    await here.edit(PLAN, "g-sleep", target_date=date(2027, 3, 1))
    choice = Choice(take="theirs", by=THERAPIST, at=here.clock())
    store = here.store.store
    done, left = resolve_all(store, [item.id for item in items], choice, frozenset({"ehr-main"}))
    [refused_item] = [item for item in items if item.owner == "g-sleep"]
    assert set(left) == {refused_item.id}
    assert "either side moved" in left[refused_item.id]
    assert {one.unit.owner for one in done} == {"g-social", "g-explore-empty"}
    await here.sync()
    assert [(kind, owner) for kind, owner, _ in await here.inbox()] == [("conflict", "g-sleep")]
