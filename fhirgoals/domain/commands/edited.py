"""Judges an edited plan against the plan as it stood: who may change what, and which moves are allowed.

Used where no single command says what was meant: by `Edit` and by `put`. Everything wrong is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhirgoals.domain.changes import changes
from fhirgoals.domain.codes import RevisionReason
from fhirgoals.domain.commands.doing import is_own_step, own_rater
from fhirgoals.domain.commands.goals import new_goal
from fhirgoals.domain.commands.moves import moves
from fhirgoals.domain.commands.outcome import Refusal
from fhirgoals.domain.commands.scene import Scene
from fhirgoals.domain.commands.touching import Touch, touch
from fhirgoals.domain.invariants.identity import ids
from fhirgoals.domain.lifecycle import FIRST_STATES, in_words, signature_state
from fhirgoals.domain.places import file_path
from fhirgoals.domain.records import Acceptance, Plan, Review, Step

_STAFF = frozenset({"therapist", "supervisor", "prescriber"})
_CLIENT_SIDE = frozenset({"client", "legal_representative"})
AS_STATED: frozenset[RevisionReason] = frozenset({"initial", "import"})
"""Reasons under which a file states what was, so that a goal may come in any state."""


def judged(scene: Scene, after: Plan, because: RevisionReason) -> tuple[Refusal, ...]:
    """Return everything that the actor may not change, or that may not change so, by its path in the edited file."""
    if twice := _not_told_apart(scene.plan, after):
        return twice
    touches = tuple(touch(change) for change in changes(scene.plan, after))
    found = [
        *(refused for each in touches for refused in _who(scene, after, each)),
        *(refused for each in touches for refused in _new(scene, after, each, because)),
        *moves(scene, after, touches, because),
    ]
    return tuple(dict.fromkeys(found))


def _not_told_apart(before: Plan, after: Plan) -> tuple[Refusal, ...]:
    """Return ids that are none or stand twice: then nobody can say what changed, and nothing else is judged."""
    known = {(each.code, each.at) for each in ids(before)}
    found = [each for each in ids(after) if each.severity == "error" and (each.code, each.at) not in known]
    return tuple(Refusal(each.code, each.path, each.sentence, each.at) for each in found)


def _who(scene: Scene, after: Plan, each: Touch) -> Iterator[Refusal]:
    path = file_path(after, each.change.field)
    at = each.keys[-1] if each.keys else after.id
    if each.action == "answer_goal" and _recorded_answer(scene, after, each):
        return
    if each.action == "sign" and _recorded_signature(scene, each):
        return
    refused = scene.forbids(each.action, path, own=_is_own(scene, each))
    if refused is not None:
        yield Refusal(refused.code, path, refused.sentence, at)
    elif each.action == "add_victory" and scene.part.role not in _STAFF and not _is_own(scene, each):
        yield Refusal("not_ones_own", path, "Only what is one's own: this is another person's.", at)
    elif each.action == "add_note" and not _may_write(scene, each):
        sentence = "A private note belongs to who wrote it, and only staff write what the client may not read."
        yield Refusal("not_ones_own", path, sentence, at)


def _is_own(scene: Scene, each: Touch) -> bool:
    """Tell whether a change is to something of the actor's own: line, step, note, text, rating."""
    me = scene.me
    match each.action:
        case _ if each.order:
            return True
        case "answer_goal" | "sign":
            return me is not None and each.keys[1:2] == (me,)
        case "mark_step":
            step = _step(scene.plan, each.keys[1]) if len(each.keys) > 1 else None
            return step is not None and is_own_step(scene.part, step)
        case "add_victory":
            return me is not None and _noted_by(scene.plan, each) <= {me}
        case "add_note" | "private_text":
            entries = _entries(scene.plan, each)
            return me is not None and bool(entries) and all(entry.get("author") == me for entry in entries)
        case "rate":
            rater = own_rater(scene.part)
            return rater is not None and "baseline" not in each.names and _raters(each) == {rater}
        case _:
            return False


def _entries(plan: Plan, each: Touch) -> list[dict[str, Any]]:
    """Return the notes or findings that a change adds, changes or takes away, as trees."""
    change = each.change
    if each.order:
        return []
    if each.names in ("goals.progress", "goals.findings"):
        found = [side for side in (change.from_, change.to) if side is not None]
        lists = [side if isinstance(side, list) else [side] for side in found]
        flat = [entry for side in lists for entry in side]
        if len(lists) == 2 and isinstance(change.from_, list) and isinstance(change.to, list):
            flat = [entry for entry in flat if not (entry in change.from_ and entry in change.to)]
        return flat
    if each.names.startswith("goals.progress.") and len(each.keys) > 1:
        goal = next((one for one in plan.goals if one.id == each.keys[0]), None)
        return [
            {"author": entry.author, "visibility": entry.visibility}
            for entry in (goal.progress if goal is not None else ())
            if entry.id == each.keys[1]
        ]
    return []


