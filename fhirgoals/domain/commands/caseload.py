"""The plan as a whole: agreed versions, begun, on hold, revoked, discharged, handed over to another therapist."""

from __future__ import annotations

from datetime import date

from fhirgoals.domain import codes, records
from fhirgoals.domain.changes import changes
from fhirgoals.domain.commands.goals import closed_goal
from fhirgoals.domain.commands.outcome import Done, Refusal
from fhirgoals.domain.commands.records import (
    ActivatePlan,
    AgreeVersion,
    Closing,
    Discharge,
    PausePlan,
    RecordRefusal,
    RevokePlan,
    TransferCaseload,
)
from fhirgoals.domain.commands.reviewing import with_review
from fhirgoals.domain.commands.scene import Scene, blank, changed, reason_missing, replace, with_goal
from fhirgoals.domain.lifecycle import OPEN, PLAN, in_words, may_follow
from fhirgoals.domain.records import Change, Goal, Period, Plan, Revision


def agree_version(scene: Scene, command: AgreeVersion) -> Done | Refusal:
    """Make the plan as it stands the next agreed version."""
    refused = scene.forbids("agree_version", "revisions")
    if refused is None and scene.plan.kind == "client_treatment" and command.client_agreed is None:
        sentence = "Say whether the client agreed to this version."
        refused = Refusal("agreement_not_said", "revisions", sentence, scene.plan.id)
    if refused is not None:
        return refused
    because = command.because or ("review" if scene.plan.revisions else "initial")
    return changed(
        with_version(
            scene,
            scene.plan,
            because,
            client_agreed=command.client_agreed,
            summary=command.summary,
            requested_by=command.requested_by,
            since=command.since,
        )
    )


def with_version(
    scene: Scene,
    plan: Plan,
    because: codes.RevisionReason,
    *,
    client_agreed: bool | None,
    summary: str | None,
    requested_by: str | None = None,
    since: Plan | None = None,
) -> Plan:
    """Return the plan with its next agreed version, and with the goals that changed since then listing how."""
    rev = max((each.rev for each in plan.revisions), default=0) + 1
    version = Revision(
        rev=rev,
        date=scene.today,
        by=scene.me or scene.by,
        requested_by=requested_by,
        reason=because,
        client_agreed=client_agreed,
        summary=summary,
    )
    before = {} if since is None else {goal.id: goal for goal in since.goals}
    goals = []
    for goal in plan.goals:
        made = changes(before[goal.id], goal) if goal.id in before else ()
        listed: tuple[Change, ...] = tuple(each for each in made if not each.field.startswith("revisions"))
        own = replace(version, summary=None, changes=listed)
        goals.append(replace(goal, revisions=(*goal.revisions, own)) if listed else goal)
    return replace(plan, revision=rev, revisions=(*plan.revisions, version), goals=tuple(goals))


def record_refusal(scene: Scene, command: RecordRefusal) -> Done | Refusal:
    """Put on record that the client would not agree to the plan, and why."""
    refused = scene.forbids("agree_version", "plan.refusal")
    if refused is None and blank(command.reason):
        refused = reason_missing("plan.refusal", scene.plan.id)
    day = refused or scene.day(command.on, "plan.refusal")
    if isinstance(day, Refusal):
        return day
    known = scene.participant(command.by)
    if isinstance(known, Refusal):
        return known
    return changed(replace(scene.plan, refusal=records.Refusal(by=known.id, reason=command.reason, date=day)))


def activate_plan(scene: Scene, _command: ActivatePlan) -> Done | Refusal:
    """Begin the plan, or go on with it; whether it was agreed on is checked with the plan (invariant 9)."""
    refused = _moved(scene, "active")
    if refused is not None:
        return refused
    start = scene.plan.start_date or scene.today
    return changed(replace(scene.plan, status="active", start_date=start))


def pause_plan(scene: Scene, command: PausePlan) -> Done | Refusal:
    """Put the plan on hold."""
    refused = _moved(scene, "on_hold")
    if refused is None and blank(command.reason):
        refused = reason_missing("plan.status", scene.plan.id)
    return refused or changed(replace(scene.plan, status="on_hold"))


def revoke_plan(scene: Scene, command: RevokePlan) -> Done | Refusal:
    """End a plan that was not carried out, and its open goals with it."""
    refused = _moved(scene, "revoked")
    if refused is None and blank(command.reason):
        refused = reason_missing("plan.status", scene.plan.id)
    day = refused or scene.day(command.on, "plan.end_date")
    if isinstance(day, Refusal):
        return day
    plan = _all_closed(scene.plan, command.closings, command.others, day)
    return plan if isinstance(plan, Refusal) else changed(replace(plan, status="revoked", end_date=day))


def discharge(scene: Scene, command: Discharge) -> Done | Refusal:
    """End the treatment: goals closed, discharge and its review on record, the version agreed on."""
    refused = _moved(scene, "completed")
    if refused is None and blank(command.words):
        refused = Refusal("words_needed", "plan.discharge", "A discharge needs a summary.", scene.plan.id)
    if refused is None and scene.plan.kind == "client_treatment" and command.client_agreed is None:
        sentence = "Say whether the client agreed to the ending."
        refused = Refusal("agreement_not_said", "plan.discharge", sentence, scene.plan.id)
    day = refused or scene.day(command.on, "plan.discharge.date")
    if isinstance(day, Refusal):
        return day
    plan: Plan | Refusal = _all_closed(scene.plan, command.closings, command.others, day)
    if isinstance(plan, Refusal):
        return plan
    if command.review is not None:
        plan = with_review(scene, plan, command.review, "discharge")
        if isinstance(plan, Refusal):
            return plan
    record = records.Discharge(
        date=day,
        kind=command.kind,
        outcome=command.outcome,
        summary=command.words,
        follow_up=command.follow_up,
    )
    plan = replace(plan, status="completed", end_date=day, discharge=record)
    plan = with_version(
        scene, plan, "discharge", client_agreed=command.client_agreed, summary=command.summary or command.words
    )
    return changed(plan)


