"""`preview`, `apply` and `sync`: what would be done, doing it, and keeping both sides together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fhirgoals.cli import words
from fhirgoals.cli.output import JsonOption, note, printed_json, progress, say, table, written
from fhirgoals.cli.planfiles import read_bytes
from fhirgoals.cli.running import connections, operations_table, previewed, synced
from fhirgoals.cli.session import session_of
from fhirgoals.errors import FhirgoalsError, InputError, Refused
from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.store import Store
from fhirgoals.store.connections import Connection
from fhirgoals.sync.run import Counts

PREVIEW_SCHEMA = "fhirgoals-preview/1"
_LARGEST_PREVIEW = 64 * 1024 * 1024
_MOST_LINES = 20

Maybe = Annotated[str | None, typer.Argument(metavar="[CONNECTION]", help="One connection; default all.")]


@dataclass(frozen=True)
class Previewed:
    """A preview that was written to a file: the operations per connection, and the plans' revisions then."""

    operations: dict[str, list[Resource]]
    revisions: dict[str, int]


def preview(
    context: typer.Context,
    connection: Maybe = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep it, for `apply FILE`.")] = None,
    stopped: Annotated[
        bool, typer.Option("--stopped", help="Show also what the guard stops, as if it were cleared.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show exactly what `apply` would do. Writes nothing, here or there."""
    with session_of(context).open() as store:
        found: list[Counts] = []
        for one in connections(store, connection):
            with progress(f"Reading {one.name}") as moved:
                found.append(previewed(store, one.name, moved, stopped=stopped))
        if out is not None:
            written(out, exact_json.dumps(_preview_tree(store, found)) + b"\n")
        for counts in found:
            if as_json:
                printed_json(counts.as_json() | {"operations": list(counts.operations)})
                continue
            say(f"{counts.connection} would do this:")
            operations_table(store, counts)
            say()
    if out is not None and not as_json:
        say(f"Kept in {out}. Next: fhirgoals apply {out}")


def apply(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A kept preview; default: preview anew.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Do what the preview showed, on the connections that are armed.

    With the FILE of a preview, whatever would now be done otherwise is named item by item, and nothing is done.
    """
    with session_of(context).open() as store:
        kept = _read_preview(file) if file is not None else None
        chosen = [one for one in connections(store, None) if kept is None or one.name in kept.operations]
        armed = [one for one in chosen if one.state == "armed"]
        if not armed:
            raise Refused("no connection of these is armed: read `fhirgoals preview`, then `fhirgoals ehr arm NAME`")
        if kept is not None:
            _refuse_moved(store, kept, armed)
        for one in chosen:
            if one.state != "armed":
                note(f"note: {one.name} is not armed and was left out")
        _run_all(store, armed, as_json)


def sync(
    context: typer.Context,
    connection: Maybe = None,
    once: Annotated[bool, typer.Option("--once", help="Run once and end; the only way so far.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Read both sides, take over what may be, send what may go. A connection that observes only reads.

    Exit code 1 where something new waits in the inbox, 2 where an EHR did not answer for some of the plans.
    """
    with session_of(context).open() as store:
        chosen = connections(store, connection)
        running = [one for one in chosen if one.state != "paused"]
        if connection is not None and not running:
            raise Refused(f"{connection} is paused: `fhirgoals ehr resume {connection}` first")
        for one in chosen:
            if one.state == "paused":
                note(f"note: {one.name} is paused and was left alone")
        _run_all(store, running, as_json)


def _run_all(store: Store, chosen: Sequence[Connection], as_json: bool) -> None:
    """Run connections one after another; one that fails does not keep the others from running."""
    done: list[Counts] = []
    failed = False
    for one in chosen:
        try:
            with progress(f"Syncing {one.name}") as moved:
                counts = synced(store, one, moved)
        except FhirgoalsError as error:
            typer.echo(f"error: {error}", err=True)
            failed = True
            continue
        done.append(counts)
        if as_json:
            printed_json(counts.as_json())
    if not as_json and done:
        _say_counts(done)
    if not chosen:
        note("note: nothing was run")
    for counts in done:
        for problem in dict.fromkeys(counts.problems):
            typer.echo(f"error: {problem}", err=True)
        if counts.unanswered:
            plans = words.count(len(counts.unanswered), "plan")
            typer.echo(f"error: {counts.connection}: not finished for {plans}: run it again later", err=True)
            failed = True
    if failed:
        raise typer.Exit(2)
    if any(counts.new_items for counts in done):
        raise typer.Exit(1)


def _say_counts(done: Sequence[Counts]) -> None:
    columns = ("connection", "read", "created", "updated", "taken over", "clashes", "proposals", "held")
    rows = [
        [counts.connection]
        + [
            f"{number:,}"
            for number in (
                counts.read,
                counts.created,
                counts.pushed,
                counts.pulled,
                counts.conflicts,
                counts.proposals,
                counts.held,
            )
        ]
        for counts in done
    ]
    table(columns, rows)
    say()
    requests, writes = sum(one.requests for one in done), sum(one.writes for one in done)
    say(f"{words.count(requests, 'request')}, {writes:,} of them writing.")
    quarantined = sum(one.quarantined for one in done)
    if quarantined:
        say(f"{words.count(quarantined, 'resource')} could not be read and were left alone.")
    for one in done:
        if one.unlinked:
            say(
                f"{one.connection}: {words.count(one.unlinked, 'plan')} can't go yet, since the client is not linked"
                f" there. Next: fhirgoals patients match {one.connection} --by STAFF"
            )
        if one.left_for_later:
            say(
                f"{one.connection}: {words.count(one.left_for_later, 'plan')} left for later, since this was the first"
                f" run after arming. Look at the EHR; the next run has no such limit: fhirgoals sync {one.connection}"
            )
    if any(one.conflicts or one.proposals or one.held for one in done):
        say("Something waits for a person: fhirgoals inbox list")


def _preview_tree(store: Store, found: Sequence[Counts]) -> Tree:
    with store.read() as tx:
        revisions: dict[str, Tree] = {stored.plan.id: stored.rev for stored in tx.plans.list()}
    return {
        "schema": PREVIEW_SCHEMA,
        "revisions": revisions,
        "connections": [{"connection": one.connection, "operations": list(one.operations)} for one in found],
    }


def _read_preview(path: Path) -> Previewed:
    wrong = InputError(f"{path}: is no kept preview: write one with `fhirgoals preview --out FILE`")
    raw = read_bytes(path, _LARGEST_PREVIEW + 1)
    if len(raw) > _LARGEST_PREVIEW:
        raise wrong
    try:
        tree = exact_json.loads(raw)
    except InputError:
        raise wrong from None
    if not isinstance(tree, dict) or tree.get("schema") != PREVIEW_SCHEMA:
        raise wrong
    revisions, listed = tree.get("revisions"), tree.get("connections")
    if not isinstance(revisions, dict) or not isinstance(listed, list):
        raise wrong
    operations: dict[str, list[Resource]] = {}
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("operations"), list):
            raise wrong
        members = one["operations"]
        assert isinstance(members, list)  # noqa: S101 (seen above; for the type checker)
        operations[str(one.get("connection"))] = [member for member in members if isinstance(member, dict)]
    return Previewed(operations, {name: rev for name, rev in revisions.items() if isinstance(rev, int)})


def _refuse_moved(store: Store, kept: Previewed, armed: Sequence[Connection]) -> None:
    """Raise `Refused` that names each operation which would now be another one."""
    with store.read() as tx:
        now = {stored.plan.id: stored.rev for stored in tx.plans.list()}
        plan_of = {goal.id: stored.plan.id for stored in tx.plans.list() for goal in stored.plan.goals}
    moved_plans = {plan for plan, rev in now.items() if kept.revisions.get(plan) != rev}
    lines: list[str] = []
    for connection in armed:
        before = kept.operations[connection.name]
        after = list(previewed(store, connection.name).operations)
        seen = {exact_json.canonical(one) for one in after}
        shown = {exact_json.canonical(one) for one in before}
        for one in before:
            if exact_json.canonical(one) not in seen:
                lines.append(f"{connection.name}: no longer to be done: {_operation(one)}")
            elif {plan_of.get(name, name) for name in _owners(one)} & moved_plans:
                lines.append(f"{connection.name}: changed here since: {_operation(one)}")
        lines += [
            f"{connection.name}: new since: {_operation(one)}"
            for one in after
            if exact_json.canonical(one) not in shown
        ]
    if lines:
        head = f"{words.count(len(lines), 'item')} moved since the preview; nothing was done: preview again"
        more = len(lines) - _MOST_LINES
        shown_lines = [*lines[:_MOST_LINES], f"… and {more} more"] if more > 0 else lines
        raise Refused("\n  ".join([head, *shown_lines]))


def _owners(operation: Resource) -> set[str]:
    names = operation.get("units")
    if operation["operation"] == "pull" and isinstance(names, list):
        return {str(one).partition("/")[0] for one in names}
    return {str(operation.get("id"))}


def _operation(operation: Resource) -> str:
    what = " ".join(str(operation[key]) for key in ("operation", "resource", "id") if key in operation)
    names = operation.get("units")
    return what + (f" ({len(names)} fields)" if isinstance(names, list) else "")
