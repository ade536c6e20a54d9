"""Seeded schedules of faults and edits at HAPI and Medplum: the common outcome of vendor reference 5 holds at rest.

No edit of either side is lost, nothing is there twice, no difference is without an open item, and a run with nothing
to do writes nothing. `FHIRGOALS_LONG=1` plays a hundred seeds with a hundred goals.
"""

from __future__ import annotations

import copy
import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.e2e.servers.schedule import Schedule, counted, schedule
from tests.e2e.servers.schedule_oracle import METERS, Edit, ask
from tests.servers import launch
from tests.servers.fixtures import had
from tests.servers.shared import Run

Json: TypeAlias = Any

LONG = bool(os.environ.get("FHIRGOALS_LONG"))
FIRST = int(os.environ.get("FHIRGOALS_FIRST_SEED", "0"))
SEEDS, GOALS = (100, 100) if LONG else (5, 30)


@pytest.fixture(params=["hapi", "medplum"])
def url(request: pytest.FixtureRequest, server_run: Run) -> Iterator[str]:
    """Medplum's memory repository looks at every resource in every search: it starts anew for each test."""
    if request.param == "hapi":
        yield request.getfixturevalue("hapi").url
        return
    with had(server_run, f"medplum-{uuid.uuid4().hex}", launch.medplum) as address:
        yield address


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_a_schedule_of_faults_loses_and_doubles_nothing(
    url: str, seed: int, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Both sides edit between runs under faults; at rest every edit is current on both sides or asks a person."""
    async with schedule(url, seed, tmp_path, operation_id_kept=seed % 2 == 1) as one:
        verdict = await one.play(GOALS)
        faults = Counter({name: count for name, count in one.proxy.faults().items() if count})
        there = sum(edit.side == "there" for edit in one.edits)
        figure(
            f"{len(one.edits) - there} edits here, {there} there, {one.runs} runs, {verdict.items} items open, "
            f"guard cleared {one.cleared} times, {dict(faults)}"
        )
        assert not any(verdict.counts.values()), "\n".join([*counted(verdict), one.proxy.trace()])
        assert sum(faults.values()) > GOALS / 3


@pytest.mark.parametrize("url", ["medplum"], indirect=True)
async def test_each_meter_moves_when_something_is_wrong(url: str, tmp_path: Path) -> None:
    """Nothing is wrong at rest; each planted fault moves the meters that it should, and no other."""
    async with schedule(url, 7, tmp_path) as one:
        await one.started(10)
        await one.run()
        await one.edit_both()
        edited = {edit.goal for edit in one.edits} | set(one.names[::5])  # no parents
        untouched, reworded, theirs = [name for name in one.names if name not in edited][:3]
        one.edit_there(theirs, "text")
        await one.edit_here(reworded, "text")
        assert (await one.rest()).counts == dict.fromkeys(METERS, 0)
        for name, (plant, moved) in FAULTS.items():
            undo = plant(one, untouched)
            verdict = one.oracle.judge(one.edits, [])
            assert {meter for meter, count in verdict.counts.items() if count} == set(moved), (name, verdict)
            undo()
        assert one.oracle.judge(one.edits, []).counts == dict.fromkeys(METERS, 0)
        await one.edit_here(untouched, "text")
        assert (await one.judged()).counts == {**dict.fromkeys(METERS, 0), "writes": 1}


Undo = Callable[[], object]


def changed_there(edit: Callable[[Json], object]) -> Callable[[Schedule, str], Undo]:
    """Return the fault that a goal there, which nobody edited, reads otherwise."""

    def plant(one: Schedule, goal: str) -> Undo:
        before = one.oracle.there().goal(goal)
        edit(after := copy.deepcopy(before))
        ask(one.oracle.base, "PUT", f"Goal/{before['id']}", after)
        return lambda: ask(one.oracle.base, "PUT", f"Goal/{before['id']}", before)

    return plant


def care_plan_changed(edit: Callable[[Json], object]) -> Callable[[Schedule, str], Undo]:
    def plant(one: Schedule, _goal: str) -> Undo:
        [before] = one.oracle.there().care_plans
        edit(after := copy.deepcopy(before))
        ask(one.oracle.base, "PUT", f"CarePlan/{before['id']}", after)
        return lambda: ask(one.oracle.base, "PUT", f"CarePlan/{before['id']}", before)

    return plant


def another(edit: Callable[[Json], object]) -> Callable[[Schedule, str], Undo]:
    """Return the fault that a second goal is there, made from one of ours."""

    def plant(one: Schedule, goal: str) -> Undo:
        edit(tree := copy.deepcopy(one.oracle.there().goal(goal)))
        del tree["id"], tree["meta"]  # Medplum would take the id for its own
        made = ask(one.oracle.base, "POST", "Goal", tree)
        assert made.status == 201
        return lambda: ask(one.oracle.base, "DELETE", f"Goal/{made.tree()['id']}")

    return plant


def edit_that_never_arrived(one: Schedule, goal: str) -> Undo:
    one.edits.append(Edit("there", goal, "text", "Never arrived", None))
    return one.edits.pop


def edit_undone(one: Schedule, _goal: str) -> Undo:
    """Put back there, unseen, what an edit of ours had overwritten."""
    edit = one.edits[-1]
    return changed_there(lambda tree: tree["description"].update(text=edit.over))(one, edit.goal)


def taken_away(one: Schedule, goal: str) -> Undo:
    """Take the child out of its parent there."""
    there = one.oracle.there()
    [parent] = there.parents(goal)
    name = f"Goal/{there.goal(goal)['id']}"
    kept = [each for each in there.goal(parent)["extension"] if f'"{name}"' not in json.dumps(each, default=str)]
    return changed_there(lambda tree: tree.update(extension=kept))(one, parent)


def edit_that_nobody_made(one: Schedule, _goal: str) -> Undo:
    """Take an edit there, which was taken over here, out of the log."""
    edit = one.edits.pop(-2)
    return lambda: one.edits.insert(-1, edit)


FAULTS: Mapping[str, tuple[Callable[[Schedule, str], Undo], tuple[str, ...]]] = {
    "an edit never arrived": (edit_that_never_arrived, ("lost",)),
    "an edit undone there": (edit_undone, ("lost", "silent")),
    "an edit that nobody made": (edit_that_nobody_made, ("claimed",)),
    "a second resource with our identifier": (another(lambda tree: None), ("doubled",)),
    "the same text twice": (another(lambda tree: tree.pop("identifier")), ("doubled", "silent")),
    "another text": (changed_there(lambda tree: tree["description"].update(text="x")), ("silent",)),
    "another status": (changed_there(lambda tree: tree.update(lifecycleStatus="on-hold")), ("silent",)),
    "another date": (changed_there(lambda tree: tree["target"][0].update(dueDate="2029-01-01")), ("silent",)),
    "no priority": (changed_there(lambda tree: tree.pop("priority")), ("silent",)),
    "a note": (changed_there(lambda tree: tree.update(note=[{"text": "x"}])), ("silent",)),
    "a note twice": (changed_there(lambda tree: tree.update(note=[{"text": "x"}] * 2)), ("doubled", "silent")),
    "a child without its parent": (taken_away, ("silent",)),
    "an entry of the goal list gone": (care_plan_changed(lambda tree: tree["goal"].pop()), ("silent",)),
    "an entry twice": (care_plan_changed(lambda tree: tree["goal"].append(tree["goal"][0])), ("doubled", "silent")),
    "a step's status": (care_plan_changed(lambda tree: tree["activity"][0]["detail"].update(status="x")), ("silent",)),
    "a step gone": (care_plan_changed(lambda tree: tree["activity"].pop()), ("silent",)),
    "another title": (care_plan_changed(lambda tree: tree.update(title="x")), ("silent",)),
}
