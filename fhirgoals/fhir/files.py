"""Finds every Goal and CarePlan in files and folders: JSON, Bundle, NDJSON, each also gzipped, and `contained`.

A file or line that can't be read becomes a record with its rule, never an exception, and the walk goes on.
Nothing is judged here: `validate` does that.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fhirgoals.errors import BadJson
from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.rules import TYPES


@dataclass(frozen=True)
class Limits:
    """Largest texts that are read, in bytes after unpacking; what is longer is quarantined."""

    line_bytes: int = 16 * 1024 * 1024
    file_bytes: int = 200 * 1024 * 1024


DEFAULT_LIMITS = Limits()
"""No Goal comes near 16 MB; a Bundle export beyond 200 MB belongs in NDJSON, which is read line by line."""


@dataclass(frozen=True)
class Found:
    """One Goal or CarePlan and where it stands: `pointer` is its place in the file, "" for the whole file.

    `container` is the resource that holds it in `contained`, if any.
    """

    file: str
    pointer: str
    resource: Resource
    container: Resource | None = None

    @property
    def id(self) -> str:
        """The resource's id, or its place in the file where it has none."""
        own = self.resource.get("id")
        return own if isinstance(own, str) and own else self.pointer or self.file


@dataclass(frozen=True)
class Quarantined:
    """Something that should hold a resource and can't be read. `path` is its place in the file, "" for all of it."""

    file: str
    rule: str
    path: str
    message: str


@dataclass(frozen=True)
class Skipped:
    """A file met in a folder that holds no FHIR resource in JSON; said, not judged."""

    file: str
    rule: str
    message: str


Met = Found | Quarantined | Skipped
"""What the walk meets."""

_NDJSON = (".ndjson", ".jsonl")
_NOT_A_RESOURCE = "holds no FHIR resource: its JSON has no resourceType"


def iter_resources(paths: str | Path | Iterable[str | Path], limits: Limits = DEFAULT_LIMITS) -> Iterator[Met]:
    """Yield every Goal and CarePlan of files and folders, in the order given, folders by name.

    Resources of other types are passed over, save for what they contain. Symbolic links to folders are not followed.
    """
    for path in [paths] if isinstance(paths, str | Path) else paths:
        place = Path(path)
        if place.is_dir():
            for file in _files(place):
                yield from _read(file, limits, named=False)
        else:
            yield from _read(place, limits, named=True)


def resources_in(tree: Tree, pointer: str = "") -> Iterator[tuple[str, Resource, Resource | None] | tuple[str, str]]:
    """Yield (pointer, resource, container) for each Goal and CarePlan in a tree, or (pointer, rule) for what is none.

    Walks Bundles entry by entry, also nested, and `contained`.
    """
    if not isinstance(tree, dict):
        yield pointer, "READ-OBJECT"
        return
    kind = tree.get("resourceType")
    if not isinstance(kind, str):
        yield pointer, "READ-TYPE"
        return
    if kind in TYPES:
        yield pointer, tree, None
    if kind == "Bundle":
        entries = tree.get("entry")
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            place = _join(pointer, f"entry[{index}]")
            if not isinstance(entry, dict):
                yield place, "READ-OBJECT"
            elif "resource" in entry:
                yield from resources_in(entry["resource"], f"{place}.resource")
    inners = tree.get("contained")
    for index, inner in enumerate(inners if isinstance(inners, list) else []):
        # A tuple, since what stands there may be a list, which no set can be asked for.
        if isinstance(inner, dict) and inner.get("resourceType") in tuple(TYPES):
            yield _join(pointer, f"contained[{index}]"), inner, tree


def _join(pointer: str, part: str) -> str:
    if not pointer:
        return part
    return pointer + (" " if pointer.startswith("line ") and " " not in pointer[5:] else ".") + part


_MESSAGES = {
    "READ-OBJECT": "is no JSON object, so no resource",
    "READ-TYPE": "has no resourceType, so it is no resource",
}


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(root) / name


def _suffix(path: Path) -> tuple[str, bool]:
    name = path.name.lower()
    packed = name.endswith(".gz")
    return Path(name.removesuffix(".gz")).suffix, packed


def _read(path: Path, limits: Limits, *, named: bool) -> Iterator[Met]:
    suffix, packed = _suffix(path)
    file = str(path)
    if not named and suffix not in {".json", *_NDJSON}:
        yield Skipped(file, "READ-FORMAT", "is no JSON file by its name; name it on the command line to have it read")
        return
    try:
        with path.open("rb") as raw:
            stream: BinaryIO = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
            if suffix in _NDJSON:
                yield from _lines(file, stream, limits)
            elif path.stat().st_size > limits.file_bytes:
                yield _too_large(file, limits)
            else:
                yield from _whole(file, stream, limits, named=named)
    except (OSError, EOFError, zlib.error) as failed:
        what = (
            "can't be unpacked" if packed and not isinstance(failed, FileNotFoundError) else "can't be opened or read"
        )
        yield Quarantined(file, "READ-FILE", "", what)


def _whole(file: str, stream: BinaryIO, limits: Limits, *, named: bool) -> Iterator[Met]:
    raw = _at_most(stream, limits.file_bytes)
    if raw is None:
        yield _too_large(file, limits)
        return
    tree = _parse(file, "", raw)
    if isinstance(tree, Quarantined):
        yield tree
    elif not named and not (isinstance(tree.value, dict) and isinstance(tree.value.get("resourceType"), str)):
        yield Skipped(file, "READ-TYPE", _NOT_A_RESOURCE)
    else:
        yield from _found(file, "", tree.value)


def _too_large(file: str, limits: Limits) -> Quarantined:
    return Quarantined(file, "READ-SIZE", "", f"is larger than {limits.file_bytes:,} bytes: export it as NDJSON")


def _lines(file: str, stream: BinaryIO, limits: Limits) -> Iterator[Met]:
    number = 0
    while line := stream.readline(limits.line_bytes + 1):
        number += 1
        pointer = f"line {number}"
        if len(line) > limits.line_bytes:
            while line and not line.endswith(b"\n"):
                line = stream.readline(limits.line_bytes)
            yield Quarantined(file, "READ-SIZE", pointer, f"is longer than {limits.line_bytes:,} bytes; no Goal is")
            continue
        if not line.strip():
            continue
        tree = _parse(file, pointer, line)
        if isinstance(tree, Quarantined):
            yield tree
        else:
            yield from _found(file, pointer, tree.value)


def _found(file: str, pointer: str, tree: Tree) -> Iterator[Met]:
    for met in resources_in(tree, pointer):
        if len(met) == 3:
            yield Found(file, *met)
        else:
            place, rule = met
            yield Quarantined(file, rule, place, _MESSAGES[rule])


def _at_most(stream: BinaryIO, limit: int) -> bytes | None:
    """Return all bytes of a stream, or None where there are more than `limit`; never holds much more than that."""
    chunks: list[bytes] = []
    size = 0
    while chunk := stream.read(1 << 20):
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


@dataclass(frozen=True)
class _Parsed:
    value: Tree


def _parse(file: str, pointer: str, raw: bytes) -> _Parsed | Quarantined:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return Quarantined(file, "READ-ENCODING", pointer, "is not UTF-8: convert it, then try again")
    try:
        return _Parsed(exact_json.loads(raw))
    except BadJson as bad:
        return Quarantined(file, "READ-JSON", pointer, f"can't be read: {bad}")
