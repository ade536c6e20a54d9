"""Judges one merge unit: what both sides did to it since they last agreed, and what follows (design 5.3 and 5.4).

Pure. `judge` is total: every combination of changed, unchanged, hidden, absent and held ends in one action.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias

from fhirgoals.domain.codes import sensitivities
from fhirgoals.domain.units import Json, Pair, Unit, same_value

Accept: TypeAlias = Literal["auto", "propose", "ignore"]
Clash: TypeAlias = Literal["ours", "theirs", "ask"]


class Policy(Protocol):
    """Says what becomes of an EHR's edit of a unit."""

    def accept(self, unit: Unit) -> Accept:
        """Return what becomes of a one-sided edit at the EHR."""
        ...

    def clash(self, unit: Unit) -> Clash:
        """Return what becomes of a unit that both sides edited."""
        ...


class Action(StrEnum):
    """What follows for a unit."""

    QUIET = "quiet"
    SETTLE = "settle"
    PUSH = "push"
    PULL = "pull"
    PROPOSE = "propose"
    CONFLICT = "conflict"
    IGNORE = "ignore"
    HOLD = "hold"
    UNDELIVERABLE = "undeliverable"


@dataclass(frozen=True)
class Seen:
    """One unit as both sides have it.

    `ours` is the value that this connection may see, `rev` the revision of ours that last touched the unit, `hidden`
    says that we have a value which this connection may not see. `elsewhere` says that our value came from another
    EHR and may not go to this one; `kept` is that value. `held` is why the unit can't be judged, if so.
    """

    unit: Unit
    pair: Pair | None
    ours: Json
    theirs: Json
    rev: int = 0
    hidden: bool = False
    born_there: bool = False
    elsewhere: bool = False
    kept: Json = None
    held: str | None = None

    @property
    def real(self) -> Json:
        """Our value, also one from another EHR that may not go to this one."""
        return self.kept if self.elsewhere else self.ours


@dataclass(frozen=True)
class Verdict:
    """What follows for one unit, with the values that it was judged on; `why` names the rule."""

    seen: Seen
    action: Action
    why: str = ""


def judge(seen: Seen, policy: Policy) -> Verdict:
    """Return what follows for one unit."""
    if seen.held is not None:
        return Verdict(seen, Action.HOLD, seen.held)
    if seen.elsewhere:
        return _from_elsewhere(seen)
    ours_changed, theirs_changed = changed(seen)
    if not ours_changed and not theirs_changed:
        return Verdict(seen, Action.QUIET)
    if not theirs_changed and _undeliverable(seen):
        return Verdict(seen, Action.UNDELIVERABLE, "hidden_here")
    if same_value(seen.ours, seen.theirs):
        return Verdict(seen, Action.SETTLE, "equal")
    if theirs_changed and _second_parent(seen):
        return _clash(seen, policy, "second_parent")
    match ours_changed, theirs_changed:
        case True, False:
            return Verdict(seen, Action.PUSH, "ours_changed")
        case False, True:
            return _one_sided(seen, policy)
        case _:
            return _clash(seen, policy, "both_changed")


def changed(seen: Seen) -> tuple[bool, bool]:
    """Return whether we and whether they changed the unit since the pair.

    Ours counts by revision as well as by value: there and back again is an edit (rule R6), and so is one that this
    connection may not see (rule R1). A child without a parent stands at the top of the tree: that is a place like any
    other, where somebody put it there, be it before any place of it was agreed on.
    """
    pair = seen.pair
    put = seen.unit.family == "parent_map" and seen.rev > (max(pair.rev, 0) if pair else 0)
    if pair is None:
        return put or seen.ours is not None, seen.theirs is not None
    touched = put or (seen.rev > pair.rev and (seen.ours is not None or seen.hidden))
    return touched or not same_value(seen.ours, pair.ours), not same_value(seen.theirs, pair.theirs)


