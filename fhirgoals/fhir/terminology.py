"""Names and code tables of the wire: systems, extension URLs, and how our codes translate to FHIR and back.

Constants only. What a code that is in no table means is not decided here: it is foreign, kept verbatim and flagged.
Sources: FHIR R4 4.0.1 value sets; HL7 extension pack; HL7 pco-ig 32136290 (2026-02-11); US Core 6.1.0; UTG.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fhirgoals.fhir.exact_json import Tree

CANONICAL_BASE = "https://fhirgoals.org/fhir"
"""Base of every canonical URL that is ours; the only place it is written."""

EXTENSION_BASE = f"{CANONICAL_BASE}/StructureDefinition/"
HL7_EXTENSION_BASE = "http://hl7.org/fhir/StructureDefinition/"
PCO_EXTENSION_BASE = "http://hl7.org/fhir/us/pco/StructureDefinition/"

GOAL_RELATIONSHIP = f"{HL7_EXTENSION_BASE}goal-relationship"
GOAL_ACCEPTANCE = f"{HL7_EXTENSION_BASE}goal-acceptance"
PCO_GAS = f"{PCO_EXTENSION_BASE}pco-goal-attainment-scaling"

US_CORE_GOAL = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-goal"
US_CORE_CAREPLAN = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-careplan"

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CAREPLAN_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/careplan-category"
ASSESS_PLAN = "assess-plan"

RELATION_R4_SYSTEM = "http://terminology.hl7.org/CodeSystem/goal-relationship-type"
RELATION_PACK_SYSTEM = "http://hl7.org/fhir/goal-relationship-type"
"""System of the extension pack and R5. `part-of` is its word for the child's end; R4's `milestone` is the parent's."""

XHTML = "http://www.w3.org/1999/xhtml"


def ext(slug: str) -> str:
    """Return the URL of our own extension `slug`, as `fields.csv` writes it after `Ext:`."""
    return EXTENSION_BASE + slug


def hl7_ext(slug: str) -> str:
    """Return the URL of HL7's extension `slug`, as `fields.csv` writes it after `hl7:`."""
    return HL7_EXTENSION_BASE + slug


def code_system(slug: str) -> str:
    """Return the URL of our own code system `slug`."""
    return f"{CANONICAL_BASE}/CodeSystem/{slug}"


def _frozen(pairs: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(pairs))


@dataclass(frozen=True)
class CodeTable:
    """How one list of our codes stands on the wire, one to one.

    `system` is the code system of the wire codes, or "" where the element is a plain `code`.
    `also_read` are further systems under which the same wire codes are understood, never written.
    """

    system: str
    wire: Mapping[str, str]
    displays: Mapping[str, str] = field(default_factory=lambda: _frozen({}))
    also_read: tuple[str, ...] = ()
    internal: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "internal", _frozen({theirs: ours for ours, theirs in self.wire.items()}))

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems under which a coding of this table is read."""
        return (self.system, *self.also_read)

    def read(self, system: Tree, code: Tree) -> str | None:
        """Return our code for a coding's system and code, or None where the pair is not in this table."""
        if not isinstance(code, str) or system not in self.systems:
            return None
        return self.internal.get(code)

    def coding(self, ours: str) -> dict[str, Tree]:
        """Return a new Coding for one of our codes; raises KeyError for a code that is not in this table."""
        code = self.wire[ours]
        coding: dict[str, Tree] = {"system": self.system, "code": code}
        if code in self.displays:
            coding["display"] = self.displays[code]
        return coding

    def text(self, ours: str) -> str:
        """Return the words for one of our codes: its display, else the code with spaces."""
        code = self.wire[ours]
        return self.displays.get(code, code.replace("-", " "))


def _hyphens(codes: Iterable[str]) -> Mapping[str, str]:
    return _frozen({code: code.replace("_", "-") for code in codes})


