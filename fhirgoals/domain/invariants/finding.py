"""A broken rule as a record: code, number, severity, place and a plain sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from fhirgoals.domain.records import Goal

Severity: TypeAlias = Literal["error", "warn"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule. `path` is the place in the plan file, `at` the id of the goal, step, … that it is about."""

    code: str
    invariant: int
    severity: Severity
    path: str
    at: str
    sentence: str


def of_goal(goal: Goal, code: str, invariant: int, path: str, sentence: str, *, warn: bool = False) -> Finding:
    """Return a finding about a goal: a warning where it was born in an EHR or an import."""
    born_elsewhere = goal.origin is not None
    return Finding(code, invariant, "warn" if warn or born_elsewhere else "error", path, goal.id, sentence)
