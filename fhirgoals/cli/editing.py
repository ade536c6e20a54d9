"""Carries a command out on a stored plan: decided, saved as one revision, told in one line.

Every editing command of the command line goes through here; what a command may do is `domain.commands`' to say.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, get_args

import msgspec
import typer

from fhirgoals.cli.output import printed_json, say, short
from fhirgoals.cli.session import actor, now, session_of
from fhirgoals.domain.codes import Priority, RevisionReason
from fhirgoals.domain.commands import Accepted, Actor, AnyCommand, Refusal, decide_command
from fhirgoals.domain.records import Plan
from fhirgoals.errors import InputError, Refused

if TYPE_CHECKING:
    from fhirgoals.store import Tx

By = Annotated[
    str,
    typer.Option(metavar="PERSON", help="Who does this: the id of a member of staff, or of their part in the plan."),
]
Reason = Annotated[
    str | None, typer.Option(help="Why: words for the history, or a known reason such as review or client_request.")
]
ReasonInWords = Annotated[str, typer.Option("--reason", help="Why, in words.")]
GoalId = Annotated[str, typer.Argument(metavar="GOAL", help="The goal's id; `show PLAN --json` has them.")]
PlanId = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id.")]
On = Annotated[str | None, typer.Option("--on", metavar="DATE", help="The day it happened; default today.")]
AskedBy = Annotated[
    str | None, typer.Option("--asked-by", metavar="PERSON", help="Who asked for it: a part in the plan.")
]

REASONS: tuple[str, ...] = get_args(RevisionReason)


@dataclass(frozen=True)
class Why:
    """Who acts and why: `because` is a known reason, `words` are free ones, `asked_by` a part in the plan."""

    by: str
    reason: str | None = None
    asked_by: str | None = None
    client_agreed: bool | None = None

    @property
    def because(self) -> RevisionReason | None:
        """The known reason that was given, if it is one."""
        return self.reason if self.reason in REASONS else None  # type: ignore[return-value]

    @property
    def words(self) -> str | None:
        """The reason in words, if it is no known one."""
        return None if self.because is not None else self.reason


Make = Callable[[Plan], AnyCommand]
"""What is asked of the plan as it stands."""
Say = Callable[[Plan], str]
"""What has become of it, without revision and full stop."""


def on_goal(
    context: typer.Context, goal: str, make: Make, why: Why, said: Say, *, as_json: bool, in_summary: bool = True
) -> None:
    """Carry a command out on the plan that has the goal."""
    carry_out(context, None, goal, make, why, said, as_json=as_json, in_summary=in_summary)


def on_plan(
    context: typer.Context, plan: str, make: Make, why: Why, said: Say, *, as_json: bool, in_summary: bool = True
) -> None:
    """Carry a command out on a plan."""
    carry_out(context, plan, None, make, why, said, as_json=as_json, in_summary=in_summary)


def carry_out(
    context: typer.Context,
    plan_id: str | None,
    goal_id: str | None,
    make: Make,
    why: Why,
    said: Say,
    *,
    as_json: bool,
    in_summary: bool,
) -> None:
    """Decide one command, save the plan as its next revision and say what happened.

    `in_summary`: the reason's words go into the history; else the command itself has taken them. Raises `Refused`
    with the sentence of whatever forbids it; then nothing is written.
    """
    by = actor(why.by)
    at = now()
    with session_of(context).open() as store, store.write() as tx:
        if plan_id is None:
            plan_id = _plan_of(tx, goal_id or "")
        stored = tx.plans.get(plan_id)
        if stored is None:
            raise Refused(f"there is no plan of that id; the store has {', '.join(tx.plans.ids()[:20]) or 'none'}")
        command = _with_why(make(stored.plan), why, in_summary=in_summary)
        names = frozenset(each.name for each in tx.connections.list())
        answer = decide_command(stored.plan, command, Actor(by), at.date(), rev=stored.rev, connections=names)
        if isinstance(answer, Refusal):
            raise refused(answer)
        rev = save(tx, answer, stored.rev, by, at)
    _told(answer, rev, said, as_json=as_json)


def save(tx: Tx, answer: Accepted, expect: int, by: str, at: datetime) -> int:
    """Save what a command made of a plan; the person is kept by their own id, not by that of their part."""
    person = next((each.ref for each in answer.plan.participants if each.id == by), by)
    return tx.plans.save(
        answer.plan,
        expect=expect,
        by=person,
        reason=answer.reason,
        at=at,
        touched=answer.touched,
        summary=answer.revision.summary,
    )


def refused(answer: Refusal) -> Refused:
    """Return the error for a refusal: what it is about, its sentence and its place."""
    about = f"{answer.at}: " if answer.at else ""
    place = f" ({answer.path})" if answer.path else ""
    return Refused(f"{about}{answer.sentence.removesuffix('.')}{place}; nothing was written")


def day_of(text: str | None, option: str = "--on") -> date | None:
    """Return the day that an option names, `None` where it names none; raises `InputError`."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option}: is no day: write it as YYYY-MM-DD") from None


def minted(mark: str) -> str:
    """Return a new id, such as `g-1c9e3a5d70f2`."""
    return f"{mark}-{uuid.uuid4().hex[:12]}"


def goal_called(plan: Plan, goal_id: str) -> str:
    """Return what a goal is called in a line about it."""
    return short(plan.goal(goal_id).text or "A goal without text", 60)


def goal_is(goal_id: str, what: str) -> Say:
    """Return how a line about a goal is made: its text, its id and what it is now."""
    return lambda plan: f"“{goal_called(plan, goal_id)}” ({goal_id}): {what}"


def priority_of(text: str | None) -> Priority | None:
    """Return the priority that an option names."""
    return None if text is None else one_of("--priority", text, get_args(Priority))  # type: ignore[return-value]


def one_of(option: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return an option's value; raises `InputError` where it is none of those allowed."""
    if value not in allowed:
        raise InputError(f"{option}: is none of the known ones: use one of {', '.join(allowed)}")
    return value


def _plan_of(tx: Tx, goal_id: str) -> str:
    found = tx.plans.plan_of(goal_id)
    if found is None:
        raise Refused("there is no goal of that id; `fhirgoals show PLAN --json` has the ids of a plan's goals")
    return found


def _with_why(command: AnyCommand, why: Why, *, in_summary: bool) -> AnyCommand:
    return msgspec.structs.replace(
        command,
        because=command.because or why.because,
        requested_by=why.asked_by,
        client_agreed=why.client_agreed,
        summary=why.words if in_summary else None,
    )


def _told(answer: Accepted, rev: int, said: Say, *, as_json: bool) -> None:
    what = said(answer.plan)
    if as_json:
        printed_json({"plan": answer.plan.id, "revision": rev, "done": what, "also": list(answer.also)})
        return
    say(" ".join([f"{what}; revision {rev}.", *answer.also]))
