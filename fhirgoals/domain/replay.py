"""Replays revisions: the plan that the first version became by the changes of each saved edit, in their order."""

from __future__ import annotations

from collections.abc import Iterable

from fhirgoals.domain.changes import NotReplayable, with_change
from fhirgoals.domain.records import Plan, Revision

__all__ = ["NotReplayable", "replay"]


def replay(first: Plan, revisions: Iterable[Revision]) -> Plan:
    """Return what a plan became by the changes of those saved edits.

    Raises `NotReplayable` where a change does not find what it says it changed: an edit is missing, or out of order.
    """
    plan = first
    for revision in revisions:
        for change in revision.changes:
            plan = with_change(plan, change)
    return plan
