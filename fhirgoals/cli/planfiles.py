"""Reads plan files for the commands: YAML or JSON by their name or first character, never more than may be one."""

from __future__ import annotations

import re
from pathlib import Path

from fhirgoals.cli.session import Session
from fhirgoals.domain.commands import Refusal
from fhirgoals.domain.invariants import Finding
from fhirgoals.domain.places import line_of
from fhirgoals.domain.plan_yaml import MAX_BYTES
from fhirgoals.domain.planfile import dump_plan, load_plan, load_plan_json
from fhirgoals.domain.records import Plan
from fhirgoals.errors import BadPlan, InputError, Refused

_REVISION = re.compile(rb"\A(?:#[^\n]*\n){0,3}?# store revision (\d{1,9})\b")


def read_plan(path: Path) -> tuple[Plan, int | None]:
    """Return the plan of a file, and the revision of the store that the file says it was taken from, if it does.

    Raises `InputError` where the file can't be read and `BadPlan` where it is no plan.
    """
    raw = read_bytes(path, MAX_BYTES + 1)
    as_json = path.suffix.lower() == ".json" or raw.lstrip()[:1] == b"{"
    plan = load_plan_json(raw, name=str(path)) if as_json else load_plan(raw, name=str(path))
    revision = _REVISION.match(raw)
    return plan, int(revision[1]) if revision else None


def stored_plan(session: Session, plan_id: str) -> Plan:
    """Return a plan of the store; raises `Refused` with the ids that are there."""
    with session.open() as store, store.read() as tx:
        stored = tx.plans.get(plan_id)
        if stored is None:
            raise Refused(f"there is no plan of that id; the store has {', '.join(tx.plans.ids()[:20]) or 'none'}")
        return stored.plan


def read_bytes(path: Path, at_most: int) -> bytes:
    """Return a file's first bytes; raises `InputError` where it can't be read."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder: name the files in it")
    try:
        with path.open("rb") as file:
            return file.read(at_most)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise InputError(f"{path}: can't be read ({reason}): check the name and its rights") from None
    except ValueError:
        raise InputError("this is no file name: it holds a NUL character") from None


def with_revision(plan: Plan, revision: int) -> str:
    """Return a plan as a YAML file that says which revision of the store it is."""
    return f"# store revision {revision}: `put` refuses this file once the store has moved on\n{dump_plan(plan)}"


def refusal(name: str, findings: tuple[Finding, ...], what_to_do: str = "mend it and try again") -> BadPlan:
    """Return the error for a plan that breaks rules: one line each, by path, never by value."""
    lines = [f"{name}: this plan breaks {len(findings)} of the rules; nothing was written; {what_to_do}"]
    return BadPlan("\n".join([*lines, *(f"  {line(finding)}" for finding in findings)]))


def not_allowed(path: Path, answers: tuple[Refusal, ...]) -> BadPlan:
    """Return the error for an edited file whose changes are not all allowed: one line each, by the file's own line."""
    if nobody := next((each for each in answers if each.code == "no_part_in_plan"), None):
        return BadPlan(f"{path}: --by: {nobody.sentence.removesuffix('.')} ({nobody.at}); nothing was written")
    text = read_bytes(path, MAX_BYTES + 1).decode("utf-8", "replace")
    told = []
    for each in answers:
        found = line_of(text, each.path) if each.path else None
        place = f"line {found}, {each.path}" if found is not None else each.path or "plan"
        at = f" ({each.at})" if each.at else ""
        told.append(f"  {place}{at}: {each.sentence}")
    unknown = any(each.code == "endpoint_unknown" for each in answers)
    hint = "add the connection first (`fhirgoals ehr add`), or mend its name" if unknown else "mend it and try again"
    what = f"{len(told)} of its changes {'is' if len(told) == 1 else 'are'} not allowed"
    return BadPlan("\n".join([f"{path}: {what}; nothing was written; {hint}", *told]))


def line(finding: Finding) -> str:
    """Return one finding as a line: place, whose place it is, what is wrong."""
    at = f" ({finding.at})" if finding.at else ""
    return f"{finding.path}{at}: {finding.sentence}"
