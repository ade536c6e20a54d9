"""What our store knows of one plan at one connection, read in one transaction, and what follows from it purely.

A `View` is a value: taking an edit or storing a reply gives a new view, so that a preview can run the same passes
without writing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property

from fhirgoals.domain.disclosure import Disclosed, disclose
from fhirgoals.domain.identity import Installation
from fhirgoals.domain.origins import OURS, Source, changed
from fhirgoals.domain.records import Plan
from fhirgoals.domain.unfiled import is_unfiled
from fhirgoals.domain.units import Json, Pair, Unit, Values, units
from fhirgoals.errors import Outdated, Refused
from fhirgoals.fhir.exact_json import Resource, canonical, dumps, loads
from fhirgoals.mappers.refs import Refs, participants_of, visible
from fhirgoals.store.connections import State
from fhirgoals.store.intents import Intent
from fhirgoals.store.links import Link
from fhirgoals.store.tx import Tx
from fhirgoals.sync.connection import ConnectionConfig, config_of
from fhirgoals.sync.decide import Kind, Ours, Place
from fhirgoals.sync.labelled import labelled_there
from fhirgoals.sync.left import as_linked, chart_name, left_behind
from fhirgoals.sync.memo import LastFew, Same
from fhirgoals.sync.nameable import is_shown
from fhirgoals.sync.narratives import sent_narratives
from fhirgoals.sync.reading import Found, Knowledge, There, member_ids, read_there
from fhirgoals.sync.unfiled import begun, where_born
from fhirgoals.sync.unlink import WRONG_CHART, chart_of
from fhirgoals.sync.versions import trusted

MAPPER_VERSION = "1"
"""Kept with every link; new mapper rows raise it, and both bases are then derived anew (design 5.14)."""

Key = tuple[Kind, str]

DERIVED = ("order", "labels", "participants", "membership", "steps")
"""Families that follow from others or are ours alone: the origin of an edit elsewhere does not hold them back."""


@dataclass(frozen=True)
class View:
    """One plan at one connection: our record and its revisions, links, bases, open intents, and who is who there."""

    connection: str
    config: ConnectionConfig
    state: State
    installation: Installation
    plan: Plan
    rev: int
    revs: Mapping[Unit, int]
    links: Mapping[Key, Link]
    bases: Mapping[Unit, Pair]
    intents: tuple[Intent, ...]
    people: Mapping[str, str]
    problems: Mapping[str, str]
    fingerprint: str | None = None
    sources: Mapping[Unit, Source] = field(default_factory=dict)
    """Where the units came from in which an EHR has a part."""
    read_again: frozenset[Unit] = frozenset()
    """Children whose place is to be read once more before it is judged."""
    trusted: bool = True
    """Whether this server's versions move with every change; else an ETag says nothing."""
    released: int | None = None
    """The last revision of ours of which everything may go there by now; `None`: all of them (design 5.9)."""
    release_at: datetime | None = None
    """When what waits for its quiet minutes may go, if nobody edits it before."""
    unshared: frozenset[str] = frozenset()
    """Goals, and the plan, that may be seen there only by an edit that may not go yet."""
    together: bool = False
    """Whether this server takes the calls of a phase as one transaction, all or nothing."""
    leaving: bool = False
    """Whether the client is being unlinked: everything of the plan is taken back there."""
    gone_once: frozenset[Key] = frozenset()
    """What may not be there any more and one look did not show: not yet taken back (design 5.10)."""
    gone_for_good: frozenset[Key] = frozenset()
    """What a delete of ours took away, as two looks say: to be forgotten."""
    chart: str | None = None
    left_behind: tuple[tuple[str, str], ...] = ()
    """Where something came from a chart that was left, and why to look at it; `chart` is the name of the linked one."""
    own: Values = field(default_factory=dict)
    """What the EHR itself last wrote of each unit; looked up only where something is to be taken back."""
    narratives: frozenset[str] = frozenset()
    """Digests of the narratives that were sent for its CarePlan."""
    siblings: tuple[str, ...] = ()
    """Of an unfiled plan: the client's other plans."""

    @property
    def patient(self) -> str | None:
        """The reference of the linked patient, or `None` where nobody is linked."""
        client = self.plan.client
        return self.people.get(client.id) if client else None

    @property
    def unfiled(self) -> bool:
        """Whether it is the client's unfiled plan: nothing of it is ever sent (design 5.6)."""
        return is_unfiled(self.plan)

    @property
    def born(self) -> frozenset[str]:
        """Ids of the goals that were born at this EHR."""
        return frozenset(one.id for one in self.plan.goals if one.origin and one.origin.system == self.connection)

    @property
    def void(self) -> frozenset[str]:
        """Ids of the goals that we marked entered-in-error, and the plan's where it is."""
        goals = (goal.id for goal in self.plan.goals if goal.lifecycle == "entered_in_error")
        return frozenset((*goals, self.plan.id) if self.plan.status == "entered_in_error" else goals)

    @cached_property
    def unreleased(self) -> frozenset[Unit]:
        """The units whose last edit here may not go there yet, and steps that would arrive without a part.

        Labels say who may read a goal: they are never held.
        """
        if self.released is None:
            return frozenset()
        late = {
            unit
            for unit, rev in self.revs.items()
            if rev > self.released
            and self.sources.get(unit, OURS).last != self.connection
            and (unit.name != "labels" or unit.owner == self.plan.id)
        }
        late |= {unit for unit in self.revs if self.unshared and self._tells_of(unit)}
        steps = {Unit(unit.owner, f"steps:{unit.member}") for unit in late if unit.family.startswith("step:<id>")}
        return frozenset(late | {step for step in steps if not _stands(step, self.bases)})

    def _tells_of(self, unit: Unit) -> bool:
        """Tell whether a unit belongs to something that is not to be seen yet, or names it."""
        if unit.owner in self.unshared:
            return True
        named = {*unit.member.split("|")} if unit.owner == self.plan.id else set()
        for goal in self.plan.goals:
            if goal.id in self.unshared:
                named |= {goal.id} if named & {step.id for step in goal.steps} else set()
            elif unit.family == "parent_map" and goal.id == unit.member and goal.parent:
                named.add(goal.parent)
        return bool(named & self.unshared)

    @cached_property
    def sent_before(self) -> frozenset[str]:
        """Ids of the plan, goals and steps that this connection was sent earlier."""
        steps = {unit.member for unit in self.bases if unit.name.startswith("steps:")}
        return frozenset({local_id for _, local_id in self.links} | steps)


