"""Each rule of the SMART letters: what passes, warns, fails and does not apply, at its edges."""

# ruff: noqa: E501 - tables of cases read best with one case a line

from __future__ import annotations

import re
import tomllib
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.domain import instruments, smart, smart_limits, smart_reasons, smart_rules
from fhirgoals.domain.records import (
    Acceptance,
    Client,
    Coding,
    Foreign,
    Gas,
    Goal,
    Intervention,
    Measure,
    Origin,
    Participant,
    Plan,
    Problem,
    Readiness,
    Reading,
    Review,
    Staff,
    Step,
    Sustain,
    Target,
)
from fhirgoals.errors import ConfigurationError
from tests.plans import EXAMPLES, example, full, goal, replace, small, with_goal

ROOT = Path(__file__).parents[2]
RULES = smart_limits.standard()
CATALOGUE = instruments.standard()
ON = date(2026, 3, 2)
START = date(2026, 1, 5)
DUE = date(2026, 4, 3)
GOOD = "Walk outdoors for half an hour a day"

MEASURE = Measure(
    id="m-1",
    instrument="custom",
    range=(Decimal(0), Decimal(100)),
    baseline=Reading(date=START, value=Decimal(20)),
)
TARGET = Target(measure="m-1", op=">=", value=Decimal(60), by=date(2026, 3, 16))  # 10 weeks, 4 % a week
LEVELS: dict[Any, str] = {"-2": "none", "-1": "one", "0": "two", "1": "three", "2": "four"}


def plan(changes: dict[str, Any] | None = None, **plan_changes: Any) -> Plan:
    """A plan whose goal `g` passes every letter, but for the changes."""
    given: dict[str, Any] = {
        "parent": "g-long",
        "text": GOOD,
        "client_words": "Get out more",
        "addresses": ("pr-1",),
        "start_date": START,
        "target_date": DUE,
        "readiness": Readiness(importance=8, confidence=8),
        "targets": (TARGET,),
        "steps": (Step(id="s-1", n=1, owner="client", text="Put the shoes out", status="planned"),),
        "acceptance": (Acceptance(by="p-client", status="agree"),),
    }
    base = small(measures=(MEASURE,), **({"review_interval_days": 90} | plan_changes))
    long = replace(base.goal("g-long"), target_date=date(2026, 12, 18))
    return replace(base, goals=(long, goal("g", **(given | (changes or {}))), *plan_changes.get("goals", ())))


def judged(of: Plan, goal_id: str = "g", on: date = ON, reused: frozenset[str] = frozenset()) -> smart.Assessment:
    return smart.assess(of, goal_id, on, RULES, CATALOGUE, reused)


def letter(of: Plan, name: str, goal_id: str = "g", **options: Any) -> tuple[str, set[str]]:
    found = next(each for each in judged(of, goal_id, **options).letters if each.letter == name)
    return found.result, {reason.code for reason in found.reasons}


def test_a_good_goal_passes_every_letter() -> None:
    """Five passes, no hint, and the version of the rules."""
    found = judged(plan())
    assert found.results == dict.fromkeys("SMART", "pass")
    assert (found.score, found.hints) == ("5/5", ())
    assert re.fullmatch(r"1-[0-9a-f]{8}", found.rule_version)


@pytest.mark.parametrize(
    ("text", "result", "codes"),
    [
        (None, "fail", {"no_text"}),
        ("  … - ", "fail", {"no_text"}),
        ("Walk", "fail", {"too_few_words"}),
        ("Walk daily", "fail", {"too_few_words"}),
        ("Walk every day", "warn", {"few_words"}),
        ("Walk to work daily", "warn", {"few_words"}),
        ("Walk to work every day", "pass", set()),
        ("Depression", "fail", {"too_few_words", "diagnosis_only"}),
        ("F32.1", "fail", {"too_few_words", "diagnosis_only"}),
        ("Generalised anxiety disorder", "fail", {"few_words", "diagnosis_only"}),
        ("Major depressive disorder, recurrent, severe with psychotic symptoms", "fail", {"diagnosis_only"}),
        ("Obsessive-compulsive disorder (F42.2)", "fail", {"few_words", "diagnosis_only"}),
        ("Understand how depression runs through the family", "pass", set()),
    ],
)
def test_s_counts_words_and_refuses_a_bare_diagnosis(text: str | None, result: str, codes: set[str]) -> None:
    """Under three words and a diagnosis alone fail, three and four warn, five pass."""
    assert letter(plan({"text": text}), "S") == (result, codes)


def test_s_knows_the_names_of_the_plans_own_problems() -> None:
    """A text of nothing but a problem's name says nothing of what will change."""
    problem = Problem(id="pr-1", code=Coding(system="icd10cm", code="Z56.6", display="Physical strain related to work"))
    assert letter(plan({"text": "Mild strain related to work"}, problems=(problem,)), "S")[1] == {"diagnosis_only"}
    assert letter(plan({"text": "Leave out strain related to work"}, problems=(problem,)), "S")[0] == "pass"


