"""The oracle's search for what should not be at an EHR: by content, in all recorded traffic and in what stands there.

Which texts may go is worked out here anew, from the plan files, the lists of goals that their `expected` blocks name,
and the table of fields; nothing of `domain`, `mappers`, `store` or `sync` is used.
"""

from __future__ import annotations

import base64
import csv
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, unquote_plus

Json: TypeAlias = Any

SHORTEST = 12
"""A shorter text may stand anywhere by chance."""

SHORTEST_ID = 8
MARK = "SENTINEL"
"""Part of texts that no EHR may ever see."""

FIELDS = Path(__file__).parents[1] / "domain" / "fields.csv"

_TOP = {
    "plan": "Plan",
    "client": "Client",
    "therapist": "Staff",
    "participants": "Participant",
    "problems": "Problem",
    "disclosure": "Disclosure",
    "sessions": "Session",
    "measures": "Measure",
    "interventions": "Intervention",
    "goals": "Goal",
    "reviews": "Review",
    "revisions": "Revision",
}
_INSIDE = {
    ("Plan", "discharge_criteria"): "DischargeCriterion",
    ("Plan", "discharge"): "Discharge",
    ("Disclosure", "consents"): "Consent",
    ("Disclosure", "withheld"): "Withheld",
    ("Measure", "baseline"): "Reading",
    ("Measure", "readings"): "Reading",
    ("Goal", "targets"): "Target",
    ("Goal", "gas"): "Gas",
    ("Gas", "ratings"): "GasRating",
    ("Goal", "readiness"): "Readiness",
    ("Goal", "acceptance"): "Acceptance",
    ("Goal", "steps"): "Step",
    ("Step", "trials"): "Trial",
    ("Goal", "progress"): "ProgressEntry",
    ("Goal", "findings"): "Finding",
    ("Goal", "achievements"): "Achievement",
    ("Goal", "barriers"): "Barrier",
    ("Goal", "revisions"): "Revision",
    ("Revision", "changes"): "Change",
    ("Review", "signatures"): "Signature",
}
_NO_TEXT = ("code", "id", "ref ", "date", "integer", "boolean", "decimal", "UCUM", "connection", "instant")
_GATES = {
    ("Goal", "client_words"): ("share_words", True),
    ("ProgressEntry", "text"): ("visibility", "shared"),
    ("ProgressEntry", "author_text"): ("visibility", "shared"),
    ("Achievement", "text"): ("share", True),
}


@dataclass(frozen=True)
class Row:
    """A line of the table of fields: whether the field is sent, its type, and whether it is on the wire by now."""

    sent: str
    type: str
    on_wire: bool


