"""What each command makes of a plan, and why it is refused: one rule a test, on the examples."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from fhirgoals.domain import commands as c
from fhirgoals.domain.commands.records import Command
from fhirgoals.domain.records import (
    Acceptance,
    Change,
    Consent,
    Discharge,
    Foreign,
    Goal,
    Participant,
    Period,
    Plan,
    ProgressEntry,
    Review,
    Revision,
    Signature,
    Step,
    Withheld,
)
from fhirgoals.domain.replay import replay
from fhirgoals.domain.units import Unit
from fhirgoals.domain.who import TABLE
from tests.plans import AS_OF, EXAMPLES, example, replace, with_goal
from tests.unit.written import is_written

DEP, OCD, IPR, DEV, ADO = (example(path) for path in EXAMPLES)
THERAPIST, CLIENT, SUPERVISOR, PARTNER = "staff-7", "client-101", "staff-2", "related-31"
AGREED = (
    Acceptance(by="p-client", status="agree", date=AS_OF, method="verbal"),
    Acceptance(by="p-ther", status="agree", date=AS_OF, method="signature"),
)


def answer(command: c.AnyCommand, by: str = THERAPIST, plan: Plan = DEP, **how: Any) -> c.Accepted | c.Refusal:
    return c.decide_command(plan, command, c.Actor(by), AS_OF, **how)


def done(command: c.AnyCommand, by: str = THERAPIST, plan: Plan = DEP, **how: Any) -> Plan:
    """The plan after a command that is accepted; its one revision leads there."""
    accepted = answer(command, by, plan, **how)
    assert isinstance(accepted, c.Accepted), accepted
    assert replay(plan, [accepted.revision]) == accepted.plan
    return accepted.plan


def refused(command: c.AnyCommand, by: str = THERAPIST, plan: Plan = DEP, **how: Any) -> tuple[str, str, str]:
    refusal = answer(command, by, plan, **how)
    assert isinstance(refusal, c.Refusal), refusal
    is_written("refusals.csv", (refusal.code, refusal.path, refusal.at, refusal.sentence))
    return refusal.code, refusal.path, refusal.at


def short(goal_id: str = "g-new", **given: Any) -> Goal:
    base: dict[str, Any] = {
        "horizon": "short_term",
        "nature": "actionable",
        "parent": "g-mood",
        "text": "x",
        "addresses": ("pr-1",),
    }
    return Goal(id=goal_id, **(base | given))


# -- what every command has --------------------------------------------------------------------------------------------


def test_each_command_has_a_rule() -> None:
    """Every command record is decided, and none is decided that is not in the union."""
    every = set(Command.__subclasses__())
    assert every == set(c.AnyCommand.__args__)
    assert set(c.RULES) | {c.Edit} == every
    assert set(c.REASONS) <= every


def test_a_command_is_one_revision_with_who_when_why_and_what() -> None:
    """The revision counts on from the store's and holds the fields that changed; the merge units are told."""
    command = c.MarkStep(step="st-so-3", status="done", because="progress", requested_by="p-client", summary="x")
    accepted = answer(command, CLIENT, rev=17)
    assert isinstance(accepted, c.Accepted)
    place = "goals[g-social].steps[st-so-3]"
    assert accepted.revision == Revision(
        rev=18,
        date=AS_OF,
        by="p-client",
        requested_by="p-client",
        reason="progress",
        summary="x",
        changes=(
            Change(field=f"{place}.status", from_="in_progress", to="done"),
            Change(field=f"{place}.done_on", to="2026-11-06"),
        ),
    )
    assert (accepted.by, accepted.reason) == ("p-client", "progress")
    assert accepted.touched == {
        Unit("plan-dep-01", "step:st-so-3.status"): (
            {"status": "in_progress"},
            {"status": "done", "done_on": "2026-11-06"},
        )
    }


def test_a_reason_that_is_not_given_follows_from_the_command() -> None:
    """A measure's value is a change for the measure's sake; most others are progress."""
    reading = answer(c.RecordReading(measure="m-phq9", value=Decimal(5), rater="client"))
    step = answer(c.MarkStep(step="st-so-3", status="done"))
    assert isinstance(reading, c.Accepted)
    assert isinstance(step, c.Accepted)
    assert (reading.reason, step.reason) == ("measure", "progress")


@pytest.mark.parametrize("by", ["staff-99", "staff-12"])
def test_who_has_no_part_may_do_nothing(by: str) -> None:
    """Neither a stranger nor a former therapist acts in a plan."""
    assert refused(c.MarkStep(step="st-pr-1", status="planned"), by, IPR)[0] == "no_part_in_plan"


def test_what_changes_nothing_is_refused() -> None:
    """No empty revision is made."""
    nothing = c.ConfirmAchievement(goal="g-mood", achievement="improving")
    assert refused(nothing) == ("nothing_changes", "", "plan-dep-01")


def test_the_one_who_asked_must_be_known() -> None:
    """`requested_by` names someone of the plan."""
    assert refused(c.Activate(goal="g-create", requested_by="p-nobody"))[0] == "person_unknown"


def test_a_plan_entered_in_error_is_closed_to_all() -> None:
    """Nothing is done with it any more."""
    plan = done(c.Void(target="plan-dep-01", reason="wrong chart"))
    assert plan.status == "entered_in_error"
    assert refused(c.Activate(goal="g-create"), plan=plan)[0] == "plan_entered_in_error"


def test_a_plan_of_unknown_status_is_read_only_until_mended() -> None:
    """A status that an EHR wrote and our list does not know is kept; a therapist may mend it."""
    plan = replace(DEP, status=Foreign(foreign='"unknown"'))
    assert refused(c.Activate(goal="g-create"), plan=plan)[0] == "plan_status_unknown"
    mended = Change(field="status", from_={"foreign": '"unknown"'}, to="active")
    assert done(c.Edit(because="correction", changes=(mended,)), plan=plan).status == "active"


def test_what_was_broken_before_does_not_refuse_a_command() -> None:
    """A plan with a fault that is flagged is still worked on; a command may not add one."""
    plan = with_goal(DEP, "g-ba", acceptance=())
    assert done(c.MarkStep(step="st-so-3", status="done"), plan=plan).goal("g-ba").acceptance == ()


@pytest.mark.parametrize(
    ("kind", "code"), [("ehr_user", "waits_for_therapist"), ("import", "accepted")], ids=["ehr", "import"]
)
def test_an_ehr_s_user_waits_and_an_import_states(kind: Any, code: str) -> None:
    """What an EHR's user asks for is a proposal; what an import says is taken as stated."""
    found = c.decide_command(DEP, c.Activate(goal="g-create"), c.Actor("ehr-main", kind), AS_OF)
    assert code == (found.code if isinstance(found, c.Refusal) else "accepted")
    if isinstance(found, c.Refusal):
        is_written("refusals.csv", (found.code, found.path, found.at, found.sentence))


# -- proposing and agreeing --------------------------------------------------------------------------------------------


def test_a_client_proposes_a_goal() -> None:
    """It is a proposal of the client's own, from today, at the end of the file."""
    goal = done(c.Propose(goal=short()), CLIENT).goals[-1]
    assert (goal.id, goal.lifecycle, goal.expressed_by, goal.start_date) == ("g-new", "proposed", "p-client", AS_OF)


