"""`put`, `get` and `show`: plans in and out by revision, and the tree as each reader gets it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import yaml

from fhirgoals.cli.main import main
from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.planfile import dump_plan, load_plan, load_plan_json
from fhirgoals.domain.units import Unit
from fhirgoals.store import open_store

EXAMPLES = Path(__file__).parents[2] / "examples"
PLANS = sorted(EXAMPLES.glob("0*.yaml"))
NAMES = ("ehr-main", "primary-care", "patient-portal", "employer-eap", "school-clinic")
BY = ["--by", "staff-7", "--reason", "correction"]


@pytest.fixture(autouse=True)
def unwrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines be as long as they are, whatever runs the tests sets the width to."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    found = f"sqlite:///{tmp_path / 'store.db'}"
    for name in NAMES:
        release = "on_save" if name == "ehr-main" else "quiet_minutes"
        add = ["--store", found, "ehr", "add", name, "--url", "http://127.0.0.1:9/fhir", "--release", release]
        assert main(add) == 0
    capsys.readouterr()
    return found


def put(url: str, *arguments: str) -> int:
    return main(["--store", url, "put", *arguments, *BY])


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_comes_out_as_it_went_in(url: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """YAML and JSON out are the plan that was put in."""
    assert put(url, str(path)) == 0
    plan = load_plan(path.read_bytes(), name=path.name)
    capsys.readouterr()
    assert main(["--store", url, "get", plan.id]) == 0
    assert load_plan(capsys.readouterr().out, name="printed") == plan
    assert main(["--store", url, "get", plan.id, "--format", "json"]) == 0
    assert load_plan_json(capsys.readouterr().out, name="printed") == plan


def test_all_examples_go_in_together(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Several files are one transaction, and `--json` counts what was written."""
    assert put(url, *map(str, PLANS), "--json") == 0
    found = json.loads(capsys.readouterr().out)["plans"]
    assert [one["goals"] for one in found] == [15, 13, 12, 4, 8]
    assert all(one["new"] and one["revision"] == 1 for one in found)


