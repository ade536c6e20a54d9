"""Hostile input and broken stores: one clear line with its place, exit code 2, no traceback, nothing half written."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from fhirgoals.cli.main import COMMANDS, main
from fhirgoals.domain.planfile import dump_plan, load_plan

EXAMPLES = Path(__file__).parents[2] / "examples"
DEPRESSION = EXAMPLES / "01-depression.yaml"
HEAD = (
    "schema: fhirgoals-plan/1\nplan: {id: p-1, kind: client_treatment, status: active}\nclient: {id: c-1, display: X}\n"
)

HOSTILE: dict[str, bytes] = {
    "one-long-line.yaml": b"schema: fhirgoals-plan/1\nplan: {id: " + b"x" * 30_000_000 + b"}\n",
    "one-long-line.json": b'{"schema": "' + b"x" * 30_000_000 + b'"}',
    "deep.yaml": b"[" * 5_000,
    "deep.json": b'{"plan":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "unknown-version.yaml": HEAD.replace("plan/1", "plan/9").encode(),
    "no-version.yaml": b"plan: {id: p-1}\n",
    "utf16.yaml": HEAD.encode("utf-16"),
    "latin1.yaml": (HEAD + "# caf\u00e9").encode("latin-1"),
    "binary.yaml": bytes(range(256)) * 40,
    "nul.yaml": HEAD.encode() + b"\x00",
    "empty.yaml": b"",
    "only-comment.yaml": b"# nothing\n",
    "list.yaml": b"- a\n- b\n",
    "twice.yaml": HEAD.encode() + b"client: {id: c-2, display: Y}\n",
    "unknown-key.yaml": HEAD.encode() + b"secret_goals: [SENTINEL]\n",
    "alias-bomb.yaml": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "tag.yaml": b"a: !!python/object/apply:os.system [echo SENTINEL]\n",
    "number.json": b'{"schema": "fhirgoals-plan/1", "plan": {"revision": 1e999999999}}',
    "half.json": b'{"schema": "fhirgoals-plan/1", "plan": ',
    "surrogate.json": b'{"schema": "\\ud800"}',
    "cycle.yaml": (
        HEAD + "goals:\n  - {id: g-1, parent: g-2, text: SENTINEL}\n  - {id: g-2, parent: g-1, text: SENTINEL}\n"
    ).encode(),
    "own-parent.yaml": (HEAD + "goals:\n  - {id: g-1, parent: g-1, text: SENTINEL}\n").encode(),
    "dangling.yaml": (HEAD + "goals:\n  - {id: g-1, parent: g-9, text: SENTINEL}\n").encode(),
}


@pytest.fixture(autouse=True)
def unwrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines be as long as they are, whatever runs the tests sets the width to."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    assert main(["--store", url, "ehr", "add", "ehr-main", "--url", "http://127.0.0.1:9/fhir"]) == 0
    assert main(["--store", url, "ehr", "add", "primary-care", "--url", "http://127.0.0.1:9/fhir"]) == 0
    assert main(["--store", url, "put", str(DEPRESSION), "--by", "staff-7", "--reason", "initial"]) == 0
    return url


def content(url: str) -> str:
    """Return a mark of everything that the store holds."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    return hashlib.sha256(dump.encode()).hexdigest()


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str], *says: str) -> str:
    """Run a command that must be refused with one line, and return what it said."""
    capsys.readouterr()
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    first, *others = printed.err.splitlines()
    assert first.startswith("error: ")
    assert all(line.startswith("  ") for line in others)
    assert "Traceback" not in printed.err
    assert "SENTINEL" not in printed.err
    for one in says:
        assert one in printed.err
    return printed.err


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_plan_file_is_refused_and_the_store_unchanged(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Whatever the file holds: the message names the file, and no row of the store has changed."""
    file = tmp_path / name
    file.write_bytes(HOSTILE[name])
    before = content(store)
    refused(capsys, ["--store", store, "put", str(file), "--by", "staff-7", "--reason", "initial"], name)
    assert content(store) == before
    if name not in ("cycle.yaml", "own-parent.yaml", "dangling.yaml"):  # those load and break a rule of the store
        refused(capsys, ["show", str(file)], name)
        refused(capsys, ["map", str(file), "--to", "r4", "--as", "ehr-main"], name)


@pytest.mark.parametrize("name", ["cycle.yaml", "own-parent.yaml", "dangling.yaml"])
def test_a_broken_tree_is_shown_whole_and_maps_without_a_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A plan that breaks a rule of the tree can still be looked at: every goal is there once."""
    file = tmp_path / name
    file.write_bytes(HOSTILE[name])
    assert main(["show", str(file)]) == 0
    assert capsys.readouterr().out.count("SENTINEL") == HOSTILE[name].count(b"SENTINEL")
    assert main(["map", str(file), "--to", "r4", "--as", "ehr-main"]) == 0


def test_one_bad_file_of_several_keeps_all_of_them_out(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`put A B` with a broken B writes nothing of A."""
    good, bad = EXAMPLES / "04-therapist-development.yaml", tmp_path / "bad.yaml"
    bad.write_bytes(HOSTILE["cycle.yaml"].replace(b"p-1", b"p-2"))
    before = content(store)
    refused(capsys, ["--store", store, "put", str(good), str(bad), "--by", "s-1", "--reason", "initial"], "bad.yaml")
    assert content(store) == before


@pytest.mark.parametrize("command", ["put", "show", "map", "validate", "check", "internal"])
@pytest.mark.parametrize("what", ["missing", "folder", "unreadable"])
def test_a_file_that_is_none_is_named(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, what: str
) -> None:
    """A missing file, a folder and a device that gives no plan each end in one line with the path."""
    path = {"missing": tmp_path / "no-such.yaml", "folder": tmp_path / "folder.yaml", "unreadable": Path("/dev/null")}
    file = path[what]
    if what == "folder":
        file.mkdir()
        (file / "x.txt").write_text("x")
    arguments = {
        "put": ["--store", store, "put", str(file), "--by", "s-1", "--reason", "initial"],
        "show": ["show", str(file)],
        "map": ["map", str(file), "--to", "r4", "--as", "ehr-main"],
        "validate": ["validate", str(file), "--json"],
        "check": ["map", "--check", str(file)],
        "internal": ["map", str(file), "--to", "internal"],
    }[command]
    if command in ("validate", "check") and what != "missing":
        code = main(arguments)
        report = json.loads(capsys.readouterr().out.splitlines()[-1])
        told = report.get("issues") or report.get("quarantined")
        if what == "folder":
            assert report["resources"] == 0
        else:
            assert told[0]["file"] == str(file)
            assert code == (2 if command == "validate" else 0)
        return
    refused(capsys, arguments, file.name)


def test_hostile_fhir_is_quarantined_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A 30 MB line, deep nesting, wrong encoding and half a gzip are each told with file and rule, and no crash."""
    goal = b'{"resourceType":"Goal","id":"g"}\n'
    (tmp_path / "long.ndjson").write_bytes(goal + b'{"resourceType":"Goal","x":"' + b"y" * 30_000_000 + b'"}\n' + goal)
    (tmp_path / "deep.json").write_bytes(b'{"resourceType":"Goal","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}")
    (tmp_path / "latin.json").write_bytes('{"resourceType":"Goal","id":"caf\u00e9"}'.encode("latin-1"))
    (tmp_path / "half.json.gz").write_bytes(gzip.compress(goal * 1000)[:-20])
    assert main(["map", "--check", str(tmp_path)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["identical"] == 2
    assert {Path(one["file"]).name for one in report["quarantined"]} == {
        "long.ndjson",
        "deep.json",
        "latin.json",
        "half.json.gz",
    }
    assert main(["validate", str(tmp_path)]) == 2


@contextmanager
def only_pages(pages: int) -> Iterator[None]:
    """Let every SQLite database opened meanwhile grow to that many pages: a full disk."""

    def limit(raw: Any, _record: object) -> None:
        raw.execute(f"PRAGMA max_page_count={pages}")

    sa.event.listen(sa.Engine, "connect", limit)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "connect", limit)


def big_plan(tmp_path: Path) -> Path:
    file = EXAMPLES / "04-therapist-development.yaml"
    plan = load_plan(file.read_bytes(), name=file.name)
    first = msgspec.structs.replace(plan.goals[0], text="x" * 1_000_000)
    big = tmp_path / "big.yaml"
    big.write_text(dump_plan(msgspec.structs.replace(plan, goals=(first, *plan.goals[1:]))))
    return big


def test_a_full_disk_leaves_the_store_as_it_was(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No space left: said, with nothing half written."""
    before = content(store)
    arguments = ["--store", store, "put", str(big_plan(tmp_path)), "--by", "s-1", "--reason", "initial"]
    with only_pages(60):
        refused(capsys, arguments, "no space")
    assert content(store) == before
    assert main(arguments) == 0


def test_a_read_only_store_is_shown_and_not_written(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Reading goes on, a write is refused with what to do."""
    read_only = store.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    assert main(["--store", read_only, "get", "plan-dep-01"]) == 0
    arguments = ["--store", read_only, "put", str(EXAMPLES / "04-therapist-development.yaml")]
    refused(capsys, [*arguments, "--by", "s-1", "--reason", "initial"], "read-only")


def test_a_locked_store_is_waited_for_and_then_told(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Another process holds the store: after a while one line says so, and nothing was written."""
    before = content(store)
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        connection = sqlite3.connect(store.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        taken.set()
        done.wait(30)
        connection.execute("ROLLBACK")
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(10)
    try:
        arguments = ["--store", store, "put", str(EXAMPLES / "04-therapist-development.yaml")]
        refused(capsys, [*arguments, "--by", "s-1", "--reason", "initial"], "locked")
    finally:
        done.set()
        thread.join()
    assert content(store) == before


@pytest.mark.parametrize(
    ("version", "says"), [("9999_from_the_future", "newer"), ("", "newer")], ids=["newer", "unknown"]
)
def test_a_store_of_another_program_version_is_left_alone(
    store: str, capsys: pytest.CaptureFixture[str], version: str, says: str
) -> None:
    """A newer schema is refused by every command, `db upgrade` too, and stays as it is."""
    with sqlite3.connect(store.removeprefix("sqlite:///")) as connection:
        [(table,)] = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%version%' AND type = 'table'")
        connection.execute(f"UPDATE {table} SET version_num = ?", (version,))  # noqa: S608
    connection.close()
    before = content(store)
    for arguments in (["get", "plan-dep-01"], ["inbox", "list"], ["db", "upgrade"], ["sync"]):
        refused(capsys, ["--store", store, *arguments], says)
    assert content(store) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--store", "mysql://u:SENTINEL@h/d", "ehr", "list"], "sqlite:///FILE"),
        (["--config", "no-such.toml", "ehr", "list"], "no-such.toml"),
        (["--store", "sqlite:////no/such/folder/store.db", "ehr", "list"], "no store"),
        (["frobnicate"], "frobnicate"),
        (["put"], "--help"),
        (["put", "x.yaml", "--by", "s-1"], "--reason"),
        (["put", "x.yaml", "--by", "s-1", "--reason", "whim"], "--reason"),
        (["put", "x.yaml", "--by", "Ines Halloran SENTINEL", "--reason", "initial"], "--by"),
        (["ehr", "frobnicate"], "frobnicate"),
        (["inbox", "show", "seven"], "NO"),
        (["get", "plan", "--format", "xml"], "xml"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_a_wrong_call_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    """Each wrong option or argument is named, with what is allowed or where to read on."""
    assert len(refused(capsys, arguments, says).splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["ehr"], ["inbox"], ["--store", "sqlite:///x.db", "db"]], ids=" ".join)
def test_no_command_shows_the_commands(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Alone, the program and each group say what there is."""
    assert main(arguments) == 0
    assert "Commands:" in capsys.readouterr().out


def test_interrupting_ends_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """^C says so in one line, as shells expect it."""

    class Interrupting:
        def write(self, _text: str) -> int:
            raise KeyboardInterrupt

        def flush(self) -> None:
            pass

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdout", Interrupting())
    assert main(["show", str(DEPRESSION)]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`fhirgoals show … | head -1` prints its line, and nothing on stderr."""
    script = f"{sys.executable} -m fhirgoals.cli show {DEPRESSION} | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_help_imports_nothing_heavy() -> None:
    """`--help` loads none of the libraries that take time, so it answers at once."""
    script = (
        "import sys; from fhirgoals.cli.main import main; main(['--help']);"
        "heavy = {'sqlalchemy', 'httpx', 'fastapi', 'fhir', 'pydantic', 'msgspec', 'yaml', 'structlog', 'rich'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[]"
    for command in COMMANDS:
        if command.name != "demo":
            assert f"  {command.name} " in done.stdout


ALL_HELPS = [
    *([one.name] for one in COMMANDS if one.name != "demo" and not one.attribute.endswith("app")),
    *(["review", one] for one in ("list", "add", "sign", "refuse")),
    *(["consent", one] for one in ("list", "grant", "refuse", "revoke")),
    *(["withhold", one] for one in ("add", "end")),
    ["reading", "add"],
    *(["ehr", one] for one in ("add", "list", "arm", "pause", "resume")),
    *(["patients", one] for one in ("match", "list", "confirm")),
    *(["inbox", one] for one in ("list", "show", "resolve")),
    ["db", "upgrade"],
]


@pytest.mark.parametrize("command", ALL_HELPS, ids=" ".join)
def test_every_command_has_json_and_an_example(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """`--help` of each command shows `--json` and a line to copy."""
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert f"Example:  fhirgoals {' '.join(command)}" in text
