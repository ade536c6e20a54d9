"""`sandbox`: the embedded EHR answers on 127.0.0.1 until Ctrl-C, and its variants can be looked up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirgoals.cli.main import main
from fhirgoals.sandbox.variants import VARIANTS

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-depression.yaml"


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process of `fhirgoals sandbox`; it is ended by Ctrl-C at the latest."""
    command = [sys.executable, "-m", "fhirgoals.cli", *arguments]
    unwrapped = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=unwrapped)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def first_line(process: subprocess.Popen[str]) -> str:
    """Return what it says first, when it has said it."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_it_answers_until_ctrl_c_and_ends_well() -> None:
    """A free port is taken and told at once, through a pipe too; Ctrl-C is exit code 0 and leaves nothing on stderr."""
    with running("sandbox", "--variant", "stale_is_409", "--json") as process:
        told = json.loads(first_line(process))
        assert (told["variant"], told["registered"]) == ("stale_is_409", 0)
        assert httpx.get(f"{told['url']}/metadata").json()["fhirVersion"] == "4.0.1"
        made = httpx.post(f"{told['url']}/Patient", json={"resourceType": "Patient"})
        where = f"{told['url']}/Patient/{made.json()['id']}"
        stale = httpx.put(where, json=made.json(), headers={"If-Match": 'W/"0"'})
        assert stale.status_code == 409  # it is the variant that was asked for
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    with pytest.raises(httpx.ConnectError):
        httpx.get(where)


def test_it_says_how_to_connect() -> None:
    """For a person it names variant and address, and the command that adds the connection."""
    with running("sandbox") as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(3)]
        url = told[0].removeprefix("The sandbox EHR plain is at ").removesuffix(" until Ctrl-C.\n")
        assert told[1] == f"It {VARIANTS['plain'].does}.\n"
        assert told[2] == f"To connect:  fhirgoals ehr add NAME --url {url}\n"
        assert httpx.get(f"{url}/Goal").json()["total"] == 0


def test_a_port_that_is_named_is_taken_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The address is the one that was asked for; where somebody else has it, one line says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["sandbox", "--port", str(port)]) == 2
        err = capsys.readouterr().err
        assert f"port {port}" in err
        assert len(err.splitlines()) == 1
    with running("sandbox", "--port", str(port), "--json") as process:
        assert json.loads(first_line(process))["url"] == f"http://127.0.0.1:{port}/fhir"


@pytest.mark.parametrize("port", ["-1", "65536", "many"])
def test_a_port_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], port: str) -> None:
    """The option is named."""
    assert main(["sandbox", "--port", port]) == 2
    assert "--port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("like-hapi", ["like_hapi", "like_medplum"]),
        ("etag", ["no_etag", "weak_etag", "bare_etag"]),
        ("Stale_Serch", ["stale_search"]),
        ("SENTINEL qqq", []),
    ],
)
def test_an_unknown_variant_names_those_near_it(
    capsys: pytest.CaptureFixture[str], asked: str, near: list[str]
) -> None:
    """What is like it, or has a word of it, is named, and where all of them are; what was typed is not repeated."""
    assert main(["sandbox", "--variant", asked]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "`fhirgoals sandbox --list`" in printed.err
    assert all(name in printed.err for name in near)
    assert ("near it" in printed.err) is bool(near)
    assert "SENTINEL" not in printed.err
    assert len(printed.err.splitlines()) == 1


def test_the_list_fits_in_eighty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variant has its line with what it does and who says that some server is so."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["sandbox", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == list(VARIANTS)


def test_the_list_as_json_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets name, effect and source of each, in the same order."""
    assert main(["sandbox", "--list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["variant"] for one in found] == list(VARIANTS)
    assert all(one["does"] == VARIANTS[one["variant"]].does for one in found)
    assert all(one["source"] == VARIANTS[one["variant"]].source for one in found)


def test_every_variant_says_in_a_few_words_what_it_does() -> None:
    """Short enough for a table, and no two say the same."""
    said = [one.does for one in VARIANTS.values()]
    assert len(set(said)) == len(said)
    assert all(0 < len(one) <= 60 and not one.endswith(".") for one in said)


def test_everybody_of_the_plans_can_be_found_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--people` the next steps work at once: each is found by our identifier, and no name is told."""
    store = ["--store", f"sqlite:///{tmp_path / 'store.db'}"]

    def ran(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main([*store, *arguments, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for name in ("ehr-main", "primary-care"):
        ran("ehr", "add", name, "--url", f"http://127.0.0.1:{port}/fhir")
    ran("put", str(EXAMPLE), "--by", "staff-7", "--reason", "initial")
    with running(*store, "sandbox", "--port", port, "--people", "--json") as process:
        told = json.loads(first_line(process))
        matches = ran("patients", "match", "ehr-main", "--by", "staff-7", code=1)["matches"]
        assert told["registered"] == len(matches) == 6
        assert {one["status"] for one in matches} == {"proposed"}
        patients = httpx.get(f"{told['url']}/Patient").json()["entry"]
        assert [sorted(one["resource"]) for one in patients] == [
            ["birthDate", "id", "identifier", "meta", "resourceType"]
        ]
