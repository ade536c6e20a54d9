"""What the numbers propose as a goal's achievement status; a person confirms it (domain reference 4 and 6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fhirgoals.domain import codes
from fhirgoals.domain.attainment import own_rater, ratings
from fhirgoals.domain.instruments import Catalogue
from fhirgoals.domain.records import Foreign, Goal, Plan
from fhirgoals.domain.rollup import Source
from fhirgoals.domain.targets import TargetProgress, target_progress
from fhirgoals.domain.trend import Trend

_REACHED = frozenset({"achieved", "sustaining"})
_OPEN = frozenset({"in_progress", "improving", "no_change", "worsening"})  # the last three say in_progress and more
_WORST_FIRST: tuple[Trend, ...] = ("worsening", "improving", "no_change", "in_progress")


@dataclass(frozen=True, slots=True)
class Proposal:
    """An achievement status that the numbers speak for, where it differs from the one the goal has."""

    goal: str
    current: codes.Achievement | Foreign | None
    proposed: codes.Achievement
    source: Source


def proposals(plan: Plan, as_of: date, catalogue: Catalogue) -> tuple[Proposal, ...]:
    """Return a proposal for each active or paused goal whose numbers say something else than its status.

    `achieved`: every target is met, or the client's own rating is at the expected level or better. Otherwise the
    worst trend of the targets, or of the last two ratings. `sustaining` stands as long as the goal is reached.
    Steps and completion criteria propose nothing: what they achieved is for people to say.
    """
    found: list[Proposal] = []
    for goal in plan.goals:
        if goal.lifecycle not in ("active", "on_hold"):
            continue
        source: Source = "targets"
        proposed = _by_targets(plan, goal, as_of, catalogue)
        if proposed is None:
            proposed, source = _by_ratings(plan, goal, as_of), "attainment"
        if proposed is not None and not _agree(goal.achievement, proposed):
            found.append(Proposal(goal.id, goal.achievement, proposed, source))
    return tuple(found)


def _agree(current: codes.Achievement | Foreign | None, proposed: codes.Achievement) -> bool:
    if proposed == "achieved":
        return current in _REACHED
    return current == proposed or (proposed == "in_progress" and current in _OPEN)


def _by_targets(plan: Plan, goal: Goal, as_of: date, catalogue: Catalogue) -> codes.Achievement | None:
    states: list[TargetProgress] = [
        state
        for target in goal.targets
        if (state := target_progress(plan, goal, target, as_of, catalogue)).met is not None
    ]
    if not states:
        return None
    if len(states) == len(goal.targets) and all(state.met for state in states):
        return "achieved"
    trends = {state.trend for state in states}
    return next((trend for trend in _WORST_FIRST if trend in trends), None)


def _by_ratings(plan: Plan, goal: Goal, as_of: date) -> codes.Achievement | None:
    rated = () if goal.gas is None else ratings(goal.gas, own_rater(plan), as_of)
    if goal.gas is None or not rated:
        return None
    level = rated[-1].level
    if level >= 0:
        return "achieved"
    before = rated[-2].level if len(rated) > 1 else goal.gas.baseline
    if before is None:
        return "in_progress"
    if level == before:
        return "no_change"
    return "improving" if level > before else "worsening"
