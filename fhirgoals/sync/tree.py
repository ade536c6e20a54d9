"""The goal tree as one server has it: cycles, second parents, and children that are read twice before they are judged.

Pure. R4 keeps a child's parent on the parent's resource, so a move is two writes: between them a child has no parent,
or two, and two moves at two places can close a ring that nobody wrote (design 5.2; rules R2, R5, R9 of the simulation).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from fhirgoals.domain.units import Json, Pair, Unit, Values, same_value

Edges = dict[str, frozenset[str]]
"""The parents of each child."""

NOWHERE: Final[list[Json]] = []
"""A child's agreed place at the EHR that it had left when our call was decided, the EHR having given it another: not
the same as none at all."""


def edges_of(values: Values) -> Edges:
    """Return the parents of each child that has one."""
    return {unit.member: frozenset(value) for unit, value in values.items() if unit.family == "parent_map" and value}


def living(parents: Json, dead: Collection[str]) -> Json:
    """Return a child's parents without those that are dead, in the terms of its unit; `NOWHERE` stays as it is."""
    return parents if parents == NOWHERE else [parent for parent in parents or () if parent not in dead] or None


def places_of(plan_id: str, goals: Iterable[str]) -> frozenset[Unit]:
    """Return the places of goals in the tree of their plan: at the top, without a parent, is a place as well."""
    return frozenset(Unit(plan_id, f"parent_map:{goal}") for goal in goals)


def in_a_ring(edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Return the children that are above themselves, by whatever way."""
    return frozenset(child for child in edges if child in _above(child, edges))


def closes_a_ring(child: str, parent: str, edges: Mapping[str, Iterable[str]]) -> bool:
    """Tell whether a parent stands below the child already, so that this edge would close a ring."""
    return child == parent or child in _above(parent, edges)


def incoherent(edges: Edges) -> dict[str, str]:
    """Return the children whose place can't be told, each with the reason: `ring` or `two_parents`."""
    rings = in_a_ring(edges)
    found = {child: "two_parents" for child, parents in edges.items() if len(parents) > 1}
    return found | dict.fromkeys(rings, "ring")


def half_moved(values: Values, bases: Mapping[Unit, Pair]) -> Values:
    """Return the children that had a parent and have none, or have two, with what was read.

    It may be half of somebody's move: the reading is believed only when a second one, later, says the same (R9).
    """
    found: Values = {}
    for unit, pair in bases.items():
        if unit.family == "parent_map" and pair.theirs and not values.get(unit):
            found[unit] = []
    for unit, value in values.items():
        if unit.family == "parent_map" and len(value or ()) > 1:
            pair_theirs = bases[unit].theirs if unit in bases else None
            if not same_value(pair_theirs, value):
                found[unit] = value
    return found


def second_look(
    half: Values, before: Json, now: datetime, overlap_s: float
) -> tuple[frozenset[Unit], dict[str, list[Json]]]:
    """Return the children that are to be read again, and what to remember of this reading.

    `before` is what was remembered last time: for each child its parents and when they were first read so. A reading
    counts as the second when it says the same and `overlap_s` seconds have passed.
    """
    known = before if isinstance(before, dict) else {}
    again: set[Unit] = set()
    remembered: dict[str, list[Json]] = {}
    for unit, value in half.items():
        parents, since = known.get(unit.member, (None, None))
        if parents != value or since is None:
            parents, since = value, now.isoformat()
        remembered[unit.member] = [parents, since]
        if datetime.fromisoformat(since) + timedelta(seconds=overlap_s) > now:
            again.add(unit)
    return frozenset(again), remembered


def _above(goal: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Return every goal above one."""
    seen: set[str] = set()
    pending = list(edges.get(goal, ()))
    while pending:
        one = pending.pop()
        if one not in seen:
            seen.add(one)
            pending.extend(edges.get(one, ()))
    return seen
