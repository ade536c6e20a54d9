"""What is said of a plan around its tree: what to look at, next steps, scores, reviews, ending, sharing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from fhirgoals.cli import show_words as say
from fhirgoals.cli import words
from fhirgoals.cli.output import clean
from fhirgoals.cli.show_goal import Told
from fhirgoals.cli.sparkline import sparkline
from fhirgoals.cli.tree import is_closed
from fhirgoals.domain.alerts import Alert, AlertKind
from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.instruments import standard
from fhirgoals.domain.readings import baseline, series
from fhirgoals.domain.records import Plan
from fhirgoals.domain.reviews import held_reviews

_FIRST: tuple[AlertKind, ...] = ("item9", "deterioration", "session_rating")
"""What is looked at first."""

Section = tuple[str, list[str]]
"""A heading with its lines; one without lines is not shown."""


def facts(plan: Plan) -> list[str]:
    """Return what stands beside a plan's status: how often people meet."""
    return [clean(plan.session_frequency)] if plan.session_frequency else []


def people(plan: Plan) -> Iterator[str]:
    """Yield who the plan is for, who is part of it, what it is about and what the client brings."""
    subject = plan.client or plan.therapist
    if subject is not None:
        others = [say.person(plan, each.id) for each in plan.participants if each.ref != subject.id]
        yield clean(subject.display) + (", with " + ", ".join(others) if others else "")
    for problem in plan.problems:
        name = clean(problem.code.display or problem.code.code)
        own = f": “{clean(problem.client_words)}”" if problem.client_words else ""
        yield f"For {name}{own}" + (" (resolved)" if problem.status == "resolved" else "")
    if plan.client is not None and plan.client.minor_self_consented:
        yield "A minor who consented alone: parents and portals are shown nothing of this plan"
    if plan.kind == "professional_development":
        yield "A therapist's own development plan: no EHR is sent anything of it"
    areas: dict[str, int] = {}
    for goal in plan.goals:
        if isinstance(goal.domain, str) and goal.lifecycle not in ("declined", "entered_in_error"):
            areas[say.AREA[goal.domain]] = areas.get(say.AREA[goal.domain], 0) + 1
    if areas:
        active = sum(goal.lifecycle == "active" and goal.horizon == "short_term" for goal in plan.goals)
        for_ = "goals for " + ", ".join(f"{area} ({number})" for area, number in areas.items())
        yield for_.capitalize() if _is_over(plan) else f"{words.count(active, 'short-term goal')} under way; {for_}"
    if plan.strengths:
        yield "Strengths: " + ", ".join(clean(each) for each in plan.strengths)


def sessions(told: Told) -> Iterator[str]:
    """Yield how often and how people met."""
    held = [each for each in told.plan.sessions if each.date <= told.on]
    if held:
        modes = [each.mode for each in held]
        said = ", ".join(f"{modes.count(mode)} {say.SESSION[mode]}" for mode in dict.fromkeys(modes))
        yield f"Sessions on record: {said}; the last on {words.on_day(max(each.date for each in held))}"


def for_therapist(told: Told) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """Return what a therapist reads above the goals, and below them."""
    above = (("Look at this", list(_to_look_at(told))), ("Next steps", list(_next(told))))
    below = (
        ("Scores", list(_scores(told))),
        ("Goal attainment", list(_attainment(told))),
        ("Steps done", list(_adherence(told))),
        ("When the treatment ended" if _is_over(told.plan) else "Before the treatment ends", list(_criteria(told))),
        ("Reviews", list(_reviews(told))),
        ("Shared with", list(_sharing(told))),
        ("How this was judged", list(_rules(told))),
    )
    return above, below


def for_client(told: Told) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """Return what a client or a proxy reads above the goals, and below them."""
    steps = "Next steps of the client" if told.reader == "proxy" else "Your next steps"
    above = ((steps, list(_next(told))),)
    below = (
        ("Afterwards", list(_afterwards(told))),
        ("Reviews", list(_reviews_of_client(told))),
        ("Shared with", list(_sharing(told))),
    )
    return above, below


def as_it_stands(told: Told) -> Iterator[str]:
    """Yield what a page for an earlier day can't turn back, where something was noted after it."""
    days = [each.date for measure in told.plan.measures for each in measure.readings]
    days += [each.date for each in told.plan.reviews]
    days += [each.status_date for each in told.plan.goals if isinstance(each.status_date, date)]
    if any(each > told.on for each in days):
        yield f"Figures, notes and reviews of {words.on_day(told.on)}; statuses, steps and agreements as they stand now"


