"""The Goal table: each rule of the wire form by example."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fhirgoals.domain.fields import FIELDS
from fhirgoals.domain.records import Foreign
from fhirgoals.fhir import exact_json
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers.careplan import CAREPLAN
from fhirgoals.mappers.coverage import PATHS
from fhirgoals.mappers.goal import GOAL, blocked
from fhirgoals.mappers.quantity import is_ucum
from fhirgoals.mappers.records import (
    WireAcceptance,
    WireCode,
    WireGoal,
    WireMeasure,
    WireNote,
    WireRelation,
    WireSustain,
    WireTarget,
)
from fhirgoals.mappers.wrong_types import wrong_types
from tests.laws.samples import full


def tree(text: str) -> Resource:
    found = exact_json.loads(text)
    assert isinstance(found, dict)
    return found


def target(text: str) -> WireTarget:
    [found] = GOAL.from_fhir(tree(f'{{"target":[{text}]}}')).targets
    return found


def changed(text: str, **fields: Any) -> str:
    """Return the one target element of `text` after these fields of it changed."""
    onto = tree(f'{{"target":[{text}]}}')
    record = GOAL.from_fhir(onto)
    wanted = msgspec.structs.replace(record, targets=(msgspec.structs.replace(record.targets[0], **fields),))
    made = GOAL.to_fhir(wanted, onto)
    assert GOAL.from_fhir(made) == wanted
    return exact_json.dumps(made["target"]).decode()[1:-1]


def test_every_row_of_the_table_of_fields_has_its_row_here() -> None:
    """Each R4 path of a merged CORE row stands in a row here with its merge unit; no row here has another path."""
    for table, kind in ((GOAL, "Goal"), (CAREPLAN, "CarePlan")):
        units = {(path, unit) for field in table.fields for path in field.paths for unit in field.units}
        for fields_row in FIELDS:
            if fields_row.issue != "CORE" or fields_row.merge_unit in (None, "derived"):
                continue
            if fields_row.sent in ("never", "identity_only"):
                continue
            for path in fields_row.r4_paths:
                if path.startswith(f"{kind}."):
                    assert (path, fields_row.merge_unit) in units, (fields_row.record, fields_row.field)
        ours = {path for field in table.fields for path in field.paths}
        assert ours - {"CarePlan.meta.security"} == set(PATHS[kind])  # derived, and yet to be compared


def test_one_edited_field_changes_one_leaf() -> None:
    """Editing the text of a full resource changes that text and nothing else, to the byte."""
    onto = full("Goal")
    wanted = msgspec.structs.replace(GOAL.from_fhir(onto), text="Sleep through the night")
    before, after = exact_json.dumps(onto), exact_json.dumps(GOAL.to_fhir(wanted, onto))
    assert after == before.replace(b'"Sleep through"', b'"Sleep through the night"')


def test_a_full_goal_reads_as_its_record() -> None:
    """Every row reads what stands there."""
    read = GOAL.from_fhir(full("Goal"))
    assert (read.lifecycle, read.achievement, read.closure_reason) == ("on_hold", "improving", "partially_met")
    assert (read.horizon, read.nature, read.domain) == ("long_term", "exploratory", "social-functioning")
    assert (read.status_date, read.target_date) == (date(2026, 6, 1), date(2026, 12, 1))
    assert read.addresses == ("Condition/1",)
    assert read.relations == (WireRelation(type="milestone", target="Goal/2"),)
    assert read.acceptance == (WireAcceptance(individual="Patient/1", status="agree", priority="high"),)
    assert [label.code for label in read.labels] == ["R", "MH"]
    assert read.targets[0] == WireTarget(
        id="t1",
        measure=WireMeasure(text="PHQ-9", coding=WireCode(system=t.LOINC, code="44261-6")),
        op="<",
        value=Decimal("7.10"),
        unit="{score}",
        by=date(2026, 11, 1),
        sustain=WireSustain(count=2, apart_days=28),
    )
    assert [note.author_text for note in read.notes] == [None, "Dr X", "Nurse Y", None, None]


# --- Targets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["<", "<=", "=", ">=", ">"])
def test_an_operator_is_a_comparator_and_equal_is_none(op: str) -> None:
    """FG-MEAS-02: `=` has no comparator."""
    record = WireGoal(targets=(WireTarget(op=op, value=Decimal("4.50"), unit="d/wk"),))  # type: ignore[arg-type]
    made = exact_json.dumps(GOAL.to_fhir(record, {})).decode()
    comparator = "" if op == "=" else f',"comparator":"{op}"'
    assert made == (
        f'{{"target":[{{"detailQuantity":{{"value":4.50{comparator},"unit":"days per week",'
        f'"system":"{t.UCUM}","code":"d/wk"}}}}]}}'
    )


def test_between_is_a_range_with_both_ends() -> None:
    """FG-MEAS-02: between is detailRange low and high, each with its unit."""
    record = WireGoal(targets=(WireTarget(op="between", range=(Decimal("6.5"), Decimal(9)), unit="h"),))
    made = GOAL.to_fhir(record, {})["target"]
    assert exact_json.dumps(made).decode().count('"code":"h"') == 2
    assert '"low":{"value":6.5' in exact_json.dumps(made).decode()


def test_a_range_with_one_end_reads_as_an_operator_and_keeps_its_form() -> None:
    """An inbound one-ended Range is `<=` or `>=`; another number changes its leaf, another operator its form."""
    high = '{"detailRange":{"high":{"value":19.00,"code":"h"}}}'
    assert (target(high).op, target(high).value) == ("<=", Decimal("19.00"))
    assert changed(high, value=Decimal("18.0")) == '{"detailRange":{"high":{"value":18.0,"code":"h"}}}'
    assert changed(high, op="<") == (
        f'{{"detailQuantity":{{"value":19.00,"comparator":"<","unit":"hours","system":"{t.UCUM}","code":"h"}}}}'
    )


def test_an_integer_reads_as_equal_and_keeps_its_form() -> None:
    """detailInteger is `=`; a whole number stays one, another becomes a Quantity."""
    assert (target('{"detailInteger":0}').op, target('{"detailInteger":0}').value) == ("=", Decimal(0))
    assert changed('{"detailInteger":0}', value=Decimal(2)) == '{"detailInteger":2}'
    assert changed('{"detailInteger":0}', value=Decimal("2.0")) == '{"detailQuantity":{"value":2.0}}'


def test_a_whole_number_that_we_made_reads_as_one_that_was_read() -> None:
    """A Decimal without digits behind the point is the same JSON as an integer, and means the same."""
    made: Resource = {"target": [{"detailInteger": Decimal(5)}]}
    assert GOAL.from_fhir(made) == GOAL.from_fhir(tree('{"target":[{"detailInteger":5}]}'))


def test_a_huge_number_is_written_in_no_time() -> None:
    """A number with a great exponent never becomes a whole number with as many digits."""
    assert changed('{"detailInteger":0}', value=Decimal("1E+999999")) == '{"detailQuantity":{"value":1E+999999}}'


def test_another_detail_is_foreign_and_kept() -> None:
    """A string, a ratio or two details at once are kept under their names."""
    assert target('{"detailString":"less"}') == WireTarget(detail=Foreign(foreign='{"detailString":"less"}'))
    assert target('{"detailString":"less","detailInteger":1}').value is None
    assert target('{"detailQuantity":{"value":1,"comparator":"ad"}}').detail is not None


def test_a_changed_number_leaves_the_rest_of_its_quantity() -> None:
    """Unit words and unknown extensions of a Quantity survive another value."""
    before = '{"detailQuantity":{"extension":[{"url":"u"}],"value":7.10,"unit":"points","code":"{score}"}}'
    assert changed(before, value=Decimal("7.1")) == before.replace("7.10", "7.1")


def test_a_unit_without_a_code_is_read_from_its_words_and_claims_no_code() -> None:
    """`unit: steps` reads as the unit; written elsewhere it stays words, since it is no UCUM code."""
    words = '{"detailQuantity":{"value":5,"unit":"steps"}}'
    assert target(words).unit == "steps"
    made = GOAL.to_fhir(WireGoal(targets=(target(words),)), {})
    assert exact_json.dumps(made).decode() == f'{{"target":[{words}]}}'


@pytest.mark.parametrize(
    ("unit", "known"),
    [
        *((unit, True) for unit in ("kg", "d/wk", "/wk", "{score}", "kg/m2", "mm[Hg]", "{x}/d")),
        *((unit, False) for unit in ("steps", "", "/", "a b", "kg/", "cigarettes/d")),
    ],
)
def test_only_known_ucum_codes_count_as_such(unit: str, known: bool) -> None:
    """A unit that is put together from other words than UCUM's that we know is no code."""
    assert is_ucum(unit) is known


