"""The oracle's judgement of a goal that the client withdrew after it was sent: is it gone, with all that named it?

It reads the goal, its history and everything that stood around it by itself, and shows first that each reference which
must be gone once stood there. Nothing of `domain`, `mappers`, `store` or `sync` is used.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from fhirgoals.demo.oracle_edits import LEAKED, LOST, Scene, plain
from fhirgoals.demo.oracle_leaks import Corpus, Wanted
from fhirgoals.demo.oracle_sides import OURS, coded, extension, parsed, steps_of
from fhirgoals.demo.oracle_trail import Trail, relative
from fhirgoals.demo.plain_http import Server

Json: TypeAlias = Any

GONE = (404, 410)


@dataclass(frozen=True)
class Withdrawal:
    """What is left of one withdrawn goal at the EHR, said without its words.

    `references` say where a current resource still names it, or that it is still there itself; `words` where one shows
    its words (each of those is a leak by content besides). `never_seen` are those where the script says a reference
    was, and it never was. `versions` counts older versions with content of the goal itself, None where the EHR shows no
    history of it; `left`, by type, the older versions of all resources that still show its words, None likewise.
    """

    references: Sequence[str]
    words: Sequence[str]
    never_seen: Sequence[str]
    unchanged_here: bool
    versions: int | None
    left: Mapping[str, int | None]

    @property
    def places(self) -> list[str]:
        """Everything that is left in current resources."""
        return [*self.references, *self.words]

    @property
    def outcome(self) -> str:
        """What became of the edit, in the script's words."""
        if self.places:
            return LEAKED
        return "retracted" if self.unchanged_here else LOST


def judge(
    scene: Scene, trail: Trail, server: Server, edit: Json, expect: Json, file: Json, words: Collection[str]
) -> Withdrawal:
    """Judge one withdrawal; `expect` is what its act says, `file` the plan as it was loaded, `words` the goal's own."""
    here = scene.here
    resource_id = trail.ids.get(("Goal", here.system, here.wire_id("Goal", edit["plan"], edit["goal"])))
    if resource_id is None:
        return Withdrawal((), (), ("the goal itself",), unchanged_here=False, versions=None, left={})
    target = f"Goal/{resource_id}"
    wanted = Wanted(frozenset(words), frozenset())
    names = list(_named(scene, trail, target, expect["references_removed_from"], file, edit["goal"]))
    listed = {tree["id"] for tree, *_ in names}
    references = [
        *_itself(scene, server, edit, target),
        *(place for _, place, now, _ in names if now and not _by_words(place)),
        # Whatever else names it: the script lists only where we put it.
        *(
            f"a {tree['resourceType']} refers to it"
            for tree in scene.there.resources
            if tree.get("id") not in listed and target in set(_references(tree))
        ),
    ]
    shown = [
        *(place for _, place, now, _ in names if now and _by_words(place)),
        *(f"a {tree['resourceType']} shows its words" for tree in scene.there.resources if _shows(tree, wanted)),
    ]
    versions = _history(server, target)
    return Withdrawal(
        references=references,
        words=shown,
        never_seen=[place for _, place, _, before in names if not before],
        unchanged_here=_unchanged(here.goal(edit["goal"]), _goal(file, edit["goal"]), expect["unchanged_here"]),
        versions=None if versions is None else len(versions),
        left=_left(scene, server, edit["plan"], target, wanted),
    )


def _by_words(place: str) -> bool:
    """Tell whether a place of the script is known by the goal's words in it, not by a reference."""
    return ": activity of " in place or place.endswith(": narrative")


def _itself(scene: Scene, server: Server, edit: Json, target: str) -> Iterator[str]:
    status = server.ask("GET", target).status
    if status not in GONE:
        yield f"a read of it answers {status}"
    searched = any(f"Goal/{tree.get('id')}" == target for tree in scene.there.of("Goal"))
    if searched or scene.resource(edit):
        yield "a search finds it"


