"""Two looks before something counts as taken back that nobody saw taken back: a 404 or 410 may pass (vendors, 5a).

What may not be there any more and is not to be seen there is pending: its plan stays marked and an item says so. A
later run, an overlap after the first that saw nothing, settles it if it sees nothing either; what is there again by
then is taken back as ever. A delete of ours that found nothing, or was never answered, is forgotten in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhirgoals.domain.units import Json, Unit
from fhirgoals.store.intents import Intent
from fhirgoals.store.tx import Tx
from fhirgoals.sync.decide import Place
from fhirgoals.sync.refusals import REFUSED_AGAIN
from fhirgoals.sync.view import Key, View, may_be_there

NOT_SEEN = "not_seen_taken_back"
"""Why a person is told of something that may not be there any more and that one look did not show."""

NOTHING_THERE = (404, 410)
"""Answers to a delete that do not say that it was done."""

Rows = dict[str, list[Json]]
"""What was not seen, by kind and our id: since when, and whether a delete of ours went out to it."""


@dataclass(frozen=True)
class Looks:
    """What a reading shows of resources that are not there, with what earlier runs saw.

    `once` may not be there any more, and nobody saw yet that it is taken back. `for_good` are those that were deleted
    by us: two looks say so. `again` is how long after this reading the plan is to be read again, if it is.
    """

    once: frozenset[Key] = frozenset()
    for_good: frozenset[Key] = frozenset()
    rows: Rows | None = None
    again: timedelta | None = None


def looks(view: View, places: Mapping[Key, Place], before: Json, now: datetime) -> Looks:
    """Return what follows from how each resource stands; `before` are the rows that earlier runs left."""
    if view.unfiled:
        return Looks()  # nothing of it was ever sent
    known = before if isinstance(before, dict) else {}
    overlap = timedelta(seconds=view.config.overlap_s)
    once, for_good, rows, again = set(), set(), Rows(), set()
    for key, place in places.items():
        shown = may_be_there(view, key, now.date())
        row = known.get(_name(key))
        deleted = row is not None and row[1]
        if place is Place.UNREADABLE and not shown:
            again.add(REFUSED_AGAIN)
        if place is not Place.GONE or (not deleted and (shown or _was_taken_back(view, key))):
            continue
        since = now if row is None else datetime.fromisoformat(row[0])
        rows[_name(key)] = [since.isoformat(), deleted]
        if row is not None and since + overlap <= now:
            for_good |= {key} if deleted else set()
            continue
        again.add(overlap)
        once |= set() if shown else {key}
    return Looks(frozenset(once), frozenset(for_good), rows, min(again, default=None))


def _was_taken_back(view: View, key: Key) -> bool:
    """Tell whether it was seen taken back before it went; a chart that is left is looked at anew."""
    link = view.links.get(key)
    return not view.leaving and (link is None or link.state == "withheld")


def rows_of(tx: Tx, connection: str, plan_id: str) -> Json:
    """Return what earlier runs did not see."""
    return tx.cursors.get(connection, _scope(plan_id))


def keep_looks(tx: Tx, view: View, seen: Looks, at: datetime) -> None:
    """Keep what was not seen, and mark the plan for the next look; what a call of this run met since stays."""
    known = _known(tx, view)
    rows = {name: known.get(name, row) for name, row in (seen.rows or {}).items()}
    if rows != known:
        tx.cursors.set(view.connection, _scope(view.plan.id), {**rows}, at)
    if seen.again is not None:
        tx.dirty.mark(view.plan.id, view.connection, why="retract", at=at, not_before=at + seen.again)


def met_nothing(tx: Tx, view: View, intent: Intent, at: datetime) -> None:
    """Close a delete of which nothing is seen there, as the first look at that."""
    tx.intents.close(intent.id)
    name = _name((intent.kind, intent.local_id))
    known = _known(tx, view)
    since = known.get(name, [at.isoformat()])[0]
    tx.cursors.set(view.connection, _scope(view.plan.id), {**known, name: [since, True]}, at)


def forget(tx: Tx, view: View, key: Key, units: Collection[Unit], at: datetime) -> None:
    """Forget a resource that is not ours any more: link, pairs, calls, and what was not seen of it."""
    tx.links.delete(view.connection, *key)
    tx.bases.drop(view.connection, view.plan.id, units)
    for one in tx.intents.for_plan(view.connection, view.plan.id):
        if (one.kind, one.local_id) == key:
            tx.intents.close(one.id)
    known = _known(tx, view)
    if known.pop(_name(key), None) is not None:
        tx.cursors.set(view.connection, _scope(view.plan.id), {**known}, at)
    tx.audit.write(
        at=at,
        actor="sync",
        action="delete",
        connection=view.connection,
        plan_id=view.plan.id,
        detail={"resource": key[0], "units": len(units)},
    )


def _known(tx: Tx, view: View) -> Rows:
    kept = rows_of(tx, view.connection, view.plan.id)
    return dict(kept) if isinstance(kept, dict) else {}


def _name(key: Key) -> str:
    return f"{key[0]}/{key[1]}"


def _scope(plan_id: str) -> str:
    return f"gone:{plan_id}"
