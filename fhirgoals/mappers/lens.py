"""Tables that read and write a JSON tree field by field.

A row reads one value out of a tree and writes one into it. `Mapper.to_fhir` writes a row only where what is read
differs from what is wanted: what no row owns survives to the byte, and the two directions can't drift apart.
The laws, which `tests/laws` hold for every record g that can be read from some tree, and every tree r:
`from_fhir(to_fhir(g, r)) == g`, `to_fhir(from_fhir(r), r) == r`, `from_fhir(to_fhir(g, {})) == g`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast

import msgspec

from fhirgoals.domain.records import Record
from fhirgoals.errors import Bug
from fhirgoals.fhir.exact_json import Resource, Tree

V = TypeVar("V")
R = TypeVar("R", bound=Record)

_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Lens(Generic[V]):
    """One value in a tree. `read` takes any tree and never raises; `write` changes the tree in place.

    After `write(tree, value)`, `read(tree)` is `value`, and no other lens of the table reads other than before.
    """

    read: Callable[[Resource], V]
    write: Callable[[Resource, V], None]


@dataclass(frozen=True)
class Field:
    """One row: the record's field `name`, its R4 paths and merge units as `fields.csv` spells them, both directions.

    With `parts` the row holds several fields of the record that stand in one place; its value is a tuple.
    """

    name: str
    paths: tuple[str, ...]
    unit: str
    read: Callable[[Resource], object]
    write: Callable[[Resource, object], None]
    parts: tuple[str, ...] = ()

    @property
    def units(self) -> tuple[str, ...]:
        """The merge units of the row's values: one, or for a list the set's and its members'."""
        return tuple(self.unit.split("; "))

    def value(self, record: Record) -> object:
        """Return what the record holds for this row."""
        if self.parts:
            return tuple(getattr(record, part) for part in self.parts)
        return getattr(record, self.name)


def row(name: str, lens: Lens[V], paths: str = "", unit: str = "", parts: tuple[str, ...] = ()) -> Field:
    """Return the row of a lens; `paths` and `unit` list several separated by `; `, as in `fields.csv`."""
    # The one place where a value's type is erased: a table holds rows of many types.
    write = cast("Callable[[Resource, object], None]", lens.write)
    return Field(name, tuple(paths.split("; ")) if paths else (), unit, lens.read, write, parts)


class Mapper(Generic[R]):
    """A table of rows between one kind of JSON object and one kind of record."""

    def __init__(self, record_type: type[R], fields: tuple[Field, ...]) -> None:
        self.record_type = record_type
        self.fields = fields

    def from_fhir(self, tree: Resource) -> R:
        """Return what the table reads; any JSON object will do, and the tree is not changed."""
        values: dict[str, object] = {}
        for field in self.fields:
            value = field.read(tree)
            if field.parts:
                values.update(zip(field.parts, cast("tuple[object, ...]", value), strict=True))
            else:
                values[field.name] = value
        return self.record_type(**values)

    def to_fhir(self, record: R, onto: Resource) -> Resource:
        """Return a copy of `onto` in which every row reads as `record` says.

        Raises `InputError` for a kept foreign value that can't stand where it is to go, and `Bug` for a code that
        has no wire form (a draft is never sent).
        """
        tree = copy(onto)
        self.put(record, tree)
        return tree

    def put(self, record: R, tree: Resource) -> None:
        """Write into the tree itself, each row only where it reads as something else."""
        for field in self.fields:
            value = field.value(record)
            if not same(field.read(tree), value):
                field.write(tree, value)

    def replace(self, field: Field) -> Mapper[R]:
        """Return this table with the row of the same name replaced: how a vendor's deviation is told."""
        if field.name not in {old.name for old in self.fields}:
            raise Bug(f"no row {field.name} in the table of {self.record_type.__name__}")
        return Mapper(self.record_type, tuple(field if old.name == field.name else old for old in self.fields))

    def field(self, name: str) -> Field:
        """Return the row of that name; raises `KeyError`."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def only_reading(field: Field) -> Field:
    """Return the row as one that never writes: for a server that keeps the element to itself."""
    return replace(field, write=lambda tree, value: None)


def same(one: object, other: object) -> bool:
    """Tell whether two values are the same to the digit: 7.10 is not 7.1."""
    if one != other:
        return False
    # Equal by Python's measure; of what a row can hold only a tuple may hide decimals that differ in their digits.
    return not isinstance(one, tuple) or one == () or exact(one) == exact(other)


def exact(value: object) -> bytes:
    """Return a text that is equal for two values only if they are the same to the digit."""
    return _encoder.encode(value)


def copy(tree: Resource) -> Resource:
    """Return a deep copy of an object."""
    return {key: _copy(value) for key, value in tree.items()}


def _copy(tree: Tree) -> Tree:
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_copy(value) for value in tree]
    return tree
