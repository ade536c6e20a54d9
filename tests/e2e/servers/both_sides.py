"""Compares what stands here with what stands at the EHR, value by value: the oracle of the kill test.

Reads our store's JSON documents and the EHR's JSON with nothing of `domain`, `mappers`, `store` or `sync`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from fhirgoals.demo.oracle_sides import coded, extension

Json: TypeAlias = Any

_LIFECYCLE = {"declined": "rejected"}
_STEP = {"planned": "not-started", "done": "completed", "skipped": "cancelled"}


def differences(plan: Json, goals: Mapping[str, Json], care_plan: Json) -> list[str]:
    """Return every value of the plan that is not the same there; `goals` are the EHR's by our goals' ids."""
    found = [f"{goal['id']} is not there" for goal in plan["goals"] if goal["id"] not in goals]
    ids = {f"Goal/{tree['id']}": goal_id for goal_id, tree in goals.items()}
    for goal in plan["goals"]:
        if goal["id"] in goals:
            here, there = dict(_here(plan, goal)), dict(_there(goals[goal["id"]], ids))
            found += [
                f"{goal['id']}.{name}: {here[name]} here, {there[name]} there"
                for name in here
                if here[name] != there[name]
            ]
    if care_plan["title"] != plan["title"]:
        found.append("title")
    listed = [ids.get(one["reference"]) for one in care_plan["goal"]]
    if sorted(map(str, listed)) != sorted(goal["id"] for goal in plan["goals"]):
        found.append("the care plan's list of goals")
    if _steps_here(plan) != _steps_there(care_plan, ids):
        found.append("steps")
    narrative = care_plan["text"]["div"]
    found += [f"{goal['id']} is not in the narrative" for goal in plan["goals"] if _escaped(goal) not in narrative]
    return found


def _here(plan: Json, goal: Json) -> Iterator[tuple[str, Json]]:
    yield "text", goal["text"]
    yield "lifecycle", _LIFECYCLE.get(goal["lifecycle"], goal["lifecycle"]).replace("_", "-")
    yield "achievement", (goal.get("achievement") or "").replace("_", "-") or None
    yield "priority", goal.get("priority")
    yield "start", goal.get("start_date")
    yield "due", goal.get("target_date")
    yield "criterion", goal.get("completion_criterion")
    yield "horizon", (goal.get("horizon") or "").replace("_", "-")
    yield "numbers", sorted(Decimal(target["value"]) for target in goal.get("targets", ()) if "value" in target)
    yield "children", sorted(one["id"] for one in plan["goals"] if one.get("parent") == goal["id"])
    yield "predecessors", sorted(goal.get("predecessors", ()))
    entries = [one["text"] for one in goal.get("progress", ()) if one.get("visibility") == "shared"]
    entries += [one["text"] for one in goal.get("achievements", ()) if one.get("share")]
    yield "notes", sorted(entries + ([goal["client_words"]] if goal.get("share_words") else []))


def _there(tree: Json, ids: Mapping[str, str]) -> Iterator[tuple[str, Json]]:
    yield "text", tree["description"]["text"]
    yield "lifecycle", tree["lifecycleStatus"]
    yield "achievement", coded(tree.get("achievementStatus"))
    yield "priority", (coded(tree.get("priority")) or "").removesuffix("-priority") or None
    yield "start", tree.get("startDate")
    targets = tree.get("target", ())
    yield "due", next((one["dueDate"] for one in targets if one.get("id") == "due"), None)
    yield "criterion", extension(tree, "completion-criterion").get("valueString")
    yield "horizon", coded(tree["category"][0]) if tree.get("category") else ""
    yield "numbers", sorted(Decimal(one["detailQuantity"]["value"]) for one in targets if "detailQuantity" in one)
    related = [_relation(one) for one in tree.get("extension", ()) if one["url"].endswith("/goal-relationship")]
    yield "children", sorted(ids.get(other, other) for code, other in related if code == "milestone")
    yield "predecessors", sorted(ids.get(other, other) for code, other in related if code == "predecessor")
    yield "notes", sorted(one["text"] for one in tree.get("note", ()))


def _relation(one: Json) -> tuple[str | None, str]:
    parts = {part["url"]: part for part in one["extension"]}
    return coded(parts["type"]["valueCodeableConcept"]), parts["target"]["valueReference"]["reference"]


def _steps_here(plan: Json) -> list[tuple[str, str, str]]:
    return sorted(
        (goal["id"], step["text"], _STEP.get(step["status"], step["status"]).replace("_", "-"))
        for goal in plan["goals"]
        for step in goal.get("steps", ())
    )


def _steps_there(care_plan: Json, ids: Mapping[str, str]) -> list[tuple[str, str, str]]:
    details = [one["detail"] for one in care_plan["activity"] if one["detail"]["kind"] == "Task"]
    return sorted(
        (ids.get(one["reference"], one["reference"]), detail["description"], detail["status"])
        for detail in details
        for one in detail["goal"]
    )


def _escaped(goal: Json) -> str:
    text: str = goal["text"]
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
