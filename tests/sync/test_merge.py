"""The verdict on one merge unit: a table of what both sides did and what follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product

import pytest

from fhirgoals.domain.units import Pair, Unit
from fhirgoals.sync.merge import Accept, Action, Clash, Seen, judge, taken


@dataclass(frozen=True)
class Fixed:
    """A policy that says the same of every unit."""

    accepts: Accept = "auto"
    clashes: Clash = "ask"

    def accept(self, unit: Unit) -> Accept:
        return self.accepts

    def clash(self, unit: Unit) -> Clash:
        return self.clashes


TEXT = Unit("g-1", "text")
NOTE = Unit("g-1", "note:n-1")
PARENT = Unit("plan-1", "parent_map:g-1")
AGREED = Pair("a", "a", 3)


def seen(**kwargs: object) -> Seen:
    return Seen(**{"unit": TEXT, "pair": AGREED, "ours": "a", "theirs": "a", "rev": 3, **kwargs})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "policy", "action"),
    [
        (seen(), Fixed(), Action.QUIET),
        (seen(ours="b", rev=4), Fixed(), Action.PUSH),
        (seen(theirs="c"), Fixed(), Action.PULL),
        (seen(theirs="c"), Fixed("propose"), Action.PROPOSE),
        (seen(theirs="c"), Fixed("ignore"), Action.IGNORE),
        (seen(ours="b", theirs="c", rev=4), Fixed(), Action.CONFLICT),
        (seen(ours="b", theirs="c", rev=4), Fixed(clashes="ours"), Action.PUSH),
        (seen(ours="b", theirs="c", rev=4), Fixed(clashes="theirs"), Action.PULL),
        (seen(ours="b", theirs="b", rev=4), Fixed(), Action.SETTLE),
        (seen(pair=None, theirs=None), Fixed(), Action.PUSH),
        (seen(pair=None, ours=None), Fixed(), Action.PULL),
        (seen(pair=None), Fixed(), Action.SETTLE),
        (seen(pair=None, theirs="c"), Fixed(), Action.CONFLICT),
        (seen(ours=None, rev=4), Fixed(), Action.PUSH),
        (seen(held="wrong_type", theirs="c"), Fixed(), Action.HOLD),
    ],
)
def test_verdict_follows_who_changed(case: Seen, policy: Fixed, action: Action) -> None:
    """Neither side: quiet; ours: push; theirs: by `accept`; both: equal settles, else by `clash`; held is held."""
    assert judge(case, policy).action is action


def test_there_and_back_again_counts_as_our_edit() -> None:
    """An edit of ours that ends at the old value still stands against an edit of theirs (rule R6)."""
    assert judge(seen(rev=5, theirs="c"), Fixed()).action is Action.CONFLICT


@pytest.mark.parametrize(("pair", "rev"), [(None, 1), (Pair(None, None, 3), 4), (Pair(None, None, -1), 1)])
def test_child_that_was_taken_out_from_under_its_parent_here_clashes_with_their_move(
    pair: Pair | None, rev: int
) -> None:
    """To stand at the top is a place that somebody chose, also where no place was agreed before; of a child that nobody
    touched here theirs is one-sided, and a member of a set that neither side had says nothing."""
    moved = seen(unit=PARENT, pair=pair, ours=None, theirs=["q"], rev=rev)
    assert judge(moved, Fixed()).action is Action.CONFLICT
    untouched = replace(moved, rev=max(pair.rev, 0) if pair else 0)
    assert judge(untouched, Fixed()).action in (Action.PULL, Action.PROPOSE)
    assert judge(replace(moved, unit=NOTE), Fixed()).action in (Action.PULL, Action.PROPOSE)


def test_hidden_edit_is_not_deliverable_and_clashes_with_theirs() -> None:
    """A value that the connection may not see is ours changed: nothing to write, and no edit of theirs is one-sided."""
    pair = Pair(None, None, 3)
    hidden = seen(pair=pair, ours=None, theirs=None, rev=4, hidden=True)
    assert judge(hidden, Fixed()).action is Action.UNDELIVERABLE
    assert judge(seen(pair=pair, ours=None, theirs="c", rev=4, hidden=True), Fixed()).action is Action.CONFLICT


def test_edit_over_a_hidden_value_is_a_proposal() -> None:
    """What we have and the connection may not see is never overwritten by its edit."""
    case = seen(pair=Pair(None, None, 3), ours=None, theirs="c", hidden=True)
    assert judge(case, Fixed()).action is Action.PROPOSE


def test_edit_of_a_value_the_server_cut_is_a_proposal() -> None:
    """Where the server holds less than it was given, its edit does not replace our fuller value by itself."""
    case = seen(pair=Pair("abc", "ab", 3), ours="abc", theirs="ax")
    assert judge(case, Fixed()).action is Action.PROPOSE


def test_server_that_cuts_is_no_edit() -> None:
    """A cut value that stays as it was stored changes nothing on either side."""
    assert judge(seen(pair=Pair("abc", "ab", 3), ours="abc", theirs="ab"), Fixed()).action is Action.QUIET


@pytest.mark.parametrize(
    ("case", "action"),
    [
        (seen(unit=NOTE, pair=None, ours=None, theirs="c"), Action.PULL),
        (seen(unit=NOTE, theirs="c"), Action.PROPOSE),
        (seen(unit=NOTE, theirs=None), Action.PROPOSE),
        (seen(unit=NOTE, theirs="c", born_there=True), Action.PULL),
    ],
)
def test_auto_takes_additions_to_a_set_and_proposes_the_rest(case: Seen, action: Action) -> None:
    """In a keyed set a change or removal of a member of ours is a proposal; one that was born there may change."""
    assert judge(case, Fixed()).action is action


def test_second_parent_beside_ours_is_a_clash() -> None:
    """Two parents there, one of them ours, is a clash even where we changed nothing (rule R4)."""
    case = seen(unit=PARENT, pair=Pair(["p"], ["p"], 3), ours=["p"], theirs=["p", "q"])
    assert judge(case, Fixed()).action is Action.CONFLICT
    assert judge(case, Fixed(clashes="ours")).action is Action.PUSH


def test_digits_of_a_decimal_are_a_value() -> None:
    """19.0 and 19.00 differ: the digits that a clinician wrote are kept."""
    case = seen(pair=Pair(Decimal("19.0"), Decimal("19.0"), 3), ours=Decimal("19.0"), theirs=Decimal("19.00"))
    assert judge(case, Fixed()).action is Action.PULL


def test_every_combination_ends_in_one_action() -> None:
    """`judge` is total, and nothing is written or taken for a unit that neither side changed."""
    values = [None, "a", "b", ["p"], ["p", "q"]]
    policies = [Fixed(accept, clash) for accept in ("auto", "propose", "ignore") for clash in ("ours", "theirs", "ask")]
    pairs = [None, Pair("a", "a", 3), Pair("ab", "a", 3), Pair(None, None, 3), Pair(["p"], ["p"], 3)]
    for unit, pair, ours, theirs, rev, hidden, born, policy in product(
        (TEXT, NOTE, PARENT), pairs, values, values, (3, 4), (False, True), (False, True), policies
    ):
        one = Seen(unit, pair, ours, theirs, rev, hidden, born)
        action = judge(one, policy).action
        assert isinstance(action, Action)
        if pair is not None and ours == pair.ours and theirs == pair.theirs and rev == 3:
            assert action is Action.QUIET


def test_parts_that_the_server_never_held_keep_our_value() -> None:
    """A server without our extension closes the goal: its words are taken, our reason code and the uncut text stay."""
    ours = {"lifecycle": "active", "closure_reason": "moved", "status_reason": "a long reason"}
    held = {"lifecycle": "active", "status_reason": "a long"}
    theirs = {"lifecycle": "completed", "status_reason": "a long", "status_date": "2026-11-06"}
    seen = Seen(Unit("g", "status"), Pair(ours, held, 3), ours, theirs, rev=3)
    assert taken(seen) == {
        "lifecycle": "completed",
        "closure_reason": "moved",
        "status_reason": "a long reason",
        "status_date": "2026-11-06",
    }
    changed_there = {**theirs, "status_reason": "another"}
    assert taken(replace(seen, theirs=changed_there))["status_reason"] == "another"
    emptied = {"lifecycle": "completed"}
    assert taken(replace(seen, theirs=emptied)) == {"lifecycle": "completed", "closure_reason": "moved"}
    assert taken(replace(seen, theirs=None)) is None
    assert taken(replace(seen, pair=None)) == theirs


def test_of_a_rejected_value_only_what_is_missing_counts_as_not_held() -> None:
    """Theirs was rejected and is taken after all: it is theirs that our record gets, not ours once more."""
    ours = {"lifecycle": "active", "closure_reason": "moved", "status_reason": "a long reason"}
    theirs = {"lifecycle": "on_hold", "status_reason": "a cold"}
    rejected = Seen(Unit("g", "status"), Pair(ours, theirs, -1), ours, theirs, rev=3)
    assert taken(rejected) == {"lifecycle": "on_hold", "status_reason": "a cold", "closure_reason": "moved"}


def test_a_part_that_was_held_whole_is_taken_as_it_is_there() -> None:
    """Only what the server cut or dropped is ours to keep, and only while we still have it."""
    agreed = {"lifecycle": "active", "status_reason": "long"}
    whole = Seen(Unit("g", "status"), Pair(agreed, agreed, 3), {**agreed, "lifecycle": "on_hold"}, agreed, rev=4)
    there = {"lifecycle": "active", "status_reason": "new"}
    assert taken(replace(whole, theirs=there)) == there
    cut = {"lifecycle": "active", "status_reason": "lo"}
    gone_here = Seen(Unit("g", "status"), Pair(agreed, cut, 3), {"lifecycle": "active"}, cut, rev=4)
    assert taken(replace(gone_here, theirs={**cut, "lifecycle": "on_hold"})) == {"lifecycle": "on_hold"}
