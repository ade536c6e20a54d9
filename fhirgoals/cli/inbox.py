"""`inbox`: what waits for a person. The list says where and since when; values are shown only one by one."""

from __future__ import annotations

from typing import Annotated

import typer

from fhirgoals.cli import words
from fhirgoals.cli.output import JsonOption, clean, printed_json, say, table
from fhirgoals.cli.running import connections
from fhirgoals.cli.session import now, session_of
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Json, Unit
from fhirgoals.errors import Refused
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store.inbox import Item

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """What waits for a person."""


@app.command("list", epilog="Example:  fhirgoals inbox list")
def list_(
    context: typer.Context,
    connection: Annotated[
        str | None, typer.Argument(metavar="[CONNECTION]", help="One connection; default all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits: kind, connection, field, age, who may settle it, and what happens meanwhile. No values."""
    at = now()
    with session_of(context).open() as store:
        if connection is not None:
            connections(store, connection)
        with store.read() as tx:
            items = tx.inbox.list(connection=connection)
    if as_json:
        printed_json({"items": [_head(one) | {"age_s": int((at - one.opened_at).total_seconds())} for one in items]})
        return
    if not items:
        say("Nothing waits.")
        return
    rows = [
        [
            str(one.id),
            words.ITEM.get(one.kind, one.kind),
            one.connection or "",
            _field(one),
            one.owner or one.plan_id or "",
            words.age(one.opened_at, at),
        ]
        for one in items
    ]
    table(("no", "what", "connection", "field", "of", "age"), rows)
    say()
    for kind, settled in dict.fromkeys((one.kind, _roles(one)) for one in items):
        meanwhile = words.MEANWHILE.get(kind, "nothing is changed")
        name = words.ITEM.get(kind, kind)
        say(f"{name}: settled by {settled or 'an operator'}; meanwhile {meanwhile}.", hanging="  ")
    say("See one with its values: fhirgoals inbox show NO")


@app.command(epilog="Example:  fhirgoals inbox show 3")
def show(
    context: typer.Context,
    item: Annotated[int, typer.Argument(metavar="NO", help="Its number in the list.")],
    as_json: JsonOption = False,
) -> None:
    """Show one item with its values."""
    with session_of(context).open() as store, store.read() as tx:
        found = tx.inbox.show(item)
        if found is None:
            raise Refused("there is no item of that number: `fhirgoals inbox list`")
        stored = tx.plans.get(found.plan_id) if found.plan_id else None
    if as_json:
        values: dict[str, Tree] = {"base": found.base, "ours": found.ours, "theirs": found.theirs}
        printed_json(_head(found) | values)
        return
    plan = stored.plan if stored else None
    say(f"{words.ITEM.get(found.kind, found.kind)}: {_field(found)}, at {found.connection}")
    for name, text in _facts(found, plan):
        say(f"{name + ':':<16}{text}", indent="  ", hanging=" " * 18)
    if found.closed_at is not None:
        say(f"Closed on {words.on_day(found.closed_at.date())}: {found.close_reason}.")


def _facts(item: Item, plan: Plan | None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if plan is not None:
        found.append(("plan", clean(plan.title or plan.id)))
        goal = next((goal for goal in plan.goals if goal.id == item.owner), None)
        if goal is not None:
            found.append(("goal", clean(goal.text or goal.id)))
    if item.unit and not (item.base is None and item.ours is None and item.theirs is None):
        found.append(("last agreed", in_words(item.base)))
        found.append(("here", in_words(item.ours)))
        found.append(("at the EHR", in_words(item.theirs)))
    found.append(("since", words.on_day(item.opened_at.date())))
    found.append(("why", words.WHY.get(item.why, item.why.replace("_", " "))))
    found.append(("settled by", _roles(item)))
    if item.kind in words.MEANWHILE:
        found.append(("meanwhile", words.MEANWHILE[item.kind]))
    return found


def in_words(value: Json) -> str:
    """Return a unit's value as people read it."""
    if value in (None, "", [], {}):
        return "(nothing)"
    match value:
        case bool():
            return "yes" if value else "no"
        case {"foreign": _}:
            return "a value of the EHR's own"
        case dict():
            return "; ".join(f"{key.replace('_', ' ')}: {in_words(part)}" for key, part in value.items())
        case list():
            return ", ".join(in_words(part) for part in value)
        case str():
            table_of = next((one for one in _CODES if value in one), None)
            return table_of[value] if table_of else clean(value)
        case _:
            return str(value)


_CODES = (words.LIFECYCLE, words.ACHIEVEMENT, words.CLOSED_FOR)


def _field(item: Item) -> str:
    return words.field_name(Unit(item.owner or "", item.unit)) if item.unit else "the whole of it"


def _roles(item: Item) -> str:
    return " or ".join(words.ROLE.get(role, role) for role in item.who_may)


def _head(item: Item) -> dict[str, Tree]:
    return {
        "id": item.id,
        "kind": item.kind,
        "connection": item.connection,
        "plan": item.plan_id,
        "owner": item.owner,
        "unit": item.unit,
        "field": _field(item),
        "why": item.why,
        "who_may": list(item.who_may),
        "meanwhile": words.MEANWHILE.get(item.kind),
        "opened_at": item.opened_at.isoformat(),
        "open": item.closed_at is None,
    }
