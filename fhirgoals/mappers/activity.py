"""The table between one `CarePlan.activity` with a `detail` and a `WireActivity`: a step or an intervention.

What must not be done, has a reference in place of details, or has no details is neither, and is left alone.
"""

from __future__ import annotations

from datetime import date
from typing import Literal, TypeAlias

from fhirgoals.domain.records import Foreign
from fhirgoals.errors import BadResource
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers import keyed
from fhirgoals.mappers.lens import Lens, Mapper, row
from fhirgoals.mappers.records import WireActivity, WireCode
from fhirgoals.mappers.resource import references
from fhirgoals.mappers.shapes import (
    DAY,
    TEXT,
    Code,
    code,
    codings,
    extension,
    extension_of,
    foreign,
    inside,
    kept,
    leaf,
    moment_day_of,
    string,
    string_extension,
    text_of,
    wire_code,
)

Role: TypeAlias = Literal["step", "intervention"]

_KIND: dict[Role, str] = {"step": "Task", "intervention": "ServiceRequest"}


def is_ours_to_read(element: Resource) -> bool:
    """Tell whether an activity is a step or an intervention at all (rule R4-CP-07 for doNotPerform)."""
    detail = element.get("detail")
    if not isinstance(detail, dict) or element.get("reference") is not None:
        return False
    return detail.get("doNotPerform") is None or detail.get("doNotPerform") is False


def _detail(element: Resource) -> Resource:
    found = element.get("detail")
    return found if isinstance(found, dict) else {}


# --- Role ----------------------------------------------------------------------------------------------------------


def _read_role(element: Resource) -> Role:
    """Return the role: by kind, which every reader understands, and by our extension where no kind stands."""
    kind = _detail(element).get("kind")
    said = extension_of(element, t.ACTIVITY_ROLE_EXT) if kind is None else None
    if kind == _KIND["intervention"] or (said is not None and said.get("valueCode") == "intervention"):
        return "intervention"
    return "step"


def _write_role(element: Resource, role: Role) -> None:
    _detail(element)["kind"] = _KIND[role]
    extension(t.ACTIVITY_ROLE_EXT, "valueCode", code(t.ACTIVITY_ROLE)).write(element, role)


# --- Code ----------------------------------------------------------------------------------------------------------

_Coded: TypeAlias = tuple[Code | None, WireCode | None]


def _table(element: Resource) -> t.CodeTable:
    return t.STEP_KIND if _read_role(element) == "step" else t.MODALITY


def _frozen_coding(coding: Tree) -> WireCode | None:
    """Return a coding of the frozen list of codes that we emit (rule FG-MEAS-01)."""
    system, of = (text_of(coding.get(key)) for key in ("system", "code")) if isinstance(coding, dict) else (None, None)
    if system is None or of is None or of not in {t.LOINC: t.LOINC_CODES, t.SNOMED: t.SNOMED_CODES}.get(system, ()):
        return None
    return WireCode(system=system, code=of)


def _read_code(element: Resource) -> _Coded:
    """Return our code and, of an intervention, a further coding; a concept that says neither is Foreign, whole."""
    raw = _detail(element).get("code")
    if raw is None:
        return None, None
    table = _table(element)
    listed = codings(raw)
    said = [table.read(c.get("system"), c.get("code")) for c in listed if c.get("system") in table.systems]
    further = next(filter(None, map(_frozen_coding, listed)), None) if table is t.MODALITY else None
    if said and said[0] is not None and said == said[:1] * len(said):
        return said[0], further
    return (None, further) if further is not None and not said else (foreign(raw), None)


def _write_code(element: Resource, value: _Coded) -> None:
    ours, further = value
    detail, table = _detail(element), _table(element)
    if isinstance(ours, Foreign):
        detail["code"] = kept(ours)
        return
    if ours is None and further is None:
        detail.pop("code", None)
        return
    found = detail.get("code")
    readable = isinstance(found, dict) and not isinstance(_read_code(element)[0], Foreign)
    concept: Resource = found if isinstance(found, dict) and readable else {}
    old_words = [concept.get("text") == table.text(one) for one in table.wire]
    listed = concept.get("coding")
    others: list[Tree] = list(listed) if isinstance(listed, list) else []
    mine = [c for c in codings(concept) if c.get("system") in table.systems]
    frozen = [c for c in codings(concept) if _frozen_coding(c) is not None] if table is t.MODALITY else []
    others = [c for c in others if not any(c is one for one in (*mine, *frozen))]
    said: list[Tree] = []
    if ours is not None:
        wire_code(table, ours)
        said.append(next((c for c in mine if table.read(c["system"], c.get("code")) == ours), table.coding(ours)))
    if further is not None:
        new: Resource = {"system": further.system, "code": further.code}
        said.append(next((c for c in frozen if _frozen_coding(c) == further), new))
    concept["coding"] = [*said, *others]
    if concept.get("text") is None or any(old_words):
        concept.pop("text", None)
        if ours is not None:
            concept["text"] = table.text(ours)
    detail["code"] = concept


