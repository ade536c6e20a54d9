"""What a decision leaves behind in the store, who may take it, and what is refused: without any EHR."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from fhirgoals.domain.records import Acceptance
from fhirgoals.domain.units import Pair, Unit
from fhirgoals.store import Store, open_store
from fhirgoals.sync.case import DECIDED, INSTEAD, equal_cases, settler, with_unseen
from fhirgoals.sync.resolve import DECIDED_REV, BreaksRuleError, Choice, resolve_all
from tests.plans import replace
from tests.unit.inbox_desk import AT, CONFIG, EHR, GOAL, OTHER, PLAN, STATUS, TEXT, Desk, plan_of


@pytest.fixture
def store() -> Iterator[Store]:
    one = open_store("sqlite://")
    yield one
    one.close()


@pytest.fixture
def desk(store: Store) -> Desk:
    found = Desk(store, plan_of())
    found.base(TEXT, "Base words", "Base words")
    return found


# -- what is left behind -----------------------------------------------------------------------------------------------


def test_ours_leaves_their_value_as_seen_and_ours_as_newer(desk: Desk) -> None:
    """The pair keeps our side, takes theirs as known and has the oldest revision; only that EHR is looked at again."""
    item = desk.item()
    done = desk.resolve(item, "ours", words="agreed")
    assert desk.pair() == Pair("Base words", "Their words", DECIDED_REV)
    assert (done.rev, done.sends, desk.marked()) == (None, True, {EHR})
    with desk.store.read() as tx:
        closed = tx.inbox.show(item.id)
        audit = tx.audit.list()[-1]
    assert closed is not None
    assert (closed.close_reason, closed.closed_by) == ("ours: agreed", "staff-1")
    assert (closed.base, closed.ours, closed.theirs) == ("Base words", "The short one", "Their words")
    assert (audit.action, audit.actor, audit.detail["take"]) == ("inbox_resolve", "staff-1", "ours")
    assert "agreed" not in str(audit)


def test_theirs_leaves_an_agreement_at_the_new_revision(desk: Desk) -> None:
    """Our record has their text as a revision by the person, of that EHR's origin; every EHR is looked at again."""
    done = desk.resolve(desk.item(), "theirs")
    assert desk.plan().goal(GOAL).text == "Their words"
    assert desk.pair() == Pair("Their words", "Their words", 2)
    assert (done.rev, done.sends, desk.marked()) == (2, False, {EHR, OTHER})
    with desk.store.read() as tx:
        last = tx.plans.unit_revs(PLAN)[TEXT]
    assert (last.by, last.origin) == ("staff-1", EHR)


def test_a_value_leaves_both_as_rejected(desk: Desk) -> None:
    """Our record has the new text of no origin, and the pair says that it is still to be sent."""
    done = desk.resolve(desk.item(), "value", value="New words")
    assert desk.plan().goal(GOAL).text == "New words"
    assert desk.pair() == Pair("Base words", "Their words", DECIDED_REV)
    assert (done.rev, done.sends, desk.marked()) == (2, True, {EHR, OTHER})
    with desk.store.read() as tx:
        assert tx.plans.unit_revs(PLAN)[TEXT].origin is None


def test_a_decision_is_due_at_once_although_an_edit_waits_for_its_release(desk: Desk) -> None:
    """The plan is looked at in the next run; what may not go yet is held there, and nothing else is."""
    at = AT + timedelta(hours=1)
    with desk.store.write() as tx:
        tx.dirty.mark(PLAN, EHR, why="release", at=AT, not_before=at + timedelta(days=1))
    desk.resolve(desk.item(), "ours")
    with desk.store.read() as tx:
        assert [one.why for one in tx.dirty.take(EHR, at)] == [("decided",)]


def test_a_value_that_waits_for_its_release_is_not_said_to_go_with_the_next_run(desk: Desk) -> None:
    """It is an edit here like any other: told is from when it may go, or that it waits for a signature."""
    waits = []
    for release in ("quiet_minutes", "on_sign"):
        with desk.store.write() as tx:
            tx.connections.update_config(EHR, {**CONFIG, "release": release})
        done = desk.resolve(desk.item(ours=desk.plan().goal(GOAL).text), "value", value=f"New words, {release}")
        waits.append((done.sends, done.waits, done.may_go_from))
        desk.base(TEXT, "Base words", "Base words")
    assert waits == [(False, True, AT + timedelta(hours=1, minutes=15)), (False, True, None)]