def test_the_goals_own_date_is_the_element_due() -> None:
    """It stands first, has no measure, and is no target; nothing else is read as the goal's date."""
    record = WireGoal(target_date=date(2026, 12, 1), targets=(WireTarget(by=date(2026, 11, 1)),))
    made = GOAL.to_fhir(record, {})
    assert made == {"target": [{"id": "due", "dueDate": "2026-12-01"}, {"dueDate": "2026-11-01"}]}
    assert GOAL.from_fhir({"target": [{"dueDate": "2026-11-01"}]}).target_date is None


def test_removing_the_goals_date_keeps_what_else_is_in_its_element() -> None:
    """A measure that somebody put into the element `due` stays; a bare element goes."""
    onto = tree('{"target":[{"id":"due","dueDate":"2026-12-01","measure":{"text":"x"}},{"id":"due","dueDate":"2027"}]}')
    assert GOAL.to_fhir(WireGoal(), onto) == {"target": [{"id": "due", "measure": {"text": "x"}}]}
    assert GOAL.to_fhir(WireGoal(), {"target": [{"id": "due", "dueDate": "2026-12-01"}]}) == {}


def test_a_duration_is_foreign_until_a_date_takes_its_place() -> None:
    """dueDuration is kept; a date that is written replaces it."""
    before = '{"measure":{"text":"x"},"dueDuration":{"value":3}}'
    assert target(before).by == Foreign(foreign='{"dueDuration":{"value":3}}')
    assert changed(before, by=date(2026, 12, 1)) == '{"measure":{"text":"x"},"dueDate":"2026-12-01"}'


