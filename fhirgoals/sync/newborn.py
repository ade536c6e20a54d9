"""Goals born at an EHR: those that its people added to a linked CarePlan become goals of our plan (design 5.6), others
those of the client's unfiled plan where the connection's scope is wide enough.

Pure. They are taken as they are: the EHR's lifecycle, the EHR as origin, `review: unreviewed` until a therapist has
seen them. What is outside the connection's scope is counted, never stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from fhirgoals.domain.codes import sensitivities
from fhirgoals.domain.invariants import check
from fhirgoals.domain.records import Goal, Origin, Plan
from fhirgoals.domain.units import Pair, Unit, Values, same_value, touched, units
from fhirgoals.domain.with_units import CannotTake, with_units
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import careplan, goal, stamp
from fhirgoals.store.links import Link
from fhirgoals.sync.changes import Reading, found_of, version_of, words_of, words_without_identifier
from fhirgoals.sync.connection import ConnectionConfig
from fhirgoals.sync.reading import Found, There
from fhirgoals.sync.rows import link_of
from fhirgoals.sync.subject import wrong_subject
from fhirgoals.sync.view import Key, View, refs_of, there_of, with_bases, with_link, with_plan
from fhirgoals.sync.withdraw import WITHDRAWN

WIDE = ("categories", "all")
"""The scopes that take goals which no plan lists."""

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
    """Return the Goals that were born there and belong to the plan.

    Those that its linked CarePlan lists, and those that were the plan's before that chart was left. To an unfiled plan
    those that no linked CarePlan of the client lists, where the connection's scope takes them, and unless one may be
    another plan's own.
    """
    if view.config.scope == "ours" or view.leaving or not reading.born:
        return ()
    if view.unfiled:
        return () if reading.unsure else unlisted(view, reading)
    care_plan = reading.found.get(("CarePlan", view.plan.id))
    listed = _listed(view, () if care_plan is None else (care_plan.tree,)) | _born_before(view).keys()
    return tuple(tree for tree in reading.born if _name(tree) in listed and _alive(tree))


def unlisted(view: View, reading: Reading) -> tuple[Resource, ...]:
    """Return the Goals that were born there and that the scope takes although no linked CarePlan lists them."""
    if view.config.scope not in WIDE or not reading.born:
        return ()
    listed = _listed(view, _care_plans(reading))
    words = words_without_identifier(tree for tree in reading.others if tree.get("resourceType") == "Goal")
    return tuple(
        tree
        for tree in reading.born
        if _name(tree) not in listed
        and _alive(tree)
        and not _taken_back(tree)
        and _wide_enough(view.config, tree)
        and str(tree["id"]) not in _void_here(view)
        and not (words_of(tree) in words and not stamp.identifiers(tree))
        and _name(tree) not in reading.late
    )


def outside(view: View, reading: Reading) -> int:
    """Return how many Goals that were born there are outside the connection's scope."""
    if not reading.born:
        return 0
    listed = frozenset[str]() if view.config.scope == "ours" else _listed(view, _care_plans(reading))
    return sum(
        _name(tree) not in listed
        and tree.get("lifecycleStatus") != "entered-in-error"
        and not _taken_back(tree)
        and not _wide_enough(view.config, tree)
        for tree in reading.born
    )


def misfiled(view: View, reading: Reading) -> list[tuple[str, str]]:
    """Return the goals that a person has to look at, of an unfiled plan above all, each with the reason.

    One that the EHR put into a linked CarePlan meanwhile stays where it is here; one of a chart that was left since
    may be somebody else's, as may be what any plan has of it.
    """
    if not view.unfiled:
        return sorted([*view.left_behind, *((local_id, "chart_left") for local_id in _born_before(view).values())])
    if view.leaving:
        return []
    listed = _listed(view, _care_plans(reading))
    links = {local_id: f"Goal/{link.resource_id}" for (_, local_id), link in view.links.items()}
    found = [(local_id, "listed_in_a_plan") for local_id, name in links.items() if name in listed]
    left = [
        (one.id, "chart_left")
        for one in view.plan.goals
        if one.id not in links and _born_at(one, view) and one.lifecycle != "entered_in_error"
    ]
    return sorted([*found, *left])


def _born_at(one: Goal, view: View) -> bool:
    return one.origin is not None and one.origin.system == view.connection


