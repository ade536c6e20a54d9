"""Rewrites the JSON files of this package from the tables: run it after a change in `terminology`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.definitions import build


def write(folder: Path) -> None:
    """Write every definition into `folder` and remove the JSON files that are none."""
    built = build()
    for old in folder.glob("*.json"):
        if old.name not in built:
            old.unlink()
    for name, definition in built.items():
        (folder / name).write_bytes(msgspec.json.format(exact_json.dumps(definition), indent=2) + b"\n")


if __name__ == "__main__":
    write(Path(__file__).parent)
