"""What follows for a whole plan, decided from values alone: no store, no server, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations, product

import pytest

from fhirgoals.domain.units import Json, Pair, Unit, Values
from fhirgoals.mappers.assemble import Assembled
from fhirgoals.sync.decide import WRONG_CHART, Decision, Key, Kind, Ours, Place, Theirs, Waiting, carriers, decide
from fhirgoals.sync.merge import Action, Seen, Verdict
from fhirgoals.sync.tree import NOWHERE
from tests.sync.test_merge import Fixed

PLAN = "plan-1"
A, B, C, D = "g-a", "g-b", "g-c", "g-d"
TEXT, STATUS = Unit(A, "text"), Unit(A, "status")
ORDER = Unit(PLAN, "order")


def parent(child: str) -> Unit:
    return Unit(PLAN, f"parent_map:{child}")


def goal(name: str) -> Key:
    return ("Goal", name)


def present(*goals: str) -> dict[Key, Place]:
    return {("CarePlan", PLAN): Place.PRESENT, **{goal(one): Place.PRESENT for one in goals}}


def ours(visible: Values | None = None, **kwargs: object) -> Ours:
    return Ours(**{"plan_id": PLAN, "rev": 4, "visible": visible or {}, "goals": (A, B, C), **kwargs})  # type: ignore[arg-type]


def theirs(values: Values | None = None, places: Mapping[Key, Place] | None = None, **kwargs: object) -> Theirs:
    assembled = Assembled(values=values or {}, **kwargs)  # type: ignore[arg-type]
    return Theirs(assembled, present(A, B, C) if places is None else places)


def agreed(values: Values, rev: int = 3) -> dict[Unit, Pair]:
    return {unit: Pair(value, value, rev) for unit, value in values.items()}


def actions(decision: Decision) -> dict[Unit, str]:
    return {unit: verdict.action.value for unit, verdict in decision.verdicts.items()}


def why(decision: Decision, unit: Unit) -> tuple[str, str]:
    return decision.verdicts[unit].action.value, decision.verdicts[unit].why


# -- what is created --


def test_an_absent_goal_is_created_and_no_other() -> None:
    """Only what was never sent is new: what is gone, void or unreadable was there."""
    for place in Place:
        decision = decide(ours(), theirs(places={**present(A, C), goal(B): place}), {}, Fixed())
        assert decision.creates == ((B,) if place is Place.ABSENT else ())
    assert decide(ours(), theirs(places={}), {}, Fixed()).creates == (A, B, C)


@pytest.mark.parametrize("name", ["text", "status"])
def test_a_goal_without_its_words_or_status_is_not_created(name: str) -> None:
    """What a Goal can't stand without and may not go there keeps the goal away; anything else does not."""
    nothing = theirs(places={})
    assert decide(ours(elsewhere={Unit(B, name): "x"}), nothing, {}, Fixed()).creates == (A, C)
    assert decide(ours(elsewhere={Unit(B, "priority"): "x"}), nothing, {}, Fixed()).creates == (A, B, C)


def test_the_care_plan_is_created_once_and_only_with_goals() -> None:
    """No goal that may go: no CarePlan; and none where there is one already, in whatever state."""
    for place in Place:
        decision = decide(ours(), theirs(places={("CarePlan", PLAN): place}), {}, Fixed())
        assert decision.create_plan is (place is Place.ABSENT)
    assert decide(ours(), theirs(places={}), {}, Fixed()).create_plan
    assert not decide(ours(goals=()), theirs(places={}), {}, Fixed()).create_plan


# -- which units are judged --


def test_quiet_units_leave_no_verdict() -> None:
    """Where both sides are as agreed there is nothing to say."""
    values: Values = {TEXT: "a", ORDER: [A, B], parent(B): [A]}
    decision = decide(ours(values), theirs(values), agreed(values), Fixed())
    assert decision == Decision()


def test_every_unit_that_any_side_knows_is_judged() -> None:
    """Ours alone, theirs alone, agreed on and gone from both, from elsewhere, and held: each is looked at."""
    units = [Unit(A, name) for name in ("text", "priority", "category", "start_date", "target_date")]
    decision = decide(
        ours({units[0]: "a"}, elsewhere={units[3]: "e"}),
        theirs({units[1]: "b"}, held={units[4]: "wrong_type"}),
        agreed({units[2]: "c"}),
        Fixed(),
    )
    assert actions(decision) == {
        units[0]: "push",
        units[1]: "pull",
        units[2]: "settle",
        units[3]: "undeliverable",
        units[4]: "hold",
    }
    assert list(decision.verdicts) == sorted(units)


def test_what_was_read_and_known_reaches_the_verdict() -> None:
    """Each fact of the two sides stands in the `Seen` that is judged, under its own name."""
    note = Unit(A, "note:n-1")
    pair = Pair("a", "a", 3)
    decision = decide(
        ours({note: "b"}, revs={note: 7, TEXT: 5}), theirs({note: "c"}, held={note: "odd"}), {note: pair}, Fixed()
    )
    assert decision.verdicts[note].seen == Seen(note, pair, "b", "c", 7, held="odd")
    decision = decide(ours({note: "b"}), theirs({note: "c"}), {note: pair}, Fixed())
    assert decision.verdicts[note].seen.rev == 0
    hidden = decide(ours(hidden={TEXT: "x"}), theirs({TEXT: "c"}), {TEXT: Pair(None, None, 3)}, Fixed())
    assert hidden.verdicts[TEXT].seen.hidden
    assert why(hidden, TEXT) == ("propose", "over_a_hidden_value")
    elsewhere = decide(ours(elsewhere={TEXT: "x"}), theirs({TEXT: "c"}), {TEXT: Pair("a", "a", 3)}, Fixed())
    assert (elsewhere.verdicts[TEXT].seen.elsewhere, elsewhere.verdicts[TEXT].seen.kept) == (True, "x")
    assert not decision.verdicts[note].seen.hidden
    assert not decision.verdicts[note].seen.elsewhere


