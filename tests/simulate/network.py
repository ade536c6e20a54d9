"""The network between us and one EHR: calls that never arrive, arrive late, or arrive and lose their reply.

Every write is shown to a watcher as it leaves and as it arrives (see `watchers`), every reading to `oracle.shown`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.sandbox.ehr import ReplyLostError, Sandbox, StillUnderWayError
from tests.simulate.machine import Life, Machine, give_way
from tests.simulate.parts import done, parts_of, replies_of


@dataclass(frozen=True)
class Rates:
    """How often what becomes of a write, and how often the process dies at an await."""

    never: float = 0.08
    lost: float = 0.12
    late: float = 0.15
    late_ticks: int = 39
    kill: float = 0.03


RATES = Rates()
"""Those of the earlier simulation (reference: simulation). Fixed: the seeds of the log stand for these."""

CALM = Rates(0.0, 0.0, 0.0, 0, 0.0)
"""Nothing is lost or late, and nobody dies."""


@dataclass
class Network:
    """One EHR's network. `writes` counts calls that left us; `under_way` those that are late."""

    name: str
    box: Sandbox
    machine: Machine
    dice: Random
    rates: Rates = RATES
    leaves: Callable[[Request], None] = lambda _request: None
    arrives: Callable[[Request, Reply | None], None] = lambda _request, _reply: None
    shows: Callable[[Request, Reply], None] = lambda _request, _reply: None
    tell: Callable[[str], None] = lambda _line: None
    writes: int = 0
    under_way: int = 0
    arriving_late: bool = False
    doubted: set[bytes] = field(default_factory=set)
    """Bodies that were sent once without a reply for any process of ours: sent again they may change nothing."""
    came_late: set[str] = field(default_factory=set)
    """What a late call of ours was carried out on since it was last read or written: nobody here can know of that."""

    async def send(self, request: Request, life: Life) -> Reply | Failure:
        """Send one request for a process: it leaves at once, takes a tick, and the process may die meanwhile."""
        if request.method == "GET":
            await give_way()
            life.step()
            self.machine.spend(1)
            read = request.url.partition("?")[0]
            self.came_late -= {url for url in self.came_late if url.startswith(read)}
            reply: Reply | Failure = self._ask(request)
            life.step()
            if isinstance(reply, Reply):
                self.shows(request, reply)
            return reply
        parts = parts_of(request)
        for part in parts:
            self.leaves(part)
        self.writes += len(parts)
        bodies = {part.body or b"" for part in parts}
        certain = bodies - self.doubted
        outcome = self._write(request)
        self.came_late -= {part.url for part in parts}
        self.doubted |= bodies
        await give_way()
        self.machine.spend(1)
        life.step()
        if isinstance(outcome, Reply):
            self.doubted -= certain
        return outcome

    def _write(self, request: Request) -> Reply | Failure:
        rates, chance = self.rates, self.dice.random()
        what = f"{self.name}: {request.method} {request.url.partition('/fhir/')[2]}"
        if chance < rates.never:
            self.tell(f"{what} never arrives")
            return Failure("timeout", sent=True)
        if chance < rates.never + rates.late:
            self.under_way += 1
            arrival = self.machine.tick + self.dice.randint(1, rates.late_ticks)
            self.tell(f"{what} will arrive at {arrival}")
            self.machine.at(arrival, lambda: self._arrive_late(request))
            return Failure("timeout", sent=True)
        reply = self._ask(request)
        said = reply.status if isinstance(reply, Reply) else reply.kind
        if chance < rates.never + rates.late + rates.lost:
            self.tell(f"{what} -> {said}, reply lost")
            return Failure("reset", sent=True)
        self.tell(f"{what} -> {said}")
        return reply

    def _arrive_late(self, request: Request) -> None:
        self.under_way -= 1
        self.arriving_late = True
        reply = self._ask(request)
        self.arriving_late = False
        self.came_late |= {part.url for part in parts_of(request)}
        said = reply.status if isinstance(reply, Reply) else reply.kind
        self.tell(f"{self.name}: late {request.method} {request.url.partition('/fhir/')[2]} -> {said}")

    def _ask(self, request: Request) -> Reply | Failure:
        parts = [] if request.method == "GET" else parts_of(request)
        for part in parts:
            self.arrives(part, None)
        try:
            reply = self.box.answer(request)
        except StillUnderWayError:
            created = [part for part in parts if part.method == "POST"]
            self._arrived(created, done(created))
            return Failure("reset", sent=True)
        except ReplyLostError:
            self._arrived(parts, done(parts))
            return Failure("reset", sent=True)
        self._arrived(parts, replies_of(parts, reply) if len(parts) > 1 else [reply] * len(parts))
        return reply

    def _arrived(self, parts: list[Request], replies: list[Reply]) -> None:
        for part, reply in zip(parts, replies, strict=True):
            self.arrives(part, reply)


@dataclass
class Line:
    """The network as one process sees it."""

    network: Network
    life: Life = field(default_factory=lambda: Life(None, 0.0))  # type: ignore[arg-type]

    async def send(self, request: Request) -> Reply | Failure:
        """Send one request."""
        return await self.network.send(request, self.life)
