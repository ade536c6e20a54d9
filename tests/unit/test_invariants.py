"""Each invariant is found where it is broken, on its path, and nowhere in the examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.domain import invariants
from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.graph import cycles
from fhirgoals.domain.invariants import check, check_change, check_disclosed, errors
from fhirgoals.domain.planfile import load_plan
from fhirgoals.domain.records import (
    Acceptance,
    Consent,
    Disclosure,
    Finding,
    Foreign,
    Gas,
    GasRating,
    Measure,
    Origin,
    Participant,
    Plan,
    Readiness,
    Reading,
    Refusal,
    Revision,
    Staff,
    Step,
    Target,
    Trial,
    Weight,
    Withheld,
)
from tests.plans import AS_OF, EXAMPLES, demo, example, goal, replace, small, with_goal
from tests.unit.written import is_written

CONNECTIONS = frozenset(demo()["connections"]) | {"ehr"}


def found(plan: Plan) -> set[tuple[str, int, str, str, str]]:
    return set(told(check(plan, connections=CONNECTIONS)))


def told(findings: Iterable[invariants.Finding]) -> list[tuple[str, int, str, str, str]]:
    """What is broken, in its order; each sentence is one that is written down."""
    rows = [(each.code, each.invariant, each.severity, each.path, each.at) for each in findings]
    for row, each in zip(rows, findings, strict=True):
        is_written("findings.csv", (*row, each.sentence))
    return rows


def plus(*goals: object) -> Plan:
    plan = small()
    return replace(plan, goals=(*plan.goals, *goals))


def short(**changes: object) -> Plan:
    return with_goal(small(), "g-short", **changes)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_break_nothing(path: Path) -> None:
    """The five examples have neither error nor warning among the invariants."""
    plan = example(path)
    assert check(plan, CONNECTIONS) == ()
    assert check_change(plan, plan) == ()
    assert errors(check(plan)) == ()


def test_the_small_plan_breaks_nothing() -> None:
    """The plan that the other tests change is sound, so what they find comes from the change."""
    assert found(small()) == set()


MEASURE = Measure(
    id="m-1",
    range=(Decimal(0), Decimal(27)),
    baseline=Reading(date=date(2026, 1, 5), value=Decimal(17)),
)
LEVELS: dict[Any, str] = {"-2": "a", "-1": "b", "0": "c", "1": "d", "2": "e"}


def measured(*readings: Reading) -> Plan:
    return small(measures=(replace(MEASURE, readings=readings),))


STEP = Step(id="st-2", n=2, kind="homework", owner="client", text="x", status="planned")
DEVELOPMENT = {"kind": "professional_development", "therapist": Staff(id="staff-9", display="x")}

BROKEN: dict[str, tuple[Callable[[], Plan], tuple[str, int, str, str, str]]] = {
    "a long-term goal with a parent": (
        lambda: plus(goal("g-x", horizon="long_term", parent="g-long")),
        ("long_term_has_parent", 1, "error", "goals[2].parent", "g-x"),
    ),
    "a short-term goal without a parent": (
        lambda: short(parent=None),
        ("short_term_without_parent", 1, "error", "goals[1].parent", "g-short"),
    ),
    "a short-term goal under a short-term one": (
        lambda: plus(goal("g-x", parent="g-short")),
        ("parent_not_long_term", 1, "error", "goals[2].parent", "g-x"),
    ),
    "a short-term goal under one whose horizon an EHR does not say": (
        lambda: with_goal(small(), "g-long", horizon=None, origin=Origin(system="ehr")),
        ("parent_not_long_term", 1, "warn", "goals[1].parent", "g-short"),
    ),
    "a predecessor that an EHR names and the plan does not have": (
        lambda: short(predecessors=("g-other",), origin=Origin(system="ehr")),
        ("predecessors_not_in_plan", 3, "warn", "goals[1].predecessors[0]", "g-short"),
    ),
    "a circle that begins with the goal that comes first": (
        lambda: plus(goal("g-z", predecessors=("g-a",)), goal("g-a", predecessors=("g-z",))),
        ("predecessors_cycle", 3, "error", "goals[2].predecessors", "g-z"),
    ),
    "a refusal of nobody in the plan": (
        lambda: small(refusal=Refusal(by="p-nobody", reason="x", date=AS_OF)),
        ("by_not_in_plan", 0, "error", "plan.refusal.by", "plan-1"),
    ),
    "a parent outside the plan": (
        lambda: short(parent="g-other"),
        ("parent_not_in_plan", 2, "error", "goals[1].parent", "g-short"),
    ),
    "a treatment plan without client": (
        lambda: small(client=None),
        ("plan_without_client", 2, "error", "client", "plan-1"),
    ),
    "a client's part played by another": (
        lambda: small(participants=(Participant(id="p-client", role="client", ref="client-2"),)),
        ("client_participant_differs", 2, "error", "participants[0].ref", "p-client"),
    ),
    "a circle of parents": (
        lambda: plus(goal("g-a", parent="g-b"), goal("g-b", parent="g-a")),
        ("parent_cycle", 3, "error", "goals[2].parent", "g-a"),
    ),
    "a goal that is its own parent": (
        lambda: short(parent="g-short"),
        ("parent_cycle", 3, "error", "goals[1].parent", "g-short"),
    ),
    "a circle of predecessors": (
        lambda: plus(
            goal("g-a", predecessors=("g-b",)), goal("g-b", predecessors=("g-c",)), goal("g-c", predecessors=("g-a",))
        ),
        ("predecessors_cycle", 3, "error", "goals[2].predecessors", "g-a"),
    ),
    "a circle of replacements": (
        lambda: plus(goal("g-a", replaced_by="g-b"), goal("g-b", replaced_by="g-a")),
        ("replaced_by_cycle", 3, "error", "goals[2].replaced_by", "g-a"),
    ),
    "a predecessor outside the plan": (
        lambda: short(predecessors=("g-long", "g-other")),
        ("predecessors_not_in_plan", 3, "error", "goals[1].predecessors[1]", "g-short"),
    ),
    "a replacement outside the plan": (
        lambda: short(replaced_by="g-other"),
        ("replaced_by_not_in_plan", 3, "error", "goals[1].replaced_by", "g-short"),
    ),
    "a target date before the start": (
        lambda: short(target_date=date(2026, 1, 4)),
        ("target_before_start", 4, "error", "goals[1].target_date", "g-short"),
    ),
    "a step done before the start": (
        lambda: short(steps=(replace(STEP, n=1, status="done", done_on=date(2025, 12, 31)),)),
        ("step_done_before_start", 4, "error", "goals[1].steps[0].done_on", "g-short"),
    ),
    "a target due after the target date": (
        lambda: replace(
            short(target_date=date(2026, 2, 1), targets=(Target(measure="m-1", by=date(2026, 2, 2)),)),
            measures=(Measure(id="m-1"),),
        ),
        ("target_by_after_target_date", 4, "error", "goals[1].targets[0].by", "g-short"),
    ),
    "a gap in the steps": (
        lambda: short(steps=(small().goals[1].steps[0], replace(STEP, n=3))),
        ("step_order", 6, "error", "goals[1].steps", "g-short"),
    ),
    "two steps of one number": (
        lambda: short(steps=(small().goals[1].steps[0], replace(STEP, n=1))),
        ("step_order", 6, "error", "goals[1].steps", "g-short"),
    ),
    "an exposure step that is easier than the one before": (
        lambda: short(
            steps=(
                replace(STEP, id="e-1", n=1, kind="exposure", suds_expected=40),
                replace(STEP, id="e-2", n=2, kind="exposure", suds_expected=30),
            )
        ),
        ("exposure_not_rising", 6, "warn", "goals[1].steps[1].suds_expected", "e-2"),
    ),
    "an exploratory goal without criterion": (
        lambda: short(nature="exploratory", target_date=date(2026, 3, 1)),
        ("exploratory_without_completion_criterion", 10, "error", "goals[1].completion_criterion", "g-short"),
    ),
    "an exploratory goal without end": (
        lambda: short(nature="exploratory", completion_criterion="x"),
        ("exploratory_without_target_date", 10, "error", "goals[1].target_date", "g-short"),
    ),
    "an exploratory draft without criterion": (
        lambda: short(nature="exploratory", target_date=date(2026, 3, 1), lifecycle="draft"),
        ("exploratory_without_completion_criterion", 10, "warn", "goals[1].completion_criterion", "g-short"),
    ),
    "a development plan with a client": (
        lambda: small(**DEVELOPMENT),
        ("development_plan_with_client", 14, "error", "client", "plan-1"),
    ),
    "a client among the participants of a development plan": (
        lambda: small(**DEVELOPMENT, client=None),
        ("development_plan_with_client", 14, "error", "participants[0].role", "p-client"),
    ),
    "a development plan without subject": (
        lambda: small(kind="professional_development", client=None),
        ("development_plan_without_subject", 14, "error", "therapist", "plan-1"),
    ),
    "a consent in a development plan": (
        lambda: small(**DEVELOPMENT, client=None),
        ("development_plan_with_consent", 14, "warn", "disclosure.consents[0]", "c-1"),
    ),
    "a treatment plan about a therapist": (
        lambda: small(therapist=Staff(id="staff-9", display="x")),
        ("treatment_plan_with_subject_therapist", 14, "error", "therapist", "plan-1"),
    ),
    "a goal withheld by its own mark only": (
        lambda: short(share="withheld"),
        ("withheld_marks_differ", 23, "warn", "goals[1].share", "g-short"),
    ),
    "a goal withheld by the list only": (
        lambda: small(disclosure=Disclosure(withheld=(Withheld(target="g-short"),))),
        ("withheld_marks_differ", 23, "warn", "goals[1].share", "g-short"),
    ),
    "a consent for no connection": (
        lambda: small(disclosure=Disclosure(consents=(Consent(id="c-1", endpoint="ehr-mian"),))),
        ("endpoint_unknown", 24, "error", "disclosure.consents[0].endpoint", "plan-1"),
    ),
    "withholding from no connection": (
        lambda: small(disclosure=Disclosure(withheld=(Withheld(target="g-short", endpoint="ehr-mian"),))),
        ("endpoint_unknown", 24, "error", "disclosure.withheld[0].endpoint", "plan-1"),
    ),
    "withholding of nothing": (
        lambda: small(disclosure=Disclosure(withheld=(Withheld(target="g-other"),))),
        ("target_not_in_plan", 0, "error", "disclosure.withheld[0].target", "plan-1"),
    ),
    "an agreement of nobody": (
        lambda: short(acceptance=(Acceptance(by="p-nobody", status="agree"),)),
        ("by_not_in_plan", 0, "error", "goals[1].acceptance[0].by", "g-short"),
    ),
    "a problem that is not there": (
        lambda: short(addresses=("pr-1", "pr-9")),
        ("addresses_not_in_plan", 0, "error", "goals[1].addresses[1]", "g-short"),
    ),
    "a measure that is not there": (
        lambda: short(targets=(Target(measure="m-9"),)),
        ("measure_not_in_plan", 0, "error", "goals[1].targets[0].measure", "g-short"),
    ),
    "a helper who is not there": (
        lambda: short(steps=(replace(STEP, n=1, participant="p-nobody"),)),
        ("participant_not_in_plan", 0, "error", "goals[1].steps[0].participant", "st-2"),
    ),
    "a revision by nobody": (
        lambda: small(revisions=(Revision(rev=1, date=AS_OF, by="nobody", reason="review"),)),
        ("by_not_in_plan", 0, "error", "revisions[0].by", "plan-1"),
    ),
    "two goals of one id": (lambda: plus(goal("g-long")), ("id_twice", 0, "error", "goals[2].id", "g-long")),
    "a goal and a problem of one id": (lambda: plus(goal("pr-1")), ("id_twice", 0, "error", "goals[2].id", "pr-1")),
    "a goal and a step of one id": (
        lambda: plus(goal("st-1")),
        ("id_twice", 0, "error", "goals[1].steps[0].id", "st-1"),
    ),
    "two steps of one id": (
        lambda: short(steps=(replace(STEP, n=1), STEP)),
        ("id_twice", 0, "error", "goals[1].steps[1].id", "st-2"),
    ),
    "two targets of one key": (
        lambda: replace(
            short(targets=(Target(measure="m-1"), Target(measure="m-1"))), measures=(Measure(id="m-1"),)
        ),
        ("target_twice", 0, "error", "goals[1].targets[1]", "g-short"),
    ),
    "two answers of one person": (
        lambda: short(acceptance=(small().goals[1].acceptance[0], Acceptance(by="p-client", status="pending"))),
        ("answer_twice", 0, "error", "goals[1].acceptance[1]", "g-short"),
    ),
    "an id with a name in it": (lambda: plus(goal("Marisol Everhart")), ("id_form", 0, "error", "goals[2].id", "")),
    "a goal without text": (lambda: short(text=" "), ("goal_without_text", 0, "error", "goals[1].text", "g-short")),
    "a goal without horizon": (
        lambda: short(horizon=None),
        ("goal_without_horizon", 0, "error", "goals[1].horizon", "g-short"),
    ),
    "a step that is done on no day": (
        lambda: short(steps=(replace(STEP, n=1, status="done"),)),
        ("done_without_day", 7, "error", "goals[1].steps[0].done_on", "g-short"),
    ),
    "a day of a step that is not done": (
        lambda: short(steps=(replace(STEP, n=1, status="skipped", done_on=date(2026, 1, 6)),)),
        ("day_without_done", 7, "error", "goals[1].steps[0].done_on", "g-short"),
    ),
    "a completed goal without reason": (
        lambda: short(lifecycle="completed", achievement="achieved", status_date=date(2026, 2, 1)),
        ("completed_without_closure_reason", 8, "error", "goals[1].closure_reason", "g-short"),
    ),
    "a completed goal without day": (
        lambda: short(lifecycle="completed", achievement="achieved", closure_reason="achieved"),
        ("completed_without_status_date", 8, "error", "goals[1].status_date", "g-short"),
    ),
    "a pause without reason": (
        lambda: short(lifecycle="on_hold", status_reason=" "),
        ("status_without_reason", 8, "error", "goals[1].status_reason", "g-short"),
    ),
    "a goal achieved and cancelled": (
        lambda: short(lifecycle="cancelled", closure_reason="client_request", achievement="achieved"),
        ("status_conflict", 8, "error", "goals[1].achievement", "g-short"),
    ),
    "a goal that is open and closed": (
        lambda: short(closure_reason="achieved"),
        ("status_conflict", 8, "error", "goals[1].closure_reason", "g-short"),
    ),
    "an active goal to which only the therapist agreed": (
        lambda: short(acceptance=(Acceptance(by="p-ther", status="agree"),)),
        ("goal_without_agreement", 9, "error", "goals[1].acceptance", "g-short"),
    ),
    "a plan without a first version": (
        lambda: small(revisions=()),
        ("plan_without_first_version", 9, "error", "revisions", "plan-1"),
    ),
    "a first version that the client did not agree to": (
        lambda: small(revisions=(Revision(rev=1, date=AS_OF, by="staff-1", reason="initial"),)),
        ("first_version_not_agreed", 9, "error", "revisions[0].client_agreed", "plan-1"),
    ),
    "a first version by the client": (
        lambda: small(revisions=(Revision(rev=1, date=AS_OF, by="p-client", reason="initial", client_agreed=True),)),
        ("first_version_not_by_therapist", 9, "error", "revisions[0].by", "plan-1"),
    ),
    "a finding under a goal that explores nothing": (
        lambda: short(findings=(Finding(date=AS_OF, author="p-ther", visibility="private", text="x"),)),
        ("finding_outside_exploration", 10, "error", "goals[1].findings", "g-short"),
    ),
    "a reading beyond its range": (
        lambda: measured(Reading(date=AS_OF, value=Decimal("27.1"))),
        ("reading_out_of_range", 11, "error", "measures[0].readings[0].value", "m-1"),
    ),
    "a baseline beyond its range": (
        lambda: small(measures=(replace(MEASURE, baseline=Reading(date=AS_OF, value=Decimal(-1))),)),
        ("reading_out_of_range", 11, "error", "measures[0].baseline.value", "m-1"),
    ),
    "a reading before its baseline": (
        lambda: measured(Reading(date=date(2026, 1, 4), value=Decimal(9))),
        ("reading_before_baseline", 11, "error", "measures[0].readings[0].date", "m-1"),
    ),
    "two readings of one rater on one day": (
        lambda: measured(*(Reading(date=AS_OF, value=Decimal(n), rater="client") for n in (3, 4))),
        ("reading_twice", 11, "error", "measures[0].readings[1]", "m-1"),
    ),
    "a scale with a level left out": (
        lambda: short(gas=Gas(levels={"-2": "a", "-1": "b", "0": "c", "1": "d", "2": " "})),
        ("gas_level_without_text", 12, "error", "goals[1].gas.levels", "g-short"),
    ),
    "a scale with two levels alike": (
        lambda: short(gas=Gas(levels=LEVELS | {"2": "a "})),
        ("gas_levels_alike", 12, "error", "goals[1].gas.levels", "g-short"),
    ),
    "a rating beyond the scale": (
        lambda: short(gas=Gas(levels=LEVELS, ratings=(GasRating(date=AS_OF, level=3, rater="client"),))),
        ("gas_level_off_scale", 12, "error", "goals[1].gas.ratings[0].level", "g-short"),
    ),
    "a scale with a baseline that is no baseline": (
        lambda: short(gas=Gas(levels=LEVELS, baseline=0)),
        ("gas_baseline", 12, "error", "goals[1].gas.baseline", "g-short"),
    ),
    "a weight beyond its scale": (
        lambda: short(gas=Gas(levels=LEVELS, weight=Weight(importance=4, difficulty=1))),
        ("gas_weight", 12, "error", "goals[1].gas.weight", "g-short"),
    ),
    "what stands after a goal entered in error": (
        lambda: replace(
            (plan := plus(goal("g-x", horizon="long_term", parent="g-long"))),
            goals=(goal("g-void", lifecycle="entered_in_error", parent="g-long"), *plan.goals),
        ),
        ("long_term_has_parent", 1, "error", "goals[3].parent", "g-x"),
    ),
    "a weight below its scale": (
        lambda: short(gas=Gas(levels=LEVELS, weight=Weight(importance=1, difficulty=0))),
        ("gas_weight", 12, "error", "goals[1].gas.weight", "g-short"),
    ),
    "confidence beyond its scale": (
        lambda: short(readiness=Readiness(importance=1, confidence=11)),
        ("readiness_off_scale", 0, "error", "goals[1].readiness.confidence", "g-short"),
    ),
    "distress beyond its scale": (
        lambda: short(steps=(replace(STEP, n=1, trials=(Trial(date=AS_OF, peak=101, end=0),)),)),
        ("suds_off_scale", 0, "error", "goals[1].steps[0].trials[0].peak", "g-short"),
    ),
    "a goal for no problem": (
        lambda: with_goal(short(addresses=()), "g-long", addresses=()),
        ("goal_addresses_no_problem", 13, "warn", "goals[1].addresses", "g-short"),
    ),
    "an active goal in a plan that has ended": (
        lambda: small(status="completed"),
        ("open_goal_in_ended_plan", 19, "error", "goals[1].lifecycle", "g-short"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_invariant_is_found(name: str) -> None:
    """Each broken rule is found with its code, number, severity, path and id."""
    build, finding = BROKEN[name]
    assert finding in found(build())


@pytest.mark.parametrize("name", BROKEN)
def test_a_finding_quotes_no_value(name: str) -> None:
    """A sentence is plain words: no text, id or name of the plan."""
    plan = BROKEN[name][0]()
    for each in check(plan, CONNECTIONS):
        for value in (" g-", " p-", " st-", "Marisol", "mian", "The long one", "2026"):
            assert value not in each.sentence


def test_what_an_ehr_says_is_flagged_not_refused() -> None:
    """The same faults on a goal that was born elsewhere are warnings."""
    origin = Origin(system="ehr")
    plan = plus(goal("g-x", horizon="short_term", nature=None, text=None, start_date=None, origin=origin))
    assert errors(check(plan, CONNECTIONS)) == ()
    assert {code for code, *_ in found(plan)} == {
        "goal_without_nature",
        "goal_without_text",
        "goal_without_start_date",
        "short_term_without_parent",
        "goal_without_agreement",
        "goal_addresses_no_problem",
    }


@pytest.mark.parametrize("ends", [(1, 1), (3, 3), (1, 3), (3, 1)])
def test_the_ends_of_a_scale_are_on_it(ends: tuple[int, int]) -> None:
    """Importance and difficulty from 1 to 3; readiness from 0 to 10; a baseline of -1 or -2."""
    for baseline, confidence in ((-1, 0), (-2, 10)):
        plan = short(
            gas=Gas(levels=LEVELS, baseline=baseline, weight=Weight(importance=ends[0], difficulty=ends[1])),
            readiness=Readiness(importance=10 - confidence, confidence=confidence),
        )
        assert found(plan) == set()


def test_foreign_values_break_no_date_rule() -> None:
    """A date that an EHR wrote in its own way is not compared."""
    plan = short(start_date=Foreign(foreign='"2026-05"'), target_date=date(2020, 1, 1))
    assert found(plan) == set()


def test_a_tombstone_needs_nothing() -> None:
    """A goal entered in error is not held to the rules of a living one."""
    assert found(plus(goal("g-x", lifecycle="entered_in_error", parent=None, horizon="short_term", text=None))) == set()


def test_without_a_store_an_endpoint_is_a_warning() -> None:
    """Nobody knows the connections then, so nothing is refused."""
    assert told(check(small())) == [("endpoint_unchecked", 24, "warn", "disclosure.consents[0].endpoint", "plan-1")]


def test_withheld_from_one_endpoint_needs_no_mark() -> None:
    """A goal that is kept from one connection only is not a goal withheld from all."""
    plan = small(disclosure=Disclosure(withheld=(Withheld(target="g-short", endpoint="ehr"),)))
    assert found(plan) == set()


def test_entered_in_error_is_final() -> None:
    """A goal, step or plan that was entered in error can't come back."""
    before = short(lifecycle="entered_in_error", steps=(replace(STEP, n=1, status="entered_in_error"),))
    after = short(lifecycle="active", steps=(replace(STEP, n=1, status="planned"),))
    assert told(check_change(before, after)) == [
        ("entered_in_error_is_final", 17, "error", "goals[1].lifecycle", "g-short"),
        ("entered_in_error_is_final", 17, "error", "goals[1].steps[0].status", "st-2"),
    ]
    voided = small(status="entered_in_error")
    assert told(check_change(voided, small())) == [("entered_in_error_is_final", 17, "error", "plan.status", "plan-1")]
    assert check_change(small(), voided) == ()


