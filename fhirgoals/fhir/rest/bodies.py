"""Reading what a client sends: a resource as an exact tree, or the form of a `_search`."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from fhirgoals.errors import BadJson
from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.rest.asked import Asked
from fhirgoals.fhir.rest.headers import check_sends_json
from fhirgoals.fhir.rest.outcome import Declined, bad_request

MAX_PARAMETERS = 100

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def read_resource(asked: Asked, type_: str, max_bytes: int) -> Resource:
    """Return the body as a resource of that type.

    Raises `Declined`: 415 for another media type, 413 above `max_bytes`, 400 for what is no JSON object of the type.
    """
    check_sends_json(asked.headers)
    _check_length(asked, max_bytes)
    try:
        tree = exact_json.loads(asked.body)
    except BadJson as error:
        raise bad_request(str(error), "structure") from None
    if not isinstance(tree, dict):
        raise bad_request("the body must be a JSON object", "structure")
    if tree.get("resourceType") != type_:
        raise bad_request(f"resourceType must be {type_}, as in the URL")
    if "meta" in tree and not isinstance(tree["meta"], dict):
        raise bad_request("meta must be a JSON object", "structure")
    return tree


def read_form(asked: Asked, max_bytes: int) -> list[tuple[str, str]]:
    """Return the name-value pairs of the form that a POST to `_search` carries; an empty body has none."""
    declared = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared not in {"", "application/x-www-form-urlencoded"}:
        raise Declined(415, "not-supported", "send the search as application/x-www-form-urlencoded")
    _check_length(asked, max_bytes)
    try:
        return pairs(asked.body.decode())
    except UnicodeDecodeError:
        raise bad_request("the form must be UTF-8", "structure") from None


def pairs(query: str) -> list[tuple[str, str]]:
    """Return the name-value pairs of a query string, blank values included; raise `Declined` (400) for a bad one."""
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise bad_request(f"the query must be URL-encoded UTF-8 with at most {MAX_PARAMETERS} parameters") from None


def check_id(id_: str) -> None:
    """Raise `Declined` (400) for what FHIR allows no id to be."""
    if not _ID.fullmatch(id_):
        raise bad_request("an id is 1 to 64 letters, digits, hyphens and dots", "value")


def _check_length(asked: Asked, max_bytes: int) -> None:
    declared = asked.headers.get("content-length", "")
    if len(asked.body) > max_bytes or (declared.isdecimal() and int(declared) > max_bytes):
        raise Declined(413, "too-long", f"the body is larger than {max_bytes} bytes")
