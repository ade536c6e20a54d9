"""What a client and a proxy read of a plan, and when time alone changes what an endpoint sees."""

# ruff: noqa: E501 - tables of cases read best with one case a line

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.domain import readers, records
from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.invariants import check_disclosed
from fhirgoals.domain.readers import (
    KEPT_FROM_CLIENT,
    KEPT_FROM_PROXY,
    client_words_first,
    next_change,
    proxy_view,
    view_as_client,
)
from fhirgoals.domain.records import (
    Acceptance,
    Achievement,
    Client,
    Coding,
    Consent,
    Disclosure,
    Intervention,
    Measure,
    Participant,
    Plan,
    ProgressEntry,
    Record,
    Staff,
    Step,
    Target,
    Withheld,
    fields_of,
)
from tests.plans import AS_OF, EXAMPLES, changed, every, example, expected, full, goal, replace, small, with_goal
from tests.unit.disclosed_plans import plans, without

DAY = timedelta(days=1)
DEP, OCD, IPR, DEV, ADO = (example(path) for path in EXAMPLES)


def client_plan(plan: Plan) -> Plan:
    found = view_as_client(plan).plan
    assert found is not None
    return found


def text_of(plan: Plan | None) -> str:
    return msgspec.json.encode(plan).decode()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_shows_its_proxies_what_it_says(path: Path) -> None:
    """The proxy views of `expected.proxy_view` come out: number of goals, and why."""
    for participant, want in expected(path).get("proxy_view", {}).items():
        found = proxy_view(example(path), participant)
        assert {"goals": len(found.goals), "why": found.why} == want
        assert found.plan is None


@pytest.mark.parametrize("plan", [DEP, OCD, IPR, ADO], ids=lambda plan: plan.id)
def test_a_client_reads_no_private_text(plan: Plan) -> None:
    """Of the sentinels a client meets only what is theirs: their words, their victories, what they withhold."""
    text = text_of(client_plan(plan))
    for mark in ("PRIVATE", "TEAM", "FINDING", "DRAFT", "VOID", "NOTE", "SUMMARY", "SRS"):
        assert f"{mark}-SENTINEL" not in text
    seen = client_plan(plan)
    own = {each.id for each in plan.participants if each.role == "client"}
    assert all(each.noted_by in own or each.share for one in seen.goals for each in one.achievements)
    assert "dangling_in_export" not in {found.code for found in check_disclosed(plan, seen, "")}


def test_a_client_reads_what_is_theirs() -> None:
    """A client sees their own words, victories, answers, withheld goals and consents."""
    seen = client_plan(OCD)
    assert seen.goal("g-drink") is not None
    assert seen.disclosure == OCD.disclosure
    assert "WORDS-SENTINEL-DEP-1" in text_of(client_plan(DEP))
    assert "VICTORY-SENTINEL-DEP-1" in text_of(client_plan(DEP))
    declined = client_plan(DEP).goal("g-med-review").acceptance
    assert {line.by: line.reason for line in declined} == {"p-ther": None, "p-client": "prefers to try therapy first"}
    assert {line.by: line.date is None for line in declined} == {"p-ther": True, "p-client": False}


def test_a_client_reads_no_draft_no_error_and_no_session_rating() -> None:
    """Drafts and errors are left out with all that names them, and sessions are not rated back at the client."""
    found = view_as_client(OCD)
    assert found.kept == {"g-typo": "entered_in_error", "g-club": "draft"}
    assert set(found.goals) == {each.id for each in OCD.goals} - found.kept.keys()
    assert found.plan is not None
    assert [each.id for each in found.plan.goals] == list(found.goals)
    assert "m-srs" not in text_of(client_plan(IPR))
    assert {each.id for each in client_plan(IPR).measures} == {each.id for each in IPR.measures} - {"m-srs"}


