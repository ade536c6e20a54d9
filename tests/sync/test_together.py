"""A phase as one transaction: what holds of each of its calls, whatever becomes of the whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec
import pytest

from fhirgoals.errors import ConfigurationError
from fhirgoals.fhir.exact_json import Resource, dumps, loads
from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.mappers import stamp
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sandbox.variants import VARIANTS
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.bundles import AGAIN, ONE_BY_ONE
from fhirgoals.sync.connection import config_of
from fhirgoals.sync.first import First, keep
from fhirgoals.sync.run import Runner
from fhirgoals.sync.versions import trusted
from tests.sync.test_planned_file import applied, kept, left
from tests.sync.test_run import PLAN, put_priority, quiet, started
from tests.sync.world import BASE, World, example, text_of, withhold, world

T = TypeVar("T")
Answer = Reply | Failure

TEXTS = {"g-sleep": "Up by seven", "g-social": "See a friend", "g-ba": "Plan walks"}


@dataclass
class Wire:
    """The network of a world: what was sent, and what a test makes of a Bundle on its way."""

    inner: Any
    on_bundle: Callable[[Request], Awaitable[Answer | None]] | None = None
    sent: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        if self.on_bundle is not None and is_bundle(request):
            answer = await self.on_bundle(request)
            if answer is not None:
                return answer
        return cast("Answer", await self.inner.send(request))

    def writes(self) -> list[str]:
        """Return the writes since the last time: a Bundle by its number of entries, others by their method."""
        found = [
            f"{len(entries(one))}" if is_bundle(one) else one.method
            for one in self.sent
            if one.method != "GET" and not one.url.endswith("_search")
        ]
        self.sent.clear()
        return found

    def bundles(self) -> list[list[dict[str, Any]]]:
        return [entries(one) for one in self.sent if is_bundle(one)]


def is_bundle(request: Request) -> bool:
    return request.method == "POST" and request.url == BASE


def entries(request: Request) -> list[dict[str, Any]]:
    tree: Any = loads(request.body or b"")
    return list(tree["entry"])


@contextmanager
def opened(knobs: Knobs | None = None, **config: object) -> Iterator[tuple[World, Wire]]:
    with world(knobs, **{"transactions": "atomic", **config}) as here:
        wire = Wire(here.http)
        here.http = cast("Any", wire)
        yield here, wire


async def edited(here: World, **texts: str) -> None:
    """Change the texts of goals here, in one revision."""
    plan = await here.plan(PLAN)
    wanted = texts or TEXTS
    names = {name.replace("_", "-"): text for name, text in wanted.items()}
    goals = [msgspec.structs.replace(one, text=names.get(one.id, one.text)) for one in plan.goals]
    await here.put(msgspec.structs.replace(plan, goals=tuple(goals)))


async def texts_there(here: World) -> set[str]:
    return set(here.goals()) & set(TEXTS.values())


async def resource_id(here: World, goal: str) -> str:
    link = await here.store.read(lambda tx: tx.links.get("ehr-main", "Goal", goal))
    assert link is not None
    return str(link.resource_id)


async def told(here: World) -> int:
    """Return how often the audit says that a server takes no transactions."""
    rows = await here.store.read(lambda tx: tx.audit.list(connection="ehr-main"))
    return [row.action for row in rows].count(ONE_BY_ONE)


async def open_calls(here: World) -> int:
    return len(await here.store.read(lambda tx: tx.intents.all_open("ehr-main")))


def everything(here: World) -> list[Any]:
    """Return what stands there, but for ids and what refers to them."""
    goals = here.goals().values()
    [care_plan] = here.care_plans()
    return [sorted(map(text_of, goals)), len(care_plan["goal"]), len(care_plan["activity"])]


# -- as one ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create", ["if_none_exist", "client_id"])
async def test_a_phase_is_one_request_and_each_entry_one_write(create: str) -> None:
    """What stands there is what single calls make of it, counted alike; goals need one Bundle per level of the tree."""
    with world(create=create) as alone:
        await alone.add_connection()
        await alone.put(example("01"))
        await alone.know_people(example("01"))
        single = await alone.sync()
        expected = everything(alone)
    with opened(create=create) as (here, wire):
        await here.add_connection()
        await here.put(example("01"))
        await here.know_people(example("01"))
        wire.sent.clear()
        planned = await here.runner().preview()
        assert wire.writes() == []
        counts = await here.sync()
        assert (counts.created, counts.writes) == (single.created, single.writes) == (15, 15)
        assert counts.operations == planned.operations
        assert counts.notes == []
        assert everything(here) == expected
        writes = wire.writes()
        # A create under an id of ours goes alone: in a Bundle HAPI and Medplum overwrite what is there already.
        assert len(writes) == 15 if create == "client_id" else len(writes) < 6
        assert sum(int(one) if one.isdecimal() else 1 for one in writes) == 15
        await edited(here)
        assert (await here.sync()).pushed == 3
        assert wire.writes() == ["3"]
        await quiet(here)


async def test_each_call_has_its_condition_its_intent_and_its_operation_id() -> None:
    """While the Bundle is under way every one of its calls is open and marked as sent, under an id of its own."""
    with opened(operation_id_kept=True) as (here, wire):
        await started(here)
        await edited(here)
        seen: list[Any] = []

        async def look(_request: Request) -> None:
            seen.extend(await here.store.read(lambda tx: tx.intents.all_open("ehr-main")))

        wire.on_bundle = look
        wire.sent.clear()
        await here.sync()
        [sent] = wire.bundles()
        assert {one["request"]["ifMatch"] for one in sent} == {'W/"1"'}
        assert {one.local_id for one in seen} == set(TEXTS)
        assert all(one.sent_at is not None and one.state == "doubtful" for one in seen)
        there = {stamp.operation_id(here.goals()[text]) for text in TEXTS.values()}
        assert there == {one.id for one in seen}
        assert await open_calls(here) == 0


async def test_the_settling_of_a_bundle_is_one_transaction() -> None:
    """At no moment are some of its calls settled and others not."""
    with opened() as (here, _):
        await started(here)
        await edited(here)
        store = Watched(here.store, lambda tx: len(tx.intents.all_open("ehr-main")))
        await Runner(store, "ehr-main", here.client(), here.clock, here.new_id, "test").sync()
        assert set(store.seen) == {0, 3}


@pytest.mark.parametrize("change", ["withhold", "pause", "edit"])
async def test_one_that_may_no_longer_go_keeps_the_whole_back(change: str) -> None:
    """Between the intents and the request something of one goal changes: nothing is sent, then what still may go."""
    with opened() as (here, wire):
        await started(here)
        await edited(here)

        async def act() -> None:
            match change:
                case "withhold":
                    await withhold(here, PLAN, "g-ba")
                case "pause":
                    at = here.clock()
                    await here.store.write(
                        lambda tx: tx.connections.set_state("ehr-main", "paused", by="it-1", reason="test", at=at)
                    )
                case _:
                    await here.edit(PLAN, "g-ba", text="Plan two walks")

        store = Watched(here.store, lambda tx: len(tx.intents.all_open("ehr-main")), {3: act})
        wire.sent.clear()
        await Runner(store, "ehr-main", here.client(), here.clock, here.new_id, "test").sync()
        [*_, last] = store.seen
        assert last == 0
        assert all("Plan walks" not in str(one) for bundle in wire.bundles() for one in bundle) or change == "edit"
        there = set(here.goals())
        assert {"Up by seven", "See a friend"} <= there or change == "pause"
        assert not there & {"Plan walks"}
        assert ("Plan two walks" in there) is (change == "edit")


class Watched(AsyncStore):
    """A store that notes something after each write, and lets a test act the first time that it has a value."""

    def __init__(
        self,
        inner: AsyncStore,
        look: Callable[[Any], int],
        acts: dict[int, Callable[[], Awaitable[None]]] | None = None,
    ) -> None:
        self.inner = inner
        self.store = inner.store
        self.look = look
        self.acts = acts or {}
        self.seen: list[int] = []

    async def write(self, fn: Callable[[Any], T]) -> T:
        result = await self.inner.write(fn)
        self.seen.append(await self.inner.read(self.look))
        act = self.acts.pop(self.seen[-1], None)
        if act is not None:
            await act()
        return result

    async def read(self, fn: Callable[[Any], T]) -> T:
        return await self.inner.read(fn)


async def test_at_most_fifty_go_at_once() -> None:
    """Sixty goals are two Bundles."""
    with opened() as (here, wire):
        plan = example("05")
        many = [
            msgspec.structs.replace(plan.goals[0], id=f"h-{n}", parent=None, steps=(), text=f"Goal {n}")
            for n in range(60)
        ]
        await here.add_connection()
        await here.put(msgspec.structs.replace(plan, goals=tuple(many)))
        await here.know_people(plan)
        wire.sent.clear()
        await here.sync()
        assert wire.writes() == ["50", "10", "POST"]
        assert len(here.goals()) == 60


async def test_deletes_go_alone() -> None:
    """What is deleted there is looked at right before, so it is in no Bundle."""
    with opened(retract="delete") as (here, wire):
        await started(here)
        await withhold(here, PLAN, "g-sleep", "g-ba")
        wire.sent.clear()
        await here.sync()
        assert wire.writes().count("DELETE") >= 2
        assert not any(one["request"]["method"] == "DELETE" for bundle in wire.bundles() for one in bundle)
        await quiet(here)


@pytest.mark.parametrize("retract", ["blank", "entered_in_error", "delete", "leave"])
async def test_what_is_taken_back_is_what_single_calls_take_back(retract: str) -> None:
    """The report and what is left there are the same."""
    reports = []
    for transactions in ("none", "atomic"):
        with opened(retract=retract, transactions=transactions) as (here, _):
            await started(here)
            await withhold(here, PLAN, "g-sleep", "g-ba")
            counts = await here.sync()
            key = lambda one: (one["resource"], one["id"])  # noqa: E731
            reports.append((sorted(counts.retracted, key=key), counts.writes, everything(here)))
            await quiet(here)
    assert reports[0] == reports[1]


# -- no reply ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept_id", [False, True])
async def test_a_lost_reply_leaves_every_call_in_doubt_and_each_is_found(kept_id: bool) -> None:
    """The Bundle landed: nothing is sent again, and an edit that came since is not gone over."""
    with opened(operation_id_kept=kept_id) as (here, wire):
        await started(here)
        await edited(here)

        async def lose(request: Request) -> Answer:
            wire.on_bundle = None
            await wire.inner.send(request)
            id_ = await resource_id(here, "g-sleep")
            here.change("Goal", id_, lambda tree: put_priority(tree, "low"))
            return Failure("reset", sent=True)

        wire.on_bundle = lose
        wire.sent.clear()
        counts = await here.sync()
        assert counts.unanswered == []
        assert wire.writes() == ["3"]
        assert await texts_there(here) == set(TEXTS.values())
        assert (await here.plan(PLAN)).goal("g-sleep").priority == "low"
        assert await open_calls(here) == 0
        await quiet(here)


async def test_a_bundle_that_never_came_is_sent_again_call_by_call() -> None:
    """Each with its own If-Match; should the Bundle come late after the first of them, it can't land any more."""
    with opened() as (here, wire):
        await started(here)
        await edited(here)
        late: list[Request] = []

        async def hold(request: Request) -> Answer:
            late.append(request)
            return Failure("timeout", sent=True)

        wire.on_bundle = hold
        wire.sent.clear()
        await here.sync()
        assert wire.writes() == ["3", "PUT", "PUT", "PUT"]
        assert await texts_there(here) == set(TEXTS.values())
        versions = len(here.sandbox.storage.versions())
        [request] = late
        assert (await wire.inner.send(request)).status == 412
        assert len(here.sandbox.storage.versions()) == versions
        await quiet(here)


