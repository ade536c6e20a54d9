"""`python -m fhirgoals.docs [FOLDER]`: writes the generated reference pages, by default into `docs/reference`."""

from __future__ import annotations

import sys
from pathlib import Path

from fhirgoals.docs.pages import PAGES


def main(arguments: list[str]) -> int:
    """Write every page and say which ones changed; exit code 0."""
    folder = Path(arguments[0]) if arguments else Path(__file__).parents[2] / "docs" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in PAGES.items():
        page, new = folder / name, text()
        changed = not page.is_file() or page.read_text(encoding="utf-8") != new
        if changed:
            page.write_text(new, encoding="utf-8")
        sys.stdout.write(f"{'written' if changed else 'unchanged'}: {page.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
