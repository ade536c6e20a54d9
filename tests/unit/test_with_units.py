"""Plans come apart into merge units and together again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.domain.planfile import load_plan
from fhirgoals.domain.records import Origin, Plan
from fhirgoals.domain.units import Unit, same_value, touched, units
from fhirgoals.domain.with_units import CannotTake, with_units

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("0*.yaml"))
PLANS = [load_plan(path.read_bytes(), name=path.name) for path in EXAMPLES]
ORIGIN = Origin(system="ehr-main")
NEVER_TAKEN = ("order", "participants", "problems", "membership", "labels", "note")
"""Ours alone to change (order, labels, people), taken with another unit (membership), or checked by itself (notes)."""


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


def test_a_note_born_at_an_ehr_becomes_a_shared_entry_with_its_origin() -> None:
    """An inbound note is a progress entry, shared, with the EHR as origin and its author in words."""
    plan = PLANS[0]
    unit = Unit("g-wash" if plan.id == "plan-ocd-01" else plan.goals[0].id, "note:note-1")
    value = {"kind": "progress", "date": "2026-11-06", "author_text": "A nurse", "text": "Asked for soap"}
    after = with_units(plan, {unit: value}, ORIGIN)
    entry = after.goal(unit.owner).progress[-1]
    assert (entry.visibility, entry.origin, entry.author_text) == ("shared", ORIGIN, "A nurse")
    assert same_value(units(after)[unit], value)


def test_a_changed_measure_never_changes_one_that_another_target_uses() -> None:
    """An EHR's edit of what a target measures makes a new measure; the old one keeps its readings."""
    plan = PLANS[0]
    unit = Unit("g-mood", "target:m-phq9")
    value = units(plan)[unit] | {"unit": "{points}"}
    after = with_units(plan, {unit: value}, ORIGIN)
    assert after.measure("m-phq9") == plan.measure("m-phq9")
    assert len(after.measures) == len(plan.measures) + 1
    assert same_value(units(after)[unit], value)


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
