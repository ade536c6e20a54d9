"""A plan's whole progress on a day, put together from the modules that know each figure.

Local: of all this only baseline and readings of exported targets and GAS ratings ever leave (domain reference 7).
Statuses are taken as the plan says them; readings, ratings, trials and reviews after the day don't count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from fhirgoals.domain import codes
from fhirgoals.domain.alerts import Alert, alerts
from fhirgoals.domain.attainment import GasScore, RaterGap, gas_scores, rater_gaps
from fhirgoals.domain.instruments import Catalogue, standard
from fhirgoals.domain.measures import MeasureSummary, measure_summaries
from fhirgoals.domain.proposals import Proposal, proposals
from fhirgoals.domain.records import Plan
from fhirgoals.domain.reviews import ReviewClock, review_clock
from fhirgoals.domain.rollup import Figure, RollUp, figures, roll_ups
from fhirgoals.domain.steps import Ladder, StepCount, ladders, next_steps, steps_done
from fhirgoals.domain.targets import CriterionVerdict, TargetProgress, discharge_criteria, targets
from fhirgoals.domain.warnings import TimeWarning, time_warnings


@dataclass(frozen=True, slots=True)
class Progress:
    """Every figure of a plan on a day; each record says its units and rounding."""

    as_of: date
    gas: tuple[GasScore, ...]
    gas_rater_gaps: tuple[RaterGap, ...]
    measures: tuple[MeasureSummary, ...]
    targets: tuple[TargetProgress, ...]
    figures: tuple[Figure, ...]
    roll_ups: tuple[RollUp, ...]
    steps_done: Mapping[codes.StepOwner, StepCount]
    next_steps: Mapping[str, str]
    ladders: tuple[Ladder, ...]
    reviews: ReviewClock
    alerts: tuple[Alert, ...]
    discharge_criteria: tuple[CriterionVerdict, ...]
    proposals: tuple[Proposal, ...]
    warnings: tuple[TimeWarning, ...]


def progress(plan: Plan, as_of: date, catalogue: Catalogue | None = None) -> Progress:
    """Return every figure of a plan on a day, by the catalogue that ships unless another is given."""
    known = standard() if catalogue is None else catalogue
    return Progress(
        as_of=as_of,
        gas=gas_scores(plan, as_of),
        gas_rater_gaps=rater_gaps(plan, as_of, known.limits),
        measures=measure_summaries(plan, as_of, known),
        targets=targets(plan, as_of, known),
        figures=figures(plan, as_of, known),
        roll_ups=roll_ups(plan, as_of, known),
        steps_done=steps_done(plan),
        next_steps=next_steps(plan),
        ladders=ladders(plan, as_of),
        reviews=review_clock(plan, as_of, known.limits),
        alerts=alerts(plan, as_of, known),
        discharge_criteria=discharge_criteria(plan, as_of),
        proposals=proposals(plan, as_of, known),
        warnings=time_warnings(plan, as_of),
    )