@pytest.mark.parametrize("side", ["ours", "theirs", "neither"])
def test_a_member_that_was_born_there_may_be_changed_there(side: str) -> None:
    """Either side may know of its birth; a member of ours is a proposal."""
    note = Unit(A, "note:n-1")
    born = frozenset({note})
    decision = decide(
        ours({note: "a"}, born_there=born if side == "ours" else frozenset()),
        theirs({note: "c"}, born_there=born if side == "theirs" else frozenset()),
        agreed({note: "a"}),
        Fixed(),
    )
    assert actions(decision) == {note: "propose" if side == "neither" else "pull"}
    assert decision.verdicts[note].seen.born_there is (side != "neither")


def test_a_goal_that_may_no_longer_go_keeps_its_units_as_they_are_there() -> None:
    """Neither its words nor an edit of them there is judged; units of the plan are."""
    values: Values = {TEXT: "a", ORDER: [A]}
    decision = decide(ours(goals=(B, C)), theirs({TEXT: "c", ORDER: [A]}), agreed(values), Fixed())
    assert actions(decision) == {ORDER: "push"}


def test_a_resource_that_is_to_be_created_carries_its_units() -> None:
    """Before the first push nothing is judged of the goal's and plan's own units; an edge is, it stands on another."""
    absent = theirs(places={})
    relation = Unit(PLAN, f"relations:{A}|predecessor|{B}")
    values: Values = {TEXT: "a", ORDER: [A], relation: True, parent(B): [A], Unit(PLAN, f"membership:{A}"): True}
    assert actions(decide(ours(values), absent, {}, Fixed())) == {relation: "push", parent(B): "push"}
    # Agreed on once and absent now: the link was lost, the unit was not.
    assert actions(decide(ours({TEXT: "b"}), absent, agreed({TEXT: "a"}), Fixed())) == {TEXT: "conflict"}
    # From another EHR: the ledger is told why the goal does not go.
    assert actions(decide(ours(elsewhere={TEXT: "b"}), absent, {}, Fixed())) == {TEXT: "undeliverable"}


@pytest.mark.parametrize(
    ("place", "held"),
    [
        (Place.GONE, "resource_gone"),
        (Place.VOID, "resource_void"),
        (Place.UNREADABLE, "resource_unreadable"),
        (Place.PRESENT, None),
    ],
)
def test_units_of_a_dead_resource_are_held(place: Place, held: str | None) -> None:
    """A goal's units stand on the Goal, those of the plan on the CarePlan, a relation on the goal it starts from."""
    relation = Unit(PLAN, f"relations:{A}|predecessor|{B}")
    values: Values = {TEXT: "a", relation: True, ORDER: [A]}
    mine = ours({TEXT: "b", ORDER: [B]}, revs={TEXT: 4, ORDER: 4, relation: 4})
    at_goal = decide(mine, theirs(values, {**present(B, C), goal(A): place}), agreed(values), Fixed())
    at_plan = decide(mine, theirs(values, {**present(A, B, C), ("CarePlan", PLAN): place}), agreed(values), Fixed())
    if held is None:
        assert set(actions(at_goal).values()) == {"push"}
        return
    assert {unit: one.why for unit, one in at_goal.verdicts.items() if one.action is Action.HOLD} == {
        TEXT: held,
        relation: held,
    }
    assert {unit: one.why for unit, one in at_plan.verdicts.items() if one.action is Action.HOLD} == {ORDER: held}
    with_reason = theirs(values, {**present(B, C), goal(A): place}, held={TEXT: "wrong_type"})
    assert why(decide(mine, with_reason, agreed(values), Fixed()), TEXT) == ("hold", "wrong_type")


# -- a child's place --


def tree_case(
    mine: Json, there: Json, pair: Pair | None, *, places: Mapping[Key, Place] | None = None, **kwargs: object
) -> Decision:
    """Decide on the place of B, on the sides' say."""
    unit = parent(B)
    held = {unit: str(kwargs.pop("held"))} if "held" in kwargs else {}
    doubtful: frozenset[Key] = kwargs.pop("doubtful", frozenset())  # type: ignore[assignment]
    void: frozenset[str] = kwargs.pop("void", frozenset())  # type: ignore[assignment]
    side = ours({unit: mine} if mine else {}, void=void, goals=(A, B, C, D), revs=kwargs.pop("revs", {}))
    bases = {} if pair is None else {unit: pair}
    under_void: Mapping[str, list[str]] = kwargs.pop("under_void", {})  # type: ignore[assignment]
    standing = theirs({unit: there} if there else {}, places or present(A, B, C, D), held=held)
    assert not kwargs
    standing = replace(standing, under_void=under_void)
    return decide(side, standing, bases, Fixed(), doubtful)


@pytest.mark.parametrize("dead", [Place.GONE, Place.VOID, Place.UNREADABLE, "void here"])
def test_edges_of_a_dead_parent_count_on_neither_side(dead: Place | str) -> None:
    """What a dead parent says is unknown, not removed: alone it is quiet, and a living one beside it is a move."""
    places = {**present(B, C, D), goal(A): dead if isinstance(dead, Place) else Place.PRESENT}
    void = frozenset({A}) if dead == "void here" else frozenset()
    pair = Pair([A], [A], 3)
    assert parent(B) not in tree_case([A], [A], pair, places=places, void=void).verdicts
    assert parent(B) not in tree_case([A], None, pair, places=places, void=void).verdicts
    moved = tree_case([A], [A, C], pair, places=places, void=void)
    assert why(moved, parent(B)) == ("propose", "server_holds_less")
    seen = moved.verdicts[parent(B)].seen
    assert (seen.theirs, seen.pair) == ([C], Pair([A], None, 3))


