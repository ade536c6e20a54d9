"""One simulated world: a small plan here, one or two sandbox EHRs, the network between, and the log of it all.

The start of a world (migrated store, linked people, first push) is played once per kind of world and process, kept as
bytes, and taken up again by each run.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from fhirgoals.domain import records as r
from fhirgoals.domain.units import touched
from fhirgoals.fhir import exact_json
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.rest import Version
from fhirgoals.fhir.wire import Reply, Request
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sync.connection import ConnectionConfig
from fhirgoals.sync.identify import confirm, link_identifier, match, wanted
from fhirgoals.sync.run import Runner
from tests.simulate import sides
from tests.simulate.cells import MIXES, Cell
from tests.simulate.database import INSTALLATION, Database, Front, database, empty
from tests.simulate.log import NOTHING, PLAN, Edit, Key, Log, by_word, in_a_ring
from tests.simulate.machine import Life, Machine, finish
from tests.simulate.network import CALM, Line, Network, Rates

START = datetime(2026, 11, 6, 9, tzinfo=UTC)
GOALS = ("g-a", "g-b", "g-a1", "g-a2")
FOREIGN_WORD = re.compile(rb"([AB])x\d{3}")


def small_plan(names: tuple[str, ...], *, typed: bool) -> r.Plan:
    """Return a plan of four goals with a step each; `typed` ones are long-term and short-term, others any tree."""
    consents = tuple(
        r.Consent(id=f"c-{name}", endpoint=name, granted=date(2026, 1, 1), method="signature", sensitivities=("MH",))
        for name in names
    )

    def goal(number: int, parent: str | None) -> r.Goal:
        return r.Goal(
            id=GOALS[number],
            parent=parent,
            horizon=("short_term" if parent else "long_term") if typed else None,
            nature=("actionable" if parent else "aspirational") if typed else None,
            text=f"Tx{number:03} at first",
            lifecycle="active",
            priority="medium",
            start_date=date(2026, 1, 5),
            target_date=date(2026, 12, 18),
            addresses=("pr-1",),
            acceptance=(r.Acceptance(by="p-client", status="agree", date=date(2026, 1, 5), method="verbal"),),
            steps=(
                r.Step(
                    id=f"st-{GOALS[number]}",
                    n=1,
                    kind="homework",
                    owner="client",
                    text=f"Sx{number:03} at first",
                    status="planned",
                ),
            ),
        )

    return r.Plan(
        id=PLAN,
        kind="client_treatment",
        title="A plan",
        status="active",
        start_date=date(2026, 1, 5),
        client=r.Client(id="client-1", display="A client", birth_date=date(1990, 1, 1)),
        participants=(
            r.Participant(id="p-client", role="client", ref="client-1"),
            r.Participant(id="p-ther", role="primary_therapist", ref="staff-1", display="T"),
        ),
        problems=(r.Problem(id="pr-1", code=r.Coding(system="icd10cm", code="F33.1"), status="active"),),
        disclosure=r.Disclosure(consents=consents),
        goals=(goal(0, None), goal(1, None), goal(2, "g-a"), goal(3, "g-a")),
    )


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
    started: dict[str, int] = field(default_factory=dict)
    """The tick at which the present run of each connection began."""
    _edges: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: int = 0
    _before: dict[str, bytes | None] = field(default_factory=dict)
    _last_sent: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _seen: tuple[str, int] | None = None
    """Our record and the number of known steps when `_here` was read of it."""
    _here: sides.Side = field(default_factory=dict)

    def __post_init__(self) -> None:
        knobs = self.cell.server.knobs
        self.machine = Machine(self.dice)
        self.database: Database = database()
        self.boxes = {name: Sandbox(knobs, clock=self.clock, new_id=self._resource_id) for name in self.names}
        self.networks = {
            name: Network(
                name,
                box,
                self.machine,
                self.dice,
                self.rates,
                leaves=self._leaves,
                arrives=self._arrives,
                tell=self.say,
            )
            for name, box in self.boxes.items()
        }

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

    def there(self, name: str) -> sides.Side:
        """Return the watched values at one EHR; of two resources of one goal, those of the one that is linked."""
        return sides.there(name, self.boxes[name].storage, self.log, sides.linked(self.database.raw, name))

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

    # -- what the watchers see of each write --

    def _leaves(self, name: str, request: Request) -> None:
        body = request.body or b""
        own = name[-1].upper().encode()
        for letter in set(FOREIGN_WORD.findall(body)) - {own}:
            self.log.leaks.append(f"leak: words of ehr-{letter.decode().lower()} leave for {name}")
        kept_back = set(self.log.words) if name in self.log.refused else self.log.withheld
        if not kept_back or not body:
            return
        tree: Any = exact_json.loads(body)
        narrative = str(tree.get("text", {}).get("div", ""))
        standing = self._standing(name, request) or b""
        for goal in sorted(kept_back):
            for word in sorted(self.log.words.get(goal, ())):
                new = word.encode() in body and word.encode() not in standing
                if word in narrative or (new and not self._stood_there(name, request, word)):
                    self.log.leaks.append(f"leak: {word} of {goal} leaves for {name} in {request.method}")

    def _stood_there(self, name: str, request: Request, word: str) -> bool:
        """Tell whether a goal's own resource had a word when it was read for this call: an edit came in between."""
        kind, _, id_ = request.url.partition("/fhir/")[2].partition("?")[0].partition("/")
        older = (one.body for one in self.boxes[name].storage.versions() if (one.type, one.id) == (kind, id_))
        return any(body is not None and word.encode() in _content(body) for body in older)

    def _standing(self, name: str, request: Request) -> bytes | None:
        kind, _, id_ = request.url.partition("/fhir/")[2].partition("?")[0].partition("/")
        version = self.boxes[name].storage.read(kind, id_) if id_ else None
        return None if version is None or version.body is None else _content(version.body)

    def _arrives(self, name: str, request: Request, reply: Reply | None) -> None:
        of_goal = "/Goal/" in request.url
        if reply is None:
            self._before[name] = self._standing(name, request)
            self._edges = self._tree(name) if of_goal else {}
            return
        if of_goal and reply.status == 200 and not self.networks[name].arriving_late:
            self._judge_tree(name, request)
        if reply.status not in (200, 201) or not request.body:
            return
        sent: Any = exact_json.loads(request.body)
        if request.method == "POST" or "if-none-match" in {header.lower() for header in request.headers}:
            if reply.status == 201:
                self._created(name, sent, reply)
            return
        after = self._standing(name, request)
        if after == self._before[name] and request.body not in self.networks[name].doubted:
            body = _content(sent)
            if body == self._before[name] or body == self._last_sent.get((name, request.url)):
                where = request.url.partition("/fhir/")[2]
                self.log.echoes.append(f"echo: {request.method} {where} at {name} changes nothing")
        self._last_sent[name, request.url] = _content(sent)

    def _tree(self, name: str) -> dict[str, dict[str, str]]:
        """Return the parents of each child at an EHR, each with the resource that says so."""
        found: dict[str, dict[str, str]] = {}
        local = {id_: own for (where, id_), own in self.log.resources.items() if where == name}
        for id_, body in sides.bodies(self.boxes[name].storage, "Goal").items():
            if id_ in local and body.get("lifecycleStatus") != "entered-in-error":
                for kind, target in sides.relations(body):
                    if kind == "milestone" and target in local:
                        found.setdefault(local[target], {})[local[id_]] = id_
        return found

    def _judge_tree(self, name: str, request: Request) -> None:
        """Note a write that breaks the tree, where nobody but us wrote there since its run began."""
        if request.body in self.networks[name].doubted:
            return  # decided earlier, and sent again as it was
        before, after = self._edges, self._tree(name)
        ring = in_a_ring({child: set(above) for child, above in after.items()})
        second = {child for child, above in after.items() if len(above) > 1}
        ring -= in_a_ring({child: set(above) for child, above in before.items()})
        second -= {child for child, above in before.items() if len(above) > 1}
        own = request.url.rpartition("/")[2]
        for child in sorted(ring | second):
            others = {id_ for id_ in after[child].values() if id_ != own}
            others |= {id_ for one in ring for id_ in after[one].values() if id_ != own} if child in ring else set()
            if others and all(self._unmoved_since(name, id_, self.started.get(name, 0)) for id_ in others):
                what = "a ring" if child in ring else "a second parent"
                self.log.broken.append(f"silent: our write to {own} at {name} gives {child} {what}, and could see it")

    def _unmoved_since(self, name: str, id_: str, tick: int) -> bool:
        version = self.boxes[name].storage.read("Goal", id_)
        return version is not None and version.last_updated < START + timedelta(seconds=tick)

    def _created(self, name: str, sent: Any, reply: Reply) -> None:
        made: Any = exact_json.loads(reply.body) if reply.body else {}
        location = reply.headers.get("location", "").partition("/fhir/")[2].split("/")
        id_ = made.get("id") or (location[1] if len(location) > 1 else None)
        values = [one["value"] for one in sent.get("identifier", ())]
        if id_ is None and values:  # the reply was lost
            found = sides.bodies(self.boxes[name].storage, sent["resourceType"]).items()
            id_ = next((own for own, body in found if body.get("identifier") == sent["identifier"]), None)
        local = self.log.wire_ids.get(values[0]) if values else None
        if id_ and local:
            self.log.resources[name, str(id_)] = local


