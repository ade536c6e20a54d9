"""The code tables of the wire: one to one, complete against the records' codes, and the frozen list."""

from __future__ import annotations

import typing
from dataclasses import FrozenInstanceError

import pytest
import yaml

from fhirgoals.domain import codes
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.shapes import VALUE_SETS
from tests.conftest import ROOT

TABLES = {
    "lifecycle": (t.LIFECYCLE, codes.Lifecycle, {"draft"}),
    "achievement": (t.ACHIEVEMENT, codes.Achievement, set()),
    "priority": (t.PRIORITY, codes.Priority, set()),
    "domain": (t.GOAL_DOMAIN, codes.Domain, set()),
    "plan status": (t.PLAN_STATUS, codes.PlanStatus, set()),
    "step status": (t.STEP_STATUS, codes.StepStatus, set()),
    "acceptance": (t.ACCEPTANCE_STATUS, codes.AcceptanceStatus, set()),
    "horizon": (t.GOAL_TIER, codes.Horizon, set()),
    "nature": (t.GOAL_NATURE, codes.Nature, set()),
    "step kind": (t.STEP_KIND, codes.StepKind, set()),
    "step owner": (t.STEP_OWNER, codes.StepOwner, set()),
    "modality": (t.MODALITY, codes.Modality, set()),
    "closure reason": (t.CLOSURE_REASON, codes.ClosureReason, set()),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_code_of_the_records_has_a_wire_code(name: str) -> None:
    """Each closed list of the records is wholly in its table, save for the draft, which is never sent."""
    table, listed, left_out = TABLES[name]
    assert set(table.wire) == set(typing.get_args(listed)) - left_out


@pytest.mark.parametrize("name", TABLES)
def test_every_code_comes_back_as_itself(name: str) -> None:
    """Our code to the wire and back is the same code, for all codes (rules FG-STAT-01 and FG-STAT-04)."""
    table = TABLES[name][0]
    assert {ours: table.read(table.system, code) for ours, code in table.wire.items()} == {
        ours: ours for ours in table.wire
    }


@pytest.mark.parametrize(
    ("table", "value_set", "foreign"),
    [
        (t.LIFECYCLE, "goal-status", set()),
        (t.PLAN_STATUS, "request-status", {"unknown"}),
        (t.STEP_STATUS, "care-plan-activity-status", {"unknown"}),
    ],
)
def test_plain_codes_are_those_of_the_value_sets(table: t.CodeTable, value_set: str, foreign: set[str]) -> None:
    """What is written is in FHIR's required list, and what that list has more stays foreign."""
    assert VALUE_SETS[value_set] - set(table.internal) == foreign
    assert set(table.internal) <= VALUE_SETS[value_set]


def test_a_declined_goal_is_rejected_on_the_wire() -> None:
    """FHIR's word for a goal that the client declined is rejected."""
    assert t.LIFECYCLE.wire["declined"] == "rejected"
    assert t.LIFECYCLE.read("", "rejected") == "declined"


def test_a_code_of_another_system_is_not_ours() -> None:
    """The same code under another system, no system or a broken value reads as nothing."""
    assert t.ACHIEVEMENT.read("http://x.example", "achieved") is None
    assert t.ACHIEVEMENT.read(None, "achieved") is None
    assert t.ACHIEVEMENT.read(t.ACHIEVEMENT.system, "met") is None
    assert t.ACHIEVEMENT.read(t.ACHIEVEMENT.system, ["achieved"]) is None
    assert t.ACHIEVEMENT.read({"a": 1}, "achieved") is None


def test_both_relation_vocabularies_are_read_in_their_own_direction() -> None:
    """milestone is the parent's word and part-of the child's, under either system; neither reads as the other."""
    for system in (t.RELATION_R4_SYSTEM, t.RELATION_PACK_SYSTEM):
        assert t.RELATION.read(system, "milestone") == "milestone"
        assert t.RELATION.read(system, "part-of") is None
        assert t.RELATION_PACK.read(system, "part-of") == "part_of"
        assert t.RELATION_PACK.read(system, "milestone") is None


def test_both_names_of_the_goal_domains_are_read() -> None:
    """The guide's older name of the code system is read too, and only the newer one written."""
    older = "http://hl7.org/fhir/us/pco/CodeSystem/pco-goal-domains"
    assert t.GOAL_DOMAIN.read(older, "social-functioning") == "social-functioning"
    assert t.GOAL_DOMAIN.coding("social-functioning")["system"] == older + "-temporary"


def test_a_coding_is_a_new_one_each_time() -> None:
    """What a caller does to a coding changes no other one, and the tables can't be changed."""
    t.PRIORITY.coding("high")["code"] = "x"
    assert t.PRIORITY.coding("high")["code"] == "high-priority"
    with pytest.raises(TypeError):
        t.PRIORITY.wire["high"] = "x"  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        t.PRIORITY.system = "x"  # type: ignore[misc]


def test_texts_are_words() -> None:
    """The text of a code is its display, or the code with spaces where it has none."""
    assert t.GOAL_TIER.text("long_term") == "Long-term goal"
    assert t.STEP_STATUS.text("planned") == "not started"


def test_only_frozen_foreign_codes_may_be_emitted() -> None:
    """Of LOINC and SNOMED CT only the frozen list may go out; every code that the examples use is in it."""
    assert not t.may_emit(t.LOINC, "99999-9")
    assert not t.may_emit(t.SNOMED, "1")
    assert t.may_emit(t.MEASURE_SYSTEM, "anything-of-ours")
    used: set[tuple[str, str]] = set()
    units: set[str] = set()
    for file in sorted((ROOT / "examples").glob("0*.yaml")):
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
        for item in [*tree.get("measures", []), *tree.get("interventions", [])]:
            if "code" in item:
                used.add((t.SYSTEM_NAMES[item["code"]["system"]], str(item["code"]["code"])))
            units.add(item.get("unit", "%"))
    assert len(used) > 15
    assert all(t.may_emit(system, code) for system, code in used)
    assert units <= t.UNIT_TEXT.keys()


def test_phq_and_gad_totals_are_the_loinc_totals() -> None:
    """The two most used measures have the LOINC codes of their totals (rule FG-MEAS-01)."""
    assert t.LOINC_CODES["44261-6"].startswith("PHQ-9")
    assert t.LOINC_CODES["70274-6"].startswith("GAD-7")


def test_sensitivities_are_those_of_the_records() -> None:
    """What a plan may be labelled with is what is written as a label; psychotherapy notes are never written."""
    assert frozenset(typing.get_args(codes.Sensitivity)) == t.SENSITIVITIES
    assert t.PSYCHOTHERAPY_NOTE not in t.INBOUND_SENSITIVITIES
