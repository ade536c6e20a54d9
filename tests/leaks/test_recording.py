"""The net under the whole suite: the plugin sees what leaves, and a mark that leaves fails the run."""

from __future__ import annotations

import base64
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fhirgoals.errors import BadJson, RemoteError
from fhirgoals.fhir.wire import Reply, Request
from tests.leaks.recording import FOLDER, Recording
from tests.leaks.sentinels import Traffic, sentinels_in

ROOT = Path(__file__).parents[2]
SECRET = "PRIVATE-" + "SENTINEL-X-1"  # put together, so that this file's own lines hold no mark
BODY = f"a body, {SECRET}, and more".encode()


@pytest.mark.parametrize("before", range(3))
def test_a_mark_is_found_plain_and_in_base64(before: int) -> None:
    """Plain, in lower case, and at every alignment of base64; a text without it is clean."""
    assert sentinels_in(BODY) == {SECRET}
    assert sentinels_in(BODY.lower()) == {SECRET}
    assert sentinels_in(base64.b64encode(b"x" * before + BODY)) == {"base64"}
    assert sentinels_in(b"a sentence about sentries") == set()


@pytest.mark.parametrize(
    "request_",
    [
        Request("PUT", "http://ehr.test/fhir/Goal/1", {}, BODY),
        Request("GET", f"http://ehr.test/fhir/Goal?x={SECRET}"),
        Request("POST", "http://ehr.test/fhir/Goal", {"If-None-Exist": SECRET}, b"{}"),
    ],
    ids=["body", "address", "header"],
)
def test_a_mark_that_leaves_is_found(request_: Request) -> None:
    """In a body, an address or a header."""
    traffic = Traffic()
    traffic(request_, None)
    [found] = traffic.found
    assert found.startswith(f"{SECRET} in {request_.method} /fhir/Goal")


def test_what_an_ehr_said_may_go_back_to_it_alone() -> None:
    """A mark in a reply is the EHR's own: a write there may hold it, one elsewhere or in a later test may not."""
    traffic = Traffic()
    traffic(Request("GET", "http://ehr.test/fhir/Goal/1"), Reply(200, {}, BODY))
    traffic(Request("PUT", "http://ehr.test/fhir/Goal/1", {}, BODY), None)
    assert traffic.found == []
    traffic(Request("PUT", "http://other.test/fhir/Goal/1", {}, BODY), None)
    assert len(traffic.found) == 1
    traffic.forget()
    traffic(Request("PUT", "http://ehr.test/fhir/Goal/1", {}, BODY), None)
    assert len(traffic.found) == 2


def test_an_error_is_searched_with_what_it_is_chained_to() -> None:
    """The cause's text is shown to people too; a context that is cut off is not."""

    def raised(*, chained: bool) -> RemoteError:
        try:
            try:
                raise BadJson(SECRET)
            except BadJson as cause:
                raise RemoteError("it did not answer") from (cause if chained else None)
        except RemoteError as error:
            return error

    recording = Recording(test="here")
    recording.take_error(raised(chained=False))
    assert recording.found == []
    recording.take_error(raised(chained=True))
    assert recording.found == [f"here: {SECRET} in an error"]


LEAKY = """
import asyncio
import logging
import subprocess
import sys

import pytest

from fhirgoals.errors import RemoteError
from fhirgoals.fhir.http import Http
from fhirgoals.fhir.wire import Request

MARK = "PRIVATE-" + "SENTINEL-Y-2"
CHILD = '''
import asyncio, os, sys
from fhirgoals.fhir.http import Http
from fhirgoals.fhir.wire import Request

async def leak():
    async with Http() as http:
        await http.send(Request("PUT", "http://127.0.0.1:9/Goal/1", {}, sys.argv[1].encode()))

asyncio.run(leak())
os.kill(os.getpid(), 9)
'''


async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def leak():
    async with Http(app=answer) as http:
        await http.send(Request("PUT", "http://ehr.test/Goal/1", {}, MARK.encode()))


def test_traffic():
    asyncio.run(leak())


def test_traffic_of_a_child_that_is_killed():
    subprocess.run([sys.executable, "-c", CHILD, MARK], check=False)


def test_log():
    logging.getLogger("a.library").warning("it holds %s", MARK)


def test_stderr():
    sys.stderr.write(MARK)


def test_error():
    with pytest.raises(RemoteError):
        raise RemoteError(MARK)


def test_nothing():
    with pytest.raises(RemoteError):
        raise RemoteError("clean")
"""


def test_a_mark_anywhere_fails_the_run(tmp_path: Path) -> None:
    """A run whose tests all pass fails where a mark left, was logged or raised, and names each test and place."""
    run = run_of(tmp_path)
    assert "6 passed" in run.stdout
    assert run.returncode == 1
    found = dict(re.findall(r"test_it\.py::(\w+): PRIVATE-" + r"SENTINEL-Y-2 in (.+)", run.stdout))
    assert found == {
        "test_traffic": "PUT /Goal/1",
        "test_traffic_of_a_child_that_is_killed": "PUT /Goal/1 (child process)",
        "test_log": "the log of a.library",
        "test_stderr": "captured stderr call",
        "test_error": "an error",
    }


def test_a_clean_run_passes(tmp_path: Path) -> None:
    """Where no mark left, the run is what its tests are."""
    run = run_of(tmp_path, "-k", "nothing")
    assert run.returncode == 0, run.stdout
    assert "leaks: 0 marks" in run.stdout


def run_of(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the leaky tests in a pytest of their own, with the plugin alone."""
    (folder / "test_it.py").write_text(LEAKY)
    clean = {name: value for name, value in os.environ.items() if name not in (FOLDER, "PYTEST_CURRENT_TEST")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.leaks.recording", "-p", "no:cacheprovider", *options, "."],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_this_run_is_recorded() -> None:
    """The plugin is at work here: a record logged now is counted (and clean)."""
    logging.getLogger("tests").warning("nothing to see")
    assert os.environ[FOLDER]
