"""A sweep: seeds played one after the other, each in the cell that is its own, in as many processes as are asked for.

Consecutive seeds go through all cells, far apart from each other: however short a range of seeds, it is spread evenly
over variants, policies, mixes and connections. A sweep that is stopped keeps what was played.
"""

from __future__ import annotations

import gc
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from math import gcd
from types import FrameType

from fhirgoals.sandbox.variants import VARIANTS
from tests.simulate.cells import MAIN_MIXES, POLICIES, TOGETHER, Cell
from tests.simulate.oracle import METERS
from tests.simulate.run import Run, play
from tests.simulate.script import script

BATCH = 20
COLUMNS = ("runs", "edits", "kills", *METERS, "seen")
"""What is counted: of a meter the runs with at least one such fault; `seen` = runs with a double or a loss that was
reported where the server offers no means against it."""


@dataclass(frozen=True)
class Failing:
    """One meter of one run."""

    cell: Cell
    seed: int
    meter: str
    line: str

    @property
    def forbidden(self) -> bool:
        """Whether the cell's server could be kept right (see `cells`)."""
        return self.cell.forbids(self.meter)


@dataclass
class Figures:
    """What the runs came to, by cell; `causes` say why items wait at rest."""

    cells: dict[Cell, Counter[str]] = field(default_factory=dict)
    causes: Counter[str] = field(default_factory=Counter)
    failing: list[Failing] = field(default_factory=list)

    def add(self, cell: Cell, seed: int, run: Run) -> None:
        """Count one run."""
        counts = self.cells.setdefault(cell, Counter())
        counts.update(runs=1, edits=run.edits, kills=run.kills, seen=bool(run.verdict.seen))
        for meter in METERS:
            lines = getattr(run.verdict, meter)
            if lines:
                counts[meter] += 1
                self.failing.append(Failing(cell, seed, meter, lines[0]))
        self.causes.update(run.verdict.causes)

    def merge(self, other: Figures) -> None:
        """Add a batch's figures."""
        for cell, counts in other.cells.items():
            self.cells.setdefault(cell, Counter()).update(counts)
        self.causes.update(other.causes)
        self.failing.extend(other.failing)

    def by(self, name: Callable[[Cell], str]) -> dict[str, Counter[str]]:
        """Return the sums of the cells of each name, in the order of `every_cell`."""
        found: dict[str, Counter[str]] = {}
        for cell in sorted(self.cells, key=_place):
            found.setdefault(name(cell), Counter()).update(self.cells[cell])
        return found

    @property
    def total(self) -> Counter[str]:
        """The sum of all."""
        return sum(self.cells.values(), Counter())

    @property
    def forbidden(self) -> list[Failing]:
        """What should not be, by seed."""
        return sorted((one for one in self.failing if one.forbidden), key=lambda one: one.seed)


def every_cell(
    variant: str | None = None, policy: str | None = None, mix: str | None = None, connections: int | None = None
) -> list[Cell]:
    """Return all cells of the main mixes, or those that a choice leaves."""
    return [
        Cell(variant_, policy_, mix_, connections_)
        for variant_ in ([variant] if variant else [*VARIANTS, *TOGETHER])
        for policy_ in ([policy] if policy else POLICIES)
        for mix_ in ([mix] if mix else MAIN_MIXES)
        for connections_ in ([connections] if connections else (1, 2))
    ]


def cell_of(seed: int, cells: Sequence[Cell]) -> Cell:
    """Return the cell of a seed: steps of a golden section, so that the next seeds are in far away cells."""
    step = next(step for step in range(round(len(cells) * 0.618) or 1, 2 * len(cells)) if gcd(step, len(cells)) == 1)
    return cells[seed * step % len(cells)]


@dataclass
class Sweep:
    """The runs of `seeds`; `edits` as in `script`. `tell` hears once in a while how far it has come."""

    cells: Sequence[Cell]
    seeds: range
    edits: int | None = None
    jobs: int = 1
    minutes: float | None = None
    tell: Callable[[str], None] = lambda _line: None
    tell_s: float = 60.0
    figures: Figures = field(default_factory=Figures)
    stopped: bool = False
    began: float = field(default_factory=time.monotonic)
    _told: float = field(default_factory=time.monotonic)

    def play(self) -> Figures:
        """Play until the seeds are through, the time is up, or somebody stops it; return the figures.

        SIGINT and SIGTERM stop it: what is under way is finished and counted.
        """
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for figures in self._played():
                self.figures.merge(figures)
                self._tell()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return self.figures

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self.began

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopped = True

    def _batches(self) -> Iterator[tuple[list[tuple[Cell, int]], int | None]]:
        for start in range(self.seeds.start, self.seeds.stop, BATCH):
            if self.stopped or (self.minutes is not None and self.seconds > 60 * self.minutes):
                return
            seeds = range(start, min(start + BATCH, self.seeds.stop))
            yield [(cell_of(seed, self.cells), seed) for seed in seeds], self.edits

    def _played(self) -> Iterator[Figures]:
        if self.jobs == 1:
            yield from (play_batch(*batch) for batch in self._batches())
            return
        # No more is dealt out than is under way: it ends soon after it is stopped, and no seed is passed over.
        with ProcessPoolExecutor(self.jobs, initializer=_deaf) as pool:
            batches, under_way = self._batches(), set[Future[Figures]]()
            while True:
                while len(under_way) < self.jobs + 1 and (batch := next(batches, None)) is not None:
                    under_way.add(pool.submit(play_batch, *batch))
                if not under_way:
                    return
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)

    def _tell(self) -> None:
        if time.monotonic() - self._told < self.tell_s:
            return
        self._told = time.monotonic()
        total = self.figures.total
        self.tell(
            f"{self.seconds / 60:.0f} min: {total['runs']} of {len(self.seeds)} runs, {total['edits']} edits, "
            f"{total['kills']} kills, {len({one.seed for one in self.figures.failing})} failing"
        )


def play_batch(batch: Sequence[tuple[Cell, int]], edits: int | None) -> Figures:
    """Play some seeds. The collector is off meanwhile: a run leaves little, and all at once."""
    figures = Figures()
    gc.disable()
    try:
        for cell, seed in batch:
            figures.add(cell, seed, play(script(cell, seed, edits)))
    finally:
        gc.enable()
        gc.collect()
    return figures


def _deaf() -> None:
    # Who interrupts a sweep at the keyboard interrupts its processes too; they finish what they are at.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _place(cell: Cell) -> tuple[int, int, str, int]:
    variants, policies = list(VARIANTS), list(POLICIES)
    variant = variants.index(cell.variant) if cell.variant in VARIANTS else len(variants)
    return variant, policies.index(cell.policy), cell.mix, cell.connections
