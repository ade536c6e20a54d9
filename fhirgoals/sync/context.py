"""Who runs a connection, and with what; and what a server made of a write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from fhirgoals.fhir.answers import Stored
from fhirgoals.fhir.client import EhrClient
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.decide import Kind
from fhirgoals.sync.reading import Found

LEASE_S = 30.0
"""How long a connection's lease is taken for; it is renewed with every plan and every call. After a process died its
connection is free again when that time has passed."""


@dataclass(frozen=True)
class Context:
    """Who runs, on which connection, with which clock: what every write of a run needs."""

    connection: str
    store: AsyncStore
    client: EhrClient
    fence: int
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]

    def today(self) -> date:
        """Return the day by the run's clock."""
        return self.clock().date()


async def stored_as(client: EhrClient, kind: Kind, resource_id: str | None, answer: Stored) -> Found | None:
    """Return what the server stored: from its reply, else from a read of that very version; `None` = not known."""
    if resource_id is None:
        return None
    if answer.tree is not None:
        return Found(resource_id, answer.tree, answer.etag, answer.version)
    again = await client.read(kind, resource_id)
    if isinstance(again, Stored) and again.tree is not None and answer.etag in (None, again.etag):
        return Found(resource_id, again.tree, again.etag, again.version)
    return None
