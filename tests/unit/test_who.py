"""Who may do what: the table of the domain reference, and what makes someone what they are in a plan."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pytest

from fhirgoals.domain.records import Participant, Period
from fhirgoals.domain.who import TABLE, Action, Actor, Role, may, part_of
from tests.plans import AS_OF, EXAMPLES, example, replace, small

COLUMNS: tuple[Role, ...] = ("client", "legal_representative", "therapist", "supervisor", "ehr_user", "import")
ROWS: dict[Action, tuple[str, ...]] = {
    "propose_goal": ("yes", "yes", "yes", "yes", "taken", "as_stated"),
    "answer_goal": ("own", "own", "own", "no", "queue", "as_stated"),
    "change_status": ("no", "no", "yes", "yes", "queue", "as_stated"),
    "change_substance": ("request", "request", "yes", "yes", "queue", "as_stated"),
    "change_wording": ("request", "no", "yes", "yes", "taken", "as_stated"),
    "add_note": ("own", "own", "yes", "yes", "taken", "as_stated"),
    "arrange": ("no", "no", "yes", "yes", "ignored", "no"),
    "mark_step": ("own", "own", "yes", "yes", "queue", "as_stated"),
    "add_victory": ("yes", "no", "yes", "yes", "queue", "as_stated"),
    "settle": ("no", "no", "yes", "yes", "no", "no"),
    "rate": ("own", "own", "yes", "no", "taken", "as_stated"),
    "consent": ("yes", "yes", "yes", "no", "no", "no"),
    "private_text": ("no", "no", "own", "own", "no", "as_stated"),
}
"""The rows of the reference, section 4, by its columns."""


@pytest.mark.parametrize("action", ROWS)
def test_the_table_is_that_of_the_reference(action: Action) -> None:
    """Each row of the reference stands in the table."""
    assert tuple(TABLE[action].get(role, "no") for role in COLUMNS) == ROWS[action]


def test_each_action_has_a_row() -> None:
    """No action is without an answer, and no row is about something else."""
    assert set(TABLE) == set(get_args(Action))
    assert {role for row in TABLE.values() for role in row} <= set(get_args(Role))


@pytest.mark.parametrize(
    ("by", "role"),
    [
        ("p-client", "client"),
        ("client-101", "client"),
        ("p-ther", "therapist"),
        ("staff-7", "therapist"),
        ("staff-2", "supervisor"),
        ("p-partner", "support_person"),
        ("staff-99", None),
        ("", None),
    ],
)
def test_a_person_is_known_by_part_or_id(by: str, role: str | None) -> None:
    """Both the id of the part in the plan and that of the person name them; anyone else has no part."""
    part = part_of(example(EXAMPLES[0]), Actor(by), AS_OF)
    assert (part and part.role) == role


def test_a_former_therapist_has_no_part() -> None:
    """Who handed a plan over may do nothing in it any more."""
    plan = example(EXAMPLES[2])
    assert part_of(plan, Actor("staff-12"), AS_OF) is None
    assert part_of(plan, Actor("staff-19"), AS_OF) is not None


def test_a_part_ends_with_its_period() -> None:
    """The last day of a part counts; the day after does not."""
    therapist = Participant(id="p-ther", role="primary_therapist", ref="s", period=Period(end=date(2026, 3, 9)))
    plan = small(participants=(therapist,))
    assert part_of(plan, Actor("s"), date(2026, 3, 9)) is not None
    assert part_of(plan, Actor("s"), date(2026, 3, 10)) is None


def test_the_part_with_most_rights_counts() -> None:
    """Someone with two parts acts as the one that may do more."""
    parts = (
        Participant(id="p-sup", role="clinical_supervisor", ref="staff-1"),
        Participant(id="p-ther", role="primary_therapist", ref="staff-1"),
    )
    part = part_of(small(participants=parts), Actor("staff-1"), AS_OF)
    assert part is not None
    assert (part.role, part.id) == ("therapist", "p-ther")


def test_a_representative_of_a_minor_who_consented_alone_has_no_part() -> None:
    """The plan is hidden from proxies, so they can do nothing in it (open clinical question 10)."""
    plan = example(EXAMPLES[4])
    assert part_of(plan, Actor("p-mother"), AS_OF) is None
    told = replace(plan, client=replace(plan.client, minor_self_consented=False))
    part = part_of(told, Actor("p-mother"), AS_OF)
    assert part is not None
    assert part.role == "legal_representative"


def test_an_ehr_and_an_import_act_by_kind() -> None:
    """An EHR's user and an import are no participants."""
    part = part_of(small(), Actor("ehr-main", "ehr_user"), AS_OF)
    assert part is not None
    assert (part.role, part.id) == ("ehr_user", None)


def test_a_supervisor_answers_in_a_development_plan() -> None:
    """There the supervisor's own agreement counts; in a treatment plan there is no such line."""
    development, treatment = example(EXAMPLES[3]), example(EXAMPLES[0])
    for plan, answer in ((development, "own"), (treatment, "no")):
        part = part_of(plan, Actor("staff-2"), AS_OF)
        assert part is not None
        assert may(plan, part, "answer_goal") == answer


def test_a_therapist_has_the_say_in_their_own_development_plan() -> None:
    """The subject of a development plan does in it what a therapist does."""
    plan = example(EXAMPLES[3])
    part = part_of(plan, Actor("staff-11"), AS_OF)
    assert part is not None
    assert may(plan, part, "change_status") == "yes"
