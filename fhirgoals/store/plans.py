"""Plans with every revision: the current document, what each revision touched, and the last revision of each unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa

from fhirgoals.domain.origins import OURS, Source, changed
from fhirgoals.domain.records import Plan, Review, Stamp
from fhirgoals.domain.units import Json, Unit
from fhirgoals.errors import Bug, Outdated, Refused
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store import schema
from fhirgoals.store.marks import Dirty
from fhirgoals.store.people import People
from fhirgoals.store.statements import upsert

Touched = Mapping[Unit, tuple[Any, Any]]
"""Per unit the old and the new value, JSON trees; `None` = not there."""

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(Plan, float_hook=Decimal)


class _Reviews(msgspec.Struct, frozen=True):
    reviews: tuple[Review, ...] = ()


_reviews_decoder = msgspec.json.Decoder(_Reviews, float_hook=Decimal)


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it stands in the store; `rev` counts saved edits from 1 and is not `plan.revision`."""

    plan: Plan
    rev: int
    stamp: Stamp


@dataclass(frozen=True)
class UnitRev:
    """The last revision that touched a merge unit; `origin` is the connection whose edit it was, if any."""

    rev: int
    at: datetime
    by: str
    origin: str | None


@dataclass(frozen=True)
class SavedRevision:
    """One saved edit, without its document."""

    rev: int
    at: datetime
    by: str
    reason: str
    origin: str | None
    summary: str | None
    touched: dict[Unit, tuple[Tree, Tree]]


