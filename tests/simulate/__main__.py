"""`python -m tests.simulate --runs N --seed S [--variant V] [--policy P] [--mix M] [--connections 1|2] [--edits N]
[--jobs 2] [--json] [--shrink N]`: plays N runs from seed S, prints a table and the first failing runs, shrunk.

Without a choice of variant, policy or mix, all of them take turns. Exit 1 where a run had a fault.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from tests.simulate.cells import MAIN_MIXES, MIXES, POLICIES, Cell
from tests.simulate.network import RATES
from tests.simulate.oracle import METERS
from tests.simulate.run import Run, play
from tests.simulate.script import SHAPES, script
from tests.simulate.shrink import shrunk

BATCH = 50


@dataclass
class Figures:
    """What the runs of one cell came to: a meter counts the runs with at least one such fault."""

    counts: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    failing: list[tuple[Cell, int, str, str]] = field(default_factory=list)

    def add(self, cell: Cell, seed: int, run: Run) -> None:
        """Count one run."""
        self.counts.update(runs=1, edits=run.edits, kills=run.kills, syncs=run.syncs, seen=bool(run.verdict.seen))
        for meter in METERS:
            lines = getattr(run.verdict, meter)
            if lines:
                self.counts[meter] += 1
                self.failing.append((cell, seed, meter, lines[0]))
        self.causes.update(run.verdict.causes)

    def merge(self, other: Figures) -> None:
        """Add another batch's figures."""
        self.counts.update(other.counts)
        self.causes.update(other.causes)
        self.failing.extend(other.failing)


def main(arguments: list[str] | None = None) -> int:
    """Play and print; return the exit code."""
    options = _options(arguments)
    cells = cells_of(options)
    started = time.perf_counter()
    figures: dict[Cell, Figures] = {}
    for cell, found in _played(cells, options):
        figures.setdefault(cell, Figures()).merge(found)
    total = Figures()
    for found in figures.values():
        total.merge(found)
    seconds = time.perf_counter() - started
    if options.json:
        shown = {name: total.counts[name] for name in ("runs", "edits", "kills", *METERS)}
        print(json.dumps(shown, separators=(",", ":")))
    else:
        _print_table(figures, total, seconds)
        _print_failing(total, options)
    return 1 if total.failing else 0


def cells_of(options: argparse.Namespace) -> list[Cell]:
    """Return the cells that the options leave, in a fixed order."""
    from fhirgoals.sandbox.variants import VARIANTS  # noqa: PLC0415

    return [
        Cell(variant, policy, mix, connections)
        for variant in ([options.variant] if options.variant else VARIANTS)
        for policy in ([options.policy] if options.policy else POLICIES)
        for mix in ([options.mix] if options.mix else MAIN_MIXES)
        for connections in ([options.connections] if options.connections else (1, 2))
    ]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant")
    parser.add_argument("--policy", choices=POLICIES)
    parser.add_argument("--mix", choices=MIXES)
    parser.add_argument("--connections", type=int, choices=(1, 2))
    parser.add_argument("--edits", type=int, help="so many in each run, 12 ticks each; without, the seed draws a shape")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--shrink", type=int, default=3, help="how many failing runs are shrunk and told")
    return parser.parse_args(arguments)


def _batches(cells: list[Cell], options: argparse.Namespace) -> Iterator[tuple[Cell, list[int], int | None]]:
    """Deal the seeds out to the cells, in batches of one cell each: a process makes each beginning once."""
    for place, cell in enumerate(cells):
        seeds = iter(range(options.seed + place, options.seed + options.runs, len(cells)))
        while batch := list(islice(seeds, BATCH)):
            yield cell, batch, options.edits


def _played(cells: list[Cell], options: argparse.Namespace) -> Iterator[tuple[Cell, Figures]]:
    batches = list(_batches(cells, options))
    if options.jobs == 1:
        yield from map(play_batch, batches)
        return
    with ProcessPoolExecutor(options.jobs) as pool:
        yield from pool.map(play_batch, batches)


def play_batch(batch: tuple[Cell, list[int], int | None]) -> tuple[Cell, Figures]:
    """Play some seeds of one cell. The collector is off meanwhile: a run leaves little, and all at once."""
    cell, seeds, edits = batch
    figures = Figures()
    gc.disable()
    try:
        for seed in seeds:
            figures.add(cell, seed, play(script(cell, seed, edits)))
    finally:
        gc.enable()
        gc.collect()
    return cell, figures


def _print_table(figures: dict[Cell, Figures], total: Figures, seconds: float) -> None:
    print(
        f"never sent {RATES.never:.0%}, reply lost {RATES.lost:.0%}, "
        f"late {RATES.late:.0%} by 1-{RATES.late_ticks} ticks, "
        f"kill {RATES.kill:.0%} at each await"
    )
    print("shapes (share): " + ", ".join(str(shape) for shape in SHAPES))
    columns = ("runs", "edits", "kills", *METERS, "seen")
    by_variant: dict[str, Counter[str]] = {}
    for cell, found in figures.items():
        by_variant.setdefault(cell.variant, Counter()).update(found.counts)
    print(f"{'variant':24}" + "".join(f"{name:>9}" for name in columns))
    for variant, counts in by_variant.items():
        print(f"{variant:24}" + "".join(f"{counts[name]:9}" for name in columns))
    if len(by_variant) > 1:
        print(f"{'all':24}" + "".join(f"{total.counts[name]:9}" for name in columns))
    print(f"{seconds:.1f} s, {1000 * seconds / max(1, total.counts['runs']):.0f} ms a run")
    print("open items: " + ", ".join(f"{count} {why}" for why, count in total.causes.most_common(12)))


def _print_failing(total: Figures, options: argparse.Namespace) -> None:
    if not total.failing:
        return
    print("\nfaults:")
    for (cell, meter), lines in _by_meter(total).items():
        print(f"  {cell} {meter}: {len(lines)} runs, seeds {', '.join(str(seed) for seed, _ in lines[:8])}")
    for cell, seed, meter, line in total.failing[: options.shrink]:
        print(f"\n{cell}, seed {seed}: {line}")
        small = shrunk(script(cell, seed, options.edits), meter)
        print(f"shrunk to {len(small.script.acts)} acts, {small.script.rates}:")
        print("\n".join(f"  {told}" for told in [*small.lines, *small.verdict.faults]))


def _by_meter(total: Figures) -> dict[tuple[Cell, str], list[tuple[int, str]]]:
    found: dict[tuple[Cell, str], list[tuple[int, str]]] = {}
    for cell, seed, meter, line in total.failing:
        found.setdefault((cell, meter), []).append((seed, line))
    return found


if __name__ == "__main__":
    sys.exit(main())
