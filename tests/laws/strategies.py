"""Hypothesis strategies: any JSON, trees near FHIR, samples with subtrees damaged, and records for both tables."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, get_args

from hypothesis import strategies as st

from fhirgoals.domain import codes
from fhirgoals.fhir import exact_json
from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers import records as wire
from fhirgoals.mappers.careplan import CAREPLAN
from fhirgoals.mappers.goal import GOAL
from fhirgoals.mappers.lens import Mapper, copy
from tests.laws.samples import full, samples

TABLES: dict[str, Mapper[Any]] = {"Goal": GOAL, "CarePlan": CAREPLAN}

# --- JSON ----------------------------------------------------------------------------------------------------------

NUMBERS: st.SearchStrategy[Tree] = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from(
        [Decimal(s) for s in ("7.10", "7.1", "19.00", "-0.0", "0.10", "1E+2", "1e-7", "1" * 25 + ".5", "5", "1E+400")]
    ),
    st.decimals(allow_nan=False, allow_infinity=False),
).map(lambda number: exact_json.loads(exact_json.dumps(number)))  # what a JSON text can hold: 5, never Decimal(5)
SCALARS: st.SearchStrategy[Tree] = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=8), st.sampled_from(["2026-05-01", "2026-05", "due", "agree"])
)

_URLS = [
    *t.EXTENSION_VALUE,
    t.TARGET_SUSTAIN_EXT,
    t.GOAL_RELATIONSHIP,
    t.GOAL_ACCEPTANCE,
    "type",
    "target",
    "individual",
    "status",
    "priority",
    "count",
    "span-days",
    "apart-days",
    "http://example.org/x",
]
_KEY_WORDS = """
id url extension modifierExtension coding system code display text reference identifier value unit comparator low high
start end measure description dueDate dueDuration detailQuantity detailRange detailInteger detailString valueCode
valueString valueDate valueInteger valueCodeableConcept valueReference authorReference authorString time detail kind
status goal performer doNotPerform scheduledString scheduledPeriod scheduledTiming security x _x
"""
_KEYS = _KEY_WORDS.split()

JSON: st.SearchStrategy[Tree] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4)),
    max_leaves=8,
)


def rarely_odd(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return the strategy with something else, of any shape, now and then."""
    return st.integers(0, 11).flatmap(lambda n: JSON if n == 0 else strategy)


