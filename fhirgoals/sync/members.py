"""Lets the parts of a step follow the step: one question for a step that stands on one side only, not one for each.

Pure; part of `decide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fhirgoals.domain.units import Unit, Values
from fhirgoals.sync.merge import Action, Verdict, changed

PART_CHANGED = "part_changed_there"
"""Why a step that goes here is asked about: the EHR changed a part of it meanwhile."""


def with_their_members(verdicts: Mapping[Unit, Verdict], ours: Values, theirs: Values) -> dict[Unit, Verdict]:
    """Let the parts of a step that stands on one side only follow the step: one question, not one for each part."""
    result: dict[Unit, Verdict] = {}
    verdicts = _asked_before_they_go(verdicts)
    for unit, verdict in verdicts.items():
        if unit.family.startswith("step:<id>."):
            whole = Unit(unit.owner, f"steps:{unit.member}")
            one_sided = (whole in ours) != (whole in theirs)
            if one_sided and verdict.action is not Action.SETTLE:
                member = verdicts.get(whole)
                if member is not None and member.why == PART_CHANGED and changed(verdict.seen)[1]:
                    result[unit] = replace(verdict, action=Action.CONFLICT, why=PART_CHANGED)
                    continue
                if member is None or member.action not in (Action.PUSH, Action.PULL, Action.IGNORE):
                    continue
                result[unit] = replace(verdict, action=member.action, why=member.why)
                continue
        result[unit] = verdict
    return result


def _asked_before_they_go(verdicts: Mapping[Unit, Verdict]) -> dict[Unit, Verdict]:
    """Ask about a step that is to be taken out there, where the EHR changed a part of it that nobody here has seen."""
    found = dict(verdicts)
    for unit, verdict in verdicts.items():
        whole = Unit(unit.owner, f"steps:{unit.member}")
        goes = found.get(whole)
        if not unit.family.startswith("step:<id>.") or goes is None or goes.seen.ours is not None:
            continue
        if goes.action is Action.PUSH and changed(verdict.seen)[1]:
            found[whole] = replace(goes, action=Action.CONFLICT, why=PART_CHANGED)
    return found
