"""Lets the parts of a step follow the step: one question for a step that stands on one side only, not one for each part.

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
                if member is None or member.action not in (Action.PUSH, Action.PULL):
                    continue
                result[unit] = replace(verdict, action=member.action, why=member.why)
                continue
        result[unit] = verdict
    return result


def _without_rings(verdicts: dict[Unit, Verdict], theirs: Theirs) -> dict[Unit, Verdict]:
    """Hold what would close a ring in the tree as it will stand there, whatever our own tree says (rule R5)."""
    held = dict(verdicts)
    while True:
        edges = edges_of(theirs.assembled.values)
        moves = {unit.member: unit for unit, one in held.items() if _moves(unit, one)}
        edges |= {child: frozenset(held[unit].seen.ours or ()) for child, unit in moves.items()}
        closing = in_a_ring(edges) & moves.keys()
        if not closing:
            return held
        for child in closing:
            held[moves[child]] = replace(held[moves[child]], action=Action.HOLD, why="would_close_a_ring")


def _moves(unit: Unit, verdict: Verdict) -> bool:
    return unit.family == "parent_map" and verdict.action is Action.PUSH


def _tree(ours: Ours, theirs: Theirs, verdicts: Mapping[Unit, Verdict]) -> list[Waiting]:
    """Return an item for each child whose place there can't be told, unless its own question says so already."""
    asked = (Action.CONFLICT, Action.PROPOSE, Action.HOLD, Action.PUSH)
    waiting = []
    for child, why in sorted(incoherent(edges_of(theirs.assembled.values)).items()):
        unit = Unit(ours.plan_id, f"parent_map:{child}")
        verdict = verdicts.get(unit)
        if unit in theirs.assembled.held or (verdict is not None and verdict.action in asked):
            continue
        mine, there = ours.visible.get(unit), theirs.assembled.values.get(unit)
        waiting.append(Waiting("tree", unit.owner, unit.name, why, None, mine, there))
    return waiting


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
