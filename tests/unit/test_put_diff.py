"""An edited plan file: what is allowed becomes one revision, what is not is told with path and line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirgoals.domain.changes import NotReplayable, changes, with_change
from fhirgoals.domain.commands import Accepted, Actor, Refusal
from fhirgoals.domain.places import file_path
from fhirgoals.domain.planfile import dump_plan, dump_plan_json, load_plan
from fhirgoals.domain.put_diff import line_of, put_diff
from fhirgoals.domain.records import (
    Acceptance,
    Change,
    Consent,
    Finding,
    Foreign,
    Origin,
    Period,
    Plan,
    ProgressEntry,
    Reading,
    Review,
    Revision,
    Signature,
)
from fhirgoals.domain.replay import replay
from tests.plans import AS_OF, EXAMPLES, changed, every, example, full, goal, replace, small, with_goal
from tests.unit.written import is_written

DEP, OCD, IPR, DEV, ADO = (example(path) for path in EXAMPLES)
TEXT = EXAMPLES[0].read_text(encoding="utf-8")
THERAPIST, CLIENT, SUPERVISOR, PARTNER = "staff-7", "client-101", "staff-2", "related-31"


def put(after: Plan, by: str = THERAPIST, before: Plan | None = DEP, because: Any = "review", **how: Any) -> Any:
    return put_diff(before, after, Actor(by), AS_OF, because, **how)


def taken(after: Plan, by: str = THERAPIST, before: Plan = DEP, **how: Any) -> list[str]:
    """The places of the one revision of an edited plan that is accepted; the revision leads to the plan."""
    answer = put(after, by, before, **how)
    assert isinstance(answer, Accepted), answer
    replayed = replay(before, [answer.revision])
    assert replayed == answer.plan
    assert without_letters(replayed) == without_letters(after)
    return [change.field for change in answer.revision.changes]


def without_letters(plan: Plan) -> Plan:
    """The plan without its goals' SMART letters, which are computed and not taken from a file."""
    return replace(plan, goals=tuple(replace(each, smart=None) for each in plan.goals))


def refused(after: Plan, by: str = THERAPIST, before: Plan = DEP, **how: Any) -> set[tuple[str, str]]:
    answer = put(after, by, before, **how)
    assert isinstance(answer, tuple), answer
    for refusal in answer:
        is_written("refusals.csv", (refusal.code, refusal.path, refusal.at, refusal.sentence))
    return {(refusal.code, refusal.path) for refusal in answer}


def edited(*replacements: tuple[str, str]) -> tuple[Plan, str]:
    """The first example with pieces of its text replaced, as a person would in an editor."""
    text = TEXT
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return load_plan(text, name="edited"), text


# -- a whole edit ------------------------------------------------------------------------------------------------------


def test_an_edit_is_one_revision_of_all_that_changed() -> None:
    """Wording, a date, a status and a step in one file: one revision, with each field's old and new value."""
    after, _ = edited(
        ("text: Move for at least 30 minutes on three days a week", "text: Move for half an hour on three days"),
        ("target_date: 2026-12-14", "target_date: 2027-01-18"),
        ("text: Propose one weekly date, status: in_progress", "text: Propose one weekly date, status: on_hold"),
    )
    answer = put(after, rev=4, summary="x", client_agreed=True, requested_by="p-client")
    assert isinstance(answer, Accepted)
    revision = answer.revision
    assert (revision.rev, revision.by, revision.reason, revision.date) == (5, "p-ther", "review", AS_OF)
    assert (revision.summary, revision.client_agreed, revision.requested_by) == ("x", True, "p-client")
    assert {(change.field, change.to) for change in answer.revision.changes} == {
        ("goals[g-move].text", "Move for half an hour on three days"),
        ("goals[g-social].target_date", "2027-01-18"),
        ("goals[g-social].steps[st-so-3].status", "on_hold"),
    }
    assert {unit.name for unit in answer.touched} == {"text", "target_date", "step:st-so-3.status"}


