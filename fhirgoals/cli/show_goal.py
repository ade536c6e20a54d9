"""What is said of one goal: to its therapist everything, to its client what is theirs, to a connection what goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

from fhirgoals.cli import show_words as say
from fhirgoals.cli import words
from fhirgoals.cli.output import clean, short
from fhirgoals.cli.sparkline import sparkline
from fhirgoals.cli.tree import goal_title, is_closed, status_words, step_texts
from fhirgoals.domain.attainment import RATERS, latest_level, ratings
from fhirgoals.domain.disclosure import kept_back
from fhirgoals.domain.progress import Progress
from fhirgoals.domain.readers import client_words_first
from fhirgoals.domain.readings import baseline, series
from fhirgoals.domain.records import Goal, Measure, Plan, ProgressEntry, Step, Target
from fhirgoals.domain.smart import Assessment
from fhirgoals.domain.steps import count
from fhirgoals.domain.targets import aim

_NOTE = 160
"""A note is cut at a word after so many characters; `get` has the whole of it."""

_NOT_COUNTED = frozenset({"draft", "proposed", "cancelled", "declined", "entered_in_error"})
"""Smaller goals that say nothing of how far a goal is (domain reference 6, parent roll-up)."""

Reader: TypeAlias = Literal["therapist", "client", "proxy", "connection"]


@dataclass(frozen=True)
class Told:
    """What a goal's lines are made from: the plan as its reader gets it, its figures on the day, how much is told."""

    plan: Plan
    on: date
    figures: Progress
    numbers: Mapping[str, str]
    smart: Mapping[str, Assessment] = field(default_factory=dict)
    reader: Reader = "therapist"
    me: frozenset[str] = frozenset()
    full: bool = False
    blocks: bool = True

    def ref(self, goal_id: str) -> str:
        """Return how a goal is pointed to: its number in the tree and a few of its words."""
        number = self.numbers.get(goal_id)
        goal = self.plan.goal(goal_id)
        title = client_words_first(goal).first if self.reader in ("client", "proxy") else goal_title(goal)
        return f"{number} {short(title, 50)}" if number else "a goal not shown here"

    def measure(self, measure_id: str | None) -> Measure | None:
        """Return a measure of the plan."""
        return next((each for each in self.plan.measures if each.id == measure_id), None)


def for_therapist(told: Told, goal: Goal) -> Iterator[str]:
    """Yield everything that a therapist is told of a goal."""
    brief = is_closed(goal) and not told.full
    if goal.client_words:
        yield f"“{clean(goal.client_words)}”"
    yield f"({status_words(goal, told.on)}{_kind(goal)}{_kept_back(told, goal)})"
    if goal.review == "unreviewed":
        yield "Came from an EHR, and no therapist has seen it yet."
    if goal.status_reason:
        yield f"Why: {clean(goal.status_reason)}"
    if goal.completion_criterion:
        yield f"Done when: {clean(goal.completion_criterion)}"
    yield from _stones(told, goal)
    for target in goal.targets:
        yield _target(told, goal, target)
    yield from _scale(told, goal)
    yield from _whole(told, goal)
    if not brief:
        yield from _therapist_does(told, goal)
    yield from _steps(told, goal, brief=brief, trials=True)
    yield from _victories(told, goal)
    yield from _barriers(told, goal)
    yield from _notes(told, goal)
    yield from _changes(told, goal)
    if goal.lifecycle != "entered_in_error":
        yield from filter(None, [say.agreement(told.plan, goal)] if not brief else [])
    if not brief:
        yield from _hints(told, goal)


def for_client(told: Told, goal: Goal) -> Iterator[str]:
    """Yield what a client or a proxy is told of a goal; no judgement of the practice's, no word of its trade."""
    below = client_words_first(goal).below
    if below:
        yield clean(below)
    yield f"({status_words(goal, told.on)}{_kept_back(told, goal)})"
    if goal.status_reason and goal.lifecycle in ("on_hold", "declined"):
        yield f"Why: {clean(goal.status_reason)}"
    if goal.completion_criterion:
        yield f"Done when: {clean(goal.completion_criterion)}"
    yield from _stones(told, goal)
    for target in goal.targets:
        yield _target(told, goal, target)
    yield from _scale(told, goal)
    children = [each for each in told.plan.goals if each.parent == goal.id and each.lifecycle not in _NOT_COUNTED]
    if children:
        reached = sum(each.achievement in ("achieved", "sustaining") for each in children)
        yield f"{reached} of {words.count(len(children), 'smaller goal')} reached"
    yield from _steps(told, goal, brief=is_closed(goal) and not told.full, trials=False)
    yield from _victories(told, goal)
    yield from _barriers(told, goal)
    yield from _notes(told, goal)
    yield from _own_answer(told, goal)


