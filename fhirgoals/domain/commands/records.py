"""The commands as frozen records: what a person may ask of a plan. `decide_command` says what becomes of them.

Ids of what is new, and days, come with the command: nothing here makes an id or reads a clock. A day that is left out
is the clock's. `because` is the revision's reason, `requested_by` who asked for it, `summary` words for the history.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TypeAlias

import msgspec

from fhirgoals.domain import codes
from fhirgoals.domain.records import Change, Consent, Goal, Participant, Plan, Review, Step


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command"):
    """What every command may say beside what it asks for."""

    because: codes.RevisionReason | None = None
    requested_by: str | None = None
    client_agreed: bool | None = None
    summary: str | None = None


# -- goals -------------------------------------------------------------------------------------------------------------


class Propose(Command, frozen=True, kw_only=True, tag="propose"):
    """A new goal, as a draft or a proposal."""

    goal: Goal


class Accept(Command, frozen=True, kw_only=True, tag="accept"):
    """Someone agrees to a goal: the actor, or `by` where a therapist records what that person said or signed."""

    goal: str
    method: codes.AcceptanceMethod
    by: str | None = None
    on: date | None = None
    priority: codes.Priority | None = None


class Disagree(Command, frozen=True, kw_only=True, tag="disagree"):
    """Someone disagrees with a goal, with a reason; one that runs on that agreement is put on hold."""

    goal: str
    method: codes.AcceptanceMethod
    reason: str
    by: str | None = None
    on: date | None = None


class Submit(Command, frozen=True, kw_only=True, tag="submit"):
    """A draft becomes a proposal."""

    goal: str


class Schedule(Command, frozen=True, kw_only=True, tag="schedule"):
    """A goal is planned, to be started later."""

    goal: str
    start_date: date | None = None


class Activate(Command, frozen=True, kw_only=True, tag="activate"):
    """Work on a goal begins, or goes on after a pause."""

    goal: str


class Pause(Command, frozen=True, kw_only=True, tag="pause"):
    """A goal is put on hold."""

    goal: str
    reason: str


class Close(Command, frozen=True, kw_only=True, tag="close"):
    """A goal is completed or cancelled: the closure reason says which."""

    goal: str
    closure_reason: codes.ClosureReason
    achievement: codes.Achievement | None = None
    reason: str | None = None
    on: date | None = None


class Reopen(Command, frozen=True, kw_only=True, tag="reopen"):
    """A goal that was completed or cancelled is taken up again; one that was declined is proposed again."""

    goal: str
    reason: str


class Decline(Command, frozen=True, kw_only=True, tag="decline"):
    """A proposed goal is declined; it is kept with the reason."""

    goal: str
    reason: str
    method: codes.AcceptanceMethod = "verbal"


class ConfirmAchievement(Command, frozen=True, kw_only=True, tag="confirm_achievement"):
    """A person says how far a goal is; numbers only propose it."""

    goal: str
    achievement: codes.Achievement


class MakeSmaller(Command, frozen=True, kw_only=True, tag="make_smaller"):
    """A goal that is too large is replaced by a smaller one, which takes its place."""

    goal: str
    smaller: Goal
    reason: str
    achievement: codes.Achievement | None = None


class BuildOn(Command, frozen=True, kw_only=True, tag="build_on"):
    """A goal that was reached leads to a next one."""

    goal: str
    following: Goal


class KeepUp(Command, frozen=True, kw_only=True, tag="keep_up"):
    """A goal that was reached is kept up: active while support is needed, else completed."""

    goal: str
    supported: bool
    reason: str | None = None


class MarkReviewed(Command, frozen=True, kw_only=True, tag="mark_reviewed"):
    """A therapist has seen a goal that came from an EHR."""

    goal: str


class Void(Command, frozen=True, kw_only=True, tag="void"):
    """A goal, a step or the plan was entered in error: the only way to delete."""

    target: str
    reason: str


class Edit(Command, frozen=True, kw_only=True, tag="edit"):
    """Fields are changed, as in an edited plan file: `goals[g-ba].text`, `title`, … (see `changes`)."""

    changes: tuple[Change, ...]


# -- steps, notes, numbers ---------------------------------------------------------------------------------------------


class AddStep(Command, frozen=True, kw_only=True, tag="add_step"):
    """A step is put in at its number, and those from there on move up; beyond the last it comes last."""

    goal: str
    step: Step


class MarkStep(Command, frozen=True, kw_only=True, tag="mark_step"):
    """A step is begun, done, skipped, …"""

    step: str
    status: codes.StepStatus
    done_on: date | None = None
    scheduled: date | None = None


class RecordTrial(Command, frozen=True, kw_only=True, tag="record_trial"):
    """One exposure: distress at its peak and at its end."""

    step: str
    peak: int
    end: int
    on: date | None = None


class AddVictory(Command, frozen=True, kw_only=True, tag="add_victory"):
    """A small victory, a milestone or a reached goal is noted."""

    goal: str
    id: str
    text: str
    size: codes.AchievementSize = "small"
    on: date | None = None
    target: str | None = None
    noted_by: str | None = None
    celebrated: str | None = None
    share: bool = False


class AddNote(Command, frozen=True, kw_only=True, tag="add_note"):
    """A note on progress, by the actor."""

    goal: str
    id: str
    text: str
    visibility: codes.Visibility = "private"
    on: date | None = None
    session: str | None = None


class AddFinding(Command, frozen=True, kw_only=True, tag="add_finding"):
    """What was learnt under an exploratory goal; never leaves."""

    goal: str
    text: str
    on: date | None = None
    session: str | None = None


class AddBarrier(Command, frozen=True, kw_only=True, tag="add_barrier"):
    """Something stands in the way of a goal."""

    goal: str
    text: str
    on: date | None = None


class ResolveBarrier(Command, frozen=True, kw_only=True, tag="resolve_barrier"):
    """A barrier is out of the way; `place` counts a goal's barriers from 1."""

    goal: str
    place: int
    resolution: str
    on: date | None = None


