"""A proxy in front of a real server that can lose one reply after the server stored, and records every byte.

HTTP/1.1 over plain TCP on 127.0.0.1; bytes pass unchanged, the Host header too, so links that a server builds from it
point back here. Each request has its own upstream connection, so that a stale one never makes a request go twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from fhirgoals.errors import ConfigurationError
from fhirgoals.sandbox.wire import Message, asks_to_close, decoded

_MAX_HEAD_BYTES = 1 << 20
_T = TypeVar("_T")
_Ending = Literal["told", "closed", "broken"]  # by length or chunks; by the connection's close; not at all


@dataclass(frozen=True)
class Exchange:
    """One request and the upstream's reply, as the bytes on the wire (a chunked body keeps its chunk lines).

    The reply is empty when the upstream gave none; a request that the client broke off holds what had come, and was
    not sent on. `cut` means the upstream's whole reply is here and the client got nothing of it.
    """

    request_head: bytes
    request_body: bytes
    reply_head: bytes
    reply_body: bytes
    cut: bool

    @property
    def method(self) -> str:
        """The request's method, as `POST`."""
        return self._request_line(0)

    @property
    def target(self) -> str:
        """The request's path and query, as sent."""
        return self._request_line(1)

    @property
    def status(self) -> int | None:
        """The reply's status; `None` without a reply."""
        words = self.reply_head.split(b" ", 2)
        return int(words[1][:3]) if len(words) > 1 and words[1][:3].isdigit() else None

    @property
    def request_content(self) -> bytes:
        """The request's body without transfer and content coding."""
        return decoded(self.request_head, self.request_body)

    @property
    def reply_content(self) -> bytes:
        """The reply's body without transfer and content coding."""
        return decoded(self.reply_head, self.reply_body)

    def _request_line(self, word: int) -> str:
        words = self.request_head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        return words[word] if len(words) > word else ""


class Cut:
    """An order to lose one reply; `exchange` is the one that was lost, `None` so long as none matched."""

    def __init__(self, method: str | None, path: str, body_has: bytes | None) -> None:
        self.method = method
        self.path = re.compile(path)
        self.body_has = body_has
        self.taken = False
        self.exchange: Exchange | None = None

    def matches(self, request: Exchange) -> bool:
        """Whether this order is still open and the request is one that it means."""
        return (
            not self.taken
            and self.method in (None, request.method)
            and self.path.search(request.target) is not None
            and (self.body_has is None or self.body_has in request.request_content)
        )