@pytest.mark.parametrize(
    ("given", "by", "code"),
    [
        ({"lifecycle": "active", "acceptance": AGREED}, THERAPIST, "not_a_proposal"),
        ({"lifecycle": "draft"}, CLIENT, "not_a_proposal"),
        ({"expressed_by": "p-ther"}, CLIENT, "not_ones_own"),
        ({"acceptance": AGREED}, CLIENT, "not_ones_own"),
        ({"acceptance": (replace(AGREED[0], method="portal"),)}, THERAPIST, "not_ones_own"),
        ({"achievement": "improving"}, THERAPIST, "begins_without_history"),
        ({"progress": (ProgressEntry(visibility="shared", text="x"),)}, THERAPIST, "begins_without_history"),
        ({"steps": (Step(id="st-x", n=1, status="done", done_on=AS_OF),)}, THERAPIST, "begins_without_history"),
        ({"parent": None}, THERAPIST, "short_term_without_parent"),
        ({"parent": "g-nowhere"}, THERAPIST, "parent_not_in_plan"),
        ({"id": "g-ba"}, THERAPIST, "id_twice"),
        ({"nature": "exploratory"}, THERAPIST, "exploratory_without_completion_criterion"),
    ],
)
def test_a_goal_that_is_no_proposal_is_refused(given: dict[str, Any], by: str, code: str) -> None:
    """A new goal begins at the beginning, speaks for nobody else, and fits the plan."""
    parts = {"id": "g-new", **given}
    assert refused(c.Propose(goal=short(parts.pop("id"), **parts)), by)[0] == code


def test_nothing_new_begins_in_a_plan_that_is_over() -> None:
    """A plan that was completed or revoked takes no goal."""
    goal = short(parent="g-ease")
    assert refused(c.Propose(goal=goal), "staff-19", IPR)[0] == "plan_is_over"
    assert refused(c.Propose(goal=goal), "staff-19", replace(IPR, status="revoked"))[0] == "plan_is_over"


def test_a_proposal_may_come_with_steps_that_are_still_to_come() -> None:
    """Planned or with a day; one whose status is left out is planned."""
    steps = tuple(
        Step(id=f"st-{n}", n=n, status=status) for n, status in enumerate(("planned", "scheduled", None), start=1)
    )
    goal = done(c.Propose(goal=short(steps=steps)), CLIENT).goal("g-new")
    assert [step.status for step in goal.steps] == ["planned", "scheduled", "planned"]


def test_a_goal_proposed_as_withheld_gets_both_marks() -> None:
    """Invariant 23: the goal's mark and the list say the same."""
    plan = done(c.Propose(goal=short(share="withheld")), CLIENT)
    assert plan.disclosure.withheld == (Withheld(target="g-new"),)


def test_the_second_agreement_accepts_a_proposal_and_does_not_begin_it() -> None:
    """h-band: the client agreed, the therapist's answer is open. Accepted never becomes active by itself."""
    found = answer(c.Accept(goal="h-band", method="signature"), plan=ADO)
    assert isinstance(found, c.Accepted)
    assert found.plan.goal("h-band").lifecycle == "accepted"
    assert found.also == ("Both sides agree now, so the proposal is accepted. Work on it begins when it is activated.",)
    assert done(c.Activate(goal="h-band"), plan=found.plan).goal("h-band").lifecycle == "active"


def test_one_agreement_leaves_a_proposal_a_proposal() -> None:
    """g-stay-well: the therapist agreed; a friend's agreement is not the client's."""
    plan = done(c.Accept(goal="g-stay-well", method="verbal"), "related-58", OCD)
    assert plan.goal("g-stay-well").lifecycle == "proposed"
    assert done(c.Accept(goal="g-stay-well", method="portal"), "client-214", plan).goal("g-stay-well").lifecycle == (
        "accepted"
    )


def test_a_therapist_records_what_a_client_said() -> None:
    """Verbal consent with its day is enough for acceptance; by portal a person answers alone."""
    plan = done(c.Accept(goal="g-stay-well", method="verbal", by="p-client", priority="low"), "staff-11", OCD)
    line = next(each for each in plan.goal("g-stay-well").acceptance if each.by == "p-client")
    assert line == Acceptance(by="p-client", status="agree", date=AS_OF, method="verbal", priority="low")
    by_portal = c.Accept(goal="g-stay-well", method="portal", by="p-client")
    assert refused(by_portal, "staff-11", OCD)[0] == "not_ones_own"


@pytest.mark.parametrize(
    ("by", "line"),
    [(CLIENT, "p-ther"), (PARTNER, "p-client"), (SUPERVISOR, None), (SUPERVISOR, "p-client"), (THERAPIST, "p-sup")],
)
def test_each_person_answers_on_their_own_line(by: str, line: str | None) -> None:
    """Nobody agrees for another, and in a treatment plan a supervisor has no line."""
    code = refused(c.Accept(goal="g-mood", method="verbal", by=line), by)[0]
    assert code in ("not_ones_own", "not_allowed")


def test_a_supervisor_agrees_in_a_development_plan() -> None:
    """There it counts."""
    plan = done(c.Accept(goal="d-hours", method="signature"), SUPERVISOR, DEV)
    assert [line.by for line in plan.goal("d-hours").acceptance] == ["p-self", "p-sup"]


def test_a_client_who_no_longer_agrees_stops_an_active_goal() -> None:
    """No goal runs without the agreement (invariant 9): it waits, with the client's reason, and says so."""
    found = answer(c.Disagree(goal="g-ba", method="portal", reason="too much"), CLIENT)
    assert isinstance(found, c.Accepted)
    goal = found.plan.goal("g-ba")
    assert (goal.lifecycle, goal.status_reason, goal.achievement) == ("on_hold", "too much", "sustaining")
    assert found.also == ("The client no longer agrees, so the goal is on hold until it is settled.",)
    assert refused(c.Activate(goal="g-ba"), plan=found.plan)[0] == "goal_without_agreement"


def test_a_client_who_no_longer_agrees_keeps_an_accepted_goal_from_beginning() -> None:
    """An accepted goal goes back to planned."""
    plan = done(c.Disagree(goal="g-create", method="verbal", reason="later", by="p-client"))
    assert plan.goal("g-create").lifecycle == "planned"


def test_a_therapist_s_disagreement_stops_nothing() -> None:
    """The client's agreement is what a goal runs on."""
    assert done(c.Disagree(goal="g-ba", method="verbal", reason="x")).goal("g-ba").lifecycle == "active"


def test_a_disagreement_needs_a_reason() -> None:
    """Ohio OAC 5122-27-03: mutually agreed, else the reason documented."""
    assert refused(c.Disagree(goal="g-ba", method="verbal", reason=" "), CLIENT)[0] == "reason_needed"


def test_nobody_answers_to_a_closed_goal() -> None:
    """What is closed is reopened first."""
    assert refused(c.Accept(goal="g-move", method="portal"), CLIENT)[0] == "goal_is_closed"


def test_a_client_declines_a_proposal() -> None:
    """It is kept, with the reason, and the client's line says so too."""
    plan = done(c.Decline(goal="h-band", reason="not now", method="portal"), "client-415", ADO)
    goal = plan.goal("h-band")
    assert (goal.lifecycle, goal.status_reason, goal.status_date) == ("declined", "not now", AS_OF)
    assert [line.status for line in goal.acceptance if line.by == "p-client"] == ["disagree"]
    assert refused(c.Decline(goal="h-joy", reason="x"), "client-415", ADO)[0] == "move_not_allowed"
    assert refused(c.Decline(goal="h-band", reason=""), plan=ADO)[0] == "reason_needed"


# -- a goal's way ------------------------------------------------------------------------------------------------------


def test_a_draft_is_submitted_and_scheduled() -> None:
    """draft → proposed → planned, with its new start."""
    plan = done(c.Submit(goal="h-talk"), plan=ADO)
    assert plan.goal("h-talk").lifecycle == "proposed"
    planned = done(c.Schedule(goal="h-talk", start_date=date(2027, 2, 1)), plan=plan).goal("h-talk")
    assert (planned.lifecycle, planned.start_date) == ("planned", date(2027, 2, 1))
    assert refused(c.Submit(goal="h-joy"), plan=ADO)[0] == "move_not_allowed"


@pytest.mark.parametrize(("by", "code"), [(CLIENT, "not_allowed"), (PARTNER, "not_allowed")])
def test_only_therapist_and_supervisor_activate(by: str, code: str) -> None:
    """Activating, closing and reopening are theirs."""
    assert refused(c.Activate(goal="g-create"), by)[0] == code
    assert done(c.Activate(goal="g-create"), SUPERVISOR).goal("g-create").lifecycle == "active"


