"""Whole runs against the sandbox: what therapists and EHR users do, and what stands on both sides afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Plan, Step, Withheld
from fhirgoals.fhir.exact_json import Tree, dumps
from fhirgoals.fhir.rest.outcome import Declined
from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.sandbox.knobs import Asked, Knobs
from tests.sync.world import World, example, text_of, world

PLAN = "plan-dep-01"
SLEEP = "Be out of bed by 07:00 on at least six days a week for three weeks"
SOCIAL = "See a friend in person once a week and answer messages within two days"


@pytest.fixture
def here() -> Iterator[World]:
    with world() as one:
        yield one


async def started(one: World, name: str = "01") -> Plan:
    """Load a plan, link its people and push it."""
    plan = example(name)
    await one.add_connection()
    await one.put(plan)
    await one.know_people(plan)
    counts = await one.sync()
    assert counts.unanswered == []
    assert await one.inbox() == []
    return plan


async def quiet(one: World) -> None:
    """Show that a further run writes nothing and still finds nothing that waits anew."""
    before = await one.inbox()
    counts = await one.sync()
    assert (counts.writes, counts.pulled, counts.new_items) == (0, 0, 0)
    assert await one.inbox() == before


def put_priority(tree: dict[str, Tree], code: str) -> None:
    system = "http://terminology.hl7.org/CodeSystem/goal-priority"
    tree["priority"] = {"coding": [{"system": system, "code": f"{code}-priority"}]}


async def test_a_plan_arrives_whole_and_a_second_run_is_quiet(here: World) -> None:
    """Fourteen of fifteen goals and one CarePlan are created, each by one write; then nothing is left to do."""
    await started(here)
    assert len(here.goals()) == 14
    [care_plan] = here.care_plans()
    listed = [goal["reference"] for goal in care_plan["goal"]]
    assert len(listed) == len(set(listed)) == 14
    assert len(care_plan["activity"]) == 27 + 4
    await quiet(here)


async def test_an_edit_here_changes_only_that_field_there(here: World) -> None:
    """One text pushed leaves every other byte of the resource as it was, server-set meta apart."""
    await started(here)
    before = here.goals()[SLEEP]
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    counts = await here.sync()
    after = here.goals()["Up by seven"]
    assert counts.writes == 1
    assert {**after, "meta": None, "description": None} == {**before, "meta": None, "description": None}
    await quiet(here)


async def test_an_edit_there_is_taken_or_proposed_by_policy(here: World) -> None:
    """A priority is taken and kept as a revision of that EHR; a closure waits and both sides stay as they are."""
    await started(here)
    goal = here.goals()[SLEEP]
    here.change("Goal", str(goal["id"]), lambda tree: put_priority(tree, "low"))
    here.change("Goal", str(here.goals()[SOCIAL]["id"]), lambda tree: tree.update(lifecycleStatus="completed"))
    counts = await here.sync()
    assert (counts.pulled, counts.proposals, counts.writes) == (1, 1, 0)
    plan = await here.plan(PLAN)
    assert plan.goal("g-sleep").priority == "low"
    assert plan.goal("g-social").lifecycle == "active"
    assert await here.inbox() == [("proposal", "g-social", "status")]
    revisions = await here.store.read(lambda tx: tx.plans.revisions(PLAN))
    assert (revisions[-1].origin, revisions[-1].reason) == ("ehr-main", "external_edit")
    await quiet(here)


async def test_edits_of_different_fields_are_both_kept(here: World) -> None:
    """Our text and their priority of one goal end up on both sides."""
    await started(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    here.change("Goal", str(here.goals()[SLEEP]["id"]), lambda tree: put_priority(tree, "medium"))
    await here.sync()
    goal = (await here.plan(PLAN)).goal("g-sleep")
    assert (goal.text, goal.priority) == ("Up by seven", "medium")
    assert here.goals()["Up by seven"]["priority"]["coding"][0]["code"] == "medium-priority"
    await quiet(here)


async def test_edits_of_one_field_on_both_sides_wait_and_the_rest_goes_through(here: World) -> None:
    """A clash keeps both values where they are, as one item; other fields of the goal are pushed all the same."""
    await started(here)

    def due(tree: dict[str, Tree]) -> None:
        next(one for one in tree["target"] if one.get("id") == "due")["dueDate"] = "2026-12-31"

    await here.edit(PLAN, "g-social", target_date=date(2027, 1, 18), priority="low")
    here.change("Goal", str(here.goals()[SOCIAL]["id"]), due)
    counts = await here.sync()
    assert (counts.conflicts, counts.pushed) == (1, 1)
    assert await here.inbox() == [("conflict", "g-social", "target_date")]
    [item] = await here.store.read(lambda tx: tx.inbox.list(open_only=True))
    assert (item.base, item.ours, item.theirs) == ("2026-12-14", "2027-01-18", "2026-12-31")
    there = here.goals()[SOCIAL]
    assert there["priority"]["coding"][0]["code"] == "low-priority"
    assert next(one for one in there["target"] if one.get("id") == "due")["dueDate"] == "2026-12-31"
    assert (await here.plan(PLAN)).goal("g-social").target_date == date(2027, 1, 18)
    await quiet(here)
    await here.edit(PLAN, "g-social", target_date=date(2026, 12, 31))
    await here.sync()
    assert await here.inbox() == []  # its cause is gone: both say the same now
    await quiet(here)


async def test_what_the_ehr_wrote_after_our_edit_is_not_agreed_on_with_what_we_said_before(here: World) -> None:
    """The run read our record, we took our edit back, the EHR wrote the same as it: a clash, not equal values."""
    plan = await started(here)
    goal_id = here.goals()[SLEEP]["id"]
    assert isinstance(goal_id, str)
    first = plan.goal("g-sleep").priority
    await here.edit(PLAN, "g-sleep", priority="low")
    plain = here.http

    class Meanwhile:
        async def send(self, request: Request) -> Any:
            if "/Goal?" in request.url:
                here.http = plain
                self.send = plain.send  # type: ignore[method-assign]
                await here.edit(PLAN, "g-sleep", priority=first)
                here.change("Goal", goal_id, lambda tree: put_priority(tree, "low"))
            return await plain.send(request)

    here.http = Meanwhile()  # type: ignore[assignment]
    counts = await here.sync()
    assert (counts.unanswered, counts.conflicts) == ([], 1)
    assert await here.inbox() == [("conflict", "g-sleep", "priority")]
    assert (await here.plan(PLAN)).goal("g-sleep").priority == first
    assert b"low-priority" in dumps(here.goals()[SLEEP])
    await quiet(here)


async def test_a_note_from_the_ehr_becomes_a_shared_entry_and_goes_back_only_there(here: World) -> None:
    """An inbound note is kept with its author in words and its origin, and is not written back."""
    await started(here)

    def note(tree: dict[str, Tree]) -> None:
        tree["note"] = [
            *tree.get("note", []),
            {"authorString": "A nurse", "time": "2026-11-06T10:22:00Z", "text": "Asked for soap"},
        ]

    here.change("Goal", str(here.goals()[SLEEP]["id"]), note)
    counts = await here.sync()
    assert (counts.pulled, counts.writes) == (1, 0)
    entry = (await here.plan(PLAN)).goal("g-sleep").progress[-1]
    assert (entry.text, entry.author_text, entry.visibility) == ("Asked for soap", "A nurse", "shared")
    assert entry.origin is not None
    assert entry.origin.system == "ehr-main"
    await quiet(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await here.sync()
    assert here.goals()["Up by seven"]["note"][-1]["time"] == "2026-11-06T10:22:00Z"
    await quiet(here)


async def test_what_we_do_not_understand_survives_our_edit(here: World) -> None:
    """A foreign extension with 7.10, an unknown contained resource and a modified note element stay byte for byte."""
    await started(here)

    def foreign(tree: dict[str, Tree]) -> None:
        tree["extension"] = [*tree["extension"], {"url": "https://ehr.example/score", "valueDecimal": Decimal("7.10")}]
        tree["contained"] = [{"resourceType": "Basic", "id": "x", "code": {"text": "?"}}]

    here.change("Goal", str(here.goals()[SLEEP]["id"]), foreign)
    assert (await here.sync()).writes == 0
    await here.edit(PLAN, "g-sleep", priority="low")
    await here.sync()
    after = here.goals()[SLEEP]
    assert str(after["extension"][-1]["valueDecimal"]) == "7.10"
    assert after["contained"] == [{"resourceType": "Basic", "id": "x", "code": {"text": "?"}}]
    await quiet(here)


async def test_a_create_whose_reply_is_lost_is_found_again(here: World) -> None:
    """The server stored the goal and the reply never came: the same run links it; there is one, not two."""
    plan = await started(here)
    new = msgspec.structs.replace(
        plan.goal("g-social"),
        id="g-new",
        text="A new goal",
        steps=(Step(id="st-new", n=1, text="One", status="planned"),),
    )

    def lost(asked: Asked) -> bool:
        return asked.method == "POST" and asked.path.endswith("/Goal")

    here.sandbox.knobs = Knobs(lose_reply=lost)
    await here.put(msgspec.structs.replace(plan, goals=(*plan.goals, new)))
    await here.sync()
    assert [text_of(goal) for goal in here.sandbox.storage.resources("Goal")].count("A new goal") == 1
    links = await here.store.read(lambda tx: tx.links.for_plan("ehr-main", PLAN))
    assert "g-new" in {link.local_id for link in links}
    assert len(here.care_plans()[0]["goal"]) == 15
    await quiet(here)


async def test_an_update_whose_reply_is_lost_is_recognised(here: World) -> None:
    """Our update landed unseen: the next look knows it by its version, and it is no edit of theirs."""
    await started(here)
    here.sandbox.knobs = Knobs(lose_reply=lambda asked: asked.method == "PUT")
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    counts = await here.sync()
    assert counts.unanswered == []
    assert "Up by seven" in here.goals()
    assert await here.inbox() == []
    assert await here.store.read(lambda tx: tx.intents.all_open("ehr-main")) == ()
    await quiet(here)


async def test_a_goal_moves_to_another_parent_by_removal_first(here: World) -> None:
    """A new parent here takes the milestone from the old parent before the new one gets it; one parent remains."""
    await started(here)
    mood = "Recover from the current depressive episode and feel interested in daily life again"
    resilience = "Recognise early signs of a new episode and act on a written plan within one week"
    await here.edit(PLAN, "g-social", parent="g-resilience")
    counts = await here.sync()
    assert counts.unanswered == []
    child = f"Goal/{here.goals()[SOCIAL]['id']}"

    def milestones(text: str) -> list[str]:
        return [
            part["valueReference"]["reference"]
            for extension in here.goals()[text].get("extension", [])
            if extension["url"].endswith("goal-relationship")
            and extension["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "milestone"
            for part in extension["extension"]
            if part["url"] == "target"
        ]

    assert child not in milestones(mood)
    assert child in milestones(resilience)
    assert await here.inbox() == []
    await quiet(here)


async def test_a_withheld_goal_is_sent_no_more_and_nothing_refers_to_it(here: World) -> None:
    """Withdrawn after it was sent: references from and to it go, its content waits for a person (retract: leave)."""
    plan = await started(here)
    empty = "Understand what feeds the lasting dissatisfaction behind an outwardly successful life"
    gone = f"Goal/{here.goals()[empty]['id']}"
    disclosure = msgspec.structs.replace(plan.disclosure, withheld=(Withheld(target="g-explore-empty"),))
    goals = tuple(
        msgspec.structs.replace(goal, share="withheld") if goal.id == "g-explore-empty" else goal for goal in plan.goals
    )
    await here.put(msgspec.structs.replace(plan, goals=goals, disclosure=disclosure))
    await here.sync()
    others = [*here.care_plans(), *(goal for text, goal in here.goals().items() if text != empty)]
    for one in others:
        assert gone not in msgspec.json.encode(one, enc_hook=str).decode()
    assert await here.inbox() == [("retract", "g-explore-empty", None)]
    await quiet(here)


async def test_a_refused_consent_stops_everything(here: World) -> None:
    """After a refusal nothing is written any more, and one item says that something stands there."""
    plan = await started(here)
    consents = tuple(
        msgspec.structs.replace(one, granted=None, refused=date(2026, 11, 6)) if one.endpoint == "ehr-main" else one
        for one in plan.disclosure.consents
    )
    disclosure = msgspec.structs.replace(plan.disclosure, consents=consents)
    await here.put(msgspec.structs.replace(plan, disclosure=disclosure, title="Another title"))
    counts = await here.sync()
    assert counts.writes == 0
    assert [kind for kind, _, _ in await here.inbox()] == ["retract"]


async def test_a_paused_connection_writes_nothing(here: World) -> None:
    """What is due waits until the connection is armed again; then it goes."""
    await started(here)
    at = here.clock()
    await here.store.write(lambda tx: tx.connections.set_state("ehr-main", "paused", by="it-1", reason="x", at=at))
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    assert (await here.sync()).writes == 0
    await here.store.write(lambda tx: tx.connections.set_state("ehr-main", "armed", by="it-1", reason="x", at=at))
    assert (await here.sync()).writes == 1
    assert "Up by seven" in here.goals()
    await quiet(here)


@pytest.mark.parametrize("knobs", [Knobs(drop_extensions=True), Knobs(cut_text=12), Knobs(no_etag=True)], ids=str)
async def test_a_server_that_keeps_less_is_no_edit(knobs: Knobs) -> None:
    """A server that drops extensions, cuts texts or has no ETag: the plan arrives, and later runs write nothing."""
    with world(knobs) as one:
        await started(one)
        await quiet(one)
        await one.edit(PLAN, "g-sleep", text="Up by seven")
        await one.sync()
        assert any("Up by seven"[:12] == text[:12] for text in one.goals())
        await quiet(one)
        assert await one.inbox() == []


async def test_notes_of_theirs_that_a_server_cuts_at_our_write_are_the_same_notes() -> None:
    """What the EHR's people wrote whole is cut when we send the goal back: our record keeps the whole, once."""
    words = ["Managed it twice this week", "Slept well on all days"]
    with world(Knobs(cut_text=12)) as one:
        await started(one)
        resource_id = str(one.goals()[SLEEP[:12]]["id"])
        notes = [{"authorString": "A nurse", "text": text} for text in words]
        one.change("Goal", resource_id, lambda tree: tree.update(note=[*tree.get("note", []), *notes]))
        await one.sync()
        await one.edit(PLAN, "g-sleep", text="Up by seven")
        await one.sync()
        cut = [str(note["text"]) for note in one.goals()["Up by seven"]["note"]]
        assert [word[:12] for word in words] == cut[-2:]
        await quiet(one)
        [goal] = [goal for goal in (await one.plan(PLAN)).goals if goal.id == "g-sleep"]
        assert await one.inbox() == []
        assert sorted(entry.text for entry in goal.progress if entry.text[:12] in cut[-2:]) == words


