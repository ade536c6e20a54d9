"""What stands here and at each EHR, read by SQL and from raw storage; imports nothing that sync is made of."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from tests.simulate.log import NOTHING, PLAN, Key, Log, first_word

RELATIONSHIP = "http://hl7.org/fhir/StructureDefinition/goal-relationship"
OURS_TO_WIRE = {"planned": "not-started", "scheduled": "scheduled", "in_progress": "in-progress", "on_hold": "on-hold"}

Side = dict[Key, str]


def stored(raw: sqlite3.Connection) -> str:
    """Return our record as it is stored."""
    query = "select document from plan_revisions r join plans p on p.plan_id = r.plan_id and p.rev = r.rev"
    [(text,)] = raw.execute(query).fetchall()
    return str(text)


def document(raw: sqlite3.Connection) -> dict[str, Any]:
    """Return the tree of our record."""
    tree: dict[str, Any] = json.loads(stored(raw))
    return tree


def here(plan: dict[str, Any]) -> Side:
    """Return the watched values of our record."""
    found: Side = {}
    goals = plan["goals"]
    for goal in goals:
        own = goal["id"]
        found[own, "text"] = first_word(goal.get("text"))
        found[own, "status"] = f"{goal.get('lifecycle')}/{first_word(goal.get('status_reason'))}"
        found[own, "target_date"] = goal.get("target_date") or NOTHING
        found[own, "priority"] = goal.get("priority") or NOTHING
        found[own, "parent"] = goal.get("parent") or NOTHING
        for other in goal.get("predecessors", ()):
            found[own, f"after {other}"] = "yes"
        for step in goal.get("steps", ()):
            if step.get("status") == "entered_in_error":
                continue  # a step that was taken out stays in our record, and stands nowhere else
            found[own, f"step {step['id']}"] = first_word(step.get("text"))
            found[own, f"step_status {step['id']}"] = OURS_TO_WIRE.get(step.get("status"), str(step.get("status")))
        for entry in goal.get("progress", ()):
            found[own, f"note {first_word(entry['text'])}"] = first_word(entry["text"])
    found[PLAN, "order"] = "+".join(_depth_first(goals))
    return found


def by_words(plan: dict[str, Any], log: Log) -> dict[str, str]:
    """Return the ids that steps have here, by the name that the log has for them (those of an EHR get a new id)."""
    return {
        log.steps.get(first_word(step.get("text")), step["id"]): step["id"]
        for goal in plan["goals"]
        for step in goal.get("steps", ())
        if step.get("status") != "entered_in_error"
    }


def named_by_log(side: Side, names: dict[str, str]) -> Side:
    """Return our side with each step under the log's name for it."""
    log_name = {ours: known for known, ours in names.items()}
    renamed: Side = {}
    for (goal, what), value in side.items():
        head, _, member = what.partition(" ")
        renamed[goal, f"{head} {log_name.get(member, member)}" if head in ("step", "step_status") else what] = value
    return renamed


def bodies(storage: Any, kind: str) -> dict[str, dict[str, Any]]:
    """Return the current bodies of one kind by id; they are not to be changed."""
    newest = ((id_, versions[-1].body) for id_, versions in storage._shelves[kind].versions.items())
    return {id_: body for id_, body in newest if body is not None}


def standing(storage: Any) -> list[Any]:
    """Return the newest version of everything that `there` looks at: the very same ones say the same."""
    return [versions[-1] for kind in ("Goal", "CarePlan") for versions in storage._shelves[kind].versions.values()]


def copied(tree: Any) -> Any:
    """Return a copy of a JSON tree that may be changed."""
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    return [copied(value) for value in tree] if isinstance(tree, list) else tree


def linked(raw: sqlite3.Connection, name: str) -> dict[str, str]:
    """Return the resource that our store takes for each goal at an EHR."""
    return dict(raw.execute("select local_id, resource_id from links where connection = ?", (name,)).fetchall())


