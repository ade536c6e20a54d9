"""What others wrote in an activity that a call takes out: nothing of ours is taken for theirs, nor theirs for ours."""

from __future__ import annotations

from uuid import UUID

import pytest

from fhirgoals.domain.units import Json, Unit
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.mappers.assemble import Assembled
from fhirgoals.mappers.refs import Refs
from fhirgoals.sync.call import Call, Sent
from fhirgoals.sync.decide import Theirs
from fhirgoals.sync.reading import There
from fhirgoals.sync.taken_along import taken_along, told_of

STEP, GOAL = Unit("p", "steps:st-1"), {"reference": "Goal/1"}
THERE = There(
    "p",
    {},
    {},
    None,
    Theirs(Assembled(activities=("st-1",)), {}),
    Refs(namespace=UUID(int=1), plan_id="p", goals={"g-1": "Goal/1"}),
)


def call(detail: dict[str, Tree], sent: Json = None, **more: Tree) -> Call:
    body: dict[str, Tree] = {"activity": [{"reference": {"reference": "Task/1"}}, {"detail": detail, **more}]}
    return Call("CarePlan", "p", {}, {STEP: Sent(sent, 4)}, before=body)


@pytest.mark.parametrize(
    ("detail", "more", "kept"),
    [
        ({"description": "Walk", "kind": "Task", "goal": [GOAL], "status": "completed"}, {}, None),
        ({"status": "completed", "kind": "Task", "goal": [GOAL]}, {"id": "a-1"}, None),
        ({"location": {"display": "Ward"}}, {}, {"detail": {"location": {"display": "Ward"}}}),
        ({"goal": [GOAL], "reasonReference": [GOAL]}, {}, {"detail": {"reasonReference": [GOAL]}}),
        ({}, {"progress": [{"text": "Dizzy"}], "outcomeCodeableConcept": None}, {"progress": [{"text": "Dizzy"}]}),
    ],
)
def test_only_what_we_do_not_read_is_theirs(detail: dict[str, Tree], more: dict[str, Tree], kept: Json) -> None:
    """What the mapper reads is in units of ours, and judged as such."""
    found = taken_along(call(detail, **more), THERE, {})
    assert [one.seen.theirs for one in found] == ([] if kept is None else [kept])
    assert told_of(call(detail), found, 2) == []  # the step ended here: nothing was taken back


def test_an_activity_that_stays_keeps_what_is_in_it() -> None:
    """A step with a goal there is not taken out, whatever of it goes."""
    assert taken_along(call({"location": {}}, {"goal": "g-1"}, progress=[{"text": "Dizzy"}]), THERE, {}) == []
    assert taken_along(call({}, {"goal": "g-9"}, progress=[{"text": "Dizzy"}]), THERE, {}) != []
