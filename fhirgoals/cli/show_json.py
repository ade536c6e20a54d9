"""What `show` prints for programs: the same tree, with the figures by goal and for the plan."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import msgspec

from fhirgoals.cli.show_goal import Told
from fhirgoals.cli.tree import status_words
from fhirgoals.domain.readers import client_words_first
from fhirgoals.domain.records import Goal
from fhirgoals.fhir.exact_json import Tree


def plain_tree(told: Told) -> dict[str, Tree]:
    """Return title, goals and steps of a plan as its reader gets it; no figures."""
    goals: list[Tree] = [_goal(told, goal) for goal in told.plan.goals]
    return {"id": told.plan.id, "title": told.plan.title, "goals": goals}


def therapist_tree(told: Told) -> dict[str, Tree]:
    """Return the tree with every figure that a therapist is shown."""
    figures = told.figures
    goals: list[Tree] = []
    for goal in told.plan.goals:
        one = _goal(told, goal) | _figures(told, goal)
        smart = told.smart.get(goal.id)
        if smart is not None:
            one["smart"] = {
                "letters": {str(letter): result for letter, result in smart.results.items()},
                "passed": smart.passed,
                "applicable": smart.applicable,
                "rule_version": smart.rule_version,
                "hints": [{"code": each.code, "sentence": each.sentence} for each in smart.hints],
            }
        one["smart_kept"] = _as_tree(goal.smart)
        one["acceptance"] = _as_tree(goal.acceptance)
        one["own_figure"] = _of(figures.figures, goal)
        one["roll_up"] = _of(figures.roll_ups, goal)
        one["proposal"] = _of(figures.proposals, goal)
        goals.append(one)
    return {
        "id": told.plan.id,
        "title": told.plan.title,
        "goals": goals,
        "alerts": _as_tree(figures.alerts),
        "attainment": _as_tree(figures.gas),
        "rater_gaps": _as_tree(figures.gas_rater_gaps),
        "measures": _as_tree(figures.measures),
        "steps_done": _as_tree(figures.steps_done),
        "ladders": _as_tree(figures.ladders),
        "discharge_criteria": _as_tree(figures.discharge_criteria),
        "reviews": _as_tree(figures.reviews),
        "warnings": _as_tree(figures.warnings),
    }


def client_tree(told: Told) -> dict[str, Tree]:
    """Return the tree with the figures that are the client's: words first, targets, victories, next steps."""
    goals: list[Tree] = []
    for goal in told.plan.goals:
        said = client_words_first(goal)
        one = _goal(told, goal) | _figures(told, goal)
        one |= {"words": said.first, "below": said.below}
        goals.append(one)
    return {
        "id": told.plan.id,
        "title": told.plan.title,
        "goals": goals,
        "next_review": _as_tree(told.figures.reviews.next_due),
    }


def _goal(told: Told, goal: Goal) -> dict[str, Tree]:
    steps: list[Tree] = [
        {"id": step.id, "text": step.text, "status": step.status if isinstance(step.status, str) else None}
        for step in sorted(goal.steps, key=lambda step: step.n)
    ]
    return {
        "id": goal.id,
        "parent": goal.parent,
        "text": goal.text,
        "status": status_words(goal, told.on),
        "steps": steps,
    }


def _figures(told: Told, goal: Goal) -> dict[str, Tree]:
    return {
        "next_step": told.figures.next_steps.get(goal.id),
        "targets": _as_tree([each for each in told.figures.targets if each.goal == goal.id]),
        "predecessors": list(goal.predecessors),
        "achievements": _as_tree(goal.achievements),
    }


def _of(found: tuple[object, ...], goal: Goal) -> Tree:
    return next((_as_tree(each) for each in found if getattr(each, "goal", None) == goal.id), None)


def _as_tree(value: object) -> Tree:
    return cast(Tree, msgspec.to_builtins(value, builtin_types=(Decimal,)))
