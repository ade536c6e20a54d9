"""One store and two EHRs, A and B, that edit the same unit: one end state or one question for each EHR (design 5.5).

The whole matrix is played on two sandboxes (orders, policies, with and without shared origins), one line of it on HAPI
and Medplum. By default nothing that was written at one of them is in any byte that goes to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, TypeAlias

import pytest

from fhirgoals.fhir.http import Http, Recorder
from fhirgoals.sync.merge import Accept, Clash
from tests.e2e.servers import world as real
from tests.e2e.servers.schedule import PLAN, change, made_up_plan
from tests.servers.fixtures import FhirServer
from tests.sync.world import World, world

Json: TypeAlias = Any
Name: TypeAlias = Literal["a", "b"]
Timing: TypeAlias = Literal["one after the other", "both before a run"]

GOAL = "g-001"
AT_FIRST = "Goal 001 as it was at first"
WRITTEN: dict[Name, str] = {"a": "Written at A", "b": "Written at B"}
AT = "2026-11-06T09:00:00Z"
ACCEPTS: tuple[Accept, ...] = ("auto", "propose", "ignore")
CLASHES: tuple[Clash, ...] = ("ask", "ours", "theirs")


@dataclass(frozen=True)
class Case:
    """Who edits (and is synced) first, when, by which policy, and whether each is told what the other wrote."""

    first: Name
    timing: Timing
    accept: Accept
    clash: Clash
    shared: bool

    @property
    def second(self) -> Name:
        return "b" if self.first == "a" else "a"

    def __str__(self) -> str:
        shared = ", shared" if self.shared else ""
        return f"{self.first} first, {self.timing}, {self.accept}, {self.clash}{shared}"


@dataclass(frozen=True)
class End:
    """The texts at rest, the open questions as (EHR, kind), and the texts that are kept in the history."""

    here: str
    at: tuple[str, str]
    items: frozenset[tuple[Name, str]] = frozenset()
    history: frozenset[str] = frozenset()


def expected(case: Case) -> End:
    """Return how a case must end, by design 5.3 to 5.5."""
    first, second = WRITTEN[case.first], WRITTEN[case.second]

    def at(of_first: str, of_second: str) -> tuple[str, str]:
        return (of_first, of_second) if case.first == "a" else (of_second, of_first)

    match case.accept:
        case "propose":  # a question at each; nothing moves
            return End(AT_FIRST, at(first, second), frozenset({("a", "proposal"), ("b", "proposal")}))
        case "ignore":
            return End(AT_FIRST, at(first, second), history=frozenset({first, second}))
        case "auto":
            if not case.shared:  # the second one edits over what it may not see: always a question
                return End(first, at(first, second), frozenset({(case.second, "conflict")}))
            if case.timing == "one after the other":  # the second one has seen what it edits
                return End(second, at(second, second))
            match case.clash:
                case "ask":
                    return End(first, at(first, second), frozenset({(case.second, "conflict")}))
                case "ours":
                    return End(first, at(first, first), history=frozenset({second}))
                case "theirs":
                    return End(second, at(second, second), history=frozenset({first}))


CASES = [
    Case(first, timing, accept, clash, shared)
    for first, timing, accept, clash, shared in product(
        ("a", "b"), ("one after the other", "both before a run"), ACCEPTS, CLASHES, (False, True)
    )
]


@dataclass
class Two:
    """Two sandboxes on one store, and what was sent to each."""

    worlds: dict[Name, World]
    sent: dict[Name, list[bytes]]

    async def start(self) -> None:
        plan = made_up_plan(3, "ehr-a", "ehr-b")
        a, b = self.worlds["a"], self.worlds["b"]
        b.store.close()
        b.store, b.ids = a.store, a.ids
        for one in (a, b):
            await one.add_connection()
        await a.put(plan)
        for one in (a, b):
            await one.know_people(plan)
            assert (await one.sync()).created == 4

    def edit(self, name: Name, unit: str = "text", value: str | None = None) -> None:
        one = self.worlds[name]
        tree: Json = one.goals()[self.text(name)]
        one.change("Goal", str(tree["id"]), lambda now: change(now, unit, value or WRITTEN[name], AT))

    async def sync(self, *names: Name) -> int:
        """Sync these in turn; return how much was written in all."""
        return sum([(await self.worlds[name].sync()).writes for name in names])

    def text(self, name: Name) -> str:
        known = {AT_FIRST, *WRITTEN.values()}
        [found] = [text for text in self.worlds[name].goals() if text in known]
        return found

    async def end(self) -> End:
        store = self.worlds["a"].store
        items = await store.read(lambda tx: tx.inbox.list(open_only=False))
        about = [one for one in items if (one.owner, one.unit) == (GOAL, "text")]
        here = (await self.worlds["a"].plan(PLAN)).goal(GOAL).text
        assert here is not None
        names: dict[str | None, Name] = {"ehr-a": "a", "ehr-b": "b"}
        still = [one for one in about if one.closed_at is None]
        assert len(still) == len({one.connection for one in still})
        assert [one for one in items if one.closed_at is None and one not in still] == []
        return End(
            here,
            (self.text("a"), self.text("b")),
            frozenset((names[one.connection], one.kind) for one in still),
            frozenset(
                str(value)
                for one in about
                if one.kind == "history"
                for value in (one.ours, one.theirs)
                if value in WRITTEN.values() and value != here
            ),
        )


def recording(into: list[bytes]) -> Recorder:
    def record(request: Any, outcome: Any) -> None:
        if outcome is None:
            into.append(request.wire())

    return record


@contextmanager
def two(case: Case) -> Iterator[Two]:
    with ExitStack() as stack:
        worlds: dict[Name, World] = {}
        sent: dict[Name, list[bytes]] = {"a": [], "b": []}
        for name, other in (("a", "ehr-b"), ("b", "ehr-a")):
            shares = (other,) if case.shared else ()
            one = stack.enter_context(world(policy={"text": (case.accept, case.clash)}, share_origins=shares))
            one.connection = f"ehr-{name}"
            one.http = Http(app=one.sandbox.app, recorder=recording(sent[name]))  # type: ignore[index]
            worlds[name] = one  # type: ignore[index]
        yield Two(worlds, sent)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_edits_at_both_end_in_one_state_or_one_question(case: Case) -> None:
    """The end is the one of the design, no edit is lost, a further run writes nothing, and no text crosses over."""
    with two(case) as both:
        await both.start()
        order = (case.first, case.second)
        both.edit(case.first)
        if case.timing == "one after the other":
            await both.sync(*order)
        both.edit(case.second)
        await both.sync(*order)
        await both.sync(*order)
        await both.sync(*order)
        end = await both.end()
        assert end == expected(case)
        assert await both.sync(*order, *order) == 0
        assert await both.end() == end
        if not case.shared:
            assert not crossed(both.sent)


def crossed(sent: dict[Name, list[bytes]]) -> list[bytes]:
    """Return the requests to one that hold what was written at the other."""
    return [
        one
        for name, other in (("a", "b"), ("b", "a"))
        for one in sent[name]
        if WRITTEN[other].encode() in one  # type: ignore[index]
    ]


async def test_notes_of_each_are_here_and_at_no_other() -> None:
    """What a nurse at A and one at B add to a goal both come here; neither is sent to the other EHR."""
    case = Case("a", "both before a run", "auto", "ask", shared=False)
    with two(case) as both:
        await both.start()
        for name in ("a", "b"):
            both.edit(name, "note")
        await both.sync("a", "b", "a", "b")
        entries = (await both.worlds["a"].plan(PLAN)).goal(GOAL).progress
        assert sorted(one.text for one in entries) == sorted(WRITTEN.values())
        for name in ("a", "b"):
            goal: Json = both.worlds[name].goals()[AT_FIRST]
            assert [one["text"] for one in goal["note"]] == [WRITTEN[name]]
        assert await both.sync("a", "b") == 0
        assert not crossed(both.sent)
        assert await both.worlds["a"].inbox() == []


async def test_a_shared_text_is_found_by_this_search() -> None:
    """Where A's origin is shared with B its text does go there: the search above can fail."""
    case = Case("a", "one after the other", "auto", "ask", shared=True)
    with two(case) as both:
        await both.start()
        both.edit("a")
        await both.sync("a", "b")
        assert crossed(both.sent)


