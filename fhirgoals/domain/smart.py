"""How SMART a goal is: a letter each for specific, measurable, attainable, relevant and time-bound, with reasons.

A pure function of the plan, the day and the rules (domain reference 5). It warns and never stops a save or an import;
a result stays here and is sent to no one. Drafts and proposals are judged like the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from datetime import date

import msgspec

from fhirgoals.domain.agreement import client_side
from fhirgoals.domain.disclosure import addressed_problems
from fhirgoals.domain.instruments import Catalogue
from fhirgoals.domain.records import Goal, Plan, Record, SmartResult
from fhirgoals.domain.reviews import next_due
from fhirgoals.domain.smart_limits import SmartRules
from fhirgoals.domain.smart_reasons import REASONS, Letter, Result
from fhirgoals.domain.smart_rules import (
    PlanFacts,
    Said,
    attainable,
    measurable,
    relevant,
    specific,
    time_bound,
    wording,
)

_WEIGHT: dict[Result, int] = {"pass": 0, "not_applicable": 1, "warn": 2, "fail": 3}
_RULES: dict[Letter, Callable[[Goal, PlanFacts], Iterator[Said]]] = {
    "S": specific,
    "M": measurable,
    "A": attainable,
    "R": relevant,
    "T": time_bound,
}
_TIES = frozenset(code for code, saying in REASONS.items() if saying.letter == "R" and saying.result == "warn")


class Reason(Record, frozen=True, kw_only=True):
    """Why a letter does not pass, or does not apply."""

    code: str
    result: Result
    sentence: str


class LetterResult(Record, frozen=True, kw_only=True):
    """One letter: its result is the gravest of its reasons; without a reason it passes."""

    letter: Letter
    result: Result
    reasons: tuple[Reason, ...] = ()


class Assessment(Record, frozen=True, kw_only=True):
    """All five letters of a goal on a day; `passed` of `applicable` is the score."""

    goal: str
    as_of: date
    rule_version: str
    letters: tuple[LetterResult, ...]
    passed: int
    applicable: int

    @property
    def score(self) -> str:
        """The score as people read it: `4/5`."""
        return f"{self.passed}/{self.applicable}"

    @property
    def results(self) -> dict[Letter, Result]:
        """The result of each letter, in the word's order."""
        return {each.letter: each.result for each in self.letters}

    @property
    def hints(self) -> tuple[Reason, ...]:
        """What to look at: the reasons that warn or fail, the gravest first."""
        every = [reason for each in self.letters for reason in each.reasons if reason.result in ("warn", "fail")]
        return tuple(sorted(every, key=lambda reason: -_WEIGHT[reason.result]))


def assess(
    plan: Plan,
    goal_id: str,
    as_of: date,
    rules: SmartRules,
    catalogue: Catalogue,
    reused: Container[str] = frozenset(),
) -> Assessment:
    """Return one goal's letters. `reused` holds the wordings of other clients' goals (`other_wordings`).

    Raises `KeyError` where the plan has no such goal.
    """
    return _assessed(plan.goal(goal_id), _facts(plan, as_of, rules, catalogue, reused))


def assess_all(
    plan: Plan, as_of: date, rules: SmartRules, catalogue: Catalogue, reused: Container[str] = frozenset()
) -> dict[str, Assessment]:
    """Return the letters of every goal by its id, in the plan's order."""
    facts = _facts(plan, as_of, rules, catalogue, reused)
    return {goal.id: _assessed(goal, facts) for goal in plan.goals}


def result_of(assessment: Assessment) -> SmartResult:
    """Return what is kept of an assessment with its goal: day, rule version, letters, and the reasons by code."""
    return SmartResult(
        date=assessment.as_of,
        rule_version=assessment.rule_version,
        letters=assessment.results,
        reasons=tuple(reason.code for each in assessment.letters for reason in each.reasons),
    )


def other_wordings(plan: Plan, others: Iterable[Plan]) -> frozenset[str]:
    """Return the wordings of the goals of other people than the plan's: compared only, never shown."""
    return frozenset(
        words
        for other in others
        if other.id != plan.id and (_subject(other) is None or _subject(other) != _subject(plan))
        for goal in other.goals
        if goal.lifecycle != "entered_in_error" and (words := wording(goal.text or ""))
    )


def _interval(plan: Plan, catalogue: Catalogue) -> int:
    days = plan.review_interval_days
    return catalogue.limits.review_interval_days if days is None else days


def _next_review(plan: Plan, as_of: date, catalogue: Catalogue) -> date | None:
    """The review clock's day; a draft is judged as if it ran, since its goals are meant for then."""
    running = msgspec.structs.replace(plan, status="active") if plan.status == "draft" else plan
    return next_due(running, as_of, catalogue.limits)


def _subject(plan: Plan) -> str | None:
    person = plan.client or plan.therapist
    return None if person is None else person.id


def _facts(plan: Plan, as_of: date, rules: SmartRules, catalogue: Catalogue, reused: Container[str]) -> PlanFacts:
    children: dict[str, list[Goal]] = {}
    for goal in plan.goals:
        if goal.parent is not None and goal.parent != goal.id:
            children.setdefault(goal.parent, []).append(goal)
    known = {problem.id for problem in plan.problems}
    return PlanFacts(
        plan=plan,
        as_of=as_of,
        rules=rules,
        catalogue=catalogue,
        reused=reused,
        goals=frozenset(goal.id for goal in plan.goals),
        children={parent: tuple(goals) for parent, goals in children.items()},
        with_intervention=frozenset(goal for each in plan.interventions for goal in each.goals),
        problems={
            goal: tuple(each for each in problems if each in known)
            for goal, problems in addressed_problems(plan).items()
        },
        measures={measure.id: measure for measure in plan.measures},
        active_goals=sum(goal.horizon == "short_term" and goal.lifecycle == "active" for goal in plan.goals),
        subjects=frozenset(each.id for each in client_side(plan)),
        reviewed_on=tuple(review.date for review in plan.reviews if review.date <= as_of),
        next_review=_next_review(plan, as_of, catalogue),
        interval_days=_interval(plan, catalogue),
    )


def _assessed(goal: Goal, facts: PlanFacts) -> Assessment:
    letters = tuple(_letter(letter, list(rule(goal, facts)), facts.rules) for letter, rule in _RULES.items())
    applicable = [each for each in letters if each.result != "not_applicable"]
    return Assessment(
        goal=goal.id,
        as_of=facts.as_of,
        rule_version=facts.rules.rule_version,
        letters=letters,
        passed=sum(each.result == "pass" for each in applicable),
        applicable=len(applicable),
    )


def _letter(letter: Letter, said: list[Said], rules: SmartRules) -> LetterResult:
    ties = sum(code in _TIES for code, _ in said)
    reasons = tuple(_reasons(said, too_loose=ties > rules.relevant.missing_warn_to))
    result: Result = "pass"
    if reasons:
        result = max(reasons, key=lambda reason: _WEIGHT[reason.result]).result
    return LetterResult(letter=letter, result=result, reasons=reasons)


def _reasons(said: list[Said], *, too_loose: bool) -> Iterator[Reason]:
    for code, filled in said:
        saying = REASONS[code]
        result: Result = "fail" if too_loose and code in _TIES else saying.result
        yield Reason(code=code, result=result, sentence=saying.sentence.format(**filled))
