"""Plan files load exactly, dump to what loads equal, and a bad one is refused with paths and without its values."""

# ruff: noqa: E501 - plan files and tables read best with one thing a line

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fhirgoals.domain import plan_yaml
from fhirgoals.domain.planfile import UnreadablePlan, dump_plan, dump_plan_json, load_plan, load_plan_json
from fhirgoals.domain.records import Change, Foreign, Goal, Plan, Reading
from fhirgoals.errors import BadPlan
from tests.plans import EXAMPLES, SMALL, example, expected, full, replace, small, with_goal
from tests.unit.written import is_written

SECRET = "Marisol-Everhart-was-here"
BASE = yaml.safe_load(SMALL)


def faults(text: str | bytes, load: Callable[..., Plan] = load_plan) -> tuple[tuple[str, str], ...]:
    with pytest.raises(BadPlan) as caught:
        load(text, name="a.yaml")
    assert isinstance(caught.value, UnreadablePlan)
    assert SECRET not in str(caught.value)
    lines = str(caught.value).splitlines()
    assert caught.value.name == "a.yaml"
    assert lines[0] == "a.yaml: this plan file was not read; mend it and try again"
    for line, (path, rule) in zip(lines[1:], caught.value.faults, strict=True):
        assert line == (f"  {path}: {rule}" if path else f"  the file {rule}")
        is_written("faults.csv", (path, rule))
    return caught.value.faults


def edited(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_dumps_to_what_loads_equal(path: Path) -> None:
    """YAML and JSON keep every field of the five examples."""
    plan = example(path)
    assert load_plan(dump_plan(plan), name="again") == plan
    assert load_plan_json(dump_plan_json(plan), name="again") == plan
    assert load_plan(dump_plan_json(plan), name="json is yaml") == plan


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_the_counts_it_says(path: Path) -> None:
    """Nothing is dropped on the way in."""
    plan, counts = example(path), expected(path)["counts"]
    assert len(plan.goals) == counts["goals"]
    assert sum(len(goal.steps) for goal in plan.goals) == counts["steps"]
    assert len(plan.measures) == counts["measures"]
    assert len(plan.revisions) == counts["revisions"]


def test_every_field_survives_both_formats() -> None:
    """A plan that uses every field of every record comes back equal."""
    plan = full()
    assert load_plan(dump_plan(plan), name="again") == plan
    assert load_plan_json(dump_plan_json(plan), name="again") == plan


def test_the_examples_load_fast() -> None:
    """Each example loads in under 300 ms."""
    for path in EXAMPLES:
        text = path.read_bytes()
        spans = []
        for _ in range(3):
            begun = time.perf_counter()
            load_plan(text, name=path.name)
            spans.append(time.perf_counter() - begun)
        assert min(spans) < 0.3, path.name


def test_numbers_keep_their_digits() -> None:
    """19.0 stays 19.0 and 7.10 stays 7.10, whole numbers become decimals where decimals belong."""
    plan = example(EXAMPLES[2])
    values = [str(reading.value) for reading in plan.measure("m-ors").readings]
    assert values == ["19.0", "24.2", "22.8", "28.4", "31.1"]
    again = load_plan(dump_plan(plan), name="again").measure("m-ors").readings
    assert [str(reading.value) for reading in again] == values
    assert isinstance(plan.measure("m-gad7").readings[0].value, Decimal)


@pytest.mark.parametrize(
    "digits", ["7.10", "-0.0", "1E+5", "1E-7", "0.1234567890123456789012345", "12345678901234567890"]
)
def test_decimals_survive_a_dump_digit_by_digit(digits: str) -> None:
    """A decimal comes back with the digits, sign and exponent it had."""
    plan = full()
    reading = Reading(date=date(2026, 1, 1), value=Decimal(digits))
    plan = replace(plan, measures=(replace(plan.measures[0], readings=(reading,)),))
    for again in (load_plan(dump_plan(plan), name="y"), load_plan_json(dump_plan_json(plan), name="j")):
        assert again.measures[0].readings[0].value.as_tuple() == Decimal(digits).as_tuple()


CONTROLS = "".join(map(chr, range(32))).translate({ord(one): None for one in "\t\n\r"})
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=CONTROLS + "\ufeff"), max_size=60)


