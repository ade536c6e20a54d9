"""`goal`: a goal's way from proposal to its end, and who agrees to it. What is done on the way is in `goal_work`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, get_args

import msgspec
import typer

from fhirgoals.cli import words
from fhirgoals.cli.editing import (
    AskedBy,
    By,
    GoalId,
    On,
    Reason,
    ReasonInWords,
    Why,
    day_of,
    goal_is,
    on_goal,
    one_of,
    priority_of,
)
from fhirgoals.cli.goal_new import NEW
from fhirgoals.cli.goal_work import WORK
from fhirgoals.cli.output import JsonOption
from fhirgoals.domain import codes
from fhirgoals.domain.changes import changes
from fhirgoals.domain.commands import (
    Accept,
    Activate,
    AnyCommand,
    Close,
    Decline,
    Disagree,
    Edit,
    KeepUp,
    Pause,
    Reopen,
    Schedule,
    Submit,
    Void,
)
from fhirgoals.domain.records import Plan
from fhirgoals.errors import InputError

app = typer.Typer(rich_markup_mode=None)

Method = Annotated[str, typer.Option("--method", metavar="HOW", help="How it was said: verbal, signature or portal.")]
For = Annotated[
    str | None,
    typer.Option("--for", metavar="PERSON", help="Whose answer it is, where a therapist records what was said."),
]

METHODS: tuple[codes.AcceptanceMethod, ...] = get_args(codes.AcceptanceMethod)
ACHIEVEMENTS: tuple[str, ...] = get_args(codes.Achievement)
CLOSURES: tuple[str, ...] = get_args(codes.ClosureReason)


@app.callback()
def _group() -> None:
    """A goal's way, its steps and its victories."""


@app.command(epilog="Example:  fhirgoals goal submit g-football --by staff-11")
def submit(context: typer.Context, goal: GoalId, by: By, reason: Reason = None, as_json: JsonOption = False) -> None:
    """Make a draft a proposal, which the client is shown."""
    _one(context, goal, Submit(goal=goal), Why(by, reason), "proposed", as_json)


