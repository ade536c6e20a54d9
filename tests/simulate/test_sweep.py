"""Sweeps: many seeds over all cells, with no fault; and the log that says what was played."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.simulate import sweeps, totals
from tests.simulate.__main__ import fixed, told, trace
from tests.simulate.cells import read
from tests.simulate.sweep import BATCH, Figures, Sweep, cell_of, every_cell, play_batch

RUNS = int(os.environ.get("FHIRGOALS_SIM_RUNS", "3000"))

FIRST = 500_000_000
"""The seeds of these tests are the same each time, and none of the log's."""


def shown(figures: Figures, capsys: pytest.CaptureFixture[str]) -> None:
    """Print the table; fail with the story of the first failing seed where there is one."""
    with capsys.disabled():
        print(f"\n{fixed()}\n{told(figures)}")
    if figures.forbidden:
        seeds = ", ".join(str(one.seed) for one in figures.forbidden)
        pytest.fail(f"{told(figures)}\n\nfailing seeds: {seeds}\n\n{trace(figures.forbidden[0])}", pytrace=False)


def test_a_few_seeds_have_no_fault() -> None:
    """Some short runs far apart from each other: nothing lost, doubled, silently different, echoed or leaked."""
    figures = Sweep(every_cell(), range(FIRST, FIRST + 30), edits=10).play()
    assert figures.total["runs"] == 30
    assert figures.forbidden == []


@pytest.mark.slow
def test_thousands_of_seeds_over_all_cells_have_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """All variants, policies, main mixes, one and two connections; `FHIRGOALS_SIM_RUNS` says how many runs."""
    figures = Sweep(every_cell(), range(FIRST, FIRST + RUNS), jobs=2, tell=print).play()
    assert figures.total["runs"] == RUNS
    shown(figures, capsys)


ONCE = Path(__file__).with_name("failed_once.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in ONCE if not line.startswith("#")])
def test_what_failed_once_fails_no_more(line: str) -> None:
    """Each run that showed a fault, as it was found: by now all of them are right."""
    cell, _, seed = line.rpartition(" ")
    assert play_batch([(read(cell), int(seed))], None).forbidden == []


def test_consecutive_seeds_go_evenly_through_all_cells() -> None:
    """Of as many seeds as there are cells each has one, wherever they begin; a few are of many variants."""
    cells = every_cell()
    assert Counter(cell_of(seed, cells) for seed in range(777, 777 + len(cells))) == Counter(cells)
    few = [cell_of(seed, cells) for seed in range(100)]
    assert len({cell.variant for cell in few}) == len({cell.variant for cell in cells})
    assert {cell.policy for cell in few} == {cell.policy for cell in cells}
    assert Counter(cell.connections for cell in few)[1] in range(40, 61)


def test_a_sweep_that_is_stopped_keeps_what_was_played(tmp_path: Path) -> None:
    """Whoever stops it loses nothing: the next one begins after the last seed that was played."""
    sweep = Sweep(every_cell("plain", "default", "base", 1), range(100, 1000), edits=1, tell_s=0.0)
    heard: list[str] = []

    def stop(line: str) -> None:
        heard.append(line)
        sweep.stopped = True

    sweep.tell = stop
    sweep.play()
    line = sweeps.line_of(sweep, "abc", clean=True, chosen={"edits": 1})
    assert line["seeds"] == [100, 100 + BATCH]
    assert heard == [heard[0]]
    assert f"{BATCH} of 900 runs" in heard[0]
    log = tmp_path / "log.jsonl"
    sweeps.append(line, log)
    assert sweeps.read(log) == [json.loads(json.dumps(line))]
    assert sweeps.next_seed(sweeps.read(log)) == 100 + BATCH


def test_a_fault_stands_in_the_log_and_in_the_totals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failing seed is named with its cell, meter and commit; lines fit 100 columns."""
    sweep = Sweep(every_cell("plain", "default", "base", 1), range(3), edits=1)
    sweep.play()
    cell = sweep.cells[0]
    line = sweeps.line_of(sweep, "abc", clean=False, chosen={})
    log = tmp_path / "log.jsonl"
    sweeps.append(line, log)
    assert totals.main(["--log", str(log)]) == 0
    sweeps.append({**line, "failing": [[str(cell), 2, "lost"]]}, log)
    capsys.readouterr()
    assert totals.main(["--log", str(log)]) == 1
    said = capsys.readouterr().out
    assert f"lost        seed 2 of {cell}" in said
    assert "abc           changed" in said
    assert max(map(len, said.splitlines())) <= 100
    assert totals.main(["--log", str(log), "--again"]) == 0
    assert f"seed 2 of {cell}: lost no more" in capsys.readouterr().out


def test_a_needless_question_is_forbidden_where_the_server_shows_what_happened() -> None:
    """Where versions, history or content are not to be had, such questions are counted."""
    assert {cell.variant for cell in every_cell() if not cell.forbids("needless")} >= {"no_etag", "no_history"}
    assert all(cell.forbids("lost") for cell in every_cell())
    assert all(cell.forbids("needless") for cell in every_cell("plain"))