def test_activating_needs_the_client_s_agreement() -> None:
    """A proposal that only the therapist agreed to does not begin."""
    assert refused(c.Activate(goal="g-stay-well"), "staff-11", OCD) == (
        "goal_without_agreement",
        "goals[2].acceptance",
        "g-stay-well",
    )


def test_an_exploratory_goal_needs_both() -> None:
    """A shared commitment: client and therapist."""
    goal = short(nature="exploratory", completion_criterion="x", target_date=AS_OF, acceptance=AGREED[:1])
    plan = done(c.Propose(goal=goal))
    assert refused(c.Activate(goal="g-new"), plan=plan)[0] == "exploration_needs_both"
    agreed = done(c.Accept(goal="g-new", method="signature"), plan=plan)
    assert done(c.Activate(goal="g-new"), plan=agreed).goal("g-new").lifecycle == "active"


def test_a_goal_is_paused_and_taken_up_again() -> None:
    """A pause has its reason; afterwards the reason is gone, and the achievement stands."""
    plan = done(c.Pause(goal="g-sleep", reason="travel"))
    assert (plan.goal("g-sleep").lifecycle, plan.goal("g-sleep").status_reason) == ("on_hold", "travel")
    again = done(c.Activate(goal="g-sleep"), plan=plan).goal("g-sleep")
    assert (again.lifecycle, again.status_reason, again.achievement) == ("active", None, "improving")
    assert refused(c.Pause(goal="g-sleep", reason=" "))[0] == "reason_needed"
    assert refused(c.Pause(goal="g-gratitude", reason="x"))[0] == "is_so_already"


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (c.Close(goal="g-sleep", closure_reason="achieved"), ("completed", "achieved", "achieved")),
        (
            c.Close(goal="g-sleep", closure_reason="achieved", achievement="sustaining"),
            ("completed", "sustaining", "achieved"),
        ),
        # A person confirmed it before.
        (c.Close(goal="g-ba", closure_reason="achieved"), ("completed", "sustaining", "achieved")),
        (c.Close(goal="g-sleep", closure_reason="not_met"), ("completed", "not_achieved", "not_met")),
        (
            c.Close(goal="g-sleep", closure_reason="partially_met", achievement="no_progress"),
            ("completed", "no_progress", "partially_met"),
        ),
        (c.Close(goal="g-sleep", closure_reason="client_request"), ("cancelled", None, "client_request")),
        (
            c.Close(goal="g-sleep", closure_reason="no_longer_relevant", achievement="not_attainable"),
            ("cancelled", "not_attainable", "no_longer_relevant"),
        ),
    ],
)
def test_the_closure_reason_says_how_a_goal_ends(command: c.Close, wanted: tuple[str, str | None, str]) -> None:
    """Completed or cancelled, with an achievement that fits; improving ends with the goal."""
    goal = done(command).goal(command.goal)
    assert (goal.lifecycle, goal.achievement, goal.closure_reason) == wanted
    assert goal.status_date == AS_OF


def test_a_goal_is_closed_with_its_reason_in_words() -> None:
    """On the day that is said."""
    command = c.Close(goal="g-sleep", closure_reason="client_request", reason="Moves away", on=date(2026, 11, 3))
    goal = done(command).goal("g-sleep")
    assert (goal.status_reason, goal.status_date) == ("Moves away", date(2026, 11, 3))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (c.Close(goal="g-sleep", closure_reason="achieved", achievement="no_progress"), "status_conflict"),
        (c.Close(goal="g-sleep", closure_reason="not_met", achievement="achieved"), "status_conflict"),
        (c.Close(goal="g-sleep", closure_reason="client_request", achievement="achieved"), "status_conflict"),
        (c.Close(goal="g-sleep", closure_reason="replaced"), "replace_instead"),
        (c.Close(goal="g-create", closure_reason="achieved"), "move_not_allowed"),
        (c.Close(goal="g-move", closure_reason="achieved"), "is_so_already"),
        (c.Close(goal="g-sleep", closure_reason="achieved", on=date(2026, 11, 7)), "day_to_come"),
        (c.Close(goal="g-nowhere", closure_reason="achieved"), "goal_unknown"),
        (c.Close(goal="g-nowhere", closure_reason="replaced"), "goal_unknown"),
    ],
)
def test_a_closing_that_can_not_be_is_refused(command: c.Close, code: str) -> None:
    """Reason and achievement fit, the move is one, and the day has come."""
    assert refused(command)[0] == code


def test_closing_a_long_term_goal_tells_of_open_ones_under_it() -> None:
    """It only tells: the therapist decides."""
    found = answer(c.Close(goal="g-mood", closure_reason="achieved"))
    assert isinstance(found, c.Accepted)
    assert found.also == ("Short-term goals under this one are still open.",)


def test_a_goal_is_reopened_with_a_reason() -> None:
    """An achieved goal that gets worse is the same goal, in progress (open clinical question 15)."""
    goal = done(c.Reopen(goal="g-move", reason="injury")).goal("g-move")
    assert (goal.lifecycle, goal.achievement, goal.closure_reason, goal.status_reason) == (
        "active",
        "in_progress",
        None,
        "injury",
    )
    assert refused(c.Reopen(goal="g-move", reason=""))[0] == "reason_needed"
    assert refused(c.Activate(goal="g-move"))[0] == "reopen_instead"
    assert refused(c.Reopen(goal="g-ba", reason="x"))[0] == "move_not_allowed"
    assert refused(c.Reopen(goal="g-work-big", reason="x")) == ("was_replaced", "goals[12].replaced_by", "g-work-big")


def test_a_declined_goal_is_proposed_again() -> None:
    """New evidence brings a declined goal back as a proposal."""
    declined = with_goal(DEP, "g-med-review", closure_reason="client_request")
    for plan in (DEP, declined):
        goal = done(c.Reopen(goal="g-med-review", reason="PHQ-9 above 19"), plan=plan).goal("g-med-review")
        assert (goal.lifecycle, goal.status_reason, goal.status_date) == ("proposed", "PHQ-9 above 19", AS_OF)
        assert (goal.achievement, goal.closure_reason) == (None, None)


def test_a_person_confirms_an_achievement_that_fits() -> None:
    """Numbers only propose it; what the status does not allow is refused."""
    goal = done(c.ConfirmAchievement(goal="g-thought", achievement="improving")).goal("g-thought")
    assert goal.achievement == "improving"
    assert refused(c.ConfirmAchievement(goal="g-move", achievement="improving"))[0] == "status_conflict"
    assert refused(c.ConfirmAchievement(goal="g-create", achievement="in_progress"))[0] == "nothing_to_confirm"
    assert refused(c.ConfirmAchievement(goal="g-thought", achievement="improving"), CLIENT)[0] == "not_allowed"


def test_a_goal_born_at_an_ehr_is_marked_as_seen() -> None:
    """Only what waits for a therapist is marked."""
    plan = with_goal(DEP, "g-ba", review="unreviewed")
    assert done(c.MarkReviewed(goal="g-ba"), plan=plan).goal("g-ba").review == "reviewed"
    assert refused(c.MarkReviewed(goal="g-ba"))[0] == "nothing_to_review"


# -- goals from goals --------------------------------------------------------------------------------------------------


