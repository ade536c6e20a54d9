"""`map`: what a connection would get of a plan, and the way back."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from fhirgoals.cli.main import main
from fhirgoals.cli.roundtrip import check, first_difference
from fhirgoals.cli.wire_out import people_on_wire, problems_on_wire
from fhirgoals.domain.disclosure import disclose, outline
from fhirgoals.domain.identity import Installation
from fhirgoals.domain.planfile import dump_plan, load_plan
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Values, same_value, units
from fhirgoals.fhir import exact_json
from fhirgoals.mappers.refs import Refs, participants_of, visible
from tests.unit.wire_names import WireNames

EXAMPLES = Path(__file__).parents[2] / "examples"
PLANS = sorted(EXAMPLES.glob("0*.yaml"))
ON = date(2026, 11, 6)
SYSTEM = UUID("11111111-1111-4111-8111-111111111111")
NAMESPACE = UUID("22222222-2222-4222-8222-222222222222")
HERE = Installation(SYSTEM.urn, NAMESPACE)
OPTIONS = ["--installation", str(SYSTEM), "--namespace", str(NAMESPACE), "--on", ON.isoformat()]


def plan_of(path: Path) -> Plan:
    return load_plan(path.read_bytes(), name=path.name)


def expected_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())["expected"]["export"]
    return found


def endpoints(path: Path) -> list[str]:
    return ["ehr-main" if name == "any" else name for name in expected_of(path)]


CASES = [pytest.param(path, name, id=f"{path.stem}-{name}") for path in PLANS for name in endpoints(path)]


def portal(name: str) -> list[str]:
    return ["--portal-visible"] if name == "patient-portal" else []


def to_r4(tmp_path: Path, path: Path, name: str, *more: str) -> dict[str, Any]:
    out = tmp_path / "bundle.json"
    code = main(["map", str(path), "--to", "r4", "--as", name, "--out", str(out), *OPTIONS, *portal(name), *more])
    assert code == 0
    tree = exact_json.loads(out.read_bytes())
    assert isinstance(tree, dict)
    return tree


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one["resource"] for one in bundle.get("entry", []) if one["resource"]["resourceType"] == kind]


def seen_by(plan: Plan, name: str) -> Values:
    shown = disclose(plan, name, on=ON, portal_visible=name == "patient-portal").plan
    if shown is None:
        return {}
    goals = {goal.id: f"Goal/{HERE.wire_id('Goal', plan.id, goal.id)}" for goal in plan.goals}
    people, problems = people_on_wire(plan, HERE), problems_on_wire(plan, HERE)
    return visible(shown, Refs(NAMESPACE, plan.id, people, problems, goals, participants_of(plan)))


@pytest.mark.parametrize(("path", "name"), CASES)
def test_exactly_the_goals_that_a_reader_may_see_are_mapped(tmp_path: Path, path: Path, name: str) -> None:
    """Goals, steps and notes per endpoint are those of the example's `expected.export`, goals depth first."""
    plan = plan_of(path)
    wanted = expected_of(path).get(name) or expected_of(path)["any"]
    bundle = to_r4(tmp_path, path, name)
    goals = resources(bundle, "Goal")
    depth_first = [goal for goal in outline(plan) if goal in wanted["sent"]]
    assert [one["id"] for one in goals] == [HERE.wire_id("Goal", plan.id, goal) for goal in depth_first]
    assert len(goals) == wanted["goals"] == len(wanted["sent"])
    care_plans = resources(bundle, "CarePlan")
    assert len(care_plans) == (1 if wanted["sent"] else 0)
    if not wanted["sent"]:
        return
    activities = care_plans[0]["activity"]
    steps = [one for one in activities if one["detail"]["kind"] == "Task"]
    assert len(steps) == wanted["steps"]
    kinds = [
        part["valueCode"]
        for goal in goals
        for note in goal.get("note", [])
        for part in note.get("extension", [])
        if part["url"].endswith("/note-kind")
    ]
    notes = wanted["notes"]
    counted = {"progress": kinds.count("progress"), "victories": kinds.count("victory")}
    assert counted | {"client_words": kinds.count("client-words")} == notes


