"""The HTTP seam: one request, one reply or failure, and nothing of it in any log."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from fhirgoals.fhir.http import Failure, Http, Reply, Request, Timeouts

TURN = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SECRET = "MRN-4711-Anna"
FAST = Timeouts(connect_s=2, read_s=0.05, write_s=2, pool_s=2, total_s=2)


@asynccontextmanager
async def server(turn: TURN, heads: list[bytes] | None = None) -> AsyncIterator[str]:
    """Serve raw bytes on 127.0.0.1: `turn` gets the connection once the request's head is in (kept in `heads`)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if heads is not None:
                heads.append(head)
            await turn(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def says(raw: bytes) -> TURN:
    async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return turn


async def test_a_reply_comes_whole() -> None:
    """Status, header names in lower case, body."""
    async with (
        server(says(b'HTTP/1.1 201 Created\r\nETag: W/"1"\r\nContent-Length: 2\r\n\r\n{}')) as url,
        Http() as http,
    ):
        reply = await http.send(Request("POST", f"{url}/Goal", {"X-A": "b"}, b"{}"))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers["etag"], reply.body) == (201, 'W/"1"', b"{}")
    assert http.requests == 1


async def test_the_request_goes_out_as_given() -> None:
    """Method, path with its escapes, headers and body arrive untouched; no cookie or proxy header is added."""
    heads: list[bytes] = []
    bodies: list[bytes] = []

    async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append(await reader.readexactly(10))
        await says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(reader, writer)

    async with server(turn, heads) as url, Http() as http:
        await http.send(Request("PUT", f"{url}/Goal/a%2Fb?x=1%7C2", {"If-Match": 'W/"1"'}, b'{"a":7.10}'))
    line, *fields = heads[0].decode().strip().split("\r\n")
    assert line == "PUT /Goal/a%2Fb?x=1%7C2 HTTP/1.1"
    assert 'If-Match: W/"1"' in fields
    names = {name.partition(":")[0].lower() for name in fields}
    assert names == {"host", "accept", "accept-encoding", "connection", "user-agent", "if-match", "content-length"}
    assert bodies == [b'{"a":7.10}']


async def test_no_connection_was_surely_not_sent() -> None:
    """A refused connection: the server saw nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Http() as http:
        assert await http.send(Request("POST", f"http://127.0.0.1:{port}/Goal")) == Failure("connect", sent=False)


async def test_a_cut_reply_may_have_been_stored() -> None:
    """The connection closes after the request and before, or inside, the reply."""
    for raw in (b"", b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{"):
        async with server(says(raw)) as url, Http() as http:
            assert await http.send(Request("POST", f"{url}/Goal", {}, b"{}")) == Failure("reset", sent=True)


async def test_what_is_no_http_is_a_failure() -> None:
    """Garbage in the place of a status line raises nothing."""
    async with server(says(b"SSH-2.0-OpenSSH\r\n\r\n")) as url, Http() as http:
        assert await http.send(Request("GET", url)) == Failure("reset", sent=True)


async def test_silence_ends_with_a_timeout() -> None:
    """A server that never answers."""

    async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(turn) as url, Http(timeouts=FAST) as http:
        assert await http.send(Request("GET", url)) == Failure("timeout", sent=True)


async def test_a_reply_that_drips_in_ends_with_a_timeout() -> None:
    """Each byte comes in time, the whole never does: the total bounds it."""

    async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not reader.at_eof() and not writer.is_closing():
            writer.write(b" ")
            try:
                await writer.drain()
                await asyncio.wait_for(reader.read(1), 0.01)
            except TimeoutError:
                continue
            except ConnectionError:
                return

    timeouts = Timeouts(connect_s=2, read_s=2, write_s=2, pool_s=2, total_s=0.1)
    async with server(turn) as url, Http(timeouts=timeouts) as http:
        assert await http.send(Request("GET", url)) == Failure("timeout", sent=True)


async def test_a_busy_pool_was_surely_not_sent() -> None:
    """No free connection in time: the request never left."""
    entered, release = asyncio.Event(), asyncio.Event()

    async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        entered.set()
        await release.wait()
        await says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(reader, writer)

    timeouts = Timeouts(pool_s=0.02)
    async with server(turn) as url, Http(timeouts=timeouts, max_connections=1) as http, asyncio.TaskGroup() as group:
        first = group.create_task(http.send(Request("GET", url)))
        await entered.wait()
        assert await http.send(Request("POST", url)) == Failure("pool", sent=False)
        release.set()
    assert isinstance(first.result(), Reply)


@pytest.mark.parametrize(
    "encode", [lambda raw: (b"", raw), lambda raw: (b"Content-Encoding: gzip\r\n", gzip.compress(raw))]
)
async def test_a_body_over_the_limit_is_not_read(encode: Callable[[bytes], tuple[bytes, bytes]]) -> None:
    """The limit counts what the body becomes: a small gzip can hold a very large text."""
    head, raw = encode(b" " * 100_000)
    reply = b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(raw) + raw
    async with server(says(reply)) as url, Http(max_body_bytes=50_000) as http:
        assert await http.send(Request("GET", url)) == Failure("too_large", sent=True)


async def test_a_broken_encoding_is_a_failure() -> None:
    """Content-Encoding: gzip over what is none."""
    async with (
        server(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")) as url,
        Http() as http,
    ):
        assert await http.send(Request("GET", url)) == Failure("reset", sent=True)


@pytest.mark.parametrize("url", ["ftp://h/x", "http://h:99999/", "http://127.0.0.1/" + "x" * 70_000])
async def test_an_impossible_address_was_not_sent(url: str) -> None:
    """What is no address fails before any byte."""
    async with Http() as http:
        outcome = await http.send(Request("GET", url))
    assert isinstance(outcome, Failure)
    assert not outcome.sent


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (httpx.ConnectTimeout, Failure("connect", sent=False)),
        (httpx.ProxyError, Failure("connect", sent=False)),
        (httpx.WriteTimeout, Failure("timeout", sent=True)),
        (httpx.WriteError, Failure("reset", sent=True)),
        (httpx.ReadError, Failure("reset", sent=True)),
        (httpx.LocalProtocolError, Failure("reset", sent=True)),
    ],
)
async def test_each_transport_error_tells_whether_it_was_sent(error: type[httpx.HTTPError], failure: Failure) -> None:
    """Those that a local socket does not show: only what fails before the first byte was not sent."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise error(SECRET)

    async with Http(transport=httpx.MockTransport(fail)) as http:
        assert await http.send(Request("POST", "http://ehr.test/x")) == failure


