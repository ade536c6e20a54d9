"""The file of a kept preview: writing it, reading it back, and telling what of it was not done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import typer

from fhirgoals.cli import words
from fhirgoals.cli.output import note, written
from fhirgoals.cli.planfiles import read_bytes
from fhirgoals.errors import InputError
from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.sync.planned_file import Left, Moved, Noted, Only, only_of
from fhirgoals.sync.planned_items import Item, Marks

SCHEMA = "fhirgoals-preview/2"
_LARGEST = 64 * 1024 * 1024
_MOST_LINES = 20

_WHY: Mapping[Moved, str] = {
    "changed_here": "changed here since",
    "changed_there": "changed at the EHR since",
    "not_in_the_file": "new since the preview",
    "no_longer": "no longer to be done",
    "not_ended": "its plan waits: no answer, or past the first run's limit",
    "guard": "the guard stopped its plan, see `fhirgoals ehr guard`",
    "not_done": "the EHR did not take it",
}


def keep_preview(path: Path, marks: Marks, noted: Mapping[str, Noted], at: datetime) -> None:
    """Write a preview's items, by connection; raises `InputError` where the file can't be written."""
    listed: list[Tree] = [{"connection": name, **one.as_json()} for name, one in noted.items()]
    tree: Tree = {"schema": SCHEMA, "made_at": at.isoformat(), "store": _store(marks), "connections": listed}
    written(path, exact_json.dumps(tree) + b"\n")


def kept_preview(path: Path, marks: Marks) -> dict[str, Only]:
    """Return what a kept preview allows, by connection; raises `InputError` for any other file."""
    wrong = InputError(f"{path}: is no kept preview: write one with `fhirgoals preview --out FILE`")
    raw = read_bytes(path, _LARGEST + 1)
    if len(raw) > _LARGEST:
        raise wrong
    try:
        tree = exact_json.loads(raw)
    except InputError:
        raise wrong from None
    if not isinstance(tree, dict) or tree.get("schema") != SCHEMA:
        raise wrong
    if tree.get("store") != _store(marks):
        raise InputError(f"{path}: is the preview of another store: preview this one with `--out FILE`")
    found: dict[str, Only] = {}
    listed = tree.get("connections")
    for one in listed if isinstance(listed, list) else [None]:
        only = only_of(one, marks)
        if not isinstance(one, dict) or only is None:
            raise wrong
        found[str(one.get("connection"))] = only
    return found


def left_json(only: Only) -> dict[str, Tree]:
    """Return for programs what of a file was done, what was not and why, and what else is to be done."""
    left = only.left()
    return {
        "done": len(only.done),
        "left": [_tree(one) for one in left if one.why != "not_in_the_file"],
        "not_in_the_file": [_tree(one) for one in left if one.why == "not_in_the_file"],
    }


def say_left(connection: str, only: Only) -> bool:
    """Tell on stderr which items of a file were not done and why; return whether there is one."""
    left = only.left()
    new = [one for one in left if one.why == "not_in_the_file"]
    moved = [one for one in left if one.why != "not_in_the_file"]
    if moved:
        head = f"{words.count(len(moved), 'item')} of the preview left alone, {len(only.done):,} done"
        lines = [f"  {_operation(one.item)}: {_because(one)}" for one in moved]
        more = len(lines) - _MOST_LINES
        shown = [*lines[:_MOST_LINES], f"  … and {more:,} more"] if more > 0 else lines
        typer.echo(f"error: {connection}: {head}:", err=True)
        typer.echo("\n".join(shown), err=True)
        typer.echo(f"  Preview again: fhirgoals preview {connection} --out FILE", err=True)
    if new:
        items = words.count(len(new), "thing")
        note(f"note: {connection}: {items} not in the file left for later: fhirgoals preview {connection}")
    return bool(moved)


def _store(marks: Marks) -> str:
    return marks.of(SCHEMA)


def _because(left: Left) -> str:
    return _WHY[left.why] + (f" ({left.answer.replace('_', ' ')})" if left.answer else "")


def _operation(item: Item) -> str:
    if item.resource is not None:
        return f"{item.operation} {item.resource} {item.id} ({words.count(len(item.units), 'field')})"
    return f"{item.operation} {', '.join(item.units[:3])}{' …' if len(item.units) > 3 else ''}"


def _tree(left: Left) -> dict[str, Tree]:
    item = left.item
    return {
        "plan": item.plan,
        "operation": item.operation,
        "resource": item.resource,
        "id": item.id,
        "units": list(item.units),
        "why": left.why,
        "answer": left.answer,
    }
