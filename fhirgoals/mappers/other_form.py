"""Finds our steps and interventions among the activities that we do not read: what must not be done, or is a reference.

Such a member is there, in words that are not ours to change: it is held, neither removed nor there to be added again.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhirgoals.domain.units import STEP_PARTS, Unit, Values
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers.activity import is_ours_to_read
from fhirgoals.mappers.assemble import Assembled
from fhirgoals.mappers.assembly import minted
from fhirgoals.mappers.refs import Refs
from fhirgoals.mappers.shapes import string_extension

IN_ANOTHER_FORM = "in_another_form"

_STEP_ID = string_extension(t.STEP_ID_EXT)


def in_another_form(
    tree: Resource, there: Assembled, refs: Refs, known: Values, ids: Mapping[str, frozenset[str]]
) -> dict[Unit, str]:
    """Return the units of members that stand in a CarePlan only in a form that we do not read, with the reason.

    They are found by element id, by our extension, and where a server dropped both, by the words of a detail; `known`
    and `ids` are those of `assemble`.
    """
    names = {refs.element(kind, one): (kind, one) for kind in ("step", "intervention") for one in ids[kind]}
    words = _words(refs.plan_id, known)
    held: dict[Unit, str] = {}
    listed = tree.get("activity")
    for element in listed if isinstance(listed, list) else ():
        if not isinstance(element, dict) or is_ours_to_read(element):
            continue
        element_id, detail = element.get("id"), element.get("detail")
        said = detail.get("description") if isinstance(detail, dict) else None
        by_id = names.get(element_id) if isinstance(element_id, str) else None
        found = by_id or names.get(_STEP_ID.read(element) or "") or _born_there(element_id, ids)
        if found is None and isinstance(said, str) and len(words.get(said, ())) == 1:
            [found] = words[said]
        if found is not None and found[1] not in there.activities:
            held |= dict.fromkeys(_units(refs.plan_id, *found), IN_ANOTHER_FORM)
    return held


def _born_there(element_id: object, ids: Mapping[str, frozenset[str]]) -> tuple[str, str] | None:
    for kind in ("step", "intervention") if isinstance(element_id, str) else ():
        member = minted(kind, element_id)
        if member in ids[kind]:
            return kind, member
    return None


def _words(plan_id: str, known: Values) -> dict[str, list[tuple[str, str]]]:
    """Return the members by the words last seen of them."""
    found: dict[str, list[tuple[str, str]]] = {}
    for unit, value in known.items():
        if unit.owner == plan_id and unit.family == "step:<id>.text" and isinstance(value, str):
            found.setdefault(value, []).append(("step", unit.member))
        elif unit.owner == plan_id and unit.family == "intervention:<id>" and isinstance(value, dict):
            technique = value.get("technique")
            if isinstance(technique, str):
                found.setdefault(technique, []).append(("intervention", unit.member))
    return found


def _units(plan_id: str, kind: str, member: str) -> list[Unit]:
    if kind == "intervention":
        return [Unit(plan_id, f"intervention:{member}")]
    return [Unit(plan_id, f"steps:{member}"), *(Unit(plan_id, f"step:{member}.{part}") for part in STEP_PARTS)]
