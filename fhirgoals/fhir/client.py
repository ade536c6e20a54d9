"""Talks FHIR with one EHR: read, search, history, create, update, delete; each returns an `Answer`, classified once.

Repeated here is only what can't have been stored: a GET, a request that never reached the server, a 429. Everything
in doubt goes back to the caller (`UnknownOutcome`), who finds out before writing again. Errors hold no URL or text.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt

from fhirgoals.errors import BadResource, Bug, ConfigurationError, RemoteError
from fhirgoals.fhir import pages
from fhirgoals.fhir.answers import (
    Answer,
    Call,
    Forbidden,
    Gone,
    NotFound,
    NotSent,
    Refused,
    Stored,
    Throttled,
    Transient,
    Unreadable,
    about,
    classify,
)
from fhirgoals.fhir.exact_json import Resource, dumps
from fhirgoals.fhir.pages import Changed, SearchResult, Version
from fhirgoals.fhir.replies import addressable
from fhirgoals.fhir.tokens import StaticToken, TokenSource
from fhirgoals.fhir.wire import WRITE_METHODS, Method, Request, Sender, header_value

FHIR_JSON = "application/fhir+json"

MAX_WAIT_S = 30.0
"""The longest pause inside a call; a server that asks for more gets `Throttled` returned, and the caller waits."""

MaySend: TypeAlias = Callable[[], Awaitable[bool]]
"""The caller's last look (withholding, consent, pause), asked immediately before each attempt, repeats included."""


_Keys: TypeAlias = Callable[[Resource], list[str]]


