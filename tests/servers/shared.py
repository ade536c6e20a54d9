"""One server for a whole test run, also when several pytest-xdist workers share the run.

The first test that needs it starts it, the last worker that used it ends it; a file with a lock counts the users.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.servers import build

_START_TIMEOUT_S = 180.0
_END_TIMEOUT_S = 20.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Program:
    """How one server is started: `ready` tells its address from what it has printed, `None` while it is not ready.

    The command runs in `folder`, a new one that is removed at the end. `user` is set where it may not run as root.
    """

    command: list[str]
    ready: Callable[[str], str | None]
    folder: Path
    user: str | None = None
    end_with: int = signal.SIGTERM


@dataclass(frozen=True)
class Run:
    """A test run: where its servers' state and logs are, and the process whose end is the end of the run."""

    folder: Path
    process: int

    @contextmanager
    def server(self, name: str, program: Callable[[], Program]) -> Iterator[str]:
        """The server's address, started if it does not run yet; ended when its last user leaves.

        Raises `build.MissingServerError` when it can't be had, at once when another worker has already found so.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        state_file = self.folder / f"{name}.json"
        with self._locked(name):
            state = json.loads(state_file.read_text()) if state_file.exists() else {"users": 0}
            if "missing" in state:
                raise build.MissingServerError(state["missing"])
            if not state["users"]:
                began = time.monotonic()
                try:
                    state["address"] = self._start(name, program())
                except build.MissingServerError as missing:
                    state_file.write_text(json.dumps({"missing": str(missing)}))
                    raise
                state["start_s"] = round(time.monotonic() - began, 1)
            state["users"] += 1
            state_file.write_text(json.dumps(state))
        try:
            yield state["address"]
        finally:
            with self._locked(name):
                state = json.loads(state_file.read_text())
                state["users"] -= 1
                if not state["users"]:
                    self._end(name)
                state_file.write_text(json.dumps(state))

    def log(self, name: str) -> Path:
        """The server's log."""
        return self.folder / f"{name}.log"

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self, name: str, program: Program) -> str:
        out, pid_file = self.folder / f"{name}.out", self.folder / f"{name}.pid"
        out.write_text("")
        began = time.monotonic()
        warden = [sys.executable, str(Path(__file__).with_name("warden.py")), "--watch", str(self.process)]
        warden += ["--pid-file", str(pid_file), "--out", str(out), "--log", str(self.log(name))]
        warden += ["--folder", str(program.folder), "--end-with", str(int(program.end_with))]
        warden += ["--user", program.user] if program.user else []
        subprocess.run([*warden, "--", *program.command], check=True, stdin=subprocess.DEVNULL)
        while time.monotonic() - began < _START_TIMEOUT_S:
            address = program.ready(out.read_text())
            if address is not None:
                return address
            if not pid_file.exists():
                break
            time.sleep(_POLL_S)
        self._end(name)
        raise RuntimeError(f"{name} did not start; the end of its log:\n{self.log(name).read_text()[-3000:]}")

    def _end(self, name: str) -> None:
        pid_file = self.folder / f"{name}.pid"
        began = time.monotonic()
        with suppress(FileNotFoundError, ProcessLookupError):  # it may end by itself meanwhile
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        while pid_file.exists() and time.monotonic() - began < _END_TIMEOUT_S:
            time.sleep(_POLL_S)


def new_folder(name: str) -> Path:
    """A new folder for a server, outside pytest's own, which other users may not enter."""
    return Path(tempfile.mkdtemp(prefix=f"fhirgoals-{name}-"))


def port_line(out: str) -> str | None:
    """The port from the line `ready PORT`, which our own harnesses print."""
    words = out.split()
    return words[1] if len(words) >= 2 and words[0] == "ready" and out.endswith("\n") else None