def shape(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return objects with any of these keys, each there as often as not."""
    return rarely_odd(st.fixed_dictionaries({}, optional=keys))


def several(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return rarely_odd(st.lists(strategy, max_size=most))


# --- Trees near FHIR -----------------------------------------------------------------------------------------------

_TABLES = [
    t.ACHIEVEMENT,
    t.PRIORITY,
    t.GOAL_DOMAIN,
    t.GOAL_TIER,
    t.GOAL_NATURE,
    t.RELATION,
    t.RELATION_PACK,
    t.STEP_KIND,
    t.MODALITY,
]
_PAIRS = [(system, code) for table in _TABLES for system in table.systems for code in [*table.wire.values(), "odd"]]
_PAIRS += [(t.CONFIDENTIALITY, "R"), (t.CONFIDENTIALITY, "zz"), (t.ACT_CODE, "MH"), (t.ACT_CODE, "42CFRPart2")]
_PAIRS += [(t.SNOMED, "228557008"), (t.SNOMED, "1"), (t.LOINC, "44261-6"), ("http://example.org", "x")]
WORDS = st.one_of(st.sampled_from(["a", "b", "Part Of", "Long-term goal", ""]), st.text(max_size=6))


def _coding(pairs: list[tuple[str, str]]) -> st.SearchStrategy[Any]:
    def build(pair: tuple[str, str]) -> st.SearchStrategy[Any]:
        return st.one_of(
            st.just({"system": pair[0], "code": pair[1]}),
            st.just({"system": pair[0], "code": pair[1], "display": "d", "id": "i"}),
            shape(system=st.just(pair[0]), code=st.just(pair[1]), display=WORDS),
        )

    return st.sampled_from(pairs).flatmap(build)


def _concept(*tables: t.CodeTable) -> st.SearchStrategy[Any]:
    pairs = [(s, c) for table in tables for s in table.systems for c in [*table.wire.values(), "odd"]] or _PAIRS
    return shape(coding=several(_coding([*pairs, ("http://example.org", "x")]), 2), text=WORDS)


DATES = st.one_of(
    st.sampled_from(["2026-05-01", "2026-05-02"]),
    st.dates().map(date.isoformat),
    st.sampled_from(["2026", "2026-05", "2026-05-01T10:00:00Z", "2026-02-30", "20260501"]),
)
_REFERENCE = shape(reference=st.sampled_from(["Goal/1", "Goal/2", "Patient/1", "#c"]), display=WORDS, identifier=JSON)
_CODE_WORDS = st.sampled_from(
    [
        *(
            code
            for table in (t.LIFECYCLE, t.STEP_STATUS, t.PLAN_STATUS, t.ACCEPTANCE_STATUS)
            for code in table.wire.values()
        ),
        *(
            code
            for table in (t.NOTE_KIND, t.CLOSURE_REASON, t.STEP_OWNER, t.ACTIVITY_ROLE)
            for code in table.wire.values()
        ),
        "odd",
    ]
)
_VALUES = {
    "valueCode": _CODE_WORDS,
    "valueString": WORDS,
    "valueDate": DATES,
    "valueInteger": st.integers(-1, 5),
    "valueCodeableConcept": _concept(),
    "valueReference": _REFERENCE,
}


def _extension(depth: int) -> st.SearchStrategy[Any]:
    inner = several(_extension(depth - 1), 4) if depth else st.just([])
    return shape(url=st.sampled_from(_URLS), extension=inner, **_VALUES)


def _simple(url: str) -> st.SearchStrategy[Any]:
    key = t.EXTENSION_VALUE[url]
    return _VALUES[key].map(lambda value: {"url": url, key: value})


def _complex(url: str, **parts: tuple[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    made = [
        value.map(lambda v, name=name, key=key: {"url": name.replace("_", "-"), key: v})
        for name, (key, value) in parts.items()
    ]
    return rarely_odd(st.lists(st.one_of(made), max_size=4)).map(lambda listed: {"extension": listed, "url": url})


_RELATION = _complex(
    t.GOAL_RELATIONSHIP,
    type=("valueCodeableConcept", _concept(t.RELATION, t.RELATION_PACK)),
    target=("valueReference", _REFERENCE),
)
_ACCEPTANCE = _complex(
    t.GOAL_ACCEPTANCE,
    individual=("valueReference", _REFERENCE),
    status=("valueCode", st.sampled_from(["agree", "pending", "odd"])),
    priority=("valueCodeableConcept", _concept(t.PRIORITY)),
)
_SUSTAIN = _complex(
    t.TARGET_SUSTAIN_EXT,
    count=("valueInteger", st.integers(1, 3)),
    span_days=("valueInteger", st.integers(1, 3)),
    apart_days=("valueInteger", st.integers(1, 3)),
)
_EXTENSIONS = several(st.one_of(_RELATION, _ACCEPTANCE, _SUSTAIN, *map(_simple, t.EXTENSION_VALUE), _extension(1)), 4)

_QUANTITY = shape(
    value=NUMBERS,
    comparator=st.sampled_from(["<", "<=", ">=", ">", "ad", None]),
    unit=st.sampled_from(["kg", "score", "steps", ""]),
    system=st.sampled_from([t.UCUM, t.SNOMED, None]),
    code=st.sampled_from(["kg", "{score}", "x"]),
)
IDS = st.sampled_from(["1", "2", "due", "x"])
_TARGET = shape(
    id=IDS,
    extension=_EXTENSIONS,
    measure=shape(coding=several(_coding([(t.LOINC, "44261-6"), (t.LOINC, "x"), ("y", "z")]), 2), text=WORDS),
    detailQuantity=_QUANTITY,
    detailRange=shape(low=_QUANTITY, high=_QUANTITY),
    detailInteger=st.integers(-3, 3),
    detailString=WORDS,
    dueDate=DATES,
    dueDuration=JSON,
)
_NOTE = shape(
    id=IDS, extension=_EXTENSIONS, authorReference=_REFERENCE, authorString=WORDS, time=DATES, text=WORDS, x=JSON
)
_META = shape(security=several(_coding(_PAIRS)), source=WORDS, x=JSON)
GOAL_TREES = shape(
    resourceType=st.just("Goal"),
    meta=_META,
    extension=_EXTENSIONS,
    lifecycleStatus=_CODE_WORDS,
    achievementStatus=_concept(t.ACHIEVEMENT),
    category=several(_concept(t.GOAL_TIER, t.GOAL_NATURE, t.GOAL_DOMAIN), 4),
    priority=_concept(t.PRIORITY),
    description=_concept(),
    startDate=DATES,
    startCodeableConcept=_concept(),
    target=several(_TARGET, 4),
    statusDate=DATES,
    statusReason=WORDS,
    expressedBy=_REFERENCE,
    addresses=several(_REFERENCE, 4),
    note=several(_NOTE, 4),
    x=JSON,
).filter(lambda tree: isinstance(tree, dict))

_DETAIL = shape(
    kind=st.sampled_from(["Task", "ServiceRequest", "Appointment"]),
    extension=_EXTENSIONS,
    code=st.one_of(_concept(t.STEP_KIND, t.MODALITY), _concept()),
    goal=several(_REFERENCE),
    status=_CODE_WORDS,
    scheduledString=WORDS,
    scheduledPeriod=shape(start=DATES, end=DATES),
    scheduledTiming=JSON,
    performer=several(_REFERENCE),
    description=WORDS,
    doNotPerform=st.sampled_from([True, False, None, "true"]),
    x=JSON,
)
_ACTIVITY = st.one_of(
    shape(id=IDS, extension=_EXTENSIONS, detail=_DETAIL, reference=_REFERENCE, x=JSON),
    st.fixed_dictionaries({"detail": _DETAIL}, optional={"id": IDS, "extension": _EXTENSIONS}),
)
CAREPLAN_TREES = shape(
    resourceType=st.just("CarePlan"),
    meta=_META,
    status=_CODE_WORDS,
    title=WORDS,
    period=shape(start=DATES, end=DATES, x=JSON),
    author=_REFERENCE,
    contributor=several(_REFERENCE),
    addresses=several(_REFERENCE),
    goal=several(_REFERENCE, 4),
    activity=several(_ACTIVITY, 4),
    x=JSON,
).filter(lambda tree: isinstance(tree, dict))

# --- Damaged samples -----------------------------------------------------------------------------------------------


def _places(tree: Tree) -> list[tuple[Any, Any]]:
    """Return every (container, key or index) of a tree."""
    found: list[tuple[Any, Any]] = []
    todo: list[Tree] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, dict | list):
            for key, child in node.items() if isinstance(node, dict) else enumerate(node):
                found.append((node, key))
                todo.append(child)
    return found


DAMAGE = ["drop", "retype", "number", "digits", "insert", "extend", "wrap", "unwrap", "double", "swap"]


def _damage(draw: st.DrawFn, damage: str, node: Any, key: Any) -> None:
    match damage:
        case "drop":
            del node[key]
        case "retype":
            node[key] = draw(JSON)
        case "number":
            node[key] = draw(NUMBERS)
        case "digits" if isinstance(node[key], int | Decimal) and not isinstance(node[key], bool):
            # The same number, written with other digits.
            node[key] = node[key] * Decimal("1.0")
        case "wrap":
            node[key] = [node[key]]
        case "unwrap" if isinstance(node[key], list) and node[key]:
            node[key] = node[key][0]
        case "double" if isinstance(node, list):
            node.insert(draw(st.integers(0, len(node))), copy({"x": node[key]})["x"])
        case "swap" if isinstance(node, list):
            other = draw(st.integers(0, len(node) - 1))
            node[key], node[other] = node[other], node[key]
        case "extend" if isinstance(node[key], dict):
            node[key].setdefault("extension", [draw(_extension(1))])
        case "insert" if isinstance(node, dict):
            node[draw(st.sampled_from(_KEYS))] = draw(JSON)
        case _:
            node[key] = None


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> Resource:
    """Draw a sample with up to five subtrees dropped, inserted, doubled, swapped or of another type."""
    return draw(damaged_from(draw(st.sampled_from(samples(kind))), 5))


@st.composite
def damaged_from(draw: st.DrawFn, sample: Resource, most: int) -> Resource:
    """Draw this tree with up to so many places damaged."""
    tree = copy(sample)
    for _ in range(draw(st.integers(0, most))):
        places = _places(tree)
        if not places:
            break
        damage = draw(st.sampled_from(DAMAGE))
        if damage == "digits":
            places = [(node, key) for node, key in places if isinstance(node[key], int | Decimal)] or places
        node, key = places[draw(st.integers(0, len(places) - 1))]
        _damage(draw, damage, node, key)
    return tree


@st.composite
def neighbours(draw: st.DrawFn, kind: str) -> tuple[Any, Resource]:
    """Draw a record and a tree that come from one sample, each damaged a little: what an edit looks like."""
    sample = draw(st.sampled_from([full(kind), *samples(kind)]))
    return TABLES[kind].from_fhir(draw(damaged_from(sample, 2))), draw(damaged_from(sample, 2))


def trees(kind: str) -> st.SearchStrategy[Resource]:
    """Return trees of a type: damaged samples, trees near FHIR, and any JSON object."""
    near = GOAL_TREES if kind == "Goal" else CAREPLAN_TREES
    return st.one_of(damaged(kind), near, near, st.dictionaries(st.sampled_from(_KEYS), JSON, max_size=4)).map(copy)


# --- Records -------------------------------------------------------------------------------------------------------


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def one_of_codes(codes_of: Any, but: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    return maybe(st.sampled_from([code for code in get_args(codes_of) if code not in but]))


def tuple_of(strategy: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=most).map(tuple)


_DECIMALS = NUMBERS.map(Decimal)  # type: ignore[arg-type]
_DAYS = maybe(st.sampled_from([date(2026, 5, 1), date(2026, 5, 2)]) | st.dates())
_REFS = st.sampled_from(["Goal/1", "Goal/2", "Goal/3", "Patient/1", "urn:uuid:1"]) | st.text(max_size=5)
_OWN_IDS = maybe(st.sampled_from(["1", "2", "3", "x", "y"]))
_LABELS = st.sampled_from([(t.CONFIDENTIALITY, "R"), (t.CONFIDENTIALITY, "N"), (t.ACT_CODE, "MH"), (t.ACT_CODE, "SUD")])
_LABEL_LISTS = tuple_of(_LABELS.map(lambda pair: wire.WireCode(system=pair[0], code=pair[1])))

_MEASURES = st.one_of(
    st.none(),
    st.builds(wire.WireMeasure, text=WORDS),
    st.builds(wire.WireMeasure, text=maybe(WORDS), coding=st.builds(wire.WireCode, system=WORDS, code=WORDS)),
)
_SUSTAINS = maybe(
    st.builds(
        wire.WireSustain,
        count=st.integers(1, 9),
        span_days=maybe(st.integers(1, 99)),
        apart_days=maybe(st.integers(1, 99)),
    )
)
_UNITS = maybe(st.sampled_from(["kg", "{score}", "d/wk", "steps", "per fortnight"]) | st.text(max_size=4))
_DETAILS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"op": st.sampled_from(["<", "<=", "=", ">=", ">"]), "value": _DECIMALS, "unit": _UNITS}),
    st.fixed_dictionaries({"op": st.just("between"), "range": st.tuples(_DECIMALS, _DECIMALS), "unit": _UNITS}),
)
TARGETS = st.tuples(_DETAILS, _OWN_IDS, _MEASURES, _DAYS, _SUSTAINS).map(
    lambda parts: wire.WireTarget(id=parts[1], measure=parts[2], by=parts[3], sustain=parts[4], **parts[0])
)
NOTES = st.tuples(
    _OWN_IDS,
    st.one_of(st.just((None, None)), _REFS.map(lambda ref: (ref, None)), WORDS.map(lambda words: (None, words))),
    maybe(st.sampled_from(["progress", "victory", "client-words"])),
    _DAYS,
    maybe(WORDS),
).map(lambda p: wire.WireNote(id=p[0], author_reference=p[1][0], author_text=p[1][1], kind=p[2], time=p[3], text=p[4]))
RELATIONS = st.builds(
    wire.WireRelation,
    type=st.sampled_from(["milestone", "part-of", "predecessor", "successor", "replacement", "other"]),
    target=_REFS,
)
ACCEPTANCES = st.builds(
    wire.WireAcceptance,
    individual=_REFS,
    status=one_of_codes(codes.AcceptanceStatus),
    priority=one_of_codes(codes.Priority),
)
GOAL_RECORDS = st.builds(
    wire.WireGoal,
    text=maybe(WORDS),
    lifecycle=one_of_codes(codes.Lifecycle, ("draft",)),
    achievement=one_of_codes(codes.Achievement),
    closure_reason=one_of_codes(codes.ClosureReason),
    status_date=_DAYS,
    status_reason=maybe(WORDS),
    start_date=_DAYS,
    target_date=_DAYS,
    priority=one_of_codes(codes.Priority),
    horizon=one_of_codes(codes.Horizon),
    nature=one_of_codes(codes.Nature),
    domain=one_of_codes(codes.Domain),
    completion_criterion=maybe(WORDS),
    addresses=tuple_of(_REFS),
    expressed_by=maybe(_REFS),
    targets=tuple_of(TARGETS),
    notes=tuple_of(NOTES),
    relations=tuple_of(RELATIONS),
    acceptance=tuple_of(ACCEPTANCES),
    labels=_LABEL_LISTS,
)

_CODED = st.one_of(
    st.fixed_dictionaries({"role": st.just("step"), "code": one_of_codes(codes.StepKind)}),
    st.fixed_dictionaries(
        {
            "role": st.just("intervention"),
            "code": one_of_codes(codes.Modality),
            "coding": maybe(st.just(wire.WireCode(system=t.SNOMED, code="228557008"))),
        }
    ),
)
ACTIVITIES = st.tuples(
    _CODED,
    st.fixed_dictionaries(
        {
            "id": _OWN_IDS,
            "step_id": _OWN_IDS,
            "text": maybe(WORDS),
            "goals": tuple_of(_REFS, 2),
            "status": one_of_codes(codes.StepStatus),
            "done_on": _DAYS,
            "owner": one_of_codes(codes.StepOwner),
            "performers": tuple_of(_REFS, 2),
            "frequency": maybe(WORDS),
            "scheduled": _DAYS,
        }
    ),
).map(lambda parts: wire.WireActivity(**parts[0], **parts[1]))
CAREPLAN_RECORDS = st.builds(
    wire.WireCarePlan,
    title=maybe(WORDS),
    status=one_of_codes(codes.PlanStatus),
    period_start=_DAYS,
    period_end=_DAYS,
    author=maybe(_REFS),
    contributors=tuple_of(_REFS),
    addresses=tuple_of(_REFS),
    goals=tuple_of(_REFS),
    activities=tuple_of(ACTIVITIES),
    labels=_LABEL_LISTS,
)


def records(kind: str) -> st.SearchStrategy[Any]:
    """Return records of a table: of known values, and read from trees, so with every kind of foreign value."""
    known = GOAL_RECORDS if kind == "Goal" else CAREPLAN_RECORDS
    return st.one_of(known, trees(kind).map(TABLES[kind].from_fhir))


def pairs(kind: str) -> st.SearchStrategy[tuple[Any, Resource]]:
    """Return any record with any tree, or two that are near each other."""
    return st.one_of(st.tuples(records(kind), trees(kind)), neighbours(kind))
