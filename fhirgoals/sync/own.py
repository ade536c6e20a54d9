"""What an EHR itself wrote of a plan, and so what is ours in a resource that is taken back (design 5.10).

Pure. What came from that EHR and stands there as it wrote it stays to the byte: a goal that was born there is never
voided, blanked or deleted by taking back, and only what we sent goes out of it. What others write into a resource that
was taken back before is theirs too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fhirgoals.domain.units import Json, Pair, Unit, Values, same_value
from fhirgoals.sync.sides import REQUIRED, Key, Ours, Theirs, carriers, named_by

WITHDRAWN_REV = -1
"""The revision of a pair after taking back: what is shared again later is newer than it, and goes out anew."""

_STEP_STATUS = "step:<id>.status"
_REQUIRED = (*REQUIRED, _STEP_STATUS)
"""Units without which what carries them can't stand: in their place the EHR's own last value is put back."""

_REFERENCES = ("parent_map", "relations", "membership")
_MINTED = re.compile(r"(note|target|step|intervention)-[0-9a-f]{12}")
"""The id of a member that was born at an EHR (`mappers.assembly.minted`)."""


def own_values(edits: Iterable[Mapping[Unit, tuple[Json, Json]]]) -> Values:
    """Return what an EHR itself last wrote of each unit; `edits` are its own, oldest first: old and new values.

    Of a value of several parts these are the parts that it wrote, each as it last did.
    """
    own: Values = {}
    for edit in edits:
        for unit, (old, new) in edit.items():
            edit_of = _with_labels if unit.name == "labels" else _with_edit
            own[unit] = edit_of(own.get(unit), old, new)
    return {unit: value for unit, value in own.items() if value is not None}


def _with_edit(own: Json, old: Json, new: Json) -> Json:
    if not isinstance(new, dict) or not (isinstance(old, dict) and old):
        return new
    known = own if isinstance(own, dict) else {}
    edited = {part for part, value in new.items() if not same_value(old.get(part), value)}
    return {part: value if part in edited else known[part] for part, value in new.items() if part in edited | {*known}}


def _with_labels(own: Json, old: Json, new: Json) -> Json:
    return sorted(set(new or ()) - set(old or ()) | set(own or ()) & set(new or ())) or None


def agreed_in(units: Iterable[Unit], ours: Ours, bases: Mapping[Unit, Pair]) -> Values:
    """Return what was agreed of units that are taken back; of labels only those that are ours to take out."""
    agreed = {unit: bases[unit].ours or bases[unit].theirs for unit in units}
    labels = {
        unit: sorted({*(value or ())} - {*(ours.own.get(unit) or ())})
        for unit, value in agreed.items()
        if unit.name == "labels"
    }
    return agreed | labels


def ours_in(key: Key, ours: Ours, theirs: Theirs, bases: Mapping[Unit, Pair]) -> Values:
    """Return the units of ours in a resource, each with what is put in its place: `None` takes it out.

    One that can neither be taken out nor put back is not among them (`not_put_back`).
    """
    found = _of_ours(key, ours, theirs, bases)
    fixed = {unit for unit in found if _must_stand(unit, key, ours, bases)}
    taken_out: Values = {unit: None for unit in found if unit not in fixed}
    return taken_out | {unit: ours.own[unit] for unit in fixed if unit in ours.own}


def not_put_back(key: Key, ours: Ours, theirs: Theirs, bases: Mapping[Unit, Pair]) -> list[Unit]:
    """Return the units of ours in a resource that have to stand and whose own value there nobody knows."""
    found = _of_ours(key, ours, theirs, bases)
    return [unit for unit in found if _must_stand(unit, key, ours, bases) and unit not in ours.own]


def holds_ours(key: Key, ours: Ours, theirs: Theirs, bases: Mapping[Unit, Pair]) -> bool:
    """Tell whether anything of ours may stand in a resource; what we made there is ours as a whole."""
    return key[1] not in ours.born or bool(_of_ours(key, ours, theirs, bases))


def is_theirs(key: Key, ours: Ours, theirs: Theirs, bases: Mapping[Unit, Pair]) -> bool:
    """Tell whether a resource is not ours to delete: it was born there, or others wrote in it since it was blanked."""
    if key[1] in ours.born:
        return True
    words = Unit(key[1], "text" if key[0] == "Goal" else "title")
    pair = bases.get(words)
    return pair is not None and _written_since(words, pair, theirs) and not _came_back(key, ours, theirs, bases)


def left_as_it_is(unit: Unit, ours: Ours, bases: Mapping[Unit, Pair]) -> bool:
    """Tell whether a unit of the plan that may no longer be seen there is the EHR's own, so that nobody touches it."""
    pair = bases.get(unit)
    if pair is None or unit.owner != ours.plan_id or unit not in ours.hidden:
        return False
    if _must_stand(unit, ("CarePlan", ours.plan_id), ours, bases) and unit not in ours.own:
        return True
    keys = carriers(ours.plan_id, unit, pair.ours, pair.theirs)
    return bool(keys) and all(_of_theirs(key, unit, pair, ours) for key in keys)


