"""The CarePlan table: each rule of the wire form by example."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Foreign
from fhirgoals.fhir import exact_json
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers.careplan import CAREPLAN
from fhirgoals.mappers.records import WireActivity, WireCarePlan, WireCode
from fhirgoals.mappers.wrong_types import wrong_types
from tests.laws.samples import full


def tree(text: str) -> Resource:
    found = exact_json.loads(text)
    assert isinstance(found, dict)
    return found


def activity(detail: str, rest: str = "") -> WireActivity:
    [found] = CAREPLAN.from_fhir(tree(f'{{"activity":[{{"detail":{detail}{rest}}}]}}')).activities
    return found


def changed(detail: str, **fields: Any) -> str:
    """Return the detail of the one activity after these fields of it changed."""
    onto = tree(f'{{"activity":[{{"detail":{detail}}}]}}')
    record = CAREPLAN.from_fhir(onto)
    wanted = msgspec.structs.replace(record, activities=(msgspec.structs.replace(record.activities[0], **fields),))
    made = CAREPLAN.to_fhir(wanted, onto)
    assert CAREPLAN.from_fhir(made) == wanted
    return exact_json.dumps(made["activity"][0]["detail"]).decode()  # type: ignore[index,call-overload]


def test_a_full_care_plan_reads_as_its_record() -> None:
    """Every row reads what stands there; what is neither step nor intervention is passed over."""
    read = CAREPLAN.from_fhir(full("CarePlan"))
    assert (read.title, read.status, read.author) == ("Plan", "active", "Practitioner/7")
    assert (read.period_start, read.period_end) == (date(2026, 5, 1), Foreign(foreign='"2027-05"'))
    assert (read.contributors, read.goals) == (("Practitioner/7", "Patient/1"), ("Goal/1", "Goal/2"))
    assert [(one.role, one.text) for one in read.activities] == [
        ("step", "Walk"),
        ("intervention", "Thought records"),
        ("step", "Pills"),
        ("step", None),
    ]
    assert read.activities[0] == WireActivity(
        id="a1",
        step_id="a1",
        code="self_care",
        text="Walk",
        goals=("Goal/2",),
        status="done",
        done_on=date(2026, 6, 1),
        owner="client",
        performers=("Patient/1",),
        frequency="daily",
        scheduled=date(2026, 6, 1),
    )


def test_one_edited_step_changes_one_leaf() -> None:
    """Editing a step's text changes that text and nothing else, to the byte."""
    onto = full("CarePlan")
    record = CAREPLAN.from_fhir(onto)
    first, *others = record.activities
    wanted = msgspec.structs.replace(record, activities=(msgspec.structs.replace(first, text="Run"), *others))
    assert exact_json.dumps(CAREPLAN.to_fhir(wanted, onto)) == exact_json.dumps(onto).replace(b'"Walk"', b'"Run"')


