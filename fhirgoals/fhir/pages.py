"""Bundles that come page by page: their entries sorted out, their versions, and where the next page is.

Pure. A link is opaque (HAPI: on the base; Canvas: relative; Azure: a token) and never leaves the server's origin:
what `follow` returns is built from our own origin, so that a token can't be sent anywhere else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from fhirgoals.fhir.exact_json import Resource, Tree, canonical
from fhirgoals.fhir.replies import OutcomeIssue, addressable, etag_version, issues_of, string, version_of

NOT_WHOLE = "4119"
"""Epic: the answer may not be the patient's entire record."""

EXPIRED = "4113"
"""Epic: the pages of this search are no longer kept."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found, each (type, id) once and in the server's order.

    `included` holds what came along (`_include`), never counted as found. `complete` is False where something may be
    missing: the server said so, an entry can't be read, or there were too many pages. Absence never means deletion.
    """

    entries: tuple[Resource, ...] = field(repr=False)
    included: tuple[Resource, ...] = field(default=(), repr=False)
    warnings: tuple[OutcomeIssue, ...] = ()
    complete: bool = True
    pages: int = 1


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource, as the server's history gives it; `tree` is None where it was deleted."""

    version: str | None
    tree: Resource | None = field(repr=False)
    last_updated: str | None
    """As written: the instant's digits are the server's own."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What changed since an instant: each resource once, as it came first (newest first in a history); `None` where it
    was deleted.

    `server_time` is the server's own when it made the first page, as it writes it: the instant to ask from next time;
    `None` where it tells none. `complete` is False where something may be missing.
    """

    resources: Mapping[str, Resource | None] = field(repr=False)
    server_time: str | None = None
    complete: bool = True


def changed(pages: Sequence[Resource], resource_type: str, *, whole: bool) -> Changed:
    """Return what the pages of a type's history, or of a search by `_lastUpdated`, tell as changed."""
    found: dict[str, Resource | None] = {}
    for page in pages:
        for entry in _objects(page.get("entry")):
            resource = entry.get("resource")
            tree = resource if isinstance(resource, dict) else None
            if tree is None and _is_deletion(entry.get("request"), entry.get("response")):
                resource_id = _deleted_id(entry, resource_type)
            elif tree is not None and tree.get("resourceType") == resource_type:
                resource_id = string(tree.get("id"))
            elif tree is not None and not _says_missing(issues_of(tree)):
                continue  # came along, or the server's remark
            else:
                resource_id = None
            if resource_id is None:
                whole = False
            else:
                found.setdefault(resource_id, tree)
    meta = pages[0].get("meta") if pages else None
    return Changed(found, string(meta.get("lastUpdated")) if isinstance(meta, dict) else None, whole)


def _says_missing(issues: Iterable[OutcomeIssue]) -> bool:
    return any(issue.severity in ("fatal", "error") or NOT_WHOLE in issue.detail_codes for issue in issues)


def collect(pages: Iterable[Resource], resource_type: str, *, whole: bool) -> SearchResult:
    """Return the result of all pages of one search; a resource that comes again later counts once, as it came last.

    `whole` is False where paging was stopped before its end.
    """
    found: dict[tuple[str, str] | int, Resource] = {}
    included: dict[tuple[str, str] | int, Resource] = {}
    warnings: list[OutcomeIssue] = []
    count = 0
    for page in pages:
        count += 1
        for entry in _entries(page):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(entry, dict) or not isinstance(resource, dict):
                warnings.append(OutcomeIssue("error", "structure"))
            elif resource.get("resourceType") == "OperationOutcome" or _mode(entry) == "outcome":
                warnings += issues_of(resource)
            elif not addressable(string(resource.get("id")) or "-"):
                warnings.append(OutcomeIssue("warning", "value"))  # it can't be one of ours: none was ever written to
            else:
                kept = found if is_match(entry, resource_type) else included
                kept[_key(resource) or len(kept)] = resource
    whole = whole and not _says_missing(warnings)
    return SearchResult(tuple(found.values()), tuple(included.values()), tuple(warnings), whole, count)


def versions(pages: Iterable[Resource], resource_type: str, resource_id: str) -> tuple[Version, ...]:
    """Return the versions of one resource in the server's order (newest first by the specification)."""
    found: list[Version] = []
    for page in pages:
        for entry in _objects(page.get("entry")):
            resource, request, response = entry.get("resource"), entry.get("request"), entry.get("response")
            etag = string(response.get("etag")) if isinstance(response, dict) else None
            modified = string(response.get("lastModified")) if isinstance(response, dict) else None
            if isinstance(resource, dict) and resource.get("resourceType") == resource_type:
                if resource.get("id") == resource_id:
                    meta = resource.get("meta")
                    updated = string(meta.get("lastUpdated")) if isinstance(meta, dict) else None
                    version = version_of(resource) or (etag_version(etag) if etag else None)
                    found.append(Version(version, resource, updated or modified))
            elif _is_deletion(request, response):
                found.append(Version(_deleted_version(entry, request, etag), None, modified))
    return tuple(found)