def test_nothing_vanishes() -> None:
    """A goal or step that is gone from the new version is refused; a step that moved to another goal is not gone."""
    before = small()
    after = replace(before, goals=before.goals[:1])
    assert told(check_change(before, after)) == [
        ("goal_vanished", 17, "error", "goals", "g-short"),
        ("step_vanished", 17, "error", "goals", "st-1"),
    ]
    moved = with_goal(with_goal(before, "g-short", steps=()), "g-long", steps=before.goals[1].steps)
    assert check_change(before, moved) == ()


def test_a_plan_keeps_its_id_kind_and_person() -> None:
    """A plan can't be turned into another or given to another person."""
    other = replace(small(), id="plan-2", client=replace(small().client, id="client-2"))
    assert told(check_change(small(), other)) == [
        ("plan_id_changed", 17, "error", "plan.id", "plan-1"),
        ("plan_subject_changed", 2, "error", "client.id", "plan-1"),
    ]
    turned = replace(small(), kind="professional_development")
    assert told(check_change(small(), turned)) == [("plan_kind_changed", 17, "error", "plan.kind", "plan-1")]


def test_what_is_disclosed_is_checked() -> None:
    """A reference to what is not sent, and anything withheld, is found in what would be sent."""
    plan = short(share="withheld")
    shown = disclose(plan, "ehr", on=AS_OF, portal_visible=False).plan
    assert shown is not None
    assert check_disclosed(plan, shown, "ehr") == ()
    dangling = with_goal(shown, "g-long", predecessors=("g-short",))
    assert told(check_disclosed(plan, dangling, "ehr")) == [
        ("dangling_in_export", 21, "error", "goals[0].predecessors[0]", "g-long")
    ]
    assert told(check_disclosed(plan, plan, "ehr")) == [("withheld_in_export", 18, "error", "goals[1].id", "g-short")]


