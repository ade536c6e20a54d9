"""What is wrong with a Goal or CarePlan in R4 or R4B: shape, required codes, reference types, invariants.

Our own gate: the R4B models of fhir.resources pass wrong codes, gol-1, cpl-3 and wrong reference targets (measured),
so they only add what they alone see. Never raises, whatever the tree holds; reading goes on with the faults listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fhirgoals.fhir import datatypes, invariants, models
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.issues import Issue, error, safe_property, warning
from fhirgoals.fhir.primitives import CHECKS, MAX_ID
from fhirgoals.fhir.references import contained_types, pointed
from fhirgoals.fhir.shapes import (
    ALIASES,
    OPAQUE,
    PRIMITIVES,
    PROPERTIES,
    R5_ONLY,
    SHAPES,
    VALUE_SETS,
    Element,
)

TYPES: frozenset[str] = frozenset({"Goal", "CarePlan"})
"""The resource types that are judged here."""


def issues(resource: Resource, *, container: Resource | None = None) -> tuple[Issue, ...]:
    """Return every fault found in a Goal or CarePlan, in the order of the elements.

    `container` is the resource that holds this one in `contained`: its siblings are what `#id` names.
    A resource of another type has the one issue SHAPE-TYPE.
    """
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or kind not in TYPES:
        return (error("SHAPE-TYPE", "resourceType", "is not Goal or CarePlan: only these two are judged here"),)
    outer = resource if container is None else container
    outer_kind = outer.get("resourceType")
    scope = _Scope(contained_types(outer), outer_kind if isinstance(outer_kind, str) else kind)
    own = [
        *_walk(resource, kind, kind, scope),
        *invariants.of_resource(resource, kind, contained=container is not None),
    ]
    return (*own, *(found for found in models.issues(resource, kind) if not _same_branch(found, own)))


@dataclass(frozen=True)
class _Scope:
    """What references inside one resource may name by `#`."""

    contained: Mapping[str, str]
    container: str


def _same_branch(found: Issue, own: list[Issue]) -> bool:
    """Tell whether our own rules already speak of the element of an issue, of its parent or of a part of it."""
    # The models keep the `_` of a primitive's extensions, which is no part of a FHIR path.
    there = found.path.replace("._", ".")
    return any(
        issue.severity == "error"
        and (
            _within(issue.path.replace("._", "."), there)
            or _within(there, issue.path.replace("._", "."))
            # The models tell a double choice at the parent.
            or (issue.path.endswith("[x]") and issue.path.rpartition(".")[0] == there)
        )
        for issue in own
    )


def _within(path: str, branch: str) -> bool:
    return path == branch or (path.startswith(branch) and "." in branch and path[len(branch)] in ".[")


def _walk(node: Tree, kind: str, path: str, scope: _Scope) -> Iterator[Issue]:
    """Yield the faults of one object of type `kind` and of everything in it."""
    if not isinstance(node, dict):
        yield error("SHAPE-TYPE", path, "must be a JSON object")
        return
    if not node.keys() - {"resourceType", "id"}:
        yield error("ele-1", path, "must hold something: leave an empty element out")
    yield from _unknown(node, kind, path)
    for element in SHAPES[kind]:
        yield from _element(node, element, path, scope)
    if check := datatypes.CHECKS.get(kind):
        yield from check(node, path)


def _unknown(node: Mapping[str, Tree], kind: str, path: str) -> Iterator[Issue]:
    places = PROPERTIES[kind]
    for name in node:
        place = places.get(name.removeprefix("_"))
        if place is None:
            if name == "resourceType" and kind in TYPES:
                continue
            rule = R5_ONLY.get(kind, {}).get(name, "SHAPE-UNKNOWN")
            yield error(rule, f"{path}.{safe_property(name)}", f"is no property of {kind} in R4")
        elif name.startswith("_") and place.kind not in PRIMITIVES:
            yield error("SHAPE-UNKNOWN", f"{path}.{safe_property(name)}", "only a primitive has a property with `_`")


def _element(node: Mapping[str, Tree], element: Element, path: str, scope: _Scope) -> Iterator[Issue]:
    here = f"{path}.{element.label}"
    present = [
        (name, kind)
        for name, kind in element.properties.items()
        if name in node or (kind in PRIMITIVES and f"_{name}" in node)
    ]
    if not present and element.required:
        yield error(element.rule or "SHAPE-REQUIRED", here, "is required")
    if len(present) > 1:
        yield error(element.rule or "SHAPE-CHOICE", here, "may stand only once: of a choice one property at most")
    for name, kind in present:
        place = f"{path}.{name}"
        if kind in PRIMITIVES:
            yield from _primitives(node, name, element, place, scope)
        elif not element.many:
            yield from _value(node[name], kind, element, place, scope)
        else:
            for index, value in _members(node[name]):
                if index is None:
                    yield error("SHAPE-TYPE", place, "must be a list with at least one member")
                else:
                    yield from _value(value, kind, element, f"{place}[{index}]", scope)


def _members(value: Tree) -> Iterator[tuple[int | None, Tree]]:
    """Yield the members of a list with their indexes, or one (None, value) where there is no list to walk."""
    if isinstance(value, list) and value:
        yield from enumerate(value)
    else:
        yield None, value


def _value(value: Tree, kind: str, element: Element, path: str, scope: _Scope) -> Iterator[Issue]:
    kind = ALIASES.get(kind, kind)
    if kind == "Resource":
        yield from _contained(value, path)
    elif kind in OPAQUE:
        if not isinstance(value, dict) or not value:
            yield error("SHAPE-TYPE", path, "must be a JSON object that is not empty")
    else:
        yield from _walk(value, kind, path, scope)
        if kind == "Reference" and isinstance(value, dict):
            yield from _reference(value, element, path, scope)


def _contained(value: Tree, path: str) -> Iterator[Issue]:
    """Yield the faults of a contained resource as a part of this one; a contained Goal is judged by itself."""
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        yield error("SHAPE-TYPE", path, "must be a resource with a resourceType")
        return
    if not isinstance(value.get("id"), str):
        yield error("SHAPE-REQUIRED", f"{path}.id", "is required: else nothing can refer to a contained resource")
    if "contained" in value:
        yield error("dom-2", f"{path}.contained", "a contained resource may contain none itself")


def _primitives(node: Mapping[str, Tree], name: str, element: Element, path: str, scope: _Scope) -> Iterator[Issue]:
    kind = element.properties[name]
    beside = node.get(f"_{name}")
    if not element.many:
        if f"_{name}" in node:
            yield from _walk(beside, "Element", path, scope)
        if name in node:
            yield from _primitive(node[name], kind, element, path)
        elif element.value_set:
            # An extension in place of a code from a required list says why, but the code is still missing.
            yield error(element.rule or "SHAPE-CODE", path, "has no code, only an extension in place of it")
        return
    values = node.get(name)
    if name in node and (not isinstance(values, list) or not values):
        yield error("SHAPE-TYPE", path, "must be a list with at least one member")
        return
    extras = beside if isinstance(beside, list) else []
    for index, value in enumerate(values if isinstance(values, list) else []):
        # A null is the place of a member that has only extensions.
        if value is not None or index >= len(extras) or extras[index] is None:
            yield from _primitive(value, kind, element, f"{path}[{index}]")
    for index, extra in enumerate(extras):
        if extra is not None:
            yield from _walk(extra, "Element", f"{path}[{index}]", scope)


def _primitive(value: Tree, kind: str, element: Element, path: str) -> Iterator[Issue]:
    if not CHECKS[kind](value):
        # A statusDate with a time is no longer a date: the rule of the element names that.
        yield error(element.rule or "SHAPE-PRIMITIVE", path, f"is not a valid {kind}")
    elif element.value_set and value not in VALUE_SETS[element.value_set]:
        yield error(element.rule or "SHAPE-CODE", path, f"is not a code of the required value set {element.value_set}")
    elif kind == "id" and isinstance(value, str) and len(value) > MAX_ID:
        yield warning("SHAPE-ID-LENGTH", path, f"is longer than the {MAX_ID} characters that FHIR allows")


def _reference(value: Mapping[str, Tree], element: Element, path: str, scope: _Scope) -> Iterator[Issue]:
    at = pointed(value, scope.contained, scope.container)
    if at.form == "malformed":
        yield error("SHAPE-REFERENCE", f"{path}.reference", "is neither Type/id, an absolute URL, a urn nor #id")
    elif at.form == "contained" and at.type is None:
        yield error("ref-1", f"{path}.reference", "names a contained resource that is not there")
    elif at.type is not None and element.targets and at.type not in element.targets:
        allowed = ", ".join(sorted(element.targets))
        yield error(element.rule or "SHAPE-REFERENCE", path, f"points to a type that is not allowed here: {allowed}")
    elif at.type is not None and at.declared is not None and at.declared != at.type:
        yield error("SHAPE-REFERENCE", f"{path}.type", "is another type than the reference itself names")
