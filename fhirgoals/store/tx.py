"""One transaction: the repositories over one database connection. All of it is written, or nothing."""

from __future__ import annotations

from functools import cached_property

import sqlalchemy as sa

from fhirgoals.store.connections import Connections
from fhirgoals.store.inbox import Inbox
from fhirgoals.store.intents import Intents
from fhirgoals.store.journal import Audit, Ledger, Runs
from fhirgoals.store.links import Bases, Links
from fhirgoals.store.marks import Cursors, Dirty
from fhirgoals.store.people import People
from fhirgoals.store.plans import Plans


class Tx:
    """The repositories of one open transaction; not usable after its `with` block."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @cached_property
    def plans(self) -> Plans:
        """Plans with every revision."""
        return Plans(self._connection)

    @cached_property
    def people(self) -> People:
        """Clients, staff, related persons, and who they are at each connection."""
        return People(self._connection)

    @cached_property
    def connections(self) -> Connections:
        """Connections: configuration, state, lease."""
        return Connections(self._connection)

    @cached_property
    def links(self) -> Links:
        """Which resource at a connection stands for what of ours, as last read."""
        return Links(self._connection)

    @cached_property
    def bases(self) -> Bases:
        """Both sides' values at the last agreement of each merge unit."""
        return Bases(self._connection)

    @cached_property
    def intents(self) -> Intents:
        """Calls that may have reached an EHR and are not settled."""
        return Intents(self._connection)

    @cached_property
    def inbox(self) -> Inbox:
        """What waits for a person."""
        return Inbox(self._connection)

    @cached_property
    def ledger(self) -> Ledger:
        """What changed here and was not deliverable."""
        return Ledger(self._connection)

    @cached_property
    def dirty(self) -> Dirty:
        """Plans to look at, per connection."""
        return Dirty(self._connection)

    @cached_property
    def cursors(self) -> Cursors:
        """Where reading changes from a connection stands."""
        return Cursors(self._connection)

    @cached_property
    def audit(self) -> Audit:
        """Who did what, append-only."""
        return Audit(self._connection)

    @cached_property
    def runs(self) -> Runs:
        """Runs with their counts."""
        return Runs(self._connection)
