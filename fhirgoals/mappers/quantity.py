"""`Goal.target.detail[x]`: an operator with a number or a range and a unit; every other detail is kept as it is.

`<`, `<=`, `>=`, `>` stand as a Quantity's comparator, `=` as a Quantity without one, `between` as a Range with both
ends (rule FG-MEAS-02: never `Range.high` for `<`, it would say that 5 is enough). A Range with one end reads as `<=`
or `>=` and an integer as `=`; they keep their form as long as it can say what is wanted.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from fhirgoals.domain.records import Foreign
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.terminology import COMPARATORS, UCUM, UNIT_TEXT, unit_text
from fhirgoals.mappers.lens import Lens, exact, same
from fhirgoals.mappers.shapes import foreign, kept, whole_of

Number: TypeAlias = int | Decimal


class Detail(NamedTuple):
    """The parts of a target's detail; `other` is any detail that is none of ours, `{detailX: …}`."""

    op: str | None = None
    value: Decimal | None = None
    range: tuple[Decimal, Decimal] | None = None
    unit: str | None = None
    other: Foreign | None = None


_PREFIX = "detail"
_ENDS = ("low", "high")
_ONE_END = {"low": ">=", "high": "<="}

# What stands between the operators of a UCUM code. A unit that is put together from other words is written as text
# alone: a code is a claim that a validator checks. Source: UCUM 2.1, the units that goals of therapy are measured in.
_UCUM_WORDS = """
% 1 10*3 10*6 10*9 a cal cm d dB deg Cel dL fL g h J kat kcal kg km L lm m mg min mL mm mmol mol mo mV nL nm nmol ng
pg pmol s ug uL um umol U Pa kPa Hz N W wk [Cal] [degF] [drp] [ft_i] [in_i] [IU] [lb_av] [mi_i] [oz_av] [pH]
[stone_av] m[H2O] cm[H2O] mm[Hg] [yd_i]
"""
_UCUM_ATOMS = frozenset(_UCUM_WORDS.split())
_LONE_ANNOTATION = re.compile(r"(?:^|(?<=[./]))\{[!-z|~]*\}")
_ANNOTATION = re.compile(r"\{[!-z|~]*\}")
_EXPONENT = re.compile(r"(?<=[A-Za-z\]])-?\d$")


def is_ucum(unit: str) -> bool:
    """Tell whether a unit is a UCUM code that we know; a UCUM code outside our lists counts as none."""
    bare = _ANNOTATION.sub("", _LONE_ANNOTATION.sub("1", unit)).removeprefix("/")
    return unit in UNIT_TEXT or all(_EXPONENT.sub("", part) in _UCUM_ATOMS for part in re.split(r"[./]", bare))


def read_detail(tree: Resource) -> Detail:
    """Return the detail of a target element."""
    found = {key: raw for key, raw in tree.items() if key.startswith(_PREFIX) and raw is not None}
    if not found:
        return Detail()
    if len(found) == 1:
        key, raw = next(iter(found.items()))
        known = None
        if key == "detailQuantity" and isinstance(raw, dict):
            known = _quantity(raw)
        elif key == "detailRange" and isinstance(raw, dict):
            known = _range(raw)
        elif key == "detailInteger" and (whole := whole_of(raw)) is not None:
            known = Detail("=", Decimal(whole))
        if known is not None:
            return known
    return Detail(other=foreign(dict(found)))


def write_detail(tree: Resource, wanted: Detail) -> None:
    """Write a detail: in the form that stands there where that can say it, else anew."""
    if wanted.other is None and _changed_in_place(tree, wanted):
        return
    for key in [key for key in tree if key.startswith(_PREFIX)]:
        del tree[key]
    if wanted.other is not None:
        raw = kept(wanted.other)
        tree.update(raw if isinstance(raw, dict) else {})
    elif wanted.range is not None:
        tree["detailRange"] = {
            end: _with_unit({"value": value}, wanted.unit) for end, value in zip(_ENDS, wanted.range, strict=True)
        }
    elif wanted.value is not None:
        quantity: Resource = {"value": wanted.value}
        if wanted.op in COMPARATORS:
            quantity["comparator"] = wanted.op
        tree["detailQuantity"] = _with_unit(quantity, wanted.unit)


