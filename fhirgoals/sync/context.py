"""Who runs a connection, and with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from fhirgoals.fhir.client import EhrClient
from fhirgoals.store.threads import AsyncStore

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
