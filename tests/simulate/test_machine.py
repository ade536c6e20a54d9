"""The world of the simulator, played by Hypothesis: each step is drawn, so that a fault comes with the fewest steps.

People edit on all sides, calls get lost or late as drawn, and a run of the sync ends, dies or stops half-way while
others go on. At the end everything calms down and comes to rest, and the simulator's oracle must find no fault.

    FHIRGOALS_MACHINE_EXAMPLES=2000 .venv/bin/python -m pytest tests/simulate/test_machine.py
"""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import dataclass
from random import Random

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fhirgoals.domain.invariants import check, errors
from fhirgoals.sandbox import variants
from tests.simulate import ehr_people, people, sides
from tests.simulate.beginning import begun
from tests.simulate.cells import MIXES, Cell
from tests.simulate.machine import KilledError, Life
from tests.simulate.network import Rates
from tests.simulate.oracle import observe
from tests.simulate.run import at_rest, sync_once
from tests.simulate.world import World

EXAMPLES = os.environ.get("FHIRGOALS_MACHINE_EXAMPLES")
"""How many fresh ones; without it a few that are the same each time."""

SOUND = [one.name for one in variants.VARIANTS.values() if one.keeps_etag and one.keeps_content and one.detects_doubles]
VARIANTS = SOUND if EXAMPLES else ("plain", "no_history", "like_hapi")
POLICIES = ("default", "auto-ask", "propose-ours", "auto-theirs", "ignore-ask")
MODES = ("leave", "blank", "entered_in_error", "delete")
HERE = tuple(MIXES["base"].here)
THERE = tuple(MIXES["base"].there)
CLASHING = ("text", "status", "target", "priority", "parent", "step_text", "step_status")
SHARING = ("withhold", "share", "revoke", "grant")

SCRIPTED = Rates(never=0.25, late=0.25, lost=0.25, late_ticks=40, kill=0.0)
CHANCES = {"never": 0.1, "late": 0.4, "reply lost": 0.6, "arrives": 0.9}


class Fate(Random):
    """Says of each write what was drawn for it; without a word more, it arrives."""

    def __init__(self) -> None:
        super().__init__(0)
        self.drawn: deque[str | int] = deque()
        self._ticks = 1

    def random(self) -> float:
        """Return what the network takes for the next write's fate; a number is that of the ticks it is late."""
        fate = self.drawn.popleft() if self.drawn else "arrives"
        if isinstance(fate, int):
            self._ticks, fate = fate, "late"
        return CHANCES[fate]

    def randint(self, _least: int, _most: int) -> int:
        """Return how late the write is."""
        return self._ticks


@dataclass
class Mortal(Life):
    """A process that dies at one await, or at none."""

    last: int | None = None

    def step(self) -> None:
        """Pass one await or die there."""
        self.awaits += 1
        if self.dead or self.awaits == self.last:
            self.dead = True
            raise KilledError


sides_there = st.integers(0, 1)
seeds = st.integers(0, 255)
"""Of the dice by which people choose among what there is: one number shrinks sooner than each throw."""
fates = st.lists(st.one_of(st.sampled_from(("arrives", "never", "reply lost")), st.integers(1, 40)), max_size=3)
stops = st.one_of(st.none(), st.tuples(st.sampled_from(("dies", "pauses")), st.integers(1, 60)))


