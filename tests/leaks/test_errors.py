"""Every class of error, raised on a real path by something with a secret in it: nobody gets to see the secret.

Looked at are the message, the `repr`, the whole traceback with all that it is chained to, and what is logged of it.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sqlite3
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from fhirgoals import log
from fhirgoals.cli.main import main
from fhirgoals.domain.invariants import check, errors
from fhirgoals.domain.planfile import load_plan, load_plan_json
from fhirgoals.domain.records import Goal, Plan
from fhirgoals.errors import (
    BadJson,
    BadPlan,
    BadResource,
    Bug,
    ConfigurationError,
    FhirgoalsError,
    InputError,
    Outdated,
    Refused,
    RemoteError,
    StoreError,
)
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.exact_json import dumps, loads
from fhirgoals.fhir.http import Http
from fhirgoals.fhir.validate import new_faults
from fhirgoals.settings import load_settings
from fhirgoals.store import schema
from fhirgoals.store.engine import open_store
from fhirgoals.sync.connection import config_of
from tests.leaks.forms import found_in
from tests.leaks.planted_plans import plant
from tests.leaks.wires import Wire, logged

SECRET = "zq5ec2e7 she said: it's <over> & \"done\" é at Marisol's"
WORD = "zq5ec2e7-marisol-everhart"
NOW = datetime(2026, 11, 6, 9, tzinfo=UTC)
PLAN = plant().plans[0]
SECRETS = {SECRET, WORD, *(seed.text for seeds in plant().seeds.values() for seed in seeds if seed.kind == "text")}

Raises = Callable[[Path], Any]


def quoted(text: str) -> str:
    return json.dumps(text)


def plan_file(*lines: str) -> bytes:
    head = (
        "schema: fhirgoals-plan/1",
        f"plan: {{id: p-1, kind: client_treatment, title: {quoted(SECRET)}, status: active}}",
        f"client: {{id: c-1, display: {quoted(SECRET)}}}",
    )
    return "\n".join((*head, *lines)).encode()


GOAL = f"goals:\n  - {{id: g-1, text: {quoted(SECRET)}, client_words: {quoted(SECRET)}"

BAD_PLANS = {
    "a date that is none": plan_file(GOAL + f", start_date: {quoted(SECRET)}}}"),
    "a code that is none": plan_file(GOAL + f", lifecycle: {quoted(SECRET)}}}"),
    "a number that is none": plan_file(GOAL + f", targets: [{{measure: m-1, value: {quoted(SECRET)}}}]}}"),
    "a text for a list": plan_file(GOAL + f", steps: {quoted(SECRET)}}}"),
    "an unknown key": plan_file(GOAL + f", {quoted(SECRET)}: 1}}"),
    "an unknown key above": plan_file(f"{quoted(SECRET)}: {quoted(SECRET)}"),
    "a key twice": plan_file(GOAL + f", {quoted(SECRET)}: 1, {quoted(SECRET)}: 2}}"),
    "broken YAML": plan_file(f'goals: [{{text: "{SECRET}: - ]'),
    "a text that does not end": plan_file(f"goals:\n  - text: 'x {SECRET}", f"{SECRET}: ["),
    "a tag": plan_file(f"goals: !!python/object/apply:{WORD} [{quoted(SECRET)}]"),
    "an anchor": plan_file(f"goals: &{WORD} [{quoted(SECRET)}]", f"reviews: *{WORD}"),
    "another schema": plan_file().replace(b"fhirgoals-plan/1", WORD.encode()),
    "a character that can't be kept": plan_file(f'reviews: [{{summary: "{WORD} \\0"}}]'),
    "another encoding": plan_file() + "\n# é".encode("latin-1"),
    "two documents": plan_file() + b"\n---\n" + plan_file(),
    "too deep": plan_file("goals: " + "[" * 60 + quoted(SECRET) + "]" * 60),
}
BAD_JSON = {
    "broken": b'{"description": {"text": ' + quoted(SECRET).encode() + b"}",
    "a stray word": b'{"text": ' + WORD.encode() + b"}",
    "wrong UTF-8": b'{"text": "' + WORD.encode() + b' \xff"}',
    "too deep": b'{"text": ' + b"[" * 300 + quoted(SECRET).encode() + b"]" * 300 + b"}",
    "a lone surrogate": b'{"text": "' + WORD.encode() + b' \\ud800"}',
}


def no_plan(content: bytes) -> Raises:
    return lambda _: load_plan(content, name="plan.yaml")


def no_json(content: bytes) -> Raises:
    return lambda _: loads(content)


def bad_plan_json(_: Path) -> None:
    load_plan_json(json.dumps({"schema": "fhirgoals-plan/1", "plan": {"id": 7, "title": SECRET}, SECRET: 1}), name="x")


def broken_invariants(_: Path) -> None:
    """Every text planted and as much broken as one plan can break: what is found names paths and ids."""
    goals = tuple(
        msgspec.structs.replace(goal, parent=goal.id, replaced_by="g-nowhere", start_date=goal.target_date)
        for goal in PLAN.goals
    )
    broken = msgspec.structs.replace(PLAN, goals=(*goals, goals[-1]), participants=(), measures=())
    found = errors(check(broken, frozenset({"ehr-other"})))
    assert len({one.code for one in found}) >= 5
    raise BadPlan("; ".join(f"{one.path}: {one.code}: {one.sentence} ({one.at})" for one in found))


# --- The store ------------------------------------------------------------------------------------------------------


@contextmanager
def store_with_plan(folder: Path, **options: Any) -> Iterator[Any]:
    store = open_store(f"sqlite:///{folder / 'store.db'}", busy_timeout_s=0.05, **options)
    try:
        with store.write() as tx:
            save(tx, PLAN, None)
        yield store
    finally:
        store.close()


def save(tx: Any, plan: Plan, expect: int | None) -> None:
    touched = {(goal.id, "text"): (goal.text, SECRET) for goal in plan.goals}
    tx.plans.save(plan, expect=expect, by="staff-7", reason="review", at=NOW, touched=touched)


def locked(folder: Path) -> None:
    with store_with_plan(folder) as store, closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with store.write() as tx:
            save(tx, PLAN, 1)


def read_only(folder: Path) -> None:
    """As a file that may only be read; root may write to any."""
    with store_with_plan(folder) as store:
        sa.event.listen(store._engine, "begin", lambda begun: begun.exec_driver_sql("PRAGMA query_only=1"))
        with store.write() as tx:
            save(tx, PLAN, 1)


def full(folder: Path) -> None:
    with store_with_plan(folder) as store:

        def no_more(begun: Any) -> None:
            begun.exec_driver_sql(f"PRAGMA max_page_count={begun.exec_driver_sql('PRAGMA page_count').scalar()}")

        sa.event.listen(store._engine, "begin", no_more)
        with store.write() as tx:
            for rev in range(1, 40):
                save(tx, PLAN, rev)


def damaged(folder: Path) -> None:
    with store_with_plan(folder):
        pass
    file = folder / "store.db"
    content = file.read_bytes()
    file.write_bytes(content[:4096] + SECRET.encode() * (len(content) // 60))
    with store_with_plan(folder):
        pass


def no_database(folder: Path) -> None:
    (folder / "store.db").write_bytes(SECRET.encode() * 100)
    with store_with_plan(folder):
        pass


def wrong_type(folder: Path) -> None:
    with store_with_plan(folder) as store, store.write() as tx:
        tx._connection.execute(sa.insert(schema.plans).values(plan_id=SECRET, created_at=SECRET))


def broken_key(folder: Path) -> None:
    with store_with_plan(folder) as store, store.write() as tx:
        tx._connection.execute(sa.insert(schema.runs).values(id=SECRET, kind=None))


def no_statement(folder: Path) -> None:
    with store_with_plan(folder) as store, store.write() as tx:
        tx._connection.execute(sa.text("SELECT nothing FROM nowhere WHERE text = :text"), {"text": SECRET})


def a_goal_of_another_plan(folder: Path) -> None:
    goal = Goal(id=PLAN.goals[0].id, text=SECRET)
    with store_with_plan(folder) as store, store.write() as tx:
        save(tx, Plan(id="p-2", kind="client_treatment", title=SECRET, status="active", goals=(goal,)), None)


def a_client_who_is_staff(folder: Path) -> None:
    client = PLAN.client
    assert client is not None
    line = msgspec.structs.replace(PLAN.participants[1], ref=client.id, display=SECRET)
    with store_with_plan(folder) as store, store.write() as tx:
        save(tx, Plan(id="p-2", kind="client_treatment", title=SECRET, status="active", participants=(line,)), None)


def moved(folder: Path) -> None:
    with store_with_plan(folder) as store, store.write() as tx:
        save(tx, PLAN, 7)


def a_text_in_the_audit(folder: Path) -> None:
    with store_with_plan(folder) as store, store.write() as tx:
        tx.audit.write(at=NOW, actor="staff-7", action="note", detail={"text": SECRET})


# --- The network ----------------------------------------------------------------------------------------------------


def answering(status: int, body: bytes, kind: str = "application/fhir+json") -> Any:
    async def app(_scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        await receive()
        headers = [(b"content-type", kind.encode()), (b"x-secret", b"zq5ec2e7 in a header")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


OUTCOME = dumps(
    {
        "resourceType": "OperationOutcome",
        "text": {"status": "generated", "div": f"<div>{SECRET}</div>"},
        "issue": [
            {
                "severity": "error",
                "code": "invalid",
                "diagnostics": f"can't store {SECRET}",
                "details": {"text": SECRET},
                "expression": [f"Goal.{WORD}"],
            }
        ],
    }
)
GOAL_THERE = dumps({"resourceType": "Goal", "id": "1", "description": {"text": SECRET}})
PAGE = dumps(
    {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "next", "url": f"http://{WORD}.example/?page=2"}],
        "entry": [{"resource": loads(GOAL_THERE)}],
    }
)


def search(status: int, body: bytes, kind: str = "application/fhir+json") -> Raises:
    async def asked() -> None:
        async with Http(app=answering(status, body, kind)) as http:
            client = EhrClient(f"http://ehr.test/{WORD}", http, clock=lambda: NOW, sleep=no_sleep)
            await client.search("Goal", [("patient", f"Patient/{WORD}"), ("identifier", SECRET)])

    return lambda _: asyncio.run(asked())


async def no_sleep(_seconds: float) -> None:
    """Time is the test's."""


