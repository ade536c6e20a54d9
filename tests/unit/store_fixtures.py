"""What the store's tests share. A module that runs them on another database brings its own `store_url`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fhirgoals.domain.records import (
    Change,
    Client,
    Coding,
    Foreign,
    Goal,
    Measure,
    Participant,
    Plan,
    ProgressEntry,
    Reading,
    Revision,
)
from fhirgoals.domain.units import Unit
from fhirgoals.store import Store, Tx, open_store

NOW = datetime(2026, 11, 23, 9, 30, 15, 250_000, tzinfo=UTC)


def later(seconds: float) -> datetime:
    """That many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def a_plan(plan_id: str = "plan-1", *goal_ids: str, client: str = "client-1", **fields: object) -> Plan:
    """A client's plan with goals (default: `<plan>-g1`, `<plan>-g2`), awkward numbers and an unknown code."""
    goals = tuple(Goal(id=goal_id, text=f"text of {goal_id}") for goal_id in goal_ids or ("g1", "g2"))
    if not goal_ids:
        goals = tuple(msgspec.structs.replace(goal, id=f"{plan_id}-{goal.id}") for goal in goals)
    plan = Plan(
        id=plan_id,
        kind="client_treatment",
        status=Foreign(foreign='{"a":7.10,"b":"\\u0000"}'),
        client=Client(id=client, display="Marisol Everhart", birth_date=date(1992, 2, 19)),
        participants=(
            Participant(id="p-1", role="client", ref=client),
            Participant(id="p-2", role="primary_therapist", ref="staff-7", display="Ines Halloran"),
            Participant(id="p-3", role="support_person", ref="related-31", display="Dana"),
        ),
        measures=(
            Measure(
                id="m-1",
                code=Coding(system="loinc", code="44261-6"),
                range=(Decimal(0), Decimal("27.00")),
                readings=tuple(
                    Reading(date=date(2026, 5, 11), value=Decimal(value))
                    for value in ("7.10", "-0.0", "1E+2", "12345678901234567890.12345")
                ),
            ),
        ),
        goals=goals,
        revisions=(
            Revision(
                rev=1,
                date=date(2026, 5, 11),
                by="staff-7",
                reason="review",
                changes=(Change(field="target", from_=Decimal("1.50"), to=[1, Decimal("2.0"), True, None]),),
            ),
        ),
    )
    return msgspec.structs.replace(plan, **fields)


def with_text(plan: Plan, text: str) -> Plan:
    """The plan with another text in its first goal and a note there."""
    note = ProgressEntry(id="n1", date=date(2026, 11, 20), visibility="shared", text=text)
    first = msgspec.structs.replace(plan.goals[0], text=text, progress=(note,))
    return msgspec.structs.replace(plan, goals=(first, *plan.goals[1:]))


def save(tx: Tx, plan: Plan, expect: int | None = None, **more: object) -> int:
    """Save with the first goal's text as the touched unit."""
    touched = {Unit(plan.goals[0].id, "text"): (None, plan.goals[0].text)} if plan.goals else {}
    given = {"by": "staff-7", "reason": "edit", "at": NOW, "touched": touched, **more}
    return tx.plans.save(plan, expect=expect, **given)  # type: ignore[arg-type]


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """A fresh, empty database."""
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A fresh store with the connections `ehr-a` and `ehr-b`; a locked row is waited for 0.2 s."""
    opened = open_store(store_url, busy_timeout_s=0.2)
    with opened.write() as tx:
        for name in ("ehr-a", "ehr-b"):
            tx.connections.add(name, {"base": "http://127.0.0.1/fhir", "factor": Decimal("1.50")}, at=NOW, by="admin")
    yield opened
    opened.close()


@pytest.fixture
def plan(store: Store) -> Plan:
    """A plan in the store at revision 1, with no dirty mark left."""
    kept = a_plan()
    with store.write() as tx:
        save(tx, kept)
        for name in ("ehr-a", "ehr-b"):
            for dirty in tx.dirty.take(name, NOW):
                tx.dirty.clear(dirty.plan_id, name, dirty.upto)
    return kept
