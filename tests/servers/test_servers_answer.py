"""The real servers answer, and behave in the points on which the product relies; each figure here is measured."""

from __future__ import annotations

import json
import tarfile
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from fhirgoals.sandbox.cut_proxy import ThreadedCutProxy
from tests.servers import launch
from tests.servers.fixtures import FhirServer, Referee

US_CORE_GOAL = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-goal"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
    with httpx.Client(headers=headers, timeout=60) as client:
        yield client


@pytest.fixture(params=["hapi", "medplum"])
def server(request: pytest.FixtureRequest) -> FhirServer:
    return request.getfixturevalue(request.param)


def is_hapi(server: FhirServer) -> bool:
    return server.url.endswith("/fhir")


def create(client: httpx.Client, url: str, resource: dict[str, Any]) -> httpx.Response:
    reply = client.post(f"{url}/{resource['resourceType']}", json=resource)
    assert reply.status_code == 201, reply.text
    return reply


def new_goal(client: httpx.Client, url: str) -> dict[str, Any]:
    patient = create(client, url, {"resourceType": "Patient"}).json()
    return {
        "resourceType": "Goal",
        "identifier": [{"system": "urn:test", "value": uuid.uuid4().hex}],
        "lifecycleStatus": "active",
        "description": {"text": "Walk twice a week"},
        "subject": {"reference": f"Patient/{patient['id']}"},
    }


def test_says_what_it_can(server: FhirServer, client: httpx.Client) -> None:
    """/metadata is a CapabilityStatement of FHIR 4.0.1 with Goal and CarePlan."""
    statement = client.get(f"{server.url}/metadata").json()
    assert statement["fhirVersion"] == "4.0.1"
    assert {"Goal", "CarePlan"} <= {resource["type"] for resource in statement["rest"][0]["resource"]}


def test_create_then_read(server: FhirServer, client: httpx.Client) -> None:
    """A created Goal is read back with the ETag of its version."""
    created = create(client, server.url, new_goal(client, server.url))
    read = client.get(f"{server.url}/Goal/{created.json()['id']}")
    assert read.json()["description"] == {"text": "Walk twice a week"}
    assert read.headers["ETag"] == created.headers["ETag"] == f'W/"{read.json()["meta"]["versionId"]}"'


def test_a_stale_version_is_refused(server: FhirServer, client: httpx.Client) -> None:
    """PUT with the ETag of an older version changes nothing: 409 at HAPI, 412 at Medplum."""
    created = create(client, server.url, new_goal(client, server.url))
    goal, stale = created.json(), {"If-Match": created.headers["ETag"]}
    url = f"{server.url}/Goal/{goal['id']}"
    assert client.put(url, json=goal | {"lifecycleStatus": "on-hold"}, headers=stale).status_code == 200
    refused = client.put(url, json=goal | {"lifecycleStatus": "completed"}, headers=stale)
    assert refused.status_code == (409 if is_hapi(server) else 412)
    assert client.get(url).json()["lifecycleStatus"] == "on-hold"


