"""The plan as the people it is about read it, and the day on which time alone changes what an endpoint sees.

A client reads their own plan: what `KEPT_FROM_CLIENT` names stays with the practice (domain reference 7), drafts and
errors are left out, and what the client said, noted or withheld is theirs to see. A proxy reads less, and of a plan
that a minor consented to nothing. What connections see is `disclosure`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from fhirgoals.domain.disclosure import addressed_problems, disclose, is_session_rating, outline, withheld_ids
from fhirgoals.domain.records import Acceptance, Goal, Plan, ProgressEntry, Record, Step, fields_of

R = TypeVar("R", bound=Record)
replace = msgspec.structs.replace

Why: TypeAlias = Literal[
    "professional_development",
    "no_client",
    "plan_entered_in_error",
    "minor_self_consented",
    "not_a_proxy",
    "draft",
    "entered_in_error",
    "withheld",
]

KEPT_FROM_CLIENT: Mapping[tuple[str, str], str] = {
    ("Plan", "revision"): "numbers with gaps would show hidden edits",
    ("Plan", "revisions"): "what staff wrote about each version",
    ("Plan", "strengths"): "a working note of the therapist's",
    ("Plan", "discharge_criteria"): "for the therapist to judge",
    ("Discharge", "summary"): "a summary for staff",
    ("Goal", "smart"): "for the therapist to judge by",
    ("Goal", "readiness"): "asked in session, for the therapist to judge",
    ("Goal", "findings"): "content of conversation",
    ("Goal", "revisions"): "what staff wrote about each version",
    ("Gas", "weight"): "only the T-score needs it",
    ("Gas", "baseline"): "only the T-score needs it",
    ("Step", "trials"): "distress in single exposures",
    ("Reading", "note"): "a working note",
    ("Reading", "flags"): "an alert for the therapist",
    ("Review", "summary"): "a summary for staff",
    ("Review", "reason"): "a summary for staff",
    ("Signature", "reason"): "a note for staff",
}
"""Fields that a client's view leaves out, each with why. Fields that depend on whose they are: `_own_lines`."""

KEPT_FROM_PROXY: Mapping[tuple[str, str], str] = {
    **KEPT_FROM_CLIENT,
    ("Plan", "disclosure"): "what is withheld must not be told",
    ("Plan", "refusal"): "the client's own reasons",
    ("Problem", "client_words"): "the client's own words; no switch shares them",
    ("Goal", "share"): "what is withheld must not be told",
    ("Goal", "barriers"): "what the client said stands in the way",
}
"""The same for a proxy."""

_NEUTRAL: Mapping[tuple[str, str], object] = {("Discharge", "summary"): ""}
_LEFT_OUT: Mapping[str, Why] = {"draft": "draft", "entered_in_error": "entered_in_error"}


@dataclass(frozen=True, slots=True)
class View:
    """What someone reads: the plan with its goals depth first, or `None` with the reason `why`.

    `kept` names for each goal that is left out the reason; it is for the practice, not for the reader.
    """

    plan: Plan | None
    goals: tuple[str, ...]
    kept: Mapping[str, Why]
    why: Why | None = None


class Words(NamedTuple):
    """A goal's words as a client reads them: their own first, where there are some, the clinical text below."""

    first: str
    below: str | None


def client_words_first(goal: Goal) -> Words:
    """Return what a goal is called to its client."""
    own, clinical = (goal.client_words or "").strip(), (goal.text or "").strip()
    return Words(own, clinical or None) if own else Words(clinical, None)


def view_as_client(plan: Plan) -> View:
    """Return the plan as its client reads it: nothing that stays with the practice, everything of their own."""
    refused = _refused(plan)
    if refused is not None:
        return _nothing(plan, refused)
    own = frozenset(each.id for each in plan.participants if each.role == "client")
    return _view(plan, own, frozenset(), KEPT_FROM_CLIENT, for_client=True)


