"""The goal hierarchy as frozen records: plan, goals, steps and what stands around them.

Field names, types and allowed values are those of the domain reference (section 3) and of `fields.csv`; a test
compares the two. Dates are calendar dates, numbers are `Decimal` with their digits. `None` means "not given":
of a record born in an EHR any field that the EHR did not give may be absent, and the invariants flag it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from fhirgoals.domain import codes
from fhirgoals.domain.base import (
    Client,
    Coding,
    Day,
    Foreign,
    Identifier,
    Name,
    OptionalDate,
    Origin,
    Participant,
    Period,
    Record,
    Related,
    Staff,
    Stamp,
    fields_of,
)
from fhirgoals.domain.measured import (
    Cutoff,
    Gas,
    GasRating,
    Measure,
    Reading,
    SmartResult,
    Sustain,
    Target,
    Trial,
    Weight,
)

__all__ = [
    "Acceptance",
    "Achievement",
    "Barrier",
    "Change",
    "Client",
    "Coding",
    "Consent",
    "Cutoff",
    "Day",
    "Discharge",
    "DischargeCriterion",
    "Disclosure",
    "Finding",
    "Foreign",
    "Gas",
    "GasRating",
    "Goal",
    "Identifier",
    "Intervention",
    "Measure",
    "Name",
    "OptionalDate",
    "Origin",
    "Participant",
    "Period",
    "Plan",
    "Problem",
    "ProgressEntry",
    "Readiness",
    "Reading",
    "Record",
    "Refusal",
    "Related",
    "Review",
    "Revision",
    "Session",
    "Signature",
    "SmartResult",
    "Staff",
    "Stamp",
    "Step",
    "Sustain",
    "Target",
    "Trial",
    "Weight",
    "Withheld",
    "fields_of",
]


class Problem(Record, frozen=True, kw_only=True):
    """What the goals address; at an EHR it is a Condition, found by an identifier."""

    id: str
    code: Coding
    client_words: str | None = None
    status: Literal["active", "resolved"] | Foreign = "active"
    onset: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    sensitivities: tuple[codes.Sensitivity, ...] = ()


class Step(Record, frozen=True, kw_only=True):
    """One ordered step towards a goal."""

    id: str
    n: int
    kind: codes.StepKind | Foreign | None = None
    owner: codes.StepOwner | Foreign | None = None
    participant: str | None = None
    text: str | None = None
    frequency: str | None = None
    scheduled: OptionalDate = None
    status: codes.StepStatus | Foreign | None = None
    done_on: OptionalDate = None
    suds_expected: int | None = None
    trials: tuple[Trial, ...] = ()


class Readiness(Record, frozen=True, kw_only=True):
    """How important the goal is to the client and how confident they are, each 0-10."""

    importance: int
    confidence: int


class Acceptance(Record, frozen=True, kw_only=True):
    """One person's agreement; date and method are absent while pending."""

    by: str
    status: codes.AcceptanceStatus | Foreign
    date: Day | None = None
    method: codes.AcceptanceMethod | None = None
    priority: codes.Priority | Foreign | None = None
    reason: str | None = None


class ProgressEntry(Record, frozen=True, kw_only=True):
    """A note on progress. Only `shared` ones may leave, and one born at an EHR goes back only to it."""

    date: OptionalDate = None
    id: str | None = None
    session: str | None = None
    author: str | None = None
    author_text: str | None = None
    visibility: codes.Visibility
    text: str
    origin: Origin | None = None


class Finding(Record, frozen=True, kw_only=True):
    """What was learnt under an exploratory goal; never leaves."""

    date: Day
    session: str | None = None
    author: str
    visibility: codes.Visibility
    text: str


class Achievement(Record, frozen=True, kw_only=True):
    """A small victory, milestone or reached goal; leaves only where marked `share`."""

    date: OptionalDate = None
    id: str | None = None
    size: codes.AchievementSize | None = None
    target: str | None = None
    text: str
    noted_by: str | None = None
    celebrated: str | None = None
    share: bool = False


class Barrier(Record, frozen=True, kw_only=True):
    """What stands in the way, and how it was resolved."""

    date: Day
    text: str | None = None
    code: str | None = None
    resolved: Day | None = None
    resolution: str | None = None


