"""What an endpoint may see of a plan file, worked out from the file's own `expected.export` and the table of fields.

Reads YAML and CSV by itself and imports nothing of the product: a second opinion on what is disclosed. The rules in the
table's notes that the examples need are in `GATES` and `Reader`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = tuple(sorted((ROOT / "examples").glob("0*.yaml")))

RECORDS = {
    "plan": "Plan",
    "client": "Client",
    "therapist": "Staff",
    "participants": "Participant",
    "problems": "Problem",
    "disclosure": "Disclosure",
    "sessions": "Session",
    "measures": "Measure",
    "interventions": "Intervention",
    "goals": "Goal",
    "reviews": "Review",
    "revisions": "Revision",
}
INSIDE = {
    "Plan.discharge_criteria": "DischargeCriterion",
    "Plan.discharge": "Discharge",
    "Participant.period": "Period",
    "Disclosure.consents": "Consent",
    "Disclosure.withheld": "Withheld",
    "Measure.baseline": "Reading",
    "Measure.readings": "Reading",
    "DischargeCriterion.sustain": "Sustain",
    "Goal.targets": "Target",
    "Target.sustain": "Sustain",
    "Goal.gas": "Gas",
    "Gas.ratings": "GasRating",
    "Goal.readiness": "Readiness",
    "Goal.smart": "SmartResult",
    "Goal.acceptance": "Acceptance",
    "Goal.steps": "Step",
    "Step.trials": "Trial",
    "Goal.progress": "ProgressEntry",
    "Goal.findings": "Finding",
    "Goal.achievements": "Achievement",
    "Goal.barriers": "Barrier",
    "Goal.revisions": "Revision",
    "Revision.changes": "Change",
    "Review.signatures": "Signature",
}

GATES = {
    "Goal.client_words": lambda goal: goal.get("share_words") is True,
    "ProgressEntry": lambda entry: entry["visibility"] == "shared" and "origin" not in entry,
    "Achievement": lambda victory: victory.get("share") is True,
    "Step": lambda step: step["status"] != "entered_in_error",
}
"""The switches of single values and members, as the notes of their rows name them."""

IDS = ("id", "ref", "endpoint")


@dataclass(frozen=True)
class Value:
    """One value of a file: where it stands, what kind it is, whether the endpoint may see it, and what it is."""

    path: str
    kind: str
    disclosed: bool
    value: Any


@cache
def table() -> Mapping[str, tuple[str, bool]]:
    """Return each row's type, and whether it is written into a Goal or CarePlan by now."""
    with (ROOT / "fhirgoals" / "domain" / "fields.csv").open(encoding="utf-8", newline="") as file:
        return {
            f"{line['record']}.{line['field'].removesuffix('[]')}": (
                line["type"],
                line["issue"] == "CORE" and line["sent"] in ("with_goal", "with_plan", "if_shared"),
            )
            for line in csv.DictReader(file)
        }


def tree_of(path: Path) -> Any:
    """Return a plan file as plain YAML."""
    return yaml.safe_load(path.read_bytes())


@dataclass(frozen=True)
class Reader:
    """One endpoint reading one plan file."""

    tree: Any
    endpoint: str

    @property
    def export(self) -> Mapping[str, Any]:
        """What the file says that the endpoint gets."""
        listed = self.tree["expected"]["export"]
        return listed.get(self.endpoint) or listed.get("any") or {"sent": []}

    @property
    def goals(self) -> frozenset[str]:
        """The goals that go."""
        return frozenset(self.export["sent"])

    def values(self) -> Iterator[Value]:
        """Yield every value of the file but its `expected` block, each with its kind."""
        for key, record in RECORDS.items():
            for member in _listed(self.tree.get(key)):
                yield from self._record(record, member, self._goes(record, member), record)

    def ids(self) -> Iterator[str]:
        """Yield every readable id."""
        yield from _ids({key: each for key, each in self.tree.items() if key not in ("expected", "schema")})

    def _goes(self, record: str, member: Any) -> bool:
        match record:
            case "Goal":
                return member["id"] in self.goals
            case "Measure":
                return member["id"] in self.export.get("measures", ())
            case "Intervention":
                return not self.goals.isdisjoint(member["goals"])
            case "Plan":
                return bool(self.goals)
            case _:
                return False  # of people and problems only references go; nothing of the rest

    def _record(self, record: str, tree: Any, goes: bool, path: str) -> Iterator[Value]:
        goes = goes and GATES.get(record, lambda _: True)(tree)
        if record == "Target":
            goes = goes and tree["measure"] in self.export.get("measures", ())
        for name, value in tree.items():
            row = f"{record}.{name}"
            kind, sent = table().get(row, ("", False))
            may = goes and sent and GATES.get(row, lambda _: True)(tree)
            if name == "sensitivities":  # of what an exported goal addresses or measures: labels of the goal
                may = tree["id"] in {*self.goals, *self.export.get("conditions", ()), *self.export.get("measures", ())}
            inside = INSIDE.get(row)
            for each in _listed(value):
                if inside is not None:
                    # Gas and the like have no own path on the wire: their members' rows decide.
                    yield from self._record(inside, each, goes, f"{path}.{name}")
                else:
                    yield from _scalars(each, kind, may, f"{path}.{name}")


def _scalars(value: Any, kind: str, may: bool, path: str) -> Iterator[Value]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _scalars(
                each, "code" if name in ("code", "system") else "text", may and name != "display", f"{path}.{name}"
            )
    elif isinstance(value, list):
        for each in value:
            yield from _scalars(each, kind, may, path)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        yield Value(path, "number", may, value)
    elif isinstance(value, date):
        yield Value(path, "date", may, value.isoformat())
    elif kind.startswith(("ref", "id", "connection")):
        return
    else:
        yield Value(path, "code" if "code" in kind.split() else "text", may, value)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name in IDS and isinstance(each, str):
                yield each
            yield from _ids(each)
    elif isinstance(value, list):
        for each in value:
            yield from _ids(each)
