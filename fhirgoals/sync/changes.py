"""Reads one plan's resources from an EHR: by search for the patient, and directly where a search does not show one.

Absence from a search is never a deletion (design 2.6): what is linked and was not found is read by its id. A result
that no link knows and that belongs to another patient means that the server ignores our question: the run stops and
nothing is stored. What is linked and is no longer the patient's is quarantined alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from fhirgoals.domain.units import Unit, same_value
from fhirgoals.errors import RemoteError
from fhirgoals.fhir.answers import Answer, Forbidden, Gone, NotFound, Stored, Throttled, Unauthorised
from fhirgoals.fhir.client import EhrClient
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.mappers import stamp
from fhirgoals.store.links import Link
from fhirgoals.store.tx import Tx
from fhirgoals.sync.connection import TablePolicy
from fhirgoals.sync.decide import Kind, Place, Waiting, decide
from fhirgoals.sync.merge import Action
from fhirgoals.sync.reading import Found, There
from fhirgoals.sync.subject import Whose, wrong_subject
from fhirgoals.sync.tree import half_moved
from fhirgoals.sync.view import Key, View, content_hash, ours_of, refs_of, there_of

KINDS: tuple[Kind, ...] = ("Goal", "CarePlan")


@dataclass(frozen=True)
class Reading:
    """What one plan's patient has at the EHR.

    `found` are the linked resources, `missing` the linked ones that could not be read and why. `strays` carry our
    identifier without a link (a create whose reply was lost, or another installation's work); `born` are the others,
    which somebody else wrote there, and `care_plans` their CarePlans; `others` are those that other plans of ours are
    linked to. `reported` are those that a person was told of as what may be ours twice, by kind and id; `late` those
    that a create of ours made for which another one went out. `given_up` are digests of what such creates said.

    `astray` are linked ones that are not the patient's (they are `missing` too: nothing of them is read), each with
    the reason. `unsure` tells that something of the other plans is in doubt there: what was born may be theirs.
    """

    found: Mapping[Key, Found] = field(default_factory=dict)
    missing: Mapping[Key, Place] = field(default_factory=dict)
    strays: tuple[Resource, ...] = ()
    born: tuple[Resource, ...] = ()
    care_plans: tuple[Resource, ...] = ()
    others: tuple[Resource, ...] = ()
    quarantined: int = 0
    astray: Mapping[Key, Whose] = field(default_factory=dict)
    unsure: bool = False
    reported: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    given_up: frozenset[str] = frozenset()

    @property
    def read(self) -> int:
        """How many resources were read."""
        return len(self.found) + len(self.strays) + len(self.born)


async def read_plan(client: EhrClient, view: View, patient: str, on: date | None = None) -> Reading:
    """Return what the EHR has of one plan; raises `RemoteError` where it did not answer as it should.

    `on` is the day of a run that goes by this reading: where it is to move a child there, the tree is read itself.
    """
    by_resource = {(kind, link.resource_id): (kind, local_id) for (kind, local_id), link in view.links.items()}
    refs = refs_of(view)
    found: dict[Key, Found] = {}
    strays: list[Resource] = []
    born: list[Resource] = []
    care_plans: list[Resource] = []
    quarantined = 0
    for kind in KINDS:
        result = await client.search(kind, [("patient", patient)])
        for tree in result.entries:
            resource_id = tree.get("id")
            if not isinstance(resource_id, str):
                quarantined += 1
                continue
            key, wrong = by_resource.get((kind, resource_id)), wrong_subject(tree, patient, refs)
            if key is None and wrong == "other_patient":
                raise _another_patients(view.connection)
            if key is not None and wrong is not None:
                pass  # an index may be behind: it is read itself
            elif key is not None:
                found[key] = replace(found_of(resource_id, tree), version=version_of(tree))
            elif any(one.system == view.installation.identifier_system for one in stamp.identifiers(tree)):
                strays.append(tree)
            elif kind == "Goal":
                born.append(tree)
            else:
                care_plans.append(tree)
    known = {key: replace(one, etag=view.links[key].etag) for key, one in found.items() if _as_known(view, key, one)}
    found, missing, astray = await _read_themselves(client, view, patient, known)
    there = there_of(view, found, missing)
    if half_moved(there.theirs.assembled.values, view.bases) or (on is not None and _to_move(view, there, on)):
        # The other half of a move may stand there already, and the search not show it yet (rule R9); nor what would
        # make a ring or a second parent of a move of ours (rule R5).
        believed = {key: one for key, one in found.items() if key[0] != "Goal" or key not in known}
        found, gone, wrong_too = await _read_themselves(client, view, patient, believed)
        missing, astray = missing | gone, astray | wrong_too
    return Reading(
        found, missing, tuple(strays), tuple(born), tuple(care_plans), quarantined=quarantined, astray=astray
    )


def _to_move(view: View, there: There, on: date) -> bool:
    """Tell whether a child that stands there is to get another parent by us."""
    ours = ours_of(view, on)
    moved = set()
    for unit, value in ours.visible.items():
        if unit.family == "parent_map" and ("Goal", unit.member) in view.links:
            pair = view.bases.get(unit)
            if pair is None or ours.revs.get(unit, 0) > pair.rev or not same_value(value, pair.ours):
                moved.add(unit)
    if not moved:
        return False
    decision = decide(ours, there.theirs, view.bases, TablePolicy(view.config.policy))
    return not moved.isdisjoint(decision.units(Action.PUSH))


def _as_known(view: View, key: Key, shown: Found) -> bool:
    """Tell whether a search shows a resource as it was last seen: that is taken, with the ETag as the server itself
    writes it (strong, weak or bare). What it shows changed may be older than that (an index, a cache)."""
    link = view.links[key]
    same_version = shown.version is not None and shown.version == link.version
    return same_version and content_hash(shown.tree) == link.raw_hash


async def _read_themselves(
    client: EhrClient, view: View, patient: str, believed: Mapping[Key, Found]
) -> tuple[dict[Key, Found], dict[Key, Place], dict[Key, Whose]]:
    """Read each linked resource that is not believed as it was shown; return all that is there, and what is not.

    What is not the patient's is quarantined, alone (design 4): it is returned as unreadable, and by its reason.
    """
    found: dict[Key, Found] = {}
    missing: dict[Key, Place] = {}
    astray: dict[Key, Whose] = {}
    refs = refs_of(view)
    for key, link in view.links.items():
        if key in believed:
            found[key] = believed[key]
            continue
        if link.resource_id is None:
            continue
        answer = await client.read(key[0], link.resource_id)
        match answer:
            case Stored(tree=dict() as tree):
                if (wrong := wrong_subject(tree, patient, refs)) is not None:
                    missing[key], astray[key] = Place.UNREADABLE, wrong
                    continue
                found[key] = Found(link.resource_id, tree, answer.etag, answer.version)
            case Gone() | NotFound():
                missing[key] = Place.GONE
            case Forbidden():
                missing[key] = Place.UNREADABLE
            case _:
                raise not_answered(view.connection, key[0], answer)
    return found, missing, astray


def without_other_plans(tx: Tx, view: View, reading: Reading) -> Reading:
    """Return the reading without what stands for another plan of ours: that plan's own run looks after it.

    It is kept apart, as `others`. An unfiled plan is told where calls of the client's other plans are in doubt.
    """

    def known(tree: Resource) -> bool:
        kind: Kind = "CarePlan" if tree.get("resourceType") == "CarePlan" else "Goal"
        return tx.links.by_resource(view.connection, kind, str(tree.get("id"))) is not None

    kinds = ("strays", "born", "care_plans")
    seen = {kind: [(known(tree), tree) for tree in getattr(reading, kind)] for kind in kinds}
    alone = {kind: tuple(tree for linked, tree in group if not linked) for kind, group in seen.items()}
    dropped = any(may_be_ours(one.tree) for one in reading.found.values())
    in_doubt = view.siblings and tx.intents.all_open(view.connection)
    return replace(
        reading,
        strays=alone["strays"],
        born=alone["born"],
        care_plans=alone["care_plans"],
        reported=reported_as_twice(tx, view.connection, (view.plan.id,)) if dropped else frozenset(),
        others=tuple(tree for group in seen.values() for linked, tree in group if linked),
        unsure=any(one.method == "create" and one.plan_id in view.siblings for one in in_doubt or ()),
    )


async def with_listings(client: EhrClient, view: View, reading: Reading, care_plans: Sequence[Link]) -> Reading:
    """Return an unfiled plan's reading with those CarePlans of the client's other plans that a search did not show."""
    shown = {str(tree.get("id")) for tree in reading.others if tree.get("resourceType") == "CarePlan"}
    for link in care_plans:
        if link.resource_id is None or link.resource_id in shown:
            continue
        answer = await client.read("CarePlan", link.resource_id)
        match answer:
            case Stored(tree=dict() as tree):
                reading = replace(reading, others=(*reading.others, tree))
            case Gone() | NotFound():
                pass
            case Forbidden():
                reading = replace(reading, unsure=True)
            case _:
                raise not_answered(view.connection, "CarePlan", answer)
    return reading


def found_of(resource_id: str, tree: Resource) -> Found:
    """Return a resource from a search or a history. How its server writes its ETag, only a direct read shows."""
    return Found(resource_id, tree)


def version_of(tree: Resource) -> str | None:
    """Return the version that a resource names itself."""
    meta = tree.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else None


MAY_BE_OURS_TWICE = "may_be_ours_twice"
"""Why a person is told of a resource that may be a call of ours that came late, at a server that drops identifiers."""


def strays(view: View, reading: Reading) -> list[Waiting]:
    """Return one item per resource that carries our identifier and that no link knows: held, never adopted."""
    linked = {link.resource_id for link in view.links.values()}
    return [
        Waiting("identity", view.plan.id, f"{tree.get('resourceType')}/{tree.get('id')}", "unknown_identifier")
        for tree in reading.strays
        if tree.get("id") not in linked
    ]


def twins(view: View, reading: Reading) -> tuple[str, ...]:
    """Return what no link knows and says what one of ours says, where identifiers are dropped, by kind and id.

    One of them may be a call of ours that came late. What ours said when both sides last agreed counts too: somebody
    may have reworded it there since. One that was reported stays so while it stands there and no link knows it.
    """
    linked = {f"{kind}/{one.resource_id}" for (kind, _), one in reading.found.items()}
    ours = {key: one.tree for key, one in reading.found.items() if may_be_ours(one.tree)}
    words = words_without_identifier(ours.values())
    for kind, local_id in ours:
        pair = view.bases.get(Unit(local_id, "text" if kind == "Goal" else "title"))
        if pair is not None and isinstance(pair.theirs, str):
            words.add((kind, pair.theirs))
    told = reading.reported if view.unfiled else reading.reported | reading.late
    unknown = {name_of(tree): tree for tree in (*reading.born, *reading.care_plans) if may_be_ours(tree)}
    return tuple(
        name for name, tree in unknown.items() if name not in linked and (name in told or words_of(tree) in words)
    )


def may_be_ours(tree: Resource) -> bool:
    """Tell whether a resource has no identifier that says whose it is."""
    return not stamp.identifiers(tree)


def name_of(tree: Resource) -> str:
    """Return a resource's kind and id, as references and items name it."""
    return f"{tree.get('resourceType')}/{tree.get('id')}"


def reported_as_twice(tx: Tx, connection: str, plans: Sequence[str]) -> frozenset[str]:
    """Return what a person was told of as what may be ours twice, by kind and id."""
    items = [one for plan_id in plans for one in tx.inbox.list(open_only=True, connection=connection, plan_id=plan_id)]
    return frozenset(item.unit for item in items if item.why == MAY_BE_OURS_TWICE and item.unit is not None)


def words_without_identifier(ours: Iterable[Resource]) -> set[tuple[str, str]]:
    """Return the words of what is ours and lost its identifier: the same again may be a call that came late."""
    return {words for tree in ours if may_be_ours(tree) and (words := words_of(tree)) is not None}


def words_of(tree: Resource) -> tuple[str, str] | None:
    """Return the kind and the words by which a Goal or a CarePlan of a server that drops identifiers is known again."""
    kind, description = str(tree.get("resourceType")), tree.get("description")
    words = description.get("text") if isinstance(description, dict) else None
    words = tree.get("title") if kind == "CarePlan" else words
    return (kind, words) if isinstance(words, str) else None


def not_answered(connection: str, kind: str, answer: Answer) -> RemoteError:
    """Return the error for an answer that ends a plan's run: it names the connection and the kind of answer only."""
    what = type(answer).__name__.lower()
    act = "run `fhirgoals sync` again later"
    if isinstance(answer, Unauthorised):
        act = "check the connection's token"
    elif isinstance(answer, Throttled):
        act = "the EHR asks to wait; run `fhirgoals sync` again later"
    return RemoteError(f"{connection}: reading {kind} was not answered ({what}): {act}")


def _another_patients(connection: str) -> RemoteError:
    return RemoteError(
        f"{connection}: the server answered with another patient's resource; nothing was stored: "
        "it may ignore the search by patient, pause the connection and check it"
    )
