"""The end of every command: the plan is checked as a whole, and what happened becomes one revision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fhirgoals.domain.changes import changes
from fhirgoals.domain.codes import RevisionReason
from fhirgoals.domain.commands.assessing import assessed
from fhirgoals.domain.commands.outcome import Accepted, Done, Refusal
from fhirgoals.domain.invariants import Finding, check, check_change, errors
from fhirgoals.domain.records import Plan, Revision
from fhirgoals.domain.units import touched


@dataclass(frozen=True, slots=True)
class Why:
    """What a revision says beside what changed."""

    by: str
    because: RevisionReason
    requested_by: str | None = None
    client_agreed: bool | None = None
    summary: str | None = None


def broken(before: Plan, after: Plan, connections: frozenset[str] | None) -> tuple[Refusal, ...]:
    """Return the invariants that a change breaks; what was broken before is no fault of it."""
    known = {_mark(each) for each in errors(check(before, connections))}
    found = (*check_change(before, after), *check(after, connections))
    return tuple(
        Refusal(each.code, each.path, each.sentence, each.at) for each in errors(found) if _mark(each) not in known
    )


def settled(
    before: Plan, done: Done, why: Why, today: date, rev: int, connections: frozenset[str] | None
) -> Accepted | Refusal:
    """Return the accepted command with its revision, numbered after `rev`; or the first rule that it would break."""
    faults = broken(before, done.plan, connections)
    if faults:
        return faults[0]
    after = assessed(before, done.plan, today)
    made = changes(before, after)
    if not made:
        return Refusal("nothing_changes", "", "This changes nothing: the plan is so already.", before.id)
    revision = Revision(
        rev=rev + 1,
        date=today,
        by=why.by,
        requested_by=why.requested_by,
        reason=why.because,
        client_agreed=why.client_agreed,
        summary=why.summary,
        changes=made,
    )
    return Accepted(after, revision, touched(before, after), done.also)


def _mark(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.at, finding.path
