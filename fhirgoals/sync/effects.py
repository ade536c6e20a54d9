"""What a run does to the world, as `reconcile` asks for it: `apply.Writes` does it, a preview only notes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Pair, Unit
from fhirgoals.sync.call import Call
from fhirgoals.sync.decide import Waiting
from fhirgoals.sync.guard import Stop, Tally
from fhirgoals.sync.merge import Verdict
from fhirgoals.sync.newborn import Adoption
from fhirgoals.sync.outcome import Landed, NotLanded
from fhirgoals.sync.reading import Found, There
from fhirgoals.sync.view import Key, View


class Effects(Protocol):
    """What a run does to the world; `preview` has a second set that only notes it."""

    async def guard(self, view: View, planned: Tally) -> Stop | None:
        """Tell why the guard stops the plan, if it does."""
        ...

    async def settle(self, view: View, pairs: Mapping[Unit, Pair]) -> View:
        """Move pairs that are agreed."""
        ...

    async def adopt(self, view: View, adoption: Adoption) -> View:
        """Take goals that were born there."""
        ...

    async def take(self, view: View, plan: Plan, pairs: Mapping[Unit, Pair], verdicts: list[Verdict]) -> View:
        """Save the EHR's edits as a revision of ours."""
        ...

    async def send(self, view: View, there: There, call: Call) -> tuple[View, There, Landed | NotLanded]:
        """Send one call."""
        ...

    async def send_together(
        self, view: View, there: There, calls: Sequence[tuple[Call, list[Verdict]]]
    ) -> tuple[View, There, list[Landed | NotLanded]]:
        """Send several calls as one, each with what it is about to overwrite; return what became of each."""
        ...

    async def deleted(self, view: View, there: There, key: Key, units: Collection[Unit]) -> tuple[View, There]:
        """Forget a resource that is not ours any more."""
        ...

    async def note_history(self, view: View, verdicts: list[Verdict]) -> None:
        """Keep values that the policy does not take."""
        ...

    async def note_undeliverable(self, view: View, verdicts: list[Verdict]) -> None:
        """Write the ledger."""
        ...

    async def finish(
        self, view: View, found: Mapping[Key, Found], waiting: list[Waiting], not_judged: Collection[Unit]
    ) -> tuple[int, int]:
        """Raise what waits for a person, and close what no longer does unless its unit was not judged."""
        ...
