"""Rules between elements of one Goal or CarePlan: gol-1, cpl-3, contained resources, US Core where it is claimed."""

from __future__ import annotations

from collections.abc import Iterator

from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.issues import Issue, error, warning
from fhirgoals.fhir.references import literal

Node = dict[str, Tree]


def of_resource(resource: Resource, kind: str, *, contained: bool) -> Iterator[Issue]:
    """Yield the faults between elements; `contained` tells that the resource stands in another one."""
    yield from _modifiers(resource, kind)
    if contained:
        for name in ("versionId", "lastUpdated", "security"):
            meta = resource.get("meta")
            if isinstance(meta, dict) and name in meta:
                rule = "dom-5" if name == "security" else "dom-4"
                yield error(rule, f"{kind}.meta.{name}", "a contained resource has none")
    else:
        yield from _unreferenced(resource, kind)
    if kind == "Goal":
        yield from _goal(resource)
    else:
        yield from _careplan(resource)
        yield from _us_core_careplan(resource)


def objects(value: Tree) -> Iterator[tuple[int, Node]]:
    """Yield the objects in a list with their indexes; nothing for what is no list."""
    for index, member in enumerate(value if isinstance(value, list) else []):
        if isinstance(member, dict):
            yield index, member


def _goal(goal: Resource) -> Iterator[Issue]:
    for index, target in objects(goal.get("target")):
        detail = any(name.startswith("detail") for name in target)
        if detail and "measure" not in target:
            yield error("R4-GOAL-04", f"Goal.target[{index}]", "gol-1: a detail needs its measure beside it")
        sides = target.get("detailRange")
        if (
            isinstance(sides, dict)
            and not isinstance(sides.get("low"), dict)
            and not isinstance(sides.get("high"), dict)
        ):
            yield error("SHAPE-REQUIRED", f"Goal.target[{index}].detailRange", "needs a low or a high end")


def _careplan(plan: Resource) -> Iterator[Issue]:
    goals = [literal(reference) for _, reference in objects(plan.get("goal"))]
    listed = {goal for goal in goals if goal is not None}
    for index, goal in enumerate(goals):
        if goal is not None and goal in goals[:index]:
            yield warning("R4-CP-08", f"CarePlan.goal[{index}]", "lists a goal a second time")
    for index, activity in objects(plan.get("activity")):
        if "detail" in activity and "reference" in activity:
            yield error("R4-CP-04", f"CarePlan.activity[{index}]", "cpl-3: has either detail or reference, not both")
        detail = activity.get("detail")
        if isinstance(detail, dict):
            for place, reference in objects(detail.get("goal")):
                path = f"CarePlan.activity[{index}].detail.goal[{place}]"
                if (goal := literal(reference)) is not None and goal not in listed:
                    yield warning("R4-CP-10", path, "is not among the goals of the plan")


def _modifiers(resource: Resource, kind: str) -> Iterator[Issue]:
    """Yield a warning for each modifier we don't know: it may turn the meaning round (rule FG-EXT-07)."""
    if "implicitRules" in resource:
        yield warning("FG-EXT-07", f"{kind}.implicitRules", "may change the meaning: a person has to read it")
    for path, node in _nodes(resource, kind):
        if "modifierExtension" in node:
            yield warning("FG-EXT-07", f"{path}.modifierExtension", "may change the meaning: a person has to read it")


def _nodes(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    """Yield every object of the tree with its path, but not those of contained resources."""
    waiting: list[tuple[str, Tree]] = [(path, node)]
    while waiting:
        here, value = waiting.pop()
        if isinstance(value, dict):
            yield here, value
            waiting.extend((f"{here}.{name}", inner) for name, inner in value.items() if name != "contained")
        elif isinstance(value, list):
            waiting.extend((f"{here}[{index}]", inner) for index, inner in enumerate(value))


def _unreferenced(resource: Resource, kind: str) -> Iterator[Issue]:
    """Yield dom-3 for contained resources that nothing refers to and that don't refer to their container."""
    inners = list(objects(resource.get("contained")))
    if not inners:
        return
    named = _local_references({name: value for name, value in resource.items() if name != "contained"})
    outward: dict[str, set[str]] = {}
    for _, inner in inners:
        outward[str(inner.get("id"))] = _local_references(inner)
    for index, inner in inners:
        own = str(inner.get("id"))
        by_sibling = any(f"#{own}" in refs for other, refs in outward.items() if other != own)
        if f"#{own}" not in named and not by_sibling and "#" not in outward[own]:
            yield error("dom-3", f"{kind}.contained[{index}]", "is referred to by nothing in the resource")


def _local_references(tree: Tree) -> set[str]:
    found: set[str] = set()
    waiting: list[Tree] = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            # Any local name counts, also in canonicals and uris, as in the invariant.
            if value.startswith("#"):
                found.add(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return found


def _us_core_careplan(plan: Resource) -> Iterator[Issue]:
    """Yield what US Core 3.1.1 to 8.0.0 ask of a CarePlan, where the plan claims that profile."""
    claims = _profiles(plan)
    if not any(url.partition("|")[0] == t.US_CORE_CAREPLAN and not url.endswith("|9.0.0") for url in claims):
        return
    count = sum(
        coding.get("system") == t.CAREPLAN_CATEGORY and coding.get("code") == t.ASSESS_PLAN
        for _, concept in objects(plan.get("category"))
        for _, coding in objects(concept.get("coding"))
    )
    if "category" not in plan:
        yield error("UC-CP-04", "CarePlan.category", "US Core up to 8.0.0 requires a category")
    elif count > 1:
        yield error("UC-CP-03", "CarePlan.category", "has the category assess-plan more than once")
    elif count == 0:
        yield warning(
            "UC-CP-03", "CarePlan.category", "lacks the category assess-plan that US Core up to 7.0.0 requires"
        )
    text = plan.get("text")
    if isinstance(text, dict) and text.get("status") in ("extensions", "empty"):
        yield error("UC-CP-01", "CarePlan.text.status", "must be generated or additional in US Core")


def _profiles(resource: Resource) -> list[str]:
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    return [url for url in profiles if isinstance(url, str)] if isinstance(profiles, list) else []