@pytest.mark.parametrize(
    "text",
    [
        "Learn to cope better in the evenings",
        "WORK ON getting along with others",
        "Every day feel  better, somehow",
        "Improve mood over the coming weeks",
        "Get better at work on Mondays, without fail",  # beside a harmless phrase it is as vague
        "At work on Mondays feel better",
    ],
)
def test_s_warns_of_vague_words_without_a_target(text: str) -> None:
    """A phrase that can't be counted warns, unless a target or a scale says what is meant."""
    assert letter(plan({"text": text, "targets": ()}), "S") == ("warn", {"vague_words"})
    assert letter(plan({"text": text}), "S")[0] == "pass"
    assert letter(plan({"text": text, "targets": (), "gas": Gas(levels=LEVELS, baseline=-1)}), "S")[0] == "pass"


@pytest.mark.parametrize(
    "text", ["Be at work on time each day", "Copenhagen is where she will go", "Leave work on Fridays before five"]
)
def test_s_sees_no_vague_words_in_plain_ones(text: str) -> None:
    """Whole phrases count, and known harmless ones don't."""
    assert letter(plan({"text": text, "targets": ()}), "S")[0] == "pass"


@pytest.mark.parametrize(
    "text",
    [
        "Sleep eight hours and exercise every day",
        "Sleep eight hours, and exercise every day",
        "See a friend & answer messages each week",
        "Call home as well as write every week",
        "Spend time with family and friends and join a club",
        "Eat well, sleep eight hours and walk daily",
        "And so on and so forth",
        "Walk for 20 and stretch every day",
        "Rest on Sundays and 20 minutes of walking",
        ", and walk more each day",
    ],
)
def test_s_warns_of_two_outcomes(text: str) -> None:
    """An `and` may join two outcomes."""
    assert letter(plan({"text": text}), "S") == ("warn", {"two_outcomes"})


@pytest.mark.parametrize(
    "text",
    [
        "Spend an evening with family and friends",
        "Keep a rhythm of sleep, movement and meals",
        "Sleep, movement and meals kept each day",
        "Keep a rhythm of sleep, movement, and meals",
        "Find a balance between evening shifts and rest",
        "Walk for 20 and 30 minutes in turn",
        "Walk for 5km and 8km in turn",
        "Understand the band from the sandbox",
    ],
)
def test_s_sees_one_outcome_in_a_pair_a_list_a_span_and_numbers(text: str) -> None:
    """An `and` within one outcome is no second one."""
    assert letter(plan({"text": text}), "S")[0] == "pass"


def test_s_looks_for_a_way_there() -> None:
    """A step, an intervention or a smaller goal is a way; one that was an error or was given up is none."""
    bare = plan({"steps": ()})
    assert letter(bare, "S") == ("warn", {"no_way_there"})
    error = Step(id="s-1", n=1, status="entered_in_error")
    assert letter(plan({"steps": (error,)}), "S")[0] == "warn"
    assert letter(replace(bare, interventions=(Intervention(id="iv", goals=("g",)),)), "S")[0] == "pass"
    for lifecycle, result in (("active", "pass"), ("draft", "pass"), ("declined", "warn"), ("cancelled", "warn")):
        child = goal("g-child", parent="g", lifecycle=lifecycle)
        assert letter(replace(bare, goals=(*bare.goals, child)), "S")[0] == result


def test_s_flags_another_clients_wording_and_never_shows_it() -> None:
    """The same words in any dress are found; those of the same client, of this plan and of an error are not looked at."""
    mine = plan()
    other = replace(
        with_goal(plan(), "g", text="  walk OUTDOORS, for half an hour — a day!"),
        id="plan-2",
        client=Client(id="client-2", display="Another"),
    )
    reused = smart.other_wordings(mine, [mine, other])
    assert letter(mine, "S", reused=reused) == ("warn", {"same_wording"})
    assert "walk" not in str(judged(mine, reused=reused)).casefold()
    assert smart.other_wordings(mine, [mine, replace(other, client=mine.client)]) == frozenset()
    void = with_goal(with_goal(other, "g", lifecycle="entered_in_error"), "g-long", text=None)
    assert smart.other_wordings(mine, [void]) == frozenset()