@pytest.mark.parametrize("how", ["void here", "void there"])
def test_what_the_ehr_moved_to_a_void_goal_is_not_at_the_top(how: str) -> None:
    """Nobody put it at the top: it waits, with the goal that lists it; agreed before that became void, it is quiet."""
    void, there, listed = (frozenset({C}), [C], {}) if how == "void here" else (frozenset[str](), None, {B: [C]})

    def under(mine: Json, pair: Pair | None, *beside: str, rev: int = 3) -> Decision:
        shown = [*(there or ()), *beside] or None
        places = present(A, B, D) | {goal(C): Place.VOID if listed else Place.PRESENT}
        return tree_case(mine, shown, pair, places=places, void=void, under_void=listed, revs={parent(B): rev})

    for decision in (under([A], Pair([A], [A], 3)), under([D], Pair([A], [A], 3), rev=4), under([A], None)):
        assert why(decision, parent(B)) == ("hold", "parent_is_not_there")
        assert decision.verdicts[parent(B)].seen.theirs == [C]
        assert ("held", [C]) in [(one.kind, one.theirs) for one in decision.waiting]
    assert parent(B) not in under([C], Pair([C], [C], 3)).verdicts
    assert why(under([A], Pair([A], [A], 3), D), parent(B)) == ("propose", "member_of_ours")


def test_a_child_that_had_left_its_agreed_place_is_moved_by_whoever_takes_it_away() -> None:
    """No parent at all is an edit as well then, and so is the old one."""
    for there in (None, [A], [C]):
        one_sided = tree_case([A], there, Pair([A], NOWHERE, 3), revs={parent(B): 3})
        assert why(one_sided, parent(B))[0] in ("propose", "settle")
        both = tree_case([D], there, Pair([A], NOWHERE, 3), revs={parent(B): 4})
        assert why(both, parent(B)) == ("conflict", "both_changed")
    assert why(tree_case([D], None, Pair([A], None, 3), revs={parent(B): 4}), parent(B)) == ("push", "ours_changed")


def test_a_living_parent_counts() -> None:
    """The counterpart: with the parent alive, its edge is part of what both sides say."""
    assert why(tree_case([A], [A, C], Pair([A], [A], 3)), parent(B)) == ("conflict", "second_parent")
    assert why(tree_case([A], None, Pair([A], [A], 3)), parent(B)) == ("propose", "member_of_ours")


def test_a_move_under_a_dead_parent_is_held_until_it_is_decided() -> None:
    """Ours changed to a parent that is not there: held; unchanged since it was agreed, it waits for nothing."""
    places = {**present(B, C, D), goal(A): Place.GONE}
    to_dead = tree_case([A], [C], Pair([C], [C], 3), places=places, revs={parent(B): 4})
    assert why(to_dead, parent(B)) == ("hold", "parent_is_not_there")
    never = tree_case([A], None, None, places=places)
    assert why(never, parent(B)) == ("hold", "parent_is_not_there")
    away = tree_case([C], [A], Pair([A], [A], 3), places=places, revs={parent(B): 4})
    assert why(away, parent(B)) == ("push", "ours_changed")
    assert away.verdicts[parent(B)].seen.pair == Pair([A], None, 3)


def test_the_place_of_a_child_that_is_gone_is_taken_out_where_it_may_not_be_seen() -> None:
    """A withheld goal's edge goes out of its parent's resource, although the child itself is gone there."""
    places = {**present(A, C, D), goal(B): Place.GONE}
    there = theirs({parent(B): [A]}, places)
    bases = agreed({parent(B): [A]})
    hidden = decide(ours(hidden={parent(B): [A]}, goals=(A, C, D)), there, bases, Fixed())
    assert why(hidden, parent(B)) == ("push", "ours_changed")
    assert why(decide(ours({parent(B): [C]}), there, bases, Fixed()), parent(B)) == ("hold", "resource_gone")


def test_a_child_that_is_gone_is_not_moved() -> None:
    """Its place is held for the reason of the resource; one that is void or unreadable keeps its place."""
    for place, wanted in ((Place.GONE, ("hold", "resource_gone")), (Place.VOID, ("push", "ours_changed"))):
        decision = tree_case([C], [A], Pair([A], [A], 3), places={**present(A, C, D), goal(B): place})
        assert why(decision, parent(B)) == wanted


@pytest.mark.parametrize(
    ("mine", "places", "doubtful", "settled"),
    [
        ({}, {}, set(), True),
        ({"revs": {}}, {}, set(), False),
        ({"hidden": {parent(B): [A]}}, {}, set(), False),
        ({"goals": (A, C)}, {}, set(), False),
        ({}, {goal(B): Place.ABSENT}, set(), False),
        ({}, {goal(A): Place.ABSENT}, set(), True),
        ({}, {goal(A): Place.UNREADABLE}, set(), False),
        ({}, {goal(A): Place.GONE}, set(), False),
        ({}, {goal(A): Place.VOID}, set(), False),
        ({}, {}, {goal(A)}, False),
    ],
)
def test_the_top_is_agreed_on_where_a_child_was_moved_there_here_and_has_no_parent_there(
    mine: Mapping[str, object], places: Mapping[Key, Place], doubtful: set[Key], settled: bool
) -> None:
    """To have no parent is a place too: it is agreed on once every edge there is known and the child itself is there;
    not where nobody moved it, nor where it has a parent that this connection may not see."""
    left = ours(**{"revs": {parent(B): 3}, **mine})
    decision = decide(left, theirs(places={**present(A, B, C), **places}), {}, Fixed(), frozenset(doubtful))
    assert actions(decision) == ({parent(B): "settle"} if settled else {})