def test_a_goal_is_made_smaller() -> None:
    """The large one is cancelled as replaced, the small one takes its place and what it does not say."""
    smaller = Goal(id="g-less", text="x", lifecycle="active", acceptance=AGREED, completion_criterion="y")
    plan = done(c.MakeSmaller(goal="g-thought", smaller=smaller, reason="too large", achievement="not_attainable"))
    old, new = plan.goal("g-thought"), plan.goal("g-less")
    assert (old.lifecycle, old.closure_reason, old.replaced_by, old.achievement, old.status_reason) == (
        "cancelled",
        "replaced",
        "g-less",
        "not_attainable",
        "too large",
    )
    assert (new.parent, new.horizon, new.nature, new.addresses, new.lifecycle) == (
        "g-mood",
        "short_term",
        "actionable",
        ("pr-1",),
        "active",
    )
    assert (new.domain, new.priority) == ("emotional-and-mental-health", "medium")
    said = Goal(id="g-less", text="x", domain="social-functioning", priority="low", nature="exploratory",
                completion_criterion="y", target_date=date(2026, 12, 1), addresses=("pr-2",))  # fmt: skip
    kept = done(c.MakeSmaller(goal="g-thought", smaller=said, reason="x")).goal("g-less")
    assert (kept.domain, kept.priority, kept.nature, kept.addresses) == (
        "social-functioning",
        "low",
        "exploratory",
        ("pr-2",),
    )


def test_what_is_under_a_goal_goes_with_the_smaller_one() -> None:
    """Open short-term goals are under the smaller goal; closed ones stay where they were."""
    smaller = Goal(id="g-less", text="x", lifecycle="active", acceptance=AGREED)
    command = c.MakeSmaller(goal="g-selfcare", smaller=smaller, reason="too large")
    plan = done(command)
    assert (plan.goal("g-sleep").parent, plan.goal("g-move").parent) == ("g-less", "g-selfcare")
    found = answer(command)
    assert isinstance(found, c.Accepted)
    assert found.also == ("The open short-term goals are now under the smaller goal.",)
    alone = answer(c.MakeSmaller(goal="g-thought", smaller=replace(smaller, completion_criterion="y"), reason="x"))
    assert isinstance(alone, c.Accepted)
    assert alone.also == ()


@pytest.mark.parametrize(
    ("given", "reason", "code"),
    [
        ({"lifecycle": "active"}, "x", "goal_without_agreement"),
        ({"lifecycle": "completed"}, "x", "move_not_allowed"),
        ({"horizon": "long_term"}, "x", "horizon_differs"),
        ({}, " ", "reason_needed"),
    ],
)
def test_a_smaller_goal_has_to_fit(given: dict[str, Any], reason: str, code: str) -> None:
    """It has the horizon of the old one, begins at a beginning, and needs agreement to be active."""
    command = c.MakeSmaller(goal="g-thought", smaller=Goal(id="g-less", text="x", **given), reason=reason)
    assert refused(command)[0] == code


def test_a_goal_is_not_replaced_as_achieved() -> None:
    """What was achieved is not too large."""
    command = c.MakeSmaller(goal="g-thought", smaller=Goal(id="g-less"), reason="x", achievement="achieved")
    assert refused(command)[0] == "status_conflict"


def test_an_achieved_goal_leads_to_a_next_one() -> None:
    """A stepping stone: the next goal comes after the reached one."""
    goal = done(c.BuildOn(goal="g-move", following=short(parent="g-selfcare"))).goal("g-new")
    assert (goal.lifecycle, goal.predecessors) == ("proposed", ("g-move",))
    assert refused(c.BuildOn(goal="g-sleep", following=short()))[0] == "not_reached"
    assert refused(c.BuildOn(goal="g-move", following=short(lifecycle="planned")))[0] == "not_a_proposal"


def test_what_was_reached_is_kept_up() -> None:
    """Active while support is needed, else completed (open clinical question 7)."""
    supported = done(c.KeepUp(goal="g-move", supported=True, reason="winter")).goal("g-move")
    assert (supported.lifecycle, supported.achievement, supported.closure_reason) == ("active", "sustaining", None)
    alone = done(c.KeepUp(goal="g-ba", supported=False)).goal("g-ba")
    assert (alone.lifecycle, alone.achievement, alone.closure_reason) == ("completed", "sustaining", "achieved")
    kept = done(c.KeepUp(goal="g-move", supported=False)).goal("g-move")
    assert (kept.lifecycle, kept.achievement) == ("completed", "sustaining")
    assert refused(c.KeepUp(goal="g-move", supported=True))[0] == "reason_needed"
    assert refused(c.KeepUp(goal="g-work-big", supported=False))[0] == "not_reached"


def test_entered_in_error_is_the_only_delete() -> None:
    """The goal or step stays as a tombstone, and nothing is done with it any more."""
    plan = done(c.Void(target="g-gratitude", reason="wrong chart"))
    assert plan.goal("g-gratitude").lifecycle == "entered_in_error"
    assert refused(c.Activate(goal="g-gratitude"), plan=plan)[0] == "goal_entered_in_error"
    assert refused(c.MarkStep(step="st-gr-1", status="done"), plan=plan)[0] == "step_entered_in_error"
    step = done(c.Void(target="st-ba-4", reason="typed twice")).goal("g-ba").steps[3]
    assert step.status == "entered_in_error"
    assert refused(c.Void(target="g-gratitude", reason=" "))[0] == "reason_needed"
    assert refused(c.Void(target="g-mood", reason="x"))[0] == "has_goals_under_it"
    assert refused(c.Void(target="g-gratitude", reason="x"), CLIENT)[0] == "not_allowed"
    assert refused(c.Void(target="st-ba-4", reason="x"), CLIENT)[0] == "may_ask_only"


# -- steps, notes, numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "step", "code"),
    [
        (CLIENT, "st-res-3", "not_ones_own"),
        (PARTNER, "st-ba-4", "not_ones_own"),
        (THERAPIST, "st-none", "step_unknown"),
    ],
)
def test_each_person_marks_their_own_steps(by: str, step: str, code: str) -> None:
    """The client the client's, a support person the one that names them."""
    assert refused(c.MarkStep(step=step, status="done"), by)[0] == code


def test_a_support_person_marks_the_step_that_names_them() -> None:
    """Dana reads the plan."""
    step = done(c.MarkStep(step="st-res-3", status="in_progress"), PARTNER).goal("g-resilience").steps[2]
    assert step.status == "in_progress"


def test_a_step_that_is_no_longer_done_has_no_day() -> None:
    """Invariant 7, both ways."""
    step = done(c.MarkStep(step="st-ba-1", status="in_progress")).goal("g-ba").steps[0]
    assert (step.status, step.done_on) == ("in_progress", None)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (c.MarkStep(step="st-ba-1", status="skipped"), "move_not_allowed"),
        (c.MarkStep(step="st-ba-1", status="done"), "is_so_already"),
        (c.MarkStep(step="st-ba-4", status="on_hold", done_on=AS_OF), "day_without_done"),
        (c.MarkStep(step="st-ba-4", status="done", done_on=date(2026, 11, 7)), "day_to_come"),
        (c.MarkStep(step="st-ba-4", status="done", done_on=date(2026, 1, 1)), "step_done_before_start"),
        (c.MarkStep(step="st-ba-4", status="entered_in_error"), "void_instead"),
    ],
)
def test_a_step_s_move_that_can_not_be_is_refused(command: c.MarkStep, code: str) -> None:
    """The machine, the day and the goal's start hold."""
    assert refused(command)[0] == code


def test_jumping_a_rung_only_tells() -> None:
    """Therapists do jump: it is no block."""
    found = answer(c.MarkStep(step="ex-10", status="in_progress"), "client-214", OCD)
    assert isinstance(found, c.Accepted)
    assert found.also == ("The exposure step before this one is neither done nor skipped.",)


def test_a_rung_after_one_that_is_done_or_skipped_tells_nothing() -> None:
    """Nor does the lowest, nor one that is not begun."""
    ladder = OCD.goal("g-ladder")
    for below in ("done", "skipped"):
        steps = tuple(
            replace(step, status=below, done_on=AS_OF if below == "done" else None) if step.n == 9 else step
            for step in ladder.steps
        )
        plan = with_goal(OCD, "g-ladder", steps=steps)
        found = answer(c.MarkStep(step="ex-10", status="in_progress"), "client-214", plan)
        assert isinstance(found, c.Accepted)
        assert found.also == ()
    found = answer(c.MarkStep(step="ex-10", status="stopped"), "staff-11", OCD)
    assert isinstance(found, c.Accepted)
    assert found.also == ()


