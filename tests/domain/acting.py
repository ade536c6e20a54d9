"""A plan to act on and strategies for any command on it, by anyone, sensible or not."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, get_args

from hypothesis import strategies as st

from fhirgoals.domain import codes
from fhirgoals.domain import commands as c
from fhirgoals.domain.planfile import load_plan
from fhirgoals.domain.records import (
    Acceptance,
    Change,
    Consent,
    Gas,
    Goal,
    Participant,
    Plan,
    Review,
    Signature,
    Step,
    Target,
)

TODAY = date(2026, 11, 6)
PLAN = """
schema: fhirgoals-plan/1
plan: {id: plan-1, kind: client_treatment, title: Secret title, status: active, revision: 1, start_date: 2026-01-05, review_interval_days: 90}
client: {id: client-1, display: Secret Client, birth_date: 1990-01-01}
participants:
  - {id: p-client, role: client, ref: client-1, display: Secret Client}
  - {id: p-ther, role: primary_therapist, ref: staff-1, display: Secret Therapist}
  - {id: p-sup, role: clinical_supervisor, ref: staff-2}
  - {id: p-mother, role: legal_representative, ref: related-1}
  - {id: p-friend, role: support_person, ref: related-2}
problems: [{id: pr-1, code: {system: icd10cm, code: F32.1}}]
disclosure:
  consents: [{id: c-1, endpoint: ehr, granted: 2026-01-05, method: signature, sensitivities: [MH]}]
  withheld: [{target: g-3, endpoint: ehr}]
sessions: [{id: s-1, date: 2026-02-02, mode: video}]
measures:
  - {id: m-1, instrument: PHQ-9, range: [0, 27], better: lower, baseline: {date: 2026-01-05, value: 17.0}, readings: [{date: 2026-02-05, value: 16, rater: client}]}
interventions: [{id: iv-1, modality: cbt, technique: Secret technique, by: p-ther, goals: [g-1]}]
goals:
  - {id: g-long, horizon: long_term, nature: aspirational, text: Secret long, addresses: [pr-1], lifecycle: active, start_date: 2026-01-05,
     acceptance: [{by: p-client, status: agree, date: 2026-01-05, method: verbal}, {by: p-ther, status: agree, date: 2026-01-05, method: signature}]}
  - {id: g-1, horizon: short_term, nature: actionable, parent: g-long, text: Secret one, addresses: [pr-1], lifecycle: active, achievement: improving, start_date: 2026-01-05,
     target_date: 2026-12-01, targets: [{measure: m-1, op: "<", value: 5, by: 2026-12-01}],
     gas: {baseline: -1, levels: {"-2": a, "-1": b, "0": c, "1": d, "2": e}},
     acceptance: [{by: p-client, status: agree, date: 2026-01-05, method: verbal}],
     barriers: [{date: 2026-02-05, text: Secret barrier}],
     steps: [{id: st-1, n: 1, kind: homework, owner: client, text: Secret step, status: planned},
             {id: st-2, n: 2, kind: exposure, owner: client, text: Secret step, status: in_progress, suds_expected: 40},
             {id: st-3, n: 3, kind: support, owner: support_person, participant: p-friend, text: Secret step, status: planned}]}
  - {id: g-2, horizon: short_term, nature: exploratory, parent: g-long, text: Secret two, addresses: [pr-1], lifecycle: proposed, start_date: 2026-02-05,
     target_date: 2026-12-01, completion_criterion: Secret criterion, acceptance: [{by: p-client, status: pending}]}
  - {id: g-3, horizon: short_term, nature: actionable, parent: g-long, text: Secret three, addresses: [pr-1], lifecycle: completed, achievement: achieved,
     closure_reason: achieved, status_date: 2026-06-01, start_date: 2026-02-05, acceptance: [{by: p-client, status: agree, date: 2026-02-05, method: portal}]}
  - {id: g-4, horizon: short_term, nature: actionable, parent: g-long, text: Secret four, lifecycle: draft, start_date: 2026-02-05}
  - {id: g-5, horizon: short_term, parent: g-long, text: Secret five, lifecycle: planned, origin: {system: ehr}, review: unreviewed}
  - {id: g-6, horizon: short_term, nature: actionable, parent: g-long, text: Secret six, addresses: [pr-1], lifecycle: planned, start_date: 2026-02-05,
     acceptance: [{by: p-client, status: agree, date: 2026-02-05, method: verbal}]}