@pytest.mark.parametrize("at", ["ours", "theirs", "pair.ours", "pair.theirs", "none"])
def test_no_child_with_an_edge_at_a_doubtful_parent_is_judged(at: str) -> None:
    """Where a call to a parent may or may not have landed, old and new parents of either side count."""
    values = {one: [A] for one in ("ours", "theirs", "pair.ours", "pair.theirs")}
    if at in values:
        values[at] = [D]
    decision = tree_case(
        values["ours"],
        values["theirs"],
        Pair(values["pair.ours"], values["pair.theirs"], 3),
        doubtful=frozenset({goal(D)}),
    )
    if at == "none":
        assert parent(B) not in decision.verdicts
    else:
        assert why(decision, parent(B)) == ("hold", "in_doubt")
        assert decision.waiting == ()


def test_the_first_reason_of_a_hold_stands() -> None:
    """What the reading itself could not tell comes first, then the child, then its parent, then doubt."""
    pair = Pair([A], [A], 3)
    gone = {**present(C, D), goal(A): Place.GONE, goal(B): Place.GONE}
    doubtful = frozenset({goal(A), goal(C), goal(D)})
    assert why(tree_case([D], [C], pair, places=gone, held="odd", doubtful=doubtful), parent(B)) == ("hold", "odd")
    assert why(tree_case([D], [C], pair, places=gone, doubtful=doubtful), parent(B)) == ("hold", "resource_gone")
    places = {**gone, goal(B): Place.PRESENT}
    to_dead = tree_case([A], [C], None, places=places, doubtful=doubtful)
    assert why(to_dead, parent(B)) == ("hold", "parent_is_not_there")


def test_doubt_about_a_goal_holds_the_tree_alone() -> None:
    """Its own words are judged: `calls` keeps the call back, not the verdict."""
    decision = decide(ours({TEXT: "b"}), theirs({TEXT: "a"}), agreed({TEXT: "a"}), Fixed(), frozenset({goal(A)}))
    assert actions(decision) == {TEXT: "push"}


def test_what_is_known_of_a_child_reaches_the_verdict() -> None:
    """Revision, hidden and elsewhere stand in what is judged of a place in the tree too."""
    unit = parent(B)
    side = ours({unit: [A]}, revs={unit: 9})
    seen = decide(side, theirs({unit: [C]}), {}, Fixed()).verdicts[unit].seen
    assert seen == Seen(unit, None, [A], [C], 9)
    assert decide(ours({unit: [A]}), theirs({unit: [C]}), {}, Fixed()).verdicts[unit].seen.rev == 0
    hidden = decide(ours(hidden={unit: [A]}), theirs({unit: [C]}), {unit: Pair(None, None, 3)}, Fixed())
    assert (hidden.verdicts[unit].seen.hidden, *why(hidden, unit)) == (True, "propose", "over_a_hidden_value")
    elsewhere = decide(ours(elsewhere={unit: [A]}), theirs({}), {}, Fixed())
    assert elsewhere.verdicts[unit].seen.kept == [A]
    assert (elsewhere.verdicts[unit].seen.elsewhere, *why(elsewhere, unit)) == (
        True,
        "undeliverable",
        "from_another_ehr",
    )


# -- parts of a step --


@pytest.mark.parametrize(
    ("mine", "there", "wanted"),
    [
        ({"goal": A}, {"goal": A}, {"text": "conflict"}),  # the step stands on both sides: its words are a question
        (None, {"goal": A}, {"": "pull", "text": "pull"}),  # it is new there: its words come with it
        ({"goal": A}, None, {"": "push", "text": "push"}),  # it is new here: its words go with it
    ],
)
def test_the_parts_of_a_step_follow_the_step(mine: Json, there: Json, wanted: dict[str, str]) -> None:
    """Where a step stands on one side only, there is one verdict on all of it."""
    whole, text = Unit(PLAN, "steps:s-1"), Unit(PLAN, "step:s-1.text")
    decision = decide(
        ours({text: "m", **({whole: mine} if mine else {})}),
        theirs({text: "t", **({whole: there} if there else {})}),
        {},
        Fixed(),
    )
    assert actions(decision) == {
        **({whole: wanted[""]} if "" in wanted else {whole: "settle"}),
        text: wanted["text"],
    }


def test_the_words_of_a_step_that_is_ignored_are_ignored_with_it() -> None:
    """Each part is kept in the history: the words are there when nothing else has them any more."""
    whole, text = Unit(PLAN, "steps:s-1"), Unit(PLAN, "step:s-1.text")
    decision = decide(ours(), theirs({whole: {"goal": A}, text: "t"}), {}, Fixed("ignore"))
    assert actions(decision) == {whole: "ignore", text: "ignore"}


def test_a_part_of_a_step_that_does_not_go_there_is_never_passed_over() -> None:
    """Ours gets a ledger row where the step's words may not go, and is nothing where the step is void here.

    Theirs, of a step that was not taken here, is kept in the history.
    """
    whole, text, status = Unit(PLAN, "steps:s-1"), Unit(PLAN, "step:s-1.text"), Unit(PLAN, "step:s-1.status")
    here: Values = {whole: {"goal": A}, status: {"status": "done"}}
    ignored = {unit: Pair(value, None, 3) for unit, value in here.items()}
    side = ours(here, hidden={text: "m"}, revs={status: 4})
    assert why(decide(side, theirs(), ignored, Fixed()), status) == ("undeliverable", "step_is_not_there")
    void: Values = here | {status: {"status": "entered_in_error"}}
    assert actions(decide(ours(void, revs={status: 4}), theirs(), ignored, Fixed())) == {}
    there: Values = {whole: {"goal": A}, text: "new"}
    known = {whole: Pair(None, {"goal": A}, 3), text: Pair(None, "old", 3)}
    assert actions(decide(ours(), theirs(there), known, Fixed())) == {text: "ignore"}


# -- rings --


def test_the_edge_that_would_close_a_ring_is_held() -> None:
    """A goes under B here while B stands under A there: ours is held, and it waits for a person."""
    here: Values = {parent(A): [B]}
    there: Values = {parent(B): [A]}
    decision = decide(ours(here, revs={parent(A): 4}), theirs(there), {}, Fixed("ignore"))
    held = decision.verdicts[parent(A)]
    assert (held.action, held.why) == (Action.HOLD, "would_close_a_ring")
    assert Waiting("held", PLAN, f"parent_map:{A}", "would_close_a_ring", None, [B], None) in decision.waiting


