"""The review clock: due, overdue, late, unsigned, and the review that ends a treatment."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.domain.instruments import standard
from fhirgoals.domain.records import Foreign, Participant, Period, Plan, Review, Signature
from fhirgoals.domain.reviews import LateReview, ReviewClock, Unsigned, review_clock
from tests.plans import replace, small
from tests.unit.progress_plans import DAY_0, day

LIMITS = standard().limits
SIGNED = (Signature(by="p-client", date=DAY_0), Signature(by="p-ther", date=DAY_0))


def review(review_id: str, on: date, due: date | None = None, kind: Any = "scheduled", **given: Any) -> Review:
    base: dict[str, Any] = {"outcome": "continue", "signatures": SIGNED}
    return Review(id=review_id, date=on, due=due, kind=kind, **(base | given))


def clock(as_of: date, *reviews: Review, **changes: Any) -> ReviewClock:
    plan = small(**({"reviews": reviews, "review_interval_days": 60} | changes))
    return review_clock(plan, as_of, LIMITS)


def test_the_first_review_is_due_one_interval_after_the_start() -> None:
    """Start plus the plan's interval, or 90 days where it states none."""
    assert clock(DAY_0).next_due == day(60)
    assert clock(DAY_0, review_interval_days=None).next_due == day(90)
    assert clock(DAY_0, start_date=None).next_due is None
    assert clock(DAY_0, start_date=Foreign(foreign='"2026"')).next_due is None


@pytest.mark.parametrize("kind", ["scheduled", "triggered", "transfer", "discharge"])
def test_a_review_of_any_kind_sets_the_clock(kind: str) -> None:
    """Transfer, triggered and discharge reviews count."""
    assert clock(day(30), review("r", day(20), kind=kind)).next_due == day(80)


def test_a_plan_is_overdue_from_the_day_after() -> None:
    """Due today is not overdue."""
    on_time, late = clock(day(60)), clock(day(63))
    assert (on_time.overdue, on_time.overdue_days) == (False, None)
    assert (late.overdue, late.overdue_days) == (True, 3)


@pytest.mark.parametrize("status", ["draft", "completed", "revoked", "entered_in_error", Foreign(foreign='"unknown"')])
def test_no_clock_runs_where_the_plan_does_not(status: Any) -> None:
    """A draft, an ended or an unknown plan is never overdue."""
    found = clock(day(500), status=status, planned_end_date=day(50))
    assert (found.next_due, found.overdue, found.discharge_review_by) == (None, False, None)


@pytest.mark.parametrize("status", ["active", "on_hold"])
def test_the_clock_runs_while_a_plan_is_active_or_paused(status: Any) -> None:
    """A pause is no reason to forget the review."""
    assert clock(day(61), status=status).overdue is True


def test_where_the_next_review_comes_after_the_end_one_is_due_by_the_end() -> None:
    """On the last day it is not overdue; a review on the end itself is none too late."""
    found = clock(day(50), planned_end_date=day(50))
    assert (found.discharge_review_by, found.discharge_overdue_days) == (day(50), None)
    assert clock(day(52), planned_end_date=day(50)).discharge_overdue_days == 2
    assert clock(day(50), planned_end_date=day(60)).discharge_review_by is None
    assert clock(day(50), planned_end_date=Foreign(foreign='"2026"')).discharge_review_by is None


def test_a_review_held_after_it_was_due_is_late_by_days() -> None:
    """Held on the day, or without one, it is not; nor before the day of the question."""
    reviews = (
        review("r3", day(25), day(15)),
        review("r1", day(5), day(5)),
        review("r2", day(9), day(8)),
        review("r0", day(2)),
    )
    assert clock(day(30), *reviews).late == (LateReview("r2", 1), LateReview("r3", 10))
    assert clock(day(10), *reviews).late == (LateReview("r2", 1),)
    assert clock(day(10), *reviews).next_due == day(69)


