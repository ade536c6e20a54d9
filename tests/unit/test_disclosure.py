"""What a connection may see: the examples' expectations, every gate, and a planted string per undisclosed field."""

# ruff: noqa: E501 - tables of cases read best with one case a line

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fhirgoals.domain import fields, pruning, records
from fhirgoals.domain.disclosure import Disclosed, disclose, inherited_sensitivities, not_covered, outline
from fhirgoals.domain.fields import FieldRow
from fhirgoals.domain.invariants import check_disclosed
from fhirgoals.domain.planfile import dump_plan
from fhirgoals.domain.records import (
    Achievement,
    Coding,
    Consent,
    Disclosure,
    Foreign,
    Intervention,
    Measure,
    Origin,
    Participant,
    Plan,
    Problem,
    ProgressEntry,
    Record,
    Staff,
    Step,
    Target,
    Withheld,
    fields_of,
)
from fhirgoals.errors import Bug
from tests.plans import AS_OF, EXAMPLES, changed, demo, every, example, expected, full, goal, replace, small, with_goal
from tests.unit.disclosed_plans import DAY, YES, plans, without

CONNECTIONS = demo()["connections"]
REPORTS = [
    (path, endpoint, want)
    for path in EXAMPLES
    for name, want in expected(path)["export"].items()
    for endpoint in (CONNECTIONS if name == "any" else [name])
]


def at(plan: Plan, endpoint: str = "ehr", **options: Any) -> Disclosed:
    return disclose(plan, endpoint, **({"on": AS_OF, "portal_visible": False} | options))


def shown(plan: Plan, **options: Any) -> Plan:
    found = at(plan, **options).plan
    assert found is not None
    return found


def encoded(plan: Plan | None) -> str:
    return msgspec.json.encode(plan).decode()


@pytest.mark.parametrize(
    ("path", "endpoint", "want"), REPORTS, ids=lambda value: getattr(value, "stem", str(value)[:20])
)
def test_an_example_discloses_what_it_says(path: Path, endpoint: str, want: dict[str, Any]) -> None:
    """Goals sent and kept with reasons, steps, notes, conditions and measures are those of `expected.export`."""
    plan = example(path)
    found = at(plan, endpoint, portal_visible=CONNECTIONS[endpoint]["portal_visible"])
    kept: dict[str, list[str]] = {}
    for goal_id, reason in found.kept.items():
        kept.setdefault(reason, []).append(goal_id)
    ids = [each.id for each in plan.goals]
    assert kept == {reason: ids if listed == "all" else listed for reason, listed in want["kept"].items()}
    assert sorted(found.goals) == sorted(want["sent"])
    assert len(found.goals) == want["goals"]
    assert found.refused == next((reason for reason, listed in want["kept"].items() if listed == "all"), None)
    if not want["goals"]:
        assert found.plan is None
        return
    assert found.plan is not None
    goals = found.plan.goals
    assert sum(len(each.steps) for each in goals) == want["steps"]
    assert want["notes"] == {
        "progress": sum(len(each.progress) for each in goals),
        "victories": sum(len(each.achievements) for each in goals),
        "client_words": sum(each.client_words is not None for each in goals),
    }
    assert [each.id for each in found.plan.problems] == want["conditions"]
    assert [each.id for each in found.plan.measures] == want["measures"]
    assert check_disclosed(plan, found.plan, endpoint) == ()
    assert "SENTINEL" not in encoded(found.plan)


def test_the_demo_counts_hold() -> None:
    """Per plan and endpoint as many goals go, and for the same reasons stay, as act 1 of the demo says."""
    want = demo()["acts"][0]["expect"]
    plans = [example(path) for path in EXAMPLES]
    main = {plan.id: at(plan, "ehr-main") for plan in plans}
    assert {plan_id: len(found.goals) for plan_id, found in main.items()} == want["sent_by_plan"]
    assert Counter(reason for found in main.values() for reason in found.kept.values()) == want["kept_here"]
    assert sum(found.plan is not None for found in main.values()) == want["care_plans"]["ehr-main"]
    steps = sum(len(each.steps) for found in main.values() if found.plan for each in found.plan.goals)
    assert steps == want["steps_sent"]["ehr-main"]
    for endpoint, connection in CONNECTIONS.items():
        sent = sum(len(at(plan, endpoint, portal_visible=connection["portal_visible"]).goals) for plan in plans)
        assert sent == want["sent"][endpoint]


