"""The table of fields and the records say the same, and the table can be asked for what is sent and for policy."""

from __future__ import annotations

import msgspec
import pytest

from fhirgoals.domain import fields, records

NO_FIELD = {
    ("Plan", "schema"): "the file format's name",
    ("Goal", "plan"): "a goal stands in its plan's list",
    ("Goal", "ordinal"): "its place in that list",
    ("Step", "goal"): "a step stands in its goal's list",
    ("Barrier", "goal"): "a barrier stands in its goal's list",
    ("Review", "next_due"): "derived from reviews and interval",
}
NO_ROWS = {
    "Foreign": "stands in for any coded field or date and goes by that one's row",
    "Coding": "its members are named in the row that holds it",
    "Identifier": "only in fields that are never sent",
    "Name": "its members are named in the row that holds it",
    "Weight": "its members are named in the row that holds it",
    "Cutoff": "its members are named in the row that holds it",
    "Refusal": "its members are named in the row that holds it",
}
NO_ROW = {
    ("Target", "foreign_detail"): "the foreign form of value and range",
    ("Measure", "foreign_code"): "the foreign form of code",
}
RECORDS = {
    kind.__name__: kind
    for kind in vars(records).values()
    if isinstance(kind, type) and issubclass(kind, records.Record) and kind is not records.Record
}
ROWS = [row for row in fields.FIELDS if row.record != "Wire"]


def test_every_row_has_a_field() -> None:
    """Each row of a domain record names a field of that record, but for places in the file and derived values."""
    have = {(name, each.encode_name) for name, kind in RECORDS.items() for each in msgspec.structs.fields(kind)}
    missing = {(row.record, row.field) for row in ROWS} - have
    assert missing == set(NO_FIELD)


def test_every_field_has_a_row() -> None:
    """Each field of a record has a row, but for the records and fields that go by another row, each with a reason."""
    rows = {(row.record, row.field) for row in ROWS}
    bare = {
        (name, each.encode_name)
        for name, kind in RECORDS.items()
        if name not in NO_ROWS
        for each in msgspec.structs.fields(kind)
    } - rows
    assert bare == set(NO_ROW)
    assert not {row.record for row in ROWS} & set(NO_ROWS)


def test_a_row_with_members_names_fields_of_what_it_holds() -> None:
    """The names in braces are fields of some record without rows, so that pruning by them keeps the right ones."""
    named = {each.encode_name for name in NO_ROWS for each in msgspec.structs.fields(RECORDS[name])}
    assert {member for row in ROWS for member in row.members} <= named


def test_a_list_in_the_table_is_a_list_in_the_record() -> None:
    """A field that the table writes with [] holds a tuple."""
    for row in ROWS:
        if (row.record, row.field) in NO_FIELD:
            continue
        field = next(each for each in msgspec.structs.fields(RECORDS[row.record]) if each.encode_name == row.field)
        assert row.many == (field.default == ()), (row.record, row.field)


def test_no_field_has_two_rows() -> None:
    """A field has one row, so one answer."""
    keys = [(row.record, row.field) for row in fields.FIELDS]
    assert len(keys) == len(set(keys))


def test_a_field_without_a_row_is_never_sent() -> None:
    """Deny by default: no row, not sent."""
    assert fields.sent("Goal", "favourite_colour") == "never"
    assert fields.sent("Nothing", "id") == "never"
    assert fields.sent("Goal", "text") == "with_goal"
    assert fields.sent("Client", "identifiers") == "identity_only"


@pytest.mark.parametrize(
    ("unit", "policy"),
    [
        ("text", ("auto", "ask")),
        ("status", ("propose", "ask")),
        ("order", ("ignore", "ours")),
        ("step:<id>.text", ("auto", "ask")),
        ("step:st-1.text", ("auto", "ask")),
        ("step:st.1.status", ("propose", "ask")),
        ("note:pe-1", ("auto", "ask")),
        ("acceptance:p-client", ("propose", "ask")),
        ("target:m-phq9", ("propose", "ask")),
    ],
)
def test_a_unit_has_one_policy(unit: str, policy: tuple[str, str]) -> None:
    """A unit's policy is found by the table's name and by that of one member."""
    assert fields.policy(unit) == policy


@pytest.mark.parametrize("unit", ["derived", "identity", "shoe_size", "step:st-1.shoe_size", "note:"])
def test_what_is_not_merged_has_no_policy(unit: str) -> None:
    """Asking for the policy of what the table does not merge is an error, not a default."""
    with pytest.raises(KeyError):
        fields.policy(unit)


def test_every_sent_row_has_a_path_or_is_a_list() -> None:
    """A row that lets a field out says where it stands on the wire, unless it is a list whose members say so."""
    for row in fields.FIELDS:
        if row.sent not in ("never",) and row.merge_unit is not None:
            assert row.r4_paths, (row.record, row.field)
