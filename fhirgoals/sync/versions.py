"""Servers whose versions say nothing: one that answers a change with the version of before can't be held to an ETag.

So is one that shows no ETag at all: it may not look at If-Match either (OpenEMR does not, its issue 12378). It is
learnt from the first such answer, and kept per connection. From then on a resource is read again right before it is
written, and a call in doubt is known by its content.
"""

from __future__ import annotations

from datetime import datetime

from fhirgoals.store.tx import Tx

_SCOPE = "versions"


def trusted(tx: Tx, connection: str) -> bool:
    """Tell whether a version has moved with every change so far."""
    return not tx.cursors.get(connection, _SCOPE)


def distrust(tx: Tx, connection: str, at: datetime) -> None:
    """Keep that this server's versions say nothing of what a call was built on."""
    tx.cursors.set(connection, _SCOPE, {"trusted": False}, at)


def stayed(sent: str | None, answered: str | None) -> bool:
    """Tell whether a change did not move the version: the ETag in the answer is the one that was sent."""
    return sent is not None and sent == answered


def learn(tx: Tx, connection: str, sent: str | None, answered: str | None, at: datetime) -> None:
    """Keep that a change did not move the version, where it did not."""
    if stayed(sent, answered) and trusted(tx, connection):
        distrust(tx, connection, at)