def _hl7(system: str, codes: str, also_read: tuple[str, ...] = ()) -> CodeTable:
    """Return the table of a published code system whose displays are its codes in title case."""
    wire = _hyphens(codes.split())
    displays = {code: code.replace("-", " ").title() for code in wire.values()}
    return CodeTable(system, wire, _frozen(displays), also_read)


def _own(slug: str, displays: Mapping[str, str]) -> CodeTable:
    """Return the table of a code system of ours from our codes and their displays."""
    wire = _hyphens(displays)
    return CodeTable(code_system(slug), wire, _frozen({wire[ours]: text for ours, text in displays.items()}))


# --- Plain codes (no system on the wire) ---------------------------------------------------------------------------

LIFECYCLE = CodeTable(
    "",
    _frozen(
        {
            "proposed": "proposed",
            "planned": "planned",
            "accepted": "accepted",
            "active": "active",
            "on_hold": "on-hold",
            "completed": "completed",
            "cancelled": "cancelled",
            "declined": "rejected",
            "entered_in_error": "entered-in-error",
        }
    ),
)
"""Goal lifecycle and Goal.lifecycleStatus. A draft has no code: it is never sent."""

PLAN_STATUS = CodeTable("", _hyphens(("draft", "active", "on_hold", "completed", "revoked", "entered_in_error")))
"""Plan status and CarePlan.status. A draft plan is read, never sent; FHIR's `unknown` stays foreign."""

STEP_STATUS = CodeTable(
    "",
    _frozen(
        {
            "planned": "not-started",
            "scheduled": "scheduled",
            "in_progress": "in-progress",
            "on_hold": "on-hold",
            "done": "completed",
            "skipped": "cancelled",
            "stopped": "stopped",
            "entered_in_error": "entered-in-error",
        }
    ),
)
"""Step status and CarePlan.activity.detail.status; FHIR's `unknown` stays foreign."""

ACCEPTANCE_STATUS = CodeTable("", _hyphens(("agree", "disagree", "pending")))

COMPARATORS: frozenset[str] = frozenset({"<", "<=", ">=", ">"})
"""Operators that stand as Quantity.comparator; `=` has none and `between` is a Range."""

# --- HL7's code systems --------------------------------------------------------------------------------------------

ACHIEVEMENT = _hl7(
    "http://terminology.hl7.org/CodeSystem/goal-achievement",
    "in_progress improving worsening no_change achieved sustaining not_achieved no_progress not_attainable",
)

PRIORITY = CodeTable(
    "http://terminology.hl7.org/CodeSystem/goal-priority",
    _frozen({"high": "high-priority", "medium": "medium-priority", "low": "low-priority"}),
    _frozen({"high-priority": "High Priority", "medium-priority": "Medium Priority", "low-priority": "Low Priority"}),
)
"""Goal.priority and the priority of goal-acceptance."""

GOAL_DOMAIN = _hl7(
    "http://hl7.org/fhir/us/pco/CodeSystem/pco-goal-domains-temporary",
    "emotional-and-mental-health improving-health-and-wellness social-functioning managing-conditions "
    "access-to-services",
    # The guide's name up to its 0.2.0 build of 2025-01-29, codes and displays the same.
    also_read=("http://hl7.org/fhir/us/pco/CodeSystem/pco-goal-domains",),
)

RELATION = _hl7(
    RELATION_R4_SYSTEM, "predecessor successor replacement milestone other", also_read=(RELATION_PACK_SYSTEM,)
)
"""Types of goal-relationship in R4. `milestone`: the target is a piece of this goal (parent to child)."""

RELATION_PACK = _hl7(RELATION_PACK_SYSTEM, "part_of", also_read=(RELATION_R4_SYSTEM,))
"""The extension pack's own type. `part-of`: the target is the larger goal (child to parent)."""

# --- Our own code systems ------------------------------------------------------------------------------------------