async def test_redirects_are_not_followed_and_cookies_not_kept() -> None:
    """A redirect is an answer to judge; a session must not tie one call to the next."""
    seen: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        headers = [(b"location", b"/elsewhere"), (b"set-cookie", b"s=1")]
        await send({"type": "http.response.start", "status": 302, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with Http(app=app) as http:
        for _ in range(2):
            reply = await http.send(Request("GET", "http://ehr.test/Patient/p1"))
            assert isinstance(reply, Reply)
            assert reply.status == 302
    assert len(seen) == 2
    assert not any(name == b"cookie" for scope in seen for name, _ in scope["headers"])


async def test_a_crash_in_an_embedded_app_is_its_500() -> None:
    """As over a socket: the caller gets an answer, not the app's exception."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError(SECRET)

    async with Http(app=app) as http:
        reply = await http.send(Request("GET", "http://ehr.test/x"))
    assert isinstance(reply, Reply)
    assert reply.status == 500


async def test_a_connection_lost_by_an_embedded_app_is_a_lost_reply() -> None:
    """The sandbox loses a reply after storing: in process it looks as it does over a socket."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionResetError

    async with Http(app=app) as http:
        assert await http.send(Request("PUT", "http://ehr.test/x")) == Failure("reset", sent=True)


async def test_the_environment_sets_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable of the machine does not reroute patient data."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with server(says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as url, Http() as http:
        assert isinstance(await http.send(Request("GET", url)), Reply)


async def test_the_recorder_sees_each_exchange_twice() -> None:
    """Before it is sent (so that a crash leaves a trace) and with its outcome."""
    seen: list[tuple[bytes, int | None]] = []

    def record(request: Request, outcome: Reply | Failure | None) -> None:
        seen.append((request.wire(), outcome.status if isinstance(outcome, Reply) else None))

    transport = httpx.MockTransport(lambda request: httpx.Response(204))
    async with Http(transport=transport, recorder=record) as http:
        await http.send(Request("PUT", "http://ehr.test/Goal/1", {"If-Match": "1"}, b"{}"))
    sent = b"PUT http://ehr.test/Goal/1\r\nIf-Match: 1\r\n\r\n{}"
    assert seen == [(sent, None), (sent, 204)]


async def test_nothing_of_a_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """URLs carry identifiers: even at DEBUG neither we nor the libraries write any, and no repr shows one."""
    request = Request("GET", f"/Patient?identifier={SECRET}", {"Authorization": f"Bearer {SECRET}"}, SECRET.encode())
    with caplog.at_level(logging.DEBUG):
        async with server(says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as url, Http() as http:
            await http.send(Request("GET", url + request.url, request.headers))
            await http.send(Request("GET", "http://127.0.0.1:1" + request.url))
    assert SECRET not in caplog.text
    assert SECRET not in repr(request)
