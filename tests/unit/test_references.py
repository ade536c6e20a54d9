"""Every id and every reference of a plan is found, each with its path; and what an id becomes on the wire."""

from __future__ import annotations

from uuid import UUID

from fhirgoals.domain.identity import Installation, wire_id
from fhirgoals.domain.records import Revision
from fhirgoals.domain.references import named, references
from tests.plans import AS_OF, full, replace, small

NAMESPACE = UUID("00000000-0000-0000-0000-000000000052")


def test_every_reference_is_found_on_its_path() -> None:
    """The plan in which every field is filled: where each reference stands, on what, to which kind of thing and id."""
    assert [tuple(each) for each in references(full())] == [
        ("plan.discharge_criteria[0].measure", "plan-full", "measure", "m-1"),
        ("plan.refusal.by", "plan-full", "author", "p-client"),
        ("disclosure.withheld[0].target", "plan-full", "goal or problem", "g-secret"),
        ("interventions[0].by", "iv-1", "participant", "p-ther"),
        ("interventions[0].goals[0]", "iv-1", "goal", "g-long"),
        ("interventions[0].goals[1]", "iv-1", "goal", "g-short"),
        ("reviews[0].attendees[0]", "rv-1", "participant", "p-client"),
        ("reviews[0].signatures[0].by", "rv-1", "participant", "p-client"),
        ("revisions[0].by", "plan-full", "author", "p-ther"),
        ("revisions[0].requested_by", "plan-full", "author", "p-client"),
        ("goals[0].addresses[0]", "g-long", "problem", "pr-1"),
        ("goals[1].parent", "g-earlier", "goal", "g-long"),
        ("goals[1].addresses[0]", "g-earlier", "problem", "pr-1"),
        ("goals[2].parent", "g-short", "goal", "g-long"),
        ("goals[2].predecessors[0]", "g-short", "goal", "g-earlier"),
        ("goals[2].replaced_by", "g-short", "goal", "g-earlier"),
        ("goals[2].addresses[0]", "g-short", "problem", "pr-1"),
        ("goals[2].expressed_by", "g-short", "participant", "p-client"),
        ("goals[2].targets[0].measure", "g-short", "measure", "m-1"),
        ("goals[2].targets[1].measure", "g-short", "measure", "m-2"),
        ("goals[2].acceptance[0].by", "g-short", "participant", "p-client"),
        ("goals[2].steps[0].participant", "st-1", "participant", "p-aunt"),
        ("goals[2].progress[0].session", "g-short", "session", "s-1"),
        ("goals[2].progress[0].author", "g-short", "participant", "p-ther"),
        ("goals[2].findings[0].session", "g-short", "session", "s-1"),
        ("goals[2].findings[0].author", "g-short", "participant", "p-ther"),
        ("goals[2].achievements[0].target", "g-short", "goal or step", "st-1"),
        ("goals[2].achievements[0].noted_by", "g-short", "participant", "p-client"),
        ("goals[2].revisions[0].by", "g-short", "author", "p-ther"),
        ("goals[2].revisions[0].requested_by", "g-short", "author", "p-client"),
        ("goals[3].parent", "g-secret", "goal", "g-long"),
        ("goals[3].addresses[0]", "g-secret", "problem", "pr-1"),
    ]


def test_every_id_is_found_on_its_path() -> None:
    """Everything that has an id is named with its kind, in the file's order, steps and notes after the lists."""
    assert [tuple(each) for each in named(full())] == [
        ("plan", "plan.id", "plan-full"),
        ("client", "client.id", "client-full"),
        ("participant", "participants[0].id", "p-client"),
        ("participant", "participants[1].id", "p-ther"),
        ("participant", "participants[2].id", "p-aunt"),
        ("participant", "participants[3].id", "p-uncle"),
        ("problem", "problems[0].id", "pr-1"),
        ("session", "sessions[0].id", "s-1"),
        ("measure", "measures[0].id", "m-1"),
        ("measure", "measures[1].id", "m-2"),
        ("intervention", "interventions[0].id", "iv-1"),
        ("goal", "goals[0].id", "g-long"),
        ("goal", "goals[1].id", "g-earlier"),
        ("goal", "goals[2].id", "g-short"),
        ("goal", "goals[3].id", "g-secret"),
        ("review", "reviews[0].id", "rv-1"),
        ("consent", "disclosure.consents[0].id", "c-1"),
        ("consent", "disclosure.consents[1].id", "c-2"),
        ("step", "goals[2].steps[0].id", "st-1"),
        ("note", "goals[2].progress[0].id", "n-1"),
        ("note", "goals[2].achievements[0].id", "v-1"),
    ]


def test_the_author_of_what_an_ehr_or_an_import_brought_is_no_reference() -> None:
    """Such a revision is signed with the connection's or batch's name; who asked for it is a person all the same."""
    brought = [
        Revision(rev=1, date=AS_OF, by="x", reason="external_edit", requested_by="p-client"),
        Revision(rev=2, date=AS_OF, by="x", reason="import"),
        Revision(rev=3, date=AS_OF, by="p-ther", reason="review"),
    ]
    found = [(each.path, each.to) for each in references(replace(small(), revisions=tuple(brought)))]
    assert [each for each in found if each[0].startswith("revisions")] == [
        ("revisions[0].requested_by", "p-client"),
        ("revisions[2].by", "p-ther"),
    ]


def test_a_wire_id_never_changes() -> None:
    """Another release finds again what this one sent: the uuid5 of kind, plan and id, `/` and `%` escaped."""
    assert wire_id(NAMESPACE, "Goal", "plan-1", "g-1") == "dbb298d5-1134-58b2-9aff-89e245c5f2c2"
    assert wire_id(NAMESPACE, "CarePlan", "plan-1", "plan-1") == "6297c753-52f2-59fa-966d-16d83597b46b"
    assert Installation("urn:uuid:x", NAMESPACE).wire_id("Goal", "plan-1", "g-1") == (
        "dbb298d5-1134-58b2-9aff-89e245c5f2c2"
    )
    assert wire_id(NAMESPACE, "Goal", "a/b", "c%d") == "092b8ed5-3b8f-5225-be07-02468e28333d"
