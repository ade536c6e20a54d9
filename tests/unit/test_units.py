"""What the merge units of a plan are: the one thing that both sides are compared by."""

# ruff: noqa: E501 - tables read best with one thing a line

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from fhirgoals.domain.records import Coding, Measure, Participant, Target
from fhirgoals.domain.units import Unit, default_performer, same_value, target_value, units
from tests.plans import full, replace, small

UNITS = {
    ("plan-full", "title"): "Every field",
    ("plan-full", "plan_status"): {"status": "active", "start": "2026-01-05", "end": "2026-12-18"},
    ("plan-full", "order"): ["g-long", "g-earlier", "g-short", "g-secret"],
    ("plan-full", "labels"): ["MH"],
    ("plan-full", "participants"): ["p-client", "p-ther"],
    ("plan-full", "problems:pr-1"): True,
    ("plan-full", "intervention:iv-1"): {"modality": "cbt", "technique": "A technique", "by": "p-ther", "frequency": "weekly", "goals": ["g-long", "g-short"], "code": {"system": "snomed", "code": "228557008"}},
    ("g-long", "text"): "Long text",
    ("g-long", "axes"): {"horizon": "long_term", "nature": "aspirational"},
    ("g-long", "status"): {"lifecycle": "active"},
    ("g-long", "start_date"): "2026-01-05",
    ("g-long", "addresses:pr-1"): True,
    ("plan-full", "membership:g-long"): True,
    ("g-earlier", "text"): "Earlier text",
    ("g-earlier", "axes"): {"horizon": "short_term", "nature": "actionable"},
    ("g-earlier", "status"): {"lifecycle": "active"},
    ("g-earlier", "start_date"): "2026-01-05",
    ("g-earlier", "addresses:pr-1"): True,
    ("plan-full", "membership:g-earlier"): True,
    ("plan-full", "parent_map:g-earlier"): ["g-long"],
    ("g-short", "text"): "Short text",
    ("g-short", "client_words"): "In my words",
    ("g-short", "axes"): {"horizon": "short_term", "nature": "exploratory"},
    ("g-short", "category"): "social-functioning",
    ("g-short", "priority"): "high",
    ("g-short", "status"): {"lifecycle": "completed", "achievement": "achieved", "closure_reason": "achieved", "status_date": "2026-11-02", "status_reason": "Reason text"},
    ("g-short", "start_date"): "2026-01-06",
    ("g-short", "target_date"): "2026-11-30",
    ("g-short", "completion_criterion"): "Criterion text",
    ("g-short", "expressed_by"): "p-client",
    ("g-short", "labels"): ["MH"],
    ("g-short", "addresses:pr-1"): True,
    ("g-short", "target:t-1"): {'instrument': 'PHQ-9', 'code': {'system': 'loinc', 'code': '44261-6'}, 'unit': '{score}', 'op': '<', 'value': Decimal('5.0'), 'range': (Decimal('1.0'), Decimal('5.0')), 'by': '2026-11-01', 'sustain': {'count': 3, 'span_days': 21, 'apart_days': 7}},
    ("g-short", "target:t-2"): {'foreign': {'foreign': '{"coding":[{"code":"zz"}]}'}, 'detail': {'foreign': '{"detailString":"x"}'}},
    ("g-short", "acceptance:p-client"): {"status": "disagree", "priority": "low"},
    ("g-short", "note:n-1"): {"kind": "progress", "date": "2026-01-11", "author": "p-ther", "author_text": "Author text", "text": "Note text"},
    ("g-short", "note:v-1"): {"kind": "victory", "date": "2026-01-13", "author": "p-client", "text": "Victory text"},
    ("plan-full", "membership:g-short"): True,
    ("plan-full", "parent_map:g-short"): ["g-long"],
    ("plan-full", "relations:g-short|predecessor|g-earlier"): True,
    ("plan-full", "relations:g-short|replacement|g-earlier"): True,
    ("plan-full", "order:g-short"): ["st-1"],
    ("plan-full", "steps:st-1"): {"goal": "g-short"},
    ("plan-full", "step:st-1.kind"): "exposure",
    ("plan-full", "step:st-1.who"): {"owner": "support_person", "participant": "p-aunt"},
    ("plan-full", "step:st-1.text"): "Step text",
    ("plan-full", "step:st-1.schedule"): {"frequency": "2/wk", "scheduled": "2026-01-08"},
    ("plan-full", "step:st-1.status"): {"status": "done", "done_on": "2026-01-09"},
    ("g-secret", "text"): "Secret text",
    ("g-secret", "axes"): {"horizon": "short_term", "nature": "actionable"},
    ("g-secret", "status"): {"lifecycle": "active"},
    ("g-secret", "start_date"): "2026-01-05",
    ("g-secret", "addresses:pr-1"): True,
    ("plan-full", "membership:g-secret"): True,
    ("plan-full", "parent_map:g-secret"): ["g-long"],
}  # fmt: skip


def test_the_units_of_a_plan_are_these() -> None:
    """Every field that is compared, in the plan in which each holds something: by owner and name, as plain JSON."""
    assert {(unit.owner, unit.name): value for unit, value in units(full()).items()} == UNITS


@pytest.mark.parametrize("status", ["completed", "revoked"])
def test_an_ended_plan_has_its_real_end(status: str) -> None:
    """A running one has the end that is planned."""
    ended = units(replace(full(), status=status))[Unit("plan-full", "plan_status")]
    assert ended == {"status": status, "start": "2026-01-05", "end": "2026-12-17"}


def test_a_step_that_names_nobody_is_done_by_the_one_client_or_therapist() -> None:
    """Where there are two of a role, or the owner is another, nobody is meant."""
    plan = small()
    assert default_performer(plan, "client") == "p-client"
    assert default_performer(plan, "therapist") == "p-ther"
    assert default_performer(plan, "support_person") is None
    assert default_performer(plan, None) is None
    assert default_performer(plan, {"foreign": "1"}) is None
    two = (*plan.participants, Participant(id="p-2", role="primary_therapist", ref="staff-2"))
    assert default_performer(replace(plan, participants=two), "therapist") is None


@pytest.mark.parametrize(
    ("measure", "named"),
    [
        (Measure(id="m-1", instrument="PHQ-9", code=Coding(system="loinc", code="44261-6")), "PHQ-9"),
        (Measure(id="m-1", instrument="custom", code=Coding(system="local", code="hours-asleep")), "hours asleep"),
        (Measure(id="m-1", instrument="custom"), "custom"),
    ],
)
def test_a_measure_of_the_practice_s_own_is_named_by_its_code(measure: Measure, named: str) -> None:
    """Others by their instrument."""
    value = target_value(small(measures=(measure,)), Target(measure="m-1", op="<", value=Decimal("5.0")))
    assert (value["instrument"], value["op"], value["value"]) == (named, "<", Decimal("5.0"))


def test_a_target_without_a_measure_has_only_what_shall_be_reached() -> None:
    """Nor has one whose measure the plan does not have."""
    target = Target(id="t-1", measure="m-none", op=">=", value=Decimal(3), by=date(2026, 12, 1))
    assert target_value(small(), target) == {"op": ">=", "value": Decimal(3), "by": "2026-12-01"}


def test_values_are_equal_by_their_digits_and_whatever_the_order_of_keys() -> None:
    """7.1 is not 7.10."""
    assert same_value({"a": Decimal("7.1"), "b": 1}, {"b": 1, "a": Decimal("7.1")})
    assert not same_value({"a": Decimal("7.1")}, {"a": Decimal("7.10")})
