"""Each meter of the oracle moves when its one fault is put into a finished world, and no other meter with it."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import pytest

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.wire import Request
from fhirgoals.sandbox.knobs import Knobs
from tests.simulate import ehr_people, sides
from tests.simulate.beginning import begun
from tests.simulate.cells import Cell
from tests.simulate.log import HALF_TICKS, NOTHING, OVERLAP_TICKS, PLAN, Moment, first_word
from tests.simulate.machine import Life, finish
from tests.simulate.network import CALM
from tests.simulate.oracle import METERS, judge, observe, shown
from tests.simulate.run import rest
from tests.simulate.world import World

A = "ehr-a"


@dataclass
class Finished:
    """A world at rest, and the ways to put a fault into it that none of its people or processes made."""

    world: World

    def moved(self) -> set[str]:
        """Return the meters that move now."""
        verdict = judge(self.world)
        return {meter for meter in METERS if getattr(verdict, meter)}

    def resource(self, goal: str, kind: str = "Goal") -> tuple[str, Any]:
        """Return the id and a copy of the body of one of our resources."""
        for id_, body in sides.bodies(self.world.boxes[A].storage, kind).items():
            if self.world.log.resources.get((A, id_)) == goal:
                return id_, copy.deepcopy(body)
        raise LookupError(goal)

    def change_there(self, goal: str, kind: str = "Goal", **fields: object) -> None:
        """Change a resource, untold."""
        id_, body = self.resource(goal, kind)
        self.world.boxes[A].edit(kind, id_, {**body, **fields})

    def edge(self, child: str) -> dict[str, Any]:
        """Return what a parent's resource says of a child."""
        return {
            "url": sides.RELATIONSHIP,
            "extension": [
                {"url": "type", "valueCodeableConcept": {"coding": [{"code": "milestone"}]}},
                {"url": "target", "valueReference": {"reference": f"Goal/{self.resource(child)[0]}"}},
            ],
        }

    def give_child(self, parent: str, child: str) -> None:
        """Give a parent one more child, untold."""
        _, body = self.resource(parent)
        self.change_there(parent, extension=[*body["extension"], self.edge(child)])

    def take_child(self, parent: str, child: str) -> None:
        """Take a child from a parent, untold."""
        _, body = self.resource(parent)
        target = f"Goal/{self.resource(child)[0]}"
        edges = [one for one in body["extension"] if target not in json.dumps(one, default=str)]
        self.change_there(parent, extension=edges)

    def change_here(self, goal: str, **fields: object) -> None:
        """Change our record, untold and unseen by the store's own guard."""
        raw = self.world.database.raw
        plan = sides.document(raw)
        for one in plan["goals"]:
            if one["id"] == goal:
                one.update(fields)
        raw.execute("drop trigger if exists plan_revisions_no_update")
        raw.execute("update plan_revisions set document = ?", (json.dumps(plan),))

    def ask(self, kind: str, owner: str, unit: str | None, ours: object, theirs: object, *, why: str = "test") -> None:
        """Put an item into the inbox."""
        values = (A, PLAN, owner, unit, kind, json.dumps(ours), json.dumps(theirs), why)
        [(number,)] = self.world.database.raw.execute("select count(*) from inbox").fetchall()
        self.world.database.raw.execute(
            "insert into inbox (key, connection, plan_id, owner, unit, kind, ours, theirs, why, who_may, opened_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, '[]', '2026-11-06T10:00:00.000000Z')",
            (f"key {number}", *values),
        )

    def read(self, path: str) -> None:
        """Read something as a process of ours would."""
        request = Request("GET", f"http://{A}.test/fhir/{path}", {}, None)
        finish(self.world.networks[A].send(request, Life(self.world.dice, 0.0)))

    def send(self, method: str, path: str, body: Any) -> None:
        """Send something as a process of ours would."""
        finish(self.world.networks[A].send(self._write(method, path, body), Life(self.world.dice, 0.0)))

    def arrive_late(self, method: str, path: str, body: Any) -> None:
        """Carry something out that left a process of ours a while ago."""
        self.world.networks[A]._arrive_late(self._write(method, path, body))

    def _write(self, method: str, path: str, body: Any) -> Request:
        url = f"http://{A}.test/fhir/{path}"
        return Request(method, url, {"Content-Type": "application/fhir+json"}, exact_json.dumps(body))  # type: ignore[arg-type]


@pytest.fixture(params=["leave"])
def finished(request: pytest.FixtureRequest) -> Finished:
    """A world that was pushed, in which both sides are the same."""
    return _finished(Cell(), request.param)


def _finished(cell: Cell, retract: str = "leave") -> Finished:
    world = begun(cell, Random(1), CALM, typed=False, pushed=True, retract=retract)
    observe(world, A, settled=True)
    return Finished(world)


def test_a_world_that_was_pushed_has_no_fault(finished: Finished) -> None:
    """Nothing was done: no meter moves."""
    assert finished.moved() == set()


# -- lost --


def test_an_edit_that_stands_nowhere_is_lost(finished: Finished) -> None:
    """Somebody wrote a text at the EHR, and it is on no side."""
    finished.world.noted(1, A, ("g-a", "text"), "Ax001", "Tx000")
    assert finished.moved() == {"lost"}


def test_an_edit_written_over_by_somebody_who_saw_it_is_not_lost(finished: Finished) -> None:
    """The later edit says what it wrote over."""
    finished.world.noted(1, A, ("g-a", "text"), "Ax001", "Tx000")
    finished.world.noted(2, A, ("g-a", "text"), "Tx000", "Ax001")
    assert finished.moved() == set()


