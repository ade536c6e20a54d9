"""Tolerant reading, strict writing on the difference, and the walk over files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.files import Found, Limits, Met, Quarantined, Skipped, iter_resources
from fhirgoals.fhir.validate import Quarantine, Readable, check_read, new_faults, validate_paths
from tests.unit.fhir_probes import PROBES, Body, Probe, careplan, goal

SMALL = Limits(line_bytes=4_000, file_bytes=8_000)
SECRET = "KIND-SENTINEL-FILE Jane cried about her father"


# --- Reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_faulty_resource_is_read_and_its_faults_listed(probe: Probe) -> None:
    """No fault of an element puts a resource in quarantine; it is read with its issues."""
    body = probe.make()
    probe.break_it(body)
    found = check_read(body)
    assert isinstance(found, Readable)
    assert found.resource is body
    assert [issue.rule for issue in found.issues] == [probe.rule]
    assert found.valid == (probe.severity != "error")


@pytest.mark.parametrize(
    ("tree", "rule"),
    [
        ([], "READ-OBJECT"),
        (None, "READ-OBJECT"),
        ("Goal", "READ-OBJECT"),
        ({}, "READ-TYPE"),
        ({"resourceType": "Patient", "id": "p1"}, "READ-TYPE"),
        ({"resourceType": ["Goal"]}, "READ-TYPE"),
        ({"resourceType": "Goal"}, "READ-ID"),
        ({"resourceType": "Goal", "id": ""}, "READ-ID"),
        ({"resourceType": "Goal", "id": 7}, "READ-ID"),
    ],
)
def test_only_what_is_no_resource_of_a_server_is_quarantined(tree: Any, rule: str) -> None:
    """No object, another type, or no id from a server: each has its rule."""
    found = check_read(tree, from_server=True)
    assert isinstance(found, Quarantine)
    assert found.rule == rule


def test_the_type_asked_for_counts() -> None:
    """A CarePlan in the answer to a search for Goals is no Goal."""
    assert isinstance(check_read(careplan(), expected_type="Goal"), Quarantine)
    assert isinstance(check_read(careplan(), expected_type="CarePlan"), Readable)


def test_without_a_server_an_id_may_be_absent() -> None:
    """A resource from a file needs no id."""
    body = goal()
    del body["id"]
    found = check_read(body)
    assert isinstance(found, Readable)
    assert found.id is None


@pytest.mark.parametrize(
    ("subject", "outcome"),
    [
        ({"reference": "Patient/p1"}, "read"),
        ({"reference": "Patient/p1/_history/4"}, "read"),
        ({"reference": "https://ehr.example/fhir/Patient/p1"}, "read"),
        ({"reference": "Patient/p2"}, "READ-SUBJECT"),
        ({"reference": "Group/p1"}, "READ-SUBJECT"),
        ({"reference": "https://other.example/fhir/Patient/p1"}, "READ-SUBJECT"),
        ({"identifier": {"value": "1"}}, "listed"),
        ({"reference": "urn:uuid:6f0e6d0a-2f0a-4b4c-9c3e-1d1f2a3b4c5d"}, "listed"),
        (None, "listed"),
    ],
)
def test_another_patients_resource_is_quarantined(subject: Body | None, outcome: str) -> None:
    """A subject that is another patient quarantines; one that can't be compared is listed and left to the caller."""
    body = {**goal(), "subject": subject}
    found = check_read(body, from_server=True, expected_subject="Patient/p1", server_base="https://ehr.example/fhir")
    if outcome in {"read", "listed"}:
        assert isinstance(found, Readable)
        assert ("READ-SUBJECT" in [issue.rule for issue in found.issues]) == (outcome == "listed")
    else:
        assert isinstance(found, Quarantine)
        assert found.rule == outcome


def test_an_unknown_modifier_blocks_interpretation() -> None:
    """A modifier extension that we don't know leaves the resource to a person (rule FG-EXT-07)."""
    body = careplan()
    body["activity"][0]["modifierExtension"] = [{"url": "http://x.example/not", "valueBoolean": True}]
    found = check_read(body)
    assert isinstance(found, Readable)
    assert found.blocked
    plain = check_read(careplan())
    assert isinstance(plain, Readable)
    assert not plain.blocked


# --- Writing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_write_may_add_no_fault(probe: Probe) -> None:
    """A fault that the last read had not is told; one that it had is not; a new resource has none at all."""
    good, bad = probe.make(), probe.make()
    probe.break_it(bad)
    assert [issue.rule for issue in new_faults(good, bad)] == [probe.rule]
    assert [issue.rule for issue in new_faults(None, bad)] == [probe.rule]
    assert new_faults(bad, bad) == ()
    assert new_faults(bad, good) == ()
    assert new_faults(None, good) == ()


