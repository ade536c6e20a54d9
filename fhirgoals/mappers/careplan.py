"""The table between a CarePlan (R4 and R4B, which are identical) and a `WireCarePlan`, steps inline.

Sources: FHIR R4 4.0.1 CarePlan; `fields.csv`, whose R4 paths and merge units stand in the rows.
"""

from __future__ import annotations

from fhirgoals.fhir import terminology as t
from fhirgoals.mappers.activity import ACTIVITIES
from fhirgoals.mappers.lens import Mapper, row
from fhirgoals.mappers.records import WireCarePlan
from fhirgoals.mappers.resource import LABELS, blocked, references
from fhirgoals.mappers.shapes import MOMENT, REFERENCE, TEXT, code, inside, leaf

__all__ = ["CAREPLAN", "blocked"]

CAREPLAN: Mapper[WireCarePlan] = Mapper(
    WireCarePlan,
    (
        row("labels", LABELS, "CarePlan.meta.security", "labels"),
        row("status", leaf("status", code(t.PLAN_STATUS)), "CarePlan.status", "plan_status"),
        row("title", leaf("title", TEXT), "CarePlan.title", "title"),
        row("period_start", inside("period", leaf("start", MOMENT)), "CarePlan.period.start", "plan_status"),
        row("period_end", inside("period", leaf("end", MOMENT)), "CarePlan.period.end", "plan_status"),
        row("author", leaf("author", REFERENCE), "CarePlan.author", "participants"),
        row("contributors", references("contributor"), "CarePlan.contributor", "participants"),
        row("addresses", references("addresses"), "CarePlan.addresses", "problems"),
        row("goals", references("goal"), "CarePlan.goal", "membership; order"),
        row(
            "activities",
            ACTIVITIES,
            "CarePlan.activity; CarePlan.activity.detail.goal; CarePlan.activity.detail.code; "
            "CarePlan.activity.detail.code.coding; CarePlan.activity.detail.Ext:step-owner; "
            "CarePlan.activity.detail.performer; CarePlan.activity.detail.description; "
            "CarePlan.activity.detail.scheduledString; CarePlan.activity.detail.scheduledPeriod; "
            "CarePlan.activity.detail.Ext:step-scheduled; CarePlan.activity.detail.status; "
            "CarePlan.activity.detail.Ext:step-done-on",
            "steps; order; step:<id>.kind; step:<id>.who; step:<id>.text; step:<id>.schedule; step:<id>.status; "
            "interventions; intervention:<id>",
        ),
    ),
)
"""CarePlan, R4."""