def _born_before(view: View) -> dict[str, str]:
    """Return the goals that were born there and lost their link as that chart was left, by their name there."""
    linked = {local_id for _, local_id in view.links}
    found = (one for one in view.plan.goals if one.id not in linked and _born_at(one, view) and one.id not in view.void)
    return {str(one.origin.resource): one.id for one in found if one.origin is not None}


def _void_here(view: View) -> set[str]:
    """Return the ids there of goals that were born there and marked entered-in-error here."""
    gone = (one.origin for one in view.plan.goals if one.id in view.void and _born_at(one, view))
    return {str(one.resource).removeprefix("Goal/") for one in gone if one is not None}


def _care_plans(reading: Reading) -> tuple[Resource, ...]:
    """Return every CarePlan there that a plan of ours is linked to."""
    own = tuple(one.tree for (kind, _), one in reading.found.items() if kind == "CarePlan")
    return (*own, *(tree for tree in reading.others if tree.get("resourceType") == "CarePlan"))


def _listed(view: View, care_plans: Iterable[Resource]) -> frozenset[str]:
    refs = refs_of(view)
    return frozenset(
        refs.relative(reference) for tree in care_plans for reference in careplan.CAREPLAN.from_fhir(tree).goals
    )


def _name(tree: Resource) -> str:
    return f"Goal/{tree['id']}"


def _alive(tree: Resource) -> bool:
    return not goal.blocked(tree) and tree.get("lifecycleStatus") != "entered-in-error"


def _taken_back(tree: Resource) -> bool:
    """Tell whether a goal is what is left of one of ours that was taken back out of this chart."""
    return tree.get("description") == {"text": WITHDRAWN} and tree.get("lifecycleStatus") == "cancelled"


def _wide_enough(config: ConnectionConfig, tree: Resource) -> bool:
    """Tell whether the scope takes a goal that no linked CarePlan lists."""
    if config.scope != "categories":
        return config.scope == "all"
    found: set[str] = set()
    categories = tree.get("category")
    for concept in categories if isinstance(categories, list) else ():
        codings = concept.get("coding") if isinstance(concept, dict) else None
        for coding in codings if isinstance(codings, list) else ():
            if isinstance(coding, dict):
                found |= {str(coding.get("code")), f"{coding.get('system')}|{coding.get('code')}"}
    return not found.isdisjoint(config.scope_categories)


def adopt(view: View, reading: Reading, at: datetime) -> Adoption | None:
    """Return what is taken of the goals that were born there, or `None` where there are none."""
    plan, linked = view.plan, view
    left: dict[str, str] = {}
    links: list[Link] = []
    found: dict[Key, Found] = {}
    for tree in in_scope(view, reading):
        resource_id = str(tree["id"])
        if (wrong := wrong_subject(tree, view.patient, refs_of(view))) is not None:
            left[resource_id] = wrong
            continue
        local_id = view.installation.wire_id("Goal", view.connection, resource_id)
        link = link_of(view, "Goal", local_id, found_of(resource_id, tree), at)
        known = any(one.id == local_id for one in plan.goals)  # linked before: its chart was left and found again
        after = (
            _born_again(plan, local_id, view.connection)
            if known
            else _with_goal(with_link(linked, link), plan, local_id, tree, reading)
        )
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
    labels = sensitivities(values.get(Unit(local_id, "labels")) or ())
    new = msgspec.convert({"id": local_id, "sensitivities": sorted(labels)}, Goal)
    born = msgspec.structs.replace(new, origin=origin, review="unreviewed")
    grown = msgspec.structs.replace(plan, goals=(*plan.goals, born))
    for unit, value in _of_goal(plan.id, local_id, values).items():
        try:
            grown = with_units(grown, {unit: value}, origin)
        except CannotTake:
            continue
    faults = errors_of(plan)
    return grown if errors_of(grown) <= faults else _as_root(grown, plan, local_id, faults)


def _born_again(plan: Plan, local_id: str, connection: str) -> Plan:
    """Return the plan with a goal as born at this connection, in whichever chart of it the goal was before."""
    change = msgspec.structs.replace
    goals = tuple(
        change(one, origin=change(one.origin, system=connection)) if one.id == local_id and one.origin else one
        for one in plan.goals
    )
    return change(plan, goals=goals)


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
    before_ids = {one.id for one in before.goals}
    return {
        unit: Pair(now[unit], value, 0)
        for unit, value in values.items()
        if unit in now
        and (unit.owner in names or (unit.owner == before.id and names & set(unit.member.split("|"))))
        and (unit.owner not in before_ids or same_value(now[unit], value))
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
