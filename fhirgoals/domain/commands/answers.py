"""Agreeing and disagreeing: each person's own line; a therapist records what the client's side said or signed."""

from __future__ import annotations

from fhirgoals.domain import codes
from fhirgoals.domain.agreement import client_agrees, client_side, therapist_agrees
from fhirgoals.domain.commands.outcome import Done, Refusal
from fhirgoals.domain.commands.records import Accept, Decline, Disagree
from fhirgoals.domain.commands.scene import Scene, blank, changed, moved, reason_missing, replace, with_goal, with_item
from fhirgoals.domain.lifecycle import CLOSED, in_words
from fhirgoals.domain.records import Acceptance, Goal, Plan


def accept(scene: Scene, command: Accept) -> Done | Refusal:
    """Put an agreement on its line; a proposal to which both sides agree becomes accepted."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = _not_open(goal, path)
    line = refused or _line(scene, goal, path, command)
    if isinstance(line, Refusal):
        return line
    day = scene.day(command.on, f"{path}.acceptance")
    if isinstance(day, Refusal):
        return day
    agreed = replace(line, status="agree", date=day, method=command.method, reason=None)
    if command.priority is not None:
        agreed = replace(agreed, priority=command.priority)
    plan = _with_line(scene.plan, goal, agreed)
    goal = plan.goal(goal.id)
    if goal.lifecycle == "proposed" and client_agrees(plan, goal) and therapist_agrees(plan, goal):
        plan = with_goal(plan, replace(goal, lifecycle="accepted", status_date=scene.today, status_reason=None))
        return changed(
            plan, "Both sides agree now, so the proposal is accepted. Work on it begins when it is activated."
        )
    return changed(plan)


def disagree(scene: Scene, command: Disagree) -> Done | Refusal:
    """Put a disagreement on its line; what ran on that agreement alone waits from now on (invariant 9)."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = _not_open(goal, path)
    line = refused or _line(scene, goal, path, command)
    if isinstance(line, Refusal):
        return line
    day = scene.day(command.on, f"{path}.acceptance")
    if isinstance(day, Refusal):
        return day
    if blank(command.reason):
        return reason_missing(f"{path}.acceptance", goal.id)
    plan = _with_line(
        scene.plan, goal, replace(line, status="disagree", date=day, method=command.method, reason=command.reason)
    )
    goal = plan.goal(goal.id)
    if client_agrees(plan, goal) or goal.lifecycle not in ("active", "accepted"):
        return changed(plan)
    waiting: codes.Lifecycle = "on_hold" if goal.lifecycle == "active" else "planned"
    reason = command.reason if waiting == "on_hold" else None
    goal = replace(goal, lifecycle=waiting, status_date=scene.today, status_reason=reason, closure_reason=None)
    return changed(
        with_goal(plan, goal), f"The client no longer agrees, so the goal is {in_words(waiting)} until it is settled."
    )


def decline(scene: Scene, command: Decline) -> Done | Refusal:
    """Decline a proposal. Who declines for the client's side disagrees on that side's line too."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    own = scene.me in {each.id for each in client_side(scene.plan)}
    refused = scene.forbids("answer_goal" if own else "change_status", f"{path}.lifecycle", own=own)
    refused = refused or moved(goal, path, "declined")
    if refused is not None:
        return refused
    if blank(command.reason):
        return reason_missing(f"{path}.status_reason", goal.id)
    plan = scene.plan
    if own and scene.me is not None:
        line = Acceptance(
            by=scene.me, status="disagree", date=scene.today, method=command.method, reason=command.reason
        )
        plan = _with_line(plan, goal, line)
        goal = plan.goal(goal.id)
    goal = replace(goal, lifecycle="declined", achievement=None, status_date=scene.today, status_reason=command.reason)
    return changed(with_goal(plan, goal))


def _not_open(goal: Goal, path: str) -> Refusal | None:
    if goal.lifecycle in CLOSED:
        sentence = f"This goal is {in_words(goal.lifecycle)}; nobody has to agree to it any more."
        return Refusal("goal_is_closed", f"{path}.lifecycle", sentence, goal.id)
    return None


def _line(scene: Scene, goal: Goal, path: str, command: Accept | Disagree) -> Acceptance | Refusal:
    """The line that is answered, or why the actor may not answer on it."""
    by = command.by or scene.me
    place = f"{path}.acceptance"
    if by is None:
        return Refusal("no_line", place, "This person has no line of their own in the plan.", goal.id)
    known = scene.participant(by)
    if isinstance(known, Refusal):
        return known
    own = by == scene.me
    # What a client says or signs in the room is recorded by the therapist; by portal a person answers alone.
    recorded = scene.part.role == "therapist" and command.method != "portal" and known.role != "clinical_supervisor"
    refused = None if not own and recorded else scene.forbids("answer_goal", place, own=own)
    if refused is not None:
        return refused
    return next((each for each in goal.acceptance if each.by == by), Acceptance(by=by, status="pending"))


def _with_line(plan: Plan, goal: Goal, line: Acceptance) -> Plan:
    return with_goal(plan, replace(goal, acceptance=with_item(goal.acceptance, lambda each: each.by == line.by, line)))
