"""Asks an EHR what changed since the last run, and marks the plans that are to be looked at (design 5.12).

Where `changes` is `history` or `instant`, a plan without a mark is not read at all. A cursor moves in the transaction
that marks what was found, to the server's own time when it made the first page, less an overlap: what is committed or
shown late is found once more. Once a day all plans are marked, whatever `changes` is: no search shows a deletion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

from fhirgoals.errors import Refused, RemoteError
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.pages import Changed
from fhirgoals.mappers import stamp
from fhirgoals.mappers.refs import relative
from fhirgoals.store.tx import Tx
from fhirgoals.sync.changes import KINDS
from fhirgoals.sync.connection import ConnectionConfig, config_of
from fhirgoals.sync.context import Context
from fhirgoals.sync.decide import Kind
from fhirgoals.sync.view import content_hash

CHANGED_THERE, SWEEP = "there", "sweep"
"""Why a plan is marked: something changed at the EHR, or its daily look is due."""


@dataclass(frozen=True)
class Asked:
    """One question to the EHR: what changed of a kind, of one patient or (`None`) of all, since when."""

    kind: Kind
    patient: str | None
    since: datetime | None

    @property
    def scope(self) -> str:
        """The name of its cursor."""
        return f"changes:{self.kind}" + (f":{self.patient}" if self.patient else "")


async def ask(context: Context) -> None:
    """Mark every plan of which something changed at the EHR, and once a day all; raises `RemoteError`.

    Nothing is asked where every plan is read in every run (`changes = hash`); that each is judged once a day goes for
    those too.
    """
    config = await context.store.read(lambda tx: _config(tx, context.connection))
    if config.changes != "hash":
        await _ask_what_changed(context, config, config.changes)
    at = context.clock()
    await context.store.write(lambda tx: _sweep(tx, context.connection, at))


async def _ask_what_changed(context: Context, config: ConnectionConfig, way: Literal["instant", "history"]) -> None:
    for asked in await context.store.read(lambda tx: _questions(tx, context.connection, config)):
        since = asked.since or context.clock()
        found = await context.client.changed(asked.kind, _written(since), way, asked.patient)
        await context.store.write(partial(_note, context=context, config=config, asked=asked, found=found))


def to_look_at(tx: Tx, connection: str, plans: tuple[str, ...], now: datetime) -> tuple[str, ...]:
    """Return the plans that a run takes up: all, or those with a due mark or a call in doubt."""
    if _config(tx, connection).changes == "hash":
        return plans
    due = {one.plan_id for one in tx.dirty.take(connection, now)}
    in_doubt = {one.plan_id for one in tx.intents.all_open(connection)}
    return tuple(one for one in plans if one in due | in_doubt)


def _config(tx: Tx, connection: str) -> ConnectionConfig:
    known = tx.connections.get(connection)
    if known is None:
        raise Refused(f"there is no connection {connection}: `fhirgoals ehr list` names them")
    return config_of(known.config)


def _questions(tx: Tx, connection: str, config: ConnectionConfig) -> list[Asked]:
    patients: list[str | None] = [None]
    if config.changes_of == "patient":
        links = tx.people.links(connection)
        patients = [*sorted({one.reference for one in links if one.kind == "Patient" and one.status == "confirmed"})]
    asked = [Asked(kind, patient, None) for patient in patients for kind in KINDS]
    return [Asked(one.kind, one.patient, _moment(tx.cursors.get(connection, one.scope))) for one in asked]


def _note(tx: Tx, context: Context, config: ConnectionConfig, asked: Asked, found: Changed) -> None:
    """Mark what was found and move the cursor. Where it is not known what changed, all that it may be is marked."""
    tx.connections.check_fence(context.connection, context.fence)
    if asked.patient is not None:
        _check(tx, found, asked.kind, asked.patient, config, context.connection)
    at = context.clock()
    if asked.since is None or not found.complete:
        plans = set(tx.plans.ids()) if asked.patient is None else _of_patient(tx, context.connection, asked.patient)
    else:
        plans = _plans_of(tx, context.connection, config, asked.kind, found)
    tx.dirty.mark_all(sorted(plans), context.connection, why=CHANGED_THERE, at=at)
    then = _moment(found.server_time)
    if then is not None and found.complete:
        moved = then - timedelta(seconds=config.changes_overlap_s)
        # It never goes back: a node whose clock is behind would make the same be read over and over.
        tx.cursors.set(context.connection, asked.scope, _written(max(moved, asked.since or moved)), at)


def _plans_of(tx: Tx, connection: str, config: ConnectionConfig, kind: Kind, found: Changed) -> set[str]:
    """Return the plans that changed there; what stands as it was last seen, or as we wrote it, is no change."""
    plans: set[str] = set()
    born: set[str] = set()
    for resource_id, tree in found.resources.items():
        link = tx.links.by_resource(connection, kind, resource_id)
        if link is not None:
            if tree is None or link.raw_hash != content_hash(tree):
                plans.add(link.plan_id)
        elif tree is not None and (subject := _subject(tree, config)) is not None:
            born.add(subject)
    for patient in born:
        plans |= _of_patient(tx, connection, patient)
    return plans


def _of_patient(tx: Tx, connection: str, patient: str) -> set[str]:
    """Return the plans of the client who is linked to a patient; none where nobody is."""
    clients = {one.local_id for one in tx.people.links(connection) if one.reference == patient}
    if not clients:
        return set()
    return {one.plan.id for one in tx.plans.list() if one.plan.client is not None and one.plan.client.id in clients}


def _check(tx: Tx, found: Changed, kind: Kind, patient: str, config: ConnectionConfig, connection: str) -> None:
    """Refuse what no link knows and is another's; what is linked may have been given to another patient there."""
    for resource_id, tree in found.resources.items():
        if tree is None or _subject(tree, config) in (None, patient):
            continue
        if tx.links.by_resource(connection, kind, resource_id) is None:
            raise RemoteError(
                f"{connection}: asked for the changes of one patient, the server answered with another's; nothing was"
                " stored: it may ignore the search by patient, pause the connection and check it"
            )


def _subject(tree: Resource, config: ConnectionConfig) -> str | None:
    subject = stamp.subject(tree)
    return None if subject is None else relative(config.base_url, subject)


def _sweep(tx: Tx, connection: str, at: datetime) -> None:
    today = at.astimezone(UTC).date().isoformat()
    if tx.cursors.get(connection, SWEEP) == today:
        return
    tx.dirty.mark_all(tx.plans.ids(), connection, why=SWEEP, at=at)
    tx.cursors.set(connection, SWEEP, today, at)


def _moment(text: object) -> datetime | None:
    """Return a server's instant; `None` where it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _written(moment: datetime) -> str:
    """Return an instant as FHIR writes it, cut to the millisecond: never later than it was."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
