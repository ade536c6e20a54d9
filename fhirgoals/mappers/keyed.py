"""Lists whose members we read: aligned with what stands there, so that a surviving member keeps its element.

A member that is unchanged keeps its element as it is; a changed one changes only that leaf, and its element's id and
unknown extensions stay; a removed one goes; a new one comes in its place in the record's order. Elements that we do
not read keep their place behind the member they followed.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from fhirgoals.domain.records import Record
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers.lens import Lens, Mapper, exact

M = TypeVar("M")
R = TypeVar("R", bound=Record)

Rung: TypeAlias = Callable[[M], Hashable | None]
"""A member's key at one rung of the ladder; None where it has none there."""


@dataclass(frozen=True)
class Members(Generic[M]):
    """What a list holds: how an element reads (None = not ours), is made, and changes in place.

    `ladder` holds the keys that say which old member a new one continues, best first; members that are equal come
    before any of them. `apart` tells of two that they can't be the same one (their ids differ). With `by_position`,
    what is left and has no id is paired by its place in the list.
    """

    read: Callable[[Resource], M | None]
    fresh: Callable[[M], Resource]
    write: Callable[[Resource, M], None]
    ladder: tuple[Rung[M], ...] = ()
    apart: Callable[[M, M], bool] = lambda one, other: False
    by_position: bool = False


def whole(read: Callable[[Resource], M | None], fresh: Callable[[M], Resource]) -> Members[M]:
    """Return members that are their own key: a changed one is another one (a reference, a label, an edge)."""

    def write(element: Resource, member: M) -> None:
        raise AssertionError("a member that is its own key never changes")

    return Members(read, fresh, write)


def records(
    table: Mapper[R],
    readable: Callable[[Resource], bool],
    fresh: Callable[[R], Resource],
    ladder: tuple[Rung[R], ...],
    *,
    by_position: bool = False,
) -> Members[R]:
    """Return members that are records of their own table; `fresh` makes the least element that is `readable`."""

    def make(member: R) -> Resource:
        element = fresh(member)
        table.put(member, element)
        return element

    return Members(
        lambda element: table.from_fhir(element) if readable(element) else None,
        make,
        lambda element, member: table.put(member, element),
        ladder,
        _ids_differ,
        by_position,
    )


def keyed_list(key: str, members: Members[M]) -> Lens[tuple[M, ...]]:
    """Return the lens of the list at `key`. Anything but a list reads as empty and gives way to what is written."""

    def read(tree: Resource) -> tuple[M, ...]:
        elements = tree.get(key)
        if not isinstance(elements, list):
            return ()
        return tuple(m for m in (_member(members, element) for element in elements) if m is not None)

    def write(tree: Resource, value: tuple[M, ...]) -> None:
        found = tree.get(key)
        elements = _merged(members, found if isinstance(found, list) else [], value)
        if elements:
            tree[key] = elements
        else:
            tree.pop(key, None)

    return Lens(read, write)


def _member(members: Members[M], element: Tree) -> M | None:
    return members.read(element) if isinstance(element, dict) else None


def _merged(members: Members[M], elements: list[Tree], value: tuple[M, ...]) -> list[Tree]:
    """Return the new list: what was unread before the first member, then each member with what followed it."""
    old: list[M] = []
    places: list[int] = []
    for place, element in enumerate(elements):
        member = _member(members, element)
        if member is not None:
            old.append(member)
            places.append(place)
    continues = align(members, old, value)
    survives = {number for number in continues if number is not None}
    merged = list(elements[: places[0]] if places else elements)
    behind: dict[int, list[Tree]] = {}
    after = merged
    for number, place in enumerate(places):
        end = places[number + 1] if number + 1 < len(places) else len(elements)
        if number in survives:
            after = behind.setdefault(number, [])
        after.extend(elements[place + 1 : end])
    for member, continued in zip(value, continues, strict=True):
        if continued is None:
            merged.append(members.fresh(member))
            continue
        element = elements[places[continued]]
        if isinstance(element, dict) and exact(old[continued]) != exact(member):
            members.write(element, member)
        merged += [element, *behind[continued]]
    return merged


def align(members: Members[M], old: Sequence[M], new: Sequence[M]) -> list[int | None]:
    """Return for each new member the number of the old one that it continues, or None for one that is new."""
    continues: list[int | None] = [None] * len(new)
    free = dict(enumerate(old))
    for rung in (exact, *members.ladder):
        waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
        for number, member in free.items():
            key = rung(member)
            if key is not None:
                waiting[key].append(number)
        for place, member in enumerate(new):
            key = rung(member) if continues[place] is None and waiting else None
            candidates = waiting[key] if key is not None else ()
            for number in candidates:
                if not members.apart(old[number], member):
                    waiting[key].remove(number)
                    del free[number]
                    continues[place] = number
                    break
    if members.by_position:
        for place, member in enumerate(new):
            # One that has an id is known by it: in the place of another one, with none or another id, it is new.
            if continues[place] is None and place in free and _id(free[place]) is None and _id(member) is None:
                del free[place]
                continues[place] = place
    return continues


def _ids_differ(one: Record, other: Record) -> bool:
    """Tell whether both have an element id, and not the same."""
    return None not in (_id(one), _id(other)) and _id(one) != _id(other)


def _id(member: object) -> object:
    return getattr(member, "id", None)