def test_moves_that_are_none_are_told_with_their_lines() -> None:
    """Everything wrong is told at once, each with the line of the file where it stands."""
    after, text = edited(
        ("lifecycle: declined", "lifecycle: active"),
        ("lifecycle: on_hold", "lifecycle: planned"),
        ("status: done, done_on: 2026-06-08", "status: skipped"),
        ("status: active\n  revision", "status: draft\n  revision"),
    )
    answer = put(after)
    assert isinstance(answer, tuple)
    for each in answer:
        is_written("refusals.csv", (each.code, each.path, each.at, each.sentence))
    lines = text.splitlines()
    shown = {(each.code, lines[(line_of(text, each.path) or 0) - 1].strip()[:20]) for each in answer}
    assert {
        ("move_not_allowed", "lifecycle: active"),
        ("move_not_allowed", "lifecycle: planned"),
        ("move_not_allowed", "- {id: st-ba-1, n: 1"),
        ("move_not_allowed", "status: draft"),
    } <= shown


def test_the_same_file_changes_nothing() -> None:
    """No empty revision is made, and its code says so."""
    assert refused(DEP) == {("nothing_changes", "")}


def test_what_get_writes_put_takes_back_unchanged() -> None:
    """An unedited file of each example has no difference, by YAML."""
    for path in EXAMPLES:
        plan = example(path)
        again = load_plan(dump_plan(plan), name="again")
        assert changes(plan, again) == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_new_plan_states_what_is(path: Path) -> None:
    """A first file may hold a whole history; its first revision has no changes, since nothing was before."""
    plan = example(path)
    by = next(each.ref for each in plan.participants if each.role in ("primary_therapist", "therapist_subject"))
    answer = put(plan, by, None, "initial", summary="x", client_agreed=True, requested_by="p-client")
    assert isinstance(answer, Accepted)
    revision = answer.revision
    assert (revision.rev, revision.changes, revision.date, revision.reason) == (1, (), AS_OF, "initial")
    assert (revision.summary, revision.client_agreed, revision.requested_by) == ("x", True, "p-client")
    assert answer.touched


def test_a_new_plan_is_put_by_a_therapist_of_it_and_breaks_nothing() -> None:
    """Not by the client, not by a stranger, and not with an error."""
    for by in (CLIENT, "staff-99"):
        assert refused(DEP, by, None, because="initial") == {("no_part_in_plan", "participants")}
    for actor in (Actor(THERAPIST), Actor(SUPERVISOR), Actor("batch-1", kind="import")):
        assert isinstance(put_diff(None, DEP, actor, AS_OF, "import"), Accepted), actor
    broken = with_goal(DEP, "g-ba", acceptance=())
    assert refused(broken, THERAPIST, None, because="initial") == {("goal_without_agreement", "goals[6].acceptance")}


def test_a_part_that_is_over_edits_nothing() -> None:
    """On the last day it still does."""
    for end, by in ((date(2026, 11, 5), "staff-7"), (AS_OF, "staff-7")):
        people = tuple(
            replace(each, period=Period(end=end)) if each.id == "p-ther" else each for each in DEP.participants
        )
        before = replace(DEP, participants=people)
        answer = put(with_goal(before, "g-ba", text="x"), by, before)
        assert isinstance(answer, Accepted) == (end == AS_OF), answer


def test_a_first_number_is_nothing_changed() -> None:
    """A baseline, a rating or a trial where there was none comes beside what is on record."""
    bare = replace(DEP, measures=(replace(DEP.measures[0], baseline=None, readings=()), *DEP.measures[1:]))
    assert taken(DEP, before=bare)
    social = DEP.goal("g-social")
    assert social.gas is not None
    unrated = with_goal(DEP, "g-social", gas=replace(social.gas, ratings=()))
    assert taken(DEP, before=unrated)
    ladder = OCD.goal("g-ladder")
    untried = with_goal(OCD, "g-ladder", steps=tuple(replace(step, trials=()) for step in ladder.steps))
    assert taken(OCD, "staff-11", untried)


def test_a_plan_stays_who_it_is() -> None:
    """Id, kind, person and what was entered in error are final."""
    assert refused(replace(DEP, id="plan-x")) == {("plan_id_changed", "plan.id")}
    other = replace(DEP, client=replace(DEP.client, id="client-9"), participants=DEP.participants[1:])
    assert ("plan_subject_changed", "client.id") in refused(other)
    void = replace(DEP, status="entered_in_error")
    assert refused(DEP, before=void) == {("plan_entered_in_error", "plan.status")}
    assert ("goal_vanished", "goals") in refused(replace(DEP, goals=DEP.goals[:-1]))