def test_a_goal_withdrawn_in_the_demo_leaves_no_reference() -> None:
    """After act 6 nothing that goes mentions the withdrawn goal or its steps."""
    edit = demo()["acts"][5]["edits"][0]
    before = example(EXAMPLES[0])
    withheld = replace(before.disclosure, withheld=(Withheld(**edit["add_withheld"]),))
    plan = replace(with_goal(before, "g-explore-empty", share="withheld"), disclosure=withheld)
    found = at(plan, "ehr-main")
    assert found.kept["g-explore-empty"] == "withheld"
    text = encoded(found.plan)
    assert "g-explore-empty" not in text
    assert "st-em-" not in text
    assert found.plan is not None
    assert next(each for each in found.plan.interventions if each.id == "iv-4").goals == ("g-explore-map",)
    assert found.plan.goal("g-create").predecessors == ()


def test_the_outline_is_depth_first_long_term_first() -> None:
    """Each long-term goal is followed by its children in file order; other roots come last."""
    plan = small(
        goals=(
            goal("loose", horizon=None),
            goal("a1", parent="a"),
            goal("a"),
            goal("b"),
            goal("a2", parent="a"),
            goal("b1", parent="b"),
        )
    )
    assert outline(plan) == ("a", "a1", "a2", "b", "b1", "loose")
    assert tuple(each.id for each in shown(plan).goals) == at(plan).goals == outline(plan)


def test_the_outline_names_every_goal_of_a_circle_once() -> None:
    """Goals that are each other's parents are not lost."""
    plan = small(goals=(goal("a", parent="b"), goal("b", parent="a"), goal("c")))
    assert sorted(outline(plan)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("consents", "refused"),
    [
        ((), "no_consent"),
        ((replace(YES, endpoint="ehr-2"),), "no_consent"),
        ((YES,), None),
        ((replace(YES, granted=AS_OF),), None),
        ((replace(YES, granted=AS_OF + DAY, expires=None),), "no_consent"),
        ((replace(YES, granted=None),), "no_consent"),
        ((replace(YES, expires=None),), None),
        ((replace(YES, expires=AS_OF),), "consent_expired"),
        ((replace(YES, granted=None, refused=AS_OF - DAY),), "consent_refused"),
        ((replace(YES, refused=AS_OF - DAY),), "consent_refused"),
        ((YES, Consent(id="d", endpoint="ehr", refused=AS_OF)), "consent_refused"),
        ((YES, Consent(id="d", endpoint="ehr", refused=AS_OF - DAY)), "consent_refused"),
        ((YES, Consent(id="d", endpoint="ehr", refused=AS_OF - 9 * DAY)), None),
        ((YES, replace(YES, id="d", granted=AS_OF - 9 * DAY, expires=AS_OF - 5 * DAY)), None),
        ((replace(YES, scope=None),), None),
    ],
)
def test_only_a_consent_in_force_lets_anything_out(consents: tuple[Consent, ...], refused: str | None) -> None:
    """Granted by today, not expired, and not followed by a refusal; anything else sends nothing."""
    found = at(small(disclosure=Disclosure(consents=consents)))
    assert found.refused == refused
    assert (found.plan is None) == (refused is not None)
    if refused:
        assert dict(found.kept) == {"g-long": refused, "g-short": refused}


def test_a_consent_must_name_mental_health() -> None:
    """Everything in a client's plan is MH: a consent that names other labels only covers nothing."""
    plan = small(disclosure=Disclosure(consents=(replace(YES, sensitivities=("ADOL",)),)))
    assert set(at(plan).kept.values()) == {"sensitivity_not_consented"}
    assert at(plan).plan is None