def looked_at(name: str, log: Log, links: dict[str, str]) -> dict[str, str]:
    """Return our id for each resource at one EHR; of several of one goal, which `oracle` counts, the linked one's."""
    local = {id_: ours for (where, id_), ours in log.resources.items() if where == name}
    twins = {ours for ours in local.values() if list(local.values()).count(ours) > 1} & links.keys()
    return {id_: ours for id_, ours in local.items() if ours not in twins or links[ours] == id_}


def there(name: str, storage: Any, log: Log, links: dict[str, str]) -> Side:
    """Return the watched values at one EHR, in our ids; what nobody here knows of is left out."""
    found: Side = {}
    local = looked_at(name, log, links)
    goals = {local[id_]: body for id_, body in bodies(storage, "Goal").items() if id_ in local}
    parents: dict[str, set[str]] = {own: set() for own in goals}
    for own, goal in goals.items():
        lifecycle = str(goal.get("lifecycleStatus")).replace("-", "_")
        found[own, "text"] = first_word(goal.get("description", {}).get("text"))
        found[own, "status"] = f"{lifecycle}/{first_word(_words(goal.get('statusReason')))}"
        found[own, "target_date"] = due(goal) or NOTHING
        codes = [code["code"] for code in goal.get("priority", {}).get("coding", ())]
        found[own, "priority"] = codes[0].removesuffix("-priority") if codes else NOTHING
        for note in goal.get("note", ()):
            found[own, f"note {first_word(note['text'])}"] = first_word(note["text"])
        if lifecycle == "entered_in_error":
            continue
        for kind, target in relations(goal):
            other = local.get(target)
            if other is None:
                continue
            if kind == "milestone":
                parents.setdefault(other, set()).add(own)
            elif kind == "predecessor":
                found[own, f"after {other}"] = "yes"
    for child, above in parents.items():
        found[child, "parent"] = "+".join(sorted(above)) or NOTHING
    for plan in _care_plans(name, storage, log, local):
        listed = [local.get(one["reference"].rpartition("/")[2]) for one in plan.get("goal", ())]
        found[PLAN, "order"] = "+".join(one for one in listed if one is not None)
        for activity in plan.get("activity", ()):
            detail = activity.get("detail", {})
            named = [local.get(one["reference"].rpartition("/")[2]) for one in detail.get("goal", ())]
            word = first_word(detail.get("description"))
            if named and named[0] is not None and word in log.steps:
                found[named[0], f"step {log.steps[word]}"] = word
                found[named[0], f"step_status {log.steps[word]}"] = str(detail.get("status"))
    return found


def _care_plans(name: str, storage: Any, log: Log, local: dict[str, str]) -> list[dict[str, Any]]:
    """Return the CarePlans there without those of ours that are held for a person as doubles."""
    found = bodies(storage, "CarePlan").items()
    return [plan for id_, plan in found if (name, id_) not in log.resources or id_ in local]


def due(goal: dict[str, Any]) -> str | None:
    """Return the day of a Goal's own due date: the target that measures nothing."""
    days = [one.get("dueDate") for one in goal.get("target", ()) if "measure" not in one]
    return days[0] if days else None


def relations(goal: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the type and the target's id of each relation of a Goal."""
    found = []
    for extension in goal.get("extension", ()):
        if extension["url"] == RELATIONSHIP:
            parts = {part["url"]: part for part in extension["extension"]}
            kind = parts["type"]["valueCodeableConcept"]["coding"][0]["code"]
            found.append((kind, parts["target"]["valueReference"]["reference"].rpartition("/")[2]))
    return found


def _words(reason: Any) -> object:
    return reason.get("text") if isinstance(reason, dict) else reason


def _depth_first(goals: list[dict[str, Any]]) -> list[str]:
    children: dict[str | None, list[str]] = {}
    known = {goal["id"] for goal in goals}
    for goal in goals:
        parent = goal.get("parent")
        children.setdefault(parent if parent in known else None, []).append(goal["id"])
    order: list[str] = []
    pending = children.get(None, [])[::-1]
    while pending:
        one = pending.pop()
        if one not in order:
            order.append(one)
            pending.extend(children.get(one, [])[::-1])
    return [*order, *(goal["id"] for goal in goals if goal["id"] not in order)]
