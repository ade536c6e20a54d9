"""HTTP/1.1 messages as bytes: where one ends, what a header says, what a coded body holds.

Nothing is interpreted beyond that, and nothing rewritten; the cut proxy stands on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable


class Message:
    """One message as it arrives; `head` and `body` hold what came, also when reading breaks off.

    Reading raises `asyncio.IncompleteReadError` when the message broke off, `asyncio.LimitOverrunError` or `ValueError`
    when it is no HTTP. `ends_at_close`: only the connection's close told the end.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.head = b""
        self._body = bytearray()
        self.ends_at_close = False

    def header(self, name: bytes) -> bytes:
        """The value of that (lower case) header, empty where there is none."""
        return header(self.head, name)

    @property
    def body(self) -> bytes:
        """The body so far, as on the wire."""
        return bytes(self._body)

    async def read_head(self) -> None:
        """Read up to the empty line."""
        try:
            self.head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as broken:
            self.head = broken.partial
            raise

    async def read_body(self, *, is_reply: bool, has_none: bool = False) -> None:
        """Read up to the message's end (RFC 9112 section 6.3)."""
        if has_none or (is_reply and self.head[9:12] in (b"204", b"304")):
            return
        if b"chunked" in self.header(b"transfer-encoding").lower():
            await self._read_chunks()
        elif length := self.header(b"content-length"):
            await self._take(self._reader.readexactly(int(length)))
        elif is_reply:
            self.ends_at_close = True
            self._body += await self._reader.read()

    async def _read_chunks(self) -> None:
        size = -1
        while size != 0:
            line = await self._take(self._reader.readuntil(b"\r\n"))
            size = int(line.split(b";")[0], 16)
            if size:
                await self._take(self._reader.readexactly(size + 2))
        while await self._take(self._reader.readuntil(b"\r\n")) != b"\r\n":
            pass  # a trailer field

    async def _take(self, arriving: Awaitable[bytes]) -> bytes:
        try:
            got = await arriving
        except asyncio.IncompleteReadError as broken:
            self._body += broken.partial
            raise
        self._body += got
        return got


def header(head: bytes, name: bytes) -> bytes:
    """The value of the first header of that (lower case) name, empty where there is none."""
    for line in head.split(b"\r\n")[1:]:
        field, _, value = line.partition(b":")
        if field.strip().lower() == name:
            return value.strip()
    return b""


def asks_to_close(head: bytes) -> bool:
    """Whether this message is the last on its connection."""
    connection = header(head, b"connection").lower()
    first_line = head.split(b"\r\n", 1)[0]
    return b"close" in connection or (b"HTTP/1.0" in first_line and b"keep-alive" not in connection)


def decoded(head: bytes, body: bytes) -> bytes:
    """The content of a body; as much as can be told where it is broken off, the body itself where it is not as said."""
    content = _without_chunk_lines(body) if b"chunked" in header(head, b"transfer-encoding").lower() else body
    if header(head, b"content-encoding").lower() in (b"gzip", b"x-gzip", b"deflate"):
        with contextlib.suppress(zlib.error):
            return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(content)
    return content


def _without_chunk_lines(body: bytes) -> bytes:
    content, at = bytearray(), 0
    while (end := body.find(b"\r\n", at)) >= 0:
        try:
            size = int(body[at:end].split(b";")[0], 16)
        except ValueError:
            break
        content += body[end + 2 : end + 2 + size]
        if size == 0:
            break
        at = end + 2 + size + 2
    return bytes(content)
