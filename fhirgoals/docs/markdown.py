"""Sets tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

GENERATED = "<!-- Written by `python -m fhirgoals.docs`; edit the code and tables that it comes from. -->"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a table and an empty line; of no rows nothing."""
    body = [_line(row) for row in rows]
    if body:
        yield _line(head)
        yield "|" + "---|" * len(head)
        yield from body
        yield ""


def code(text: str) -> str:
    """Return a word of the files as such."""
    return f"`{text}`"


def page(lines: Iterable[str]) -> str:
    """Return the lines as a file's text."""
    return "\n".join(lines).rstrip("\n") + "\n"


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
