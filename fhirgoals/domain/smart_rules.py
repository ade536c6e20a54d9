"""The rules of the five SMART letters, one function each: what is wrong with a goal, as codes of `smart_reasons`.

A letter without a reason passes. Source of every rule: domain reference, section 5. Nothing here blocks anything.
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import TypeAlias

from fhirgoals.domain.instruments import Catalogue
from fhirgoals.domain.records import Foreign, Gas, Goal, Measure, Plan, Step, Target
from fhirgoals.domain.smart_limits import SmartRules, Specific
from fhirgoals.domain.targets import Aim, aim

Said: TypeAlias = tuple[str, dict[str, object]]
"""A reason's code and what its sentence is filled with."""

CLOSED = frozenset({"completed", "cancelled", "declined", "entered_in_error"})
GIVEN_UP = frozenset({"cancelled", "declined", "entered_in_error"})
UNDER_WAY = frozenset({"accepted", "planned", "active", "on_hold"})
WAITING = frozenset({"planned", "scheduled", "in_progress", "on_hold"})
_LEVELS = frozenset({"-2", "-1", "0", "1", "2"})
_APOSTROPHES = {ord("'"): None, 0x2019: None}  # "don't" is one word, however it is typed
_NEAR = 200  # signs of the text around a join that are looked at
_DIAGNOSIS_CODE = re.compile(r"[a-z]\d[0-9a-z](\.[0-9a-z]{1,4})?\Z")


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What the letters of one goal need to know of the whole plan, gathered once."""

    plan: Plan
    as_of: date
    rules: SmartRules
    catalogue: Catalogue
    reused: Container[str]
    goals: frozenset[str]
    children: Mapping[str, tuple[Goal, ...]]
    with_intervention: frozenset[str]
    problems: Mapping[str, tuple[str, ...]]
    measures: Mapping[str, Measure]
    active_goals: int
    subjects: frozenset[str]
    reviewed_on: tuple[date, ...]
    next_review: date | None
    interval_days: int

    @property
    def who(self) -> str:
        """Whose plan it is, in words."""
        return "the therapist" if self.is_development else "the client"

    @property
    def is_development(self) -> bool:
        """Whether the plan is about the therapist's own work."""
        return self.plan.kind == "professional_development"


def wording(text: str) -> str:
    """Return a text's words alone, in small letters: two texts with equal wording say the same."""
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    return " ".join("".join(each if each.isalnum() else " " for each in plain).split())


def specific(goal: Goal, facts: PlanFacts) -> Iterator[Said]:
    """S: enough words, one outcome, not vague, not another client's, and a way there."""
    limits = facts.rules.specific
    text = goal.text or ""
    words = sum(any(sign.isalnum() for sign in word) for word in text.split())
    if words == 0:
        yield "no_text", {}
    elif words < limits.words_fail_below:
        yield "too_few_words", {"words": words}
    elif words < limits.words_pass_from:
        yield "few_words", {"words": words, "least": limits.words_pass_from}
    if words and _names_a_diagnosis(text, facts):
        yield "diagnosis_only", {"who": facts.who}
    if words and not (goal.targets or goal.gas is not None) and (phrase := _vague(text, limits)):
        yield "vague_words", {"phrase": phrase}
    if join := _second_outcome(text, limits):
        yield "two_outcomes", {"join": join}
    if words and wording(text) in facts.reused:
        yield "same_wording", {}
    steps = any(step.status != "entered_in_error" for step in goal.steps)
    smaller = any(child.lifecycle not in GIVEN_UP for child in facts.children.get(goal.id, ()))
    if not (steps or smaller or goal.id in facts.with_intervention):
        yield "no_way_there", {}


def measurable(goal: Goal, facts: PlanFacts) -> Iterator[Said]:
    """M: a target with baseline and number, a complete scale, or for a long-term goal its open children."""
    if goal.nature == "exploratory" and (goal.completion_criterion or "").strip():
        yield "completion_criterion", {}
        return
    own = _countable(goal, facts)
    if not own:
        return
    found = dict.fromkeys(own)
    if goal.horizon == "long_term":
        judged = {
            child.id: not _countable(child, facts)
            for child in facts.children.get(goal.id, ())
            if child.nature != "exploratory" and child.lifecycle in UNDER_WAY
        }
        if judged and all(judged.values()):
            return
        others = [each for each in facts.children.get(goal.id, ()) if each.lifecycle not in GIVEN_UP]
        if any(judged.values()) or any(_has_something(each) for each in others):
            found = {"children_not_countable": None} | found
    if _has_criterion(goal):
        found["steps_only"] = None
    if not found.keys() - {"nothing_countable"}:
        yield "nothing_countable", {}
    for code in found:
        if code != "nothing_countable":
            yield code, {}


