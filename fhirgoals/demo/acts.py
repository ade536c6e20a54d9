"""Plays the acts: edits here and at the EHR, a reply that gets lost, a goal taken back, and a last quiet run.

Each round of edits is followed by a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fhirgoals.demo import here, ward
from fhirgoals.demo.played import Played
from fhirgoals.demo.script import Act, Edit
from fhirgoals.demo.world import World

SET_UP, QUIET = 1, 7


async def play(world: World, after_set_up: Callable[[], None]) -> Played:
    """Play every act; `after_set_up` is called when the plans were pushed and nobody has edited anything yet."""
    played = Played()
    for act in world.script.acts:
        if act.number == SET_UP:
            await world.set_up()
            await world.sync()
            after_set_up()
        elif act.number == QUIET:
            played.before_last_run = _traffic(world)
            for name in world.endpoints:
                await world.sync_once(name)
        else:
            await _edit_and_sync(world, act, played)
    return played


async def _edit_and_sync(world: World, act: Act, played: Played) -> None:
    texts = {goal.id: goal.text or "" for plan in world.plans for goal in plan.goals}
    for round_ in act.rounds():
        for edit in round_:
            if edit.side in ("here", "both"):
                await _here(world, edit)
            if edit.side in ("there", "both"):
                played.shown[edit.id] = _there(world, edit, texts)
        if act.cut is not None:
            text = next(edit.tree["add_goal"]["text"] for edit in round_ if edit.goal == act.cut.goal)
            world.endpoints[act.cut.connection].proxy.cut_next(path=r"/Goal(\?|/|$)", body_has=text.encode())
        if any(edit.withdraws for edit in round_):
            played.after_withdrawal = _traffic(world)
        for counts in await world.sync():
            played.retracted += counts.retracted
        played.rounds.append(tuple(edit.id for edit in round_))


def _traffic(world: World) -> dict[str, int]:
    """Return how much has passed each proxy by now."""
    return {name: len(each.proxy.exchanges) for name, each in world.endpoints.items()}


async def _here(world: World, edit: Edit) -> None:
    at, by = world.clock.tick(), world.script.author(edit.by)
    await world.store.write(lambda tx: here.edit(tx, edit, by=by, at=at))


def _there(world: World, edit: Edit, texts: Mapping[str, str]) -> ward.Json:
    who = edit.tree["theirs"]["by"] if edit.side == "both" else edit.by
    endpoint = world.endpoints[world.script.people[who]["side"]]
    plan = next(plan for plan in world.plans if plan.id == edit.plan)
    client = plan.client.id if plan.client else ""
    return ward.edit(
        endpoint.server,
        edit,
        text=texts[edit.goal],
        patient=endpoint.patients[client],
        author=world.script.author(who),
        at=world.clock.tick(),
    )