def test_what_names_a_left_out_goal_is_taken_out() -> None:
    """Parents, predecessors, successors, interventions, victories' targets and a draft's own measure go with it."""
    plan = small(
        goals=(
            goal("a", steps=(Step(id="a-1", n=1, status="entered_in_error"), Step(id="a-2", n=2)), predecessors=("d",), replaced_by="d",
                 achievements=(Achievement(id="v-1", text="One", noted_by="p-client", target="d"), Achievement(id="v-2", text="Two", noted_by="p-client", target="a-1"), Achievement(id="v-3", text="Three", noted_by="p-client", target="a-2"))),
            goal("b", parent="d", targets=(Target(measure="m-1"),)),
            goal("d", lifecycle="draft", targets=(Target(measure="m-1"), Target(measure="m-2"))),
        ),
        measures=(Measure(id="m-1"), Measure(id="m-2"), Measure(id="m-3")),
        interventions=(Intervention(id="iv-1", goals=("a", "d")), Intervention(id="iv-2", goals=("d",)), Intervention(id="iv-3")),
    )  # fmt: skip
    seen = client_plan(plan)
    first, second = seen.goal("a"), seen.goal("b")
    assert (first.predecessors, first.replaced_by, second.parent) == ((), None, None)
    assert {each.id: each.parent for each in client_plan(small()).goals} == {"g-long": None, "g-short": "g-long"}
    assert [(step.id, step.n) for step in first.steps] == [("a-2", 1)]
    assert [victory.target for victory in first.achievements] == [None, None, "a-2"]
    assert [each.id for each in seen.measures] == ["m-1", "m-3"]
    assert {each.id: each.goals for each in seen.interventions} == {"iv-1": ("a",), "iv-3": ()}


@pytest.mark.parametrize(
    ("author", "visibility", "reads"),
    [
        ("p-ther", "shared", True),
        ("p-ther", "team", False),
        ("p-ther", "private", False),
        ("p-sup", "shared", False),
        ("p-sup", "team", False),
        ("p-client", "private", True),
        ("p-client", "team", True),
        (None, "shared", True),
        (None, "private", False),
    ],
)
def test_a_client_reads_shared_notes_and_their_own_but_no_supervisors(
    author: str | None, visibility: Any, reads: bool
) -> None:
    """A note is read where it is shared or the reader's own; a supervisor's comment never."""
    note = ProgressEntry(id="n-1", author=author, visibility=visibility, text="A note")
    plan = with_goal(small(), "g-long", progress=(note,))
    plan = replace(
        plan, participants=(*plan.participants, Participant(id="p-sup", role="clinical_supervisor", ref="staff-2"))
    )
    assert bool(client_plan(plan).goal("g-long").progress) is reads


def test_a_victory_is_read_where_it_is_shared_or_ones_own() -> None:
    """What others noted for themselves stays with them."""
    victories = tuple(
        Achievement(id=f"v-{n}", text="x", noted_by=by, share=share)
        for n, (by, share) in enumerate([("p-client", False), ("p-ther", True), ("p-ther", False)])
    )
    seen = client_plan(with_goal(small(), "g-long", achievements=victories)).goal("g-long")
    assert [each.id for each in seen.achievements] == ["v-0", "v-1"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "professional_development"}, "professional_development"),
        ({"therapist": Staff(id="staff-1", display="A")}, "professional_development"),
        ({"client": None}, "no_client"),
        ({"status": "entered_in_error"}, "plan_entered_in_error"),
    ],
)
def test_a_plan_that_is_not_a_clients_shows_nothing(changes: dict[str, Any], why: str) -> None:
    """Development plans, plans without a client and errors are nobody's view, and every goal says why."""
    for found in (view_as_client(small(**changes)), proxy_view(small(**changes), "p-client")):
        assert (found.plan, found.goals, found.why) == (None, (), why)
        assert set(found.kept.values()) == {why}


def test_a_minor_who_consented_reads_their_own_plan() -> None:
    """The client's own view is hers, whoever else sees nothing."""
    assert view_as_client(ADO).why is None
    assert set(view_as_client(ADO).goals) == {each.id for each in ADO.goals} - {"h-talk"}
    for person in ("p-mother", "p-ther", "p-client"):
        assert proxy_view(ADO, person).why == "minor_self_consented"


def minor(**changes: Any) -> Plan:
    """A minor's plan to which a parent consented, with all of a full plan's fields."""
    base = replace(full(), **changes)
    assert base.client is not None
    return replace(base, client=replace(base.client, minor_self_consented=False))


