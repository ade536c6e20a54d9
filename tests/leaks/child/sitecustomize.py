"""Python loads this at the start of every child process of a test run: what the child sends is searched too.

`tests/leaks/recording.py` puts this folder on PYTHONPATH and names the folder to write to.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

FOLDER = "LEAK_RECORDING"
WATCHED = "fhirgoals.fhir.http"


class _Recorded(importlib.abc.Loader):
    """Loads the module as ever, then begins to record."""

    def __init__(self, loader: importlib.abc.Loader, folder: Path) -> None:
        self._loader = loader
        self._folder = folder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        place = Path(__file__).parents[1] / "sentinels.py"
        spec = importlib.util.spec_from_file_location("fhirgoals_tests_sentinels", place)
        assert spec is not None
        assert spec.loader is not None
        sentinels = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sentinels)
        test = os.environ.get("PYTEST_CURRENT_TEST", "?").partition(" ")[0]
        module.record_everywhere(sentinels.ToFile(self._folder / f"{os.getpid()}", test))


class _Finder(importlib.abc.MetaPathFinder):
    """Waits for the one module; most children never import it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Recorded(spec.loader, self._folder)
        return spec


if os.environ.get(FOLDER):
    sys.meta_path.insert(0, _Finder(Path(os.environ[FOLDER])))
