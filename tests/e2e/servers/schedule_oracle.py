"""The oracle of the schedules: both sides by its own SQL and HTTP, judged by its own log of edits.

It imports nothing of the product. An edit is lost when its value is neither current on both sides, nor overwritten by
somebody who saw it, nor in an open item. A difference between the sides is silent when no open item names it.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid5

Json: TypeAlias = Any
Side: TypeAlias = Literal["here", "there"]

_LIFECYCLE = {"declined": "rejected"}
_STEP = {"planned": "not-started", "in_progress": "in-progress", "done": "completed", "skipped": "cancelled"}
METERS = ("lost", "doubled", "silent", "writes", "claimed")
COMPARED = ("text", "priority", "target_date", "status", "notes", "parent")


@dataclass(frozen=True)
class Edit:
    """Somebody changed a unit of a goal on one side; `over` is what stood there before."""

    side: Side
    goal: str
    unit: str
    value: str | None
    over: Json


@dataclass(frozen=True)
class Verdict:
    """What is wrong at rest, a line each. `writes` are those of a run for which there was nothing to do.

    `claimed` are values in our revisions that are said to come from the EHR and that nobody wrote there, as when an old
    state that a search shows is taken for an edit.
    """

    lost: Sequence[str] = ()
    doubled: Sequence[str] = ()
    silent: Sequence[str] = ()
    writes: Sequence[str] = ()
    claimed: Sequence[str] = ()
    items: int = 0

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(getattr(self, name)) for name in METERS}


# -- HTTP --


@dataclass(frozen=True)
class Answer:
    """One reply; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def tree(self) -> Json:
        return json.loads(self.body, parse_float=Decimal)


def ask(base: str, method: str, path: str, tree: Json = None, **headers: str) -> Answer:
    """Send one request, `path` below the base or a whole address there; `if_match=…` is the header If-Match."""
    parts = urlsplit(path if "://" in path else f"{base}/{path}")
    fields = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    body = None
    if tree is not None:
        fields["Content-Type"] = "application/fhir+json"
        body = json.dumps(tree).encode()
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    with closing(connection):
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body=body, headers=fields)
        reply = connection.getresponse()
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())


PAGE = 200


def everything(base: str, search: str) -> Iterator[Json]:
    """Yield all resources that a search finds: by its links, and by `_offset` where a server pages without any."""
    search = f"{search}&_count={PAGE}"
    page: str | None = search
    seen: set[str] = set()
    linked = False
    while page:
        answer = ask(base, "GET", page)
        assert answer.status == 200, answer.body
        bundle = answer.tree()
        new = [entry["resource"] for entry in bundle.get("entry", ()) if entry["resource"]["id"] not in seen]
        yield from new
        seen |= {one["id"] for one in new}
        page = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)
        linked = linked or page is not None
        if not linked and len(new) == PAGE:
            page = f"{search}&_offset={len(seen)}"


# -- both sides --


@dataclass(frozen=True)
class Here:
    """Our store as SQL shows it."""

    plan: Json
    items: Sequence[Mapping[str, Json]]
    links: Mapping[str, str]
    system: str
    namespace: UUID

    def goals(self) -> dict[str, Json]:
        return {goal["id"]: goal for goal in self.plan["goals"]}

    def value(self, owner: str, unit: str) -> Json:
        if owner == self.plan["id"]:
            return self.plan["title"] if unit == "title" else self.steps().get(unit)
        goal = self.goals()[owner]
        match unit:
            case "status":
                return _LIFECYCLE.get(goal["lifecycle"], goal["lifecycle"]).replace("_", "-")
            case "notes" | "note":
                return sorted(one["text"] for one in goal.get("progress", ()) if one.get("visibility") == "shared")
            case _:
                return goal.get(unit)

    def steps(self) -> dict[str, str]:
        """Return the status of each step, by the name of that unit."""
        every = (step for goal in self.goals().values() for step in goal.get("steps", ()))
        return {f"step:{one['id']}.status": _STEP.get(one["status"], one["status"]) for one in every}

    def wire_id(self, kind: str, local_id: str) -> str:
        return str(uuid5(self.namespace, f"{kind}/{self.plan['id']}/{local_id}"))

    def open_items(self, goal_id: str, unit: str) -> list[Mapping[str, Json]]:
        """Return the open items about a unit of a goal, or about the whole goal."""
        named = {"parent": f"parent_map:{goal_id}"}.get(unit, unit)
        return [one for one in self.items if _is_about(one, goal_id, named)]


