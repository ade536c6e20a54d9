"""Names on both sides: which reference or element id on the wire stands for which of our ids, per connection.

A person, problem or goal that is not linked has no name there: `visible` takes it out of what the connection sees
(design 4), so that no reference dangles and nothing is said of people whom the EHR does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

import msgspec

from fhirgoals.domain.identity import wire_id
from fhirgoals.domain.records import Goal, Plan
from fhirgoals.domain.units import Values, default_performer, units

replace = msgspec.structs.replace

ROLE_WORDS: Mapping[str, str] = {
    "client": "Client",
    "primary_therapist": "Therapist",
    "former_therapist": "Former therapist",
    "clinical_supervisor": "Clinical supervisor",
    "prescriber": "Prescriber",
    "family": "Family member",
    "support_person": "Support person",
    "legal_representative": "Legal representative",
    "therapist_subject": "Therapist",
}
"""How an author is named where the EHR does not know the person: by role, never by name."""


_PORTS = {"http": 80, "https": 443}
_ABSOLUTE = re.compile(r"/[A-Z][A-Za-z]+/[^/?#]+")


def relative(base_url: str | None, reference: str) -> str:
    """Return a reference without the EHR's own base and without a version.

    However that base is spelled: scheme and host in any case, the scheme's own port named, or the path alone.
    """
    reference = reference.partition("/_history/")[0]
    if reference.startswith("/") or "://" in reference:
        reference = _without_base(base_url, reference)
    return reference[1:] if _ABSOLUTE.fullmatch(reference) else reference


def _without_base(base_url: str | None, reference: str) -> str:
    if not base_url:
        return reference
    try:
        base, told = urlsplit(base_url.rstrip("/") + "/"), urlsplit(reference)
        same = told.path == reference or _server(told) == _server(base)
    except ValueError:  # no address at all
        return reference
    plain = not (told.query or told.fragment)
    return told.path[len(base.path) :] if same and plain and told.path.startswith(base.path) else reference


def _server(address: SplitResult) -> tuple[str, str | None, str | None, int | None]:
    """Return what an address says of its server; `urlsplit` gives scheme and host in small letters."""
    return address.scheme, address.username, address.hostname, address.port or _PORTS.get(address.scheme)


@dataclass(frozen=True)
class Refs:
    """The names of one plan at one connection.

    `people` maps ids of clients, staff and related people, `problems` and `goals` ids of this plan, each to a
    relative reference (`Patient/12`); `participants` gives the person and role behind each participant. `base_url`
    is the EHR's base: absolute references under it read as relative.
    """

    namespace: UUID
    plan_id: str
    people: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    goals: Mapping[str, str] = field(default_factory=dict)
    participants: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    base_url: str | None = None

    def element(self, kind: str, local_id: str) -> str:
        """Return the element id on the wire of a note, target, step or intervention of this plan."""
        return wire_id(self.namespace, kind, self.plan_id, local_id)

    def relative(self, reference: str) -> str:
        """Return the reference without the EHR's own base and without a version."""
        return relative(self.base_url, reference)

    def person(self, participant: str | None) -> str | None:
        """Return the reference of a participant, or `None` where the person is not linked here."""
        person, _role = self.participants.get(participant or "", ("", ""))
        return self.people.get(person)

    def role_words(self, participant: str) -> str | None:
        """Return a participant's role in words, or `None` for someone who is no participant."""
        _person, role = self.participants.get(participant, ("", ""))
        return ROLE_WORDS.get(role)

    def participant(self, reference: str) -> str | None:
        """Return the participant whom a reference stands for, or `None`."""
        return self._participant_by_reference.get(self.relative(reference))

    def goal(self, reference: str) -> str | None:
        """Return the goal that a reference stands for, or `None`."""
        return self._goal_by_reference.get(self.relative(reference))

    def problem(self, reference: str) -> str | None:
        """Return the problem that a reference stands for, or `None`."""
        return self._problem_by_reference.get(self.relative(reference))

    @cached_property
    def _participant_by_reference(self) -> dict[str, str]:
        return {
            self.people[person]: participant
            for participant, (person, _role) in reversed(list(self.participants.items()))
            if person in self.people
        }

    @cached_property
    def _goal_by_reference(self) -> dict[str, str]:
        return {reference: goal for goal, reference in self.goals.items()}

    @cached_property
    def _problem_by_reference(self) -> dict[str, str]:
        return {reference: problem for problem, reference in self.problems.items()}


def participants_of(plan: Plan) -> dict[str, tuple[str, str]]:
    """Return the person and the role behind each participant of the whole plan (not of its disclosed part)."""
    return {participant.id: (participant.ref, participant.role) for participant in plan.participants}


def visible(disclosed: Plan, refs: Refs) -> Values:
    """Return the merge units that the connection sees: of the disclosed plan, less what is not linked there.

    An agreement line, a performer or an originator drops out; an author is named by role instead.
    """
    values = units(_linked(disclosed, refs))
    for unit, value in values.items():
        if unit.family == "note:<id>" and "author" in value and refs.person(value["author"]) is None:
            words = refs.role_words(value["author"])
            values[unit] = {name: part for name, part in value.items() if name != "author"} | (
                {"author_text": words} if words else {}
            )
    return values


def _linked(plan: Plan, refs: Refs) -> Plan:
    def known(participant: str | None) -> str | None:
        return participant if refs.person(participant) else None

    def of_goal(goal: Goal) -> Goal:
        return replace(
            goal,
            addresses=tuple(problem for problem in goal.addresses if problem in refs.problems),
            expressed_by=known(goal.expressed_by),
            acceptance=tuple(one for one in goal.acceptance if known(one.by)),
            steps=tuple(
                replace(step, participant=known(step.participant or default_performer(plan, step.owner)))
                for step in goal.steps
            ),
        )

    return replace(
        plan,
        participants=tuple(one for one in plan.participants if known(one.id)),
        problems=tuple(problem for problem in plan.problems if problem.id in refs.problems),
        interventions=tuple(replace(one, by=known(one.by)) for one in plan.interventions),
        goals=tuple(of_goal(goal) for goal in plan.goals),
    )
