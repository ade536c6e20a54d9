"""`python -m tests.simulate.totals [--commit C] [--again]`: the sum of the log of sweeps by variant, and whose sums.

Names each sweep with its commit, and each failing run with it. Exit 1 where a fault was found that should not be; with
`--again` each failing run is played once more, and only what is still wrong counts.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.simulate import cells
from tests.simulate.sweep import COLUMNS, play_batch
from tests.simulate.sweeps import LOG, Line, read
from tests.simulate.table import table


def main(arguments: list[str] | None = None) -> int:
    """Print the sums; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate.totals", description=__doc__)
    parser.add_argument("--commit", default="", help="only sweeps of this commit")
    parser.add_argument("--log", type=Path, default=LOG)
    parser.add_argument("--again", action="store_true", help="play what failed once more, with the code as it is now")
    options = parser.parse_args(arguments)
    lines = [line for line in read(options.log) if line["commit"].startswith(options.commit)]
    print(told(lines))
    failing = [one for line in lines for one in line["failing"] if _forbidden(*one)]
    if options.again:
        failing = [one for one in failing if not _clean_now(*one, _edits(lines, one))]
    return 1 if failing else 0


def _edits(lines: list[Line], failing: list[Any]) -> int | None:
    """Return the number of edits that a failing run's sweep was kept to, if it was."""
    [edits] = {line.get("chosen", {}).get("edits") for line in lines if failing in line["failing"]}
    return None if edits is None else int(edits)


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


def _clean_now(cell: str, seed: int, meter: str, edits: int | None) -> bool:
    found = play_batch([(cells.read(cell), seed)], edits).forbidden
    print(f"seed {seed} of {cell}: {found[0].line if found else f'{meter} no more'}")
    return not found


def _forbidden(cell: str, _seed: int, meter: str) -> bool:
    return cells.read(cell).forbids(meter)


if __name__ == "__main__":
    sys.exit(main())