class Machine(RuleBasedStateMachine):
    """One world, from its start to its rest.

    No step has a condition, it does nothing where nothing can be done: else a step that is left out turns those behind
    it into others, and a failing example does not get smaller.
    """

    world: World
    number = 0
    broken = False

    @initialize(
        variant=st.sampled_from(VARIANTS),
        policy=st.sampled_from(POLICIES),
        connections=st.integers(1, 2),
        retract=st.sampled_from(MODES),
        pushed=st.sampled_from((True, False)),
    )
    def begin(self, variant: str, policy: str, connections: int, retract: str, *, pushed: bool) -> None:
        """A plan of four goals, linked at one or two EHRs, and as a rule already there."""
        self.fate = Fate()
        self.lives: dict[str, Mortal] = {}
        cell = Cell(variant, policy, "void_withhold", connections)
        self.world = begun(cell, self.fate, SCRIPTED, typed=False, pushed=pushed, retract=retract)
        if pushed:
            for name in self.world.names:
                observe(self.world, name, settled=True)
        self.known_errors = self._errors()

    # -- people --

    @rule(what=st.sampled_from(HERE), seed=seeds)
    def edit_here(self, what: str, seed: int) -> None:
        """Somebody edits our record."""
        self._here(what, seed)

    @rule(where=sides_there, what=st.sampled_from(THERE), seed=seeds)
    def edit_there(self, where: int, what: str, seed: int) -> None:
        """Somebody edits at an EHR."""
        self._there(where, what, seed)

    @rule(where=sides_there, what=st.sampled_from(CLASHING), seed=seeds)
    def edit_on_both_sides(self, where: int, what: str, seed: int) -> None:
        """Two people edit the same thing before either knows of the other: chosen by the same dice, here and there."""
        self._here(what, seed)
        self._there(where, what, seed)

    @rule(seed=seeds)
    def void_here(self, seed: int) -> None:
        """Somebody marks a goal of ours entered in error."""
        self._here("void", seed)

    @rule(where=sides_there, what=st.sampled_from(("void", "delete")), seed=seeds)
    def take_away_there(self, where: int, what: str, seed: int) -> None:
        """Somebody at an EHR marks a goal entered in error, or deletes it."""
        self._there(where, what, seed)

    @rule(what=st.sampled_from(SHARING), seed=seeds)
    def disclose(self, what: str, seed: int) -> None:
        """The client keeps a goal back or shares it again, or takes a consent back or gives one."""
        self._here(what, seed)

    @rule(seed=seeds)
    def resolve(self, seed: int) -> None:
        """Somebody settles a question, if there is one."""
        self._here("resolve", seed)

    # -- processes, the network, time --

    @rule(where=sides_there)
    def sync(self, where: int) -> None:
        """A run begins, or one that was stopped goes on, to its end; every call arrives and is answered."""
        self._run(where, [], None)

    @rule(where=sides_there, fates=fates, stop=stops)
    def sync_in_bad_weather(self, where: int, fates: list[str | int], stop: tuple[str, int] | None) -> None:
        """The same, but calls get lost or late, and it may die at an await, or stop there while others go on."""
        self._run(where, fates, stop)

    @rule(ticks=st.integers(1, 45))
    def wait(self, ticks: int) -> None:
        """Time passes: late calls land, and second halves of moves are made."""
        self.world.machine.spend(ticks)
        self._look()

    # -- what holds always, and at rest --

    def teardown(self) -> None:
        """Everything calms down and rests; the oracle finds no fault."""
        if self.broken or not hasattr(self, "world"):
            return
        self.world.machine.run()
        self._must_be_none(at_rest(self.world).faults)

    def _look(self) -> None:
        log = self.world.log
        self._must_be_none([*log.leaks, *log.broken, *log.echoes, *log.failures, *self._doubled()])

    def _doubled(self) -> list[str]:
        """Return a line for each goal that stands twice at an EHR."""
        found = []
        for name, box in self.world.boxes.items():
            standing = sides.bodies(box.storage, "Goal")
            made = Counter(
                own for (where, id_), own in self.world.log.resources.items() if where == name and id_ in standing
            )
            found += [f"doubled: {own} stands {count} times at {name}" for own, count in made.items() if count > 1]
        return found

    def _errors(self) -> set[str]:
        """Return what breaks our record's rules; what people's own edits break is not the sync's."""
        return {f"{finding.path}: {finding.code}" for finding in errors(check(self.world.plan()))}

    def _must_be_none(self, faults: list[str]) -> None:
        if faults:
            self.broken = True
            raise AssertionError("\n".join([*faults, "", *self.world.log.lines]))

    # -- the steps themselves --

    def _name(self, where: int) -> str:
        return self.world.names[where % len(self.world.names)]

    def _here(self, what: str, seed: int) -> None:
        self.number += 1
        people.act(self.world, self.number, what, Random(seed))
        self.known_errors |= self._errors()
        self._look()

    def _there(self, where: int, what: str, seed: int) -> None:
        self.number += 1
        ehr_people.act(self.world, self.number, self._name(where), what, Random(seed))
        self._look()

    def _run(self, where: int, fates: list[str | int], stop: tuple[str, int] | None) -> None:
        name = self._name(where)
        machine = self.world.machine
        self.fate.drawn = deque(fates)
        if name not in machine.tasks:
            self.lives[name] = Mortal(self.fate, 0.0)
            machine.tasks[name] = sync_once(self.world, name, self.lives[name])
        life = self.lives[name]
        match stop:
            case ("dies", awaits):
                life.last = life.awaits + awaits
                self._go_on(name, None)
            case ("pauses", awaits):
                self._go_on(name, awaits)
            case _:
                self._go_on(name, None)
        self.fate.drawn.clear()
        new = self._errors() - self.known_errors
        self._must_be_none([f"our record after a run: {line}" for line in sorted(new)])

    def _go_on(self, name: str, awaits: int | None) -> None:
        """Let a process go on for so many awaits, or to its end."""
        machine = self.world.machine
        while name in machine.tasks and awaits != 0:
            machine._step(name)
            awaits = None if awaits is None else awaits - 1
        self._look()


TestMachine = Machine.TestCase
TestMachine.__doc__ = (
    "Whatever people, calls and processes do: nothing is lost, doubled, different, leaked or left over."
)
TestMachine.settings = settings(
    max_examples=int(EXAMPLES or 150),
    stateful_step_count=25,
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    print_blob=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
