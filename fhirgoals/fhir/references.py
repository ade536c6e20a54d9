"""To which type a Reference points, read from the reference itself; nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fhirgoals.fhir.exact_json import Resource, Tree

Form: TypeAlias = Literal["contained", "urn", "literal", "conditional", "absolute", "logical", "malformed"]

_LITERAL = re.compile(
    r"(?:https?://[^\s?#]+/)?(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9\-.]+)(?:/_history/[A-Za-z0-9\-.]+)?"
)
_CONDITIONAL = re.compile(r"(?P<type>[A-Z][A-Za-z]{1,63})\?\S+")
_URN = re.compile(r"urn:(?:uuid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|oid:[0-2](?:\.\d+)+)")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s]+")
_TYPE_NAME = re.compile(r"[A-Z][A-Za-z]{1,63}")


@dataclass(frozen=True)
class Pointed:
    """What a Reference says about its target; `type` is None where it can't be told without fetching."""

    form: Form
    type: str | None
    declared: str | None = None


def contained_types(resource: Resource) -> dict[str, str]:
    """Return the types of a resource's contained resources by their ids."""
    found: dict[str, str] = {}
    contained = resource.get("contained")
    for inner in contained if isinstance(contained, list) else []:
        if isinstance(inner, dict):
            name, kind = inner.get("id"), inner.get("resourceType")
            if isinstance(name, str) and isinstance(kind, str):
                found[name] = kind
    return found


def pointed(reference: Mapping[str, Tree], contained: Mapping[str, str], container: str) -> Pointed:
    """Return where a Reference points.

    `contained` are the types of the resources that `#id` may name, `container` the type that `#` alone names.
    """
    declared = reference.get("type")
    declared = declared if isinstance(declared, str) and _TYPE_NAME.fullmatch(declared) else None
    target = reference.get("reference")
    if target is None:
        return Pointed("logical", declared, declared)
    if not isinstance(target, str):
        return Pointed("malformed", None, declared)
    if target == "#":
        return Pointed("contained", container, declared)
    if target.startswith("#"):
        return Pointed("contained", contained.get(target[1:]), declared)
    if _URN.fullmatch(target):
        return Pointed("urn", declared, declared)
    if match := _LITERAL.fullmatch(target):
        return Pointed("literal", match["type"], declared)
    if match := _CONDITIONAL.fullmatch(target):
        return Pointed("conditional", match["type"], declared)
    if _ABSOLUTE.fullmatch(target):
        return Pointed("absolute", declared, declared)
    return Pointed("malformed", None, declared)


def literal(reference: Tree) -> str | None:
    """Return the text of a literal reference without its version, or None where it is none."""
    target = reference.get("reference") if isinstance(reference, dict) else None
    return target.partition("/_history/")[0] if isinstance(target, str) else None
