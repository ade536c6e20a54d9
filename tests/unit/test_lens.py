"""The engine of the mapper tables: what is written, what is left alone, how list members are aligned."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhirgoals.domain.records import Foreign, Record
from fhirgoals.errors import BadJson, BadResource, Bug
from fhirgoals.fhir import exact_json
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import keyed
from fhirgoals.mappers.lens import Lens, Mapper, only_reading, row, same
from fhirgoals.mappers.shapes import DAY, MOMENT, TEXT, category, code, concept, day_or_other, extension, inside, leaf


class Word(Record, frozen=True, kw_only=True):
    """A record of two fields, for these tests."""

    one: str | Foreign | None = None
    two: str | Foreign | None = None


WORDS = Mapper(Word, (row("one", leaf("one", TEXT), "X.one", "one"), row("two", leaf("two", TEXT), "X.two", "a; b")))


def tree(text: str) -> Resource:
    found = exact_json.loads(text)
    assert isinstance(found, dict)
    return found


def text(made: Resource) -> str:
    return exact_json.dumps(made).decode()


def test_only_what_differs_is_written() -> None:
    """A field that reads as wanted is not touched; key order and unknown properties stay."""
    onto = tree('{"x":7.10,"two":"b","one":"a"}')
    assert text(WORDS.to_fhir(Word(one="a", two="c"), onto)) == '{"x":7.10,"two":"c","one":"a"}'


def test_writing_leaves_the_given_tree_as_it_was() -> None:
    """`to_fhir` returns a copy."""
    onto = tree('{"one":"a","x":[{"y":1}]}')
    made = WORDS.to_fhir(Word(), onto)
    made["x"][0]["y"] = 2  # type: ignore[index,call-overload]
    assert text(onto) == '{"one":"a","x":[{"y":1}]}'


def test_digits_of_decimals_count() -> None:
    """7.10 is not 7.1, also deep inside a tuple of records."""
    assert same((Decimal("7.10"),), (Decimal("7.10"),))
    assert not same((Decimal("7.10"),), (Decimal("7.1"),))


def test_another_type_is_foreign_and_goes_back_as_it_was() -> None:
    """What is no string reads as its exact JSON, and is written as that elsewhere."""
    read = WORDS.from_fhir(tree('{"one":{"b":7.10,"a":null},"two":null}'))
    assert read == Word(one=Foreign(foreign='{"b":7.10,"a":null}'))
    assert text(WORDS.to_fhir(read, {})) == '{"one":{"b":7.10,"a":null}}'


def test_a_foreign_text_that_is_no_json_is_refused() -> None:
    """A kept value that can't be read raises an input error, not a crash."""
    with pytest.raises(BadJson):
        WORDS.to_fhir(Word(one=Foreign(foreign="{")), {})


def test_a_vendors_deviation_replaces_one_row() -> None:
    """`replace` changes that row alone, in a new table; a name that is no row is our mistake."""
    upper = Lens[str | Foreign | None](lambda found: "fixed", lambda made, value: None)
    changed = WORDS.replace(row("two", upper))
    assert changed.from_fhir({"one": "a", "two": "b"}) == Word(one="a", two="fixed")
    assert WORDS.from_fhir({"one": "a", "two": "b"}) == Word(one="a", two="b")
    with pytest.raises(Bug):
        WORDS.replace(row("three", upper))


def test_a_row_can_be_made_to_read_only() -> None:
    """A server that keeps an element to itself gets a row that never writes."""
    changed = WORDS.replace(only_reading(WORDS.field("two")))
    assert text(changed.to_fhir(Word(one="a", two="c"), {"two": "b"})) == '{"two":"b","one":"a"}'


def test_a_row_names_its_units_as_the_table_of_fields_does() -> None:
    """Several merge units are separated as in `fields.csv`."""
    assert (WORDS.field("one").units, WORDS.field("two").units) == (("one",), ("a", "b"))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('"2026-05-01"', "2026-05-01"),
        ('"2026-05"', None),
        ('"2026-02-30"', None),
        ('"20260501"', None),
        ('"2026-05-01T10:00:00Z"', None),
        ('"\u0662026-05-01"', None),
        ("5", None),
    ],
)
def test_only_a_full_date_reads_as_a_date(raw: str, expected: str | None) -> None:
    """Partial, impossible and otherwise written dates are foreign."""
    read = leaf("d", DAY).read(tree(f'{{"d":{raw}}}'))
    assert read == Foreign(foreign=raw) if expected is None else str(read) == expected


def test_a_time_survives_an_equal_date() -> None:
    """A dateTime reads as its calendar date, and only another date is written."""
    lens = leaf("d", MOMENT)
    table = Mapper(Word, (row("one", lens),))
    onto = tree('{"d":"2026-05-01T23:30:00-05:00"}')
    read = lens.read(onto)
    assert str(read) == "2026-05-01"
    assert text(table.to_fhir(Word(one=read), onto)) == text(onto)  # type: ignore[arg-type]


