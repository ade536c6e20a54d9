"""An edited plan file against the plan as it stands: one revision of the difference, or everything that is not allowed.

`get` → edit the file → `put`: no command says what was meant, so each difference is judged as the action that it is
and each move by its state machine. A refusal's path is one of the edited file; `line_of` finds its line.
"""

from __future__ import annotations

from datetime import date

from fhirgoals.domain.codes import RevisionReason
from fhirgoals.domain.commands.edited import judged
from fhirgoals.domain.commands.outcome import Accepted, Done, Refusal
from fhirgoals.domain.commands.scene import Scene
from fhirgoals.domain.commands.settling import Why, broken, settled
from fhirgoals.domain.invariants import check, errors
from fhirgoals.domain.places import line_of
from fhirgoals.domain.records import Plan, Revision
from fhirgoals.domain.units import touched
from fhirgoals.domain.who import NO_PART, TABLE, Actor, Table, part_of

__all__ = ["line_of", "put_diff"]


def put_diff(
    before: Plan | None,
    after: Plan,
    actor: Actor,
    clock: date,
    because: RevisionReason,
    *,
    requested_by: str | None = None,
    client_agreed: bool | None = None,
    summary: str | None = None,
    rev: int = 0,
    connections: frozenset[str] | None = None,
    table: Table = TABLE,
) -> Accepted | tuple[Refusal, ...]:
    """Return the edited plan with its one revision, or every refusal: who may not, which move is not
    allowed, which invariant would break.

    `before` is the plan at the store's revision `rev`; `None`: the plan is new, and its file states what is.
    A file that changes nothing is refused with the one code `nothing_changes`.
    """
    part = part_of(before or after, actor, clock)
    if part is None or (before is None and part.role not in ("therapist", "supervisor", "import")):
        return (Refusal("no_part_in_plan", "participants", NO_PART, after.id),)
    why = Why(part.id or actor.by, because, requested_by, client_agreed, summary)
    if before is None:
        return _first(after, why, clock, rev, connections)
    if before.id != after.id:
        return (Refusal("plan_id_changed", "plan.id", "The id of a plan never changes.", before.id),)
    if before.status == "entered_in_error":
        sentence = "This plan was entered in error; nothing is done with it any more."
        return (Refusal("plan_entered_in_error", "plan.status", sentence, before.id),)
    scene = Scene(before, part, actor.by, clock, table)
    told = judged(scene, after, because)
    places = {(each.path, each.code) for each in told}
    faults = (*told, *(each for each in broken(before, after, connections) if (each.path, each.code) not in places))
    if faults:
        return faults
    answer = settled(before, Done(after), why, clock, rev, connections)
    return answer if isinstance(answer, Accepted) else (answer,)


def _first(
    plan: Plan, why: Why, clock: date, rev: int, connections: frozenset[str] | None
) -> Accepted | tuple[Refusal, ...]:
    """A plan that is new: only its invariants count; its first revision has no changes, since nothing was before."""
    faults = errors(check(plan, connections))
    if faults:
        return tuple(Refusal(each.code, each.path, each.sentence, each.at) for each in faults)
    revision = Revision(
        rev=rev + 1,
        date=clock,
        by=why.by,
        requested_by=why.requested_by,
        reason=why.because,
        client_agreed=why.client_agreed,
        summary=why.summary,
    )
    return Accepted(plan, revision, touched(None, plan))