def _named(
    scene: Scene, trail: Trail, target: str, places: Json, file: Json, goal_id: str
) -> Iterator[tuple[Json, str, bool, bool]]:
    """Yield (resource, place, is it named there now, was it ever) for each place of the script."""
    for owner, named in places.items():
        plan_id = file["plan"]["id"]
        of_plan = owner == plan_id
        tree = scene.care_plan(plan_id) if of_plan else scene.resource({"plan": plan_id, "goal": owner})
        kind = "CarePlan" if of_plan else "Goal"
        earlier = trail.bodies.get(f"{kind}/{tree.get('id')}", ())
        for place in named if isinstance(named, list) else [named]:
            now = _names(place, tree, target, file, goal_id)
            before = any(_names(place, body, target, file, goal_id) for body in earlier)
            yield {"id": None, **tree}, f"{owner}: {place}", now, before


def _names(place: str, tree: Json, target: str, file: Json, goal_id: str) -> bool:
    """Tell whether a resource names the goal at a place, in the words of the script."""
    match place.split():
        case ["milestone" | "predecessor" as type_]:
            relations = [one for one in tree.get("extension", ()) if one["url"].endswith("/goal-relationship")]
            return any(
                coded(extension(one, "type").get("valueCodeableConcept")) == type_ and target in set(_references(one))
                for one in relations
            )
        case ["goal"]:
            return target in set(_references(tree.get("goal", ())))
        case ["activity", "of", step_id]:
            text = next(step["text"] for step in _goal(file, goal_id)["steps"] if step["id"] == step_id)
            return any(one["detail"].get("description") == text for one in steps_of(tree))
        case ["goal", "link", "of", intervention]:
            technique = next(one["technique"] for one in file["interventions"] if one["id"] == intervention)
            return any(
                target in set(_references(one.get("detail", {}).get("goal", ())))
                for one in tree.get("activity", ())
                if one.get("detail", {}).get("description") == technique
            )
        case ["narrative"]:
            shown = html.unescape(tree.get("text", {}).get("div", ""))
            return _goal(file, goal_id)["text"] in shown
        case _:
            raise ValueError(f"the oracle does not know the place {place}")


def _left(scene: Scene, server: Server, plan_id: str, target: str, wanted: Wanted) -> dict[str, int | None]:
    subject = scene.care_plan(plan_id).get("subject")
    around = [
        f"{tree['resourceType']}/{tree['id']}"
        for kind in OURS
        for tree in scene.there.made_by(kind, scene.here.system)
        if tree.get("subject") == subject
    ]
    left: dict[str, int | None] = {}
    for reference in dict.fromkeys((target, *around)):
        kind, versions = reference.partition("/")[0], _history(server, reference)
        before = left.get(kind, 0)
        shown = None if versions is None else sum(_shows(one, wanted) for one in versions)
        left[kind] = None if before is None or shown is None else before + shown
    return left


def _history(server: Server, reference: str) -> list[Json] | None:
    """Return the versions with content that the EHR shows of a resource; None where it shows no history."""
    found: list[Json] = []
    page: str | None = f"{reference}/_history"
    while page:
        answer = server.ask("GET", page)
        if answer.status != 200:
            return None
        bundle = parsed(answer.body)
        found += [entry["resource"] for entry in bundle.get("entry", ()) if "resource" in entry]
        page = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)
    return found


def _shows(tree: Json, wanted: Wanted) -> bool:
    corpus = Corpus()
    for text in _texts(tree):
        corpus.take(text.encode())
    return bool(corpus.found(wanted))


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _references(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        found = relative(value["reference"]) if isinstance(value.get("reference"), str) else None
        if found is not None:
            yield found
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _goal(file: Json, goal_id: str) -> Json:
    return next(goal for goal in file["goals"] if goal["id"] == goal_id)


def _unchanged(here: Json, loaded: Json, names: Sequence[str]) -> bool:
    """Tell whether the goal here still says everything that its file said under these names."""
    return all(_says(here.get(name), plain(loaded[name])) for name in (name.partition(" of ")[0] for name in names))


def _says(value: Json, wanted: Json) -> bool:
    wanted = plain(wanted)
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(_says(value.get(name), part) for name, part in wanted.items())
    if isinstance(wanted, list):
        return isinstance(value, list) and len(value) == len(wanted) and all(map(_says, value, wanted))
    return bool(value == wanted)
