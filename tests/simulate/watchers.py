"""What is seen of each write to an EHR, as it leaves us and as it arrives: leaks, echoes, and trees that it breaks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhirgoals.fhir import exact_json
from fhirgoals.fhir.wire import Reply, Request
from fhirgoals.sandbox.memory import MemoryRepository
from tests.simulate import sides
from tests.simulate.log import Log, in_a_ring
from tests.simulate.network import Network

FOREIGN_WORD = re.compile(rb"([AB])x\d{3}")


@dataclass
class Watcher:
    """Watches the writes to one EHR and tells the log what should not be."""

    name: str
    storage: MemoryRepository
    network: Network
    log: Log
    links: Callable[[], dict[str, str]]
    """The resource that our store takes for each goal there."""
    began: datetime
    """When the present run of the connection began."""
    _edges: dict[str, dict[str, str]] = field(default_factory=dict)
    _before: dict[str, bytes | None] = field(default_factory=dict)
    _last_sent: dict[str, bytes] = field(default_factory=dict)
    _awaited: dict[str, Any] = field(default_factory=dict)
    """What creates without a reply said, by our identifier: a server may carry them out later."""

    def leaves(self, request: Request) -> None:
        """See a call leave, with words that may not go."""
        body = request.body or b""
        own = self.name[-1].upper().encode()
        for letter in set(FOREIGN_WORD.findall(body)) - {own}:
            self.log.leaks.append(f"leak: words of ehr-{letter.decode().lower()} leave for {self.name}")
        kept_back = set(self.log.words) if self.name in self.log.refused else self.log.withheld
        if not kept_back or not body:
            return
        tree: Any = exact_json.loads(body)
        narrative = str(tree.get("text", {}).get("div", ""))
        standing = self._standing(request) or b""
        for goal in sorted(kept_back):
            for word in sorted(self.log.words.get(goal, ())):
                new = word.encode() in body and word.encode() not in standing
                if word in narrative or (new and not self._stood_there(request, word)):
                    self.log.leaks.append(f"leak: {word} of {goal} leaves for {self.name} in {request.method}")

    def _stood_there(self, request: Request, word: str) -> bool:
        """Tell whether a goal's own resource had a word when it was read for this call: an edit came in between."""
        kind, _, id_ = request.url.partition("/fhir/")[2].partition("?")[0].partition("/")
        older = (one.body for one in self.storage.versions() if (one.type, one.id) == (kind, id_))
        return any(body is not None and word.encode() in _content(body) for body in older)

    def _standing(self, request: Request) -> bytes | None:
        kind, _, id_ = request.url.partition("/fhir/")[2].partition("?")[0].partition("/")
        version = self.storage.read(kind, id_) if id_ else None
        return None if version is None or version.body is None else _content(version.body)

    def arrives(self, request: Request, reply: Reply | None) -> None:
        """See a call arrive (without a reply), and then what was answered; all of a Bundle's before any reply."""
        of_goal = "/Goal/" in request.url
        if reply is None:
            self._before[request.url] = self._standing(request)
            if of_goal:
                self._edges = self._tree(void=True)
            return
        if of_goal and reply.status == 200 and not self.network.arriving_late:
            self._judge_tree(request)
        if request.method == "POST" and request.body and reply.status >= 400:
            # Of a transaction that failed a server may have kept this one all the same.
            self._created(exact_json.loads(request.body), Reply(reply.status))
        if reply.status not in (200, 201) or not request.body:
            return
        sent: Any = exact_json.loads(request.body)
        if request.method == "POST" or "if-none-match" in {header.lower() for header in request.headers}:
            if reply.status == 201:
                self._created(sent, reply)
            return
        after, before = self._standing(request), self._before[request.url]
        unknown = request.body in self.network.doubted or request.url in self.network.came_late
        if after == before and not unknown:
            body = _content(sent)
            if body == before or body == self._last_sent.get(request.url):
                where = request.url.partition("/fhir/")[2]
                self.log.echoes.append(f"echo: {request.method} {where} at {self.name} changes nothing")
        self._last_sent[request.url] = _content(sent)

    def _tree(self, *, void: bool = False) -> dict[str, dict[str, str]]:
        """Return the parents of each child at an EHR, each with the resource that says so; `void` ones too if told.

        An edge that its people drew comes alive again with its goal: no write of ours draws it. One that leads to a
        deleted resource leads nowhere; those of a double that is not linked are told with it: nobody may edit it.
        """
        found: dict[str, dict[str, str]] = {}
        local = sides.looked_at(self.name, self.log, self.links())
        standing = sides.bodies(self.storage, "Goal")
        for id_, body in standing.items():
            if id_ in local and (void or body.get("lifecycleStatus") != "entered-in-error"):
                for kind, target in sides.relations(body):
                    if kind == "milestone" and target in local and target in standing:
                        found.setdefault(local[target], {})[local[id_]] = id_
        return found

    def _judge_tree(self, request: Request) -> None:
        """Note a write that breaks the tree, where nobody but us wrote there since its run began."""
        if request.body in self.network.doubted:
            return  # decided earlier, and sent again as it was
        before, after = self._edges, self._tree()
        ring = in_a_ring({child: set(above) for child, above in after.items()})
        second = {child for child, above in after.items() if len(above) > 1}
        ring -= in_a_ring({child: set(above) for child, above in before.items()})
        second -= {child for child, above in before.items() if len(above) > 1}
        own = request.url.rpartition("/")[2]
        for child in sorted(ring | second):
            others = {id_ for id_ in after[child].values() if id_ != own}
            others |= {id_ for one in ring for id_ in after[one].values() if id_ != own} if child in ring else set()
            if others and all(self._unmoved_since(id_) for id_ in others):
                what = "a ring" if child in ring else "a second parent"
                line = f"silent: our write to {own} at {self.name} gives {child} {what}, and could see it"
                self.log.broken.append(line)

    def _unmoved_since(self, id_: str) -> bool:
        version = self.storage.read("Goal", id_)
        return version is not None and version.last_updated < self.began

    def _created(self, sent: Any, reply: Reply) -> None:
        made: Any = exact_json.loads(reply.body) if reply.body else {}
        location = reply.headers.get("location", "").partition("/fhir/")[2].split("/")
        id_ = made.get("id") or (location[1] if len(location) > 1 else None)
        values = [one["value"] for one in sent.get("identifier", ())]
        if id_ is None and values:  # the reply was lost
            self._awaited[values[0]] = sent
            self.place()
        local = self.log.wire_ids.get(values[0]) if values else None
        if id_ and local:
            self.log.resources[self.name, str(id_)] = local

    def place(self) -> None:
        """Tell the log which resources stand by now that were created without a reply."""
        for value, sent in self._awaited.items():
            local = self.log.wire_ids.get(value)
            for id_, body in sides.bodies(self.storage, sent["resourceType"]).items() if local else ():
                if body.get("identifier") == sent["identifier"]:
                    self.log.resources.setdefault((self.name, id_), str(local))


def _content(body: dict[str, Any]) -> bytes:
    return exact_json.canonical({key: value for key, value in body.items() if key != "meta"})
