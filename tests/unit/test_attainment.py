"""The GAS T-score: the erratum's formula, per rater, over the goals rated, and where raters differ."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fhirgoals.domain.attainment import gas_scores, rater_gaps, t_score
from fhirgoals.domain.instruments import standard
from fhirgoals.domain.readings import rounded
from fhirgoals.domain.records import GasRating, Goal
from tests.plans import goal, replace, with_goal
from tests.unit.progress_plans import DAY_0, LATER, day, gas, plan_of, raters, scaled, scales

LIMITS = standard().limits


def scores(*goals: Goal, as_of=LATER):
    return {score.rater: score for score in gas_scores(plan_of(*goals), as_of)}


@pytest.mark.parametrize(("level", "t"), [(-2, 30), (-1, 40), (0, 50), (1, 60), (2, 70)])
@pytest.mark.parametrize("weight", [1, 4, 9])
def test_one_goal_scores_30_to_70_by_tens_whatever_its_weight(level: int, t: int, weight: int) -> None:
    """The check values of domain reference 6."""
    score = t_score([weight], [level])
    assert score is not None
    assert rounded(score, 20) == t


@pytest.mark.parametrize(
    ("weights", "levels", "t"),
    [
        ([1, 1, 1], [1, 1, 1], "63.69"),
        ([6, 6, 6], [1, 1, 1], "63.69"),
        ([4, 6, 6], [0, 0, 1], "55.10"),
        ([4, 9], [0, -2], "33.47"),
        ([6, 6], [2, 1], "68.61"),
        ([1] * 8, [-2] * 8, "17.87"),
    ],
)
def test_several_goals_follow_the_erratum(weights: list[int], levels: list[int], t: str) -> None:
    """`S w` is squared inside the root: the article's own text would give other numbers."""
    score = t_score(weights, levels)
    assert score is not None
    assert str(rounded(score, 2)) == t


def test_without_goals_there_is_no_score() -> None:
    """No goals is no 50."""
    assert t_score([], []) is None
    assert scores(goal("g")) == {}
    assert scores(scaled("g")) == {}


def test_weights_and_levels_must_go_together() -> None:
    """A level without its weight is a mistake of the caller."""
    with pytest.raises(ValueError, match="zip"):
        t_score([1], [])


def test_the_latest_rating_up_to_the_day_counts() -> None:
    """A rating of tomorrow does not count today; one of today does."""
    one = scaled("g", -1, 0, 2)
    assert [scores(one, as_of=day(7 * week))["client"].latest for week in (1, 2, 3)] == [40, 50, 70]
    assert scores(one, as_of=day(13))["client"].latest == 40
    assert scores(one, as_of=day(6)) == {}


def test_of_two_ratings_of_one_rater_on_a_day_the_lower_counts() -> None:
    """A pair on one day is not legal; whichever stands first, the careful one counts."""
    pair = (GasRating(date=DAY_0, level=2, rater="client"), GasRating(date=DAY_0, level=-1, rater="client"))
    for rated in (pair, pair[::-1]):
        assert scores(goal("g", gas=replace(gas(), ratings=rated)))["client"].levels == (-1,)


@pytest.mark.parametrize("lifecycle", ["cancelled", "declined", "entered_in_error"])
def test_goals_given_up_or_in_error_do_not_count(lifecycle: str) -> None:
    """They count neither in the score nor in the coverage."""
    found = scores(scaled("g", 1), scaled("gone", -2, lifecycle=lifecycle))["client"]
    assert (found.goals, found.scaled, found.latest) == (("g",), 1, 60)
    gone = goal(
        "gone", lifecycle=lifecycle, gas=replace(gas(2), ratings=(*gas(2).ratings, *gas(-2, rater="self").ratings))
    )
    assert rater_gaps(plan_of(gone), LATER, LIMITS) == ()


@pytest.mark.parametrize("lifecycle", ["active", "on_hold", "completed", "planned"])
def test_all_other_goals_count(lifecycle: str) -> None:
    """A completed goal keeps its attainment."""
    assert scores(scaled("g", 1, lifecycle=lifecycle))["client"].goals == ("g",)


def test_an_unrated_goal_is_left_out_and_the_coverage_says_so() -> None:
    """One of two rated is not half a score."""
    found = scores(scaled("g", 1), scaled("unrated"))["client"]
    assert (found.goals, len(found.goals), found.scaled, found.latest) == (("g",), 1, 2, 60)


def test_the_change_is_over_the_same_goals_and_rounded_last() -> None:
    """68.6066 - 31.3934 = 37.2132, not 68.61 - 31.39."""
    found = scores(scaled("a", 2, weight=(3, 2)), scaled("b", 1, weight=(2, 3), baseline=-2), scaled("unrated"))[
        "client"
    ]
    assert (str(found.baseline), str(found.latest), str(found.change)) == ("31.39", "68.61", "37.21")