@pytest.mark.parametrize(
    ("changes", "result", "codes"),
    [
        ({}, "pass", set()),
        ({"targets": (replace(TARGET, measure="m-none"),), "steps": ()}, "warn", {"target_incomplete"}),
        ({"targets": (replace(TARGET, value=None),)}, "warn", {"target_incomplete", "steps_only"}),
        ({"targets": (replace(TARGET, op=None),), "steps": ()}, "warn", {"target_incomplete"}),
        ({"targets": (replace(TARGET, op="between"),), "steps": ()}, "warn", {"target_incomplete"}),
        ({"targets": (replace(TARGET, op="between", value=None, range=(Decimal(50), Decimal(60))),)}, "pass", set()),
        ({"targets": (replace(TARGET, value=None), TARGET)}, "pass", set()),
        ({"targets": (), "gas": Gas(levels=LEVELS, baseline=-1)}, "pass", set()),
        ({"targets": (), "steps": (), "gas": Gas(levels=LEVELS)}, "warn", {"scale_incomplete"}),
        (
            {"targets": (), "steps": (), "gas": Gas(levels=LEVELS | {"2": " Three. "}, baseline=-1)},
            "warn",
            {"scale_incomplete"},
        ),
        (
            {"targets": (), "steps": (), "gas": Gas(levels=LEVELS | {"2": " "}, baseline=-1)},
            "warn",
            {"scale_incomplete"},
        ),
        ({"targets": (), "steps": (), "gas": Gas(levels={"0": "two"}, baseline=-1)}, "warn", {"scale_incomplete"}),
        ({"targets": ()}, "warn", {"steps_only"}),
        ({"targets": (), "steps": (), "completion_criterion": "It is written"}, "warn", {"steps_only"}),
        ({"targets": (), "steps": ()}, "fail", {"nothing_countable"}),
        (
            {"nature": "exploratory", "completion_criterion": "Two needs named"},
            "not_applicable",
            {"completion_criterion"},
        ),
        (
            {"nature": "exploratory", "completion_criterion": " ", "targets": (), "steps": ()},
            "fail",
            {"nothing_countable"},
        ),
    ],
)
def test_m_asks_for_something_countable(changes: dict[str, Any], result: str, codes: set[str]) -> None:
    """A whole target or scale passes, half of one or steps warn, nothing fails; a criterion frees an exploratory goal."""
    assert letter(plan(changes), "M") == (result, codes)


def test_m_needs_a_baseline_that_is_known_by_then() -> None:
    """Without a baseline, or before its day, a target warns."""
    for baseline in (None, Reading(date=ON + timedelta(days=1), value=Decimal(20))):
        changed = replace(plan({"steps": ()}), measures=(replace(MEASURE, baseline=baseline),))
        assert letter(changed, "M") == ("warn", {"target_without_baseline"})


def long_term(*children: dict[str, Any], **own: Any) -> Plan:
    """A plan with a long-term goal that has nothing of its own, and its children."""
    base = plan()
    parent = replace(base.goal("g-long"), **own)
    return replace(base, goals=(parent, *(goal(f"c-{n}", parent="g-long", **each) for n, each in enumerate(children))))


COUNTED, STEPPED, BARE = {"targets": (TARGET,)}, {"steps": (Step(id="s", n=1, status="planned"),)}, {"text": "Nothing"}


@pytest.mark.parametrize(
    ("children", "result", "codes"),
    [
        ([COUNTED], "pass", set()),
        ([COUNTED, COUNTED | {"lifecycle": "on_hold"}], "pass", set()),
        ([COUNTED, BARE], "warn", {"children_not_countable"}),
        ([COUNTED, BARE | {"lifecycle": "draft"}], "pass", set()),
        ([COUNTED, BARE | {"lifecycle": "proposed"}], "pass", set()),
        ([COUNTED, BARE | {"lifecycle": "completed"}], "pass", set()),
        ([COUNTED, BARE | {"nature": "exploratory"}], "pass", set()),
        ([COUNTED | {"nature": "exploratory"}], "warn", {"children_not_countable"}),
        ([COUNTED | {"lifecycle": "completed"}], "warn", {"children_not_countable"}),
        ([COUNTED | {"lifecycle": "cancelled"}], "fail", {"nothing_countable"}),
        ([STEPPED], "warn", {"children_not_countable"}),
        ([BARE], "fail", {"nothing_countable"}),
        ([], "fail", {"nothing_countable"}),
    ],
)
def test_m_of_a_long_term_goal_is_that_of_its_open_children(
    children: list[dict[str, Any]], result: str, codes: set[str]
) -> None:
    """All open ones that are not exploratory must pass, and one at least; else what they have warns."""
    assert letter(long_term(*children), "M", "g-long") == (result, codes)


def test_m_of_a_long_term_goal_takes_its_own_target_first() -> None:
    """With a target of its own the children don't matter, and steps of its own are named beside them."""
    assert letter(long_term(BARE, targets=(TARGET,)), "M", "g-long")[0] == "pass"
    both = long_term(STEPPED, steps=(Step(id="s", n=1, status="done"),))
    assert letter(both, "M", "g-long") == ("warn", {"children_not_countable", "steps_only"})


