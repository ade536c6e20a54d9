"""Plans for tests: the five examples, a small one, and one in which every field of every record holds something."""

# ruff: noqa: E501 - plan files and tables read best with one thing a line

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from fhirgoals.domain.planfile import load_plan
from fhirgoals.domain.records import Goal, Plan, Record, fields_of

ROOT = Path(__file__).parents[1]
EXAMPLES = tuple(sorted((ROOT / "examples").glob("0*.yaml")))
AS_OF = date(2026, 11, 6)
replace = msgspec.structs.replace


@cache
def example(path: Path) -> Plan:
    return load_plan(path.read_bytes(), name=path.name)


def expected(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_bytes())["expected"]
    return found


def demo() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "demo.yaml").read_bytes())
    return found


SMALL = """
schema: fhirgoals-plan/1
plan: {id: plan-1, kind: client_treatment, title: A plan, status: active, start_date: 2026-01-05}
client: {id: client-1, display: A Client, birth_date: 1990-01-01}
participants:
  - {id: p-client, role: client, ref: client-1}
  - {id: p-ther, role: primary_therapist, ref: staff-1}
problems: [{id: pr-1, code: {system: icd10cm, code: F32.1}}]
disclosure:
  consents: [{id: c-1, endpoint: ehr, granted: 2026-01-05, sensitivities: [MH]}]
revisions: [{rev: 1, date: 2026-01-05, by: p-ther, reason: initial, client_agreed: true}]
goals:
  - {id: g-long, horizon: long_term, nature: aspirational, text: The long one, addresses: [pr-1],
     acceptance: [{by: p-client, status: agree, date: 2026-01-05, method: verbal}], lifecycle: active, start_date: 2026-01-05}
  - {id: g-short, horizon: short_term, nature: actionable, parent: g-long, text: The short one, addresses: [pr-1], lifecycle: active,
     acceptance: [{by: p-client, status: agree, date: 2026-01-05, method: verbal}],
     start_date: 2026-01-05, steps: [{id: st-1, n: 1, kind: homework, owner: client, text: A step, status: planned}]}
"""


def small(**changes: object) -> Plan:
    """A plan of one long-term and one short-term goal that breaks no invariant."""
    return replace(_small(), **changes)


@cache
def _small() -> Plan:
    return load_plan(SMALL, name="small")


def with_goal(plan: Plan, goal_id: str, **changes: object) -> Plan:
    return replace(plan, goals=tuple(replace(goal, **changes) if goal.id == goal_id else goal for goal in plan.goals))


