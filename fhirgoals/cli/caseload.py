"""`plan`: a plan as a whole: agreed versions, begun, on hold, handed over, discharged, ended early."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from fhirgoals.cli import words
from fhirgoals.cli.editing import (
    AskedBy,
    By,
    On,
    PlanId,
    Reason,
    ReasonInWords,
    Say,
    Why,
    day_of,
    minted,
    on_plan,
    one_of,
)
from fhirgoals.cli.output import JsonOption, short
from fhirgoals.cli.reviews import Attended, Participation, new_review
from fhirgoals.cli.session import now
from fhirgoals.domain import codes
from fhirgoals.domain.commands import (
    ActivatePlan,
    AgreeVersion,
    Closing,
    Discharge,
    PausePlan,
    RecordRefusal,
    RevokePlan,
    TransferCaseload,
    Void,
)
from fhirgoals.domain.records import Participant, Plan
from fhirgoals.errors import InputError

app = typer.Typer(rich_markup_mode=None)

ClientAgreed = Annotated[
    bool | None, typer.Option("--client-agreed/--client-not-agreed", help="Whether the client agreed to it.")
]
Summary = Annotated[str, typer.Option("--summary", help="What was found, for the practice; it stays here.")]
Ends = Annotated[
    list[str] | None,
    typer.Option("--goal", metavar="GOAL=HOW", help="How one open goal ends: achieved, partially_met, …; may repeat."),
]
Others = Annotated[str | None, typer.Option("--others", metavar="HOW", help="How all other open goals end.")]


@app.callback()
def _group() -> None:
    """A plan as a whole."""


@app.command(epilog="Example:  fhirgoals plan agree plan-dep-01 --client-agreed --reason review --by staff-7")
def agree(
    context: typer.Context,
    plan: PlanId,
    by: By,
    client_agreed: ClientAgreed = None,
    reason: Reason = None,
    asked_by: AskedBy = None,
    as_json: JsonOption = False,
) -> None:
    """Make the plan as it stands the next agreed version."""
    why = Why(by, reason, asked_by, client_agreed)
    on_plan(context, plan, lambda _: AgreeVersion(), why, _agreed, as_json=as_json)


@app.command(
    epilog='Example:  fhirgoals plan disagree plan-dep-01 --for p-client --reason "No goals on paper" --by staff-7'
)
def disagree(
    context: typer.Context,
    plan: PlanId,
    by: By,
    for_: Annotated[str, typer.Option("--for", metavar="PERSON", help="Who did not agree: a part in the plan.")],
    reason: ReasonInWords,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Record that the client would not agree to the plan as a whole, and why."""
    command = RecordRefusal(by=for_, reason=reason, on=day_of(on))
    on_plan(context, plan, lambda _: command, Why(by), _is("goes on without agreement"), as_json=as_json)


@app.command(epilog="Example:  fhirgoals plan activate plan-dep-01 --by staff-7")
def activate(context: typer.Context, plan: PlanId, by: By, reason: Reason = None, as_json: JsonOption = False) -> None:
    """Begin a plan, or go on with it after a pause."""
    on_plan(context, plan, lambda _: ActivatePlan(), Why(by, reason), _is("active"), as_json=as_json)


@app.command(epilog='Example:  fhirgoals plan pause plan-dep-01 --reason "Hospital stay" --by staff-7')
def pause(context: typer.Context, plan: PlanId, by: By, reason: ReasonInWords, as_json: JsonOption = False) -> None:
    """Put a plan on hold."""
    on_plan(context, plan, lambda _: PausePlan(reason=reason), Why(by, reason), _is("on hold"), as_json=as_json)


