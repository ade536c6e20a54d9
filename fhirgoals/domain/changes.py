"""The difference of two plans as a list of changes, and a change put into a plan: what replaying needs.

A change names its place by ids, so that it stays right when other things move: `goals[g-ba].targets[m-ba].value`.
`goals[]` is the order of a list by its keys, `readings[+]` something added to a list whose members have no keys. Values
are JSON trees in our own terms, decimals with their digits; `None` = not given, or not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, get_args

import msgspec

from fhirgoals.domain.records import (
    Acceptance,
    Achievement,
    Change,
    Consent,
    Foreign,
    Goal,
    Intervention,
    Measure,
    Origin,
    Participant,
    Plan,
    Problem,
    ProgressEntry,
    Reading,
    Record,
    Review,
    Revision,
    Session,
    Signature,
    Step,
    Target,
    fields_of,
)
from fhirgoals.domain.units import Json, plain, same_value
from fhirgoals.errors import Bug

replace = msgspec.structs.replace

KEYS: Mapping[type[Record], Callable[[Any], object]] = {
    **dict.fromkeys(
        (Participant, Problem, Session, Measure, Intervention, Goal, Review, Consent, Step), lambda one: one.id
    ),
    ProgressEntry: lambda one: one.id,
    Achievement: lambda one: one.id,
    Target: lambda one: one.key,
    Acceptance: lambda one: one.by,
    Signature: lambda one: one.by,
    Revision: lambda one: str(one.rev),
    Reading: lambda one: f"{one.date.isoformat()}/{one.rater or ''}",
}
"""What tells the members of a list apart, by their record. Members of other records have no key."""

_KEY = re.compile(r"[^\[\]]+\Z")
_WHOLE: tuple[type[Record], ...] = (Foreign, Origin, Change)
"""Records that change as a whole."""


class NotReplayable(Bug):
    """A change that does not fit the plan it is put into."""

    def __init__(self, field: str) -> None:
        super().__init__(f"the change at {field} does not fit the plan it is put into")
        self.field = field


class Hop(NamedTuple):
    """One hop of a change's place: a field's name, or a member's key."""

    name: str | None = None
    key: str | None = None


Hops: TypeAlias = tuple[Hop, ...]
_HOP = re.compile(r"\.?([A-Za-z_]+)|\[([^\[\]]*)\]")


def hops_of(field: str) -> Hops:
    """Return the hops of a change's place; raises `NotReplayable` for a text that is none."""
    found, end = [], 0
    while end < len(field):
        match = _HOP.match(field, end)
        if match is None:
            raise NotReplayable(field)
        found.append(Hop(name=match[1]) if match[1] else Hop(key=match[2]))
        end = match.end()
    return tuple(found)


def changes(before: Record, after: Record) -> tuple[Change, ...]:
    """Return what leads from one version of a record to another, in the order of its fields."""
    return tuple(_record("", before, after))


def with_change(plan: Plan, change: Change) -> Plan:
    """Return the plan with one change made; raises `NotReplayable` where it does not fit, `from` included."""
    changed: Plan = _put(plan, Plan, hops_of(change.field), change)
    return changed


# -- the difference ----------------------------------------------------------------------------------------------------


def _record(path: str, before: Record, after: Record) -> Iterator[Change]:
    for field in fields_of(type(before)):
        one, other = getattr(before, field.name), getattr(after, field.name)
        if one is not other:
            yield from _value(f"{path}.{field.name}" if path else field.name, one, other, field.type)


def _value(path: str, before: Any, after: Any, kind: Any) -> Iterator[Change]:
    member = _member(kind)
    if isinstance(before, tuple) and member is not None and issubclass(member, Record):
        yield from _members(path, before, after, member)
    elif isinstance(before, Record) and type(before) is type(after) and not isinstance(before, _WHOLE):
        yield from _record(path, before, after)
    elif not same_value(plain(before), plain(after)):
        yield _change(path, before, after)


def _members(path: str, before: tuple[Any, ...], after: tuple[Any, ...], kind: type[Record]) -> Iterator[Change]:
    one, other = _keyed(before, kind), _keyed(after, kind)
    if one is None or other is None:
        yield from _unkeyed(path, before, after)
        return
    for key, member in one.items():
        if key not in other:
            yield _change(f"{path}[{key}]", member, None)
        elif member is not other[key]:
            yield from _value(f"{path}[{key}]", member, other[key], kind)
    for key, member in other.items():
        if key not in one:
            yield _change(f"{path}[{key}]", None, member)
    standing = [*(key for key in one if key in other), *(key for key in other if key not in one)]
    if standing != list(other):
        yield _change(f"{path}[]", standing, list(other))


