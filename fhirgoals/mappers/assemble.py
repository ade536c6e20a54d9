"""Puts together what stands at an EHR: wire records of one plan's Goals and CarePlan become merge units of that plan.

References and element ids are translated to our own ids (`Refs`). What names nobody and nothing that we know is left
out: it stays in its tree and is no unit. Members of keyed lists are aligned by a ladder: element id, then our
extension, then what was last seen of them (`known`), by their key and by their exact content; where two candidates
remain, the unit is held (design 4), never read as a removal and an addition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fhirgoals.domain.records import Foreign
from fhirgoals.domain.units import Json, Unit, Values, plain, value_text
from fhirgoals.fhir.terminology import SYSTEM_SHORT
from fhirgoals.mappers.assemble_plan import care_plan_units
from fhirgoals.mappers.assembly import Assembly, by_beginning, given, labels_of, minted
from fhirgoals.mappers.records import WireCarePlan, WireGoal, WireNote, WireTarget
from fhirgoals.mappers.refs import Refs

DUE = "due"
"""What the target that holds only the goal's own date is called, where a server dropped its id."""


@dataclass(frozen=True)
class Assembled:
    """What stands at the EHR of one plan.

    `values` are its merge units; `held` names units that can't be read, with the reason. The tuples beside the wire
    records say which of our members each target, note or activity is, in the order of the record.
    """

    values: Values = field(default_factory=dict)
    held: Mapping[Unit, str] = field(default_factory=dict)
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    activities: tuple[str, ...] = ()
    born_there: frozenset[Unit] = frozenset()


def assemble(
    plan_id: str,
    goals: Mapping[str, WireGoal],
    care_plan: WireCarePlan | None,
    refs: Refs,
    known: Values,
    ids: Mapping[str, frozenset[str]],
    taken_out: frozenset[Unit] = frozenset(),
) -> Assembled:
    """Return the merge units of what stands at the EHR.

    `goals` are the readable linked Goals by our id. `known` are the units last seen there (the bases' `theirs`), for
    members that carry no id. `ids` are the ids of our own members by kind: `note`, `target` (per goal as
    `goal|target`), `step`, `intervention`. `taken_out` are members that were just taken out there: one that is left is
    none of them unless it is the very same.
    """
    assembly = Assembly(refs, known, ids, taken_out)
    targets: dict[str, tuple[str, ...]] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for goal_id, record in goals.items():
        _goal_fields(assembly, goal_id, record)
        targets[goal_id] = _targets(assembly, goal_id, record.targets)
        notes[goal_id] = _notes(assembly, goal_id, record.notes)
        _relations(assembly, plan_id, goal_id, record)
    for child, parents in assembly.parents.items():
        assembly.put(plan_id, f"parent_map:{child}", sorted(parents))
    activities = care_plan_units(assembly, plan_id, care_plan) if care_plan is not None else ()
    return Assembled(assembly.values, assembly.held, targets, notes, activities, frozenset(assembly.born))


def _goal_fields(assembly: Assembly, goal: str, record: WireGoal) -> None:
    assembly.put_text(goal, "text", record.text)
    assembly.put(goal, "axes", given(horizon=record.horizon, nature=record.nature))
    assembly.put(goal, "category", plain(record.domain))
    assembly.put(goal, "priority", plain(record.priority))
    if isinstance(record.status_reason, Foreign):
        assembly.held[Unit(goal, "status")] = "wrong_type"
    status = given(
        lifecycle=record.lifecycle,
        achievement=record.achievement,
        closure_reason=record.closure_reason,
        status_date=record.status_date,
        status_reason=record.status_reason,
    )
    assembly.put(goal, "status", status)
    assembly.put(goal, "start_date", plain(record.start_date))
    assembly.put(goal, "target_date", plain(record.target_date))
    assembly.put_text(goal, "completion_criterion", record.completion_criterion)
    assembly.put(goal, "labels", labels_of((label.system, label.code) for label in record.labels))
    if isinstance(record.expressed_by, str):
        assembly.put(goal, "expressed_by", assembly.refs.participant(record.expressed_by))
    for reference in record.addresses:
        if problem := assembly.refs.problem(reference):
            assembly.put(goal, f"addresses:{problem}", True)
    for line in record.acceptance:
        if by := assembly.refs.participant(line.individual):
            unit = Unit(goal, f"acceptance:{by}")
            if unit in assembly.values:
                assembly.held[unit] = "two_candidates"
            assembly.put(goal, unit.name, given(status=line.status, priority=line.priority))