def test_only_those_on_the_clients_record_are_proxies() -> None:
    """The record's list decides, not the role in the plan; others see nothing; an unknown one is an error."""
    assert proxy_view(minor(), "p-aunt").why is None  # a support person, and related-1 is on the record
    for person in ("p-uncle", "p-ther", "p-client"):
        assert proxy_view(minor(), person).why == "not_a_proxy"
    role = Participant(id="p-x", role="legal_representative", ref="related-9")
    assert proxy_view(minor(participants=(*full().participants, role)), "p-x").why == "not_a_proxy"
    with pytest.raises(KeyError):
        proxy_view(minor(), "p-none")


def test_a_proxy_reads_less_than_the_client() -> None:
    """No words that are not shared, no answers, notes or victories of the client's own, nothing of what is withheld."""
    plan = with_goal(
        minor(),
        "g-short",
        share_words=False,
        progress=(ProgressEntry(id="n-1", author="p-client", visibility="private", text="Mine alone"), ProgressEntry(id="n-2", author="p-client", visibility="shared", text="For all")),
        achievements=(Achievement(id="v-1", text="Mine too", noted_by="p-client"),),
        acceptance=(Acceptance(by="p-client", status="disagree", reason="Because"), Acceptance(by="p-aunt", status="agree", date=AS_OF)),
    )  # fmt: skip
    found = proxy_view(plan, "p-aunt")
    assert found.plan is not None
    assert found.kept == {"g-secret": "withheld"}
    text = text_of(found.plan)
    for kept in (
        "In my words",
        "Mine",
        "Because",
        "Secret",
        "g-secret",
        "Kept in the room",
        "Heavy days",
        "Barrier",
        "withheld",
        "consents",
        "Not now",
    ):
        assert kept not in text
    seen = found.plan.goal("g-short")
    assert [each.id for each in seen.progress] == ["n-2"]
    assert [(each.by, each.date) for each in seen.acceptance] == [("p-client", None), ("p-aunt", AS_OF)]
    assert "In my words" in text_of(proxy_view(with_goal(plan, "g-short", share_words=True), "p-aunt").plan)


WARD = [(replace(plan, client=replace(plan.client, minor_self_consented=False, legal_representatives=("related-x",)), participants=(*plan.participants, Participant(id="p-x", role="legal_representative", ref="related-x"))), each.id) for plan in (DEP, OCD, IPR, ADO) if plan.client for each in plan.goals]  # fmt: skip


@pytest.mark.parametrize(("plan", "gone"), WARD, ids=[gone for _, gone in WARD])
def test_what_is_withheld_changes_no_byte_of_a_proxys_view(plan: Plan, gone: str) -> None:
    """Withholding any goal of any example reads as if it had never been, whichever way it is withheld."""
    never = proxy_view(without(plan, gone), "p-x")
    listed = replace(
        plan, disclosure=replace(plan.disclosure, withheld=(*plan.disclosure.withheld, Withheld(target=gone)))
    )
    for found in (proxy_view(with_goal(plan, gone, share="withheld"), "p-x"), proxy_view(listed, "p-x")):
        assert text_of(found.plan) == text_of(never.plan)
        assert found.kept == {**never.kept, gone: "withheld"}
    assert f'"{gone}"' not in text_of(never.plan)


def test_a_withheld_problem_takes_its_goals_along() -> None:
    """A goal whose every problem is withheld would tell of it; one that has another stays without it."""
    plan, _ = WARD[15]
    assert plan.id == "plan-ocd-01"
    held = replace(plan, disclosure=Disclosure(withheld=(Withheld(target="pr-2"),)))
    held = with_goal(with_goal(held, "g-drink", share="default"), "g-wash", addresses=("pr-1", "pr-2"))
    found = proxy_view(held, "p-x")
    assert found.kept["g-drink"] == "withheld"
    assert found.plan is not None
    assert found.plan.goal("g-wash").addresses == ("pr-1",)
    assert "pr-2" not in text_of(found.plan)
    assert "SUD-SENTINEL" not in text_of(found.plan)


def test_what_is_withheld_from_one_endpoint_is_not_withheld_from_a_proxy() -> None:
    """A withholding that names an endpoint is about that endpoint."""
    plan, _ = WARD[0]
    held = replace(
        plan, disclosure=replace(plan.disclosure, withheld=(Withheld(target="g-create", endpoint="ehr-main"),))
    )
    assert "g-create" in proxy_view(held, "p-x").goals


