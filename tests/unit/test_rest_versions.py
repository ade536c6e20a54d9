"""Versions, preconditions, deletion and history, as the behaviour table of `reference/servers.md` wants them."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from fhirgoals.fhir.rest import R4_TYPES
from fhirgoals.fhir.rest.search import parse_query
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.memory import MemoryRepository

START = datetime(2026, 11, 6, 9, 0, 0, 123456, tzinfo=UTC)
JSON = {"content-type": "application/fhir+json"}


def goal(text: str = "Walk", **more: object) -> dict[str, object]:
    return {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": text}, **more}


@pytest.fixture
def sandbox() -> Sandbox:
    ticks, ids = itertools.count(), itertools.count(1)
    return Sandbox(clock=lambda: START + timedelta(seconds=next(ticks)), new_id=lambda: f"made-{next(ids)}")


@pytest.fixture
async def ehr(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=sandbox.app), base_url="http://ehr.test/fhir"
    ) as client:
        yield client


async def test_create_chooses_the_id_and_tells_where_it_is(ehr: httpx.AsyncClient) -> None:
    """A POST gives 201, ignores the client's id, and names version, time and place in the headers."""
    reply = await ehr.post("/Goal", json=goal(id="mine"))

    assert reply.status_code == 201
    assert reply.json()["id"] == "made-1"
    assert reply.headers["etag"] == 'W/"1"'
    assert reply.headers["last-modified"] == "Fri, 06 Nov 2026 09:00:00 GMT"
    assert reply.headers["location"] == "http://ehr.test/fhir/Goal/made-1/_history/1"
    assert reply.headers["content-type"] == "application/fhir+json"


async def test_only_id_and_meta_are_set_by_the_server(ehr: httpx.AsyncClient) -> None:
    """Digits, key order and unknown elements are stored as sent; meta gets version and time, and keeps the rest."""
    sent = (
        b'{"zeta":[1,2.50],"resourceType":"Goal","meta":{"tag":[{"code":"t"}],"versionId":"9"},'
        b'"extension":[{"url":"u","valueDecimal":7.10}],"foreign":{"b":1e2,"a":-0.0}}'
    )
    reply = await ehr.post("/Goal", content=sent, headers=JSON)

    expected = (
        b'{"zeta":[1,2.50],"resourceType":"Goal","id":"made-1",'
        b'"meta":{"versionId":"1","lastUpdated":"2026-11-06T09:00:00.123Z","tag":[{"code":"t"}]},'
        b'"extension":[{"url":"u","valueDecimal":7.10}],"foreign":{"b":1E+2,"a":-0.0}}'
    )
    assert reply.content == expected
    assert (await ehr.get("/Goal/made-1")).content == expected


async def test_read_of_the_version_one_has_gives_304(ehr: httpx.AsyncClient) -> None:
    """If-None-Match with the current tag gives 304 without a body, with an older one the resource."""
    await ehr.put("/Goal/g1", json=goal(id="g1"))

    same = await ehr.get("/Goal/g1", headers={"if-none-match": 'W/"1"'})
    other = await ehr.get("/Goal/g1", headers={"if-none-match": 'W/"0"'})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", 'W/"1"')
    assert other.status_code == 200


async def test_update_makes_the_next_version(ehr: httpx.AsyncClient) -> None:
    """A PUT under a new id gives 201 at version 1, a second one 200 at version 2, also with equal content."""
    first = await ehr.put("/Goal/g1", json=goal(id="g1"))
    second = await ehr.put("/Goal/g1", json=goal(id="g1"), headers={"if-match": 'W/"1"'})

    assert (first.status_code, first.headers["etag"]) == (201, 'W/"1"')
    assert first.headers["location"] == "http://ehr.test/fhir/Goal/g1/_history/1"
    assert (second.status_code, second.headers["etag"]) == (200, 'W/"2"')
    assert second.json()["meta"]["versionId"] == "2"
    assert "location" not in second.headers


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"if-match": 'W/"2"'}, 200),
        ({"if-match": '"2"'}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": 'W/"1", W/"2"'}, 200),
        ({"if-match": 'W/"1"'}, 412),
        ({"if-match": "garbage"}, 412),
        ({"if-match": ""}, 412),
        ({"if-none-match": "*"}, 412),
        ({"if-none-match": 'W/"2"'}, 400),
        ({"if-none-match": "*", "if-match": 'W/"2"'}, 400),
        ({}, 200),
    ],
)
async def test_update_goes_through_only_when_its_condition_holds(
    ehr: httpx.AsyncClient, sandbox: Sandbox, header: dict[str, str], status: int
) -> None:
    """If-Match must name the current version, If-None-Match: * that there is none; else nothing is stored."""
    await ehr.put("/Goal/g1", json=goal(id="g1"))
    await ehr.put("/Goal/g1", json=goal(id="g1"))

    reply = await ehr.put("/Goal/g1", json=goal("Changed", id="g1"), headers=header)

    assert reply.status_code == status
    assert len(sandbox.storage.versions()) == (3 if status == 200 else 2)