def test_an_edit_written_over_unseen_is_lost(finished: Finished) -> None:
    """Whoever wrote later saw the value before: the edit between is lost."""
    finished.world.noted(1, A, ("g-a", "text"), "Ax001", "Tx000")
    finished.world.noted(2, "here", ("g-a", "text"), "Tx000", "Tx000")
    assert finished.moved() == {"lost"}


@pytest.mark.parametrize(("asked", "lost"), [("", True), ("Goal/{}/_history", True), ("Goal/{}", False)])
def test_what_both_sides_said_when_it_was_read_is_not_lost(finished: Finished, asked: str, lost: bool) -> None:
    """A process that read what we say went by that; where none did, nobody saw our edit by it."""
    world = finished.world
    world.networks[A].shows = partial(shown, world, A)
    finished.change_there("g-a", priority={"coding": [{"code": "low-priority"}]})
    world.noted(1, A, ("g-a", "priority"), "low", "medium")
    finished.change_here("g-a", priority="low")
    world.noted(2, "here", ("g-a", "priority"), "low", "medium")
    if asked:
        finished.read(asked.format(finished.resource("g-a")[0]))
    finished.change_there("g-a", priority={"coding": [{"code": "high-priority"}]})
    world.noted(3, A, ("g-a", "priority"), "high", "low")
    finished.change_here("g-a", priority="high")
    assert finished.moved() == ({"lost"} if lost else set())


def test_an_order_is_kept_where_each_goals_children_stand_in_it(finished: Finished) -> None:
    """A list there may say more than a tree can hold: of an order only that of siblings is ours to keep."""
    finished.world.noted(1, A, (PLAN, "order"), "g-a1+g-a+g-a2+g-b", "g-a+g-a1+g-a2+g-b")
    assert finished.moved() == set()
    finished.world.noted(2, A, (PLAN, "order"), "g-a2+g-a1+g-a+g-b", "g-a1+g-a+g-a2+g-b")
    assert finished.moved() == {"lost"}


def test_an_order_is_written_over_by_whoever_saw_it_with_more_goals(finished: Finished) -> None:
    """The EHR's list lacks a goal that is withheld: ours has it, in between."""
    finished.world.noted(1, A, (PLAN, "order"), "g-b+g-a+g-a2", "g-a+g-a2+g-b")
    assert finished.moved() == {"lost"}
    finished.world.noted(2, "here", (PLAN, "order"), "g-a+g-a1+g-a2+g-b", "g-b+g-a1+g-a+g-a2")
    assert finished.moved() == set()


def test_a_move_that_stands_nowhere_is_lost(finished: Finished) -> None:
    """The EHR moved a child, and it stands where it stood."""
    finished.world.noted(1, A, ("g-a1", "parent"), "g-b", "g-a")
    assert finished.moved() == {"lost"}


def test_a_loss_that_nobody_could_know_of_and_that_was_told_is_counted_apart() -> None:
    """Only on a server without ETag and history, where the history says that a call may have gone over an edit."""
    for variant, meters, told in (("no_meta_no_etag", set(), 1), ("no_etag", {"lost"}, 0)):
        finished = _finished(Cell(variant))
        finished.world.noted(1, A, ("g-a", "text"), "Ax001", "Tx000")
        assert finished.moved() == {"lost"}
        finished.ask("history", "g-a", None, None, None, why="may_have_gone_over_an_edit")
        finished.world.database.raw.execute("update inbox set closed_at = opened_at")
        assert finished.moved() == meters
        assert len(judge(finished.world).seen) == told


def test_a_child_made_a_root_is_told_of_by_the_call_that_named_it() -> None:
    """On a server that shows nothing, a call that took it from one parent looks like them taking it from another."""
    finished = _finished(Cell("no_meta_no_etag"))
    finished.world.noted(1, A, ("g-a1", "parent"), NOTHING, "g-b")
    raw = finished.world.database.raw
    for carried, meters in (("parent_map:g-a2", {"lost"}), ("parent_map:g-a1", set())):
        finished.ask("history", "g-a", None, {carried: ["g-a2"]}, None, why="may_have_gone_over_an_edit")
        raw.execute("update inbox set closed_at = opened_at")
        assert finished.moved() == meters
    finished.world.noted(2, A, ("g-a1", "parent"), "g-a2", NOTHING)
    assert finished.moved() == {"lost"}


def test_a_move_there_and_back_is_not_lost(finished: Finished) -> None:
    """A value that moved there and back is no edit to anybody else."""
    finished.world.noted(1, A, ("g-a1", "parent"), "g-b", "g-a")
    finished.world.noted(2, A, ("g-a1", "parent"), "g-a", "g-b")
    assert finished.moved() == set()


def test_an_edit_in_the_history_is_not_lost(finished: Finished) -> None:
    """The policy decided against it and kept it."""
    finished.world.noted(1, A, ("g-a", "text"), "Ax001", "Tx000")
    finished.ask("history", "g-a", "text", "Tx000 at first", "Ax001 runs")
    finished.world.database.raw.execute("update inbox set closed_at = opened_at")
    assert finished.moved() == set()


def test_an_edit_in_an_item_that_closed_by_itself_is_lost(finished: Finished) -> None:
    """Its cause is said to be gone, and nobody decided anything."""
    finished.world.noted(1, A, ("g-a", "text"), "Ax001", "Tx000")
    finished.ask("conflict", "g-a", "text", "Tx000 at first", "Ax001 runs")
    finished.world.database.raw.execute("update inbox set closed_at = opened_at, close_reason = 'cause gone'")
    assert finished.moved() == {"lost"}


