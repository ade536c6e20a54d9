"""Exact JSON: what is read is what is written, digit for digit.

Numbers with a point or exponent become `Decimal`, so `7.10`, `19.00` and `-0.0` keep value and digits.
Equality of trees is equality of their bytes (`same`): Python's `==` takes `7.1` for `7.10` and `1` for `True`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

import msgspec

from fhirgoals.errors import BadJson

Tree: TypeAlias = dict[str, "Tree"] | list["Tree"] | str | bool | int | Decimal | None
"""A JSON value: object, array, string, boolean, integer, decimal or null. Never a float."""

Resource: TypeAlias = dict[str, Tree]
"""A JSON object that is, or claims to be, a FHIR resource."""

MAX_DEPTH = 200
"""Deeper nesting is refused: no FHIR resource comes near it, and recursion over the tree stays safe."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_sorted_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def loads(raw: bytes | str) -> Tree:
    """Return the tree of a JSON text; a UTF-8 byte order mark is passed over.

    Raises `BadJson` for anything that is no JSON, wrong UTF-8, or nested deeper than `MAX_DEPTH`.
    """
    if isinstance(raw, bytes):
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    else:
        raw = raw.removeprefix("\ufeff")
    try:
        tree: Tree = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeError) as error:
        # msgspec names a byte position, never the text at it.
        position = str(error).rpartition("(byte ")[2].rstrip(")")
        where = f"byte {position}" if position.isdigit() else "an unknown byte"
        raise BadJson(f"not valid JSON (at {where}): mend the file or send it again as UTF-8 JSON") from None
    except RecursionError:
        raise BadJson(f"nested deeper than {MAX_DEPTH} levels: no FHIR resource is; refused") from None
    if _openings(raw) >= MAX_DEPTH:
        _check_depth(tree)
    return tree


def dumps(tree: Tree) -> bytes:
    """Return the JSON text of a tree, keys in their order, decimals with their digits."""
    return _encoder.encode(tree)


def canonical(tree: Tree) -> bytes:
    """Return a JSON text that is equal for trees that differ only in the order of object keys."""
    return _sorted_encoder.encode(tree)


def same(one: Tree, other: Tree) -> bool:
    """Tell whether two trees are equal to the byte: key order, strings, and the digits of decimals."""
    return _encoder.encode(one) == _encoder.encode(other)


def _openings(raw: bytes | str) -> int:
    """Return how many brackets open, those in strings too: no tree is nested deeper than that."""
    if isinstance(raw, bytes):
        return raw.count(b"{") + raw.count(b"[")
    return raw.count("{") + raw.count("[")


def _check_depth(tree: Tree) -> None:
    level: list[Tree] = [tree]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise BadJson(f"nested deeper than {MAX_DEPTH} levels: no FHIR resource is; refused")
