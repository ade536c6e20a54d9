"""Servers without a usable ETag (none, or one that stays): a call can't be held there to what it was built on.

Each resource is read again right before it is written. What slipped in between all the same, or was overwritten by a
call that came late, is looked for in the history afterwards: the values stay in ours. A call in doubt is not sent again
as it is; it is looked for by its id or its content until it is too old to come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fhirgoals.domain.units import Pair, Unit, Values, same_value
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.exact_json import Resource, loads
from fhirgoals.store.links import Link
from fhirgoals.sync.call import Call, Sent
from fhirgoals.sync.changes import found_of
from fhirgoals.sync.context import Context
from fhirgoals.sync.merge import Action, Seen, Verdict
from fhirgoals.sync.reading import Found, There, with_stored
from fhirgoals.sync.versions import distrust
from fhirgoals.sync.view import Key, View, content_hash, knowledge_of, refs_of

AGAIN_REV = -1
"""The revision of a pair whose value there is not what we last sent, though a call of ours put it there: ours is newer
and goes out again."""


NONE_OF_THEM = ""
"""The id of no intent: what landed settles none, since each may still come."""


@dataclass(frozen=True)
class Trace:
    """What the history shows since a resource was last known: our version, and those of others right before it."""

    ours: Found | None
    overwritten: tuple[Resource, ...]


def usable(view: View, etag: str | None) -> bool:
    """Tell whether an ETag holds a call to the version that it was built on."""
    return etag is not None and view.trusted


async def watched(context: Context, view: View, found: Mapping[Key, Found]) -> View:
    """Return the view, which trusts versions no more where a resource moved since it was last seen and its ETag did
    not; that is kept before anything else is: what calls in doubt were built on is forgotten with the next one."""
    if not view.trusted or not any(
        key in view.links and moved_alone(view.links[key], one) for key, one in found.items()
    ):
        return view
    at = context.clock()
    await context.store.write(lambda tx: distrust(tx, view.connection, at))
    return replace(view, trusted=False)


def moved_alone(link: Link, now: Found) -> bool:
    """Tell whether a resource moved and its ETag did not."""
    return now.etag is not None and now.etag == link.etag and differs(link, now)


def differs(link: Link, now: Found) -> bool:
    """Tell whether a resource stands otherwise than it was last seen."""
    content = content_hash(now.tree)
    before = None if link.raw is None or link.raw_hash == content else loads(link.raw)
    return isinstance(before, dict) and content_hash(before) != content


async def trace(
    client: EhrClient, key: Key, resource_id: str, known: Resource | None, is_ours: Callable[[Resource], bool]
) -> Trace | None:
    """Return what became of a call to a resource that stood as `known`, or `None` where there is no history."""
    versions = await client.history(key[0], resource_id)
    if versions is None:
        return None
    trees = [one.tree for one in reversed(versions) if one.tree is not None]
    base = None if known is None else content_hash(known)
    as_known = [place for place, tree in enumerate(trees) if content_hash(tree) == base]
    since = as_known[0] if as_known else -1
    places = [place for place, tree in enumerate(trees) if place > since and is_ours(tree)]
    if not places:
        return Trace(None, ())
    ours = places[-1]
    built_on = max((place for place in as_known if place < ours), default=-1)
    return Trace(found_of(resource_id, trees[ours]), tuple(trees[built_on + 1 : ours]))


async def went_over(client: EhrClient, view: View, there: There, call: Call, found: Found) -> list[Verdict]:
    """Return what somebody there wrote between the last reading and a call that no ETag held back."""
    stored = content_hash(found.tree)
    traced = await trace(client, call.key, found.resource_id, call.before, lambda tree: content_hash(tree) == stored)
    if traced is None or traced.ours is None:
        return []
    return overwritten(view, there, call.key, traced.ours, traced.overwritten)


def overwritten(view: View, there: There, key: Key, ours: Found, others: tuple[Resource, ...]) -> list[Verdict]:
    """Return the values of others that a call of ours went over unseen."""
    after = _values(view, there, key, ours)
    before = there.theirs.assembled.values
    lost: dict[Unit, Verdict] = {}
    for tree in others:
        values = _values(view, there, key, replace(ours, tree=tree))
        for unit in before.keys() | values.keys():  # what they took out counts too
            value = values.get(unit)
            if not same_value(value, before.get(unit)) and not same_value(value, after.get(unit)):
                lost[unit] = Verdict(Seen(unit, view.bases.get(unit), None, value), Action.IGNORE, "overwritten_there")
    return list(lost.values())


def gone_over_unseen(view: View, key: Key, sent: Mapping[Unit, Sent]) -> Verdict:
    """Return what is kept of a call that came late where neither an ETag nor a history tells what it went over.

    It is about the whole resource: our side is what the call carried, theirs is not known.
    """
    unit = Unit(key[1], "")
    carried = {one.name: value.ours for one, value in sent.items()}
    return Verdict(Seen(unit, view.bases.get(unit), carried, None), Action.IGNORE, "may_have_gone_over_an_edit")


def put_back(view: View, before: Values, sent: Values, stored: Values, carried: frozenset[Unit]) -> dict[Unit, Pair]:
    """Return the pairs of units that a late call did not carry, and put back to what they were when it was built."""
    return {
        unit: Pair(stored.get(unit), stored.get(unit), AGAIN_REV)
        for unit, pair in view.bases.items()
        if unit not in carried
        and unit in sent
        and same_value(sent[unit], stored.get(unit))
        and not same_value(before.get(unit), stored.get(unit))
        and not same_value(stored.get(unit), pair.theirs)
    }


def _values(view: View, there: There, key: Key, found: Found) -> Values:
    return with_stored(there, key, found, refs_of(view), knowledge_of(view)).theirs.assembled.values
