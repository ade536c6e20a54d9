"""Reviews: held, signed, or refused with a reason. The content of a review is final with its first signature."""

from __future__ import annotations

from fhirgoals.domain import codes
from fhirgoals.domain.commands.outcome import Done, Refusal
from fhirgoals.domain.commands.records import HoldReview, RefuseSignature, Sign
from fhirgoals.domain.commands.scene import Scene, blank, changed, reason_missing, replace, with_item
from fhirgoals.domain.lifecycle import SIGNATURE, may_follow, signature_state
from fhirgoals.domain.records import Plan, Review, Signature

_CLIENT_SIDE = frozenset({"client", "legal_representative"})


def hold_review(scene: Scene, command: HoldReview) -> Done | Refusal:
    """Put a review on record, with a line for each who should sign."""
    refused = scene.forbids("hold_review", "reviews")
    if refused is not None:
        return refused
    plan = with_review(scene, scene.plan, command.review, None, supervisor_signs=command.supervisor_signs)
    return plan if isinstance(plan, Refusal) else changed(plan)


def with_review(
    scene: Scene, plan: Plan, review: Review, kind: codes.ReviewKind | None, *, supervisor_signs: bool = False
) -> Plan | Refusal:
    """Return the plan with a review of that kind added, or why it may not be."""
    path = f"reviews[{len(plan.reviews)}]"
    if kind is not None and review.kind != kind:
        return Refusal("review_kind", f"{path}.kind", f"This needs a review of the kind {kind}.", review.id)
    if any(each.id == review.id for each in plan.reviews):
        return Refusal("review_twice", f"{path}.id", "Another review has the same id.", review.id)
    if review.date > scene.today:
        sentence = "The day is still to come: a review is recorded when it was held."
        return Refusal("day_to_come", f"{path}.date", sentence, review.id)
    if any(signature_state(line) != "unsigned" for line in review.signatures):
        sentence = "A review is signed after it is on record, by each person."
        return Refusal("begins_unsigned", f"{path}.signatures", sentence, review.id)
    if plan.kind == "client_treatment":
        if review.client_participation is None:
            sentence = "Say how the client took part in the review."
            return Refusal("participation_not_said", f"{path}.client_participation", sentence, review.id)
        if review.client_participation in ("absent", "refused") and blank(review.reason):
            # Ohio OAC 5122-27-03(C): participation is documented, and a refusal with its reason.
            sentence = "Where the client was absent or refused, the review needs the reason."
            return Refusal("reason_needed", f"{path}.reason", sentence, review.id)
    lines = review.signatures or _lines(plan, supervisor_signs)
    return replace(plan, reviews=(*plan.reviews, replace(review, signatures=lines)))


def _lines(plan: Plan, supervisor_signs: bool) -> tuple[Signature, ...]:
    roles = {"client", "primary_therapist", "therapist_subject"}
    if supervisor_signs or plan.kind == "professional_development":
        roles.add("clinical_supervisor")
    return tuple(Signature(by=each.id) for each in plan.participants if each.role in roles)


def sign(scene: Scene, command: Sign) -> Done | Refusal:
    """Sign a review; a signature is final."""
    found = _signer(scene, command)
    if isinstance(found, Refusal):
        return found
    review, line, path = found
    day = scene.day(command.on, f"{path}.signatures")
    if isinstance(day, Refusal):
        return day
    if day < review.date:
        sentence = "A review is signed on the day it was held, or later."
        return Refusal("signed_before_held", f"{path}.signatures", sentence, review.id)
    if not may_follow(SIGNATURE, signature_state(line), "signed") or signature_state(line) == "signed":
        return Refusal("signed_already", f"{path}.signatures", "This person has signed the review already.", review.id)
    return changed(_with_line(scene.plan, review, Signature(by=line.by, date=day)))


def refuse_signature(scene: Scene, command: RefuseSignature) -> Done | Refusal:
    """Note that someone will not sign, and why."""
    found = _signer(scene, command)
    if isinstance(found, Refusal):
        return found
    review, line, path = found
    if blank(command.reason):
        return reason_missing(f"{path}.signatures", review.id)
    if signature_state(line) != "unsigned":
        sentence = "This person has signed the review, or refused to, already."
        return Refusal("signed_already", f"{path}.signatures", sentence, review.id)
    return changed(_with_line(scene.plan, review, Signature(by=line.by, refused=True, reason=command.reason)))


def _signer(scene: Scene, command: Sign | RefuseSignature) -> tuple[Review, Signature, str] | Refusal:
    """Find the review and the line: the actor's own, or one of the client's side that a therapist records."""
    found = scene.review(command.review)
    if isinstance(found, Refusal):
        return found
    review, path = found
    by = command.by or scene.me
    if by is None:
        return Refusal("no_line", f"{path}.signatures", "This person has no part in the plan to sign for.", review.id)
    person = scene.participant(by)
    if isinstance(person, Refusal):
        return person
    recorded = scene.part.role == "therapist" and person.role in _CLIENT_SIDE
    own = by == scene.me
    refused = None if recorded and not own else scene.forbids("sign", f"{path}.signatures", own=own)
    if refused is not None:
        return refused
    return review, next((each for each in review.signatures if each.by == by), Signature(by=by)), path


def _with_line(plan: Plan, review: Review, line: Signature) -> Plan:
    signed = replace(review, signatures=with_item(review.signatures, lambda each: each.by == line.by, line))
    return replace(plan, reviews=tuple(signed if each.id == review.id else each for each in plan.reviews))
