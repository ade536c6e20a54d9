"""The world of the demo: a store, five EHRs with a recording proxy in front of each, a clock, and the people in them.

Everything is on 127.0.0.1 and gone afterwards, but for the store where a folder was named.
"""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec

from fhirgoals.demo.front_desk import register
from fhirgoals.demo.here import put
from fhirgoals.demo.plain_http import Server
from fhirgoals.demo.script import Script
from fhirgoals.domain.planfile import load_plan
from fhirgoals.domain.records import Plan
from fhirgoals.errors import RemoteError, StoreError
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.http import Http
from fhirgoals.sandbox.cut_proxy import ThreadedCutProxy
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.serve import serve
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.connection import ConnectionConfig
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.identify import confirm, match
from fhirgoals.sync.run import Runner

REAL = "ehr-main"
"""The connection that `--ehr URL` points to a real server."""

OPERATOR = "operator"
STORE_FILE = "fhirgoals.db"
RUNS = 3
"""How often a connection is run until it says that nothing is left to do."""


class Clock:
    """The demo's time: it stands still, and one second passes with each thing that somebody does."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """Return the time."""
        return self._now

    def tick(self) -> datetime:
        """Let a second pass; return the time."""
        self._now += timedelta(seconds=1)
        return self._now


@dataclass(frozen=True)
class Endpoint:
    """One EHR: the server itself, the proxy that our side goes through, and the sandbox where it is one."""

    name: str
    server: Server
    proxy: ThreadedCutProxy
    sandbox: Sandbox | None
    patients: dict[str, str]


@dataclass(frozen=True)
class World:
    """Everything that the acts are played in."""

    script: Script
    clock: Clock
    store_file: Path
    store: AsyncStore
    endpoints: Mapping[str, Endpoint]
    plans: tuple[Plan, ...]
    tls: ssl.SSLContext

    async def set_up(self) -> None:
        """Load the plans, register people and problems at every EHR, link them by identifier and arm."""
        await self._connect()
        for plan in self.plans:
            by = plan.therapist.id if plan.therapist else _therapist(plan)
            await self.store.write(lambda tx, plan=plan, by=by: put(tx, plan, by=by, reason="initial", at=self.clock()))  # type: ignore[misc]
        for endpoint in self.endpoints.values():
            endpoint.patients.update(register(endpoint.server, self.plans, self.store.store.installation))
        for name in self.endpoints:
            self.clock.tick()
            async with self._client(name) as client:
                await match(self.store, client, name, by=OPERATOR, clock=self.clock)
            await self.store.write(lambda tx, name=name: confirm(tx, name, None, by=OPERATOR, at=self.clock()))  # type: ignore[misc]
            await self.store.write(
                lambda tx, name=name: tx.connections.set_state(  # type: ignore[misc]
                    name, "armed", by=OPERATOR, reason="demo", at=self.clock()
                )
            )

    async def sync(self) -> list[Counts]:
        """Run every connection until it says that nothing is left to do; return the counts of each run.

        Raises `RemoteError` when that never comes.
        """
        runs: list[Counts] = []
        for name in self.endpoints:
            for _ in range(RUNS):
                runs.append(await self.sync_once(name))
                if not runs[-1].unanswered:
                    break
            else:
                raise RemoteError(f"{name}: after {RUNS} runs there was still something to do")
        return runs

    async def sync_once(self, name: str) -> Counts:
        """Run one connection once."""
        self.clock.tick()
        async with self._client(name) as client:
            runner = Runner(self.store, name, client, self.clock, uuid4, f"demo-{uuid4()}")
            return await runner.sync()

    async def _connect(self) -> None:
        for name, settings in self.script.connections.items():
            config = ConnectionConfig(
                base_url=self.endpoints[name].proxy.url,
                release=settings["release"],
                scope=settings["scope"],
                retract=settings["retract"],
                portal_visible=settings["portal_visible"],
            )
            tree = msgspec.to_builtins(config)
            await self.store.write(
                lambda tx, name=name, tree=tree: tx.connections.add(name, tree, at=self.clock(), by=OPERATOR)  # type: ignore[misc]
            )

    @contextlib.asynccontextmanager
    async def _client(self, name: str) -> AsyncIterator[EhrClient]:
        endpoint = self.endpoints[name]
        token = endpoint.server.token
        async with Http(verify=self.tls) as http:
            yield EhrClient(endpoint.proxy.url, http, clock=self.clock, connection=name, token=token)


@contextlib.contextmanager
def open_world(script: Script, ehr: str | None, folder: Path | None, token: str | None = None) -> Iterator[World]:
    """Start everything; it is stopped when the block ends. `token` goes to the real server only.

    Raises `StoreError` where the folder has a store already, `RemoteError` where the real server does not answer.
    """
    clock = Clock(script.clock)
    with contextlib.ExitStack() as stack:
        if ehr is not None:
            _must_answer(Server(ehr.rstrip("/"), token))
        home = _home(stack, folder)
        sandboxes = {name: Sandbox(clock=clock) for name in script.connections if ehr is None or name != REAL}
        urls = stack.enter_context(serve({name: sandbox.app for name, sandbox in sandboxes.items()}))
        if ehr is not None:
            urls[REAL] = ehr.rstrip("/")
        endpoints = {
            name: Endpoint(
                name,
                Server(urls[name], None if name in sandboxes else token),
                stack.enter_context(ThreadedCutProxy(urls[name])),
                sandboxes.get(name),
                {},
            )
            for name in script.connections
        }
        store = AsyncStore(open_store(f"sqlite:///{home / STORE_FILE}", clock=clock))
        stack.callback(store.close)
        plans = tuple(load_plan(path.read_bytes(), name=path.name) for path in script.plans)
        yield World(script, clock, home / STORE_FILE, store, endpoints, plans, ssl.create_default_context())


def _home(stack: contextlib.ExitStack, folder: Path | None) -> Path:
    if folder is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fhirgoals-demo-")))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise StoreError("the folder for the demo's store can't be made: name another") from None
    if (folder / STORE_FILE).exists():
        raise StoreError(f"the folder holds a store already ({STORE_FILE}): name an empty one, the demo starts afresh")
    return folder


def _must_answer(server: Server) -> None:
    answer = server.ask("GET", "metadata")
    if answer.status != 200:
        raise RemoteError(f"the address is no FHIR server's: /metadata answers {answer.status}")


def _therapist(plan: Plan) -> str:
    return next(each.ref for each in plan.participants if each.role == "primary_therapist")
