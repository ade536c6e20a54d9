"""The state machines say what the domain reference says, and a status pair that can't be true is found."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pytest

from fhirgoals.domain import codes
from fhirgoals.domain.invariants import check
from fhirgoals.domain.lifecycle import (
    CLOSURES,
    CONSENT,
    GOAL,
    PLAN,
    REVIEW,
    SIGNATURE,
    STEP,
    consent_state,
    in_words,
    may_follow,
    needs_reason,
    review_state,
    signature_state,
    status_conflicts,
)
from fhirgoals.domain.records import Consent, Foreign, Goal, Review, Signature
from tests.plans import AS_OF, EXAMPLES, example, replace, small, with_goal

REFERENCE = """
draft: proposed, planned, entered_in_error
proposed: accepted, planned, active, declined, cancelled, entered_in_error
accepted: planned, active, cancelled, entered_in_error
planned: active, on_hold, cancelled, entered_in_error
active: on_hold, completed, cancelled, entered_in_error
on_hold: active, completed, cancelled, entered_in_error
completed: active, entered_in_error
cancelled: active, entered_in_error
declined: proposed, entered_in_error
entered_in_error:
"""
"""The table of the domain reference, section 4, `eie` written out."""


def test_the_goal_machine_is_the_table_of_the_reference() -> None:
    """Each state has exactly the followers that the reference lists."""
    rows = (line.partition(":") for line in REFERENCE.strip().splitlines())
    table = {state: {each.strip() for each in following.split(",") if each.strip()} for state, _, following in rows}
    assert {state: set(following) for state, following in GOAL.items()} == table


def test_the_plan_machine_is_the_line_of_the_reference() -> None:
    """draft → active, active ↔ on hold, active → completed or revoked, any → entered in error, and nothing else."""
    moves = {(one, other) for one, following in PLAN.items() for other in following}
    assert moves == {
        ("draft", "active"),
        ("active", "on_hold"),
        ("on_hold", "active"),
        ("active", "completed"),
        ("active", "revoked"),
        *((state, "entered_in_error") for state in PLAN if state != "entered_in_error"),
    }


@pytest.mark.parametrize(
    ("machine", "states"),
    [
        (GOAL, get_args(codes.Lifecycle)),
        (PLAN, get_args(codes.PlanStatus)),
        (STEP, get_args(codes.StepStatus)),
        (SIGNATURE, ("unsigned", "signed", "refused")),
        (REVIEW, ("open", "signed")),
        (CONSENT, ("asked", "granted", "refused", "ended")),
    ],
)
def test_a_machine_knows_each_state_and_no_other(machine: dict[str, frozenset[str]], states: tuple[str, ...]) -> None:
    """A machine has a row for each code of its list, and leads to none outside."""
    assert set(machine) == set(states)
    assert set().union(*machine.values()) <= set(states)


def test_entered_in_error_is_final_everywhere() -> None:
    """Nothing comes back from having been entered in error (invariant 17)."""
    assert GOAL["entered_in_error"] == PLAN["entered_in_error"] == STEP["entered_in_error"] == frozenset()


def test_a_done_step_is_taken_up_again_only() -> None:
    """What was done is repeated or was an error; it is not skipped afterwards."""
    assert STEP["done"] == {"in_progress", "entered_in_error"}


def test_completed_never_follows_accepted_at_once() -> None:
    """Accepted is not active: what was never worked on is not completed."""
    assert not may_follow(GOAL, "accepted", "completed")
    assert may_follow(GOAL, "accepted", "accepted")


def test_a_state_that_is_not_known_may_be_mended() -> None:
    """A word of an EHR leads to any known state, and nothing leads to a word that is not known."""
    assert may_follow(GOAL, Foreign(foreign='"odd"'), "completed")
    assert may_follow(GOAL, None, "draft")
    assert not may_follow(GOAL, "active", Foreign(foreign='"odd"'))
    assert not may_follow(GOAL, "active", "odd")


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ("completed", "active", True),
        ("cancelled", "active", True),
        ("declined", "proposed", True),
        ("active", "on_hold", True),
        ("proposed", "declined", True),
        ("active", "cancelled", True),
        ("planned", "entered_in_error", True),
        ("planned", "active", False),
        ("on_hold", "active", False),
        ("draft", "proposed", False),
        ("active", "completed", False),
    ],
)
def test_reasons_are_asked_for_where_the_reference_asks(before: str, after: str, wanted: bool) -> None:
    """Reopening, pausing, cancelling, declining and voiding need words."""
    assert needs_reason(before, after) is wanted


COMPLETING = ("achieved", "partially_met", "not_met", "discharged", "dropped_out", "transferred")


def test_each_closure_reason_completes_or_cancels() -> None:
    """Each reason of the list says whether it completes or cancels, with an achievement that fits its default."""
    assert set(CLOSURES) == set(get_args(codes.ClosureReason))
    for reason, closure in CLOSURES.items():
        assert closure.lifecycle == ("completed" if reason in COMPLETING else "cancelled")
        assert closure.default in closure.achievements
    assert CLOSURES["achieved"].achievements == ("achieved", "sustaining")


CONFLICTS = [
    ("completed", "achieved", "achieved", None),
    ("completed", "sustaining", "achieved", None),
    ("completed", "not_achieved", "achieved", "achievement"),
    ("completed", None, "achieved", "achievement"),
    ("completed", "no_progress", "discharged", None),
    ("completed", "achieved", "not_met", "achievement"),
    ("completed", None, "dropped_out", "achievement"),
    ("completed", "in_progress", None, None),
    ("completed", "improving", None, "achievement"),
    ("completed", "achieved", "client_request", "closure_reason"),
    ("cancelled", "achieved", None, "achievement"),
    ("cancelled", "sustaining", "client_request", "achievement"),
    ("cancelled", "not_attainable", "replaced", None),
    ("cancelled", None, "discharged", "closure_reason"),
    ("declined", "in_progress", None, "achievement"),
    ("declined", None, "client_request", None),
    ("active", "sustaining", None, None),
    ("active", "worsening", None, None),
    ("on_hold", "no_change", None, None),
    ("planned", "no_change", None, "achievement"),
    ("proposed", "improving", None, "achievement"),
    ("active", "in_progress", "achieved", "closure_reason"),
    ("active", "in_progress", "transferred", None),
    ("on_hold", "in_progress", "client_request", None),
    ("entered_in_error", "improving", "achieved", None),
    (None, "improving", "achieved", None),
    ("completed", Foreign(foreign='"odd"'), "achieved", None),
    ("completed", "achieved", Foreign(foreign='"odd"'), None),
    ("completed", "improving", Foreign(foreign='"odd"'), "achievement"),
]


@pytest.mark.parametrize(("lifecycle", "achievement", "closure_reason", "field"), CONFLICTS)
def test_a_status_pair_that_can_not_be_true_is_found(
    lifecycle: codes.Lifecycle | None,
    achievement: codes.Achievement | Foreign | None,
    closure_reason: codes.ClosureReason | Foreign | None,
    field: str | None,
) -> None:
    """Lifecycle, achievement and closure reason are judged together; words not known here are not judged."""
    goal = Goal(id="g", lifecycle=lifecycle, achievement=achievement, closure_reason=closure_reason)
    assert [each for each, _ in status_conflicts(goal)] == ([field] if field else [])


def test_a_conflict_is_flagged_with_its_code() -> None:
    """The finding says where, under one code (domain reference 4)."""
    plan = with_goal(small(), "g-short", achievement="achieved", lifecycle="cancelled", closure_reason="client_request")
    assert [each.path for each in check(plan) if each.code == "status_conflict"] == ["goals[1].achievement"]


def test_no_example_has_a_conflict() -> None:
    """The rules hold for every goal of the five examples."""
    assert [goal.id for path in EXAMPLES for goal in example(path).goals for _ in status_conflicts(goal)] == []


def test_a_signature_is_unsigned_signed_or_refused() -> None:
    """No line, an empty line, a day, a refusal."""
    lines = (None, Signature(by="p"), Signature(by="p", date=AS_OF), Signature(by="p", refused=True, reason="x"))
    assert [signature_state(line) for line in lines] == ["unsigned", "unsigned", "signed", "refused"]
    review = Review(id="r", date=AS_OF, kind="scheduled", outcome="continue", signatures=(lines[1], lines[3]))  # type: ignore[arg-type]
    assert review_state(review) == "open"
    assert review_state(replace(review, signatures=(lines[2],))) == "signed"


def test_a_consent_ends_on_its_first_day_without() -> None:
    """`expires` is the first day without the consent."""
    consent = Consent(id="c", endpoint="ehr", granted=date(2026, 1, 1), expires=date(2026, 2, 1))
    assert consent_state(consent, date(2026, 1, 31)) == "granted"
    assert consent_state(consent, date(2026, 2, 1)) == "ended"
    assert consent_state(replace(consent, expires=None), date(2036, 1, 1)) == "granted"
    assert consent_state(replace(consent, granted=None, refused=AS_OF), AS_OF) == "refused"
    assert consent_state(Consent(id="c", endpoint="ehr"), AS_OF) == "asked"


def test_a_state_is_told_in_words() -> None:
    """Underscores are ours; a word of an EHR is not repeated."""
    assert in_words("entered_in_error") == "entered in error"
    assert in_words("active") == "active"
    assert "odd" not in in_words(Foreign(foreign='"odd"'))
