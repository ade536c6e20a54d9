"""Plain words for the figures that `show` prints: targets, ratings, agreements, alerts and reviews."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from fhirgoals.cli import words
from fhirgoals.cli.output import clean
from fhirgoals.domain.alerts import Alert
from fhirgoals.domain.records import Acceptance, DischargeCriterion, Goal, Measure, Plan, Reading, Sustain, Target
from fhirgoals.domain.smart_reasons import Letter

_OPERATOR: Mapping[str, str] = {"<": "under", "<=": "at most", "=": "exactly", ">=": "at least", ">": "over"}

RATER: Mapping[str, str] = {
    "client": "client",
    "therapist": "therapist",
    "caregiver": "caregiver",
    "self": "own rating",
}

RATER_TO_CLIENT: Mapping[str, str] = {
    "client": "You",
    "therapist": "Your therapist",
    "caregiver": "Someone close to you",
    "self": "The therapist",
}

LEVEL: Mapping[int, str] = {
    -2: "much less than hoped",
    -1: "less than hoped",
    0: "as hoped",
    1: "more than hoped",
    2: "much more than hoped",
}
"""What a level of a goal attainment scale means."""

LETTER: Mapping[Letter, str] = {
    "S": "Specific",
    "M": "Measurable",
    "A": "Attainable",
    "R": "Relevant",
    "T": "Time-bound",
}

VICTORY: Mapping[str, str] = {"small": "Small victory", "milestone": "Milestone", "goal": "Goal reached"}

METHOD: Mapping[str, str] = {"verbal": "by word", "signature": "signed", "portal": "by portal"}

TREND: Mapping[str, str] = {
    "improving": "getting better",
    "worsening": "getting worse",
    "no_change": "no clear change lately",
    "in_progress": "too early to tell",
}

RELIABLE: Mapping[str, str] = {
    "improved": "reliably better",
    "none": "no reliable change",
    "worsened": "reliably worse",
}

STEP_KIND: Mapping[str, str] = {
    "exposure": "exposure",
    "self_care": "self-care",
    "gratitude": "gratitude",
    "reflection": "reflection",
    "self_monitoring": "self-monitoring",
    "in_session": "in session",
    "psychoeducation": "learning about it",
    "training": "training",
}
"""Kinds of steps that are worth saying; homework and practice are the rule."""

AREA: Mapping[str, str] = {
    "emotional-and-mental-health": "emotional and mental health",
    "improving-health-and-wellness": "health and wellness",
    "social-functioning": "social life",
    "managing-conditions": "living with a condition",
    "access-to-services": "access to services",
}

SESSION: Mapping[str, str] = {
    "in_person": "in person",
    "video": "by video",
    "phone": "by phone",
    "home_visit": "at home",
}

CHANGED_FOR: Mapping[str, str] = {
    "initial": "first version",
    "review": "at a review",
    "client_request": "the client asked",
    "progress": "progress",
    "progress_plateau": "progress had stopped",
    "achieved_early": "reached early",
    "too_ambitious": "too ambitious",
    "clinical_change": "the client's state changed",
    "measure": "a score",
    "transfer": "change of therapist",
    "discharge": "end of treatment",
    "import": "imported",
    "external_edit": "an EHR's edit",
    "correction": "correction",
}

REVIEW_KIND: Mapping[str, str] = {
    "scheduled": "regular review",
    "triggered": "review for a reason",
    "transfer": "review at the change of therapist",
    "discharge": "discharge review",
}

REVIEW_OUTCOME: Mapping[str, str] = {
    "continue": "go on as planned",
    "modify": "change the plan",
    "step_up": "more intensive",
    "step_down": "less intensive",
    "discharge": "end the treatment",
}

OUTCOME: Mapping[str, str] = {
    "goals_met": "goals met",
    "goals_mostly_met": "goals mostly met",
    "goals_partly_met": "goals partly met",
    "goals_not_met": "goals not met",
}

NOT_FOR: Mapping[str, str] = {
    "professional_development": "it is a therapist's own development plan",
    "no_client": "it has no client",
    "plan_entered_in_error": "it was entered in error",
    "minor_self_consented": "the minor consented to this treatment alone",
    "not_a_proxy": "this person is no legal representative on the client's record",
}
"""Why someone gets nothing of a plan."""


def number(value: Decimal) -> str:
    """Return a number with its digits, never as a power of ten."""
    return f"{value:f}"


def percent(share: Decimal) -> str:
    """Return a share as a whole percentage."""
    return f"{(share * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)} %"


def level(rated: int) -> str:
    """Return a level of a goal attainment scale: `-2` … `+2`, `0` without a sign."""
    return f"{rated:+d}" if rated else "0"


def measure_name(measure: Measure | None, fallback: str | None = None) -> str:
    """Return what a measure is called: its instrument, else what its code says."""
    if measure is None:
        return "A measure that is not there" if fallback is None else clean(fallback)
    name, code = measure.instrument, measure.code
    if not name or name == "custom":
        if code is None:
            return "A measure without a name"
        name = code.display or code.code.replace("-", " ")
    said = clean(name)
    return said[:1].upper() + said[1:]


def with_unit(value: Decimal, measure: Measure | None) -> str:
    """Return a value with its unit, where that is short and means something to people."""
    unit = measure.unit if measure is not None else None
    shown = {"%": " %", "h": " h", "min": " min", "min/d": " min a day", "h/wk": " h a week"}.get(unit or "", "")
    return number(value) + shown


def aim_words(target: Target | DischargeCriterion, measure: Measure | None) -> str:
    """Return what a target asks for: `under 5`, `between 7 and 8.5 h`, for how long; without the day."""
    if target.op == "between" and target.range is not None:
        low, high = target.range
        said = f"between {number(low)} and {with_unit(high, measure)}"
    elif target.op is not None and target.value is not None:
        said = f"{_OPERATOR.get(target.op, target.op)} {with_unit(target.value, measure)}"
    else:
        return "a target that is not said in full"
    return said + _sustained(target.sustain)


def _sustained(sustain: Sustain | None) -> str:
    if sustain is None or sustain.count < 2:
        return ""
    if sustain.span_days is not None:
        return f", {sustain.count} times in a row within {sustain.span_days} days"
    apart = f", {sustain.apart_days} days apart" if sustain.apart_days is not None else ""
    return f", {sustain.count} times in a row{apart}"


def role_of(plan: Plan, participant: str | None) -> str:
    """Return what someone is in a plan; people who share a role are told by their names too."""
    found = next((each for each in plan.participants if each.id == participant), None)
    if found is None:
        return "someone not in the plan"
    role = words.of_code(words.ROLE, found.role)
    if sum(each.role == found.role for each in plan.participants) > 1 and found.display:
        return f"{role} {clean(found.display)}"
    return role


def person(plan: Plan, participant: str | None) -> str:
    """Return someone's name with their role; the role alone where there is no name."""
    found = next((each for each in plan.participants if each.id == participant), None)
    role = role_of(plan, participant)
    if found is None or not found.display or role not in words.ROLE.values():
        return role
    name = clean(found.display)
    return f"{name[:-1]}, {role})" if name.endswith(")") else f"{name} ({role})"


