"""What a measure says on a day, and the alerts that its readings raise."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.domain.alerts import Alert, alerts
from fhirgoals.domain.instruments import standard
from fhirgoals.domain.measures import MeasureSummary, measure_summaries
from fhirgoals.domain.records import Cutoff, Measure, Reading
from tests.plans import replace
from tests.unit.progress_plans import DAY_0, LATER, day, measure, measured_readings, plan_of

KNOWN = standard()


def summary(of: Measure, as_of: date = LATER) -> MeasureSummary:
    (found,) = measure_summaries(plan_of(measures=(of,)), as_of, KNOWN)
    return found


def raised(of: Measure, as_of: date = LATER) -> list[Alert]:
    return list(alerts(plan_of(measures=(of,)), as_of, KNOWN))


def of(instrument: str, start: float | None, *values: float, **given: Any) -> Measure:
    return measure(*values, start=start, instrument=instrument, range=None, better=None, **given)


def test_latest_and_change_are_in_score_points() -> None:
    """The change has the score's own sign, and needs a baseline; without a reading there is no summary."""
    found = summary(of("PHQ-9", 17, 16, 6))
    assert (found.first, found.latest, found.latest_on, found.change) == (17, 6, day(14), -11)
    assert (summary(of("PHQ-9", None, 6)).change, summary(of("PHQ-9", None, 6)).reliable_change) == (None, None)
    assert measure_summaries(plan_of(measures=(of("PHQ-9", 17),)), LATER, KNOWN) == ()
    assert measure_summaries(plan_of(measures=(of("PHQ-9", 17, 6),)), day(6), KNOWN) == ()


@pytest.mark.parametrize(
    ("instrument", "start", "latest", "says"),
    [
        ("PHQ-9", 12, 6, "improved"),
        ("PHQ-9", 12, 7, "none"),
        ("PHQ-9", 12, 18, "worsened"),
        ("PHQ-9", 12, 12, "none"),
        ("GAD-7", 12, 8, "improved"),
        ("GAD-7", 12, 9, "none"),
        ("WHO-5", 40, 50, "improved"),
        ("WHO-5", 40, 31, "none"),
        ("WHO-5", 40, 30, "worsened"),
        ("ORS", 20, 25, "improved"),
        ("ORS", 20, 24.9, "none"),
        ("goal rating 0-10", 2, 5, "improved"),
        ("Y-BOCS", 30, 5, None),
        ("IIP-32", 3, 1, None),
    ],
)
def test_reliable_change_is_from_the_instruments_number_on(
    instrument: str, start: float, latest: float, says: str | None
) -> None:
    """In the instrument's own direction; unknown is no verdict."""
    assert summary(of(instrument, start, latest)).reliable_change == says


def test_a_plans_own_reliable_change_goes_before_the_instruments() -> None:
    """So does its direction; a measure that aims at a range has no better side."""
    assert summary(of("ORS", 20, 25, reliable_change=Decimal("6.6"))).reliable_change == "none"
    assert summary(replace(of("ORS", 20, 30), better="range")).reliable_change is None
    assert summary(of("ORS", 20, 20.5, reliable_change=Decimal("0.5"))).reliable_change == "improved"
    assert summary(of("ORS", 20, 20, reliable_change=Decimal(0))).reliable_change == "none"


@pytest.mark.parametrize(
    ("instrument", "start", "latest", "reduction", "response", "remission"),
    [
        ("PHQ-9", 16, 8, "0.500", True, False),
        ("PHQ-9", 17, 9, "0.471", False, False),
        ("PHQ-9", 10, 4, "0.600", True, True),
        ("PHQ-9", 11, 18, "-0.636", False, False),
        ("PHQ-9", 0, 4, None, None, True),
        ("PHQ-9", 0.5, 0, "1.000", True, True),
        ("PHQ-9", None, 5, None, None, False),
        ("Y-BOCS", 20, 13, "0.350", True, False),
        ("Y-BOCS", 20, 12, "0.400", True, True),
        ("Y-BOCS", 27, 18, "0.333", False, False),
        ("GAD-7", 20, 2, None, None, None),
    ],
)
def test_response_and_remission(
    instrument: str, start: Any, latest: int, reduction: str | None, response: Any, remission: Any
) -> None:
    """A share of the baseline from 50 % (PHQ-9) or 35 % (Y-BOCS) on; remission is under 5, or 12 and under."""
    found = summary(of(instrument, start, latest))
    shown = None if found.percent_reduction is None else str(found.percent_reduction)
    assert (shown, found.response, found.remission) == (reduction, response, remission)


@pytest.mark.parametrize(
    ("instrument", "latest", "below", "above"),
    [
        ("PHQ-9", 9, True, None),
        ("PHQ-9", 10, False, None),
        ("GAD-7", 7, True, None),
        ("GAD-7", 8, False, None),
        ("OCI-R", 20, True, None),
        ("OCI-R", 21, False, None),
        ("ORS", 25, None, True),
        ("ORS", 24.9, None, False),
        ("WHO-5", 20, None, None),
        ("SRS", 20, None, None),
        ("IIP-32", 4, None, None),
    ],
)
def test_cutoffs_are_where_the_instrument_says(instrument: str, latest: float, below: Any, above: Any) -> None:
    """True outside the clinical range; a screening line is no case."""
    found = summary(of(instrument, None, latest))
    assert (found.below_cutoff, found.above_cutoff) == (below, above)


def test_a_plans_own_cutoff_goes_before_the_instruments() -> None:
    """Programs have their own; `between` names no side."""
    assert summary(of("PHQ-9", None, 9, cutoff=Cutoff(op=">=", value=Decimal(9)))).below_cutoff is False
    assert summary(of("PHQ-9", None, 9, cutoff=Cutoff(op="between", value=Decimal(9)))).below_cutoff is None


