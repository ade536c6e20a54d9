"""`ehr guard`: how much was taken away and changed within a day, what the guard stopped, and letting it pass once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from fhirgoals.cli import words
from fhirgoals.cli.output import JsonOption, printed_json, say, table
from fhirgoals.cli.running import connections
from fhirgoals.cli.session import actor, now, one_word, session_of
from fhirgoals.errors import InputError, Refused
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store import Tx
from fhirgoals.store.inbox import Item
from fhirgoals.sync.guard import MANY_LINKS, Tally, clear, cleared_by, limits, so_far


@dataclass(frozen=True)
class _Guard:
    """What was done within a day, how many resources are linked, who cleared the guard, and what it stops."""

    done: Tally
    links: int
    cleared: str | None
    stopped: Sequence[Item]


def guard(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    clear_: Annotated[bool, typer.Option("--clear", help="Let the next run do what was stopped.")] = False,
    by: Annotated[str | None, typer.Option(metavar="STAFF", help="With --clear: who says so.")] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="WORDS", help="With --clear: why; it goes into the audit.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the guard counted and stopped, or let it pass once.

    It counts what was taken away and changed within 24 hours, here and there, and stops a plan that goes past the
    limits. With --clear the next run passes the guard, that run alone: look first at `preview NAME --stopped`.
    """
    if not clear_ and (by is not None or reason is not None):
        raise InputError("--by and --reason go with --clear")
    if clear_ and (by is None or reason is None):
        raise InputError("--clear: say who clears it and why: --by STAFF --reason WORDS")
    at = now()
    with session_of(context).open() as store:
        connections(store, name)
        if clear_ and by is not None and reason is not None:
            staff, word = actor(by), one_word(reason)
            with store.write() as tx:
                if not _stopped(tx, name):
                    raise Refused(f"{name}: the guard stops nothing: there is nothing to clear")
                clear(tx, name, by=staff, at=at, reason=word)
                found = _guard_of(tx, name, at)
        else:
            with store.read() as tx:
                found = _guard_of(tx, name, at)
    if as_json:
        printed_json(_tree(name, found, at))
    elif clear_:
        plans = words.count(len({one.plan_id for one in found.stopped}), "plan")
        say(f"{name}: the next run does what was stopped, for {plans}; the guard then holds again.")
        say(f"Next: fhirgoals sync {name}")
    else:
        _say(name, found, at)


def _guard_of(tx: Tx, name: str, at: datetime) -> _Guard:
    done, links, _ = so_far(tx, name, at)
    return _Guard(done, links, cleared_by(tx, name), _stopped(tx, name))


def _stopped(tx: Tx, name: str) -> list[Item]:
    return [one for one in tx.inbox.list(connection=name) if one.kind == "guard"]


def _say(name: str, found: _Guard, at: datetime) -> None:
    removable, changeable = limits(found.links)
    resources = words.count(found.links, "resource")
    say(f"{name}: {resources} linked. Within the last 24 hours, here and there:")
    say()
    rows = [
        ["taken away", f"{len(found.done.removed):,}", f"{removable:,}"],
        ["changed", f"{len(found.done.changed):,}", "none" if changeable is None else f"{changeable:,}"],
    ]
    table(("", "done", "limit"), rows)
    say()
    if changeable is None:
        say(f"Changes have a limit from {MANY_LINKS} linked resources on.")
    if not found.stopped:
        say("Nothing is stopped.")
    else:
        say("Stopped, with nothing done for these plans here or there:")
        say()
        rows = [
            [str(one.id), words.age(one.opened_at, at), one.plan_id or "", words.WHY.get(one.why, one.why)]
            for one in found.stopped
        ]
        table(("no", "age", "plan", "why"), rows)
        say()
        if found.cleared is None:
            say(f"See what they would do: fhirgoals preview {name} --stopped")
            say(f"If all of that is meant: fhirgoals ehr guard {name} --clear --by STAFF --reason WORDS", hanging="  ")
    if found.cleared is not None:
        say(f"Cleared by {found.cleared} for the next run: fhirgoals sync {name}")


def _tree(name: str, found: _Guard, at: datetime) -> dict[str, Tree]:
    removable, changeable = limits(found.links)
    return {
        "connection": name,
        "links": found.links,
        "removed": {"done": len(found.done.removed), "limit": removable},
        "changed": {"done": len(found.done.changed), "limit": changeable},
        "cleared_by": found.cleared,
        "stopped": [
            {
                "id": one.id,
                "plan": one.plan_id,
                "why": one.why,
                "opened_at": one.opened_at.isoformat(),
                "age_s": int((at - one.opened_at).total_seconds()),
            }
            for one in found.stopped
        ],
    }
