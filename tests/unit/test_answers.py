"""The answer table: every status and failure has one meaning, and no meaning claims more than the reply shows."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.fhir.answers import (
    CALLS,
    READS,
    TABLE,
    WRITES,
    Answer,
    Call,
    Forbidden,
    Gone,
    Moved,
    NotFound,
    Refused,
    Several,
    Stale,
    Stored,
    Throttled,
    Transient,
    Unauthorised,
    UnknownOutcome,
    Unreadable,
    classify,
    meaning_of,
)
from fhirgoals.fhir.replies import MAX_HINT_S, OutcomeIssue, issues_of, retry_after_s
from fhirgoals.fhir.wire import Failure, FailureKind, Reply

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SECRET = "Anna cries about her mother"


def ask(call: Call, status: int, body: object = None, expected: str = "Goal", **headers: str) -> Answer:
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify(call, expected, Reply(status, names, raw), now=NOW)


def goal(version: str | None = "3", goal_id: str | None = "g1") -> dict[str, object]:
    tree: dict[str, object] = {"resourceType": "Goal"}
    if goal_id:
        tree["id"] = goal_id
    if version:
        tree["meta"] = {"versionId": version}
    return tree


def outcome(*details: str, code: str = "invalid", path: str = "Goal.target[0].due[x]") -> dict[str, object]:
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": code,
                "diagnostics": SECRET,
                "details": {"text": SECRET, "coding": [{"system": "urn:x", "code": item} for item in details]},
                "expression": [path],
            }
        ],
    }


# --- the table as a whole ---


@pytest.mark.parametrize("call", sorted(CALLS))
def test_every_status_has_a_meaning(call: Call) -> None:
    """Any number in the status line is classified, also those that HTTP does not define."""
    for status in range(1000):
        assert meaning_of(call, status)


def test_no_row_of_the_table_is_dead() -> None:
    """Each row decides at least one (call, status): a row that never counts would only seem to be a rule."""
    deciding = {
        next(index for index, row in enumerate(TABLE) if call in row.calls and status in row.statuses)
        for call in CALLS
        for status in range(1000)
    }
    assert deciding == set(range(len(TABLE)))


@pytest.mark.parametrize("call", sorted(WRITES))
def test_a_write_is_transient_by_no_status(call: Call) -> None:
    """`Transient` means "repeat": for a write only a request that never left may be that."""
    for status in range(1000):
        assert meaning_of(call, status) != "transient"


@pytest.mark.parametrize("call", sorted(READS))
def test_a_read_never_has_an_unknown_outcome(call: Call) -> None:
    """A read changes nothing, so nothing can be in doubt."""
    for status in range(1000):
        assert meaning_of(call, status) not in ("unknown", "lost_race", "stale", "several")


def test_every_answer_says_what_to_do() -> None:
    """Each member of the union has its next step as a sentence."""
    for member in get_args(Answer):
        assert len(member.next_step) > 10


@given(
    call=st.sampled_from(sorted(CALLS)),
    status=st.integers(0, 999),
    body=st.one_of(st.binary(max_size=60), st.sampled_from([b"", b"null", b"[]", b"1", b'{"issue":3}', b"<html>"])),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "etag", "location", "ratelimit", "x-ms-retry-after-ms", "date"]), st.text()
    ),
)
def test_no_reply_makes_it_raise(call: Call, status: int, body: bytes, headers: dict[str, str]) -> None:
    """Whatever a server sends becomes an answer, and a read or write without a fitting body is never `Stored`."""
    answer = classify(call, "Goal", Reply(status, headers, body), now=NOW)
    assert isinstance(answer, get_args(Answer))
    if call in READS:
        assert not isinstance(answer, Stored | UnknownOutcome)


# --- statuses ---


@pytest.mark.parametrize(
    ("call", "status", "expected"),
    [
        *((call, 429, Throttled(429)) for call in sorted(CALLS)),
        *((call, 401, Unauthorised(401)) for call in sorted(CALLS)),
        *((call, 403, Forbidden(403)) for call in sorted(CALLS)),
        *((call, 301, Moved(301)) for call in sorted(CALLS)),
        *((call, 400, Refused(400)) for call in sorted(CALLS)),
        *((call, 422, Refused(422)) for call in sorted(CALLS)),
        *((call, 405, Refused(405)) for call in sorted(CALLS)),
        *((call, 501, Refused(501)) for call in sorted(CALLS)),
        *((call, status, Transient(status)) for call in sorted(READS) for status in (408, 500, 502, 503, 504)),
        *(
            (call, status, UnknownOutcome("server_error", status))
            for call in sorted(WRITES)
            for status in (408, 500, 502, 503, 504)
        ),
        ("create", 412, Several(412)),
        ("create", 409, UnknownOutcome("conflict", 409)),
        ("create", 404, Refused(404)),
        ("create", 303, UnknownOutcome("unclear_reply", 303)),
        ("create", 202, UnknownOutcome("unclear_reply", 202)),
        ("create_as", 412, Stale(412)),
        ("create_as", 404, Refused(404)),
        ("update", 409, Stale(409)),
        ("update", 412, Stale(412)),
        ("update", 410, Gone(410)),
        ("update", 404, NotFound(404)),
        ("delete", 409, Stale(409)),
        ("delete", 412, Stale(412)),
        ("delete", 404, NotFound(404)),
        ("delete", 410, Gone(410)),
        ("delete", 200, Gone(200)),
        ("delete", 204, Gone(204)),
        ("delete", 202, UnknownOutcome("unclear_reply", 202)),
        ("read", 410, Gone(410)),
        ("read", 404, NotFound(404)),
        ("read", 304, Unreadable("status", 304)),
        ("read", 206, Unreadable("status", 206)),
        ("search", 410, Gone(410)),
    ],
)
def test_status_means(call: Call, status: int, expected: Answer) -> None:
    """The rows of the answer table (vendor reference 5a), one by one."""
    assert ask(call, status) == expected


@pytest.mark.parametrize("kind", get_args(FailureKind))
@pytest.mark.parametrize("call", sorted(CALLS))
def test_a_request_that_never_left_may_be_repeated(call: Call, kind: FailureKind) -> None:
    """Not sent is not stored, for writes too."""
    assert classify(call, "Goal", Failure(kind, sent=False), now=NOW) == Transient(failure=kind)


@pytest.mark.parametrize("kind", get_args(FailureKind))
@pytest.mark.parametrize("call", sorted(WRITES))
def test_a_write_without_a_reply_is_in_doubt(call: Call, kind: FailureKind) -> None:
    """Once bytes left, only looking again can tell whether it was stored."""
    assert classify(call, "Goal", Failure(kind, sent=True), now=NOW) == UnknownOutcome("no_reply", failure=kind)


def test_a_read_without_a_reply_is_repeated_unless_too_large() -> None:
    """A time-out passes; a body over the limit comes again."""
    assert classify("read", "Goal", Failure("timeout", sent=True), now=NOW) == Transient(failure="timeout")
    assert classify("read", "Goal", Failure("too_large", sent=True), now=NOW) == Unreadable("too_large")


# --- what is stored ---


def test_the_etag_is_kept_as_received() -> None:
    """Weak, strong and bare tags go back byte for byte; the version is their opaque part when meta has none."""
    for tag, version in (('W/"7"', "7"), ('"7"', "7"), ("7", "7"), ('W/"a-b"', "a-b")):
        answer = ask("read", 200, goal(version=None), ETag=tag)
        assert isinstance(answer, Stored)
        assert (answer.etag, answer.etag_source, answer.version) == (tag, "header", version)


def test_without_an_etag_header_it_is_built_from_the_version() -> None:
    """The caller learns that the tag is ours to guess, not the server's."""
    answer = ask("read", 200, goal("3"))
    assert isinstance(answer, Stored)
    assert (answer.etag, answer.etag_source, answer.version) == ('W/"3"', "version", "3")


