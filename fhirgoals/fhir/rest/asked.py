"""A request as the core gets it, from a socket or straight from a `fhir.wire.Request`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from fhirgoals.fhir.wire import Request


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: method, path with the base path (unescaped), query without `?` (escaped), body.

    `origin` is scheme, host and port as the client named them; the names in `headers` are in lower case.
    """

    method: str
    path: str
    query: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    origin: str = ""


def asked_by(request: Request) -> Asked:
    """Return the request as a server gets it."""
    scheme, _, rest = request.url.partition("://")
    host, _, target = rest.partition("/")
    path, _, query = target.partition("?")
    return Asked(
        request.method,
        "/" + (unquote(path) if "%" in path else path),
        query,
        request.body or b"",
        {name.lower(): value for name, value in request.headers.items()},
        f"{scheme}://{host}",
    )
