"""The demo end to end on sandboxes: its promises hold, and its meters move when something is wrong."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from fhirgoals.cli.main import main
from fhirgoals.demo.acts import play
from fhirgoals.demo.command import run_demo, watched
from fhirgoals.demo.oracle import Oracle, Verdict
from fhirgoals.demo.oracle_leaks import Corpus, Wanted
from fhirgoals.demo.plain_http import Server
from fhirgoals.demo.played import Played
from fhirgoals.demo.script import examples, read_script
from fhirgoals.demo.world import World, open_world
from fhirgoals.fhir import exact_json
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.serve import serve
from tests.servers.fixtures import FhirServer

ROOT = Path(__file__).parents[2]
FILES = [yaml.safe_load(path.read_bytes()) for path in sorted((ROOT / "examples").glob("0*.yaml"))]
KEYS = [
    *("plans", "goals", "steps", "sent", "kept_here", "created", "pushed", "pulled", "conflicts", "proposals"),
    *("retracted", "versions_left", "second_run_writes", "lost", "duplicates", "leaks", "searched_texts", "seconds"),
]
NOWHERE = {"primary-care": 0, "patient-portal": 0, "employer-eap": 0, "school-clinic": 0}
Fault = Callable[[Mapping[str, Sandbox]], None]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    start = "import sys; from fhirgoals.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-W", "error", "-c", start, "demo", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def ids(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        if isinstance(tree.get("id"), str):
            yield tree["id"]
        for each in tree.values():
            yield from ids(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from ids(each)


# -- the whole command -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_json_is_one_object_with_the_contracts_keys_and_figures() -> None:
    """`demo --json` prints nothing but one object, with the keys of the contract and the figures of the script."""
    done = run("--json")
    assert (done.returncode, done.stderr) == (0, "")
    [line] = done.stdout.splitlines()
    figures = json.loads(line)
    assert list(figures) == KEYS
    assert figures.pop("seconds") > 0
    assert figures.pop("searched_texts") > 500
    assert figures == {
        "plans": 5,
        "goals": 53,
        "steps": 80,
        "sent": {"ehr-main": 39, **NOWHERE},
        "kept_here": {
            "professional_development": 4,
            "declined_never_sent": 2,
            "proposed": 2,
            "draft": 2,
            "withheld": 3,
            "entered_in_error_never_sent": 1,
        },
        "created": {"Goal": 40, "CarePlan": 4},
        "pushed": 3,
        "pulled": 2,
        "conflicts": 1,
        "proposals": 1,
        "retracted": 1,
        "versions_left": {"Goal": 1, "CarePlan": 2},
        "second_run_writes": 0,
        "lost": 0,
        "duplicates": 0,
        "leaks": 0,
    }


def played_at(url: str, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """What `demo --ehr URL` comes to on a real server behind the cut proxy; the figures that are the same on each."""
    code = main(["demo", "--ehr", url, "--json", *options])
    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    figures: dict[str, Any] = json.loads(shown.out)
    assert figures["sent"] == {"ehr-main": 39, **NOWHERE}
    assert figures["created"] == {"Goal": 40, "CarePlan": 4}
    assert [figures[name] for name in ("pushed", "pulled", "conflicts", "proposals", "retracted")] == [3, 2, 1, 1, 1]
    assert [figures[name] for name in ("second_run_writes", "lost", "duplicates", "leaks")] == [0, 0, 0, 0]
    return figures


def local_scores(url: str) -> set[str]:
    """The digits of the EHR's own extension in the goals that stand at a server."""
    bundle: Any = exact_json.loads(Server(url).ask("GET", "Goal?_count=500&_sort=-_lastUpdated").body)
    extensions = [one for entry in bundle["entry"] for one in entry["resource"].get("extension", ())]
    return {str(one["valueDecimal"]) for one in extensions if one["url"].endswith("/local-score")}


