"""Judges a world at rest from its own log of edits: what is lost, doubled, silently different, or echoed.

Reads our store by SQL and the EHRs by their raw storage; imports nothing from `sync`, `mappers` or `domain`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

PLAN = "plan-1"
"""The one plan of `world`."""


@dataclass
class Verdict:
    """The faults of one run, each a line that a person can read."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    growth: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        return [*self.lost, *self.doubled, *self.silent, *self.growth]


def rows(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of one SQL query over our store."""
    return [tuple(row) for row in connection.exec_driver_sql(sql)]


def judge(world: Any, inbox: list[dict[str, Any]], plan: dict[str, Any], open_intents: int) -> Verdict:
    """Return the faults at rest.

    `inbox` are all items, open and closed, as trees; `plan` is our record as a JSON tree.
    """
    verdict = Verdict()
    here = values_here(plan)
    there = {name: values_there(world, name) for name in world.names}
    items = json.dumps([one for one in inbox if one["open"] or one["kind"] == "history"], default=str)
    overwritten = Counter((edit.goal, edit.field, edit.over) for edit in world.edits)
    for edit in world.edits:
        key = (edit.goal, f"note {edit.value}" if edit.field.startswith("note ") else edit.field)
        current = {here.get(key), *(values.get(key) for values in there.values())}
        if edit.value in current or f'"{edit.value}"' in items or overwritten[edit.goal, edit.field, edit.value]:
            continue
        if edit.field == "parent" and overwritten_parent(world, edit):
            continue
        verdict.lost.append(f"lost: {edit.side} wrote {edit.field} of {edit.goal} = {edit.value!r} (edit {edit.at})")
    waiting = {(one["connection"], one["owner"], one["unit"]) for one in inbox if one["open"]}
    for name, values in there.items():
        for key in sorted(here.keys() | values.keys()):
            absent = all(value is None for one, value in values.items() if one[0] == key[0])
            if absent and any((name, key[0], unit) in waiting for unit in ("text", "status")):
                continue  # the goal is not there at all, and the ledger says why
            if here.get(key) != values.get(key) and not explained(name, key, waiting):
                verdict.silent.append(f"silent: {key} is {here.get(key)!r} here and {values.get(key)!r} at {name}")
    for name in world.names:
        marks = Counter(
            one["value"]
            for kind in ("Goal", "CarePlan")
            for resource in world.sandboxes[name].storage.resources(kind)
            for one in resource.get("identifier", [])
        )
        verdict.doubled.extend(f"doubled: {mark} at {name}" for mark, count in marks.items() if count > 1)
        verdict.doubled.extend(doubles(name, members_there(world, name)))
    verdict.doubled.extend(doubles("here", members_here(plan)))
    if open_intents:
        verdict.growth.append(f"growth: {open_intents} intents left at rest")
    return verdict


def overwritten_parent(world: Any, edit: Any) -> bool:
    """Tell whether a later edit of that child's parent followed on the same side."""
    return any(
        one.at > edit.at and (one.goal, one.field, one.side) == (edit.goal, edit.field, edit.side)
        for one in world.edits
    )


def explained(name: str, key: tuple[str, str], waiting: set[tuple[str, str, str]]) -> bool:
    """Tell whether an open item at this connection stands for a difference: one of this goal's own unit or member."""
    goal, watched = key
    return any(connection == name and covers(goal, watched, owner, item) for connection, owner, item in waiting)


def covers(goal: str, watched: str, owner: str, item: str) -> bool:
    """Tell whether an item's unit is the one of that goal's watched value; `world` names a goal's step after it."""
    match watched.partition(" ")[0]:
        case "parent":
            return (owner, item) == (PLAN, f"parent_map:{goal}")
        case "step":
            return owner == PLAN and (item == f"steps:st-{goal}" or item.startswith(f"step:st-{goal}."))
        case "note":
            return owner == goal and item.startswith("note:")
        case _:
            return (owner, item) == (goal, watched)


def doubles(where: str, members: list[tuple[str, ...]]) -> list[str]:
    """Return a line for each note, target or step that stands more than once in one goal or plan on one side."""
    return [f"doubled: {one} at {where}" for one, count in Counter(members).items() if count > 1]


def members_here(plan: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the notes, targets and steps of our record in words: what, whose, and what it says."""
    found: list[tuple[str, ...]] = []
    for goal in plan["goals"]:
        found += [("note", goal["id"], entry["text"]) for entry in goal.get("progress", [])]
        found += [("target", goal["id"], said(target)) for target in goal.get("targets", [])]
        found += [("step", plan["id"], step["text"]) for step in goal.get("steps", [])]
    return found


def members_there(world: Any, name: str) -> list[tuple[str, ...]]:
    """Return the notes, targets and steps at one EHR in words: what, in which resource, and what it says."""
    storage = world.sandboxes[name].storage
    found: list[tuple[str, ...]] = []
    for goal in storage.resources("Goal"):
        found += [("note", str(goal["id"]), note["text"]) for note in goal.get("note", [])]
        found += [("target", str(goal["id"]), said(target)) for target in goal.get("target", [])]
    for plan in storage.resources("CarePlan"):
        found += [
            ("step", str(plan["id"]), activity["detail"].get("description", ""))
            for activity in plan.get("activity", [])
            if "detail" in activity
        ]
    return found


def said(target: dict[str, Any]) -> str:
    """Return what a target asks for, without its id and day: a goal's own due date twice is the same target twice."""
    kept = {key: value for key, value in target.items() if key not in ("id", "dueDate", "due_date")}
    return json.dumps(kept, default=str, sort_keys=True)


def values_here(plan: dict[str, Any]) -> dict[tuple[str, str], str | None]:
    """Return the watched values of our record."""
    found: dict[tuple[str, str], str | None] = {}
    for goal in plan["goals"]:
        found[goal["id"], "text"] = goal.get("text")
        found[goal["id"], "status"] = goal.get("status_reason")
        found[goal["id"], "target_date"] = goal.get("target_date")
        found[goal["id"], "parent"] = goal.get("parent")
        for step in goal.get("steps", [])[:1]:
            found[goal["id"], "step"] = step.get("text")
        for entry in goal.get("progress", []):
            found[goal["id"], "note " + entry["text"]] = entry["text"]
    return found


def values_there(world: Any, name: str) -> dict[tuple[str, str], str | None]:
    """Return the watched values at one EHR."""
    ids = world.local_ids(name)
    found: dict[tuple[str, str], str | None] = {}
    goals = {
        str(goal["id"]): goal for goal in world.sandboxes[name].storage.resources("Goal") if str(goal["id"]) in ids
    }
    parents: dict[str, str | None] = dict.fromkeys(ids.values())
    for resource_id, goal in goals.items():
        local = ids[resource_id]
        found[local, "text"] = goal["description"]["text"]
        found[local, "status"] = goal.get("statusReason")
        due = [one.get("dueDate") for one in goal.get("target", []) if one.get("id") == "due"]
        found[local, "target_date"] = due[0] if due else None
        for note in goal.get("note", []):
            found[local, "note " + note["text"]] = note["text"]
        for extension in goal.get("extension", []):
            if extension["url"].endswith("goal-relationship"):
                target = [
                    one["valueReference"]["reference"] for one in extension["extension"] if one["url"] == "target"
                ]
                child = ids.get(target[0].removeprefix("Goal/"))
                if child:
                    parents[child] = local
    for child, parent in parents.items():
        found[child, "parent"] = parent
    for plan in world.sandboxes[name].storage.resources("CarePlan"):
        for activity in plan.get("activity", []):
            named = [one["reference"].removeprefix("Goal/") for one in activity["detail"].get("goal", [])]
            if named and named[0] in ids:
                found.setdefault((ids[named[0]], "step"), activity["detail"].get("description"))
    return found
