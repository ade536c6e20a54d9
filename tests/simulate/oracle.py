"""Judges a world at rest by the simulator's own log: what is lost, doubled, silently different, echoed, leaked, asked
without need, or left over.

Reads our store by SQL and the EHRs by their raw storage; imports nothing of `sync`, `mappers` or `domain`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulate import sides
from tests.simulate.evidence import Evidence
from tests.simulate.items import WHOLE, Item, common, parts
from tests.simulate.leftovers import left_standing
from tests.simulate.log import NOTHING, OVERLAP_TICKS, PLAN, Edit, Key, Moment, by_word, first_word, in_a_ring
from tests.simulate.questions import growth, needless

if TYPE_CHECKING:
    from fhirgoals.fhir.wire import Reply, Request

_ID = re.compile(rb'"id": ?"([^"]+)"')

METERS = ("lost", "doubled", "silent", "echo", "leak", "needless", "growth")


@dataclass
class Verdict:
    """The faults of one run by meter, each a line that a person can read; `seen` are doubles and losses that were
    reported where the server offers no means against them."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    echo: list[str] = field(default_factory=list)
    leak: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    growth: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    causes: Counter[str] = field(default_factory=Counter)
    """Why each open item waits, counted."""

    @property
    def faults(self) -> list[str]:
        """All of them."""
        return [line for meter in METERS for line in getattr(self, meter)]


def observe(
    world: Any, name: str, *, settled: bool, of: Collection[str] | None = None, began: Moment | None = None
) -> None:
    """Remember on what an EHR and our record agree just now; after a run that left nothing open, knowingly so.

    `of` are the goals (or the plan) whose resources count, `None` = all. `began` is when the run began: of what
    somebody wrote since, it may have read one side before that, and found no agreement.
    """
    here, there = world.here(), world.there(name)
    log = world.log
    for place, edit in enumerate(log.edits):
        if place in log.settled or (of is not None and not _carriers(edit) <= set(of)):
            continue
        if here.get(edit.key) == edit.value == there.get(edit.key):
            log.settled.add(place)
    if settled:
        moved = set() if began is None else {edit.key for edit in log.edits[began.edits :]}
        moved |= set() if began is None else _read_once(world, name, began)
        for key, value in here.items():
            if there.get(key) == value and key not in moved:
                log.agreed[name, key] = len(log.edits)


def _read_once(world: Any, name: str, began: Moment) -> set[Key]:
    """Return the places of children that an EHR's people took from a parent and that no run has judged yet.

    It may be half of a move: who first reads it so leaves the pair as it is, and only a run that begins after the
    overlap and reads the same judges it (design 5.2). What is written here before that clashes with it (design 5.3).
    """
    log, found = world.log, set()
    for key, place in world.there(name).items():
        if key[1] != "parent" or place != NOTHING:
            continue
        last = max((at for at, edit in enumerate(log.edits) if (edit.side, edit.key) == (name, key)), default=-1)
        if last < log.agreed.get((name, key), 0):
            continue
        first = log.parentless.get((name, key))
        if first is None or first.edits <= last:
            first = log.parentless[name, key] = Moment(world.machine.tick, len(log.edits))
        if began.tick < first.tick + OVERLAP_TICKS:
            found.add(key)
    return found


def shown(world: Any, name: str, request: Request, reply: Reply) -> None:
    """Remember on what both sides agree of what a process is shown: it goes by that, whoever writes later.

    A history, a question for what changed and a search that lags don't say how something stands now.
    """
    lags = world.cell.server.knobs.stale_search_s and "?" in request.url
    if lags or "_history" in request.url or "_lastUpdated" in request.url:
        return
    ids = {id_.decode() for id_ in _ID.findall(reply.body or b"")}
    observe(
        world,
        name,
        settled=False,
        of={own for (where, id_), own in world.log.resources.items() if where == name and id_ in ids},
    )


def _carriers(edit: Edit) -> set[str]:
    """Return the goals (or the plan) on whose resources an edit stands: a child's place is on its parents'."""
    goal, what = edit.key
    if what == "parent":
        return {*edit.value.split("+"), *edit.over.split("+")} - {NOTHING}
    return {PLAN} if what.startswith("step") else {goal}


def judge(world: Any) -> Verdict:
    """Return the faults of a world at rest."""
    case, log = Evidence(world), world.log
    found = Verdict(causes=Counter(f"{item.kind}: {item.why}" for item in case.waiting if item.kind != "ledger"))
    found.lost, lost_and_told = _lost(case)
    found.seen += lost_and_told
    for name in world.names:
        untold, seen = _doubled(case, name)
        found.doubled += untold
        found.seen += seen
        found.silent += [*_silent(case, name), *_broken_tree(case, name)]
        found.leak += left_standing(case, name)
    found.silent += [*_rings_here(case), *_put_by_nobody(case), *dict.fromkeys(log.broken)]
    found.doubled += doubles("here", _members_here(case.plan))
    found.leak += dict.fromkeys(log.leaks)
    found.echo += dict.fromkeys(log.echoes)
    found.needless += needless(case)
    found.growth += [*growth(case), *dict.fromkeys(log.failures)]
    return found


