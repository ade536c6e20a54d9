"""What is wrong with a resource: one record per fault, told by rule and path, never by value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fhirgoals.fhir.exact_json import Tree

Severity: TypeAlias = Literal["error", "warning", "information"]


@dataclass(frozen=True)
class Issue:
    """One fault of one resource.

    `rule` is an id of the conformance rules or an invariant key of FHIR (`per-1`) where one fits, else `SHAPE-…`.
    `path` is spelled as `Goal.target[0].detailQuantity.comparator`. `message` holds neither values nor ids.
    """

    severity: Severity
    rule: str
    path: str
    message: str

    def as_tree(self) -> dict[str, Tree]:
        """Return this issue as JSON."""
        return {"severity": self.severity, "rule": self.rule, "path": self.path, "message": self.message}


def error(rule: str, path: str, message: str) -> Issue:
    """Return an issue that makes a resource invalid."""
    return Issue("error", rule, path, message)


def warning(rule: str, path: str, message: str) -> Issue:
    """Return an issue that a reader should know of; the resource is still valid FHIR."""
    return Issue("warning", rule, path, message)


_INDEX = re.compile(r"\[\d+\]")
_PROPERTY = re.compile(r"_?[A-Za-z][A-Za-z0-9_]{0,63}")


def without_indexes(path: str) -> str:
    """Return a path without the positions in lists: the same for an element wherever it moved."""
    return _INDEX.sub("", path)


def safe_property(name: str) -> str:
    """Return a property's name for a path, or `?` where it doesn't look like one: it may be anything at all."""
    return name if _PROPERTY.fullmatch(name) else "?"
