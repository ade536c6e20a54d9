"""Nothing is written to, or taken from, what is not surely the linked patient's (design 5.8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.sync.identify import match
from tests.sync.test_retract import EMPTY, GOAL, PLAN, everything
from tests.sync.world import BASE, World, example, started, withhold, world

SLEEP, MAP = "g-sleep", "g-explore-map"
NEW = "Words that are new here"
WHOLE = ("unreadable", MAP, None)
STOPPED = ("patient", PLAN, None)


@dataclass
class Changing:
    """A network that changes replies on their way."""

    inner: Any
    odd: Callable[[Request, Reply], Reply]

    async def send(self, request: Request) -> Reply | Failure:
        reply = await self.inner.send(request)
        return self.odd(request, reply) if isinstance(reply, Reply) else reply


@pytest.fixture
def here() -> Iterator[World]:
    with world() as one:
        yield one


async def resource_of(here: World, goal: str) -> str:
    link = await here.store.read(lambda tx: tx.links.get(here.connection, "Goal", goal))
    assert link is not None
    return str(link.resource_id)


async def linked_patient(here: World) -> str:
    links = await here.store.read(lambda tx: tx.people.links(here.connection))
    return next(one.reference for one in links if one.kind == "Patient")


async def set_subject(here: World, goal: str, subject: object) -> None:
    def edit(tree: dict[str, Any]) -> None:
        tree.pop("subject") if subject is None else tree.update(subject=subject)

    here.change("Goal", await resource_of(here, goal), edit)


async def whys(here: World) -> list[str]:
    return [one.why for one in await here.store.read(lambda tx: tx.inbox.list(open_only=True))]


# -- one resource --


async def test_one_goal_given_to_another_patient_is_quarantined_alone() -> None:
    """Its plan goes on: a withheld sibling is taken back, one item tells of it and closes when it is given back."""
    with world(retract="blank") as here:
        await started(here)
        await set_subject(here, MAP, {"reference": "Patient/other"})
        counts = await here.sync()
        assert (counts.unanswered, await here.inbox(), await whys(here)) == ([], [WHOLE], ["other_patient"])
        await withhold(here, PLAN, GOAL)
        await here.edit(PLAN, MAP, text=NEW)
        await here.edit(PLAN, SLEEP, text="Up by seven")
        planned = await here.runner().preview()
        counts = await here.sync()
        assert planned.operations == counts.operations
        assert EMPTY not in everything(here)
        assert "Up by seven" in here.goals()
        assert NEW not in everything(here)
        assert [(kind, owner) for kind, owner, _ in await here.inbox()] == [("unreadable", MAP)]
        again = await here.sync()
        assert (again.writes, again.new_items) == (0, 0)
        await set_subject(here, MAP, {"reference": await linked_patient(here)})
        await here.sync()
        assert (NEW in here.goals(), await here.inbox()) == (True, [])


async def test_a_goal_given_back_as_it_was_closes_its_item(here: World) -> None:
    """Nothing of it changed but the subject, there and back: the next run sees that all is well."""
    await started(here)
    await set_subject(here, MAP, {"reference": "Patient/other"})
    await here.sync()
    await set_subject(here, MAP, {"reference": await linked_patient(here)})
    counts = await here.sync()
    assert (counts.writes, await here.inbox()) == (0, [])


@pytest.mark.parametrize(
    "subject", [None, {"identifier": {"system": "urn:x", "value": "1"}}, {"display": "Somebody"}, {"reference": "#p"}]
)
async def test_a_goal_whose_subject_names_nobody_is_not_written(here: World, subject: object) -> None:
    """No subject, a logical one, words alone, or one inside it: nothing goes into it, and a person is told."""
    await started(here)
    await set_subject(here, MAP, subject)
    await here.edit(PLAN, MAP, text=NEW)
    assert (await here.runner().preview()).operations == []
    counts = await here.sync()
    assert (counts.writes, NEW in everything(here)) == (0, False)
    assert (await here.inbox(), await whys(here)) == ([WHOLE], ["no_patient"])


@pytest.mark.parametrize(
    "spelling",
    ["HTTP://EHR.test/fhir/{}", "http://ehr.test:80/fhir/{}", "/{}", "/fhir/{}", BASE + "/{}/_history/1"],
)
async def test_another_spelling_of_the_same_patient_is_the_same_subject(here: World, spelling: str) -> None:
    """Scheme and host in any case, the default port, a path alone, a version: it is the same server's patient."""
    await started(here)
    await set_subject(here, MAP, {"reference": spelling.format(await linked_patient(here))})
    await here.edit(PLAN, MAP, text=NEW)
    await here.sync()
    assert (NEW in here.goals(), await here.inbox()) == (True, [])


async def test_the_same_id_at_another_server_is_another_patient(here: World) -> None:
    """Only the base of the linked server makes it ours."""
    await started(here)
    await set_subject(here, MAP, {"reference": f"http://other.test/fhir/{await linked_patient(here)}"})
    await here.sync()
    assert await whys(here) == ["other_patient"]


