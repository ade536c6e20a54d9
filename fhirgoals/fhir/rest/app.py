"""The ASGI application: from request to repository to answer.

Every answer is made of an exact JSON tree; nothing passes a model that could round a number or drop an element.
Nothing is logged but the class of an unforeseen error and its place: URLs carry identifiers, messages may quote bodies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.fhir.rest import bundles
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
from fhirgoals.fhir.rest.registry import R4_TYPES, Interaction, TypeEntry
from fhirgoals.fhir.rest.repository import Repository, Stored
from fhirgoals.fhir.rest.search import parse_query
from fhirgoals.fhir.rest.versions import Version
from fhirgoals.log import get_logger

Act = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a request may carry and a page may hold."""

    max_body_bytes: int = 5 * 1024 * 1024
    page_size: int = 50
    max_page_size: int = 1000


def utc_now() -> datetime:
    """Return the time of the machine."""
    return datetime.now(UTC)


def fhir_app(
    repository: Repository,
    *,
    base_path: str = "/fhir",
    base_url: str | None = None,
    types: Mapping[str, TypeEntry] = R4_TYPES,
    clock: Callable[[], datetime] = utc_now,
    limits: Limits = Limits(),
    title: str = "fhirgoals REST core",
) -> FastAPI:
    """Return a FHIR R4 server over a repository.

    base_path: path that the API begins with, "" for none. base_url: the server's own URL up to and with that path, for
    links and Location; without it the request's Host is believed. types: what is offered. clock: time in Bundles.
    """
    core = _Core(repository, base_path, base_url, types, clock, limits, title)
    app = FastAPI(
        title=title,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _http_exception},
    )
    for path, acts in (
        ("", {"GET": core.page}),
        ("/metadata", {"GET": core.capabilities}),
        ("/{type}/_search", {"POST": core.search_by_form}),
        ("/{type}/{id}/_history/{version_id}", {"GET": core.vread}),
        ("/{type}/{id}/_history", {"GET": core.history}),
        ("/{type}/{id}", {"GET": core.read, "PUT": core.update, "DELETE": core.delete}),
        ("/{type}", {"GET": core.search, "POST": core.create}),
    ):
        app.add_route((base_path + path) or "/", _endpoint(acts), methods=list(acts))
    return app


def _endpoint(acts: Mapping[str, Act]) -> Act:
    async def endpoint(request: Request) -> Response:
        try:
            return await acts["GET" if request.method == "HEAD" else request.method](request)
        except Declined as declined:
            return _declined(declined)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            # A bug becomes a 500; its message may quote a body: the log keeps its class and place only.
            get_logger().error("a request failed", exc_info=error)
            return _declined(Declined(500, "exception", "an error in this server; its log says where"))

    return endpoint


