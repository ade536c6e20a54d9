"""Every figure of the examples' `expected:` blocks at their `as_of`, but SMART letters and exports (others' matter)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirgoals.domain.measures import MeasureSummary
from fhirgoals.domain.progress import Progress, progress
from tests.plans import EXAMPLES, example, expected

each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
OTHERS = {"as_of", "smart", "export", "proxy_view"}
"""Parts of a block that other tests assert."""


def exact(value: Any) -> Any:
    """A block's numbers as decimals, as they are written."""
    if isinstance(value, dict):
        return {key: exact(each) for key, each in value.items()}
    if isinstance(value, list):
        return [exact(each) for each in value]
    return Decimal(str(value)) if isinstance(value, float) else value


def given(**figures: Any) -> dict[str, Any]:
    """The figures that are not `None`: a block leaves the others out."""
    return {name: value for name, value in figures.items() if value is not None}


def counts(path: Path, _: Progress) -> Any:
    plan = example(path)
    return {
        "goals": len(plan.goals),
        "steps": sum(len(goal.steps) for goal in plan.goals),
        "measures": len(plan.measures),
        "revisions": len(plan.revisions),
        "sentinels": len(set(re.findall(r"[A-Z]+-SENTINEL-[A-Z]*-?\d+", path.read_text(encoding="utf-8")))),
    }


def gas_t(_: Path, found: Progress) -> Any:
    return {
        score.rater: {
            "goals": list(score.goals),
            "weights": list(score.weights),
            "levels": list(score.levels),
            "coverage": f"{len(score.goals)}/{score.scaled}",
            "baseline": score.baseline,
            "latest": score.latest,
            "change": score.change,
            "unweighted_latest": score.unweighted_latest,
        }
        for score in found.gas
    }


def gas_rater_gap(_: Path, found: Progress) -> Any:
    return [{"goal": gap.goal, **dict(gap.levels)} for gap in found.gas_rater_gaps]


def measures(path: Path, found: Progress) -> Any:
    """Of the measures that a block names: the others have no rule of an instrument, so nothing beside two numbers."""
    named = exact(expected(path)).get("measures", {})
    for each in found.measures:
        if each.measure not in named:
            assert _measure(each).keys() <= {"latest", "change"}
    return {each.measure: _measure(each) for each in found.measures if each.measure in named}


def _measure(each: MeasureSummary) -> dict[str, Any]:
    response = {} if each.response_at is None else {f"response_{each.response_at * 100:.0f}pct": each.response}
    return given(
        latest=each.latest,
        change=each.change,
        reliable_change=each.reliable_change,
        percent_reduction=each.percent_reduction,
        remission=each.remission,
        below_cutoff=each.below_cutoff,
        above_cutoff=each.above_cutoff,
        **response,
    )


def targets(_: Path, found: Progress) -> Any:
    return {
        f"{each.goal}/{each.target}": {"percent": each.percent, "met": each.met, "trend": each.trend}
        | given(met_on=each.met_on)
        for each in found.targets
    }


def roll_up(_: Path, found: Progress) -> Any:
    return {each.goal: {"value": each.value, "children": f"{each.covered}/{each.children}"} for each in found.roll_ups}


def steps_done(_: Path, found: Progress) -> Any:
    return {owner: f"{each.done} of {each.total}" for owner, each in found.steps_done.items()}


def next_step(_: Path, found: Progress) -> Any:
    return dict(found.next_steps)


def exposure_ladder(_: Path, found: Progress) -> Any:
    (ladder,) = found.ladders
    return {
        "goal": ladder.goal,
        "done": ladder.done,
        "total": ladder.total,
        "order_violations": len(ladder.order_violations),
        "last_halved": dict(ladder.last_halved),
    }


def reviews(_: Path, found: Progress) -> Any:
    clock = found.reviews
    assert clock.discharge_overdue_days is None
    return {
        "next_due": clock.next_due,
        "overdue": clock.overdue,
        "late": [{"review": each.review, "days": each.days} for each in clock.late],
        "unsigned": [f"{each.review}/{each.by}" for each in clock.unsigned],
    } | given(overdue_days=clock.overdue_days, discharge_review_by=clock.discharge_review_by)


def alerts(_: Path, found: Progress) -> Any:
    return [
        {"measure": each.measure, "date": each.date, "kind": each.kind} | given(change=each.change)
        for each in found.alerts
    ]


def discharge_criteria(_: Path, found: Progress) -> Any:
    return [each.verdict for each in found.discharge_criteria]


def warnings(_: Path, found: Progress) -> Any:
    return [
        {"invariant": each.invariant, "at": each.at, "code": each.code}
        | given(days=each.days, predecessor=each.predecessor)
        for each in found.warnings
    ]


PARTS: dict[str, Callable[[Path, Progress], Any]] = {
    part.__name__: part
    for part in (
        counts,
        gas_t,
        gas_rater_gap,
        measures,
        targets,
        roll_up,
        steps_done,
        next_step,
        exposure_ladder,
        reviews,
        alerts,
        discharge_criteria,
        warnings,
    )
}
EMPTY_WHERE_ABSENT = {"gas_t": {}, "gas_rater_gap": [], "measures": {}, "discharge_criteria": []}


@pytest.mark.parametrize("part", PARTS)
@each_example
def test_every_figure_of_a_block_is_what_the_rules_give(path: Path, part: str) -> None:
    """Each part equals the block's, key by key: no figure more, none less, none other."""
    block = exact(expected(path))
    found = progress(example(path), block["as_of"])
    if part == "exposure_ladder" and part not in block:
        assert found.ladders == ()
        return
    assert PARTS[part](path, found) == block.get(part, EMPTY_WHERE_ABSENT.get(part))


@each_example
def test_no_part_of_a_block_is_left_unasserted(path: Path) -> None:
    """A part that nobody compares would be a promise that nobody keeps."""
    assert expected(path).keys() <= PARTS.keys() | OTHERS


@each_example
def test_before_the_plan_began_there_is_no_figure_of_anything_dated(path: Path) -> None:
    """The clock is an argument: what happened after the day does not count on it."""
    found = progress(example(path), date(2025, 12, 31))
    assert (found.gas, found.gas_rater_gaps, found.measures, found.alerts) == ((), (), (), ())
    assert (found.reviews.late, found.reviews.unsigned) == ((), ())
    assert {(each.met, each.percent, each.trend) for each in found.targets} <= {(False, None, None)}
    assert all(not ladder.last_halved for ladder in found.ladders)
