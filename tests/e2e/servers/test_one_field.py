"""HAPI: an edit of one field here changes exactly that field of the EHR's resource, and what the server itself sets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.records import Step
from tests.e2e.servers.world import World, behind_the_cut_proxy
from tests.plans import EXAMPLES, example
from tests.servers.fixtures import FhirServer

PLAN = "plan-ado-01"
LUNCH = "Eat lunch with someone on two school days a week"
SERVER_SETS = ("meta.versionId", "meta.lastUpdated", "meta.source")
"""HAPI writes `#` and the request's id into meta.source."""

replace = msgspec.structs.replace
ABSENT = "absent"


def diff(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (path, before, after) of every leaf that is not the same to the last digit, and of other key orders."""
    if isinstance(before, dict) and isinstance(after, dict):
        kept = [key for key in before if key in after]
        if kept != [key for key in after if key in before]:
            yield f"{path}{{order}}", list(before), list(after)
        for key in {**before, **after}:
            yield from diff(before.get(key, ABSENT), after.get(key, ABSENT), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            pair = [side[place] if place < len(side) else ABSENT for side in (before, after)]
            yield from diff(*pair, f"{path}[{place}]")
    elif type(before) is not type(after) or str(before) != str(after):
        yield path, before, after


def foreign(tree: dict[str, Any]) -> None:
    """Put into a Goal what no mapper of ours knows: the work of other systems at that EHR."""
    score = {"url": "https://ehr.example/score", "valueDecimal": Decimal("7.10")}
    nested = {"url": "https://ehr.example/reviewed", "extension": [score, {"url": "by", "valueString": "dr. x"}]}
    tree["meta"].setdefault("tag", []).append({"system": "https://ehr.example/tags", "code": "board", "display": "B"})
    tree["extension"] = [score, *tree.get("extension", []), nested]
    tree["contained"] = [
        {"resourceType": "Basic", "id": "x", "code": {"text": "?"}, "extension": [score]},
        {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": {"text": "weight"},
            "valueQuantity": {"value": Decimal("7.10"), "unit": "kg"},
        },
    ]
    tree["description"]["extension"] = [nested]
    tree["description"]["coding"] = [{"system": "https://ehr.example/words", "code": "lunch", "extension": [score]}]
    tree["_lifecycleStatus"] = {"extension": [score]}
    tree["identifier"].append({"system": "https://ehr.example/ids", "value": "17", "period": {"start": "2026-01"}})
    tree["outcomeReference"] = [{"reference": "#o", "display": "weight"}]
    tree["note"] = [{"text": "Old", "time": "2019-03-01T08:00:00.000+11:00", "extension": [score]}]
    tree.setdefault("target", []).append(
        {
            "measure": {"text": "kg"},
            "detailQuantity": {"value": Decimal("19.00"), "unit": "kg"},
            "extension": [nested],
        }
    )


def foreign_activity(tree: dict[str, Any]) -> None:
    """Put foreign things into a CarePlan, inside a step of ours too."""
    score = {"url": "https://ehr.example/score", "valueDecimal": Decimal("7.10")}
    tree["extension"] = [score]
    tree["meta"].setdefault("tag", []).append({"system": "https://ehr.example/tags", "code": "board"})
    tree["activity"][0]["progress"] = [{"text": "seen", "time": "2026-11-01", "extension": [score]}]
    tree["activity"][0]["detail"]["extension"] = [*tree["activity"][0]["detail"].get("extension", []), score]
    tree["activity"].append({"detail": {"status": "scheduled", "quantity": {"value": Decimal("7.10")}}})
    tree["note"] = [{"text": "of the EHR"}]


@pytest.fixture
async def here(hapi: FhirServer) -> AsyncIterator[World]:
    """The plan stands at HAPI, and other systems have written into the lunch goal and the care plan."""
    async with behind_the_cut_proxy(hapi.url) as world:
        await world.start(example(EXAMPLES[4]))
        world.change(world.goal(LUNCH), foreign)
        [care_plan] = world.resources("CarePlan")
        world.change(care_plan, foreign_activity)
        counts = await world.rest()
        assert counts.writes == 0
        yield world


def shown(found: list[tuple[str, Any, Any]]) -> str:
    return "\n".join(f"{path}: {before} -> {after}" for path, before, after in found)


ONE_FIELD: Mapping[str, tuple[dict[str, Any], set[str]]] = {
    "priority": (
        {"priority": "low"},
        {"priority.coding[0].code", "priority.coding[0].display", "priority.text"},
    ),
    "text": ({"text": "Eat lunch in company"}, {"description.text"}),
    "target date": ({"target_date": date(2027, 3, 5)}, {"target[0].dueDate"}),
    "start date": ({"start_date": date(2026, 9, 8)}, {"startDate"}),
    "category": (
        {"domain": "managing-conditions"},
        {"category[2].coding[0].code", "category[2].coding[0].display", "category[2].text"},
    ),
}


@pytest.mark.parametrize("field", ONE_FIELD)
async def test_one_edited_field_changes_only_itself(here: World, field: str, figure: Callable[[str], None]) -> None:
    """Foreign extensions, contained resources, tags, `7.10`, key order stay; the difference is that field and meta."""
    changes, paths = ONE_FIELD[field]
    before = here.goal(LUNCH)
    assert "7.10" in str(before["contained"][1]["valueQuantity"]["value"])
    await here.edit(PLAN, "h-lunch", **changes)
    counts = await here.sync()
    assert (counts.pushed, counts.writes) == (1, 1)
    after = here.read("Goal", before["id"])
    found = list(diff(before, after))
    figure(shown(found))
    changed = {path for path, _, _ in found} - set(SERVER_SETS)
    assert changed
    assert changed <= paths
    assert any("7.10" in str(one) for one in after["extension"])
    await here.quiet()


async def test_one_finished_step_changes_only_its_activity(here: World, figure: Callable[[str], None]) -> None:
    """A step done here changes its status and day in the CarePlan, and the narrative that shows it; all else stays."""
    [before] = here.resources("CarePlan")
    plan = await here.plan(PLAN)
    goal = plan.goal("h-lunch")
    steps = tuple(
        replace(step, status="done", done_on=date(2026, 11, 6)) if step.id == "st-hl-2" else step for step in goal.steps
    )
    assert all(isinstance(step, Step) for step in steps)
    await here.edit(PLAN, "h-lunch", steps=steps)
    counts = await here.sync()
    assert counts.writes == 1
    after = here.read("CarePlan", before["id"])
    found = list(diff(before, after))
    figure(shown(found))
    [place] = [number for number, activity in enumerate(before["activity"]) if "music table" in str(activity["detail"])]
    changed = {path for path, _, _ in found} - set(SERVER_SETS)
    assert f"activity[{place}].detail.status" in changed
    assert {path.partition(".")[0] for path in changed - {"text.div"}} == {f"activity[{place}]"}
    await here.quiet()


def test_the_difference_sees_a_digit_an_order_and_an_absence() -> None:
    """The meter moves: 7.1 is not 7.10, another key order and a lost element are differences."""
    tree = {"a": Decimal("7.10"), "b": [{"c": 1, "d": 2}], "e": "x"}
    assert list(diff(tree, tree)) == []
    assert list(diff(tree, tree | {"a": Decimal("7.1")})) == [("a", Decimal("7.10"), Decimal("7.1"))]
    assert [path for path, _, _ in diff(tree, tree | {"b": [{"d": 2, "c": 1}]})] == ["b[0]{order}"]
    assert [path for path, _, _ in diff(tree, {"a": Decimal("7.10"), "b": []})] == ["b[0]", "e"]