# -- lost --


def _lost(case: Evidence) -> tuple[list[str], list[str]]:
    """Return a line for each edit that is neither current, nor knowingly written over, nor kept, nor asked about.

    The second are those that a late call went over where the server offers no means to know it, and the history says
    that it may have.
    """
    untold: list[str] = []
    seen: list[str] = []
    for place, edit in enumerate(case.log.edits):
        if not _outside(case, edit) and not _accounted(case, place, edit):
            line = f"lost: #{edit.number} {edit.side} wrote {edit.key[1]} of {edit.key[0]} = {edit.value}"
            (seen if _told_of_loss(case, edit) else untold).append(line)
    return untold, seen


def _told_of_loss(case: Evidence, edit: Edit) -> bool:
    """Tell whether the history says that a call may have gone over an edit in that resource, where nothing can tell.

    A call that took a child from one parent leaves it without any, as they may have from another: it names that child.
    """
    server = case.cell.server
    of_plan = edit.key[0] == PLAN or edit.key[1].startswith("step")
    owners = (
        {PLAN} if of_plan else {edit.key[0], *((edit.value, *_over(edit, edit)) if edit.key[1] == "parent" else ())}
    )
    made_a_root = edit.key[1] == "parent" and edit.value == NOTHING
    return not (server.keeps_etag or server.keeps_history) and any(
        item.why == "may_have_gone_over_an_edit"
        and item.connection == edit.side
        and (item.owner in owners or (made_a_root and f"parent_map:{edit.key[0]}" in (item.ours or ())))
        for item in case.items
    )


def _outside(case: Evidence, edit: Edit) -> bool:
    """Tell whether an edit is of a goal that is void, deleted or asked about as a whole."""
    goals = {edit.key[0]}
    if edit.key[1] == "parent":
        goals |= {edit.value, edit.over, NOTHING}
    if edit.key[1].startswith("after "):
        goals.add(edit.key[1].removeprefix("after "))
    asked = {item.owner for item in case.waiting if item.kind in WHOLE}
    taken_back = goals & case.log.ever_withheld or edit.side in case.log.ever_refused
    if len(goals) > 1 and edit.side != "here" and taken_back:
        return True  # an edge to or from what was taken back goes with it there; our record keeps ours
    return bool(goals & (case.log.void.keys() | asked)) or (PLAN in asked and edit.side != "here")


def _accounted(case: Evidence, place: int, edit: Edit) -> bool:
    if any(side.get(edit.key, NOTHING) == edit.value for side in (case.here, *case.there.values())):
        return True
    if case.stands_in_a_double(edit.side, edit.key, edit.value):
        return True
    if edit.key[1] == "order" and (edit.side == "here" or _siblings_stand(case, edit)):
        return True  # it follows from the tree: any later move changes it
    for later in case.log.edits[place + 1 :]:
        # Where the same value stood already, nobody saw this edit by it.
        if later.key == edit.key and edit.value in _over(later, edit) and later.side not in edit.already:
            return True
    if by_word(edit.key) and not (edit.value == NOTHING and edit.key[1].startswith("step ")):
        return edit.value.rpartition("/")[2] in case.kept_text
    if edit.key[1] == "parent" and "here" in edit.already:
        return True  # both sides said so in between
    if edit.key[1].partition(" ")[0] in case.lost_there and "here" in edit.already:
        return True  # it said what we said, and the server forgot it again
    if place in case.log.settled or case.is_taken_out(edit.key):
        return True
    before = [one for one in case.log.edits[:place] if (one.side, one.key) == (edit.side, edit.key)]
    if any(edit.value in _over(one, edit) for one in before):
        return True  # moved there and back: nobody else can tell that from no edit
    if any(_kept_whole(case, item, edit) for item in case.kept):
        return True
    decided = [item for item in case.kept if case.stands_for(item, edit.key) or case.stood_for(item, edit.key)]
    kept = {part for item in decided for value in (item.ours, item.theirs) for part in parts(item.unit, value)}
    return edit.value in kept


def _siblings_stand(case: Evidence, edit: Edit) -> bool:
    """Tell whether the children of each goal of our record stand as an EHR put them: a tree keeps no more of a list."""
    places = {goal: place for place, goal in enumerate(edit.value.split("+"))}
    last: dict[str, int] = {}
    for goal in case.here.get((PLAN, "order"), NOTHING).split("+"):
        parent = case.here.get((goal, "parent"), NOTHING)
        if goal in places:
            if places[goal] < last.get(parent, -1):
                return False
            last[parent] = places[goal]
    return True


def _kept_whole(case: Evidence, item: Item, edit: Edit) -> bool:
    """Tell whether the history holds the whole resource that an edit was made in, with what it wrote."""
    if item.kind != "history" or not isinstance(item.theirs, dict) or "resourceType" not in item.theirs:
        return False
    if item.owner == PLAN:
        return edit.key[0] == PLAN or edit.key[1].startswith("step")
    return item.owner == edit.key[0] and edit.value in item.text


