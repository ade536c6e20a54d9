"""The page on sync names what is there: modules, tests, and names of the code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "sync.md").read_text(encoding="utf-8")
CODE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "fhirgoals").rglob("*.py")))


def test_every_module_on_the_page_is_there() -> None:
    """A path in backquotes is a file or folder of the project."""
    paths = set(re.findall(r"`((?:sync|domain|mappers|store|fhirgoals|tests)/[\w/.]*)`", PAGE))
    assert len(paths) > 15
    roots = (ROOT, ROOT / "fhirgoals")
    assert [one for one in sorted(paths) if not any((root / one).exists() for root in roots)] == []


def test_every_name_on_the_page_is_one_of_the_code() -> None:
    """Names in backquotes and in the diagrams stand in the code as they are written."""
    words = set(re.findall(r"`([A-Za-z_]+)`", PAGE)) | set(re.findall(r"^  (\w+)\[", PAGE, re.M))
    words |= set(re.findall(r"participant (\w+)", PAGE)) - {"EHR", "Store"}
    assert len(words) > 30
    assert [one for one in sorted(words) if not re.search(rf"\b{one}\b", CODE)] == []
