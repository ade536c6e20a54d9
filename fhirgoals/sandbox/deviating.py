"""The storage as the REST core sees it through the knobs: what is written passes them, what is shown too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.rest import Declined, Page, Precondition, Query, Stored, Version
from fhirgoals.sandbox import rewriting
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sandbox.memory import ANY_STATE, MemoryRepository


@dataclass(frozen=True, slots=True)
class Deviating:
    """A `Repository` for one request. `base` is the server's URL, `request_id` what meta.source may be suffixed with.

    `resaves` gets what the server is to store once more after the reply.
    """

    storage: MemoryRepository
    knobs: Knobs
    base: str
    clock: Callable[[], datetime]
    request_id: str
    resaves: list[Version]

    @contextmanager
    def atomically(self) -> Iterator[None]:
        """See `Repository.atomically`."""
        if self.knobs.transactions == "half_kept":
            yield
            return
        before = len(self.resaves)
        try:
            with self.storage.atomically():
                yield
        except BaseException:
            del self.resaves[before:]
            raise

    def read(self, type_: str, id_: str) -> Version | None:
        """See `Repository.read`."""
        version = self.storage.read(type_, id_)
        return None if self.knobs.gone_is_404 and version is not None and version.body is None else version

    def vread(self, type_: str, id_: str, version_id: str) -> Version | None:
        """See `Repository.vread`."""
        return None if self.read(type_, id_) is None else self.storage.vread(type_, id_, version_id)

    def history(self, type_: str, id_: str) -> Sequence[Version]:
        """See `Repository.history`."""
        return [] if self.read(type_, id_) is None else self.storage.history(type_, id_)

    def type_history(self, type_: str, since: int) -> Sequence[Version]:
        """See `Repository.type_history`."""
        return self.storage.type_history(type_, since)

    def search(self, type_: str, query: Query, *, count: int, after: str | None) -> Page:
        """See `Repository.search`."""
        stale_s = self.knobs.stale_search_s
        as_of = self.clock() - timedelta(seconds=stale_s) if stale_s else None
        return self.storage.search(type_, query, count=count, after=after, as_of=as_of)

    def create(self, type_: str, body: Resource, *, unless: Query | None) -> Stored:
        """See `Repository.create`."""
        return self._kept(self.storage.create(type_, self._as_stored(body, None), unless=unless))

    def update(self, type_: str, id_: str, body: Resource, condition: Precondition) -> Stored:
        """See `Repository.update`."""
        knobs = self.knobs
        current = self.storage.read(type_, id_)
        stored = self._as_stored(body, current)
        if knobs.own_ids and current is None:
            condition.check(current)
            return self._kept(self.storage.create(type_, {key: stored[key] for key in stored if key != "id"}))
        try:
            if knobs.keep_version_on_noop and current is not None and _same_content(current, stored):
                condition.check(current)
                return Stored(current, is_new=False)
            return self._kept(self.storage.update(type_, id_, stored, condition))
        except Declined as declined:
            if declined.status != 412 or condition.versions is None or knobs.stale_status == 412:
                raise
            raise Declined(knobs.stale_status, declined.code, declined.sentence) from None

    def delete(self, type_: str, id_: str, condition: Precondition) -> Version | None:
        """See `Repository.delete`."""
        self._check_writable()
        return self.storage.delete(type_, id_, ANY_STATE if self.knobs.delete_unchecked else condition)

    def _kept(self, stored: Stored) -> Stored:
        if self.knobs.resave:
            self.resaves.append(stored.version)
        return stored

    def _check_writable(self) -> None:
        if self.knobs.read_only == 403:
            raise Declined(403, "forbidden", "writing is not allowed here")

    def _as_stored(self, body: Resource, current: Version | None) -> Resource:
        knobs = self.knobs
        self._check_writable()
        for path in knobs.refuse_fields:
            if rewriting.has(body, path):
                raise Declined(422, "not-supported", f"{path} is not supported here: leave it out")
        stored = knobs.as_stored(body, self.base)
        if knobs.merge_tags and current is not None and current.body is not None:
            stored = rewriting.with_tags_of(stored, current.body)
        if knobs.source == "dropped":
            stored = rewriting.with_source(stored, None)
        elif knobs.source == "suffixed":
            sent = (rewriting.source_of(stored) or "").partition("#")[0]
            stored = rewriting.with_source(stored, f"{sent}#{self.request_id}")
        return stored


def _same_content(current: Version, sent: Resource) -> bool:
    """Tell whether a body says what the current version says, but for what the server sets and `meta.source`."""
    return current.body is not None and _content(current.body) == _content(sent)


def _content(body: Resource) -> bytes:
    meta = body.get("meta")
    kept = {} if not isinstance(meta, dict) else meta
    said = {key: value for key, value in kept.items() if key not in ("versionId", "lastUpdated", "source")}
    return exact_json.canonical({**body, "meta": said})
