"""`patients`: who is who at an EHR. Found by identifier, linked only when a person says so."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Annotated

import typer

from fhirgoals.cli import unlinking, words
from fhirgoals.cli.output import JsonOption, printed_json, say, short, table
from fhirgoals.cli.running import client_of, connections
from fhirgoals.cli.session import actor, now, session_of
from fhirgoals.errors import InputError
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.fhir.http import Http
from fhirgoals.store import AsyncStore, Store, Tx
from fhirgoals.store.connections import Connection
from fhirgoals.store.people import IdentityLink
from fhirgoals.sync.identify import Match, confirm
from fhirgoals.sync.identify import match as look_for
from fhirgoals.sync.unlink import chart_of

app = typer.Typer(rich_markup_mode=None)

By = Annotated[str, typer.Option(metavar="STAFF", help="Who does this: the id of a member of staff.")]
Name = Annotated[str, typer.Argument(metavar="CONNECTION")]

_WHY = {
    "no_resource_with_its_identifier": "not found",
    "several_resources": "found more than once",
    "not_in_use": "merged or not in use",
    "another_birth_date": "other birth date",
    "another_patient": "another patient's",
}
_STATUS = {
    "linked": "linked",
    "confirmed": "linked",
    "proposed": "found",
    "held": "in doubt",
    "missing": "not found",
}


@app.callback()
def _group() -> None:
    """Who is who at an EHR."""


@app.command(epilog="Example:  fhirgoals patients match ehr-main --by staff-7")
def match(context: typer.Context, connection: Name, by: By, as_json: JsonOption = False) -> None:
    """Look for clients, staff and problems at the EHR, by identifier and never by name.

    Asks only about clients of whom something may go there. What is found is proposed; `confirm` links it.
    """
    staff = actor(by)
    with session_of(context).open() as store:
        [known] = connections(store, connection)
        with store.read() as tx:
            before = {(one.kind, one.local_id): (one.reference, one.status) for one in tx.people.links(connection)}
        found = asyncio.run(_matched(store, known, staff))
        with store.read() as tx:
            names = _names(tx)
    new = [
        one
        for one in found
        if one.status in ("proposed", "held") and before.get((one.kind, one.local_id)) != (one.reference, one.status)
    ]
    if as_json:
        printed_json({"connection": connection, "new": len(new), "matches": [_match_tree(one) for one in found]})
    else:
        rows = [
            [words.WHO[one.kind], short(names.get(one.local_id, one.local_id), 40), _found_words(one), one.local_id]
            for one in found
        ]
        if rows:
            table(("who", "name", "at the EHR", "id"), rows)
            say()
        say(_summary([one.status for one in found]))
        if any(one.status == "proposed" for one in found):
            say(f"Nobody new is linked yet. Next: fhirgoals patients confirm {connection} --all --by {staff}")
    if new:
        raise typer.Exit(1)


@app.command("list", epilog="Example:  fhirgoals patients list ehr-main")
def list_(context: typer.Context, connection: Name, as_json: JsonOption = False) -> None:
    """List who is linked at the EHR, and who was found and waits for confirmation."""
    with session_of(context).open() as store:
        connections(store, connection)
        with store.read() as tx:
            links, names = tx.people.links(connection), _names(tx)
            leaving = {
                one.local_id
                for one in links
                if one.kind == "Patient" and chart_of(tx, connection, one.local_id) is not None
            }
    if as_json:
        printed_json({"connection": connection, "links": [_link_tree(one, leaving) for one in links]})
        return
    if not links:
        say(f"Nobody is linked yet. Look for them: fhirgoals patients match {connection} --by STAFF")
        return
    for place, kind in enumerate(dict.fromkeys(one.kind for one in links)):
        rows = [
            [
                short(names.get(one.local_id, one.local_id), 40),
                one.reference.removeprefix(f"{kind}/"),
                one.local_id,
                _state(one, leaving),
            ]
            for one in links
            if one.kind == kind
        ]
        if place:
            say()
        resource = f"{kind}/"
        table((words.WHO[kind], resource, "id", "state"), rows, unbroken=(resource,))
    if leaving:
        say()
        say(f"What was written into a chart that is left goes with the next run: fhirgoals sync {connection}")


@app.command("confirm", epilog="Example:  fhirgoals patients confirm ehr-main --all --by staff-7")
def confirm_(
    context: typer.Context,
    connection: Name,
    by: By,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="Those to link; see `list`.")] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="All that were found without any doubt; those in doubt must be named.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Link what was found. From then on the EHR is told of these people and problems."""
    staff = actor(by)
    if bool(ids) == everyone:
        raise InputError("patients confirm: name the ids to link, or say --all")
    with session_of(context).open() as store:
        connections(store, connection)
        with store.write() as tx:
            linked = confirm(tx, connection, ids or None, by=staff, at=now())
    if as_json:
        printed_json({"connection": connection, "linked": [one.local_id for one in linked]})
        return
    kinds: dict[str, int] = {}
    for one in linked:
        kinds[one.kind] = kinds.get(one.kind, 0) + 1
    counted = [words.count(number, words.WHO[kind], words.WHO_MANY[kind]) for kind, number in kinds.items()]
    say("Linked: " + (", ".join(counted) or "nobody new") + ".")
    say(f"Next: fhirgoals preview {connection}")


async def _matched(store: Store, connection: Connection, by: str) -> list[Match]:
    async with Http() as http:
        return await look_for(AsyncStore(store), client_of(connection, http), connection.name, by=by, clock=now)


def _names(tx: Tx) -> dict[str, str]:
    """Return what people and problems are called, by the ids that links use."""
    names = {person.id: person.display for person in tx.people.list()}
    for stored in tx.plans.list():
        for problem in stored.plan.problems:
            names[f"{stored.plan.id}/{problem.id}"] = problem.code.display or problem.code.code
    return names


def _found_words(one: Match) -> str:
    return _WHY.get(one.why) or _STATUS[one.status]


def _summary(statuses: Sequence[str]) -> str:
    if not statuses:
        return "There is nobody to look for: nothing of any plan may go there now."
    parts = [f"{statuses.count(status)} {_STATUS[status]}" for status in _STATUS if statuses.count(status)]
    return "; ".join(parts) + "."  # such as "19 found; 2 in doubt."


def _match_tree(one: Match) -> dict[str, Tree]:
    return {
        "kind": one.kind,
        "id": one.local_id,
        "status": one.status,
        "reference": one.reference,
        "why": one.why or None,
    }


def _state(one: IdentityLink, leaving: Collection[str]) -> str:
    """Return what is to be known of a link; nothing of one that simply stands."""
    if one.kind == "Patient" and one.local_id in leaving:
        return "is being unlinked"
    return "" if one.status == "confirmed" else _STATUS[one.status]


def _link_tree(one: IdentityLink, leaving: Collection[str]) -> dict[str, Tree]:
    return {
        "kind": one.kind,
        "id": one.local_id,
        "status": "unlinking" if one.kind == "Patient" and one.local_id in leaving else one.status,
        "reference": one.reference,
        "by": one.by,
    }


app.command(
    epilog="Example:  fhirgoals patients unlink ehr-main client-101 --retract --by staff-7 --reason 'wrong chart'"
)(unlinking.unlink)
