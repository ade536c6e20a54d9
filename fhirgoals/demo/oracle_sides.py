"""The oracle's own eyes: both sides as they stand, read by SQL and plain HTTP.

Nothing of `domain`, `mappers`, `store` or `sync` is used: what is measured must not be measured with what it measures.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID, uuid5

from fhirgoals.demo.plain_http import Server
from fhirgoals.errors import RemoteError

Json: TypeAlias = Any

PAGE = 200
OURS = ("Goal", "CarePlan")


@dataclass(frozen=True)
class Here:
    """Our store: the current plans by id as JSON, the open inbox rows, the goals' links, and who the store is."""

    plans: Mapping[str, Json]
    inbox: Sequence[Mapping[str, Json]]
    links: Mapping[tuple[str, str, str], str | None]
    system: str
    namespace: UUID

    def goals(self) -> Iterator[tuple[Json, Json]]:
        """Yield every goal with its plan."""
        for plan in self.plans.values():
            for goal in plan.get("goals", ()):
                yield plan, goal

    def goal(self, goal_id: str) -> Json:
        """Return a goal, an empty object where there is none."""
        return next((goal for _, goal in self.goals() if goal["id"] == goal_id), {})

    def wire_id(self, kind: str, plan_id: str, local_id: str) -> str:
        """Return the value of the identifier that our goal or plan bears elsewhere (design 4)."""
        return str(uuid5(self.namespace, f"{kind}/{plan_id}/{local_id}"))

    @property
    def steps(self) -> int:
        """How many steps all goals have."""
        return sum(len(goal.get("steps", ())) for _, goal in self.goals())


@dataclass(frozen=True)
class There:
    """One EHR: every resource that was found, and the bytes of all replies."""

    resources: Sequence[Json]
    raw: bytes

    def of(self, kind: str) -> list[Json]:
        """Return the resources of one type."""
        return [tree for tree in self.resources if tree["resourceType"] == kind]

    def bearing(self, kind: str, system: str, value: str) -> list[Json]:
        """Return the resources of a type that bear an identifier."""
        return [tree for tree in self.of(kind) if (system, value) in identifiers(tree)]

    def made_by(self, kind: str, system: str) -> list[Json]:
        """Return the resources of a type that bear any identifier of a system."""
        return [tree for tree in self.of(kind) if any(one == system for one, _ in identifiers(tree))]


def identifiers(tree: Json) -> set[tuple[str | None, str | None]]:
    """Return the identifiers of a resource as (system, value)."""
    return {(one.get("system"), one.get("value")) for one in tree.get("identifier", ())}


def parsed(text: bytes | str) -> Json:
    """Return JSON with every digit of its decimals."""
    return json.loads(text, parse_float=Decimal)


def read_here(store_file: Path) -> Here:
    """Read the store by SQL."""
    with closing(sqlite3.connect(f"{store_file.absolute().as_uri()}?mode=ro", uri=True)) as database:
        documents = database.execute(
            "SELECT p.plan_id, r.document FROM plans p JOIN plan_revisions r ON r.plan_id = p.plan_id AND r.rev = p.rev"
        )
        plans = {plan_id: parsed(document) for plan_id, document in documents}
        rows = database.execute(
            "SELECT kind, connection, plan_id, owner, unit, ours, theirs, who_may FROM inbox WHERE closed_at IS NULL"
        )
        names = ("kind", "connection", "plan_id", "owner", "unit", "ours", "theirs", "who_may")
        inbox = [dict(zip(names, row, strict=True)) for row in rows]
        for row in inbox:
            for name in ("ours", "theirs", "who_may"):
                row[name] = None if row[name] is None else parsed(row[name])
        links = {
            (connection, kind, local_id): resource_id
            for connection, kind, local_id, resource_id in database.execute(
                "SELECT connection, kind, local_id, resource_id FROM links"
            )
        }
        [(system, namespace)] = database.execute("SELECT identifier_system, namespace FROM installation")
    return Here(plans, inbox, links, system, UUID(namespace))


def read_there(server: Server, patients: Sequence[str], *, everything: bool) -> There:
    """Read all resources of all types; where others use the server too (`everything` false) those of our patients."""
    questions = _all_types(server) if everything else list(_of_patients(patients))
    resources: dict[tuple[str, str], Json] = {}
    raw = bytearray()
    for question in questions:
        page: str | None = question
        while page:
            answer = server.ask("GET", page)
            if answer.status != 200:
                raise RemoteError(f"the oracle's search was answered with status {answer.status}")
            raw += answer.body + b"\n"
            bundle = parsed(answer.body)
            for entry in bundle.get("entry", ()):
                tree = entry["resource"]
                resources[tree["resourceType"], tree.get("id", "")] = tree
            page = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)
    return There(list(resources.values()), bytes(raw))


def _all_types(server: Server) -> list[str]:
    statement = parsed(server.ask("GET", "metadata").body)
    return [f"{entry['type']}?_count={PAGE}" for rest in statement["rest"] for entry in rest["resource"]]


def _of_patients(patients: Sequence[str]) -> Iterator[str]:
    for patient in patients:
        yield f"Patient?_id={patient.partition('/')[2]}"
        for kind in (*OURS, "Condition", "RelatedPerson"):
            yield f"{kind}?patient={patient}&_count={PAGE}"


def coded(concept: Json) -> str | None:
    """Return the first code of a CodeableConcept."""
    codings = (concept or {}).get("coding", ())
    return codings[0].get("code") if codings else None


def extension(element: Json, ending: str) -> Json:
    """Return the first extension whose URL ends so, an empty object where there is none."""
    return next((one for one in element.get("extension", ()) if one["url"].endswith(ending)), {})


def steps_of(care_plan: Json) -> list[Json]:
    """Return the activities of a CarePlan that are steps: what somebody does, not what is offered."""
    return [one for one in care_plan.get("activity", ()) if one.get("detail", {}).get("kind") == "Task"]