@pytest.mark.parametrize(
    ("plan", "options", "refused"),
    [
        (small(kind="professional_development", client=None, therapist=Staff(id="s", display="x")), {}, "professional_development"),
        (small(kind="professional_development"), {}, "professional_development"),
        (small(client=None), {}, "no_client"),
        (small(status="draft"), {}, "plan_draft"),
        (small(status="entered_in_error"), {}, "plan_entered_in_error"),
        (small(client=replace(small().client, minor_self_consented=True)), {"portal_visible": True}, "minor_self_consented"),
        (small(client=replace(small().client, minor_self_consented=True)), {}, None),
        (small(), {"portal_visible": True}, None),
        (small(status="on_hold"), {}, None),
        (small(status=Foreign(foreign='"unknown"')), {}, None),
    ],
)  # fmt: skip
def test_a_plan_gate_holds_everything(plan: Plan, options: dict[str, Any], refused: str | None) -> None:
    """A development plan, a draft, a plan without client and a minor's plan on a portal send nothing at all."""
    found = at(plan, **options)
    assert found.refused == refused
    assert (found.plan is None) == (refused is not None)


HERE, THERE = Origin(system="ehr", resource="Goal/1"), Origin(system="ehr-2", resource="Goal/1")


@pytest.mark.parametrize(
    ("change", "options", "kept"),
    [
        ({"lifecycle": "draft"}, {}, "draft"),
        ({"lifecycle": "draft"}, {"sent_before": frozenset({"g-short"}), "send_proposed": True}, "draft"),
        ({"lifecycle": "proposed"}, {}, "proposed"),
        ({"lifecycle": "proposed"}, {"send_proposed": True}, None),
        ({"lifecycle": "proposed", "origin": HERE}, {}, None),
        ({"lifecycle": "declined"}, {}, "declined_never_sent"),
        ({"lifecycle": "declined"}, {"sent_before": frozenset({"g-long"})}, "declined_never_sent"),
        ({"lifecycle": "declined"}, {"sent_before": frozenset({"g-short"})}, None),
        ({"lifecycle": "entered_in_error"}, {}, "entered_in_error_never_sent"),
        ({"lifecycle": "entered_in_error"}, {"sent_before": frozenset({"g-short"})}, None),
        ({"lifecycle": None}, {}, "status_unknown"),
        ({"lifecycle": Foreign(foreign='"x"')}, {}, "status_unknown"),
        ({"lifecycle": Foreign(foreign='"x"'), "origin": HERE}, {}, None),
        ({"origin": HERE}, {}, None),
        ({"origin": THERE}, {}, "other_origin"),
        ({"share": "withheld"}, {}, "withheld"),
        ({"share": "withheld", "lifecycle": "draft"}, {}, "withheld"),
        ({"share": "withheld"}, {"sent_before": frozenset({"g-short"})}, "withheld"),
        ({"sensitivities": ("SUD",)}, {}, "sensitivity_not_consented"),
        ({"sensitivities": ("MH",)}, {}, None),
        ({"lifecycle": "completed"}, {}, None),
        ({"lifecycle": "cancelled"}, {}, None),
        ({"lifecycle": "on_hold"}, {}, None),
        ({"lifecycle": "accepted"}, {}, None),
        ({"lifecycle": "planned"}, {}, None),
    ],
)
def test_a_goal_gate_holds_that_goal(change: dict[str, Any], options: dict[str, Any], kept: str | None) -> None:
    """A goal stays for its first reason, and the other goal goes."""
    found = at(with_goal(small(), "g-short", **change), **options)
    assert found.kept == ({"g-short": kept} if kept else {})
    assert "g-long" in found.goals


