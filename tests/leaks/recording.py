"""A pytest plugin: all that the run sent, logged or raised is searched for the examples' marks, and one fails the run.

Searched: every request of every `Http`, in this process and in its Python children; records of `logging` and what
tests wrote to stderr; the texts of our errors that tests caught. What the suite plants at an EHR may go back to it.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest._code import ExceptionInfo

from fhirgoals.errors import FhirgoalsError
from fhirgoals.fhir.http import record_everywhere
from tests.leaks.sentinels import Traffic, sentinels_in

CHILD = Path(__file__).parent / "child"
FOLDER = "LEAK_RECORDING"


@dataclass
class Recording:
    """What was searched so far, and what was found: a line each, with the test."""

    traffic: Traffic = field(default_factory=Traffic)
    requests: int = 0
    bytes: int = 0
    log_records: int = 0
    errors: int = 0
    found: list[str] = field(default_factory=list)
    test: str = ""

    def take(self, where: str, text: str, test: str | None = None) -> None:
        """Search one text."""
        self.found += [f"{test or self.test}: {mark} in {where}" for mark in sorted(sentinels_in(text.encode()))]

    def take_error(self, error: BaseException) -> None:
        """Search what an error of ours shows to people: itself and what it is chained to, without source lines."""
        if isinstance(error, FhirgoalsError):
            self.errors += 1
            self.take("an error", "\n".join(shown(error)))

    def begin(self, test: str) -> None:
        """A new test begins."""
        self.end()
        self.test = test

    def end(self) -> None:
        """A test ended: what it sent is told with its name."""
        self.found += [f"{self.test}: {each}" for each in self.traffic.found]
        self.traffic.found.clear()
        self.traffic.forget()

    def take_children(self, folder: Path) -> None:
        """Take what child processes wrote down."""
        for file in sorted(folder.iterdir()):
            for line in file.read_text(encoding="utf-8").splitlines():
                told = json.loads(line)
                self.requests += 1
                self.bytes += told["bytes"]
                self.found += [f"{told['test']}: {each} (child process)" for each in told["found"]]
            file.unlink()

    def told(self) -> str:
        """Return what was searched, in a line."""
        requests, size = self.requests + self.traffic.requests, self.bytes + self.traffic.bytes
        return (
            f"leaks: {len(self.found)} marks in {requests} requests ({size / 1e6:.1f} MB), "
            f"{self.log_records} log records and {self.errors} errors"
        )


def shown(error: BaseException) -> Iterator[str]:
    """Yield what Python shows of an error and of those that it is chained to, without the source lines."""
    seen: BaseException | None = error
    while seen is not None:
        yield from (str(seen), repr(seen), *getattr(seen, "__notes__", ()))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


class _Logged(logging.Handler):
    def __init__(self, recording: Recording) -> None:
        super().__init__(logging.NOTSET)
        self._recording = recording

    def emit(self, record: logging.LogRecord) -> None:
        self._recording.log_records += 1
        try:
            text = self.format(record)
        except (TypeError, ValueError):  # a library's own mistake in its arguments
            text = f"{record.msg} {record.args}"
        self._recording.take(f"the log of {record.name}", text)


class Plugin:
    """The hooks of one run."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._undo: list[Any] = []
        self._folder = tempfile.TemporaryDirectory(prefix="leaks-")

    def start(self) -> None:
        """Begin to record."""
        self._undo.append(record_everywhere(self.recording.traffic))
        handler = _Logged(self.recording)
        logging.getLogger().addHandler(handler)
        self._undo.append(lambda: logging.getLogger().removeHandler(handler))
        for name, value in ((FOLDER, self._folder.name), ("PYTHONPATH", _with_child())):
            self._undo.append(_set(name, value))
        self._undo.append(_watch_caught(self.recording))

    def stop(self) -> None:
        """End recording and take what children wrote."""
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        self.recording.end()
        self.recording.take_children(Path(self._folder.name))
        self._folder.cleanup()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.recording.begin(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for title, text in report.sections:
            if "stderr" in title:
                self.recording.take(title.lower(), text, report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist is done."""
        self.recording.found += getattr(node, "workeroutput", {}).get("leaks", [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.stop()
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["leaks"] = self.recording.found
        if self.recording.found and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.recording.found:
            terminalreporter.section("what must not leave has left", sep="=", red=True)
            for line in sorted(set(self.recording.found)):
                terminalreporter.line(line)
        terminalreporter.line(self.recording.told(), red=bool(self.recording.found))


def pytest_configure(config: pytest.Config) -> None:
    """Record from before the first test to the end of the run."""
    if config.option.collectonly:
        return
    plugin = Plugin(Recording())
    plugin.start()
    config.pluginmanager.register(plugin, "fhirgoals-leaks")


def _with_child() -> str:
    return os.pathsep.join(filter(None, (str(CHILD), os.environ.get("PYTHONPATH"))))


def _set(name: str, value: str) -> Any:
    before = os.environ.get(name)
    os.environ[name] = value

    def undo() -> None:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before

    return undo


def _watch_caught(recording: Recording) -> Any:
    """See every error that a test catches with `pytest.raises`: pytest is asked, no module of ours is changed."""
    ours = ExceptionInfo.fill_unfilled

    def seen(self: ExceptionInfo[BaseException], exc_info: Any) -> None:
        ours(self, exc_info)
        recording.take_error(exc_info[1])

    ExceptionInfo.fill_unfilled = seen  # type: ignore[method-assign]
    return lambda: setattr(ExceptionInfo, "fill_unfilled", ours)
