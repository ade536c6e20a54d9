"""Resources that are ours by identifier and lost their link, as after a restored store: proposed, never assumed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhirgoals.errors import Refused
from fhirgoals.sync.matching import Candidate, link, propose
from tests.sync.world import World, example, world

PLAN, OTHER = "plan-dep-01", "plan-ocd-01"
GOAL = "g-sleep"


@pytest.fixture
async def here() -> AsyncIterator[World]:
    """Two plans that were sent."""
    with world() as here:
        await here.add_connection()
        for plan in map(example, ("01", "02")):
            await here.put(plan)
            await here.know_people(plan)
        await here.sync()
        await here.sync()
        yield here


async def forget(here: World, goal: str = GOAL) -> str:
    """Forget the link and what was agreed of one goal, as an older backup knows nothing of it; return its resource."""
    link_ = await here.store.read(lambda tx: tx.links.get("ehr-main", "Goal", goal))
    assert link_ is not None
    assert link_.resource_id is not None

    def work(tx: Any) -> None:
        tx.links.delete("ehr-main", "Goal", goal)
        tx.bases.drop("ehr-main", PLAN, [unit for unit in tx.bases.for_plan("ehr-main", PLAN) if unit.owner == goal])

    await here.store.write(work)
    return link_.resource_id


async def found(here: World) -> list[Candidate]:
    return await propose(here.store, here.client(), "ehr-main", here.clock)


async def linked(here: World, candidates: list[Candidate]) -> int:
    at, installation = here.clock(), here.store.store.installation
    return await here.store.write(
        lambda tx: link(tx, installation, "ehr-main", candidates, by="it-1", at=at, owner="test")
    )


def edit_text(tree: dict[str, Any]) -> None:
    tree["description"] = {"text": "Lights out at ten"}


async def test_where_every_link_stands_nothing_is_proposed(here: World) -> None:
    """What is linked is no candidate, also where it is another plan's."""
    assert await found(here) == []


async def test_a_lost_link_is_proposed_and_equal_values_are_agreed(here: World) -> None:
    """The goal is found by its identifier; linked, the next run writes nothing and asks nothing."""
    resource = await forget(here)
    [one] = await found(here)
    assert (one.kind, one.resource_id, one.local_id, one.plan_id, one.why) == (
        "Goal",
        resource,
        GOAL,
        PLAN,
        "identifier",
    )
    assert await linked(here, [one]) == 1
    before = len(here.goals())
    counts = await here.sync()
    assert (counts.writes, len(here.goals()), await here.inbox()) == (0, before, [])
    bases = await here.store.read(lambda tx: tx.bases.for_plan("ehr-main", PLAN))
    assert any(unit.owner == GOAL and unit.name == "text" for unit in bases)
    assert await found(here) == []


async def test_of_a_value_that_differs_a_person_is_asked(here: World) -> None:
    """Nobody knows which of two values is the newer one: neither side is overwritten."""
    resource = await forget(here)
    here.change("Goal", resource, edit_text)
    await linked(here, await found(here))
    await here.sync()
    assert ("conflict", GOAL, "text") in await here.inbox()
    assert "Lights out at ten" in here.goals()


async def test_words_alone_propose_nothing(here: World) -> None:
    """The very same goal without our identifier is somebody else's."""
    resource = await forget(here)
    here.change("Goal", resource, lambda tree: tree.pop("identifier"))
    assert await found(here) == []


async def test_a_goal_in_another_clients_chart_is_held(here: World) -> None:
    """Its identifier says whose it is, its subject says somebody else: nothing is linked."""
    resource = await forget(here)
    other = next(goal for goal in here.sandbox.storage.resources("Goal") if "Reduce washing" in str(goal))
    here.change("Goal", resource, lambda tree: tree.update(subject=other["subject"]))
    [one] = await found(here)
    assert (one.why, one.proposed) == ("other_patient", False)
    assert await linked(here, [one]) == 0


async def test_what_is_ambiguous_is_held(here: World) -> None:
    """Two resources of one identifier, one with two, one of nothing we know, one beside the linked one."""
    resource = await forget(here)
    system = here.store.store.installation.identifier_system
    tree = next(one for one in here.sandbox.storage.resources("Goal") if one["id"] == resource)
    copied = {name: part for name, part in tree.items() if name != "id"}
    second = here.sandbox.storage.create("Goal", copied, unless=None).version.id
    assert [one.why for one in await found(here)] == ["several_resources"] * 2
    here.change("Goal", second, lambda tree: tree["identifier"].append({"system": system, "value": "x"}))
    assert {one.resource_id: one.why for one in await found(here)} == {
        resource: "identifier",
        second: "two_identifiers",
    }
    here.change("Goal", second, lambda tree: tree.update(identifier=[{"system": system, "value": "x"}]))
    assert {one.resource_id: one.why for one in await found(here)}[second] == "unknown_identifier"
    here.change("Goal", second, lambda tree_: tree_.update(identifier=tree["identifier"]))
    await linked(here, [one for one in await found(here) if one.resource_id == resource])
    assert len(await found(here)) == 2  # both claimed to be it, so neither was linked


async def test_a_copy_of_what_is_linked_is_held(here: World) -> None:
    """A second resource with the identifier of a linked goal is never taken for it."""
    tree = here.sandbox.storage.resources("Goal")[0]
    here.sandbox.storage.create("Goal", {name: part for name, part in tree.items() if name != "id"}, unless=None)
    assert [one.why for one in await found(here)] == ["linked_already"]


async def test_what_was_linked_meanwhile_is_left_out(here: World) -> None:
    """Of two people who link the same the second changes nothing, and a run that goes on keeps both out."""
    await forget(here)
    candidates = await found(here)
    at = here.clock()
    await here.store.write(lambda tx: tx.connections.acquire("ehr-main", "a run", 30, at))
    with pytest.raises(Refused, match="another process"):
        await linked(here, candidates)
    here.now = here.now.replace(hour=12)
    assert await linked(here, candidates) == 1
    assert await linked(here, candidates) == 0
