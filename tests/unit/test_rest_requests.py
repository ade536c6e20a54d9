"""What the REST core refuses, what it says about itself, and what it never says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome

from fhirgoals.fhir.rest import R4_TYPES, Version, fhir_app
from fhirgoals.fhir.rest.app import Limits
from fhirgoals.fhir.rest.registry import READ_ONLY, type_entry
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.memory import MemoryRepository

JSON = {"content-type": "application/fhir+json"}
BASE = "http://ehr.test/fhir"


@pytest.fixture
async def ehr() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=Sandbox().app), base_url=BASE) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("PUT", "/Goal/g1", b'{"resourceType":"Goal","id":"g1","SECRET":', 400),
        ("PUT", "/Goal/g1", b"", 400),
        ("PUT", "/Goal/g1", b"[]", 400),
        ("PUT", "/Goal/g1", b'"SECRET"', 400),
        ("PUT", "/Goal/g1", b'{"resourceType":"SECRET","id":"g1"}', 400),
        ("PUT", "/Goal/g1", b'{"id":"g1"}', 400),
        ("PUT", "/Goal/g1", b'{"resourceType":"Goal"}', 400),
        ("PUT", "/Goal/g1", b'{"resourceType":"Goal","id":"SECRET"}', 400),
        ("PUT", "/Goal/g1", b'{"resourceType":"Goal","id":1}', 400),
        ("PUT", "/Goal/g1", b'{"resourceType":"Goal","id":"g1","meta":["SECRET"]}', 400),
        ("PUT", "/Goal/g1", b'{"resourceType":"Goal","id":"g1","x":"\xff"}', 400),
        ("PUT", "/Goal/g1", b'{"resourceType":"Goal","id":"g1","x":' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
        ("PUT", "/Goal/g_1", b'{"resourceType":"Goal","id":"g_1"}', 400),
        ("PUT", "/Goal/" + "x" * 65, b"{}", 400),
        ("PUT", "/Goal/g1?identifier=SECRET", b'{"resourceType":"Goal","id":"g1"}', 400),
        ("POST", "/Goal", b'{"resourceType":"Patient"}', 400),
        ("POST", "/Nonsense", b'{"resourceType":"Nonsense"}', 404),
        ("GET", "/Nonsense", b"", 404),
        ("GET", "/Goal/g1/$everything", b"", 404),
        ("GET", "/Goal/SECRET", b"", 404),
        ("GET", "/", b"", 404),
        ("PATCH", "/Goal/g1", b"[]", 405),
        ("PUT", "/Goal", b'{"resourceType":"Goal"}', 405),
        ("DELETE", "/Goal", b"", 405),
    ],
)
async def test_bad_request_is_refused_without_its_content(
    ehr: httpx.AsyncClient, method: str, path: str, content: bytes, status: int
) -> None:
    """Every refusal is a valid OperationOutcome that repeats nothing of the body, and nothing is stored."""
    reply = await ehr.request(method, path, content=content, headers=JSON)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/fhir+json"
    OperationOutcome.model_validate_json(reply.content)
    assert "SECRET" not in reply.text
    assert (await ehr.get("/Goal")).json()["total"] == 0


async def test_405_names_the_methods_that_are_offered(ehr: httpx.AsyncClient) -> None:
    """An unoffered method is answered with Allow."""
    reply = await ehr.patch("/Goal/g1", content=b"[]")
    assert {method.strip() for method in reply.headers["allow"].split(",")} == {"GET", "HEAD", "PUT", "DELETE"}


@pytest.mark.parametrize("declared", [True, False])
async def test_body_above_the_limit_is_413(declared: bool) -> None:
    """A body that is too large is refused by its declared length, or as soon as it has grown too large."""
    app = fhir_app(MemoryRepository(), limits=Limits(max_body_bytes=1000))
    body = b'{"resourceType":"Goal","x":"' + b"x" * 1000 + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        for n in range(0, len(body), 100):
            yield body[n : n + 100]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE) as client:
        reply = await client.post("/Goal", content=body if declared else chunks(), headers=JSON)

    assert reply.status_code == 413
    assert reply.json()["issue"][0]["code"] == "too-long"


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"accept": "application/fhir+xml"}, "", 406),
        ({"accept": "application/fhir+xml, application/json;q=0.5"}, "", 200),
        ({"accept": "*/*"}, "", 200),
        ({"accept": "application/fhir+xml"}, "?_format=json", 200),
        ({}, "?_format=application/fhir+json", 200),
        ({}, "?_format=xml", 406),
    ],
)
async def test_only_json_is_spoken(ehr: httpx.AsyncClient, headers: dict[str, str], query: str, status: int) -> None:
    """406 where neither Accept nor `_format` allows JSON; 415 for a body of another kind."""
    assert (await ehr.get(f"/Goal{query}", headers=headers)).status_code == status
    xml = await ehr.post("/Goal", content=b"<Goal/>", headers={"content-type": "application/fhir+xml"})
    assert xml.status_code == 415


async def test_head_answers_as_get_without_body(ehr: httpx.AsyncClient) -> None:
    """HEAD of a resource gives the headers of its GET."""
    await ehr.put("/Goal/g1", json={"resourceType": "Goal", "id": "g1"})
    reply = await ehr.head("/Goal/g1")
    assert (reply.status_code, reply.headers["etag"], reply.content) == (200, 'W/"1"', b"")


async def test_capability_statement_says_what_the_table_says(ehr: httpx.AsyncClient) -> None:
    """The CapabilityStatement is valid R4 and lists the types, interactions and parameters of the routing table."""
    reply = await ehr.get("/metadata")
    CapabilityStatement.model_validate_json(reply.content)

    statement = reply.json()
    by_type = {each["type"]: each for each in statement["rest"][0]["resource"]}
    assert (statement["fhirVersion"], statement["implementation"]["url"]) == ("4.0.1", BASE)
    assert set(by_type) == set(R4_TYPES)
    assert {each["name"] for each in by_type["Goal"]["searchParam"]} == {
        "_id",
        "_lastUpdated",
        "identifier",
        "patient",
        "subject",
        "category",
        "lifecycle-status",
    }
    for type_, resource in by_type.items():
        for parameter in resource["searchParam"]:
            value = {"date": "2026", "reference": "x", "token": "x"}[parameter["type"]]
            assert (await ehr.get(f"/{type_}", params={parameter["name"]: value})).status_code == 200


async def test_what_the_table_leaves_out_is_not_offered() -> None:
    """A facade's narrower table takes interactions and types away from routing and statement alike."""
    storage = MemoryRepository()
    storage.update("Goal", "g1", {"resourceType": "Goal", "id": "g1"})
    app = fhir_app(
        storage, types={"Goal": type_entry("Goal", interactions=READ_ONLY)}, base_path="", base_url="https://x"
    )

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://ehr.test") as client:
        statement = (await client.get("/metadata")).json()
        read = await client.get("/Goal/g1")
        update = await client.put("/Goal/g1", json={"resourceType": "Goal", "id": "g1"})
        patient = await client.get("/Patient/p1")
        found = (await client.get("/Goal")).json()

    (resource,) = statement["rest"][0]["resource"]
    assert [each["code"] for each in resource["interaction"]] == list(READ_ONLY)
    assert (resource["updateCreate"], resource["conditionalCreate"]) == (False, False)
    assert [read.status_code, update.status_code, patient.status_code] == [200, 405, 404]
    assert found["entry"][0]["fullUrl"] == "https://x/Goal/g1"


async def test_bundles_are_valid(ehr: httpx.AsyncClient) -> None:
    """Searchset and history, empty and full, pass the R4 model."""
    goal = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"}}
    goal |= {"id": "g1", "subject": {"reference": "Patient/p1"}}
    await ehr.put("/Goal/g1", json=goal)
    await ehr.delete("/Goal/g1")
    await ehr.put("/Goal/g1", json=goal)

    for path in ("/Goal", "/Goal?_count=0", "/Goal?_id=none", "/Goal/g1/_history", "/Goal/g1/_history?_count=1"):
        Bundle.model_validate_json((await ehr.get(path)).content)


class _Broken(MemoryRepository):
    """A repository with a bug whose message quotes a body."""

    def read(self, type_: str, id_: str) -> Version | None:
        raise KeyError("SECRET")


async def test_bug_is_a_500_that_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """An unforeseen error is answered with 500; its message and the URL reach neither reply nor log."""
    transport = httpx.ASGITransport(app=fhir_app(_Broken()))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        reply = await client.get("/Goal/g1")

    logged = capsys.readouterr().err
    assert reply.status_code == 500
    assert "a request failed" in logged
    assert "KeyError" in logged
    assert "SECRET" not in reply.text + logged
    assert "Goal/g1" not in logged