def test_a_mark_that_is_taken_meanwhile_does_not_swallow_the_decision(desk: Desk) -> None:
    """A run that took the plan before and clears what it took leaves the decision's mark standing."""
    with desk.store.write() as tx:
        tx.dirty.mark(PLAN, EHR, why="edit", at=AT)
        [taken] = tx.dirty.take(EHR, AT)
    desk.resolve(desk.item(), "ours")
    with desk.store.write() as tx:
        tx.dirty.clear(PLAN, EHR, taken.upto)
    assert desk.marked() == {EHR}


def test_a_value_of_another_ehr_is_not_sent_by_taking_ours(desk: Desk) -> None:
    """Ours came from another EHR: it stands, and that it may not go there is told."""
    goals = tuple(replace(one, text="From elsewhere") if one.id == GOAL else one for one in desk.plan().goals)
    desk.edit(replace(desk.plan(), goals=goals), origin=OTHER)
    assert not desk.resolve(desk.item(ours="From elsewhere"), "ours").sends


def test_an_addition_that_is_rejected_is_to_be_taken_out(desk: Desk) -> None:
    """We have no priority and never had: the pair says that we had theirs, so its absence is what is sent."""
    coding = {"system": "http://terminology.hl7.org/CodeSystem/goal-priority", "code": "high-priority"}
    desk.seen(priority={"coding": [coding]})
    unit = Unit(GOAL, "priority")
    done = desk.resolve(desk.item(unit, "proposal", base=None, ours=None, theirs="high"), "ours")
    assert desk.pair(unit) == Pair("high", "high", DECIDED_REV)
    assert done.sends


# -- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "may"),
    [
        ("staff-1", True),
        ("p-ther", True),
        ("staff-2", True),
        ("client-1", False),
        ("staff-3", False),
        ("staff-4", False),
        ("staff-5", False),
        ("related-1", False),
        ("staff-99", False),
        ("", False),
    ],
)
def test_therapist_and_supervisor_of_the_plan_settle(desk: Desk, by: str, may: bool) -> None:
    """By part or by person, as long as the part lasts; nobody else, whatever they take."""
    item = desk.item()
    assert (settler(desk.plan(), item, by, AT.date()) is not None) == may
    for take in () if may else ("ours", "theirs", "value"):
        assert "the primary therapist or the clinical supervisor" in desk.refused(item, take, by, value="x")


def test_only_those_whom_the_item_names_settle_it(desk: Desk) -> None:
    """A supervisor settles nothing that is for the therapist alone."""
    item = desk.item(who_may=("primary_therapist",))
    assert "the primary therapist of its plan" in desk.refused(item, "ours", "staff-2")
    desk.resolve(item, "ours")


def test_an_answer_of_the_client_is_recorded_by_the_therapist(desk: Desk) -> None:
    """Who may settle may still not do everything: a supervisor can't take over what the client said."""
    with desk.store.write() as tx:
        for local, reference in (("client-1", "Patient/1"), ("staff-1", "Practitioner/1")):
            kind = reference.partition("/")[0]
            tx.people.link(EHR, kind, local, reference, fingerprint="x", status="confirmed", by="it-1", at=AT)  # type: ignore[arg-type]
    line = Acceptance(by="p-client", status="pending")
    goals = tuple(replace(one, lifecycle="planned", acceptance=(line,)) for one in desk.plan().goals)
    desk.edit(replace(desk.plan(), goals=goals))
    part = {"url": "individual", "valueReference": {"reference": "Patient/1"}}
    agree = {"url": "status", "valueCode": "agree"}
    desk.seen(extension=[{"url": ACCEPTANCE, "extension": [part, agree]}])
    unit = Unit(GOAL, "acceptance:p-client")
    item = desk.item(unit, "proposal", base=None, ours={"status": "pending"}, theirs={"status": "agree"})
    assert "ask the therapist" in desk.refused(item, "theirs", "staff-2")
    desk.resolve(item, "theirs")
    assert desk.plan().goal(GOAL).acceptance[0].status == "agree"


