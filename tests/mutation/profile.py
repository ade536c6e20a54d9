"""A pytest plugin: the fast profile in which mutants are judged.

Few examples, the same each time, and no shrinking: a fault has to be noticed, not explained. What `functools` kept
from an earlier run in the same process is forgotten, so that a mutant can't hide behind an answer of the sound code.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

AT_IMPORT = Path("run-at-import.json")
"""Beside mutmut's own files: functions that run while modules are imported, which a forked process can't run anew."""
MEMORY = 4 * 1024**3
"""Bytes: an endless loop that collects ends here, before the machine does."""


def _counts() -> bool:
    """Whether mutmut is noting which test runs which function."""
    return os.environ.get("MUTANT_UNDER_TEST") == "stats"


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(("fhirgoals.", "tests.")):
            for value in vars(module).values():
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Take the profile, after `tests/conftest.py` took its own."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    settings.register_profile(
        "mutation",
        max_examples=20,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutation")


def pytest_collection_finish() -> None:
    """Note what ran at import; it is no test's doing. Begin with empty caches."""
    if _counts():
        from mutmut.state import state  # noqa: PLC0415 - there under mutmut alone

        AT_IMPORT.write_text(json.dumps(sorted(state()._stats)), encoding="utf-8")
        state()._stats.clear()
    _forget()


def pytest_runtest_setup() -> None:
    """Have each test ask anew, so that each is noted for all that it asks."""
    if _counts():
        _forget()