def _relations(assembly: Assembly, plan_id: str, goal: str, record: WireGoal) -> None:
    """Read the relations of one goal in the direction that each type has (conformance reference, finding 3)."""
    for relation in record.relations:
        other = assembly.refs.goal(relation.target)
        if other is None or isinstance(relation.type, Foreign):
            continue
        match relation.type:
            case "milestone":
                assembly.parents.setdefault(other, set()).add(goal)
            case "part_of" | "part-of":
                assembly.parents.setdefault(goal, set()).add(other)
            case "predecessor":
                assembly.put(plan_id, f"relations:{goal}|predecessor|{other}", True)
            case "successor":
                assembly.put(plan_id, f"relations:{other}|predecessor|{goal}", True)
            case "replacement":
                assembly.put(plan_id, f"relations:{goal}|replacement|{other}", True)
            case _:
                continue


def target_value(target: WireTarget) -> Json:
    """Return a target's unit value, in the terms of `domain.units.target_value`."""
    parts: dict[str, Json] = {}
    if target.measure is not None:
        coding = target.measure.coding
        parts = given(
            instrument=target.measure.text,
            code=coding and {"system": SYSTEM_SHORT.get(coding.system, coding.system), "code": coding.code},
            foreign=target.measure.foreign,
        )
    return parts | given(
        unit=target.unit,
        op=target.op,
        value=target.value,
        range=target.range,
        by=target.by,
        sustain=target.sustain if target.sustain is not None else target.sustain_foreign,
        detail=target.detail,
    )


def _targets(assembly: Assembly, goal: str, targets: Sequence[WireTarget]) -> tuple[str, ...]:
    ours = {assembly.refs.element("target", key): key.partition("|")[2] for key in assembly.ids["target"]}
    ours = {element: key for element, key in ours.items() if f"{goal}|{key}" in assembly.ids["target"]}
    values = [target_value(target) for target in targets]
    by_id = [ours.get(target.id or "") for target in targets]
    due = [index for index, value in enumerate(values) if value.keys() == {"by"} and by_id[index] is None]
    unit = Unit(goal, "target_date")
    if unit in assembly.known and unit not in assembly.values and len(due) == 1:
        by_id[due[0]] = DUE  # the element that held the goal's own date lost its id
    aligned = _align(
        assembly,
        goal,
        "target",
        values,
        by_id=by_id,
        mint=[minted("target", goal, target.id or value) for target, value in zip(targets, values, strict=True)],
        key=lambda value: [value.get("instrument"), value.get("code")],
    )
    moved = assembly.values.pop(Unit(goal, f"target:{DUE}"), None)
    if moved is not None:
        assembly.values[unit] = moved["by"]
    return aligned


def note_value(note: WireNote, refs: Refs) -> Json:
    """Return a note's unit value: its author as one of ours where the reference is linked, else in words."""
    author = refs.participant(note.author_reference) if note.author_reference else None
    words = note.author_text
    if author is None and words is None:
        words = note.author_reference
    kind = note.kind if isinstance(note.kind, str) else "progress"
    return given(kind=kind, date=note.time, author=author, author_text=None if author else words, text=note.text)


def _bare(note: WireNote) -> Json:
    """Return the text of a note that has neither author nor time, as the client's own words are sent."""
    signed = note.author_reference or note.author_text or note.time
    return object() if signed else note.text