async def test_creates_of_a_lost_bundle_are_found_or_made_once() -> None:
    """Whether the Bundle landed or came late: each goal stands there once."""
    for lands in (True, False):
        with opened() as (here, wire):
            await here.add_connection()
            await here.put(example("01"))
            await here.know_people(example("01"))
            late: list[Request] = []

            async def lose(
                request: Request, late: list[Request] = late, wire: Wire = wire, lands: bool = lands
            ) -> Answer:
                wire.on_bundle = None
                late.append(request)
                if lands:
                    await wire.inner.send(request)
                return Failure("timeout", sent=True)

            wire.on_bundle = lose
            await here.sync()
            await wire.inner.send(late[0])
            assert len(here.sandbox.storage.resources("Goal")) == len(here.goals()) == 14
            await quiet(here)


@pytest.mark.parametrize("reply", ["nothing", "fewer", "an outcome", "503", "500"])
async def test_a_reply_that_does_not_tell_leaves_doubt(reply: str) -> None:
    """Neither taken for done nor sent again as it is: found out."""
    with opened() as (here, wire):
        await started(here)
        await edited(here)

        async def blur(request: Request) -> Answer:
            wire.on_bundle = None
            real = cast("Reply", await wire.inner.send(request))
            tree: Any = loads(real.body)
            match reply:
                case "nothing":
                    return Reply(200)
                case "fewer":
                    return Reply(200, {}, dumps({**tree, "entry": tree["entry"][1:]}))
                case "an outcome":
                    outcome: Resource = {"resourceType": "OperationOutcome", "issue": []}
                    return Reply(200, {}, dumps(outcome))
                case _:
                    return Reply(int(reply))

        wire.on_bundle = blur
        wire.sent.clear()
        await here.sync()
        assert wire.writes() == ["3"]
        assert await texts_there(here) == set(TEXTS.values())
        await quiet(here)