def _over(edit: Edit, other: Edit) -> set[str]:
    """Return what an edit was written over: of two parents, each; of an order what another edit could see of it."""
    if edit.key[1] == "order":
        named = other.value.split("+")
        return {edit.over, "+".join(goal for goal in edit.over.split("+") if goal in named)}
    return {edit.over, *edit.over.split("+")} if edit.key[1] == "parent" else {edit.over}


# -- doubled --


def _doubled(case: Evidence, name: str) -> tuple[list[str], list[str]]:
    """Return a line for each resource of ours that stands twice: what nobody was told of, and what was reported."""
    storage = case.world.boxes[name].storage
    standing = {kind: sides.bodies(storage, kind) for kind in ("Goal", "CarePlan")}
    made = Counter(
        case.log.resources[name, id_] for kind in standing.values() for id_ in kind if (name, id_) in case.log.resources
    )
    untold: list[str] = []
    seen: list[str] = []
    for own, count in made.items():
        if count > 1:
            line = f"doubled: {own} stands {count} times at {name}"
            (seen if case.told_of_double(own) and not case.cell.detects_doubles else untold).append(line)
    if not any(count > 1 for count in made.values()):
        untold += doubles(name, _members_there(standing))
    return untold, seen


def doubles(where: str, members: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a line for each note, target or step that stands more than once in one goal or plan on one side."""
    return [f"doubled: {' '.join(one)} at {where}" for one, count in Counter(members).items() if count > 1]


def _members_here(plan: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for goal in plan["goals"]:
        yield from (("note", goal["id"], first_word(entry["text"])) for entry in goal.get("progress", ()))
        words = [first_word(step.get("text")) for step in goal.get("steps", ())]
        yield from (("step", word) for word in words if word != NOTHING)


def _members_there(standing: dict[str, dict[str, dict[str, Any]]]) -> Iterable[tuple[str, ...]]:
    for id_, goal in standing["Goal"].items():
        yield from (("note", id_, first_word(note.get("text"))) for note in goal.get("note", ()))
        yield from (("due date", id_) for target in goal.get("target", ()) if "measure" not in target)
    for plan in standing["CarePlan"].values():
        words = [first_word(one.get("detail", {}).get("description")) for one in plan.get("activity", ())]
        yield from (("step", word) for word in words if word != NOTHING)


# -- silent --


def _silent(case: Evidence, name: str) -> Iterator[str]:
    """Yield a line for each difference between our record and an EHR that nothing stands for."""
    there = case.there[name]
    if name in case.log.refused or "all" in case.lost_there or case.stopped(name):
        return
    for goal in case.plan["goals"]:
        own = goal["id"]
        if own in case.log.withheld or own in case.log.void:
            continue
        if (own, "text") not in there and not case.told_of_absence(name, own):
            yield f"silent: {own} is not at {name}"
    for key in sorted(case.here.keys() | there.keys()):
        if case.not_comparable(key, there):
            continue
        mine, theirs = case.here.get(key, NOTHING), there.get(key, NOTHING)
        if key[1] == "order":
            mine, theirs = common(mine, theirs, case.hidden())
        if not case.same(key, mine, theirs) and not case.explained(name, key, theirs):
            line = f"silent: {key[1]} of {key[0]} is {mine} here and {theirs} at {name}"
            yield line


def _broken_tree(case: Evidence, name: str) -> Iterator[str]:
    """Yield a line for each second parent and ring at an EHR that nothing stands for."""
    if name in case.log.refused:
        return
    there = case.there[name]
    edges = {
        goal: set(value.split("+")) for (goal, what), value in there.items() if what == "parent" and value != NOTHING
    }
    broken = {child: "two parents" for child, parents in edges.items() if len(parents) > 1}
    ring = in_a_ring(edges)
    for child, why in broken.items():
        if not case.explained(name, (child, "parent"), there[child, "parent"]):
            yield f"silent: {child} has {why} at {name}"
    if ring and not any(case.explained(name, (child, "parent"), there[child, "parent"]) for child in ring):
        yield f"silent: a ring at {name}: {'+'.join(sorted(ring))}"


def _put_by_nobody(case: Evidence) -> Iterator[str]:
    """Yield a line for a goal that stands in our record where it never stood and nobody put it."""
    for key, place in case.here.items():
        if key[1] == "parent" and key in case.log.first:
            put = {part for edit in case.log.edits if edit.key == key for part in (edit.value, *edit.value.split("+"))}
            if place not in put | {case.log.first[key]}:
                yield f"silent: {key[0]} stands under {place} here, where nobody put it"


def _rings_here(case: Evidence) -> Iterator[str]:
    """Yield a line for a ring in our own tree: never right, even where both sides agree."""
    edges = {goal["id"]: {goal["parent"]} for goal in case.plan["goals"] if goal.get("parent")}
    ring = in_a_ring(edges)
    if ring:
        yield f"silent: a ring in our own tree: {'+'.join(sorted(ring))}"
