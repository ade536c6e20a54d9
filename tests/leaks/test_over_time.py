"""What could be sent yesterday and may not be sent today: nothing of it is in any byte from then on.

Each test begins after a first push to two EHRs that the client consented to, and forgets that traffic.
"""

# ruff: noqa: E501 - a plan reads best with one thing a line

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.planfile import load_plan_json
from fhirgoals.domain.records import Plan, Withheld
from fhirgoals.sandbox.knobs import Asked, Knobs
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from tests.leaks.forms import found_in
from tests.leaks.wires import Ehr, ehr

replace = msgspec.structs.replace
HERE, THERE = "ehr-main", "ehr-second"
SECRET = "zq0c7e11 she said it would never end"
PARENT, CHILD, OTHER = "g-parent", "g-child", "g-other"

TREE: dict[str, Any] = {
    "schema": "fhirgoals-plan/1",
    "plan": {"id": "plan-time", "kind": "client_treatment", "title": "A plan", "status": "active"},
    "client": {"id": "client-time", "display": "Somebody"},
    "participants": [
        {"id": "p-client", "role": "client", "ref": "client-time"},
        {"id": "p-ther", "role": "primary_therapist", "ref": "staff-time", "display": "Her therapist"},
    ],
    "problems": [{"id": "pr-1", "code": {"system": "icd10cm", "code": "F32.1"}}],
    "measures": [{"id": "m-1", "instrument": "PHQ-9", "code": {"system": "loinc", "code": "44261-6"}, "unit": "{score}"}],
    "disclosure": {
        "consents": [
            {"id": f"c-{name}", "endpoint": name, "granted": "2026-01-05", "sensitivities": ["MH"]} for name in (HERE, THERE)
        ]
    },
    "goals": [
        {"id": PARENT, "horizon": "long_term", "text": "The long one", "addresses": ["pr-1"], "lifecycle": "active"},
        {"id": OTHER, "horizon": "short_term", "parent": PARENT, "text": "Another one", "addresses": ["pr-1"], "lifecycle": "active"},
        {
            "id": CHILD,
            "horizon": "short_term",
            "parent": PARENT,
            "text": f"{SECRET} in the text",
            "client_words": f"{SECRET} in her words",
            "share_words": True,
            "addresses": ["pr-1"],
            "lifecycle": "active",
            "predecessors": [OTHER],
            "targets": [{"measure": "m-1", "op": "<", "value": 5}],
            "steps": [{"id": "st-1", "n": 1, "text": f"{SECRET} in a step", "status": "planned", "owner": "client"}],
            "progress": [{"id": "n-1", "date": "2026-11-01", "author": "p-ther", "visibility": "shared", "text": f"{SECRET} in a note"}],
            "achievements": [{"id": "v-1", "date": "2026-11-02", "noted_by": "p-client", "share": True, "text": f"{SECRET} in a victory"}],
        },
    ],
}  # fmt: skip


class Two:
    """Our side and two EHRs."""

    def __init__(self, here: Ehr, there: Ehr) -> None:
        self.here, self.there = here, there

    async def start(self, plan: Plan) -> None:
        for one in (self.here, self.there):
            await one.world.add_connection()
        await self.here.world.put(plan)
        for one in (self.here, self.there):
            await one.link(plan, {})

    async def sync(self) -> None:
        """Two runs each: what one took may have to go to the other."""
        for _ in range(2):
            for one in (self.here, self.there):
                await one.world.sync()

    def forget(self) -> None:
        for one in (self.here, self.there):
            one.wire.clear()

    async def plan(self) -> Plan:
        return await self.here.world.plan("plan-time")

    async def put(self, **changes: Any) -> None:
        await self.here.world.put(replace(await self.plan(), **changes))

    async def edit(self, goal: str, **changes: Any) -> None:
        await self.here.world.edit("plan-time", goal, **changes)

    def sent(self) -> bytes:
        return self.here.wire.bytes() + self.there.wire.bytes()


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    store = AsyncStore(open_store("sqlite://"))
    with ehr(store, HERE) as here, ehr(store, THERE) as there:
        both = Two(here, there)
        await both.start(load_plan_json(msgspec.json.encode(TREE), name="time"))
        await both.sync()
        for one in (here, there):
            assert len(found_in(one.wire.bytes(), [f"{SECRET} in {what}" for what in PLACES])) == len(PLACES)
        both.forget()
        yield both
    store.close()