@pytest.mark.parametrize("status", [429, 401])
async def test_a_server_that_asks_to_wait_is_asked_later(status: int) -> None:
    """Nothing is left open, nothing sent otherwise, and the next run does it."""
    with opened() as (here, wire):
        await started(here)
        await edited(here)

        async def wait(_request: Request) -> Answer:
            return Reply(status)

        wire.on_bundle = wait
        wire.sent.clear()
        counts = await here.sync()
        assert counts.unanswered == [PLAN]
        assert set(wire.writes()) == {"3"}
        assert await open_calls(here) == 0
        wire.on_bundle = None
        await here.sync()
        assert wire.writes() == ["3"]
        await quiet(here)


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "writes"), [(True, ["3", "2"]), (False, ["3", "PUT", "PUT", "PUT"])], ids=["named", "unnamed"]
)
async def test_one_that_is_refused_does_not_keep_back_the_others(named: bool, writes: list[str]) -> None:
    """It is held; where the server does not say which it was, they go one by one. An hour long it stays out."""
    with opened() as (here, wire):
        await started(here)
        here.sandbox.knobs = Knobs(refuse_fields=("Goal.statusReason",), unnamed_entries=not named)
        await edited(here)
        await here.edit(PLAN, "g-ba", status_reason="not now", lifecycle="on_hold")
        wire.sent.clear()
        counts = await here.sync()
        assert wire.writes() == writes
        assert await texts_there(here) == set(TEXTS.values()) - {"Plan walks"}
        assert counts.held == 1
        assert ("held", "g-ba", "Goal") in await here.inbox()
        assert counts.notes == []
        await edited(here, g_sleep="Up by six", g_social="See two")
        wire.sent.clear()
        await here.sync()
        assert wire.writes() == ["2"]


