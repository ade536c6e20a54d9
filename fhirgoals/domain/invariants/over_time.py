"""What a change breaks: `entered_in_error` is terminal and the only way to delete (17); a plan stays who it is (2)."""

from __future__ import annotations

from collections.abc import Iterator

from fhirgoals.domain.invariants.finding import Finding
from fhirgoals.domain.records import Plan


def check_change(before: Plan, after: Plan) -> tuple[Finding, ...]:
    """Return what a change breaks (invariant 17): `entered_in_error` is terminal and the only way to delete."""
    return tuple(_change(before, after))


def _change(before: Plan, after: Plan) -> Iterator[Finding]:
    final = "What was entered in error stays so; write it anew under another id."
    if before.id != after.id:
        yield Finding("plan_id_changed", 17, "error", "plan.id", before.id, "The id of a plan never changes.")
    if before.kind != after.kind:
        yield Finding("plan_kind_changed", 17, "error", "plan.kind", before.id, "The kind of a plan never changes.")
    if _subject_id(before) != _subject_id(after):
        yield Finding(
            "plan_subject_changed", 2, "error", "client.id", before.id, "A plan never moves to another person."
        )
    if before.status == "entered_in_error" and after.status != "entered_in_error":
        yield Finding("entered_in_error_is_final", 17, "error", "plan.status", before.id, final)
    goals = {goal.id: (index, goal) for index, goal in enumerate(after.goals)}
    steps = {
        step.id: (f"goals[{place}].steps[{index}]", step)
        for place, goal in enumerate(after.goals)
        for index, step in enumerate(goal.steps)
    }
    for goal in before.goals:
        if goal.id not in goals:
            yield Finding(
                "goal_vanished",
                17,
                "error",
                "goals",
                goal.id,
                "A goal can't be removed: set its lifecycle to entered_in_error instead.",
            )
        elif goal.lifecycle == "entered_in_error" and goals[goal.id][1].lifecycle != "entered_in_error":
            yield Finding(
                "entered_in_error_is_final", 17, "error", f"goals[{goals[goal.id][0]}].lifecycle", goal.id, final
            )
        for step in goal.steps:
            if step.id not in steps:
                yield Finding(
                    "step_vanished",
                    17,
                    "error",
                    "goals",
                    step.id,
                    "A step can't be removed: set its status to entered_in_error instead.",
                )
            elif step.status == "entered_in_error" and steps[step.id][1].status != "entered_in_error":
                yield Finding("entered_in_error_is_final", 17, "error", f"{steps[step.id][0]}.status", step.id, final)


def _subject_id(plan: Plan) -> str | None:
    person = plan.client or plan.therapist
    return None if person is None else person.id
