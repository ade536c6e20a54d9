"""Sets a plan as a tree of lines for people: title, goals with number, status and dates, steps with marks.

What else is said of a goal comes from whoever sets the tree, as texts that follow its status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import TypeAlias

from fhirgoals.cli import words
from fhirgoals.cli.output import clean, wrapped
from fhirgoals.domain.disclosure import outline
from fhirgoals.domain.records import Foreign, Goal, Plan, Step

_STEP = "  "
_CLOSED = frozenset({"completed", "cancelled", "declined", "entered_in_error"})
_REACHED = frozenset({"achieved", "sustaining"})

Title: TypeAlias = Callable[[Goal], str]
About: TypeAlias = Callable[[Goal], Iterator[str]]
"""Yields the texts below a goal's title, each wrapped on its own."""


def title_lines(plan: Plan, *more: str) -> Iterator[str]:
    """Yield a plan's title, and its status with what else belongs there."""
    yield from wrapped(clean(plan.title or "A plan without a title"))
    facts = [words.of_code(words.PLAN_STATUS, plan.status), *_period(plan), *more]
    yield from wrapped("; ".join(facts), _STEP, _STEP)


def goal_lines(plan: Plan, title: Title, about: About) -> Iterator[str]:
    """Yield the lines of every goal, depth first, each after an empty line where it has no parent."""
    numbers = goal_numbers(plan)
    by_id = {goal.id: goal for goal in plan.goals}
    for goal_id, number in numbers.items():
        goal = by_id[goal_id]
        margin = _STEP * (number.count(".") + 1)
        inner = margin + " " * (len(number) + 2)
        if "." not in number:
            yield ""
        yield from wrapped(f"{number}  {title(goal)}", margin, inner)
        for text in about(goal):
            hanging = inner + ("    " if text.startswith("[") else "  ")
            yield from wrapped(text, inner, hanging)


def goal_numbers(plan: Plan) -> Mapping[str, str]:
    """Return the number that each goal has in the tree, `1.2`, in the tree's order; `?` for those of a circle."""
    children: dict[str | None, list[str]] = {}
    parents = {goal.id: goal.parent for goal in plan.goals}
    for goal_id in outline(plan):
        parent = parents[goal_id]
        children.setdefault(parent if parent in parents else None, []).append(goal_id)
    numbers: dict[str, str] = {}
    pending = [(goal_id, str(place)) for place, goal_id in reversed(list(enumerate(children.get(None, []), 1)))]
    while pending:
        goal_id, number = pending.pop()
        if goal_id in numbers:
            continue
        numbers[goal_id] = number
        below = reversed(list(enumerate(children.get(goal_id, []), 1)))
        pending.extend((child, f"{number}.{place}") for place, child in below)
    return numbers | {goal_id: "?" for goal_id in parents if goal_id not in numbers}


def goal_title(goal: Goal) -> str:
    """Return what a goal is called: its text."""
    return clean(goal.text) if goal.text else "A goal without text"


def is_closed(goal: Goal) -> bool:
    """Tell whether nothing more is done for a goal."""
    return goal.lifecycle in _CLOSED


def status_words(goal: Goal, on: date) -> str:
    """Return a goal's status, outcome and dates in one line."""
    parts = [words.of_code(words.LIFECYCLE, goal.lifecycle)]
    if goal.achievement is not None:
        parts.append(words.of_code(words.ACHIEVEMENT, goal.achievement))
    reached = goal.closure_reason == "achieved" and goal.achievement in _REACHED
    if goal.closure_reason is not None and not reached:
        parts.append(words.of_code(words.CLOSED_FOR, goal.closure_reason))
    if goal.lifecycle == "active" and goal.achievement is not None:
        del parts[0]  # "in progress" says it
    closed = is_closed(goal)
    start, target = words.on_day(goal.start_date), words.on_day(goal.target_date)
    if closed and goal.status_date is not None:
        parts[-1] += f" on {words.on_day(goal.status_date)}"
        target = ""
    if start and target:
        parts.append(f"{start} to {target}")
    elif start and not closed:
        parts.append(f"from {start}")
    elif start and goal.lifecycle in ("completed", "cancelled"):
        parts.append(f"begun {start}")
    elif target:
        parts.append(f"by {target}")
    open_still = not closed and goal.achievement not in _REACHED
    if open_still and isinstance(goal.target_date, date) and goal.target_date < on:
        parts.append("past its date")
    return ", ".join(parts)


def step_texts(goal: Goal, on: date, more: Callable[[Step], str] | None = None) -> Iterator[str]:
    """Yield a goal's steps in their order, each with its mark; `more` adds to what is said of one."""
    for step in sorted(goal.steps, key=lambda step: step.n):
        yield _step_words(step, on, more(step) if more is not None else "")


def _period(plan: Plan) -> list[str]:
    parts = []
    if plan.start_date is not None:
        parts.append(f"from {words.on_day(plan.start_date)}")
    if plan.end_date is not None:
        parts.append(f"ended {words.on_day(plan.end_date)}")
    elif plan.planned_end_date is not None:
        parts.append(f"planned to {words.on_day(plan.planned_end_date)}")
    return [" ".join(parts)] if parts else []


def _step_words(step: Step, on: date, more: str) -> str:
    status = step.status
    mark = "[?]" if status is None or isinstance(status, Foreign) else words.STEP_MARK.get(status, "[?]")
    text = clean(step.text) if step.text else "A step without text"
    facts: list[str] = []
    if isinstance(status, str) and status in words.STEP_WORD:
        facts.append(words.STEP_WORD[status])
    if step.owner == "therapist":
        facts.append("therapist")
    elif step.owner == "support_person":
        facts.append("support person")
    if step.done_on is not None:
        facts.append(words.on_day(step.done_on))
    elif step.scheduled is not None:
        late = isinstance(step.scheduled, date) and step.scheduled < on and status in ("planned", "scheduled")
        facts.append(f"due {words.on_day(step.scheduled)}" + (", past its date" if late else ""))
    elif step.frequency:
        facts.append(words.often(step.frequency))
    if more:
        facts.append(more)
    return f"{mark} {text}" + (f" ({', '.join(facts)})" if facts else "")
