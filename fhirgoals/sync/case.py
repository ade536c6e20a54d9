"""One inbox item as a person decides it: both sides as they stand now, whether they still are what was asked, and who.

Reads; writes nothing. `resolve` carries the decision out in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from fhirgoals.domain.identity import Installation
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Json, Pair, Unit, Values, same_value, units
from fhirgoals.domain.who import TABLE, Actor, Part, Table, may, part_of
from fhirgoals.errors import Refused
from fhirgoals.store.inbox import Item
from fhirgoals.store.tx import Tx
from fhirgoals.sync.decide import Ours, Place, carriers
from fhirgoals.sync.merge import Seen, taken
from fhirgoals.sync.reading import There
from fhirgoals.sync.view import View, last_seen, load_view, ours_of

DECIDED = ("conflict", "proposal")
"""The kinds of items that ask for one of two values; the others ask for something to be done."""

INSTEAD: Mapping[str, str] = {
    "held": "its cause is to be mended, at the EHR or here with `fhirgoals goal` and `put`; the next sync closes it",
    "gone": "the resource is to be restored at the EHR, or the goal ended here; the next sync closes it",
    "void": "it is to be mended at the EHR, or marked here too with `fhirgoals goal void`; the next sync closes it",
    "unreadable": "it is to be made readable for us at the EHR, as this client's; the next sync closes it",
    "patient": "the patient is to be put right at the EHR, or the client unlinked with `fhirgoals patients unlink` and"
    " found anew; the next sync closes it",
    "retract": "what was sent is to be taken out at the EHR by hand, or shared again here; the next sync closes it",
    "identity": "`fhirgoals ehr match NAME` links it where it is one of our goals; else find out at the EHR whose it is"
    " and mend it there",
    "withheld": "what is kept back is for the client to say: `fhirgoals withhold`",
    "tree": "it is to be mended at the EHR, or the goal moved here with `fhirgoals put`; the next sync closes it",
    "guard": "see in `fhirgoals preview NAME --stopped` whether all of that is meant; then an operator lets it pass"
    " with `fhirgoals ehr guard NAME --clear`",
    "history": "it is no question: it keeps a value that was decided already",
}
"""What is to be done about an item that is not settled by a choice of values."""

MOVED = "either side moved since it was asked: run `fhirgoals sync` and look at the inbox again"


@dataclass(frozen=True)
class Case:
    """An item with both sides as they stand now.

    `mine` is our value as its connection sees it, `real` the whole one of our record, `now_there` the EHR's as last
    seen. `hidden`: we have a value which that EHR may not see, or which came from another one and does not go there.
    """

    item: Item
    unit: Unit
    view: View
    ours: Ours
    there: There
    real: Json

    @property
    def pair(self) -> Pair | None:
        """What both sides had when they last agreed, or `None`."""
        return self.view.bases.get(self.unit)

    @property
    def elsewhere(self) -> bool:
        """Whether our value came from another EHR and does not go to this one."""
        return self.unit in self.ours.elsewhere

    @property
    def hidden(self) -> bool:
        """Whether we have a value that this EHR is not shown."""
        return self.elsewhere or (self.unit in self.ours.hidden and self.unit not in self.ours.visible)

    @property
    def mine(self) -> Json:
        """Our value as the inbox shows it."""
        return self.ours.elsewhere.get(self.unit, self.ours.visible.get(self.unit))

    @property
    def now_there(self) -> Json:
        """The EHR's value as it was last seen."""
        return self.there.theirs.assembled.values.get(self.unit)


def look(tx: Tx, installation: Installation, item: Item, on: date) -> Case:
    """Return an open conflict or proposal with both sides as they stand.

    Raises `Refused` where the item is closed or is not settled by a choice, and says what to do instead.
    """
    if item.closed_at is not None:
        raise Refused(f"item {item.id} is closed already: `fhirgoals inbox list` shows what is open")
    if item.kind not in DECIDED or not (item.connection and item.plan_id and item.owner and item.unit):
        instead = INSTEAD.get(item.kind, "its cause is to be mended; the next sync closes it")
        raise Refused(f"item {item.id} is not settled by a choice of values: {instead}")
    view = load_view(tx, item.connection, item.plan_id, installation)
    unit = Unit(item.owner, item.unit)
    return Case(item, unit, view, ours_of(view, on), last_seen(view), units(view.plan).get(unit))


def moved(case: Case) -> bool:
    """Tell whether either side is no longer what the person was asked about."""
    item = case.item
    stands = same_value(case.mine, item.ours) or (case.hidden and same_value(case.real, item.ours))
    key = carriers(case.view.plan.id, case.unit, case.real, item.theirs)
    readable = all(case.there.theirs.place(*one) in (Place.PRESENT, Place.ABSENT) for one in key)
    there = same_value(case.now_there, item.theirs) and case.unit not in case.there.theirs.assembled.held
    return case.ours.refused is not None or not (stands and there and readable)


def settler(plan: Plan, item: Item, by: str, on: date, table: Table = TABLE) -> Part | None:
    """Return the part in the plan by which a person may settle the item, or `None` where they may not."""
    part = part_of(plan, Actor(by), on)
    if part is None or part.participant is None or part.participant.role not in item.who_may:
        return None
    return part if may(plan, part, "settle", table) == "yes" else None


def equal_cases(items: Iterable[Item]) -> dict[tuple[str, str, str, str], list[Item]]:
    """Return open conflicts and proposals by what makes them equal: connection, field, kind and cause."""
    found: dict[tuple[str, str, str, str], list[Item]] = {}
    for item in items:
        if item.closed_at is None and item.kind in DECIDED and item.connection and item.unit:
            key = (item.connection, Unit(item.owner or "", item.unit).family, item.kind, item.why)
            found.setdefault(key, []).append(item)
    return found


def whole_of_theirs(case: Case) -> list[Values]:
    """Return what taking theirs changes here: their value with what they could not see or never held of ours kept.

    A step that stands there only brings its parts along. Where the kept parts would contradict the new value, theirs
    alone is tried.
    """
    theirs = case.item.theirs
    bare: Values = {case.unit: theirs}
    if case.unit.family == "steps" and theirs is not None and case.real is None:
        bare |= {
            unit: value
            for unit, value in case.there.theirs.assembled.values.items()
            if unit.owner == case.unit.owner
            and unit.name.startswith(f"step:{case.unit.member}.")
            and unit.member == case.unit.member
        }
    kept = with_unseen(case.real, case.mine, case.pair, theirs)
    return [bare] if same_value(kept, theirs) else [{**bare, case.unit: kept}, bare]


def with_unseen(real: Json, shown: Json, pair: Pair | None, theirs: Json) -> Json:
    """Return the EHR's value of a composite with those parts of ours that it could not see, or never held.

    `real` is our whole value, `shown` what that EHR may see of it. Parts that say the same in other words there (an
    author by role) stay ours while it left them as they were shown.
    """
    value = taken(Seen(Unit("", ""), pair, shown, theirs))
    if not all(isinstance(one, dict) and "foreign" not in one for one in (real, shown, value)):
        return value
    in_other_words = [part for part in {**real, **shown} if not same_value(real.get(part), shown.get(part))]
    if all(same_value(theirs.get(part), shown.get(part)) for part in in_other_words):
        value = {**value, **{part: real.get(part) for part in in_other_words}}
    return {part: one for part, one in value.items() if one is not None}
