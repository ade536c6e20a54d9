"""The moves in an edited plan: states that may follow each other, and what is final once it is on record."""

from __future__ import annotations

from collections.abc import Iterator

from fhirgoals.domain.codes import RevisionReason
from fhirgoals.domain.commands.goals import not_agreed
from fhirgoals.domain.commands.outcome import Refusal
from fhirgoals.domain.commands.scene import Scene, blank
from fhirgoals.domain.commands.sharing import not_a_grant
from fhirgoals.domain.commands.touching import Touch
from fhirgoals.domain.lifecycle import (
    GOAL,
    PLAN,
    SIGNATURE,
    STEP,
    in_words,
    may_follow,
    needs_reason,
    review_state,
    signature_state,
)
from fhirgoals.domain.places import file_path
from fhirgoals.domain.records import Consent, Goal, Plan

_FINAL = "What is on record stays: add a new one instead."


def moves(scene: Scene, after: Plan, touches: tuple[Touch, ...], because: RevisionReason) -> Iterator[Refusal]:
    """Yield every move that no state machine has, and every change of what is final."""
    before = scene.plan
    if not may_follow(PLAN, before.status, after.status):
        sentence = f"A plan that is {in_words(before.status)} does not become {in_words(after.status)}."
        yield Refusal("move_not_allowed", "plan.status", sentence, after.id)
    old = {goal.id: goal for goal in before.goals}
    for index, goal in enumerate(after.goals):
        if goal.id in old:
            yield from _goal(after, old[goal.id], goal, f"goals[{index}]")
    for each in touches:
        yield from _final(before, after, each)
        if because != "correction":
            yield from _numbers(after, each)
    yield from _consents(scene, after)
    yield from _signatures(before, after)


def _goal(plan: Plan, before: Goal, after: Goal, path: str) -> Iterator[Refusal]:
    if before.lifecycle != after.lifecycle:
        if not may_follow(GOAL, before.lifecycle, after.lifecycle):
            sentence = f"A goal that is {in_words(before.lifecycle)} does not become {in_words(after.lifecycle)}."
            yield Refusal("move_not_allowed", f"{path}.lifecycle", sentence, after.id)
        elif needs_reason(before.lifecycle, after.lifecycle) and blank(after.status_reason) and not _said(after):
            sentence = "This move needs a reason in words."
            yield Refusal("reason_needed", f"{path}.status_reason", sentence, after.id)
        elif after.lifecycle in ("accepted", "active"):
            refused = not_agreed(plan, after, path)
            if refused is not None:
                yield refused
    steps = {step.id: step for step in before.steps}
    for index, step in enumerate(after.steps):
        was = steps.get(step.id)
        if was is not None and not may_follow(STEP, was.status, step.status):
            sentence = f"A step that is {in_words(was.status)} does not become {in_words(step.status)}."
            yield Refusal("move_not_allowed", f"{path}.steps[{index}].status", sentence, step.id)


def _said(goal: Goal) -> bool:
    """Tell whether a closure reason says enough: of a goal that is cancelled it does (invariant 8)."""
    return goal.lifecycle in ("cancelled", "on_hold") and goal.closure_reason is not None


def _final(before: Plan, after: Plan, each: Touch) -> Iterator[Refusal]:
    path = file_path(after, each.change.field)
    at = each.keys[0] if each.keys else after.id
    gone = each.member and each.change.to is None
    if each.names.startswith("goals.origin"):
        yield Refusal("origin_is_final", path, "Where a goal came from does not change.", at)
    elif (each.names.endswith("revisions") and gone) or each.names.startswith(("revisions.", "goals.revisions.")):
        yield Refusal("version_is_final", path, _FINAL, at)
    elif each.names == "goals.acceptance" and gone:
        sentence = "An answer stays on record: change it instead of taking it away."
        yield Refusal("answer_is_final", path, sentence, at)
    elif each.names.startswith("reviews") and not each.names.startswith("reviews.signatures"):
        review = next((one for one in before.reviews if one.id == at), None)
        if gone or (review is not None and not each.member and review_state(review) == "signed"):
            sentence = "A review that was signed does not change any more: hold another one."
            yield Refusal("review_is_final", path, sentence, at)


_NUMBERS = ("measures.readings", "measures.baseline", "goals.gas.ratings", "goals.steps.trials")

_HOLDERS = {"measures": "readings", "goals.gas": "ratings"}


def _numbers(after: Plan, each: Touch) -> Iterator[Refusal]:
    """Yield a number on record that is changed or taken away; new ones come beside it."""
    added = each.change.from_ is None and (each.member or each.names in ("measures.baseline", *_NUMBERS[2:]))
    whole = each.names in _HOLDERS and each.change.to is None and bool(each.change.from_.get(_HOLDERS[each.names]))
    if whole or (each.names.startswith(_NUMBERS) and not added and not each.order):
        sentence = "A number on record is not changed or taken away but to correct it: say so as the reason."
        yield Refusal("number_on_record", file_path(after, each.change.field), sentence, each.keys[0])


def _consents(scene: Scene, after: Plan) -> Iterator[Refusal]:
    old = {consent.id: consent for consent in scene.plan.disclosure.consents}
    new = {consent.id for consent in after.disclosure.consents}
    for gone in old.keys() - new:
        sentence = "A consent stays on record: end it with the first day without it."
        yield Refusal("consent_is_final", "disclosure.consents", sentence, gone)
    for index, consent in enumerate(after.disclosure.consents):
        path = f"disclosure.consents[{index}]"
        was = old.get(consent.id)
        if (was is None or was.granted is None) and consent.granted is not None:
            refused = not_a_grant(scene, consent, path)
            if refused is not None:
                yield refused
        if was is not None and was != consent and not _ended(was, consent):
            sentence = "A consent on record can only be ended: what is wider or longer is a consent of its own."
            yield Refusal("consent_is_final", path, sentence, consent.id)


def _ended(was: Consent, now: Consent) -> bool:
    """Tell whether a consent differs in being over sooner only, or is the answer to one that was asked for."""
    if was.granted is None and was.refused is None:
        return (was.id, was.endpoint) == (now.id, now.endpoint)
    shorter = now.expires is not None and (was.expires is None or now.expires <= was.expires)
    same = all(getattr(was, name) == getattr(now, name) for name in Consent.__struct_fields__ if name != "expires")
    return same and shorter


def _signatures(before: Plan, after: Plan) -> Iterator[Refusal]:
    old = {review.id: {line.by: line for line in review.signatures} for review in before.reviews}
    for place, review in enumerate(after.reviews):
        lines = {line.by: line for line in review.signatures}
        for by, was in old.get(review.id, {}).items():
            now = lines.get(by)
            final = signature_state(was) == "signed" and now != was
            if final or not may_follow(SIGNATURE, signature_state(was), signature_state(now)):
                sentence = "A signature is final, and so is the record of a refusal until it is signed."
                yield Refusal("signature_is_final", f"reviews[{place}].signatures", sentence, review.id)