@pytest.mark.parametrize(
    ("confidence", "changes", "result", "codes"),
    [
        (None, {}, "warn", {"confidence_not_asked"}),
        (10, {}, "pass", set()),
        (7, {}, "pass", set()),
        (6, {}, "warn", {"confidence_middling"}),
        (4, {}, "warn", {"confidence_middling"}),
        (3, {}, "fail", {"confidence_low"}),
        (3, {"lifecycle": "proposed"}, "fail", {"confidence_low"}),
        (3, {"lifecycle": "proposed", "acceptance": ()}, "warn", {"confidence_middling"}),
        (3, {"lifecycle": "completed", "acceptance": ()}, "fail", {"confidence_low"}),
        (
            0,
            {"lifecycle": "draft", "acceptance": (Acceptance(by="p-ther", status="agree"),)},
            "warn",
            {"confidence_middling"},
        ),
    ],
)
def test_a_goes_by_confidence(confidence: int | None, changes: dict[str, Any], result: str, codes: set[str]) -> None:
    """Seven passes, four to six and unknown warn, three and less fail once the client has accepted."""
    readiness = None if confidence is None else Readiness(importance=8, confidence=confidence)
    assert letter(plan(changes | {"readiness": readiness}), "A") == (result, codes)


@pytest.mark.parametrize(
    ("value", "days", "result", "codes"),
    [
        ("35", 7, "pass", set()),
        ("35.1", 7, "warn", {"quick_pace"}),
        ("45", 7, "warn", {"quick_pace"}),
        ("45.1", 7, "fail", {"too_quick_pace"}),
        ("50", 14, "pass", set()),
        ("20", 70, "fail", {"met_at_baseline"}),
        ("101", 210, "fail", {"target_outside_range"}),
        ("60", 0, "fail", {"no_time"}),
        ("60", -1, "fail", {"no_time"}),
    ],
)
def test_a_goes_by_the_pace(value: str, days: int, result: str, codes: set[str]) -> None:
    """From 20 on a scale of 0 to 100: 15 a week pass, up to 25 warn, more fails; so does what is met or out of range."""
    target = replace(TARGET, value=Decimal(value), by=START + timedelta(days=days))
    assert letter(plan({"targets": (target,), "target_date": START + timedelta(days=210)}), "A") == (result, codes)


def test_a_goes_by_the_width_of_a_scale_that_does_not_begin_at_0() -> None:
    """On a scale of 10 to 60, 7.5 points a week are 15 %."""
    for value, result in (("27.5", "pass"), ("27.6", "warn"), ("32.5", "warn"), ("32.6", "fail")):
        target = replace(TARGET, value=Decimal(value), by=START + timedelta(days=7))
        measure = replace(MEASURE, range=(Decimal(10), Decimal(60)))
        assert letter(replace(plan({"targets": (target,)}), measures=(measure,)), "A")[0] == result


@pytest.mark.parametrize(
    ("target", "result", "codes"),
    [
        ({"op": "<=", "value": Decimal(0)}, "pass", set()),
        ({"op": "<", "value": Decimal(25)}, "fail", {"met_at_baseline"}),
        ({"op": ">", "value": Decimal(20)}, "pass", set()),
        ({"op": "between", "value": None, "range": (Decimal(40), Decimal(60))}, "pass", set()),
        ({"op": "between", "value": None, "range": (Decimal(10), Decimal(30))}, "fail", {"met_at_baseline"}),
        ({"op": "between", "value": None, "range": (Decimal(60), Decimal(120))}, "fail", {"target_outside_range"}),
        ({"op": "between", "value": None, "range": (Decimal(-5), Decimal(10))}, "fail", {"target_outside_range"}),
        ({"by": None}, "pass", set()),
        ({"by": Foreign(foreign='"2026"')}, "pass", set()),
        ({"value": None}, "pass", set()),
        ({"measure": "m-none"}, "pass", set()),
        ({"sustain": Sustain(count=3)}, "pass", set()),
    ],
)
def test_a_measures_the_way_by_the_operator(target: dict[str, Any], result: str, codes: set[str]) -> None:
    """The way is that from the baseline to the number or the nearer end of the range; what is unknown is M's and T's."""
    assert letter(plan({"targets": (replace(TARGET, **target),)}), "A") == (result, codes)


def test_a_takes_the_quickest_of_several_targets_and_says_its_pace() -> None:
    """Two targets: the pace of the quicker one counts, rounded in the sentence."""
    slow, quick = replace(TARGET, id="t-1"), replace(TARGET, id="t-2", by=START + timedelta(days=14))
    found = judged(plan({"targets": (slow, quick)}))
    assert [reason.sentence for reason in found.hints] == ["It asks for 20 % of the scale a week; up to 15 % is usual."]


