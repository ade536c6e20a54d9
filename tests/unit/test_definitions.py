"""The published definitions: the files are the tables, and every extension that fields.csv names has one."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from fhirgoals.fhir import definitions, exact_json
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.definitions import EXTENSIONS, build, load
from fhirgoals.fhir.definitions.__main__ import write
from tests.conftest import ROOT

FIELDS = ROOT / "fhirgoals" / "domain" / "fields.csv"


def test_the_files_are_what_the_tables_make(tmp_path: Path) -> None:
    """The shipped files are to the byte what the builder writes, and it removes what is no definition any more."""
    (tmp_path / "CodeSystem-old.json").write_text("{}")
    write(tmp_path)
    shipped = Path(definitions.__file__).parent
    made = {file.name: file.read_bytes() for file in tmp_path.glob("*.json")}
    assert made == {file.name: file.read_bytes() for file in shipped.glob("*.json")}
    assert load() == build()


def test_every_extension_of_the_table_of_fields_is_defined_at_its_place() -> None:
    """Each `Ext:slug` of a CORE row of fields.csv has a definition whose context is the path before it."""
    named: set[tuple[str, str]] = set()
    with FIELDS.open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            if row["issue"] == "CORE":
                named |= set(re.findall(r"([\w.]+)\.Ext:([\w-]+)", row["r4_path"]))
    assert {(row.context, row.slug) for row in EXTENSIONS} == named


def test_the_parts_of_sustain_are_those_of_the_table_of_fields() -> None:
    """count, span-days and apart-days are the parts, and only count is required."""
    row = next(row for row in EXTENSIONS if row.slug == "target-sustain")
    assert {part: required for part, _, required in row.parts} == {
        "count": True,
        "span-days": False,
        "apart-days": False,
    }


def test_every_extension_has_the_value_that_the_mappers_write() -> None:
    """The definition's type and the property of the wire are the same."""
    for row in EXTENSIONS:
        if row.kind:
            assert t.EXTENSION_VALUE[t.ext(row.slug)] == f"value{row.kind.capitalize()}"
    assert set(t.EXTENSION_VALUE) == {t.ext(row.slug) for row in EXTENSIONS if row.kind}


def test_every_canonical_is_below_our_base() -> None:
    """All definitions have URLs below the one constant, file names after their id, and no URL twice."""
    built = build()
    urls = [str(definition["url"]) for definition in built.values()]
    assert len(set(urls)) == len(urls) == 22
    for name, definition in built.items():
        expected = f"{t.CANONICAL_BASE}/{definition['resourceType']}/{definition['id']}"
        assert (definition["url"], name) == (expected, f"{definition['resourceType']}-{definition['id']}.json")


def test_every_bound_value_set_is_there() -> None:
    """Each binding of an extension names a value set that is shipped."""
    text = b"".join(exact_json.dumps(definition) for definition in build().values()).decode()
    bound = set(re.findall(r'"valueSet":"([^"]+)"', text))
    assert bound
    assert bound <= {str(d["url"]) for d in build().values() if d["resourceType"] == "ValueSet"}


def test_an_installation_adds_its_measures() -> None:
    """Local measures of a practice come into the code system, beside those of the catalogue."""
    system = build({"walks-per-week": "walks per week"})["CodeSystem-measure.json"]
    concepts = system["concept"]
    assert isinstance(concepts, list)
    assert {"code": "walks-per-week", "display": "walks per week"} in concepts
    assert len(concepts) == len(t.MEASURES) + 1
    assert system["content"] == "fragment"
