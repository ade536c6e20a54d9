"""A transaction as a value: what each entry asks, and what a reply says of each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.errors import BadResource, Bug
from fhirgoals.fhir.answers import Answer, Forbidden, Refused, Stale, Stored, Throttled, UnknownOutcome
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.exact_json import dumps
from fhirgoals.fhir.replies import OutcomeIssue
from fhirgoals.fhir.transaction import MOST, Entry, answers_of, bundle_of, is_all_or_nothing, named_by
from fhirgoals.fhir.wire import Reply, Request

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
UPDATE = Entry("Goal", {"resourceType": "Goal", "id": "g1"}, "g1", 'W/"3"')
CREATE = Entry("Goal", {"resourceType": "Goal"}, search="identifier=urn:s|a", full_url="urn:uuid:1")
AT_ID = Entry("CarePlan", {"resourceType": "CarePlan", "id": "c1"}, "c1")


def reply(*parts: object, kind: str = "transaction-response") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(parts)}


def part(status: str, resource: object = None, **response: object) -> dict[str, Any]:
    body = {} if resource is None else {"resource": resource}
    return {**body, "response": {"status": status, **response}}


def answer(entry: Entry, one: object) -> Answer:
    answers = answers_of([entry], reply(one), now=NOW)
    assert answers is not None
    return answers[0]


def test_each_entry_carries_the_condition_of_its_request() -> None:
    """If-Match as received, If-None-Exist as written, If-None-Match for an id of ours."""
    tree: Any = bundle_of([UPDATE, CREATE, AT_ID])
    assert (tree["resourceType"], tree["type"]) == ("Bundle", "transaction")
    assert [one["request"] for one in tree["entry"]] == [
        {"method": "PUT", "url": "Goal/g1", "ifMatch": 'W/"3"'},
        {"method": "POST", "url": "Goal", "ifNoneExist": "identifier=urn:s|a"},
        {"method": "PUT", "url": "CarePlan/c1", "ifNoneMatch": "*"},
    ]
    assert [one.get("fullUrl") for one in tree["entry"]] == [None, "urn:uuid:1", None]
    assert [one["resource"] for one in tree["entry"]] == [UPDATE.body, CREATE.body, AT_ID.body]


def test_a_create_that_could_double_is_a_bug() -> None:
    """Neither a search nor an id of ours."""
    with pytest.raises(Bug):
        bundle_of([Entry("Goal", {"resourceType": "Goal"})])


def test_more_than_fifty_is_a_bug() -> None:
    """The caller splits."""
    assert len(bundle_of([UPDATE] * MOST)["entry"]) == MOST  # type: ignore[arg-type]
    with pytest.raises(Bug):
        bundle_of([UPDATE] * (MOST + 1))


def test_a_tag_that_no_header_could_carry_is_refused() -> None:
    """As in a request of its own."""
    with pytest.raises(BadResource):
        bundle_of([Entry("Goal", {}, "g1", 'W/"3"\r\nX: y')])


def test_an_entry_is_answered_as_its_own_reply_would_be() -> None:
    """The one answer table holds for entries too."""
    tree = {"resourceType": "Goal", "id": "g1", "meta": {"versionId": "4"}}
    assert answer(UPDATE, part("200 OK", tree, etag='W/"4"')) == Stored(tree, 'W/"4"', "header", "4", "g1")
    assert answer(CREATE, part("201 Created", location="Goal/g9/_history/1", etag='W/"1"')) == Stored(
        None, 'W/"1"', "header", "1", "g9", created=True
    )
    assert answer(UPDATE, part("412 Precondition Failed")) == Stale(412)
    assert answer(UPDATE, part("409")) == Stale(409)
    assert answer(CREATE, part("409 Conflict")) == UnknownOutcome("conflict", status=409)
    assert answer(UPDATE, part("429 Too Many Requests")) == Throttled(429)
    assert answer(UPDATE, part("403 Forbidden")) == Forbidden(403)
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}
    assert answer(UPDATE, part("422", outcome=outcome)) == Refused(422, (OutcomeIssue("error", "invalid"),))
    assert isinstance(answer(UPDATE, part("500")), UnknownOutcome)


@pytest.mark.parametrize(
    "one", [None, "text", {}, {"response": {}}, part("OK"), part(""), {"response": {"status": 200}}]
)
def test_an_entry_without_a_status_proves_nothing(one: object) -> None:
    """Not taken for done, and not for refused."""
    assert isinstance(answer(UPDATE, one), UnknownOutcome)
    assert not is_all_or_nothing(reply(one))


@pytest.mark.parametrize("tree", [{}, {"entry": "x"}, reply(), reply(part("200"), part("200"))])
def test_a_reply_of_another_length_says_nothing_of_any(tree: Any) -> None:
    """Which entry is whose is only known by their order."""
    assert answers_of([UPDATE], tree, now=NOW) is None


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_no_reply_is_an_error(part: object) -> None:
    """Whatever a server writes there is read."""
    is_all_or_nothing(reply(part))
    answers_of([UPDATE], reply(part), now=NOW)


def test_only_a_transaction_with_every_entry_done_is_one() -> None:
    """A batch is none, nor is one with a failure."""
    assert is_all_or_nothing(reply(part("200 OK"), part("201 Created")))
    assert not is_all_or_nothing(reply(part("200 OK"), part("412")))
    assert not is_all_or_nothing(reply(part("200 OK"), kind="batch-response"))
    assert not is_all_or_nothing({"type": "transaction-response"})


@pytest.mark.parametrize(
    ("issues", "places"),
    [
        ([OutcomeIssue("error", "invalid", (), ("Bundle.entry[2].resource.note",))], {2}),
        ([OutcomeIssue("error", "invalid", (), ("Bundle.entry[0]", "Bundle.entry[1]"))], {0, 1}),
        ([OutcomeIssue("error", "invalid", (), ("Bundle.entry[1]",)), OutcomeIssue("warning", "informational")], {1}),
        ([OutcomeIssue("error", "invalid", (), ("Bundle.entry[1]",)), OutcomeIssue("error", "invalid")], set()),
        ([OutcomeIssue("error", "invalid", (), ("Goal.note",))], set()),
        ([], set()),
    ],
)
def test_a_refusal_names_entries_or_none(issues: list[OutcomeIssue], places: set[int]) -> None:
    """One error without a place, and nothing is known of which it was."""
    assert named_by(issues) == places


class Scripted:
    """A network that gives these replies, one after another."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.replies.pop(0)


