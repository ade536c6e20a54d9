"""A few lines of HTTP/1.1 for those who play the EHR's side and for the oracle: nothing of our client is in them.

Each request has its own connection; no proxy of the environment is used, nothing is repeated or followed.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fhirgoals.errors import ConfigurationError, RemoteError

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """A whole reply; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Server:
    """One FHIR server at `http://host[:port]/path`; `token` is sent as a bearer token where there is one."""

    base_url: str
    token: str | None = field(default=None, repr=False)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send one request (`if_match="…"` gives the header If-Match) and return the reply.

        `path` is below the base address, or a whole address on the same host. Raises `RemoteError` when none comes.
        """
        host, target = self._place(path)
        fields = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            fields["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            fields["Content-Type"] = "application/fhir+json"
        connection = http.client.HTTPConnection(host, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, body=body, headers=fields)
            reply = connection.getresponse()
            return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        except (OSError, http.client.HTTPException):
            raise RemoteError(f"the FHIR server at {host} did not answer: is it running?") from None
        finally:
            connection.close()

    def _place(self, path: str) -> tuple[str, str]:
        base = urlsplit(self.base_url)
        if base.scheme != "http" or not base.hostname:
            raise ConfigurationError(
                "the server's address must start with http:// (it is reached through the cut proxy)"
            )
        if "://" in path:
            there = urlsplit(path)
            target = there.path + (f"?{there.query}" if there.query else "")
        else:
            target = f"{base.path.rstrip('/')}/{path}"
        return base.netloc, target