def attainable(goal: Goal, facts: PlanFacts) -> Iterator[Said]:
    """A: confidence, pace, and how much is under way at once."""
    limits = facts.rules.attainable
    if goal.readiness is None:
        yield "confidence_not_asked", {"who": facts.who}
    else:
        confidence = goal.readiness.confidence
        if confidence <= limits.confidence_fail_to and _accepted(goal, facts):
            yield "confidence_low", {"confidence": confidence}
        elif confidence < limits.confidence_pass_from:
            yield "confidence_middling", {"confidence": confidence, "least": limits.confidence_pass_from}
    if goal.achievement == "not_attainable":
        yield "not_attainable", {}
    yield from _paces(goal, facts)
    if goal.lifecycle in CLOSED:
        return  # what is closed asks for nothing more
    if facts.active_goals > limits.active_goals_fail_above:
        yield "too_many_goals", {"goals": facts.active_goals, "most": limits.active_goals_fail_above}
    elif facts.active_goals > limits.active_goals_pass_to:
        yield "many_goals", {"goals": facts.active_goals, "most": limits.active_goals_pass_to}
    waiting = sum(step.status in WAITING and _is_own(step, facts) for step in goal.steps)
    if waiting > limits.open_steps_pass_to:
        yield "many_steps", {"steps": waiting, "who": facts.who, "most": limits.open_steps_pass_to}


def relevant(goal: Goal, facts: PlanFacts) -> Iterator[Said]:
    """R: the ties that are missing between the goal and this person."""
    least = facts.rules.relevant.importance_pass_from
    if not facts.is_development:
        if not facts.problems.get(goal.id):
            yield "no_problem", {}
        if not (goal.client_words or "").strip():
            yield "no_client_words", {}
    if goal.horizon == "short_term" and goal.parent not in facts.goals:
        yield "no_parent", {}
    if goal.readiness is None:
        yield "importance_not_asked", {"who": facts.who}
    elif goal.readiness.importance < least:
        yield "importance_low", {"importance": goal.readiness.importance, "least": least}
    said = {each.status for each in goal.acceptance if each.by in facts.subjects}
    if "disagree" in said and goal.lifecycle == "active":
        yield "disagreed", {"who": facts.who}
    elif "agree" not in said or "disagree" in said:
        yield "not_agreed", {"who": facts.who}


def time_bound(goal: Goal, facts: PlanFacts) -> Iterator[Said]:
    """T: start and target date, how long it runs, and a review on the way."""
    start, due = goal.start_date, goal.target_date
    if due is None and goal.origin is not None:  # an EHR may give the date on a target alone
        due = max((each.by for each in goal.targets if isinstance(each.by, date)), default=None)
    if start is None:
        yield "no_start_date", {}
    if due is None:
        yield "no_target_date", {}
    if isinstance(start, Foreign) or isinstance(due, Foreign):
        yield "date_unclear", {}
    reached = goal.achievement in ("achieved", "sustaining")
    if isinstance(due, date) and due < facts.as_of and goal.lifecycle not in CLOSED and not reached:
        yield "past_target_date", {}
    if not isinstance(start, date) or not isinstance(due, date):
        return
    if due < start:
        yield "target_before_start", {}
        return
    limits = facts.rules.time_bound
    months = {"short_term": limits.short_term_months, "long_term": limits.long_term_months}.get(str(goal.horizon))
    if months is not None and due > _months_after(start, months):
        yield "lasts_too_long", {"months": months}
    held = any(start <= day <= due for day in facts.reviewed_on)
    coming = facts.next_review is not None and facts.next_review <= due
    if (due - start).days > facts.interval_days and not (held or coming):
        yield "no_review", {}


def _names_a_diagnosis(text: str, facts: PlanFacts) -> bool:
    limits = facts.rules.specific
    uncoded = [word for word in text.split() if not _DIAGNOSIS_CODE.match(word.casefold().strip(".,;()"))]
    words = set(wording(" ".join(uncoded)).split())
    if not words:
        return True
    named = {word for each in facts.plan.problems for word in wording(each.code.display or "").split()}
    names = (limits.diagnosis_names | named) - limits.qualifiers
    return words <= names | limits.qualifiers and bool(words & names)


def _vague(text: str, limits: Specific) -> str | None:
    said = f" {wording(text)} "
    for phrase in limits.harmless_phrases:
        said = said.replace(f" {phrase} ", " | ")
    return next((phrase for phrase in limits.vague if f" {phrase} " in said), None)


def _second_outcome(text: str, limits: Specific) -> str | None:
    """Return the word that may join two outcomes: any `and` that joins no known pair, list, span or numbers."""
    said = " ".join(unicodedata.normalize("NFKC", text).casefold().replace(",", " , ").split())
    for pair in limits.harmless_joins:
        said = re.sub(rf"(?<!\w){re.escape(pair)}(?!\w)", "|", said)
    for join in limits.joins:
        for found in re.finditer(rf"(?<!\S){re.escape(join)}(?!\S)", said):
            before, after = said[max(found.start() - _NEAR, 0) : found.start()], said[found.end() : found.end() + _NEAR]
            if not _is_harmless(before.split(), after.split()):
                return join
    return None


