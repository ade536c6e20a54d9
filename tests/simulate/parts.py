"""A Bundle of writes as the watchers see it: one request and one reply for each of its entries."""

from __future__ import annotations

from typing import Any

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.wire import Reply, Request


def parts_of(request: Request) -> list[Request]:
    """Return the writes that a request carries: itself, or those of a Bundle at the base address."""
    base, _, path = request.url.partition("/fhir")
    if request.method != "POST" or path.strip("/"):
        return [request]
    bundle: Any = exact_json.loads(request.body or b"")
    return [_part(f"{base}/fhir", entry) for entry in bundle["entry"]]


def replies_of(parts: list[Request], reply: Reply) -> list[Reply]:
    """Return what became of each of them: by its own entry, or by the refusal of the whole."""
    bundle: Any = exact_json.loads(reply.body) if reply.body else {}
    if bundle.get("resourceType") != "Bundle":
        return [reply] * len(parts)
    return [_reply(entry) for entry in bundle["entry"]]


def done(parts: list[Request]) -> list[Reply]:
    """Return the replies of writes that were carried out and not answered."""
    return [Reply(201 if part.method == "POST" else 200, {}, b"") for part in parts]


def _part(base: str, entry: Any) -> Request:
    asked = entry["request"]
    headers = {"If-None-Match": asked["ifNoneMatch"]} if "ifNoneMatch" in asked else {}
    return Request(asked["method"], f"{base}/{asked['url']}", headers, exact_json.dumps(entry["resource"]))


def _reply(entry: Any) -> Reply:
    response = entry["response"]
    headers = {"location": response["location"]} if "location" in response else {}
    body = exact_json.dumps(entry["resource"]) if "resource" in entry else b""
    return Reply(int(response["status"][:3]), headers, body)