def test_a_ring_is_looked_for_in_the_tree_as_it_will_stand() -> None:
    """Two moves that swap parent and child close no ring: the old edge goes with the new one that comes."""
    here: Values = {parent(A): [B]}
    there: Values = {parent(B): [A]}
    swap = decide(ours(here, revs={parent(A): 4, parent(B): 4}), theirs(there), agreed(there), Fixed())
    # B's edge is taken away by us in the same run.
    assert actions(swap) == {parent(A): "push", parent(B): "push"}


def test_a_move_under_a_goal_that_stays_here_takes_no_edge_away() -> None:
    """B is to go from A to C, which may not go there yet: A under B would be a ring until it does."""
    there: Values = {parent(B): [A]}
    here: Values = {parent(A): [B], parent(B): [C]}
    revs = {parent(A): 4, parent(B): 4}
    decision = decide(
        ours(here, elsewhere={Unit(C, "text"): "x"}, revs=revs), theirs(there, present(A, B)), agreed(there), Fixed()
    )
    assert why(decision, parent(A)) == ("hold", "would_close_a_ring")
    created = decide(ours(here, revs=revs), theirs(there, present(A, B)), agreed(there), Fixed())
    assert why(created, parent(A)) == ("push", "ours_changed")


def test_a_move_from_a_resource_that_takes_no_call_takes_no_edge_away() -> None:
    """C leaves A here, whose resource is refused there: B under C is a ring for as long as A stands under B."""
    there: Values = {parent(C): [A]}
    here: Values = {parent(A): [B], parent(B): [C]}
    side = ours(here, revs={parent(A): 4, parent(B): 4, parent(C): 4})
    free = decide(side, theirs(there), agreed(there), Fixed())
    assert actions(free) == {parent(A): "push", parent(B): "push", parent(C): "push"}
    stuck = decide(side, theirs(there), agreed(there), Fixed(), failed=frozenset({goal(A)}))
    assert why(stuck, parent(B)) == ("hold", "would_close_a_ring")
    assert why(stuck, parent(C)) == ("push", "ours_changed")


def test_three_moves_of_which_one_is_held_may_leave_the_others() -> None:
    """Held moves are taken out of the tree and the rest is looked at again, until no move closes a ring."""
    there: Values = {parent(C): [A]}
    here: Values = {parent(A): [B], parent(B): [C], parent(C): [A]}
    decision = decide(ours(here, revs={parent(A): 4, parent(B): 4}), theirs(there), agreed(there), Fixed())
    assert {unit: one.why for unit, one in decision.verdicts.items()} == {
        parent(A): "would_close_a_ring",
        parent(B): "would_close_a_ring",
    }
    # D stands beside the ring: its move goes.
    wide = decide(
        ours({**here, parent(D): [A]}, goals=(A, B, C, D), revs={parent(D): 4}),
        theirs(there, present(A, B, C, D)),
        agreed(there),
        Fixed(),
    )
    assert why(wide, parent(D)) == ("push", "ours_changed")


def test_what_is_no_move_of_ours_is_no_way_out_of_a_ring() -> None:
    """A ring that stands there already is a question of the tree, not a hold of ours."""
    there: Values = {parent(A): [B], parent(B): [A]}
    decision = decide(ours({}), theirs(there), {}, Fixed("ignore"))
    assert actions(decision) == {parent(A): "ignore", parent(B): "ignore"}
    assert [(one.kind, one.unit, one.why) for one in decision.waiting] == [
        ("tree", f"parent_map:{A}", "ring"),
        ("tree", f"parent_map:{B}", "ring"),
    ]


# -- what waits: units --


@pytest.mark.parametrize(
    ("policy", "kind", "because"),
    [(Fixed("propose"), "proposal", "policy_propose"), (Fixed("ignore"), None, ""), (Fixed(), None, "")],
)
def test_a_proposal_is_one_item_with_both_values(policy: Fixed, kind: str | None, because: str) -> None:
    """What is taken or ignored asks nobody; a proposal shows the agreed value, ours and theirs."""
    decision = decide(ours({TEXT: "a"}), theirs({TEXT: "c"}), agreed({TEXT: "a"}), policy)
    wanted = (Waiting(kind, A, "text", because, "a", "a", "c"),) if kind else ()
    assert decision.waiting == wanted


def test_a_conflict_is_one_item_and_shows_what_the_connection_may_not_see() -> None:
    """The inbox is our own: a value that is hidden from the EHR, or came from another, is shown to our people."""
    clash = decide(ours({TEXT: "b"}, revs={TEXT: 4}), theirs({TEXT: "c"}), agreed({TEXT: "a"}), Fixed())
    assert clash.waiting == (Waiting("conflict", A, "text", "both_changed", "a", "b", "c"),)
    never = decide(ours({TEXT: "b"}), theirs({TEXT: "c"}), {}, Fixed())
    assert never.waiting == (Waiting("conflict", A, "text", "both_changed", None, "b", "c"),)
    hidden = decide(
        ours(hidden={TEXT: "secret"}, revs={TEXT: 4}), theirs({TEXT: "c"}), {TEXT: Pair(None, None, 3)}, Fixed()
    )
    assert hidden.waiting == (Waiting("conflict", A, "text", "both_changed", None, "secret", "c"),)
    elsewhere = decide(ours(elsewhere={TEXT: "other"}), theirs({TEXT: "c"}), {}, Fixed())
    assert elsewhere.waiting == (Waiting("conflict", A, "text", "both_changed", None, "other", "c"),)


