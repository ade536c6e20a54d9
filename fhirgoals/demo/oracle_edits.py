"""The oracle's judgement of each edit of the script: what became of it, by the values that stand on both sides.

Nothing of `domain`, `mappers`, `store` or `sync` is used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from fhirgoals.demo.oracle_sides import Here, There, coded, extension, steps_of

Json: TypeAlias = Any

LOST, LEAKED = "lost", "leaked"

_STEP_STATUS = {
    "planned": "not-started",
    "scheduled": "scheduled",
    "in_progress": "in-progress",
    "on_hold": "on-hold",
    "done": "completed",
    "skipped": "cancelled",
    "stopped": "stopped",
}


@dataclass(frozen=True)
class Scene:
    """Both sides at the end, as they are needed to judge the edits at the EHR of one connection."""

    connection: str
    here: Here
    there: There
    edits: Sequence[Json]
    rounds: Sequence[Collection[str]]
    shown: Mapping[str, Json]

    def resource(self, edit: Json) -> Json:
        """Return the goal's resource there, the first of several; an empty object where there is none."""
        goal = edit["add_goal"]["id"] if "add_goal" in edit else edit["goal"]
        found = self.there.bearing("Goal", self.here.system, self.here.wire_id("Goal", edit["plan"], goal))
        return found[0] if found else {}

    def care_plan(self, plan_id: str) -> Json:
        """Return the plan's CarePlan there, the first of several; an empty object where there is none."""
        found = self.there.bearing("CarePlan", self.here.system, self.here.wire_id("CarePlan", plan_id, plan_id))
        return found[0] if found else {}


def outcome(scene: Scene, edit: Json) -> str:
    """Return what became of an edit, in the script's words; `lost` where its value is nowhere that counts."""
    if _superseded(scene.edits, edit):
        return "superseded"
    if "add_goal" in edit:
        return _added(scene, edit)
    if "add_raw" in edit:
        return "kept_untouched" if _untouched(scene, edit) else LOST
    if edit["side"] == "both":
        return _waiting(scene, edit, edit["ours"]["value"], edit["theirs"]["value"])
    here, there, wanted = _standing(scene, edit)
    if here == wanted and there == wanted:
        if _edited_there_and_here(scene, edit):
            return "merged"
        return "pushed" if edit["side"] == "here" else "pulled"
    if "unit" in edit:
        return _waiting(scene, edit, edit["from"], edit["to"])
    return LOST


def texts_that_differ(scene: Scene) -> list[str]:
    """Return the ids of goals and steps whose words stand there no longer as they stand here, and wait for nobody."""
    waiting = {(row["owner"], row["unit"]) for row in scene.here.inbox}
    differing = []
    for plan, goal in scene.here.goals():
        if not scene.here.links.get((scene.connection, "Goal", goal["id"])):
            continue
        resource = scene.resource({"plan": plan["id"], "goal": goal["id"]})
        shown = resource.get("description", {}).get("text")
        if shown != goal.get("text") and (goal["id"], "text") not in waiting:
            differing.append(goal["id"])
        said = {one["detail"].get("description") for one in steps_of(scene.care_plan(plan["id"]))}
        differing += [
            step["id"]
            for step in goal.get("steps", ())
            if step.get("text") not in said and (plan["id"], f"step:{step['id']}.text") not in waiting
        ]
    return differing


def _superseded(edits: Sequence[Json], edit: Json) -> bool:
    if "field" not in edit or "to" not in edit:
        return False
    place = [edit.get(name) for name in ("plan", "goal", "step", "field")]
    later = edits[edits.index(edit) + 1 :]
    return any(place == [one.get(name) for name in ("plan", "goal", "step", "field")] for one in later)


def _edited_there_and_here(scene: Scene, edit: Json) -> bool:
    """Tell whether the other side edited the same goal too before anybody looked."""
    together = next((one for one in scene.rounds if edit["id"] in one), ())
    others = [one for one in scene.edits if one["id"] in together and one.get("goal") == edit["goal"]]
    return len({one["side"] for one in others}) > 1


def _standing(scene: Scene, edit: Json) -> tuple[Json, Json, Json]:
    """Return the value of what was edited as it stands here and there, and as the edit wants it."""
    goal, resource = scene.here.goal(edit["goal"]), scene.resource(edit)
    if edit.get("unit") == "status":
        return _status_here(goal), _status_there(resource), plain(edit["to"])
    match edit["field"]:
        case "text":
            return goal.get("text"), resource.get("description", {}).get("text"), edit["to"]
        case "priority":
            code = coded(resource.get("priority")) or ""
            return goal.get("priority"), code.removesuffix("-priority"), edit["to"]
        case "note":
            return _note_here(goal, edit), _note_there(resource, edit), edit["add"]
        case "status" if "step" in edit:
            return _step(scene, edit)
        case field:
            raise ValueError(f"the oracle can't judge edits of {field}")


