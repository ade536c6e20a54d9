"""The first run after arming writes only a few plans: what it made of them is looked at before the rest goes (5.13).

The limit holds until a run that wrote something has ended: a run that found the EHR away does not use it up, and one
whose process died goes on with what is left of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store.tx import Tx

SCOPE = "first"
"""The scope under which the limit is kept."""

DEFAULT = 5
"""How many plans the first run writes where nobody says otherwise."""


@dataclass(frozen=True)
class First:
    """How many plans may be written, `None` = all, and those that were."""

    limit: int | None = None
    plans: frozenset[str] = frozenset()

    def holds_back(self, plan_id: str) -> bool:
        """Tell whether a plan is left for a later run."""
        return self.limit is not None and plan_id not in self.plans and len(self.plans) >= self.limit

    def with_plan(self, plan_id: str) -> First:
        """Return it with one more plan that was written."""
        return First(self.limit, self.plans | {plan_id})


def first_of(tx: Tx, connection: str) -> First:
    """Return the limit of a connection's next run."""
    kept = tx.cursors.get(connection, SCOPE)
    if not isinstance(kept, dict) or not isinstance(kept.get("limit"), int):
        return First()
    limit, plans = kept["limit"], kept.get("plans")
    assert isinstance(limit, int)  # noqa: S101 (seen above; for the type checker)
    return First(limit, frozenset(map(str, plans if isinstance(plans, list) else ())))


def keep(tx: Tx, connection: str, first: First, at: datetime) -> None:
    """Keep the limit for the next run."""
    plans: list[Tree] = [*sorted(first.plans)]
    tx.cursors.set(connection, SCOPE, {} if first.limit is None else {"limit": first.limit, "plans": plans}, at)