def test_what_is_disclosed_carries_the_strictest_label() -> None:
    """A goal that would go without the label of its problem is found (16)."""
    problem = replace(small().problems[0], sensitivities=("ADOL",))
    plan = small(problems=(problem,))
    assert set(told(check_disclosed(plan, plan, "ehr"))) == {
        ("label_not_inherited", 16, "error", "goals[0].sensitivities", "g-long"),
        ("label_not_inherited", 16, "error", "goals[1].sensitivities", "g-short"),
    }


def test_a_refusal_on_record_stands_in_for_the_agreement() -> None:
    """A plan whose client refused to sign goes on, with the reason on record."""
    refusal = Refusal(by="p-client", reason="x", date=AS_OF)
    assert found(small(revisions=(), refusal=refusal)) == set()


def test_what_an_import_brought_is_flagged() -> None:
    """A first version that an import wrote is no refusal of the whole plan."""
    plan = small(revisions=(Revision(rev=1, date=AS_OF, by="batch-1", reason="import"),))
    assert {severity for _, _, severity, *_ in found(plan)} == {"warn"}


def test_a_minor_who_consented_alone_is_not_spoken_for() -> None:
    """A representative's agreement counts as the client's, but not for a minor who consented to the care herself."""
    mother = Participant(id="p-mother", role="legal_representative", ref="related-1")
    agreed = Acceptance(by="p-mother", status="agree", date=AS_OF, method="verbal")
    plan = with_goal(small(participants=(*small().participants, mother)), "g-short", acceptance=(agreed,))
    assert found(plan) == set()
    alone = replace(plan, client=replace(plan.client, minor_self_consented=True))
    assert {code for code, *_ in found(alone)} == {"goal_without_agreement"}


