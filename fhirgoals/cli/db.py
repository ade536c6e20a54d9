"""`db`: the store itself."""

from __future__ import annotations

import typer

from fhirgoals.cli.output import JsonOption, printed_json, say
from fhirgoals.cli.session import session_of, told_of_a_restore
from fhirgoals.store import open_store

app = typer.Typer(rich_markup_mode=None)


@app.command(epilog="Example:  fhirgoals db upgrade")
def upgrade(context: typer.Context, as_json: JsonOption = False) -> None:
    """Bring the store's tables up to this program's version, in one transaction. Make a backup first."""
    store = open_store(session_of(context).settings().store.url, create=True, upgrade=True)
    told_of_a_restore(store)
    store.close()
    if as_json:
        printed_json({"upgraded": True})
    else:
        say("The store is up to date.")


@app.callback()
def _group() -> None:
    """The store itself."""