def test_what_was_broken_before_is_no_fault_of_the_edit() -> None:
    """A flagged fault does not keep the rest from being edited."""
    before = with_goal(DEP, "g-ba", acceptance=())
    assert taken(replace(before, title="x"), before=before) == ["title"]


# -- who may change what -----------------------------------------------------------------------------------------------

NOTE = ProgressEntry(id="n-x", date=AS_OF, author="p-ther", visibility="private", text="x")
READING = Reading(date=AS_OF, value=Decimal(5), rater="client")


def more(goal_id: str, field: str, *members: object, plan: Plan = DEP) -> Plan:
    return with_goal(plan, goal_id, **{field: (*getattr(plan.goal(goal_id), field), *members)})


def read(*readings: Reading) -> Plan:
    measure = DEP.measure("m-phq9")
    grown = replace(measure, readings=(*measure.readings, *readings))
    return replace(DEP, measures=tuple(grown if each.id == measure.id else each for each in DEP.measures))


def lined(goal_id: str, **line: Any) -> Plan:
    lines = {each.by: each for each in DEP.goal(goal_id).acceptance} | {line["by"]: Acceptance(**line)}
    return with_goal(DEP, goal_id, acceptance=tuple(lines.values()))


EDITS: dict[str, tuple[Plan, dict[str, str | None]]] = {
    "a goal's text": (
        with_goal(DEP, "g-ba", text="x"),
        {THERAPIST: None, SUPERVISOR: None, CLIENT: "may_ask_only", PARTNER: "not_allowed"},
    ),
    "the client's words": (
        with_goal(DEP, "g-ba", client_words="x"),
        {THERAPIST: None, CLIENT: None, PARTNER: "not_allowed"},
    ),
    "a target date": (
        with_goal(DEP, "g-ba", target_date=date(2026, 12, 1)),
        {THERAPIST: None, CLIENT: "may_ask_only", PARTNER: "not_allowed"},
    ),
    "a status": (
        with_goal(DEP, "g-ba", lifecycle="on_hold", status_reason="x"),
        {THERAPIST: None, SUPERVISOR: None, CLIENT: "not_allowed"},
    ),
    "the client's step": (
        with_goal(
            DEP,
            "g-sleep",
            steps=(*DEP.goal("g-sleep").steps[:2], replace(DEP.goal("g-sleep").steps[2], status="on_hold")),
        ),
        {THERAPIST: None, CLIENT: None, PARTNER: "not_ones_own"},
    ),
    "the partner's step": (
        with_goal(
            DEP,
            "g-resilience",
            steps=(
                *DEP.goal("g-resilience").steps[:2],
                replace(DEP.goal("g-resilience").steps[2], status="in_progress"),
            ),
        ),
        {THERAPIST: None, PARTNER: None, CLIENT: "not_ones_own"},
    ),
    "a victory": (
        more("g-ba", "achievements", replace(DEP.goal("g-ba").achievements[0], id="v-x")),
        {THERAPIST: None, CLIENT: None, PARTNER: "not_allowed"},
    ),
    "a victory of the client, given to another": (
        with_goal(
            DEP,
            "g-ba",
            achievements=(
                replace(DEP.goal("g-ba").achievements[0], noted_by="p-ther"),
                DEP.goal("g-ba").achievements[1],
            ),
        ),
        {THERAPIST: None, CLIENT: "not_ones_own"},
    ),
    "a victory of the client, in other words": (
        with_goal(
            DEP,
            "g-ba",
            achievements=(replace(DEP.goal("g-ba").achievements[0], text="x"), DEP.goal("g-ba").achievements[1]),
        ),
        {THERAPIST: None, CLIENT: None, PARTNER: "not_allowed"},
    ),
    "a private note of the therapist": (
        more("g-ba", "progress", NOTE),
        {THERAPIST: None, SUPERVISOR: "not_ones_own", CLIENT: "not_ones_own"},
    ),
    "a shared note of the client": (
        more("g-ba", "progress", replace(NOTE, author="p-client", visibility="shared")),
        {THERAPIST: None, CLIENT: None, PARTNER: "not_ones_own"},
    ),
    "a team note": (
        more("g-ba", "progress", replace(NOTE, author="p-client", visibility="team")),
        {THERAPIST: None, CLIENT: "not_ones_own"},
    ),
    "a finding of the therapist": (
        more("g-explore-map", "findings", Finding(date=AS_OF, author="p-ther", visibility="private", text="x")),
        {THERAPIST: None, SUPERVISOR: "not_ones_own", CLIENT: "not_allowed"},
    ),
    "a reading of the client": (
        read(READING),
        {THERAPIST: None, CLIENT: None, SUPERVISOR: "not_allowed", PARTNER: "not_ones_own"},
    ),
    "a reading of a caregiver": (read(replace(READING, rater="caregiver")), {PARTNER: None, CLIENT: "not_ones_own"}),
    "a participant": (
        replace(DEP, participants=(*DEP.participants, replace(DEP.participants[3], id="p-x", ref="related-9"))),
        {THERAPIST: None, CLIENT: "not_allowed"},
    ),
    "a label": (with_goal(DEP, "g-ba", sensitivities=("PSY",)), {THERAPIST: None, CLIENT: "not_allowed"}),
    "the order of the goals": (replace(DEP, goals=DEP.goals[::-1]), {THERAPIST: None, CLIENT: "not_allowed"}),
    "a mark of withholding": (
        with_goal(DEP, "g-ba", share="withheld"),
        {THERAPIST: None, CLIENT: None, SUPERVISOR: "not_allowed", PARTNER: "not_allowed"},
    ),
    "the client's answer, recorded": (
        lined("g-ba", by="p-client", status="agree", date=AS_OF, method="verbal"),
        {THERAPIST: None, CLIENT: None, PARTNER: "not_ones_own", SUPERVISOR: "not_allowed"},
    ),
    "the client's answer by portal": (
        lined("g-thought", by="p-client", status="agree", date=AS_OF, method="portal"),
        {CLIENT: None, THERAPIST: "not_ones_own"},
    ),
    "a supervisor's answer": (
        lined("g-ba", by="p-sup", status="agree", date=AS_OF, method="verbal"),
        {THERAPIST: "not_ones_own", SUPERVISOR: "not_allowed"},
    ),
    "a new goal": (
        replace(DEP, goals=(*DEP.goals, goal("g-x", parent="g-mood", lifecycle="proposed", expressed_by="p-client"))),
        {THERAPIST: None, CLIENT: None, PARTNER: "not_allowed"},
    ),
    "a review": (
        replace(DEP, reviews=(*DEP.reviews, Review(id="rv-x", date=AS_OF, kind="triggered", outcome="continue"))),
        {THERAPIST: None, CLIENT: "not_allowed"},
    ),
    "an agreed version": (
        replace(DEP, revision=7, revisions=(*DEP.revisions, replace(DEP.revisions[0], rev=7))),
        {THERAPIST: None, CLIENT: "not_allowed"},
    ),
}
CASES = [(name, by) for name, (_, answers) in EDITS.items() for by in answers]


