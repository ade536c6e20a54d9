"""EHRs that keep everything they were sent, and a store beside them: what the leak tests search.

Each EHR is the sandbox, in process; `Wire` is the recorder of the `Http` that speaks to it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from fhirgoals import log
from fhirgoals.domain.records import Identifier, Plan
from fhirgoals.fhir.exact_json import Resource, loads
from fhirgoals.fhir.http import AsgiApp, Failure, Http, Reply, Request
from fhirgoals.fhir.rest import Precondition
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.store.threads import AsyncStore
from fhirgoals.sync.identify import confirm, known_there, link_identifier, match, wanted
from tests.leaks.forms import words_of
from tests.sync.world import World

ANY = Precondition()


@dataclass
class Wire:
    """A recorder of `Http`: what left, and what came back."""

    sent: list[Request] = field(default_factory=list)
    came: list[Reply | Failure] = field(default_factory=list)

    def __call__(self, request: Request, outcome: Reply | Failure | None) -> None:
        if outcome is None:
            self.sent.append(request)
        else:
            self.came.append(outcome)

    def bytes(self) -> bytes:
        """Return all that left: addresses, header fields, bodies."""
        return b"\n".join(request.wire() for request in self.sent)

    def bodies(self, kind: str) -> list[Resource]:
        """Return the bodies of one type that left."""
        trees = (loads(request.body) for request in self.sent if request.body)
        return [tree for tree in trees if isinstance(tree, dict) and tree.get("resourceType") == kind]

    def clear(self) -> None:
        """Forget what left until now."""
        self.sent.clear()
        self.came.clear()


@dataclass
class Ehr:
    """One EHR, our side of it, and the wire between."""

    world: World
    sandbox: Sandbox
    wire: Wire

    async def link(
        self, plan: Plan, identifiers: Mapping[str, tuple[Identifier, ...]], unlinked: Iterable[str] = ()
    ) -> dict[str, str]:
        """Make the plan's people and problems known there, but for some; link them; return their references.

        The EHR chooses ids that say nothing of ours. It knows people by their own identifiers where they have one.
        """
        installation = self.world.store.store.installation
        references: dict[str, str] = {}
        for one in wanted(plan, installation, identifiers):
            if one.local_id in unlinked:
                continue
            known = one.identifiers[:-1] or (link_identifier(installation, one.kind, one.local_id),)
            body = known_there(one, known, references.get(one.patient_of or ""))
            there = f"there-{len(self.sandbox.storage.resources())}"
            self.sandbox.storage.update(one.kind, there, body, ANY)
            references[one.local_id] = f"{one.kind}/{there}"
        await self.match()
        return references

    async def match(self) -> None:
        """Look for everybody and confirm what was found."""
        world = self.world
        await match(world.store, world.client(), world.connection, by="it-1", clock=world.clock)
        at = world.clock()
        await world.store.write(lambda tx: confirm(tx, world.connection, None, by="it-1", at=at))


@contextmanager
def ehr(store: AsyncStore, connection: str, *, app: Any = None, **config: object) -> Iterator[Ehr]:
    """Open an EHR; `app` wraps the sandbox's application, to answer some requests in its place."""
    sandbox = Sandbox()
    wire = Wire()
    served: AsgiApp = sandbox.app if app is None else app(sandbox.app)
    http = Http(app=served, recorder=wire)
    yield Ehr(World(store, sandbox, http, connection=connection, config=config), sandbox, wire)


def at_path(resource: Any, path: str) -> list[Any]:
    """Return what stands at a path of the table of fields (`Goal.target.Ext:target-sustain.count`)."""
    nodes = [resource]
    for step in path.split(".")[1:]:
        nodes = [each for node in nodes for each in _step(node, step)]
    return [_value(node) for node in nodes]


_BASES = {
    "Ext": "https://fhirgoals.org/fhir/StructureDefinition/",
    "hl7": "http://hl7.org/fhir/StructureDefinition/",
    "pco": "http://hl7.org/fhir/us/pco/StructureDefinition/",
}


def _step(node: Any, step: str) -> list[Any]:
    if not isinstance(node, dict):
        return []
    base, _, slug = step.partition(":")
    extensions = node.get("extension", [])
    if slug:
        return [each for each in extensions if each["url"] == _BASES[base] + slug]
    if step in node:
        return node[step] if isinstance(node[step], list) else [node[step]]
    return [each for each in extensions if each["url"] == step]


def _value(node: Any) -> Any:
    """The value of a simple extension, else the node itself."""
    if isinstance(node, dict) and "url" in node:
        return next((value for key, value in node.items() if key.startswith("value")), node)
    return node


class Log(logging.Handler):
    """Everything that was logged, by our logger and by libraries, at the lowest level."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []
        self.stream = io.StringIO()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def bytes(self) -> bytes:
        return "\n".join([*self.lines, self.stream.getvalue()]).encode()


@contextmanager
def logged() -> Iterator[Log]:
    """Log all there is, without what our own `log` would take from the texts of libraries."""
    root = logging.getLogger()
    handlers, level, factory = list(root.handlers), root.level, logging.getLogRecordFactory()
    caught = Log()
    log.configure("debug", stream=caught.stream)
    logging.setLogRecordFactory(logging.LogRecord)
    root.addHandler(caught)
    root.setLevel(logging.DEBUG)
    try:
        yield caught
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.setLogRecordFactory(factory)
        logging.captureWarnings(False)
        structlog.reset_defaults()


__all__ = ["ANY", "Ehr", "Log", "Wire", "at_path", "ehr", "logged", "replace", "words_of"]