def transfer_caseload(scene: Scene, command: TransferCaseload) -> Done | Refusal:
    """Hand the plan over: the new therapist's part begins, the old one's ends, with a transfer review.

    What the old therapist was to do goes to the new one; each goal waits for the new therapist's own agreement.
    """
    refused = scene.forbids("change_status", "participants") or scene.plan_is_over()
    if refused is None and scene.plan.kind != "client_treatment":
        sentence = "A development plan stays with the therapist it is about."
        refused = Refusal("not_to_hand_over", "participants", sentence, scene.plan.id)
    if refused is None and scene.plan.kind == "client_treatment" and command.client_agreed is None:
        sentence = "Say whether the client agreed to the change of therapist."
        refused = Refusal("agreement_not_said", "participants", sentence, scene.plan.id)
    day = refused or scene.day(command.on, "participants")
    if isinstance(day, Refusal):
        return day
    plan = scene.plan
    leaving = {each.id for each in plan.participants if each.role == "primary_therapist"}
    if any(each.ref == command.to.ref and each.id in leaving for each in plan.participants):
        sentence = "This therapist has the plan already."
        return Refusal("is_so_already", "participants", sentence, command.to.id)
    if any(each.id == command.to.id and each.ref != command.to.ref for each in plan.participants):
        sentence = "Another participant has the same id."
        return Refusal("id_twice", "participants", sentence, command.to.id)
    people = []
    for each in plan.participants:
        if each.id in leaving:
            start = None if each.period is None else each.period.start
            people.append(replace(each, role="former_therapist", period=Period(start=start or _first(plan), end=day)))
        elif each.id != command.to.id:
            people.append(each)
    coming = replace(command.to, role="primary_therapist", period=Period(start=day))
    taken_over = tuple(replace(each, by=coming.id) if each.by in leaving else each for each in plan.interventions)
    goals = tuple(_steps_taken_over(goal, leaving, coming.id) for goal in plan.goals)
    plan = replace(plan, participants=(*people, coming), interventions=taken_over, goals=goals)
    reviewed = with_review(scene, plan, command.review, "transfer")
    if isinstance(reviewed, Refusal):
        return reviewed
    summary = command.summary or command.review.summary
    plan = with_version(scene, reviewed, "transfer", client_agreed=command.client_agreed, summary=summary)
    return changed(plan, "The new therapist's agreement to each goal is still to be recorded.")


def _steps_taken_over(goal: Goal, leaving: set[str], to: str) -> Goal:
    """Return the goal with the leaving therapist's open steps given to the new one."""
    return replace(
        goal,
        steps=tuple(
            replace(step, participant=to) if step.participant in leaving and step.status in _TO_DO else step
            for step in goal.steps
        ),
    )


_TO_DO = frozenset({"planned", "scheduled", "in_progress", "on_hold"})


def _first(plan: Plan) -> date | None:
    return plan.start_date if isinstance(plan.start_date, date) else None


def _moved(scene: Scene, to: codes.PlanStatus) -> Refusal | None:
    plan = scene.plan
    refused = scene.forbids("change_status", "plan.status")
    if refused is None and plan.status == to:
        sentence = f"This plan is {in_words(to)} already."
        refused = Refusal("is_so_already", "plan.status", sentence, plan.id)
    if refused is None and not may_follow(PLAN, plan.status, to):
        sentence = f"A plan that is {in_words(plan.status)} does not become {in_words(to)}."
        refused = Refusal("move_not_allowed", "plan.status", sentence, plan.id)
    return refused


def _all_closed(plan: Plan, closings: dict[str, Closing], others: Closing | None, on: date) -> Plan | Refusal:
    """Return the plan with every goal closed that an ended plan may not have open (invariant 19)."""
    known = {goal.id for goal in plan.goals}
    if closings.keys() - known:
        return Refusal("goal_unknown", "goals", "The plan has no goal of that id.", min(closings.keys() - known))
    for index, goal in enumerate(plan.goals):
        closing = closings.get(goal.id, others if goal.lifecycle in OPEN else None)
        path = f"goals[{index}]"
        if closing is None:
            if goal.lifecycle in OPEN:
                sentence = "This goal is still open: say how it ends with the plan."
                return Refusal("goal_still_open", f"{path}.lifecycle", sentence, goal.id)
            continue
        if closing.closure_reason == "replaced":
            sentence = "A goal is replaced by making it smaller: name the goal that takes its place."
            return Refusal("replace_instead", path, sentence, goal.id)
        if goal.id not in closings and goal.lifecycle == "planned":
            # What was never begun is not completed.
            closing = Closing(closure_reason="no_longer_relevant", reason=closing.reason)
        closed = closed_goal(goal, path, closing, on)
        if isinstance(closed, Refusal):
            return closed
        plan = with_goal(plan, closed)
    return plan
