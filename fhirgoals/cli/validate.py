"""`validate`: Goals and CarePlans of files and folders against the rules, without a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhirgoals.cli.output import JsonOption, clean, printed_json, say
from fhirgoals.cli.words import count
from fhirgoals.errors import InputError
from fhirgoals.fhir.validate import validate_paths


def validate(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="FHIR files or folders: JSON, NDJSON, .gz.")],
    as_json: JsonOption = False,
) -> None:
    """Check every Goal and CarePlan in files and folders against FHIR R4 and our own rules.

    Exit code 2 where any of them is not valid or can't be read.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder; check the path")
    report = validate_paths(paths)
    issues = [issue for issue in _list(report["issues"]) if isinstance(issue, dict)]
    resources, valid = _number(report["resources"]), _number(report["valid"])
    if as_json:
        printed_json(report)
    else:
        told = [issue for issue in issues if issue["severity"] != "information"]
        _say_issues(told)
        say(
            f"{count(resources, 'resource')}: {valid:,} valid, {resources - valid:,} not; {count(len(told), 'remark')}."
        )
        if resources == 0:
            say("No Goal or CarePlan was found there.")
    if valid < resources:
        raise typer.Exit(2)


def _say_issues(told: list[dict[str, object]]) -> None:
    """Print the issues below the file and resource that they are about."""
    here = ("", "")
    for issue in told:
        place = (str(issue["file"]), str(issue["id"]))
        if place != here:
            say(clean(" ".join(dict.fromkeys(part for part in place if part))), hanging="  ")
            here = place
        path = f"{issue['path']} " if issue["path"] else ""
        say(clean(f"{issue['severity']}: {path}{issue['message']} ({issue['rule']})"), indent="  ", hanging="    ")
    if told:
        say()


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
