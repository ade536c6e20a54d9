"""What one run over one connection did, in numbers and as the list of its operations."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, date, timedelta

from fhirgoals.domain.units import Json
from fhirgoals.errors import FhirgoalsError, RemoteError
from fhirgoals.sync.reconcile import Outcome
from fhirgoals.sync.release import not_sent_yet
from fhirgoals.sync.view import View


@dataclass
class Counts:
    """What a run did. Created, pushed, pulled count resources; conflicts, proposals and held count units."""

    connection: str
    read: int = 0
    created: int = 0
    pushed: int = 0
    pulled: int = 0
    conflicts: int = 0
    proposals: int = 0
    held: int = 0
    quarantined: int = 0
    requests: int = 0
    writes: int = 0
    adopted: int = 0
    rebased: int = 0
    new_items: int = 0
    unlinked: int = 0
    left_for_later: int = 0
    not_sent_yet: dict[str, int] = field(default_factory=dict)
    """How many goals, and the plan, have an edit that waits for its release; by plan."""
    not_sent_until: str | None = None
    """When the last of it may go (ISO 8601, UTC), where it waits for quiet minutes and not for a signature."""
    outside: dict[str, int] = field(default_factory=dict)
    """How many goals there are outside the connection's scope; by patient, since each of their plans sees all."""
    unanswered: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Of `problems` those that no answer of the EHR's explains."""
    notes: list[str] = field(default_factory=list)
    """What the operator should know of the EHR; nothing failed by it."""
    operations: list[dict[str, Json]] = field(default_factory=list)
    retracted: list[dict[str, Json]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Add what one look at one plan did."""
        for name in ("created", "pushed", "pulled", "adopted"):
            setattr(self, name, getattr(self, name) + getattr(outcome, name))
        self.operations.extend(outcome.operations)
        self.retracted.extend(outcome.retracted)
        self.notes.extend(one for one in outcome.notes if one not in self.notes)

    def add_state(self, outcome: Outcome) -> None:
        """Add how one plan stands after its last look."""
        for name in ("read", "conflicts", "proposals", "held", "quarantined", "new_items"):
            setattr(self, name, getattr(self, name) + getattr(outcome, name))

    def fail(self, plan_id: str, error: FhirgoalsError) -> None:
        """Note that a plan's run came to no end."""
        self.unanswered.append(plan_id)
        self.problems.append(str(error))
        if not isinstance(error, RemoteError):
            self.broken.append(str(error))

    def note_release(self, view: View, on: date) -> None:
        """Note what of a plan is not released yet."""
        if waiting := not_sent_yet(view, on):
            self.not_sent_yet[view.plan.id] = len(waiting)
            if view.release_at is not None:
                due = (view.release_at.astimezone(UTC) + _PART).isoformat(timespec="minutes")
                self.not_sent_until = max(self.not_sent_until or due, due)

    @property
    def outside_scope(self) -> int:
        """How many goals that were born there are not taken since they are outside the connection's scope."""
        return sum(self.outside.values())

    def as_json(self) -> dict[str, Json]:
        """Return the counts as `sync --json` prints them."""
        shown = asdict(self)
        del shown["operations"], shown["outside"], shown["broken"]
        return shown | {"outside_scope": self.outside_scope}


_PART = timedelta(minutes=1, microseconds=-1)
"""A part of a minute counts as one: what is said to go from then on goes."""