@pytest.mark.parametrize(
    ("endpoint", "kept"), [(None, {"g-short": "withheld"}), ("ehr", {"g-short": "withheld"}), ("other", {})]
)
def test_withholding_holds_for_its_endpoint(endpoint: str | None, kept: dict[str, str]) -> None:
    """An entry without endpoint withholds from all, one with an endpoint from that one."""
    plan = small(disclosure=Disclosure(consents=(YES,), withheld=(Withheld(target="g-short", endpoint=endpoint),)))
    assert at(plan).kept == kept


def two_problems(**of_second: Any) -> Plan:
    problems = (small().problems[0], Problem(id="pr-2", code=Coding(system="icd10cm", code="F10.1"), **of_second))
    return small(problems=problems)


def test_a_withheld_problem_is_not_named() -> None:
    """A goal that addresses another problem too goes without it; one that addresses only that stays."""
    plan = replace(
        two_problems(), disclosure=Disclosure(consents=(YES,), withheld=(Withheld(target="pr-2", reason="x"),))
    )
    both = with_goal(plan, "g-short", addresses=("pr-1", "pr-2"))
    assert shown(both).goal("g-short").addresses == ("pr-1",)
    assert [each.id for each in shown(both).problems] == ["pr-1"]
    assert at(with_goal(plan, "g-short", addresses=("pr-2",))).kept == {"g-short": "withheld"}


def test_a_goal_inherits_from_problem_and_measure() -> None:
    """A label of what a goal addresses or measures, even through its parent, gates it and is its label (invariant 16)."""
    plan = two_problems(sensitivities=("SUD",))
    assert at(with_goal(plan, "g-short", addresses=("pr-2",))).kept == {"g-short": "sensitivity_not_consented"}
    through_parent = with_goal(with_goal(plan, "g-long", addresses=("pr-2",)), "g-short", addresses=())
    assert set(at(through_parent).kept.values()) == {"sensitivity_not_consented"}
    measured = replace(
        with_goal(small(), "g-short", targets=(Target(measure="m-1"),)),
        measures=(Measure(id="m-1", sensitivities=("VIO",)),),
    )
    assert at(measured).kept == {"g-short": "sensitivity_not_consented"}
    wide = Disclosure(consents=(replace(YES, sensitivities=("VIO", "SUD", "MH")),))
    assert shown(replace(measured, disclosure=wide)).goal("g-short").sensitivities == ("VIO",)
    labelled = with_goal(plan, "g-short", addresses=("pr-1", "pr-2"), sensitivities=("VIO", "MH"))
    assert shown(replace(labelled, disclosure=wide)).goal("g-short").sensitivities == ("MH", "SUD", "VIO")
    assert inherited_sensitivities(plan)["g-long"] == frozenset()


def test_what_a_consent_does_not_cover_is_told_in_the_order_of_the_labels() -> None:
    """Of a goal's labels and the one that all content has; without a consent in force nothing is covered."""
    plan = with_goal(two_problems(), "g-short", sensitivities=("VIO", "SUD", "PSY"))
    covered = replace(plan, disclosure=Disclosure(consents=(replace(YES, sensitivities=("MH", "PSY")),)))
    assert not_covered(covered, "ehr", AS_OF, "g-short") == ("SUD", "VIO")
    assert not_covered(covered, "ehr", AS_OF, "g-long") == ()
    assert not_covered(covered, "ehr-2", AS_OF, "g-short") == ("MH", "PSY", "SUD", "VIO")
    assert not_covered(covered, "ehr-2", AS_OF, "g-long") == ("MH",)


def test_references_to_what_stays_are_taken_out() -> None:
    """Parent, predecessors, replacement and an intervention's goals name only goals that go (invariant 21)."""
    plan = small(
        goals=(
            goal("long", addresses=("pr-1",), lifecycle="draft"),
            goal("short", parent="long", predecessors=("gone", "stay"), replaced_by="gone"),
            goal("stay"),
            goal("gone", share="withheld"),
        ),
        interventions=(
            Intervention(id="iv-1", technique="x", by="p-nobody", goals=("gone", "short")),
            Intervention(id="iv-2", technique="x", by="p-ther", goals=("gone", "long")),
        ),
    )
    found = shown(plan)
    short = found.goal("short")
    assert (short.parent, short.predecessors, short.replaced_by) == (None, ("stay",), None)
    assert [(each.id, each.by, each.goals) for each in found.interventions] == [("iv-1", None, ("short",))]


