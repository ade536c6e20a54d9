"""One test per row of the table of fields: what is planted there is on the wire where the row says so, else nowhere.

Nothing of `domain.disclosure` or `domain.fields` is used: the table is read here, and all that left is searched.
"""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
import sqlalchemy as sa

from fhirgoals.domain import records
from fhirgoals.domain.records import Plan
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.store import schema
from fhirgoals.store.engine import open_store
from fhirgoals.store.threads import AsyncStore
from tests.leaks.forms import found_in, stands_in
from tests.leaks.planted import LISTS, NO_PLANT, Planted, Seed
from tests.leaks.planted_plans import EXPIRED, GATED, MAIN, PEOPLE_OF, REFUSED, plant, staff_of
from tests.leaks.wires import Ehr, at_path, ehr, logged

TABLE = Path(__file__).parents[2] / "fhirgoals" / "domain" / "fields.csv"


@dataclass(frozen=True)
class Row:
    """What these tests need of a row."""

    name: str
    sent: str
    paths: tuple[str, ...]
    issue: str

    @property
    def leaves(self) -> bool:
        """Whether the field is written into a Goal or CarePlan by now."""
        return self.sent in ("with_goal", "with_plan", "if_shared") and self.issue == "CORE"


def rows() -> list[Row]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                f"{line['record']}.{line['field'].removesuffix('[]')}",
                line["sent"],
                tuple(path.strip() for path in line["r4_path"].split(";") if path.strip() != "-"),
                line["issue"],
            )
            for line in csv.DictReader(file)
        ]


ROWS = rows()
LEAVING = [row for row in ROWS if row.leaves]
STAYING = [row for row in ROWS if not row.leaves]


@dataclass(frozen=True)
class Sent:
    """A whole run of all plans with all EHRs, and everything that it left behind."""

    planted: Planted
    main: Ehr
    others: dict[str, Ehr]
    references: dict[str, str]
    to_identify: bytes
    to_sync: bytes
    goals: list[Resource]
    care_plans: list[Resource]
    stored: bytes
    log: bytes
    at_rest: Plan

    def wire_id(self, kind: str, local_id: str, plan: str | None = None) -> str:
        """Return our id of a thing on the wire."""
        installation = self.main.world.store.store.installation
        return installation.wire_id(kind, self.planted.text("Plan.id") if plan is None else plan, local_id)

    def bodies(self, path: str) -> list[Resource]:
        return self.goals if path.startswith("Goal.") else self.care_plans


@pytest.fixture(scope="module")
def sent() -> Iterator[Sent]:
    """Everything planted, linked, synchronised, edited on both sides and synchronised again, once for all rows."""
    store = AsyncStore(open_store("sqlite://"))
    config: dict[str, Any] = {"create": "client_id", "operation_id_kept": True}
    with (
        ehr(store, MAIN, **config) as main,
        ehr(store, REFUSED) as refused,
        ehr(store, EXPIRED) as expired,
    ):
        yield asyncio.run(run(main, {REFUSED: refused, EXPIRED: expired}))
    store.close()


async def run(main: Ehr, others: dict[str, Ehr]) -> Sent:
    planted = plant()
    with logged() as log:
        store = main.world.store
        for one in (main, *others.values()):
            await one.world.add_connection()
        for plan in planted.plans:
            await main.world.put(plan, by=planted.text("Stamp.created_by"))
        await store.write(lambda tx: _put_related(tx, planted))
        identifiers = {one.id: one.identifiers for one in await store.read(lambda tx: tx.people.list())}
        references: dict[str, str] = {}
        for plan in planted.plans[:2]:
            references |= await main.link(plan, identifiers, {planted.text("Participant.ref", "unlinked")})
        await main.match()
        to_identify = main.wire.bytes()
        main.wire.clear()
        for one in others.values():
            await one.match()
        for one in (main, *others.values()):
            await one.world.sync()
        # An edit on either side: bodies are built anew over what stands there.
        edited = planted.plans[0]
        goals = tuple(msgspec.structs.replace(goal, review=None, start_date=goal.start_date) for goal in edited.goals)
        await main.world.put(
            msgspec.structs.replace(edited, goals=goals, title=edited.title and edited.title + "!"),
            by=planted.text("Stamp.updated_by"),
        )
        root = next(tree for tree in main.sandbox.storage.resources("Goal") if "A long-term" in str(tree))
        main.world.change("Goal", str(root["id"]), lambda tree: tree.update(description={"text": "Their own words"}))
        counts = await main.world.sync()
    assert counts.unanswered == []
    assert counts.pulled == 1
    stored = [tree for kind in ("Goal", "CarePlan") for tree in main.sandbox.storage.resources(kind)]
    return Sent(
        planted,
        main,
        others,
        references,
        to_identify,
        main.wire.bytes(),
        main.wire.bodies("Goal"),
        main.wire.bodies("CarePlan"),
        msgspec.json.encode(stored, enc_hook=str),
        log.bytes(),
        await main.world.plan(planted.text("Plan.id")),
    )


