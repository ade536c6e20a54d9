"""A memory repository for the REST core, with every version kept and raw access for tests and fault injection."""

from __future__ import annotations

import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, assert_never

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.rest.outcome import precondition_failed
from fhirgoals.fhir.rest.periods import Span
from fhirgoals.fhir.rest.registry import R4_TYPES, TypeEntry
from fhirgoals.fhir.rest.repository import Page, Precondition, Stored
from fhirgoals.fhir.rest.search import Query, index_keys, query_ids, query_keys
from fhirgoals.fhir.rest.versions import Version, WriteVerb, stamp, whole_milliseconds

_NO_KEYS: set[str] = set()

ANY_STATE = Precondition()
"""The condition that always holds."""


def utc_now() -> datetime:
    """Return the time of the machine."""
    return datetime.now(UTC)


def random_id() -> str:
    """Return a random UUID as a resource id."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Stamping:
    """How a version is named and dated: what the knobs of the same names say."""

    version_ids: Literal["counted", "seconds", "always_1"] = "counted"
    whole_seconds: bool = False
    no_meta: bool = False


@dataclass(slots=True)
class _Shelf:
    """The resources of one type, in the order of their creation, and where to find them by search keys."""

    entry: TypeEntry
    versions: dict[str, list[Version]] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)
    ids_by_key: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    keys_by_id: dict[str, set[str]] = field(default_factory=dict)

    def newest(self, id_: str) -> Version | None:
        versions = self.versions.get(id_)
        return versions[-1] if versions else None

    def put(self, version: Version, *, over_newest: bool = False) -> None:
        versions = self.versions.setdefault(version.id, [])
        self.order.setdefault(version.id, len(self.order) + 1)
        if over_newest:
            versions.pop()
        versions.append(version)
        self._find_by(version.id, _NO_KEYS if version.body is None else index_keys(self.entry, version.body))

    def take_back(self, id_: str) -> None:
        """Forget the newest version, as if it had never been."""
        versions = self.versions[id_]
        versions.pop()
        body = versions[-1].body if versions else None
        self._find_by(id_, _NO_KEYS if body is None else index_keys(self.entry, body))
        if not versions:
            del self.versions[id_], self.order[id_]

    def _find_by(self, id_: str, keys: set[str]) -> None:
        before = self.keys_by_id.get(id_, _NO_KEYS)
        if keys != before:
            for key in before - keys:
                self.ids_by_key[key].discard(id_)
            for key in keys - before:
                self.ids_by_key[key].add(id_)
            self.keys_by_id[id_] = keys

    def candidates(self, query: Query) -> Iterator[str]:
        """Yield, in the order of creation, the ids of which the matches are some."""
        ids, keys = query_ids(query), query_keys(query)
        if ids is None and keys is None:
            yield from self.order
            return
        found = {id_ for id_ in ids if id_ in self.order} if ids is not None else None
        if keys is not None:
            by_key = {id_ for key in keys for id_ in self.ids_by_key.get(key, ())}
            found = by_key if found is None else found & by_key
        yield from sorted(found or (), key=self.order.__getitem__)

    def as_of(self, id_: str, moment: datetime) -> Version | None:
        """Return the version that was the newest at that moment."""
        return next((each for each in reversed(self.versions[id_]) if each.last_updated <= moment), None)


class MemoryRepository:
    """Versioned resources in memory, safe to use from several threads; version ids are 1, 2, … as on HAPI.

    clock: the server's time, for `meta.lastUpdated`. new_id: the id of a resource that was POSTed. `stamping` may be
    replaced at any time.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = random_id,
        types: Mapping[str, TypeEntry] = R4_TYPES,
    ) -> None:
        self._clock = clock
        self._new_id = new_id
        self.stamping = Stamping()
        self._lock = threading.RLock()
        self._shelves = {name: _Shelf(entry) for name, entry in types.items()}
        self._written: list[tuple[_Shelf, str]] | None = None

    # What the REST core asks (see `Repository`)

    @contextmanager
    def atomically(self) -> Iterator[None]:
        """Store all that is written within or, where it ends with an error, nothing of it."""
        with self._lock:
            self._written = []
            try:
                yield
            except BaseException:
                for shelf, id_ in reversed(self._written):
                    shelf.take_back(id_)
                raise
            finally:
                self._written = None

    def read(self, type_: str, id_: str) -> Version | None:
        """Return the newest version, a deletion included; `None` when there never was one."""
        with self._lock:
            return self._shelves[type_].newest(id_)

    def vread(self, type_: str, id_: str, version_id: str) -> Version | None:
        """Return that version, `None` when there is none."""
        with self._lock:
            versions = self._shelves[type_].versions.get(id_, [])
            return next((each for each in reversed(versions) if each.version_id == version_id), None)

    def history(self, type_: str, id_: str) -> list[Version]:
        """Return every version, newest first; empty when there never was one."""
        with self._lock:
            return self._shelves[type_].versions.get(id_, [])[::-1]

    def type_history(self, type_: str, since: int) -> list[Version]:
        """Return the versions of a type since a moment (microseconds since 1970), newest first."""
        with self._lock:
            every = [each for versions in self._shelves[type_].versions.values() for each in versions]
        found = [each for each in every if Span.at(each.last_updated).low >= since]
        return sorted(found, key=lambda each: each.last_updated, reverse=True)

    def search(self, type_: str, query: Query, *, count: int, after: str | None, as_of: datetime | None = None) -> Page:
        """Return a page in the order of creation, which no update changes; the total comes with the first page.

        as_of: the moment whose state is searched; the present one by default.
        """
        shelf = self._shelves[type_]
        start = int(after) if after and after.isdecimal() else 0
        shown: list[Version] = []
        matches = 0
        with self._lock:
            # The index knows the newest versions alone.
            for id_ in shelf.candidates(query) if as_of is None else shelf.order:
                version = shelf.versions[id_][-1] if as_of is None else shelf.as_of(id_, as_of)
                if version is None or shelf.order[id_] <= start or not query.matches(version):
                    continue
                matches += 1
                if len(shown) < count:
                    shown.append(version)
                elif start:
                    break
            place = str(shelf.order[shown[-1].id]) if shown and matches > len(shown) else None
        return Page(shown, place, None if start else matches)

    def create(self, type_: str, body: Resource, *, unless: Query | None = None) -> Stored:
        """Store a new resource; with `unless`, one match is returned instead and several raise `Declined` (412)."""
        with self._lock:
            if unless is not None:
                found = self.search(type_, unless, count=2, after=None).versions
                if len(found) > 1:
                    raise precondition_failed("several resources match If-None-Exist", "multiple-matches")
                if found:
                    return Stored(found[0], is_new=False)
            return Stored(self._append(type_, self._new_id(), "POST", body), is_new=True)

    def update(self, type_: str, id_: str, body: Resource, condition: Precondition = ANY_STATE) -> Stored:
        """Store a new version; what was not there is created, what was deleted comes back (as on HAPI)."""
        with self._lock:
            current = self._shelves[type_].newest(id_)
            condition.check(current)
            is_new = current is None or current.body is None
            return Stored(self._append(type_, id_, "PUT", body), is_new=is_new)

    def delete(self, type_: str, id_: str, condition: Precondition = ANY_STATE) -> Version | None:
        """Store a deletion; a second one changes nothing; `None` when there never was such a resource."""
        with self._lock:
            current = self._shelves[type_].newest(id_)
            if current is None or current.body is None:
                return current
            condition.check(current)
            return self._append(type_, id_, "DELETE", None)

    # What tests and fault injection ask

    def put_raw(self, type_: str, id_: str, tree: Resource) -> None:
        """Change the stored current body to exactly this tree: no new version, no stamp, no knob.

        Nothing else in the server notices: ETag and history say what they said. What was not there becomes version 1.
        """
        with self._lock:
            shelf = self._shelves[type_]
            body = _read(exact_json.dumps(tree))
            current = shelf.newest(id_)
            if current is None:
                shelf.put(Version(type_, id_, "1", whole_milliseconds(self._clock()), "PUT", body))
            else:
                shelf.put(replace(current, body=body), over_newest=True)

    def resources(self, type_: str | None = None) -> list[Resource]:
        """Return copies of all current bodies, of one type or of all, in the order of creation."""
        with self._lock:
            shelves = [self._shelves[type_]] if type_ else list(self._shelves.values())
            newest = [versions[-1] for shelf in shelves for versions in shelf.versions.values()]
        return [_read(version.wire) for version in newest if version.body is not None]

    def versions(self) -> list[Version]:
        """Return every version of everything, deletions included; their bodies are not to be changed."""
        with self._lock:
            return [
                each for shelf in self._shelves.values() for versions in shelf.versions.values() for each in versions
            ]

    def dump(self) -> bytes:
        """Return every body of every version as NDJSON, to be searched for what must not be there."""
        return b"".join(each.wire + b"\n" for each in self.versions() if each.body is not None)

    def _append(self, type_: str, id_: str, verb: WriteVerb, body: Resource | None) -> Version:
        shelf, stamping = self._shelves[type_], self.stamping
        now = whole_milliseconds(self._clock())
        if stamping.whole_seconds:
            now = now.replace(microsecond=0)
        match stamping.version_ids:
            case "counted":
                version_id = str(len(shelf.versions.get(id_, ())) + 1)
            case "seconds":
                version_id = str(int(now.timestamp()))
            case "always_1":
                version_id = "1"
            case _:
                assert_never(stamping.version_ids)
        stamped = None
        if body is not None:
            stamped = stamp(body, id_, version_id, now)
            if stamping.no_meta:
                del stamped["meta"]
        version = Version(type_, id_, version_id, now, verb, stamped)
        _ = version.wire  # made now, so that no later change of the caller's tree shows in what is stored
        shelf.put(version)
        if self._written is not None:
            self._written.append((shelf, id_))
        return version


def _read(wire: bytes) -> Resource:
    tree = exact_json.loads(wire)
    if not isinstance(tree, dict):
        raise TypeError("a resource is a JSON object")
    return tree
