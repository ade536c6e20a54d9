"""Who agreed to a goal or plan: the client's side, the therapists' side (invariant 9, seed statement 17)."""

from __future__ import annotations

from collections.abc import Collection

from fhirgoals.domain.records import Goal, Participant, Plan

CLIENT_SIDE: frozenset[str] = frozenset({"client", "legal_representative"})
THERAPISTS: frozenset[str] = frozenset({"primary_therapist", "former_therapist"})
"""Roles of a therapist, then or now: who signed the first version may have handed over since."""


def client_side(plan: Plan) -> tuple[Participant, ...]:
    """Return whose agreement a goal needs: the client or legal representative, or a development plan's subject.

    A minor who consented to the treatment alone is not spoken for by a representative (domain reference 11.10).
    """
    if plan.kind == "professional_development":
        return _of_roles(plan, {"therapist_subject"})
    alone = plan.client is not None and plan.client.minor_self_consented
    return _of_roles(plan, {"client"} if alone else CLIENT_SIDE)


def client_agrees(plan: Plan, goal: Goal) -> bool:
    """Tell whether the client's side has agreed to a goal."""
    return _agrees(goal, client_side(plan))


def therapist_agrees(plan: Plan, goal: Goal) -> bool:
    """Tell whether a therapist has agreed to a goal; of a development plan's goals its subject."""
    development = plan.kind == "professional_development"
    return _agrees(goal, client_side(plan) if development else _of_roles(plan, THERAPISTS))


def signed_by(plan: Plan, author: str, roles: Collection[str]) -> bool:
    """Tell whether an author, named by the part in the plan or by the person, has one of those roles."""
    return any(author in (each.id, each.ref) for each in _of_roles(plan, roles))


def _agrees(goal: Goal, people: tuple[Participant, ...]) -> bool:
    ids = {each.id for each in people}
    return any(line.by in ids and line.status == "agree" for line in goal.acceptance)


def _of_roles(plan: Plan, roles: Collection[str]) -> tuple[Participant, ...]:
    return tuple(each for each in plan.participants if each.role in roles)
