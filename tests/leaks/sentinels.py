"""Finds the examples' `KIND-SENTINEL-…` marks in bytes. Child processes load it by path: it imports nothing of ours."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

MARK = "SENTINEL"
_MARK = re.compile(rb"[A-Z]{0,16}-?" + MARK.encode() + rb"[A-Z0-9-]*", re.IGNORECASE)
_ALIGNED = [
    base64.b64encode(bytes(before) + MARK.encode())[-(-before * 8 // 6) : (before + 8) * 8 // 6] for before in range(3)
]


def sentinels_in(content: bytes) -> set[str]:
    """Return the marks that stand in the bytes, plain or (told as `base64`) in base64 of any alignment."""
    named = _MARK.findall(content) if MARK.lower().encode() in content.lower() else []
    found = {each.decode("ascii", "replace").upper() for each in named}
    return found | {"base64" for each in _ALIGNED if each in content}


class Traffic:
    """A recorder of `Http`: searches what is about to leave. What an EHR said itself in this test may go back to it."""

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self.found: list[str] = []
        self._said: dict[str, set[str]] = {}

    def __call__(self, request: object, outcome: object) -> None:
        url: str = request.url  # type: ignore[attr-defined]
        host = urlsplit(url).netloc
        if outcome is not None:
            self._said.setdefault(host, set()).update(sentinels_in(getattr(outcome, "body", b"")))
            return
        content: bytes = request.wire()  # type: ignore[attr-defined]
        self.requests += 1
        self.bytes += len(content)
        marks = sentinels_in(content) - self._said.get(host, set())
        self.found += [f"{mark} in {request.method} {urlsplit(url).path}" for mark in sorted(marks)]  # type: ignore[attr-defined]

    def forget(self) -> None:
        """Begin a new test: nobody has said anything yet."""
        self._said.clear()


class ToFile(Traffic):
    """The same in a child process, which may be killed at any moment: every request is written down at once."""

    def __init__(self, file: Path, test: str) -> None:
        super().__init__()
        self._file = file
        self._test = test

    def __call__(self, request: object, outcome: object) -> None:
        known, before = len(self.found), self.bytes
        super().__call__(request, outcome)
        if self.bytes > before:
            line = {"test": self._test, "bytes": self.bytes - before, "found": self.found[known:]}
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