async def test_preview_names_what_sync_then_does(here: World) -> None:
    """The operations of a preview are those of the run that follows, and the preview itself writes nothing."""
    plan = example("01")
    await here.add_connection()
    await here.put(plan)
    await here.know_people(plan)
    planned = await here.runner().preview()
    assert here.goals() == {}
    done = await here.sync()
    assert planned.operations == done.operations
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    here.change("Goal", str(here.goals()[SOCIAL]["id"]), lambda tree: put_priority(tree, "low"))
    planned = await here.runner().preview()
    done = await here.sync()
    assert planned.operations == done.operations
    assert {one["operation"] for one in done.operations} == {"pull", "update"}


async def test_another_patients_resource_stops_the_plan(here: World) -> None:
    """A server that ignores the search by patient is refused: nothing is stored or written."""
    await started(here)
    here.sandbox.storage.create(
        "Goal",
        {
            "resourceType": "Goal",
            "lifecycleStatus": "active",
            "description": {"text": "x"},
            "subject": {"reference": "Patient/other"},
        },
        unless=None,
    )

    class Ignoring:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def send(self, request: Request) -> Reply | Failure:
            url = re.sub(r"patient=[^&]*&?", "", request.url)
            reply: Reply | Failure = await self.inner.send(replace(request, url=url))
            return reply

    here.http = Ignoring(here.http)  # type: ignore[assignment]
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    counts = await here.sync()
    assert counts.writes == 0
    assert counts.unanswered == [PLAN]