def test_where_a_therapist_marks_only_their_own_steps_the_owner_tells_which() -> None:
    """A practice may give its therapists less; a step of theirs stays theirs."""
    table = {**TABLE, "mark_step": {**TABLE["mark_step"], "therapist": "own"}}
    step = Step(id="st-x", n=5, kind="in_session", owner="therapist", text="x", status="planned")
    plan = with_goal(DEP, "g-ba", steps=(*DEP.goal("g-ba").steps, step))
    assert done(c.MarkStep(step="st-x", status="in_progress"), plan=plan, table=table)
    assert refused(c.MarkStep(step="st-ba-4", status="on_hold"), plan=plan, table=table)[0] == "not_ones_own"


def test_a_step_is_put_in_at_its_number() -> None:
    """The others move up without a gap (invariant 6)."""
    new = Step(id="st-x", n=2, kind="homework", owner="client", text="x")
    steps = done(c.AddStep(goal="g-ba", step=new)).goal("g-ba").steps
    assert [(step.id, step.n) for step in sorted(steps, key=lambda one: one.n)] == [
        ("st-ba-1", 1),
        ("st-x", 2),
        ("st-ba-2", 3),
        ("st-ba-3", 4),
        ("st-ba-4", 5),
    ]
    last = done(c.AddStep(goal="g-ba", step=replace(new, n=99))).goal("g-ba").steps[-1]
    assert (last.n, last.status) == (5, "planned")
    assert refused(c.AddStep(goal="g-ba", step=new), CLIENT)[0] == "may_ask_only"
    assert refused(c.AddStep(goal="g-ba", step=replace(new, status="done")))[0] == "begins_without_history"


def test_an_exposure_is_noted() -> None:
    """By whose step it is; on an exposure step only, on the scale."""
    trial = done(c.RecordTrial(step="ex-09", peak=90, end=40), "client-214", OCD).goal("g-ladder").steps[8].trials[-1]
    assert (trial.date, trial.peak, trial.end) == (AS_OF, 90, 40)
    assert refused(c.RecordTrial(step="st-ba-4", peak=90, end=40))[0] == "no_exposure"
    assert refused(c.RecordTrial(step="ex-09", peak=101, end=40), "staff-11", OCD)[0] == "suds_off_scale"


def test_a_victory_needs_words_and_no_threshold() -> None:
    """The client's own, however small; a relative has to tell the therapist."""
    victory = (
        done(c.AddVictory(goal="g-ba", id="v-1", text="x", target="st-ba-4"), CLIENT).goal("g-ba").achievements[-1]
    )
    assert (victory.noted_by, victory.size, victory.share, victory.date) == ("p-client", "small", False, AS_OF)
    noted = done(c.AddVictory(goal="g-ba", id="v-1", text="x", noted_by="p-client")).goal("g-ba").achievements[-1]
    assert noted.noted_by == "p-client"
    assert refused(c.AddVictory(goal="g-ba", id="v-1", text=" "), CLIENT)[0] == "words_needed"
    assert refused(c.AddVictory(goal="g-ba", id="v-1", text="x"), PARTNER)[0] == "not_allowed"
    assert refused(c.AddVictory(goal="g-ba", id="v-1", text="x", noted_by="p-ther"), CLIENT)[0] == "not_ones_own"
    assert refused(c.AddVictory(goal="g-ba", id="v-1", text="x", target="st-none"), CLIENT)[0] == "target_not_in_plan"


def test_a_note_is_its_author_s() -> None:
    """The client's notes are shared ones; a private note needs someone who may write private text."""
    note = done(c.AddNote(goal="g-ba", id="n-1", text="x", visibility="shared"), CLIENT).goal("g-ba").progress[-1]
    assert (note.author, note.visibility, note.date) == ("p-client", "shared", AS_OF)
    assert done(c.AddNote(goal="g-ba", id="n-1", text="x")).goal("g-ba").progress[-1].visibility == "private"
    assert refused(c.AddNote(goal="g-ba", id="n-1", text="x", visibility="team"), CLIENT)[0] == "not_shared"
    assert refused(c.AddNote(goal="g-ba", id="n-1", text=""))[0] == "words_needed"


def test_a_finding_is_private_and_of_an_exploration() -> None:
    """Content of conversation stays with who heard it."""
    finding = done(c.AddFinding(goal="g-explore-map", text="x", session="s21")).goal("g-explore-map").findings[-1]
    assert (finding.author, finding.visibility, finding.session) == ("p-ther", "private", "s21")
    assert refused(c.AddFinding(goal="g-ba", text="x"))[0] == "finding_outside_exploration"
    assert refused(c.AddFinding(goal="g-explore-map", text="x"), CLIENT)[0] == "not_allowed"


def test_a_barrier_comes_and_goes() -> None:
    """With its resolution."""
    plan = done(c.AddBarrier(goal="g-ba", text="x"))
    barrier = done(c.ResolveBarrier(goal="g-ba", place=1, resolution="y"), plan=plan).goal("g-ba").barriers[0]
    assert (barrier.date, barrier.resolved, barrier.resolution) == (AS_OF, AS_OF, "y")
    earlier = c.ResolveBarrier(goal="g-ba", place=1, resolution="y", on=date(2026, 11, 2))
    assert done(earlier, plan=plan).goal("g-ba").barriers[0].resolved == date(2026, 11, 2)
    assert refused(c.ResolveBarrier(goal="g-ba", place=2, resolution="y"), plan=plan)[0] == "barrier_unknown"
    assert refused(c.AddBarrier(goal="g-ba", text="x"), CLIENT)[0] == "not_ones_own"


def test_a_reading_keeps_its_digits_and_its_mark() -> None:
    """19.0 stays 19.0; item 9 is a mark, never a text."""
    command = c.RecordReading(measure="m-phq9", value=Decimal("19.0"), rater="client", item9_positive=True)
    reading = done(command, CLIENT).measure("m-phq9").readings[-1]
    assert (str(reading.value), reading.flags, reading.rater, reading.date) == (
        "19.0",
        ("item9_positive",),
        "client",
        AS_OF,
    )


@pytest.mark.parametrize(
    ("given", "by", "code"),
    [
        ({"value": Decimal(28)}, CLIENT, "reading_out_of_range"),
        ({"on": date(2026, 5, 1)}, CLIENT, "reading_before_baseline"),
        ({"on": date(2026, 11, 5)}, CLIENT, "reading_twice"),
        ({"on": date(2026, 11, 7)}, CLIENT, "day_to_come"),
        ({"rater": "therapist"}, CLIENT, "not_ones_own"),
        ({"rater": "self"}, THERAPIST, "rater_does_not_fit"),
        ({}, SUPERVISOR, "not_allowed"),
        ({"note": "x"}, CLIENT, "not_allowed"),
        ({"measure": "m-none"}, CLIENT, "measure_unknown"),
    ],
)
def test_a_reading_that_does_not_fit_is_refused(given: dict[str, Any], by: str, code: str) -> None:
    """Range, day and rater (invariant 11, and who may rate)."""
    base = {"measure": "m-phq9", "value": Decimal(5), "rater": "client"}
    assert refused(c.RecordReading(**(base | given)), by)[0] == code


def test_a_relative_rates_as_caregiver() -> None:
    """Ruth counts the questions; in a development plan the therapist rates themselves."""
    command = c.RecordReading(measure="m-reassure", value=Decimal(1), rater="caregiver")
    assert done(command, "related-58", OCD).measure("m-reassure").readings[-1].rater == "caregiver"
    own = c.RecordReading(measure="m-telehealth", value=Decimal(60), rater="self")
    assert done(own, "staff-11", DEV).measure("m-telehealth").readings[-1].rater == "self"


