"""The oracle: measures what the demo's promises came to, and compares it with what the script says must come.

It reads the store by SQL, the EHRs by plain HTTP past the proxies, the recorded traffic, and the script and plan files
by itself. Nothing of `domain`, `mappers`, `store` or `sync` is used, so a fault there can't hide itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from fhirgoals.demo.oracle_edits import LOST, Scene, number_shown, outcome, texts_that_differ
from fhirgoals.demo.oracle_leaks import SHORTEST, Corpus, PlanFile, Wanted, Words, read_rows, wanted_at
from fhirgoals.demo.oracle_sides import OURS, Here, There, read_here, read_there, steps_of
from fhirgoals.demo.oracle_trail import Trail, read_trail
from fhirgoals.demo.oracle_withdrawal import Withdrawal, judge
from fhirgoals.demo.plain_http import Server
from fhirgoals.demo.played import Played
from fhirgoals.sandbox.cut_proxy import Exchange

Json: TypeAlias = Any

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Watched:
    """One EHR as the oracle sees it: the server itself, who our patients are there, and what passed its proxy.

    `everything`: nobody else uses the server, so all of it is read.
    """

    server: Server
    patients: Sequence[str]
    everything: bool
    exchanges: Sequence[Exchange] = ()


@dataclass(frozen=True)
class Census:
    """How many there are: here in all, and at each EHR of those that bear our identifier."""

    plans: int
    goals: int
    steps: int
    sent: Mapping[str, int]
    sent_by_plan: Mapping[str, int]
    care_plans: Mapping[str, int]
    steps_sent: Mapping[str, int]
    kept_here: Mapping[str, int]


@dataclass(frozen=True)
class Verdict:
    """What was measured at the end; `faults` says in words where it is not what the script says.

    `numbers` are those of the EHR's own extensions, by edit, as they are written there.
    """

    census: Census
    created: Mapping[str, int]
    outcomes: Mapping[str, str]
    withdrawals: Mapping[str, Withdrawal]
    numbers: Mapping[str, str | None]
    inbox: Sequence[Mapping[str, str]]
    replies_lost: int
    second_run_writes: int
    lost: int
    duplicates: int
    leaks: int
    searched_texts: int
    faults: Sequence[str]

    @property
    def versions_left(self) -> dict[str, int | None]:
        """How many older versions at the EHR still show the words of what was withdrawn, by type; None: not shown."""
        found = [one.left for one in self.withdrawals.values()]
        kinds = dict.fromkeys(kind for left in found for kind in left)
        counts = {kind: [left[kind] for left in found if kind in left] for kind in kinds}
        return {kind: None if None in some else sum(n or 0 for n in some) for kind, some in counts.items()}

    @property
    def holds(self) -> bool:
        """Whether every promise held and everything came as the script says."""
        return not (self.lost or self.duplicates or self.leaks or self.second_run_writes or self.faults)


class Oracle:
    """Measures one demo. `main` is the connection of which the script's counts speak."""

    def __init__(self, folder: Path, store_file: Path, main: str) -> None:
        self._script: Json = _yaml(folder / "demo.yaml")
        self._files = [_yaml(folder / name) for name in self._script["plans"]]
        self._store_file = store_file
        self._main = main
        self._faults: list[str] = []

    def after_set_up(self, watched: Mapping[str, Watched]) -> Census:
        """Count when everything was pushed for the first time, and compare with the first act's expectations."""
        here = read_here(self._store_file)
        census = self._census(here, {name: _there(one) for name, one in watched.items()})
        expect = self._script["acts"][0]["expect"]
        loaded = {"plans": census.plans, "goals": census.goals, "steps": census.steps}
        self._compare("loaded", expect["loaded"], loaded)
        self._compare("sent", expect["sent"], census.sent)
        self._compare("sent by plan", expect["sent_by_plan"], census.sent_by_plan)
        self._compare("care plans", expect["care_plans"], _nonzero(census.care_plans))
        self._compare("steps sent", expect["steps_sent"], _nonzero(census.steps_sent))
        self._compare("kept here", expect["kept_here"], census.kept_here)
        return census

    def at_the_end(self, watched: Mapping[str, Watched], played: Played) -> Verdict:
        """Measure everything when the last run is over."""
        here = read_here(self._store_file)
        sides = {name: _there(one) for name, one in watched.items()}
        census = self._census(here, sides)
        scene = Scene(self._main, here, sides[self._main], self._edits(), played.rounds, played.shown)
        trails = {name: read_trail(one.exchanges) for name, one in watched.items()}
        before, after, ids = self._words_and_ids()
        own = wanted_at(self._main, after, ()).texts - wanted_at(self._main, before, ()).texts
        withdrawals = self._withdrawals(scene, trails[self._main], watched[self._main].server, own, played.retracted)
        outcomes = {edit["id"]: outcome(scene, edit) for edit in scene.edits if edit["id"] not in withdrawals}
        outcomes |= {edit_id: one.outcome for edit_id, one in withdrawals.items()}
        differing = texts_that_differ(scene)
        leaks, searched = self._leaks(here, watched, sides, before, after, ids, played.after_withdrawal)
        leaks |= {(self._main, place) for one in withdrawals.values() for place in one.references}
        created = {kind: sum(one.created.get(kind, 0) for one in trails.values()) for kind in OURS}
        inbox = [{"kind": row["kind"], "goal": row["owner"], "unit": row["unit"]} for row in here.inbox]
        replies_lost = sum(one.cut for each in watched.values() for one in each.exchanges)
        self._compare_end(census, created, outcomes, inbox, replies_lost)
        return Verdict(
            census=census,
            created=created,
            outcomes=outcomes,
            withdrawals=withdrawals,
            numbers={edit["id"]: number_shown(scene.resource(edit), edit) for edit in scene.edits if "add_raw" in edit},
            inbox=inbox,
            replies_lost=replies_lost,
            second_run_writes=sum(_writes(one, played.before_last_run[name]) for name, one in watched.items()),
            lost=sum(one == LOST for one in outcomes.values()) + len(self._not_told(differing, outcomes)),
            duplicates=sum(_doubled(here, there) for there in sides.values()),
            leaks=len(leaks),
            searched_texts=searched,
            faults=tuple(self._faults),
        )

    def _edits(self) -> list[Json]:
        return [edit for act in self._script["acts"] for edit in act.get("edits", ())]

    def _withdrawals(
        self, scene: Scene, trail: Trail, server: Server, words: Collection[str], reports: Sequence[Json]
    ) -> dict[str, Withdrawal]:
        """Judge every withdrawal, and compare the runs' own reports with what the EHR's history shows."""
        files = {tree["plan"]["id"]: tree for tree in self._files}
        found: dict[str, Withdrawal] = {}
        for act in self._script["acts"]:
            for edit in act.get("edits", ()):
                if "add_withheld" not in edit:
                    continue
                one = judge(scene, trail, server, edit, act["expect"], files[edit["plan"]], words)
                found[edit["id"]] = one
                self._faults += [f"edit {edit['id']}: {place} is left" for place in one.places]
                self._faults += [f"edit {edit['id']}: never saw {place}" for place in one.never_seen]
                told = [each["versions_left"] for each in reports if each["id"] == edit["goal"]]
                self._compare(f"edit {edit['id']}: versions reported as left", [one.versions], told)
        way = self._script["connections"][self._main]["retract"]
        wanted = sorted(edit["goal"] for edit in scene.edits if edit["id"] in found)
        self._compare("goals taken back", wanted, sorted(each["id"] for each in reports if each["way"] == way))
        return found

    def _not_told(self, differing: Sequence[str], outcomes: Mapping[str, str]) -> list[str]:
        """Return what differs and is not the loss of an edit that is counted already."""
        told = {
            edit.get("step") or edit.get("goal") or edit["add_goal"]["id"]
            for edit in self._edits()
            if outcomes[edit["id"]] == LOST
        }
        return [one for one in differing if one not in told]

    def _census(self, here: Here, sides: Mapping[str, There]) -> Census:
        main = sides[self._main]
        reasons: Counter[str] = Counter()
        by_plan: dict[str, int] = dict.fromkeys(here.plans, 0)
        for plan, goal in here.goals():
            if main.bearing("Goal", here.system, here.wire_id("Goal", plan["id"], goal["id"])):
                by_plan[plan["id"]] += 1
            else:
                reasons[_why_kept(plan, goal)] += 1
        ours = {name: {kind: there.made_by(kind, here.system) for kind in OURS} for name, there in sides.items()}
        return Census(
            plans=len(here.plans),
            goals=sum(1 for _ in here.goals()),
            steps=here.steps,
            sent={name: len(each["Goal"]) for name, each in ours.items()},
            sent_by_plan=by_plan,
            care_plans={name: len(each["CarePlan"]) for name, each in ours.items()},
            steps_sent={name: sum(len(steps_of(one)) for one in each["CarePlan"]) for name, each in ours.items()},
            kept_here=dict(reasons),
        )

    def _leaks(
        self,
        here: Here,
        watched: Mapping[str, Watched],
        sides: Mapping[str, There],
        before: Sequence[Words],
        after: Sequence[Words],
        ids: Collection[str],
        since: Mapping[str, int],
    ) -> tuple[set[tuple[str, str]], int]:
        """Return what was found where it should not be, and how many different texts were looked for.

        What was withdrawn was rightly there `before`; `after`, it is in nothing that we say and nothing that stands.
        """
        withdrawn = {(edit["plan"], edit["goal"]) for edit in self._edits() if "add_withheld" in edit}
        leaks: set[tuple[str, str]] = set()
        searched: set[str] = set()
        for name, one in watched.items():
            wanted = wanted_at(name, before, [*ids, *_traces(here, sides[name], withdrawn)])
            later = wanted_at(name, after, [*ids, *_traces(here, sides[name], ())])
            searched |= later.texts | later.words
            leaks |= {(name, text) for text in _said(one.exchanges[since[name] :], sides[name]).found(later)}
            corpus = Corpus()
            for exchange in one.exchanges:
                for content in (
                    exchange.request_head,
                    exchange.request_content,
                    exchange.reply_head,
                    exchange.reply_content,
                ):
                    corpus.take(content)
            for page in sides[name].raw.splitlines():
                corpus.take(page)
            leaks |= {(name, text) for text in corpus.found(wanted)}
            self._must_see(name, corpus, before)
        return leaks, len(searched)

    def _must_see(self, name: str, corpus: Corpus, words: Sequence[Words]) -> None:
        """Add a fault where the search does not even find what was sent: then that it found no leak says nothing."""
        sent = frozenset(one.text for one in words if name in one.endpoints and len(one.text) >= SHORTEST)
        unseen = sent - corpus.found(Wanted(sent, frozenset()))
        if unseen:
            self._faults.append(f"{name}: {len(unseen)} of {len(sent)} texts that go there were not found there")

    def _words_and_ids(self) -> tuple[list[Words], list[Words], set[str]]:
        """Return every text with who may see it, before and after the withdrawals, and every id."""
        rows, on = read_rows(), self._script["as_of"]
        files = {tree["plan"]["id"]: PlanFile(tree, rows, on) for tree in self._files}
        for edit in self._edits():
            if "add_goal" in edit:
                files[edit["plan"]].add(edit["add_goal"], self._main)
        before = self._words(files)
        for edit in self._edits():
            if "add_withheld" in edit:
                files[edit["plan"]].withdraw(edit["goal"])
        return before, self._words(files), {one for file in files.values() for one in file.ids()}

    def _words(self, files: Mapping[str, PlanFile]) -> list[Words]:
        words: list[Words] = []
        for edit in self._edits():
            file = files[edit["plan"]]
            if "add_withheld" in edit:
                words.append(Words(edit["add_withheld"]["reason"], frozenset()))
            elif edit.get("field") == "text":
                seen = frozenset(name for name, sent in file.sent.items() if edit["goal"] in sent)
                words.append(Words(edit["to"], seen))
            elif edit.get("field") == "note":
                author = self._script["people"][edit["by"]]["display"]
                words += [Words(text, frozenset({edit["side"]})) for text in (edit["add"], author)]
        return [*words, *(one for file in files.values() for one in file.words())]

    def _compare_end(
        self,
        census: Census,
        created: Mapping[str, int],
        outcomes: Mapping[str, str],
        inbox: Sequence[Json],
        replies_lost: int,
    ) -> None:
        expected = self._script["expected"]
        for edit in self._edits():
            if outcomes[edit["id"]] != edit["outcome"]:
                self._faults.append(f"edit {edit['id']}: expected {edit['outcome']}, found {outcomes[edit['id']]}")
        self._compare("outcomes", expected["outcomes"], Counter(outcomes.values()))
        rows = sorted(tuple(row.values()) for row in inbox)
        self._compare("inbox", sorted(tuple(row.values()) for row in expected["inbox"]), rows)
        here = {"plans": census.plans, "goals": census.goals, "steps": census.steps}
        self._compare("here at the end", expected["at_the_end"]["here"], here)
        end = expected["at_the_end"]
        main = {
            "goals": census.sent[self._main],
            "care_plans": census.care_plans[self._main],
            "steps": census.steps_sent[self._main],
        }
        self._compare(f"{self._main} at the end", end[self._main], main)
        others = {name: census.sent[name] + census.care_plans[name] for name in expected["at_the_end"]["others"]}
        self._compare("the others at the end", expected["at_the_end"]["others"], others)
        self._compare("kept here at the end", end["kept_here"], census.kept_here)
        self._compare("created", expected["created"], created)
        self._compare("replies lost", sum("cut" in act for act in self._script["acts"]), replies_lost)

    def _compare(self, what: str, wanted: Json, found: Json) -> None:
        if wanted != found:
            self._faults.append(f"{what}: expected {wanted}, found {found}")