def _put_related(tx: Any, planted: Planted) -> None:
    """No plan file says more of a related person than a name; the store can hold it."""
    table = schema.people
    document = json.dumps(planted.related)
    tx._connection.execute(sa.update(table).where(table.c.person_id == planted.related["id"]).values(document=document))


def found(content: bytes, seed: Seed) -> bool:
    """Tell whether a planted value is somewhere, in any form."""
    if seed.kind == "number":
        return stands_in(content, seed.text)
    if seed.kind == "code":
        return stands_in(content, seed.text) or stands_in(content, seed.text.replace("_", "-"))
    return bool(found_in(content, {seed.text, seed.core}))


def values(sent: Sent, row: Row) -> bytes:
    """Return all that was sent at the row's paths."""
    return msgspec.json.encode([at_path(body, path) for path in row.paths for body in sent.bodies(path)], enc_hook=str)


# --- Rows that stay -------------------------------------------------------------------------------------------------

NO_SEED = {
    *("Wire.gas_target", "Wire.observation_constants", "Wire.outcome_reference"),
    *("Wire.careteam", "Wire.provenance_target", "Wire.link_identifier"),
}
"""Rows of what later issues write, and of our own identifier for people: nothing of a plan is in them."""


@pytest.mark.parametrize("row", STAYING, ids=lambda row: row.name)
def test_a_field_that_stays_is_nowhere(sent: Sent, row: Row) -> None:
    """What stands in the field is in no address, header, body or log line, and not in what the EHR stored."""
    seeds = sent.planted.of(row.name)
    assert seeds or row.name in NO_PLANT or row.name in NO_SEED
    told = b"\n".join((sent.to_sync, sent.stored, *(other.wire.bytes() for other in sent.others.values())))
    for seed in seeds:
        assert not found(told, seed), "on the wire"
        if seed.kind in ("text", "number", "date"):
            assert not found(sent.log, seed), "in the log"
        if row.sent != "identity_only":
            assert not found(sent.to_identify, seed), "in a search for people"
    for path in row.paths:
        kind, _, rest = path.partition(".")
        if kind in ("Goal", "CarePlan") and row.name not in SHARED_PATHS:
            assert not [value for body in sent.bodies(path) for value in at_path(body, path)], rest
    if row.name in PEOPLE_OF:
        reference = sent.references[staff_of(row.name)]
        assert f'"{reference}"'.encode() not in told


SHARED_PATHS: dict[str, str] = {
    "Wire.gas_target": "other targets stand there",
}
"""Rows that stay and whose path other rows use."""


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.sent == "identity_only" and row.name.endswith("identifiers")],
    ids=lambda row: row.name,
)
def test_an_identifier_is_used_to_search_for_people_alone(sent: Sent, row: Row) -> None:
    """It stands in the address of a search of its type, and nowhere else."""
    [seed] = sent.planted.of(row.name)
    kind = row.paths[0].partition(".")[0]
    lines = [line for line in sent.to_identify.split(b"\n") if found(line, seed)]
    assert lines
    assert all(line.startswith(f"GET http://ehr.test/fhir/{kind}?identifier=".encode()) for line in lines)


def test_our_own_identifier_for_people_is_used_to_search_alone(sent: Sent) -> None:
    """Wire.link_identifier: a search for the client names it, no body of a Goal or CarePlan does."""
    ours = sent.wire_id("Patient", sent.planted.text("Client.id"), plan="")
    assert b"Patient?identifier=urn%3Auuid" in sent.to_identify
    assert found_in(sent.to_identify, [ours])
    assert not found_in(sent.to_sync + sent.stored, [ours])


