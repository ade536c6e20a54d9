"""Where the parts of a merge unit came from: an EHR's part stays its own until somebody else changes it (design 5.5).

Pure. A part is named by its path (`status_date`, `sustain.count`, `goals.g-1`; `.SUD` of a bare list); a value without
parts is one part, named by the empty path. Codings and foreign values are one part each: half a code says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from fhirgoals.domain.units import Json, value_text

Parts: TypeAlias = Mapping[str, str]
"""The connection that a part came from, by its path; a part that is not named is our own."""


@dataclass(frozen=True)
class Source:
    """Where a unit's value came from.

    `last` is the connection whose edit its last change was, `None` for one of a person here. `parts` is `None` where
    everything in it came with that change, or where it was stored before parts were told apart.
    """

    last: str | None
    parts: Parts | None = None

    @property
    def connections(self) -> frozenset[str]:
        """Every EHR of which something is in the unit."""
        return frozenset([*([self.last] if self.last else ()), *(self.parts or {}).values()])

    def of(self, value: Json) -> Parts:
        """Return where each part of the value came from."""
        if self.parts is not None:
            return self.parts
        return dict.fromkeys(_texts(value), self.last) if self.last else {}


OURS = Source(None)
"""A person here wrote it."""


def changed(before: Source, old: Json, new: Json, origin: str | None, quoted: tuple[str, Json] | None = None) -> Source:
    """Return where a unit's value came from after a change of `origin` (`None` = a person here).

    A part that is as it was keeps its source. `quoted` is a connection and its value: a changed part that is the same
    there came from it, whoever typed it.
    """
    kept, was, now = before.of(old), _texts(old), _texts(new)
    theirs = _texts(quoted[1]) if quoted is not None else {}
    parts: dict[str, str] = {}
    for path, text in now.items():
        source = origin
        if was.get(path) == text:
            source = kept.get(path)
        elif quoted is not None and theirs.get(path) == text:
            source = quoted[0]
        if source is not None:
            parts[path] = source
    same = parts == (dict.fromkeys(now, origin) if origin is not None else {})
    return Source(origin, None if same else parts)


def _texts(value: Json) -> dict[str, bytes]:
    return dict(_leaves("", value))


def _leaves(path: str, value: Json) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, dict) and not ("foreign" in value or isinstance(value.get("code"), str)):
        for name, part in value.items():
            if (name, part) != ("op", "="):  # nobody said it: a figure without a comparator is read so
                yield from _leaves(f"{path}.{name}" if path else name, part)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            # Ids are members of a set, numbers are the ends of a range.
            yield f"{path}.{one if isinstance(one, str) else index}", value_text(one)
    elif value is not None:
        yield path, value_text(value)
