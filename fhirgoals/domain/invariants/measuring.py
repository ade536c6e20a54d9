"""Numbers: readings (11), goal attainment scales (12), and scales that have fixed ends (0)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from fhirgoals.domain.invariants.finding import Finding, of_goal
from fhirgoals.domain.records import Goal, Measure, Plan, Reading

_LEVELS = ("-2", "-1", "0", "1", "2")


def measures(plan: Plan) -> Iterator[Finding]:
    """Yield readings outside the range, before the baseline, or twice of one rater on one day."""
    for place, measure in enumerate(plan.measures):
        path = f"measures[{place}]"
        if measure.baseline is not None:
            yield from _in_range(measure, measure.baseline, f"{path}.baseline")
        seen: set[tuple[date, str | None]] = set()
        for index, reading in enumerate(measure.readings):
            at = f"{path}.readings[{index}]"
            yield from _in_range(measure, reading, at)
            if measure.baseline is not None and reading.date < measure.baseline.date:
                sentence = "A reading is from before the baseline of its measure."
                yield Finding("reading_before_baseline", 11, "error", f"{at}.date", measure.id, sentence)
            if (reading.date, reading.rater) in seen:
                sentence = "There is a reading of this measure by the same rater on that day."
                yield Finding("reading_twice", 11, "error", at, measure.id, sentence)
            seen.add((reading.date, reading.rater))


def _in_range(measure: Measure, reading: Reading, path: str) -> Iterator[Finding]:
    if measure.range is not None and not _within(measure.range, reading.value):
        sentence = "The value is outside the range of its measure."
        yield Finding("reading_out_of_range", 11, "error", f"{path}.value", measure.id, sentence)


def _within(ends: tuple[Decimal, Decimal], value: Decimal) -> bool:
    return ends[0] <= value <= ends[1]


def goal_scales(goal: Goal, path: str) -> Iterator[Finding]:
    """Yield what is wrong with a goal attainment scale, and numbers beyond the ends of their scale."""
    if goal.gas is not None:
        yield from _attainment(goal, f"{path}.gas")
    if goal.readiness is not None:
        for field in ("importance", "confidence"):
            if not 0 <= getattr(goal.readiness, field) <= 10:
                sentence = "Importance and confidence are each from 0 to 10."
                yield of_goal(goal, "readiness_off_scale", 0, f"{path}.readiness.{field}", sentence)
    for index, step in enumerate(goal.steps):
        place = f"{path}.steps[{index}]"
        numbers = {f"{place}.suds_expected": step.suds_expected}
        for trial_index, trial in enumerate(step.trials):
            numbers[f"{place}.trials[{trial_index}].peak"] = trial.peak
            numbers[f"{place}.trials[{trial_index}].end"] = trial.end
        for at, number in numbers.items():
            if number is not None and not 0 <= number <= 100:
                yield of_goal(goal, "suds_off_scale", 0, at, "Distress is from 0 to 100.")


def _attainment(goal: Goal, path: str) -> Iterator[Finding]:
    gas = goal.gas
    if gas is None:
        return
    texts = [gas.levels.get(level, "").strip() for level in _LEVELS]  # type: ignore[call-overload]
    if not all(texts):
        sentence = "A goal attainment scale needs words for each of its five levels."
        yield of_goal(goal, "gas_level_without_text", 12, f"{path}.levels", sentence)
    given = [text for text in texts if text]
    if len(set(given)) < len(given):
        sentence = "Two levels of this goal attainment scale have the same words."
        yield of_goal(goal, "gas_levels_alike", 12, f"{path}.levels", sentence)
    for index, rating in enumerate(gas.ratings):
        if not -2 <= rating.level <= 2:
            sentence = "A level of a goal attainment scale is from -2 to +2."
            yield of_goal(goal, "gas_level_off_scale", 12, f"{path}.ratings[{index}].level", sentence)
    if gas.baseline not in (None, -1, -2):
        yield of_goal(goal, "gas_baseline", 12, f"{path}.baseline", "The baseline of a scale is -1 or -2.")
    weight = gas.weight
    if weight is not None and not (1 <= weight.importance <= 3 and 1 <= weight.difficulty <= 3):
        yield of_goal(goal, "gas_weight", 12, f"{path}.weight", "Importance and difficulty are each from 1 to 3.")