@pytest.mark.parametrize(("header", "status"), [({"if-match": 'W/"1"'}, 412), ({"if-none-match": "*"}, 201)])
async def test_condition_on_what_is_not_there(ehr: httpx.AsyncClient, header: dict[str, str], status: int) -> None:
    """Without a resource no If-Match holds, and If-None-Match: * does; the same after a deletion."""
    assert (await ehr.put("/Goal/g1", json=goal(id="g1"), headers=header)).status_code == status

    await ehr.put("/Goal/g2", json=goal(id="g2"))
    await ehr.delete("/Goal/g2")
    assert (await ehr.put("/Goal/g2", json=goal(id="g2"), headers=header)).status_code == status


async def test_delete_honours_if_match(ehr: httpx.AsyncClient) -> None:
    """A stale DELETE gives 412 and deletes nothing; with the current tag it gives 204."""
    await ehr.put("/Goal/g1", json=goal(id="g1"))
    await ehr.put("/Goal/g1", json=goal(id="g1"))

    stale = await ehr.delete("/Goal/g1", headers={"if-match": 'W/"1"'})
    still_there = await ehr.get("/Goal/g1")
    fresh = await ehr.delete("/Goal/g1", headers={"if-match": 'W/"2"'})

    assert [stale.status_code, still_there.status_code, fresh.status_code] == [412, 200, 204]
    assert fresh.headers["etag"] == 'W/"3"'


async def test_deleted_reads_as_gone_and_its_versions_stay(ehr: httpx.AsyncClient) -> None:
    """After a deletion a read gives 410 and no search finds it, while vread gives what was; unknown stays 404."""
    await ehr.put("/Goal/g1", json=goal("Kept", id="g1"))
    await ehr.delete("/Goal/g1")

    assert (await ehr.get("/Goal/g1")).status_code == 410
    assert (await ehr.get("/Goal", params={"_id": "g1"})).json()["total"] == 0
    assert (await ehr.get("/Goal/g1/_history/1")).json()["description"]["text"] == "Kept"
    assert (await ehr.get("/Goal/g1/_history/2")).status_code == 410
    assert (await ehr.get("/Goal/g1/_history/3")).status_code == 404
    assert (await ehr.get("/Goal/never")).status_code == 404
    assert (await ehr.delete("/Goal/g1")).status_code == 204
    assert (await ehr.delete("/Goal/never")).status_code == 404


async def test_put_on_a_deleted_id_brings_it_back(ehr: httpx.AsyncClient) -> None:
    """A PUT after a deletion gives 201 and the version after the deletion's, as HAPI does."""
    await ehr.put("/Goal/g1", json=goal(id="g1"))
    await ehr.delete("/Goal/g1")

    reply = await ehr.put("/Goal/g1", json=goal(id="g1"))

    assert (reply.status_code, reply.headers["etag"]) == (201, 'W/"3"')
    assert (await ehr.get("/Goal", params={"_id": "g1"})).json()["total"] == 1


async def test_history_is_newest_first_with_deletions(ehr: httpx.AsyncClient) -> None:
    """The history Bundle holds each version once, newest first, a deletion as an entry without a resource."""
    made = (await ehr.post("/Goal", json=goal())).json()["id"]
    await ehr.put(f"/Goal/{made}", json=goal(id=made))
    await ehr.delete(f"/Goal/{made}")

    bundle = (await ehr.get(f"/Goal/{made}/_history")).json()

    assert (bundle["type"], bundle["total"]) == ("history", 3)
    assert [entry["request"] for entry in bundle["entry"]] == [
        {"method": "DELETE", "url": f"Goal/{made}"},
        {"method": "PUT", "url": f"Goal/{made}"},
        {"method": "POST", "url": "Goal"},
    ]
    assert [entry["response"]["status"] for entry in bundle["entry"]] == ["204", "200", "201"]
    assert bundle["entry"][0]["response"]["lastModified"] == "2026-11-06T09:00:02.123Z"
    assert ["resource" in entry for entry in bundle["entry"]] == [False, True, True]
    assert (await ehr.get("/Goal/never/_history")).status_code == 404


async def test_history_pages_do_not_shift_when_a_version_comes_in(ehr: httpx.AsyncClient) -> None:
    """A `next` link goes on behind the last version shown, whatever was stored meanwhile."""
    for _ in range(5):
        await ehr.put("/Goal/g1", json=goal(id="g1"))

    seen = []
    url: str | None = "/Goal/g1/_history?_count=2"
    while url:
        bundle = (await ehr.get(url)).json()
        seen += [entry["resource"]["meta"]["versionId"] for entry in bundle["entry"]]
        await ehr.put("/Goal/g1", json=goal(id="g1"))
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)

    assert seen == ["5", "4", "3", "2", "1"]


