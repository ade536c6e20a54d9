"""Merge units: the pieces of a plan that are compared, merged and settled one by one (design 5.2).

`units(plan)` takes a plan apart, `with_units(plan, changes)` puts changed pieces back. A unit is a field, or fields
that only make sense together, or one member of a keyed set. Its value is a JSON tree in our own terms (ids of this
plan, ISO dates, `Decimal`); a unit that is not in the result is not there.

    goal     text · client_words · axes · category · priority · status · start_date · target_date · expressed_by
             completion_criterion · labels · addresses:<problem> · target:<id> · acceptance:<participant> · note:<id>
    plan     title · plan_status · labels · order · order:<goal> · participants · problems:<id> · membership:<goal>
             parent_map:<child> · relations:<from>|<type>|<to> · intervention:<id>
             steps:<id> · step:<id>.kind|who|text|schedule|status
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import msgspec

from fhirgoals.domain.records import Goal, Measure, Participant, Plan, Step, Target

Json: TypeAlias = Any
"""A JSON tree: raw by nature."""

Values: TypeAlias = dict["Unit", Json]


class Unit(NamedTuple):
    """One merge unit: the goal's or plan's id, and the unit's name there."""

    owner: str
    name: str

    @property
    def family(self) -> str:
        """The unit's name in `fields.csv`: `note:n1` belongs to `note:<id>`, `steps:s1` to `steps`."""
        return _family(self.name)

    @property
    def member(self) -> str:
        """The member's key in a keyed set (`n1` of `note:n1`, `s1` of `step:s1.text`), else the empty string."""
        head, _, member = self.name.partition(":")
        return member.rpartition(".")[0] if head == "step" else member


@lru_cache(maxsize=4096)
def _family(name: str) -> str:
    head, _, member = name.partition(":")
    if not member:
        return head
    match head:
        case "step":
            return "step:<id>." + member.rpartition(".")[2]
        case "target" | "note" | "intervention":
            return f"{head}:<id>"
        case "acceptance":
            return "acceptance:<participant>"
        case _:
            return head


@dataclass(frozen=True)
class Pair:
    """The values of one unit when both sides last agreed, ours and theirs, and our revision then; `None` = not there.

    They differ where the server holds less than it was given (it cuts, or drops extensions).
    """

    ours: Json
    theirs: Json
    rev: int


CONTRIBUTORS = ("client", "primary_therapist", "clinical_supervisor", "prescriber")
"""The roles that a CarePlan names as contributors (`fields.csv`, Participant.ref); the others are never named."""

STEP_PARTS = ("kind", "who", "text", "schedule", "status")


def plain(value: object) -> Json:
    """Return a record, date or tuple as a JSON tree; decimals stay decimals."""
    if value is None or type(value) is str:
        return value
    return msgspec.to_builtins(value, builtin_types=(Decimal,))


def units(plan: Plan) -> Values:
    """Take a plan apart into its merge units; what has no value is left out."""
    return {unit: value for unit, value in _all(plan) if value or value not in (None, {}, [])}


def touched(before: Plan | None, after: Plan) -> dict[Unit, tuple[Json, Json]]:
    """Return the units that differ between two versions of a plan, each with its old and new value."""
    old = units(before) if before else {}
    new = units(after)
    return {
        unit: (old.get(unit), new.get(unit))
        for unit in sorted(old.keys() | new.keys())
        if not same_value(old.get(unit), new.get(unit))
    }


def same_value(one: Json, other: Json) -> bool:
    """Tell whether two unit values are equal, digits of decimals included; the order of keys does not count."""
    return one is other or value_text(one) == value_text(other)


_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def value_text(value: Json) -> bytes:
    """Return a text that is the same for equal unit values."""
    return _encoder.encode(value)


def outline(plan: Plan) -> tuple[str, ...]:
    """Return the ids of the plan's goals depth first: each root in file order, followed by its children.

    Goals whose parent is missing, and those of a cycle, follow at the end in file order, so that none is left out.
    """
    children: dict[str | None, list[str]] = {}
    known = {goal.id for goal in plan.goals}
    for goal in plan.goals:
        children.setdefault(goal.parent if goal.parent in known else None, []).append(goal.id)
    order: list[str] = []
    seen: set[str] = set()
    pending = list(reversed(children.get(None, [])))
    while pending:
        goal_id = pending.pop()
        if goal_id in seen:
            continue
        seen.add(goal_id)
        order.append(goal_id)
        pending.extend(reversed(children.get(goal_id, [])))
    return (*order, *(goal.id for goal in plan.goals if goal.id not in seen))


def default_performer(plan: Plan, owner: object) -> str | None:
    """Return the participant who does a step of that owner where the step names none: the client or the therapist."""
    role = {"client": "client", "therapist": "primary_therapist"}.get(owner) if isinstance(owner, str) else None
    found = [participant.id for participant in plan.participants if participant.role == role]
    return found[0] if len(found) == 1 else None


def target_value(plan: Plan, target: Target) -> Json:
    """Return the value of a target unit: what is measured, in which unit, what shall be reached and by when."""
    measure = next((one for one in plan.measures if one.id == target.measure), None)
    parts: dict[str, Json] = {}
    if measure is not None:
        code = measure.code and {"system": measure.code.system, "code": measure.code.code}
        # A measure of the practice's own has no name but its code (`fields.csv`, Measure.instrument).
        own = measure.instrument == "custom" and measure.code is not None
        instrument = measure.code.code.replace("-", " ") if own and measure.code else measure.instrument
        parts = _given(instrument=instrument, code=code, unit=measure.unit, foreign=measure.foreign_code)
    return parts | _given(
        op=target.op,
        value=target.value,
        range=target.range,
        by=target.by,
        sustain=target.sustain,
        detail=target.foreign_detail,
    )


