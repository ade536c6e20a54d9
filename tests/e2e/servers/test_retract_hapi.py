"""HAPI: what may no longer be there is in no current version, by whatever way it is asked for (design 5.10, 5.8).

Asked by plain HTTP past our client: reads, searches by patient and identifier with what they can bring along, cached
ones too. What the history keeps is counted there and must be what the report says.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec
import pytest

from fhirgoals.domain.records import Plan, Withheld
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.guard import clear
from fhirgoals.sync.identify import confirm, fingerprint, link_identifier, match
from fhirgoals.sync.unlink import begin
from tests.e2e.servers.schedule_oracle import ask
from tests.e2e.servers.world import CONNECTION, START, World, behind_the_cut_proxy
from tests.plans import EXAMPLES, example
from tests.servers.fixtures import FhirServer

Json: TypeAlias = Any

DEPRESSION, OCD, _, _, ADOLESCENT = EXAMPLES
LUNCH = "h-lunch"
WAYS = ("blank", "entered_in_error", "delete")
TWO_LOOKS = timedelta(minutes=1)
"""Longer than the overlap between two looks at what is gone."""
STATES: Mapping[str, tuple[str, str]] = {
    "blank": ("cancelled", "revoked"),
    "entered_in_error": ("entered-in-error", "entered-in-error"),
}
"""The status of a Goal and of a CarePlan whose words were taken back."""

replace = msgspec.structs.replace


@dataclass
class Watch:
    """Everything at the server that once held a plan of ours, and the ways to ask for it."""

    world: World
    plans: Sequence[Plan]
    addresses: set[str] = field(default_factory=set)

    @property
    def base(self) -> str:
        return self.world.server.base_url

    def look(self) -> None:
        """Note all addresses of what is there now."""
        for kind in ("Goal", "CarePlan"):
            self.addresses |= {f"{kind}/{one['id']}" for one in self.world.resources(kind)}

    def questions(self) -> Iterator[str]:
        """Yield the requests that could show a current version of it."""
        system = quote(self.world.store.store.installation.identifier_system + "|")
        yield from sorted(self.addresses)
        for address in sorted(self.addresses):
            kind, _, resource_id = address.partition("/")
            yield f"{kind}?_id={resource_id}"
        for kind in ("Goal", "CarePlan"):
            yield f"{kind}?identifier={system}&_count=200"
        for patient in self.world.patients.values():
            yield from (f"{kind}?patient={patient}&_count=200" for kind in ("Goal", "CarePlan"))
            yield f"Goal?patient={patient}&_lastUpdated=ge2026-01-01&_sort=-_lastUpdated&_count=200"
            yield f"CarePlan?patient={patient}&_include=CarePlan:goal&_count=200"
            yield f"Patient?_id={patient.partition('/')[2]}&_revinclude=Goal:patient&_revinclude=CarePlan:patient"
            yield f"{patient}/$everything?_count=200"

    def replies(self) -> dict[str, bytes]:
        """Ask all of it, past the search cache and, for searches, out of it."""
        found: dict[str, bytes] = {}
        for question in self.questions():
            for cache in ("no-cache", "max-age=60"):
                answer = ask(self.base, "GET", question, cache_control=cache)
                assert answer.status in (200, 410), (question, answer.status, answer.body[:300])
                found[f"{question} ({cache})"] = answer.body
        return found

    def words(self, *goals: str) -> list[str]:
        """Return the texts of the plans, or of some of their goals, that could be sent at all."""
        texts: list[str | None] = []
        for plan in self.plans:
            texts += [] if goals else [plan.title, *(one.technique for one in plan.interventions)]
            for goal in plan.goals:
                if not goals or goal.id in goals:
                    texts += [goal.text, goal.client_words, goal.completion_criterion]
                    texts += [*(step.text for step in goal.steps), *(one.text for one in goal.progress)]
        return sorted({text for text in texts if text})

    def shown(self, *goals: str) -> set[str]:
        """Return the words that some reply shows."""
        replies = b"\n".join(self.replies().values()).decode()
        return {word for word in self.words(*goals) if json.dumps(word)[1:-1] in replies or word in replies}

    def versions_left(self, address: str) -> int:
        """Return how many versions with content HAPI's history shows beside a current one."""
        bundle = ask(self.base, "GET", f"{address}/_history?_count=200").tree()
        versions = [entry for entry in bundle.get("entry", ()) if "resource" in entry]
        gone = any(entry["request"]["method"] == "DELETE" for entry in bundle["entry"])
        if gone:  # HAPI leaves as many of the oldest out as there are deletions (measured); asked on it gives them
            more = ask(self.base, "GET", f"{address}/_history?_count=200&_offset={len(bundle['entry'])}").tree()
            versions += [entry for entry in more.get("entry", ()) if "resource" in entry]
        return len(versions) - (not gone)

    def check_report(self, counts: Counts, addresses: Mapping[str, str]) -> None:
        """Hold the report against the history, resource by resource; `addresses` are those by our id."""
        assert counts.retracted
        for one in counts.retracted:
            assert one["versions_left"] == self.versions_left(addresses[str(one["id"])]), one
            assert one["versions_left"] >= 1  # type: ignore[operator]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def sent(ehr: FhirServer, *plans: Plan, retract: str) -> AsyncIterator[Watch]:
    """Open a world in which the plans stand at HAPI and all their words that may be sent can be found there."""
    async with behind_the_cut_proxy(ehr.url, retract=retract) as world:
        await world.start(*plans)
        watch = Watch(world, plans)
        watch.look()
        yield watch