def test_an_old_fault_that_moved_in_its_list_is_not_new() -> None:
    """Members inserted, removed or edited around an old fault don't make it a new one."""
    before = goal()
    before["target"][1]["detailQuantity"]["comparator"] = "zz"
    inserted = exact_json.loads(exact_json.dumps(before))
    assert isinstance(inserted, dict)
    inserted["target"].insert(0, {"dueDate": "2026-01-01"})  # type: ignore[union-attr]
    assert new_faults(before, inserted) == ()
    shorter: Any = exact_json.loads(exact_json.dumps(before))
    shorter["target"] = [{**shorter["target"][1], "dueDate": "2027-01-01"}]
    assert new_faults(before, shorter) == ()


def test_a_second_fault_of_the_same_rule_is_told_at_its_place() -> None:
    """One old fault excuses one: the new one beside it is told, with its own path."""
    before = goal()
    before["target"][1]["detailQuantity"]["comparator"] = "zz"
    after: Any = exact_json.loads(exact_json.dumps(before))
    after["target"].insert(0, {**after["target"][1], "detailQuantity": {"value": 1, "comparator": "ad"}})
    found = [(issue.rule, issue.path) for issue in new_faults(before, after)]
    assert found == [("SHAPE-CODE", "Goal.target[0].detailQuantity.comparator")]


# --- Files --------------------------------------------------------------------------------------------------------


def _kinds(met: list[Met]) -> list[tuple[str, str]]:
    return [("found", one.pointer) if isinstance(one, Found) else (one.rule, getattr(one, "path", "")) for one in met]