def for_connection(told: Told, goal: Goal) -> Iterator[str]:
    """Yield what a connection gets of a goal, every text in full; no figure is computed for it."""
    area = f"; {say.AREA[goal.domain]}" if isinstance(goal.domain, str) else ""
    yield f"({status_words(goal, told.on)}{_kind(goal)}{area})"
    if goal.client_words:
        yield f"In the client's words: “{clean(goal.client_words)}”"
    if goal.status_reason:
        yield f"Why: {clean(goal.status_reason)}"
    if goal.completion_criterion:
        yield f"Done when: {clean(goal.completion_criterion)}"
    yield from _stones(told, goal)
    for target in goal.targets:
        measure = told.measure(target.measure)
        name = say.measure_name(measure, target.measure)
        yield f"Target: {name} {say.aim_words(target, measure)}{_by(target)}"
    yield from _therapist_does(told, goal)
    yield from step_texts(goal, told.on, _step_kind)
    for victory in goal.achievements:
        yield f"Victory, {words.on_day(victory.date)}: {clean(victory.text)}"
    for note in goal.progress:
        yield f"Note {words.on_day(note.date)}, {_author(told, note)}: {clean(note.text)}"
    yield from filter(None, [say.agreement(told.plan, goal)])


def _kind(goal: Goal) -> str:
    facts = []
    if isinstance(goal.nature, str) and goal.nature == "exploratory":
        facts.append("exploratory")
    if isinstance(goal.priority, str) and goal.priority != "medium":
        facts.append(f"{goal.priority} priority")
    if goal.readiness is not None and not is_closed(goal):
        facts.append(f"importance {goal.readiness.importance}, confidence {goal.readiness.confidence} of 10")
    return "".join(f"; {fact}" for fact in facts)


def _kept_back(told: Told, goal: Goal) -> str:
    """Say from whom the client keeps a goal back; what a proxy or a connection gets tells nothing of it."""
    if told.reader not in ("therapist", "client"):
        return ""
    keeps = "you keep" if told.reader == "client" else "the client keeps"
    if goal.id in kept_back(told.plan, ""):
        return f"; {keeps} it back"
    named = dict.fromkeys(each.endpoint for each in told.plan.disclosure.withheld if each.endpoint)
    back = [endpoint for endpoint in named if goal.id in kept_back(told.plan, endpoint)]
    return f"; {keeps} it back from {', '.join(clean(each) for each in back)}" if back else ""


def _step_kind(step: Step) -> str:
    return say.STEP_KIND.get(step.kind, "") if isinstance(step.kind, str) else ""


def _stones(told: Told, goal: Goal) -> Iterator[str]:
    """Yield what a goal builds on, what it leads to, and what took its place."""
    known = {each.id for each in told.plan.goals}
    before = [told.ref(each) for each in goal.predecessors if each in known]
    after = [told.ref(each.id) for each in told.plan.goals if goal.id in each.predecessors]
    if before:
        yield "Stepping stone: " + "; ".join(before)
    if after:
        yield "Leads to: " + "; ".join(after)
    if goal.replaced_by in known and goal.replaced_by is not None:
        yield f"Replaced by: {told.ref(goal.replaced_by)}"


def _target(told: Told, goal: Goal, target: Target) -> str:
    measure = told.measure(target.measure)
    name = say.measure_name(measure, target.measure)
    asked = f"target: {say.aim_words(target, measure)}{_by(target)}"
    state = next(
        (each for each in told.figures.targets if (each.goal, each.target) == (goal.id, target.key)),
        None,
    )
    if measure is None or state is None:
        return f"{name}: {asked}"
    first, readings = baseline(measure, told.on), series(measure, told.on)
    bars = sparkline(say.values_of(measure, readings, first), blocks=told.blocks)
    now = readings[-1].value if readings else None
    head = f"{name} {bars}" if bars else f"{name}:"
    if now is None:
        began = f"begins at {say.with_unit(first.value, measure)}" if first is not None else "no reading yet"
        return f"{head} {began}; {asked}"
    way = f"{say.number(first.value)} → " if first is not None else ""
    facts = [f"{way}{say.with_unit(now, measure)}"]
    if state.percent is not None:
        facts.append(f"{say.percent(state.percent)} of the way")
    wanted = aim(target)
    if state.met:
        late = f", {say.days(state.late_days)} late" if state.late_days else ""
        facts.append(f"met on {words.on_day(state.met_on)}{late}")
    elif state.percent is None and wanted and first is not None and wanted.is_met_by(first.value):
        # There was no way to go, so no share of it can be told.
        facts.append("met at the start, no longer")
    if not state.met and state.trend is not None and not is_closed(goal):
        facts.append(say.TREND[state.trend])
    return f"{head} {', '.join(facts)}; {asked}"


