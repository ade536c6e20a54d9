"""Plans in which every field of every record holds something planted: one that goes, with goals behind every gate in it.

Beside it a completed plan, a therapist's own, a draft and one entered in error. See `planted` for what is planted.
"""

# ruff: noqa: E501 - records read best with one a line

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from fhirgoals.domain.planfile import load_plan_json
from fhirgoals.domain.records import Plan
from tests.leaks.planted import Field, Planted, Tree, digest

MAIN = "ehr-main"
REFUSED, EXPIRED, ABSENT = "ehr-refused", "ehr-expired", "ehr-without"
ELSEWHERE = "ehr-elsewhere"
PCO_DOMAINS = "http://hl7.org/fhir/us/pco/CodeSystem/pco-goal-domains-temporary"


def plant() -> Planted:
    """Return the plans, planted anew (the same each time)."""
    f = Field()
    f.id("Staff.id")
    f.id("Stamp.created_by")
    f.id("Stamp.updated_by")
    f.day("Stamp.created_at", "2026-11-06T09:")  # the clock of our side; the EHR has its own
    f.day("Stamp.updated_at", "2026-11-06T09:")
    related = _related(f)
    trees = [
        _main(f, related),
        _ended(f),
        _development(f),
        _other_plan(f, "unborn", "draft"),
        _other_plan(f, "wrong", "entered_in_error"),
    ]
    plans = tuple(_loaded(tree) for tree in trees)
    return Planted(plans, dict(f.seeds), related)


def _loaded(tree: Tree) -> Plan:
    return load_plan_json(_json(tree), name=tree["plan"]["id"])


