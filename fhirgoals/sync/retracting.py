"""What a run knows of taking back besides the plan itself: what the EHR wrote, and what was taken back before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from fhirgoals.store.tx import Tx
from fhirgoals.sync.left import own_edits
from fhirgoals.sync.own import own_values
from fhirgoals.sync.reading import There
from fhirgoals.sync.view import Key, View, content_hash, may_be_there


def with_own(tx: Tx, view: View, on: date) -> View:
    """Return the view with what the EHR itself wrote, where something that may not be there any more may be there."""
    if view.unfiled or all(may_be_there(view, key, on) for key in view.links):
        return view
    edits = own_edits(tx.plans.revisions(view.plan.id, source=view.connection), view.connection, view.chart)
    return replace(view, own=own_values(edits))


def told(view: View, there: There) -> frozenset[Key]:
    """Return the resources that were taken back before and stand as the server then answered."""
    return frozenset(
        key
        for key, one in there.found.items()
        if key in view.links
        and view.links[key].state == "withheld"
        and view.links[key].raw_hash == content_hash(one.tree)
    )
