"""`patients unlink`: a client leaves a chart, and what was written there is taken back by the next run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from fhirgoals.cli import words
from fhirgoals.cli.output import JsonOption, printed_json, say, short, table
from fhirgoals.cli.running import connections
from fhirgoals.cli.session import actor, now, one_word, session_of
from fhirgoals.domain.records import Plan
from fhirgoals.errors import Refused
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store import Tx
from fhirgoals.store.links import Link
from fhirgoals.sync.connection import config_of
from fhirgoals.sync.decide import Retract
from fhirgoals.sync.unlink import begin, chart_of

_WAY: Mapping[Retract, str] = {
    "leave": "The connection is set to `leave`: nothing is changed in that chart. The next run puts one item for each"
    " into the inbox: take them out there by hand, or mark them there as entered in error.",
    "blank": "The next run takes our words out of each and cancels it. Older versions in the EHR's history keep them.",
    "entered_in_error": "The next run takes our words out of each and marks it as entered in error. Older versions in"
    " the EHR's history keep them.",
    "delete": "The next run deletes each. The EHR's history may keep older versions.",
}
_OF = {"Goal": "goal", "CarePlan": "care plan"}


def unlink(
    context: typer.Context,
    connection: Annotated[str, typer.Argument(metavar="CONNECTION")],
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id, as `patients list` shows it.")],
    by: Annotated[str, typer.Option(metavar="STAFF", help="Who does this: the id of a member of staff.")],
    reason: Annotated[str, typer.Option(metavar="WORDS", help="Why, without names; it goes into the audit.")],
    retract: Annotated[
        bool, typer.Option("--retract", help="Take back what was written into that chart; needed where anything was.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Unlink a client from a chart, such as a wrong one. Nothing more goes there from this moment on.

    What was written there is taken back by the next run, in the way the connection is set to. When nothing is left
    there, the link is forgotten and the client can be looked for anew.
    """
    staff, word = actor(by), one_word(reason)
    with session_of(context).open() as store:
        [known] = connections(store, connection)
        way = config_of(known.config).retract
        with store.write() as tx:
            plans = _plans_of(tx, connection, client)
            links = [link for plan in plans for link in tx.links.for_plan(connection, plan.id)]
            begin(tx, connection, client, retract=retract, by=staff, reason=word, at=now())
            leaving = chart_of(tx, connection, client) is not None
    if as_json:
        resources: list[Tree] = [
            {"resource": link.kind, "id": link.local_id, "resource_id": link.resource_id}
            for link in links
            if link.resource_id is not None
        ]
        printed_json(
            {
                "connection": connection,
                "client": client,
                "state": "unlinking" if leaving else "unlinked",
                "way": way if links else None,
                "resources": resources,
            }
        )
        return
    if leaving:
        _say_left(connection, client, way, links, plans)
        if known.state != "armed":
            say(f"{connection} is {words.STATE_WORD[known.state]}: nothing is taken back until it writes.")
        return
    say(f"{client} is no longer linked at {connection}; nothing of theirs stood there.")
    say(f"Next: fhirgoals patients match {connection} --by {staff}")


def _plans_of(tx: Tx, connection: str, client: str) -> list[Plan]:
    """Return the client's plans; raises `Refused` where the client is not linked or is being unlinked already."""
    if not any((one.kind, one.local_id) == ("Patient", client) for one in tx.people.links(connection)):
        raise Refused(f"{connection}: no client of that id is linked there: `fhirgoals patients list {connection}`")
    if chart_of(tx, connection, client) is not None:
        raise Refused(f"{client} is being unlinked at {connection} already: `fhirgoals sync {connection}` goes on")
    return [one.plan for one in tx.plans.list() if one.plan.client is not None and one.plan.client.id == client]


def _say_left(connection: str, client: str, way: Retract, links: Sequence[Link], plans: Sequence[Plan]) -> None:
    titles = {goal.id: goal.text or goal.id for plan in plans for goal in plan.goals}
    titles |= {plan.id: plan.title or plan.id for plan in plans}
    say(f"{client} is being unlinked at {connection}: nothing more goes into that chart.")
    if links:
        say(f"Written there: {words.count(len(links), 'resource')}.")
        say()
        rows = [
            [_OF[link.kind], short(titles.get(link.local_id, link.local_id), 48), f"{link.kind}/{link.resource_id}"]
            for link in links
        ]
        table(("of", "which", "at the EHR"), rows, unbroken=("at the EHR",))
        say()
        say(_WAY[way])
    else:
        say("A call whose reply never came is looked into first.")
    say(f"See it: fhirgoals preview {connection}. Do it: fhirgoals sync {connection}")
    say(f"Then look for the client anew: fhirgoals patients match {connection} --by STAFF")