def _noted_by(plan: Plan, each: Touch) -> set[object]:
    """Return who noted the victories that a change adds, changes or takes away."""
    sides = [side for side in (each.change.from_, each.change.to) if isinstance(side, dict)]
    if each.member or each.change.field.endswith("[+]"):
        return {side.get("noted_by") for side in sides}
    goal = next((one for one in plan.goals if one.id == each.keys[0]), None)
    kept = () if goal is None else goal.achievements
    found: set[object] = {one.noted_by for one in kept if one.id in each.keys[1:] or len(each.keys) < 2}
    return found | {each.change.to} if each.names.endswith("noted_by") else found


def _may_write(scene: Scene, each: Touch) -> bool:
    entries = _entries(scene.plan, each)
    # A note that is made private, or given to another author, is judged by what it becomes too.
    field = each.names.rpartition(".")[2]
    if each.names.startswith("goals.progress.") and field in ("visibility", "author"):
        entries = [*entries, *({**entry, field: each.change.to} for entry in entries)]
    private = [entry for entry in entries if entry.get("visibility") == "private"]
    hidden = [entry for entry in entries if entry.get("visibility") != "shared"]
    if hidden and scene.part.role not in _STAFF and scene.part.role != "import":
        return False
    return scene.part.role == "import" or all(entry.get("author") == scene.me for entry in private)


def _raters(each: Touch) -> set[object]:
    sides = [side for side in (each.change.from_, each.change.to) if side is not None]
    lists = [entry for side in sides for entry in (side if isinstance(side, list) else [side])]
    if all(isinstance(entry, dict) for entry in lists):
        return {entry.get("rater") for entry in lists}
    return {each.keys[-1].rpartition("/")[2]} if each.keys else set()


def _recorded_answer(scene: Scene, after: Plan, each: Touch) -> bool:
    """Tell whether a therapist records what someone said or signed: a line with its day, not by portal."""
    if scene.part.role != "therapist" or len(each.keys) < 2 or each.keys[1] == scene.me:
        return False
    person = next((one for one in scene.plan.participants if one.id == each.keys[1]), None)
    if person is not None and person.role == "clinical_supervisor":
        return False
    was, now = (_line(plan, each.keys[0], each.keys[1]) for plan in (scene.plan, after))
    if now is None or now.method == "portal":
        return False
    # What a person answered by portal is not given another form afterwards; another answer has its own day.
    return was is None or was.method != "portal" or was.date != now.date


def _line(plan: Plan, goal_id: str, by: str) -> Acceptance | None:
    lines = (line for goal in plan.goals if goal.id == goal_id for line in goal.acceptance)
    return next((line for line in lines if line.by == by), None)


def _recorded_signature(scene: Scene, each: Touch) -> bool:
    if scene.part.role != "therapist" or len(each.keys) < 2:
        return False
    person = next((one for one in scene.plan.participants if one.id == each.keys[1]), None)
    return person is not None and person.role in _CLIENT_SIDE


def _new(scene: Scene, after: Plan, each: Touch, because: RevisionReason) -> Iterator[Refusal]:
    """Judge a goal or review that is new in the file."""
    if not each.member or each.change.to is None or because in AS_STATED:
        return
    path = file_path(after, each.change.field)
    if each.names == "goals":
        if scene.forbids("propose_goal", path) is not None:
            return  # told already
        goal = next((one for one in after.goals if one.id == each.change.to["id"]), None)
        over = scene.plan_is_over()
        if goal is None:
            return
        if over is not None:
            yield over
        elif goal.lifecycle not in FIRST_STATES:
            sentence = f"A new goal does not begin as {in_words(goal.lifecycle)}."
            yield Refusal("move_not_allowed", f"{path}.lifecycle", sentence, goal.id)
        elif scene.part.role not in ("therapist", "supervisor"):
            refused = new_goal(scene, goal)
            if isinstance(refused, Refusal):
                yield refused
        elif any(line.method == "portal" and line.by != scene.me for line in goal.acceptance):
            sentence = "By portal a person answers alone; what was said or signed can be recorded."
            yield Refusal("not_ones_own", f"{path}.acceptance", sentence, goal.id)
    elif each.names == "reviews":
        review = next(one for one in after.reviews if one.id == each.change.to["id"])
        yield from _foreign_signatures(scene, review, path)


def _foreign_signatures(scene: Scene, review: Review, path: str) -> Iterator[Refusal]:
    roles = {one.id: one.role for one in scene.plan.participants}
    for index, line in enumerate(review.signatures):
        recorded = scene.part.role == "therapist" and roles.get(line.by) in _CLIENT_SIDE
        if signature_state(line) != "unsigned" and line.by != scene.me and not recorded:
            sentence = "Each member of staff signs alone: leave the day out, so that the line waits for them."
            yield Refusal("not_ones_own", f"{path}.signatures[{index}]", sentence, review.id)


def _step(plan: Plan, step_id: str) -> Step | None:
    return next((step for goal in plan.goals for step in goal.steps if step.id == step_id), None)
