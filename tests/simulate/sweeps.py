"""The log of sweeps (`sweeps.jsonl`, committed): one line of JSON for each that was played for the record.

A line holds the commit it was played at, the seeds, the rates and shapes, and per variant and number of connections
the figures of `COLUMNS`; of each failing run the cell, the seed and the meter, so that none can be forgotten.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.simulate.network import RATES
from tests.simulate.script import SHAPES
from tests.simulate.sweep import COLUMNS, Sweep

LOG = Path(__file__).with_name("sweeps.jsonl")

Line = dict[str, Any]


def state() -> tuple[str, bool]:
    """Return the commit that the product is at, and whether nothing differs from it (untracked files aside)."""
    folder = Path(__file__).parent
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no").splitlines()
    return commit, not [line for line in changed if not line.endswith(LOG.name)]


def line_of(sweep: Sweep, commit: str, *, clean: bool, chosen: Line) -> Line:
    """Return the line of a sweep; `chosen` are the options that kept it to some cells or to one shape."""
    figures = sweep.figures
    tables: dict[str, dict[str, list[int]]] = {}
    for name, counts in figures.by(lambda cell: f"{cell.variant} {cell.connections}").items():
        variant, connections = name.split()
        tables.setdefault(variant, {})[connections] = _row(counts)
    return {
        "commit": commit,
        "clean": clean,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seeds": [sweep.seeds.start, sweep.seeds.start + figures.total["runs"]],
        "seconds": round(sweep.seconds),
        **({"chosen": chosen} if chosen else {}),
        "cells": len(figures.cells),
        "rates": asdict(RATES),
        "shapes": [str(shape) for shape in SHAPES],
        "total": _row(figures.total),
        "policies": {name: _row(counts)[:3] for name, counts in figures.by(lambda cell: cell.policy).items()},
        "variants": tables,
        "causes": dict(figures.causes.most_common()),
        "failing": [[str(one.cell), one.seed, one.meter] for one in sorted(figures.failing, key=lambda one: one.seed)],
    }


def append(line: Line, path: Path = LOG) -> None:
    """Add a line to the log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")


def read(path: Path = LOG) -> list[Line]:
    """Return the lines of the log, the oldest first; none where there is no log yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def next_seed(lines: list[Line]) -> int:
    """Return the first seed that comes after all that were played."""
    return max((line["seeds"][1] for line in lines), default=0)


def _row(counts: Any) -> list[int]:
    return [counts[name] for name in COLUMNS]


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
