"""The five examples at the five endpoints of the demo: what an endpoint may not see is in no byte of a long day there.

The day: a first push, edits on both sides, a conflict, a lost reply, a refused body, a store that can't be written,
withdrawals. What is undisclosed is worked out by `plan_files`, not by the product.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fhirgoals.cli.main import main
from fhirgoals.domain.planfile import load_plan
from fhirgoals.domain.records import Finding, Plan, ProgressEntry
from fhirgoals.errors import StoreError
from fhirgoals.fhir.http import AsgiApp
from fhirgoals.sandbox.knobs import Asked, Knobs
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from tests.leaks.forms import Readable, found_in, words_of
from tests.leaks.plan_files import EXAMPLES, ROOT, Reader, tree_of
from tests.leaks.wires import Ehr, ehr, logged
from tests.sync.world import text_of

DEMO = yaml.safe_load((ROOT / "examples" / "demo.yaml").read_bytes())
ENDPOINTS: dict[str, Any] = DEMO["connections"]
MAIN = "ehr-main"
SHORTEST = 12
replace = msgspec.structs.replace

HERE = {
    "private": "only in the room: she spoke about the winter on the farm",
    "finding": "understood today: the anger belongs to somebody else",
    "withheld": "a withheld goal that was put in other words today",
    "draft": "a draft that was put in other words today",
    "refused": "a goal text that the EHR will not take today",
}
"""Texts that people write here during the day; what is refused may go, the others may not."""


@dataclass
class Day:
    """All that the day left behind."""

    ehrs: dict[str, Ehr]
    trees: dict[str, Any]
    patients: dict[str, dict[str, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    log: bytes = b""
    conflicts: int = 0
    sent: dict[str, Readable] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)


class Refusing:
    """An application that answers 422 to the next PUT whose body it is told of, and says the whole body back."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self.refuse: str | None = None
        self.refused = 0

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if self.refuse is None or scope["method"] != "PUT":
            await self._app(scope, receive, send)
            return
        message = await receive()
        body = bytearray(message["body"])
        while message.get("more_body", False):
            message = await receive()
            body += message["body"]
        if self.refuse.encode() not in body:
            whole = [{"type": "http.request", "body": bytes(body)}]

            async def again() -> Any:
                return whole.pop() if whole else await receive()

            await self._app(scope, again, send)
            return
        self.refused += 1
        said = {
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "invalid", "diagnostics": f"bad content: {body.decode()}"}],
        }
        headers = [(b"content-type", b"application/fhir+json")]
        await send({"type": "http.response.start", "status": 422, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """The whole day, once for all endpoints and plans."""
    file = tmp_path_factory.mktemp("leaks") / "store.db"
    store = AsyncStore(open_store(f"sqlite:///{file}", busy_timeout_s=0.05))
    doors: dict[str, Refusing] = {}

    def door(name: str) -> Callable[[AsgiApp], Refusing]:
        def build(app: AsgiApp) -> Refusing:
            return doors.setdefault(name, Refusing(app))

        return build

    with ExitStack() as stack:
        ehrs = {
            name: stack.enter_context(ehr(store, name, app=door(name), portal_visible=settings["portal_visible"]))
            for name, settings in ENDPOINTS.items()
        }
        whole = Day(ehrs, {path.stem: tree_of(path) for path in EXAMPLES})
        with logged() as log:
            asyncio.run(play(whole, doors[MAIN], file))
            whole.log = log.bytes()
        whole.tables = dumped(file)
        whole.sent = {
            name: Readable([one.wire.bytes(), stored_at(one), whole.log, "\n".join(whole.errors).encode()])
            for name, one in ehrs.items()
        }
        yield whole
    store.close()


async def play(day: Day, door: Refusing, file: Path) -> None:
    plans = [load_plan(path.read_bytes(), name=path.stem) for path in EXAMPLES]
    main = day.ehrs[MAIN]
    for one in day.ehrs.values():
        await one.world.add_connection()
    for plan in plans:
        await main.world.put(plan)
    for name, one in day.ehrs.items():
        day.patients[name] = {}
        for plan in plans:
            references = await one.link(plan, {})
            if plan.client is not None:
                day.patients[name][plan.id] = references[plan.client.id]
    await everywhere(day)
    await edits(day, plans)
    await lost_reply(day)
    await refused(day, door)
    await no_store(day, file)
    await withdrawals(day)
    await everywhere(day)


async def everywhere(day: Day) -> None:
    """Run every connection until nothing is left to do."""
    for one in day.ehrs.values():
        for _ in range(4):
            counts = await one.world.sync()
            day.conflicts = max(day.conflicts, counts.conflicts)
            if not counts.writes:
                break


async def edit(day: Day, plan_id: str, goal: str, **changes: Any) -> None:
    await day.ehrs[MAIN].world.edit(plan_id, goal, **changes)


def change(day: Day, text: str, edit: Callable[[dict[str, Any]], None]) -> None:
    world = day.ehrs[MAIN].world
    world.change("Goal", str(world.goals()[text]["id"]), edit)


async def edits(day: Day, plans: list[Plan]) -> None:
    """Both sides write: things that go, things that stay, a clash, a closure that waits, a note of the ward."""
    depression, compulsion = plans[0], plans[1]
    sleep = depression.goal("g-sleep")
    private = ProgressEntry(id="pe-new", author="p-ther", visibility="private", text=HERE["private"])
    finding = Finding(date=date(2026, 11, 6), author="p-ther", visibility="private", text=HERE["finding"])
    await edit(day, depression.id, "g-sleep", text="Up by seven", progress=(*sleep.progress, private))
    await edit(day, depression.id, "g-explore-empty", findings=(finding,))
    await edit(day, compulsion.id, "g-drink", text=HERE["withheld"])
    await edit(day, compulsion.id, "g-club", text=HERE["draft"])
    await edit(day, depression.id, "g-social", text="See two friends")
    social = str(depression.goal("g-social").text)
    note = {"authorString": "A nurse", "time": "2026-11-06T10:22:00Z", "text": "Asked for the unscented soap"}
    change(day, social, lambda tree: tree.update(description={"text": "See three friends"}))
    change(day, str(compulsion.goal("g-wash").text), lambda tree: tree.update(note=[*tree.get("note", []), note]))
    change(day, str(depression.goal("g-thought").text), lambda tree: tree.update(lifecycleStatus="on-hold"))
    await everywhere(day)


async def lost_reply(day: Day) -> None:
    """A new goal is stored there and the reply never comes."""
    main = day.ehrs[MAIN]
    [act] = [act for act in DEMO["acts"] if act["act"] == 5]
    tree = {key: value for key, value in act["edits"][0]["add_goal"].items() if value is not None}
    day.trees["02-ocd-exposure"]["goals"].append(tree)
    day.trees["02-ocd-exposure"]["expected"]["export"][MAIN]["sent"].append(tree["id"])
    text = yaml.safe_dump(day.trees["02-ocd-exposure"], sort_keys=False, allow_unicode=True)
    goal = load_plan(text, name="tea").goal(tree["id"])
    plan = await main.world.plan("plan-ocd-01")
    await main.world.put(replace(plan, goals=(*plan.goals, goal)))
    main.sandbox.knobs = Knobs(lose_reply=lost)
    await everywhere(day)
    assert main.sandbox.knobs.lose_reply is None
    assert [text_of(one) for one in main.sandbox.storage.resources("Goal")].count(str(tree["text"])) == 1


def lost(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path.endswith("/Goal")


async def refused(day: Day, door: Refusing) -> None:
    """The EHR will not take a body and says it back, whole."""
    door.refuse = HERE["refused"]
    await edit(day, "plan-ipr-01", "g-no", text=HERE["refused"])
    await everywhere(day)
    door.refuse = None
    assert door.refused


async def no_store(day: Day, file: Path) -> None:
    """Somebody else holds the store while a run goes on."""
    await edit(day, "plan-ado-01", "h-lunch", text="Eat with somebody twice a week")
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as caught:
            await day.ehrs[MAIN].world.sync()
        other.execute("ROLLBACK")
    day.errors += traceback.format_exception(caught.value)
    await everywhere(day)


async def withdrawals(day: Day) -> None:
    """A client keeps back a goal that was sent, and then writes on in it."""
    await edit(day, "plan-dep-01", "g-explore-empty", share="withheld")
    await everywhere(day)
    await edit(day, "plan-dep-01", "g-explore-empty", text="put in other words after it was withdrawn")
    await everywhere(day)


def stored_at(one: Ehr) -> bytes:
    """Return all versions of what stands there of ours."""
    versions = one.sandbox.storage.versions()
    return b"\n".join(
        msgspec.json.encode(each.body, enc_hook=str)
        for each in versions
        if each.type in ("Goal", "CarePlan") and each.body is not None
    )


CLINICAL = {"document", "touched", "raw", "ours", "theirs", "base", "units", "body"}
"""The columns that hold content, by the words of `store/schema`; no other may."""


def dumped(file: Path) -> dict[str, bytes]:
    """Return every column of every table that holds no content, as the database file has it."""
    found: dict[str, bytes] = {}
    with contextlib.closing(sqlite3.connect(file)) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = store.execute(f"SELECT * FROM {table}")  # noqa: S608 - the database's own names
            columns = [column[0] for column in rows.description]
            for column, values in zip(columns, zip(*rows.fetchall(), strict=True), strict=False):
                if column not in CLINICAL:
                    found[f"{table}.{column}"] = "\n".join(map(str, values)).encode()
    return found


CASES = [(endpoint, path.stem) for endpoint in ENDPOINTS for path in EXAMPLES]


@pytest.mark.parametrize(("endpoint", "name"), CASES)
def test_no_undisclosed_text_is_anywhere(day: Day, endpoint: str, name: str) -> None:
    """Each free text of 12 characters or more that the endpoint may not see; a part of one that it may see is none."""
    kept = undisclosed_texts(day.trees[name], endpoint)
    assert len(kept) > 10
    assert {text: path for text, path in kept.items() if day.sent[endpoint].holds(text)} == {}
    traffic = day.ehrs[endpoint].wire.bytes()
    assert found_in(traffic, kept) == []


def undisclosed_texts(tree: Any, endpoint: str) -> dict[str, str]:
    """Return each text of a file that the endpoint may not see, with its path."""
    texts = [each for each in Reader(tree, endpoint).values() if each.kind == "text"]
    allowed = "\n".join(words_of(each.value) for each in texts if each.disclosed)
    kept = {each.value: each.path for each in texts if not each.disclosed and len(each.value) >= SHORTEST}
    return {text: path for text, path in kept.items() if words_of(text) not in allowed}


@pytest.mark.parametrize(("endpoint", "name"), CASES)
def test_what_map_gives_an_endpoint_holds_no_undisclosed_text(
    endpoint: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`map --as`, which needs no store: the bundle and all that is printed beside it."""
    [path] = [path for path in EXAMPLES if path.stem == name]
    portal = ["--portal-visible"] if ENDPOINTS[endpoint]["portal_visible"] else []
    assert main(["map", str(path), "--to", "r4", "--as", endpoint, "--on", "2026-11-06", *portal]) == 0
    printed = capsys.readouterr()
    readable = Readable([printed.out.encode(), printed.err.encode()])
    tree = tree_of(path)
    assert {text for text in undisclosed_texts(tree, endpoint) if readable.holds(text)} == set()
    assert not readable.holds("SENTINEL")
    goals = {goal["text"] for goal in tree["goals"] if goal["id"] in Reader(tree, endpoint).goals}
    assert all(readable.holds(text) for text in goals)


@pytest.mark.parametrize(("endpoint", "name"), CASES)
def test_no_undisclosed_code_number_or_day_is_in_a_clients_resources(day: Day, endpoint: str, name: str) -> None:
    """In the bodies that name the client: less the values that other fields disclose, and the wire's own words."""
    reader = Reader(day.trees[name], endpoint)
    plan_id = reader.tree["plan"]["id"]
    bodies = bodies_of(day, endpoint, plan_id)
    assert bool(bodies) == bool(reader.goals)
    leaves = set(leaves_of(bodies))
    days = {found for leaf in leaves if isinstance(leaf, str) for found in re.findall(r"\d{4}-\d\d-\d\d", leaf)}
    values = list(reader.values())
    allowed = {(each.kind, each.value) for each in values if each.disclosed} | EHRS_OWN
    kept = {(each.kind, each.value) for each in values if each.kind != "text"} - allowed
    there: dict[str, set[Any]] = {
        "number": {leaf for leaf in leaves if isinstance(leaf, Decimal)},
        "date": days,
        "code": {leaf for leaf in leaves if isinstance(leaf, str)} - WIRE_WORDS,
    }
    written = {("number", value): Decimal(str(value)) for kind, value in kept if kind == "number"}
    found = [
        (kind, value)
        for kind, value in kept
        if written.get((kind, value), value) in there[kind]
        or (kind == "code" and str(value).replace("_", "-") in there[kind])
    ]
    assert found == []


EHRS_OWN = {("date", "2026-11-06")}
"""The ward's note of that day."""

WIRE_WORDS = {
    "milestone",
    "active",
    "completed",
    "scheduled",
    "step",
    "plan",
    "progress",
    "agree",
    "pending",
    "on-hold",
}
"""Codes of the wire that are also words of fields which stay, each of another field."""


def bodies_of(day: Day, endpoint: str, plan_id: str) -> list[Any]:
    """Return the bodies sent about the plan's client, without what the server says of versions."""
    patient = day.patients[endpoint].get(plan_id)
    wire = day.ehrs[endpoint].wire
    bodies = [body for kind in ("Goal", "CarePlan") for body in wire.bodies(kind)]
    mine = [body for body in bodies if body["subject"] == {"reference": patient}]
    return [{**body, "meta": {**body["meta"], "lastUpdated": None, "versionId": None}} for body in mine]


def leaves_of(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict | list):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves_of(each)
    elif isinstance(tree, int | Decimal) and not isinstance(tree, bool):
        yield Decimal(tree)
    else:
        yield tree


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_no_readable_id_is_anywhere(day: Day, endpoint: str) -> None:
    """No id of a plan, goal, client, participant, step, measure or anything else stands by itself in what was sent."""
    sent = Readable([day.ehrs[endpoint].wire.bytes(), stored_at(day.ehrs[endpoint])])
    ids = {each for tree in day.trees.values() for each in Reader(tree, endpoint).ids()}
    assert len(ids) > 200
    assert {each for each in ids if sent.names(each)} == set()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_no_mark_is_anywhere(day: Day, endpoint: str) -> None:
    """None of the examples' SENTINEL texts, in any part."""
    assert not day.sent[endpoint].holds("SENTINEL")
    marks = {mark for path in EXAMPLES for mark in re.findall(r"\w+-SENTINEL-[\w-]+", path.read_text(encoding="utf-8"))}
    assert len(marks) > 50
    assert found_in(day.ehrs[endpoint].wire.bytes(), marks) == []


def test_what_is_written_here_during_the_day_stays(day: Day) -> None:
    """A private note, a finding, a withheld goal and a draft, written between runs; a goal after it was withheld."""
    for name, text in HERE.items():
        assert day.sent[MAIN].holds(text) == (name == "refused"), name
    assert not day.sent[MAIN].holds("put in other words after it was withdrawn")
    assert not found_in(day.log + "\n".join(day.errors).encode(), HERE.values())


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_no_text_is_in_a_column_of_ids_and_counts(day: Day, name: str) -> None:
    """Audit, ledger, marks, cursors, runs, leases, links: no text of a plan, disclosed or not, is in their columns."""
    told = {table.partition(".")[0] for table in day.tables}
    assert {"audit", "dirty", "links", "identity_links", "inbox", "plans", "unit_revisions", "leases"} <= told
    texts = {each.value for each in Reader(day.trees[name], MAIN).values() if each.kind == "text"} | set(HERE.values())
    texts = {text for text in texts if len(text) >= SHORTEST}
    for place, content in day.tables.items():
        readable = Readable([content])
        assert {text for text in texts if readable.holds(text)} == set(), place
        assert not readable.holds("SENTINEL"), place


def test_the_day_was_as_it_is_told(day: Day) -> None:
    """Only one endpoint was spoken to at all; there it met a clash, an error of the store, and what may go did go."""
    assert {name for name, one in day.ehrs.items() if one.wire.sent} == {MAIN}
    assert day.conflicts == 1
    assert day.errors
    for name in day.trees:
        for each in Reader(day.trees[name], MAIN).values():
            if each.kind == "text" and each.disclosed and each.path == "Goal.text":
                assert day.sent[MAIN].holds(each.value), each
