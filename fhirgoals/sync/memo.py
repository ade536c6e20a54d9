"""Keeps the last few results of a pure function of values that never change, known by identity: plans and trees."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class LastFew(Generic[T]):
    """The results for the last few values. A value is kept with its result, so that its identity stays its own."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, tuple[object, T]] = OrderedDict()

    def of(self, value: object, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made for this very value and key before, else make it."""
        name = (id(value), key)
        known = self._kept.get(name)
        if known is not None and known[0] is value:
            self._kept.move_to_end(name)
            return known[1]
        made = make()
        self._kept[name] = (value, made)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return made


class Same:
    """A value as part of a key: equal only to the very same, which it keeps."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value