def test_demo_keeps_its_promises_on_hapi(hapi: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    """`demo --ehr URL` plays the same on HAPI, search cache on; the deleted goal's older version can still be read."""
    figures = played_at(hapi.url, capsys)
    assert figures["versions_left"] == {"Goal": 1, "CarePlan": 2}
    assert local_scores(hapi.url) == {"7.10"}


def test_demo_keeps_its_promises_on_medplum(medplum: FhirServer, capsys: pytest.CaptureFixture[str]) -> None:
    """`demo --ehr URL` plays the same on Medplum.

    It differs from HAPI in what it stores itself: it drops the last digit of 7.10 (and we keep what it has), and its
    memory repository shows no history of what is deleted.
    """
    figures = played_at(medplum.url, capsys)
    assert figures["versions_left"] == {"Goal": None, "CarePlan": 2}
    assert local_scores(medplum.url) == {"7.1"}


@pytest.mark.slow
def test_story_is_short_names_no_id_and_keeps_its_store_in_the_folder(tmp_path: Path) -> None:
    """The story has at most 45 lines without ids; a second demo does not overwrite the store that the first left."""
    done = run("--dir", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines[:-1])) <= 80
    story = " ".join(done.stdout.replace(str(tmp_path), "").split())
    known = {one for file in FILES for one in ids(file)}
    assert not known & set(re.findall(r"[\w-]+", story))
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", story)
    for fact in (
        "5 plans with 52 goals and 79 steps",
        "39 goals and 4 care plans went to ehr-main; 13 goals stayed here",
        "its 7.10 to the last digit",
        "Ines moved",
        "to 18 January, the EHR moved it to 31 December: it waits for a person, with both values",
        "shown to Ines as a proposal",
        "there is one goal, not two",
        "Marisol withdrew",
        "it is gone from the EHR's current record; what its history keeps is reported: 1 older version",
        "1 older version of the goal and 2 older versions of the care plan.",
        "Here: 53 goals, 80 steps. At ehr-main: 39 goals, 4 care plans, 72 steps.",
        "Second run: nothing written.",
        "Nothing lost, doubled or leaked",
        "inbox list",
    ):
        assert fact in story
    again = run("--dir", str(tmp_path))
    assert again.returncode == 2
    assert "holds a store already" in again.stderr


def test_token_is_read_from_the_environment_and_shown_nowhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A server that asks for a bearer token gets it with every request, and no other server or output does."""
    secret, sandbox = "not-a-real-token-1f7c", Sandbox()
    asked: list[bytes] = []

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            asked.append(given)
            if given != f"Bearer {secret}".encode():
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
        await sandbox.app(scope, receive, send)

    monkeypatch.setenv("TRIAL_TOKEN", secret)
    with serve({"ehr": guarded}) as urls:
        folder = ["--dir", str(tmp_path)]
        assert main(["demo", "--ehr", urls["ehr"], "--ehr-token-env", "TRIAL_TOKEN", "--json", *folder]) == 0
        shown = capsys.readouterr()
        assert json.loads(shown.out)["retracted"] == 1
        assert set(asked) == {f"Bearer {secret}".encode()}
        assert main(["demo", "--ehr", urls["ehr"], "--json"]) == 2
        assert main(["demo", "--ehr", urls["ehr"], "--ehr-token-env", "NO_SUCH_TOKEN"]) == 2
        assert main(["demo", "--ehr-token-env", "TRIAL_TOKEN"]) == 2
    refused = capsys.readouterr()
    assert len(refused.err.splitlines()) == 3
    for written in (shown.out, shown.err, refused.out, refused.err):
        assert secret not in written
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_server_that_does_not_answer_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An address where nobody listens, or that is no plain http, ends with exit 2 and one line."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/fhir"
        assert main(["demo", "--ehr", address]) == 2
    assert main(["demo", "--ehr", "ftp://127.0.0.1/fhir"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 2


# -- the meters --------------------------------------------------------------------------------------------------------


def harmed(sandbox: Sandbox, text: str, change: Callable[[Any], None]) -> None:
    """Change the stored goal that reads `text`."""
    goal: Any = next(one for one in sandbox.storage.resources("Goal") if one["description"]["text"] == text)  # type: ignore[index,call-overload]
    change(goal)
    sandbox.storage.put_raw("Goal", goal["id"], goal)


WORK = "Finish one agreed work task on time each week and speak once in the Monday meeting"
WASH = "Reduce washing to 30 minutes a day or less"
KEPT = "I vanish when I'm low."


def undo_an_edit(sandboxes: Mapping[str, Sandbox]) -> None:
    harmed(sandboxes["ehr-main"], WORK, lambda goal: goal["description"].update(text=WORK.replace("Monday", "Tuesday")))


def double_a_goal(sandboxes: Mapping[str, Sandbox]) -> None:
    storage = sandboxes["ehr-main"].storage
    goal: Any = storage.resources("Goal")[0]
    storage.put_raw("Goal", "second", {**goal, "id": "second"})


def add_a_kept_text(sandboxes: Mapping[str, Sandbox]) -> None:
    harmed(sandboxes["ehr-main"], WASH, lambda goal: goal["note"].append({"text": KEPT}))


@pytest.mark.slow
def test_command_says_and_exits_2_when_something_is_lost_doubled_and_leaked(capsys: pytest.CaptureFixture[str]) -> None:
    """With the three faults in the sandbox's storage the command prints each figure and exits 2."""

    def fault(sandboxes: Mapping[str, Sandbox]) -> None:
        undo_an_edit(sandboxes)
        double_a_goal(sandboxes)
        add_a_kept_text(sandboxes)

    assert run_demo(None, None, True, fault=fault) == 2
    shown = capsys.readouterr()
    figures = json.loads(shown.out)
    assert (figures["lost"], figures["duplicates"], figures["leaks"]) == (1, 1, 1)
    for line in ("lost = 1", "duplicates = 1", "leaks = 1"):
        assert f"demo: {line}\n" in shown.err


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[World, Played]]:
    """A world in which everything was played and that still stands."""
    script = read_script(examples())
    with open_world(script, None, None) as world:
        yield world, asyncio.run(play(world, lambda: None))


