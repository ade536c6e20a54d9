"""Makes a failing run small: less bad luck, fewer acts, while the same meter moves. Greedy, and good enough to read."""

from __future__ import annotations

from tests.simulate.run import Run, Script, play, without_fate, without_one


def shrunk(script: Script, meter: str) -> Run:
    """Return a run of a smaller script that still moves the meter; the run itself where none does."""
    best = play(script)
    smaller = True
    while smaller:
        smaller = False
        for candidate in [*without_fate(best.script), *without_one(best.script)]:
            run = play(candidate)
            if getattr(run.verdict, meter):
                best, smaller = run, True
                break
    return best


__all__ = ["Script", "shrunk"]
