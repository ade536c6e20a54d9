"""`consent` and `withhold`: what the client lets each connection see, and what they keep back."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from fhirgoals.cli import words
from fhirgoals.cli.editing import By, On, PlanId, Reason, Say, Why, day_of, goal_called, minted, on_plan, one_of
from fhirgoals.cli.output import JsonOption, clean, printed_json, say, table
from fhirgoals.cli.planfiles import stored_plan
from fhirgoals.cli.session import day, now, session_of
from fhirgoals.domain import codes
from fhirgoals.domain.commands import GrantConsent, RefuseConsent, Release, RevokeConsent, Withhold
from fhirgoals.domain.lifecycle import consent_state
from fhirgoals.domain.readers import next_change
from fhirgoals.domain.records import Consent, Plan
from fhirgoals.fhir.exact_json import Tree

app = typer.Typer(rich_markup_mode=None)
withhold_app = typer.Typer(rich_markup_mode=None)

Connection = Annotated[str, typer.Argument(metavar="CONNECTION", help="The name of a connection.")]
Target = Annotated[str, typer.Argument(metavar="GOAL|PROBLEM", help="The id of a goal or problem of the plan.")]
Endpoint = Annotated[
    str | None, typer.Option("--from", metavar="CONNECTION", help="From one connection only; default from all.")
]

_STATE = {"granted": "in force", "asked": "asked for"}


@app.callback()
def _group() -> None:
    """What the client lets each connection see."""


@withhold_app.callback()
def _withhold_group() -> None:
    """What the client keeps back."""


@app.command("list", epilog="Example:  fhirgoals consent list plan-dep-01")
def list_(
    context: typer.Context,
    plan: PlanId,
    on: Annotated[str | None, typer.Option(metavar="DATE", help="The day to list them for; default today.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List a plan's consents, what is kept back, and when time alone changes what a connection sees."""
    found, today = stored_plan(session_of(context), plan), day(on)
    coming = next_change(found, today)
    consents = found.disclosure.consents
    if as_json:
        rows_: list[Tree] = [
            {
                "id": each.id,
                "endpoint": each.endpoint,
                "state": consent_state(each, today),
                "granted": each.granted.isoformat() if each.granted else None,
                "expires": each.expires.isoformat() if each.expires else None,
                "refused": each.refused.isoformat() if each.refused else None,
                "sensitivities": list(each.sensitivities),
            }
            for each in consents
        ]
        kept: list[Tree] = [{"target": each.target, "endpoint": each.endpoint} for each in found.disclosure.withheld]
        next_day = coming.isoformat() if coming else None
        printed_json({"plan": found.id, "consents": rows_, "withheld": kept, "next_change": next_day})
        return
    rows = [
        [
            each.id,
            each.endpoint,
            _state(each, consent_state(each, today)),
            ", ".join(words.LABEL.get(one, one) for one in each.sensitivities),
        ]
        for each in consents
    ]
    if rows:
        table(("id", "connection", "consent", "also covers"), rows)
    else:
        say("There is no consent: nothing of this plan goes to any connection.")
    for each in found.disclosure.withheld:
        say(f"Kept back from {each.endpoint or 'all connections'}: {_called(found, each.target)} ({each.target})")
    if coming is not None:
        say(f"The next change by time alone: {words.on_day(coming)}.")


