"""Search and paging of the REST core."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from fhirgoals.fhir.rest.periods import span_of
from fhirgoals.sandbox.ehr import Sandbox

START = datetime(2026, 11, 6, 9, 0, 0, 250000, tzinfo=UTC)

RESOURCES = {
    "Goal/g1": {
        "identifier": [{"system": "urn:s", "value": "a,1"}, {"value": "bare"}],
        "lifecycleStatus": "active",
        "category": [{"coding": [{"system": "urn:c", "code": "diet"}, {"code": "local"}]}, {"text": "words"}],
        "subject": {"reference": "Patient/p1"},
    },
    "Goal/g2": {
        "identifier": [{"system": "urn:other", "value": "a,1"}],
        "lifecycleStatus": "completed",
        "subject": {"reference": "http://ehr.test/fhir/Patient/p2/_history/4"},
    },
    "Goal/g3": {"lifecycleStatus": "active", "subject": {"reference": "Group/p1"}, "category": "wrong shape"},
    "Goal/g4": {"lifecycleStatus": "draft", "subject": {"reference": "https://else.where/fhir/Patient/p1"}},
    "CarePlan/c1": {"status": "active", "subject": {"reference": "Patient/p1"}, "period": {"start": "2026-09-01"}},
    "CarePlan/c2": {"status": "revoked", "period": {"start": "2026-01-01", "end": "2026-03-31"}},
    "Patient/p1": {"birthDate": "1990-04-01", "identifier": [{"system": "urn:mrn", "value": "7"}]},
    "RelatedPerson/r1": {"patient": {"reference": "Patient/p1"}, "birthDate": "1988"},
    "Condition/d1": {"subject": {"reference": "Patient/p1"}},
    "Task/t1": {"identifier": [{"value": "task"}]},
}


@pytest.fixture
def sandbox() -> Sandbox:
    ticks = itertools.count()
    sandbox = Sandbox(clock=lambda: START + timedelta(seconds=next(ticks)))
    for key, content in RESOURCES.items():
        type_, id_ = key.split("/")
        sandbox.storage.update(type_, id_, {"resourceType": type_, "id": id_, **content})
    return sandbox


@pytest.fixture
async def ehr(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=sandbox.app), base_url="http://ehr.test/fhir"
    ) as client:
        yield client


async def found(ehr: httpx.AsyncClient, search: str) -> list[str]:
    reply = await ehr.get(search)
    assert reply.status_code == 200, reply.text
    return [entry["resource"]["id"] for entry in reply.json().get("entry", [])]


@pytest.mark.parametrize(
    ("search", "ids"),
    [
        ("/Goal", ["g1", "g2", "g3", "g4"]),
        ("/Goal?_id=g3,g1,none", ["g1", "g3"]),
        ("/Goal?identifier=urn:s|a\\,1", ["g1"]),
        ("/Goal?identifier=a\\,1", ["g1", "g2"]),
        ("/Goal?identifier=|bare", ["g1"]),
        ("/Goal?identifier=|a\\,1", []),
        ("/Goal?identifier=urn:other|", ["g2"]),
        ("/Goal?identifier=urn:s|a\\,1,urn:other|a\\,1", ["g1", "g2"]),
        ("/Goal?identifier=a\\,1&identifier=bare", ["g1"]),
        ("/Goal?patient=p1", ["g1"]),
        ("/Goal?patient=Patient/p1", ["g1"]),
        ("/Goal?patient=http://ehr.test/fhir/Patient/p2", ["g2"]),
        ("/Goal?patient=https://else.where/fhir/Patient/p1", ["g4"]),
        ("/Goal?subject=p1", ["g1", "g3"]),
        ("/Goal?subject=Group/p1", ["g3"]),
        ("/Goal?subject=Patient/p1,Patient/p2", ["g1", "g2"]),
        ("/Goal?lifecycle-status=active", ["g1", "g3"]),
        ("/Goal?lifecycle-status=active,draft&patient=p1", ["g1"]),
        ("/Goal?lifecycle-status=http://hl7.org/fhir/goal-status|draft", ["g4"]),
        ("/Goal?category=diet", ["g1"]),
        ("/Goal?category=urn:c|diet", ["g1"]),
        ("/Goal?category=|local", ["g1"]),
        ("/Goal?category=urn:c|local", []),
        ("/CarePlan?patient=p1", ["c1"]),
        ("/CarePlan?status=revoked,active", ["c1", "c2"]),
        ("/CarePlan?date=ge2026-04-01", ["c1"]),
        ("/CarePlan?date=le2026-03-01", ["c2"]),
        ("/CarePlan?date=ge2026-03-31&date=lt2026-09-01", ["c2"]),
        ("/Patient?birthdate=1990-04-01&identifier=urn:mrn|7", ["p1"]),
        ("/Patient?birthdate=1990", ["p1"]),
        ("/Patient?birthdate=ne1990-04-01", []),
        ("/RelatedPerson?patient=p1", ["r1"]),
        ("/RelatedPerson?birthdate=1988-01-01", []),
        ("/Condition?patient=p1", ["d1"]),
        ("/Condition?subject=Patient/p1", ["d1"]),
        ("/Task?identifier=task", ["t1"]),
    ],
)
async def test_search_finds_what_matches(ehr: httpx.AsyncClient, search: str, ids: list[str]) -> None:
    """Each parameter filters as R4 says; several are ANDed, comma values ORed; a wrong shape never matches."""
    assert await found(ehr, search) == ids


@pytest.mark.parametrize(
    ("prefix", "ids"),
    [
        ("ge2026-11-06T09:00:02.250Z", ["g3", "g4"]),
        ("gt2026-11-06T09:00:02.250Z", ["g4"]),
        ("le2026-11-06T09:00:01.250Z", ["g1", "g2"]),
        ("lt2026-11-06T09:00:01.250Z", ["g1"]),
        ("2026-11-06T09:00:01.250Z", ["g2"]),
        ("gt2026-11-06T09:00:02Z", ["g4"]),
        ("ge2026-11-06T09:00:02Z", ["g3", "g4"]),
        ("ge2026-11-06T10:00:02%2B01:00", ["g3", "g4"]),
        ("ge2026-11-07", []),
        ("2026-11-06", ["g1", "g2", "g3", "g4"]),
    ],
)
async def test_last_updated_compares_with_its_precision(ehr: httpx.AsyncClient, prefix: str, ids: list[str]) -> None:
    """`gt` cut to whole seconds misses that second, as on HAPI and Medplum; `ge` and full precision do not."""
    assert await found(ehr, f"/Goal?_lastUpdated={prefix}") == ids


async def test_search_by_post_equals_search_by_get(ehr: httpx.AsyncClient) -> None:
    """POST _search takes the form's parameters together with those of the URL."""
    reply = await ehr.post("/Goal/_search?patient=p1", data={"lifecycle-status": "active"})

    assert [entry["resource"]["id"] for entry in reply.json()["entry"]] == ["g1"]
    assert (await ehr.post("/Goal/_search")).json()["total"] == 4
    assert (await ehr.post("/Goal/_search", json={})).status_code == 415


