"""The table between a Goal (R4 and R4B, which are identical) and a `WireGoal`.

Sources: FHIR R4 4.0.1 Goal; HL7 extensions goal-relationship and goal-acceptance; `fields.csv`, whose R4 paths and
merge units stand in the rows. Whom a reference means and what follows from a value is decided elsewhere.
"""

from __future__ import annotations

from typing import TypeAlias

from fhirgoals.domain.records import Foreign
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers import keyed
from fhirgoals.mappers.lens import Lens, Mapper, row
from fhirgoals.mappers.records import WireAcceptance, WireGoal, WireNote, WireRelation
from fhirgoals.mappers.resource import LABELS, blocked, references
from fhirgoals.mappers.shapes import (
    DAY,
    MOMENT,
    REFERENCE,
    TEXT,
    category,
    code,
    codings,
    concept,
    day_or_other,
    extension,
    foreign,
    kept,
    leaf,
    objects,
    reference_of,
    string,
    text_of,
    wrapped,
)
from fhirgoals.mappers.target import DUE, DUE_DATE, TARGETS

__all__ = ["DUE", "GOAL", "blocked"]


# --- Notes ---------------------------------------------------------------------------------------------------------

_Author: TypeAlias = tuple[str | None, str | None]


def _read_author(tree: Resource) -> _Author:
    """Return reference and words; the words of a reference that names nobody are its display."""
    found = tree.get("authorReference")
    reference, words = reference_of(found), text_of(tree.get("authorString"))
    if reference is None and words is None and isinstance(found, dict):
        words = text_of(found.get("display"))
    return reference, words


def _write_author(tree: Resource, value: _Author) -> None:
    reference, words = value
    if _read_author(tree)[0] != reference:
        tree.pop("authorReference", None)
        if reference is not None:
            tree["authorReference"] = {"reference": reference}
    if _read_author(tree)[1] != words:
        if reference is None:
            tree.pop("authorReference", None)
        tree.pop("authorString", None)
        if words is not None:
            tree["authorString"] = words


NOTE: Mapper[WireNote] = Mapper(
    WireNote,
    (
        row("id", string("id")),
        row("kind", extension(t.NOTE_KIND_EXT, "valueCode", code(t.NOTE_KIND))),
        row("author", Lens(_read_author, _write_author), parts=("author_reference", "author_text")),
        row("time", leaf("time", MOMENT)),
        row("text", leaf("text", TEXT)),
    ),
)


def _signed(note: WireNote) -> tuple[object, ...] | None:
    key = (note.author_reference, note.author_text, note.time)
    return None if key == (None, None, None) else key


_NOTES = keyed.records(
    NOTE,
    lambda element: True,
    lambda note: {} if note.id is None else {"id": note.id},
    (lambda note: note.id, _signed, lambda note: note.text),
    by_position=True,
)


# --- Relations -----------------------------------------------------------------------------------------------------


def _parts(element: Resource, url: str) -> list[Resource]:
    return [part for part in objects(element, "extension") if part.get("url") == url]


def _relation_type(tree: Tree) -> str | None:
    """Return the wire code of a relation's type, under either system; `other` with the text "part of" is `part-of`."""
    known = {
        c["code"]
        for c in codings(tree)
        if t.RELATION.read(c.get("system"), c.get("code")) or t.RELATION_PACK.read(c.get("system"), c.get("code"))
    }
    found = known.pop() if len(known) == 1 else None
    words = text_of(tree.get("text")) if isinstance(tree, dict) else None
    if found == t.RELATION.wire["other"] and words is not None and words.strip().lower() == "part of":
        return t.RELATION_PACK.wire["part_of"]
    return text_of(found)


def _read_relation(element: Resource) -> WireRelation | None:
    """Return a relation that has one type and one target; an incomplete one is none."""
    if element.get("url") != t.GOAL_RELATIONSHIP:
        return None
    types, targets = _parts(element, "type"), _parts(element, "target")
    if len(types) != 1 or len(targets) != 1:
        return None
    concept_of, target = types[0].get("valueCodeableConcept"), reference_of(targets[0].get("valueReference"))
    if not isinstance(concept_of, dict) or target is None:
        return None
    return WireRelation(type=_relation_type(concept_of) or foreign(concept_of), target=target)


def _fresh_relation(relation: WireRelation) -> Resource:
    said: Tree
    if isinstance(relation.type, Foreign):
        said = kept(relation.type)
    else:
        table = t.RELATION_PACK if relation.type in t.RELATION_PACK.internal else t.RELATION
        ours = table.internal.get(relation.type, relation.type)
        said = concept(table).encode(ours)
    return {
        "extension": [
            {"url": "type", "valueCodeableConcept": said},
            {"url": "target", "valueReference": {"reference": relation.target}},
        ],
        "url": t.GOAL_RELATIONSHIP,
    }