def test_an_intervention_for_a_goal_of_an_uncovered_kind_stays() -> None:
    """Its technique could tell of what the consent does not cover, so it inherits like everything else."""
    plan = small(
        goals=(*small().goals, goal("g-sud", sensitivities=("SUD",))),
        interventions=(Intervention(id="iv-1", technique="x", goals=("g-long", "g-sud")),),
    )
    assert shown(plan).interventions == ()


def test_a_shared_note_goes_and_an_ehrs_note_goes_back_to_it_only() -> None:
    """Private and team notes stay; a note born at an EHR is shown to that EHR alone."""
    notes = (
        ProgressEntry(id="n-1", visibility="shared", text="ours", author="p-ther"),
        ProgressEntry(id="n-2", visibility="shared", text="theirs", author_text="ward", origin=HERE),
        ProgressEntry(id="n-3", visibility="shared", text="others", origin=THERE),
        ProgressEntry(id="n-4", visibility="team", text="team"),
        ProgressEntry(id="n-5", visibility="private", text="private"),
    )
    found = shown(with_goal(small(), "g-long", progress=notes)).goal("g-long").progress
    assert [(each.id, each.author_text, each.origin) for each in found] == [("n-1", None, None), ("n-2", "ward", None)]


def test_a_victory_and_the_clients_words_need_their_own_switch() -> None:
    """Neither goes unless the client marked it."""
    victories = (Achievement(id="a-1", text="yes", share=True), Achievement(id="a-2", text="no"))
    plan = with_goal(small(), "g-long", achievements=victories, client_words="my words")
    found = shown(plan).goal("g-long")
    assert [each.id for each in found.achievements] == ["a-1"]
    assert found.client_words is None
    assert shown(with_goal(plan, "g-long", share_words=True)).goal("g-long").client_words == "my words"


def test_a_step_entered_in_error_goes_only_if_sent_and_leaves_no_gap() -> None:
    """Steps are numbered anew, so that nothing shows that one is missing."""
    step = small().goals[1].steps[0]
    steps = (step, replace(step, id="st-2", n=2, status="entered_in_error"), replace(step, id="st-3", n=3))
    plan = with_goal(small(), "g-short", steps=steps)
    assert [(each.id, each.n) for each in shown(plan).goal("g-short").steps] == [("st-1", 1), ("st-3", 2)]
    sent = shown(plan, sent_before=frozenset({"st-2"})).goal("g-short").steps
    assert [(each.id, each.n) for each in sent] == [("st-1", 1), ("st-2", 2), ("st-3", 3)]


def test_a_plan_entered_in_error_goes_only_as_far_as_it_was_sent() -> None:
    """The void of a plan that was sent goes with the goals that were sent, and no new goal with it."""
    found = at(small(status="entered_in_error"), sent_before=frozenset({"plan-1", "g-long"}))
    assert found.goals == ("g-long",)
    assert found.kept == {"g-short": "plan_entered_in_error"}


def test_only_the_end_that_counts_goes() -> None:
    """A running plan shows its planned end, a finished one its real end."""
    ends = {"planned_end_date": date(2026, 12, 1), "end_date": date(2026, 11, 1)}
    running = shown(small(**ends))
    assert (running.planned_end_date, running.end_date) == (date(2026, 12, 1), None)
    for status in ("completed", "revoked"):
        ended = shown(small(status=status, **ends))
        assert (ended.planned_end_date, ended.end_date) == (None, date(2026, 11, 1))