def test_a_step_taken_out_there_is_lost_where_it_stands_and_nobody_decided_so(finished: Finished) -> None:
    """The EHR took a step out, and it stands on both sides again: only a decision on that very step says why."""
    finished.world.noted(1, A, ("g-a", "step st-g-a"), "-", "Sx000")
    finished.ask("history", PLAN, "steps:st-g-b", {"goal": "g-b"}, None)
    finished.world.database.raw.execute("update inbox set closed_at = opened_at")
    assert finished.moved() == {"lost"}
    finished.ask("history", PLAN, "steps:st-g-a", {"goal": "g-a"}, None)
    finished.world.database.raw.execute("update inbox set closed_at = opened_at")
    assert finished.moved() == set()


@pytest.mark.parametrize(
    ("what", "value", "over"), [("step there-1", "Hx001", "Ax000"), ("step_status there-1", "on-hold", "not-started")]
)
def test_what_we_wrote_of_a_step_that_a_person_took_out_went_with_it(
    finished: Finished, what: str, value: str, over: str
) -> None:
    """The EHR took a step out that we had changed, and a person took that over: it is void here, with our words."""
    finished.world.log.steps["Hx001"] = "there-1"
    finished.world.noted(1, "here", ("g-a", what), value, over)
    step = {"id": "step-1", "text": "Hx001 done daily", "status": "entered_in_error"}
    [own] = [one["steps"] for one in sides.document(finished.world.database.raw)["goals"] if one["id"] == "g-a"]
    finished.change_here("g-a", steps=[*own, step])
    assert finished.moved() == {"lost"}
    finished.ask("proposal", PLAN, "steps:step-1", {"goal": "g-a"}, None)
    finished.world.database.raw.execute("update inbox set closed_at = opened_at, closed_by = 'p-ther'")
    assert finished.moved() == set()


def test_what_was_decided_on_a_step_that_was_taken_out_there_is_in_the_history(finished: Finished) -> None:
    """Its words name it by another item of its id; the step itself stands nowhere any more."""
    finished.world.log.steps["Ax001"] = "there-1"
    finished.world.noted(1, A, ("g-a", "step_status there-1"), "on-hold", "not-started")
    finished.ask("history", PLAN, "step:step-1.status", None, {"status": "on_hold"})
    finished.world.database.raw.execute("update inbox set closed_at = opened_at")
    assert finished.moved() == {"lost"}
    finished.ask("history", PLAN, "step:step-1.text", None, "Ax001 from the ward")
    finished.world.database.raw.execute("update inbox set closed_at = opened_at")
    assert finished.moved() == set()


# -- doubled --


def test_two_resources_of_one_goal_are_doubled(finished: Finished) -> None:
    """The same goal was created twice."""
    _, body = finished.resource("g-b")
    twin = finished.world.boxes[A].storage.create("Goal", {key: body[key] for key in body if key != "id"})
    finished.world.log.resources[A, twin.version.id] = "g-b"
    assert finished.moved() == {"doubled"}


def test_what_was_written_into_a_reported_double_is_told_with_it() -> None:
    """Only where the server offers no means against doubles, and while it stands there."""
    finished = _finished(Cell("duplicates_allowed"))
    _, body = finished.resource("g-b")
    twin = finished.world.boxes[A].storage.create("Goal", {**body, "description": {"text": "Ax001 runs"}}).version
    finished.world.log.resources[A, twin.id] = "g-b"
    finished.world.noted(1, A, ("g-b", "text"), "Ax001", "Tx000")
    assert finished.moved() == {"doubled", "lost"}
    finished.ask("held", "g-b", "Goal", None, None, why="several")
    assert finished.moved() == set()
    finished.world.boxes[A].edit("Goal", twin.id, body)
    assert finished.moved() == {"lost"}


def test_the_linked_one_of_two_care_plans_says_how_the_plan_stands() -> None:
    """The other is a reported double that nobody edits."""
    finished = _finished(Cell("duplicates_allowed"))
    own, body = finished.resource(PLAN, "CarePlan")
    twin = finished.world.boxes[A].storage.create("CarePlan", {**body, "goal": body["goal"][::-1]}).version
    finished.world.log.resources[A, twin.id] = PLAN
    finished.ask("identity", PLAN, f"CarePlan/{twin.id}", None, None, why="may_be_ours_twice")
    assert finished.moved() == set()
    finished.world.boxes[A].edit("CarePlan", own, {**body, "goal": body["goal"][::-1]})
    assert finished.moved() == {"silent"}


def test_a_child_that_was_put_under_a_reported_double_is_told_with_it() -> None:
    """Its place stands on that double, which nobody may edit."""
    finished = _finished(Cell("duplicates_allowed"))
    _, body = finished.resource("g-a")
    edges = [*body["extension"], finished.edge("g-b")]
    twin = finished.world.boxes[A].storage.create("Goal", {**body, "extension": edges}).version
    finished.world.log.resources[A, twin.id] = "g-a"
    finished.world.noted(1, A, ("g-b", "parent"), "g-a", "-")
    assert finished.moved() == {"doubled", "lost"}
    finished.ask("held", "g-a", "Goal", None, None, why="several")
    assert finished.moved() == set()
    finished.give_child("g-a1", "g-b")  # beside the place that we gave it, it has that one
    assert "lost" not in finished.moved()