def _is_over(plan: Plan) -> bool:
    return plan.status in ("completed", "revoked")


def _to_look_at(told: Told) -> Iterator[str]:
    yield from _alerts(told)
    clock = told.figures.reviews
    if clock.overdue and clock.next_due is not None:
        yield f"The review is overdue by {say.days((told.on - clock.next_due).days)}"
    if clock.discharge_overdue_days:
        yield f"The discharge review is overdue by {say.days(clock.discharge_overdue_days)}"
    for each in clock.unsigned:
        review = next(one for one in told.plan.reviews if one.id == each.review)
        yield f"The review of {words.on_day(review.date)} is not signed by: {say.role_of(told.plan, each.by)}"
    for gap in told.figures.gas_rater_gaps:
        levels = ", ".join(f"{say.RATER[rater]} {say.level(level)}" for rater, level in gap.levels)
        yield f"Ratings far apart on {told.ref(gap.goal)}: {levels}"
    waiting = [goal for goal in told.plan.goals if goal.review == "unreviewed"]
    if waiting:
        yield f"{words.count(len(waiting), 'goal')} from an EHR that no therapist has seen"
    if told.plan.refusal is not None:
        refusal = told.plan.refusal
        who = say.role_of(told.plan, refusal.by).capitalize()
        yield f"{who} did not agree to the plan ({words.on_day(refusal.date)}): {clean(refusal.reason)}"


def _alerts(told: Told) -> Iterator[str]:
    """Yield the last alert of each measure and kind, and how many came before it."""
    found: dict[tuple[str, str], list[Alert]] = {}
    for alert in told.figures.alerts:
        found.setdefault((alert.measure, alert.kind), []).append(alert)
    for of_one in sorted(found.values(), key=lambda of_one: _FIRST.index(of_one[-1].kind)):
        measure = told.plan.measure(of_one[-1].measure)
        before = f" ({words.count(len(of_one) - 1, 'time')} before)" if len(of_one) > 1 else ""
        yield say.alert_words(of_one[-1], measure) + before


def _next(told: Told) -> Iterator[str]:
    """Yield the next step of each goal; to the client and a proxy only those that are the client's."""
    own = told.reader != "therapist"
    for goal_id, number in told.numbers.items():
        coming = told.figures.next_steps.get(goal_id)
        step = next((each for each in told.plan.goal(goal_id).steps if each.id == coming), None)
        if step is None or (own and step.owner != "client"):
            continue
        facts_ = [] if own or step.owner == "client" else [words.of_code({}, step.owner)]
        facts_ += [words.often(step.frequency)] if step.frequency else []
        facts_ += [f"due {words.on_day(step.scheduled)}"] if step.scheduled is not None else []
        yield f"{number}  {clean(step.text or 'A step without text')}" + (f" ({', '.join(facts_)})" if facts_ else "")


def _scores(told: Told) -> Iterator[str]:
    by_id = {each.measure: each for each in told.figures.measures}
    catalogue = standard()
    for measure in told.plan.measures:
        found = by_id.get(measure.id)
        if found is None or catalogue.instrument(measure) is None:
            continue
        readings = series(measure, told.on)
        bars = sparkline(say.values_of(measure, readings, baseline(measure, told.on)), blocks=told.blocks)
        way = f"{say.number(found.first)} → " if found.first is not None else ""
        said = [f"{way}{say.with_unit(found.latest, measure)} on {words.on_day(found.latest_on)}"]
        said += [say.RELIABLE[found.reliable_change]] if found.reliable_change is not None else []
        fall = found.percent_reduction
        if fall is not None:
            said.append(f"{say.percent(abs(fall))} {'lower' if fall >= 0 else 'higher'} than at the start")
        said += ["a treatment response"] if found.response else []
        said += ["in remission"] if found.remission else []
        outside = found.below_cutoff if found.below_cutoff is not None else found.above_cutoff
        if outside is not None:
            said.append("outside the clinical range" if outside else "in the clinical range")
        yield f"{say.measure_name(measure)} {bars} ".replace("  ", " ") + ", ".join(said)


def _attainment(told: Told) -> Iterator[str]:
    for score in told.figures.gas:
        said = f"{say.RATER[score.rater].capitalize()}: T-score {say.number(score.latest)}"
        if score.baseline is not None and score.change is not None:
            change = f"{score.change:+f} since" if score.change else "as at"
            said += f", {change} the start ({say.number(score.baseline)})"
        yield f"{said}; {len(score.goals)} of {words.count(score.scaled, 'goal')} with a scale rated; 50 = as hoped"


