"""Processes that sync and may be killed -9 at any moment: `python -m tests.e2e.servers.victim` forks one per order.

Orders come as JSON lines on stdin, one answer each on stdout. A fork has seen no store and no network before. Every
moment is a line in the order's `moments` file, written before anything else happens; at the moment of its number the
process kills itself with SIGKILL: nothing of it runs afterwards, no handler, no flush, no commit.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.http import Http
from fhirgoals.fhir.validate import new_faults
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from fhirgoals.store.tx import Tx
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.run import Runner
from tests.e2e.servers.world import CONNECTION, RUNS

T = TypeVar("T")

BEFORE_BYTES = "no byte sent"
HALF_SENT = "head sent, body not"
ALL_SENT = "all sent, no reply"
REPLY_BEGUN = "reply's head in"
REPLY_IN = "reply in"
_TRACED = {
    "http11.send_request_headers.complete": HALF_SENT,
    "http11.send_request_body.complete": ALL_SENT,
    "http11.receive_response_headers.complete": REPLY_BEGUN,
}


@dataclass
class Life:
    """Counts moments, writes each down, and ends the process at one of them (0: never)."""

    ends_at: int
    record: int
    moments: int = 0

    def moment(self, what: str) -> None:
        self.moments += 1
        os.write(self.record, f"{what}\n".encode())
        if self.moments == self.ends_at:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalStore(AsyncStore):
    """The store with a moment before and after each commit; a transaction is named by what it does to intents."""

    def __init__(self, inner: AsyncStore, life: Life) -> None:
        self.inner = inner
        self.store = inner.store
        self.life = life

    async def write(self, fn: Callable[[Tx], T]) -> T:
        name = "tx"

        def work(tx: Tx) -> T:
            nonlocal name
            before = {one.id: one.sent_at for one in tx.intents.all_open(CONNECTION)}
            result = fn(tx)
            after = {one.id: one.sent_at for one in tx.intents.all_open(CONNECTION)}
            if after.keys() - before.keys():
                name = "tx1 (intent)"
            elif before.keys() - after.keys():
                name = "tx2 (settle)"
            elif after != before:
                name = "last look"
            self.life.moment(f"{name}: before its commit")
            return result

        result = await self.inner.write(work)
        self.life.moment(f"{name}: committed")
        return result

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self.inner.read(fn)


@dataclass
class MortalNetwork(httpx.AsyncBaseTransport):
    """The network with moments inside each exchange."""

    life: Life
    inner: httpx.AsyncHTTPTransport = field(default_factory=httpx.AsyncHTTPTransport)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = _name(request)

        async def trace(event: str, _info: object) -> None:
            if event in _TRACED:
                self.life.moment(f"{name}: {_TRACED[event]}")

        self.life.moment(f"{name}: {BEFORE_BYTES}")
        request.extensions["trace"] = trace
        reply = await self.inner.handle_async_request(request)
        reply.stream = _Ended(reply.stream, lambda: self.life.moment(f"{name}: {REPLY_IN}"))
        return reply

    async def aclose(self) -> None:
        await self.inner.aclose()


class _Ended(httpx.AsyncByteStream):
    """A reply's bytes, and a moment when they have all come."""

    def __init__(self, inner: Any, ended: Callable[[], None]) -> None:
        self.inner = inner
        self.ended = ended

    async def __aiter__(self) -> Any:
        async for chunk in self.inner:
            yield chunk
        self.ended()

    async def aclose(self) -> None:
        await self.inner.aclose()


def _name(request: httpx.Request) -> str:
    path = request.url.path.rpartition("/fhir/")[2]
    shown = "history" if "_history" in path else path.partition("/")[0]
    return f"{request.method} {shown or 'page'}"


async def live(order: dict[str, Any], record: int) -> None:
    """Sync once as a process that may die."""
    life = Life(order["ends_at"], record)
    clock = _Clock(order["now"])
    store = AsyncStore(open_store(order["store"], create=False, clock=clock))
    try:
        async with Http(transport=MortalNetwork(life)) as http:
            client = EhrClient(order["ehr"], http, clock=clock, connection=CONNECTION)
            await Runner(MortalStore(store, life), CONNECTION, client, clock, uuid4, f"victim-{uuid4()}").sync()
    finally:
        store.close()


async def recover(order: dict[str, Any]) -> dict[str, Any]:
    """Sync until nothing is left to do, then once more; return how many runs and writes that took."""
    clock = _Clock(order["now"])
    store = AsyncStore(open_store(order["store"], create=False, clock=clock))
    runs: list[Counts] = []
    try:
        async with Http() as http:
            for _ in range(RUNS):
                runs.append(await _run(store, order["ehr"], http, clock))
                if not runs[-1].unanswered:
                    break
            last = await _run(store, order["ehr"], http, clock)
    finally:
        store.close()
    return {
        "rests": not runs[-1].unanswered,
        "runs": len(runs),
        "writes": sum(one.writes for one in runs),
        "created": sum(one.created for one in runs),
        "second": {"writes": last.writes, "pulled": last.pulled, "new_items": last.new_items},
    }


async def _run(store: AsyncStore, ehr: str, http: Http, clock: _Clock) -> Counts:
    client = EhrClient(ehr, http, clock=clock, connection=CONNECTION)
    return await Runner(store, CONNECTION, client, clock, uuid4, f"fresh-{uuid4()}").sync()


class _Clock:
    def __init__(self, now: str) -> None:
        self.now = datetime.fromisoformat(now)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=10)
        return self.now


def main() -> None:
    """Fork a process for each order, wait for its end and answer."""
    for one in ({"resourceType": "Goal"}, {"resourceType": "CarePlan"}):
        new_faults(None, one)  # loads the models, which takes a second: once, before any fork
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(order)
        _, status = os.waitpid(child, 0)
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        print(json.dumps({"signal": killed, "exit": None if killed else os.WEXITSTATUS(status)}), flush=True)


def _child(order: dict[str, Any]) -> None:
    code = 1
    try:
        if order["kind"] == "live":
            record = os.open(order["moments"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            asyncio.run(live(order, record))
        else:
            Path(order["answer"]).write_text(json.dumps(asyncio.run(recover(order))))
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