@pytest.mark.parametrize(("name", "by"), CASES)
def test_each_person_changes_what_is_theirs_to_change(name: str, by: str) -> None:
    """The table of who may do what holds for an edited file as for a command."""
    after, answers = EDITS[name]
    if answers[by] is None:
        assert taken(after, by)
    else:
        assert {code for code, _ in refused(after, by)} == {answers[by]}


def test_a_private_note_is_its_author_s_alone() -> None:
    """Nobody else mends it, makes it public or takes it away; its author may."""
    private = DEP.goal("g-mood").progress[3]
    assert private.visibility == "private"
    opened = with_goal(
        DEP, "g-mood", progress=(*DEP.goal("g-mood").progress[:3], replace(private, visibility="shared"))
    )
    gone = with_goal(DEP, "g-mood", progress=DEP.goal("g-mood").progress[:3])
    for after in (opened, gone):
        assert taken(after, THERAPIST)
        assert {code for code, _ in refused(after, SUPERVISOR)} == {"not_ones_own"}


def test_an_answer_by_portal_is_changed_by_its_person_alone() -> None:
    """A therapist who records another answer says how it was given."""
    line = next(each for each in DEP.goal("g-ba").acceptance if each.by == "p-client")
    assert line.method == "portal"
    assert {code for code, _ in refused(lined("g-ba", by="p-client", status="pending", method="portal"))} >= {
        "not_ones_own"
    }
    assert taken(lined("g-ba", by="p-client", status="agree", date=line.date, method="portal", priority="low"), CLIENT)
    again = {"by": "p-client", "status": "agree", "method": "verbal"}
    assert {code for code, _ in refused(lined("g-ba", **again, date=line.date))} == {"not_ones_own"}
    assert taken(lined("g-ba", **again, date=AS_OF))