DETAIL: Lens[Detail] = Lens(read_detail, lambda tree, parts: write_detail(tree, Detail(*parts)))


def number(tree: Tree) -> Decimal | None:
    """Return a JSON number as a Decimal with its digits, else None."""
    if isinstance(tree, Decimal):
        return tree
    return Decimal(tree) if isinstance(tree, int) and not isinstance(tree, bool) else None


def _unit(quantity: Resource) -> str | None:
    """Return the UCUM code, or the unit in words where no such code stands."""
    code = quantity.get("code")
    if isinstance(code, str) and quantity.get("system") in (None, UCUM):
        return code
    words = quantity.get("unit")
    return words if isinstance(words, str) else None


def _with_unit(quantity: Resource, unit: str | None) -> Resource:
    if _unit(quantity) != unit:
        for key in ("unit", "system", "code"):
            quantity.pop(key, None)
        if unit is not None and is_ucum(unit):
            quantity |= {"unit": unit_text(unit), "system": UCUM, "code": unit}
        elif unit is not None:
            quantity["unit"] = unit
    return quantity


def _quantity(raw: Resource) -> Detail | None:
    value, comparator = number(raw.get("value")), raw.get("comparator")
    if value is None or not (comparator is None or (isinstance(comparator, str) and comparator in COMPARATORS)):
        return None
    return Detail(comparator or "=", value, unit=_unit(raw))


def _range(raw: Resource) -> Detail | None:
    ends = {end: raw[end] for end in _ENDS if raw.get(end) is not None}
    values: dict[str, Decimal] = {}
    units: set[str] = set()
    for end, quantity in ends.items():
        value = number(quantity.get("value")) if isinstance(quantity, dict) else None
        if value is None or not isinstance(quantity, dict) or quantity.get("comparator") is not None:
            return None
        values[end] = value
        units |= {unit for unit in (_unit(quantity),) if unit is not None}
    if not values or len(units) > 1:
        return None
    unit = units.pop() if units else None
    if len(values) == 2:
        return Detail("between", range=(values["low"], values["high"]), unit=unit)
    end, value = values.popitem()
    return Detail(_ONE_END[end], value, unit=unit)


def _changed_in_place(tree: Resource, wanted: Detail) -> bool:
    """Change only the leaves that differ; tell whether the form that stands there then says what is wanted."""
    unit_differs = read_detail(tree).unit != wanted.unit
    quantity, ends = tree.get("detailQuantity"), tree.get("detailRange")
    if isinstance(quantity, dict) and wanted.value is not None:
        _set_value(quantity, wanted.value)
        if wanted.op in COMPARATORS:
            quantity["comparator"] = wanted.op
        else:
            quantity.pop("comparator", None)
        if unit_differs:
            _with_unit(quantity, wanted.unit)
    elif isinstance(ends, dict):
        values = dict(zip(_ENDS, wanted.range, strict=True)) if wanted.range else {}
        for end in _ENDS:
            raw = ends.get(end)
            value = values.get(end, wanted.value if _ONE_END[end] == wanted.op else None)
            if isinstance(raw, dict) and value is not None:
                _set_value(raw, value)
                if unit_differs:
                    _with_unit(raw, wanted.unit)
    elif "detailInteger" in tree and wanted.value is not None and wanted.value.as_tuple().exponent == 0:
        tree["detailInteger"] = int(wanted.value)
    return same(read_detail(tree), wanted)


def _set_value(quantity: Resource, value: Decimal) -> None:
    old = number(quantity.get("value"))
    if old is None or exact(old) != exact(value):
        quantity["value"] = value
