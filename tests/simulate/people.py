"""What people do here: each act is one save of our record, told to the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING

import msgspec

from fhirgoals.domain import records as r
from tests.simulate import sides
from tests.simulate.log import NOTHING, PLAN, first_word

if TYPE_CHECKING:
    from tests.simulate.world import World

replace = msgspec.structs.replace
TODAY = date(2026, 11, 6)
PRIORITIES = ("high", "medium", "low")
STATUSES = ("planned", "in_progress", "on_hold")


def word(side: str, number: int) -> str:
    """Return a word that nobody else writes; no hexadecimal text holds it."""
    return f"{side}x{number:03}"


def day_of(number: int) -> date:
    """Return a day that nobody else writes."""
    return date(2027, 1, 1) + timedelta(days=number)


def act(world: World, number: int, kind: str, dice: Random) -> None:
    """Do one act, if it can be done as things stand."""
    ACTS[kind](world, number, dice)


def _living(plan: r.Plan, among: frozenset[str] | None = None) -> list[r.Goal]:
    living = [goal for goal in plan.goals if goal.lifecycle != "entered_in_error"]
    return living if among is None else [goal for goal in living if goal.id in among]


def _put(world: World, plan: r.Plan, goal: r.Goal) -> None:
    world.save(replace(plan, goals=tuple(goal if one.id == goal.id else one for one in plan.goals)))


def _field(what: str, change: Callable[[r.Goal, int, Random], r.Goal]) -> Callable[[World, int, Random], None]:
    """Return an act that changes one field of a living goal."""

    def done(world: World, number: int, dice: Random) -> None:
        plan = world.plan()
        living = _living(plan, world.goals)
        if not living:
            return
        goal = dice.choice(living)
        after = change(goal, number, dice)
        if after == goal:
            return
        before = world.here()
        _put(world, plan, after)
        key = (goal.id, what)
        world.noted(number, "here", key, world.here()[key], before[key])

    return done


def _text(goal: r.Goal, number: int, dice: Random) -> r.Goal:
    return replace(goal, text=f"{word('H', number)} {'walks ' * dice.randint(0, 4)}".strip())


def _status(goal: r.Goal, number: int, dice: Random) -> r.Goal:
    lifecycle = dice.choice(("active", "active", "on_hold"))
    return replace(goal, lifecycle=lifecycle, status_reason=f"{word('H', number)} reason", status_date=TODAY)


def _target(goal: r.Goal, number: int, _dice: Random) -> r.Goal:
    return replace(goal, target_date=day_of(number))


def _priority(goal: r.Goal, _number: int, dice: Random) -> r.Goal:
    return replace(goal, priority=dice.choice(PRIORITIES))


def _parent(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    living = _living(plan)
    if not living:
        return
    child = dice.choice(living)
    choices: list[str | None] = [one.id for one in living if one.id != child.parent and not _above(plan, one.id, child)]
    if child.horizon is None and child.parent is not None:
        choices.append(None)
    elif child.horizon == "long_term":
        return
    elif child.horizon == "short_term":
        choices = [one for one in choices if plan.goal(str(one)).horizon == "long_term"]
    if not choices:
        return
    parent = dice.choice(choices)
    _put(world, plan, replace(child, parent=parent))
    world.noted(number, "here", (child.id, "parent"), parent or NOTHING, child.parent or NOTHING)


def _above(plan: r.Plan, goal: str, child: r.Goal) -> bool:
    """Tell whether the child stands above a goal, or is it."""
    parents = {one.id: one.parent for one in plan.goals}
    seen: set[str] = set()
    each: str | None = goal
    while each is not None and each not in seen:
        if each == child.id:
            return True
        seen.add(each)
        each = parents.get(each)
    return False


def _relation(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    living = _living(plan)
    if len(living) < 2:
        return
    goal, other = dice.sample(living, 2)
    there = other.id in goal.predecessors
    kept = tuple(one for one in goal.predecessors if one != other.id)
    if not there and goal.id in other.predecessors:
        return
    _put(world, plan, replace(goal, predecessors=kept if there else (*kept, other.id)))
    values = ("yes", NOTHING) if there else (NOTHING, "yes")
    world.noted(number, "here", (goal.id, f"after {other.id}"), values[1], values[0])


def _steps(world: World, number: int, dice: Random, change: Callable[[r.Step], r.Step], what: str) -> None:
    plan = world.plan()
    goals = [goal for goal in _living(plan) if any(step.text for step in goal.steps)]
    if not goals:
        return
    goal = dice.choice(goals)
    step = dice.choice([step for step in goal.steps if step.text])
    after = change(step)
    name = world.log.steps.get(first_word(step.text), step.id)
    if what == "step":
        world.log.steps[first_word(after.text)] = name
    _put(world, plan, replace(goal, steps=tuple(after if one.id == step.id else one for one in goal.steps)))
    values = {
        "step": (first_word(after.text), first_word(step.text)),
        "step_status": tuple(sides.OURS_TO_WIRE.get(str(one.status), str(one.status)) for one in (after, step)),
    }[what]
    if values[0] != values[1]:
        world.noted(number, "here", (goal.id, f"{what} {name}"), *values)


def _step_text(world: World, number: int, dice: Random) -> None:
    _steps(world, number, dice, lambda step: replace(step, text=f"{word('H', number)} done daily"), "step")


def _step_status(world: World, number: int, dice: Random) -> None:
    status = dice.choice(STATUSES)
    _steps(world, number, dice, lambda step: replace(step, status=status), "step_status")


def _step_add(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    living = _living(plan)
    if not living:
        return
    goal = dice.choice(living)
    text = word("H", number)
    step = r.Step(
        id=f"st-{number}", n=len(goal.steps) + 1, kind="homework", owner="client", text=f"{text} new", status="planned"
    )
    world.log.steps[text] = step.id
    _put(world, plan, replace(goal, steps=(*goal.steps, step)))
    world.noted(number, "here", (goal.id, f"step {step.id}"), text, NOTHING)


def _note(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    living = _living(plan)
    if not living:
        return
    goal = dice.choice(living)
    text = word("H", number)
    entry = r.ProgressEntry(
        id=f"n-{number}", date=TODAY, author="p-ther", visibility="shared", text=f"{text} went well"
    )
    _put(world, plan, replace(goal, progress=(*goal.progress, entry)))
    world.noted(number, "here", (goal.id, f"note {text}"), text, NOTHING)


def _order(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    goals = list(plan.goals)
    dice.shuffle(goals)
    before = world.here()[PLAN, "order"]
    world.save(replace(plan, goals=tuple(goals)))
    after = world.here()[PLAN, "order"]
    if after != before:
        world.noted(number, "here", (PLAN, "order"), after, before)


def _new_goal(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    living = _living(plan)
    roots = [goal for goal in living if goal.horizon in (None, "long_term")]
    if not roots:
        return
    parent = dice.choice(roots)
    typed = parent.horizon is not None
    goal = r.Goal(
        id=f"g-{number}",
        parent=parent.id,
        horizon="short_term" if typed else None,
        nature="actionable" if typed else None,
        text=f"{word('H', number)} is new",
        lifecycle="active",
        priority="medium",
        start_date=TODAY,
        target_date=date(2026, 12, 18),
        addresses=("pr-1",),
    )
    world.save(replace(plan, goals=(*plan.goals, goal)))
    world.noted(number, "here", (goal.id, "text"), word("H", number), NOTHING)
    world.noted(number, "here", (goal.id, "parent"), parent.id, NOTHING)


def _void(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    living = _living(plan)
    if len(living) < 2:
        return
    goal = dice.choice(living)
    _put(world, plan, replace(goal, lifecycle="entered_in_error", status_reason=None))
    world.log.void.setdefault(goal.id, set()).add("here")
    world.say(f"#{number} here: {goal.id} is marked entered in error")


def _withhold(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    shared = [goal for goal in _living(plan) if goal.share == "default"]
    if len(shared) < 2:
        return
    goal = dice.choice(shared)
    _put(world, plan, replace(goal, share="withheld"))
    world.log.withheld.add(goal.id)
    world.log.ever_withheld.add(goal.id)
    world.say(f"#{number} here: {goal.id} is withheld")


def _share(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    withheld = [goal for goal in plan.goals if goal.share == "withheld"]
    if not withheld:
        return
    goal = dice.choice(withheld)
    _put(world, plan, replace(goal, share="default"))
    world.log.withheld.discard(goal.id)
    world.say(f"#{number} here: {goal.id} is shared again")


def _revoke(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    name = dice.choice(world.names)
    if name in world.log.refused:
        return
    consents = tuple(
        replace(one, expires=TODAY) if one.endpoint == name and one.expires is None else one
        for one in plan.disclosure.consents
    )
    world.save(replace(plan, disclosure=replace(plan.disclosure, consents=consents)))
    world.log.refused.add(name)
    world.log.ever_refused.add(name)
    world.say(f"#{number} here: the consent for {name} is revoked")


def _grant(world: World, number: int, dice: Random) -> None:
    plan = world.plan()
    if not world.log.refused:
        return
    name = dice.choice(sorted(world.log.refused))
    consent = r.Consent(id=f"c-{number}", endpoint=name, granted=TODAY, method="signature", sensitivities=("MH",))
    disclosure = replace(plan.disclosure, consents=(*plan.disclosure.consents, consent))
    world.save(replace(plan, disclosure=disclosure))
    world.log.refused.discard(name)
    world.say(f"#{number} here: a consent for {name} is given")


def _resolve(world: World, number: int, dice: Random) -> None:
    """A person settles one open question; skipped where the inbox can't do that yet."""
    try:
        from fhirgoals.sync.resolve import Choice, resolve  # noqa: PLC0415  may not be there yet
    except ImportError:
        return
    from fhirgoals.errors import Refused  # noqa: PLC0415

    with world.database.read() as tx:
        items = [item for item in tx.inbox.list() if item.kind in ("conflict", "proposal")]
    if not items:
        return
    item = dice.choice(items)
    take = dice.choice(("ours", "theirs"))
    choice = Choice(take=take, by="staff-1", at=world.clock())
    before = world.here()
    try:
        with world.database.write() as tx:
            resolve(tx, world.database.installation, item.id, choice, frozenset(world.names))
    except Refused as refused:
        world.say(f"#{number} here: {take} for {item.owner} {item.unit} is refused: {refused}")
        return
    world.log.resolved += 1
    world.log.answered[item.connection or "", item.owner or "", item.unit or ""] = len(world.log.edits)
    world.say(f"#{number} here: {take} is taken for {item.owner} {item.unit} of {item.connection}")
    for key, value in world.here().items():
        if before.get(key) != value:
            world.hear(key, value)


ACTS: dict[str, Callable[[World, int, Random], None]] = {
    "text": _field("text", _text),
    "status": _field("status", _status),
    "target": _field("target_date", _target),
    "priority": _field("priority", _priority),
    "parent": _parent,
    "relation": _relation,
    "step_text": _step_text,
    "step_status": _step_status,
    "step_add": _step_add,
    "note": _note,
    "order": _order,
    "new_goal": _new_goal,
    "void": _void,
    "withhold": _withhold,
    "share": _share,
    "revoke": _revoke,
    "grant": _grant,
    "resolve": _resolve,
}
