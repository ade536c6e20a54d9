"""From request to repository to reply: routing and the interactions, one method each, as one synchronous function.

Every reply is made of an exact JSON tree; nothing passes a model that could round a number or drop an element.
Nothing is logged but the class of an unforeseen error and its place: URLs carry identifiers, messages may quote bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import urlencode

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.fhir.rest import bundles, transactions
from fhirgoals.fhir.rest.asked import Asked
from fhirgoals.fhir.rest.bodies import check_id, pairs, read_form, read_resource
from fhirgoals.fhir.rest.bundles import PAGE_PARAMETER, Links, Token, read_token, token_text
from fhirgoals.fhir.rest.capability import capability_statement
from fhirgoals.fhir.rest.headers import (
    FHIR_JSON,
    check_accepts_json,
    etag,
    is_unmodified,
    wants_no_body,
    write_condition,
)
from fhirgoals.fhir.rest.outcome import Declined, bad_request, gone, not_found, operation_outcome
from fhirgoals.fhir.rest.periods import span_of
from fhirgoals.fhir.rest.registry import R4_TYPES, Interaction, TypeEntry
from fhirgoals.fhir.rest.repository import Repository, Stored
from fhirgoals.fhir.rest.search import parse_query
from fhirgoals.fhir.rest.versions import Version
from fhirgoals.fhir.wire import Reply
from fhirgoals.log import get_logger


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a request may carry and a page may hold."""

    max_body_bytes: int = 5 * 1024 * 1024
    page_size: int = 50
    max_page_size: int = 1000


DEFAULT_LIMITS = Limits()


def utc_now() -> datetime:
    """Return the time of the machine."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RestCore:
    """A FHIR R4 server over any repository; see `app.fhir_app` for what the fields say."""

    base_path: str = "/fhir"
    base_url: str | None = None
    types: Mapping[str, TypeEntry] = field(default_factory=lambda: R4_TYPES)
    clock: Callable[[], datetime] = utc_now
    limits: Limits = DEFAULT_LIMITS
    title: str = "fhirgoals REST core"
    transactions: bool = True
    """Whether a Bundle is taken at the base: a transaction, all or nothing, or a batch."""
    heard: Callable[[Asked], Asked] = lambda asked: asked
    said: Callable[[Reply], Reply] = lambda reply: reply
    """What becomes of each request in a Bundle, and of its reply: a server that ignores headers does so there too."""

    def answer(self, repository: Repository, asked: Asked) -> Reply:
        """Return the reply to one request; an error of ours is one too (500)."""
        try:
            reply = _Call(self, repository, asked).reply()
        except Declined as declined:
            reply = refusal(declined)
        except Exception as error:
            # A bug becomes a 500; its message may quote a body: the log keeps its class and place only.
            get_logger().error("a request failed", exc_info=error)
            reply = refusal(Declined(500, "exception", "an error in this server; its log says where"))
        return Reply(reply.status, reply.headers) if asked.method == "HEAD" else reply

    def base(self, asked: Asked) -> str:
        """Return this server's own URL, up to and with the base path: as configured, else as the client named it."""
        return self.base_url if self.base_url is not None else f"{asked.origin}{self.base_path}"