def _by(target: Target) -> str:
    return f" by {words.on_day(target.by)}" if target.by is not None else ""


def _scale(told: Told, goal: Goal) -> Iterator[str]:
    """Yield a goal's ratings on its scale, in the words of the levels."""
    gas = goal.gas
    if gas is None:
        return
    rated = [(rater, level) for rater in RATERS if (level := latest_level(gas, rater, told.on)) is not None]
    if not rated:
        expected = gas.levels.get("0")
        yield "Not rated yet" + (f"; hoped for: {clean(expected)}" if expected else "")
        return
    for rater, level in rated:
        text = gas.levels.get(str(level))  # type: ignore[call-overload]
        day = words.on_day(ratings(gas, rater, told.on)[-1].date)
        who = say.RATER_TO_CLIENT[rater] if told.reader == "client" else say.RATER[rater].capitalize()
        own = "" if who == "Own rating" else " rated"
        # A 0 reads like a failure where nobody says that it is what was hoped for.
        yield f"{who}{own} {say.level(level)} ({say.LEVEL[level]}) on {day}" + (f": {clean(text)}" if text else "")


def _whole(told: Told, goal: Goal) -> Iterator[str]:
    """Yield how far a goal is: its own figure where its targets don't tell, and that of the goals under it."""
    own = next((each for each in told.figures.figures if each.goal == goal.id), None)
    if own is not None and own.share is not None and (own.source != "targets" or len(goal.targets) > 1):
        by = {"targets": "targets together", "attainment": "by their own rating", "steps": "by steps done"}
        yield f"In all: {say.percent(own.share)} ({by[str(own.source)]})"
    whole = next((each for each in told.figures.roll_ups if each.goal == goal.id), None)
    if whole is not None:
        counted = f"{whole.covered} of {words.count(whole.children, 'goal')} counted"
        figure = "no figure yet" if whole.value is None else say.percent(whole.value)
        yield f"Goals below: {figure} ({counted}, weighted by priority)"
    for each in told.figures.proposals:
        if each.goal == goal.id:
            yield f"The numbers suggest “{words.of_code(words.ACHIEVEMENT, each.proposed)}”; a person confirms it."


def _therapist_does(told: Told, goal: Goal) -> Iterator[str]:
    for each in told.plan.interventions:
        if goal.id in each.goals and each.technique:
            often = f", {words.often(each.frequency)}" if each.frequency else ""
            yield f"{say.role_of(told.plan, each.by).capitalize()}: {clean(each.technique)}{often}"


def _steps(told: Told, goal: Goal, *, brief: bool, trials: bool) -> Iterator[str]:
    if not goal.steps:
        return
    coming = told.figures.next_steps.get(goal.id)
    ladder = next((each for each in told.figures.ladders if each.goal == goal.id), None)
    if brief:
        done = count(goal.steps)
        if done.total:
            yield f"{done.done} of {words.count(done.total, 'step')} done"
        return
    if ladder is not None:
        halved = sum(ladder.last_halved.values())
        said = f"Exposure ladder: {ladder.done} of {words.count(ladder.total, 'step')} done"
        if trials and ladder.last_halved:
            said += f"; distress fell by half in the last try of {halved} of {len(ladder.last_halved)} steps tried"
        if trials and ladder.order_violations:
            said += f"; begun before the step below was done: {len(ladder.order_violations)}"
        yield said

    def more(step: Step) -> str:
        facts = []
        if trials and ladder is None and _step_kind(step):
            facts.append(_step_kind(step))
        if step.suds_expected is not None and step.status != "done":
            facts.append(f"expected distress {step.suds_expected}")
        tried = sorted((each for each in step.trials if each.date <= told.on), key=lambda each: each.date)
        if trials and tried:
            facts.append(f"distress {tried[-1].peak} → {tried[-1].end}")
        if step.id == coming:
            facts.append("next")
        return ", ".join(facts)

    yield from step_texts(goal, told.on, more)


def _victories(told: Told, goal: Goal) -> Iterator[str]:
    for each in goal.achievements:
        if isinstance(each.date, date) and each.date > told.on:
            continue
        joy = f" (celebrated: {clean(each.celebrated)})" if each.celebrated else ""
        size = words.of_code(say.VICTORY, each.size, "Victory")
        yield f"{size}, {words.on_day(each.date)}: {clean(each.text)}{joy}"


