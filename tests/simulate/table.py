"""A table of figures by variant that fits 100 columns."""

from __future__ import annotations

from collections.abc import Mapping

from tests.simulate.sweep import COLUMNS

_WIDTHS = {name: max(len(name) + 1, {"runs": 7, "edits": 9, "kills": 8}.get(name, 5)) for name in COLUMNS}


def table(rows: Mapping[str, Mapping[str, int]], total: Mapping[str, int]) -> str:
    """Return a line per row and one for their sum."""
    head = f"{'variant':22}" + "".join(f"{name:>{width}}" for name, width in _WIDTHS.items())
    return "\n".join([head, *(_line(name, row) for name, row in rows.items()), _line("all", total)])


def _line(name: str, row: Mapping[str, int]) -> str:
    return f"{name:22}" + "".join(f"{row[column]:{width}}" for column, width in _WIDTHS.items())
