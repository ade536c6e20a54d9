"""A world with a real server: our store, the cut proxy, the server behind it, and people who are registered there.

Edits at the EHR are made as its own users make them, by plain HTTP past the proxy; none of our client is in them.
A new store is a new installation: its identifiers are unique, so tests share one server and never meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

import msgspec

from fhirgoals.demo.front_desk import register
from fhirgoals.demo.plain_http import Server
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import touched
from fhirgoals.fhir import exact_json
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.http import Http
from fhirgoals.fhir.wire import Failure, Method, Reply, Request, Sender
from fhirgoals.sandbox.cut_proxy import CutProxy
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.connection import ConnectionConfig
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.identify import confirm, match
from fhirgoals.sync.run import Runner

START = datetime(2026, 11, 6, 9, tzinfo=UTC)
CONNECTION = "ehr-main"
RUNS = 3
"""How often a connection is run until it says that nothing is left to do."""

Json = Any
"""What stands at the EHR is raw by nature."""


@dataclass
class World:
    """Our side and one real EHR. Our clock moves by a second with every look at it."""

    store: AsyncStore
    server: Server
    url: str
    http: Sender
    proxy: CutProxy
    now: datetime = START
    config: Mapping[str, object] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    connection: str = CONNECTION

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def client(self) -> EhrClient:
        return EhrClient(self.url, self.http, clock=self.clock, connection=self.connection, sleep=self.sleep)

    def runner(self) -> Runner:
        return Runner(self.store, self.connection, self.client(), self.clock, uuid4, f"test-{uuid4()}")

    async def sync(self) -> Counts:
        return await self.runner().sync()

    async def rest(self) -> Counts:
        """Run until nothing is left to do; return the last run's counts."""
        for _ in range(RUNS):
            counts = await self.sync()
            if not counts.unanswered:
                return counts
        raise AssertionError(f"after {RUNS} runs there was still something to do: {counts.unanswered}")

    async def quiet(self) -> None:
        """Show that a further run writes nothing, takes nothing and asks nothing new of a person."""
        before = await self.inbox()
        counts = await self.sync()
        assert (counts.writes, counts.pulled, counts.new_items, counts.unanswered) == (0, 0, 0, []), counts
        assert await self.inbox() == before

    async def start(self, *plans: Plan) -> Counts:
        """Connect, load the plans, register and link everybody, and push; return the first run's counts."""
        await self.connect(*plans)
        counts = await self.sync()
        assert counts.unanswered == []
        assert await self.inbox() == []
        return counts

    async def connect(self, *plans: Plan) -> None:
        config = msgspec.to_builtins(ConnectionConfig(base_url=self.url, release="on_save", **self.config))  # type: ignore[arg-type]
        at = self.clock()

        def work(tx: Any) -> None:
            tx.connections.add(self.connection, config, at=at, by="it-1")
            tx.connections.set_state(self.connection, "armed", by="it-1", reason="test", at=at)

        await self.store.write(work)
        for plan in plans:
            await self.put(plan)
        self.patients.update(register(self.server, plans, self.store.store.installation))
        await self.link()

    async def link(self) -> None:
        """Find whom the plans name there, and link them all."""
        await match(self.store, self.client(), self.connection, by="it-1", clock=self.clock)
        await self.store.write(lambda tx: confirm(tx, self.connection, None, by="it-1", at=self.clock()))

    # -- our side --

    async def put(self, plan: Plan, by: str = "staff-7", reason: str = "review") -> None:
        stored = await self.store.read(lambda tx: tx.plans.get(plan.id))
        changed = touched(stored.plan if stored else None, plan)
        at, expect = self.clock(), stored.rev if stored else None
        await self.store.write(
            lambda tx: tx.plans.save(plan, expect=expect, by=by, reason=reason, at=at, touched=changed)
        )

    async def plan(self, plan_id: str) -> Plan:
        stored = await self.store.read(lambda tx: tx.plans.get(plan_id))
        assert stored is not None
        return stored.plan

    async def edit(self, plan_id: str, goal: str, **changes: object) -> None:
        """Change fields of one goal here."""
        plan = await self.plan(plan_id)
        goals = tuple(msgspec.structs.replace(one, **changes) if one.id == goal else one for one in plan.goals)
        await self.put(msgspec.structs.replace(plan, goals=goals))

    async def inbox(self) -> list[tuple[str, str | None, str | None]]:
        items = await self.store.read(lambda tx: tx.inbox.list(open_only=True))
        return sorted((item.kind, item.owner, item.unit) for item in items)

    # -- the EHR's side, seen and edited without any of our code --

    def resources(self, kind: str) -> list[Json]:
        """Return all resources of a type of our patients there, every page read."""
        found: list[Json] = []
        for patient in self.patients.values():
            page: str | None = f"{kind}?patient={patient}&_count=200"
            while page:
                bundle: Json = exact_json.loads(self.server.ask("GET", page).body)
                found += [entry["resource"] for entry in bundle.get("entry", ())]
                page = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)
        return found

    def goal(self, text: str) -> Json:
        """Return the one goal there that reads so."""
        [found] = [goal for goal in self.resources("Goal") if goal["description"]["text"] == text]
        return found

    def meanwhile(self, when: Literal["before", "after"], method: Method, act: Callable[[], object]) -> None:
        """Order that somebody at the EHR acts right before or after our next request of that method."""
        self.http = _Meanwhile(self.http, when, method, act)

    def read(self, kind: str, resource_id: str) -> Json:
        answer = self.server.ask("GET", f"{kind}/{resource_id}")
        assert answer.status == 200
        return exact_json.loads(answer.body)

    def change(self, tree: Json, edit: Callable[[Json], object]) -> Json:
        """Edit one resource there as an EHR user would: read, change, write with If-Match; return what stands then."""
        kind, resource_id = tree["resourceType"], tree["id"]
        answer = self.server.ask("GET", f"{kind}/{resource_id}")
        now: Json = exact_json.loads(answer.body)
        edit(now)
        etag = answer.headers["etag"]
        stored = self.server.ask("PUT", f"{kind}/{resource_id}", exact_json.dumps(now), if_match=etag)
        assert stored.status == 200, stored.body
        return self.read(kind, resource_id)


