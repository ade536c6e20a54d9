"""Targets, sustaining, trend, roll-up, steps, ladders, discharge criteria and proposals, rule by rule."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.domain.instruments import standard
from fhirgoals.domain.progress import progress
from fhirgoals.domain.proposals import proposals
from fhirgoals.domain.records import DischargeCriterion, Foreign, Measure, Plan, Reading, Step, Sustain, Target, Trial
from fhirgoals.domain.rollup import figures, own_figure, roll_ups
from fhirgoals.domain.steps import StepCount, ladders, next_steps, steps_done
from fhirgoals.domain.targets import TargetProgress, discharge_criteria, targets
from tests.plans import goal, replace, with_goal
from tests.unit.progress_plans import (
    DAY_0,
    LATER,
    day,
    gas,
    measure,
    measured_readings,
    plan_of,
    readings,
    scaled,
    scales,
    target,
    targets_of_m,
    values,
)

KNOWN = standard()


def state(of: Measure, *aims: Target, as_of: date = LATER, **changes: Any) -> TargetProgress:
    """How the (first) target of a goal stands."""
    plan = plan_of(goal("g", targets=aims, **changes), measures=(of,))
    return targets(plan, as_of, KNOWN)[0]


def text(share: Decimal | None) -> str | None:
    return None if share is None else str(share)


@pytest.mark.parametrize(
    ("op", "value", "start", "latest", "percent"),
    [
        ("<", 5, 17, 6, "0.917"),
        ("<=", 10, 20, 15, "0.500"),
        (">=", 12, 4, 10, "0.750"),
        (">", 12, 4, 3, "0.000"),
        ("<", 5, 17, 1, "1.000"),
        ("=", 10, 0, 4, "0.400"),
        # No reading yet: as at the baseline.
        ("<", 5, 17, None, "0.000"),
        # Where there was no way to go: 1 when it is met, else no figure.
        (">=", 5, 5, 7, "1.000"),
        (">=", 5, 5, 4, None),
        ("<", 5, 5, 5, None),
        ("<", 5, 4, 3, "1.000"),
        ("<", 5, 4, 9, None),
        ("<", 5, None, 4, "1.000"),
        ("<", 5, None, 9, None),
        # A range, by distance; its ends belong to it.
        ("between", (7, 8.5), 5.4, 6.8, "0.875"),
        ("between", (7, 8.5), 10.5, 9, "0.750"),
        ("between", (7, 8.5), 5, 8.5, "1.000"),
        ("between", (7, 8.5), 6, 20, "0.000"),
        ("between", (7, 8.5), 7, 6, "0.000"),
        ("between", (7, 8.5), 7, 8, "1.000"),
        ("between", (7, 8.5), 5, None, "0.000"),
        # Half away from zero at three decimals.
        (">=", 16, 0, 12.008, "0.751"),
    ],
)
def test_percent_is_the_share_of_the_way(op: str, value: Any, start: Any, latest: Any, percent: str | None) -> None:
    """clamp((c-b)/(t-b)), for a range clamp(1 - d(c)/d(b)); a baseline that meets the target leaves no way to go."""
    values = () if latest is None else (latest,)
    assert text(state(measure(*values, start=start), target(op, value)).percent) == percent


@pytest.mark.parametrize(
    ("op", "value", "met", "not_met"),
    [
        ("<", 5, 4.9, 5),
        ("<=", 5, 5, 5.1),
        ("=", 5, 5, 5.1),
        (">=", 5, 5, 4.9),
        (">", 5, 5.1, 5),
        ("between", (4, 6), 4, 3.9),
        ("between", (4, 6), 6, 6.1),
    ],
)
def test_met_is_what_the_operator_says_of_the_latest_reading(op: str, value: Any, met: float, not_met: float) -> None:
    """`<5` is not met at 5; the reading before does not help."""
    assert state(measure(not_met, met), target(op, value)).met is True
    assert state(measure(met, not_met), target(op, value)).met is False


def test_without_a_reading_a_target_is_not_met_and_has_no_trend() -> None:
    """The baseline is no reading, even one inside the range."""
    found = state(measure(start=7), target("between", (7, 8)))
    assert (found.met, found.met_on, found.trend, found.latest, found.latest_on) == (False, None, None, None, None)


def test_what_a_target_does_not_say_in_full_is_not_judged() -> None:
    """A foreign detail, a missing number or an unknown measure gives no figure instead of a guessed one."""
    for one in (
        target(None, foreign_detail=Foreign(foreign="{}")),
        target("<"),
        target("between"),
        target("<", 5, measure=None),
        target("<", 5, measure="other"),
    ):
        found = state(measure(4, 4, start=9), one)
        assert (found.percent, found.met, found.met_on, found.trend) == (None, None, None, None)


def test_met_on_is_the_first_day_and_lateness_counts_from_the_day_it_was_due() -> None:
    """Due on the target's own day, else on the goal's; a target that is not met now has no such day."""
    found = state(measure(9, 4, 3), target("<", 5, by=day(13), id="t"))
    assert (found.goal, found.target, found.measure, found.latest, found.latest_on) == ("g", "t", "m", 3, day(21))
    assert (found.met_on, found.late_days) == (day(14), 1)
    assert state(measure(9, 4, 3), target("<", 5, by=day(14)), target_date=day(1)).late_days is None
    assert state(measure(9, 4, 3), target("<", 5), target_date=day(10)).late_days == 4
    assert state(measure(9, 4, 3), target("<", 5, by=Foreign(foreign='"2026"'))).late_days is None
    gone = state(measure(4, 9), target("<", 5, by=day(1)))
    assert (gone.met_on, gone.late_days) == (None, None)


@pytest.mark.parametrize(
    ("sustain", "days", "values", "met_on"),
    [
        # Four in a row, first and last at most 28 days apart.
        (Sustain(count=4, span_days=28), (0, 7, 14, 21), (5, 5, 5, 5), 21),
        (Sustain(count=4, span_days=28), (0, 7, 14, 28), (5, 5, 5, 5), 28),
        (Sustain(count=4, span_days=28), (0, 7, 14, 29), (5, 5, 5, 5), None),
        (Sustain(count=4, span_days=28), (0, 20, 27, 34, 41), (5, 5, 5, 5, 5), 41),
        (Sustain(count=4, span_days=28), (0, 7, 14, 21), (5, 9, 5, 5), None),
        (Sustain(count=4, span_days=28), (0, 7, 14), (5, 5, 5), None),
        # A count alone: in a row, whatever time lies between.
        (Sustain(count=3), (0, 50, 100), (5, 5, 5), 100),
        (Sustain(count=3), (0, 1, 2, 3), (5, 5, 9, 5), None),
        # At least so far apart, within one unbroken run of at least `count`.
        (Sustain(count=2, apart_days=28), (0, 27, 28), (5, 5, 5), 28),
        (Sustain(count=2, apart_days=28), (0, 27), (5, 5), None),
        (Sustain(count=2, apart_days=28), (0, 14, 28), (5, 9, 5), None),
        (Sustain(count=3, apart_days=28), (0, 28), (5, 5), None),
        # Once held it stays held; only the latest reading must meet it too.
        (Sustain(count=2), (0, 1, 2, 3), (5, 5, 9, 5), 1),
        (Sustain(count=2), (0, 1, 2), (5, 5, 9), None),
        (Sustain(count=1), (0, 1), (9, 5), 1),
        # Both: not too near, not too far.
        (Sustain(count=2, apart_days=5, span_days=10), (0, 4, 12), (5, 5, 5), 12),
        (Sustain(count=2, apart_days=5, span_days=7), (0, 4, 12), (5, 5, 5), None),
    ],
)
def test_sustain(sustain: Sustain, days: tuple[int, ...], values: tuple[int, ...], met_on: int | None) -> None:
    """`count` readings in a row that all meet the target, within `span_days` or at least `apart_days` apart."""
    taken = tuple(Reading(date=day(at), value=Decimal(value)) for at, value in zip(days, values, strict=True))
    found = state(measure(readings=taken, start=9), target("<=", 5, sustain=sustain))
    assert found.met is (met_on is not None)
    assert found.met_on == (None if met_on is None else day(met_on))
    criterion = DischargeCriterion(text="c", measure="m", op="<=", value=Decimal(5), sustain=sustain)
    (judged,) = discharge_criteria(plan_of(measures=(measure(readings=taken),), discharge_criteria=(criterion,)), LATER)
    assert (judged.verdict, judged.met_on) == ("met" if found.met else "not_shown", found.met_on)


def test_a_discharge_criterion_that_numbers_cannot_show_is_for_a_person() -> None:
    """Without a measure, or with one that is not there, nobody but a person can say."""
    criteria = (
        DischargeCriterion(text="Names three signs"),
        DischargeCriterion(text="Below five", measure="m"),
        DischargeCriterion(text="Below five", measure="other", op="<", value=Decimal(5)),
        DischargeCriterion(text="Below five", measure="m", op="<", value=Decimal(5)),
        DischargeCriterion(text="Between", measure="m", op="between", range=(Decimal(1), Decimal(5))),
    )
    found = discharge_criteria(plan_of(measures=(measure(4),), discharge_criteria=criteria), LATER)
    assert [each.verdict for each in found] == ["person", "person", "person", "met", "met"]
    assert [each.at for each in found] == [0, 1, 2, 3, 4]
    before = discharge_criteria(plan_of(measures=(measure(4),), discharge_criteria=criteria), DAY_0)
    assert [each.verdict for each in before][3:] == ["not_shown", "not_shown"]


@pytest.mark.parametrize(
    ("values", "better", "trend"),
    [
        ((), "lower", None),
        ((9,), "lower", "in_progress"),
        ((9, 8), "lower", "improving"),  # 5 % of 20 is 1
        ((9, "8.1"), "lower", "no_change"),
        ((8, 9), "lower", "worsening"),
        ((8, 9), "higher", "improving"),
        ((9, 8), "higher", "worsening"),
        ((1, 9, 5, 9), "lower", "no_change"),  # the last three: 9, 5, 9
        ((20, 9, 5, 8), "lower", "improving"),
        ((5, 5, 5), "lower", "no_change"),
    ],
)
def test_trend_is_last_minus_first_of_the_last_three_readings(values: Any, better: str, trend: str | None) -> None:
    """By at least 5 % of the range where the reliable change is not known; the baseline is not among them."""
    op = "<" if better == "lower" else ">="
    assert state(measure(*values, start=20, better=better), target(op, 5)).trend == trend


def test_trend_by_reliable_change_and_without_any_scale() -> None:
    """The plan's or instrument's reliable change goes before 5 % of the range; with neither nothing can be told."""
    assert state(measure(9, 5, reliable_change=Decimal(5)), target("<", 5)).trend == "no_change"
    assert state(measure(9, 4, reliable_change=Decimal(5)), target("<", 5)).trend == "improving"
    assert state(measure(9, 5, instrument="PHQ-9", range=None), target("<", 5)).trend == "no_change"
    assert state(measure(9, 3, instrument="PHQ-9", range=None), target("<", 5)).trend == "improving"
    assert state(measure(9, 3, range=None), target("<", 5)).trend == "in_progress"


def test_trend_towards_a_range_or_a_number_goes_by_distance() -> None:
    """Nearer is better, from either side; inside is inside."""
    assert state(measure(4, 6), target("between", (7, 9))).trend == "improving"
    assert state(measure(12, 14), target("between", (7, 9))).trend == "worsening"
    assert state(measure(7, 9), target("between", (7, 9))).trend == "no_change"
    assert state(measure(12, 8), target("=", 8)).trend == "improving"
    assert state(measure(6, 10), target("=", 8)).trend == "no_change"


def test_of_several_readings_on_a_day_the_clients_counts() -> None:
    """Both are kept, one counts for display; two raters on one day are no two readings in a row."""
    both = (
        Reading(date=day(1), value=Decimal(4), rater="client"),
        Reading(date=day(1), value=Decimal(9), rater="therapist"),
        Reading(date=day(1), value=Decimal(9)),
    )
    found = state(measure(readings=both), target("<", 5, sustain=Sustain(count=2)))
    assert (found.latest, found.met, found.trend) == (4, False, "in_progress")


def test_what_comes_after_the_day_does_not_count() -> None:
    """The clock is an argument: baseline, readings and what was met."""
    of, wanted = measure(9, 4, start=12), target("<", 5)
    assert [state(of, wanted, as_of=day(at)).met for at in (6, 7, 13, 14)] == [False, False, False, True]
    assert state(of, wanted, as_of=day(-1)).percent is None
    assert text(state(of, wanted, as_of=DAY_0).percent) == "0.000"


def test_goals_entered_in_error_have_no_figures() -> None:
    """A tombstone has no progress."""
    plan = plan_of(goal("g", lifecycle="entered_in_error", targets=(target("<", 5),)), measures=(measure(4),))
    assert (targets(plan, LATER, KNOWN), figures(plan, LATER, KNOWN)) == ((), ())


# --- Roll-up ---


def steps(*statuses: Any, owner: Any = "client") -> tuple[Step, ...]:
    return tuple(Step(id=f"s{n}", n=n, owner=owner, status=status) for n, status in enumerate(statuses, 1))


def test_a_goals_own_figure_is_its_targets_else_its_rating_else_its_steps() -> None:
    """The best there is, and what it was made of."""
    done = steps("done", "planned", "stopped", "entered_in_error", "skipped")
    half = target("<", 10)
    plan = plan_of(
        goal("both", targets=(half, target("<", 5, id="t2", measure="none")), gas=gas(0), steps=done),
        goal("rated", gas=gas(-1, baseline=-2), steps=done),
        goal("overrated", gas=gas(2)),
        goal("slipped", gas=gas(-2)),
        goal("stepped", gas=gas(0, rater="therapist"), steps=done),
        goal("unstarted", gas=gas(0, baseline=None), steps=steps("stopped")),
        goal("no_way_to_go", gas=gas(1, baseline=0), steps=done),
        measures=(measure(15, start=20),),
    )
    found = {each.goal: (text(each.share), each.source) for each in figures(plan, LATER, KNOWN)}
    assert found == {
        "both": ("0.500", "targets"),
        "rated": ("0.500", "attainment"),
        "overrated": ("1.000", "attainment"),
        "slipped": ("0.000", "attainment"),
        "stepped": ("0.333", "steps"),
        "unstarted": (None, None),
        "no_way_to_go": ("0.333", "steps"),
    }


def test_a_development_plans_own_rating_is_the_subjects() -> None:
    """There is no client to rate."""
    plan = plan_of(goal("g", gas=gas(0, rater="self")), kind="professional_development", client=None)
    assert own_figure(plan, plan.goals[0], LATER, KNOWN) == (1, "attainment")


def test_roll_up_is_the_mean_weighted_by_priority_with_its_coverage() -> None:
    """High 3, medium 2, low 1, unset and foreign as medium; what has no figure is left out and counted."""
    plan = plan_of(
        goal("up"),
        goal("high", parent="up", priority="high", steps=steps("done")),
        goal("medium", parent="up", priority="medium", steps=steps("planned")),
        goal("low", parent="up", priority="low", steps=steps("done")),
        goal("unset", parent="up", steps=steps("done")),
        goal("foreign", parent="up", priority=Foreign(foreign='"x"'), steps=steps("planned")),
        goal("nothing", parent="up", priority="high"),
    )
    (found,) = roll_ups(replace(plan, goals=(goal("childless"), *plan.goals)), LATER, KNOWN)
    assert (found.goal, found.value, found.covered, found.children) == ("up", Decimal("0.6"), 5, 6)
    assert str(found.value) == "0.600"


@pytest.mark.parametrize("lifecycle", ["draft", "proposed", "cancelled", "declined", "entered_in_error"])
def test_children_that_are_not_agreed_or_given_up_do_not_count(lifecycle: str) -> None:
    """A parent that has only such children has no roll-up."""
    plan = plan_of(goal("up"), goal("g", parent="up", lifecycle=lifecycle, steps=steps("done")))
    assert roll_ups(plan, LATER, KNOWN) == ()


@pytest.mark.parametrize("lifecycle", ["accepted", "planned", "active", "on_hold", "completed"])
def test_all_other_children_count(lifecycle: str) -> None:
    """Also what has not begun: 0 of the way."""
    plan = plan_of(goal("up"), goal("g", parent="up", lifecycle=lifecycle, steps=steps("planned")))
    assert [(each.value, each.children) for each in roll_ups(plan, LATER, KNOWN)] == [(0, 1)]


def test_children_without_any_figure_give_a_coverage_and_no_value() -> None:
    """0 of 1 is not 0 percent."""
    plan = plan_of(goal("up"), goal("g", parent="up"))
    assert [(each.value, each.covered, each.children) for each in roll_ups(plan, LATER, KNOWN)] == [(None, 0, 1)]
    gone = with_goal(plan, "up", lifecycle="entered_in_error")
    assert roll_ups(gone, LATER, KNOWN) == ()


# --- Steps ---


def test_steps_done_are_counted_per_owner() -> None:
    """Stopped and void steps don't count, nor do the steps of goals that are not agreed or given up."""
    plan = plan_of(
        goal("a", steps=steps("done", "in_progress", "skipped", "stopped", "entered_in_error", "on_hold")),
        goal("b", lifecycle="completed", steps=steps("done", owner="therapist")),
        goal("c", steps=steps("stopped", owner="support_person")),
        goal("d", steps=steps("done", owner=None)),
        *(
            goal(lifecycle, lifecycle=lifecycle, steps=steps("done"))
            for lifecycle in ("draft", "proposed", "cancelled", "declined", "entered_in_error")
        ),
    )
    assert steps_done(plan) == {"client": StepCount(1, 4), "therapist": StepCount(1, 1)}