def _is_about(item: Mapping[str, Json], goal_id: str, unit: str) -> bool:
    name = item["unit"] or ""
    if name.startswith(("parent_map:", "step:")):
        return name == unit
    return item["owner"] == goal_id and (name in ("", "Goal", unit) or name.partition(":")[0] == unit.rstrip("s"))


@dataclass(frozen=True)
class There:
    """The EHR: every Goal and CarePlan of our patients, and what bears an identifier of ours."""

    here: Here
    goals: Sequence[Json]
    care_plans: Sequence[Json]

    def goal(self, goal_id: str) -> Json:
        """Return the Goal that bears our goal's identifier, or that was born there and taken over; or `None`."""
        wire_id, born = self.here.wire_id("Goal", goal_id), self.here.links.get(goal_id)
        found = self._by_value.get(wire_id) or [one for one in self.goals if f"Goal/{one['id']}" == born]
        return next(iter(found), None)

    @cached_property
    def _by_value(self) -> dict[str, list[Json]]:
        found: dict[str, list[Json]] = {}
        for one in self.goals:
            for value in _values(one):
                found.setdefault(value, []).append(one)
        return found

    @cached_property
    def names(self) -> dict[str, str]:
        """Our goals' ids by their addresses there."""
        found = ((self.goal(goal_id), goal_id) for goal_id in self.here.goals())
        ours = {self.here.wire_id("Goal", goal_id): goal_id for goal_id in self.here.goals()}
        return {f"Goal/{one['id']}": goal_id for one, goal_id in found if one is not None} | {
            f"Goal/{one['id']}": ours[value] for one in self.goals for value in _values(one) if value in ours
        }

    def parents(self, goal_id: str) -> list[str]:
        """Return the goals that name this one as a milestone."""
        names, wanted = self.names, self.goal(goal_id)
        if wanted is None:
            return []
        return sorted(
            names.get(f"Goal/{one['id']}", one["id"])
            for one in self.goals
            for child in _milestones(one)
            if child == f"Goal/{wanted['id']}"
        )

    def value(self, owner: str, unit: str) -> Json:
        if owner == self.here.plan["id"]:
            return next((plan_value_there(one, unit, self.here) for one in self.care_plans), None)
        if unit == "parent":
            parents = self.parents(owner)
            return parents[0] if len(parents) == 1 else parents or None
        tree = self.goal(owner)
        return None if tree is None else value_there(tree, unit)


def value_there(tree: Json, unit: str) -> Json:
    """Return what a Goal there says of a unit."""
    match unit:
        case "text":
            return tree["description"]["text"]
        case "priority":
            codings = tree.get("priority", {}).get("coding", [{}])
            return codings[0].get("code", "").removesuffix("-priority") or None
        case "target_date":
            return next((one["dueDate"] for one in tree.get("target", ()) if one.get("id") == "due"), None)
        case "status":
            return tree["lifecycleStatus"]
        case _:
            return sorted(one["text"] for one in tree.get("note", ()))


def plan_value_there(care_plan: Json, unit: str, here: Here) -> Json:
    """Return what a CarePlan there says of its title, or of the status of a step; a step is known by its text."""
    if unit == "title":
        return care_plan["title"]
    steps = (step for goal in here.goals().values() for step in goal.get("steps", ()))
    text = next(one["text"] for one in steps if f"step:{one['id']}.status" == unit)
    return next((one["detail"]["status"] for one in care_plan.get("activity", ()) if _step(one) == text), None)


def _values(tree: Json) -> set[str]:
    return {one.get("value") for one in tree.get("identifier", ())}


def _milestones(tree: Json) -> Iterator[str]:
    for one in tree.get("extension", ()):
        if one["url"].endswith("/goal-relationship"):
            parts = {part["url"]: part for part in one["extension"]}
            if parts["type"]["valueCodeableConcept"]["coding"][0]["code"] == "milestone":
                yield parts["target"]["valueReference"]["reference"]


