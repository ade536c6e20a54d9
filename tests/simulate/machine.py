"""Time and fate of one simulated world: ticks, what is due when, tasks that take turns, and a process that may die.

Nothing here waits for anything real: a task is a coroutine that gives way at every await of the store and the network,
and the machine decides by its dice which one goes on.
"""

from __future__ import annotations

import heapq
import itertools
import types
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from random import Random
from typing import Any


class KilledError(BaseException):
    """The process is dead."""


@types.coroutine
def give_way() -> Generator[None, None, None]:
    """Let the others go on."""
    yield


@dataclass
class Life:
    """A process that may die at each await; once dead it does nothing more, not even in its `finally` blocks."""

    dice: Random
    rate: float
    dead: bool = False
    awaits: int = 0

    def step(self) -> None:
        """Pass one await or die there."""
        self.awaits += 1
        if self.dead or (self.rate and self.dice.random() < self.rate):
            self.dead = True
            raise KilledError


@dataclass
class Machine:
    """Ticks of one second, a queue of what is due, and the tasks under way by name."""

    dice: Random
    tick: int = 0
    tasks: dict[str, Coroutine[Any, Any, None]] = field(default_factory=dict)
    _due: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def at(self, tick: int, act: Callable[[], None]) -> None:
        """Do something at that tick, or now where it has passed."""
        heapq.heappush(self._due, (tick, next(self._order), act))

    def spend(self, ticks: int) -> None:
        """Let time pass; what becomes due in it is done, in its order."""
        end = self.tick + ticks
        while self._due and self._due[0][0] <= end:
            tick, _, act = heapq.heappop(self._due)
            self.tick = max(self.tick, tick)
            act()
        self.tick = max(self.tick, end)

    def run(self, until: int | None = None) -> None:
        """Go on until nothing is due (before `until`) and no task is under way."""
        while True:
            if self.tasks:
                self._step(self.dice.choice(list(self.tasks)) if len(self.tasks) > 1 else next(iter(self.tasks)))
            elif self._due and (until is None or self._due[0][0] <= until):
                self.spend(max(0, self._due[0][0] - self.tick))
            else:
                return

    def _step(self, name: str) -> None:
        try:
            self.tasks[name].send(None)
        except StopIteration:
            del self.tasks[name]


def finish(task: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that waits for nothing but its turn."""
    while True:
        try:
            task.send(None)
        except StopIteration as end:
            return end.value