def test_a_knows_an_instruments_range_and_says_where_none_is_known() -> None:
    """A measure without a range goes by the catalogue's; a custom one of none warns."""
    for name, code in (("PHQ-9", None), ("custom", "pace_unknown")):
        measure = Measure(id="m-1", instrument=name, baseline=Reading(date=START, value=Decimal(17)))
        changed = replace(plan({"targets": (replace(TARGET, op="<", value=Decimal(5)),)}), measures=(measure,))
        assert letter(changed, "A")[1] == ({code} if code else set())
    measure = replace(MEASURE, range=(Decimal(50), Decimal(50)))
    assert "pace_unknown" in letter(replace(plan(), measures=(measure,)), "A")[1]


def test_a_has_no_pace_without_a_day_or_a_baseline() -> None:
    """An unknown start or baseline is T's or M's to say."""
    assert letter(plan({"start_date": None}), "A")[0] == "pass"
    assert letter(replace(plan(), measures=(replace(MEASURE, baseline=None),)), "A")[0] == "pass"


@pytest.mark.parametrize(
    ("active", "lifecycle", "result", "codes"),
    [
        (4, "active", "pass", set()),
        (5, "active", "warn", {"many_goals"}),
        (7, "active", "warn", {"many_goals"}),
        (8, "active", "fail", {"too_many_goals"}),
        (9, "draft", "fail", {"too_many_goals"}),
        (9, "completed", "pass", set()),
        (9, "cancelled", "pass", set()),
    ],
)
def test_a_keeps_the_number_of_active_goals_manageable(
    active: int, lifecycle: str, result: str, codes: set[str]
) -> None:
    """Of short-term goals under way five pass, six to eight warn, more fails; a closed goal asks for nothing."""
    more = tuple(goal(f"more-{n}", parent="g-long") for n in range(active))
    waiting = tuple(goal(f"idle-{n}", parent="g-long", lifecycle="planned") for n in range(9))
    base = plan({"lifecycle": lifecycle})
    assert letter(replace(base, goals=(*base.goals, *more, *waiting)), "A") == (result, codes)


def steps(number: int, **given: Any) -> tuple[Step, ...]:
    return tuple(
        Step(id=f"s-{n}", n=n, **({"owner": "client", "status": "planned"} | given)) for n in range(1, number + 1)
    )


@pytest.mark.parametrize(
    ("own", "result"),
    [
        (steps(3), "pass"),
        (steps(4), "warn"),
        (steps(4, status="on_hold"), "warn"),
        (steps(4, status="in_progress"), "warn"),
        (steps(4, status="scheduled"), "warn"),
        (steps(4, status="done"), "pass"),
        (steps(4, status="skipped"), "pass"),
        (steps(4, status="stopped"), "pass"),
        (steps(4, owner="therapist"), "pass"),
        (steps(4, owner="support_person"), "pass"),
    ],
)
def test_a_keeps_the_number_of_open_steps_manageable(own: tuple[Step, ...], result: str) -> None:
    """Up to three of the client's steps may wait at once; other people's and finished ones don't count."""
    assert letter(plan({"steps": own}), "A") == (result, {"many_steps"} if result == "warn" else set())
    assert letter(plan({"steps": own, "lifecycle": "completed"}), "A")[0] == "pass"


def test_a_fails_what_was_found_out_of_reach() -> None:
    """The achievement `not_attainable` fails A."""
    assert letter(plan({"achievement": "not_attainable"}), "A") == ("fail", {"not_attainable"})
    assert letter(plan({"achievement": "no_progress"}), "A")[0] == "pass"


TIES: dict[str, dict[str, Any]] = {
    "no_problem": {"addresses": ()},
    "no_client_words": {"client_words": " "},
    "no_parent": {"parent": None, "horizon": "short_term"},
    "importance_low": {"readiness": Readiness(importance=5, confidence=8)},
    "not_agreed": {
        "acceptance": (Acceptance(by="p-client", status="pending"), Acceptance(by="p-ther", status="agree"))
    },
}


@pytest.mark.parametrize(
    "missing", [{code} for code in TIES] + [{"no_problem", "importance_low"}, {"no_client_words", "not_agreed"}]
)
def test_r_warns_of_one_or_two_missing_ties(missing: set[str]) -> None:
    """Problem, parent, own words, importance and agreement: one or two missing warn."""
    changes = {key: value for code in missing for key, value in TIES[code].items()}
    base = plan(changes)
    assert letter(with_goal(base, "g-long", addresses=()), "R") == ("warn", missing)


@pytest.mark.parametrize("kept", sorted(TIES))
def test_r_fails_where_three_ties_are_missing(kept: str) -> None:
    """Three or more missing ties fail, and each reason says so."""
    changes = {key: value for code, each in TIES.items() if code != kept for key, value in each.items()}
    found = judged(with_goal(plan(changes), "g-long", addresses=()))
    ties = next(each for each in found.letters if each.letter == "R")
    assert ties.result == "fail"
    assert {reason.code for reason in ties.reasons} == TIES.keys() - {kept}
    assert {reason.result for reason in ties.reasons} == {"fail"}