reviews:
  - {id: rv-1, date: 2026-04-05, kind: scheduled, outcome: continue, attendees: [p-client, p-ther], client_participation: active, signatures: [{by: p-client, date: 2026-04-05}, {by: p-ther}]}
revisions: [{rev: 1, date: 2026-01-05, by: p-ther, reason: initial, client_agreed: true}]
"""  # noqa: E501
ACTORS = (*["staff-1"] * 8, *["client-1"] * 3, "staff-2", "p-mother", "p-friend", "staff-99")


@cache
def base() -> Plan:
    """A plan with a goal of each kind, that breaks no invariant."""
    return load_plan(PLAN, name="base")


def pick(*values: object) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def code(kind: object) -> st.SearchStrategy[Any]:
    return st.sampled_from(get_args(kind))


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


GOALS = pick(*["g-1"] * 4, *["g-2"] * 4, *["g-3"] * 3, "g-long", "g-4", "g-4", "g-n1", "g-n2", "g-none")
CLOSED = pick("g-3", "g-3", "g-3", "g-1", "g-2", "g-n1")
STEPS = pick("st-1", "st-1", "st-2", "st-2", "st-3", "st-n1", "st-none")
PEOPLE = pick("p-client", "p-client", "p-ther", "p-ther", "p-sup", "p-mother", "p-friend", "p-new", "p-none")
WORDS = pick(*["Secret words"] * 5, "Secret other words", " ")
PAST = st.integers(-60, 0).map(lambda days: TODAY + timedelta(days=days))
DAYS = st.one_of(st.none(), st.none(), PAST, PAST, st.integers(-400, 20).map(lambda days: TODAY + timedelta(days=days)))
NEW_IDS = pick(*["g-n1", "g-n2", "g-n3"] * 4, "g-1", "pr-1", "bad id")
LINES = st.lists(
    st.builds(
        Acceptance,
        by=PEOPLE,
        status=pick("agree", "agree", "pending", "disagree"),
        method=some(code(codes.AcceptanceMethod)),
    ),
    max_size=2,
).map(tuple)
NEW_STEPS = st.builds(
    Step,
    id=pick("st-n1", "st-n2", "st-1"),
    n=st.integers(0, 5),
    kind=code(codes.StepKind),
    owner=code(codes.StepOwner),
    participant=some(PEOPLE),
    text=WORDS,
    status=some(code(codes.StepStatus)),
)
ANY_GOALS = st.builds(
    Goal,
    id=NEW_IDS,
    parent=pick("g-long", "g-long", "g-1", None, "g-none"),
    horizon=pick("short_term", "short_term", "short_term", "long_term", None),
    nature=pick("actionable", "actionable", "exploratory", "aspirational", None),
    text=WORDS,
    lifecycle=pick(None, "proposed", "draft", "accepted", "planned", "active", "completed"),
    addresses=pick((), ("pr-1",), ("pr-none",)),
    target_date=DAYS,
    completion_criterion=some(WORDS),
    acceptance=LINES,
    share=pick("default", "default", "withheld"),
    targets=pick((), (), (Target(measure="m-1", op="<", value=Decimal("5.0")),), (Target(measure="m-none"),)),
    gas=pick(None, None, Gas(levels={"-2": "a"})),
    predecessors=pick((), (), ("g-1",), ("g-none",)),
    steps=st.lists(NEW_STEPS, max_size=1).map(tuple),
)
AGREED = (
    Acceptance(by="p-client", status="agree", date=TODAY, method="verbal"),
    Acceptance(by="p-ther", status="agree", date=TODAY, method="signature"),
)
SOUND_GOALS = st.builds(
    Goal,
    id=NEW_IDS,
    parent=st.just("g-long"),
    horizon=st.just("short_term"),
    nature=pick("actionable", "exploratory"),
    text=WORDS,
    lifecycle=pick(None, "proposed", "proposed", "draft", "planned", "active"),
    target_date=st.just(TODAY + timedelta(days=90)),
    completion_criterion=st.just("Secret criterion"),
    acceptance=pick((), AGREED, AGREED),
    share=pick("default", "default", "withheld"),
)
NEW_GOALS = st.one_of(SOUND_GOALS, SOUND_GOALS, ANY_GOALS)
SOUND_REVIEWS = st.builds(
    Review,
    id=pick("rv-2", "rv-3"),
    date=PAST,
    kind=pick("transfer", "scheduled", "discharge"),
    outcome=code(codes.ReviewOutcome),
    attendees=st.just(("p-client",)),
    client_participation=st.just("active"),
)
REVIEWS = SOUND_REVIEWS | st.builds(
    Review,
    id=pick("rv-1", "rv-2", "rv-3"),
    date=DAYS.map(lambda day: day or TODAY),
    kind=code(codes.ReviewKind),
    outcome=code(codes.ReviewOutcome),
    attendees=pick((), ("p-client",), ("p-none",)),
    client_participation=some(code(codes.Participation)),
    reason=some(WORDS),
    signatures=pick((), (), (Signature(by="p-client"),), (Signature(by="p-none", date=TODAY),)),
)
CONSENTS = st.builds(
    Consent,
    id=pick("c-1", "c-2", "c-3"),
    endpoint=pick("ehr", "clinic", "nowhere"),
    granted=some(PAST) | PAST,
    expires=some(DAYS),
    method=pick("signature", "signature", "portal", None),
    sensitivities=pick((), ("MH",), ("MH", "SUD")),
)
CLOSINGS = st.builds(
    c.Closing,
    closure_reason=code(codes.ClosureReason),
    achievement=some(code(codes.Achievement)),
    reason=some(WORDS),
)
CHANGES = st.one_of(
    st.builds(Change, field=st.just("goals[g-1].priority"), from_=st.none(), to=code(codes.Priority)),
    st.builds(Change, field=st.just("goals[g-1].text"), from_=st.just("Secret one"), to=WORDS),
    st.builds(Change, field=st.just("goals[g-1].lifecycle"), from_=st.just("active"), to=code(codes.Lifecycle)),
    st.builds(Change, field=st.just("goals[g-1].achievement"), from_=st.just("improving"), to=code(codes.Achievement)),
    st.builds(Change, field=st.just("goals[g-1].parent"), from_=st.just("g-long"), to=GOALS),
    st.builds(Change, field=st.just("goals[g-1].predecessors"), from_=st.none(), to=st.lists(GOALS, max_size=2)),
    st.builds(Change, field=st.just("goals[g-1].target_date"), from_=st.just("2026-12-01"), to=DAYS.map(str)),
    st.builds(Change, field=st.just("goals[g-1].steps[st-1].n"), from_=st.just(1), to=st.integers(0, 4)),
    st.builds(
        Change, field=st.just("goals[g-2].completion_criterion"), from_=st.just("Secret criterion"), to=st.none()
    ),
    st.builds(Change, field=st.just("goals[g-3].closure_reason"), from_=st.just("achieved"), to=st.none()),
    st.builds(Change, field=st.just("measures[m-1].range"), from_=st.just([0, 27]), to=st.just([0, 10])),
    st.builds(Change, field=st.just("status"), from_=st.just("active"), to=code(codes.PlanStatus)),
    st.builds(Change, field=st.just("title"), from_=st.just("Secret title"), to=WORDS),
    st.builds(Change, field=st.just("goals[]"), from_=st.just([]), to=st.just([])),
    st.builds(Change, field=pick("goals[g-none].text", "none", "goals[", "client.id"), to=WORDS),
)


def said(command: type, /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A command with what every command may say."""
    return st.builds(
        command,
        because=some(code(codes.RevisionReason)),
        requested_by=pick(*[None] * 9, *["p-client"] * 6, "p-none"),
        client_agreed=pick(None, *[True] * 5, False),
        summary=some(WORDS),
        **fields,
    )


