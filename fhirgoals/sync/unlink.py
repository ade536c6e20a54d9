"""Unlinks a client from a chart: what was written there is taken back first, where the connection can (design 5.8).

`begin` stops sending at once, in its own transaction, and says of what came from that chart where it came from
(`left`): it may be somebody else's. Runs then take back every resource of that client there and
forget its link; when none is left, `finish` forgets who the patient was. Under `leave` items list what stays.
"""

from __future__ import annotations

from datetime import datetime

from fhirgoals.domain.records import Plan
from fhirgoals.domain.unfiled import is_unfiled
from fhirgoals.domain.units import Json
from fhirgoals.errors import Refused
from fhirgoals.store.tx import Tx
from fhirgoals.sync.left import chart_name, leave
from fhirgoals.sync.sides import WRONG_CHART

__all__ = ["STOPPED", "WRONG_CHART", "begin", "chart_of", "finish"]

STOPPED = "patient"
"""The kind of the item of a plan that stands still since its client's patient is in doubt there."""


def scope_of(client_id: str) -> str:
    """Return where it is kept that a client is being unlinked."""
    return f"unlink:{client_id}"


def begin(tx: Tx, connection: str, client_id: str, *, retract: bool, by: str, reason: str, at: datetime) -> None:
    """Unlink a client from the patient at a connection; `retract` takes back what was written there.

    `reason` is one word, as the audit takes it. Raises `Refused` where the client is not linked, or where resources
    stand there and are not to be taken back.
    """
    links = [one for one in tx.people.links(connection) if (one.kind, one.local_id) == ("Patient", client_id)]
    if not links:
        raise Refused(f"client {client_id} is not linked at {connection}: `fhirgoals patients list {connection}`")
    plans = _plans_of(tx, client_id)
    _forget_unfiled(tx, connection, plans)
    sent = [link for plan in plans for link in tx.links.for_plan(connection, plan.id)]
    if sent and not retract:
        raise Refused(
            f"{len(sent)} resources of client {client_id} stand in that chart: say --retract to take them back there"
        )
    chart = chart_name(connection, links[0].reference, links[0].fingerprint)
    for plan in plans:
        if not is_unfiled(plan):
            leave(tx, connection, plan, chart, by=by, at=at)
    tx.audit.write(
        at=at,
        actor=by,
        action="unlink",
        connection=connection,
        detail={"client": client_id, "resources": len(sent), "reason": reason},
    )
    if sent or any(tx.intents.for_plan(connection, plan.id) for plan in plans):
        tx.cursors.set(connection, scope_of(client_id), {"patient": links[0].reference}, at)
        tx.dirty.mark_all([plan.id for plan in plans], connection, why="unlink", at=at)
        return
    _forget(tx, connection, client_id, at)


def _forget_unfiled(tx: Tx, connection: str, plans: list[Plan]) -> None:
    """Forget where the goals of an unfiled plan came from: nothing was written there, so nothing goes back."""
    for plan_id in (plan.id for plan in plans if is_unfiled(plan)):
        for link in tx.links.for_plan(connection, plan_id):
            tx.links.delete(connection, link.kind, link.local_id)
        tx.bases.drop(connection, plan_id, tx.bases.for_plan(connection, plan_id))


def _forget(tx: Tx, connection: str, client_id: str, at: datetime) -> None:
    """Forget who the client is there, and the problems and related people of that chart."""
    tx.people.unlink(connection, "Patient", client_id)
    for plan in _plans_of(tx, client_id):
        for item in tx.inbox.list(open_only=True, connection=connection, plan_id=plan.id):
            if item.kind == STOPPED:
                tx.inbox.close(item.id, at=at, reason="unlinked", by=None)
        for problem in plan.problems:
            tx.people.unlink(connection, "Condition", f"{plan.id}/{problem.id}")
        for participant in plan.participants:
            tx.people.unlink(connection, "RelatedPerson", participant.ref)


def _plans_of(tx: Tx, client_id: str) -> list[Plan]:
    return [one.plan for one in tx.plans.list() if one.plan.client is not None and one.plan.client.id == client_id]


def chart_of(tx: Tx, connection: str, client_id: str) -> str | None:
    """Return the patient whose chart is being left, or `None` where the client is not being unlinked."""
    kept: Json = tx.cursors.get(connection, scope_of(client_id))
    return kept.get("patient") if isinstance(kept, dict) else None


def finish(tx: Tx, connection: str, client_id: str, at: datetime) -> bool:
    """Forget the patient when nothing of the client stands there any more; return whether that is so."""
    plans = _plans_of(tx, client_id)
    _forget_unfiled(tx, connection, plans)
    if any(tx.links.for_plan(connection, plan.id) or tx.intents.for_plan(connection, plan.id) for plan in plans):
        return False
    tx.cursors.set(connection, scope_of(client_id), {}, at)
    _forget(tx, connection, client_id, at)
    return True
