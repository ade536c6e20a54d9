"""What is done on the way to a goal, as commands of `goal`: steps, exposures, victories, notes, barriers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, get_args

import typer

from fhirgoals.cli import words
from fhirgoals.cli.editing import By, GoalId, On, Reason, Why, day_of, goal_called, goal_is, minted, on_goal, one_of
from fhirgoals.cli.output import JsonOption, short
from fhirgoals.domain import codes
from fhirgoals.domain.commands import (
    AddBarrier,
    AddFinding,
    AddNote,
    AddStep,
    AddVictory,
    AnyCommand,
    ConfirmAchievement,
    MarkReviewed,
    MarkStep,
    RecordTrial,
    ResolveBarrier,
    Void,
)
from fhirgoals.domain.records import Goal, Plan, Step
from fhirgoals.errors import Refused

WhichStep = Annotated[str, typer.Argument(metavar="STEP", help="The step's number under its goal, or its id.")]
Text = Annotated[str, typer.Option("--text", help="What it is, in words.")]
Session = Annotated[str | None, typer.Option("--session", metavar="SESSION", help="The session it is from.")]


def step(
    context: typer.Context,
    goal: GoalId,
    number: WhichStep,
    status: Annotated[
        str, typer.Argument(metavar="STATUS", help="done, in_progress, scheduled, skipped, on_hold, stopped, void.")
    ],
    by: By,
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATE", help="When it was done, or for when it is scheduled.")
    ] = None,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Mark a step; one that was entered in error is `void`, with a reason."""
    allowed = (*(each for each in get_args(codes.StepStatus) if each != "entered_in_error"), "void")
    one_of("STATUS", status, allowed)
    day, why = day_of(on), Why(by, reason)

    def make(plan: Plan) -> AnyCommand:
        wanted = _step(plan, goal, number)
        if status == "void":
            return Void(target=wanted, reason=why.words or "")
        return MarkStep(
            step=wanted,
            status=status,  # type: ignore[arg-type]
            done_on=day if status == "done" else None,
            scheduled=day if status == "scheduled" else None,
        )

    def said(plan: Plan) -> str:
        wanted = _step(plan, goal, number)
        found = next(each for each in plan.goal(goal).steps if each.id == wanted)
        return f"Step {found.n} of “{goal_called(plan, goal)}”: {status.replace('_', ' ')}"

    on_goal(context, goal, make, why, said, as_json=as_json, in_summary=status != "void")


