"""What must be true of a plan: the invariants 1-4, 6-14, 16-19, 21, 23 and 24 of the domain reference, section 3.

An `error` rejects a command of our own; on a goal that was born in an EHR or an import the same finding is a `warn`,
since what they say is loaded and flagged. Number 0 stands for ids, references, scales and fields that must be given.
Findings hold codes, paths, ids and plain sentences, never a value of the plan. Those about time (5, 20, 22) are in
`fhirgoals.domain.warnings`; 15 is kept by `disclosure`.
"""

from __future__ import annotations

from collections.abc import Iterable

from fhirgoals.domain.invariants.agreement import plan_agreement
from fhirgoals.domain.invariants.finding import Finding, Severity
from fhirgoals.domain.invariants.goals import goal_rules
from fhirgoals.domain.invariants.identity import cycles_of, dangling, ids
from fhirgoals.domain.invariants.measuring import measures
from fhirgoals.domain.invariants.over_time import check_change
from fhirgoals.domain.invariants.sharing import check_disclosed, endpoints, withheld_marks
from fhirgoals.domain.invariants.status import ended_plan
from fhirgoals.domain.invariants.subject import subject
from fhirgoals.domain.records import Plan

__all__ = ["Finding", "Severity", "check", "check_change", "check_disclosed", "errors"]


def check(plan: Plan, connections: frozenset[str] | None = None) -> tuple[Finding, ...]:
    """Return every finding about a plan alone, in the order of the invariants.

    `connections` are the names that a consent's endpoint may have; `None` means there is no store to know them, and
    then invariant 24 only warns.
    """
    return tuple(
        sorted(
            (
                *ids(plan),
                *dangling(plan),
                *subject(plan),
                *cycles_of(plan),
                *goal_rules(plan),
                *plan_agreement(plan),
                *measures(plan),
                *ended_plan(plan),
                *withheld_marks(plan),
                *endpoints(plan, connections),
            ),
            key=lambda finding: finding.invariant,
        )
    )


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that reject a command."""
    return tuple(finding for finding in findings if finding.severity == "error")