SHOWN = frozenset(
    """
Plan: id kind title status start_date planned_end_date end_date review_interval_days session_frequency discharge refusal program
Plan: language client therapist participants problems disclosure sessions measures interventions goals reviews
Client: id display identifiers name birth_date legal_representatives minor_self_consented record_status
Staff: id display identifiers name role credential supervisor_signs
Participant: id role ref display period
Period: start end
Problem: id code client_words status onset identifiers sensitivities
Coding: system code display
Identifier: system value
Name: family given
Disclosure: default consents withheld
Consent: id endpoint granted expires refused method scope sensitivities
Withheld: target endpoint reason
Session: id date mode
Measure: id instrument code unit range better baseline readings cutoff reliable_change schedule sensitivities foreign_code
Reading: date value rater
Cutoff: op value
Intervention: id modality technique by frequency duration goals code
Goal: id parent horizon nature text client_words share_words domain priority addresses lifecycle achievement closure_reason status_date
Goal: status_reason start_date target_date completion_criterion targets gas predecessors replaced_by expressed_by share sensitivities
Goal: exposure_hierarchy origin review acceptance steps progress achievements barriers
Target: measure id op value range by sustain foreign_detail
Sustain: count span_days apart_days
Gas: levels ratings
GasRating: date level rater
Step: id n kind owner participant text frequency scheduled status done_on suds_expected
Acceptance: by status date method priority reason
ProgressEntry: date id session author author_text visibility text origin
Achievement: date id size target text noted_by celebrated share
Barrier: date text code resolved resolution
Origin: system resource version
Foreign: foreign
Review: id date due kind outcome attendees client_participation signatures
Signature: by date refused
Discharge: date kind outcome follow_up
Refusal: by reason date
""".strip().splitlines()
)
SEEN = {(line.split(": ")[0], field) for line in SHOWN for field in line.split(": ")[1].split()}


def test_every_field_is_decided() -> None:
    """A new field of any record must be shown to the client or kept, by name: nothing is shown by accident."""
    given = {(type(each).__name__, field.encode_name) for each in every(full()) for field in fields_of(type(each))}
    left = {pair for pair in given if pair not in SEEN and pair not in KEPT_FROM_CLIENT}
    # What stands only under fields that are kept as a whole.
    assert {record for record, _ in left} <= {
        "Readiness",
        "Trial",
        "Revision",
        "Change",
        "Weight",
        "DischargeCriterion",
        "Finding",
        "SmartResult",
    }
    assert not SEEN & KEPT_FROM_CLIENT.keys()
    assert SEEN - given <= {
        ("Staff", field.encode_name) for field in fields_of(Staff)
    }  # only a development plan has one
    known = {
        (each.__name__, field.encode_name)
        for each in vars(records).values()
        if isinstance(each, type) and issubclass(each, Record)
        for field in fields_of(each)
    }
    assert KEPT_FROM_PROXY.keys() <= known


def test_what_is_kept_is_kept_wherever_it_stands() -> None:
    """In the full plan every field that the tables name is back at its default, and nothing else of it is."""
    defaults = {"Discharge.summary": ""}
    for view, kept in ((view_as_client(full()), KEPT_FROM_CLIENT), (proxy_view(minor(), "p-aunt"), KEPT_FROM_PROXY)):
        assert view.plan is not None
        for record in every(view.plan):
            for field in fields_of(type(record)):
                name = type(record).__name__
                if (name, field.encode_name) in kept:
                    default = defaults.get(f"{name}.{field.encode_name}", field.default)
                    assert getattr(record, field.name) == default
    assert {type(each).__name__ for each in every(view_as_client(full()).plan)} >= {
        "Goal",
        "Step",
        "Gas",
        "Review",
        "Signature",
        "Reading",
        "Discharge",
    }


def test_a_view_is_the_same_seen_twice() -> None:
    """A client's view of their view is that view."""
    for plan in (DEP, OCD, IPR, ADO, full()):
        once = client_plan(plan)
        assert client_plan(once) == once