def test_a_session_rating_target_needs_its_switch() -> None:
    """The SRS is never sent unless the connection's option says so."""
    measures = (
        Measure(id="m-1", instrument="SRS"),
        Measure(id="m-2", code=Coding(system="snomed", code="720482000")),
        Measure(id="m-3", instrument="ORS"),
    )
    plan = replace(
        with_goal(small(), "g-long", targets=tuple(Target(measure=each.id) for each in measures)), measures=measures
    )
    assert [each.id for each in shown(plan).measures] == ["m-3"]
    assert [each.measure for each in shown(plan).goal("g-long").targets] == ["m-3"]
    assert len(shown(plan, send_session_rating=True).measures) == 3


def test_only_named_roles_and_those_referred_to_go() -> None:
    """A participant of another role goes only where something that goes refers to them, and never by name."""
    people = (
        *small().participants,
        Participant(id="p-aunt", role="family", ref="related-1", display="Aunt"),
        Participant(id="p-old", role="former_therapist", ref="staff-2", display="Old"),
        Participant(id="p-boss", role="clinical_supervisor", ref="staff-3", display="Boss"),
    )
    plan = with_goal(small(participants=people), "g-long", expressed_by="p-aunt")
    found = shown(plan).participants
    assert [each.id for each in found] == ["p-client", "p-ther", "p-aunt", "p-boss"]
    assert all(each.display is None for each in found)


# --- the table of fields ---------------------------------------------------------------------------------------

PLANT = "PLANTED-5f1c2e"
KINDS = {kind.__name__: kind for kind in Record.__subclasses__() if kind.__name__ in records.__all__}
NO_FIELD = {("Plan", "schema"), ("Goal", "plan"), ("Goal", "ordinal"), ("Step", "goal"), ("Barrier", "goal"), ("Review", "next_due")}  # fmt: skip
"""Rows of what is no field: the file's own, places in a list, derived values."""
ROWS = [row for row in fields.FIELDS if row.record in KINDS and (row.record, row.field) not in NO_FIELD]
OUTSIDE = {"Staff", "Related", "Stamp"}
"""Records that are no part of a client's plan record."""
UNDISCLOSED = [row for row in ROWS if not pruning.may_stay(row.record, row.field)]
DISCLOSED = [row for row in ROWS if pruning.may_stay(row.record, row.field)]
GATES = {
    ("Goal", "share"),
    ("Plan", "kind"),
    ("Plan", "therapist"),
    ("ProgressEntry", "visibility"),
    ("ProgressEntry", "origin"),
    ("Goal", "origin"),
    ("Origin", "system"),
    ("Problem", "sensitivities"),
    ("Measure", "sensitivities"),
}
"""Fields whose planted value closes the gate of the thing it stands in."""


def key(row: FieldRow) -> str:
    return f"{row.record}.{row.field}"


def holds_records(value: object) -> bool:
    return isinstance(value, Record) or (isinstance(value, tuple) and any(isinstance(each, Record) for each in value))


def lets_out(value: object) -> bool:
    """The consent that lets anything out at all: it stays as it is, the other consent takes the plant."""
    return isinstance(value, Consent) and value.endpoint == "ehr"


def filled(value: object) -> object:
    """Put the string in place of every value; records do not check, so any field can hold it."""
    if lets_out(value):
        return value
    if isinstance(value, Record):
        names = [field.name for field in records.fields_of(type(value))]
        return replace(value, **{name: filled(getattr(value, name)) for name in names})
    if isinstance(value, tuple) and holds_records(value):
        return tuple(filled(each) for each in value)
    return (PLANT,) if isinstance(value, tuple) else PLANT


def planted(plan: Plan, row: FieldRow) -> Plan:
    """Fill that one field of every such record of the plan."""

    def change(record: Record) -> Record:
        if type(record).__name__ != row.record or lets_out(record):
            return record
        (field,) = (each for each in records.fields_of(type(record)) if each.encode_name == row.field)
        value = getattr(record, field.name)
        if value is None and key(row) != "Plan.therapist":
            return record
        return replace(record, **{field.name: filled(value)})

    found = changed(plan, change)
    assert isinstance(found, Plan)
    return found


