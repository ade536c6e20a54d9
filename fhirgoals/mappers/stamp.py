"""What a new resource gets besides its table's fields, and the few marks of a resource that are read outside a table.

With the fields of the tables this is the payload that US Core 3.1.1 to 8.0.0 all accept (conformance reference,
finding 7). None of it is merged, and none of it is written again later.
"""

from __future__ import annotations

from uuid import UUID

from fhirgoals.domain.records import Identifier
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers.lens import copy
from fhirgoals.mappers.shapes import objects, reference_of, text_of

OPERATION = f"{t.CANONICAL_BASE}/operation/"
"""What `meta.source` starts with where we wrote it; the operation's UUID follows."""

ASSESS_PLAN: Resource = {
    "coding": [
        {"system": t.CAREPLAN_CATEGORY, "code": t.ASSESS_PLAN, "display": "Assessment and Plan of Treatment"},
    ],
    "text": "Assessment and Plan of Treatment",
}
"""The category by which US Core clients search care plans up to 8.0.0."""


def new_goal(
    mapped: Resource, *, identifier: tuple[str, str], subject: str, resource_id: str | None = None
) -> Resource:
    """Return a Goal to be created: what the table wrote, as a resource of its own, with our identifier (system, value).

    `subject` is the linked Patient's reference; `resource_id` only where the server lets clients choose.
    """
    return _new("Goal", t.US_CORE_GOAL, mapped, identifier, subject, resource_id)


def new_care_plan(
    mapped: Resource, *, identifier: tuple[str, str], subject: str, resource_id: str | None = None
) -> Resource:
    """Return a CarePlan to be created, as `new_goal`, with intent and category."""
    made = _new("CarePlan", t.US_CORE_CAREPLAN, mapped, identifier, subject, resource_id)
    made["intent"] = "plan"
    made["category"] = [copy(ASSESS_PLAN)]
    return made


def _new(
    kind: str, profile: str, mapped: Resource, identifier: tuple[str, str], subject: str, resource_id: str | None
) -> Resource:
    rest = copy(mapped)
    meta = rest.pop("meta", None)
    made: Resource = {"resourceType": kind}
    if resource_id is not None:
        made["id"] = resource_id
    made["meta"] = {"profile": [profile], **(meta if isinstance(meta, dict) else {})}
    made["identifier"] = [{"system": identifier[0], "value": identifier[1]}]
    return {**made, **rest, "subject": {"reference": subject}}


def subject(tree: Resource) -> str | None:
    """Return whose resource it is: the reference of `subject`, else None."""
    return reference_of(tree.get("subject"))


def identifiers(tree: Resource) -> tuple[Identifier, ...]:
    """Return the identifiers that have a system and a value."""
    found = ((text_of(one.get("system")), text_of(one.get("value"))) for one in objects(tree, "identifier"))
    return tuple(Identifier(system=system, value=value) for system, value in found if system and value)


def without_identifier(tree: Resource, system: str) -> Resource:
    """Return a copy without our identifiers: the resource stays in a chart that it never belonged to."""
    found: Tree = tree.get("identifier")
    if not isinstance(found, list):
        return tree
    kept = [one for one in found if not (isinstance(one, dict) and one.get("system") == system)]
    rest = {name: part for name, part in tree.items() if name != "identifier"}
    return {**rest, "identifier": kept} if kept else rest


def with_operation_id(tree: Resource, operation: UUID | str) -> Resource:
    """Return a copy with the operation's id in `meta.source`, or an equal copy where somebody else's source stands.

    Called only where the connection's profile says that the server keeps the value (design 5.7).
    """
    made = copy(tree)
    meta = made.setdefault("meta", {})
    if isinstance(meta, dict) and (_source(made) == "" or operation_id(made) is not None):
        meta["source"] = f"{OPERATION}{operation}"
    return made


def operation_id(tree: Resource) -> str | None:
    """Return the id of the operation of ours that wrote this version, or None where `meta.source` names none.

    An edit at the EHR copies the value along: the id proves that the operation landed, not that it was the last edit.
    """
    source = _source(tree)
    return source.removeprefix(OPERATION) if source.startswith(OPERATION) else None


def _source(tree: Resource) -> str:
    """Return `meta.source` up to `#`: HAPI FHIR appends the id of the request (measured with 8.8.0)."""
    meta: Tree = tree.get("meta")
    source = text_of(meta.get("source")) if isinstance(meta, dict) else None
    return (source or "").partition("#")[0]
