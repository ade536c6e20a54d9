"""`goal propose`, `make-smaller` and `build-on`: goals that begin, alone or out of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, get_args

import typer

from fhirgoals.cli.editing import (
    AskedBy,
    By,
    GoalId,
    PlanId,
    Reason,
    ReasonInWords,
    Why,
    day_of,
    goal_called,
    goal_is,
    minted,
    on_goal,
    on_plan,
    one_of,
    priority_of,
)
from fhirgoals.cli.output import JsonOption
from fhirgoals.cli.session import now
from fhirgoals.domain import codes
from fhirgoals.domain.agreement import client_side
from fhirgoals.domain.commands import AnyCommand, BuildOn, MakeSmaller, Propose
from fhirgoals.domain.records import Acceptance, Goal, Plan, Readiness, Step
from fhirgoals.errors import InputError

Text = Annotated[str, typer.Option("--text", help="What the goal is, in a sentence.")]
Words = Annotated[str | None, typer.Option("--words", help="The client's own words for it.")]
TargetDate = Annotated[str | None, typer.Option("--by-date", metavar="DATE", help="When it is to be reached.")]
Steps = Annotated[list[str] | None, typer.Option("--step", metavar="TEXT", help="A step of the client's; may repeat.")]
NewId = Annotated[str | None, typer.Option("--id", help="The new goal's id; by default one is made.")]
Agreed = Annotated[
    bool, typer.Option("--agreed", help="Client and therapist have agreed to it by word: it is under way at once.")
]


def propose(
    context: typer.Context,
    plan: PlanId,
    text: Text,
    by: By,
    under: Annotated[str | None, typer.Option("--under", metavar="GOAL", help="Its long-term goal.")] = None,
    client_words: Words = None,
    nature: Annotated[str, typer.Option(help="actionable, exploratory or aspirational.")] = "actionable",
    done_when: Annotated[str | None, typer.Option(help="How an exploratory goal shows that it is done.")] = None,
    domain: Annotated[str | None, typer.Option(help="Area of life, such as social-functioning.")] = None,
    priority: Annotated[str | None, typer.Option(help="high, medium or low.")] = None,
    problem: Annotated[list[str] | None, typer.Option(metavar="PROBLEM", help="What it is for; may repeat.")] = None,
    start: Annotated[str | None, typer.Option(metavar="DATE", help="When work on it begins; default today.")] = None,
    by_date: TargetDate = None,
    after: Annotated[
        list[str] | None, typer.Option("--after", metavar="GOAL", help="A stepping stone to it; may repeat.")
    ] = None,
    step: Steps = None,
    importance: Annotated[int | None, typer.Option(min=0, max=10, help="To the client, 0 to 10.")] = None,
    confidence: Annotated[int | None, typer.Option(min=0, max=10, help="The client's, 0 to 10.")] = None,
    draft: Annotated[
        bool, typer.Option("--draft", help="A draft of the therapist's, not shown to the client.")
    ] = False,
    goal_id: NewId = None,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a goal: long-term, or short-term under a long-term one. What is not said can be edited later."""
    new = goal_id or minted("g")
    if (importance is None) != (confidence is None):
        raise InputError("--importance and --confidence go together")
    goal = Goal(
        id=new,
        parent=under,
        horizon="long_term" if under is None else "short_term",
        nature=one_of("--nature", nature, get_args(codes.Nature)),  # type: ignore[arg-type]
        text=text,
        client_words=client_words,
        completion_criterion=done_when,
        domain=None if domain is None else one_of("--domain", domain, get_args(codes.Domain)),  # type: ignore[arg-type]
        priority=priority_of(priority),
        addresses=tuple(problem or ()),
        lifecycle="draft" if draft else "proposed",
        start_date=day_of(start, "--start"),
        target_date=day_of(by_date, "--by-date"),
        predecessors=tuple(after or ()),
        steps=_steps(new, step),
        readiness=None
        if importance is None or confidence is None
        else Readiness(importance=importance, confidence=confidence),
    )
    what = "a draft now" if draft else "proposed"
    on_plan(context, plan, lambda _: Propose(goal=goal), Why(by, reason), goal_is(new, what), as_json=as_json)


def make_smaller(
    context: typer.Context,
    goal: GoalId,
    text: Text,
    by: By,
    reason: ReasonInWords,
    client_words: Words = None,
    by_date: TargetDate = None,
    step: Steps = None,
    agreed: Agreed = False,
    goal_id: NewId = None,
    asked_by: AskedBy = None,
    as_json: JsonOption = False,
) -> None:
    """Replace a goal that is too large by a smaller one, which takes its place in the tree.

    The smaller goal is proposed; with `--agreed` it is under way at once.
    """
    new = goal_id or minted("g")

    def make(plan: Plan) -> AnyCommand:
        smaller = Goal(
            id=new,
            text=text,
            client_words=client_words,
            target_date=day_of(by_date, "--by-date"),
            steps=_steps(new, step),
            lifecycle="active" if agreed else "proposed",
            acceptance=_both_agree(plan) if agreed else (),
        )
        return MakeSmaller(goal=goal, smaller=smaller, reason=reason)

    def said(plan: Plan) -> str:
        return f"“{goal_called(plan, goal)}” is replaced by “{goal_called(plan, new)}” ({new})"

    on_goal(context, goal, make, Why(by, reason, asked_by), said, as_json=as_json, in_summary=False)


def build_on(
    context: typer.Context,
    goal: GoalId,
    text: Text,
    by: By,
    client_words: Words = None,
    by_date: TargetDate = None,
    step: Steps = None,
    goal_id: NewId = None,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Propose a next goal after one that was reached, beside it in the tree."""
    new = goal_id or minted("g")

    def make(plan: Plan) -> AnyCommand:
        old = next((each for each in plan.goals if each.id == goal), None)
        following = Goal(
            id=new,
            parent=old.parent if old else None,
            horizon=old.horizon if old else None,
            nature="actionable" if old is None or old.nature == "exploratory" else old.nature,
            domain=old.domain if old else None,
            addresses=old.addresses if old else (),
            text=text,
            client_words=client_words,
            target_date=day_of(by_date, "--by-date"),
            steps=_steps(new, step),
        )
        return BuildOn(goal=goal, following=following)

    on_goal(context, goal, make, Why(by, reason), goal_is(new, "proposed"), as_json=as_json)


def _steps(goal_id: str, texts: list[str] | None) -> tuple[Step, ...]:
    stem = goal_id.removeprefix("g-")
    return tuple(
        Step(id=f"st-{stem}-{n}", n=n, kind="homework", owner="client", text=text, status="planned")
        for n, text in enumerate(texts or (), 1)
    )


def _both_agree(plan: Plan) -> tuple[Acceptance, ...]:
    """Return the lines of client and therapist, agreed today by word."""
    own = [each for each in client_side(plan) if each.role in ("client", "therapist_subject")]
    people = [*own, *(each for each in plan.participants if each.role == "primary_therapist")]
    today = now().date()
    return tuple(Acceptance(by=each.id, status="agree", date=today, method="verbal") for each in people)


NEW: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("propose", propose, 'plan-dep-01 --text "Cook twice a week for six weeks" --under g-selfcare --by staff-7'),
    (
        "make-smaller",
        make_smaller,
        'g-work --text "Finish one task on time each week" --reason "Too large for a start" --agreed --by staff-7',
    ),
    ("build-on", build_on, 'g-move --text "Run with Dana every Sunday" --by staff-7'),
)
"""Name, function and example of each command."""