def with_client(call: Callable[[EhrClient], Awaitable[Any]], base: str = "http://ehr.test/fhir") -> Raises:
    async def called() -> None:
        async with Http(app=answering(200, GOAL_THERE)) as http:
            await call(EhrClient(base, http, clock=lambda: NOW, sleep=no_sleep, token=f"tö\n{WORD}"))

    return lambda _: asyncio.run(called())


def no_settings(folder: Path) -> None:
    file = folder / "fhirgoals.toml"
    file.write_text(f"[store]\nurl = {quoted(SECRET)}\n[log]\nlevel = {quoted(SECRET)}\n")
    load_settings(file)


def no_toml(folder: Path) -> None:
    file = folder / "fhirgoals.toml"
    file.write_text(f"[store]\nurl = {SECRET}\n")
    load_settings(file)


def no_config(_: Path) -> None:
    config_of({"base_url": "http://ehr.test", "create": SECRET, "policy": {SECRET: [SECRET, 1]}})


def no_number(_: Path) -> None:
    config_of({"base_url": "http://ehr.test", "quiet_minutes": SECRET})


CASES: dict[str, tuple[type[FhirgoalsError], Raises]] = {
    **{f"plan file: {name}": (BadPlan, no_plan(content)) for name, content in BAD_PLANS.items()},
    **{f"JSON: {name}": (BadJson, no_json(content)) for name, content in BAD_JSON.items()},
    "plan file: JSON": (BadPlan, bad_plan_json),
    "plan: invariants": (BadPlan, broken_invariants),
    "store: locked": (StoreError, locked),
    "store: read-only": (FhirgoalsError, read_only),
    "store: full": (StoreError, full),
    "store: damaged": (StoreError, damaged),
    "store: no database": (StoreError, no_database),
    "store: wrong type": (Bug, wrong_type),
    "store: broken key": (Bug, broken_key),
    "store: no statement": (StoreError, no_statement),
    "store: another plan's goal": (Refused, a_goal_of_another_plan),
    "store: another kind of person": (Refused, a_client_who_is_staff),
    "store: moved": (Outdated, moved),
    "store: a text in the audit": (Bug, a_text_in_the_audit),
    "EHR: 422 says it all back": (RemoteError, search(422, OUTCOME)),
    "EHR: 500 says it all back": (RemoteError, search(500, OUTCOME)),
    "EHR: 403": (RemoteError, search(403, OUTCOME)),
    "EHR: a page of HTML": (RemoteError, search(200, SECRET.encode(), "text/html")),
    "EHR: broken JSON": (RemoteError, search(200, GOAL_THERE[:-4])),
    "EHR: another type": (RemoteError, search(200, GOAL_THERE)),
    "EHR: a next page elsewhere": (RemoteError, search(200, PAGE)),
    "EHR: a token that can't be sent": (BadResource, with_client(lambda client: client.read("Goal", "1"))),
    "EHR: an id that can't stand in an address": (
        BadResource,
        with_client(lambda client: client.read("Goal", SECRET * 10)),
    ),
    "EHR: a type that is none": (Bug, with_client(lambda client: client.read(SECRET, "1"))),
    "EHR: a create without an identifier": (
        Bug,
        with_client(lambda client: client.create("Goal", {"resourceType": "Goal", "description": {"text": SECRET}})),
    ),
    "EHR: a body of another type": (
        Bug,
        with_client(lambda client: client.update("Goal", "1", {"resourceType": SECRET, "id": SECRET}, None)),
    ),
    "EHR: a base address with a password": (
        ConfigurationError,
        with_client(lambda client: client.read("Goal", "1"), base=f"http://me:{WORD}@ehr.test/fhir"),
    ),
    "settings: wrong values": (ConfigurationError, no_settings),
    "settings: no TOML": (ConfigurationError, no_toml),
    "connection: wrong values": (ConfigurationError, no_config),
    "connection: wrong number": (ConfigurationError, no_number),
    "store: an address with a password": (
        StoreError,
        lambda _: open_store(f"mysql://me:{WORD}@127.0.0.1/x"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_error_tells_no_secret(name: str, tmp_path: Path) -> None:
    """Message, repr, notes and the printed traceback, with every cause that is chained to it."""
    kind, raises = CASES[name]
    with pytest.raises(kind) as caught:
        raises(tmp_path)
    error = caught.value
    told = [str(error), repr(error), *map(repr, error.args), *traceback.format_exception(error)]
    assert found_in("\n".join(told).encode(), SECRETS) == []
    assert "zq5ec2e7" not in "\n".join(told)


@pytest.mark.parametrize("name", CASES)
def test_a_logged_error_tells_no_secret(name: str, tmp_path: Path) -> None:
    """Logged with its traceback by our logger and by a library's, everything at the lowest level, SQL included."""
    kind, raises = CASES[name]
    with everything_logged() as written:
        try:
            raises(tmp_path)
        except kind as error:
            log.get_logger().exception("a run failed", plan=SECRET, text=SECRET, resource=f"Goal/{SECRET}")
            logging.getLogger("a.library").exception("it failed: %s", SECRET)
            logging.getLogger("a.library").debug("%s", error, exc_info=True)
    text = written.getvalue()
    assert "a run failed" in text
    assert found_in(text.encode(), SECRETS) == []
    assert "zq5ec2e7" not in text


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """Log as the product does, and let every logger there is say everything, to a handler of our own too."""
    loud = ("sqlalchemy.engine", "sqlalchemy.pool", "alembic", "asyncio", "httpx", "httpcore", "fhirgoals")
    with logged() as caught:
        log.configure("debug", stream=caught.stream)
        levels = {name: logging.getLogger(name).level for name in loud}
        for name in loud:
            logging.getLogger(name).setLevel(logging.DEBUG)
        written = io.StringIO()
        try:
            yield written
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            written.write(caught.bytes().decode())


def test_the_search_of_errors_can_fail() -> None:
    """A message, and a cause that is not cut off, are found."""
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as cause:
            raise RemoteError("it did not answer") from cause
    except RemoteError as error:
        told = "\n".join(traceback.format_exception(error)).encode()
    assert found_in(told, [SECRET]) == [SECRET]


def test_every_class_of_error_is_driven() -> None:
    """Each class of the tree occurs among the cases, but for those that only group others."""
    driven = {kind for kind, _ in CASES.values()}
    grouping = {FhirgoalsError, InputError}
    tree = {FhirgoalsError, *FhirgoalsError.__subclasses__(), *InputError.__subclasses__(), *Refused.__subclasses__()}
    assert {kind for kind in tree if kind.__module__ == "fhirgoals.errors"} - driven <= grouping


def test_findings_about_a_resource_tell_no_secret() -> None:
    """Validation names path and rule of what is wrong, never a value."""
    resource: Any = {
        "resourceType": "Goal",
        "id": f"{WORD}!",
        "lifecycleStatus": SECRET,
        "description": {"text": 7, "coding": [{"system": SECRET, "code": SECRET}]},
        "startDate": SECRET,
        "target": [{"detailQuantity": {"value": SECRET, "comparator": SECRET}, "dueDate": SECRET}],
        "subject": {"reference": SECRET},
        SECRET: SECRET,
    }
    found = new_faults(None, resource)
    assert len(found) >= 5
    told = " ".join(f"{issue!r} {issue}" for issue in found)
    assert found_in(told.encode(), [SECRET, WORD, "zq5ec2e7"]) == []


@pytest.mark.parametrize("name", BAD_PLANS)
def test_the_command_line_tells_no_secret(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad file: exit 2, and neither what is printed nor what is logged holds anything of it."""
    file = tmp_path / "plan.yaml"
    file.write_bytes(BAD_PLANS[name])
    store = f"sqlite:///{tmp_path / 'store.db'}"
    with everything_logged() as written:
        assert main(["--store", store, "put", str(file), "--by", "staff-7", "--reason", "correction"]) == 2
    printed = capsys.readouterr()
    assert printed.err
    assert "zq5ec2e7" not in printed.out + printed.err + written.getvalue()


def test_records_of_the_wire_show_nothing() -> None:
    """The `repr` of requests, replies and answers, as a debugger or a crash report prints them."""
    wire = Wire()

    async def asked() -> None:
        async with Http(app=answering(422, OUTCOME), recorder=wire) as http:
            client = EhrClient(f"http://ehr.test/{WORD}", http, clock=lambda: NOW, token=WORD)
            answer = await client.update(
                "Goal", "1", {"resourceType": "Goal", "id": "1", "note": [{"text": SECRET}]}, WORD
            )
            assert "zq5ec2e7" not in repr(answer)

    asyncio.run(asked())
    assert "zq5ec2e7" in wire.bytes().decode()
    assert "zq5ec2e7" not in repr(wire.sent) + repr(wire.came)