def _unkeyed(path: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> Iterator[Change]:
    if same_value(plain(before), plain(after)):
        return
    if len(after) > len(before) and same_value(plain(before), plain(after[: len(before)])):
        for added in after[len(before) :]:
            yield _change(f"{path}[+]", None, added)
    else:
        yield _change(path, before, after)


def _keyed(members: tuple[Any, ...], kind: type[Record]) -> dict[str, Any] | None:
    """The members by key, or `None` where they have none, or not each its own."""
    key_of = KEYS.get(kind)
    if key_of is None:
        return None
    found: dict[str, Any] = {}
    for each in members:
        key = key_of(each)
        if not isinstance(key, str) or not _KEY.match(key) or key == "+" or key in found:
            return None
        found[key] = each
    return found


def _member(kind: Any) -> type | None:
    """The record of a list's members, for the type of a field that is a list of any length."""
    inside = get_args(kind)
    return inside[0] if len(inside) == 2 and inside[1] is Ellipsis and isinstance(inside[0], type) else None


def _change(path: str, before: object, after: object) -> Change:
    # An empty list is "not there", like the default that leaves no trace in a file.
    return Change(field=path, from_=_tree(before), to=_tree(after))


def _tree(value: object) -> Json:
    tree = _listed(plain(value))
    return None if tree in ([], {}) else tree


def _listed(tree: Json) -> Json:
    """Return a tree with lists for tuples, as JSON has it."""
    match tree:
        case dict():
            return {key: _listed(each) for key, each in tree.items()}
        case list() | tuple():
            return [_listed(each) for each in tree]
        case _:
            return tree


# -- a change put into a plan ------------------------------------------------------------------------------------------


def _put(value: Any, kind: Any, hops: Hops, change: Change) -> Any:
    """Return a value of that type with the change made at the end of the hops."""
    if not hops:
        _fits(value, change)
        return _typed(change.to, kind, change)
    hop, rest = hops[0], hops[1:]
    if hop.name is not None:
        return _put_field(value, hop.name, rest, change)
    member = _member(kind)
    if member is None or not isinstance(value, tuple) or hop.key is None:
        raise NotReplayable(change.field)
    if hop.key == "+":
        return (*value, _typed(change.to, member, change))
    keyed = _keyed(value, member)
    if keyed is None:
        raise NotReplayable(change.field)
    if not hop.key:
        return _ordered(keyed, change)
    changed = _put(keyed.get(hop.key), member, rest, change) if rest or change.to is not None else None
    if changed is None:
        _fits(keyed.pop(hop.key, None), change)
    else:
        keyed[hop.key] = changed
    return tuple(keyed.values())


def _put_field(value: Any, name: str, rest: Hops, change: Change) -> Record:
    if not isinstance(value, Record):
        raise NotReplayable(change.field)
    field = next((each for each in fields_of(type(value)) if each.name == name), None)
    if field is None:
        raise NotReplayable(change.field)
    old = getattr(value, name)
    if not rest and change.to is None:
        _fits(old, change)
        new = field.default if field.default is not msgspec.NODEFAULT else _made(field.default_factory, change)
    else:
        new = _put(old, field.type, rest, change)
    changed: Record = replace(value, **{name: new})
    return changed


def _made(factory: Any, change: Change) -> Any:
    if factory is msgspec.NODEFAULT:
        raise NotReplayable(change.field)
    return factory()


def _ordered(keyed: dict[str, Any], change: Change) -> tuple[Any, ...]:
    if list(keyed) != (change.from_ or []) or sorted(keyed) != sorted(change.to or []):
        raise NotReplayable(change.field)
    return tuple(keyed[key] for key in change.to or [])


def _fits(value: object, change: Change) -> None:
    # A field that stands at its default may be told as not given.
    if not same_value(_tree(value), change.from_) and not (change.from_ is None and value is False):
        raise NotReplayable(change.field)


def _typed(tree: Json, kind: Any, change: Change) -> Any:
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError:
        raise NotReplayable(change.field) from None
