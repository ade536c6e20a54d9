"""Labels that an EHR puts on a goal of ours: a stricter one is taken as the goal's own, whatever the policy of labels.

Pure. It only ever tightens: a label that is taken away there, or was agreed on before, changes nothing here. For that
EHR itself its own label asks for no consent, since what it marks as sensitive stands there already; every other one
gets the goal only where its consent covers the label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from fhirgoals.domain.disclosure import inherited_sensitivities
from fhirgoals.domain.origins import Source
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Unit
from fhirgoals.sync.decide import Decision
from fhirgoals.sync.merge import Action, Seen, new_labels


def with_stricter(decision: Decision, plan: Plan) -> Decision:
    """Return the decision with every stricter label taken over."""
    found = {
        unit: replace(verdict, action=Action.PULL, why="stricter_label")
        for unit, verdict in decision.verdicts.items()
        if unit.name == "labels" and verdict.action is not Action.HOLD and _is_stricter(plan, verdict.seen)
    }
    return replace(decision, verdicts={**decision.verdicts, **found}) if found else decision


def _is_stricter(plan: Plan, seen: Seen) -> bool:
    known = inherited_sensitivities(plan).get(seen.unit.owner)
    return known is not None and not new_labels(seen) <= known


def labelled_there(plan: Plan, sources: Mapping[Unit, Source], connection: str) -> dict[str, frozenset[str]]:
    """Return the labels of goals that came from an EHR, without those that the goal has for another reason too."""
    found: dict[str, frozenset[str]] = {}
    for goal in plan.goals:
        source = sources.get(Unit(goal.id, "labels"))
        if source is not None and connection in source.connections:
            parts = source.of(sorted(goal.sensitivities))
            found[goal.id] = frozenset(one for one in goal.sensitivities if parts.get(f".{one}") == connection)
    if not found:
        return found
    own = [
        msgspec.structs.replace(
            one, sensitivities=tuple(x for x in one.sensitivities if x not in found.get(one.id, ()))
        )
        for one in plan.goals
    ]
    others = inherited_sensitivities(msgspec.structs.replace(plan, goals=tuple(own)))
    return {goal: labels - others[goal] for goal, labels in found.items()}
