"""`put` and `get`: a plan into the store and out of it, checked by rules and by revision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast, get_args

import msgspec
import typer

from fhirgoals.cli.editing import save
from fhirgoals.cli.output import JsonOption, clean, note, printed_json, say
from fhirgoals.cli.planfiles import line, not_allowed, read_plan, refusal, with_revision
from fhirgoals.cli.session import actor, now, session_of
from fhirgoals.cli.words import count
from fhirgoals.domain.codes import RevisionReason
from fhirgoals.domain.commands import Accepted, Actor
from fhirgoals.domain.invariants import Finding, check, errors
from fhirgoals.domain.planfile import dump_plan_json
from fhirgoals.domain.put_diff import put_diff
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Unit, touched
from fhirgoals.errors import InputError, Outdated, Refused
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store import Tx
from fhirgoals.store.connections import Connection

REASONS: tuple[str, ...] = get_args(RevisionReason)


class Form(StrEnum):
    """How a plan file is written."""

    YAML = "yaml"
    JSON = "json"


@dataclass(frozen=True)
class Put:
    """What became of one file: the revision it is now, and how much it changed."""

    plan: Plan
    rev: int
    new: bool
    changed: int
    unchanged: bool
    warnings: tuple[str, ...]


def put(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Plan files: YAML or JSON.")],
    by: Annotated[str, typer.Option(metavar="STAFF", help="Who does this: the id of a member of staff.")],
    reason: Annotated[str, typer.Option(help="Why: initial, review, client_request, progress, correction, …")],
    expect: Annotated[
        int | None, typer.Option(metavar="N", help="The store's revision of the plan that you changed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take plans in: a new one, or the new state of one that is there. All of the files, or none.

    A new plan states what is, whoever puts it. Of a plan that is there only people with a part in it change anything,
    and each difference is judged as what it is: who may do it, and which move is allowed.
    A file that `get` wrote names its revision, and is refused where the store has moved on since. A file that names
    none is refused only where it would undo what an EHR changed. Warnings are shown and don't refuse.
    """
    staff = actor(by)
    if reason not in REASONS:
        raise InputError(f"--reason: is none of the known reasons: use one of {', '.join(REASONS)}")
    if expect is not None and len(files) > 1:
        raise InputError("--expect: goes with one file only: put the files one by one")
    read = [(path, *read_plan(path)) for path in files]
    at = now()
    with session_of(context).open(create=True) as store, store.write() as tx:
        connections = tx.connections.list()
        results = [
            _one(tx, path, plan, expect if expect is not None else told, connections, staff, reason, at)
            for path, plan, told in read
        ]
    if as_json:
        printed_json({"plans": [_as_json(one) for one in results]})
        return
    for path, one in zip(files, results, strict=True):
        for warning in one.warnings:
            note(f"note: {path}: {warning}")
        what = "new" if one.new else "nothing changed" if one.unchanged else count(one.changed, "field") + " changed"
        goals = count(len(one.plan.goals), "goal")
        say(f"{clean(one.plan.title or one.plan.id)}: {goals}, {what}, revision {one.rev}.")


def get(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id.")],
    form: Annotated[Form, typer.Option("--format", help="How to write it.")] = Form.YAML,
    as_json: JsonOption = False,
) -> None:
    """Give a plan out as a file that `put` takes back."""
    with session_of(context).open() as store, store.read() as tx:
        stored = tx.plans.get(plan)
        if stored is None:
            raise Refused(f"there is no plan of that id; the store has {_listed(tx.plans.ids())}")
    if as_json or form is Form.JSON:
        typer.echo(dump_plan_json(stored.plan), nl=False)
    else:
        typer.echo(with_revision(stored.plan, stored.rev), nl=False)


def _one(
    tx: Tx,
    path: Path,
    plan: Plan,
    expect: int | None,
    connections: tuple[Connection, ...],
    by: str,
    reason: str,
    at: datetime,
) -> Put:
    """Save one plan inside the transaction; raises where it may not be saved, and then none is."""
    stored = tx.plans.get(plan.id)
    names = frozenset(one.name for one in connections)
    found = check(plan, names)
    warnings = tuple(line(finding) for finding in found if finding.severity != "error")
    if stored is None:
        if wrong := errors(found):
            raise refusal(str(path), wrong, _hint(wrong))
        if expect not in (None, 0):
            raise Outdated(f"{path}: plan {plan.id} is not in the store; leave the revision out to put it as a new one")
        changed = touched(None, plan)
        rev = tx.plans.save(plan, expect=None, by=by, reason=reason, at=at, touched=changed)
        return Put(plan, rev, True, len(changed), False, warnings)
    if expect is not None and expect != stored.rev:
        raise Outdated(
            f"{path}: was taken from revision {expect} of plan {plan.id}, which stands at {stored.rev}; nothing was"
            f" written: `fhirgoals get {plan.id}` and change that"
        )
    if _same(stored.plan, plan):
        return Put(plan, stored.rev, False, 0, True, warnings)
    changed = touched(stored.plan, plan)
    if expect is None:
        _refuse_undoing(tx, path, plan.id, set(changed))
    because = cast(RevisionReason, reason)
    answer = put_diff(stored.plan, plan, Actor(by), at.date(), because, rev=stored.rev, connections=names)
    if not isinstance(answer, Accepted):
        if {each.code for each in answer} == {"nothing_changes"}:
            # It differs in what is computed and taken from no file, such as SMART letters.
            return Put(stored.plan, stored.rev, False, 0, True, warnings)
        raise not_allowed(path, answer)
    rev = save(tx, answer, stored.rev, by, at)
    return Put(answer.plan, rev, False, len(answer.touched), False, warnings)


def _hint(wrong: tuple[Finding, ...]) -> str:
    if any(finding.invariant == 24 for finding in wrong):
        return "add the connection first (`fhirgoals ehr add`), or mend its name"
    return "mend it, try again"


def _refuse_undoing(tx: Tx, path: Path, plan_id: str, changed: set[Unit]) -> None:
    """Refuse a file of unknown age that would change what last came from an EHR: it may never have seen that."""
    last = tx.plans.unit_revs(plan_id)
    theirs = [unit for unit in changed if unit in last and last[unit].origin is not None]
    if theirs:
        raise Outdated(
            f"{path}: would undo {count(len(theirs), 'change')} that came from an EHR; nothing was written:"
            f" `fhirgoals get {plan_id}` and change that, or name the revision with --expect"
        )


_encoder = msgspec.json.Encoder(decimal_format="number")


def _same(one: Plan, other: Plan) -> bool:
    return _encoder.encode(one) == _encoder.encode(other)


def _listed(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:20]) + (" …" if len(ids) > 20 else "") if ids else "none"


def _as_json(one: Put) -> Tree:
    return {
        "id": one.plan.id,
        "revision": one.rev,
        "new": one.new,
        "changed": one.changed,
        "goals": len(one.plan.goals),
        "warnings": list(one.warnings),
    }