def test_another_s_victory_is_not_changed_by_a_client() -> None:
    """A client adds and mends their own; the therapist's stays."""
    kept = DEP.goal("g-ba").achievements
    assert [each.noted_by for each in kept] == ["p-client", "p-ther"]
    assert taken(with_goal(DEP, "g-ba", achievements=(replace(kept[0], text="x"), kept[1])), CLIENT)
    for after in (kept[:1], (kept[0], replace(kept[1], text="x")), (kept[0], replace(kept[1], noted_by="p-client"))):
        assert {code for code, _ in refused(with_goal(DEP, "g-ba", achievements=after), CLIENT)} == {"not_ones_own"}
        assert taken(with_goal(DEP, "g-ba", achievements=after), THERAPIST)


def test_a_number_on_record_is_only_corrected() -> None:
    """A reading, rating or trial is not overwritten or dropped for another reason than to correct it."""
    phq9 = DEP.measure("m-phq9")
    mended = (replace(phq9.readings[0], value=Decimal(15)), *phq9.readings[1:])
    for readings in (mended, phq9.readings[1:]):
        after = replace(DEP, measures=(replace(phq9, readings=readings), *DEP.measures[1:]))
        assert {code for code, _ in refused(after)} == {"number_on_record"}
        assert taken(after, because="correction")
    gas = DEP.goal("g-social").gas
    assert gas is not None
    more_ratings = with_goal(DEP, "g-social", gas=replace(gas, ratings=(*gas.ratings, gas.ratings[0])))
    assert taken(more_ratings) == ["goals[g-social].gas.ratings[+]"]
    for less in (replace(gas, ratings=gas.ratings[:-1]), None):
        after = with_goal(DEP, "g-social", gas=less)
        assert {code for code, _ in refused(after)} == {"number_on_record"}
    without = replace(DEP, measures=tuple(each for each in DEP.measures if each.id != "m-gad7"))
    assert refused(without) == {("number_on_record", "measures")}


def test_nobody_hides_a_note_in_another_s_name() -> None:
    """A shared note is not made private for its author by someone else."""
    entries = DEP.goal("g-mood").progress
    after = with_goal(DEP, "g-mood", progress=(replace(entries[0], visibility="private"), *entries[1:]))
    assert {code for code, _ in refused(after, SUPERVISOR)} == {"not_ones_own"}


# -- moves and what is final -------------------------------------------------------------------------------------------


BA = DEP.goal("g-ba")


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (with_goal(DEP, "g-create", lifecycle="completed"), ("move_not_allowed", "goals[4].lifecycle")),
        (with_goal(DEP, "g-sleep", lifecycle="on_hold"), ("reason_needed", "goals[8].status_reason")),
        (
            with_goal(DEP, "g-move", lifecycle="active", closure_reason=None),
            ("reason_needed", "goals[9].status_reason"),
        ),
        (with_goal(DEP, "g-sleep", lifecycle="entered_in_error"), ("reason_needed", "goals[8].status_reason")),
        (
            with_goal(DEP, "g-create", lifecycle="active", acceptance=()),
            ("goal_without_agreement", "goals[4].acceptance"),
        ),
        (with_goal(DEP, "g-move", origin=Origin(system="ehr")), ("origin_is_final", "goals[9].origin")),
        (with_goal(DEP, "g-ba", acceptance=BA.acceptance[:1]), ("answer_is_final", "goals[6].acceptance")),
        (with_goal(DEP, "g-ba", revisions=()), ("version_is_final", "goals[6].revisions")),
        (replace(DEP, revisions=DEP.revisions[:-1]), ("version_is_final", "revisions")),
        (
            replace(DEP, revisions=(replace(DEP.revisions[0], summary="x"), *DEP.revisions[1:])),
            ("version_is_final", "revisions[0].summary"),
        ),
        (replace(DEP, reviews=DEP.reviews[:1]), ("review_is_final", "reviews")),
        (
            replace(DEP, reviews=(replace(DEP.reviews[0], summary="x"), DEP.reviews[1])),
            ("review_is_final", "reviews[0].summary"),
        ),
        (
            replace(DEP, reviews=(replace(DEP.reviews[0], signatures=(Signature(by="p-client"),)), DEP.reviews[1])),
            ("signature_is_final", "reviews[0].signatures"),
        ),
        (
            replace(DEP, goals=(*DEP.goals, goal("g-x", parent="g-mood", lifecycle="declined", status_reason="x"))),
            ("move_not_allowed", "goals[15].lifecycle"),
        ),
        (
            replace(
                DEP,
                goals=(
                    *DEP.goals,
                    goal(
                        "g-x",
                        parent="g-mood",
                        acceptance=(Acceptance(by="p-client", status="agree", date=AS_OF, method="portal"),),
                    ),
                ),
            ),
            ("not_ones_own", "goals[15].acceptance"),
        ),
        (
            replace(
                DEP,
                reviews=(
                    *DEP.reviews,
                    Review(
                        id="rv-x",
                        date=AS_OF,
                        kind="triggered",
                        outcome="continue",
                        signatures=(Signature(by="p-client", date=AS_OF), Signature(by="p-sup", date=AS_OF)),
                    ),
                ),
            ),
            ("not_ones_own", "reviews[2].signatures[1]"),
        ),
    ],
)  # fmt: skip
def test_a_move_that_is_none_is_refused(after: Plan, wanted: tuple[str, str]) -> None:
    """State machines, reasons and what is on record hold for an edited file."""
    assert wanted in refused(after)