def refusal(declined: Declined) -> Reply:
    """Return the OperationOutcome that says why a request is declined."""
    outcome = operation_outcome(declined.code, declined.sentence, declined.expression)
    return _json(outcome, declined.status, declined.headers)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request under way."""

    core: RestCore
    repository: Repository
    asked: Asked

    def reply(self) -> Reply:
        """Route the request; raises `Declined` where it is refused."""
        acts = self._acts()
        if not acts:
            raise Declined(404, "not-found", "nothing is offered at this URL")
        act = acts.get("GET" if self.asked.method == "HEAD" else self.asked.method)
        if act is None:
            allowed = ", ".join("GET, HEAD" if method == "GET" else method for method in acts)
            raise Declined(405, "not-supported", "this method is not offered here", {"allow": allowed})
        return act()

    def _acts(self) -> dict[str, Callable[[], Reply]]:
        """Return what is offered at this URL by method; nothing where there is no such URL."""
        path, base_path = self.asked.path, self.core.base_path or "/"
        if path == base_path:
            return {"GET": self._page} | ({"POST": self._transact} if self.core.transactions else {})
        under = base_path.rstrip("/") + "/"
        segments = path[len(under) :].split("/") if path.startswith(under) else [""]
        match segments if all(segments) else []:
            case ["metadata"]:
                return {"GET": self._capabilities}
            case [type_]:
                return {"GET": lambda: self._search(type_), "POST": lambda: self._create(type_)}
            case [type_, "_search"] if self.asked.method == "POST":
                return {"POST": lambda: self._search_by_form(type_)}
            case [type_, "_history"]:
                return {"GET": lambda: self._type_history(type_)}
            case [type_, id_]:
                return {
                    "GET": lambda: self._read(type_, id_),
                    "PUT": lambda: self._update(type_, id_),
                    "DELETE": lambda: self._delete(type_, id_),
                }
            case [type_, id_, "_history"]:
                return {"GET": lambda: self._history(type_, id_)}
            case [type_, id_, "_history", version_id]:
                return {"GET": lambda: self._vread(type_, id_, version_id)}
            case _:
                return {}

    def _capabilities(self) -> Reply:
        self._no_parameters()
        core = self.core
        return _json(
            capability_statement(
                core.types.values(),
                base=self._base(),
                title=core.title,
                started=core.clock(),
                bundles=core.transactions,
            )
        )

    def _read(self, type_: str, id_: str) -> Reply:
        entry = self._offered(type_, "read")
        check_id(id_)
        self._no_parameters()
        version = self.repository.read(entry.name, id_)
        if version is not None and version.body is not None and is_unmodified(self.asked.headers, version.version_id):
            return Reply(304, _version_headers(version))
        return _represented(version)

    def _vread(self, type_: str, id_: str, version_id: str) -> Reply:
        entry = self._offered(type_, "vread")
        check_id(id_)
        self._no_parameters()
        return _represented(self.repository.vread(entry.name, id_, version_id))

    def _history(self, type_: str, id_: str) -> Reply:
        entry = self._offered(type_, "history-instance")
        check_id(id_)
        others, count = self._paging(self._parameters())
        if others:
            raise bad_request("the history of a resource takes no parameter but _count", "not-supported")
        return self._history_page(Token(entry.name, count, "", history_of=id_))

    def _type_history(self, type_: str) -> Reply:
        entry = self._offered(type_, "history-type")
        others, count = self._paging(self._parameters())
        spans = [span_of(value) for name, value in others if name == "_since"]
        if len(spans) != len(others) or len(others) > 1 or None in spans:
            raise bad_request("the history of a type takes no parameters but one instant _since, and _count")
        return self._history_page(Token(entry.name, count, "", others, history_of=""))

    def _search(self, type_: str) -> Reply:
        entry = self._offered(type_, "search-type")
        return self._first_page(entry, self._parameters())

    def _search_by_form(self, type_: str) -> Reply:
        entry = self._offered(type_, "search-type")
        form = read_form(self.asked, self.core.limits.max_body_bytes)
        return self._first_page(entry, [*self._parameters(), *form])

    def _page(self) -> Reply:
        given = self._parameters()
        if [name for name, _ in given] != [PAGE_PARAMETER]:
            raise Declined(404, "not-found", "nothing is offered at this URL")
        token = read_token(given[0][1])
        if token.history_of is not None:
            self._offered(token.type, "history-instance" if token.history_of else "history-type")
            return self._history_page(token)
        entry = self._offered(token.type, "search-type")
        return self._search_page(entry, token)

    def _create(self, type_: str) -> Reply:
        entry = self._offered(type_, "create")
        self._no_parameters()
        body = read_resource(self.asked, entry.name, self.core.limits.max_body_bytes)
        condition = self.asked.headers.get("if-none-exist")
        unless = None
        if condition is not None:
            wanted = pairs(condition.removeprefix(f"{entry.name}?").removeprefix("?"))
            if not wanted:
                raise bad_request("If-None-Exist must be a search")
            unless = parse_query(entry, wanted, self._base())
        return self._stored(self.repository.create(entry.name, body, unless=unless))

    def _update(self, type_: str, id_: str) -> Reply:
        entry = self._offered(type_, "update")
        check_id(id_)
        self._no_parameters()
        body = read_resource(self.asked, entry.name, self.core.limits.max_body_bytes)
        if body.get("id") != id_:
            raise bad_request("id must be the one in the URL")
        condition = write_condition(self.asked.headers)
        return self._stored(self.repository.update(entry.name, id_, body, condition))

    def _delete(self, type_: str, id_: str) -> Reply:
        entry = self._offered(type_, "delete")
        check_id(id_)
        self._no_parameters()
        deletion = self.repository.delete(entry.name, id_, write_condition(self.asked.headers))
        if deletion is None:
            raise not_found()
        return Reply(204, {"etag": etag(deletion.version_id)})

    def _transact(self) -> Reply:
        self._no_parameters()
        core = self.core
        bundle = read_resource(self.asked, "Bundle", core.limits.max_body_bytes)
        kind, parts = transactions.read_parts(bundle, self.asked, self._base())

        def ask(asked: Asked) -> Reply:
            return core.said(_Call(core, self.repository, core.heard(asked)).reply())

        # Of a batch each entry stands for itself.
        with self.repository.atomically() if kind == "transaction" else nullcontext():
            replies = transactions.carried_out(kind, parts, ask, refusal)
        return _reply(transactions.answered(kind, replies), 200)

    def _first_page(self, entry: TypeEntry, given: list[tuple[str, str]]) -> Reply:
        others, count = self._paging(given)
        return self._search_page(entry, Token(entry.name, count, "", others))

    def _search_page(self, entry: TypeEntry, token: Token) -> Reply:
        base = self._base()
        query = parse_query(entry, token.pairs, base)
        page = self.repository.search(entry.name, query, count=token.count, after=token.after or None)
        further = page.after is not None and token.count > 0
        following = Token(token.type, token.count, page.after or "", token.pairs)
        links = Links(
            f"{base}/{entry.name}?{urlencode([*token.pairs, ('_count', token.count)])}",
            f"{base}?{PAGE_PARAMETER}={token_text(following)}" if further else None,
        )
        bundle = bundles.searchset(base, page.versions, links, total=page.total, server_time=self.core.clock())
        return _reply(bundle, 200)

    def _history_page(self, token: Token) -> Reply:
        base = self._base()
        if token.history_of:
            place = f"{token.type}/{token.history_of}"
            versions = self.repository.history(token.type, token.history_of)
            if not versions:
                raise not_found()
        else:
            place = token.type
            since = [span.low for _, value in token.pairs if (span := span_of(value))]
            versions = self.repository.type_history(token.type, since[0] if since else 0)
        # Counted from the oldest: a version that comes in meanwhile must not shift the pages, and ids may repeat.
        left = int(token.after) if token.after.isdecimal() else len(versions)
        start = max(0, len(versions) - left)
        shown = versions[start : start + token.count]
        following = None
        if shown and left > token.count:
            following = Token(token.type, token.count, str(left - token.count), token.pairs, token.history_of)
        links = Links(
            f"{base}/{place}/_history?{urlencode([*token.pairs, ('_count', token.count)])}",
            f"{base}?{PAGE_PARAMETER}={token_text(following)}" if following else None,
        )
        return _reply(
            bundles.history(base, shown, links, total=len(versions), server_time=self.core.clock()),
            200,
        )

    def _paging(self, given: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], int]:
        """Return the parameters that are none of paging, and the page size: as asked, within the limit."""
        limits = self.core.limits
        counts = [value for name, value in given if name == "_count"]
        if len(counts) > 1 or not all(count.isdecimal() and len(count) < 10 for count in counts):
            raise bad_request("_count must be one whole number", "value")
        count = int(counts[0]) if counts else limits.page_size
        return [pair for pair in given if pair[0] != "_count"], min(count, limits.max_page_size)

    def _stored(self, stored: Stored) -> Reply:
        version = stored.version
        headers = _version_headers(version)
        location = f"{self._base()}/{version.type}/{version.id}/_history/{version.version_id}"
        headers["location" if stored.is_new or self.asked.method == "POST" else "content-location"] = location
        status = 201 if stored.is_new else 200
        if wants_no_body(self.asked.headers):
            return Reply(status, {**headers, "content-length": "0"})
        return _reply(version.wire, status, headers)

    def _base(self) -> str:
        return self.core.base(self.asked)

    def _offered(self, type_: str, interaction: Interaction) -> TypeEntry:
        entry = self.core.types.get(type_)
        if entry is None:
            raise Declined(404, "not-supported", "this resource type is not offered here")
        if interaction not in entry.interactions:
            raise Declined(405, "not-supported", f"{interaction} is not offered for {entry.name}")
        return entry

    def _parameters(self) -> list[tuple[str, str]]:
        """Return the parameters of the URL without `_format`, which is checked here; 406 when JSON is not wanted."""
        query = self.asked.query
        given = pairs(query) if query else []
        formats = [value for name, value in given if name == "_format"]
        check_accepts_json(self.asked.headers, formats[0] if formats else None)
        return [pair for pair in given if pair[0] != "_format"] if formats else given

    def _no_parameters(self) -> None:
        if self._parameters():
            raise bad_request("this interaction takes no parameters in the URL", "not-supported")


def _json(tree: Tree, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return _reply(exact_json.dumps(tree), status, headers)


def _reply(body: bytes, status: int, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, {**(headers or {}), "content-length": str(len(body)), "content-type": FHIR_JSON}, body)


def _version_headers(version: Version) -> dict[str, str]:
    return {"etag": etag(version.version_id), "last-modified": _http_date(version.last_updated)}


@lru_cache(maxsize=4096)
def _http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def _represented(version: Version | None) -> Reply:
    if version is None:
        raise not_found()
    if version.body is None:
        raise gone()
    return _reply(version.wire, 200, _version_headers(version))