# --- Acceptance ----------------------------------------------------------------------------------------------------


def _read_individual(element: Resource) -> str | None:
    found = _parts(element, "individual")
    return reference_of(found[0].get("valueReference")) if len(found) == 1 else None


def _write_individual(element: Resource, individual: str | None) -> None:
    raise AssertionError("another individual is another line")


def _fresh_acceptance(line: WireAcceptance) -> Resource:
    individual: Resource = {"url": "individual", "valueReference": {"reference": line.individual}}
    return {"extension": [individual], "url": t.GOAL_ACCEPTANCE}


ACCEPTANCE: Mapper[WireAcceptance] = Mapper(
    WireAcceptance,
    (
        row("individual", Lens(_read_individual, _write_individual)),
        row("status", extension("status", "valueCode", code(t.ACCEPTANCE_STATUS))),
        row("priority", extension("priority", "valueCodeableConcept", concept(t.PRIORITY))),
    ),
)

_ACCEPTANCE = keyed.records(
    ACCEPTANCE,
    lambda element: element.get("url") == t.GOAL_ACCEPTANCE and _read_individual(element) is not None,
    _fresh_acceptance,
    (lambda line: line.individual,),
)


# --- The table -----------------------------------------------------------------------------------------------------

GOAL: Mapper[WireGoal] = Mapper(
    WireGoal,
    (
        row("labels", LABELS, "Goal.meta.security", "labels"),
        row(
            "closure_reason",
            extension(t.CLOSURE_REASON_EXT, "valueCode", code(t.CLOSURE_REASON)),
            "Goal.Ext:closure-reason",
            "status",
        ),
        row(
            "completion_criterion",
            extension(t.COMPLETION_CRITERION_EXT, "valueString", TEXT),
            "Goal.Ext:completion-criterion",
            "completion_criterion",
        ),
        row(
            "relations",
            keyed.keyed_list("extension", keyed.whole(_read_relation, _fresh_relation)),
            "Goal.hl7:goal-relationship",
            "parent_map; relations",
        ),
        row(
            "acceptance",
            keyed.keyed_list("extension", _ACCEPTANCE),
            "Goal.hl7:goal-acceptance; Goal.hl7:goal-acceptance.individual; Goal.hl7:goal-acceptance.status; "
            "Goal.hl7:goal-acceptance.priority",
            "acceptance:<participant>",
        ),
        row("lifecycle", leaf("lifecycleStatus", code(t.LIFECYCLE)), "Goal.lifecycleStatus", "status"),
        row("achievement", leaf("achievementStatus", concept(t.ACHIEVEMENT)), "Goal.achievementStatus", "status"),
        row("horizon", category(t.GOAL_TIER), "Goal.category", "axes"),
        row("nature", category(t.GOAL_NATURE), "Goal.category", "axes"),
        row("domain", category(t.GOAL_DOMAIN), "Goal.category", "category"),
        row("priority", leaf("priority", concept(t.PRIORITY)), "Goal.priority", "priority"),
        row("text", wrapped("description", leaf("text", TEXT)), "Goal.description.text", "text"),
        row("start_date", day_or_other("startDate", "startCodeableConcept"), "Goal.startDate", "start_date"),
        row("target_date", DUE_DATE, "Goal.target.dueDate", "target_date"),
        row(
            "targets",
            TARGETS,
            "Goal.target; Goal.target.measure; Goal.target.measure.text; Goal.target.measure.coding; "
            "Goal.target.detailQuantity.comparator; Goal.target.detailQuantity.value; Goal.target.detailQuantity.code; "
            "Goal.target.detailRange; Goal.target.detailRange.low.code; Goal.target.detailRange.high.code; "
            "Goal.target.dueDate; Goal.target.Ext:target-sustain; Goal.target.Ext:target-sustain.count; "
            "Goal.target.Ext:target-sustain.span-days; Goal.target.Ext:target-sustain.apart-days",
            "targets; target:<id>",
        ),
        row("status_date", leaf("statusDate", DAY), "Goal.statusDate", "status"),
        row("status_reason", leaf("statusReason", TEXT), "Goal.statusReason", "status"),
        row("expressed_by", leaf("expressedBy", REFERENCE), "Goal.expressedBy", "expressed_by"),
        row("addresses", references("addresses"), "Goal.addresses", "addresses"),
        row(
            "notes",
            keyed.keyed_list("note", _NOTES),
            "Goal.note; Goal.note.text; Goal.note.time; Goal.note.authorReference; Goal.note.authorString",
            "note:<id>; client_words",
        ),
    ),
)
"""Goal, R4."""