def _given(**parts: object) -> dict[str, Json]:
    return {name: plain(part) for name, part in parts.items() if part is not None}


def _all(plan: Plan) -> Iterator[tuple[Unit, Json]]:
    yield Unit(plan.id, "title"), plan.title
    end = plan.end_date if plan.status in ("completed", "revoked") else plan.planned_end_date
    yield Unit(plan.id, "plan_status"), _given(status=plan.status, start=plan.start_date, end=end)
    yield Unit(plan.id, "order"), list(outline(plan))
    yield Unit(plan.id, "labels"), sorted({label for goal in plan.goals for label in goal.sensitivities})
    yield Unit(plan.id, "participants"), sorted(p.id for p in plan.participants if p.role in CONTRIBUTORS)
    for problem in plan.problems:
        yield Unit(plan.id, f"problems:{problem.id}"), True
    for intervention in plan.interventions:
        yield (
            Unit(plan.id, f"intervention:{intervention.id}"),
            _given(
                modality=intervention.modality,
                technique=intervention.technique,
                by=intervention.by,
                frequency=intervention.frequency,
                goals=sorted(intervention.goals),
                code=intervention.code and {"system": intervention.code.system, "code": intervention.code.code},
            ),
        )
    for goal in plan.goals:
        yield from _of_goal(plan, goal)


def _of_goal(plan: Plan, goal: Goal) -> Iterator[tuple[Unit, Json]]:
    yield Unit(goal.id, "text"), goal.text
    yield Unit(goal.id, "client_words"), goal.client_words
    yield Unit(goal.id, "axes"), _given(horizon=goal.horizon, nature=goal.nature)
    yield Unit(goal.id, "category"), plain(goal.domain)
    yield Unit(goal.id, "priority"), plain(goal.priority)
    yield (
        Unit(goal.id, "status"),
        _given(
            lifecycle=goal.lifecycle,
            achievement=goal.achievement,
            closure_reason=goal.closure_reason,
            status_date=goal.status_date,
            status_reason=goal.status_reason,
        ),
    )
    yield Unit(goal.id, "start_date"), plain(goal.start_date)
    yield Unit(goal.id, "target_date"), plain(goal.target_date)
    yield Unit(goal.id, "completion_criterion"), goal.completion_criterion
    yield Unit(goal.id, "expressed_by"), goal.expressed_by
    yield Unit(goal.id, "labels"), sorted(goal.sensitivities)
    for problem in goal.addresses:
        yield Unit(goal.id, f"addresses:{problem}"), True
    for target in goal.targets:
        yield Unit(goal.id, f"target:{target.key}"), target_value(plan, target)
    for acceptance in goal.acceptance:
        yield (
            Unit(goal.id, f"acceptance:{acceptance.by}"),
            _given(status=acceptance.status, priority=acceptance.priority),
        )
    for entry in goal.progress:
        yield (
            Unit(goal.id, f"note:{entry.id}"),
            _given(
                kind="progress",
                date=entry.date,
                author=entry.author,
                author_text=entry.author_text,
                text=entry.text,
            ),
        )
    for victory in goal.achievements:
        yield (
            Unit(goal.id, f"note:{victory.id}"),
            _given(kind="victory", date=victory.date, author=victory.noted_by, text=victory.text),
        )
    yield Unit(plan.id, f"membership:{goal.id}"), True
    yield Unit(plan.id, f"parent_map:{goal.id}"), [goal.parent] if goal.parent else None
    for predecessor in goal.predecessors:
        yield Unit(plan.id, f"relations:{goal.id}|predecessor|{predecessor}"), True
    if goal.replaced_by:
        yield Unit(plan.id, f"relations:{goal.id}|replacement|{goal.replaced_by}"), True
    yield Unit(plan.id, f"order:{goal.id}"), [step.id for step in sorted(goal.steps, key=lambda step: step.n)]
    for step in goal.steps:
        yield from _of_step(plan, goal, step)


def _of_step(plan: Plan, goal: Goal, step: Step) -> Iterator[tuple[Unit, Json]]:
    yield Unit(plan.id, f"steps:{step.id}"), {"goal": goal.id}
    yield Unit(plan.id, f"step:{step.id}.kind"), plain(step.kind)
    performer = step.participant or default_performer(plan, step.owner)
    yield Unit(plan.id, f"step:{step.id}.who"), _given(owner=step.owner, participant=performer)
    yield Unit(plan.id, f"step:{step.id}.text"), step.text
    yield Unit(plan.id, f"step:{step.id}.schedule"), _given(frequency=step.frequency, scheduled=step.scheduled)
    yield Unit(plan.id, f"step:{step.id}.status"), _given(status=step.status, done_on=step.done_on)


def participants_of(plan: Plan, roles: Iterable[str]) -> tuple[Participant, ...]:
    """Return the plan's participants of those roles, in file order."""
    wanted = set(roles)
    return tuple(participant for participant in plan.participants if participant.role in wanted)


def measure_of(plan: Plan, target: Target) -> Measure | None:
    """Return the measure that a target names, or `None` where the plan has none of that id."""
    return next((measure for measure in plan.measures if measure.id == target.measure), None)


Changes: TypeAlias = Mapping[Unit, Json]
"""Units with the value they shall have; `None` takes the unit away."""
