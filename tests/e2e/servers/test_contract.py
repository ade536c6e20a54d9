"""What the sync relies on in a FHIR server: the same tests on the sandbox (plain), HAPI and Medplum, by our own client.

Where the servers differ, a row of DIFFERENCES says how, and the test of that row measures it on each of them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias, cast

import pytest

from fhirgoals.fhir.answers import Answer, Gone, NotFound, Several, Stale, Stored, UnknownOutcome
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.http import Http
from fhirgoals.fhir.transaction import Entry, answers_of, bundle_of, is_all_or_nothing
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.serve import serve
from tests.e2e.servers.schedule_oracle import ask

Json: TypeAlias = Any

SERVERS = ("sandbox", "hapi", "medplum")
SYSTEM = "urn:test:contract"
ELSEWHERE = "https://ehr.example/own"


@dataclass(frozen=True)
class Ehr:
    """One server, our client to it, and a patient of this test's own."""

    name: str
    url: str
    client: EhrClient
    patient: str

    def goal(self, **more: Json) -> Json:
        """Return a new goal of the patient with an identifier that no other has."""
        return {
            "resourceType": "Goal",
            "identifier": [{"system": SYSTEM, "value": uuid.uuid4().hex}],
            "lifecycleStatus": "active",
            "description": {"text": "Walk twice a week"},
            "subject": {"reference": self.patient},
            **more,
        }

    async def create(self, goal: Json) -> Answer:
        return await self.client.create("Goal", goal, if_none_exist=condition(goal))

    async def made(self, **more: Json) -> Stored:
        return stored(await self.create(self.goal(**more)))

    async def update(self, before: Stored, etag: str | None = None, **more: Json) -> Answer:
        """Update a goal; `None` takes a field away."""
        tree = {**body(before), **more}
        tree = {name: value for name, value in tree.items() if value is not None}
        return await self.client.update("Goal", id_of(before), tree, etag or before.etag)

    async def read(self, one: Stored) -> Answer:
        return await self.client.read("Goal", id_of(one))

    async def found(self, *params: tuple[str, str], fresh: bool = True) -> list[str]:
        """Return the ids that a search finds, in no order."""
        result = await self.client.search("Goal", params, fresh=fresh)
        assert result.complete
        return sorted(str(tree["id"]) for tree in result.entries)


@pytest.fixture(scope="module")
def sandbox_url() -> Any:
    with serve({"ehr": Sandbox().app}) as urls:
        yield urls["ehr"]


async def opened(name: str, url: str, http: Http, page_size: int = 100) -> Ehr:
    client = EhrClient(url, http, clock=lambda: datetime.now(UTC), connection=name, page_size=page_size)
    made = ask(url, "POST", "Patient", {"resourceType": "Patient"})
    assert made.status == 201
    return Ehr(name, url, client, f"Patient/{made.tree()['id']}")


@pytest.fixture(params=SERVERS)
async def ehr(request: pytest.FixtureRequest) -> AsyncIterator[Ehr]:
    name = request.param
    url = request.getfixturevalue("sandbox_url") if name == "sandbox" else request.getfixturevalue(name).url
    async with Http() as http:
        yield await opened(name, url, http)


def condition(goal: Json) -> str:
    identifier = goal["identifier"][0]
    return f"identifier={identifier['system']}|{identifier['value']}"


def stored(answer: Answer) -> Stored:
    assert isinstance(answer, Stored), answer
    return answer


def body(one: Stored) -> Json:
    assert one.tree is not None
    return dict(one.tree)


def id_of(one: Stored) -> str:
    assert one.resource_id is not None
    return one.resource_id


def value_of(one: Stored) -> str:
    return cast(str, body(one)["identifier"][0]["value"])


def content(tree: Json) -> Json:
    return {name: value for name, value in tree.items() if name not in ("id", "meta", "text")}


# -- the same everywhere -----------------------------------------------------------------------------------------------


async def test_a_conditional_create_makes_one(ehr: Ehr) -> None:
    """The first makes it and says so; the second, also with another content, gives the first one back."""
    goal = ehr.goal()
    first = stored(await ehr.create(goal))
    second = stored(await ehr.create({**goal, "lifecycleStatus": "on-hold"}))
    assert (first.created, second.created) == (True, False)
    assert first.resource_id == second.resource_id
    assert body(stored(await ehr.read(first)))["lifecycleStatus"] == "active"