def test_no_version_at_all_gives_no_etag() -> None:
    """Epic shows neither: nothing is invented."""
    answer = ask("read", 200, goal(None))
    assert isinstance(answer, Stored)
    assert (answer.etag, answer.etag_source, answer.version) == (None, None, None)


def test_a_framework_etag_does_not_replace_the_version() -> None:
    """Where header and meta differ, both are kept: the profile decides which one is the precondition."""
    answer = ask("read", 200, goal("3"), ETag='"5f3a"')
    assert isinstance(answer, Stored)
    assert (answer.etag, answer.version) == ('"5f3a"', "3")


@pytest.mark.parametrize(("status", "created"), [(201, True), (200, False)])
def test_created_tells_new_from_found(status: int, created: bool) -> None:
    """A conditional create that found a match answers 200: nothing of ours was stored by it."""
    answer = ask("create", status, goal())
    assert isinstance(answer, Stored)
    assert answer.created is created
    assert answer.tree == goal()
    assert answer.resource_id == "g1"


@pytest.mark.parametrize(
    "location",
    ["http://h/fhir/Goal/g9/_history/4", "Goal/g9/_history/4", "/fhir/Goal/g9/_history/4?x=1#y"],
)
def test_without_a_body_the_location_names_id_and_version(location: str) -> None:
    """Servers may ignore `Prefer: return=representation`."""
    answer = ask("create", 201, None, Location=location)
    assert isinstance(answer, Stored)
    assert (answer.tree, answer.resource_id, answer.version, answer.etag) == (None, "g9", "4", 'W/"4"')


