"""`patients unlink`: a client leaves a chart, in the way the connection is set to, and is told so everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.desk import BY, Desk, desk, unwrapped

__all__ = ["desk", "unwrapped"]

CLIENT = "client-214"
WHY = ["--by", "staff-7", "--reason", "wrong chart, INC-9"]
UNLINK = ["patients", "unlink", "ehr-main", CLIENT]


def patient(desk: Desk) -> dict[str, Any] | None:
    links = desk.json("patients", "list", "ehr-main")["links"]
    return next((one for one in links if one["kind"] == "Patient"), None)


def test_a_client_of_whom_nothing_was_sent_is_unlinked_at_once(desk: Desk) -> None:
    """Nothing is taken back, the link is forgotten, and who did it and why is in the audit."""
    desk.armed()
    found = desk.json(*UNLINK, *WHY)
    assert (found["state"], found["way"], found["resources"]) == ("unlinked", None, [])
    assert patient(desk) is None
    [row] = desk.audit("unlink")
    assert (row.actor, row.detail["client"], row.detail["reason"]) == ("staff-7", CLIENT, "wrong-chart-INC-9")


def test_what_stands_there_needs_the_word_retract(desk: Desk) -> None:
    """Without --retract nothing is changed, and the message says what to do."""
    desk.armed()
    desk.json("sync", "ehr-main")
    code, _, err = desk.run(*UNLINK, *WHY)
    assert (code, "--retract" in err) == (2, True)
    assert patient(desk) is not None
    assert desk.json("preview", "ehr-main")["operations"] == []


def test_a_client_who_is_not_linked_is_refused_without_an_echo(desk: Desk) -> None:
    """What was typed for an id may be a name: it is not repeated."""
    desk.armed()
    code, _, err = desk.run("patients", "unlink", "ehr-main", "Tobias Renwick", *WHY)
    assert (code, "patients list ehr-main" in err, "Renwick" in err) == (2, True, False)


@pytest.mark.parametrize("way", ["blank", "delete"])
def test_a_chart_is_left_by_the_next_run(desk: Desk, way: str) -> None:
    """The command names each resource and the way; the preview shows it; the run does it and forgets the link."""
    desk.configure(retract=way)
    desk.armed()
    desk.json("sync", "ehr-main")
    told = desk.ok(*UNLINK, "--retract", *WHY)
    assert "10 resources" in told
    assert "Reduce washing" in told
    assert ("deletes" in told) == (way == "delete")
    link = patient(desk)
    assert link is not None
    assert link["status"] == "unlinking"
    [line] = [line for line in desk.ok("patients", "list", "ehr-main").splitlines() if CLIENT in line]
    assert link["reference"].removeprefix("Patient/") in line
    assert line.endswith("is being unlinked")
    code, _, err = desk.run(*UNLINK, "--retract", *WHY)
    assert (code, "already" in err) == (2, True)
    operations = desk.json("preview", "ehr-main")["operations"]
    assert {one["operation"] for one in operations} == {"delete" if way == "delete" else "retract"}
    desk.json("sync", "ehr-main")
    assert patient(desk) is None
    assert "Reduce washing t" not in desk.goals()


def test_left_there_each_resource_becomes_an_item(desk: Desk) -> None:
    """Under `leave` the command says that nothing is changed there; the next run names each resource."""
    desk.armed()
    desk.json("sync", "ehr-main")
    assert "`leave`" in desk.ok(*UNLINK, "--retract", *WHY)
    assert desk.json("sync", "ehr-main", code=1)["writes"] == 0
    items = desk.json("inbox", "list")["items"]
    assert [(one["kind"], one["why"]) for one in items] == [("retract", "wrong_chart")] * 10


def test_a_paused_connection_says_that_nothing_is_taken_back_yet(desk: Desk) -> None:
    """Sending stops at once in any case; taking back waits until the connection writes."""
    desk.configure(retract="delete")
    desk.armed()
    desk.json("sync", "ehr-main")
    desk.ok("ehr", "pause", "ehr-main", *BY)
    assert "is paused" in desk.ok(*UNLINK, "--retract", *WHY)