async def test_creates_at_once_make_one(ehr: Ehr) -> None:
    """Of eight at the same time one is stored; the others are told so or are left in doubt, none is refused."""
    goal = ehr.goal()
    answers = await asyncio.gather(*(ehr.create(goal) for _ in range(8)))
    ids = {one.resource_id for one in answers if isinstance(one, Stored)}
    assert len(ids) == 1
    assert all(isinstance(one, Stored) or one == UnknownOutcome("conflict", status=409) for one in answers)
    assert await ehr.found(("identifier", f"{SYSTEM}|{goal['identifier'][0]['value']}")) == [*ids]


async def test_a_create_over_two_of_that_identifier_is_for_a_person(ehr: Ehr) -> None:
    """Two resources with one identifier: no third is made and neither is taken."""
    goal = ehr.goal()
    for _ in range(2):
        assert ask(ehr.url, "POST", "Goal", goal).status == 201
    assert await ehr.create(goal) == Several(412)
    assert len(await ehr.found(("identifier", condition(goal).partition("=")[2]))) == 2


async def test_an_update_goes_over_the_version_that_it_names(ehr: Ehr) -> None:
    """The current ETag is taken and a new one given; the old one is refused and changes nothing."""
    first = await ehr.made()
    second = stored(await ehr.update(first, lifecycleStatus="on-hold"))
    assert second.etag not in (None, first.etag)
    assert isinstance(await ehr.update(first, lifecycleStatus="cancelled"), Stale)
    now = stored(await ehr.read(first))
    assert (body(now)["lifecycleStatus"], now.etag, now.version) == ("on-hold", second.etag, second.version)


async def test_an_etag_in_the_reply_is_the_one_of_a_read_and_of_a_search(ehr: Ehr) -> None:
    """The three say the same, and the version in the body makes the same ETag."""
    made = await ehr.made()
    read = stored(await ehr.read(made))
    [tree] = (await ehr.client.search("Goal", [("identifier", f"{SYSTEM}|{value_of(made)}")])).entries
    assert made.etag_source == "header"
    assert made.etag == read.etag == f'W/"{tree["meta"]["versionId"]}"'  # type: ignore[index,call-overload]


async def test_history_gives_every_version_newest_first(ehr: Ehr) -> None:
    """Three versions with their content, by history and by vread."""
    one = await ehr.made()
    versions = [one]
    for status in ("on-hold", "completed"):
        versions.append(stored(await ehr.update(versions[-1], lifecycleStatus=status)))
    history = await ehr.client.history("Goal", id_of(one))
    assert history is not None
    assert [each.version for each in history] == [each.version for each in reversed(versions)]
    assert [each.tree["lifecycleStatus"] for each in history if each.tree] == ["completed", "on-hold", "active"]
    for each in versions:
        assert each.version is not None
        then = stored(await ehr.client.vread("Goal", id_of(one), each.version))
        assert (then.version, content(body(then))) == (each.version, content(body(each)))


async def test_a_long_history_is_read_to_its_end(ehr: Ehr) -> None:
    """Twenty-five versions, more than HAPI gives on a page by itself."""
    one = await ehr.made()
    for number in range(24):
        one = stored(await ehr.update(one, description={"text": f"Walk {number}"}))
    history = await ehr.client.history("Goal", id_of(one))
    assert history is not None
    assert len({each.version for each in history}) == 25


async def test_a_deleted_goal_is_gone(ehr: Ehr) -> None:
    """A delete says done, also when done again; a read says gone, a search finds nothing."""
    one = await ehr.made()
    assert isinstance(await ehr.client.delete("Goal", id_of(one), one.etag), Gone)
    assert isinstance(await ehr.read(one), Gone | NotFound)
    assert await ehr.found(("identifier", f"{SYSTEM}|{value_of(one)}")) == []
    assert isinstance(await ehr.client.delete("Goal", id_of(one), one.etag), Gone | NotFound)


async def test_what_was_never_there_is_not_found(ehr: Ehr) -> None:
    """A read of an unknown id is no deletion."""
    assert await ehr.client.read("Goal", str(uuid.uuid4())) == NotFound(404)


async def test_a_deleted_goal_can_be_created_anew(ehr: Ehr) -> None:
    """A conditional create after a delete makes another one: what is shared again is there again."""
    goal = ehr.goal()
    one = stored(await ehr.create(goal))
    await ehr.client.delete("Goal", id_of(one), one.etag)
    again = stored(await ehr.create(goal))
    assert again.created
    assert again.resource_id != one.resource_id


