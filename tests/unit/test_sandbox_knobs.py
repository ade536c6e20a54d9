"""The knobs of the sandbox, and the same server over a real socket."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from fhirgoals.fhir.exact_json import loads
from fhirgoals.sandbox.ehr import ReplyLostError, Sandbox
from fhirgoals.sandbox.knobs import Asked, Knobs
from fhirgoals.sandbox.serve import serve

BASE = "http://ehr.test/fhir"
GOAL = {"resourceType": "Goal", "id": "g1", "lifecycleStatus": "active", "description": {"text": "Walk every day"}}
ONCE = {"if-none-exist": "identifier=a"}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
async def ehr(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app), base_url=BASE) as client:
        yield client


def test_drop_extensions_takes_all_and_leaves_no_empty_element() -> None:
    """Extensions go at every depth, with what held nothing else; lists whose places count keep them."""
    resource = loads(
        b'{"resourceType":"Goal","extension":[{"url":"u"}],"empty":[],'
        b'"_lifecycleStatus":{"extension":[{"url":"u"}]},"description":{"text":"t","extension":[{"url":"u"}]},'
        b'"category":[{"extension":[{"url":"u"}]},{"text":"c"}],"_given":[null,{"id":"x","extension":[]}],'
        b'"_family":[null,{"extension":[{"url":"u"}]}],"contained":[{"resourceType":"Group","extension":[]}],'
        b'"modifierExtension":[{"url":"m"}],"n":7.10}'
    )
    assert isinstance(resource, dict)

    assert Knobs(drop_extensions=True).as_stored(resource) == loads(
        b'{"resourceType":"Goal","empty":[],"description":{"text":"t"},"category":[{"text":"c"}],'
        b'"_given":[null,{"id":"x"}],"contained":[{"resourceType":"Group"}],'
        b'"modifierExtension":[{"url":"m"}],"n":7.10}'
    )
    assert "extension" in resource


def test_cut_text_cuts_the_three_texts_alone() -> None:
    """description.text, note.text and activity.detail.description are cut; everything else keeps its length."""
    goal = {"title": "long title", "description": {"text": "longer"}, "note": [{"text": "longer"}, {"text": "lo"}]}
    plan = {"description": "long text", "activity": [{"detail": {"description": "longer", "status": "longer"}}, {}]}

    assert Knobs(cut_text=4).as_stored(goal) == {  # type: ignore[arg-type]
        "title": "long title",
        "description": {"text": "long"},
        "note": [{"text": "long"}, {"text": "lo"}],
    }
    assert Knobs(cut_text=4).as_stored(plan) == {  # type: ignore[arg-type]
        "description": "long text",
        "activity": [{"detail": {"description": "long", "status": "longer"}}, {}],
    }


async def test_knobs_turn_at_run_time(ehr: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A knob holds for what is stored while it is turned; the reply shows what is stored."""
    body = {**GOAL, "extension": [{"url": "u", "valueString": "x"}]}
    plain = await ehr.put("/Goal/g1", json=body)
    sandbox.knobs = replace(sandbox.knobs, drop_extensions=True, cut_text=4)
    turned = await ehr.put("/Goal/g1", json=body)
    sandbox.knobs = Knobs()

    assert plain.json()["extension"] == body["extension"]
    assert "extension" not in turned.json()
    assert turned.json()["description"] == {"text": "Walk"}
    assert (await ehr.get("/Goal/g1")).content == turned.content


