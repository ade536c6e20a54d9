"""The three laws of the Goal and CarePlan tables, and that reading changes nothing and never fails."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers.goal import DUE
from fhirgoals.mappers.lens import Field, copy, exact
from tests.laws.samples import full, resources
from tests.laws.strategies import TABLES, pairs, records, trees

both_tables = pytest.mark.parametrize("kind", sorted(TABLES))


@both_tables
@given(data=st.data())
def test_what_is_written_onto_any_tree_reads_back_equal(kind: str, data: st.DataObject) -> None:
    """from_fhir(to_fhir(g, r)) == g, to the digit, also by way of JSON text; r itself stays as it was."""
    record, tree = data.draw(pairs(kind))
    before = exact_json.dumps(tree)
    written = TABLES[kind].to_fhir(record, tree)
    assert exact(TABLES[kind].from_fhir(written)) == exact(record)
    assert exact(TABLES[kind].from_fhir(_by_wire(written))) == exact(record)
    assert exact_json.dumps(tree) == before


@both_tables
@given(data=st.data())
def test_what_is_read_and_written_back_is_the_same_to_the_byte(kind: str, data: st.DataObject) -> None:
    """to_fhir(from_fhir(r), r) == r, and reading leaves r as it was."""
    tree: Resource = data.draw(trees(kind))
    before = exact_json.dumps(tree)
    written = TABLES[kind].to_fhir(TABLES[kind].from_fhir(tree), tree)
    assert exact_json.dumps(written) == before
    assert exact_json.dumps(tree) == before


@both_tables
@given(data=st.data())
def test_what_is_written_onto_nothing_reads_back_equal(kind: str, data: st.DataObject) -> None:
    """from_fhir(to_fhir(g, {})) == g, to the digit, also by way of JSON text."""
    record: Any = data.draw(records(kind))
    written = TABLES[kind].to_fhir(record, {})
    assert exact(TABLES[kind].from_fhir(written)) == exact(record)
    assert exact(TABLES[kind].from_fhir(_by_wire(written))) == exact(record)


def _by_wire(tree: Resource) -> Resource:
    """Return the tree that a reader of our JSON gets."""
    read = exact_json.loads(exact_json.dumps(tree))
    assert isinstance(read, dict)
    return read


@both_tables
@given(data=st.data())
def test_one_changed_field_leaves_all_others_as_they_read(kind: str, data: st.DataObject) -> None:
    """Writing one field of one record onto the tree of another changes what that field reads and nothing else."""
    other, tree = data.draw(pairs(kind))
    field = data.draw(st.sampled_from(TABLES[kind].fields))
    mine = TABLES[kind].from_fhir(tree)
    parts = {name: getattr(other, name) for name in field.parts or (field.name,)}
    wanted = type(mine)(**{name: getattr(mine, name) for name in mine.__struct_fields__} | parts)
    written = TABLES[kind].to_fhir(wanted, tree)
    assert exact(TABLES[kind].from_fhir(written)) == exact(wanted)
    if exact(wanted) != exact(mine):
        # What stands at top level and is in no path of the row is there as before, and in its place.
        for key in tree.keys() - _roots(field):
            assert exact_json.same(tree[key], written[key])
        assert [key for key in written if key in tree] == [key for key in tree if key in written]


def _roots(field: Field) -> set[str]:
    """Return the top-level properties that a row may change."""
    names = {path.split(".")[1] for path in field.paths}
    roots = {"extension" if ":" in name else name for name in names}
    return roots | ({"startCodeableConcept"} if "startDate" in roots else set())


@both_tables
@given(data=st.data())
def test_list_elements_that_nothing_reads_survive_every_write(kind: str, data: st.DataObject) -> None:
    """Whatever record is written: an element of a list that the table does not read is there afterwards, as it was."""
    record, tree = data.draw(pairs(kind))
    table = TABLES[kind]
    nothing = exact(table.from_fhir({}))
    written = table.to_fhir(record, tree)
    for key in ("extension", "category", "target", "note", "addresses", "contributor", "goal", "activity"):
        elements = tree.get(key)
        if not isinstance(elements, list):
            continue
        unread = [one for one in elements if exact(table.from_fhir({key: [one]})) == nothing and not _is_due(one)]
        after = written.get(key, [])
        assert isinstance(after, list)
        assert Counter(map(exact_json.dumps, unread)) <= Counter(map(exact_json.dumps, after))


def _is_due(element: Tree) -> bool:
    return isinstance(element, dict) and element.get("id") == DUE


@both_tables
def test_every_sample_is_read_and_written_back_to_the_byte(kind: str, shared: Path) -> None:
    """The second law holds on every Goal and CarePlan of the r4 and r4b samples, in Bundles and contained ones too."""
    seen = 0
    for version in ("r4", "r4b"):
        for path in sorted((shared / "data" / "fhir" / version).rglob("*.json")):
            for tree in resources(exact_json.loads(path.read_bytes()), kind):
                written = TABLES[kind].to_fhir(TABLES[kind].from_fhir(tree), tree)
                assert exact_json.same(written, tree), path.name
                seen += 1
    assert seen == {"Goal": 57, "CarePlan": 127}[kind]


@both_tables
def test_every_sample_lets_every_other_be_written_onto_it(kind: str, shared: Path) -> None:
    """The first law holds for each sample's record and the tree of the next sample, and onto nothing."""
    found = [full(kind)]
    for version in ("r4", "r4b", "r5", "stu3"):
        for path in sorted((shared / "data" / "fhir" / version).rglob("*.json")):
            found.extend(resources(exact_json.loads(path.read_bytes()), kind))
    table = TABLES[kind]
    for tree, onto in zip(found, [*found[1:], found[0]], strict=True):
        record = table.from_fhir(tree)
        assert exact(table.from_fhir(table.to_fhir(record, onto))) == exact(record)
        assert exact(table.from_fhir(table.to_fhir(record, {}))) == exact(record)


@both_tables
def test_a_copy_shares_nothing_with_its_tree(kind: str) -> None:
    """Changing what `to_fhir` returned never changes the tree it was written onto."""
    tree = full(kind)
    before = exact_json.dumps(tree)
    written = TABLES[kind].to_fhir(TABLES[kind].from_fhir(tree), tree)
    for value in written.values():
        if isinstance(value, list | dict):
            value.clear()
    assert exact_json.dumps(tree) == before
    assert exact_json.dumps(copy(tree)) == before