async def test_a_search_finds_by_identifier_and_by_patient(ehr: Ehr) -> None:
    """By system and value only that one; by patient all of that patient and no other's."""
    ones = [await ehr.made() for _ in range(3)]
    async with Http() as http:
        other = await opened(ehr.name, ehr.url, http)
        theirs = await other.made()
    assert await ehr.found(("identifier", f"{SYSTEM}|{value_of(ones[0])}")) == [ones[0].resource_id]
    assert await ehr.found(("identifier", f"urn:other|{value_of(ones[0])}")) == []
    assert await ehr.found(("patient", ehr.patient)) == sorted(id_of(one) for one in ones)
    assert await ehr.found(("patient", other.patient)) == [theirs.resource_id]


async def test_a_search_is_read_to_its_end(ehr: Ehr) -> None:
    """Seven goals by pages of three: each is found once, by links or without."""
    ids = sorted([id_of(await ehr.made()) for _ in range(7)])
    async with Http() as http:
        small = EhrClient(ehr.url, http, clock=lambda: datetime.now(UTC), page_size=3)
        result = await small.search("Goal", [("patient", ehr.patient)])
    assert sorted(str(tree["id"]) for tree in result.entries) == ids
    assert result.pages >= 3
    assert result.complete


async def test_a_fresh_search_sees_what_was_written_before_it(ehr: Ehr) -> None:
    """The same search over and over: a create, an update and a delete are each seen at once."""
    search = [("patient", ehr.patient)]

    async def states() -> list[Json]:
        return [tree["lifecycleStatus"] for tree in (await ehr.client.search("Goal", search)).entries]

    assert await states() == []
    one = await ehr.made()
    assert await states() == ["active"]
    two = stored(await ehr.update(one, lifecycleStatus="on-hold"))
    assert await states() == ["on-hold"]
    await ehr.client.delete("Goal", id_of(two), two.etag)
    assert await states() == []


async def test_what_we_do_not_know_is_kept(ehr: Ehr) -> None:
    """An extension of others, nested, with a code and a date of less than a day, comes back as it was sent."""
    extension = {
        "url": ELSEWHERE,
        "extension": [{"url": "a", "valueCode": "b"}, {"url": "when", "valueDateTime": "2026-11"}],
    }
    goal = ehr.goal(
        extension=[extension],
        note=[{"authorString": "A nurse", "time": "2026-11-06T09:00:00+01:00", "text": "Ä “quoted” line\nand another"}],
        target=[{"id": "due", "extension": [extension], "dueDate": "2026-12-01"}],
    )
    made = stored(await ehr.create(goal))
    assert content(body(stored(await ehr.read(made)))) == content(goal)


async def test_an_operation_id_comes_back_with_the_version_that_bore_it(ehr: Ehr) -> None:
    """`meta.source` up to a `#` is what was sent, in the current version and in the one before."""
    one = await ehr.made(meta={"source": "urn:uuid:1"})
    two = stored(await ehr.update(one, meta={"source": "urn:uuid:2"}, lifecycleStatus="on-hold"))
    history = await ehr.client.history("Goal", id_of(two))
    assert history is not None
    sources = [str(each.tree["meta"]["source"]).partition("#")[0] for each in history if each.tree]  # type: ignore[index,call-overload]
    assert sources == ["urn:uuid:2", "urn:uuid:1"]


async def test_labels_can_be_taken_away(ehr: Ehr) -> None:
    """With the header X-Meta-Snapshot-Mode HAPI takes `meta.security` as it is sent; the others do so anyway."""
    assert await left_after_an_update_without(ehr, "security", x_meta_snapshot_mode="SECURITY_LABEL") == []


# -- transactions ------------------------------------------------------------------------------------------------------


def changed(one: Stored, etag: str | None = None, **more: Json) -> Entry:
    """Return the entry that updates a goal."""
    return Entry("Goal", {**body(one), **more}, id_of(one), etag or one.etag)


async def transacted(ehr: Ehr, *entries: Entry) -> tuple[Answer, tuple[Answer, ...]]:
    """Send a transaction; return what was answered to the whole, and to each."""
    answer = await ehr.client.transact(bundle_of(entries), len(entries))
    if not isinstance(answer, Stored):
        return answer, ()
    answers = answers_of(entries, body(answer), now=datetime.now(UTC))
    assert answers is not None
    assert is_all_or_nothing(body(answer))
    return answer, answers