def load_view(tx: Tx, connection: str, plan_id: str, installation: Installation) -> View:
    """Return the view of a plan at a connection; raises `Refused` where either is unknown.

    A client's unfiled plan need not be there yet: it is then seen as it begins, at revision 0.
    """
    known = tx.connections.get(connection)
    stored = tx.plans.get(plan_id)
    plan = stored.plan if stored is not None else begun(tx, plan_id)
    if known is None or plan is None:
        raise Refused(f"no such {'connection' if known is None else 'plan'}: list them with `fhirgoals ehr list`")
    config = config_of(known.config)
    links = [link for link in tx.people.links(connection) if link.status == "confirmed"]
    names = {link.local_id: link.reference for link in links}
    client = plan.client
    leaving = chart_of(tx, connection, client.id) is not None if client is not None else False
    marks = [link.fingerprint for link in links if client is not None and link.local_id == client.id]
    prefix = plan_id + "/"
    chart = chart_name(connection, names[client.id], marks[0]) if client is not None and marks else None
    revs, sources = tx.plans.touched_last(plan_id)
    left = () if is_unfiled(plan) else left_behind(plan, sources, connection, None if leaving else chart)
    plan, known_sources = as_linked(plan, sources, connection, chart)
    return View(
        connection=connection,
        config=config,
        state=known.state,
        installation=installation,
        plan=plan,
        rev=stored.rev if stored is not None else 0,
        revs=revs,
        sources=known_sources,
        chart=chart,
        left_behind=left,
        links={(link.kind, link.local_id): link for link in tx.links.for_plan(connection, plan_id)},
        bases=tx.bases.for_plan(connection, plan_id),
        intents=tx.intents.for_plan(connection, plan_id),
        people={local: reference for local, reference in names.items() if "/" not in local},
        problems={local[len(prefix) :]: reference for local, reference in names.items() if local.startswith(prefix)},
        fingerprint=marks[0] if marks else None,
        leaving=leaving,
        trusted=trusted(tx, connection),
        narratives=sent_narratives(tx, connection, plan_id),
    )