def test_a_reported_double_that_was_put_under_a_goal_is_told_with_it() -> None:
    """The EHR's people took one of two for the child: its place leads to the one that is not linked."""
    finished = _finished(Cell("duplicates_allowed"))
    _, body = finished.resource("g-b")
    twin = finished.world.boxes[A].storage.create("Goal", body).version
    finished.world.log.resources[A, twin.id] = "g-b"
    finished.world.noted(1, A, ("g-b", "parent"), "g-a1", "-")
    assert finished.moved() == {"doubled", "lost"}
    parent, body = finished.resource("g-a1")
    edge = json.loads(json.dumps(finished.edge("g-b")).replace(finished.resource("g-b")[0], twin.id))
    finished.world.boxes[A].edit("Goal", parent, {**body, "extension": [*body["extension"], edge]})
    assert "lost" in finished.moved()
    finished.ask("identity", PLAN, f"Goal/{twin.id}", None, None, why="may_be_ours_twice")
    assert finished.moved() == set()


def test_what_comes_after_a_goal_of_which_two_stand_there_can_not_be_said() -> None:
    """An edge to it is explained by the item that asks which of the two it is, until one is linked."""
    finished = _finished(Cell("duplicates_allowed"))
    own, body = finished.resource("g-b")
    twin = finished.world.boxes[A].storage.create("Goal", body).version
    finished.world.log.resources[A, twin.id] = "g-b"
    finished.ask("held", "g-b", "Goal", None, None, why="several")
    finished.change_here("g-a", predecessors=["g-b"])
    assert finished.moved() == {"silent"}
    finished.world.database.raw.execute("delete from links where resource_id = ?", (own,))
    assert finished.moved() == set()


def test_a_create_that_is_carried_out_after_its_call_got_no_reply_is_seen(finished: Finished) -> None:
    """The server takes a call, sends no reply, and creates the resource a while later: that is ours too."""
    world = finished.world
    _, body = finished.resource("g-b")
    twin = {key: body[key] for key in body if key != "id"}
    world.boxes[A].knobs = Knobs(lose_every=1, late_s=30.0)
    finished.send("POST", "Goal", twin)
    assert finished.moved() == set()
    world.machine.spend(40)
    world.boxes[A].knobs = Knobs()
    finished.send("GET", "Goal", {})
    assert finished.moved() == {"doubled"}


def test_a_step_that_stands_twice_is_doubled(finished: Finished) -> None:
    """The CarePlan has the same activity twice."""
    _, body = finished.resource(PLAN, "CarePlan")
    finished.change_there(PLAN, "CarePlan", activity=[*body["activity"], body["activity"][0]])
    assert finished.moved() == {"doubled"}


# -- silent --


def test_a_difference_that_nobody_is_told_of_is_silent(finished: Finished) -> None:
    """Another text stands there, and no item, ledger row or policy says so."""
    finished.change_there("g-a", description={"text": "Ax001 runs"})
    assert finished.moved() == {"silent"}


def test_an_item_of_another_unit_explains_nothing(finished: Finished) -> None:
    """Only an item of the very unit stands for a difference."""
    finished.change_there("g-a", description={"text": "Ax001 runs"}, statusReason="Ax002")
    finished.world.noted(2, A, ("g-a", "status"), "active/Ax002", "active/-")
    finished.ask(
        "proposal", "g-a", "status", {"lifecycle": "active"}, {"lifecycle": "active", "status_reason": "Ax002"}
    )
    assert finished.moved() == {"silent"}


def test_a_status_explains_itself_without_the_reason_that_the_server_dropped() -> None:
    """The policy passed over a status with its reason; our next write of that goal cost it the reason there."""
    finished = _finished(Cell("drops_fields", "ignore-ask"))
    finished.change_there("g-a", lifecycleStatus="on-hold")
    passed_over = {"lifecycle": "on_hold", "status_reason": "Ax001 cause"}
    finished.ask("history", "g-a", "status", {"lifecycle": "active"}, passed_over)
    assert finished.moved() == set()
    finished.change_there("g-a", lifecycleStatus="cancelled")
    assert finished.moved() == {"silent"}


def test_the_place_under_a_void_parent_is_explained_by_what_was_decided_on_it() -> None:
    """The policy passed over a move, and then its new parent was marked void: that edge counts nowhere any more."""
    finished = _finished(Cell("plain", "ignore-ask"))
    finished.change_here("g-a2", parent="g-a1")
    finished.world.noted(1, "here", ("g-a2", "parent"), "g-a1", "g-a")
    assert finished.moved() == {"silent"}
    finished.ask("history", PLAN, "parent_map:g-a2", ["g-a1"], ["g-b"])
    assert finished.moved() == {"silent"}
    finished.world.log.void["g-b"] = {A}
    finished.take_child("g-a", "g-a2")
    assert finished.moved() == set()


def test_two_parents_there_of_which_another_ehr_lost_one_are_explained_by_the_item_about_both(
    finished: Finished,
) -> None:
    """An edge counts where its goal stands, whatever became of that one elsewhere."""
    finished.give_child("g-b", "g-a2")
    finished.world.noted(1, A, ("g-a2", "parent"), "g-b", "g-a")
    assert "silent" in finished.moved()
    finished.ask("conflict", PLAN, "parent_map:g-a2", ["g-a"], ["g-a", "g-b"])
    finished.world.log.void["g-a"] = {"ehr-b"}
    assert "silent" not in finished.moved()
    finished.world.log.void["g-a"] = {A}
    assert "silent" in finished.moved()


