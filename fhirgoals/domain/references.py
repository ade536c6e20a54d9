"""Every reference in a plan and every id it may name; used to find dangling ones, here and in what is disclosed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, Protocol, TypeAlias

from fhirgoals.domain.records import Goal, Plan, Revision

Kind: TypeAlias = Literal[
    "goal", "step", "problem", "measure", "participant", "session", "goal or problem", "goal or step", "author"
]

ID_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")
"""What an id may look like: ids stand in messages and logs, so they are short words and never text."""


class Reference(NamedTuple):
    """One reference: where it stands, on which thing (its id), what kind of thing it names, and the id it names."""

    path: str
    at: str
    kind: Kind
    to: str


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


class Named(NamedTuple):
    """One id: the kind of thing, where it stands, and the id."""

    kind: str
    path: str
    id: str


def ids_of(plan: Plan) -> dict[Kind, frozenset[str]]:
    """Return the ids that a reference of each kind may name."""
    goals = {goal.id for goal in plan.goals}
    steps = {step.id for goal in plan.goals for step in goal.steps}
    problems = {problem.id for problem in plan.problems}
    people = {participant.id for participant in plan.participants}
    subject = {each.id for each in (plan.client, plan.therapist) if each is not None}
    found: dict[Kind, Iterable[str]] = {
        "goal": goals,
        "step": steps,
        "problem": problems,
        "measure": {measure.id for measure in plan.measures},
        "participant": people,
        "session": {session.id for session in plan.sessions},
        "goal or problem": goals | problems,
        "goal or step": goals | steps,
        # A saved edit may name its author by the person instead of by the part in this plan.
        "author": people | subject | {participant.ref for participant in plan.participants},
    }
    return {kind: frozenset(ids) for kind, ids in found.items()}


def named(plan: Plan) -> Iterator[Named]:
    """Yield every id that the plan gives to something, in file order."""
    yield Named("plan", "plan.id", plan.id)
    for kind, person in (("client", plan.client), ("therapist", plan.therapist)):
        if person is not None:
            yield Named(kind, f"{kind}.id", person.id)
    lists: tuple[tuple[str, str, tuple[_WithId, ...]], ...] = (
        ("participant", "participants", plan.participants),
        ("problem", "problems", plan.problems),
        ("session", "sessions", plan.sessions),
        ("measure", "measures", plan.measures),
        ("intervention", "interventions", plan.interventions),
        ("goal", "goals", plan.goals),
        ("review", "reviews", plan.reviews),
        ("consent", "disclosure.consents", plan.disclosure.consents),
    )
    for kind, path, records in lists:
        for index, record in enumerate(records):
            yield Named(kind, f"{path}[{index}].id", record.id)
    for place, goal in enumerate(plan.goals):
        for index, step in enumerate(goal.steps):
            yield Named("step", f"goals[{place}].steps[{index}].id", step.id)
        for index, entry in enumerate(goal.progress):
            if entry.id is not None:
                yield Named("note", f"goals[{place}].progress[{index}].id", entry.id)
        for index, victory in enumerate(goal.achievements):
            if victory.id is not None:
                yield Named("note", f"goals[{place}].achievements[{index}].id", victory.id)


def references(plan: Plan) -> Iterator[Reference]:
    """Yield every reference of the plan, in file order."""
    for path, at, kind, to in (*_of_plan(plan), *_of_goals(plan)):
        if to is not None:
            yield Reference(path, at, kind, to)


Maybe: TypeAlias = tuple[str, str, Kind, str | None]


def _of_plan(plan: Plan) -> Iterator[Maybe]:
    for index, criterion in enumerate(plan.discharge_criteria):
        yield f"plan.discharge_criteria[{index}].measure", plan.id, "measure", criterion.measure
    if plan.refusal is not None:
        yield "plan.refusal.by", plan.id, "author", plan.refusal.by
    for index, withheld in enumerate(plan.disclosure.withheld):
        yield f"disclosure.withheld[{index}].target", plan.id, "goal or problem", withheld.target
    for index, each in enumerate(plan.interventions):
        path = f"interventions[{index}]"
        yield f"{path}.by", each.id, "participant", each.by
        for place, goal in enumerate(each.goals):
            yield f"{path}.goals[{place}]", each.id, "goal", goal
    for index, review in enumerate(plan.reviews):
        path = f"reviews[{index}]"
        for place, attendee in enumerate(review.attendees):
            yield f"{path}.attendees[{place}]", review.id, "participant", attendee
        for place, signature in enumerate(review.signatures):
            yield f"{path}.signatures[{place}].by", review.id, "participant", signature.by
    yield from _of_revisions(plan.revisions, "", plan.id)


def _of_revisions(revisions: tuple[Revision, ...], prefix: str, at: str) -> Iterator[Maybe]:
    for index, revision in enumerate(revisions):
        # What an EHR or an import brought is signed with the connection's or batch's name.
        if revision.reason not in ("external_edit", "import"):
            yield f"{prefix}revisions[{index}].by", at, "author", revision.by
        yield f"{prefix}revisions[{index}].requested_by", at, "author", revision.requested_by


def _of_goals(plan: Plan) -> Iterator[Maybe]:
    for index, goal in enumerate(plan.goals):
        path = f"goals[{index}]"
        yield f"{path}.parent", goal.id, "goal", goal.parent
        for place, predecessor in enumerate(goal.predecessors):
            yield f"{path}.predecessors[{place}]", goal.id, "goal", predecessor
        yield f"{path}.replaced_by", goal.id, "goal", goal.replaced_by
        for place, problem in enumerate(goal.addresses):
            yield f"{path}.addresses[{place}]", goal.id, "problem", problem
        yield f"{path}.expressed_by", goal.id, "participant", goal.expressed_by
        yield from _inside_goal(goal, path)
        yield from _of_revisions(goal.revisions, f"{path}.", goal.id)


def _inside_goal(goal: Goal, path: str) -> Iterator[Maybe]:
    for place, target in enumerate(goal.targets):
        yield f"{path}.targets[{place}].measure", goal.id, "measure", target.measure
    for place, acceptance in enumerate(goal.acceptance):
        yield f"{path}.acceptance[{place}].by", goal.id, "participant", acceptance.by
    for place, step in enumerate(goal.steps):
        yield f"{path}.steps[{place}].participant", step.id, "participant", step.participant
    for place, entry in enumerate(goal.progress):
        yield f"{path}.progress[{place}].session", goal.id, "session", entry.session
        yield f"{path}.progress[{place}].author", goal.id, "participant", entry.author
    for place, finding in enumerate(goal.findings):
        yield f"{path}.findings[{place}].session", goal.id, "session", finding.session
        yield f"{path}.findings[{place}].author", goal.id, "participant", finding.author
    for place, victory in enumerate(goal.achievements):
        yield f"{path}.achievements[{place}].target", goal.id, "goal or step", victory.target
        yield f"{path}.achievements[{place}].noted_by", goal.id, "participant", victory.noted_by
