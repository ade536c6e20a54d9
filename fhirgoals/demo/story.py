"""Tells what was measured as a story for people: names, words and numbers, no ids, at most 45 lines.

Every sentence comes from the oracle's figures and the outcome of each edit; one that did not come as it should says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from textwrap import wrap

from fhirgoals.demo.oracle import Census, Verdict
from fhirgoals.demo.script import Edit, Script
from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.records import Plan

WORDS_WIDTH = 26
"""Characters that a goal's words are cut to."""

LINE_WIDTH = 80

_KEPT = {
    "professional_development": "{} a therapist's own",
    "declined_never_sent": "{} declined",
    "proposed": "{} only proposed",
    "draft": "{} drafts",
    "withheld": "{} withheld by the client",
    "entered_in_error_never_sent": "{} entered in error",
}
_LEFT = {"Goal": "the goal", "CarePlan": "the care plan"}
_NOT_CONSENTED = {
    "consent_refused": "was refused",
    "consent_expired": "has ended",
    "sensitivity_not_consented": "does not cover this",
}


def tell(
    script: Script, plans: Sequence[Plan], first: Census, verdict: Verdict, *, seconds: float, folder: Path | None
) -> list[str]:
    """Return the story's lines."""
    main = _main(first)
    lines = [
        "A therapy practice keeps its plans the same here and in an EHR, both ways.",
        f"Here are {first.plans} plans with {first.goals} goals and {first.steps} steps; people and plans are made up.",
        "",
        f"{first.sent[main]} goals and {first.care_plans[main]} care plans went to {main}; "
        f"{sum(first.kept_here.values())} goals stayed here:",
        "- " + ", ".join(_KEPT.get(why, "{} " + why).format(n) for why, n in first.kept_here.items()) + ".",
        *_not_sent(script, plans, verdict.census, main),
    ]
    tellers = _Tellers(script, plans, verdict)
    for act in script.acts:
        if act.edits:
            lines.append("")
        for edit in act.edits:
            lines.append(tellers.tell(edit, verdict.outcomes[edit.id]))
        if act.cut is not None and verdict.replies_lost:
            how_many = "there is one goal, not two." if not verdict.duplicates else "there is MORE THAN ONE."
            lines.append("The connection broke after the EHR had stored it and before it answered: " + how_many)
    lines += ["", *_at_the_end(verdict, main, seconds), ""]
    # What is to be typed is not wrapped: it must still be one command when it is copied.
    wrapped = [line for text in lines for line in wrap(text, LINE_WIDTH, subsequent_indent="  ") or [""]]
    return [*wrapped, *_next(folder)]


def _main(census: Census) -> str:
    return max(census.sent, key=lambda name: census.sent[name])


def _not_sent(script: Script, plans: Sequence[Plan], census: Census, main: str) -> Iterator[str]:
    for name, settings in script.connections.items():
        if name == main:
            continue
        reasons: dict[str, None] = {}
        for plan in plans:
            if any(consent.endpoint == name for consent in plan.disclosure.consents):
                shown = disclose(plan, name, on=script.clock.date(), portal_visible=settings["portal_visible"])
                known = [shown.refused, *shown.kept.values()]
                reasons |= dict.fromkeys(_NOT_CONSENTED[why] for why in known if why in _NOT_CONSENTED)
        there = census.sent[name] + census.care_plans[name]
        sent = "nothing was sent" if not there else f"{there} resources WERE SENT"
        yield f"- {name}: consent {' or '.join(reasons)}; {sent}."


