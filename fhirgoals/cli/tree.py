"""Sets a plan as a tree of lines for people: title, goals with status and dates, steps with marks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fhirgoals.cli import words
from fhirgoals.cli.output import clean, wrapped
from fhirgoals.domain.disclosure import outline
from fhirgoals.domain.records import Foreign, Goal, Plan, Step

_STEP = "  "
_CLOSED = frozenset({"completed", "cancelled", "declined", "entered_in_error"})


def plan_lines(plan: Plan, on: date) -> Iterator[str]:
    """Yield the lines of a plan; `on` is the day that tells what is overdue."""
    yield from wrapped(clean(plan.title or "A plan without a title"))
    facts = [words.of_code(words.PLAN_STATUS, plan.status), *_period(plan)]
    yield from wrapped("; ".join(facts), _STEP, _STEP)
    children: dict[str | None, list[Goal]] = {}
    known = {goal.id: goal for goal in plan.goals}
    for goal_id in outline(plan):
        goal = known[goal_id]
        children.setdefault(goal.parent if goal.parent in known else None, []).append(goal)
    seen: set[str] = set()
    for number, goal in enumerate(children.get(None, []), 1):
        yield ""
        yield from _goal_lines(goal, str(number), _STEP, children, on, seen)
    lost = [goal for goal in plan.goals if goal.id not in seen]  # those of a cycle
    for goal in lost:
        yield ""
        yield from _goal_lines(goal, "?", _STEP, {}, on, seen)


def goal_title(goal: Goal) -> str:
    """Return what a goal is called: its text."""
    return clean(goal.text) if goal.text else "A goal without text"


def status_words(goal: Goal, on: date) -> str:
    """Return a goal's status, outcome and dates in one line."""
    parts = [words.of_code(words.LIFECYCLE, goal.lifecycle)]
    if goal.achievement is not None:
        parts.append(words.of_code(words.ACHIEVEMENT, goal.achievement))
    reached = goal.closure_reason == "achieved" and goal.achievement in ("achieved", "sustaining")
    if goal.closure_reason is not None and not reached:
        parts.append(words.of_code(words.CLOSED_FOR, goal.closure_reason))
    if goal.lifecycle == "active" and goal.achievement is not None:
        del parts[0]  # "in progress" says it
    closed = goal.lifecycle in _CLOSED
    start, target = words.on_day(goal.start_date), words.on_day(goal.target_date)
    if closed and goal.status_date is not None:
        parts[-1] += f" on {words.on_day(goal.status_date)}"
        target = ""
    if start and target:
        parts.append(f"{start} to {target}")
    elif start:
        parts.append(f"from {start}")
    elif target:
        parts.append(f"by {target}")
    if not closed and isinstance(goal.target_date, date) and goal.target_date < on:
        parts.append("past its date")
    return ", ".join(parts)


def _period(plan: Plan) -> list[str]:
    parts = []
    if plan.start_date is not None:
        parts.append(f"from {words.on_day(plan.start_date)}")
    if plan.end_date is not None:
        parts.append(f"ended {words.on_day(plan.end_date)}")
    elif plan.planned_end_date is not None:
        parts.append(f"planned to {words.on_day(plan.planned_end_date)}")
    return [" ".join(parts)] if parts else []


def _goal_lines(
    goal: Goal, number: str, indent: str, children: dict[str | None, list[Goal]], on: date, seen: set[str]
) -> Iterator[str]:
    pending = [(goal, number, indent)]
    while pending:
        one, name, margin = pending.pop()
        if one.id in seen:
            continue
        seen.add(one.id)
        inner = margin + " " * (len(name) + 2)
        yield from wrapped(f"{name}  {goal_title(one)}", margin, inner)
        yield from wrapped(f"({status_words(one, on)})", inner, inner + " ")
        for step in sorted(one.steps, key=lambda step: step.n):
            yield from wrapped(_step_words(step, on), inner, inner + "    ")
        below = children.get(one.id, [])
        pending.extend(
            (child, f"{name}.{place}", margin + _STEP) for place, child in reversed(list(enumerate(below, 1)))
        )


def _step_words(step: Step, on: date) -> str:
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
        facts.append(clean(step.frequency))
    return f"{mark} {text}" + (f" ({', '.join(facts)})" if facts else "")
