"""`show` with its figures: as therapist, as client, as a representative, on narrow and on plain terminals."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fhirgoals.cli import show_words, words
from fhirgoals.cli.main import main
from fhirgoals.cli.sparkline import as_ascii, has_blocks, sparkline
from fhirgoals.cli.tree import goal_numbers
from fhirgoals.domain.planfile import dump_plan, load_plan
from fhirgoals.domain.records import Plan, SmartResult, Withheld
from fhirgoals.domain.smart_limits import standard as smart_rules

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("0*.yaml"))
DEPRESSION, OCD, WORKLIFE, DEVELOPMENT, ADOLESCENT = EXAMPLES
READERS = ("therapist", "client", "ehr-main")
ON = ["--on", "2026-11-06"]


@pytest.fixture(autouse=True)
def unwrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines be as long as they are, unless a test says otherwise."""
    monkeypatch.delenv("COLUMNS", raising=False)


def shown(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["show", str(path), *ON, *arguments]) == 0
    return capsys.readouterr().out


def tree(capsys: pytest.CaptureFixture[str], path: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(capsys, path, "--json", *arguments), parse_float=Decimal)
    return found


def plan_of(path: Path) -> Plan:
    return load_plan(path.read_bytes(), name=path.name)


def goal_in(found: dict[str, Any], goal_id: str) -> dict[str, Any]:
    goal: dict[str, Any] = next(each for each in found["goals"] if each["id"] == goal_id)
    return goal


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_line_fits_the_terminal(
    path: Path, reader: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 80 and in 120 columns no line is longer, for any reader."""
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = shown(capsys, path, "--as", reader).splitlines()
    assert max(len(line) for line in lines) <= columns


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_code_is_shown(path: Path, reader: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads words: no id of a goal or step, no code with an underscore."""
    text = shown(capsys, path, "--as", reader, "--full")
    plan = plan_of(path)
    ids = {goal.id for goal in plan.goals} | {step.id for goal in plan.goals for step in goal.steps}
    ids |= {each.id for each in plan.measures} | {each.id for each in plan.participants}
    assert not [each for each in ids if re.search(rf"(?<![\w-]){re.escape(each)}(?![\w-])", text)]
    assert not re.search(r"\b[a-z]+_[a-z_]+\b", text)
    assert "None" not in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_figures_are_those_expected(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `--json` says of targets, roll-ups, next steps and SMART letters is what the examples expect."""
    expected = yaml.safe_load(path.read_text())["expected"]
    found = tree(capsys, path, "--on", str(expected["as_of"]))
    for place, wanted in expected["targets"].items():
        goal, target = place.split("/")
        state = next(one for one in goal_in(found, goal)["targets"] if one["target"] == target)
        assert (float(state["percent"]), state["met"]) == (wanted["percent"], wanted["met"]), place
    for goal, wanted in expected.get("roll_up", {}).items():
        rolled = goal_in(found, goal)["roll_up"]
        assert float(rolled["value"]) == wanted["value"], goal
        assert f"{rolled['covered']}/{rolled['children']}" == wanted["children"], goal
    for goal, wanted in expected["smart"].items():
        smart = goal_in(found, goal)["smart"]
        assert {letter: smart["letters"][letter] for letter in "SMART" if letter in wanted} == {
            letter: wanted[letter] for letter in "SMART" if letter in wanted
        }, goal
    for goal, wanted in expected["next_step"].items():
        assert goal_in(found, goal)["next_step"] == wanted
    assert len(found["alerts"]) == len(expected["alerts"])
    verdicts = [each["verdict"] for each in found["discharge_criteria"]]
    assert verdicts == expected.get("discharge_criteria", [])


def test_a_goal_is_told_with_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """One goal's block: words, status, stepping stones, chart with percent, steps, victories, agreement, SMART."""
    text = shown(capsys, DEPRESSION)
    start = text.index("1.4  Carry out five")
    block = text[start : text.index("    1.5  ", start)]
    for line in (
        "“Do things before I feel like it.”",
        "(achieved and kept up, 1 Jun 2026 to 24 Aug 2026; high priority; importance 8, confidence 7 of 10)",
        "Stepping stone: 1.3 Find out which daily situations lift or lower mood",
        "▁▂▅▆▆█▆█ 1 → 6, 100 % of the way, met on 21 Aug 2026; target: at least 5, 4 times in a row within 28 days",
        "Therapist: behavioural activation, weekly",
        "[~] Keep the weekly plan during one travel week (next)",
        "Small victory, 12 Jun 2026: Went to the market although it rained (celebrated: peonies)",
        "Agreed: client (1 Jun 2026, by portal), therapist (1 Jun 2026, signed)",
        "SMART: 5 of 5",
    ):
        assert line in block, line


def test_what_to_look_at_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Alerts, missing signatures, overdue reviews and distant ratings stand above the goals."""
    text = shown(capsys, ADOLESCENT)
    head = text[: text.index("  1  ")]
    assert "PHQ-9: item 9 was above zero on 2 Nov 2026; nobody else is told of it" in head
    assert "PHQ-9 got reliably worse by 7 points on 2 Nov 2026" in head
    assert "client -1, therapist +1" in head
    assert "A minor who consented alone" in head
    assert "primary-care: until 7 Sep 2027, but no goal of it may go there now" in text
    assert "The review is overdue by 38 days" in shown(capsys, DEVELOPMENT)
    assert "not signed by: supervisor" in shown(capsys, DEPRESSION)


def test_scores_and_criteria_close_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """T-scores with coverage, verdicts of instruments, discharge criteria and the review clock stand below."""
    text = shown(capsys, DEPRESSION)
    assert "Client: T-score 55.10, +23.80 since the start (31.30); 3 of 3 goals with a scale rated" in text
    assert "reliably better, 65 % lower than at the start, a treatment response, outside the clinical range" in text
    assert "[ ] PHQ-9 below 5 on two readings at least four weeks apart (not shown yet)" in text
    assert "[?] Client can name three early warning signs" in text
    assert "Next: 3 Feb 2027 (in 89 days)" in text


def test_a_ladder_is_told_with_its_tries(capsys: pytest.CaptureFixture[str]) -> None:
    """An exposure ladder says how many rungs are done and how distress fell; its next rung is marked."""
    text = shown(capsys, OCD)
    assert "Exposure ladder: 8 of 10 steps done; distress fell by half in the last try of 8 of 8 steps tried" in text
    assert "(due 13 Nov 2026, expected distress 90, next)" in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_day_before_has_nothing_of_what_came_after(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures are those of the day that is asked for: on the first day there is no reading, review or victory."""
    found = tree(capsys, path, "--on", "2025-12-31")
    assert found["alerts"] == []
    assert all(target["latest"] is None for goal in found["goals"] for target in goal["targets"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("form", [[], ["--full"], ["--json"]], ids=["text", "full", "json"])
def test_a_client_is_shown_nothing_that_stays_with_the_practice(
    path: Path, form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No private or team note, finding, draft, error, alert, SMART letter, T-score or strength; no trade words."""
    text = shown(capsys, path, "--as", "client", *form)
    for mark in ("PRIVATE", "TEAM", "FINDING", "DRAFT", "VOID", "NOTE", "SUMMARY", "SRS", "DEV"):
        assert f"{mark}-SENTINEL" not in text
    lowered = text.lower()
    for word in ("smart", "t-score", "item 9", "item9", "reliabl", "clinical range", "strength", "exploratory"):
        assert word not in lowered, word
    plan = plan_of(path)
    for strength in plan.strengths:
        assert strength not in text
    for criterion in plan.discharge_criteria:
        assert criterion.text not in text


def test_a_client_reads_their_own_words_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A goal is called by the client's words, the clinical text stands below; others point to it by those words."""
    lines = [line.strip() for line in shown(capsys, DEPRESSION, "--as", "client").splitlines()]
    at = lines.index("1  I want to look forward to a Saturday.")
    assert lines[at + 1].startswith("Recover from the current depressive episode")
    assert "Leads to: 1.2 The one thing nobody asked me to do." in lines
    assert "You agreed on 1 Jun 2026; so did your therapist" in lines
    found = tree(capsys, DEPRESSION, "--as", "client")
    assert found["goals"][0]["words"] == "I want to look forward to a Saturday."


def test_a_client_begins_with_their_next_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """The client's own next steps stand above everything; what waits for their signature is told."""
    text = shown(capsys, OCD, "--as", "client")
    assert text.index("Your next steps") < text.index("  1  ")
    assert "The review of 30 Oct 2026 waits for your signature." in text


def test_the_client_is_told_who_sees_it_and_what_they_keep_back(capsys: pytest.CaptureFixture[str]) -> None:
    """A client reads with whom the plan is shared, and at a goal that they keep it back and who has not answered."""
    text = shown(capsys, ADOLESCENT, "--as", "client")
    assert "(in progress, 5 Oct 2026 to 14 Dec 2026; you keep it back)" in text
    assert "You agreed on 2 Nov 2026; still to answer: your therapist" in text
    assert "Your therapist rated +1 (more than hoped) on 2 Nov 2026" in text
    shared = text[text.index("Shared with") :]
    assert "school-clinic: ended on 16 Oct 2026" in shared
    assert "You keep 1 goal or problem back" in shared


def test_a_client_is_shown_the_trend_of_their_own_scores(capsys: pytest.CaptureFixture[str]) -> None:
    """Both look at the same outcome: the trend's words are the client's too; reference 7 keeps alerts, not trends."""
    text = shown(capsys, ADOLESCENT, "--as", "client")
    assert "PHQ-9 ▁▁▁█ 11 → 18, 0 % of the way, getting worse; target: under 10 by 28 May 2027" in text
    assert "reliabl" not in text


def test_smaller_goals_that_were_given_up_are_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the smaller goals count those that figures count: none that is proposed, declined or given up."""
    assert "3 of 8 smaller goals reached" in shown(capsys, DEPRESSION, "--as", "client")
    assert "0 of 2 smaller goals reached" in shown(capsys, ADOLESCENT, "--as", "client")
    assert "0 of 1 smaller goal reached" not in shown(capsys, WORKLIFE, "--as", "client")


def test_a_representative_is_not_spoken_to_as_the_client(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A parent's page speaks of the client, whose ratings, steps and answers they are, and not of what is kept."""
    plan = plan_of(ADOLESCENT)
    assert plan.client is not None
    ward = msgspec.structs.replace(plan, client=msgspec.structs.replace(plan.client, minor_self_consented=False))
    file = tmp_path / "ward.yaml"
    file.write_text(dump_plan(ward))
    text = shown(capsys, file, "--as", "p-mother")
    assert "Next steps of the client" in text
    assert "Client rated -1 (less than hoped) on 2 Nov 2026" in text
    assert "Agreed: client, therapist" in text
    assert not re.search(r"\b[Yy]ou(r)?\b", text)
    for word in ("keep", "Shared with", "WITHHELD", "SMART", "T-score"):
        assert word not in text


def test_a_goal_kept_back_is_marked_by_whatever_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A goal is told to be kept back where the list says so, for one connection, or by its every problem too."""
    plan = plan_of(DEPRESSION)
    withheld = (
        Withheld(target="g-ba"),
        Withheld(target="g-create", endpoint="ehr-main"),
        Withheld(target="pr-2"),
    )
    kept = msgspec.structs.replace(plan, disclosure=msgspec.structs.replace(plan.disclosure, withheld=withheld))
    file = tmp_path / "kept.yaml"
    file.write_text(dump_plan(kept))
    lines = [line.strip() for line in shown(capsys, file).splitlines()]

    def status(number: str) -> str:
        at = next(
            place for place, line in enumerate(lines) if line.startswith(f"{number}  ") and "“" in lines[place + 1]
        )
        return lines[at + 2]

    assert status("1.4").endswith("; the client keeps it back)")
    assert status("1.2").endswith("; the client keeps it back from ehr-main)")
    assert status("2.1").endswith("; the client keeps it back)")
    assert "keeps it back" not in status("1.5")


def test_a_connections_page_has_every_text_that_goes(capsys: pytest.CaptureFixture[str]) -> None:
    """Reasons, relations, what the therapist does, who agreed and whole notes are on the page, since they are sent."""
    text = shown(capsys, DEPRESSION, "--as", "ehr-main")
    for line in (
        "Refers to the EHR's own entries for: client, therapist, supervisor, support person",
        "and for the problems: Major depressive disorder, recurrent, moderate; Insomnia, unspecified",
        "(on hold, no change, 22 Jun 2026 to 30 Sep 2026, past its date; low priority; emotional and mental health)",
        "Why: Client asked to pause during the reorganisation; resume in December",
        "Stepping stone: 1.1 Understand what feeds the lasting …",
        "Replaced by: 1.9 Finish one agreed work task on time each week …",
        "Therapist: behavioural activation, weekly",
        "Note 7 Aug 2026, therapist: Eight points down since intake; still flat in the mornings.",
        "Victory, 1 Aug 2026: Attended the class and stayed to the end",
        "Agreed: client; still to answer: therapist",
        "26 readings, 12 ratings on their scales",
    ):
        assert line in text, line
    assert "8 ratings on their scales, 20 tries with their distress" in shown(capsys, OCD, "--as", "ehr-main")


def test_a_consent_too_narrow_says_what_it_does_not_cover(capsys: pytest.CaptureFixture[str]) -> None:
    """A goal that a consent does not cover names the kind of content that is missing."""
    text = shown(capsys, ADOLESCENT, "--as", "primary-care")
    assert "likes: the consent does not cover its kind of content (adolescence)" in text


def test_what_is_most_urgent_stands_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Item 9 stands above a worsening of the same measure."""
    text = shown(capsys, ADOLESCENT)
    assert text.index("item 9 was above zero") < text.index("got reliably worse")


def test_a_plan_that_is_over_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    """No goal is said to be under way, no criterion to be shown yet; what comes afterwards is told to client too."""
    text = shown(capsys, WORKLIFE)
    assert "When the treatment ended" in text
    assert "Before the treatment ends" not in text
    assert "yet)" not in text
    assert "under way;" not in text
    assert "Afterwards: check-in call 2027-01-11" in text
    assert "Afterwards\n  check-in call 2027-01-11" in shown(capsys, WORKLIFE, "--as", "client")


def test_a_closed_goal_says_when_it_began_and_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """A closed goal has the day it ended and the day it began; a declined one never began; no steps are not counted."""
    text = shown(capsys, WORKLIFE)
    assert "(closed, achieved on 9 Mar 2026, begun 26 Jan 2026; exploratory; high priority)" in text
    assert "(declined on 26 Jan 2026; low priority)" in text
    assert "0 of 0 steps done" not in text


def test_an_earlier_day_says_what_it_cannot_turn_back(capsys: pytest.CaptureFixture[str]) -> None:
    """For a day before the last entries, notes that came later are left out and the page says what is of today."""
    early = shown(capsys, DEPRESSION, "--on", "2026-05-20")
    assert "Figures, notes and reviews of 20 May 2026; statuses, steps and agreements as they stand now" in early
    assert "I caught myself planning a trip" not in early
    assert "as they stand now" not in shown(capsys, DEPRESSION)


def test_hints_say_by_which_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """Where SMART hints are shown the version of their rules is told, on the page and for programs."""
    version = smart_rules().rule_version
    assert f"SMART hints by rule version {version}" in shown(capsys, OCD)
    assert "rule version" not in shown(capsys, WORKLIFE)
    assert {goal["smart"]["rule_version"] for goal in tree(capsys, OCD)["goals"]} == {version}


def test_kept_letters_are_shown_to_the_therapist_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside today's letters stand those of the day when the goal was proposed or begun, with their rules' version."""
    plan = plan_of(OCD)
    kept = SmartResult(date=date(2026, 10, 30), rule_version="1-0badcafe", letters={"S": "warn", "M": "not_applicable"})
    goals = tuple(msgspec.structs.replace(each, smart=kept) for each in plan.goals)
    file = tmp_path / "kept.yaml"
    file.write_text(dump_plan(msgspec.structs.replace(plan, goals=goals)))
    assert "SMART: 4 of 5; on record: 0 of 1 on 30 Oct 2026, by rule version 1-0badcafe" in shown(capsys, file)
    assert goal_in(tree(capsys, file), "g-free")["smart_kept"]["rule_version"] == "1-0badcafe"
    for reader in ("client", "ehr-main"):
        for form in ([], ["--json"], ["--full"]):
            assert "0badcafe" not in shown(capsys, file, "--as", reader, *form)


def test_a_target_that_was_met_at_the_start_and_left_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No share of the way is made up where there was no way to go: the line says that it was met and is no longer."""
    plan = plan_of(ADOLESCENT)
    measures = tuple(
        msgspec.structs.replace(each, baseline=msgspec.structs.replace(each.baseline, value=Decimal(8)))
        if each.id == "m-phq9" and each.baseline
        else each
        for each in plan.measures
    )
    file = tmp_path / "left.yaml"
    file.write_text(dump_plan(msgspec.structs.replace(plan, measures=measures)))
    assert "8 → 18, met at the start, no longer, getting worse; target: under 10" in shown(capsys, file)


def test_every_reader_s_refusal_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that says why someone gets nothing is wrapped like any other."""
    monkeypatch.setenv("COLUMNS", "80")
    for path, reader in ((ADOLESCENT, "p-mother"), (DEVELOPMENT, "client"), (DEVELOPMENT, "ehr-main")):
        assert max(len(line) for line in shown(capsys, path, "--as", reader).splitlines()) <= 80


def test_a_development_plan_is_no_clients(capsys: pytest.CaptureFixture[str]) -> None:
    """As client a therapist's own plan is not shown, and why is said."""
    text = shown(capsys, DEVELOPMENT, "--as", "client")
    assert text == "The client gets nothing of this plan: it is a therapist's own development plan.\n"
    assert tree(capsys, DEVELOPMENT, "--as", "client")["goals"] == []


def test_a_parent_is_shown_nothing_of_what_a_minor_consented_to(capsys: pytest.CaptureFixture[str]) -> None:
    """The proxy view of such a plan is empty."""
    assert "the minor consented to this treatment alone" in shown(capsys, ADOLESCENT, "--as", "p-mother")
    assert tree(capsys, ADOLESCENT, "--as", "p-mother") == {
        "id": plan_of(ADOLESCENT).id,
        "goals": [],
        "as": "p-mother",
        "on": "2026-11-06",
        "refused": "minor_self_consented",
    }


def test_closed_goals_are_short_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A closed goal's steps are counted; `--full` lists them."""
    step = "Write a letter to the 19-year-old who chose the degree"
    assert step not in shown(capsys, DEPRESSION)
    assert step in shown(capsys, DEPRESSION, "--full")


def test_wording_of_another_client_is_flagged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a store, a goal with the same text as another client's is told so."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    plan = plan_of(ADOLESCENT)
    assert plan.client is not None
    bare = msgspec.structs.replace(plan, disclosure=msgspec.structs.replace(plan.disclosure, consents=()))
    other = msgspec.structs.replace(
        bare,
        id="plan-other",
        client=msgspec.structs.replace(plan.client, id="client-999"),
        participants=tuple(
            msgspec.structs.replace(each, ref="client-999") if each.role == "client" else each
            for each in bare.participants
        ),
    )
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(dump_plan(bare))
    ids = {goal.id: f"{goal.id}-2" for goal in other.goals}
    text = dump_plan(other)
    for old, new in sorted(ids.items(), key=lambda pair: -len(pair[0])):
        text = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", new, text)
    two.write_text(text)
    assert main(["--store", url, "put", str(one), str(two), "--by", "staff-7", "--reason", "initial"]) == 0
    capsys.readouterr()
    assert main(["--store", url, "show", "plan-other", *ON]) == 0
    assert "Another client's goal has the same wording" in capsys.readouterr().out


def test_bars_fall_back_to_ascii() -> None:
    """Where the terminal has no block characters, bars and our own signs are ASCII."""
    values = [Decimal(each) for each in (17, 16, 13, 12, 9, 11, 7, 6)]
    assert sparkline(values, blocks=True) == "█▇▅▄▂▄▁▁"
    assert sparkline(values, blocks=False).isascii()
    assert sparkline(values[:1], blocks=True) == ""
    assert len(sparkline([Decimal(3)] * 20, blocks=True)) == 12
    assert as_ascii("17 → 6, “words” and more …") == '17 -> 6, "words" and more ...'
    assert not has_blocks("ascii")
    assert not has_blocks("latin-1")
    assert has_blocks("utf-8")


def test_numbers_follow_the_tree() -> None:
    """Every goal has one number, its children's begin with it, and a circle gets none."""
    plan = plan_of(DEPRESSION)
    numbers = goal_numbers(plan)
    assert set(numbers) == {goal.id for goal in plan.goals}
    assert all(numbers[goal.id].startswith(f"{numbers[goal.parent]}.") for goal in plan.goals if goal.parent)
    one, two = plan.goals[:2]
    looped = msgspec.structs.replace(
        plan, goals=(msgspec.structs.replace(one, parent=two.id), msgspec.structs.replace(two, parent=one.id))
    )
    assert set(goal_numbers(looped).values()) <= {"?", "1", "1.1"}


@pytest.mark.parametrize(
    ("said", "frequency"),
    [("5 times a week", "5/wk"), ("once a day", "1/d"), ("weekly", "weekly"), ("2/yr", "2/yr")],
)
def test_frequencies_are_words(said: str, frequency: str) -> None:
    """`5/wk` reads as people say it; what is none of ours is shown as it is."""
    assert words.often(frequency) == said


def test_percentages_are_whole() -> None:
    """A share is rounded half up, and a number keeps its digits."""
    assert show_words.percent(Decimal("0.005")) == "1 %"
    assert show_words.percent(Decimal("0.917")) == "92 %"
    assert show_words.number(Decimal("7.10")) == "7.10"
    assert show_words.level(0) == "0"
    assert show_words.level(2) == "+2"