def _adherence(told: Told) -> Iterator[str]:
    done = told.figures.steps_done
    said = [f"{owner.replace('_', ' ')} {each.done} of {each.total}" for owner, each in done.items()]
    if said:
        yield ", ".join(said)


def _criteria(told: Told) -> Iterator[str]:
    plan = told.plan
    for verdict in told.figures.discharge_criteria:
        text = clean(plan.discharge_criteria[verdict.at].text)
        match verdict.verdict:
            case "met":
                yield f"[x] {text} (shown on {words.on_day(verdict.met_on)})"
            case "not_shown":
                yield f"[ ] {text} ({'not shown' if _is_over(plan) else 'not shown yet'})"
            case "person":
                yield f"[?] {text} (for you to judge)"
    if plan.discharge is not None:
        end = plan.discharge
        yield f"Ended on {words.on_day(end.date)} ({end.kind}): {words.of_code(say.OUTCOME, end.outcome)}"
    yield from (f"Afterwards: {text}" for text in _afterwards(told))


def _afterwards(told: Told) -> Iterator[str]:
    end = told.plan.discharge
    if end is not None and end.follow_up:
        yield clean(end.follow_up)


def _rules(told: Told) -> Iterator[str]:
    """Yield by which rules the SMART letters were given: another version may say otherwise."""
    judged = [told.smart[goal.id] for goal in told.plan.goals if goal.id in told.smart and not is_closed(goal)]
    versions = dict.fromkeys(each.rule_version for each in judged)
    if versions:
        yield f"SMART hints by rule version {', '.join(versions)}; they are advice and stop nothing"


def _reviews(told: Told) -> Iterator[str]:
    clock = told.figures.reviews
    if clock.next_due is not None:
        what = "Next: was due" if clock.overdue else "Next:"
        yield f"{what} {words.on_day(clock.next_due)} ({say.due(clock.next_due, told.on)})"
    if clock.discharge_review_by is not None:
        yield f"Discharge review by {words.on_day(clock.discharge_review_by)}, when the plan ends"
    late = {each.review: each.days for each in clock.late}
    held = held_reviews(told.plan, told.on)
    for review in held if told.full else held[-1:]:
        said = f"{words.on_day(review.date)}: {words.of_code(say.REVIEW_KIND, review.kind)}"
        said += f", outcome: {words.of_code(say.REVIEW_OUTCOME, review.outcome)}"
        yield said + (f", {say.days(late[review.id])} late" if review.id in late else "")
    missed = [each for each in clock.late if not told.full and each.review not in {one.id for one in held[-1:]}]
    if missed:
        yield f"{words.count(len(missed), 'earlier review')} held late"


def _reviews_of_client(told: Told) -> Iterator[str]:
    clock = told.figures.reviews
    if clock.next_due is not None:
        whose = "The next review" if told.reader == "proxy" else "Your next review"
        yield f"{whose}: {words.on_day(clock.next_due)} ({say.due(clock.next_due, told.on)})"
    for each in clock.unsigned:
        if each.by in told.me:
            review = next(one for one in told.plan.reviews if one.id == each.review)
            yield f"The review of {words.on_day(review.date)} waits for your signature."


def _sharing(told: Told) -> Iterator[str]:
    for each in told.plan.disclosure.consents:
        if each.refused is not None:
            yield f"{each.endpoint}: refused on {words.on_day(each.refused)}"
        elif each.expires is not None and each.expires <= told.on:
            yield f"{each.endpoint}: ended on {words.on_day(each.expires)}"
        elif each.granted is not None and each.granted > told.on:
            yield f"{each.endpoint}: from {words.on_day(each.granted)}"
        else:
            until = f"until {words.on_day(each.expires)}" if each.expires else "without an end"
            # At its widest: whether a connection shows a portal is known to the store only.
            shown = disclose(told.plan, each.endpoint, on=told.on, portal_visible=False)
            yield f"{each.endpoint}: {until}" + ("" if shown.goals else ", but no goal of it may go there now")
    kept = len({each.target for each in told.plan.disclosure.withheld})
    if kept:
        keeps = "You keep" if told.reader == "client" else "The client keeps"
        yield f"{keeps} {words.count(kept, 'goal or problem', 'goals or problems')} back"
