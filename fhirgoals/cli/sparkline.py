"""A row of small bars for a series of numbers, in block characters or, where the terminal has none, in ASCII."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from decimal import Decimal

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.:-=+*#"
MOST = 12
"""So many of the last values are drawn."""

_PLAIN = str.maketrans(
    {
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{HORIZONTAL ELLIPSIS}": "...",
    }
)


def sparkline(values: Sequence[Decimal], *, blocks: bool) -> str:
    """Return one bar for each of the last values, between their least and greatest; `""` for fewer than two."""
    shown = values[-MOST:]
    if len(shown) < 2:
        return ""
    bars = BLOCKS if blocks else ASCII
    low, width = min(shown), max(shown) - min(shown)
    if not width:
        return bars[len(bars) // 2] * len(shown)
    return "".join(bars[int((value - low) / width * (len(bars) - 1))] for value in shown)


def has_blocks(encoding: str | None = None) -> bool:
    """Tell whether stdout can show block characters: by its encoding, and not on a dumb terminal."""
    if os.environ.get("TERM") in ("dumb", "linux") and sys.stdout.isatty():
        return False
    try:
        f"{BLOCKS}→“”…".encode(encoding or getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def as_ascii(text: str) -> str:
    """Return a text with our own signs in ASCII and what else has no ASCII as a question mark."""
    return text.translate(_PLAIN).encode("ascii", "replace").decode("ascii")
