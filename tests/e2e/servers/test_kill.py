"""A process that syncs thirty goals to HAPI is killed -9 at forty moments; a fresh one brings both sides to rest.

At rest nothing is lost (every value equal, by SQL here and plain HTTP there), nothing is doubled (one resource per
identifier), nothing waits for a person, and a second run writes nothing.
"""

from __future__ import annotations

import copy
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fhirgoals.demo.oracle_sides import Here, coded, identifiers, parsed, read_here
from fhirgoals.demo.plain_http import Server
from fhirgoals.fhir.http import Http
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from tests.e2e.servers import victim
from tests.e2e.servers.both_sides import differences
from tests.e2e.servers.thirty import PLAN, after_session, thirty_goals
from tests.e2e.servers.world import START, World, behind_the_cut_proxy, note, priority
from tests.plans import ROOT
from tests.servers.fixtures import FhirServer

FIRST_PUSH, SESSIONS = 22, 18
"""At how many moments of the first push, and of how many later sessions, a process is killed."""

LEASE_GONE = timedelta(minutes=5)
"""A dead process keeps its lease for two minutes: the fresh one comes later."""

Json = Any


@dataclass(frozen=True)
class Point:
    """One death: the moment's number and name, what stood there and what was in doubt then, and what recovery took."""

    run: str
    number: int
    of: int
    moment: str
    found: str
    recovery: str

    def row(self) -> str:
        return f"{self.run:<12} {self.number:>4}/{self.of:<4} {self.moment:<36} {self.found:<44} {self.recovery}"


class Processes:
    """Gives orders to the process that forks victims and fresh processes."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder

    def live(self, order: Mapping[str, Any], ends_at: int) -> list[str]:
        """Let a process sync and die at the moment of that number; return the moments it saw."""
        moments = self.folder / "moments"
        ended = self._order({**order, "kind": "live", "moments": str(moments), "ends_at": ends_at})
        assert ended == ({"signal": signal.SIGKILL, "exit": None} if ends_at else {"signal": None, "exit": 0})
        return moments.read_text().splitlines()

    def recover(self, order: Mapping[str, Any]) -> Json:
        """Let a fresh process sync until it rests, and once more."""
        answer = self.folder / "answer"
        assert self._order({**order, "kind": "recover", "answer": str(answer)}) == {"signal": None, "exit": 0}
        return json.loads(answer.read_text())

    def _order(self, order: Mapping[str, Any]) -> Json:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    command = [sys.executable, "-W", "error", "-m", "tests.e2e.servers.victim"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Processes(process, tmp_path)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def order(ehr: str, file: Path, later: timedelta = timedelta(0)) -> dict[str, Any]:
    now = START + timedelta(hours=1) + later
    return {"store": f"sqlite:///{file}", "ehr": ehr, "now": now.isoformat()}


@dataclass(frozen=True)
class Sides:
    """Both sides as an oracle sees them."""

    here: Here
    found: Sequence[Json]

    @property
    def plan(self) -> Json:
        return self.here.plans[PLAN]

    def there(self) -> tuple[dict[str, Json], Json]:
        """Return the EHR's goals by our ids, and the care plan."""
        bearing = {value: tree for tree in self.found for _, value in identifiers(tree)}
        goals = {
            goal["id"]: bearing[wire]
            for goal in self.plan["goals"]
            if (wire := self.here.wire_id("Goal", PLAN, goal["id"])) in bearing
        }
        return goals, bearing[self.here.wire_id("CarePlan", PLAN, PLAN)]

    def doubled(self) -> list[str | None]:
        """Return the identifiers of ours that more than one resource bears."""
        counts = Counter(
            value for tree in self.found for system, value in identifiers(tree) if system == self.here.system
        )
        return [value for value, count in counts.items() if count > 1]


def sides(server: Server, file: Path) -> Sides:
    """Read the store by SQL and, by plain HTTP, everything at the EHR that bears an identifier of this installation."""
    here = read_here(file)
    found: list[Json] = []
    for kind in ("Goal", "CarePlan"):
        page: str | None = f"{kind}?identifier={quote(here.system + '|')}&_count=200"
        while page:
            answer = server.ask("GET", page)
            assert answer.status == 200
            bundle = parsed(answer.body)
            found += [entry["resource"] for entry in bundle.get("entry", ())]
            page = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)
    return Sides(here, found)


