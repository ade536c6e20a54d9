"""One simulated world: a small plan here, one or more sandbox EHRs, people who edit on all sides, and a log of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from fhirgoals.domain import records as r
from fhirgoals.domain.units import touched
from fhirgoals.errors import FhirgoalsError
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.rest import Precondition
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.connection import ConnectionConfig
from fhirgoals.sync.identify import confirm, link_identifier, match, wanted
from fhirgoals.sync.run import Runner
from tests.simulate.network import Network

START = datetime(2026, 11, 6, 9, tzinfo=UTC)
PRIORITY = "http://terminology.hl7.org/CodeSystem/goal-priority"


def small_plan(connections: tuple[str, ...]) -> r.Plan:
    """Return a plan of four goals, two of them long-term, each with one step."""
    consents = tuple(
        r.Consent(id=f"c-{name}", endpoint=name, granted=date(2026, 1, 1), method="signature", sensitivities=("MH",))
        for name in connections
    )

    def goal(name: str, parent: str | None) -> r.Goal:
        return r.Goal(
            id=name,
            parent=parent,
            horizon="short_term" if parent else "long_term",
            nature="actionable" if parent else "aspirational",
            text=f"text of {name}",
            lifecycle="active",
            priority="medium",
            start_date=date(2026, 1, 5),
            target_date=date(2026, 12, 18),
            addresses=("pr-1",),
            acceptance=(r.Acceptance(by="p-client", status="agree", date=date(2026, 1, 5), method="verbal"),),
            steps=(
                r.Step(id=f"st-{name}", n=1, kind="homework", owner="client", text=f"step of {name}", status="planned"),
            ),
        )

    return r.Plan(
        id="plan-1",
        kind="client_treatment",
        title="A plan",
        status="active",
        start_date=date(2026, 1, 5),
        client=r.Client(id="client-1", display="A client", birth_date=date(1990, 1, 1)),
        participants=(
            r.Participant(id="p-client", role="client", ref="client-1"),
            r.Participant(id="p-ther", role="primary_therapist", ref="staff-1", display="T"),
        ),
        problems=(r.Problem(id="pr-1", code=r.Coding(system="icd10cm", code="F33.1"), status="active"),),
        disclosure=r.Disclosure(consents=consents),
        goals=(goal("g-a", None), goal("g-b", None), goal("g-a1", "g-a"), goal("g-a2", "g-a")),
    )


@dataclass(frozen=True)
class Edit:
    """One edit by a person: where, which unit, the value it wrote and the value that it wrote over."""

    at: int
    side: str
    goal: str
    field: str
    value: str
    over: str | None


@dataclass
class World:
    """The state of one run."""

    random: Random
    names: tuple[str, ...] = ("ehr-a",)
    knobs: Knobs | None = None
    config: dict[str, object] = field(default_factory=dict)
    edits: list[Edit] = field(default_factory=list)
    kills: int = 0
    now: datetime = START
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.store = AsyncStore(open_store("sqlite://"))
        self.sandboxes = {name: Sandbox(self.knobs, clock=self.clock) for name in self.names}
        self.networks = {name: Network(box.app, self.random) for name, box in self.sandboxes.items()}

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def new_id(self) -> UUID:
        return UUID(int=next(self.ids))

    def base(self, name: str) -> str:
        return f"http://{name}.test/fhir"

    async def start(self) -> None:
        """Load the plan, link its people everywhere, and push."""
        plan = small_plan(self.names)
        at = self.clock()
        for name in self.names:
            config = ConnectionConfig(base_url=self.base(name), release="on_save", **self.config)  # type: ignore[arg-type]
            tree = msgspec.to_builtins(config)

            def add(tx: Any, name: str = name, tree: Any = tree) -> None:
                tx.connections.add(name, tree, at=at, by="it-1")
                tx.connections.set_state(name, "armed", by="it-1", reason="test", at=at)

            await self.store.write(add)
        await self.save(plan)
        for name in self.names:
            await self._know_people(name, plan)
            await self.sync(name)

    async def _know_people(self, name: str, plan: r.Plan) -> None:
        installation = self.store.store.installation
        patient = ""
        for one in wanted(plan, installation, {}):
            identifier = link_identifier(installation, one.kind, one.local_id)
            body: dict[str, Any] = {
                "resourceType": one.kind,
                "identifier": [{"system": identifier.system, "value": identifier.value}],
            }
            if one.kind == "Patient":
                body["birthDate"] = "1990-01-01"
            if one.kind == "Condition":
                body["subject"] = {"reference": patient}
            stored = self.sandboxes[name].storage.create(one.kind, body, unless=None)
            if one.kind == "Patient":
                patient = f"Patient/{stored.version.id}"
        await match(self.store, self.client(name), name, by="it-1", clock=self.clock)
        at = self.clock()
        await self.store.write(lambda tx: confirm(tx, name, None, by="it-1", at=at))

    def client(self, name: str, network: Any = None) -> EhrClient:
        async def no_sleep(_seconds: float) -> None:
            return None

        return EhrClient(
            self.base(name),
            network or self.networks[name],
            clock=self.clock,
            sleep=no_sleep,
            jitter=lambda: 0.0,
            connection=name,
            max_retries=0,
        )

    async def sync(self, name: str, network: Any = None, store: Any = None) -> Any:
        runner = Runner(store or self.store, name, self.client(name, network), self.clock, self.new_id, "sim")
        return await runner.sync()

    # -- our side --

    async def plan(self) -> r.Plan:
        stored = await self.store.read(lambda tx: tx.plans.get("plan-1"))
        assert stored is not None
        return stored.plan

    async def save(self, plan: r.Plan) -> None:
        stored = await self.store.read(lambda tx: tx.plans.get(plan.id))
        before = stored.plan if stored else None
        at = self.clock()
        await self.store.write(
            lambda tx: tx.plans.save(
                plan,
                expect=stored.rev if stored else None,
                by="staff-1",
                reason="review",
                at=at,
                touched=touched(before, plan),
            )
        )

    def note(self, side: str, goal: str, field_name: str, value: str, over: str | None) -> None:
        self.edits.append(Edit(len(self.edits), side, goal, field_name, value, over))

    async def edit_here(self) -> None:
        """One edit by a therapist."""
        plan = await self.plan()
        living = [goal for goal in plan.goals if goal.lifecycle != "entered_in_error"]
        goal = self.random.choice(living)
        kind = self.random.choice(["text", "text", "status", "target", "parent", "step", "note", "goal"])
        number = next(self.numbers)
        changed: r.Goal | None = None
        match kind:
            case "text":
                changed = msgspec.structs.replace(goal, text=f"here {number}")
                self.note("here", goal.id, "text", f"here {number}", goal.text)
            case "status":
                changed = msgspec.structs.replace(
                    goal, status_reason=f"reason here {number}", status_date=date(2026, 11, 6)
                )
                self.note("here", goal.id, "status", f"reason here {number}", goal.status_reason)
            case "target":
                day = date(2026, 12, 19) + timedelta(days=number)
                changed = msgspec.structs.replace(goal, target_date=day)
                self.note("here", goal.id, "target_date", day.isoformat(), str(goal.target_date))
            case "parent":
                if goal.horizon == "long_term":
                    return
                parents = [one.id for one in living if one.horizon == "long_term" and one.id != goal.parent]
                if not parents:
                    return
                parent = self.random.choice(parents)
                changed = msgspec.structs.replace(goal, parent=parent)
                self.note("here", goal.id, "parent", parent, goal.parent)
            case "step":
                if not goal.steps:
                    return
                step = goal.steps[0]
                new = msgspec.structs.replace(step, text=f"step here {number}")
                changed = msgspec.structs.replace(goal, steps=(new, *goal.steps[1:]))
                self.note("here", goal.id, "step", f"step here {number}", step.text)
            case "note":
                entry = r.ProgressEntry(
                    id=f"n-{number}",
                    date=date(2026, 11, 6),
                    author="p-ther",
                    visibility="shared",
                    text=f"note here {number}",
                )
                changed = msgspec.structs.replace(goal, progress=(*goal.progress, entry))
                self.note("here", goal.id, f"note {number}", f"note here {number}", None)
            case "goal":
                new_goal = msgspec.structs.replace(
                    living[-1],
                    id=f"g-{number}",
                    text=f"goal here {number}",
                    parent="g-a",
                    horizon="short_term",
                    steps=(),
                    progress=(),
                    origin=None,
                )
                self.note("here", new_goal.id, "text", f"goal here {number}", None)
                await self.save(msgspec.structs.replace(plan, goals=(*plan.goals, new_goal)))
                return
        assert changed is not None
        goals = tuple(changed if one.id == goal.id else one for one in plan.goals)
        await self.save(msgspec.structs.replace(plan, goals=goals))

    # -- an EHR's side: raw JSON in the sandbox's storage, none of our code --

    def local_ids(self, name: str) -> dict[str, str]:
        """Return our goal ids by resource id, found by our identifiers."""
        installation = self.store.store.installation
        found = {}
        for goal in self.sandboxes[name].storage.resources("Goal"):
            for number in itertools.chain(("g-a", "g-b", "g-a1", "g-a2"), (f"g-{n}" for n in range(1, 60))):
                wire = installation.wire_id("Goal", "plan-1", number)
                if any(one["value"] == wire for one in goal.get("identifier", [])):
                    found[str(goal["id"])] = number
        return found

    def edit_there(self, name: str) -> None:
        """One edit by somebody at an EHR."""
        storage = self.sandboxes[name].storage
        ids = self.local_ids(name)
        goals = [goal for goal in storage.resources("Goal") if str(goal["id"]) in ids]
        if not goals:
            return
        goal: Any = self.random.choice(goals)
        local = ids[str(goal["id"])]
        kind = self.random.choice(["text", "text", "status", "target", "step", "note"])
        number = next(self.numbers)
        match kind:
            case "text":
                self.note(name, local, "text", f"{name} {number}", goal["description"]["text"])
                goal["description"] = {"text": f"{name} {number}"}
            case "status":
                self.note(name, local, "status", f"reason {name} {number}", goal.get("statusReason"))
                goal["statusReason"] = f"reason {name} {number}"
            case "target":
                day = (date(2026, 12, 19) + timedelta(days=number)).isoformat()
                due = next((one for one in goal.get("target", []) if one.get("id") == "due"), None)
                if due is None:
                    return
                self.note(name, local, "target_date", day, due["dueDate"])
                due["dueDate"] = day
            case "step":
                self._edit_step(name, goal, local, number)
                return
            case "note":
                self.note(name, local, f"note {number}", f"note {name} {number}", None)
                goal.setdefault("note", []).append({"authorString": "A nurse", "text": f"note {name} {number}"})
        self._store(name, "Goal", goal)

    def _edit_step(self, name: str, goal: Any, local: str, number: int) -> None:
        for plan in self.sandboxes[name].storage.resources("CarePlan"):
            tree: Any = plan
            for activity in tree.get("activity", []):
                detail = activity.get("detail", {})
                named = [one["reference"] for one in detail.get("goal", [])]
                if f"Goal/{goal['id']}" in named and detail.get("kind") == "Task":
                    self.note(name, local, "step", f"step {name} {number}", detail.get("description"))
                    detail["description"] = f"step {name} {number}"
                    self._store(name, "CarePlan", tree)
                    return

    def _store(self, name: str, kind: str, tree: Any) -> None:
        self.sandboxes[name].storage.update(kind, tree["id"], tree, Precondition())

    def close(self) -> None:
        self.store.close()


__all__ = ["Edit", "FhirgoalsError", "World", "small_plan"]
