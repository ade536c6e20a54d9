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

from tests.simulate.cells import read
from tests.simulate.hunt import EDITS
from tests.simulate.run import play
from tests.simulate.script import script

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


@dataclass(frozen=True)
class Caught:
    """How a fault was caught: after how many runs, in which cell and run, by which meter."""

    runs: int
    meter: str
    line: str
    cell: str = ""
    seed: int = 0


def hunt(fault: Fault, runs: int, seed: int) -> Caught | None:
    """Return how the simulator caught a fault, or `None` where it did not; the product itself is left alone.

    A run that has that fault in the product as it is does not count.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "servers", "node*"))
        place = copy / fault.file
        place.write_text(fault.broken(place.read_text(encoding="utf-8")), encoding="utf-8")
        done = 0
        while done < runs:
            caught = _hunted(copy, fault, runs - done, seed + done, done)
            if caught is None:
                return None
            if not caught.cell or not getattr(
                play(script(read(caught.cell), caught.seed, EDITS)).verdict, caught.meter
            ):
                return caught
            done = caught.runs
    return None


def _is_there_anyway(caught: Caught) -> bool:
    verdict = play(script(read(caught.cell), caught.seed, EDITS)).verdict
    return bool(getattr(verdict, caught.meter))


def _hunted(copy: Path, fault: Fault, runs: int, seed: int, done: int) -> Caught | None:
    command = [sys.executable, "-m", "tests.simulate.hunt", "--runs", str(runs), "--seed", str(seed)]
    played = subprocess.run(
        [*command, *fault.cells],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if played.returncode not in (0, 1):
        return Caught(done, "crash", played.stderr.strip().splitlines()[-1])
    row = json.loads(played.stdout.splitlines()[-1])
    return None if row is None else Caught(**{**row, "runs": done + row["runs"]})


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
            print(f"{found.runs:6}  {fault.name}: {found.line}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
