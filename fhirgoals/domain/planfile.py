"""Plan files, schema `fhirgoals-plan/1`: YAML or JSON text to a `Plan` and back to an equal one.

A file is refused as a whole, with every fault's path and rule and with no value of the file. Whether the plan makes
sense is for `invariants`; whether it may be stored, for the store.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from fhirgoals.domain import plan_yaml
from fhirgoals.domain.plan_yaml import Unreadable, Value, joined, shown_key
from fhirgoals.domain.records import Achievement, Goal, Plan, ProgressEntry, Record
from fhirgoals.errors import BadPlan

SCHEMA = "fhirgoals-plan/1"

E = TypeVar("E", ProgressEntry, Achievement)

_TOP_KEYS = (
    "client",
    "therapist",
    "participants",
    "problems",
    "disclosure",
    "sessions",
    "measures",
    "interventions",
    "goals",
    "reviews",
    "revisions",
)
_HEAD_KEYS = tuple(name for name in Plan.__struct_fields__ if name not in _TOP_KEYS)
_MINTED = uuid.UUID("6a0d0d4a-5a5f-5d0c-9a43-0b5b6b1c2f11")
_MAX_FAULTS_PER_PART = 10
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # FHIR R4 string: none below 32 but tab, line feed and return
_PLACE = re.compile(r" - at (`key` in )?`\$(?P<path>[^`]*)`\Z")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_KINDS = {
    "str": "text",
    "object": "a mapping",
    "array": "a list",
    "decimal": "a number",
    "int": "a whole number",
    "bool": "true or false",
}


class Fault(NamedTuple):
    """One thing wrong in a plan file: where, and the rule it breaks. Never a value."""

    path: str
    rule: str


class UnreadablePlan(BadPlan):
    """A plan file that does not load; `faults` lists everything found wrong, `str()` shows it."""

    def __init__(self, name: str, faults: tuple[Fault, ...]) -> None:
        lines = [f"{name}: this plan file was not read; mend it and try again"]
        lines += [f"  {fault.path}: {fault.rule}" if fault.path else f"  the file {fault.rule}" for fault in faults]
        super().__init__("\n".join(lines))
        self.name = name
        self.faults = faults


def load_plan(text: str | bytes, *, name: str) -> Plan:
    """Return the plan of a YAML file; `name` is what messages call the file. Raises `UnreadablePlan`.

    `null` means not given; `expected` is dropped. Notes and achievements without an id get one that stays the same
    as long as their day, author and visibility do, whatever is edited elsewhere.
    """
    return _loaded(text, name, plan_yaml.read_tree)


def load_plan_json(text: str | bytes, *, name: str) -> Plan:
    """Return the plan of a JSON file of the same layout (dates are strings). Raises `UnreadablePlan`."""
    return _loaded(text, name, _json_tree)


def dump_plan(plan: Plan) -> str:
    """Return a plan as the text of a YAML file that loads back to an equal plan."""
    return plan_yaml.write_tree(_file_tree(plan, keep=(Decimal, date)))


def dump_plan_json(plan: Plan) -> str:
    """Return a plan as the text of a JSON file that loads back to an equal plan; decimals keep their digits."""
    encoder = msgspec.json.Encoder(decimal_format="number")
    return msgspec.json.format(encoder.encode(_file_tree(plan, keep=(Decimal,)))).decode() + "\n"


def _file_tree(plan: Plan, *, keep: tuple[type, ...]) -> dict[str, Value]:
    tree = msgspec.to_builtins(plan, builtin_types=keep)
    head = {key: tree[key] for key in _HEAD_KEYS if key in tree}
    return {"schema": SCHEMA, "plan": head, **{key: tree[key] for key in _TOP_KEYS if key in tree}}


def _loaded(text: str | bytes, name: str, read: Callable[[str], Value]) -> Plan:
    try:
        whole = read(plan_yaml.decoded(text))
        _bounded(whole)
        if unwritable := tuple(_control_characters(whole)):
            raise UnreadablePlan(name, unwritable[:_MAX_FAULTS_PER_PART])
        tree = _plan_tree(whole, name)
    except Unreadable as error:
        raise UnreadablePlan(name, (Fault(error.path, error.rule),)) from None
    try:
        plan = msgspec.convert(tree, Plan, builtin_types=(Decimal,))
    except msgspec.ValidationError:
        raise UnreadablePlan(name, _faults(tree)) from None
    return with_ids(plan)


def _json_tree(text: str) -> Value:
    """Read JSON with exact decimals; refuses a key twice, NaN, and what the YAML reader refuses by size and depth."""

    def pairs(members: list[tuple[str, Value]]) -> dict[str, Value]:
        tree: dict[str, Value] = {}
        for key, value in members:
            if key in tree:
                raise Unreadable("", f"has the key {shown_key(key)} twice in one object: remove one")
            tree[key] = value
        return tree

    def number(digits: str) -> Decimal:
        if len(digits) > 2 * plan_yaml.MAX_DIGITS or plan_yaml.is_too_long(decimal := Decimal(digits)):
            raise Unreadable("", "holds a number that is too long")
        return decimal

    def whole(digits: str) -> int:
        return int(number(digits))

    def constant(_: str) -> NoReturn:
        raise Unreadable("", "holds NaN or Infinity, which JSON has not")

    try:
        tree: Value = json.loads(
            text, object_pairs_hook=pairs, parse_float=number, parse_int=whole, parse_constant=constant
        )
    except json.JSONDecodeError as error:
        raise Unreadable("", f"line {error.lineno}, column {error.colno}: the JSON is broken here") from None
    except RecursionError:
        raise Unreadable("", f"nests more than {plan_yaml.MAX_DEPTH} levels") from None
    return tree


def _bounded(tree: Value) -> None:
    layer, depth, nodes = [tree], 0, 0
    while layer:
        if depth > plan_yaml.MAX_DEPTH:
            raise Unreadable("", f"nests more than {plan_yaml.MAX_DEPTH} levels")
        nodes += len(layer)
        if nodes > plan_yaml.MAX_NODES:
            raise Unreadable("", f"holds more than {plan_yaml.MAX_NODES} values: split it, one plan a file")
        below: list[Value] = []
        for node in layer:
            if isinstance(node, dict):
                below += [*node, *node.values()]
            elif isinstance(node, list):
                below += node
            elif isinstance(node, str):
                plan_yaml.checked_text(node)
        layer, depth = below, depth + 1


def _control_characters(tree: Value, path: str = "") -> Iterator[Fault]:
    """Yield the path of every text or key that no FHIR string and no narrative could carry."""
    texts = [(joined(path, key), key) for key in tree] if isinstance(tree, dict) else [(path, tree)]
    unwritable = (at for at, text in texts if isinstance(text, str) and _CONTROL.search(text))
    yield from (Fault(at, "holds a control character that no text may have") for at in unwritable)
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in parts:
        yield from _control_characters(value, joined(path, name))


def _plan_tree(tree: Value, name: str) -> dict[str, Value]:
    """Check the file's outermost layout and return the tree of the `Plan` record."""
    if not isinstance(tree, dict):
        raise Unreadable("", "must be a mapping with schema, plan, client or therapist, goals …")
    if tree.get("schema") != SCHEMA:
        raise Unreadable("schema", f"is not {SCHEMA}, the only one that this version reads")
    head = tree.get("plan")
    if not isinstance(head, dict):
        raise Unreadable("plan", "must be given and be a mapping")
    known = {"schema", "plan", "expected", *_TOP_KEYS}
    faults = [Fault(joined("", key), "is no field of a plan file") for key in tree if key not in known]
    faults += [Fault(joined("plan", key), "is no field of a plan") for key in head if key not in _HEAD_KEYS]
    if faults:
        raise UnreadablePlan(name, tuple(faults))
    return {key: _normal(value, key) for key, value in [*head.items(), *tree.items()] if _given(key, value)}


