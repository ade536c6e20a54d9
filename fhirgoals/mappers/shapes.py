"""Small readers and writers for FHIR's common shapes: codes, concepts, dates, references, extensions.

Each is a `Lens`, so tables are put together from them. A JSON `null` counts as nothing. Where something stands that
is not of the expected shape, the lens reads `Foreign` with its exact JSON, or, where the record has no place for that,
nothing; either way it stays in the tree until another value is written there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Generic, TypeAlias, TypeVar

from fhirgoals.domain.records import Foreign
from fhirgoals.errors import BadResource, Bug
from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.terminology import CodeTable
from fhirgoals.mappers.lens import Lens

V = TypeVar("V")
K = TypeVar("K", str, date)

Code: TypeAlias = str | Foreign
"""One of our codes, or what stands in its place."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Codec(Generic[V]):
    """How one JSON value (never null) reads, and how such a value is written."""

    decode: Callable[[Tree], V]
    encode: Callable[[V], Tree]


def foreign(tree: Tree) -> Foreign:
    """Return what stands there, kept as its exact JSON."""
    return Foreign(foreign=exact_json.dumps(tree).decode())


def kept(value: Foreign) -> Tree:
    """Return the tree that was kept; raises `BadJson` where the text is none."""
    return exact_json.loads(value.foreign)


def codec(decode: Callable[[Tree], K | None], encode: Callable[[K], Tree]) -> Codec[K | Foreign]:
    """Return a codec that keeps as `Foreign` whatever `decode` returns None for."""

    def read(tree: Tree) -> K | Foreign:
        known = decode(tree)
        return foreign(tree) if known is None else known

    def write(value: K | Foreign) -> Tree:
        return kept(value) if isinstance(value, Foreign) else encode(value)

    return Codec(read, write)


def day_of(tree: Tree) -> date | None:
    """Return the date of a full `YYYY-MM-DD`, else None."""
    if not isinstance(tree, str) or not _DATE.fullmatch(tree) or not tree.isascii():
        return None
    try:
        return date.fromisoformat(tree)
    except ValueError:
        return None


def moment_day_of(tree: Tree) -> date | None:
    """Return the calendar date of a full date or of a dateTime with time (its first 10 characters), else None."""
    if isinstance(tree, str) and tree[10:11] == "T":
        return day_of(tree[:10])
    return day_of(tree)


def text_of(tree: Tree) -> str | None:
    """Return a string, else None."""
    return tree if isinstance(tree, str) else None


def whole_of(tree: Tree) -> int | None:
    """Return a number written without point or exponent, else None; a tree that we made may hold it as a Decimal."""
    if isinstance(tree, Decimal) and tree.as_tuple().exponent == 0:
        return int(tree)
    return tree if isinstance(tree, int) and not isinstance(tree, bool) else None


def reference_of(tree: Tree) -> str | None:
    """Return the string of a Reference, else None: one by identifier or display only names nothing that we can link."""
    return text_of(tree.get("reference")) if isinstance(tree, dict) else None


TEXT: Codec[str | Foreign] = codec(text_of, lambda text: text)
DAY: Codec[date | Foreign] = codec(day_of, date.isoformat)
MOMENT: Codec[date | Foreign] = codec(moment_day_of, date.isoformat)
"""An R4 dateTime as a calendar date: an equal date is not written, so a time that an EHR gave survives."""
REFERENCE: Codec[str | Foreign] = codec(reference_of, lambda reference: {"reference": reference})
"""A Reference by its string; one by identifier or display only is `Foreign`. Written without display."""


def wire_code(table: CodeTable, ours: str) -> str:
    """Return the wire code of one of ours; raises `Bug` where it has none."""
    if ours not in table.wire:
        raise Bug(f"a code without a wire form in {table.system or 'a plain code element'}: it must not be sent")
    return table.wire[ours]


def code(table: CodeTable) -> Codec[Code]:
    """Return the codec of a plain `code`."""
    return codec(
        lambda tree: table.internal.get(tree) if isinstance(tree, str) else None,
        lambda ours: wire_code(table, ours),
    )


def concept(table: CodeTable) -> Codec[Code]:
    """Return the codec of a CodeableConcept that says one of our codes; it is written whole, with text.

    A concept without such a coding, or with two that differ, is foreign.
    """

    def decode(tree: Tree) -> str | None:
        known = {ours for ours in (table.read(c.get("system"), c.get("code")) for c in codings(tree)) if ours}
        return known.pop() if len(known) == 1 else None

    def encode(ours: str) -> Tree:
        wire_code(table, ours)
        return {"coding": [table.coding(ours)], "text": table.text(ours)}

    return codec(decode, encode)