@pytest.mark.parametrize("status", ["planned", "scheduled", "in_progress"])
def test_the_next_step_is_the_first_open_one_of_an_active_goal(status: str) -> None:
    """By its number, wherever it stands in the file."""
    three = steps("done", status, "planned")
    plan = plan_of(
        goal("a", steps=three[::-1]),
        goal("held", lifecycle="on_hold", steps=three),
        goal("finished", steps=steps("done", "skipped", "stopped", "on_hold", "entered_in_error")),
    )
    assert next_steps(plan) == {"a": "s2"}


def rung(n: int, status: Any, *trials: tuple[int, int, int], done: int | None = None) -> Step:
    """A rung with trials of (day, peak, end)."""
    return Step(
        id=f"r{n}",
        n=n,
        kind="exposure",
        status=status,
        done_on=None if done is None else day(done),
        trials=tuple(Trial(date=day(at), peak=peak, end=end) for at, peak, end in trials),
    )


def ladder(*rungs: Step, as_of: date = LATER) -> Any:
    (found,) = ladders(plan_of(goal("g", exposure_hierarchy=True, steps=rungs)), as_of)
    return found


def test_a_ladder_says_for_each_tried_rung_if_distress_fell_by_half_at_last() -> None:
    """The last trial by day counts, up to the day: exactly half is half."""
    rungs = (
        rung(1, "done", (9, 60, 30), (2, 80, 70), done=9),
        rung(2, "in_progress", (10, 60, 31)),
        rung(3, "scheduled"),
        rung(4, "stopped"),
        rung(5, "entered_in_error", (1, 50, 0)),
    )
    found = ladder(*rungs)
    assert (found.goal, found.done, found.total) == ("g", 1, 3)
    assert found.last_halved == {"r1": True, "r2": False}
    assert ladder(*rungs, as_of=day(8)).last_halved == {"r1": False}
    assert ladder(*rungs, as_of=day(9)).last_halved == {"r1": True}
    assert ladders(plan_of(goal("g", steps=rungs)), LATER) == ()
    void = goal("g", exposure_hierarchy=True, lifecycle="entered_in_error", steps=rungs)
    assert ladders(plan_of(void), LATER) == ()


