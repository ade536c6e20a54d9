"""Which action a change is, by its place in the plan: the rows of "who may do what" for an edited plan file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fhirgoals.domain.changes import hops_of
from fhirgoals.domain.records import Change
from fhirgoals.domain.who import Action

ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "": "change_substance",
        "title": "change_wording",
        "status": "change_status",
        "start_date": "change_status",
        "planned_end_date": "change_status",
        "end_date": "change_status",
        "discharge": "change_status",
        "refusal": "agree_version",
        "revision": "agree_version",
        "revisions": "agree_version",
        "client": "arrange",
        "therapist": "arrange",
        "participants": "arrange",
        "problems.client_words": "change_own_words",
        "problems.identifiers": "arrange",
        "problems.sensitivities": "arrange",
        "disclosure": "consent",
        "sessions": "arrange",
        "measures.baseline": "rate",
        "measures.readings": "rate",
        "measures.sensitivities": "arrange",
        "goals*": "propose_goal",
        "goals.text": "change_wording",
        "goals.domain": "change_wording",
        "goals.priority": "change_wording",
        "goals.client_words": "change_own_words",
        "goals.share_words": "change_own_words",
        "goals.readiness": "change_own_words",
        "goals.lifecycle": "change_status",
        "goals.achievement": "change_status",
        "goals.closure_reason": "change_status",
        "goals.status_date": "change_status",
        "goals.status_reason": "change_status",
        "goals.gas.ratings": "rate",
        "goals.share": "consent",
        "goals.sensitivities": "arrange",
        "goals.review": "settle",
        "goals.acceptance": "answer_goal",
        "goals.steps.status": "mark_step",
        "goals.steps.done_on": "mark_step",
        "goals.steps.trials": "mark_step",
        "goals.steps.text": "change_wording",
        "goals.steps.n": "arrange",
        "goals.progress": "add_note",
        "goals.barriers": "add_note",
        "goals.findings": "private_text",
        "goals.achievements": "add_victory",
        "goals.revisions": "agree_version",
        "reviews": "hold_review",
        "reviews.signatures": "sign",
    }
)
"""Action by the place's names, the longest that fits; `goals*` is a whole goal that is added."""


@dataclass(frozen=True, slots=True)
class Touch:
    """A change with its place taken apart: the names, the keys, and what it is."""

    change: Change
    names: str
    keys: tuple[str, ...]
    action: Action
    member: bool
    """Whether a whole member of a list is added or removed."""

    @property
    def order(self) -> bool:
        """Tell whether only the order of a list changed; of other lists than goals and steps it says nothing."""
        return self.change.field.endswith("[]")


def touch(change: Change) -> Touch:
    """Return a change with the action that it is."""
    hops = hops_of(change.field)
    names = ".".join(hop.name for hop in hops if hop.name is not None)
    keys = tuple(hop.key for hop in hops if hop.key is not None)
    last = hops[-1].key if hops else None
    member = last not in (None, "")
    if last == "" and names in ("goals", "goals.steps"):
        return Touch(change, names, keys, "arrange", False)
    if names == "goals" and member:
        return Touch(change, names, keys, ACTIONS["goals*"], True)
    place = names
    while place not in ACTIONS:
        place = place.rpartition(".")[0]
    return Touch(change, names, keys, ACTIONS[place], member)
