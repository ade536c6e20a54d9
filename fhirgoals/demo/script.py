"""The demo's script as records: the acts and edits of `demo.yaml`, and where the example files are.

Only what is played is read here. What must come of it (`expect`, `expected`) is for the oracle, which reads the file
itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fhirgoals.domain.plan_yaml import read_tree
from fhirgoals.errors import ConfigurationError

Json: TypeAlias = Any

SCRIPT = "demo.yaml"

Side: TypeAlias = Literal["here", "there", "both"]


@dataclass(frozen=True)
class Edit:
    """One edit; `tree` is its line in the script. `connection` is where it happens unless it happens here only."""

    id: str
    side: Side
    plan: str
    goal: str
    by: str
    reason: str
    tree: Mapping[str, Json]

    @property
    def withdraws(self) -> bool:
        """Whether the edit keeps back a goal that was sent."""
        return "add_withheld" in self.tree


@dataclass(frozen=True)
class Cut:
    """The order to lose the reply to the create of one goal."""

    connection: str
    goal: str


@dataclass(frozen=True)
class Act:
    """One act: its edits, and the reply that gets lost in it, if one does."""

    number: int
    edits: tuple[Edit, ...]
    cut: Cut | None

    def rounds(self) -> Iterator[tuple[Edit, ...]]:
        """Yield the edits between two looks of ours.

        An act with an edit of both sides is one round: both sides edit before anybody looks. Elsewhere one side edits
        and the other follows before the next does.
        """
        if any(edit.side == "both" for edit in self.edits):
            yield self.edits
            return
        started: list[Edit] = []
        for edit in self.edits:
            if started and started[-1].side != edit.side:
                yield tuple(started)
                started = []
            started.append(edit)
        if started:
            yield tuple(started)


@dataclass(frozen=True)
class Script:
    """Everything that is played. `connections` are the settings of each, `people` the names of who edits."""

    folder: Path
    clock: datetime
    plans: tuple[Path, ...]
    connections: Mapping[str, Mapping[str, Json]]
    people: Mapping[str, Mapping[str, str]]
    acts: tuple[Act, ...]

    def author(self, name: str) -> str:
        """Return the id of the person here, or how somebody at the EHR is shown there."""
        person = self.people[name]
        return person.get("ref") or person["display"]


def examples() -> Path:
    """Return the folder of the example plans: inside an installed package, or `examples` of a checkout."""
    inside, checkout = (Path(__file__).parents[up] / "examples" for up in (1, 2))
    for folder in (inside, checkout):
        if (folder / SCRIPT).is_file():
            return folder
    raise ConfigurationError("the example plans are not installed: install fhirgoals again")


def read_script(folder: Path) -> Script:
    """Return the script of a folder that holds `demo.yaml` and the plan files that it names."""
    tree: Json = read_tree((folder / SCRIPT).read_text(encoding="utf-8"))
    return Script(
        folder=folder,
        clock=datetime.fromisoformat(tree["clock"]),
        plans=tuple(folder / name for name in tree["plans"]),
        connections=tree["connections"],
        people=tree["people"],
        acts=tuple(_act(act) for act in tree["acts"]),
    )


def _act(tree: Json) -> Act:
    cut = tree.get("cut")
    return Act(
        number=tree["act"],
        edits=tuple(_edit(edit) for edit in tree.get("edits", ())),
        cut=Cut(cut["connection"], cut["goal"]) if cut else None,
    )


def _edit(tree: Json) -> Edit:
    sides: dict[str, Side] = {"here": "here", "both": "both"}
    ours = tree.get("ours", {})
    return Edit(
        id=tree["id"],
        side=sides.get(tree["side"], "there"),
        plan=tree["plan"],
        goal=tree["add_goal"]["id"] if "add_goal" in tree else tree["goal"],
        by=tree.get("by") or ours["by"],
        reason=tree.get("reason") or ours.get("reason") or ("client_request" if "add_withheld" in tree else "progress"),
        tree=tree,
    )
