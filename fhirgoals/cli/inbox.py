"""`inbox`: what waits for a person, and settling it.

The list says where and since when. Values are shown one item at a time, to who may settle it; an operator sees them
with a reason that goes into the audit.
"""

from __future__ import annotations

from typing import Annotated

import typer

from fhirgoals.cli import inbox_resolve, inbox_show, words
from fhirgoals.cli.inbox_list import head, item_table, kind_words
from fhirgoals.cli.inbox_words import roles
from fhirgoals.cli.output import JsonOption, printed_json, say
from fhirgoals.cli.running import connections
from fhirgoals.cli.session import now, session_of

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """What waits for a person."""


@app.command("list", epilog="Example:  fhirgoals inbox list --connection ehr-main")
def list_(
    context: typer.Context,
    connection: Annotated[str | None, typer.Option(metavar="NAME", help="One connection only.")] = None,
    plan: Annotated[str | None, typer.Option(metavar="PLAN", help="One plan only.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="One kind: conflict, proposal, held, …")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="What is closed, instead of what waits.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what waits: number, age, plan, goal, field, kind, and who may settle it. No values."""
    at = now()
    with session_of(context).open() as store:
        if connection is not None:
            connections(store, connection)
        with store.read() as tx:
            items = tx.inbox.list(open_only=not closed, connection=connection, plan_id=plan)
    items = tuple(one for one in items if (one.closed_at is not None) == closed and kind in (None, one.kind))
    if as_json:
        printed_json({"items": [head(one, at) for one in items]})
        return
    if not items:
        say("Nothing was closed yet." if closed else "Nothing waits.")
        return
    item_table(items, at)
    say()
    for what, who in dict.fromkeys((one.kind, roles(one)) for one in items) if not closed else ():
        name, meanwhile = words.ITEM.get(what, what), words.MEANWHILE.get(what, "nothing is changed")
        say(f"{kind_words(what)} ({name}): settled by {who}; meanwhile {meanwhile}.", hanging="  ")
    say("See one with its values: fhirgoals inbox show NO --by PERSON")


app.command(epilog="Example:  fhirgoals inbox show 3 --by staff-7")(inbox_show.show)
app.command(epilog="Example:  fhirgoals inbox resolve 3 --take theirs --by staff-7 --reason 'agreed on the phone'")(
    inbox_resolve.resolve
)
