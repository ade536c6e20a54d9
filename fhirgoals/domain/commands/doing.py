"""What is done and noted on the way: steps, exposures, victories, notes, barriers, readings and ratings."""

from __future__ import annotations

from fhirgoals.domain import codes
from fhirgoals.domain.commands.outcome import Done, Refusal
from fhirgoals.domain.commands.records import (
    AddBarrier,
    AddFinding,
    AddNote,
    AddStep,
    AddVictory,
    MarkStep,
    RateGoal,
    RecordReading,
    RecordTrial,
    ResolveBarrier,
)
from fhirgoals.domain.commands.scene import Scene, blank, changed, reason_missing, replace, with_step
from fhirgoals.domain.lifecycle import STEP, in_words, may_follow
from fhirgoals.domain.records import (
    Achievement,
    Barrier,
    Finding,
    GasRating,
    Goal,
    ProgressEntry,
    Reading,
    Step,
    Trial,
)
from fhirgoals.domain.who import Part


def add_step(scene: Scene, command: AddStep) -> Done | Refusal:
    """Put a step in at its number."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = scene.forbids("change_substance", f"{path}.steps") or scene.plan_is_over()
    step = replace(command.step, status=command.step.status or "planned")
    if refused is None and (step.status not in ("planned", "scheduled") or step.trials):
        sentence = "A new step is still to come."
        refused = Refusal("begins_without_history", f"{path}.steps", sentence, step.id)
    if refused is not None:
        return refused
    n = min(max(step.n, 1), len(goal.steps) + 1)
    moved = tuple(replace(each, n=each.n + 1) if each.n >= n else each for each in goal.steps)
    return changed(scene.with_goal(replace(goal, steps=(*moved, replace(step, n=n)))))


def mark_step(scene: Scene, command: MarkStep) -> Done | Refusal:
    """Move a step; done has its day, and nothing else has (invariant 7)."""
    found = scene.step(command.step)
    if isinstance(found, Refusal):
        return found
    goal, step, path = found
    refused = scene.forbids("mark_step", f"{path}.status", own=is_own_step(scene.part, step))
    if refused is None and command.status == "entered_in_error":
        sentence = "A step is entered in error with a reason, not marked so."
        refused = Refusal("void_instead", f"{path}.status", sentence, step.id)
    if refused is None and not may_follow(STEP, step.status, command.status):
        sentence = f"A step that is {in_words(step.status)} does not become {in_words(command.status)}."
        refused = Refusal("move_not_allowed", f"{path}.status", sentence, step.id)
    if refused is None and command.done_on is not None and command.status != "done":
        refused = Refusal("day_without_done", f"{path}.done_on", "Only a step that is done has such a day.", step.id)
    if refused is not None:
        return refused
    day = scene.day(command.done_on, f"{path}.done_on")
    if isinstance(day, Refusal):
        return day
    if step.status == "done" and command.status == "done" and command.done_on is None:
        return Refusal("is_so_already", f"{path}.status", "This step is done already.", step.id)
    marked = replace(
        step,
        status=command.status,
        done_on=day if command.status == "done" else None,
        scheduled=command.scheduled or step.scheduled,
    )
    return changed(with_step(scene.plan, goal, marked), *_jumped(goal, marked))


def is_own_step(part: Part, step: Step) -> bool:
    """Tell whether a step is the actor's own: the client's steps, or those that name them as the one who does it."""
    if step.participant is not None:
        return step.participant == part.id
    return part.role == step.owner if part.role in ("client", "therapist") else False


def _jumped(goal: Goal, step: Step) -> tuple[str, ...]:
    """Say where an exposure is begun before the one below it; therapists do jump, so it only tells."""
    if step.kind != "exposure" or step.status not in ("in_progress", "done"):
        return ()
    below = [each for each in goal.steps if each.n == step.n - 1 and each.status not in ("done", "skipped")]
    return ("The exposure step before this one is neither done nor skipped.",) if below else ()


def record_trial(scene: Scene, command: RecordTrial) -> Done | Refusal:
    """Note one exposure."""
    found = scene.step(command.step)
    if isinstance(found, Refusal):
        return found
    goal, step, path = found
    refused = scene.forbids("mark_step", f"{path}.trials", own=is_own_step(scene.part, step))
    if refused is None and step.kind != "exposure":
        refused = Refusal("no_exposure", f"{path}.kind", "Only an exposure step has trials.", step.id)
    day = refused or scene.day(command.on, f"{path}.trials")
    if isinstance(day, Refusal):
        return day
    trial = Trial(date=day, peak=command.peak, end=command.end)
    return changed(with_step(scene.plan, goal, replace(step, trials=(*step.trials, trial))))


def add_victory(scene: Scene, command: AddVictory) -> Done | Refusal:
    """Note a victory, however small: it needs no threshold."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = scene.forbids("add_victory", f"{path}.achievements")
    clinician = scene.part.role in ("therapist", "supervisor")
    if refused is None and command.noted_by not in (None, scene.me) and not clinician:
        sentence = "Each person speaks for themselves only."
        refused = Refusal("not_ones_own", f"{path}.achievements", sentence, goal.id)
    if refused is None and blank(command.text):
        refused = Refusal("words_needed", f"{path}.achievements", "A victory needs words.", goal.id)
    day = refused or scene.day(command.on, f"{path}.achievements")
    if isinstance(day, Refusal):
        return day
    victory = Achievement(
        id=command.id,
        date=day,
        size=command.size,
        target=command.target,
        text=command.text,
        noted_by=command.noted_by or scene.me,
        celebrated=command.celebrated,
        share=command.share,
    )
    return changed(scene.with_goal(replace(goal, achievements=(*goal.achievements, victory))))