async def test_hapi_and_medplum_on_one_store(hapi: FhirServer, medplum: FhirServer) -> None:
    """Edited at HAPI, then at Medplum: HAPI's text is here, Medplum's waits with both, neither went to the other."""
    plan = made_up_plan(3, "ehr-a", "ehr-b")
    async with (
        real.behind_the_cut_proxy(hapi.url) as a,
        real.behind_the_cut_proxy(medplum.url) as b,
    ):
        b.store.close()
        b.store = a.store
        a.connection, b.connection = "ehr-a", "ehr-b"
        assert (await a.start(plan)).created == 4
        await b.connect()
        b.patients.update(real.register(b.server, [plan], b.store.store.installation))
        await b.link()
        assert (await b.sync()).created == 4
        a.change(a.goal(AT_FIRST), lambda tree: change(tree, "text", WRITTEN["a"], AT))
        assert ((await a.sync()).pulled, (await b.sync()).writes) == (1, 0)
        b.change(b.goal(AT_FIRST), lambda tree: change(tree, "text", WRITTEN["b"], AT))
        for _ in range(2):
            await b.sync()
            await a.sync()
        assert (await a.plan(PLAN)).goal(GOAL).text == WRITTEN["a"]
        assert [one.goal(WRITTEN[name])["lifecycleStatus"] for one, name in ((a, "a"), (b, "b"))] == ["active"] * 2
        [item] = await a.store.read(lambda tx: tx.inbox.list(open_only=True))
        assert (item.connection, item.kind, item.ours, item.theirs) == (
            "ehr-b",
            "conflict",
            WRITTEN["a"],
            WRITTEN["b"],
        )
        await a.quiet()
        await b.quiet()
        for one, other in ((a, "b"), (b, "a")):
            sent = [each.request_head + each.request_content for each in one.proxy.exchanges]
            assert sent
            assert not [each for each in sent if WRITTEN[other].encode() in each]  # type: ignore[index]
