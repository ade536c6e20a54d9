"""Makes a failing run small: less bad luck, fewer acts, while the same meter moves. Greedy, and good enough to read."""

from __future__ import annotations

from tests.simulate.run import Run, play
from tests.simulate.script import Script, without_fate, without_some


def shrunk(script: Script, meter: str) -> Run:
    """Return a run of a smaller script that still moves the meter; the run itself where none does.

    Acts are left out by halves, by quarters, and so on down to one.
    """
    best = _smaller(play(script), meter, 0)
    size = len(script.acts)
    while size := size // 2:
        best = _smaller(best, meter, size)
    return _smaller(best, meter, 0)


def _smaller(best: Run, meter: str, size: int) -> Run:
    """Return the run without `size` acts in a row, or (0) without one kind of bad luck, as often as that can be."""
    while True:
        for candidate in without_some(best.script, size) if size else without_fate(best.script):
            run = play(candidate)
            if getattr(run.verdict, meter):
                best = run
                break
        else:
            return best
