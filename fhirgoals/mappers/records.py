"""What one connection sees of a goal or plan, in wire terms: what a mapper table reads and writes.

References are the reference strings of the wire ("Condition/12"), element ids are those of the wire. A field holds a
known value, a `Foreign` (the exact JSON of what stands there and is kept), or `None` where nothing stands there.
The tables in `goal` and `careplan` translate these records to and from JSON trees; `projection` translates them to
and from the merge units of our own plan.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, TypeAlias

from fhirgoals.domain import codes
from fhirgoals.domain.records import Foreign, OptionalDate, Record

Text: TypeAlias = str | Foreign | None
"""A string, what stands in its place where that is no string, or nothing."""

Reference: TypeAlias = str
"""`Type/id`, an absolute URL, `urn:uuid:…` or `#contained`, exactly as on the wire."""


class WireCode(Record, frozen=True, kw_only=True):
    """A coding: its system as a URI, its code."""

    system: str
    code: str


class WireMeasure(Record, frozen=True, kw_only=True):
    """`Goal.target.measure`: its text and first coding; `foreign` is the whole element where neither is readable."""

    text: str | None = None
    coding: WireCode | None = None
    foreign: Foreign | None = None


class WireSustain(Record, frozen=True, kw_only=True):
    """Our extension `target-sustain`."""

    count: int
    span_days: int | None = None
    apart_days: int | None = None


class WireTarget(Record, frozen=True, kw_only=True):
    """One `Goal.target` other than the one with id `due`; `detail` is any detail[x] that we do not read."""

    id: str | None = None
    measure: WireMeasure | None = None
    op: codes.Operator | None = None
    value: Decimal | None = None
    range: tuple[Decimal, Decimal] | None = None
    unit: str | None = None
    detail: Foreign | None = None
    by: OptionalDate = None
    sustain: WireSustain | None = None
    sustain_foreign: Foreign | None = None


class WireNote(Record, frozen=True, kw_only=True):
    """One `Goal.note`; `kind` is our extension `note-kind`, absent on notes born at an EHR."""

    id: str | None = None
    kind: Literal["progress", "victory", "client-words"] | Foreign | None = None
    author_reference: Reference | None = None
    author_text: str | None = None
    time: OptionalDate = None
    text: Text = None


class WireRelation(Record, frozen=True, kw_only=True):
    """One `goal-relationship`: the code of its type (`milestone`, `part-of`, `predecessor` …) and its target."""

    type: str | Foreign
    target: Reference


class WireAcceptance(Record, frozen=True, kw_only=True):
    """One `goal-acceptance`."""

    individual: Reference
    status: codes.AcceptanceStatus | Foreign | None = None
    priority: codes.Priority | Foreign | None = None


class WireGoal(Record, frozen=True, kw_only=True):
    """A Goal. Lists hold the members that we can read, in the order of the wire; the rest stays in the tree."""

    text: Text = None
    lifecycle: codes.Lifecycle | Foreign | None = None
    achievement: codes.Achievement | Foreign | None = None
    closure_reason: codes.ClosureReason | Foreign | None = None
    status_date: OptionalDate = None
    status_reason: Text = None
    start_date: OptionalDate = None
    target_date: OptionalDate = None
    priority: codes.Priority | Foreign | None = None
    horizon: codes.Horizon | Foreign | None = None
    nature: codes.Nature | Foreign | None = None
    domain: codes.Domain | Foreign | None = None
    completion_criterion: Text = None
    addresses: tuple[Reference, ...] = ()
    expressed_by: Reference | Foreign | None = None
    targets: tuple[WireTarget, ...] = ()
    notes: tuple[WireNote, ...] = ()
    relations: tuple[WireRelation, ...] = ()
    acceptance: tuple[WireAcceptance, ...] = ()
    labels: tuple[WireCode, ...] = ()


class WireActivity(Record, frozen=True, kw_only=True):
    """One `CarePlan.activity` with a `detail` that is a step or an intervention.

    `code` is the step kind or modality; `coding` a further coding from our frozen list; `schedule` any other
    scheduled[x] than a string or a period of one day.
    """

    id: str | None = None
    step_id: str | None = None
    role: Literal["step", "intervention"] = "step"
    code: codes.StepKind | codes.Modality | Foreign | None = None
    coding: WireCode | None = None
    text: Text = None
    goals: tuple[Reference, ...] = ()
    status: codes.StepStatus | Foreign | None = None
    done_on: OptionalDate = None
    owner: codes.StepOwner | Foreign | None = None
    performers: tuple[Reference, ...] = ()
    frequency: str | None = None
    scheduled: OptionalDate = None
    schedule: Foreign | None = None


class WireCarePlan(Record, frozen=True, kw_only=True):
    """A CarePlan. Activities that are neither step nor intervention (a reference, doNotPerform) stay in the tree."""

    title: Text = None
    status: codes.PlanStatus | Foreign | None = None
    period_start: OptionalDate = None
    period_end: OptionalDate = None
    author: Reference | Foreign | None = None
    contributors: tuple[Reference, ...] = ()
    addresses: tuple[Reference, ...] = ()
    goals: tuple[Reference, ...] = ()
    activities: tuple[WireActivity, ...] = ()
    labels: tuple[WireCode, ...] = ()
