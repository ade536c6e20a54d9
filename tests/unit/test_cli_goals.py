"""The editing commands: each is one revision with who and why, or a refusal that changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fhirgoals.cli.goal_new import NEW
from fhirgoals.cli.goal_work import WORK
from fhirgoals.cli.main import main
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import Unit
from fhirgoals.store import open_store
from fhirgoals.store.plans import SavedRevision

PLAN = """\
schema: fhirgoals-plan/1
plan:
  id: plan-a
  kind: client_treatment
  title: A plan to work on
  status: active
  start_date: 2020-01-06
  review_interval_days: 90
client: {id: client-1, display: Robin Vale, birth_date: 1990-01-01}
participants:
  - {id: p-client, role: client, ref: client-1}
  - {id: p-ther, role: primary_therapist, ref: staff-1, display: "T. Moss"}
  - {id: p-sup, role: clinical_supervisor, ref: staff-2, display: "S. Birch"}
problems:
  - {id: pr-1, code: {system: icd10cm, code: F33.1, display: Depression}, status: active}
measures:
  - id: m-1
    instrument: PHQ-9
    code: {system: loinc, code: 44261-6}
    range: [0, 27]
    better: lower
    baseline: {date: 2020-01-06, value: 17}
    readings: []
goals:
  - id: g-long
    horizon: long_term
    nature: aspirational
    text: Look forward to the week again
    addresses: [pr-1]
    lifecycle: active
    start_date: 2020-01-06
    targets: [{measure: m-1, op: "<", value: 5}]
    acceptance: BOTH
  - id: g-walk
    parent: g-long
    horizon: short_term
    nature: actionable
    text: Walk for half an hour on three days a week
    addresses: [pr-1]
    lifecycle: active
    start_date: 2020-01-06
    acceptance: BOTH
    gas:
      baseline: -1
      levels: {"-2": Stays in, "-1": Once a week, "0": Three days, "1": Four days, "2": Most days}
    steps:
      - {id: st-1, n: 1, kind: homework, owner: client, text: Put the shoes by the door, status: planned}
      - {id: st-2, n: 2, kind: exposure, owner: client, text: Walk past the office, status: planned}
  - id: g-new
    parent: g-long
    horizon: short_term
    nature: exploratory
    text: Find out what makes a morning good
    completion_criterion: Two weeks of notes
    addresses: [pr-1]
    lifecycle: proposed
    start_date: 2020-01-06
    target_date: 2020-03-01
reviews:
  - {id: rv-1, date: 2020-02-03, kind: scheduled, outcome: continue, signatures: [{by: p-client}, {by: p-ther}]}
revisions:
  - {rev: 1, date: 2020-01-06, by: p-ther, reason: initial, client_agreed: true}
"""
BOTH = ", ".join(f"{{by: {by}, status: agree, date: 2020-01-06, method: signature}}" for by in ("p-client", "p-ther"))
THERAPIST = ["--by", "staff-1"]
CLIENT = ["--by", "client-1"]


class Desk:
    """A store with one plan, and the command line on it."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url, self._capsys = url, capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        self._capsys.readouterr()
        code = main(["--store", self.url, *arguments])
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    def ok(self, *arguments: str) -> str:
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out

    def refused(self, *arguments: str) -> str:
        """Run a command that is refused; nothing is printed to stdout or written."""
        before = self.rev()
        code, out, err = self.run(*arguments)
        assert (code, out) == (2, "")
        assert "Traceback" not in err
        assert self.rev() == before
        return err

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def plan(self) -> Plan:
        store = open_store(self.url)
        with store.read() as tx:
            stored = tx.plans.get("plan-a")
        store.close()
        assert stored is not None
        return stored.plan

    def revisions(self) -> tuple[SavedRevision, ...]:
        store = open_store(self.url)
        with store.read() as tx:
            found = tx.plans.revisions("plan-a")
        store.close()
        return found

    def rev(self) -> int:
        return self.revisions()[-1].rev


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.delenv("COLUMNS", raising=False)
    found = Desk(f"sqlite:///{tmp_path / 'store.db'}", capsys)
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN.replace("BOTH", f"[{BOTH}]"))
    found.ok("ehr", "add", "ehr-main", "--url", "http://127.0.0.1:9/fhir")
    found.ok("put", str(file), *THERAPIST, "--reason", "initial")
    return found


