"""One simulated world: our store, one or two sandbox EHRs, the network between, and the log of it all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from fhirgoals.domain import records as r
from fhirgoals.domain.units import touched
from fhirgoals.fhir.client import EhrClient
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sync.run import Runner
from tests.simulate import sides
from tests.simulate.cells import MIXES, Cell
from tests.simulate.database import INSTALLATION, Database, Front, database
from tests.simulate.log import NOTHING, PLAN, Edit, Key, Log, by_word
from tests.simulate.machine import Life, Machine
from tests.simulate.network import CALM, Line, Network, Rates
from tests.simulate.watchers import Watcher

START = datetime(2026, 11, 6, 9, tzinfo=UTC)


@dataclass
class World:
    """The state of one run."""

    cell: Cell
    dice: Random
    rates: Rates = CALM
    retract: str = "leave"
    log: Log = field(default_factory=Log)
    ids: Iterator[int] = field(default_factory=itertools.count)
    resource_ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    moments: int = 0
    kills: int = 0
    calm: bool = False
    runs: int = 0
    _seen: tuple[str, int] | None = None
    """Our record and the number of known steps when `_here` was read of it."""
    _here: sides.Side = field(default_factory=dict)
    _there: dict[str, tuple[object, sides.Side]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        knobs = self.cell.server.knobs
        self.machine = Machine(self.dice)
        self.database: Database = database()
        self.boxes = {name: Sandbox(knobs, clock=self.clock, new_id=self._resource_id) for name in self.names}
        self.networks = {
            name: Network(name, box, self.machine, self.dice, self.rates, tell=self.say)
            for name, box in self.boxes.items()
        }
        self.watchers = {
            name: Watcher(name, self.boxes[name].storage, network, self.log, partial(self.links, name), START)
            for name, network in self.networks.items()
        }
        for name, watcher in self.watchers.items():
            self.networks[name].leaves, self.networks[name].arrives = watcher.leaves, watcher.arrives

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the connections."""
        return self.cell.names

    @property
    def goals(self) -> frozenset[str] | None:
        """The goals that people work on; `None` = all."""
        return MIXES[self.cell.mix].goals

    def clock(self) -> datetime:
        """Return the time: a second per tick, and a little later at each look, within the tick."""
        self.moments += 1
        return START + timedelta(seconds=self.machine.tick, microseconds=self.moments)

    def new_id(self) -> UUID:
        """Return an id for a call of ours."""
        return UUID(int=next(self.ids))

    def _resource_id(self) -> str:
        return f"r{next(self.resource_ids)}"

    def say(self, line: str) -> None:
        """Add a line to the story."""
        self.log.say(self.machine.tick, line)

    def client(self, name: str, life: Life) -> EhrClient:
        """Return a process's client of one EHR."""

        async def no_sleep(_seconds: float) -> None:
            return None

        return EhrClient(
            f"http://{name}.test/fhir",
            Line(self.networks[name], life),
            clock=self.clock,
            sleep=no_sleep,
            jitter=lambda: 0.0,
            connection=name,
            max_retries=0,
        )

    async def sync(self, name: str, life: Life) -> Any:
        """Run the sync of one connection once, as one process."""
        self.watchers[name].began = START + timedelta(seconds=self.machine.tick)
        self.networks[name].came_late.clear()
        # A process may have died after it wrote down that a call goes, and before that left.
        marked = "select body from intents where connection = ? and sent_at is not null"
        self.networks[name].doubted |= {body.encode() for (body,) in self.database.raw.execute(marked, (name,))}
        front: Any = Front(self.database, life)
        return await Runner(front, name, self.client(name, life), self.clock, self.new_id, "sim").sync()

    # -- our side --

    def plan(self) -> r.Plan:
        """Return our record."""
        with self.database.read() as tx:
            stored = tx.plans.get(PLAN)
        assert stored is not None
        return stored.plan

    def save(self, plan: r.Plan) -> None:
        """Save our record as a person's edit."""
        with self.database.write() as tx:
            stored = tx.plans.get(plan.id)
            tx.plans.save(
                plan,
                expect=stored.rev if stored else None,
                by="staff-1",
                reason="review",
                at=self.clock(),
                touched=touched(stored.plan if stored else None, plan),
            )

    def here(self) -> sides.Side:
        """Return the watched values of our record."""
        seen = sides.stored(self.database.raw), len(self.log.steps)
        if seen != self._seen:
            plan = sides.document(self.database.raw)
            self._seen, self._here = seen, sides.named_by_log(sides.here(plan), sides.by_words(plan, self.log))
        return self._here

    def links(self, name: str) -> dict[str, str]:
        """Return the resource that our store takes for each goal at an EHR."""
        return sides.linked(self.database.raw, name)

    def there(self, name: str) -> sides.Side:
        """Return the watched values at one EHR; of two resources of one goal, those of the one that is linked."""
        self.watchers[name].place()
        storage, links = self.boxes[name].storage, self.links(name)
        seen = sides.standing(storage), links, dict(self.log.resources), dict(self.log.steps)
        known = self._there.get(name)
        if known is None or known[0] != seen:
            known = self._there[name] = seen, sides.there(name, storage, self.log, links)
        return known[1]

    def noted(self, number: int, side: str, key: Key, value: str, over: str) -> None:
        """Tell the log of an edit."""
        already = frozenset() if by_word(key) else self._where(key, value) - {side}
        self.log.edit(Edit(number, self.machine.tick, side, key, value, over, already))
        self.log.wire_ids.setdefault(INSTALLATION.wire_id("Goal", PLAN, key[0]), key[0])
        if side == "here":
            self.hear(key, value)

    def _where(self, key: Key, value: str) -> frozenset[str]:
        sides_ = {"here": self.here(), **{name: self.there(name) for name in self.names}}
        return frozenset(name for name, side in sides_.items() if side.get(key, NOTHING) == value)

    def hear(self, key: Key, value: str) -> None:
        """Remember the words that stand in a goal here, for what may not leave."""
        if by_word(key):
            self.log.hear(key[0], value.rpartition("/")[2])
