"""Plain words for the codes that people see: statuses, fields, reasons, and what happens while something waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from fhirgoals.cli.output import clean
from fhirgoals.domain.records import Foreign, OptionalDate
from fhirgoals.domain.units import Unit

LIFECYCLE: Mapping[str, str] = {
    "draft": "draft",
    "proposed": "proposed",
    "accepted": "accepted, not begun",
    "planned": "planned",
    "active": "under way",
    "on_hold": "on hold",
    "completed": "closed",
    "cancelled": "given up",
    "declined": "declined",
    "entered_in_error": "entered in error",
}

ACHIEVEMENT: Mapping[str, str] = {
    "in_progress": "in progress",
    "improving": "improving",
    "worsening": "getting worse",
    "no_change": "no change",
    "achieved": "achieved",
    "sustaining": "achieved and kept up",
    "not_achieved": "not achieved",
    "no_progress": "no progress",
    "not_attainable": "out of reach",
}

CLOSED_FOR: Mapping[str, str] = {
    "achieved": "achieved",
    "partially_met": "partly met",
    "not_met": "not met",
    "discharged": "treatment ended",
    "dropped_out": "client left",
    "transferred": "handed over",
    "replaced": "replaced by another goal",
    "no_longer_relevant": "no longer relevant",
    "client_request": "the client asked",
}

PLAN_STATUS: Mapping[str, str] = {
    "draft": "draft",
    "active": "active",
    "on_hold": "on hold",
    "completed": "completed",
    "revoked": "ended early",
    "entered_in_error": "entered in error",
}

STEP_MARK: Mapping[str, str] = {
    "planned": "[ ]",
    "scheduled": "[ ]",
    "in_progress": "[~]",
    "on_hold": "[=]",
    "done": "[x]",
    "skipped": "[-]",
    "stopped": "[-]",
    "entered_in_error": "[!]",
}
STEP_LEGEND = "[x] done  [~] under way  [ ] to do  [=] on hold  [-] skipped or stopped"

STEP_WORD: Mapping[str, str] = {
    "on_hold": "on hold",
    "skipped": "skipped",
    "stopped": "stopped",
    "entered_in_error": "entered in error",
}

KEPT: Mapping[str, str] = {
    "professional_development": "a therapist's own development plan never leaves",
    "no_client": "the plan has no client",
    "unfiled": "it holds what came from EHRs and is in no plan there; it never leaves",
    "plan_draft": "the plan is a draft",
    "plan_entered_in_error": "the plan was entered in error",
    "no_consent": "the client gave no consent for this reader",
    "consent_refused": "the client refused",
    "consent_expired": "the client's consent has ended",
    "minor_self_consented": "a minor's own treatment, and this reader shows it in a portal",
    "withheld": "the client keeps it back",
    "draft": "still a draft",
    "proposed": "only proposed",
    "declined_never_sent": "declined before it was ever sent",
    "entered_in_error_never_sent": "entered in error before it was ever sent",
    "status_unknown": "its status is not one we know",
    "other_origin": "it came from another EHR",
    "sensitivity_not_consented": "the consent does not cover its kind of content",
    "would_not_be_valid": "it would not be a valid FHIR resource",
}

FIELD: Mapping[str, str] = {
    "text": "goal text",
    "client_words": "client's words",
    "axes": "kind of goal",
    "category": "area of life",
    "priority": "priority",
    "status": "status",
    "start_date": "start date",
    "target_date": "target date",
    "expressed_by": "who set it",
    "completion_criterion": "done when",
    "labels": "security labels",
    "addresses": "problem it is for",
    "target:<id>": "measured target",
    "acceptance:<participant>": "someone's agreement",
    "note:<id>": "note",
    "title": "plan title",
    "plan_status": "plan status and dates",
    "order": "order",
    "participants": "people",
    "problems": "problem",
    "membership": "goals of the plan",
    "parent_map": "place in the tree",
    "relations": "link between goals",
    "intervention:<id>": "intervention",
    "steps": "step",
    "step:<id>.kind": "kind of step",
    "step:<id>.who": "who does the step",
    "step:<id>.text": "step text",
    "step:<id>.schedule": "when the step is due",
    "step:<id>.status": "step status",
    "Goal": "the whole goal",
    "CarePlan": "the care plan",
}

ITEM: Mapping[str, str] = {
    "conflict": "both sides changed it",
    "proposal": "the EHR proposes",
    "held": "can't be taken over",
    "identity": "who is this?",
    "retract": "was sent, may no longer go",
    "gone": "gone at the EHR",
    "void": "marked as error at the EHR",
    "unreadable": "can't be read there",
    "patient": "is it still this patient?",
    "tree": "a place that can't be told",
    "guard": "too much at once",
    "history": "decided already",
}

MEANWHILE: Mapping[str, str] = {
    "conflict": "each side keeps its own; all else goes through",
    "proposal": "ours stays as it is; the EHR keeps its own",
    "held": "neither side is changed",
    "identity": "nothing is linked or sent for it",
    "retract": "no longer updated there; what was sent is still there",
    "gone": "kept here; nothing is written there",
    "void": "kept here; nothing is written there",
    "unreadable": "kept here; nothing is written there",
    "patient": "nothing of the plan is written there or taken over",
    "tree": "each side keeps its own; all else goes through",
    "guard": "nothing is changed at the EHR or taken over from it",
}

WHY: Mapping[str, str] = {
    "policy_propose": "only a person may take this over from an EHR",
    "both_changed": "both sides changed it since they last agreed",
    "second_parent": "the EHR shows it under two goals",
    "server_holds_less": "the EHR holds less than it was given, so its edit may not be all of it",
    "over_a_hidden_value": "the EHR changed what it may not see of ours",
    "member_of_ours": "the EHR changed or removed something that we added",
    "no_place_here": "our records have no place for what stands there",
    "would_break_an_invariant": "taking it over would break a rule of the plan",
    "would_not_be_valid": "what we would send would not be valid",
    "wrong_type": "what stands there can't be read",
    "two_candidates": "two things there may be this one",
    "unknown_identifier": "a resource there has our identifier and no link",
    "no_longer_disclosed": "it was sent and may no longer be seen there",
    "stands_as_taken_back": "it was taken back there and our record says that it may be there: withhold it here too and"
    " sync; if it is shared after that, it goes out anew",
    "own_value_not_known": "ours stands there in a goal of the EHR's own, and nobody knows what it had in its place",
    "not_seen_taken_back": "the EHR did not show it: a later sync looks again, and takes it back if it is there",
    "not_there": "the EHR did not find it when it was to be deleted: the next sync looks again",
    "changed_here_meanwhile": "it was changed here meanwhile",
    "unchanged_here": "it was not changed here meanwhile",
    "several": "more than one resource there has its identifier",
    "other_patient": "the resource there belongs to another patient",
    "no_patient": "the resource there does not say which patient it belongs to",
    "patient_changed": "the linked patient no longer bears what the link was made by",
    "patient_merged": "the linked patient was merged into another",
    "patient_inactive": "the linked patient is no longer in use",
    "patient_gone": "the linked patient is gone, or may not be seen",
    "refused": "the EHR refused it",
    "listed_in_a_plan": "the EHR put it into a care plan after it was taken here outside of any; here it stays there",
    "chart_left": "it came from a chart that was left since: end it here with `fhirgoals goal void` if it isn't theirs",
    "parts_of_a_chart_left": "parts of it came from a chart that was left since: they go nowhere until changed here",
    "ring": "the EHR shows it above itself",
    "two_parents": "the EHR shows it under two goals",
    "would_close_a_ring": "sent, it would stand above itself at the EHR",
    "has_no_wire_form": "there is no FHIR form of what would be sent",
    "named_in_the_text": "the text there, which somebody at the EHR wrote, still says words of it",
    "taken_back": "it was taken back at the EHR, with what was changed there",
    "too_many_removals": "more would be taken away within a day than is usual",
    "too_many_changes": "more would be changed within a day than is usual",
    "wrong_chart": "it stands in a chart that the client was unlinked from",
    "parent_is_not_there": "the goal above it is gone, void or can't be read, there or here: move it to another one",
    "part_changed_there": "it is to be taken out there, and the EHR changed a part of it that nobody here has seen",
    "in_another_form": "the EHR turned it into something that is no step: what must not be done, or a task of its own",
    "may_be_ours_twice": "it may be a write of ours that came late and stands there a second time",
    "may_stand_there": "something there says the same words without our identifier: it may be ours",
    "sent_or_not_unknown": "a write was sent and may have landed; what it says may no longer be seen there",
    "unknown_resource": "a write was sent, and where it went is not known any more",
    "was_not_taken_back": "the EHR kept it although it was told to forget it",
    "dropped_there": "the EHR dropped it at our write",
    "overwritten_there": "a write of ours went over it before anybody here had seen it",
    "may_have_gone_over_an_edit": "a write of ours may have gone over an edit there",
    "may_have_been_undone_there": "it was sent, and does not stand there: lost on the way, or undone by the EHR",
    "may_be_taken_back": "it was written there while a taking back was on its way",
    "written_by_others": "others wrote it in what went with a step of ours",
    "step_was_not_taken": "the EHR edited a step that was not taken over here",
    "decided_ours": "a person decided for ours",
    "policy_ignore": "edits of this field at the EHR are not taken over",
    "policy_ours": "both sides changed it, and ours stands by rule",
    "policy_theirs": "both sides changed it, and theirs stands by rule",
}

ROLE: Mapping[str, str] = {
    "client": "client",
    "primary_therapist": "therapist",
    "former_therapist": "former therapist",
    "clinical_supervisor": "supervisor",
    "prescriber": "prescriber",
    "family": "family",
    "support_person": "support person",
    "legal_representative": "legal representative",
    "therapist_subject": "therapist",
}

LABEL: Mapping[str, str] = {
    "MH": "mental health",
    "PSY": "psychiatry",
    "SUD": "substance use",
    "ETHUD": "alcohol use",
    "OPIOIDUD": "opioid use",
    "ADOL": "adolescence",
    "VIO": "violence",
    "SPI": "specially protected",
}

STATE_WORD: Mapping[str, str] = {"observe": "observing", "armed": "armed", "paused": "paused"}

STATE: Mapping[str, str] = {
    "observe": "observing: reads, writes nothing",
    "armed": "armed: reads and writes",
    "paused": "paused: writes nothing",
}

WHO: Mapping[str, str] = {
    "Patient": "client",
    "Practitioner": "staff",
    "RelatedPerson": "related person",
    "Condition": "problem",
}

WHO_MANY: Mapping[str, str] = {
    "Patient": "clients",
    "Practitioner": "staff",
    "RelatedPerson": "related people",
    "Condition": "problems",
}


def field_name(unit: Unit) -> str:
    """Return what people call a merge unit."""
    return FIELD.get(unit.family) or FIELD.get(unit.name) or unit.family.replace("_", " ")


def of_code(table: Mapping[str, str], value: str | Foreign | None, missing: str = "not stated") -> str:
    """Return the words of a code; a value of the EHR's own is only told to be one."""
    match value:
        case None:
            return missing
        case Foreign():
            return "a value of the EHR's own"
        case _:
            return table.get(value, value.replace("_", " "))


