"""The documents say what the code does: their lists of commands are compared with the code's own."""

from __future__ import annotations

import re
from pathlib import Path

from fhirgoals.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]


def test_readme_lists_the_commands() -> None:
    """README's table of commands is the command line's, in its order."""
    table = re.findall(r"^\| `([a-z]+)` \| .+ \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert table == [command.name for command in COMMANDS]


def test_decisions_are_numbered_without_gaps() -> None:
    """Each decision has a page with the next number, and its title has the same."""
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert page.read_text(encoding="utf-8").startswith(f"# {int(page.name[:4])}. ")