def test_an_outcome_as_the_body_of_a_success_counts_as_no_body() -> None:
    """`Prefer: return=OperationOutcome` servers store and give their warnings back."""
    answer = ask("update", 200, outcome(), Location="Goal/g1/_history/2")
    assert isinstance(answer, Stored)
    assert (answer.tree, answer.resource_id) == (None, "g1")
    assert answer.issues


def test_a_created_resource_without_id_is_in_doubt() -> None:
    """201 with neither body nor Location: it is there, and only a search finds it."""
    assert ask("create", 201) == UnknownOutcome("no_id", 201)
    assert ask("create", 201, None, Location="Patient/p1") == UnknownOutcome("no_id", 201)


@pytest.mark.parametrize(
    "body", [b"<html>log in</html>", b"{", b"[]", b"null", {"resourceType": "Patient", "id": "p"}, {"id": "g1"}]
)
def test_a_success_with_a_foreign_body_is_no_success(body: object) -> None:
    """A proxy's log-in page has status 200 as well."""
    assert ask("update", 200, body) == UnknownOutcome("unclear_reply", 200)
    assert isinstance(ask("read", 200, body), Unreadable)


def test_an_unreadable_reply_says_why() -> None:
    """The operator sees whether a page, another type or nothing came."""
    assert ask("read", 200, b"<html>") == Unreadable("not_json", 200)
    assert ask("read", 200, {"resourceType": "Patient"}) == Unreadable("wrong_type", 200)
    assert ask("read", 200) == Unreadable("empty", 200)
    assert ask("read", 200, b"[" * 5000) == Unreadable("not_json", 200)


def test_a_redirect_is_named_by_id_only() -> None:
    """Epic redirects from a merged patient to the survivor."""
    answer = ask("read", 301, None, "Patient", Location="https://elsewhere.example/api/Patient/p2?token=x")
    assert answer == Moved(301, "p2")
    assert "elsewhere" not in repr(answer)


# --- vendor codes ---


@pytest.mark.parametrize(
    ("call", "code", "kind"),
    [
        ("read", "4135", Throttled),
        ("create", "4135", Throttled),
        ("read", "4130", Forbidden),
        ("read", "4131", Forbidden),
        ("read", "4134", Forbidden),
        ("read", "4107", Moved),
        ("search", "4113", Gone),
        ("read", "4113", Refused),
        ("read", "9999", Refused),
    ],
)
def test_a_known_vendor_code_goes_before_the_status(call: Call, code: str, kind: type[Answer]) -> None:
    """Epic answers 400 or 403 and tells the reason by number."""
    assert isinstance(ask(call, 400, outcome(code)), kind)


