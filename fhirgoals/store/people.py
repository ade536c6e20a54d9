"""Clients, staff and related persons, and the links that say who they are at each connection (design 5.8).

Plans carry their people; the store keeps one document each, and one meaning for each id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, assert_never

import msgspec
import sqlalchemy as sa

from fhirgoals.domain.codes import ParticipantRole
from fhirgoals.domain.records import Client, Plan, Related, Staff
from fhirgoals.errors import Refused
from fhirgoals.store import schema
from fhirgoals.store.statements import upsert

Person: TypeAlias = Client | Staff | Related
PersonKind = Literal["client", "staff", "related"]
IdentityKind = Literal["Patient", "Practitioner", "RelatedPerson", "Condition"]
IdentityStatus = Literal["proposed", "confirmed", "held"]

_KINDS: dict[PersonKind, type[Person]] = {"client": Client, "staff": Staff, "related": Related}


@dataclass(frozen=True)
class IdentityLink:
    """Who a person, or what a problem, is at a connection.

    `local_id` is a person's id or `plan/problem`; `reference` is `Type/id` there; `fingerprint` is a hash of what
    identified them when they were linked (identifier and birth date).
    """

    connection: str
    kind: IdentityKind
    local_id: str
    reference: str
    fingerprint: str
    status: IdentityStatus
    by: str
    at: datetime


class People:
    """The people of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def upsert(self, plan: Plan, *, before: Plan | None = None, by: str, at: datetime) -> None:
        """Take over the people of a plan that are new or differ from `before`, the plan's last revision.

        A plan saved with people that it did not change never undoes what another plan said of them.
        Raises `Refused` where an id means a person of another kind.
        """
        old = _people(before) if before else {}
        changed = {person_id: person for person_id, person in _people(plan).items() if person != old.get(person_id)}
        if not changed:
            return
        table = schema.people
        stored = {
            row.person_id: row
            for row in self._connection.execute(sa.select(table).where(table.c.person_id.in_(changed)))
        }
        rows = []
        for person_id, mention in changed.items():
            there = stored.get(person_id)
            if there and there.kind != mention.kind:
                raise Refused(
                    f"plan {plan.id}: {person_id} is a {mention.kind} here and a {there.kind} elsewhere in the store:"
                    " give one of them another id"
                )
            person = mention.person
            if there and not mention.full:
                # A participant line knows only the display name; the rest of the document stays.
                known = _person(there)
                person = (
                    known if person.display == person.id else msgspec.structs.replace(known, display=person.display)
                )
            document = msgspec.json.encode(person).decode()
            rows.append(
                {"person_id": person_id, "kind": mention.kind, "document": document, "updated_at": at, "updated_by": by}
            )
        upsert(self._connection, table, rows)

    def get(self, person_id: str) -> Person | None:
        """Return the person, or `None`."""
        table = schema.people
        row = self._connection.execute(sa.select(table).where(table.c.person_id == person_id)).one_or_none()
        return _person(row) if row else None

    def list(self, kind: PersonKind | None = None) -> tuple[Person, ...]:
        """Return everybody, or all of one kind, by id."""
        table = schema.people
        wanted = sa.select(table).order_by(table.c.person_id)
        return tuple(
            _person(row) for row in self._connection.execute(wanted.where(table.c.kind == kind) if kind else wanted)
        )

    def link(
        self,
        connection: str,
        kind: IdentityKind,
        local_id: str,
        reference: str,
        *,
        fingerprint: str,
        by: str,
        at: datetime,
        status: IdentityStatus,
    ) -> None:
        """Say who `local_id` is at the connection, in place of what was said before.

        Raises `Refused` where another client is confirmed as the same Patient.
        """
        table = schema.identity_links
        if kind == "Patient" and status == "confirmed":
            other = self._connection.scalar(
                sa.select(table.c.local_id).where(
                    table.c.connection == connection,
                    table.c.kind == kind,
                    table.c.reference == reference,
                    table.c.status == status,
                    table.c.local_id != local_id,
                )
            )
            if other:
                raise Refused(
                    f"{connection}: {reference} is confirmed as {other} already: unlink that first if it is {local_id}"
                )
        row = {"connection": connection, "kind": kind, "local_id": local_id, "reference": reference}
        upsert(self._connection, table, [{**row, "fingerprint": fingerprint, "status": status, "by": by, "at": at}])

    def links(self, connection: str) -> tuple[IdentityLink, ...]:
        """Return all identity links of the connection, by kind and id."""
        rows = self._connection.execute(_LINKS, {"at": connection})
        return tuple(IdentityLink(**row._mapping) for row in rows)

    def identities(self, connection: str) -> dict[str, str]:
        """Return the reference of each `local_id` whose link at the connection is confirmed."""
        return {link.local_id: link.reference for link in self.links(connection) if link.status == "confirmed"}

    def unlink(self, connection: str, kind: IdentityKind, local_id: str) -> bool:
        """Forget the link; return whether there was one."""
        table = schema.identity_links
        gone = self._connection.execute(
            sa.delete(table).where(table.c.connection == connection, table.c.kind == kind, table.c.local_id == local_id)
        )
        return gone.rowcount > 0


_LINKS = (
    sa.select(schema.identity_links)
    .where(schema.identity_links.c.connection == sa.bindparam("at"))
    .order_by(schema.identity_links.c.kind, schema.identity_links.c.local_id)
)


@dataclass(frozen=True)
class _Mention:
    """A person as a plan names them; `full` where the plan holds their whole document."""

    kind: PersonKind
    person: Person
    full: bool


def _people(plan: Plan) -> dict[str, _Mention]:
    people: dict[str, _Mention] = {}
    for participant in plan.participants:
        match _kind_of(participant.role):
            case "staff":
                person: Person = Staff(id=participant.ref, display=participant.display or participant.ref)
                people[participant.ref] = _Mention("staff", person, full=False)
            case "related":
                person = Related(id=participant.ref, display=participant.display or participant.ref)
                people[participant.ref] = _Mention("related", person, full=False)
            case "client":
                pass
            case kind:
                assert_never(kind)
    if plan.client:
        people[plan.client.id] = _Mention("client", plan.client, full=True)
    if plan.therapist:
        people[plan.therapist.id] = _Mention("staff", plan.therapist, full=True)
    return people


def _kind_of(role: ParticipantRole) -> PersonKind:
    match role:
        case "client":
            return "client"
        case "primary_therapist" | "former_therapist" | "clinical_supervisor" | "prescriber" | "therapist_subject":
            return "staff"
        case "family" | "support_person" | "legal_representative":
            return "related"
        case _:
            assert_never(role)


def _person(row: sa.Row[Any]) -> Person:
    kind: PersonKind = row.kind
    return msgspec.json.decode(row.document, type=_KINDS[kind])
