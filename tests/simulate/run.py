"""Plays one seeded run: people edit on all sides while processes sync and die; then calm, rest, and the verdict."""

from __future__ import annotations

import hashlib
import traceback
from dataclasses import dataclass, field
from functools import partial
from random import Random

from fhirgoals.errors import RemoteError
from tests.simulate import ehr_people, people
from tests.simulate.beginning import begun
from tests.simulate.log import Moment
from tests.simulate.machine import KilledError, Life, finish
from tests.simulate.network import CALM
from tests.simulate.oracle import Verdict, judge, observe, shown
from tests.simulate.script import Planned, Script
from tests.simulate.world import World

QUIET_ROUNDS = 6
COUNTED_ROUNDS = 2


@dataclass
class Run:
    """The result of one run."""

    script: Script
    verdict: Verdict
    edits: int
    kills: int
    syncs: int
    lines: list[str] = field(default_factory=list)


def play(script: Script) -> Run:
    """Return the result of a script."""
    dice = Random(f"fate {script.seed}")
    world = begun(script.cell, dice, script.rates, typed=script.typed, pushed=script.pushed, retract=script.retract)
    if script.pushed:
        for name in world.names:
            observe(world, name, settled=True)
    for name in world.names:
        world.networks[name].shows = partial(shown, world, name)
    begin = world.machine.tick
    for planned in script.acts:
        world.machine.at(begin + planned.tick, partial(_act, world, planned))
    last = begin + max((planned.tick for planned in script.acts), default=0)
    for name in world.names:
        world.machine.at(begin + dice.randint(0, 10), partial(_start, world, name, last))
    world.machine.run()
    verdict = at_rest(world)
    return Run(script, verdict, len(world.log.edits), world.kills, world.runs, world.log.lines)


def at_rest(world: World) -> Verdict:
    """Calm everything down, let the world come to rest and return the verdict on it."""
    world.say("calm")
    world.calm = True
    for network in world.networks.values():
        network.rates = CALM
    echoes = rest(world)
    verdict = judge(world)
    verdict.echo.extend(echoes)
    return verdict


def _act(world: World, planned: Planned) -> None:
    dice = Random(planned.seed)
    if planned.side == "here":
        people.act(world, planned.number, planned.kind, dice)
    else:
        ehr_people.act(world, planned.number, planned.side, planned.kind, dice)


def _start(world: World, name: str, last: int) -> None:
    world.machine.tasks[name] = _process(world, name, last)


async def _process(world: World, name: str, last: int) -> None:
    """One process from its start to its end or death; the next one follows while people are at work."""
    await sync_once(world, name, Life(world.dice, world.networks[name].rates.kill))
    if world.machine.tick < last + 10:
        world.machine.at(world.machine.tick + world.dice.randint(1, 25), partial(_start, world, name, last))


async def sync_once(world: World, name: str, life: Life) -> None:
    """Run the sync of one connection as one process; tell the story, and what both sides agree on afterwards."""
    world.runs += 1
    world.say(f"run at {name}")
    began = Moment(world.machine.tick, len(world.log.edits))
    try:
        counts = await world.sync(name, life)
    except KilledError:
        world.kills += 1
        world.say(f"run at {name} dies")
    except RemoteError as error:
        world.say(f"run at {name} fails: {error}")
        if world.calm:
            world.log.failures.append(f"growth: a run at {name} fails in calm weather: {error}")
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__)[-1:]).strip().replace("\n", " ")
        world.say(f"run at {name} breaks: {type(error).__name__}: {error}, {where}")
        world.log.failures.append(f"growth: a run at {name} breaks: {type(error).__name__} {error}")
    else:
        world.log.failures.extend(f"growth: a plan's run at {name} breaks: {why}" for why in counts.broken)
        left = f", {len(counts.unanswered)} unanswered" if counts.unanswered else ""
        world.say(
            f"run at {name} ends: created {counts.created}, pushed {counts.pushed}, pulled {counts.pulled}, "
            f"asks {counts.conflicts}+{counts.proposals}+{counts.held}{left}"
        )
        observe(world, name, settled=not counts.unanswered, began=began)
        return
    observe(world, name, settled=False)


def rest(world: World) -> list[str]:
    """Let everything come to rest; return the writes that were still made when it should have."""
    world.machine.spend(1000)  # what may come late has come or never will
    still = None
    for _ in range(QUIET_ROUNDS):
        before = _writes(world)
        _round(world)
        now = _state(world)
        if now == still and _writes(world) == before:
            return []  # nothing but the clock differs from the round before: so it will from the next
        still = now
    before = _writes(world)
    for _ in range(COUNTED_ROUNDS):
        _round(world)
    more = _writes(world) - before
    return [f"echo: {more} writes after {QUIET_ROUNDS} quiet rounds"] if more else []


def _round(world: World) -> None:
    for name in world.names:
        finish(sync_once(world, name, Life(world.dice, 0.0)))
        world.machine.spend(100)


def _writes(world: World) -> int:
    return sum(network.writes for network in world.networks.values())


_LASTING = {
    "plans": "plan_id, rev",
    "bases": "*",
    "links": "connection, local_id, resource_id, etag, raw_hash, state",
    "intents": "id, state",
    "inbox": "id, key, closed_at is null",
    "ledger": "connection, owner, unit, rev",
    "dirty": "connection, plan_id, why, marks > done",
}


def _state(world: World) -> bytes:
    """Return a mark of everything that the next round depends on, but for the clock."""
    digest = hashlib.sha256()
    for table, columns in _LASTING.items():
        for row in world.database.raw.execute(f"select {columns} from {table} order by rowid"):  # noqa: S608
            digest.update(repr(row).encode())
    return digest.digest()
