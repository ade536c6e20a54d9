"""Judges a world at rest by the simulator's own log: what is lost, doubled, silently different, echoed, leaked, asked
without need, or left over.

Reads our store by SQL and the EHRs by their raw storage; imports nothing of `sync`, `mappers` or `domain`.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.simulate import sides
from tests.simulate.log import NOTHING, PLAN, Edit, Key, by_word, first_word, in_a_ring

METERS = ("lost", "doubled", "silent", "echo", "leak", "needless", "growth")

_ID = re.compile(r"g-\w+")

WHOLE = ("gone", "void", "unreadable", "retract", "withheld")
"""Kinds of items that stand for a whole resource."""

TAKEN_AT_ONCE = ("text", "status", "target_date", "priority")
"""Units that are no members of a set: where the policy is `auto`, a one-sided edit of one is no question."""


@dataclass
class Verdict:
    """The faults of one run by meter, each a line that a person can read; `seen` are doubles that were reported."""

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


@dataclass(frozen=True)
class Item:
    """One item of the inbox, or a row of the ledger (`kind` ledger)."""

    kind: str
    connection: str
    owner: str
    unit: str
    why: str = ""
    ours: Any = None
    theirs: Any = None
    open: bool = True
    by_person: bool = False
    text: str = ""

    @property
    def whole(self) -> bool:
        """Whether it stands for a whole resource."""
        return self.kind in WHOLE or self.unit in ("Goal", "CarePlan", "")


def observe(world: Any, name: str, *, settled: bool) -> None:
    """Remember on what an EHR and our record agree just now; after a run that left nothing open, knowingly so."""
    here, there = world.here(), world.there(name)
    log = world.log
    for place, edit in enumerate(log.edits):
        if place not in log.settled and here.get(edit.key) == edit.value == there.get(edit.key):
            log.settled.add(place)
    if settled:
        for key, value in here.items():
            if there.get(key) == value:
                log.agreed[name, key] = len(log.edits)


def judge(world: Any) -> Verdict:
    """Return the faults of a world at rest."""
    return _Judge(world).verdict()


def items_of(raw: sqlite3.Connection) -> list[Item]:
    """Return everything that waits or is kept of what was decided, and what the ledger says of present revisions."""
    found = [
        Item(
            kind,
            connection or "",
            owner or "",
            unit or "",
            why,
            _tree(ours),
            _tree(theirs),
            closed_at is None,
            closed_by is not None,
            f"{base} {ours} {theirs}",
        )
        for kind, connection, owner, unit, why, base, ours, theirs, closed_at, closed_by in raw.execute(
            "select kind, connection, owner, unit, why, base, ours, theirs, closed_at, closed_by from inbox order by id"
        )
    ]
    query = """select l.connection, l.owner, l.unit from ledger l join unit_revisions u
               on u.plan_id = l.plan_id and u.owner = l.owner and u.unit = l.unit where l.rev >= u.rev"""
    return found + [Item("ledger", *row) for row in raw.execute(query)]


def _tree(text: str | None) -> Any:
    return None if text is None else json.loads(text)


class _Judge:
    def __init__(self, world: Any) -> None:
        self.world = world
        self.log = world.log
        self.cell = world.cell
        self.raw: sqlite3.Connection = world.database.raw
        self.plan = sides.document(self.raw)
        self.steps = sides.by_words(self.plan, self.log)
        self.notes = {
            first_word(entry["text"]): entry["id"] for goal in self.plan["goals"] for entry in goal.get("progress", ())
        }
        self.items = items_of(self.raw)
        self._name_steps_without_words()
        self.here = sides.named_by_log(sides.here(self.plan), self.steps)
        self.there = {name: world.there(name) for name in world.names}
        self.waiting = [item for item in self.items if item.open]
        self.kept = [item for item in self.items if item.open or item.kind == "history" or item.by_person]
        self.kept_text = "\n".join(item.text for item in self.kept)
        self.lost_there = self.cell.lost_there
        self.found = Verdict()

    def verdict(self) -> Verdict:
        self.found.causes.update(f"{item.kind}: {item.why}" for item in self.waiting if item.kind != "ledger")
        self._lost()
        for name in self.world.names:
            self._doubled(name)
            self._silent(name)
            self._broken_tree(name)
            self._left_standing(name)
        self._rings_here()
        self.found.silent += dict.fromkeys(self.log.broken)
        self._needless()
        self._growth()
        self.found.doubled += doubles("here", _members_here(self.plan))
        self.found.leak += dict.fromkeys(self.log.leaks)
        self.found.echo += dict.fromkeys(self.log.echoes)
        self.found.growth += dict.fromkeys(self.log.failures)
        return self.found

    def _name_steps_without_words(self) -> None:
        """A step whose words are still asked about has none here yet: the question says which it is."""
        for item in self.items:
            if item.unit.startswith("step:") and item.unit.endswith(".text"):
                for word, step in self.log.steps.items():
                    if step not in self.steps and word in item.text:
                        self.steps[step] = item.unit.partition(":")[2].rpartition(".")[0]

    # -- lost --

    def _lost(self) -> None:
        for place, edit in enumerate(self.log.edits):
            if not self._outside(edit) and not self._accounted(place, edit):
                line = f"lost: #{edit.number} {edit.side} wrote {edit.key[1]} of {edit.key[0]} = {edit.value}"
                self.found.lost.append(line)

    def _outside(self, edit: Edit) -> bool:
        """Tell whether an edit is of a goal that is void, deleted or asked about as a whole."""
        goals = {edit.key[0]}
        if edit.key[1] == "parent":
            goals |= {edit.value, edit.over, NOTHING}
        if edit.key[1].startswith("after "):
            goals.add(edit.key[1].removeprefix("after "))
        asked = {item.owner for item in self.waiting if item.kind in WHOLE}
        if len(goals) > 1 and (goals & self.log.ever_withheld or edit.side in self.log.ever_refused):
            return True  # an edge to or from what was taken back goes with it
        return bool(goals & (self.log.void.keys() | asked)) or (PLAN in asked and edit.side != "here")

    def _accounted(self, place: int, edit: Edit) -> bool:
        if any(side.get(edit.key, NOTHING) == edit.value for side in (self.here, *self.there.values())):
            return True
        if edit.key[1] == "order" and edit.side == "here":
            return True  # it follows from the tree: any later move changes it
        for later in self.log.edits[place + 1 :]:
            # Where the same value stood already, nobody saw this edit by it.
            if later.key == edit.key and edit.value in _over(later) and later.side not in edit.already:
                return True
        if by_word(edit.key):
            return edit.value.rpartition("/")[2] in self.kept_text
        if edit.key[1] == "parent" and "here" in edit.already:
            return True  # both sides said so in between
        if edit.key[1].partition(" ")[0] in self.lost_there and "here" in edit.already:
            return True  # it said what we said, and the server forgot it again
        if place in self.log.settled:
            return True
        before = [one for one in self.log.edits[:place] if (one.side, one.key) == (edit.side, edit.key)]
        if any(edit.value in _over(one) for one in before):
            return True  # moved there and back: nobody else can tell that from no edit
        if any(self._kept_whole(item, edit) for item in self.kept):
            return True
        decided = [item for item in self.kept if self._stands_for(item, edit.key)]
        kept = {part for item in decided for value in (item.ours, item.theirs) for part in parts(item.unit, value)}
        return edit.value in kept

    def _kept_whole(self, item: Item, edit: Edit) -> bool:
        """Tell whether the history holds the whole resource that an edit was made in, with what it wrote."""
        if item.kind != "history" or not isinstance(item.theirs, dict) or "resourceType" not in item.theirs:
            return False
        if item.owner == PLAN:
            return edit.key[0] == PLAN or edit.key[1].startswith("step")
        return item.owner == edit.key[0] and edit.value in item.text

    # -- doubled --

    def _doubled(self, name: str) -> None:
        storage = self.world.boxes[name].storage
        standing = {kind: sides.bodies(storage, kind) for kind in ("Goal", "CarePlan")}
        made = Counter(
            self.log.resources[name, id_]
            for kind in standing.values()
            for id_ in kind
            if (name, id_) in self.log.resources
        )
        for own, count in made.items():
            if count > 1:
                told = any(item.owner == own or item.kind == "identity" for item in self.waiting)
                line = f"doubled: {own} stands {count} times at {name}"
                (self.found.seen if told and not self.cell.detects_doubles else self.found.doubled).append(line)
        if not any(count > 1 for count in made.values()):
            self.found.doubled += doubles(name, _members_there(standing))

    # -- silent --

    def _silent(self, name: str) -> None:
        there = self.there[name]
        if name in self.log.refused or "all" in self.lost_there or self._stopped(name):
            return
        for goal in self.plan["goals"]:
            own = goal["id"]
            if own in self.log.withheld or own in self.log.void:
                continue
            if (own, "text") not in there and not self._told_of_absence(name, own):
                self.found.silent.append(f"silent: {own} is not at {name}")
        for key in sorted(self.here.keys() | there.keys()):
            if self._not_comparable(key, there):
                continue
            mine, theirs = self.here.get(key, NOTHING), there.get(key, NOTHING)
            if key[1] == "status" and "reason" in self.lost_there and _lifecycle(mine) == _lifecycle(theirs):
                continue
            if key[1] == "order":
                mine, theirs = _common(mine, theirs, self._hidden())
            if mine != theirs and not self._explained(name, key, theirs):
                line = f"silent: {key[1]} of {key[0]} is {mine} here and {theirs} at {name}"
                self.found.silent.append(line)

    def _stopped(self, name: str) -> bool:
        """Tell whether the guard stopped the plan there: all of it waits for a person."""
        return any(item.kind == "guard" and item.connection == name for item in self.waiting)

    def _told_of_absence(self, name: str, goal: str) -> bool:
        """Tell whether an item stands for a goal that is not there, or the ledger for its words or its status."""
        return any(
            item.connection == name
            and item.open
            and (
                self._stands_for_resource(item, (goal, "text"))
                or (item.kind == "ledger" and item.owner == goal and item.unit in ("text", "status"))
            )
            for item in self.items
        )

    def _hidden(self) -> set[str]:
        return self.log.withheld | self.log.void.keys()

    def _not_comparable(self, key: Key, there: sides.Side) -> bool:
        goal, what = key
        head, _, member = what.partition(" ")
        if goal != PLAN and (goal, "text") not in there:
            return True  # said once for the whole goal
        involved = {goal}
        if head == "after":
            involved.add(member)
        if head == "parent":
            above = self.here.get(key, NOTHING)
            involved |= {above, *there.get(key, NOTHING).split("+")}
            if above != NOTHING and (above, "text") not in there:
                return True  # said of the parent, which can't be named where it is not
        if head == "order" and self._hidden():
            return True  # children of a hidden parent are roots there, in an order of their own
        if involved & self._hidden() or head in self.lost_there:
            return True
        return head == "after" and (member, "text") not in there

    def _explained(self, name: str, key: Key, theirs: str) -> bool:
        """Tell whether an open item, a row of the ledger or the policy stands for a difference of that very unit."""
        for item in self.items:
            if item.connection != name or not (item.open or item.kind == "history"):
                continue
            if self._stands_for_resource(item, key):
                return True
            if not self._stands_for(item, key):
                continue
            if item.kind in ("ledger", "held", "tree"):
                return True
            value = said(item.unit, item.theirs)
            if value == theirs or item.unit.startswith("steps:") or _same_order(item, value, theirs):
                return True
        return False

    def _stands_for_resource(self, item: Item, key: Key) -> bool:
        if not item.open or not item.whole:
            return False
        of_plan = key[0] == PLAN or key[1].startswith("step")
        # A child's place stands on its parent's resource.
        sides_ = (self.here, self.there.get(item.connection, {})) if key[1] == "parent" else ()
        parents = {parent for side in sides_ for parent in side.get(key, NOTHING).split("+")}
        return item.owner in {key[0], *parents} or (item.owner == PLAN and (of_plan or item.kind == "retract"))

    def _stands_for(self, item: Item, key: Key) -> bool:
        """Tell whether an item's unit is the one of a watched value."""
        goal, what = key
        head, _, member = what.partition(" ")
        match head:
            case "parent":
                return (item.owner, item.unit) == (PLAN, f"parent_map:{goal}")
            case "after":
                return (item.owner, item.unit) == (PLAN, f"relations:{goal}|predecessor|{member}")
            case "note":
                named = item.unit == f"note:{self.notes.get(member)}" or member in item.text
                return item.owner == goal and item.unit.startswith("note:") and named
            case "step" | "step_status":
                return item.unit.startswith(("steps:", "step:")) and self._is_step(item, goal, member)
            case _:
                return (item.owner, item.unit) == (goal, what)

    def _is_step(self, item: Item, goal: str, step: str) -> bool:
        words = [word for word, name in self.log.steps.items() if name == step]
        kind, _, member = item.unit.partition(":")
        named = member if kind == "steps" else member.rpartition(".")[0]
        if named == self.steps.get(step, step) or any(word in item.text for word in words):
            return True
        # A step that only an EHR has: the item names it by an id of ours that nobody else knows yet.
        unknown = step not in self.steps and named not in self.steps.values()
        return unknown and kind == "steps" and isinstance(item.theirs, dict) and item.theirs.get("goal") == goal

    # -- trees --

    def _broken_tree(self, name: str) -> None:
        if name in self.log.refused:
            return
        there = self.there[name]
        edges = {
            goal: set(value.split("+"))
            for (goal, what), value in there.items()
            if what == "parent" and value != NOTHING
        }
        broken = {child: "two parents" for child, parents in edges.items() if len(parents) > 1}
        ring = in_a_ring(edges)
        for child, why in broken.items():
            if not self._explained(name, (child, "parent"), there[child, "parent"]):
                self.found.silent.append(f"silent: {child} has {why} at {name}")
        if ring and not any(self._explained(name, (child, "parent"), there[child, "parent"]) for child in ring):
            self.found.silent.append(f"silent: a ring at {name}: {'+'.join(sorted(ring))}")

    def _rings_here(self) -> None:
        edges = {goal["id"]: {goal["parent"]} for goal in self.plan["goals"] if goal.get("parent")}
        ring = in_a_ring(edges)
        if ring:
            self.found.silent.append(f"silent: a ring in our own tree: {'+'.join(sorted(ring))}")

    # -- leak at rest --

    def _left_standing(self, name: str) -> None:
        """What may no longer be there and still is, though nobody is told: words, or references to the goal."""
        hidden = {goal for goal in self.log.withheld if goal not in self.log.void}
        if not hidden or name in self.log.refused or "all" in self.lost_there or self._stopped(name):
            return
        local = {id_: own for (where, id_), own in self.log.resources.items() if where == name}
        asked = {item.owner for item in self.waiting if item.connection == name and item.whole}
        # An item comes first where the EHR changed a reference to it meanwhile (design 5.10).
        units = set(
            _ID.findall(
                " ".join(f"{item.owner} {item.unit} {item.text}" for item in self.waiting if item.connection == name)
            )
        )
        storage = self.world.boxes[name].storage
        for id_, body in sides.bodies(storage, "CarePlan").items():
            if id_ in local and PLAN not in asked:
                for goal in sorted(hidden - units):
                    resources = {resource for resource, own in local.items() if own == goal}
                    self.found.leak += self._left_in_plan(name, goal, resources, body)
        for id_, body in sides.bodies(storage, "Goal").items():
            own = local.get(id_)
            if own is None or own in self.log.void:
                continue
            for _, target in sides.relations(body):
                other = local.get(target)
                named = {own, other} & hidden
                told = named & (asked | units)
                if named and other is not None and not told and not self._drawn_there(name, own, other):
                    self.found.leak.append(f"leak: {own} and {other} still refer to each other at {name}")
            if own in hidden and self.world.retract != "leave" and own not in asked | units:
                text = json.dumps(body, default=str)
                words = [word for word in sorted(self.log.words.get(own, ())) if word in text]
                if words:
                    self.found.leak.append(f"leak: {own} at {name} still says {words[0]}")

    def _left_in_plan(self, name: str, goal: str, resources: set[str], plan: dict[str, Any]) -> list[str]:
        found = []
        text = json.dumps(plan, default=str)
        if any(f"Goal/{resource}" in text for resource in resources):
            found.append(f"leak: the CarePlan at {name} still refers to {goal}")
        narrative = str(plan.get("text", {}).get("div"))
        words = [word for word in sorted(self.log.words.get(goal, ())) if word in narrative]
        if words:
            found.append(f"leak: the narrative at {name} still says {words[0]} of {goal}")
        return found

    def _drawn_there(self, name: str, one: str, other: str) -> bool:
        """Tell whether somebody at that EHR drew an edge between two goals: that is their chart."""
        ways = {(one, f"after {other}"), (other, f"after {one}")}
        moves = {((one, "parent"), other), ((other, "parent"), one)}
        return any(
            edit.side == name and (edit.key in ways or (edit.key, edit.value) in moves) for edit in self.log.edits
        )

    # -- needless questions --

    def _needless(self) -> None:
        decided = {
            (item.connection, item.owner, item.unit, item.kind, item.text) for item in self.items if item.by_person
        }
        self.found.needless += dict.fromkeys(
            line for item in self.items if (line := self._half_seen(item) or self._not_gone(item))
        )
        for item in self.waiting:
            if item.kind not in ("conflict", "proposal"):
                continue
            where = f"{item.kind} ({item.why}) about {item.unit} of {item.owner} at {item.connection}"
            same = (item.connection, item.owner, item.unit, item.kind, item.text) in decided
            if same and not self._edited_again(item):
                self.found.needless.append(f"needless: {where} was answered already")
                continue
            key = self._key_of(item)
            if key is None or key[0] in self.log.void or item.connection in self.log.ever_refused:
                continue
            if item.unit.startswith("parent_map:") and self._settled_by_policy(item):
                self.found.needless.append(f"needless: {where}: the policy settles two parents")
                continue
            touched = any(edit.key == key and edit.side == item.connection for edit in self.log.edits)
            if not touched and not any(item.connection in where for where in self.log.void.values()):
                self.found.needless.append(f"needless: {where}: nobody at the EHR wrote it")
                continue
            if self.log.ever_withheld or (self.log.void and key[1] not in TAKEN_AT_ONCE):
                continue
            since = self.log.agreed.get((item.connection, key))
            recent = [edit for edit in self.log.edits[since or 0 :] if edit.key == key]
            theirs = any(edit.side == item.connection for edit in recent)
            # What another EHR wrote may have been on its way when these two were seen to agree.
            elsewhere = [one for one in self.log.edits if one.key == key and one.side not in ("here", item.connection)]
            ours = since is None or bool(elsewhere) or any(edit.side != item.connection for edit in recent)
            if item.kind == "conflict" and said(item.unit, item.ours) == said(item.unit, item.theirs):
                self.found.needless.append(f"needless: {where}: both say {said(item.unit, item.ours)}")
            elif item.kind == "conflict" and not (ours and theirs) and not self._decided_for_ours(item):
                one = "nobody" if not ours and not theirs else "only the EHR" if theirs else "only we"
                self.found.needless.append(f"needless: {where}: {one} wrote it since it was agreed")
            elif item.kind == "proposal" and not ours and self._taken_at_once(item):
                self.found.needless.append(f"needless: {where}: the policy takes it")

    def _edited_again(self, item: Item) -> bool:
        """Tell whether the EHR wrote the unit anew after a person had answered a question about it."""
        since = self.log.answered.get((item.connection, item.owner, item.unit), 0)
        key = self._key_of(item)
        return any(edit.key == key and edit.side == item.connection for edit in self.log.edits[since:])

    def _decided_for_ours(self, item: Item) -> bool:
        """Tell whether a person chose ours over an earlier value of theirs: that is an edit here too."""
        same = [
            one
            for one in self.items
            if (one.connection, one.owner, one.unit) == (item.connection, item.owner, item.unit)
        ]
        return any(one.by_person for one in same)

    def _half_seen(self, item: Item) -> str | None:
        """Return a line for a question, answered or not, about half of a move: nobody ever wrote that place."""
        if item.kind not in ("conflict", "proposal") or not item.unit.startswith("parent_map:") or self._hidden():
            return None
        child, place = item.unit.partition(":")[2], said(item.unit, item.theirs)
        moves = [edit for edit in self.log.edits if edit.key == (child, "parent")]
        there = [edit for edit in moves if edit.side == item.connection]
        wrote = {value for edit in moves for value in (edit.value, edit.over)}
        agreed = (item.connection, (child, "parent")) in self.log.agreed
        if not there or not agreed or self.log.ever_withheld or self.log.ever_refused or place in wrote:
            return None
        if any(edit.side != item.connection for edit in moves) and place != NOTHING:
            return None  # one of two parents is ours: a clash
        if self.there[item.connection].get((child, "parent")) == place:
            return None  # two moves there left it so
        return f"needless: half a move of {child} was asked about at {item.connection} ({place})"

    def _not_gone(self, item: Item) -> str | None:
        """Return a line for a resource that was said to be gone or void, and that nobody took away."""
        if item.kind not in ("gone", "void") or self.log.ever_withheld or self.log.ever_refused:
            return None
        return (
            None if item.owner in self.log.void else f"needless: {item.owner} is not {item.kind} at {item.connection}"
        )

    def _settled_by_policy(self, item: Item) -> bool:
        """Tell whether an EHR's two parents, of which one is ours, are a clash that the policy decides."""
        above = parts(item.unit, item.theirs) - {said(item.unit, item.theirs)}
        return self.cell.clash("parent_map") != "ask" and len(above) > 1 and said(item.unit, item.ours) in above

    def _taken_at_once(self, item: Item) -> bool:
        of_a_field = item.unit in TAKEN_AT_ONCE
        return of_a_field and self.cell.accept(item.unit) == "auto" and item.why != "server_holds_less"

    def _key_of(self, item: Item) -> Key | None:
        head, _, member = item.unit.partition(":")
        match head:
            case "parent_map":
                return (member, "parent")
            case "relations":
                start, _, end = member.split("|")
                return (start, f"after {end}")
            case "text" | "status" | "target_date" | "priority":
                return (item.owner, item.unit)
            case _:
                return None

    # -- growth --

    def _growth(self) -> None:
        told = {(item.connection, item.owner, item.unit) for item in self.waiting if item.kind == "held"}
        for connection, kind, own in self.raw.execute("select connection, kind, local_id from intents"):
            # What may no longer go is not repeated: it stays a candidate until the resource moves, and an item says so.
            if (connection, own, kind) not in told:
                self.found.growth.append(f"growth: an intent for {kind} {own} at {connection} is left at rest")
        asked = Counter(
            (item.connection, item.owner, item.unit) for item in self.waiting if item.kind in ("conflict", "proposal")
        )
        for (connection, owner, unit), count in asked.items():
            if count > 1:
                self.found.growth.append(f"growth: {count} questions about {unit} of {owner} at {connection}")
        for item in self.waiting:
            if item.kind not in ("conflict", "proposal") or item.connection in self.log.refused:
                continue
            key = self._key_of(item)
            if key is None:
                continue
            now = self.there[item.connection].get(key, NOTHING)
            if self._not_comparable(key, self.there[item.connection]):
                continue
            if said(item.unit, item.theirs) != now:
                asks = f"{item.unit} of {item.owner} at {item.connection}"
                self.found.growth.append(f"growth: the question about {asks} is out of date: {now} stands there")