async def test_a_patient_who_is_no_longer_the_same_stops_the_plan(here: World) -> None:
    """Where the linked patient bears another birth date than when linked, nothing is written and a person is told."""
    await started(here)
    [patient] = here.sandbox.storage.resources("Patient")
    here.change("Patient", str(patient["id"]), lambda tree: tree.update(birthDate="1970-01-01"))
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    counts = await here.sync()
    assert counts.writes == 0
    assert SLEEP in here.goals()
    assert await here.inbox() == [("patient", PLAN, None)]


async def test_an_ehrs_own_note_may_change_there(here: World) -> None:
    """A note that was born at the EHR is its own: its later edit there is taken, not asked about."""
    await started(here)

    def note(text: str) -> Tree:
        return {"id": "n1", "authorString": "A nurse", "time": "2026-11-06", "text": text}

    goal = str(here.goals()[SLEEP]["id"])
    here.change("Goal", goal, lambda tree: tree.update(note=[note("Asked for soap")]))
    await here.sync()
    here.change("Goal", goal, lambda tree: tree.update(note=[note("Asked for unscented soap")]))
    counts = await here.sync()
    assert (counts.pulled, counts.proposals) == (1, 0)
    assert [entry.text for entry in (await here.plan(PLAN)).goal("g-sleep").progress] == ["Asked for unscented soap"]
    await quiet(here)


