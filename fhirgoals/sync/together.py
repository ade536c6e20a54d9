"""Sends the calls of one phase as one transaction, where the EHR does such all or nothing (design 5.7).

Each call keeps its own intent, operation id and condition, so whatever is not known of the whole is found out call by
call, as without a Bundle: `recover` repeats one alone, and once it landed the Bundle, should it come late, can't any
more: one of its ETags has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar, cast

from fhirgoals.errors import Outdated, Refused
from fhirgoals.fhir.answers import Answer, Forbidden, NotSent, Stale, Stored, Throttled, Transient, Unauthorised
from fhirgoals.fhir.answers import Refused as RefusedAnswer
from fhirgoals.fhir.transaction import Entry, answers_of, is_all_or_nothing, named_by
from fhirgoals.store.intents import Intent
from fhirgoals.store.tx import Tx
from fhirgoals.sync.apply import Writes
from fhirgoals.sync.bundles import learn_halves, learn_refused
from fhirgoals.sync.call import Call
from fhirgoals.sync.merge import Verdict
from fhirgoals.sync.outcome import Landed, NotLanded
from fhirgoals.sync.reading import There
from fhirgoals.sync.refusals import note_refusal
from fhirgoals.sync.sender import send_bundle
from fhirgoals.sync.view import Key, View

T = TypeVar("T")

Result: TypeAlias = Landed | NotLanded
Results: TypeAlias = dict[Key, Result]
Opened: TypeAlias = list[tuple[Call, Intent]]

NOT_OFFERED = frozenset({404, 405, 501})
"""What a server answers that knows no POST at its base address."""


class Together(Writes):
    """The effects of a run, with transactions."""

    async def send_together(
        self, view: View, there: There, calls: Sequence[tuple[Call, list[Verdict]]]
    ) -> tuple[View, There, list[Result]]:
        """Send calls as one and settle what each carried; `calls` with the values of theirs that each overwrites."""
        await self.note_history(view, [verdict for _, lost in calls for verdict in lost])
        results: Results = {call.key: no for call, _ in calls if (no := self._never(view, call)) is not None}
        opened = await self._open_all(view, [call for call, _ in calls if call.key not in results], results)
        while opened:
            view, there, opened = await self._as_one(view, there, opened, results)
        return view, there, [results[call.key] for call, _ in calls]

    async def _open_all(self, view: View, calls: list[Call], results: Results) -> Opened:
        """tx1: one intent per call, all of them or none."""
        new = [self._intent(view, call) for call in calls]

        def work(tx: Tx) -> list[Intent | None]:
            return [self._open(tx, view, call, intent) for call, intent in zip(calls, new, strict=True)]

        opened: Opened = []
        try:
            intents = await self._write(work)
        except (Outdated, Refused):
            results.update({call.key: NotLanded("stopped") for call in calls})
            return opened
        for call, intent, own in zip(calls, intents, new, strict=True):
            if intent is None:
                results[call.key] = NotLanded("refused")
            elif intent.id != own.id and not await self._was_kept_back(view, call, intent):
                results[call.key] = NotLanded("doubt")
            else:
                opened.append((call, intent))
        return opened

    async def _as_one(self, view: View, there: There, opened: Opened, results: Results) -> tuple[View, There, Opened]:
        """Send what is open as one; return what is left of it to be sent as one again."""
        if len(opened) == 1 or not view.together:
            view, there = await self._alone(view, there, opened, results)
            return view, there, []
        entries, answer = await send_bundle(self.context, view, opened)
        match answer:
            case Stored():
                view, there = await self._settled(view, there, opened, entries, answer, results)
            case RefusedAnswer(issues=issues) if 0 < len(named := named_by(issues)) < len(opened):
                bad = [one for place, one in enumerate(opened) if place in named]
                await self._not_taken(view, bad, "refused", results)
                return view, there, [one for one in opened if one not in bad]
            case Stale() | Forbidden() | RefusedAnswer():
                # Nothing of it was done. Which call was the cause shows when they go one by one, under the same ids.
                if isinstance(answer, RefusedAnswer) and answer.status in NOT_OFFERED:
                    at, status = self.context.clock(), answer.status
                    await self._write(lambda tx: learn_refused(tx, view, status, at))
                    view = replace(view, together=False)
                view, there = await self._alone(view, there, opened, results)
            case NotSent() | Throttled() | Transient() | Unauthorised():
                await self._not_taken(view, opened, "stopped" if isinstance(answer, NotSent) else "later", results)
            case _:
                results.update({call.key: NotLanded("doubt") for call, _ in opened})
        return view, there, []

    async def _alone(self, view: View, there: There, opened: Opened, results: Results) -> tuple[View, There]:
        later = False
        for call, intent in opened:
            if later:
                # Its Bundle was refused; should that server have kept a part all the same, the intent finds it.
                results[call.key] = NotLanded("later")
                continue
            view, there, result = await self._go(view, there, call, intent, first=True)
            results[call.key] = result
            later = isinstance(result, NotLanded) and result.why in ("later", "stopped")
        return view, there

    async def _not_taken(self, view: View, opened: Opened, why: str, results: Results) -> None:
        """Close calls that surely were not stored."""
        at = self.context.clock()

        def work(tx: Tx) -> None:
            for _, intent in opened:
                if why == "refused":
                    note_refusal(tx, view, intent, at)
                tx.intents.close(intent.id)

        await self._write(work)
        results.update({call.key: NotLanded(why) for call, _ in opened})  # type: ignore[arg-type]

    async def _settled(
        self, view: View, there: There, opened: Opened, entries: Sequence[Entry], answer: Stored, results: Results
    ) -> tuple[View, There]:
        """tx2: each call as its own reply would have settled it, all in one transaction."""
        tree = answer.tree
        answers = None if tree is None else answers_of(entries, tree, now=self.context.clock())
        if tree is None or answers is None:
            results.update({call.key: NotLanded("doubt") for call, _ in opened})
            return view, there
        gathered = _Gathered(self)
        if not is_all_or_nothing(tree):
            at, then = self.context.clock(), view
            await gathered.add(lambda tx: learn_halves(tx, then, at))
            view = replace(view, together=False)
        for (call, intent), one in zip(opened, answers, strict=True):
            whole = await self._with_etag(call, one)
            view, there, results[call.key] = await gathered.answered(view, there, call, intent, whole)
        await self._write(gathered.all)
        return view, there

    async def _with_etag(self, call: Call, answer: Answer) -> Answer:
        """Return an entry's answer with the ETag that the server shows of that version, where the Bundle has none."""
        resource_id = call.resource_id or (answer.resource_id if isinstance(answer, Stored) else None)
        if not isinstance(answer, Stored) or answer.etag_source == "header" or resource_id is None:
            return answer
        read = await self.context.client.read(call.kind, resource_id)
        if not isinstance(read, Stored) or read.etag_source != "header" or read.version != answer.version:
            return answer
        return replace(answer, tree=read.tree, etag=read.etag, etag_source="header")


class _Gathered(Writes):
    """Writes whose transactions are gathered, to be carried out as one."""

    def __init__(self, writes: Writes) -> None:
        super().__init__(writes.context)
        self._works: list[Callable[[Tx], object]] = []

    async def answered(
        self, view: View, there: There, call: Call, intent: Intent, answer: Answer
    ) -> tuple[View, There, Result]:
        """Settle one call, as `Writes` does, but for its transaction."""
        return await self._answered(view, there, call, intent, answer, first=True)

    async def add(self, fn: Callable[[Tx], None]) -> None:
        """Add a transaction."""
        await self._write(fn)

    def all(self, tx: Tx) -> None:
        """Carry out everything."""
        for work in self._works:
            work(tx)

    async def _write(self, fn: Callable[[Tx], T]) -> T:
        self._works.append(fn)
        return cast("T", None)  # nothing that settles a call looks at what its transaction returns
