"""One schedule: a made-up plan of many goals, a server behind the fault proxy, and edits on both sides between runs.

The plan's texts are numbered, so that each is there once. Every edit goes into a log that the oracle judges by.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import msgspec

from fhirgoals.demo.plain_http import Server
from fhirgoals.domain import records as r
from fhirgoals.fhir.http import Http
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.guard import clear
from tests.e2e.servers.fault_proxy import FaultProxy, GivesUp
from tests.e2e.servers.schedule_oracle import (
    METERS,
    Answer,
    Edit,
    Oracle,
    Side,
    Verdict,
    ask,
    plan_value_there,
    value_there,
)
from tests.e2e.servers.world import CONNECTION, World

Json: TypeAlias = Any

PLAN = "plan-sched"
AGREED = date(2026, 1, 5)
DAY = timedelta(hours=25)
"""Between two rounds: what the guard counts over a day starts anew."""
ROUNDS = 3
RUNS_OF_A_ROUND = 2
FIRST_RUNS_AT_MOST = 20
"""So many runs under faults may the first push take; what is not there by then comes later."""
QUIET_RUNS = 2
"""The sync may need so many runs without faults to come to rest; the next one is counted."""
UNITS = ("text", "priority", "target_date", "note")
UNITS_THERE = (*UNITS, "status")
LEVELS = ("low", "medium", "high")

replace = msgspec.structs.replace


def made_up_plan(goals: int, *connections: str) -> r.Plan:
    """Return a plan of so many goals: every fifth a long-term one, the others under it, a step in every third.

    It may go to those connections, or to the one of the schedules.
    """
    return r.Plan(
        id=PLAN,
        kind="client_treatment",
        title="A plan, as it was at first",
        status="active",
        start_date=AGREED,
        client=r.Client(id="client-1", display="A client", birth_date=date(1990, 1, 1)),
        participants=(
            r.Participant(id="p-client", role="client", ref="client-1"),
            r.Participant(id="p-ther", role="primary_therapist", ref="staff-1", display="T"),
        ),
        problems=(r.Problem(id="pr-1", code=r.Coding(system="icd10cm", code="F33.1"), status="active"),),
        disclosure=r.Disclosure(
            consents=tuple(
                r.Consent(id=f"c-{one}", endpoint=one, granted=AGREED, method="signature", sensitivities=("MH",))
                for one in connections or (CONNECTION,)
            )
        ),
        goals=tuple(
            made_up_goal(number, name_of(number - number % 5) if number % 5 else None) for number in range(goals)
        ),
    )


def name_of(number: int) -> str:
    return f"g-{number:03}"


def made_up_goal(number: int, parent: str | None) -> r.Goal:
    """Return the goal of that number; nothing in it is in another one."""
    step = r.Step(
        id=f"st-{number:03}", n=1, kind="homework", owner="client", text=f"Step of goal {number:03}", status="planned"
    )
    return r.Goal(
        id=name_of(number),
        parent=parent,
        horizon="short_term" if parent else "long_term",
        nature="actionable" if parent else "aspirational",
        text=f"Goal {number:03} as it was at first",
        lifecycle="active",
        priority=LEVELS[number % 3],  # type: ignore[arg-type]
        start_date=AGREED,
        target_date=date(2026, 12, 1) + timedelta(days=number),
        addresses=("pr-1",),
        acceptance=(r.Acceptance(by="p-client", status="agree", date=AGREED, method="verbal"),),
        steps=(step,) if number % 3 == 0 else (),
    )


@dataclass
class Schedule:
    """A world, its proxy, the dice of a seed, and the log of all edits."""

    world: World
    proxy: FaultProxy
    oracle: Oracle
    seed: int
    edits: list[Edit] = field(default_factory=list)
    runs: int = 0
    cleared: int = 0
    round: int = 0
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = Random(f"edits {self.seed}")

    async def play(self, goals: int) -> Verdict:
        """Link, push, edit and sync under faults, come to rest without; return what the oracle says."""
        await self.started(goals)
        self.proxy.faulty = True
        self.proxy.meanwhile = self.edit_in_a_run
        while self.runs < FIRST_RUNS_AT_MOST and len(self.oracle.here().links) <= goals:
            await self.run()
        for self.round in range(1, ROUNDS + 1):
            self.world.now += DAY
            await self.edit_both()
            for _ in range(RUNS_OF_A_ROUND):
                await self.run()
                self.world.now += timedelta(minutes=5)
        return await self.rest()

    async def started(self, goals: int) -> None:
        """Link the people of a plan of so many goals; nothing is pushed yet."""
        self.names = [name_of(one) for one in range(goals)]
        self.oracle.known = {PLAN, *self.names}
        await self.world.connect(made_up_plan(goals))
        self.oracle.patients = tuple(self.world.patients.values())

    async def rest(self) -> Verdict:
        """End the faults, sync until both sides rest, and judge."""
        await self.proxy.calm()
        for _ in range(QUIET_RUNS):
            self.world.now += timedelta(minutes=5)
            await self.run()
        return await self.judged()

    async def judged(self) -> Verdict:
        """Sync once more and let the oracle judge both sides, and what that run wrote."""
        self.world.now += timedelta(minutes=5)
        before = len(self.proxy.exchanges)
        await self.run()
        written = [one for one in self.proxy.exchanges[before:] if one.method not in ("GET", "HEAD")]
        return self.oracle.judge(self.edits, [f"{one.method} {one.target}" for one in written])

    async def run(self) -> None:
        """Sync once; what fails is taken up by the next run. Where the guard stopped the last, a person clears it."""
        self.runs += 1
        if any(item["kind"] == "guard" for item in self.oracle.here().items):
            self.cleared += 1
            at = self.world.clock()
            await self.world.store.write(lambda tx: clear(tx, CONNECTION, by="it-1", at=at))
        self.proxy.say(f"run {self.runs}")
        await self.world.sync()

    # -- edits --

    async def edit_both(self) -> None:
        """Edit a fifth of the goals here and as many there, some on both sides and some in the same unit; move one."""
        count = max(len(self.names) // 5, 2)
        here, there = self.dice.sample(self.names, count), self.dice.sample(self.names, count)
        units = {goal: self.dice.choice(UNITS) for goal in here}
        for goal, unit in units.items():
            await self.edit_here(goal, unit)
        for place, goal in enumerate(here[: max(count // 3, 1)]):
            self.edit_there(goal, units[goal] if place % 2 else self.dice.choice(UNITS_THERE))
        for goal in there:
            self.edit_there(goal, self.dice.choice(UNITS_THERE))
        await self.move_here()
        await self.new_here()
        self.move_there()
        self.born_there()
        self.step_there()
        if self.round % 2:
            await self.title_here()
        if self.round >= 2:
            self.title_there()

    async def edit_in_a_run(self) -> None:
        """Edit one goal on either side, between two requests of a run."""
        goal = self.dice.choice(self.names)
        if self.dice.random() < 0.3:
            await self.edit_here(goal, self.dice.choice(UNITS))
        else:
            self.edit_there(goal, self.dice.choice(UNITS_THERE))

    async def edit_here(self, goal: str, unit: str) -> None:
        over = self.oracle.here().value(goal, unit)
        value = self._value(unit, "here", over)
        one = (await self.world.plan(PLAN)).goal(goal)
        changes: dict[str, object] = {unit: date.fromisoformat(value) if unit == "target_date" else value}
        if unit == "note":
            entry = r.ProgressEntry(
                id=f"n-{len(self.edits)}", date=self.world.now.date(), author="p-ther", visibility="shared", text=value
            )
            changes = {"progress": (*one.progress, entry)}
        self._log(Edit("here", goal, unit, value, over))
        await self.world.edit(PLAN, goal, **changes)

    async def move_here(self) -> None:
        """Move a short-term goal to another long-term one."""
        child = self.dice.choice([name for place, name in enumerate(self.names) if place % 5])
        parent = self.dice.choice(self.names[::5])
        over = self.oracle.here().value(child, "parent")
        if over != parent:
            self._log(Edit("here", child, "parent", parent, over))
            await self.world.edit(PLAN, child, parent=parent)

    async def new_here(self) -> None:
        """Write a new goal, which is created there in the next run."""
        plan = await self.world.plan(PLAN)
        goal = made_up_goal(len(plan.goals), name_of(0))
        self._log(Edit("here", goal.id, "text", goal.text, None))
        await self.world.put(replace(plan, goals=(*plan.goals, goal)))

    async def title_here(self) -> None:
        plan = await self.world.plan(PLAN)
        title = f"Title {len(self.edits):03}, written here"
        self._log(Edit("here", PLAN, "title", title, plan.title))
        await self.world.put(replace(plan, title=title))

    def title_there(self) -> None:
        if (now := self.oracle.plan_there()) is not None:
            title, over = f"Title {len(self.edits):03}, written there", now.tree()["title"]
            self._put(now, lambda tree: tree.update(title=title))
            self._log(Edit("there", PLAN, "title", title, over))

    def step_there(self) -> None:
        """Begin a step there, or end it."""
        if (now := self.oracle.plan_there()) is None:
            return
        here = self.oracle.here()
        unit = self.dice.choice(sorted(here.steps()))
        over = plan_value_there(now.tree(), unit, here)
        if over is not None:
            value = "completed" if over == "in-progress" else "in-progress"
            text = f"Step of goal {unit.partition(':st-')[2].partition('.')[0]}"

            def begin(tree: Json) -> None:
                [step] = [one["detail"] for one in tree["activity"] if one["detail"]["description"] == text]
                step["status"] = value

            self._put(now, begin)
            self._log(Edit("there", PLAN, unit, value, over))

    def born_there(self) -> None:
        """Write a goal there and list it in the care plan."""
        if (now := self.oracle.plan_there()) is not None:
            text = f"Goal born there {len(self.edits):03}"
            goal = {
                "resourceType": "Goal",
                "lifecycleStatus": "active",
                "description": {"text": text},
                "subject": now.tree()["subject"],
            }
            made = ask(self.oracle.base, "POST", "Goal", goal)
            assert made.status == 201
            reference = {"reference": f"Goal/{made.tree()['id']}"}
            self._put(now, lambda tree: tree["goal"].append(reference))
            self._log(Edit("there", PLAN, "born", text, None))

    def move_there(self) -> None:
        """Move a short-term goal there: the milestone is taken out of one goal, then written into another."""
        there = self.oracle.there()
        child, parent = self.dice.choice(self.names[1:5]), self.dice.choice(self.names[::5])
        tree, new, over = there.goal(child), there.goal(parent), there.value(child, "parent")
        old = there.goal(over) if isinstance(over, str) else None
        back = any((one.goal, one.unit, one.over) == (child, "parent", parent) for one in self.edits)
        if tree is None or new is None or old is None or over == parent or back:
            return  # there and back between two readings is no edit (design 5.3)
        moved: list[Json] = []

        def take_out(one: Json) -> None:
            moved.extend(each for each in one["extension"] if f'"Goal/{tree["id"]}"' in json.dumps(each, default=str))
            one["extension"] = [each for each in one["extension"] if each not in moved]
            if not one["extension"]:
                del one["extension"]

        self._put(ask(self.oracle.base, "GET", f"Goal/{old['id']}"), take_out)
        now = ask(self.oracle.base, "GET", f"Goal/{new['id']}")
        self._put(now, lambda one: one.setdefault("extension", []).extend(moved))
        self._log(Edit("there", child, "parent", parent, over))

    def _put(self, now: Answer, edit: Callable[[Json], object]) -> None:
        """Write what somebody made of a resource that was just read."""
        edit(tree := now.tree())
        address = f"{tree['resourceType']}/{tree['id']}"
        stored = ask(self.oracle.base, "PUT", address, tree, if_match=now.headers["etag"])
        assert stored.status == 200, stored.body
        self.proxy.noted(now.tree())

    def edit_there(self, goal: str, unit: str) -> None:
        """Edit as the EHR's people do: read, change, write with If-Match. A goal that is not there yet can't be."""
        if (now := self.oracle.goal_there(goal)) is None:
            return
        over = value_there(now.tree(), unit)
        value = self._value(unit, "there", over)
        if any((one.side, one.goal, one.unit, one.over) == ("there", goal, unit, value) for one in self.edits):
            return  # there and back between two readings is no edit (design 5.3)
        at = self.world.now.isoformat()
        self._put(now, lambda tree: change(tree, unit, value, at))
        self._log(Edit("there", goal, unit, value, over))

    def _value(self, unit: str, side: Side, over: Json) -> str:
        """Return a value other than the one that stands there."""
        match unit:
            case "text" | "note":
                return f"{unit} {len(self.edits):03}, written {side}"
            case "priority":
                return self.dice.choice([level for level in LEVELS if level != over])
            case "status":
                return "on-hold" if over == "active" else "active"
            case _:
                day = date.fromisoformat(over) if over else date(2027, 1, 1)
                return (day + timedelta(days=self.dice.randint(1, 300))).isoformat()

    def _log(self, edit: Edit) -> None:
        self.edits.append(edit)
        self.proxy.say(f"edit {edit.side} {edit.goal} {edit.unit} {edit.over!r} -> {edit.value!r}")


def change(tree: Json, unit: str, value: str, at: str) -> None:
    """Change one thing in a Goal's JSON."""
    match unit:
        case "text":
            tree["description"]["text"] = value
        case "priority":
            coding = {"system": "http://terminology.hl7.org/CodeSystem/goal-priority", "code": f"{value}-priority"}
            tree["priority"] = {"coding": [coding]}
        case "target_date":
            next(one for one in tree["target"] if one.get("id") == "due")["dueDate"] = value
        case "status":
            tree["lifecycleStatus"] = value
        case "note":
            tree.setdefault("note", []).append({"authorString": "A nurse", "time": at, "text": value})


def counted(verdict: Verdict) -> Iterator[str]:
    """Yield what is wrong, as lines."""
    for name in METERS:
        for line in getattr(verdict, name):
            yield f"{name}: {line}"


@asynccontextmanager
async def schedule(ehr: str, seed: int, folder: Path, **config: object) -> AsyncIterator[Schedule]:
    """Open the world of a seed at a server."""
    file = folder / f"{seed}.db"
    store = AsyncStore(open_store(f"sqlite:///{file}"))
    try:
        async with FaultProxy(ehr, seed) as proxy, Http(transport=GivesUp(proxy)) as http:
            world = World(store, Server(ehr), proxy.url, http, proxy, config=config, sleep=_no_sleep)
            yield Schedule(world, proxy, Oracle(file, ehr, PLAN), seed)
    finally:
        store.close()


async def _no_sleep(_seconds: float) -> None:
    """Time is the test's."""
