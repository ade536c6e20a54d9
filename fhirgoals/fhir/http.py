"""The one place that speaks HTTP, and the only importer of httpx: sends one request, gives one reply or failure.

It repeats nothing, follows no redirect, reads no proxy or netrc settings from the environment, keeps no cookie and
logs nothing (httpx and httpcore would log URLs, and URLs carry identifiers). `fhir/client` decides what to repeat.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

import httpx

from fhirgoals import __version__
from fhirgoals.fhir.wire import Failure, FailureKind, Reply, Request

__all__ = ["AsgiApp", "Failure", "Http", "Recorder", "Reply", "Request", "Timeouts", "record_everywhere"]

Recorder: TypeAlias = Callable[[Request, Reply | Failure | None], None]
"""Called twice for each request: with `None` just before it is sent, and with what came of it."""

_everywhere: list[Recorder] = []

AsgiApp: TypeAlias = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]
"""An ASGI application, such as a FastAPI app, spoken to in this process without a socket."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds until each stage is given up; `total_s` bounds the whole exchange (a reply that drips in)."""

    connect_s: float = 5.0
    read_s: float = 30.0
    write_s: float = 30.0
    pool_s: float = 30.0
    total_s: float = 120.0


DEFAULT_TIMEOUTS = Timeouts()

MAX_BODY_BYTES = 64 * 1024 * 1024
"""A larger reply is not read to its end: a page of 100 goals has 240 kB."""

KEEPALIVE_S = 3.0
"""Idle connections are dropped sooner than common servers drop them (5 s), else a reused one may be reset."""


class Http:
    """A pool of connections to any host. Use it as an async context, or call `aclose`."""

    def __init__(
        self,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_connections: int = 8,
        verify: ssl.SSLContext | bool = True,
        app: AsgiApp | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """Open a pool; `app` or `transport` stands in for the network.

        `recorder` sees every exchange with its URL, headers (tokens too) and bodies: for tests and the demo only.
        """
        _silence_library_logs()
        if app is not None and transport is None:
            transport = httpx.ASGITransport(app=_as_over_a_socket(app))
        self._total_s = timeouts.total_s
        self._max_body_bytes = max_body_bytes
        self._own_recorders = () if recorder is None else (recorder,)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(
                connect=timeouts.connect_s, read=timeouts.read_s, write=timeouts.write_s, pool=timeouts.pool_s
            ),
            limits=httpx.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_connections,
                keepalive_expiry=KEEPALIVE_S,
            ),
            headers={"User-Agent": f"fhirgoals/{__version__}"},
            http1=True,
            http2=False,
            follow_redirects=False,
            trust_env=False,
            verify=verify,
            transport=transport,
        )
        self.requests = 0
        """How many requests were handed to the network, failed ones included."""

    async def send(self, request: Request) -> Reply | Failure:
        """Send once and return the whole reply, or why there is none."""
        self.requests += 1
        recorders = (*self._own_recorders, *_everywhere)
        for record in recorders:
            record(request, None)
        outcome = await self._exchange(request)
        for record in recorders:
            record(request, outcome)
        return outcome

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _exchange(self, request: Request) -> Reply | Failure:
        try:
            async with asyncio.timeout(self._total_s):
                return await self._stream(request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            # The library's message holds the URL; only its kind goes on.
            return _failure_of(error)

    async def _stream(self, request: Request) -> Reply | Failure:
        async with self._client.stream(
            request.method, request.url, headers=dict(request.headers), content=request.body
        ) as response:
            # Each call stands alone: a session cookie must not carry one patient's context to the next call.
            self._client.cookies.clear()
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > self._max_body_bytes:
                    return Failure("too_large", sent=True)
                chunks.append(chunk)
            return Reply(response.status_code, dict(response.headers), b"".join(chunks))


def record_everywhere(recorder: Recorder) -> Callable[[], None]:
    """Let a recorder see every exchange of every `Http` in this process, until the function returned is called.

    For the test suite, which searches all that it ever sent; the product never calls it.
    """
    _everywhere.append(recorder)
    return lambda: _everywhere.remove(recorder)


def _as_over_a_socket(app: AsgiApp) -> AsgiApp:
    """Return the app such that its caller sees what a socket would show.

    A crash is a 500, not an exception in the caller; a lost connection (the sandbox loses replies so) stays one.
    """

    async def served(
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        started = False

        async def send_on(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, receive, send_on)
        except ConnectionError:
            raise
        except Exception:
            # Starlette answers its own 500 before it raises the error on.
            if not started:
                await send({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b""})

    return served


_FAILURES: tuple[tuple[type[Exception], FailureKind, bool], ...] = (
    # What fails before the first byte of the request surely was not seen; anything later may have been stored.
    (httpx.ConnectError, "connect", False),
    (httpx.ConnectTimeout, "connect", False),
    (httpx.ProxyError, "connect", False),
    (httpx.PoolTimeout, "pool", False),
    (httpx.UnsupportedProtocol, "protocol", False),
    (httpx.InvalidURL, "protocol", False),
    (httpx.TimeoutException, "timeout", True),
    (httpx.NetworkError, "reset", True),
    (httpx.HTTPError, "reset", True),
    (TimeoutError, "timeout", True),
    (OSError, "reset", True),
)


def _failure_of(error: Exception) -> Failure:
    for cls, kind, sent in _FAILURES:
        if isinstance(error, cls):
            return Failure(kind, sent)
    return Failure("reset", sent=True)


_LIBRARY_LOGGERS = (
    "httpx",
    "httpcore.connection",
    "httpcore.connection_pool",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)


def _drop(record: logging.LogRecord) -> bool:
    """Refuse every record."""
    return False


def _silence_library_logs() -> None:
    """Make the HTTP libraries' own loggers write nothing, whatever level the root logger has.

    A filter survives a later `basicConfig` or `dictConfig`; adding the same one twice changes nothing.
    """
    for name in _LIBRARY_LOGGERS:
        logging.getLogger(name).addFilter(_drop)