async def test_a_transaction_is_one_request_and_as_many_writes_as_entries() -> None:
    """It goes to the base address, is repeated after a 429 alone, and asks for the last look each time."""
    network = Scripted(Reply(429), Reply(200, {}, dumps(reply(part("200"), part("200")))))
    looks: list[bool] = []

    async def no_sleep(_seconds: float) -> None:
        return None

    async def may_send() -> bool:
        looks.append(True)
        return True

    client = EhrClient("http://ehr.test/fhir", network, clock=lambda: NOW, sleep=no_sleep)
    answer = await client.transact(bundle_of([UPDATE, CREATE]), 2, may_send=may_send)
    assert isinstance(answer, Stored)
    assert (client.requests, client.writes, len(looks)) == (2, 4, 2)
    assert {(one.method, one.url) for one in network.requests} == {("POST", "http://ehr.test/fhir")}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (404, Refused),
        (405, Refused),
        (409, Stale),
        (412, Stale),
        (500, UnknownOutcome),
        (503, UnknownOutcome),
    ],
)
async def test_the_answer_to_the_whole(status: int, kind: type) -> None:
    """A server error proves nothing; a refusal was none of its entries' alone."""
    client = EhrClient("http://ehr.test/fhir", Scripted(Reply(status)), clock=lambda: NOW)
    assert isinstance(await client.transact(bundle_of([UPDATE]), 1), kind)
