"""The whole state table of one merge unit, written out as text and held against `judge` for every combination.

A state is named by what happened, not by values: what the two sides agreed on last, what stands with us and whether our
revision moved, and what stands at the EHR. Exactly one row of the table fits each state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from fhirgoals.domain.units import Json, Pair, Unit
from fhirgoals.sync.merge import Accept, Action, Clash, Seen, changed, judge
from tests.sync.test_merge import NOTE, PARENT, TEXT, Fixed, seen

# last    the pair: never agreed; agreed that there is nothing; on one value; on a value that the server cut
# ours    as_agreed, other, nothing (not there); cut: the cut value stands with us too; hidden: there, not to be seen
# moved   whether our revision of the unit moved since: `*` either
# theirs  as_agreed, other, nothing, as_ours (another value than the agreed one, and it is ours)
TABLE = """
last      ours        moved   theirs      what follows

never     as_agreed   *       as_agreed   quiet
never     as_agreed   *       other       one_sided
never     hidden      *       as_agreed   quiet
never     hidden      *       other       one_sided
never     other       *       as_agreed   push
never     other       *       other       clash
never     other       *       as_ours     settle

nothing   as_agreed   *       as_agreed   quiet
nothing   as_agreed   *       other       one_sided
nothing   hidden      no      as_agreed   quiet
nothing   hidden      no      other       one_sided
nothing   hidden      yes     as_agreed   undeliverable
nothing   hidden      yes     other       clash
nothing   other       *       as_agreed   push
nothing   other       *       other       clash
nothing   other       *       as_ours     settle

value     as_agreed   no      as_agreed   quiet
value     as_agreed   yes     as_agreed   settle
value     as_agreed   no      other       one_sided
value     as_agreed   yes     other       clash
value     as_agreed   no      nothing     one_sided
value     as_agreed   yes     nothing     clash
value     other       *       as_agreed   push
value     other       *       other       clash
value     other       *       nothing     clash
value     other       *       as_ours     settle
value     nothing     *       as_agreed   push
value     nothing     *       other       clash
value     nothing     *       as_ours     settle
value     hidden      *       as_agreed   push
value     hidden      *       other       clash
value     hidden      *       as_ours     settle

