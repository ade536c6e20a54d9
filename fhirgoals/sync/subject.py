"""Whose a resource is: its subject and the linked patient agree before anything is written or taken (design 5.8).

Pure. A subject is never guessed: one that names nobody by reference counts as nobody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import stamp
from fhirgoals.mappers.refs import Refs
from fhirgoals.sync.decide import Key, Place, Waiting

Whose: TypeAlias = Literal["other_patient", "no_patient"]
"""Why a resource is not the linked patient's: it names another one, or nobody (by identifier or in words alone)."""


def wrong_subject(tree: Resource, patient: str | None, refs: Refs) -> Whose | None:
    """Return why a resource is not surely of `patient` (a relative reference), or `None` where it is."""
    subject = stamp.subject(tree)
    if subject is None or subject.startswith(("#", "urn:")):
        return "no_patient"
    return None if refs.relative(subject) == patient else "other_patient"


def with_whose(waiting: Iterable[Waiting], astray: Mapping[Key, Whose]) -> list[Waiting]:
    """Return what waits with one item for each linked resource that is not the patient's, which says so."""
    owners = {local_id: why for (_, local_id), why in astray.items()}
    found = [
        replace(one, why=owners[one.owner]) if one.kind == Place.UNREADABLE and one.owner in owners else one
        for one in waiting
    ]
    told = {one.owner for one in found if one.kind == Place.UNREADABLE}
    return [*found, *(Waiting(str(Place.UNREADABLE), one, "", why) for one, why in owners.items() if one not in told)]
