"""Goals that come from goals: a smaller one in place, a next one after, keeping up what was reached; and voiding."""

from __future__ import annotations

from fhirgoals.domain.commands.goals import added, closed_goal, new_goal, not_agreed
from fhirgoals.domain.commands.outcome import Done, Refusal
from fhirgoals.domain.commands.records import BuildOn, Closing, KeepUp, MakeSmaller, Void
from fhirgoals.domain.commands.scene import Scene, blank, changed, moved, reason_missing, replace, with_goal, with_step
from fhirgoals.domain.lifecycle import CLOSED, FIRST_STATES, MET, NOT_MET, in_words
from fhirgoals.domain.records import Goal, Plan


def make_smaller(scene: Scene, command: MakeSmaller) -> Done | Refusal:
    """Cancel a goal as replaced and put a smaller one in its place; open goals under it go with it."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    old, path = found
    refused = scene.forbids("change_status", f"{path}.lifecycle") or scene.plan_is_over()
    if refused is None and blank(command.reason):
        refused = reason_missing(f"{path}.status_reason", old.id)
    if refused is not None:
        return refused
    achievement = command.achievement
    if achievement is not None and achievement not in NOT_MET:
        sentence = "A goal that is replaced was not achieved: leave the achievement out, or say how far it came."
        return Refusal("status_conflict", f"{path}.achievement", sentence, old.id)
    smaller = _in_place_of(old, new_goal(scene, command.smaller))
    if isinstance(smaller, Refusal):
        return smaller
    place = f"goals[{len(scene.plan.goals)}]"
    if smaller.horizon != old.horizon:
        sentence = "The smaller goal is of the same horizon as the one that it replaces."
        return Refusal("horizon_differs", f"{place}.horizon", sentence, smaller.id)
    refused = _may_begin(scene.plan, smaller, place)
    if refused is not None:
        return refused
    closing = Closing(closure_reason="replaced", achievement=achievement, reason=command.reason)
    closed = closed_goal(old, path, closing, scene.today)
    if isinstance(closed, Refusal):
        return closed
    plan = added(with_goal(scene.plan, replace(closed, replaced_by=smaller.id)), smaller)
    going = {each.id for each in plan.goals if each.parent == old.id and each.lifecycle not in CLOSED}
    goals = tuple(replace(each, parent=smaller.id) if each.id in going else each for each in plan.goals)
    also = ("The open short-term goals are now under the smaller goal.",) if going else ()
    return changed(replace(plan, goals=goals), *also)


def _in_place_of(old: Goal, smaller: Goal | Refusal) -> Goal | Refusal:
    """Return the smaller goal with what it does not say taken over from the goal that it replaces."""
    if isinstance(smaller, Refusal):
        return smaller
    return replace(
        smaller,
        parent=smaller.parent or old.parent,
        horizon=smaller.horizon or old.horizon,
        nature=smaller.nature or old.nature,
        domain=smaller.domain or old.domain,
        priority=smaller.priority or old.priority,
        addresses=smaller.addresses or old.addresses,
    )


def _may_begin(plan: Plan, goal: Goal, path: str) -> Refusal | None:
    """Return why a new goal may not begin in the state that it says, or `None`."""
    if goal.lifecycle not in FIRST_STATES:
        sentence = f"A new goal does not begin as {in_words(goal.lifecycle)}."
        return Refusal("move_not_allowed", f"{path}.lifecycle", sentence, goal.id)
    return not_agreed(plan, goal, path) if goal.lifecycle in ("accepted", "active") else None


def build_on(scene: Scene, command: BuildOn) -> Done | Refusal:
    """Add a next goal after one that was reached."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    old, path = found
    refused = scene.forbids("propose_goal", "goals") or scene.plan_is_over() or _not_reached(old, path)
    following = refused or new_goal(scene, command.following)
    if isinstance(following, Refusal):
        return following
    if following.lifecycle not in ("draft", "proposed"):
        sentence = "A new goal begins as a draft or a proposal."
        return Refusal("not_a_proposal", f"goals[{len(scene.plan.goals)}].lifecycle", sentence, following.id)
    if old.id not in following.predecessors:
        following = replace(following, predecessors=(*following.predecessors, old.id))
    return changed(added(scene.plan, following))


def keep_up(scene: Scene, command: KeepUp) -> Done | Refusal:
    """Sustain what was reached: active while support is needed, else completed (open clinical question 7)."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = scene.forbids("change_status", f"{path}.lifecycle")
    if refused is not None:
        return refused
    if not command.supported:
        if goal.lifecycle == "active":
            closing = Closing(closure_reason="achieved", achievement="sustaining", reason=command.reason)
            closed = closed_goal(goal, path, closing, scene.today)
            return closed if isinstance(closed, Refusal) else changed(scene.with_goal(closed))
        return _not_reached(goal, path) or changed(scene.with_goal(replace(goal, achievement="sustaining")))
    if goal.lifecycle == "active":
        return changed(scene.with_goal(replace(goal, achievement="sustaining")))
    refused = _not_reached(goal, path) or moved(goal, path, "active") or not_agreed(scene.plan, goal, path)
    if refused is None and blank(command.reason):
        refused = reason_missing(f"{path}.status_reason", goal.id)
    return refused or changed(
        scene.with_goal(
            replace(
                goal,
                lifecycle="active",
                achievement="sustaining",
                closure_reason=None,
                status_date=scene.today,
                status_reason=command.reason,
            )
        )
    )


def _not_reached(goal: Goal, path: str) -> Refusal | None:
    if goal.achievement not in MET or goal.lifecycle not in ("completed", "active"):
        sentence = "Only a goal that was reached is built on or kept up."
        return Refusal("not_reached", f"{path}.achievement", sentence, goal.id)
    return None


def void(scene: Scene, command: Void) -> Done | Refusal:
    """Mark a goal, a step or the plan as entered in error; ids stay as tombstones (invariant 17)."""
    plan = scene.plan
    if command.target == plan.id:
        refused = scene.forbids("change_status", "plan.status")
        if refused is None and blank(command.reason):
            refused = reason_missing("plan.status", plan.id)
        return refused or changed(replace(plan, status="entered_in_error"))
    if any(step.id == command.target for goal in plan.goals for step in goal.steps):
        return _void_step(scene, command)
    found = scene.goal(command.target)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = scene.forbids("change_status", f"{path}.lifecycle") or moved(goal, path, "entered_in_error")
    if refused is None and any(each.parent == goal.id and each.lifecycle != "entered_in_error" for each in plan.goals):
        sentence = "Short-term goals are under this one: move them to another, or enter them in error first."
        refused = Refusal("has_goals_under_it", f"{path}.lifecycle", sentence, goal.id)
    if refused is None and blank(command.reason):
        refused = reason_missing(f"{path}.status_reason", goal.id)
    return refused or changed(
        scene.with_goal(
            replace(goal, lifecycle="entered_in_error", status_date=scene.today, status_reason=command.reason)
        )
    )


def _void_step(scene: Scene, command: Void) -> Done | Refusal:
    found = scene.step(command.target)
    if isinstance(found, Refusal):
        return found
    goal, step, path = found
    refused = scene.forbids("change_substance", f"{path}.status")
    if refused is None and blank(command.reason):
        refused = reason_missing(f"{path}.status", step.id)
    return refused or changed(with_step(scene.plan, goal, replace(step, status="entered_in_error")))