def judged(world: World, done: Played, fault: Fault | None = None, *, store: Path | None = None) -> Verdict:
    """What the oracle says, with a fault in the sandboxes' storage that is taken out again afterwards.

    `store` is a file to read in place of the world's own.
    """
    sandboxes = {name: each.sandbox for name, each in world.endpoints.items() if each.sandbox is not None}
    before = {name: one.storage.resources() for name, one in sandboxes.items()}
    if fault is not None:
        fault(sandboxes)
    try:
        oracle = Oracle(world.script.folder, store or world.store_file, "ehr-main")
        return oracle.at_the_end(watched(world), done)
    finally:
        for name, one in sandboxes.items():
            known = {(str(tree["resourceType"]), str(tree["id"])): tree for tree in before[name]}
            for tree in one.storage.resources():
                place = (str(tree["resourceType"]), str(tree["id"]))
                if place in known:
                    one.storage.put_raw(*place, known[place])
                else:
                    one.storage.delete(*place)


def test_nothing_is_wrong_without_a_fault(played: tuple[World, Played]) -> None:
    """The oracle finds every promise kept where nothing was harmed."""
    verdict = judged(*played)
    assert verdict.faults == ()
    assert verdict.holds


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (undo_an_edit, (1, 0, 0)),
        (double_a_goal, (0, 1, 0)),
        (add_a_kept_text, (0, 0, 1)),
    ],
)
def test_each_fault_moves_its_own_meter_alone(
    played: tuple[World, Played], fault: Fault, expected: tuple[int, int, int]
) -> None:
    """A stored edit undone is lost, a goal doubled is a duplicate, a kept text in a stored body is a leak."""
    verdict = judged(*played, fault)
    assert (verdict.lost, verdict.duplicates, verdict.leaks) == expected
    assert not verdict.holds


def shorten_the_number(goal: Any) -> None:
    next(one for one in goal["extension"] if "valueDecimal" in one)["valueDecimal"] = 7


def lose_the_note(goal: Any) -> None:
    goal["note"] = [note for note in goal["note"] if "soap" not in note["text"]]


def double_the_note(goal: Any) -> None:
    goal["note"].append(goal["note"][-1])


def put_the_priority_back(goal: Any) -> None:
    goal["priority"] = {"coding": [{"code": "high-priority"}]}


def reword_the_goal(goal: Any) -> None:
    goal["description"]["text"] = "Something else"


@pytest.mark.parametrize(
    "change", [shorten_the_number, lose_the_note, double_the_note, put_the_priority_back, reword_the_goal]
)
def test_every_kind_of_edit_can_be_found_lost(played: tuple[World, Played], change: Callable[[Any], None]) -> None:
    """Whatever of one goal's edits is undone at the EHR is counted as one loss, and so are words nobody edited."""
    verdict = judged(*played, lambda sandboxes: harmed(sandboxes["ehr-main"], WASH, change))
    assert verdict.lost == 1


