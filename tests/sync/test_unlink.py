"""Two clients in each other's chart: what was written is taken back, and then stands in the right ones (design 5.8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.errors import Refused
from fhirgoals.fhir.rest import Precondition
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.guard import clear
from fhirgoals.sync.identify import confirm, fingerprint, link_identifier, match
from fhirgoals.sync.unlink import begin
from tests.sync.world import World, example, taken_back, world

NAMES = ("01", "02")


async def swapped(here: World) -> tuple[Plan, Plan]:
    """Load two plans, link each client to the other's chart, as a person may do by hand, and push."""
    first, second = (example(name) for name in NAMES)
    await here.add_connection()
    for plan in (first, second):
        await here.put(plan)
        await here.know_people(plan)
    links = await here.store.read(lambda tx: tx.people.links("ehr-main"))
    patients = {one.local_id: one.reference for one in links if one.kind == "Patient"}
    clients = [plan.client for plan in (first, second) if plan.client is not None]
    at = here.clock()

    def cross(tx: Any) -> None:
        for one in clients:
            tx.people.unlink("ehr-main", "Patient", one.id)
        for one, other in (clients, reversed(clients)):
            identifier = link_identifier(here.store.store.installation, "Patient", other.id)
            mark = fingerprint(identifier, other.birth_date.isoformat())
            tx.people.link(
                "ehr-main",
                "Patient",
                one.id,
                patients[other.id],
                fingerprint=mark,
                by="it-1",
                at=at,
                status="confirmed",
            )

    await here.store.write(cross)
    await here.sync()
    return first, second


def chart(here: World, patient: str) -> str:
    """Return everything in one chart."""
    found = [
        one
        for kind in ("Goal", "CarePlan")
        for one in here.sandbox.storage.resources(kind)
        if one["subject"]["reference"] == patient
    ]
    return msgspec.json.encode(found, enc_hook=str).decode()


def texts(plan: Plan, chart_: str) -> int:
    return sum(msgspec.json.encode(goal.text).decode() in chart_ for goal in plan.goals)


async def right_chart(here: World, plan: Plan) -> str:
    """Return the patient who bears the client's identifier."""
    assert plan.client is not None
    wanted = link_identifier(here.store.store.installation, "Patient", plan.client.id)
    [patient] = [
        one
        for one in here.sandbox.storage.resources("Patient")
        if any(each["value"] == wanted.value for each in one["identifier"])
    ]
    return f"Patient/{patient['id']}"


async def unlink(here: World, plan: Plan, *, retract: bool = True) -> None:
    client, at = plan.client, here.clock()
    assert client is not None
    await here.store.write(
        lambda tx: begin(tx, "ehr-main", client.id, retract=retract, by="it-1", reason="wrong-chart", at=at)
    )


@pytest.mark.parametrize("way", ["blank", "entered_in_error", "delete"])
async def test_two_swapped_clients_are_mended(way: str) -> None:
    """Twenty-three goals in wrong charts: taken back, linked anew, sent again; no chart keeps another's words."""
    with world(retract=way) as here:
        plans = await swapped(here)
        charts = [await right_chart(here, plan) for plan in plans]
        assert [texts(plan, chart(here, other)) for plan, other in zip(plans, reversed(charts), strict=True)] == [14, 9]
        for plan in plans:
            await unlink(here, plan)
        counts = await here.sync()
        assert len(taken_back(counts)) == 14 + 9 + 2
        assert [texts(plan, chart(here, one)) for plan in plans for one in charts] == [0, 0, 0, 0]
        links = await here.store.read(lambda tx: tx.people.links("ehr-main"))
        assert [one.local_id for one in links if one.kind in ("Patient", "Condition")] == []
        await match(here.store, here.client(), "ehr-main", by="it-1", clock=here.clock)
        at = here.clock()
        await here.store.write(lambda tx: confirm(tx, "ehr-main", None, by="it-1", at=at))
        await here.sync()
        found = [texts(plan, chart(here, one)) for plan in plans for one in charts]
        assert found == [14, 0, 0, 9]
        assert await here.inbox() == []
        assert (await here.sync()).writes == 0


async def test_left_in_the_chart_each_resource_is_named() -> None:
    """Under `leave` nothing is written: one item for each says that it stays in that chart, until two looks miss it."""
    with world(retract="leave") as here:
        first, _ = await swapped(here)
        await unlink(here, first)
        counts = await here.sync()
        assert counts.writes == 0
        items = await here.store.read(lambda tx: tx.inbox.list(plan_id=first.id))
        assert [(item.kind, item.why) for item in items] == [("retract", "wrong_chart")] * 15
        for kind in ("Goal", "CarePlan"):
            for one in here.sandbox.storage.resources(kind):
                here.sandbox.storage.delete(kind, one["id"], Precondition())
        await here.sync()
        items = await here.store.read(lambda tx: tx.inbox.list(plan_id=first.id))
        assert [item.kind for item in items] == ["retract"] * 15  # one look that shows nothing is no proof
        here.now += timedelta(minutes=1)
        await here.sync()
        assert await here.store.read(lambda tx: tx.inbox.list(plan_id=first.id)) == ()
        assert await here.store.read(lambda tx: tx.links.for_plan("ehr-main", first.id)) == ()


