"""The rules for Goal and CarePlan: a table of good and broken resources, and the public samples."""

from __future__ import annotations

import copy
import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import annotation, identifier, quantity
from fhir.resources.R4B import careplan as plan_models
from fhir.resources.R4B import goal as goal_models
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.fhir import exact_json
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.files import Found, iter_resources
from fhirgoals.fhir.rules import issues
from fhirgoals.fhir.shapes import PROPERTIES, R5_ONLY, SHAPES
from fhirgoals.fhir.validate import Quarantine, Readable, check_read
from tests.unit.fhir_probes import PROBES, Body, Probe, careplan, goal


@pytest.mark.parametrize("make", [goal, careplan])
def test_a_good_resource_has_no_issue(make: Callable[[], Body]) -> None:
    """A resource that uses most elements and breaks nothing has no issue at all."""
    assert issues(make()) == ()


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_broken_resource_has_just_the_issue_of_its_rule(probe: Probe) -> None:
    """Each way to break a good resource causes one issue, with its rule, path and severity."""
    body = probe.make()
    probe.break_it(body)
    found = [(issue.severity, issue.rule, issue.path) for issue in issues(body)]
    assert found == [(probe.severity, probe.rule, probe.path)]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_judging_does_not_change_the_resource(probe: Probe) -> None:
    """The tree is the same to the byte after it was judged."""
    body = probe.make()
    probe.break_it(body)
    before = copy.deepcopy(body)
    issues(body)
    assert exact_json.same(body, before)


def test_no_message_holds_a_value() -> None:
    """A message tells rule and path; no text, code, id or reference of the resource shows in it."""
    planted = "KIND-SENTINEL-VALUE"
    body = _planted(goal(), planted)
    body["subject"] = {"reference": planted}
    found = issues(body)
    assert len(found) > 10
    assert not [issue for issue in found if planted in issue.message or planted in issue.path]


def _planted(tree: Any, text: str) -> Any:
    if isinstance(tree, dict):
        return {key: value if key == "resourceType" else _planted(value, text) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_planted(value, text) for value in tree]
    return text + " \n" if isinstance(tree, str) else [tree]


@pytest.mark.parametrize(
    "tree",
    [
        {"resourceType": "Goal"},
        {"resourceType": "CarePlan", "activity": {"detail": []}, "goal": "x", "contained": 3, "meta": []},
        {"resourceType": "Goal", "contained": [None, {"resourceType": "Nonsense"}, 7], "extension": [None, {"url": 3}]},
        {
            "resourceType": "Goal",
            "target": [[], {"detailRange": []}, None],
            "_lifecycleStatus": [],
            "note": [{"_text": 3}],
        },
        {"resourceType": "Patient"},
        {"resourceType": None},
        {},
    ],
)
def test_nothing_makes_the_rules_crash(tree: Body) -> None:
    """Whatever JSON stands where, the answer is a list of issues."""
    assert issues(tree)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_any_json_anywhere_is_judged(data: st.DataObject) -> None:
    """Any JSON in the place of any value of a good resource gives issues, never an exception, and no value in them."""
    body = data.draw(st.sampled_from([goal, careplan]))()
    here: Any = body
    for _ in range(data.draw(st.integers(1, 8))):
        key = data.draw(st.sampled_from(list(here) if isinstance(here, dict) else list(range(len(here)))))
        if not isinstance(here[key], dict | list) or not here[key] or data.draw(st.booleans()):
            here[key] = data.draw(_JSON)
            break
        here = here[key]
    for issue in issues(body):
        assert re.fullmatch(r"[A-Za-z_?][\w.?\[\]]*", issue.path), issue.path
    assert isinstance(check_read(body), Readable | Quarantine)


def test_deep_nesting_is_judged() -> None:
    """An extension nested as deep as JSON may be read is judged, not a recursion error."""
    inner: Body = {"url": "http://x.example/leaf", "valueString": "x"}
    for _ in range(80):
        inner = {"url": "http://x.example/deep", "extension": [inner]}
    body = goal()
    body["extension"].append(inner)
    assert not [issue for issue in issues(body) if issue.rule != "SHAPE-MODEL"]


def test_a_contained_goal_sees_its_siblings_and_its_container() -> None:
    """`#p` and `#` in a contained Goal name what the containing resource holds and is."""
    inner: Body = {
        "resourceType": "Goal",
        "id": "g",
        "lifecycleStatus": "active",
        "description": {"text": "x"},
        "subject": {"reference": "#p"},
    }
    outer: Body = {**careplan(), "contained": [inner, {"resourceType": "Patient", "id": "p"}]}
    assert issues(inner, container=outer) == ()
    assert [issue.rule for issue in issues(inner)] == ["ref-1"]
    inner["subject"] = {"reference": "#"}
    assert [issue.rule for issue in issues(inner, container=outer)] == ["R4-GOAL-03"]


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "Patient/1/_history/3"},
        {"reference": "urn:uuid:6f0e6d0a-2f0a-4b4c-9c3e-1d1f2a3b4c5d"},
        {"reference": "Patient?identifier=urn:x|1"},
        {"reference": "https://ehr.example/fhir/Group/1"},
        {"identifier": {"system": "urn:x", "value": "1"}},
        {"display": "somebody"},
    ],
)
def test_every_legal_form_of_reference_passes(reference: Body) -> None:
    """Versioned, urn, conditional, absolute, logical and display-only references are legal subjects."""
    assert issues({**goal(), "subject": reference}) == ()