def consents(*each: Consent) -> Plan:
    return replace(DEP, disclosure=replace(DEP.disclosure, consents=each))


C1, C2 = DEP.disclosure.consents
NEW = Consent(id="c-9", endpoint="ehr-main", granted=AS_OF, method="signature", sensitivities=("MH",))


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (consents(replace(C1, expires=AS_OF), C2), None),
        (consents(C1, C2, NEW), None),
        (consents(C1, C2, replace(NEW, granted=None, method=None, refused=AS_OF)), None),
        (consents(replace(C1, expires=date(2028, 1, 1)), C2), "consent_is_final"),
        (consents(replace(C1, expires=None), C2), "consent_is_final"),
        (consents(replace(C1, sensitivities=("MH", "SUD")), C2), "consent_is_final"),
        (consents(C1), "consent_is_final"),
        (consents(C1, C2, replace(NEW, method=None)), "consent_without_method"),
        (consents(C1, C2, replace(NEW, method="portal")), "not_ones_own"),
    ],
)
def test_a_consent_on_record_is_only_ended(after: Plan, code: str | None) -> None:
    """What is wider or longer is a consent of its own, in writing or by portal."""
    if code is None:
        assert taken(after)
    else:
        assert code in {each for each, _ in refused(after)}


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (replace(DEP, goals=(*DEP.goals, DEP.goals[3])), ("id_twice", "goals[15].id")),
        (
            replace(DEP, goals=(*DEP.goals, goal("g x", parent="g-mood", lifecycle="draft"))),
            ("id_form", "goals[15].id"),
        ),
        (replace(DEP, reviews=(*DEP.reviews, DEP.reviews[0])), ("id_twice", "reviews[2].id")),
        (with_goal(DEP, "g-ba", acceptance=BA.acceptance * 2), ("answer_twice", "goals[6].acceptance[2]")),
    ],
)
def test_what_can_not_be_told_apart_is_refused_before_all_else(after: Plan, wanted: tuple[str, str]) -> None:
    """With an id twice nobody can say what changed, so nothing else is told."""
    found = refused(after)
    assert wanted in found
    assert {code for code, _ in found} == {wanted[0]}


def test_an_import_states_goals_in_any_state() -> None:
    """What a clinic brings along may be over already."""
    past = goal(
        "g-x",
        parent="g-mood",
        lifecycle="completed",
        closure_reason="not_met",
        achievement="not_achieved",
        status_date=AS_OF,
    )
    assert taken(replace(DEP, goals=(*DEP.goals, past)), because="import")


