"""The sandbox EHR: the REST core over memory, with the knobs' deviations around it.

`answer` takes a request and gives the reply; `app` is the same as an ASGI application, for in-process use
(`httpx.ASGITransport(app=sandbox.app)`) and for `serve`. It logs no request.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from starlette.types import Receive, Scope, Send

from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.rest import R4_TYPES, Asked, RestCore, Version
from fhirgoals.fhir.rest.asgi import read_asked, send_reply
from fhirgoals.fhir.rest.asked import asked_by
from fhirgoals.fhir.rest.registry import READ_ONLY
from fhirgoals.fhir.wire import Reply, Request
from fhirgoals.sandbox import rewriting, tags
from fhirgoals.sandbox.deviating import Deviating
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sandbox.memory import MemoryRepository, random_id, utc_now

CLOSE_EXTENSION = "fhirgoals.close"
"""Key in `scope["extensions"]` under which `serve` offers a function that closes the connection at once."""

_ENTRY_NAMED = re.compile(rb',"expression":\["Bundle\.entry\[\d+\]"\]')
_AS_TRANSACTION = b'"type":"transaction"'

_HISTORY = frozenset({"vread", "history-instance", "history-type"})
_WRITES = frozenset({"PUT", "DELETE"})


class ReplyLostError(ConnectionResetError):
    """The request was taken and there is no reply; in process this is what the client's call raises."""


class StillUnderWayError(ReplyLostError):
    """The same of a write that is carried out only later."""


