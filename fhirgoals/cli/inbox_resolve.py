"""`inbox resolve`: settles one item, or all equal cases of one field at one connection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, cast

import typer

from fhirgoals.cli import words
from fhirgoals.cli.editing import REASONS, one_of
from fhirgoals.cli.inbox_list import head, item_table
from fhirgoals.cli.inbox_words import field, in_short
from fhirgoals.cli.output import JsonOption, printed_json, say
from fhirgoals.cli.running import connections
from fhirgoals.cli.session import actor, now, session_of
from fhirgoals.domain.codes import RevisionReason
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Unit
from fhirgoals.errors import FhirgoalsError, InputError, Refused
from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store import Store
from fhirgoals.store.inbox import Item
from fhirgoals.sync.case import equal_cases, settler
from fhirgoals.sync.planned_items import Marks
from fhirgoals.sync.resolve import Choice, Resolved, Take, resolve_all

_TAKES = ("ours", "theirs")


def resolve(
    context: typer.Context,
    by: Annotated[str, typer.Option(metavar="PERSON", help="Who decides: a therapist or supervisor of the plan.")],
    item: Annotated[int | None, typer.Argument(metavar="[NO]", help="Its number in the list; none with --all.")] = None,
    take: Annotated[str | None, typer.Option(metavar="SIDE", help="ours or theirs.")] = None,
    value: Annotated[str | None, typer.Option(metavar="JSON", help="Another value; null for none.")] = None,
    complete: Annotated[
        str | None, typer.Option("--with", metavar="JSON", help="With --take theirs: parts that the EHR did not say.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why: words for the history, or a known reason such as client_request.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All equal cases of one field at one connection.")] = False,
    unit: Annotated[str | None, typer.Option(metavar="FIELD", help="With --all: the field, such as priority.")] = None,
    connection: Annotated[str | None, typer.Option(metavar="NAME", help="With --all: the connection.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="With --all: conflict or proposal.")] = None,
    why: Annotated[str | None, typer.Option(metavar="CODE", help="With --all: the cause, as --json names it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --all: the list was read; goes with --shown.")] = False,
    shown: Annotated[
        str | None, typer.Option(metavar="CHECK", help="With --yes: the check that the list which was read ends with.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Settle an item: take ours, theirs, or another value.

    Refused where either side moved since it was asked, and where a rule of the plan forbids it. --all first shows the
    items and a check of what it showed; only those are settled, by --yes --shown CHECK, while they still are the whole
    list. Each is settled or refused by itself: exit code 1 where some were refused, 2 where all were.
    """
    person = actor(by)
    choice = _choice(take, value, complete, person, reason)
    if every == (item is not None):
        raise InputError("NO: give the number of one item, or --all with --unit and --connection")
    if item is not None and any(one is not None for one in (unit, connection, kind, why)):
        raise InputError("--unit, --connection, --kind, --why: go with --all")
    if shown is not None and not (every and yes):
        raise InputError("--shown: goes with --all and --yes")
    with session_of(context).open() as store:
        with store.read() as tx:
            known = tx.connections.list()
        names = frozenset(one.name for one in known)
        if item is not None:
            _settle_one(store, item, choice, names, as_json=as_json)
            return
        if unit is None or connection is None:
            raise InputError("--all: goes with --unit and --connection")
        if choice.take == "value" or complete is not None:
            raise InputError("--all: takes one side as it is; give other values one by one")
        connections(store, connection)
        _settle_all(store, choice, names, (unit, connection, kind, why), yes=yes, shown=shown, as_json=as_json)


def _settle_one(store: Store, item: int, choice: Choice, names: frozenset[str], *, as_json: bool) -> None:
    done, left = resolve_all(store, [item], choice, names)
    if left:
        raise Refused(left[item])
    [one] = done
    if as_json:
        printed_json(_done_tree(one))
        return
    revision = f", revision {one.rev}" if one.rev is not None else ""
    say(f"Item {item} is settled: {_what(one)}{revision}. {_then(one)}")


def _settle_all(
    store: Store,
    choice: Choice,
    names: frozenset[str],
    wanted: tuple[str, str, str | None, str | None],
    *,
    yes: bool,
    shown: str | None,
    as_json: bool,
) -> None:
    items = _equal(store, *wanted)
    numbers = [one.id for one in items]
    readable = _readable(store, items, choice)
    check = _check(store, items, readable, choice)
    if not as_json:
        item_table(items, choice.at, [_values(one, readable.get(one.id)) for one in items])
        say()
    if shown != check:  # never given without --yes
        if as_json:
            printed_json({"items": [_shown_tree(one, choice, one.id in readable) for one in items], "check": check})
        raise Refused(_unread(numbers, check, yes=yes, shown=shown))
    done, left = resolve_all(store, numbers, choice, names)
    if as_json:
        tree: Tree = [{"id": number, "why": text} for number, text in left.items()]
        printed_json({"settled": [_done_tree(one) for one in done], "refused": tree})
    else:
        say(f"Settled: {words.count(len(done), 'item')}.")
    for text in left.values():
        typer.echo(f"error: {text}", err=True)
    if left:
        raise typer.Exit(1 if done else 2)


