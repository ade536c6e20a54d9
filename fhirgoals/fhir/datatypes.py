"""Rules inside one data type: Coding, Quantity, Range, Period, Narrative, Extension (FHIR R4 invariants)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.definitions import EXTENSIONS, ExtensionRow
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.fhir.issues import Issue, error, warning, without_indexes
from fhirgoals.fhir.references import pointed

Node = Mapping[str, Tree]

KNOWN_CODES: Mapping[str, tuple[frozenset[str], str]] = MappingProxyType(
    {
        t.ACHIEVEMENT.system: (frozenset(t.ACHIEVEMENT.internal), "R4-GOAL-11"),
        t.PRIORITY.system: (frozenset(t.PRIORITY.internal), "SHAPE-CODING"),
        t.RELATION.system: (frozenset(t.RELATION.internal), "SHAPE-CODING"),
        t.CAREPLAN_CATEGORY: (frozenset({t.ASSESS_PLAN}), "SHAPE-CODING"),
        **{
            table.system: (frozenset(table.internal), "SHAPE-CODING")
            for table in (t.GOAL_TIER, t.GOAL_NATURE, t.STEP_KIND, t.MODALITY)
        },
    }
)
"""Code systems of which we know every code, and the rule that an unknown one breaks."""

ACCEPTANCE_ACTORS = frozenset({"Patient", "Practitioner", "RelatedPerson"})

# The elements that narrative may use (invariant txt-1, hl7.org/fhir/R4/narrative.html).
_HTML_NAMES = (
    "a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i "
    "img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var"
)
_HTML = frozenset(_HTML_NAMES.split())
_TAG = re.compile(r"<\s*/?\s*([A-Za-z][\w:\-]*)([^>]*)>")
_HANDLER = re.compile(r"\son[a-z]+\s*=", re.IGNORECASE)
_ROOT = re.compile(r"<div\b[^>]*\bxmlns\s*=\s*[\"']http://www\.w3\.org/1999/xhtml[\"']")
_CROSS_VERSION = re.compile(r"http://hl7\.org/fhir/\d+\.\d+/StructureDefinition/extension-.*")
_OWN = {t.ext(row.slug): row for row in EXTENSIONS}
_PERTAINS = t.hl7_ext("resource-pertainsToGoal")


def _coding(node: Node, path: str) -> Iterator[Issue]:
    system, code = node.get("system"), node.get("code")
    if isinstance(system, str) and isinstance(code, str) and system in KNOWN_CODES:
        codes, rule = KNOWN_CODES[system]
        if code not in codes:
            yield warning(rule, f"{path}.code", "is no code of the code system beside it")


def _quantity(node: Node, path: str) -> Iterator[Issue]:
    if "code" in node and "system" not in node:
        yield error("qty-3", path, "has a unit code without the system of that code")


def _range(node: Node, path: str) -> Iterator[Issue]:
    ends = [end.get("value") if isinstance(end := node.get(name), dict) else None for name in ("low", "high")]
    low, high = (end if isinstance(end, int | Decimal) and not isinstance(end, bool) else None for end in ends)
    if low is not None and high is not None and low > high:
        yield error("rng-2", path, "has a low end above its high end")
    for name in ("low", "high"):
        end = node.get(name)
        if isinstance(end, dict) and "comparator" in end:
            yield error("sqty-1", f"{path}.{name}.comparator", "an end of a range has no comparator")


def _period(node: Node, path: str) -> Iterator[Issue]:
    start, end = node.get("start"), node.get("end")
    if isinstance(start, str) and isinstance(end, str):
        # Compared as far as both are known, to the day: zones apart, a longer text may not be the later time.
        width = min(len(start), len(end), 10)
        if start[:width] > end[:width]:
            yield error("per-1", path, "ends before it starts")


def _narrative(node: Node, path: str) -> Iterator[Issue]:
    div = node.get("div")
    if not isinstance(div, str):
        return
    place = f"{path}.div"
    if not _ROOT.match(div.lstrip()) or not div.rstrip().endswith(("</div>", "/>")):
        yield error("SHAPE-NARRATIVE", place, "must be one div of the XHTML namespace")
    if any(tag.lower() not in _HTML or _HANDLER.search(rest) for tag, rest in _TAG.findall(div)):
        yield error("txt-1", place, "has an element or attribute that narrative may not have")
    if "<img" not in div and not _TAG.sub("", div).strip():
        yield error("txt-2", place, "must say something")


def _extension(node: Node, path: str) -> Iterator[Issue]:
    values = [name for name in node if name.startswith("value")]
    if bool(values) == ("extension" in node):
        yield error("ext-1", path, "must have either a value or extensions")
    url = node.get("url")
    if not isinstance(url, str):
        return
    if url == t.GOAL_RELATIONSHIP:
        yield from _relationship(node, path)
    elif url == t.GOAL_ACCEPTANCE:
        yield from _acceptance(node, path)
    elif url in _OWN:
        yield from _own_extension(node, _OWN[url], path)
    elif url == _PERTAINS and path.count(".") > 1:
        yield error("EXT-04", path, "may stand on the root of a resource only")
    elif _CROSS_VERSION.fullmatch(url):
        yield error("CONV-07", path, "is an extension of another FHIR version, which validators refuse")


def _own_extension(node: Node, row: ExtensionRow, path: str) -> Iterator[Issue]:
    if without_indexes(path).rpartition(".")[0] != row.context:
        yield error("SHAPE-EXTENSION", path, f"may stand on {row.context} only")
    if row.parts:
        yield from _sustain(node, path)
        return
    expected = t.EXTENSION_VALUE[t.ext(row.slug)]
    values = [name for name in node if name.startswith("value")]
    if len(values) == 1 and values != [expected]:
        yield error("SHAPE-EXTENSION", path, f"must have {expected}")
    elif row.codes is not None and expected in node and not _is_code(node[expected], row.codes):
        yield error("SHAPE-EXTENSION", f"{path}.{expected}", "is no code of the list of this extension")


def parts(node: Node) -> dict[str, list[Node]]:
    """Return the extensions inside an extension by their url."""
    found: dict[str, list[Node]] = {}
    inner = node.get("extension")
    for part in inner if isinstance(inner, list) else []:
        url = part.get("url") if isinstance(part, dict) else None
        if isinstance(part, dict) and isinstance(url, str):
            found.setdefault(url, []).append(part)
    return found


def _relationship(node: Node, path: str) -> Iterator[Issue]:
    found = parts(node)
    for name, value in (("type", "valueCodeableConcept"), ("target", "valueReference")):
        if [value in part for part in found.get(name, [])] != [True]:
            yield error("EXT-01", path, f"must have {name} exactly once, with {value}")
    for part in found.get("target", []):
        reference = part.get("valueReference")
        if isinstance(reference, dict) and _outside(reference, frozenset({"Goal"})):
            yield error("EXT-01", path, "has a target that is no Goal")
    if found.keys() - {"type", "target"}:
        yield error("EXT-01", path, "has a part that is neither type nor target")


def _acceptance(node: Node, path: str) -> Iterator[Issue]:
    found = parts(node)
    if ["valueReference" in part for part in found.get("individual", [])] != [True]:
        yield error("EXT-02", path, "must have individual exactly once, with valueReference")
    for part in found.get("individual", []):
        reference = part.get("valueReference")
        if isinstance(reference, dict) and _outside(reference, ACCEPTANCE_ACTORS):
            yield error("EXT-02", path, f"has an individual that is none of {', '.join(sorted(ACCEPTANCE_ACTORS))}")
    for name in ("status", "priority"):
        if len(found.get(name, [])) > 1:
            yield error("EXT-02", path, f"has {name} more than once")
    if any(not _is_code(part.get("valueCode"), t.ACCEPTANCE_STATUS) for part in found.get("status", [])):
        yield error("EXT-02", path, "has a status other than agree, disagree or pending")
    if any("valueCodeableConcept" not in part for part in found.get("priority", [])):
        yield error("EXT-02", path, "must have its priority as valueCodeableConcept")
    if found.keys() - {"individual", "status", "priority"}:
        yield error("EXT-02", path, "has a part that is none of individual, status and priority")


def _sustain(node: Node, path: str) -> Iterator[Issue]:
    found = parts(node)
    if len(found.get("count", [])) != 1 or any(len(same) > 1 for same in found.values()):
        yield error("SHAPE-EXTENSION", path, "must have count once and every other part at most once")
    if any("valueInteger" not in part for same in found.values() for part in same):
        yield error("SHAPE-EXTENSION", path, "must have valueInteger in each part")
    if found.keys() - set(t.SUSTAIN_PARTS.values()):
        yield error("SHAPE-EXTENSION", path, "has a part that is none of count, span-days and apart-days")


def _is_code(value: Tree, table: t.CodeTable) -> bool:
    return isinstance(value, str) and value in table.internal


def _outside(reference: Node, allowed: frozenset[str]) -> bool:
    # What `#id` names is judged with the reference itself; here only what its text tells.
    kind = pointed(reference, {}, "").type
    return bool(kind) and kind not in allowed


CHECKS: Mapping[str, Callable[[Node, str], Iterator[Issue]]] = MappingProxyType(
    {
        "Coding": _coding,
        "Quantity": _quantity,
        "Range": _range,
        "Period": _period,
        "Narrative": _narrative,
        "Extension": _extension,
    }
)
"""For each data type with rules of its own, what yields its faults."""
