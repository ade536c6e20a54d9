"""Rows of the store as sync writes them: intents, links and inbox items, from what a run knows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from fhirgoals.domain.records import Origin, Plan
from fhirgoals.domain.units import Pair, Unit, same_value, touched
from fhirgoals.fhir.exact_json import Resource, loads
from fhirgoals.store.inbox import Item
from fhirgoals.store.intents import Intent
from fhirgoals.store.links import Link
from fhirgoals.store.tx import Tx
from fhirgoals.sync.call import Call, Sent
from fhirgoals.sync.decide import Kind, Waiting
from fhirgoals.sync.merge import Verdict
from fhirgoals.sync.reading import Found
from fhirgoals.sync.view import MAPPER_VERSION, Key, View, content_hash, raw_text

WHO_MAY: tuple[str, ...] = ("primary_therapist", "clinical_supervisor")
"""Who settles conflicts and proposals (domain reference, section 4)."""


def intent_of(view: View, call: Call, body: Resource, operation: UUID, *, fence: int, at: datetime) -> Intent:
    """Return the intent of one call, as tx1 keeps it. The hash is of the call's body, without the operation id."""
    return Intent(
        id=str(operation),
        connection=view.connection,
        plan_id=view.plan.id,
        kind=call.kind,
        local_id=call.local_id,
        method="delete" if call.way == "delete" else "create" if call.creates else "update",
        resource_id=call.resource_id,
        etag=call.etag,
        units={
            unit: {"ours": one.ours, "rev": one.rev, "complete": one.complete, "left": list(one.left)}
            for unit, one in call.units.items()
        },
        body="" if call.way == "delete" else raw_text(body),
        body_hash=hashlib.sha256(raw_text(call.body).encode()).hexdigest(),
        opened_at=at,
        fence=fence,
    )


def body_of(intent: Intent) -> Resource:
    """Return the body that an intent carried."""
    tree = loads(intent.body) if intent.body else {}
    return tree if isinstance(tree, dict) else {}


def sent_units(intent: Intent) -> dict[Unit, Sent]:
    """Return what an intent carried, as the call had it."""
    return {
        Unit(*unit): Sent(value.get("ours"), int(value["rev"]), bool(value["complete"]), tuple(value.get("left", ())))
        for unit, value in intent.units.items()
    }


def link_of(
    view: View, kind: Kind, local_id: str, found: Found, at: datetime, state: Literal["ok", "withheld"] = "ok"
) -> Link:
    """Return the link of a resource as it was just read or stored; `withheld` = ours was taken out of it."""
    return Link(
        connection=view.connection,
        kind=kind,
        local_id=local_id,
        plan_id=view.plan.id,
        resource_id=found.resource_id,
        etag=found.etag,
        version=found.version,
        raw=raw_text(found.tree),
        raw_hash=content_hash(found.tree),
        mapper_version=MAPPER_VERSION,
        state=state,
        seen_at=at,
    )


def item_of(view: View, waiting: Waiting, at: datetime) -> Item:
    """Return the inbox item of something that waits."""
    return Item(
        kind=waiting.kind,
        connection=view.connection,
        plan_id=view.plan.id,
        owner=waiting.owner,
        unit=waiting.unit or None,
        base=waiting.base,
        ours=waiting.ours,
        theirs=waiting.theirs,
        why=waiting.why,
        who_may=() if waiting.kind == "guard" else WHO_MAY,  # the guard is for an operator to clear
        opened_at=at,
    )


def keep_items(
    tx: Tx, view: View, waiting: Sequence[Waiting], not_judged: Collection[Unit], at: datetime
) -> tuple[int, int]:
    """Raise what waits and close what no longer does; return (new items, open items).

    What a person decided while the run was under way is not asked again: the next run judges it.
    """
    now = tx.bases.for_plan(view.connection, view.plan.id)
    items = [item_of(view, one, at) for one in waiting if not _decided(view, now, one)]
    new = sum(tx.inbox.raise_(item) for item in items)
    keys = [item.key for item in items]
    tx.inbox.close_missing(view.connection, view.plan.id, keys, at, keep_units=not_judged)
    return new, len(items)


def _decided(view: View, now: Mapping[Unit, Pair], waiting: Waiting) -> bool:
    """Tell whether the pair of what waits is no longer the one that was judged: nobody but a person moves it so."""
    if waiting.kind not in ("conflict", "proposal"):
        return False
    unit = Unit(waiting.owner, waiting.unit)
    then, pair = view.bases.get(unit), now.get(unit)
    if pair is None or then is None:
        return pair is not None
    return pair.rev != then.rev or not same_value(pair.theirs, then.theirs)


def note_losing_value(tx: Tx, view: View, verdict: Verdict, at: datetime) -> None:
    """Keep a value that lost, or was ignored, in the history: as an item that is closed already, once."""
    seen = verdict.seen
    item = Item(
        kind="history",
        connection=view.connection,
        plan_id=view.plan.id,
        owner=seen.unit.owner,
        unit=seen.unit.name or None,
        base=None if seen.pair is None else seen.pair.ours,
        ours=seen.ours,
        theirs=seen.theirs,
        why=verdict.why,
        who_may=WHO_MAY,
        opened_at=at,
        closed_at=at,
        close_reason=verdict.why,
    )
    if not tx.inbox.keeps(item):
        tx.inbox.raise_(item)


def origin_of(view: View, found: Mapping[Key, Found], unit: Unit) -> Origin:
    """Return where a unit's value came from: the connection, the resource there and its version."""
    key: Key = ("CarePlan", unit.owner) if unit.owner == view.plan.id else ("Goal", unit.owner)
    one = found.get(key)
    return Origin(
        system=view.connection,
        resource=f"{key[0]}/{one.resource_id}" if one else None,
        version=one.version if one else None,
    )


def at_revision(pairs: Mapping[Unit, Pair], rev: int) -> dict[Unit, Pair]:
    """Return the pairs as agreed at that revision of ours."""
    return {unit: Pair(pair.ours, pair.theirs, rev) for unit, pair in pairs.items()}


def save_external(tx: Tx, view: View, plan: Plan, at: datetime) -> int:
    """Save our record with what came from the EHR, if it is still the one read; return its revision."""
    return tx.plans.save(
        plan,
        expect=view.rev or None,
        by=view.connection,
        reason="external_edit",
        at=at,
        touched=touched(view.plan if view.rev else None, plan),
        origin=view.connection,
    )
