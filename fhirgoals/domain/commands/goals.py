"""A goal's way: proposed, planned, active, on hold, closed, reopened, achievement confirmed."""

from __future__ import annotations

from datetime import date

from fhirgoals.domain import codes
from fhirgoals.domain.agreement import client_agrees, therapist_agrees
from fhirgoals.domain.commands.outcome import Done, Refusal
from fhirgoals.domain.commands.records import (
    Activate,
    Close,
    Closing,
    ConfirmAchievement,
    MarkReviewed,
    Pause,
    Propose,
    Reopen,
    Schedule,
    Submit,
)
from fhirgoals.domain.commands.scene import Scene, blank, changed, moved, reason_missing, replace, withheld_everywhere
from fhirgoals.domain.lifecycle import CLOSURES, in_words, status_conflicts
from fhirgoals.domain.records import Goal, Plan

_HISTORY = ("achievement", "closure_reason", "status_date", "status_reason", "replaced_by", "origin", "review")
_RECORDS = ("progress", "findings", "achievements", "barriers", "revisions")


def propose(scene: Scene, command: Propose) -> Done | Refusal:
    """Add a goal as a draft or proposal."""
    refused = scene.forbids("propose_goal", "goals") or scene.plan_is_over()
    if refused is not None:
        return refused
    goal = new_goal(scene, command.goal)
    if isinstance(goal, Refusal):
        return goal
    if goal.lifecycle not in ("draft", "proposed"):
        sentence = "A new goal begins as a draft or a proposal."
        return Refusal("not_a_proposal", _next_path(scene.plan, "lifecycle"), sentence, goal.id)
    return changed(added(scene.plan, goal))


def new_goal(scene: Scene, goal: Goal) -> Goal | Refusal:
    """Return a goal as it may come into the plan, what is left out filled in; or why it may not."""
    path = _next_path(scene.plan, "")
    for field in (*_HISTORY, *_RECORDS):
        if getattr(goal, field):
            return Refusal("begins_without_history", f"{path}{field}", "A new goal begins without a history.", goal.id)
    if any(step.status not in (None, "planned", "scheduled") or step.trials for step in goal.steps) or (
        goal.gas is not None and goal.gas.ratings
    ):
        sentence = "The steps and ratings of a new goal are still to come."
        return Refusal("begins_without_history", f"{path}steps", sentence, goal.id)
    clinician = scene.part.role in ("therapist", "supervisor")
    if not clinician:
        if goal.lifecycle not in (None, "proposed"):
            sentence = "What a client or relative brings in is a proposal."
            return Refusal("not_a_proposal", f"{path}lifecycle", sentence, goal.id)
        if goal.expressed_by not in (None, scene.me) or any(
            line.by != scene.me and line.status != "pending" for line in goal.acceptance
        ):
            sentence = "Each person speaks for themselves only."
            return Refusal("not_ones_own", f"{path}acceptance", sentence, goal.id)
        goal = replace(goal, expressed_by=scene.me)
    elif any(line.method == "portal" and line.by != scene.me for line in goal.acceptance):
        sentence = "By portal a person answers alone; what was said or signed can be recorded."
        return Refusal("not_ones_own", f"{path}acceptance", sentence, goal.id)
    steps = tuple(replace(step, status=step.status or "planned") for step in goal.steps)
    return replace(goal, lifecycle=goal.lifecycle or "proposed", start_date=goal.start_date or scene.today, steps=steps)


def added(plan: Plan, goal: Goal) -> Plan:
    """Return the plan with a new goal at its end; one that is withheld gets both marks."""
    plan = replace(plan, goals=(*plan.goals, goal))
    return withheld_everywhere(plan, goal.id, None) if goal.share == "withheld" else plan


