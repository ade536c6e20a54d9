"""`ehr arm` and `ehr match`: what is there is shown, the first run is small, and a lost link is found again."""

from __future__ import annotations

import pytest

from fhirgoals.store import open_store
from tests.e2e.desk import BY, EXAMPLES, Desk, desk, unwrapped

__all__ = ["desk", "unwrapped"]

ARM = ["ehr", "arm", "ehr-main", *BY, "--reason", "seen", "--yes"]


@pytest.fixture
def linked(desk: Desk) -> Desk:
    """Three plans of linked clients, and a connection that observes."""
    for name in ("01-depression", "03-interpersonal-worklife"):
        desk.ok("put", str(EXAMPLES / f"{name}.yaml"), *BY, "--reason", "initial")
    desk.create_people()
    assert desk.run("patients", "match", "ehr-main", *BY)[0] == 1
    desk.ok("patients", "confirm", "ehr-main", "--all", *BY)
    return desk


def forget(desk: Desk, goal: str) -> None:
    """Forget a goal's link, as an older backup knows nothing of it."""
    store = open_store(desk.store)
    with store.write() as tx:
        tx.links.delete("ehr-main", "Goal", goal)
        bases = tx.bases.for_plan("ehr-main", "plan-ocd-01")
        tx.bases.drop("ehr-main", "plan-ocd-01", [unit for unit in bases if unit.owner == goal])
    store.close()


def test_the_first_run_is_as_small_as_was_said(linked: Desk) -> None:
    """Armed with --first 1, one run says how many plans are left, and the next one sends them."""
    told = linked.ok(*ARM, "--first", "1")
    assert "writes 1 plan at most" in told
    assert "first 1" in linked.ok("ehr", "list")
    assert "Left for later" in linked.ok("preview", "ehr-main")
    counts = linked.json("sync", "ehr-main")
    left = counts["left_for_later"]
    assert left >= 1
    assert linked.json("ehr", "list")["connections"][0]["first"] is None
    assert linked.json("sync", "ehr-main")["left_for_later"] == 0
    [row] = linked.audit("ehr_arm")
    assert row.detail == {"first": 1}


def test_a_run_says_what_it_left(linked: Desk) -> None:
    """In words: how many plans, why, and the command that goes on."""
    linked.ok(*ARM, "--first", "1")
    out = linked.ok("sync", "ehr-main")
    assert "left for later" in out
    assert "the next run has no such limit: fhirgoals sync ehr-main" in out


def test_all_lifts_the_limit(linked: Desk) -> None:
    """`--all` sends every plan at once; arming anew with it lifts a limit that stands."""
    assert linked.json(*ARM)["first"] == 5
    assert linked.json(*ARM, "--all")["first"] is None
    assert linked.json("sync", "ehr-main")["left_for_later"] == 0


@pytest.mark.parametrize("wrong", [["--first", "0"], ["--first", "-1"], ["--first", "3", "--all"]])
def test_a_limit_that_is_none_is_refused(desk: Desk, wrong: list[str]) -> None:
    """Zero, less, and both options at once: one line, and the connection observes as before."""
    code, _, err = desk.run(*ARM, *wrong)
    assert (code, len(err.splitlines())) == (2, 1)
    found = {one["connection"]: one["state"] for one in desk.json("ehr", "list")["connections"]}
    assert found["ehr-main"] == "observe"


def test_arming_shows_what_is_there_and_match_links_it(desk: Desk) -> None:
    """A goal whose link was lost is listed with its resource and why; `--yes` links it, and nothing is sent twice."""
    desk.armed()
    desk.json("sync", "ehr-main")
    assert "nothing stands there" in desk.ok("ehr", "match", "ehr-main", *BY)
    forget(desk, "g-wash")
    resource = f"Goal/{desk.goals()['Reduce washing t']['id']}"
    told = desk.ok(*ARM)
    assert resource in told
    assert "its identifier is ours" in told
    assert "Linked there already: 9 resources." in told
    [one] = desk.json(*ARM)["matches"]
    assert (one["id"], one["status"], one["why"]) == ("g-wash", "proposed", "identifier")
    assert desk.json("ehr", "match", "ehr-main", *BY, code=1)["linked"] == 0
    assert resource in desk.ok("ehr", "match", "ehr-main", *BY, "--yes")
    assert desk.json("ehr", "match", "ehr-main", *BY)["matches"] == []
    counts = desk.json("sync", "ehr-main")
    assert (counts["writes"], counts["held"], len(desk.goals())) == (0, 0, 9)
    assert [row.detail for row in desk.audit("match")] == [{"linked": 1}]
