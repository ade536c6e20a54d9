"""Warnings about time: 5 (late, and beside the parent), 20 and 22. They only warn, and only where it is so."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fhirgoals.domain.invariants import errors
from fhirgoals.domain.records import Foreign, Goal, Plan, Review
from fhirgoals.domain.warnings import time_warnings
from tests.plans import EXAMPLES, example, goal, replace
from tests.unit.progress_plans import DAY_0, LATER, day, plan_of

GIVEN_UP = ["cancelled", "declined", "entered_in_error"]


def found(plan: Plan, as_of: date = LATER) -> list[tuple[int, str, str, int | None, str | None]]:
    return [(each.invariant, each.code, each.path, each.days, each.predecessor) for each in time_warnings(plan, as_of)]


def beside(child: dict[str, Any], parent: dict[str, Any] | None = None, **changes: Any) -> Plan:
    up = goal("up", **({"start_date": day(10), "target_date": day(100)} | (parent or {})))
    return plan_of(up, goal("g", parent="up", **({"start_date": day(10), "target_date": day(100)} | child)), **changes)


def test_a_goal_within_its_parent_warns_of_nothing() -> None:
    """Same first and last day."""
    assert found(beside({})) == []


def test_a_short_term_goal_that_outlives_or_precedes_its_parent_warns() -> None:
    """Invariant 5, by so many days."""
    assert found(beside({"target_date": day(103)})) == [(5, "outlives_parent", "goals[1].target_date", 3, None)]
    assert found(beside({"start_date": day(8)})) == [(5, "starts_before_parent", "goals[1].start_date", 2, None)]


@pytest.mark.parametrize("unknown", [None, Foreign(foreign='"2026"')])
def test_dates_that_are_not_known_warn_of_nothing(unknown: Any) -> None:
    """Nothing is guessed of a goal or parent without a date."""
    dates = {"start_date": unknown, "target_date": unknown}
    assert found(beside(dates)) == found(beside({"start_date": day(0)}, dates)) == []


def test_an_active_goal_under_a_parent_that_is_not_active_warns() -> None:
    """Invariant 20; a goal that is not active does not."""
    paused = {"lifecycle": "on_hold"}
    assert found(beside({}, paused)) == [(20, "active_under_inactive_parent", "goals[1].lifecycle", None, None)]
    assert found(beside({"lifecycle": "on_hold"}, paused)) == []
    assert found(beside({"target_date": day(101)}, {"lifecycle": "entered_in_error"})) == []


def test_a_goal_achieved_after_its_target_date_warns() -> None:
    """Invariant 5: completed as achieved or sustaining, by so many days; on the day is in time."""
    done = {"lifecycle": "completed", "target_date": day(50), "status_date": day(59)}
    for achievement in ("achieved", "sustaining"):
        late = plan_of(goal("g", achievement=achievement, **done))
        assert found(late) == [(5, "achieved_late", "goals[0].status_date", 9, None)]
    assert found(plan_of(goal("g", achievement="not_achieved", **done))) == []
    assert found(plan_of(goal("g", achievement="achieved", **(done | {"status_date": day(50)})))) == []
    assert found(plan_of(goal("g", achievement="sustaining", **(done | {"lifecycle": "active"})))) == []


def after(stone: dict[str, Any], **given: Any) -> Plan:
    first = goal("stone", **({"lifecycle": "completed", "status_date": day(20)} | stone))
    return plan_of(first, goal("g", predecessors=("missing", "stone"), **({"start_date": day(19)} | given)))


WARNED = [(22, "starts_before_predecessor_completed", "goals[1].predecessors[1]", None, "stone")]


def test_a_goal_that_starts_before_its_stepping_stone_is_completed_warns() -> None:
    """Invariant 22: completed later, or not yet; on the same day is in order."""
    assert found(after({})) == WARNED
    assert found(after({}, start_date=day(20))) == []
    assert found(after({"lifecycle": "active", "status_date": None})) == WARNED


def test_a_start_that_is_still_to_come_warns_of_nothing() -> None:
    """From the day of the start on it does."""
    waiting = after({"lifecycle": "active"}, lifecycle="planned")
    assert found(waiting, day(18)) == []
    assert found(waiting, day(19)) == WARNED


@pytest.mark.parametrize("lifecycle", GIVEN_UP)
def test_a_stepping_stone_that_was_given_up_is_not_waited_for(lifecycle: Any) -> None:
    """It will never be completed."""
    assert found(after({"lifecycle": lifecycle})) == []


@pytest.mark.parametrize("lifecycle", ["draft", "proposed", *GIVEN_UP])
def test_what_has_not_begun_or_was_given_up_does_not_start_before_anything(lifecycle: Any) -> None:
    """A draft's dates are a plan, not a start."""
    assert found(after({"lifecycle": "active"}, lifecycle=lifecycle)) == []