def test_what_only_starts_like_a_date_is_none() -> None:
    """Ten right characters are not enough: a T must follow."""
    assert isinstance(leaf("d", MOMENT).read({"d": "2026-05-01 10:00"}), Foreign)


def test_the_other_type_of_a_choice_is_foreign_under_its_name() -> None:
    """startCodeableConcept reads as `{startCodeableConcept: …}`; a date takes its place."""
    lens = day_or_other("startDate", "startCodeableConcept")
    onto = tree('{"startCodeableConcept":{"text":"admission"}}')
    read = lens.read(onto)
    assert read == Foreign(foreign='{"startCodeableConcept":{"text":"admission"}}')
    made: Resource = {"startDate": "2026-05-01"}
    lens.write(made, read)
    assert text(made) == text(onto)


def test_an_unknown_code_is_foreign() -> None:
    """A plain code that our list does not know is kept verbatim."""
    assert leaf("c", code(t.LIFECYCLE)).read({"c": "foo"}) == Foreign(foreign='"foo"')
    assert leaf("c", code(t.LIFECYCLE)).read({"c": "rejected"}) == "declined"


def test_a_code_without_a_wire_form_is_refused() -> None:
    """A draft has no lifecycleStatus: it must not be sent."""
    with pytest.raises(Bug):
        leaf("c", code(t.LIFECYCLE)).write({}, "draft")


def test_two_codings_that_differ_are_foreign() -> None:
    """A concept that says both high and low says neither."""
    both = concept(t.PRIORITY)
    said = [t.PRIORITY.coding("high"), t.PRIORITY.coding("low")]
    assert isinstance(both.decode({"coding": list(said)}), Foreign)
    assert both.decode({"coding": [said[0], said[0], {"system": "http://example.org", "code": "x"}]}) == "high"


def test_an_emptied_object_goes_and_another_type_gives_way() -> None:
    """`inside` makes and removes the object as needed."""
    lens = inside("period", leaf("start", TEXT))
    made = tree('{"period":{"start":"a"}}')
    lens.write(made, None)
    assert made == {}
    made = {"period": 5}
    lens.write(made, "b")
    assert made == {"period": {"start": "b"}}


def test_an_extension_keeps_its_id_and_gets_one_value() -> None:
    """The value of another type goes when ours is set; the element's id and neighbours stay."""
    lens = extension("u", "valueCode", TEXT)
    made = tree('{"extension":[{"url":"o"},{"id":"e","url":"u","valueString":"x"}]}')
    assert isinstance(lens.read(made), Foreign)
    lens.write(made, "y")
    assert text(made) == '{"extension":[{"url":"o"},{"id":"e","url":"u","valueCode":"y"}]}'
    lens.write(made, None)
    assert text(made) == '{"extension":[{"url":"o"}]}'


def test_an_extension_without_its_value_is_kept_whole() -> None:
    """It reads as the whole extension and stands elsewhere as the whole extension, not as a value in another."""
    lens = extension("u", "valueCode", TEXT)
    read = lens.read(tree('{"extension":[{"url":"u","valueString":"x"}]}'))
    assert read == Foreign(foreign='{"url":"u","valueString":"x"}')
    made: Resource = {}
    lens.write(made, read)
    assert text(made) == '{"extension":[{"url":"u","valueString":"x"}]}'


def test_a_category_that_held_only_ours_goes_with_it() -> None:
    """No concept without codings, and no words of a tier that is gone, stay behind."""
    lens = category(t.GOAL_TIER)
    made: Resource = {"category": [{"coding": [t.GOAL_TIER.coding("long_term")], "text": "LTG"}], "x": 1}
    lens.write(made, None)
    assert made == {"x": 1}


def test_a_category_of_ours_changes_inside_its_concept() -> None:
    """Other codings of the concept and other concepts stay; the words follow the code."""
    lens = category(t.GOAL_TIER)
    system = t.GOAL_TIER.system
    made = tree(
        f'{{"category":[{{"text":"mine"}},{{"coding":[{{"system":"o","code":"x"}},'
        f'{{"id":"c","system":"{system}","code":"long-term","display":"Long-term goal"}}],"text":"Long-term goal"}}]}}'
    )
    lens.write(made, "short_term")
    assert text(made) == (
        f'{{"category":[{{"text":"mine"}},{{"coding":[{{"system":"o","code":"x"}},'
        f'{{"id":"c","system":"{system}","code":"short-term","display":"Short-term goal"}}],'
        '"text":"Short-term goal"}]}'
    )
    lens.write(made, None)
    assert text(made) == '{"category":[{"text":"mine"},{"coding":[{"system":"o","code":"x"}]}]}'


