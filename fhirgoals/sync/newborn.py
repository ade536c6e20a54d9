"""Goals born at an EHR: those that its people added to a linked CarePlan become goals of our plan (design 5.6).

Pure. They are taken as they are: the EHR's lifecycle, the EHR as origin, `review: unreviewed` until a therapist has
seen them. What is outside the connection's scope is counted, never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from fhirgoals.domain.invariants import check
from fhirgoals.domain.records import Goal, Origin, Plan
from fhirgoals.domain.units import Json, Pair, Unit, Values, touched, units
from fhirgoals.domain.with_units import CannotTake, with_units
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import careplan, goal
from fhirgoals.store.links import Link
from fhirgoals.sync.changes import Reading, found_of, version_of
from fhirgoals.sync.reading import Found, There
from fhirgoals.sync.rows import link_of
from fhirgoals.sync.view import Key, View, refs_of, there_of, with_bases, with_link, with_plan

_OF_THE_PLAN = ("membership", "parent_map", "relations")
_LATER = ("note:<id>", "labels", "order")
"""Notes are additions that the ordinary judgement takes; labels are set with the goal; our order is our own."""


@dataclass(frozen=True)
class Adoption:
    """What is taken: our record with the new goals, their links, and the pairs of all that was agreed by that.

    `left` are resources that our records have no place for, by their id there, each with the reason.
    """

    plan: Plan
    links: tuple[Link, ...] = ()
    pairs: Mapping[Unit, Pair] = field(default_factory=dict)
    found: Mapping[Key, Found] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)


def in_scope(view: View, reading: Reading) -> tuple[Resource, ...]:
    """Return the Goals that were born there and belong to the plan: its linked CarePlan lists them."""
    care_plan = reading.found.get(("CarePlan", view.plan.id))
    if view.config.scope != "linked_plans" or care_plan is None or view.leaving:
        return ()
    refs = refs_of(view)
    listed = {refs.relative(reference) for reference in careplan.CAREPLAN.from_fhir(care_plan.tree).goals}
    return tuple(
        tree
        for tree in reading.born
        if f"Goal/{tree['id']}" in listed
        and not goal.blocked(tree)
        and tree.get("lifecycleStatus") != "entered-in-error"
    )


def adopt(view: View, reading: Reading, at: datetime) -> Adoption | None:
    """Return what is taken of the goals that were born there, or `None` where there are none."""
    plan, linked, left = view.plan, view, {}
    links: list[Link] = []
    found: dict[Key, Found] = {}
    for tree in in_scope(view, reading):
        resource_id = str(tree["id"])
        local_id = view.installation.wire_id("Goal", view.connection, resource_id)
        link = link_of(view, "Goal", local_id, found_of(resource_id, tree), at)
        after = _with_goal(with_link(linked, link), plan, local_id, tree, reading)
        if after is None:
            left[resource_id] = "would_break_an_invariant"
            continue
        plan, linked = after, with_link(linked, link)
        links.append(link)
        # A guess at its ETag, for this run alone: where it is wrong, the write is refused and it is read itself.
        version = version_of(tree)
        found["Goal", local_id] = Found(resource_id, tree, version and f'W/"{version}"', version)
    if not links and not left:
        return None
    there = there_of(replace(linked, plan=plan), {**reading.found, **found}, reading.missing)
    return Adoption(plan, tuple(links), _pairs(view.plan, plan, there, links), found, left)


def _with_goal(view: View, plan: Plan, local_id: str, tree: Resource, reading: Reading) -> Plan | None:
    """Return the plan with one goal more, or `None` where it would break an invariant."""
    one = found_of(str(tree["id"]), tree)
    origin = Origin(system=view.connection, resource=f"Goal/{one.resource_id}", version=version_of(tree))
    there = there_of(view, {**reading.found, ("Goal", local_id): one}, reading.missing)
    values = there.theirs.assembled.values
    labels: Json = values.get(Unit(local_id, "labels")) or []
    new = msgspec.convert({"id": local_id, "sensitivities": labels}, Goal)
    born = msgspec.structs.replace(new, origin=origin, review="unreviewed")
    grown = msgspec.structs.replace(plan, goals=(*plan.goals, born))
    for unit, value in _of_goal(plan.id, local_id, values).items():
        try:
            grown = with_units(grown, {unit: value}, origin)
        except CannotTake:
            continue
    faults = errors_of(plan)
    return grown if errors_of(grown) <= faults else _as_root(grown, plan, local_id, faults)


def _as_root(grown: Plan, plan: Plan, local_id: str, faults: set[tuple[str, str]]) -> Plan | None:
    """Return the plan with the goal outside the tree, where its place there can't be kept: its place is then asked."""
    goals = tuple(
        msgspec.structs.replace(one, parent=None) if one.id == local_id else before
        for one, before in zip(grown.goals, (*plan.goals, grown.goals[-1]), strict=True)
    )
    alone = msgspec.structs.replace(grown, goals=goals)
    return alone if errors_of(alone) <= faults else None


def _of_goal(plan_id: str, local_id: str, values: Values) -> Values:
    return {
        unit: value
        for unit, value in values.items()
        if unit.family not in _LATER
        and (
            unit.owner == local_id
            or (unit.owner == plan_id and unit.family in _OF_THE_PLAN and local_id in unit.member.split("|"))
        )
    }


def _pairs(before: Plan, after: Plan, there: There, links: list[Link]) -> dict[Unit, Pair]:
    """Return a pair for every unit that our record now has as the EHR has it."""
    values, now = there.theirs.assembled.values, units(after)
    names = {link.local_id for link in links}
    return {
        unit: Pair(now[unit], value, 0)
        for unit, value in values.items()
        if unit in now and (unit.owner in names or (unit.owner == before.id and names & set(unit.member.split("|"))))
    }


def errors_of(plan: Plan) -> set[tuple[str, str]]:
    """Return the broken rules of a plan, each with its place: what is taken from an EHR may add none."""
    return {(finding.code, finding.path) for finding in check(plan) if finding.severity == "error"}


def adopted(view: View, adoption: Adoption, rev: int) -> View:
    """Return the view with the adopted goals in it, at the revision that has them."""
    for link in adoption.links:
        view = with_link(view, link)
    pairs = {unit: Pair(pair.ours, pair.theirs, rev) for unit, pair in adoption.pairs.items()}
    return with_bases(with_plan(view, adoption.plan, rev, touched(view.plan, adoption.plan)), pairs)
