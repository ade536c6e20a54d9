"""Each goal by itself and under its parent: fields (0, 10), hierarchy (1), dates (4), steps (6), problems (13)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise

from fhirgoals.domain.invariants.agreement import agreeing, goal_agreement
from fhirgoals.domain.invariants.finding import Finding, of_goal
from fhirgoals.domain.invariants.measuring import goal_scales
from fhirgoals.domain.invariants.status import goal_status
from fhirgoals.domain.records import Goal, Plan, Step


def goal_rules(plan: Plan) -> Iterator[Finding]:
    """Yield what is broken inside each goal; one that was entered in error is a tombstone: only its id counts."""
    goals = {goal.id: goal for goal in plan.goals}
    people = agreeing(plan)
    for index, goal in enumerate(plan.goals):
        if goal.lifecycle == "entered_in_error":
            continue
        path = f"goals[{index}]"
        yield from _goal(goals, goal, path)
        yield from goal_agreement(goal, path, people)
        yield from goal_status(goal, path)
        yield from goal_scales(goal, path)
        if plan.kind == "client_treatment":
            yield from _addresses(goals, goal, path)


def _addresses(goals: Mapping[str, Goal], goal: Goal, path: str) -> Iterator[Finding]:
    parent = goals.get(goal.parent or "")
    if not goal.addresses and not (parent is not None and parent.addresses):
        sentence = "Neither this goal nor its parent addresses a problem of the plan."
        yield of_goal(goal, "goal_addresses_no_problem", 13, f"{path}.addresses", sentence, warn=True)


def _goal(goals: Mapping[str, Goal], goal: Goal, path: str) -> Iterator[Finding]:
    yield from _needed(goal, path)
    yield from _hierarchy(goals, goal, path)
    yield from _dates(goal, path)
    yield from _steps(goal, path)
    if goal.nature == "exploratory":
        draft = goal.lifecycle == "draft"
        for field in ("completion_criterion", "target_date"):
            if not getattr(goal, field):
                yield of_goal(
                    goal,
                    f"exploratory_without_{field}",
                    10,
                    f"{path}.{field}",
                    f"An exploratory goal needs a {field.replace('_', ' ')}.",
                    warn=draft,
                )
    elif goal.findings:
        sentence = "Findings belong to an exploratory goal."
        yield of_goal(goal, "finding_outside_exploration", 10, f"{path}.findings", sentence)


def _needed(goal: Goal, path: str) -> Iterator[Finding]:
    for field in ("horizon", "nature", "text", "lifecycle", "start_date"):
        value = getattr(goal, field)
        if value is None or (isinstance(value, str) and not value.strip()):
            yield of_goal(goal, f"goal_without_{field}", 0, f"{path}.{field}", f"This goal needs a {field}.")


def _hierarchy(goals: Mapping[str, Goal], goal: Goal, path: str) -> Iterator[Finding]:
    place = f"{path}.parent"
    if goal.horizon == "long_term" and goal.parent is not None:
        yield of_goal(goal, "long_term_has_parent", 1, place, "A long-term goal has no parent.")
    if goal.horizon != "short_term":
        return
    if goal.parent is None:
        yield of_goal(
            goal, "short_term_without_parent", 1, place, "A short-term goal needs a long-term goal as its parent."
        )
        return
    parent = goals.get(goal.parent)
    if parent is not None and parent.horizon != "long_term":
        unsaid = parent.horizon is None and parent.origin is not None
        yield of_goal(
            goal, "parent_not_long_term", 1, place, "The parent of a short-term goal is a long-term goal.", warn=unsaid
        )


def _dates(goal: Goal, path: str) -> Iterator[Finding]:
    if _before(goal.target_date, goal.start_date):
        yield of_goal(
            goal, "target_before_start", 4, f"{path}.target_date", "The target date is before the start date."
        )
    for index, step in enumerate(goal.steps):
        if step.status != "entered_in_error" and _before(step.done_on, goal.start_date):
            yield of_goal(
                goal,
                "step_done_before_start",
                4,
                f"{path}.steps[{index}].done_on",
                "A step was done before its goal started.",
            )
    for index, target in enumerate(goal.targets):
        if _before(goal.target_date, target.by):
            yield of_goal(
                goal,
                "target_by_after_target_date",
                4,
                f"{path}.targets[{index}].by",
                "A target is due after the target date of its goal.",
            )


def _before(one: object, other: object) -> bool:
    return isinstance(one, date) and isinstance(other, date) and one < other


def _steps(goal: Goal, path: str) -> Iterator[Finding]:
    if sorted(step.n for step in goal.steps) != list(range(1, len(goal.steps) + 1)):
        yield of_goal(goal, "step_order", 6, f"{path}.steps", "The steps must be numbered 1, 2, 3 … without a gap.")
    ladder: list[tuple[int, Step]] = [
        (index, step)
        for index, step in sorted(enumerate(goal.steps), key=lambda each: each[1].n)
        if step.kind == "exposure" and step.suds_expected is not None and step.status != "entered_in_error"
    ]
    for (_, lower), (index, step) in pairwise(ladder):
        if (step.suds_expected or 0) < (lower.suds_expected or 0):
            yield Finding(
                "exposure_not_rising",
                6,
                "warn",
                f"{path}.steps[{index}].suds_expected",
                step.id,
                "An exposure step expects less distress than the one before it.",
            )
