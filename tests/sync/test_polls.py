"""Changes that are asked for: which plans a run reads, and that none is missed (design 5.12)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from fhirgoals.errors import ConfigurationError
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sync.connection import config_of
from tests.sync.test_newborn import born
from tests.sync.world import BASE, START, World, started, world

PLAN = "plan-dep-01"
SLEEP = "Be out of bed by 07:00 on at least six days a week for three weeks"
WAYS: dict[str, dict[str, str]] = {
    "instant, each patient": {"changes": "instant", "changes_of": "patient"},
    "instant, all": {"changes": "instant", "changes_of": "server"},
    "history": {"changes": "history", "changes_of": "server"},
}


@pytest.fixture(params=WAYS, name="way")
def _way(request: pytest.FixtureRequest) -> dict[str, str]:
    return WAYS[request.param]


@pytest.fixture
def here(way: dict[str, str]) -> Iterator[World]:
    with world(**way) as one:
        yield one


async def low(here: World) -> None:
    def edit(tree: dict[str, Tree]) -> None:
        system = "http://terminology.hl7.org/CodeSystem/goal-priority"
        tree["priority"] = {"coding": [{"system": system, "code": "low-priority"}]}

    here.change("Goal", str(here.goals()[SLEEP]["id"]), edit)


async def settled(here: World) -> None:
    """Start, and run until the EHR shows nothing of ours as news any more."""
    await started(here)
    await here.sync()


async def test_a_run_without_changes_asks_once_per_kind_and_reads_nothing(here: World) -> None:
    """Two requests, no resource read, no write; what was written ourselves is no change."""
    await settled(here)
    counts = await here.sync()
    assert (counts.requests, counts.read, counts.writes) == (2, 0, 0)


async def test_a_change_there_is_seen_and_only_once(here: World) -> None:
    """The plan is read because of it, and after it is taken no more, although the overlap shows it again."""
    await settled(here)
    await low(here)
    counts = await here.sync()
    assert (counts.pulled, (await here.plan(PLAN)).goal("g-sleep").priority) == (1, "low")
    await here.sync()  # our own revision of it marks the plan once more
    assert (await here.sync()).read == 0


async def test_a_change_here_is_sent_without_any_there(here: World) -> None:
    """Our own mark takes the plan up."""
    await settled(here)
    await here.edit(PLAN, "g-sleep", text="Up by seven")
    assert (await here.sync()).writes == 1
    assert "Up by seven" in here.goals()


async def test_a_goal_born_there_is_found(here: World) -> None:
    """It has no link: its subject leads to the plan."""
    await settled(here)
    born(here)
    assert (await here.sync()).adopted == 1


async def test_the_daily_look_finds_what_no_search_shows(here: World) -> None:
    """A deletion is in a history and not in a search by instant; the first run of the next day reads everything."""
    await settled(here)
    here.sandbox.storage.delete("Goal", str(here.goals()[SLEEP]["id"]))
    await here.sync()
    assert (("gone", "g-sleep", None) in await here.inbox()) is (here.config["changes"] == "history")
    here.now += timedelta(days=1)
    await here.sync()
    assert ("gone", "g-sleep", None) in await here.inbox()


async def test_a_run_that_dies_after_asking_loses_nothing(here: World) -> None:
    """The cursor moved together with the marks: the next run takes them up."""
    await settled(here)
    await low(here)
    here.http = Dying(here.http)  # type: ignore[assignment]
    with pytest.raises(DiedError):
        await here.sync()
    here.http = here.http.inner  # type: ignore[attr-defined]
    here.now += timedelta(minutes=10)
    assert (await here.sync()).pulled == 1


async def test_an_answer_that_is_no_answer_moves_no_cursor(here: World) -> None:
    """The run says so, goes on with what is marked, and the next one asks from where this one began."""
    await settled(here)
    await low(here)
    inner = here.http
    here.http = Dying(inner, fails=True)  # type: ignore[assignment]
    await here.edit(PLAN, "g-social", text="See a friend twice a week")
    counts = await here.sync()
    assert counts.problems
    here.http = inner
    here.now += timedelta(hours=1)
    await here.sync()
    assert (await here.plan(PLAN)).goal("g-sleep").priority == "low"


async def test_what_a_search_shows_late_is_found_by_the_overlap() -> None:
    """An index that is half a minute behind hides the change from one run, not from the next."""
    there = START + timedelta(days=400)

    def clock() -> datetime:
        return there

    with world(clock=clock, **WAYS["instant, all"]) as here:
        await started(here)
        there += timedelta(minutes=5)
        await here.sync()
        here.sandbox.knobs = Knobs(stale_search_s=30)
        await low(here)
        there += timedelta(seconds=10)
        assert (await here.sync()).pulled == 0
        there += timedelta(seconds=31)
        assert (await here.sync()).pulled == 1


async def test_another_patients_change_is_none_of_ours() -> None:
    """Asked of the whole server, what belongs to nobody linked marks nothing and is read no further."""
    with world(**WAYS["instant, all"]) as here:
        await settled(here)
        stranger = here.sandbox.storage.create("Patient", {"resourceType": "Patient"}, unless=None).version.id
        goal = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "Not ours"}}
        here.sandbox.storage.create("Goal", {**goal, "subject": {"reference": f"Patient/{stranger}"}}, unless=None)
        assert (await here.sync()).requests == 2


async def test_a_server_that_ignores_the_patient_is_told_of() -> None:
    """A change of another patient in the answer for ours: nothing of it counts, the cursor stays, a person is told."""
    with world(**WAYS["instant, each patient"]) as here:
        await settled(here)
        goal = {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "Not ours"}}
        here.sandbox.storage.create("Goal", {**goal, "subject": {"reference": "Patient/other"}}, unless=None)
        before = await here.store.read(lambda tx: tx.cursors.get(here.connection, "changes:Goal:Patient/1"))
        here.http = IgnoringPatient(here.http)  # type: ignore[assignment]
        counts = await here.sync()
        assert "another's" in counts.problems[0]
        assert await here.store.read(lambda tx: tx.cursors.get(here.connection, "changes:Goal:Patient/1")) == before


def test_a_history_of_one_patient_there_is_not() -> None:
    """FHIR has none: the setting is refused and named."""
    with pytest.raises(ConfigurationError, match=r"\$\.changes_of"):
        config_of({"base_url": BASE, "changes": "history"})


class DiedError(Exception):
    """The process died."""


class Dying:
    """A wire that breaks after the questions for changes, or that answers each of these with an error."""

    def __init__(self, inner: Any, *, fails: bool = False) -> None:
        self.inner = inner
        self.fails = fails

    async def send(self, request: Request) -> Reply | Failure:
        asks = "_lastUpdated" in request.url or "_since" in request.url
        if not self.fails and not asks:
            raise DiedError
        if self.fails and asks:
            return Reply(400, {}, b"")
        return await self.inner.send(request)


class IgnoringPatient:
    """A wire to a server that knows no search by patient and says nothing of it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def send(self, request: Request) -> Reply | Failure:
        return await self.inner.send(replace(request, url=re.sub(r"patient=[^&]*&", "", request.url)))
