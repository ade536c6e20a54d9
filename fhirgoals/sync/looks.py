"""What a run reads a second time before it judges it, and what it remembers of the first: moves, and what is gone.

`tree` and `gone` say what is to be looked at again; this keeps it between runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from fhirgoals.domain.units import Json
from fhirgoals.store.tx import Tx
from fhirgoals.sync.changes import Reading
from fhirgoals.sync.context import Context
from fhirgoals.sync.gone import Looks, keep_looks, looks, rows_of
from fhirgoals.sync.tree import half_moved, second_look
from fhirgoals.sync.view import View, there_of


@dataclass(frozen=True)
class Seen:
    """What this reading leaves for the next run: half-moved children, and what was not there."""

    tree: dict[str, list[Json]]
    gone: Looks


async def earlier(context: Context, plan_id: str) -> Json:
    """Return what runs before this one did not see of a plan: it counts for all of this run's readings."""
    return await context.store.read(lambda tx: rows_of(tx, context.connection, plan_id))


async def look_again(context: Context, view: View, reading: Reading, before: Json) -> tuple[View, Seen]:
    """Return the view with what is to be read once more before it is judged (rule R9), and with what is gone.

    `before` is what `earlier` returned when the run took the plan up.
    """
    there, now = there_of(view, reading.found, reading.missing), context.clock()
    half = half_moved(there.theirs.assembled.values, view.bases)
    kept = await context.store.read(lambda tx: tx.cursors.get(context.connection, _tree_scope(view.plan.id)))
    again, remembered = second_look(half, kept, now, view.config.overlap_s)
    gone = looks(view, there.theirs.places, before, now)
    if again or gone.once or gone.for_good:
        view = replace(view, read_again=again, gone_once=gone.once, gone_for_good=gone.for_good)
    return view, Seen(remembered, gone)


async def remember(context: Context, view: View, seen: Seen) -> None:
    """Keep what was read so, and mark the plan for the next reading."""
    now, plan_id = context.clock(), view.plan.id
    later = now + timedelta(seconds=view.config.overlap_s)

    def work(tx: Tx) -> None:
        if (tx.cursors.get(context.connection, _tree_scope(plan_id)) or {}) != seen.tree:
            tree: Json = seen.tree
            tx.cursors.set(context.connection, _tree_scope(plan_id), tree, now)
        if view.read_again:
            tx.dirty.mark(plan_id, context.connection, why="tree", at=now, not_before=later)
        keep_looks(tx, view, seen.gone, now)

    await context.store.write(work)


def _tree_scope(plan_id: str) -> str:
    return f"tree:{plan_id}"
