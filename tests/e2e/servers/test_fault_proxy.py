"""The fault proxy does what its names say, and the same again for the same seed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.http import Http
from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.serve import serve
from tests.e2e.servers.fault_proxy import RATES, Fault, FaultProxy, GivesUp, Kind

GOAL = {
    "resourceType": "Goal",
    "identifier": [{"system": "urn:test", "value": "1"}],
    "lifecycleStatus": "active",
    "description": {"text": "Walk"},
    "subject": {"reference": "Patient/1"},
}


@pytest.fixture
def ehr() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox()
    with serve({"ehr": sandbox.app}) as urls:
        yield sandbox, urls["ehr"]


@asynccontextmanager
async def doing(url: str, kind: Kind, fault: Fault) -> AsyncIterator[tuple[FaultProxy, Http]]:
    """Open a proxy that does one fault to every request of a kind."""
    async with FaultProxy(url, 1, {kind: {fault: 1.0}}) as proxy, Http(transport=GivesUp(proxy)) as http:
        proxy.faulty = True
        yield proxy, http


async def send(
    http: Http, proxy: FaultProxy, method: str, path: str, body: object = None, **headers: str
) -> Reply | Failure:
    fields = {"Content-Type": "application/fhir+json"} | {name.replace("_", "-"): one for name, one in headers.items()}
    sent = None if body is None else exact_json.dumps(body)  # type: ignore[arg-type]
    return await http.send(Request(method, f"{proxy.url}/{path}", fields, sent))  # type: ignore[arg-type]


def texts(sandbox: Sandbox) -> list[object]:
    return [one["description"]["text"] for one in sandbox.storage.resources("Goal")]  # type: ignore[index,call-overload]


async def test_a_seed_does_the_same_again(ehr: tuple[Sandbox, str]) -> None:
    """Two proxies of one seed draw the same faults for the same requests; another seed draws others."""
    rows = []
    for seed in (5, 5, 6):
        async with FaultProxy(ehr[1], seed, RATES) as proxy, Http(transport=GivesUp(proxy)) as http:
            proxy.faulty = True
            for _ in range(40):
                await send(http, proxy, "GET", "Goal?patient=1")
                await send(http, proxy, "GET", "Goal/1")
                await send(http, proxy, "PUT", "Goal/1", {**GOAL, "id": "1"})
            rows.append([(one.number, one.method, one.target, one.fault, one.note) for one in proxy.did])
            assert proxy.trace()
    assert rows[0] == rows[1] != rows[2]
    assert {one[3] for one in rows[0]} > {"cut", "late", "replay", "stale", "503"}


@pytest.mark.parametrize(
    ("fault", "kind", "stored"), [("cut", "reset", 1), ("slow", "timeout", 1), ("late", "timeout", 0)]
)
async def test_a_reply_does_not_come(ehr: tuple[Sandbox, str], fault: Fault, kind: str, stored: int) -> None:
    """Cut and slow are stored when our client knows nothing; a late one is stored after it gave up."""
    async with doing(ehr[1], "write", fault) as (proxy, http):
        outcome = await send(http, proxy, "POST", "Goal", GOAL)
        assert outcome == Failure(kind, sent=True)  # type: ignore[arg-type]
        assert len(texts(ehr[0])) == stored
        await proxy.calm()
        assert texts(ehr[0]) == ["Walk"]


async def test_a_late_request_arrives_after_some_others(ehr: tuple[Sandbox, str]) -> None:
    """It is not there at once, and it is there after as many requests as a late one may wait."""
    async with doing(ehr[1], "write", "late") as (proxy, http):
        await send(http, proxy, "POST", "Goal", GOAL)
        for _ in range(6):
            await send(http, proxy, "GET", "Goal/1")
        assert texts(ehr[0]) == ["Walk"]
        assert any("the late one of 1 arrives" in one.note for one in proxy.did)


async def test_a_replay_is_delivered_twice(ehr: tuple[Sandbox, str]) -> None:
    """An unconditional create answers well and is there twice; one with If-None-Exist once."""
    async with doing(ehr[1], "write", "replay") as (proxy, http):
        assert isinstance(await send(http, proxy, "POST", "Goal", GOAL), Reply)
        await proxy.calm()
        assert len(texts(ehr[0])) == 2
        proxy.faulty = True
        other = {**GOAL, "identifier": [{"system": "urn:test", "value": "2"}]}
        await send(http, proxy, "POST", "Goal", other, If_None_Exist="identifier=urn:test|2")
        await proxy.calm()
        assert len(texts(ehr[0])) == 3


@pytest.mark.parametrize(("fault", "status", "stored"), [("429", 429, 0), ("503", 503, 0), ("503 stored", 503, 1)])
async def test_a_refusal_stores_nothing_or_all(
    ehr: tuple[Sandbox, str], fault: Fault, status: int, stored: int
) -> None:
    """429 comes with Retry-After; one kind of 503 lies."""
    async with doing(ehr[1], "write", fault) as (proxy, http):
        reply = await send(http, proxy, "POST", "Goal", GOAL)
        assert isinstance(reply, Reply)
        assert (reply.status, "retry-after" in reply.headers) == (status, status == 429)
        assert len(texts(ehr[0])) == stored


async def test_a_stale_search_shows_what_was_and_a_read_what_is(ehr: tuple[Sandbox, str]) -> None:
    """A new goal is not in the search, a changed one is there as it was, and an edit past the proxy too."""
    async with doing(ehr[1], "search", "stale") as (proxy, http):
        made = await send(http, proxy, "POST", "Goal", GOAL)
        assert isinstance(made, Reply)
        assert await found(http, proxy) == []
        goal_id = exact_json.loads(made.body)["id"]  # type: ignore[index,call-overload]
        for number in range(7):
            await send(http, proxy, "PUT", f"Goal/{goal_id}", {**GOAL, "id": goal_id, "language": f"x{number}"})
        [shown] = await found(http, proxy)
        read = await send(http, proxy, "GET", f"Goal/{goal_id}")
        assert isinstance(read, Reply)
        now = exact_json.loads(read.body)
        assert now["language"] == "x6"  # type: ignore[index,call-overload]
        assert shown.get("language") != "x6"  # type: ignore[union-attr]
        proxy.noted(now)
        proxy.faulty = False
        assert await found(http, proxy) == [now]


async def found(http: Http, proxy: FaultProxy) -> list[dict[str, object]]:
    reply = await send(http, proxy, "GET", "Goal?patient=1")
    assert isinstance(reply, Reply)
    return [one["resource"] for one in exact_json.loads(reply.body).get("entry", ())]  # type: ignore[union-attr,index,call-overload,misc]
