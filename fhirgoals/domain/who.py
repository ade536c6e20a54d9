"""Who may do what: roles and actions as a table (domain reference 4, "Who may do what"), and the role of an actor.

The table is the default policy; `may` takes another. What an answer such as `own` means for one line, step or note is
for the caller, which knows the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal, TypeAlias

from fhirgoals.domain import codes
from fhirgoals.domain.records import Participant, Plan

Role: TypeAlias = Literal[
    "client",
    "legal_representative",
    "therapist",
    "supervisor",
    "prescriber",
    "support_person",
    "ehr_user",
    "import",
]
Action: TypeAlias = Literal[
    "propose_goal",
    "answer_goal",
    "change_status",
    "change_substance",
    "change_wording",
    "change_own_words",
    "add_note",
    "arrange",
    "mark_step",
    "add_victory",
    "settle",
    "rate",
    "consent",
    "private_text",
    "hold_review",
    "sign",
    "agree_version",
]
Answer: TypeAlias = Literal["yes", "own", "request", "queue", "taken", "as_stated", "ignored", "no"]
"""yes: anything; own: only one's own line, step, words or note; request: may ask, a therapist does it.

Of an EHR's or an import's edits: queue: waits as a proposal; taken: as it is; as_stated: what the file says, marked
as imported; ignored: kept in the history only.
"""

NO_PART = (
    "This person has no part in this plan today, so they change nothing in it:"
    " let one of its therapists do it, or add the person to its participants."
)
"""What is said to someone without a part, whoever they are and whatever they ask."""

Table: TypeAlias = Mapping[Action, Mapping[Role, Answer]]


def _row(**answers: Answer) -> Mapping[Role, Answer]:
    # `import` is no name for an argument.
    return MappingProxyType({"import" if role == "imported" else role: answer for role, answer in answers.items()})  # type: ignore[misc]


TABLE: Table = MappingProxyType(
    {
        "propose_goal": _row(
            client="yes",
            legal_representative="yes",
            therapist="yes",
            supervisor="yes",
            ehr_user="taken",
            imported="as_stated",
        ),
        # A therapist also records what a client said or signed; a supervisor has a line in a development plan only.
        "answer_goal": _row(
            client="own",
            legal_representative="own",
            therapist="own",
            prescriber="own",
            support_person="own",
            ehr_user="queue",
            imported="as_stated",
        ),
        "change_status": _row(therapist="yes", supervisor="yes", ehr_user="queue", imported="as_stated"),
        "change_substance": _row(
            client="request",
            legal_representative="request",
            therapist="yes",
            supervisor="yes",
            ehr_user="queue",
            imported="as_stated",
        ),
        "change_wording": _row(
            client="request", therapist="yes", supervisor="yes", ehr_user="taken", imported="as_stated"
        ),
        "change_own_words": _row(client="yes", therapist="yes", supervisor="yes", imported="as_stated"),
        "add_note": _row(
            client="own",
            legal_representative="own",
            therapist="yes",
            supervisor="yes",
            prescriber="own",
            support_person="own",
            ehr_user="taken",
            imported="as_stated",
        ),
        "arrange": _row(therapist="yes", supervisor="yes", ehr_user="ignored"),
        "mark_step": _row(
            client="own",
            legal_representative="own",
            therapist="yes",
            supervisor="yes",
            support_person="own",
            ehr_user="queue",
            imported="as_stated",
        ),
        "add_victory": _row(client="yes", therapist="yes", supervisor="yes", ehr_user="queue", imported="as_stated"),
        "settle": _row(therapist="yes", supervisor="yes"),
        # Own: as the rater that one is; a caregiver for a representative, relative or friend.
        "rate": _row(
            client="own",
            legal_representative="own",
            therapist="yes",
            support_person="own",
            ehr_user="taken",
            imported="as_stated",
        ),
        # The law decides about a representative: here one who is on record, unless the minor consented alone.
        # A therapist records on the client's behalf.
        "consent": _row(client="yes", legal_representative="yes", therapist="yes"),
        "private_text": _row(therapist="own", supervisor="own", prescriber="own", imported="as_stated"),
        "hold_review": _row(therapist="yes", supervisor="yes", imported="as_stated"),
        "sign": _row(client="own", legal_representative="own", therapist="own", supervisor="own", imported="as_stated"),
        "agree_version": _row(therapist="yes", supervisor="yes", imported="as_stated"),
    }
)

_ROLES: Mapping[codes.ParticipantRole, Role] = MappingProxyType(
    {
        "client": "client",
        "legal_representative": "legal_representative",
        "primary_therapist": "therapist",
        "therapist_subject": "therapist",
        "clinical_supervisor": "supervisor",
        "prescriber": "prescriber",
        "family": "support_person",
        "support_person": "support_person",
    }
)
"""What a part in a plan counts as; a former therapist has no part any more."""

_RANK: tuple[Role, ...] = (
    "therapist",
    "supervisor",
    "client",
    "legal_representative",
    "prescriber",
    "support_person",
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person by the id of the part in the plan or of the person; an EHR's user or an import by its name."""

    by: str
    kind: Literal["person", "ehr_user", "import"] = "person"


@dataclass(frozen=True, slots=True)
class Part:
    """What an actor is in a plan; `participant` is `None` for an EHR's user and an import."""

    role: Role
    participant: Participant | None

    @property
    def id(self) -> str | None:
        """The participant's id, whose lines, steps and notes are the actor's own."""
        return None if self.participant is None else self.participant.id


def part_of(plan: Plan, actor: Actor, on: date) -> Part | None:
    """Return the part that an actor has in a plan on a day, the one with most rights first; `None`: no part.

    A representative of a minor who consented to the treatment alone has none: the plan is not shown to them.
    """
    if actor.kind != "person":
        return Part(actor.kind, None)
    alone = plan.client is not None and plan.client.minor_self_consented
    parts = [
        Part(_ROLES[each.role], each)
        for each in plan.participants
        if actor.by in (each.id, each.ref) and each.role in _ROLES and _current(each, on)
    ]
    open_to = [part for part in parts if not (alone and part.role == "legal_representative")]
    return min(open_to, key=lambda part: _RANK.index(part.role), default=None)


def may(plan: Plan, part: Part, action: Action, table: Table = TABLE) -> Answer:
    """Return what the policy says about an actor's part and an action."""
    if action == "answer_goal" and part.role == "supervisor" and plan.kind == "professional_development":
        return "own"
    return table[action].get(part.role, "no")


def _current(participant: Participant, on: date) -> bool:
    period = participant.period
    return period is None or period.end is None or on <= period.end