def add_note(scene: Scene, command: AddNote) -> Done | Refusal:
    """Note progress; what only some may read is written by those who may read it."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    place = f"{path}.progress"
    refused = scene.forbids("add_note", place, own=True)
    if refused is None and command.visibility != "shared" and scene.part.role not in _STAFF:
        sentence = "Only staff write notes that the client may not read; this one has to be shared."
        refused = Refusal("not_shared", place, sentence, goal.id)
    if refused is None and command.visibility == "private":
        refused = scene.forbids("private_text", place, own=True)
    if refused is None and blank(command.text):
        refused = Refusal("words_needed", place, "A note needs words.", goal.id)
    day = refused or scene.day(command.on, place)
    if isinstance(day, Refusal):
        return day
    note = ProgressEntry(
        id=command.id,
        date=day,
        session=command.session,
        author=scene.me,
        visibility=command.visibility,
        text=command.text,
    )
    return changed(scene.with_goal(replace(goal, progress=(*goal.progress, note))))


_STAFF = frozenset({"therapist", "supervisor", "prescriber"})


def add_finding(scene: Scene, command: AddFinding) -> Done | Refusal:
    """Note what was learnt; it stays private."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    place = f"{path}.findings"
    refused = scene.forbids("private_text", place, own=True)
    if refused is None and goal.nature != "exploratory":
        sentence = "Findings belong to an exploratory goal."
        refused = Refusal("finding_outside_exploration", place, sentence, goal.id)
    if refused is None and blank(command.text):
        refused = Refusal("words_needed", place, "A finding needs words.", goal.id)
    day = refused or scene.day(command.on, place)
    if isinstance(day, Refusal):
        return day
    finding = Finding(
        date=day, session=command.session, author=scene.me or scene.by, visibility="private", text=command.text
    )
    return changed(scene.with_goal(replace(goal, findings=(*goal.findings, finding))))


