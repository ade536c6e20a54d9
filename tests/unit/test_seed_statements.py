"""The table of statements says what the commands say: each command is run and its line looked for."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fhirgoals.cli.main import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/seed-statements.md"
ROW = re.compile(r"^\| (\d+) \| (.+?) \| `(.+?)` \| (.+?) \| (.*?)\|$", re.MULTILINE)
CONNECTIONS = ("ehr-main", "primary-care", "patient-portal", "employer-eap", "school-clinic")


def rows() -> list[tuple[str, str, str]]:
    return [(number, command, line) for number, _, command, line, _ in ROW.findall(PAGE.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('statements') / 'store.db'}"
    for name in CONNECTIONS:
        assert main(["--store", url, "ehr", "add", name, "--url", "http://127.0.0.1:9/fhir"]) == 0
    plans = [str(path) for path in sorted((ROOT / "examples").glob("0*.yaml"))]
    assert main(["--store", url, "put", *plans, "--by", "staff-7", "--reason", "initial"]) == 0
    return url


def arguments(command: str) -> list[str]:
    words = shlex.split(command)
    if words[0] == "show":
        [plan] = (ROOT / "examples").glob(f"{words[1]}-*.yaml")
        return ["show", str(plan), "--on", "2026-11-06", *words[2:]]
    return words


def test_every_statement_has_its_row() -> None:
    """The table has the 44 statements in their order."""
    assert [int(number) for number, _, _ in rows()] == list(range(1, 45))


@pytest.mark.parametrize(("number", "command", "line"), rows(), ids=lambda value: value if value.isdigit() else "")
def test_a_statement_is_seen_where_the_table_says(
    store: str,
    number: str,
    command: str,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command of a row ends well and its output holds the row's line."""
    monkeypatch.delenv("COLUMNS", raising=False)
    capsys.readouterr()
    assert main(["--store", store, *arguments(command)]) == 0, number
    assert line in capsys.readouterr().out, number