def test_the_clients_words_come_first() -> None:
    """Their own words, and the clinical text below; without own words the text alone."""
    assert client_words_first(goal("g", text="Text", client_words=" Mine ")) == ("Mine", "Text")
    assert client_words_first(goal("g", text="Text", client_words=" ")) == ("Text", None)
    assert client_words_first(goal("g", text=None, client_words="Mine")) == ("Mine", None)
    assert client_words_first(goal("g", text=None)) == ("", None)


@pytest.mark.parametrize(
    ("plan", "endpoint", "day"),
    [
        (DEP, None, date(2027, 5, 18)),
        (DEP, "ehr-main", date(2027, 5, 18)),
        (DEP, "primary-care", None),  # expired already
        (OCD, None, date(2027, 6, 2)),
        (IPR, None, date(2026, 12, 31)),
        (IPR, "employer-eap", None),  # refused
        (DEV, None, None),
        (ADO, None, date(2027, 8, 17)),
        (ADO, "primary-care", None),  # the consent is too narrow to show anything
        (ADO, "nowhere", None),
    ],
)
def test_an_examples_next_change_is_when_its_consent_ends(plan: Plan, endpoint: str | None, day: date | None) -> None:
    """From `as_of` on, the next day that changes anything is the first end of a consent in use."""
    assert next_change(plan, AS_OF, endpoint) == day


def with_consents(*consents: dict[str, Any]) -> Plan:
    made = tuple(
        Consent(**({"id": f"c-{n}", "endpoint": "ehr", "sensitivities": ("MH",)} | each))
        for n, each in enumerate(consents)
    )
    return small(disclosure=Disclosure(consents=made))


@pytest.mark.parametrize(
    ("consents", "day"),
    [
        ([], None),
        ([{"granted": AS_OF}], None),
        ([{"granted": AS_OF + DAY}], AS_OF + DAY),
        ([{"granted": AS_OF, "expires": AS_OF + DAY}], AS_OF + DAY),
        ([{"granted": AS_OF, "expires": AS_OF}], None),
        (
            [{"granted": AS_OF, "expires": AS_OF + DAY}, {"granted": AS_OF + DAY, "expires": AS_OF + 9 * DAY}],
            AS_OF + 9 * DAY,
        ),
        ([{"granted": AS_OF, "expires": AS_OF + DAY}, {"granted": AS_OF + 3 * DAY}], AS_OF + DAY),
        ([{"granted": AS_OF + DAY, "refused": AS_OF}], None),
        ([{"granted": AS_OF + DAY, "sensitivities": ()}], None),
        ([{"granted": AS_OF + 5 * DAY}, {"granted": AS_OF + 2 * DAY, "endpoint": "b"}], AS_OF + 2 * DAY),
        ([{"granted": AS_OF}, {"granted": AS_OF, "expires": AS_OF + DAY, "sensitivities": ("MH", "SUD")}], None),
    ],
)
def test_the_next_change_is_the_first_day_that_shows_something_else(
    consents: list[dict[str, Any]], day: date | None
) -> None:
    """A consent that begins or ends counts only where what is seen differs: overlapping, refused and empty ones don't."""
    assert next_change(with_consents(*consents), AS_OF) == day


def test_a_narrower_consent_is_a_change_where_a_goal_needs_more() -> None:
    """When the consent that covers substance use ends, the goal of that kind is no longer seen."""
    plan = with_consents({"granted": AS_OF}, {"granted": AS_OF, "expires": AS_OF + DAY, "sensitivities": ("MH", "SUD")})
    assert next_change(with_goal(plan, "g-short", sensitivities=("SUD",)), AS_OF) == AS_OF + DAY
    # Some connections get proposals, and the day is told for them too.
    proposed = with_goal(plan, "g-short", sensitivities=("SUD",), lifecycle="proposed")
    assert next_change(proposed, AS_OF) == AS_OF + DAY


days = st.integers(-6, 6).map(lambda n: AS_OF + n * DAY)
consent = st.fixed_dictionaries(
    {},
    optional={
        "granted": days,
        "expires": days,
        "refused": days,
        "endpoint": st.sampled_from(["ehr", "b"]),
        "sensitivities": st.sampled_from([(), ("MH",), ("MH", "SUD")]),
    },
)


