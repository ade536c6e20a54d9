"""Plans come apart into merge units and together again."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.domain.planfile import load_plan
from fhirgoals.domain.records import Acceptance, Achievement, Foreign, Intervention, Origin, Plan, Step
from fhirgoals.domain.units import Unit, same_value, touched, units
from fhirgoals.domain.with_units import CannotTake, with_units

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("0*.yaml"))
PLANS = [load_plan(path.read_bytes(), name=path.name) for path in EXAMPLES]
ORIGIN = Origin(system="ehr-main")
NEVER_TAKEN = ("order", "participants", "problems", "membership", "labels", "note")
"""Ours alone to change (order, people), only added to (labels), taken with another unit (membership), or checked by
itself (notes)."""


def settable(plan: Plan) -> list[Unit]:
    """Return the units of a plan that an EHR's edit may change."""
    return [unit for unit in units(plan) if unit.name.partition(":")[0] not in NEVER_TAKEN]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.id)
def test_a_unit_put_back_as_it_was_changes_nothing(plan: Plan) -> None:
    """Each unit of the examples reads back equal after being written with its own value."""
    before = units(plan)
    for unit in settable(plan):
        assert touched(plan, with_units(plan, {unit: before[unit]}, ORIGIN)) == {}, unit


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.id)
def test_a_changed_unit_changes_only_itself(plan: Plan) -> None:
    """A new text in any text unit touches that unit and no other."""
    for unit in settable(plan):
        if isinstance(units(plan)[unit], str) and unit.family in ("text", "title", "step:<id>.text", "client_words"):
            after = with_units(plan, {unit: "Something new"}, ORIGIN)
            assert touched(plan, after) == {unit: (units(plan)[unit], "Something new")}


def test_labels_of_an_ehr_only_tighten() -> None:
    """Its wider word is read as ours, what it leaves out stays, and what a goal has from its problem is no news."""
    plan = PLANS[0]
    goal = msgspec.structs.replace(plan.goals[0], sensitivities=("MH",))
    plan = msgspec.structs.replace(plan, goals=(goal, *plan.goals[1:]))
    after = with_units(plan, {Unit(goal.id, "labels"): ["ETH", "SDV"]}, ORIGIN)
    assert after.goals[0].sensitivities == ("MH", "SUD", "VIO")
    with pytest.raises(CannotTake):
        with_units(after, {Unit(goal.id, "labels"): ["ETH"]}, ORIGIN)


def test_a_note_born_at_an_ehr_becomes_a_shared_entry_with_its_origin() -> None:
    """An inbound note is a progress entry, shared, with the EHR as origin and its author in words."""
    plan = PLANS[0]
    unit = Unit("g-wash" if plan.id == "plan-ocd-01" else plan.goals[0].id, "note:note-1")
    value = {"kind": "progress", "date": "2026-11-06", "author_text": "A nurse", "text": "Asked for soap"}
    after = with_units(plan, {unit: value}, ORIGIN)
    entry = after.goal(unit.owner).progress[-1]
    assert (entry.visibility, entry.origin, entry.author_text) == ("shared", ORIGIN, "A nurse")
    assert same_value(units(after)[unit], value)


def test_a_victory_born_at_an_ehr_is_shared_and_noted_by_a_participant() -> None:
    """It stands after the victories there are; one whose author is only words has no place."""
    plan = PLANS[0]
    unit = Unit("g-ba", "note:ac-new")
    value = {"kind": "victory", "date": "2026-11-05", "author": "p-client", "text": "Asked a friend to lunch"}
    before, after = plan.goal("g-ba"), with_units(plan, {unit: value}, ORIGIN).goal("g-ba")
    new = Achievement(
        id="ac-new", date=date(2026, 11, 5), text="Asked a friend to lunch", noted_by="p-client", share=True
    )
    assert after == msgspec.structs.replace(before, achievements=(*before.achievements, new))
    with pytest.raises(CannotTake):
        with_units(plan, {unit: {**value, "author_text": "A nurse"}}, ORIGIN)


def test_an_answer_from_an_ehr_keeps_its_day_and_form() -> None:
    """A new status changes the line that there is; a person without a line gets one; one that is taken away is gone."""
    plan = PLANS[0]
    was = plan.goal("g-ba").acceptance
    changed = with_units(plan, {Unit("g-ba", f"acceptance:{was[0].by}"): {"status": "disagree"}}, ORIGIN)
    assert changed.goal("g-ba").acceptance == (
        msgspec.structs.replace(was[0], status="disagree", priority=None),
        *was[1:],
    )
    new = with_units(plan, {Unit("g-ba", "acceptance:p-sup"): {"status": "agree", "priority": "low"}}, ORIGIN)
    assert new.goal("g-ba").acceptance == (*was, Acceptance(by="p-sup", status="agree", priority="low"))
    gone = with_units(plan, {Unit("g-ba", f"acceptance:{was[0].by}"): None}, ORIGIN)
    assert gone.goal("g-ba").acceptance == was[1:]


