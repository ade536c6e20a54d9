"""`inbox show`: one item with its values, for who may see them, and what each choice does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from fhirgoals.cli import words
from fhirgoals.cli.inbox_list import head, how_closed
from fhirgoals.cli.inbox_words import author_here, field, place, roles, rows, version_there
from fhirgoals.cli.output import JsonOption, clean, note, printed_json, say, table
from fhirgoals.cli.session import actor, now, one_word, session_of
from fhirgoals.domain.records import Plan
from fhirgoals.domain.who import Actor, part_of
from fhirgoals.errors import InputError, Refused
from fhirgoals.fhir.exact_json import Tree, dumps
from fhirgoals.store import Store, Tx
from fhirgoals.store.inbox import Item
from fhirgoals.store.journal import Word
from fhirgoals.store.plans import UnitRev
from fhirgoals.sync.case import DECIDED, INSTEAD, MOVED, Case, look, moved, settler
from fhirgoals.sync.resolve import BreaksRuleError, after_taking


def show(
    context: typer.Context,
    item: Annotated[int, typer.Argument(metavar="NO", help="Its number in the list.")],
    by: Annotated[
        str | None, typer.Option(metavar="PERSON", help="Who looks: values are shown to who may settle it.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Why an operator must see values; it goes into the audit.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one item: what stood last, here and at the EHR, side by side, and what each choice does.

    Without a part in the plan that may settle it, only the field's name, its place and its age are shown. An operator
    sees values with --reason, and that is written into the audit.
    """
    person = actor(by) if by is not None else None
    at = now()
    with session_of(context).open() as store, store.write() as tx:
        found = tx.inbox.show(item)
        if found is None:
            raise Refused("there is no item of that number: `fhirgoals inbox list`")
        stored = tx.plans.get(found.plan_id) if found.plan_id else None
        plan = stored.plan if stored else None
        shown = _may_see(tx, found, plan, person, reason, at)
        told = _told(tx, store, found, plan, at)
    if as_json:
        printed_json(head(found, at) | (told.tree() if shown else {"values_shown": False}))
        return
    if shown:
        told.say()
    else:
        _say_outline(found, at, told.also_open)


def _may_see(tx: Tx, item: Item, plan: Plan | None, by: str | None, reason: str | None, at: datetime) -> bool:
    """Tell whether values are shown: to who may settle the item, and with an audited reason to an operator."""
    if plan is not None and by is not None and settler(plan, item, by, at.date()) is not None:
        return True
    if reason is None:
        return False
    if by is None:
        raise InputError("--reason: goes with --by: the audit says who saw values")
    if plan is not None and part_of(plan, Actor(by), at.date()) is not None:
        raise Refused(f"item {item.id}: its values are shown to {roles(item)} of its plan alone")
    field_name = (item.unit or "").partition(":")[0]
    detail: dict[str, Word] = {"item": item.id, "field": field_name, "reason": one_word(reason)}
    tx.audit.write(
        at=at, actor=by, action="inbox_values", connection=item.connection, plan_id=item.plan_id, detail=detail
    )
    return True