def read_rows(path: Path = FIELDS) -> dict[tuple[str, str], Row]:
    """Return the table of fields by record and field (`goals[]` is named `goals`)."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            (line["record"], line["field"].removesuffix("[]")): Row(line["sent"], line["type"], line["issue"] == "CORE")
            for line in csv.DictReader(file)
        }


@dataclass(frozen=True)
class Words:
    """One text of a plan file and the endpoints that may see it."""

    text: str
    endpoints: frozenset[str]


class PlanFile:
    """One plan file: which goals go to which endpoint, its texts and its ids."""

    def __init__(self, tree: Json, rows: Mapping[tuple[str, str], Row], on: date) -> None:
        self._tree = tree
        self._rows = rows
        self._on = on
        goals = tree.get("goals", ())
        listed = tree["expected"]["export"]
        self.sent = {name: frozenset(export["sent"]) for name, export in listed.items() if export["sent"]}
        self.sent = {name: sent for name, sent in self.sent.items() if self._consented(name)}
        self._measures = {goal["id"]: {target["measure"] for target in goal.get("targets", ())} for goal in goals}

    def add(self, goal: Json, endpoint: str) -> None:
        """Take a goal in that an edit added and that goes to an endpoint."""
        self._tree["goals"].append(goal)
        self._measures[goal["id"]] = {target["measure"] for target in goal.get("targets", ())}
        self.sent[endpoint] = self.sent.get(endpoint, frozenset()) | {goal["id"]}

    def withdraw(self, goal: str) -> None:
        """Take a goal out of what goes anywhere: from now on nobody may see it."""
        self.sent = {name: sent - {goal} for name, sent in self.sent.items()}

    def words(self) -> Iterator[Words]:
        """Yield every text of the file, wherever it stands."""
        for key, record in _TOP.items():
            for member in _listed(self._tree.get(key)):
                goal = member["id"] if record == "Goal" else None
                yield from self._words(record, member, goal, member)

    def ids(self) -> Iterator[str]:
        """Yield every id of the file."""
        yield from _ids({key: value for key, value in self._tree.items() if key != "expected"})

    def _consented(self, endpoint: str) -> bool:
        consents = [one for one in self._tree["disclosure"]["consents"] if one["endpoint"] == endpoint]
        return any(
            one.get("granted") is not None
            and one.get("refused") is None
            and one["granted"] <= self._on
            and (one.get("expires") is None or self._on < one["expires"])
            and "MH" in one.get("sensitivities", ())
            for one in consents
        )

    def _words(self, record: str, tree: Json, goal: str | None, top: Json) -> Iterator[Words]:
        for key, value in tree.items():
            inside = _INSIDE.get((record, key))
            if inside is not None:
                for member in _listed(value):
                    yield from self._words(inside, member, goal, top)
                continue
            row = self._rows.get((record, key))
            if row is not None and row.type.startswith(_NO_TEXT):
                continue
            endpoints = self._endpoints(record, key, row, tree, goal, top)
            for text in _strings(value):
                yield Words(text, endpoints)

    def _endpoints(
        self, record: str, key: str, row: Row | None, tree: Json, goal: str | None, top: Json
    ) -> frozenset[str]:
        if row is None or not row.on_wire or row.sent in ("never", "identity_only"):
            return frozenset()
        gate = _GATES.get((record, key))
        if gate is None and row.sent == "if_shared":
            return frozenset()
        if gate is not None and tree.get(gate[0]) != gate[1]:
            return frozenset()
        return frozenset(name for name, sent in self.sent.items() if self._goes(record, goal, sent, top))

    def _goes(self, record: str, goal: str | None, sent: frozenset[str], top: Json) -> bool:
        if goal is not None:
            return goal in sent
        if record == "Measure":
            return any(top["id"] in self._measures[one] for one in sent if one in self._measures)
        if record == "Intervention":
            return not sent.isdisjoint(top.get("goals", ()))
        return record == "Plan"


@dataclass(frozen=True)
class Wanted:
    """What to look for at one endpoint: texts as they read, and words that stand by themselves (ids)."""

    texts: frozenset[str]
    words: frozenset[str]


def wanted_at(endpoint: str, words: Iterable[Words], ids: Iterable[str]) -> Wanted:
    """Return what must not be found at an endpoint.

    A text that the endpoint may see, or that is part of one, can't be told from a leak and is left out.
    """
    everything = list(words)
    allowed = {one.text for one in everything if endpoint in one.endpoints}
    kept = {one.text for one in everything if len(one.text) >= SHORTEST} - allowed
    told = "\n".join(allowed)
    readable = {one for one in ids if len(one) >= SHORTEST_ID and "-" in one}
    return Wanted(frozenset(text for text in kept if text not in told) | {MARK}, frozenset(readable))


class Corpus:
    """Everything that was said to an EHR, by it, and that stands there, ready to be searched in every escaped form.

    JSON bodies are taken apart into their strings, each kept once: the same resources come back with every search.
    """

    def __init__(self) -> None:
        self._pieces: set[bytes] = set()

    def take(self, content: bytes) -> None:
        """Take in a message head, or a body without transfer and content coding."""
        if content.lstrip()[:1] in (b"{", b"[") and _is_json(content):
            self._pieces.update(_QUOTED.findall(content))
        elif content:
            self._pieces.add(content)

    def found(self, wanted: Wanted) -> set[str]:
        """Return what was found of what is wanted."""
        raw = "\n".join(sorted(piece.decode("utf-8", "replace") for piece in self._pieces))
        unescaped = "\n".join(_unescaped(line) for line in raw.split("\n"))
        plain = "\n".join((raw, unescaped, html.unescape(unescaped), unquote(raw), unquote_plus(raw)))
        found = {text for text in wanted.texts if text in plain or _encoded_in(text, raw)}
        standing = set(_WORD.findall(plain))
        return found | {word for word in wanted.words if word in standing or _encoded_in(word, raw)}


_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_WORD = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+")


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _unescaped(piece: str) -> str:
    if "\\" not in piece:
        return piece
    try:
        return str(json.loads(f'"{piece}"'))
    except ValueError:
        return piece


def _encoded_in(text: str, corpus: str) -> bool:
    """Tell whether the base64 form of a text stands in the corpus, wherever in a longer text it began."""
    content = text.encode()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + content).decode().rstrip("=")
        # The first and last characters depend on what stood around the text.
        middle = coded[-(-before * 8 // 6) : len(coded) - 1]
        if middle in corpus or middle.translate(_URL_SAFE) in corpus:
            return True
    return False


_URL_SAFE = str.maketrans("+/", "-_")


def _listed(value: Json) -> list[Json]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _ids(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("id"), str):
            yield value["id"]
        if isinstance(value.get("ref"), str):
            yield value["ref"]
        for each in value.values():
            yield from _ids(each)
    elif isinstance(value, list):
        for each in value:
            yield from _ids(each)
