"""`review`: reviews of a plan put on record, signed, or refused with a reason."""

from __future__ import annotations

from datetime import date
from typing import Annotated, get_args

import msgspec
import typer

from fhirgoals.cli import words
from fhirgoals.cli.editing import By, On, PlanId, ReasonInWords, Say, Why, day_of, minted, on_plan, one_of
from fhirgoals.cli.output import JsonOption, printed_json, say, table
from fhirgoals.cli.planfiles import stored_plan
from fhirgoals.cli.session import now, session_of
from fhirgoals.cli.show_words import REVIEW_KIND, REVIEW_OUTCOME, role_of
from fhirgoals.domain import codes
from fhirgoals.domain.commands import HoldReview, RefuseSignature, Sign
from fhirgoals.domain.instruments import standard
from fhirgoals.domain.records import Plan, Review
from fhirgoals.domain.reviews import held_reviews, next_due, review_clock

app = typer.Typer(rich_markup_mode=None)

ReviewId = Annotated[str, typer.Argument(metavar="REVIEW", help="The review's id; see `review list`.")]
For = Annotated[
    str | None, typer.Option("--for", metavar="PERSON", help="Whose line it is, where a therapist records it.")
]
Attended = Annotated[
    list[str] | None, typer.Option("--with", metavar="PERSON", help="Who took part, beside you; may repeat.")
]
Participation = Annotated[
    str | None,
    typer.Option("--participation", metavar="HOW", help="How the client took part: active, limited, absent, refused."),
]


@app.callback()
def _group() -> None:
    """Reviews of a plan."""


@app.command("list", epilog="Example:  fhirgoals review list plan-dep-01")
def list_(context: typer.Context, plan: PlanId, as_json: JsonOption = False) -> None:
    """List the reviews that were held, who has not signed, and when the next one is due."""
    found, today = stored_plan(session_of(context), plan), now().date()
    clock = review_clock(found, today, standard().limits)
    unsigned: dict[str, list[str]] = {}
    for each in clock.unsigned:
        unsigned.setdefault(each.review, []).append(each.by)
    held = held_reviews(found, today)
    if as_json:
        printed_json(
            {
                "plan": found.id,
                "next_due": clock.next_due.isoformat() if clock.next_due else None,
                "overdue": clock.overdue,
                "reviews": [
                    {"id": each.id, "date": each.date.isoformat(), "unsigned": list(unsigned.get(each.id, ()))}
                    for each in held
                ],
            }
        )
        return
    rows = [
        [
            each.id,
            words.on_day(each.date),
            REVIEW_KIND[each.kind],
            REVIEW_OUTCOME[each.outcome],
            ", ".join(role_of(found, by) for by in unsigned.get(each.id, ())),
        ]
        for each in held
    ]
    if rows:
        table(("id", "held on", "kind", "outcome", "not signed by"), rows, unbroken=("held on",))
        say()
    if clock.next_due is not None:
        say(f"Next review: {words.on_day(clock.next_due)}" + (", overdue." if clock.overdue else "."))


@app.command(
    epilog="Example:  fhirgoals review add plan-dep-01 --outcome continue --with p-client --participation active"
    " --by staff-7"
)
def add(
    context: typer.Context,
    plan: PlanId,
    outcome: Annotated[str, typer.Option(help="continue, modify, step_up, step_down or discharge.")],
    by: By,
    kind: Annotated[str, typer.Option(help="scheduled or triggered.")] = "scheduled",
    attended: Attended = None,
    participation: Participation = None,
    summary: Annotated[str | None, typer.Option(help="What was found, for the practice; it stays here.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, of a review that was not due.")] = None,
    supervisor_signs: Annotated[bool, typer.Option("--supervisor-signs", help="The supervisor signs it too.")] = False,
    on: On = None,
    review_id: Annotated[str | None, typer.Option("--id", help="Its id; by default one is made.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Put a review on record; each who should sign gets a line that waits for them."""
    new = review_id or minted("rv")
    one_of("--kind", kind, ("scheduled", "triggered"))
    held_on = day_of(on) or now().date()

    def make(found: Plan) -> HoldReview:
        due = next_due(found, held_on, standard().limits)
        review = new_review(found, by, kind, outcome, held_on, attended, participation, summary)
        review = msgspec.structs.replace(review, id=new, due=due, reason=reason)
        return HoldReview(review=review, supervisor_signs=supervisor_signs)

    on_plan(context, plan, make, Why(by), _review(new, "on record"), as_json=as_json)


@app.command(epilog="Example:  fhirgoals review sign plan-dep-01 rv-3 --by staff-2")
def sign(
    context: typer.Context,
    plan: PlanId,
    review: ReviewId,
    by: By,
    for_: For = None,
    on: On = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a review, or record a signature of the client's side; a signature is final."""
    command = Sign(review=review, by=for_, on=day_of(on))
    on_plan(context, plan, lambda _: command, Why(by), _review(review, "signed"), as_json=as_json)


@app.command(
    epilog='Example:  fhirgoals review refuse plan-ocd-01 rv-2 --for p-client --reason "Not agreed" --by staff-11'
)
def refuse(
    context: typer.Context,
    plan: PlanId,
    review: ReviewId,
    by: By,
    reason: ReasonInWords,
    for_: For = None,
    as_json: JsonOption = False,
) -> None:
    """Record that someone will not sign a review, and why."""
    command = RefuseSignature(review=review, reason=reason, by=for_)
    said = _review(review, "signature refused")
    on_plan(context, plan, lambda _: command, Why(by, reason), said, as_json=as_json, in_summary=False)


def new_review(
    plan: Plan,
    by: str,
    kind: str,
    outcome: str,
    on: date,
    attended: list[str] | None,
    participation: str | None,
    summary: str | None,
) -> Review:
    """Return a review that was held, by whom it is put on record and with whom; its id is made."""
    me = [each.id for each in plan.participants if by in (each.id, each.ref)][:1]
    how = None if participation is None else one_of("--participation", participation, get_args(codes.Participation))
    return Review(
        id=minted("rv"),
        date=on,
        kind=one_of("--kind", kind, get_args(codes.ReviewKind)),  # type: ignore[arg-type]
        outcome=one_of("--outcome", outcome, get_args(codes.ReviewOutcome)),  # type: ignore[arg-type]
        attendees=tuple(dict.fromkeys([*me, *(attended or ())])),
        client_participation=how,  # type: ignore[arg-type]
        summary=summary,
    )


def _review(review_id: str, what: str) -> Say:
    def said(plan: Plan) -> str:
        found = next(each for each in plan.reviews if each.id == review_id)
        return f"Review of {words.on_day(found.date)} ({review_id}): {what}"

    return said
