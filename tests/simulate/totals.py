"""`python -m tests.simulate.totals [--commit C]`: the sum of the log of sweeps by variant, and whose sums these are.

Names each sweep with its commit, and each failing run with it. Exit 1 where a fault was found that should not be.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from tests.simulate import cells
from tests.simulate.sweep import COLUMNS
from tests.simulate.sweeps import LOG, Line, read
from tests.simulate.table import table


def main(arguments: list[str] | None = None) -> int:
    """Print the sums; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate.totals", description=__doc__)
    parser.add_argument("--commit", default="", help="only sweeps of this commit")
    parser.add_argument("--log", type=Path, default=LOG)
    options = parser.parse_args(arguments)
    lines = [line for line in read(options.log) if line["commit"].startswith(options.commit)]
    print(told(lines))
    return 1 if any(_forbidden(*one) for line in lines for one in line["failing"]) else 0


def told(lines: list[Line]) -> str:
    """Return the sums of the lines, then each line's own, then the failing runs."""
    variants: dict[str, Counter[str]] = {}
    by_connections: dict[str, Counter[str]] = {}
    for line in lines:
        for variant, tables in line["variants"].items():
            for connections, row in tables.items():
                counts = Counter(dict(zip(COLUMNS, row, strict=True)))
                variants.setdefault(variant, Counter()).update(counts)
                by_connections.setdefault(connections, Counter()).update(counts)
    total = sum(variants.values(), Counter[str]())
    parts = [table(variants, total)]
    parts += [
        f"with {connections} connection{'s' if connections != '1' else ''}: {counts['runs']:,} runs, "
        f"{counts['edits']:,} edits, {counts['kills']:,} kills"
        for connections, counts in sorted(by_connections.items())
    ]
    parts += ["", f"{'commit':14}{'':8}{'date':12}{'seeds':>22}{'edits':>12}{'kills':>10}{'faults':>8}"]
    parts += [_sweep(line) for line in lines]
    failing = [(line["commit"], *one) for line in lines for one in line["failing"]]
    if failing:
        parts += ["", "failing (a meter in brackets is counted and not forbidden there):"]
    for commit, cell, seed, meter in failing:
        named = meter if _forbidden(cell, seed, meter) else f"({meter})"
        parts.append(f"{commit:14}{named:12}seed {seed} of {cell}")
    return "\n".join(parts)


def _sweep(line: Line) -> str:
    runs = dict(zip(COLUMNS, line["total"], strict=True))
    faults = sum(_forbidden(*one) for one in line["failing"])
    seeds = f"{line['seeds'][0]}-{line['seeds'][1] - 1}"
    state = "" if line["clean"] else "changed"
    row = f"{line['commit']:14}{state:8}{line['date']:12}{seeds:>22}{runs['edits']:12,}{runs['kills']:10,}{faults:8}"
    chosen = " ".join(f"{name}={value}" for name, value in line.get("chosen", {}).items())
    return f"{row}  {chosen}".rstrip()


def _forbidden(cell: str, _seed: int, meter: str) -> bool:
    return cells.read(cell).forbids(meter)


if __name__ == "__main__":
    sys.exit(main())