async def addresses(world: World) -> dict[str, str]:
    """Return the address there of each thing that is linked, by our id."""
    found: dict[str, str] = {}
    for plan in await world.store.read(lambda tx: tx.plans.ids()):
        for link in await world.store.read(lambda tx, plan=plan: tx.links.for_plan(CONNECTION, plan)):  # type: ignore[misc]
            found[link.local_id] = f"{link.kind}/{link.resource_id}"
    return found


async def consented(world: World, plan_id: str, **changes: object) -> None:
    """Change the consent to this connection."""
    plan = await world.plan(plan_id)
    consents = tuple(replace(one, **changes) if one.endpoint == CONNECTION else one for one in plan.disclosure.consents)
    await world.put(replace(plan, disclosure=replace(plan.disclosure, consents=consents)))


async def withheld(world: World, plan_id: str, goal_id: str) -> None:
    plan = await world.plan(plan_id)
    goals = tuple(replace(one, share="withheld") if one.id == goal_id else one for one in plan.goals)
    disclosure = replace(plan.disclosure, withheld=(Withheld(target=goal_id),))
    await world.put(replace(plan, goals=goals, disclosure=disclosure))


def taken_back(counts: Counts, way: str) -> set[str]:
    """Return our ids of what was taken back; the report also names those who lost a reference to it."""
    assert {one["way"] for one in counts.retracted} <= {way, "references"}
    return {str(one["id"]) for one in counts.retracted if one["way"] == way}


async def linked(world: World) -> None:
    """Find and link the people of the plans that may go there."""
    await match(world.store, world.client(), CONNECTION, by="it-1", clock=world.clock)
    at = world.clock()
    await world.store.write(lambda tx: confirm(tx, CONNECTION, None, by="it-1", at=at))


async def cleared(world: World) -> None:
    """Let the next run pass the guard, as a person does who looked."""
    at = world.clock()
    await world.store.write(lambda tx: clear(tx, CONNECTION, by="it-1", at=at))


def labels(watch: Watch) -> list[str]:
    """Return the sensitivity labels that stand there: they tell something too."""
    trees = [answer.tree() for one in sorted(watch.addresses) if (answer := ask(watch.base, "GET", one)).status == 200]
    return [label["code"] for tree in trees for label in tree["meta"].get("security", ())]


