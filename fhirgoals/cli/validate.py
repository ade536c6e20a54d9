"""`validate`: Goals and CarePlans of files and folders against the rules, without a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhirgoals.cli.output import JsonOption, printed_json, say, table
from fhirgoals.cli.words import count
from fhirgoals.fhir.validate import validate_paths


def validate(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="FHIR files or folders: JSON, NDJSON, .gz.")],
    as_json: JsonOption = False,
) -> None:
    """Check every Goal and CarePlan in files and folders against FHIR R4 and our own rules.

    Exit code 2 where any of them is not valid or can't be read.
    """
    report = validate_paths(paths)
    issues = [issue for issue in _list(report["issues"]) if isinstance(issue, dict)]
    resources, valid = _number(report["resources"]), _number(report["valid"])
    if as_json:
        printed_json(report)
    else:
        told = [issue for issue in issues if issue["severity"] != "information"]
        if told:
            columns = ("file", "resource", "severity", "rule", "path", "message")
            keys = ("file", "id", "severity", "rule", "path", "message")
            table(columns, [[str(issue[key]) for key in keys] for issue in told])
            say()
        say(
            f"{count(resources, 'resource')}: {valid:,} valid, {resources - valid:,} not; {count(len(told), 'remark')}."
        )
        if resources == 0:
            say("No Goal or CarePlan was found there.")
    if valid < resources:
        raise typer.Exit(2)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