def in_doubt(server: Server, file: Path) -> str:
    """Name the open intent, by SQL, and say of an update whether the EHR has moved on from the ETag that was sent."""
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT method, kind, state, resource_id, etag FROM intents").fetchall()
    found = []
    for method, kind, state, resource_id, etag in rows:
        moved = method == "update" and server.ask("GET", f"{kind}/{resource_id}").headers["etag"] != etag
        found.append(f"{method} {kind} {state}{', stored there' if moved else ''}")
    return "; ".join(found) or "no intent"


def assert_at_rest(both: Sides, recovery: Json, where: str) -> None:
    assert recovery["rests"], where
    assert recovery["second"] == {"writes": 0, "pulled": 0, "new_items": 0}, where
    assert both.doubled() == [], where
    assert differences(both.plan, *both.there()) == [], where
    assert len(both.found) == 31, where
    assert both.here.inbox == [], where


def spread(moments: Sequence[str], count: int) -> list[int]:
    """Return that many numbers of moments: of each kind equally many, of reads as few as of one kind, over the run."""
    kinds: dict[str, list[int]] = {}
    for number, name in enumerate(moments, 1):
        what, _, when = name.partition(": ")
        kind = "read" if what.startswith("GET") else when if what.startswith(("POST", "PUT")) else name
        kinds.setdefault(kind, []).append(number)
    chosen: list[int] = []
    turn = 0
    while len(chosen) < count:
        for numbers in kinds.values():
            # A step of the golden ratio spreads the picks over the run, whatever their number.
            place = int((turn * 0.618034 + len(chosen) * 0.381966) % 1 * len(numbers))
            if len(chosen) < count and numbers[place] not in chosen:
                chosen.append(numbers[place])
        turn += 1
    return sorted(chosen)


def inside(moments: Sequence[str], number: int) -> bool:
    """Tell whether a moment lies between the first request and the last tx2."""
    first = next(place for place, name in enumerate(moments, 1) if name.endswith(victim.BEFORE_BYTES))
    last = max(place for place, name in enumerate(moments, 1) if name.startswith("tx2"))
    return first <= number <= last


