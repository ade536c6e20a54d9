"""Reads tolerantly and writes strictly on the difference (design, section 4).

`check_read` quarantines only what can't be read at all and lists every other fault; `new_faults` says what a write
would make worse; `validate_paths` is the report of `fhirgoals validate`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, assert_never

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.files import DEFAULT_LIMITS, Found, Limits, Quarantined, Skipped, iter_resources
from fhirgoals.fhir.issues import Issue, warning, without_indexes
from fhirgoals.fhir.references import literal
from fhirgoals.fhir.rules import TYPES, issues


@dataclass(frozen=True)
class Readable:
    """A Goal or CarePlan that can be read, with its faults.

    `blocked` tells that a modifier we don't know stands in it, so that its meaning is for a person (rule FG-EXT-07).
    """

    resource: Resource
    type: str
    id: str | None
    issues: tuple[Issue, ...]

    @property
    def blocked(self) -> bool:
        """Whether a modifier that we don't know may turn the meaning round."""
        return any(issue.rule == "FG-EXT-07" for issue in self.issues)

    @property
    def valid(self) -> bool:
        """Whether no fault is an error."""
        return all(issue.severity != "error" for issue in self.issues)


@dataclass(frozen=True)
class Quarantine:
    """What can't be taken as a resource of the type at all, and the one rule that says why."""

    rule: str
    path: str
    message: str


def check_read(
    tree: Tree,
    *,
    expected_type: str | None = None,
    from_server: bool = False,
    expected_subject: str | None = None,
    server_base: str | None = None,
) -> Readable | Quarantine:
    """Return what was read with its faults, or why it is quarantined.

    `from_server` asks for an id. `expected_subject` is the reference of the linked patient, `Patient/123`; absolute
    forms of it count where they stand under `server_base`. A subject that can't be compared (by identifier, `#id`,
    urn, missing) is listed as an issue and not taken for another patient.
    """
    if not isinstance(tree, dict):
        return Quarantine("READ-OBJECT", "", "is no JSON object, so no resource")
    kind = tree.get("resourceType")
    if not isinstance(kind, str) or kind not in ({expected_type} if expected_type else TYPES):
        return Quarantine("READ-TYPE", "resourceType", f"is not {expected_type or 'Goal or CarePlan'}")
    own = tree.get("id")
    if from_server and not (isinstance(own, str) and own):
        return Quarantine("READ-ID", f"{kind}.id", "came from a server without an id, so it can't be addressed")
    found = list(issues(tree))
    if expected_subject is not None:
        match _is_subject(tree, expected_subject, server_base):
            case False:
                return Quarantine("READ-SUBJECT", f"{kind}.subject", "belongs to another patient than the linked one")
            case None:
                message = "can't be compared with the linked patient: it is no literal reference"
                found.append(warning("READ-SUBJECT", f"{kind}.subject", message))
            case True:
                pass
    return Readable(tree, kind, own if isinstance(own, str) else None, tuple(found))


def _is_subject(resource: Resource, expected: str, base: str | None) -> bool | None:
    """Tell whether the subject is the expected one, or None where its reference can't be compared."""
    told = literal(resource.get("subject"))
    if told is None or told.startswith(("#", "urn:")):
        return None
    prefix = base.rstrip("/") + "/" if base else ""
    return _relative(told, prefix) == _relative(expected, prefix)


def _relative(reference: str, prefix: str) -> str:
    return reference.removeprefix(prefix) if prefix else reference


def new_faults(before: Resource | None, after: Resource) -> tuple[Issue, ...]:
    """Return the issues that `after` has and `before` had not: a write is refused for any.

    Errors and warnings both count. Issues are matched by rule, place and the value at fault; what is left over, by
    rule and path without list positions, one for one, so that an inserted, removed or moved member makes no fault new.
    A new resource (`before` None) may have none at all.
    """
    told = [issue for issue in issues(after) if issue.severity != "information"]
    if before is None or not told:
        return tuple(told)
    pool = Counter(_exact(issue, before) for issue in issues(before))
    rest = [issue for issue in told if not _take(pool, _exact(issue, after))]
    loose: Counter[tuple[str, str]] = Counter()
    for (rule, path, _), count in pool.items():
        loose[rule, path] += count
    return tuple(issue for issue in rest if not _take(loose, (issue.rule, without_indexes(issue.path))))


_Key = TypeVar("_Key")


def _take(pool: Counter[_Key], key: _Key) -> bool:
    if pool[key] <= 0:
        return False
    pool[key] -= 1
    return True


def _exact(issue: Issue, resource: Resource) -> tuple[str, str, bytes]:
    return issue.rule, without_indexes(issue.path), exact_json.canonical(_value_at(resource, issue.path))


_STEP = re.compile(r"(\w+)((?:\[\d+\])*)")


def _value_at(resource: Resource, path: str) -> Tree:
    """Return the value at an issue's path, or the innermost one on the way that is there."""
    here: Tree = resource
    for step in path.split(".")[1:]:
        found = _STEP.match(step)
        if found is None or not isinstance(here, dict) or found[1] not in here:
            return here
        here = here[found[1]]
        for index in re.findall(r"\d+", found[2]):
            if not isinstance(here, list) or int(index) >= len(here):
                return here
            here = here[int(index)]
    return here


def validate_paths(paths: str | Path | Iterable[str | Path], limits: Limits = DEFAULT_LIMITS) -> dict[str, Tree]:
    """Return the report of `fhirgoals validate`: `{"resources": n, "valid": n, "issues": [{file, id, …}]}`.

    `resources` counts every Goal and CarePlan found and whatever should be one and can't be read; `valid` those
    without an error. `id` is the resource's id, or its place in the file where it has none. A file of a folder that
    holds no FHIR resource is told as information and not counted.
    """
    resources = valid = 0
    told: list[Tree] = []
    for met in iter_resources(paths, limits):
        match met:
            case Found():
                resources += 1
                found = issues(met.resource, container=met.container)
                valid += all(issue.severity != "error" for issue in found)
                told.extend({"file": met.file, "id": met.id, **issue.as_tree()} for issue in found)
            case Quarantined():
                resources += 1
                told.append(_line(met.file, met.path, "error", met.rule, met.path, met.message))
            case Skipped():
                told.append(_line(met.file, "", "information", met.rule, "", met.message))
            case _:
                assert_never(met)
    return {"resources": resources, "valid": valid, "issues": told}


def _line(file: str, own: str, severity: str, rule: str, path: str, message: str) -> dict[str, Tree]:
    return {"file": file, "id": own, "severity": severity, "rule": rule, "path": path, "message": message}