async def test_conditional_create_none_one_many(ehr: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """If-None-Exist gives 201 for no match, 200 with the one match, 412 for several."""
    body = goal(identifier=[{"system": "urn:s", "value": "a"}])
    once = {"if-none-exist": "identifier=urn:s|a"}

    made = await ehr.post("/Goal", json=body, headers=once)
    found = await ehr.post("/Goal", json=body, headers={"if-none-exist": "Goal?identifier=urn%3As%7Ca"})
    await ehr.post("/Goal", json=body)
    several = await ehr.post("/Goal", json=body, headers=once)

    assert [made.status_code, found.status_code, several.status_code] == [201, 200, 412]
    assert found.json() == made.json()
    assert found.headers["location"] == made.headers["location"]
    assert several.json()["issue"][0]["code"] == "multiple-matches"
    assert len(sandbox.storage.resources()) == 2


@pytest.mark.parametrize("condition", ["", "?", "identifier=", "unknown=1", "_count=1"])
async def test_conditional_create_refuses_a_condition_that_asks_nothing(
    ehr: httpx.AsyncClient, sandbox: Sandbox, condition: str
) -> None:
    """An If-None-Exist that could match everything, or nothing known, gives 400 and stores nothing."""
    reply = await ehr.post("/Goal", json=goal(), headers={"if-none-exist": condition})

    assert reply.status_code == 400
    assert sandbox.storage.versions() == []


async def test_concurrent_conditional_creates_make_one(ehr: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Eight creates at once with one If-None-Exist end as one 201, seven 200, one resource."""
    body = goal(identifier=[{"system": "urn:s", "value": "a"}])

    replies = await asyncio.gather(
        *(ehr.post("/Goal", json=body, headers={"if-none-exist": "identifier=urn:s|a"}) for _ in range(8))
    )

    assert sorted(reply.status_code for reply in replies) == [200] * 7 + [201]
    assert len(sandbox.storage.resources()) == 1


def test_conditional_creates_from_threads_make_one() -> None:
    """The repository itself decides in one step: eight threads, many rounds, one resource each."""
    storage = MemoryRepository()

    for round_ in range(50):
        query = parse_query(R4_TYPES["Goal"], [("identifier", f"urn:s|{round_}")], "")
        body = {"resourceType": "Goal", "identifier": [{"system": "urn:s", "value": str(round_)}]}
        gate = threading.Barrier(8)

        def create(gate=gate, body=body, query=query) -> None:  # type: ignore[no-untyped-def]
            gate.wait()
            storage.create("Goal", body, unless=query)

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(storage.resources("Goal")) == 50


async def test_prefer_minimal_leaves_out_the_body(ehr: httpx.AsyncClient) -> None:
    """With return=minimal the headers alone answer a create and an update; the default is the representation."""
    minimal = {"prefer": "return=minimal"}

    made = await ehr.put("/Goal/g1", json=goal(id="g1"), headers=minimal)
    full = await ehr.put("/Goal/g1", json=goal(id="g1"), headers={"prefer": "return=representation"})

    assert (made.status_code, made.content, made.headers["etag"]) == (201, b"", 'W/"1"')
    assert full.json()["meta"]["versionId"] == "2"


async def test_raw_change_is_seen_by_reads_alone(ehr: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """`put_raw` changes the current body byte for byte: no new version, same ETag, and search finds the new value."""
    await ehr.put("/Goal/g1", json=goal(id="g1", identifier=[{"value": "old"}]))

    sandbox.storage.put_raw("Goal", "g1", {"resourceType": "Goal", "identifier": [{"value": "new"}]})
    read = await ehr.get("/Goal/g1")

    assert read.content == b'{"resourceType":"Goal","identifier":[{"value":"new"}]}'
    assert read.headers["etag"] == 'W/"1"'
    assert (await ehr.get("/Goal/g1/_history")).json()["total"] == 1
    assert (await ehr.get("/Goal", params={"identifier": "new"})).json()["total"] == 1
    assert (await ehr.get("/Goal", params={"identifier": "old"})).json()["total"] == 0


async def test_dump_holds_every_version(ehr: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """What was overwritten or deleted is still found in the dump, and what was changed in a copy is not stored."""
    await ehr.put("/Goal/g1", json=goal("FIRST", id="g1"))
    await ehr.put("/Goal/g1", json=goal("SECOND", id="g1"))
    await ehr.delete("/Goal/g1")
    await ehr.put("/Patient/p1", json={"resourceType": "Patient", "id": "p1"})

    assert b"FIRST" in sandbox.storage.dump()
    assert b"SECOND" in sandbox.storage.dump()
    copies = sandbox.storage.resources()
    copies[0]["active"] = True
    assert [body["resourceType"] for body in sandbox.storage.resources()] == ["Patient"]
    assert b"active" not in sandbox.storage.dump().splitlines()[-1]