def test_resources_are_found_everywhere_in_a_bundle(tmp_path: Path) -> None:
    """Entries, nested Bundles and contained resources are found; other types only for what they contain."""
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": goal()},
            {"request": {"method": "DELETE", "url": "Goal/1"}},
            {"resource": {"resourceType": "Patient", "id": "p", "contained": [goal(), {"resourceType": []}, 3]}},
            {"resource": {"resourceType": "Bundle", "entry": [{"resource": careplan()}]}},
            {"resource": "Goal/1"},
            {"resource": {"id": "x"}},
            7,
        ],
    }
    file = tmp_path / "b.json"
    file.write_bytes(exact_json.dumps(bundle))
    assert _kinds(list(iter_resources(file))) == [
        ("found", "entry[0].resource"),
        ("found", "entry[2].resource.contained[0]"),
        ("found", "entry[3].resource.entry[0].resource"),
        ("READ-OBJECT", "entry[4].resource"),
        ("READ-TYPE", "entry[5].resource"),
        ("READ-OBJECT", "entry[6]"),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_ndjson_is_read_line_by_line(tmp_path: Path, packed: bool) -> None:
    """A bad or oversized line is quarantined with its number, and the lines after it are read."""
    inner = {"resourceType": "Bundle", "entry": [{"resource": careplan()}]}
    lines = [
        exact_json.dumps(goal()),
        b"",
        b'{"resourceType": "Goal", ' + SECRET.encode(),
        b'{"resourceType":"Goal","description":{"text":"' + b"x" * 10_000 + b'"}}',
        exact_json.dumps(inner),
        b"\xff\xfe",
        exact_json.dumps(goal()),
    ]
    file = tmp_path / ("g.ndjson.gz" if packed else "g.ndjson")
    raw = b"\r\n".join(lines)
    file.write_bytes(gzip.compress(raw) if packed else raw)
    met = list(iter_resources(file, SMALL))
    assert _kinds(met) == [
        ("found", "line 1"),
        ("READ-JSON", "line 3"),
        ("READ-SIZE", "line 4"),
        ("found", "line 5 entry[0].resource"),
        ("READ-ENCODING", "line 6"),
        ("found", "line 7"),
    ]
    assert not [one for one in met if isinstance(one, Quarantined) and SECRET[:10] in one.message]


@pytest.mark.parametrize(
    ("name", "raw", "rule"),
    [
        ("a.json", b"", "READ-JSON"),
        ("a.json", b"{", "READ-JSON"),
        ("a.json", b"[]", "READ-OBJECT"),
        ("a.json", b'{"hook": "order-sign"}', "READ-TYPE"),
        ("a.json", json.dumps(SECRET).encode("utf-16"), "READ-ENCODING"),
        ("a.json", '{"a": "é"}'.encode("cp1252"), "READ-ENCODING"),
        ("a.json", b"[" * 5_000, "READ-JSON"),
        ("a.json", b'{"a":' * 500 + b"1" + b"}" * 500, "READ-JSON"),
        ("a.json", b" " * 9_000, "READ-SIZE"),
        ("a.json.gz", b"no gzip", "READ-FILE"),
        ("a.json.gz", gzip.compress(b"{}")[:-4], "READ-FILE"),
        ("a.json.gz", gzip.compress(b" " * 1_000_000), "READ-SIZE"),
        ("a.xml", b"<Goal/>", "READ-JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_record(tmp_path: Path, name: str, raw: bytes, rule: str) -> None:
    """Whatever is in a file named on the command line, the walk says why it can't be read and does not crash."""
    (tmp_path / name).write_bytes(raw)
    met = list(iter_resources([tmp_path / name], SMALL))
    assert [(type(one), rule) for one in met] == [(Quarantined, rule)]
    assert met[0].rule == rule  # type: ignore[union-attr]


def test_a_missing_file_is_a_record(tmp_path: Path) -> None:
    """A path that is not there is told, and the next one is read."""
    (tmp_path / "g.json").write_bytes(exact_json.dumps(goal()))
    met = list(iter_resources([tmp_path / "no.json", tmp_path / "g.json"]))
    assert _kinds(met) == [("READ-FILE", ""), ("found", "")]


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    """A UTF-8 byte order mark before the JSON is passed over."""
    (tmp_path / "g.json").write_bytes(b"\xef\xbb\xbf" + exact_json.dumps(goal()))
    assert _kinds(list(iter_resources(tmp_path / "g.json"))) == [("found", "")]


def test_folders_are_walked_and_strangers_skipped(tmp_path: Path) -> None:
    """Folders are read in order of names; files that hold no resource are said to be skipped, hidden ones not."""
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    (tmp_path / "sub" / ".git" / "x.json").write_text("{")
    (tmp_path / "sub" / "g.json").write_bytes(exact_json.dumps(goal()))
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "patient.json").write_text('{"resourceType": "Patient", "id": "p"}')
    met = list(iter_resources(tmp_path))
    assert [(type(one).__name__, Path(one.file).name) for one in met] == [
        ("Skipped", "README.md"),
        ("Quarantined", "broken.json"),
        ("Skipped", "package.json"),
        ("Found", "g.json"),
    ]
    assert [one.rule for one in met if isinstance(one, Skipped)] == ["READ-FORMAT", "READ-TYPE"]


def test_default_limits_refuse_what_is_too_large_without_reading_it(tmp_path: Path) -> None:
    """A 30 MB line and a file above 200 MB are quarantined by the limits that ship."""
    line = tmp_path / "g.ndjson"
    line.write_bytes(b'{"resourceType":"Goal","x":"' + b"x" * 30_000_000 + b'"}\n' + exact_json.dumps(goal()))
    assert _kinds(list(iter_resources(line))) == [("READ-SIZE", "line 1"), ("found", "line 2")]
    huge = tmp_path / "huge.json"
    with huge.open("wb") as sparse:
        sparse.truncate(201 * 1024 * 1024)
    assert _kinds(list(iter_resources(huge))) == [("READ-SIZE", "")]


# --- The report ---------------------------------------------------------------------------------------------------


def test_the_report_has_the_shape_of_the_contract(tmp_path: Path) -> None:
    """resources, valid and issues with file, id, severity, rule, path, message; no value in any message."""
    wrong = goal()
    wrong["lifecycleStatus"] = SECRET
    unnamed = goal()
    del unnamed["id"], unnamed["subject"]
    lines = [goal(), wrong, unnamed]
    file = tmp_path / "g.ndjson"
    file.write_bytes(b"\n".join(exact_json.dumps(one) for one in lines) + b"\n{\n")
    report = validate_paths([file, tmp_path / "no.json"])
    assert (report["resources"], report["valid"]) == (5, 1)
    found = report["issues"]
    assert isinstance(found, list)
    assert [(one["id"], one["rule"], one["path"]) for one in found if isinstance(one, dict)] == [
        ("g1", "R4-GOAL-01", "Goal.lifecycleStatus"),
        ("line 3", "R4-GOAL-03", "Goal.subject"),
        ("line 4", "READ-JSON", "line 4"),
        ("", "READ-FILE", ""),
    ]
    assert all(
        isinstance(one, dict) and list(one) == ["file", "id", "severity", "rule", "path", "message"] for one in found
    )
    assert SECRET.encode() not in exact_json.dumps(report)


def test_a_contained_goal_is_judged_inside_its_container(tmp_path: Path) -> None:
    """The report counts a contained Goal as a resource of its own and resolves `#` against the container."""
    plan = careplan()
    inner = {
        "resourceType": "Goal",
        "id": "inner",
        "lifecycleStatus": "active",
        "description": {"text": "x"},
        "subject": {"reference": "#p"},
    }
    plan["contained"] += [inner, {"resourceType": "Patient", "id": "p"}]
    plan["goal"].append({"reference": "#inner"})
    (tmp_path / "p.json").write_bytes(exact_json.dumps(plan))
    assert validate_paths(tmp_path) == {"resources": 2, "valid": 2, "issues": []}


@pytest.mark.parametrize("make", [goal, careplan])
def test_reading_changes_nothing(make: Callable[[], Body], tmp_path: Path) -> None:
    """What the walk yields is the file's tree to the byte."""
    raw = exact_json.dumps(make())
    (tmp_path / "x.json").write_bytes(raw)
    (met,) = iter_resources(tmp_path)
    assert isinstance(met, Found)
    assert exact_json.dumps(met.resource) == raw
