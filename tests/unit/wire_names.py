"""Translates the merge units of a plan into the names that the wire has for them; for the tests of `map`."""

from __future__ import annotations

from fhirgoals.domain.identity import Installation
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Json, Unit, Values

RELATED = ("family", "support_person", "legal_representative")


class WireNames:
    """The wire names of one plan's goals, steps, notes, targets, people and problems."""

    def __init__(self, plan: Plan, installation: Installation) -> None:
        self.plan = plan
        self.installation = installation
        self.people: dict[str, str] = {}
        for one in plan.participants:
            kind = "Patient" if one.role == "client" else "RelatedPerson" if one.role in RELATED else "Practitioner"
            self.people[one.id] = installation.wire_id(kind, "", one.ref)

    def name(self, kind: str, local_id: str) -> str:
        return self.installation.wire_id(kind, self.plan.id, local_id)

    def values(self, values: Values) -> Values:
        return {self.unit(unit): self.value(unit, value) for unit, value in values.items()}

    def unit(self, unit: Unit) -> Unit:
        if unit.owner == self.plan.id:
            return Unit(self.name("CarePlan", self.plan.id), self._plan_unit(unit.name))
        return Unit(self.name("Goal", unit.owner), self._goal_unit(unit.owner, unit.name))

    def _plan_unit(self, name: str) -> str:
        head, _, member = name.partition(":")
        match head:
            case "membership" | "parent_map" | "order" if member:
                return f"{head}:{self.name('Goal', member)}"
            case "problems":
                return f"{head}:{self.name('Condition', member)}"
            case "intervention":
                return f"{head}:{self.name('intervention', member)}"
            case "steps":
                return f"{head}:{self.name('step', member)}"
            case "step":
                step, _, part = member.rpartition(".")
                return f"{head}:{self.name('step', step)}.{part}"
            case "relations":
                start, kind, end = member.split("|")
                return f"{head}:{self.name('Goal', start)}|{kind}|{self.name('Goal', end)}"
            case _:
                return name

    def _goal_unit(self, goal: str, name: str) -> str:
        head, _, member = name.partition(":")
        match head:
            case "addresses":
                return f"{head}:{self.name('Condition', member)}"
            case "target":
                return f"{head}:{self.name('target', f'{goal}|{member}')}"
            case "acceptance":
                return f"{head}:{self.people[member]}"
            case "note":
                return f"{head}:{self.name('note', member)}"
            case _:
                return name

    def value(self, unit: Unit, value: Json) -> Json:
        head = unit.name.partition(":")[0]
        match head:
            case "order":
                kind = "step" if ":" in unit.name else "Goal"
                return [self.name(kind, one) for one in value]
            case "parent_map":
                return [self.name("Goal", one) for one in value]
            case "participants":
                return sorted(self.people[one] for one in value)
            case "steps":
                return {"goal": self.name("Goal", value["goal"])}
            case "expressed_by":
                return self.people[value]
            case "intervention":
                goals = sorted(self.name("Goal", one) for one in value["goals"])
                return {**value, "goals": goals} | ({"by": self.people[value["by"]]} if "by" in value else {})
            case "note" if "author" in value:
                return {**value, "author": self.people[value["author"]]}
            case "step" if unit.name.endswith(".who") and "participant" in value:
                return {**value, "participant": self.people[value["participant"]]}
            case _:
                return value
