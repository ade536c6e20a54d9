"""Decides what follows for one plan at one connection (design 5): pure and total, no I/O, no clock.

`decide` takes both sides as already read and assembled, judges every merge unit and says which goals are new there
and what waits for a person. It writes nothing and knows nothing of HTTP; `calls` turns the result into requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from fhirgoals.domain.units import Json, Pair, Unit, same_value
from fhirgoals.sync.members import edited_as_one, waiting_as_one, with_their_members
from fhirgoals.sync.merge import Action, Policy, Seen, Verdict, judge
from fhirgoals.sync.nameable import nameable
from fhirgoals.sync.own import holds_ours, left_as_it_is, not_put_back, put_back
from fhirgoals.sync.sides import (
    REQUIRED,
    REQUIRED_OF_PLAN,
    WRONG_CHART,
    Key,
    Kind,
    Ours,
    Place,
    Retract,
    Theirs,
    carriers,
    named_by,
)
from fhirgoals.sync.tree import edges_of, in_a_ring, incoherent, living, places_of
from fhirgoals.sync.unreleased import NOT_RELEASED, before_release, held_back

__all__ = [
    "PASSING",
    "WRONG_CHART",
    "Decision",
    "Key",
    "Kind",
    "Ours",
    "Place",
    "Retract",
    "Theirs",
    "Waiting",
    "carriers",
    "decide",
]


@dataclass(frozen=True)
class Waiting:
    """Something that waits for a person: one inbox item, keyed by (owner, unit, kind) and its values."""

    kind: str
    owner: str
    unit: str
    why: str
    base: Json = None
    ours: Json = None
    theirs: Json = None


@dataclass(frozen=True)
class Decision:
    """What follows for the plan: goals to create, a verdict per unit that is not quiet, and what waits.

    `retire` are resources that were sent and may no longer be there, if the connection takes them back.
    """

    creates: tuple[str, ...] = ()
    create_plan: bool = False
    verdicts: Mapping[Unit, Verdict] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()
    retire: tuple[Key, ...] = ()

    def units(self, action: Action) -> dict[Unit, Verdict]:
        """Return the verdicts of one action."""
        return {unit: verdict for unit, verdict in self.verdicts.items() if verdict.action is action}


PASSING = ("in_doubt", "read_again")
"""Why a unit is not judged in this run, where nobody is asked: the next run knows more."""

_DEAD = (Place.GONE, Place.VOID, Place.UNREADABLE)


def decide(
    ours: Ours,
    theirs: Theirs,
    bases: Mapping[Unit, Pair],
    policy: Policy,
    doubtful: frozenset[Key] = frozenset(),
    failed: frozenset[Key] = frozenset(),
) -> Decision:
    """Return what follows for one plan at one connection.

    `doubtful` are resources of which nobody knows whether a call to them landed: no child with an edge there is judged.
    `failed` are those that take no call in this run: what stands on them stays as it is there.
    Where nothing may go there at all, nothing is sent, and what was sent earlier is taken back or waits for a person.
    """
    if ours.refused is not None:
        return _withdrawn(ours, theirs, bases)
    absent = [goal for goal in ours.goals if theirs.place("Goal", goal) is Place.ABSENT]
    # A goal whose words or status may not go there is not created; the ledger says so (design 5.5).
    kept = ours.elsewhere.keys() | ours.unreleased
    # Nor is one that was born there and has lost its link: it would stand there twice.
    creates = tuple(
        goal for goal in absent if goal not in ours.born and not {Unit(goal, name) for name in REQUIRED} & kept
    )
    create_plan = bool(ours.goals) and theirs.place("CarePlan", ours.plan_id) is Place.ABSENT
    create_plan &= not {Unit(ours.plan_id, name) for name in REQUIRED_OF_PLAN} & ours.unreleased
    stay = {*absent} - {*creates} | {goal for kind, goal in failed if kind == "Goal"}
    known = bases.keys() | theirs.assembled.values.keys()
    can_be_named = {*ours.goals} - (stay & {*absent})
    ours = replace(ours, visible=nameable(ours.plan_id, ours.visible, can_be_named, known))
    revs = edited_as_one(ours.revs, ours.rev, ours.visible, theirs.assembled.values, ours.hidden, bases)
    ours = replace(ours, revs=revs, unreleased=waiting_as_one(ours.unreleased, ours.visible, theirs.assembled.values))
    verdicts: dict[Unit, Verdict] = {}
    everything = known | ours.visible.keys() | ours.elsewhere.keys() | theirs.assembled.held.keys()
    if not doubtful and not {*_DEAD} & {*theirs.places.values()}:  # else an edge may be there that nobody sees
        present = (goal for goal in ours.goals if theirs.place("Goal", goal) is Place.PRESENT)
        everything |= places_of(ours.plan_id, present) & ours.revs.keys() - ours.hidden.keys()
    for unit in sorted(everything):
        if left_as_it_is(unit, ours, bases):
            continue
        seen = _seen(unit, ours, theirs, bases, doubtful)
        if seen is None:
            continue
        verdict = judge(before_release(seen, ours.unreleased), policy)
        if verdict.action is not Action.QUIET:
            verdicts[unit] = verdict
    verdicts = held_back(verdicts, ours.unreleased, ours.goals)
    verdicts = with_their_members(verdicts, ours.visible, theirs.assembled.values)
    verdicts = _without_rings(held_back(verdicts, ours.unreleased, ours.goals), theirs, stay)
    waiting = [*_resources(ours, theirs, verdicts, bases), *_units(verdicts, {**ours.hidden, **ours.elsewhere})]
    waiting += _tree(ours, theirs, verdicts)
    return Decision(creates, create_plan, verdicts, tuple(waiting), _retired(ours, theirs, verdicts, bases))


def _withdrawn(ours: Ours, theirs: Theirs, bases: Mapping[Unit, Pair]) -> Decision:
    leaving = ours.refused == WRONG_CHART
    wanted = (Place.PRESENT, Place.VOID, Place.GONE) if leaving else (Place.PRESENT, Place.VOID)
    there = tuple(key for key, place in sorted(theirs.places.items()) if place in wanted)
    if ours.retract != "leave":
        hidden = [
            Waiting(str(place), local_id, "", "no_longer_disclosed")
            for (_, local_id), place in sorted(theirs.places.items())
            if place is Place.UNREADABLE
        ]
        return Decision(waiting=(*hidden, *_not_put_back(there, ours, theirs, bases)), retire=there)
    standing = [key for key in there if theirs.place(*key) is not Place.GONE and holds_ours(key, ours, theirs, bases)]
    if leaving:  # each is named: somebody at the EHR has to take them out of that chart
        stay = tuple(Waiting("retract", key[1], key[0], WRONG_CHART) for key in standing)
        return Decision(waiting=stay, retire=tuple(key for key in there if key not in standing))
    return Decision(waiting=(Waiting("retract", ours.plan_id, "", ours.refused or ""),) if standing else ())


def _not_put_back(keys: Iterable[Key], ours: Ours, theirs: Theirs, bases: Mapping[Unit, Pair]) -> tuple[Waiting, ...]:
    """Return an item for each value of ours that stays since nobody knows what the EHR had in its place."""
    return tuple(
        Waiting("retract", unit.owner, unit.name, "own_value_not_known")
        for key in keys
        for unit in not_put_back(key, ours, theirs, bases)
    )


def _retired(
    ours: Ours, theirs: Theirs, verdicts: Mapping[Unit, Verdict], bases: Mapping[Unit, Pair]
) -> tuple[Key, ...]:
    """Return the goals to take back: sent, no longer shown, and no reference to them that the EHR changed waits."""
    if ours.retract == "leave":
        return ()
    waits = {
        goal
        for unit, verdict in verdicts.items()
        if unit.owner == ours.plan_id
        and (verdict.action in (Action.CONFLICT, Action.PROPOSE) or verdict.why in PASSING)
        for goal in named_by(unit, *_values(verdict.seen))
    }
    return tuple(
        key
        for key, place in sorted(theirs.places.items())
        if key[0] == "Goal"
        and key[1] not in ours.goals
        and key[1] not in waits
        and place in (Place.PRESENT, Place.VOID)
        and holds_ours(key, ours, theirs, bases)
    )


def _values(seen: Seen) -> list[Json]:
    pair = (seen.pair.ours, seen.pair.theirs) if seen.pair else ()
    return [value for value in (seen.ours, seen.theirs, *pair) if value is not None]


def _without_rings(verdicts: dict[Unit, Verdict], theirs: Theirs, stay: set[str]) -> dict[Unit, Verdict]:
    """Hold what would close a ring in the tree as it will stand there, whatever our own tree says (rule R5).

    A move from or to a goal of `stay` (it may not go there yet, or takes no call) is not carried out: the child is
    where it is there.
    """
    held = dict(verdicts)
    while True:
        edges = edges_of(theirs.assembled.values)
        moves = {unit.member: unit for unit, one in held.items() if _moves(unit, one, stay)}
        edges |= {child: frozenset(held[unit].seen.ours or ()) for child, unit in moves.items()}
        closing = in_a_ring(edges) & moves.keys()
        if not closing:
            return held
        for child in closing:
            held[moves[child]] = replace(held[moves[child]], action=Action.HOLD, why="would_close_a_ring")


def _moves(unit: Unit, verdict: Verdict, stay: set[str]) -> bool:
    if unit.family != "parent_map" or verdict.action is not Action.PUSH:
        return False
    return not stay.intersection([*(verdict.seen.ours or ()), *(verdict.seen.theirs or ())])


def _tree(ours: Ours, theirs: Theirs, verdicts: Mapping[Unit, Verdict]) -> list[Waiting]:
    """Return an item for each child whose place there can't be told, unless its own question says so already."""
    asked = (Action.CONFLICT, Action.PROPOSE, Action.HOLD, Action.PUSH)
    waiting = []
    for child, why in sorted(incoherent(edges_of(theirs.assembled.values)).items()):
        unit = Unit(ours.plan_id, f"parent_map:{child}")
        verdict = verdicts.get(unit)
        if unit in theirs.assembled.held or (verdict is not None and verdict.action in asked):
            continue
        mine, there = ours.visible.get(unit), theirs.assembled.values.get(unit)
        waiting.append(Waiting("tree", unit.owner, unit.name, why, None, mine, there))
    return waiting