ACCEPTANCE = "http://hl7.org/fhir/StructureDefinition/goal-acceptance"


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(INSTEAD))
def test_what_asks_for_no_value_says_what_to_do(desk: Desk, kind: str) -> None:
    """Each kind that is not settled by a choice is told with its own way out."""
    assert INSTEAD[kind] in desk.refused(desk.item(kind=kind), "ours")


def test_every_kind_that_sync_raises_has_a_way_out() -> None:
    """The kinds of the inbox's words are those that are decided and those with a sentence."""
    from fhirgoals.cli.words import ITEM  # noqa: PLC0415 (the words of the command line are the list of kinds)

    assert set(ITEM) <= {*DECIDED, *INSTEAD}


@pytest.mark.parametrize("take", ["ours", "theirs", "value"])
@pytest.mark.parametrize("what", ["ours", "theirs", "held", "void", "withdrawn"])
def test_a_side_that_is_not_as_asked_is_refused(desk: Desk, take: str, what: str) -> None:
    """Another value on either side, one that can't be read, a goal that is void there, a consent that is gone."""
    item = desk.item()
    match what:
        case "ours":
            goals = tuple(replace(one, text="Changed") if one.id == GOAL else one for one in desk.plan().goals)
            desk.edit(replace(desk.plan(), goals=goals))
        case "theirs":
            desk.seen(description={"text": "Changed"})
        case "held":
            desk.seen(description={"text": 7})
        case "void":
            desk.seen(lifecycleStatus="entered-in-error")
        case _:
            desk.edit(replace(desk.plan(), disclosure=replace(desk.plan().disclosure, consents=())))
    assert "either side moved since it was asked" in desk.refused(item, take, value="x")


def test_there_and_back_here_still_stands(desk: Desk) -> None:
    """Our value was changed and changed back: it is what was asked about."""
    item = desk.item()
    plan = desk.plan()
    goals = tuple(replace(one, text="Changed") if one.id == GOAL else one for one in plan.goals)
    desk.edit(replace(plan, goals=goals))
    desk.edit(plan)
    desk.resolve(item, "ours")


