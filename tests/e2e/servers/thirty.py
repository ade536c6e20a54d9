"""A plan of thirty goals, made from the material of three examples, and the edits of one session on it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from fhirgoals.domain.records import Goal, Plan, Step
from tests.plans import EXAMPLES, example, expected

replace = msgspec.structs.replace

PLAN = "plan-dep-01"
FROM_OTHERS = (9, 7)
"""How many goals of the second and third example come to the first one's fourteen."""


def thirty_goals() -> Plan:
    """Return the first example with fourteen goals of its own and sixteen of the next two; all of them may be sent."""
    base, second, third = (example(path) for path in EXAMPLES[:3])
    sent = [expected(path)["export"]["ehr-main"]["sent"] for path in EXAMPLES[:3]]
    goals = [base.goal(one) for one in sent[0]]
    for plan, ids, count in zip((second, third), sent[1:], FROM_OTHERS, strict=True):
        goals += _brought([plan.goal(one) for one in ids[:count]], base)
    return replace(base, goals=tuple(goals))


def _brought(goals: Iterable[Goal], into: Plan) -> list[Goal]:
    """Return the goals without what only their own plan can name: measures, sessions, other people, other goals."""
    goals = list(goals)
    kept = {goal.id for goal in goals}
    people = {one.id for one in into.participants}
    return [
        replace(
            goal,
            parent=goal.parent if goal.parent in kept else None,
            predecessors=tuple(one for one in goal.predecessors if one in kept),
            replaced_by=goal.replaced_by if goal.replaced_by in kept else None,
            addresses=("pr-1",),
            targets=(),
            expressed_by=goal.expressed_by if goal.expressed_by in people else None,
            acceptance=tuple(one for one in goal.acceptance if one.by in people),
            steps=tuple(
                replace(step, participant=step.participant if step.participant in people else None)
                for step in goal.steps
            ),
            progress=(),
            findings=(),
            achievements=(),
            barriers=(),
            revisions=(),
        )
        for goal in goals
    ]


PARENTS = ("g-mood", "g-selfcare", "g-resilience")


def after_session(plan: Plan, number: int) -> Plan:
    """Return the plan after the session of that number: texts, dates, a step done, one more, a goal moved, a title."""
    ends = date(2027, 1, 1 + number)
    goals = []
    for place, goal in enumerate(plan.goals):
        if goal.id == "g-social":
            moved = PARENTS[number % len(PARENTS)]
            goals.append(replace(goal, parent=moved, text=f"See a friend, agreed in session {number}"))
        elif goal.id == "g-thought":
            done = tuple(replace(one, status="done", done_on=date(2026, 11, 6)) for one in goal.steps)
            more = Step(id=f"st-{number}", n=len(done) + 1, text=f"Step of session {number}", status="planned")
            goals.append(replace(goal, steps=(*done, more)))
        elif place % 4 == 0:
            goals.append(replace(goal, text=f"{(goal.text or '').partition(' (')[0]} (session {number})"))
        elif goal.id == "g-move":
            goals.append(replace(goal, target_date=ends))
        else:
            goals.append(goal)
    return replace(plan, title=f"Plan after session {number}", goals=tuple(goals))
