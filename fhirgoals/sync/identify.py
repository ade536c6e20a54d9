"""Finds out who is who at a connection: clients, staff, related people and problems, by identifier alone.

Never on a name. A match with another birth date, or several matches, is held for a person. What is found is proposed;
`confirm` makes it a link, and only linked people and problems are ever named to the EHR (design 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.identity import Installation
from fhirgoals.domain.records import Identifier, Plan
from fhirgoals.errors import Refused
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import stamp
from fhirgoals.mappers.refs import Refs
from fhirgoals.store.people import IdentityKind, IdentityLink, IdentityStatus
from fhirgoals.store.threads import AsyncStore
from fhirgoals.store.tx import Tx
from fhirgoals.sync.connection import ConnectionConfig, config_of


@dataclass(frozen=True)
class Wanted:
    """Someone or something that a plan names and that should be found at the EHR."""

    kind: IdentityKind
    local_id: str
    identifiers: tuple[Identifier, ...]
    birth_date: date | None = None
    patient_of: str | None = None
    by_hand: bool = False


@dataclass(frozen=True)
class Match:
    """What was found for one of them; `reference` is absent where nothing or too much was."""

    kind: IdentityKind
    local_id: str
    status: Literal["linked", "proposed", "held", "missing"]
    reference: str | None = None
    why: str = ""


def link_identifier(installation: Installation, kind: IdentityKind, local_id: str) -> Identifier:
    """Return our own identifier for a person (`client-101`) or problem (`plan-dep-01/pr-1`): no readable id in it."""
    plan_id, _, problem = local_id.rpartition("/")
    value = installation.wire_id(kind, plan_id, problem)
    return Identifier(system=installation.identifier_system, value=value)


def fingerprint(identifier: Identifier, birth_date: str | None) -> str:
    """Return the mark that a linked patient must still bear: the identifier and the birth date it was found with."""
    text = "\0".join((identifier.system, identifier.value, birth_date or ""))
    return hashlib.sha256(text.encode()).hexdigest()


def still_the_same(patient: Resource, mark: str) -> bool:
    """Tell whether a Patient still bears the fingerprint that it was linked with, by an identifier still in use."""
    born, listed = patient.get("birthDate"), patient.get("identifier")
    used = (
        [one for one in listed if isinstance(one, dict) and one.get("use") != "old"] if isinstance(listed, list) else []
    )
    return any(
        fingerprint(one, born if isinstance(born, str) else None) == mark
        for one in stamp.identifiers({"identifier": [*used]})
    )


def replaced(patient: Resource) -> bool:
    """Tell whether a Patient says that another one took its place."""
    links = patient.get("link")
    found = links if isinstance(links, list) else []
    return any(isinstance(one, dict) and one.get("type") == "replaced-by" for one in found)


def known_there(one: Wanted, identifiers: Iterable[Identifier], patient: str | None) -> Resource:
    """Return a resource as an EHR has it that knows someone by these identifiers, and tells no name and no code.

    `patient` is the reference of the patient whose it is, where it is anybody's.
    """
    body: Resource = {
        "resourceType": one.kind,
        "identifier": [{"system": each.system, "value": each.value} for each in identifiers],
    }
    if one.birth_date is not None:
        body["birthDate"] = one.birth_date.isoformat()
    if one.patient_of is not None:
        body["patient" if one.kind == "RelatedPerson" else "subject"] = {"reference": patient}
    return body


def wanted(plan: Plan, installation: Installation, identifiers: Mapping[str, tuple[Identifier, ...]]) -> list[Wanted]:
    """Return whom and what a client's plan names, each with the identifiers it can be found by, patients first.

    `identifiers` are those of the staff and related people, whom a plan names by id only.
    """
    client = plan.client
    if client is None:
        return []
    found = [_wanted("Patient", client.id, client.identifiers, installation, birth_date=client.birth_date)]
    for participant in plan.participants:
        if participant.role == "client":
            continue
        related = participant.role in ("family", "support_person", "legal_representative")
        if related and client.minor_self_consented:
            continue  # of a minor never automatically (`fields.csv`, Related.identifiers)
        kind: IdentityKind = "RelatedPerson" if related else "Practitioner"
        patient = client.id if related else None
        found.append(
            _wanted(
                kind,
                participant.ref,
                identifiers.get(participant.ref, ()),
                installation,
                patient_of=patient,
                by_hand=related,
            )
        )
    for problem in plan.problems:
        local_id = f"{plan.id}/{problem.id}"
        found.append(_wanted("Condition", local_id, problem.identifiers, installation, patient_of=client.id))
    return found


def _wanted(
    kind: IdentityKind,
    local_id: str,
    identifiers: Sequence[Identifier],
    installation: Installation,
    *,
    birth_date: date | None = None,
    patient_of: str | None = None,
    by_hand: bool = False,
) -> Wanted:
    all_of_them = (*identifiers, link_identifier(installation, kind, local_id))
    return Wanted(kind, local_id, all_of_them, birth_date, patient_of, by_hand)


async def match(
    store: AsyncStore, client: EhrClient, connection: str, *, by: str, clock: Callable[[], datetime]
) -> list[Match]:
    """Look for everyone whom this connection may be told of, and keep what was found as proposals.

    Nothing is asked about a client of whom nothing may go there.
    """
    installation = store.store.installation
    config, plans, links, identifiers = await store.read(lambda tx: _known(tx, connection))
    today = clock().date()
    present = {(link.kind, link.local_id): link for link in links}
    everyone: dict[tuple[IdentityKind, str], Wanted] = {}
    for plan in plans:
        shown = disclose(plan, connection, on=today, portal_visible=config.portal_visible)
        if shown.plan is None:
            continue
        kept = {problem.id for problem in shown.plan.problems}
        for one in wanted(plan, installation, identifiers):
            if one.kind == "Condition" and one.local_id.rpartition("/")[2] not in kept:
                continue
            everyone[one.kind, one.local_id] = one
    refs = Refs(installation.namespace, "", base_url=config.base_url)
    results: list[Match] = []
    patients: dict[str, str] = {
        link.local_id: link.reference for link in links if link.kind == "Patient" and link.status != "held"
    }
    for one in everyone.values():
        link = present.get((one.kind, one.local_id))
        if link is not None and link.status == "confirmed":
            results.append(Match(one.kind, one.local_id, "linked", link.reference))
            continue
        result, mark = await _look(client, one, refs, patients)
        if result.reference is not None and one.kind == "Patient" and result.status == "proposed":
            patients[one.local_id] = result.reference
        if result.reference is not None:
            await store.write(lambda tx, result=result, mark=mark: _keep(tx, connection, result, mark, by, clock()))  # type: ignore[misc]
        results.append(result)
    return results


async def _look(client: EhrClient, one: Wanted, refs: Refs, patients: dict[str, str]) -> tuple[Match, str]:
    found: dict[str, tuple[Resource, Identifier]] = {}
    for identifier in one.identifiers:
        result = await client.search(one.kind, [("identifier", f"{identifier.system}|{identifier.value}")])
        for tree in result.entries:
            if isinstance(tree.get("id"), str):
                found.setdefault(str(tree["id"]), (tree, identifier))
    if not found:
        return Match(one.kind, one.local_id, "missing", why="no_resource_with_its_identifier"), ""
    if len(found) > 1:
        return Match(one.kind, one.local_id, "held", why="several_resources"), ""
    [(resource_id, (tree, identifier))] = found.items()
    reference = f"{one.kind}/{resource_id}"
    born = tree.get("birthDate")
    mark = fingerprint(identifier, born if isinstance(born, str) else None)
    if one.kind == "Patient" and (replaced(tree) or tree.get("active") is False or not still_the_same(tree, mark)):
        return Match(one.kind, one.local_id, "held", reference, "not_in_use"), mark
    if one.birth_date is not None and born != one.birth_date.isoformat():
        return Match(one.kind, one.local_id, "held", reference, "another_birth_date"), mark
    if one.patient_of is not None:
        owner = tree.get("patient" if one.kind == "RelatedPerson" else "subject")
        whose = owner.get("reference") if isinstance(owner, dict) else None
        if not isinstance(whose, str) or refs.relative(whose) != patients.get(one.patient_of):
            return Match(one.kind, one.local_id, "held", reference, "another_patient"), mark
    return Match(one.kind, one.local_id, "proposed", reference), mark


def _known(
    tx: Tx, connection: str
) -> tuple[ConnectionConfig, list[Plan], tuple[IdentityLink, ...], dict[str, tuple[Identifier, ...]]]:
    known = tx.connections.get(connection)
    if known is None:
        raise Refused(f"there is no connection {connection}: `fhirgoals ehr list` names them")
    identifiers = {one.id: one.identifiers for one in tx.people.list()}
    plans = [one.plan for one in tx.plans.list()]
    return config_of(known.config), plans, tx.people.links(connection), identifiers


def _keep(tx: Tx, connection: str, one: Match, mark: str, by: str, at: datetime) -> None:
    status: IdentityStatus = "held" if one.status == "held" else "proposed"
    reference = one.reference or ""
    tx.people.link(
        connection, one.kind, one.local_id, reference=reference, fingerprint=mark, by=by, at=at, status=status
    )


def confirm(tx: Tx, connection: str, local_ids: Sequence[str] | None, *, by: str, at: datetime) -> list[IdentityLink]:
    """Make proposals links: those of `local_ids`, or all that are not held; return them.

    A held one (another birth date) is confirmed only where it is named. Marks every plan, so that the next run sends
    what could not be named before. Raises `Refused` for an id of which nothing is proposed.
    """
    links = {link.local_id: link for link in tx.people.links(connection)}
    if local_ids is None:
        chosen = [link for link in links.values() if link.status == "proposed"]
    else:
        unknown = [one for one in local_ids if one not in links]
        if unknown:
            raise Refused(f"nothing is proposed for {', '.join(unknown)}: run `fhirgoals patients match {connection}`")
        chosen = [links[one] for one in local_ids if links[one].status != "confirmed"]
    for link in chosen:
        tx.people.link(
            connection,
            link.kind,
            link.local_id,
            reference=link.reference,
            fingerprint=link.fingerprint,
            by=by,
            at=at,
            status="confirmed",
        )
    if chosen:
        tx.dirty.mark_all(tx.plans.ids(), connection, why="identity", at=at)
    tx.audit.write(at=at, actor=by, action="confirm", connection=connection, detail={"linked": len(chosen)})
    return chosen
