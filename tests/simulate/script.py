"""What a seed plans: how dense a run is, who acts when, and what of it can be left out to make a failing run small.

The rates of bad luck (`network.RATES`) and the shapes below are fixed: the seeds of the log stand for these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from tests.simulate.cells import MIXES, MODES, Cell
from tests.simulate.network import RATES, Rates


@dataclass(frozen=True)
class Shape:
    """How many acts a run has, in how many ticks; with `every` they come in bursts of a few ticks, so far apart."""

    acts: int
    ticks: int
    every: int = 0
    weight: int = 1

    def __str__(self) -> str:
        bursts = f" in bursts {self.every} apart" if self.every else ""
        return f"{self.acts} acts in {self.ticks} ticks{bursts} ({self.weight})"

    def tick(self, drawn: int) -> int:
        """Return when an act happens that was drawn for a tick: in a burst, at its beginning."""
        return drawn - drawn % self.every + drawn % BURST_TICKS if self.every else drawn


BURST_TICKS = 5

SHAPES = (
    Shape(10, 120),
    Shape(30, 120, weight=2),
    Shape(40, 240),
    Shape(60, 180, weight=2),
    Shape(60, 180, every=45),
    Shape(80, 160),
    Shape(120, 240, weight=2),
)
"""The shapes of runs, each with its share of the seeds. A run of a connection takes 10 to 40 ticks: where there are
two or four ticks per act, several edits of one unit come between two runs, and more while one is under way."""


@dataclass(frozen=True)
class Planned:
    """One act of a script: when, where, what, and the seed of what it chooses."""

    number: int
    tick: int
    side: str
    kind: str
    seed: int


@dataclass(frozen=True)
class Script:
    """All that a run is made of; dropping an act leaves the others as they are."""

    cell: Cell
    seed: int
    acts: tuple[Planned, ...]
    rates: Rates = RATES
    typed: bool = False
    pushed: bool = True
    retract: str = "leave"


def shape_of(cell: Cell, seed: int) -> Shape:
    """Return the shape of a seed's run."""
    [shape] = Random(f"shape {seed} {cell}").choices(SHAPES, [shape.weight for shape in SHAPES])
    return shape


def script(cell: Cell, seed: int, edits: int | None = None) -> Script:
    """Return the script of a seed: of the seed's own shape, or of so many acts, 12 ticks each."""
    shape = shape_of(cell, seed) if edits is None else Shape(edits, 12 * edits)
    dice = Random(f"{seed} {cell}")
    mix = MIXES[cell.mix]
    acts = []
    for number in range(1, shape.acts + 1):
        side = "here" if dice.random() < 0.5 else dice.choice(cell.names)
        weights = mix.here if side == "here" else mix.there
        [kind] = dice.choices(list(weights), list(weights.values()))
        tick = shape.tick(dice.randint(1, shape.ticks))
        acts.append(Planned(number, tick, side, kind, dice.getrandbits(32)))
    retract = dice.choice(MODES) if cell.mix == "void_withhold" else "leave"
    return Script(cell, seed, tuple(acts), typed=dice.random() < 0.3, pushed=dice.random() < 0.85, retract=retract)


def without_fate(of: Script) -> list[Script]:
    """Return the script with one kind of bad luck less, for shrinking."""
    names = ("kill", "late", "lost", "never")
    return [replace(of, rates=replace(of.rates, **{name: 0.0})) for name in names if getattr(of.rates, name)]


def without_some(of: Script, size: int) -> list[Script]:
    """Return the script with so many acts less, in a row, for shrinking."""
    return [replace(of, acts=of.acts[:place] + of.acts[place + size :]) for place in range(0, len(of.acts), size)]
