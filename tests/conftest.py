"""What all tests share: where the shared input is, how many examples Hypothesis tries, and that some test ran."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]

pytest_plugins = ["tests.servers.fixtures", "tests.leaks.recording"]

# A developer's own settings (FHIRGOALS_STORE__URL, …) must not point the tests at a real store.
for _name in [
    name for name in os.environ if name.startswith("FHIRGOALS_") and ("__" in name or name.endswith("_CONFIG"))
]:
    del os.environ[_name]

# "ci": the same few examples each time. "long": FHIRGOALS_LAW_EXAMPLES fresh ones.
# Shared machines are slow at times: no deadline, and slow drawing is no fault.
settings.register_profile(
    "ci",
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long",
    max_examples=int(os.environ.get("FHIRGOALS_LAW_EXAMPLES", "10000")),
    derandomize=False,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("long" if "FHIRGOALS_LAW_EXAMPLES" in os.environ else "ci")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared input: FHIRGOALS_SHARED, else `shared` beside the project."""
    folder = Path(os.environ.get("FHIRGOALS_SHARED") or ROOT.parent / "shared").resolve()
    if not (folder / "data").is_dir():
        reason = "the shared input is not there: name its folder in FHIRGOALS_SHARED"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


WHOLE_RUNS = ("e2e", "leaks")
"""Folders whose tests play whole runs of the product: left out of `tests/run check`, which takes under a minute."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder: what needs a real server, also where a test asks for it by name at run time, and what is slow."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0] if item.path.is_relative_to(ROOT / "tests") else ""
        if folder == "servers":
            item.add_marker(pytest.mark.servers)
        if folder in WHOLE_RUNS:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run in which every test was skipped has shown nothing: it fails as one that found no test."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.option.collectonly:
        return
    if exitstatus == pytest.ExitCode.OK and not reporter.stats.get("passed"):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