def test_two_tiers_at_once_are_foreign() -> None:
    """It never guesses which of two codings of our system counts."""
    lens = category(t.GOAL_TIER)
    made: Resource = {"category": [{"coding": [t.GOAL_TIER.coding("long_term"), t.GOAL_TIER.coding("short_term")]}]}
    read = lens.read(made)
    assert isinstance(read, Foreign)
    elsewhere: Resource = {"category": [{"coding": [t.GOAL_TIER.coding("long_term")], "text": "Long-term goal"}]}
    lens.write(elsewhere, read)
    assert lens.read(elsewhere) == read


def test_a_kept_category_of_another_system_is_refused() -> None:
    """A foreign value that could not be read back from there is not written."""
    with pytest.raises(BadResource):
        category(t.GOAL_TIER).write({}, Foreign(foreign='{"system":"http://example.org","code":"x"}'))


# --- Alignment -----------------------------------------------------------------------------------------------------


class Item(Record, frozen=True, kw_only=True):
    """A list member, for these tests."""

    id: str | None = None
    key: str | None = None
    value: str | None = None


ITEM = Mapper(Item, tuple(row(name, leaf(name, TEXT)) for name in ("id", "key", "value")))
ITEMS = keyed.keyed_list(
    "items",
    keyed.records(
        ITEM,
        lambda element: "foreign" not in element,
        lambda item: {},
        (lambda item: item.id, lambda item: item.key),
        by_position=True,
    ),
)


def rewritten(before: str, *items: Item) -> str:
    made = tree(f'{{"items":{before}}}')
    ITEMS.write(made, items)
    assert ITEMS.read(made) == items
    return exact_json.dumps(made.get("items")).decode()


def test_a_changed_member_keeps_its_element() -> None:
    """Found by id, only the changed leaf is written; what is unknown in the element stays."""
    before = '[{"id":"1","x":7.10,"value":"a"},{"id":"2","value":"b"}]'
    assert rewritten(before, Item(id="1", value="c"), Item(id="2", value="b")) == (
        '[{"id":"1","x":7.10,"value":"c"},{"id":"2","value":"b"}]'
    )


def test_members_are_found_by_key_where_ids_are_missing() -> None:
    """The second rung of the ladder finds what a server returned without ids, and gives the id back."""
    assert rewritten('[{"key":"k","x":1,"value":"a"}]', Item(id="1", key="k", value="a")) == (
        '[{"key":"k","x":1,"value":"a","id":"1"}]'
    )


def test_equal_members_come_before_any_key() -> None:
    """Of two with one key, the unchanged one keeps its own element."""
    before = '[{"key":"k","value":"a","x":1},{"key":"k","value":"b","x":2}]'
    assert rewritten(before, Item(key="k", value="b")) == '[{"key":"k","value":"b","x":2}]'


def test_members_with_different_ids_are_never_one() -> None:
    """A member that has another id is new: the old element goes with all that is in it."""
    assert rewritten('[{"id":"1","key":"k","x":1}]', Item(id="2", key="k")) == '[{"id":"2","key":"k"}]'


def test_a_member_with_an_id_never_takes_the_place_of_one_without() -> None:
    """Ours beside a removed one of somebody else's is new, so that nothing of theirs sticks to it."""
    assert rewritten('[{"value":"a","x":1}]', Item(id="2", value="b")) == '[{"id":"2","value":"b"}]'
    assert rewritten('[{"value":"a","x":1}]', Item(value="b")) == '[{"value":"b","x":1}]'


def test_order_is_the_records_and_what_is_unread_stays_behind_its_neighbour() -> None:
    """Unread elements keep following the member they followed, or stay in front."""
    before = '[5,{"id":"1"},{"foreign":1},{"id":"2"},null]'
    assert rewritten(before, Item(id="2"), Item(id="3"), Item(id="1")) == (
        '[5,{"id":"2"},null,{"id":"3"},{"id":"1"},{"foreign":1}]'
    )


def test_what_followed_a_removed_member_stays() -> None:
    """An unread element never goes with its neighbour."""
    assert rewritten('[{"id":"1"},{"foreign":1},{"id":"2"}]', Item(id="2")) == '[{"foreign":1},{"id":"2"}]'


def test_twins_stay_twins() -> None:
    """Two equal members are two; removing one leaves the other's element."""
    before = '[{"key":"k","x":1},{"key":"k","x":2}]'
    assert rewritten(before, Item(key="k"), Item(key="k")) == before
    assert rewritten(before, Item(key="k")) == '[{"key":"k","x":1}]'
    assert rewritten(before, Item(key="k"), Item(key="k"), Item(key="k")) == before[:-1] + ',{"key":"k"}]'


def test_an_emptied_list_goes() -> None:
    """FHIR has no empty arrays."""
    made = tree('{"items":[{"id":"1"}],"x":1}')
    ITEMS.write(made, ())
    assert made == {"x": 1}