async def test_a_refused_body_is_held_and_the_rest_goes_on(here: World) -> None:
    """An EHR edit that we can't write on is left alone with one item; other goals are pushed."""
    await started(here)
    here.change("Goal", str(here.goals()[SOCIAL]["id"]), lambda tree: tree.update(modifierExtension=[{"url": "x"}]))
    await here.edit(PLAN, "g-social", text="See a friend")
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await here.sync()
    assert {"Up by seven", SOCIAL} <= set(here.goals())
    assert ("unreadable", "g-social", None) in await here.inbox()
    await quiet(here)


async def test_a_step_added_there_is_one_question(here: World) -> None:
    """An activity added at the EHR is one proposal for the step, not one for each of its parts."""
    await started(here)
    goal = here.goals()[SLEEP]

    def add(tree: dict[str, Tree]) -> None:
        detail = {
            "kind": "Task",
            "status": "not-started",
            "description": "Bring a list of medicines",
            "goal": [{"reference": f"Goal/{goal['id']}"}],
        }
        tree["activity"] = [*tree["activity"], {"detail": detail}]

    [care_plan] = here.care_plans()
    here.change("CarePlan", str(care_plan["id"]), add)
    await here.sync()
    [(kind, owner, unit)] = await here.inbox()
    assert (kind, owner) == ("proposal", PLAN)
    assert unit is not None
    assert unit.startswith("steps:")
    await quiet(here)


