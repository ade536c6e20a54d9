"""What a simulated world can be like: variants of the server, policies, and which people are at work.

A cell is one choice of each, on one connection or two; the figures of a cell are counted together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sandbox.variants import VARIANTS, Variant
from tests.simulate.log import OVERLAP_TICKS

FAMILIES = (
    "text",
    "status",
    "target_date",
    "priority",
    "parent_map",
    "relations",
    "membership",
    "steps",
    "step:<id>.text",
    "step:<id>.status",
    "note:<id>",
)
"""The units that people of the simulator edit and whose policy a cell sets; `order` keeps the table's."""

POLICIES: Mapping[str, tuple[str, str] | None] = {
    "default": None,
    **{
        f"{accept}-{clash}": (accept, clash)
        for accept in ("auto", "propose", "ignore")
        for clash in ("ask", "ours", "theirs")
    },
}
"""Accept and clash for all those units; `default` is the table of fields."""

_HERE = {
    "text": 4,
    "status": 2,
    "target": 2,
    "priority": 2,
    "parent": 5,
    "relation": 2,
    "step_text": 2,
    "step_status": 1,
    "step_add": 1,
    "note": 2,
    "order": 1,
    "new_goal": 1,
}
_THERE = {kind: weight for kind, weight in _HERE.items() if kind != "new_goal"}


@dataclass(frozen=True)
class Mix:
    """Who is at work: how often each act here and at an EHR, and on which goals."""

    here: Mapping[str, int]
    there: Mapping[str, int]
    goals: frozenset[str] | None = None


MIXES: Mapping[str, Mix] = {
    "base": Mix(_HERE, _THERE),
    "void_withhold": Mix(
        {**_HERE, "void": 1, "withhold": 5, "share": 4, "revoke": 2, "grant": 2}, {**_THERE, "void": 1, "delete": 1}
    ),
    "resolve": Mix({**_HERE, "resolve": 12}, _THERE),
    "equal": Mix({"priority": 1}, {"priority": 1}, frozenset({"g-a"})),
    "copies": Mix({"target": 3}, {"copy": 2, "target": 1}, frozenset({"g-a"})),
    "moves": Mix({"parent": 6, "text": 1}, {"parent": 6, "text": 1}),
}
MAIN_MIXES = ("base", "void_withhold", "resolve")
"""Those that take turns; the others are narrow, for faults that show rarely elsewhere."""

MODES = ("leave", "leave", "blank", "entered_in_error", "delete")
"""What becomes of what was sent and may no longer go; drawn by the seed."""

EXTRA: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant(
            name="no_history_copied",
            does="has no history, and edits at the EHR keep our meta.source",
            knobs=Knobs(no_history=True, edits_copy_source=True),
            source="no_history and copies_source together",
            keeps_history=False,
        ),
        Variant(
            name="no_history_no_source",
            does="has no history and stores no meta.source",
            knobs=Knobs(no_history=True, source="dropped"),
            source="no_history and drops_source together",
            keeps_history=False,
            keeps_source=False,
        ),
        Variant(
            name="plain_transactions",
            does="is a plain FHIR R4 server, which is sent transactions",
            knobs=Knobs(),
            source="plain, with transactions",
        ),
        Variant(
            name="no_history_transactions",
            does="has no history, and does not say at which entry a transaction failed",
            knobs=Knobs(no_history=True, edits_copy_source=True, unnamed_entries=True),
            source="no_history, copies_source and unnamed_transactions together",
            keeps_history=False,
        ),
        Variant(
            name="no_source_transactions",
            does="stores no meta.source, and is sent transactions",
            knobs=Knobs(source="dropped"),
            source="drops_source, with transactions",
            keeps_source=False,
        ),
    )
}
"""Two variants at once, as the cells of the earlier simulation had them; and servers that are told to take Bundles."""

TOGETHER = ("plain_transactions", "no_source_transactions")
"""Those of them that take turns with the variants."""

TRANSACTIONS = "_transactions"
"""How a variant's name ends whose connections send the calls of a phase as one, whatever the server makes of it."""

LOST_THERE: Mapping[str, frozenset[str]] = {
    "drops_extensions": frozenset({"parent", "after"}),
    "drops_fields": frozenset({"note", "reason"}),
    "read_only": frozenset({"all"}),
    "forbids_writes": frozenset({"all"}),
}
"""What a variant does not keep of what it is sent: there the sides can't be the same."""


@dataclass(frozen=True)
class Cell:
    """One kind of world."""

    variant: str = "plain"
    policy: str = "default"
    mix: str = "base"
    connections: int = 1

    def __post_init__(self) -> None:
        for value, known in ((self.variant, {**VARIANTS, **EXTRA}), (self.policy, POLICIES), (self.mix, MIXES)):
            if value not in known:
                raise ValueError(f"{value} is none of {', '.join(known)}")

    def __str__(self) -> str:
        return f"{self.variant} {self.policy} {self.mix} {self.connections}"

    @property
    def server(self) -> Variant:
        """What its servers are like."""
        return VARIANTS[self.variant] if self.variant in VARIANTS else EXTRA[self.variant]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its connections."""
        return ("ehr-a", "ehr-b")[: self.connections]

    @property
    def lost_there(self) -> frozenset[str]:
        """What the server does not keep."""
        return LOST_THERE.get(self.variant, frozenset())

    @property
    def detects_doubles(self) -> bool:
        """Whether the server offers a means against doubles."""
        return self.server.detects_doubles

    def forbids(self, meter: str) -> bool:
        """Tell whether a meter must not move here.

        A needless question is forbidden where the server shows what happened: it keeps ETags, history and content.
        Elsewhere such questions are counted, and so are doubles that were reported (`seen`).
        """
        server = self.server
        return meter != "needless" or (server.keeps_etag and server.keeps_history and server.keeps_content)

    def config(self) -> dict[str, object]:
        """Return what the connections are told of the server and of the policy."""
        variant = self.server
        policy = POLICIES[self.policy]
        return {
            "operation_id_kept": variant.keeps_source,
            "create": "if_none_exist" if variant.detects_doubles else "search",
            "transactions": "atomic" if self.variant.endswith(TRANSACTIONS) else "none",
            "overlap_s": float(OVERLAP_TICKS),
            "release": "on_save",
            "policy": {} if policy is None else dict.fromkeys(FAMILIES, policy),
        }

    def accept(self, family: str) -> str:
        """Return what becomes of a one-sided edit of a unit in this cell."""
        policy = POLICIES[self.policy]
        if policy is not None and family in FAMILIES:
            return policy[0]
        return "auto" if family in ("text", "priority", "note:<id>", "step:<id>.text") else "propose"

    def clash(self, family: str) -> str:
        """Return what becomes of a unit that both sides edited."""
        policy = POLICIES[self.policy]
        return policy[1] if policy is not None and family in FAMILIES else "ask"


def read(text: str) -> Cell:
    """Return the cell that `str` writes: variant, policy, mix, connections."""
    variant, policy, mix, connections = text.split()
    return Cell(variant, policy, mix, int(connections))