def test_a_goal_is_rated_on_its_scale_once_a_day() -> None:
    """Each rater for themselves, on a goal that has a scale, within its ends."""
    plan = done(c.RateGoal(goal="g-social", level=1, rater="client"), CLIENT)
    assert plan.goal("g-social").gas.ratings[-1].level == 1  # type: ignore[union-attr]
    assert refused(c.RateGoal(goal="g-social", level=0, rater="client"), CLIENT, plan)[0] == "rating_twice"
    assert refused(c.RateGoal(goal="g-social", level=3, rater="client"), CLIENT)[0] == "gas_level_off_scale"
    assert refused(c.RateGoal(goal="g-ba", level=1, rater="client"), CLIENT)[0] == "no_scale"


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_the_plan_as_it_stands_becomes_the_next_agreed_version() -> None:
    """With what changed of each goal since the last one."""
    changed = done(c.Pause(goal="g-sleep", reason="travel"))
    command = c.AgreeVersion(because="review", client_agreed=True, summary="x", requested_by="p-client", since=DEP)
    plan = done(command, plan=changed)
    assert plan.revision == 7
    assert plan.revisions[-1] == Revision(
        rev=7, date=AS_OF, by="p-ther", requested_by="p-client", reason="review", client_agreed=True, summary="x"
    )
    listed = {goal.id: goal.revisions[-1] for goal in plan.goals if goal.revisions != DEP.goal(goal.id).revisions}
    assert set(listed) == {"g-sleep"}
    assert listed["g-sleep"].changes[0] == Change(field="lifecycle", from_="active", to="on_hold")
    assert refused(c.AgreeVersion())[0] == "agreement_not_said"


def test_a_plan_begins_with_an_agreed_first_version() -> None:
    """Invariant 9: without it, or a refusal on record, it does not begin."""
    draft = replace(DEP, status="draft", revisions=(), revision=0)
    assert refused(c.ActivatePlan(), plan=draft) == ("plan_without_first_version", "revisions", "plan-dep-01")
    unsigned = done(c.AgreeVersion(client_agreed=False), plan=draft)
    assert refused(c.ActivatePlan(), plan=unsigned)[0] == "first_version_not_agreed"
    by_supervisor = done(c.AgreeVersion(client_agreed=True), SUPERVISOR, draft)
    assert refused(c.ActivatePlan(), plan=by_supervisor)[0] == "first_version_not_by_therapist"
    agreed = done(c.AgreeVersion(client_agreed=True), plan=draft)
    assert (agreed.revision, agreed.revisions[0].reason) == (1, "initial")
    assert done(c.ActivatePlan(), plan=agreed).status == "active"
    assert refused(c.RecordRefusal(by="p-client", reason="x"), CLIENT, unsigned)[:2] == ("not_allowed", "plan.refusal")
    on_record = done(c.RecordRefusal(by="p-client", reason="x"), plan=unsigned)
    assert done(c.ActivatePlan(), plan=on_record).status == "active"


def test_a_plan_is_paused_and_goes_on() -> None:
    """With a reason; from a pause it does not end at once."""
    plan = done(c.PausePlan(reason="leave"))
    assert plan.status == "on_hold"
    assert done(c.ActivatePlan(), plan=plan).status == "active"
    assert refused(c.PausePlan(reason=""))[0] == "reason_needed"
    assert refused(c.ActivatePlan())[0] == "is_so_already"
    rest = c.Closing(closure_reason="discharged")
    assert refused(c.RevokePlan(reason="x", others=rest), plan=plan)[0] == "move_not_allowed"


DISCHARGE = {"kind": "planned", "outcome": "goals_mostly_met", "words": "x", "client_agreed": True}


def test_a_discharge_closes_every_open_goal() -> None:
    """Invariant 19: each as it is said to end, the others as the rest."""
    assert refused(c.Discharge(**DISCHARGE)) == ("goal_still_open", "goals[0].lifecycle", "g-mood")
    closings = {"g-mood": c.Closing(closure_reason="achieved")}
    review = Review(
        id="rv-3", date=AS_OF, kind="discharge", outcome="discharge", client_participation="active", due=AS_OF
    )
    others = c.Closing(closure_reason="discharged", reason="goes on alone")
    plan = done(c.Discharge(**DISCHARGE, closings=closings, others=others, review=review, follow_up="A call in May"))
    assert (plan.status, plan.end_date, plan.revision) == ("completed", AS_OF, 7)
    assert plan.discharge == Discharge(
        date=AS_OF, kind="planned", outcome="goals_mostly_met", summary="x", follow_up="A call in May"
    )
    ends = {goal.id: (goal.lifecycle, goal.achievement, goal.closure_reason) for goal in plan.goals}
    assert ends["g-mood"] == ("completed", "achieved", "achieved")
    assert ends["g-sleep"] == ("completed", "not_achieved", "discharged")
    # Never begun, so not completed; accepted ones were not open.
    assert ends["g-resilience"] == ("cancelled", None, "no_longer_relevant")
    assert ends["g-create"] == ("accepted", None, None)
    assert [line.by for line in plan.reviews[-1].signatures] == ["p-client", "p-ther"]
    assert plan.revisions[-1].reason == "discharge"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"words": " "}, "words_needed"),
        ({"client_agreed": None}, "agreement_not_said"),
        ({"closings": {"g-none": c.Closing(closure_reason="achieved")}}, "goal_unknown"),
        ({"closings": {"g-mood": c.Closing(closure_reason="replaced")}}, "replace_instead"),
        ({"closings": {"g-move": c.Closing(closure_reason="achieved")}, "others": None}, "goal_still_open"),
    ],
)
def test_a_discharge_that_leaves_something_unsaid_is_refused(given: dict[str, Any], code: str) -> None:
    """Summary, agreement, and how each goal ends."""
    assert refused(c.Discharge(**(DISCHARGE | given)))[0] == code


def test_a_plan_is_revoked_with_its_goals() -> None:
    """Not carried out, with the reason in the history."""
    plan = done(c.RevokePlan(reason="x", others=c.Closing(closure_reason="dropped_out")))
    assert (plan.status, plan.end_date) == ("revoked", AS_OF)


TRANSFER = Review(id="rv-3", date=AS_OF, kind="transfer", outcome="continue", client_participation="active")


def test_a_caseload_is_handed_over() -> None:
    """The new therapist takes over what the old one did; the old one's part has ended."""
    to = Participant(id="p-ther2", role="family", ref="staff-19", display="K. Brandt")
    plan = done(c.TransferCaseload(to=to, review=TRANSFER, client_agreed=True))
    people = {each.id: each for each in plan.participants}
    assert people["p-ther"].role == "former_therapist"
    assert people["p-ther"].period is not None
    assert (people["p-ther"].period.start, people["p-ther"].period.end) == (date(2026, 5, 11), AS_OF)
    later = Period(start=date(2026, 6, 1))
    begun = tuple(replace(each, period=later) if each.id == "p-ther" else each for each in DEP.participants)
    handed = done(c.TransferCaseload(to=to, review=TRANSFER, client_agreed=True), plan=replace(DEP, participants=begun))
    [former] = [each for each in handed.participants if each.id == "p-ther"]
    assert former.period == Period(start=date(2026, 6, 1), end=AS_OF)
    assert people["p-ther2"].role == "primary_therapist"
    assert {each.by for each in plan.interventions} == {"p-ther2"}
    assert (plan.revisions[-1].reason, plan.reviews[-1].kind) == ("transfer", "transfer")
    assert refused(c.Activate(goal="g-create"), THERAPIST, plan)[0] == "no_part_in_plan"
    assert done(c.Activate(goal="g-create"), "staff-19", plan).goal("g-create").lifecycle == "active"


@pytest.mark.parametrize(
    ("to", "given", "code"),
    [
        ("staff-7", {}, "is_so_already"),
        ("staff-19", {"client_agreed": None}, "agreement_not_said"),
        ("staff-19", {"review": replace(TRANSFER, kind="scheduled")}, "review_kind"),
    ],
)
def test_a_transfer_that_is_none_is_refused(to: str, given: dict[str, Any], code: str) -> None:
    """To another therapist, with the client's answer and a transfer review."""
    base: dict[str, Any] = {"review": TRANSFER, "client_agreed": True}
    taken = c.TransferCaseload(to=Participant(id="p-client", role="family", ref="staff-19"), **base)
    assert refused(taken)[0] == "id_twice"
    command = c.TransferCaseload(to=Participant(id="p-x", role="family", ref=to), **(base | given))
    assert refused(command)[0] == code


