"""The cut proxy against a tiny server of its own: bytes unchanged, one reply lost, everything recorded."""

from __future__ import annotations

import asyncio
import gzip
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import RemoteDisconnected
from pathlib import Path

import pytest

from fhirgoals.errors import ConfigurationError
from fhirgoals.sandbox.cut_proxy import CutProxy, ThreadedCutProxy, read_record

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nGoal\r\n5\r\n and \r\n0\r\nX-Trailer: 1\r\n\r\n"
)
PLAIN = b'HTTP/1.1 201 Created\r\nETag: W/"1"\r\nContent-Length: 2\r\n\r\n{}'
ZIPPED_BODY = gzip.compress(b"a kept text")
ZIPPED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(ZIPPED_BODY), ZIPPED_BODY)


class Upstream:
    """Replies to a request by its path; `seen` holds every byte that came."""

    def __init__(self) -> None:
        self.replies = {"/fhir/chunked": CHUNKED, "/fhir/zipped": ZIPPED}
        self.seen: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = b""
                lower = head.lower()
                if b"content-length:" in lower:
                    body = await reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
                elif b"transfer-encoding: chunked" in lower:
                    body = await reader.readuntil(b"0\r\n\r\n")
                self.seen.append(head + body)
                path = head.split(b" ")[1].decode()
                match path:
                    case "/fhir/until-close":
                        writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")
                        break
                    case "/fhir/dies":
                        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                        break
                    case "/fhir/early":
                        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + PLAIN)
                    case _ if head.startswith(b"HEAD"):
                        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
                    case _ if head.startswith(b"DELETE"):
                        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                    case _:
                        writer.write(self.replies.get(path, PLAIN))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
    async with server:
        yield upstream


async def say(url: str, *requests: bytes, ends_with: bytes = b"") -> bytes:
    """Send requests one after the other on one connection and return all that comes back up to its close."""
    host, port = url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"".join(requests))
    got = b""
    try:
        got = await (reader.readuntil(ends_with) if ends_with else reader.read())
    except (ConnectionError, asyncio.IncompleteReadError) as broken:
        got = getattr(broken, "partial", b"")
    writer.close()
    return got


def ask(method: str, path: str, body: bytes = b"", *extra: str) -> bytes:
    lines = [f"{method} /fhir{path} HTTP/1.1", "Host: the-client-said-this", *extra]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


CLOSE = "Connection: close"


async def test_bytes_pass_unchanged_both_ways() -> None:
    """What the server got is what the client sent, Host header included, and the reply comes back as it was."""
    request = ask("POST", "/Goal", b'{"a": 7.10}', "X-Odd:   spaced ", CLOSE)
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        reply = await say(proxy.url, request)
        assert proxy.url.endswith("/fhir")
    assert upstream.seen == [request]
    assert reply == PLAIN


async def test_chunks_pass_as_they_are() -> None:
    """A chunked request and a chunked reply keep their chunk lines, extensions and trailers."""
    body = b"3\r\nabc\r\n0\r\n\r\n"
    request = ask("POST", "/chunked", b"", "Transfer-Encoding: chunked", CLOSE) + body
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        reply = await say(proxy.url, request)
        (exchange,) = proxy.exchanges
    assert upstream.seen == [request]
    assert reply == CHUNKED
    assert (exchange.request_content, exchange.reply_content) == (b"abc", b"Goal and ")


async def test_one_connection_carries_many_requests() -> None:
    """Keep-alive works: replies come in order on one client connection, bodiless ones too."""
    requests = [
        ask("GET", "/chunked"),
        ask("HEAD", "/Goal/1"),
        ask("DELETE", "/Goal/1"),
        ask("GET", "/early"),
        ask("GET", "/Goal/2", b"", CLOSE),
    ]
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        reply = await say(proxy.url, *requests)
        statuses = [exchange.status for exchange in proxy.exchanges]
    assert upstream.seen == requests
    assert reply.count(b"HTTP/1.1") == 5
    assert reply.endswith(PLAIN)
    assert statuses == [200, 200, 204, 201, 201]


async def test_a_cut_loses_the_reply_after_the_server_stored() -> None:
    """The server got the request and replied in full; the client got not a byte; the next try passes."""
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        cut = proxy.cut_next(method="POST", path=r"/Goal$", body_has=b"second")
        first = await say(proxy.url, ask("POST", "/Goal", b"first", CLOSE))
        lost = await say(proxy.url, ask("POST", "/Goal", b"second", CLOSE))
        again = await say(proxy.url, ask("POST", "/Goal", b"second", CLOSE))
        assert [(e.method, e.target, e.cut) for e in proxy.exchanges] == [
            ("POST", "/fhir/Goal", False),
            ("POST", "/fhir/Goal", True),
            ("POST", "/fhir/Goal", False),
        ]
    assert (first, lost, again) == (PLAIN, b"", PLAIN)
    assert len(upstream.seen) == 3
    assert cut.exchange is not None
    assert cut.exchange.reply_head + cut.exchange.reply_body == PLAIN


