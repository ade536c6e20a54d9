"""Edits here, as a person makes them: the plan file is taken out, changed and put back, like `get` and `put`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from fhirgoals.demo.script import Edit
from fhirgoals.domain.invariants import check, errors
from fhirgoals.domain.plan_yaml import read_tree, write_tree
from fhirgoals.domain.planfile import dump_plan, load_plan
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import touched
from fhirgoals.errors import BadPlan, Refused
from fhirgoals.store.tx import Tx

Json: TypeAlias = Any


def put(tx: Tx, plan: Plan, *, by: str, reason: str, at: datetime) -> None:
    """Save a plan as it stands in its file; raises `BadPlan` where it breaks an invariant."""
    connections = frozenset(each.name for each in tx.connections.list())
    faults = errors(check(plan, connections))
    if faults:
        raise BadPlan(f"plan {plan.id}: " + "; ".join(f"{fault.path}: {fault.code}" for fault in faults))
    stored = tx.plans.get(plan.id)
    before = stored.plan if stored else None
    expect = stored.rev if stored else None
    tx.plans.save(plan, expect=expect, by=by, reason=reason, at=at, touched=touched(before, plan))


def edit(tx: Tx, wanted: Edit, *, by: str, at: datetime) -> None:
    """Make one edit of the script in the store."""
    stored = tx.plans.get(wanted.plan)
    if stored is None:
        raise Refused(f"there is no plan {wanted.plan}")
    tree: Json = read_tree(dump_plan(stored.plan))
    _change_of(wanted)(tree)
    put(tx, load_plan(write_tree(tree), name=wanted.plan), by=by, reason=wanted.reason, at=at)


def _change_of(wanted: Edit) -> Callable[[Json], None]:
    edit_ = wanted.tree

    def change(tree: Json) -> None:
        if "add_goal" in edit_:
            tree["goals"].append(dict(edit_["add_goal"]))
            return
        goal = next(goal for goal in tree["goals"] if goal["id"] == wanted.goal)
        if "step" in edit_:
            step = next(step for step in goal["steps"] if step["id"] == edit_["step"])
            step[edit_["field"]] = edit_["to"]
            if "done_on" in edit_:
                step["done_on"] = edit_["done_on"]
        elif wanted.side == "both":
            goal[edit_["unit"]] = edit_["ours"]["value"]
        else:
            goal[edit_["field"]] = edit_["to"]
        if "add_withheld" in edit_:
            # Both marks in one edit: one alone would be a plan that contradicts itself (invariant 23).
            tree["disclosure"].setdefault("withheld", []).append(dict(edit_["add_withheld"]))

    return change
