"""Finds the merge units that can't be read because JSON of another type stands where a table reads.

Such a unit is held (design 4): a list that is no list must not look like a list from which everything was removed.
A wrong type that a lens itself keeps as `Foreign` is not told here again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers.lens import Mapper

_LISTS = frozenset(
    "category coding target note addresses extension security contributor goal activity performer".split(" ")
)
_STRINGS = frozenset(["authorString", "Goal.target.measure.text"])
_REFERENCES = frozenset(["addresses", "contributor", "goal", "performer", "authorReference", "expressedBy", "author"])
_BASES = {"Ext": t.EXTENSION_BASE, "hl7": t.HL7_EXTENSION_BASE}


def wrong_types(table: Mapper[Any], tree: Resource) -> Mapping[str, str]:
    """Return the units (as `fields.csv` names them) of which a place has another JSON type, each with that path."""
    found: dict[str, str] = {}
    for field in table.fields:
        for path in field.paths:
            fault = next(_faults(tree, path.split(".")[1:], path.split(".")[0]), None)
            if fault is not None:
                for unit in field.units:
                    found.setdefault(unit, fault)
    return found


def _faults(node: Resource, names: list[str], path: str) -> Iterator[str]:
    name, rest = names[0], names[1:]
    prefix, colon, slug = name.partition(":")
    key = "extension" if colon else name
    value = node.get(key)
    if value is None:
        return
    here = f"{path}.{key}"
    if key in _LISTS and not isinstance(value, list):
        yield here
        return
    elements = value if isinstance(value, list) else [value]
    for element in elements:
        if colon and not (isinstance(element, dict) and element.get("url") == _BASES[prefix] + slug):
            if not isinstance(element, dict):
                yield here
        elif (rest or key in _LISTS) and not isinstance(element, dict):
            yield here
        elif rest and isinstance(element, dict):
            yield from _faults(element, rest, here)
        elif _leaf_is_wrong(element, key, here):
            yield here


def _leaf_is_wrong(value: Tree, key: str, path: str) -> bool:
    if key in _STRINGS or path in _STRINGS:
        return not isinstance(value, str)
    if key in _REFERENCES and isinstance(value, dict):
        return not isinstance(value.get("reference", ""), str)
    return False
