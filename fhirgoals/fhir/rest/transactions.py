"""A Bundle of type transaction or batch: its entries as requests of their own, and the Bundle that answers them.

Source: https://hl7.org/fhir/R4/http.html#transaction. A reference to another entry's `urn:uuid:` is resolved where that
entry creates; entries that create and refer to each other in a ring are refused, which the standard would allow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

import msgspec
from msgspec import Raw

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.rest.asked import Asked
from fhirgoals.fhir.rest.headers import FHIR_JSON
from fhirgoals.fhir.rest.outcome import Declined, bad_request
from fhirgoals.fhir.wire import Reply

MAX_ENTRIES = 1000

_CONDITIONS = {"ifMatch": "if-match", "ifNoneMatch": "if-none-match", "ifNoneExist": "if-none-exist"}
_ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Part:
    """One entry as a request; `body` is its resource, `None` where it has none."""

    place: int
    asked: Asked
    full_url: str
    body: Tree

    def named(self, names: Mapping[str, str]) -> Asked:
        """Return the request with its references to entries that were created before as they are now."""
        if self.body is None:
            return self.asked
        return replace(self.asked, body=exact_json.dumps(_resolved(self.body, names)))


def read_parts(bundle: Resource, outer: Asked, base: str) -> tuple[Literal["transaction", "batch"], list[Part]]:
    """Return what kind of Bundle it is and its entries in their order; raises `Declined` (400) for what is none."""
    kind, entries = bundle.get("type"), bundle.get("entry", [])
    if kind not in ("transaction", "batch"):
        raise bad_request("the Bundle's type must be transaction or batch", "value")
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise bad_request(f"a Bundle has a list of at most {MAX_ENTRIES} entries", "structure")
    return ("transaction" if kind == "transaction" else "batch"), [
        _part(place, entry, outer, base) for place, entry in enumerate(entries)
    ]


def in_order(parts: list[Part]) -> Iterator[Part]:
    """Yield the entries as they are carried out: deletes, creates (after those that they refer to), updates, reads."""
    by_method = sorted(parts, key=lambda part: _ORDER.index(part.asked.method))
    creates = [part for part in by_method if part.asked.method == "POST"]
    yield from (part for part in by_method if part.asked.method == "DELETE")
    while creates:
        waiting = {part.full_url for part in creates} - {""}
        ready = [part for part in creates if not waiting & (_references(part.body) - {part.full_url})]
        if not ready:
            raise Declined(422, "not-supported", "new resources that refer to each other in a ring: create one first")
        yield from ready
        creates = [part for part in creates if part not in ready]
    yield from (part for part in by_method if part.asked.method not in ("DELETE", "POST"))


def carried_out(
    kind: Literal["transaction", "batch"],
    parts: list[Part],
    ask: Callable[[Asked], Reply],
    refused: Callable[[Declined], Reply],
) -> list[Reply]:
    """Return the replies in the order of the entries.

    Of a transaction the first that is declined ends it: `Declined` is raised, and names the entry.
    """
    names: dict[str, str] = {}
    replies: dict[int, Reply] = {}
    for part in in_order(parts):
        try:
            reply = ask(part.named(names))
        except Declined as declined:
            if kind == "transaction":
                raise Declined(
                    declined.status, declined.code, declined.sentence, declined.headers, f"Bundle.entry[{part.place}]"
                ) from None
            reply = refused(declined)
        replies[part.place] = reply
        location = reply.headers.get("location", "").partition("/_history/")[0]  # of a create alone
        if part.full_url and location:
            names[part.full_url] = "/".join(location.split("/")[-2:])
    return [replies[place] for place in range(len(parts))]


def answered(kind: str, replies: list[Reply]) -> bytes:
    """Return the Bundle that answers."""
    entries = [_entry(reply) for reply in replies]
    bundle: dict[str, object] = {"resourceType": "Bundle", "type": f"{kind}-response"}
    if entries:
        bundle["entry"] = entries
    return msgspec.json.encode(bundle)


def _part(place: int, entry: Tree, outer: Asked, base: str) -> Part:
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(request, dict):
        raise bad_request("each entry of the Bundle must have a request", "structure")
    method, url, body = request.get("method"), request.get("url"), entry.get("resource")
    if not isinstance(url, str) or not isinstance(method, str) or method not in _ORDER or not url.strip("/"):
        raise bad_request("each request of the Bundle must have a method and a url", "structure")
    path, _, query = url.removeprefix(base).lstrip("/").partition("?")
    headers = {name: value for name, value in outer.headers.items() if name in ("prefer", "accept")}
    headers |= {header: value for name, header in _CONDITIONS.items() if isinstance(value := request.get(name), str)}
    if body is not None:
        headers["content-type"] = FHIR_JSON
    asked = Asked(method, f"{outer.path.rstrip('/')}/{path}", query, exact_json.dumps(body), headers, outer.origin)
    full_url = entry.get("fullUrl")
    return Part(place, asked, full_url if isinstance(full_url, str) else "", body)


def _entry(reply: Reply) -> dict[str, object]:
    headers = reply.headers
    response: dict[str, object] = {"status": f"{reply.status} {HTTPStatus(reply.status).phrase}"}
    for name, header in (("location", "location"), ("location", "content-location"), ("etag", "etag")):
        if header in headers:
            response[name] = headers[header]
    if reply.status >= 400:
        return {"response": response | {"outcome": Raw(reply.body)}} if reply.body else {"response": response}
    return {"resource": Raw(reply.body), "response": response} if reply.body else {"response": response}


def _references(tree: Tree) -> set[str]:
    if isinstance(tree, list):
        return {one for each in tree for one in _references(each)}
    if not isinstance(tree, dict):
        return set()
    own = {value for key, value in tree.items() if key == "reference" and isinstance(value, str)}
    return own | {one for value in tree.values() for one in _references(value)}


def _resolved(tree: Tree, names: Mapping[str, str]) -> Tree:
    if isinstance(tree, list):
        return [_resolved(each, names) for each in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: names.get(value, value) if key == "reference" and isinstance(value, str) else _resolved(value, names)
        for key, value in tree.items()
    }
