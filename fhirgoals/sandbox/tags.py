"""ETags in the spellings that servers use, around a core that speaks weak ones: `W/"3"`, `"3"`, `3`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.rest import Asked
from fhirgoals.fhir.wire import Reply

TagForm = Literal["weak", "strong", "bare"]

_PRECONDITIONS = ("if-match", "if-none-match")
_FORMS: Mapping[TagForm, re.Pattern[str]] = {
    "weak": re.compile(r'W/"([^"]*)"'),
    "strong": re.compile(r'"([^"]*)"'),
    "bare": re.compile(r'([^"/\s]+)'),
}
_NO_TAG = "-"
"""What the core takes for a tag that never holds."""


def without_tags(asked: Asked) -> dict[str, str]:
    """Return the headers without tags to compare; `If-None-Match: *` needs no tag and stays."""
    return {
        name: value
        for name, value in asked.headers.items()
        if name != "if-match" and not (name == "if-none-match" and value.strip() != "*")
    }


def understood(headers: Mapping[str, str], form: TagForm) -> dict[str, str]:
    """Return the headers with the tags of this spelling as the core knows them, and others as none that could hold."""
    return {
        name: ", ".join(_understood(tag.strip(), form) for tag in value.split(",")) if name in _PRECONDITIONS else value
        for name, value in headers.items()
    }


def spelled(reply: Reply, form: TagForm) -> Reply:
    """Return the reply with its ETags in this spelling, those in a history too."""
    if form == "weak":
        return reply
    headers = dict(reply.headers)
    if "etag" in headers:
        headers["etag"] = _spelled(headers["etag"], form)
    body = reply.body
    if body.startswith(b'{"resourceType":"Bundle"') and b'"type":"history"' in body:
        bundle = exact_json.loads(body)
        entries = bundle.get("entry", []) if isinstance(bundle, dict) else []
        for entry in entries if isinstance(entries, list) else []:
            response = entry.get("response") if isinstance(entry, dict) else None
            tag = response.get("etag") if isinstance(response, dict) else None
            if isinstance(response, dict) and isinstance(tag, str):
                response["etag"] = _spelled(tag, form)
        body = exact_json.dumps(bundle)
        headers["content-length"] = str(len(body))
    return Reply(reply.status, headers, body)


def _understood(tag: str, form: TagForm) -> str:
    if tag == "*":
        return tag
    found = _FORMS[form].fullmatch(tag)
    return f'W/"{found[1]}"' if found else _NO_TAG


def _spelled(tag: str, form: TagForm) -> str:
    return tag.removeprefix("W/") if form == "strong" else tag.removeprefix("W/").strip('"')
