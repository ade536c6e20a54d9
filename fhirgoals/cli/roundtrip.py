"""`map --check`: reads Goals and CarePlans of files, maps each in and out again, and tells whether anything changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from fhirgoals.fhir.exact_json import Resource, Tree, same
from fhirgoals.fhir.files import Found, Quarantined, Skipped, iter_resources
from fhirgoals.fhir.validate import Quarantine, check_read
from fhirgoals.mappers.coverage import TABLES, coverage


@dataclass
class Report:
    """What was found. `resources` counts Goals, CarePlans and whatever should be one and can't be read."""

    resources: int = 0
    identical: int = 0
    changed: list[Tree] = field(default_factory=list)
    quarantined: list[Tree] = field(default_factory=list)
    crashed: list[Tree] = field(default_factory=list)
    present: dict[str, int] = field(default_factory=dict)
    mapped: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether nothing changed and nothing crashed."""
        return not self.changed and not self.crashed

    def as_tree(self) -> dict[str, Tree]:
        """Return the report as JSON; `crashed` is there only where something did."""
        found: dict[str, Tree] = {
            "resources": self.resources,
            "identical": self.identical,
            "changed": self.changed,
            "quarantined": self.quarantined,
            "coverage": {
                path: {"present": number, "mapped": self.mapped.get(path, 0)}
                for path, number in sorted(self.present.items())
            },
        }
        return found | ({"crashed": self.crashed} if self.crashed else {})


def check(paths: Iterable[Path], progress: Callable[[int, int], None] = lambda _done, _total: None) -> Report:
    """Return the report on every Goal and CarePlan of files and folders; top-level, in Bundles and contained."""
    met = list(iter_resources(paths))
    report = Report()
    for number, one in enumerate(met):
        progress(number, len(met))
        match one:
            case Found():
                report.resources += 1
                _one(report, one)
            case Quarantined():
                report.resources += 1
                report.quarantined.append(_line(one.file, one.path, one.rule, one.path, one.message))
            case Skipped():
                pass
            case _:
                assert_never(one)
    return report


def _one(report: Report, found: Found) -> None:
    read = check_read(found.resource)
    if isinstance(read, Quarantine):
        report.quarantined.append(_line(found.file, found.id, read.rule, read.path, read.message))
        return
    try:
        path = first_difference(found.resource, _through(found.resource))
        seen = coverage(found.resource)
    except Exception as error:  # a crash on one resource is told, and the others are still checked
        report.crashed.append({"file": found.file, "id": found.id, "error": type(error).__name__})
        return
    if path is None:
        report.identical += 1
    else:
        report.changed.append({"file": found.file, "id": found.id, "path": path})
    for where, mapped in seen.items():
        report.present[where] = report.present.get(where, 0) + 1
        report.mapped[where] = report.mapped.get(where, 0) + mapped


def _through(resource: Resource) -> Resource:
    table = TABLES[str(resource["resourceType"])]
    return table.to_fhir(table.from_fhir(resource), resource)


def first_difference(before: Tree, after: Tree, path: str = "") -> str | None:
    """Return the path of the first place where two trees differ, to the digit and the order of keys, or `None`."""
    if same(before, after):
        return None
    match before, after:
        case dict(), dict():
            for key in dict.fromkeys((*before, *after)):
                here = f"{path}.{key}" if path else key
                if key not in before or key not in after:
                    return here
                if (inner := first_difference(before[key], after[key], here)) is not None:
                    return inner
        case list(), list() if len(before) == len(after):
            for place, (one, other) in enumerate(zip(before, after, strict=True)):
                if (inner := first_difference(one, other, f"{path}[{place}]")) is not None:
                    return inner
        case _:
            pass
    return path or "(the order of its keys)"


def _line(file: str, own: str, rule: str, path: str, message: str) -> dict[str, Tree]:
    return {"file": file, "id": own, "rule": rule, "path": path, "message": message}
