"""Plays one seeded run: edits on all sides, lost and late calls, a process that dies; then quiet rounds, a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from fhirgoals.errors import FhirgoalsError
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.store.threads import AsyncStore
from tests.simulate.network import Network
from tests.simulate.oracle import Verdict, judge
from tests.simulate.world import World

NEVER, LOST, LATE, KILL = 0.08, 0.12, 0.15, 0.03
"""Rates of the earlier simulation (reference: simulation): calls never sent, replies lost, late; death at an await."""


class KilledError(BaseException):
    """The process is dead."""


@dataclass
class Life:
    """A process that may die at each await."""

    random: Random
    rate: float
    dead: bool = False

    def step(self) -> None:
        if self.dead or self.random.random() < self.rate:
            self.dead = True
            raise KilledError


class MortalStore(AsyncStore):
    """The store behind a life."""

    def __init__(self, inner: AsyncStore, life: Life) -> None:
        self.inner, self.store, self.life = inner, inner.store, life

    async def write(self, fn: Callable[[Any], Any]) -> Any:
        self.life.step()
        result = await self.inner.write(fn)
        self.life.step()
        return result

    async def read(self, fn: Callable[[Any], Any]) -> Any:
        self.life.step()
        return await self.inner.read(fn)


@dataclass
class MortalNetwork:
    """The network behind a life."""

    inner: Network
    life: Life

    async def send(self, request: Any) -> Any:
        self.life.step()
        reply = await self.inner.send(request)
        self.life.step()
        return reply


@dataclass
class Run:
    """The result of one run."""

    verdict: Verdict
    edits: int
    kills: int
    echo: int
    story: list[str]


async def play(
    seed: int, *, connections: int = 1, knobs: Knobs | None = None, edits: int = 10, **config: object
) -> Run:
    """Return the result of the run of a seed."""
    random = Random(seed)
    names = ("ehr-a", "ehr-b")[:connections]
    world = World(random, names, knobs, dict(config))
    story: list[str] = []
    try:
        await world.start()
        for network in world.networks.values():
            network.never, network.lost, network.delayed = NEVER, LOST, LATE
        for _ in range(edits):
            side = random.choice(("here", *names))
            before = len(world.edits)
            if side == "here":
                await world.edit_here()
            else:
                world.edit_there(side)
            story.extend(
                f"{one.side}: {one.goal}.{one.field} {one.over!r} -> {one.value!r}" for one in world.edits[before:]
            )
            for _ in range(random.randint(0, 2)):
                name = random.choice(names)
                story.append(f"run {name}: " + await one_run(world, name, KILL))
                for network in world.networks.values():
                    await network.pass_time(random.randint(1, 5))
        for network in world.networks.values():
            network.calm()
            await network.pass_time(100)
        for _ in range(6):
            for name in names:
                story.append(f"quiet {name}: " + await one_run(world, name, 0.0))
        writes = sum(network.writes for network in world.networks.values())
        for name in names:
            await one_run(world, name, 0.0)
        echo = sum(network.writes for network in world.networks.values()) - writes
        verdict = await verdict_of(world)
        return Run(verdict, len(world.edits), world.kills, echo, story)
    finally:
        world.close()


async def one_run(world: World, name: str, rate: float) -> str:
    """Run the sync once, maybe to its death; return what became of it."""
    life = Life(world.random, rate)
    try:
        counts = await world.sync(name, MortalNetwork(world.networks[name], life), MortalStore(world.store, life))
    except KilledError:
        world.kills += 1
        return "killed"
    except FhirgoalsError as error:
        return f"{type(error).__name__}: {error}"
    return f"created {counts.created} pushed {counts.pushed} pulled {counts.pulled} unanswered {len(counts.unanswered)}"


async def verdict_of(world: World) -> Verdict:
    items = await world.store.read(lambda tx: tx.inbox.list(open_only=False))
    inbox = [
        {
            "open": item.closed_at is None,
            "kind": item.kind,
            "connection": item.connection,
            "owner": item.owner,
            "unit": item.unit,
            "base": item.base,
            "ours": item.ours,
            "theirs": item.theirs,
        }
        for item in items
    ]
    ledger = await world.store.read(lambda tx: tx.ledger.list())
    inbox += [
        {"open": True, "kind": "ledger", "connection": one.connection, "owner": one.unit.owner, "unit": one.unit.name}
        for one in ledger
    ]
    plan = msgspec.to_builtins(await world.plan())
    intents = sum(
        [len(await world.store.read(lambda tx, name=name: tx.intents.all_open(name))) for name in world.names]
    )
    return judge(world, inbox, plan, intents)