@pytest.mark.parametrize("subject", [None, {"identifier": {"system": "urn:x", "value": "1"}}, {"display": "Somebody"}])
async def test_a_goal_born_there_whose_subject_names_nobody_is_not_adopted(here: World, subject: object) -> None:
    """Our care plan lists it and a search shows it: it stays there, and a person is told."""
    await started(here)
    patient = await linked_patient(here)
    tree: Any = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "Of whom"}}
    born = here.sandbox.storage.create("Goal", {**tree, "subject": {"reference": patient}}, unless=None).version.id
    plan = str(here.care_plans()[0]["id"])
    here.change("CarePlan", plan, lambda one: one["goal"].append({"reference": f"Goal/{born}"}))  # type: ignore[union-attr,call-arg]

    def nameless(asked: Request, reply: Reply) -> Reply:
        if "/Goal?" not in asked.url:
            return reply
        bundle = json.loads(reply.body)
        for one in bundle.get("entry", []):
            if one["resource"]["id"] == born:
                one["resource"].pop("subject")
                one["resource"] |= {} if subject is None else {"subject": subject}
        return Reply(reply.status, reply.headers, json.dumps(bundle).encode())

    plain, here.http = here.http, Changing(here.http, nameless)  # type: ignore[assignment]
    counts = await here.sync()
    assert (counts.adopted, [one.text for one in (await here.plan(PLAN)).goals if one.text == "Of whom"]) == (0, [])
    assert (await here.inbox(), await whys(here)) == ([("held", PLAN, f"Goal/{born}")], ["no_patient"])
    here.http = plain
    counts = await here.sync()
    assert (counts.adopted, await here.inbox()) == (1, [])


async def test_a_goal_given_to_another_patient_stops_no_question_for_changes() -> None:
    """Asked for the changes of one patient, a server may show it: its plan is looked at, and the others too."""
    with world(changes="instant", changes_of="patient") as here:
        await started(here)
        own, search = await resource_of(here, MAP), here.http

        def moved(asked: Request, reply: Reply) -> Reply:
            if "_lastUpdated" not in asked.url or "/Goal?" not in asked.url:
                return reply
            [tree] = [one for one in here.sandbox.storage.resources("Goal") if one["id"] == own]
            bundle = json.loads(reply.body)
            bundle["entry"] = [{"resource": json.loads(json.dumps(tree, default=str))}]
            return Reply(reply.status, reply.headers, json.dumps(bundle).encode())

        await set_subject(here, MAP, {"reference": "Patient/other"})
        here.http = Changing(search, moved)  # type: ignore[assignment]
        counts = await here.sync()
        assert (counts.problems, await here.inbox()) == ([], [WHOLE])


# -- the patient --


def merged(tree: dict[str, Any]) -> None:
    tree |= {"active": False, "link": [{"other": {"reference": "Patient/survivor"}, "type": "replaced-by"}]}


def old(tree: dict[str, Any]) -> None:
    tree["identifier"] = [{**one, "use": "old"} for one in tree["identifier"]]


def another_day(tree: dict[str, Any]) -> None:
    tree["birthDate"] = "1970-01-01"


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (merged, "patient_merged"),
        (old, "patient_changed"),
        (another_day, "patient_changed"),
        (lambda tree: tree.update(active=False), "patient_inactive"),
    ],
)
async def test_nothing_is_written_to_a_patient_who_is_in_doubt(
    here: World, edit: Callable[[dict[str, Any]], None], why: str
) -> None:
    """Merged away, out of use or another person: edits of both sides wait under one item until that is put right."""
    await started(here)
    _, _, patient = (await linked_patient(here)).partition("/")
    [before] = [one for one in here.sandbox.storage.resources("Patient") if one["id"] == patient]
    before = json.loads(json.dumps(before))
    here.change("Patient", patient, edit)
    await here.edit(PLAN, SLEEP, text=NEW)
    here.change("Goal", await resource_of(here, MAP), lambda tree: tree.update(priority={"text": "later"}))
    planned = await here.runner().preview()
    assert (planned.operations, planned.held) == ([], 1)
    for new in (1, 0):
        counts = await here.sync()
        assert (counts.writes, counts.pulled, counts.new_items, counts.held) == (0, 0, new, 1)
        assert (await here.inbox(), await whys(here)) == ([STOPPED], [why])
    here.change("Patient", patient, lambda tree: (tree.clear(), tree.update(before)))
    await here.sync()
    assert NEW in here.goals()
    assert STOPPED not in await here.inbox()


@pytest.mark.parametrize(("status", "why"), [(301, "patient_merged"), (404, "patient_gone"), (410, "patient_gone")])
async def test_a_patient_who_is_not_found_is_told_of(here: World, status: int, why: str) -> None:
    """Moved, gone or not to be seen: nothing is written, one item says so, and it closes itself."""
    await started(here)
    plain, patient = here.http, await linked_patient(here)
    elsewhere = Reply(status, {"location": f"{BASE}/Patient/survivor"}, b"")
    here.http = Changing(plain, lambda asked, reply: elsewhere if asked.url.endswith(f"/{patient}") else reply)  # type: ignore[assignment]
    await here.edit(PLAN, SLEEP, text=NEW)
    counts = await here.sync()
    assert (counts.writes, await here.inbox(), await whys(here)) == (0, [STOPPED], [why])
    here.http = plain
    await here.sync()
    assert (NEW in here.goals(), await here.inbox()) == (True, [])


async def test_a_merged_patient_is_not_proposed_as_anybody(here: World) -> None:
    """Who was merged away is held for a person, though the identifier is still there."""
    plan = example("01")
    await here.add_connection()
    await here.put(plan)
    await here.know_people(plan)
    links = await here.store.read(lambda tx: tx.people.links(here.connection))
    [patient] = [one for one in links if one.kind == "Patient"]
    here.change("Patient", patient.reference.partition("/")[2], merged)
    await here.store.write(lambda tx: tx.people.unlink(here.connection, "Patient", patient.local_id))
    found = await match(here.store, here.client(), here.connection, by="it-1", clock=here.clock)
    assert [(one.status, one.why) for one in found if one.kind == "Patient"] == [("held", "not_in_use")]