def test_r_counts_importance_from_six_and_an_unasked_one_as_missing() -> None:
    """Six passes, five and none don't."""
    assert letter(plan({"readiness": Readiness(importance=6, confidence=8)}), "R")[0] == "pass"
    assert letter(plan({"readiness": None}), "R") == ("warn", {"importance_not_asked"})


def test_r_takes_the_parents_problem_and_only_one_of_the_plan() -> None:
    """A goal may address its problem through its parent; a problem that the plan does not have is none."""
    assert letter(with_goal(plan({"addresses": ()}), "g-long", addresses=("pr-1",)), "R")[0] == "pass"
    assert letter(with_goal(plan({"addresses": ("pr-9",)}), "g-long", addresses=()), "R")[1] == {"no_problem"}


def test_r_needs_no_parent_of_a_long_term_goal_and_one_that_is_there_of_others() -> None:
    """A long-term goal has no parent; a parent outside the plan is none."""
    assert "no_parent" not in letter(plan(), "R", "g-long")[1]
    assert letter(plan({"parent": "g-gone"}), "R") == ("warn", {"no_parent"})


@pytest.mark.parametrize(
    ("lifecycle", "result", "codes"),
    [("active", "fail", {"disagreed"}), ("proposed", "warn", {"not_agreed"}), ("declined", "warn", {"not_agreed"})],
)
def test_r_fails_where_the_client_disagrees_with_an_active_goal(lifecycle: str, result: str, codes: set[str]) -> None:
    """A disagreement fails while the goal is active, and is a missing tie otherwise."""
    no = (Acceptance(by="p-client", status="disagree", reason="Not now"), Acceptance(by="p-ther", status="agree"))
    assert letter(plan({"lifecycle": lifecycle, "acceptance": no}), "R") == (result, codes)


def test_r_takes_a_legal_representatives_agreement_but_not_of_a_minor_who_consented() -> None:
    """A legal representative agrees for the client, unless the minor consented to their own care."""
    mother = Participant(id="p-mother", role="legal_representative", ref="related-1")
    base = plan({"acceptance": (Acceptance(by="p-mother", status="agree"),)})
    base = replace(base, participants=(*base.participants, mother))
    assert letter(base, "R")[0] == "pass"
    assert base.client is not None
    minor = replace(base, client=replace(base.client, minor_self_consented=True))
    assert letter(minor, "R") == ("warn", {"not_agreed"})


def test_a_development_plan_goes_by_its_therapist() -> None:
    """Problem and client words don't apply, the subject's agreement counts, and the steps are the therapist's."""
    own = {"addresses": (), "client_words": None, "acceptance": (Acceptance(by="p-self", status="agree"),)}
    base = plan(own | {"steps": steps(4, owner="therapist")})
    dev = replace(
        base,
        kind="professional_development",
        client=None,
        therapist=Staff(id="staff-1", display="A Therapist"),
        participants=(Participant(id="p-self", role="therapist_subject", ref="staff-1"),),
    )
    assert letter(dev, "R")[0] == "pass"
    assert [each.sentence for each in judged(dev).hints] == [
        "4 steps wait for the therapist; up to 3 at once stay manageable."
    ]
    unready = with_goal(dev, "g", readiness=None, acceptance=())
    assert letter(unready, "R") == ("warn", {"importance_not_asked", "not_agreed"})
    assert letter(with_goal(unready, "g", parent=None), "R")[0] == "fail"


@pytest.mark.parametrize(
    ("changes", "on", "result", "codes"),
    [
        ({"start_date": None}, ON, "warn", {"no_start_date"}),
        ({"target_date": None}, ON, "fail", {"no_target_date"}),
        ({"target_date": START}, START, "pass", set()),
        ({"target_date": START - timedelta(days=1)}, date(2026, 1, 1), "fail", {"target_before_start"}),
        ({"target_date": Foreign(foreign='"2026-05"')}, ON, "warn", {"date_unclear"}),
        ({"start_date": Foreign(foreign='"2026"')}, ON, "warn", {"date_unclear"}),
        ({}, DUE, "pass", set()),
        ({}, DUE + timedelta(days=1), "warn", {"past_target_date"}),
        ({"lifecycle": "on_hold"}, DUE + timedelta(days=1), "warn", {"past_target_date"}),
        ({"lifecycle": "proposed"}, DUE + timedelta(days=1), "warn", {"past_target_date"}),
        ({"lifecycle": "completed"}, DUE + timedelta(days=1), "pass", set()),
        ({"lifecycle": "declined"}, DUE + timedelta(days=1), "pass", set()),
        ({"achievement": "sustaining"}, DUE + timedelta(days=1), "pass", set()),
        ({"achievement": "achieved"}, DUE + timedelta(days=1), "pass", set()),
        ({"achievement": "improving"}, DUE + timedelta(days=1), "warn", {"past_target_date"}),
        ({"target_date": date(2026, 7, 5)}, ON, "pass", set()),
        ({"target_date": date(2026, 7, 6)}, ON, "warn", {"lasts_too_long"}),
        ({"start_date": date(2025, 8, 31), "target_date": date(2026, 2, 28)}, date(2025, 9, 1), "pass", set()),
        (
            {"start_date": date(2025, 8, 31), "target_date": date(2026, 3, 1)},
            date(2025, 9, 1),
            "warn",
            {"lasts_too_long"},
        ),
        ({"horizon": "long_term", "parent": None, "target_date": date(2028, 1, 5)}, ON, "pass", set()),
        ({"horizon": "long_term", "parent": None, "target_date": date(2028, 1, 6)}, ON, "warn", {"lasts_too_long"}),
        ({"horizon": None, "target_date": date(2030, 1, 6)}, ON, "pass", set()),
    ],
)
def test_t_goes_by_dates(changes: dict[str, Any], on: date, result: str, codes: set[str]) -> None:
    """Start and target in order, six or 24 calendar months at most, and not past the target while open."""
    assert letter(plan(changes, start_date=date(2025, 8, 31)), "T", on=on) == (result, codes)


