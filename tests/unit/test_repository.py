"""The repository keeps its own rules: pins, imports, sizes, paths, lists in the documents."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "fhirgoals"
MODULES = sorted(PRODUCT.rglob("*.py"))
LOCKS = ("requirements.lock", "requirements-dev.lock")
LONGER_WITH_A_REASON: dict[str, str] = {}
"""Modules over 400 lines: path and why."""


def pins(lock: str) -> dict[str, str]:
    """Return version by package of a lock file; each pin must have a hash."""
    found = {}
    for block in re.split(r"\n(?=\S)", (ROOT / lock).read_text(encoding="utf-8")):
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", block)
        assert match, f"{lock}: {block.splitlines()[0]} is no pin"
        assert "--hash=sha256:" in block, f"{lock}: {match[1]} has no hash"
        found[match[1].lower()] = match[2]
    return found


def imported(module: Path) -> list[str]:
    """Return the dotted names that a module imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=aliases):
                names += [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(base), names=aliases):
                names += [f"{base}.{alias.name}" for alias in aliases]
    return names


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked_texts() -> list[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    files = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    return [(name, (ROOT / name).read_bytes().decode("utf-8", "replace")) for name in files]


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_hashes_and_no_address(lock: str) -> None:
    """Every pin has a hash, and no package index is named."""
    assert len(pins(lock)) > 30
    assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


def test_development_pins_hold_the_runtime_pins() -> None:
    """A development install serves `run` too, so it has each runtime package in the same version."""
    runtime, development = (pins(lock) for lock in LOCKS)
    assert runtime.items() <= development.items()


def test_runtime_pins_hold_what_pyproject_asks_for() -> None:
    """The lock was made again after pyproject.toml changed (`bash scripts/lock`), the pinned build backend included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    names = {re.split(r"[\[><=~! ]", each)[0].lower().replace("_", "-") for each in asked}
    assert {name.replace(".", "-") for name in names} <= {name.replace(".", "-") for name in pins(LOCKS[0])}


@pytest.mark.parametrize("lock", LOCKS)
def test_httpx2_is_not_installed(lock: str) -> None:
    """With httpx2 beside httpx some libraries switch to it silently, and tests and production would differ."""
    assert "httpx2" not in pins(lock)


def test_only_one_module_speaks_http() -> None:
    """httpx is imported in fhirgoals/fhir/http.py alone, so that its successor is one file away."""
    others = [short(m) for m in MODULES if any(n.split(".")[0] == "httpx" for n in imported(m))]
    assert set(others) <= {"fhirgoals/fhir/http.py"}


def test_fhir_models_are_never_r5_by_accident() -> None:
    """fhir.resources is named with its version everywhere: its default is R5 and takes an R4 Goal silently."""
    wrong = [
        (short(module), name)
        for module in MODULES
        for name in imported(module)
        if name.startswith("fhir.resources") and not name.startswith("fhir.resources.R4B.")
    ]
    assert wrong == []


def test_oracle_shares_no_code_with_what_it_judges() -> None:
    """The demo's oracle imports nothing from domain, mappers, store or sync."""
    judged = ("fhirgoals.domain", "fhirgoals.mappers", "fhirgoals.store", "fhirgoals.sync")
    oracles = [module for module in MODULES if "oracle" in module.name]
    assert [(short(m), n) for m in oracles for n in imported(m) if n.startswith(judged)] == []


def test_modules_are_short_and_say_what_they_are() -> None:
    """A module has at most 400 lines, or a reason, and opens with what it does."""
    long = {short(m): n for m in MODULES if (n := len(m.read_text(encoding="utf-8").splitlines())) > 400}
    assert set(long) <= set(LONGER_WITH_A_REASON), long
    assert [short(m) for m in MODULES if not ast.get_docstring(ast.parse(m.read_text(encoding="utf-8")))] == []


def test_names_say_the_domain() -> None:
    """No module, class or function is called manager, helper, util, processor or handler."""
    vague = re.compile(r"(?i)(manager|helpers?|utils?|processor)$")
    wrong = [short(m) for m in MODULES if vague.search(m.stem)]
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and vague.search(node.name):
                wrong.append(f"{short(module)}: {node.name}")
    assert wrong == []


def test_no_tracked_file_holds_a_machine_path_or_an_index_address() -> None:
    """What is committed works on any machine."""
    # The words are put together here so that this file passes its own test.
    machine = re.compile(r"/(?:" + "|".join(("work", "root", "farm", "home/[a-z]+")) + r")/[a-z]")
    address = re.compile(r"https?://[^\s\"]*(?:/simple\b|/packages/[0-9a-f]{2}/|/-/[^\s\"]*\.tgz|/maven2/)")
    wrong = [
        (name, found[0])
        for name, text in tracked_texts()
        for pattern in (machine, address)
        if (found := pattern.search(text))
    ]
    assert wrong == []


def test_scripts_are_sound_shell() -> None:
    """Each script parses, and `.ci/run` runs the whole suite and nothing weaker."""
    scripts = ["run", "tests/run", ".ci/run", *(short(p) for p in (ROOT / "scripts").iterdir())]
    for script in scripts:
        subprocess.run(["bash", "-n", script], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    last = (ROOT / ".ci/run").read_text(encoding="utf-8").strip().splitlines()[-1]
    assert last == 'exec bash "$(dirname "${BASH_SOURCE[0]}")/../tests/run"'


def test_settings_of_a_developer_do_not_reach_the_tests() -> None:
    """A store that is named in the developer's environment is never the tests' store."""
    assert [name for name in os.environ if name.startswith("FHIRGOALS_") and "__" in name] == []
