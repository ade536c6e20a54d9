"""The five examples' SMART letters and scores, at their day."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhirgoals.domain import instruments, smart, smart_limits
from tests.plans import AS_OF, EXAMPLES, example, expected

WANTED = [(path, goal_id, want) for path in EXAMPLES for goal_id, want in expected(path)["smart"].items()]


@pytest.mark.parametrize(("path", "goal_id", "want"), WANTED, ids=lambda value: getattr(value, "stem", str(value)[:16]))
def test_an_example_has_its_letters(path: Path, goal_id: str, want: dict[str, str]) -> None:
    """Every letter and score of `expected.smart` comes out, alone and among all goals."""
    assert expected(path)["as_of"] == AS_OF
    given = (AS_OF, smart_limits.standard(), instruments.standard())
    found = smart.assess(example(path), goal_id, *given)
    assert {**found.results, "score": found.score} == want
    assert smart.assess_all(example(path), *given)[goal_id] == found


def test_no_example_repeats_anothers_wording() -> None:
    """The examples' goals are each worded for their own client."""
    plans = [example(path) for path in EXAMPLES]
    for plan in plans:
        reused = smart.other_wordings(plan, plans)
        every = smart.assess_all(plan, AS_OF, smart_limits.standard(), instruments.standard(), reused).values()
        assert "same_wording" not in {reason.code for each in every for reason in each.hints}


def test_no_reason_repeats_a_word_of_the_plan() -> None:
    """No sentence holds a sentinel, an id or a text of the plan it is about."""
    for path in EXAMPLES:
        plan = example(path)
        for found in smart.assess_all(plan, AS_OF, smart_limits.standard(), instruments.standard()).values():
            said = " ".join(reason.sentence for letter in found.letters for reason in letter.reasons)
            goal = plan.goal(found.goal)
            assert not any(text and text in said for text in (goal.id, goal.text, goal.client_words))
            assert "SENTINEL" not in said
