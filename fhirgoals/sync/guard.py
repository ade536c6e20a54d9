"""Stops a connection on which too much would be taken away or changed within a day, in either direction (design 5.11).

Pure but for `so_far`, which reads the audit. A person looks and clears it with a reason; the clearance holds for one
run of that connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from fhirgoals.domain.units import Json
from fhirgoals.store.tx import Tx
from fhirgoals.sync.decide import Decision, Key, carriers
from fhirgoals.sync.merge import Action, Verdict

WINDOW = timedelta(hours=24)
FEW = 5
"""Removals that are never too many."""
SHARE_OF_REMOVALS = 0.10
MANY_LINKS = 50
"""With fewer links than these, the share of changed ones says nothing."""
SHARE_OF_CHANGES = 0.50

PASSED = "guard_pass"
"""The audit's line for what was let through, written before it is done."""

CLEARED = "guard"
"""The scope under which a clearance is kept until a run has used it."""


@dataclass(frozen=True)
class Tally:
    """What is or would be done: the names of what is taken away, and of the resources that are changed.

    Names, not counts: what is tried again counts once.
    """

    removed: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.removed | other.removed, self.changed | other.changed)

    def __bool__(self) -> bool:
        return bool(self.removed or self.changed)


@dataclass(frozen=True)
class Stop:
    """Why the guard stops a plan, and with which figures: words for a person."""

    why: str
    found: int
    limit: int


def tally(decision: Decision, plan_id: str) -> Tally:
    """Return what a decision would take away and change, on our side and there.

    What is taken away are resources, also by marking them entered-in-error, and members of lists that stand; the steps
    and references of a goal that goes are not counted again.
    """
    removed = {_name(key) for key in decision.retire}
    changed: set[Key] = set(decision.retire)
    for unit, verdict in decision.verdicts.items():
        if verdict.action not in (Action.PUSH, Action.PULL):
            continue
        seen = verdict.seen
        changed.update(carriers(plan_id, unit, seen.ours, seen.theirs))
        if _voids(verdict):
            removed.add(_name(("Goal", unit.owner)))
        elif _removes(verdict):
            removed.add(f"{unit.owner}/{unit.name}")
    changed -= {("Goal", one) for one in decision.creates}  # what is new there changes nothing that stood
    if decision.create_plan:
        changed.discard(("CarePlan", plan_id))
    return Tally(frozenset(removed), frozenset(map(_name, changed)))


def _name(key: Key) -> str:
    return "/".join(key)


def _voids(verdict: Verdict) -> bool:
    """Tell whether a goal is marked entered-in-error: the only delete there is (design 3)."""
    seen = verdict.seen
    left, other = (seen.ours, seen.theirs) if verdict.action is Action.PUSH else (seen.theirs, seen.ours)
    return seen.unit.name == "status" and _is_void(left) and other is not None and not _is_void(other)


def _is_void(status: Json) -> bool:
    return isinstance(status, dict) and status.get("lifecycle") == "entered_in_error"


def _removes(verdict: Verdict) -> bool:
    seen = verdict.seen
    if seen.unit.family not in _MEMBERS or (verdict.action is Action.PUSH and seen.hidden):
        return False
    left, other = (seen.ours, seen.theirs) if verdict.action is Action.PUSH else (seen.theirs, seen.ours)
    return left is None and other is not None


_MEMBERS = ("note:<id>", "target:<id>", "steps", "membership", "intervention:<id>", "problems", "addresses")


def stops(planned: Tally, before: Tally, links: int) -> Stop | None:
    """Return why so much is not done, or `None`; `before` is what was done in the last 24 hours."""
    both = planned + before
    removable, changeable = limits(links)
    if planned.removed and len(both.removed) > removable:
        return Stop("too_many_removals", len(both.removed), removable)
    if changeable is not None and planned.changed and len(both.changed) > changeable:
        return Stop("too_many_changes", len(both.changed), changeable)
    return None


def limits(links: int) -> tuple[int, int | None]:
    """Return how many may be taken away and changed within a day where so many resources are linked.

    `None`: with so few of them, changes have no limit.
    """
    changeable = int(SHARE_OF_CHANGES * links) if links >= MANY_LINKS else None
    return max(FEW, int(SHARE_OF_REMOVALS * links)), changeable


def so_far(tx: Tx, connection: str, now: datetime) -> tuple[Tally, int, bool]:
    """Return what was done on a connection in the last 24 hours, how many resources are linked, and whether a person
    cleared the guard for the next run."""
    done = Tally()
    for row in tx.audit.list(connection=connection, since=now - WINDOW):
        if row.action == PASSED and isinstance(row.detail, dict):
            removed, changed = row.detail.get("removed"), row.detail.get("changed")
            if isinstance(removed, list) and isinstance(changed, list):
                done += Tally(frozenset(map(str, removed)), frozenset(map(str, changed)))
    cleared = tx.cursors.get(connection, CLEARED)
    return done, tx.links.count(connection), bool(cleared)


def passes(tx: Tx, connection: str, plan_id: str, planned: Tally, now: datetime) -> Stop | None:
    """Let a plan's writes through and write that down, or return why not. Call before the first of them."""
    if not planned:
        return None
    before, links, cleared = so_far(tx, connection, now)
    stop = None if cleared else stops(planned, before, links)
    if stop is None:
        detail = {"removed": sorted(planned.removed), "changed": sorted(planned.changed)}
        tx.audit.write(at=now, actor="sync", action=PASSED, connection=connection, plan_id=plan_id, detail=detail)
    return stop


def used(tx: Tx, connection: str, at: datetime) -> None:
    """End a clearance: a run has used it."""
    if tx.cursors.get(connection, CLEARED):
        tx.cursors.set(connection, CLEARED, {}, at)


def cleared_by(tx: Tx, connection: str) -> str | None:
    """Return who cleared the guard for the next run, or `None` where nobody did."""
    kept = tx.cursors.get(connection, CLEARED)
    return str(kept["by"]) if isinstance(kept, dict) and "by" in kept else None


def clear(tx: Tx, connection: str, *, by: str, at: datetime, reason: str | None = None) -> None:
    """Let the next run of a connection pass: a person looked at what it would do. Call inside a transaction.

    `reason` is one word, as the audit takes it.
    """
    tx.cursors.set(connection, CLEARED, {"by": by}, at)
    tx.audit.write(at=at, actor=by, action="guard_clear", connection=connection, detail={"reason": reason})
