"""Reconciles one plan with one connection: read both sides, decide, apply, until nothing is left (design 5).

The same passes serve `sync` and `preview`: the effects are an argument. Every pass decides anew on what is known then,
so a reply that never came, or an edit that came in between, changes what is done next and never what is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Json, Pair, Unit, units
from fhirgoals.domain.with_units import CannotTake, with_units
from fhirgoals.errors import Outdated
from fhirgoals.sync.bundles import NOTE, groups
from fhirgoals.sync.call import Call, describe
from fhirgoals.sync.calls import Terms, next_pass
from fhirgoals.sync.changes import MAY_BE_OURS_TWICE, Reading, strays, twins
from fhirgoals.sync.connection import TablePolicy
from fhirgoals.sync.decide import PASSING, Decision, Place, Waiting, carriers, decide
from fhirgoals.sync.effects import Effects
from fhirgoals.sync.emptied import asked, unasked, with_emptied
from fhirgoals.sync.gone import NOT_SEEN
from fhirgoals.sync.guard import Stop, tally
from fhirgoals.sync.labelled import with_stricter
from fhirgoals.sync.members import lost_with
from fhirgoals.sync.merge import Action, Seen, Verdict, changed, pair_taken, taken
from fhirgoals.sync.narratives import NAMED_IN_THE_TEXT, still_named
from fhirgoals.sync.newborn import adopt, errors_of, misfiled
from fhirgoals.sync.outcome import Landed, NotLanded, NotPlannedError
from fhirgoals.sync.reading import There
from fhirgoals.sync.recover import MAY_NOT_GO, NOTHING_OPEN, Unsettled
from fhirgoals.sync.retracting import told
from fhirgoals.sync.rows import origin_of
from fhirgoals.sync.subject import with_whose
from fhirgoals.sync.taken_along import taken_along, told_of
from fhirgoals.sync.unfiled import never_sent
from fhirgoals.sync.view import Key, View, ours_of, refs_of, there_of

PASSES = 20
"""Phases of a run, and one more for each goal (a chain of predecessors takes one each); more than that is a bug, and
the plan then stays marked."""


@dataclass
class Outcome:
    """What one run did with one plan."""

    read: int = 0
    created: int = 0
    pushed: int = 0
    pulled: int = 0
    adopted: int = 0
    conflicts: int = 0
    proposals: int = 0
    held: int = 0
    quarantined: int = 0
    new_items: int = 0
    operations: list[dict[str, Json]] = field(default_factory=list)
    again: bool = False
    """Whether the plan must be looked at again: something moved meanwhile, or a reply was lost."""
    doubt: bool = False
    """Whether a call may or may not have landed: it is looked into, and sent again once in a run."""
    later: bool = False
    """Whether the EHR asked to wait or is not to be had: the plan stays marked for the next run."""
    failed: dict[Key, str] = field(default_factory=dict)
    undeletable: set[Key] = field(default_factory=set)
    """Those that the EHR refused to delete: their words are taken out all the same."""
    stopped: bool = False
    """Whether the guard stopped the plan, or a resource is not the patient's: each run looks, until a person acted."""
    left_out: bool = False
    """Whether something was not done because the kept preview that is applied does not name it: it stays to be done."""
    notes: list[str] = field(default_factory=list)
    """What the connection's operator should know of its EHR."""
    retracted: list[dict[str, Json]] = field(default_factory=list)
    """What was taken back: resource, our id, the way, and how many older versions the EHR's history still shows.

    The way `text` is of a resource in whose narrative, written by others, words of it are left; `written_by_others` of
    one out of which something of theirs went along, from activities that its row names: our history keeps it."""


async def reconcile(
    view: View,
    reading: Reading,
    effects: Effects,
    at: datetime,
    open_calls: Unsettled = NOTHING_OPEN,
) -> Outcome:
    """Bring one plan and one connection together as far as policy allows; return what was done.

    `view` and `reading` are both sides as just read, `at` is now, `open_calls` what earlier runs left open. Writes only
    where the connection is armed: otherwise what would be written is left for the preview.
    """
    adoption = adopt(view, reading, at)
    if adoption is not None and adoption.links:
        view = await effects.adopt(view, adoption)
        reading = replace(reading, found={**reading.found, **adoption.found})
    run = _Run(view, there_of(view, reading.found, reading.missing), effects, at.date(), open_calls)
    if adoption is not None:
        run.outcome.adopted = len(adoption.links)
        run.outcome.operations += [
            {"operation": "adopt", "resource": "Goal", "id": one.local_id, "units": []} for one in adoption.links
        ]
        run.left = adoption.left
    run.outcome.failed = {(one.unit, one.owner): one.why for one in open_calls.asked}  # type: ignore[misc]
    run.twins = twins(view, reading)
    run.outcome.read = reading.read
    run.outcome.quarantined = reading.quarantined
    try:
        for _ in range(PASSES + len(view.plan.goals)):
            if not await run.one_pass():
                break
        else:
            run.outcome.later = True
    except Outdated:  # our record moved under what was to be agreed or taken: look again
        run.outcome.again = True
        return run.outcome
    await run.finish(reading)
    return run.outcome


