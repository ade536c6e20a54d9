"""Runs one connection for a command: opens its EHR, hands it to the runner, and shows what came of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import uuid4

from fhirgoals.cli import words
from fhirgoals.cli.output import say, short, table
from fhirgoals.cli.session import now
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Unit
from fhirgoals.errors import ConfigurationError, Refused
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.http import Http
from fhirgoals.store import AsyncStore, Store
from fhirgoals.store.connections import Connection
from fhirgoals.sync.connection import ConnectionConfig, config_of
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.planned_file import Noted, Only
from fhirgoals.sync.run import Runner

Progress = Callable[[int, int], None]


def connections(store: Store, name: str | None) -> list[Connection]:
    """Return the connection of that name, or all; raises `Refused` where there is none."""
    with store.read() as tx:
        known = tx.connections.list()
    if name is None:
        if not known:
            raise Refused("there is no connection yet: `fhirgoals ehr add NAME --url URL`")
        return list(known)
    found = [one for one in known if one.name == name]
    if not found:
        names = ", ".join(one.name for one in known) or "none"
        raise Refused(f"there is no connection of that name; the store has {names}")
    return found


def previewed(
    store: Store,
    name: str,
    progress: Progress = lambda _done, _total: None,
    *,
    stopped: bool = False,
    whole: bool = False,
    noted: Noted | None = None,
) -> Counts:
    """Return what a run of the connection would do; nothing is written here or there. `noted` keeps it for a file.

    `stopped` adds what the guard keeps it from, `whole` what the first run after arming leaves for later ones.
    """
    [connection] = connections(store, name)

    async def work(runner: Runner) -> Counts:
        return await runner.preview(stopped=stopped, whole=whole, noted=noted)

    return asyncio.run(_with_runner(store, connection, progress, work))


def synced(
    store: Store,
    connection: Connection,
    progress: Progress = lambda _done, _total: None,
    only: Only | None = None,
) -> Counts:
    """Run the connection and return what it did; with `only` what a kept preview names, and nothing else."""
    try:
        return asyncio.run(_with_runner(store, connection, progress, Runner.sync, only))
    finally:
        store.note_lines()


def token_of(config: ConnectionConfig, name: str) -> str | None:
    """Return the token from the environment; raises `ConfigurationError` where its variable is not set."""
    if config.token is None:
        return None
    token = os.environ.get(config.token)
    if not token:
        raise ConfigurationError(f"{name}: the environment variable {config.token} is not set: put the token there")
    return token


def client_of(connection: Connection, http: Http) -> EhrClient:
    """Return the client for a connection's EHR."""
    config = config_of(connection.config)
    return EhrClient(
        config.base_url,
        http,
        clock=now,
        token=token_of(config, connection.name),
        connection=connection.name,
        page_size=config.page_size,
    )


async def _with_runner(
    store: Store,
    connection: Connection,
    progress: Progress,
    work: Callable[[Runner], Awaitable[Counts]],
    only: Only | None = None,
) -> Counts:
    async with Http() as http:
        shared = AsyncStore(store)
        runner = Runner(
            store=shared,
            connection=connection.name,
            client=client_of(connection, http),
            clock=now,
            new_id=uuid4,
            owner=f"command-{os.getpid()}-{uuid4().hex[:8]}",
            progress=progress,
            only=only,
        )
        return await work(runner)


def operations_table(store: Store, counts: Counts) -> None:
    """Print what would be done, plan by plan, with titles for ids."""
    if not counts.operations:
        same = "both sides are the same, as far as anything may go."
        say("Nothing now." if counts.not_sent_yet else f"Nothing: {same}")
    else:
        with store.read() as tx:
            plans = [stored.plan for stored in tx.plans.list()]
        titles = _titles(plans)
        rows = [_row(operation, titles) for operation in counts.operations]
        table(("what", "of", "which", "fields"), rows)
        say()
        say(totals(counts.operations))
    waiting = _waiting(counts)
    if waiting:
        say(waiting)
    if counts.not_sent_yet:
        say(not_sent_yet(counts))
    if counts.outside_scope:
        say(outside_scope(counts))
    if counts.unlinked:
        say(
            f"{words.count(counts.unlinked, 'plan')} can't go yet: the client is not linked there"
            f" (fhirgoals patients match {counts.connection} --by STAFF)."
        )
    if counts.left_for_later:
        left = words.count(counts.left_for_later, "plan")
        say(f"Left for later, since this is the first run after arming: {left}.")


def not_sent_yet(counts: Counts) -> str:
    """Return the line about edits that are not released (design 5.9)."""
    plans = words.count(len(counts.not_sent_yet), "plan")
    places = words.count(sum(counts.not_sent_yet.values()), "place")
    said = f"Not sent yet: what changed in {places} of {plans}"
    if counts.not_sent_until is None:
        return f"{said} waits for a signed review (fhirgoals review sign)."
    due = words.at_time(datetime.fromisoformat(counts.not_sent_until))
    return f"{said} may go from {due} on, if nobody edits it before."


def outside_scope(counts: Counts) -> str:
    """Return the line about goals that are not taken (design 5.6)."""
    goals = words.count(counts.outside_scope, "goal")
    return f"Left there, outside what is taken in (--scope of `fhirgoals ehr add`): {goals} born at the EHR."


def totals(operations: Sequence[Resource]) -> str:
    """Return how many operations there are of each kind, in words."""
    kinds: dict[str, int] = {}
    for one in operations:
        kind = _WHAT.get(str(one["operation"]), str(one["operation"]))
        kinds[kind] = kinds.get(kind, 0) + 1
    return "; ".join(f"{kind}: {number}" for kind, number in kinds.items()) + "."


_WHAT = {
    "create": "new there",
    "update": "change there",
    "retract": "take back there",
    "delete": "delete there",
    "pull": "take over here",
    "adopt": "new here",
}
_OF = {"Goal": "goal", "CarePlan": "care plan"}


def _row(operation: Resource, titles: dict[str, str]) -> list[str]:
    kind = str(operation["operation"])
    names = operation.get("units")
    units = [str(one) for one in names] if isinstance(names, list) else []
    if kind == "pull":
        owners = list(dict.fromkeys(one.partition("/")[0] for one in units))
        fields = ", ".join(dict.fromkeys(_field(one.partition("/")[2]) for one in units))
        return [_WHAT[kind], "goal", "; ".join(short(titles.get(one, one), 48) for one in owners), fields]
    if kind == "adopt":
        return [_WHAT[kind], "goal", "one that was added at the EHR", "all"]
    local = str(operation["id"])
    of = _OF.get(str(operation["resource"]), "")
    fields = "all" if kind in ("create", "delete") else ", ".join(dict.fromkeys(_field(one) for one in units))
    return [_WHAT.get(kind, kind), of, short(titles.get(local, local), 48), fields]


def _field(name: str) -> str:
    return words.field_name(Unit("", name))


def _titles(plans: Sequence[Plan]) -> dict[str, str]:
    found: dict[str, str] = {}
    for plan in plans:
        found[plan.id] = plan.title or plan.id
        found.update({goal.id: goal.text or goal.id for goal in plan.goals})
    return found


def _waiting(counts: Counts) -> str:
    parts = []
    if counts.conflicts:
        parts.append(words.count(counts.conflicts, "clash", "clashes"))
    if counts.proposals:
        parts.append(words.count(counts.proposals, "proposal"))
    if counts.held:
        parts.append(f"{counts.held} held")
    return f"Waits for a person: {', '.join(parts)}." if parts else ""