def _barriers(told: Told, goal: Goal) -> Iterator[str]:
    for each in goal.barriers:
        if each.date > told.on or (each.resolved is not None and not told.full):
            continue
        solved = f" (out of the way since {words.on_day(each.resolved)})" if each.resolved is not None else ""
        yield f"In the way since {words.on_day(each.date)}: {clean(each.text or each.code or 'not said')}{solved}"


def _notes(told: Told, goal: Goal) -> Iterator[str]:
    """Yield the last note that may be read aloud, and how many others there are: they stand in the plan's file."""
    written = [each for each in goal.progress if not (isinstance(each.date, date) and each.date > told.on)]
    shared = sorted(
        (each for each in written if each.visibility == "shared" or each.author in told.me),
        key=lambda each: str(each.date or ""),
    )
    last = shared if told.full else shared[-1:]
    for note in last:
        yield f"Note {words.on_day(note.date)}, {_author(told, note)}: {short(note.text, _NOTE)}"
    more = [words.count(len(shared) - len(last), "earlier note")] if len(shared) > len(last) else []
    hidden = len(written) - len(shared)
    more += [words.count(hidden, "note not for the client", "notes not for the client")] if hidden else []
    more += [words.count(len(goal.findings), "private finding")] if goal.findings else []
    if more and not is_closed(goal):
        yield "Also: " + ", ".join(more)


def _changes(told: Told, goal: Goal) -> Iterator[str]:
    """Yield when and why a goal was changed by agreement, the last time or every time."""
    known = [each for each in goal.revisions if each.date <= told.on]
    for each in known if told.full else known[-1:]:
        asked = f", asked for by the {say.role_of(told.plan, each.requested_by)}" if each.requested_by else ""
        yield f"Changed on {words.on_day(each.date)}: {say.CHANGED_FOR[each.reason]}{asked}"


def _author(told: Told, note: ProgressEntry) -> str:
    if note.author in told.me:
        return "you"
    if note.author is None:
        return clean(note.author_text) if note.author_text else "by someone at the EHR"
    role = say.role_of(told.plan, note.author)
    return f"your {role}" if told.reader == "client" else role


def _own_answer(told: Told, goal: Goal) -> Iterator[str]:
    """Yield what the reader answered, and that the therapist agreed too; to a proxy who was not asked, who agreed."""
    if is_closed(goal):
        return
    lines = [each for each in goal.acceptance if each.by in told.me]
    others = [each for each in goal.acceptance if each.by not in told.me and each.status == "agree"]
    waiting = [each for each in goal.acceptance if each.by not in told.me and each.status == "pending"]
    if told.reader == "proxy" and not lines:
        yield from filter(None, [say.agreement(told.plan, goal)])
        return
    if not lines or lines[0].status == "pending":
        yield "You have not answered yet whether you agree."
        return
    line = lines[0]
    day = f" on {words.on_day(line.date)}" if line.date is not None else ""
    if line.status == "disagree":
        yield f"You disagreed{day}" + (f": {clean(line.reason)}" if line.reason else "")
    else:
        your = "the" if told.reader == "proxy" else "your"
        who = ", ".join(f"{your} {say.role_of(told.plan, each.by)}" for each in others)
        still = ", ".join(f"{your} {say.role_of(told.plan, each.by)}" for each in waiting)
        yield f"You agreed{day}" + (f"; so did {who}" if who else "") + (f"; still to answer: {still}" if still else "")


def _smart_then(goal: Goal) -> str:
    """Say how SMART a goal was when it last took a step towards work, by the rules of that day."""
    kept = goal.smart
    if kept is None:
        return ""
    counted = [result for result in kept.letters.values() if result != "not_applicable"]
    then = f"{counted.count('pass')} of {len(counted)} on {words.on_day(kept.date)}"
    return f"; on record: {then}, by rule version {clean(kept.rule_version)}"


def _hints(told: Told, goal: Goal) -> Iterator[str]:
    """Yield how SMART a goal is and what to look at, in plain words, and what time has made of it."""
    found = told.smart.get(goal.id)
    if found is not None and not is_closed(goal):
        letters = {reason.code: letter.letter for letter in found.letters for reason in letter.reasons}
        yield f"SMART: {found.passed} of {found.applicable}{_smart_then(goal)}"
        for hint in found.hints:
            yield f"- {say.LETTER[letters[hint.code]]}: {hint.sentence}"
    for warning in told.figures.warnings:
        if warning.at == goal.id:
            late = f" ({say.days(warning.days)})" if warning.days else ""
            yield f"- {warning.sentence[:-1]}{late}."