class _Run:
    def __init__(self, view: View, there: There, effects: Effects, today: date, open_calls: Unsettled) -> None:
        self.view = view
        self.there = there
        self.effects = effects
        self.today = today
        self.doubtful = set(open_calls.doubtful)
        self.sent_or_not = set(open_calls.told)
        self.outcome = Outcome()
        self.policy = TablePolicy(view.config.policy)
        self.cannot: dict[Unit, str] = {}
        self.not_planned: set[Key] = set()
        self.decision = Decision()
        self.kept: tuple[Key, ...] = ()
        self.named: set[Key] = set()
        self.stop: Stop | None = None
        self.looked = False
        self.left: Mapping[str, str] = {}
        self.twins: tuple[str, ...] = ()

    def decide(self) -> Decision:
        """Judge everything on what is known now; what could not be taken is held."""
        ours = ours_of(self.view, self.today)
        failed = frozenset(self.outcome.failed) | self.not_planned
        theirs = with_emptied(self.view, self.there, ours)
        decision = decide(ours, theirs, self.view.bases, self.policy, frozenset(self.doubtful), failed)
        if self.view.unfiled:
            decision = never_sent(decision)
        decision = with_stricter(decision, self.view.plan)
        if not self.cannot:
            return decision
        verdicts = dict(decision.verdicts)
        waiting = list(decision.waiting)
        for unit, why in self.cannot.items():
            verdict = verdicts.get(unit)
            if verdict is not None and verdict.action is Action.PULL:
                verdicts[unit] = replace(verdict, action=Action.HOLD, why=why)
                if why == "not_planned":
                    continue  # nobody is asked: an ordinary run takes it over
                seen = verdict.seen
                base = None if seen.pair is None else seen.pair.ours
                waiting.append(Waiting("held", unit.owner, unit.name, why, base, seen.ours, seen.theirs))
        return replace(decision, verdicts=verdicts, waiting=tuple(waiting))

    async def one_pass(self) -> bool:
        """Do the next thing that is to be done; return whether there may be more."""
        for key in self.view.gone_for_good & self.view.links.keys():
            await self._forget(key)
        self.view = replace(self.view, gone_for_good=frozenset())  # what is made anew in this run stays
        self.decision = self.decide()
        if not self.looked and not self.view.leaving:  # who unlinks a client has said so with a reason
            self.looked = True
            self.stop = await self.effects.guard(self.view, tally(self.decision, self.view.plan.id))
        if await self._agree():
            return True
        if self.stop is not None:
            return False
        if await self._pull():
            return True
        if self.view.unfiled:
            return False  # whatever was decided: nothing of this plan is sent
        if self.view.patient is None or self.outcome.again or self.outcome.later:
            return False
        failed = frozenset(self.outcome.failed) | self.not_planned
        view, told_before = self.view, told(self.view, self.there)
        stays = frozenset(self.outcome.undeletable)
        terms = Terms(view.installation, self.view.patient, failed, told_before, view.gone_once, view.narratives, stays)
        ours = ours_of(self.view, self.today)
        following = next_pass(self.decision, ours, self.there, self.view.bases, terms)
        self.outcome.failed.update(dict.fromkeys(following.unwritable, "has_no_wire_form"))
        if following.settled:
            self.view = await self.effects.settle(self.view, following.settled)
        decided = tuple(replace(call, decided=self.today) for call in following.calls)
        for calls in groups(self.view, decided):
            if not self.outcome.again and not self.outcome.later:
                await self._send(calls)
        self.kept = following.kept
        for key in following.forget:
            await self._forget(key)
        return bool(following.calls or following.settled or following.unwritable or following.forget)

    async def _forget(self, key: Key) -> None:
        """Forget a resource of which nothing of ours is left there, with the pairs of what it carried."""
        self.named |= self._still_named()  # nothing of it is known here afterwards
        carried = [u for u, pair in self.view.bases.items() if key in carriers(self.view.plan.id, u, pair.theirs)]
        own = [u for u in self.view.bases if u.owner == key[1] and u not in carried]
        self.view, self.there = await self.effects.deleted(self.view, self.there, key, [*carried, *own])

    async def _agree(self) -> bool:
        """Settle what is equal on both sides and what the policy passes over; nothing of it needs a person."""
        settle, ignore = self.decision.units(Action.SETTLE), self.decision.units(Action.IGNORE)
        pairs = unasked(self.view, self.there, ours_of(self.view, self.today))
        pairs |= {unit: Pair(one.seen.real, one.seen.theirs, self.view.rev) for unit, one in settle.items()}
        for unit, one in ignore.items():
            mine = one.seen.pair.ours if one.seen.pair else one.seen.ours
            pairs[unit] = Pair(mine, one.seen.theirs, one.seen.pair.rev if one.seen.pair else self.view.rev)
        await self.effects.note_history(self.view, list(ignore.values()))
        if pairs:
            self.view = await self.effects.settle(self.view, pairs)
        return bool(pairs)

    async def _pull(self) -> bool:
        pulls = {unit: verdict for unit, verdict in self.decision.units(Action.PULL).items() if unit not in self.cannot}
        if not pulls:
            return False
        plan, accepted = self._taken(pulls)
        if not accepted:
            return True  # every one of them is held now: decide again
        pairs = {unit: pair_taken(pulls[unit].seen) for unit in accepted}
        try:
            losing = [*(pulls[unit] for unit in accepted), *lost_with(accepted, self.decision.units(Action.QUIET))]
            self.view = await self.effects.take(self.view, plan, pairs, losing)
        except NotPlannedError as error:
            self.cannot.update(dict.fromkeys(error.units, "not_planned"))
            self.outcome.left_out = True
            return True
        self.there = there_of(self.view, self.there.found, _missing(self.there))
        self.outcome.pulled += len({unit.owner for unit in accepted})
        self.outcome.operations.append(
            {"operation": "pull", "units": sorted(f"{one.owner}/{one.name}" for one in accepted)}
        )
        return True

    def _taken(self, pulls: Mapping[Unit, Verdict]) -> tuple[Plan, list[Unit]]:
        """Return our record with the EHR's edits in it, one by one; what would break an invariant is held."""
        plan = self.view.plan
        faults = errors_of(plan)
        accepted: list[Unit] = []
        for unit, verdict in sorted(pulls.items(), key=_members_first):
            origin = origin_of(self.view, self.there.found, unit)
            try:
                after = with_units(plan, {unit: taken(verdict.seen)}, origin)
            except CannotTake:
                self.cannot[unit] = "no_place_here"
                continue
            if not errors_of(after) <= faults:
                self.cannot[unit] = "would_break_an_invariant"
                continue
            plan = after
            accepted.append(unit)
        return plan, accepted

    async def _send(self, calls: tuple[Call, ...]) -> None:
        # Before the call: after it, nothing would know any more what it is about to overwrite.
        lost = [(call, self._lost_by(call)) for call in calls]
        if len(calls) == 1:
            await self.effects.note_history(self.view, lost[0][1])
            self.view, self.there, result = await self.effects.send(self.view, self.there, calls[0])
            results = [result]
        else:
            self.view, self.there, results = await self.effects.send_together(self.view, self.there, lost)
            if not self.view.together:
                self.outcome.notes.append(NOTE)
        for (call, kept), one in zip(lost, results, strict=True):
            await self._sent(call, one)
            if isinstance(one, Landed):
                self.outcome.retracted.extend(told_of(call, kept, one.left))

    async def _sent(self, call: Call, result: Landed | NotLanded) -> None:
        """Note what became of a call."""
        if isinstance(result, Landed):
            self.doubtful.discard(call.key)
            self.sent_or_not.discard(call.key)
        match result:
            case Landed(left=left) if call.way != "write":
                await self._took_back(call, left)
            case Landed(left=left):
                if call.unsays:
                    self._took_out(call, left)
                self.outcome.created += call.creates
                self.outcome.pushed += not call.creates
                self.outcome.operations.extend(describe([call]))
                if call.creates:
                    self.there = replace(self.there, refs=refs_of(self.view))
            case NotLanded(why="refused") if call.way == "delete":
                self.outcome.undeletable.add(call.key)  # its words can go all the same
            case NotLanded(why="refused" | "would_not_be_valid" | "several" | "other_patient" | "not_there"):
                self.outcome.failed[call.key] = result.why
            case NotLanded(why="not_planned"):
                self.not_planned.add(call.key)
                self.outcome.left_out = True
            case NotLanded(why="later"):
                self.outcome.later = True
            case NotLanded(why="doubt"):
                self.outcome.again = self.outcome.doubt = True
            case NotLanded():
                self.outcome.again = True

    def _lost_by(self, call: Call) -> list[Verdict]:
        """Return the EHR's values that a call is about to overwrite: they stay in the history here."""
        along = taken_along(call, self.there, self.view.bases)
        if not call.takes_back:
            return [*self._overruled(call), *along]
        values, carried = self.there.theirs.assembled.values, list(call.units)
        whole = []
        if call.way == "delete":  # all of it goes, what others wrote in it too: it is kept whole as well
            carried = [u for u, value in values.items() if call.key in carriers(self.view.plan.id, u, value)]
            whole = [Verdict(Seen(Unit(call.local_id, ""), None, None, call.before), Action.IGNORE, "taken_back")]
        seen = (Seen(unit, self.view.bases.get(unit), None, values.get(unit)) for unit in carried)
        return [*whole, *along, *(Verdict(one, Action.IGNORE, "taken_back") for one in seen if changed(one)[1])]

    async def _took_back(self, call: Call, left: int | None) -> None:
        """Note what was taken back."""
        self.outcome.pushed += 1
        self.outcome.operations.extend(describe([call]))
        if not call.takes_back:
            self._took_out(call, left)
            return
        way = self.view.config.retract
        if way == "delete" and call.way == "withdraw":  # something refers to it still, or the EHR refuses to delete it
            way = "blank"
        self.outcome.retracted.append({"resource": call.kind, "id": call.local_id, "way": way, "versions_left": left})

    def _still_named(self) -> set[Key]:
        """Return the resources whose narrative, which is not ours to write, still says what was taken back."""
        return still_named(ours_of(self.view, self.today), units(self.view.plan), self.there)

    def _took_out(self, call: Call, left: int | None) -> None:
        """Note that references to what may no longer be seen were taken out; older versions still have them."""
        row = {"resource": call.kind, "id": call.local_id, "way": "references", "versions_left": left}
        self.outcome.retracted.append(row)

    def _overruled(self, call: Call) -> list[Verdict]:
        """Return what the EHR changed and policy does not take."""
        return [
            verdict
            for unit, verdict in self.decision.verdicts.items()
            if unit in call.units and verdict.why == "policy_ours"
        ]

    async def finish(self, reading: Reading) -> None:
        """Raise what waits for a person and count it."""
        if not (self.outcome.again or self.outcome.later):  # else its turn may still come
            self.named |= self._still_named()
        named = sorted(self.named)
        if self.outcome.retracted:
            rows = ({"resource": kind, "id": one, "way": "text", "versions_left": None} for kind, one in named)
            self.outcome.retracted.extend(rows)
        waiting = [
            *with_whose(self.decision.waiting, reading.astray),
            *(Waiting("held", local_id, kind, why) for (kind, local_id), why in self.outcome.failed.items()),
            *(Waiting("held", local_id, kind, "refused") for kind, local_id in sorted(self.outcome.undeletable)),
            *(Waiting("held", local_id, kind, MAY_NOT_GO) for kind, local_id in sorted(self.sent_or_not)),
            *strays(self.view, reading),
            *(Waiting("identity", self.view.plan.id, one, MAY_BE_OURS_TWICE) for one in self.twins),
            *(Waiting("retract", local_id, kind, NAMED_IN_THE_TEXT) for kind, local_id in named),
            *(Waiting("held", local_id, kind, "was_not_taken_back") for kind, local_id in self.kept),
            *asked(self.view, self.there, ours_of(self.view, self.today)),
            *(Waiting("retract", local_id, kind, NOT_SEEN) for kind, local_id in sorted(self.view.gone_once)),
            *(Waiting("held", self.view.plan.id, f"Goal/{one}", why) for one, why in self.left.items()),
            *(Waiting("held", goal, "", why) for goal, why in misfiled(self.view, reading)),
        ]
        if self.stop is not None:
            waiting.append(Waiting("guard", self.view.plan.id, "", self.stop.why))
        # It may be given back as it was last seen: nothing but a look tells.
        self.outcome.stopped = self.stop is not None or bool(reading.astray)
        undeliverable = list(self.decision.units(Action.UNDELIVERABLE).values())
        await self.effects.note_undeliverable(self.view, undeliverable)
        found = {**reading.found, **self.there.found}
        not_judged = [unit for unit, one in self.decision.units(Action.HOLD).items() if one.why in PASSING]
        self.outcome.new_items, _ = await self.effects.finish(self.view, found, waiting, not_judged)
        kinds = [one.kind for one in waiting]
        self.outcome.conflicts = kinds.count("conflict")
        self.outcome.proposals = kinds.count("proposal")
        self.outcome.held = len(kinds) - self.outcome.conflicts - self.outcome.proposals


def _members_first(pull: tuple[Unit, Verdict]) -> bool:
    """Sort the members of a keyed set before what is said of them: a step's words have no place before the step."""
    return pull[0].family not in ("steps", "membership")


def _missing(there: There) -> dict[Key, Place]:
    return {key: place for key, place in there.theirs.places.items() if key not in there.found}