@pytest.mark.parametrize("row", [row for row in UNDISCLOSED if row.record not in OUTSIDE], ids=key)
def test_a_string_in_an_undisclosed_field_stays(row: FieldRow) -> None:
    """One plant per row of the table that lets nothing out: the string is in the plan and not in what is shown."""
    plan = planted(full(), row)
    assert PLANT in encoded(plan)
    found = at(plan)
    if (row.record, row.field) not in GATES:
        assert found.plan is not None
        assert found.goals == ("g-long", "g-earlier", "g-short")
    assert PLANT not in encoded(found.plan)


@pytest.mark.parametrize("row", [row for row in UNDISCLOSED if row.record in OUTSIDE], ids=key)
def test_a_record_outside_a_clients_plan_is_never_shown(row: FieldRow) -> None:
    """A member of staff, a relative or a stamp can't even be emptied: asking for it is a bug, not a leak."""
    given_fields = {field.name: PLANT for field in records.fields_of(KINDS[row.record])}
    with pytest.raises(Bug) as caught:
        pruning.pruned(KINDS[row.record](**given_fields))
    assert PLANT not in str(caught.value)


@pytest.mark.parametrize("row", DISCLOSED, ids=key)
def test_a_disclosed_field_is_shown(row: FieldRow) -> None:
    """What the table lets out is not lost: the field of the full plan, running or ended, keeps its value somewhere."""
    plans = (full(), replace(full(), status="completed"))
    before = [value for plan in plans for value in values(plan, row)]
    after = [value for plan in plans for value in values(shown(plan), row) if value not in (None, (), "")]
    assert after
    if not any(holds_records(value) for value in before) and key(row) != "Goal.sensitivities":
        assert all(value in before for value in after)


def values(plan: Plan, row: FieldRow) -> list[object]:
    return [
        getattr(each, field.name)
        for each in every(plan)
        if type(each).__name__ == row.record
        for field in records.fields_of(type(each))
        if field.encode_name == row.field
    ]


def test_the_full_plan_is_full() -> None:
    """The plants mean something: every field of every record of a client's plan holds a value in the full plan."""
    empty = {
        key(row)
        for row in ROWS
        if row.record not in OUTSIDE and all(value in (None, (), {}) for value in values(full(), row))
    }
    assert empty == {"Plan.therapist"}


def test_a_field_without_a_row_is_emptied() -> None:
    """A record that gains a field shows nothing of it until the table says so."""

    class Step(records.Step, frozen=True, kw_only=True):
        mood: str | None = None
        words: tuple[str, ...] = ()

    step = Step(id="st-1", n=1, text="shown", mood=PLANT, words=(PLANT,))
    assert pruning.pruned(step) == Step(id="st-1", n=1, text="shown")


def test_a_record_without_rows_is_emptied() -> None:
    """A new kind of record inside a disclosed field does not go along."""

    class Unheard(Record, frozen=True, kw_only=True):
        secret: str

    step = Step(id="st-1", n=1, kind=Unheard(secret=PLANT))  # type: ignore[arg-type]
    assert pruning.pruned(step) == Step(id="st-1", n=1)


def test_pruning_is_done_after_once() -> None:
    """What is shown holds nothing that pruning would still take away."""
    found = shown(full())
    assert pruning.pruned(found) == found
    assert "name" not in dump_plan(found)


# --- properties ------------------------------------------------------------------------------------------------


@given(plan=plans(), data=st.data())
def test_a_withheld_goal_leaves_no_trace(plan: Plan, data: st.DataObject) -> None:
    """What is shown equals what is shown of the plan without that goal (invariant 18)."""
    gone = data.draw(st.sampled_from([each.id for each in plan.goals]))
    consented = set(plan.disclosure.consents[0].sensitivities)
    assume(inherited_sensitivities(plan)[gone] <= consented)
    never = at(without(plan, gone))
    listed = [Withheld(target=gone, endpoint=endpoint) for endpoint in (None, "ehr")]
    for held in (
        with_goal(plan, gone, share="withheld"),
        *(replace(plan, disclosure=replace(plan.disclosure, withheld=(one,))) for one in listed),
    ):
        found = at(held)
        assert encoded(found.plan) == encoded(never.plan)
        assert found.goals == never.goals
        assert found.kept == {**never.kept, gone: "withheld"}


