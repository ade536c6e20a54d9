"""What must be true of a plan: the structural invariants 1-4, 6, 10, 14, 17, 18, 21, 23 and 24 (domain reference 3).

An `error` rejects a command of our own; on a goal that was born in an EHR or an import the same finding is a `warn`,
since what they say is loaded and flagged. Number 0 stands for ids, references and fields that must be given.
Findings hold codes, paths, ids and plain sentences, never a value of the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Literal, TypeAlias

from fhirgoals.domain.disclosure import withheld_ids
from fhirgoals.domain.graph import cycles
from fhirgoals.domain.records import Goal, Plan, Step
from fhirgoals.domain.references import ID_FORM, ids_of, named, references

Severity: TypeAlias = Literal["error", "warn"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule. `path` is the place in the plan file, `at` the id of the goal, step, … that it is about."""

    code: str
    invariant: int
    severity: Severity
    path: str
    at: str
    sentence: str


def check(plan: Plan, connections: frozenset[str] | None = None) -> tuple[Finding, ...]:
    """Return every finding about a plan alone, in the order of the invariants.

    `connections` are the names that a consent's endpoint may have; `None` means there is no store to know them, and
    then invariant 24 only warns.
    """
    goals = {goal.id: goal for goal in plan.goals}
    return tuple(
        sorted(
            (
                *_ids(plan),
                *_dangling(plan),
                *_subject(plan),
                *_cycles(plan),
                *(found for index, goal in enumerate(plan.goals) for found in _goal(goals, goal, f"goals[{index}]")),
                *_withheld_marks(plan),
                *_endpoints(plan, connections),
            ),
            key=lambda finding: finding.invariant,
        )
    )


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that reject a command."""
    return tuple(finding for finding in findings if finding.severity == "error")


def check_change(before: Plan, after: Plan) -> tuple[Finding, ...]:
    """Return what a change breaks (invariant 17): `entered_in_error` is terminal and the only way to delete."""
    return tuple(_change(before, after))


def check_disclosed(plan: Plan, shown: Plan, endpoint: str) -> tuple[Finding, ...]:
    """Return what is wrong with a disclosed plan: a dangling reference (21) or a trace of what is withheld (18)."""
    known = ids_of(shown)
    withheld = withheld_ids(plan, endpoint)
    found: list[Finding] = []
    for reference in references(shown):
        if reference.to not in known[reference.kind]:
            found.append(
                Finding(
                    "dangling_in_export",
                    21,
                    "error",
                    reference.path,
                    reference.at,
                    f"What would be sent refers to a {reference.kind} that is not sent with it.",
                )
            )
    for each in named(shown):
        if each.id in withheld and each.kind in ("goal", "problem"):
            found.append(
                Finding("withheld_in_export", 18, "error", each.path, each.id, "What is withheld would be sent.")
            )
    return tuple(found)


def _finding(goal: Goal, code: str, invariant: int, path: str, sentence: str, *, warn: bool = False) -> Finding:
    born_elsewhere = goal.origin is not None
    return Finding(code, invariant, "warn" if warn or born_elsewhere else "error", path, goal.id, sentence)


def _ids(plan: Plan) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for each in named(plan):
        if not ID_FORM.match(each.id):
            yield Finding(
                "id_form",
                0,
                "error",
                each.path,
                "",
                f"The id of this {each.kind} must be 1 to 64 letters, digits, '-', '_', '.' or ':'.",
            )
        elif (each.kind, each.id) in seen:
            yield Finding("id_twice", 0, "error", each.path, each.id, f"Another {each.kind} has the same id.")
        seen.add((each.kind, each.id))
        for other in ("problem", "step") if each.kind == "goal" else ("goal",):
            if each.kind in ("goal", "problem", "step") and (other, each.id) in seen:
                yield Finding("id_twice", 0, "error", each.path, each.id, f"A {other} has the same id.")
    for place, goal in enumerate(plan.goals):
        keys: set[str] = set()
        for index, target in enumerate(goal.targets):
            if target.key in keys:
                yield _finding(
                    goal,
                    "target_twice",
                    0,
                    f"goals[{place}].targets[{index}]",
                    "Two targets of this goal share a measure and need an id each.",
                )
            keys.add(target.key)


_RELATIONS = {"parent": 2, "predecessors": 3, "replaced_by": 3}


def _dangling(plan: Plan) -> Iterator[Finding]:
    known = ids_of(plan)
    born_elsewhere = {goal.id for goal in plan.goals if goal.origin is not None}
    for reference in references(plan):
        if reference.to in known[reference.kind]:
            continue
        field = reference.path.rpartition(".")[2].partition("[")[0]
        # A goal's `parent` outside the plan also breaks "a goal's plan is its parent's plan".
        invariant = _RELATIONS.get(field, 0) if reference.path.startswith("goals[") else 0
        what = "person of this plan" if reference.kind == "author" else reference.kind
        yield Finding(
            f"{field}_not_in_plan",
            invariant,
            "warn" if reference.at in born_elsewhere else "error",
            reference.path,
            reference.at,
            f"This refers to a {what} that the plan does not have.",
        )


def _subject(plan: Plan) -> Iterator[Finding]:
    if plan.kind == "client_treatment":
        if plan.client is None:
            yield Finding("plan_without_client", 2, "error", "client", plan.id, "A treatment plan needs its client.")
        if plan.therapist is not None:
            yield Finding(
                "treatment_plan_with_subject_therapist",
                14,
                "error",
                "therapist",
                plan.id,
                "Only a development plan has a therapist as its subject; name the therapist among the participants.",
            )
        for index, participant in enumerate(plan.participants):
            if participant.role == "client" and plan.client is not None and participant.ref != plan.client.id:
                yield Finding(
                    "client_participant_differs",
                    2,
                    "error",
                    f"participants[{index}].ref",
                    participant.id,
                    "The participant with the client's role is not the client of the plan.",
                )
        return
    if plan.client is not None:
        yield Finding(
            "development_plan_with_client", 14, "error", "client", plan.id, "A development plan has no client."
        )
    if plan.therapist is None:
        yield Finding(
            "development_plan_without_subject",
            14,
            "error",
            "therapist",
            plan.id,
            "A development plan needs the therapist it is about.",
        )
    for index, participant in enumerate(plan.participants):
        if participant.role == "client":
            yield Finding(
                "development_plan_with_client",
                14,
                "error",
                f"participants[{index}].role",
                participant.id,
                "A development plan has no client among its participants.",
            )
    for index, consent in enumerate(plan.disclosure.consents):
        yield Finding(
            "development_plan_with_consent",
            14,
            "warn",
            f"disclosure.consents[{index}]",
            consent.id,
            "A development plan is never sent, so a consent has no effect.",
        )


def _cycles(plan: Plan) -> Iterator[Finding]:
    relations: dict[str, dict[str, tuple[str | None, ...]]] = {
        "parent": {goal.id: (goal.parent,) for goal in plan.goals},
        "predecessors": {goal.id: goal.predecessors for goal in plan.goals},
        "replaced_by": {goal.id: (goal.replaced_by,) for goal in plan.goals},
    }
    place = {goal.id: index for index, goal in enumerate(plan.goals)}
    for name, edges in relations.items():
        graph = {
            node: tuple(each for each in ends if each is not None and each in edges) for node, ends in edges.items()
        }
        for cycle in cycles(graph):
            first = min(cycle, key=lambda goal_id: place[goal_id])
            yield _finding(
                plan.goals[place[first]],
                f"{name}_cycle",
                3,
                f"goals[{place[first]}].{name}",
                f"Following {name} from this goal leads back to it ({len(cycle)} goals in the circle).",
            )


def _goal(goals: Mapping[str, Goal], goal: Goal, path: str) -> Iterator[Finding]:
    if goal.lifecycle == "entered_in_error":
        return  # a tombstone: only its id and references count
    yield from _needed(goal, path)
    yield from _hierarchy(goals, goal, path)
    yield from _dates(goal, path)
    yield from _steps(goal, path)
    if goal.nature == "exploratory":
        draft = goal.lifecycle == "draft"
        for field in ("completion_criterion", "target_date"):
            if not getattr(goal, field):
                yield _finding(
                    goal,
                    f"exploratory_without_{field}",
                    10,
                    f"{path}.{field}",
                    f"An exploratory goal needs a {field.replace('_', ' ')}.",
                    warn=draft,
                )


def _needed(goal: Goal, path: str) -> Iterator[Finding]:
    for field in ("horizon", "nature", "text", "lifecycle", "start_date"):
        value = getattr(goal, field)
        if value is None or (isinstance(value, str) and not value.strip()):
            yield _finding(goal, f"goal_without_{field}", 0, f"{path}.{field}", f"This goal needs a {field}.")


def _hierarchy(goals: Mapping[str, Goal], goal: Goal, path: str) -> Iterator[Finding]:
    place = f"{path}.parent"
    if goal.horizon == "long_term" and goal.parent is not None:
        yield _finding(goal, "long_term_has_parent", 1, place, "A long-term goal has no parent.")
    if goal.horizon != "short_term":
        return
    if goal.parent is None:
        yield _finding(
            goal, "short_term_without_parent", 1, place, "A short-term goal needs a long-term goal as its parent."
        )
        return
    parent = goals.get(goal.parent)
    if parent is not None and parent.horizon != "long_term":
        unsaid = parent.horizon is None and parent.origin is not None
        yield _finding(
            goal, "parent_not_long_term", 1, place, "The parent of a short-term goal is a long-term goal.", warn=unsaid
        )


def _dates(goal: Goal, path: str) -> Iterator[Finding]:
    if _before(goal.target_date, goal.start_date):
        yield _finding(
            goal, "target_before_start", 4, f"{path}.target_date", "The target date is before the start date."
        )
    for index, step in enumerate(goal.steps):
        if step.status != "entered_in_error" and _before(step.done_on, goal.start_date):
            yield _finding(
                goal,
                "step_done_before_start",
                4,
                f"{path}.steps[{index}].done_on",
                "A step was done before its goal started.",
            )
    for index, target in enumerate(goal.targets):
        if _before(goal.target_date, target.by):
            yield _finding(
                goal,
                "target_by_after_target_date",
                4,
                f"{path}.targets[{index}].by",
                "A target is due after the target date of its goal.",
            )


def _before(one: object, other: object) -> bool:
    return isinstance(one, date) and isinstance(other, date) and one < other


def _steps(goal: Goal, path: str) -> Iterator[Finding]:
    if sorted(step.n for step in goal.steps) != list(range(1, len(goal.steps) + 1)):
        yield _finding(goal, "step_order", 6, f"{path}.steps", "The steps must be numbered 1, 2, 3 … without a gap.")
    ladder: list[tuple[int, Step]] = [
        (index, step)
        for index, step in sorted(enumerate(goal.steps), key=lambda each: each[1].n)
        if step.kind == "exposure" and step.suds_expected is not None and step.status != "entered_in_error"
    ]
    for (_, lower), (index, step) in pairwise(ladder):
        if (step.suds_expected or 0) < (lower.suds_expected or 0):
            yield Finding(
                "exposure_not_rising",
                6,
                "warn",
                f"{path}.steps[{index}].suds_expected",
                step.id,
                "An exposure step expects less distress than the one before it.",
            )


def _withheld_marks(plan: Plan) -> Iterator[Finding]:
    everywhere = {entry.target for entry in plan.disclosure.withheld if entry.endpoint is None}
    for index, goal in enumerate(plan.goals):
        if (goal.share == "withheld") != (goal.id in everywhere):
            yield Finding(
                "withheld_marks_differ",
                23,
                "warn",
                f"goals[{index}].share",
                goal.id,
                "Only one of share and disclosure.withheld says that this goal is withheld; it is withheld.",
            )


def _endpoints(plan: Plan, connections: frozenset[str] | None) -> Iterator[Finding]:
    named_endpoints = [
        *(
            (f"disclosure.consents[{index}].endpoint", each.endpoint)
            for index, each in enumerate(plan.disclosure.consents)
        ),
        *(
            (f"disclosure.withheld[{index}].endpoint", each.endpoint)
            for index, each in enumerate(plan.disclosure.withheld)
            if each.endpoint is not None
        ),
    ]
    for path, endpoint in named_endpoints:
        if connections is None:
            yield Finding(
                "endpoint_unchecked",
                24,
                "warn",
                path,
                plan.id,
                "Without a store no one can tell if this connection is.",
            )
        elif endpoint not in connections:
            yield Finding(
                "endpoint_unknown", 24, "error", path, plan.id, "This names no connection; add it or mend the name."
            )


def _change(before: Plan, after: Plan) -> Iterator[Finding]:
    final = "What was entered in error stays so; write it anew under another id."
    if before.id != after.id:
        yield Finding("plan_id_changed", 17, "error", "plan.id", before.id, "The id of a plan never changes.")
    if before.kind != after.kind:
        yield Finding("plan_kind_changed", 17, "error", "plan.kind", before.id, "The kind of a plan never changes.")
    if _subject_id(before) != _subject_id(after):
        yield Finding(
            "plan_subject_changed", 2, "error", "client.id", before.id, "A plan never moves to another person."
        )
    if before.status == "entered_in_error" and after.status != "entered_in_error":
        yield Finding("entered_in_error_is_final", 17, "error", "plan.status", before.id, final)
    goals = {goal.id: (index, goal) for index, goal in enumerate(after.goals)}
    steps = {
        step.id: (f"goals[{place}].steps[{index}]", step)
        for place, goal in enumerate(after.goals)
        for index, step in enumerate(goal.steps)
    }
    for goal in before.goals:
        if goal.id not in goals:
            yield Finding(
                "goal_vanished",
                17,
                "error",
                "goals",
                goal.id,
                "A goal can't be removed: set its lifecycle to entered_in_error instead.",
            )
        elif goal.lifecycle == "entered_in_error" and goals[goal.id][1].lifecycle != "entered_in_error":
            yield Finding(
                "entered_in_error_is_final", 17, "error", f"goals[{goals[goal.id][0]}].lifecycle", goal.id, final
            )
        for step in goal.steps:
            if step.id not in steps:
                yield Finding(
                    "step_vanished",
                    17,
                    "error",
                    "goals",
                    step.id,
                    "A step can't be removed: set its status to entered_in_error instead.",
                )
            elif step.status == "entered_in_error" and steps[step.id][1].status != "entered_in_error":
                yield Finding("entered_in_error_is_final", 17, "error", f"{steps[step.id][0]}.status", step.id, final)


def _subject_id(plan: Plan) -> str | None:
    person = plan.client or plan.therapist
    return None if person is None else person.id