def _given(key: str, value: Value) -> bool:
    return value is not None and key not in ("schema", "plan", "expected")


@cache
def _decimal_keys() -> frozenset[str]:
    """The names of fields that hold decimals, whose whole numbers become `Decimal` too."""
    found: set[str] = set()
    for record in Record.__subclasses__():
        for key, kind in _hints(record).items():
            if Decimal in _alternatives(kind) or any(Decimal in get_args(each) for each in _alternatives(kind)):
                found.add(key)
    return frozenset(found)


def _normal(value: Value, key: str) -> Value:
    """Drop members that are null, and give every number of a decimal field the type `Decimal`."""
    match value:
        case dict():
            if key == "changes":
                return {name: _raw(each) if name in ("from", "to") else each for name, each in value.items()}
            return {name: _normal(each, name) for name, each in value.items() if each is not None}
        case list():
            return [_normal(each, key) for each in value]
        case bool():
            return value
        case int() if key in _decimal_keys():
            return Decimal(value)
        case _:
            return value


def _raw(value: Value) -> Value:
    """The value of a `Change`: as JSON has it, so that a day is the same from YAML and from JSON."""
    match value:
        case dict():
            return {name: _raw(each) for name, each in value.items()}
        case list():
            return [_raw(each) for each in value]
        case date():
            return value.isoformat()
        case _:
            return value


def _hints(record: type) -> dict[str, Any]:
    """The type of each field of a record, by its name in a file."""
    hints = get_type_hints(record)
    fields = msgspec.structs.fields(record)
    return {field.encode_name: hints[field.name] for field in fields}


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _faults(tree: dict[str, Value]) -> tuple[Fault, ...]:
    """Name every fault of a tree that is no `Plan`, part by part: the first fault of a value hides no other value's."""
    hints = _hints(Plan)
    faults: list[Fault] = []
    for key in ("id", "kind", "status"):
        if key not in tree:
            faults.append(Fault(f"plan.{key}", "is missing"))
    for key, value in tree.items():
        path = key if key in _TOP_KEYS else f"plan.{key}"
        inner = get_args(hints[key]) if get_origin(hints[key]) is tuple else ()
        if isinstance(value, list) and len(inner) == 2 and inner[1] is Ellipsis:
            for index, item in enumerate(value):
                faults += _part_faults(item, inner[0], f"{path}[{index}]")
        else:
            faults += _part_faults(value, hints[key], path)
    return tuple(faults)