def as_read(tx: Tx, view: View) -> None:
    """Raise `Outdated` where our record moved since the view was loaded."""
    stored = tx.plans.get(view.plan.id)
    if (stored.rev if stored else 0) != view.rev:
        raise Outdated(f"plan {view.plan.id} moved since it was read: it is taken up anew")


def refs_of(view: View) -> Refs:
    """Return the names of the plan's people, problems and goals at the connection."""
    return Refs(
        namespace=view.installation.namespace,
        plan_id=view.plan.id,
        people=view.people,
        problems=view.problems,
        goals={
            local_id: f"Goal/{link.resource_id}"
            for (kind, local_id), link in view.links.items()
            if kind == "Goal" and link.resource_id is not None
        },
        participants=participants_of(view.plan),
        base_url=view.config.base_url,
    )


def disclosed(view: View, on: date) -> Disclosed:
    """Return what the connection may see of the plan on a day; nothing while the client is being unlinked."""
    if view.leaving:
        return Disclosed(plan=None, goals=(), kept={})
    config, sent, here = view.config, view.sent_before, view.connection
    if view.unfiled:
        return _DISCLOSED.of(view.plan, (here, on, sent), lambda: where_born(view.plan, here, on, sent))
    return _DISCLOSED.of(
        view.plan,
        (view.connection, on, config.portal_visible, config.send_proposed, sent),
        lambda: disclose(
            view.plan,
            view.connection,
            on=on,
            portal_visible=config.portal_visible,
            sent_before=sent,
            send_proposed=config.send_proposed,
            labelled_there=labelled_there(view.plan, view.sources, view.connection),
        ),
    )


def may_be_there(view: View, key: Key, on: date) -> bool:
    """Tell whether a resource of ours may stand at the connection on a day."""
    shown = disclosed(view, on)
    return shown.plan is not None and (key[0] == "CarePlan" or key[1] in shown.goals)


_DISCLOSED: LastFew[Disclosed] = LastFew(4)
_UNITS: LastFew[Values] = LastFew(4)
_OURS: LastFew[Ours] = LastFew(2)
_THERE: LastFew[There] = LastFew(2)


def ours_of(view: View, on: date) -> Ours:
    """Return our side of the plan as `decide` takes it."""
    return _OURS.of(view, on, lambda: _ours_of(view, on))


def _ours_of(view: View, on: date) -> Ours:
    shown = disclosed(view, on)
    born_there = frozenset(
        Unit(goal.id, f"note:{entry.id}")
        for goal in view.plan.goals
        for entry in goal.progress
        if entry.origin is not None and entry.origin.system == view.connection
    )
    real = _UNITS.of(view.plan, None, lambda: units(view.plan))
    if shown.plan is None:
        return Ours(
            view.plan.id,
            view.rev,
            {},
            real,
            view.revs,
            born_there=born_there,
            refused=WRONG_CHART if view.leaving else shown.refused or "nothing_disclosed",
            retract=view.config.retract,
            born=view.born,
            own=view.own,
        )
    told_of = {view.connection, *view.config.share_origins}
    elsewhere = frozenset(
        unit
        for unit, source in view.sources.items()
        if not source.connections <= told_of and unit.family not in DERIVED
    )
    seen = {
        unit: value
        for unit, value in visible(shown.plan, refs_of(view)).items()
        if unit not in elsewhere and not _without_its_words(unit, elsewhere, view.bases)
    }
    hidden = {unit: value for unit, value in real.items() if unit not in seen}
    kept = {unit: real[unit] for unit in elsewhere & real.keys() if is_shown(unit, view.plan.id, shown.goals)}
    return Ours(
        view.plan.id,
        view.rev,
        seen,
        hidden,
        view.revs,
        shown.goals,
        born_there,
        kept,
        retract=view.config.retract,
        void=view.void,
        unreleased=view.unreleased,
        born=view.born,
        own=view.own,
    )