def _seen(unit: Unit, ours: Ours, theirs: Theirs, bases: Mapping[Unit, Pair], doubtful: frozenset[Key]) -> Seen | None:
    """Return the unit as both sides have it, or `None` where it is not judged now.

    A goal that the connection may no longer see keeps its own units as they are there; a resource that is still to be
    created carries its units with it.
    """
    pair = bases.get(unit)
    mine, there = ours.visible.get(unit, put_back(unit, ours, bases)), theirs.assembled.values.get(unit)
    if unit.owner != ours.plan_id and unit.owner not in ours.goals:
        return None
    held = theirs.assembled.held.get(unit)
    if unit.family == "parent_map":
        return _child(unit, ours, theirs, pair, doubtful)
    places = {theirs.place(*one) for one in carriers(ours.plan_id, unit)}
    elsewhere = unit in ours.elsewhere
    if pair is None and not elsewhere and Place.ABSENT in places and unit.family != "relations":
        return None
    for place in _DEAD:
        if place in places:
            held = held or f"resource_{place}"
    return Seen(
        unit=unit,
        pair=pair,
        ours=mine,
        theirs=there,
        rev=ours.revs.get(unit, 0),
        hidden=unit in ours.hidden,
        born_there=unit in theirs.assembled.born_there or unit in ours.born_there,
        elsewhere=elsewhere,
        kept=ours.elsewhere.get(unit),
        held=held,
    )


