"""Sends one call, with the last look immediately before each attempt: pause, withholding, consent and our revision."""

from __future__ import annotations

from fhirgoals.fhir.answers import Answer, Stale, Stored
from fhirgoals.fhir.client import EhrClient, MaySend
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.store.intents import Intent
from fhirgoals.store.tx import Tx
from fhirgoals.sync.call import Call
from fhirgoals.sync.context import Context
from fhirgoals.sync.view import View, content_hash, may_be_there


async def send_call(context: Context, view: View, call: Call, body: Resource, intent: Intent) -> Answer:
    """Return what the EHR answered to a call; `NotSent` where the last look forbade it."""
    client = context.client
    may_send = _last_look(context, view, call, intent)
    if call.way == "delete":
        # HAPI ignores a stale If-Match on DELETE (measured): the version is looked at right before.
        if not await _unmoved(client, call):
            return Stale(412)
        return await client.delete(call.kind, call.resource_id or "", call.etag, may_send=may_send)
    if not call.creates and call.resource_id is not None:
        if (call.etag is None or not view.trusted) and not await _unmoved(client, call):
            return Stale(412)
        return await client.update(call.kind, call.resource_id, body, call.etag, may_send=may_send)
    wire_id = view.installation.wire_id(call.kind, view.plan.id, call.local_id)
    if view.config.create == "client_id":
        return await client.create(call.kind, {**body, "id": wire_id}, client_id=wire_id, may_send=may_send)
    query = f"identifier={view.installation.identifier_system}|{wire_id}"
    return await client.create(call.kind, body, if_none_exist=query, may_send=may_send)


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


def _last_look(context: Context, view: View, call: Call, intent: Intent) -> MaySend:
    async def may_send() -> bool:
        def look(tx: Tx) -> bool:
            known = tx.connections.get(view.connection)
            stored = tx.plans.get(view.plan.id)
            if known is None or known.state != "armed" or stored is None or stored.rev != view.rev:
                return False
            if may_be_there(view, call.key, context.today()) != (call.way == "write"):
                return False  # what may not be there is not sent; what may be there again is not taken back
            tx.intents.mark_sent(intent.id, context.clock())
            return True

        return await context.store.write(look)

    return may_send