GOAL_TIER = _own("goal-tier", {"long_term": "Long-term goal", "short_term": "Short-term goal"})
GOAL_NATURE = _own(
    "goal-nature",
    {"aspirational": "Aspirational goal", "exploratory": "Exploratory goal", "actionable": "Actionable goal"},
)
STEP_KIND = _own(
    "step-kind",
    {
        "skill_practice": "Skill practice",
        "exposure": "Exposure",
        "self_care": "Self-care",
        "gratitude": "Gratitude practice",
        "reflection": "Reflection",
        "self_monitoring": "Self-monitoring",
        "homework": "Homework",
        "in_session": "In session",
        "psychoeducation": "Psychoeducation",
        "support": "Support by others",
        "training": "Training",
    },
)
STEP_OWNER = _own("step-owner", {"client": "Client", "therapist": "Therapist", "support_person": "Support person"})
MODALITY = _own(
    "modality",
    {
        "cbt": "Cognitive behavioural therapy",
        "cbt_i": "Cognitive behavioural therapy for insomnia",
        "erp": "Exposure and response prevention",
        "ba": "Behavioural activation",
        "act": "Acceptance and commitment therapy",
        "ipt": "Interpersonal psychotherapy",
        "dbt": "Dialectical behaviour therapy",
        "mi": "Motivational interviewing",
        "insight_oriented": "Insight-oriented therapy",
        "family": "Family therapy",
        "problem_solving": "Problem-solving therapy",
        "medication": "Medication",
        "other": "Other",
    },
)
NOTE_KIND = _own(
    "note-kind", {"progress": "Progress", "victory": "Small victory", "client-words": "In the client's own words"}
)
ACTIVITY_ROLE = _own("activity-role", {"step": "Step", "intervention": "Intervention"})
CLOSURE_REASON = _own(
    "closure-reason",
    {
        "achieved": "Achieved",
        "partially_met": "Partially met",
        "not_met": "Not met",
        "discharged": "Discharged",
        "dropped_out": "Dropped out",
        "transferred": "Transferred",
        "replaced": "Replaced by another goal",
        "no_longer_relevant": "No longer relevant",
        "client_request": "At the client's request",
    },
)

MEASURE_SYSTEM = code_system("measure")
"""System of `local` measure codes. A practice adds codes of its own, so the published list is a fragment."""

MEASURES: Mapping[str, str] = _frozen(
    {
        "ybocs-total": "Y-BOCS total",
        "oci-r-total": "OCI-R total",
        "who5-percent": "WHO-5 percent",
        "iip-32-mean": "IIP-32 mean",
        "goal-based-outcome": "Goal rating 0-10",
    }
)
"""The local measures of the instrument catalogue (reference: domain model, section 6)."""

SYSTEM_NAMES: Mapping[str, str] = _frozen(
    {"loinc": LOINC, "snomed": SNOMED, "local": MEASURE_SYSTEM, "icd10cm": ICD10CM}
)
"""The short names of systems in plan files, and the systems they stand for."""

SYSTEM_SHORT: Mapping[str, str] = _frozen({url: short for short, url in SYSTEM_NAMES.items()})

# --- Our extensions ------------------------------------------------------------------------------------------------

CLOSURE_REASON_EXT = ext("closure-reason")
COMPLETION_CRITERION_EXT = ext("completion-criterion")
TARGET_SUSTAIN_EXT = ext("target-sustain")
NOTE_KIND_EXT = ext("note-kind")
STEP_ID_EXT = ext("step-id")
STEP_OWNER_EXT = ext("step-owner")
STEP_SCHEDULED_EXT = ext("step-scheduled")
STEP_DONE_ON_EXT = ext("step-done-on")
ACTIVITY_ROLE_EXT = ext("activity-role")

EXTENSION_VALUE: Mapping[str, str] = _frozen(
    {
        CLOSURE_REASON_EXT: "valueCode",
        COMPLETION_CRITERION_EXT: "valueString",
        NOTE_KIND_EXT: "valueCode",
        STEP_ID_EXT: "valueString",
        STEP_OWNER_EXT: "valueCode",
        STEP_SCHEDULED_EXT: "valueDate",
        STEP_DONE_ON_EXT: "valueDate",
        ACTIVITY_ROLE_EXT: "valueCode",
    }
)
"""The value property of each of our simple extensions."""

