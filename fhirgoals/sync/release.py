"""Tells how far a plan is released to a connection: up to which of its revisions edits may go there (design 5.9).

`on_sign`: up to what the last signed review covers. A review covers the plan as it stood when the first of its
signatures was put on record, or on that signature's day where this is earlier; it counts once nobody's signature is
missing. A plan that came into the store with a signed review is covered as it came.
`quiet_minutes`: up to the last edit here after which nobody edited for so long. What an EHR wrote does not count. What
may be seen there waits as well where that is new; what may be seen no more is taken back at once, in any way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from fhirgoals.domain.lifecycle import review_state
from fhirgoals.domain.records import Review
from fhirgoals.domain.reviews import is_signed
from fhirgoals.domain.units import same_value
from fhirgoals.store.tx import Tx
from fhirgoals.sync.view import View, disclosed, ours_of

RELEASE = "release"
"""Why a plan is marked for the moment at which its quiet minutes are over."""


def with_release(tx: Tx, view: View, at: datetime) -> View:
    """Return the view with the last revision of ours that may go to its connection now; `None` where all may."""
    match view.config.release:
        case "on_sign" if not view.unfiled:
            return replace(view, released=signed_revision(tx, view, at.date()))
        case "quiet_minutes" if not view.unfiled:
            return _with_rest(tx, view, at)
        case "on_sign" | "quiet_minutes" | "on_save":
            return view


def not_sent_yet(view: View, on: date) -> frozenset[str]:
    """Return the ids of the goals, and of the plan, of which an edit waits for its release."""
    if not view.unreleased:
        return frozenset()
    ours = ours_of(view, on)
    visible, found = ours.visible, set()
    for unit in view.unreleased:
        if unit.owner not in (view.plan.id, *ours.goals):
            continue  # it is taken back, whatever was edited in it
        pair = view.bases.get(unit)
        shown = unit in visible or (pair is not None and pair.ours is not None)
        if shown and not same_value(visible.get(unit), pair.ours if pair else None):
            found.add(unit.owner)
    return frozenset(found)


def mark_release(tx: Tx, view: View, at: datetime) -> None:
    """Mark a plan of which something waits for its quiet minutes for the moment at which they are over.

    It is a mark of its own: one of an edit is due at once, since what is taken back waits for nothing.
    """
    if view.unreleased and view.release_at is not None:
        tx.dirty.mark(view.plan.id, view.connection, why=RELEASE, at=at, not_before=view.release_at)


def _with_rest(tx: Tx, view: View, at: datetime) -> View:
    """Return the view with the last revision before the edits that nobody has let rest yet, and when those may go."""
    quiet = timedelta(minutes=view.config.quiet_minutes)
    released, due, later = None, None, at
    for rev, saved in tx.plans.saved_by_people(view.plan.id):
        if later - saved >= quiet:
            break
        released, later, due = rev - 1, saved, due or saved + quiet
    if released is None:
        return view
    unshared = _unshared(tx, view, released, at.date())
    return replace(view, released=released, release_at=due, unshared=unshared)


def _unshared(tx: Tx, view: View, released: int, on: date) -> frozenset[str]:
    """Return the ids of the goals, and of the plan, that may be seen there only by an edit that is not released yet."""
    then = tx.plans.at_revision(view.plan.id, released) if released else None
    seen = disclosed(replace(view, plan=then), on) if then is not None else None
    taken_back = {key for key, link in view.links.items() if link.state == "withheld"}
    new = {*disclosed(view, on).goals} - {*(seen.goals if seen else ())}
    found = {goal for goal in new if ("Goal", goal) not in view.links.keys() - taken_back}
    none_before = seen is None or seen.plan is None
    return frozenset(found | ({view.plan.id} if none_before and found else set()))


def signed_revision(tx: Tx, view: View, on: date) -> int:
    """Return the last revision that a signed review covers; 0 where there is none."""
    plan_id, covered = view.plan.id, 0
    signed = {one.id for one in view.plan.reviews if is_signed(view.plan, one, on)}
    while signed:
        # A signature is final: the revision by which each of them had its first one is found by halves.
        low, high = 1, view.rev
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if _begun(tx, plan_id, middle, signed) == signed else (middle + 1, high)
        last = signed - _begun(tx, plan_id, low - 1, signed) if low > 1 else signed
        reviews = [one for one in view.plan.reviews if one.id in last]
        up_to = low if low == 1 else min(low, tx.plans.last_saved(plan_id, _first_day(reviews)) or 0)
        covered = max(covered, up_to)
        if up_to == low:
            break  # every other one was signed earlier
        signed -= last
    return covered


def _begun(tx: Tx, plan_id: str, rev: int, ids: set[str]) -> set[str]:
    """Return those of the reviews that had a signature at a revision."""
    return {one.id for one in tx.plans.reviews_at(plan_id, rev) if review_state(one) == "signed"} & ids


def _first_day(reviews: Sequence[Review]) -> date:
    return min(line.date for one in reviews for line in one.signatures if line.date is not None)