def _notes(assembly: Assembly, goal: str, notes: Sequence[WireNote]) -> tuple[str, ...]:
    ours = {assembly.refs.element("note", note): note for note in assembly.ids["note"]}
    words = assembly.refs.element("words", goal)
    values = [note_value(note, assembly.refs) for note in notes]
    by_id: list[str | None] = []
    said = assembly.known.get(Unit(goal, "client_words"))
    for note in notes:
        is_words = note.kind == "client-words" or note.id == words or (note.kind is None and _bare(note) == said)
        by_id.append("client_words" if is_words else ours.get(note.id or ""))
    mint = [minted("note", goal, note.id or value) for note, value in zip(notes, values, strict=True)]
    aligned = _align(
        assembly, goal, "note", values, by_id, mint, key=lambda value: [value.get("author"), value.get("date")]
    )
    words_unit = Unit(goal, "note:client_words")
    if words_unit in assembly.values:
        assembly.put_text(goal, "client_words", assembly.values.pop(words_unit).get("text"))
    if words_unit in assembly.held:
        assembly.held[Unit(goal, "client_words")] = assembly.held.pop(words_unit)
    return aligned


def _align(
    assembly: Assembly,
    owner: str,
    kind: str,
    values: Sequence[Json],
    by_id: Sequence[str | None],
    mint: Sequence[str],
    key: Callable[[Json], Json],
) -> tuple[str, ...]:
    """Return our member id for each member there, and keep their values as units `kind:<id>`."""
    result: list[str | None] = list(by_id)
    seen = {
        unit.member: value
        for unit, value in assembly.known.items()
        if unit.owner == owner and unit.name.startswith(f"{kind}:")
    }
    # A member born there was minted from its id or content: an unchanged one finds itself again.
    for index, member in enumerate(mint):
        if result[index] is None and member in seen and member not in result:
            result[index] = member
    _match(result, values, seen, lambda value: value_text(_without_kind(value)), alike=True)
    _match_cut(result, values, seen, key)
    left = {
        member: value for member, value in seen.items() if Unit(owner, f"{kind}:{member}") not in assembly.taken_out
    }
    doubtful = _match(result, values, left, lambda value: value_text(key(value)), alike=False)
    for member in doubtful[0]:
        assembly.held[Unit(owner, f"{kind}:{member}")] = "two_candidates"
    taken: set[str] = set()
    for index, value in enumerate(values):
        member = result[index] or mint[index]
        while member in taken:  # twins with one content: each keeps a name of its own
            member = minted(kind, member, index)
        taken.add(member)
        result[index] = member
        unit = Unit(owner, f"{kind}:{member}")
        if by_id[index] is None and member not in seen:
            assembly.born.add(unit)
        if index in doubtful[1]:
            assembly.held[unit] = "two_candidates"
        assembly.put(owner, unit.name, value)
    return tuple(member for member in result if member is not None)


def _match_cut(
    result: list[str | None], values: Sequence[Json], seen: Mapping[str, Json], key: Callable[[Json], Json]
) -> None:
    """Give the members whose text was cut there: the key is the same, and the text is the beginning of theirs."""
    texts = [value.get("text") for value in values]
    whole = {member: value for member, value in seen.items() if value.get("text") not in texts}
    for index, value in enumerate(values):
        if result[index] is None:
            alike = {member: one.get("text") for member, one in whole.items() if key(one) == key(value)}
            result[index] = by_beginning(texts[index], alike, result)


def _without_kind(value: Json) -> Json:
    """Return a note's value without its kind, which is an extension of ours and may be dropped with the id."""
    return {name: part for name, part in value.items() if name != "kind"}


def _match(
    result: list[str | None],
    values: Sequence[Json],
    seen: Mapping[str, Json],
    mark: Callable[[Json], Json],
    *,
    alike: bool,
) -> tuple[set[str], set[int]]:
    """Give the members that were seen to those there that bear the same mark; return who and what stays in doubt.

    With `alike` the same mark means the same content: then any order will do. Else one of each is a match, and more
    on either side are two candidates: which is which is for a person to say.
    """
    members: dict[Json, list[str]] = {}
    for member, value in seen.items():
        if member not in result:
            members.setdefault(mark(value), []).append(member)
    places: dict[Json, list[int]] = {}
    for index, member_there in enumerate(result):
        if member_there is None:
            places.setdefault(mark(values[index]), []).append(index)
    doubtful: tuple[set[str], set[int]] = (set(), set())
    for content, candidates in members.items():
        there = places.get(content, [])
        if alike or len(candidates) == len(there) == 1:
            for member, index in zip(candidates, there, strict=False):
                result[index] = member
        elif there:
            doubtful[0].update(candidates)
            doubtful[1].update(there)
    return doubtful
