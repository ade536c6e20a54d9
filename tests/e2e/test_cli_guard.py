"""`ehr guard`: an operator sees what was stopped, what it would have done, and lets it pass once."""

from __future__ import annotations

import json

import msgspec
import pytest

from fhirgoals.domain.records import Plan, Withheld
from fhirgoals.store import open_store
from tests.e2e.desk import BY, EXAMPLES, Desk, desk, unwrapped

__all__ = ["desk", "unwrapped"]

PLAN = "plan-dep-01"
SENT = ["g-ba", "g-thought", "g-sleep", "g-move", "g-social", "g-gratitude"]
CLEAR = ["--clear", "--by", "it-1", "--reason", "the client asked, INC-7"]


def withheld(plan: Plan) -> Plan:
    marked = tuple(msgspec.structs.replace(one, share="withheld") if one.id in SENT else one for one in plan.goals)
    shown = msgspec.structs.replace(plan.disclosure, withheld=tuple(Withheld(target=one) for one in SENT))
    return msgspec.structs.replace(plan, goals=marked, disclosure=shown)


@pytest.fixture
def stopped(desk: Desk) -> Desk:
    """Six goals that were sent are withheld at once, and the connection deletes what is withheld."""
    desk.ok("put", str(EXAMPLES / "01-depression.yaml"), *BY, "--reason", "initial")
    desk.configure(retract="delete")
    desk.armed()
    desk.run("sync", "ehr-main")
    desk.run("sync", "ehr-main")
    desk.edit_here(PLAN, withheld)
    assert desk.json("sync", "ehr-main", code=1)["writes"] == 0
    return desk


def test_a_quiet_guard_shows_its_limits_and_clears_nothing(desk: Desk) -> None:
    """With nothing stopped the figures stand against the limits, and a clearance in advance is refused."""
    found = desk.json("ehr", "guard", "ehr-main")
    assert (found["links"], found["removed"], found["changed"]) == (
        0,
        {"done": 0, "limit": 5},
        {"done": 0, "limit": None},
    )
    assert (found["stopped"], found["cleared_by"]) == ([], None)
    assert "Nothing is stopped." in desk.ok("ehr", "guard", "ehr-main")
    code, _, err = desk.run("ehr", "guard", "ehr-main", *CLEAR)
    assert (code, "nothing to clear" in err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [["--clear"], ["--clear", "--by", "it-1"], ["--by", "it-1"], ["--clear", "--by", "it-1", "--reason", "…"]],
)
def test_a_clearance_needs_a_name_and_a_reason(desk: Desk, arguments: list[str]) -> None:
    """Without who and why, or with them and nothing to clear, nothing is done."""
    code, _, err = desk.run("ehr", "guard", "ehr-main", *arguments)
    assert code == 2
    assert len(err.splitlines()) == 1


def test_what_was_stopped_is_seen_and_passes_once(stopped: Desk) -> None:
    """The item names the command; the preview shows what is stopped; after the clearance one run does it, audited."""
    [item] = stopped.json("inbox", "list")["items"]
    assert "fhirgoals ehr guard NAME --clear" in stopped.ok("inbox", "show", str(item["id"]))
    shown = stopped.ok("ehr", "guard", "ehr-main")
    assert PLAN in shown
    assert "preview ehr-main --stopped" in shown
    assert [one["plan"] for one in stopped.json("ehr", "guard", "ehr-main")["stopped"]] == [PLAN]
    assert stopped.json("preview", "ehr-main")["operations"] == []
    planned = stopped.json("preview", "ehr-main", "--stopped")["operations"]
    assert sorted(one["id"] for one in planned if one["operation"] == "delete") == sorted(SENT)

    assert stopped.json("ehr", "guard", "ehr-main", *CLEAR)["cleared_by"] == "it-1"
    assert "Cleared by it-1" in stopped.ok("ehr", "guard", "ehr-main")
    assert len(stopped.json("sync", "ehr-main")["retracted"]) >= len(SENT)
    after = stopped.json("ehr", "guard", "ehr-main")
    assert (after["removed"]["done"], after["stopped"], after["cleared_by"]) == (6, [], None)
    [row] = stopped.audit("guard_clear")
    assert (row.actor, row.detail) == ("it-1", {"reason": "the-client-asked-INC-7"})


def test_no_clinical_word_stands_in_it(stopped: Desk) -> None:
    """What an operator sees of a stopped plan are ids and counts."""
    told = stopped.ok("ehr", "guard", "ehr-main") + json.dumps(stopped.json("ehr", "guard", "ehr-main"))
    store = open_store(stopped.store)
    with store.read() as tx:
        known = tx.plans.get(PLAN)
    store.close()
    assert known is not None
    assert not [goal.id for goal in known.plan.goals if goal.text and goal.text in told]
