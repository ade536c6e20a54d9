"""People: one document and one meaning per id, and at most one chart per client and connection."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from fhirgoals.domain.records import Client, Identifier, Participant, Plan, Related, Staff
from fhirgoals.errors import Refused
from fhirgoals.store import Store
from fhirgoals.store.people import IdentityLink
from tests.unit.store_fixtures import NOW, a_plan, later, plan, save, store, store_url

__all__ = ["plan", "store", "store_url"]


def test_plan_brings_its_people(store: Store, plan: Plan) -> None:
    """Client, staff and related persons of a saved plan are in the store, each of its kind."""
    with store.read() as tx:
        assert tx.people.get("client-1") == plan.client
        assert tx.people.list() == (
            plan.client,
            Related(id="related-31", display="Dana"),
            Staff(id="staff-7", display="Ines Halloran"),
        )
        assert tx.people.list("staff") == (Staff(id="staff-7", display="Ines Halloran"),)
        assert tx.people.get("nobody") is None


def test_id_means_a_person_of_one_kind(store: Store, plan: Plan) -> None:
    """An id that is a member of staff can't become a client; the whole save is refused."""
    with pytest.raises(Refused, match="staff-7"), store.write() as tx:
        save(tx, a_plan("plan-2", client="staff-7", participants=()))
    with store.read() as tx:
        assert tx.plans.get("plan-2") is None


def test_plan_that_did_not_change_its_people_does_not_undo_a_correction(store: Store, plan: Plan) -> None:
    """A birth date mended in one plan stays when another plan, with the old one, is saved for another reason."""
    assert plan.client is not None
    mended = msgspec.structs.replace(plan.client, birth_date=date(1992, 2, 20))
    with store.write() as tx:
        save(tx, a_plan("plan-2"))
        save(tx, msgspec.structs.replace(plan, client=mended), 1)
        save(tx, a_plan("plan-2", title="another title"), 1)
        assert tx.people.get("client-1") == mended


def test_participant_line_changes_the_display_alone(store: Store) -> None:
    """A line that names a known member of staff keeps their identifiers."""
    ines = Staff(id="staff-7", display="Ines", identifiers=(Identifier(system="npi", value="1"),))
    own = Plan(id="dev-1", kind="professional_development", status="active", therapist=ines)
    with store.write() as tx:
        save(tx, own)
        save(tx, a_plan())
        assert tx.people.get("staff-7") == msgspec.structs.replace(ines, display="Ines Halloran")
        bare = (Participant(id="p-2", role="prescriber", ref="staff-7"),)
        save(tx, a_plan("plan-2", participants=bare))
        assert tx.people.get("staff-7") == msgspec.structs.replace(ines, display="Ines Halloran")


def test_person_is_linked_once_per_connection(store: Store, plan: Plan) -> None:
    """A new link takes the old one's place; other connections keep theirs."""
    with store.write() as tx:
        for connection, reference in (("ehr-a", "Patient/12"), ("ehr-b", "Patient/b"), ("ehr-a", "Patient/13")):
            tx.people.link(
                connection, "Patient", "client-1", reference, fingerprint="f", by="staff-7", at=NOW, status="confirmed"
            )
    with store.read() as tx:
        assert tx.people.links("ehr-a") == (
            IdentityLink("ehr-a", "Patient", "client-1", "Patient/13", "f", "confirmed", "staff-7", NOW),
        )
        assert tx.people.identities("ehr-b") == {"client-1": "Patient/b"}


def test_two_clients_are_never_one_patient(store: Store, plan: Plan) -> None:
    """A Patient confirmed as one client can't be confirmed as another; a proposal may stand until then."""
    link = {"fingerprint": "f", "by": "staff-7", "at": NOW}
    with store.write() as tx:
        tx.people.link("ehr-a", "Patient", "client-1", "Patient/12", status="confirmed", **link)  # type: ignore[arg-type]
        tx.people.link("ehr-a", "Patient", "client-2", "Patient/12", status="proposed", **link)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="client-1"), store.write() as tx:
        tx.people.link("ehr-a", "Patient", "client-2", "Patient/12", status="confirmed", **link)  # type: ignore[arg-type]
    with store.write() as tx:
        assert tx.people.identities("ehr-a") == {"client-1": "Patient/12"}
        assert tx.people.unlink("ehr-a", "Patient", "client-1")
        assert not tx.people.unlink("ehr-a", "Patient", "client-1")
        tx.people.link("ehr-a", "Patient", "client-2", "Patient/12", status="confirmed", **link)  # type: ignore[arg-type]
        assert tx.people.identities("ehr-a") == {"client-2": "Patient/12"}


def test_problems_of_two_plans_may_be_one_condition(store: Store, plan: Plan) -> None:
    """The same diagnosis in two plans of a client links to one Condition."""
    with store.write() as tx:
        for local_id in ("plan-1/pr-1", "plan-2/pr-1"):
            tx.people.link(
                "ehr-a", "Condition", local_id, "Condition/7", fingerprint="f", by="x", at=later(1), status="confirmed"
            )
        assert tx.people.identities("ehr-a") == {"plan-1/pr-1": "Condition/7", "plan-2/pr-1": "Condition/7"}


def test_client_of_two_plans_is_one_person(store: Store, plan: Plan) -> None:
    """Two plans of one client share the client's document."""
    with store.write() as tx:
        save(tx, a_plan("plan-2"))
        assert tx.people.list("client") == (
            Client(id="client-1", display="Marisol Everhart", birth_date=date(1992, 2, 19)),
        )