def test_t_takes_an_ehr_born_goals_date_from_its_targets() -> None:
    """Where an EHR gave the date on a target alone, the last of them counts; our own goals need their own."""
    target = replace(TARGET, by=DUE)
    assert (
        letter(plan({"target_date": None, "targets": (TARGET, target), "origin": Origin(system="ehr")}), "T")[0]
        == "pass"
    )
    assert letter(plan({"target_date": None, "targets": (TARGET, target)}), "T")[0] == "fail"
    unread = replace(TARGET, by=Foreign(foreign='"2026"'))
    assert letter(plan({"target_date": None, "targets": (unread,), "origin": Origin(system="ehr")}), "T")[0] == "fail"


def review(day: date, **given: Any) -> Review:
    return Review(id=f"rv-{day}", date=day, **({"kind": "scheduled", "outcome": "continue"} | given))


@pytest.mark.parametrize(
    ("days", "held", "status", "result"),
    [
        (90, (), "completed", "pass"),  # no longer than the interval
        (91, (), "completed", "warn"),
        (91, (START,), "completed", "pass"),
        (91, (START + timedelta(days=91),), "completed", "pass"),
        (91, (START + timedelta(days=92),), "completed", "warn"),
        (91, (START - timedelta(days=1),), "revoked", "warn"),
        (91, (), "active", "pass"),  # due on the 90th day
        (91, (START + timedelta(days=2),), "active", "pass"),
        (
            100,
            (START - timedelta(days=1), START + timedelta(days=101)),
            "active",
            "warn",
        ),  # held too late, next one due later
    ],
)
def test_t_wants_a_review_on_the_way(days: int, held: tuple[date, ...], status: str, result: str) -> None:
    """A goal that lasts longer than the interval needs a review held, or due, up to its target date."""
    due = START + timedelta(days=days)
    given = plan(
        {"target_date": due, "lifecycle": "completed"}, status=status, reviews=tuple(review(day) for day in held)
    )
    assert letter(given, "T", on=START + timedelta(days=120)) == (result, {"no_review"} if result == "warn" else set())


def test_t_counts_by_the_plans_own_interval() -> None:
    """A plan reviewed each month needs a review for a goal of two months, and one of half a year needs none for five."""
    for days, interval, result in ((31, 30, "warn"), (30, 30, "pass"), (150, 180, "pass")):
        given = plan(
            {"target_date": START + timedelta(days=days), "lifecycle": "completed"},
            status="completed",
            review_interval_days=interval,
        )
        assert letter(given, "T", on=START + timedelta(days=180))[0] == result


def test_t_counts_a_review_of_the_same_day_and_none_to_come() -> None:
    """A review held on the day it is judged counts; one after it does not yet."""
    day = START + timedelta(days=80)
    long = plan({"target_date": START + timedelta(days=91)}, status="completed", reviews=(review(day),))
    assert letter(long, "T", on=day)[0] == "pass"
    assert letter(long, "T", on=day - timedelta(days=1)) == ("warn", {"no_review"})


def test_t_judges_a_draft_plan_as_if_its_review_clock_ran() -> None:
    """A draft has no review due yet and will have one; without an interval of its own the catalogue's counts."""
    long = plan({"target_date": START + timedelta(days=91)}, status="draft", review_interval_days=None)
    assert letter(long, "T")[0] == "pass"
    assert letter(replace(long, start_date=Foreign(foreign='"2026"')), "T")[1] == {"no_review"}


