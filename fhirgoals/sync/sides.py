"""Both sides of one plan at one connection as values, as `decide` takes them (design 5.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from fhirgoals.domain.units import Json, Unit, Values
from fhirgoals.mappers.assemble import Assembled

Kind: TypeAlias = Literal["Goal", "CarePlan"]
Retract: TypeAlias = Literal["leave", "blank", "entered_in_error", "delete"]
"""What becomes of a resource that was sent and may no longer go (design 5.10)."""

Key: TypeAlias = tuple[Kind, str]
"""A resource of ours: its kind and our id."""

WRONG_CHART = "wrong_chart"
"""Why nothing goes to a chart and what stands there is taken back: the client is being unlinked from it."""

REQUIRED = ("text", "status")
"""Units without which a Goal can't stand."""

REQUIRED_OF_PLAN = ("plan_status",)
"""Units without which a CarePlan can't stand."""


class Place(StrEnum):
    """How one resource stands at the EHR."""

    ABSENT = "absent"
    """Never sent: there is no link."""
    PRESENT = "present"
    GONE = "gone"
    """It was there and a direct read says it is no longer."""
    VOID = "void"
    """Someone at the EHR marked it entered-in-error."""
    UNREADABLE = "unreadable"
    """Forbidden, quarantined, or with a modifier that we don't know."""


@dataclass(frozen=True)
class Ours:
    """Our side of one plan as the connection may see it.

    `visible` are the disclosed and linked units, `hidden` what we have and it may not see, `revs` the
    revision that last touched each unit, `goals` the goals that go there, depth first. `born_there` are members that
    came from this connection and go back only to it; `elsewhere` are units whose value came from another EHR that this
    one is not told of, with our value (they are not in `visible`). `refused` is why nothing goes there at all, if so;
    `void` are goals that we marked entered-in-error. `retract` is what becomes of a resource that was sent and may no
    longer be there. `unreleased` are units whose last edit may not go there yet. `born` are goals that were born there,
    `own` what this EHR itself last wrote of a unit, looked up where something is to be taken back.
    """

    plan_id: str
    rev: int
    visible: Values
    hidden: Mapping[Unit, Json] = field(default_factory=dict)
    revs: Mapping[Unit, int] = field(default_factory=dict)
    goals: tuple[str, ...] = ()
    born_there: frozenset[Unit] = frozenset()
    elsewhere: Mapping[Unit, Json] = field(default_factory=dict)
    refused: str | None = None
    retract: Retract = "leave"
    void: frozenset[str] = frozenset()
    unreleased: frozenset[Unit] = frozenset()
    born: frozenset[str] = frozenset()
    own: Values = field(default_factory=dict)

    @property
    def released(self) -> Values:
        """The units that may be sent as they are, where something is new there."""
        return {unit: value for unit, value in self.visible.items() if unit not in self.unreleased}


@dataclass(frozen=True)
class Theirs:
    """The EHR's side: its units, and how each resource of ours stands there, by kind and our id.

    `under_void` are the void goals that list a child there, by the child: their edges do not count.
    """

    assembled: Assembled
    places: Mapping[tuple[Kind, str], Place]
    under_void: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def place(self, kind: Kind, local_id: str) -> Place:
        """Return how a resource stands there; one that was never linked is absent."""
        return self.places.get((kind, local_id), Place.ABSENT)


def carriers(plan_id: str, unit: Unit, *values: Json) -> tuple[Key, ...]:
    """Return the resources that a unit stands on; a child's parent map stands on all its parents, old and new."""
    if unit.owner != plan_id:
        return (("Goal", unit.owner),)
    match unit.family:
        case "parent_map":
            parents = {parent for value in values for parent in value or ()}
            return tuple(("Goal", parent) for parent in sorted(parents))
        case "relations":
            return (("Goal", unit.member.partition("|")[0]),)
        case _:
            return (("CarePlan", plan_id),)


def named_by(unit: Unit, *values: Json) -> set[str]:
    """Return the goals that a unit of the plan refers to with those values."""
    match unit.family:
        case "parent_map":
            return {unit.member, *(parent for value in values for parent in value or ())}
        case "relations":
            start, _kind, end = unit.member.split("|")
            return {start, end}
        case "membership":
            return {unit.member}
        case "steps":
            return {value["goal"] for value in values if isinstance(value, dict) and "goal" in value}
        case _:
            return set()
