"""One HTTP exchange as plain records: what is asked, what came back, or why nothing came back.

Kept apart from `fhir/http.py` so that pure code and test doubles need no HTTP library.
The records' `repr` shows method, status and sizes only: URLs, headers and bodies carry identifiers and tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from fhirgoals.errors import BadResource

Method: TypeAlias = Literal["GET", "POST", "PUT", "DELETE", "PATCH"]

WRITE_METHODS: frozenset[Method] = frozenset({"POST", "PUT", "DELETE", "PATCH"})

FailureKind: TypeAlias = Literal["connect", "pool", "timeout", "reset", "protocol", "too_large"]
"""Why there is no reply: no connection, no free connection, too slow, cut off, no valid HTTP, body over the limit."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: an absolute URL, header fields, and the body's bytes (`None` = no body)."""

    method: Method
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    def wire(self) -> bytes:
        """Return everything that leaves, as one text to search: request line, header fields, body."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{self.method} {self.url}\r\n{head}\r\n".encode() + (self.body or b"")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whole: header names in lower case, the body decoded (no gzip left)."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", {name.lower(): value for name, value in self.headers.items()})


@dataclass(frozen=True, slots=True)
class Failure:
    """No whole reply came. `sent` is False only where the server surely saw nothing of the request."""

    kind: FailureKind
    sent: bool


def header_value(value: str) -> str:
    """Return a header value as it is; control characters would start another header field."""
    if not value.isascii() or not value.isprintable():
        raise BadResource("a header value (ETag, identifier or token) with characters that can't be sent; refused")
    return value


class Sender(Protocol):
    """The one seam between us and the network; `fhir/http.Http` is the real one."""

    async def send(self, request: Request) -> Reply | Failure:
        """Send once, without following redirects or repeating; a transport error is a `Failure`, not raised."""
        ...
