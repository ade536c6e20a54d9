"""Where trees to start from come from: the shared samples, and two of ours that use every row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource, Tree

OURS = "https://fhirgoals.org/fhir/StructureDefinition/"
CODES = "https://fhirgoals.org/fhir/CodeSystem/"
HL7 = "http://hl7.org/fhir/StructureDefinition/"

FULL_GOAL: bytes = (
    b"""{
 "resourceType": "Goal", "id": "g1",
 "meta": {"versionId": "3", "source": "#abc", "security": [
   {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R", "display": "restricted"},
   {"system": "http://example.org/labels", "code": "R"},
   {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "MH"}], "tag": [{"code": "x"}]},
 "contained": [{"resourceType": "Basic", "id": "b", "code": {"text": "?"}}],
 "extension": [
   {"url": "http://example.org/other", "valueDecimal": 7.10},
   {"url": "O:closure-reason", "valueCode": "partially-met", "id": "e1"},
   {"url": "O:completion-criterion", "valueString": "Three of four weeks"},
   {"url": "H:goal-relationship", "extension": [
     {"url": "type", "valueCodeableConcept": {"coding": [
       {"system": "http://terminology.hl7.org/CodeSystem/goal-relationship-type", "code": "milestone"}]}},
     {"url": "target", "valueReference": {"reference": "Goal/2", "display": "kept"}}]},
   {"url": "H:goal-relationship", "extension": [{"url": "type", "valueCodeableConcept": {"text": "no target"}}]},
   {"url": "H:goal-acceptance", "extension": [
     {"url": "individual", "valueReference": {"reference": "Patient/1"}},
     {"url": "status", "valueCode": "agree"},
     {"url": "http://example.org/more", "valueBoolean": true},
     {"url": "priority", "valueCodeableConcept": {"coding": [
       {"system": "http://terminology.hl7.org/CodeSystem/goal-priority", "code": "high-priority"}]}}]}],
 "lifecycleStatus": "on-hold", "_lifecycleStatus": {"extension": [{"url": "http://example.org/why", "valueCode": "w"}]},
 "achievementStatus": {"coding": [
   {"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "improving", "version": "1"}]},
 "category": [
   {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/goal-category", "code": "behavioral"}]},
   {"coding": [{"system": "http://example.org/c", "code": "x"},
     {"system": "C:goal-tier", "code": "long-term", "id": "c1"}], "text": "Long-term goal"},
   {"coding": [{"system": "C:goal-nature", "code": "exploratory"}]},
   {"coding": [{"system": "http://hl7.org/fhir/us/pco/CodeSystem/pco-goal-domains", "code": "social-functioning"}]}],
 "priority": {"coding": [
   {"system": "http://terminology.hl7.org/CodeSystem/goal-priority", "code": "medium-priority"}], "text": "m"},
 "description": {"coding": [{"system": "http://snomed.info/sct", "code": "1"}], "text": "Sleep through"},
 "subject": {"reference": "Patient/1"},
 "startDate": "2026-05-01",
 "target": [
   {"id": "due", "dueDate": "2026-12-01", "extension": [{"url": "http://example.org/t", "valueDecimal": 1.0}]},
   {"id": "t1", "measure": {"coding": [{"system": "http://loinc.org", "code": "44261-6", "display": "PHQ-9"},
       {"system": "http://example.org/m", "code": "p"}], "text": "PHQ-9"},
     "detailQuantity": {"value": 7.10, "comparator": "<", "unit": "score",
       "system": "http://unitsofmeasure.org", "code": "{score}"}, "dueDate": "2026-11-01",
     "extension": [{"url": "O:target-sustain", "extension": [
       {"url": "count", "valueInteger": 2}, {"url": "apart-days", "valueInteger": 28},
       {"url": "x", "valueString": "y"}]}]},
   {"measure": {"text": "Weight"}, "detailRange": {"low": {"value": 60.50, "unit": "kg"},
     "high": {"value": 70, "unit": "kg"}}, "dueDuration": {"value": 3, "code": "mo"}},
   {"measure": {"text": "Hours"}, "detailRange": {"high": {"value": 19.00, "code": "h"}}},
   {"measure": {"text": "Pulse"}, "detailRange": {"low": {"value": 60, "code": "/min"}, "high": {"value": 80.0,
     "code": "/min"}}, "extension": [{"url": "O:target-sustain", "extension": [
       {"url": "count", "valueInteger": 1}, {"url": "span-days", "valueInteger": 7}]}]},
   {"measure": {"text": "GAS"}, "detailInteger": 0}],
 "statusDate": "2026-06-01", "statusReason": "holiday",
 "expressedBy": {"reference": "Patient/1", "display": "Someone"},
 "addresses": [{"reference": "Condition/1", "display": "kept"}, {"identifier": {"value": "7"}}],
 "note": [
   {"id": "n1", "extension": [{"url": "O:note-kind", "valueCode": "victory"}],
    "authorReference": {"reference": "Practitioner/7"}, "time": "2026-06-01", "text": "Slept"},
   {"authorString": "Dr X", "time": "2026-06-02T08:30:00+02:00", "text": "Called"},
   {"authorReference": {"display": "Nurse Y"}, "text": "Called again"},
   {"text": "a"}, {"text": "a"}]
}""".replace(b"O:", OURS.encode())
    .replace(b"H:", HL7.encode())
    .replace(b'"C:', b'"' + CODES.encode())
)

FULL_CAREPLAN: bytes = b"""{
 "resourceType": "CarePlan", "id": "c1", "meta": {"security": [
   {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}]},
 "text": {"status": "generated", "div": "<div xmlns=\\"http://www.w3.org/1999/xhtml\\">x</div>"},
 "status": "active", "intent": "plan",
 "category": [{"coding": [{"system": "http://example.org/c", "code": "assess-plan"}]}],
 "title": "Plan", "subject": {"reference": "Patient/1"},
 "period": {"start": "2026-05-01T09:00:00Z", "end": "2027-05"},
 "author": {"reference": "Practitioner/7", "display": "kept"},
 "contributor": [{"reference": "Practitioner/7"}, {"display": "no reference"}, {"reference": "Patient/1"}],
 "addresses": [{"reference": "Condition/1"}],
 "goal": [{"reference": "Goal/1", "id": "r"}, {"reference": "Goal/2"}],
 "activity": [
   {"reference": {"reference": "ServiceRequest/1"}},
   {"id": "a1", "extension": [{"url": "O:step-id", "valueString": "a1"},
      {"url": "O:activity-role", "valueCode": "step"},
      {"url": "http://example.org/a", "valueDecimal": 0.30}],
    "progress": [{"text": "p"}],
    "detail": {"kind": "Task", "code": {"coding": [{"system": "C:step-kind", "code": "self-care"},
        {"system": "http://example.org/k", "code": "k"}], "text": "Self-care"},
      "extension": [{"url": "O:step-owner", "valueCode": "client"},
        {"url": "O:step-done-on", "valueDate": "2026-06-01"},
        {"url": "O:step-scheduled", "valueDate": "2026-06-01"}],
      "goal": [{"reference": "Goal/2"}], "status": "completed", "scheduledString": "daily",
      "performer": [{"reference": "Patient/1", "display": "kept"}, {"display": "someone"}], "description": "Walk"}},
   {"detail": {"kind": "ServiceRequest", "code": {"coding": [{"system": "C:modality", "code": "cbt"},
        {"system": "http://snomed.info/sct", "code": "228557008", "display": "CBT"}], "text": "own words"},
      "status": "in-progress", "scheduledPeriod": {"start": "2026-06-01T08:00:00Z", "end": "2026-06-01"},
      "description": "Thought records", "location": {"display": "here"}}},
   {"detail": {"status": "unknown", "scheduledTiming": {"repeat": {"frequency": 1, "period": 1.0}},
      "description": "Pills"}},
   {"detail": {"doNotPerform": true, "description": "Smoke", "status": "not-started"}},
   {"detail": {"code": {"text": "Diet"}, "status": "not-started"}}]
}""".replace(b"O:", OURS.encode()).replace(b'"C:', b'"' + CODES.encode())


def full(kind: str) -> Resource:
    """Return our own resource of that type, in which every row of its table stands."""
    tree = exact_json.loads(FULL_GOAL if kind == "Goal" else FULL_CAREPLAN)
    assert isinstance(tree, dict)
    return tree


def shared_folder() -> Path:
    """Return the folder of shared input, whether it is there or not."""
    return Path(os.environ.get("FHIRGOALS_SHARED") or Path(__file__).parents[3] / "shared")


def resources(tree: Tree, kind: str) -> Iterator[Resource]:
    """Yield every resource of a type in a file: itself, in Bundles, contained."""
    if isinstance(tree, dict):
        if tree.get("resourceType") == kind:
            yield tree
        for child in tree.values():
            yield from resources(child, kind)
    elif isinstance(tree, list):
        for child in tree:
            yield from resources(child, kind)


@cache
def samples(kind: str) -> tuple[Resource, ...]:
    """Return our own resource and those of all versions in the shared samples, where these are there."""
    found = [full(kind)]
    for path in sorted((shared_folder() / "data" / "fhir").rglob("*.json")):
        found.extend(resources(exact_json.loads(path.read_bytes()), kind))
    # Large ones only cost time: the shapes that are in them are in small ones too.
    return tuple(tree for tree in found if len(exact_json.dumps(tree)) < 8_000)