SUSTAIN_PARTS: Mapping[str, str] = _frozen({"count": "count", "span_days": "span-days", "apart_days": "apart-days"})
"""Fields of Sustain and the urls of the parts of `target-sustain`; each part has a `valueInteger`."""

# --- Security labels -----------------------------------------------------------------------------------------------

CONFIDENTIALITY_ORDER: tuple[str, ...] = ("U", "L", "M", "N", "R", "V")
"""v3-Confidentiality from unrestricted to very restricted; anything sensitive is at least R."""

SENSITIVITIES: frozenset[str] = frozenset({"MH", "PSY", "SUD", "ETHUD", "OPIOIDUD", "ADOL", "VIO", "SPI"})
"""Sensitivity codes (v3-ActCode) that we write, spelled the same in plans and on the wire."""

INBOUND_SENSITIVITIES: frozenset[str] = SENSITIVITIES | {"ETH", "SDV"}
"""Sensitivity codes that are understood on what an EHR sends; ETH is the older, broader word for SUD."""

PART_2_SENSITIVITIES: frozenset[str] = frozenset({"SUD", "ETH", "ETHUD", "OPIOIDUD"})
"""Substance-use sensitivities: what carries one goes with `PART_2_LABELS` (42 CFR Part 2)."""

PART_2 = "42CFRPart2"
NO_REDISCLOSURE = "NORDSCLCD"
PART_2_LABELS: tuple[str, ...] = (PART_2, NO_REDISCLOSURE)
PSYCHOTHERAPY_NOTE = "PSYTHPN"
"""Only to recognise what must not be taken in; never written."""

# --- Measures, units, and the frozen list of foreign codes ---------------------------------------------------------

UNIT_TEXT: Mapping[str, str] = _frozen(
    {
        "{score}": "score",
        "%": "%",
        "h": "hours",
        "min": "minutes",
        "d": "days",
        "wk": "weeks",
        "/d": "per day",
        "/wk": "per week",
        "/mo": "per month",
        "d/wk": "days per week",
        "h/d": "hours per day",
        "h/wk": "hours per week",
        "min/d": "minutes per day",
        "min/wk": "minutes per week",
    }
)
"""Quantity.unit for a UCUM code; a code that is not here stands for itself."""


def unit_text(ucum: str) -> str:
    """Return the words for a UCUM code, or the code itself where we have none."""
    return UNIT_TEXT.get(ucum, ucum)


LOINC_CODES: Mapping[str, str] = _frozen(
    {
        "44261-6": "PHQ-9 total score",
        "70274-6": "GAD-7 total score",
        "89555-7": "Exercise days per week",
        "107332-9": "Goal attainment scale, reported",
        "107334-5": "Goal attainment scale, by patient",
        "107333-7": "Goal attainment scale, by practitioner",
        "107331-1": "Goal attainment scale, by caregiver",
        "LA34479-8": "Much better than expected",
        "LA34480-6": "Better than expected",
        "LA34481-4": "Expected outcome",
        "LA34483-0": "Less than expected",
        "LA34484-8": "Much less than expected",
    }
)
"""The LOINC codes that may be emitted, with words of ours (rule FG-MEAS-01: offline validators pass any code)."""

SNOMED_CODES: Mapping[str, str] = _frozen(
    {
        "720433000": "PHQ-9 score",
        "445455005": "GAD-7 score",
        "1144665009": "WHO-5 score",
        "716613004": "Outcome rating scale score",
        "720482000": "Session rating scale score",
        "228557008": "Cognitive behavioural therapy",
    }
)
"""The SNOMED CT codes that may be emitted, with words of ours (rule FG-MEAS-01)."""


def may_emit(system: str, code: str) -> bool:
    """Tell whether a code of ours may go on the wire: of LOINC and SNOMED CT only the frozen list (FG-MEAS-01)."""
    match system:
        case "http://loinc.org":
            return code in LOINC_CODES
        case "http://snomed.info/sct":
            return code in SNOMED_CODES
        case _:
            return True