def _step(scene: Scene, edit: Json) -> tuple[Json, Json, Json]:
    goal = scene.here.goal(edit["goal"])
    step: Json = next((one for one in goal.get("steps", ()) if one["id"] == edit["step"]), {})
    activities = steps_of(scene.care_plan(edit["plan"]))
    there: Json = next(
        (one["detail"] for one in activities if one["detail"].get("description") == step.get("text")), {}
    )
    done_on = extension(there, "/step-done-on").get("valueDate")
    wanted = [edit["to"], plain(edit.get("done_on"))]
    # The words of a step are not edited by the script, so they find it there.
    status = next((ours for ours, theirs in _STEP_STATUS.items() if theirs == there.get("status")), None)
    return [step.get("status"), step.get("done_on")], [status, done_on], wanted


def _note_here(goal: Json, edit: Json) -> Json:
    """Return the words of the note here where it says that it came from that EHR and may go back only there."""
    for entry in goal.get("progress", ()):
        came_from = entry.get("origin", {}).get("system")
        if entry.get("text") == edit["add"] and entry.get("visibility") == "shared" and came_from == edit["side"]:
            return entry["text"] if entry.get("author_text") else None
    return None


def _note_there(resource: Json, edit: Json) -> Json:
    said = [note.get("text") for note in resource.get("note", ())]
    return edit["add"] if said.count(edit["add"]) == 1 else None


def _status_here(goal: Json) -> Json:
    return {name: goal.get(name) for name in ("lifecycle", "achievement", "status_date")}


def _status_there(resource: Json) -> Json:
    return {
        "lifecycle": (resource.get("lifecycleStatus") or "").replace("-", "_"),
        "achievement": (coded(resource.get("achievementStatus")) or "").replace("-", "_"),
        "status_date": resource.get("statusDate"),
    }


def _due(resource: Json) -> Json:
    return next((one.get("dueDate") for one in resource.get("target", ()) if "measure" not in one), None)


def _waiting(scene: Scene, edit: Json, ours: Json, theirs: Json) -> str:
    """Return the kind of the inbox row that holds both values, while each side still shows its own."""
    goal, resource = scene.here.goal(edit["goal"]), scene.resource(edit)
    if edit["unit"] == "status":
        here, there = _status_here(goal), _status_there(resource)
    else:
        here, there = goal.get(edit["unit"]), _due(resource)
    for row in scene.here.inbox:
        if (row["owner"], row["unit"]) != (edit["goal"], edit["unit"]):
            continue
        if _holds(row["ours"], ours) and _holds(row["theirs"], theirs) and _holds(here, ours) and _holds(there, theirs):
            return str(row["kind"])
    return LOST


def _holds(value: Json, wanted: Json) -> bool:
    """Tell whether a value says what is wanted; of an object, whether it has all of its parts."""
    wanted = plain(wanted)
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(value.get(name) == part for name, part in wanted.items())
    return bool(value == wanted)


def _added(scene: Scene, edit: Json) -> str:
    """Return `created` where the goal stands once there, is linked, and is named by its parent and its plan."""
    goal, resource = edit["add_goal"], scene.resource(edit)
    reference = f"Goal/{resource.get('id')}"
    parent = scene.resource({"plan": edit["plan"], "goal": goal["parent"]})
    milestones = {
        extension(one, "target").get("valueReference", {}).get("reference")
        for one in parent.get("extension", ())
        if coded(extension(one, "type").get("valueCodeableConcept")) == "milestone"
    }
    listed = {one["reference"] for one in scene.care_plan(edit["plan"]).get("goal", ())}
    stands = (
        scene.here.goal(goal["id"]).get("text") == goal["text"]
        and resource.get("description", {}).get("text") == goal["text"]
        and scene.here.links.get((scene.connection, "Goal", goal["id"])) == resource.get("id")
    )
    return "created" if stands and reference in milestones & listed else LOST


def number_shown(resource: Json, edit: Json) -> str | None:
    """Return the number of the EHR's own extension as it is written in a resource, to the last digit."""
    found = [one for one in resource.get("extension", ()) if one["url"] == edit["add_raw"]["url"]]
    return str(found[0].get("valueDecimal")) if len(found) == 1 else None


def _untouched(scene: Scene, edit: Json) -> bool:
    """Tell whether the extension stands there as the EHR showed it right after its own edit, of the value it was given.

    A server may drop digits itself; then those that it kept must still be there.
    """
    first, now = number_shown(scene.shown[edit["id"]], edit), number_shown(scene.resource(edit), edit)
    return now is not None and now == first and Decimal(now) == Decimal(edit["add_raw"]["valueDecimal"])


def plain(value: Json) -> Json:
    """Return a value of the script as JSON has it: dates as text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    return value