def test_another_measure_replaces_its_codings_and_another_name_does_not() -> None:
    """Further codings said the same as the first, so they go with it."""
    before = '{"measure":{"coding":[{"system":"a","code":"1","display":"d"},{"system":"b","code":"2"}],"text":"t"}}'
    renamed = WireMeasure(text="u", coding=WireCode(system="a", code="1"))
    assert changed(before, measure=renamed) == before.replace('"t"', '"u"')
    other = WireMeasure(text="t", coding=WireCode(system="a", code="9"))
    assert changed(before, measure=other) == '{"measure":{"coding":[{"system":"a","code":"9"}],"text":"t"}}'


def test_a_sustain_that_is_odd_is_kept_whole() -> None:
    """Without a count it is foreign; a readable one keeps its unknown parts when it changes."""
    odd = f'{{"extension":[{{"url":"{t.TARGET_SUSTAIN_EXT}","extension":[{{"url":"span-days","valueInteger":3}}]}}]}}'
    assert target(odd).sustain is None
    assert target(odd).sustain_foreign is not None
    good = odd.replace('[{"url":"span', '[{"url":"x"},{"url":"count","valueInteger":2},{"url":"span')
    assert target(good).sustain == WireSustain(count=2, span_days=3)
    assert changed(good, sustain=WireSustain(count=4)) == good.replace('2},{"url":"span-days","valueInteger":3', "4")


def test_a_target_without_id_is_followed_when_its_date_changes() -> None:
    """The measure finds it, so its unknown extension stays."""
    before = '{"extension":[{"url":"u","valueDecimal":1.0}],"measure":{"text":"x"},"dueDate":"2026-01-01"}'
    assert changed(before, by=date(2026, 2, 1)) == before.replace("2026-01", "2026-02")


# --- Status, notes, relations --------------------------------------------------------------------------------------