def test_a_vendor_code_on_a_success_is_a_warning() -> None:
    """A stored resource stays stored whatever else the server says."""
    assert isinstance(ask("update", 200, outcome("4135")), Stored)


# --- issues ---


def test_issues_carry_codes_and_paths_only() -> None:
    """Free text of a server may quote the patient: it is in no field, and in no repr."""
    answer = ask("create", 422, outcome("59141", code="business-rule"))
    assert answer == Refused(422, (OutcomeIssue("error", "business-rule", ("59141",), ("Goal.target[0].due[x]",)),))
    assert SECRET not in repr(answer)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("Goal.note[1].text", ("Goal.note[1].text",)),
        ("Goal.note.where(text='Anna')", ("Goal.note.where",)),
        ("Bundle.entry[0].resource.ofType(Goal).target", ("Bundle.entry[0].resource.ofType(Goal).target",)),
        ("Anna cries", ()),
        ("Goal Anna cries", ()),
        ("Line[1] Col[20]", ()),
        ("Goalkeeper", ()),
        ("", ()),
    ],
)
def test_a_path_is_cut_where_it_stops_being_one(path: str, kept: tuple[str, ...]) -> None:
    """Only element names, indexes and types pass; the rest of an expression may hold values."""
    assert issues_of(outcome(path=path))[0].expressions == kept  # type: ignore[arg-type]


def test_words_in_the_place_of_codes_are_dropped() -> None:
    """A server that writes a sentence into a code does not get it into our logs."""
    tree = {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": SECRET, "code": SECRET, "details": {"coding": [{"code": SECRET}, 3]}, "expression": [3]},
            7,
        ],
    }
    assert issues_of(tree) == (OutcomeIssue("error", "unknown"),)  # type: ignore[arg-type]


def test_bodies_are_in_no_repr() -> None:
    """A record that ends in a log or traceback shows no content."""
    stored = ask("read", 200, {**goal(), "description": {"text": SECRET}})
    assert SECRET not in repr(stored)
    assert SECRET not in repr(Reply(200, {"x": SECRET}, SECRET.encode()))


# --- how long to wait ---


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "999999999999"}, MAX_HINT_S),
        ({"Retry-After": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"Retry-After": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0.0),
        ({"Retry-After": "Wed, 99 Nov 2026 12:00:00 GMT"}, None),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "1500", "Retry-After": "1"}, 1.5),
        ({"RateLimit": '"requests";r=0;t=17'}, 17.0),
        ({"RateLimit": '"requests";r=5;t=60, "load";r=0;t=7'}, 7.0),
        ({"RateLimit": '"requests";r=5;t=60'}, 60.0),
        ({"RateLimit": '"requests";r=0'}, None),
    ],
)
def test_the_hint_is_read_in_every_spelling(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, HTTP date, Azure's milliseconds and Medplum's RateLimit; nonsense is no hint."""
    answer = classify("read", "Goal", Reply(429, headers), now=NOW)
    assert isinstance(answer, Throttled)
    assert answer.retry_after_s == pytest.approx(seconds)


def test_a_date_is_measured_by_the_servers_own_clock() -> None:
    """A server whose clock is 90 s ahead of ours still means 30 s."""
    ahead = NOW + timedelta(seconds=90)
    headers = {
        "date": format_datetime(ahead, usegmt=True),
        "retry-after": format_datetime(ahead + timedelta(seconds=30), usegmt=True),
    }
    assert retry_after_s(headers, now=NOW) == 30.0


def test_hints_come_along_with_server_errors() -> None:
    """503 with Retry-After says when to look again, for reads and for writes in doubt."""
    assert ask("read", 503, Retry_After="9") == Transient(503, retry_after_s=9.0)
    assert ask("update", 503, Retry_After="9") == UnknownOutcome("server_error", 503, retry_after_s=9.0)


def test_the_table_loads_without_the_http_library() -> None:
    """Pure code may use it without a network stack."""
    code = "import sys, fhirgoals.fhir.answers, fhirgoals.fhir.pages; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
