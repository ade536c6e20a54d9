"""What every record stands on, and the people of a plan.

A record is frozen; a change is a new record. `None` means "not given".
"""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from typing import Literal, TypeAlias

import msgspec
import msgspec.structs

from fhirgoals.domain import codes


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A frozen record; a change is a new record (`msgspec.structs.replace`). Unknown keys are errors."""


@cache
def fields_of(record_type: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return a record's fields; kept, since asking msgspec resolves every annotation anew (about 1 ms)."""
    return msgspec.structs.fields(record_type)


class Foreign(Record, frozen=True, kw_only=True):
    """A value that our lists do not know, kept as the exact JSON text of what was read, and flagged."""

    foreign: str


Day: TypeAlias = date
"""A calendar date (its own name, since many records have a field called `date`)."""

OptionalDate: TypeAlias = Day | Foreign | None
"""A calendar date, what an EHR wrote in its place (a partial date, another type), or not given."""


class Coding(Record, frozen=True, kw_only=True):
    """A code with its system: `loinc`, `snomed`, `icd10cm` or `local` (ours), or the URI of another system."""

    system: str
    code: str
    display: str | None = None


class Identifier(Record, frozen=True, kw_only=True):
    """A business identifier; the pair (system, value) is what people and problems are linked by."""

    system: str
    value: str


class Name(Record, frozen=True, kw_only=True):
    """A person's name, compared when people are matched and never copied to or from an EHR."""

    family: str
    given: tuple[str, ...] = ()


class Client(Record, frozen=True, kw_only=True):
    """The person in treatment."""

    id: str
    display: str
    identifiers: tuple[Identifier, ...] = ()
    name: Name | None = None
    birth_date: Day | None = None
    legal_representatives: tuple[str, ...] = ()
    minor_self_consented: bool = False
    record_status: Literal["active", "inactive", "merged"] | None = None


class Staff(Record, frozen=True, kw_only=True):
    """A therapist or another member of staff."""

    id: str
    display: str
    identifiers: tuple[Identifier, ...] = ()
    name: Name | None = None
    role: codes.StaffRole | None = None
    credential: str | None = None
    supervisor_signs: bool = False


class Related(Record, frozen=True, kw_only=True):
    """A person of the client's circle; in a plan file the participant line names it."""

    id: str
    display: str
    identifiers: tuple[Identifier, ...] = ()
    relationship: str | None = None


class Period(Record, frozen=True, kw_only=True):
    """From the first to the last day."""

    start: Day | None = None
    end: Day | None = None


class Participant(Record, frozen=True, kw_only=True):
    """Someone's part in this plan; `ref` names a Client, Staff or Related."""

    id: str
    role: codes.ParticipantRole
    ref: str
    display: str | None = None
    period: Period | None = None


class Origin(Record, frozen=True, kw_only=True):
    """Where something came from: a connection's name or an import batch, the resource and its version."""

    system: str
    resource: str | None = None
    version: str | None = None


class Stamp(Record, frozen=True, kw_only=True):
    """Who made and last changed a stored record, and when (instants in UTC)."""

    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
