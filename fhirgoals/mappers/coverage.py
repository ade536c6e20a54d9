"""Measures which elements of a resource reach our records: it changes each one and looks whether the reading changes.

For `map --check`. The paths are those of `fields.csv`; nothing here knows what a table reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from fhirgoals.domain.fields import FIELDS
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers.activity import is_ours_to_read
from fhirgoals.mappers.careplan import CAREPLAN
from fhirgoals.mappers.goal import GOAL
from fhirgoals.mappers.lens import Mapper, copy, exact
from fhirgoals.mappers.shapes import codings, reference_of

TABLES: dict[str, Mapper[Any]] = {"Goal": GOAL, "CarePlan": CAREPLAN}
"""The R4 table of each resource type."""

PATHS: dict[str, tuple[str, ...]] = {
    kind: tuple(
        dict.fromkeys(
            path
            for row in FIELDS
            if row.issue == "CORE"
            and row.sent in ("with_goal", "with_plan", "if_shared")
            and row.merge_unit not in (None, "derived", "identity")
            for path in row.r4_paths
            if path.startswith(f"{kind}.")
        )
    )
    for kind in TABLES
}
"""The paths that are measured: of the rows that are sent from CORE on and merged."""

_EXTENSION_BASES = {"Ext": t.EXTENSION_BASE, "hl7": t.HL7_EXTENSION_BASE, "pco": t.PCO_EXTENSION_BASE}


def coverage(resource: Resource) -> dict[str, bool]:
    """Return, for each path that occurs in a Goal or CarePlan, whether it is mapped.

    Mapped: wherever it occurs, changing that element alone changes what `from_fhir` returns. An element of which the
    table of fields says that it stays untouched (a category or label of another system, a reference without a
    `reference`, an activity that is neither step nor intervention) is no occurrence.
    """
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or kind not in TABLES:
        return {}
    table = TABLES[kind]
    before = exact(table.from_fhir(resource))
    found: dict[str, bool] = {}
    for path in PATHS[kind]:
        places = len(list(_places(resource, path)))
        if places:
            found[path] = all(_seen(table, resource, path, number, before) for number in range(places))
    return found


def _seen(table: Mapper[Any], resource: Resource, path: str, number: int, before: bytes) -> bool:
    tree = copy(resource)
    place = list(_places(tree, path))[number]
    place.holder[place.key] = _other(place.holder[place.key])
    return exact(table.from_fhir(tree)) != before


def _other(value: Tree) -> Tree:
    """Return a value of the same type in which everything is different."""
    match value:
        case bool():
            return not value
        case int():
            return 2 if value == 1 else 1
        case Decimal():  # no arithmetic: FHIR's decimals may be larger than any sum
            return Decimal(2) if value == 1 else Decimal(1)
        case str():
            return f"~{value}"
        case dict():
            return {key: child if key == "url" else _other(child) for key, child in value.items()}
        case list():
            return [_other(child) for child in value]
        case None:
            return "~"


class _Place(NamedTuple):
    """Where an element stands: the object or list that holds it, and its key or index there."""

    holder: Any  # raw JSON: an object or a list
    key: Any  # its key: a string, or an index


def _places(resource: Resource, path: str) -> Iterator[_Place]:
    kind, *names = path.split(".")
    owned = _OWNED.get(path, _always)
    for place in _walk(resource, names, in_extension=False, kind=kind):
        if owned(place.holder[place.key]):
            yield place


def _walk(node: Resource, names: list[str], *, in_extension: bool, kind: str) -> Iterator[_Place]:
    name, rest = names[0], names[1:]
    prefix, colon, slug = name.partition(":")
    if colon or in_extension:
        url = _EXTENSION_BASES[prefix] + slug if colon else name
        elements = node.get("extension")
        for index, element in enumerate(elements if isinstance(elements, list) else []):
            if isinstance(element, dict) and element.get("url") == url:
                if rest:
                    yield from _walk(element, rest, in_extension=True, kind=kind)
                else:
                    yield _Place(elements, index)
        return
    value = node.get(name)
    if value is None:
        return
    if not rest and not (kind == "CarePlan" and name == "activity"):
        yield _Place(node, name)
        return
    for index, child in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(child, dict) or (kind == "CarePlan" and name == "activity" and not is_ours_to_read(child)):
            continue
        if rest:
            yield from _walk(child, rest, in_extension=False, kind=kind)
        elif isinstance(value, list):
            yield _Place(value, index)


def _always(value: Tree) -> bool:
    return True


def _list_with(wanted: Callable[[Tree], bool]) -> Callable[[Tree], bool]:
    return lambda value: isinstance(value, list) and any(wanted(element) for element in value)


_CATEGORY_SYSTEMS = {system for table in (t.GOAL_TIER, t.GOAL_NATURE, t.GOAL_DOMAIN) for system in table.systems}
_LABELS = {(t.CONFIDENTIALITY, code) for code in t.CONFIDENTIALITY_ORDER} | {
    (t.ACT_CODE, code) for code in (*t.INBOUND_SENSITIVITIES, *t.PART_2_LABELS)
}


def _refers(value: Tree) -> bool:
    return reference_of(value) is not None


def _labels(value: Tree) -> bool:
    return isinstance(value, dict) and any((value.get("system"), value.get("code")) == label for label in _LABELS)


def _categorises(value: Tree) -> bool:
    return any(coding.get("system") == system for coding in codings(value) for system in _CATEGORY_SYSTEMS)


def _complete(*urls: str) -> Callable[[Tree], bool]:
    """Return whether a complex extension has each of these parts once; an incomplete one stays untouched."""

    def check(value: Tree) -> bool:
        parts = value.get("extension") if isinstance(value, dict) else None
        found = [part.get("url") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        return all(found.count(url) == 1 for url in urls)

    return check


_OWNED: dict[str, Callable[[Tree], bool]] = {
    "Goal.category": _list_with(_categorises),
    "Goal.hl7:goal-relationship": _complete("type", "target"),
    "Goal.hl7:goal-acceptance": _complete("individual"),
    "Goal.meta.security": _list_with(_labels),
    "CarePlan.meta.security": _list_with(_labels),
    "Goal.addresses": _list_with(_refers),
    "CarePlan.addresses": _list_with(_refers),
    "CarePlan.contributor": _list_with(_refers),
    "CarePlan.goal": _list_with(_refers),
    "CarePlan.activity.detail.goal": _list_with(_refers),
    "CarePlan.activity.detail.performer": _list_with(_refers),
}
"""Of a path whose row covers only some of what may stand there: whether what stands there is any of it."""
