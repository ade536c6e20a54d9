"""What people do at an EHR: raw JSON in its storage, by none of our code, told to the log."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulate import sides
from tests.simulate.log import HALF_TICKS, NOTHING, PLAN, first_word
from tests.simulate.people import PRIORITIES, day_of, word

if TYPE_CHECKING:
    from tests.simulate.world import World

PRIORITY = "http://terminology.hl7.org/CodeSystem/goal-priority"
TYPE = "http://terminology.hl7.org/CodeSystem/goal-relationship-type"
STEP_ID = "/step-id"


def act(world: World, number: int, name: str, kind: str, dice: Random) -> None:
    """Do one act at an EHR, if it can be done as things stand there."""
    ACTS[kind](world, number, name, dice)


def _living(world: World, name: str) -> dict[str, dict[str, Any]]:
    """Return copies of the goals that stand there and are ours, by resource id."""
    ours = {id_: own for (where, id_), own in world.log.resources.items() if where == name}
    links = world.links(name)
    return {
        id_: sides.copied(body)
        for id_, body in sides.bodies(world.boxes[name].storage, "Goal").items()
        # Of two resources of one goal nobody edits the one that is held for a person.
        if id_ in ours and links.get(ours[id_], id_) == id_ and body.get("lifecycleStatus") != "entered-in-error"
    }


def _local(world: World, name: str, id_: str) -> str:
    return world.log.resources[name, id_]


def _field(what: str, change: Callable[[dict[str, Any], int, str, Random], None]) -> Callable[..., None]:
    """Return an act that changes one field of a goal there."""

    def done(world: World, number: int, name: str, dice: Random) -> None:
        goals = {
            id_: goal
            for id_, goal in _living(world, name).items()
            if world.goals is None or _local(world, name, id_) in world.goals
        }
        if not goals:
            return
        id_ = dice.choice(list(goals))
        key = (_local(world, name, id_), what)
        before = world.there(name).get(key, NOTHING)
        change(goals[id_], number, name, dice)
        world.boxes[name].edit("Goal", id_, goals[id_])
        after = world.there(name).get(key, NOTHING)
        if after != before:
            world.noted(number, name, key, after, before)

    return done


def _text(goal: dict[str, Any], number: int, name: str, dice: Random) -> None:
    text = f"{word(_letter(name), number)} {'runs ' * dice.randint(0, 4)}".strip()
    goal["description"] = {**goal.get("description", {}), "text": text}


def _status(goal: dict[str, Any], number: int, name: str, dice: Random) -> None:
    goal["lifecycleStatus"] = dice.choice(("active", "active", "on-hold"))
    goal["statusReason"] = f"{word(_letter(name), number)} cause"


def _target(goal: dict[str, Any], number: int, _name: str, _dice: Random) -> None:
    for target in goal.get("target", ()):
        if "measure" not in target:
            target["dueDate"] = day_of(number).isoformat()


def _copy(world: World, number: int, name: str, dice: Random) -> None:
    """Write the due date that our record has by now: somebody there was told of it before it came."""
    goals = [
        (id_, goal, value)
        for id_, goal in _living(world, name).items()
        if world.goals is None or _local(world, name, id_) in world.goals
        if (value := world.here().get((_local(world, name, id_), "target_date"), NOTHING)) != NOTHING
    ]
    if not goals:
        return
    id_, goal, value = dice.choice(goals)
    key = (_local(world, name, id_), "target_date")
    before = world.there(name).get(key, NOTHING)
    for target in goal.get("target", ()):
        if "measure" not in target:
            target["dueDate"] = value
    world.boxes[name].edit("Goal", id_, goal)
    if world.there(name).get(key, NOTHING) != before:
        world.noted(number, name, key, value, before)


def _priority(goal: dict[str, Any], _number: int, _name: str, dice: Random) -> None:
    code = dice.choice(PRIORITIES)
    goal["priority"] = {"coding": [{"system": PRIORITY, "code": f"{code}-priority"}]}


def _parent(world: World, number: int, name: str, dice: Random) -> None:
    """Move a child: its milestone is taken from the old parents and given to the new one, in either order."""
    goals = _living(world, name)
    if len(goals) < 2:
        return
    child = dice.choice(list(goals))
    own = _local(world, name, child)
    before = world.there(name).get((own, "parent"), NOTHING)
    old = [id_ for id_, goal in goals.items() if ("milestone", child) in sides.relations(goal)]
    under = _below(goals, child)
    choices: list[str | None] = [
        id_ for id_ in goals if id_ not in under and id_ not in old and _local(world, name, id_) != own
    ]
    if old and dice.random() < 0.3:
        choices = [None]
    if not choices:
        return
    new = dice.choice(choices)
    value = _local(world, name, new) if new else NOTHING
    if value == before:
        return
    world.noted(number, name, (own, "parent"), value, before)

    def take() -> None:
        for id_ in old:
            _with_milestone(world, name, id_, child, wanted=False)

    def give() -> None:
        if new is not None:
            _with_milestone(world, name, new, child, wanted=True)

    halves = [take, give] if old and new else [take] if old else [give]
    if dice.random() < 0.5:
        halves.reverse()
    halves[0]()
    if len(halves) > 1:
        world.machine.at(world.machine.tick + dice.randint(1, HALF_TICKS), halves[1])


def _below(goals: dict[str, dict[str, Any]], goal: str) -> set[str]:
    found: set[str] = set()
    pending = [goal]
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            pending += [target for kind, target in sides.relations(goals.get(one, {})) if kind == "milestone"]
    return found


def _with_milestone(world: World, name: str, id_: str, child: str, *, wanted: bool) -> None:
    goal = _living(world, name).get(id_)
    if goal is None or (("milestone", child) in sides.relations(goal)) == wanted:
        return
    if wanted:
        goal.setdefault("extension", []).append(_edge("milestone", child))
    else:
        _drop_edge(goal, "milestone", child)
    world.boxes[name].edit("Goal", id_, goal)
    world.say(f"{name}: {_local(world, name, id_)} {'gets' if wanted else 'gives up'} {_local(world, name, child)}")


def _edge(kind: str, target: str) -> dict[str, Any]:
    return {
        "url": sides.RELATIONSHIP,
        "extension": [
            {"url": "type", "valueCodeableConcept": {"coding": [{"system": TYPE, "code": kind}]}},
            {"url": "target", "valueReference": {"reference": f"Goal/{target}"}},
        ],
    }


def _drop_edge(goal: dict[str, Any], kind: str, target: str) -> None:
    kept = [one for one in goal["extension"] if sides.relations({"extension": [one]}) != [(kind, target)]]
    goal["extension"] = kept
    if not kept:
        del goal["extension"]


def _relation(world: World, number: int, name: str, dice: Random) -> None:
    goals = _living(world, name)
    if len(goals) < 2:
        return
    start, end = dice.sample(list(goals), 2)
    if _local(world, name, start) == _local(world, name, end):
        return  # one goal that stands twice comes not after itself
    goal = goals[start]
    there = ("predecessor", end) in sides.relations(goal)
    if not there and ("predecessor", start) in sides.relations(goals[end]):
        return
    if there:
        _drop_edge(goal, "predecessor", end)
    else:
        goal.setdefault("extension", []).append(_edge("predecessor", end))
    world.boxes[name].edit("Goal", start, goal)
    key = (_local(world, name, start), f"after {_local(world, name, end)}")
    world.noted(number, name, key, *((NOTHING, "yes") if there else ("yes", NOTHING)))


def _care_plan(world: World, name: str) -> tuple[str, dict[str, Any]] | None:
    ours = sides.looked_at(name, world.log, world.links(name))
    found = [(id_, body) for id_, body in sides.bodies(world.boxes[name].storage, "CarePlan").items() if id_ in ours]
    return (found[0][0], sides.copied(found[0][1])) if found else None


def _of_step(world: World, number: int, name: str, dice: Random, what: str) -> None:
    found = _care_plan(world, name)
    goals = _living(world, name)
    if found is None:
        return
    id_, plan = found
    known = []
    for activity in plan.get("activity", ()):
        detail = activity.get("detail", {})
        named = [one["reference"].rpartition("/")[2] for one in detail.get("goal", ())]
        old = first_word(detail.get("description"))
        if named and named[0] in goals and old in world.log.steps:
            known.append((named[0], old, detail))
    if not known:
        return
    goal, old, detail = dice.choice(known)
    own, step = _local(world, name, goal), world.log.steps[old]
    status = str(detail.get("status"))
    if what == "step":
        text = word(_letter(name), number)
        detail["description"] = f"{text} twice a day"
        other = step if _has_id(plan, detail) else f"there-{number}"
        world.log.steps[text] = other
        edits = [(f"step {step}", text, old)]
        if other != step:
            edits = [(f"step {step}", NOTHING, old), (f"step_status {step}", NOTHING, status)]
            edits += [(f"step {other}", text, NOTHING), (f"step_status {other}", status, NOTHING)]
    else:
        detail["status"] = dice.choice(("not-started", "in-progress", "on-hold"))
        if detail["status"] == status:
            return
        edits = [(f"step_status {step}", detail["status"], status)]
    world.boxes[name].edit("CarePlan", id_, plan)
    for unit, value, over in edits:
        world.noted(number, name, (own, unit), value, over)


def _has_id(plan: dict[str, Any], detail: dict[str, Any]) -> bool:
    """Tell whether a step has an id of ours or theirs there; without one, other words make it another step."""
    [activity] = [one for one in plan["activity"] if one.get("detail") is detail]
    return "id" in activity or any(one["url"].endswith(STEP_ID) for one in activity.get("extension", ()))


def _step_text(world: World, number: int, name: str, dice: Random) -> None:
    _of_step(world, number, name, dice, "step")


def _step_status(world: World, number: int, name: str, dice: Random) -> None:
    _of_step(world, number, name, dice, "step_status")


def _step_add(world: World, number: int, name: str, dice: Random) -> None:
    found = _care_plan(world, name)
    goals = _living(world, name)
    if found is None or not goals:
        return
    id_, plan = found
    goal = dice.choice(list(goals))
    text = word(_letter(name), number)
    detail = {
        "kind": "Task",
        "goal": [{"reference": f"Goal/{goal}"}],
        "status": "not-started",
        "description": f"{text} from the ward",
    }
    plan.setdefault("activity", []).append({"detail": detail})
    world.log.steps[text] = f"there-{number}"
    world.boxes[name].edit("CarePlan", id_, plan)
    world.noted(number, name, (_local(world, name, goal), f"step there-{number}"), text, NOTHING)


def _note(world: World, number: int, name: str, dice: Random) -> None:
    goals = _living(world, name)
    if not goals:
        return
    id_ = dice.choice(list(goals))
    text = word(_letter(name), number)
    goals[id_].setdefault("note", []).append({"authorString": "A nurse", "text": f"{text} on the ward"})
    world.boxes[name].edit("Goal", id_, goals[id_])
    world.noted(number, name, (_local(world, name, id_), f"note {text}"), text, NOTHING)


def _order(world: World, number: int, name: str, dice: Random) -> None:
    found = _care_plan(world, name)
    if found is None or len(found[1].get("goal", ())) < 2:
        return
    id_, plan = found
    before = world.there(name).get((PLAN, "order"), NOTHING)
    dice.shuffle(plan["goal"])
    world.boxes[name].edit("CarePlan", id_, plan)
    after = world.there(name).get((PLAN, "order"), NOTHING)
    if after != before:
        world.noted(number, name, (PLAN, "order"), after, before)


def _void(world: World, number: int, name: str, dice: Random) -> None:
    goals = _living(world, name)
    if len(goals) < 2:
        return
    id_ = dice.choice(list(goals))
    world.boxes[name].edit("Goal", id_, {**goals[id_], "lifecycleStatus": "entered-in-error"})
    own = _local(world, name, id_)
    world.log.void.setdefault(own, set()).add(name)
    world.say(f"#{number} {name}: {own} is marked entered in error")


def _delete(world: World, number: int, name: str, dice: Random) -> None:
    goals = _living(world, name)
    if len(goals) < 2:
        return
    id_ = dice.choice(list(goals))
    world.boxes[name].storage.delete("Goal", id_)
    own = _local(world, name, id_)
    world.log.void.setdefault(own, set()).add(name)
    world.say(f"#{number} {name}: {own} is deleted")


def _letter(name: str) -> str:
    """Return the letter that words of an EHR begin with: `A` at `ehr-a`."""
    return name[-1].upper()


ACTS: dict[str, Callable[[World, int, str, Random], None]] = {
    "text": _field("text", _text),
    "status": _field("status", _status),
    "target": _field("target_date", _target),
    "copy": _copy,
    "priority": _field("priority", _priority),
    "parent": _parent,
    "relation": _relation,
    "step_text": _step_text,
    "step_status": _step_status,
    "step_add": _step_add,
    "note": _note,
    "order": _order,
    "void": _void,
    "delete": _delete,
}