@pytest.mark.parametrize("knobs", [Knobs(), Knobs(stale_status=409, unnamed_entries=True)], ids=["412", "409"])
async def test_an_edit_that_came_in_between_is_seen_and_kept(knobs: Knobs) -> None:
    """One stale entry undoes the whole: the others go at once, that one after it was read again."""
    with opened(knobs) as (here, wire):
        await started(here)
        await edited(here)

        async def meanwhile(_request: Request) -> None:
            wire.on_bundle = None
            id_ = await resource_id(here, "g-sleep")
            here.change("Goal", id_, lambda tree: put_priority(tree, "low"))

        wire.on_bundle = meanwhile
        counts = await here.sync()
        assert counts.unanswered == []
        assert await texts_there(here) == set(TEXTS.values())
        assert (await here.plan(PLAN)).goal("g-sleep").priority == "low"
        assert await open_calls(here) == 0
        assert counts.notes == []
        await quiet(here)


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_without_transactions_is_sent_one_by_one_for_a_day(status: int) -> None:
    """The first Bundle shows it; the operator is told once, and after a day it is tried again."""
    with opened() as (here, wire):
        await started(here)

        async def refuse(_request: Request) -> Answer:
            return Reply(status)

        wire.on_bundle = refuse
        await edited(here)
        wire.sent.clear()
        counts = await here.sync()
        assert wire.writes() == ["3", "PUT", "PUT", "PUT"]
        assert (len(counts.notes), await told(here)) == (1, 1)
        await edited(here, g_sleep="Up by six", g_social="See two")
        counts = await here.sync()
        assert wire.writes() == ["PUT", "PUT"]
        assert (counts.notes, await told(here)) == ([], 1)
        here.now += AGAIN
        wire.on_bundle = None
        await edited(here, g_sleep="Up by five", g_social="See three")
        await here.sync()
        assert wire.writes() == ["2"]