def texts(world: World) -> list[str]:
    """Return the text of every goal there."""
    return sorted(one["description"]["text"] for one in world.resources("Goal"))


def states(watch: Watch) -> dict[str, str]:
    """Return the status of each address, `gone` where a read says so."""
    found = {}
    for address in sorted(watch.addresses):
        answer = ask(watch.base, "GET", address)
        tree = answer.tree() if answer.status == 200 else {}
        found[address] = tree.get("lifecycleStatus") or tree.get("status") or "gone"
    return found


async def test_a_withheld_goal_is_in_no_reply(hapi: FhirServer, way: str) -> None:
    """Withheld after it was sent: no word of it by any question, nothing refers to it, and the report is true."""
    plan = example(ADOLESCENT)
    async with sent(hapi, plan, retract=way) as watch:
        world = watch.world
        assert watch.shown(LUNCH)
        before = await addresses(world)
        await withheld(world, plan.id, LUNCH)
        counts = await world.sync()
        assert taken_back(counts, way) == {LUNCH}
        assert watch.shown(LUNCH) == set()
        watch.check_report(counts, before)
        current = json.dumps([*world.resources("Goal"), *world.resources("CarePlan")], default=str)
        assert f'"{before[LUNCH]}"' not in current
        assert states(watch)[before[LUNCH]] == STATES.get(way, ("gone",))[0]
        assert await world.inbox() == []
        await world.quiet()


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_the_end_of_a_consent_leaves_no_word(hapi: FhirServer, way: str, how: str) -> None:
    """Revoked or run out by the calendar: six resources at once wait for a person, then no reply has a word of them."""
    plan = example(ADOLESCENT)
    async with sent(hapi, plan, retract=way) as watch:
        world = watch.world
        before = await addresses(world)
        assert len(watch.shown()) > 10
        assert len(labels(watch)) >= 6
        if how == "expired":
            world.now = START.replace(year=2027, month=9)
        else:
            await consented(world, plan.id, expires=date(2026, 11, 5))
        assert (await world.sync()).writes == 0
        assert await world.inbox() == [("guard", plan.id, None)]
        await cleared(world)
        counts = await world.sync()
        assert taken_back(counts, way) == before.keys()
        assert watch.shown() == set()
        watch.check_report(counts, before)
        wanted = dict(zip(("Goal", "CarePlan"), STATES.get(way, ("gone", "gone")), strict=True))
        assert labels(watch) == []
        assert states(watch) == {one: wanted[one.partition("/")[0]] for one in watch.addresses}
        assert await world.inbox() == []
        await world.quiet()


async def test_granted_revoked_and_granted_again(hapi: FhirServer, way: str) -> None:
    """Before a consent nothing is asked there; granted, all is there; revoked, nothing; granted again, all once."""
    plan = example(ADOLESCENT)
    consents = tuple(replace(one, granted=None) for one in plan.disclosure.consents)
    silent = replace(plan, disclosure=replace(plan.disclosure, consents=consents))
    async with behind_the_cut_proxy(hapi.url, retract=way) as world:
        await world.connect(silent)
        watch = Watch(world, (plan,))
        asked = len(world.proxy.exchanges)
        assert (await world.sync()).writes == 0
        assert len(world.proxy.exchanges) == asked
        await consented(world, plan.id, granted=date(2026, 11, 6))
        await linked(world)
        assert (await world.sync()).created == 6
        watch.look()
        shown, before = watch.shown(), texts(world)
        assert len(shown) > 10
        await consented(world, plan.id, expires=date(2026, 11, 5))
        await cleared(world)
        await world.rest()
        assert watch.shown() == set()
        assert labels(watch) == []
        await consented(world, plan.id, expires=date(2027, 11, 5))
        await world.rest()
        watch.look()
        assert watch.shown() == shown
        assert texts(world) == before
        assert await world.inbox() == []
        await world.quiet()