# -- reviews and sharing -----------------------------------------------------------------------------------------------


def test_a_review_waits_for_its_signatures() -> None:
    """Client and therapist, and the supervisor where the staff record says so."""
    review = replace(TRANSFER, kind="scheduled")
    lines = done(c.HoldReview(review=review, supervisor_signs=True)).reviews[-1].signatures
    assert lines == (Signature(by="p-client"), Signature(by="p-ther"), Signature(by="p-sup"))
    lines = done(c.HoldReview(review=review)).reviews[-1].signatures
    assert lines == (Signature(by="p-client"), Signature(by="p-ther"))
    lines = (
        done(c.HoldReview(review=replace(review, client_participation=None)), "staff-11", DEV).reviews[-1].signatures
    )
    assert lines == (Signature(by="p-self"), Signature(by="p-sup"))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"client_participation": None}, "participation_not_said"),
        ({"client_participation": "refused"}, "reason_needed"),
        ({"id": "rv-1"}, "review_twice"),
        ({"date": date(2026, 11, 7)}, "day_to_come"),
        ({"signatures": (Signature(by="p-ther", date=AS_OF),)}, "begins_unsigned"),
        ({"attendees": ("p-none",)}, "attendees_not_in_plan"),
    ],
)
def test_a_review_has_to_be_whole(given: dict[str, Any], code: str) -> None:
    """Participation with the reason for its lack, a day that has come, and signatures afterwards."""
    assert refused(c.HoldReview(review=replace(TRANSFER, **given)))[0] == code
    assert refused(c.HoldReview(review=TRANSFER), CLIENT)[0] == "not_allowed"


def test_each_signs_for_themselves() -> None:
    """The supervisor signs what waits for her; a therapist records only the client's side."""
    assert done(c.Sign(review="rv-2"), SUPERVISOR).reviews[1].signatures[2] == Signature(by="p-sup", date=AS_OF)
    unasked = done(c.Sign(review="rv-3"), SUPERVISOR, done(c.HoldReview(review=TRANSFER)))
    assert unasked.reviews[-1].signatures[2] == Signature(by="p-sup", date=AS_OF)
    assert refused(c.Sign(review="rv-2", by="p-sup"))[0] == "not_ones_own"
    assert refused(c.Sign(review="rv-2"))[0] == "signed_already"
    assert refused(c.Sign(review="rv-2"), PARTNER)[0] == "not_allowed"
    plan = done(c.HoldReview(review=TRANSFER))
    signed = done(c.Sign(review="rv-3", by="p-client"), plan=plan)
    assert signed.reviews[-1].signatures[0] == Signature(by="p-client", date=AS_OF)
    assert refused(c.Sign(review="rv-3", on=date(2026, 11, 5)), plan=plan)[0] == "signed_before_held"


def test_who_refuses_to_sign_says_why_and_may_sign_later() -> None:
    """Refusal with its reason (Ohio OAC 5122-27-03(C))."""
    plan = done(c.HoldReview(review=TRANSFER))
    refusing = done(c.RefuseSignature(review="rv-3", by="p-client", reason="x"), plan=plan)
    assert refusing.reviews[-1].signatures[0] == Signature(by="p-client", refused=True, reason="x")
    assert refused(c.RefuseSignature(review="rv-3", reason=""), plan=plan)[0] == "reason_needed"
    assert refused(c.RefuseSignature(review="rv-2", reason="x"))[0] == "signed_already"
    signed = done(c.Sign(review="rv-3"), CLIENT, refusing)
    assert signed.reviews[-1].signatures[0] == Signature(by="p-client", date=AS_OF)


CONSENT = Consent(id="c-9", endpoint="ehr", granted=AS_OF, method="signature", sensitivities=("MH",))


def test_a_consent_is_granted_refused_and_taken_back() -> None:
    """Each answer is a consent of its own; the day it is taken back is the first without it."""
    granted = done(c.GrantConsent(consent=CONSENT), CLIENT)
    assert granted.disclosure.consents[-1] == CONSENT
    ended = done(c.RevokeConsent(id="c-9"), CLIENT, granted)
    assert ended.disclosure.consents[-1].expires == AS_OF
    assert refused(c.RevokeConsent(id="c-9"), CLIENT, ended)[0] == "consent_not_in_force"
    never = done(c.RevokeConsent(id="c-1", on=date(2026, 1, 1)), CLIENT).disclosure.consents[0]
    assert (never.granted, never.expires) == (date(2026, 5, 18), date(2026, 5, 18))
    assert refused(c.RevokeConsent(id="c-0"), CLIENT)[0] == "consent_unknown"
    refusing = done(c.RefuseConsent(id="c-9", endpoint="ehr"))
    assert refusing.disclosure.consents[-1] == Consent(id="c-9", endpoint="ehr", refused=AS_OF)


@pytest.mark.parametrize(
    ("given", "by", "code"),
    [
        ({"method": None}, THERAPIST, "consent_without_method"),
        ({"method": "portal"}, THERAPIST, "not_ones_own"),
        ({"granted": None}, CLIENT, "consent_not_granted"),
        ({"granted": date(2026, 11, 7)}, CLIENT, "day_to_come"),
        ({"expires": AS_OF}, CLIENT, "consent_ends_first"),
        ({"id": "c-1"}, CLIENT, "consent_twice"),
        ({"endpoint": "nowhere"}, CLIENT, "endpoint_unknown"),
        ({}, SUPERVISOR, "not_allowed"),
    ],
)
def test_a_consent_that_is_none_is_refused(given: dict[str, Any], by: str, code: str) -> None:
    """In writing or by portal, from a day that has come, for a connection that is."""
    command = c.GrantConsent(consent=replace(CONSENT, **given))
    connections = frozenset({"ehr", "ehr-main", "primary-care"})
    assert refused(command, by, connections=connections)[0] == code


def test_a_development_plan_has_no_consents() -> None:
    """It is never sent (invariant 14)."""
    assert refused(c.GrantConsent(consent=CONSENT), "staff-11", DEV)[0] == "never_sent"


def test_a_client_keeps_a_goal_back_and_lets_it_go() -> None:
    """From all by both marks; from one connection by the list."""
    plan = done(c.Withhold(target="g-mood", reason="x"), CLIENT)
    assert plan.goal("g-mood").share == "withheld"
    assert plan.disclosure.withheld == (Withheld(target="g-mood", reason="x"),)
    assert done(c.Release(target="g-mood"), CLIENT, plan) == DEP
    one = done(c.Withhold(target="pr-1", endpoint="ehr-main"))
    assert one.disclosure.withheld == (Withheld(target="pr-1", endpoint="ehr-main"),)
    assert refused(c.Withhold(target="pr-1", endpoint="ehr-main"), plan=one)[0] == "is_so_already"
    assert done(c.Release(target="pr-1", endpoint="ehr-main"), plan=one) == DEP
    assert refused(c.Release(target="g-mood"), CLIENT)[0] == "not_withheld"
    assert refused(c.Withhold(target="st-1"), CLIENT)[0] == "goal_or_problem_unknown"
    assert refused(c.Withhold(target="g-mood"), SUPERVISOR)[0] == "not_allowed"


def test_a_mother_of_a_minor_who_consented_alone_can_do_nothing() -> None:
    """The plan is hidden from her."""
    assert refused(c.RevokeConsent(id="c-1"), "related-77", ADO)[0] == "no_part_in_plan"


