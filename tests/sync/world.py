"""A small world for the sync tests: our store, one EHR (the sandbox, in process) and people linked at it.

Nothing of the EHR is mocked: it is the sandbox server, spoken to over ASGI; edits there are plain HTTP.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from fhirgoals.domain.commands import Accepted, Actor, AnyCommand, decide_command
from fhirgoals.domain.planfile import load_plan
from fhirgoals.domain.records import Plan, Withheld
from fhirgoals.domain.units import touched
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.http import Http
from fhirgoals.fhir.rest import Precondition
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sandbox.memory import utc_now
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.connection import ConnectionConfig
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.identify import confirm, known_there, link_identifier, match, wanted
from fhirgoals.sync.run import Runner

EXAMPLES = Path(__file__).parents[2] / "examples"
START = datetime(2026, 11, 6, 9, tzinfo=UTC)
BASE = "http://ehr.test/fhir"


def example(name: str) -> Plan:
    """Return one of the example plans by the start of its file name."""
    [path] = EXAMPLES.glob(f"{name}*.yaml")
    return load_plan(path.read_bytes(), name=path.name)


@dataclass
class World:
    """Our side and one EHR. The clock moves by a second with every look at it."""

    store: AsyncStore
    sandbox: Sandbox
    http: Http
    connection: str = "ehr-main"
    now: datetime = START
    config: Mapping[str, object] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def new_id(self) -> UUID:
        return UUID(int=next(self.ids))

    def client(self) -> EhrClient:
        return EhrClient(BASE, self.http, clock=self.clock, connection=self.connection, sleep=_no_sleep)

    def runner(self) -> Runner:
        return Runner(self.store, self.connection, self.client(), self.clock, self.new_id, "test")

    async def sync(self) -> Counts:
        return await self.runner().sync()

    async def add_connection(self) -> None:
        config = ConnectionConfig(base_url=BASE, **{"release": "on_save", **self.config})  # type: ignore[arg-type]
        tree = msgspec.to_builtins(config)
        at = self.clock()

        def work(tx) -> None:  # type: ignore[no-untyped-def]
            tx.connections.add(self.connection, tree, at=at, by="it-1")
            tx.connections.set_state(self.connection, "armed", by="it-1", reason="test", at=at)

        await self.store.write(work)

    async def put(self, plan: Plan, by: str = "staff-7", reason: str = "review", origin: str | None = None) -> int:
        stored = await self.store.read(lambda tx: tx.plans.get(plan.id))
        before = stored.plan if stored else None
        at = self.clock()
        return await self.store.write(
            lambda tx: tx.plans.save(
                plan,
                expect=stored.rev if stored else None,
                by=by,
                reason=reason,
                at=at,
                touched=touched(before, plan),
                origin=origin,
            )
        )

    async def plan(self, plan_id: str) -> Plan:
        stored = await self.store.read(lambda tx: tx.plans.get(plan_id))
        assert stored is not None
        return stored.plan

    async def do(self, plan_id: str, command: AnyCommand, by: str = "staff-7") -> None:
        """Carry a command out, as the command line does."""
        stored = await self.store.read(lambda tx: tx.plans.get(plan_id))
        assert stored is not None
        at = self.clock()
        answer = decide_command(stored.plan, command, Actor(by), at.date(), rev=stored.rev)
        assert isinstance(answer, Accepted), answer
        await self.store.write(
            lambda tx: tx.plans.save(
                answer.plan, expect=stored.rev, by=by, reason=answer.reason, at=at, touched=answer.touched
            )
        )

    async def edit(self, plan_id: str, goal: str, **changes: object) -> None:
        """Change fields of one goal here."""
        plan = await self.plan(plan_id)
        goals = tuple(msgspec.structs.replace(one, **changes) if one.id == goal else one for one in plan.goals)
        await self.put(msgspec.structs.replace(plan, goals=goals))

    async def know_people(self, plan: Plan) -> None:
        """Create the plan's people and problems at the EHR with our identifiers, and link them."""
        installation = self.store.store.installation
        patient = ""
        for one in wanted(plan, installation, {}):
            body = known_there(one, [link_identifier(installation, one.kind, one.local_id)], patient)
            stored = self.sandbox.storage.create(one.kind, body, unless=None)
            if one.kind == "Patient":
                patient = f"Patient/{stored.version.id}"
        await match(self.store, self.client(), self.connection, by="it-1", clock=self.clock)
        at = self.clock()
        await self.store.write(lambda tx: confirm(tx, self.connection, None, by="it-1", at=at))

    # -- the EHR's side, seen and edited without any of our code --

    def goals(self) -> dict[str, Resource]:
        """Return the EHR's Goals by their description."""
        return {text_of(goal): goal for goal in self.sandbox.storage.resources("Goal")}

    def care_plans(self) -> list[Resource]:
        return list(self.sandbox.storage.resources("CarePlan"))

    def change(self, kind: str, resource_id: str, edit: Callable[[dict[str, Tree]], object]) -> None:
        """Edit one resource there as an EHR user would: a new version of it."""
        tree = next(one for one in self.sandbox.storage.resources(kind) if one["id"] == resource_id)
        edit(tree)
        self.sandbox.storage.update(kind, resource_id, tree, _ANY)

    async def inbox(self) -> list[tuple[str, str | None, str | None]]:
        items = await self.store.read(lambda tx: tx.inbox.list(open_only=True))
        return sorted((item.kind, item.owner, item.unit) for item in items)


async def started(here: World, number: str = "01") -> Plan:
    """Load an example, link its people and push it."""
    plan = example(number)
    await here.add_connection()
    await here.put(plan)
    await here.know_people(plan)
    await here.sync()
    return plan


async def withhold(here: World, plan_id: str, *goals: str) -> None:
    """Keep goals back from every connection: both marks of each (invariant 23); others are as they were."""
    plan = await here.plan(plan_id)
    disclosure = msgspec.structs.replace(plan.disclosure, withheld=tuple(Withheld(target=one) for one in goals))
    marked = tuple(msgspec.structs.replace(one, share="withheld") if one.id in goals else one for one in plan.goals)
    await here.put(msgspec.structs.replace(plan, goals=marked, disclosure=disclosure))


def taken_back(counts: Counts) -> list[dict[str, Tree]]:
    """Return the resources that were themselves taken back, without those that only lost a reference."""
    return [one for one in counts.retracted if one["way"] != "references"]


def text_of(goal: Mapping[str, Tree]) -> str:
    description = goal["description"]
    assert isinstance(description, dict)
    return str(description["text"])


async def _no_sleep(_seconds: float) -> None:
    """Time is the test's."""


_ANY = Precondition()


@contextmanager
def world(knobs: Knobs | None = None, clock: Callable[[], datetime] = utc_now, **config: object) -> Iterator[World]:
    """Open a world with one armed connection and no plan; `clock` is the EHR's."""
    sandbox = Sandbox(knobs, clock=clock)
    store = AsyncStore(open_store("sqlite://"))
    http = Http(app=sandbox.app)
    try:
        yield World(store, sandbox, http, config=config)
    finally:
        store.close()