@pytest.mark.slow
async def test_a_process_killed_in_the_first_push_loses_and_doubles_nothing(
    hapi: FhirServer, processes: Processes, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Thirty goals go to HAPI for the first time; each death has a patient and a store of its own."""
    began = time.monotonic()
    whole = tmp_path / "whole.db"
    nobody_died = await prepared(hapi.url, whole)
    moments = processes.live(order(hapi.url, whole), 0)
    assert_at_rest(sides(nobody_died.server, whole), processes.recover(order(hapi.url, whole)), "nobody died")
    points: list[Point] = []
    for number in spread(moments, FIRST_PUSH):
        file = tmp_path / f"push-{number}.db"
        world = await prepared(hapi.url, file)
        seen = processes.live(order(hapi.url, file), number)
        both = sides(world.server, file)
        linked = len(both.here.links)
        found = f"{len(both.found)} there, {linked} linked, {in_doubt(world.server, file)}"
        recovery = processes.recover(order(hapi.url, file, LEASE_GONE))
        points.append(Point("first push", number, len(moments), seen[-1], found, told(recovery)))
        assert_at_rest(sides(world.server, file), recovery, points[-1].row())
    figure(table(points, moments, began))
    assert len(points) == FIRST_PUSH
    assert sum(inside(moments, point.number) for point in points) >= FIRST_PUSH - 4


@pytest.mark.slow
async def test_a_process_killed_after_a_session_loses_no_edit_of_either_side(
    hapi: FhirServer, processes: Processes, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """The thirty goals stand there; both sides edit before each death, and the EHR's users again after it."""
    began = time.monotonic()
    file = tmp_path / "store.db"
    world = await prepared(hapi.url, file)
    processes.live(order(hapi.url, file), 0)
    await edited(world, file, 0)
    moments = processes.live(order(hapi.url, file), 0)
    points: list[Point] = []
    for session, number in enumerate(spread(moments, SESSIONS), 1):
        levels = await edited(world, file, session)
        seen = processes.live(order(hapi.url, file, session * 2 * LEASE_GONE), number)
        found = in_doubt(world.server, file)
        levels |= edited_there_after(world, file, session)
        recovery = processes.recover(order(hapi.url, file, (session * 2 + 1) * LEASE_GONE))
        points.append(Point(f"session {session}", number, len(moments), seen[-1], found, told(recovery)))
        both = sides(world.server, file)
        assert_at_rest(both, recovery, points[-1].row())
        assert {one: both.here.goal(one)["priority"] for one in levels} == levels, points[-1].row()
        assert f"session {session}" in both.here.goal("g-social")["text"], points[-1].row()
    figure(table(points, moments, began))
    assert len(points) == SESSIONS
    assert sum(inside(moments, point.number) for point in points) >= SESSIONS - 4


def table(points: Sequence[Point], moments: Sequence[str], began: float) -> str:
    """Return the points as lines, and how many lie between the first request and the last tx2."""
    count = sum(inside(moments, point.number) for point in points)
    took_s = time.monotonic() - began
    last = f"{len(points)} deaths, {count} between the first request and the last tx2, {took_s:.0f} s"
    return "\n".join([*(point.row() for point in points), last])


def told(recovery: Json) -> str:
    return f"{recovery['runs']} run(s), {recovery['writes']} writes; second run {recovery['second']['writes']}"


async def prepared(ehr: str, file: Path) -> World:
    """Make a store with the plan and its people linked; nothing is pushed yet."""
    async with behind_the_cut_proxy(ehr, f"sqlite:///{file}") as world:
        world.url = ehr  # the processes that sync it know no proxy
        await world.connect(thirty_goals())
    return world


async def edited(world: World, file: Path, session: int) -> dict[str, str]:
    """Edit on both sides: a session here; there a priority and a note. Return the priorities set there."""
    store = AsyncStore(open_store(f"sqlite:///{file}"))
    try:
        world.store = store
        world.now = START + timedelta(hours=1) + session * 2 * LEASE_GONE - timedelta(minutes=1)
        await world.put(after_session(await world.plan(PLAN), session))
    finally:
        store.close()
    goals, _ = sides(world.server, file).there()
    level = ("low", "medium")[session % 2]
    world.change(goals["g-ba"], priority(level))
    world.change(
        goals["g-explore-map"], note(f"Seen in session {session}", "A nurse", f"2026-11-06T10:{session:02}:00Z")
    )
    return {"g-ba": level}


def edited_there_after(world: World, file: Path, session: int) -> dict[str, str]:
    """Edit there again, after the death, what our dead process was writing: goals whose texts the session changed."""
    goals, _ = sides(world.server, file).there()
    level = ("low", "medium")[session % 2]
    chosen = ("g-mood", "g-social")
    for goal_id in chosen:
        world.change(goals[goal_id], priority(level))
    return dict.fromkeys(chosen, level)


# -- the meter moves --

FAULTS: dict[str, Callable[[dict[str, Json], Json], object]] = {
    "a text": lambda goals, _: goals["g-sleep"]["description"].update(text="x"),
    "a status": lambda goals, _: goals["g-sleep"].update(lifecycleStatus="on-hold"),
    "an achievement": lambda goals, _: goals["g-sleep"].pop("achievementStatus"),
    "a priority": lambda goals, _: goals["g-sleep"]["priority"]["coding"][0].update(code="low-priority"),
    "a date": lambda goals, _: goals["g-sleep"]["target"][0].update(dueDate="2026-12-02"),
    "a number": lambda goals, _: goals["g-sleep"]["target"][1]["detailQuantity"].update(value=Decimal("6.1")),
    "a milestone": lambda goals, _: goals["g-mood"]["extension"].remove(
        next(one for one in goals["g-mood"]["extension"] if one["url"].endswith("/goal-relationship"))
    ),
    "a note": lambda goals, _: goals["g-mood"]["note"].pop(),
    "a goal": lambda goals, _: goals.pop("g-sleep"),
    "an entry of the goal list": lambda _, plan: plan["goal"].pop(),
    "a step": lambda _, plan: plan["activity"].pop(0),
    "a step's status": lambda _, plan: plan["activity"][0]["detail"].update(status="cancelled"),
    "a title": lambda _, plan: plan.update(title="x"),
    "a line of the narrative": lambda _, plan: plan["text"].update(div="<div/>"),
}


async def test_the_comparison_of_both_sides_sees_every_kind_of_loss(hapi: FhirServer, tmp_path: Path) -> None:
    """Each kind of value, changed or taken away in what was read there, is a difference; so is a second resource."""
    file = tmp_path / "store.db"
    world = await prepared(hapi.url, file)
    async with Http() as http:
        world.store, world.http = AsyncStore(open_store(f"sqlite:///{file}")), http
        try:
            await world.rest()
        finally:
            world.store.close()
    both = sides(world.server, file)
    assert differences(both.plan, *both.there()) == []
    assert both.doubled() == []
    for name, fault in FAULTS.items():
        goals, care_plan = copy.deepcopy(both.there())
        fault(goals, care_plan)
        assert differences(both.plan, goals, care_plan), name
    assert Sides(both.here, [*both.found, both.found[0]]).doubled()
    assert coded(both.there()[0]["g-sleep"]["priority"]) == "high-priority"
