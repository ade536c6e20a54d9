"""A proxy on 127.0.0.1 that does to our traffic what a seed says, request by request, and notes what it did.

It stands on the cut proxy. The n-th request of a proxy meets the fault that (seed, n, kind of request) draws, so that
a seed does the same again. `meanwhile` is what people do between two requests of ours. `calm` ends the faults: what is
still on its way arrives, then everything passes as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import httpx

from fhirgoals.fhir import exact_json
from fhirgoals.sandbox.cut_proxy import CutProxy, Exchange

Kind: TypeAlias = Literal["write", "read", "search"]
Fault: TypeAlias = Literal["cut", "slow", "late", "replay", "429", "503", "503 stored", "stale"]
"""cut: stored, and the reply is lost. slow: stored, and the reply comes after our client gave up. late: our client gave
up, and the request arrives some requests later. replay: answered, and the same request arrives once more later.
429, 503: refused without a look. 503 stored: stored all the same. stale: a search as before the last writes."""

RATES: Mapping[Kind, Mapping[Fault, float]] = {
    "write": {
        "cut": 0.06,
        "slow": 0.04,
        "late": 0.05,
        "replay": 0.08,
        "429": 0.03,
        "503": 0.03,
        "503 stored": 0.05,
    },
    "read": {"cut": 0.02, "slow": 0.02, "429": 0.02, "503": 0.03},
    "search": {"cut": 0.02, "slow": 0.02, "429": 0.02, "503": 0.03, "stale": 0.35},
}
MEANWHILE = 0.04
"""How often somebody edits right before a request of ours goes on."""
LATEST = 6
"""After at most so many further requests a late one or a replay arrives."""
STALEST = 6
"""So many writes at most a stale search does not show."""
REMEMBERED = 4 * STALEST
WAITS_S = (1, 20, 60)
"""Retry-After of a 429; the last is longer than our client waits inside a call."""

Json: TypeAlias = Any


@dataclass(frozen=True)
class Did:
    """One request and what became of it; `status` is the upstream's, `None` where it was not asked (yet)."""

    number: int
    method: str
    target: str
    fault: Fault | None
    note: str
    status: int | None

    def row(self) -> str:
        return (
            f"{self.number:>5} {self.method:<6} {self.target[:70]:<70} {self.fault or '':<10} {self.note} {self.status}"
        )


@dataclass(frozen=True)
class Written:
    """One write that was stored there: the resource's address and its content before, `None` for a new one."""

    kind: str
    id: str
    before: Json | None


@dataclass
class Coming:
    """A request that arrives when so many requests have passed."""

    after: int
    number: int
    request: Exchange
    why: Fault


