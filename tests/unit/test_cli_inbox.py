"""`inbox` on the command line: who sees what, what a choice says, and how many are settled at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirgoals.cli.main import main
from fhirgoals.domain.records import Foreign
from fhirgoals.domain.units import Unit
from fhirgoals.store import open_store
from tests.unit.inbox_desk import AT, CONFIG, EHR, GOAL, OTHER, PLAN, STATUS, TEXT, Desk, plan_of

THERAPIST = ["--by", "staff-1"]
OURS, THEIRS, BASE = "The short one", "Their words", "Base words"
SECRETS = (OURS, THEIRS, BASE, "A Client", "The long one")


class Terminal(Desk):
    """The desk, and the command line on it."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url, self.capsys = url, capsys
        super().__init__(open_store(url), plan_of())
        self.base(TEXT, BASE, BASE)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = main(["--store", self.url, "inbox", *arguments])
        printed = self.capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    def ok(self, *arguments: str) -> str:
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def fails(self, *arguments: str) -> str:
        """Run what is refused: nothing is printed to stdout, nothing is changed, no text of the plan is told."""
        before = self.state()
        code, out, err = self.run(*arguments)
        assert (code, out) == (2, "")
        assert self.state() == before
        assert not any(secret in err for secret in SECRETS)
        return err

    def audited(self) -> list[dict[str, Any]]:
        with self.store.read() as tx:
            return [row.detail for row in tx.audit.list() if row.action == "inbox_values"]


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.delenv("COLUMNS", raising=False)
    found = Terminal(f"sqlite:///{tmp_path / 'store.db'}", capsys)
    yield found
    found.store.close()


# -- list --------------------------------------------------------------------------------------------------------------