@given(text=TEXTS, words=TEXTS)
def test_any_text_survives_both_formats(text: str, words: str) -> None:
    """Texts come back as they are, whatever characters they hold."""
    plan = with_goal(small(), "g-long", text=text, client_words=words)
    assert load_plan_json(dump_plan_json(plan), name="j") == plan
    assert load_plan(dump_plan(plan), name="y") == plan


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "null", "~", "", "true", "07:00", "007", "1e5", "1.0", "5", "2026-01-01", "=", "<<", "- a", "a: b", "#x", "'", '"', "&a", "*a", "!x", "%", "@", " lead", "trail ", "two\nlines\n", "tab\there", "\u0085", "\u2028"],
)  # fmt: skip
def test_a_text_that_looks_like_something_else_stays_text(text: str) -> None:
    """Words that YAML could take for numbers, days, switches or syntax come back as text."""
    plan = with_goal(small(), "g-long", text=text)
    assert load_plan(dump_plan(plan), name="y") == plan
    assert load_plan_json(dump_plan_json(plan), name="j") == plan


@pytest.mark.parametrize("word", ["no", "off", "07:00", "007", "1_000", ".nan", "0x1f"])
def test_a_plain_word_of_yaml_1_1_is_text(word: str) -> None:
    """`no` and `07:00` without quotes are what they look like to a person."""
    assert load_plan(edited("The long one", word), name="x").goal("g-long").text == word


def test_null_means_not_given() -> None:
    """A field that is null equals one that is left out."""
    given_null = edited(
        "lifecycle: active, start_date: 2026-01-05}",
        "lifecycle: active, start_date: 2026-01-05, priority: null, gas: ~, steps: }",
    )
    assert load_plan(given_null, name="x") == small()


def test_expected_is_dropped() -> None:
    """The block that tests read is accepted and is no part of the plan."""
    assert load_plan(SMALL + "expected: {anything: [1, {goes: here}]}\n", name="x") == small()


def test_foreign_values_survive() -> None:
    """A foreign code and a foreign date come back verbatim."""
    plan = with_goal(small(), "g-long", lifecycle=Foreign(foreign='"x"'), target_date=Foreign(foreign='"2026-05"'))
    assert load_plan(dump_plan(plan), name="y") == plan
    assert load_plan_json(dump_plan_json(plan), name="j") == plan


def test_a_day_in_a_change_is_the_same_from_both_formats() -> None:
    """What a revision says a field was is JSON, so that YAML and JSON files of one plan load equal."""
    plan = example(EXAMPLES[1])
    change = plan.goal("g-ladder").revisions[0].changes[0]
    assert change == Change(field="target_date", from_="2026-09-30", to="2026-11-27")


def test_a_day_anywhere_in_a_change_is_text() -> None:
    """Also in a list or mapping, on both sides; a number stays one."""
    change = "{field: x, from: [2026-01-01, {on: 2026-01-02, n: 3}], to: 2026-01-04}"
    plan = load_plan(edited("client_agreed: true}]", f"client_agreed: true, changes: [{change}]}}]"), name="x")
    assert plan.revisions[0].changes == (
        Change(field="x", from_=["2026-01-01", {"on": "2026-01-02", "n": 3}], to="2026-01-04"),
    )


NUMBERS = {
    "9" * 40: False,
    "1" + "0" * 40: True,
    "-" + "9" * 40: False,
    "-1" + "0" * 40: True,
    "0." + "1" * 40: False,
    "0." + "1" * 41: True,
    "1e40": False,
    "1e41": True,
    "1e-40": False,
    "1e-41": True,
    "1e-" + "0" * 77: False,
    "1e-" + "0" * 78: True,
}


