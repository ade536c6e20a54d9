"""`ehr arm` and `ehr match`: a connection begins to write, after what it would write and what is there was shown."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import uuid4

import typer

from fhirgoals.cli import words
from fhirgoals.cli.output import JsonOption, printed_json, say, short, table
from fhirgoals.cli.running import client_of, connections, operations_table, previewed
from fhirgoals.cli.session import actor, now, session_of
from fhirgoals.errors import InputError, Refused
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.fhir.http import Http
from fhirgoals.store import AsyncStore, Store
from fhirgoals.store.connections import Connection
from fhirgoals.sync.first import DEFAULT, First, keep
from fhirgoals.sync.matching import Candidate, link, propose

By = Annotated[str, typer.Option(metavar="STAFF", help="Who does this: the id of a member of staff.")]
Name = Annotated[str, typer.Argument(metavar="NAME")]

_WHY: Mapping[str, str] = {
    "identifier": "its identifier is ours",
    "unknown_identifier": "our identifier, of nothing we know",
    "two_identifiers": "has two of our identifiers",
    "several_resources": "another has the same identifier",
    "linked_already": "another is linked for it already",
    "other_patient": "in another client's chart",
}
_OF = {"Goal": "goal", "CarePlan": "care plan"}


def arm(
    context: typer.Context,
    name: Name,
    by: By,
    reason: Annotated[str, typer.Option(metavar="WORDS", help="Why, in a few words; kept with the connection.")],
    first: Annotated[
        int | None, typer.Option(metavar="N", help=f"How many plans the first run writes at most; default {DEFAULT}.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Let the first run write every plan.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask: the preview was read.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a connection write. Shows first what it would write and what is there already, and asks.

    The first run that writes is limited to a few plans. Look at them at the EHR: the run after it has no limit.
    """
    staff = actor(by)
    if everything and first is not None:
        raise InputError("ehr arm: say --first N or --all, not both")
    if first is not None and first < 1:
        raise InputError("--first: must be 1 or more; to write every plan at once say --all")
    limit = None if everything else first or DEFAULT
    with session_of(context).open() as store:
        [known] = connections(store, name)
        counts = previewed(store, name, whole=True)
        found = asyncio.run(_proposed(store, known))
        with store.read() as tx:
            linked = tx.links.count(name)
        if not as_json:
            say(f"What {name} would do:")
            operations_table(store, counts)
            if linked:
                say(f"Linked there already: {words.count(linked, 'resource')}.")
            if found:
                say()
            _say_found(store, name, found, staff)
        if not yes:
            if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
                raise Refused(f"{name} is not armed: read the preview above, then say so with --yes")
            if not typer.confirm(f"Let {name} write this?"):
                raise Refused(f"{name} is not armed: nothing was changed")
        at = now()
        with store.write() as tx:
            tx.connections.set_state(name, "armed", by=staff, reason=reason, at=at)
            keep(tx, name, First(limit), at)
            tx.audit.write(at=at, actor=staff, action="ehr_arm", connection=name, detail={"first": limit})
    if as_json:
        printed_json(
            {
                "connection": name,
                "state": "armed",
                "first": limit,
                "linked": linked,
                "matches": [_tree(one) for one in found],
                "operations": list(counts.operations),
            }
        )
        return
    say(f"{name} is armed. Next: fhirgoals sync {name}")
    if limit is not None:
        say(f"That run writes {words.count(limit, 'plan')} at most. Look at them at the EHR before the one after it.")


def match(
    context: typer.Context,
    name: Name,
    by: By,
    yes: Annotated[bool, typer.Option("--yes", help="Link those that are proposed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find what is ours there and lost its link.

    Goals and care plans that carry our identifier and that no link knows, as after a store was restored. By identifier
    alone, never by words; whatever is in doubt is held. Nothing is written at the EHR: of a linked one the next run
    judges each field. Equal ones are agreed, for the others a person is asked.
    """
    staff = actor(by)
    with session_of(context).open() as store:
        [known] = connections(store, name)
        found = asyncio.run(_proposed(store, known))
        linked = 0
        if yes:
            owner = f"command-{os.getpid()}-{uuid4().hex[:8]}"
            with store.write() as tx:
                linked = link(tx, store.installation, name, found, by=staff, at=now(), owner=owner)
        if as_json:
            printed_json({"connection": name, "linked": linked, "matches": [_tree(one) for one in found]})
        elif not found:
            say(f"{name}: nothing stands there with our identifier that is not linked.")
        else:
            _say_found(store, name, found, None if yes else staff)
        if yes and not as_json and found:
            say(f"Linked: {words.count(linked, 'resource')}. Next: fhirgoals preview {name}")
    if not yes and any(one.proposed for one in found):
        raise typer.Exit(1)


def _say_found(store: Store, name: str, found: Sequence[Candidate], staff: str | None) -> None:
    """Print what stands there unlinked; `staff`, where given, may link it next."""
    if not found:
        return
    with store.read() as tx:
        plans = [stored.plan for stored in tx.plans.list()]
    titles = {(plan.id, goal.id): goal.text or goal.id for plan in plans for goal in plan.goals}
    titles |= {(plan.id, plan.id): plan.title or plan.id for plan in plans}
    say("There already, with our identifier and no link:")
    say()
    rows = [
        [
            _OF[one.kind],
            short(titles.get((one.plan_id or "", one.local_id or ""), one.local_id or ""), 40),
            f"{one.kind}/{one.resource_id}",
            _WHY[one.why],
        ]
        for one in found
    ]
    table(("of", "which", "at the EHR", "why"), rows, unbroken=("at the EHR",))
    say()
    if staff is not None and any(one.proposed for one in found):
        say(f"Link those that are ours: fhirgoals ehr match {name} --yes --by {staff}")
    if any(not one.proposed for one in found):
        say("The others are left alone: find out at the EHR what they are, and mend them there.")


def _tree(one: Candidate) -> dict[str, Tree]:
    return {
        "resource": one.kind,
        "resource_id": one.resource_id,
        "id": one.local_id,
        "plan": one.plan_id,
        "status": "proposed" if one.proposed else "held",
        "why": one.why,
    }


async def _proposed(store: Store, connection: Connection) -> list[Candidate]:
    async with Http() as http:
        return await propose(AsyncStore(store), client_of(connection, http), connection.name, now)
