"""After an upgrade of the mappers: derives both bases anew from what was last seen, and sends nothing (design 5.14).

Pure. A link keeps the exact JSON and the version of the mapper that read it. With new rows a unit may look different,
or be there for the first time; that is no edit of anybody.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from fhirgoals.domain.units import Pair, Unit, same_value
from fhirgoals.fhir.exact_json import loads
from fhirgoals.sync.decide import Ours, carriers
from fhirgoals.sync.view import MAPPER_VERSION, Key, View, content_hash, last_seen, ours_of


def outdated(view: View) -> frozenset[Key]:
    """Return the resources that an older mapper read last, and of which every edit there is judged."""
    return frozenset(
        key
        for key, link in view.links.items()
        if link.mapper_version != MAPPER_VERSION and (link.raw is None or link.raw_hash == _hash(link.raw))
    )


def rebased(view: View, on: date, waiting: Collection[Unit]) -> dict[Unit, Pair]:
    """Return the pairs that are to be replaced; `waiting` are units with an open item, whose pair stays as it is.

    A unit that changed here since its pair, or that a person decided on, keeps our half; one that was not read before
    is agreed as it stands on both sides, unless it is newer here than all that was agreed on that resource.
    """
    old = outdated(view)
    if not old:
        return {}
    values = last_seen(view).theirs.assembled.values
    ours = ours_of(view, on)
    settled = {
        key: max((pair.rev for unit, pair in view.bases.items() if _on(view, unit, pair) & {key}), default=0)
        for key in old
    }
    pairs: dict[Unit, Pair] = {}
    for unit in sorted(values.keys() | view.bases.keys() | ours.visible.keys()):
        pair, theirs = view.bases.get(unit), values.get(unit)
        places = frozenset(carriers(view.plan.id, unit, ours.visible.get(unit), theirs, pair and pair.theirs)) & old
        if not places or unit in waiting:
            continue
        new = _anew(unit, pair, ours, max(settled[one] for one in places))
        if new is not None:
            pairs[unit] = Pair(new[0], theirs, new[1])
    return {unit: pair for unit, pair in pairs.items() if not _same(pair, view.bases.get(unit))}


def _anew(unit: Unit, pair: Pair | None, ours: Ours, settled: int) -> tuple[object, int] | None:
    """Return our half of the pair and its revision, or `None` where there is nothing to agree on."""
    rev = ours.revs.get(unit, 0)
    if pair is None:
        return None if rev > settled else (ours.visible.get(unit), max(rev, settled))
    if pair.rev < 0 or rev > pair.rev or unit in ours.hidden or unit in ours.elsewhere:
        return (pair.ours, pair.rev)
    return (ours.visible.get(unit), pair.rev)


def _on(view: View, unit: Unit, pair: Pair) -> frozenset[Key]:
    return frozenset(carriers(view.plan.id, unit, pair.ours, pair.theirs))


def _same(one: Pair, other: Pair | None) -> bool:
    if other is None:
        return one.ours is None and one.theirs is None
    return same_value(one.ours, other.ours) and same_value(one.theirs, other.theirs) and one.rev == other.rev


def _hash(raw: str) -> str | None:
    tree = loads(raw)
    return content_hash(tree) if isinstance(tree, dict) else None