def test_the_list_has_a_line_for_each_without_values(desk: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Number, age, plan, goal, field and kind fit 80 columns; below it says who settles each kind and what happens."""
    monkeypatch.setenv("COLUMNS", "80")
    desk.item()
    desk.item(Unit(PLAN, "parent_map:g-short"), ours=["g-long"], theirs=["g-long", "g-x"], why="second_parent")
    desk.item(STATUS, "proposal", theirs={"lifecycle": "completed"})
    desk.item(None, "retract", ours=None, theirs=None, base=None, why="no_longer_disclosed")
    out = desk.ok("list")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["no", "age", "plan", "goal", "field", "what"]
    assert [line.split()[0] for line in lines[1:5]] == ["1", "2", "3", "4"]
    assert "place in the tree" in lines[2]
    assert all(GOAL in line for line in lines[1:5])
    assert "settled by therapist or supervisor" in out
    assert "each side keeps its own" in out
    assert not any(secret in out for secret in SECRETS)
    assert "completed" not in out
    rows = desk.json("list")["items"]
    assert [(row["kind"], row["goal"], row["field"]) for row in rows][:2] == [
        ("conflict", GOAL, "goal text"),
        ("conflict", GOAL, "place in the tree"),
    ]
    assert not any({"ours", "theirs", "base"} & row.keys() for row in rows)


def test_the_list_is_narrowed_and_shows_what_is_closed(desk: Terminal) -> None:
    """By connection, plan and kind; what is closed says how and by whom, not in whose words."""
    desk.item()
    desk.item(STATUS, "proposal", theirs={"lifecycle": "completed"})
    assert [row["id"] for row in desk.json("list", "--kind", "proposal")["items"]] == [2]
    assert [row["id"] for row in desk.json("list", "--plan", PLAN, "--connection", EHR)["items"]] == [1, 2]
    assert desk.ok("list", "--connection", OTHER) == "Nothing waits.\n"
    assert desk.ok("list", "--plan", "plan-none") == "Nothing waits.\n"
    assert desk.ok("list", "--closed") == "Nothing was closed yet.\n"
    assert "no connection of that name" in desk.fails("list", "--connection", "nowhere")
    desk.ok("resolve", "1", "--take", "ours", *THERAPIST, "--reason", "as Robin wished")
    assert [row["id"] for row in desk.json("list")["items"]] == [2]
    out = desk.ok("list", "--closed")
    assert "took ours (staff-1)" in out
    assert "Robin" not in out


# -- show --------------------------------------------------------------------------------------------------------------


def test_who_may_settle_it_sees_both_sides(desk: Terminal) -> None:
    """Base, ours and theirs side by side, who changed it and when, and what each choice does."""
    desk.item()
    for by in ("staff-1", "p-ther", "staff-2"):
        out = desk.ok("show", "1", "--by", by)
        for text in (BASE, OURS, THEIRS, "last agreed", f"at {EHR}", "therapist", "6 Nov 2026, 09:00 UTC", "version 2"):
            assert text in out
        assert "--take ours    the next sync writes ours at ehr" in out
        assert "--take theirs  the plan takes it over as a change of yours; nothing is sent" in out
    tree = desk.json("show", "1", *THERAPIST)
    assert (tree["base"], tree["ours"], tree["theirs"]) == (BASE, OURS, THEIRS)
    assert tree["here"]["by"] == "staff-1"
    assert tree["there"]["version"] == "2"
    assert (tree["moved"], tree["theirs_refused"]) == (False, None)
    assert desk.audited() == []


@pytest.mark.parametrize("by", [[], ["--by", "it-1"], ["--by", "client-1"], ["--by", "staff-3"], ["--by", "staff-5"]])
def test_nobody_else_sees_a_value(desk: Terminal, by: list[str]) -> None:
    """An operator, the client, a prescriber and a therapist who left see place, field, age and counts."""
    desk.item()
    desk.item(STATUS, "proposal", theirs={"lifecycle": "completed"})
    code, out, err = desk.run("show", "1", *by)
    assert code == 0
    assert not any(secret in out + err for secret in SECRETS)
    assert all(text in out for text in ("goal text", GOAL, PLAN, EHR, "1 item of this plan there"))
    assert "--reason" in err
    code, out, _ = desk.run("show", "1", *by, "--json")
    tree = json.loads(out)
    assert tree["values_shown"] is False
    assert not {"base", "ours", "theirs", "here"} & tree.keys()
    assert not any(secret in out for secret in SECRETS)
    assert desk.audited() == []


def test_an_operator_sees_values_with_a_reason_that_is_audited(desk: Terminal) -> None:
    """The audit has who, which item and why, and no value."""
    desk.item()
    out = desk.ok("show", "1", "--by", "it-1", "--reason", "wrong chart? INC-7")
    assert OURS in out
    assert THEIRS in out
    assert desk.audited() == [{"item": 1, "field": "text", "reason": "wrong-chart-INC-7"}]
    with desk.store.read() as tx:
        assert [row.actor for row in tx.audit.list() if row.action == "inbox_values"] == ["it-1"]


def test_a_reason_opens_nothing_for_who_has_another_part(desk: Terminal) -> None:
    """A client or relative is no operator for giving a reason; one without a name, or without words, is none."""
    desk.item()
    for by in ("client-1", "related-1", "staff-3"):
        assert "shown to therapist or supervisor" in desk.fails("show", "1", "--by", by, "--reason", "INC-7")
    assert "goes with --by" in desk.fails("show", "1", "--reason", "INC-7")
    assert "say in words why" in desk.fails("show", "1", "--by", "it-1", "--reason", " !? ")
    assert desk.audited() == []


def test_what_moved_since_is_said_and_no_choice_is_offered(desk: Terminal) -> None:
    """The EHR has another value by now: the page says to run sync."""
    desk.item()
    desk.seen(description={"text": "Changed there"})
    out = desk.ok("show", "1", *THERAPIST)
    assert "either side moved since it was asked" in out
    assert "--take" not in out
    assert desk.json("show", "1", *THERAPIST)["moved"] is True


def test_a_closure_that_lacks_its_reason_says_how_to_complete_it(desk: Terminal) -> None:
    """The rule's sentence stands beside the choice, and a line to copy below it; which then works."""
    desk.seen(lifecycleStatus="completed")
    desk.base(STATUS, {"lifecycle": "active"}, {"lifecycle": "active"})
    desk.item(STATUS, "proposal", base=None, ours={"lifecycle": "active"}, theirs={"lifecycle": "completed"})
    out = desk.ok("show", "1", *THERAPIST)
    assert "not as it is: A completed goal needs a closure reason" in out
    assert "under way" in out
    [example] = [line.partition("such as '")[2].rstrip("'") for line in out.splitlines() if "such as" in line]
    assert desk.json("show", "1", *THERAPIST)["theirs_refused"] == "A completed goal needs a closure reason"
    assert "--with" in desk.fails("resolve", "1", "--take", "theirs", *THERAPIST)
    done = desk.json("resolve", "1", "--take", "theirs", "--with", example, *THERAPIST)
    assert (done["take"], done["sends"]) == ("value", True)
    assert desk.plan().goal(GOAL).closure_reason == "achieved"


def test_a_decision_says_when_its_value_may_go(desk: Terminal) -> None:
    """With the next run, after the quiet minutes, or with a signature: as the connection has it."""
    for release, then in (
        ("on_save", "with the next run"),
        ("quiet_minutes", "if nobody edits the plan before"),
        ("on_sign", "once a review that covers it is signed"),
    ):
        with desk.store.write() as tx:
            tx.connections.update_config(EHR, {**CONFIG, "release": release})
        desk.base(TEXT, "Base words", "Base words")
        item = desk.item(ours=desk.plan().goal(GOAL).text)
        out = desk.ok("resolve", str(item.id), "--value", f'"Words for {release}"', *THERAPIST)
        assert then in out


def test_dates_codes_people_and_foreign_values_are_in_words(desk: Terminal) -> None:
    """A person by name and role, a goal by its words, what only the EHR understands as it wrote it."""
    foreign = {"foreign": '{"coding":[{"code":"x"}]}'}
    desk.item(Unit(PLAN, "parent_map:g-short"), base=None, ours=["g-long"], theirs=["g-none"])
    desk.item(Unit(GOAL, "note:n1"), ours={"date": "2026-08-07", "author": "p-ther", "text": "x\x1b[2J"}, theirs=None)
    desk.item(Unit(GOAL, "priority"), base=None, ours="high", theirs=foreign)
    assert "The long one" in desk.ok("show", "1", *THERAPIST)
    note = desk.ok("show", "2", *THERAPIST)
    assert "7 Aug 2026" in note
    assert "therapist" in note
    assert "\x1b" not in note
    assert 'as the EHR wrote it: {"coding":[{"code":"x"}]}' in desk.ok("show", "3", *THERAPIST)


def test_what_is_no_choice_says_what_is_to_be_done(desk: Terminal) -> None:
    """A held field, and a resource that is gone."""
    desk.item(kind="held", why="wrong_type", theirs={"foreign": "7"})
    desk.item(None, "gone", ours=None, theirs=None, base=None, why="changed_here_meanwhile")
    assert "To do: its cause is to be mended" in desk.ok("show", "1", *THERAPIST)
    assert "To do: the resource is to be restored" in desk.ok("show", "2", *THERAPIST)
    assert "no item of that number" in desk.fails("show", "9")


# -- resolve -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "says", "text"),
    [
        (["--take", "ours"], "Item 1 is settled: ours stands. It goes to ehr with the next run", OURS),
        (["--take", "theirs"], "Item 1 is settled: the plan has what ehr has, revision 2. Nothing is sent.", THEIRS),
        (["--value", '"New words"'], "Item 1 is settled: the plan has the new value, revision 2. It goes", "New words"),
    ],
    ids=["ours", "theirs", "value"],
)
def test_a_choice_is_told_in_a_line(desk: Terminal, choice: list[str], says: str, text: str) -> None:
    """What stands now, the revision if there is one, and whether anything is sent."""
    desk.item()
    out = desk.ok("resolve", "1", *choice, *THERAPIST)
    assert out.startswith(says)
    assert desk.plan().goal(GOAL).text == text
    assert desk.ok("list") == "Nothing waits.\n"
    assert "took" in desk.ok("show", "1", *THERAPIST)