@pytest.mark.parametrize(
    ("unit", "ours", "value"),
    [
        (STATUS, {"lifecycle": "active"}, {"lifecycle": "asleep"}),
        (STATUS, {"lifecycle": "active"}, "completed"),
        (STATUS, {"lifecycle": "active"}, {"lifecycle": "active", "mood": "good"}),
        (STATUS, {"lifecycle": "active"}, ["active"]),
        (TEXT, "The short one", 7),
        (TEXT, "The short one", {"text": "x"}),
        (Unit(GOAL, "priority"), None, "urgent"),
        (Unit(GOAL, "target_date"), None, "next week"),
        (Unit(PLAN, "parent_map:g-short"), ["g-long"], ["g-none"]),
        (Unit(PLAN, "parent_map:g-short"), ["g-long"], "g-long"),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_refused(desk: Desk, unit: Unit, ours: object, value: object) -> None:
    """Another type, an unknown code, an unknown part, an unknown goal: told by the field's name, never by the value."""
    theirs = {STATUS: {"lifecycle": "on_hold"}, TEXT: "Their words"}.get(unit)
    if unit.name.startswith("parent_map"):
        desk.base(unit, ours, ours)
    desk.seen(lifecycleStatus="on-hold")
    text = desk.refused(desk.item(unit, base=None, ours=ours, theirs=theirs), "value", value=value)
    assert f"does not fit the field {unit.name.partition(':')[0]}" in text
    assert "asleep" not in text


def test_a_rule_of_the_plan_forbids_in_its_own_words(desk: Desk) -> None:
    """A closure without its reason breaks a rule; completed with what is missing it is taken, and goes out."""
    desk.seen(lifecycleStatus="completed")
    desk.base(STATUS, {"lifecycle": "active"}, {"lifecycle": "active"})
    item = desk.item(STATUS, "proposal", base=None, ours={"lifecycle": "active"}, theirs={"lifecycle": "completed"})
    with pytest.raises(BreaksRuleError) as error:
        desk.resolve(item, "theirs")
    assert error.value.sentence == "A completed goal needs a closure reason"
    assert "--with" in str(error.value)
    parts = {"closure_reason": "not_met", "achievement": "not_achieved", "status_date": "2026-11-06"}
    done = desk.resolve(item, "theirs", value=parts)
    assert (done.take, done.sends) == ("value", True)
    assert desk.plan().goal(GOAL).closure_reason == "not_met"


def test_parts_complete_only_what_has_parts(desk: Desk) -> None:
    """A text has none."""
    assert "has no parts to complete" in desk.refused(desk.item(), "theirs", value={"text": "x"})


def test_a_second_decision_is_refused(desk: Desk) -> None:
    """An item is settled once."""
    item = desk.item()
    desk.resolve(item, "ours")
    assert "closed already" in desk.refused(item, "theirs")


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "shown", "pair", "theirs", "taken"),
    [
        ("a", "a", None, "b", "b"),
        ({"x": 1}, {"x": 1}, None, None, None),
        ({"x": 1}, None, None, {"x": 2}, {"x": 2}),
        # An author whom the EHR does not know is told by role there: an edit of the text leaves ours.
        (
            {"author": "p-ther", "text": "a"},
            {"author_text": "Therapist", "text": "a"},
            None,
            {"author_text": "Therapist", "text": "b"},
            {"author": "p-ther", "text": "b"},
        ),
        (
            {"author": "p-ther", "text": "a"},
            {"author_text": "Therapist", "text": "a"},
            None,
            {"author_text": "A nurse", "text": "b"},
            {"author_text": "A nurse", "text": "b"},
        ),
        # A server that drops extensions never held the reason: ours stays beside what it says.
        (
            {"lifecycle": "completed", "closure_reason": "achieved"},
            {"lifecycle": "completed", "closure_reason": "achieved"},
            Pair({"lifecycle": "completed", "closure_reason": "achieved"}, {"lifecycle": "completed"}, 1),
            {"lifecycle": "completed", "status_date": "2026-11-01"},
            {"lifecycle": "completed", "status_date": "2026-11-01", "closure_reason": "achieved"},
        ),
        # One that held the part and has it no longer took it away.
        (
            {"lifecycle": "active", "status_reason": "a"},
            {"lifecycle": "active", "status_reason": "a"},
            Pair({"lifecycle": "active", "status_reason": "a"}, {"lifecycle": "active", "status_reason": "a"}, 1),
            {"lifecycle": "active"},
            {"lifecycle": "active"},
        ),
        ({"foreign": "{}"}, {"foreign": "{}"}, None, {"value": Decimal("7.10")}, {"value": Decimal("7.10")}),
    ],
)
def test_parts_that_the_ehr_could_not_see_stay_ours(
    real: object, shown: object, pair: Pair | None, theirs: object, taken: object
) -> None:
    """What it was not shown, or never held, is no edit of it (design 5.3)."""
    assert with_unseen(real, shown, pair, theirs) == taken


# -- many --------------------------------------------------------------------------------------------------------------


def test_equal_cases_share_connection_field_kind_and_cause(desk: Desk) -> None:
    """Conflicts and proposals of one field are told apart, and so are causes; other kinds and closed ones are none."""
    one = desk.item()
    two = desk.item(Unit("g-long", "text"))
    other = desk.item(kind="proposal")
    third = desk.item(Unit("g-long", "text"), theirs="Other words")
    desk.item(kind="held")
    closed = desk.item(theirs="Yet others")
    with desk.store.write() as tx:
        tx.inbox.close(closed.id, at=AT, reason="x", by=None)
        items = tx.inbox.list(open_only=False)
    assert {key: [each.id for each in cases] for key, cases in equal_cases(items).items()} == {
        (EHR, "text", "conflict", "both_changed"): [one.id, two.id, third.id],
        (EHR, "text", "proposal", "both_changed"): [other.id],
    }


def test_each_of_many_stands_alone(desk: Desk) -> None:
    """One that is refused leaves no trace and keeps no other from being settled."""
    good, bad = desk.item(), desk.item(theirs="Not what stands there")
    choice = Choice(take="theirs", by="staff-1", at=AT)
    done, left = resolve_all(desk.store, [bad.id, good.id, 999], choice, frozenset({EHR, OTHER}))
    assert [one.item_id for one in done] == [good.id]
    assert set(left) == {bad.id, 999}
    with desk.store.read() as tx:
        assert [one.id for one in tx.inbox.list()] == [bad.id]
