"""`python -m fhirgoals.demo [--ehr URL] [--dir D] [--json]`: the demo without the command line's other commands."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fhirgoals.demo.command import demo


def main() -> int:
    """Read the options and run; return the exit code."""
    options = argparse.ArgumentParser(prog="python -m fhirgoals.demo", description=__doc__)
    options.add_argument("--ehr", help="use this FHIR server as ehr-main, through the cut proxy")
    options.add_argument("--dir", type=Path, help="keep the store in this folder")
    options.add_argument("--json", action="store_true", help="print one JSON object instead of the story")
    given = options.parse_args()
    return demo(given.ehr, given.dir, given.json)


if __name__ == "__main__":
    sys.exit(main())