@dataclass
class _Meanwhile:
    """The network, and one thing that happens there at one moment."""

    inner: Sender
    when: Literal["before", "after"]
    method: Method
    act: Callable[[], object]
    done: bool = False

    async def send(self, request: Request) -> Reply | Failure:
        now = not self.done and request.method == self.method
        self.done = self.done or now
        if now and self.when == "before":
            self.act()
        outcome = await self.inner.send(request)
        if now and self.when == "after":
            self.act()
        return outcome


@asynccontextmanager
async def behind_the_cut_proxy(ehr: str, store_url: str = "sqlite://", **config: object) -> AsyncIterator[World]:
    """Open a world whose traffic goes through the cut proxy; nothing is connected yet."""
    store = AsyncStore(open_store(store_url))
    try:
        async with CutProxy(ehr) as proxy, Http() as http:
            yield World(store, Server(ehr), proxy.url, http, proxy, config=config)
    finally:
        store.close()


def priority(level: str) -> Callable[[Json], object]:
    """Return the edit that sets a goal's priority."""
    coding = {"system": "http://terminology.hl7.org/CodeSystem/goal-priority", "code": f"{level}-priority"}
    return lambda tree: tree.update(priority={"coding": [coding]})


def due(day: str) -> Callable[[Json], object]:
    """Return the edit that moves a goal's due date."""

    def edit(tree: Json) -> None:
        next(one for one in tree["target"] if one.get("id") == "due")["dueDate"] = day

    return edit


def note(words: str, author: str, time: str) -> Callable[[Json], object]:
    """Return the edit that adds a note to a goal."""
    return lambda tree: tree.setdefault("note", []).append({"authorString": author, "time": time, "text": words})
