"""The linked patient, looked at before anything is written to a plan's chart or taken from it (design 5.8).

One who was merged away, is gone, or no longer bears what the link was made by stops the plan at that connection: its
calls and its edits wait, and one item tells a person. The next run that finds all well closes it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from fhirgoals.errors import RemoteError
from fhirgoals.fhir.answers import Gone, Moved, NotFound, Stored
from fhirgoals.fhir.client import EhrClient
from fhirgoals.store.tx import Tx
from fhirgoals.sync.changes import not_answered
from fhirgoals.sync.charts import another_patient
from fhirgoals.sync.context import Context
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.decide import Waiting
from fhirgoals.sync.identify import replaced, still_the_same
from fhirgoals.sync.rows import item_of
from fhirgoals.sync.unlink import STOPPED
from fhirgoals.sync.view import View

Doubt: TypeAlias = Literal["patient_changed", "patient_merged", "patient_inactive", "patient_gone"]


class LinkStopsError(Exception):
    """The linked patient is not surely the one who was linked: nothing of the plan is written there or taken."""

    def __init__(self, view: View, why: Doubt) -> None:
        super().__init__(f"{view.connection}: the link of the client of {view.plan.id} stops ({why})")
        self.view = view
        self.why = why


async def doubt_about(client: EhrClient, view: View, patient: str) -> Doubt | None:
    """Return why the linked patient is in doubt, or `None`; raises `RemoteError` where the EHR does not answer.

    Whose chart is being left is not looked at: it was the wrong one, and each resource's subject still is.
    """
    if view.leaving:
        return None
    if view.fingerprint is None:
        return "patient_changed"
    kind, _, resource_id = patient.partition("/")
    answer = await client.read(kind, resource_id)
    if isinstance(answer, NotFound):
        answer = await client.read(kind, resource_id)  # a second look: it may have been a moment's
    match answer:
        case Stored(tree=dict() as tree):
            if tree.get("id") not in (None, resource_id) or replaced(tree):
                return "patient_merged"
            if tree.get("active") is False:
                return "patient_inactive"
            return None if still_the_same(tree, view.fingerprint) else "patient_changed"
        case Moved():
            return "patient_merged"
        case Gone() | NotFound():
            return "patient_gone"
        case _:
            raise not_answered(view.connection, kind, answer)


async def check_patient(client: EhrClient, view: View, patient: str) -> None:
    """Raise `LinkStopsError` where the linked patient is in doubt; of an unfiled plan `RemoteError`.

    Nothing of that one is ever sent, and the client's other plans tell a person.
    """
    why = await doubt_about(client, view, patient)
    if why is not None:
        raise another_patient(view) if view.unfiled else LinkStopsError(view, why)


async def stands_still(client: EhrClient, view: View, patient: str, counts: Counts) -> bool:
    """Tell whether a run would do nothing with the plan since its patient is in doubt; a preview counts it."""
    try:
        await check_patient(client, view, patient)
    except LinkStopsError:
        counts.held += 1
    except RemoteError as error:
        if not view.unfiled:
            raise
        counts.problems.append(str(error))
    else:
        return False
    return True


async def tell(context: Context, stop: LinkStopsError) -> bool:
    """Raise the item of a stopped link and mark the plan for the next run; return whether the item is new."""
    view, at = stop.view, context.clock()

    def work(tx: Tx) -> bool:
        tx.connections.check_fence(context.connection, context.fence)
        tx.dirty.mark(view.plan.id, view.connection, why="held", at=at)
        return tx.inbox.raise_(item_of(view, Waiting(STOPPED, view.plan.id, "", stop.why), at))

    return await context.store.write(work)