class FaultProxy(CutProxy):
    """`async with FaultProxy(upstream, seed) as proxy:`; calm until `faulty` is set."""

    def __init__(
        self, upstream_url: str, seed: object, rates: Mapping[Kind, Mapping[Fault, float]] | None = None
    ) -> None:
        super().__init__(upstream_url)
        self.seed = seed
        self.rates = RATES if rates is None else rates
        self.faulty = False
        self.did: list[Did] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.given_up = asyncio.Event()
        self._number = 0
        self._coming: list[Coming] = []
        self._written: list[Written] = []
        self._root = urlsplit(upstream_url).path.rstrip("/")

    async def calm(self) -> None:
        """End the faults: what is on its way arrives now."""
        self.faulty = False
        await self._arrive(self._number + LATEST + 1)

    def noted(self, before: Json) -> None:
        """Note that somebody at the EHR changed a resource past this proxy: stale searches do not show that either."""
        self._written.append(Written(before["resourceType"], before["id"], before))

    def say(self, text: str) -> None:
        """Write a line between the requests."""
        self.did.append(Did(self._number, "--", text, None, "", None))

    def trace(self, last: int = 60) -> str:
        """Return what was done, for the message of a test that fails."""
        return "\n".join(one.row() for one in self.did[-last:])

    def faults(self) -> dict[str, int]:
        """Return how often each fault was done."""
        return {name: sum(one.fault == name for one in self.did) for name in get_args(Fault)}

    async def _serve(self, request: Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self._number += 1
        dice = Random(f"{self.seed}/{self._number}")
        kind = self._kind(request)
        fault = self._drawn(dice.random(), kind) if self.faulty else None
        await self._arrive(self._number)
        if self.faulty and self.meanwhile is not None and dice.random() < MEANWHILE:
            await self.meanwhile()
        match fault:
            case None:
                return await self._passed(request, writer)
            case "replay":
                self._later(request, fault, dice)
                return await self._passed(request, writer, fault)
            case "late":
                self._later(request, fault, dice)
                self._note(request, fault)
                return await self._left_alone(reader)
            case "slow":
                self._note(request, fault, await self._carried_out(request))
                return await self._left_alone(reader)
            case "cut":
                self._note(request, fault, await self._carried_out(request))
                writer.transport.abort()
                return False
            case "429" | "503":
                wait_s = dice.choice(WAITS_S)
                self._note(request, fault, note=f"{wait_s} s" if fault == "429" else "")
                return await self._refused(request, writer, int(fault), wait_s)
            case "503 stored":
                self._note(request, fault, await self._carried_out(request))
                return await self._refused(request, writer, 503, 0)
            case "stale":
                return await self._stale(request, writer, dice.randint(1, STALEST))

    def _kind(self, request: Exchange) -> Kind:
        path = urlsplit(request.target).path.removeprefix(self._root).strip("/")
        if request.method in ("POST", "PUT", "DELETE", "PATCH"):
            return "write"
        return "search" if "/" not in path and path != "metadata" else "read"

    def _drawn(self, dice: float, kind: Kind) -> Fault | None:
        for fault, rate in self.rates.get(kind, {}).items():
            dice -= rate
            if dice < 0:
                return fault
        return None

    def _later(self, request: Exchange, why: Fault, dice: Random) -> None:
        self._coming.append(Coming(self._number + dice.randint(1, LATEST), self._number, request, why))

    async def _arrive(self, now: int) -> None:
        """Carry out what was under way until now, oldest first."""
        due = [one for one in self._coming if one.after <= now]
        self._coming = [one for one in self._coming if one.after > now]
        for one in due:
            status = await self._carried_out(one.request)
            self._note(one.request, None, status, f"the {one.why} one of {one.number} arrives")

    async def _passed(self, request: Exchange, writer: asyncio.StreamWriter, fault: Fault | None = None) -> bool:
        before = await self._before(request)
        exchange, ending = await self._ask_upstream(request, cut=False)
        self._keep(exchange)
        self._remember(exchange, before)
        self._note(request, fault, exchange.status)
        return await self._tell(exchange, ending, writer)

    async def _carried_out(self, request: Exchange) -> int | None:
        """Let the server answer, and keep the answer from the client."""
        before = await self._before(request)
        exchange, _ = await self._ask_upstream(request, cut=True)
        self._keep(exchange)
        self._remember(exchange, before)
        return exchange.status

    async def _left_alone(self, reader: asyncio.StreamReader) -> bool:
        """Say nothing until the client has given up."""
        self.given_up.set()
        await reader.read()
        return False

    async def _refused(self, request: Exchange, writer: asyncio.StreamWriter, status: int, wait_s: int) -> bool:
        words, after = ("Too Many Requests", f"Retry-After: {wait_s}\r\n") if status == 429 else ("Unavailable", "")
        head = f"HTTP/1.1 {status} {words}\r\n{after}Content-Length: 0\r\n\r\n".encode()
        reply = Exchange(request.request_head, request.request_body, head, b"", cut=False)
        self._keep(reply)
        return await self._tell(reply, "told", writer)

    # -- what a search showed before --

    async def _stale(self, request: Exchange, writer: asyncio.StreamWriter, writes: int) -> bool:
        exchange, ending = await self._ask_upstream(request, cut=False)
        if exchange.status == 200:
            body = self._as_before(exchange.reply_content, self._written[-writes:])
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n".encode()
            exchange = Exchange(request.request_head, request.request_body, head, body, cut=False)
        self._keep(exchange)
        self._note(request, "stale", exchange.status, f"as before {writes} writes")
        return await self._tell(exchange, ending, writer)

    def _as_before(self, reply: bytes, written: list[Written]) -> bytes:
        """Return a page of a search as it was before those writes; nothing is deleted in these schedules."""
        bundle: Json = exact_json.loads(reply)
        entries = {(one["resource"]["resourceType"], one["resource"]["id"]): one for one in bundle.get("entry", ())}
        for one in reversed(written):
            entry = entries.get((one.kind, one.id))
            if entry is not None and one.before is None:
                del entries[one.kind, one.id]
            elif entry is not None:
                entry["resource"] = one.before
        if len(entries) < len(bundle.get("entry", ())):
            bundle.pop("total", None)
        bundle["entry"] = list(entries.values())
        return exact_json.dumps(bundle)

    async def _before(self, request: Exchange) -> Json | None:
        """Read what a request is about to change."""
        if request.method not in ("PUT", "DELETE", "PATCH"):
            return None
        head = f"GET {request.target} HTTP/1.1\r\nHost: before\r\nCache-Control: no-cache\r\n\r\n".encode()
        exchange, _ = await self._ask_upstream(Exchange(head, b"", b"", b"", cut=False), cut=False)
        return exact_json.loads(exchange.reply_content) if exchange.status == 200 else None

    def _remember(self, exchange: Exchange, before: Json | None) -> None:
        created = exchange.method == "POST" and exchange.status == 201
        if before is None and not created:
            return
        tree: Json = before if before is not None else exact_json.loads(exchange.reply_content)
        if created or (exchange.status is not None and exchange.status < 300):
            self._written.append(Written(tree["resourceType"], tree["id"], before))
            del self._written[:-REMEMBERED]

    def _note(self, request: Exchange, fault: Fault | None, status: int | None = None, note: str = "") -> None:
        shown = request.target.removeprefix(self._root)
        self.did.append(Did(self._number, request.method, shown, fault, note, status))


@dataclass
class GivesUp(httpx.AsyncBaseTransport):
    """The network of a client that has waited long enough as soon as the proxy keeps a reply back: no test waits."""

    proxy: FaultProxy
    inner: httpx.AsyncHTTPTransport = field(default_factory=httpx.AsyncHTTPTransport)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.proxy.given_up.clear()
        reply = asyncio.ensure_future(self.inner.handle_async_request(request))
        waiting = asyncio.ensure_future(self.proxy.given_up.wait())
        try:
            await asyncio.wait({reply, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if self.proxy.given_up.is_set():
                raise httpx.ReadTimeout("the reply did not come in time", request=request)
            return await reply
        finally:
            for one in (reply, waiting):
                one.cancel()
            await asyncio.gather(reply, waiting, return_exceptions=True)

    async def aclose(self) -> None:
        await self.inner.aclose()