COMMANDS: tuple[tuple[list[str], str], ...] = (
    (["goal", "propose", "plan-a", "--text", "Cook twice a week", "--under", "g-long", *CLIENT], "proposed"),
    (["goal", "propose", "plan-a", "--text", "Sleep better", "--draft", *THERAPIST], "a draft now"),
    (["goal", "accept", "g-new", *CLIENT], "agreed to"),
    (["goal", "accept", "g-new", "--for", "p-client", "--method", "signature", *THERAPIST], "agreed to"),
    (["goal", "disagree", "g-walk", "--reason", "Too cold", *CLIENT], "disagreed with"),
    (["goal", "schedule", "g-new", "--start", "2020-02-01", *THERAPIST], "planned"),
    (["goal", "pause", "g-walk", "--reason", "A broken toe", *THERAPIST], "on hold"),
    (["goal", "complete", "g-walk", "--as", "achieved", "--on", "2020-03-01", *THERAPIST], "closed (achieved)"),
    (["goal", "decline", "g-new", "--reason", "Not now", *CLIENT], "declined"),
    (
        ["goal", "make-smaller", "g-walk", "--text", "Walk round the block", "--reason", "Too much", "--agreed",
         *THERAPIST],
        "is replaced by “Walk round the block”",
    ),
    (["goal", "edit", "g-walk", "--set", "priority=high", "--reason", "review", *THERAPIST], "changed: priority"),
    (["goal", "void", "g-new", "--reason", "Wrong chart", *THERAPIST], "marked as an error"),
    (["goal", "step", "g-walk", "1", "done", "--on", "2020-02-01", *CLIENT], "Step 1 of"),
    (["goal", "step", "g-walk", "st-2", "void", "--reason", "Twice", *THERAPIST], "Step 2 of"),
    (["goal", "add-step", "g-walk", "--text", "Ask a friend along", *THERAPIST], "a step added"),
    (["goal", "trial", "g-walk", "2", "--peak", "70", "--end", "30", "--on", "2020-02-01", *THERAPIST], "70 to 30"),
    (["goal", "victory", "g-walk", "--text", "Went out in the rain", *CLIENT], "a victory noted"),
    (["goal", "note", "g-walk", "--text", "Going well", "--visible", "shared", *THERAPIST], "a shared note written"),
    (["goal", "finding", "g-new", "--text", "Coffee first", *THERAPIST], "a private finding noted"),
    (["goal", "barrier", "g-walk", "--text", "Ice", *THERAPIST], "a barrier noted"),
    (["goal", "achievement", "g-walk", "improving", *THERAPIST], "improving"),
    (["reading", "add", "plan-a", "PHQ-9", "12", "--on", "2020-02-01", *THERAPIST], "PHQ-9: 12 recorded"),
    (["reading", "add", "plan-a", "m-1", "12.5", "--on", "2020-02-01", *CLIENT], "PHQ-9: 12.5 recorded"),
    (["rate", "g-walk", "--level", "-2", "--on", "2020-02-01", *CLIENT], "rated -2"),
    (
        ["review", "add", "plan-a", "--outcome", "continue", "--participation", "active", "--on", "2020-05-04",
         *THERAPIST],
        "on record",
    ),
    (["review", "sign", "plan-a", "rv-1", "--on", "2020-02-04", *THERAPIST], "signed"),
    (["review", "refuse", "plan-a", "rv-1", "--reason", "Not as we said", *CLIENT], "signature refused"),
    (["consent", "grant", "plan-a", "ehr-main", "--on", "2020-02-01", "--until", "2021-02-01", *THERAPIST], "granted"),
    (["consent", "refuse", "plan-a", "ehr-main", *CLIENT], "refused"),
    (["withhold", "add", "plan-a", "g-walk", "--reason", "My own affair", *CLIENT], "kept back from all connections"),
    (["withhold", "add", "plan-a", "pr-1", "--from", "ehr-main", *CLIENT], "kept back from ehr-main"),
    (["plan", "agree", "plan-a", "--client-agreed", *THERAPIST], "the client agreed"),
    (["plan", "disagree", "plan-a", "--for", "p-client", "--reason", "No paper", *THERAPIST], "without agreement"),
    (["plan", "pause", "plan-a", "--reason", "Hospital", *THERAPIST], "on hold"),
    (
        ["plan", "transfer", "plan-a", "--to", "staff-9", "--name", "N. Reed", "--summary", "Moved",
         "--client-agreed", "--participation", "active", "--with", "p-client",
         *THERAPIST],
        "handed over to staff-9",
    ),
    (
        ["plan", "discharge", "plan-a", "--outcome", "goals_met", "--summary", "Done",
         "--participation", "limited", "--others", "achieved",
         "--client-agreed", *THERAPIST],
        "treatment ended",
    ),
    (["plan", "revoke", "plan-a", "--reason", "Moved", "--others", "no_longer_relevant", *THERAPIST], "ended early"),
    (["plan", "void", "plan-a", "--reason", "Wrong client", *THERAPIST], "marked as an error"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"), COMMANDS, ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else ""
)
def test_a_command_is_one_revision(desk: Desk, arguments: list[str], said: str) -> None:
    """It exits with 0, says one line, and saves exactly one revision with who did it and what was touched."""
    out = desk.ok(*arguments)
    assert said in out
    assert len(out.splitlines()) == 1
    assert "revision 2." in out
    last = desk.revisions()[-1]
    assert (len(desk.revisions()), last.rev) == (2, 2)
    assert last.by == arguments[-1]
    assert last.touched or arguments[0] in ("review", "consent", "withhold", "plan", "reading", "rate", "goal")


@pytest.mark.parametrize(("arguments", "said"), COMMANDS[:6], ids=lambda value: "")
def test_json_says_the_same(desk: Desk, arguments: list[str], said: str) -> None:
    """`--json` has plan, revision, what was done and what moved beside it."""
    found = desk.json(*arguments)
    assert (found["plan"], found["revision"]) == ("plan-a", 2)
    assert said in found["done"]
    assert isinstance(found["also"], list)


def test_a_goals_whole_way(desk: Desk) -> None:
    """Proposed, agreed by both, under way, closed, reopened, closed, kept up, built on: one revision each."""
    goal = ("--id", "g-read")
    desk.ok("goal", "propose", "plan-a", "--text", "Read before sleeping", "--under", "g-long", *goal, *THERAPIST)
    desk.ok("goal", "accept", "g-read", *CLIENT)
    assert "the proposal is accepted" in desk.ok("goal", "accept", "g-read", *THERAPIST)
    desk.ok("goal", "activate", "g-read", *THERAPIST)
    desk.ok("goal", "complete", "g-read", "--as", "achieved", *THERAPIST)
    desk.ok("goal", "reopen", "g-read", "--reason", "The habit was lost", *THERAPIST)
    desk.ok("goal", "achievement", "g-read", "achieved", *THERAPIST)
    desk.ok("goal", "keep-up", "g-read", "--supported", *THERAPIST)
    desk.ok("goal", "build-on", "g-read", "--text", "Read to the children", "--id", "g-next", *THERAPIST)
    assert desk.rev() == 10
    read, following = desk.plan().goal("g-read"), desk.plan().goal("g-next")
    assert (read.lifecycle, read.achievement) == ("active", "sustaining")
    assert (following.predecessors, following.parent, following.lifecycle) == (("g-read",), "g-long", "proposed")


def test_a_draft_is_submitted_and_a_declined_goal_proposed_again(desk: Desk) -> None:
    """A draft becomes a proposal; one that was declined comes back with a reason."""
    desk.ok("goal", "propose", "plan-a", "--text", "Sing again", "--draft", "--id", "g-sing", *THERAPIST)
    desk.ok("goal", "submit", "g-sing", *THERAPIST)
    desk.ok("goal", "decline", "g-sing", "--reason", "Not me", *CLIENT)
    desk.ok("goal", "reopen", "g-sing", "--reason", "A choir asked", *THERAPIST)
    assert desk.plan().goal("g-sing").lifecycle == "proposed"


def test_what_is_proposed_holds_all_that_was_said(desk: Desk) -> None:
    """Text, words, dates, steps, stepping stones, problem and readiness arrive in the goal."""
    desk.ok(
        "goal", "propose", "plan-a", "--text", "Draw twice a week", "--words", "My own time", "--under", "g-long",
        "--problem", "pr-1", "--start", "2020-02-01", "--by-date", "2020-06-01", "--after", "g-new",
        "--step", "Buy paper", "--step", "Draw on Friday", "--importance", "8", "--confidence", "7",
        "--priority", "low", "--domain", "social-functioning", "--id", "g-draw", *THERAPIST,
    )  # fmt: skip
    goal = desk.plan().goal("g-draw")
    assert (goal.client_words, goal.addresses, goal.predecessors) == ("My own time", ("pr-1",), ("g-new",))
    assert (str(goal.start_date), str(goal.target_date), goal.priority) == ("2020-02-01", "2020-06-01", "low")
    assert [(step.n, step.text) for step in goal.steps] == [(1, "Buy paper"), (2, "Draw on Friday")]
    assert goal.readiness is not None
    assert (goal.readiness.importance, goal.readiness.confidence) == (8, 7)
    assert (goal.horizon, goal.domain) == ("short_term", "social-functioning")


def test_words_of_a_reason_go_where_they_belong(desk: Desk) -> None:
    """A pause keeps its reason on the goal; elsewhere words go into the history, and a known reason is the reason."""
    desk.ok("goal", "pause", "g-walk", "--reason", "A broken toe", *THERAPIST)
    assert desk.plan().goal("g-walk").status_reason == "A broken toe"
    desk.ok("goal", "activate", "g-walk", "--reason", "The toe is well", *THERAPIST)
    assert desk.revisions()[-1].summary == "The toe is well"
    desk.ok("goal", "achievement", "g-walk", "improving", "--reason", "client_request", *THERAPIST)
    assert (desk.revisions()[-1].reason, desk.revisions()[-1].summary) == ("client_request", None)


def test_an_edit_touches_its_fields_only(desk: Desk) -> None:
    """Two fields are two merge units; an empty value takes one away."""
    desk.ok(
        "goal", "edit", "g-new", "--set", "text=Find out which mornings are good", "--set", "by-date=2020-04-01",
        "--reason", "review", *THERAPIST,
    )  # fmt: skip
    assert set(desk.revisions()[-1].touched) == {Unit("g-new", "text"), Unit("g-new", "target_date")}
    desk.ok("goal", "edit", "g-walk", "--set", "words=Air", "--reason", "review", *THERAPIST)
    desk.ok("goal", "edit", "g-walk", "--set", "words=", "--reason", "correction", *THERAPIST)
    assert desk.plan().goal("g-walk").client_words is None


def test_a_person_is_kept_by_their_own_id(desk: Desk) -> None:
    """Named by their part in the plan, they are kept in the history by the id that means them everywhere."""
    desk.ok("goal", "victory", "g-walk", "--text", "Whistled", "--by", "p-client")
    assert desk.revisions()[-1].by == "client-1"


REFUSED: tuple[tuple[list[str], str], ...] = (
    (["goal", "pause", "g-nothing", "--reason", "x", *THERAPIST], "no goal of that id"),
    (["goal", "pause", "g-walk", "--reason", " ", *THERAPIST], "needs a reason in words"),
    (["goal", "pause", "g-walk", "--reason", "x", *CLIENT], "not for this person's part"),
    (["goal", "pause", "g-walk", "--reason", "x", "--by", "staff-77"], "no part in this plan"),
    (["goal", "activate", "g-new", *THERAPIST], "has not agreed"),
    (["goal", "reopen", "g-walk", "--reason", "x", *THERAPIST], "Only a closed goal is reopened"),
    (["goal", "complete", "g-walk", "--as", "won", *THERAPIST], "--as"),
    (["goal", "complete", "g-walk", "--as", "replaced", *THERAPIST], "making it smaller"),
    (["goal", "accept", "g-new", "--method", "wink", *THERAPIST], "--method"),
    (["goal", "accept", "g-new", "--on", "soon", *THERAPIST], "--on"),
    (["goal", "edit", "g-walk", "--set", "shoes=new", "--reason", "review", *THERAPIST], "--set"),
    (["goal", "edit", "g-walk", "--set", "priority=huge", "--reason", "review", *THERAPIST], "--set priority"),
    (["goal", "edit", "g-walk", "--set", "text=x", "--reason", "whim", *THERAPIST], "--reason"),
    (["goal", "edit", "g-walk", "--set", "text=New words here", "--reason", "review", *CLIENT], "can be asked for"),
    (["goal", "step", "g-walk", "7", "done", *CLIENT], "its steps have the numbers 1, 2"),
    (["goal", "step", "g-walk", "1", "danced", *CLIENT], "STATUS"),
    (["goal", "propose", "plan-a", "--text", "x", "--importance", "5", *THERAPIST], "go together"),
    (["goal", "propose", "plan-a", "--text", "x", "--under", "g-none", *THERAPIST], "goals[3]"),
    (["goal", "propose", "plan-x", "--text", "x", *THERAPIST], "plan-a"),
    (["goal", "build-on", "g-walk", "--text", "x", *THERAPIST], "reached"),
    (["reading", "add", "plan-a", "PHQ-9", "many", *THERAPIST], "VALUE"),
    (["reading", "add", "plan-a", "PHQ-9", "28", *THERAPIST], "range"),
    (["reading", "add", "plan-a", "GAD-7", "8", *THERAPIST], "no measure of that id"),
    (["rate", "g-new", "--level", "0", *CLIENT], "no attainment scale"),
    (["rate", "g-walk", "--level", "3", *CLIENT], "--level"),
    (["review", "sign", "plan-a", "rv-9", *THERAPIST], "no review of that id"),
    (["consent", "grant", "plan-a", "ehr-other", *THERAPIST], "names no connection"),
    (["consent", "revoke", "plan-a", "c-9", *CLIENT], "no consent of that id"),
    (["withhold", "add", "plan-a", "g-none", *CLIENT], "g-none"),
    (["withhold", "end", "plan-a", "g-walk", *CLIENT], "not kept back"),
    (
        ["plan", "discharge", "plan-a", "--outcome", "goals_met", "--summary", "x", "--client-agreed", *THERAPIST],
        "open",
    ),
    (["plan", "transfer", "plan-a", "--to", "staff-1", "--summary", "x", "--client-agreed", *THERAPIST], "already"),
)


@pytest.mark.parametrize(
    ("arguments", "told"), REFUSED, ids=lambda value: " ".join(value[:4]) if isinstance(value, list) else ""
)
def test_a_refusal_is_a_sentence_and_changes_nothing(desk: Desk, arguments: list[str], told: str) -> None:
    """Exit code 2, one line on stderr that says why, and no revision."""
    err = desk.refused(*arguments)
    assert told in err
    assert len(err.splitlines()) == 1
    for text in ("Robin Vale", "Walk for half", "Moss"):
        assert text not in err


def test_a_name_is_no_actor(desk: Desk) -> None:
    """`--by` takes an id, so that a name stays out of the history."""
    assert "--by" in desk.refused("goal", "activate", "g-new", "--by", "Robin Vale")


def test_reviews_are_listed_with_who_has_not_signed(desk: Desk) -> None:
    """`review list` names the missing signatures by role; signing takes them away."""
    assert "client, therapist" in desk.ok("review", "list", "plan-a")
    desk.ok("review", "sign", "plan-a", "rv-1", "--for", "p-client", *THERAPIST)
    assert desk.json("review", "list", "plan-a")["reviews"] == [
        {"id": "rv-1", "date": "2020-02-03", "unsigned": ["p-ther"]}
    ]


def test_consents_are_listed_and_taken_back(desk: Desk) -> None:
    """A consent is in force until it is taken back, and the list says what is kept back too."""
    assert "There is no consent" in desk.ok("consent", "list", "plan-a")
    desk.ok("consent", "grant", "plan-a", "ehr-main", "--covers", "MH", "--id", "c-1", "--on", "2020-02-01", *THERAPIST)
    text = desk.ok("consent", "list", "plan-a", "--on", "2020-03-01")
    assert "in force" in text
    assert "mental health" in text
    desk.ok("withhold", "add", "plan-a", "g-walk", *CLIENT)
    desk.ok("consent", "revoke", "plan-a", "c-1", *CLIENT)
    found = desk.json("consent", "list", "plan-a")
    assert [each["state"] for each in found["consents"]] == ["ended"]
    assert found["withheld"] == [{"target": "g-walk", "endpoint": None}]
    desk.ok("withhold", "end", "plan-a", "g-walk", *CLIENT)
    assert desk.json("consent", "list", "plan-a")["withheld"] == []


def test_a_withholding_is_looked_at_at_once_whoever_edits_before_and_after(desk: Desk) -> None:
    """No edit's quiet minutes put off the look that takes back what a client keeps back."""
    desk.ok("goal", "pause", "g-walk", "--reason", "A broken toe", *THERAPIST)
    desk.ok("withhold", "add", "plan-a", "g-walk", *CLIENT)
    desk.ok("goal", "note", "g-walk", "--text", "Rests until Monday", *THERAPIST)
    store = open_store(desk.url)
    with store.read() as tx:
        [due] = tx.dirty.take("ehr-main", desk.revisions()[-1].at)
        assert due.why == ("edit",)
    store.close()


# -- put ---------------------------------------------------------------------------------------------------------------


def edited(desk: Desk, tmp_path: Path, old: str, new: str) -> Path:
    """Return the plan's file as `get` gives it, with one text replaced."""
    text = desk.ok("get", "plan-a")
    assert old in text
    file = tmp_path / "edited.yaml"
    file.write_text(text.replace(old, new, 1))
    return file


def test_an_edited_file_is_one_revision_by_its_difference(desk: Desk, tmp_path: Path) -> None:
    """`get`, edit, `put`: the revision touches what was changed."""
    file = edited(desk, tmp_path, "Walk for half an hour", "Walk for an hour")
    desk.ok("put", str(file), *THERAPIST, "--reason", "progress")
    last = desk.revisions()[-1]
    assert (last.rev, last.by, last.reason, set(last.touched)) == (2, "staff-1", "progress", {Unit("g-walk", "text")})


def test_a_move_that_is_not_allowed_is_refused_by_its_line(desk: Desk, tmp_path: Path) -> None:
    """A proposal that becomes completed in a file is refused, and the line of the file is named."""
    text = desk.ok("get", "plan-a")
    lines = text.splitlines()
    at = next(n for n, line in enumerate(lines) if "lifecycle: proposed" in line)
    lines[at] = lines[at].replace("lifecycle: proposed", "lifecycle: completed")
    file = tmp_path / "edited.yaml"
    file.write_text("\n".join(lines) + "\n")
    err = desk.refused("put", str(file), *THERAPIST, "--reason", "progress")
    assert f"line {at + 1}, goals[2].lifecycle (g-new)" in err
    assert "does not become completed" in err


def test_a_client_may_not_put_what_only_a_therapist_may_change(desk: Desk, tmp_path: Path) -> None:
    """The difference is judged by who makes it; a client's own words are theirs to change."""
    file = edited(desk, tmp_path, "Walk for half an hour", "Walk for an hour")
    err = desk.refused("put", str(file), *CLIENT, "--reason", "client_request")
    assert re.search(r"line \d+, goals\[1\]\.text \(g-walk\): Only a therapist or supervisor", err)


def test_one_without_a_part_in_the_plan_may_not_put_it(desk: Desk, tmp_path: Path) -> None:
    """A member of staff who has no part in a plan does not edit it."""
    file = edited(desk, tmp_path, "Walk for half an hour", "Walk for an hour")
    assert "no part in this plan" in desk.refused("put", str(file), "--by", "staff-77", "--reason", "progress")


# -- help --------------------------------------------------------------------------------------------------------------

GROUPS = {
    "goal": ("propose", "submit", "accept", "disagree", "schedule", "activate", "pause", "complete", "reopen",
             "decline", "make-smaller", "build-on", "keep-up", "edit", "void", *(name for name, _, _ in WORK)),
    "reading": ("add",),
    "review": ("list", "add", "sign", "refuse"),
    "plan": ("agree", "disagree", "activate", "pause", "transfer", "discharge", "revoke", "void"),
    "consent": ("list", "grant", "refuse", "revoke"),
    "withhold": ("add", "end"),
}  # fmt: skip


@pytest.mark.parametrize(("group", "name"), [(group, name) for group, names in GROUPS.items() for name in names])
def test_each_command_has_help_with_an_example(group: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` ends with an example of that very command."""
    assert main([group, name, "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"Example: fhirgoals {group} {name} " in out
    assert "--json" in out


def test_every_new_goal_command_is_tested() -> None:
    """The tables of commands and these tests name the same."""
    assert {name for name, _, _ in (*NEW, *WORK)} <= set(GROUPS["goal"])
