"""The table of resource types: what may be done with each and how it is searched.

Routing, search and the CapabilityStatement all read this one table, so they can't say different things.
Source of the search parameters: https://hl7.org/fhir/R4/searchparameter-registry.html, as far as we use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Interaction = Literal["read", "vread", "history-instance", "history-type", "search-type", "create", "update", "delete"]
"""Codes of https://hl7.org/fhir/R4/valueset-type-restful-interaction.html."""

ParameterType = Literal["token", "reference", "date"]

READ_ONLY: tuple[Interaction, ...] = ("read", "vread", "history-instance", "history-type", "search-type")
ALL: tuple[Interaction, ...] = (*READ_ONLY, "create", "update", "delete")


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of a type.

    `path` leads from the resource to the values, through lists; `()` means that the value is no element of the body
    (`_id`, `_lastUpdated`). `target` is the only type a reference may point to, `None` any.
    """

    name: str
    type: ParameterType
    path: tuple[str, ...] = ()
    target: str | None = None


@dataclass(frozen=True, slots=True)
class TypeEntry:
    """One resource type: its name, what may be done with it, and its search parameters by name."""

    name: str
    parameters: Mapping[str, SearchParameter]
    interactions: tuple[Interaction, ...] = ALL


def type_entry(name: str, *own: SearchParameter, interactions: tuple[Interaction, ...] = ALL) -> TypeEntry:
    """Return the entry of a type with the parameters every type has and its `own`."""
    every = (
        SearchParameter("_id", "token"),
        SearchParameter("_lastUpdated", "date"),
        SearchParameter("identifier", "token", ("identifier",)),
    )
    return TypeEntry(name, MappingProxyType({each.name: each for each in (*every, *own)}), interactions)


def _patient(element: str) -> tuple[SearchParameter, ...]:
    patient = SearchParameter("patient", "reference", (element, "reference"), target="Patient")
    if element != "subject":
        return (patient,)
    return (patient, SearchParameter("subject", "reference", ("subject", "reference")))


_BIRTHDATE = SearchParameter("birthdate", "date", ("birthDate",))
_CATEGORY = SearchParameter("category", "token", ("category",))

_SEARCHED: tuple[TypeEntry, ...] = (
    type_entry(
        "Goal", *_patient("subject"), _CATEGORY, SearchParameter("lifecycle-status", "token", ("lifecycleStatus",))
    ),
    type_entry(
        "CarePlan",
        *_patient("subject"),
        _CATEGORY,
        SearchParameter("status", "token", ("status",)),
        SearchParameter("date", "date", ("period",)),
    ),
    type_entry("Patient", _BIRTHDATE),
    type_entry("Practitioner"),
    type_entry("RelatedPerson", *_patient("patient"), _BIRTHDATE),
    type_entry("Condition", *_patient("subject")),
)

_BY_IDENTIFIER_ONLY = (
    "CareTeam",
    "Communication",
    "Consent",
    "DocumentReference",
    "Encounter",
    "Group",
    "Location",
    "MedicationRequest",
    "Observation",
    "Organization",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "Questionnaire",
    "QuestionnaireResponse",
    "RiskAssessment",
    "ServiceRequest",
    "Task",
)

R4_TYPES: Mapping[str, TypeEntry] = MappingProxyType(
    {entry.name: entry for entry in (*_SEARCHED, *map(type_entry, _BY_IDENTIFIER_ONLY))}
)
"""The types of a full server, all interactions allowed; a facade gives the core a narrower table."""