def test_text_sent_to_an_endpoint_without_consent_is_a_leak(played: tuple[World, Played]) -> None:
    """What ehr-main may see is a leak where the client refused."""

    def fault(sandboxes: Mapping[str, Sandbox]) -> None:
        goal: Any = sandboxes["ehr-main"].storage.resources("Goal")[0]
        sandboxes["patient-portal"].storage.put_raw("Goal", "there", {**goal, "id": "there"})

    verdict = judged(*played, fault)
    assert verdict.leaks >= 1
    assert any(line.startswith("the others at the end") for line in verdict.faults)


def test_identifier_of_a_kept_goal_is_a_leak(played: tuple[World, Played]) -> None:
    """The wire id of a withheld goal tells that it exists, even without a word of it."""
    world, _ = played
    kept = world.store.store.installation.wire_id("Goal", "plan-ocd-01", "g-drink")

    def change(goal: Any) -> None:
        goal["note"].append({"text": f"see {kept}"})

    assert judged(*played, lambda sandboxes: harmed(sandboxes["ehr-main"], WASH, change)).leaks == 1


def test_written_in_the_last_run_is_counted_from_the_traffic(played: tuple[World, Played]) -> None:
    """Writes of the last run are counted in what passed the proxy, whatever the run itself says."""
    world, done = played
    earlier = replace(done, before_last_run=dict.fromkeys(done.before_last_run, 0))
    verdict = judged(world, earlier)
    assert verdict.second_run_writes > 40
    assert not verdict.holds


# -- the meters of the withdrawal --------------------------------------------------------------------------------------

WITHDRAWN = "Understand what feeds the lasting dissatisfaction behind an outwardly successful life"
PARENT = "Recover from the current depressive episode and feel interested in daily life again"
SUCCESSOR = "Keep two evenings a week for drawing for six weeks"
LETTER = "Write a letter to the 19-year-old who chose the degree"
ITS_NOTE = "Names creative work and rest as unmet needs; links both to early family expectations."
RELATIONSHIP = "http://hl7.org/fhir/StructureDefinition/goal-relationship"


def what_was_withdrawn(sandboxes: Mapping[str, Sandbox]) -> tuple[str, Any]:
    """Return the id and the last body of the withdrawn goal, from the sandbox's own versions."""
    for version in sandboxes["ehr-main"].storage.versions():
        body: Any = version.body
        if version.type == "Goal" and body is not None and body["description"]["text"] == WITHDRAWN:
            return version.id, body
    raise AssertionError("the goal never stood there")


def put_a_relation_back(sandboxes: Mapping[str, Sandbox], text: str, type_: str) -> None:
    """Let the goal that reads `text` name the withdrawn one again."""
    gone, _ = what_was_withdrawn(sandboxes)
    parts = [
        {"url": "type", "valueCodeableConcept": {"coding": [{"code": type_}]}},
        {"url": "target", "valueReference": {"reference": f"Goal/{gone}"}},
    ]
    relation = {"url": RELATIONSHIP, "extension": parts}
    harmed(sandboxes["ehr-main"], text, lambda goal: goal["extension"].append(relation))


def in_the_care_plan(sandboxes: Mapping[str, Sandbox], change: Callable[[Any, str], None]) -> None:
    """Change the stored CarePlan in which the withdrawn goal was listed; `change` gets it and the goal's reference."""
    storage = sandboxes["ehr-main"].storage
    gone, body = what_was_withdrawn(sandboxes)
    [plan] = [one for one in storage.resources("CarePlan") if one["subject"] == body["subject"]]
    change(plan, f"Goal/{gone}")
    storage.put_raw("CarePlan", str(plan["id"]), plan)


def name_it_as_milestone(sandboxes: Mapping[str, Sandbox]) -> None:
    put_a_relation_back(sandboxes, PARENT, "milestone")


def name_it_as_predecessor(sandboxes: Mapping[str, Sandbox]) -> None:
    put_a_relation_back(sandboxes, SUCCESSOR, "predecessor")


def name_it_where_it_never_was(sandboxes: Mapping[str, Sandbox]) -> None:
    put_a_relation_back(sandboxes, WASH, "relates-to")


def list_it_again(sandboxes: Mapping[str, Sandbox]) -> None:
    in_the_care_plan(sandboxes, lambda plan, gone: plan["goal"].append({"reference": gone}))


