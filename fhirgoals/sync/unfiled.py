"""The unfiled plan in a run: how it begins, what of it an EHR is compared with, and that nothing of it is ever sent.

Its goals are read and taken from the EHR where each was born; an edit here stays here, with a row in the ledger
(design 5.6). Another EHR is not even compared with them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import get_args

import msgspec

from fhirgoals.domain import codes
from fhirgoals.domain.disclosure import Disclosed, disclose
from fhirgoals.domain.records import Client, Consent, Disclosure, Plan
from fhirgoals.domain.unfiled import PREFIX, is_unfiled, unfiled_id
from fhirgoals.store.tx import Tx
from fhirgoals.sync.decide import Decision
from fhirgoals.sync.merge import Action

TITLE = "Goals of the EHR that are in no plan"

NEVER_EXPORTED = "never_exported"
"""Why an edit here of an unfiled goal goes nowhere."""

_ALL = frozenset(get_args(codes.Sensitivity))
_change = msgspec.structs.replace


def begun(tx: Tx, plan_id: str) -> Plan | None:
    """Return the unfiled plan of that id as it begins, without goals; `None` where no client's has that id.

    Who works with it is taken from the client's first plan, an active one before others.
    """
    if not plan_id.startswith(PREFIX):
        return None
    plans = [one.plan for one in tx.plans.list() if one.plan.client and unfiled_id(one.plan.client.id) == plan_id]
    if not plans:
        return None
    pattern = min(plans, key=lambda one: one.status != "active")
    assert pattern.client is not None  # noqa: S101 (chosen by it; for the type checker)
    known = tx.people.get(pattern.client.id)
    return Plan(
        id=plan_id,
        kind="client_treatment",
        title=TITLE,
        status="active",
        language=pattern.language,
        client=known if isinstance(known, Client) else pattern.client,
        participants=pattern.participants,
    )


def siblings(tx: Tx) -> dict[str, tuple[str, ...]]:
    """Return the ids of each client's plans but the unfiled one, by the id of that one.

    A client whose unfiled plan would have the id of another plan has none.
    """
    found: dict[str, tuple[str, ...]] = {}
    ordinary = [stored.plan for stored in tx.plans.list() if not is_unfiled(stored.plan)]
    for plan in ordinary:
        if plan.client is not None:
            found[unfiled_id(plan.client.id)] = (*found.get(unfiled_id(plan.client.id), ()), plan.id)
    taken = {plan.id for plan in ordinary}
    return {plan_id: plans for plan_id, plans in found.items() if plan_id not in taken}


def where_born(plan: Plan, endpoint: str, on: date, sent_before: frozenset[str]) -> Disclosed:
    """Return an unfiled plan as the EHR named `endpoint` is compared with it: the goals that were born there.

    No consent is asked: it is what that EHR wrote itself, and nothing of it is sent. The rest is projected as of any
    plan, so that what stays with the practice does not look like an edit.
    """
    consent = Consent(id="own", endpoint=endpoint, granted=on, sensitivities=tuple(sorted(_ALL)))
    goals = tuple(
        _change(goal, share="default")
        for goal in plan.goals
        if goal.origin is not None and goal.origin.system == endpoint
    )
    # Under its own id no plan of this kind is disclosed to anybody.
    asked = _change(plan, id=f"{plan.id}@", status="active", goals=goals, disclosure=Disclosure(consents=(consent,)))
    shown = disclose(asked, endpoint, on=on, portal_visible=False, sent_before=sent_before, send_proposed=True)
    if shown.plan is None:
        return Disclosed(_change(asked, id=plan.id, goals=()), (), shown.kept)
    return Disclosed(_change(shown.plan, id=plan.id), shown.goals, shown.kept)


def never_sent(decision: Decision) -> Decision:
    """Return a decision of which nothing is sent: an edit here is not delivered, and nothing is made or taken back."""
    verdicts = {
        unit: replace(one, action=Action.UNDELIVERABLE, why=NEVER_EXPORTED) if one.action is Action.PUSH else one
        for unit, one in decision.verdicts.items()
    }
    waiting = tuple(one for one in decision.waiting if one.kind != "retract")
    return Decision(verdicts=verdicts, waiting=waiting)