def _without_its_words(unit: Unit, elsewhere: frozenset[Unit], bases: Mapping[Unit, Pair]) -> bool:
    """Tell whether a unit is of a step that is not there yet and whose words may not go there."""
    if not unit.name.startswith("step"):
        return False
    words = Unit(unit.owner, f"step:{unit.member}.text")
    return words in elsewhere and not _stands(Unit(unit.owner, f"steps:{unit.member}"), bases)


def _stands(unit: Unit, bases: Mapping[Unit, Pair]) -> bool:
    """Tell whether either side held a unit when it was settled: what was taken back is as if it had never been."""
    pair = bases.get(unit)
    return pair is not None and (pair.ours is not None or pair.theirs is not None)


def knowledge_of(view: View) -> Knowledge:
    """Return what reading the EHR needs to know of our side."""
    return Knowledge(member_ids(view.plan), view.bases, view.void, read_again=view.read_again)


def there_of(view: View, found: Mapping[Key, Found], missing: Mapping[Key, Place]) -> There:
    """Return what was read of the plan at the EHR."""
    return _THERE.of(
        view,
        (Same(found), Same(missing)),
        lambda: read_there(view.plan.id, found, missing, refs_of(view), knowledge_of(view)),
    )


def last_seen(view: View) -> There:
    """Return the plan at the EHR as the links remember it."""
    found = {}
    for key, link in view.links.items():
        if link.resource_id is not None and link.raw is not None:
            tree = loads(link.raw)
            if isinstance(tree, dict):
                found[key] = Found(link.resource_id, tree, link.etag, link.version)
    return there_of(view, found, {})


def with_bases(view: View, pairs: Mapping[Unit, Pair]) -> View:
    """Return the view with those pairs settled."""
    return replace(view, bases={**view.bases, **pairs})


def with_link(view: View, link: Link) -> View:
    """Return the view with one resource linked or its link renewed."""
    return replace(view, links={**view.links, (link.kind, link.local_id): link})


def without_link(view: View, key: Key, units_: Collection[Unit]) -> View:
    """Return the view with one resource forgotten: it is deleted there, and so are the pairs of what it carried."""
    links = {one: link for one, link in view.links.items() if one != key}
    return replace(view, links=links, bases={unit: pair for unit, pair in view.bases.items() if unit not in units_})


def with_plan(view: View, plan: Plan, rev: int, touched: Mapping[Unit, tuple[Json, Json]]) -> View:
    """Return the view with our record at its next revision, by an edit of this EHR."""
    new = {
        unit: changed(view.sources.get(unit, OURS), old, value, view.connection)
        for unit, (old, value) in touched.items()
    }
    revs = {**view.revs, **dict.fromkeys(touched, rev)}
    return replace(view, plan=plan, rev=rev, revs=revs, sources={**view.sources, **new})


def shown_mark(view: View, on: date) -> str:
    """Return a mark of what the connection may see on a day: it moves when a consent begins or ends by the calendar."""
    seen = disclosed(view, on)
    return hashlib.sha256(repr((seen.refused, seen.goals)).encode()).hexdigest()


def content_hash(tree: Resource) -> str:
    """Return a hash of a resource's content: without version and time of change, and whatever the order of keys.

    A server that bumps a version without a change, or shows none at all, is no edit (vendor reference, 0.4).
    """
    meta = tree.get("meta")
    if isinstance(meta, dict):
        kept = {name: part for name, part in meta.items() if name not in ("versionId", "lastUpdated", "source")}
        tree = {**tree, "meta": kept}
    return hashlib.sha256(canonical(tree)).hexdigest()


def raw_text(tree: Resource) -> str:
    """Return a resource's exact JSON text, as links and intents keep it."""
    return dumps(tree).decode()