def _json(value: Any) -> str:
    """JSON with the digits of decimals."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {_json(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def foreign(tree: Any) -> Tree:
    """A value as an EHR wrote it that our lists do not know."""
    return {"foreign": json.dumps(tree, ensure_ascii=False)}


# --- People ---------------------------------------------------------------------------------------------------------


def identifier(f: Field, row: str, at: str = "main") -> Tree:
    return {"system": "urn:oid:2.16.840.1.113883.4.6", "value": f.id(row, at)}


def _related(f: Field) -> Tree:
    return {
        "id": f.id("Related.id"),
        "display": f.text("Related.display"),
        "identifiers": [identifier(f, "Related.identifiers")],
        "relationship": f.text("Related.relationship"),
    }


def _participants(f: Field, related: str) -> list[Tree]:
    def line(name: str, role: str, ref: str, **more: Any) -> Tree:
        return {"id": name, "role": role, "ref": ref, **more}

    period = {"start": f.date("Period.start"), "end": f.date("Period.end")}
    shown, unlinked = f.text("Participant.display"), f.text("Participant.display", "unlinked")
    return [
        line(f.id("Participant.id"), "client", f.text_of("Client.id"), display=shown),
        line("p-therapist", "primary_therapist", f.text_of("Staff.id"), display=shown, period=period),
        line("p-related", "support_person", related, display=f.text_of("Related.display")),
        line("p-unlinked", "family", f.id("Participant.ref", "unlinked"), display=unlinked),
        # Each of these is named by one field alone; a CarePlan does not name their role by itself.
        *(line(f.id(row), "former_therapist", staff_of(row)) for row in PEOPLE_OF),
    ]


def staff_of(row: str) -> str:
    """The member of staff whom only that row names."""
    return f"staff-{digest(row, 'person')}"


PEOPLE_OF = (
    "Finding.author",
    "Review.attendees",
    "Signature.by",
    "Revision.by",
    "Revision.requested_by",
    "Step.participant",
    "Intervention.by",
    "ProgressEntry.author",
    "Achievement.noted_by",
    "Acceptance.by",
    "Goal.expressed_by",
)
"""Rows that name a participant; each names one of its own, whose readable id must not leave."""


def person(f: Field, row: str) -> str:
    """The participant whom only that row names."""
    return f.text_of(row)


def _client(f: Field) -> Tree:
    return {
        "id": f.id("Client.id"),
        "display": f.text("Client.display"),
        "identifiers": [identifier(f, "Client.identifiers")],
        "name": {"family": f.text("Client.name"), "given": [f.text("Client.name", "given")]},
        "birth_date": f.date("Client.birth_date"),
        "legal_representatives": [f.id("Client.legal_representatives")],
        "record_status": "merged",
    }


# --- Goals ----------------------------------------------------------------------------------------------------------


def _goal(f: Field, at: str, parent: str | None, others: Tree, **changes: Any) -> Tree:
    """A goal in which every field holds something; `others` names what it refers to."""
    goal: Tree = {
        "id": f.id("Goal.id", at),
        "horizon": "short_term",
        "nature": "exploratory",
        "text": f.text("Goal.text", at),
        "client_words": f.text("Goal.client_words", at),
        "share_words": True,
        "domain": foreign({"system": PCO_DOMAINS, "code": f.id("Goal.domain", at)}),
        "priority": foreign({"text": f.text("Goal.priority", at)}),
        "addresses": [others["problem"]],
        "lifecycle": "completed",
        "achievement": foreign({"text": f.text("Goal.achievement", at)}),
        "closure_reason": "partially_met",
        "status_date": f.date("Goal.status_date", at),
        "status_reason": f.text("Goal.status_reason", at),
        "start_date": f.date("Goal.start_date", at),
        "target_date": f.date("Goal.target_date", at),
        "completion_criterion": f.text("Goal.completion_criterion", at),
        "readiness": {"importance": f.whole("Readiness.importance", at), "confidence": f.whole("Readiness.confidence", at)},
        "smart": {"date": f.date("SmartResult.date", at), "rule_version": f.text("SmartResult.rule_version", at), "letters": {"S": "pass"}, "reasons": [f.text("SmartResult.reasons", at)]},
        "targets": _targets(f, at, others["measures"]),
        "gas": _gas(f, at),
        "predecessors": [others["earlier"]],
        "replaced_by": others["later"],
        "expressed_by": person(f, "Goal.expressed_by"),
        "exposure_hierarchy": True,
        "sensitivities": ["ADOL"],
        "acceptance": _acceptance(f, at),
        "steps": _steps(f, at),
        "progress": _progress(f, at),
        "findings": [{"date": f.date("Finding.date", at), "session": f.id("Finding.session", at), "author": person(f, "Finding.author"), "visibility": "private", "text": f.text("Finding.text", at)}],
        "achievements": _achievements(f, at),
        "barriers": [{"date": f.date("Barrier.date", at), "text": f.text("Barrier.text", at), "code": f.id("Barrier.code", at), "resolved": f.date("Barrier.resolved", at), "resolution": f.text("Barrier.resolution", at)}],
        "revisions": [_revision(f, at)],
    }  # fmt: skip
    if parent is not None:
        goal["parent"] = parent
    return goal | changes


def _targets(f: Field, at: str, measures: list[str]) -> list[Tree]:
    sustain = {name: f.whole(f"Sustain.{name}", at) for name in ("count", "span_days", "apart_days")}
    by = f.date("Target.by", at)
    ends = [f.decimal("Target.range", at), f.decimal("Target.range", at)]
    return [
        {"id": f.id("Target.id", at), "measure": measures[0], "op": "<=", "value": f.decimal("Target.value", at), "by": by, "sustain": sustain},
        {"id": f.id("Target.id", at + "-range"), "measure": measures[1], "op": "between", "range": ends},
    ]  # fmt: skip


def _gas(f: Field, at: str) -> Tree:
    return {
        "weight": {"importance": f.whole("Gas.weight", at), "difficulty": f.whole("Gas.weight", at)},
        "baseline": f.whole("Gas.baseline", at),
        "levels": {level: f.text("Gas.levels", f"{at}") + f" {level}" for level in ("-2", "0", "2")},
        "ratings": [{"date": f.date("GasRating.date", at), "level": 2, "rater": "caregiver"}],
    }


def _acceptance(f: Field, at: str) -> list[Tree]:
    rest = {"date": f.date("Acceptance.date", at), "method": "portal", "reason": f.text("Acceptance.reason", at)}
    return [
        {"by": person(f, "Acceptance.by"), "status": "disagree", "priority": "low", **rest},
        {"by": "p-unlinked", "status": "pending", "reason": f.text("Acceptance.reason", at)},
    ]


def _steps(f: Field, at: str) -> list[Tree]:
    trial = {"date": f.date("Trial.date", at), "peak": f.whole("Trial.peak", at), "end": f.whole("Trial.end", at)}
    return [
        {
            "id": f.id("Step.id", at),
            "n": 1,
            "kind": foreign({"text": f.text("Step.kind", at)}),
            "owner": "support_person",
            "participant": person(f, "Step.participant"),
            "text": f.text("Step.text", at),
            "frequency": f.text("Step.frequency", at),
            "scheduled": f.date("Step.scheduled", at),
            "status": "done",
            "done_on": f.date("Step.done_on", at),
            "suds_expected": f.whole("Step.suds_expected", at),
            "trials": [trial],
        },
        {"id": f.id("Step.id", at + "-error"), "n": 2, "text": f.text("Step.text", at + "-error"), "status": "entered_in_error"},
        {"id": f.id("Step.id", at + "-third"), "n": 3, "owner": "client", "text": f.text("Step.text", at + "-third"), "scheduled": f.date("Step.scheduled", at), "status": "planned"},
        {"id": f.id("Step.id", at + "-fourth"), "n": 4, "participant": "p-unlinked", "owner": "support_person", "text": f.text("Step.text", at + "-fourth"), "status": "planned"},
    ]  # fmt: skip


def _progress(f: Field, at: str) -> list[Tree]:
    def entry(name: str, **more: Any) -> Tree:
        place = f"{at}-{name}" if name else at
        return {
            "id": f.id("ProgressEntry.id", place),
            "date": f.date("ProgressEntry.date", place),
            "session": f.id("ProgressEntry.session", place),
            "visibility": "shared",
            "text": f.text("ProgressEntry.text", place),
        } | more

    there = {"system": MAIN, "resource": f.id("Origin.resource", at), "version": f.id("Origin.version", at)}
    elsewhere = {"system": ELSEWHERE, "resource": f.id("Origin.resource", f"{at}-elsewhere")}
    return [
        entry("", author=person(f, "ProgressEntry.author")),
        entry("private", visibility="private", author=person(f, "ProgressEntry.author")),
        entry("team", visibility="team", author_text=f.text("ProgressEntry.author_text", f"{at}-team")),
        entry("elsewhere", origin=elsewhere, author_text=f.text("ProgressEntry.author_text", f"{at}-elsewhere")),
        entry("there", origin=there, author_text=f.text("ProgressEntry.author_text", at)),
        entry("unlinked", author="p-unlinked"),
    ]


def _achievements(f: Field, at: str) -> list[Tree]:
    def one(place: str, *, share: bool) -> Tree:
        return {
            "id": f.id("Achievement.id", place),
            "date": f.date("Achievement.date", place),
            "size": "milestone",
            "target": f.id("Achievement.target", place),
            "text": f.text("Achievement.text", place),
            "noted_by": person(f, "Achievement.noted_by"),
            "celebrated": f.text("Achievement.celebrated", place),
            "share": share,
        }

    return [one(at, share=True), one(f"{at}-unshared", share=False)]


def _revision(f: Field, at: str) -> Tree:
    return {
        "rev": f.whole("Revision.rev", at),
        "date": f.date("Revision.date", at),
        "by": person(f, "Revision.by"),
        "requested_by": person(f, "Revision.requested_by"),
        "reason": f.word("Revision.reason", "progress_plateau", at),
        "client_agreed": True,
        "summary": f.text("Revision.summary", at),
        "changes": [
            {"field": f.id("Change.field", at), "from": f.text("Change.from", at), "to": f.text("Change.to", at)}
        ],
    }


# --- Around the goals -----------------------------------------------------------------------------------------------


def _reading(f: Field, at: str) -> Tree:
    return {
        "date": f.date("Reading.date", at),
        "value": f.decimal("Reading.value", at),
        "rater": "caregiver",
        "note": f.text("Reading.note", at),
        "flags": ["item9_positive"],
    }


def _measure(f: Field, at: str, name: str, **changes: Any) -> Tree:
    return {
        "id": name,
        "instrument": f.text("Measure.instrument", at),
        "code": {"system": "local", "code": f.id("Measure.code", at), "display": f.text("Measure.code", at + "-display")},
        "unit": "{" + f.id("Measure.unit", at) + "}",
        "range": [f.decimal("Measure.range", at), f.decimal("Measure.range", at)],
        "better": "range",
        "baseline": _reading(f, at),
        "readings": [_reading(f, at)],
        "cutoff": {"op": ">=", "value": f.decimal("Measure.cutoff", at)},
        "reliable_change": f.decimal("Measure.reliable_change", at),
        "schedule": f.text("Measure.schedule", at),
    } | changes  # fmt: skip


def _problem(f: Field, at: str, **changes: Any) -> Tree:
    code = {"system": "icd10cm", "code": f.id("Problem.code", at), "display": f.text("Problem.code", at)}
    return {
        "id": f.id("Problem.id", at),
        "code": code,
        "client_words": f.text("Problem.client_words", at),
        "status": "resolved",
        "onset": f.text("Problem.onset", at),
        "identifiers": [identifier(f, "Problem.identifiers", at)],
    } | changes


def _intervention(f: Field, at: str, goals: list[str]) -> Tree:
    return {
        "id": f.id("Intervention.id", at),
        "modality": foreign({"text": f.text("Intervention.modality", at)}),
        "technique": f.text("Intervention.technique", at),
        "by": person(f, "Intervention.by"),
        "frequency": f.text("Intervention.frequency", at),
        "duration": f.text("Intervention.duration", at),
        "goals": goals,
    }


def _consent(f: Field, at: str, endpoint: str, **changes: Any) -> Tree:
    rest = {"method": "portal", "scope": "treatment", "sensitivities": ["MH", "ADOL"]}
    return {"id": f.id("Consent.id", at), "endpoint": endpoint} | rest | changes


def _plan_head(f: Field, at: str, **changes: Any) -> Tree:
    return {
        "id": f.id("Plan.id", at),
        "kind": "client_treatment",
        "title": f.text("Plan.title", at),
        "status": "active",
        "revision": f.whole("Plan.revision", at),
        "start_date": f.date("Plan.start_date", at),
        "planned_end_date": f.date("Plan.planned_end_date", at),
        "end_date": f.date("Plan.end_date", at),
        "review_interval_days": f.whole("Plan.review_interval_days", at),
        "session_frequency": f.text("Plan.session_frequency", at),
        "strengths": [f.text("Plan.strengths", at)],
        "discharge_criteria": [_criterion(f, at)],
        "discharge": {
            "date": f.date("Discharge.date", at),
            "kind": f.word("Discharge.kind", "unplanned", at),
            "outcome": f.word("Discharge.outcome", "goals_partly_met", at),
            "summary": f.text("Discharge.summary", at),
            "follow_up": f.text("Discharge.follow_up", at),
        },
        "refusal": {"by": f.id("Plan.refusal", at), "reason": f.text("Plan.refusal", at), "date": f.date("Plan.refusal", at)},
        "program": f.text("Plan.program", at),
        "language": f.id("Plan.language", at),
    } | changes  # fmt: skip


def _criterion(f: Field, at: str) -> Tree:
    return {
        "text": f.text("DischargeCriterion.text", at),
        "measure": f.id("DischargeCriterion.measure", at),
        "op": "between",
        "value": f.decimal("DischargeCriterion.value", at),
        "range": [f.decimal("DischargeCriterion.range", at), f.decimal("DischargeCriterion.range", at)],
        "sustain": {name: f.whole(f"Sustain.{name}", "criterion") for name in ("count", "span_days", "apart_days")},
    }


def _review(f: Field, at: str) -> Tree:
    signature = {
        "by": person(f, "Signature.by"),
        "date": f.date("Signature.date", at),
        "refused": True,
        "reason": f.text("Signature.reason", at),
    }
    return {
        "id": f.id("Review.id", at),
        "date": f.date("Review.date", at),
        "due": f.date("Review.due", at),
        "kind": "triggered",
        "outcome": "step_down",
        "attendees": [person(f, "Review.attendees")],
        "client_participation": "limited",
        "reason": f.text("Review.reason", at),
        "summary": f.text("Review.summary", at),
        "signatures": [signature],
    }


GATED = ("withheld", "listed", "silent", "draft", "proposed", "declined", "void", "unconsented", "measured", "born")
"""Goals that no connection gets, each behind a gate of its own."""


def _main(f: Field, related: Tree) -> Tree:
    head = _plan_head(f, "main")
    client = _client(f)
    participants = _participants(f, related["id"])
    root, earlier, later = f.id("Goal.parent"), f.id("Goal.predecessors"), f.id("Goal.replaced_by")
    problems = [_problem(f, "main"), _problem(f, "silent")]
    measures = [
        _measure(f, "main", f.id("Measure.id")),
        _measure(f, "main-range", f.id("Measure.id", "main-range")),
        _measure(f, "unused", f.id("Measure.id", "unused")),
    ]
    for_all = {
        "problem": problems[0]["id"],
        "earlier": earlier,
        "later": later,
        "measures": [one["id"] for one in measures[:2]],
    }
    goals = [
        {"id": root, "text": "A long-term goal", "addresses": [for_all["problem"]], "lifecycle": "active"},
        {"id": earlier, "text": "An earlier goal", "parent": root, "addresses": [for_all["problem"]], "lifecycle": "active"},
        {"id": later, "text": "A later goal", "parent": root, "addresses": [for_all["problem"]], "lifecycle": "active"},
        _goal(f, "main", root, for_all),
        _goal(f, "quiet", root, for_all, share_words=False),
    ]  # fmt: skip
    gates: dict[str, Tree] = {
        "withheld": {"share": "withheld"},
        "listed": {},
        "silent": {"addresses": [problems[1]["id"]]},
        "draft": {"lifecycle": "draft"},
        "proposed": {"lifecycle": "proposed"},
        "declined": {"lifecycle": "declined"},
        "void": {"lifecycle": "entered_in_error"},
        "unconsented": {"sensitivities": ["SUD"]},
        "measured": {},
        "born": {"origin": {"system": f.word("Origin.system", ELSEWHERE), "resource": f.id("Origin.resource", "born")}},
    }
    listed = [f.text_of("Goal.id"), root]
    second = _intervention(f, "main-coded", [f.text_of("Goal.id")])
    second |= {"modality": "dbt", "code": {"system": "snomed", "code": f.word("Intervention.code", "228557008")}}
    interventions = [_intervention(f, "main", listed), second]
    for at, changes in gates.items():
        labels = {"sensitivities": ["VIO"]} if at == "measured" else {}
        measures.append(_measure(f, at, f.id("Measure.id", at), **labels))
        goal = _goal(f, at, root, for_all | {"measures": [measures[-1]["id"]] * 2}, **changes)
        goals.append(goal)
        interventions.append(_intervention(f, at, [goal["id"]]))
        # What goes refers to what stays: those references are left out.
        goals[1].setdefault("predecessors", []).append(goal["id"])
        if at not in ("unconsented", "measured"):
            listed.append(goal["id"])
    disclosure = {
        "consents": [
            _consent(
                f, "main", MAIN, granted=f.day("Consent.granted", "2026-02-03"), expires=f.date("Consent.expires")
            ),
            _consent(f, "main", f.word("Consent.endpoint", REFUSED), refused=f.day("Consent.refused", "2026-02-04")),
            _consent(f, "main", EXPIRED, granted="2026-01-05", expires=f.day("Consent.expires", "2026-11-06")),
        ],
        "withheld": [
            {"target": f.text_of("Goal.id", "listed"), "reason": f.text("Withheld.reason")},
            {"target": problems[1]["id"], "reason": f.text("Withheld.reason")},
            {"target": root, "endpoint": f.id("Withheld.endpoint"), "reason": f.text("Withheld.reason")},
        ],
    }
    return {
        "schema": "fhirgoals-plan/1",
        "plan": head,
        "client": client,
        "participants": participants,
        "problems": problems,
        "disclosure": disclosure,
        "sessions": [{"id": f.id("Session.id"), "date": f.date("Session.date"), "mode": "home_visit"}],
        "measures": measures,
        "interventions": interventions,
        "goals": goals,
        "reviews": [_review(f, "main")],
        "revisions": [_revision(f, "main")],
    }


def _ended(f: Field) -> Tree:
    """A completed plan: its end goes, its planned end no longer."""
    consent = {"id": "c-1", "endpoint": MAIN, "granted": "2026-01-05", "sensitivities": ["MH"]}
    return {
        "schema": "fhirgoals-plan/1",
        "plan": {
            "id": "plan-ended",
            "kind": "client_treatment",
            "status": "completed",
            "planned_end_date": f.date("Plan.planned_end_date", "ended"),
            "end_date": f.date("Plan.end_date", "ended"),
        },
        "client": {"id": "client-ended", "display": "Somebody else"},
        "problems": [{"id": "pr-ended", "code": {"system": "icd10cm", "code": "F32.1"}}],
        "disclosure": {"consents": [consent]},
        "goals": [{"id": "g-ended", "text": "An ended goal", "addresses": ["pr-ended"], "lifecycle": "completed"}],
    }


def _development(f: Field) -> Tree:
    """A therapist's own plan: it goes nowhere; it also brings the therapist's identifiers into the store."""
    therapist = {
        "id": f.text_of("Staff.id"),
        "display": f.text("Staff.display"),
        "identifiers": [identifier(f, "Staff.identifiers")],
        "name": {"family": f.text("Staff.name"), "given": [f.text("Staff.name", "given")]},
        "role": f.word("Staff.role", "case_manager"),
        "credential": f.text("Staff.credential"),
        "supervisor_signs": True,
    }
    return _closed(f, "development", {"therapist": therapist}, kind="professional_development")


def _other_plan(f: Field, at: str, status: str) -> Tree:
    """A plan that goes nowhere in that status, though its consent is good."""
    client = {"id": f.id("Client.id", at), "display": f.text("Client.display", at)}
    consent = _consent(f, at, MAIN, granted="2026-01-05")
    return _closed(f, at, {"client": client, "disclosure": {"consents": [consent]}}, status=status)


def _closed(f: Field, at: str, parts: Tree, **head: Any) -> Tree:
    problem = _problem(f, at)
    measure = _measure(f, at, f.id("Measure.id", at))
    ends = {"earlier": f.id("Goal.predecessors", at), "later": f.id("Goal.replaced_by", at)}
    others = {"problem": problem["id"], "measures": [measure["id"]] * 2, **ends}
    goal = _goal(f, at, None, others)
    return {
        "schema": "fhirgoals-plan/1",
        "plan": _plan_head(f, at, **head),
        **parts,
        "participants": [{"id": "p-therapist", "role": "primary_therapist", "ref": f.text_of("Staff.id")}],
        "problems": [problem],
        "measures": [measure],
        "goals": [goal],
        "reviews": [_review(f, at)],
    }