def test_a_target_on_a_code_that_we_do_not_know_keeps_it_as_it_was_read() -> None:
    """Its measure is new and holds the EHR's own words."""
    foreign = {"foreign": '{"coding":[{"code":"zz"}]}'}
    value = {"foreign": foreign, "op": ">=", "value": "3", "unit": "h"}
    plan = with_units(PLANS[0], {Unit("g-ba", "target:t-new"): value}, ORIGIN)
    target = plan.goal("g-ba").targets[-1]
    measure = plan.measure(target.measure or "")
    assert (target.id, target.op, target.value, measure.id) == ("t-new", ">=", Decimal(3), "t-new-ad43620a")
    assert (measure.foreign_code, measure.unit, measure.code, measure.instrument) == (
        Foreign(foreign='{"coding":[{"code":"zz"}]}'),
        "h",
        None,
        None,
    )


def test_a_victory_is_reworded_and_taken_away() -> None:
    """Its text and day change; who noted it and what it was for stay."""
    plan = PLANS[0]
    first, second = plan.goal("g-ba").achievements
    unit = Unit("g-ba", f"note:{first.id}")
    value = {"kind": "victory", "date": "2026-06-13", "author": "p-client", "text": "Went although it rained"}
    after = with_units(plan, {unit: value}, ORIGIN).goal("g-ba").achievements
    assert after == (
        msgspec.structs.replace(first, text="Went although it rained", date=date(2026, 6, 13)),
        second,
    )
    assert with_units(plan, {unit: None}, ORIGIN).goal("g-ba").achievements == (second,)


def test_an_intervention_comes_changes_and_goes() -> None:
    """A new one has the unit's id; what the wire does not carry of one stays."""
    plan = PLANS[0]
    first, *others = plan.interventions
    value = {"modality": "cbt", "technique": "Rehearsal", "by": "p-ther", "frequency": "weekly", "goals": ["g-ba"]}
    new = with_units(plan, {Unit(plan.id, "intervention:iv-new"): value}, ORIGIN).interventions
    assert new == (
        *plan.interventions,
        Intervention(
            id="iv-new", modality="cbt", technique="Rehearsal", by="p-ther", frequency="weekly", goals=("g-ba",)
        ),
    )
    changed = with_units(plan, {Unit(plan.id, f"intervention:{first.id}"): value}, ORIGIN).interventions
    assert changed == (
        msgspec.structs.replace(
            first, modality="cbt", technique="Rehearsal", by="p-ther", frequency="weekly", goals=("g-ba",), code=None
        ),
        *others,
    )
    gone = with_units(plan, {Unit(plan.id, f"intervention:{first.id}"): None}, ORIGIN).interventions
    assert gone == tuple(others)


def test_an_ended_plan_keeps_the_end_that_was_planned() -> None:
    """An EHR sends one end: of a running plan the planned one, of an ended plan the real one."""
    unit = Unit("plan-dep-01", "plan_status")
    running = with_units(PLANS[0], {unit: {"status": "active", "start": "2026-05-12", "end": "2027-01-31"}}, ORIGIN)
    assert (running.status, running.start_date) == ("active", date(2026, 5, 12))
    assert (running.planned_end_date, running.end_date) == (date(2027, 1, 31), None)
    for status in ("completed", "revoked"):
        ended = with_units(PLANS[0], {unit: {"status": status, "start": "2026-05-11", "end": "2026-11-05"}}, ORIGIN)
        assert (ended.status, ended.start_date) == (status, date(2026, 5, 11))
        assert (ended.planned_end_date, ended.end_date) == (date(2027, 2, 11), date(2026, 11, 5))


def test_relations_come_and_go_one_by_one() -> None:
    """A predecessor or replacement that is taken away leaves the others; one that is another's stays."""
    plan = PLANS[0]

    def after(relation: str, value: bool | None) -> Plan:
        return with_units(plan, {Unit(plan.id, f"relations:{relation}"): value}, ORIGIN)

    assert after("g-resilience|predecessor|g-ba", None).goal("g-resilience").predecessors == ("g-thought",)
    assert after("g-resilience|predecessor|g-mood", True).goal("g-resilience").predecessors == (
        "g-ba",
        "g-thought",
        "g-mood",
    )
    assert after("g-resilience|predecessor|g-ba", True).goal("g-resilience").predecessors == ("g-thought", "g-ba")
    assert after("g-work-big|replacement|g-work", None).goal("g-work-big").replaced_by is None
    assert after("g-work-big|replacement|g-ba", None).goal("g-work-big").replaced_by == "g-work"
    assert after("g-ba|replacement|g-work", True).goal("g-ba").replaced_by == "g-work"
    with pytest.raises(CannotTake):
        after("g-ba|friend|g-work", True)