def test_hints_come_gravest_first_and_the_score_leaves_out_what_does_not_apply() -> None:
    """Fails stand before warnings; an exploratory goal is scored over four letters."""
    found = judged(
        plan({"text": "Walk a little more", "target_date": None, "readiness": Readiness(importance=8, confidence=6)})
    )
    assert [each.code for each in found.hints] == ["no_target_date", "few_words", "confidence_middling"]
    assert found.score == "2/5"
    explored = judged(plan({"nature": "exploratory", "completion_criterion": "Two needs named"}))
    assert (explored.score, explored.hints) == ("4/4", ())


def test_an_unknown_goal_is_an_error() -> None:
    """Asking for a goal that the plan does not have raises."""
    with pytest.raises(KeyError):
        judged(plan(), "g-none")


def test_goals_in_a_circle_are_judged() -> None:
    """A plan that breaks the rules of the hierarchy is judged all the same."""
    circle = replace(
        plan(), goals=(goal("a", parent="b", horizon="long_term"), goal("b", parent="a"), goal("c", parent="c"))
    )
    assert set(smart.assess_all(circle, ON, RULES, CATALOGUE)) == {"a", "b", "c"}


def test_every_reason_can_be_given_and_its_sentence_be_filled() -> None:
    """The table of reasons and the rules name the same codes; no sentence has a place that nothing fills."""
    source = Path(smart_rules.__file__).read_text(encoding="utf-8")
    named = {code for code in smart_reasons.REASONS if f'"{code}"' in source}
    assert named == smart_reasons.REASONS.keys()
    filled = set(re.findall(r'"(\w+)": ', source))
    for saying in smart_reasons.REASONS.values():
        assert {name for _, name, _, _ in Formatter().parse(saying.sentence) if name} <= filled
        assert len(saying.sentence) <= 90


def test_changed_rules_carry_another_version() -> None:
    """Limits changed on the spot never pass for the shipped ones, whatever version they claim; order of lists counts not for sets."""
    text = (ROOT / "config/smart.toml").read_text(encoding="utf-8")
    assert smart_limits.read_rules(text, name="smart.toml") == RULES
    laxer = smart_limits.read_rules(
        text.replace("confidence_pass_from = 7", "confidence_pass_from = 5"), name="smart.toml"
    )
    assert laxer.rule_version != RULES.rule_version
    assert laxer.attainable.confidence_pass_from == 5
    assert smart_limits.read_rules("mark = '00000000'\n" + text, name="smart.toml") == RULES
    found = smart.assess(plan({"readiness": Readiness(importance=8, confidence=5)}), "g", ON, laxer, CATALOGUE)
    assert found.results["A"] == "pass"


@pytest.mark.parametrize(
    "text", ["version = 1", "version = ", "version = '1'\nshoe = 2", "version = '1'\n[specific]\nvague = 'x'"]
)
def test_rules_that_can_not_be_read_are_a_fault_of_configuration(text: str) -> None:
    """A wrong type, an unknown or a missing key and broken TOML name the file."""
    with pytest.raises(ConfigurationError, match=r"smart\.toml"):
        smart_limits.read_rules(text, name="smart.toml")
    whole = (ROOT / "config/smart.toml").read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"specific\.words_fail_below"):
        smart_limits.read_rules(whole.replace("words_fail_below = 3", "words_fail_below = '3'"), name="smart.toml")


def test_the_word_lists_hold_words_as_they_are_compared() -> None:
    """Phrases and names are in the form that texts are brought to, sorted, each once."""
    lists = tomllib.loads((ROOT / "config/smart.toml").read_text(encoding="utf-8"))["specific"]
    for name in ("vague", "harmless_phrases", "diagnosis_names", "qualifiers", "harmless_joins"):
        assert lists[name] == [smart_rules.wording(each) for each in lists[name]]
        assert len(set(lists[name])) == len(lists[name])
    assert not set(lists["diagnosis_names"]) & set(lists["qualifiers"])


@given(
    st.text(max_size=300),
    st.sampled_from([example(path) for path in EXAMPLES] + [full()]),
    st.dates(date(2020, 1, 1), date(2032, 1, 1)),
)
def test_any_text_on_any_day_is_judged(text: str, of: Plan, on: date) -> None:
    """Whatever is written, every goal gets five letters; the wording of a text is its own wording."""
    changed = replace(of, goals=tuple(replace(each, text=text) for each in of.goals))
    for found in smart.assess_all(changed, on, RULES, CATALOGUE).values():
        assert "".join(found.results) == "SMART"
        assert 0 <= found.passed <= found.applicable <= 5
        assert found.applicable == 5 - ("not_applicable" in found.results.values())
    assert smart_rules.wording(smart_rules.wording(text)) == smart_rules.wording(text)


def test_a_goal_with_nothing_is_judged() -> None:
    """A goal born in an EHR may have nothing but an id."""
    bare = replace(plan(), goals=(Goal(id="g", origin=Origin(system="ehr")),))
    assert judged(bare).results == {"S": "fail", "M": "fail", "A": "warn", "R": "fail", "T": "fail"}
