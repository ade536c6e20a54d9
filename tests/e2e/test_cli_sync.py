"""The command line against a sandbox EHR on a real socket: connect, link, preview, arm, sync, see what waits."""

from __future__ import annotations

import json
import re

from fhirgoals.store import open_store
from tests.e2e.desk import BY, EXAMPLES, Desk, default_desk, desk, unwrapped

__all__ = ["default_desk", "desk", "unwrapped"]

PRIORITY = "http://terminology.hl7.org/CodeSystem/goal-priority"


def test_nothing_is_written_before_arming(desk: Desk) -> None:
    """Observing reads and counts; apply is refused; the EHR has no goal."""
    desk.create_people()
    code, out, _ = desk.run("patients", "match", "ehr-main", *BY)
    assert code == 1
    assert "Tobias Renwick" in out
    desk.ok("patients", "confirm", "ehr-main", "--all", *BY)
    assert desk.json("patients", "match", "ehr-main", *BY)["new"] == 0
    found = desk.json("preview", "ehr-main")
    assert len(found["operations"]) == 10
    counts = desk.json("sync", "ehr-main")
    assert (counts["created"], counts["writes"]) == (0, 0)
    assert desk.run("apply")[0] == 2
    assert desk.goals() == {}


def test_an_unlinked_client_is_told_and_sends_nothing(desk: Desk) -> None:
    """Without a linked patient the plan waits, and the next step is named."""
    desk.ok("ehr", "arm", "ehr-main", *BY, "--reason", "seen", "--yes")
    out = desk.ok("sync", "ehr-main")
    assert "patients match ehr-main" in out
    assert desk.goals() == {}


def test_preview_equals_apply(desk: Desk) -> None:
    """The operations of the preview are those that apply does, and a second run does none."""
    desk.armed()
    file = desk.folder / "preview.json"
    desk.ok("preview", "ehr-main", "--out", str(file))
    kept = json.loads(file.read_bytes())
    assert len(kept["connections"][0]["operations"]) == 10
    counts = desk.json("apply", str(file))
    assert (counts["created"], counts["writes"]) == (10, 10)
    again = desk.json("sync", "ehr-main")
    assert list(again)[:11] == [
        "connection",
        "read",
        "created",
        "pushed",
        "pulled",
        "conflicts",
        "proposals",
        "held",
        "quarantined",
        "requests",
        "writes",
    ]
    assert again["writes"] == 0
    assert desk.json("preview", "ehr-main")["operations"] == []


def test_edits_travel_and_a_closure_waits(desk: Desk) -> None:
    """A priority comes in, a closure becomes an item with exit code 1, and an old file can't undo what came in."""
    desk.armed()
    desk.json("sync", "ehr-main")
    goal = desk.goals()["Reduce washing t"]
    goal["priority"] = {"coding": [{"system": PRIORITY, "code": "low-priority"}]}
    goal["lifecycleStatus"] = "completed"
    desk.edit(goal)
    counts = desk.json("sync", "ehr-main", code=1)
    assert (counts["pulled"], counts["proposals"], counts["new_items"]) == (1, 1, 1)
    assert desk.json("sync", "ehr-main")["new_items"] == 0

    out = desk.ok("inbox", "list")
    assert "the EHR proposes" in out
    assert "completed" not in out
    assert "Reduce washing" not in out
    [item] = desk.json("inbox", "list")["items"]
    assert (item["kind"], item["owner"], item["field"]) == ("proposal", "g-wash", "status")
    assert "ours" not in item
    number = str(item["id"])
    assert "Reduce washing" not in desk.ok("inbox", "show", number)
    shown = desk.ok("inbox", "show", number, "--by", "staff-11")
    assert "Reduce washing" in shown
    assert "closed" in shown
    assert desk.json("inbox", "show", number, "--by", "staff-11")["theirs"]["lifecycle"] == "completed"

    assert "priority: low" in desk.ok("get", "plan-ocd-01")
    code, _, err = desk.run("put", str(EXAMPLES / "02-ocd-exposure.yaml"), *BY, "--reason", "correction")
    assert code == 2
    assert "would undo 1 change" in err


