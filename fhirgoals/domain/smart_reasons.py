"""What may be said of a goal's SMART letters: each reason with its letter, its weight and a plain sentence.

A sentence is for a therapist. It holds numbers and words of our own lists, never a word of any plan. In braces stands
what is filled in; `{who}` is the client, or in a development plan the therapist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

Letter: TypeAlias = Literal["S", "M", "A", "R", "T"]
Result: TypeAlias = Literal["pass", "warn", "fail", "not_applicable"]


class Saying(NamedTuple):
    """The letter that a reason belongs to, what it makes of it, and the sentence."""

    letter: Letter
    result: Result
    sentence: str


REASONS: Mapping[str, Saying] = {
    "no_text": Saying("S", "fail", "It has no text."),
    "too_few_words": Saying("S", "fail", "Its text has {words} words: say what will be different."),
    "diagnosis_only": Saying("S", "fail", "Its text only names a diagnosis: say what {who} will do or have."),
    "few_words": Saying("S", "warn", "Its text has {words} words; {least} or more say it clearly."),
    "no_way_there": Saying("S", "warn", "No step, intervention or smaller goal leads to it yet."),
    "vague_words": Saying("S", "warn", "“{phrase}” can't be seen or counted: say what will differ, or add a target."),
    "two_outcomes": Saying("S", "warn", "“{join}” may join two outcomes: if so, make each a goal of its own."),
    "same_wording": Saying("S", "warn", "Another client's goal has the same wording: put it in this person's terms."),
    "completion_criterion": Saying(
        "M", "not_applicable", "An exploratory goal goes by its criterion, not by a number."
    ),
    "target_without_baseline": Saying("M", "warn", "A target has no baseline, so the way to it can't be counted."),
    "target_incomplete": Saying("M", "warn", "A target does not say in full what is measured and how far it goes."),
    "scale_incomplete": Saying("M", "warn", "The rating scale needs five different texts and where it starts."),
    "children_not_countable": Saying("M", "warn", "Not every open goal under it has a number to go by."),
    "steps_only": Saying("M", "warn", "Only its steps or its criterion tell when it is done; no number shows the way."),
    "nothing_countable": Saying("M", "fail", "Nothing in it can be counted: add a target, a rating scale or steps."),
    "confidence_not_asked": Saying("A", "warn", "It is not noted how confident {who} is, from 0 to 10."),
    "confidence_middling": Saying("A", "warn", "Confidence is {confidence} of 10; {least} or more is hoped for."),
    "confidence_low": Saying("A", "fail", "Confidence is {confidence} of 10: a smaller goal may fit better."),
    "quick_pace": Saying("A", "warn", "It asks for {percent} % of the scale a week; up to {most} % is usual."),
    "too_quick_pace": Saying(
        "A", "fail", "It asks for {percent} % of the scale a week; over {most} % is hardly ever reached."
    ),
    "no_time": Saying("A", "fail", "A target is due no later than the goal starts."),
    "pace_unknown": Saying("A", "warn", "A measure has no range, so no one can tell how much its target asks for."),
    "many_goals": Saying("A", "warn", "{goals} short-term goals are under way; up to {most} stay manageable."),
    "too_many_goals": Saying("A", "fail", "{goals} short-term goals are under way; more than {most} are too many."),
    "many_steps": Saying("A", "warn", "{steps} steps wait for {who}; up to {most} at once stay manageable."),
    "target_outside_range": Saying("A", "fail", "A target lies outside the range of its measure."),
    "met_at_baseline": Saying("A", "fail", "A target was met before the work began."),
    "not_attainable": Saying("A", "fail", "It was found to be out of reach."),
    "no_problem": Saying("R", "warn", "It names no problem that it is for."),
    "no_parent": Saying("R", "warn", "It belongs to no long-term goal."),
    "no_client_words": Saying("R", "warn", "The client's own words for it are missing."),
    "importance_not_asked": Saying("R", "warn", "It is not noted how important it is to {who}, from 0 to 10."),
    "importance_low": Saying("R", "warn", "Its importance is {importance} of 10; {least} or more is hoped for."),
    "not_agreed": Saying("R", "warn", "The agreement of {who} is missing."),
    "disagreed": Saying("R", "fail", "It is under way although {who} disagrees."),
    "no_start_date": Saying("T", "warn", "It has no start date."),
    "no_target_date": Saying("T", "fail", "It has no target date."),
    "date_unclear": Saying("T", "warn", "One of its dates is no full day."),
    "target_before_start": Saying("T", "fail", "Its target date is before its start."),
    "lasts_too_long": Saying("T", "warn", "It runs for more than {months} months."),
    "past_target_date": Saying("T", "warn", "Its target date has passed, and it is neither closed nor reached."),
    "no_review": Saying("T", "warn", "No review was held or is due before its target date."),
}
"""By code. The ties of R fail together where more are missing than the limits let pass."""
