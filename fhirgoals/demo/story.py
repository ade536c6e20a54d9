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

WORDS_WIDTH = 60
"""Characters that a goal's words are cut to."""

LINE_WIDTH = 110

_KEPT = {
    "professional_development": "{} a therapist's own",
    "declined_never_sent": "{} declined",
    "proposed": "{} only proposed",
    "draft": "{} drafts",
    "withheld": "{} withheld by the client",
    "entered_in_error_never_sent": "{} entered in error",
}
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
        "A therapy practice keeps its plans the same here and in an EHR, both ways. People and plans are made up.",
        "",
        f"Here are {first.plans} plans with {first.goals} goals and {first.steps} steps.",
        f"{first.sent[main]} goals and {first.care_plans[main]} care plans went to {main}; "
        f"{sum(first.kept_here.values())} goals stayed here:",
        "- " + ", ".join(_KEPT.get(why, "{} " + why).format(n) for why, n in first.kept_here.items()) + ".",
        *_not_sent(script, plans, verdict.census, main),
    ]
    tellers = _Tellers(script, plans, main)
    for act in script.acts:
        if act.edits:
            lines.append("")
        for edit in act.edits:
            lines.append(tellers.tell(edit, verdict.outcomes[edit.id]))
        if act.cut is not None and verdict.replies_lost:
            how_many = "there is one goal, not two." if not verdict.duplicates else "there is MORE THAN ONE."
            lines.append("The connection broke after the EHR had stored it and before it answered: " + how_many)
    lines += ["", *_at_the_end(verdict, main, seconds), "", *_next(folder)]
    return [line for text in lines for line in wrap(text, LINE_WIDTH, subsequent_indent="  ") or [""]]


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
        sent = "nothing was sent there" if not there else f"{there} resources WERE SENT"
        yield f"- {name}: consent {' or '.join(reasons)}; {sent}."


class _Tellers:
    def __init__(self, script: Script, plans: Sequence[Plan], main: str) -> None:
        self._script = script
        self._plans = {plan.id: plan for plan in plans}
        self._main = main

    def tell(self, edit: Edit, outcome: str) -> str:
        who = self._name(edit.by)
        what = self._quoted(edit)
        match outcome:
            case "pushed":
                return f"{who} {self._did(edit, what)}: the EHR has it."
            case "pulled":
                return f"{who} {self._did(edit, what)}: it is here."
            case "kept_untouched":
                number = edit.tree["add_raw"]["valueDecimal"]
                return f"A field of the EHR's own in {what} is untouched, its {number} to the last digit."
            case "merged":
                return f"{who} {self._did(edit, what)} before anybody looked: both sides have it."
            case "conflict":
                ours, theirs = _day(edit.tree["ours"]["value"]), _day(edit.tree["theirs"]["value"])
                moved = f"{who} moved {what} to {ours}, the EHR moved it to {theirs}"
                return f"{moved}: it waits for a person, with both values."
            case "proposal":
                stays = f"it stays open here and is shown to {self._therapist(edit)} as a proposal"
                return f"Someone at the EHR closed {what}: {stays}."
            case "created":
                return f"{who} added a smaller goal, {what}: it is in both."
            case _:
                return f"{who}: the edit of {what} ended as {outcome.upper()}."

    def _did(self, edit: Edit, what: str) -> str:
        match edit.tree:
            case {"step": _, "to": status}:
                return f"marked a step of {what} as {status}"
            case {"field": "text"}:
                return f"corrected the words of {what}"
            case {"field": "note"}:
                return f"added a note to {what}"
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
        f"At the end: {census.goals} goals with {census.steps} steps here; {census.sent[main]} goals and "
        f"{census.care_plans[main]} care plans with {census.steps_sent[main]} steps at {main}."
    )
    wrong = {"lost": verdict.lost, "doubled": verdict.duplicates, "leaked": verdict.leaks}
    if not any(wrong.values()):
        result = "Nothing lost, doubled or leaked"
    else:
        result = ", ".join(f"{n} {what.upper() if n else what}" for what, n in wrong.items())
    yield (
        f"{result}: measured by reading both sides anew, and by looking for {verdict.searched_texts} texts and ids "
        f"that must not leave in all that was said to the EHRs. {seconds:.1f} s."
    )


def _next(folder: Path | None) -> list[str]:
    if folder is None:
        return ["Next: keep such a store and look around in it:", "  fhirgoals demo --dir trial"]
    store = f"FHIRGOALS_STORE__URL=sqlite:///{folder / 'fhirgoals.db'}"
    return ["Next: see what waits for a person:", f"  {store} fhirgoals inbox list"]
