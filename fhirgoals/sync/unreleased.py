"""Holds back what is not released: an edit here goes to the EHR only once it may (release, design 5.9).

Pure; part of `decide`. Only what would be sent is held: what the EHR did is judged as ever, and what tells of something
that may no longer be seen there is taken out at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from fhirgoals.domain.units import Json, Unit, same_value
from fhirgoals.sync.merge import Action, Seen, Verdict

NOT_RELEASED = "not_released"
"""Why a unit is not sent yet: nobody is asked, its release sends it."""


def before_release(seen: Seen, unreleased: Collection[Unit]) -> Seen:
    """Return a unit as one that we did not touch, where an unreleased edit was taken back: that leaves no trace."""
    pair = seen.pair
    if pair is None or pair.rev < 0 or seen.unit not in unreleased or not same_value(seen.ours, pair.ours):
        return seen
    return replace(seen, rev=min(seen.rev, pair.rev))


def held_back(
    verdicts: Mapping[Unit, Verdict], unreleased: Collection[Unit], goals: Collection[str]
) -> dict[Unit, Verdict]:
    """Return the verdicts with what is not released held; `goals` are those that the connection may see.

    Of a child's place there only what names a goal that may not be seen any more is taken out; its new place waits.
    """
    return {unit: _held(verdict, goals) if unit in unreleased else verdict for unit, verdict in verdicts.items()}


def _held(verdict: Verdict, goals: Collection[str]) -> Verdict:
    seen = verdict.seen
    if verdict.action is not Action.PUSH:
        return verdict
    if seen.unit.family == "parent_map":
        left = _still_seen(seen, goals)
        if not same_value(left, seen.theirs):
            return replace(verdict, seen=replace(seen, ours=left))
    elif seen.hidden:
        return verdict
    return replace(verdict, action=Action.HOLD, why=NOT_RELEASED)


def _still_seen(seen: Seen, goals: Collection[str]) -> Json:
    """Return a child's parents there without those that may no longer be seen; none where the child may not."""
    if seen.unit.member not in goals:
        return None
    return [parent for parent in seen.theirs or () if parent in goals] or None
