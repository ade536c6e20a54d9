"""The errors of fhirgoals, one tree; each class says who must act.

    FhirgoalsError
    ├── InputError          the person who gave the input: mend it and try again
    │   ├── BadJson         not JSON, or not as it must be
    │   ├── BadPlan         a plan file that does not load or breaks an invariant
    │   └── BadResource     a FHIR resource that can't be read
    ├── Refused             the person: what was asked is not allowed as things stand
    │   └── Outdated        the record moved since it was read: read again
    ├── ConfigurationError  the operator: settings, connection files, keys
    ├── StoreError          the operator: the store can't be opened, is locked, full, read-only or newer
    ├── RemoteError         later or the operator: an EHR did not answer as it should
    └── Bug                 us

A message names the connection, resource, path and rule and says what to do next; never a name, clinical text or token.
"""

from __future__ import annotations


class FhirgoalsError(Exception):
    """Any error that fhirgoals raises on purpose."""


class InputError(FhirgoalsError):
    """What was given can't be used: the person mends it and tries again."""


class BadJson(InputError):
    """A text that is no JSON, or JSON of the wrong shape."""


class BadPlan(InputError):
    """A plan file that does not load, or that breaks an invariant."""


class BadResource(InputError):
    """A FHIR resource that can't be read."""


class Refused(FhirgoalsError):
    """What was asked is not allowed as things stand; nothing was changed."""


class Outdated(Refused):
    """The record moved since it was read; nothing was written: read it again."""


class ConfigurationError(FhirgoalsError):
    """Settings or a connection file are wrong: the operator mends them."""


class StoreError(FhirgoalsError):
    """The store can't be opened or written: the operator acts; nothing is half written."""


class RemoteError(FhirgoalsError):
    """An EHR did not answer as it should: later, or the operator acts."""


class Bug(FhirgoalsError):
    """A state that can't be; please report it with the ids in the message."""
