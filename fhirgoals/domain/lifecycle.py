"""The state machines of goal, plan, step, review signature and consent, as data (domain reference 4).

Only what may follow what, when words are needed, and which achievement fits which status; who may move something is
`who`, and the moves themselves are `commands`. Lifecycle and achievement are separate: completed never implies
achieved, and accepted never becomes active by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal, TypeAlias

from fhirgoals.domain import codes
from fhirgoals.domain.records import Consent, Foreign, Goal, Review, Signature

SignatureState: TypeAlias = Literal["unsigned", "signed", "refused"]
ReviewState: TypeAlias = Literal["open", "signed"]
ConsentState: TypeAlias = Literal["asked", "granted", "refused", "ended"]
Machine: TypeAlias = Mapping[str, frozenset[str]]
"""Per state the states that may follow; a state without followers is final."""


def _machine(**moves: str) -> Machine:
    return MappingProxyType({state: frozenset(following.split()) for state, following in moves.items()})


GOAL: Machine = _machine(
    draft="proposed planned entered_in_error",
    proposed="accepted planned active declined cancelled entered_in_error",
    accepted="planned active cancelled entered_in_error",
    planned="active on_hold cancelled entered_in_error",
    active="on_hold completed cancelled entered_in_error",
    on_hold="active completed cancelled entered_in_error",
    completed="active entered_in_error",
    cancelled="active entered_in_error",
    declined="proposed entered_in_error",
    entered_in_error="",
)
PLAN: Machine = _machine(
    draft="active entered_in_error",
    active="on_hold completed revoked entered_in_error",
    on_hold="active entered_in_error",
    completed="entered_in_error",
    revoked="entered_in_error",
    entered_in_error="",
)
# The domain reference names the steps' states and no moves. A done exposure may be taken up again, a skipped or stopped
# step too; what was done is not skipped afterwards.
STEP: Machine = _machine(
    planned="scheduled in_progress on_hold done skipped stopped entered_in_error",
    scheduled="planned in_progress on_hold done skipped stopped entered_in_error",
    in_progress="planned scheduled on_hold done skipped stopped entered_in_error",
    on_hold="planned scheduled in_progress done skipped stopped entered_in_error",
    done="in_progress entered_in_error",
    skipped="planned scheduled in_progress done entered_in_error",
    stopped="planned scheduled in_progress done entered_in_error",
    entered_in_error="",
)
# A signature is final; who refused may sign later. With its first signature a review's content is final too.
SIGNATURE: Machine = _machine(unsigned="signed refused", refused="signed", signed="")
REVIEW: Machine = _machine(open="signed", signed="")
# What was refused or has ended stays so: the next answer is a consent of its own, so that the record shows both.
CONSENT: Machine = _machine(asked="granted refused", granted="ended", refused="", ended="")

OPEN: frozenset[str] = frozenset({"active", "planned", "on_hold"})
"""Goals that a completed or revoked plan may not have (invariant 19)."""

CLOSED: frozenset[str] = frozenset({"completed", "cancelled", "declined", "entered_in_error"})

NEEDS_AGREEMENT: frozenset[str] = frozenset({"accepted", "active"})
"""Goals that the client (or legal representative) must have agreed to (invariant 9)."""

FIRST_STATES: frozenset[str] = frozenset({"draft", "proposed", "accepted", "planned", "active"})
"""States in which a goal may come into a plan; one with a past comes by import or with the plan's first version."""

_REASON_ON_THE_WAY: frozenset[tuple[str, str]] = frozenset(
    {("completed", "active"), ("cancelled", "active"), ("declined", "proposed")}
)
_REASON_TO: frozenset[str] = frozenset({"on_hold", "cancelled", "declined", "entered_in_error"})


def may_follow(machine: Machine, before: object, after: object) -> bool:
    """Tell whether a state may follow another; one that the machine does not know may be mended to any known one."""
    if before == after:
        return True
    if not isinstance(after, str) or after not in machine:
        return False
    return not isinstance(before, str) or after in machine.get(before, frozenset(machine))


def needs_reason(before: object, after: object) -> bool:
    """Tell whether a goal's move needs a reason in words: pausing, closing without success, going back, voiding."""
    return after in _REASON_TO or (before, after) in _REASON_ON_THE_WAY


