"""Whatever anyone asks in whatever order: the plan stays sound, and its revisions replay to it exactly."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec
from hypothesis import given

from fhirgoals.domain.changes import changes
from fhirgoals.domain.commands import Accepted, Actor, AnyCommand, Refusal, decide_command
from fhirgoals.domain.invariants import check, check_change, errors
from fhirgoals.domain.put_diff import put_diff
from fhirgoals.domain.records import Plan, Revision
from fhirgoals.domain.replay import replay
from tests.domain.acting import ACTS, CONNECTIONS, TODAY, base

Acts = list[tuple[AnyCommand, str]]
_encoder = msgspec.json.Encoder(decimal_format="number")
_revisions = msgspec.json.Decoder(list[Revision], float_hook=Decimal)

SHOWN = re.compile(r"Secret|\b(g|st|p|pr|rv|c|m|staff|client|related|plan)-\w|\w_\w")
"""What no sentence holds: words, names and ids of the plan, and codes with their underscores."""
FOLLOWERS = {
    "draft": {"proposed", "planned", "entered_in_error"},
    "proposed": {"accepted", "planned", "active", "declined", "cancelled", "entered_in_error"},
    "accepted": {"planned", "active", "cancelled", "entered_in_error"},
    "planned": {"active", "on_hold", "cancelled", "entered_in_error"},
    "active": {"on_hold", "completed", "cancelled", "entered_in_error"},
    "on_hold": {"active", "completed", "cancelled", "entered_in_error"},
    "completed": {"active", "entered_in_error"},
    "cancelled": {"active", "entered_in_error"},
    "declined": {"proposed", "entered_in_error"},
    "entered_in_error": set(),
}
"""Written out once more, so that a slip in the table is a failure here."""


def acted(acts: Acts) -> tuple[Plan, list[Accepted], list[Refusal], list[tuple[AnyCommand, str, Plan, Accepted]]]:
    plan, accepted, refused, told = base(), [], [], []
    for command, by in acts:
        answer = decide_command(plan, command, Actor(by), TODAY, rev=len(accepted), connections=CONNECTIONS)
        if isinstance(answer, Accepted):
            told.append((command, by, plan, answer))
            accepted.append(answer)
            plan = answer.plan
        else:
            refused.append(answer)
    return plan, accepted, refused, told


def exact(plan: Plan) -> bytes:
    """The plan's text, digits of decimals included."""
    return _encoder.encode(plan)


@given(ACTS)
def test_no_sequence_of_commands_breaks_an_error_invariant(acts: Acts) -> None:
    """Whatever is asked by whom, no accepted command leads to a plan with an error, or undoes what is final."""
    for _, _, before, answer in acted(acts)[3]:
        assert errors(check(answer.plan, CONNECTIONS)) == ()
        assert check_change(before, answer.plan) == ()


@given(ACTS)
def test_each_accepted_command_is_one_revision_and_replaying_gives_the_plan(acts: Acts) -> None:
    """Revisions count up by one, none is empty, and the first plan becomes the last by them, also from their JSON."""
    plan, accepted, _, _ = acted(acts)
    log = [answer.revision for answer in accepted]
    assert [revision.rev for revision in log] == list(range(1, len(log) + 1))
    assert all(revision.changes for revision in log)
    assert exact(replay(base(), log)) == exact(plan)
    kept = _revisions.decode(_encoder.encode(log))
    assert exact(replay(base(), kept)) == exact(plan)
    assert exact(
        replay(base(), [Revision(rev=1, date=TODAY, by="x", reason="review", changes=changes(base(), plan))])
    ) == exact(plan)


@given(ACTS)
def test_goals_move_only_as_the_state_machine_says(acts: Acts) -> None:
    """No command moves a goal past its machine, and a new goal begins at a beginning."""
    for _, _, before, answer in acted(acts)[3]:
        old = {goal.id: goal.lifecycle for goal in before.goals}
        for goal in answer.plan.goals:
            if goal.id not in old:
                assert goal.lifecycle in {"draft", "proposed", "accepted", "planned", "active"}
            elif old[goal.id] != goal.lifecycle:
                assert goal.lifecycle in FOLLOWERS[str(old[goal.id])]


@given(ACTS)
def test_a_refusal_says_where_and_shows_nothing(acts: Acts) -> None:
    """A refusal has a code and a sentence; no id, name or text of the plan or of the command is in the sentence."""
    for refusal in acted(acts)[2]:
        assert refusal.code
        assert refusal.sentence.endswith(".")
        assert not SHOWN.search(refusal.sentence), refusal.sentence
        assert "Secret" not in refusal.path + refusal.at


@given(ACTS)
def test_what_a_therapist_may_command_a_therapist_may_put(acts: Acts) -> None:
    """A plan file edited to what a therapist's command would make of it is accepted with the same difference."""
    for _, by, before, answer in acted(acts)[3]:
        if by == "staff-1":
            put = put_diff(before, answer.plan, Actor(by), TODAY, answer.reason, connections=CONNECTIONS)
            assert isinstance(put, Accepted), put
            assert put.revision.changes == answer.revision.changes
            assert put.touched == answer.touched