def test_what_is_settled_stands_on_both_sides(desk: Desk) -> None:
    """A closure is rejected and undone at the EHR; the next one is taken with its reason; neither comes back."""
    desk.armed()
    desk.json("sync", "ehr-main")
    goal = desk.goals()["Reduce washing t"]
    desk.edit({**goal, "lifecycleStatus": "completed"})
    desk.json("sync", "ehr-main", code=1)
    [item] = desk.json("inbox", "list", "--connection", "ehr-main")["items"]
    settle = ["inbox", "resolve", str(item["id"]), "--by", "staff-11"]
    assert "settled by" in desk.run("inbox", "resolve", str(item["id"]), "--by", "staff-7", "--take", "ours")[2]
    desk.ok(*settle, "--take", "ours", "--reason", "it goes on")
    assert desk.json("sync", "ehr-main")["writes"] == 1
    goal = desk.goals()["Reduce washing t"]
    assert goal["lifecycleStatus"] == "active"
    assert desk.json("sync", "ehr-main")["writes"] == 0

    desk.edit({**goal, "lifecycleStatus": "completed"})
    desk.json("sync", "ehr-main", code=1)
    [item] = desk.json("inbox", "list")["items"]
    settle[2] = str(item["id"])
    code, _, err = desk.run(*settle, "--take", "theirs")
    assert code == 2
    assert "closure reason" in err
    parts = {"closure_reason": "achieved", "achievement": "achieved", "status_date": "2026-11-06"}
    desk.ok(*settle, "--take", "theirs", "--with", json.dumps(parts))
    assert "lifecycle: completed" in desk.ok("get", "plan-ocd-01")
    assert desk.json("sync", "ehr-main")["writes"] == 1
    assert desk.goals()["Reduce washing t"]["achievementStatus"]["coding"][0]["code"] == "achieved"
    assert desk.ok("inbox", "list") == "Nothing waits.\n"
    assert desk.json("sync", "ehr-main")["writes"] == 0


def test_an_edit_here_is_sent_and_shown(desk: Desk) -> None:
    """`get`, edit, `put`, `sync`: the EHR has the new text."""
    desk.armed()
    desk.json("sync", "ehr-main")
    file = desk.folder / "plan.yaml"
    file.write_text(desk.ok("get", "plan-ocd-01").replace("30 minutes a day or less", "25 minutes a day or less"))
    desk.ok("put", str(file), "--by", "staff-11", "--reason", "progress")
    found = desk.json("preview", "ehr-main")["operations"]
    assert found == [{"operation": "update", "resource": "Goal", "id": "g-wash", "units": ["text"]}]
    assert desk.json("sync", "ehr-main")["pushed"] == 1
    assert desk.goals()["Reduce washing t"]["description"]["text"].endswith("25 minutes a day or less")


def test_pause_stops_a_connection(desk: Desk) -> None:
    """A paused connection is left alone, and named in a run it is refused."""
    desk.armed()
    desk.ok("ehr", "pause", "ehr-main", *BY)
    code, _, err = desk.run("sync", "ehr-main")
    assert code == 2
    assert "resume" in err
    assert desk.goals() == {}
    desk.ok("ehr", "resume", "ehr-main", *BY)
    assert desk.json("sync", "ehr-main")["created"] == 10


def test_an_ehr_that_is_away_is_told_and_nothing_is_lost(desk: Desk) -> None:
    """A run against an address where nobody listens exits 2 with one line and leaves the plan to be sent."""
    desk.armed()
    desk.ok("ehr", "add", "gone", "--url", "http://127.0.0.1:9/fhir")
    code, _, err = desk.run("patients", "match", "gone", *BY)
    assert code == 0  # nothing may go there, so nobody is asked about
    store = open_store(desk.store)
    with store.write() as tx:
        known = tx.connections.get("ehr-main")
        assert known is not None
        tx.connections.update_config("ehr-main", {**known.config, "base_url": "http://127.0.0.1:9/fhir"})
    code, _, err = desk.run("sync", "ehr-main")
    assert code == 2
    assert all(line.startswith("error: ehr-main") for line in err.splitlines())
    with store.write() as tx:
        tx.connections.update_config("ehr-main", {**known.config, "base_url": desk.url})
    store.close()
    assert desk.json("sync", "ehr-main")["created"] == 10


def test_what_is_not_sent_yet_is_said_by_preview_sync_and_apply(default_desk: Desk) -> None:
    """By default an edit rests first: none counts it as something to do, and each says from when it may go."""
    default_desk.armed()
    file = default_desk.folder / "preview.json"
    words = r"Not sent yet: what changed in 10 places of 1 plan may go from \d+ \w+ \d+, \d\d:\d\d UTC on, if nobody"
    for command in (["preview", "ehr-main", "--out", str(file)], ["sync", "ehr-main"], ["apply"]):
        code, out, err = default_desk.run(*command)
        assert (code, "error" in err) == (0, False)
        assert re.search(words, out), out
        assert "new there" not in out
    assert default_desk.json("apply", str(file))["writes"] == 0
    shown, done = default_desk.json("preview", "ehr-main"), default_desk.json("sync", "ehr-main")
    assert (shown["operations"], done["created"], done["writes"], default_desk.goals()) == ([], 0, 0, {})
    assert shown["not_sent_yet"] == done["not_sent_yet"] == {"plan-ocd-01": 10}
    assert shown["not_sent_until"] == done["not_sent_until"] is not None