def _child(unit: Unit, ours: Ours, theirs: Theirs, pair: Pair | None, doubtful: frozenset[Key]) -> Seen:
    """Return a child's place in the tree as both sides have it.

    The edges of a parent that is gone, void (here or there) or unreadable are unknown, not removed: they count on
    neither side, and the child is judged by those that are left (rule R13). One that was moved to them alone waits.
    """
    dead = {goal for (kind, goal), place in theirs.places.items() if kind == "Goal" and place in _DEAD} | ours.void
    mine, shown = ours.visible.get(unit), theirs.assembled.values.get(unit)
    there = living(shown, dead)
    held = theirs.assembled.held.get(unit)
    if theirs.place("Goal", unit.member) is Place.GONE and unit not in ours.hidden:
        held = held or "resource_gone"
    if set(mine or ()) & dead and (pair is None or not same_value(mine, pair.ours)):
        held = held or "parent_is_not_there"
    astray = {*theirs.under_void.get(unit.member, ()), *(shown or ())}.difference(pair.theirs or () if pair else ())
    if there is None and astray and unit not in ours.hidden:  # that is no place, and not the top either
        there, held = sorted(astray), held or "parent_is_not_there"
    values = (mine, there, pair and pair.ours, pair and pair.theirs)
    if doubtful.intersection(carriers(ours.plan_id, unit, *values)):
        held = held or "in_doubt"
    return Seen(
        unit=unit,
        pair=pair and Pair(pair.ours, living(pair.theirs, dead), pair.rev),
        ours=mine,
        theirs=there,
        rev=ours.revs.get(unit, 0),
        hidden=unit in ours.hidden,
        elsewhere=unit in ours.elsewhere,
        kept=ours.elsewhere.get(unit),
        held=held,
    )