def all_keys(page: Resource) -> list[str]:
    """Return a key for each entry of a page of history, deletions too.

    Two may be equal to the byte: a server that names every version 1 was written the same twice within one second.
    """
    count: Counter[bytes] = Counter()
    keys = []
    for entry in _entries(page):
        content = canonical(entry)
        keys.append(f"{count[content]} {content.decode()}")
        count[content] += 1
    return keys


def match_keys(page: Resource, resource_type: str) -> list[str]:
    """Return a key for each match of a page of a search: one must be new for it to count as another page."""
    result = []
    for entry in _objects(page.get("entry")):
        if is_match(entry, resource_type):
            resource = entry.get("resource")
            tree = resource if isinstance(resource, dict) else {}
            result.append(f"{tree.get('id')}/{version_of(tree)}/{entry.get('fullUrl')}")
    return result


def is_match(entry: Resource, resource_type: str) -> bool:
    """Tell whether an entry is a found resource, not one that came along or an outcome."""
    resource = entry.get("resource")
    if not isinstance(resource, dict) or resource.get("resourceType") != resource_type:
        return False
    return _mode(entry) in (None, "match")


def total(page: Resource) -> int:
    """Return Bundle.total, 0 where it is absent."""
    value = page.get("total")
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def expected(page: Resource) -> int:
    """Return how many entries there may be in all: Bundle.total, and one more for each deletion on a page of history.

    HAPI 8.8.0 leaves as many of the oldest versions out of total and page as there are deletions (measured); asked
    on by `_offset` it gives them.
    """
    deletions = sum(_is_deletion(entry.get("request"), entry.get("response")) for entry in _objects(page.get("entry")))
    return total(page) + deletions


def has_expired(page: Resource) -> bool:
    """Tell whether a page is no page but the word, with status 200, that the search has expired."""
    return any(
        EXPIRED in issue.detail_codes
        for entry in _objects(page.get("entry"))
        for issue in issues_of(entry.get("resource"))
    )


def next_link(page: Resource) -> str | None:
    """Return the address of the next page as the server wrote it."""
    for link in _objects(page.get("link")):
        if link.get("relation") == "next":
            return string(link.get("url"))
    return None


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Return (scheme, host, port) of an absolute http(s) URL; None for anything that could be read in two ways."""
    if re.search(r"[\s\\\x00-\x1f\x7f]", url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname.rstrip("."), port or _DEFAULT_PORTS[parts.scheme]


def follow(page_url: str, link: str) -> str | None:
    """Return the URL of the next page on the origin of `page_url`; None if the link leads anywhere else.

    Relative links are taken from the page they stand on (RFC 3986 5). The result's origin is copied from
    `page_url`, not from the link: however the link is read elsewhere, the request goes to the same server.
    """
    if re.search(r"[\s\\\x00-\x1f\x7f]", link):
        return None
    try:
        target = urljoin(page_url, link)
        parts = urlsplit(link)
    except ValueError:
        return None
    if parts.scheme and not parts.netloc:
        # `http:///host/x`: readers differ on what its host is.
        return None
    if origin_of(target) is None or origin_of(target) != origin_of(page_url):
        return None
    here, there = urlsplit(page_url), urlsplit(target)
    query = f"?{there.query}" if there.query else ""
    return f"{here.scheme}://{here.netloc}{there.path or '/'}{query}"


def _is_deletion(request: Tree, response: Tree) -> bool:
    method = request.get("method") if isinstance(request, dict) else None
    status = string(response.get("status")) if isinstance(response, dict) else None
    return method == "DELETE" or (status or "").startswith("410")


def _deleted_version(entry: Resource, request: Tree, etag: str | None) -> str | None:
    if etag:
        return etag_version(etag)
    for text in (request.get("url") if isinstance(request, dict) else None, entry.get("fullUrl")):
        found = re.search(r"/_history/([A-Za-z0-9\-.]{1,256})/?$", text) if isinstance(text, str) else None
        if found:
            return found[1]
    return None


def _deleted_id(entry: Resource, resource_type: str) -> str | None:
    request = entry.get("request")
    for text in (request.get("url") if isinstance(request, dict) else None, entry.get("fullUrl")):
        found = re.search(rf"(?:^|/){resource_type}/([A-Za-z0-9\-.]{{1,64}})", text) if isinstance(text, str) else None
        if found:
            return found[1]
    return None


def _key(resource: Resource) -> tuple[str, str] | None:
    resource_id = string(resource.get("id"))
    return (str(resource.get("resourceType")), resource_id) if resource_id else None


def _mode(entry: Resource) -> str | None:
    search = entry.get("search")
    return string(search.get("mode")) if isinstance(search, dict) else None


def _entries(page: Resource) -> list[Tree]:
    """Return the entries of a Bundle as they are; an `entry` that is no list counts as one that can't be read."""
    value = page.get("entry")
    return value if isinstance(value, list) else [] if value is None else [value]


def _objects(value: Tree) -> list[Resource]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
