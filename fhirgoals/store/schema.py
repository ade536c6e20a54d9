"""The tables of the store, the same on SQLite and PostgreSQL; `migrations/` makes them.

Everything keyed by a merge unit has the two columns `owner` (a goal's or plan's id) and `unit`. Rows of a connection
name it by its name. Clinical content is in the columns `document`, `touched`, `raw`, `ours`, `theirs`, `base`, `units`
and `body`, and nowhere else; `config` may hold what the operator wrote there.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store.columns import Instant, Json

REVISIONS = ("0001", "0002", "0003")
"""Every migration in order; a store that stands at none of them is newer than this program."""

VERSION_TABLE = "fhirgoals_version"

APPEND_ONLY = ("audit", "plan_revisions")
"""Tables whose rows the database itself refuses to change or remove."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null, primary_key=key)


def _int(name: str, *, null: bool = False, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=null, primary_key=key)


def _json(name: str, *, null: bool = False) -> sa.Column[Tree]:
    return sa.Column(name, Json, nullable=null)


def _instant(name: str, *, null: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, Instant, nullable=null)


def _plan_id(*, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column("plan_id", sa.Text, sa.ForeignKey("plans.plan_id"), nullable=null, primary_key=key)


def _connection(*, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column("connection", sa.Text, sa.ForeignKey("connections.name"), nullable=null, primary_key=key)


def _one_of(column: str, *allowed: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(sa.column(column).in_(allowed), name=column)


installation = sa.Table(
    "installation",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    _text("identifier_system"),
    _text("namespace"),
    _instant("created_at"),
    _text("home", null=True),
    sa.CheckConstraint("id = 1", name="one_row"),
)

plans = sa.Table(
    "plans",
    metadata,
    _text("plan_id", key=True),
    _text("kind"),
    _int("rev"),
    _instant("created_at"),
    _text("created_by"),
    _instant("updated_at"),
    _text("updated_by"),
)

# The document of a plan's current revision is here too, once.
plan_revisions = sa.Table(
    "plan_revisions",
    metadata,
    _plan_id(key=True),
    _int("rev", key=True),
    _instant("at"),
    _text("by"),
    _text("reason"),
    _text("origin", null=True),
    _json("summary", null=True),
    _json("touched"),
    _text("document"),
)

unit_revisions = sa.Table(
    "unit_revisions",
    metadata,
    _plan_id(key=True),
    _text("owner", key=True),
    _text("unit", key=True),
    _int("rev"),
    _instant("at"),
    _text("by"),
    _text("origin", null=True),
    _json("parts", null=True),
)

# Rows are never removed: the id of a goal that is no longer in its plan can't come to mean another goal.
goal_ids = sa.Table(
    "goal_ids",
    metadata,
    _text("goal_id", key=True),
    _plan_id(),
    _int("first_rev"),
    sa.Index(None, "plan_id"),
)

people = sa.Table(
    "people",
    metadata,
    _text("person_id", key=True),
    _text("kind"),
    _text("document"),
    _instant("updated_at"),
    _text("updated_by"),
    _one_of("kind", "client", "staff", "related"),
)

connections = sa.Table(
    "connections",
    metadata,
    _text("name", key=True),
    _json("config"),
    _text("state"),
    _text("state_by"),
    _text("state_reason", null=True),
    _instant("state_at"),
    _instant("added_at"),
    _one_of("state", "observe", "armed", "paused"),
)

leases = sa.Table(
    "leases",
    metadata,
    _connection(key=True),
    _text("holder", null=True),
    _int("fence"),
    _instant("expires_at"),
)

identity_links = sa.Table(
    "identity_links",
    metadata,
    _connection(key=True),
    _text("kind", key=True),
    _text("local_id", key=True),
    _text("reference"),
    _text("fingerprint"),
    _text("status"),
    _text("by"),
    _instant("at"),
    _one_of("status", "proposed", "confirmed", "held"),
    # Two clients must never be written into one chart.
    sa.Index(
        "uq_identity_links_patient",
        "connection",
        "reference",
        unique=True,
        sqlite_where=sa.text("kind = 'Patient' AND status = 'confirmed'"),
        postgresql_where=sa.text("kind = 'Patient' AND status = 'confirmed'"),
    ),
)

links = sa.Table(
    "links",
    metadata,
    _connection(key=True),
    _text("kind", key=True),
    _text("local_id", key=True),
    _plan_id(),
    _text("resource_id", null=True),
    _text("etag", null=True),
    _text("version", null=True),
    _text("raw", null=True),
    _text("raw_hash", null=True),
    _text("mapper_version", null=True),
    _text("state"),
    _instant("seen_at"),
    _one_of("state", "ok", "held", "gone", "void", "withheld"),
    # One resource stands for one thing of ours; ids that are not known yet (NULL) do not clash.
    sa.UniqueConstraint("connection", "kind", "resource_id"),
    sa.Index(None, "connection", "plan_id"),
)

bases = sa.Table(
    "bases",
    metadata,
    _connection(key=True),
    _plan_id(key=True),
    _text("owner", key=True),
    _text("unit", key=True),
    _json("ours", null=True),
    _json("theirs", null=True),
    _int("rev"),
)

intents = sa.Table(
    "intents",
    metadata,
    _text("id", key=True),
    _connection(),
    _plan_id(),
    _text("kind"),
    _text("local_id"),
    _text("method"),
    _text("resource_id", null=True),
    _text("etag", null=True),
    _json("units"),
    _text("body"),
    _text("body_hash"),
    _text("state"),
    _instant("opened_at"),
    _instant("sent_at", null=True),
    _int("fence"),
    _one_of("method", "create", "update", "delete"),
    _one_of("state", "open", "doubtful"),
    sa.Index(None, "connection", "plan_id"),
)

inbox = sa.Table(
    "inbox",
    metadata,
    _int("id", key=True),
    _text("key"),
    _connection(null=True),
    _plan_id(null=True),
    _text("owner", null=True),
    _text("unit", null=True),
    _text("kind"),
    _json("base", null=True),
    _json("ours", null=True),
    _json("theirs", null=True),
    _text("why"),
    _json("who_may"),
    _instant("opened_at"),
    _instant("closed_at", null=True),
    _text("close_reason", null=True),
    _text("closed_by", null=True),
    sa.Index(
        "uq_inbox_open_key",
        "key",
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    ),
    sa.Index(None, "connection", "plan_id"),
)

ledger = sa.Table(
    "ledger",
    metadata,
    _connection(key=True),
    _plan_id(key=True),
    _text("owner", key=True),
    _text("unit", key=True),
    _int("rev", key=True),
    _text("why"),
    _instant("at"),
)

# A mark stands while `marks` > `done`. Both only grow: a mark set while the plan is being reconciled outlives the
# `clear` of what was taken before it, and no later mark can be mistaken for one that was taken.
dirty = sa.Table(
    "dirty",
    metadata,
    _connection(key=True),
    _plan_id(key=True),
    _text("why", key=True),
    _int("marks"),
    _int("done"),
    _instant("since"),
    _instant("not_before", null=True),
)

cursors = sa.Table(
    "cursors",
    metadata,
    _connection(key=True),
    _text("scope", key=True),
    _json("value"),
    _instant("at"),
)

audit = sa.Table(
    "audit",
    metadata,
    _int("id", key=True),
    _instant("at"),
    _text("actor"),
    _text("action"),
    _text("connection", null=True),
    _text("plan_id", null=True),
    _json("detail"),
    sa.Index(None, "at"),
)

runs = sa.Table(
    "runs",
    metadata,
    _text("id", key=True),
    _connection(null=True),
    _text("kind"),
    _text("by"),
    _instant("started_at"),
    _instant("finished_at", null=True),
    _text("outcome", null=True),
    _json("counts", null=True),
    sa.Index(None, "started_at"),
)