def _resources(
    ours: Ours, theirs: Theirs, verdicts: Mapping[Unit, Verdict], bases: Mapping[Unit, Pair]
) -> list[Waiting]:
    """Return what waits because of a whole resource: withheld after it was sent, gone, void or unreadable there."""
    waiting: list[Waiting] = []
    for (kind, local_id), place in sorted(theirs.places.items()):
        if kind == "Goal" and local_id not in ours.goals and place is not Place.UNREADABLE:
            if place in (Place.PRESENT, Place.VOID):
                key: Key = (kind, local_id)
                if ours.retract != "leave":
                    waiting += _not_put_back([key], ours, theirs, bases)
                elif holds_ours(key, ours, theirs, bases):
                    waiting.append(Waiting("retract", local_id, "", "no_longer_disclosed"))
            continue
        match place:
            case Place.GONE | Place.VOID | Place.UNREADABLE:
                moved = {
                    unit.name: verdict.seen.ours
                    for unit, verdict in verdicts.items()
                    if verdict.action is Action.HOLD
                    and _ours_moved(verdict.seen)
                    and (kind, local_id) in carriers(ours.plan_id, unit, verdict.seen.ours, verdict.seen.theirs)
                }
                why = "changed_here_meanwhile" if moved else "unchanged_here"
                waiting.append(Waiting(str(place), local_id, "", why, ours=moved or None))
            case Place.ABSENT | Place.PRESENT:
                pass
            case _:
                assert_never(place)
    return waiting


def _ours_moved(seen: Seen) -> bool:
    return seen.pair is None or seen.rev > seen.pair.rev


def _units(verdicts: Mapping[Unit, Verdict], unseen: Mapping[Unit, Json]) -> list[Waiting]:
    waiting = []
    for unit, verdict in verdicts.items():
        kind = {Action.CONFLICT: "conflict", Action.PROPOSE: "proposal", Action.HOLD: "held"}.get(verdict.action)
        if kind is None or (kind == "held" and verdict.why.startswith(("resource_", NOT_RELEASED, *PASSING))):
            continue  # one item stands for the whole resource; or the next run knows
        seen = verdict.seen
        base = None if seen.pair is None else seen.pair.ours
        ours = unseen.get(unit, seen.ours)  # the inbox is our own: it shows both values
        waiting.append(Waiting(kind, unit.owner, unit.name, verdict.why, base, ours, seen.theirs))
    return waiting