def test_a_chain_of_ten_thousand_goals_is_checked() -> None:
    """Depth needs no recursion and little time."""
    count = 10_000
    chain = tuple(goal(f"g-{n}", parent=f"g-{(n + 1) % count}") for n in range(count))
    begun = time.perf_counter()
    findings = check(small(goals=chain), CONNECTIONS)
    disclose(small(goals=chain), "ehr", on=AS_OF, portal_visible=False)
    assert time.perf_counter() - begun < 5
    assert [each.at for each in findings if each.code == "parent_cycle"] == ["g-0"]


NODES = st.integers(0, 6).map(str)


@given(st.dictionaries(NODES, st.lists(NODES, max_size=3)))
def test_cycles_are_the_nodes_that_reach_themselves(edges: dict[str, list[str]]) -> None:
    """A node is in a circle exactly when some way leads from it back to it."""
    graph = {node: tuple(end for end in ends if end in edges) for node, ends in edges.items()}
    reach = {node: set(ends) for node, ends in graph.items()}
    for middle in graph:
        for node in graph:
            if middle in reach[node]:
                reach[node] |= reach[middle]
    circles = cycles(graph)
    assert {node for circle in circles for node in circle} == {node for node in graph if node in reach[node]}
    assert all(other in reach[node] for circle in circles for node in circle for other in circle)
    assert sum(map(len, circles)) == len(set().union(*circles)) if circles else True


def test_a_bad_plan_file_is_loaded_and_then_flagged() -> None:
    """Sense is checked after reading: a cyclic file loads, so that the finding can name its path."""
    text = (
        "schema: fhirgoals-plan/1\nplan: {id: p, kind: client_treatment, status: active}\n"
        "client: {id: c, display: x}\ngoals: [{id: a, parent: b}, {id: b, parent: a}]\n"
    )
    assert "parent_cycle" in {each.code for each in check(load_plan(text, name="x"))}