def test_a_step_without_an_id_that_the_ehr_rewords_is_another_step(finished: Finished) -> None:
    """The old one is taken out there with its status and the new one added; both may stand on both sides afterwards."""
    world = finished.world
    _, plan = finished.resource(PLAN, "CarePlan")
    step = {"goal": plan["activity"][0]["detail"]["goal"], "status": "on-hold", "description": "Ax001 from the ward"}
    world.log.steps["Ax001"] = "there-1"
    finished.change_there(PLAN, "CarePlan", activity=[{"detail": step}])
    ehr_people.act(world, 2, A, "step_text", Random(1))
    [own] = {edit.key[0] for edit in world.log.edits}
    assert [(edit.key[1], edit.value, edit.over) for edit in world.log.edits] == [
        ("step there-1", "-", "Ax001"),
        ("step_status there-1", "-", "on-hold"),
        ("step there-2", "Ax002", "-"),
        ("step_status there-2", "on-hold", "-"),
    ]
    reworded = {**step, "description": "Ax002 twice a day"}
    finished.change_there(PLAN, "CarePlan", activity=[*plan["activity"], {"detail": step}, {"detail": reworded}])
    [steps] = [one["steps"] for one in sides.document(world.database.raw)["goals"] if one["id"] == own]
    texts = {"step-1": "Ax001 from the ward", "step-2": "Ax002 twice a day"}
    more = [{"id": one, "text": text, "status": "on_hold"} for one, text in texts.items()]
    finished.change_here(own, steps=[*steps, *more])
    assert "silent" not in finished.moved()
    finished.change_here(own, steps=[*steps, more[1]])
    assert "silent" in finished.moved()


def test_a_step_with_an_id_stays_the_same_step_when_the_ehr_rewords_it(finished: Finished) -> None:
    """The id says which it is."""
    _, plan = finished.resource(PLAN, "CarePlan")
    finished.change_there(PLAN, "CarePlan", activity=plan["activity"][:1])
    ehr_people.act(finished.world, 2, A, "step_text", Random(1))
    [edit] = finished.world.log.edits
    assert (edit.key[1], edit.value) == (f"step {finished.world.log.steps[edit.over]}", "Ax002")


def test_a_step_that_got_other_words_is_asked_about_under_another_id(finished: Finished) -> None:
    """What was decided on its words of before, under the id that it had by them, does not name it any more."""
    _, body = finished.resource(PLAN, "CarePlan")
    step = {"goal": body["activity"][0]["detail"]["goal"], "status": "not-started", "description": "Ax002 twice a day"}
    finished.change_there(PLAN, "CarePlan", activity=[*body["activity"], {"detail": step}])
    finished.world.log.steps |= {"Ax001": "there-1", "Ax002": "there-1"}
    finished.ask("history", PLAN, "step:step-1.text", None, "Ax001 from the ward")
    finished.world.database.raw.execute("update inbox set closed_at = opened_at")
    assert finished.moved() == {"silent"}
    [goal] = [key[0] for key in finished.world.there(A) if key[1] == "step there-1"]
    finished.ask("proposal", PLAN, "steps:step-2", None, {"goal": goal})
    assert finished.moved() == set()


def test_a_step_that_was_taken_out_on_both_sides_is_no_difference(finished: Finished) -> None:
    """Ours stays in the record, entered in error; where it still stands at the EHR the two differ."""
    goal = finished.world.there(A)
    [own, step] = next((key[0], key[1].partition(" ")[2]) for key in goal if key[1].startswith("step "))
    _, plan = finished.resource(PLAN, "CarePlan")
    raw = finished.world.database.raw
    [mine] = [one for one in sides.document(raw)["goals"] if one["id"] == own]
    steps = [{**one, "status": "entered_in_error"} if one["id"] == step else one for one in mine["steps"]]
    finished.change_here(own, steps=steps)
    assert finished.moved() == {"silent"}
    word = goal[own, f"step {step}"]
    left = [one for one in plan["activity"] if word not in one["detail"]["description"]]
    finished.change_there(PLAN, "CarePlan", activity=left)
    assert finished.moved() == set()


def test_a_goal_that_is_not_there_is_silent(finished: Finished) -> None:
    """A resource vanished, and nobody is told."""
    finished.world.boxes[A].storage.delete("Goal", finished.resource("g-b")[0])
    assert finished.moved() == {"silent"}


def test_a_second_parent_there_is_silent(finished: Finished) -> None:
    """A child has two parents at the EHR, and nobody is told."""
    finished.give_child("g-b", "g-a1")
    assert finished.moved() == {"silent"}


@pytest.mark.parametrize("child", ["alive", "decided earlier", "deleted", "moved"])
def test_a_write_of_ours_that_gives_a_child_a_second_parent_is_silent(finished: Finished, child: str) -> None:
    """Where it could see the first one; not one that was decided on earlier, and an edge to nothing is none.

    Nor is that of a second resource of the old parent, which nobody may edit.
    """
    watcher = finished.world.watchers[A]
    watcher.began += timedelta(days=1)
    id_, body = finished.resource("g-b")
    body["extension"].append(finished.edge("g-a2"))
    if child == "decided earlier":
        watcher.network.doubted.add(exact_json.dumps(body))
    if child == "deleted":
        finished.world.boxes[A].storage.delete("Goal", finished.resource("g-a2")[0])
    if child == "moved":
        twin = finished.world.boxes[A].storage.create("Goal", finished.resource("g-a")[1]).version
        finished.take_child("g-a", "g-a2")
        finished.world.log.resources[A, twin.id] = "g-a"
    finished.send("PUT", f"Goal/{id_}", body)
    assert bool(finished.world.log.broken) == (child == "alive")


def test_a_ring_of_our_own_is_silent(finished: Finished) -> None:
    """A goal stands above itself in our tree: that is never right, even where both sides agree."""
    finished.change_here("g-a", parent="g-a1")
    finished.give_child("g-a1", "g-a")
    lines = judge(finished.world).silent
    assert [line for line in lines if "our own tree" in line]
    assert [line for line in lines if f"a ring at {A}" in line]