def _part_faults(part: Value, kind: Any, path: str) -> list[Fault]:
    faults: list[Fault] = []
    while len(faults) < _MAX_FAULTS_PER_PART:
        try:
            msgspec.convert(part, kind, builtin_types=(Decimal,))
        except msgspec.ValidationError as error:
            fault, steps = _fault(str(error), kind, path)
        else:
            break
        if any(fault.path == before.path for before in faults):
            break  # the field that was taken out is also required: said already
        faults.append(fault)
        if not _taken_out(part, steps):
            break
    return faults


def _taken_out(part: Value, steps: list[str | int]) -> bool:
    """Take the faulty member out, so that the next fault shows; say whether that was possible."""
    holder = part
    for step in steps[:-1]:
        if isinstance(holder, dict) and isinstance(step, str):
            holder = holder.get(step)
        elif isinstance(holder, list) and isinstance(step, int):
            holder = holder[step]
        else:
            return False
    if steps and isinstance(holder, dict) and isinstance(steps[-1], str):
        return holder.pop(steps[-1], None) is not None
    return False


def _fault(message: str, kind: Any, prefix: str) -> tuple[Fault, list[str | int]]:
    """Turn a message of the decoder, which may quote the file, into path and rule; and the steps to the fault."""
    place = _PLACE.search(message)
    said = message[: place.start()] if place else message
    steps: list[str | int] = []
    for name, index in _STEP.findall(place["path"] if place else ""):
        steps.append(name or (int(index) if index.isdigit() else index))
    if member := re.match(r"Object (contains unknown|missing required) field `(.*)`\Z", said, re.DOTALL):
        steps.append(member[2])
        rule = "is missing" if member[1].startswith("missing") else "is no field of this record"
    else:
        rule = _rule(said, kind, steps)
    path = prefix
    for step in steps:
        path = joined(path, step) if step != "..." else path
    return Fault(path, rule), steps


def _rule(said: str, kind: Any, steps: list[str | int]) -> str:
    if said.startswith("Invalid enum value"):
        allowed = _allowed(kind, steps)
        return "is not one of " + ", ".join(allowed) if allowed else "is not one of the allowed words"
    if said.startswith(("Invalid RFC3339", "Expected `date")):
        return "must be a day, YYYY-MM-DD"
    if wrong := re.match(r"Expected `([a-z |]+)`", said):
        wanted = " or ".join(_KINDS.get(each, each) for each in wrong[1].split(" | ") if each != "null")
        hint = ": put it in quotes" if wanted.startswith("text") and "mapping" not in wanted else ""
        return f"must be {wanted}{hint}"
    return "is of the wrong shape"


def _allowed(kind: Any, steps: list[str | int]) -> tuple[str, ...]:
    """The words that the list of codes at a path allows."""
    for step in steps:
        found: Any = None
        for each in _alternatives(kind):
            if isinstance(step, int) and get_origin(each) is tuple:
                found = get_args(each)[0]
            elif isinstance(step, str) and isinstance(each, type) and issubclass(each, Record):
                found = _hints(each).get(step)
        if found is None:
            return ()
        kind = found
    words = [word for each in _alternatives(kind) if get_origin(each) is Literal for word in get_args(each)]
    return tuple(words)


def with_ids(plan: Plan) -> Plan:
    """Give notes and achievements without an id one that other edits do not change."""
    return msgspec.structs.replace(plan, goals=tuple(_goal_with_ids(goal) for goal in plan.goals))


def _goal_with_ids(goal: Goal) -> Goal:
    if all(entry.id for entry in goal.progress) and all(entry.id for entry in goal.achievements):
        return goal
    return msgspec.structs.replace(
        goal,
        progress=_entries_with_ids(goal, goal.progress, "pe", _progress_key),
        achievements=_entries_with_ids(goal, goal.achievements, "ac", _achievement_key),
    )


def _progress_key(entry: ProgressEntry) -> str:
    return "/".join((_day(entry.date), entry.author or "", entry.author_text or "", entry.visibility))


def _achievement_key(entry: Achievement) -> str:
    return "/".join((_day(entry.date), entry.noted_by or "", str(entry.share)))


def _day(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else ""


def _entries_with_ids(goal: Goal, entries: tuple[E, ...], mark: str, key: Callable[[E], str]) -> tuple[E, ...]:
    """Key the id by what seldom changes: a note keeps its id when its text is mended or another note comes."""
    seen: Counter[str] = Counter()
    taken: set[str | None] = {entry.id for entry in entries}
    found: list[E] = []
    for entry in entries:
        if entry.id is not None:
            found.append(entry)
            continue
        name, minted = key(entry), ""
        while not minted or minted in taken:
            minted = f"{mark}-{uuid.uuid5(_MINTED, f'{goal.id}/{mark}/{name}/{seen[name]}').hex[:12]}"
            seen[name] += 1
        taken.add(minted)
        found.append(msgspec.structs.replace(entry, id=minted))
    return tuple(found)