@pytest.mark.parametrize(
    ("below", "above", "early"),
    [
        (rung(1, "done", done=5), rung(2, "done", (6, 50, 20), done=6), False),
        (rung(1, "done", done=5), rung(2, "done", (5, 50, 20), done=6), False),
        (rung(1, "done", done=5), rung(2, "done", (6, 50, 20), (4, 50, 40), done=6), True),
        (rung(1, "done", done=5), rung(2, "done", done=4), True),
        (rung(1, "done", done=5), rung(2, "in_progress"), False),
        (rung(1, "skipped"), rung(2, "in_progress"), False),
        (rung(1, "planned"), rung(2, "in_progress"), True),
        (rung(1, "planned"), rung(2, "done", done=4), True),
        (rung(1, "stopped"), rung(2, "done", done=4), True),
        (rung(1, "in_progress"), rung(2, "scheduled", (4, 50, 40)), True),
        (rung(1, "in_progress"), rung(2, "scheduled"), False),
        (rung(1, "planned"), rung(2, "skipped"), False),
    ],
)
def test_a_rung_begun_before_the_one_below_was_done_or_skipped_is_named(below: Step, above: Step, early: bool) -> None:
    """Therapists do jump: it is counted, not stopped; the order is that of the numbers."""
    for rungs in ((below, above), (above, below)):
        assert ladder(*rungs).order_violations == (("r2",) if early else ())