# --- Schedule ------------------------------------------------------------------------------------------------------

_Schedule: TypeAlias = tuple[str | None, date | Foreign | None, Foreign | None]

_SCHEDULED = extension(t.STEP_SCHEDULED_EXT, "valueDate", DAY)
_PREFIX = "scheduled"


def _one_day(period: Tree) -> date | None:
    """Return the day of a period that starts and ends on it, else None."""
    if not isinstance(period, dict):
        return None
    start, end = moment_day_of(period.get("start")), moment_day_of(period.get("end"))
    return start if start == end else None


def _read_schedule(detail: Resource) -> _Schedule:
    found = {key: raw for key, raw in detail.items() if key.startswith(_PREFIX) and raw is not None}
    beside = _SCHEDULED.read(detail)
    if not found:
        return None, beside, None
    words = text_of(found.get("scheduledString"))
    if list(found) == ["scheduledString"] and words is not None:
        return words, beside, None
    day = _one_day(found.get("scheduledPeriod"))
    if list(found) == ["scheduledPeriod"] and day is not None:
        return None, day, None
    return None, beside, foreign(dict(found))


def _write_schedule(detail: Resource, value: _Schedule) -> None:
    frequency, scheduled, other = value
    old_frequency, _, old_other = _read_schedule(detail)
    in_period = isinstance(scheduled, date) and frequency is None and other is None
    _SCHEDULED.write(detail, None if in_period else scheduled)
    if other is not None:
        if other == old_other:
            return
        raw = kept(other)
        if not isinstance(raw, dict) or not all(key.startswith(_PREFIX) for key in raw):
            raise BadResource("a kept value is no scheduled[x]: take it out of the step")
        _clear(detail)
        detail |= raw
    elif frequency is not None:
        if old_frequency is None:
            _clear(detail)
        detail["scheduledString"] = frequency
    elif isinstance(scheduled, date):
        period = detail.get("scheduledPeriod")
        if not isinstance(period, dict) or old_other is not None:
            period = {}
            _clear(detail)
        if _one_day(period) != scheduled:
            detail["scheduledPeriod"] = period | {"start": scheduled.isoformat(), "end": scheduled.isoformat()}
    else:
        _clear(detail)


def _clear(detail: Resource) -> None:
    for key in [key for key in detail if key.startswith(_PREFIX)]:
        del detail[key]


# --- The table -----------------------------------------------------------------------------------------------------

ACTIVITY: Mapper[WireActivity] = Mapper(
    WireActivity,
    (
        row("id", string("id")),
        row("step_id", string_extension(t.STEP_ID_EXT)),
        # Before the code, whose vocabulary follows from it.
        row("role", Lens(_read_role, _write_role)),
        row("code", Lens(_read_code, _write_code), parts=("code", "coding")),
        row("goals", inside("detail", references("goal"), keep=True)),
        row("status", inside("detail", leaf("status", code(t.STEP_STATUS)), keep=True)),
        row(
            "owner",
            inside("detail", extension(t.STEP_OWNER_EXT, "valueCode", code(t.STEP_OWNER)), keep=True),
        ),
        row("done_on", inside("detail", extension(t.STEP_DONE_ON_EXT, "valueDate", DAY), keep=True)),
        row(
            "schedule",
            inside("detail", Lens(_read_schedule, _write_schedule), keep=True),
            parts=("frequency", "scheduled", "schedule"),
        ),
        row("performers", inside("detail", references("performer"), keep=True)),
        row("text", inside("detail", leaf("description", TEXT), keep=True)),
    ),
)


def _fresh(activity: WireActivity) -> Resource:
    """Return the least element of that role; kind and role stand on what we make, whatever a reader would assume."""
    element: Resource = {"detail": {}} if activity.id is None else {"id": activity.id, "detail": {}}
    _write_role(element, activity.role)
    return element


ACTIVITIES: Lens[tuple[WireActivity, ...]] = keyed.keyed_list(
    "activity",
    keyed.records(
        ACTIVITY,
        is_ours_to_read,
        _fresh,
        (
            lambda activity: activity.id,
            lambda activity: activity.step_id,
            lambda activity: (activity.role, activity.goals, activity.text) if activity.text else None,
            lambda activity: (activity.role, activity.text) if activity.text else None,
            lambda activity: (activity.role, activity.code, activity.goals) if activity.code else None,
        ),
        by_position=True,
    ),
)