async def test_the_sandbox_without_transactions_gets_the_plan_all_the_same() -> None:
    """A first push to a server that offers none."""
    with opened(VARIANTS["no_transactions"].knobs) as (here, wire):
        await started(here)
        assert sum(one.isdecimal() for one in wire.writes()) == 1
        assert len(here.goals()) == 14
        await quiet(here)


async def test_a_server_that_does_each_entry_for_itself_is_known_for_good() -> None:
    """Each entry counts as it was answered, the stale one is read again, and no Bundle goes there any more."""
    with opened() as (here, wire):
        await started(here)
        here.sandbox.knobs = VARIANTS["batch_transactions"].knobs
        await edited(here)

        async def meanwhile(_request: Request) -> None:
            id_ = await resource_id(here, "g-sleep")
            here.change("Goal", id_, lambda tree: put_priority(tree, "low"))

        wire.on_bundle = meanwhile
        wire.sent.clear()
        counts = await here.sync()
        assert wire.writes() == ["3", "PUT"]
        assert (len(counts.notes), await told(here)) == (1, 1)
        assert await texts_there(here) == set(TEXTS.values())
        assert (await here.plan(PLAN)).goal("g-sleep").priority == "low"
        await quiet(here)
        here.now += 10 * AGAIN
        await edited(here, g_sleep="Up by six", g_social="See two")
        await here.sync()
        assert wire.writes() == ["PUT", "PUT"]


async def test_an_entry_of_a_batch_that_is_to_wait_waits_alone() -> None:
    """429 for one entry: the others are settled, that one stays to be done and goes with the next run."""
    with opened() as (here, wire):
        await started(here)
        await edited(here)

        async def throttle(request: Request) -> Answer:
            wire.on_bundle = None
            tree: Any = loads(request.body or b"")
            rest = Request(request.method, request.url, request.headers, dumps({**tree, "entry": tree["entry"][:-1]}))
            answer: Any = loads(cast("Reply", await wire.inner.send(rest)).body)
            done = [*answer["entry"], {"response": {"status": "429 Too Many Requests"}}]
            return Reply(200, {}, dumps({**answer, "type": "batch-response", "entry": done}))

        wire.on_bundle = throttle
        wire.sent.clear()
        counts = await here.sync()
        assert (counts.pushed, counts.unanswered) == (2, [PLAN])
        assert await open_calls(here) == 0
        assert wire.writes() == ["3"]
        await here.sync()
        assert wire.writes() == ["PUT"]
        assert await texts_there(here) == set(TEXTS.values())
        await quiet(here)


@pytest.mark.parametrize("kept_id", [False, True])
async def test_a_server_that_keeps_half_doubles_and_loses_nothing(kept_id: bool) -> None:
    """It said 412 and kept what came before: what is there is found by its call, creates too."""
    with opened(VARIANTS["half_kept_transactions"].knobs, operation_id_kept=kept_id) as (here, wire):
        await here.add_connection()
        await here.put(example("01"))
        await here.know_people(example("01"))

        async def spoil(request: Request) -> Answer:
            wire.on_bundle = None
            tree: Any = loads(request.body or b"")
            bad = {"resource": {"resourceType": "Goal", "id": "no"}, "request": {"method": "PUT", "url": "Goal/other"}}
            spoilt = dumps({**tree, "entry": [*tree["entry"], bad]})
            return cast("Answer", await wire.inner.send(Request("POST", request.url, request.headers, spoilt)))

        wire.on_bundle = spoil
        await here.sync()
        assert len(here.sandbox.storage.resources("Goal")) == len(here.goals()) == 14

        async def meanwhile(request: Request) -> None:
            wire.on_bundle = None
            last = entries(request)[-1]["resource"]["id"]
            here.change("Goal", last, lambda tree: put_priority(tree, "low"))

        wire.on_bundle = meanwhile
        await edited(here)
        counts = await here.sync()
        assert counts.unanswered == []
        assert await texts_there(here) == set(TEXTS.values())
        assert await open_calls(here) == 0
        assert await here.inbox() == []
        await quiet(here)