def test_without_every_baseline_there_is_no_change() -> None:
    """A change over other goals than the latest score would compare what is not the same."""
    found = scores(scaled("a", 0), scaled("b", 0, baseline=None))["client"]
    assert (found.latest, found.baseline, found.change) == (50, None, None)


def test_weights_count_only_where_all_goals_have_one() -> None:
    """Importance times difficulty; one unset makes all 1."""
    both = scores(scaled("a", 1, weight=(3, 3)), scaled("b", 0, weight=(1, 2)))["client"]
    assert (both.weights, both.latest == both.unweighted_latest) == ((9, 2), False)
    one = scores(scaled("a", 1, weight=(3, 3)), scaled("b", 0))["client"]
    assert (one.weights, one.latest) == ((1, 1), one.unweighted_latest)


def test_a_goal_is_attained_from_the_expected_level_on() -> None:
    """Level 0 is what was agreed on (PCO GAS profile)."""
    assert scores(scaled("a", -1), scaled("b", 0), scaled("c", 2))["client"].attained == ("b", "c")


def test_raters_two_levels_apart_are_pointed_out_with_every_raters_level() -> None:
    """A gap is looked for between any two raters; one level is no gap."""

    def rated(client: int, therapist: int, caregiver: int) -> Goal:
        lines = (*gas(client).ratings, *gas(therapist, rater="therapist").ratings)
        return goal("g", gas=replace(gas(), ratings=(*lines, *gas(caregiver, rater="caregiver").ratings)))

    (gap,) = rater_gaps(plan_of(rated(0, 1, -1)), LATER, LIMITS)
    assert (gap.goal, gap.levels) == ("g", (("client", 0), ("therapist", 1), ("caregiver", -1)))
    assert rater_gaps(plan_of(rated(0, 1, 1)), LATER, LIMITS) == ()
    assert rater_gaps(plan_of(rated(-1, 1, 1)), day(6), LIMITS) == ()


levels_and_weights = st.lists(st.tuples(st.integers(1, 9), st.integers(-2, 2)), min_size=1, max_size=12)


@given(levels_and_weights, st.integers(2, 5))
def test_a_score_is_symmetric_and_does_not_depend_on_the_weights_unit(pairs: list[tuple[int, int]], by: int) -> None:
    """Mirrored levels mirror the score about 50, and weights in another unit give the same score."""
    weights, levels = [weight for weight, _ in pairs], [level for _, level in pairs]
    score = t_score(weights, levels)
    mirrored = t_score(weights, [-level for level in levels])
    scaled_up = t_score([weight * by for weight in weights], levels)
    assert score is not None
    assert mirrored is not None
    assert scaled_up is not None
    assert rounded(score + mirrored, 20) == 100
    assert rounded(score, 20) == rounded(scaled_up, 20)


@given(levels_and_weights, st.data())
def test_a_better_rating_never_lowers_a_score(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    """One goal one level up, all else equal: a higher score."""
    at = data.draw(st.integers(0, len(pairs) - 1))
    weights, levels = [weight for weight, _ in pairs], [level for _, level in pairs]
    assume(levels[at] < 2)
    better = [level + (place == at) for place, level in enumerate(levels)]
    before, after = t_score(weights, levels), t_score(weights, better)
    assert before is not None
    assert after is not None
    assert after > before


@given(st.lists(scales, min_size=1, max_size=4), raters)
def test_a_score_never_mixes_raters(some: list, rater: str) -> None:
    """With every other rater's ratings taken away, a rater's score is the same."""
    goals = [goal(f"g{place}", gas=scale) for place, scale in enumerate(some)]
    own = [
        replace(each, gas=replace(each.gas, ratings=tuple(one for one in each.gas.ratings if one.rater == rater)))
        for each in goals
    ]
    assert scores(*goals).get(rater) == scores(*own).get(rater)
    assert scores(*own).keys() <= {rater}


@given(st.lists(scales, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_ratings_in_the_file_does_not_matter(some: list, random) -> None:
    """Ratings are ordered by their days."""
    plan = plan_of(*(goal(f"g{place}", gas=scale) for place, scale in enumerate(some)))
    mixed = plan
    for each in plan.goals:
        assert each.gas is not None
        ratings = list(each.gas.ratings)
        random.shuffle(ratings)
        mixed = with_goal(mixed, each.id, gas=replace(each.gas, ratings=tuple(ratings)))
    assert gas_scores(plan, LATER) == gas_scores(mixed, LATER)
    assert rater_gaps(plan, LATER, LIMITS) == rater_gaps(mixed, LATER, LIMITS)


def test_a_callers_decimal_precision_does_not_show() -> None:
    """A score is the same in a context of three digits."""
    with localcontext(Context(prec=3)):
        coarse = t_score([4, 6, 6], [0, 0, 1])
        assert coarse is not None
        assert str(rounded(coarse, 2)) == "55.10"
    assert coarse == t_score([4, 6, 6], [0, 0, 1])
    assert isinstance(coarse, Decimal)
