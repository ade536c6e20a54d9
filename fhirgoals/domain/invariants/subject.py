"""Whose plan it is: a client's treatment (2) or a therapist's own development (14)."""

from __future__ import annotations

from collections.abc import Iterator

from fhirgoals.domain.invariants.finding import Finding
from fhirgoals.domain.records import Plan


def subject(plan: Plan) -> Iterator[Finding]:
    """Yield what does not fit the plan's kind."""
    if plan.kind == "client_treatment":
        if plan.client is None:
            yield Finding("plan_without_client", 2, "error", "client", plan.id, "A treatment plan needs its client.")
        if plan.therapist is not None:
            yield Finding(
                "treatment_plan_with_subject_therapist",
                14,
                "error",
                "therapist",
                plan.id,
                "Only a development plan has a therapist as its subject; name the therapist among the participants.",
            )
        for index, participant in enumerate(plan.participants):
            if participant.role == "client" and plan.client is not None and participant.ref != plan.client.id:
                yield Finding(
                    "client_participant_differs",
                    2,
                    "error",
                    f"participants[{index}].ref",
                    participant.id,
                    "The participant with the client's role is not the client of the plan.",
                )
        return
    if plan.client is not None:
        yield Finding(
            "development_plan_with_client", 14, "error", "client", plan.id, "A development plan has no client."
        )
    if plan.therapist is None:
        yield Finding(
            "development_plan_without_subject",
            14,
            "error",
            "therapist",
            plan.id,
            "A development plan needs the therapist it is about.",
        )
    for index, participant in enumerate(plan.participants):
        if participant.role == "client":
            yield Finding(
                "development_plan_with_client",
                14,
                "error",
                f"participants[{index}].role",
                participant.id,
                "A development plan has no client among its participants.",
            )
    for index, consent in enumerate(plan.disclosure.consents):
        yield Finding(
            "development_plan_with_consent",
            14,
            "warn",
            f"disclosure.consents[{index}]",
            consent.id,
            "A development plan is never sent, so a consent has no effect.",
        )