def test_an_edit_needs_its_reason_and_the_plan_as_it_says() -> None:
    """Why is mandatory, and a change that does not find what it says is outdated."""
    change = Change(field="goals[g-ba].priority", from_="high", to="low")
    assert done(c.Edit(because="review", changes=(change,))).goal("g-ba").priority == "low"
    assert refused(c.Edit(changes=(change,)))[0] == "reason_needed"
    wrong = replace(change, from_="medium")
    assert refused(c.Edit(because="review", changes=(wrong,)))[0] == "outdated"
    assert refused(c.Edit(because="review", changes=(change,)), CLIENT)[0] == "may_ask_only"


# -- what is not there, not said, or not theirs ------------------------------------------------------------------------

NOWHERE = [
    c.Accept(goal="g-none", method="verbal"),
    c.Disagree(goal="g-none", method="verbal", reason="x"),
    c.Submit(goal="g-none"),
    c.Schedule(goal="g-none"),
    c.Activate(goal="g-none"),
    c.Pause(goal="g-none", reason="x"),
    c.Reopen(goal="g-none", reason="x"),
    c.Decline(goal="g-none", reason="x"),
    c.ConfirmAchievement(goal="g-none", achievement="improving"),
    c.MakeSmaller(goal="g-none", smaller=short(), reason="x"),
    c.BuildOn(goal="g-none", following=short()),
    c.KeepUp(goal="g-none", supported=False),
    c.MarkReviewed(goal="g-none"),
    c.Void(target="g-none", reason="x"),
    c.AddStep(goal="g-none", step=Step(id="st-x", n=1)),
    c.RecordTrial(step="st-none", peak=1, end=1),
    c.AddVictory(goal="g-none", id="v-1", text="x"),
    c.AddNote(goal="g-none", id="n-1", text="x"),
    c.AddFinding(goal="g-none", text="x"),
    c.AddBarrier(goal="g-none", text="x"),
    c.ResolveBarrier(goal="g-none", place=1, resolution="x"),
    c.RateGoal(goal="g-none", level=0, rater="client"),
    c.Sign(review="rv-none"),
    c.RefuseSignature(review="rv-none", reason="x"),
    c.Accept(goal="g-ba", method="verbal", by="p-none"),
    c.Disagree(goal="g-ba", method="verbal", by="p-none", reason="x"),
    c.Sign(review="rv-2", by="p-none"),
    c.RecordRefusal(by="p-none", reason="x"),
]


@pytest.mark.parametrize("command", NOWHERE, ids=lambda command: type(command).__name__)
def test_what_is_not_there_is_refused(command: c.AnyCommand) -> None:
    """Each id must be one of the plan, and the refusal says which is not."""
    code, _, at = refused(command)
    assert code.endswith("_unknown")
    assert at.endswith("-none")


LATER = date(2026, 11, 7)
LACKING: list[tuple[c.AnyCommand, str]] = [
    (c.Accept(goal="g-ba", method="verbal", on=LATER), "day_to_come"),
    (c.Disagree(goal="g-ba", method="verbal", reason="x", on=LATER), "day_to_come"),
    (c.RecordRefusal(by="p-client", reason=" "), "reason_needed"),
    (c.RecordRefusal(by="p-client", reason="x", on=LATER), "day_to_come"),
    (c.RevokePlan(reason=" "), "reason_needed"),
    (c.RevokePlan(reason="x"), "goal_still_open"),
    (c.Discharge(**DISCHARGE, on=LATER), "day_to_come"),
    (
        c.Discharge(**DISCHARGE, others=c.Closing(closure_reason="achieved", achievement="no_progress")),
        "status_conflict",
    ),
    (
        c.Discharge(**DISCHARGE, others=c.Closing(closure_reason="discharged"), review=TRANSFER),
        "review_kind",
    ),
    (c.AddFinding(goal="g-explore-map", text=" "), "words_needed"),
    (c.AddBarrier(goal="g-ba", text=" "), "words_needed"),
    (c.ResolveBarrier(goal="g-thought", place=1, resolution=" "), "reason_needed"),
    (c.RateGoal(goal="g-social", level=0, rater="client", on=LATER), "day_to_come"),
    (c.Submit(goal="g-med-review"), "move_not_allowed"),
    (c.Void(target="plan-dep-01", reason=" "), "reason_needed"),
    (c.Void(target="st-ba-4", reason=" "), "reason_needed"),
    (c.MakeSmaller(goal="g-move", smaller=short(), reason="x"), "move_not_allowed"),
    (c.MakeSmaller(goal="g-ba", smaller=short(achievement="achieved"), reason="x"), "begins_without_history"),
    (c.BuildOn(goal="g-move", following=short(achievement="achieved")), "begins_without_history"),
    (c.Sign(review="rv-2", on=LATER), "day_to_come"),
    (c.RefuseConsent(id="c-9", endpoint="x", on=LATER), "day_to_come"),
    (c.RevokeConsent(id="c-1", on=LATER), "day_to_come"),
]


@pytest.mark.parametrize(("command", "code"), LACKING)
def test_what_is_not_said_or_does_not_fit_is_refused(command: c.AnyCommand, code: str) -> None:
    """Reasons, words, days that have come, and moves that are."""
    assert refused(command)[0] == code


NOT_THEIRS: list[tuple[c.AnyCommand, str]] = [
    (c.ConfirmAchievement(goal="g-ba", achievement="improving"), "not_allowed"),
    (c.KeepUp(goal="g-ba", supported=False), "not_allowed"),
    (c.Reopen(goal="g-move", reason="x"), "not_allowed"),
    (c.MakeSmaller(goal="g-ba", smaller=short(), reason="x"), "not_allowed"),
    (c.BuildOn(goal="g-move", following=short()), "not_allowed"),
    (c.RateGoal(goal="g-social", level=0, rater="client"), "not_ones_own"),
    (c.RevokeConsent(id="c-1"), "not_allowed"),
    (c.Release(target="g-ba"), "not_allowed"),
    (c.PausePlan(reason="x"), "not_allowed"),
    (c.AgreeVersion(client_agreed=True), "not_allowed"),
    (c.TransferCaseload(to=Participant(id="p-x", role="family", ref="s"), review=TRANSFER), "not_allowed"),
]


@pytest.mark.parametrize(("command", "code"), NOT_THEIRS)
def test_a_support_person_does_only_what_is_theirs(command: c.AnyCommand, code: str) -> None:
    """Steps, notes and an answer of their own; nothing else."""
    assert refused(command, PARTNER)[0] == code


def test_a_development_plan_is_not_handed_over() -> None:
    """It is about its therapist."""
    command = c.TransferCaseload(to=Participant(id="p-x", role="family", ref="s"), review=TRANSFER)
    assert refused(command, "staff-11", DEV)[0] == "not_to_hand_over"


def test_an_active_goal_is_sustained_while_support_is_needed() -> None:
    """The achievement says so; the goal stays active."""
    goal = done(c.KeepUp(goal="g-sleep", supported=True)).goal("g-sleep")
    assert (goal.lifecycle, goal.achievement) == ("active", "sustaining")


def test_steps_of_the_leaving_therapist_go_to_the_new_one() -> None:
    """Those still to be done; what was done stays whose it was."""
    steps = DEP.goal("g-ba").steps
    given = (replace(steps[0], participant="p-ther"), *steps[1:3], replace(steps[3], participant="p-ther"))
    to = Participant(id="p-ther2", role="primary_therapist", ref="staff-19")
    command = c.TransferCaseload(to=to, review=TRANSFER, client_agreed=True)
    after = done(command, plan=with_goal(DEP, "g-ba", steps=given)).goal("g-ba").steps
    assert [step.participant for step in after] == ["p-ther", None, None, "p-ther2"]


def test_an_import_and_an_ehr_have_no_line_of_their_own() -> None:
    """They speak for nobody by themselves."""
    for command in (c.Accept(goal="g-ba", method="verbal"), c.Sign(review="rv-2")):
        found = c.decide_command(DEP, command, c.Actor("batch-1", "import"), AS_OF)
        assert isinstance(found, c.Refusal)
        assert found.code == "no_line"