def test_of_two_trials_on_a_day_the_one_with_less_relief_counts() -> None:
    """Whichever stands first, and however high its peak."""
    pair = ((5, 60, 30), (5, 20, 15))
    assert ladder(rung(1, "done", *pair, done=5)).last_halved == {"r1": False}
    assert ladder(rung(1, "done", *pair[::-1], done=5)).last_halved == {"r1": False}
    assert ladder(rung(1, "done", (5, 90, 46), (5, 100, 50), done=5)).last_halved == {"r1": False}
    assert ladder(rung(1, "done", (5, 40, 20), (5, 18, 10), done=5)).last_halved == {"r1": False}
    assert ladder(rung(1, "done", (5, 60, 30), (5, 90, 42), done=5)).last_halved == {"r1": True}


def test_a_trial_begins_a_rung_on_its_day() -> None:
    """Not the day before."""
    rungs = (rung(1, "planned"), rung(2, "scheduled", (4, 50, 40)))
    assert ladder(*rungs, as_of=day(4)).order_violations == ("r2",)
    assert ladder(*rungs, as_of=day(3)).order_violations == ()


def test_a_void_rung_does_not_stand_between_two_others() -> None:
    """What was entered in error was never a rung."""
    found = ladder(rung(1, "done", done=5), rung(2, "entered_in_error"), rung(3, "in_progress"))
    assert found.order_violations == ()


