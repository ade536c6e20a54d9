"""HAPI's validator with US Core 6.1.0 and our definitions judges every resource that the examples export."""

from __future__ import annotations

import asyncio
import copy
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Plan
from fhirgoals.fhir import exact_json
from tests.e2e.servers.allowed_warnings import ALLOWED, CODES
from tests.plans import EXAMPLES, demo, example, expected
from tests.servers.fixtures import Issue, Referee
from tests.sync.world import World, world

replace = msgspec.structs.replace


@dataclass(frozen=True)
class Exported:
    """A resource as one endpoint stored it, and whether it stands there for the first time or was edited here since."""

    endpoint: str
    plan: str
    edited: bool
    tree: dict[str, Any]


async def all_exports() -> list[Exported]:
    """Push every example to every endpoint that its consents name, edit every goal here, and push again."""
    found: list[Exported] = []
    for path in EXAMPLES:
        plan = example(path)
        for endpoint, settings in demo()["connections"].items():
            with world(portal_visible=settings["portal_visible"]) as one:
                one.connection = endpoint
                await one.add_connection()
                await one.put(plan)
                await one.know_people(plan)
                await one.sync()
                found += _standing(one, endpoint, plan, edited=False)
                await one.put(after_a_session(plan))
                await one.sync()
                found += _standing(one, endpoint, plan, edited=True)
    return found


def after_a_session(plan: Plan) -> Plan:
    """Return the plan with a word changed in every goal, the open ones paused and moved, and its title changed."""
    goals = [
        replace(goal, text=f"{goal.text} <now & then>", priority="low")
        if goal.lifecycle != "active"
        else replace(
            goal,
            text=f"{goal.text} <now & then>",
            lifecycle="on_hold",
            achievement=None,
            status_date=date(2026, 11, 6),
            status_reason="Away until spring",
            target_date=date(2027, 5, 1),
        )
        for goal in plan.goals
    ]
    return replace(plan, title="Another <title>", goals=tuple(goals))


def _standing(one: World, endpoint: str, plan: Plan, *, edited: bool) -> list[Exported]:
    trees = [*one.sandbox.storage.resources("Goal"), *one.care_plans()]
    return [Exported(endpoint, plan.id, edited, tree) for tree in trees]


def is_allowed(issue: Issue) -> bool:
    if issue.severity == "information":
        return True
    return issue.severity == "warning" and any(
        issue.id == one.id
        and re.fullmatch(one.location, issue.location)
        and re.fullmatch(one.message, issue.message, re.DOTALL)
        for one in ALLOWED
    )


def codings(tree: Any) -> Iterator[tuple[str, str]]:
    """Yield every (system, code) of a tree."""
    if isinstance(tree, dict):
        if isinstance(tree.get("system"), str) and isinstance(tree.get("code"), str):
            yield tree["system"], tree["code"]
        for value in tree.values():
            yield from codings(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from codings(value)


@pytest.fixture(scope="module")
def exports() -> list[Exported]:
    """Every export of the examples."""
    return asyncio.run(all_exports())


def test_every_export_of_the_examples_is_valid(
    referee: Referee, exports: list[Exported], figure: Callable[[str], None]
) -> None:
    """No error, and no warning but those allowed with a reason; each endpoint gets the goals its plans say, no more."""
    sent = Counter((one.endpoint, one.plan) for one in exports if not one.edited and one.tree["resourceType"] == "Goal")
    assert sum(sent.values()) == 39
    for path in EXAMPLES:
        said = expected(path)["export"]
        for endpoint in demo()["connections"]:
            assert sent[endpoint, example(path).id] == said.get(endpoint, {}).get("goals", 0)
    assert len(exports) == 2 * (39 + 4)
    counts: Counter[str] = Counter()
    for one in exports:
        issues = referee(exact_json.dumps(one.tree))
        wrong = [f"{issue.severity} {issue.location}: {issue.message}" for issue in issues if not is_allowed(issue)]
        assert wrong == [], one
        counts.update(f"{issue.severity} {issue.id}" for issue in issues)
    assert all(any(allowed.id in name for name in counts) for allowed in ALLOWED), "an allowance that nothing needs"
    figure(f"{len(exports)} resources, 0 errors; allowed: {dict(sorted(counts.items()))}")


def test_every_code_that_the_referee_can_not_check_is_known(exports: list[Exported]) -> None:
    """Codes of LOINC, SNOMED CT and the PCO guide in the exports are exactly those listed."""
    seen = {coding for one in exports for coding in codings(one.tree) if coding[0] in CODES}
    assert seen == {(system, code) for system, known in CODES.items() for code in known}


async def goal_and_plan() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a Goal with a measure and step, and its CarePlan, as exported."""
    plan = example(EXAMPLES[4])
    with world() as one:
        await one.add_connection()
        await one.put(plan)
        await one.know_people(plan)
        await one.sync()
        return one.goals()["Spend three afternoons a week on something she likes"], one.care_plans()[0]


def ours(element: dict[str, Any], slug: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in element["extension"] if one["url"].endswith(slug))
    return found


GOAL_FAULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a status that is none": lambda goal: goal.update(lifecycleStatus="accomplished"),
    "no description": lambda goal: goal.pop("description"),
    "a detail without measure": lambda goal: goal["target"][-1].pop("measure"),
    "a dateTime where a date belongs": lambda goal: goal.update(statusDate="2026-11-06T10:00:00Z"),
    "an element of R5": lambda goal: goal.update(continuous=True),
    "our extension with another type": lambda goal: goal["target"][-1]["extension"].append(
        {"url": ours(goal["target"][-1], "target-sustain")["url"], "valueString": "three"}
    ),
    "our extension where it does not belong": lambda goal: goal["extension"].append(
        copy.deepcopy(ours(goal["target"][-1], "target-sustain"))
    ),
    "a local measure that nobody has defined": lambda goal: goal["target"][-1]["measure"]["coding"][0].update(
        code="afternoons-with-something-disliked"
    ),
    "a code that our system lacks": lambda goal: goal["category"][0]["coding"][0].update(code="middle-term"),
}
PLAN_FAULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "no narrative": lambda plan: plan.pop("text"),
    "not the category of US Core": lambda plan: plan.pop("category"),
    "detail and reference together": lambda plan: plan["activity"][0].update(reference={"reference": "Task/1"}),
    "an intent that is none": lambda plan: plan.update(intent="wish"),
    "a step owner that is none": lambda plan: ours(plan["activity"][0]["detail"], "step-owner").update(
        valueCode="nobody"
    ),
}


@pytest.mark.parametrize("fault", GOAL_FAULTS)
async def test_the_referee_sees_a_fault_in_a_goal(referee: Referee, fault: str) -> None:
    """One fault put into an export makes it fail the same check."""
    goal, _ = await goal_and_plan()
    assert all(map(is_allowed, referee(exact_json.dumps(goal))))
    GOAL_FAULTS[fault](goal)
    assert not all(map(is_allowed, referee(exact_json.dumps(goal))))


@pytest.mark.parametrize("fault", PLAN_FAULTS)
async def test_the_referee_sees_a_fault_in_a_care_plan(referee: Referee, fault: str) -> None:
    """One fault put into an export makes it fail the same check."""
    _, plan = await goal_and_plan()
    assert all(map(is_allowed, referee(exact_json.dumps(plan))))
    PLAN_FAULTS[fault](plan)
    assert not all(map(is_allowed, referee(exact_json.dumps(plan))))
