"""Consents per connection, and what the client keeps back. What it means for what is sent is `disclosure`'s."""

from __future__ import annotations

from fhirgoals.domain.commands.outcome import Done, Refusal
from fhirgoals.domain.commands.records import GrantConsent, RefuseConsent, Release, RevokeConsent, Withhold
from fhirgoals.domain.commands.scene import Scene, changed, replace, withheld_everywhere
from fhirgoals.domain.lifecycle import consent_state, in_words
from fhirgoals.domain.records import Consent, Plan, Withheld


def grant_consent(scene: Scene, command: GrantConsent) -> Done | Refusal:
    """Add a consent; a wider or longer one is a consent of its own."""
    consent, path = command.consent, _next(scene.plan)
    refused = _refused(scene, consent.id, path)
    if refused is not None:
        return refused
    return not_a_grant(scene, consent, path) or changed(_with_consent(scene.plan, consent))


def not_a_grant(scene: Scene, consent: Consent, path: str) -> Refusal | None:
    """Return why a new consent does not stand as one that is granted, or `None`."""
    if consent.granted is None or consent.refused is not None:
        sentence = "A consent that is granted has the day it was granted on, and was not refused."
        return Refusal("consent_not_granted", f"{path}.granted", sentence, consent.id)
    if consent.granted > scene.today:
        return Refusal("day_to_come", f"{path}.granted", "A consent is granted on the day it is given.", consent.id)
    if consent.method is None:
        # Open clinical question 9.
        sentence = "Sharing needs a consent in writing or by portal: say which."
        return Refusal("consent_without_method", f"{path}.method", sentence, consent.id)
    if consent.method == "portal" and scene.part.role == "therapist":
        sentence = "By portal a person answers alone; a signature can be recorded."
        return Refusal("not_ones_own", f"{path}.method", sentence, consent.id)
    if consent.expires is not None and consent.expires <= consent.granted:
        sentence = "The first day without the consent is after the day it was granted on."
        return Refusal("consent_ends_first", f"{path}.expires", sentence, consent.id)
    return None


def refuse_consent(scene: Scene, command: RefuseConsent) -> Done | Refusal:
    """Put a refusal on record; it ends what was granted before."""
    path = _next(scene.plan)
    refused = _refused(scene, command.id, path)
    day = refused or scene.day(command.on, f"{path}.refused")
    if isinstance(day, Refusal):
        return day
    return changed(_with_consent(scene.plan, Consent(id=command.id, endpoint=command.endpoint, refused=day)))


def revoke_consent(scene: Scene, command: RevokeConsent) -> Done | Refusal:
    """End a consent; that it was granted stays on record."""
    refused = scene.forbids("consent", "disclosure.consents")
    if refused is not None:
        return refused
    consents = scene.plan.disclosure.consents
    index = next((place for place, each in enumerate(consents) if each.id == command.id), None)
    if index is None:
        sentence = "The plan has no consent of that id."
        return Refusal("consent_unknown", "disclosure.consents", sentence, command.id)
    consent, path = consents[index], f"disclosure.consents[{index}]"
    state = consent_state(consent, scene.today)
    if state != "granted":
        sentence = f"This consent is {in_words(state)}; there is nothing to take back."
        return Refusal("consent_not_in_force", path, sentence, consent.id)
    day = scene.day(command.on, f"{path}.expires")
    if isinstance(day, Refusal):
        return day
    ended = replace(consent, expires=max(day, consent.granted or day))
    every = tuple(ended if each.id == consent.id else each for each in consents)
    return changed(replace(scene.plan, disclosure=replace(scene.plan.disclosure, consents=every)))


def withhold(scene: Scene, command: Withhold) -> Done | Refusal:
    """Keep a goal or problem back, from one connection or from all (then by both marks, invariant 23)."""
    refused = scene.forbids("consent", "disclosure.withheld") or _no_target(scene.plan, command.target)
    if refused is not None:
        return refused
    plan = scene.plan
    if command.endpoint is None:
        return changed(withheld_everywhere(plan, command.target, command.reason))
    entries = plan.disclosure.withheld
    if any((each.target, each.endpoint) == (command.target, command.endpoint) for each in entries):
        sentence = "This is kept back from that connection already."
        return Refusal("is_so_already", "disclosure.withheld", sentence, command.target)
    entry = Withheld(target=command.target, endpoint=command.endpoint, reason=command.reason)
    return changed(replace(plan, disclosure=replace(plan.disclosure, withheld=(*entries, entry))))


def release(scene: Scene, command: Release) -> Done | Refusal:
    """No longer keep a goal or problem back; from all connections takes both marks away."""
    refused = scene.forbids("consent", "disclosure.withheld") or _no_target(scene.plan, command.target)
    if refused is not None:
        return refused
    plan = scene.plan
    kept = tuple(
        each for each in plan.disclosure.withheld if (each.target, each.endpoint) != (command.target, command.endpoint)
    )
    marked = command.endpoint is None and any(
        each.id == command.target and each.share == "withheld" for each in plan.goals
    )
    if len(kept) == len(plan.disclosure.withheld) and not marked:
        sentence = "This is not kept back in that way."
        return Refusal("not_withheld", "disclosure.withheld", sentence, command.target)
    goals = tuple(
        replace(each, share="default") if marked and each.id == command.target else each for each in plan.goals
    )
    return changed(replace(plan, goals=goals, disclosure=replace(plan.disclosure, withheld=kept)))


def _refused(scene: Scene, consent_id: str, path: str) -> Refusal | None:
    refused = scene.forbids("consent", "disclosure.consents")
    if refused is None and scene.plan.kind != "client_treatment":
        sentence = "A development plan is never sent, so there is nothing to consent to."
        refused = Refusal("never_sent", "disclosure.consents", sentence, scene.plan.id)
    if refused is None and any(each.id == consent_id for each in scene.plan.disclosure.consents):
        sentence = "Each answer is a consent of its own: give it another id."
        refused = Refusal("consent_twice", f"{path}.id", sentence, consent_id)
    return refused


def _no_target(plan: Plan, target: str) -> Refusal | None:
    if target in {goal.id for goal in plan.goals} | {problem.id for problem in plan.problems}:
        return None
    sentence = "The plan has no goal or problem of that id."
    return Refusal("goal_or_problem_unknown", "disclosure.withheld", sentence, target)


def _with_consent(plan: Plan, consent: Consent) -> Plan:
    every = (*plan.disclosure.consents, consent)
    return replace(plan, disclosure=replace(plan.disclosure, consents=every))


def _next(plan: Plan) -> str:
    return f"disclosure.consents[{len(plan.disclosure.consents)}]"