class RecordReading(Command, frozen=True, kw_only=True, tag="record_reading"):
    """One value of a measure."""

    measure: str
    value: Decimal
    rater: codes.Rater
    on: date | None = None
    note: str | None = None
    item9_positive: bool = False


class RateGoal(Command, frozen=True, kw_only=True, tag="rate_goal"):
    """A rating on a goal's attainment scale."""

    goal: str
    level: int
    rater: codes.Rater
    on: date | None = None


# -- the plan ----------------------------------------------------------------------------------------------------------


class AgreeVersion(Command, frozen=True, kw_only=True, tag="agree_version"):
    """The plan as it stands becomes the next agreed version.

    With `since`, the plan at the last agreed version, each goal that changed lists how.
    """

    since: Plan | None = None


class RecordRefusal(Command, frozen=True, kw_only=True, tag="record_refusal"):
    """The client would not agree to the plan as a whole; it goes on, with the reason on record."""

    by: str
    reason: str
    on: date | None = None


class ActivatePlan(Command, frozen=True, kw_only=True, tag="activate_plan"):
    """A plan begins, or goes on after a pause."""


class PausePlan(Command, frozen=True, kw_only=True, tag="pause_plan"):
    """A plan is put on hold."""

    reason: str


class Closing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one goal ends with its plan."""

    closure_reason: codes.ClosureReason
    achievement: codes.Achievement | None = None
    reason: str | None = None


class RevokePlan(Command, frozen=True, kw_only=True, tag="revoke_plan"):
    """A plan ends without having been carried out. Goals that are open end as `closings` or `others` say."""

    reason: str
    closings: dict[str, Closing] = {}
    others: Closing | None = None
    on: date | None = None


class Discharge(Command, frozen=True, kw_only=True, tag="discharge"):
    """Treatment ends. Goals that are open end as `closings` or `others` say; `review` is the discharge review."""

    kind: codes.DischargeKind
    outcome: codes.DischargeOutcome
    words: str
    follow_up: str | None = None
    closings: dict[str, Closing] = {}
    others: Closing | None = None
    review: Review | None = None
    on: date | None = None


class TransferCaseload(Command, frozen=True, kw_only=True, tag="transfer_caseload"):
    """Another therapist takes the plan over; `review` is the transfer review."""

    to: Participant
    review: Review
    on: date | None = None


# -- reviews and sharing -----------------------------------------------------------------------------------------------


class HoldReview(Command, frozen=True, kw_only=True, tag="hold_review"):
    """A review is put on record. Without signature lines it gets one for each who should sign."""

    review: Review
    supervisor_signs: bool = False


class Sign(Command, frozen=True, kw_only=True, tag="sign"):
    """Someone signs a review: the actor, or `by` where a therapist records a signature of the client's side."""

    review: str
    by: str | None = None
    on: date | None = None


class RefuseSignature(Command, frozen=True, kw_only=True, tag="refuse_signature"):
    """Someone will not sign a review, with a reason."""

    review: str
    reason: str
    by: str | None = None


class GrantConsent(Command, frozen=True, kw_only=True, tag="grant_consent"):
    """The client lets a connection see the plan, in writing or by portal."""

    consent: Consent


class RefuseConsent(Command, frozen=True, kw_only=True, tag="refuse_consent"):
    """The client refuses a connection."""

    id: str
    endpoint: str
    on: date | None = None


class RevokeConsent(Command, frozen=True, kw_only=True, tag="revoke_consent"):
    """The client takes a consent back: that day is the first without it."""

    id: str
    on: date | None = None


class Withhold(Command, frozen=True, kw_only=True, tag="withhold"):
    """The client keeps a goal or problem back, from one connection or from all."""

    target: str
    endpoint: str | None = None
    reason: str | None = None


class Release(Command, frozen=True, kw_only=True, tag="release"):
    """The client no longer keeps a goal or problem back."""

    target: str
    endpoint: str | None = None


AnyCommand: TypeAlias = (
    Propose | Accept | Disagree | Submit | Schedule | Activate | Pause | Close | Reopen | Decline | ConfirmAchievement
    | MakeSmaller | BuildOn | KeepUp | MarkReviewed | Void | Edit | AddStep | MarkStep | RecordTrial | AddVictory
    | AddNote | AddFinding | AddBarrier | ResolveBarrier | RecordReading | RateGoal | AgreeVersion | RecordRefusal
    | ActivatePlan | PausePlan | RevokePlan | Discharge | TransferCaseload | HoldReview | Sign | RefuseSignature
    | GrantConsent | RefuseConsent | RevokeConsent | Withhold | Release
)  # fmt: skip
"""Every command there is."""