@app.command(
    epilog="Example:  fhirgoals plan transfer plan-dep-01 --to staff-9 --summary ... --participation active"
    " --client-agreed --by staff-7"
)
def transfer(
    context: typer.Context,
    plan: PlanId,
    to: Annotated[str, typer.Option("--to", metavar="STAFF", help="Who takes the plan over.")],
    by: By,
    summary: Summary,
    attended: Attended = None,
    participation: Participation = None,
    client_agreed: ClientAgreed = None,
    display: Annotated[str | None, typer.Option("--name", help="What the new therapist is called.")] = None,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Hand a plan over to another therapist, with a transfer review."""
    day = day_of(on)

    def make(found: Plan) -> TransferCaseload:
        known = [each for each in found.participants if each.ref == to]
        person = known[0] if known else Participant(id=minted("p"), role="primary_therapist", ref=to, display=display)
        held_on = day or now().date()
        review = new_review(found, by, "transfer", "continue", held_on, attended, participation, summary)
        return TransferCaseload(to=person, review=review, on=day)

    why = Why(by, None, None, client_agreed)
    on_plan(context, plan, make, why, _is(f"handed over to {to}"), as_json=as_json)


@app.command(
    epilog="Example:  fhirgoals plan discharge plan-dep-01 --outcome goals_mostly_met --others partially_met"
    " --summary ... --participation active --client-agreed --by staff-7"
)
def discharge(
    context: typer.Context,
    plan: PlanId,
    outcome: Annotated[str, typer.Option(help="goals_met, goals_mostly_met, goals_partly_met or goals_not_met.")],
    by: By,
    summary: Summary,
    attended: Attended = None,
    participation: Participation = None,
    kind: Annotated[str, typer.Option(help="planned, unplanned or transfer.")] = "planned",
    follow_up: Annotated[str | None, typer.Option(help="What comes after.")] = None,
    goal: Ends = None,
    others: Others = None,
    client_agreed: ClientAgreed = None,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """End the treatment: each open goal is closed as you say, and a discharge review is on record."""
    day = day_of(on)

    def make(found: Plan) -> Discharge:
        held_on = day or now().date()
        review = new_review(found, by, "discharge", "discharge", held_on, attended, participation, summary)
        return Discharge(
            kind=one_of("--kind", kind, get_args(codes.DischargeKind)),  # type: ignore[arg-type]
            outcome=one_of("--outcome", outcome, get_args(codes.DischargeOutcome)),  # type: ignore[arg-type]
            words=summary,
            follow_up=follow_up,
            closings=_closings(goal),
            others=_closing(others),
            review=review,
            on=day,
        )

    why = Why(by, None, None, client_agreed)
    on_plan(context, plan, make, why, _is("treatment ended"), as_json=as_json)


@app.command(
    epilog='Example:  fhirgoals plan revoke plan-dep-01 --reason "Moved away" --others no_longer_relevant --by staff-7'
)
def revoke(
    context: typer.Context,
    plan: PlanId,
    by: By,
    reason: ReasonInWords,
    goal: Ends = None,
    others: Others = None,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """End a plan that was not carried out, and its open goals with it."""
    command = RevokePlan(reason=reason, closings=_closings(goal), others=_closing(others), on=day_of(on))
    on_plan(context, plan, lambda _: command, Why(by, reason), _is("ended early"), as_json=as_json)


@app.command(epilog='Example:  fhirgoals plan void plan-x --reason "Entered for the wrong client" --by staff-7')
def void(context: typer.Context, plan: PlanId, by: By, reason: ReasonInWords, as_json: JsonOption = False) -> None:
    """Mark a whole plan as entered in error: the only way to delete."""
    command = Void(target=plan, reason=reason)
    on_plan(context, plan, lambda _: command, Why(by, reason), _is("marked as an error"), as_json=as_json)


def _is(what: str) -> Say:
    return lambda plan: f"{short(plan.title or plan.id)}: {what}"


def _agreed(plan: Plan) -> str:
    last = plan.revisions[-1]
    said = {True: ", the client agreed", False: ", without the client's agreement"}.get(bool(last.client_agreed), "")
    said = said if last.client_agreed is not None else ""
    return f"{short(plan.title or plan.id)}: version {plan.revision} is the agreed one{said}"


def _closing(how: str | None) -> Closing | None:
    if how is None:
        return None
    return Closing(closure_reason=one_of("--others", how, tuple(words.CLOSED_FOR)))  # type: ignore[arg-type]


def _closings(goals: list[str] | None) -> dict[str, Closing]:
    found: dict[str, Closing] = {}
    for each in goals or ():
        goal, equals, how = each.partition("=")
        if not equals:
            raise InputError("--goal: write GOAL=HOW, such as g-ba=achieved")
        found[goal] = Closing(closure_reason=one_of("--goal", how, tuple(words.CLOSED_FOR)))  # type: ignore[arg-type]
    return found
