"""Say how many small faults, put into the code one at a time, the fast tests notice.

    .venv/bin/python -m tests.mutation domain          600 mutants of `fhirgoals/domain`
    .venv/bin/python -m tests.mutation sync            600 of `sync/merge.py` and `sync/decide.py`
      --mutants N     how many (all, where there are fewer)
      --seed S        which: `random.Random(S).sample(sorted(names), N)`
      --only NAME…    these alone, by the names that an earlier run printed
      --at-once N     processes that judge (2)
      --keep FOLDER   work there and leave it, to ask `mutmut show NAME` or `mutmut browse`

The last commit is copied to a folder of its own, so nothing here changes, and what is not committed is not tested.
mutmut makes every mutant; N are judged by the tests that run the mutated function, in forks of one process. A mutant of
a function that already runs at import is judged in a process of its own, by all tests of the target.

Killed: a test failed. Everything else counts as not killed: also a timeout (look whether the loop is endless) and a
mutant that no test runs. Prints the counts and each mutant that is left with its difference. Exit 0 from 90 % on.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.profile import AT_IMPORT

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENOUGH = 90
"""Percent."""
SPINNING = tuple("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")


@dataclass(frozen=True)
class Target:
    """What is mutated and by which tests it is judged: quick ones, without a server, a store or a command line.

    Left out are tests that look at the clock: on a busy machine they would fail for that.
    """

    mutated: tuple[str, ...]
    tests: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def pytest_arguments(self) -> list[str]:
        """Return how pytest is to judge, without the tests' names."""
        plain = ["-p", "no:cacheprovider", "-p", "tests.mutation.profile", "--tb=no"]
        return [*plain, *(f"--deselect={test}" for test in self.left_out)]


TARGETS = {
    "domain": Target(
        mutated=("fhirgoals/domain/*",),
        tests=(
            *(
                f"tests/unit/test_{name}.py"
                for name in (
                    "assessing attainment commands disclosure fields instruments invariants lifecycle measures "
                    "planfile progress put_diff readers references reviews smart units warnings who with_units"
                ).split()
            ),
            "tests/domain",
        ),
        left_out=(
            "tests/unit/test_planfile.py::test_the_examples_load_fast",
            "tests/unit/test_planfile.py::test_a_hostile_file_is_refused_in_time[too many values]",
            "tests/unit/test_invariants.py::test_a_chain_of_ten_thousand_goals_is_checked",
        ),
    ),
    "sync": Target(
        mutated=("fhirgoals/sync/merge.py", "fhirgoals/sync/decide.py"),
        # The pure ones, and those whole runs of which each takes about a second: the tree, births, a new mapper.
        tests=tuple(f"tests/sync/test_{name}.py" for name in "merge judge_table decide tree newborn rebase".split()),
    ),
}


