"""What an EHR's answer means and what to do next: the one table for every HTTP outcome.

Pure: a call, its reply (or the transport's failure) and the time go in; one record of the union `Answer` comes out.
Sources: vendor reference 5a and 1-2, server reference ("How the two behave"), FHIR R4 http.html, RFC 9110.
What a reply says is read in `fhir/replies`; nothing here holds a server's free text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias, get_args

from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.replies import (
    Body,
    OutcomeIssue,
    etag_of,
    etag_version,
    issues_of,
    location_of,
    retry_after_s,
    string,
    version_of,
)
from fhirgoals.fhir.wire import Failure, FailureKind, Reply

Call: TypeAlias = Literal["read", "search", "create", "create_as", "update", "delete", "transaction"]
"""What was asked. `read` covers vread and /metadata, `search` history and pages; `create` is a POST with
If-None-Exist, `create_as` a PUT of a new id with If-None-Match: *, `update` and `delete` carry If-Match; `transaction`
is a Bundle of such writes, and its answer is of the whole."""

EtagSource: TypeAlias = Literal["header", "version"]
"""Where an ETag came from: the reply's header, or built from meta.versionId because there was no header."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The server holds this. `tree` is None where it gave no body back; `created` tells 201 from 200.

    On a conditional create `created=False` means that the resource was there before: check whose it is.
    """

    next_step: ClassVar[str] = "go on with this version"
    tree: Resource | None = field(repr=False)
    etag: str | None
    etag_source: EtagSource | None
    version: str | None
    resource_id: str | None
    created: bool = False
    issues: tuple[OutcomeIssue, ...] = ()


@dataclass(frozen=True, slots=True)
class Stale:
    """An update or delete met another version, a missing precondition, an existing id or a reference to it."""

    next_step: ClassVar[str] = (
        "read again: equal to what was sent means that ours landed, else merge; never repeat bare"
    )
    status: int
    issues: tuple[OutcomeIssue, ...] = ()


@dataclass(frozen=True, slots=True)
class Several:
    """A conditional create found more than one match: a pair exists there already."""

    next_step: ClassVar[str] = "let a person decide which one is ours; do not repeat"
    status: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The resource was there and is not any more; for a search: its pages expired; for a delete: it is done."""

    next_step: ClassVar[str] = "take it as deleted there; an expired search starts anew"
    status: int


@dataclass(frozen=True, slots=True)
class NotFound:
    """Nothing there, or not for us to see, or merged away: not yet a deletion."""

    next_step: ClassVar[str] = "look a second time before taking it as deleted"
    status: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The server points elsewhere (a merged patient at Epic); not followed. `resource_id` if the address names one."""

    next_step: ClassVar[str] = "check the identity of what it points to before anything is written"
    status: int
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not take this content or request."""

    next_step: ClassVar[str] = "set it aside with its issues for a person and go on with the rest"
    status: int
    issues: tuple[OutcomeIssue, ...] = ()


@dataclass(frozen=True, slots=True)
class Unauthorised:
    """The token is missing, wrong or out of date."""

    next_step: ClassVar[str] = "get a new token once; if it is refused too, pause the connection for the operator"
    status: int


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The token is good and this is not allowed: scope, tenant, or a chart behind break-the-glass."""

    next_step: ClassVar[str] = "treat it as unreadable and tell the operator; do not repeat"
    status: int
    issues: tuple[OutcomeIssue, ...] = ()


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too many requests or a daily cap; nothing was stored. `retry_after_s` is None where no hint was given."""

    next_step: ClassVar[str] = "pause the connection until the hint, else for the next fixed window"
    status: int
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Transient:
    """It failed for now, and repeating is safe: a GET, or a write that surely never reached the server."""

    next_step: ClassVar[str] = "repeat later with growing pauses; a search that keeps failing: ask for smaller pages"
    status: int | None = None
    failure: FailureKind | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """A write that may or may not be stored. `why`: no reply, a server error, a lost race, or an unclear success."""

    next_step: ClassVar[str] = (
        "find out first (by our identifier, or by comparing with what was sent); never repeat blind"
    )
    why: Literal["no_reply", "server_error", "conflict", "unclear_reply", "no_id"]
    status: int | None = None
    failure: FailureKind | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A reply to a read that is no FHIR JSON of the type and id asked for, is too large, or leads to another host."""

    next_step: ClassVar[str] = "hold what depends on it and tell the operator; nothing counts as changed or deleted"
    why: Literal["not_json", "wrong_type", "wrong_id", "empty", "too_large", "status", "foreign_link"]
    status: int | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The caller's last look before sending said no (withheld, consent ended, paused): nothing left."""

    next_step: ClassVar[str] = "drop the intent: the server never saw it"