async def test_a_transaction_is_answered_entry_by_entry(ehr: Ehr) -> None:
    """Update and conditional create in one, each in its place; sent again, the update is stale and nothing doubles."""
    one, new = await ehr.made(), ehr.goal()
    entries = changed(one, lifecycleStatus="on-hold"), Entry("Goal", new, search=condition(new))
    _, answers = await transacted(ehr, *entries)
    update, create = map(stored, answers)
    assert (update.resource_id, create.created) == (one.resource_id, True)
    assert body(stored(await ehr.read(one)))["lifecycleStatus"] == "on-hold"
    assert content(body(stored(await ehr.read(create)))) == content(new)
    assert update.version is not None
    assert update.version != one.version
    await transacted(ehr, *entries)
    assert await ehr.found(("identifier", f"{SYSTEM}|{new['identifier'][0]['value']}")) == [create.resource_id]


async def test_a_create_in_a_transaction_that_found_one_says_so(ehr: Ehr) -> None:
    """The one that was there comes back, as it was."""
    one = await ehr.made()
    again = {
        **{key: value for key, value in body(one).items() if key not in ("id", "meta")},
        "lifecycleStatus": "on-hold",
    }
    other = await ehr.made()
    _, answers = await transacted(
        ehr, Entry("Goal", again, search=condition(again)), changed(other, lifecycleStatus="on-hold")
    )
    found = stored(answers[0])
    assert (found.resource_id, found.created) == (one.resource_id, False)
    assert body(stored(await ehr.read(one)))["lifecycleStatus"] == "active"


async def test_a_create_with_our_id_is_not_held_by_a_condition_in_a_transaction(ehr: Ehr) -> None:
    """Both real servers go over what is there in spite of `ifNoneMatch: *`: the sync sends such creates alone."""
    own, other = uuid.uuid4().hex, await ehr.made()
    first = {**ehr.goal(), "id": own}
    await transacted(ehr, Entry("Goal", first, own), changed(other, lifecycleStatus="on-hold"))
    await ehr.client.transact(bundle_of([Entry("Goal", {**first, "lifecycleStatus": "cancelled"}, own)]), 1)
    left = body(stored(await ehr.client.read("Goal", own)))["lifecycleStatus"]
    assert left == ("active" if ehr.name == "sandbox" else "cancelled")


async def test_labels_can_be_taken_away_in_a_transaction(ehr: Ehr) -> None:
    """The header X-Meta-Snapshot-Mode of the whole request holds for its entries."""
    label = {"security": [{"system": ELSEWHERE, "code": "board"}]}
    one, two = await ehr.made(meta=label), await ehr.made(meta=label)
    await transacted(ehr, *(changed(each, meta={}, lifecycleStatus="on-hold") for each in (one, two)))
    for each in (one, two):
        now = body(stored(await ehr.read(each)))
        assert (now["lifecycleStatus"], now["meta"].get("security", [])) == ("on-hold", [])


# -- where they differ -------------------------------------------------------------------------------------------------


async def status_of_a_stale_update(ehr: Ehr) -> Json:
    one = await ehr.made()
    await ehr.update(one, lifecycleStatus="on-hold")
    answer = await ehr.update(one, lifecycleStatus="cancelled")
    assert isinstance(answer, Stale)
    return answer.status


async def status_of_an_etag_that_is_none(ehr: Ehr) -> Json:
    one = await ehr.made()
    return ask(ehr.url, "PUT", f"Goal/{one.resource_id}", body(one), if_match='W/"no such one"').status


async def a_stale_delete(ehr: Ehr) -> Json:
    one = await ehr.made()
    await ehr.update(one, lifecycleStatus="on-hold")
    await ehr.client.delete("Goal", id_of(one), one.etag)
    return "deletes" if isinstance(await ehr.read(one), Gone | NotFound) else "refused"


async def status_of_a_read_after_delete(ehr: Ehr) -> Json:
    one = await ehr.made()
    await ehr.client.delete("Goal", id_of(one), one.etag)
    return getattr(await ehr.read(one), "status", None)


