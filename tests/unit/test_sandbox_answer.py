"""`Sandbox.answer` and `Sandbox.app` are one server: the same requests get the same replies."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from fhirgoals.fhir.exact_json import dumps
from fhirgoals.fhir.rest import Asked, RestCore
from fhirgoals.fhir.rest.app import Limits
from fhirgoals.fhir.rest.asgi import asgi
from fhirgoals.fhir.wire import Method, Reply, Request
from fhirgoals.sandbox.ehr import ReplyLostError, Sandbox
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sandbox.variants import VARIANTS

BASE = "http://ehr.test/fhir"
START = datetime(2026, 11, 6, 9, tzinfo=UTC)


def goal(text: str, id_: str | None = None) -> bytes:
    tree: dict[str, Any] = {
        "resourceType": "Goal",
        "description": {"text": text},
        "subject": {"reference": "Patient/p"},
    }
    tree["identifier"] = [{"system": "urn:s", "value": text}]
    tree["note"] = [{"id": "n", "text": "a longer note", "extension": [{"url": "urn:e", "valueString": "x"}]}]
    return dumps(tree if id_ is None else {**tree, "id": id_})


REQUESTS: tuple[tuple[Method, str, Mapping[str, str], bytes | None], ...] = (
    ("GET", "/metadata", {}, None),
    ("POST", "/Goal", {"If-None-Exist": "identifier=urn:s|a"}, goal("a")),
    ("POST", "/Goal", {"If-None-Exist": "identifier=urn:s|a"}, goal("a")),
    ("PUT", "/Goal/g%31", {"If-None-Match": "*"}, goal("b", "g1")),
    ("PUT", "/Goal/g1", {"If-None-Match": "*"}, goal("b", "g1")),
    ("PUT", "/Goal/g1", {"If-Match": 'W/"1"', "Prefer": "return=minimal"}, goal("c", "g1")),
    ("PUT", "/Goal/g1", {"If-Match": 'W/"1"'}, goal("d", "g1")),
    ("PUT", "/Goal/g1", {"Content-Type": "text/plain"}, goal("d", "g1")),
    ("PUT", "/Goal/g1", {}, b"{"),
    ("GET", "/Goal/g1", {}, None),
    ("GET", "/Goal/g1", {"If-None-Match": 'W/"2"'}, None),
    ("GET", "/Goal/g1", {"Accept": "text/html"}, None),
    ("GET", "/Goal/g1/_history", {}, None),
    ("GET", "/Goal/g1/_history?_count=1", {}, None),
    ("GET", "/Goal/g1/_history/1", {}, None),
    ("GET", "/Goal?patient=Patient%2Fp&_count=1", {}, None),
    ("GET", "/Goal?identifier=urn%3As%7Ca&_format=json", {}, None),
    ("POST", "/Goal/_search", {"Content-Type": "application/x-www-form-urlencoded"}, b"_id=g1"),
    ("GET", "/Goal?nonsense=1", {}, None),
    ("PATCH", "/Goal/g1", {}, b"[]"),
    ("GET", "/Goal/", {}, None),
    ("GET", "/", {}, None),
    ("GET", "", {}, None),
    ("GET", "/metadata/", {}, None),
    ("GET", "s", {}, None),
    ("GET", "/Nonsense/1", {}, None),
    ("DELETE", "/Goal/g1", {"If-Match": 'W/"1"'}, None),
    ("DELETE", "/Goal/g1", {}, None),
    ("GET", "/Goal/g1", {}, None),
    ("GET", "/Goal/g1/_history", {}, None),
    ("DELETE", "/Goal/none", {}, None),
)


def sandbox(knobs: Knobs) -> Sandbox:
    ticks, ids = itertools.count(), itertools.count(1)
    return Sandbox(knobs, clock=lambda: START + timedelta(seconds=next(ticks)), new_id=lambda: f"made-{next(ids)}")


@pytest.mark.parametrize("name", sorted(VARIANTS))
async def test_both_entries_answer_alike(name: str) -> None:
    """Whatever the variant, status, headers and body are the same, and so is what is stored in the end."""
    direct, served = sandbox(VARIANTS[name].knobs), sandbox(VARIANTS[name].knobs)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=served.app)) as client:
        for method, path, headers, body in REQUESTS:
            request = Request(method, BASE + path, headers, body)
            try:
                expected: Reply | None = direct.answer(request)
            except ReplyLostError:
                expected = None
            try:
                reply = await client.request(method, BASE + path, headers=headers, content=body)
            except ReplyLostError:
                assert expected is None
            else:
                assert expected == Reply(reply.status_code, dict(reply.headers), reply.content), (method, path)
                assert int(reply.headers.get("content-length", 0)) == len(reply.content)

    assert direct.storage.dump() == served.storage.dump()


def test_the_list_of_requests_meets_all_kinds_of_replies() -> None:
    """The comparison above is worth something: of the plain server it sees each status that it can answer with."""
    box = sandbox(Knobs())

    replies = [box.answer(Request(method, BASE + path, headers, body)) for method, path, headers, body in REQUESTS]

    statuses = {reply.status for reply in replies}
    assert statuses == {200, 201, 204, 304, 400, 404, 405, 406, 410, 412, 415}


def test_head_has_the_headers_of_the_get_and_no_body() -> None:
    """A HEAD says how long the body would be and sends none."""
    box = sandbox(Knobs())
    box.answer(Request("PUT", BASE + "/Goal/g1", {}, goal("a", "g1")))
    core = RestCore()

    got, head = (core.answer(box.storage, Asked(method, "/fhir/Goal/g1", "", b"")) for method in ("GET", "HEAD"))

    assert (head.status, head.headers, head.body) == (200, got.headers, b"")
    assert head.headers["content-length"] == str(len(got.body))


async def test_header_lines_of_one_name_are_one_list() -> None:
    """Two If-Match lines name two versions, either of which may be the current one."""
    box = sandbox(Knobs())
    box.answer(Request("PUT", BASE + "/Goal/g1", {}, goal("a", "g1")))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=box.app)) as client:
        lines = [("If-Match", 'W/"9"'), ("If-Match", 'W/"1"')]
        reply = await client.put(BASE + "/Goal/g1", headers=lines, content=goal("b", "g1"))

    assert reply.status_code == 200


async def test_of_an_endless_body_no_more_is_read_than_the_limit() -> None:
    """A body without a declared length is read until it is too long, then refused."""
    app = asgi(
        partial(RestCore(limits=Limits(max_body_bytes=1000)).answer, sandbox(Knobs()).storage), max_body_bytes=1000
    )
    sent = itertools.count()

    async def endless() -> AsyncIterator[bytes]:
        while next(sent) < 100_000:
            yield b"x" * 100

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client:
        reply = await client.post(BASE + "/Goal", content=endless())

    assert (reply.status_code, next(sent)) == (413, 11)


def test_an_answer_names_the_host_that_was_asked() -> None:
    """Location and links begin as the request's URL does, port included."""
    box = sandbox(Knobs())

    made = box.answer(Request("POST", "https://ehr.test:8443/fhir/Goal", {}, goal("a")))
    found = box.answer(Request("GET", "https://ehr.test:8443/fhir/Goal?_id=made-1", {}))

    assert made.headers["location"] == "https://ehr.test:8443/fhir/Goal/made-1/_history/1"
    assert b'"fullUrl":"https://ehr.test:8443/fhir/Goal/made-1"' in found.body


def test_what_is_stored_is_not_the_callers_tree() -> None:
    """A tree that its caller changes later does not change what the server holds."""
    box = sandbox(Knobs())
    tree: dict[str, Any] = {"resourceType": "Goal", "id": "g1", "description": {"text": "as stored"}}
    box.storage.update("Goal", "g1", tree)

    tree["description"]["text"] = "changed"

    assert b"as stored" in box.answer(Request("GET", BASE + "/Goal/g1")).body
    assert box.storage.resources("Goal")[0]["description"] == {"text": "as stored"}
