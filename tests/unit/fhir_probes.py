"""Resources for the tests of rules: one good Goal and CarePlan, and a table of ways to break them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhirgoals.fhir import terminology as t

Body = dict[str, Any]
Break = Callable[[Body], object]

DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><ul><li>Sleep</li></ul></div>'


def goal() -> Body:
    """Return a new Goal that breaks no rule and uses most of what is judged."""
    return copy.deepcopy(_GOAL)


def careplan() -> Body:
    """Return a new CarePlan that breaks no rule and uses most of what is judged."""
    return copy.deepcopy(_PLAN)


_GOAL: Body = {
    "resourceType": "Goal",
    "id": "g1",
    "meta": {"profile": [t.US_CORE_GOAL], "security": [{"system": t.CONFIDENTIALITY, "code": "R"}]},
    "text": {"status": "generated", "div": DIV},
    "extension": [
        {
            "url": t.GOAL_RELATIONSHIP,
            "extension": [
                {"url": "type", "valueCodeableConcept": {"coding": [t.RELATION.coding("milestone")]}},
                {"url": "target", "valueReference": {"reference": "Goal/g2"}},
            ],
        },
        {
            "url": t.GOAL_ACCEPTANCE,
            "extension": [
                {"url": "individual", "valueReference": {"reference": "Patient/p1"}},
                {"url": "status", "valueCode": "agree"},
                {"url": "priority", "valueCodeableConcept": {"coding": [t.PRIORITY.coding("high")]}},
            ],
        },
        {"url": t.CLOSURE_REASON_EXT, "valueCode": "achieved"},
        {"url": t.COMPLETION_CRITERION_EXT, "valueString": "Both can name three triggers"},
    ],
    "identifier": [{"system": "urn:uuid:6f0e6d0a-2f0a-4b4c-9c3e-1d1f2a3b4c5d", "value": "abc"}],
    "lifecycleStatus": "active",
    "achievementStatus": {"coding": [t.ACHIEVEMENT.coding("in_progress")]},
    "category": [{"coding": [t.GOAL_TIER.coding("short_term")], "text": "Short-term goal"}],
    "priority": {"coding": [t.PRIORITY.coding("medium")]},
    "description": {"text": "Sleep seven hours"},
    "subject": {"reference": "Patient/p1"},
    "startDate": "2026-01-31",
    "target": [
        {"id": "due", "dueDate": "2026-06-30"},
        {
            "extension": [
                {
                    "url": t.TARGET_SUSTAIN_EXT,
                    "extension": [{"url": "count", "valueInteger": 2}, {"url": "apart-days", "valueInteger": 28}],
                }
            ],
            "measure": {"coding": [{"system": t.LOINC, "code": "44261-6"}], "text": "PHQ-9"},
            "detailQuantity": {
                "value": Decimal("7.10"),
                "comparator": "<",
                "unit": "score",
                "system": t.UCUM,
                "code": "{score}",
            },
            "dueDate": "2026-05-31",
        },
        {
            "measure": {"text": "hours asleep"},
            "detailRange": {"low": {"value": 6, "code": "h", "system": t.UCUM}, "high": {"value": Decimal("8.0")}},
        },
    ],
    "statusDate": "2026-02-01",
    "statusReason": "Agreed in session",
    "expressedBy": {"reference": "Practitioner/x"},
    "addresses": [{"reference": "Condition/c1"}, {"identifier": {"system": "urn:x", "value": "9"}}],
    "note": [
        {
            "extension": [{"url": t.NOTE_KIND_EXT, "valueCode": "progress"}],
            "authorReference": {"reference": "Practitioner/x"},
            "time": "2026-02-01",
            "text": "Went well",
        }
    ],
}

_PLAN: Body = {
    "resourceType": "CarePlan",
    "id": "cp1",
    "meta": {"profile": [t.US_CORE_CAREPLAN]},
    "text": {"status": "generated", "div": DIV},
    "contained": [{"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}}],
    "status": "active",
    "intent": "plan",
    "category": [{"coding": [{"system": t.CAREPLAN_CATEGORY, "code": t.ASSESS_PLAN}]}],
    "title": "Treatment plan",
    "subject": {"reference": "https://ehr.example/fhir/Patient/p1"},
    "period": {"start": "2026-01", "end": "2026-12-31"},
    "author": {"reference": "Practitioner/x"},
    "contributor": [{"reference": "Patient/p1"}],
    "addresses": [{"reference": "#c1"}],
    "goal": [{"reference": "Goal/g1"}, {"reference": "Goal/g2"}],
    "activity": [
        {
            "id": "s1",
            "extension": [
                {"url": t.STEP_ID_EXT, "valueString": "6f0e6d0a"},
                {"url": t.ACTIVITY_ROLE_EXT, "valueCode": "step"},
            ],
            "detail": {
                "extension": [
                    {"url": t.STEP_OWNER_EXT, "valueCode": "client"},
                    {"url": t.STEP_DONE_ON_EXT, "valueDate": "2026-03-01"},
                    {"url": t.STEP_SCHEDULED_EXT, "valueDate": "2026-03-01"},
                ],
                "kind": "Task",
                "code": {"coding": [t.STEP_KIND.coding("homework")], "text": "Homework"},
                "goal": [{"reference": "Goal/g2"}],
                "status": "completed",
                "scheduledString": "daily",
                "performer": [{"reference": "Patient/p1"}],
                "description": "Keep a sleep diary",
            },
        },
        {"reference": {"reference": "Task/t1"}},
    ],
}


@dataclass(frozen=True)
class Probe:
    """One way to break a good resource, and the one issue that it must cause."""

    name: str
    make: Callable[[], Body]
    break_it: Break
    rule: str
    path: str
    severity: str = "error"


def _goal(name: str, break_it: Break, rule: str, path: str, severity: str = "error") -> Probe:
    return Probe(name, goal, break_it, rule, f"Goal.{path}" if path else "Goal", severity)


def _plan(name: str, break_it: Break, rule: str, path: str, severity: str = "error") -> Probe:
    return Probe(name, careplan, break_it, rule, f"CarePlan.{path}" if path else "CarePlan", severity)


def _set(*steps: str | int, to: object) -> Break:
    """Return what sets the value at `steps`."""

    def break_it(body: Any) -> None:
        for step in steps[:-1]:
            body = body[step]
        body[steps[-1]] = to

    return break_it


def _drop(*steps: str | int) -> Break:
    """Return what removes the value at `steps`."""

    def break_it(body: Any) -> None:
        for step in steps[:-1]:
            body = body[step]
        del body[steps[-1]]

    return break_it


def _ref(target: str) -> Body:
    return {"reference": target}


_REL, _ACC = ("extension", 0, "extension"), ("extension", 1, "extension")
_DETAIL = ("activity", 0, "detail")

GOAL_PROBES: tuple[Probe, ...] = (
    _goal("no lifecycleStatus", _drop("lifecycleStatus"), "R4-GOAL-01", "lifecycleStatus"),
    _goal("STU3 lifecycleStatus", _set("lifecycleStatus", to="in-progress"), "R4-GOAL-01", "lifecycleStatus"),
    _goal("lifecycleStatus no string", _set("lifecycleStatus", to=3), "R4-GOAL-01", "lifecycleStatus"),
    _goal("null lifecycleStatus", _set("lifecycleStatus", to=None), "R4-GOAL-01", "lifecycleStatus"),
    _goal("no description", _drop("description"), "R4-GOAL-02", "description"),
    _goal("description as a string", _set("description", to="x"), "SHAPE-TYPE", "description"),
    _goal("empty description", _set("description", to={}), "ele-1", "description"),
    _goal("no subject", _drop("subject"), "R4-GOAL-03", "subject"),
    _goal("subject of a wrong type", _set("subject", to=_ref("Practitioner/1")), "R4-GOAL-03", "subject"),
    _goal(
        "absolute subject of a wrong type",
        _set("subject", to=_ref("https://ehr.example/r4/Device/1/_history/2")),
        "R4-GOAL-03",
        "subject",
    ),
    _goal(
        "logical subject of a wrong type",
        _set("subject", to={"type": "Device", "identifier": {"value": "1"}}),
        "R4-GOAL-03",
        "subject",
    ),
    _goal("reference in no known form", _set("subject", to=_ref("p1")), "SHAPE-REFERENCE", "subject.reference"),
    _goal("dangling contained reference", _set("subject", to=_ref("#p")), "ref-1", "subject.reference"),
    _goal(
        "type beside the reference is another",
        _set("subject", to={"reference": "Patient/1", "type": "Group"}),
        "SHAPE-REFERENCE",
        "subject.type",
    ),
    _goal("detail without measure", _drop("target", 1, "measure"), "R4-GOAL-04", "target[1]"),
    _goal("dateTime in statusDate", _set("statusDate", to="2026-02-01T00:00:00Z"), "R4-GOAL-05", "statusDate"),
    _goal("impossible day", _set("statusDate", to="2026-02-30"), "R4-GOAL-05", "statusDate"),
    _goal("two starts", _set("startCodeableConcept", to={"text": "now"}), "R4-GOAL-07", "start[x]"),
    _goal("two due", _set("target", 0, "dueDuration", to={"value": 3}), "R4-GOAL-07", "target[0].due[x]"),
    _goal("two details", _set("target", 1, "detailInteger", to=3), "R4-GOAL-07", "target[1].detail[x]"),
    _goal("expressedBy a CareTeam", _set("expressedBy", to=_ref("CareTeam/1")), "R4-GOAL-08", "expressedBy"),
    _goal("addresses a Procedure", _set("addresses", 0, to=_ref("Procedure/1")), "R4-GOAL-09", "addresses[0]"),
    _goal("outcome no Observation", _set("outcomeReference", to=[_ref("Goal/1")]), "R4-GOAL-10", "outcomeReference[0]"),
    _goal(
        "unknown achievement",
        _set("achievementStatus", "coding", 0, "code", to="done"),
        "R4-GOAL-11",
        "achievementStatus.coding[0].code",
        "warning",
    ),
    _goal("R5 continuous", _set("continuous", to=True), "R4-GOAL-13", "continuous"),
    _goal("R5 source", _set("source", to=_ref("Patient/1")), "R4-GOAL-13", "source"),
    _goal("R5 outcome", _set("outcome", to=[]), "R4-GOAL-13", "outcome"),
    _goal("unknown property", _set("goalText", to="x"), "SHAPE-UNKNOWN", "goalText"),
    _goal("unknown property inside", _set("target", 0, "due", to="x"), "SHAPE-UNKNOWN", "target[0].due"),
    _goal("property that is no name", _set("Jane Doe!", to="x"), "SHAPE-UNKNOWN", "?"),
    _goal("relationship without target", _drop(*_REL, 1), "EXT-01", "extension[0]"),
    _goal("relationship without type", _drop(*_REL, 0), "EXT-01", "extension[0]"),
    _goal(
        "relationship to no Goal",
        _set(*_REL, 1, "valueReference", to=_ref("CarePlan/1")),
        "EXT-01",
        "extension[0]",
    ),
    _goal(
        "relationship with a string", _set(*_REL, 0, to={"url": "type", "valueString": "x"}), "EXT-01", "extension[0]"
    ),
    _goal("acceptance without individual", _drop(*_ACC, 0), "EXT-02", "extension[1]"),
    _goal(
        "acceptance by a PractitionerRole",
        _set(*_ACC, 0, "valueReference", to=_ref("PractitionerRole/1")),
        "EXT-02",
        "extension[1]",
    ),
    _goal("acceptance of unknown status", _set(*_ACC, 1, "valueCode", to="maybe"), "EXT-02", "extension[1]"),
    _goal("extension of R5", lambda b: b["extension"].append(_R5_EXTENSION), "CONV-07", "extension[4]"),
    _goal("extension with neither", _drop("extension", 2, "valueCode"), "ext-1", "extension[2]"),
    _goal("extension without url", _drop("extension", 2, "url"), "SHAPE-REQUIRED", "extension[2].url"),
    _goal(
        "extension with two values",
        _set("extension", 2, "valueString", to="x"),
        "SHAPE-CHOICE",
        "extension[2].value[x]",
    ),
    _goal(
        "our extension with a wrong type",
        _set("extension", 2, to={"url": t.CLOSURE_REASON_EXT, "valueString": "achieved"}),
        "SHAPE-EXTENSION",
        "extension[2]",
    ),
    _goal(
        "our extension with an unknown code",
        _set("extension", 2, "valueCode", to="bored"),
        "SHAPE-EXTENSION",
        "extension[2].valueCode",
    ),
    _goal(
        "our extension at a wrong place",
        _set("target", 0, "extension", to=[{"url": t.CLOSURE_REASON_EXT, "valueCode": "achieved"}]),
        "SHAPE-EXTENSION",
        "target[0].extension[0]",
    ),
    _goal(
        "sustain without count",
        _drop("target", 1, "extension", 0, "extension", 0),
        "SHAPE-EXTENSION",
        "target[1].extension[0]",
    ),
    _goal(
        "unknown modifier",
        _set("modifierExtension", to=[{"url": "http://x.example/not", "valueBoolean": True}]),
        "FG-EXT-07",
        "modifierExtension",
        "warning",
    ),
    _goal("implicit rules", _set("implicitRules", to="http://x.example"), "FG-EXT-07", "implicitRules", "warning"),
    _goal(
        "unknown comparator",
        _set("target", 1, "detailQuantity", "comparator", to="zz"),
        "SHAPE-CODE",
        "target[1].detailQuantity.comparator",
    ),
    _goal(
        "R5 comparator",
        _set("target", 1, "detailQuantity", "comparator", to="ad"),
        "SHAPE-CODE",
        "target[1].detailQuantity.comparator",
    ),
    _goal(
        "number as a string",
        _set("target", 1, "detailQuantity", "value", to="7"),
        "SHAPE-PRIMITIVE",
        "target[1].detailQuantity.value",
    ),
    _goal(
        "true as a number",
        _set("target", 1, "detailQuantity", "value", to=True),
        "SHAPE-PRIMITIVE",
        "target[1].detailQuantity.value",
    ),
    _goal(
        "unit code without system", _drop("target", 1, "detailQuantity", "system"), "qty-3", "target[1].detailQuantity"
    ),
    _goal(
        "range upside down", _set("target", 2, "detailRange", "low", "value", to=9), "rng-2", "target[2].detailRange"
    ),
    _goal(
        "comparator in a range",
        _set("target", 2, "detailRange", "low", "comparator", to="<"),
        "sqty-1",
        "target[2].detailRange.low.comparator",
    ),
    _goal("target as an object", _set("target", to={"dueDate": "2026"}), "SHAPE-TYPE", "target"),
    _goal("empty list", _set("note", to=[]), "SHAPE-TYPE", "note"),
    _goal("null in a list", _set("category", 0, to=None), "SHAPE-TYPE", "category[0]"),
    _goal("note without text", _drop("note", 0, "text"), "SHAPE-REQUIRED", "note[0].text"),
    _goal("note with two authors", _set("note", 0, "authorString", to="x"), "SHAPE-CHOICE", "note[0].author[x]"),
    _goal("time without zone", _set("note", 0, "time", to="2026-02-01T10:00:00"), "SHAPE-PRIMITIVE", "note[0].time"),
    _goal("empty string", _set("statusReason", to=""), "SHAPE-PRIMITIVE", "statusReason"),
    _goal("id with a space", _set("id", to="a b"), "SHAPE-PRIMITIVE", "id"),
    _goal("id of 88 characters", _set("id", to="a" * 88), "SHAPE-ID-LENGTH", "id", "warning"),
    _goal("narrative of unknown status", _set("text", "status", to="written"), "SHAPE-CODE", "text.status"),
    _goal(
        "narrative with a script",
        _set("text", "div", to=DIV.replace("Sleep", "<script>x</script>")),
        "txt-1",
        "text.div",
    ),
    _goal(
        "narrative with a handler", _set("text", "div", to=DIV.replace("<ul>", '<ul onclick="x">')), "txt-1", "text.div"
    ),
    _goal("empty narrative", _set("text", "div", to=DIV.replace("Sleep", " ")), "txt-2", "text.div"),
    _goal("narrative without namespace", _set("text", "div", to="<div>x</div>"), "SHAPE-NARRATIVE", "text.div"),
    _goal("identifier of unknown use", _set("identifier", 0, "use", to="mine"), "SHAPE-CODE", "identifier[0].use"),
    _goal("underscore on an object", _set("_description", to={"id": "x"}), "SHAPE-UNKNOWN", "_description"),
    _goal("empty underscore", _set("_startDate", to={}), "ele-1", "startDate"),
    _goal(
        "bad start of a duration",
        _set("target", 0, to={"dueDuration": {"value": 3, "code": "mo"}}),
        "qty-3",
        "target[0].dueDuration",
    ),
)

_R5_EXTENSION: Body = {
    "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Goal.continuous",
    "valueBoolean": True,
}

PLAN_PROBES: tuple[Probe, ...] = (
    _plan("no status", _drop("status"), "R4-CP-01", "status"),
    _plan("unknown status", _set("status", to="cancelled"), "R4-CP-01", "status"),
    _plan("no intent", _drop("intent"), "R4-CP-02", "intent"),
    _plan("R5 intent", _set("intent", to="directive"), "R4-CP-02", "intent"),
    _plan("no subject", _drop("subject"), "R4-CP-03", "subject"),
    _plan("subject an Organization", _set("subject", to=_ref("Organization/1")), "R4-CP-03", "subject"),
    _plan("detail and reference", _set("activity", 0, "reference", to=_ref("Task/1")), "R4-CP-04", "activity[0]"),
    _plan("step without status", _drop(*_DETAIL, "status"), "R4-CP-05", "activity[0].detail.status"),
    _plan("step of unknown status", _set(*_DETAIL, "status", to="done"), "R4-CP-05", "activity[0].detail.status"),
    _plan("step of unknown kind", _set(*_DETAIL, "kind", to="Goal"), "R4-CP-06", "activity[0].detail.kind"),
    _plan("goal that is no Goal", _set("goal", 0, to=_ref("CarePlan/2")), "R4-CP-08", "goal[0]"),
    _plan("goal listed twice", _set("goal", 0, to=_ref("Goal/g2")), "R4-CP-08", "goal[1]", "warning"),
    _plan(
        "contained problem of a wrong type",
        _set("contained", 0, "resourceType", to="Patient"),
        "R4-CP-09",
        "addresses[0]",
    ),
    _plan("careTeam no CareTeam", _set("careTeam", to=[_ref("Group/1")]), "R4-CP-09", "careTeam[0]"),
    _plan("partOf no CarePlan", _set("partOf", to=[_ref("Goal/1")]), "R4-CP-09", "partOf[0]"),
    _plan(
        "step for a goal that is not listed",
        _set(*_DETAIL, "goal", 0, to=_ref("Goal/g9")),
        "R4-CP-10",
        "activity[0].detail.goal[0]",
        "warning",
    ),
    _plan("R5 custodian", _set("custodian", to=_ref("Practitioner/1")), "R5-CP-02", "custodian"),
    _plan(
        "R5 activity",
        _set("activity", 1, to={"plannedActivityReference": _ref("Task/1")}),
        "R5-CP-03",
        "activity[1].plannedActivityReference",
    ),
    _plan(
        "two schedules",
        _set(*_DETAIL, "scheduledPeriod", to={"start": "2026"}),
        "SHAPE-CHOICE",
        "activity[0].detail.scheduled[x]",
    ),
    _plan(
        "doNotPerform as a string",
        _set(*_DETAIL, "doNotPerform", to="true"),
        "SHAPE-PRIMITIVE",
        "activity[0].detail.doNotPerform",
    ),
    _plan("period backwards", _set("period", "end", to="2025-12-31"), "per-1", "period"),
    _plan(
        "pertainsToGoal below the root",
        _set(
            "activity",
            1,
            "extension",
            to=[{"url": t.hl7_ext("resource-pertainsToGoal"), "valueReference": _ref("Goal/g1")}],
        ),
        "EXT-04",
        "activity[1].extension[0]",
    ),
    _plan("contained that nothing names", _set("addresses", 0, to=_ref("Condition/c")), "dom-3", "contained[0]"),
    _plan(
        "contained without id",
        lambda b: b["contained"].append({"resourceType": "Group", "member": [{"entity": _ref("#")}]}),
        "SHAPE-REQUIRED",
        "contained[1].id",
    ),
    _plan("contained in contained", _set("contained", 0, "contained", to=[]), "dom-2", "contained[0].contained"),
    _plan(
        "contained without type", lambda b: b["contained"].append({"id": "x", "a": "#"}), "SHAPE-TYPE", "contained[1]"
    ),
    _plan("no category in US Core", _drop("category"), "UC-CP-04", "category"),
    _plan("assess-plan twice", lambda b: b["category"].append(b["category"][0]), "UC-CP-03", "category"),
    _plan("assess-plan missing", _set("category", to=[{"text": "x"}]), "UC-CP-03", "category", "warning"),
    _plan("text of a status US Core refuses", _set("text", "status", to="empty"), "UC-CP-01", "text.status"),
    _plan(
        "inside of a Timing",
        lambda b: (
            b["activity"][0]["detail"].pop("scheduledString"),
            b["activity"][0]["detail"].update(scheduledTiming={"repeat": {"often": 3}}),
        ),
        "SHAPE-UNKNOWN",
        "activity[0].detail.scheduledTiming.repeat.often",
    ),
)

PROBES: tuple[Probe, ...] = GOAL_PROBES + PLAN_PROBES
