"""Sends one call, with the last look immediately before each attempt: pause, withholding, consent and our revision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from fhirgoals.fhir.answers import Answer, Refused, Stale, Stored
from fhirgoals.fhir.client import EhrClient, MaySend
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.transaction import Entry, bundle_of
from fhirgoals.store.intents import Intent
from fhirgoals.store.tx import Tx
from fhirgoals.sync.call import Call
from fhirgoals.sync.context import Context
from fhirgoals.sync.narratives import note_narrative
from fhirgoals.sync.rows import body_of
from fhirgoals.sync.view import View, content_hash, disclosed, may_be_there


async def send_call(context: Context, view: View, call: Call, body: Resource, intent: Intent) -> Answer:
    """Return what the EHR answered to a call; `NotSent` where the last look forbade it."""
    client = context.client
    may_send = _last_look(context, view, [(call, intent)])
    if call.way == "delete":
        # HAPI ignores a stale If-Match on DELETE (measured): the version is looked at right before.
        if not await _unmoved(client, call):
            return Stale(412)
        answer = await client.delete(call.kind, call.resource_id or "", call.etag, may_send=may_send)
        if isinstance(answer, Stale) and await _unmoved(client, call):
            return Refused(answer.status, answer.issues)  # it is as it was: something there refers to it
        return answer
    if not call.creates and call.resource_id is not None:
        if (call.etag is None or not view.trusted) and not await _unmoved(client, call):
            return Stale(412)
        return await client.update(call.kind, call.resource_id, body, call.etag, may_send=may_send)
    wire_id = view.installation.wire_id(call.kind, view.plan.id, call.local_id)
    if view.config.create == "client_id":
        return await client.create(call.kind, {**body, "id": wire_id}, client_id=wire_id, may_send=may_send)
    return await client.create(call.kind, body, if_none_exist=_search(view, wire_id), may_send=may_send)


async def send_bundle(
    context: Context, view: View, calls: Sequence[tuple[Call, Intent]]
) -> tuple[tuple[Entry, ...], Answer]:
    """Send calls as one transaction; return its entries and what the EHR answered to the whole.

    The last look is taken at all of them: one that may no longer go keeps back the others too (`NotSent`).
    """
    entries = tuple(_entry(view, call, intent) for call, intent in calls)
    may_send = _last_look(context, view, calls)
    return entries, await context.client.transact(bundle_of(entries), len(entries), may_send=may_send)


def _entry(view: View, call: Call, intent: Intent) -> Entry:
    body = body_of(intent)
    if not call.creates:
        return Entry(call.kind, body, call.resource_id, call.etag)
    wire_id = view.installation.wire_id(call.kind, view.plan.id, call.local_id)
    if view.config.create == "client_id":
        return Entry(call.kind, {**body, "id": wire_id}, wire_id)
    return Entry(call.kind, body, search=_search(view, wire_id), full_url=f"urn:uuid:{intent.id}")


def _search(view: View, wire_id: str) -> str:
    return f"identifier={view.installation.identifier_system}|{wire_id}"


async def versions_left(client: EhrClient, call: Call) -> int | None:
    """Return how many older versions with content the server's history still shows; the report names them."""
    versions = await client.history(call.kind, call.resource_id or "")
    if versions is None:
        return None
    shown = sum(one.tree is not None for one in versions)
    return shown if call.way == "delete" else max(shown - 1, 0)


async def _unmoved(client: EhrClient, call: Call) -> bool:
    """Tell whether a resource without an ETag is still as it was read: all that can be done on such a server."""
    answer = await client.read(call.kind, call.resource_id or "")
    if not isinstance(answer, Stored) or answer.tree is None or call.before is None:
        return False
    return content_hash(answer.tree) == content_hash(call.before)


def _is_shown_alike(view: View, decided: date | None, today: date) -> bool:
    """Tell whether the connection may see the same today as on the day that a call goes by: no consent turned since."""
    return decided is not None and (decided == today or disclosed(view, decided) == disclosed(view, today))


def _last_look(context: Context, view: View, calls: Sequence[tuple[Call, Intent]]) -> MaySend:
    async def may_send() -> bool:
        def look(tx: Tx) -> bool:
            known = tx.connections.get(view.connection)
            stored = tx.plans.get(view.plan.id)
            if known is None or known.state != "armed" or stored is None or stored.rev != view.rev:
                return False
            today = context.today()
            for call, _ in calls:
                if may_be_there(view, call.key, today) != (call.way == "write"):
                    return False  # what may not be there is not sent; what may be there again is not taken back
                if call.way == "write" and not _is_shown_alike(view, call.decided, today):
                    return False  # it may say something of another goal, in a reference, a step or the narrative
            at = context.clock()
            for call, intent in calls:
                tx.intents.mark_sent(intent.id, at)
                note_narrative(tx, view.connection, view.plan.id, call, body_of(intent), at)
            return True

        return await context.store.write(look)

    return may_send