class Change(Record, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One field of a revision: what it was and what it became."""

    field: str
    from_: Any = None  # raw: whatever the field holds
    to: Any = None


class Revision(Record, frozen=True, kw_only=True):
    """A version that was agreed; the store also keeps one per saved edit."""

    rev: int
    date: Day
    by: str
    requested_by: str | None = None
    reason: codes.RevisionReason
    client_agreed: bool | None = None
    summary: str | None = None
    changes: tuple[Change, ...] = ()


class Goal(Record, frozen=True, kw_only=True):
    """A goal, long-term or short-term, of aspirational, exploratory or actionable nature."""

    id: str
    parent: str | None = None
    horizon: codes.Horizon | Foreign | None = None
    nature: codes.Nature | Foreign | None = None
    text: str | None = None
    client_words: str | None = None
    share_words: bool = False
    domain: codes.Domain | Foreign | None = None
    priority: codes.Priority | Foreign | None = None
    addresses: tuple[str, ...] = ()
    lifecycle: codes.Lifecycle | Foreign | None = None
    achievement: codes.Achievement | Foreign | None = None
    closure_reason: codes.ClosureReason | Foreign | None = None
    status_date: OptionalDate = None
    status_reason: str | None = None
    start_date: OptionalDate = None
    target_date: OptionalDate = None
    completion_criterion: str | None = None
    readiness: Readiness | None = None
    smart: SmartResult | None = None
    targets: tuple[Target, ...] = ()
    gas: Gas | None = None
    predecessors: tuple[str, ...] = ()
    replaced_by: str | None = None
    expressed_by: str | None = None
    share: Literal["default", "withheld"] = "default"
    sensitivities: tuple[codes.Sensitivity, ...] = ()
    exposure_hierarchy: bool = False
    origin: Origin | None = None
    review: Literal["unreviewed", "reviewed"] | None = None
    acceptance: tuple[Acceptance, ...] = ()
    steps: tuple[Step, ...] = ()
    progress: tuple[ProgressEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    achievements: tuple[Achievement, ...] = ()
    barriers: tuple[Barrier, ...] = ()
    revisions: tuple[Revision, ...] = ()


class Intervention(Record, frozen=True, kw_only=True):
    """What the therapist does, for which goals."""

    id: str
    modality: codes.Modality | Foreign | None = None
    technique: str | None = None
    by: str | None = None
    frequency: str | None = None
    duration: str | None = None
    goals: tuple[str, ...] = ()
    code: Coding | None = None


class Session(Record, frozen=True, kw_only=True):
    """One meeting."""

    id: str
    date: Day
    mode: codes.SessionMode


class Signature(Record, frozen=True, kw_only=True):
    """A signature on a review; no date = not signed."""

    by: str
    date: Day | None = None
    refused: bool | None = None
    reason: str | None = None


class Review(Record, frozen=True, kw_only=True):
    """A review of the plan."""

    id: str
    date: Day
    due: Day | None = None
    kind: codes.ReviewKind
    outcome: codes.ReviewOutcome
    attendees: tuple[str, ...] = ()
    client_participation: codes.Participation | None = None
    reason: str | None = None
    summary: str | None = None
    signatures: tuple[Signature, ...] = ()


class DischargeCriterion(Record, frozen=True, kw_only=True):
    """A condition for ending treatment; without a measure a person judges it."""

    text: str
    measure: str | None = None
    op: codes.Operator | None = None
    value: Decimal | None = None
    range: tuple[Decimal, Decimal] | None = None
    sustain: Sustain | None = None


class Discharge(Record, frozen=True, kw_only=True):
    """How the treatment ended."""

    date: Day
    kind: codes.DischargeKind
    outcome: codes.DischargeOutcome
    summary: str
    follow_up: str | None = None


class Refusal(Record, frozen=True, kw_only=True):
    """Why a plan went on without the client's agreement."""

    by: str
    reason: str
    date: Day


class Consent(Record, frozen=True, kw_only=True):
    """What the client lets one endpoint (a connection's name) see; `expires` is the first day without."""

    id: str
    endpoint: str
    granted: Day | None = None
    expires: Day | None = None
    refused: Day | None = None
    method: Literal["signature", "portal"] | None = None
    scope: Literal["treatment"] | None = None
    sensitivities: tuple[codes.Sensitivity, ...] = ()


class Withheld(Record, frozen=True, kw_only=True):
    """A goal or problem that the client keeps back, from one endpoint or from all."""

    target: str
    endpoint: str | None = None
    reason: str | None = None


class Disclosure(Record, frozen=True, kw_only=True):
    """The client's consents and what they withhold."""

    default: Literal["share_with_consent"] = "share_with_consent"
    consents: tuple[Consent, ...] = ()
    withheld: tuple[Withheld, ...] = ()


class Plan(Record, frozen=True, kw_only=True):
    """A whole plan. A client's plan has `client`, a development plan has `therapist` as its subject."""

    id: str
    kind: codes.PlanKind
    title: str | None = None
    status: codes.PlanStatus | Foreign
    revision: int = 1
    start_date: OptionalDate = None
    planned_end_date: OptionalDate = None
    end_date: OptionalDate = None
    review_interval_days: int | None = None
    session_frequency: str | None = None
    strengths: tuple[str, ...] = ()
    discharge_criteria: tuple[DischargeCriterion, ...] = ()
    discharge: Discharge | None = None
    refusal: Refusal | None = None
    program: str | None = None
    language: str | None = None
    client: Client | None = None
    therapist: Staff | None = None
    participants: tuple[Participant, ...] = ()
    problems: tuple[Problem, ...] = ()
    disclosure: Disclosure = Disclosure()
    sessions: tuple[Session, ...] = ()
    measures: tuple[Measure, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    goals: tuple[Goal, ...] = ()
    reviews: tuple[Review, ...] = ()
    revisions: tuple[Revision, ...] = ()

    def goal(self, goal_id: str) -> Goal:
        """Return the goal of that id; raises `KeyError` where the plan has none."""
        for goal in self.goals:
            if goal.id == goal_id:
                return goal
        raise KeyError(goal_id)

    def measure(self, measure_id: str) -> Measure:
        """Return the measure of that id; raises `KeyError` where the plan has none."""
        for measure in self.measures:
            if measure.id == measure_id:
                return measure
        raise KeyError(measure_id)
