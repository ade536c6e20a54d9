"""A real server of the suite is started once, shared by the workers of a run, and never outlives the run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.build import MissingServerError
from tests.servers.shared import Program, Run, new_folder, port_line

STAYS = "import os, time; print('ready', os.getpid(), flush=True); time.sleep(600)"


def program(code: str = STAYS) -> Program:
    return Program([sys.executable, "-c", code], port_line, new_folder("unit"))


def wait_until(holds: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < 10
        time.sleep(0.02)


def test_workers_share_one_server_and_the_last_one_ends_it(tmp_path: Path) -> None:
    """Two users of a run get one process; it goes, with its folder, when both have left."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        first, second = Run(tmp_path, parent.pid), Run(tmp_path, parent.pid)
        with first.server("one", program) as address:
            folder = Path(f"/proc/{address}/cwd").resolve()
            with second.server("one", program) as again:
                assert again == address
            assert folder.is_dir()
        assert not Path(f"/proc/{address}").exists()
        assert not folder.exists()


def test_a_server_does_not_outlive_a_killed_run(tmp_path: Path) -> None:
    """When the process of the run is killed, its servers end by themselves."""
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent,
        Run(tmp_path, parent.pid).server("one", program) as address,
    ):
        parent.kill()
        parent.wait()
        wait_until(lambda: not Path(f"/proc/{address}").exists())


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    """The error of a server that dies at its start ends with what it said."""
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent,
        pytest.raises(RuntimeError, match="no such port"),
        Run(tmp_path, parent.pid).server("one", lambda: program("raise SystemExit('no such port')")),
    ):
        pass


def test_a_missing_server_is_looked_for_once(tmp_path: Path) -> None:
    """What one worker could not have, the next is told at once."""
    tries = []

    def missing() -> Program:
        tries.append(1)
        raise MissingServerError("java is missing")

    for _ in range(2):
        with pytest.raises(MissingServerError, match="java is missing"), Run(tmp_path, 0).server("one", missing):
            pass
    assert tries == [1]
