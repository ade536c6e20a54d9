"""A store with one plan, one goal of it linked at an EHR, and inbox items put in by hand: no EHR is spoken to."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fhirgoals.domain.records import Participant, Period, Plan
from fhirgoals.domain.units import Pair, Unit, touched
from fhirgoals.errors import Refused
from fhirgoals.store import Store
from fhirgoals.store.inbox import Item
from fhirgoals.store.links import Link
from fhirgoals.sync.resolve import Choice, Resolved, resolve
from tests.plans import small

AT = datetime(2026, 11, 6, 9, tzinfo=UTC)
EHR, OTHER, PLAN, GOAL = "ehr", "ehr-2", "plan-1", "g-short"
TEXT, STATUS = Unit(GOAL, "text"), Unit(GOAL, "status")
CONFIG = {"base_url": "http://ehr.test/fhir", "release": "on_save"}
WHO = ("primary_therapist", "clinical_supervisor")
PEOPLE = (
    Participant(id="p-client", role="client", ref="client-1"),
    Participant(id="p-ther", role="primary_therapist", ref="staff-1"),
    Participant(id="p-sup", role="clinical_supervisor", ref="staff-2"),
    Participant(id="p-pre", role="prescriber", ref="staff-3"),
    Participant(id="p-old", role="former_therapist", ref="staff-4"),
    Participant(id="p-gone", role="primary_therapist", ref="staff-5", period=Period(end=date(2026, 10, 1))),
    Participant(id="p-fam", role="family", ref="related-1"),
)


def plan_of(**changes: object) -> Plan:
    return small(participants=PEOPLE, **changes)


def raw(**fields: object) -> dict[str, Any]:
    """Return the goal as the EHR has it."""
    whole = {
        "resourceType": "Goal",
        "id": "1",
        "lifecycleStatus": "active",
        "description": {"text": "Their words"},
        "subject": {"reference": "Patient/1"},
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not None}


class Desk:
    """A store with one plan, one goal of it linked, and items put in by hand."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store = store
        with store.write() as tx:
            for name in (EHR, OTHER):
                tx.connections.add(name, CONFIG, at=AT, by="it-1")
            tx.plans.save(plan, expect=None, by="staff-1", reason="initial", at=AT, touched=touched(None, plan))
            for name in (EHR, OTHER):
                for dirty in tx.dirty.take(name, AT):
                    tx.dirty.clear(dirty.plan_id, name, dirty.upto)
        self.seen()

    def seen(self, **fields: object) -> None:
        """Let the goal have been read as this last."""
        link = Link(
            connection=EHR,
            kind="Goal",
            local_id=GOAL,
            plan_id=PLAN,
            resource_id="1",
            etag='W/"2"',
            version="2",
            raw=json.dumps(raw(**fields)),
            seen_at=AT,
        )
        with self.store.write() as tx:
            tx.links.put(link)

    def base(self, unit: Unit, ours: object, theirs: object, rev: int = 1) -> None:
        with self.store.write() as tx:
            tx.bases.settle(EHR, PLAN, {unit: Pair(ours, theirs, rev)})

    def item(self, unit: Unit | None = TEXT, kind: str = "conflict", **values: object) -> Item:
        """Put an item in, by default the two texts of the goal, and return it with its number."""
        given: dict[str, Any] = {"base": "Base words", "ours": "The short one", "theirs": "Their words"}
        one = Item(
            kind=kind,
            connection=EHR,
            plan_id=PLAN,
            owner=unit.owner if unit else GOAL,
            unit=unit.name if unit else None,
            opened_at=AT,
            **{"who_may": WHO, "why": "both_changed", **given, **values},
        )
        with self.store.write() as tx:
            assert tx.inbox.raise_(one)
            return tx.inbox.list()[-1]

    def edit(self, plan: Plan, **more: Any) -> None:
        with self.store.write() as tx:
            stored = tx.plans.get(PLAN)
            assert stored is not None
            given = {"by": "staff-1", "reason": "review", "at": AT, "touched": touched(stored.plan, plan), **more}
            tx.plans.save(plan, expect=stored.rev, **given)

    def resolve(self, item: Item, take: str, by: str = "staff-1", **more: Any) -> Resolved:
        choice = Choice(take=take, by=by, at=AT + timedelta(hours=1), **more)  # type: ignore[arg-type]
        with self.store.write() as tx:
            return resolve(tx, self.store.installation, item.id, choice, frozenset({EHR, OTHER}))

    def refused(self, item: Item, take: str, by: str = "staff-1", **more: Any) -> str:
        before = self.state()
        with pytest.raises(Refused) as error:
            self.resolve(item, take, by, **more)
        assert self.state() == before
        return str(error.value)

    def state(self) -> object:
        with self.store.read() as tx:
            stored = tx.plans.get(PLAN)
            marks = [tx.dirty.marked(name) for name in (EHR, OTHER)]
            return stored, tx.bases.for_plan(EHR, PLAN), tx.inbox.list(open_only=False), tx.audit.list(), marks

    def plan(self) -> Plan:
        with self.store.read() as tx:
            stored = tx.plans.get(PLAN)
        assert stored is not None
        return stored.plan

    def pair(self, unit: Unit = TEXT) -> Pair:
        with self.store.read() as tx:
            return tx.bases.for_plan(EHR, PLAN)[unit]

    def marked(self) -> set[str]:
        with self.store.read() as tx:
            return {name for name in (EHR, OTHER) if PLAN in tx.dirty.marked(name)}