def _content(body: dict[str, Any]) -> bytes:
    return exact_json.canonical({key: value for key, value in body.items() if key != "meta"})


@dataclass(frozen=True)
class Beginning:
    """A world that has begun, as it is taken up by runs."""

    image: bytes
    versions: dict[str, tuple[Version, ...]]
    resources: dict[tuple[str, str], str]
    tick: int
    moments: int
    next_id: int
    next_resource: int


@cache
def beginning(variant: str, connections: int, *, typed: bool, pushed: bool) -> Beginning:
    """Play the start of a kind of world: people linked and, with `pushed`, everything sent in calm weather."""
    cell = Cell(variant, connections=connections)
    world = World(cell, Random(0))
    world.database.take_up(empty())
    plan = small_plan(cell.names, typed=typed)
    at = world.clock()
    for name in cell.names:
        with world.database.write() as tx:
            tx.connections.add(name, _config(cell, name, "leave"), at=at, by="it-1")
            tx.connections.set_state(name, "armed", by="it-1", reason="test", at=at)
    world.save(plan)
    _begin_log(world)
    for name in cell.names:
        _know_people(world, name, plan)
        if pushed:
            finish(world.sync(name, Life(world.dice, 0.0)))
    return Beginning(
        world.database.leave(),
        {name: tuple(box.storage.versions()) for name, box in world.boxes.items()},
        dict(world.log.resources),
        world.machine.tick,
        world.moments,
        next(world.ids),
        next(world.resource_ids),
    )


