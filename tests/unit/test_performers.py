"""Who does a step or an intervention: ours is written in the place of ours, and the EHR's others stay."""

from __future__ import annotations

from uuid import UUID

import pytest

from fhirgoals.domain.units import Json, Unit
from fhirgoals.mappers.assemble import Assembled
from fhirgoals.mappers.overlay import Push
from fhirgoals.mappers.overlay_plan import overlay_care_plan
from fhirgoals.mappers.records import WireActivity, WireCarePlan
from fhirgoals.mappers.refs import Refs

A, B, C, NOBODY, ABSOLUTE = "Practitioner/a", "Practitioner/b", "Patient/c", "Practitioner/x", "http://ehr/Patient/c"
REFS = Refs(
    namespace=UUID(int=1),
    plan_id="p",
    goals={"g-1": "Goal/1"},
    people={"sa": A, "sb": B, "cc": C},
    participants={"a": ("sa", "primary_therapist"), "b": ("sb", "clinical_supervisor"), "c": ("cc", "client")},
    base_url="http://ehr/",
)


def written(there: list[str], wanted: str | None, agreed: str | None, unit: Unit, part: str) -> list[str]:
    def value(participant: str | None) -> Json:
        return {"goals": ["g-1"], part: participant}

    record = WireCarePlan(activities=(WireActivity(performers=tuple(there), role="step"),))
    push = Push({unit: value(wanted)}, {unit: value(agreed)})
    after = overlay_care_plan("p", record, push, push.units, Assembled(activities=("one",)), REFS)
    return list(after.activities[0].performers)


@pytest.mark.parametrize(("unit", "part"), [("step:one.who", "participant"), ("intervention:one", "by")])
@pytest.mark.parametrize(
    ("there", "wanted", "agreed", "after"),
    [
        ([A, B], "c", "a", [C, B]),  # ours is another one
        ([B, A], "c", "a", [C]),  # they put theirs first, and ours was decided on
        ([A, NOBODY], "b", "a", [B, NOBODY]),
        ([A, B], "b", "a", [B]),
        ([A, B], None, "a", [B]),
        ([A], None, "a", []),
        ([], "a", None, [A]),
        ([NOBODY], "a", None, [A, NOBODY]),
        ([ABSOLUTE, B], "c", "c", [ABSOLUTE, B]),  # as it stands: written nowhere
        ([A, ABSOLUTE], "c", "a", [ABSOLUTE]),
    ],
)
def test_ours_is_replaced_and_others_stay(
    there: list[str], wanted: str | None, agreed: str | None, after: list[str], unit: str, part: str
) -> None:
    """What was read as ours, or agreed on, gives way; a reference is kept in the form that it has."""
    assert written(there, wanted, agreed, Unit("p", unit), part) == after
