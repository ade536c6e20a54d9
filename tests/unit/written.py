"""What people are told, word for word: refusals, findings and faults of a file are looked up in tables beside this one.

A sentence that is new or changed fails its test until its row is in the table: read it as a therapist would.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from pathlib import Path


@cache
def _rows(name: str) -> frozenset[tuple[str, ...]]:
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        return frozenset(tuple(row) for row in csv.reader(file))


def is_written(name: str, told: Iterable[object]) -> None:
    """Assert that this row is in the table.

    `refusals.csv`: code, path, at, sentence. `findings.csv`: code, number, severity, path, at, sentence. `faults.csv`:
    path and rule.
    """
    row = tuple(str(each) for each in told)
    assert row in _rows(name), f"not in {name}: {row}"