# -- places, changes, replay -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("title", "plan.title"),
        ("goals[g-ba].steps[st-ba-2].text", "goals[6].steps[1].text"),
        ("goals[g-ba].targets[m-ba].value", "goals[6].targets[0].value"),
        ("goals[g-none].text", "goals"),
        ("goals[]", "goals"),
        ("strengths", "plan.strengths"),
        ("client.display", "client.display"),
        ("disclosure.withheld[+]", "disclosure.withheld"),
        ("goals[g-thought].barriers[+]", "goals[7].barriers[0]"),
        ("measures[m-phq9].readings[2026-06-01/client].value", "measures[0].readings[0].value"),
    ],
)
def test_a_change_s_place_has_a_path_in_the_file(field: str, path: str) -> None:
    """Ids become indexes; what is not there is told by its list."""
    assert file_path(DEP, field) == path


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("plan.title", "title: Outpatient"),
        ("goals[6].lifecycle", "lifecycle: active"),
        ("goals[6].steps[1].text", "- {id: st-ba-2"),
        ("goals[0].nothing.at[3].all", "- id: g-mood"),
        ("reviews[1].signatures[2]", "- {id: rv-2"),
        ("client.display", "client:"),
        ("nowhere", "schema:"),
        ("goals[99]", "goals:"),
    ],
)
def test_a_path_has_a_line(path: str, begins: str) -> None:
    """The line of the place, or of what it would stand in."""
    line = line_of(TEXT, path)
    assert line is not None
    assert TEXT.splitlines()[line - 1].strip().startswith(begins)


def test_a_json_file_has_lines_too_and_broken_text_none() -> None:
    """JSON is read as YAML; where nothing can be read there is no line."""
    text = dump_plan_json(DEP)
    line = line_of(text, "goals[6].lifecycle")
    assert line is not None
    assert text.splitlines()[line - 1].strip().startswith('"lifecycle": "active"')
    assert line_of("{", "goals") is None
    assert line_of("", "goals") is None


def test_every_field_s_change_is_found_and_replayed() -> None:
    """Each text of each record of a plan changed at once: the difference leads from one to the other, both ways."""

    def marked(record: Any) -> Any:
        texts = {
            name: f"{value}!"
            for name in ("text", "client_words", "display", "summary", "technique", "frequency", "note", "reason")
            if isinstance(value := getattr(record, name, None), str) and record.__class__.__name__ != "Revision"
        }
        return replace(record, **texts) if texts and record.__class__.__name__ != "Acceptance" else record

    before, after = full(), changed(full(), marked)
    there, back = changes(before, after), changes(after, before)
    assert len(there) > 15
    assert replay(before, [revision(there)]) == after
    assert replay(after, [revision(back)]) == before


def revision(made: tuple[Change, ...]) -> Revision:
    return Revision(rev=1, date=AS_OF, by="p-ther", reason="review", changes=made)


@pytest.mark.parametrize(
    "after",
    [
        replace(DEP, goals=DEP.goals[::-1]),
        replace(DEP, goals=DEP.goals[3:] + DEP.goals[:3]),
        replace(DEP, goals=(DEP.goals[0], goal("g-x"), *DEP.goals[2:])),
        replace(DEP, strengths=()),
        replace(DEP, disclosure=replace(DEP.disclosure, consents=())),
        with_goal(DEP, "g-ba", steps=(), targets=(), readiness=None, gas=None),
        with_goal(DEP, "g-thought", gas=None),
        with_goal(DEP, "g-ba", priority=Foreign(foreign='{"x":1.10}')),
        with_goal(DEP, "g-thought", barriers=()),
        with_goal(DEP, "g-mood", progress=tuple(replace(each, id=None) for each in DEP.goal("g-mood").progress)),
        read(replace(READING, date=date(2026, 11, 5)), replace(READING, date=date(2026, 11, 5))),
        IPR,
    ],
    ids=lambda plan: plan.id,
)
def test_any_difference_is_replayed(after: Plan) -> None:
    """Order, removals, additions, lists without keys and with keys that stand twice."""
    assert replay(DEP, [revision(changes(DEP, after))]) == after
    assert replay(after, [revision(changes(after, DEP))]) == DEP


def test_a_digit_is_a_change() -> None:
    """7.1 and 7.10 are equal numbers and two values."""
    one, other = read(replace(READING, value=Decimal("7.1"))), read(replace(READING, value=Decimal("7.10")))
    made = changes(one, other)
    assert [change.field for change in made] == ["measures[m-phq9].readings[2026-11-06/client].value"]
    assert dump_plan(replay(one, [revision(made)])) == dump_plan(other)


