"""The simulator's own log: who wrote what over what, what was kept back when, and the story of a run in lines.

Imports nothing of the product. A value is a short text: the first word of what a person wrote (each is used once), a
date, a code, the ids of parents joined by `+`; `-` stands for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

Key: TypeAlias = tuple[str, str]
"""The goal (or plan) and what of it: `text`, `status`, `parent`, `step st-1`, `note Hx007`, `after g-b`, …"""

PLAN = "plan-1"
"""The one plan of a world."""

NOTHING = "-"


class Moment(NamedTuple):
    """A tick of a run, and how many edits there were by then."""

    tick: int
    edits: int


@dataclass(frozen=True)
class Edit:
    """One edit by a person: its number in the script, when, where, which unit, its value and the value before."""

    number: int
    tick: int
    side: str
    key: Key
    value: str
    over: str
    already: frozenset[str] = frozenset()
    """The other sides where the same value stood then."""


@dataclass
class Log:
    """What happened in one world, as those who did it know it."""

    edits: list[Edit] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)
    """The step that each word of a step's text stands for."""
    words: dict[str, set[str]] = field(default_factory=dict)
    """Per goal every word that stood in it here at any time."""
    withheld: set[str] = field(default_factory=set)
    """Goals that the client keeps back now."""
    ever_withheld: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    """Connections without a consent now."""
    ever_refused: set[str] = field(default_factory=set)
    void: dict[str, set[str]] = field(default_factory=dict)
    """Goals marked entered in error or deleted, with the sides where somebody did so."""
    resources: dict[tuple[str, str], str] = field(default_factory=dict)
    """Our id for each resource at each EHR, by what its create said of itself when it was sent."""
    wire_ids: dict[str, str] = field(default_factory=dict)
    """Our id for each identifier value that a create may carry."""
    leaks: list[str] = field(default_factory=list)
    echoes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Trees that a write of ours broke although its run could see that it would."""
    failures: list[str] = field(default_factory=list)
    """Runs that ended in an error that is no answer of a server, or in any error at rest."""
    agreed: dict[tuple[str, Key], int] = field(default_factory=dict)
    """How many edits there were when an EHR and our record were last seen to agree on a unit."""
    parentless: dict[tuple[str, Key], Moment] = field(default_factory=dict)
    """When a run first ended that saw a child at an EHR without a parent, after the last edit of its place there."""
    first: dict[Key, str] = field(default_factory=dict)
    """How our record stood before anybody did anything."""
    settled: set[int] = field(default_factory=set)
    """Places in `edits` whose value was seen on both sides at one time."""
    resolved: int = 0
    answered: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """How many edits there were when a person last answered a question about a unit, by connection, owner and unit."""

    def edit(self, edit: Edit) -> None:
        """Note an edit."""
        self.edits.append(edit)
        self.say(edit.tick, f"#{edit.number} {edit.side}: {edit.key[0]} {edit.key[1]} {edit.over} => {edit.value}")

    def say(self, tick: int, line: str) -> None:
        """Add a line to the story."""
        self.lines.append(f"{tick:5} {line}")

    def hear(self, goal: str, *words: str) -> None:
        """Remember what stands in a goal here."""
        self.words.setdefault(goal, set()).update(word for word in words if word != NOTHING)


def in_a_ring(edges: dict[str, set[str]]) -> set[str]:
    """Return the children that stand above themselves."""
    found = set()
    for child, above in edges.items():
        seen: set[str] = set()
        pending = list(above)
        while pending:
            one = pending.pop()
            if one not in seen:
                seen.add(one)
                pending.extend(edges.get(one, ()))
        if child in seen:
            found.add(child)
    return found


HALF_TICKS = 11
"""A move at an EHR is two writes, so many ticks apart at most."""

OVERLAP_TICKS = 12
"""A child that looks half moved is read again so many ticks later, a second each."""

WORDS = ("text", "status", "note", "step")
"""What is known by a word that is used once; of the rest an equal value may have been written by somebody else."""


def by_word(key: Key) -> bool:
    """Tell whether a value is known by a word of its own."""
    return key[1].partition(" ")[0] in WORDS


def first_word(text: object) -> str:
    """Return the word by which a text is known."""
    return text.split(" ", 1)[0] if isinstance(text, str) and text else NOTHING
