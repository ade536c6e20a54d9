"""`reading add` and `rate`: values of measures, and ratings on a goal's attainment scale."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, get_args

import typer

from fhirgoals.cli.editing import By, GoalId, On, PlanId, Why, day_of, goal_called, on_goal, on_plan, one_of
from fhirgoals.cli.output import JsonOption
from fhirgoals.cli.show_words import level as level_words
from fhirgoals.cli.show_words import measure_name
from fhirgoals.domain import codes
from fhirgoals.domain.commands import AnyCommand, RateGoal, RecordReading
from fhirgoals.domain.records import Plan
from fhirgoals.errors import InputError

app = typer.Typer(rich_markup_mode=None)

Rater = Annotated[str, typer.Option("--rater", help="Whose value it is: client, therapist, caregiver or self.")]


@app.callback()
def _group() -> None:
    """Values of measures."""


@app.command(epilog="Example:  fhirgoals reading add plan-dep-01 m-phq9 6 --by staff-7")
def add(
    context: typer.Context,
    plan: PlanId,
    measure: Annotated[str, typer.Argument(metavar="MEASURE", help="The measure's id, or its name, such as PHQ-9.")],
    value: Annotated[str, typer.Argument(metavar="VALUE")],
    by: By,
    rater: Rater = "client",
    note: Annotated[str | None, typer.Option(help="A working note of the therapist's; it stays here.")] = None,
    item9: Annotated[
        bool, typer.Option("--item9", help="The item on thoughts of death was above zero; it is shown here only.")
    ] = False,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Record one value of a measure."""
    number, day = _number(value), day_of(on)
    who = _rater(rater)

    def make(found: Plan) -> AnyCommand:
        wanted = _measure(found, measure)
        return RecordReading(measure=wanted, value=number, rater=who, on=day, note=note, item9_positive=item9)

    def said(found: Plan) -> str:
        return f"{measure_name(found.measure(_measure(found, measure)))}: {number:f} recorded"

    on_plan(context, plan, make, Why(by), said, as_json=as_json)


def rate(
    context: typer.Context,
    goal: GoalId,
    by: By,
    level: Annotated[int, typer.Option(min=-2, max=2, help="-2 to +2; 0 is as hoped.")],
    rater: Rater = "client",
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Rate a goal on its attainment scale, once a day and rater."""
    command = RateGoal(goal=goal, level=level, rater=_rater(rater), on=day_of(on))

    def said(plan: Plan) -> str:
        return f"“{goal_called(plan, goal)}” ({goal}): rated {level_words(level)}"

    on_goal(context, goal, lambda _: command, Why(by), said, as_json=as_json)


def _number(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise InputError("VALUE: is no number: write it with digits and a point, such as 6 or 1.5")
    return found


def _rater(text: str) -> codes.Rater:
    return one_of("--rater", text, get_args(codes.Rater))  # type: ignore[return-value]


def _measure(plan: Plan, wanted: str) -> str:
    """Return a measure's id by its id or its instrument's name; an unknown one is left to the rule to refuse."""
    named = [each.id for each in plan.measures if (each.instrument or "").casefold() == wanted.casefold()]
    return named[0] if len(named) == 1 and wanted.casefold() != "custom" else wanted