@app.command(
    epilog="Example:  fhirgoals consent grant plan-dep-01 ehr-main --until 2027-05-18 --covers MH --by staff-7"
)
def grant(
    context: typer.Context,
    plan: PlanId,
    connection: Connection,
    by: By,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="The first day without it.")] = None,
    method: Annotated[str, typer.Option(metavar="HOW", help="signature, or portal by the client alone.")] = "signature",
    covers: Annotated[
        list[str] | None, typer.Option("--covers", metavar="LABEL", help="Also MH, PSY, SUD, …; may repeat.")
    ] = None,
    on: On = None,
    consent_id: Annotated[str | None, typer.Option("--id", help="Its id; by default one is made.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Put on record that the client lets a connection see the plan, in writing or by portal."""
    consent = Consent(
        id=consent_id or minted("c"),
        endpoint=connection,
        granted=day_of(on) or now().date(),
        expires=day_of(until, "--until"),
        method=one_of("--method", method, ("signature", "portal")),  # type: ignore[arg-type]
        scope="treatment",
        sensitivities=tuple(
            one_of("--covers", each, get_args(codes.Sensitivity))  # type: ignore[misc]
            for each in covers or ()
        ),
    )
    command = GrantConsent(consent=consent)
    on_plan(context, plan, lambda _: command, Why(by), _consent(consent.id, "granted"), as_json=as_json)


@app.command(epilog="Example:  fhirgoals consent refuse plan-dep-01 primary-care --by staff-7")
def refuse(
    context: typer.Context, plan: PlanId, connection: Connection, by: By, on: On = None, as_json: JsonOption = False
) -> None:
    """Put on record that the client refuses a connection; what was granted to it ends."""
    new = minted("c")
    command = RefuseConsent(id=new, endpoint=connection, on=day_of(on))
    on_plan(context, plan, lambda _: command, Why(by), _consent(new, "refused"), as_json=as_json)


@app.command(epilog="Example:  fhirgoals consent revoke plan-dep-01 c-1 --by client-101")
def revoke(
    context: typer.Context,
    plan: PlanId,
    consent: Annotated[str, typer.Argument(metavar="CONSENT", help="Its id; see `consent list`.")],
    by: By,
    on: On = None,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Take a consent back: from that day on nothing more is sent there. What was sent is still there."""
    command = RevokeConsent(id=consent, on=day_of(on))
    on_plan(context, plan, lambda _: command, Why(by, reason), _consent(consent, "taken back"), as_json=as_json)


@withhold_app.command(
    "add", epilog='Example:  fhirgoals withhold add plan-dep-01 g-create --reason "My own affair" --by client-101'
)
def withhold(
    context: typer.Context,
    plan: PlanId,
    target: Target,
    by: By,
    endpoint: Endpoint = None,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a goal or problem back, from one connection or from all: it leaves no trace in what is sent."""
    why = Why(by, reason)
    command = Withhold(target=target, endpoint=endpoint, reason=why.words)
    said = _kept(target, f"kept back from {endpoint or 'all connections'}")
    on_plan(context, plan, lambda _: command, why, said, as_json=as_json, in_summary=False)


@withhold_app.command("end", epilog="Example:  fhirgoals withhold end plan-dep-01 g-create --by client-101")
def release(
    context: typer.Context,
    plan: PlanId,
    target: Target,
    by: By,
    endpoint: Endpoint = None,
    reason: Reason = None,
    as_json: JsonOption = False,
) -> None:
    """No longer keep a goal or problem back; consents decide again whether it goes."""
    command = Release(target=target, endpoint=endpoint)
    on_plan(context, plan, lambda _: command, Why(by, reason), _kept(target, "no longer kept back"), as_json=as_json)


def _consent(consent_id: str, what: str) -> Say:
    def said(plan: Plan) -> str:
        found = next(each for each in plan.disclosure.consents if each.id == consent_id)
        return f"Consent for {found.endpoint} ({consent_id}): {what}"

    return said


def _kept(target: str, what: str) -> Say:
    return lambda plan: f"“{_called(plan, target)}” ({target}): {what}"


def _called(plan: Plan, target: str) -> str:
    if any(each.id == target for each in plan.goals):
        return goal_called(plan, target)
    problem = next((each for each in plan.problems if each.id == target), None)
    return (
        "a goal or problem that is not there" if problem is None else clean(problem.code.display or problem.code.code)
    )


def _state(consent: Consent, state: str) -> str:
    said = _STATE.get(state, state.replace("_", " "))
    match state:
        case "refused":
            return f"{said} on {words.on_day(consent.refused)}"
        case "granted" if consent.expires is not None:
            return f"{said} until {words.on_day(consent.expires)}"
        case "ended":
            return f"{said} on {words.on_day(consent.expires)}"
        case _:
            return said
