"""What the referee may warn about in our exports, as data: which message, about which codes, and why it is no fault.

Everything else it says above information fails the test. The codes that it can't check for want of their code system
are listed one by one, so that a wrong one can't hide behind the allowance.
"""

from __future__ import annotations

from dataclasses import dataclass

LOINC = "http://loinc.org"
PCO_DOMAINS = "http://hl7.org/fhir/us/pco/CodeSystem/pco-goal-domains-temporary"
SNOMED = "http://snomed.info/sct"


@dataclass(frozen=True)
class Allowed:
    """One kind of warning: the message's id, where it may stand, its whole text (both as patterns), and the reason."""

    id: str
    location: str
    message: str
    reason: str


ALLOWED: tuple[Allowed, ...] = (
    Allowed(
        "http://hl7.org/fhir/StructureDefinition/DomainResource#dom-6",
        r"Goal",
        r"Constraint failed: dom-6: .*",
        "A Goal has no narrative of its own: best practice in the base specification, no rule of US Core 6.1.0.",
    ),
    Allowed(
        "Terminology_TX_Code_ValueSet_Ext",
        r"Goal\.description",
        r"No code provided, and a code should be provided from the value set 'US Core Goal Codes' .*",
        "The goal is what client and therapist wrote; the binding is extensible and a text alone is legal.",
    ),
    Allowed(
        "TYPE_SPECIFIC_CHECKS_DT_QTY_UCUM_ANNOTATIONS",
        r"Goal\.target\[\d+\]\.detail\.ofType\(Quantity\)",
        r"UCUM Codes that contain human readable annotations like \{score\} can be misleading .*",
        "A questionnaire's total has no other UCUM unit; LOINC's own example unit of these codes is {score}.",
    ),
    Allowed(
        "Terminology_PassThrough_TX_Message",
        r"Goal\.target\[\d+\]\.measure",
        rf"CodeSystem is unknown and can't be validated: {LOINC} for '.*'",
        "LOINC's content is not to be had offline: the codes are compared with CODES instead.",
    ),
    Allowed(
        "Terminology_PassThrough_TX_Message",
        r"Goal\.category\[\d+\]",
        rf"CodeSystem is unknown and can't be validated: {PCO_DOMAINS} for '.*'",
        "The guide's temporary code system is in no package here: the codes are compared with CODES instead.",
    ),
)

CODES: dict[str, dict[str, str]] = {
    LOINC: {
        "44261-6": "PHQ-9 total score",
        "70274-6": "GAD-7 total score",
        "89555-7": "Days per week with moderate to strenuous exercise",
    },
    SNOMED: {"228557008": "Cognitive and behavioural therapy"},
    PCO_DOMAINS: {
        "emotional-and-mental-health": "Emotional and mental health",
        "improving-health-and-wellness": "Improving health and wellness",
        "managing-conditions": "Managing conditions",
        "social-functioning": "Social functioning",
    },
}
"""Every code that the examples send in a system whose content the referee has not, with its words."""
