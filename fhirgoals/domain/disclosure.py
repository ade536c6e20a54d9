"""What one connection may see of a plan: gates on the plan, on each goal and on each thing in it, then pruning.

Deny by default. The plan that comes out is the whole truth for that connection: a mapper that gets it needs no gate
of its own, and nothing in it tells that anything was left out (invariants 18 and 21). Gates of the plan, in order:

    professional_development > no_client > unfiled > plan_draft > plan_entered_in_error >
    consent_refused | consent_expired | no_consent > minor_self_consented

Gates of a goal, in order: `withheld` > `draft` > `proposed` > `declined_never_sent` > `entered_in_error_never_sent` >
`status_unknown` > `other_origin` > `sensitivity_not_consented`. Everything in a client's plan counts as `MH` for the
consent: one that does not name MH covers none of it (domain reference 7; every consent of the examples names it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import msgspec

from fhirgoals.domain import codes, units
from fhirgoals.domain.pruning import pruned
from fhirgoals.domain.records import Consent, Foreign, Goal, Intervention, Measure, Origin, Plan, Step, Target
from fhirgoals.domain.unfiled import is_unfiled

Reason: TypeAlias = Literal[
    "professional_development",
    "no_client",
    "unfiled",
    "plan_draft",
    "plan_entered_in_error",
    "no_consent",
    "consent_refused",
    "consent_expired",
    "minor_self_consented",
    "withheld",
    "draft",
    "proposed",
    "declined_never_sent",
    "entered_in_error_never_sent",
    "status_unknown",
    "other_origin",
    "sensitivity_not_consented",
]

NAMED_ROLES: frozenset[str] = frozenset(units.CONTRIBUTORS)
"""Participants that a CarePlan names by itself; others go only where something that is sent refers to them."""

CONTENT_SENSITIVITY: frozenset[str] = frozenset({"MH"})
"""What all content of a client's plan is: a gate only, not a label (the labels are the goal's own and inherited)."""

SESSION_RATING_CODES: frozenset[tuple[str, str]] = frozenset({("snomed", "720482000")})
"""SRS (domain reference 6): a target on it is not sent unless switched on."""

SESSION_RATING_NAMES: frozenset[str] = frozenset({"srs", "srs30", "srsv3", "srsv30", "sessionratingscale"})
"""What it may be called, in small letters and figures alone."""

_LABEL_ORDER: dict[str, int] = {label: place for place, label in enumerate(get_args(codes.Sensitivity))}
replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True)
class Disclosed:
    """What may go. `plan` is pruned, its goals depth first, or `None` where nothing may go.

    `goals` are the ids of those that go, `kept` names for every other goal why it stays, in file order. `refused` is
    the reason that holds for the whole plan, if one does.
    """

    plan: Plan | None
    goals: tuple[str, ...]
    kept: Mapping[str, Reason]
    refused: Reason | None = None


@dataclass(frozen=True, slots=True)
class _Reader:
    """The connection as the gates see it."""

    endpoint: str
    sensitivities: frozenset[str]
    sent_before: frozenset[str]
    send_proposed: bool
    send_session_rating: bool


@dataclass(frozen=True, slots=True)
class _Base:
    """What references of what goes may name."""

    goals: frozenset[str]
    problems: frozenset[str]
    people: frozenset[str]
    measures: Mapping[str, Measure]


def disclose(
    plan: Plan,
    endpoint: str,
    *,
    on: date,
    portal_visible: bool,
    sent_before: frozenset[str] = frozenset(),
    send_proposed: bool = False,
    send_session_rating: bool = False,
    labelled_there: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> Disclosed:
    """Return what the connection named `endpoint` may see of a plan on a day.

    `portal_visible`: what the connection gets is shown in a patient portal, so to a minor's proxies too.
    `labelled_there`: labels of goals that their own people put on them there: no consent for those is asked of them.
    `sent_before`: ids of the plans, goals and steps that were sent there earlier; a declined or entered-in-error one
    goes only then. The options are the connection's. `on` is the caller's clock; the first day that a consent no
    longer covers is its `expires`.
    """
    sensitivities = _consented(plan, endpoint, on)
    refused = _plan_gate(plan, sensitivities, portal_visible, sent_before)
    if refused is not None or isinstance(sensitivities, str):
        reason: Reason = refused or "no_consent"
        return Disclosed(None, (), {goal.id: reason for goal in plan.goals}, reason)
    reader = _Reader(endpoint, sensitivities, sent_before, send_proposed, send_session_rating)
    inherited = inherited_sensitivities(plan)
    withheld = withheld_ids(plan, endpoint)
    silent = kept_back(plan, endpoint)
    kept: dict[str, Reason] = {}
    for goal in plan.goals:
        asked = inherited[goal.id] - labelled_there.get(goal.id, frozenset())
        reason_kept = _goal_gate(plan, goal, asked, silent, reader)
        if reason_kept is not None:
            kept[goal.id] = reason_kept
    if len(kept) == len(plan.goals):
        return Disclosed(None, (), kept)
    shown = _shown(plan, frozenset(kept), inherited, withheld, reader)
    return Disclosed(shown, tuple(goal.id for goal in shown.goals), kept)


def outline(plan: Plan) -> tuple[str, ...]:
    """Return the goals' ids depth first, by place in the file, long-term goals before other roots."""
    first = sorted(plan.goals, key=lambda goal: goal.horizon != "long_term")
    return units.outline(replace(plan, goals=tuple(first)))


