"""Finds resources that are ours by our identifier and that no link knows, as after a store was restored (design 5.13).

By identifier alone, never by words. What is found is proposed; a person links it. A link comes without agreed values,
so the next run judges each field: equal ones are agreed, others are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias

from fhirgoals.domain.identity import Installation
from fhirgoals.domain.records import Plan
from fhirgoals.errors import Refused
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import stamp
from fhirgoals.store.threads import AsyncStore
from fhirgoals.store.tx import Tx
from fhirgoals.sync.changes import found_of, read_plan
from fhirgoals.sync.context import LEASE_S
from fhirgoals.sync.patient import doubt_about
from fhirgoals.sync.rows import link_of
from fhirgoals.sync.subject import wrong_subject
from fhirgoals.sync.view import Key, View, disclosed, load_view, refs_of

Why: TypeAlias = Literal[
    "identifier", "unknown_identifier", "two_identifiers", "several_resources", "linked_already", "other_patient"
]


@dataclass(frozen=True)
class Candidate:
    """A resource with our identifier and no link. `why` is `identifier` where it is proposed; the others are held.

    `local_id` and `plan_id` are of what it stands for, absent where that is not known.
    """

    kind: Literal["Goal", "CarePlan"]
    resource_id: str
    why: Why
    local_id: str | None = None
    plan_id: str | None = None
    tree: Resource = field(default_factory=dict, repr=False)

    @property
    def proposed(self) -> bool:
        """Whether it is surely the one that `local_id` names."""
        return self.why == "identifier"


async def propose(
    store: AsyncStore, client: EhrClient, connection: str, clock: Callable[[], datetime]
) -> list[Candidate]:
    """Return what stands there with our identifier and no link, in the charts of which anything may be read.

    Raises `RemoteError` where the EHR does not answer.
    """
    installation = store.store.installation
    plans = [stored.plan for stored in await store.read(lambda tx: tx.plans.list())]
    known = _wire_ids(plans, installation)
    found: dict[tuple[str, str], Candidate] = {}
    taken: set[Key] = set()
    for plan in plans:
        view = await _view(store, connection, plan.id)
        patient = view.patient
        if patient is None or view.leaving or (not view.links and disclosed(view, clock().date()).plan is None):
            continue
        taken |= view.links.keys()
        strays = (await read_plan(client, view, patient)).strays
        same = not strays or await doubt_about(client, view, patient) is None
        for tree in strays:
            one = _candidate(tree, known, installation)
            owner = next((each for each in plans if each.id == one.plan_id), None)
            ours = same and wrong_subject(tree, patient, refs_of(view)) is None
            if owner is not None and not (ours and _same_client(owner, plan)):
                one = replace(one, why="other_patient")
            found.setdefault((one.kind, one.resource_id), one)
    linked = await store.read(lambda tx: _linked(tx, connection, found))
    return [_judged(one, list(found.values()), taken) for key, one in found.items() if key not in linked]


def link(
    tx: Tx,
    installation: Installation,
    connection: str,
    candidates: Sequence[Candidate],
    *,
    by: str,
    at: datetime,
    owner: str,
) -> int:
    """Link those that are proposed; return how many. What was linked or unlinked meanwhile is left out.

    Raises `Refused` while another process works the connection. Call inside a transaction.
    """
    fence = tx.connections.acquire(connection, owner, LEASE_S, at)
    if fence is None:
        raise Refused(f"connection {connection} is being worked by another process: wait until it is done")
    linked = 0
    for one in candidates:
        if not one.proposed or one.plan_id is None or one.local_id is None or tx.plans.get(one.plan_id) is None:
            continue
        view = load_view(tx, connection, one.plan_id, installation)
        free = (one.kind, one.local_id) not in view.links
        if not free or view.patient is None or tx.links.by_resource(connection, one.kind, one.resource_id):
            continue
        tx.links.put(link_of(view, one.kind, one.local_id, found_of(one.resource_id, one.tree), at))
        # What was read is no edit, so nothing but a mark brings the next run to judge it.
        tx.dirty.mark(one.plan_id, connection, why="match", at=at)
        linked += 1
    tx.audit.write(at=at, actor=by, action="match", connection=connection, detail={"linked": linked})
    tx.connections.release(connection, fence)
    return linked


def _wire_ids(plans: Sequence[Plan], installation: Installation) -> dict[tuple[str, str], tuple[str, str]]:
    """Return which plan and thing of ours each identifier value stands for, by kind."""
    known = {}
    for plan in plans:
        known["CarePlan", installation.wire_id("CarePlan", plan.id, plan.id)] = (plan.id, plan.id)
        for goal in plan.goals:
            known["Goal", installation.wire_id("Goal", plan.id, goal.id)] = (plan.id, goal.id)
    return known


def _candidate(tree: Resource, known: dict[tuple[str, str], tuple[str, str]], installation: Installation) -> Candidate:
    kind: Literal["Goal", "CarePlan"] = "CarePlan" if tree.get("resourceType") == "CarePlan" else "Goal"
    resource_id = str(tree["id"])
    values = {one.value for one in stamp.identifiers(tree) if one.system == installation.identifier_system}
    ours = {known[kind, value] for value in values if (kind, value) in known}
    if len(values) > 1:
        return Candidate(kind, resource_id, "two_identifiers", tree=tree)
    if not ours:
        return Candidate(kind, resource_id, "unknown_identifier", tree=tree)
    [(plan_id, local_id)] = ours
    return Candidate(kind, resource_id, "identifier", local_id, plan_id, tree)


def _same_client(one: Plan, other: Plan) -> bool:
    return one.client is not None and other.client is not None and one.client.id == other.client.id


def _judged(one: Candidate, everything: Sequence[Candidate], taken: Collection[Key]) -> Candidate:
    """Hold what something else stands for already, and what two resources claim to be."""
    if not one.proposed or one.local_id is None:
        return one
    if (one.kind, one.local_id) in taken:
        return replace(one, why="linked_already")
    several = [each for each in everything if (each.kind, each.local_id) == (one.kind, one.local_id)]
    return replace(one, why="several_resources") if len(several) > 1 else one


def _linked(tx: Tx, connection: str, found: dict[tuple[str, str], Candidate]) -> set[tuple[str, str]]:
    """Return those that another plan of the same client is linked to."""
    return {
        key for key, one in found.items() if tx.links.by_resource(connection, one.kind, one.resource_id) is not None
    }


async def _view(store: AsyncStore, connection: str, plan_id: str) -> View:
    installation = store.store.installation
    return await store.read(lambda tx: load_view(tx, connection, plan_id, installation))