Answer: TypeAlias = (
    Stored
    | Stale
    | Several
    | Gone
    | NotFound
    | Moved
    | Refused
    | Unauthorised
    | Forbidden
    | Throttled
    | Transient
    | UnknownOutcome
    | Unreadable
    | NotSent
)

Meaning: TypeAlias = Literal[
    "stored",
    "gone",
    "stale",
    "several",
    "not_found",
    "moved",
    "refused",
    "unauthorised",
    "forbidden",
    "throttled",
    "transient",
    "unknown",
    "lost_race",
    "unreadable",
]

CALLS: frozenset[Call] = frozenset(get_args(Call))
READS: frozenset[Call] = frozenset({"read", "search"})
WRITES: frozenset[Call] = CALLS - READS


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: these calls, answered with one of these statuses, mean this."""

    calls: frozenset[Call]
    statuses: frozenset[int]
    meaning: Meaning


def _calls(*calls: Call) -> frozenset[Call]:
    return frozenset(calls)


def _statuses(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


_ANY_STATUS = frozenset(range(1000))

TABLE: tuple[Row, ...] = (
    # The first row that fits counts. What the status can't prove is never taken for done or not done.
    Row(CALLS, _statuses(429), "throttled"),
    Row(CALLS, _statuses(401), "unauthorised"),
    Row(CALLS, _statuses(403), "forbidden"),
    Row(READS, _statuses(200), "stored"),
    Row(_calls("create", "create_as", "update", "transaction"), _statuses(200, 201, 204), "stored"),
    Row(_calls("delete"), _statuses(200, 204), "gone"),
    # 303 says "done, look there": for a write it proves nothing that we could check by itself.
    Row(WRITES, _statuses(303, 304), "unknown"),
    Row(READS, _statuses(304), "unreadable"),
    Row(CALLS, frozenset(range(300, 400)), "moved"),
    Row(_calls("create"), _statuses(412), "several"),
    # The loser of a create race at HAPI, a repeated idempotency key at HealthLake, or a broken reference.
    Row(_calls("create"), _statuses(409), "lost_race"),
    Row(_calls("create_as", "update", "delete", "transaction"), _statuses(409, 412), "stale"),
    Row(_calls("read", "search", "create_as", "update", "delete"), _statuses(410), "gone"),
    Row(_calls("read", "search", "update", "delete"), _statuses(404), "not_found"),
    Row(READS, _statuses(408, 425), "transient"),
    Row(WRITES, _statuses(408, 425), "unknown"),
    Row(CALLS, frozenset(range(400, 500)) | {501, 505}, "refused"),
    Row(READS, frozenset(range(500, 600)), "transient"),
    Row(WRITES, frozenset(range(500, 600)), "unknown"),
    Row(READS, _ANY_STATUS, "unreadable"),
    Row(WRITES, _ANY_STATUS, "unknown"),
)

DETAIL_CODES: Mapping[str, Meaning] = {
    # Epic's numbers in OperationOutcome.issue.details; they count only on a reply that is no success.
    "4107": "moved",
    "4113": "gone",
    "4130": "forbidden",
    "4131": "forbidden",
    "4134": "forbidden",
    "4135": "throttled",
}


def meaning_of(call: Call, status: int, detail_codes: frozenset[str] = frozenset()) -> Meaning:
    """Return what a status means for a call; a known vendor code of its outcome goes before the status."""
    if not 200 <= status < 300:
        for code, meaning in DETAIL_CODES.items():
            if code in detail_codes and (meaning != "gone" or call == "search"):
                return meaning
    return next(row.meaning for row in TABLE if call in row.calls and status in row.statuses)


def classify(call: Call, expected_type: str, outcome: Reply | Failure, *, now: datetime) -> Answer:  # noqa: C901, PLR0912
    """Return the answer for one exchange.

    `expected_type` is the resourceType that a body must have ("Bundle" for searches). `now` (aware) is needed to
    read a Retry-After date. Never raises for anything a server may send.
    """
    if isinstance(outcome, Failure):
        return _failed(call, outcome)
    body = Body.of(outcome.body)
    status = outcome.status
    issues = issues_of(body.tree)
    pause_s = retry_after_s(outcome.headers, now=now)
    match meaning_of(call, status, frozenset(code for issue in issues for code in issue.detail_codes)):
        case "stored":
            return _stored(call, expected_type, outcome, body, issues)
        case "gone":
            return Gone(status)
        case "stale":
            return Stale(status, issues)
        case "several":
            return Several(status)
        case "not_found":
            return NotFound(status)
        case "moved":
            return Moved(status, location_of(outcome.headers, None)[0])
        case "refused":
            return Refused(status, issues)
        case "unauthorised":
            return Unauthorised(status)
        case "forbidden":
            return Forbidden(status, issues)
        case "throttled":
            return Throttled(status, pause_s)
        case "transient":
            return Transient(status=status, retry_after_s=pause_s)
        case "unknown":
            why: Literal["server_error", "unclear_reply"] = "server_error" if status >= 400 else "unclear_reply"
            return UnknownOutcome(why, status=status, retry_after_s=pause_s)
        case "lost_race":
            return UnknownOutcome("conflict", status=status)
        case "unreadable":
            return Unreadable("status", status)


# --- building the answers ------------------------------------------------------------------------------------------


def _failed(call: Call, failure: Failure) -> Answer:
    if not failure.sent:
        return Transient(failure=failure.kind)
    if call in WRITES:
        return UnknownOutcome("no_reply", failure=failure.kind)
    if failure.kind == "too_large":
        return Unreadable("too_large")
    return Transient(failure=failure.kind)


def about(answer: Answer, call: Literal["read", "update"], resource_id: str) -> Answer:
    """Return the answer of a read or an update, unless it shows another resource than the one that was asked for."""
    if not isinstance(answer, Stored) or answer.resource_id in (None, resource_id):
        return answer
    return Unreadable("wrong_id") if call == "read" else UnknownOutcome("unclear_reply")


def _stored(call: Call, expected_type: str, reply: Reply, body: Body, issues: tuple[OutcomeIssue, ...]) -> Answer:
    """Return `Stored` only where the reply shows it: a log-in page with status 200 is no success."""
    tree: Resource | None = None
    if body.state == "json" and isinstance(body.tree, dict) and body.tree.get("resourceType") == expected_type:
        tree = body.tree
    elif call in READS:
        why: Literal["empty", "not_json", "wrong_type"] = body.state if body.state != "json" else "wrong_type"
        return Unreadable(why, reply.status)
    elif body.state != "empty" and not issues:
        return UnknownOutcome("unclear_reply", status=reply.status)
    location_id, location_version = location_of(reply.headers, expected_type)
    resource_id = (string(tree.get("id")) if tree is not None else None) or location_id
    if call == "create" and resource_id is None:
        return UnknownOutcome("no_id", status=reply.status)
    header = etag_of(reply.headers)
    version = version_of(tree) or (etag_version(header) if header else None) or location_version
    built = f'W/"{version}"' if version else None
    source: EtagSource | None = "header" if header else "version" if built else None
    return Stored(
        tree=tree,
        etag=header or built,
        etag_source=source,
        version=version,
        resource_id=resource_id,
        created=reply.status == 201,
        issues=issues,
    )
