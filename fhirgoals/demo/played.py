"""What was played, for the oracle: what can be seen neither in a store nor at an EHR nor in the traffic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = Any


@dataclass
class Played:
    """Which edits fell between two looks of ours, and where in the traffic of each EHR what began.

    `rounds` are the ids of edits; `before_last_run` and `after_withdrawal` tell, by connection, how many exchanges had
    passed its proxy by then; `shown` is the resource as the EHR showed it right after each edit of its own; `retracted`
    is what the runs themselves reported of what they took back.
    """

    rounds: list[tuple[str, ...]] = field(default_factory=list)
    before_last_run: dict[str, int] = field(default_factory=dict)
    after_withdrawal: dict[str, int] = field(default_factory=dict)
    shown: dict[str, Json] = field(default_factory=dict)
    retracted: list[dict[str, Json]] = field(default_factory=list)