def link_the_intervention_again(sandboxes: Mapping[str, Sandbox]) -> None:
    def change(plan: Any, gone: str) -> None:
        [one] = [each for each in plan["activity"] if "introspection" in each["detail"].get("description", "")]
        one["detail"]["goal"].append({"reference": f"http://ehr.example/fhir/{gone}/_history/1"})

    in_the_care_plan(sandboxes, change)


def do_a_step_again(sandboxes: Mapping[str, Sandbox]) -> None:
    detail = {"kind": "Task", "status": "completed", "description": LETTER}
    in_the_care_plan(sandboxes, lambda plan, _: plan["activity"].append({"detail": detail}))


def show_it_in_the_narrative(sandboxes: Mapping[str, Sandbox]) -> None:
    def change(plan: Any, _: str) -> None:
        plan["text"]["div"] = plan["text"]["div"].replace("</div>", f"<p>{html.escape(WITHDRAWN)}</p></div>")

    in_the_care_plan(sandboxes, change)


def undo_the_deletion(sandboxes: Mapping[str, Sandbox]) -> None:
    sandboxes["ehr-main"].storage.put_raw("Goal", *what_was_withdrawn(sandboxes))


def put_it_back_as_a_new_goal(sandboxes: Mapping[str, Sandbox]) -> None:
    _, body = what_was_withdrawn(sandboxes)
    bare = {name: body[name] for name in ("resourceType", "lifecycleStatus", "description", "subject")}
    sandboxes["ehr-main"].storage.put_raw("Goal", "new", {**bare, "id": "new"})


def say_its_note_elsewhere(sandboxes: Mapping[str, Sandbox]) -> None:
    harmed(sandboxes["ehr-main"], PARENT, lambda goal: goal["note"].append({"text": ITS_NOTE}))


@pytest.mark.parametrize(
    ("fault", "place", "leaks"),
    [
        (name_it_as_milestone, "g-mood: milestone", 1),
        (name_it_as_predecessor, "g-create: predecessor", 1),
        (name_it_where_it_never_was, "a Goal refers to it", 1),
        (list_it_again, "plan-dep-01: goal", 1),
        (link_the_intervention_again, "plan-dep-01: goal link of iv-4", 1),
        (do_a_step_again, "plan-dep-01: activity of st-em-3", 1),
        (show_it_in_the_narrative, "plan-dep-01: narrative", 1),
        # Read and searched; its words, criterion and note.
        (undo_the_deletion, "a read of it answers 200", 5),
        (put_it_back_as_a_new_goal, "a Goal shows its words", 1),
        (say_its_note_elsewhere, "a Goal shows its words", 1),
    ],
)
def test_whatever_is_left_of_a_withdrawn_goal_is_a_leak(
    played: tuple[World, Played], fault: Fault, place: str, leaks: int
) -> None:
    """A reference, a word or the goal itself, put back before the oracle reads, is seen, named and counted."""
    verdict = judged(*played, fault)
    assert f"edit e12: {place} is left" in verdict.faults
    assert verdict.outcomes["e12"] == "leaked"
    assert (verdict.lost, verdict.duplicates, verdict.leaks) == (0, 0, leaks)
    assert not verdict.holds


@pytest.mark.slow
def test_command_tells_what_is_left_of_a_withdrawn_goal(capsys: pytest.CaptureFixture[str]) -> None:
    """With a reference put back before the oracle reads, the story says so, stderr says where, and the exit is 2."""
    assert run_demo(None, None, False, fault=name_it_as_milestone) == 2
    shown = capsys.readouterr()
    assert "ended as LEAKED" in " ".join(shown.out.split())
    assert "1 LEAKED" in shown.out
    assert "demo: leaks = 1\n" in shown.err
    assert "demo: edit e12: g-mood: milestone is left\n" in shown.err


def test_a_reference_that_was_never_there_proves_nothing(played: tuple[World, Played]) -> None:
    """Where the traffic does not show that a reference stood there, the oracle does not call it removed."""
    world, done = played
    seen = watched(world)
    main = seen["ehr-main"]
    unsaid = [one for one in main.exchanges if PARENT.encode() not in one.request_content]
    oracle = Oracle(world.script.folder, world.store_file, "ehr-main")
    some = {**seen, "ehr-main": replace(main, exchanges=unsaid)}
    verdict = oracle.at_the_end(some, done)
    assert "edit e12: never saw g-mood: milestone" in verdict.faults


