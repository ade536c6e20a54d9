"""The goal hierarchy as frozen records: plan, goals, steps and what stands around them.

Field names, types and allowed values are those of the domain reference (section 3) and of `fields.csv`; a test
compares the two. Dates are calendar dates, numbers are `Decimal` with their digits. `None` means "not given":
of a record born in an EHR any field that the EHR did not give may be absent, and the invariants flag it.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal, TypeAlias

import msgspec
import msgspec.structs

from fhirgoals.domain import codes


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A frozen record; a change is a new record (`msgspec.structs.replace`). Unknown keys are errors."""


@cache
def fields_of(record_type: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return a record's fields; kept, since asking msgspec resolves every annotation anew (about 1 ms)."""
    return msgspec.structs.fields(record_type)


class Foreign(Record, frozen=True, kw_only=True):
    """A value that our lists do not know, kept as the exact JSON text of what was read, and flagged."""

    foreign: str


Day: TypeAlias = date
"""A calendar date (its own name, since many records have a field called `date`)."""

OptionalDate: TypeAlias = Day | Foreign | None
"""A calendar date, what an EHR wrote in its place (a partial date, another type), or not given."""


class Coding(Record, frozen=True, kw_only=True):
    """A code with its system: `loinc`, `snomed`, `icd10cm` or `local` (ours), or the URI of another system."""

    system: str
    code: str
    display: str | None = None


class Identifier(Record, frozen=True, kw_only=True):
    """A business identifier; the pair (system, value) is what people and problems are linked by."""

    system: str
    value: str


class Name(Record, frozen=True, kw_only=True):
    """A person's name, compared when people are matched and never copied to or from an EHR."""

    family: str
    given: tuple[str, ...] = ()


class Client(Record, frozen=True, kw_only=True):
    """The person in treatment."""

    id: str
    display: str
    identifiers: tuple[Identifier, ...] = ()
    name: Name | None = None
    birth_date: Day | None = None
    legal_representatives: tuple[str, ...] = ()
    minor_self_consented: bool = False
    record_status: Literal["active", "inactive", "merged"] | None = None


class Staff(Record, frozen=True, kw_only=True):
    """A therapist or another member of staff."""

    id: str
    display: str
    identifiers: tuple[Identifier, ...] = ()
    name: Name | None = None
    role: codes.StaffRole | None = None
    credential: str | None = None
    supervisor_signs: bool = False


class Related(Record, frozen=True, kw_only=True):
    """A person of the client's circle; in a plan file the participant line names it."""

    id: str
    display: str
    identifiers: tuple[Identifier, ...] = ()
    relationship: str | None = None


class Period(Record, frozen=True, kw_only=True):
    """From the first to the last day."""

    start: Day | None = None
    end: Day | None = None


class Participant(Record, frozen=True, kw_only=True):
    """Someone's part in this plan; `ref` names a Client, Staff or Related."""

    id: str
    role: codes.ParticipantRole
    ref: str
    display: str | None = None
    period: Period | None = None


class Problem(Record, frozen=True, kw_only=True):
    """What the goals address; at an EHR it is a Condition, found by an identifier."""

    id: str
    code: Coding
    client_words: str | None = None
    status: Literal["active", "resolved"] | Foreign = "active"
    onset: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    sensitivities: tuple[codes.Sensitivity, ...] = ()


class Origin(Record, frozen=True, kw_only=True):
    """Where something came from: a connection's name or an import batch, the resource and its version."""

    system: str
    resource: str | None = None
    version: str | None = None


class Sustain(Record, frozen=True, kw_only=True):
    """How long a target must hold: `count` readings in a row within `span_days`, or at least `apart_days` apart."""

    count: int
    span_days: int | None = None
    apart_days: int | None = None


class Target(Record, frozen=True, kw_only=True):
    """What a measure shall reach. `value` with an operator, or `range` with `between`."""

    measure: str | None = None
    id: str | None = None
    op: codes.Operator | None = None
    value: Decimal | None = None
    range: tuple[Decimal, Decimal] | None = None
    by: OptionalDate = None
    sustain: Sustain | None = None
    foreign_detail: Foreign | None = None

    @property
    def key(self) -> str:
        """The target's id; by default the measure's."""
        return self.id or self.measure or ""


class Reading(Record, frozen=True, kw_only=True):
    """One value of a measure."""

    date: Day
    value: Decimal
    rater: codes.Rater | None = None
    note: str | None = None
    flags: tuple[Literal["item9_positive"], ...] = ()


class Cutoff(Record, frozen=True, kw_only=True):
    """The instrument's clinical cut-off."""

    op: codes.Operator
    value: Decimal


class Measure(Record, frozen=True, kw_only=True):
    """An instrument, its unit and its readings."""

    id: str
    instrument: str | None = None
    code: Coding | None = None
    unit: str | None = None
    range: tuple[Decimal, Decimal] | None = None
    better: Literal["lower", "higher", "range"] | None = None
    baseline: Reading | None = None
    readings: tuple[Reading, ...] = ()
    cutoff: Cutoff | None = None
    reliable_change: Decimal | None = None
    schedule: str | None = None
    sensitivities: tuple[codes.Sensitivity, ...] = ()
    foreign_code: Foreign | None = None


class Weight(Record, frozen=True, kw_only=True):
    """How much a goal counts in the T-score."""

    importance: int
    difficulty: int


class GasRating(Record, frozen=True, kw_only=True):
    """A rating on a goal attainment scale, from -2 to +2."""

    date: Day
    level: int
    rater: codes.Rater


class Gas(Record, frozen=True, kw_only=True):
    """A goal attainment scale: five levels, weight, baseline and ratings."""

    weight: Weight | None = None
    baseline: int | None = None
    levels: dict[Literal["-2", "-1", "0", "1", "2"], str] = {}
    ratings: tuple[GasRating, ...] = ()


class Trial(Record, frozen=True, kw_only=True):
    """One exposure: distress (SUDS 0-100) at its peak and at its end."""

    date: Day
    peak: int
    end: int


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


class Stamp(Record, frozen=True, kw_only=True):
    """Who made and last changed a stored record, and when (instants in UTC)."""

    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