async def versions_after_delete(ehr: Ehr) -> Json:
    one = await ehr.made()
    two = stored(await ehr.update(one, lifecycleStatus="on-hold"))
    await ehr.client.delete("Goal", id_of(one), two.etag)
    history = await ehr.client.history("Goal", id_of(one))
    return None if history is None else [each.tree is not None for each in history]


async def an_update_without_a_change(ehr: Ehr) -> Json:
    one = await ehr.made()
    return "same version" if stored(await ehr.update(one)).version == one.version else "new version"


async def an_update_of_the_source_alone(ehr: Ehr) -> Json:
    one = await ehr.made(meta={"source": "urn:uuid:1"})
    two = stored(await ehr.update(one, meta={"source": "urn:uuid:2"}))
    kept = body(stored(await ehr.read(two)))["meta"]["source"].partition("#")[0]
    return kept, "same version" if two.version == one.version else "new version"


async def decimals(ehr: Ehr) -> Json:
    target = {"measure": {"text": "pain"}, "detailQuantity": {"value": Decimal("7.10")}}
    made = stored(await ehr.create(ehr.goal(target=[target])))
    return str(body(stored(await ehr.read(made)))["target"][0]["detailQuantity"]["value"])


async def the_source_of_a_version(ehr: Ehr) -> Json:
    one = await ehr.made(meta={"source": "urn:uuid:1"})
    shown = body(stored(await ehr.read(one)))["meta"]["source"]
    return "as sent" if shown == "urn:uuid:1" else "with a request's id" if shown.startswith("urn:uuid:1#") else shown


async def the_source_after_an_update_without_one(ehr: Ehr) -> Json:
    one = await ehr.made(meta={"source": "urn:uuid:1"})
    two = stored(await ehr.update(one, meta={}, lifecycleStatus="on-hold"))
    source = body(stored(await ehr.read(two)))["meta"].get("source")
    return source if source is None else source.rpartition("#")[0] + "#"


async def left_after_an_update_without(ehr: Ehr, kind: str, **headers: str) -> list[str]:
    one = await ehr.made(meta={kind: [{"system": ELSEWHERE, "code": "board"}]})
    tree = {**body(one), "meta": {}, "lifecycleStatus": "on-hold"}
    assert ask(ehr.url, "PUT", f"Goal/{one.resource_id}", tree, **headers).status == 200
    return [each["code"] for each in body(stored(await ehr.read(one)))["meta"].get(kind, ())]


async def tags_after_an_update_without_them(ehr: Ehr) -> Json:
    return await left_after_an_update_without(ehr, "tag")


async def labels_after_an_update_without_them(ehr: Ehr) -> Json:
    return await left_after_an_update_without(ehr, "security")


async def an_old_search(ehr: Ehr) -> Json:
    await ehr.found(("patient", ehr.patient), fresh=False)
    await ehr.made()
    return len(await ehr.found(("patient", ehr.patient), fresh=False))


async def status_of_a_reference_to_nothing(ehr: Ehr) -> Json:
    return ask(ehr.url, "POST", "Goal", ehr.goal(subject={"reference": f"Patient/{uuid.uuid4()}"})).status


async def delete_of_what_a_care_plan_lists(ehr: Ehr) -> Json:
    one = await ehr.made()
    plan = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": {"reference": ehr.patient}}
    assert ask(ehr.url, "POST", "CarePlan", {**plan, "goal": [{"reference": f"Goal/{one.resource_id}"}]}).status == 201
    return type(await ehr.client.delete("Goal", id_of(one), one.etag)).__name__


async def status_of_a_put_on_a_deleted_id(ehr: Ehr) -> Json:
    one = await ehr.made()
    await ehr.client.delete("Goal", id_of(one), one.etag)
    return ask(ehr.url, "PUT", f"Goal/{one.resource_id}", body(one)).status


async def an_absolute_reference_to_itself(ehr: Ehr) -> Json:
    absolute = f"{ehr.url}/{ehr.patient}"
    made = ask(ehr.url, "POST", "Goal", {**ehr.goal(), "subject": {"reference": absolute}})
    return made.tree()["subject"]["reference"] == absolute if made.status == 201 else made.status


async def a_reference_to_a_version(ehr: Ehr) -> Json:
    version = f"{ehr.patient}/_history/{ask(ehr.url, 'GET', ehr.patient).tree()['meta']['versionId']}"
    kept = body(await ehr.made(subject={"reference": version}))["subject"]["reference"]
    return {version: "as sent", ehr.patient: "without the version"}[kept]