# --- Proposals ---


def proposed(*goals: Any, of: Measure | None = None) -> dict[str, tuple[str, str]]:
    plan = plan_of(*goals, measures=() if of is None else (of,))
    return {each.goal: (each.proposed, each.source) for each in proposals(plan, LATER, KNOWN)}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((9, 4), "achieved"),
        ((12, 9), "improving"),
        ((9, 12), "worsening"),
        ((9, 9), "no_change"),
        ((9,), "in_progress"),
    ],
)
def test_targets_propose_what_their_numbers_say(values: tuple[int, ...], says: str) -> None:
    """Only while the goal is open; a status that agrees already needs no proposal."""
    wanted = target("<", 5)
    of = measure(*values)
    assert proposed(goal("g", targets=(wanted,)), of=of) == {"g": (says, "targets")}
    assert proposed(goal("g", targets=(wanted,), lifecycle="on_hold"), of=of) == {"g": (says, "targets")}
    assert proposed(goal("g", targets=(wanted,), achievement=says), of=of) == {}
    for lifecycle in ("draft", "proposed", "planned", "completed", "cancelled", "declined", "entered_in_error"):
        assert proposed(goal("g", targets=(wanted,), lifecycle=lifecycle), of=of) == {}


def test_of_several_targets_the_worst_trend_speaks_and_all_must_be_met() -> None:
    """One target reached is not the goal reached; one that can't be judged stops `achieved`, not the trend."""
    of = measure(9, 4)
    met, open_ = target("<", 5), target("<", 3, id="t2")
    assert proposed(goal("g", targets=(met, open_)), of=of) == {"g": ("improving", "targets")}
    foreign = target(None, id="t3", foreign_detail=Foreign(foreign="{}"))
    assert proposed(goal("g", targets=(met, foreign)), of=of) == {"g": ("improving", "targets")}
    higher = target(">", 15, id="t4")
    assert proposed(goal("g", targets=(higher, open_)), of=of) == {"g": ("worsening", "targets")}
    assert proposed(goal("g", targets=(foreign,)), of=of) == {}


