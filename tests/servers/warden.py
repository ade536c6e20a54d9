"""Keeps one server process alive for a test run and ends it, whatever becomes of the run.

Detaches itself, starts the command, and ends it when the watched process is gone or at SIGTERM; then removes the
server's folder and at last the pid file, which tells the waiting that all is over. No part of the package is needed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import FrameType

PERIOD_S = 0.2
PATIENCE_S = 10.0


def main() -> None:
    """See the arguments."""
    parse = argparse.ArgumentParser()
    parse.add_argument("--watch", type=int, required=True, help="the process whose end is the server's end")
    parse.add_argument("--pid-file", type=Path, required=True, help="holds this process's id while it runs")
    parse.add_argument("--out", type=Path, required=True, help="the server's standard output")
    parse.add_argument("--log", type=Path, required=True, help="the server's standard error")
    parse.add_argument("--folder", type=Path, required=True, help="the server's working folder, removed at the end")
    parse.add_argument("--user", help="the user to run as")
    parse.add_argument("--end-with", type=int, default=int(signal.SIGTERM), help="the signal that ends the server")
    parse.add_argument("command", nargs=argparse.REMAINDER)
    asked = parse.parse_args()
    if warden := os.fork():
        asked.pid_file.write_text(str(warden))
        os._exit(0)
    os.setsid()
    while not asked.pid_file.exists():
        time.sleep(0.01)
    try:
        _keep(asked)
    finally:
        shutil.rmtree(asked.folder, ignore_errors=True)
        asked.pid_file.unlink()


def _keep(asked: argparse.Namespace) -> None:
    ended = False

    def end(_signal: int, _frame: FrameType | None) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    command = asked.command[1:] if asked.command[:1] == ["--"] else asked.command
    with asked.out.open("wb") as out, asked.log.open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        identity = {"user": asked.user, "group": asked.user, "extra_groups": []} if asked.user else {}
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, cwd=asked.folder, **identity
        )
    while server.poll() is None and not ended and _lives(asked.watch):
        time.sleep(PERIOD_S)
    if server.poll() is None:
        server.send_signal(asked.end_with)
        try:
            server.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