async def test_nothing_goes_to_a_chart_that_is_being_left() -> None:
    """An edit made meanwhile is not sent there, and unlinking what stands there needs the word `retract`."""
    with world(retract="blank") as here:
        first, _ = await swapped(here)
        with pytest.raises(Refused, match="15 resources"):
            await unlink(here, first, retract=False)
        await here.edit(first.id, "g-sleep", text="Only for the right chart")
        await unlink(here, first)
        sent = []
        inner = here.http

        class Watched:
            async def send(self, request: Any) -> Any:
                sent.append(request.body or b"")
                return await inner.send(request)

        here.http = Watched()  # type: ignore[assignment]
        await here.sync()
        assert not [one for one in sent if b"Only for the right chart" in one]


# -- what came from the chart that is left --

OF_ANOTHER = "Accept the diagnosis that only this other patient has"


async def relinked(here: World, *plans: Plan) -> None:
    """Unlink the clients, have everything taken back, and link each to the patient who bears its identifier."""
    for plan in plans:
        await unlink(here, plan)
    for _ in range(3):
        await run(here)
    await match(here.store, here.client(), "ehr-main", by="it-1", clock=here.clock)
    at = here.clock()
    await here.store.write(lambda tx: confirm(tx, "ehr-main", None, by="it-1", at=at))
    for _ in range(3):
        await run(here)


async def run(here: World) -> Counts:
    """Sync once, whatever the guard would say to so much."""
    at = here.clock()
    await here.store.write(lambda tx: clear(tx, "ehr-main", by="it-1", at=at, reason="seen"))
    return await here.sync()


def there(here: World, plan: Plan, patient: str) -> dict[str, Any]:
    """Return the Goal there of a plan's first goal."""
    [found] = [
        one
        for one in here.sandbox.storage.resources("Goal")
        if one["subject"]["reference"] == patient and one["description"]["text"] == plan.goals[0].text
    ]
    return found


def edited(here: World, what: str, goal: dict[str, Any]) -> None:
    """Have a nurse write into the wrong chart: a goal of her own, a note in one of ours, or its words anew."""
    if what == "goal":
        new: dict[str, Any] = {"resourceType": "Goal", "lifecycleStatus": "active", "subject": goal["subject"]}
        new["description"] = {"text": OF_ANOTHER}
        made = here.sandbox.storage.create("Goal", new, unless=None).version.id
        active = [one for one in here.care_plans() if one["status"] == "active"]
        [care_plan] = [one for one in active if one["subject"] == goal["subject"]]
        reference = {"reference": f"Goal/{made}"}
        here.change("CarePlan", str(care_plan["id"]), lambda tree: tree["goal"].append(reference))  # type: ignore[union-attr]
    elif what == "note":
        here.change("Goal", goal["id"], lambda tree: tree.update(note=[*tree.get("note", []), {"text": OF_ANOTHER}]))  # type: ignore[misc]
    else:
        here.change("Goal", goal["id"], lambda tree: tree.update(description={"text": OF_ANOTHER}))


@pytest.mark.parametrize("what", ["goal", "note", "words"])
@pytest.mark.parametrize("way", ["blank", "delete"])
async def test_what_a_wrong_chart_s_ehr_wrote_does_not_follow_to_the_right_one(way: str, what: str) -> None:
    """It may be of another patient: it stays here and is sent nowhere, and one item for its goal says so."""
    with world(retract=way) as here:
        first, second = await swapped(here)
        mine, wrong = await right_chart(here, first), await right_chart(here, second)
        edited(here, what, there(here, first, wrong))
        await run(here)
        assert OF_ANOTHER in msgspec.json.encode(await here.plan(first.id)).decode()
        await relinked(here, first, second)
        found = chart(here, mine)
        assert (first.goals[1].text in found, first.goals[0].text in found) == (True, what != "words")
        assert OF_ANOTHER not in found
        assert OF_ANOTHER in msgspec.json.encode(await here.plan(first.id)).decode()
        items = await here.store.read(lambda tx: tx.inbox.list(open_only=True))
        owner = first.goals[0].id
        if what == "goal":
            [owner] = [one.id for one in (await here.plan(first.id)).goals if one.text == OF_ANOTHER]
        why = "chart_left" if what == "goal" else "parts_of_a_chart_left"
        assert [(one.kind, one.owner, one.why) for one in items] == [("held", owner, why)]
        assert (await run(here)).writes == 0


async def test_what_somebody_here_writes_in_its_place_goes_to_the_right_chart() -> None:
    """Changed here, it is ours: the goal is made there, and nobody is asked any more."""
    with world(retract="blank") as here:
        first, second = await swapped(here)
        mine, wrong = await right_chart(here, first), await right_chart(here, second)
        edited(here, "words", there(here, first, wrong))
        await run(here)
        await relinked(here, first, second)
        await here.edit(first.id, first.goals[0].id, text="What this client wants")
        await run(here)
        assert "What this client wants" in chart(here, mine)
        assert await here.inbox() == []


async def test_linked_to_the_same_person_again_all_is_as_it_was() -> None:
    """Unlinked by mistake: what came from that very person's chart is the connection's again, and goes back to it."""
    with world(retract="blank") as here:
        first, second = await swapped(here)
        await relinked(here, first, second)
        mine = await right_chart(here, first)
        edited(here, "goal", there(here, first, mine))
        edited(here, "note", there(here, first, mine))
        await run(here)
        before = await here.plan(first.id)
        await relinked(here, first)
        goals = [one["description"]["text"] for one in here.sandbox.storage.resources("Goal")]  # type: ignore[index,call-overload]
        assert goals.count(OF_ANOTHER) == 1
        assert OF_ANOTHER in str(there(here, first, mine)["note"])
        assert await here.inbox() == []
        for _ in range(2):
            assert (await run(here)).writes == 0
        after = await here.plan(first.id)
        assert [one.text for one in after.goals] == [one.text for one in before.goals]