async def crossed(world: World, plans: Sequence[Plan]) -> dict[str, str]:
    """Link two clients to each other's patient, as a person may do by hand; return the patient of each by right."""
    clients = [plan.client for plan in plans if plan.client is not None]
    right = {one.id: world.patients[one.id] for one in clients}
    at = world.clock()

    def cross(tx: Any) -> None:
        for one in clients:
            tx.people.unlink(CONNECTION, "Patient", one.id)
        for one, other in zip(clients, reversed(clients), strict=True):
            identifier = link_identifier(world.store.store.installation, "Patient", other.id)
            mark = fingerprint(identifier, other.birth_date.isoformat())
            tx.people.link(
                CONNECTION,
                "Patient",
                one.id,
                right[other.id],
                fingerprint=mark,
                by="it-1",
                at=at,
                status="confirmed",
            )

    await world.store.write(cross)
    return right


async def unlinked(world: World, plan: Plan) -> None:
    client, at = plan.client, world.clock()
    assert client is not None
    await world.store.write(
        lambda tx: begin(tx, CONNECTION, client.id, retract=True, by="it-1", reason="wrong_chart", at=at)
    )


def in_chart(base: str, patient: str) -> str:
    """Return everything that a patient's chart shows."""
    kinds = (f"{kind}?patient={patient}&_count=200" for kind in ("Goal", "CarePlan"))
    return "\n".join(ask(base, "GET", one).body.decode() for one in (*kinds, f"{patient}/$everything?_count=200"))


def count_in(plan: Plan, chart: str) -> int:
    return sum(json.dumps(goal.text)[1:-1] in chart or str(goal.text) in chart for goal in plan.goals)


async def test_two_swapped_clients_are_mended(hapi: FhirServer, way: str, figure: Callable[[str], None]) -> None:
    """Twenty-three goals in each other's chart: taken back, linked anew and sent again; the report is true."""
    began = time.monotonic()
    plans = (example(DEPRESSION), example(OCD))
    async with behind_the_cut_proxy(hapi.url, retract=way) as world:
        await world.connect(*plans)
        right = await crossed(world, plans)
        await world.rest()
        watch = Watch(world, plans)
        watch.look()
        before = await addresses(world)
        charts = [right[plan.client.id] for plan in plans if plan.client is not None]
        found = [[count_in(plan, in_chart(watch.base, one)) for one in charts] for plan in plans]
        assert found == [[0, 14], [9, 0]]
        for plan in plans:
            await unlinked(world, plan)
        counts = await world.sync()
        assert len(taken_back(counts, way)) == len(before) == 14 + 9 + 2
        assert watch.shown() == set()
        assert labels(watch) == []
        watch.check_report(counts, before)
        await linked(world)
        await world.rest()
        found = [[count_in(plan, in_chart(watch.base, one)) for one in charts] for plan in plans]
        assert found == [[14, 0], [0, 9]]
        assert await world.inbox() == []
        await world.quiet()
        figure(f"25 resources taken back ({way}) and sent again: {time.monotonic() - began:.1f} s")


async def test_what_somebody_elses_care_plan_lists_is_blanked_and_deleted_once_that_is_gone(hapi: FhirServer) -> None:
    """HAPI deletes nothing that is referred to (409): the words go at once, the rest when it may."""
    plan = example(ADOLESCENT)
    async with sent(hapi, plan, retract="delete") as watch:
        world = watch.world
        before = await addresses(world)
        text = plan.goal(LUNCH).text
        [subject] = {one["subject"]["reference"] for one in world.resources("Goal")}
        theirs = {
            "resourceType": "CarePlan",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": subject},
            "goal": [{"reference": before[LUNCH]}],
        }
        made = ask(watch.base, "POST", "CarePlan", theirs)
        assert made.status == 201
        await withheld(world, plan.id, LUNCH)
        counts = await world.sync()
        assert taken_back(counts, "blank") == {LUNCH}
        await world.quiet()
        goal = ask(watch.base, "GET", before[LUNCH]).tree()
        assert text not in json.dumps(goal)
        assert await items(world) == [("held", LUNCH, "Goal", "refused")]
        assert ask(watch.base, "DELETE", f"CarePlan/{made.tree()['id']}").status == 200
        world.now += timedelta(hours=2)
        assert taken_back(await world.sync(), "delete") == {LUNCH}
        assert ask(watch.base, "GET", before[LUNCH]).status == 410
        assert await items(world) == []
        await world.quiet()