def proxy_view(plan: Plan, participant: str) -> View:
    """Return the plan as a legal representative reads it; nothing for anyone else, or where a minor consented alone.

    Only those whom the client's record names as legal representatives are proxies, whatever their role in the plan.
    What the client withholds from everyone leaves no trace, and their own words go only where they share them. Raises
    `KeyError` where the plan has no such participant.
    """
    person = next((each for each in plan.participants if each.id == participant), None)
    if person is None:
        raise KeyError(participant)
    refused = _refused(plan)
    if refused is None and plan.client is not None:
        if plan.client.minor_self_consented:
            refused = "minor_self_consented"
        elif person.ref not in plan.client.legal_representatives:
            refused = "not_a_proxy"
    if refused is not None:
        return _nothing(plan, refused)
    return _view(plan, frozenset({participant}), withheld_ids(plan, ""), KEPT_FROM_PROXY, for_client=False)


def next_change(plan: Plan, on: date, endpoint: str | None = None) -> date | None:
    """Return the next day after `on` on which time alone changes what an endpoint may see; `None` where none comes.

    Without `endpoint` it is the first such day of any. A consent begins on the day it was granted for and ends on
    `expires`, the first day without. A connection's options are taken at their widest, so for one that gets less a day
    may change nothing; no change comes without its day.
    """
    names = {each.endpoint for each in plan.disclosure.consents if endpoint in (None, each.endpoint)}
    return min((day for name in names if (day := _change(plan, name, on)) is not None), default=None)


def _change(plan: Plan, endpoint: str, on: date) -> date | None:
    consents = [each for each in plan.disclosure.consents if each.endpoint == endpoint]
    days = sorted({day for each in consents for day in (each.granted, each.expires) if day is not None and day > on})
    if not days:
        return None
    now = _widest(plan, endpoint, on)
    return next((day for day in days if _widest(plan, endpoint, day) != now), None)


def _widest(plan: Plan, endpoint: str, on: date) -> Plan | None:
    sent = {plan.id, *(goal.id for goal in plan.goals), *(step.id for goal in plan.goals for step in goal.steps)}
    return disclose(
        plan,
        endpoint,
        on=on,
        portal_visible=False,
        sent_before=frozenset(sent),
        send_proposed=True,
        send_session_rating=True,
    ).plan


def _refused(plan: Plan) -> Why | None:
    if plan.kind != "client_treatment" or plan.therapist is not None:
        return "professional_development"
    if plan.client is None:
        return "no_client"
    return "plan_entered_in_error" if plan.status == "entered_in_error" else None


def _nothing(plan: Plan, why: Why) -> View:
    return View(None, (), {goal.id: why for goal in plan.goals}, why)


def _view(
    plan: Plan,
    own: frozenset[str],
    withheld: frozenset[str],
    kept_fields: Mapping[tuple[str, str], str],
    *,
    for_client: bool,
) -> View:
    """Leave out goals and all that names them, then what only they had, then the fields that stay with the practice.

    `own` are the participants whose notes, victories and answers the reader may see though they are not shared.
    """
    kept = _kept_goals(plan, withheld)
    shown = frozenset(goal.id for goal in plan.goals) - kept.keys()
    ratings = frozenset(measure.id for measure in plan.measures if is_session_rating(measure))
    supervisors = frozenset(each.id for each in plan.participants if each.role == "clinical_supervisor")
    goals = tuple(
        _shown_goal(goal, shown, withheld, own, ratings, supervisors, words=for_client or goal.share_words)
        for goal in plan.goals
        if goal.id in shown
    )
    # A proxy gets no measure or problem that no goal of theirs names; a client loses those of left-out goals alone.
    measures, problems = _measures_of(goals), _problems_of(goals)
    if for_client:
        measures |= {each.id for each in plan.measures} - _measures_of(plan.goals)
        problems = frozenset(each.id for each in plan.problems)
    changed = replace(
        plan,
        goals=goals,
        measures=tuple(each for each in plan.measures if each.id in measures - ratings),
        problems=tuple(each for each in plan.problems if each.id in problems),
        interventions=tuple(
            replace(each, goals=tuple(goal for goal in each.goals if goal in shown))
            for each in plan.interventions
            if not shown.isdisjoint(each.goals) or (for_client and not each.goals)
        ),
    )
    by_id = {goal.id: goal for goal in goals}
    changed = replace(changed, goals=tuple(by_id[goal] for goal in outline(changed)))
    return View(_emptied(changed, kept_fields), tuple(goal.id for goal in changed.goals), kept)


