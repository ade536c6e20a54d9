"""A small FHIR R4 server core: routing, versions, preconditions, search and paging over any `Repository`.

It keeps no state and knows no goals: the sandbox EHR gives it a memory repository, the product's facade its store.
What a server deviates in on purpose (quirks, faults) is built around the core, never into it.
"""

from fhirgoals.fhir.rest.app import fhir_app
from fhirgoals.fhir.rest.asked import Asked
from fhirgoals.fhir.rest.core import RestCore
from fhirgoals.fhir.rest.outcome import Declined
from fhirgoals.fhir.rest.registry import R4_TYPES, Interaction, SearchParameter, TypeEntry
from fhirgoals.fhir.rest.repository import Page, Precondition, Repository, Stored
from fhirgoals.fhir.rest.search import Query
from fhirgoals.fhir.rest.versions import Version

__all__ = [
    "R4_TYPES",
    "Asked",
    "Declined",
    "Interaction",
    "Page",
    "Precondition",
    "Query",
    "Repository",
    "RestCore",
    "SearchParameter",
    "Stored",
    "TypeEntry",
    "Version",
    "fhir_app",
]
