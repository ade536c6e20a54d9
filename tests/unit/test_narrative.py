"""The CarePlan's text: the tree, escaped, valid XML, and never over somebody's own words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from fhirgoals.mappers.narrative import Line, Outline, care_plan_text, is_ours_or_generated, with_text

TREE = (
    Outline(
        heading="Sleep <b>well</b> & long",
        status="active, improving",
        steps=(Line(text='Say "no" after nine', status="done"), Line(text="Walk")),
        children=(Outline(heading="Rise at seven"),),
    ),
    Outline(heading="Work"),
)


def words(div: object) -> list[str]:
    assert isinstance(div, str)
    parser = etree.XMLParser(resolve_entities=False)
    return [text for text in etree.fromstring(div, parser).itertext() if text]


def test_the_text_is_the_tree_as_nested_lists() -> None:
    """FG-HIER-03: goals within their parents, steps within their goal, in order, status in words."""
    text = care_plan_text("Plan", TREE)
    assert text["status"] == "generated"
    assert words(text["div"]) == [
        "Plan",
        "Sleep <b>well</b> & long (active, improving)",
        'Say "no" after nine (done)',
        "Walk",
        "Rise at seven",
        "Work",
    ]
    assert text["div"] == (
        '<div xmlns="http://www.w3.org/1999/xhtml"><p>Plan</p><ul><li>Sleep &lt;b&gt;well&lt;/b&gt; &amp; long '
        "(active, improving)<ol><li>Say &quot;no&quot; after nine (done)</li><li>Walk</li></ol>"
        "<ul><li>Rise at seven</li></ul></li><li>Work</li></ul></div>"
    )


@given(st.text(alphabet=st.characters(), max_size=30), st.text(max_size=10))
def test_any_words_make_valid_xml_and_come_back_as_words(heading: str, status: str) -> None:
    """No text breaks out of its place; only what XML can't hold, and control characters, are left out."""
    text = care_plan_text(heading, (Outline(heading=heading, status=status, steps=(Line(text=heading),)),))
    found = words(text["div"])
    clean = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufdd0-\ufdef\ufffe\uffff]", "", heading)
    clean = clean.replace("\r\n", "\n").replace("\r", "\n")
    if clean.strip() and not status:
        assert found == [clean, clean, clean]
    assert "<script" not in str(text["div"])


def test_a_plan_without_a_title_still_has_a_text() -> None:
    """FHIR invariant txt-2: a div has some content."""
    assert words(care_plan_text(None, ())["div"]) == ["Plan without a title"]
    assert words(care_plan_text("\x00 ", ())["div"]) == ["Plan without a title"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, True),
        ({"status": "generated", "div": "x"}, True),
        ({"status": "additional", "div": "x"}, False),
        ({"status": "extensions", "div": "x"}, False),
        ({"div": "x"}, False),
        ("x", False),
    ],
)
def test_only_a_generated_text_is_rewritten(text: object, expected: bool) -> None:
    """What a person may have written is left alone."""
    assert is_ours_or_generated({"text": text}) is expected  # type: ignore[dict-item]


def test_a_new_text_stands_before_the_other_elements_and_an_old_one_keeps_its_place() -> None:
    """Key order of what was there stays."""
    text = care_plan_text("Plan", ())
    assert list(with_text({"resourceType": "CarePlan", "status": "active"}, text)) == ["resourceType", "text", "status"]
    onto = {"status": "active", "text": {"status": "generated", "div": "old"}, "title": "t"}
    assert list(with_text(onto, text)) == ["status", "text", "title"]  # type: ignore[arg-type]
    assert onto["text"] == {"status": "generated", "div": "old"}