GATES = {
    "Plan.kind": "opens or closes the whole plan",
    "Client.minor_self_consented": "closes portals",
    "Participant.role": "says who is author and who contributes, and signs for those who are not linked",
    "Goal.share": "closes a goal",
    "Goal.share_words": "opens the client's words",
    "Goal.origin": "closes a goal to other EHRs",
    "ProgressEntry.visibility": "opens a note",
    "ProgressEntry.origin": "closes a note to other EHRs",
    "Achievement.share": "opens a victory",
    "Problem.sensitivities": "a goal inherits them as gate and label",
    "Measure.sensitivities": "a goal inherits them as gate and label",
    "Plan.disclosure": "holds consents and what is withheld",
    "Disclosure.default": "has one value only",
    "Disclosure.consents": "open the plan",
    "Disclosure.withheld": "closes goals",
    "Consent.endpoint": "opens the plan to one endpoint",
    "Consent.granted": "opens the plan from that day",
    "Consent.expires": "closes the plan from that day",
    "Consent.refused": "closes the plan",
    "Consent.scope": "a consent for something else opens nothing",
    "Consent.sensitivities": "what the consent covers",
    "Withheld.target": "closes a goal",
    "Withheld.endpoint": "closes a goal to one endpoint",
    "Origin.system": "closes what was born elsewhere",
}
"""Rows that are not written anywhere and still decide what is; `unit/test_disclosure` shows what each decides."""

IDENTITY = {"Plan.id", "Client.id", "Client.birth_date", "Client.identifiers", "Client.name", "Staff.id", "Related.id"}
IDENTITY |= {"Participant.id", "Problem.id", "Problem.identifiers", "Goal.id", "Measure.id", "Plan.therapist"}
"""Rows by which things are known: another value is another thing."""


def changeable(row: Row) -> bool:
    record, _, name = row.name.partition(".")
    kind = vars(records).get(record)
    known = kind is not None and any(one.encode_name == name for one in msgspec.structs.fields(kind))
    return known and row.name not in GATES and row.name not in IDENTITY and record not in ("Staff", "Related", "Stamp")


def changed(plan: Plan, some: Iterable[Row]) -> Plan:
    """Return the plan with another value in the fields of some rows, one after the other."""
    for row in some:
        record, _, name = row.name.partition(".")
        after = with_other(plan, record, name)
        assert after != plan, row
        plan = after
    return plan


async def writes_nothing(sent: Sent, plan: Plan) -> None:
    """Show that a run after an edit of the plan sends no body and raises nothing."""
    await sent.main.world.put(plan)
    sent.main.wire.clear()
    counts = await sent.main.world.sync()
    assert (counts.writes, counts.new_items) == (0, 0)
    assert all(request.body is None for request in sent.main.wire.sent)


@pytest.mark.parametrize(
    "row", [row for row in STAYING if changeable(row) and row.name in NO_PLANT], ids=lambda row: row.name
)
async def test_another_value_of_a_switch_that_stays_makes_no_write(sent: Sent, row: Row) -> None:
    """A field that can't hold anything unmistakable: another value there changes no byte of what is written."""
    await writes_nothing(sent, changed(sent.at_rest, [row]))


@pytest.mark.parametrize("lists", [False, True], ids=["values", "lists"])
async def test_other_values_of_all_fields_that_stay_make_no_write(sent: Sent, lists: bool) -> None:
    """All other fields at once: first the values, then the lists and records that hold them, inner ones first."""
    some = [row for row in STAYING if changeable(row) and row.name not in NO_PLANT and (row.name in LISTS) == lists]
    assert len(some) > 8
    await writes_nothing(sent, changed(sent.at_rest, reversed(some)))


def with_other(value: Any, record: str, name: str) -> Any:
    """Return a value with another one in the field of every such record inside."""
    if isinstance(value, tuple):
        return tuple(with_other(each, record, name) for each in value)
    if not isinstance(value, records.Record):
        return value
    kind = type(value)
    changed = {
        one.name: other(getattr(value, one.name), one.type)
        if kind.__name__ == record and one.encode_name == name
        else with_other(getattr(value, one.name), record, name)
        for one in records.fields_of(kind)
    }
    return msgspec.structs.replace(value, **changed)


def other(value: Any, type_: Any) -> Any:
    """Return another value of a field: another word, the next number or day, an emptied list."""
    words = [each for part in (type_, *get_args(type_)) if get_origin(part) is Literal for each in get_args(part)]
    match value:
        case None:
            return words[0] if words else None
        case bool():
            return not value
        case str():
            return next(word for word in words if word != value) if words else f"{value} otherwise"
        case int() | Decimal():
            return value + 1
        case date():
            return value + timedelta(days=1)
        case records.Coding():
            return msgspec.structs.replace(value, code="Z99")
        case tuple() if value and isinstance(value[0], Decimal):
            return tuple(each + 1 for each in value)
        case tuple() | dict():
            return type(value)()
        case _:
            return None


