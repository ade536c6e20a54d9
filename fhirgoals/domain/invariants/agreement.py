"""Agreement: a goal that is accepted or active, and a plan that is active, need the client's (9)."""

from __future__ import annotations

from collections.abc import Iterator

from fhirgoals.domain.agreement import THERAPISTS, client_side, signed_by
from fhirgoals.domain.invariants.finding import Finding, Severity, of_goal
from fhirgoals.domain.lifecycle import NEEDS_AGREEMENT
from fhirgoals.domain.records import Goal, Plan

_BEGUN = frozenset({"active", "on_hold", "completed"})


def agreeing(plan: Plan) -> frozenset[str]:
    """Return the ids of the participants whose agreement counts as the client's."""
    return frozenset(each.id for each in client_side(plan))


def goal_agreement(goal: Goal, path: str, people: frozenset[str]) -> Iterator[Finding]:
    """Yield a goal that runs, or was accepted, without the client's agreement."""
    if goal.lifecycle in NEEDS_AGREEMENT and not any(
        line.by in people and line.status == "agree" for line in goal.acceptance
    ):
        yield of_goal(
            goal,
            "goal_without_agreement",
            9,
            f"{path}.acceptance",
            "A goal is accepted or active only with the client's agreement, or the legal representative's.",
        )


def plan_agreement(plan: Plan) -> Iterator[Finding]:
    """Yield a plan that runs without a first version that was agreed on, and without a refusal on record."""
    if plan.status not in _BEGUN or plan.refusal is not None:
        return
    first = next((each for each in plan.revisions if each.rev == 1), None)
    # A plan of which everything came from an EHR, or that an import brought, is flagged and not refused.
    elsewhere = bool(plan.goals) and all(goal.origin is not None for goal in plan.goals)
    brought = elsewhere if first is None else first.reason in ("import", "external_edit")
    severity: Severity = "warn" if brought else "error"
    if first is None:
        sentence = "A plan begins with a first version that was agreed on, or with a refusal on record."
        yield Finding("plan_without_first_version", 9, severity, "revisions", plan.id, sentence)
        return
    path = f"revisions[{plan.revisions.index(first)}]"
    development = plan.kind == "professional_development"
    if not development and first.client_agreed is not True:
        sentence = "The first version needs the client's agreement, or a refusal on record."
        yield Finding("first_version_not_agreed", 9, severity, f"{path}.client_agreed", plan.id, sentence)
    if not signed_by(plan, first.by, {"therapist_subject"} if development else THERAPISTS):
        whose = "by the therapist whose plan it is" if development else "by a therapist of the plan"
        sentence = f"The first version must be {whose}."
        yield Finding("first_version_not_by_therapist", 9, severity, f"{path}.by", plan.id, sentence)