def test_a_known_reason_is_the_revisions_and_words_go_into_the_history(desk: Terminal) -> None:
    """Codes are kept as codes; words are the revision's summary and the item's, and are shown to who may see them."""
    desk.item()
    desk.item(Unit(GOAL, "priority"), base=None, ours=None, theirs=None)
    desk.ok("resolve", "1", "--take", "theirs", *THERAPIST, "--reason", "agreed by phone")
    desk.ok("resolve", "2", "--value", '"high"', *THERAPIST, "--reason", "client_request")
    with desk.store.read() as tx:
        saved = [(one.reason, one.summary, one.origin) for one in tx.plans.revisions(PLAN)[1:]]
    assert saved == [("external_edit", "agreed by phone", EHR), ("client_request", None, None)]
    assert "took theirs (staff-1): agreed by phone" in desk.ok("show", "1", *THERAPIST)
    assert "phone" not in desk.ok("show", "1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["1"], "--take, --value"),
        (["1", "--take", "ours", "--value", "1"], "--take, --value"),
        (["1", "--take", "mine"], "ours, theirs"),
        (["1", "--value", "soon"], "is no JSON"),
        (["1", "--value", '"a\\u0007"'], "control character"),
        (["1", "--take", "ours", "--with", "{}"], "--take theirs"),
        (["1", "--take", "theirs", "--with", "{}"], "has no parts"),
        (["--take", "ours"], "--all"),
        (["1", "--all", "--take", "ours"], "--all"),
        (["1", "--take", "ours", "--unit", "text"], "go with --all"),
        (["--all", "--take", "ours", "--unit", "text"], "--connection"),
        (["--all", "--value", "1", "--unit", "text", "--connection", EHR], "one by one"),
        (["--all", "--take", "ours", "--unit", "text", "--connection", "nowhere"], "no connection"),
        (["--all", "--take", "ours", "--unit", "priority", "--connection", EHR], "no conflict or proposal"),
        (["7", "--take", "ours"], "no item of that number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_call_changes_nothing(desk: Terminal, arguments: list[str], says: str) -> None:
    """One line that names the option or what to do."""
    desk.item()
    err = desk.fails("resolve", *arguments, *THERAPIST)
    assert says in err
    assert len(err.splitlines()) == 1


def test_who_may_not_settle_is_told_who_may(desk: Terminal) -> None:
    """No name, no text, and what is to be done."""
    desk.item()
    for by in ("it-1", "client-1", "staff-4"):
        err = desk.fails("resolve", "1", "--take", "ours", "--by", by)
        assert "the primary therapist or the clinical supervisor of its plan" in err


# -- many --------------------------------------------------------------------------------------------------------------


def many(desk: Terminal) -> None:
    """Put in the same question for both goals: one stands as it was asked, the other does not."""
    desk.item()
    desk.item(Unit("g-long", "text"), ours="The long one", theirs="Not there")
    desk.item(STATUS, "proposal", theirs={"lifecycle": "completed"})


ALL = ["resolve", "--all", "--unit", "text", "--connection", EHR, "--take", "theirs"]


def check_of(err: str) -> str:
    """Return the check that a refusal names."""
    return err.rpartition("--yes --shown ")[2].strip()


def read(desk: Terminal, *arguments: str) -> list[str]:
    """Let a person read the list, and return what they add then."""
    code, _, err = desk.run(*ALL, *arguments)
    assert code == 2
    return [*ALL, *arguments, "--yes", "--shown", check_of(err)]


def test_many_are_listed_first_and_settled_after_yes(desk: Terminal) -> None:
    """Without --yes the list is all that happens; with it and the list's check each is settled or refused by itself."""
    many(desk)
    before = desk.state()
    code, out, err = desk.run(*ALL, *THERAPIST)
    assert code == 2
    assert OURS in out
    assert THEIRS in out
    assert "read the 2 items (1, 2), then add --yes --shown " in err
    assert desk.state() == before
    code, out, err = desk.run(*ALL, *THERAPIST, "--yes", "--shown", check_of(err))
    assert code == 1
    assert "Settled: 1 item." in out
    assert "item 2: either side moved" in err
    assert [row["id"] for row in desk.json("list")["items"]] == [2, 3]
    code, out, _ = desk.run(*read(desk, *THERAPIST), "--json")
    assert code == 2
    assert [one["id"] for one in json.loads(out)["refused"]] == [2]


def test_yes_alone_settles_nothing(desk: Terminal) -> None:
    """Nobody can say that they read a list which they do not name; the refusal names what to read and to add."""
    many(desk)
    before = desk.state()
    code, out, err = desk.run(*ALL, *THERAPIST, "--yes")
    assert code == 2
    assert OURS in out
    assert "--yes goes with --shown" in err
    assert "read the 2 items (1, 2), then add --yes --shown " in err
    assert desk.state() == before
    assert "--shown: goes with --all and --yes" in desk.fails(*ALL, *THERAPIST, "--shown", check_of(err))


def test_what_was_not_shown_is_not_settled(desk: Terminal) -> None:
    """Another value, another item or the other side needs another look: the earlier check does nothing."""
    desk.item()
    added = read(desk, *THERAPIST)
    with desk.store.write() as tx:
        tx.inbox.close(1, at=AT, reason="cause gone", by=None)
    desk.seen(description={"text": "Newer words"})
    desk.item(theirs="Newer words")
    before = desk.state()
    code, out, err = desk.run(*added)
    assert code == 2
    assert "Newer words" in out
    assert "--shown stands for another list" in err
    assert "read the 1 item (2)" in err
    assert desk.state() == before
    added = read(desk, *THERAPIST)
    desk.item(Unit("g-long", "text"), ours="The long one", theirs="Not there")
    before = desk.state()
    other_side = ["ours" if one == "theirs" else one for one in read(desk, *THERAPIST)]
    other_person = ["staff-2" if one == "staff-1" else one for one in read(desk, *THERAPIST)]
    for arguments in (added, other_side, other_person):
        code, out, err = desk.run(*arguments)
        assert code == 2
        assert "read the 2 items (2, 3)" in err
    assert desk.state() == before
    assert desk.run(*read(desk, *THERAPIST))[0] == 1


def test_a_program_reads_the_list_of_many_with_its_values_and_its_check(desk: Terminal) -> None:
    """--json shows what the check stands for: the items, both values to who may settle them, and the check."""
    many(desk)
    code, out, err = desk.run(*ALL, *THERAPIST, "--json")
    assert code == 2
    shown = json.loads(out)
    assert [(one["id"], one["ours"], one["theirs"]) for one in shown["items"]] == [
        (1, OURS, THEIRS),
        (2, "The long one", "Not there"),
    ]
    assert shown["check"] == check_of(err)
    code, out, err = desk.run(*ALL, *THERAPIST, "--yes", "--shown", "0000", "--json")
    assert code == 2
    assert json.loads(out) == shown
    code, out, _ = desk.run(*ALL, "--by", "it-1", "--json")
    assert [one["values_shown"] for one in json.loads(out)["items"]] == [False, False]
    assert not any(secret in out for secret in SECRETS)
    assert json.loads(out)["check"] != shown["check"]
    code, out, _ = desk.run(*ALL, *THERAPIST, "--yes", "--shown", shown["check"], "--json")
    assert code == 1
    assert [one["item"] for one in json.loads(out)["settled"]] == [1]


def test_the_list_of_many_shows_values_only_to_who_may_settle(desk: Terminal) -> None:
    """Another person sees where, and every item is refused."""
    many(desk)
    code, out, err = desk.run(*read(desk, "--by", "it-1"))
    assert code == 2
    assert not any(secret in out + err for secret in SECRETS)
    assert len(err.splitlines()) == 2


def test_cases_that_differ_are_settled_kind_by_kind(desk: Terminal) -> None:
    """Conflicts and proposals, and different causes, are not one decision: the refusal says how to name each."""
    many(desk)
    desk.item(Unit("g-long", "text"), "proposal", theirs="x", why="server_holds_less")
    err = desk.fails(*ALL, *THERAPIST)
    assert "--kind conflict --why both_changed: 2" in err
    assert "--kind proposal --why server_holds_less: 1" in err
    code, _, _ = desk.run(*read(desk, *THERAPIST, "--kind", "conflict"))
    assert code == 1


def test_a_field_is_named_by_its_family_or_in_words(desk: Terminal) -> None:
    """`note`, `note:<id>` and what the list calls it are the same field; so are `text` and `goal text`."""
    desk.item()
    desk.item(Unit(GOAL, "note:n1"), ours=None, theirs={"text": "x"})
    for name in ("note", "note:<id>"):
        code, _, err = desk.run("resolve", "--all", "--unit", name, "--connection", EHR, "--take", "ours", *THERAPIST)
        assert code == 2
        assert "read the 1 item (2)" in err
    for name in ("text", "goal text"):
        code, _, err = desk.run("resolve", "--all", "--unit", name, "--connection", EHR, "--take", "ours", *THERAPIST)
        assert code == 2
        assert "read the 1 item (1)" in err


def test_a_value_that_only_the_ehr_understands_can_be_taken(desk: Terminal) -> None:
    """A priority of the EHR's own is kept verbatim (promise 6)."""
    desk.seen(priority={"coding": [{"system": "urn:x", "code": "soonish"}]})
    [found] = [value for unit, value in _there(desk).items() if unit == Unit(GOAL, "priority")]
    desk.item(Unit(GOAL, "priority"), "proposal", base=None, ours=None, theirs=found)
    desk.ok("resolve", "1", "--take", "theirs", *THERAPIST)
    assert isinstance(desk.plan().goal(GOAL).priority, Foreign)


def _there(desk: Desk) -> dict[Unit, Any]:
    from fhirgoals.sync.view import last_seen, load_view  # noqa: PLC0415

    with desk.store.read() as tx:
        return dict(last_seen(load_view(tx, EHR, PLAN, desk.store.installation)).theirs.assembled.values)
