"""`preview`, `apply` and `sync`: what would be done, doing it, and keeping both sides together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from fhirgoals.cli import words
from fhirgoals.cli.output import JsonOption, note, printed_json, progress, say, table
from fhirgoals.cli.preview_file import keep_preview, kept_preview, left_json, say_left
from fhirgoals.cli.running import (
    connections,
    not_sent_yet,
    operations_table,
    outside_scope,
    previewed,
    synced,
)
from fhirgoals.cli.session import now, session_of
from fhirgoals.errors import FhirgoalsError, Refused
from fhirgoals.store import Store
from fhirgoals.store.connections import Connection
from fhirgoals.store.restored import REASON as RESTORED
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.planned_file import Noted, Only
from fhirgoals.sync.planned_items import Marks

Maybe = Annotated[str | None, typer.Argument(metavar="[CONNECTION]", help="One connection; default all.")]


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
        marks = Marks(store.installation)
        noted = {one.name: Noted(marks) for one in connections(store, connection)}
        found: list[Counts] = []
        for name, one in noted.items():
            with progress(f"Reading {name}") as moved:
                found.append(previewed(store, name, moved, stopped=stopped, noted=one))
        if out is not None:
            keep_preview(out, marks, noted, now())
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

    With the FILE of a preview exactly what it names is done. What moved since is named item by item, with its cause,
    and left alone; what is not in the file is left for `sync`. Exit code 2 where an item of the file was not done.
    """
    with session_of(context).open() as store:
        kept = kept_preview(file, Marks(store.installation)) if file is not None else None
        chosen = [one for one in connections(store, None) if kept is None or one.name in kept]
        armed = [one for one in chosen if one.state == "armed"]
        if not armed:
            raise Refused("no connection of these is armed: read `fhirgoals preview`, then `fhirgoals ehr arm NAME`")
        for one in chosen:
            if one.state != "armed":
                note(f"note: {one.name} is not armed and was left out")
        _run_all(store, armed, as_json, kept or {})


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
            restored = any(one.state_reason == RESTORED for one in chosen)
            then = RESTORED if restored else f"`fhirgoals ehr resume {connection}` first"
            raise Refused(f"{connection} is paused: {then}")
        for one in chosen:
            if one.state == "paused":
                note(f"note: {one.name} is paused and was left alone")
        _run_all(store, running, as_json)


def _run_all(store: Store, chosen: Sequence[Connection], as_json: bool, only: Mapping[str, Only] | None = None) -> None:
    """Run connections one after another; one that fails does not keep the others from running.

    `only` are the kept previews that are applied, by connection.
    """
    kept = only or {}
    done: list[Counts] = []
    failed = False
    for one in chosen:
        try:
            with progress(f"Syncing {one.name}") as moved:
                counts = synced(store, one, moved, kept.get(one.name))
        except FhirgoalsError as error:
            typer.echo(f"error: {error}", err=True)
            failed = True
            continue
        done.append(counts)
        if as_json:
            printed_json(counts.as_json() | (left_json(kept[one.name]) if one.name in kept else {}))
    if not as_json and done:
        _say_counts(done)
    _say_notes(done)
    if not chosen:
        note("note: nothing was run")
    for name in kept.keys() & {counts.connection for counts in done}:
        failed |= say_left(name, kept[name])
    for counts in done:
        for problem in dict.fromkeys(counts.problems):
            typer.echo(f"error: {problem}", err=True)
            failed = True
        if counts.unanswered:
            plans = words.count(len(counts.unanswered), "plan")
            typer.echo(f"error: {counts.connection}: not finished for {plans}: run it again later", err=True)
            failed = True
    if failed:
        raise typer.Exit(2)
    if any(counts.new_items for counts in done):
        raise typer.Exit(1)


def _say_notes(done: Sequence[Counts]) -> None:
    for counts in done:
        for each in counts.notes:
            note(f"note: {counts.connection}: {each}")


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
        if one.outside_scope:
            say(f"{one.connection}: {outside_scope(one)}")
        if one.unlinked:
            say(
                f"{one.connection}: {words.count(one.unlinked, 'plan')} can't go yet, since the client is not linked"
                f" there. Next: fhirgoals patients match {one.connection} --by STAFF"
            )
        if one.not_sent_yet:
            say(f"{one.connection}: {not_sent_yet(one)}")
        if one.left_for_later:
            say(
                f"{one.connection}: {words.count(one.left_for_later, 'plan')} left for later, since this was the first"
                f" run after arming. Look at the EHR; the next run has no such limit: fhirgoals sync {one.connection}"
            )
    if any(one.conflicts or one.proposals or one.held for one in done):
        say("Something waits for a person: fhirgoals inbox list")
