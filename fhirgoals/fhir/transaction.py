"""Several writes as one Bundle of type transaction, and what its reply says of each of them.

Each entry carries the condition that it would carry alone, so a repeat of one of them can't double anything.
Source: https://hl7.org/fhir/R4/http.html#transaction. Pure; `EhrClient.transact` sends it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fhirgoals.errors import Bug
from fhirgoals.fhir.answers import Answer, Call, about, classify
from fhirgoals.fhir.exact_json import Resource, Tree, dumps
from fhirgoals.fhir.replies import OutcomeIssue
from fhirgoals.fhir.wire import Reply, header_value

MOST = 50
"""How many entries go in one Bundle: a goal has a few kB, and no server known to take Bundles takes fewer."""

_STATUS = re.compile(r"\s*(\d{3})\b")
_PLACE = re.compile(r"Bundle\.entry\[(\d{1,5})\]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One write: an update of the version that `etag` names, or a create.

    A create has a `search` (If-None-Exist), or goes to an id of our choice (`resource_id` without `etag`:
    If-None-Match). `full_url` is what other entries may refer to it by.
    """

    kind: str
    body: Resource = field(repr=False)
    resource_id: str | None = None
    etag: str | None = None
    search: str | None = None
    full_url: str | None = None

    @property
    def call(self) -> Call:
        """What it would be as a call of its own."""
        if self.resource_id is None:
            return "create"
        return "create_as" if self.etag is None else "update"

    def as_tree(self) -> Tree:
        """Return the entry as it stands in the Bundle."""
        request: Resource = {"method": "POST" if self.resource_id is None else "PUT"}
        match self.call:
            case "create":
                if not self.search:
                    raise Bug(f"create {self.kind} in a transaction without a search")
                request |= {"url": self.kind, "ifNoneExist": header_value(self.search)}
            case "create_as":
                request |= {"url": f"{self.kind}/{self.resource_id}", "ifNoneMatch": "*"}
            case _:
                request |= {"url": f"{self.kind}/{self.resource_id}", "ifMatch": header_value(self.etag or "")}
        named: Resource = {} if self.full_url is None else {"fullUrl": self.full_url}
        return {**named, "resource": self.body, "request": request}


def bundle_of(entries: Sequence[Entry]) -> Resource:
    """Return the Bundle of those writes; raises `Bug` for more than fit."""
    if len(entries) > MOST:
        raise Bug(f"{len(entries)} entries in a transaction: at most {MOST}")
    return {"resourceType": "Bundle", "type": "transaction", "entry": [one.as_tree() for one in entries]}


def answers_of(entries: Sequence[Entry], reply: Resource, *, now: datetime) -> tuple[Answer, ...] | None:
    """Return what became of each write, as its own reply would have told; `None` where the Bundle doesn't say it.

    The entries of a response stand in the order of the request (FHIR R4 http.html#transaction-response).
    """
    parts = reply.get("entry")
    if not isinstance(parts, list) or len(parts) != len(entries):
        return None
    return tuple(_answer_of(entry, _reply_of(part), now) for entry, part in zip(entries, parts, strict=True))


def is_all_or_nothing(reply: Resource) -> bool:
    """Tell whether a reply is that of a transaction: all its entries done. A batch is not, nor one with a failure."""
    parts = reply.get("entry")
    done = isinstance(parts, list) and all(200 <= _reply_of(part).status < 300 for part in parts)
    return done and reply.get("type") == "transaction-response"


def named_by(issues: Sequence[OutcomeIssue]) -> frozenset[int]:
    """Return the places of the entries that a refusal is about; empty where it does not say, or names others too."""
    errors = [one for one in issues if one.severity in ("fatal", "error")]
    places = [_PLACE.match(path) for one in errors for path in one.expressions or ("",)]
    return frozenset(int(place[1]) for place in places if place) if all(places) else frozenset()


def _answer_of(entry: Entry, reply: Reply, now: datetime) -> Answer:
    answer = classify(entry.call, entry.kind, reply, now=now)
    updates = entry.call == "update" and entry.resource_id is not None
    return about(answer, "update", entry.resource_id or "") if updates else answer


def _reply_of(part: Tree) -> Reply:
    """Return an entry of the response as an HTTP reply; one that is none has status 0, which proves nothing."""
    response = part.get("response") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(response, dict):
        return Reply(0)
    said = response.get("status")
    status = _STATUS.match(said) if isinstance(said, str) else None
    headers = {name: value for name in ("etag", "location") if isinstance(value := response.get(name), str)}
    body = part.get("resource", response.get("outcome"))
    return Reply(int(status[1]) if status else 0, headers, b"" if body is None else dumps(body))