async def test_no_etag_hides_tags_and_ignores_if_match(ehr: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Without ETags a stale write goes through, as on OpenEMR; versionId and If-None-Match: * stay."""
    sandbox.knobs = Knobs(no_etag=True)
    first = await ehr.put("/Goal/g1", json=GOAL)
    stale = await ehr.put("/Goal/g1", json=GOAL, headers={"if-match": 'W/"99"'})
    read = await ehr.get("/Goal/g1", headers={"if-none-match": 'W/"2"'})

    assert [first.status_code, stale.status_code, read.status_code] == [201, 200, 200]
    assert not any("etag" in reply.headers for reply in (first, stale, read))
    assert read.json()["meta"]["versionId"] == "2"
    assert (await ehr.put("/Goal/g1", json=GOAL, headers={"if-none-match": "*"})).status_code == 412
    assert (await ehr.delete("/Goal/g1", headers={"if-match": 'W/"1"'})).status_code == 204


async def test_lost_reply_is_stored_and_raises_in_process(ehr: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The first matching request that succeeds is carried out and unanswered, once; others are answered."""
    asked: list[Asked] = []

    def creates_goal(request: Asked) -> bool:
        asked.append(request)
        return request.method == "POST" and b"Walk" in request.body

    sandbox.knobs = Knobs(lose_reply=creates_goal)
    read = await ehr.get("/Goal?patient=p1")
    refused = await ehr.post("/Goal", content=b'{"resourceType":"Walk"}')
    with pytest.raises(ReplyLostError):
        await ehr.post("/Goal", json={**GOAL, "identifier": [{"value": "a"}]}, headers=ONCE)
    again = await ehr.post("/Goal", json={**GOAL, "identifier": [{"value": "a"}]}, headers=ONCE)

    assert [read.status_code, refused.status_code, again.status_code] == [200, 400, 200]
    assert (asked[0].method, asked[0].path, asked[0].query) == ("GET", "/fhir/Goal", "patient=p1")
    assert sandbox.knobs == Knobs()
    assert len(sandbox.storage.resources()) == 1


async def test_lost_reply_closes_the_socket(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Over HTTP the client sees the connection end without an answer, not a 500; the next request works."""
    caplog.set_level(logging.DEBUG)
    sandbox.knobs = Knobs(lose_reply=lambda request: request.method == "PUT")
    with serve({"ehr": sandbox.app}) as urls:
        async with httpx.AsyncClient(base_url=urls["ehr"]) as client:
            await client.get("/metadata")
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await client.put("/Goal/g1", json=GOAL)
            assert (await client.get("/Goal/g1")).json()["meta"]["versionId"] == "1"

    assert [record for record in caplog.records if record.name.startswith(("uvicorn", "fhirgoals"))] == []


async def test_served_sandboxes_are_hosts_of_their_own() -> None:
    """Each app has its own port and storage, links point to it, and it starts in under half a second."""
    one, two = Sandbox(), Sandbox()
    started = time.perf_counter()
    with serve({"one": one.app, "two": two.app}) as urls:
        took_s = time.perf_counter() - started
        async with httpx.AsyncClient() as client:
            await client.put(f"{urls['one']}/Goal/g1", json=GOAL)
            await client.put(f"{urls['one']}/Goal/g2", json={**GOAL, "id": "g2"})
            first = (await client.get(f"{urls['one']}/Goal?_count=1")).json()
            second = (await client.get(first["link"][1]["url"])).json()
            other = (await client.get(f"{urls['two']}/Goal")).json()

    assert took_s < 0.5
    assert first["link"][1]["url"].startswith(f"{urls['one']}?_page=")
    assert second["entry"][0]["resource"]["id"] == "g2"
    assert other["total"] == 0
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{urls['one']}/metadata")


async def test_served_digits_races_and_limits(sandbox: Sandbox) -> None:
    """Over a real socket too: 7.10 keeps its digits, eight racing creates make one, 6 MB is refused."""
    with serve({"ehr": sandbox.app}) as urls:
        async with httpx.AsyncClient(base_url=urls["ehr"], timeout=10) as client:
            body = b'{"resourceType":"Goal","identifier":[{"value":"a"}],"n":7.10}'
            replies = await asyncio.gather(*(client.post("/Goal", content=body, headers=ONCE) for _ in range(8)))
            large = await client.post("/Goal", content=b'{"x":"' + b"x" * 6_000_000 + b'"}')

    assert sorted(reply.status_code for reply in replies) == [200] * 7 + [201]
    assert all(b'"n":7.10}' in reply.content for reply in replies)
    assert len(sandbox.storage.resources()) == 1
    assert large.status_code == 413


async def test_no_request_is_logged(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level neither app nor server writes a line about requests: URLs carry identifiers."""
    caplog.set_level(logging.DEBUG)
    with serve({"ehr": sandbox.app}) as urls:
        async with httpx.AsyncClient(base_url=urls["ehr"]) as client:
            await client.get("/Patient", params={"identifier": "urn:mrn|SECRET"})
            await client.get("/Patient/SECRET")
            await client.post("/Patient", content=b"SECRET")

    others = ("httpx", "httpcore", "asyncio")
    assert [record for record in caplog.records if not record.name.startswith(others)] == []
    assert not any("SECRET" in record.getMessage() for record in caplog.records if record.name.startswith("asyncio"))