# --- Rows that leave ------------------------------------------------------------------------------------------------


def expected(sent: Sent, row: str) -> list[str]:
    """Return what stands at a row's path for a field whose value is not written as it is."""
    planted, there = sent.planted, sent.references
    main = f"Goal/{sent.wire_id('Goal', planted.text('Goal.id'))}"
    target = f"{planted.text('Goal.id')}|{planted.text('Target.id')}"
    identifier = sent.main.world.store.store.installation.identifier_system
    table: dict[str, list[str]] = {
        "Plan.client": [there[planted.text("Client.id")]],
        "Plan.status": ["active", "completed"],
        "Plan.goals": [main],
        "Plan.problems": [there[f"{planted.text('Plan.id')}/{planted.text('Problem.id')}"]],
        "Plan.end_date": [planted.text("Plan.end_date", "ended")],
        "Plan.participants": [there[planted.text("Staff.id")]],
        "Participant.ref": [there[planted.text("Staff.id")], there[planted.text("Client.id")]],
        "Goal.plan": [main],
        "Goal.parent": ["milestone", main],
        "Goal.predecessors": ["predecessor", f"Goal/{sent.wire_id('Goal', planted.text('Goal.predecessors'))}"],
        "Goal.replaced_by": ["replacement", f"Goal/{sent.wire_id('Goal', planted.text('Goal.replaced_by'))}"],
        "Goal.addresses": [there[f"{planted.text('Plan.id')}/{planted.text('Problem.id')}"]],
        "Goal.horizon": ["short-term"],
        "Goal.nature": ["exploratory"],
        "Goal.lifecycle": ["completed"],
        "Goal.closure_reason": ["partially-met"],
        "Goal.sensitivities": ["ADOL"],
        "Goal.ordinal": [main],
        "Goal.expressed_by": [there[staff_of("Goal.expressed_by")]],
        "Target.id": [sent.wire_id("target", target)],
        "Target.measure": [planted.text("Measure.code")],
        "Target.op": ["<="],
        "Step.id": [sent.wire_id("step", planted.text("Step.id"))],
        "Step.goal": [main],
        "Step.n": [planted.text("Step.text"), planted.text("Step.text", "main-third")],
        "Step.owner": ["support-person"],
        "Step.participant": [there[staff_of("Step.participant")]],
        "Step.status": ["completed", "not-started"],
        "Intervention.id": [sent.wire_id("intervention", planted.text("Intervention.id"))],
        "Intervention.modality": ["dbt"],
        "Intervention.by": [there[staff_of("Intervention.by")]],
        "Intervention.goals": [main],
        "Intervention.code": ["228557008"],
        "ProgressEntry.id": [sent.wire_id("note", planted.text("ProgressEntry.id"))],
        "ProgressEntry.author": [there[staff_of("ProgressEntry.author")], "Family member"],
        "Achievement.id": [sent.wire_id("note", planted.text("Achievement.id"))],
        "Achievement.noted_by": [there[staff_of("Achievement.noted_by")]],
        "Goal.acceptance": ["disagree"],
        "Acceptance.by": [there[staff_of("Acceptance.by")]],
        "Acceptance.status": ["disagree"],
        "Acceptance.priority": ["low-priority"],
        "Wire.goal_id": [main.removeprefix("Goal/")],
        "Wire.goal_identifier": [identifier, main.removeprefix("Goal/")],
        "Wire.goal_subject": [there[planted.text("Client.id")]],
        "Wire.goal_profile": ["us-core-goal"],
        "Wire.note_kind": ["progress", "victory", "client-words"],
        "Wire.careplan_id": [sent.wire_id("CarePlan", planted.text("Plan.id"))],
        "Wire.careplan_identifier": [identifier, sent.wire_id("CarePlan", planted.text("Plan.id"))],
        "Wire.careplan_intent": ["plan"],
        "Wire.careplan_category": ["assess-plan"],
        "Wire.careplan_profile": ["us-core-careplan"],
        "Wire.careplan_labels": ["ADOL", "R"],
        "Wire.careplan_text": ["A long-term goal"],
        "Wire.activity_kind": ["Task", "ServiceRequest"],
        "Wire.activity_role": ["step", "intervention"],
        "Wire.intervention_status": ["in-progress"],
        "Wire.operation_id": ["https://fhirgoals.org/fhir/operation/"],
    }
    return table.get(row, [])