async def links_of_a_page(ehr: Ehr) -> Json:
    for _ in range(3):
        await ehr.made()
    page = ask(ehr.url, "GET", f"Goal?patient={ehr.patient}&_count=2").tree()
    return any(link["relation"] == "next" for link in page.get("link", ()))


async def history_of_a_type(ehr: Ehr) -> Json:
    await ehr.made()
    return ask(ehr.url, "GET", "Goal/_history?_count=1").status == 200


async def status_of_an_unknown_parameter(ehr: Ehr) -> Json:
    return ask(ehr.url, "GET", "Goal?no-such-parameter=1&_count=1").status


async def an_unknown_element(ehr: Ehr) -> Json:
    made = ask(ehr.url, "POST", "Goal", {**ehr.goal(), "noSuchElement": "x"})
    if made.status != 201:
        return made.status
    return "kept" if "noSuchElement" in ask(ehr.url, "GET", f"Goal/{made.tree()['id']}").tree() else "dropped"


async def a_code_outside_its_value_set(ehr: Ehr) -> Json:
    return ask(ehr.url, "POST", "Goal", {**ehr.goal(), "lifecycleStatus": "nonsense"}).status


async def a_transaction_with_a_stale_entry(ehr: Ehr) -> Json:
    one, two = await ehr.made(), await ehr.made()
    await ehr.update(two, priority={"text": "moved"})
    answer, _ = await transacted(ehr, changed(one, lifecycleStatus="on-hold"), changed(two, lifecycleStatus="on-hold"))
    left = body(stored(await ehr.read(one)))["lifecycleStatus"] == "on-hold"
    return getattr(answer, "status", None), "a half" if left else "nothing"


Probe: TypeAlias = Callable[[Ehr], Awaitable[Json]]

DIFFERENCES: Mapping[Probe, tuple[Json, Json, Json]] = {
    # what is measured                        sandbox, HAPI 8.8.0, Medplum 5.2.13
    status_of_a_stale_update: (412, 409, 412),
    status_of_an_etag_that_is_none: (412, 500, 412),
    a_transaction_with_a_stale_entry: ((412, "nothing"), (409, "nothing"), (412, "a half")),
    a_stale_delete: ("refused", "deletes", "refused"),
    status_of_a_read_after_delete: (410, 410, 404),
    versions_after_delete: ([False, True, True], [False, True, True], None),
    an_update_without_a_change: ("new version", "same version", "new version"),
    an_update_of_the_source_alone: (
        ("urn:uuid:2", "new version"),
        ("urn:uuid:1", "same version"),
        ("urn:uuid:2", "new version"),
    ),
    decimals: ("7.10", "7.10", "7.1"),
    the_source_of_a_version: ("as sent", "with a request's id", "as sent"),
    the_source_after_an_update_without_one: (None, "#", None),
    tags_after_an_update_without_them: ([], ["board"], []),
    labels_after_an_update_without_them: ([], ["board"], []),
    an_old_search: (1, 0, 1),
    status_of_a_reference_to_nothing: (201, 400, 201),
    delete_of_what_a_care_plan_lists: ("Gone", "Stale", "Gone"),
    status_of_a_put_on_a_deleted_id: (201, 201, 200),
    an_absolute_reference_to_itself: (True, 400, True),
    a_reference_to_a_version: ("as sent", "without the version", "as sent"),
    links_of_a_page: (True, True, False),
    history_of_a_type: (True, True, False),
    status_of_an_unknown_parameter: (400, 400, 200),
    an_unknown_element: ("kept", "dropped", "kept"),
    a_code_outside_its_value_set: (201, 400, 201),
}
"""How the servers differ, as measured; what a client must cope with."""


@pytest.mark.parametrize("probe", DIFFERENCES, ids=lambda probe: probe.__name__)
async def test_a_server_differs_as_the_table_says(ehr: Ehr, probe: Probe) -> None:
    """Each row is measured on each server."""
    assert await probe(ehr) == DIFFERENCES[probe][SERVERS.index(ehr.name)]


def test_each_row_is_a_difference_between_the_two_real_servers() -> None:
    """A row in which HAPI and Medplum agree belongs to the tests that are the same everywhere."""
    assert [probe.__name__ for probe, (_, hapi, medplum) in DIFFERENCES.items() if hapi == medplum] == []
