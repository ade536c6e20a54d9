"""Creates that were not found, so that another one of the same goal went out: each may still come late.

Where identifiers are dropped such a second one is known by its words alone, and somebody may have reworded it before
anybody here saw it: what it said when it was first stored tells. That is asked for only while one may come.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

from fhirgoals.domain.units import Json
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.store.intents import Intent
from fhirgoals.store.links import LinkKind
from fhirgoals.store.tx import Tx
from fhirgoals.sync.changes import Reading, may_be_ours, name_of, reported_as_twice, words_of
from fhirgoals.sync.recover import LATEST
from fhirgoals.sync.rows import body_of
from fhirgoals.sync.view import View


def give_up(tx: Tx, intent: Intent, at: datetime) -> None:
    """Close a create for which another goes out, and note what it said (a digest of it) until it is too old to come."""
    tx.intents.close(intent.id)
    said = _said(body_of(intent))
    if said is not None:
        row: list[Json] = [intent.kind, intent.local_id, said, (at + LATEST).isoformat()]
        kept: Json = [*_rows(tx, intent.connection, intent.plan_id), row]
        tx.cursors.set(intent.connection, _scope(intent.plan_id), kept, at)


def forget_old(tx: Tx, connection: str, plan_id: str, at: datetime) -> None:
    """Forget what is too old to come; call once the plan was looked at."""
    rows = _rows(tx, connection, plan_id)
    kept: Json = [row for row in rows if datetime.fromisoformat(str(row[3])) >= at]
    if kept != rows:
        tx.cursors.set(connection, _scope(plan_id), kept, at)


def noted(tx: Tx, view: View, reading: Reading) -> Reading:
    """Return the reading with what is known of creates that were given up: what they said, and what was reported.

    An unfiled plan is told of those of the client's other plans.
    """
    if not any(map(may_be_ours, (*(one.tree for one in reading.found.values()), *reading.others))):
        return reading  # what is ours bears our identifier there: what does not is not ours
    late = reported_as_twice(tx, view.connection, view.siblings)
    return replace(reading, late=late, given_up=_linked(tx, view, view.siblings or (view.plan.id,)))


async def with_late(client: EhrClient, reading: Reading) -> Reading:
    """Return the reading with the names of those that a create of ours made which was given up.

    Where there is no history what stands there now counts as what was stored. Raises `RemoteError` where the EHR does
    not answer.
    """
    late = reading.late
    for tree in (*reading.born, *reading.care_plans) if reading.given_up else ():
        name = name_of(tree)
        if may_be_ours(tree) and name not in late | reading.reported:
            first = await _first(client, tree)
            if not reading.given_up.isdisjoint({_said(tree), _said(first)}):
                late |= {name}
    return replace(reading, late=late)


async def _first(client: EhrClient, tree: Resource) -> Resource:
    """Return a resource as it was first stored."""
    versions = await client.history(str(tree["resourceType"]), str(tree["id"])) or ()
    trees = [one.tree for one in versions if one.tree is not None]
    return trees[-1] if trees else tree


def _linked(tx: Tx, view: View, plans: tuple[str, ...]) -> frozenset[str]:
    """Return what was said of things that are linked by now: of others `recover` takes over the one that came."""
    rows = [row for plan_id in plans for row in _rows(tx, view.connection, plan_id)]
    kinds: dict[str, LinkKind] = {"Goal": "Goal", "CarePlan": "CarePlan"}
    return frozenset(
        str(said) for kind, local_id, said, _ in rows if tx.links.get(view.connection, kinds[str(kind)], str(local_id))
    )


def _rows(tx: Tx, connection: str, plan_id: str) -> list[list[Json]]:
    kept: Json = tx.cursors.get(connection, _scope(plan_id))
    return kept if isinstance(kept, list) else []


def _said(tree: Resource) -> str | None:
    words = words_of(tree)
    return None if words is None else hashlib.sha256("\n".join(words).encode()).hexdigest()


def _scope(plan_id: str) -> str:
    return f"given_up:{plan_id}"
