"""What became of one call, and which pairs it settles: shared by the writes of a run and by its preview."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, TypeAlias

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Json, Pair, Unit, same_value
from fhirgoals.fhir.answers import (
    Answer,
    Forbidden,
    Gone,
    NotFound,
    NotSent,
    Several,
    Stale,
    Throttled,
    Transient,
    Unauthorised,
)
from fhirgoals.fhir.answers import Refused as RefusedAnswer
from fhirgoals.fhir.validate import new_faults
from fhirgoals.store.intents import Intent
from fhirgoals.sync.call import Call, Sent, Way, forgets
from fhirgoals.sync.merge import Action, Seen, Verdict, changed
from fhirgoals.sync.reading import Found, There
from fhirgoals.sync.rows import body_of, sent_units
from fhirgoals.sync.subject import wrong_subject
from fhirgoals.sync.tree import NOWHERE
from fhirgoals.sync.view import View, disclosed, may_be_there, ours_of, refs_of

Why: TypeAlias = Literal[
    "stale",
    "refused",
    "would_not_be_valid",
    "doubt",
    "stopped",
    "several",
    "other_patient",
    "later",
    "not_planned",
    "not_there",
]


class NotPlannedError(Exception):
    """Edits there are not taken over, since the kept preview that is applied does not name them."""

    def __init__(self, units: Collection[Unit]) -> None:
        super().__init__(f"{len(units)} fields are not in the preview")
        self.units = frozenset(units)


@dataclass(frozen=True)
class Landed:
    """The EHR did what was asked. `left` are the older versions that its history still shows of what was taken back,
    `None` where it was no taking back or the server shows no history."""

    left: int | None = None


@dataclass(frozen=True)
class NotLanded:
    """Nothing was written there, or it is not known (`doubt`); `why` says what the run does next.

    `closed`: nothing of it is left to be found out, and its intent is closed.
    """

    why: Why
    closed: bool = False


def would_not_be_valid(call: Call) -> bool:
    """Tell whether a call would break a rule that holds there now.

    What may no longer be seen there is taken out all the same where only a warning says no: a step that waits for a
    person may name a goal that its plan does not list any more.
    """
    if call.way == "delete":
        return False
    only_errors = call.unsays or call.takes_back
    faults = new_faults(call.before, call.body)
    return any(one.severity == "error" or not only_errors for one in faults)


def settle_values(view: View, there: There, units: Mapping[Unit, Sent]) -> dict[Unit, Pair]:
    """Return the pairs that a landed call settles; `there` shows what the server made of it.

    A unit of which only half was written keeps our value of before: the next pass sends the rest (rule R3).
    """
    pairs: dict[Unit, Pair] = {}
    for unit, sent in units.items():
        now = there.theirs.assembled.values.get(unit)
        before = view.bases.get(unit)
        if sent.complete:
            pairs[unit] = Pair(sent.ours, now, sent.rev)
        else:
            pairs[unit] = Pair(before.ours if before else None, now, before.rev if before else 0)
    return pairs


def why_not(answer: Answer) -> Why:
    """Return what an answer other than success means for the run."""
    match answer:
        case Stale():
            return "stale"
        case Several():
            return "several"
        case RefusedAnswer() | Forbidden() | Gone() | NotFound():
            return "refused"
        case NotSent():
            return "stopped"
        case Throttled() | Transient() | Unauthorised():
            return "later"
        case _:  # UnknownOutcome, or a reply that can't be read: sent or not is not known
            return "doubt"


def of_patient(view: View, call: Call) -> bool:
    """Tell whether the resource that a call changes is surely the linked patient's; `subject` is never merged."""
    return call.before is None or wrong_subject(call.before, view.patient, refs_of(view)) is None