def test_ratings_propose_where_there_is_no_target() -> None:
    """By the client's own rating: expected level or better is achieved, else the last two, else the baseline."""
    goals = (
        scaled("over", -2, lifecycle="completed"),
        scaled("reached", 0),
        scaled("back_again", -2, -1),
        scaled("better", -2, -1, baseline=-2),
        scaled("worse", -1, -2),
        scaled("same", -1),
        scaled("unknown", -1, baseline=None),
        scaled("others", 2, rater="therapist"),
        goal("steps", steps=steps("done")),
    )
    assert {source for _, source in proposed(*goals).values()} == {"attainment"}
    assert {name: says for name, (says, _) in proposed(*goals).items()} == {
        "reached": "achieved",
        "back_again": "improving",
        "better": "improving",
        "worse": "worsening",
        "same": "no_change",
        "unknown": "in_progress",
    }


def test_a_proposal_names_the_status_that_it_would_replace() -> None:
    """So a person sees both."""
    (found,) = proposals(plan_of(replace(scaled("g", 0), achievement="worsening")), LATER, KNOWN)
    assert (found.goal, found.current, found.proposed) == ("g", "worsening", "achieved")


def test_a_status_that_says_the_same_or_more_stands() -> None:
    """`sustaining` is achieved and more; `improving` is in progress and more; a lapse is proposed."""
    wanted = (target("<", 5),)
    for current, taken, says in (
        ("sustaining", (4,), None),
        ("achieved", (4,), None),
        ("improving", (9,), None),
        ("worsening", (9,), None),
        ("sustaining", (4, 9), "worsening"),
        ("achieved", (9,), "in_progress"),
        ("not_attainable", (9,), "in_progress"),
        ("improving", (4,), "achieved"),
    ):
        found = proposed(goal("g", targets=wanted, achievement=current), of=measure(*taken))
        assert found == ({} if says is None else {"g": (says, "targets")}), (current, taken)