def test_a_changed_achievement_replaces_its_concept() -> None:
    """The old words and codings must not contradict the new status; an equal one is untouched."""
    onto = full("Goal")
    wanted = msgspec.structs.replace(GOAL.from_fhir(onto), achievement="achieved")
    assert GOAL.to_fhir(wanted, onto)["achievementStatus"] == {
        "coding": [{"system": t.ACHIEVEMENT.system, "code": "achieved", "display": "Achieved"}],
        "text": "Achieved",
    }


def test_accepted_is_not_rewritten_by_another_update() -> None:
    """FG-STAT-03: an unrelated change leaves lifecycleStatus accepted."""
    onto = tree('{"lifecycleStatus":"accepted","priority":{"text":"x"}}')
    assert GOAL.from_fhir(onto).lifecycle == "accepted"
    wanted = msgspec.structs.replace(GOAL.from_fhir(onto), text="new")
    assert GOAL.to_fhir(wanted, onto)["lifecycleStatus"] == "accepted"


def test_codings_of_the_description_stay() -> None:
    """Only the text is ours."""
    onto = tree('{"description":{"coding":[{"code":"1"}],"text":"a"}}')
    assert GOAL.to_fhir(WireGoal(text="b"), onto) == {"description": {"coding": [{"code": "1"}], "text": "b"}}
    assert GOAL.to_fhir(WireGoal(), onto) == {"description": {"coding": [{"code": "1"}]}}


def test_a_description_of_another_type_is_foreign() -> None:
    """A plain string where a concept belongs is not taken for the text."""
    assert GOAL.from_fhir({"description": "x"}).text == Foreign(foreign='{"description":"x"}')


def test_a_reference_loses_its_display_with_its_target() -> None:
    """A person's name must not stay behind on another person's reference."""
    onto = tree('{"expressedBy":{"reference":"Patient/1","display":"A"},"addresses":[{"reference":"Condition/1"}]}')
    made = GOAL.to_fhir(WireGoal(expressed_by="Practitioner/7", addresses=("Condition/2",)), onto)
    assert made == {"expressedBy": {"reference": "Practitioner/7"}, "addresses": [{"reference": "Condition/2"}]}


def test_a_reference_without_a_string_is_left_alone() -> None:
    """By identifier or display only: not read in lists, foreign where one stands alone, never lost."""
    onto = tree('{"expressedBy":{"display":"A"},"addresses":[{"identifier":{"value":"7"}}]}')
    read = GOAL.from_fhir(onto)
    assert (read.addresses, read.expressed_by) == ((), Foreign(foreign='{"display":"A"}'))
    made = GOAL.to_fhir(msgspec.structs.replace(read, addresses=("Condition/1",)), onto)
    assert made["addresses"] == [{"identifier": {"value": "7"}}, {"reference": "Condition/1"}]


def test_a_notes_time_survives_another_text() -> None:
    """A dateTime reads as its date and is not rewritten with the rest of the note."""
    onto = tree('{"note":[{"authorString":"Dr X","time":"2026-06-02T08:30:00+02:00","text":"a"}]}')
    [note] = GOAL.from_fhir(onto).notes
    assert note == WireNote(author_text="Dr X", time=date(2026, 6, 2), text="a")
    made = GOAL.to_fhir(WireGoal(notes=(msgspec.structs.replace(note, text="b"),)), onto)
    assert made["note"] == [{"authorString": "Dr X", "time": "2026-06-02T08:30:00+02:00", "text": "b"}]


def test_an_author_is_a_reference_or_words_never_both() -> None:
    """author[x] is a choice: setting one removes the other."""
    onto = tree('{"note":[{"authorString":"Dr X","text":"a"}]}')
    made = GOAL.to_fhir(WireGoal(notes=(WireNote(author_reference="Practitioner/7", text="a"),)), onto)
    assert made["note"] == [{"text": "a", "authorReference": {"reference": "Practitioner/7"}}]
    back = GOAL.to_fhir(WireGoal(notes=(WireNote(author_text="Dr X", text="a"),)), made)
    assert back["note"] == [{"text": "a", "authorString": "Dr X"}]
    shown: Resource = {"note": [{"authorReference": {"display": "Nurse Y"}, "text": "a"}]}
    renamed = GOAL.to_fhir(WireGoal(notes=(WireNote(author_text="Dr X", text="a"),)), shown)
    assert renamed["note"] == [{"text": "a", "authorString": "Dr X"}]