class SearchError(RemoteError):
    """A search or history that could not be read to its end; `answer` says why and what to do next."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


class EhrClient:
    """One EHR at one base address. All waiting goes through `sleep`, all time through `clock`."""

    def __init__(
        self,
        base_url: str,
        http: Sender,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        token: TokenSource | str | None = None,
        connection: str = "the EHR",
        page_size: int = 100,
        page_parameter: str = "_count",
        max_pages: int = 500,
        max_retries: int = 3,
    ) -> None:
        """Set up without any request.

        `clock` gives aware times; `jitter` numbers in [0, 1) that spread the pauses; `connection` is the name used in
        messages; `page_parameter` is the EHR's name for the page size (NextGen: `_maxresults`).
        Raises `ConfigurationError` for a base address or token that can't be used.
        """
        parts = urlsplit(base_url)
        if pages.origin_of(base_url) is None or parts.query or parts.fragment:
            raise ConfigurationError(
                f"{connection}: the base address must be http(s)://host[:port]/path, without user, query or fragment"
            )
        self._base = base_url.rstrip("/")
        self._http = http
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._token = StaticToken(token) if isinstance(token, str | None) else token
        self._connection = connection
        self._page_size = page_size
        self._page_parameter = page_parameter
        self._max_pages = max_pages
        self._max_retries = max_retries
        self.requests = 0
        """Requests handed to the network, repeats included."""
        self.writes = 0
        """Those of them that write: POST, PUT, DELETE, PATCH; of a transaction each entry."""

    async def capabilities(self) -> Answer:
        """Read the CapabilityStatement (`/metadata`)."""
        return await self._get("read", "CapabilityStatement", f"{self._base}/metadata")

    async def read(self, resource_type: str, resource_id: str) -> Answer:
        """Read the current version, past any cache."""
        answer = await self._get("read", resource_type, self._url(resource_type, resource_id))
        return about(answer, "read", resource_id)

    async def vread(self, resource_type: str, resource_id: str, version: str) -> Answer:
        """Read one version."""
        return await self._get("read", resource_type, self._url(resource_type, resource_id, "_history", version))

    async def search(
        self, resource_type: str, params: Sequence[tuple[str, str]], *, fresh: bool = True
    ) -> SearchResult:
        """Return everything that matches, all pages followed.

        `params` are names and plain values (escaped here; FHIR's own `|`, `,` and prefixes are the caller's).
        `fresh` asks the server past its search cache (HAPI answers an equal search from a 60 s old one otherwise).
        Raises `SearchError` if any page can't be had: a search that failed must never look like one that found nothing.
        """
        counted = partial(pages.match_keys, resource_type=resource_type)
        found, whole = await self._walk(resource_type, self._url(resource_type), params, counted, fresh=fresh)
        return pages.collect(found, resource_type, whole=whole)

    async def history(self, resource_type: str, resource_id: str) -> tuple[Version, ...] | None:
        """Return the versions of a resource, newest first as the server gives them; None where none can be had.

        None: the server has no history, forbids it, or does not know the resource. Raises `SearchError` for anything
        that may pass, and where there are more versions than `max_pages` hold.
        """
        url = self._url(resource_type, resource_id, "_history")
        try:
            found, whole = await self._walk(resource_type, url, (), pages.all_keys, fresh=True)
        except SearchError as failure:
            if isinstance(failure.answer, NotFound | Gone | Refused | Forbidden):
                return None
            raise
        if not whole:
            raise self._failed(resource_type, Unreadable("too_large"))
        return pages.versions(found, resource_type, resource_id)

    async def changed(
        self, resource_type: str, since: str, by: Literal["history", "instant"], patient: str | None = None
    ) -> Changed:
        """Return what changed at that instant or later: by the history of the type, which shows deletions too, or by
        a search for `_lastUpdated`, which does not. `since` is as the server writes time. Raises `SearchError`.
        """
        of_patient = [] if patient is None else [("patient", patient)]
        if by == "history":
            url, asked, keys = self._url(resource_type, "_history"), ("_since", since), pages.all_keys
        else:
            url, asked = self._url(resource_type), ("_lastUpdated", f"ge{since}")
            keys = partial(pages.match_keys, resource_type=resource_type)
        found, whole = await self._walk(resource_type, url, [*of_patient, asked], keys, fresh=True)
        return pages.changed(found, resource_type, whole=whole)

    async def create(
        self,
        resource_type: str,
        body: Resource,
        *,
        if_none_exist: str | None = None,
        client_id: str | None = None,
        may_send: MaySend | None = None,
    ) -> Answer:
        """Create conditionally, so that a repeat can't double it.

        `client_id`: PUT [type]/[id] with `If-None-Match: *` (the body carries that id). Else `if_none_exist`: POST
        with that search as written, such as `identifier=urn:uuid:…|…`. With neither it is a `Bug`: such a POST could
        never be repeated nor found again. (FHIR R4 http.html#ccreate, #upsert.)
        """
        if client_id is not None:
            _check_body(resource_type, body, client_id)
            headers, url = {"If-None-Match": "*"}, self._url(resource_type, client_id)
            return await self._write("create_as", "PUT", resource_type, url, headers, body, may_send)
        if not if_none_exist:
            raise Bug(f"create {resource_type} at {self._connection} without client_id or if_none_exist")
        _check_body(resource_type, body, None)
        headers = {"If-None-Exist": header_value(if_none_exist)}
        return await self._write("create", "POST", resource_type, self._url(resource_type), headers, body, may_send)

    async def update(
        self,
        resource_type: str,
        resource_id: str,
        body: Resource,
        etag: str | None,
        *,
        may_send: MaySend | None = None,
    ) -> Answer:
        """Replace the version that `etag` names; it is sent exactly as it was received.

        None sends no If-Match: only where the connection's profile says that the server has no such check.
        """
        _check_body(resource_type, body, resource_id)
        # HAPI carries security labels over from the version before unless told so (measured); the body has them all.
        held = {} if etag is None else {"If-Match": header_value(etag)}
        headers, url = {"X-Meta-Snapshot-Mode": "SECURITY_LABEL", **held}, self._url(resource_type, resource_id)
        answer = await self._write("update", "PUT", resource_type, url, headers, body, may_send)
        return about(answer, "update", resource_id)

    async def delete(
        self, resource_type: str, resource_id: str, etag: str | None, *, may_send: MaySend | None = None
    ) -> Answer:
        """Delete; `Gone` is the success. Read right before: HAPI ignores a stale If-Match here (measured)."""
        headers, url = {} if etag is None else {"If-Match": header_value(etag)}, self._url(resource_type, resource_id)
        return await self._write("delete", "DELETE", resource_type, url, headers, None, may_send)

    async def transact(self, bundle: Resource, parts: int, *, may_send: MaySend | None = None) -> Answer:
        """Send a Bundle of that many writes as one; the `tree` of `Stored` says what became of each."""
        headers = {"X-Meta-Snapshot-Mode": "SECURITY_LABEL"}
        return await self._write("transaction", "POST", "Bundle", self._base, headers, bundle, may_send, parts)

    # --- paging ---

    async def _walk(
        self, resource_type: str, url: str, params: Sequence[tuple[str, str]], keys: _Keys, *, fresh: bool
    ) -> tuple[list[Resource], bool]:
        """Return all pages and whether the end was reached; an expired search is started anew, once."""
        asked = list(params)
        if not any(name == self._page_parameter for name, _ in asked):
            asked.append((self._page_parameter, str(self._page_size)))
        try:
            return await self._walk_once(resource_type, url, asked, keys, fresh=fresh)
        except _ExpiredError:
            try:
                return await self._walk_once(resource_type, url, asked, keys, fresh=fresh)
            except _ExpiredError as again:
                raise self._failed(resource_type, again.answer) from None

    async def _walk_once(
        self, resource_type: str, url: str, params: list[tuple[str, str]], keys: _Keys, *, fresh: bool
    ) -> tuple[list[Resource], bool]:
        found: list[Resource] = []
        seen: set[str] = set()
        visited: set[str] = set()
        linked = False
        next_url = f"{url}?{urlencode(params, quote_via=quote)}"
        while len(found) < self._max_pages and next_url not in visited:
            visited.add(next_url)
            answer = await self._get("search", "Bundle", next_url, fresh=fresh)
            by_offset = bool(found) and not linked
            if by_offset and isinstance(answer, Refused | NotFound):
                # No `_offset` here. A server without links and without it had no second page to give.
                return found, len(found) == 1 and pages.total(found[-1]) <= len(seen)
            page = self._page(resource_type, answer, first=not found)
            matches = keys(page)
            if by_offset and seen.issuperset(matches):
                return found, True
            seen.update(matches)
            found.append(page)
            link = pages.next_link(page)
            if link is not None:
                linked = True
                followed = pages.follow(next_url, link)
                if followed is None:
                    raise self._failed(resource_type, Unreadable("foreign_link"))
                next_url = followed
            elif not linked and matches and (len(matches) >= self._asked(params) or pages.expected(page) > len(seen)):
                # Medplum pages without links: ask on until nothing new comes.
                next_url = f"{url}?{urlencode([*params, ('_offset', str(len(seen)))], quote_via=quote)}"
            else:
                return found, True
        return found, False

    def _asked(self, params: list[tuple[str, str]]) -> int:
        sizes = [int(value) for name, value in params if name == self._page_parameter and value.isdecimal()]
        return sizes[0] if sizes and sizes[0] > 0 else self._page_size

    def _page(self, resource_type: str, answer: Answer, *, first: bool) -> Resource:
        if isinstance(answer, Gone) and not first:
            raise _ExpiredError(answer)
        if not isinstance(answer, Stored) or answer.tree is None:
            raise self._failed(resource_type, answer)
        if not first and pages.has_expired(answer.tree):
            raise _ExpiredError(Gone(200))
        return answer.tree

    def _failed(self, resource_type: str, answer: Answer) -> SearchError:
        status = getattr(answer, "status", None)
        shown = f" ({status})" if status is not None else ""
        return SearchError(
            f"{self._connection}: {resource_type} could not be read to the end: "
            f"{type(answer).__name__}{shown}; {answer.next_step}",
            answer,
        )

    # --- sending ---

    async def _get(self, call: Call, expected_type: str, url: str, *, fresh: bool = True) -> Answer:
        headers = {"Cache-Control": "no-cache"} if fresh else {}
        return await self._send(call, expected_type, "GET", url, headers, None, None)

    async def _write(
        self,
        call: Call,
        method: Method,
        expected_type: str,
        url: str,
        headers: Mapping[str, str],
        body: Resource | None,
        may_send: MaySend | None,
        parts: int = 1,
    ) -> Answer:
        if body is None:
            return await self._send(call, expected_type, method, url, headers, None, may_send)
        full = {**headers, "Content-Type": FHIR_JSON, "Prefer": "return=representation"}
        return await self._send(call, expected_type, method, url, full, dumps(body), may_send, parts)

    async def _send(
        self,
        call: Call,
        expected_type: str,
        method: Method,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        may_send: MaySend | None,
        parts: int = 1,
    ) -> Answer:
        async def attempt() -> Answer:
            token = await self._token.token()
            full = {"Accept": FHIR_JSON, **headers}
            if token is not None:
                full["Authorization"] = f"Bearer {header_value(token)}"
            if may_send is not None and not await may_send():
                return NotSent()
            self.requests += 1
            self.writes += parts * (method in WRITE_METHODS)
            outcome = await self._http.send(Request(method, url, full, body))
            return classify(call, expected_type, outcome, now=self._clock())

        first = [await attempt()]
        if not _may_repeat(first[0]):
            return first[0]

        async def again() -> Answer:
            return first.pop() if first else await attempt()

        retrying = AsyncRetrying(
            sleep=self._sleep,
            stop=stop_after_attempt(self._max_retries + 1),
            wait=self._pause_s,
            retry=retry_if_result(_may_repeat),
            retry_error_callback=_last_answer,
        )
        answer: Answer = await retrying(again)
        return answer

    def _pause_s(self, state: RetryCallState) -> float:
        hint = _hint_s(_last_answer(state))
        if hint is not None:
            return min(MAX_WAIT_S, hint + self._jitter())
        # 0.25 to 0.5 s, then twice as long each time: many workers must not come back at once.
        return float(min(MAX_WAIT_S, 0.5 * 2 ** (state.attempt_number - 1)) * (0.5 + 0.5 * self._jitter()))

    def _url(self, resource_type: str, *segments: str) -> str:
        if not re.fullmatch(r"[A-Z][A-Za-z]{1,60}", resource_type):
            raise Bug(f"no FHIR resource type in a call to {self._connection}")
        for segment in segments:
            if not addressable(segment):
                raise BadResource(f"{self._connection}: an id of {resource_type} that can't stand in an address")
        return "/".join((self._base, resource_type, *(quote(segment, safe="") for segment in segments)))


class _ExpiredError(Exception):
    def __init__(self, answer: Gone) -> None:
        super().__init__()
        self.answer = answer


def _may_repeat(answer: Answer) -> bool:
    """Tell whether the same bytes may go again: `Transient` and `Throttled` are given only where nothing was stored."""
    return isinstance(answer, Transient | Throttled) and (answer.retry_after_s or 0.0) <= MAX_WAIT_S


def _hint_s(answer: Answer) -> float | None:
    return answer.retry_after_s if isinstance(answer, Transient | Throttled) else None


def _last_answer(state: RetryCallState) -> Answer:
    if state.outcome is None:
        raise Bug("a retry without an attempt")
    answer: Answer = state.outcome.result()
    return answer


def _check_body(resource_type: str, body: Resource, resource_id: str | None) -> None:
    if body.get("resourceType") != resource_type or (resource_id is not None and body.get("id") != resource_id):
        raise Bug(f"a body sent as {resource_type} must be of that type and carry the id of its address")