def test_a_step_from_an_ehr_comes_last_and_one_taken_away_there_is_void_here() -> None:
    """A step is never dropped or moved to another goal."""
    plan = PLANS[0]
    new = with_units(plan, {Unit(plan.id, "steps:st-new"): {"goal": "g-ba"}}, ORIGIN)
    assert new.goal("g-ba").steps == (*plan.goal("g-ba").steps, Step(id="st-new", n=5))
    assert [goal for goal in new.goals if goal.id != "g-ba"] == [goal for goal in plan.goals if goal.id != "g-ba"]
    parts = {
        Unit(plan.id, "step:st-new.text"): "Walk home",
        Unit(plan.id, "step:st-new.schedule"): {"frequency": "2/wk", "scheduled": "2026-11-09"},
        Unit(plan.id, "steps:st-new"): {"goal": "g-ba"},
    }
    whole = Step(id="st-new", n=5, text="Walk home", frequency="2/wk", scheduled=date(2026, 11, 9))
    assert with_units(plan, parts, ORIGIN).goal("g-ba").steps[-1] == whole
    with pytest.raises(CannotTake):
        with_units(plan, {Unit(plan.id, "step:st-ba-4.schedule"): {"other": {"foreign": "1"}}}, ORIGIN)
    first = with_units(plan, {Unit(plan.id, "steps:st-new"): {"goal": "g-mood"}}, ORIGIN)
    assert first.goal("g-mood").steps == (Step(id="st-new", n=1),)
    gone = with_units(plan, {Unit(plan.id, "steps:st-ba-4"): None}, ORIGIN)
    was = plan.goal("g-ba").steps
    assert gone.goal("g-ba").steps == (*was[:3], msgspec.structs.replace(was[3], status="entered_in_error"))
    for unit, value in (("steps:st-ba-4", {"goal": "g-mood"}), ("steps:st-none", None), ("step:st-none.text", "x")):
        with pytest.raises(CannotTake):
            with_units(plan, {Unit(plan.id, unit): value}, ORIGIN)


def test_a_changed_measure_never_changes_one_that_another_target_uses() -> None:
    """An EHR's edit of what a target measures makes a new measure; the old one keeps its readings."""
    plan = PLANS[0]
    unit = Unit("g-mood", "target:m-phq9")
    value = units(plan)[unit] | {"unit": "{points}"}
    after = with_units(plan, {unit: value}, ORIGIN)
    assert after.measure("m-phq9") == plan.measure("m-phq9")
    assert len(after.measures) == len(plan.measures) + 1
    assert same_value(units(after)[unit], value)
    other = with_units(after, {unit: value | {"unit": "{points of 27}"}}, ORIGIN)
    assert len(other.measures) == len(plan.measures) + 2
    assert with_units(after, {unit: value}, ORIGIN).measures == after.measures


def test_what_has_no_place_is_told_and_nothing_is_changed() -> None:
    """Two parents, an unknown goal or a unit that is ours alone can't be taken."""
    plan = PLANS[0]
    for unit, value in [
        (Unit(plan.id, "parent_map:g-ba"), ["g-mood", "g-selfcare"]),
        (Unit(plan.id, "parent_map:g-ba"), ["nobody"]),
        (Unit("nobody", "text"), "x"),
        (Unit(plan.id, "order"), []),
        (Unit("g-ba", "text"), {"foreign": "1"}),
    ]:
        with pytest.raises(CannotTake):
            with_units(plan, {unit: value}, ORIGIN)


@given(st.data())
def test_taking_the_difference_gives_the_other_plan(data: st.DataObject) -> None:
    """The units that differ between two versions, put into the first, give the units of the second."""
    plan = data.draw(st.sampled_from(PLANS))
    goals = list(plan.goals)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(goals) - 1))
        goals[at] = msgspec.structs.replace(
            goals[at],
            text=data.draw(st.text(min_size=1)),
            priority=data.draw(st.sampled_from(["high", "medium", "low", None])),
            status_reason=data.draw(st.one_of(st.none(), st.text(min_size=1))),
            steps=tuple(
                msgspec.structs.replace(step, frequency=data.draw(st.none() | st.text(min_size=1)))
                for step in goals[at].steps
            ),
        )
    other = msgspec.structs.replace(plan, goals=tuple(goals))
    changes = {unit: new for unit, (_, new) in touched(plan, other).items()}
    assert touched(with_units(plan, changes, ORIGIN), other) == {}