def _kept_goals(plan: Plan, withheld: frozenset[str]) -> dict[str, Why]:
    kept: dict[str, Why] = {}
    addressed = addressed_problems(plan)
    for goal in plan.goals:
        problems = addressed[goal.id]
        if goal.id in withheld or (problems and withheld.issuperset(problems)):
            kept[goal.id] = "withheld"
        elif isinstance(goal.lifecycle, str) and goal.lifecycle in _LEFT_OUT:
            kept[goal.id] = _LEFT_OUT[goal.lifecycle]
    return kept


def _measures_of(goals: tuple[Goal, ...]) -> frozenset[str]:
    return frozenset(target.measure for goal in goals for target in goal.targets if target.measure is not None)


def _problems_of(goals: tuple[Goal, ...]) -> frozenset[str]:
    return frozenset(problem for goal in goals for problem in goal.addresses)


def _shown_goal(
    goal: Goal,
    shown: frozenset[str],
    withheld: frozenset[str],
    own: frozenset[str],
    ratings: frozenset[str],
    supervisors: frozenset[str],
    *,
    words: bool,
) -> Goal:
    steps = [step for step in sorted(goal.steps, key=lambda step: step.n) if step.status != "entered_in_error"]
    known = shown | {step.id for step in steps}
    return replace(
        goal,
        parent=goal.parent if goal.parent in shown else None,
        predecessors=tuple(each for each in goal.predecessors if each in shown),
        replaced_by=goal.replaced_by if goal.replaced_by in shown else None,
        addresses=tuple(each for each in goal.addresses if each not in withheld),
        client_words=goal.client_words if words else None,
        targets=tuple(each for each in goal.targets if each.measure not in ratings),
        acceptance=tuple(_own_lines(each, own) for each in goal.acceptance),
        steps=_numbered(steps),
        progress=tuple(each for each in goal.progress if _is_readable(each, own, supervisors)),
        achievements=tuple(
            replace(each, target=each.target if each.target in known else None)
            for each in goal.achievements
            if each.share or each.noted_by in own
        ),
    )


def _numbered(steps: list[Step]) -> tuple[Step, ...]:
    """The steps without a gap in their numbers."""
    return tuple(replace(step, n=number) for number, step in enumerate(steps, 1))


def _own_lines(line: Acceptance, own: frozenset[str]) -> Acceptance:
    """How, when and why someone else agreed or not stays out."""
    return line if line.by in own else replace(line, date=None, method=None, reason=None)


def _is_readable(note: ProgressEntry, own: frozenset[str], supervisors: frozenset[str]) -> bool:
    return note.author in own or (note.visibility == "shared" and note.author not in supervisors)


def _emptied(record: R, kept: Mapping[tuple[str, str], str]) -> R:
    """The record with the fields named in `kept` back at their defaults, in every record inside it too."""
    name = type(record).__name__
    values: dict[str, object] = {}
    for field in fields_of(type(record)):
        if (name, field.encode_name) not in kept:
            values[field.name] = _inside(getattr(record, field.name), kept)
        elif field.required:
            values[field.name] = _NEUTRAL[(name, field.encode_name)]
    return type(record)(**values)


def _inside(value: object, kept: Mapping[tuple[str, str], str]) -> object:
    match value:
        case Record():
            return _emptied(value, kept)
        case tuple():
            return tuple(_inside(each, kept) for each in value)
        case _:
            return value
