"""Decides a command: who acts, the command's own rule, then the plan as a whole. Pure; the day is an argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Any

from fhirgoals.domain.changes import NotReplayable, with_change
from fhirgoals.domain.codes import RevisionReason
from fhirgoals.domain.commands import (
    answers,
    caseload,
    doing,
    goals,
    growth,
    records,
    reviewing,
    sharing,
)
from fhirgoals.domain.commands.edited import judged
from fhirgoals.domain.commands.outcome import Accepted, Done, Refusal
from fhirgoals.domain.commands.records import AnyCommand, Command, Edit
from fhirgoals.domain.commands.scene import Scene
from fhirgoals.domain.commands.settling import Why, settled
from fhirgoals.domain.records import Foreign, Plan
from fhirgoals.domain.references import ids_of
from fhirgoals.domain.who import NO_PART, TABLE, Actor, Table, part_of

Rule = Callable[[Scene, Any], Done | Refusal]

RULES: Mapping[type[Command], Rule] = MappingProxyType(
    {
        records.Propose: goals.propose,
        records.Accept: answers.accept,
        records.Disagree: answers.disagree,
        records.Submit: goals.submit,
        records.Schedule: goals.schedule,
        records.Activate: goals.activate,
        records.Pause: goals.pause,
        records.Close: goals.close,
        records.Reopen: goals.reopen,
        records.Decline: answers.decline,
        records.ConfirmAchievement: goals.confirm_achievement,
        records.MakeSmaller: growth.make_smaller,
        records.BuildOn: growth.build_on,
        records.KeepUp: growth.keep_up,
        records.MarkReviewed: goals.mark_reviewed,
        records.Void: growth.void,
        records.AddStep: doing.add_step,
        records.MarkStep: doing.mark_step,
        records.RecordTrial: doing.record_trial,
        records.AddVictory: doing.add_victory,
        records.AddNote: doing.add_note,
        records.AddFinding: doing.add_finding,
        records.AddBarrier: doing.add_barrier,
        records.ResolveBarrier: doing.resolve_barrier,
        records.RecordReading: doing.record_reading,
        records.RateGoal: doing.rate_goal,
        records.AgreeVersion: caseload.agree_version,
        records.RecordRefusal: caseload.record_refusal,
        records.ActivatePlan: caseload.activate_plan,
        records.PausePlan: caseload.pause_plan,
        records.RevokePlan: caseload.revoke_plan,
        records.Discharge: caseload.discharge,
        records.TransferCaseload: caseload.transfer_caseload,
        records.HoldReview: reviewing.hold_review,
        records.Sign: reviewing.sign,
        records.RefuseSignature: reviewing.refuse_signature,
        records.GrantConsent: sharing.grant_consent,
        records.RefuseConsent: sharing.refuse_consent,
        records.RevokeConsent: sharing.revoke_consent,
        records.Withhold: sharing.withhold,
        records.Release: sharing.release,
    }
)
"""The rule of each command; `Edit` is judged by what it changes."""

REASONS: Mapping[type[Command], RevisionReason] = MappingProxyType(
    {
        records.Disagree: "client_request",
        records.MakeSmaller: "too_ambitious",
        records.Reopen: "clinical_change",
        records.RecordReading: "measure",
        records.RateGoal: "measure",
        records.HoldReview: "review",
        records.Sign: "review",
        records.RefuseSignature: "review",
        records.AgreeVersion: "review",
        records.ActivatePlan: "review",
        records.Void: "correction",
        records.Discharge: "discharge",
        records.RevokePlan: "clinical_change",
        records.TransferCaseload: "transfer",
        records.GrantConsent: "client_request",
        records.RefuseConsent: "client_request",
        records.RevokeConsent: "client_request",
        records.Withhold: "client_request",
        records.Release: "client_request",
    }
)
"""The reason of a revision where the command says none; of the others it is progress."""


def decide_command(
    plan: Plan,
    command: AnyCommand,
    actor: Actor,
    clock: date,
    *,
    rev: int = 0,
    connections: frozenset[str] | None = None,
    table: Table = TABLE,
) -> Accepted | Refusal:
    """Return what becomes of a command: the plan after it with exactly one revision, or why it is refused.

    `rev` is the store's revision of the plan that was read: the command's is the next. `connections` are the names
    that an endpoint may have (`None`: not known). `table` is the policy. Never raises for what a person asks.
    """
    part = part_of(plan, actor, clock)
    if part is None:
        return Refusal("no_part_in_plan", "participants", NO_PART, plan.id)
    refused = _closed_to_all(plan, command) or _unknown_author(plan, command)
    if refused is not None:
        return refused
    scene = Scene(plan, part, actor.by, clock, table)
    done = _edit(scene, command) if isinstance(command, Edit) else RULES[type(command)](scene, command)
    if isinstance(done, Refusal):
        return done if done.at else replace(done, at=_about(command) or plan.id)
    why = Why(
        by=part.id or actor.by,
        because=command.because or REASONS.get(type(command), "progress"),
        requested_by=command.requested_by,
        client_agreed=command.client_agreed,
        summary=command.summary,
    )
    return settled(plan, done, why, clock, rev, connections)


def _about(command: AnyCommand) -> str | None:
    """Return the id of what a command is about."""
    for field in ("goal", "step", "measure", "review", "target"):
        about = getattr(command, field, None)
        if isinstance(about, str):
            return about
    return None


def _edit(scene: Scene, command: Edit) -> Done | Refusal:
    if command.because is None:
        return Refusal(
            "reason_needed",
            "",
            "A change needs its reason: review, correction, progress or another of the list.",
            scene.plan.id,
        )
    after = scene.plan
    try:
        for change in command.changes:
            after = with_change(after, change)
    except NotReplayable:
        sentence = "The plan does not stand as this change says: look at it again."
        return Refusal("outdated", "", sentence, scene.plan.id)
    faults = judged(scene, after, command.because)
    return faults[0] if faults else Done(after)


def _closed_to_all(plan: Plan, command: AnyCommand) -> Refusal | None:
    if plan.status == "entered_in_error":
        sentence = "This plan was entered in error; nothing is done with it any more."
        return Refusal("plan_entered_in_error", "plan.status", sentence, plan.id)
    if isinstance(plan.status, Foreign) and not isinstance(command, Edit):
        sentence = "The plan's status is one that is not known here: mend it first; until then the plan is read only."
        return Refusal("plan_status_unknown", "plan.status", sentence, plan.id)
    return None


def _unknown_author(plan: Plan, command: AnyCommand) -> Refusal | None:
    if command.requested_by is None or command.requested_by in ids_of(plan)["author"]:
        return None
    sentence = "The person who is said to have asked for this has no part in the plan."
    return Refusal("person_unknown", "participants", sentence, command.requested_by)
