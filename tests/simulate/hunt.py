"""`python -m tests.simulate.hunt --runs N --seed S CELL…`: plays the cells in turn until one run has a fault.

Prints one line of JSON: after how many runs, which meter and what it says; `null` where none had one. `faults` runs it
in a copy of the product.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys

from tests.simulate.cells import read
from tests.simulate.oracle import METERS
from tests.simulate.run import play
from tests.simulate.script import script

EDITS = 10
"""A fault is looked for in short and sparse runs: many of them in the time of one that is dense."""


def main(arguments: list[str] | None = None) -> int:
    """Play until a fault shows; return 0 where one did."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate.hunt", description=__doc__)
    parser.add_argument("cells", nargs="+")
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args(arguments)
    cells = [read(cell) for cell in options.cells]
    gc.disable()
    for number in range(options.runs):
        cell = cells[(options.seed + number) % len(cells)]
        verdict = play(script(cell, options.seed + number, EDITS)).verdict
        for meter in METERS:
            lines = getattr(verdict, meter)
            if lines:
                found = {"runs": number + 1, "meter": meter, "line": lines[0], "cell": str(cell)}
                print(json.dumps({**found, "seed": options.seed + number}))
                return 0
        if number % 50 == 49:
            gc.collect()
    print("null")
    return 1


if __name__ == "__main__":
    sys.exit(main())