@given(consents=st.lists(consent, max_size=4), endpoint=st.sampled_from([None, "ehr", "b"]), proposed=st.booleans())
def test_between_now_and_the_next_change_nothing_changes(
    consents: list[dict[str, Any]], endpoint: str | None, proposed: bool
) -> None:
    """What an endpoint sees is the same on every day before the next change, and from the last change on for ever."""
    plan = with_goal(
        with_goal(with_consents(*consents), "g-short", sensitivities=("SUD",)), "g-long", lifecycle="proposed"
    )
    until = next_change(plan, AS_OF, endpoint) or AS_OF + 20 * DAY
    for name in ("ehr", "b") if endpoint is None else (endpoint,):
        seen = [
            disclose(plan, name, on=AS_OF + n * DAY, portal_visible=False, send_proposed=proposed).plan
            for n in range((until - AS_OF).days)
        ]
        assert all(each == seen[0] for each in seen)


@given(st.sampled_from([DEP, OCD, IPR, ADO, full()]), st.data())
def test_a_proxy_never_reads_what_the_client_does_not(plan: Plan, data: st.DataObject) -> None:
    """Every goal, note, victory, measure and problem of a proxy's view is in the client's."""
    plan = replace(
        plan,
        client=Client(id="c", display="C", legal_representatives=("r",)),
        participants=(*plan.participants, Participant(id="p-x", role="family", ref="r")),
    )
    held = data.draw(st.sets(st.sampled_from([each.id for each in plan.goals]), max_size=3))
    plan = replace(plan, disclosure=Disclosure(withheld=tuple(Withheld(target=each) for each in held)))
    less, more = proxy_view(plan, "p-x").plan, client_plan(plan)
    assert less is not None
    assert not held & {each.id for each in less.goals}
    for each in less.goals:
        whole = more.goal(each.id)
        assert set(each.progress) <= set(whole.progress)
        assert set(each.achievements) <= set(whole.achievements)
        assert each.client_words in (None, whole.client_words)
    for name in ("measures", "problems", "interventions"):
        assert {each.id for each in getattr(less, name)} <= {each.id for each in getattr(more, name)}


@given(plan=plans(), data=st.data())
def test_a_withheld_goal_changes_no_byte_of_any_proxys_view(plan: Plan, data: st.DataObject) -> None:
    """Of random plans too: a proxy reads of a withheld goal as if it had never been."""
    plan = replace(plan, client=Client(id="c", display="C", legal_representatives=("related-1",)))
    gone = data.draw(st.sampled_from([each.id for each in plan.goals]))
    never = proxy_view(without(plan, gone), "p-aunt")
    listed = replace(
        plan, disclosure=replace(plan.disclosure, withheld=(*plan.disclosure.withheld, Withheld(target=gone)))
    )
    for held in (with_goal(plan, gone, share="withheld"), listed):
        found = proxy_view(held, "p-aunt")
        assert text_of(found.plan) == text_of(never.plan)
        assert found.kept == {**never.kept, gone: "withheld"}


@pytest.mark.parametrize(("name", "field"), sorted(KEPT_FROM_PROXY))
def test_a_text_planted_in_a_kept_field_is_in_no_view(name: str, field: str) -> None:
    """A text in a field that is kept, wherever it stands, stays out of both views."""

    def planted(record: Record) -> Record:
        holds = type(record).__name__ == name and isinstance(getattr(record, field), str) and field != "share"
        return replace(record, **{field: "PLANTED"}) if holds else record

    plan = changed(minor(), planted)
    assert "PLANTED" not in text_of(proxy_view(plan, "p-aunt").plan)
    if (name, field) in KEPT_FROM_CLIENT:
        assert "PLANTED" not in text_of(client_plan(plan))


def test_a_session_rating_is_known_by_any_of_its_names() -> None:
    """However the session rating scale is called, it stays out."""
    for measure in (
        Measure(id="m", instrument="SRS"),
        Measure(id="m", instrument="Session Rating Scale"),
        Measure(id="m", instrument="srs v3.0"),
        Measure(id="m", code=Coding(system="snomed", code="720482000")),
    ):
        assert readers.is_session_rating(measure)
    assert not readers.is_session_rating(Measure(id="m", instrument="ORS"))
