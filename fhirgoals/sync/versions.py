"""Servers whose versions say nothing: one that answers a change with the version of before can't be held to an ETag.

It is learnt from the first such answer, and kept per connection. From then on a resource is read again right before it
is written, and a call in doubt is known by its content.
"""

from __future__ import annotations

from datetime import datetime

from fhirgoals.store.tx import Tx

_SCOPE = "versions"


def trusted(tx: Tx, connection: str) -> bool:
    """Tell whether a version has moved with every change so far."""
    return not tx.cursors.get(connection, _SCOPE)


def learn(tx: Tx, connection: str, sent: str | None, answered: str | None, at: datetime) -> None:
    """Keep that a change did not move the version, where the ETag in the answer is the one that was sent."""
    if sent is not None and sent == answered and trusted(tx, connection):
        tx.cursors.set(connection, _SCOPE, {"trusted": False}, at)
