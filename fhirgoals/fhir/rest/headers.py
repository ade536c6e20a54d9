"""The headers of FHIR's RESTful API: entity tags, preconditions, Prefer, media types.

Header names come in lower case. Source: https://hl7.org/fhir/R4/http.html#concurrency, #cond-update, #ops; RFC 9110 13.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fhirgoals.fhir.rest.outcome import Declined, bad_request
from fhirgoals.fhir.rest.repository import Precondition

FHIR_JSON = "application/fhir+json"

_TAG = re.compile(r'\s*(?:W/)?"([^"]*)"\s*')
_JSON_TYPES = {FHIR_JSON, "application/json", "text/json", "json"}
_ANY_JSON = {*_JSON_TYPES, "*/*", "application/*"}


def etag(version_id: str) -> str:
    """Return the weak entity tag of a version id."""
    return f'W/"{version_id}"'


def version_ids(header: str) -> frozenset[str]:
    """Return the version ids of an If-Match or If-None-Match list, weak or strong; empty when one is no tag at all."""
    tags = [_TAG.fullmatch(part) for part in header.split(",")]
    return frozenset(tag[1] for tag in tags if tag) if all(tags) else frozenset()


def write_condition(headers: Mapping[str, str]) -> Precondition:
    """Return what the headers of a PUT or DELETE ask of the current version.

    An If-Match that is no tag never holds, so garbage gives 412 as on Medplum (`reference/servers.md`), not an
    unconditional write. If-None-Match knows only `*` on a write; anything else raises `Declined` (400).
    """
    if_match, if_none_match = headers.get("if-match"), headers.get("if-none-match")
    if if_none_match is not None and if_none_match.strip() != "*":
        raise bad_request("If-None-Match of a write must be *", "value")
    if if_none_match is not None and if_match is not None:
        raise bad_request("If-Match and If-None-Match can't be asked of one write")
    if if_none_match is not None:
        return Precondition(exists=False)
    if if_match is None:
        return Precondition()
    if if_match.strip() == "*":
        return Precondition(exists=True)
    return Precondition(versions=version_ids(if_match))


def is_unmodified(headers: Mapping[str, str], version_id: str) -> bool:
    """Tell whether the If-None-Match of a read names the current version, so that 304 is the answer."""
    header = headers.get("if-none-match")
    return header is not None and (header.strip() == "*" or version_id in version_ids(header))


def wants_no_body(headers: Mapping[str, str]) -> bool:
    """Tell whether Prefer asks for `return=minimal`; the default is the representation."""
    prefer = headers.get("prefer")
    return prefer is not None and any(part.strip() == "return=minimal" for part in re.split("[,;]", prefer))


def check_accepts_json(headers: Mapping[str, str], format_: str | None) -> None:
    """Raise `Declined` (406) when neither `_format` nor Accept allows JSON, the only format here."""
    if format_ is not None:
        # An unencoded `+` of application/fhir+json arrives as a space.
        acceptable = _media_type(format_).replace(" ", "+") in _JSON_TYPES
    else:
        accept = headers.get("accept")
        acceptable = not accept or any(_media_type(part) in _ANY_JSON for part in accept.split(","))
    if not acceptable:
        raise Declined(406, "not-supported", f"this server speaks {FHIR_JSON} only")


def check_sends_json(headers: Mapping[str, str]) -> None:
    """Raise `Declined` (415) when the body is declared as something else than JSON."""
    declared = headers.get("content-type")
    if declared is not None and _media_type(declared) not in _JSON_TYPES:
        raise Declined(415, "not-supported", f"send the body as {FHIR_JSON}")


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()