PLACES = ("the text", "her words", "a step", "a note", "a victory")


async def no_words(two: Two) -> None:
    await two.edit(CHILD, share_words=False)


async def private_note(two: Two) -> None:
    [note] = (await two.plan()).goal(CHILD).progress
    await two.edit(CHILD, progress=(replace(note, visibility="private"),))


async def no_victory(two: Two) -> None:
    [victory] = (await two.plan()).goal(CHILD).achievements
    await two.edit(CHILD, achievements=(replace(victory, share=False),))


@pytest.mark.parametrize(
    ("take_back", "place"),
    [(no_words, "her words"), (private_note, "a note"), (no_victory, "a victory")],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_what_is_no_longer_shared_is_taken_out(two: Two, take_back: Callable[[Two], Any], place: str) -> None:
    """The next body is without it, the rest stays, and it is gone from what stands there."""
    await take_back(two)
    await two.sync()
    assert found_in(two.sent(), [f"{SECRET} in {place}"]) == []
    assert found_in(two.sent(), [f"{SECRET} in the text"])
    for one in (two.here, two.there):
        standing = msgspec.json.encode(one.sandbox.storage.resources("Goal"), enc_hook=str)
        assert found_in(standing, [f"{SECRET} in {place}"]) == []


async def withheld(two: Two) -> None:
    await two.edit(CHILD, share="withheld")


async def withheld_from_one(two: Two) -> None:
    disclosure = (await two.plan()).disclosure
    await two.put(disclosure=replace(disclosure, withheld=(Withheld(target=CHILD),)))


async def labelled(two: Two) -> None:
    await two.edit(CHILD, sensitivities=("SUD",))


async def drafted(two: Two) -> None:
    await two.edit(CHILD, lifecycle="draft")


@pytest.mark.parametrize("close", [withheld, withheld_from_one, labelled, drafted], ids=lambda close: close.__name__)
async def test_a_goal_that_is_closed_after_it_was_sent_is_sent_no_more(two: Two, close: Callable[[Two], Any]) -> None:
    """Nothing of it is in a body from then on but what stands there already, once; no other resource refers to it."""
    await close(two)
    await two.edit(PARENT, text="The long one in other words")
    await two.put(title="Another title")
    await two.edit(CHILD, text=f"{SECRET} in the text anew", steps=())
    await two.sync()
    assert two.sent().count(b"PUT ") >= 4
    for one in (two.here, two.there):
        [child] = [goal for goal in one.sandbox.storage.resources("Goal") if "zq0c7e11" in str(goal["description"])]
        only_references_left_it(one, str(child["id"]), b"text anew")
        for other in one.sandbox.storage.resources("CarePlan") + one.sandbox.storage.resources("Goal"):
            if other["id"] != child["id"]:
                assert f"Goal/{child['id']}" not in str(other)


async def test_what_waits_to_be_sent_goes_nowhere_once_it_is_withheld(two: Two) -> None:
    """A new goal was stored and the process died; before the next run it is withheld: no byte of it goes again."""

    def lost(asked: Asked) -> bool:
        return asked.method == "POST" and asked.path.endswith("/Goal")

    plan = await two.plan()
    new = replace(plan.goal(CHILD), id="g-new", text=f"{SECRET} in a new goal", steps=(), progress=(), achievements=())
    await two.put(goals=(*plan.goals, new))
    two.here.sandbox.knobs = Knobs(lose_reply=lost)
    with pytest.raises(Dead):
        await dying(two).sync()
    two.forget()
    await two.edit("g-new", share="withheld")
    await two.sync()
    [new_there] = [
        goal for goal in two.here.sandbox.storage.resources("Goal") if "in a new goal" in str(goal["description"])
    ]
    only_references_left_it(two.here, str(new_there["id"]), b"nothing new")
    assert found_in(two.there.wire.bytes(), [f"{SECRET} in a new goal"]) == []


def only_references_left_it(one: Ehr, goal_id: str, new: bytes) -> None:
    """Show that its words went nowhere but into the resource where they stand, once, to take references out of it.

    Under `leave` its own content stays there; R4 has no way to take a milestone out but to put the resource.
    """
    own = [sent for sent in one.wire.sent if sent.method == "PUT" and sent.url.endswith(f"/Goal/{goal_id}")]
    rest = b"\n".join(sent.wire() for sent in one.wire.sent if sent not in own)
    assert b"zq0c7e11" not in rest
    assert len(own) <= 1
    assert all(new not in (sent.body or b"") for sent in own)


class Dead(BaseException):
    """The process is dead from here on."""


class OneRequest:
    """A network that dies right after the first write."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def send(self, request: Any) -> Any:
        outcome = await self._inner.send(request)
        if request.method == "POST":
            raise Dead
        return outcome


def dying(two: Two) -> Any:
    world = two.here.world
    return replace_runner(world, OneRequest(world.http))


def replace_runner(world: Any, http: Any) -> Any:
    alike = type(world)(world.store, world.sandbox, http, connection=world.connection, config=world.config)
    alike.now, alike.ids = world.now, world.ids
    return alike


async def test_a_consent_that_ends_ends_everything(two: Two) -> None:
    """On its last day an edit goes; on the first day without it not even a search does, until it is granted again."""
    consents = (await two.plan()).disclosure.consents
    ends = date(2026, 11, 7)
    disclosure = replace((await two.plan()).disclosure, consents=tuple(replace(one, expires=ends) for one in consents))
    await two.put(disclosure=disclosure)
    await two.edit(PARENT, text="A last edit")
    await two.sync()
    assert found_in(two.here.wire.bytes(), ["A last edit"])
    two.forget()
    for one in (two.here, two.there):
        one.world.now += timedelta(days=1)
    await two.edit(PARENT, text=f"{SECRET} too late")
    await two.sync()
    assert b"zq0c7e11" not in two.sent()
    assert b"PUT " not in two.sent()
    assert b"POST " not in two.sent()


async def test_a_note_of_one_ehr_is_no_others_business(two: Two) -> None:
    """What the ward of one EHR writes comes here and goes back there alone."""
    note = {"authorString": "zq0c7e22 a nurse", "time": "2026-11-06T10:00:00Z", "text": "zq0c7e22 asked for soap"}
    [parent] = [
        goal for goal in two.here.sandbox.storage.resources("Goal") if goal["description"] == {"text": "The long one"}
    ]
    two.here.world.change("Goal", str(parent["id"]), lambda tree: tree.update(note=[note]))
    await two.sync()
    [entry] = (await two.plan()).goal(PARENT).progress
    assert entry.text == "zq0c7e22 asked for soap"
    await two.edit(PARENT, text="The long one in other words")
    await two.sync()
    assert b"zq0c7e22" in two.here.wire.bytes()
    assert b"zq0c7e22" not in two.there.wire.bytes()


async def test_a_preview_sends_no_body(two: Two) -> None:
    """It reads, and says nothing."""
    await two.edit(CHILD, text=f"{SECRET} in a text that is only previewed")
    await two.here.world.runner().preview()
    assert all(request.body is None for request in two.here.wire.sent)
    assert b"zq0c7e11" not in two.sent()


async def test_a_paused_connection_sends_no_body(two: Two) -> None:
    """What is edited while it is paused stays here."""
    world = two.here.world
    at = world.clock()
    await world.store.write(lambda tx: tx.connections.set_state(HERE, "paused", by="it-1", reason="test", at=at))
    await two.edit(CHILD, text=f"{SECRET} in a text that is only kept")
    await world.sync()
    assert all(request.body is None for request in two.here.wire.sent)
    assert b"zq0c7e11" not in two.here.wire.bytes()


@pytest.mark.parametrize(
    "written",
    [{"description": {"text": "zq0c7e33 by the ward"}}, {"priority": {"text": "zq0c7e33 by the ward"}}],
    ids=["text", "priority"],
)
async def test_what_one_ehr_wrote_into_a_goal_of_ours_goes_to_no_other(two: Two, written: dict[str, Any]) -> None:
    """It is taken here and stays between the two, also when the goal, its steps and its plan are edited here later."""
    [parent] = [
        goal for goal in two.here.sandbox.storage.resources("Goal") if goal["description"] == {"text": "The long one"}
    ]
    two.here.world.change("Goal", str(parent["id"]), lambda tree: tree.update(written))
    await two.sync()
    assert "zq0c7e33" in str((await two.plan()).goal(PARENT))
    await two.edit(PARENT, start_date=date(2026, 3, 1))
    await two.edit(CHILD, text=f"{SECRET} in another text", predecessors=())
    await two.put(title="Another title")
    await two.sync()
    assert two.there.wire.bytes().count(b"PUT ") >= 3
    assert b"zq0c7e33" in two.here.wire.bytes()
    assert b"zq0c7e33" not in two.there.wire.bytes()
