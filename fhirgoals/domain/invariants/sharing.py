"""Who may see what: marks and endpoints of a plan (23, 24), and what would be sent of it (16, 18, 21)."""

from __future__ import annotations

from collections.abc import Iterator

from fhirgoals.domain.disclosure import inherited_sensitivities, withheld_ids
from fhirgoals.domain.invariants.finding import Finding
from fhirgoals.domain.records import Plan
from fhirgoals.domain.references import ids_of, named, references


def check_disclosed(plan: Plan, shown: Plan, endpoint: str) -> tuple[Finding, ...]:
    """Return what is wrong with a disclosed plan: a dangling reference (21) or a trace of what is withheld (18)."""
    known = ids_of(shown)
    withheld = withheld_ids(plan, endpoint)
    found: list[Finding] = []
    for reference in references(shown):
        if reference.to not in known[reference.kind]:
            found.append(
                Finding(
                    "dangling_in_export",
                    21,
                    "error",
                    reference.path,
                    reference.at,
                    f"What would be sent refers to a {reference.kind} that is not sent with it.",
                )
            )
    for each in named(shown):
        if each.id in withheld and each.kind in ("goal", "problem"):
            found.append(
                Finding("withheld_in_export", 18, "error", each.path, each.id, "What is withheld would be sent.")
            )
    inherited = inherited_sensitivities(plan)
    for index, goal in enumerate(shown.goals):
        if not inherited.get(goal.id, frozenset()) <= set(goal.sensitivities):
            sentence = "What would be sent lacks a label that it inherits from its problem or measure."
            found.append(
                Finding("label_not_inherited", 16, "error", f"goals[{index}].sensitivities", goal.id, sentence)
            )
    return tuple(found)


def withheld_marks(plan: Plan) -> Iterator[Finding]:
    """Yield goals of which only one of the two marks says that they are withheld."""
    everywhere = {entry.target for entry in plan.disclosure.withheld if entry.endpoint is None}
    for index, goal in enumerate(plan.goals):
        if (goal.share == "withheld") != (goal.id in everywhere):
            yield Finding(
                "withheld_marks_differ",
                23,
                "warn",
                f"goals[{index}].share",
                goal.id,
                "Only one of share and disclosure.withheld says that this goal is withheld; it is withheld.",
            )


def endpoints(plan: Plan, connections: frozenset[str] | None) -> Iterator[Finding]:
    """Yield consents and withholdings whose endpoint is no connection's name."""
    named_endpoints = [
        *(
            (f"disclosure.consents[{index}].endpoint", each.endpoint)
            for index, each in enumerate(plan.disclosure.consents)
        ),
        *(
            (f"disclosure.withheld[{index}].endpoint", each.endpoint)
            for index, each in enumerate(plan.disclosure.withheld)
            if each.endpoint is not None
        ),
    ]
    for path, endpoint in named_endpoints:
        if connections is None:
            yield Finding(
                "endpoint_unchecked",
                24,
                "warn",
                path,
                plan.id,
                "Without a store no one can tell if this connection is.",
            )
        elif endpoint not in connections:
            yield Finding(
                "endpoint_unknown", 24, "error", path, plan.id, "This names no connection; add it or mend the name."
            )
