"""Links and bases: which resource stands for what of ours, and both sides' values at each unit's last agreement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from fhirgoals.domain.units import Pair, Unit
from fhirgoals.errors import Refused
from fhirgoals.store import schema
from fhirgoals.store.statements import upsert

LinkKind = Literal["Goal", "CarePlan"]
LinkState = Literal["ok", "held", "gone", "void", "withheld"]


@dataclass(frozen=True, kw_only=True)
class Link:
    """One resource of a connection and the goal or plan it stands for.

    `local_id` is the goal's id, or the plan's for its CarePlan. `raw` is the resource as last read, as exact JSON text.
    `resource_id` is `None` while nothing is known to be there.
    """

    connection: str
    kind: LinkKind
    local_id: str
    plan_id: str
    resource_id: str | None = None
    etag: str | None = None
    version: str | None = None
    raw: str | None = None
    raw_hash: str | None = None
    mapper_version: str | None = None
    state: LinkState = "ok"
    seen_at: datetime


_OF_PLAN = (
    sa.select(schema.links)
    .where(schema.links.c.connection == sa.bindparam("at"), schema.links.c.plan_id == sa.bindparam("of"))
    .order_by(schema.links.c.kind, schema.links.c.local_id)
)

_COUNT = sa.select(sa.func.count()).select_from(schema.links).where(schema.links.c.connection == sa.bindparam("at"))
_HERE = (schema.links.c.connection == sa.bindparam("at")) & (schema.links.c.kind == sa.bindparam("what"))
_BY_ID = sa.select(schema.links).where(_HERE, schema.links.c.local_id == sa.bindparam("of"))
_BY_RESOURCE = sa.select(schema.links).where(_HERE, schema.links.c.resource_id == sa.bindparam("of"))
_GONE = sa.delete(schema.links).where(_HERE, schema.links.c.local_id == sa.bindparam("of"))


class Links:
    """The links of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def get(self, connection: str, kind: LinkKind, local_id: str) -> Link | None:
        """Return the link, or `None`."""
        return self._one(_BY_ID, {"at": connection, "what": kind, "of": local_id})

    def put(self, link: Link) -> None:
        """Write the link. Raises `Refused` where its resource stands for something else of ours."""
        if link.resource_id is not None:
            other = self.by_resource(link.connection, link.kind, link.resource_id)
            if other and other.local_id != link.local_id:
                raise Refused(
                    f"{link.connection}: {link.kind}/{link.resource_id} is linked to {other.local_id} already and can't"
                    f" also stand for {link.local_id}"
                )
        upsert(self._connection, schema.links, [dict(vars(link))])

    def for_plan(self, connection: str, plan_id: str) -> tuple[Link, ...]:
        """Return all links of the plan at the connection, by kind and id."""
        rows = self._connection.execute(_OF_PLAN, {"at": connection, "of": plan_id})
        return tuple(_link(row) for row in rows)

    def count(self, connection: str) -> int:
        """Return how many resources are linked at the connection."""
        return int(self._connection.scalar(_COUNT, {"at": connection}) or 0)

    def by_resource(self, connection: str, kind: LinkKind, resource_id: str) -> Link | None:
        """Return the link of a resource, or `None`."""
        return self._one(_BY_RESOURCE, {"at": connection, "what": kind, "of": resource_id})

    def delete(self, connection: str, kind: LinkKind, local_id: str) -> bool:
        """Forget the link; return whether there was one."""
        gone = self._connection.execute(_GONE, {"at": connection, "what": kind, "of": local_id})
        return gone.rowcount > 0

    def _one(self, wanted: sa.Select[Any], values: Mapping[str, str]) -> Link | None:
        row = self._connection.execute(wanted, values).one_or_none()
        return _link(row) if row else None


_OF_BASES = (schema.bases.c.connection == sa.bindparam("at")) & (schema.bases.c.plan_id == sa.bindparam("of"))
_BASES = sa.select(
    schema.bases.c.owner, schema.bases.c.unit, schema.bases.c.ours, schema.bases.c.theirs, schema.bases.c.rev
).where(_OF_BASES)
_DROPPED = sa.delete(schema.bases).where(
    _OF_BASES, schema.bases.c.owner == sa.bindparam("o"), schema.bases.c.unit == sa.bindparam("u")
)


class Bases:
    """The bases of one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def for_plan(self, connection: str, plan_id: str) -> dict[Unit, Pair]:
        """Return the pair of every unit that was ever agreed."""
        rows = self._connection.execute(_BASES, {"at": connection, "of": plan_id})
        return {Unit(owner, unit): Pair(ours, theirs, rev) for owner, unit, ours, theirs, rev in rows}

    def settle(self, connection: str, plan_id: str, pairs: Mapping[Unit, Pair]) -> None:
        """Move the pairs of these units; all others stay."""
        upsert(
            self._connection,
            schema.bases,
            [
                {
                    "connection": connection,
                    "plan_id": plan_id,
                    "owner": owner,
                    "unit": unit,
                    "ours": pair.ours,
                    "theirs": pair.theirs,
                    "rev": pair.rev,
                }
                for (owner, unit), pair in pairs.items()
            ],
        )

    def drop(self, connection: str, plan_id: str, units: Iterable[tuple[str, str]]) -> None:
        """Forget the pairs of these units."""
        gone = [{"at": connection, "of": plan_id, "o": owner, "u": unit} for owner, unit in units]
        if gone:
            self._connection.execute(_DROPPED, gone)


def _link(row: sa.Row[Any]) -> Link:
    return Link(**row._mapping)
