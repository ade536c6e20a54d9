"""`preview --out FILE` and `apply FILE`: to the letter, with every item that moved named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.desk import BY, EXAMPLES, Desk, desk, unwrapped

__all__ = ["desk", "unwrapped"]


def kept(desk: Desk) -> Path:
    file = desk.folder / "preview.json"
    desk.ok("preview", "ehr-main", "--out", str(file))
    return file


def edit(desk: Desk, old: str, new: str) -> None:
    file = desk.folder / "plan.yaml"
    file.write_text(desk.ok("get", "plan-ocd-01").replace(old, new))
    desk.ok("put", str(file), "--by", "staff-11", "--reason", "correction")


def test_a_plan_that_moved_since_is_named_item_by_item(desk: Desk) -> None:
    """What was changed here since the preview is named with its cause and what to do, and nothing is sent."""
    desk.armed()
    file = kept(desk)
    edit(desk, "Reduce washing to 30 minutes", "Reduce washing to 25 minutes")
    code, _, err = desk.run("apply", str(file))
    assert code == 2
    assert "create Goal g-wash" in err
    assert "changed here since" in err
    assert "Preview again: fhirgoals preview ehr-main --out FILE" in err
    assert "Reduce washing" not in err
    assert desk.goals() == {}
    assert desk.json("sync", "ehr-main")["created"] == 10


def test_what_moved_at_the_ehr_is_named_and_the_rest_is_done(desk: Desk) -> None:
    """One of two edits is done, the other is left with both sides as they are; programs get the same as JSON."""
    desk.armed()
    desk.json("sync", "ehr-main")
    edit(desk, "30 minutes a day or less", "25 minutes a day or less")
    edit(desk, "start_date: 2026-06-09", "start_date: 2026-06-10")
    file = kept(desk)
    operations = json.loads(file.read_bytes())["connections"][0]["operations"]
    assert len(operations) > 1
    goal = desk.goals()["Reduce washing t"]
    goal["note"] = [{"text": "from the front desk"}]
    desk.edit(goal)
    found = desk.json("apply", str(file), code=2)
    assert [(one["id"], one["why"]) for one in found["left"]] == [("g-wash", "changed_there")]
    assert found["done"] == len(operations) - 1 == found["pushed"]
    assert "25 minutes" not in desk.goals()["Reduce washing t"]["description"]["text"]


def test_what_is_not_in_the_file_is_a_note(desk: Desk) -> None:
    """All of the file was done: exit code 0, and the rest is told to be left for later."""
    desk.armed()
    desk.json("sync", "ehr-main")
    edit(desk, "30 minutes a day or less", "25 minutes a day or less")
    file = kept(desk)
    other = next(goal for text, goal in desk.goals().items() if not text.startswith("Reduce washing"))
    other["description"]["text"] += ", said there"
    desk.edit(other)
    code, _, err = desk.run("apply", str(file))
    assert (code, "not in the file" in err) == (0, True)
    assert desk.json("apply", str(file), code=2)["left"][0]["why"] == "no_longer"
    assert desk.json("sync", "ehr-main")["pulled"] == 1


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[1]",
        "{",
        '{"schema": "fhirgoals-preview/1", "revisions": {}, "connections": []}',
        '{"schema": "fhirgoals-preview/2", "connections": []}',
    ],
)
def test_a_file_that_is_no_preview_is_refused(desk: Desk, content: str) -> None:
    """Any other JSON, no JSON, an older preview, and one without its store's mark: named, and nothing is done."""
    desk.armed()
    file = desk.folder / "other.json"
    file.write_text(content)
    code, _, err = desk.run("apply", str(file))
    assert (code, "other.json" in err, len(err.splitlines())) == (2, True, 1)
    assert desk.goals() == {}


@pytest.mark.parametrize("part", [{"operations": 1}, {"revisions": []}, {"operations": [{"operation": "create"}]}])
def test_a_preview_that_was_edited_is_refused(desk: Desk, part: dict[str, object]) -> None:
    """A part that `preview` does not write so: the whole file is refused."""
    desk.armed()
    file = kept(desk)
    tree = json.loads(file.read_bytes())
    tree["connections"][0] |= part
    file.write_text(json.dumps(tree))
    code, _, err = desk.run("apply", str(file))
    assert (code, "is no kept preview" in err) == (2, True)
    assert desk.goals() == {}


def test_the_preview_of_another_store_is_refused(desk: Desk, tmp_path: Path) -> None:
    """Its marks mean nothing here, and the message says so."""
    desk.armed()
    file = kept(desk)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert desk.run("ehr", "add", "ehr-main", "--url", desk.url, "--store", other)[0] == 0
    code, _, err = desk.run("apply", str(file), "--store", other)
    assert (code, "of another store" in err) == (2, True)


def test_an_unarmed_connection_does_nothing_by_a_file(desk: Desk) -> None:
    """The file of a connection that observes is refused with what to do."""
    desk.create_people()
    desk.run("patients", "match", "ehr-main", *BY)
    desk.ok("patients", "confirm", "ehr-main", "--all", *BY)
    file = kept(desk)
    code, _, err = desk.run("apply", str(file))
    assert (code, "ehr arm" in err) == (2, True)
    desk.ok("ehr", "arm", "ehr-main", *BY, "--reason", "seen", "--yes")
    assert desk.json("apply", str(file))["done"] == 10


def test_the_first_run_limit_holds_for_a_file_too(desk: Desk) -> None:
    """A whole preview applied after arming does what the limit lets through and says what waits."""
    for name in ("01-depression", "03-interpersonal-worklife"):
        desk.ok("put", str(EXAMPLES / f"{name}.yaml"), *BY, "--reason", "initial")
    desk.create_people()
    desk.run("patients", "match", "ehr-main", *BY)
    desk.ok("patients", "confirm", "ehr-main", "--all", *BY)
    file = kept(desk)
    desk.ok("ehr", "arm", "ehr-main", *BY, "--reason", "seen", "--yes", "--first", "1")
    found = desk.json("apply", str(file), code=2)
    assert {one["why"] for one in found["left"]} == {"not_ended"}
    assert len({one["plan"] for one in found["left"]}) == found["left_for_later"]
