"""An inbox item in words: its field and place for everyone, its values part by part for who may see them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from fhirgoals.cli import show_words, words
from fhirgoals.cli.output import clean, short
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import STEP_PARTS, Json, Unit, units
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.store.inbox import Item
from fhirgoals.store.plans import UnitRev
from fhirgoals.sync.case import Case
from fhirgoals.sync.decide import carriers

NOTHING = "(nothing)"

KIND: Mapping[str, str] = {
    "conflict": "clash",
    "identity": "who is it?",
    "retract": "to take back",
}
"""Kinds as a narrow column tells them, where their own name does not do."""

_PART: Mapping[str, str] = {
    "lifecycle": "status",
    "achievement": "outcome",
    "closure_reason": "closed because",
    "status_date": "since",
    "status_reason": "in words",
    "op": "is to be",
    "by": "by",
    "author_text": "author",
    "done_on": "done on",
    "instrument": "measured by",
    "nature": "kind",
    "start": "from",
    "end": "until",
}
_CODES: Mapping[str, Mapping[str, str]] = {
    "lifecycle": words.LIFECYCLE,
    "achievement": words.ACHIEVEMENT,
    "closure_reason": words.CLOSED_FOR,
    "op": {"<": "under", "<=": "at most", "=": "exactly", ">=": "at least", ">": "over"},
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_PEOPLE = ("author", "by", "participant")


@dataclass(frozen=True)
class Row:
    """One line of the comparison: a field or a part of it, and what stands last agreed, here and at the EHR."""

    name: str
    base: str
    ours: str
    theirs: str


def field(item: Item) -> str:
    """Return what people call the field that an item is about."""
    return words.field_name(Unit(item.owner or "", item.unit)) if item.unit else "the whole of it"


def place(item: Item) -> str:
    """Return the id of the goal, else of the step or plan, that an item is about; ids only."""
    if item.owner is None or item.owner != item.plan_id or item.unit is None:
        return item.owner or item.plan_id or ""
    unit = Unit(item.owner, item.unit)
    match unit.family:
        case "parent_map" | "membership" | "order" if unit.member:
            return unit.member
        case "relations":
            return unit.member.partition("|")[0]
        case "steps":
            sides = [side for side in (item.ours, item.theirs, item.base) if isinstance(side, dict)]
            return next((str(side["goal"]) for side in sides if "goal" in side), unit.member)
        case _:
            return unit.member or item.owner


def roles(item: Item) -> str:
    """Return who may settle an item."""
    return " or ".join(words.ROLE.get(role, role) for role in item.who_may) or "an operator"


def rows(item: Item, case: Case | None, plan: Plan | None) -> list[Row]:
    """Return the values of an item side by side, a line for each part; a step comes with its parts."""
    unit = Unit(item.owner or "", item.unit or "")
    ours = case.real if case is not None and item.ours is None else item.ours
    found = _side_by_side(field(item), unit, item.base, ours, item.theirs, plan)
    if unit.family != "steps" or case is None:
        return found
    here, there = units(case.view.plan), case.there.theirs.assembled.values
    for part in STEP_PARTS:
        one = Unit(unit.owner, f"step:{unit.member}.{part}")
        pair = case.view.bases.get(one)
        theirs = None if item.theirs is None else there.get(one)
        if (pair is not None and pair.ours is not None) or here.get(one) is not None or theirs is not None:
            base = pair.ours if pair else None
            found += _side_by_side(words.field_name(one), one, base, here.get(one), theirs, plan)
    return found


def in_short(value: Json, unit: Unit, plan: Plan | None, longest: int = 28) -> str:
    """Return a value in a few words, for a list."""
    if isinstance(value, dict) and "foreign" not in value:
        said = "; ".join(_said(part, value[part], unit, plan) for part in value)
        return short(said, longest) if said else NOTHING
    return short(_said(unit.family, value, unit, plan), longest)


def _side_by_side(name: str, unit: Unit, base: Json, ours: Json, theirs: Json, plan: Plan | None) -> list[Row]:
    sides = (base, ours, theirs)
    if not any(isinstance(side, dict) and "foreign" not in side for side in sides):
        return [Row(name, *(_said(unit.family, side, unit, plan) for side in sides))]
    parts = dict.fromkeys(part for side in sides if isinstance(side, dict) for part in side)
    found = []
    for part in parts:
        cells = [
            _said(part, side.get(part), unit, plan) if isinstance(side, dict) else _said(part, side, unit, plan)
            for side in sides
        ]
        found.append(Row(_PART.get(part, part.replace("_", " ")), *cells))
    return found


def _said(part: str, value: Json, unit: Unit, plan: Plan | None) -> str:
    """Return a value, or one part of it, as people read it."""
    if value in (None, "", [], {}):
        return NOTHING
    match value:
        case bool():
            return "yes" if value else "no"
        case {"foreign": str() as verbatim}:
            return f"as the EHR wrote it: {short(verbatim, 120)}"
        case dict():
            return "; ".join(f"{name.replace('_', ' ')} {_said(name, one, unit, plan)}" for name, one in value.items())
        case list():
            return ", ".join(_said(part, one, unit, plan) for one in value)
        case str():
            return _text(part, value, unit, plan)
        case _:
            return f"{value:f}" if hasattr(value, "as_tuple") else str(value)


def _text(part: str, value: str, unit: Unit, plan: Plan | None) -> str:
    if _DAY.fullmatch(value):
        return _day(value)
    if part in _CODES:
        return _CODES[part].get(value, value.replace("_", " "))
    if part == "status":
        table = words.PLAN_STATUS if unit.family == "plan_status" else words.STEP_WORD
        return table.get(value, value.replace("_", " "))
    if plan is not None:
        goal = next((one for one in plan.goals if one.id == value), None)
        if goal is not None:
            return short(goal.text or goal.id, 60)
        if (part in _PEOPLE or unit.family == "expressed_by") and any(one.id == value for one in plan.participants):
            return show_words.person(plan, value)
    return clean(value)


def _day(value: str) -> str:
    try:
        return words.on_day(date.fromisoformat(value))
    except ValueError:
        return value


def author_here(case: Case, last: UnitRev | None) -> tuple[str, str]:
    """Return who last changed the unit here, and when."""
    if last is None:
        return "", ""
    part = next((one for one in case.view.plan.participants if last.by in (one.id, one.ref)), None)
    who = show_words.person(case.view.plan, part.id) if part is not None else last.by
    source = f", from {last.origin}" if last.origin is not None and last.origin != last.by else ""
    return who + source, words.when(last.at)


def version_there(case: Case) -> tuple[str | None, datetime | None]:
    """Return the version of the resource that carries the unit, and when it was stored, as far as the EHR says."""
    found: list[tuple[datetime | None, str | None]] = []
    for key in carriers(case.view.plan.id, case.unit, case.item.ours, case.item.theirs):
        one = case.there.found.get(key)
        meta = one.tree.get("meta") if one is not None else None
        if one is not None:
            found.append((_instant(meta.get("lastUpdated")) if isinstance(meta, dict) else None, one.version))
    dated = [one for one in found if one[0] is not None]
    stored, version = max(dated, key=lambda one: str(one[0])) if dated else (found[0] if found else (None, None))
    return version, stored


def _instant(value: Tree) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
