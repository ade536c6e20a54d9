"""What servers do to a resource before they store it: pure functions from tree to tree; no argument is changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from fhirgoals.fhir.exact_json import Resource, Tree

_CUT_PATHS = (("description", "text"), ("note", "text"), ("activity", "detail", "description"))

_NOTHING: tuple[Tree, ...] = ({}, [])

_RELATIVE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}(/_history/[A-Za-z0-9\-.]{1,64})?")

_Drops: TypeAlias = Callable[[str], bool]


def without_extensions(resource: Resource) -> Resource:
    """Return it without any `extension` and without what held nothing else, as FHIR allows no empty element."""
    return _pruned(resource, lambda key: key == "extension")


def without_element_ids(resource: Resource) -> Resource:
    """Return it without the ids of elements and without what held nothing else."""
    result: Resource = {}
    for key, value in resource.items():
        if key == "id":
            result[key] = value
        elif key == "contained" and isinstance(value, list):
            result[key] = [without_element_ids(each) if isinstance(each, dict) else each for each in value]
        elif not _vanishes(child := _without(value, lambda name: name == "id"), value):
            result[key] = child
    return result


def without(resource: Resource, path: str) -> Resource:
    """Return it without what stands at a path (see `Knobs`) and without what held nothing else."""
    steps = _steps(resource, path)
    return _without_path(resource, steps) if steps else resource


def has(resource: Resource, path: str) -> bool:
    """Tell whether something stands at a path (see `Knobs`)."""
    steps = _steps(resource, path)
    return bool(steps) and _leads_somewhere(resource, steps)


def with_texts_cut(resource: Resource, length: int) -> Resource:
    """Return it with the three texts that a server may cut up to so many characters."""
    for path in _CUT_PATHS:
        resource = _in(resource, lambda tree, path=path: _cut(tree, path, length))  # type: ignore[misc]
    return resource


def with_absolute_references(resource: Resource, base: str) -> Resource:
    """Return it with each `reference` to a resource of this server as a URL under `base`."""

    def absolute(tree: Tree) -> Tree:
        if isinstance(tree, list):
            return [absolute(each) for each in tree]
        if isinstance(tree, dict):
            return {
                key: f"{base}/{value}"
                if key == "reference" and isinstance(value, str) and _RELATIVE.fullmatch(value)
                else absolute(value)
                for key, value in tree.items()
            }
        return tree

    return _in(resource, absolute)


def with_short_decimals(resource: Resource) -> Resource:
    """Return it with each decimal as a program writes it that read it as a floating-point number: 3.00 becomes 3.0."""

    def short(tree: Tree) -> Tree:
        if isinstance(tree, list):
            return [short(each) for each in tree]
        if isinstance(tree, dict):
            return {key: short(value) for key, value in tree.items()}
        return _short(tree) if isinstance(tree, Decimal) else tree

    return _in(resource, short)


def with_own_narrative(resource: Resource) -> Resource:
    """Return it with a narrative that the server made of the resource's type."""
    kind = resource.get("resourceType")
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{kind if isinstance(kind, str) else "Resource"}</p></div>'
    return {**resource, "text": {"status": "generated", "div": div}}


def with_tags_of(resource: Resource, before: Resource) -> Resource:
    """Return it with the tags and security labels of the version before in front of its own."""
    meta, old = resource.get("meta"), before.get("meta")
    if not isinstance(old, dict):
        return resource
    merged = dict(meta) if isinstance(meta, dict) else {}
    for key in ("tag", "security"):
        kept, sent = old.get(key), merged.get(key)
        if isinstance(kept, list):
            merged[key] = [*kept, *(each for each in (sent if isinstance(sent, list) else []) if each not in kept)]
    return {**resource, "meta": merged}


def with_source(resource: Resource, source: str | None) -> Resource:
    """Return it with that `meta.source`, or without any."""
    meta = resource.get("meta")
    rest = {key: value for key, value in meta.items() if key != "source"} if isinstance(meta, dict) else {}
    if source is not None:
        rest["source"] = source
    if not rest:
        return {key: value for key, value in resource.items() if key != "meta"}
    return {**resource, "meta": rest}


def source_of(resource: Resource) -> str | None:
    """Return `meta.source`, `None` where there is none."""
    meta = resource.get("meta")
    source = meta.get("source") if isinstance(meta, dict) else None
    return source if isinstance(source, str) else None


def _in(resource: Resource, change: Callable[[Tree], Tree]) -> Resource:
    changed = change(resource)
    return changed if isinstance(changed, dict) else resource


def _vanishes(child: Tree, before: Tree) -> bool:
    return child in _NOTHING and before not in _NOTHING


def _pruned(resource: Resource, drops: _Drops) -> Resource:
    return _in(resource, lambda tree: _without(tree, drops))


def _without(tree: Tree, drops: _Drops) -> Tree:
    """Return the tree without the members whose key is dropped, and without what is empty then."""
    if isinstance(tree, list):
        children = [_without(each, drops) for each in tree]
        # In `_given: [null, {…}]` the places count, so an emptied entry stays as null.
        if any(each is None for each in tree):
            kept: list[Tree] = [None if each in _NOTHING else each for each in children]
            return kept if any(each is not None for each in kept) else []
        return [each for each, before in zip(children, tree, strict=True) if not _vanishes(each, before)]
    if isinstance(tree, dict):
        result: Resource = {}
        for key, value in tree.items():
            if not drops(key) and not _vanishes(child := _without(value, drops), value):
                result[key] = child
        return result
    return tree


def _steps(resource: Resource, path: str) -> list[str]:
    type_, *steps = path.split(".")
    return steps if type_ in ("*", resource.get("resourceType")) else []


def _without_path(resource: Resource, steps: list[str]) -> Resource:
    key, *further = steps
    result = dict(resource)
    if not further:
        result.pop(key, None)
        result.pop(f"_{key}", None)
        return result
    value = result.get(key)
    if isinstance(value, dict):
        child = _without_path(value, further)
        if child:
            result[key] = child
        else:
            del result[key]
    elif isinstance(value, list):
        children = [_without_path(each, further) if isinstance(each, dict) else each for each in value]
        result[key] = [each for each in children if each != {}]
        if not result[key]:
            del result[key]
    return result


def _leads_somewhere(tree: Tree, steps: list[str]) -> bool:
    if isinstance(tree, list):
        return any(_leads_somewhere(each, steps) for each in tree)
    if not steps:
        return True
    return isinstance(tree, dict) and steps[0] in tree and _leads_somewhere(tree[steps[0]], steps[1:])


def _cut(tree: Tree, path: tuple[str, ...], length: int) -> Tree:
    if isinstance(tree, list):
        return [_cut(each, path, length) for each in tree]
    if not path:
        return tree[:length] if isinstance(tree, str) else tree
    if isinstance(tree, dict) and path[0] in tree:
        return {key: _cut(value, path[1:], length) if key == path[0] else value for key, value in tree.items()}
    return tree


def _short(number: Decimal) -> Decimal:
    whole = number.to_integral_value()
    return whole.quantize(Decimal("0.0")) if number == whole else number.normalize()
