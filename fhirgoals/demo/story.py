"""Tells what was measured as a story for people: names, words and numbers, no ids, at most 45 lines.

Every sentence comes from the oracle's figures and the outcome of each edit; one that did not come as it should says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from fhirgoals.demo.oracle import Census, Verdict
from fhirgoals.demo.script import Edit, Script
from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.records import Plan

WIDEST = 60
"""Characters that a goal's words are cut to."""

_KEPT = {
    "professional_development": "{} a therapist's own",
    "declined_never_sent": "{} declined",
    "proposed": "{} only proposed",
    "draft": "{} drafts",
    "withheld": "{} withheld by the client",
    "entered_in_error_never_sent": "{} entered in error",
}
_REFUSED = {
    "consent_refused": "refused by the client",
    "consent_expired": "consent has ended",
    "sensitivity_not_consented": "consent does not cover this",
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
        "  " + ", ".join(_KEPT.get(why, "{} " + why).format(n) for why, n in first.kept_here.items()) + ".",
        *_not_sent(script, plans, verdict.census, main),
    ]
    tellers = _Tellers(script, plans, main)
    for act in script.acts:
        if act.edits:
            lines.append("")
        for edit in act.edits:
            lines += tellers.tell(edit, verdict.outcomes[edit.id])
        if act.cut is not None and verdict.replies_lost:
            lines.append("  The connection broke after the EHR had stored it and before it answered: there is "
                         + ("one goal, not two." if not verdict.duplicates else "more than one."))
    lines += ["", *_at_the_end(verdict, main, seconds), "", *_next(folder)]
    return lines


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
                reasons |= dict.fromkeys(_REFUSED[why] for why in known if why in _REFUSED)
        there = census.sent[name] + census.care_plans[name]
        yield f"  {name}: {' or '.join(reasons)} - " + ("nothing was sent there." if not there else f"{there} WERE SENT.")


class _Tellers:
    def __init__(self, script: Script, plans: Sequence[Plan], main: str) -> None:
        self._script = script
        self._plans = {plan.id: plan for plan in plans}
        self._main = main

    def tell(self, edit: Edit, outcome: str) -> Iterator[str]:
        who = self._name(edit.by)
        what = self._quoted(edit)
        match outcome:
            case "pushed":
                yield f"{who} {self._did(edit)} {what}: the EHR has it."
            case "pulled":
                yield f"{who} {self._did(edit)} {what}: it is here."
            case "kept_untouched":
                number = edit.tree["add_raw"]["valueDecimal"]
                yield f"The EHR keeps a field of its own in {what}: untouched through every edit, its {number} to the last digit."
            case "merged":
                side = "here" if edit.side == "here" else "at the EHR meanwhile"
                yield f"{who} {self._did(edit)} {what}, {side}: kept on both sides."
            case "conflict":
                ours, theirs = edit.tree["ours"]["value"], edit.tree["theirs"]["value"]
                yield f"{who} moved {what} to {_day(ours)}, the EHR moved it to {_day(theirs)}:"
                yield "  it waits for a person, with both values; nothing else of the goal had to wait."
            case "proposal":
                yield f"Someone at the EHR closed {what}:"
                yield f"  it stays open here and is shown to {self._therapist(edit)} as a proposal."
            case "created":
                yield f"{who} added a smaller goal, {what}."
            case _:
                yield f"{who}'s edit of {what} ended as {outcome.upper()}."

    def _did(self, edit: Edit) -> str:
        match edit.tree:
            case {"step": _, "to": status}:
                return f"marked a step {status} under"
            case {"field": "text"}:
                return "corrected the words of"
            case {"field": "note"}:
                return "added a note to"
            case {"field": field, "to": value}:
                return f"set the {field} to {value} of"
            case _:
                return "edited"

    def _name(self, by: str) -> str:
        person = self._script.people[by]
        return person["display"].capitalize() if "display" in person else by.capitalize()

    def _quoted(self, edit: Edit) -> str:
        if "add_goal" in edit.tree:
            return _cut(edit.tree["add_goal"]["text"])
        return _cut(self._plans[edit.plan].goal(edit.goal).text or "")

    def _therapist(self, edit: Edit) -> str:
        people = self._plans[edit.plan].participants
        shown = next((one.display for one in people if one.role == "primary_therapist" and one.display), "the therapist")
        return shown.split()[0]


def _cut(text: str) -> str:
    if len(text) <= WIDEST:
        return f'"{text}"'
    return f'"{text[:WIDEST].rpartition(" ")[0]} …"'


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
    yield "Measured by an observer of its own, who read both sides and all traffic:"
    wrong = {"lost": verdict.lost, "doubled": verdict.duplicates, "leaked": verdict.leaks}
    if not any(wrong.values()):
        yield f"  nothing lost, doubled or leaked ({verdict.searched_texts} texts looked for; {seconds:.1f} s)."
    else:
        yield "  " + ", ".join(f"{n} {what.upper() if n else what}" for what, n in wrong.items()) + "."


def _next(folder: Path | None) -> list[str]:
    if folder is None:
        return ["Next: keep such a store and look around in it:", "  fhirgoals demo --dir trial"]
    store = f"FHIRGOALS_STORE__URL=sqlite:///{folder / 'fhirgoals.db'}"
    return ["Next: see what waits for a person:", f"  {store} fhirgoals inbox list"]


def shown(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts as a plain object."""
    return dict(counts)