def withheld_ids(plan: Plan, endpoint: str) -> frozenset[str]:
    """Return the ids of the goals and problems that the client keeps from this endpoint (invariant 23)."""
    marked = {goal.id for goal in plan.goals if goal.share != "default"}
    listed = {entry.target for entry in plan.disclosure.withheld if entry.endpoint in (None, endpoint)}
    return frozenset(marked | listed)


def kept_back(plan: Plan, endpoint: str) -> frozenset[str]:
    """Return the goals that the client keeps from this endpoint; one whose every problem is withheld would tell of it.

    For the endpoint `""` these are the goals that are kept from all.
    """
    withheld = withheld_ids(plan, endpoint)
    return frozenset(
        goal
        for goal, problems in addressed_problems(plan).items()
        if goal in withheld or (problems and withheld.issuperset(problems))
    )


def not_covered(plan: Plan, endpoint: str, on: date, goal_id: str) -> tuple[str, ...]:
    """Return the sensitivities of a goal that the consents in force for an endpoint do not cover."""
    found = _consented(plan, endpoint, on)
    covered = frozenset[str]() if isinstance(found, str) else found
    missing = (inherited_sensitivities(plan)[goal_id] | CONTENT_SENSITIVITY) - covered
    return tuple(sorted(missing, key=lambda label: _LABEL_ORDER.get(label, len(_LABEL_ORDER))))


def inherited_sensitivities(plan: Plan) -> dict[str, frozenset[str]]:
    """Return for each goal its own sensitivities and those of what it addresses and measures (invariant 16).

    A goal that addresses nothing itself does so through its parent (invariant 13) and inherits from there.
    """
    problems = {problem.id: problem.sensitivities for problem in plan.problems}
    measures = {measure.id: measure.sensitivities for measure in plan.measures}
    addressed = addressed_problems(plan)
    found: dict[str, frozenset[str]] = {}
    for goal in plan.goals:
        labels: set[str] = set(goal.sensitivities)
        for problem in addressed[goal.id]:
            labels.update(problems.get(problem, ()))
        for target in goal.targets:
            labels.update(measures.get(target.measure or "", ()))
        found[goal.id] = frozenset(labels)
    return found