def add_barrier(scene: Scene, command: AddBarrier) -> Done | Refusal:
    """Note what stands in the way."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    refused = scene.forbids("add_note", f"{path}.barriers")
    if refused is None and blank(command.text):
        refused = Refusal("words_needed", f"{path}.barriers", "A barrier needs words.", goal.id)
    day = refused or scene.day(command.on, f"{path}.barriers")
    if isinstance(day, Refusal):
        return day
    barrier = Barrier(date=day, text=command.text)
    return changed(scene.with_goal(replace(goal, barriers=(*goal.barriers, barrier))))


def resolve_barrier(scene: Scene, command: ResolveBarrier) -> Done | Refusal:
    """Note how a barrier went out of the way."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    place = f"{path}.barriers"
    refused = scene.forbids("add_note", place)
    if refused is None and not 1 <= command.place <= len(goal.barriers):
        refused = Refusal("barrier_unknown", place, "The goal has no barrier of that number.", goal.id)
    if refused is None and blank(command.resolution):
        refused = reason_missing(place, goal.id)
    day = refused or scene.day(command.on, place)
    if isinstance(day, Refusal):
        return day
    index = command.place - 1
    barrier = replace(goal.barriers[index], resolved=day, resolution=command.resolution)
    barriers = (*goal.barriers[:index], barrier, *goal.barriers[index + 1 :])
    return changed(scene.with_goal(replace(goal, barriers=barriers)))


def record_reading(scene: Scene, command: RecordReading) -> Done | Refusal:
    """Add a value; its range, its day and its rater are checked with the plan (invariant 11)."""
    found = scene.measure(command.measure)
    if isinstance(found, Refusal):
        return found
    measure, path = found
    place = f"{path}.readings"
    refused = _not_this_rater(scene, command.rater, place, measure.id)
    if refused is None and command.note is not None and scene.part.role not in _STAFF:
        refused = Refusal("not_allowed", place, "A note on a reading is the therapist's.", measure.id)
    day = refused or scene.day(command.on, place)
    if isinstance(day, Refusal):
        return day
    reading = Reading(
        date=day,
        value=command.value,
        rater=command.rater,
        note=command.note,
        flags=("item9_positive",) if command.item9_positive else (),
    )
    read = replace(measure, readings=(*measure.readings, reading))
    measures = tuple(read if each.id == measure.id else each for each in scene.plan.measures)
    return changed(replace(scene.plan, measures=measures))


def rate_goal(scene: Scene, command: RateGoal) -> Done | Refusal:
    """Rate a goal on its attainment scale, once a day and rater."""
    found = scene.goal(command.goal)
    if isinstance(found, Refusal):
        return found
    goal, path = found
    place = f"{path}.gas"
    refused = _not_this_rater(scene, command.rater, f"{place}.ratings", goal.id)
    if refused is not None:
        return refused
    if goal.gas is None:
        return Refusal("no_scale", place, "This goal has no attainment scale to rate it on.", goal.id)
    day = scene.day(command.on, f"{place}.ratings")
    if isinstance(day, Refusal):
        return day
    if any((each.date, each.rater) == (day, command.rater) for each in goal.gas.ratings):
        sentence = "This rater has rated the goal on that day."
        return Refusal("rating_twice", f"{place}.ratings", sentence, goal.id)
    rating = GasRating(date=day, level=command.level, rater=command.rater)
    gas = replace(goal.gas, ratings=(*goal.gas.ratings, rating))
    return changed(scene.with_goal(replace(goal, gas=gas)))


def own_rater(part: Part) -> codes.Rater | None:
    """Return the rater that a part stands for, where it stands for one only."""
    match part.role:
        case "client":
            return "client"
        case "legal_representative" | "support_person":
            return "caregiver"
        case _:
            return None


def _not_this_rater(scene: Scene, rater: codes.Rater, path: str, at: str) -> Refusal | None:
    refused = scene.forbids("rate", path, own=own_rater(scene.part) == rater)
    development = scene.plan.kind == "professional_development"
    if refused is None and (rater == "self") != development:
        sentence = "A therapist rates themselves in their own development plan, and only there."
        return Refusal("rater_does_not_fit", path, sentence, at)
    return refused