async def test_a_step_removed_there_is_one_question(here: World) -> None:
    """An activity of ours that is gone at the EHR stays here and is one proposal."""
    await started(here)
    [care_plan] = here.care_plans()
    here.change("CarePlan", str(care_plan["id"]), lambda tree: tree.update(activity=tree["activity"][1:]))
    await here.sync()
    [(kind, _, unit)] = await here.inbox()
    assert kind == "proposal"
    assert unit is not None
    assert unit.startswith("steps:")
    await quiet(here)


async def test_a_field_of_a_wrong_type_holds_only_its_unit(here: World) -> None:
    """A number where a text belongs can't be read: that unit is held, others of the goal are pushed."""
    await started(here)
    here.change("Goal", str(here.goals()[SLEEP]["id"]), lambda tree: tree.update(description={"text": 7}))
    await here.edit(PLAN, "g-sleep", priority="low", text="Up by seven")
    await here.sync()
    [goal] = [one for one in here.sandbox.storage.resources("Goal") if text_of(one) == "7"]
    assert goal["priority"]["coding"][0]["code"] == "low-priority"
    assert goal["description"] == {"text": 7}
    assert ("held", "g-sleep", "text") in await here.inbox()
    await quiet(here)


async def test_several_resources_with_our_identifier_are_told_and_left_alone(here: World) -> None:
    """A copy that carries our identifier is one item for a person; it is never edited or adopted."""
    await started(here)
    twin = {name: part for name, part in here.goals()[SLEEP].items() if name not in ("id", "meta")}
    here.sandbox.storage.create("Goal", {**twin, "description": {"text": "A copy"}}, unless=None)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await here.sync()
    assert {"A copy", "Up by seven"} <= set(here.goals())
    [(kind, owner, _)] = await here.inbox()
    assert (kind, owner) == ("identity", PLAN)
    await quiet(here)