def test_a_line_without_a_day_is_unsigned_and_a_refusal_is_not() -> None:
    """A refusal with its reason is an answer; `refused: false` is none. A signature of tomorrow is not there yet."""
    lines = (
        Signature(by="p-client", refused=True, reason="does not want to"),
        Signature(by="p-ther", date=day(3)),
        Signature(by="p-sup", refused=False, reason="ill"),
    )
    one = review("r", day(1), signatures=lines)
    assert clock(day(5), one).unsigned == (Unsigned("r", "p-sup"),)
    assert clock(day(2), one).unsigned == (Unsigned("r", "p-ther"), Unsigned("r", "p-sup"))
    assert clock(day(3), one).unsigned == (Unsigned("r", "p-sup"),)
    assert clock(DAY_0, one).unsigned == ()


def with_people(*people: Participant, reviews: tuple[Review, ...]) -> tuple[Unsigned, ...]:
    return review_clock(small(participants=people, reviews=reviews), day(90), LIMITS).unsigned


CLIENT = Participant(id="p-client", role="client", ref="client-1")
THERAPIST = Participant(id="p-ther", role="primary_therapist", ref="staff-1")


def test_client_and_therapist_sign_even_where_there_is_no_line() -> None:
    """A review that nobody signed is not a signed one; others sign only where there is a line."""
    others = tuple(
        Participant(id=role, role=role, ref=role)
        for role in ("clinical_supervisor", "prescriber", "family", "support_person", "former_therapist")
    )
    bare = review("r", day(5), signatures=())
    assert with_people(CLIENT, THERAPIST, *others, reviews=(bare,)) == (
        Unsigned("r", "p-client"),
        Unsigned("r", "p-ther"),
    )


def test_the_therapist_of_the_day_signs() -> None:
    """Who came later or left before does not; the first and last day are theirs."""
    came = replace(THERAPIST, period=Period(start=day(10), end=day(20)))
    bare = [review(f"r{at}", day(at), signatures=()) for at in (9, 10, 20, 21)]
    found = with_people(came, reviews=tuple(bare))
    assert found == (Unsigned("r10", "p-ther"), Unsigned("r20", "p-ther"))
    assert with_people(replace(CLIENT, period=Period(end=day(1))), came, reviews=tuple(bare)) == found
    open_ended = replace(THERAPIST, period=Period())
    assert len(with_people(open_ended, reviews=tuple(bare))) == 4


def test_a_legal_representatives_line_stands_for_the_clients() -> None:
    """Parents sign for a minor; without a line of theirs the client's is missing."""
    parent = Participant(id="p-parent", role="legal_representative", ref="related-1")
    signed = review("r", day(5), signatures=(Signature(by="p-parent", date=day(5)),))
    assert with_people(CLIENT, parent, reviews=(signed,)) == ()
    assert with_people(CLIENT, parent, THERAPIST, reviews=(signed,)) == (Unsigned("r", "p-ther"),)
    assert with_people(CLIENT, parent, reviews=(review("r", day(5), signatures=()),)) == (Unsigned("r", "p-client"),)


def test_the_subject_signs_the_reviews_of_a_development_plan() -> None:
    """It is about them."""
    subject = Participant(id="p-self", role="therapist_subject", ref="staff-1")
    plan: Plan = small(
        kind="professional_development",
        client=None,
        participants=(subject,),
        reviews=(review("r", day(1), signatures=()),),
    )
    assert review_clock(plan, day(5), LIMITS).unsigned == (Unsigned("r", "p-self"),)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.none() | st.integers(0, 300)), max_size=6),
    st.integers(0, 400),
    st.randoms(use_true_random=False),
)
def test_the_order_of_reviews_in_the_file_does_not_matter(held: list[Any], on: int, random: Any) -> None:
    """Nor do reviews after the day; and the next is one interval after the last held."""
    reviews = [
        review(f"r{at}", day(held_on), None if due is None else day(due)) for at, (held_on, due) in enumerate(held)
    ]
    mixed = list(reviews)
    random.shuffle(mixed)
    known = [each for each in reviews if each.date <= day(on)]
    found = clock(day(on), *reviews)
    assert found == clock(day(on), *mixed) == clock(day(on), *known)
    last = max((each.date for each in known), default=DAY_0)
    assert found.next_due == last + timedelta(days=60)
    assert found.overdue == (found.overdue_days is not None)
