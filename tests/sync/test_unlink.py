"""Two clients in each other's chart: what was written is taken back, and then stands in the right ones (design 5.8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.errors import Refused
from fhirgoals.fhir.rest import Precondition
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