class Sluggish:
    """A network on which writes are not answered: they arrive when `deliver` is called, or never."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.under_way: list[Request] = []
        self.writes = 0

    async def send(self, request: Request) -> Reply | Failure:
        if request.method == "GET":
            return await self.inner.send(request)
        self.writes += 1
        self.under_way.append(request)
        return Failure("timeout", sent=True)

    async def deliver(self) -> None:
        for request in self.under_way:
            await self.inner.send(request)
        self.under_way = []


async def test_a_call_that_may_still_land_stays_a_candidate(here: World) -> None:
    """An update that never arrived in time and lands late is known as ours, not asked about as an edit of theirs."""
    await started(here)
    plain, slow = here.http, Sluggish(here.http)
    here.http = slow  # type: ignore[assignment]
    await here.edit(PLAN, "g-sleep", text="first")
    await here.sync()
    here.http = plain
    await slow.deliver()  # the first of the late calls lands, all others meet another version
    await here.edit(PLAN, "g-sleep", text="second")
    counts = await here.sync()
    assert (counts.conflicts, counts.proposals, counts.held) == (0, 0, 0)
    assert "second" in here.goals()
    assert await here.store.read(lambda tx: tx.intents.all_open("ehr-main")) == ()
    await quiet(here)


async def test_an_earlier_create_that_came_late_is_no_edit_of_theirs(here: World) -> None:
    """Without a history nobody can tell it from one: what was written here since stays, and a person is asked."""
    plan = await started(here)
    here.sandbox.knobs = Knobs(no_history=True)
    plain, slow = here.http, Sluggish(here.http)
    here.http = slow  # type: ignore[assignment]
    new = msgspec.structs.replace(plan.goal("g-social"), id="g-new", text="first", steps=())
    await here.put(msgspec.structs.replace(plan, goals=(*plan.goals, new)))
    await here.sync()
    await here.edit(PLAN, "g-new", text="second")
    await here.sync()
    first, *_, last = slow.under_way
    assert b"first" in (first.body or b"")
    assert b"second" in (last.body or b"")
    slow.under_way = [first]
    await slow.deliver()
    here.http = plain
    await here.sync()
    assert (await here.plan(PLAN)).goal("g-new").text == "second"
    assert await here.inbox() == [("conflict", "g-new", "text")]
    await quiet(here)


async def test_a_server_that_keeps_failing_leaves_one_intent(here: World) -> None:
    """Updates that are answered with nothing are repeated under one intent, twice a run; once it works, all is done."""
    await started(here)
    plain, slow = here.http, Sluggish(here.http)
    here.http = slow  # type: ignore[assignment]
    await here.edit(PLAN, "g-sleep", text="first")
    for _ in range(3):
        before = slow.writes
        await here.sync()
        assert slow.writes - before <= 2
        assert len(await here.store.read(lambda tx: tx.intents.all_open("ehr-main"))) == 1
    here.http = plain
    await here.sync()
    assert "first" in here.goals()
    assert await here.store.read(lambda tx: tx.intents.all_open("ehr-main")) == ()
    await quiet(here)


async def test_a_call_in_doubt_is_repeated_as_it_was(here: World) -> None:
    """Same body and same ETag as the first time, before anything newer goes; then the newer text follows."""
    await started(here)
    plain, slow = here.http, Sluggish(here.http)
    here.http = slow  # type: ignore[assignment]
    await here.edit(PLAN, "g-sleep", text="first")
    await here.sync()
    lost = slow.under_way[0]
    await here.edit(PLAN, "g-sleep", text="second")
    watched = Watched(plain)
    here.http = watched  # type: ignore[assignment]
    await here.sync()
    repeated, newer = watched.writes
    assert (repeated.body, repeated.headers["If-Match"]) == (lost.body, lost.headers["If-Match"])
    assert b"second" in (newer.body or b"")
    assert newer.headers["If-Match"] != lost.headers["If-Match"]
    await quiet(here)


async def test_a_call_in_doubt_that_may_no_longer_go_is_not_repeated(here: World) -> None:
    """The goal was withheld meanwhile: its words are not sent again; the reply that never came stays a candidate."""
    plan = await started(here)
    plain, slow = here.http, Sluggish(here.http)
    here.http = slow  # type: ignore[assignment]
    await here.edit(PLAN, "g-sleep", text="Only between us")
    await here.sync()
    plan = await here.plan(PLAN)
    disclosure = msgspec.structs.replace(plan.disclosure, withheld=(Withheld(target="g-sleep"),))
    goals = tuple(
        msgspec.structs.replace(goal, share="withheld") if goal.id == "g-sleep" else goal for goal in plan.goals
    )
    await here.put(msgspec.structs.replace(plan, goals=goals, disclosure=disclosure))
    watched = Watched(plain)
    here.http = watched  # type: ignore[assignment]
    await here.sync()
    assert [one for one in watched.writes if b"Only between us" in (one.body or b"")] == []
    assert len(await here.store.read(lambda tx: tx.intents.all_open("ehr-main"))) == 1


class Watched:
    """A network that keeps the writes that went over it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.writes: list[Request] = []

    async def send(self, request: Request) -> Any:
        if request.method != "GET":
            self.writes.append(request)
        return await self.inner.send(request)


def without_ids(tree: Tree) -> Tree:
    """Return what a server stores that drops the ids of elements (they are optional in FHIR), and every extension."""
    if isinstance(tree, dict):
        kept = {name: without_ids(part) for name, part in tree.items() if name != "extension"}
        return kept if "resourceType" in tree else {name: part for name, part in kept.items() if name != "id"}
    return [without_ids(part) for part in tree] if isinstance(tree, list) else tree


async def test_a_server_that_drops_ids_and_extensions_doubles_nothing(here: World) -> None:
    """Notes, targets, steps and interventions are known by what was sent: no copy, no question, each edit arrives."""
    store = here.sandbox.storage
    create, update = store.create, store.update
    store.create = lambda kind, body, *, unless: create(kind, without_ids(body), unless=unless)  # type: ignore[method-assign]
    store.update = lambda kind, key, body, only: update(kind, key, without_ids(body), only)  # type: ignore[method-assign]
    plan = await started(here)
    notes = sum(len(goal.progress) for goal in plan.goals)
    await quiet(here)
    assert sum(len(goal.progress) for goal in (await here.plan(PLAN)).goals) == notes
    mood = plan.goal("g-mood")
    shared = [entry for entry in mood.progress if entry.visibility == "shared"]
    changed = msgspec.structs.replace(shared[0], text="Corrected text")
    progress = tuple(changed if entry is shared[0] else entry for entry in mood.progress)
    targets = (msgspec.structs.replace(mood.targets[0], by=date(2027, 1, 31)), *mood.targets[1:])
    steps = plan.goal("g-sleep").steps
    await here.edit(PLAN, "g-mood", progress=progress, targets=targets)
    await here.edit(PLAN, "g-sleep", steps=(msgspec.structs.replace(steps[0], text="Phone in the hall"), *steps[1:]))
    await here.sync()
    text = "Recover from the current depressive episode and feel interested in daily life again"
    there = here.goals()[text]
    assert sorted(note["text"] for note in there["note"]) == sorted(["Corrected text", *(e.text for e in shared[1:])])
    assert len(there["target"]) == 3
    [care_plan] = here.care_plans()
    words = [activity["detail"]["description"] for activity in care_plan["activity"]]
    assert "Phone in the hall" in words
    assert len(words) == len(set(words)) == 31
    assert await here.inbox() == []
    await quiet(here)