def begun(cell: Cell, dice: Random, rates: Rates, *, typed: bool, pushed: bool, retract: str) -> World:
    """Return a world at its beginning."""
    start = beginning(cell.variant, cell.connections, typed=typed, pushed=pushed)
    world = World(cell, dice, rates, retract)
    world.database.take_up(start.image)
    for name in cell.names:
        with world.database.write() as tx:
            tx.connections.update_config(name, _config(cell, name, retract))
    for name, versions in start.versions.items():
        for version in versions:
            world.boxes[name].storage._shelves[version.type].put(version)
    world.log.resources.update(start.resources)
    world.machine.tick = start.tick
    world.moments = start.moments
    world.ids = itertools.count(start.next_id)
    world.resource_ids = itertools.count(start.next_resource)
    _begin_log(world)
    return world


def _config(cell: Cell, name: str, retract: str) -> Any:
    config = ConnectionConfig(base_url=f"http://{name}.test/fhir", retract=retract, **cell.config())  # type: ignore[arg-type]
    return msgspec.to_builtins(config)


def _begin_log(world: World) -> None:
    log = world.log
    for number, goal in enumerate(GOALS):
        log.hear(goal, f"Tx{number:03}", f"Sx{number:03}")
        log.steps[f"Sx{number:03}"] = f"st-{goal}"
        log.wire_ids[INSTALLATION.wire_id("Goal", PLAN, goal)] = goal
    log.wire_ids[INSTALLATION.wire_id("CarePlan", PLAN, PLAN)] = PLAN
    world.log = log


def _know_people(world: World, name: str, plan: r.Plan) -> None:
    """Store who is who at an EHR, and let the product find and link them."""
    patient = ""
    for one in wanted(plan, INSTALLATION, {}):
        identifier = link_identifier(INSTALLATION, one.kind, one.local_id)
        body: dict[str, Any] = {
            "resourceType": one.kind,
            "identifier": [{"system": identifier.system, "value": identifier.value}],
        }
        if one.kind == "Patient":
            body["birthDate"] = "1990-01-01"
        if one.kind == "Condition":
            body["subject"] = {"reference": patient}
        stored = world.boxes[name].storage.create(one.kind, body)
        if one.kind == "Patient":
            patient = f"Patient/{stored.version.id}"
    calm = Life(world.dice, 0.0)
    front: Any = Front(world.database, calm)
    world.machine.tick += 120  # a server whose searches lag knows them by then
    finish(match(front, world.client(name, calm), name, by="it-1", clock=world.clock))
    at = world.clock()
    with world.database.write() as tx:
        confirm(tx, name, None, by="it-1", at=at)
    world.machine.tick += 120