# -- closing: reason, lifecycle and achievement ------------------------------------------------------------------------

MOVING: frozenset[str] = frozenset({"improving", "worsening", "no_change"})
MET: tuple[codes.Achievement, ...] = ("achieved", "sustaining")
NOT_MET: tuple[codes.Achievement, ...] = ("not_achieved", "no_progress", "not_attainable")


@dataclass(frozen=True, slots=True)
class Closure:
    """What a closure reason makes of a goal; `default` is the achievement where nobody says another."""

    lifecycle: Literal["completed", "cancelled"]
    achievements: tuple[codes.Achievement | None, ...]
    default: codes.Achievement | None


_FAILED = Closure("completed", NOT_MET, "not_achieved")
_DROPPED = Closure("cancelled", (None, *NOT_MET), None)
CLOSURES: Mapping[codes.ClosureReason, Closure] = MappingProxyType(
    {
        "achieved": Closure("completed", MET, "achieved"),
        "partially_met": _FAILED,
        "not_met": _FAILED,
        "discharged": _FAILED,
        "dropped_out": _FAILED,
        "transferred": _FAILED,
        "replaced": _DROPPED,
        "no_longer_relevant": _DROPPED,
        "client_request": _DROPPED,
    }
)


def status_conflicts(goal: Goal) -> Iterator[tuple[Literal["achievement", "closure_reason"], str]]:
    """Yield the field and a sentence for each pair of a goal's status fields that can't both be true.

    Words that our lists do not know are not judged, nor is a goal that was entered in error.
    """
    state, achievement, reason = goal.lifecycle, goal.achievement, goal.closure_reason
    if not isinstance(state, str) or state == "entered_in_error":
        return
    if isinstance(reason, str):
        yield from _reason_conflicts(state, reason)
    if isinstance(achievement, Foreign):
        return
    if achievement in MOVING and state not in ("active", "on_hold"):
        yield "achievement", "Improving, worsening or no change is said only of a goal that is active or on hold."
    elif state == "declined" and achievement is not None:
        yield "achievement", "A goal that was declined has no achievement."
    elif state == "cancelled" and achievement in MET:
        yield "achievement", "A cancelled goal was not achieved; complete it instead, or mend the achievement."
    elif state == "completed" and isinstance(reason, str):
        closure = CLOSURES[reason]
        if closure.lifecycle == "completed" and achievement not in closure.achievements:
            yield "achievement", "The achievement does not fit the reason for which the goal was completed."


def _reason_conflicts(
    state: str, reason: codes.ClosureReason
) -> Iterator[tuple[Literal["achievement", "closure_reason"], str]]:
    if state in ("completed", "cancelled") and CLOSURES[reason].lifecycle != state:
        yield "closure_reason", "This reason does not fit: some reasons complete a goal, the others cancel it."
    # A transferred goal stays active where the receiver goes on with it.
    elif state in GOAL and state not in (*CLOSED, "on_hold") and (state, reason) != ("active", "transferred"):
        yield "closure_reason", "A goal that is still open has no reason for being closed."


# -- states that are derived -------------------------------------------------------------------------------------------


def signature_state(signature: Signature | None) -> SignatureState:
    """Return the state of a signature line; no line is one that nobody signed."""
    if signature is None:
        return "unsigned"
    if signature.refused:
        return "refused"
    return "unsigned" if signature.date is None else "signed"


def review_state(review: Review) -> ReviewState:
    """Return whether anyone has signed a review yet."""
    return "signed" if any(signature_state(each) == "signed" for each in review.signatures) else "open"


def consent_state(consent: Consent, on: date) -> ConsentState:
    """Return what a consent says on a day; one that begins later is granted already."""
    if consent.refused is not None:
        return "refused"
    if consent.granted is None:
        return "asked"
    return "ended" if consent.expires is not None and consent.expires <= on else "granted"


_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "on_hold": "on hold",
        "entered_in_error": "entered in error",
        "in_progress": "in progress",
        "ended": "ended",
        "asked": "asked for",
    }
)


def in_words(state: object) -> str:
    """Return a state as a sentence may say it; one that our lists do not know is not shown."""
    return _WORDS.get(state, state) if isinstance(state, str) else "in a state that is not known here"
