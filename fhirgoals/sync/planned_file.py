"""A kept preview: what is noted for it, and a run that does what it names and nothing else (design 2.5).

The file names resources, our ids, ETags and fields. Of what is sent and taken over it holds marks only. A call in doubt
of an earlier run is looked into first, and sent again where it may go: the file does not stop what was begun.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Pair, Unit
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.sync.call import Call
from fhirgoals.sync.changes import Reading
from fhirgoals.sync.decide import Waiting
from fhirgoals.sync.effects import Effects
from fhirgoals.sync.guard import Stop, Tally
from fhirgoals.sync.merge import Verdict
from fhirgoals.sync.newborn import Adoption
from fhirgoals.sync.outcome import Landed, NotLanded, NotPlannedError, Why
from fhirgoals.sync.planned_items import Item, Marks, item_of, json_of, name_of
from fhirgoals.sync.reading import Found, There
from fhirgoals.sync.view import Key, View

Moved: TypeAlias = Literal[
    "changed_here", "changed_there", "not_in_the_file", "no_longer", "not_ended", "guard", "not_done"
]
"""Why an item of the file was not done, or something was left out that is not in it."""


@dataclass(frozen=True)
class Left:
    """An item that was not done; `item` is of the file, or what was left out because it is not in it."""

    item: Item
    why: Moved
    answer: Why | None = None


@dataclass
class Noted:
    """The items of one connection's preview, and the revision of each plan that they are of."""

    marks: Marks
    items: list[Item] = field(default_factory=list)
    revisions: dict[str, int] = field(default_factory=dict)

    def of(self, planned: Effects, view: View) -> Effects:
        """Return the effects of a plan's preview that note its items too."""
        self.revisions[view.plan.id] = view.rev
        return _Noting(planned, self)

    def as_json(self) -> dict[str, Tree]:
        """Return the items as the file has them; plans of which nothing is to be done are left out."""
        named = {one.plan for one in self.items}
        return {
            "revisions": {plan: rev for plan, rev in self.revisions.items() if plan in named},
            "operations": [json_of(one) for one in self.items],
        }


@dataclass
class Only:
    """What a file allows on one connection, and what became of it: an item is done once, or told with its cause."""

    marks: Marks
    items: tuple[Item, ...]
    revisions: dict[str, int]
    done: list[Item] = field(default_factory=list)
    moved: dict[tuple[str, str, str], Left] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    written: set[Key] = field(default_factory=set)

    @property
    def plans(self) -> frozenset[str]:
        """The plans of which anything is to be done."""
        return frozenset(one.plan for one in self.items)

    def of(self, writes: Effects) -> Effects:
        """Return effects that do only what the file allows."""
        return _Restricted(writes, self)

    def born(self, view: View, reading: Reading) -> Reading:
        """Return the reading with those goals that were born there which the file takes over, as they were then."""
        allowed = {one.resource_id: one for one in self.open(view.plan.id) if one.operation == "adopt"}
        kept = tuple(tree for tree in reading.born if self._adopts(view, tree, allowed.get(str(tree["id"]))))
        return replace(reading, born=kept)

    def _adopts(self, view: View, tree: Resource, item: Item | None) -> bool:
        if item is None:
            return False
        why: Moved | None = None
        if not self.same_revision(view):
            why = "changed_here"
        elif item.body != self.marks.of_body(tree, view):
            why = "changed_there"
        if why is not None:
            self.leave(item, why)
        return why is None

    def open(self, plan_id: str) -> list[Item]:
        """Return the items of a plan that are not done."""
        return [one for one in self.items if one.plan == plan_id and one not in self.done]

    def same_revision(self, view: View) -> bool:
        """Tell whether our plan is still the one that was previewed, or became what it is by this very file."""
        return self.revisions.get(view.plan.id) == view.rev

    def leave(self, item: Item, why: Moved, answer: Why | None = None) -> None:
        """Note that something is not done; the first cause stands."""
        self.moved.setdefault((item.plan, item.operation, item.id or ",".join(item.units)), Left(item, why, answer))

    def left(self) -> list[Left]:
        """Return everything that was not done, with its cause; call when the run is over."""
        told = [one.item for one in self.moved.values()]
        fields = {(one.plan, name) for one in told if one.operation == "pull" for name in one.units}
        rest = [
            one
            for one in self.items
            if one not in self.done
            and one not in told
            and not (one.operation == "pull" and any((one.plan, name) in fields for name in one.units))
        ]
        return [
            *self.moved.values(),
            *(Left(one, "no_longer" if one.plan in self.ended else "not_ended") for one in rest),
        ]