def test_an_unknown_instrument_has_no_verdicts() -> None:
    """Only its two numbers; a known one goes by the catalogue's name."""
    assert summary(of("phq9", None, 5)).instrument == "PHQ-9"
    found = summary(measure(5, start=9, instrument="custom"))
    verdicts = (found.reliable_change, found.percent_reduction, found.response_at, found.response, found.remission)
    assert verdicts == (None,) * 5
    assert (found.instrument, found.below_cutoff, found.above_cutoff) == ("custom", None, None)


# --- Alerts ---


@pytest.mark.parametrize(
    ("values", "on", "change"),
    [
        ((9, 15), [14], [6]),
        ((9, 14), [], []),
        ((16,), [7], [6]),  # against the baseline of 10
        ((14, 16), [14], [6]),  # two more than before, six more than the baseline
        ((4, 16), [14], [12]),  # the worse of the two
        ((16, 16), [7, 14], [6, 6]),
        ((4, 10), [14], [6]),
    ],
)
def test_a_reliable_worsening_raises_an_alert(values: tuple[int, ...], on: list[int], change: list[int]) -> None:
    """Against the reading before, or the baseline, by at least the reliable change (PHQ-9: 6)."""
    found = raised(of("PHQ-9", 10, *values))
    assert [each.date for each in found] == [day(at) for at in on]
    assert [each.change for each in found] == change
    assert {each.kind for each in found} <= {"deterioration"}


def test_a_fall_is_a_worsening_where_higher_is_better() -> None:
    """The change keeps the score's sign."""
    assert raised(of("ORS", 20, 30, 24)) == [Alert("m", day(14), "deterioration", Decimal(-6))]


def test_without_a_reliable_change_or_a_direction_nothing_is_a_worsening() -> None:
    """Never a guess."""
    assert raised(measure(0, 20, start=0)) == []
    assert raised(measure(0, 20, start=0, better="range", reliable_change=Decimal(1))) == []


def test_every_raters_reading_is_looked_at() -> None:
    """An alert too many is seen; one too few is not. It is one alert a day, by the worst."""
    taken = (
        Reading(date=day(1), value=Decimal(5), rater="client"),
        Reading(date=day(8), value=Decimal(5), rater="client"),
        Reading(date=day(8), value=Decimal(11), rater="caregiver"),
        Reading(date=day(8), value=Decimal(12), rater="therapist", flags=("item9_positive",)),
        Reading(date=day(8), value=Decimal(12), flags=("item9_positive",)),
    )
    assert raised(of("PHQ-9", None, readings=taken)) == [
        Alert("m", day(8), "deterioration", Decimal(7)),
        Alert("m", day(8), "item9"),
    ]


def test_the_worst_of_a_day_is_told_whichever_rater_saw_it() -> None:
    """Whether the client's reading is the worse or the better one."""
    for client, therapist, change in ((11, 13, 8), (13, 11, 8), (11, 5, 6)):
        taken = (
            Reading(date=day(8), value=Decimal(client), rater="client"),
            Reading(date=day(8), value=Decimal(therapist), rater="therapist"),
        )
        assert raised(of("PHQ-9", 5, readings=taken)) == [Alert("m", day(8), "deterioration", Decimal(change))]


def test_a_reading_of_the_baselines_own_day_is_compared_with_it_and_no_change_is_no_worsening() -> None:
    """Even where the plan calls any change reliable."""
    same_day = (Reading(date=DAY_0, value=Decimal(16)),)
    assert raised(of("PHQ-9", 10, readings=same_day)) == [Alert("m", DAY_0, "deterioration", Decimal(6))]
    assert raised(of("PHQ-9", 10, 10, 9, reliable_change=Decimal(0))) == []


def test_the_item_9_mark_and_a_low_session_rating_alert_on_the_baseline_too() -> None:
    """Under 36 is low; at 36 it is not."""
    marked = Reading(date=DAY_0, value=Decimal(3), flags=("item9_positive",))
    assert raised(of("PHQ-9", None, baseline=marked)) == [Alert("m", DAY_0, "item9")]
    assert raised(of("SRS", 35.9, 36, 35)) == [
        Alert("m", DAY_0, "session_rating"),
        Alert("m", day(14), "session_rating"),
    ]
    assert raised(of("SRS", 35.9, 36, 35), as_of=day(13)) == [Alert("m", DAY_0, "session_rating")]


def test_a_baseline_that_came_later_is_nothing_to_compare_with() -> None:
    """A worsening is against something earlier."""
    late = Reading(date=day(20), value=Decimal(1))
    assert raised(of("PHQ-9", None, 15, baseline=late)) == []


@given(measured_readings, st.randoms(use_true_random=False))
def test_the_order_of_readings_does_not_matter(taken: tuple[Reading, ...], random: Any) -> None:
    """Summary and alerts go by days."""
    other = list(taken)
    random.shuffle(other)
    first, second = (of("PHQ-9", 9, readings=tuple(some)) for some in (taken, other))
    assert raised(first) == raised(second)
    assert measure_summaries(plan_of(measures=(first,)), LATER, KNOWN) == measure_summaries(
        plan_of(measures=(second,)), LATER, KNOWN
    )


@given(measured_readings)
def test_a_new_day_takes_no_alert_back(taken: tuple[Reading, ...]) -> None:
    """Later readings add alerts; those of earlier days stand."""
    for at in range(0, 60, 15):
        early = raised(of("PHQ-9", 9, readings=taken), as_of=day(at))
        assert early == [each for each in raised(of("PHQ-9", 9, readings=taken)) if each.date <= day(at)]
