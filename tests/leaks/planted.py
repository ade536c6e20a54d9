"""Values to plant, each found nowhere else, and what to look for, per row of the table of fields.

A text is a sentence with characters that every escape changes; a date lies in 2031 to 2039; a number has digits of its
own; a reference names something that only it names. What can't hold such a value is in `NO_PLANT`, with the reason.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from fhirgoals.domain.records import Plan

Tree: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["text", "id", "date", "number", "code"]


NO_PLANT = {
    "Client.minor_self_consented": "a boolean",
    "Client.record_status": "one of three words",
    "Staff.supervisor_signs": "a boolean",
    "Goal.share_words": "a boolean, a gate",
    "Goal.share": "one of two words, a gate",
    "Goal.exposure_hierarchy": "a boolean",
    "Goal.review": "one of two words",
    "Measure.better": "one of three words",
    "Reading.flags": "one word, a boolean mark",
    "Step.n": "a place in a list",
    "Goal.ordinal": "a place in a list",
    "ProgressEntry.visibility": "one of three words, a gate",
    "Finding.visibility": "one of three words",
    "Achievement.size": "one of three words",
    "Achievement.share": "a boolean, a gate",
    "Acceptance.method": "one of three words",
    "Acceptance.status": "one of three words",
    "Acceptance.priority": "one of three words, or a concept that no person of ours writes",
    "Review.kind": "one of four words",
    "Review.outcome": "one of five words",
    "Review.client_participation": "one of four words",
    "Signature.refused": "a boolean",
    "Revision.client_agreed": "a boolean",
    "Session.mode": "one of four words",
    "Consent.method": "one of two words",
    "Consent.scope": "one word",
    "Consent.sensitivities": "a list of eight words, a gate",
    "Disclosure.default": "one word",
    "DischargeCriterion.op": "one of six signs",
    "Plan.schema": "the file format's name, in no record",
    "Plan.kind": "one of two words, a gate",
    "Plan.status": "a word of a required value set, or a foreign one that no plan of ours starts with",
    "Participant.role": "one of nine words",
    "Problem.status": "one of two words",
    "Problem.sensitivities": "a list of eight words, a gate",
    "Measure.sensitivities": "a list of eight words, a gate",
    "Reading.rater": "one of four words",
    "GasRating.level": "a number from -2 to 2",
    "GasRating.rater": "one of three words",
    "Goal.horizon": "one of two words; no new resource is sent with another code of our own system",
    "Goal.nature": "one of three words, likewise",
    "Goal.lifecycle": "a word of a required value set",
    "Goal.closure_reason": "one of nine words",
    "Goal.sensitivities": "a list of eight words",
    "Target.op": "one of six signs",
    "Step.owner": "one of three words",
    "Step.status": "a word of a required value set",
    "SmartResult.letters": "one of four words for each of five letters",
    "Review.next_due": "derived, in no record",
}
"""Rows whose value is one of a few words, a truth value or a place: tests compare runs, or look at a path."""

LISTS = {
    "Plan.discharge_criteria": "DischargeCriterion.text",
    "Plan.discharge": "Discharge.summary",
    "Plan.goals": "Goal.text",
    "Plan.participants": "Participant.display",
    "Plan.problems": "Problem.client_words",
    "Plan.measures": "Measure.instrument",
    "Plan.interventions": "Intervention.technique",
    "Plan.sessions": "Session.id",
    "Plan.reviews": "Review.summary",
    "Plan.revisions": "Revision.summary",
    "Plan.disclosure": "Withheld.reason",
    "Participant.period": "Period.start",
    "Goal.readiness": "Readiness.importance",
    "Goal.targets": "Target.value",
    "Goal.gas": "Gas.levels",
    "Goal.smart": "SmartResult.rule_version",
    "Goal.acceptance": "Acceptance.reason",
    "Goal.steps": "Step.text",
    "Goal.progress": "ProgressEntry.text",
    "Goal.findings": "Finding.text",
    "Goal.achievements": "Achievement.text",
    "Goal.barriers": "Barrier.text",
    "Goal.revisions": "Revision.summary",
    "Target.sustain": "Sustain.count",
    "Measure.baseline": "Reading.value",
    "Measure.readings": "Reading.value",
    "Gas.ratings": "GasRating.date",
    "Step.trials": "Trial.peak",
    "ProgressEntry.origin": "Origin.resource",
    "Goal.origin": "Origin.resource",
    "Review.signatures": "Signature.reason",
    "Revision.changes": "Change.to",
    "Disclosure.consents": "Consent.id",
    "Disclosure.withheld": "Withheld.reason",
    "DischargeCriterion.sustain": "Sustain.count#criterion",
    "Barrier.goal": "Goal.id",
    "Step.goal": "Goal.id",
    "Goal.plan": "Plan.id",
    "Plan.client": "Client.id",
    "Plan.therapist": "Staff.id",
    "Participant.ref": "Staff.id",
    "Goal.addresses": "Problem.id",
    "Intervention.goals": "Goal.id",
    "Target.measure": "Measure.id",
    "Withheld.target": "Goal.id#listed",
}
"""Rows that hold records: what stands for the whole is one value inside."""


@dataclass(frozen=True)
class Seed:
    """One planted value: the row, where it was planted, and its text on the wire if it got there."""

    row: str
    at: str
    kind: Kind
    text: str

    @property
    def core(self) -> str:
        """The shortest part that no other value has."""
        return self.text[:10] if self.kind == "text" else self.text


@dataclass
class Field:
    """Hands out values and remembers them. `at` names the place (`main`, `withheld`, …)."""

    seeds: dict[str, list[Seed]] = field(default_factory=lambda: defaultdict(list))
    _count: int = 0

    def text(self, row: str, at: str = "main") -> str:
        return self._new(row, at, "text", f'zq{digest(row, at)} {row} <é & "so" it\'s> {at}')

    def id(self, row: str, at: str = "main") -> str:
        return self._new(row, at, "id", f"zq{digest(row, at)}-{row.rpartition('.')[2].replace('_', '-')}")

    def date(self, row: str, at: str = "main") -> str:
        self._count += 1
        return self._new(row, at, "date", (date(2031, 1, 1) + timedelta(days=self._count)).isoformat())

    def day(self, row: str, day: str, at: str = "main") -> str:
        """A day that must lie near the clock; no other field has it."""
        return self._new(row, at, "date", day)

    def whole(self, row: str, at: str = "main") -> int:
        self._count += 1
        return int(self._new(row, at, "number", str(730_011 + 7 * self._count)))

    def decimal(self, row: str, at: str = "main") -> Decimal:
        self._count += 1
        return Decimal(self._new(row, at, "number", f"{7341 + self._count}.250"))

    def word(self, row: str, word: str, at: str = "main") -> str:
        """A code that stands in no other field."""
        return self._new(row, at, "code", word)

    def text_of(self, row: str, at: str = "main") -> str:
        """What was planted there before."""
        return next(seed.text for seed in self.seeds[row] if seed.at == at)

    def _new(self, row: str, at: str, kind: Kind, text: str) -> str:
        self.seeds[row].append(Seed(row, at, kind, text))
        return text


def digest(row: str, at: str) -> str:
    return hashlib.sha256(f"{row}/{at}".encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Planted:
    """The plans and every seed in them."""

    plans: tuple[Plan, ...]
    seeds: dict[str, list[Seed]]
    related: Tree

    def of(self, row: str, at: str = "main") -> list[Seed]:
        """Return the seeds of a row at a place; a row of records is represented by a value inside."""
        name, _, inside = LISTS.get(row, row).partition("#")
        return [seed for seed in self.seeds.get(name, ()) if seed.at == (inside or at)]

    def under(self, place: str) -> list[Seed]:
        """Return all seeds of a goal or plan: at the place and at parts of it (`main-private`)."""
        every = (seed for seeds in self.seeds.values() for seed in seeds)
        return [seed for seed in every if seed.at == place or seed.at.startswith(f"{place}-")]

    def text(self, row: str, at: str = "main") -> str:
        """Return the first value of a row at a place."""
        own = [seed for seed in self.seeds.get(row, ()) if seed.at == at]
        return (own or self.of(row, at))[0].text