@pytest.mark.parametrize("lifecycle", GIVEN_UP)
def test_goals_given_up_warn_of_nothing(lifecycle: Any) -> None:
    """What is over needs no advice; the goals after it still do."""
    over = beside({"target_date": day(103), "start_date": day(1), "lifecycle": lifecycle})
    assert found(over) == []
    more = replace(over, goals=(*over.goals, goal("h", parent="up", start_date=day(10), target_date=day(101))))
    assert found(more) == [(5, "outlives_parent", "goals[2].target_date", 1, None)]


def test_a_late_review_warns_from_the_day_it_was_held() -> None:
    """Invariant 5, after the goals' warnings; a review in time does not."""
    late = Review(id="r1", date=day(9), due=day(7), kind="scheduled", outcome="continue")
    on_time = replace(late, id="r0", due=day(9))
    plan = beside({"start_date": day(8)}, reviews=(on_time, late))
    assert found(plan) == [
        (5, "starts_before_parent", "goals[1].start_date", 2, None),
        (5, "review_late", "reviews[1].date", 2, None),
    ]
    assert [code for _, code, *_ in found(plan, day(8))] == ["starts_before_parent"]
    assert len(found(plan, day(9))) == 2


SENTENCES = {
    ("outlives_parent", "g"): "This short-term goal ends after the long-term goal that it belongs to.",
    ("starts_before_parent", "g"): "This short-term goal starts before the long-term goal that it belongs to.",
    ("active_under_inactive_parent", "g"): "This goal is active, but the long-term goal that it belongs to is not.",
    ("achieved_late", "late"): "This goal was achieved after its target date.",
    ("starts_before_predecessor_completed", "next"): (
        "This goal started before the goal that leads to it was completed."
    ),
    ("review_late", "r"): "This review was held after the day it was due.",
}


def test_every_warning_says_in_a_plain_sentence_what_is_so() -> None:
    """With the id of the goal or review it is about."""
    plan = beside({"target_date": day(103), "start_date": day(1)}, {"lifecycle": "on_hold"})
    late = {"lifecycle": "completed", "achievement": "achieved", "target_date": day(5), "status_date": day(6)}
    review = Review(id="r", date=day(9), due=day(7), kind="scheduled", outcome="continue")
    whole = replace(
        plan, goals=(*plan.goals, goal("late", **late), goal("next", predecessors=("up",))), reviews=(review,)
    )
    assert {(each.code, each.at): each.sentence for each in time_warnings(whole, LATER)} == SENTENCES
    assert {each.severity for each in time_warnings(whole, LATER)} == {"warn"}


def test_warnings_never_reject_and_hold_no_text_of_the_plan() -> None:
    """They are plain sentences with ids and paths; a title, a name or a goal's words stay out."""
    plans = [example(path) for path in EXAMPLES]
    texts = {each.text for plan in plans for each in plan.goals if each.text}
    for plan in (*plans, after({}), beside({"target_date": day(103), "start_date": day(1)})):
        warned = time_warnings(plan, LATER)
        assert errors(warned) == ()
        assert not {text for text in texts for each in warned if text in each.sentence}
        assert all(each.severity == "warn" and each.sentence.endswith(".") for each in warned)


def test_a_goal_alone_warns_of_nothing() -> None:
    """No parent, no stepping stone, no end."""
    alone: Goal = goal("g", start_date=DAY_0)
    assert found(plan_of(alone)) == found(plan_of(replace(alone, parent="elsewhere", horizon="short_term"))) == []
