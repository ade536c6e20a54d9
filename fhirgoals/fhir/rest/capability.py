"""The CapabilityStatement, made from the table that drives routing and search."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.rest.headers import FHIR_JSON
from fhirgoals.fhir.rest.registry import TypeEntry
from fhirgoals.fhir.rest.versions import instant


def capability_statement(
    entries: Iterable[TypeEntry], *, base: str, title: str, started: datetime, bundles: bool = False
) -> Resource:
    """Return what this server can do, as of its start; `bundles`: it takes transactions and batches."""
    whole: Resource = {"interaction": [{"code": "transaction"}, {"code": "batch"}]} if bundles else {}
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(started),
        "kind": "instance",
        "software": {"name": title},
        "implementation": {"description": title, "url": base},
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON, "json"],
        "rest": [{"mode": "server", "resource": [_resource(entry) for entry in entries], **whole}],
    }


def _resource(entry: TypeEntry) -> Tree:
    interactions: list[Tree] = [{"code": code} for code in entry.interactions]
    parameters: list[Tree] = [{"name": each.name, "type": each.type} for each in entry.parameters.values()]
    return {
        "type": entry.name,
        "interaction": interactions,
        "versioning": "versioned",
        "readHistory": "vread" in entry.interactions,
        "updateCreate": "update" in entry.interactions,
        "conditionalCreate": "create" in entry.interactions,
        "conditionalRead": "not-match",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": parameters,
    }
