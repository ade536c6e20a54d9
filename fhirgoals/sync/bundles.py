"""Which calls of a phase go as one transaction, and what was learnt of a server that takes none (design 5.7).

A server that refuses Bundles is asked again after a day. One that answered and had not done all or nothing is not asked
again: what a Bundle left half done there would look like somebody's edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fhirgoals.fhir.transaction import MOST
from fhirgoals.store.tx import Tx
from fhirgoals.sync.call import Call
from fhirgoals.sync.unversioned import usable
from fhirgoals.sync.view import View

AGAIN = timedelta(days=1)
"""When a server that refused a Bundle is sent one again."""

ONE_BY_ONE = "one_by_one"
"""The audit's line for a server that is told to take transactions and does not."""

NOTE = "takes no transactions: what belonged together was sent one by one; add it again without `transactions`"
"""What a person is told then."""

_SCOPE = "transactions"


def groups(view: View, calls: Sequence[Call]) -> list[tuple[Call, ...]]:
    """Return the calls of a phase as they are sent: those of one tuple as one transaction.

    Alone go deletes (HAPI ignores a stale If-Match there, measured), what no ETag holds to a version, and creates under
    an id of ours: HAPI and Medplum overwrite in spite of a Bundle's `ifNoneMatch` (measured), and heed the header.
    """
    if not view.together:
        return [(call,) for call in calls]
    held = view.config.create != "client_id"
    joint = [call for call in calls if call.way != "delete" and (held if call.creates else usable(view, call.etag))]
    whole = [tuple(joint[start : start + MOST]) for start in range(0, len(joint), MOST)]
    return [*whole, *((call,) for call in calls if call not in joint)]


def with_together(tx: Tx, view: View, now: datetime) -> View:
    """Return the view with whether its connection takes several calls as one now."""
    known = tx.cursors.get(view.connection, _SCOPE)
    until = known.get("until", "") if isinstance(known, dict) and known else None
    refused = until is not None and (not isinstance(until, str) or not until or datetime.fromisoformat(until) > now)
    return replace(view, together=view.config.transactions == "atomic" and not refused)


def learn_refused(tx: Tx, view: View, status: int, at: datetime) -> None:
    """Keep that a server takes no Bundle, for a day."""
    _learn(tx, view, {"until": (at + AGAIN).isoformat()}, status, at)


def learn_halves(tx: Tx, view: View, at: datetime) -> None:
    """Keep that a server does not do all or nothing, for good."""
    _learn(tx, view, {"until": ""}, 200, at)


def _learn(tx: Tx, view: View, known: dict[str, str], status: int, at: datetime) -> None:
    tx.cursors.set(view.connection, _SCOPE, {**known}, at)
    tx.audit.write(
        at=at,
        actor="sync",
        action=ONE_BY_ONE,
        connection=view.connection,
        plan_id=view.plan.id,
        detail={"status": status},
    )