def _is_harmless(before: list[str], after: list[str]) -> bool:
    if before[-1:] == [","]:  # the comma of "a, b, and c"
        before = before[:-1]
    if not before or not after:
        return False
    enumerated = len(before) >= 3 and before[-2] == ","
    numbers = before[-1][:1].isdigit() and after[0][:1].isdigit()
    return enumerated or numbers or "between" in before[-4:]


def _countable(goal: Goal, facts: PlanFacts) -> list[str]:
    """Return why a goal's own targets and scale can't be counted; an empty list where one of them can."""
    found: list[str] = []
    for target in goal.targets:
        measure = facts.measures.get(target.measure or "")
        if measure is None or aim(target) is None:
            found.append("target_incomplete")
        elif measure.baseline is None or measure.baseline.date > facts.as_of:
            found.append("target_without_baseline")
        else:
            return []
    if goal.gas is not None:
        if _is_complete(goal.gas):
            return []
        found.append("scale_incomplete")
    return found or ["nothing_countable"]


def _is_complete(gas: Gas) -> bool:
    texts = {wording(text) for text in gas.levels.values()} - {""}
    return gas.levels.keys() == _LEVELS and len(texts) == len(_LEVELS) and gas.baseline is not None


def _has_criterion(goal: Goal) -> bool:
    steps = any(step.status != "entered_in_error" for step in goal.steps)
    return steps or bool((goal.completion_criterion or "").strip())


def _has_something(goal: Goal) -> bool:
    return bool(goal.targets) or goal.gas is not None or _has_criterion(goal)


def _accepted(goal: Goal, facts: PlanFacts) -> bool:
    agreed = any(each.by in facts.subjects and each.status == "agree" for each in goal.acceptance)
    return agreed or goal.lifecycle in UNDER_WAY or goal.lifecycle == "completed"


def _is_own(step: Step, facts: PlanFacts) -> bool:
    """Whether a step waits for the person whose plan it is."""
    return step.owner == ("therapist" if facts.is_development else "client")


def _paces(goal: Goal, facts: PlanFacts) -> Iterator[Said]:
    """What is unrealistic about the targets: each kind of reason once, of the quickest target."""
    found: dict[str, dict[str, object]] = {}
    quickest: Decimal | None = None
    for target in goal.targets:
        measure, wanted = facts.measures.get(target.measure or ""), aim(target)
        if measure is None or wanted is None:
            continue
        ends = _range(measure, facts)
        if ends is not None and not (ends[0] <= wanted.low and wanted.high <= ends[1]):
            found["target_outside_range"] = {}
        share = _weekly_share(goal, target, measure, wanted, facts)
        if isinstance(share, str):
            found[share] = {}
        elif share is not None:
            quickest = share if quickest is None else max(quickest, share)
    yield from found.items()
    limits = facts.rules.attainable
    if quickest is not None and quickest > limits.weekly_share_fail_above:
        yield "too_quick_pace", {"percent": _percent(quickest), "most": _percent(limits.weekly_share_fail_above)}
    elif quickest is not None and quickest > limits.weekly_share_pass_to:
        yield "quick_pace", {"percent": _percent(quickest), "most": _percent(limits.weekly_share_pass_to)}


def _weekly_share(goal: Goal, target: Target, measure: Measure, wanted: Aim, facts: PlanFacts) -> Decimal | str | None:
    """Return the share of the range that a target asks for per week, or the code of why there is none.

    Distance from the baseline to the target / weeks from the goal's start to the day the target is due / width of the
    range. `None` where the baseline or a day is not known: M and T say that.
    """
    first = measure.baseline
    if first is None or first.date > facts.as_of:
        return None
    if wanted.is_met_by(first.value):
        return "met_at_baseline"
    start, due = goal.start_date, goal.target_date if target.by is None else target.by
    if not isinstance(start, date) or not isinstance(due, date):
        return None
    if due <= start:
        return "no_time"
    ends = _range(measure, facts)
    if ends is None or ends[1] <= ends[0]:
        return "pace_unknown"
    return wanted.distance(first.value) * 7 / (due - start).days / (ends[1] - ends[0])


def _range(measure: Measure, facts: PlanFacts) -> tuple[Decimal, Decimal] | None:
    known = facts.catalogue.instrument(measure)
    return measure.range or (known.range if known is not None else None)


def _percent(share: Decimal) -> str:
    return str((share * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


@lru_cache(maxsize=256)
def _months_after(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