@pytest.mark.parametrize("system", [t.RELATION_R4_SYSTEM, t.RELATION_PACK_SYSTEM])
@pytest.mark.parametrize("kind", ["milestone", "part-of"])
def test_a_relation_is_read_under_either_system(kind: str, system: str) -> None:
    """Both vocabularies are accepted; the direction is the code's, not the system's."""
    written = GOAL.to_fhir(WireGoal(relations=(WireRelation(type="milestone", target="Goal/2"),)), {})
    raw = exact_json.dumps(written).decode()
    raw = raw.replace(t.RELATION_R4_SYSTEM, system).replace('"code":"milestone"', f'"code":"{kind}"')
    assert GOAL.from_fhir(tree(raw)).relations == (WireRelation(type=kind, target="Goal/2"),)


def test_part_of_is_written_with_the_systems_own_word() -> None:
    """milestone is R4's word, part-of the extension pack's."""
    for kind, system in (("milestone", t.RELATION_R4_SYSTEM), ("part-of", t.RELATION_PACK_SYSTEM)):
        made = GOAL.to_fhir(WireGoal(relations=(WireRelation(type=kind, target="Goal/2"),)), {})
        assert f'"system":"{system}","code":"{kind}"'.encode() in exact_json.dumps(made)


def test_an_incomplete_relation_is_unread_and_stays() -> None:
    """Without a target or type it is nothing to us, and survives every update."""
    onto = tree(f'{{"extension":[{{"url":"{t.GOAL_RELATIONSHIP}","extension":[{{"url":"type"}}]}}]}}')
    assert GOAL.from_fhir(onto).relations == ()
    made = GOAL.to_fhir(WireGoal(relations=(WireRelation(type="predecessor", target="Goal/2"),)), onto)
    assert made["extension"][0] == onto["extension"][0]  # type: ignore[index,call-overload]


def test_an_acceptance_keeps_its_unknown_parts() -> None:
    """Another status changes that leaf; another individual is another line."""
    onto = full("Goal")
    record = GOAL.from_fhir(onto)
    wanted = msgspec.structs.replace(record.acceptance[0], status="disagree")
    made = GOAL.to_fhir(msgspec.structs.replace(record, acceptance=(wanted,)), onto)
    assert exact_json.dumps(made) == exact_json.dumps(onto).replace(b'"agree"', b'"disagree"')


def test_foreign_labels_stay() -> None:
    """A label of a system that is not ours survives, and keeps its place behind its neighbour."""
    onto = full("Goal")
    made = GOAL.to_fhir(msgspec.structs.replace(GOAL.from_fhir(onto), labels=()), onto)
    assert made["meta"]["security"] == [{"system": "http://example.org/labels", "code": "R"}]  # type: ignore[index,call-overload]


# --- What is not to be acted on ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"modifierExtension":[{"url":"u"}]}', True),
        ('{"target":[{"modifierExtension":[{"url":"u"}]}]}', True),
        ('{"contained":[{"modifierExtension":[{"url":"u"}]}]}', False),
        ('{"modifierExtension":[]}', False),
        ('{"extension":[{"url":"u"}]}', False),
    ],
)
def test_a_modifier_extension_blocks_the_resource(text: str, expected: bool) -> None:
    """FG-EXT-07: we know none, so any blocks; one in a contained resource concerns that alone."""
    assert blocked(tree(text)) is expected


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("note", "note:<id>"),
        ("target", "targets"),
        ("extension", "relations"),
        ("category", "axes"),
        ("meta", "labels"),
    ],
)
def test_a_list_of_another_type_holds_its_unit(key: str, unit: str) -> None:
    """A string where a list belongs reads as empty, and is told, so that it is not taken for a removal."""
    onto = full("Goal")
    assert wrong_types(GOAL, onto) == {}
    onto[key] = "x"
    assert wrong_types(GOAL, onto)[unit] == f"Goal.{key}"
    assert exact_json.same(GOAL.to_fhir(GOAL.from_fhir(onto), onto), onto)
