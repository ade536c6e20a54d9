"""What one reply says, read with care: its body, the issues of an OperationOutcome, Location, ETag, how long to wait.

Pure, and never raises for anything that a server may send. No record holds a server's free text (`diagnostics`,
`details.text`): it may quote a patient's values back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from fhirgoals.errors import BadJson
from fhirgoals.fhir.exact_json import Resource, Tree, loads

MAX_HINT_S = 7 * 24 * 3600.0
"""A longer hint is taken as this: no server means a month."""


@dataclass(frozen=True, slots=True)
class OutcomeIssue:
    """One issue of an OperationOutcome, codes and paths only: never `diagnostics` or `details.text`."""

    severity: str
    code: str
    detail_codes: tuple[str, ...] = ()
    expressions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """A reply's body: a JSON tree (`null` too), nothing at all, or something that is no JSON."""

    state: Literal["json", "empty", "not_json"]
    tree: Tree = field(default=None, repr=False)

    @classmethod
    def of(cls, raw: bytes) -> Body:
        """Read the bytes of a body; what is no JSON is told by `state`, not raised."""
        if not raw.strip():
            return cls("empty")
        try:
            return cls("json", loads(raw))
        except BadJson:
            return cls("not_json")


def issues_of(tree: Tree) -> tuple[OutcomeIssue, ...]:
    """Return the issues of an OperationOutcome, codes and paths only; anything else has none."""
    if not isinstance(tree, dict) or tree.get("resourceType") != "OperationOutcome":
        return ()
    return tuple(_issue(issue) for issue in _list(tree.get("issue")) if isinstance(issue, dict))


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return how many seconds the server asks us to wait, the longest of its hints; None without a readable one.

    Read are `Retry-After` (seconds or HTTP date, RFC 9110 10.2.3), `x-ms-retry-after-ms` (Azure) and `RateLimit`
    (`t=` of the exhausted policies; Medplum gives no other hint). Header names are in lower case.
    """
    hints = [
        _seconds(headers.get("retry-after", "")),
        _until(headers.get("retry-after", ""), headers.get("date", ""), now),
        _seconds(headers.get("x-ms-retry-after-ms", ""), scale=0.001),
        _rate_limit(headers.get("ratelimit", "")),
    ]
    known = [hint for hint in hints if hint is not None]
    return min(max(known), MAX_HINT_S) if known else None


_LOCATION = re.compile(
    r"(?:^|/)(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,256})(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,256}))?/?$"
)


def location_of(headers: Mapping[str, str], expected_type: str | None) -> tuple[str | None, str | None]:
    """Return (id, version) that Location or Content-Location names, of `expected_type` only if one is given."""
    for name in ("location", "content-location"):
        path = re.split(r"[?#]", headers.get(name, ""), maxsplit=1)[0]
        found = _LOCATION.search(path)
        if found and (expected_type is None or found["type"] == expected_type):
            return found["id"], found["version"]
    return None, None


def version_of(tree: Resource | None) -> str | None:
    """Return meta.versionId, opaque; None where the server keeps or shows none."""
    meta = tree.get("meta") if tree is not None else None
    return string(meta.get("versionId")) if isinstance(meta, dict) else None


def string(value: Tree) -> str | None:
    """Return a string that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def addressable(resource_id: str) -> bool:
    """Tell whether an id can stand in an address: `Goal/..` would be the whole server.

    FHIR allows 64 letters, digits, `-` and `.`; that of a server may be longer and is escaped.
    """
    return resource_id not in ("", ".", "..") and len(resource_id) <= 256


def etag_of(headers: Mapping[str, str]) -> str | None:
    """Return the ETag of a reply; None where there is none, or one that no header can give back."""
    etag = headers.get("etag", "").strip()
    return etag if etag and etag.isascii() and etag.isprintable() else None


def etag_version(etag: str) -> str | None:
    """Return the opaque part of a weak, strong or bare tag (Aidbox writes it bare)."""
    return etag.removeprefix("W/").strip('"') or None


# --- outcomes ------------------------------------------------------------------------------------------------------

_SEVERITIES = frozenset({"fatal", "error", "warning", "information"})
_ISSUE_CODE = re.compile(r"[a-z]{2,12}(?:-[a-z]{2,12}){0,2}")
_DETAIL_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PATH = re.compile(
    r"(?:Goal|CarePlan|Task|Patient|Practitioner|RelatedPerson|Condition|Observation|Bundle|OperationOutcome)"
    r"(?:\.ofType\([A-Za-z]{1,40}\)|\.[a-z][A-Za-z]{1,40}|\[(?:x|[0-9]{1,5})\])*(?![A-Za-z0-9 ])"
)


def _issue(issue: Resource) -> OutcomeIssue:
    details = issue.get("details")
    codings = _list(details.get("coding")) if isinstance(details, dict) else []
    paths = _list(issue.get("expression")) or _list(issue.get("location"))
    return OutcomeIssue(
        severity=severity
        if isinstance(severity := issue.get("severity"), str) and severity in _SEVERITIES
        else "error",
        code=_match(_ISSUE_CODE, issue.get("code")) or "unknown",
        detail_codes=tuple(
            code
            for coding in codings
            if isinstance(coding, dict) and (code := _match(_DETAIL_CODE, coding.get("code")))
        ),
        expressions=tuple(path for text in paths if (path := _path(text))),
    )


def _match(form: re.Pattern[str], value: Tree) -> str | None:
    """Return a code that has the form of one; None for anything else, which could be a person's words."""
    return value if isinstance(value, str) and form.fullmatch(value) else None


def _path(value: Tree) -> str | None:
    """Return an element path, cut where it stops being one: `Goal.note.where(text='…')` gives `Goal.note.where`."""
    found = _PATH.match(value) if isinstance(value, str) else None
    return found[0][:200] if found else None


def _list(value: Tree) -> list[Tree]:
    return value if isinstance(value, list) else []


# --- how long to wait ----------------------------------------------------------------------------------------------


def _seconds(text: str, scale: float = 1.0) -> float | None:
    return float(text) * scale if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text.strip()) else None


def _until(text: str, server_date: str, now: datetime) -> float | None:
    """Return the seconds until an HTTP date, by the server's own clock where it tells it (ours may differ)."""
    end = _http_date(text)
    if end is None:
        return None
    start = _http_date(server_date) or now
    return max(0.0, (end - start).total_seconds())


def _http_date(text: str) -> datetime | None:
    if not re.search(r"[A-Za-z]{3}", text):
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _rate_limit(text: str) -> float | None:
    """Return the longest `t` of the policies with nothing left (`r=0`), else of all: `"requests";r=0;t=12`."""
    exhausted: list[float] = []
    every: list[float] = []
    for policy in text.split(","):
        fields = dict(part.strip().partition("=")[::2] for part in policy.split(";"))
        wait_s = _seconds(fields.get("t", ""))
        if wait_s is not None:
            every.append(wait_s)
            if fields.get("r", "").strip() == "0":
                exhausted.append(wait_s)
    return max(exhausted or every, default=None)