def test_words_said_after_the_withdrawal_are_a_leak(played: tuple[World, Played]) -> None:
    """What was rightly sent before is a leak in a request that follows, even where nothing of it stands there."""
    world, done = played
    verdict = judged(world, replace(done, after_withdrawal=dict.fromkeys(done.after_withdrawal, 0)))
    assert verdict.leaks >= 5
    assert verdict.outcomes["e12"] == "retracted"


def test_a_report_that_does_not_match_the_history_is_a_fault(played: tuple[World, Played]) -> None:
    """The number of versions that the run reports as left is compared with the EHR's own history."""
    world, done = played
    [report] = [one for one in done.retracted if one["way"] != "references"]
    for told in ([], [{**report, "versions_left": 0}], [report, report]):
        verdict = judged(world, replace(done, retracted=told))
        assert any("versions reported as left" in line for line in verdict.faults)


@pytest.mark.parametrize("part", ["text", "steps", "findings", "achievements"])
def test_withdrawing_is_no_deleting_here(played: tuple[World, Played], part: str, tmp_path: Path) -> None:
    """The goal here keeps its words, steps, findings and achievements: one of them gone is a loss."""
    world, done = played
    copy = tmp_path / "store.db"
    with closing(sqlite3.connect(world.store_file)) as store, closing(sqlite3.connect(copy)) as other:
        store.backup(other)
        read = "SELECT r.rev, r.document FROM plan_revisions r JOIN plans p USING (plan_id, rev) WHERE plan_id = ?"
        [(rev, document)] = other.execute(read, ("plan-dep-01",))
        plan = json.loads(document)
        goal = next(one for one in plan["goals"] if one["id"] == "g-explore-empty")
        goal[part] = goal[part][:-1]
        # The store refuses to change a revision: in the copy its guards go first.
        guards = other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (guard,) in guards:
            other.execute(f"DROP TRIGGER {guard}")
        write = "UPDATE plan_revisions SET document = ? WHERE plan_id = ? AND rev = ?"
        other.execute(write, (json.dumps(plan), "plan-dep-01", rev))
        other.commit()
    verdict = judged(world, done, store=copy)
    assert verdict.outcomes["e12"] == "lost"
    assert (verdict.lost, verdict.leaks) == (1, 0)


# -- the search --------------------------------------------------------------------------------------------------------

SECRET = 'She said "não & no" … <twice> a week/day'


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        json.dumps({"text": SECRET}),
        json.dumps({"text": f"before {SECRET} after"}, ensure_ascii=False),
        json.dumps({"div": f"<div>{html.escape(SECRET)}</div>"}),
        f"GET /fhir/Goal?text={quote(SECRET)} HTTP/1.1\r\n",
        f"GET /fhir/Goal?text={quote(SECRET, safe='').replace('%20', '+')} HTTP/1.1\r\n",
        *(json.dumps({"data": base64.b64encode(("x" * n + SECRET + " y").encode()).decode()}) for n in range(3)),
        json.dumps({"data": base64.urlsafe_b64encode(SECRET.encode()).decode()}),
    ],
)
def test_text_is_found_in_every_form(content: str) -> None:
    """A text is found plain, JSON-, HTML- and URL-escaped and in base64, wherever in a longer text it stands."""
    corpus = Corpus()
    corpus.take(content.encode())
    assert corpus.found(Wanted(frozenset({SECRET, "another text"}), frozenset())) == {SECRET}


def test_id_is_found_as_a_word_of_its_own_only() -> None:
    """An id inside a longer word is another word."""
    corpus = Corpus()
    corpus.take(b'{"code": "family-dinners-per-week", "text": "plan-dep-01x", "see": "for client-101, now"}')
    wanted = Wanted(frozenset(), frozenset({"y-dinner", "m-dinners", "plan-dep-01", "client-101"}))
    assert corpus.found(wanted) == {"client-101"}


def test_oracle_knows_nothing_of_what_it_measures() -> None:
    """Importing the oracle loads no module of domain, mappers, store or sync."""
    show = "import sys, fhirgoals.demo.oracle; print(*[m for m in sys.modules if m.startswith('fhirgoals.')])"
    done = subprocess.run(
        [sys.executable, "-c", show], cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ}
    )
    loaded = {name.split(".")[1] for name in done.stdout.split()}
    assert loaded <= {"demo", "errors", "sandbox"}