@pytest.mark.parametrize(
    ("held", "asks"),
    [("wrong_type", True), ("resource_gone", False), ("in_doubt", False), ("read_again", False)],
)
def test_a_hold_is_an_item_unless_the_resource_or_the_next_run_says_it(held: str, asks: bool) -> None:
    """One item stands for a whole resource, and nobody is asked what the next run will know."""
    decision = decide(ours({TEXT: "a"}), theirs({}, held={TEXT: held}), {}, Fixed())
    assert actions(decision) == {TEXT: "hold"}
    assert decision.waiting == ((Waiting("held", A, "text", held, None, "a", None),) if asks else ())


def test_items_of_units_are_independent() -> None:
    """One that asks nobody does not keep those behind it from being asked."""
    units = [Unit(A, name) for name in ("axes", "category", "priority", "text")]
    decision = decide(
        ours(dict.fromkeys(units, "b"), revs=dict.fromkeys(units, 4)),
        theirs(dict.fromkeys(units, "c"), held={units[0]: "in_doubt", units[2]: "resource_x"}),
        agreed(dict.fromkeys(units, "a")),
        Fixed(),
    )
    assert [one.unit for one in decision.waiting] == ["category", "text"]


# -- what waits: resources --


@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize("kind", ["Goal", "CarePlan"])
@pytest.mark.parametrize("retract", ["leave", "blank"])
def test_a_dead_resource_is_one_item(kind: Kind, place: Place, retract: str) -> None:
    """Gone, void and unreadable each wait for a person once, whatever is taken back."""
    key: Key = (kind, A if kind == "Goal" else PLAN)
    decision = decide(ours(retract=retract), theirs(places={**present(A, B, C), key: place}), {}, Fixed())
    dead = place in (Place.GONE, Place.VOID, Place.UNREADABLE)
    assert decision.waiting == ((Waiting(place.value, key[1], "", "unchanged_here"),) if dead else ())
    assert decision.retire == ()


def test_what_we_changed_meanwhile_is_told_with_a_dead_resource() -> None:
    """The item says what moved here since the units were agreed, whatever the revision of the others."""
    relation = Unit(PLAN, f"relations:{A}|predecessor|{B}")
    values: Values = {TEXT: "a", STATUS: "s", relation: True, Unit(B, "text"): "b"}
    places = {**present(B, C), goal(A): Place.GONE}
    mine = ours({**values, TEXT: "new"}, revs={TEXT: 4, STATUS: 3, relation: 3, Unit(B, "text"): 4})
    decision = decide(mine, theirs(values, places), agreed(values), Fixed())
    assert decision.waiting == (Waiting("gone", A, "", "changed_here_meanwhile", ours={"text": "new"}),)
    fresh = decide(mine, theirs(values, places), agreed({**values}) | {STATUS: Pair("s", "s", 2)}, Fixed())
    assert fresh.waiting[0].ours == {"text": "new", "status": "s"}
    unknown = {unit: pair for unit, pair in agreed(values).items() if unit != STATUS}
    assert decide(mine, theirs(values, places), unknown, Fixed()).waiting[0].ours == {"text": "new", "status": "s"}
    same = decide(ours(values, revs=dict.fromkeys(values, 3)), theirs(values, places), agreed(values), Fixed())
    assert same.waiting == (Waiting("gone", A, "", "unchanged_here"),)


def test_a_changed_place_under_a_dead_parent_is_told_with_the_parent() -> None:
    """A child's place stands on its parents' resources, so the parent's item names it."""
    unit = parent(B)
    places = {**present(B, C), goal(A): Place.VOID}
    decision = decide(ours({unit: [A]}, revs={unit: 4}), theirs({}, places), {}, Fixed())
    assert Waiting("void", A, "", "changed_here_meanwhile", ours={f"parent_map:{B}": [A]}) in decision.waiting


@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize("retract", ["leave", "blank", "entered_in_error", "delete"])
def test_a_goal_that_may_no_longer_be_there(place: Place, retract: str) -> None:
    """Left: it waits for a person while it stands. Taken back: it is retired. What can't be read waits in both."""
    decision = decide(
        ours(goals=(B, C), retract=retract), theirs(places={**present(B, C), goal(A): place}), {}, Fixed()
    )
    standing = place in (Place.PRESENT, Place.VOID)
    if place is Place.UNREADABLE:
        assert (decision.waiting, decision.retire) == ((Waiting("unreadable", A, "", "unchanged_here"),), ())
    elif retract == "leave":
        waiting = (Waiting("retract", A, "", "no_longer_disclosed"),) if standing else ()
        assert (decision.waiting, decision.retire) == (waiting, ())
    else:
        assert (decision.waiting, decision.retire) == ((), (goal(A),) if standing else ())


def test_items_of_resources_are_independent() -> None:
    """A withheld goal does not keep those behind it from being told of, and order is by kind and id."""
    places = {**present(A, C), goal(B): Place.PRESENT, goal(C): Place.GONE, ("CarePlan", PLAN): Place.VOID}
    decision = decide(ours(goals=(C,)), theirs(places=places), {}, Fixed())
    assert [(one.kind, one.owner) for one in decision.waiting] == [
        ("void", PLAN),
        ("retract", A),
        ("retract", B),
        ("gone", C),
    ]
    taken = decide(ours(goals=(C,), retract="delete"), theirs(places=places), {}, Fixed())
    assert taken.retire == (goal(A), goal(B))


# -- taken back only when nothing that names it waits --

NAMING: list[tuple[str, Json, Json, Pair | None, set[str]]] = [
    (f"parent_map:{A}", [B], [C], None, {A, B, C}),
    (f"parent_map:{A}", [B], [C], Pair([D], [D], 3), {A, B, C, D}),
    (f"relations:{A}|predecessor|{B}", True, "odd", None, {A, B}),
    (f"membership:{A}", True, "odd", None, {A}),
    ("steps:s-1", {"goal": A}, {"goal": B}, None, {A, B}),
    ("steps:s-1", {"goal": A}, {"goal": B}, Pair({"goal": C}, {"goal": D}, 3), {A, B, C, D}),
    ("steps:s-1", {"of": A}, {"goal": B}, None, {B}),
    ("steps:s-1", "odd", {"goal": B}, None, {B}),
    ("title", "x", "y", None, set()),
]


