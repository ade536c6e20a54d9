"""`python -m tests.simulate.faults [NAME…] [--runs 5000] [--seed S]`: puts each fault of `faults.toml` into a copy of
the product and runs the simulator there until it is caught; says by which meter, and after how many runs.

Exit 1 where one is not caught. A name may be shortened.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("faults.toml")
COPIED = ("fhirgoals", "tests", "config", "examples")


@dataclass(frozen=True)
class Fault:
    """One fault: where it is put in, and the cells in which it is looked for."""

    name: str
    file: str
    old: str
    new: str
    cells: tuple[str, ...]

    def broken(self, text: str) -> str:
        """Return the file's text with the fault; raises `ValueError` where its place is not there exactly once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: its place stands {text.count(self.old)} times in {self.file}, not once")
        return text.replace(self.old, self.new)


def faults() -> tuple[Fault, ...]:
    """Return all faults of the table."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["fault"]
    return tuple(Fault(**{**row, "cells": tuple(row["cells"])}) for row in rows)


def hunt(fault: Fault, runs: int, seed: int) -> dict[str, object] | None:
    """Return how the simulator caught a fault, or `None` where it did not; the product itself is left alone."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "servers", "node*"))
        place = copy / fault.file
        place.write_text(fault.broken(place.read_text(encoding="utf-8")), encoding="utf-8")
        command = [sys.executable, "-m", "tests.simulate.hunt", "--runs", str(runs), "--seed", str(seed)]
        done = subprocess.run(
            [*command, *fault.cells],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, 1):
        return {"runs": 0, "meter": "import", "line": done.stderr.strip().splitlines()[-1]}
    found: dict[str, object] | None = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> int:
    """Hunt the faults one by one; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate.faults", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=50_000)
    options = parser.parse_args(arguments)
    missed = 0
    for fault in faults():
        if options.names and not any(fault.name.startswith(name) for name in options.names):
            continue
        found = hunt(fault, options.runs, options.seed)
        if found is None:
            missed += 1
            print(f"MISSED  {fault.name}: {options.runs} runs", flush=True)
        else:
            print(f"{found['runs']:6}  {fault.name}: {found['meter']}: {found['line']}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
