"""Writes: our record, the bases, and the EHR, so that a crash at any await leaves what a later run can finish.

    tx1   fence, revision and pause are checked; one intent per call: operation id, ETag, units, body
    call  the last look (`may_send`) is taken immediately before each attempt
    tx2   link, bases, intent cleared, audit

An intent that is still there afterwards means "sent or not: unknown"; `recover` finds out. No transaction spans a call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Literal, TypeVar

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Pair, Unit, touched
from fhirgoals.errors import Outdated, Refused
from fhirgoals.fhir.answers import Answer, Gone, NotFound, Stored
from fhirgoals.fhir.answers import Refused as RefusedAnswer
from fhirgoals.mappers import stamp
from fhirgoals.store.intents import Intent
from fhirgoals.store.tx import Tx
from fhirgoals.sync.call import Call, Sent, forgets
from fhirgoals.sync.context import LEASE_S, Context, stored_as
from fhirgoals.sync.decide import Waiting
from fhirgoals.sync.gone import NOTHING_THERE, forget, met_nothing
from fhirgoals.sync.guard import Stop, Tally, passes
from fhirgoals.sync.late import give_up
from fhirgoals.sync.merge import Verdict
from fhirgoals.sync.newborn import Adoption, adopted
from fhirgoals.sync.outcome import (
    Landed,
    NotLanded,
    dropped_values,
    of_patient,
    repeated,
    settled_by,
    why_not,
    would_not_be_valid,
)
from fhirgoals.sync.reading import Found, There, with_stored, without
from fhirgoals.sync.recover import IN_DOUBT, MAY_NOT_GO, plan_of
from fhirgoals.sync.refusals import note_refusal, refused_lately
from fhirgoals.sync.rows import at_revision, body_of, intent_of, keep_items, link_of, note_losing_value, save_external
from fhirgoals.sync.sender import send_call, versions_left
from fhirgoals.sync.unversioned import AGAIN_REV, NONE_OF_THEM, usable, went_over
from fhirgoals.sync.versions import distrust, learn, stayed
from fhirgoals.sync.view import (
    Key,
    View,
    as_read,
    content_hash,
    knowledge_of,
    raw_text,
    refs_of,
    with_bases,
    with_link,
    with_plan,
    without_link,
)

T = TypeVar("T")


class Writes:
    """The effects of a run: the same methods as `preview.Planned`, which only notes them."""

    def __init__(self, context: Context) -> None:
        """Write for one plan, whose patient was looked at (`patient.check_patient`)."""
        self.context = context

    async def guard(self, view: View, planned: Tally) -> Stop | None:
        """Let the plan's writes pass, or return why not; asked before the first of them."""
        at = self.context.clock()
        return await self._write(lambda tx: passes(tx, view.connection, view.plan.id, planned, at)) if planned else None

    async def settle(self, view: View, pairs: Mapping[Unit, Pair]) -> View:
        """Move pairs of equal and ignored units; raises `Outdated` where our record moved: theirs may be the later."""

        def work(tx: Tx) -> None:
            if any(pair.rev != AGAIN_REV for pair in pairs.values()):
                as_read(tx, view)
            tx.bases.settle(view.connection, view.plan.id, pairs)

        if pairs:
            await self._write(work)
        return with_bases(view, pairs)

    async def adopt(self, view: View, adoption: Adoption) -> View:
        """Save goals that were born there as one revision of ours, linked and agreed, if our record is the one read.

        Raises `Outdated` where it moved meanwhile.
        """
        at = self.context.clock()

        def work(tx: Tx) -> int:
            rev = save_external(tx, view, adoption.plan, at)
            for link in adoption.links:
                tx.links.put(link)
            tx.bases.settle(view.connection, view.plan.id, at_revision(adoption.pairs, rev))
            tx.audit.write(
                at=at,
                actor=view.connection,
                action="adopt",
                connection=view.connection,
                plan_id=view.plan.id,
                detail={"goals": len(adoption.links), "rev": rev},
            )
            return rev

        rev = await self._write(work)
        return adopted(view, adoption, rev)

    async def take(self, view: View, plan: Plan, pairs: Mapping[Unit, Pair], verdicts: list[Verdict]) -> View:
        """Save the EHR's edits as one revision of ours and settle their units, if our record is still the one read.

        Raises `Outdated` where it moved meanwhile.
        """
        at = self.context.clock()

        def work(tx: Tx) -> int:
            rev = save_external(tx, view, plan, at)
            tx.bases.settle(view.connection, view.plan.id, at_revision(pairs, rev))
            for verdict in verdicts:
                if verdict.why.startswith("policy_theirs"):
                    note_losing_value(tx, view, verdict, at)
            tx.audit.write(
                at=at,
                actor=view.connection,
                action="pull",
                connection=view.connection,
                plan_id=view.plan.id,
                detail={"units": len(pairs), "rev": rev},
            )
            return rev

        rev = await self._write(work)
        return with_bases(with_plan(view, plan, rev, touched(view.plan, plan)), at_revision(pairs, rev))

    async def send(self, view: View, there: There, call: Call) -> tuple[View, There, Landed | NotLanded]:
        """Send one call and settle what it carried; returns the view and reading after it."""
        if (never := self._never(view, call)) is not None:
            return view, there, never
        new = self._intent(view, call)
        try:
            intent = await self._write(lambda tx: self._open(tx, view, call, new))
        except (Outdated, Refused):
            return view, there, NotLanded("stopped")
        if intent is None:
            return view, there, NotLanded("refused")
        if intent.id != new.id and not await self._was_kept_back(view, call, intent):
            return view, there, NotLanded("doubt")  # this very call is in doubt: `recover` repeats it, once a run
        # One that was kept back and is decided anew may have landed at its first try.
        return await self._go(view, there, call, intent, first=intent.id == new.id)

    def _never(self, view: View, call: Call) -> NotLanded | None:
        """Return why a call is not even tried, or `None`."""
        if would_not_be_valid(call):
            return NotLanded("would_not_be_valid")
        return None if of_patient(view, call) else NotLanded("other_patient")

    def _intent(self, view: View, call: Call) -> Intent:
        operation, body = self.context.new_id(), call.body
        if view.config.operation_id_kept:
            body = stamp.with_operation_id(body, operation)
        return intent_of(view, call, body, operation, fence=self.context.fence, at=self.context.clock())

    async def repeat(
        self, view: View, there: There, intent: Intent, current: Found, then: Plan | None
    ) -> tuple[View, There, str | None]:
        """Send a call in doubt once more, under its first id: same body, same ETag (design 5.7).

        Returns why it stays open, if it does. One that may no longer go is not repeated; it stays a candidate.
        """
        call = repeated(view, intent, current, then, self.context.today())
        if call is None or not of_patient(view, call):
            return view, there, MAY_NOT_GO
        view, there, result = await self._go(view, there, call, intent, first=False)
        return view, there, IN_DOUBT if isinstance(result, NotLanded) and not result.closed else None

    async def _go(
        self, view: View, there: There, call: Call, intent: Intent, *, first: bool
    ) -> tuple[View, There, Landed | NotLanded]:
        answer = await send_call(self.context, view, call, body_of(intent), intent)
        return await self._answered(view, there, call, intent, answer, first=first)

    async def _answered(
        self, view: View, there: There, call: Call, intent: Intent, answer: Answer, *, first: bool
    ) -> tuple[View, There, Landed | NotLanded]:
        if call.way == "delete" and isinstance(answer, Gone | NotFound):
            if answer.status in NOTHING_THERE:
                await self.not_there(view, intent)
                return view, there, NotLanded("not_there")
            view, there = await self.deleted(view, there, call.key, intent.units)
            return view, there, Landed(await versions_left(self.context.client, call))
        if isinstance(answer, Stored):
            return await self._stored(view, there, call, intent, answer, first=first)
        why = why_not(answer)
        if why == "refused":
            at = self.context.clock()
            await self._write(lambda tx: note_refusal(tx, view, intent, at))
        # A repeated call may have landed at its first try; what is refused for its content was refused then too.
        closed = (first or isinstance(answer, RefusedAnswer)) and why not in ("doubt", "several", "stale")
        if closed:
            await self._write(lambda tx: tx.intents.close(intent.id))
        return view, there, NotLanded(why, closed)

    async def finish(
        self, view: View, found: Mapping[Key, Found], waiting: list[Waiting], not_judged: Collection[Unit]
    ) -> tuple[int, int]:
        """Keep what was read, raise what waits and close what no longer does; return (new items, open items)."""
        at = self.context.clock()

        def work(tx: Tx) -> tuple[int, int]:
            for key, one in found.items():
                link = view.links.get(key)
                if link and (link.raw_hash, link.etag, link.version) != (content_hash(one.tree), one.etag, one.version):
                    state: Literal["ok", "withheld"] = "withheld" if link.state == "withheld" else "ok"
                    tx.links.put(link_of(view, link.kind, link.local_id, one, at, state))
            return keep_items(tx, view, waiting, not_judged, at)

        return await self._write(work)

    async def note_history(self, view: View, verdicts: list[Verdict]) -> None:
        """Keep the EHR's values that policy did not take (ignored, or lost a clash) in the history: closed items."""
        at = self.context.clock()

        def work(tx: Tx) -> None:
            for verdict in verdicts:
                note_losing_value(tx, view, verdict, at)

        if verdicts:
            await self._write(work)

    async def note_undeliverable(self, view: View, verdicts: list[Verdict]) -> None:
        """Write one ledger row per unit and revision that this connection may not see."""
        at = self.context.clock()

        def work(tx: Tx) -> None:
            for verdict in verdicts:
                tx.ledger.note(
                    view.connection, view.plan.id, verdict.seen.unit, verdict.seen.rev, why=verdict.why, at=at
                )

        if verdicts:
            await self._write(work)

    async def _was_kept_back(self, view: View, call: Call, intent: Intent) -> bool:
        """Tell whether a call in doubt was not repeated since it might name what may no longer be seen there.

        The same call, decided anew, names nothing of that: it goes, under its first id.
        """
        then = await plan_of(self.context, view, intent)
        before = Found(call.resource_id or "", call.before or {})
        return repeated(view, intent, before, then, self.context.today()) is None

    def _open(self, tx: Tx, view: View, call: Call, intent: Intent) -> Intent | None:
        """Open the intent, or return the open one of the very same call: a repeat goes under its first id.

        `None` is for a call that the EHR refused lately: nothing of it changed since.
        """
        as_read(tx, view)
        known = tx.connections.get(view.connection)
        if known is None or known.state != "armed":
            raise Refused(f"connection {view.connection} is not armed: nothing is written")
        if refused_lately(tx, view, intent, self.context.clock()):
            return None
        link = view.links.get(call.key)
        if link is not None and call.before is not None:
            # What this call was built on: should its reply be lost, that tells what the server made of it.
            tx.links.put(replace(link, raw=raw_text(call.before), etag=call.etag, version=None))
        tx.connections.renew(view.connection, self.context.fence, LEASE_S, self.context.clock())
        for one in tx.intents.for_plan(view.connection, view.plan.id):
            if (one.kind, one.local_id, one.method) != (intent.kind, intent.local_id, intent.method):
                continue
            if intent.method == "create":  # `recover` did not find it: from here on this one stands for both
                give_up(tx, one, intent.opened_at)
                intent = replace(intent, state=one.state, sent_at=one.sent_at)
            elif usable(view, intent.etag) and (one.etag, one.body_hash) == (intent.etag, intent.body_hash):
                return one
        tx.intents.open(intent)
        return intent

    async def close_intent(self, intent_id: str) -> None:
        """Clear an intent that surely did not land."""
        await self._write(lambda tx: tx.intents.close(intent_id))

    async def _stored(
        self, view: View, there: There, call: Call, intent: Intent, answer: Stored, *, first: bool
    ) -> tuple[View, There, Landed | NotLanded]:
        found = await stored_as(self.context.client, call.kind, answer.resource_id or call.resource_id, answer)
        if found is None:
            return view, there, NotLanded("doubt")
        subject = stamp.subject(found.tree)
        if subject is not None and refs_of(view).relative(subject) != view.patient:
            await self._write(lambda tx: tx.intents.close(intent.id))
            return view, there, NotLanded("other_patient", closed=True)
        if call.creates and not answer.created:
            # It was there already: what stands there need not be what we sent now. `recover` takes it over.
            return view, there, NotLanded("doubt")
        if view.trusted and (answer.etag_source != "header" or stayed(call.etag, found.etag)):
            at = self.context.clock()
            await self._write(lambda tx: distrust(tx, view.connection, at))
            view = replace(view, trusted=False)
        action = "push" if call.way == "write" else "retract"
        held_to_it = call.creates or usable(view, call.etag)
        if not held_to_it:
            await self.note_history(view, await went_over(self.context.client, view, there, call, found))
        # A call that was repeated may still come once more where no ETag keeps it from that: it stays a candidate.
        only = None if held_to_it else intent.id if first else NONE_OF_THEM
        view, there = await self.landed(
            view, there, call.key, found, call.units, action, call.etag, only=only, earlier=not first
        )
        return (
            view,
            there,
            Landed(await versions_left(self.context.client, call) if call.way != "write" or call.unsays else None),
        )

    async def deleted(self, view: View, there: There, key: Key, units: Collection[Unit]) -> tuple[View, There]:
        """tx2 of a delete: forget link and pairs, so that what is shared again is created anew."""
        at = self.context.clock()
        await self._write(lambda tx: forget(tx, view, key, units, at))
        after = without_link(view, key, units)
        return after, without(there, key, refs_of(after), knowledge_of(after))

    async def not_there(self, view: View, intent: Intent) -> None:
        """Close a delete that met nothing there; it is forgotten once a later run sees nothing either."""
        at = self.context.clock()
        await self._write(lambda tx: met_nothing(tx, view, intent, at))

    async def landed(
        self,
        view: View,
        there: There,
        key: Key,
        found: Found,
        units: Mapping[Unit, Sent],
        action: str,
        etag: str | None,
        *,
        only: str | None = None,
        earlier: bool = False,
    ) -> tuple[View, There]:
        """tx2: keep link and bases of a call that landed, clear its intents, write the audit.

        `earlier`: it was decided in an earlier run, on what that one had read.

        Of the calls to one resource with one ETag only one can land; those with another one are looked into apart.
        """
        at = self.context.clock()
        link = link_of(view, *key, found, at, "withheld" if action != "push" and forgets(units) else "ok")
        linked = with_link(view, link)
        knowledge = replace(knowledge_of(linked), sent={unit: one.ours for unit, one in units.items()})
        after = with_stored(there, key, found, refs_of(linked), knowledge)
        # A recovered call is compared with what is remembered: that tells what it dropped only if it was built on that.
        known = view.links.get(key)
        built_on = action != "recovered" or (known is not None and known.etag == etag)
        built_on = built_on and (etag is None or found.etag != etag)  # else somebody may have written in between
        alone = etag if built_on else None
        pairs = settled_by(view, there, after, units, alone, earlier=earlier or action == "recovered")
        dropped = dropped_values(view, there, after, units) if built_on else []

        def work(tx: Tx) -> None:
            tx.links.put(link)
            for verdict in dropped:
                note_losing_value(tx, view, verdict, at)
            learn(tx, view.connection, etag, found.etag, at)
            tx.bases.settle(view.connection, view.plan.id, pairs)
            for one in tx.intents.for_plan(view.connection, view.plan.id):
                if one.id == only or (only is None and (one.kind, one.local_id, one.etag) == (*key, etag)):
                    tx.intents.close(one.id)
            tx.audit.write(
                at=at,
                actor="sync",
                action=action,
                connection=view.connection,
                plan_id=view.plan.id,
                detail={"resource": key[0], "units": len(units)},
            )

        await self._write(work)
        return with_bases(linked, pairs), after

    async def _write(self, fn: Callable[[Tx], T]) -> T:
        """Run one transaction under the lease: a process that lost it writes nothing more."""

        def work(tx: Tx) -> T:
            tx.connections.check_fence(self.context.connection, self.context.fence)
            return fn(tx)

        return await self.context.store.write(work)