def codings(tree: Tree) -> list[Resource]:
    """Return the codings of a CodeableConcept that are objects."""
    return objects(tree, "coding") if isinstance(tree, dict) else []


def objects(tree: Resource, key: str) -> list[Resource]:
    """Return the objects in the list at `key`; none where no list stands."""
    elements = tree.get(key)
    return [element for element in elements if isinstance(element, dict)] if isinstance(elements, list) else []


def leaf(key: str, kind: Codec[V]) -> Lens[V | None]:
    """Return the lens of one property; None removes it."""

    def read(tree: Resource) -> V | None:
        found = tree.get(key)
        return None if found is None else kind.decode(found)

    def write(tree: Resource, value: V | None) -> None:
        if value is None:
            tree.pop(key, None)
        else:
            tree[key] = kind.encode(value)

    return Lens(read, write)


def string(key: str) -> Lens[str | None]:
    """Return the lens of a string; anything else there reads as nothing and is left alone."""

    def read(tree: Resource) -> str | None:
        return text_of(tree.get(key))

    return Lens(read, leaf(key, Codec[str](lambda tree: "", lambda text: text)).write)


def inside(key: str, lens: Lens[V], *, keep: bool = False) -> Lens[V]:
    """Return a lens into the object at `key`, which is made where needed and goes when empty unless `keep`.

    Anything but an object at `key` reads as an empty one and gives way to what is written.
    """

    def read(tree: Resource) -> V:
        child = tree.get(key)
        return lens.read(child if isinstance(child, dict) else {})

    def write(tree: Resource, value: V) -> None:
        found = tree.get(key)
        child: Resource = found if isinstance(found, dict) else {}
        lens.write(child, value)
        if child or keep:
            tree[key] = child
        else:
            tree.pop(key, None)

    return Lens(read, write)


def wrapped(key: str, lens: Lens[str | Foreign | None]) -> Lens[str | Foreign | None]:
    """Return `inside`, but anything that is no object at `key` reads as Foreign `{key: …}` instead of nothing."""
    inner = inside(key, lens)

    def read(tree: Resource) -> str | Foreign | None:
        child = tree.get(key)
        return inner.read(tree) if child is None or isinstance(child, dict) else foreign({key: child})

    def write(tree: Resource, value: str | Foreign | None) -> None:
        raw = kept(value) if isinstance(value, Foreign) else None
        if isinstance(raw, dict) and list(raw) == [key] and raw[key] is not None and not isinstance(raw[key], dict):
            tree[key] = raw[key]
        else:
            inner.write(tree, value)

    return Lens(read, write)


def day_or_other(key: str, other: str) -> Lens[date | Foreign | None]:
    """Return the lens of a choice of date (`key`) and another type (`other`), the latter Foreign `{other: …}`."""
    plain = leaf(key, DAY)

    def read(tree: Resource) -> date | Foreign | None:
        if tree.get(key) is None and tree.get(other) is not None:
            return foreign({other: tree[other]})
        return plain.read(tree)

    def write(tree: Resource, value: date | Foreign | None) -> None:
        raw = kept(value) if isinstance(value, Foreign) else None
        if isinstance(raw, dict) and list(raw) == [other] and raw[other] is not None:
            tree.pop(key, None)
            tree[other] = raw[other]
        else:
            tree.pop(other, None)
            plain.write(tree, value)

    return Lens(read, write)


# --- Extensions ----------------------------------------------------------------------------------------------------


def extension_of(tree: Resource, url: str) -> Resource | None:
    """Return the first extension with that URL, or None."""
    for found in objects(tree, "extension"):
        if found.get("url") == url:
            return found
    return None


def extension(url: str, key: str, kind: Codec[K | Foreign]) -> Lens[K | Foreign | None]:
    """Return the lens of an extension's value at `key`.

    The first of that URL counts. One without such a value is Foreign, whole. None removes all of that URL.
    """

    def read(tree: Resource) -> K | Foreign | None:
        found = extension_of(tree, url)
        if found is None:
            return None
        value = found.get(key)
        return foreign(found) if value is None else kind.decode(value)

    def write(tree: Resource, value: K | Foreign | None) -> None:
        if value is None:
            drop(tree, "extension", lambda found: found.get("url") == url)
            return
        found = extension_of(tree, url)
        raw: Tree
        if isinstance(value, Foreign):
            raw = kept(value)
            if isinstance(raw, dict) and raw.get("url") == url and raw.get(key) is None:
                put_extension(tree, url, raw)
                return
        else:
            raw = kind.encode(value)
        if found is None:
            append(tree, "extension", {"url": url, key: raw})
        else:
            put_value(found, key, raw)

    return Lens(read, write)