@pytest.mark.parametrize(
    "change",
    [
        Change(field="goals[g-ba].text", from_="not this", to="x"),
        Change(field="goals[g-none].text", from_="x", to="y"),
        Change(field="goals[g-ba].no_field", to="x"),
        Change(field="goals[g-ba].lifecycle", from_="active", to="no code"),
        Change(field="goals[g-ba]x", to="x"),
        Change(field="title[g-ba]", to="x"),
        Change(field="id", from_="plan-dep-01"),
        Change(field="goals[]", from_=["g-ba"], to=["g-ba"]),
        Change(field="goals", from_=None, to=[]),
        Change(field="title.x", to="x"),
        Change(field="status", from_="active", to=None),
    ],
    ids=lambda change: change.field,
)
def test_a_change_that_does_not_fit_is_not_replayed(change: Change) -> None:
    """A missing edit, another order or a place that is none is a bug that is told by its place only."""
    with pytest.raises(NotReplayable, match="does not fit") as error:
        with_change(DEP, change)
    assert error.value.field == change.field
    assert "not this" not in str(error.value)


def test_a_refusal_shows_no_text_of_the_plan() -> None:
    """Codes, paths and plain sentences; no words of the client, no name, no id in a sentence."""
    texts = {
        value
        for record in every(DEP)
        for value in (getattr(record, name, None) for name in ("text", "client_words", "display", "summary"))
        if isinstance(value, str) and len(value) > 8
    }
    said: list[Refusal] = []
    for after, answers in EDITS.values():
        for by in answers:
            answer = put(after, by)
            said += answer if isinstance(answer, tuple) else ()
    assert said
    assert not [each for each in said for text in texts if text in each.sentence or text in each.path]


def test_the_small_plan_is_edited_by_its_therapist() -> None:
    """The file that other tests change is put without a word."""
    assert taken(with_goal(small(), "g-short", text="x"), "staff-1", small()) == ["goals[g-short].text"]


def test_nothing_new_is_put_into_a_plan_that_is_over() -> None:
    """A completed plan takes no goal by file either."""
    after = replace(IPR, goals=(*IPR.goals, goal("g-x", parent="g-ease", lifecycle="proposed")))
    assert ("plan_is_over", "plan.status") in refused(after, "staff-19", IPR)


def test_what_a_client_puts_in_is_a_proposal() -> None:
    """An active goal of the client's own hand is none, also by file."""
    new = goal("g-x", parent="g-mood", acceptance=(Acceptance(by="p-client", status="agree", method="portal"),))
    assert refused(replace(DEP, goals=(*DEP.goals, new)), CLIENT) == {("not_a_proposal", "goals[15].lifecycle")}


def test_a_rater_is_not_changed_by_another() -> None:
    """A client's correction stays with the client's own readings."""
    phq9 = DEP.measure("m-phq9")
    readings = (replace(phq9.readings[0], rater="therapist"), *phq9.readings[1:])
    after = replace(DEP, measures=(replace(phq9, readings=readings), *DEP.measures[1:]))
    assert {code for code, _ in refused(after, CLIENT, because="correction")} == {"not_ones_own"}
    mended = (replace(phq9.readings[0], value=Decimal(15)), *phq9.readings[1:])
    own = replace(DEP, measures=(replace(phq9, readings=mended), *DEP.measures[1:]))
    assert taken(own, CLIENT, because="correction")


def test_the_order_of_notes_and_readings_is_nobody_s_own() -> None:
    """What a client puts in between is theirs all the same; goals and steps are arranged by the therapist."""
    phq9 = DEP.measure("m-phq9")
    between = (phq9.readings[0], replace(READING, date=date(2026, 6, 8)), *phq9.readings[1:])
    assert taken(replace(DEP, measures=(replace(phq9, readings=between), *DEP.measures[1:])), CLIENT)
    note = replace(NOTE, author="p-client", visibility="shared")
    assert taken(with_goal(DEP, "g-mood", progress=(note, *DEP.goal("g-mood").progress)), CLIENT)
    assert {code for code, _ in refused(with_goal(DEP, "g-ba", steps=BA.steps[::-1]), CLIENT)} == {"not_allowed"}


def test_a_consent_that_was_asked_for_is_answered() -> None:
    """An open question on record becomes a consent or a refusal."""
    asked = Consent(id="c-9", endpoint="ehr-main")
    before = consents(C1, C2, asked)
    assert taken(consents(C1, C2, NEW), before=before)
    assert taken(consents(C1, C2, replace(asked, refused=AS_OF)), before=before)
    other = consents(C1, C2, replace(NEW, endpoint="elsewhere"))
    assert ("consent_is_final", "disclosure.consents[2]") in refused(other, before=before)
