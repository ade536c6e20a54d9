"""The sandbox EHR: the REST core over memory, with the knobs' deviations around it.

An ASGI application for in-process use (`httpx.ASGITransport(app=sandbox.app)`) and for `serve`. It logs no request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.rest import Page, Precondition, Query, Stored, Version, fhir_app
from fhirgoals.sandbox.knobs import Asked, Knobs
from fhirgoals.sandbox.memory import MemoryRepository, random_id, utc_now

CLOSE_EXTENSION = "fhirgoals.close"
"""Key in `scope["extensions"]` under which `serve` offers a function that closes the connection at once."""


class ReplyLostError(ConnectionResetError):
    """The request was carried out and its reply is lost; in process this is what the client's call raises."""


class Sandbox:
    """A FHIR R4 server in memory: `app` to talk to, `storage` to look into, `knobs` to turn at any time."""

    def __init__(
        self,
        knobs: Knobs | None = None,
        *,
        base_path: str = "/fhir",
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        self.knobs = knobs or Knobs()
        self.storage = MemoryRepository(clock=clock, new_id=new_id)
        self.base_path = base_path
        self._spending = threading.Lock()
        self._core: ASGIApp = fhir_app(
            _Storing(self.storage, lambda: self.knobs), base_path=base_path, clock=clock, title="fhirgoals sandbox EHR"
        )

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        knobs = self.knobs
        if scope["type"] != "http":
            await self._core(scope, receive, send)
            return
        if knobs.no_etag:
            scope, send = _without_preconditions(scope), _without_etag(send)
        if knobs.lose_reply is None:
            await self._core(scope, receive, send)
        else:
            await self._answer_or_lose(knobs.lose_reply, scope, receive, send)

    async def _answer_or_lose(
        self, wanted: Callable[[Asked], bool], scope: Scope, receive: Receive, send: Send
    ) -> None:
        body = await _whole_body(receive)
        asked = Asked(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), body)
        if not wanted(asked):
            await self._core(scope, _replay(body, receive), send)
            return
        reply: list[Message] = []

        async def keep(message: Message) -> None:
            reply.append(message)

        await self._core(scope, _replay(body, receive), keep)
        if reply[0]["status"] >= 400 or not self._spend(wanted):
            for message in reply:
                await send(message)
            return
        await _hang_up(scope, receive)

    def _spend(self, wanted: Callable[[Asked], bool]) -> bool:
        with self._spending:
            if self.knobs.lose_reply is not wanted:
                return False
            self.knobs = replace(self.knobs, lose_reply=None)
            return True


@dataclass(frozen=True, slots=True)
class _Storing:
    """The storage as the core sees it: what is written passes the knobs of the moment."""

    storage: MemoryRepository
    knobs: Callable[[], Knobs]

    def read(self, type_: str, id_: str) -> Version | None:
        return self.storage.read(type_, id_)

    def vread(self, type_: str, id_: str, version_id: str) -> Version | None:
        return self.storage.vread(type_, id_, version_id)

    def history(self, type_: str, id_: str) -> list[Version]:
        return self.storage.history(type_, id_)

    def search(self, type_: str, query: Query, *, count: int, after: str | None) -> Page:
        return self.storage.search(type_, query, count=count, after=after)

    def create(self, type_: str, body: Resource, *, unless: Query | None) -> Stored:
        return self.storage.create(type_, self.knobs().as_stored(body), unless=unless)

    def update(self, type_: str, id_: str, body: Resource, condition: Precondition) -> Stored:
        return self.storage.update(type_, id_, self.knobs().as_stored(body), condition)

    def delete(self, type_: str, id_: str, condition: Precondition) -> Version | None:
        return self.storage.delete(type_, id_, condition)


def _without_preconditions(scope: Scope) -> Scope:
    """Return the scope without tags to compare; `If-None-Match: *` needs no tag and stays."""
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if name != b"if-match" and not (name == b"if-none-match" and value.strip() != b"*")
    ]
    return {**scope, "headers": headers}


def _without_etag(send: Send) -> Send:
    async def send_without_etag(message: MutableMapping[str, object]) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            if isinstance(headers, list):
                message = {**message, "headers": [pair for pair in headers if pair[0].lower() != b"etag"]}
        await send(message)

    return send_without_etag


async def _whole_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection where the server can; elsewhere raise `ReplyLostError`."""
    close = scope.get("extensions", {}).get(CLOSE_EXTENSION)
    if close is None:
        raise ReplyLostError("the request was carried out and its reply lost")
    close()
    # Returning before the server notices would make it answer 500 for a request without a reply.
    while (await receive())["type"] != "http.disconnect":
        pass
