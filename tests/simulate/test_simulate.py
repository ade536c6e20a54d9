"""A few seeded runs with calls that get lost or late and a process that dies: nothing lost, doubled or different."""

from __future__ import annotations

import pytest

from fhirgoals.sandbox.knobs import Knobs
from tests.simulate.run import play


@pytest.mark.parametrize(("seed", "connections"), [*((seed, 1) for seed in range(6)), (0, 2), (1, 2), (23, 2)])
async def test_a_seeded_run_ends_without_a_fault(seed: int, connections: int) -> None:
    """Every edit is current, knowingly overwritten or in an open item; a further run writes nothing."""
    run = await play(seed, connections=connections)
    assert run.verdict.faults == [], "\n".join(run.story)
    assert run.echo == 0


async def test_the_oracle_sees_an_edit_that_is_taken_back() -> None:
    """A server that cuts texts loses what it is given: the meter for silent differences moves."""
    run = await play(1, knobs=Knobs(cut_text=4))
    assert run.verdict.silent