METHODS = code(codes.AcceptanceMethod)
COMMANDS: st.SearchStrategy[c.AnyCommand] = st.one_of(
    said(c.Propose, goal=NEW_GOALS),
    said(c.Accept, goal=GOALS, method=METHODS, by=some(PEOPLE), on=DAYS, priority=some(code(codes.Priority))),
    said(c.Disagree, goal=GOALS, method=METHODS, reason=WORDS, by=some(PEOPLE), on=DAYS),
    said(c.Submit, goal=GOALS),
    said(c.Schedule, goal=GOALS, start_date=DAYS),
    said(c.Activate, goal=pick("g-6", "g-6", "g-2", "g-1", "g-3", "g-n1")),
    said(c.Pause, goal=GOALS, reason=WORDS),
    said(
        c.Close,
        goal=GOALS,
        closure_reason=code(codes.ClosureReason),
        achievement=some(code(codes.Achievement)),
        reason=some(WORDS),
        on=DAYS,
    ),
    said(c.Reopen, goal=CLOSED, reason=WORDS),
    said(c.Decline, goal=GOALS, reason=WORDS),
    said(c.ConfirmAchievement, goal=GOALS, achievement=code(codes.Achievement)),
    said(c.MakeSmaller, goal=GOALS, smaller=NEW_GOALS, reason=WORDS, achievement=some(code(codes.Achievement))),
    said(c.BuildOn, goal=CLOSED, following=NEW_GOALS),
    said(c.KeepUp, goal=CLOSED, supported=st.booleans(), reason=some(WORDS)),
    said(c.MarkReviewed, goal=GOALS | pick("g-5")),
    said(c.Void, target=pick(*["g-1", "g-2", "g-4", "g-n1", "st-1", "st-2"] * 3, "g-long", "plan-1"), reason=WORDS),
    said(c.Edit, changes=st.lists(CHANGES, min_size=1, max_size=2).map(tuple)),
    said(c.AddStep, goal=GOALS, step=NEW_STEPS),
    said(c.MarkStep, step=STEPS, status=code(codes.StepStatus), done_on=DAYS, scheduled=DAYS),
    said(c.RecordTrial, step=STEPS, peak=st.integers(-1, 101), end=st.integers(0, 100), on=DAYS),
    said(c.AddVictory, goal=GOALS, id=pick("v-1", "v-2"), text=WORDS, target=some(GOALS | STEPS), on=DAYS),
    said(c.AddNote, goal=GOALS, id=pick("n-1", "n-2"), text=WORDS, visibility=code(codes.Visibility), on=DAYS),
    said(c.AddFinding, goal=pick("g-2", "g-2", "g-1"), text=WORDS, session=pick(None, "s-1", "s-none")),
    said(c.AddBarrier, goal=GOALS, text=WORDS),
    said(c.ResolveBarrier, goal=pick("g-1", "g-1", "g-2"), place=pick(1, 1, 0, 2), resolution=WORDS),
    said(
        c.RecordReading,
        measure=pick("m-1", "m-1", "m-1", "m-none"),
        value=pick(Decimal(5), Decimal("7.10"), Decimal(27), Decimal(28), Decimal("-0.5")),
        rater=pick("client", "client", "therapist", "caregiver", "self"),
        on=DAYS,
        item9_positive=st.booleans(),
    ),
    said(
        c.RateGoal,
        goal=pick("g-1", "g-1", "g-2"),
        level=st.integers(-3, 3),
        rater=pick("client", "client", "therapist", "caregiver", "self"),
        on=DAYS,
    ),
    said(c.AgreeVersion, since=some(st.just(base()))),
    said(c.RecordRefusal, by=PEOPLE, reason=WORDS, on=DAYS),
    said(c.ActivatePlan),
    said(c.PausePlan, reason=WORDS),
    said(
        c.RevokePlan,
        reason=WORDS,
        closings=st.dictionaries(GOALS, CLOSINGS, max_size=2),
        others=some(CLOSINGS | st.just(c.Closing(closure_reason="discharged"))),
    ),
    said(
        c.Discharge,
        kind=code(codes.DischargeKind),
        outcome=code(codes.DischargeOutcome),
        words=WORDS,
        closings=st.dictionaries(GOALS, CLOSINGS, max_size=2),
        others=some(CLOSINGS | st.just(c.Closing(closure_reason="discharged"))),
        review=some(REVIEWS),
    ),
    said(
        c.TransferCaseload,
        to=st.builds(
            Participant,
            id=pick("p-new", "p-client", "p-sup"),
            role=st.just("family"),
            ref=pick("staff-9", "staff-1"),
        ),
        review=REVIEWS,
        on=DAYS,
    ),
    said(c.HoldReview, review=REVIEWS, supervisor_signs=st.booleans()),
    said(c.Sign, review=pick("rv-1", "rv-2", "rv-none"), by=some(PEOPLE), on=DAYS),
    said(c.RefuseSignature, review=pick("rv-1", "rv-2"), reason=WORDS, by=some(PEOPLE)),
    said(c.GrantConsent, consent=CONSENTS),
    said(c.RefuseConsent, id=pick("c-1", "c-2", "c-3"), endpoint=pick("ehr", "nowhere"), on=DAYS),
    said(c.RevokeConsent, id=pick("c-1", "c-2", "c-3"), on=DAYS),
    said(c.Withhold, target=GOALS | pick("pr-1"), endpoint=pick(None, None, "ehr", "nowhere"), reason=some(WORDS)),
    said(c.Release, target=pick("g-3", "g-3", "g-1", "g-2", "pr-1"), endpoint=pick("ehr", None)),
)
ACTS = st.lists(st.tuples(COMMANDS, st.sampled_from(ACTORS)), min_size=1, max_size=8)
CONNECTIONS = frozenset({"ehr", "clinic"})