# -- leave -------------------------------------------------------------------------------------------------------------


async def items(world: World) -> list[tuple[str, str | None, str | None, str]]:
    found = await world.store.read(lambda tx: tx.inbox.list(open_only=True))
    return sorted((one.kind, one.owner, one.unit, one.why) for one in found)


async def test_left_a_withheld_goal_is_named_and_stands_alone(hapi: FhirServer) -> None:
    """Its own words stay and an item says so; the care plan, its parent and the narrative name it no more."""
    plan = example(ADOLESCENT)
    async with sent(hapi, plan, retract="leave") as watch:
        world = watch.world
        before = await addresses(world)
        text = plan.goal(LUNCH).text
        await withheld(world, plan.id, LUNCH)
        counts = await world.rest()
        assert taken_back(counts, "leave") == set()
        watch.check_report(counts, before)
        assert await items(world) == [("retract", LUNCH, None, "no_longer_disclosed")]
        goal = ask(watch.base, "GET", before[LUNCH]).tree()
        assert goal["description"]["text"] == text
        others = [one for one in (*world.resources("Goal"), *world.resources("CarePlan")) if one["id"] != goal["id"]]
        shown = json.dumps(others, default=str)
        assert text not in shown
        assert f'"{before[LUNCH]}"' not in shown
        await world.quiet()


async def test_left_after_a_revocation_the_plan_is_named(hapi: FhirServer) -> None:
    """All stays as it was, to the byte, and one item says of the plan that it is still there."""
    plan = example(ADOLESCENT)
    async with sent(hapi, plan, retract="leave") as watch:
        world = watch.world
        before = {one: ask(watch.base, "GET", one).body for one in watch.addresses}
        await consented(world, plan.id, expires=date(2026, 11, 5))
        assert (await world.rest()).writes == 0
        assert {one: ask(watch.base, "GET", one).body for one in watch.addresses} == before
        [(kind, owner, _, _)] = await items(world)
        assert (kind, owner) == ("retract", plan.id)
        await world.quiet()


async def test_left_in_a_wrong_chart_each_resource_is_named(hapi: FhirServer) -> None:
    """One item for each of the six; taken out by hand there and not seen in two looks, the items close."""
    plan = example(ADOLESCENT)
    async with sent(hapi, plan, retract="leave") as watch:
        world = watch.world
        await unlinked(world, plan)
        assert (await world.rest()).writes == 0
        found = await items(world)
        assert {(one[0], one[3]) for one in found} == {("retract", "wrong_chart")}
        assert len(found) == len(watch.addresses) == 6
        for one in sorted(watch.addresses):  # the care plan first: HAPI deletes no goal that it lists
            assert ask(watch.base, "DELETE", one).status == 200
        await world.rest()
        assert len(await items(world)) == 6  # a 410 may pass: one look does not say that it is gone for good
        world.now += TWO_LOOKS
        await world.rest()
        assert await world.inbox() == []


async def test_full_text_search_is_not_offered_here(hapi: FhirServer) -> None:
    """This HAPI refuses `_content` and `_text`: were it to offer them, the questions above must ask so too."""
    for parameter in ("_content", "_text"):
        answer = ask(hapi.url, "GET", f"Goal?{parameter}=lunch")
        assert answer.status == 400, parameter