@pytest.mark.parametrize("digits", NUMBERS)
def test_a_number_has_at_most_40_digits_and_places(digits: str) -> None:
    """What is longer, or is written with more than 80 characters, is refused in both formats."""
    yaml_text = f"measures: [{{id: m-1, baseline: {{date: 2026-01-05, value: {digits}}}}}]\n"
    if NUMBERS[digits]:
        assert faults(SMALL + yaml_text) == (("measures[0].baseline.value", "is too long for a number"),)
        assert faults(f'{{"n": {digits}}}', load_plan_json) == (("", "holds a number that is too long"),)
    else:
        assert load_plan(SMALL + yaml_text, name="x").measures[0].baseline == Reading(
            date=date(2026, 1, 5), value=Decimal(digits)
        )
        assert faults(f'{{"schema": {digits}}}', load_plan_json)[0][0] == "schema"


def notes(plan: Plan, goal: str) -> list[str | None]:
    return [entry.id for entry in plan.goal(goal).progress] + [each.id for each in plan.goal(goal).achievements]


NOTES = (
    SMALL
    + """
  - id: g-notes
    horizon: long_term
    nature: aspirational
    text: With notes
    lifecycle: active
    start_date: 2026-01-05
    progress:
      - {date: 2026-02-01, author: p-ther, visibility: shared, text: One}
      - {date: 2026-02-01, author: p-ther, visibility: shared, text: Two}
      - {date: 2026-02-03, author: p-client, visibility: shared, text: Three}
    achievements: [{date: 2026-02-04, text: Four, noted_by: p-client}]
"""
)


def test_minted_ids_are_stable_and_different() -> None:
    """Loading a file twice, or with another release, gives the same ids, and no two things get one id."""
    assert notes(load_plan(NOTES, name="x"), "g-notes") == [
        "pe-7dde261a84ec",
        "pe-8590f1dd46ae",
        "pe-8fe389c657dc",
        "ac-86aa901d9c7c",
    ]
    first, second = load_plan(NOTES, name="x"), load_plan(NOTES, name="y")
    assert notes(first, "g-notes") == notes(second, "g-notes")
    assert len(set(notes(first, "g-notes"))) == 4
    assert all(notes(first, "g-notes"))


def test_any_number_of_notes_of_one_day_and_author_have_ids_of_their_own() -> None:
    """The first keep theirs when more come."""
    line = "      - {date: 2026-02-01, author: p-ther, visibility: shared, text: Two}\n"
    two = notes(load_plan(NOTES, name="x"), "g-notes")
    five = notes(load_plan(NOTES.replace(line, line * 4), name="x"), "g-notes")
    assert len(set(five)) == 7
    assert five[:2] == two[:2]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("text: Three", "text: Mended"),
        ("text: The long one", "text: Another one"),
        ("      - {date: 2026-02-01, author: p-ther, visibility: shared, text: One}", "      - {date: 2026-01-31, author: p-ther, visibility: shared, text: New}\n      - {date: 2026-02-01, author: p-ther, visibility: shared, text: One}"),
        ("text: Four", "text: Four!, celebrated: cake"),
    ],
)  # fmt: skip
def test_an_edit_leaves_minted_ids_alone(old: str, new: str) -> None:
    """Mending a note's text, editing elsewhere or adding a note of another day changes no id."""
    before = notes(load_plan(NOTES, name="x"), "g-notes")
    after = notes(load_plan(NOTES.replace(old, new), name="x"), "g-notes")
    assert set(before) <= set(after)


def test_a_given_id_is_kept() -> None:
    """An id that the file gives is not replaced."""
    plan = load_plan(NOTES.replace("{date: 2026-02-03,", "{id: n-mine, date: 2026-02-03,"), name="x")
    assert plan.goal("g-notes").progress[2].id == "n-mine"


