"""The page on disclosure: what is sent where, what may stop it, what never leaves, and what client and proxy read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from fhirgoals.docs.markdown import GENERATED, code, page, table
from fhirgoals.domain import fields, pruning, readers
from fhirgoals.domain.disclosure import Reason
from fhirgoals.domain.fields import FieldRow, Sent

_INTRO = """# What is sent where

Nothing leaves unless a row of the table of fields (`fhirgoals/domain/fields.csv`) lets it out, the client consented to
that one connection, and nothing below stops it. A field without a row stays. What stays leaves no trace: no reference,
no count, no gap in a numbering, no line in a narrative. These pages are written from that table and from the code.

"At the EHR" is the place in FHIR R4 Goal and CarePlan. "An EHR's edit" says what happens when the value is changed
there and not here: *taken*, *asked* (a person here decides), or *not taken*. The words for our own extensions are in
`https://fhirgoals.org/fhir`; `hl7:` stands for those of HL7."""

_GATES: Mapping[Reason, str] = {
    "professional_development": "A therapist's own development plan is accepted by no connection.",
    "no_client": "The plan has no client.",
    "unfiled": "The client's unfiled plan, `unfiled-<client>`: goals that came from an EHR and are in no plan there.",
    "plan_draft": "The plan is a draft.",
    "plan_entered_in_error": "The plan was entered in error; what was sent of it before is marked so there.",
    "no_consent": "The client gave no consent for this connection, or it has not begun.",
    "consent_refused": "The client refused, or took the consent back.",
    "consent_expired": "The consent has ended: `expires` is the first day without.",
    "minor_self_consented": "A minor consented to their own care, and what this connection gets is shown in a portal.",
    "withheld": "The client withholds the goal, or every problem that it is for.",
    "draft": "The goal is a draft.",
    "proposed": "The goal is only proposed (a connection can be set to get these).",
    "declined_never_sent": "The goal was declined before it was ever sent.",
    "entered_in_error_never_sent": "The goal was entered in error before it was ever sent.",
    "status_unknown": "The goal's status is none that we know.",
    "other_origin": "The goal was born at another EHR.",
    "sensitivity_not_consented": "The consent does not cover the goal's kind of content, its own or that of a problem "
    "or measure it is about. All content of a client's plan is mental health content (`MH`).",
}
_FOR_A_PLAN = 8  # the first so many stop a whole plan

_SECTIONS: Mapping[Sent, tuple[str, str]] = {
    "with_goal": ("With each goal that goes", "These go with a goal that nothing above stops."),
    "with_plan": ("With the care plan", "A plan goes as a CarePlan once one of its goals goes."),
    "if_shared": (
        "Only where it is shared",
        "These go with their goal, and only where someone shared them too: `visibility: shared` on a note, `share` on "
        "a victory, `share_words` for the client's own words.",
    ),
    "identity_only": (
        "Only to find people and problems",
        "These serve to search for people and problems at the EHR and to compare them. They are never written there.",
    ),
}
_ACCEPT = {"auto": "taken", "propose": "asked", "ignore": "not taken"}


def disclosure_page() -> str:
    """Return `disclosure.md`."""
    return page(_lines())


def _lines() -> Iterator[str]:
    yield GENERATED
    yield from _INTRO.splitlines()
    yield ""
    yield "## What stops it"
    yield ""
    yield "For a whole plan, the first that holds:"
    yield ""
    gates = get_args(Reason)
    yield from table(("Reason", "When"), ((code(each), _GATES[each]) for each in gates[:_FOR_A_PLAN]))
    yield "For a goal, the first that holds:"
    yield ""
    yield from table(("Reason", "When"), ((code(each), _GATES[each]) for each in gates[_FOR_A_PLAN:]))
    for sent, (title, says) in _SECTIONS.items():
        yield f"## {title}"
        yield ""
        yield says
        yield ""
        rows = [row for row in fields.FIELDS if row.sent == sent and row.record != "Wire"]
        yield from table(("Field", "At the EHR", "An EHR's edit", "Notes"), (_sent(row) for row in rows))
    yield from _wire()
    yield from _never()
    yield from _readers()


def _sent(row: FieldRow) -> tuple[str, str, str, str]:
    places = ", ".join(code(path) for path in row.r4_paths) or "by its members"
    notes = [row.notes.replace("<", "\\<")] if row.notes else []
    if row.sent != "identity_only" and row.issue not in pruning.RELEASED:
        notes.insert(0, "**not sent yet**")
    return code(f"{row.record}.{row.field}"), places, _ACCEPT.get(row.accept or "", ""), "; ".join(notes)


def _wire() -> Iterator[str]:
    yield "## What the wire form adds by itself"
    yield ""
    rows = [row for row in fields.FIELDS if row.record == "Wire"]
    yield from table(("What", "At the EHR", "An EHR's edit", "Notes"), (_sent(row) for row in rows))


def _never() -> Iterator[str]:
    yield "## What never leaves"
    yield ""
    yield (
        "SMART results, T-scores, roll-ups, trends, alerts and everything else that is computed here, and these fields:"
    )
    yield ""
    never = [row for row in fields.FIELDS if row.sent == "never" and row.record != "Wire"]
    by_record: dict[str, list[FieldRow]] = {}
    for row in never:
        by_record.setdefault(row.record, []).append(row)
    yield from table(
        ("Record", "Fields"),
        ((record, ", ".join(code(row.field) for row in rows)) for record, rows in by_record.items()),
    )


def _readers() -> Iterator[str]:
    yield "## What the client reads"
    yield ""
    yield (
        "The client's own view has their words first and everything that is theirs: what they said, noted, celebrated "
        "or withhold. Drafts and errors are left out, a supervisor's comments, notes and victories of others that are "
        "not shared, how, when and why others agreed, ratings of the sessions, and these fields:"
    )
    yield ""
    yield from table(("Field", "Why"), _kept(readers.KEPT_FROM_CLIENT))
    yield "## What a legal representative reads"
    yield ""
    yield (
        "Only those whom the client's record names, and nothing of a plan that a minor consented to. It is the "
        "client's view without what the client withholds, without words, notes and victories of the client's own that "
        "are not shared, and without these fields:"
    )
    yield ""
    more = {pair: why for pair, why in readers.KEPT_FROM_PROXY.items() if pair not in readers.KEPT_FROM_CLIENT}
    yield from table(("Field", "Why"), _kept(more))


def _kept(kept: Mapping[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
    for (record, field), why in kept.items():
        yield code(f"{record}.{field}"), why
