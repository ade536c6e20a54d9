"""The text of a CarePlan: the exported tree as a nested list, the form in which every reader sees it.

Derived, never merged and never a reason to write. Every word is escaped; what XML can't hold is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.terminology import XHTML
from fhirgoals.mappers.lens import copy

# XML 1.0, section 2.2, production Char, less the discouraged control characters of its note.
_NOT_XML = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")
_BEFORE_TEXT = ("resourceType", "id", "meta", "implicitRules", "language")
_NOTHING = "Plan without a title"


@dataclass(frozen=True)
class Line:
    """One step: its text and, in words, its status."""

    text: str
    status: str = ""


@dataclass(frozen=True)
class Outline:
    """One goal of the tree: its text, its status in words, its goals and its steps, each in their order."""

    heading: str
    status: str = ""
    children: tuple[Outline, ...] = ()
    steps: tuple[Line, ...] = ()


def care_plan_text(title: str | None, outline: Sequence[Outline]) -> Resource:
    """Return a Narrative `{status: generated, div}`; it holds what is in the arguments and nothing else.

    `outline` is the tree as one connection may see it: what is withheld must not be in it.
    """
    heading = _words(title or "")
    # FHIR R4 invariant txt-2: a div has some content.
    body = f"<p>{heading if heading.strip() else _NOTHING}</p>{_goals(outline)}"
    return {"status": "generated", "div": f'<div xmlns="{XHTML}">{body}</div>'}


def with_text(tree: Resource, text: Resource) -> Resource:
    """Return a copy with this narrative; on a resource without one it stands before the other elements."""
    made = copy(tree)
    if "text" in made:
        made["text"] = text
        return made
    head: Resource = {key: made.pop(key) for key in _BEFORE_TEXT if key in made}
    return {**head, "text": text, **made}


def is_ours_or_generated(tree: Resource) -> bool:
    """Tell whether the narrative may be re-written: there is none, or it says of itself that it is generated."""
    text: Tree = tree.get("text")
    return text is None or (isinstance(text, dict) and text.get("status") == "generated")


def _goals(outline: Sequence[Outline]) -> str:
    items = [f"<li>{_line(one.heading, one.status)}{_steps(one.steps)}{_goals(one.children)}</li>" for one in outline]
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _steps(steps: Sequence[Line]) -> str:
    items = [f"<li>{_line(step.text, step.status)}</li>" for step in steps]
    return f"<ol>{''.join(items)}</ol>" if items else ""


def _line(text: str, status: str) -> str:
    return f"{_words(text)} ({_words(status)})" if status else _words(text)


def _words(text: str) -> str:
    return escape(_NOT_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n")), quote=True)
