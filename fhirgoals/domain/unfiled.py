"""A client's unfiled plan: goals of an EHR that no plan of ours lists there (design 5.6). It is never exported.

It is known by its id alone, so that no field that a person may edit can let it out.
"""

from __future__ import annotations

import hashlib

from fhirgoals.domain.records import Plan

PREFIX = "unfiled-"
_LONGEST_ID = 64


def unfiled_id(client_id: str) -> str:
    """Return the id of a client's unfiled plan; of a client whose id is too long for that, one made from its hash."""
    plan_id = PREFIX + client_id
    return plan_id if len(plan_id) <= _LONGEST_ID else PREFIX + hashlib.sha256(client_id.encode()).hexdigest()[:40]


def is_unfiled(plan: Plan) -> bool:
    """Tell whether a plan is the unfiled one of its client."""
    return plan.client is not None and plan.id == unfiled_id(plan.client.id)