@pytest.mark.parametrize(
    ("method", "path", "body_has"), [("PUT", "/Goal", None), (None, "/CarePlan", None), (None, "/Goal", b"other")]
)
async def test_a_cut_takes_only_what_it_means(method: str | None, path: str, body_has: bytes | None) -> None:
    """Method, path and body must all fit, else the reply passes."""
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        cut = proxy.cut_next(method=method, path=path, body_has=body_has)
        assert await say(proxy.url, ask("POST", "/Goal", b"text", CLOSE)) == PLAIN
    assert cut.exchange is None


async def test_two_orders_cut_two_replies() -> None:
    """Each order is good for one reply."""
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        for _ in range(2):
            proxy.cut_next(path="/Goal")
        replies = [await say(proxy.url, ask("GET", "/Goal", b"", CLOSE)) for _ in range(3)]
    assert replies == [b"", b"", PLAIN]


async def test_a_reply_without_length_ends_with_the_connection() -> None:
    """Where only the close tells the reply's end, the client's connection closes too."""
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        reply = await say(proxy.url, ask("GET", "/until-close"))
    assert reply == b"HTTP/1.1 200 OK\r\n\r\nto the end"


async def test_a_broken_reply_is_recorded_and_not_passed() -> None:
    """A server that dies in mid-reply looks to the client like a dropped connection, and is no cut."""
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        assert await say(proxy.url, ask("GET", "/dies")) == b""
        (exchange,) = proxy.exchanges
    assert (exchange.reply_body, exchange.cut) == (b"half", False)


async def test_a_request_that_the_client_broke_off_is_recorded_and_not_sent() -> None:
    """Half a request never reaches the server; what came of it is in the record."""
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        host, port = proxy.url.split("/")[2].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(ask("POST", "/Goal", b"whole")[:-2])
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        (exchange,) = proxy.exchanges
    assert (exchange.request_body, exchange.status) == (b"who", None)
    assert upstream.seen == []


async def test_an_unreachable_server_drops_the_client() -> None:
    """Nothing answers upstream: the client's connection is dropped and the request recorded."""
    async with running() as upstream:
        url = upstream.url
    async with CutProxy(url) as proxy:
        assert await say(proxy.url, ask("GET", "/Goal")) == b""
        (exchange,) = proxy.exchanges
    assert exchange.status is None


async def test_a_client_that_waits_for_100_continue_gets_it_once() -> None:
    """Expect: 100-continue is answered here, as the body is read before the server is asked."""
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        reply = await say(proxy.url, ask("POST", "/Goal", b"x", "Expect: 100-continue", CLOSE))
    assert reply == b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN


async def test_the_record_can_be_read_while_it_grows(tmp_path: Path) -> None:
    """Each exchange is one JSON line with base64 bytes; a line that is not complete yet is left out."""
    record = tmp_path / "traffic.jsonl"
    async with running() as upstream, CutProxy(upstream.url, record_to=record) as proxy:
        proxy.cut_next(path="zipped")
        await say(proxy.url, ask("GET", "/zipped"))
        await say(proxy.url, ask("POST", "/Goal", b"sent", CLOSE))
        with record.open("ab") as file:
            file.write(b'{"cut": tr')
        assert list(read_record(record)) == proxy.exchanges
    first = json.loads(record.read_bytes().splitlines()[0])
    assert sorted(first) == ["cut", "reply_body", "reply_head", "request_body", "request_head"]
    lost, sent = read_record(record)
    assert (lost.cut, lost.reply_content) == (True, b"a kept text")
    assert sent.request_content == b"sent"


async def test_many_clients_at_once_each_get_their_reply() -> None:
    """Concurrent connections do not mix, and one order cuts exactly one of them."""
    async with running() as upstream, CutProxy(upstream.url) as proxy:
        upstream.replies |= {
            f"/fhir/Goal/{n}": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % n for n in range(20)
        }
        proxy.cut_next(path="/Goal/7$")
        replies = await asyncio.gather(*(say(proxy.url, ask("GET", f"/Goal/{n}", b"", CLOSE)) for n in range(20)))
    assert [reply[-2:] for reply in replies] == [b"" if n == 7 else b"%02d" % n for n in range(20)]


async def test_threaded_proxy_serves_synchronous_code() -> None:
    """The threaded variant cuts and records for a caller without an event loop."""

    def act(upstream_url: str) -> list[bool]:
        with ThreadedCutProxy(upstream_url) as proxy:
            proxy.cut_next(method="GET", path="/Goal")
            with pytest.raises(RemoteDisconnected):
                urllib.request.urlopen(f"{proxy.url}/Goal", timeout=10)
            with urllib.request.urlopen(f"{proxy.url}/Goal", timeout=10) as reply:
                assert reply.status == 201
            return [exchange.cut for exchange in proxy.exchanges]

    async with running() as upstream:
        assert await asyncio.to_thread(act, upstream.url) == [True, False]


def test_only_plain_http_upstreams() -> None:
    """An https upstream can't be read unchanged: it is refused."""
    with pytest.raises(ConfigurationError):
        CutProxy("https://ehr.example/fhir")