def only_of(tree: Tree, marks: Marks) -> Only | None:
    """Return what a connection's part of the file allows, or `None` where it is not as `Noted` made it."""
    if not isinstance(tree, dict):
        return None
    revisions, operations = tree.get("revisions"), tree.get("operations")
    if not isinstance(revisions, dict) or not isinstance(operations, list):
        return None
    revs = {plan: rev for plan, rev in revisions.items() if isinstance(rev, int)}
    try:
        return Only(marks, tuple(item_of(one) for one in operations), revs)
    except (TypeError, KeyError):
        return None


class _Through:
    """Effects that pass everything on."""

    def __init__(self, inner: Effects, marks: Marks) -> None:
        self.inner = inner
        self.marks = marks

    async def guard(self, view: View, planned: Tally) -> Stop | None:
        return await self.inner.guard(view, planned)

    async def settle(self, view: View, pairs: Mapping[Unit, Pair]) -> View:
        return await self.inner.settle(view, pairs)

    async def adopt(self, view: View, adoption: Adoption) -> View:
        return await self.inner.adopt(view, adoption)

    async def take(self, view: View, plan: Plan, pairs: Mapping[Unit, Pair], verdicts: list[Verdict]) -> View:
        return await self.inner.take(view, plan, pairs, verdicts)

    async def send(self, view: View, there: There, call: Call) -> tuple[View, There, Landed | NotLanded]:
        return await self.inner.send(view, there, call)

    async def send_together(
        self, view: View, there: There, calls: Sequence[tuple[Call, list[Verdict]]]
    ) -> tuple[View, There, list[Landed | NotLanded]]:
        return await self.inner.send_together(view, there, calls)

    async def deleted(self, view: View, there: There, key: Key, units: Collection[Unit]) -> tuple[View, There]:
        return await self.inner.deleted(view, there, key, units)

    async def note_history(self, view: View, verdicts: list[Verdict]) -> None:
        await self.inner.note_history(view, verdicts)

    async def note_undeliverable(self, view: View, verdicts: list[Verdict]) -> None:
        await self.inner.note_undeliverable(view, verdicts)

    async def finish(
        self, view: View, found: Mapping[Key, Found], waiting: list[Waiting], not_judged: Collection[Unit]
    ) -> tuple[int, int]:
        return await self.inner.finish(view, found, waiting, not_judged)


class _Noting(_Through):
    def __init__(self, inner: Effects, noted: Noted) -> None:
        super().__init__(inner, noted.marks)
        self.items = noted.items

    async def adopt(self, view: View, adoption: Adoption) -> View:
        for link in adoption.links:
            self.items.append(self.marks.adoption(view, link.local_id, adoption.found["Goal", link.local_id]))
        return await self.inner.adopt(view, adoption)

    async def take(self, view: View, plan: Plan, pairs: Mapping[Unit, Pair], verdicts: list[Verdict]) -> View:
        self.items.append(self.marks.pull(view, verdicts))
        return await self.inner.take(view, plan, pairs, verdicts)

    async def send(self, view: View, there: There, call: Call) -> tuple[View, There, Landed | NotLanded]:
        after, there, result = await self.inner.send(view, there, call)
        if isinstance(result, Landed):
            self.items.append(self.marks.call(view, call))
        return after, there, result

    async def send_together(
        self, view: View, there: There, calls: Sequence[tuple[Call, list[Verdict]]]
    ) -> tuple[View, There, list[Landed | NotLanded]]:
        after, there, results = await self.inner.send_together(view, there, calls)
        landed = [call for (call, _), one in zip(calls, results, strict=True) if isinstance(one, Landed)]
        self.items += [self.marks.call(view, call) for call in landed]
        return after, there, results


