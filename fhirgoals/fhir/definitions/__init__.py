"""The published definitions of what is ours on the wire: extensions, code systems, value sets (FHIR R4).

Built from `terminology` by `python -m fhirgoals.fhir.definitions`, which rewrites the JSON files beside this module;
a test holds the files and the tables together. Differentials only: a validator makes the snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Literal

from fhirgoals.fhir import exact_json
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource, Tree

VERSION = "0.1.0"
"""Version of every definition; raised whenever one of them changes its meaning."""


@dataclass(frozen=True)
class ExtensionRow:
    """One extension of ours: where it may stand, what it holds, and what that means.

    `kind` is the type of its value, `parts` the (url, type, required) of the parts of one that has no value itself.
    """

    slug: str
    context: str
    description: str
    kind: str = ""
    codes: t.CodeTable | None = None
    parts: tuple[tuple[str, str, bool], ...] = ()


EXTENSIONS: tuple[ExtensionRow, ...] = (
    ExtensionRow(
        "closure-reason",
        "Goal",
        "Why the goal was closed, as a code; Goal.statusReason holds only what a person wrote.",
        "code",
        t.CLOSURE_REASON,
    ),
    ExtensionRow(
        "completion-criterion",
        "Goal",
        "In words, how both sides will know that an exploratory goal, which has no number, is done.",
        "string",
    ),
    ExtensionRow(
        "target-sustain",
        "Goal.target",
        "For how many readings in a row, and over what time, the target has to be met.",
        parts=tuple((part, "integer", part == "count") for part in t.SUSTAIN_PARTS.values()),
    ),
    ExtensionRow("note-kind", "Goal.note", "What kind of note this is.", "code", t.NOTE_KIND),
    ExtensionRow("step-id", "CarePlan.activity", "The lasting key of the step or intervention.", "string"),
    ExtensionRow(
        "activity-role",
        "CarePlan.activity",
        "Whether the activity is a step that someone does or an intervention of the therapist.",
        "code",
        t.ACTIVITY_ROLE,
    ),
    ExtensionRow("step-owner", "CarePlan.activity.detail", "Who does the step, as a role.", "code", t.STEP_OWNER),
    ExtensionRow(
        "step-scheduled",
        "CarePlan.activity.detail",
        "The day the step is planned for, where scheduledString already holds how often it is done.",
        "date",
    ),
    ExtensionRow("step-done-on", "CarePlan.activity.detail", "The day the step was done.", "date"),
)

CODE_SYSTEMS: tuple[tuple[t.CodeTable, str], ...] = (
    (t.GOAL_TIER, "The level of a goal in the hierarchy."),
    (t.GOAL_NATURE, "What kind of goal it is: a broad aim, something to find out, or something to do."),
    (t.STEP_KIND, "What kind of thing is done in a step towards a goal."),
    (t.STEP_OWNER, "Who does a step, as a role."),
    (t.MODALITY, "The kind of therapy of an intervention."),
    (t.NOTE_KIND, "Kinds of notes on a goal."),
    (t.ACTIVITY_ROLE, "What an activity of a care plan is to its goals."),
    (t.CLOSURE_REASON, "Why a goal was closed."),
)

_ABOUT_MEASURES = "Measures that have no code elsewhere. A practice adds codes of its own, so this list is a fragment."


def build(local_measures: Mapping[str, str] = MappingProxyType({})) -> dict[str, Resource]:
    """Return every definition by its file name.

    `local_measures` are the measure codes that an installation adds, with their words: a validator warns of a local
    code that its CodeSystem lacks, so who hands definitions to one adds its own.
    """
    built = [_extension(row) for row in EXTENSIONS]
    built += [_code_system(table.system, table.displays, about, "complete") for table, about in CODE_SYSTEMS]
    measures = {**t.MEASURES, **local_measures}
    built.append(_code_system(t.MEASURE_SYSTEM, measures, _ABOUT_MEASURES, "fragment"))
    built += [_value_set(row.codes) for row in EXTENSIONS if row.codes is not None]
    return {f"{definition['resourceType']}-{definition['id']}.json": definition for definition in built}


def load() -> dict[str, Resource]:
    """Return the definitions that this package ships, by file name."""
    found: dict[str, Resource] = {}
    for file in sorted(resources.files(__name__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            tree = exact_json.loads(file.read_bytes())
            if isinstance(tree, dict):
                found[file.name] = tree
    return found


def _slug(url: str) -> str:
    return url.rpartition("/")[2]


def _head(kind: str, url: str, description: str) -> Resource:
    slug = _slug(url)
    words = slug.split("-")
    return {
        "resourceType": kind,
        "id": slug,
        "url": url,
        "version": VERSION,
        "name": "".join(word.capitalize() for word in words),
        "title": " ".join(words).capitalize(),
        "status": "active",
        "experimental": False,
        "publisher": "fhirgoals",
        "description": description,
    }


def _extension(row: ExtensionRow) -> Resource:
    url = t.ext(row.slug)
    elements: list[Tree] = [
        {"id": "Extension", "path": "Extension", "short": row.description, "definition": row.description, "max": "1"}
    ]
    for part, kind, required in row.parts:
        elements += _part(part, kind, required=required)
    if not row.parts:
        elements.append({"id": "Extension.extension", "path": "Extension.extension", "max": "0"})
    elements.append({"id": "Extension.url", "path": "Extension.url", "fixedUri": url})
    elements.append(_value("Extension", row.kind, row.codes))
    return {
        **_head("StructureDefinition", url, row.description),
        "fhirVersion": "4.0.1",
        "kind": "complex-type",
        "abstract": False,
        "context": [{"type": "element", "expression": row.context}],
        "type": "Extension",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
        "derivation": "constraint",
        "differential": {"element": elements},
    }


def _part(part: str, kind: str, *, required: bool) -> list[Tree]:
    inner = f"Extension.extension:{part}"
    path = "Extension.extension"
    return [
        {"id": inner, "path": path, "sliceName": part, "min": int(required), "max": "1"},
        {"id": f"{inner}.extension", "path": f"{path}.extension", "max": "0"},
        {"id": f"{inner}.url", "path": f"{path}.url", "fixedUri": part},
        {**_value(inner, kind, None), "path": f"{path}.value[x]"},
    ]


def _value(inside: str, kind: str, codes: t.CodeTable | None) -> dict[str, Tree]:
    value: dict[str, Tree] = {"id": f"{inside}.value[x]", "path": f"{inside}.value[x]"}
    if not kind:
        return {**value, "max": "0"}
    value |= {"min": 1, "type": [{"code": kind}]}
    if codes is not None:
        value["binding"] = {"strength": "required", "valueSet": value_set(codes)}
    return value


def value_set(codes: t.CodeTable) -> str:
    """Return the URL of the value set of all codes of one of our code systems."""
    return f"{t.CANONICAL_BASE}/ValueSet/{_slug(codes.system)}"


Content = Literal["complete", "fragment"]


def _code_system(url: str, displays: Mapping[str, str], description: str, content: Content) -> Resource:
    concepts: list[Tree] = [{"code": code, "display": display} for code, display in displays.items()]
    return {
        **_head("CodeSystem", url, description),
        "caseSensitive": True,
        "content": content,
        "count": len(concepts),
        "concept": concepts,
    }


def _value_set(codes: t.CodeTable) -> Resource:
    url = value_set(codes)
    about = f"All codes of the code system {_slug(url)}."
    return {**_head("ValueSet", url, about), "compose": {"include": [{"system": codes.system}]}}