def addressed_problems(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return for each goal the problems that it addresses, by itself or, where it names none, through its parents."""
    goals = {goal.id: goal for goal in plan.goals}
    found: dict[str, tuple[str, ...]] = {}
    for goal in plan.goals:
        way: list[str] = []
        each: Goal | None = goal
        on_way: set[str] = set()
        problems: tuple[str, ...] = ()
        while each is not None and each.id not in on_way:
            problems = each.addresses or found.get(each.id, ())
            way.append(each.id)
            on_way.add(each.id)
            if problems or each.id in found:
                break
            each = goals.get(each.parent or "")
        found.update(dict.fromkeys(way, problems))
    return found


def is_session_rating(measure: Measure) -> bool:
    """Say whether a measure rates the sessions (SRS), by its name or its code."""
    code = measure.code
    name = "".join(sign for sign in (measure.instrument or "").casefold() if sign.isalnum())
    return name in SESSION_RATING_NAMES or (code is not None and (code.system, code.code) in SESSION_RATING_CODES)


def _consented(plan: Plan, endpoint: str, on: date) -> frozenset[str] | Reason:
    """The sensitivities that consents in force cover, or why none is in force.

    A refusal ends every consent that is not younger. A consent that is both granted and refused grants nothing.
    """
    consents = [consent for consent in plan.disclosure.consents if consent.endpoint == endpoint]
    refusals = [consent.refused for consent in consents if consent.refused is not None]
    granted = [consent for consent in consents if consent.granted is not None and consent.refused is None]
    standing = [each for each in granted if not any(day >= each.granted for day in refusals if each.granted)]
    in_force = [each for each in standing if _in_force(each, on)]
    if in_force:
        return frozenset(label for each in in_force for label in each.sensitivities)
    if refusals and not standing:
        return "consent_refused"
    if any(each.expires is not None and each.expires <= on for each in standing):
        return "consent_expired"
    return "no_consent"


def _in_force(consent: Consent, on: date) -> bool:
    begun = consent.granted is not None and consent.granted <= on
    return begun and (consent.expires is None or on < consent.expires) and consent.scope in (None, "treatment")


def _plan_gate(
    plan: Plan, consented: frozenset[str] | Reason, portal_visible: bool, sent_before: frozenset[str]
) -> Reason | None:
    if plan.kind != "client_treatment" or plan.therapist is not None:
        return "professional_development"
    if plan.client is None:
        return "no_client"
    if is_unfiled(plan):
        return "unfiled"
    if plan.status == "draft":
        return "plan_draft"
    if plan.status == "entered_in_error" and plan.id not in sent_before:
        return "plan_entered_in_error"
    if isinstance(consented, str):
        return consented
    if portal_visible and plan.client.minor_self_consented:
        return "minor_self_consented"
    return None


def _goal_gate(
    plan: Plan, goal: Goal, labels: frozenset[str], withheld: frozenset[str], reader: _Reader
) -> Reason | None:
    if goal.id in withheld:
        return "withheld"
    # What was born at this EHR stands there already, in whatever state (design 5.6).
    there = goal.id in reader.sent_before or _born_at(goal.origin, reader.endpoint)
    reason: Reason | None = None
    match goal.lifecycle:
        case "draft":
            reason = "draft"
        case "proposed" if not (reader.send_proposed or _born_at(goal.origin, reader.endpoint)):
            reason = "proposed"
        case "declined" if not there:
            reason = "declined_never_sent"
        case "entered_in_error" if not there:
            reason = "entered_in_error_never_sent"
        case None | Foreign() if not there:
            reason = "status_unknown"
        case _ if plan.status == "entered_in_error" and not there:
            reason = "plan_entered_in_error"
    if reason is not None:
        return reason
    if goal.origin is not None and not _born_at(goal.origin, reader.endpoint):
        return "other_origin"
    if not (labels | CONTENT_SENSITIVITY) <= reader.sensitivities:
        return "sensitivity_not_consented"
    return None


def _born_at(origin: Origin | None, endpoint: str) -> bool:
    return origin is not None and origin.system == endpoint


def _shown(
    plan: Plan, kept: frozenset[str], inherited: Mapping[str, frozenset[str]], withheld: frozenset[str], reader: _Reader
) -> Plan:
    """Take out of the plan what may not go, then empty what the table of fields does not let out."""
    base = _Base(
        goals=frozenset(goal.id for goal in plan.goals) - kept,
        problems=frozenset(problem.id for problem in plan.problems) - withheld,
        people=frozenset(participant.id for participant in plan.participants),
        measures={measure.id: measure for measure in plan.measures},
    )
    goals = [_shown_goal(goal, base, inherited[goal.id], reader) for goal in plan.goals if goal.id not in kept]
    interventions = tuple(_shown_interventions(plan, base, inherited, reader))
    ended = plan.status in ("completed", "revoked")
    used_measures = {target.measure for goal in goals for target in goal.targets}
    used_problems = {problem for goal in goals for problem in goal.addresses}
    used_participants = {each for goal in goals for each in _participants(goal)} | {each.by for each in interventions}
    shown = replace(
        plan,
        planned_end_date=None if ended else plan.planned_end_date,
        end_date=plan.end_date if ended else None,
        goals=tuple(goals),
        interventions=interventions,
        problems=tuple(each for each in plan.problems if each.id in used_problems),
        measures=tuple(each for each in plan.measures if each.id in used_measures),
        participants=tuple(
            each for each in plan.participants if each.role in NAMED_ROLES or each.id in used_participants
        ),
    )
    by_id = {goal.id: goal for goal in goals}
    return pruned(replace(shown, goals=tuple(by_id[goal_id] for goal_id in outline(shown))))


def _shown_interventions(
    plan: Plan, base: _Base, inherited: Mapping[str, frozenset[str]], reader: _Reader
) -> list[Intervention]:
    """Those for at least one goal that goes, unless one of their goals is of a kind the consent does not cover."""
    found: list[Intervention] = []
    for each in plan.interventions:
        goals = tuple(goal for goal in each.goals if goal in base.goals)
        covered = all(inherited.get(goal, frozenset()) <= reader.sensitivities for goal in each.goals)
        if goals and covered:
            found.append(replace(each, goals=goals, by=each.by if each.by in base.people else None))
    return found


def _shown_goal(goal: Goal, base: _Base, labels: frozenset[str], reader: _Reader) -> Goal:
    known, people, measures = base.goals, base.people, base.measures
    order = sorted(labels, key=lambda label: _LABEL_ORDER.get(label, len(_LABEL_ORDER)))
    return replace(
        goal,
        parent=goal.parent if goal.parent in known else None,
        predecessors=tuple(each for each in goal.predecessors if each in known),
        replaced_by=goal.replaced_by if goal.replaced_by in known else None,
        addresses=tuple(each for each in goal.addresses if each in base.problems),
        sensitivities=tuple(order),
        client_words=goal.client_words if goal.share_words else None,
        expressed_by=goal.expressed_by if goal.expressed_by in people else None,
        targets=tuple(each for each in goal.targets if _target_goes(each, measures, reader)),
        acceptance=tuple(each for each in goal.acceptance if each.by in people),
        steps=_shown_steps(goal, people, reader),
        progress=tuple(
            replace(each, author=each.author if each.author in people else None)
            for each in goal.progress
            if each.visibility == "shared" and (each.origin is None or each.origin.system == reader.endpoint)
        ),
        achievements=tuple(
            replace(each, noted_by=each.noted_by if each.noted_by in people else None)
            for each in goal.achievements
            if each.share
        ),
    )


def _target_goes(target: Target, measures: Mapping[str, Measure], reader: _Reader) -> bool:
    measure = measures.get(target.measure or "")
    if measure is None:
        return target.measure is None
    return reader.send_session_rating or not is_session_rating(measure)


def _shown_steps(goal: Goal, people: frozenset[str], reader: _Reader) -> tuple[Step, ...]:
    """The steps in order, numbered anew so that no gap shows."""
    there = _born_at(goal.origin, reader.endpoint)
    going = [
        step
        for step in sorted(goal.steps, key=lambda step: step.n)
        if step.status != "entered_in_error" or step.id in reader.sent_before or there
    ]
    return tuple(
        replace(step, n=number, participant=step.participant if step.participant in people else None)
        for number, step in enumerate(going, 1)
    )


def _participants(goal: Goal) -> set[str | None]:
    """Whom the rest of a goal refers to."""
    return {
        goal.expressed_by,
        *(each.by for each in goal.acceptance),
        *(each.participant for each in goal.steps),
        *(each.author for each in goal.progress),
        *(each.noted_by for each in goal.achievements),
    }
