"""The review clock: when the next review is due, what was late, what is unsigned (domain reference 3, 4 and 11.8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from fhirgoals.domain.instruments import Limits
from fhirgoals.domain.records import Participant, Plan, Review

_RUNNING = frozenset({"active", "on_hold"})


@dataclass(frozen=True, slots=True)
class LateReview:
    """A review that was held so many days after it was due."""

    review: str
    days: int


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A signature that a review lacks: the participant's line has no day, or there is no line. A refusal is none."""

    review: str
    by: str


@dataclass(frozen=True, slots=True)
class ReviewClock:
    """The reviews of a plan on a day.

    `next_due` is `None` where no clock runs: the plan is a draft, ended or entered in error. `overdue_days` counts from
    `next_due` and is `None` unless overdue. `discharge_review_by` is the plan's planned end where the next review
    would come after it; `discharge_overdue_days` counts from there. `late` and `unsigned` are by the reviews' days.
    """

    next_due: date | None
    overdue: bool
    overdue_days: int | None
    discharge_review_by: date | None
    discharge_overdue_days: int | None
    late: tuple[LateReview, ...]
    unsigned: tuple[Unsigned, ...]


def review_clock(plan: Plan, as_of: date, limits: Limits) -> ReviewClock:
    """Return the review clock on a day; reviews and signatures after it don't count.

    The next review is due one interval after the last review of any kind, or after the start. The interval is the
    plan's own, else the configured default. An overdue review leaves the plan as it is.
    """
    held = held_reviews(plan, as_of)
    due = next_due(plan, as_of, limits)
    ends = plan.planned_end_date
    discharge_by = ends if due is not None and isinstance(ends, date) and due > ends else None
    return ReviewClock(
        next_due=due,
        overdue=due is not None and due < as_of,
        overdue_days=_days_after(due, as_of),
        discharge_review_by=discharge_by,
        discharge_overdue_days=_days_after(discharge_by, as_of),
        late=tuple(each for review in held if (each := late(review)) is not None),
        unsigned=tuple(each for review in held for each in _unsigned(plan, review, as_of)),
    )


def next_due(plan: Plan, as_of: date, limits: Limits) -> date | None:
    """Return when the next review is due, or `None` where no clock runs."""
    if plan.status not in _RUNNING:
        return None
    held = held_reviews(plan, as_of)
    last = held[-1].date if held else plan.start_date
    if not isinstance(last, date):
        return None
    days = limits.review_interval_days if plan.review_interval_days is None else plan.review_interval_days
    return last + timedelta(days=days)


def late(review: Review) -> LateReview | None:
    """Return by how many days a review was late, or `None`."""
    days = _days_after(review.due, review.date)
    return None if days is None else LateReview(review.id, days)


def is_signed(plan: Plan, review: Review, as_of: date) -> bool:
    """Tell whether a review is signed: someone did, nobody's signature is missing, and no one of the practice refused.

    A refusal of the client's side is on record and keeps nothing back (domain reference 4).
    """
    client_side = {each.id for each in plan.participants if each.role in ("client", "legal_representative")}
    given = [each for each in review.signatures if each.date is not None and each.date <= as_of and not each.refused]
    refused = any(each.refused and each.by not in client_side for each in review.signatures)
    return bool(given) and not refused and not any(_unsigned(plan, review, as_of))


def held_reviews(plan: Plan, as_of: date) -> list[Review]:
    """Return the reviews held by a day, oldest first, whatever their order in the file."""
    return sorted((each for each in plan.reviews if each.date <= as_of), key=lambda each: (each.date, each.id))


def _unsigned(plan: Plan, review: Review, as_of: date) -> Iterator[Unsigned]:
    lines = {signature.by for signature in review.signatures}
    for signature in review.signatures:
        signed = signature.date is not None and signature.date <= as_of
        if not signed and not signature.refused:
            yield Unsigned(review.id, signature.by)
    for participant in _must_sign(plan, review, lines):
        if participant.id not in lines:
            yield Unsigned(review.id, participant.id)


def _must_sign(plan: Plan, review: Review, lines: set[str]) -> Iterator[Participant]:
    """Yield who signs by default: client (or their legal representative) and therapist; a development plan's subject.

    A supervisor signs where there is a line: that they must is said by the staff record, which is not in the plan.
    """
    proxies = {each.id for each in plan.participants if each.role == "legal_representative"}
    for participant in plan.participants:
        if not _takes_part(participant, review.date):
            continue
        if participant.role == "client" and proxies & lines:
            continue
        if participant.role in ("client", "primary_therapist", "therapist_subject"):
            yield participant


def _takes_part(participant: Participant, on: date) -> bool:
    period = participant.period
    if period is None:
        return True
    return (period.start is None or period.start <= on) and (period.end is None or on <= period.end)


def _days_after(due: date | None, on: date) -> int | None:
    return None if due is None or on <= due else (on - due).days
