"""What a command's rule works with: the plan, who acts as what, the day; and what most rules ask or do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import msgspec

from fhirgoals.domain import codes
from fhirgoals.domain.commands.outcome import Done, Refusal
from fhirgoals.domain.lifecycle import GOAL, in_words, may_follow
from fhirgoals.domain.records import Goal, Measure, Participant, Plan, Review, Step, Withheld
from fhirgoals.domain.who import Action, Answer, Part, Table, may

replace = msgspec.structs.replace
T = TypeVar("T")

ASK = "Only a therapist or supervisor may do this; it can be asked for."
NOT_ALLOWED = "This is not for this person's part in the plan to do."
WAITS = "What an EHR's user asks for waits in the inbox until a therapist decides."
IN_FUTURE = "The day is still to come: only what has happened is recorded."


@dataclass(frozen=True, slots=True)
class Scene:
    """A plan as it stands, the part of the actor in it, and the day."""

    plan: Plan
    part: Part
    by: str
    today: date
    table: Table

    @property
    def me(self) -> str | None:
        """The actor's participant id."""
        return self.part.id

    def answer(self, action: Action) -> Answer:
        """Return what the policy says about the actor and an action."""
        return may(self.plan, self.part, action, self.table)

    def forbids(self, action: Action, path: str = "", *, own: bool = False) -> Refusal | None:
        """Return why the actor may not do this, or `None`. `own`: it is their own line, step, words or note."""
        match self.answer(action):
            case "yes" | "taken" | "as_stated":
                return None
            case "own" if own:
                return None
            case "own":
                return Refusal("not_ones_own", path, "Only what is one's own: this is another person's.")
            case "request":
                return Refusal("may_ask_only", path, ASK)
            case "queue":
                return Refusal("waits_for_therapist", path, WAITS)
            case "ignored" | "no":
                return Refusal("not_allowed", path, NOT_ALLOWED)

    def day(self, given: date | None, path: str) -> date | Refusal:
        """Return the day that a command names, today's where it names none; a day to come is refused."""
        if given is not None and given > self.today:
            return Refusal("day_to_come", path, IN_FUTURE)
        return given or self.today

    def place(self, goal_id: str) -> str | Refusal:
        """Return the path of a goal in the plan's file."""
        for index, goal in enumerate(self.plan.goals):
            if goal.id == goal_id:
                return f"goals[{index}]"
        return Refusal("goal_unknown", "goals", "The plan has no goal of that id.", goal_id)

    def goal(self, goal_id: str) -> tuple[Goal, str] | Refusal:
        """Return a living goal and its path."""
        path = self.place(goal_id)
        if isinstance(path, Refusal):
            return path
        goal = self.plan.goal(goal_id)
        if goal.lifecycle == "entered_in_error":
            sentence = "This goal was entered in error; nothing is done with it any more."
            return Refusal("goal_entered_in_error", f"{path}.lifecycle", sentence, goal_id)
        return goal, path

    def step(self, step_id: str) -> tuple[Goal, Step, str] | Refusal:
        """Return a living step, its goal and its path."""
        for place, goal in enumerate(self.plan.goals):
            for index, step in enumerate(goal.steps):
                if step.id == step_id:
                    path = f"goals[{place}].steps[{index}]"
                    if "entered_in_error" in (step.status, goal.lifecycle):
                        sentence = "This step was entered in error; nothing is done with it any more."
                        return Refusal("step_entered_in_error", f"{path}.status", sentence, step_id)
                    return goal, step, path
        return Refusal("step_unknown", "goals", "The plan has no step of that id.", step_id)

    def measure(self, measure_id: str) -> tuple[Measure, str] | Refusal:
        """Return a measure and its path."""
        for index, measure in enumerate(self.plan.measures):
            if measure.id == measure_id:
                return measure, f"measures[{index}]"
        return Refusal("measure_unknown", "measures", "The plan has no measure of that id.", measure_id)

    def review(self, review_id: str) -> tuple[Review, str] | Refusal:
        """Return a review and its path."""
        for index, review in enumerate(self.plan.reviews):
            if review.id == review_id:
                return review, f"reviews[{index}]"
        return Refusal("review_unknown", "reviews", "The plan has no review of that id.", review_id)

    def participant(self, participant_id: str) -> Participant | Refusal:
        """Return a participant."""
        for each in self.plan.participants:
            if each.id == participant_id:
                return each
        return Refusal("person_unknown", "participants", "The plan has no participant of that id.", participant_id)

    def plan_is_over(self) -> Refusal | None:
        """Return why nothing new begins in this plan, or `None`."""
        if self.plan.status in ("completed", "revoked", "entered_in_error"):
            sentence = f"This plan is {in_words(self.plan.status)}; nothing new begins in it."
            return Refusal("plan_is_over", "plan.status", sentence, self.plan.id)
        return None

    def with_goal(self, goal: Goal) -> Plan:
        """Return the plan with a goal in its new version."""
        return with_goal(self.plan, goal)


def with_goal(plan: Plan, goal: Goal) -> Plan:
    """Return the plan with a goal in its new version."""
    return replace(plan, goals=tuple(goal if each.id == goal.id else each for each in plan.goals))


def with_step(plan: Plan, goal: Goal, step: Step) -> Plan:
    """Return the plan with a step in its new version."""
    return with_goal(plan, replace(goal, steps=tuple(step if each.id == step.id else each for each in goal.steps)))


def with_item(items: tuple[T, ...], same: Callable[[T], bool], new: T) -> tuple[T, ...]:
    """Return the items with the one found replaced, or with the new one at the end."""
    if any(same(each) for each in items):
        return tuple(new if same(each) else each for each in items)
    return (*items, new)


def moved(goal: Goal, path: str, to: codes.Lifecycle) -> Refusal | None:
    """Return why a goal may not go to a state from where it is, or `None`."""
    if goal.lifecycle == to:
        sentence = f"This goal is {in_words(to)} already."
        return Refusal("is_so_already", f"{path}.lifecycle", sentence, goal.id)
    if not may_follow(GOAL, goal.lifecycle, to):
        sentence = f"A goal that is {in_words(goal.lifecycle)} does not become {in_words(to)}."
        return Refusal("move_not_allowed", f"{path}.lifecycle", sentence, goal.id)
    return None


def blank(words: str | None) -> bool:
    """Tell whether a text says nothing."""
    return not (words or "").strip()


def reason_missing(path: str, at: str) -> Refusal:
    """Return the refusal of a command that needs a reason in words."""
    return Refusal("reason_needed", path, "This needs a reason in words.", at)


def withheld_everywhere(plan: Plan, target: str, reason: str | None) -> Plan:
    """Return the plan with a goal or problem kept back from every connection, by both marks (invariant 23)."""
    entries = plan.disclosure.withheld
    if not any(each.target == target and each.endpoint is None for each in entries):
        entries = (*entries, Withheld(target=target, reason=reason))
    goals = tuple(replace(each, share="withheld") if each.id == target else each for each in plan.goals)
    return replace(plan, goals=goals, disclosure=replace(plan.disclosure, withheld=entries))


def changed(plan: Plan, *also: str) -> Done:
    """Return what a rule made of the plan."""
    return Done(plan, also)