def taken(seen: Seen) -> Json:
    """Return what our record gets when the EHR's value is taken.

    Of labels it gets those that are new there. In a composite unit a part that the server never held as we gave it (it
    drops or cuts it), and did not change since, keeps our value (design 5.3). Of a value that a person rejected, only
    what is missing there counts as not held.
    """
    pair = seen.pair
    if seen.unit.family == "labels":
        return sorted(new_labels(seen))
    if pair is None or not isinstance(seen.theirs, dict) or not isinstance(pair.ours, dict):
        return seen.theirs
    held = pair.theirs if isinstance(pair.theirs, dict) else {}
    ours = seen.ours if isinstance(seen.ours, dict) else {}
    value = dict(seen.theirs)
    for part in pair.ours.keys() | held.keys():
        holds_less = held.get(part) is None if pair.rev < 0 else not same_value(pair.ours.get(part), held.get(part))
        if holds_less and same_value(value.get(part), held.get(part)):
            value.pop(part, None)
            if part in ours:
                value[part] = ours[part]
    return value


def new_labels(seen: Seen) -> frozenset[str]:
    """Return the labels that the EHR added since the pair, in our words."""
    known = (seen.pair and seen.pair.theirs) or ()
    return sensitivities(one for one in seen.theirs or () if one not in known)


def pair_taken(seen: Seen) -> Pair:
    """Return the pair of a unit whose EHR's value was taken: a step that was taken out there stands here, void."""
    if seen.unit.family == "labels":  # what was agreed stays agreed: the EHR's own words for it are not ours to change
        return Pair(sorted({*((seen.pair and seen.pair.ours) or ()), *new_labels(seen)}), seen.theirs, 0)
    stays = seen.unit.family == "steps" and seen.theirs is None
    return Pair(seen.ours if stays else taken(seen), seen.theirs, 0)


def _from_elsewhere(seen: Seen) -> Verdict:
    """Judge a unit whose value came from another EHR: it is ours changed and not delivered (rules R1 and R10).

    Nothing of ours is written over theirs, and nothing of theirs is taken over what they could not see. Where both are
    equal there is nothing to ask.
    """
    pair = seen.pair
    theirs_changed = not same_value(seen.theirs, pair.theirs if pair else None)
    ours_changed = pair is None or seen.rev > pair.rev
    if theirs_changed and same_value(seen.kept, seen.theirs):
        return Verdict(seen, Action.SETTLE, "equal")
    match ours_changed, theirs_changed:
        case True, True:
            return Verdict(seen, Action.CONFLICT, "both_changed")
        case False, True:
            return Verdict(seen, Action.PROPOSE, "over_a_hidden_value")
        case True, False:
            return Verdict(seen, Action.UNDELIVERABLE, "from_another_ehr")
        case _:
            return Verdict(seen, Action.QUIET)


def _undeliverable(seen: Seen) -> bool:
    """Tell whether our change is one that the connection may not see and never saw: nothing to write there."""
    return seen.hidden and seen.pair is not None and seen.pair.ours is None


def _second_parent(seen: Seen) -> bool:
    """Tell whether the EHR shows two parents of which one is ours: a clash even where we changed nothing."""
    if seen.unit.family != "parent_map" or not isinstance(seen.theirs, list) or len(seen.theirs) < 2:
        return False
    return any(parent in seen.theirs for parent in seen.ours or ())


def _one_sided(seen: Seen, policy: Policy) -> Verdict:
    match policy.accept(seen.unit):
        case "ignore":
            return Verdict(seen, Action.IGNORE, "policy_ignore")
        case "propose":
            return Verdict(seen, Action.PROPOSE, "policy_propose")
        case "auto":
            return _taken(seen)


def _taken(seen: Seen) -> Verdict:
    """Take an edit whose policy is `auto`, unless one of the three reasons asks for a person all the same."""
    pair = seen.pair
    if seen.hidden:
        return Verdict(seen, Action.PROPOSE, "over_a_hidden_value")
    if pair is not None and not same_value(pair.ours, pair.theirs):
        return Verdict(seen, Action.PROPOSE, "server_holds_less")
    of_ours = pair is not None and not seen.born_there
    if ":" in seen.unit.name and of_ours:  # in a keyed set auto covers additions
        return Verdict(seen, Action.PROPOSE, "member_of_ours")
    return Verdict(seen, Action.PULL, "policy_auto")


def _clash(seen: Seen, policy: Policy, why: str) -> Verdict:
    match policy.clash(seen.unit):
        case "ours":
            return Verdict(seen, Action.PUSH, "policy_ours")
        case "theirs" if seen.hidden:
            return Verdict(seen, Action.CONFLICT, "over_a_hidden_value")  # rule R10
        case "theirs":
            return Verdict(seen, Action.PULL, "policy_theirs")
        case "ask":
            return Verdict(seen, Action.CONFLICT, why)
