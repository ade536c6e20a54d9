"""The store for async code: one writer thread and a small pool of readers; each call is one whole transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fhirgoals.store.engine import Store
from fhirgoals.store.tx import Tx

T = TypeVar("T")


class AsyncStore:
    """A store behind threads. What `fn` raises passes through, and its transaction leaves no trace.

    A caller that is cancelled while `fn` runs does not stop it: the transaction ends by itself, as if the process had
    died right after the commit.
    """

    def __init__(self, store: Store, *, readers: int = 2) -> None:
        self.store = store
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="store-read")

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Return `fn(tx)`, run in the writer thread inside one transaction."""

        def work() -> T:
            with self.store.write() as tx:
                return fn(tx)

        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Return `fn(tx)`, run in a reader thread inside one transaction that sees one state of the store."""

        def work() -> T:
            with self.store.read() as tx:
                return fn(tx)

        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def close(self) -> None:
        """Wait for what is running and close the store."""
        self._writer.shutdown()
        self._readers.shutdown()
        self.store.close()