class Plans:
    """The plans of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def get(self, plan_id: str) -> StoredPlan | None:
        """Return the plan as it stands, or `None`."""
        row = self._connection.execute(_by_id(), {"of": plan_id}).one_or_none()
        return _stored(row) if row else None

    def list(self) -> tuple[StoredPlan, ...]:
        """Return all plans by id."""
        return tuple(_stored(row) for row in self._connection.execute(_current().order_by(schema.plans.c.plan_id)))

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all plans."""
        return tuple(self._connection.scalars(_IDS))

    def plan_of(self, goal_id: str) -> str | None:
        """Return the id of the plan that has or had the goal, or `None`."""
        table = schema.goal_ids
        return self._connection.scalar(sa.select(table.c.plan_id).where(table.c.goal_id == goal_id))

    def save(
        self,
        plan: Plan,
        *,
        expect: int | None,
        by: str,
        reason: str,
        at: datetime,
        touched: Touched,
        origin: str | None = None,
        quoted: tuple[str, Mapping[Unit, Json]] | None = None,
        summary: str | None = None,
    ) -> int:
        """Save the plan as its next revision and mark it dirty for every connection; return the revision.

        `expect` is the revision that was read, `None` for a new plan. `origin` is the connection whose edit this is;
        `quoted` is one from whose values a person took parts, with those values.
        The mark is due at once, also where edits wait (release, design 5.9): what is taken back may not.
        Raises `Outdated` where the plan moved since or is there already, `Refused` where an id means something else.
        """
        document = _document(plan)
        before = self.get(plan.id)
        rev = self._advance(plan, before, expect, by, at)
        self._connection.execute(
            _REVISION,
            {
                "plan_id": plan.id,
                "rev": rev,
                "at": at,
                "by": by,
                "reason": reason,
                "origin": origin,
                "summary": summary,
                "touched": [[owner, unit, old, new] for (owner, unit), (old, new) in touched.items()],
                "document": document,
            },
        )
        upsert(
            self._connection,
            schema.unit_revisions,
            [
                {"plan_id": plan.id, "owner": unit.owner, "unit": unit.name, "rev": rev, "at": at, "by": by}
                | {"origin": source.last, "parts": source.parts}
                for unit, source in self._sources(plan.id, touched, origin, quoted).items()
            ],
        )
        self._take_goal_ids(plan, rev)
        People(self._connection).upsert(plan, before=before.plan if before else None, by=by, at=at)
        dirty = Dirty(self._connection)
        dirty.mark_everywhere([plan.id], why="edit", at=at)
        known = set(self._connection.scalars(_CONNECTIONS))
        for name in sorted(known & {consent.endpoint for consent in plan.disclosure.consents}):
            dirty.mark_day(plan, name, at)
        return rev

    def unit_revs(self, plan_id: str) -> dict[Unit, UnitRev]:
        """Return the last revision that touched each unit of the plan; a unit never touched is not in it."""
        rows = self._connection.execute(_UNIT_REVS, {"of": plan_id})
        return {Unit(owner, unit): UnitRev(rev, at, by, origin) for owner, unit, rev, at, by, origin in rows}

    def touched_last(self, plan_id: str) -> tuple[dict[Unit, int], dict[Unit, Source]]:
        """Return the last revision of each unit of the plan, and the sources of those in which an EHR has a part."""
        revs: dict[Unit, int] = {}
        sources: dict[Unit, Source] = {}
        for owner, name, rev, origin, parts in self._connection.execute(_TOUCHED_LAST, {"of": plan_id}):
            unit = Unit(owner, name)
            revs[unit] = rev
            if origin is not None or parts is not None:
                sources[unit] = Source(origin, parts)
        return revs, sources

    def revisions(self, plan_id: str, *, source: str | None = None) -> tuple[SavedRevision, ...]:
        """Return every saved edit of the plan, the oldest first.

        With `source`, a connection, those alone that came from it or from a chart of it that was left (`sync.left`).
        """
        table = schema.plan_revisions
        columns = (table.c.rev, table.c.at, table.c.by, table.c.reason, table.c.origin, table.c.summary)
        wanted = sa.select(*columns, table.c.touched).where(table.c.plan_id == plan_id).order_by(table.c.rev)
        if source is not None:
            wanted = wanted.where((table.c.origin == source) | table.c.origin.startswith(f"{source}@", autoescape=True))
        return tuple(
            SavedRevision(
                row.rev,
                row.at,
                row.by,
                row.reason,
                row.origin,
                row.summary,
                {Unit(owner, unit): (old, new) for owner, unit, old, new in row.touched},
            )
            for row in self._connection.execute(wanted)
        )

    def rename_origin(self, plan_id: str, old: str, new: str) -> None:
        """Give what the plan has by now of one origin the name of another; its history stays as it is."""
        table = schema.unit_revisions
        of_unit = (table.c.plan_id == plan_id) & (table.c.origin == old)
        self._connection.execute(sa.update(table).where(of_unit).values(origin=new))
        rows = self._connection.execute(
            sa.select(table.c.owner, table.c.unit, table.c.parts).where(
                table.c.plan_id == plan_id, table.c.parts.is_not(None)
            )
        ).all()
        for owner, unit, parts in rows:
            if parts is not None and old in parts.values():
                renamed = {path: new if one == old else one for path, one in parts.items()}
                one = (table.c.plan_id == plan_id) & (table.c.owner == owner) & (table.c.unit == unit)
                self._connection.execute(sa.update(table).where(one).values(parts=renamed))

    def at_revision(self, plan_id: str, rev: int) -> Plan | None:
        """Return the plan as it was saved at that revision, or `None`."""
        table = schema.plan_revisions
        wanted = sa.select(table.c.document).where(table.c.plan_id == plan_id, table.c.rev == rev)
        document = self._connection.scalar(wanted)
        return None if document is None else _plan(document)

    def reviews_at(self, plan_id: str, rev: int) -> tuple[Review, ...]:
        """Return the plan's reviews as they were saved at that revision."""
        table = schema.plan_revisions
        wanted = sa.select(table.c.document).where(table.c.plan_id == plan_id, table.c.rev == rev)
        document = self._connection.scalar(wanted)
        return () if document is None else _reviews_decoder.decode(document).reviews

    def saved_by_people(self, plan_id: str) -> Iterator[tuple[int, datetime]]:
        """Return the revisions that a person here saved and when, newest first."""
        table = schema.plan_revisions
        by_people = sa.select(table.c.rev, table.c.at).where(table.c.plan_id == plan_id, table.c.origin.is_(None))
        return ((rev, at) for rev, at in self._connection.execute(by_people.order_by(table.c.rev.desc())))

    def last_saved(self, plan_id: str, day: date) -> int | None:
        """Return the last revision that was saved on a day or before, or `None`; days are those of UTC."""
        table = schema.plan_revisions
        before = datetime.combine(day + timedelta(days=1), time(), UTC)
        wanted = sa.select(sa.func.max(table.c.rev)).where(table.c.plan_id == plan_id, table.c.at < before)
        rev: int | None = self._connection.scalar(wanted)
        return rev

    def _sources(
        self, plan_id: str, touched: Touched, origin: str | None, quoted: tuple[str, Mapping[Unit, Json]] | None
    ) -> dict[Unit, Source]:
        """Return where the touched units came from after this edit, part by part."""
        rows = self._connection.execute(_SOURCES, {"of": plan_id})
        before = {Unit(owner, name): Source(last, parts) for owner, name, last, parts in rows}
        found = {}
        for key, (old, new) in touched.items():
            unit = Unit(*key)
            theirs = (quoted[0], quoted[1][unit]) if quoted is not None and unit in quoted[1] else None
            found[unit] = changed(before.get(unit, OURS), old, new, origin, theirs)
        return found

    def _advance(self, plan: Plan, before: StoredPlan | None, expect: int | None, by: str, at: datetime) -> int:
        table = schema.plans
        if expect is None:
            if before:
                raise Outdated(
                    f"plan {plan.id} is in the store already (revision {before.rev}): read it, then change it"
                )
            row = {"created_at": at, "created_by": by, "updated_at": at, "updated_by": by}
            self._connection.execute(sa.insert(table).values(plan_id=plan.id, kind=plan.kind, rev=1, **row))
            return 1
        row = {"rev": expect + 1, "kind": plan.kind, "updated_at": at, "updated_by": by}
        moved = self._connection.execute(_ADVANCED, {"of": plan.id, "expect": expect, **row})
        if moved.rowcount == 0:
            stands = f"stands at revision {before.rev}" if before else "is not in the store"
            raise Outdated(f"plan {plan.id} {stands}, not at {expect} as was read: read it again")
        return expect + 1

    def _take_goal_ids(self, plan: Plan, rev: int) -> None:
        table = schema.goal_ids
        known = set(self._connection.scalars(_GOAL_IDS, {"of": plan.id}))
        fresh = sorted({goal.id for goal in plan.goals} - known)
        if not fresh:
            return
        taken = self._connection.execute(
            sa.select(table.c.goal_id, table.c.plan_id).where(table.c.goal_id.in_(fresh)).order_by(table.c.goal_id)
        ).first()
        if taken:
            raise Refused(
                f"goal {taken.goal_id} of plan {plan.id}: plan {taken.plan_id} uses or used that id, and a goal's id"
                " means one goal in the whole store: give it another id"
            )
        self._connection.execute(
            sa.insert(table), [{"goal_id": goal_id, "plan_id": plan.id, "first_rev": rev} for goal_id in fresh]
        )


