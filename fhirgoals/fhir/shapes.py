"""The shape of Goal and CarePlan in R4 (R4B is the same): which element has which type, how often, with which codes.

Data only; `rules` walks it. Source: the StructureDefinitions of FHIR R4 4.0.1; rule ids are those of the conformance
rules, where one fits. Data types that we neither read nor write are opaque here and left to the R4B models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType


@dataclass(frozen=True)
class Element:
    """One element of a type: `types` has more than one member only for a choice (`name` then lacks its `[x]`)."""

    name: str
    types: tuple[str, ...]
    many: bool = False
    required: bool = False
    choice: bool = False
    targets: frozenset[str] = frozenset()
    value_set: str = ""
    rule: str = ""

    @property
    def label(self) -> str:
        """Return the name as FHIR paths spell it, choices with `[x]`."""
        return f"{self.name}[x]" if self.choice else self.name

    @cached_property
    def properties(self) -> dict[str, str]:
        """Return the JSON properties this element may stand under, with the type of each."""
        if not self.choice:
            return {self.name: self.types[0]}
        return {self.name + kind[0].upper() + kind[1:]: kind for kind in self.types}


VALUE_SETS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        name: frozenset(codes.split())
        for name, codes in {
            "goal-status": "proposed planned accepted active on-hold completed cancelled entered-in-error rejected",
            "request-status": "draft active on-hold revoked completed entered-in-error unknown",
            "care-plan-intent": "proposal plan order option",
            "care-plan-activity-status": "not-started scheduled in-progress on-hold completed cancelled stopped "
            "unknown entered-in-error",
            "care-plan-activity-kind": "Appointment CommunicationRequest DeviceRequest MedicationRequest "
            "NutritionOrder Task ServiceRequest VisionPrescription",
            "quantity-comparator": "< <= >= >",
            "narrative-status": "generated extensions additional empty",
            "identifier-use": "usual official temp secondary old",
        }.items()
    }
)
"""The required value sets of the elements below; a code outside is an error."""

_PRIMITIVE_VALUES = (
    "base64Binary boolean canonical code date dateTime decimal id instant integer markdown oid positiveInt string time "
    "unsignedInt uri url uuid"
)
_OPAQUE = (
    "Address Attachment ContactPoint HumanName Money SampledData Signature Timing ContactDetail Contributor "
    "DataRequirement Expression ParameterDefinition RelatedArtifact TriggerDefinition UsageContext Dosage "
    "CodeableReference RatioRange"
)

PRIMITIVES: frozenset[str] = frozenset(_PRIMITIVE_VALUES.split()) | {"xhtml", "element-id"}

OPAQUE: frozenset[str] = frozenset(_OPAQUE.split())
"""Data types whose inside is not looked at here."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {"Age": "Quantity", "Count": "Quantity", "Distance": "Quantity", "Duration": "Quantity"}
)

_ACTORS = "Patient|Practitioner|PractitionerRole|Device|RelatedPerson|Organization|CareTeam"
_ANY_VALUE = (
    f"{_PRIMITIVE_VALUES} {_OPAQUE} Age Annotation CodeableConcept Coding Count Distance Duration Identifier Meta "
    "Period Quantity Range Ratio Reference"
)
_ADDRESSED = "Condition|Observation|MedicationStatement|NutritionOrder|ServiceRequest|RiskAssessment"
_PLANNED = (
    "Appointment|CommunicationRequest|DeviceRequest|MedicationRequest|NutritionOrder|Task|ServiceRequest|"
    "VisionPrescription|RequestGroup"
)
_PERFORMERS = "Practitioner|PractitionerRole|Organization|RelatedPerson|Patient|CareTeam|HealthcareService|Device"