@pytest.mark.parametrize("kind", ["Goal", "CarePlan"])
async def test_what_was_refused_once_is_sent_by_a_later_run(here: World, kind: str) -> None:
    """A server that refuses a write and is mended later gets it without any further edit; then the item closes."""
    await started(here)
    store = here.sandbox.storage
    update = store.update

    def refuse(what: str, *rest: object) -> object:
        if what == kind:
            raise Declined(422, "processing", "no")
        return update(what, *rest)  # type: ignore[arg-type]

    store.update = refuse  # type: ignore[method-assign, assignment]
    steps = (await here.plan(PLAN)).goal("g-sleep").steps
    await here.edit(
        PLAN, "g-sleep", text="Up by seven", steps=(*steps[:2], msgspec.structs.replace(steps[2], text="New"))
    )
    counts = await here.sync()
    assert counts.held == 1
    assert [item for item, _, _ in await here.inbox()] == ["held"]
    store.update = update  # type: ignore[method-assign]
    assert (await here.sync()).writes == 0  # an EHR that refuses is not asked again at once
    here.now += timedelta(hours=1)
    await here.sync()
    assert "Up by seven" in here.goals()
    assert await here.inbox() == []
    await quiet(here)


async def test_a_patient_who_is_the_same_again_is_written_again(here: World) -> None:
    """Once the birth date is mended at the EHR the held edit goes, without another edit here."""
    plan = await started(here)
    assert plan.client is not None
    assert plan.client.birth_date is not None
    [patient] = here.sandbox.storage.resources("Patient")
    here.change("Patient", str(patient["id"]), lambda tree: tree.update(birthDate="1970-01-01"))
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    planned = await here.runner().preview()
    done = await here.sync()
    assert planned.operations == done.operations == []
    born = plan.client.birth_date.isoformat()
    here.change("Patient", str(patient["id"]), lambda tree: tree.update(birthDate=born))
    await here.sync()
    assert "Up by seven" in here.goals()
    assert await here.inbox() == []


async def test_a_consent_that_ends_by_the_calendar_is_noticed(here: World) -> None:
    """Nobody edits anything: on the first day without consent one item says what still stands at the EHR."""
    await started(here)
    here.now = here.now.replace(year=2027, month=6)
    counts = await here.sync()
    assert counts.writes == 0
    assert [kind for kind, _, _ in await here.inbox()] == ["retract"]
    assert (await here.sync()).held == 1


async def test_a_consent_that_begins_by_the_calendar_is_noticed(here: World) -> None:
    """A consent from a later day sends nothing before it and everything from that day on."""
    plan = example("01")
    [first, *others] = plan.disclosure.consents
    consents = (msgspec.structs.replace(first, granted=date(2026, 11, 10)), *others)
    plan = msgspec.structs.replace(plan, disclosure=msgspec.structs.replace(plan.disclosure, consents=consents))
    await here.add_connection()
    await here.put(plan)
    await here.sync()
    assert here.goals() == {}
    here.now = here.now.replace(day=12)
    await here.know_people(plan)
    await here.sync()
    assert len(here.goals()) == 14


async def test_notes_of_one_author_and_day_changed_there_are_two_candidates(here: World) -> None:
    """Which of two notes without ids became which can't be told: they are held, not taken as new and removed."""
    plan = await started(here)
    entry = plan.goal("g-mood").progress[0]
    twins = tuple(msgspec.structs.replace(entry, id=f"twin-{n}", text=f"Twin {n}") for n in (1, 2))
    await here.edit(PLAN, "g-sleep", progress=twins)
    await here.sync()

    def saved_without_ids(tree: dict[str, Tree]) -> None:
        tree["note"] = [
            {
                **{name: part for name, part in note.items() if name not in ("id", "extension")},
                "text": note["text"] + "!",
            }
            for note in tree["note"]
        ]

    here.change("Goal", str(here.goals()[SLEEP]["id"]), saved_without_ids)
    counts = await here.sync()
    assert (counts.pulled, counts.proposals, counts.writes) == (0, 0, 0)
    assert {kind for kind, _, _ in await here.inbox()} == {"held"}
    assert [one.text for one in (await here.plan(PLAN)).goal("g-sleep").progress] == ["Twin 1", "Twin 2"]
    await quiet(here)