# -- the judgement --


@dataclass
class Oracle:
    """Reads and judges one plan in one store file and at one server."""

    file: Path
    base: str
    plan_id: str
    patients: Sequence[str] = field(default=())
    known: Collection[str] = ()
    addresses: dict[str, str] = field(default_factory=dict)

    def here(self) -> Here:
        with closing(sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            [(document,)] = database.execute(
                "SELECT r.document FROM plans p JOIN plan_revisions r ON r.plan_id = p.plan_id AND r.rev = p.rev "
                "WHERE p.plan_id = ?",
                [self.plan_id],
            )
            rows = database.execute("SELECT kind, owner, unit, ours, theirs, why FROM inbox WHERE closed_at IS NULL")
            names = ("kind", "owner", "unit", "ours", "theirs", "why")
            items = [dict(zip(names, row, strict=True)) for row in rows]
            linked = database.execute("SELECT local_id, kind || '/' || resource_id FROM links")
            links = {local_id: address for local_id, address in linked if address is not None}
            [(system, namespace)] = database.execute("SELECT identifier_system, namespace FROM installation")
        for item in items:
            for name in ("ours", "theirs"):
                item[name] = None if item[name] is None else json.loads(item[name], parse_float=Decimal)
        return Here(json.loads(document, parse_float=Decimal), items, links, system, UUID(namespace))

    def _claimed(self, edits: Sequence[Edit]) -> Iterator[str]:
        with closing(sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT touched FROM plan_revisions WHERE origin IS NOT NULL ORDER BY rev")
            yield from _claims(edits, (json.loads(touched) for (touched,) in rows), self.known)

    def there(self) -> There:
        """Return everything there of our patients, or by an identifier of ours."""
        here = self.here()
        found: dict[str, dict[str, Json]] = {"Goal": {}, "CarePlan": {}}
        whose = [*(f"patient={one}" for one in self.patients), f"identifier={quote(here.system + '|')}"]
        for kind, trees in found.items():
            for one in whose:
                every = everything(self.base, f"{kind}?{one}")
                trees |= {tree["id"]: tree for tree in every if self._is_ours(tree, here)}
        return There(here, list(found["Goal"].values()), list(found["CarePlan"].values()))

    def plan_there(self) -> Answer | None:
        """Read the CarePlan, `None` where it is not known to be there yet."""
        address = self.here().links.get(self.plan_id)
        return None if address is None else ask(self.base, "GET", address)

    def goal_there(self, goal: str) -> Answer | None:
        """Read one goal there, `None` where it is not there yet; where it is, is searched for once."""
        here = self.here()
        if goal not in self.addresses:
            wire_id = here.wire_id("Goal", goal)
            for tree in everything(self.base, f"Goal?identifier={quote(here.system + '|' + wire_id)}"):
                if wire_id in _values(tree):
                    self.addresses[goal] = f"Goal/{tree['id']}"
        return ask(self.base, "GET", self.addresses[goal]) if goal in self.addresses else None

    def _is_ours(self, tree: Json, here: Here) -> bool:
        """Tell whether a resource is our patients' or bears our identifier; a server may find more than was asked."""
        own = any(one.get("system") == here.system for one in tree.get("identifier", ()))
        return own or tree.get("subject", {}).get("reference") in self.patients

    def judge(self, edits: Sequence[Edit], writes: Sequence[str]) -> Verdict:
        """Return what is wrong."""
        here, there = self.here(), self.there()
        return Verdict(
            list(_lost(edits, here, there)),
            list(_doubled(here, there)),
            list(_silent(here, there)),
            list(writes),
            list(self._claimed(edits)),
            len(here.items),
        )


def _claims(edits: Sequence[Edit], revisions: Iterator[Json], known: Collection[str]) -> Iterator[str]:
    left = Counter((one.goal, one.unit, one.value) for one in edits if one.side == "there")
    for owner, unit, _, value in (one for touched in revisions for one in touched):
        if unit.startswith(("membership:", "parent_map:", "order", "labels")) or owner not in known:
            continue  # belongs to a goal that is taken over
        name = unit if unit.startswith("step:") else unit.partition(":")[0]
        shown = value["text"] if name == "note" and value else value["lifecycle"] if name == "status" else value
        claim = (owner, name, str(shown).replace("_", "-") if name == "status" else shown)
        if not left[claim]:
            yield f"{claim}"
        left[claim] -= 1


def _lost(edits: Sequence[Edit], here: Here, there: There) -> Iterator[str]:
    for place, edit in enumerate(edits):
        if edit.unit == "born":
            both = [[one["text"] for one in here.goals().values()], [one["description"]["text"] for one in there.goals]]
            if not all(edit.value in side for side in both):
                yield f"{edit}"
            continue
        now = here.value(edit.goal, edit.unit), there.value(edit.goal, edit.unit)
        later = [one for one in edits[place + 1 :] if (one.goal, one.unit) == (edit.goal, edit.unit)]
        if edit.unit == "note":
            items = json.dumps([dict(one) for one in here.open_items(edit.goal, edit.unit)], default=str)
            if not all(edit.value in side for side in map(_list, now)) and str(edit.value) not in items:
                yield f"{edit}: now {now}"
        elif not (
            now == (edit.value, edit.value)
            or any(one.side == edit.side or one.over == edit.value for one in later)
            or any(edit.value in _leaves(one) for one in here.open_items(edit.goal, edit.unit))
        ):
            yield f"{edit}: now {now}"


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _leaves(item: Mapping[str, Json]) -> set[str]:
    """Return the values that an item holds, in the EHR's spelling where it has one."""
    found: set[str] = set()
    pending = [item["ours"], item["theirs"]]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            pending += one.values()
        elif isinstance(one, list):
            pending += one
        elif isinstance(one, str):
            found |= {one, one.replace("_", "-"), _STEP.get(one, one)}
    return found


def _doubled(here: Here, there: There) -> Iterator[str]:
    resources = [*there.goals, *there.care_plans]
    yield from _twice("identifier", (value for one in resources for value in _values(one)))
    yield from _twice("text there", (one["description"]["text"] for one in there.goals))
    yield from _twice("text here", (one["text"] for one in here.goals().values()))
    for name, goals in (("here", here.goals().values()), ("there", there.goals)):
        key = "progress" if name == "here" else "note"
        for goal in goals:
            yield from _twice(f"note {name}", (one["text"] for one in goal.get(key, ())))
    for plan in there.care_plans:
        yield from _twice("care plan's goal", (one["reference"] for one in plan.get("goal", ())))
        yield from _twice("care plan's step", (_step(one) for one in plan.get("activity", ())))
    if len(there.care_plans) != 1:
        yield f"{len(there.care_plans)} care plans"


def _step(activity: Json) -> str:
    text: str = activity["detail"]["description"]
    return text


def _twice(what: str, values: Iterator[str]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what}: {value} {count} times"


def _silent(here: Here, there: There) -> Iterator[str]:
    names = there.names
    for goal_id in here.goals():
        if there.goal(goal_id) is None:
            yield f"{goal_id} is not there"
            continue
        yield from _differences(here, there, goal_id, COMPARED)
    for one in there.goals:
        if f"Goal/{one['id']}" not in names:
            yield f"Goal/{one['id']} is not here"
    for plan in there.care_plans:
        listed = sorted(names.get(one["reference"], one["reference"]) for one in plan.get("goal", ()))
        if listed != sorted(here.goals()):
            yield "the care plan's list of goals"
        mine = sorted(step["text"] for goal in here.goals().values() for step in goal.get("steps", ()))
        if sorted(_step(one) for one in plan.get("activity", ())) != mine:
            yield "steps"
    yield from _differences(here, there, here.plan["id"], ("title", *here.steps()))


def _differences(here: Here, there: There, owner: str, units: Sequence[str]) -> Iterator[str]:
    for unit in units:
        mine, theirs = here.value(owner, unit), there.value(owner, unit)
        if mine != theirs and not here.open_items(owner, unit):
            yield f"{owner}.{unit}: {mine} here, {theirs} there"