# -- ETags -------------------------------------------------------------------------------------------------------------


async def test_a_bundle_without_etags_is_read_after() -> None:
    """The ETag is that which the server shows with the version that the Bundle names; versions stay trusted."""
    with opened() as (here, wire):
        await started(here)
        await edited(here)

        async def strip(request: Request) -> Answer:
            tree: Any = loads(cast("Reply", await wire.inner.send(request)).body)
            for one in tree["entry"]:
                del one["response"]["etag"], one["resource"]
            return Reply(200, {}, dumps(tree))

        wire.on_bundle = strip
        counts = await here.sync()
        assert counts.unanswered == []
        assert await here.store.read(lambda tx: trusted(tx, "ehr-main"))
        wire.sent.clear()
        await edited(here, g_sleep="Up by six", g_social="See two")
        await here.sync()
        assert wire.writes() == ["2"]
        assert {"Up by six", "See two"} <= set(here.goals())
        await quiet(here)


@pytest.mark.parametrize("variant", ["no_etag", "version_always_1", "no_meta_no_etag"])
async def test_what_no_etag_holds_goes_alone(variant: str) -> None:
    """Where versions turned out to say nothing each resource is read right before its write, as ever."""
    with opened(VARIANTS[variant].knobs) as (here, wire):
        await started(here)
        await edited(here, g_sleep="Up by six")
        await here.sync()
        await edited(here)
        wire.sent.clear()
        await here.sync()
        assert "3" not in wire.writes()
        assert await texts_there(here) == set(TEXTS.values())
        await quiet(here)


@pytest.mark.slow
@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"read_only", "forbids_writes", "late_writes"}))
async def test_any_server_ends_as_without_transactions(variant: str) -> None:
    """Pushed, edited on both sides and pushed again: the same goals, texts and questions as by single calls."""
    ends = []
    for transactions in ("none", "atomic"):
        with opened(VARIANTS[variant].knobs, transactions=transactions) as (here, _):
            await here.add_connection()
            await here.put(example("01"))
            await here.know_people(example("01"))
            await here.sync()
            await here.sync()
            await edited(here)
            await here.sync()
            await here.sync()
            ends.append((sorted(map(text_of, here.sandbox.storage.resources("Goal"))), await here.inbox()))
            counts = await here.sync()
            assert counts.writes == 0
    assert ends[0] == ends[1]


# -- the rest of a run -------------------------------------------------------------------------------------------------


async def test_a_kept_preview_is_applied_as_one_too() -> None:
    """What the file names goes as a Bundle; what it does not allow any more is left out of it."""
    with opened() as (here, wire):
        await started(here)
        await edited(here)
        tree, _ = await kept(here)
        id_ = await resource_id(here, "g-sleep")
        here.change("Goal", id_, lambda tree: put_priority(tree, "low"))
        wire.sent.clear()
        counts, only = await applied(here, tree)
        assert wire.writes() == ["2"]
        assert counts.pushed == 2
        assert left(only)["update", "g-sleep"] == "changed_there"
        assert await texts_there(here) == {"See a friend", "Plan walks"}


async def test_the_first_run_counts_plans_not_requests() -> None:
    """A limit of one plan: its Bundles go, the other plan waits."""
    with opened() as (here, _):
        await here.add_connection()
        for plan in map(example, ("01", "02")):
            await here.put(plan)
            await here.know_people(plan)
        at = here.clock()
        await here.store.write(lambda tx: keep(tx, "ehr-main", First(1), at))
        counts = await here.sync()
        assert counts.left_for_later == 1
        assert len(here.care_plans()) == 1


def test_a_wrong_setting_is_named() -> None:
    """`transactions` is none or atomic."""
    with pytest.raises(ConfigurationError, match=r"\$\.transactions"):
        config_of({"base_url": BASE, "transactions": "some"})
