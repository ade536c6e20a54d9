"""What collects the merge units of one reading; shared by the two halves of `assemble`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from fhirgoals.domain.records import Foreign
from fhirgoals.domain.units import Json, Unit, Values, plain, value_text
from fhirgoals.fhir.terminology import ACT_CODE, INBOUND_SENSITIVITIES
from fhirgoals.mappers.refs import Refs

_CUT = 8
"""The fewest characters by which a text that was cut is known again."""


class Assembly:
    """Collects the units of one reading; `assemble` drives it."""

    def __init__(
        self, refs: Refs, known: Values, ids: Mapping[str, frozenset[str]], taken_out: frozenset[Unit] = frozenset()
    ) -> None:
        self.refs = refs
        self.taken_out = taken_out
        self.known = known
        self.ids = ids
        self.values: Values = {}
        self.held: dict[Unit, str] = {}
        self.born: set[Unit] = set()
        self.parents: dict[str, set[str]] = {}

    def put(self, owner: str, name: str, value: Json) -> None:
        """Keep a unit's value; nothing is kept where there is none."""
        if value or value not in (None, {}, [], ()):
            self.values[Unit(owner, name)] = value

    def put_text(self, owner: str, name: str, value: str | Foreign | None) -> None:
        """Keep a text; something else in its place can't be read and holds the unit."""
        if isinstance(value, Foreign):
            self.held[Unit(owner, name)] = "wrong_type"
            self.values[Unit(owner, name)] = plain(value)
        else:
            self.put(owner, name, value)


def labels_of(codes: Iterable[tuple[str, str]]) -> list[str]:
    """Return the sensitivity codes among labels, sorted."""
    return sorted({code for system, code in codes if system == ACT_CODE and code in INBOUND_SENSITIVITIES})


def by_beginning(text: Json, seen: Mapping[str, Json], taken: Sequence[str | None]) -> str | None:
    """Return the one member whose text, last seen whole, begins with this one: a server may cut what it stores.

    `seen` are texts by member, of those whose whole text stands nowhere any more; `taken` are members found already.
    """
    if not isinstance(text, str) or len(text) < _CUT:
        return None
    found = [
        member
        for member, whole in seen.items()
        if member not in taken and isinstance(whole, str) and len(whole) > len(text) and whole.startswith(text)
    ]
    return found[0] if len(found) == 1 else None


def minted(kind: str, *content: Json) -> str:
    """Return an id of ours for a member that was born at an EHR; the same content gives the same id."""
    mark = hashlib.sha256(b"\0".join(value_text(part) for part in content)).hexdigest()[:12]
    return f"{kind}-{mark}"


def given(**parts: object) -> dict[str, Json]:
    """Return the parts that are there, as JSON trees."""
    return {name: plain(part) for name, part in parts.items() if part is not None}
