"""Figures that these tests measure: shown in the run's summary, so that they can be quoted."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Call it with one or more lines: they stand under the test's name in the summary, also under pytest-xdist."""
    return lambda lines: request.node.user_properties.append(("figure", lines))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of every test that ran."""
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, ())]
    for report in reports:
        shown = [str(value) for name, value in report.user_properties if name == "figure"]
        if report.when == "call" and shown:
            terminalreporter.section(report.nodeid.rpartition("::")[2], sep="-")
            for lines in shown:
                terminalreporter.line(lines)
