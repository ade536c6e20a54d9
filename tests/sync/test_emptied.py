"""What was taken back there after the backup that the store was restored from: our own word is nobody's edit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.guard import clear
from fhirgoals.sync.withdraw import WITHDRAWN
from tests.sync.test_resolve import KEPT, PLAN, started
from tests.sync.test_run import quiet
from tests.sync.world import World, withhold, world

FRIEND = "See a friend in person once a week and answer messages within two days"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(retract="blank") as one:
        reopened(one, tmp_path / "store.db")
        yield one


def reopened(here: World, file: Path) -> None:
    here.store.close()
    here.store = AsyncStore(open_store(f"sqlite:///{file}"))


@contextmanager
def lost(here: World, folder: Path) -> Iterator[None]:
    """What is done here meanwhile is lost: the store is as it was before, and armed again by a person."""
    file, backup = folder / "store.db", folder / "backup.db"
    here.store.close()
    shutil.copy(file, backup)
    reopened(here, file)
    yield
    here.store.close()
    for end in ("-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    shutil.copy(backup, file)


async def armed(here: World, folder: Path) -> None:
    reopened(here, folder / "store.db")
    at = here.clock()
    await here.store.write(lambda tx: tx.connections.set_state("ehr-main", "armed", by="it-1", reason="looked", at=at))


async def refuse(here: World) -> None:
    """Let the client refuse the whole, and let that much pass."""
    at = here.clock()
    plan = await here.plan(PLAN)
    consents = tuple(
        msgspec.structs.replace(one, refused=at.date()) if one.endpoint == here.connection else one
        for one in plan.disclosure.consents
    )
    disclosure = msgspec.structs.replace(plan.disclosure, consents=consents)
    await here.put(msgspec.structs.replace(plan, disclosure=disclosure))
    await here.store.write(lambda tx: clear(tx, here.connection, by="it-1", at=at))


async def test_the_word_of_a_taking_back_is_not_taken_for_a_text(here: World, tmp_path: Path) -> None:
    """Nothing of the goal is taken over or sent, edits of it here included, and one item asks; all else goes on."""
    plan = await started(here)
    with lost(here, tmp_path):
        await withhold(here, PLAN, "g-social")
        await here.sync()
    await armed(here, tmp_path)
    await here.edit(PLAN, "g-social", priority="high")
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    await here.sync()
    now = await here.plan(PLAN)
    assert now.goal("g-social") == msgspec.structs.replace(plan.goal("g-social"), priority="high")
    assert here.goals().keys() >= {WITHDRAWN, "Up by seven"}
    assert FRIEND not in str(here.care_plans())
    assert await here.inbox() == [("held", "g-social", "Goal")]
    assert (await here.sync()).writes == 0
    assert await here.inbox() == [("held", "g-social", "Goal")]


async def test_what_is_withheld_here_too_is_known_as_taken_back(here: World, tmp_path: Path) -> None:
    """The item closes without a call; what is shared after that goes out anew, as a whole."""
    plan = await started(here)
    with lost(here, tmp_path):
        await withhold(here, PLAN, "g-social")
        await here.sync()
    await armed(here, tmp_path)
    await here.sync()
    await withhold(here, PLAN, "g-social")
    assert (await here.sync()).writes == 0
    assert await here.inbox() == []
    await here.put(plan)
    await here.sync()
    assert here.goals()[FRIEND]["priority"]
    assert len(here.care_plans()[0]["goal"]) == len(KEPT)  # type: ignore[arg-type]
    await quiet(here)
    assert (await here.plan(PLAN)).goal("g-social") == plan.goal("g-social")


async def test_a_whole_plan_that_was_taken_back_is_asked_about(here: World, tmp_path: Path) -> None:
    """Where the consent was refused after the backup, neither title nor goals of the plan are taken for an edit."""
    plan = await started(here)
    with lost(here, tmp_path):
        await refuse(here)
        await here.sync()
    await armed(here, tmp_path)
    counts = await here.sync()
    assert (counts.writes, counts.pulled) == (0, 0)
    assert await here.plan(PLAN) == plan
    assert await here.inbox() == sorted([("held", PLAN, "CarePlan"), *(("held", one, "Goal") for one in KEPT)])
    await refuse(here)
    await here.sync()
    assert await here.inbox() == []
    await here.put(plan)
    await here.sync()
    assert FRIEND in here.goals()
    assert here.care_plans()[0]["title"] == plan.title
    await quiet(here)
