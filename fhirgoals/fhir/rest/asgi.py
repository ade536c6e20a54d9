"""The core as an ASGI application: reads a request whole, lets a function answer it, sends the reply."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from fhirgoals.errors import ConfigurationError
from fhirgoals.fhir.rest.asked import Asked
from fhirgoals.fhir.wire import Reply

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def asgi(answer: Callable[[Asked], Reply], *, max_body_bytes: int) -> ASGIApp:
    """Return the application that answers each HTTP request by that function."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked = await read_asked(scope, receive, max_body_bytes)
        if asked is not None:
            await send_reply(answer(asked), send)

    return app


async def read_asked(scope: Scope, receive: Receive, max_body_bytes: int) -> Asked | None:
    """Return the request, `None` when the client went away while sending it.

    Of a body above `max_body_bytes` no more is read than shows that it is too long; the core then refuses it.
    Raises `ConfigurationError` for what is no HTTP.
    """
    if scope["type"] != "http":
        raise ConfigurationError("this application speaks HTTP only: serve it with lifespan and WebSockets off")
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        # Lines of one name are one list (RFC 9110 section 5.3).
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    body = bytearray()
    declared = headers.get("content-length", "")
    if scope["method"] in _WITH_BODY and not (declared.isdecimal() and int(declared) > max_body_bytes):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if not message.get("more_body", False) or len(body) > max_body_bytes:
                break
    return Asked(
        scope["method"],
        scope["path"],
        scope["query_string"].decode("latin-1"),
        bytes(body),
        headers,
        f"{scope.get('scheme', 'http')}://{headers.get('host') or _address(scope)}",
    )


async def send_reply(reply: Reply, send: Send) -> None:
    """Send the reply."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _address(scope: Scope) -> str:
    host, port = scope.get("server") or ("127.0.0.1", None)
    return f"{host}:{port}" if port else str(host)