class _Restricted(_Through):
    """Sends and takes over what the file allows. What a call overwrites is noted only when that call may go."""

    def __init__(self, inner: Effects, only: Only) -> None:
        super().__init__(inner, only.marks)
        self.only = only
        self.unwritten: list[Verdict] = []

    async def guard(self, view: View, planned: Tally) -> Stop | None:
        stop = await self.inner.guard(view, planned)
        if stop is not None:
            for item in self.only.open(view.plan.id):
                self.only.leave(item, "guard")
        return stop

    async def settle(self, view: View, pairs: Mapping[Unit, Pair]) -> View:
        await self._write_history(view)
        return await self.inner.settle(view, pairs)

    async def adopt(self, view: View, adoption: Adoption) -> View:
        after = await self.inner.adopt(view, adoption)
        self.only.revisions[view.plan.id] = after.rev
        ids = {link.local_id for link in adoption.links}
        self.only.done += [one for one in self.only.open(view.plan.id) if one.operation == "adopt" and one.id in ids]
        return after

    async def take(self, view: View, plan: Plan, pairs: Mapping[Unit, Pair], verdicts: list[Verdict]) -> View:
        now = self.marks.pull(view, verdicts)
        items = [one for one in self.only.open(view.plan.id) if one.operation == "pull"]
        allowed = {name: mark for one in items for name, mark in one.values.items()}
        same = self.only.same_revision(view)
        wrong = [name for name, mark in now.values.items() if not same or allowed.get(name) != mark]
        for name in wrong:
            why: Moved = "changed_there" if name in allowed else "not_in_the_file"
            self.only.leave(replace(now, units=(name,), values={}), why if same else "changed_here")
        if wrong:
            raise NotPlannedError({one.seen.unit for one in verdicts if name_of(one.seen.unit) in wrong})
        after = await self.inner.take(view, plan, pairs, verdicts)
        self.only.revisions[view.plan.id] = after.rev
        self.only.done += [one for one in items if one.values.keys() & now.values.keys()]
        return after

    async def send(self, view: View, there: There, call: Call) -> tuple[View, There, Landed | NotLanded]:
        item = self._allowed(view, call)
        if item is None:
            self.unwritten = []
            return view, there, NotLanded("not_planned")
        await self._write_history(view)
        after, there, result = await self.inner.send(view, there, call)
        self._note(call, item, result)
        return after, there, result

    async def send_together(
        self, view: View, there: There, calls: Sequence[tuple[Call, list[Verdict]]]
    ) -> tuple[View, There, list[Landed | NotLanded]]:
        items = {call.key: item for call, _ in calls if (item := self._allowed(view, call)) is not None}
        allowed = [(call, lost) for call, lost in calls if call.key in items]
        after, there, results = await self.inner.send_together(view, there, allowed)
        done = {call.key: result for (call, _), result in zip(allowed, results, strict=True)}
        for call, _ in allowed:
            self._note(call, items[call.key], done[call.key])
        return after, there, [done.get(call.key, NotLanded("not_planned")) for call, _ in calls]

    def _allowed(self, view: View, call: Call) -> Item | None:
        """Return the item that a call is, or `None` where the file does not allow it as it is now."""
        now = self.marks.call(view, call)
        name = (now.operation, now.resource, now.id)
        item = next((o for o in self.only.open(now.plan) if (o.operation, o.resource, o.id) == name), None)
        why = self._moved(view, call, now, item)
        if item is None or why is not None:
            self.only.leave(item or now, why or "not_in_the_file")
            return None
        return item

    def _note(self, call: Call, item: Item, result: Landed | NotLanded) -> None:
        if isinstance(result, Landed):
            self.only.done.append(item)
            self.only.written.add(call.key)
        elif result.why not in ("doubt", "stale", "stopped"):
            self.only.leave(item, "not_done", result.why)

    def _moved(self, view: View, call: Call, now: Item, item: Item | None) -> Moved | None:
        """Return what moved since the preview, or `None` where the call is the one that was shown."""
        if item is None:
            return "not_in_the_file"
        if not self.only.same_revision(view):
            return "changed_here"
        if call.key in self.only.written:  # it stands there as this file left it: its ETag is of our own reply
            return None if now.values == item.values else "changed_here"
        if (now.resource_id, now.etag) != (item.resource_id, item.etag):
            return "changed_there"
        return None if (now.body, now.values) == (item.body, item.values) else "changed_here"

    async def note_history(self, view: View, verdicts: list[Verdict]) -> None:
        await self._write_history(view)
        self.unwritten = list(verdicts)

    async def finish(
        self, view: View, found: Mapping[Key, Found], waiting: list[Waiting], not_judged: Collection[Unit]
    ) -> tuple[int, int]:
        await self._write_history(view)
        return await self.inner.finish(view, found, waiting, not_judged)

    async def _write_history(self, view: View) -> None:
        pending, self.unwritten = self.unwritten, []
        await self.inner.note_history(view, pending)