@pytest.mark.parametrize(
    ("old", "new", "path", "rule"),
    [
        ("text: The long one", f"text: The long one, colour: {SECRET}", "goals[0].colour", "no field"),
        ("text: The long one", "text: [1, 2]", "goals[0].text", "must be text"),
        ("text: The long one", "text: 5", "goals[0].text", "in quotes"),
        ("text: The long one", "text: 2026-01-01", "goals[0].text", "must be text"),
        ("lifecycle: active, start_date: 2026-01-05}", f"lifecycle: {SECRET}, start_date: 2026-01-05}}", "goals[0].lifecycle", "not one of draft, proposed"),
        ("status: planned", f"status: {SECRET}", "goals[1].steps[0].status", "not one of planned"),
        ("n: 1", "n: 1.5", "goals[1].steps[0].n", "whole number"),
        ("n: 1", f"n: {SECRET}", "goals[1].steps[0].n", "whole number"),
        ("{id: st-1, n: 1,", "{n: 1,", "goals[1].steps[0].id", "missing"),
        ("{id: g-long, ", "{", "goals[0].id", "missing"),
        ("title: A plan", f"title: A plan, nickname: {SECRET}", "plan.nickname", "no field"),
        ("status: active, start_date: 2026-01-05}\nclient", f"status: {SECRET}}}\nclient", "plan.status", "not one of draft"),
        ("id: plan-1, ", "", "plan.id", "missing"),
        ("start_date: 2026-01-05}\nclient", "start_date: 2026-13-45}\nclient", "plan.start_date", "no day of the calendar"),
        ("start_date: 2026-01-05}\nclient", f"start_date: {SECRET}}}\nclient", "plan.start_date", "YYYY-MM-DD"),
        ("birth_date: 1990-01-01", "birth_date: 1990", "client.birth_date", "YYYY-MM-DD"),
        ("lifecycle: active, start_date: 2026-01-05}", "lifecycle: 5, start_date: 2026-01-05}", "goals[0].lifecycle", "must be text or a mapping"),
        ("text: The long one", "text: x, share_words: maybe", "goals[0].share_words", "must be true or false"),
        ("n: 1, kind: homework", "n: 1, kind: [x]", "goals[1].steps[0].kind", "must be text"),
        ("text: The long one", "text: x, gas: {levels: {'9': x}}", "goals[0].gas.levels", "not one of the allowed words"),
        ("fhirgoals-plan/1", "fhirgoals-plan/2", "schema", "fhirgoals-plan/1"),
        ("schema: fhirgoals-plan/1\n", "", "schema", "fhirgoals-plan/1"),
        ("goals:", f"{SECRET.lower()}: 1\ngoals:", "(a key that is no word)", "no field"),
        ("goals:", "gaols: 1\ngoals:", "gaols", "no field"),
        ("problems: [", "problems: {a: [", "problems", "list"),
        ("granted: 2026-01-05", "granted: soon", "disclosure.consents[0].granted", "YYYY-MM-DD"),
        ("plan: {id", "plan: [1]\nexpected: {id", "plan", "mapping"),
    ],
)  # fmt: skip
def test_a_fault_names_its_path_and_rule(old: str, new: str, path: str, rule: str) -> None:
    """A wrong file is refused with where and which rule, and without the value."""
    text = edited(old, new)
    if "problems: {a" in text:
        text = text.replace("code: F32.1}}]", "code: F32.1}}]}")
    if "marisol" in text:  # more than 40 characters: no word
        text = text.replace(SECRET.lower(), f"{SECRET} {SECRET}")
    found = faults(text)
    assert any(place == path and rule in said for place, said in found), found


def test_all_faults_of_a_file_are_told_together() -> None:
    """Faults in different goals, and several in one, are in one message."""
    text = edited("text: The long one", "text: 5, colour: red").replace("status: planned", "status: finished")
    text = text.replace("role: client,", "role: king,").replace("status: active,", "status: asleep,")
    paths = [path for path, _ in faults(text)]
    assert sorted(paths) == [
        "goals[0].colour",
        "goals[0].text",
        "goals[1].steps[0].status",
        "participants[0].role",
        "plan.status",
    ]
    nameless = SMALL.replace("{id: g-long, ", "{").replace("{id: g-short, ", "{")
    assert faults(nameless) == (("goals[0].id", "is missing"), ("goals[1].id", "is missing"))