def add_step(
    context: typer.Context,
    goal: GoalId,
    text: Text,
    by: By,
    kind: Annotated[str, typer.Option(help="homework, skill_practice, exposure, self_care, gratitude, …")] = "homework",
    owner: Annotated[str, typer.Option(help="client, therapist or support_person.")] = "client",
    person: Annotated[str | None, typer.Option(metavar="PERSON", help="Who of them: a part in the plan.")] = None,
    at: Annotated[int | None, typer.Option(min=1, metavar="N", help="Its number; default the last.")] = None,
    often: Annotated[str | None, typer.Option(help="How often, such as 2/wk.")] = None,
    distress: Annotated[int | None, typer.Option(min=0, max=100, help="Expected distress of an exposure.")] = None,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Add a step to a goal."""
    new = Step(
        id=minted("st"),
        n=at or 10_000,
        kind=one_of("--kind", kind, get_args(codes.StepKind)),  # type: ignore[arg-type]
        owner=one_of("--owner", owner, get_args(codes.StepOwner)),  # type: ignore[arg-type]
        participant=person,
        text=text,
        frequency=often,
        suds_expected=distress,
    )
    command = AddStep(goal=goal, step=new)
    on_goal(context, goal, lambda _: command, Why(by, reason), goal_is(goal, "a step added"), as_json=as_json)


def trial(
    context: typer.Context,
    goal: GoalId,
    number: WhichStep,
    by: By,
    peak: Annotated[int, typer.Option(min=0, max=100, help="Distress at its peak, 0 to 100.")],
    end: Annotated[int, typer.Option(min=0, max=100, help="Distress at the end, 0 to 100.")],
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Record one exposure; it stays here."""
    day = day_of(on)

    def make(plan: Plan) -> AnyCommand:
        return RecordTrial(step=_step(plan, goal, number), peak=peak, end=end, on=day)

    on_goal(context, goal, make, Why(by), goal_is(goal, f"exposure recorded, {peak} to {end}"), as_json=as_json)


def victory(
    context: typer.Context,
    goal: GoalId,
    text: Text,
    by: By,
    size: Annotated[str, typer.Option(help="small, milestone or goal.")] = "small",
    celebrated: Annotated[str | None, typer.Option(metavar="HOW", help="How it was celebrated.")] = None,
    noted_by: Annotated[str | None, typer.Option(metavar="PERSON", help="Who noticed it: a part in the plan.")] = None,
    share: Annotated[bool, typer.Option("--share", help="It may go to EHRs too.")] = False,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Note a victory, however small."""
    command = AddVictory(
        goal=goal,
        id=minted("v"),
        text=text,
        size=one_of("--size", size, get_args(codes.AchievementSize)),  # type: ignore[arg-type]
        on=day_of(on),
        noted_by=noted_by,
        celebrated=celebrated,
        share=share,
    )
    on_goal(context, goal, lambda _: command, Why(by), goal_is(goal, "a victory noted"), as_json=as_json)


def note(
    context: typer.Context,
    goal: GoalId,
    text: Text,
    by: By,
    visible: Annotated[
        str, typer.Option("--visible", help="private, team or shared; only shared may leave.")
    ] = "private",
    session: Session = None,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Write a note on progress: private unless you say otherwise."""
    command = AddNote(
        goal=goal,
        id=minted("n"),
        text=text,
        visibility=one_of("--visible", visible, get_args(codes.Visibility)),  # type: ignore[arg-type]
        on=day_of(on),
        session=session,
    )
    on_goal(context, goal, lambda _: command, Why(by), goal_is(goal, f"a {visible} note written"), as_json=as_json)


def finding(
    context: typer.Context,
    goal: GoalId,
    text: Text,
    by: By,
    session: Session = None,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Note what was learnt under an exploratory goal; it is private and never leaves."""
    command = AddFinding(goal=goal, text=text, on=day_of(on), session=session)
    on_goal(context, goal, lambda _: command, Why(by), goal_is(goal, "a private finding noted"), as_json=as_json)


def barrier(
    context: typer.Context,
    goal: GoalId,
    text: Text,
    by: By,
    resolves: Annotated[
        int | None, typer.Option("--resolves", min=1, metavar="N", help="How the goal's barrier N got out of the way.")
    ] = None,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Note what stands in the way, or how it got out of the way."""
    command: AnyCommand = AddBarrier(goal=goal, text=text, on=day_of(on))
    if resolves is not None:
        command = ResolveBarrier(goal=goal, place=resolves, resolution=text, on=day_of(on))
    what = "a barrier noted" if resolves is None else "a barrier out of the way"
    on_goal(context, goal, lambda _: command, Why(by), goal_is(goal, what), as_json=as_json)


def achievement(
    context: typer.Context,
    goal: GoalId,
    how: Annotated[
        str, typer.Argument(metavar="HOW", help="in_progress, improving, no_change, worsening, achieved, …")
    ],
    by: By,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far a goal is; numbers only suggest it."""
    command = ConfirmAchievement(
        goal=goal,
        achievement=one_of("HOW", how, get_args(codes.Achievement)),  # type: ignore[arg-type]
    )
    said = goal_is(goal, words.ACHIEVEMENT[how])
    on_goal(context, goal, lambda _: command, Why(by, reason), said, as_json=as_json)


def seen(context: typer.Context, goal: GoalId, by: By, as_json: JsonOption = False) -> None:
    """Note that a therapist has seen a goal that came from an EHR."""
    said = goal_is(goal, "seen by a therapist")
    on_goal(context, goal, lambda _: MarkReviewed(goal=goal), Why(by), said, as_json=as_json)


WORK: tuple[tuple[str, Callable[..., None], str], ...] = (
    ("step", step, "g-ba 4 done --by client-101"),
    ("add-step", add_step, 'g-work --text "Block one hour on Monday" --by staff-7'),
    ("trial", trial, "g-ladder 9 --peak 85 --end 40 --by staff-11"),
    ("victory", victory, 'g-ba --text "Went to the market although it rained" --celebrated peonies --by client-101'),
    ("note", note, 'g-ba --text "Plans ahead on her own" --visible shared --by staff-7'),
    ("finding", finding, 'g-explore-empty --text "What was learnt" --by staff-7'),
    ("barrier", barrier, 'g-hours --text "Quarter close" --by staff-19'),
    ("achievement", achievement, "g-social achieved --by staff-7"),
    ("seen", seen, "g-ehr-1 --by staff-7"),
)
"""Name, function and example of each command."""


def _step(plan: Plan, goal_id: str, wanted: str) -> str:
    """Return a step's id by its id or its number under the goal."""
    goal: Goal = plan.goal(goal_id)
    for each in goal.steps:
        if wanted in (each.id, str(each.n)):
            return each.id
    numbers = short(", ".join(str(each.n) for each in goal.steps) or "none")
    raise Refused(f"{goal_id}: there is no such step; its steps have the numbers {numbers}")
