"""A few seeded runs with calls that get lost or late and a process that dies: nothing lost, doubled or different."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.simulate.cells import Cell
from tests.simulate.database import database
from tests.simulate.run import play
from tests.simulate.script import script


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 2])
def test_a_seed_plays_the_same_each_time(connections: int) -> None:
    """A run is a function of its seed: the same story, to the tick."""
    cell = Cell(connections=connections)
    assert play(script(cell, 5)).lines == play(script(cell, 5)).lines


def test_the_oracle_knows_nothing_of_the_product() -> None:
    """Whoever judges must not share the judged one's code: no `sync`, `mappers` or `domain` is loaded with it."""
    code = "import json, sys, tests.simulate.oracle; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    assert "tests.simulate.sides" in loaded
    assert not [name for name in loaded if name.startswith("fhirgoals")]


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plain", "no_history_transactions"])
def test_a_run_is_the_same_with_statements_carried_out_by_sqlalchemy(variant: str) -> None:
    """The short way from a repository to the database changes nothing: same story, same verdict."""
    planned = script(Cell(variant, mix="resolve", connections=2), 6, 30)
    short = play(planned)
    store = database()
    direct = store.connection
    store.connection = direct.connection
    try:
        long = play(planned)
    finally:
        store.connection = direct
    assert (long.lines, long.verdict) == (short.lines, short.verdict)
