"""The table between one `Goal.target` and a `WireTarget`, and the element with id `due` that holds the goal's date."""

from __future__ import annotations

from datetime import date
from typing import TypeAlias

from fhirgoals.domain.records import Foreign
from fhirgoals.errors import BadResource
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import keyed
from fhirgoals.mappers.lens import Lens, Mapper, row
from fhirgoals.mappers.quantity import DETAIL
from fhirgoals.mappers.records import WireCode, WireMeasure, WireSustain, WireTarget
from fhirgoals.mappers.shapes import (
    append,
    day_or_other,
    drop,
    extension_of,
    foreign,
    kept,
    objects,
    put_extension,
    put_value,
    string,
    text_of,
    whole_of,
)

DUE = "due"
"""Id of the target element that holds the goal's own target date; such an element is never a target."""

_BY = day_or_other("dueDate", "dueDuration")


def _is_due(element: Resource) -> bool:
    return element.get("id") == DUE


# --- The goal's own date -------------------------------------------------------------------------------------------


def _read_due(tree: Resource) -> date | Foreign | None:
    first = next(filter(_is_due, objects(tree, "target")), None)
    return None if first is None else _BY.read(first)


def _write_due(tree: Resource, value: date | Foreign | None) -> None:
    elements = list(filter(_is_due, objects(tree, "target")))
    if value is None:
        for element in elements:
            _BY.write(element, None)
        # Where somebody put more into the element than the date, that stays.
        drop(tree, "target", lambda element: _is_due(element) and list(element) == ["id"])
        return
    if not elements:
        elements = [{"id": DUE}]
        found = tree.get("target")
        tree["target"] = [*elements, *(found if isinstance(found, list) else [])]
    _BY.write(elements[0], value)


DUE_DATE: Lens[date | Foreign | None] = Lens(_read_due, _write_due)
"""The date of the element `due`. Whether an only other `dueDate` counts as the goal's is not decided here."""


# --- Measure -------------------------------------------------------------------------------------------------------


def _first_coding(measure: Resource) -> WireCode | None:
    listed = measure.get("coding")
    first = listed[0] if isinstance(listed, list) and listed else None
    system, code = (text_of(first.get(key)) for key in ("system", "code")) if isinstance(first, dict) else (None, None)
    return None if system is None or code is None else WireCode(system=system, code=code)


def _read_measure(tree: Resource) -> WireMeasure | None:
    raw = tree.get("measure")
    if raw is None:
        return None
    text, coding = (text_of(raw.get("text")), _first_coding(raw)) if isinstance(raw, dict) else (None, None)
    if text is None and coding is None:
        return WireMeasure(foreign=foreign(raw))
    return WireMeasure(text=text, coding=coding)


def _write_measure(tree: Resource, value: WireMeasure | None) -> None:
    if value is None:
        tree.pop("measure", None)
        return
    if value.foreign is not None:
        tree["measure"] = kept(value.foreign)
        return
    found = tree.get("measure")
    element: Resource = found if isinstance(found, dict) else {}
    tree["measure"] = element
    if value.coding != _first_coding(element):
        if value.coding is None:
            del element["coding"]
        else:
            # Further codings said the same as the old one, so they go with it.
            element["coding"] = [{"system": value.coding.system, "code": value.coding.code}]
    if value.text is not None:
        element["text"] = value.text
    elif isinstance(element.get("text"), str):
        del element["text"]


# --- Sustain -------------------------------------------------------------------------------------------------------

_Sustain: TypeAlias = tuple[WireSustain | None, Foreign | None]


def _part(found: Resource, name: str) -> tuple[int | None, bool]:
    """Return a part's number, and whether the part is as it should be (a number, or absent where it may)."""
    part = extension_of(found, t.SUSTAIN_PARTS[name])
    if part is None:
        return None, name != "count"
    value = whole_of(part.get("valueInteger"))
    return value, value is not None


def _read_sustain(tree: Resource) -> _Sustain:
    found = extension_of(tree, t.TARGET_SUSTAIN_EXT)
    if found is None:
        return None, None
    parts = {name: _part(found, name) for name in t.SUSTAIN_PARTS}
    count = parts["count"][0]
    if count is None or not all(right for _, right in parts.values()):
        return None, foreign(found)
    return WireSustain(count=count, span_days=parts["span_days"][0], apart_days=parts["apart_days"][0]), None


def _write_sustain(tree: Resource, value: _Sustain) -> None:
    sustain, odd = value
    if odd is not None:
        raw = kept(odd)
        if not isinstance(raw, dict) or raw.get("url") != t.TARGET_SUSTAIN_EXT:
            raise BadResource("a kept value is no extension target-sustain: take it out of the target")
        put_extension(tree, t.TARGET_SUSTAIN_EXT, raw)
        return
    if sustain is None:
        drop(tree, "extension", lambda found: found.get("url") == t.TARGET_SUSTAIN_EXT)
        return
    found = extension_of(tree, t.TARGET_SUSTAIN_EXT)
    if found is None:
        found = {"url": t.TARGET_SUSTAIN_EXT}
        append(tree, "extension", found)
    for name, url in t.SUSTAIN_PARTS.items():
        _write_part(found, name, url, getattr(sustain, name))


def _write_part(found: Resource, name: str, url: str, number: int | None) -> None:
    if _part(found, name) == (number, True):
        return
    part = extension_of(found, url)
    if number is None:
        drop(found, "extension", lambda one: one.get("url") == url)
    elif part is None:
        append(found, "extension", {"url": url, "valueInteger": number})
    else:
        put_value(part, "valueInteger", number)


# --- The table -----------------------------------------------------------------------------------------------------

TARGET: Mapper[WireTarget] = Mapper(
    WireTarget,
    (
        row("id", string("id")),
        row("sustain", Lens(_read_sustain, _write_sustain), parts=("sustain", "sustain_foreign")),
        row("measure", Lens(_read_measure, _write_measure)),
        row("detail", DETAIL, parts=("op", "value", "range", "unit", "detail")),
        row("by", _BY),
    ),
)

TARGETS: Lens[tuple[WireTarget, ...]] = keyed.keyed_list(
    "target",
    keyed.records(
        TARGET,
        lambda element: not _is_due(element),
        lambda target: {} if target.id is None else {"id": target.id},
        (
            lambda target: target.id,
            lambda target: (target.measure, target.by) if target.measure or target.by else None,
            lambda target: target.measure,
        ),
        by_position=True,
    ),
)
