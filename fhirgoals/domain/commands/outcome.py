"""What becomes of a command: accepted with one revision, or refused with a plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fhirgoals.domain.codes import RevisionReason
from fhirgoals.domain.records import Plan, Revision
from fhirgoals.domain.units import Json, Unit


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command was not done. `path` is the place in the plan file, `at` the id of what it is about.

    A sentence is for a therapist or client; it holds no name, id or text of the plan.
    """

    code: str
    path: str
    sentence: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a command made of a plan: the plan, the one revision to save, and the merge units that it touched.

    `also` tells in sentences what moved beside what was asked for.
    """

    plan: Plan
    revision: Revision
    touched: Mapping[Unit, tuple[Json, Json]]
    also: tuple[str, ...] = ()

    @property
    def by(self) -> str:
        """Who did it, as the revision says."""
        return self.revision.by

    @property
    def reason(self) -> RevisionReason:
        """Why, as the revision says."""
        return self.revision.reason


@dataclass(frozen=True, slots=True)
class Done:
    """What a command's own rule makes of a plan, before it is checked as a whole."""

    plan: Plan
    also: tuple[str, ...] = ()
