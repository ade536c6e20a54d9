"""One write to an EHR as a value: what is sent, what it carries, and what was there before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from fhirgoals.domain.units import Json, Unit
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.sync.own import WITHDRAWN_REV
from fhirgoals.sync.sides import Kind


@dataclass(frozen=True)
class Sent:
    """One unit that a call carries: our value, our revision of it, and whether the call completes the unit.

    A move of a child is complete when the new parent has it; taking it from the old one is only half. `left` are the
    parents agreed on that the child had left there by a move of the EHR's, which this call goes over.
    """

    ours: Json
    rev: int
    complete: bool = True
    left: tuple[str, ...] = ()


Way: TypeAlias = Literal["write", "withdraw", "delete"]


@dataclass(frozen=True)
class Call:
    """One write: create, update or delete of one resource. `before` is what was last read of it, `body` what is sent.

    `unsays` says that it takes out what tells of something that may no longer be seen there.
    `way` is `withdraw` or `delete` where the resource may no longer be there: these go only while that is so.
    `decided` is the day by whose consents it was decided; without one no write goes.
    """

    kind: Kind
    local_id: str
    body: Resource
    units: Mapping[Unit, Sent]
    resource_id: str | None = None
    etag: str | None = None
    before: Resource | None = None
    way: Way = "write"
    unsays: bool = False
    decided: date | None = None

    @property
    def key(self) -> tuple[Kind, str]:
        """The resource's kind and our id."""
        return (self.kind, self.local_id)

    @property
    def takes_back(self) -> bool:
        """Whether the resource itself is taken back, not only a reference that stands in it."""
        return self.way == "delete" or (
            self.way == "withdraw" and all(sent.rev == WITHDRAWN_REV for sent in self.units.values())
        )

    @property
    def creates(self) -> bool:
        """Whether the resource is new there."""
        return self.before is None


def forgets(units: Mapping[Unit, Sent]) -> bool:
    """Tell whether everything that is carried is taken back: such a call leaves nothing of ours in its resource."""
    return bool(units) and all(sent.rev == WITHDRAWN_REV for sent in units.values())


def describe(calls: Iterable[Call]) -> list[dict[str, Json]]:
    """Return calls as people and programs read them: method, resource and the names of the units."""
    return [
        {
            "operation": {"withdraw": "retract", "delete": "delete"}.get(
                call.way, "create" if call.creates else "update"
            ),
            "resource": call.kind,
            "id": call.local_id,
            "units": sorted({unit.name for unit in call.units}),
        }
        for call in calls
    ]