HOSTILE = {
    "an alias bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nschema: fhirgoals-plan/1\n", "aliases"),
    "an anchor": ("schema: &x fhirgoals-plan/1\n", "anchors"),
    "a merge key with an alias": ("a: {<<: *x}\n", "aliases"),
    "a python tag": ("schema: !!python/object/apply:os.system [echo]\n", "tags"),
    "a plain tag": ("schema: !!str fhirgoals-plan/1\n", "tags"),
    "two documents": (SMALL + "---\n" + SMALL, "second document"),
    "an empty file": ("", "empty"),
    "blank lines": ("\n \n", "empty"),
    "only a comment": ("# nothing\n", "empty"),
    "only a document mark": ("---\n...\n", "mapping"),
    "a list at the top": ("- schema: fhirgoals-plan/1\n", "mapping"),
    "a word at the top": (f"{SECRET}\n", "mapping"),
    "a key twice": (SMALL + f"plan: {{title: {SECRET}}}\n", "twice"),
    "a key twice in a goal": (SMALL.replace("text: The long one", f"text: a, text: {SECRET}"), "twice"),
    "a list as key": (f"? [{SECRET}]\n: 1\n", "key must be a word"),
    "a tab": (f"schema: fhirgoals-plan/1\nplan:\n\tid: {SECRET}\n", "tab"),
    "broken brackets": (f"schema: [{SECRET}\nplan: {{", "broken"),
    "an open quote": (f'schema: "{SECRET}\n', "broken"),
    "deep lists": ("schema: " + "[" * 100_000, "nests"),
    "deep mappings": ("a: " + "{a: " * 100_000, "nests"),
    "deep blocks": ("- " * 100_000, "nests"),
    "a long number": ("schema: " + "9" * 5000, "too long"),
    "a huge exponent": (SMALL.replace("n: 1,", "n: 1e999999999,"), "too long"),
    "NUL": (SMALL + "\x00", "NUL"),
    "a control character": (SMALL + f"# \x07 {SECRET}\n", "control character"),
    "UTF-16": (SMALL.encode("utf-16"), "UTF-8"),
    "Latin-1": (SMALL.replace("A plan", "Ein Plän").encode("latin-1"), "UTF-8"),
    "binary": (bytes(range(256)) * 10, "UTF-8"),
    "a number of 41 digits": (SMALL.replace("n: 1,", f"n: 1{'0' * 40},"), "too long"),
    "32 lists in each other": ("[" * 32 + "1" + "]" * 32, "mapping"),
    "33 lists in each other": ("[" * 33 + "1" + "]" * 33, "nests"),
    "half a character": (SMALL + "# \ud800\n", "surrogate"),
    "a line of 30 MB": ("schema: " + "a" * 30_000_000, "larger than 2 MiB"),
    "a line of 30 MB in bytes": (b"schema: " + b"a" * 30_000_000, "larger than 2 MiB"),
    "too many values": ("schema: [" + "a," * 300_000 + "]", "more than"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_time(name: str) -> None:
    """A malformed or hostile file gives one clear error, never another exception, and soon."""
    text, rule = HOSTILE[name]
    begun = time.perf_counter()
    found = faults(text)
    assert time.perf_counter() - begun < 5
    assert any(rule in said for _, said in found), found


HOSTILE_JSON = {
    "deep lists": ("[" * 100_000, "nests"),
    "deep objects": ('{"a":' * 50_000, "nests"),
    "forty levels": ('{"a":' + "[" * 40 + "]" * 40 + "}", "nests"),
    "32 lists in each other": ("[" * 32 + "1" + "]" * 32, "mapping"),
    "33 lists in each other": ("[" * 33 + "1" + "]" * 33, "nests"),
    "broken": (f'{{"schema": {SECRET}', "broken"),
    "a key twice": ('{"schema": 1, "schema": 2}', "twice"),
    "NaN": ('{"schema": NaN}', "NaN"),
    "a long number": ('{"schema": ' + "9" * 5000 + "}", "too long"),
    "a huge exponent": ('{"schema": 1e99999999}', "too long"),
    "a list": ("[]", "mapping"),
    "half a character": ('{"schema": "fhirgoals-plan/1", "plan": {"title": "\\ud800"}}', "surrogate"),
    "a line of 30 MB": ('"' + "a" * 30_000_000 + '"', "larger than 2 MiB"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_is_refused(name: str) -> None:
    """JSON files are refused by the same rules."""
    text, rule = HOSTILE_JSON[name]
    found = faults(text, load_plan_json)
    assert any(rule in said for _, said in found), found


@pytest.mark.parametrize("character", ["\x07", "\x0b", "\x1b", "\x1f"])
def test_a_control_character_is_refused_at_its_path(character: str) -> None:
    """A text that no FHIR string can carry is refused where it stands; tab, line feed and return are text."""
    rule = "holds a control character that no text may have"
    wrong = replace(with_goal(small(), "g-long", text=f"a{character}b"), title=f"{character}{SECRET}")
    where = f"goals[{[goal.id for goal in wrong.goals].index('g-long')}].text"
    for found in (faults(dump_plan(wrong)), faults(dump_plan_json(wrong), load_plan_json)):
        assert set(found) == {("plan.title", rule), (where, rule)}
    key = f'{{"schema": "fhirgoals-plan/1", "plan": {{"a\\u{ord(character):04x}b": 1}}}}'
    assert faults(key, load_plan_json) == (("plan.(a key that is no word)", rule),)
    right = replace(small(), title="a\tb\nc\rd")
    assert load_plan(dump_plan(right), name="y") == load_plan_json(dump_plan_json(right), name="j") == right


def test_a_fault_of_the_text_says_where_and_what() -> None:
    """Also by itself, before a file's name is known."""
    assert str(plan_yaml.Unreadable("goals[0].text", "stands twice")) == "goals[0].text: stands twice"
    assert str(plan_yaml.Unreadable("", "is empty")) == "is empty"


def test_a_quoted_number_is_not_a_number() -> None:
    """A value in quotes is text, and text is refused where a number belongs."""
    text = SMALL + "measures: [{id: m-1, baseline: {date: 2026-01-05, value: '17'}}]\n"
    assert faults(text) == (("measures[0].baseline.value", "must be a number"),)


def test_a_byte_order_mark_is_no_fault() -> None:
    """A file saved with a mark at its start loads as without."""
    as_json = dump_plan_json(small())
    for mark_and in (str.encode, "\ufeff{}".format, lambda text: text.encode("utf-8-sig")):
        assert load_plan(mark_and(SMALL), name="x") == load_plan_json(mark_and(as_json), name="j") == small()


def test_windows_line_ends_are_no_fault() -> None:
    """A file with CR LF loads as with LF."""
    assert load_plan(SMALL.replace("\n", "\r\n"), name="x") == small()


SECRET_KEY = f"{SECRET} is no word"
VALUES = st.recursive(
    st.sampled_from([SECRET_KEY, 5, Decimal("1.5"), True, None, date(2026, 1, 1), ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "text", "x y", SECRET_KEY]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def outcome(load: Callable[..., Plan], text: str | bytes) -> str:
    try:
        load(text, name="x")
    except BadPlan as error:
        return str(error)
    return ""


@given(field=st.sampled_from(Goal.__struct_fields__ + Plan.__struct_fields__), value=VALUES)
def test_any_value_anywhere_loads_or_is_refused_without_quoting_it(field: str, value: object) -> None:
    """Whatever stands in whatever field, the outcome is a plan or a `BadPlan` that quotes no value."""
    tree = {**BASE, "goals": [{**BASE["goals"][0], field: value}], "plan": {**BASE["plan"], field: value}}
    assert SECRET_KEY not in outcome(load_plan, plan_yaml.write_tree(tree))
    assert SECRET_KEY not in outcome(load_plan_json, msgspec.json.encode(tree))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_refused_without_a_crash(text: bytes) -> None:
    """Random bytes are never a plan and never another exception."""
    for load in (load_plan, load_plan_json):
        with pytest.raises(BadPlan):
            load(text, name="x")
