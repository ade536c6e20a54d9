"""Finds out what became of calls whose reply never came, before anything else is written for their plan (design 5.7).

A create is looked for by our identifier. An update is known by its ETag: while ours is current it has not landed and
may still, so it stays a candidate while the same change is sent again; once the ETag moved, only the version right
after ours can be ours, and it is when it equals what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Pair, Unit, same_value
from fhirgoals.fhir.answers import Gone, NotFound, Stored
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import stamp
from fhirgoals.store.intents import Intent
from fhirgoals.sync.call import Sent
from fhirgoals.sync.changes import found_of, not_answered
from fhirgoals.sync.context import Context
from fhirgoals.sync.decide import Waiting, carriers
from fhirgoals.sync.landing import both, holds_what_was_sent, maybe_undone, version_after
from fhirgoals.sync.merge import Action, Seen, Verdict
from fhirgoals.sync.reading import Found, There
from fhirgoals.sync.rows import body_of, sent_units
from fhirgoals.sync.subject import wrong_subject
from fhirgoals.sync.unversioned import AGAIN_REV, differs, gone_over_unseen, overwritten, put_back, trace, usable
from fhirgoals.sync.view import Key, View, content_hash, last_seen, may_be_there, refs_of

MAY_NOT_GO = "sent_or_not_unknown"
"""Why an intent is left that is not repeated: what it says may no longer be seen there. It is a candidate until the
ETag moves, and a person is told; other writes to its resource go on and take the ETag from it."""

IN_DOUBT = "in_doubt"
"""Why an intent is left that was or may be sent: its ETag is still current, so it may land yet. Other writes to its
resource go on with the same ETag."""


NOT_THERE = "not_there"
"""Why an intent is left that was not found: it may come late. A create is known until the next one of its goal, a
write to a server without versions until it is too old to come."""

OPEN = (IN_DOUBT, MAY_NOT_GO)

LATEST = timedelta(minutes=15)
"""How long a call that was not found is looked for: none is heard of that came later (timeouts are minutes)."""


@dataclass(frozen=True)
class Unsettled:
    """Calls whose end is not known yet: `asked` a person has to look into, and their resources are left alone.

    `doubtful` are the resources of calls that may land yet: no child with an edge there is judged. `told` are those of
    calls that may no longer go: they are named, and hold nothing up.
    """

    asked: tuple[Waiting, ...] = ()
    doubtful: frozenset[Key] = frozenset()
    told: frozenset[Key] = frozenset()


NOTHING_OPEN = Unsettled()


def unsettled(left: Sequence[tuple[Intent, str]]) -> Unsettled:
    """Return the calls that `recover` left open, by what that means for the run."""

    def keys(wanted: str) -> frozenset[Key]:
        return frozenset((one.kind, one.local_id) for one, why in left if why == wanted)

    asked = tuple(Waiting("held", one.local_id, one.kind, why) for one, why in left if why not in (*OPEN, NOT_THERE))
    return Unsettled(asked, keys(IN_DOUBT), keys(MAY_NOT_GO))


def moved(
    view: View, left: Sequence[tuple[Intent, str]], found: Mapping[Key, Found], before: Mapping[Key, Found]
) -> bool:
    """Tell whether a resource moved under an open call since that was looked into: it may have landed by now.

    `before` is the reading before that look, empty where there was none.
    """
    for one, why in left:
        key = (one.kind, one.local_id)
        now = found.get(key)
        if now is not None and why in OPEN and now.etag != one.etag:
            return True
        # Where versions say nothing, its content tells.
        if now is not None and why == NOT_THERE and key in view.links and differs(view.links[key], now):
            looked_into = key in before and content_hash(before[key].tree) == content_hash(now.tree)
            if not looked_into:
                return True
    return False


class Settling(Protocol):
    """What finding out may do: `Writes`, or a preview that only notes it."""

    async def landed(
        self,
        view: View,
        there: There,
        key: Key,
        found: Found,
        units: Mapping[Unit, Sent],
        action: str,
        etag: str | None,
        *,
        only: str | None = None,
    ) -> tuple[View, There]:
        """Settle a call that landed; where ETags say nothing it is `only` that one."""
        ...

    async def not_there(self, view: View, intent: Intent) -> None:
        """Close a delete of which nothing is seen there."""
        ...

    async def repeat(
        self, view: View, there: There, intent: Intent, current: Found, then: Plan | None
    ) -> tuple[View, There, str | None]:
        """Send a call in doubt once more; return why it stays open, if it does."""
        ...

    async def close_intent(self, intent_id: str) -> None:
        """Clear a call that did not."""
        ...

    async def note_history(self, view: View, verdicts: list[Verdict]) -> None:
        """Keep values of theirs that go under."""
        ...

    async def settle(self, view: View, pairs: Mapping[Unit, Pair]) -> View:
        """Move pairs."""
        ...


async def recover(context: Context, view: View, writes: Settling) -> tuple[View, list[tuple[Intent, str]]]:
    """Settle the plan's open intents; return the view then, and those that stay open, each with the reason.

    Raises `RemoteError` where the EHR does not answer: the intents stay for the next run.
    """
    left: list[tuple[Intent, str]] = []
    there = last_seen(view)
    settled: set[tuple[Key, str | None]] = set()
    for intent in view.intents:
        call = ((intent.kind, intent.local_id), intent.etag)
        if call in settled:
            continue  # another call with the same ETag landed: this one can't any more
        if intent.sent_at is None:
            await writes.close_intent(intent.id)  # the process ended before it went out
            continue
        links, bases = view.links, view.bases
        if intent.method == "create":
            view, there, why = await _created(context, view, there, writes, intent)
        else:
            view, there, why = await _updated(context, view, there, writes, intent)
        if why is not None:
            left.append((intent, why))
        elif usable(view, intent.etag) and (view.links is not links or view.bases is not bases):
            settled.add(call)
    return view, left


async def _created(
    context: Context, view: View, there: There, writes: Settling, intent: Intent
) -> tuple[View, There, str | None]:
    wire_id = view.installation.wire_id(intent.kind, view.plan.id, intent.local_id)
    result = await context.client.search(
        intent.kind, [("identifier", f"{view.installation.identifier_system}|{wire_id}")]
    )
    matches = {str(tree["id"]): tree for tree in result.entries if isinstance(tree.get("id"), str)}
    if view.config.create == "client_id" and wire_id not in matches:
        answer = await context.client.read(intent.kind, wire_id)
        if isinstance(answer, Stored) and answer.tree is not None:
            matches[wire_id] = answer.tree
    if not matches:
        return await _without_its_identifier(context, view, there, writes, intent)
    if len(matches) > 1:
        return view, there, "several"
    [tree] = matches.values()
    if wrong_subject(tree, view.patient, refs_of(view)) is not None:
        return view, there, "other_patient"
    # Without a history our id alone says that it was stored as it was sent.
    by_id = view.config.operation_id_kept and stamp.operation_id(tree) == intent.id
    first = await _oldest(context, intent, {**body_of(intent), "id": tree["id"]} if by_id else tree)
    units = _earlier_edges(view, there, intent, first) | _as_stored(view, there, intent, first)
    if first.tree is tree:  # nobody knows who wrote what differs: an earlier create of the goal, or somebody there
        units = {unit: one for unit, one in units.items() if one.rev != AGAIN_REV}
    view, there = await writes.landed(view, there, (intent.kind, intent.local_id), first, units, "recovered", None)
    return view, there, None


async def _without_its_identifier(
    context: Context, view: View, there: There, writes: Settling, intent: Intent
) -> tuple[View, There, str | None]:
    """Look for a create in doubt at a server that may have dropped our identifier: by all that was sent.

    Each is taken as it was first stored: somebody may have edited it since. One that bears our id, or is equal in every
    unit, is ours. One that only says the same words may be: it is left to a person, and no second one is made.
    """
    result = await context.client.search(intent.kind, [("patient", view.patient or "")])
    linked = {link.resource_id for link in view.links.values()}
    unknown = [
        tree
        for tree in result.entries
        if isinstance(tree.get("id"), str)
        and tree["id"] not in linked
        and wrong_subject(tree, view.patient, refs_of(view)) is None
    ]
    first = [await _oldest(context, intent, tree) for tree in unknown if not stamp.identifiers(tree)]
    alike = [one for one in first if _says_the_same(one.tree, body_of(intent))]
    stamped = [one for one in first if view.config.operation_id_kept and stamp.operation_id(one.tree) == intent.id]
    ours = stamped or [one for one in alike if holds_what_was_sent(view, there, intent, one)]
    if len(ours) == 1:
        units = _as_stored(view, there, intent, ours[0])
        key = (intent.kind, intent.local_id)
        view, there = await writes.landed(view, there, key, ours[0], units, "recovered", None)
        return view, there, None
    if alike:
        return view, there, "may_stand_there"
    view, there, why = await _not_found(context, view, there, writes, intent)
    may_go = may_be_there(view, (intent.kind, intent.local_id), context.today())
    return view, there, why if why is None or may_go else MAY_NOT_GO


def _says_the_same(tree: Resource, body: Resource) -> bool:
    words = "description" if tree.get("resourceType") == "Goal" else "title"
    return words in body and tree.get(words) == body.get(words)


def _as_stored(view: View, there: There, intent: Intent, first: Found) -> dict[Unit, Sent]:
    """Return what an intent carried as the resource that was found has it.

    It need not be this intent's: an earlier create of the same goal may have landed late. A unit that holds something
    else counts as theirs, agreed at no revision of ours, so that our value is newer and goes out.
    """
    units = sent_units(intent)
    if view.config.operation_id_kept and stamp.operation_id(first.tree) == intent.id:
        return units
    sent, stored = both(view, there, intent, first)
    return {
        unit: one
        if same_value(sent.get(unit), stored.get(unit))
        else replace(one, ours=stored.get(unit), rev=AGAIN_REV)
        for unit, one in units.items()
    }


def _earlier_edges(view: View, there: There, intent: Intent, first: Found) -> dict[Unit, Sent]:
    """Return the edges of an earlier create that landed late which this one no longer has: ours moved in between.

    A child's place may have been agreed on meanwhile, without this parent: nobody there knew of it yet.
    """
    _, stored = both(view, there, intent, first)

    def agreed(unit: Unit) -> bool:
        theirs = view.bases[unit].theirs if unit in view.bases else None
        return intent.local_id in theirs if isinstance(theirs, list) else theirs is not None

    return {
        unit: Sent(value, AGAIN_REV)
        for unit, value in stored.items()
        if unit.family in ("parent_map", "relations")
        and (intent.kind, intent.local_id) in carriers(view.plan.id, unit, value)
        and not agreed(unit)
    }


async def _oldest(context: Context, intent: Intent, otherwise: Resource) -> Found:
    """Return a resource as it was first stored; without a history as it is said to be."""
    resource_id = str(otherwise["id"])
    versions = await context.client.history(intent.kind, resource_id) or ()
    trees = [one.tree for one in versions if one.tree is not None]
    return found_of(resource_id, trees[-1] if trees else otherwise)


async def _updated(
    context: Context, view: View, there: There, writes: Settling, intent: Intent
) -> tuple[View, There, str | None]:
    key = (intent.kind, intent.local_id)
    if intent.resource_id is None:
        return view, there, "unknown_resource"
    answer = await context.client.read(intent.kind, intent.resource_id)
    match answer:
        case Stored(tree=dict() as tree):
            current = Found(intent.resource_id, tree, answer.etag, answer.version)
        case Gone() | NotFound() if intent.method == "delete":
            await writes.note_history(view, await _went_with_it(context, view, intent))
            await writes.not_there(view, intent)
            return view, there, None
        case Gone() | NotFound():
            await writes.close_intent(intent.id)
            return view, there, None
        case _:
            raise not_answered(view.connection, intent.kind, answer)
    known = last_seen(view).found.get(key)
    if known is not None and (not usable(view, intent.etag) or _moved_alone(intent, current, known)):
        return await _unversioned(context, view, there, writes, intent, current, known)
    if current.etag is not None and current.etag == intent.etag:
        return await writes.repeat(view, there, intent, current, await plan_of(context, view, intent))
    if intent.method == "delete":  # it moved before the delete came; a server that checks none may take it out yet
        await writes.note_history(view, [_whole(intent, current.tree, "may_be_taken_back")])
        await writes.close_intent(intent.id)
        return view, there, None
    versions = await context.client.history(intent.kind, current.resource_id)
    landed = version_after(view, there, intent, current, versions)
    if landed is None:
        if current.etag is not None and versions is None:
            await writes.note_history(view, maybe_undone(view, there, intent, current))
        await writes.close_intent(intent.id)
        return view, there, None
    view, there = await writes.landed(view, there, key, landed, sent_units(intent), "recovered", intent.etag)
    return view, there, None


async def _went_with_it(context: Context, view: View, intent: Intent) -> list[Verdict]:
    """Return what somebody there wrote before a delete of ours that nothing held back, or that they may have."""
    key = (intent.kind, intent.local_id)
    known = last_seen(view).found.get(key)
    if known is None or intent.resource_id is None:
        return []
    versions = await context.client.history(intent.kind, intent.resource_id)
    if versions is None:
        return [] if usable(view, intent.etag) else [gone_over_unseen(view, key, sent_units(intent))]
    last = next((one.tree for one in versions if one.tree is not None), None)
    if last is None or content_hash(last) == content_hash(known.tree):
        return []
    return [_whole(intent, last, "overwritten_there")]


def _whole(intent: Intent, tree: Resource, why: str) -> Verdict:
    return Verdict(Seen(Unit(intent.local_id, ""), None, None, tree), Action.IGNORE, why)


def _moved_alone(intent: Intent, current: Found, known: Found) -> bool:
    """Tell whether a resource moved and its ETag did not."""
    return current.etag == intent.etag and content_hash(current.tree) != content_hash(known.tree)


async def _unversioned(
    context: Context, view: View, there: There, writes: Settling, intent: Intent, current: Found, known: Found
) -> tuple[View, There, str | None]:
    """Look for a call at a server whose versions say nothing: by its id or its content."""
    key = (intent.kind, intent.local_id)
    with_id = view.config.operation_id_kept and intent.method != "delete"

    def is_ours(tree: Resource) -> bool:
        if with_id:
            return stamp.operation_id(tree) == intent.id
        return holds_what_was_sent(view, there, intent, Found(current.resource_id, tree))

    traced = await trace(context.client, key, current.resource_id, known.tree, is_ours)
    ours = None if traced is None else traced.ours
    if traced is None and content_hash(current.tree) != content_hash(known.tree) and is_ours(current.tree):
        # No history: our id proves that it came; what was agreed is what was sent, not what stands there now.
        ours = replace(current, tree=body_of(intent)) if with_id else current
    if ours is None or intent.method == "delete":
        if traced is None and intent.method != "delete":
            await writes.note_history(view, maybe_undone(view, there, intent, current))
        return await _not_found(context, view, there, writes, intent)
    lost = (
        overwritten(view, there, key, ours, traced.overwritten)
        if traced
        else [gone_over_unseen(view, key, sent_units(intent))]
    )
    await writes.note_history(view, lost)
    sent, stored = both(view, there, intent, ours)
    again = put_back(view, there.theirs.assembled.values, sent, stored, frozenset(sent_units(intent)))
    # Before the call is closed: a process that dies in between finds all of it again.
    view, there = await writes.landed(
        await writes.settle(view, again), there, key, ours, sent_units(intent), "recovered", intent.etag, only=intent.id
    )
    return view, there, None


async def _not_found(
    context: Context, view: View, there: There, writes: Settling, intent: Intent
) -> tuple[View, There, str | None]:
    """Keep a call that was not found as one that may come late, until it is too old for that."""
    if intent.opened_at + LATEST < context.clock():
        await writes.close_intent(intent.id)
        return view, there, None
    return view, there, NOT_THERE


async def plan_of(context: Context, view: View, intent: Intent) -> Plan | None:
    """Return our record as it was when an intent was written, or `None` where that is not known any more."""
    rev = max((one.rev for one in sent_units(intent).values()), default=0)
    if 0 < rev != view.rev:
        return await context.store.read(lambda tx: tx.plans.at_revision(view.plan.id, rev))
    return view.plan