def agreement(plan: Plan, goal: Goal) -> str:
    """Return who agreed to a goal, when and how, who did not and why, and who is still to answer."""
    agreed, waits, against = [], [], []
    for line in goal.acceptance:
        who = role_of(plan, line.by)
        match line.status:
            case "agree":
                agreed.append(who + _when(line))
            case "disagree":
                because = f": {clean(line.reason)}" if line.reason else ""
                against.append(who + _when(line) + because)
            case _:
                waits.append(who)
    parts = []
    if agreed:
        parts.append("agreed: " + ", ".join(agreed))
    if against:
        parts.append("disagrees: " + ", ".join(against))
    if waits:
        parts.append("still to answer: " + ", ".join(waits))
    said = "; ".join(parts)
    return said[:1].upper() + said[1:]


def _when(line: Acceptance) -> str:
    facts = [words.on_day(line.date)] if line.date is not None else []
    if line.method is not None:
        facts.append(METHOD[line.method])
    return f" ({', '.join(facts)})" if facts else ""


def alert_words(alert: Alert, measure: Measure) -> str:
    """Return an alert in a line."""
    name, day = measure_name(measure), words.on_day(alert.date)
    match alert.kind:
        case "deterioration":
            by = f" by {number(abs(alert.change))} points" if alert.change is not None else ""
            return f"{name} got reliably worse{by} on {day}"
        case "item9":
            return f"{name}: item 9 was above zero on {day}; nobody else is told of it"
        case "session_rating":
            return f"{name}: the session was rated under the limit on {day}"


def values_of(measure: Measure, readings: tuple[Reading, ...], first: Reading | None) -> list[Decimal]:
    """Return the baseline, if any, and the readings as numbers."""
    return [each.value for each in ((first, *readings) if first is not None else readings)]


def days(number_of: int) -> str:
    """Return a number of days."""
    return words.count(number_of, "day")


def due(on: date | None, today: date) -> str:
    """Return how far off a day is: `in 12 days`, `today`, `12 days ago`."""
    if on is None:
        return ""
    away = (on - today).days
    if away == 0:
        return "today"
    return f"in {days(away)}" if away > 0 else f"{days(-away)} ago"
