"""Registers people and problems at an EHR, as its front desk would have: they exist there before we connect.

Each carries our link identifier (the wire form has no other way to find them) and nothing that a plan keeps to itself:
no name, no words, no code of a problem.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from fhirgoals.demo.plain_http import Server
from fhirgoals.domain.identity import Installation
from fhirgoals.domain.records import Plan
from fhirgoals.errors import RemoteError
from fhirgoals.store.people import IdentityKind
from fhirgoals.sync.identify import link_identifier

Json: TypeAlias = Any

RELATED_ROLES = ("family", "support_person", "legal_representative")


def register(server: Server, plans: Iterable[Plan], installation: Installation) -> Mapping[str, str]:
    """Create everybody and every problem of the plans; return the Patient's reference by the client's id."""
    desk = _Desk(server, installation)
    for plan in plans:
        if plan.client is not None:
            born = plan.client.birth_date
            desk.create("Patient", plan.client.id, {"birthDate": born.isoformat()} if born else {})
        for participant in plan.participants:
            if participant.role in RELATED_ROLES and plan.client is not None:
                desk.create("RelatedPerson", participant.ref, {"patient": desk.patient(plan.client.id)})
            elif participant.role != "client":
                desk.create("Practitioner", participant.ref, {})
        for problem in plan.problems:
            if plan.client is not None:
                desk.create("Condition", f"{plan.id}/{problem.id}", {"subject": desk.patient(plan.client.id)})
    return {local_id: reference for (kind, local_id), reference in desk.made.items() if kind == "Patient"}


class _Desk:
    def __init__(self, server: Server, installation: Installation) -> None:
        self.server = server
        self.installation = installation
        self.made: dict[tuple[str, str], str] = {}

    def patient(self, client_id: str) -> Json:
        return {"reference": self.made["Patient", client_id]}

    def create(self, kind: IdentityKind, local_id: str, content: Json) -> None:
        if (kind, local_id) in self.made:
            return
        identifier = link_identifier(self.installation, kind, local_id)
        tree = {
            "resourceType": kind,
            "identifier": [{"system": identifier.system, "value": identifier.value}],
            **content,
        }
        answer = self.server.ask("POST", kind, json.dumps(tree).encode())
        if answer.status != 201:
            raise RemoteError(f"the FHIR server did not register a {kind} (status {answer.status})")
        # The Location ends in …/Patient/ID/_history/1 or …/Patient/ID.
        _, _, rest = answer.headers["location"].rpartition(f"/{kind}/")
        self.made[kind, local_id] = f"{kind}/{rest.partition('/')[0]}"