class CutProxy:
    """`async with CutProxy(upstream) as proxy:`; clients talk to `proxy.url`, which ends in the upstream's path.

    With `record_to` each exchange is also appended to that file as one JSON line as soon as the upstream has replied,
    before the client gets a byte: `{"cut": bool, "request_head": b64, "request_body": b64, "reply_head": b64,
    "reply_body": b64}`; `read_record` reads it back, also from another process.
    """

    def __init__(self, upstream_url: str, record_to: Path | None = None) -> None:
        parts = urlsplit(upstream_url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ConfigurationError("the cut proxy needs an upstream that starts with http://")
        self._upstream = (parts.hostname, parts.port or 80)
        self._path = parts.path
        self._record_to = record_to
        self._exchanges: list[Exchange] = []
        self._cuts: list[Cut] = []
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_MAX_HEAD_BYTES)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self._path}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._clients:
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)
            await self._server.wait_closed()

    @property
    def exchanges(self) -> list[Exchange]:
        """What passed so far, in the order in which the upstream replied."""
        return list(self._exchanges)

    def cut_next(self, *, method: str | None = None, path: str = "", body_has: bytes | None = None) -> Cut:
        """Order the loss of the reply to the next request that matches, after the upstream has replied in full.

        `path` is a regular expression searched in path and query; `body_has` must occur in the decoded body.
        """
        cut = Cut(method, path, body_has)
        self._cuts.append(cut)
        return cut

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        try:
            while await self._pass_one(reader, writer):
                pass
        except (ConnectionError, asyncio.LimitOverrunError, ValueError):
            writer.transport.abort()
        except asyncio.CancelledError:  # only `__aexit__` cancels; asyncio would log a cancelled handler as a fault
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _pass_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass one request and its reply; whether the client's connection may carry another."""
        incoming = Message(reader)
        try:
            await incoming.read_head()
            if incoming.header(b"expect").lower() == b"100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await incoming.read_body(is_reply=False)
        except asyncio.IncompleteReadError:
            if incoming.head:
                self._keep(Exchange(incoming.head, incoming.body, b"", b"", cut=False))
            return False
        return await self._serve(Exchange(incoming.head, incoming.body, b"", b"", cut=False), reader, writer)

    async def _serve(self, request: Exchange, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask the upstream and tell the client, unless this reply is to be lost."""
        order = next((cut for cut in self._cuts if cut.matches(request)), None)
        if order is not None:
            order.taken = True
        exchange, ending = await self._ask_upstream(request, cut=order is not None)
        self._keep(exchange)
        if order is not None:
            order.exchange = exchange
        return await self._tell(exchange, ending, writer)

    async def _tell(self, exchange: Exchange, ending: _Ending, writer: asyncio.StreamWriter) -> bool:
        """Give the client the reply, or nothing where it was lost."""
        if exchange.cut or ending == "broken":
            writer.transport.abort()
            return False
        writer.write(exchange.reply_head + exchange.reply_body)
        await writer.drain()
        return ending == "told" and not (asks_to_close(exchange.request_head) or asks_to_close(exchange.reply_head))

    async def _ask_upstream(self, request: Exchange, *, cut: bool) -> tuple[Exchange, _Ending]:
        """The exchange, and how its reply ended."""
        head, body = b"", b""
        ending: _Ending = "broken"
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(*self._upstream, limit=_MAX_HEAD_BYTES)
            reply = Message(reader)
            try:
                writer.write(request.request_head + request.request_body)
                await writer.drain()
                await reply.read_head()
                while reply.head[9:10] == b"1":  # an interim reply; the client already had its own 100 Continue
                    reply = Message(reader)
                    await reply.read_head()
                await reply.read_body(is_reply=True, has_none=request.method == "HEAD")
                ending = "closed" if reply.ends_at_close else "told"
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, ConnectionError):
                ending = "broken"  # lost for the client, as when the server itself had dropped the connection
            finally:
                head, body = reply.head, reply.body
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
        was_cut = cut and ending != "broken"
        return Exchange(request.request_head, request.request_body, head, body, cut=was_cut), ending

    def _keep(self, exchange: Exchange) -> None:
        self._exchanges.append(exchange)
        if self._record_to is not None:
            with self._record_to.open("ab") as record:
                record.write(msgspec.json.encode(exchange) + b"\n")


class ThreadedCutProxy:
    """`with ThreadedCutProxy(upstream) as proxy:`; the same proxy for synchronous code, on a thread of its own."""

    def __init__(self, upstream_url: str, record_to: Path | None = None) -> None:
        self._proxy = CutProxy(upstream_url, record_to)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cut-proxy", daemon=True)

    @property
    def url(self) -> str:
        """Where clients connect; empty before `__enter__`."""
        return self._proxy.url

    @property
    def exchanges(self) -> list[Exchange]:
        """What passed so far, in the order in which the upstream replied."""
        return self._on_loop(lambda: self._proxy.exchanges)

    def cut_next(self, *, method: str | None = None, path: str = "", body_has: bytes | None = None) -> Cut:
        """See `CutProxy.cut_next`."""
        return self._on_loop(lambda: self._proxy.cut_next(method=method, path=path, body_has=body_has))

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.__aenter__(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._proxy.__aexit__(kind, error, trace), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _on_loop(self, call: Callable[[], _T]) -> _T:
        async def run() -> _T:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()


def read_record(path: Path) -> Iterator[Exchange]:
    """The exchanges of a record file, in order; a last line that is still being written is left out."""
    with path.open("rb") as record:
        for line in record:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line, type=Exchange)
