"""One operation of a preview with its marks, as the file of a kept preview names it.

A mark is a hash keyed with the store's secret: equal for equal values, and nobody can try out what a short value was.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

from fhirgoals.domain.identity import Installation
from fhirgoals.domain.units import Json, Unit
from fhirgoals.fhir.exact_json import Resource, Tree, canonical
from fhirgoals.mappers.refs import Refs
from fhirgoals.sync.call import Call, describe
from fhirgoals.sync.merge import Verdict
from fhirgoals.sync.reading import Found
from fhirgoals.sync.view import View, refs_of


@dataclass(frozen=True)
class Item:
    """One operation of a preview: a call (create, update, retract, delete), a pull, or an adoption.

    `resource_id` and `etag` are what was seen there, absent of what is new. `values` are the marks of each field's
    value, `body` that of the resource as it is sent, or as it stood there where it is adopted.
    """

    plan: str
    operation: str
    units: tuple[str, ...] = ()
    resource: str | None = None
    id: str | None = None
    resource_id: str | None = None
    etag: str | None = None
    body: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Marks:
    """Makes marks with one store's secret."""

    installation: Installation

    def of(self, tree: Tree) -> str:
        """Return the mark of a value: the same for equal values in this store, and of no use elsewhere."""
        return hmac.new(self.installation.namespace.bytes, canonical(tree), hashlib.sha256).hexdigest()

    def of_body(self, body: Resource, view: View) -> str:
        """Return the mark of a resource: whatever ids the server gives, and whatever it counts versions by.

        Without its narrative, which follows from the rest and from what a server keeps of other resources.
        """
        names = {f"Goal/{link.resource_id}": link.local_id for (kind, _), link in view.links.items() if kind == "Goal"}
        meta = body.get("meta")
        kept: Tree = (
            {name: part for name, part in meta.items() if name not in _VOLATILE} if isinstance(meta, dict) else None
        )
        whole = {name: part for name, part in body.items() if name not in ("id", "meta", "text")} | {"meta": kept}
        return self.of(_by_our_ids(whole, refs_of(view), names))

    def call(self, view: View, call: Call) -> Item:
        """Return the item of a call."""
        [said] = describe([call])
        return Item(
            plan=view.plan.id,
            operation=str(said["operation"]),
            units=tuple(sorted({unit.name for unit in call.units})),
            resource=call.kind,
            id=call.local_id,
            resource_id=call.resource_id,
            etag=call.etag,
            body=self.of_body(call.body, view),
            values={name_of(unit): self.of(sent.ours) for unit, sent in call.units.items()},
        )

    def pull(self, view: View, verdicts: Collection[Verdict]) -> Item:
        """Return the item of edits that are taken over."""
        values = {name_of(one.seen.unit): self.of(one.seen.theirs) for one in verdicts}
        return Item(plan=view.plan.id, operation="pull", units=tuple(sorted(values)), values=values)

    def adoption(self, view: View, local_id: str, found: Found) -> Item:
        """Return the item of a goal that was born there."""
        body = self.of_body(found.tree, view)
        return Item(
            plan=view.plan.id,
            operation="adopt",
            resource="Goal",
            id=local_id,
            resource_id=found.resource_id,
            body=body,
        )


_VOLATILE = ("versionId", "lastUpdated", "source")


def _by_our_ids(tree: Tree, refs: Refs, names: Mapping[str, str]) -> Tree:
    """Return a tree in which references to goals of the plan bear our ids, so that new ones have the same mark."""
    match tree:
        case dict():
            made = {name: _by_our_ids(part, refs, names) for name, part in tree.items()}
            reference = made.get("reference")
            if isinstance(reference, str):
                relative = refs.relative(reference)
                made["reference"] = f"Goal/@{names[relative]}" if relative in names else reference
            return made
        case list():
            return [_by_our_ids(part, refs, names) for part in tree]
        case _:
            return tree


def json_of(item: Item) -> dict[str, Json]:
    """Return an item as the file has it."""
    return {name: part for name, part in asdict(item).items() if part not in (None, {}, ())} | {
        "units": list(item.units)
    }


def item_of(tree: Tree) -> Item:
    """Return an item from the file; raises `TypeError` or `KeyError` where it is none."""
    if not isinstance(tree, dict):
        raise TypeError
    units, values = tree["units"], tree.get("values", {})
    if not isinstance(units, list) or not isinstance(values, dict):
        raise TypeError
    texts = {name: part for name, part in tree.items() if name not in ("units", "values")}
    if not all(isinstance(part, str) for part in texts.values()):
        raise TypeError
    marks = {name: str(mark) for name, mark in values.items()}
    return Item(units=tuple(map(str, units)), values=marks, **texts)  # type: ignore[arg-type]


def name_of(unit: Unit) -> str:
    """Return a unit's name with its owner, as pulls list it."""
    return f"{unit.owner}/{unit.name}"