def repeated(view: View, intent: Intent, current: Found, then: Plan | None, on: date) -> Call | None:
    """Return the call of an intent as it is sent again, or `None` where it may no longer go.

    It may where everything that it says may still be seen there, be it with another value by now: its units, and the
    goals that its references and its narrative may name, which are those of our record `then`. A taking back may only
    while the resource is still not to be there.
    """
    ours = ours_of(view, on)
    if then is None or not set(disclosed(replace(view, plan=then), on).goals) <= set(ours.goals):
        return None
    units = sent_units(intent)
    shown = may_be_there(view, (intent.kind, intent.local_id), on)
    taken_back = intent.method != "create" and forgets(units)
    says = {unit for unit, one in units.items() if one.ours is not None}
    if (shown and taken_back) or (shown and not says <= ours.visible.keys()) or (not shown and says):
        return None
    way: Way = "delete" if intent.method == "delete" else "write" if shown else "withdraw"
    return Call(
        intent.kind,
        intent.local_id,
        body_of(intent),
        units,
        intent.resource_id,
        intent.etag,
        current.tree,
        way,
        decided=on,
    )


def dropped_values(view: View, before: There, after: There, units: Mapping[Unit, Sent]) -> list[Verdict]:
    """Return what the EHR had changed, was sent back to it as it stood, and is gone all the same.

    A server that drops what it can't hold drops it at every write, whoever wrote it: the value stays in our history.
    """
    gone = _gone(before, after, units)
    seen = (Seen(unit, view.bases.get(unit), None, had) for unit, (had, _) in gone.items())
    return [Verdict(one, Action.IGNORE, "dropped_there") for one in seen if changed(one)[1]]


def less_held(view: View, before: There, after: There, units: Mapping[Unit, Sent]) -> dict[Unit, Pair]:
    """Return the pairs of agreed values that a server dropped at our write although they were sent back to it.

    It holds less from now on, which is no edit of anybody (design 5.3).
    """
    pairs: dict[Unit, Pair] = {}
    for unit, (had, has) in _gone(before, after, units).items():
        pair = view.bases.get(unit)
        if pair is not None and same_value(pair.theirs, had):
            pairs[unit] = Pair(pair.ours, has, pair.rev)
    return pairs


def _gone(before: There, after: There, units: Mapping[Unit, Sent]) -> dict[Unit, tuple[Json, Json]]:
    """Return the units that a call did not carry and that stand there otherwise after it, with both values.

    A child that a void goal lists has lost nothing: its edge is there, and does not count.
    """
    gone: dict[Unit, tuple[Json, Json]] = {}
    for unit, had in before.theirs.assembled.values.items():
        has = after.theirs.assembled.values.get(unit)
        listed = after.theirs.under_void.get(unit.member, ()) if unit.family == "parent_map" else ()
        if unit not in units and not same_value(had, sorted({*(has or ()), *listed}) if listed else has):
            gone[unit] = had, has
    return gone


def settled_by(
    view: View, before: There, after: There, units: Mapping[Unit, Sent], etag: str | None, *, earlier: bool = False
) -> dict[Unit, Pair]:
    """Return every pair that a call moves, which landed with that ETag: of what it carried, and of what was dropped.

    What a call of an earlier run did to a child's place is set apart from what others did to it at other parents since.
    """
    pairs = settle_values(view, after, units)
    if earlier:
        for unit, sent in units.items():
            if unit.family == "parent_map":
                pairs[unit] = replace(pairs[unit], theirs=_moved_by_it(unit, sent, view, before, after))
    if etag is None or not view.trusted:
        return pairs
    # Nobody wrote in between: what is missing, the server dropped.
    return {**less_held(view, before, after, units), **pairs}


def _moved_by_it(unit: Unit, sent: Sent, view: View, before: There, after: There) -> Json:
    """Return the parents that were agreed there, with what a call to one of them changed.

    What the child had left when the call was decided is agreed no more: given back since, it is an edit of the EHR's.
    So is no parent at all, where it had left everything (`NOWHERE`): somebody there took away what they had given it.
    Where it took away one of several, of which somebody there had added another, all of them are the last known place:
    no parent at all, later, is what they made of it and not what the call left.
    """
    pair = view.bases.get(unit)
    was, now = (set(one.theirs.assembled.values.get(unit) or ()) for one in (before, after))
    agreed = set(pair.theirs or ()).difference(sent.left) if pair else set()
    if was - now and now - agreed:
        return sorted(was)
    return sorted((agreed - (was - now)) | (now - was)) or (NOWHERE if sent.left else None)
