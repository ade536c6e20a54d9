"""Members of ours among the activities that we do not read: found by id, extension or words, and held."""

from __future__ import annotations

from uuid import UUID

import pytest

from fhirgoals.domain.units import STEP_PARTS, Unit, Values
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.terminology import STEP_ID_EXT
from fhirgoals.mappers.assemble import Assembled
from fhirgoals.mappers.assembly import minted
from fhirgoals.mappers.other_form import in_another_form
from fhirgoals.mappers.refs import Refs

REFS = Refs(namespace=UUID(int=1), plan_id="p")
BORN = minted("step", "theirs-1")
IDS = {"step": frozenset({"st-1", BORN}), "intervention": frozenset({"iv-1"})}
KNOWN: Values = {Unit("p", "step:st-1.text"): "Walk", Unit("p", "intervention:iv-1"): {"technique": "Exposure"}}
STEP = {Unit("p", "steps:st-1"), *(Unit("p", f"step:st-1.{part}") for part in STEP_PARTS)}


def forbidden(**parts: Tree) -> dict[str, Tree]:
    return {"doNotPerform": True, **parts}


@pytest.mark.parametrize(
    ("activity", "held"),
    [
        ({"id": REFS.element("step", "st-1"), "reference": {"reference": "Task/1"}}, STEP),
        (
            {
                "id": "new",
                "extension": [{"url": STEP_ID_EXT, "valueString": REFS.element("step", "st-1")}],
                "detail": forbidden(),
            },
            STEP,
        ),
        ({"detail": forbidden(description="Walk")}, STEP),
        ({"id": REFS.element("intervention", "iv-1"), "detail": forbidden()}, {Unit("p", "intervention:iv-1")}),
        ({"detail": forbidden(description="Exposure")}, {Unit("p", "intervention:iv-1")}),
        ({"id": REFS.element("step", "st-1"), "detail": {"description": "Walk"}}, set()),  # that one we read
        ({"detail": forbidden(description="Run")}, set()),
        ({"id": 1, "detail": forbidden(description=2)}, set()),
        ("walk", set()),
    ],
)
def test_a_member_in_a_form_that_we_do_not_read_is_held(activity: Tree, held: set[Unit]) -> None:
    """Whatever is known of it there tells which one it is; what tells nothing is theirs."""
    assert in_another_form({"activity": [activity]}, Assembled(), REFS, KNOWN, IDS).keys() == held


def test_a_step_that_was_born_there_is_known_by_their_own_id() -> None:
    """Its id here was minted from that id."""
    tree: Resource = {"activity": [{"id": "theirs-1", "detail": forbidden()}]}
    assert Unit("p", f"steps:{BORN}") in in_another_form(tree, Assembled(), REFS, {}, IDS)


def test_a_member_that_stands_there_too_as_we_read_it_is_not_held() -> None:
    """The one that we read is it; the other is somebody else's by now."""
    tree: Resource = {"activity": [{"id": REFS.element("step", "st-1"), "detail": forbidden()}]}
    assert in_another_form(tree, Assembled(activities=("st-1",)), REFS, KNOWN, IDS) == {}


def test_two_members_of_the_same_words_are_not_guessed_at() -> None:
    """Without an id, nothing says which of them it is."""
    known: Values = {Unit("p", f"step:st-{number}.text"): "Walk" for number in (1, 2)}
    tree: Resource = {"activity": [{"detail": forbidden(description="Walk")}]}
    assert in_another_form(tree, Assembled(), REFS, known, IDS) == {}
