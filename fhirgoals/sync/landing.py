"""Tells what a call in doubt made of a resource there: the version that is ours, and what it says beside what was sent.

Pure; `recover` looks the versions up.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from fhirgoals.domain.units import Values, same_value
from fhirgoals.fhir.pages import Version
from fhirgoals.mappers import stamp
from fhirgoals.store.intents import Intent
from fhirgoals.sync.changes import found_of
from fhirgoals.sync.merge import Action, Seen, Verdict
from fhirgoals.sync.reading import Found, There, with_stored
from fhirgoals.sync.rows import body_of, link_of, sent_units
from fhirgoals.sync.view import View, knowledge_of, refs_of, with_link


def version_after(
    view: View, there: There, intent: Intent, current: Found, versions: Sequence[Version] | None
) -> Found | None:
    """Return the version that our call made, or `None` where none is ours; `versions` are newest first."""
    candidate = _next_version(versions, intent.etag, current.resource_id) if versions else None
    if versions is None and view.config.operation_id_kept:
        # No history: our id in the current version proves that ours landed, and what we sent is what was agreed.
        ours = stamp.operation_id(current.tree) == intent.id
        return Found(current.resource_id, body_of(intent), current.etag, current.version) if ours else None
    if candidate is None:
        return None
    if view.config.operation_id_kept:
        return candidate if stamp.operation_id(candidate.tree) == intent.id else None
    return candidate if holds_what_was_sent(view, there, intent, candidate) else None


def holds_what_was_sent(view: View, there: There, intent: Intent, candidate: Found) -> bool:
    """Tell whether a version there says what a call sent, in every unit of it."""
    sent, stored = both(view, there, intent, candidate)
    return all(same_value(sent.get(unit), stored.get(unit)) for unit in sent_units(intent))


def maybe_undone(view: View, there: There, intent: Intent, current: Found) -> list[Verdict]:
    """Return the units of a call that stand as they did before it, where nobody can tell whether it came.

    Without a history a call that never came looks like one whose values somebody there took out again. Ours goes out
    anew, and what stood there stays in our history.
    """
    _, stored = both(view, there, intent, current)
    seen = [Seen(unit, view.bases.get(unit), one.ours, stored.get(unit)) for unit, one in sent_units(intent).items()]
    as_before = [one for one in seen if same_value(one.theirs, one.pair.theirs if one.pair else None)]
    return [Verdict(one, Action.IGNORE, "may_have_been_undone_there") for one in as_before]


def both(view: View, there: There, intent: Intent, found: Found) -> tuple[Values, Values]:
    """Return the units of what was sent, and of a version that stands there."""
    key = (intent.kind, intent.local_id)
    known = view
    if key not in view.links:
        known = with_link(view, link_of(view, *key, found, intent.opened_at))
    refs, knowledge = refs_of(known), knowledge_of(known)
    knowledge = replace(knowledge, sent={unit: one.ours for unit, one in sent_units(intent).items()})
    sent = with_stored(there, key, Found(found.resource_id, body_of(intent)), refs, knowledge)
    stored = with_stored(there, key, found, refs, knowledge)
    return sent.theirs.assembled.values, stored.theirs.assembled.values


def _next_version(versions: Sequence[Version], etag: str | None, resource_id: str) -> Found | None:
    """Return the version right after the one that our ETag names; `versions` are newest first."""
    ours = (etag or "").removeprefix("W/").strip('"')
    for newer, older in itertools.pairwise(versions):
        if older.version == ours and newer.tree is not None:
            return found_of(resource_id, newer.tree)
    return None
