"""The start of a world: a small plan here, people linked, everything sent once in calm weather.

It is played once per kind of world and process, kept as bytes, and taken up again by each run.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date
from functools import cache
from random import Random
from typing import Any

import msgspec

from fhirgoals.domain import records as r
from fhirgoals.fhir.rest import Version
from fhirgoals.sync.connection import ConnectionConfig
from fhirgoals.sync.identify import confirm, link_identifier, match, wanted
from tests.simulate.cells import Cell
from tests.simulate.database import INSTALLATION, Front, empty
from tests.simulate.log import PLAN
from tests.simulate.machine import Life, finish
from tests.simulate.network import Rates
from tests.simulate.world import World

GOALS = ("g-a", "g-b", "g-a1", "g-a2")


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
    world.log.first = dict(world.here())
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