def test_a_goal_that_nobody_put_where_it_stands_here_is_silent(finished: Finished) -> None:
    """Even where the EHR shows it there too."""
    finished.change_here("g-a1", parent=None)
    finished.take_child("g-a", "g-a1")
    assert [line for line in judge(finished.world).silent if "where nobody put it" in line]
    finished.world.noted(1, A, ("g-a1", "parent"), "-", "g-a")
    assert not [line for line in judge(finished.world).silent if "where nobody put it" in line]


# -- echo --


def test_a_write_that_changes_nothing_is_an_echo(finished: Finished) -> None:
    """What is stored is sent again."""
    id_, body = finished.resource("g-a")
    finished.send("PUT", f"Goal/{id_}", body)
    assert finished.moved() == {"echo"}


@pytest.mark.parametrize("seen", [None, "Goal/{id}", "Goal?patient=Patient/1"])
def test_what_a_late_call_did_since_it_was_read_is_no_echo(finished: Finished, seen: str | None) -> None:
    """Where no ETag holds the second call back nobody can know; whoever read it since can."""
    id_, body = finished.resource("g-a")
    new = {**body, "description": {"text": "Hx001 walks"}}
    finished.arrive_late("PUT", f"Goal/{id_}", new)
    if seen:
        finished.read(seen.format(id=id_))
    finished.send("PUT", f"Goal/{id_}", {**new, "meta": {"source": "urn:another-call"}})
    assert bool(finished.world.log.echoes) == bool(seen)
    finished.send("PUT", f"Goal/{id_}", {**new, "meta": {"source": "urn:one-more"}})
    assert finished.world.log.echoes


def test_a_call_that_the_server_still_holds_is_no_echo(finished: Finished) -> None:
    """The EHR's people went over our text, and we write it again: nothing has changed yet when the call breaks off."""
    id_, body = finished.resource("g-a")
    ours = {**body, "description": {"text": "Hx001 walks"}}
    finished.send("PUT", f"Goal/{id_}", ours)
    finished.change_there("g-a", description=body["description"])
    box = finished.world.networks[A].box
    box.knobs = Knobs(lose_every=1, late_s=30)
    finished.send("PUT", f"Goal/{id_}", {**ours, "meta": {"source": "urn:another-call"}})
    assert not finished.world.log.echoes
    box.knobs = Knobs()
    box.land()
    finished.send("PUT", f"Goal/{id_}", {**ours, "meta": {"source": "urn:one-more"}})
    assert finished.world.log.echoes


def test_writes_that_never_end_are_an_echo(finished: Finished) -> None:
    """Each run at rest writes something new."""
    restless = Restless(finished.world)
    assert rest(restless)  # type: ignore[arg-type]


class Restless:
    """A world whose every run writes."""

    def __init__(self, world: World) -> None:
        self.__dict__.update(world.__dict__)
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    async def sync(self, name: str, life: Life) -> Any:
        """Write a goal's text anew, then sync."""
        id_, body = Finished(self._world).resource("g-a")
        text = f"now {self._world.machine.tick}"
        body = {**body, "description": {"text": text}}
        request = Request("PUT", f"http://{A}.test/fhir/Goal/{id_}", {}, exact_json.dumps(body))
        await self._world.networks[A].send(request, life)
        return await self._world.sync(name, life)


# -- leak --


def test_words_of_a_withheld_goal_that_leave_are_a_leak(finished: Finished) -> None:
    """What is withheld stands in the bytes of a call that is sent after it was withheld."""
    _, body = finished.resource(PLAN, "CarePlan")
    finished.world.log.refused.add(A)
    finished.send("POST", "CarePlan", {key: body[key] for key in body if key != "id"})
    assert "leak" in finished.moved()


def test_a_body_that_keeps_what_stands_there_is_no_leak(finished: Finished) -> None:
    """Taking a reference out of a withheld goal keeps its words as they stand there."""
    finished.world.log.withheld.add("g-b")
    id_, body = finished.resource("g-b")
    finished.send("PUT", f"Goal/{id_}", {**body, "priority": {"text": "none"}})
    assert not finished.world.log.leaks


def test_words_of_a_withheld_goal_in_a_narrative_are_a_leak(finished: Finished) -> None:
    """A narrative is written by us each time, whatever stood there before."""
    finished.world.log.withheld.add("g-b")
    id_, body = finished.resource(PLAN, "CarePlan")
    finished.send("PUT", f"CarePlan/{id_}", body)
    assert finished.world.log.leaks


def test_words_of_one_ehr_at_another_are_a_leak(finished: Finished) -> None:
    """What came from B goes to A only where it is told so."""
    id_, body = finished.resource("g-b")
    finished.send("PUT", f"Goal/{id_}", {**body, "description": {"text": "Bx001"}})
    assert "leak" in finished.moved()


def test_a_reference_to_a_withheld_goal_that_stays_is_a_leak(finished: Finished) -> None:
    """Under `leave` too the goal list, steps, narrative and edges no longer name it."""
    finished.world.log.withheld.add("g-a")
    finished.world.log.ever_withheld.add("g-a")
    assert finished.moved() == {"leak"}
    said = "\n".join(judge(finished.world).leak)
    assert "CarePlan" in said
    assert "narrative" in said
    assert "g-a and g-a1 still refer" in said


@pytest.mark.parametrize(("owner", "leaks"), [("g-a", False), ("g-b", True)])
def test_a_reference_in_what_the_ehr_refuses_is_told_of_by_the_item_of_that_resource(
    finished: Finished, owner: str, leaks: bool
) -> None:
    """The refusal is of the resource that refers to the withheld goal; one of another goal says nothing of it."""
    finished.world.log.withheld.add("g-a1")
    finished.world.log.ever_withheld.add("g-a1")
    finished.ask("held", owner, "Goal", None, None, why="refused")
    assert ("g-a and g-a1 still refer" in "\n".join(judge(finished.world).leak)) is leaks


