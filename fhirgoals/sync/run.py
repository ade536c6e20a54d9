"""One run over one connection: take its lease, read each linked plan, reconcile those that moved, count what was done.

A plan of which nothing may go there and nothing was sent is not asked for at all. A plan that fails does not stop the
others; it stays marked and the run says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from fhirgoals.domain.units import Json, Unit
from fhirgoals.errors import Bug, InputError, Outdated, Refused, RemoteError
from fhirgoals.fhir.client import EhrClient
from fhirgoals.store.intents import Intent
from fhirgoals.store.marks import DirtyPlan
from fhirgoals.store.threads import AsyncStore
from fhirgoals.store.tx import Tx
from fhirgoals.sync.apply import Writes
from fhirgoals.sync.bundles import with_together
from fhirgoals.sync.changes import Reading, read_plan, with_listings, without_other_plans
from fhirgoals.sync.charts import Charts, care_plans, left_alone
from fhirgoals.sync.context import LEASE_S, Context
from fhirgoals.sync.counts import Counts
from fhirgoals.sync.effects import Effects
from fhirgoals.sync.first import First, first_of, keep
from fhirgoals.sync.guard import so_far, used
from fhirgoals.sync.late import forget_old, noted, with_late
from fhirgoals.sync.looks import earlier, look_again, remember
from fhirgoals.sync.patient import LinkStopsError, check_patient, stands_still, tell
from fhirgoals.sync.planned_file import Noted, Only
from fhirgoals.sync.polls import ask, to_look_at
from fhirgoals.sync.preview import Planned
from fhirgoals.sync.rebase import outdated, rebased
from fhirgoals.sync.reconcile import Outcome, reconcile
from fhirgoals.sync.recover import moved, recover, unsettled
from fhirgoals.sync.refusals import REFUSED_AGAIN
from fhirgoals.sync.release import RELEASE, mark_release, with_release
from fhirgoals.sync.retracting import with_own
from fhirgoals.sync.together import Together
from fhirgoals.sync.unchanged import judged_on, scope_of, unchanged
from fhirgoals.sync.unlink import finish
from fhirgoals.sync.unversioned import watched
from fhirgoals.sync.view import MAPPER_VERSION, View, disclosed, load_view, shown_mark, with_bases

TRIES = 4
"""How often one plan is taken up again in a run where something moved meanwhile (another edit, a lost reply)."""


@dataclass(frozen=True)
class Runner:
    """Runs one connection. `client` talks to its EHR; `owner` is unique to the process and names the lease's holder."""

    store: AsyncStore
    connection: str
    client: EhrClient
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]
    owner: str
    progress: Callable[[int, int], None] = lambda _done, _total: None
    only: Only | None = None
    """What a kept preview allows: `sync` does that alone."""
    charts: Charts = field(default_factory=Charts)

    async def sync(self) -> Counts:
        """Bring all plans and the EHR together; raises `Refused` while another process holds the connection."""
        now = self.clock()
        fence = await self.store.write(lambda tx: tx.connections.acquire(self.connection, self.owner, LEASE_S, now))
        if fence is None:
            raise Refused(f"connection {self.connection} is being worked by another process: wait until it is done")
        context = Context(self.connection, self.store, self.client, fence, self.clock, self.new_id)
        counts = Counts(self.connection)
        try:
            plans = await self.store.read(lambda tx: tx.plans.ids())
            allowed = self.only.plans if self.only is not None else None
            await self.store.read(lambda tx: self.charts.begin(tx, self.connection, allowed))
            if allowed is not None:
                plans = tuple(one for one in plans if one in allowed)
            else:
                plans = await self._to_look_at(context, plans, counts)
            due = {one.plan_id: one for one in await self.store.read(lambda tx: tx.dirty.take(self.connection, now))}
            first = await self.store.read(lambda tx: first_of(tx, self.connection))
            for done, plan_id in enumerate(self.charts.queue(plans, allowed)):
                self.progress(min(done, len(plans)), len(plans))
                if first.holds_back(plan_id) and plan_id not in self.charts.siblings:
                    counts.left_for_later += await self._is_for_there(plan_id)
                    continue
                before = self.client.writes
                await self._one(context, plan_id, due.get(plan_id), counts)
                if first.limit is not None and self.client.writes > before:
                    first = first.with_plan(plan_id)
                    await self._keep(first)
                await self.store.write(lambda tx: tx.connections.renew(self.connection, fence, LEASE_S, self.clock()))
            if first.plans:
                await self._keep(First())
            await self.store.write(lambda tx: used(tx, self.connection, self.clock()))
        finally:
            await self.store.write(lambda tx: tx.connections.release(self.connection, fence))
        counts.requests, counts.writes = self.client.requests, self.client.writes
        return counts

    async def _to_look_at(self, context: Context, plans: tuple[str, ...], counts: Counts) -> tuple[str, ...]:
        """Ask the EHR what changed and return the plans to take up; what waits of the others is counted."""
        try:
            await ask(context)
        except RemoteError as error:
            counts.problems.append(str(error))
        chosen = await self.store.read(lambda tx: to_look_at(tx, self.connection, plans, self.clock()))
        left = set(plans) - set(chosen)
        await self._count_open(left, counts)
        for plan_id in await self.store.read(lambda tx: tx.dirty.marked(self.connection, (RELEASE,))) & left:
            counts.note_release(await self._view(plan_id), context.today())
        return chosen

    async def preview(self, *, stopped: bool = False, whole: bool = False, noted: Noted | None = None) -> Counts:
        """Return what `sync` would do now, without writing anywhere; `noted` keeps it for a file.

        `stopped` adds what the guard keeps it from, `whole` what the first run after arming leaves for later ones.
        """
        counts = Counts(self.connection)
        context = Context(self.connection, self.store, self.client, 0, self.clock, self.new_id)
        before, links, cleared = await self.store.read(lambda tx: so_far(tx, self.connection, self.clock()))
        done = [before]
        first = First() if whole else await self.store.read(lambda tx: first_of(tx, self.connection))
        await self.store.read(lambda tx: self.charts.begin(tx, self.connection))
        for plan_id in self.charts.queue(await self.store.read(lambda tx: tx.plans.ids())):
            if first.holds_back(plan_id) and plan_id not in self.charts.siblings:
                counts.left_for_later += await self._is_for_there(plan_id)
                continue
            view = await self._view(plan_id)
            if await self._nothing_to_do_with(view):
                continue
            patient = view.patient
            if patient is None:
                counts.unlinked += 1
                continue
            counts.note_release(view, context.today())
            pairs = rebased(view, context.today(), await self._waiting(plan_id))
            view, counts.rebased = with_bases(view, pairs), counts.rebased + len(pairs)
            if await stands_still(self.client, view, patient, counts):
                continue
            planned = Planned(self.new_id, done, links, cleared or stopped, context.today)
            view, left = await recover(context, planned.armed(view), planned)
            reading = await self._read(view, patient, counts)
            view, _ = await look_again(context, view, reading, await earlier(context, plan_id))
            effects: Effects = planned if noted is None else noted.of(planned, view)
            outcome = await reconcile(view, reading, effects, self.clock(), unsettled(left))
            counts.add(outcome)
            counts.add_state(outcome)
            first = first.with_plan(plan_id) if outcome.created or outcome.pushed else first
        counts.requests, counts.writes = self.client.requests, 0
        return counts

    async def _keep(self, first: First) -> None:
        at = self.clock()
        await self.store.write(lambda tx: keep(tx, self.connection, first, at))

    async def _is_for_there(self, plan_id: str) -> bool:
        """Tell whether a plan of which nothing was asked now is one that a run looks at."""
        view = await self._view(plan_id)
        return view.patient is not None and not await self._nothing_to_do_with(view)

    async def _rebase(self, view: View, counts: Counts) -> View:
        """Agree anew on what an older mapper read, in one transaction; nothing is sent by that."""
        pairs = rebased(view, self.clock().date(), await self._waiting(view.plan.id))

        def work(tx: Tx) -> None:
            tx.bases.settle(self.connection, view.plan.id, pairs)
            for key in outdated(view):
                tx.links.put(replace(view.links[key], mapper_version=MAPPER_VERSION))

        await self.store.write(work)
        counts.rebased += len(pairs)
        return await self._view(view.plan.id)

    async def _waiting(self, plan_id: str) -> frozenset[Unit]:
        """Return the units of a plan that wait for a person."""
        items = await self.store.read(
            lambda tx: tx.inbox.list(open_only=True, connection=self.connection, plan_id=plan_id)
        )
        return frozenset(Unit(item.owner, item.unit) for item in items if item.owner and item.unit)

    async def _one(self, context: Context, plan_id: str, mark: DirtyPlan | None, counts: Counts) -> None:
        try:
            await self._plan(context, plan_id, mark, counts)
        except LinkStopsError as stop:
            counts.new_items += await tell(context, stop)
            await self._count_open({plan_id}, counts)
        except (RemoteError, InputError, Refused, Bug) as error:  # the other plans go on, while the lease is ours
            await self.store.read(lambda tx: tx.connections.check_fence(self.connection, context.fence))
            counts.fail(plan_id, error)

    async def _plan(self, context: Context, plan_id: str, mark: DirtyPlan | None, counts: Counts) -> None:
        outcome: Outcome | None = None
        gone_before = await earlier(context, plan_id)
        for _ in range(TRIES):
            view = await self._view(plan_id)
            shown = shown_mark(view, self.clock().date())
            if await self._nothing_to_do_with(view):
                await self._left(view)
                break
            patient = view.patient
            if patient is None:
                counts.unlinked += 1
                return
            counts.note_release(view, context.today())
            if view.state != "armed":
                counts.read += (await self._read(view, patient, counts)).read
                return  # reads and counts; the mark stays, and what is due goes once it is armed
            if outdated(view):
                view = await self._rebase(view, counts)
            recovered = bool(view.intents)
            view, left, reading = await self._both_sides(context, view, patient, counts)
            view = await watched(context, view, reading.found)
            view, seen = await look_again(context, view, reading, gone_before)
            shown = judged_on(shown, view, reading)
            as_last_time = await self.store.read(lambda tx: tx.cursors.get(self.connection, scope_of(plan_id))) == shown
            if (
                mark is None
                and self.only is None
                and outcome is None
                and as_last_time
                and not recovered
                and unchanged(view, reading)
            ):
                counts.read += reading.read
                await self._count_open({plan_id}, counts)
                return
            doubted = outcome is not None and outcome.doubt
            await check_patient(self.client, view, patient)
            writes: Effects = Together(context)
            if self.only is not None:
                writes, reading = self.only.of(writes), self.only.born(view, reading)
            await remember(context, view, seen)
            try:
                outcome = await reconcile(view, reading, writes, self.clock(), unsettled(left))
            except Outdated:
                outcome = Outcome(again=True)  # our record moved under what was born there: look again
            counts.add(outcome)
            if not outcome.again or (doubted and outcome.doubt):
                break
        await self._left(view)
        await self._ended(view, mark, outcome, shown, counts)

    async def _both_sides(
        self, context: Context, view: View, patient: str, counts: Counts
    ) -> tuple[View, list[tuple[Intent, str]], Reading]:
        """Return both sides and the calls that stay open: none landed unseen between the look and the reading."""
        if view.intents:
            await check_patient(self.client, view, patient)
        left: list[tuple[Intent, str]] = []
        reading = Reading()
        for _ in range(TRIES):
            if view.intents:
                _, left = await recover(context, view, Writes(context))
                view = await self._view(view.plan.id)
            before, reading = reading.found, await self._read(view, patient, counts)
            if not moved(view, left, reading.found, before):
                break
        return view, left, reading

    async def _left(self, view: View) -> None:
        """Forget who the client was in a chart that nothing of theirs is left in."""
        client = view.plan.client
        if view.leaving and client is not None:
            at = self.clock()
            await self.store.write(lambda tx: finish(tx, self.connection, client.id, at))

    async def _ended(
        self, view: View, mark: DirtyPlan | None, outcome: Outcome | None, shown: Json, counts: Counts
    ) -> None:
        """Count how the plan stands and clear its mark, unless something of it is still to be sent.

        In the same transaction it is marked for the day on which time alone changes what may go there.
        """
        plan_id = view.plan.id
        if outcome is not None:
            counts.add_state(outcome)
            if outcome.again or outcome.later:
                counts.unanswered.append(plan_id)
                if mark is None:
                    await self._mark(plan_id)
                return
        if self.only is not None:
            self.only.ended.add(plan_id)
        if outcome is not None and outcome.left_out:
            return
        now = self.clock()

        def work(tx: Tx) -> None:
            tx.cursors.set(self.connection, scope_of(plan_id), shown, now)
            if outcome is not None and (outcome.failed or outcome.undeletable or outcome.stopped):
                # What was refused or held back is tried again later: the cause may go without any edit.
                refused = outcome.undeletable or "refused" in outcome.failed.values()
                later = now + REFUSED_AGAIN if refused else None
                tx.dirty.mark(plan_id, self.connection, why="held", at=now, not_before=later)
            tx.dirty.mark_day(view.plan, self.connection, now)
            forget_old(tx, self.connection, plan_id, now)
            mark_release(tx, view, now)
            if mark is not None:
                tx.dirty.clear(plan_id, self.connection, mark.upto)

        await self.store.write(work)

    async def _mark(self, plan_id: str) -> None:
        """Mark a plan that is to be taken up again: where changes are asked for, one without a mark is not read."""
        at = self.clock()
        await self.store.write(lambda tx: tx.dirty.mark(plan_id, self.connection, why="held", at=at))

    async def _count_open(self, plans: Collection[str], counts: Counts) -> None:
        """Count what still waits of plans that were not looked into again."""
        items = await self.store.read(lambda tx: tx.inbox.list(open_only=True, connection=self.connection))
        kinds = [item.kind for item in items if item.plan_id in plans]
        counts.conflicts += kinds.count("conflict")
        counts.proposals += kinds.count("proposal")
        counts.held += len(kinds) - kinds.count("conflict") - kinds.count("proposal")

    async def _read(self, view: View, patient: str, counts: Counts) -> Reading:
        whole = await read_plan(self.client, view, patient, self.clock().date())
        reading = await self.store.read(lambda tx: noted(tx, view, without_other_plans(tx, view, whole)))
        if view.unfiled:
            links = await self.store.read(lambda tx: care_plans(tx, view))
            reading = await with_listings(self.client, view, reading, links)
        reading = await with_late(self.client, reading)
        self.charts.note(view, reading, patient, counts)
        return reading

    async def _view(self, plan_id: str) -> View:
        installation = self.store.store.installation

        def load(tx: Tx) -> View:
            view, at = load_view(tx, self.connection, plan_id, installation), self.clock()
            view = with_own(tx, view, at.date())
            view = replace(view, siblings=self.charts.siblings.get(plan_id, ()))
            return with_together(tx, with_release(tx, view, at), at)

        return await self.store.read(load)

    async def _nothing_to_do_with(self, view: View) -> bool:
        """Tell whether nothing of the plan may go there and nothing was ever sent: then nothing is asked either."""
        if view.unfiled:
            return await self.store.read(lambda tx: left_alone(tx, view, self.clock().date()))
        return not view.links and not view.intents and disclosed(view, self.clock().date()).plan is None
