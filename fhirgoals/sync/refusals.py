"""What an EHR refused is not sent to it again and again: the very same call waits an hour, another one goes at once."""

from __future__ import annotations

from datetime import datetime, timedelta

from fhirgoals.store.intents import Intent
from fhirgoals.store.tx import Tx
from fhirgoals.sync.view import View

REFUSED_AGAIN = timedelta(hours=1)
"""When a call that the EHR refused is tried again, unless an edit comes first."""


def note_refusal(tx: Tx, view: View, intent: Intent, at: datetime) -> None:
    """Remember that a call was refused, and forget what was refused long ago."""
    known = _known(tx, view)
    kept = {call: since for call, since in known.items() if datetime.fromisoformat(since) + REFUSED_AGAIN > at}
    tx.cursors.set(view.connection, _scope(view), {**kept, _call(intent): at.isoformat()}, at)


def refused_lately(tx: Tx, view: View, intent: Intent, at: datetime) -> bool:
    """Tell whether the very same call was refused within the last hour."""
    since = _known(tx, view).get(_call(intent))
    return since is not None and datetime.fromisoformat(since) + REFUSED_AGAIN > at


def _call(intent: Intent) -> str:
    name = f"{intent.kind}/{intent.local_id} {intent.method}"
    # What is not deleted is blanked: that it has another version since is no reason to ask again.
    return name if intent.method == "delete" else f"{name} {intent.etag} {intent.body_hash}"


def _scope(view: View) -> str:
    return f"refused:{view.plan.id}"


def _known(tx: Tx, view: View) -> dict[str, str]:
    known = tx.cursors.get(view.connection, _scope(view))
    return {call: since for call, since in known.items() if isinstance(since, str)} if isinstance(known, dict) else {}