def copy(folder: Path, target: Target) -> None:
    """Put the last commit there, with mutmut's settings."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    settings = {
        "source_paths": ["fhirgoals"],
        "only_mutate": list(target.mutated),
        "also_copy": ["examples", "config", "docs"],
        "pytest_add_cli_args": target.pytest_arguments(),
        "pytest_add_cli_args_test_selection": list(target.tests),
        "timeout_constant": 4.0,
        "timeout_multiplier": 4.0,
        "track_dependencies": False,
        "use_git_change_detection": False,
    }
    # What JSON writes for these values is TOML too.
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\n" + "\n".join(lines) + "\n")


def metas() -> dict[Path, dict[str, dict[str, int | None]]]:
    """Return mutmut's notes per mutated file: under `exit_code_by_key` each mutant's verdict."""
    return {path: json.loads(path.read_text()) for path in sorted(Path("mutants").rglob("*.meta"))}


def make_mutants(chosen: argparse.Namespace) -> tuple[list[str], int]:
    """Make every mutant and leave those chosen to be judged; return their names, and how many were made."""
    from mutmut.__main__ import create_mutants  # noqa: PLC0415 - reads its settings from the folder
    from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir  # noqa: PLC0415

    Path("mutants").mkdir()
    with contextlib.redirect_stdout(io.StringIO()):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(chosen.at_once)
    notes = metas()
    names = sorted(name for note in notes.values() for name in note["exit_code_by_key"])
    if chosen.only:
        picked = set(chosen.only)
        if unknown := picked - set(names):
            raise SystemExit(f"no such mutant: {', '.join(sorted(unknown))}")
    else:
        picked = set(random.Random(chosen.seed).sample(names, min(chosen.mutants, len(names))))
    # Taken out of the notes rather than named to mutmut, which compares each name with each mutant as a pattern.
    for path, note in notes.items():
        note["exit_code_by_key"] = {name: None for name in note["exit_code_by_key"] if name in picked}
        # Not older than the mutants: else mutmut makes them anew.
        path.write_text(json.dumps(note))
    return sorted(picked), len(names)


def judge(environment: dict[str, str], at_once: int) -> dict[str, str]:
    """Let mutmut judge what is left in its notes; return the verdict per name."""
    from mutmut.stats import status_by_exit_code  # noqa: PLC0415

    log = Path("mutmut.log")
    with log.open("w") as out:
        command = [BIN / "mutmut", "run", "--max-children", str(at_once)]
        ended = subprocess.run(command, check=False, env=environment, stdout=out, stderr=out)
    if ended.returncode:
        said = [line for line in log.read_text(encoding="utf-8").splitlines() if not line.startswith(SPINNING)]
        raise SystemExit("\n".join([*said[-60:], f"mutmut ended with {ended.returncode}"]))
    return {
        name: status_by_exit_code[code] for note in metas().values() for name, code in note["exit_code_by_key"].items()
    }


def judge_alone(name: str, target: Target, environment: dict[str, str]) -> str:
    """Judge one mutant in a process of its own, in which it is there from the first import on."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", *target.pytest_arguments(), *target.tests]
    environment = {**environment, "MUTANT_UNDER_TEST": name}
    try:
        ended = subprocess.run(command, check=False, cwd="mutants", env=environment, capture_output=True, timeout=400)
    except subprocess.TimeoutExpired:
        return "timeout"
    return "survived" if ended.returncode == 0 else "killed"


def judge_again(verdicts: dict[str, str], target: Target, environment: dict[str, str], at_once: int) -> None:
    """Judge alone what a fork could not: mutants left of functions that run at import."""
    at_import = set(json.loads((Path("mutants") / AT_IMPORT).read_text()))
    again = [
        name
        for name, verdict in verdicts.items()
        if verdict != "killed" and name.rpartition("__mutmut_")[0] in at_import
    ]
    with ThreadPoolExecutor(at_once) as pool:
        verdicts.update(pool.map(lambda name: (name, judge_alone(name, target, environment)), again))


def show(verdicts: dict[str, str]) -> None:
    """Print each mutant that is left, with its difference."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: PLC0415

    paths = {name: path for path, note in metas().items() for name in note["exit_code_by_key"]}
    for name, verdict in sorted(verdicts.items()):
        if verdict != "killed":
            source = paths[name].relative_to("mutants").with_suffix("")
            print(f"\n# {verdict}: {name}\n{get_diff_for_mutant(name, path=source)}")


def run(target: Target, chosen: argparse.Namespace, folder: Path) -> int:
    """Copy, mutate, judge and tell; return the exit code."""
    started = time.monotonic()
    shared = os.environ.get("FHIRGOALS_SHARED") or str(ROOT.parent / "shared")
    environment = {**os.environ, "FHIRGOALS_SHARED": str(Path(shared).resolve()), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("FHIRGOALS_LAW_EXAMPLES", None)
    copy(folder, target)
    os.chdir(folder)
    names, made = make_mutants(chosen)
    print(f"{len(names)} of {made} mutants, seed {chosen.seed}", flush=True)
    verdicts = judge(environment, chosen.at_once)
    judge_again(verdicts, target, environment, chosen.at_once)
    show(verdicts)
    counts = Counter(verdicts.values())
    percent = 100 * counts["killed"] / len(names)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (
        f"{(time.monotonic() - started) / 60:.1f} minutes, {(used.ru_utime + used.ru_stime) / 60:.1f} of the processor"
    )
    print(f"\n{len(names)} mutants in {spent}:")
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()), f"= {percent:.1f} % killed")
    return 0 if percent >= ENOUGH else 1


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--mutants", type=int, default=600)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    chosen = parser.parse_args()
    if chosen.keep:
        chosen.keep.mkdir(parents=True)
        return run(TARGETS[chosen.target], chosen, chosen.keep.resolve())
    with tempfile.TemporaryDirectory(prefix="fhirgoals-mutation-", ignore_cleanup_errors=True) as folder:
        return run(TARGETS[chosen.target], chosen, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