@pytest.mark.parametrize(("path", "name"), CASES)
def test_a_plan_comes_back_equal_on_what_the_reader_may_see(
    tmp_path: Path, path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plan to R4 and back gives the same merge units, each under its wire name, and nothing else."""
    bundle = to_r4(tmp_path, path, name)
    wanted = WireNames(plan_of(path), HERE).values(seen_by(plan_of(path), name))
    if not bundle.get("entry"):
        assert wanted == {}
        return
    capsys.readouterr()
    assert main(["map", str(tmp_path / "bundle.json"), "--to", "internal"]) == 0
    printed = capsys.readouterr()
    got = units(load_plan(printed.out, name="printed"))
    differing = {
        unit: (wanted.get(unit), got.get(unit))
        for unit in wanted.keys() | got.keys()
        if not same_value(wanted.get(unit), got.get(unit))
    }
    assert differing == {}
    assert "left out" not in printed.err


@pytest.mark.parametrize(("path", "name"), CASES)
def test_laying_resources_over_their_own_plan_changes_nothing(
    tmp_path: Path, path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--to internal --onto PLAN` of what was just mapped gives the plan back as it was, ids and all."""
    if not to_r4(tmp_path, path, name).get("entry"):
        return
    capsys.readouterr()
    bundle = str(tmp_path / "bundle.json")
    code = main(["map", bundle, "--to", "internal", "--onto", str(path), "--as", name, *OPTIONS, *portal(name)])
    assert code == 0
    assert load_plan(capsys.readouterr().out, name="printed") == plan_of(path)


def test_an_edit_in_a_resource_reaches_the_plan_it_is_laid_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One priority changed in the Bundle is one priority changed in the plan, and nothing else is."""
    path = EXAMPLES / "01-depression.yaml"
    bundle = to_r4(tmp_path, path, "ehr-main")
    goal_id = HERE.wire_id("Goal", "plan-dep-01", "g-resilience")
    goal = next(one for one in resources(bundle, "Goal") if one["id"] == goal_id)
    goal["priority"]["coding"][0]["code"] = "high-priority"
    goal["priority"]["coding"][0].pop("display", None)
    goal["priority"].pop("text", None)
    edited = tmp_path / "edited.json"
    edited.write_bytes(exact_json.dumps(bundle))
    capsys.readouterr()
    code = main(["map", str(edited), "--to", "internal", "--onto", str(path), "--as", "ehr-main", *OPTIONS])
    assert code == 0
    plan = load_plan(capsys.readouterr().out, name="printed")
    assert plan.goal("g-resilience").priority == "high"
    before = plan_of(path)
    assert [goal.id for goal in plan.goals if goal != before.goal(goal.id)] == ["g-resilience"]


def test_mapping_onto_a_resource_keeps_what_is_not_ours(tmp_path: Path) -> None:
    """An EHR's own extension with its 7.10 and an unknown contained resource stay while one text is changed."""
    path = EXAMPLES / "02-ocd-exposure.yaml"
    bundle = to_r4(tmp_path, path, "ehr-main")
    wash = HERE.wire_id("Goal", "plan-ocd-01", "g-wash")
    goal = next(one for one in resources(bundle, "Goal") if one["id"] == wash)
    own: dict[str, Any] = {
        "contained": [{"resourceType": "Basic", "id": "b1", "code": {"text": "x"}}],
        "extension": [
            *goal.get("extension", []),
            {"url": "https://ehr.example/score", "valueDecimal": exact_json.loads("7.10")},
        ],
    }
    goal |= own
    there = tmp_path / "there.json"
    there.write_bytes(exact_json.dumps(bundle))
    changed = tmp_path / "changed.yaml"
    changed.write_text(path.read_text().replace("Reduce washing to 30 minutes", "Reduce washing to 25 minutes"))
    after = to_r4(tmp_path, changed, "ehr-main", "--onto", str(there))
    found = next(one for one in resources(after, "Goal") if one["id"] == wash)
    assert found["description"]["text"].startswith("Reduce washing to 25 minutes")
    goal["description"]["text"] = found["description"]["text"]
    assert exact_json.dumps(found) == exact_json.dumps(goal)


def test_nothing_of_a_development_plan_is_mapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A therapist's own plan gives an empty Bundle, and no text of it is printed anywhere."""
    bundle = to_r4(tmp_path, EXAMPLES / "04-therapist-development.yaml", "ehr-main")
    assert bundle == {"resourceType": "Bundle", "type": "collection"}
    printed = capsys.readouterr()
    assert "SENTINEL" not in printed.out + printed.err


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_no_kept_text_is_mapped(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No sentinel of an example is in what is mapped, nor in what is said about it."""
    bundle = to_r4(tmp_path, path, "ehr-main")
    printed = capsys.readouterr()
    assert "SENTINEL" not in exact_json.dumps(bundle).decode() + printed.out + printed.err


def test_foreign_goals_become_plans_that_load(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every Goal and CarePlan of the samples becomes a plan file that loads back to itself."""
    assert main(["map", str(shared / "data/fhir/r4"), "--to", "internal"]) == 0
    documents = capsys.readouterr().out.split("---\n")
    assert len(documents) > 20
    for text in documents:
        plan = load_plan(text, name="printed")
        assert load_plan(dump_plan(plan), name="again") == plan


def test_check_finds_every_sample_unchanged(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mapping every R4 and R4B sample in and out changes none of them and crashes on none."""
    code = main(["map", "--check", str(shared / "data/fhir/r4"), str(shared / "data/fhir/r4b")])
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["resources", "identical", "changed", "quarantined", "coverage"]
    assert report["changed"] == []
    assert report["resources"] - len(report["quarantined"]) == report["identical"]
    assert report["resources"] > 150
    assert all(one["present"] == one["mapped"] for one in report["coverage"].values())
    assert code == 0


def test_check_reads_bundles_contained_lines_and_gzip(tmp_path: Path) -> None:
    """Top-level, in a Bundle, contained, in NDJSON and gzipped: each resource is counted once."""
    goal = {"resourceType": "Goal", "id": "g", "lifecycleStatus": "active", "description": {"text": "x"}}
    holder = {"resourceType": "Patient", "id": "p", "contained": [goal]}
    (tmp_path / "a.json").write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": goal}]}))
    (tmp_path / "b.json").write_text(json.dumps(holder))
    (tmp_path / "c.ndjson").write_text(f"{json.dumps(goal)}\n{json.dumps(goal)}\n")
    (tmp_path / "d.json.gz").write_bytes(gzip.compress(json.dumps(goal).encode()))
    assert check([tmp_path]).identical == 5


def test_check_tells_what_can_not_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is no JSON is quarantined with its rule and place, and the others are still checked."""
    file = tmp_path / "mixed.ndjson"
    file.write_text('{"resourceType": "Goal", "id": "g"}\n{"resourceType": \n')
    assert main(["map", "--check", str(file)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["resources"], report["identical"]) == (2, 1)
    [quarantined] = report["quarantined"]
    assert set(quarantined) == {"file", "id", "rule", "path", "message"}
    assert quarantined["path"] == "line 2"


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ('{"a": {"b": [1, 7.10]}}', '{"a": {"b": [1, 7.1]}}', "a.b[1]"),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', "(the order of its keys)"),
        ('{"a": 1}', '{"a": 1, "b": null}', "b"),
        ('{"a": [1]}', '{"a": [1, 2]}', "a"),
        ('{"a": true}', '{"a": 1}', "a"),
    ],
)
def test_the_first_difference_is_named_by_its_path(before: str, after: str, path: str) -> None:
    """Digits, key order, additions and types count as changes."""
    assert first_difference(exact_json.loads(before), exact_json.loads(after)) == path
    assert first_difference(exact_json.loads(before), exact_json.loads(before)) is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["PLAN", "--to", "r4"], "--as"),
        (["PLAN"], "say what to do"),
        (["PLAN", "--to", "r4", "--as", "ehr-main", "--on", "soon"], "--on"),
        (["PLAN", "--to", "r9"], "r9"),
        (["PLAN", "--to", "internal"], "JSON"),
    ],
)
def test_a_wrong_call_says_what_to_do(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    """One line on stderr, exit code 2, nothing on stdout."""
    path = str(EXAMPLES / "01-depression.yaml")
    assert main(["map", *(path if one == "PLAN" else one for one in arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert says in printed.err
    assert len(printed.err.splitlines()) == 1


def test_a_decimal_beyond_any_sum_is_read_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """FHIR's decimals have no limit: one with a huge exponent comes out of `map --check` as it went in."""
    goal = (
        b'{"resourceType":"Goal","id":"b","lifecycleStatus":"active","description":{"text":"x"},'
        b'"subject":{"reference":"Patient/1"},"target":[{"measure":{"text":"y"},'
        b'"detailQuantity":{"value":1E+999999999}}]}'
    )
    (tmp_path / "goal.json").write_bytes(goal)
    assert main(["map", "--check", str(tmp_path / "goal.json")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["resources"], report["identical"]) == (1, 1)


@pytest.mark.parametrize("command", [["map", "--check"], ["validate"]], ids=" ".join)
def test_a_path_that_is_not_there_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """A mistyped path is told with exit code 2, not counted as a resource; a folder without resources is fine."""
    assert main([*command, str(tmp_path / "nofile")]) == 2
    printed = capsys.readouterr()
    assert (printed.out, "no such file" in printed.err) == ("", True)
    assert main([*command, str(tmp_path)]) == 0


def test_a_resource_that_can_not_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`map --to r4` ends in 2 and names the kind and the rule where something that should go has no form in FHIR."""
    tree = yaml.safe_load(PLANS[0].read_text())
    tree["goals"][0]["text"] = " "  # FHIR R4: a string holds more than blanks
    (tmp_path / "plan.yaml").write_text(json.dumps(tree, default=str))
    assert main(["map", str(tmp_path / "plan.yaml"), "--to", "r4", "--as", "ehr-main", *OPTIONS]) == 2
    assert "a Goal is not written: " in capsys.readouterr().err