@given(plan=plans(), data=st.data())
def test_what_may_not_be_seen_changes_no_byte(plan: Plan, data: st.DataObject) -> None:
    """Whatever is written on a goal that stays here, for whatever reason, and withholding it, changes no byte."""
    before = at(plan)
    assume(before.kept)
    gone = data.draw(st.sampled_from(sorted(before.kept)))
    whole = full().goal("g-long")
    field = data.draw(st.sampled_from(WRITTEN))
    for changes in ({field: getattr(whole, field)}, {"text": data.draw(st.text())}, {"share": "withheld"}):
        assert encoded(at(with_goal(plan, gone, **changes)).plan) == encoded(before.plan)


@given(plan=plans(), data=st.data())
def test_withholding_a_goal_never_shows_more(plan: Plan, data: st.DataObject) -> None:
    """Whatever its labels, a withheld goal and its texts are gone, and no other goal appears."""
    gone = data.draw(st.sampled_from([each.id for each in plan.goals]))
    found = at(with_goal(plan, gone, share="withheld"))
    assert set(found.goals) == set(at(plan).goals) - {gone}
    assert f'of {gone}"' not in encoded(found.plan)
    assert f'"{gone}' not in encoded(found.plan)


WRITTEN = (
    "client_words",
    "status_reason",
    "completion_criterion",
    "readiness",
    "smart",
    "acceptance",
    "steps",
    "progress",
    "findings",
    "achievements",
    "barriers",
    "revisions",
)
"""What people write on a goal; labels, problems and measures are another matter: they decide what goes with it."""


def assert_no_more(less: Any, more: Any, place: str) -> None:
    """Each value of the one is the same in the other, or not given; each member of a list is a member there too."""
    if isinstance(less, Record):
        assert type(less) is type(more), place
        for field in fields_of(type(less)):
            assert_no_more(getattr(less, field.name), getattr(more, field.name), f"{place}.{field.name}")
    elif isinstance(less, tuple):
        assert isinstance(more, tuple), place
        for each in less:
            key = getattr(each, "id", None) or each
            same = [one for one in more if (getattr(one, "id", None) or one) == key]
            assert same, f"{place}: a member that was not there"
            assert_no_more(each, same[0], place)
    elif less is not None:
        assert less == more, place


@given(
    plan=plans(),
    fewer=st.sampled_from(
        [{"expires": AS_OF}, {"granted": AS_OF + DAY}, {"refused": AS_OF}, {"endpoint": "x"}, *({"sensitivities": each} for each in [(), ("MH",), ("ADOL",), ("SUD",)])]
    ),
)  # fmt: skip
def test_less_consent_never_shows_more(plan: Plan, fewer: dict[str, Any]) -> None:
    """An expired, refused, later or narrower consent shows a part of what the consent showed, to the last field."""
    consent = plan.disclosure.consents[0]
    if "sensitivities" in fewer:
        fewer = {"sensitivities": tuple(each for each in fewer["sensitivities"] if each in consent.sensitivities)}
    less = at(replace(plan, disclosure=Disclosure(consents=(replace(consent, **fewer),))))
    more = at(plan)
    assert set(less.goals) <= set(more.goals)
    if less.plan is not None:
        assert more.plan is not None
        assert_no_more(less.plan, more.plan, "plan")


@given(plan=plans())
def test_what_is_shown_is_sound(plan: Plan) -> None:
    """No reference dangles, nothing withheld is there, every goal is shown or kept, and steps have no gap."""
    found = at(plan)
    assert set(found.goals) | set(found.kept) == {each.id for each in plan.goals}
    assert not set(found.goals) & set(found.kept)
    if found.plan is not None:
        assert check_disclosed(plan, found.plan, "ehr") == ()
        for each in found.plan.goals:
            assert [step.n for step in each.steps] == list(range(1, len(each.steps) + 1))