def _there(one: Watched) -> There:
    return read_there(one.server, one.patients, everything=one.everything)


def _yaml(path: Path) -> Json:
    return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (a safe loader)


def _nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: n for name, n in counts.items() if n}


def _writes(one: Watched, since: int) -> int:
    return sum(exchange.method in WRITES for exchange in one.exchanges[since:])


def _why_kept(plan: Json, goal: Json) -> str:
    """Return why a goal stays here (domain reference 4 and 7)."""
    if plan["kind"] != "client_treatment":
        return str(plan["kind"])
    withheld = {one["target"] for one in plan.get("disclosure", {}).get("withheld", ())}
    if goal["id"] in withheld or goal.get("share") == "withheld":
        return "withheld"
    match goal.get("lifecycle"):
        case "draft" | "proposed" as kept:
            return str(kept)
        case "declined" | "entered_in_error" as kept:
            return f"{kept}_never_sent"
        case _:
            return "unexplained"


def _said(exchanges: Sequence[Exchange], there: There) -> Corpus:
    """Return what we said to an EHR and what stands there; what it said to us then is its own affair."""
    corpus = Corpus()
    for exchange in exchanges:
        corpus.take(exchange.request_head)
        corpus.take(exchange.request_content)
    for page in there.raw.splitlines():
        corpus.take(page)
    return corpus


def _traces(here: Here, there: There, but: Collection[tuple[str, str]]) -> list[str]:
    """Return what would tell of goals that are not there: their identifiers' values, and the secret behind all."""
    goals = [(plan["id"], goal["id"]) for plan, goal in here.goals()]
    values = [here.wire_id("Goal", *one) for one in goals if one not in but]
    return [*(one for one in values if not there.bearing("Goal", here.system, one)), str(here.namespace)]


def _doubled(here: Here, there: There) -> int:
    """Return how many resources are one too many: a second one of the same identifier, or words, of one patient."""
    surplus: set[tuple[str, str]] = set()
    for kind in OURS:
        seen: set[tuple[str, ...]] = set()
        for tree in there.of(kind):
            marks: set[tuple[str, ...]] = {("identifier", one) for one in _own(here, tree)}
            text = tree.get("description", {}).get("text") if kind == "Goal" else None
            if text is not None:
                marks.add(("text", tree.get("subject", {}).get("reference"), text))
            if seen & marks:
                surplus.add((kind, tree.get("id", "")))
            seen |= marks
    return len(surplus)


def _own(here: Here, tree: Json) -> list[str]:
    return [one["value"] for one in tree.get("identifier", ()) if one.get("system") == here.system]