def on_day(value: OptionalDate) -> str:
    """Return a day as people write it, `2 May 2026`; the empty string for none."""
    match value:
        case None:
            return ""
        case Foreign():
            return "a date as the EHR wrote it"
        case date():
            return f"{value.day} {value:%b %Y}"


def when(at: datetime) -> str:
    """Return an instant as people write it."""
    return f"{on_day(at.date())}, {at:%H:%M} UTC"


def at_time(at: datetime) -> str:
    """Return an instant as people write it, to the minute; a part of a minute counts as one."""
    return when(at + timedelta(minutes=1, microseconds=-1))


def often(frequency: str) -> str:
    """Return a frequency as people say it: `5/wk` is `5 times a week`."""
    flat = " ".join(frequency.split())
    number, _, unit = flat.partition("/")
    if number.isdigit() and unit in _PER:
        return f"{'once' if number == '1' else number + ' times'} {_PER[unit]}"
    return clean(flat)


_PER: Mapping[str, str] = {"wk": "a week", "d": "a day", "mo": "a month"}


def age(since: datetime, now: datetime) -> str:
    """Return how long ago something was, in the unit that says most: `3 d`, `5 h`, `12 min`."""
    minutes = max(0, int((now - since).total_seconds()) // 60)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} d"
    return f"{minutes // 60} h" if minutes >= 120 else f"{minutes} min"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
