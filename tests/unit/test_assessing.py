"""A goal's SMART letters are kept with it, with the version of their rules, whenever it takes a step towards work."""

from __future__ import annotations

from typing import Any

import pytest

from fhirgoals.domain import commands as c
from fhirgoals.domain import smart_limits
from fhirgoals.domain.commands.assessing import TOWARDS_WORK
from fhirgoals.domain.lifecycle import FIRST_STATES
from fhirgoals.domain.planfile import dump_plan, load_plan
from fhirgoals.domain.put_diff import put_diff
from fhirgoals.domain.records import Acceptance, Change, Goal, Plan, Readiness, SmartResult, Step
from tests.plans import AS_OF, EXAMPLES, example, replace, with_goal

DEP, OCD = example(EXAMPLES[0]), example(EXAMPLES[1])
VERSION = smart_limits.standard().rule_version
OTHER = SmartResult(date=AS_OF, rule_version="0-00000000", letters={"S": "fail"}, reasons=("no_text",))


def done(command: c.AnyCommand, plan: Plan = DEP, by: str = "staff-7") -> c.Accepted:
    answer = c.decide_command(plan, command, c.Actor(by), AS_OF)
    assert isinstance(answer, c.Accepted), answer
    return answer


def new(**given: Any) -> Goal:
    base: dict[str, Any] = {"horizon": "short_term", "nature": "actionable", "parent": "g-mood", "addresses": ("pr-1",)}
    return Goal(id="g-new", text="Cook twice a week for six weeks", **(base | given))


@pytest.mark.parametrize("state", ["draft", "proposed"])
def test_a_new_goal_is_kept_with_its_letters(state: str) -> None:
    """A draft and a proposal are judged on the day they come in, before any treatment, by the rules of that day."""
    kept = done(c.Propose(goal=new(lifecycle=state))).plan.goal("g-new").smart
    assert kept is not None
    assert (kept.date, kept.rule_version) == (AS_OF, VERSION)
    assert kept.letters == {"S": "warn", "M": "fail", "A": "warn", "R": "fail", "T": "fail"}
    assert {"no_way_there", "nothing_countable", "no_target_date"} <= set(kept.reasons)


def test_a_goal_is_judged_again_as_it_is_agreed_and_begun() -> None:
    """Each step towards work keeps the letters of that day; the revision says so among its changes."""
    plan = done(c.Propose(goal=new())).plan
    plan = with_goal(plan, "g-new", steps=(Step(id="st-n", n=1, owner="client", text="x", status="planned"),))
    agreed = tuple(Acceptance(by=by, status="agree", date=AS_OF, method="verbal") for by in ("p-client", "p-ther"))
    plan = with_goal(plan, "g-new", acceptance=agreed)
    answer = done(c.Activate(goal="g-new"), plan)
    kept = answer.plan.goal("g-new").smart
    assert kept is not None
    assert (kept.letters["S"], kept.letters["M"], kept.rule_version) == ("pass", "warn", VERSION)
    assert "goals[g-new].smart.letters" in {change.field for change in answer.revision.changes}


def test_letters_stand_until_the_next_step() -> None:
    """Work, wording and closing leave what was judged then as it was: it tells of that day."""
    plan = with_goal(DEP, "g-ba", smart=OTHER)
    worded = c.Edit(
        changes=(Change(field="goals[g-ba].text", from_=DEP.goal("g-ba").text, to="Another text"),), because="review"
    )
    for command in (worded, c.Pause(goal="g-ba", reason="x"), c.Close(goal="g-ba", closure_reason="achieved")):
        assert done(command, plan).plan.goal("g-ba").smart == OTHER
    paused = done(c.Pause(goal="g-ba", reason="x"), plan).plan
    begun = done(c.Activate(goal="g-ba"), paused).plan.goal("g-ba").smart
    assert begun is not None
    assert begun.rule_version == VERSION


def test_no_file_and_no_person_sets_the_letters() -> None:
    """What an edited file or a change says of letters is not taken: they are computed or they are not there."""
    forged = with_goal(DEP, "g-ba", smart=OTHER)
    answer = put_diff(DEP, forged, c.Actor("staff-7"), AS_OF, "review")
    assert isinstance(answer, tuple)
    assert {each.code for each in answer} == {"nothing_changes"}
    both = with_goal(forged, "g-ba", text="Another text")
    accepted = put_diff(DEP, both, c.Actor("staff-7"), AS_OF, "review")
    assert isinstance(accepted, c.Accepted)
    assert accepted.plan.goal("g-ba").smart is None
    started = replace(forged, goals=(*forged.goals, new(smart=OTHER, lifecycle="proposed", start_date=AS_OF)))
    added = put_diff(DEP, started, c.Actor("staff-7"), AS_OF, "review")
    assert isinstance(added, c.Accepted)
    kept = added.plan.goal("g-new").smart
    assert kept is not None
    assert kept.rule_version == VERSION


def test_kept_letters_survive_a_plan_file() -> None:
    """`get` writes them and `put` of the same file gives them back."""
    plan = done(c.Propose(goal=new(readiness=Readiness(importance=8, confidence=8)))).plan
    assert load_plan(dump_plan(plan), name="x") == plan
    assert f"rule_version: {VERSION}" in dump_plan(plan)


def test_every_first_state_is_a_step_towards_work() -> None:
    """However a goal begins, it is judged."""
    assert TOWARDS_WORK >= FIRST_STATES


def test_only_goals_that_moved_are_judged() -> None:
    """A command on one goal changes no other goal's letters."""
    after = done(c.Propose(goal=new())).plan
    assert [goal.smart for goal in after.goals if goal.id != "g-new"] == [None] * len(DEP.goals)