class Sandbox:
    """A FHIR R4 server in memory: ask it by `answer` or `app`, look into `storage`, turn `knobs` at any time."""

    def __init__(
        self,
        knobs: Knobs | None = None,
        *,
        base_path: str = "/fhir",
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        self.storage = MemoryRepository(clock=clock, new_id=new_id)
        self.base_path = base_path
        self._clock = clock
        self._plain = RestCore(base_path, clock=clock, title="fhirgoals sandbox EHR")
        self._spending = threading.Lock()
        self._request_numbers = itertools.count(1)
        self._writes = itertools.count(1)
        self._under_way: list[tuple[datetime, Asked]] = []
        self.knobs = knobs or Knobs()

    @property
    def knobs(self) -> Knobs:
        """In what the server deviates now."""
        return self._knobs

    @knobs.setter
    def knobs(self, knobs: Knobs) -> None:
        self._knobs = knobs
        self._deviates = knobs != Knobs()
        self.storage.stamping = knobs.stamping
        self._core = _offering(self._plain, knobs)

    def answer(self, request: Request) -> Reply:
        """Return the reply to one request, without a socket; raises `ReplyLostError` where the knobs want it lost."""
        return self._answer(asked_by(request))

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        asked = await read_asked(scope, receive, self._plain.limits.max_body_bytes)
        if asked is None:
            return
        try:
            reply = self._answer(asked)
        except ReplyLostError:
            await _hang_up(scope, receive)
        else:
            await send_reply(reply, send)

    def edit(self, type_: str, id_: str, body: Resource) -> Version:
        """Store what somebody at the EHR made of a resource on its own screen, and return the new version.

        It is no request: of the knobs only those on versions hold, and what becomes of `meta.source`.
        """
        if not self.knobs.edits_copy_source:
            body = rewriting.with_source(body, None)
        return self.storage.update(type_, id_, body).version

    def land(self) -> None:
        """Carry out every late write that is still under way."""
        self._land(None)

    def _answer(self, asked: Asked) -> Reply:
        if self._under_way:
            self._land(self._clock())
        knobs = self._knobs
        if not self._deviates:
            return self._plain.answer(self.storage, asked)
        chosen = self._chosen(knobs, asked)
        if chosen and knobs.late_s is not None and _is_write(asked) and self._spend(knobs, chosen):
            self._under_way.append((self._clock() + timedelta(seconds=knobs.late_s), asked))
            raise StillUnderWayError("the request is still under way and has no reply")
        reply = self._carry_out(knobs, asked)
        if chosen and reply.status < 400 and self._spend(knobs, chosen):
            raise ReplyLostError("the request was carried out and its reply lost")
        return reply

    def _chosen(self, knobs: Knobs, asked: Asked) -> Literal["by_order", "by_count"] | None:
        """Return why this request is to get no reply, if it is."""
        if knobs.lose_reply is not None and knobs.lose_reply(asked):
            return "by_order"
        every = knobs.lose_every
        return "by_count" if every is not None and _is_write(asked) and next(self._writes) % every == 0 else None

    def _spend(self, knobs: Knobs, chosen: Literal["by_order", "by_count"]) -> bool:
        """Use up `lose_reply` where it chose; False when another request was quicker."""
        if chosen == "by_count":
            return True
        with self._spending:
            if self.knobs.lose_reply is not knobs.lose_reply:
                return False
            self.knobs = replace(self.knobs, lose_reply=None)
            return True

    def _land(self, now: datetime | None) -> None:
        with self._spending:
            due = [asked for at, asked in self._under_way if now is None or at <= now]
            self._under_way = [(at, asked) for at, asked in self._under_way if now is not None and at > now]
        for asked in due:
            self._carry_out(self._knobs, asked)

    def _carry_out(self, knobs: Knobs, asked: Asked) -> Reply:
        base = self._plain.base(asked)
        resaves: list[Version] = []
        request_id = f"{next(self._request_numbers):016}"
        repository = Deviating(self.storage, knobs, base, self._clock, request_id, resaves)
        reply = _as_said(knobs, self._core.answer(repository, _as_heard(knobs, asked)))
        for version in resaves:
            if version.body is not None:
                self.storage.update(version.type, version.id, version.body)
        return reply


def _offering(core: RestCore, knobs: Knobs) -> RestCore:
    """Return the core with what the knobs leave to offer; its CapabilityStatement says the same."""
    core = replace(
        core,
        transactions=knobs.transactions != "refused",
        heard=partial(_as_heard, knobs),
        said=partial(_as_said, knobs),
    )
    if not knobs.no_history and knobs.read_only != 405:
        return core
    gone = _HISTORY if knobs.no_history else frozenset()
    types = {
        name: replace(
            entry,
            interactions=tuple(
                each for each in (READ_ONLY if knobs.read_only == 405 else entry.interactions) if each not in gone
            ),
        )
        for name, entry in R4_TYPES.items()
    }
    return replace(core, types=types)


def _as_heard(knobs: Knobs, asked: Asked) -> Asked:
    """Return the request without the headers that the server does not heed."""
    headers = tags.without_tags(asked) if knobs.no_etag else dict(asked.headers)
    if knobs.etag != "weak":
        headers = tags.understood(headers, knobs.etag)
    if knobs.ignore_if_none_exist:
        headers.pop("if-none-exist", None)
    if knobs.ignore_if_none_match and asked.method in _WRITES:
        headers.pop("if-none-match", None)
    body = asked.body
    if knobs.transactions == "as_batch" and asked.method == "POST":
        body = body.replace(_AS_TRANSACTION, b'"type":"batch"', 1)
    return replace(asked, headers=headers, body=body)


def _as_said(knobs: Knobs, reply: Reply) -> Reply:
    """Return the reply with the headers that the server sends."""
    if knobs.etag != "weak":
        reply = tags.spelled(reply, knobs.etag)
    unsaid = {name for name, is_unsaid in (("etag", knobs.no_etag), ("last-modified", knobs.no_meta)) if is_unsaid}
    if unsaid:
        headers = {name: value for name, value in reply.headers.items() if name not in unsaid}
        reply = Reply(reply.status, headers, reply.body)
    if knobs.unnamed_entries and b'"Bundle.entry[' in reply.body:
        body = _ENTRY_NAMED.sub(b"", reply.body)
        reply = Reply(reply.status, {**reply.headers, "content-length": str(len(body))}, body)
    return reply


def _is_write(asked: Asked) -> bool:
    return asked.method in _WRITES or (asked.method == "POST" and not asked.path.endswith("/_search"))


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection where the server can; elsewhere raise `ReplyLostError`."""
    close = scope.get("extensions", {}).get(CLOSE_EXTENSION)
    if close is None:
        raise ReplyLostError("the request was taken and there is no reply")
    close()
    # Returning before the server notices would make it answer 500 for a request without a reply.
    while (await receive())["type"] != "http.disconnect":
        pass