def test_an_extension_replaces_a_primitive_but_not_a_required_code() -> None:
    """A required primitive that has only a reason for its absence is there; a code of a required list is not."""
    reason = {"extension": [{"url": t.hl7_ext("data-absent-reason"), "valueCode": "unknown"}]}
    body = goal()
    del body["note"][0]["text"]
    body["note"][0]["_text"] = reason
    assert issues(body) == ()
    del body["lifecycleStatus"]
    body["_lifecycleStatus"] = reason
    assert [(issue.rule, issue.path) for issue in issues(body)] == [("R4-GOAL-01", "Goal.lifecycleStatus")]


def test_null_padded_primitive_lists_pass() -> None:
    """A null in a list of primitives is the place of a member that has only extensions."""
    body = careplan()
    body["instantiatesUri"] = ["http://x.example/1", None]
    body["_instantiatesUri"] = [None, {"extension": [{"url": "http://x.example/e", "valueString": "x"}]}]
    assert issues(body) == ()
    body["_instantiatesUri"] = [None, None]
    assert {issue.path for issue in issues(body)} == {"CarePlan.instantiatesUri[1]"}


def test_the_table_of_shapes_is_that_of_the_models() -> None:
    """Elements, lists, required ones and choices are those that the R4B models have."""
    models = {
        "Goal": goal_models.Goal,
        "Goal.target": goal_models.GoalTarget,
        "CarePlan": plan_models.CarePlan,
        "CarePlan.activity": plan_models.CarePlanActivity,
        "CarePlan.activity.detail": plan_models.CarePlanActivityDetail,
        "Annotation": annotation.Annotation,
        "Identifier": identifier.Identifier,
        "Quantity": quantity.Quantity,
    }
    for name, model in models.items():
        theirs = {
            field.alias or key: field
            for key, field in model.model_fields.items()
            if not (field.alias or key).startswith("_") and not key.endswith("__ext")
        }
        theirs.pop("resourceType", None), theirs.pop("fhir_comments", None), theirs.pop("resource_type", None)
        assert theirs.keys() == PROPERTIES[name].keys(), name
        lists = {
            key for key, field in theirs.items() if "List[" in str(field.annotation) or "list[" in str(field.annotation)
        }
        assert lists == {key for key, place in PROPERTIES[name].items() if place.element.many}, name


def test_no_later_property_is_in_the_table() -> None:
    """What only later versions have is named as such and not part of R4."""
    for kind, names in R5_ONLY.items():
        assert not names.keys() & PROPERTIES[kind].keys()
    assert "continuous" in R5_ONLY["Goal"]


def test_every_rule_of_the_table_is_a_conformance_rule(shared: Path) -> None:
    """Rule ids of elements and probes stand in the conformance rules, or are our SHAPE rules or FHIR invariants."""
    with (shared / "reference" / "conformance-rules.csv").open(encoding="utf-8") as rows:
        known = {row["rule_id"] for row in csv.DictReader(rows)}
    used = {element.rule for shape in SHAPES.values() for element in shape} | {probe.rule for probe in PROBES}
    assert {rule for rule in used if rule and rule[:2].isupper() and not rule.startswith("SHAPE-")} <= known
    wanted = {rule for rule in known if rule.startswith(("R4-GOAL-", "R4-CP-", "EXT-0"))}
    # Not of one resource alone: voided goals in trees, import of doNotPerform, and a note on reasons.
    assert wanted - {probe.rule for probe in PROBES} == {"R4-GOAL-14", "R4-CP-07", "EXT-03"}


def test_every_public_sample_is_judged(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every R4 and R4B sample is read and judged without a crash; only the known generated ones have errors."""
    found = [
        met for met in iter_resources([shared / "data/fhir/r4", shared / "data/fhir/r4b"]) if isinstance(met, Found)
    ]
    wrong = [met for met in found if any(i.severity == "error" for i in issues(met.resource, container=met.container))]
    with capsys.disabled():
        print(f"\n{len(found)} samples judged, {len(wrong)} with errors")
    assert len(found) > 150
    # Generated plans refer to contained resources by a wrong name; the smallest ones have a reason for their status.
    assert {Path(met.file).parent.name for met in wrong} == {"android-fhir-generated", "lfh-minimal"}
