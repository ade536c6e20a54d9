"""The effects of a preview: every pass is played through on values, and nothing is written anywhere.

A server that stores what it is sent is assumed; what a real one makes of it is seen when it is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from uuid import UUID

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Pair, Unit, touched
from fhirgoals.store.intents import Intent
from fhirgoals.store.links import Link
from fhirgoals.sync.call import Call, Sent
from fhirgoals.sync.decide import Waiting
from fhirgoals.sync.guard import Stop, Tally, stops
from fhirgoals.sync.merge import Verdict
from fhirgoals.sync.newborn import Adoption, adopted
from fhirgoals.sync.outcome import Landed, NotLanded, of_patient, repeated, settled_by, would_not_be_valid
from fhirgoals.sync.reading import Found, There, with_stored, without
from fhirgoals.sync.recover import IN_DOUBT, MAY_NOT_GO
from fhirgoals.sync.view import Key, View, knowledge_of, refs_of, with_bases, with_link, with_plan, without_link


@dataclass(frozen=True)
class Planned:
    """Notes instead of writing; `new_id` gives the ids that a server would give."""

    new_id: Callable[[], UUID]
    done: list[Tally] = field(default_factory=list)
    links: int = 0
    cleared: bool = True
    today: Callable[[], date] = lambda: datetime.now(UTC).date()

    def armed(self, view: View) -> View:
        """Return the view as if the connection were armed: a preview shows what arming would write."""
        return replace(view, state="armed")

    async def guard(self, _view: View, planned: Tally) -> Stop | None:
        """Tell whether the guard would stop this plan after those before it."""
        if not planned or self.cleared:
            return None
        stop = stops(planned, sum(self.done, start=Tally()), self.links)
        if stop is None:
            self.done.append(planned)
        return stop

    async def settle(self, view: View, pairs: Mapping[Unit, Pair]) -> View:
        """Note agreed pairs in the view."""
        return with_bases(view, pairs)

    async def adopt(self, view: View, adoption: Adoption) -> View:
        """Note goals that were born there."""
        return adopted(view, adoption, view.rev + 1)

    async def take(self, view: View, plan: Plan, pairs: Mapping[Unit, Pair], _verdicts: list[Verdict]) -> View:
        """Note the EHR's edits in the view."""
        rev = view.rev + 1
        settled = {unit: Pair(pair.ours, pair.theirs, rev) for unit, pair in pairs.items()}
        return with_bases(with_plan(view, plan, rev, touched(view.plan, plan)), settled)

    async def send(self, view: View, there: There, call: Call) -> tuple[View, There, Landed | NotLanded]:
        """Take the call as stored as it is."""
        if would_not_be_valid(call):
            return view, there, NotLanded("would_not_be_valid")
        if not of_patient(view, call):
            return view, there, NotLanded("other_patient")
        if call.way == "delete":
            view, there = await self.deleted(view, there, call.key, call.units)
            return view, there, Landed()
        found = Found(call.resource_id or str(self.new_id()), call.body, call.etag)
        view, there = await self.landed(view, there, call.key, found, call.units, "push", call.etag)
        return view, there, Landed()

    async def send_together(
        self, view: View, there: There, calls: Sequence[tuple[Call, list[Verdict]]]
    ) -> tuple[View, There, list[Landed | NotLanded]]:
        """Take each call as stored as it is."""
        results = []
        for call, _ in calls:
            view, there, result = await self.send(view, there, call)
            results.append(result)
        return view, there, results

    async def deleted(self, view: View, there: There, key: Key, units: Collection[Unit]) -> tuple[View, There]:
        """Note a delete."""
        after = without_link(view, key, units)
        return after, without(there, key, refs_of(after), knowledge_of(after))

    async def repeat(
        self, view: View, there: There, intent: Intent, current: Found, then: Plan | None
    ) -> tuple[View, There, str | None]:
        """Take a call in doubt as sent again and stored."""
        call = repeated(view, intent, current, then, self.today())
        if call is None or not of_patient(view, call):
            return view, there, MAY_NOT_GO
        view, there, result = await self.send(view, there, call)
        return view, there, None if isinstance(result, Landed) else IN_DOUBT

    async def not_there(self, _view: View, _intent: Intent) -> None:
        """Nothing to clear."""

    async def close_intent(self, _intent_id: str) -> None:
        """Nothing to clear."""

    async def landed(
        self,
        view: View,
        there: There,
        key: Key,
        found: Found,
        units: Mapping[Unit, Sent],
        _action: str,
        _etag: str | None,
        *,
        only: str | None = None,
    ) -> tuple[View, There]:
        """Note a call that landed."""
        link = Link(
            connection=view.connection,
            kind=key[0],
            local_id=key[1],
            plan_id=view.plan.id,
            resource_id=found.resource_id,
            seen_at=datetime.now(UTC),
        )
        linked = with_link(view, link)
        knowledge = replace(knowledge_of(linked), sent={unit: one.ours for unit, one in units.items()})
        after = with_stored(there, key, found, refs_of(linked), knowledge)
        return with_bases(linked, settled_by(view, there, after, units, None, earlier=True)), after

    async def note_history(self, _view: View, _verdicts: list[Verdict]) -> None:
        """Nothing to keep."""

    async def note_undeliverable(self, _view: View, _verdicts: list[Verdict]) -> None:
        """Nothing to keep."""

    async def finish(
        self, _view: View, _found: Mapping[Key, Found], waiting: list[Waiting], _not_judged: Collection[Unit]
    ) -> tuple[int, int]:
        """Count what would wait."""
        return len(waiting), len(waiting)