# --- Laws ---

lifecycles = st.sampled_from(["draft", "active", "on_hold", "completed", "declined", "entered_in_error"])
statuses = st.sampled_from(["planned", "in_progress", "done", "skipped", "stopped", "entered_in_error", None])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    taken = draw(measured_readings)
    start = draw(st.none() | st.builds(Reading, date=st.just(DAY_0), value=values))
    of = measure(
        readings=taken,
        baseline=start,
        better=draw(st.sampled_from(["lower", "higher", "range"])),
        reliable_change=draw(st.none() | st.just(Decimal(3))),
    )
    goals = [goal("up")]
    for at in range(draw(st.integers(1, 4))):
        goals.append(
            goal(
                f"g{at}",
                parent="up",
                lifecycle=draw(lifecycles),
                priority=draw(st.sampled_from(["high", "medium", "low", None])),
                targets=tuple(
                    replace(each, id=f"t{n}", sustain=draw(st.none() | st.just(Sustain(count=2, span_days=21))))
                    for n, each in enumerate(draw(st.lists(targets_of_m, max_size=2)))
                ),
                gas=draw(st.none() | scales),
                steps=steps(*draw(st.lists(statuses, max_size=4))),
            )
        )
    return plan_of(*goals, measures=(of,))


@given(plans(), st.integers(0, 60))
def test_every_share_stays_between_0_and_1(plan: Plan, on: int) -> None:
    """Percent, own figure and roll-up are shares, whatever the numbers; the coverage never exceeds its whole."""
    found = progress(plan, day(on))
    shares = [each.percent for each in found.targets] + [each.share for each in found.figures]
    shares += [each.value for each in found.roll_ups]
    assert all(share is None or 0 <= share <= 1 for share in shares)
    for each in found.roll_ups:
        assert 0 <= each.covered <= each.children
        assert (each.value is None) == (each.covered == 0)
    for count in found.steps_done.values():
        assert 0 <= count.done <= count.total