_IDS = sa.select(schema.plans.c.plan_id).order_by(schema.plans.c.plan_id)
_REVISION = sa.insert(schema.plan_revisions)
_CONNECTIONS = sa.select(schema.connections.c.name)
_ADVANCED = sa.update(schema.plans).where(
    schema.plans.c.plan_id == sa.bindparam("of"), schema.plans.c.rev == sa.bindparam("expect")
)
_GOAL_IDS = sa.select(schema.goal_ids.c.goal_id).where(schema.goal_ids.c.plan_id == sa.bindparam("of"))
_OF_UNIT = schema.unit_revisions.c
_UNIT_REVS = sa.select(_OF_UNIT.owner, _OF_UNIT.unit, _OF_UNIT.rev, _OF_UNIT.at, _OF_UNIT.by, _OF_UNIT.origin).where(
    _OF_UNIT.plan_id == sa.bindparam("of")
)
_TOUCHED_LAST = sa.select(_OF_UNIT.owner, _OF_UNIT.unit, _OF_UNIT.rev, _OF_UNIT.origin, _OF_UNIT.parts).where(
    _OF_UNIT.plan_id == sa.bindparam("of")
)
_SOURCES = sa.select(_OF_UNIT.owner, _OF_UNIT.unit, _OF_UNIT.origin, _OF_UNIT.parts).where(
    _OF_UNIT.plan_id == sa.bindparam("of"), _OF_UNIT.origin.is_not(None) | _OF_UNIT.parts.is_not(None)
)


@cache
def _by_id() -> sa.Select[Any]:
    return _current().where(schema.plans.c.plan_id == sa.bindparam("of"))


def _current() -> sa.Select[Any]:
    plans, revisions = schema.plans, schema.plan_revisions
    joined = (plans.c.plan_id == revisions.c.plan_id) & (plans.c.rev == revisions.c.rev)
    return sa.select(plans, revisions.c.document).join(revisions, joined)


def _stored(row: sa.Row[Any]) -> StoredPlan:
    stamp = Stamp(
        created_at=row.created_at, created_by=row.created_by, updated_at=row.updated_at, updated_by=row.updated_by
    )
    return StoredPlan(_plan(row.document), row.rev, stamp)


@lru_cache(maxsize=8)
def _plan(document: str) -> Plan:
    """Return the plan of a stored text. A run reads the same one several times over; a plan is never changed."""
    return _decoder.decode(document)


def _document(plan: Plan) -> str:
    """Return the plan as JSON text; raises `Bug` where it would not come back as it is, to the digit."""
    try:
        text = _encoder.encode(plan)
        if _encoder.encode(_decoder.decode(text)) == text:
            return text.decode()
    except (msgspec.MsgspecError, UnicodeError):
        pass
    raise Bug(f"plan {plan.id} holds a value that the store can't give back as it is; nothing was written")