@pytest.mark.parametrize(("name", "mine", "there", "pair", "kept"), NAMING)
def test_a_goal_that_a_question_names_is_not_taken_back_yet(
    name: str, mine: Json, there: Json, pair: Pair | None, kept: set[str]
) -> None:
    """An item comes first where the EHR changed a reference to the goal meanwhile (design 5.10)."""
    unit = Unit(PLAN, name)
    everything = (A, B, C, D)
    decision = decide(
        ours({unit: mine}, goals=("g-z",), revs={unit: 4}, retract="delete"),
        theirs({unit: there}, present(*everything, "g-z")),
        {} if pair is None else {unit: pair},
        Fixed(),
    )
    assert actions(decision)[unit] == "conflict"
    assert {key[1] for key in decision.retire} == set(everything) - kept


@pytest.mark.parametrize(
    ("policy", "held", "waits"),
    [
        (Fixed("propose"), None, True),
        (Fixed("ignore"), None, False),
        (Fixed(), None, False),
        (Fixed(), "in_doubt", True),
        (Fixed(), "read_again", True),
        (Fixed(), "wrong_type", False),
        (Fixed(), "resource_gone", False),
    ],
)
def test_only_a_question_keeps_a_goal_from_being_taken_back(policy: Fixed, held: str | None, waits: bool) -> None:
    """A proposal keeps it, and what the next run will tell; not an edit that is taken or ignored, nor another hold."""
    unit = Unit(PLAN, f"membership:{A}")
    decision = decide(
        ours(goals=(B,), retract="delete"),
        theirs({unit: True}, present(A, B), held={unit: held} if held else {}),
        {},
        policy,
    )
    assert decision.retire == (() if waits else (goal(A),))


def test_a_question_of_the_goal_itself_keeps_nothing() -> None:
    """What waits there is of the goal that stays; units of a goal refer to none."""
    decision = decide(
        ours({Unit(B, "text"): "b"}, goals=(B,), retract="delete", revs={Unit(B, "text"): 4}),
        theirs({Unit(B, "text"): "c"}, present(A, B)),
        agreed({Unit(B, "text"): "a"}),
        Fixed(),
    )
    assert decision.retire == (goal(A),)


# -- the tree as it stands there --


def test_two_parents_there_are_a_question_of_the_tree() -> None:
    """Two parents that the policy ignores, or that nobody judges, are an item with what each side says."""
    unit = parent(B)
    decision = decide(ours({unit: [C]}), theirs({unit: [A, D]}), agreed({unit: [C]}), Fixed("ignore"))
    assert actions(decision) == {unit: "ignore"}
    assert decision.waiting == (Waiting("tree", PLAN, f"parent_map:{B}", "two_parents", None, [C], [A, D]),)
    settled = decide(ours({unit: [A, D]}), theirs({unit: [A, D]}), agreed({unit: [A, D]}), Fixed())
    assert [one.kind for one in settled.waiting] == ["tree"]


@pytest.mark.parametrize(
    ("mine", "policy", "kinds"),
    [
        ([C], Fixed("propose"), ["proposal"]),
        ([A], Fixed(), ["conflict"]),
        ([A], Fixed(clashes="ours"), []),
        ([A], Fixed(clashes="theirs"), ["tree"]),
    ],
)
def test_a_child_whose_own_question_says_it_is_asked_once(mine: Json, policy: Fixed, kinds: list[str]) -> None:
    """A conflict, a proposal, a hold or a write of ours of that very place leaves nothing more to ask."""
    unit = parent(B)
    decision = decide(ours({unit: mine}), theirs({unit: [A, D]}), agreed({unit: mine}), policy)
    assert [one.kind for one in decision.waiting] == kinds


def test_a_place_that_is_held_asks_once_and_those_behind_it_are_asked() -> None:
    """One held child does not keep the next from its item."""
    there: Values = {parent(A): [C, D], parent(B): [C, D]}
    decision = decide(ours({}), theirs(there, held={parent(A): "read_again"}), {}, Fixed("ignore"))
    assert [(one.kind, one.unit) for one in decision.waiting] == [("tree", f"parent_map:{B}")]
    odd = decide(ours({}), theirs(there, held={parent(A): "wrong_type"}), {}, Fixed("ignore"))
    assert [(one.kind, one.unit) for one in odd.waiting] == [
        ("held", f"parent_map:{A}"),
        ("tree", f"parent_map:{B}"),
    ]


# -- nothing may go there at all --


EVERYWHERE = {
    ("CarePlan", PLAN): Place.PRESENT,
    goal(A): Place.PRESENT,
    goal(B): Place.VOID,
    goal(C): Place.GONE,
    goal(D): Place.UNREADABLE,
    goal("g-e"): Place.ABSENT,
}


def test_without_consent_what_stands_there_is_one_item() -> None:
    """Nothing is created, judged or sent; the plan waits once, for its reason, while anything of it stands."""
    mine = ours({TEXT: "b"}, refused="no_consent")
    decision = decide(mine, theirs({TEXT: "a"}, EVERYWHERE), agreed({TEXT: "a"}), Fixed())
    assert decision == Decision(waiting=(Waiting("retract", PLAN, "", "no_consent"),))
    for places in ({}, {goal(C): Place.GONE}, {goal(D): Place.UNREADABLE}, {goal(A): Place.ABSENT}):
        assert decide(mine, theirs({TEXT: "a"}, places), {}, Fixed()) == Decision()
    for places in ({goal(A): Place.PRESENT}, {goal(B): Place.VOID}, {("CarePlan", PLAN): Place.PRESENT}):
        assert len(decide(mine, theirs({TEXT: "a"}, places), {}, Fixed()).waiting) == 1


