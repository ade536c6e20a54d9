"""Which open questions nobody had to be asked, and what is left over at rest beyond those that wait for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.simulate.evidence import Evidence
from tests.simulate.items import Item, key_of, parts, said
from tests.simulate.log import HALF_TICKS, NOTHING

TAKEN_AT_ONCE = ("text", "status", "target_date", "priority")
"""Units that are no members of a set: where the policy is `auto`, a one-sided edit of one is no question."""


def needless(case: Evidence) -> Iterator[str]:
    """Yield a line for each question that nobody had to be asked."""
    decided = {(item.connection, item.owner, item.unit, item.kind, item.text) for item in case.items if item.by_person}
    yield from dict.fromkeys(line for item in case.items if (line := _uncalled_for(case, item)))
    for item in case.waiting:
        if item.kind not in ("conflict", "proposal"):
            continue
        where = f"{item.kind} ({item.why}) about {item.unit} of {item.owner} at {item.connection}"
        same = (item.connection, item.owner, item.unit, item.kind, item.text) in decided
        if same and not _edited_again(case, item):
            yield f"needless: {where} was answered already"
            continue
        key = key_of(item)
        if key is None or key[0] in case.log.void or item.connection in case.log.ever_refused:
            continue
        if item.unit.startswith("parent_map:") and _settled_by_policy(case, item):
            yield f"needless: {where}: the policy settles two parents"
            continue
        touched = any(edit.key == key and edit.side == item.connection for edit in case.log.edits)
        if not touched:
            yield f"needless: {where}: nobody at the EHR wrote it"
            continue
        if case.log.ever_withheld or (case.log.void and key[1] not in TAKEN_AT_ONCE):
            continue
        since = case.log.agreed.get((item.connection, key))
        recent = [edit for edit in case.log.edits[since or 0 :] if edit.key == key]
        theirs = any(edit.side == item.connection for edit in recent)
        # What another EHR wrote may have been on its way when these two were seen to agree.
        elsewhere = [one for one in case.log.edits if one.key == key and one.side not in ("here", item.connection)]
        ours = since is None or bool(elsewhere) or any(edit.side != item.connection for edit in recent)
        if item.kind == "conflict" and said(item.unit, item.ours) == said(item.unit, item.theirs):
            yield f"needless: {where}: both say {said(item.unit, item.ours)}"
        elif item.kind == "conflict" and not (ours and theirs) and not _may_clash_alone(case, item):
            one = "nobody" if not ours and not theirs else "only the EHR" if theirs else "only we"
            yield f"needless: {where}: {one} wrote it since it was agreed"
        elif item.kind == "proposal" and not ours and _taken_at_once(case, item):
            yield f"needless: {where}: the policy takes it"


def _uncalled_for(case: Evidence, item: Item) -> str | None:
    return _half_seen(case, item) or _not_gone(case, item) or _stopped_as_a_whole(item)


def _stopped_as_a_whole(item: Item) -> str | None:
    """Return a line for a plan that was stopped because of the share that changes: a world here has few resources."""
    if item.kind != "guard" or item.why != "too_many_changes":
        return None
    return f"needless: {item.owner} was stopped at {item.connection}, of whose few resources all may change"


def _half_seen(case: Evidence, item: Item) -> str | None:
    """Return a line for a question, answered or not, about half of a move: nobody ever wrote that place."""
    if item.kind not in ("conflict", "proposal") or not item.unit.startswith("parent_map:") or case.hidden():
        return None
    child, place = item.unit.partition(":")[2], said(item.unit, item.theirs)
    moves = [edit for edit in case.log.edits if edit.key == (child, "parent")]
    there = [edit for edit in moves if edit.side == item.connection]
    wrote = {value for edit in moves for value in (edit.value, edit.over)}
    agreed = (item.connection, (child, "parent")) in case.log.agreed
    if not there or not agreed or case.log.ever_withheld or case.log.ever_refused or place in wrote:
        return None
    if any(edit.side != item.connection for edit in moves) and place != NOTHING:
        return None  # one of two parents is ours: a clash
    if case.there[item.connection].get((child, "parent")) == place:
        return None  # two moves there left it so
    return f"needless: half a move of {child} was asked about at {item.connection} ({place})"


def _not_gone(case: Evidence, item: Item) -> str | None:
    """Return a line for a resource that was said to be gone or void, and that nobody took away."""
    if item.kind not in ("gone", "void") or case.log.ever_withheld or case.log.ever_refused:
        return None
    return None if item.owner in case.log.void else f"needless: {item.owner} is not {item.kind} at {item.connection}"


def _settled_by_policy(case: Evidence, item: Item) -> bool:
    """Tell whether an EHR's two parents, of which one is ours, are a clash that the policy decides.

    Over a place that another EHR gave, or of a goal that is withheld, nothing of theirs is taken without a person: this
    one may not see it.
    """
    if {item.unit.partition(":")[2], said(item.unit, item.ours)} & case.log.withheld:
        return False
    above, mine = parts(item.unit, item.theirs) - {said(item.unit, item.theirs)}, said(item.unit, item.ours)
    edits = [edit for edit in case.log.edits if edit.key == key_of(item)]
    wrote = {edit.side for edit in edits if edit.value == mine}
    here = [edit.value for edit in edits if edit.side == "here"]
    # What we wrote and moved on from since came back from there.
    from_elsewhere = bool(wrote - {"here", item.connection}) and here[-1:] != [mine]
    return case.cell.clash("parent_map") != "ask" and len(above) > 1 and mine in above and not from_elsewhere


def _taken_at_once(case: Evidence, item: Item) -> bool:
    of_a_field = item.unit in TAKEN_AT_ONCE
    return of_a_field and case.cell.accept(item.unit) == "auto" and item.why != "server_holds_less"


def _edited_again(case: Evidence, item: Item) -> bool:
    """Tell whether the EHR wrote the unit anew after a person had answered a question about it."""
    since = case.log.answered.get((item.connection, item.owner, item.unit), 0)
    key = key_of(item)
    return any(edit.key == key and edit.side == item.connection for edit in case.log.edits[since:])


def _may_clash_alone(case: Evidence, item: Item) -> bool:
    """Tell whether a unit clashes that only the EHR wrote since it was agreed."""
    return _decided_for_ours(case, item) or _two_moves_at_once(case, item)


def _two_moves_at_once(case: Evidence, item: Item) -> bool:
    """Tell whether an EHR's people gave a child two parents, each by a move of their own, and one of them is ours.

    A move is two writes: another one in between does not take away what is still to be given. Two parents of which one
    is ours are a clash even where we changed nothing (design 5.2).
    """
    key, above, mine = key_of(item), said(item.unit, item.theirs).split("+"), said(item.unit, item.ours)
    if not item.unit.startswith("parent_map:") or len(above) < 2 or mine not in above:
        return False
    last = {edit.value: edit.tick for edit in case.log.edits if (edit.side, edit.key) == (item.connection, key)}
    when = [last[parent] for parent in above if parent in last]
    return len(when) == len(above) and max(when) - min(when) <= HALF_TICKS


def _decided_for_ours(case: Evidence, item: Item) -> bool:
    """Tell whether a person chose ours over an earlier value of theirs: that is an edit here too."""
    same = [
        one for one in case.items if (one.connection, one.owner, one.unit) == (item.connection, item.owner, item.unit)
    ]
    return any(one.by_person for one in same)


def growth(case: Evidence) -> Iterator[str]:
    """Yield a line for each intent and question that is left over at rest."""
    told = {(item.connection, item.owner, item.unit) for item in case.waiting if item.kind == "held"}
    for connection, kind, own in case.raw.execute("select connection, kind, local_id from intents"):
        # What may no longer go is not repeated: it stays a candidate until the resource moves, and an item says so.
        if (connection, own, kind) not in told:
            yield f"growth: an intent for {kind} {own} at {connection} is left at rest"
    asked = Counter(
        (item.connection, item.owner, item.unit) for item in case.waiting if item.kind in ("conflict", "proposal")
    )
    for (connection, owner, unit), count in asked.items():
        if count > 1:
            yield f"growth: {count} questions about {unit} of {owner} at {connection}"
    for item in case.waiting:
        if item.kind not in ("conflict", "proposal") or item.connection in case.log.refused:
            continue
        key = key_of(item)
        if key is None:
            continue
        now = case.there[item.connection].get(key, NOTHING)
        if case.not_comparable(key, case.there[item.connection]):
            continue
        if said(item.unit, item.theirs) != now:
            asks = f"{item.unit} of {item.owner} at {item.connection}"
            yield f"growth: the question about {asks} is out of date: {now} stands there"