@app.command(epilog="Example:  fhirgoals goal accept g-create --for p-client --method verbal --by staff-7")
def accept(
    context: typer.Context,
    goal: GoalId,
    by: By,
    method: Method = "verbal",
    for_: For = None,
    on: On = None,
    priority: Annotated[str | None, typer.Option(help="high, medium or low, to this person.")] = None,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Agree to a goal; a proposal to which both sides agree is accepted."""
    command = Accept(goal=goal, method=_method(method), by=for_, on=day_of(on), priority=priority_of(priority))
    _one(context, goal, command, Why(by, reason), "agreed to", as_json)


@app.command(epilog='Example:  fhirgoals goal disagree g-work --for p-client --reason "Too much at once" --by staff-7')
def disagree(
    context: typer.Context,
    goal: GoalId,
    by: By,
    reason: ReasonInWords,
    method: Method = "verbal",
    for_: For = None,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Disagree with a goal; one that runs on that agreement is put on hold."""
    command = Disagree(goal=goal, method=_method(method), reason=reason, by=for_, on=day_of(on))
    _one(context, goal, command, Why(by, reason), "disagreed with", as_json, in_summary=False)


@app.command(epilog="Example:  fhirgoals goal schedule g-resilience --start 2026-12-03 --by staff-7")
def schedule(
    context: typer.Context,
    goal: GoalId,
    by: By,
    start: Annotated[str | None, typer.Option(metavar="DATE", help="When work on it begins.")] = None,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Plan a goal, to be started later."""
    command = Schedule(goal=goal, start_date=day_of(start, "--start"))
    _one(context, goal, command, Why(by, reason), "planned", as_json)


@app.command(epilog="Example:  fhirgoals goal activate g-create --by staff-7")
def activate(context: typer.Context, goal: GoalId, by: By, reason: Reason = None, as_json: JsonOption = False) -> None:
    """Begin work on a goal, or go on after a pause; the client must have agreed."""
    _one(context, goal, Activate(goal=goal), Why(by, reason), "under way", as_json)


@app.command(epilog='Example:  fhirgoals goal pause g-ba --reason "Six weeks of travel" --by staff-7')
def pause(
    context: typer.Context,
    goal: GoalId,
    by: By,
    reason: ReasonInWords,
    asked_by: AskedBy = None,
    as_json: JsonOption = False,
) -> None:
    """Put a goal on hold."""
    _one(
        context, goal, Pause(goal=goal, reason=reason), Why(by, reason, asked_by), "on hold", as_json, in_summary=False
    )


@app.command(epilog="Example:  fhirgoals goal complete g-ba --as achieved --by staff-7")
def complete(
    context: typer.Context,
    goal: GoalId,
    by: By,
    how: Annotated[
        str, typer.Option("--as", metavar="HOW", help="achieved, partially_met, not_met, no_longer_relevant, …")
    ],
    achievement: Annotated[str | None, typer.Option(help="How far it came, where the rule does not say it.")] = None,
    on: On = None,
    reason: Reason = None,
    asked_by: AskedBy = None,
    as_json: JsonOption = False,
) -> None:
    """Close a goal and say how it ended; one that fell away is given up and not completed."""
    why = Why(by, reason, asked_by)
    command = Close(
        goal=goal,
        closure_reason=one_of("--as", how, CLOSURES),  # type: ignore[arg-type]
        achievement=_achievement(achievement),
        reason=why.words,
        on=day_of(on),
    )
    _one(context, goal, command, why, f"closed ({words.CLOSED_FOR[how]})", as_json, in_summary=False)


@app.command(epilog='Example:  fhirgoals goal reopen g-move --reason "The habit was lost in winter" --by staff-7')
def reopen(
    context: typer.Context,
    goal: GoalId,
    by: By,
    reason: ReasonInWords,
    asked_by: AskedBy = None,
    as_json: JsonOption = False,
) -> None:
    """Take a closed goal up again; one that was declined is proposed again."""
    why = Why(by, reason, asked_by)
    _one(context, goal, Reopen(goal=goal, reason=reason), why, "taken up again", as_json, in_summary=False)


@app.command(epilog='Example:  fhirgoals goal decline g-keep --reason "Not now" --by client-214')
def decline(
    context: typer.Context,
    goal: GoalId,
    by: By,
    reason: ReasonInWords,
    method: Method = "verbal",
    as_json: JsonOption = False,
) -> None:
    """Decline a proposed goal; it is kept, with the reason."""
    command = Decline(goal=goal, reason=reason, method=_method(method))
    _one(context, goal, command, Why(by, reason), "declined", as_json, in_summary=False)


@app.command("keep-up", epilog="Example:  fhirgoals goal keep-up g-ba --supported --by staff-7")
def keep_up(
    context: typer.Context,
    goal: GoalId,
    by: By,
    supported: Annotated[
        bool, typer.Option("--supported/--alone", help="Whether support is still needed, or it goes on without.")
    ],
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Keep up what was reached: under way while support is needed, else closed."""
    why = Why(by, reason)
    command = KeepUp(goal=goal, supported=supported, reason=why.words)
    _one(context, goal, command, why, "kept up", as_json, in_summary=False)


@app.command(epilog="Example:  fhirgoals goal edit g-ba --set priority=high --reason review --by staff-7")
def edit(
    context: typer.Context,
    goal: GoalId,
    by: By,
    change: Annotated[
        list[str],
        typer.Option("--set", metavar="FIELD=VALUE", help="text, words, priority, start, by-date, …; may repeat."),
    ],
    reason: Annotated[str, typer.Option(help="Why: review, client_request, progress, correction, too_ambitious, …")],
    asked_by: AskedBy = None,
    client_agreed: Annotated[
        bool | None, typer.Option("--client-agreed/--client-not-agreed", help="Whether the client agreed to it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change fields of a goal; an empty value takes one away. For the rest: `get`, edit the file, `put`."""
    because = one_of("--reason", reason, get_args(codes.RevisionReason))
    wanted = [_field(each) for each in change]

    def make(plan: Plan) -> AnyCommand:
        edited = tuple(
            msgspec.structs.replace(each, **dict(wanted)) if each.id == goal else each for each in plan.goals
        )
        return Edit(changes=changes(plan, msgspec.structs.replace(plan, goals=edited)))

    names = ", ".join(name.replace("_", " ") for name, _ in wanted)
    why = Why(by, because, asked_by, client_agreed)
    on_goal(context, goal, make, why, goal_is(goal, f"changed: {names}"), as_json=as_json)


@app.command(epilog='Example:  fhirgoals goal void g-nail --reason "Entered in the wrong chart" --by staff-11')
def void(context: typer.Context, goal: GoalId, by: By, reason: ReasonInWords, as_json: JsonOption = False) -> None:
    """Mark a goal as entered in error: the only way to delete. Its id is never used again."""
    _one(
        context,
        goal,
        Void(target=goal, reason=reason),
        Why(by, reason),
        "marked as an error",
        as_json,
        in_summary=False,
    )


for _name, _function, _example in (*NEW, *WORK):
    app.command(_name, epilog=f"Example:  fhirgoals goal {_name} {_example}")(_function)


def _one(
    context: typer.Context,
    goal: str,
    command: AnyCommand,
    why: Why,
    what: str,
    as_json: bool,
    *,
    in_summary: bool = True,
) -> None:
    on_goal(context, goal, lambda _: command, why, goal_is(goal, what), as_json=as_json, in_summary=in_summary)


def _method(text: str) -> codes.AcceptanceMethod:
    return one_of("--method", text, METHODS)  # type: ignore[return-value]


def _achievement(text: str | None) -> codes.Achievement | None:
    return None if text is None else one_of("--achievement", text, ACHIEVEMENTS)  # type: ignore[return-value]


_FIELDS = {
    "text": "text",
    "words": "client_words",
    "share-words": "share_words",
    "priority": "priority",
    "domain": "domain",
    "nature": "nature",
    "under": "parent",
    "start": "start_date",
    "by-date": "target_date",
    "done-when": "completion_criterion",
}
"""What `edit` may change, by the name that the command line has for it."""

_CODES: dict[str, tuple[str, ...]] = {
    "priority": get_args(codes.Priority),
    "domain": get_args(codes.Domain),
    "nature": get_args(codes.Nature),
}


def _field(text: str) -> tuple[str, str | date | bool | None]:
    """Return field and value of `FIELD=VALUE`; raises `InputError` for anything else."""
    name, equals, value = text.partition("=")
    if not equals or name not in _FIELDS:
        raise InputError(f"--set: write FIELD=VALUE, the field being one of {', '.join(_FIELDS)}")
    field = _FIELDS[name]
    if field == "share_words":
        return field, one_of("--set share-words", value, ("yes", "no")) == "yes"
    if not value:
        return field, None
    if field.endswith("_date"):
        return field, day_of(value, f"--set {name}")
    return field, one_of(f"--set {name}", value, _CODES[name]) if name in _CODES else value