def test_a_step_that_only_an_ehr_has_may_refer_to_a_withheld_goal(finished: Finished) -> None:
    """It never came into our record, so nothing of it is ours to take out; one of ours that refers to it is a leak."""
    finished.world.log.steps["Ax009"] = "there-9"
    id_, _ = finished.resource("g-b")
    resource_id, plan = finished.resource(PLAN, "CarePlan")
    theirs = {"detail": {"description": "Ax009 from", "goal": [{"reference": f"Goal/{id_}"}]}}
    others = [one for one in plan["activity"] if f"Goal/{id_}" not in json.dumps(one)]
    goals = [one for one in plan["goal"] if one["reference"] != f"Goal/{id_}"]
    changed = {**plan, "activity": [*others, theirs], "goal": goals, "text": {"status": "empty", "div": "<div/>"}}
    finished.world.boxes[A].edit("CarePlan", resource_id, changed)
    finished.world.log.withheld.add("g-b")
    assert not [line for line in judge(finished.world).leak if "CarePlan" in line]
    finished.world.log.steps["Ax009"] = "st-g-b"
    assert [line for line in judge(finished.world).leak if "CarePlan" in line]


@pytest.mark.parametrize(("maker", "leaks"), [(A, False), ("ehr-b", True)])
def test_a_step_that_somebody_made_at_that_ehr_stays_with_what_it_refers_to(
    finished: Finished, maker: str, leaks: bool
) -> None:
    """Though it came into our record: it is a leak where it came there from us."""
    id_, _ = finished.resource("g-b")
    resource_id, plan = finished.resource(PLAN, "CarePlan")
    step = next(one for one in plan["activity"] if f"Goal/{id_}" in json.dumps(one))
    finished.world.log.steps[first_word(step["detail"]["description"])] = "there-9"
    finished.world.noted(1, maker, ("g-b", "step there-9"), "Ax009", "-")
    goals = [one for one in plan["goal"] if one["reference"] != f"Goal/{id_}"]
    changed = {**plan, "goal": goals, "text": {"status": "empty", "div": "<div/>"}}
    finished.world.boxes[A].edit("CarePlan", resource_id, changed)
    finished.world.log.withheld.add("g-b")
    assert bool([line for line in judge(finished.world).leak if "CarePlan" in line]) is leaks


@pytest.mark.parametrize("finished", ["blank"], indirect=True)
def test_words_that_should_be_taken_back_and_stay_are_a_leak(finished: Finished) -> None:
    """The connection blanks what is withheld, and the words still stand."""
    finished.world.log.withheld.add("g-b")
    assert any("g-b at ehr-a still says" in line for line in judge(finished.world).leak)


# -- needless --


def test_a_question_about_what_nobody_wrote_is_needless(finished: Finished) -> None:
    """A conflict on a unit that no one edited at the EHR."""
    finished.ask("conflict", "g-a", "text", "Hx001", "Tx000 at first")
    assert finished.moved() == {"needless"}


def test_a_conflict_of_which_only_one_side_wrote_is_needless(finished: Finished) -> None:
    """The EHR wrote since both agreed, and we did not."""
    finished.change_there("g-a", description={"text": "Ax001 runs"})
    finished.world.noted(1, A, ("g-a", "text"), "Ax001", "Tx000")
    finished.ask("conflict", "g-a", "text", "Tx000 at first", "Ax001 runs")
    assert finished.moved() == {"needless"}


def test_a_conflict_of_which_both_sides_wrote_is_not_needless(finished: Finished) -> None:
    """Both wrote since they agreed: a person decides."""
    finished.change_there("g-a", description={"text": "Ax001 runs"})
    finished.change_here("g-a", text="Hx002")
    finished.world.noted(1, A, ("g-a", "text"), "Ax001", "Tx000")
    finished.world.noted(2, "here", ("g-a", "text"), "Hx002", "Tx000")
    finished.ask("conflict", "g-a", "text", "Hx002", "Ax001 runs")
    assert finished.moved() == set()


@pytest.mark.parametrize(("began", "agreed"), [(0, False), (2, True)])
def test_what_was_written_while_a_run_read_is_not_agreed_at_its_end(
    finished: Finished, began: int, agreed: bool
) -> None:
    """Both wrote the same day while a run was under way: it need not have read both; a run after that has."""
    finished.world.noted(1, A, ("g-a", "target_date"), "2027-01-02", "2026-12-18")
    finished.world.noted(2, "here", ("g-a", "target_date"), "2027-01-02", "2026-12-18")
    finished.change_there("g-a", target=[{"dueDate": "2027-01-02"}])
    finished.change_here("g-a", target_date="2027-01-02")
    observe(finished.world, A, settled=True, began=Moment(0, began))
    finished.world.noted(3, A, ("g-a", "target_date"), "2027-01-04", "2027-01-02")
    finished.change_there("g-a", target=[{"dueDate": "2027-01-04"}])
    finished.ask("conflict", "g-a", "target_date", "2027-01-02", "2027-01-04")
    assert any("since it was agreed" in line for line in judge(finished.world).needless) == agreed


