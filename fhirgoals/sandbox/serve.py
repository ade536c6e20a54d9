"""Sandboxes on 127.0.0.1: one uvicorn server in a thread, one free port each, so that each is a host of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from fhirgoals.errors import ConfigurationError
from fhirgoals.sandbox.ehr import CLOSE_EXTENSION

START_LIMIT_S = 10.0
STOP_LIMIT_S = 2


@contextlib.contextmanager
def serve(apps: Mapping[str, ASGIApp], *, base_path: str = "/fhir", port: int = 0) -> Iterator[dict[str, str]]:
    """Serve each app until the block ends; give the URL of each, `base_path` included, by its name.

    `port` is for one app alone; 0 takes any that is free. Nothing is logged about requests. Raises
    `ConfigurationError` when the server does not start or the port is taken.
    """
    sockets = {name: _listen(port) for name in apps}
    by_port = {sock.getsockname()[1]: apps[name] for name, sock in sockets.items()}
    urls = {name: f"http://127.0.0.1:{sock.getsockname()[1]}{base_path}" for name, sock in sockets.items()}

    async def by_local_port(scope: Scope, receive: Receive, send: Send) -> None:
        await by_port[scope["server"][1]](scope, receive, send)

    server = _Server(
        uvicorn.Config(
            by_local_port,
            http=_ClosableProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            log_level="warning",
            timeout_graceful_shutdown=STOP_LIMIT_S,
        )
    )
    thread = threading.Thread(target=server.run, args=(list(sockets.values()),), name="sandboxes", daemon=True)
    thread.start()
    try:
        if not server.is_up.wait(START_LIMIT_S):
            raise ConfigurationError("the sandbox server did not start on 127.0.0.1")
        yield urls
    finally:
        server.should_exit = True
        thread.join()


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY; without it every answer waits 40 ms for a delayed ACK.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if port:
        # Else a port is not to be had for a minute after it was closed.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError as error:
        sock.close()
        reason = error.strerror or "unknown reason"
        raise ConfigurationError(f"port {port} of 127.0.0.1 can't be had ({reason}): name another one") from None
    return sock


class _Server(uvicorn.Server):
    """A uvicorn server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


class _ClosableProtocol(H11Protocol):
    """HTTP/1.1 that lets the app close the connection without a reply; ASGI has no word for that."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def closable(scope: Scope, receive: Receive, send: Send) -> None:
            extensions = {**scope.get("extensions", {}), CLOSE_EXTENSION: transport.abort}
            await app({**scope, "extensions": extensions}, receive, send)

        self.app = closable