cut       as_agreed   no      as_agreed   quiet
cut       as_agreed   yes     as_agreed   push
cut       as_agreed   no      other       one_sided
cut       as_agreed   yes     other       clash
cut       as_agreed   no      nothing     one_sided
cut       as_agreed   yes     nothing     clash
cut       as_agreed   *       as_ours     settle
cut       other       *       as_agreed   push
cut       other       *       other       clash
cut       other       *       nothing     clash
cut       other       *       as_ours     settle
cut       cut         *       as_agreed   settle
cut       cut         *       other       clash
cut       cut         *       nothing     clash
cut       nothing     *       as_agreed   push
cut       nothing     *       other       clash
cut       nothing     *       as_ours     settle
cut       hidden      *       as_agreed   push
cut       hidden      *       other       clash
cut       hidden      *       as_ours     settle
"""
ROWS = [line.split() for line in TABLE.splitlines()[2:] if line]

PAIRS = {"never": None, "nothing": Pair(None, None, 3), "value": Pair("a", "a", 3), "cut": Pair("abc", "ab", 3)}
WHY = {"quiet": "", "settle": "equal", "push": "ours_changed", "undeliverable": "hidden_here"}
ACCEPTS: tuple[Accept, ...] = ("auto", "propose", "ignore")
CLASHES: tuple[Clash, ...] = ("ours", "theirs", "ask")
POLICIES = [Fixed(accept, clash) for accept, clash in product(ACCEPTS, CLASHES)]


def states() -> Iterator[tuple[str, str, str, str]]:
    """Every state that there is: not those that say of one value that it is two things."""
    for last, ours, moved, theirs in product(
        PAIRS,
        ("as_agreed", "other", "nothing", "hidden", "cut"),
        ("no", "yes"),
        ("as_agreed", "other", "nothing", "as_ours"),
    ):
        nothing_agreed = last in ("never", "nothing")
        if nothing_agreed and (ours in ("nothing", "cut") or theirs == "nothing"):
            continue
        if ours == "cut" and last != "cut":
            continue
        agreed = PAIRS[last] or Pair(None, None, 0)
        mine = value_of(last, ours, "")
        if theirs == "as_ours" and mine == agreed.theirs:
            continue
        if theirs == "nothing" and mine is None:
            continue
        yield last, ours, moved, theirs


def value_of(last: str, who: str, mine: Json, side: str = "ours") -> Json:
    """Return the value that a column names."""
    pair = PAIRS[last] or Pair(None, None, 0)
    match who:
        case "as_agreed":
            return pair.ours if side == "ours" else pair.theirs
        case "other":
            return "b" if side == "ours" else "c"
        case "cut":
            return "ab"
        case "as_ours":
            return mine
        case _:
            return None


def case_of(state: tuple[str, str, str, str], unit: Unit, *, born: bool) -> Seen:
    """Return the unit in that state."""
    last, ours, moved, theirs = state
    mine = value_of(last, ours, "")
    return Seen(
        unit=unit,
        pair=PAIRS[last],
        ours=mine,
        theirs=value_of(last, theirs, mine, "theirs"),
        rev=4 if moved == "yes" else 3,
        hidden=ours == "hidden",
        born_there=born,
    )


def row_of(state: tuple[str, str, str, str]) -> str:
    """Return what the one row that fits says."""
    fitting = [row[-1] for row in ROWS if all(said in ("*", is_) for said, is_ in zip(row, state, strict=False))]
    assert len(fitting) == 1, f"{len(fitting)} rows fit {state}"
    return fitting[0]


def by_policy(what: str, state: tuple[str, str, str, str], unit: Unit, policy: Fixed, *, born: bool) -> tuple[str, str]:
    """Return the action and its reason where the policy decides."""
    last, ours, _, _ = state
    if what == "clash":
        if policy.clashes == "theirs" and ours == "hidden":
            return "conflict", "over_a_hidden_value"
        return {
            "ours": ("push", "policy_ours"),
            "theirs": ("pull", "policy_theirs"),
            "ask": ("conflict", "both_changed"),
        }[policy.clashes]
    if policy.accepts != "auto":
        return policy.accepts, f"policy_{policy.accepts}"
    if ours == "hidden":
        return "propose", "over_a_hidden_value"
    if last == "cut":
        return "propose", "server_holds_less"
    if unit == NOTE and last != "never" and not born:
        return "propose", "member_of_ours"
    return "pull", "policy_auto"


def test_every_state_has_its_verdict() -> None:
    """The table, under each of the nine policies, for a field and a member of a set, born here or there."""
    count = 0
    for state, unit, policy, born in product(list(states()), (TEXT, NOTE), POLICIES, (False, True)):
        what = row_of(state)
        action, why = (
            by_policy(what, state, unit, policy, born=born) if what in ("one_sided", "clash") else (what, WHY[what])
        )
        case = case_of(state, unit, born=born)
        verdict = judge(case, policy)
        assert (verdict.action, verdict.why, verdict.seen) == (Action(action), why, case), state
        count += 1
    assert count == 88 * 36


def test_every_row_is_of_use() -> None:
    """A row that fits no state says nothing."""
    every = list(states())
    for row in ROWS:
        assert any(all(said in ("*", is_) for said, is_ in zip(row, state, strict=False)) for state in every), row


def test_a_held_unit_is_held_whatever_happened() -> None:
    """No state, policy or origin undoes a hold, and its reason is kept."""
    for state, policy, elsewhere in product(list(states()), POLICIES, (False, True)):
        case = case_of(state, TEXT, born=False)
        verdict = judge(replace(case, elsewhere=elsewhere, held="wrong_type"), policy)
        assert (verdict.action, verdict.why) == (Action.HOLD, "wrong_type")


ELSEWHERE = {
    # last, moved, theirs: nothing of another EHR's is written over theirs, and nothing of theirs taken over it
    ("never", "no", "as_agreed"): ("undeliverable", "from_another_ehr"),
    ("never", "yes", "as_agreed"): ("undeliverable", "from_another_ehr"),
    ("never", "no", "other"): ("conflict", "both_changed"),
    ("never", "yes", "other"): ("conflict", "both_changed"),
    ("never", "no", "as_ours"): ("settle", "equal"),
    ("never", "yes", "as_ours"): ("settle", "equal"),
    ("agreed", "no", "as_agreed"): ("quiet", ""),
    ("agreed", "yes", "as_agreed"): ("undeliverable", "from_another_ehr"),
    ("agreed", "no", "other"): ("propose", "over_a_hidden_value"),
    ("agreed", "yes", "other"): ("conflict", "both_changed"),
    ("agreed", "no", "as_ours"): ("settle", "equal"),
    ("agreed", "yes", "as_ours"): ("settle", "equal"),
}


@pytest.mark.parametrize("last", PAIRS)
def test_a_value_from_another_ehr_is_neither_sent_nor_overwritten(last: str) -> None:
    """Six states, whatever the policy says: told, asked, the same, or nothing to do."""
    for moved, theirs, hidden, policy in product(
        ("no", "yes"), ("as_agreed", "other", "as_ours"), (False, True), POLICIES
    ):
        case = Seen(
            TEXT,
            PAIRS[last],
            None,
            value_of(last, theirs, "e", "theirs"),
            4 if moved == "yes" else 3,
            hidden,
            elsewhere=True,
            kept="e",
        )
        verdict = judge(case, policy)
        wanted = ELSEWHERE["never" if last == "never" else "agreed", moved, theirs]
        assert (verdict.action.value, verdict.why, verdict.seen) == (*wanted, case)
    where_it_was = Seen(TEXT, Pair(None, "e", 3), None, "e", 3, elsewhere=True, kept="e")
    assert judge(where_it_was, Fixed()).action is Action.QUIET


@pytest.mark.parametrize(
    ("ours", "theirs", "what"),
    [
        (["p"], ["p", "q"], "clash"),
        (["q"], ["p", "q"], "clash"),
        (["p"], ["p", "q", "r"], "clash"),
        (["p"], ["q", "r"], "one_sided"),
        (["p"], ["q"], "one_sided"),
        (["p"], None, "one_sided"),
        (["p"], "pq", "one_sided"),
        (None, ["p", "q"], "one_sided"),
        ([], ["p", "q"], "one_sided"),
    ],
)
def test_two_parents_of_which_one_is_ours_are_a_clash(ours: Json, theirs: Json, what: str) -> None:
    """A second parent beside ours is asked about even where we changed nothing (rule R4); another's two are an edit."""
    case = seen(unit=PARENT, pair=Pair(ours, ours, 3), ours=ours, theirs=theirs)
    for policy in POLICIES:
        verdict = judge(case, policy)
        if what == "clash":
            assert (verdict.action.value, verdict.why) == {
                "ours": ("push", "policy_ours"),
                "theirs": ("pull", "policy_theirs"),
                "ask": ("conflict", "second_parent"),
            }[policy.clashes]
        else:
            wanted = {"auto": "propose", "propose": "propose", "ignore": "ignore"}[policy.accepts]
            assert verdict.action.value == wanted