class _Tellers:
    def __init__(self, script: Script, plans: Sequence[Plan], verdict: Verdict) -> None:
        self._script = script
        self._plans = {plan.id: plan for plan in plans}
        self._verdict = verdict

    def tell(self, edit: Edit, outcome: str) -> str:
        who = self._name(edit.by)
        what = self._quoted(edit)
        match outcome:
            case "pushed":
                return f"{who} {self._did(edit, what)}: the EHR has it."
            case "pulled":
                return f"{who} {self._did(edit, what)}: it is here."
            case "kept_untouched":
                digits = edit.tree["add_raw"]["valueDecimal"]
                stands = f"A field of the EHR's own in {what} is untouched"
                if self._verdict.numbers[edit.id] != digits:  # Medplum keeps numbers, not digits
                    return f"{stands}; the EHR itself made {self._verdict.numbers[edit.id]} of its {digits}."
                return f"{stands}, its {digits} to the last digit."
            case "merged":
                return f"{who} {self._did(edit, what)} before anybody looked: both sides have it."
            case "conflict":
                ours, theirs = _day(edit.tree["ours"]["value"]), _day(edit.tree["theirs"]["value"])
                moved = f"{who} moved {what} to {ours}, the EHR moved it to {theirs}"
                return f"{moved}: it waits for a person, with both values."
            case "proposal":
                stays = f"it stays open here and is shown to {self._therapist(edit)} as a proposal"
                return f"Someone at the EHR closed {what}: {stays}."
            case "retracted":
                gone = f"{who} withdrew {what}: it is gone from the EHR's current record"
                return f"{gone}; what its history keeps is reported: {self._left()}."
            case "created":
                return f"{who} added a smaller goal, {what}: it is in both."
            case _:
                return f"{who}: the edit of {what} ended as {outcome.upper()}."

    def _left(self) -> str:
        left = [(self._verdict.versions_left.get(kind, 0), what) for kind, what in _LEFT.items()]
        unknown = [f"the EHR shows none of {what}" for n, what in left if n is None]
        counted = [f"{n} older version{'s' * (n != 1)} of {what}" for n, what in left if n]
        return " and ".join([*unknown, *counted]) or "no older version"

    def _did(self, edit: Edit, what: str) -> str:
        match edit.tree:
            case {"step": _, "to": status}:
                return f"marked a step of {what} {status}"
            case {"field": "text"}:
                return f"corrected {what}"
            case {"field": "note"}:
                return f"added a note to {what}"
            case {"field": "priority", "to": level}:
                return f"gave {what} {level} priority"
            case {"field": field, "to": value}:
                return f"set the {field} of {what} to {value}"
            case _:
                return f"edited {what}"

    def _name(self, by: str) -> str:
        person = self._script.people[by]
        name = person.get("display", by)
        return name[:1].upper() + name[1:]

    def _quoted(self, edit: Edit) -> str:
        if "add_goal" in edit.tree:
            return _cut(edit.tree["add_goal"]["text"])
        return _cut(self._plans[edit.plan].goal(edit.goal).text or "")

    def _therapist(self, edit: Edit) -> str:
        people = self._plans[edit.plan].participants
        shown = next((one.display for one in people if one.role == "primary_therapist" and one.display), None)
        return shown.split()[0] if shown else "the therapist"


def _cut(text: str) -> str:
    if len(text) <= WORDS_WIDTH:
        return f'"{text}"'
    return f'"{text[:WORDS_WIDTH].rpartition(" ")[0]} …"'


def _day(day: date) -> str:
    return f"{day.day} {day.strftime('%B')}"


def _at_the_end(verdict: Verdict, main: str, seconds: float) -> Iterator[str]:
    census = verdict.census
    writes = verdict.second_run_writes
    yield f"Second run: {'nothing' if not writes else f'{writes} TIMES SOMETHING'} written."
    yield (
        f"Here: {census.goals} goals, {census.steps} steps. At {main}: {census.sent[main]} goals, "
        f"{census.care_plans[main]} care plans, {census.steps_sent[main]} steps."
    )
    wrong = {"lost": verdict.lost, "doubled": verdict.duplicates, "leaked": verdict.leaks}
    if not any(wrong.values()):
        result = "Nothing lost, doubled or leaked"
    else:
        result = ", ".join(f"{n} {what.upper() if n else what}" for what, n in wrong.items())
    yield (
        f"{result}: measured by reading both sides anew, and by looking in all traffic for {verdict.searched_texts} "
        f"texts and ids that must not leave. {seconds:.1f} s."
    )


def _next(folder: Path | None) -> list[str]:
    if folder is None:
        return ["Next: keep such a store and look around in it:", "  fhirgoals demo --dir trial"]
    store = f"FHIRGOALS_STORE__URL=sqlite:///{folder / 'fhirgoals.db'}"
    return ["Next: see what waits for a person:", f"  {store} fhirgoals inbox list"]