# name, then `!` required or `*` list or `+` required list or `[x]` choice; type(s), (targets), {value set}; @rule.
_SPEC = f"""
Element
  id element-id
  extension* Extension
BackboneElement : Element
  modifierExtension* Extension
DomainResource
  id id
  meta Meta
  implicitRules uri
  language code
  text Narrative
  contained* Resource
  extension* Extension
  modifierExtension* Extension
Goal : DomainResource
  identifier* Identifier
  lifecycleStatus! code {{goal-status}} @R4-GOAL-01
  achievementStatus CodeableConcept
  category* CodeableConcept
  priority CodeableConcept
  description! CodeableConcept @R4-GOAL-02
  subject! Reference (Patient|Group|Organization) @R4-GOAL-03
  start[x] date CodeableConcept @R4-GOAL-07
  target* Goal.target
  statusDate date @R4-GOAL-05
  statusReason string
  expressedBy Reference (Patient|Practitioner|PractitionerRole|RelatedPerson) @R4-GOAL-08
  addresses* Reference ({_ADDRESSED}) @R4-GOAL-09
  note* Annotation
  outcomeCode* CodeableConcept
  outcomeReference* Reference (Observation) @R4-GOAL-10
Goal.target : BackboneElement
  measure CodeableConcept
  detail[x] Quantity Range CodeableConcept string boolean integer Ratio @R4-GOAL-07
  due[x] date Duration @R4-GOAL-07
CarePlan : DomainResource
  identifier* Identifier
  instantiatesCanonical* canonical
  instantiatesUri* uri
  basedOn* Reference (CarePlan) @R4-CP-09
  replaces* Reference (CarePlan) @R4-CP-09
  partOf* Reference (CarePlan) @R4-CP-09
  status! code {{request-status}} @R4-CP-01
  intent! code {{care-plan-intent}} @R4-CP-02
  category* CodeableConcept
  title string
  description string
  subject! Reference (Patient|Group) @R4-CP-03
  encounter Reference (Encounter)
  period Period
  created dateTime
  author Reference ({_ACTORS})
  contributor* Reference ({_ACTORS})
  careTeam* Reference (CareTeam) @R4-CP-09
  addresses* Reference (Condition) @R4-CP-09
  supportingInfo* Reference
  goal* Reference (Goal) @R4-CP-08
  activity* CarePlan.activity
  note* Annotation
CarePlan.activity : BackboneElement
  outcomeCodeableConcept* CodeableConcept
  outcomeReference* Reference
  progress* Annotation
  reference Reference ({_PLANNED})
  detail CarePlan.activity.detail
CarePlan.activity.detail : BackboneElement
  kind code {{care-plan-activity-kind}} @R4-CP-06
  instantiatesCanonical* canonical
  instantiatesUri* uri
  code CodeableConcept
  reasonCode* CodeableConcept
  reasonReference* Reference (Condition|Observation|DiagnosticReport|DocumentReference)
  goal* Reference (Goal) @R4-CP-08
  status! code {{care-plan-activity-status}} @R4-CP-05
  statusReason CodeableConcept
  doNotPerform boolean
  scheduled[x] Timing Period string
  location Reference (Location)
  performer* Reference ({_PERFORMERS})
  product[x] CodeableConcept Reference (Medication|Substance)
  dailyAmount Quantity
  quantity Quantity
  description string
Identifier : Element
  use code {{identifier-use}}
  type CodeableConcept
  system uri
  value string
  period Period
  assigner Reference (Organization)
Reference : Element
  reference string
  type uri
  identifier Identifier
  display string
CodeableConcept : Element
  coding* Coding
  text string
Coding : Element
  system uri
  version string
  code code
  display string
  userSelected boolean
Quantity : Element
  value decimal
  comparator code {{quantity-comparator}}
  unit string
  system uri
  code code
Range : Element
  low Quantity
  high Quantity
Ratio : Element
  numerator Quantity
  denominator Quantity
Period : Element
  start dateTime
  end dateTime
Annotation : Element
  author[x] Reference string (Practitioner|Patient|RelatedPerson|Organization)
  time dateTime
  text! markdown
Narrative : Element
  status! code {{narrative-status}}
  div! xhtml
Meta : Element
  versionId id
  lastUpdated instant
  source uri
  profile* canonical
  security* Coding
  tag* Coding
Extension : Element
  url! uri
  value[x] {_ANY_VALUE}
"""

_LINE = re.compile(
    r"(?P<name>\w+)(?P<mark>!|\*|\+|\[x\])? (?P<types>[\w.\- ]+?)(?: \((?P<targets>[\w|]+)\))?"
    r"(?: \{(?P<codes>[\w-]+)\})?(?: @(?P<rule>[\w-]+))?$"
)


def _element(line: str) -> Element:
    found = _LINE.match(line.strip())
    if found is None:
        raise ValueError(f"a line of the table of shapes does not parse: {line.strip()}")
    mark = found["mark"] or ""
    return Element(
        name=found["name"],
        types=tuple(found["types"].split()),
        many=mark in {"*", "+"},
        required=mark in {"!", "+"},
        choice=mark == "[x]",
        targets=frozenset((found["targets"] or "").split("|")) - {""},
        value_set=found["codes"] or "",
        rule=found["rule"] or "",
    )


def _parse(spec: str) -> dict[str, tuple[Element, ...]]:
    shapes: dict[str, tuple[Element, ...]] = {}
    name = ""
    for line in filter(None, spec.splitlines()):
        if line.startswith(" "):
            shapes[name] += (_element(line),)
        else:
            name, _, parent = line.partition(" : ")
            shapes[name] = shapes[parent] if parent else ()
    return shapes


SHAPES: Mapping[str, tuple[Element, ...]] = MappingProxyType(_parse(_SPEC))
"""Each type's elements, inherited ones first."""

R5_ONLY: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "Goal": dict.fromkeys(("continuous", "source", "outcome", "acceptance"), "R4-GOAL-13"),
        "CarePlan": dict.fromkeys(("custodian",), "R5-CP-02"),
        "CarePlan.activity": dict.fromkeys(("performedActivity", "plannedActivityReference"), "R5-CP-03"),
    }
)
"""Properties that later versions have and R4 has not, with the rule that names them."""


@dataclass(frozen=True)
class Place:
    """Where a JSON property stands in its type: the element and, of a choice, the type it names."""

    element: Element
    kind: str


def _places(elements: tuple[Element, ...]) -> Mapping[str, Place]:
    return MappingProxyType(
        {prop: Place(element, kind) for element in elements for prop, kind in element.properties.items()}
    )


PROPERTIES: Mapping[str, Mapping[str, Place]] = MappingProxyType(
    {name: _places(elements) for name, elements in SHAPES.items()}
)
"""Each type's JSON properties."""
