"""Lays chosen merge units over the wire record of one resource: what a push changes there, and nothing else.

Creating a resource is laying all visible units over an empty record. Members of keyed lists are found by the
alignment of the reading (`Assembled`); an element id of ours is written only on members that we add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from fhirgoals.domain.records import Foreign, OptionalDate, fields_of
from fhirgoals.domain.units import Json, Unit, Values
from fhirgoals.fhir.terminology import (
    ACT_CODE,
    CONFIDENTIALITY,
    PART_2_LABELS,
    PART_2_SENSITIVITIES,
    SYSTEM_NAMES,
)
from fhirgoals.mappers.assemble import DUE, Assembled
from fhirgoals.mappers.records import (
    WireAcceptance,
    WireCode,
    WireGoal,
    WireMeasure,
    WireNote,
    WireRelation,
    WireSustain,
    WireTarget,
)
from fhirgoals.mappers.refs import Refs

replace = msgspec.structs.replace

T = TypeVar("T")


@dataclass(frozen=True)
class Push:
    """Units to be written, and what was agreed of them before (for labels: which of them are ours to take away)."""

    units: Values
    agreed: Values = field(default_factory=dict)


def overlay_goal(goal: str, record: WireGoal, push: Push, there: Assembled, refs: Refs) -> WireGoal:
    """Return the Goal's record with the pushed units of that goal, and the pushed relations, laid over it.

    Relations of the plan (`parent_map`, `relations`) touch the resource that carries them: R4's `milestone` stands on
    the parent. Nothing is written for a goal or person that has no reference here.
    """
    for unit, value in sorted(push.units.items(), key=lambda one: _turn(goal, one[0], one[1], there)):
        if unit.owner == goal:
            record = _GOAL[unit.name.partition(":")[0]](_Place(goal, unit, push, there, refs), record, value)
        elif unit.name.startswith(("parent_map:", "relations:")):
            record = _relations(goal, record, unit, value, refs)
    return record


def _turn(goal: str, unit: Unit, value: Json, there: Assembled) -> tuple[bool, int]:
    """Members are found by their position: changes come first, then removals from the end, so that none moves."""
    if value is not None or unit.owner != goal:
        return (False, 0)
    head, _, member = unit.name.partition(":")
    members = there.notes if head in ("note", "client_words") else there.targets
    name = member or {"target_date": DUE}.get(head, head)
    present = members.get(goal, ())
    return (True, -present.index(name) if name in present else 0)


@dataclass(frozen=True)
class _Place:
    goal: str
    unit: Unit
    push: Push
    there: Assembled
    refs: Refs


def typed(record: type[msgspec.Struct], name: str, value: Json) -> Any:
    """Return a unit's value as the wire record's field holds it (dates, decimals, foreign values)."""
    kind = next(one.type for one in fields_of(record) if one.name == name)
    return msgspec.convert(value, kind)


def _field(name: str) -> Callable[[_Place, WireGoal, Json], WireGoal]:
    def put(_place: _Place, record: WireGoal, value: Json) -> WireGoal:
        return replace(record, **{name: typed(WireGoal, name, value)})

    return put


def _composite(*names: str) -> Callable[[_Place, WireGoal, Json], WireGoal]:
    def put(_place: _Place, record: WireGoal, value: Json) -> WireGoal:
        parts = value or {}
        return replace(record, **{name: typed(WireGoal, name, parts.get(name)) for name in names})

    return put


def _expressed_by(place: _Place, record: WireGoal, value: Json) -> WireGoal:
    return replace(record, expressed_by=place.refs.person(value) if value else None)


def _addresses(place: _Place, record: WireGoal, value: Json) -> WireGoal:
    return replace(
        record,
        addresses=with_reference(record.addresses, place.refs.problems.get(place.unit.member), place.refs, value),
    )


def with_reference(present: Sequence[str], reference: str | None, refs: Refs, wanted: Json) -> tuple[str, ...]:
    """Return the references with one added at the end or taken out; it is known by its relative form."""
    if reference is None:
        return tuple(present)
    if wanted:
        return tuple(present) if any(refs.relative(one) == reference for one in present) else (*present, reference)
    return tuple(one for one in present if refs.relative(one) != reference)


def _acceptance(place: _Place, record: WireGoal, value: Json) -> WireGoal:
    reference = place.refs.person(place.unit.member)
    if reference is None:
        return record
    lines = []
    found = False
    for line in record.acceptance:
        if place.refs.relative(line.individual) != reference:
            lines.append(line)
        elif value is not None:
            found = True
            lines.append(_accepted(line.individual, value))
    if value is not None and not found:
        lines.append(_accepted(reference, value))
    return replace(record, acceptance=tuple(lines))


def _accepted(individual: str, value: Json) -> WireAcceptance:
    parts = {name: typed(WireAcceptance, name, value.get(name)) for name in ("status", "priority")}
    return WireAcceptance(individual=individual, **parts)


def labels(present: Sequence[WireCode], wanted: Sequence[str], agreed: Sequence[str]) -> tuple[WireCode, ...]:
    """Return the security labels with ours: `wanted` added, those that were ours before and are no longer taken out.

    Confidentiality R goes with any sensitivity and the Part 2 labels with substance use; labels that the EHR added
    stay.
    """
    ours, before = _label_codes(wanted), _label_codes(agreed)
    kept = [label for label in present if label in ours or label not in before]
    return (*kept, *(label for label in ours if label not in kept))


def _label_codes(sensitivities: Sequence[str]) -> list[WireCode]:
    if not sensitivities:
        return []
    part_2 = PART_2_LABELS if PART_2_SENSITIVITIES & set(sensitivities) else ()
    return [
        WireCode(system=CONFIDENTIALITY, code="R"),
        *(WireCode(system=ACT_CODE, code=code) for code in (*sorted(sensitivities), *part_2)),
    ]


def _labels(place: _Place, record: WireGoal, value: Json) -> WireGoal:
    agreed = place.push.agreed.get(place.unit) or []
    return replace(record, labels=labels(record.labels, value or [], agreed))


def _target_date(place: _Place, record: WireGoal, value: Json) -> WireGoal:
    by = typed(WireGoal, "target_date", value)
    members = place.there.targets.get(place.goal, ())
    if DUE not in members:
        return replace(record, target_date=by)
    kept = _with_member(record.targets, members, DUE, lambda old: replace(old or WireTarget(), by=by), by is None)
    return replace(record, targets=kept)


def _target(place: _Place, record: WireGoal, value: Json) -> WireGoal:
    members = place.there.targets.get(place.goal, ())
    key = place.unit.member
    element = place.refs.element("target", f"{place.goal}|{key}")
    kept = _with_member(record.targets, members, key, lambda old: wire_target(value, old, element), value is None)
    return replace(record, targets=kept)


def wire_target(value: Json, old: WireTarget | None, element: str) -> WireTarget:
    """Return a target for the wire from its unit value; `old` is the element that stands there, if any."""
    code = value.get("code")
    measure = None
    if any(name in value for name in ("instrument", "code", "foreign")):
        measure = WireMeasure(
            text=value.get("instrument"),
            coding=code and WireCode(system=SYSTEM_NAMES.get(code["system"], code["system"]), code=code["code"]),
            foreign=typed(WireMeasure, "foreign", value.get("foreign")),
        )
    sustain = value.get("sustain")
    foreign_sustain = isinstance(sustain, dict) and "foreign" in sustain
    return WireTarget(
        id=old.id if old else element,
        measure=measure,
        op=typed(WireTarget, "op", value.get("op")),
        value=typed(WireTarget, "value", value.get("value")),
        range=typed(WireTarget, "range", value.get("range")),
        unit=value.get("unit"),
        detail=typed(WireTarget, "detail", value.get("detail")),
        by=typed(WireTarget, "by", value.get("by")),
        sustain=None if foreign_sustain or sustain is None else msgspec.convert(sustain, WireSustain),
        sustain_foreign=msgspec.convert(sustain, Foreign) if foreign_sustain else None,
    )


def _note(place: _Place, record: WireGoal, value: Json) -> WireGoal:
    members = place.there.notes.get(place.goal, ())
    key = place.unit.member
    element = place.refs.element("note", key)
    kept = _with_member(
        record.notes, members, key, lambda old: wire_note(value, old, element, place.refs), value is None
    )
    return replace(record, notes=kept)


def _client_words(place: _Place, record: WireGoal, value: Json) -> WireGoal:
    members = place.there.notes.get(place.goal, ())
    element = place.refs.element("words", place.goal)
    note = None if value is None else {"kind": "client-words", "text": value}
    kept = _with_member(
        record.notes, members, "client_words", lambda old: wire_note(note, old, element, place.refs), note is None
    )
    return replace(record, notes=kept)


def wire_note(value: Json, old: WireNote | None, element: str, refs: Refs) -> WireNote:
    """Return a note for the wire; one born at the EHR keeps its own id and gets no kind of ours."""
    author = refs.person(value.get("author"))
    time: OptionalDate = msgspec.convert(value.get("date"), OptionalDate)
    kind = msgspec.convert(value.get("kind"), str | None)
    if author is None and old is not None and value.get("author_text") == old.author_reference:
        author = old.author_reference  # somebody whom we do not know: the reference stays
    return WireNote(
        id=old.id if old else element,
        kind=(old.kind if old.kind is None or kind == "progress" else kind) if old else kind,  # type: ignore[arg-type]
        author_reference=author,
        author_text=None if author else value.get("author_text"),
        time=time,
        text=value.get("text"),
    )


def _with_member(
    present: tuple[T, ...], members: Sequence[str], key: str, new: Callable[[T | None], T], gone: bool
) -> tuple[T, ...]:
    """Return the list with one member replaced in its place, added at the end, or taken out."""
    if key not in members:
        return present if gone else (*present, new(None))
    index = members.index(key)
    return (*present[:index], *(() if gone else (new(present[index]),)), *present[index + 1 :])


def _relations(goal: str, record: WireGoal, unit: Unit, value: Json, refs: Refs) -> WireGoal:
    if unit.name.startswith("parent_map:"):
        child, parents = unit.member, value or []
        if goal == child:  # the child's own end of an edge that is no longer wanted
            keep = {refs.goals.get(parent) for parent in parents}
            return _without(record, ("part_of", "part-of"), lambda target: refs.relative(target) not in keep, refs)
        return _with_relation(record, "milestone", refs.goals.get(child), goal in parents, refs)
    start, kind, end = unit.member.split("|")
    if goal == start:
        return _with_relation(record, kind, refs.goals.get(end), bool(value), refs)
    if goal == end and kind == "predecessor" and not value:
        return _with_relation(record, "successor", refs.goals.get(start), False, refs)
    return record


def _with_relation(record: WireGoal, kind: str, target: str | None, wanted: bool, refs: Refs) -> WireGoal:
    if target is None:
        return record
    there = any(one.type == kind and refs.relative(one.target) == target for one in record.relations)
    if wanted:
        if there:
            return record
        return replace(record, relations=(*record.relations, WireRelation(type=kind, target=target)))
    return _without(record, (kind,), lambda one: refs.relative(one) == target, refs) if there else record


def _without(record: WireGoal, kinds: Sequence[str], found: Callable[[str], bool], refs: Refs) -> WireGoal:
    kept = tuple(
        one for one in record.relations if not (one.type in kinds and refs.goal(one.target) and found(one.target))
    )
    return record if len(kept) == len(record.relations) else replace(record, relations=kept)


_GOAL: Mapping[str, Callable[[_Place, WireGoal, Json], WireGoal]] = {
    "text": _field("text"),
    "client_words": _client_words,
    "axes": _composite("horizon", "nature"),
    "category": _field("domain"),
    "priority": _field("priority"),
    "status": _composite("lifecycle", "achievement", "closure_reason", "status_date", "status_reason"),
    "start_date": _field("start_date"),
    "target_date": _target_date,
    "completion_criterion": _field("completion_criterion"),
    "expressed_by": _expressed_by,
    "labels": _labels,
    "addresses": _addresses,
    "acceptance": _acceptance,
    "target": _target,
    "note": _note,
}
