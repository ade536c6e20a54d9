"""What the recorded traffic to one EHR shows of our writes: what was created there, and every body that was stored.

A resource that is gone by the end can be known only from here. Nothing of `domain`, `mappers`, `store` or `sync` is
used.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from fhirgoals.demo.oracle_sides import identifiers, parsed
from fhirgoals.sandbox.cut_proxy import Exchange

Json: TypeAlias = Any

_LOCATION = re.compile(r"^location:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?$")


@dataclass(frozen=True)
class Trail:
    """`created` counts by type; `ids` tells what became of an identifier (type, system, value); `bodies` by reference.

    The bodies are those that we sent and the EHR took, oldest first.
    """

    created: Mapping[str, int]
    ids: Mapping[tuple[str, str | None, str | None], str]
    bodies: Mapping[str, Sequence[Json]]


def read_trail(exchanges: Iterable[Exchange]) -> Trail:
    """Return what was written, also where the reply was lost on its way."""
    created: Counter[str] = Counter()
    ids: dict[tuple[str, str | None, str | None], str] = {}
    bodies: defaultdict[str, list[Json]] = defaultdict(list)
    for one in exchanges:
        # A POST that is answered with 200 stored nothing: If-None-Exist found what stood there.
        if (one.method, one.status) not in (("POST", 201), ("PUT", 200), ("PUT", 201)):
            continue
        reference = relative(_location(one) if one.method == "POST" else one.target.partition("?")[0])
        tree = parsed(one.request_content)
        if reference is None or not isinstance(tree, dict):
            continue
        kind, _, resource_id = reference.partition("/")
        bodies[reference].append(tree)
        if one.status == 201:
            created[kind] += 1
            ids |= {(kind, *identifier): resource_id for identifier in identifiers(tree)}
    return Trail(created, ids, bodies)


def relative(reference: str | None) -> str | None:
    """Return `Goal/1` of any address or reference that ends so, with or without a version; None of others."""
    found = _REFERENCE.search(reference or "")
    return found[1] if found else None


def _location(one: Exchange) -> str | None:
    found = _LOCATION.search(one.reply_head.decode("latin-1"))
    return found[1] if found else None