def test_the_same_file_again_is_no_new_revision(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing changed: nothing is written, and the exit code is 0."""
    assert put(url, str(PLANS[0])) == 0
    capsys.readouterr()
    assert put(url, str(PLANS[0])) == 0
    assert "nothing changed, revision 1" in capsys.readouterr().out


def test_an_edit_touches_its_own_field_only(url: str, tmp_path: Path) -> None:
    """A changed text is one merge unit of one revision, with who and why."""
    assert put(url, str(PLANS[0])) == 0
    edited = tmp_path / "edited.yaml"
    edited.write_text(PLANS[0].read_text().replace("in the Tuesday meeting", "in the Monday meeting"))
    assert put(url, str(edited)) == 0
    store = open_store(url)
    with store.read() as tx:
        revision = tx.plans.revisions("plan-dep-01")[-1]
    store.close()
    assert (revision.rev, revision.by, revision.reason) == (2, "staff-7", "correction")
    assert set(revision.touched) == {Unit("g-work", "text")}


def test_a_file_from_get_is_refused_once_the_store_moved_on(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The revision in the file's first line guards against writing over somebody's edit."""
    assert put(url, str(PLANS[0])) == 0
    capsys.readouterr()
    assert main(["--store", url, "get", "plan-dep-01"]) == 0
    mine, theirs = tmp_path / "mine.yaml", tmp_path / "theirs.yaml"
    mine.write_text(capsys.readouterr().out)
    theirs.write_text(mine.read_text().replace("Tuesday meeting", "Monday meeting"))
    mine.write_text(mine.read_text().replace("Tuesday meeting", "Friday meeting"))
    assert put(url, str(theirs)) == 0
    assert put(url, str(mine)) == 2
    assert "revision 1" in capsys.readouterr().err
    assert put(url, str(mine), "--expect", "2") == 0


def test_who_has_no_part_in_a_plan_is_told_so_and_what_to_do(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An edit by someone without a part is refused as a whole: not the file is at fault but who put it."""
    assert put(url, str(PLANS[0])) == 0
    edited = tmp_path / "edited.yaml"
    edited.write_text(PLANS[0].read_text().replace("in the Tuesday meeting", "in the Monday meeting"))
    capsys.readouterr()
    assert main(["--store", url, "put", str(edited), "--by", "staff-99", "--reason", "review"]) == 2
    told = capsys.readouterr().err
    assert "--by: This person has no part in this plan today" in told
    assert "add the person to its participants (plan-dep-01); nothing was written" in told
    assert "of its changes" not in told


def test_a_file_that_leaves_kept_smart_letters_out_changes_nothing(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SMART letters are computed: a file without them, or with others, is the plan as it stands."""
    assert put(url, str(PLANS[0])) == 0
    propose = ["goal", "propose", "plan-dep-01", "--text", "Cook twice a week", "--under", "g-mood", "--by", "staff-7"]
    assert main(["--store", url, *propose]) == 0
    capsys.readouterr()
    assert main(["--store", url, "get", "plan-dep-01"]) == 0
    plan = load_plan(capsys.readouterr().out, name="printed")
    assert plan.goals[-1].smart is not None
    bare = tmp_path / "bare.yaml"
    bare.write_text(
        dump_plan(
            msgspec.structs.replace(plan, goals=(*plan.goals[:-1], msgspec.structs.replace(plan.goals[-1], smart=None)))
        )
    )
    assert put(url, str(bare)) == 0
    assert "nothing changed, revision 2" in capsys.readouterr().out


def test_a_vanished_goal_is_refused(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A goal can't be left out of a file: entered in error is the only delete (invariant 17)."""
    plan = load_plan(PLANS[3].read_bytes(), name=PLANS[3].name)
    assert put(url, str(PLANS[3])) == 0
    file = tmp_path / "plan.yaml"
    file.write_text(dump_plan(msgspec.structs.replace(plan, goals=plan.goals[:-1])))
    assert main(["--store", url, "put", str(file), "--by", "staff-11", "--reason", "correction"]) == 2
    assert "entered_in_error" in capsys.readouterr().err


def test_a_consent_must_name_a_connection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An endpoint that is no connection is refused, with what to do (invariant 24)."""
    assert put(f"sqlite:///{tmp_path / 'new.db'}", str(PLANS[0])) == 2
    assert "fhirgoals ehr add" in capsys.readouterr().err


def test_a_plan_is_looked_at_at_once_whenever_its_edits_may_go(url: str) -> None:
    """What is taken back waits for no quiet minutes: the run holds what may not go yet."""
    assert put(url, str(PLANS[0])) == 0
    store = open_store(url)
    now = datetime.now(UTC)
    with store.read() as tx:
        for name in ("ehr-main", "primary-care"):
            assert {one.plan_id for one in tx.dirty.take(name, now)} == {"plan-dep-01"}
    store.close()


def test_show_marks_steps_and_says_status_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree has title, numbers, dates, marks and no ids, and fits 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["show", str(PLANS[1]), "--on", "2026-11-06"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Exposure and response prevention plan")
    assert "  1.3  Complete a ten-step contamination ladder" in text
    assert "(improving, 16 Jun 2026 to 27 Nov 2026; high priority;" in text
    assert "[x] Touch his own door handle and wait (17 Jun 2026, distress 20 → 5)" in text
    assert "past its date" not in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "g-wash" not in text


def test_show_says_what_is_past_its_date(capsys: pytest.CaptureFixture[str]) -> None:
    """An open goal after its target date is told so on that day."""
    assert main(["show", str(PLANS[1]), "--on", "2027-03-01"]) == 0
    assert "past its date" in capsys.readouterr().out


def test_a_client_does_not_see_drafts(capsys: pytest.CaptureFixture[str]) -> None:
    """As the client gets it, a therapist's draft and an error are not there."""
    assert main(["show", str(PLANS[1]), "--as", "client"]) == 0
    text = capsys.readouterr().out
    assert "DRAFT-SENTINEL" not in text
    assert "VOID-SENTINEL" not in text
    assert "Reduce washing" in text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_connection_sees_what_is_disclosed_and_why_the_rest_stays(
    path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--as CONNECTION --json` names each goal once: as shown, or as kept with its reason."""
    plan = load_plan(path.read_bytes(), name=path.name)
    on = datetime(2026, 11, 6, tzinfo=UTC).date()
    shown = disclose(plan, name, on=on, portal_visible=False)
    assert main(["show", str(path), "--as", name, "--on", on.isoformat(), "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in tree["goals"]] == list(shown.goals)
    assert {one["id"]: one["why"] for one in tree["kept"]} == dict(shown.kept)


def test_what_stays_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads why a goal does not go, without a code."""
    assert main(["show", str(PLANS[1]), "--as", "ehr-main", "--on", "2026-11-06"]) == 0
    text = capsys.readouterr().out
    assert "What stays here (4 goals):" in text
    assert "the client keeps it back" in text
    assert "withheld" not in text


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A goal's text that would steer the terminal is shown without its escape."""
    file = tmp_path / "plan.yaml"
    head = (
        "schema: fhirgoals-plan/1\nplan: {id: p, kind: client_treatment, status: active}\nclient: {id: c, display: X}\n"
    )
    file.write_text(head + 'goals:\n  - {id: g, text: "a\\u009b2Jb\\u202Ec", lifecycle: active}\n')
    assert main(["show", str(file)]) == 0
    assert "a\N{REPLACEMENT CHARACTER}2Jb\N{REPLACEMENT CHARACTER}c" in capsys.readouterr().out


def test_put_says_a_title_without_what_steers_a_terminal(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the title that `put` prints, no escape code (C1) and no change of direction is left."""
    file = tmp_path / "plan.yaml"
    tree = yaml.safe_load(PLANS[0].read_text())
    tree["plan"]["title"] = "a\u009b2Jb\u202ec"
    file.write_text(json.dumps(tree, default=str))
    assert put(url, str(file)) == 0
    assert "a\N{REPLACEMENT CHARACTER}2Jb\N{REPLACEMENT CHARACTER}c: " in capsys.readouterr().out


def test_an_unknown_plan_names_those_that_are_there(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`get` and `show` of a wrong id list the ids of the store."""
    assert put(url, str(PLANS[0])) == 0
    for command in ("get", "show"):
        assert main(["--store", url, command, "plan-x"]) == 2
        assert "plan-dep-01" in capsys.readouterr().err
