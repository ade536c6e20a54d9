"""What a command prints: tables and lines for people, JSON for programs, progress on a terminal's stderr only.

Texts that come from files and EHRs may hold anything; control characters never reach the terminal.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fhirgoals.errors import InputError
from fhirgoals.fhir.exact_json import Tree, dumps

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_UNBROKEN = 18
"""A column of which no cell is longer keeps its cells on one line."""

WIDEST = 120
"""Running text is not set wider than this, however wide the terminal is."""


def printed_json(tree: Tree) -> None:
    """Print one JSON value on one line."""
    typer.echo(dumps(tree).decode())


def say(text: str = "", *, indent: str = "", hanging: str | None = None) -> None:
    """Print a line of text to stdout, wrapped to the terminal; what follows its first line is indented by `hanging`."""
    for line in wrapped(text, indent, indent if hanging is None else hanging):
        typer.echo(line)


def note(text: str) -> None:
    """Print a remark to stderr, where it does not get into what a program reads."""
    for line in wrapped(clean(text), "", "  "):
        typer.echo(line, err=True)


def wrapped(text: str, indent: str = "", hanging: str = "") -> list[str]:
    """Return the lines of a text that fit the terminal; unbroken where nobody told how wide it is."""
    found = width()
    if found is None or not text:
        return [indent + text]
    return textwrap.wrap(
        text,
        max(found, 40),
        initial_indent=indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def width() -> int | None:
    """Return the width to print for, or `None` where stdout is no terminal and COLUMNS does not say."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        return None
    return min(shutil.get_terminal_size().columns, WIDEST)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], unbroken: Sequence[str] = ()) -> None:
    """Print a table; columns of which every cell is empty are left out, cells of `unbroken` ones stay on one line."""
    from rich import box  # noqa: PLC0415 (only tables need rich)
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    used = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    terminal = sys.stdout.isatty()
    found = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for place in used:
        numbers = all(row[place].replace(",", "").isdigit() for row in rows if row[place])
        # A short word is not worth breaking; a long one gives way first.
        whole = columns[place] in unbroken or max(len(row[place]) for row in rows) <= _UNBROKEN
        found.add_column(columns[place], justify="right" if numbers else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        found.add_row(*(Text(clean(row[place])) for place in used))
    if terminal:
        Console(file=sys.stdout, width=width(), highlight=False).print(found)
        return
    text = io.StringIO()
    Console(file=text, width=width() or 1000, highlight=False, color_system=None).print(found)
    for line in text.getvalue().splitlines():
        typer.echo(line.rstrip())


def clean(text: str) -> str:
    """Return a text on one line without anything that could steer a terminal or turn its direction."""
    flat = " ".join(text.split())
    return "".join("�" if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co") else one for one in flat)


def short(text: str, longest: int = 60) -> str:
    """Return a text cut at a word, with an ellipsis where something was cut."""
    return textwrap.shorten(clean(text), longest, placeholder=" …")


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function (done, total) that moves a bar on stderr, where that is a terminal; elsewhere it does nothing."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def written(path: Path, text: bytes) -> None:
    """Write a file as a whole or not at all; raises `InputError` where it can't be written."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(text)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        reason = error.strerror or "unknown reason"
        raise InputError(f"{path}: can't be written ({reason}): name another file or make room") from None