@pytest.mark.parametrize(
    "search",
    [
        "/Goal?name=x",
        "/Goal?patient:Patient=p1",
        "/Goal?description=SECRET",
        "/CarePlan?lifecycle-status=active",
        "/Practitioner?birthdate=1990",
        "/Task?patient=p1",
        "/Goal?_sort=_lastUpdated",
        "/Goal?identifier=",
        "/Goal?identifier=a,",
        "/Goal?identifier=|",
        "/Goal?patient=Group/p1",
        "/Goal?_lastUpdated=SECRET",
        "/Goal?_lastUpdated=ap2026",
        "/Goal?_lastUpdated=ge2026-13-01",
        "/Goal?_lastUpdated=ge2026-11-06T10:00:02+01:00",
        "/Goal?_count=x",
        "/Goal?_count=-1",
        "/Goal?_count=1&_count=2",
        "/Goal?%00SECRET=1",
        "/Goal?identifier=%ff",
        "/Goal?" + "_id=x&" * 101,
    ],
)
async def test_unknown_or_bad_parameter_is_refused(ehr: httpx.AsyncClient, search: str) -> None:
    """Strict search: 400 with an OperationOutcome that shows no value, never a filter left out."""
    reply = await ehr.get(search)

    assert reply.status_code == 400
    assert reply.json()["resourceType"] == "OperationOutcome"
    assert "SECRET" not in reply.text


