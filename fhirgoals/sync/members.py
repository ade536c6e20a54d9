"""Lets the parts of a step follow the step: one question for a step that stands on one side only, not one for each.

Pure; part of `decide`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from fhirgoals.domain.units import STEP_PARTS, Pair, Unit, Values
from fhirgoals.sync.merge import Action, Verdict, changed

PART_CHANGED = "part_changed_there"
"""Why a step that goes here is asked about: the EHR changed a part of it meanwhile."""

NOT_THERE = "step_is_not_there"
"""Why a part of a step can't be delivered: the step does not stand there and does not go there now."""


def edited_as_one(
    revs: Mapping[Unit, int],
    rev: int,
    ours: Values,
    theirs: Values,
    hidden: Collection[Unit],
    bases: Mapping[Unit, Pair],
) -> dict[Unit, int]:
    """Return the last edits of units; of a step that does not stand there the edit of a part is one of the whole.

    So a step that the EHR took out is changed on our side too with an edit of a part here, and goes back whole if it
    goes at all. Not one that is void here, nor one whose words, being `hidden`, may not go there. `rev` is our
    revision: such a step is edited after all that was agreed on.
    """
    found = dict(revs)
    for whole in ours:
        if whole.family != "steps" or whole in theirs or _is_void(whole, ours) or _part(whole, "text") in hidden:
            continue
        shown = [unit for unit in (whole, *_parts(whole)) if unit not in hidden]
        if any(unit in bases and revs.get(unit, 0) > bases[unit].rev for unit in shown):
            found |= {unit: rev + 1 for unit in shown if unit in ours}
    return found


def waiting_as_one(unreleased: frozenset[Unit], ours: Values, theirs: Values) -> frozenset[Unit]:
    """Return what may not go yet: of a step that does not stand there all, as long as something of it may not."""
    steps = {_whole(unit) for unit in unreleased if unit.family.startswith("step:<id>.")} & ours.keys() - theirs.keys()
    return unreleased.union(*(_parts(step) for step in steps), steps)


def with_their_members(verdicts: Mapping[Unit, Verdict], ours: Values, theirs: Values) -> dict[Unit, Verdict]:
    """Let the parts of a step that stands on one side only follow the step: one question, not one for each part."""
    result: dict[Unit, Verdict] = {}
    verdicts = _asked_before_they_go(verdicts)
    for unit, verdict in verdicts.items():
        if unit.family.startswith("step:<id>."):
            whole = _whole(unit)
            if verdict.action is Action.HOLD and whole not in theirs and _is_held(verdicts.get(whole)):
                continue
            one_sided = (whole in ours) != (whole in theirs)
            if one_sided and verdict.action is not Action.SETTLE:
                member = verdicts.get(whole)
                if member is None:
                    result |= _of_a_quiet_step(verdict, ours)
                    continue
                if member.why == PART_CHANGED and changed(verdict.seen)[1]:
                    result[unit] = replace(verdict, action=Action.CONFLICT, why=PART_CHANGED)
                    continue
                if member.action not in (Action.PUSH, Action.PULL, Action.IGNORE):
                    continue
                if member.action is Action.PULL and whole in ours:  # it becomes void here, and keeps its words
                    result[unit] = replace(verdict, action=Action.QUIET, why=member.why)
                    continue
                result[unit] = replace(verdict, action=member.action, why=member.why)
                continue
        result[unit] = verdict
    return result


def lost_with(steps: Collection[Unit], quiet: Mapping[Unit, Verdict]) -> list[Verdict]:
    """Return our edits of parts that lose with their step, which the EHR took out: they stay in the history."""
    return [one for unit, one in quiet.items() if _whole(unit) in steps and changed(one.seen)[0]]


def _of_a_quiet_step(verdict: Verdict, ours: Values) -> dict[Unit, Verdict]:
    """Return what follows for a part of a step that one side does not have, as both know: there is no place for it."""
    unit = verdict.seen.unit
    if verdict.action is Action.HOLD:
        return {}
    if _whole(unit) not in ours:  # an edit there of what was not taken here
        return (
            {unit: replace(verdict, action=Action.IGNORE, why="step_was_not_taken")} if changed(verdict.seen)[1] else {}
        )
    if verdict.action is Action.PUSH and not _is_void(_whole(unit), ours):
        return {unit: replace(verdict, action=Action.UNDELIVERABLE, why=NOT_THERE)}
    return {unit: verdict} if verdict.action is Action.UNDELIVERABLE else {}


def _asked_before_they_go(verdicts: Mapping[Unit, Verdict]) -> dict[Unit, Verdict]:
    """Ask about a step that is to be taken out there, where the EHR changed a part of it that nobody here has seen."""
    found = dict(verdicts)
    for unit, verdict in verdicts.items():
        whole = _whole(unit)
        goes = found.get(whole)
        if not unit.family.startswith("step:<id>.") or goes is None or goes.seen.ours is not None:
            continue
        if goes.action is Action.PUSH and changed(verdict.seen)[1]:
            found[whole] = replace(goes, action=Action.CONFLICT, why=PART_CHANGED)
    return found


def _is_held(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.action is Action.HOLD


def _whole(part: Unit) -> Unit:
    return Unit(part.owner, f"steps:{part.member}")


def _part(whole: Unit, name: str) -> Unit:
    return Unit(whole.owner, f"step:{whole.member}.{name}")


def _parts(whole: Unit) -> Iterator[Unit]:
    return (_part(whole, name) for name in STEP_PARTS)


def _is_void(whole: Unit, ours: Values) -> bool:
    status = ours.get(_part(whole, "status"))
    return isinstance(status, dict) and status.get("status") == "entered_in_error"
