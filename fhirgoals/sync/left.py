"""What came from a chart that was left since: it may be another patient's, so it goes nowhere by itself (design 5.8).

When a client is unlinked, everything that the plans have of that chart gets the chart's name as its origin in place of
the connection's. To no connection is that its own, so nothing of it is sent or made there. Where the client is linked
to the very same person again, it counts as the connection's as before. An item for each goal asks a person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

import msgspec

from fhirgoals.domain.origins import Source
from fhirgoals.domain.records import Origin, Plan
from fhirgoals.domain.units import Json, Unit, units
from fhirgoals.store.plans import SavedRevision
from fhirgoals.store.tx import Tx
from fhirgoals.sync.sides import named_by

GOAL_OF_IT = "chart_left"
"""Why a person is told of a goal that was born in a chart that was left."""

PARTS_OF_IT = "parts_of_a_chart_left"
"""Why a person is told of a goal or plan of ours of which something came from a chart that was left."""

_FOLLOWS = ("order", "labels", "participants", "membership", "steps")
"""Families that follow from others: who settles those settles these."""
_change = msgspec.structs.replace


def chart_name(connection: str, reference: str, fingerprint: str | None) -> str:
    """Return the origin of what came from one person's chart at a connection; it tells nothing of that person."""
    return f"{connection}@{hashlib.sha256((fingerprint or reference).encode()).hexdigest()[:12]}"


def leave(tx: Tx, connection: str, plan: Plan, chart: str, *, by: str, at: datetime) -> None:
    """Give everything that a plan has of a connection the name of the chart that is being left, as a revision of it."""
    stored = tx.plans.get(plan.id)
    edits = tx.plans.revisions(plan.id, source=connection)
    if stored is None or not edits:
        return
    after = _renamed(stored.plan, connection, chart)
    if after is stored.plan and edits[-1].origin == chart:
        return  # it is left already, and nothing came from there since
    tx.plans.rename_origin(plan.id, connection, chart)
    tx.plans.save(after, expect=stored.rev, by=by, reason="correction", at=at, touched={}, origin=chart)


def own_edits(
    edits: Iterable[SavedRevision], connection: str, chart: str | None
) -> list[Mapping[Unit, tuple[Json, Json]]]:
    """Return what a connection's EHR edited in the chart that is linked now; `edits` are all of it, oldest first.

    The revision by which a chart was left (`leave`) bears its name: what came before it came from that one.
    """
    found: list[Mapping[Unit, tuple[Json, Json]]] = []
    since: list[Mapping[Unit, tuple[Json, Json]]] = []
    for edit in edits:
        if edit.origin == connection:
            since.append(edit.touched)
            continue
        found += since if edit.origin == chart else []
        since = []
    return [*found, *since]


def as_linked(
    plan: Plan, sources: Mapping[Unit, Source], connection: str, chart: str | None
) -> tuple[Plan, Mapping[Unit, Source]]:
    """Return a plan and its sources with what came from the linked person's chart as the connection's own."""
    if chart is None:
        return plan, sources
    return _renamed(plan, chart, connection), {unit: _source(one, chart, connection) for unit, one in sources.items()}


def left_behind(
    plan: Plan, sources: Mapping[Unit, Source], connection: str, chart: str | None
) -> tuple[tuple[str, str], ...]:
    """Return the goals in which something came from a chart of the connection that was left, each with the reason.

    `chart` is the one that is linked now, which is not meant. What belongs to no goal is told of the plan.
    """
    found: dict[str, str] = {}
    names = {name for source in sources.values() for name in source.connections}
    values = units(plan) if any(_is_left(name, connection, chart) for name in names) else {}
    steps = {step.id: goal.id for goal in plan.goals for step in goal.steps}
    goals = {goal.id for goal in plan.goals}
    for unit, value in values.items():
        origins = sources[unit].connections if unit in sources else frozenset()
        if unit.family in _FOLLOWS or not any(_is_left(name, connection, chart) for name in origins):
            continue
        owners = {unit.owner} if unit.owner in goals else named_by(unit, value) & goals
        owners |= {steps[unit.member]} if unit.member in steps else set()
        found |= dict.fromkeys(owners or {plan.id}, PARTS_OF_IT)
    for goal in plan.goals:
        if goal.origin is not None and _is_left(goal.origin.system, connection, chart):
            found[goal.id] = GOAL_OF_IT
    void = {goal.id for goal in plan.goals if goal.lifecycle == "entered_in_error"}
    return tuple(sorted((owner, why) for owner, why in found.items() if owner not in void))


def _is_left(name: str, connection: str, chart: str | None) -> bool:
    return name.startswith(f"{connection}@") and name != chart


def _renamed(plan: Plan, old: str, new: str) -> Plan:
    """Return the plan with one origin in place of another; the very same plan where nothing came from there."""

    def moved(origin: Origin | None) -> Origin | None:
        return _change(origin, system=new) if origin is not None and origin.system == old else origin

    origins = [origin for goal in plan.goals for origin in (goal.origin, *(entry.origin for entry in goal.progress))]
    if old not in {origin.system for origin in origins if origin is not None}:
        return plan
    goals = tuple(
        _change(
            goal,
            origin=moved(goal.origin),
            progress=tuple(_change(entry, origin=moved(entry.origin)) for entry in goal.progress),
        )
        for goal in plan.goals
    )
    return _change(plan, goals=goals)


def _source(source: Source, old: str, new: str) -> Source:
    if old not in source.connections:
        return source
    parts = None if source.parts is None else {path: new if one == old else one for path, one in source.parts.items()}
    return replace(source, last=new if source.last == old else source.last, parts=parts)
