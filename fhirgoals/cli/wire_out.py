"""Maps a plan to the FHIR resources that one connection would get, without a store and without an EHR.

The passes are those of `sync`, with a server that stores what it is given: what is printed is what would be sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from uuid import uuid4

from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.identity import Installation
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Pair, same_value
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.terminology import CANONICAL_BASE
from fhirgoals.fhir.validate import new_faults
from fhirgoals.mappers import stamp
from fhirgoals.store.links import Link
from fhirgoals.sync.call import Call
from fhirgoals.sync.changes import Reading
from fhirgoals.sync.connection import ConnectionConfig
from fhirgoals.sync.outcome import Landed, NotLanded, settle_values
from fhirgoals.sync.preview import Planned
from fhirgoals.sync.reading import Found, There, with_stored
from fhirgoals.sync.reconcile import reconcile
from fhirgoals.sync.view import Key, View, knowledge_of, ours_of, refs_of, there_of, with_bases, with_link

MAPPED_BASE = f"{CANONICAL_BASE}/mapped"
"""What the full URLs of a mapped Bundle begin with; no server is there."""

RELATED = frozenset({"family", "support_person", "legal_representative"})


@dataclass(frozen=True)
class Mapped:
    """What one connection would get of a plan.

    `resources` are its Goals, depth first, and its CarePlan. `kept` says per goal that stays why, `refused` why all
    of it stays. `faults` are rules that a resource would break and is therefore not sent for, by kind and our id.
    """

    resources: tuple[Resource, ...]
    kept: Mapping[str, str]
    refused: str | None = None
    faults: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)


def people_on_wire(plan: Plan, installation: Installation) -> dict[str, str]:
    """Return a reference for every person whom the plan names, each by the wire id that stands for them."""
    found: dict[str, str] = {}
    for participant in plan.participants:
        kind = "RelatedPerson" if participant.role in RELATED else "Practitioner"
        found.setdefault(participant.ref, f"{kind}/{installation.wire_id(kind, '', participant.ref)}")
    if plan.client is not None:
        found[plan.client.id] = f"Patient/{installation.wire_id('Patient', '', plan.client.id)}"
    return found


def problems_on_wire(plan: Plan, installation: Installation) -> dict[str, str]:
    """Return a reference for each problem of the plan."""
    return {
        problem.id: f"Condition/{installation.wire_id('Condition', plan.id, problem.id)}" for problem in plan.problems
    }


async def mapped(
    plan: Plan,
    connection: str,
    installation: Installation,
    *,
    on: date,
    portal_visible: bool = False,
    onto: Iterable[Resource] = (),
) -> Mapped:
    """Return what the connection would get of a plan on a day.

    `onto` are resources that stand there already: those of the plan keep whatever we don't map, the others are left
    out.
    """
    shown = disclose(plan, connection, on=on, portal_visible=portal_visible)
    if shown.plan is None:
        return Mapped((), shown.kept, shown.refused)
    view = _view(plan, connection, installation, portal_visible)
    found = _ours_among(onto, plan, installation)
    view = _over(view, found, on)
    effects = _Stored(uuid4)
    await reconcile(view, Reading(found), effects, datetime.combine(on, time(), UTC))
    bodies = {key: one.tree for key, one in found.items()} | effects.bodies
    order: list[Key] = [*(("Goal", goal) for goal in shown.goals), ("CarePlan", plan.id)]
    kept = dict(shown.kept) | {key[1]: "would_not_be_valid" for key in effects.faults if key[0] == "Goal"}
    return Mapped(tuple(bodies[key] for key in order if key in bodies), kept, None, effects.faults)


def bundle(resources: Iterable[Resource]) -> Resource:
    """Return a Bundle of the resources, as a collection."""
    entries: list[Tree] = [
        {"fullUrl": f"{MAPPED_BASE}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources
    ]
    return {"resourceType": "Bundle", "type": "collection", **({"entry": entries} if entries else {})}


def _view(plan: Plan, connection: str, installation: Installation, portal_visible: bool) -> View:
    return View(
        connection=connection,
        config=ConnectionConfig(base_url=MAPPED_BASE, create="client_id", portal_visible=portal_visible),
        state="armed",
        installation=installation,
        plan=plan,
        rev=1,
        revs={},
        links={},
        bases={},
        intents=(),
        people=people_on_wire(plan, installation),
        problems=problems_on_wire(plan, installation),
    )


def _ours_among(resources: Iterable[Resource], plan: Plan, installation: Installation) -> dict[Key, Found]:
    """Return those resources that stand for this plan or one of its goals: by id, or by our identifier."""
    names: dict[tuple[str, str], Key] = {
        ("Goal", installation.wire_id("Goal", plan.id, goal.id)): ("Goal", goal.id) for goal in plan.goals
    }
    names["CarePlan", installation.wire_id("CarePlan", plan.id, plan.id)] = ("CarePlan", plan.id)
    found: dict[Key, Found] = {}
    for tree in resources:
        kind, resource_id = tree.get("resourceType"), tree.get("id")
        if not isinstance(kind, str) or not isinstance(resource_id, str):
            continue
        marks = [one.value for one in stamp.identifiers(tree) if one.system == installation.identifier_system]
        for mark in (resource_id, *marks):
            key = names.get((kind, mark))
            if key is not None:
                found.setdefault(key, Found(resource_id, tree))
    return found


def _over(view: View, found: Mapping[Key, Found], on: date) -> View:
    """Return the view as if what stands there were agreed, and each of our values that differs were newer."""
    for key, one in found.items():
        view = with_link(view, _link(view, key, one.resource_id))
    if not found:
        return view
    there = there_of(view, found, {}).theirs.assembled.values
    ours = ours_of(view, on).visible
    return replace(
        view,
        bases={unit: Pair(value, value, 0) for unit, value in there.items()},
        revs={unit: 1 for unit, value in ours.items() if not same_value(value, there.get(unit))},
    )


def _link(view: View, key: Key, resource_id: str) -> Link:
    kind, local_id = key
    return Link(
        connection=view.connection,
        kind=kind,
        local_id=local_id,
        plan_id=view.plan.id,
        resource_id=resource_id,
        seen_at=_NEVER_STORED,
    )


_NEVER_STORED = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Stored(Planned):
    """The effects of a preview at a server that gives each resource the id that we ask for; keeps what it got."""

    bodies: dict[Key, Resource] = field(default_factory=dict)
    faults: dict[Key, tuple[str, ...]] = field(default_factory=dict)

    async def send(self, view: View, there: There, call: Call) -> tuple[View, There, Landed | NotLanded]:
        """Take the call as stored, or say which rules it would break."""
        wrong = new_faults(call.before, call.body)
        if wrong:
            self.faults[call.key] = tuple(f"{issue.rule} at {issue.path}: {issue.message}" for issue in wrong)
            return view, there, NotLanded("would_not_be_valid")
        resource_id = call.resource_id or view.installation.wire_id(call.kind, view.plan.id, call.local_id)
        rest = {name: part for name, part in call.body.items() if name not in ("resourceType", "id")}
        body: Resource = {"resourceType": call.kind, "id": resource_id, **rest}
        self.bodies[call.key] = body
        found = Found(resource_id, body, call.etag)
        linked = with_link(view, _link(view, call.key, resource_id))
        after = with_stored(there, call.key, found, refs_of(linked), knowledge_of(linked))
        return with_bases(linked, settle_values(view, after, call.units)), after, Landed()
