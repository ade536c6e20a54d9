"""Carries a person's decision on an inbox item out, in one transaction: ours, theirs, or another value (design 5.3).

    ours     the EHR's value counts as seen and rejected: the next run sends ours
    theirs   our record takes it, as a revision by that person and of that EHR's origin: nothing is sent there
    value    our record takes another value, as the person's own: the next run sends it

The decision holds only while both values stand: what it leaves behind is the unit's pair, so a further edit at the EHR
is judged like any other. The closed item keeps all three values, who decided and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias

from fhirgoals.domain.changes import changes
from fhirgoals.domain.codes import RevisionReason
from fhirgoals.domain.commands.settling import broken
from fhirgoals.domain.commands.touching import touch
from fhirgoals.domain.identity import Installation
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Json, Pair, Unit, same_value, touched, units
from fhirgoals.domain.who import TABLE, Part, Table, may
from fhirgoals.domain.with_units import CannotTake, with_units
from fhirgoals.errors import Refused
from fhirgoals.store.engine import Store
from fhirgoals.store.tx import Tx
from fhirgoals.sync.case import MOVED, Case, look, moved, settler, whole_of_theirs
from fhirgoals.sync.connection import TablePolicy
from fhirgoals.sync.decide import Ours
from fhirgoals.sync.merge import Action, Seen, Verdict, judge
from fhirgoals.sync.release import with_release
from fhirgoals.sync.rows import note_losing_value, origin_of
from fhirgoals.sync.view import load_view, ours_of

Take: TypeAlias = Literal["ours", "theirs", "value"]

BECAUSE: RevisionReason = "external_edit"
"""The reason of a revision that a decision makes, where the person names none of the known ones."""

DECIDED_REV = -1
"""Our revision in the pair of a rejected value: ours is newer, whatever its revision, so it is sent."""

NO_PLACE = "our records have no place for that value: take ours, or change the plan by hand and run `fhirgoals sync`"


class BreaksRuleError(Refused):
    """What was to be taken would break a rule of the plan; `sentence` is the rule's."""

    def __init__(self, item_id: int, sentence: str, *, has_parts: bool) -> None:
        self.sentence = sentence.removesuffix(".")
        more = ": complete it with --with" if has_parts else ""
        super().__init__(f"item {item_id}: {self.sentence}; nothing was changed{more}")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a person decides, and with what right: `by` their id, `at` when, `because` and `words` why.

    With `theirs`, `value` are parts that complete a value of several parts: what the EHR did not say and our rules ask
    for, such as why a goal was closed.
    """

    take: Take
    value: Json = None
    by: str
    at: datetime
    because: RevisionReason | None = None
    words: str | None = None

    @property
    def on(self) -> date:
        """The day of the decision."""
        return self.at.date()


@dataclass(frozen=True)
class Resolved:
    """A decision that was carried out: `rev` is our new revision, `None` where our record stays as it was.

    `sends` tells whether the next run writes to the EHR: not where what is there was taken, nor where ours may not go,
    nor where it `waits` for its release: until `may_go_from`, or for a signature where that is `None`.
    """

    item_id: int
    take: Take
    connection: str
    plan_id: str
    unit: Unit
    rev: int | None
    sends: bool
    waits: bool = False
    may_go_from: datetime | None = None


def resolve(
    tx: Tx, installation: Installation, item_id: int, choice: Choice, connections: frozenset[str], table: Table = TABLE
) -> Resolved:
    """Settle one item. Raises `Refused`, before anything is written, and says what to do.

    Refused are items that are closed or of another kind, people who may not settle it, sides that moved since, and
    values that our records can't hold or that would break a rule of the plan. `connections` are those of the store.
    """
    item = tx.inbox.show(item_id)
    if item is None:
        raise Refused("there is no item of that number: `fhirgoals inbox list`")
    case = look(tx, installation, item, choice.on)
    part = settler(case.view.plan, item, choice.by, choice.on, table)
    if part is None or part.participant is None:
        raise Refused(f"item {item_id} is settled by {_roles(item.who_may)} of its plan, and --by names none of them")
    if moved(case):
        raise Refused(f"item {item_id}: {MOVED}")
    take, value = meant(case, choice)
    after = case.view.plan
    if take != "ours":
        after = after_taking(case, take, value, connections)
        _allowed(case.view.plan, after, part, table)
    rev = _saved(tx, case, take, after, choice, part.participant.ref)
    view = with_release(tx, load_view(tx, case.view.connection, case.view.plan.id, installation), choice.at)
    now = ours_of(view, choice.on)
    pairs = _pairs(case, take, now)
    tx.bases.settle(case.view.connection, case.view.plan.id, pairs)
    _mark(tx, case, choice.at)
    reason = f"{take}: {choice.words or choice.because}" if choice.words or choice.because else take
    if take == "ours":
        _keep_parts(tx, case, choice.at)
    tx.inbox.close(item_id, at=choice.at, reason=reason, by=part.participant.ref)
    tx.audit.write(
        at=choice.at,
        actor=part.participant.ref,
        action="inbox_resolve",
        connection=case.view.connection,
        plan_id=case.view.plan.id,
        detail={"item": item_id, "take": take, "field": case.unit.name.partition(":")[0], "rev": rev},
    )
    sends = _sends(case, now, pairs[case.unit])
    waits = sends and case.unit in now.unreleased
    when = view.release_at if waits else None
    goes = sends and not waits
    return Resolved(item_id, take, view.connection, view.plan.id, case.unit, rev, goes, waits, when)


def resolve_all(
    store: Store, item_ids: Sequence[int], choice: Choice, connections: frozenset[str], table: Table = TABLE
) -> tuple[list[Resolved], dict[int, str]]:
    """Settle items one by one, each in its own transaction; return those done, and why others were refused, by id."""
    done: list[Resolved] = []
    refused: dict[int, str] = {}
    for item_id in item_ids:
        try:
            with store.write() as tx:
                done.append(resolve(tx, store.installation, item_id, choice, connections, table))
        except Refused as error:
            refused[item_id] = str(error)
    return done, refused


def after_taking(case: Case, take: Take, value: Json, connections: frozenset[str]) -> Plan:
    """Return our record with their value, or with another one, in it.

    Raises `Refused` where it has no place in our records or would break a rule that holds now; the rule's plain
    sentence is told.
    """
    before = case.view.plan
    faults: tuple[str, ...] = ()
    for one in whole_of_theirs(case) if take == "theirs" else [{case.unit: value}]:
        try:
            after = with_units(before, one, origin_of(case.view, case.there.found, case.unit))
            now = units(after)
        except (CannotTake, TypeError, AttributeError, ValueError):
            raise Refused(_does_not_fit(case) if take == "value" else f"item {case.item.id}: {NO_PLACE}") from None
        if take == "value" and not same_value(now.get(case.unit), value if value not in ({}, []) else None):
            raise Refused(_does_not_fit(case))
        faults = tuple(fault.sentence for fault in broken(before, after, connections))
        if not faults:
            return after
    raise BreaksRuleError(case.item.id, faults[0], has_parts=take == "theirs" and isinstance(case.item.theirs, dict))


def meant(case: Case, choice: Choice) -> tuple[Take, Json]:
    """Return what a choice comes to: a value that one side has is that side's, a completed one is a value of its own.

    Raises `Refused` where parts are given for a value that has none.
    """
    if choice.take == "ours" or (choice.take == "theirs" and choice.value is None):
        return choice.take, None
    value, theirs = choice.value, case.item.theirs
    if choice.take == "theirs":
        if not isinstance(value, dict) or not isinstance(theirs, dict) or "foreign" in theirs:
            raise Refused(
                f"item {case.item.id}: the EHR's value has no parts to complete: give the whole value instead"
            )
        value = {part: one for part, one in {**theirs, **value}.items() if one is not None}
    if same_value(value, theirs):
        return "theirs", None
    return ("ours", None) if same_value(value, case.real) else ("value", value)


def _allowed(before: Plan, after: Plan, part: Part, table: Table) -> None:
    """Raise `Refused` where the person may not make one of the changes by themselves (who may do what)."""
    for change in changes(before, after):
        action = touch(change).action
        answer = may(before, part, action, table)
        records = answer == "own" and action == "answer_goal" and part.role == "therapist"  # what the person said
        if answer != "yes" and not records:
            raise Refused("this is not for this person's part in the plan to take over: ask the therapist")


def _saved(tx: Tx, case: Case, take: Take, after: Plan, choice: Choice, person: str) -> int | None:
    changed = touched(case.view.plan, after)
    if not changed:
        return None
    return tx.plans.save(
        after,
        expect=case.view.rev,
        by=person,
        reason=choice.because or BECAUSE,
        at=choice.at,
        touched=changed,
        origin=case.view.connection if take == "theirs" else None,
        quoted=(case.view.connection, {case.unit: case.item.theirs}),
        summary=choice.words,
    )


def _keep_parts(tx: Tx, case: Case, at: datetime) -> None:
    """Keep in the history what a member that is not taken consists of: the item holds only that it is there."""
    for unit, theirs in whole_of_theirs(case)[0].items():
        if unit != case.unit:
            seen = Seen(unit, case.view.bases.get(unit), None, theirs)
            note_losing_value(tx, case.view, Verdict(seen, Action.IGNORE, "decided_ours"), at)


def _pairs(case: Case, take: Take, now: Ours) -> dict[Unit, Pair]:
    """Return the pairs that the decision leaves: of what was taken an agreement, of what was rejected an order to send.

    `now` is our side after it: of a taken value `ours` is what the EHR may see of it, so that nothing looks changed.
    """
    there = case.there.theirs.assembled.values
    if take == "theirs":
        [taken, *_] = whole_of_theirs(case)
        return {unit: Pair(now.elsewhere.get(unit, now.visible.get(unit)), there.get(unit), now.rev) for unit in taken}
    mine = case.pair.ours if case.pair else None
    if mine is None or (take == "ours" and case.real is None):
        mine = case.item.theirs  # we have nothing there, now or by the next edit: what they added is taken out again
    # The parts of a member that is not taken are known and rejected with it; one that changes again is asked about.
    parts = whole_of_theirs(case)[0] if take == "ours" else {}
    known = {unit: Pair(None, value, DECIDED_REV) for unit, value in parts.items()}
    return {**known, case.unit: Pair(mine, case.item.theirs, DECIDED_REV)}


def _sends(case: Case, now: Ours, pair: Pair) -> bool:
    """Tell whether the unit is written at the EHR as soon as it may go, as things stand."""
    unit = case.unit
    if case.view.unfiled:
        return False
    if unit.owner != case.view.plan.id and unit.owner not in now.goals:
        return False
    seen = Seen(
        unit=unit,
        pair=pair,
        ours=now.visible.get(unit),
        theirs=case.now_there,
        rev=now.revs.get(unit, 0),
        hidden=unit in now.hidden,
        elsewhere=unit in now.elsewhere,
    )
    return judge(seen, TablePolicy(case.view.config.policy)).action is Action.PUSH


def _mark(tx: Tx, case: Case, at: datetime) -> None:
    """Mark the plan for its connection."""
    tx.dirty.mark(case.view.plan.id, case.view.connection, why="decided", at=at)


def _does_not_fit(case: Case) -> str:
    return (
        f"the value does not fit the field {case.unit.name.partition(':')[0]}: give it in the form that"
        f" `fhirgoals inbox show {case.item.id} --json` shows, or null for none"
    )


def _roles(roles: Sequence[str]) -> str:
    return " or ".join(f"the {role.replace('_', ' ')}" for role in roles) or "an operator"
