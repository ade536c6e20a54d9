"""What of a plan's units can be said where only some of its goals have a resource."""

from __future__ import annotations

from fhirgoals.domain.units import Json, Unit
from fhirgoals.sync.nameable import nameable


def plan(name: str) -> Unit:
    return Unit("plan-1", name)


VALUES: dict[Unit, Json] = {
    plan("title"): "Sleep",
    plan("order"): ["g-1", "g-2"],
    plan("order:g-2"): ["st-2"],
    plan("membership:g-1"): True,
    plan("membership:g-2"): True,
    plan("steps:st-1"): {"goal": "g-1"},
    plan("step:st-1.text"): "Read",
    plan("steps:st-2"): {"goal": "g-2"},
    plan("step:st-2.text"): "Write",
    plan("intervention:iv-1"): {"modality": "cbt", "goals": ["g-1", "g-2"]},
    plan("intervention:iv-2"): {"modality": "cbt", "goals": ["g-2"]},
    Unit("g-2", "text"): "Sleep well",
}


def test_what_names_a_goal_that_is_not_there_is_left_out() -> None:
    """Its step with all parts, its places and its interventions; of what names others too, only the name."""
    assert nameable("plan-1", VALUES, ["g-1"]) == {
        plan("title"): "Sleep",
        plan("order"): ["g-1"],
        plan("membership:g-1"): True,
        plan("steps:st-1"): {"goal": "g-1"},
        plan("step:st-1.text"): "Read",
        plan("intervention:iv-1"): {"modality": "cbt", "goals": ["g-1"]},
        Unit("g-2", "text"): "Sleep well",
    }


def test_nothing_is_left_out_where_all_goals_are_there() -> None:
    """The units are as they were."""
    assert nameable("plan-1", VALUES, ["g-1", "g-2"]) == VALUES


def test_what_is_known_there_stays_as_it_is() -> None:
    """A step that was agreed on, or that stands there, is not taken out because its goal has no resource."""
    known = {plan("steps:st-2"), plan("step:st-2.text")}
    assert known <= nameable("plan-1", VALUES, ["g-1"], known).keys()