def _lifecycle(status: str) -> str:
    return status.partition("/")[0]


def said(unit: str, value: Any) -> str:
    """Return a unit's value in an item as the log writes it."""
    if value is None:
        return NOTHING
    match unit.partition(":")[0]:
        case "text":
            return first_word(value)
        case "status" if isinstance(value, dict):
            return f"{value.get('lifecycle')}/{first_word(value.get('status_reason'))}"
        case "parent_map":
            return "+".join(sorted(value)) or NOTHING
        case "relations":
            return "yes" if value else NOTHING
        case "order":
            return "+".join(value)
        case "note" if isinstance(value, dict):
            return first_word(value.get("text"))
        case "step" if unit.endswith(".text"):
            return first_word(value)
        case "step" if unit.endswith(".status"):
            return sides.OURS_TO_WIRE.get(str(value.get("status")), str(value.get("status")))
        case _:
            return str(value)


def _over(edit: Edit) -> set[str]:
    """Return what an edit was written over: of two parents, each."""
    return {edit.over, *edit.over.split("+")} if edit.key[1] == "parent" else {edit.over}


def parts(unit: str, value: Any) -> set[str]:
    """Return what an item says, and of several parents each."""
    whole = said(unit, value)
    return {whole, *whole.split("+")} if unit.startswith("parent_map:") else {whole}


def _same_order(item: Item, value: str, theirs: str) -> bool:
    """Tell whether an order in an item is the one that stands there, as far as both name the same goals."""
    return item.unit == "order" and len(set(_common(value, theirs, set()))) == 1


def _common(one: str, other: str, but: set[str]) -> tuple[str, str]:
    """Return two orders without what only one of them names."""
    first, second = one.split("+"), other.split("+")
    both = (set(first) & set(second)) - but
    return "+".join(each for each in first if each in both), "+".join(each for each in second if each in both)


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