@pytest.mark.parametrize(
    ("after", "agreed"),
    [((), False), ((OVERLAP_TICKS - 1,), False), ((OVERLAP_TICKS,), True), ((1, OVERLAP_TICKS), True)],
)
def test_a_child_that_lost_its_parent_there_is_agreed_on_only_by_a_second_reading(
    finished: Finished, after: tuple[int, ...], agreed: bool
) -> None:
    """The EHR gave a root a parent and took it back, as ours always was; a run read that, and `after` so long others.

    Then ours moves: an edit on both sides since they agreed, until a run after the overlap has read it so again.
    """
    world, place = finished.world, ("g-a", "parent")
    world.noted(1, A, place, "g-b", NOTHING)
    world.noted(2, A, place, NOTHING, "g-b")
    now = world.machine.tick
    for later in (0, *after):
        observe(world, A, settled=True, began=Moment(now + later, 2))
    world.noted(3, "here", place, "g-b", NOTHING)
    finished.change_here("g-a", parent="g-b")
    finished.ask("conflict", PLAN, "parent_map:g-a", ["g-b"], None)
    assert any("only we wrote" in line for line in judge(world).needless) == agreed


@pytest.mark.parametrize(
    ("moves", "settled"),
    [
        ([("here", "g-b")], True),
        ([("ehr-b", "g-b")], False),
        ([("here", "g-b"), ("here", "g-a2"), ("ehr-b", "g-b")], False),
        ([("ehr-b", "g-b"), ("here", "g-a2"), ("here", "g-b")], True),
    ],
)
def test_two_parents_are_asked_about_where_one_came_from_another_ehr(
    moves: list[tuple[str, str]], settled: bool
) -> None:
    """The policy decides over what we wrote last, and never over what this EHR may not see."""
    of_theirs = _finished(Cell(policy="auto-theirs"))
    for edit, (writer, parent) in enumerate(moves):
        of_theirs.world.noted(edit, writer, ("g-a1", "parent"), parent, "-")
    of_theirs.change_here("g-a1", parent="g-b")
    of_theirs.world.noted(len(moves), A, ("g-a1", "parent"), "g-a+g-b", "g-a")
    of_theirs.give_child("g-b", "g-a1")
    of_theirs.ask("conflict", PLAN, "parent_map:g-a1", ["g-b"], ["g-a", "g-b"], why="both_changed")
    assert any("the policy settles" in line for line in judge(of_theirs.world).needless) == settled


@pytest.mark.parametrize(("ticks", "needless"), [(HALF_TICKS, False), (HALF_TICKS + 1, True)])
def test_two_parents_of_two_moves_there_are_asked_about_where_one_is_ours(
    finished: Finished, ticks: int, needless: bool
) -> None:
    """One move had taken the child from our parent, the other one gave it back before the first gave it to its own.

    Moves that are further apart don't leave two parents: the later one takes the child from where it is.
    """
    world = finished.world
    world.noted(1, A, ("g-a1", "parent"), "g-b", "g-a")
    world.machine.tick += ticks
    world.noted(2, A, ("g-a1", "parent"), "g-a", "-")
    finished.give_child("g-b", "g-a1")
    finished.ask("conflict", PLAN, "parent_map:g-a1", ["g-a"], ["g-a", "g-b"], why="second_parent")
    assert finished.moved() == ({"needless"} if needless else set())


def test_a_proposal_that_the_policy_takes_is_needless(finished: Finished) -> None:
    """The table takes texts of the EHR."""
    finished.change_there("g-a", description={"text": "Ax001 runs"})
    finished.world.noted(1, A, ("g-a", "text"), "Ax001", "Tx000")
    finished.ask("proposal", "g-a", "text", "Tx000 at first", "Ax001 runs")
    assert finished.moved() == {"needless"}


def test_a_question_about_a_child_of_a_void_goal_that_nobody_moved_is_needless(finished: Finished) -> None:
    """Its place is unknown and not taken away (rule R13)."""
    finished.world.log.void["g-a"] = {A}
    finished.ask("proposal", PLAN, "parent_map:g-a1", ["g-a"], None)
    assert "needless" in finished.moved()


def test_two_parents_of_a_goal_that_is_withheld_are_a_question() -> None:
    """The policy may settle what the EHR could see."""
    finished = _finished(Cell("plain", "auto-theirs"))
    finished.give_child("g-b", "g-a2")
    finished.world.noted(1, A, ("g-a2", "parent"), "g-b", "g-a")
    finished.ask("conflict", PLAN, "parent_map:g-a2", ["g-a"], ["g-a", "g-b"], why="over_a_hidden_value")
    assert "needless" in finished.moved()
    finished.world.log.withheld.add("g-a2")
    finished.world.log.ever_withheld.add("g-a2")
    assert "needless" not in finished.moved()


def test_a_plan_that_the_share_of_changes_stopped_is_needless(finished: Finished) -> None:
    """That counts from fifty links on; removals count anywhere."""
    finished.ask("guard", PLAN, None, None, None, why="too_many_removals")
    assert "needless" not in finished.moved()
    finished.ask("guard", PLAN, None, None, None, why="too_many_changes")
    assert "needless" in finished.moved()


# -- growth --


def test_an_intent_that_stays_is_growth(finished: Finished) -> None:
    """A call is still open at rest."""
    finished.world.database.raw.execute(
        "insert into intents (id, connection, plan_id, kind, local_id, method, units, body, body_hash, state,"
        " opened_at, fence) values ('i', 'ehr-a', 'plan-1', 'Goal', 'g-a', 'update', '[]', '', '', 'open', '2026', 1)"
    )
    assert finished.moved() == {"growth"}


def test_two_questions_about_one_unit_are_growth(finished: Finished) -> None:
    """One of them is out of date."""
    finished.change_there("g-a", statusReason="Ax002")
    finished.world.noted(1, A, ("g-a", "status"), "active/Ax002", "active/-")
    for reason in ("Ax001", "Ax002"):
        finished.ask("proposal", "g-a", "status", None, {"lifecycle": "active", "status_reason": reason})
    assert finished.moved() == {"growth"}