@dataclass(frozen=True)
class _Told:
    """Everything that is told of an item to who may see its values."""

    item: Item
    plan: Plan | None
    case: Case | None
    moved: bool
    not_theirs: str | None
    last: UnitRev | None
    also_open: int
    at: datetime

    @property
    def there(self) -> str:
        """What the EHR is called."""
        return self.item.connection or "the EHR"

    def say(self) -> None:
        """Print it."""
        item = self.item
        say(f"{words.ITEM.get(item.kind, item.kind)}: {field(item)}, at {self.there}")
        for name, text in self._facts():
            say(f"{name + ':':<12}{text}", indent="  ", hanging=" " * 14)
        if item.unit and not (item.base is None and item.ours is None and item.theirs is None):
            say()
            self._compare()
        if item.closed_at is not None:
            say()
            why = (item.close_reason or "").partition(": ")[2]
            say(f"Closed on {words.on_day(item.closed_at.date())}: {how_closed(item)}{why and ': ' + clean(why)}.")
            return
        say()
        self._choices()

    def tree(self) -> dict[str, Tree]:
        """Return it for programs."""
        item = self.item
        found: dict[str, Tree] = {
            "values_shown": True,
            "base": item.base,
            "ours": item.ours,
            "theirs": item.theirs,
            "here": None,
            "there": None,
            "moved": self.moved,
            "theirs_refused": self.not_theirs,
        }
        if self.last is not None:
            last = self.last
            found["here"] = {"by": last.by, "at": last.at.isoformat(), "revision": last.rev, "origin": last.origin}
        if self.case is not None:
            version, stored = version_there(self.case)
            found["there"] = {"version": version, "at": stored.isoformat() if stored else None}
        if item.closed_at is not None:
            found |= {"closed_by": item.closed_by, "close_reason": item.close_reason}
        return found

    def _facts(self) -> list[tuple[str, str]]:
        item, found = self.item, []
        if self.plan is not None:
            found.append(("plan", clean(self.plan.title or self.plan.id)))
            goal = next((goal for goal in self.plan.goals if goal.id == place(item)), None)
            if goal is not None:
                found.append(("goal", clean(goal.text or goal.id)))
        found.append(("waits", f"{words.age(item.opened_at, self.at)}, since {words.on_day(item.opened_at.date())}"))
        found.append(("because", words.WHY.get(item.why, item.why.replace("_", " "))))
        if item.closed_at is None and item.kind in words.MEANWHILE:
            found.append(("meanwhile", words.MEANWHILE[item.kind]))
        return found

    def _compare(self) -> None:
        lines = [(one.name, one.base, one.ours, one.theirs) for one in rows(self.item, self.case, self.plan)]
        if self.case is not None:
            who, since = author_here(self.case, self.last)
            version, stored = version_there(self.case)
            lines.append(("changed by", "", who, "not said" + (f" (version {clean(version)})" if version else "")))
            lines.append(("changed on", "", since, words.when(stored) if stored else ""))
        table(("", "last agreed", "here", f"at {self.there}"), lines)

    def _choices(self) -> None:
        item = self.item
        if item.kind not in DECIDED or self.case is None:
            say(f"To do: {INSTEAD.get(item.kind, 'its cause is to be mended')}.", hanging="  ")
            return
        if self.moved:
            say(f"It can't be settled as it stands: {MOVED}.", hanging="  ")
            return
        say(f"Settled by {roles(item)}: fhirgoals inbox resolve {item.id} --by PERSON and")
        for option, text in self._does(self.case):
            say(f"{option:<15}{text}", indent="  ", hanging=" " * 17)

    def _does(self, case: Case) -> list[tuple[str, str]]:
        item, there = self.item, self.there
        if case.hidden:
            ours = f"{there} keeps its own; ours may not go there"
        elif item.ours is None:
            ours = f"what was added at {there} is taken out there by the next sync"
        else:
            ours = f"the next sync {'puts it back' if item.theirs is None else 'writes ours'} at {there}"
        if item.theirs is None:
            theirs = "it is taken out here, as a change of yours; nothing is sent"
        else:
            theirs = "the plan takes it over as a change of yours; nothing is sent"
        found = [("--take ours", ours), ("--take theirs", theirs)]
        if self.not_theirs is not None:
            found[1] = ("--take theirs", f"not as it is: {self.not_theirs}")
            if isinstance(item.theirs, dict):
                found.append(
                    ("  --with JSON", f"theirs, completed by what the EHR did not say{_such_as(case, self.at)}")
                )
        found.append(("--value JSON", f"another value: the plan takes it, and the next sync writes it at {there}"))
        return found


def _told(tx: Tx, store: Store, item: Item, plan: Plan | None, at: datetime) -> _Told:
    also = [one for one in tx.inbox.list(connection=item.connection, plan_id=item.plan_id) if one.id != item.id]
    case = None
    last = None
    if item.closed_at is None and item.kind in DECIDED and plan is not None:
        case = look(tx, store.installation, item, at.date())
        last = tx.plans.unit_revs(plan.id).get(case.unit)
    not_theirs = None if case is None else _why_not_theirs(tx, case)
    return _Told(item, plan, case, case is not None and moved(case), not_theirs, last, len(also), at)


def _why_not_theirs(tx: Tx, case: Case) -> str | None:
    """Return why the EHR's value can't be taken as it is, or `None` where it can."""
    try:
        after_taking(case, "theirs", None, frozenset(one.name for one in tx.connections.list()))
    except BreaksRuleError as error:
        return error.sentence
    except Refused:
        return "our records have no place for it"
    return None


def _such_as(case: Case, at: datetime) -> str:
    """Return an example of what completes a closed status; the person says the reason."""
    theirs = case.item.theirs
    if case.unit.name != "status" or theirs.get("lifecycle") != "completed":
        return ""
    example = {"closure_reason": "achieved", "achievement": "achieved", "status_date": at.date().isoformat()}
    return f", such as '{dumps(dict(example)).decode()}'"


def _say_outline(item: Item, at: datetime, also_open: int) -> None:
    """Print what everyone may know of an item: where it is and since when, no value and no title."""
    say(f"{words.ITEM.get(item.kind, item.kind)}: {field(item)}, at {item.connection}")
    facts = [
        ("plan", item.plan_id or ""),
        ("goal", place(item) if place(item) != item.plan_id else ""),
        ("waits", words.age(item.opened_at, at)),
        ("because", words.WHY.get(item.why, item.why.replace("_", " "))),
        ("settled by", roles(item)),
        ("also open", f"{words.count(also_open, 'item')} of this plan there"),
    ]
    for name, text in facts:
        if text:
            say(f"{name + ':':<12}{text}", indent="  ", hanging=" " * 14)
    if item.closed_at is not None:
        say(f"Closed on {words.on_day(item.closed_at.date())}: {how_closed(item)}.")
    elif item.kind in INSTEAD:
        say(f"To do: {INSTEAD[item.kind]}.", hanging="  ")
    note("note: values are shown to who may settle it (--by PERSON); to an operator with --reason, which is audited")