async def test_pages_hold_everything_once(ehr: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Following `next` shows each match once, though resources are changed, deleted and added between the pages."""
    for n in range(20):
        sandbox.storage.update("Goal", f"n{n:02}", {"resourceType": "Goal", "id": f"n{n:02}", "lifecycleStatus": "x"})

    bundle = (await ehr.get("/Goal?lifecycle-status=x&_count=6")).json()
    pages = [[entry["resource"]["id"] for entry in bundle["entry"]]]
    assert bundle["total"] == 20
    await ehr.put("/Goal/n00", json={"resourceType": "Goal", "id": "n00", "lifecycleStatus": "x"})
    await ehr.delete("/Goal/n07")
    await ehr.delete("/Goal/n05")
    while next_ := [link["url"] for link in bundle["link"] if link["relation"] == "next"]:
        assert next_[0].startswith("http://ehr.test/fhir?_page=")
        bundle = (await ehr.get(next_[0])).json()
        pages.append([entry["resource"]["id"] for entry in bundle.get("entry", [])])

    assert [len(page) for page in pages] == [6, 6, 6, 1]
    assert [id_ for page in pages for id_ in page] == [f"n{n:02}" for n in range(20) if n != 7]


async def test_a_full_last_page_has_no_next(ehr: httpx.AsyncClient) -> None:
    """No `next` where nothing follows; `_count=0` counts only."""
    exact = (await ehr.get("/Goal?_count=4")).json()
    counted = (await ehr.get("/Goal?_count=0")).json()

    assert [link["relation"] for link in exact["link"]] == ["self"]
    assert [link["relation"] for link in counted["link"]] == ["self"]
    assert (counted["total"], "entry" in counted) == (4, False)


async def test_searchset_tells_server_time_and_what_was_asked(ehr: httpx.AsyncClient) -> None:
    """`meta.lastUpdated` is the server's clock to poll from, `self` repeats the filters used, fullUrl is absolute."""
    bundle = (await ehr.get("/Goal", params={"patient": "p1"})).json()

    assert bundle["meta"]["lastUpdated"] == "2026-11-06T09:00:10.250Z"
    assert bundle["link"] == [{"relation": "self", "url": "http://ehr.test/fhir/Goal?patient=p1&_count=50"}]
    assert bundle["entry"][0]["fullUrl"] == "http://ehr.test/fhir/Goal/g1"
    assert bundle["entry"][0]["search"] == {"mode": "match"}


@pytest.mark.parametrize("token", ["x", "AAAA", "WzFd", "ü", ""])
async def test_invented_page_is_refused(ehr: httpx.AsyncClient, token: str) -> None:
    """A page token that was not made here gives 400, an empty base 404."""
    assert (await ehr.get("http://ehr.test/fhir", params={"_page": token})).status_code == 400
    assert (await ehr.get("http://ehr.test/fhir")).status_code == 404


@pytest.mark.parametrize(
    ("text", "width_us"),
    [
        ("2026", 365 * 86_400_000_000),
        ("2026-02", 28 * 86_400_000_000),
        ("2026-12-31", 86_400_000_000),
        ("2026-12-31T23:59Z", 60_000_000),
        ("2026-12-31T23:59:59Z", 1_000_000),
        ("2026-12-31T23:59:59.1Z", 100_000),
        ("2026-12-31T23:59:59.123-05:00", 1000),
        ("2026-12-31T23:59:59.123456Z", 1),
        ("2026-12-31T23:59:59.123456789Z", 1),
    ],
)
def test_a_date_covers_its_precision(text: str, width_us: int) -> None:
    """The span of a date is as wide as what it leaves unsaid."""
    span = span_of(text)
    assert span is not None
    assert span.high - span.low == width_us


@pytest.mark.parametrize("text", ["", "26", "2026-13", "2026-02-30", "2026-01-01T25:00Z", "0000", "9999", "today"])
def test_no_date_has_no_span(text: str) -> None:
    """What is no FHIR date, or ends beyond the calendar, has no span."""
    assert span_of(text) is None