@pytest.mark.parametrize("retract", ["blank", "entered_in_error", "delete"])
@pytest.mark.parametrize("refused", ["no_consent", WRONG_CHART])
def test_what_stands_without_consent_is_taken_back(retract: str, refused: str) -> None:
    """Everything that can be read is retired; from a wrong chart what is gone is let go too; the unreadable waits."""
    decision = decide(ours({TEXT: "b"}, refused=refused, retract=retract), theirs(places=EVERYWHERE), {}, Fixed())
    gone = (goal(C),) if refused == WRONG_CHART else ()
    assert decision == Decision(
        waiting=(Waiting("unreadable", D, "", "no_longer_disclosed"),),
        retire=(("CarePlan", PLAN), goal(A), goal(B), *gone),
    )


def test_in_a_wrong_chart_each_resource_that_is_left_is_named() -> None:
    """Somebody at the EHR has to take them out one by one; what is gone needs nobody."""
    decision = decide(ours({TEXT: "b"}, refused=WRONG_CHART), theirs(places=EVERYWHERE), {}, Fixed())
    assert decision == Decision(
        waiting=(
            Waiting("retract", PLAN, "CarePlan", WRONG_CHART),
            Waiting("retract", A, "Goal", WRONG_CHART),
            Waiting("retract", B, "Goal", WRONG_CHART),
        ),
        retire=(goal(C),),
    )


def test_a_resource_without_a_link_is_absent() -> None:
    """What nobody linked was never sent."""
    assert Theirs(Assembled(), {}).place("Goal", A) is Place.ABSENT
    assert Theirs(Assembled(), {goal(A): Place.GONE}).place("Goal", A) is Place.GONE


# -- carriers --


@pytest.mark.parametrize(
    ("unit", "values", "keys"),
    [
        (Unit(A, "text"), ("x",), [goal(A)]),
        (Unit(A, "parent_map:x"), ([B],), [goal(A)]),
        (parent(B), (), []),
        (parent(B), (None, None), []),
        (parent(B), ([C],), [goal(C)]),
        (parent(B), ([C], [A, C], None, [D]), [goal(A), goal(C), goal(D)]),
        (Unit(PLAN, f"relations:{A}|predecessor|{B}"), (True,), [goal(A)]),
        (Unit(PLAN, f"membership:{A}"), (True,), [("CarePlan", PLAN)]),
        (Unit(PLAN, "steps:s-1"), ({"goal": A},), [("CarePlan", PLAN)]),
        (Unit(PLAN, "step:s-1.text"), ("x",), [("CarePlan", PLAN)]),
        (ORDER, ([A],), [("CarePlan", PLAN)]),
    ],
)
def test_a_unit_stands_on_its_carriers(unit: Unit, values: tuple[Json, ...], keys: list[Key]) -> None:
    """A goal's unit on its Goal, an edge on the goal that holds it, once and in order, the rest on the CarePlan."""
    assert carriers(PLAN, unit, *values) == tuple(keys)


# -- over all combinations --


def test_decide_is_total_and_each_question_is_asked_once() -> None:
    """Every place of every resource, with every kind of edit: a decision, no unit asked twice, none of it sent."""
    mine: Values = {TEXT: "m", STATUS: "s", parent(B): [A], parent(C): [B], ORDER: [A, B, C]}
    there: Values = {TEXT: "t", parent(B): [C], parent(C): [B], ORDER: [C, B, A], Unit(B, "note:x"): "n"}
    for at_plan, at_a, at_b in product(Place, repeat=3):
        places = {("CarePlan", PLAN): at_plan, goal(A): at_a, goal(B): at_b, goal(C): Place.PRESENT}
        for goals, policy, bases in product(
            ((A, B, C), (A, C), ()),
            (Fixed(), Fixed("propose"), Fixed("ignore", "theirs"), Fixed("propose", "ours")),
            ({}, agreed(mine), agreed(there, 9)),
        ):
            decision = decide(ours(mine, goals=goals, revs={TEXT: 4}), theirs(there, places), bases, policy)
            keys = [(one.owner, one.unit) for one in decision.waiting]
            assert len(set(keys)) == len(keys)
            assert all(verdict.action is not Action.QUIET for verdict in decision.verdicts.values())
            assert all(decision.units(action).items() <= decision.verdicts.items() for action in Action)
            assert sum(len(decision.units(action)) for action in Action) == len(decision.verdicts)
            assert set(decision.creates) <= set(goals)


def test_the_order_of_what_is_given_decides_nothing() -> None:
    """The same values in another order are the same decision."""
    mine: Values = {TEXT: "m", STATUS: "s", parent(B): [A], ORDER: [A, B]}
    there: Values = {TEXT: "t", STATUS: "u", parent(B): [C], ORDER: [B, A]}
    first = decide(ours(mine), theirs(there), agreed(mine), Fixed("propose"))
    for order in permutations(mine):
        again = decide(
            ours({unit: mine[unit] for unit in order}),
            theirs({unit: there[unit] for unit in reversed(order)}),
            {unit: agreed(mine)[unit] for unit in order},
            Fixed("propose"),
        )
        assert (again, list(again.verdicts)) == (first, list(first.verdicts))


def test_a_verdict_keeps_what_it_was_judged_on() -> None:
    """A verdict that is held for a ring is the same in all but action and reason."""
    unit = parent(A)
    decision = decide(ours({unit: [B]}, revs={unit: 4}), theirs({parent(B): [A]}), {}, Fixed("ignore"))
    free = decide(ours({unit: [B]}, revs={unit: 4}), theirs({}), {}, Fixed("ignore"))
    assert decision.verdicts[unit] == replace(free.verdicts[unit], action=Action.HOLD, why="would_close_a_ring")
    assert isinstance(decision.verdicts[unit], Verdict)