def submit(scene: Scene, command: Submit) -> Done | Refusal:
    """Make a draft a proposal."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = scene.forbids("change_status", f"{path}.lifecycle")
    if refused is None and goal.lifecycle != "draft":
        refused = moved(goal, path, "proposed") or Refusal(
            "move_not_allowed", f"{path}.lifecycle", "This goal was declined: reopen it with a reason.", goal.id
        )
    if refused is not None:
        return refused
    return changed(scene.with_goal(replace(goal, lifecycle="proposed", status_date=scene.today)))


def schedule(scene: Scene, command: Schedule) -> Done | Refusal:
    """Plan a goal for later."""
    found = _to(scene, command.goal, "planned")
    if isinstance(found, Refusal):
        return found
    goal, _ = found
    start = command.start_date or goal.start_date
    return changed(
        scene.with_goal(
            replace(goal, lifecycle="planned", start_date=start, status_date=scene.today, status_reason=None)
        )
    )


def activate(scene: Scene, command: Activate) -> Done | Refusal:
    """Begin work on a goal, or go on with it; what was closed is reopened instead."""
    found = _to(scene, command.goal, "active")
    if isinstance(found, Refusal):
        return found
    goal, path = found
    if goal.lifecycle in ("completed", "cancelled"):
        sentence = f"This goal is {in_words(goal.lifecycle)}: reopen it with a reason."
        return Refusal("reopen_instead", f"{path}.lifecycle", sentence, goal.id)
    refused = not_agreed(scene.plan, goal, path)
    if refused is not None:
        return refused
    return changed(scene.with_goal(_begun(scene, goal, None)))


def not_agreed(plan: Plan, goal: Goal, path: str) -> Refusal | None:
    """Return whose agreement is missing before a goal may be active, or `None`."""
    if not client_agrees(plan, goal):
        sentence = "The client has not agreed to this goal yet, nor a legal representative."
        return Refusal("goal_without_agreement", f"{path}.acceptance", sentence, goal.id)
    if goal.nature == "exploratory" and not therapist_agrees(plan, goal):
        sentence = "An exploratory goal is a shared undertaking: the therapist has to agree to it too."
        return Refusal("exploration_needs_both", f"{path}.acceptance", sentence, goal.id)
    return None


def pause(scene: Scene, command: Pause) -> Done | Refusal:
    """Put a goal on hold, with a reason."""
    found = _to(scene, command.goal, "on_hold")
    if isinstance(found, Refusal):
        return found
    goal, path = found
    if blank(command.reason):
        return reason_missing(f"{path}.status_reason", goal.id)
    return changed(
        scene.with_goal(replace(goal, lifecycle="on_hold", status_date=scene.today, status_reason=command.reason))
    )


def close(scene: Scene, command: Close) -> Done | Refusal:
    """Complete or cancel a goal, as the closure reason says."""
    if command.closure_reason == "replaced":
        sentence = "A goal is replaced by making it smaller: name the goal that takes its place."
        path = scene.place(command.goal)
        return path if isinstance(path, Refusal) else Refusal("replace_instead", path, sentence, command.goal)
    found = _to(scene, command.goal, CLOSURES[command.closure_reason].lifecycle)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    day = scene.day(command.on, f"{path}.status_date")
    if isinstance(day, Refusal):
        return day
    closing = Closing(closure_reason=command.closure_reason, achievement=command.achievement, reason=command.reason)
    closed = closed_goal(goal, path, closing, day)
    if isinstance(closed, Refusal):
        return closed
    return changed(scene.with_goal(closed), *_open_children(scene.plan, goal))


def reopen(scene: Scene, command: Reopen) -> Done | Refusal:
    """Take up again what was closed, or propose again what was declined; with a reason."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    to: codes.Lifecycle = "proposed" if goal.lifecycle == "declined" else "active"
    if goal.lifecycle not in ("declined", "completed", "cancelled"):
        sentence = f"Only a closed goal is reopened; this one is {in_words(goal.lifecycle)}."
        return Refusal("move_not_allowed", f"{path}.lifecycle", sentence, goal.id)
    refused = scene.forbids("change_status", f"{path}.lifecycle") or scene.plan_is_over()
    if refused is None and goal.replaced_by is not None:
        sentence = "This goal was replaced by a smaller one: go on with that, or propose a new goal."
        refused = Refusal("was_replaced", f"{path}.replaced_by", sentence, goal.id)
    if refused is None and blank(command.reason):
        refused = reason_missing(f"{path}.status_reason", goal.id)
    if refused is None and to == "active":
        refused = not_agreed(scene.plan, goal, path)
    if refused is not None:
        return refused
    if to == "active":
        # Open clinical question 15: an achieved goal that gets worse is the same goal, in progress again.
        reopened = replace(_begun(scene, goal, command.reason), achievement="in_progress")
    else:
        reopened = replace(
            goal,
            lifecycle=to,
            achievement=None,
            closure_reason=None,
            status_date=scene.today,
            status_reason=command.reason,
        )
    return changed(scene.with_goal(reopened))


