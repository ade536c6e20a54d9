"""Searchset and history Bundles, and the opaque tokens their `next` links carry.

A token holds the whole query and the place to go on from, so the server keeps no state and a page never expires.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import msgspec
from msgspec import Raw

from fhirgoals.fhir.rest.headers import etag
from fhirgoals.fhir.rest.outcome import bad_request
from fhirgoals.fhir.rest.versions import Version, instant

PAGE_PARAMETER = "_page"

_Entry: TypeAlias = dict[str, str | dict[str, str] | Raw]

_MATCH = {"mode": "match"}
_STATUS = {"POST": "201", "PUT": "200", "DELETE": "204"}
_encoder = msgspec.json.Encoder()


class Token(msgspec.Struct, frozen=True, array_like=True):
    """What a `next` link stands for: of which type, which search (or whose history), how many, behind what."""

    type: str
    count: int
    after: str
    pairs: list[tuple[str, str]] = []
    history_of: str | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """The links of a Bundle: the request as it was understood, and the next page if there is one."""

    self: str
    next: str | None


def token_text(token: Token) -> str:
    """Return the token as it stands in a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def read_token(text: str) -> Token:
    """Return the token of a URL; raise `Declined` (400) when it was not made here."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        token = msgspec.json.decode(raw, type=Token)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise bad_request(f"{PAGE_PARAMETER} is no page of this server: start the search again", "value") from None
    return token


def searchset(
    base: str, versions: Sequence[Version], links: Links, *, total: int | None, server_time: datetime
) -> bytes:
    """Return the Bundle of one page of a search; `meta.lastUpdated` is the server's time, to poll from."""
    entries: list[_Entry] = [
        {"fullUrl": f"{base}/{each.type}/{each.id}", "resource": Raw(each.wire), "search": _MATCH} for each in versions
    ]
    return _bundle("searchset", entries, links, total, server_time)


def history(base: str, versions: Sequence[Version], links: Links, *, total: int | None, server_time: datetime) -> bytes:
    """Return the Bundle of one page of a history, newest first; a deletion is an entry without a resource."""
    return _bundle("history", [_history_entry(base, each) for each in versions], links, total, server_time)


def _history_entry(base: str, version: Version) -> _Entry:
    entry: _Entry = {"fullUrl": f"{base}/{version.type}/{version.id}"}
    if version.body is not None:
        entry["resource"] = Raw(version.wire)
    url = version.type if version.verb == "POST" else f"{version.type}/{version.id}"
    entry["request"] = {"method": version.verb, "url": url}
    entry["response"] = {
        "status": _STATUS[version.verb],
        "etag": etag(version.version_id),
        "lastModified": instant(version.last_updated),
    }
    return entry


def _bundle(kind: str, entries: list[_Entry], links: Links, total: int | None, server_time: datetime) -> bytes:
    bundle: dict[str, object] = {"resourceType": "Bundle", "meta": {"lastUpdated": instant(server_time)}, "type": kind}
    if total is not None:
        bundle["total"] = total
    link = [{"relation": "self", "url": links.self}]
    if links.next is not None:
        link.append({"relation": "next", "url": links.next})
    bundle["link"] = link
    if entries:
        bundle["entry"] = entries
    return _encoder.encode(bundle)
