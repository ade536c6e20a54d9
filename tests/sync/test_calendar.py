"""Consents that begin and end by the calendar: the plan is marked for the day, without any edit (design 5.10)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from fhirgoals.store.marks import CALENDAR
from tests.sync.world import World, started, world

PLAN = "plan-dep-01"
ENDS = date(2026, 12, 1)


@pytest.fixture
def here() -> Iterator[World]:
    with world() as one:
        yield one


async def marks(here: World, at: datetime) -> tuple[str, ...]:
    """Return why the plan is due at a time."""
    due = await here.store.read(lambda tx: tx.dirty.take(here.connection, at))
    return tuple(why for one in due for why in one.why)


async def with_consents(here: World, *days: tuple[date | None, date | None]) -> None:
    """Give the connection consents from and until these days."""
    plan = await here.plan(PLAN)
    [old] = [one for one in plan.disclosure.consents if one.endpoint == here.connection]
    others = [one for one in plan.disclosure.consents if one.endpoint != here.connection]
    new = [
        msgspec.structs.replace(old, id=f"c-{number}", granted=granted or old.granted, expires=expires)
        for number, (granted, expires) in enumerate(days, 1)
    ]
    disclosure = msgspec.structs.replace(plan.disclosure, consents=(*others, *new))
    await here.put(msgspec.structs.replace(plan, disclosure=disclosure))


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


async def test_a_consent_that_ends_marks_its_plan_for_that_day(here: World) -> None:
    """The mark comes with the save, is due at midnight and not before, and is nothing to do till then."""
    await started(here)
    await with_consents(here, (None, ENDS))
    await here.sync()
    assert await marks(here, midnight(ENDS) - timedelta(seconds=1)) == ()
    assert await marks(here, midnight(ENDS)) == (CALENDAR,)
    assert await here.store.read(lambda tx: tx.dirty.marked(here.connection)) == set()


async def test_the_first_run_on_the_day_looks_and_marks_the_next_change(here: World) -> None:
    """It says what stands there and may not any more; the consent that begins later has its mark by then."""
    again = ENDS + timedelta(days=30)
    await started(here)
    await with_consents(here, (None, ENDS), (again, None))
    await here.sync()
    assert await here.inbox() == []
    here.now = midnight(ENDS)
    await here.sync()
    assert await here.inbox() == [("retract", PLAN, None)]
    assert await marks(here, midnight(again) - timedelta(seconds=1)) == ()
    assert await marks(here, midnight(again)) == (CALENDAR,)
    here.now = midnight(again)
    await here.sync()
    assert await here.inbox() == []
    assert await marks(here, midnight(again) + timedelta(days=999)) == ()


async def test_a_run_marks_the_day_where_no_save_did(here: World) -> None:
    """A connection that came after the last save has its mark by its first run."""
    await started(here)
    await with_consents(here, (None, ENDS))
    [due] = await here.store.read(lambda tx: tx.dirty.take(here.connection, midnight(ENDS)))
    gone = {CALENDAR: due.upto[CALENDAR]}
    await here.store.write(lambda tx: tx.dirty.clear(PLAN, here.connection, gone))
    assert CALENDAR not in await marks(here, midnight(ENDS))
    await here.sync()
    assert await marks(here, midnight(ENDS)) == (CALENDAR,)
