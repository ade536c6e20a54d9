"""Ids and what refers to them: form, twice, dangling (0, 2, 3) and circles of goals (3)."""

from __future__ import annotations

from collections.abc import Iterator

from fhirgoals.domain.graph import cycles
from fhirgoals.domain.invariants.finding import Finding, of_goal
from fhirgoals.domain.records import Plan
from fhirgoals.domain.references import ID_FORM, ids_of, named, references


def ids(plan: Plan) -> Iterator[Finding]:
    """Yield ids of a wrong form, ids that stand twice, and targets that can't be told apart."""
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
                yield of_goal(
                    goal,
                    "target_twice",
                    0,
                    f"goals[{place}].targets[{index}]",
                    "Two targets of this goal share a measure and need an id each.",
                )
            keys.add(target.key)
        people: set[str] = set()
        for index, line in enumerate(goal.acceptance):
            if line.by in people:
                sentence = "Each person has one answer to a goal; this one stands twice."
                yield of_goal(goal, "answer_twice", 0, f"goals[{place}].acceptance[{index}]", sentence)
            people.add(line.by)


_RELATIONS = {"parent": 2, "predecessors": 3, "replaced_by": 3}


def dangling(plan: Plan) -> Iterator[Finding]:
    """Yield references to what the plan does not have."""
    known = ids_of(plan)
    born_elsewhere = {goal.id for goal in plan.goals if goal.origin is not None}
    for reference in references(plan):
        if reference.to in known[reference.kind]:
            continue
        field = reference.path.rpartition(".")[2].partition("[")[0]
        # A goal's `parent` outside the plan also breaks "a goal's plan is its parent's plan".
        invariant = _RELATIONS.get(field, 0)
        what = "person of this plan" if reference.kind == "author" else reference.kind
        yield Finding(
            f"{field}_not_in_plan",
            invariant,
            "warn" if reference.at in born_elsewhere else "error",
            reference.path,
            reference.at,
            f"This refers to a {what} that the plan does not have.",
        )


def cycles_of(plan: Plan) -> Iterator[Finding]:
    """Yield circles over parents, predecessors and replacements."""
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
            yield of_goal(
                plan.goals[place[first]],
                f"{name}_cycle",
                3,
                f"goals[{place[first]}].{name}",
                f"Following {name} from this goal leads back to it ({len(cycle)} goals in the circle).",
            )