def _equal(store: Store, unit: str, connection: str, kind: str | None, why: str | None) -> list[Item]:
    """Return the open items of one field at one connection, if they are equal cases; raises `Refused`."""
    with store.read() as tx:
        cases = equal_cases(tx.inbox.list(connection=connection))
    found = {
        key: items
        for key, items in cases.items()
        if unit in (key[1], key[1].partition(":")[0], field(items[0]))
        and kind in (None, key[2])
        and why in (None, key[3])
    }
    if not found:
        raise Refused(f"no conflict or proposal of that field is open at {connection}: `fhirgoals inbox list`")
    if len(found) > 1:
        told = "; ".join(f"--kind {key[2]} --why {key[3]}: {len(items)}" for key, items in found.items())
        raise Refused(f"these are not equal cases, settle them kind by kind: {told}")
    [items] = found.values()
    return items


def _readable(store: Store, items: Sequence[Item], choice: Choice) -> dict[int, Plan]:
    """Return the plans of the items that the person may settle, and whose values they therefore see, by item."""
    found = {}
    with store.read() as tx:
        for item in items:
            stored = tx.plans.get(item.plan_id or "")
            if stored is not None and settler(stored.plan, item, choice.by, choice.on) is not None:
                found[item.id] = stored.plan
    return found


def _values(item: Item, plan: Plan | None) -> tuple[str, str]:
    """Return both values of an item in a few words; dots without the plan of one who may see them."""
    if plan is None:
        return "…", "…"
    unit = Unit(item.owner or "", item.unit or "")
    return in_short(item.ours, unit, plan), in_short(item.theirs, unit, plan)


def _check(store: Store, items: Sequence[Item], readable: Mapping[int, Plan], choice: Choice) -> str:
    """Return a short mark of what is shown, of whom it is shown to and of the side that is to be taken."""
    rows: list[Tree] = [[one.id, one.ours, one.theirs] if one.id in readable else [one.id] for one in items]
    return Marks(store.installation).of([choice.take, choice.by, rows])[:8]


def _unread(numbers: Sequence[int], check: str, *, yes: bool, shown: str | None) -> str:
    """Return why nothing was settled: the list was not read, or another one was; and what to do."""
    why = ""
    if shown is not None:
        why = "--shown stands for another list, other values or the other side: "
    elif yes:
        why = "--yes goes with --shown, the check of the list that was read: "
    listed = ", ".join(map(str, numbers))
    return (
        f"nothing was settled: {why}read the {words.count(len(numbers), 'item')} ({listed}),"
        f" then add --yes --shown {check}"
    )


def _shown_tree(item: Item, choice: Choice, readable: bool) -> dict[str, Tree]:
    values: dict[str, Tree] = {"ours": item.ours, "theirs": item.theirs} if readable else {}
    return head(item, choice.at) | {"values_shown": readable} | values


def _choice(take: str | None, value: str | None, complete: str | None, by: str, reason: str | None) -> Choice:
    if take is not None:
        one_of("--take", take, _TAKES)
    if (take is None) == (value is None):
        raise InputError("--take, --value: give one of them: --take ours, --take theirs, or --value with JSON")
    if complete is not None and take != "theirs":
        raise InputError("--with: goes with --take theirs")
    given = (
        _json("--value", value) if value is not None else _json("--with", complete) if complete is not None else None
    )
    known = reason in REASONS
    return Choice(
        take=cast(Take, take or "value"),
        value=given,
        by=by,
        at=now(),
        because=cast(RevisionReason, reason) if known else None,
        words=None if known else reason,
    )


def _json(option: str, text: str) -> Tree:
    try:
        found = exact_json.loads(text)
    except FhirgoalsError:
        raise InputError(f"{option}: is no JSON: a text goes in double quotes, such as '\"2027-01-18\"'") from None
    if re.search(r"\\u00[01]|[\x00-\x08\x0b\x0c\x0e-\x1f]", text):
        raise InputError(f"{option}: holds a control character that no text may have")
    return found


def _what(one: Resolved) -> str:
    return {
        "ours": "ours stands",
        "theirs": f"the plan has what {one.connection} has",
        "value": "the plan has the new value",
    }[one.take]


def _then(one: Resolved) -> str:
    if one.sends:
        return f"It goes to {one.connection} with the next run: fhirgoals sync {one.connection}"
    if one.may_go_from is not None:
        when = words.at_time(one.may_go_from)
        return f"It may go to {one.connection} from {when} on, if nobody edits the plan before."
    if one.waits:
        return f"It goes to {one.connection} once a review that covers it is signed."
    if one.take == "theirs":
        return "Nothing is sent."
    return f"Nothing is sent: {one.connection} may not have it."


def _done_tree(one: Resolved) -> dict[str, Tree]:
    return {
        "item": one.item_id,
        "take": one.take,
        "connection": one.connection,
        "plan": one.plan_id,
        "owner": one.unit.owner,
        "unit": one.unit.name,
        "revision": one.rev,
        "sends": one.sends,
        "waits": one.waits,
        "may_go_from": one.may_go_from.isoformat(timespec="seconds") if one.may_go_from is not None else None,
    }
