"""A run with transactions may die at any await, and its Bundles may land or not: the end is that of single calls."""

from __future__ import annotations

from typing import Any

import pytest

from fhirgoals.fhir.wire import Failure, Reply, Request
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sandbox.variants import VARIANTS
from tests.sync.test_kill import PLAN, KilledError, Life, at_rest, ended, prepared, run_until_death
from tests.sync.test_together import is_bundle
from tests.sync.world import World, world


class Losing:
    """A network that loses the reply of one Bundle, which landed, never came, or comes when `late` is called."""

    def __init__(self, inner: Any, which: int, fate: str) -> None:
        self.inner = inner
        self.which = which
        self.fate = fate
        self.bundles = 0
        self.under_way: list[Request] = []

    async def send(self, request: Request) -> Reply | Failure:
        self.bundles += is_bundle(request)
        if not is_bundle(request) or self.bundles != self.which:
            reply: Reply | Failure = await self.inner.send(request)
            return reply
        if self.fate == "landed":
            await self.inner.send(request)
        if self.fate == "late":
            self.under_way.append(request)
        return Failure("timeout", sent=True)

    async def late(self) -> None:
        for request in self.under_way:
            await self.inner.send(request)


async def begun(one: World, knobs: Knobs) -> None:
    """Push the plan and edit on both sides; the server is then as the knobs say."""
    await prepared(one)
    one.sandbox.knobs = knobs


async def alive(knobs: Knobs) -> tuple[int, int, dict[str, Any]]:
    """Return the awaits and Bundles of a run that lives, and the end without transactions."""
    with world() as one:
        await begun(one, knobs)
        await one.sync()
        expected = at_rest(one, await one.plan(PLAN))
    with world(transactions="atomic") as one:
        await begun(one, knobs)
        one.http = losing = Losing(one.http, 0, "landed")  # type: ignore[assignment]
        life = Life(0, after=False)
        await run_until_death(one, life)
        await ended(one, expected, "alive")
        return life.awaits, losing.bundles, expected


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plain", "half_kept_transactions", "batch_transactions"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_run_killed_at_any_await_ends_as_without_transactions(after: bool, variant: str) -> None:
    """Nothing lost, nothing doubled, no question, no write in a further run, whatever the moment of death."""
    knobs = VARIANTS[variant].knobs
    awaits, bundles, expected = await alive(knobs)
    assert awaits > 25
    assert bundles > 0
    for moment in range(1, awaits + 1):
        with world(transactions="atomic") as one:
            await begun(one, knobs)
            with pytest.raises(KilledError):
                await run_until_death(one, Life(moment, after))
            await ended(one, expected, moment)


@pytest.mark.parametrize("kept", [False, True], ids=["no id", "id kept"])
@pytest.mark.parametrize("fate", ["landed", "never", "late"])
async def test_a_bundle_without_a_reply_ends_as_without_transactions(fate: str, kept: bool) -> None:
    """Whichever Bundle of the run it is, and whether it landed, never came or comes when all is done."""
    _, bundles, expected = await alive(Knobs())
    for which in range(1, bundles + 1):
        with world(transactions="atomic", operation_id_kept=kept) as one:
            await prepared(one)
            one.http = losing = Losing(one.http, which, fate)  # type: ignore[assignment]
            await one.sync()
            await losing.late()
            await ended(one, expected, (which, fate))


@pytest.mark.slow
@pytest.mark.parametrize("fate", ["landed", "never", "late"])
async def test_a_run_killed_while_it_finds_out_ends_as_without_transactions(fate: str) -> None:
    """A Bundle has no reply, and the process dies at any await after it."""
    _, _, expected = await alive(Knobs())
    moment, died = 0, True
    while died:
        moment += 1
        with world(transactions="atomic") as one:
            await prepared(one)
            one.http = losing = Losing(one.http, 1, fate)  # type: ignore[assignment]
            try:
                await run_until_death(one, Life(moment, after=True))
                died = False
            except KilledError:
                await losing.late()
            await ended(one, expected, (moment, fate))
    assert moment > 25