def _json(tree: Tree, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(exact_json.dumps(tree), status, headers, FHIR_JSON)


def _declined(declined: Declined) -> Response:
    return _json(operation_outcome(declined.code, declined.sentence), declined.status, declined.headers)


async def _http_exception(_: Request, error: Exception) -> Response:
    """Answer what no route takes: 404, or 405 with the methods that are allowed."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    sentence = "this method is not offered here" if status == 405 else "nothing is offered at this URL"
    return _declined(Declined(status, "not-supported" if status == 405 else "not-found", sentence, headers))


def _version_headers(version: Version) -> dict[str, str]:
    return {
        "ETag": etag(version.version_id),
        "Last-Modified": format_datetime(version.last_updated, usegmt=True),
    }


@dataclass(frozen=True, slots=True)
class _Core:
    """The interactions, one method each."""

    repository: Repository
    base_path: str
    base_url: str | None
    types: Mapping[str, TypeEntry]
    clock: Callable[[], datetime]
    limits: Limits
    title: str

    async def capabilities(self, request: Request) -> Response:
        _no_parameters(request)
        return _json(
            capability_statement(self.types.values(), base=self._base(request), title=self.title, started=self.clock())
        )

    async def read(self, request: Request) -> Response:
        entry, id_ = self._entry(request, "read"), _id(request)
        _no_parameters(request)
        version = self.repository.read(entry.name, id_)
        if version is not None and is_unmodified(request.headers, version.version_id) and version.body is not None:
            return Response(status_code=304, headers=_version_headers(version))
        return _represented(version)

    async def vread(self, request: Request) -> Response:
        entry, id_ = self._entry(request, "vread"), _id(request)
        _no_parameters(request)
        return _represented(self.repository.vread(entry.name, id_, request.path_params["version_id"]))

    async def history(self, request: Request) -> Response:
        entry, id_ = self._entry(request, "history-instance"), _id(request)
        others, count = self._paging(_parameters(request))
        if others:
            raise bad_request("the history of a resource takes no parameter but _count", "not-supported")
        return self._history_page(request, Token(entry.name, count, "", history_of=id_))

    async def search(self, request: Request) -> Response:
        entry = self._entry(request, "search-type")
        return self._search(request, entry, _parameters(request))

    async def search_by_form(self, request: Request) -> Response:
        entry = self._entry(request, "search-type")
        form = await read_form(request, self.limits.max_body_bytes)
        return self._search(request, entry, [*_parameters(request), *form])

    async def page(self, request: Request) -> Response:
        given = _parameters(request)
        if [name for name, _ in given] != [PAGE_PARAMETER]:
            raise Declined(404, "not-found", "nothing is offered at this URL")
        token = read_token(given[0][1])
        entry = self._offered(token.type, "history-instance" if token.history_of else "search-type")
        if token.history_of:
            return self._history_page(request, token)
        return self._search_page(request, entry, token)

    async def create(self, request: Request) -> Response:
        entry = self._entry(request, "create")
        _no_parameters(request)
        body = await read_resource(request, entry.name, self.limits.max_body_bytes)
        condition = request.headers.get("if-none-exist")
        unless = None
        if condition is not None:
            asked = pairs(condition.removeprefix(f"{entry.name}?").removeprefix("?"))
            if not asked:
                raise bad_request("If-None-Exist must be a search")
            unless = parse_query(entry, asked, self._base(request))
        return self._stored(request, self.repository.create(entry.name, body, unless=unless))

    async def update(self, request: Request) -> Response:
        entry, id_ = self._entry(request, "update"), _id(request)
        _no_parameters(request)
        body = await read_resource(request, entry.name, self.limits.max_body_bytes)
        if body.get("id") != id_:
            raise bad_request("id must be the one in the URL")
        condition = write_condition(request.headers)
        return self._stored(request, self.repository.update(entry.name, id_, body, condition))

    async def delete(self, request: Request) -> Response:
        entry, id_ = self._entry(request, "delete"), _id(request)
        _no_parameters(request)
        deletion = self.repository.delete(entry.name, id_, write_condition(request.headers))
        if deletion is None:
            raise not_found()
        return Response(status_code=204, headers={"ETag": etag(deletion.version_id)})

    def _search(self, request: Request, entry: TypeEntry, given: list[tuple[str, str]]) -> Response:
        others, count = self._paging(given)
        return self._search_page(request, entry, Token(entry.name, count, "", others))

    def _search_page(self, request: Request, entry: TypeEntry, token: Token) -> Response:
        base = self._base(request)
        query = parse_query(entry, token.pairs, base)
        page = self.repository.search(entry.name, query, count=token.count, after=token.after or None)
        further = page.after is not None and token.count > 0
        following = Token(token.type, token.count, page.after or "", token.pairs)
        links = Links(
            f"{base}/{entry.name}?{urlencode([*token.pairs, ('_count', token.count)])}",
            f"{base}?{PAGE_PARAMETER}={token_text(following)}" if further else None,
        )
        return _json(bundles.searchset(base, page.versions, links, total=page.total, server_time=self.clock()))

    def _history_page(self, request: Request, token: Token) -> Response:
        base, id_ = self._base(request), token.history_of or ""
        versions = self.repository.history(token.type, id_)
        if not versions:
            raise not_found()
        # Behind the last one shown, not at a number: a version that comes in meanwhile must not shift the pages.
        start = 1 + next((n for n, each in enumerate(versions) if each.version_id == token.after), -1)
        shown = versions[start : start + token.count]
        following = None
        if shown and start + token.count < len(versions):
            following = Token(token.type, token.count, shown[-1].version_id, history_of=id_)
        links = Links(
            f"{base}/{token.type}/{id_}/_history?_count={token.count}",
            f"{base}?{PAGE_PARAMETER}={token_text(following)}" if following else None,
        )
        return _json(bundles.history(base, shown, links, total=len(versions), server_time=self.clock()))

    def _paging(self, given: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], int]:
        """Return the parameters that are none of paging, and the page size: as asked, within the limit."""
        counts = [value for name, value in given if name == "_count"]
        if len(counts) > 1 or not all(count.isdecimal() and len(count) < 10 for count in counts):
            raise bad_request("_count must be one whole number", "value")
        count = int(counts[0]) if counts else self.limits.page_size
        return [pair for pair in given if pair[0] != "_count"], min(count, self.limits.max_page_size)

    def _stored(self, request: Request, stored: Stored) -> Response:
        version = stored.version
        headers = _version_headers(version)
        location = f"{self._base(request)}/{version.type}/{version.id}/_history/{version.version_id}"
        headers["Location" if stored.is_new or request.method == "POST" else "Content-Location"] = location
        status = 201 if stored.is_new else 200
        if wants_no_body(request.headers):
            return Response(status_code=status, headers=headers)
        return _json(version.body, status, headers)

    def _base(self, request: Request) -> str:
        if self.base_url is not None:
            return self.base_url
        return f"{request.url.scheme}://{request.url.netloc}{self.base_path}"

    def _entry(self, request: Request, interaction: Interaction) -> TypeEntry:
        return self._offered(request.path_params["type"], interaction)

    def _offered(self, type_: str, interaction: Interaction) -> TypeEntry:
        entry = self.types.get(type_)
        if entry is None:
            raise Declined(404, "not-supported", "this resource type is not offered here")
        if interaction not in entry.interactions:
            raise Declined(405, "not-supported", f"{interaction} is not offered for {entry.name}")
        return entry


def _represented(version: Version | None) -> Response:
    if version is None:
        raise not_found()
    if version.body is None:
        raise gone()
    return _json(version.body, headers=_version_headers(version))


def _id(request: Request) -> str:
    id_: str = request.path_params["id"]
    check_id(id_)
    return id_


def _parameters(request: Request) -> list[tuple[str, str]]:
    """Return the parameters of the URL without `_format`, which is checked here; 406 when JSON is not wanted."""
    query: bytes = request.scope["query_string"]
    given = pairs(query.decode("latin-1")) if query else []
    formats = [value for name, value in given if name == "_format"]
    check_accepts_json(request.headers, formats[0] if formats else None)
    return [pair for pair in given if pair[0] != "_format"]


def _no_parameters(request: Request) -> None:
    if _parameters(request):
        raise bad_request("this interaction takes no parameters in the URL", "not-supported")