@pytest.mark.parametrize("row", LEAVING, ids=lambda row: row.name)
def test_a_field_that_leaves_is_at_its_path(sent: Sent, row: Row) -> None:
    """What was planted stands in what was sent, at the table's path; else the test of what stays could not see it."""
    texts = expected(sent, row.name)
    seeds = [] if texts else sent.planted.of(row.name)
    assert texts or seeds
    told = values(sent, row) if row.paths else sent.to_sync
    for text in texts:
        assert found_in(told, [text]), text
    for seed in seeds:
        assert found(told, seed), seed
    if texts:  # what stands for the value stands there, the readable id does not
        ids = [seed for seed in sent.planted.of(row.name) if seed.kind == "id"]
        assert not [seed for seed in ids if found(sent.to_sync, seed)]


# --- Gates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [*GATED, "development", "unborn", "wrong"])
def test_nothing_of_what_a_gate_keeps_is_anywhere(sent: Sent, place: str) -> None:
    """No field of a goal or plan behind a gate is in any byte that left, whatever its row says."""
    seeds = [seed for seed in sent.planted.under(place) if seed.kind != "code"]
    assert len(seeds) > 50
    told = b"\n".join((sent.to_identify, sent.to_sync, sent.stored, sent.log))
    assert [seed for seed in seeds if found(told, seed)] == []


@pytest.mark.parametrize("part", ["private", "team", "elsewhere", "unshared", "error"])
def test_nothing_of_what_is_not_shared_is_anywhere(sent: Sent, part: str) -> None:
    """In a goal that goes: private and team notes, one of another EHR, unshared victories, steps entered in error."""
    seeds = [seed for goal in ("main", "quiet") for seed in sent.planted.under(f"{goal}-{part}")]
    assert len(seeds) >= 4
    assert [seed for seed in seeds if found(sent.to_sync + sent.stored + sent.log, seed)] == []


def test_words_of_a_client_who_does_not_share_them_stay(sent: Sent) -> None:
    """The goal goes, its client's words do not."""
    [words], [text] = sent.planted.of("Goal.client_words", "quiet"), sent.planted.of("Goal.text", "quiet")
    assert found(sent.to_sync, text)
    assert not found(sent.to_sync, words)


def test_a_person_who_is_not_linked_is_not_named(sent: Sent) -> None:
    """No id, name or display; the line of agreement drops out, the note is signed by role."""
    told = sent.to_sync + sent.stored
    for seed in sent.planted.under("unlinked"):
        assert not found(told, seed)
    assert not found_in(told, ["p-unlinked"])
    [goal] = [
        body
        for body in sent.goals
        if found_in(msgspec.json.encode(body, enc_hook=str), [sent.planted.text("Goal.text")])
    ][:1]
    assert at_path(goal, "Goal.hl7:goal-acceptance.status") == ["disagree"]
    assert "Family member" in at_path(goal, "Goal.note.authorString")


@pytest.mark.parametrize("endpoint", [REFUSED, EXPIRED])
def test_an_endpoint_without_consent_hears_nothing(sent: Sent, endpoint: str) -> None:
    """Not one request is made, not even for people."""
    assert sent.others[endpoint].wire.sent == []


def test_the_end_of_a_plan_goes_once_it_has_ended(sent: Sent) -> None:
    """An active plan tells the planned end, a completed one the end; never the other."""
    for kept in (("Plan.end_date", "main"), ("Plan.planned_end_date", "ended")):
        [seed] = sent.planted.of(*kept)
        assert not found(sent.to_sync, seed)


def test_every_row_is_planted_or_says_why_not() -> None:
    """A row without a planted value has a reason, and no reason is out of date."""
    planted = plant()
    bare = {row.name for row in ROWS if not row.name.startswith("Wire.") and not planted.of(row.name)}
    assert bare == set(NO_PLANT)
    assert set(LISTS) <= {row.name for row in ROWS}
    assert {row.name for row in ROWS} >= set(planted.seeds)


def test_no_two_fields_hold_the_same() -> None:
    """Each planted value stands in one field only, but for texts that one person's line repeats."""
    seen: dict[str, str] = {}
    for row, seeds in plant().seeds.items():
        for seed in seeds:
            assert seen.setdefault(seed.text, row) == row or seed.text.startswith("2026-11-06T"), seed
    assert isinstance(plant().plans[0], Plan)