def confirm_achievement(scene: Scene, command: ConfirmAchievement) -> Done | Refusal:
    """Say how far a goal is, within what its status allows."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = scene.forbids("change_status", f"{path}.achievement")
    if refused is not None:
        return refused
    if goal.lifecycle not in ("active", "on_hold", "completed", "cancelled"):
        sentence = "Before work on a goal has begun there is nothing to say about its achievement."
        return Refusal("nothing_to_confirm", f"{path}.achievement", sentence, goal.id)
    confirmed = replace(goal, achievement=command.achievement)
    return _consistent(confirmed, path) or changed(scene.with_goal(confirmed))


def mark_reviewed(scene: Scene, command: MarkReviewed) -> Done | Refusal:
    """Note that a therapist has seen a goal that came from an EHR."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = scene.forbids("settle", f"{path}.review")
    if refused is None and goal.review != "unreviewed":
        sentence = "This goal does not wait for a therapist to see it."
        refused = Refusal("nothing_to_review", f"{path}.review", sentence, goal.id)
    return refused or changed(scene.with_goal(replace(goal, review="reviewed")))


def closed_goal(goal: Goal, path: str, closing: Closing, on: date) -> Goal | Refusal:
    """Return a goal as it is closed on a day; an achievement that nobody says follows from the reason."""
    closure = CLOSURES[closing.closure_reason]
    refused = moved(goal, path, closure.lifecycle)
    if refused is not None:
        return refused
    achievement = closing.achievement
    if achievement is None and goal.achievement in closure.achievements:
        # A person confirmed it before.
        achievement = goal.achievement if isinstance(goal.achievement, str) else None
    if achievement is None:
        achievement = closure.default
    closed = replace(
        goal,
        lifecycle=closure.lifecycle,
        achievement=achievement,
        closure_reason=closing.closure_reason,
        status_date=on,
        status_reason=closing.reason,
    )
    return _consistent(closed, path) or closed


def _to(scene: Scene, goal_id: str, state: codes.Lifecycle) -> tuple[Goal, str] | Refusal:
    """Find a goal that may go to a state, by this actor."""
    found = scene.goal(goal_id)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = scene.forbids("change_status", f"{path}.lifecycle") or moved(goal, path, state)
    return refused or found


def _begun(scene: Scene, goal: Goal, reason: str | None) -> Goal:
    return replace(goal, lifecycle="active", closure_reason=None, status_date=scene.today, status_reason=reason)


def _consistent(goal: Goal, path: str) -> Refusal | None:
    for field, sentence in status_conflicts(goal):
        return Refusal("status_conflict", f"{path}.{field}", sentence, goal.id)
    return None


def _open_children(plan: Plan, goal: Goal) -> tuple[str, ...]:
    if any(each.parent == goal.id and each.lifecycle in ("active", "planned", "on_hold") for each in plan.goals):
        return ("Short-term goals under this one are still open.",)
    return ()


def _next_path(plan: Plan, field: str) -> str:
    return f"goals[{len(plan.goals)}].{field}"