def test_if_none_exist_creates_once(server: FhirServer, client: httpx.Client) -> None:
    """The second conditional create with the same identifier answers 200 with the first resource."""
    goal = new_goal(client, server.url)
    identifier = goal["identifier"][0]
    headers = {"If-None-Exist": f"identifier={identifier['system']}|{identifier['value']}"}
    first, second = (client.post(f"{server.url}/Goal", json=goal, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]


def test_put_on_a_new_id_creates(server: FhirServer, client: httpx.Client) -> None:
    """Update as create with a UUID that the client chose works (HAPI says 201, Medplum's router 200)."""
    goal = new_goal(client, server.url) | {"id": str(uuid.uuid4())}
    reply = client.put(f"{server.url}/Goal/{goal['id']}", json=goal)
    assert reply.status_code == (201 if is_hapi(server) else 200)
    assert client.get(f"{server.url}/Goal/{goal['id']}").json()["id"] == goal["id"]


def test_put_with_if_none_match_any(server: FhirServer, client: httpx.Client) -> None:
    """`If-None-Match: *` on an existing resource is NOT honoured by either server: the late PUT overwrites."""
    goal = new_goal(client, server.url) | {"id": str(uuid.uuid4())}
    url, only_new = f"{server.url}/Goal/{goal['id']}", {"If-None-Match": "*"}
    client.put(url, json=goal, headers=only_new).raise_for_status()
    late = client.put(url, json=goal | {"lifecycleStatus": "on-hold"}, headers=only_new)
    assert late.status_code == 200
    assert client.get(url).json()["lifecycleStatus"] == "on-hold"


def test_hapi_keeps_a_search_for_60_s_unless_told_not_to(hapi: FhirServer, client: httpx.Client) -> None:
    """The same search misses a new Goal; with `Cache-Control: no-cache` it is there."""
    goal = new_goal(client, hapi.url)
    search = f"{hapi.url}/Goal?identifier={goal['identifier'][0]['value']}&_summary=false"
    assert client.get(search).json().get("entry", []) == []
    create(client, hapi.url, goal)
    assert client.get(search).json().get("entry", []) == []
    fresh = client.get(search, headers={"Cache-Control": "no-cache"}).json()
    assert [entry["resource"]["identifier"] for entry in fresh["entry"]] == [goal["identifier"]]


def test_hapi_keeps_the_digits_of_decimals(hapi: FhirServer, client: httpx.Client) -> None:
    """`7.10` comes back as `7.10`."""
    goal = new_goal(client, hapi.url)
    goal["target"] = [{"measure": {"text": "pain"}, "detailQuantity": {"value": "DIGITS"}}]
    body = json.dumps(goal).replace('"DIGITS"', "7.10")
    created = client.post(f"{hapi.url}/Goal", content=body)
    assert '"value":7.10' in client.get(created.headers["Location"]).text.replace(" ", "")


def test_hapi_links_lead_through_the_proxy(hapi: FhirServer, client: httpx.Client) -> None:
    """`next` links are built from the Host header, so paging stays behind the proxy and is recorded."""
    tag = uuid.uuid4().hex
    with ThreadedCutProxy(hapi.url) as proxy:
        for _ in range(3):
            create(client, proxy.url, {"resourceType": "Patient", "identifier": [{"value": tag}]})
        page = client.get(f"{proxy.url}/Patient", params={"identifier": tag, "_count": "2"}).json()
        (link,) = [link["url"] for link in page["link"] if link["relation"] == "next"]
        assert link.startswith(f"{proxy.url}?")
        rest = client.get(link).json()
        assert len(page["entry"]) + len(rest["entry"]) == 3
        assert [exchange.status for exchange in proxy.exchanges] == [201, 201, 201, 200, 200]
        assert tag.encode() in proxy.exchanges[-1].reply_content


def test_a_cut_create_is_stored(server: FhirServer, client: httpx.Client) -> None:
    """The client's connection drops without a byte, and the Goal is on the server once."""
    goal = new_goal(client, server.url)
    value = goal["identifier"][0]["value"]
    with ThreadedCutProxy(server.url) as proxy:
        cut = proxy.cut_next(method="POST", path=r"/Goal$", body_has=value.encode())
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(f"{proxy.url}/Goal", json=goal)
    found = client.get(f"{server.url}/Goal", params={"identifier": value}).json()
    assert cut.exchange is not None
    assert cut.exchange.status == 201
    assert [entry["resource"]["id"] for entry in found["entry"]] == [json.loads(cut.exchange.reply_content)["id"]]


def test_referee_catches_gol_1(referee: Referee) -> None:
    """A target with a detail and no measure breaks gol-1."""
    goal = {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "x"},
        "subject": {"reference": "Patient/1"},
        "target": [{"detailInteger": 3}],
    }
    (error,) = referee.errors(json.dumps(goal).encode(), US_CORE_GOAL)
    assert error.location == "Goal.target[0]"
    assert "gol-1" in error.message


@pytest.mark.parametrize("body", [b'{"resourceType":', b"[]", b'{"resourceType":"Gaol"}'])
def test_referee_rejects_what_is_no_resource(referee: Referee, body: bytes) -> None:
    """Broken JSON and unknown types are findings, not failures of the referee."""
    assert [issue.severity for issue in referee(body)] == ["fatal"]


@pytest.mark.parametrize("name", ["Goal-goal-1", "Goal-goal-sdoh-2", "CarePlan-colonoscopy"])
def test_referee_passes_the_examples_of_us_core(referee: Referee, name: str) -> None:
    """The guide's own Goals and CarePlan have no error against the profile that they name."""
    with tarfile.open(launch.shared_inputs() / "igs" / launch.US_CORE) as guide:
        example = guide.extractfile(f"package/example/{name}.json")
        assert example is not None
        body = example.read()
    assert "us-core" in json.loads(body)["meta"]["profile"][0]
    assert referee.errors(body) == []


def test_referee_knows_the_profile_it_is_asked_for(referee: Referee) -> None:
    """A profile that is not loaded is an error, so that no check passes by being left out."""
    body = b'{"resourceType":"Goal","meta":{"profile":["https://nowhere.example/profile"]}}'
    assert any("nowhere.example" in issue.message for issue in referee.errors(body))


def test_each_test_has_a_database_of_its_own(postgres_database: str) -> None:
    """A new, empty UTF-8 database of PostgreSQL 13 or later."""
    with psycopg.connect(postgres_database.replace("+psycopg", "", 1)) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        encoding = connection.execute("SHOW server_encoding").fetchone()
        assert connection.info.server_version >= 130000
    assert (tables, encoding) == ((0,), ("UTF8",))
