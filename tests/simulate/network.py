"""The network of the simulator: the sandbox's ASGI app spoken to without a socket, with calls that get lost or late.

A request may never arrive, arrive and lose its reply, or arrive late, after the caller gave up. All by a seeded
generator, so that a run can be repeated.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

from fhirgoals.fhir.wire import Failure, Reply, Request


async def ask(app: Any, request: Request) -> Reply:
    """Return the app's reply to one request."""
    parts = urlsplit(request.url)
    body = request.body or b""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [
            (b"host", parts.netloc.encode()),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in request.headers.items()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }
    sent = False
    status = 0
    headers: dict[str, str] = {}
    chunks: list[bytes] = []

    async def receive() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.update({name.decode().lower(): value.decode() for name, value in message["headers"]})
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    return Reply(status, headers, b"".join(chunks))


@dataclass
class Network:
    """One EHR's network. `late` holds writes that are still under way, each with the tick at which it arrives."""

    app: Any
    random: Random
    never: float = 0.0
    lost: float = 0.0
    delayed: float = 0.0
    late: list[tuple[int, Request]] = field(default_factory=list)
    tick: int = 0
    writes: int = 0

    async def send(self, request: Request) -> Reply | Failure:
        """Send one request; a write may get lost on either way."""
        if request.method == "GET":
            return await ask(self.app, request)
        self.writes += 1
        chance = self.random.random()
        if chance < self.never:
            return Failure("timeout", sent=True)
        if chance < self.never + self.delayed:
            self.late.append((self.tick + self.random.randint(1, 39), request))
            return Failure("timeout", sent=True)
        reply = await ask(self.app, request)
        if chance < self.never + self.delayed + self.lost:
            return Failure("reset", sent=True)
        return reply

    async def pass_time(self, ticks: int = 1) -> None:
        """Let time pass; what was under way arrives."""
        self.tick += ticks
        due = [request for at, request in self.late if at <= self.tick]
        self.late = [(at, request) for at, request in self.late if at > self.tick]
        for request in due:
            await ask(self.app, request)

    def calm(self) -> None:
        """From here on nothing is lost or late."""
        self.never = self.lost = self.delayed = 0.0