FULL = """
schema: fhirgoals-plan/1
plan:
  id: plan-full
  kind: client_treatment
  title: Every field
  status: active
  revision: 7
  start_date: 2026-01-05
  planned_end_date: 2026-12-18
  end_date: 2026-12-17
  review_interval_days: 90
  session_frequency: weekly
  strengths: [humour]
  discharge_criteria: [{text: Below five, measure: m-1, op: between, value: 5.0, range: [1, 5], sustain: {count: 2, span_days: 30, apart_days: 28}}]
  discharge: {date: 2026-12-17, kind: planned, outcome: goals_met, summary: An ending, follow_up: A call}
  refusal: {by: p-client, reason: Not now, date: 2026-01-06}
  program: A program
  language: en
client:
  id: client-full
  display: Client Shown
  identifiers: [{system: "urn:mrn", value: MRN-1}]
  name: {family: Clientfamily, given: [Clientgiven]}
  birth_date: 1991-02-03
  legal_representatives: [related-1]
  minor_self_consented: true
  record_status: merged
participants:
  - {id: p-client, role: client, ref: client-full, display: Client Line, period: {start: 2026-01-05, end: 2026-12-17}}
  - {id: p-ther, role: primary_therapist, ref: staff-1, display: Therapist Line}
  - {id: p-aunt, role: support_person, ref: related-1, display: Aunt Line}
  - {id: p-uncle, role: family, ref: related-2, display: Uncle Line}
problems:
  - {id: pr-1, code: {system: icd10cm, code: F32.1, display: A problem}, client_words: Heavy days, status: resolved, onset: "2023", identifiers: [{system: "urn:c", value: C-1}], sensitivities: [ADOL]}
disclosure:
  default: share_with_consent
  consents:
    - {id: c-1, endpoint: ehr, granted: 2026-01-05, expires: 2027-01-05, method: signature, scope: treatment, sensitivities: [MH, ADOL, PSY]}
    - {id: c-2, endpoint: elsewhere, granted: 2026-01-05, expires: 2026-02-05, refused: 2026-01-06, method: portal, scope: treatment, sensitivities: [SPI]}
  withheld: [{target: g-secret, endpoint: nowhere, reason: Kept in the room}]
sessions: [{id: s-1, date: 2026-01-05, mode: video}]
measures:
  - id: m-1
    instrument: PHQ-9
    code: {system: loinc, code: 44261-6, display: A measure}
    unit: "{score}"
    range: [0, 27]
    better: lower
    baseline: {date: 2026-01-05, value: 17, rater: client, note: Base note, flags: [item9_positive]}
    readings: [{date: 2026-02-05, value: 16.0, rater: therapist, note: Reading note, flags: [item9_positive]}]
    cutoff: {op: ">=", value: 10}
    reliable_change: 6
    schedule: monthly
    sensitivities: [PSY]
  - {id: m-2, foreign_code: {foreign: '{"coding":[{"code":"zz"}]}'}}
interventions:
  - {id: iv-1, modality: cbt, technique: A technique, by: p-ther, frequency: weekly, duration: An hour, goals: [g-long, g-short], code: {system: snomed, code: "228557008", display: An intervention}}
goals:
  - {id: g-long, horizon: long_term, nature: aspirational, text: Long text, addresses: [pr-1], lifecycle: active, start_date: 2026-01-05}
  - {id: g-earlier, parent: g-long, horizon: short_term, nature: actionable, text: Earlier text, addresses: [pr-1], lifecycle: active, start_date: 2026-01-05}
  - id: g-short
    parent: g-long
    horizon: short_term
    nature: exploratory
    text: Short text
    client_words: In my words
    share_words: true
    domain: social-functioning
    priority: high
    addresses: [pr-1]
    lifecycle: completed
    achievement: achieved
    closure_reason: achieved
    status_date: 2026-11-02
    status_reason: Reason text
    start_date: 2026-01-06
    target_date: 2026-11-30
    completion_criterion: Criterion text
    readiness: {importance: 7, confidence: 6}
    smart: {date: 2026-01-06, rule_version: Rule version text, letters: {S: pass, M: warn}, reasons: [Reason code]}
    targets:
      - {id: t-1, measure: m-1, op: "<", value: 5.0, range: [1.0, 5.0], by: 2026-11-01, sustain: {count: 3, span_days: 21, apart_days: 7}}
      - {id: t-2, measure: m-2, foreign_detail: {foreign: '{"detailString":"x"}'}}
    gas: {weight: {importance: 3, difficulty: 2}, baseline: -1, levels: {"-2": Lowest, "0": Middle, "2": Highest}, ratings: [{date: 2026-03-05, level: 1, rater: client}]}
    predecessors: [g-earlier]
    replaced_by: g-earlier
    expressed_by: p-client
    sensitivities: [MH]
    exposure_hierarchy: true
    origin: {system: ehr, resource: Goal/77, version: "3"}
    review: reviewed
    acceptance: [{by: p-client, status: disagree, date: 2026-01-07, method: verbal, priority: low, reason: Acceptance reason}]
    steps:
      - {id: st-1, n: 1, kind: exposure, owner: support_person, participant: p-aunt, text: Step text, frequency: 2/wk, scheduled: 2026-01-08, status: done, done_on: 2026-01-09, suds_expected: 41, trials: [{date: 2026-01-10, peak: 43, end: 12}]}
    progress:
      - {id: n-1, date: 2026-01-11, session: s-1, author: p-ther, author_text: Author text, visibility: shared, text: Note text, origin: {system: ehr, resource: Goal/77, version: "3"}}
    findings: [{date: 2026-01-12, session: s-1, author: p-ther, visibility: private, text: Finding text}]
    achievements: [{id: v-1, date: 2026-01-13, size: small, target: st-1, text: Victory text, noted_by: p-client, celebrated: Cake, share: true}]
    barriers: [{date: 2026-01-14, text: Barrier text, code: barrier-code, resolved: 2026-01-15, resolution: Resolution text}]
    revisions: [{rev: 3, date: 2026-01-16, by: p-ther, requested_by: p-client, reason: review, client_agreed: true, summary: Goal revision, changes: [{field: text, from: Before, to: After}]}]
  - {id: g-secret, parent: g-long, horizon: short_term, nature: actionable, text: Secret text, addresses: [pr-1], lifecycle: active, start_date: 2026-01-05, share: withheld}
reviews:
  - {id: rv-1, date: 2026-04-05, due: 2026-04-06, kind: scheduled, outcome: continue, attendees: [p-client], client_participation: active, reason: Review reason, summary: Review summary, signatures: [{by: p-client, date: 2026-04-05, refused: true, reason: Signature reason}]}
revisions:
  - {rev: 1, date: 2026-01-17, by: p-ther, requested_by: p-client, reason: initial, client_agreed: true, summary: Plan revision, changes: [{field: title, from: Old, to: New}]}
"""


@cache
def full() -> Plan:
    """A plan in which each field of each record is given somewhere, and where nothing of it stops disclosure to `ehr`."""
    return load_plan(FULL, name="full")


def every(value: object) -> Iterator[Record]:
    """Yield a record and all records inside it."""
    if isinstance(value, Record):
        yield value
        for field in fields_of(type(value)):
            yield from every(getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from every(each)


def changed(value: Any, change: Callable[[Record], Record]) -> Any:
    """Return a value with `change` done to every record in it, innermost first."""
    if isinstance(value, tuple):
        return tuple(changed(each, change) for each in value)
    if isinstance(value, Record):
        inside = {field.name: changed(getattr(value, field.name), change) for field in fields_of(type(value))}
        return change(replace(value, **inside))
    return value


def goal(goal_id: str, **given: Any) -> Goal:
    """A goal that breaks no rule of its own; short-term where it gets a parent."""
    base: dict[str, Any] = {
        "horizon": "short_term" if given.get("parent") else "long_term",
        "nature": "actionable",
        "text": f"text of {goal_id}",
        "lifecycle": "active",
        "start_date": date(2026, 1, 5),
    }
    return Goal(id=goal_id, **(base | given))
