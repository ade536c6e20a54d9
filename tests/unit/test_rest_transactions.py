"""Transactions and batches at the REST core: conditions, references between entries, all or nothing."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from fhirgoals.fhir.exact_json import dumps, loads
from fhirgoals.fhir.wire import Reply, Request
from fhirgoals.sandbox.ehr import Sandbox

BASE = "http://ehr.test/fhir"


@pytest.fixture
def ehr() -> Sandbox:
    ids = itertools.count(1)
    return Sandbox(new_id=lambda: f"made-{next(ids)}")


def goal(text: str = "Walk", **more: object) -> dict[str, Any]:
    subject = {"reference": "Patient/p1"}
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "subject": subject,
        "description": {"text": text},
        **more,
    }


def post(tree: dict[str, Any], full_url: str | None = None, **request: str) -> dict[str, Any]:
    named = {} if full_url is None else {"fullUrl": full_url}
    return {**named, "resource": tree, "request": {"method": "POST", "url": tree["resourceType"], **request}}


def put(tree: dict[str, Any], **request: str) -> dict[str, Any]:
    return {"resource": tree, "request": {"method": "PUT", "url": f"Goal/{tree['id']}", **request}}


def delete(id_: str) -> dict[str, Any]:
    return {"request": {"method": "DELETE", "url": f"Goal/{id_}"}}


def ask(ehr: Sandbox, *entries: object, kind: str = "transaction") -> Reply:
    bundle: Any = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return ehr.answer(Request("POST", BASE, {}, dumps(bundle)))


def tree(reply: Reply) -> Any:
    return loads(reply.body)


def responses(reply: Reply) -> list[tuple[str, str | None]]:
    return [(one["response"]["status"][:3], one["response"].get("etag")) for one in tree(reply)["entry"]]


def stored(ehr: Sandbox) -> dict[str, str]:
    found: list[Any] = ehr.storage.resources("Goal")
    return {one["id"]: one["description"]["text"] for one in found}


def test_each_entry_is_answered_in_its_place(ehr: Sandbox) -> None:
    """Whatever the order of the work, the answers stand in the order of the entries, with tag, place and resource."""
    ask(ehr, put(goal("a", id="g1")), put(goal("b", id="g2")))

    reply = ask(ehr, put(goal("c", id="g1"), ifMatch='W/"1"'), post(goal("d")), delete("g2"))

    assert reply.status == 200
    assert responses(reply) == [("200", 'W/"2"'), ("201", 'W/"1"'), ("204", 'W/"2"')]
    [first, second, third] = tree(reply)["entry"]
    assert first["resource"]["description"] == {"text": "c"}
    assert second["response"]["location"] == f"{BASE}/Goal/made-1/_history/1"
    assert "resource" not in third
    assert stored(ehr) == {"g1": "c", "made-1": "d"}
    Bundle.model_validate_json(reply.body)


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (put(goal("x", id="g2"), ifMatch='W/"9"'), 412),
        (put(goal("x", id="g3"), ifNoneMatch="*"), 412),
        (post(goal("x"), ifNoneExist="subject=Patient/p1"), 412),
        (post({"resourceType": "Nonsense"}), 404),
        ({"resource": goal("x", id="g3"), "request": {"method": "PUT", "url": "Goal/other"}}, 400),
        ({"resource": goal("x"), "request": {"method": "PATCH", "url": "Goal/g1"}}, 405),
        ({"resource": goal("x"), "request": {"url": "Goal"}}, 400),
        ({"request": {"method": "POST", "url": ""}}, 400),
        ("no entry", 400),
    ],
)
def test_one_that_fails_leaves_nothing(ehr: Sandbox, bad: object, status: int) -> None:
    """Creates, updates and deletes of the same Bundle are undone, in searches and histories too."""
    ask(ehr, *(put(goal("a", id=id_)) for id_ in ("g1", "g2", "g3")))
    before = ehr.storage.dump()

    reply = ask(ehr, post(goal("new")), delete("g1"), put(goal("changed", id="g2"), ifMatch='W/"1"'), bad)

    assert reply.status == status
    assert tree(reply)["resourceType"] == "OperationOutcome"
    assert ehr.storage.dump() == before
    found: Any = loads(ehr.answer(Request("GET", f"{BASE}/Goal?subject=Patient/p1", {}, None)).body)
    assert found["total"] == 3
    assert responses(ask(ehr, post(goal("new")))) == [("201", 'W/"1"')]


def test_new_resources_may_refer_to_each_other(ehr: Sandbox) -> None:
    """A `urn:uuid` becomes the id that its entry was given, whatever the order; one that stood already counts too."""
    parent = goal("parent", note=[{"authorReference": {"reference": "urn:uuid:child"}, "text": "x"}])
    known = goal("known", identifier=[{"system": "urn:s", "value": "k"}])
    ask(ehr, post(known))

    reply = ask(
        ehr,
        post(parent),
        post(goal("child"), "urn:uuid:child"),
        post(known, "urn:uuid:known", ifNoneExist="identifier=urn:s|k"),
        put(goal("last", id="g9", addresses=[{"reference": "urn:uuid:known"}])),
    )

    assert [status for status, _ in responses(reply)] == ["201", "201", "200", "201"]
    first, child, _, last = (one["resource"] for one in tree(reply)["entry"])
    assert first["note"][0]["authorReference"]["reference"] == f"Goal/{child['id']}"
    assert last["addresses"] == [{"reference": "Goal/made-1"}]


def test_a_ring_of_new_resources_is_refused(ehr: Sandbox) -> None:
    """Neither of two that refer to each other can be made first."""
    one = goal("one", addresses=[{"reference": "urn:uuid:two"}])
    two = goal("two", addresses=[{"reference": "urn:uuid:one"}])

    assert ask(ehr, post(one, "urn:uuid:one"), post(two, "urn:uuid:two")).status == 422
    assert stored(ehr) == {}


def test_the_entries_of_a_batch_stand_for_themselves(ehr: Sandbox) -> None:
    """One that fails says so in its place, the others are done."""
    ask(ehr, put(goal("a", id="g1")))

    reply = ask(ehr, put(goal("b", id="g1"), ifMatch='W/"9"'), post(goal("c")), kind="batch")

    assert tree(reply)["type"] == "batch-response"
    assert responses(reply) == [("412", None), ("201", 'W/"1"')]
    assert tree(reply)["entry"][0]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert stored(ehr) == {"g1": "a", "made-1": "c"}


@pytest.mark.parametrize("kind", ["searchset", ""])
def test_another_bundle_is_no_request(ehr: Sandbox, kind: str) -> None:
    """Only transactions and batches are taken at the base."""
    assert ask(ehr, kind=kind).status == 400