async def test_no_list_is_not_an_empty_list(here: World) -> None:
    """A string where the list of targets belongs holds the targets: nothing is taken as removed."""
    await started(here)
    mood = "Recover from the current depressive episode and feel interested in daily life again"
    here.change("Goal", str(here.goals()[mood]["id"]), lambda tree: tree.update(target="two"))
    await here.edit(PLAN, "g-mood", priority="low")
    counts = await here.sync()
    assert (counts.pushed, counts.proposals) == (1, 0)
    assert here.goals()[mood]["target"] == "two"
    held = {unit for kind, _, unit in await here.inbox() if kind == "held"}
    assert {"target:m-phq9", "target:m-who5"} <= held
    assert len((await here.plan(PLAN)).goal("g-mood").targets) == 2
    await quiet(here)


async def test_members_taken_out_and_changed_at_once_are_the_right_ones(here: World) -> None:
    """Notes are found by position there: two removed and one changed in one push leave every other as it is."""
    plan = await started(here)
    entry = plan.goal("g-mood").progress[0]
    notes = tuple(msgspec.structs.replace(entry, id=f"row-{n}", text=f"Row {n}") for n in range(6))
    await here.edit(PLAN, "g-sleep", progress=notes)
    await here.sync()
    kept = (notes[1], msgspec.structs.replace(notes[3], text="Row 3, mended"), notes[4])
    await here.edit(PLAN, "g-sleep", progress=kept)
    await here.sync()
    there = [note["text"] for note in here.goals()[SLEEP]["note"] if str(note["text"]).startswith("Row")]
    assert there == ["Row 1", "Row 3, mended", "Row 4"]
    await quiet(here)


@pytest.mark.parametrize("void", ["at the EHR", "here too"])
async def test_nothing_is_written_to_a_care_plan_that_is_void_there(here: World, void: str) -> None:
    """Edits of its steps wait with one item; goals go on. Void here too, it asks nothing."""
    await started(here)
    care_plan = str(here.care_plans()[0]["id"])
    here.change("CarePlan", care_plan, lambda tree: tree.update(status="entered-in-error"))
    await here.sync()
    assert await here.inbox() == [("void", PLAN, None)]
    steps = (await here.plan(PLAN)).goal("g-sleep").steps
    await here.edit(
        PLAN, "g-sleep", text="Up by seven", steps=(msgspec.structs.replace(steps[0], text="New"), *steps[1:])
    )
    if void == "here too":
        await here.put(msgspec.structs.replace(await here.plan(PLAN), status="entered_in_error"))
    await here.sync()
    assert "Up by seven" in here.goals()
    there = [activity["detail"]["description"] for activity in _activities(here)]
    assert ("New" in there) == (void == "here too")
    assert await here.inbox() == ([] if void == "here too" else [("void", PLAN, None)])
    here.change("CarePlan", care_plan, lambda tree: tree.update(status="active"))
    await here.sync()
    assert "New" in [activity["detail"]["description"] for activity in _activities(here)]


async def test_a_goal_that_comes_after_its_care_plan_brings_its_steps_and_its_place_in_the_order(here: World) -> None:
    """Its words are another EHR's at first; once they are ours, it is as if it had been there at first."""
    plan = example("01")
    await here.add_connection()
    await here.put(plan)
    await here.know_people(plan)
    other = msgspec.structs.replace(plan.goal("g-ba"), text="Words of another EHR")
    goals = tuple(other if one.id == "g-ba" else one for one in plan.goals)
    await here.put(msgspec.structs.replace(plan, goals=goals), origin="ehr-other")
    await here.sync()
    assert len(here.goals()) == 13
    assert not {one.text for one in other.steps} & {one["detail"]["description"] for one in _activities(here)}
    await quiet(here)
    await here.edit(PLAN, "g-ba", text="Words of ours")
    await here.sync()
    assert len(here.goals()) == 14
    assert {one.text for one in other.steps} <= {one["detail"]["description"] for one in _activities(here)}
    with world() as plain:
        await started(plain)
        assert _listed(here) == [text.replace(plan.goal("g-ba").text, "Words of ours") for text in _listed(plain)]
    assert await here.inbox() == []
    await quiet(here)


def _activities(one: World) -> Any:
    return one.care_plans()[0]["activity"]


def _listed(one: World) -> list[str]:
    """Return the words of the CarePlan's goals, in its order."""
    words = {f"Goal/{goal['id']}": text_of(goal) for goal in one.goals().values()}
    care_plan: Any = one.care_plans()[0]
    return [words[goal["reference"]] for goal in care_plan["goal"]]