@given(plans(), st.integers(0, 60), st.randoms(use_true_random=False))
def test_the_order_of_readings_and_steps_in_the_file_does_not_matter(plan: Plan, on: int, random: Any) -> None:
    """Readings go by their days, steps by their numbers."""

    def mixed(things: tuple[Any, ...]) -> tuple[Any, ...]:
        shuffled = list(things)
        random.shuffle(shuffled)
        return tuple(shuffled)

    other = replace(
        plan,
        measures=tuple(replace(each, readings=mixed(each.readings)) for each in plan.measures),
        goals=tuple(replace(each, steps=mixed(each.steps)) for each in plan.goals),
    )
    assert progress(other, day(on)) == progress(plan, day(on))


@given(plans(), st.integers(0, 60))
def test_what_lies_after_the_day_changes_nothing(plan: Plan, on: int) -> None:
    """With later readings and ratings taken away, a day's figures are the same."""
    past = replace(
        plan,
        measures=tuple(
            replace(each, readings=tuple(one for one in each.readings if one.date <= day(on))) for each in plan.measures
        ),
        goals=tuple(
            each
            if each.gas is None
            else replace(
                each,
                gas=replace(each.gas, ratings=tuple(one for one in each.gas.ratings if one.date <= day(on))),
            )
            for each in plan.goals
        ),
    )
    assert progress(past, day(on)) == progress(plan, day(on))


@given(plans(), st.integers(0, 60))
def test_a_target_is_met_only_by_its_latest_reading_and_then_it_is_all_the_way(plan: Plan, on: int) -> None:
    """`met` has a day and a reading, and is 100 %; what is not met has no day."""
    for each in progress(plan, day(on)).targets:
        assert (each.met_on is not None) == bool(each.met)
        if each.met:
            assert each.latest is not None
            assert each.percent == 1
            assert each.met_on is not None
            assert each.met_on <= day(on)


@given(st.lists(values, min_size=1, max_size=6), st.lists(values, min_size=1, max_size=6))
def test_a_later_reading_that_does_not_meet_a_target_unmeets_it(some: list[Decimal], more: list[Decimal]) -> None:
    """Whatever came before: the latest reading decides."""
    for last, op in product((some[0], more[-1]), ("<", ">")):
        taken = readings(*(str(each) for each in (*some, *more, last)))
        found = state(measure(readings=taken), target(op, last))
        assert found.met is False
