"""The narratives of one plan's resources at an EHR: which are ours to write anew, and which still say what may not be
seen there (design 4 and 5.10).

A narrative that we sent is ours whatever its status says by now. One that somebody else wrote is never gone over: where
it says words of what was taken back, a person is told, without the words.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from html import unescape

from fhirgoals.domain.units import Json, Unit, Values, same_value
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers.narrative import care_plan_text, is_ours_or_generated
from fhirgoals.store.tx import Tx
from fhirgoals.sync.call import Call
from fhirgoals.sync.decide import Key, Ours, Place
from fhirgoals.sync.outline import outline_there
from fhirgoals.sync.reading import There

NAMED_IN_THE_TEXT = "named_in_the_text"
"""Why a person is told of a narrative that says words of what may no longer be seen there."""

KEPT = 20
"""How many narratives that were sent are known again, the latest."""

_OF_A_GOAL = ("text", "client_words", "completion_criterion", "note:<id>")
_TAG = re.compile(r"<[^>]*>")
_WORD = re.compile(r"\w+")


def sent_narratives(tx: Tx, connection: str, plan_id: str) -> frozenset[str]:
    """Return the digests of the narratives that were sent for a plan's CarePlan."""
    return frozenset(_kept(tx, connection, plan_id))


def note_narrative(tx: Tx, connection: str, plan_id: str, call: Call, body: Resource, at: datetime) -> None:
    """Keep the digest of a narrative that is about to be sent, unless it is the one that stands there."""
    made = _digest(body) if call.kind == "CarePlan" and call.way == "write" else None
    if made is None or made == _digest(call.before or {}):
        return
    kept: Json = [*(one for one in _kept(tx, connection, plan_id) if one != made), made][-KEPT:]
    tx.cursors.set(connection, _scope(plan_id), kept, at)


def may_be_rewritten(key: Key, tree: Resource, there: There, sent: frozenset[str]) -> bool:
    """Tell whether a resource's narrative is ours or generated: there is none, it says so, we sent it, or it is what we
    would make of what stands there."""
    if is_ours_or_generated(tree) or key[0] == "Goal":
        return is_ours_or_generated(tree)
    made = _digest(tree)
    title, outline = outline_there(key[1], there.theirs.assembled.values, there.refs)
    return made is not None and (made in sent or made == _digest({"text": care_plan_text(title, outline)}))


def still_named(ours: Ours, real: Values, there: There) -> set[Key]:
    """Return the resources whose narrative says words of goals and steps that the connection may not see.

    `real` are the units of our whole record. What a way of taking back leaves as it is (`leave`) is not looked at, nor
    a narrative that goes with its resource, nor what the care plan itself still lists: that waits for something else.
    """
    listed = there.theirs.assembled.values
    gone = [
        value for unit, value in real.items() if _is_hidden(unit, value, ours) and not _is_listed(unit, ours, listed)
    ]
    hidden = {one for value in gone for one in _phrases(value)}
    if not hidden:
        return set()
    seen = {one for unit, value in ours.visible.items() for one in _phrases(value) if _has_words(unit)}
    return {
        key
        for key, found in there.found.items()
        if there.theirs.place(*key) in (Place.PRESENT, Place.VOID)
        and _is_looked_at(key, found.tree, ours)
        and _says(found.tree, hidden - seen, seen)
    }


def _is_looked_at(key: Key, tree: Resource, ours: Ours) -> bool:
    stays = ours.refused is None and (key[0] == "CarePlan" or key[1] in ours.goals)
    return stays or (ours.retract != "leave" and not is_ours_or_generated(tree))


def _is_hidden(unit: Unit, value: Json, ours: Ours) -> bool:
    if unit in ours.visible or unit in ours.elsewhere:
        return False
    if unit in ours.own and same_value(value, ours.own[unit]):
        return False  # its own words
    if unit.owner == ours.plan_id:
        return unit.family == "step:<id>.text" or (unit.name == "title" and ours.refused is not None)
    return unit.family in _OF_A_GOAL and unit.owner not in ours.goals


def _is_listed(unit: Unit, ours: Ours, listed: Values) -> bool:
    if unit.owner == ours.plan_id:
        return unit in listed
    return bool(listed.get(Unit(ours.plan_id, f"membership:{unit.owner}")))


def _has_words(unit: Unit) -> bool:
    return unit.family in (*_OF_A_GOAL, "step:<id>.text", "title")


def _phrases(value: Json) -> Iterator[str]:
    """Yield a unit's words, in small letters and one space apart."""
    text = value.get("text") if isinstance(value, dict) else value
    if isinstance(text, str) and (phrase := _plain(text)).strip():
        yield phrase


def _plain(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _says(tree: Resource, hidden: set[str], seen: set[str]) -> bool:
    """Tell whether a narrative says any of the hidden phrases, but as part of one that may be seen."""
    text = tree.get("text")
    div = text.get("div") if isinstance(text, dict) else None
    if not isinstance(div, str):
        return False
    told = _plain(unescape(_TAG.sub(" ", div)))
    for phrase in sorted(seen, key=len, reverse=True):
        told = told.replace(phrase, " | ")
    return any(phrase in told for phrase in hidden)


def _digest(tree: Mapping[str, object]) -> str | None:
    text = tree.get("text")
    div = text.get("div") if isinstance(text, dict) else None
    return hashlib.sha256(div.encode()).hexdigest() if isinstance(div, str) else None


def _kept(tx: Tx, connection: str, plan_id: str) -> list[str]:
    kept: Json = tx.cursors.get(connection, _scope(plan_id))
    return [str(one) for one in kept] if isinstance(kept, list) else []


def _scope(plan_id: str) -> str:
    return f"narratives:{plan_id}"