def put_back(unit: Unit, ours: Ours, bases: Mapping[Unit, Pair]) -> Json:
    """Return what is put in the place of a hidden unit of the plan without which the EHR's own step can't stand."""
    if unit not in ours.hidden or not _must_stand(unit, ("CarePlan", ours.plan_id), ours, bases):
        return None
    return ours.own.get(unit)


def _of_ours(key: Key, ours: Ours, theirs: Theirs, bases: Mapping[Unit, Pair]) -> list[Unit]:
    not_ours = ours.born_there | theirs.assembled.born_there
    back = _came_back(key, ours, theirs, bases)
    return [
        unit
        for unit, pair in bases.items()
        if key in carriers(ours.plan_id, unit, pair.ours, pair.theirs)
        and unit not in not_ours
        and not (pair.ours is None and theirs.assembled.values.get(unit) is None)
        and (back or not _written_since(unit, pair, theirs))
        and not _of_theirs(key, unit, pair, ours)
    ]


def _of_theirs(key: Key, unit: Unit, pair: Pair, ours: Ours) -> bool:
    """Tell whether what was last agreed of a unit is what the EHR itself wrote, and nothing of ours was sent over it.

    Who put the words of a goal of ours in other words did not make it theirs; a reference to one of ours is ours.
    """
    if unit.family in REQUIRED and unit.owner not in ours.born:
        return False
    if unit.family in _REFERENCES:
        mine = named_by(unit, pair.ours, pair.theirs) - ours.born - {*ours.goals}
        if mine - {key[1]}:
            return False
    if unit in ours.own:
        return same_value(pair.theirs if pair.ours is None else pair.ours, ours.own[unit])
    return pair.ours is None and pair.rev != WITHDRAWN_REV and _MINTED.fullmatch(unit.member) is not None


def _must_stand(unit: Unit, key: Key, ours: Ours, bases: Mapping[Unit, Pair]) -> bool:
    """Tell whether what carries a unit is the EHR's own and can't stand without it."""
    if unit.family not in _REQUIRED:
        return False
    if unit.family != _STEP_STATUS:
        return unit.owner in ours.born
    step = Unit(unit.owner, f"steps:{unit.member}")
    pair = bases.get(step)
    return pair is not None and _of_theirs(key, step, pair, ours) and not _of_theirs(key, unit, bases[unit], ours)


def _written_since(unit: Unit, pair: Pair, theirs: Theirs) -> bool:
    """Tell whether somebody wrote a unit after ours was taken out of it."""
    gone = pair.ours is None and pair.rev == WITHDRAWN_REV
    return gone and not same_value(theirs.assembled.values.get(unit), pair.theirs)


def _came_back(key: Key, ours: Ours, theirs: Theirs, bases: Mapping[Unit, Pair]) -> bool:
    """Tell whether words of ours stand again in a resource that was taken back: by a late call, or as somebody put an
    older version back."""
    values = theirs.assembled.values
    return any(
        _has_words(unit)
        and _written_since(unit, pair, theirs)
        and unit in ours.hidden
        and same_value(values.get(unit), ours.hidden[unit])
        for unit, pair in bases.items()
        if key in carriers(ours.plan_id, unit, pair.ours, pair.theirs)
    )


def _has_words(unit: Unit) -> bool:
    return unit.family in ("text", "title", "client_words", "completion_criterion", "note:<id>", "step:<id>.text")
