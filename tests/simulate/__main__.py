"""`python -m tests.simulate --runs N [--seed S] [--jobs 2] [--minutes M] [--log] [--json] [--shrink N] [--edits N]
[--variant V] [--policy P] [--mix M] [--connections 1|2]`: plays N runs from seed S (the first that the log of sweeps
has not), prints a table and the first failing runs, shrunk.

Without a choice of variant, policy or mix, all of them take turns. `--log` adds a line to the log of sweeps, also where
the sweep is stopped by a signal or its time is up. Exit 1 where a run had a fault that its server can't excuse.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.simulate import sweeps
from tests.simulate.cells import MIXES, POLICIES
from tests.simulate.network import RATES
from tests.simulate.oracle import METERS
from tests.simulate.script import SHAPES, script
from tests.simulate.shrink import shrunk
from tests.simulate.sweep import Failing, Figures, Sweep, every_cell
from tests.simulate.table import table

CHOICES = ("variant", "policy", "mix", "connections", "edits")


def main(arguments: list[str] | None = None) -> int:
    """Play and print; return the exit code."""
    options = _options(arguments)
    commit, clean = sweeps.state() if options.log else ("", False)
    seed = sweeps.next_seed(sweeps.read()) if options.seed is None else options.seed
    cells = every_cell(options.variant, options.policy, options.mix, options.connections)
    if not options.json:
        print(fixed(), f"seeds from {seed}, {len(cells)} cells", sep="\n", flush=True)
    sweep = Sweep(cells, range(seed, seed + options.runs), options.edits, options.jobs, options.minutes, tell=_tell)
    figures = sweep.play()
    if options.log and figures.cells:
        chosen = {name: getattr(options, name) for name in CHOICES if getattr(options, name) is not None}
        sweeps.append(sweeps.line_of(sweep, commit, clean=clean, chosen=chosen))
    if options.json:
        shown = {name: figures.total[name] for name in ("runs", "edits", "kills", *METERS)}
        print(json.dumps(shown, separators=(",", ":")))
    else:
        total = figures.total
        print(told(figures))
        print(f"{sweep.seconds:.1f} s, {1000 * sweep.seconds * options.jobs / max(1, total['runs']):.0f} ms a run")
        for one in figures.forbidden[: 0 if sweep.stopped else options.shrink]:
            print(f"\n{trace(one, options.edits)}", flush=True)
    return 1 if figures.forbidden else 0


def fixed() -> str:
    """Return what is fixed in the code: the rates of bad luck and the shapes of runs."""
    return (
        f"never sent {RATES.never:.0%}, reply lost {RATES.lost:.0%}, late {RATES.late:.0%} by 1-{RATES.late_ticks} "
        f"ticks, kill {RATES.kill:.0%} at each await\nshapes (share):\n  " + "\n  ".join(str(one) for one in SHAPES)
    )


def told(figures: Figures) -> str:
    """Return the table by variant, why items wait, and the seeds of failing runs by meter."""
    parts = [table(figures.by(lambda cell: cell.variant), figures.total)]
    parts.append("open items: " + ", ".join(f"{count} {why}" for why, count in figures.causes.most_common(12)))
    for meter in METERS:
        for forbidden, say in ((True, ""), (False, " (counted, not forbidden there)")):
            found = [one for one in figures.failing if one.meter == meter and one.forbidden is forbidden]
            found.sort(key=lambda one: one.seed)
            parts += [f"{meter}{say}: seed {one.seed} of {one.cell}: {one.line}" for one in found[:20]]
            parts += [f"{meter}{say}: and {len(found) - 20} more"] if len(found) > 20 else []
    return "\n".join(parts)


def trace(failing: Failing, edits: int | None = None) -> str:
    """Return the story of a failing run, as small as it can be made."""
    small = shrunk(script(failing.cell, failing.seed, edits), failing.meter)
    lines = [
        f"{failing.cell}, seed {failing.seed}: {failing.line}",
        f"shrunk to {len(small.script.acts)} acts, {small.script.rates}:",
    ]
    return "\n".join([*lines, *(f"  {line}" for line in [*small.lines, *small.verdict.faults])])


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", "--from", type=int, help="the first; without, the one after those of the log")
    parser.add_argument("--variant")
    parser.add_argument("--policy", choices=POLICIES)
    parser.add_argument("--mix", choices=MIXES)
    parser.add_argument("--connections", type=int, choices=(1, 2))
    parser.add_argument("--edits", type=int, help="so many in each run; without, each seed has its shape")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="how long runs are begun")
    parser.add_argument("--log", action="store_true", help="add a line to the log of sweeps")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--shrink", type=int, default=3, help="how many failing runs are shrunk and told")
    return parser.parse_args(arguments)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
