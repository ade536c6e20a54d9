"""The closed lists of codes that the records use (reference: domain model, section 3 and 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

PlanKind: TypeAlias = Literal["client_treatment", "professional_development"]
PlanStatus: TypeAlias = Literal["draft", "active", "on_hold", "completed", "revoked", "entered_in_error"]
Horizon: TypeAlias = Literal["long_term", "short_term"]
Nature: TypeAlias = Literal["aspirational", "exploratory", "actionable"]
Domain: TypeAlias = Literal[
    "emotional-and-mental-health",
    "improving-health-and-wellness",
    "social-functioning",
    "managing-conditions",
    "access-to-services",
]
Priority: TypeAlias = Literal["high", "medium", "low"]
Lifecycle: TypeAlias = Literal[
    "draft",
    "proposed",
    "accepted",
    "planned",
    "active",
    "on_hold",
    "completed",
    "cancelled",
    "declined",
    "entered_in_error",
]
Achievement: TypeAlias = Literal[
    "in_progress",
    "improving",
    "worsening",
    "no_change",
    "achieved",
    "sustaining",
    "not_achieved",
    "no_progress",
    "not_attainable",
]
ClosureReason: TypeAlias = Literal[
    "achieved",
    "partially_met",
    "not_met",
    "discharged",
    "dropped_out",
    "transferred",
    "replaced",
    "no_longer_relevant",
    "client_request",
]
Operator: TypeAlias = Literal["<", "<=", "=", ">=", ">", "between"]
ParticipantRole: TypeAlias = Literal[
    "client",
    "primary_therapist",
    "former_therapist",
    "clinical_supervisor",
    "prescriber",
    "family",
    "support_person",
    "legal_representative",
    "therapist_subject",
]
StaffRole: TypeAlias = Literal["primary_therapist", "clinical_supervisor", "prescriber", "case_manager"]
StepKind: TypeAlias = Literal[
    "skill_practice",
    "exposure",
    "self_care",
    "gratitude",
    "reflection",
    "self_monitoring",
    "homework",
    "in_session",
    "psychoeducation",
    "support",
    "training",
]
StepOwner: TypeAlias = Literal["client", "therapist", "support_person"]
StepStatus: TypeAlias = Literal[
    "planned", "scheduled", "in_progress", "on_hold", "done", "skipped", "stopped", "entered_in_error"
]
Modality: TypeAlias = Literal[
    "cbt",
    "cbt_i",
    "erp",
    "ba",
    "act",
    "ipt",
    "dbt",
    "mi",
    "insight_oriented",
    "family",
    "problem_solving",
    "medication",
    "other",
]
Rater: TypeAlias = Literal["client", "therapist", "caregiver", "self"]
Visibility: TypeAlias = Literal["private", "team", "shared"]
AcceptanceStatus: TypeAlias = Literal["agree", "disagree", "pending"]
AcceptanceMethod: TypeAlias = Literal["verbal", "signature", "portal"]
RevisionReason: TypeAlias = Literal[
    "initial",
    "review",
    "client_request",
    "progress",
    "progress_plateau",
    "achieved_early",
    "too_ambitious",
    "clinical_change",
    "measure",
    "transfer",
    "discharge",
    "import",
    "external_edit",
    "correction",
]
ReviewKind: TypeAlias = Literal["scheduled", "triggered", "transfer", "discharge"]
ReviewOutcome: TypeAlias = Literal["continue", "modify", "step_up", "step_down", "discharge"]
Participation: TypeAlias = Literal["active", "limited", "absent", "refused"]
SessionMode: TypeAlias = Literal["in_person", "video", "phone", "home_visit"]
AchievementSize: TypeAlias = Literal["small", "milestone", "goal"]
Sensitivity: TypeAlias = Literal["MH", "PSY", "SUD", "ETHUD", "OPIOIDUD", "ADOL", "VIO", "SPI"]
DischargeKind: TypeAlias = Literal["planned", "unplanned", "transfer"]
DischargeOutcome: TypeAlias = Literal["goals_met", "goals_mostly_met", "goals_partly_met", "goals_not_met"]
CodeSystem: TypeAlias = Literal["loinc", "snomed", "local", "icd10cm"]

_READ_AS: Mapping[str, Sensitivity] = MappingProxyType({"ETH": "SUD", "SDV": "VIO"})


def sensitivities(labels: Iterable[str]) -> frozenset[str]:
    """Return an EHR's labels in our codes: wider ones, and those that no consent names, as the one asked for."""
    return frozenset(_READ_AS.get(label, label) for label in labels)
