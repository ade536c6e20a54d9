"""What new resources get besides their fields, and the operation id in `meta.source`."""

from __future__ import annotations

from datetime import date

import pytest

from fhirgoals.domain.records import Identifier
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import stamp
from fhirgoals.mappers.careplan import CAREPLAN
from fhirgoals.mappers.goal import GOAL
from fhirgoals.mappers.narrative import care_plan_text, with_text
from fhirgoals.mappers.records import WireCarePlan, WireCode, WireGoal

OURS = ("urn:uuid:6e6dd5e5-7a3a-4a4e-9d0c-1c5b0d1d7d01", "0b1d7c1e-8a55-5f0e-9a8c-0a4e8ad2b111")
OPERATION = "5a2c7b9e-1111-4222-8333-444455556666"


def test_a_new_goal_meets_us_core() -> None:
    """Type, profile, our identifier and subject stand beside the table's fields; labels stay in meta."""
    record = WireGoal(
        text="Sleep",
        lifecycle="active",
        start_date=date(2026, 5, 1),
        target_date=date(2026, 12, 1),
        expressed_by="Patient/1",
        labels=(WireCode(system=t.ACT_CODE, code="MH"),),
    )
    made = stamp.new_goal(GOAL.to_fhir(record, {}), identifier=OURS, subject="Patient/1", resource_id=OURS[1])
    assert made == {
        "resourceType": "Goal",
        "id": OURS[1],
        "meta": {"profile": [t.US_CORE_GOAL], "security": [{"system": t.ACT_CODE, "code": "MH"}]},
        "identifier": [{"system": OURS[0], "value": OURS[1]}],
        "lifecycleStatus": "active",
        "description": {"text": "Sleep"},
        "startDate": "2026-05-01",
        "target": [{"id": "due", "dueDate": "2026-12-01"}],
        "expressedBy": {"reference": "Patient/1"},
        "subject": {"reference": "Patient/1"},
    }
    assert GOAL.from_fhir(made) == record
    assert "id" not in stamp.new_goal({}, identifier=OURS, subject="Patient/1")


def test_a_new_care_plan_meets_us_core() -> None:
    """Intent plan and category assess-plan stand on it; the narrative is put in front."""
    record = WireCarePlan(status="active", title="Plan", contributors=("Practitioner/7",))
    made = stamp.new_care_plan(CAREPLAN.to_fhir(record, {}), identifier=OURS, subject="Patient/1")
    made = with_text(made, care_plan_text("Plan", ()))
    assert list(made) == [
        "resourceType",
        "meta",
        "text",
        "identifier",
        "status",
        "title",
        "contributor",
        "subject",
        "intent",
        "category",
    ]
    assert made["intent"] == "plan"
    assert made["category"][0]["coding"][0]["code"] == "assess-plan"  # type: ignore[index,call-overload]
    assert CAREPLAN.from_fhir(made) == record


@pytest.mark.parametrize("meta", [None, {}, {"source": ""}, {"source": "#req1"}, {"source": stamp.OPERATION + "old#x"}])
def test_the_operation_id_goes_where_no_source_or_ours_stands(meta: Resource | None) -> None:
    """An empty source, HAPI's bare request id, or an older id of ours gives way."""
    tree: Resource = {"resourceType": "Goal"} if meta is None else {"meta": meta}
    made = stamp.with_operation_id(tree, OPERATION)
    assert stamp.operation_id(made) == OPERATION
    made["meta"]["source"] += "#gR4x"  # type: ignore[index,call-overload,operator]
    assert stamp.operation_id(made) == OPERATION


@pytest.mark.parametrize("meta", [{"source": "http://ehr.example/x#1"}, "odd"])
def test_another_source_is_left_alone(meta: Resource | str) -> None:
    """Whoever wrote their source keeps it."""
    made = stamp.with_operation_id({"meta": meta}, OPERATION)
    assert made == {"meta": meta}
    assert stamp.operation_id(made) is None


def test_subject_and_identifiers_read_from_any_tree() -> None:
    """Only references by string, and identifiers with system and value."""
    assert stamp.subject({"subject": {"reference": "Patient/1"}}) == "Patient/1"
    assert stamp.subject({"subject": {"display": "A"}}) is None
    tree: Resource = {"identifier": [{"system": "s", "value": "v"}, {"value": "v"}, 5, {"system": 5, "value": "v"}]}
    assert stamp.identifiers(tree) == (Identifier(system="s", value="v"),)
    assert stamp.identifiers({"identifier": {"system": "s", "value": "v"}}) == ()