def test_what_we_write_says_what_it_is_in_every_way() -> None:
    """Kind, code with text, role and step id stand on an activity of ours."""
    step = WireActivity(id="s1", step_id="s1", code="exposure", text="Touch the handle", status="planned")
    made = CAREPLAN.to_fhir(WireCarePlan(activities=(step,)), {})
    assert made["activity"] == [
        {
            "id": "s1",
            "detail": {
                "kind": "Task",
                "code": {
                    "coding": [{"system": t.STEP_KIND.system, "code": "exposure", "display": "Exposure"}],
                    "text": "Exposure",
                },
                "status": "not-started",
                "description": "Touch the handle",
            },
            "extension": [
                {"url": t.ACTIVITY_ROLE_EXT, "valueCode": "step"},
                {"url": t.STEP_ID_EXT, "valueString": "s1"},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("kind", "role"),
    [('"Task"', "step"), ('"ServiceRequest"', "intervention"), ('"Appointment"', "step"), ("null", "step")],
)
def test_a_foreign_kind_reads_as_a_step_unless_it_is_a_service_request(kind: str, role: str) -> None:
    """The role follows the kind."""
    assert activity(f'{{"kind":{kind}}}').role == role


def test_our_role_counts_where_a_server_dropped_the_kind() -> None:
    """An intervention without its kind is still one by our extension."""
    rest = f',"extension":[{{"url":"{t.ACTIVITY_ROLE_EXT}","valueCode":"intervention"}}]'
    assert activity("{}", rest).role == "intervention"
    assert activity('{"kind":"Task"}', rest).role == "step"


@pytest.mark.parametrize(
    "element",
    [
        '{"detail":{"doNotPerform":true}}',
        '{"detail":{"doNotPerform":"true"}}',
        '{"reference":{"reference":"Task/1"}}',
        '{"reference":{"reference":"Task/1"},"detail":{"kind":"Task"}}',
        '{"progress":[{"text":"x"}]}',
        '{"detail":5}',
    ],
)
def test_what_is_neither_step_nor_intervention_is_left_alone(element: str) -> None:
    """R4-CP-07: what must not be done is never a step to do; a reference or no detail is none of ours inline."""
    onto = tree(f'{{"activity":[{element}]}}')
    assert CAREPLAN.from_fhir(onto).activities == ()
    made = CAREPLAN.to_fhir(WireCarePlan(activities=(WireActivity(text="new"),)), onto)
    assert made["activity"][0] == onto["activity"][0]  # type: ignore[index,call-overload]


def test_not_doing_what_may_be_done_is_a_step() -> None:
    """doNotPerform false is a step like any other, and stays."""
    assert changed('{"doNotPerform":false,"description":"a"}', text="b") == '{"doNotPerform":false,"description":"b"}'


def test_an_emptied_detail_stays() -> None:
    """Without its detail the activity would be no step any more."""
    assert changed('{"status":"scheduled"}', status=None) == "{}"


# --- Schedule ------------------------------------------------------------------------------------------------------


def test_a_date_alone_is_a_period_of_one_day() -> None:
    """Without a frequency scheduledPeriod starts and ends on the date."""
    assert changed("{}", scheduled=date(2026, 6, 1)) == '{"scheduledPeriod":{"start":"2026-06-01","end":"2026-06-01"}}'
    assert activity('{"scheduledPeriod":{"start":"2026-06-01T08:00:00Z","end":"2026-06-01"}}').scheduled == date(
        2026, 6, 1
    )


def test_a_date_beside_a_frequency_is_our_extension() -> None:
    """A detail has one scheduled[x]: the words; the date stands beside it, and moves when they come or go."""
    both = changed('{"scheduledPeriod":{"start":"2026-06-01","end":"2026-06-01"}}', frequency="daily")
    assert both == (
        f'{{"extension":[{{"url":"{t.STEP_SCHEDULED_EXT}","valueDate":"2026-06-01"}}],"scheduledString":"daily"}}'
    )
    assert changed(both, frequency=None) == '{"scheduledPeriod":{"start":"2026-06-01","end":"2026-06-01"}}'


@pytest.mark.parametrize(
    "schedule",
    [
        '{"scheduledTiming":{"repeat":{"period":1.0}}}',
        '{"scheduledPeriod":{"start":"2026-06-01"}}',
        '{"scheduledPeriod":{"start":"2026-06-01","end":"2026-06-02"}}',
        '{"scheduledString":"daily","scheduledTiming":{}}',
    ],
)
def test_another_schedule_is_foreign_and_survives(schedule: str) -> None:
    """A Timing or a longer period is kept under its name, also when the step is written elsewhere."""
    assert activity(schedule).schedule == Foreign(foreign=schedule)
    assert changed(schedule, text="x") == schedule[:-1] + ',"description":"x"}'
    assert changed("{}", schedule=Foreign(foreign=schedule)) == schedule


def test_a_date_takes_the_place_of_every_other_schedule() -> None:
    """Where two scheduled[x] stood, which FHIR forbids, one is left."""
    both = '{"scheduledPeriod":{"start":"2026-06-01","end":"2026-06-01"},"scheduledTiming":{}}'
    assert changed(both, schedule=None, scheduled=date(2026, 6, 2)) == (
        '{"scheduledPeriod":{"start":"2026-06-02","end":"2026-06-02"}}'
    )


# --- Codes ---------------------------------------------------------------------------------------------------------


def test_a_foreign_code_of_a_step_is_kept_whole() -> None:
    """A concept without our coding is the kind as it stands; a kind of ours replaces it."""
    concept = '{"coding":[{"system":"http://snomed.info/sct","code":"229065009"}],"text":"Exercise"}'
    assert activity(f'{{"code":{concept}}}').code == Foreign(foreign=concept)
    assert '"Exercise"' not in changed(f'{{"code":{concept}}}', code="training")


def test_another_kind_keeps_codings_of_others_and_own_words() -> None:
    """Beside our coding an EHR's stays; the concept's text follows only where it was ours."""
    ours = f'{{"system":"{t.STEP_KIND.system}","code":"exposure"}}'
    before = f'{{"code":{{"coding":[{{"system":"o","code":"x"}},{ours}],"text":"own words"}}}}'
    assert changed(before, code="homework") == (
        f'{{"code":{{"coding":[{{"system":"{t.STEP_KIND.system}","code":"homework","display":"Homework"}},'
        '{"system":"o","code":"x"}],"text":"own words"}}'
    )


def test_an_intervention_has_a_modality_and_a_coding_of_the_frozen_list() -> None:
    """The further coding is read beside the modality, and alone where no modality stands."""
    cbt = WireCode(system=t.SNOMED, code="228557008")
    frozen = '{"system":"http://snomed.info/sct","code":"228557008"}'
    modality = f'{{"system":"{t.MODALITY.system}","code":"cbt"}}'
    read = activity(f'{{"kind":"ServiceRequest","code":{{"coding":[{frozen},{modality}]}}}}')
    assert (read.code, read.coding) == ("cbt", cbt)
    read = activity(f'{{"kind":"ServiceRequest","code":{{"coding":[{frozen}]}}}}')
    assert (read.code, read.coding) == (None, cbt)


def test_a_role_that_changes_takes_its_code_along() -> None:
    """A step that became an intervention has a modality; its step kind is gone."""
    before = f'{{"kind":"Task","code":{{"coding":[{{"system":"{t.STEP_KIND.system}","code":"exposure"}}]}}}}'
    after = changed(before, role="intervention", code="erp")
    assert t.STEP_KIND.system not in after
    assert '"kind":"ServiceRequest"' in after


def test_steps_reorder_with_their_elements() -> None:
    """Another order moves whole elements; a reference activity keeps its place behind its neighbour."""
    onto = full("CarePlan")
    record = CAREPLAN.from_fhir(onto)
    made = CAREPLAN.to_fhir(msgspec.structs.replace(record, activities=record.activities[::-1]), onto)
    assert sorted(map(exact_json.dumps, made["activity"])) == sorted(map(exact_json.dumps, onto["activity"]))  # type: ignore[arg-type]
    assert CAREPLAN.from_fhir(made).activities == record.activities[::-1]


def test_a_step_is_found_by_our_extension_where_the_element_id_was_dropped() -> None:
    """The ladder's second rung: its progress notes stay with it."""
    rest = f'"extension":[{{"url":"{t.STEP_ID_EXT}","valueString":"s1"}}]'
    onto = tree(f'{{"activity":[{{"detail":{{"description":"a"}}}},{{{rest},"progress":[],"detail":{{}}}}]}}')
    record = CAREPLAN.from_fhir(onto)
    wanted = msgspec.structs.replace(record, activities=(msgspec.structs.replace(record.activities[1], text="b"),))
    assert CAREPLAN.to_fhir(wanted, onto)["activity"] == [
        {"extension": [{"url": t.STEP_ID_EXT, "valueString": "s1"}], "progress": [], "detail": {"description": "b"}}
    ]


def test_an_activity_list_of_another_type_holds_the_steps() -> None:
    """An object where the list belongs is told, so that it is not taken for a removal of every step."""
    onto = full("CarePlan")
    assert wrong_types(CAREPLAN, onto) == {}
    onto["activity"] = {"detail": {}}
    assert wrong_types(CAREPLAN, onto)["steps"] == "CarePlan.activity"
