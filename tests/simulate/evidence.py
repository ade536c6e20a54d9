"""All that the oracle knows of a world at rest, and what of it stands for a difference between two sides.

Reads our store by SQL and the EHRs by their raw storage; imports nothing of the product.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from tests.simulate import sides
from tests.simulate.items import Item, items_of, said, same_order
from tests.simulate.log import NOTHING, PLAN, Key, first_word


class Evidence:
    """A world at rest: what stands where, what waits, what is kept, and the log of what people did."""

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
        self.there = {name: world.there(name) for name in world.names}
        self.links = {name: sides.linked(self.raw, name) for name in world.names}
        self._name_steps_without_words()
        self.here = sides.named_by_log(sides.here(self.plan), self.steps)
        self.waiting = [item for item in self.items if item.open]
        self.kept = [item for item in self.items if item.open or item.kind == "history" or item.by_person]
        self.taken_out = "\n".join(self._taken_out_by_a_person())
        self.kept_text = "\n".join([*(item.text for item in self.kept), self.taken_out])
        self.lost_there = self.cell.lost_there

    def _name_steps_without_words(self) -> None:
        """A step whose words are still asked about has none here yet: the question says which it is.

        Only by words that stand there: a step without an id that gets others is another step to us, with a new id.
        """
        standing = {value for side in self.there.values() for (_, what), value in side.items() if what[:5] == "step "}
        for item in self.items:
            if item.unit.startswith("step:") and item.unit.endswith(".text"):
                for word, step in self.log.steps.items():
                    if step not in self.steps and word in item.text and word in standing:
                        self.steps[step] = item.unit.partition(":")[2].rpartition(".")[0]

    def _taken_out_by_a_person(self) -> list[str]:
        """Return the words of steps that a person's answer took out: they stand in our record, void."""
        answered = {item.unit for item in self.items if item.by_person and item.unit.startswith("steps:")}
        steps = (step for goal in self.plan["goals"] for step in goal.get("steps", ()))
        void = (step for step in steps if step.get("status") == "entered_in_error")
        return [str(step.get("text")) for step in void if f"steps:{step['id']}" in answered]

    def is_taken_out(self, key: Key) -> bool:
        """Tell whether a person took a whole step out, with its status as it then stood."""
        head, _, step = key[1].partition(" ")
        words = [word for word, name in self.log.steps.items() if name == step]
        return head == "step_status" and any(word in self.taken_out for word in words)

    def told_of_absence(self, name: str, goal: str) -> bool:
        """Tell whether an item stands for a goal that is not there, or the ledger for its words or its status."""
        return any(
            item.connection == name
            and item.open
            and (
                self.stands_for_resource(item, (goal, "text"))
                or (item.kind == "ledger" and item.owner == goal and item.unit in ("text", "status"))
            )
            for item in self.items
        )

    def told_of_double(self, goal: str) -> bool:
        """Tell whether an item stands for a resource of ours that stands more than once."""
        return any(item.owner == goal or item.kind == "identity" for item in self.waiting)

    def stands_in_a_double(self, name: str, key: Key, value: str) -> bool:
        """Tell whether a value stands in one of two resources of its goal that was reported: it is told with it.

        A child's place stands on its parent's resource, and leads to one of the child's; so does what comes after what.
        """
        if name not in self.world.boxes:
            return False
        storage = self.world.boxes[name].storage
        standing = sides.bodies(storage, "Goal")
        head, _, member = key[1].partition(" ")
        ends = value.split("+") if head == "parent" else (member,) if head == "after" else ()
        for goal in (key[0], *ends):
            of_goal = [id_ for (where, id_), own in self.log.resources.items() if (where, own) == (name, goal)]
            twins = [id_ for id_ in of_goal if id_ in standing]
            if len(twins) < 2 or self.cell.detects_doubles or not self.told_of_double(goal):
                continue
            each = (sides.there(name, storage, self.log, {**self.links[name], goal: id_}) for id_ in twins)
            if any({*value.split("+")} <= {*side.get(key, NOTHING).split("+")} for side in each):
                return True
        return False

    def hidden(self) -> set[str]:
        """Return the goals that are withheld or void, here or there."""
        return {*self.log.withheld, *self.log.void}

    def not_comparable(self, key: Key, there: sides.Side) -> bool:
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
        if head == "order" and self.hidden():
            return True  # children of a hidden parent are roots there, in an order of their own
        if involved & self.hidden() or head in self.lost_there:
            return True
        return head == "after" and (member, "text") not in there

    def same(self, key: Key, one: str, other: str) -> bool:
        """Tell whether two values are the same there: one that stores no reasons keeps a status without its own."""
        if key[1] == "status" and "reason" in self.lost_there:
            one, other = one.partition("/")[0], other.partition("/")[0]
        return one == other

    def stopped(self, name: str) -> bool:
        """Tell whether the guard stopped the plan there: all of it waits for a person."""
        return any(item.kind == "guard" and item.connection == name for item in self.waiting)

    def explained(self, name: str, key: Key, theirs: str) -> bool:
        """Tell whether an open item, a row of the ledger or the policy stands for a difference of that very unit."""
        for item in self.items:
            if item.connection != name or not (item.open or item.kind == "history"):
                continue
            if self.stands_for_resource(item, key):
                return True
            if not self.stands_for(item, key):
                continue
            if item.kind in ("ledger", "held", "tree"):
                return True
            value = said(item.unit, self._alive(item))
            if self.same(key, value, theirs) or item.unit.startswith("steps:") or same_order(item, value, theirs):
                return True
        return False

    def _alive(self, item: Item) -> Any:
        """Return what an item says of the EHR, without the parents that are void by now, there or here: their edges
        count nowhere.
        """
        if not item.unit.startswith("parent_map:") or not isinstance(item.theirs, list):
            return item.theirs
        void = {goal for goal, sides_ in self.log.void.items() if sides_ & {item.connection, "here"}}
        return [parent for parent in item.theirs if parent not in void]

    def stands_for_resource(self, item: Item, key: Key) -> bool:
        if not item.open or not item.whole:
            return False
        of_plan = key[0] == PLAN or key[1].startswith("step")
        # A child's place stands on its parent's resource.
        sides_ = (self.here, self.there.get(item.connection, {})) if key[1] == "parent" else ()
        ends = {parent for side in sides_ for parent in side.get(key, NOTHING).split("+")}
        head, _, member = key[1].partition(" ")
        if head == "after" and member not in self.links.get(item.connection, {}):
            ends.add(member)  # it can't be named while nobody knows which resource it is
        return item.owner in {key[0], *ends} or (item.owner == PLAN and (of_plan or item.kind == "retract"))

    def stands_for(self, item: Item, key: Key) -> bool:
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

    def stood_for(self, item: Item, key: Key) -> bool:
        """Tell whether an item's unit is that of a step of theirs by an id that it had by words of before."""
        head, _, step = key[1].partition(" ")
        if head != "step_status" or not item.unit.startswith("step:"):
            return False
        words = [word for word, name in self.log.steps.items() if name == step]
        own = item.unit.rpartition(".")[0]
        return any(one.unit == f"{own}.text" and word in one.text for one in self.items for word in words)

    def _is_step(self, item: Item, goal: str, step: str) -> bool:
        words = [word for word, name in self.log.steps.items() if name == step]
        kind, _, member = item.unit.partition(":")
        named = member if kind == "steps" else member.rpartition(".")[0]
        if named == self.steps.get(step, step) or any(word in item.text for word in words):
            return True
        # A step that only an EHR has: the item names it by an id of ours that nobody else knows yet.
        unknown = step not in self.steps and named not in self.steps.values()
        return unknown and kind == "steps" and isinstance(item.theirs, dict) and item.theirs.get("goal") == goal
