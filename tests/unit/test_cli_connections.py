"""`ehr`: what may be said of a connection, and the states it goes through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fhirgoals.cli.main import main
from fhirgoals.cli.running import outside_scope
from fhirgoals.store import open_store
from fhirgoals.sync.counts import Counts

URL = "http://127.0.0.1:9/fhir"


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def run(store: str, *arguments: str) -> int:
    return main(["--store", store, *arguments])


def config(store: str, name: str) -> dict[str, object]:
    opened = open_store(store)
    with opened.read() as tx:
        found = tx.connections.get(name)
    opened.close()
    assert found is not None
    return dict(found.config)


def test_a_connection_keeps_what_options_and_file_say(store: str, tmp_path: Path) -> None:
    """A file's settings hold, options go before them, and the token is kept by its variable's name."""
    file = tmp_path / "ehr.toml"
    file.write_text(f'base_url = "{URL}/"\nrelease = "on_save"\npage_size = 20\n')
    add = ["ehr", "add", "ehr-main", "--file", str(file), "--page-size", "50", "--token-env", "EHR_TOKEN"]
    assert run(store, *add, "--create", "client_id", "--portal-visible", "--operation-id-kept") == 0
    found = config(store, "ehr-main")
    assert found["base_url"] == URL
    assert (found["release"], found["page_size"], found["token"]) == ("on_save", 50, "EHR_TOKEN")
    wide = ["ehr", "add", "b", "--url", URL, "--scope", "categories"]
    assert run(store, *wide, "--scope-categories", "dietary", "--scope-categories", "urn:s|safety") == 0
    assert config(store, "b")["scope_categories"] == ["dietary", "urn:s|safety"]
    assert (found["create"], found["portal_visible"], found["operation_id_kept"]) == ("client_id", True, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["e", "--url", "ftp://h/fhir"], "--url"),
        (["e", "--url", "https://u:SECRET@h/fhir"], "--url"),
        (["e", "--url", "https://h/fhir?SECRET=1"], "--url"),
        (["e"], "--url"),
        (["Ehr Main", "--url", URL], "NAME"),
        (["e", "--url", URL, "--create", "twice"], "--create"),
        (["e", "--url", URL, "--release", "soon"], "--release"),
        (["e", "--url", URL, "--retract", "burn"], "--retract"),
        (["e", "--url", URL, "--scope", "everything"], "--scope: must be ours, linked_plans, categories or all"),
        (["e", "--url", URL, "--scope", "categories"], "--scope-categories: must be CODE or SYSTEM|CODE"),
        (["e", "--url", URL, "--scope-categories", "dietary"], "--scope-categories: must be CODE or SYSTEM|CODE"),
        (["e", "--url", URL, "--changes", "guessed"], "--changes: must be hash"),
        (["e", "--url", URL, "--transactions", "some"], "--transactions: must be none or atomic"),
        (["e", "--url", URL, "--changes", "history"], "--changes-of: must be patient or server"),
        (["e", "--url", URL, "--page-size", "0"], "--page-size"),
        (["e", "--url", URL, "--quiet-minutes", "-1"], "--quiet-minutes"),
        (["e", "--url", URL, "--token-env", "ey.SECRET.x"], "--token-env"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_added(
    store: str, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """The option at fault is named, never a value of it, and there is no such connection afterwards."""
    assert run(store, "ehr", "add", *arguments) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "SECRET" not in told
    assert len(told.splitlines()) == 1
    assert not Path(store.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize(
    "content",
    [b"base_url = \n", b"\xff\xfe", b"nonsense = 1\nbase_url = 'http://h/f'\n", b"x" * 100_000, b"page_size = 'a'\n"],
)
def test_a_wrong_settings_file_is_refused(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    """TOML that is none, of another encoding, with an unknown key, too large or of a wrong type: one line."""
    file = tmp_path / "ehr.toml"
    file.write_bytes(content)
    assert run(store, "ehr", "add", "e", "--url", URL, "--file", str(file)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_name_is_taken_once(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A second connection of the same name is refused."""
    assert run(store, "ehr", "add", "e", "--url", URL) == 0
    assert run(store, "ehr", "add", "e", "--url", URL) == 2
    assert "another name" in capsys.readouterr().err


def states(store: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert run(store, "ehr", "list", "--json") == 0
    return {one["connection"]: one["state"] for one in json.loads(capsys.readouterr().out)["connections"]}


def test_a_new_connection_observes_until_it_is_armed(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Arming without a terminal needs --yes; pause stops, resume gives back the state before."""
    assert run(store, "ehr", "add", "a", "--url", URL) == 0
    assert run(store, "ehr", "add", "b", "--url", URL) == 0
    assert states(store, capsys) == {"a": "observe", "b": "observe"}
    assert run(store, "ehr", "arm", "a", "--by", "staff-7", "--reason", "seen") == 2
    assert states(store, capsys) == {"a": "observe", "b": "observe"}
    assert run(store, "ehr", "arm", "a", "--by", "staff-7", "--reason", "seen", "--yes") == 0
    assert run(store, "ehr", "pause", "--all") == 0
    assert states(store, capsys) == {"a": "paused", "b": "paused"}
    assert run(store, "ehr", "resume", "a") == 0
    assert run(store, "ehr", "resume", "b") == 0
    assert states(store, capsys) == {"a": "armed", "b": "observe"}
    assert run(store, "ehr", "resume", "b") == 2


def test_pause_needs_a_name_or_all(store: str) -> None:
    """Neither and both are refused: a slip must not pause everything."""
    assert run(store, "ehr", "add", "a", "--url", URL) == 0
    assert run(store, "ehr", "pause") == 2
    assert run(store, "ehr", "pause", "a", "--all") == 2
    assert run(store, "ehr", "pause", "zz") == 2


def test_a_missing_token_is_told_by_its_variable(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose token variable is not set says which one, and asks the EHR nothing."""
    monkeypatch.delenv("EHR_TOKEN_X", raising=False)
    assert run(store, "ehr", "add", "a", "--url", URL, "--token-env", "EHR_TOKEN_X") == 0
    assert run(store, "sync") == 2
    assert "EHR_TOKEN_X" in capsys.readouterr().err


def test_settings_of_the_whole_program_may_stand_anywhere(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--store` after the command is the same as before it."""
    assert main(["ehr", "add", "a", "--url", URL, "--store", store]) == 0
    assert main(["ehr", "list", f"--store={store}", "--json"]) == 0
    assert '"connection":"a"' in capsys.readouterr().out


def test_what_is_outside_the_scope_is_told_with_its_number() -> None:
    """The line counts goals over all patients, and names the option."""
    counts = Counts("e", outside={"Patient/1": 2, "Patient/2": 1, "Patient/3": 0})
    assert outside_scope(counts).startswith("Left there, outside what is taken in (--scope")
    assert "3 goals" in outside_scope(counts)
    assert counts.as_json()["outside_scope"] == 3
