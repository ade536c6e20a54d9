"""The meter of `map --check`: which elements reach our records, shown by changing them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fhirgoals.fhir import exact_json
from fhirgoals.mappers.coverage import PATHS, coverage
from tests.laws.samples import full, resources


@pytest.mark.parametrize("kind", ["Goal", "CarePlan"])
def test_every_path_of_a_full_resource_is_mapped(kind: str) -> None:
    """Our own samples hold every measured path, and each of them reaches the record."""
    found = coverage(full(kind))
    assert [path for path, mapped in found.items() if not mapped] == []
    assert set(PATHS[kind]) - set(found) == set()


def test_an_element_that_nothing_reads_is_not_mapped() -> None:
    """The meter changes elements and compares: a coding that is not the measure's first reaches nothing."""
    tree = full("Goal")
    tree["target"] = [{"measure": {"text": "x", "coding": ["odd"]}, "detailQuantity": {"value": 1, "code": 5}}]
    found = coverage(tree)
    assert found["Goal.target.measure.text"]
    assert not found["Goal.target.measure.coding"]
    assert not found["Goal.target.detailQuantity.code"]


def test_measuring_leaves_the_resource_as_it_was() -> None:
    """Changes are made on copies."""
    tree = full("CarePlan")
    before = exact_json.dumps(tree)
    coverage(tree)
    assert exact_json.dumps(tree) == before


def test_what_the_table_of_fields_leaves_untouched_is_no_occurrence() -> None:
    """A category of another system, a reference without a reference, an activity that is none of ours."""
    assert coverage({"resourceType": "Goal", "category": [{"text": "x"}], "addresses": [{"display": "x"}]}) == {}
    assert coverage({"resourceType": "CarePlan", "activity": [{"reference": {"reference": "Task/1"}}]}) == {}
    assert coverage({"resourceType": "Patient"}) == {}


def test_every_path_that_occurs_in_the_samples_is_mapped(shared: Path) -> None:
    """Over all r4 and r4b samples, contained ones and those in Bundles too: present = mapped for every path."""
    present: Counter[str] = Counter()
    mapped: Counter[str] = Counter()
    for version in ("r4", "r4b"):
        for path in sorted((shared / "data" / "fhir" / version).rglob("*.json")):
            tree = exact_json.loads(path.read_bytes())
            for kind in PATHS:
                for resource in resources(tree, kind):
                    found = coverage(resource)
                    present.update(found)
                    mapped.update(one for one, seen in found.items() if seen)
    assert mapped == Counter({path: n for path, n in present.items() if n})
    assert len(present) >= 30
