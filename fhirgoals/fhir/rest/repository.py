"""What the REST core needs from a place that keeps versioned resources.

The core parses requests and builds answers; a repository decides about versions. Each write checks its condition and
stores in one step, so two racing writers never both win.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.rest.outcome import precondition_failed
from fhirgoals.fhir.rest.search import Query
from fhirgoals.fhir.rest.versions import Version


@dataclass(frozen=True, slots=True)
class Precondition:
    """What must hold of the current version for a write to go on (If-Match, If-None-Match).

    `versions`: one of these version ids must be current; `None` asks nothing, an empty set never holds.
    `exists`: there must (not) be a current, undeleted version; `None` asks nothing.
    """

    versions: frozenset[str] | None = None
    exists: bool | None = None

    def check(self, current: Version | None) -> None:
        """Raise `Declined` (412) unless the condition holds of `current`; a deleted resource is no match."""
        live = current is not None and current.body is not None
        if self.exists is not None and self.exists != live:
            raise precondition_failed(
                "the resource exists already" if live else "there is no current version that could match"
            )
        if self.versions is None:
            return
        if current is None or not live or current.version_id not in self.versions:
            raise precondition_failed("the resource changed since it was read: read it again")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search: current versions in a stable order, the opaque place to go on from, the number of all."""

    versions: Sequence[Version]
    after: str | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Stored:
    """The version a create or update ended with.

    `is_new`: this request made the resource: it was not there, or only as a deleted one, and If-None-Exist found none.
    """

    version: Version
    is_new: bool


class Repository(Protocol):
    """Versioned resources by (type, id). Methods are synchronous and may be called from several threads.

    Bodies come in without server-set `id`, `meta.versionId` and `meta.lastUpdated`; the repository stamps them.
    Each method may raise `Declined`, which becomes the answer.
    """

    def atomically(self) -> AbstractContextManager[None]:
        """Return a context in which all is stored or, where it ends with an error, nothing; others wait meanwhile."""

    def read(self, type_: str, id_: str) -> Version | None:
        """Return the newest version, a deletion included; `None` when there never was one."""

    def vread(self, type_: str, id_: str, version_id: str) -> Version | None:
        """Return that version, `None` when there is none."""

    def history(self, type_: str, id_: str) -> Sequence[Version]:
        """Return every version, newest first, deletions included; empty when there never was one."""

    def type_history(self, type_: str, since: int) -> Sequence[Version]:
        """Return the versions of a type since a moment (microseconds since 1970, inclusive), newest first."""

    def search(self, type_: str, query: Query, *, count: int, after: str | None) -> Page:
        """Return at most `count` current versions that match, going on behind `after` of an earlier page."""

    def create(self, type_: str, body: Resource, *, unless: Query | None) -> Stored:
        """Store a new resource under an id of the repository's choice.

        With `unless` (If-None-Exist): one match is returned instead; several raise `Declined` (412).
        """

    def update(self, type_: str, id_: str, body: Resource, condition: Precondition) -> Stored:
        """Store a new version, also of what is not there yet or was deleted; `Declined` (412) when stale."""

    def delete(self, type_: str, id_: str, condition: Precondition) -> Version | None:
        """Store a deletion and return it; the last deletion when it is gone already; `None` when it never was."""