def string_extension(url: str) -> Lens[str | None]:
    """Return the lens of an extension's `valueString`; another value reads as nothing and is left alone."""
    inner = extension(url, "valueString", TEXT)

    def read(tree: Resource) -> str | None:
        found = inner.read(tree)
        return found if isinstance(found, str) else None

    return Lens(read, inner.write)


def put_value(found: Resource, key: str, raw: Tree) -> None:
    """Set an extension's value; a value of another type goes, there may be one alone."""
    for other in [other for other in found if other.startswith("value") and other != key]:
        del found[other]
    found[key] = raw


def put_extension(tree: Resource, url: str, new: Resource) -> None:
    """Put an extension in the place of the first of that URL, else at the end."""
    found = extension_of(tree, url)
    if found is None:
        append(tree, "extension", new)
    else:
        found.clear()
        found.update(new)


def append(tree: Resource, key: str, element: Tree) -> None:
    """Append to the list at `key`; anything else there gives way to a new list."""
    elements = tree.get(key)
    if isinstance(elements, list):
        elements.append(element)
    else:
        tree[key] = [element]


def drop(tree: Resource, key: str, unwanted: Callable[[Resource], bool]) -> None:
    """Remove objects from the list at `key`, and the list when nothing is left."""
    elements = tree.get(key)
    if isinstance(elements, list):
        elements[:] = [element for element in elements if not (isinstance(element, dict) and unwanted(element))]
        if not elements:
            del tree[key]


# --- Coded categories ----------------------------------------------------------------------------------------------


def category(table: CodeTable, key: str = "category") -> Lens[Code | None]:
    """Return the lens of the one coding of this table's system among the concepts at `key`.

    Other codings and concepts are left alone. An unknown code, or two that differ, is Foreign: the coding, or a list.
    """

    def ours(coding: Tree) -> bool:
        return isinstance(coding, dict) and coding.get("system") in table.systems

    def read(tree: Resource) -> Code | None:
        found = [c for element in objects(tree, key) for c in codings(element) if ours(c)]
        if not found:
            return None
        known = {table.read(c["system"], c.get("code")) for c in found}
        only = known.pop() if len(known) == 1 else None
        if only is not None:
            return only
        return foreign(found[0] if len(found) == 1 else list(found))

    def write(tree: Resource, value: Code | None) -> None:
        concepts = [e for e in objects(tree, key) if any(ours(c) for c in codings(e))]
        first = next((c for e in concepts for c in codings(e) if ours(c)), {})
        new = _category_codings(table, value, first)
        if not concepts and new:
            made: Resource = {"coding": []}
            append(tree, key, made)
            concepts = [made]
        for number, element in enumerate(concepts):
            said: list[Tree] = list(new) if number == 0 else []
            listed = element["coding"]
            assert isinstance(listed, list)  # noqa: S101  for the type checker: it held a coding of ours
            at = next((i for i, c in enumerate(listed) if ours(c)), 0)
            rest = [c for c in listed[at:] if not ours(c)]
            alone = at == 0 and not rest
            listed[:] = [*listed[:at], *said, *rest]
            if alone or any(element.get("text") == table.text(code) for code in table.wire):
                element.pop("text", None)
                if said and isinstance(value, str):
                    element["text"] = table.text(value)
        empty = [id(element) for element in concepts if not element["coding"]]
        drop(tree, key, lambda element: id(element) in empty)

    return Lens(read, write)


def _category_codings(table: CodeTable, value: Code | None, old: Resource) -> list[Resource]:
    """Return the codings that say `value`; of an old coding its id and extensions stay."""
    if value is None:
        return []
    if isinstance(value, str):
        wire_code(table, value)
        stays = {key: child for key, child in old.items() if key not in ("code", "display", "version")}
        return [stays | table.coding(value)]
    raw = kept(value)
    listed = raw if isinstance(raw, list) else [raw]
    new = [c for c in listed if isinstance(c, dict) and c.get("system") in table.systems]
    if len(new) != len(listed) or not new:
        raise BadResource(f"a kept value is no coding of {table.system}: take it out of the goal")
    return new