def test_two_parents_that_were_agreed_are_no_question() -> None:
    """Where the EHR's two parents are what was there before, our edit goes out and nobody is asked."""
    before = Pair(["p"], ["p", "q"], 3)
    assert judge(seen(unit=PARENT, pair=before, ours=["p"], theirs=["p", "q"]), Fixed()).action is Action.QUIET
    moved = seen(unit=PARENT, pair=before, ours=["q"], theirs=["p", "q"], rev=4)
    assert judge(moved, Fixed()).action is Action.PUSH


def test_a_list_of_two_is_no_second_parent_elsewhere() -> None:
    """Only the place in the tree knows parents: two entries of another unit are an edit like any other."""
    case = seen(unit=Unit("plan-1", "order"), pair=Pair(["p"], ["p"], 3), ours=["p"], theirs=["p", "q"])
    assert judge(case, Fixed()).action is Action.PULL


def test_who_changed_is_told_for_each_side() -> None:
    """`changed` is the ground of every verdict: ours by revision or value, theirs by value alone."""
    for state in states():
        last, ours, moved, theirs = state
        case = case_of(state, TEXT, born=False)
        agreed_nothing = last in ("never", "nothing")
        by_value = ours in ("other", "nothing", "cut") or (ours == "hidden" and not agreed_nothing)
        by_revision = moved == "yes" and last != "never" and (case.ours is not None or ours == "hidden")
        assert changed(case) == (by_value or by_revision, theirs != "as_agreed"), state
