"""Each variant of the sandbox does what its name says, and a client can rely on what it claims to keep."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from fhirgoals.fhir.exact_json import dumps, loads
from fhirgoals.fhir.wire import Method, Reply, Request
from fhirgoals.sandbox.ehr import ReplyLostError, Sandbox
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sandbox.serve import serve
from fhirgoals.sandbox.variants import VARIANTS

BASE = "http://ehr.test/fhir"
SYSTEM = "urn:s"
SOURCE = "urn:uuid:0e1c5f9e-1111-4222-8333-444455556666"


class Clock:
    """A clock that stands still until it is moved on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 6, 9, 0, 0, 250000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Ehr:
    """A sandbox of one variant, and short ways to ask it."""

    def __init__(self, name: str) -> None:
        ids = itertools.count(1)
        self.clock = Clock()
        self.box = Sandbox(VARIANTS[name].knobs, clock=self.clock, new_id=lambda: f"made-{next(ids)}")

    def ask(self, method: Method, path: str, tree: object = None, **headers: str) -> Reply:
        body = None if tree is None else dumps(tree)  # type: ignore[arg-type]
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.box.answer(Request(method, BASE + path, named, body))

    def put(self, tree: dict[str, Any], **headers: str) -> Reply:
        return self.ask("PUT", f"/{tree['resourceType']}/{tree['id']}", tree, **headers)

    def get(self, path: str) -> Any:
        return loads(self.ask("GET", path).body)


def goal(text: str = "Walk every day", /, **more: object) -> dict[str, Any]:
    return {"resourceType": "Goal", "id": "g1", "description": {"text": text}, **more}


def tree(reply: Reply) -> Any:
    return loads(reply.body)


def transaction(*entries: object) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


# What is stored of what is sent


def test_plain_keeps_everything() -> None:
    """What is sent comes back to the byte, but for id and meta, which the server sets."""
    ehr = Ehr("plain")
    sent = goal(extension=[{"url": "u", "valueDecimal": loads("3.00")}], note=[{"id": "n", "text": "x"}])

    reply = ehr.put(sent)

    assert reply.headers["etag"] == 'W/"1"'
    assert reply.body == (
        b'{"resourceType":"Goal","id":"g1","meta":{"versionId":"1","lastUpdated":"2026-11-06T09:00:00.250Z"},'
        b'"description":{"text":"Walk every day"},"extension":[{"url":"u","valueDecimal":3.00}],'
        b'"note":[{"id":"n","text":"x"}]}'
    )


def test_drops_extensions() -> None:
    """No extension is stored, at any depth."""
    stored = tree(Ehr("drops_extensions").put(goal(extension=[{"url": "u"}], note=[{"text": "x", "extension": []}])))

    assert "extension" not in stored
    assert stored["note"] == [{"text": "x"}]


def test_drops_fields() -> None:
    """Goal.note, statusReason, outcomeReference and CarePlan.note are gone; the other fields stay."""
    ehr = Ehr("drops_fields")

    stored = tree(ehr.put(goal(note=[{"text": "x"}], statusReason="r", _statusReason={"id": "s"}, statusDate="2026")))
    plan = tree(ehr.put({"resourceType": "CarePlan", "id": "c1", "note": [{"text": "x"}], "title": "t"}))

    assert {key for key in stored if key not in ("id", "meta")} == {"resourceType", "description", "statusDate"}
    assert (plan["title"], "note" in plan) == ("t", False)


def test_drop_fields_follows_a_path_through_lists() -> None:
    """A path names what is dropped within each entry; an entry that held nothing else goes with it."""
    knobs = Knobs(drop_fields=("Goal.target.due", "*.title"))
    resource = goal(target=[{"due": "1", "measure": "m"}, {"due": "2"}], title="t")

    assert knobs.as_stored(resource)["target"] == [{"measure": "m"}]
    assert "title" not in knobs.as_stored(resource)
    assert "target" not in knobs.as_stored(goal(target=[{"due": "2"}]))
    assert resource["target"] == [{"due": "1", "measure": "m"}, {"due": "2"}]


def test_drops_identifiers() -> None:
    """A goal is not found by its identifier, so that a repeated conditional create makes a second one."""
    ehr = Ehr("drops_identifiers")
    sent = goal(identifier=[{"system": SYSTEM, "value": "a"}])

    first = ehr.ask("POST", "/Goal", sent, if_none_exist=f"identifier={SYSTEM}|a")
    second = ehr.ask("POST", "/Goal", sent, if_none_exist=f"identifier={SYSTEM}|a")

    assert [first.status, second.status] == [201, 201]
    assert "identifier" not in tree(first)


def test_drops_element_ids() -> None:
    """Ids of elements go, with what held nothing else; those of the resource and of what it contains stay."""
    sent = goal(
        target=[{"id": "due", "dueDate": "2026-12-18"}, {"id": "empty"}],
        contained=[{"resourceType": "Group", "id": "in", "identifier": [{"id": "x", "value": "v"}]}],
        _startDate={"id": "s"},
    )

    stored = tree(Ehr("drops_element_ids").put(sent))

    assert stored["id"] == "g1"
    assert stored["target"] == [{"dueDate": "2026-12-18"}]
    assert stored["contained"] == [{"resourceType": "Group", "id": "in", "identifier": [{"value": "v"}]}]
    assert "_startDate" not in stored


def test_cuts_text() -> None:
    """Texts keep ten characters."""
    stored = tree(
        Ehr("cuts_text").put(goal("Walk every day", note=[{"text": "twelve chars"}], statusReason="unchanged!!"))
    )

    assert stored["description"] == {"text": "Walk every"}
    assert stored["note"] == [{"text": "twelve cha"}]
    assert stored["statusReason"] == "unchanged!!"


def test_absolute_references() -> None:
    """References to this server become URLs under its base; the search finds them still; others stay."""
    ehr = Ehr("absolute_references")
    sent = goal(subject={"reference": "Patient/p1"}, addresses=[{"reference": "#in"}, {"reference": "urn:uuid:1"}])

    stored = tree(ehr.put(sent))

    assert stored["subject"] == {"reference": "http://ehr.test/fhir/Patient/p1"}
    assert stored["addresses"] == [{"reference": "#in"}, {"reference": "urn:uuid:1"}]
    assert ehr.get("/Goal?patient=Patient/p1")["total"] == 1


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("3.00", "3.0"), ("7.10", "7.1"), ("3", "3"), ("0.50", "0.5"), ("100.0", "100.0"), ("-2.500", "-2.5")],
)
def test_rewrites_decimals(sent: str, stored: str) -> None:
    """Trailing zeros go but for one digit behind the point; whole numbers are left alone."""
    reply = Ehr("rewrites_decimals").put(goal(target=[{"detailQuantity": {"value": loads(sent)}}]))

    assert f'"value":{stored}}}'.encode() in reply.body


def test_rewrites_narrative() -> None:
    """The narrative is the server's, whatever was sent, and also where none was."""
    ehr = Ehr("rewrites_narrative")
    own = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Goal</p></div>'}

    assert tree(ehr.put(goal(text={"status": "additional", "div": "<div>ours</div>"})))["text"] == own
    assert tree(ehr.put(goal()))["text"] == own


# meta


def test_merges_tags() -> None:
    """An update keeps the tags and labels of the version before and adds new ones; the rest of meta is as sent."""
    ehr = Ehr("merges_tags")
    ehr.put(goal(meta={"tag": [{"code": "a"}], "security": [{"code": "R"}], "profile": ["p"]}))

    added = tree(ehr.put(goal(meta={"tag": [{"code": "b"}, {"code": "a"}]})))
    without = tree(ehr.put(goal()))

    assert added["meta"]["tag"] == [{"code": "a"}, {"code": "b"}]
    assert added["meta"]["security"] == [{"code": "R"}]
    assert "profile" not in added["meta"]
    assert without["meta"]["tag"] == [{"code": "a"}, {"code": "b"}]


def test_suffixes_source() -> None:
    """`#` and an id of the request stand behind meta.source, and alone where none was sent; an older suffix goes."""
    ehr = Ehr("suffixes_source")

    sources = [
        tree(ehr.put(goal(meta=meta)))["meta"]["source"]
        for meta in ({"source": SOURCE}, {"source": f"{SOURCE}#0000000000000001"}, {})
    ]

    assert sources == [f"{SOURCE}#0000000000000001", f"{SOURCE}#0000000000000002", "#0000000000000003"]


@pytest.mark.parametrize(
    ("name", "source"), [("copies_source", f"{SOURCE}#0000000000000001"), ("suffixes_source", None), ("plain", None)]
)
def test_copies_source(name: str, source: str | None) -> None:
    """An edit at the EHR carries the meta.source of the version before along; elsewhere it has none."""
    ehr = Ehr(name)
    edited = tree(ehr.put(goal(meta={"source": SOURCE})))
    edited["description"] = {"text": "edited there"}

    version = ehr.box.edit("Goal", "g1", edited)

    now = ehr.get("/Goal/g1")
    assert (now["meta"].get("source"), now["meta"]["versionId"], version.version_id) == (source, "2", "2")
    assert now["description"] == {"text": "edited there"}


def test_drops_source() -> None:
    """meta.source is not stored; the rest of meta is."""
    stored = tree(Ehr("drops_source").put(goal(meta={"source": SOURCE, "tag": [{"code": "a"}]})))

    assert sorted(stored["meta"]) == ["lastUpdated", "tag", "versionId"]


def test_no_meta() -> None:
    """No body has meta, in reads, searches and history; ETags are sent, kept apart and checked."""
    ehr = Ehr("no_meta")
    ehr.put(goal(meta={"tag": [{"code": "a"}]}))
    stale = ehr.put(goal(), if_match='W/"9"')
    second = ehr.put(goal(), if_match='W/"1"')

    read = ehr.ask("GET", "/Goal/g1")
    assert (second.status, stale.status, read.headers["etag"]) == (200, 412, 'W/"2"')
    assert "last-modified" not in read.headers
    assert "meta" not in tree(read)
    assert "meta" not in ehr.get("/Goal?_id=g1")["entry"][0]["resource"]
    entries = ehr.get("/Goal/g1/_history")["entry"]
    assert [(each["response"]["etag"], "meta" in each["resource"]) for each in entries] == [
        ('W/"2"', False),
        ('W/"1"', False),
    ]


def test_no_meta_no_etag() -> None:
    """Only the content tells versions apart: no meta, no ETag, no history, and If-Match is ignored."""
    ehr = Ehr("no_meta_no_etag")
    ehr.put(goal("one"))

    second = ehr.put(goal("two"), if_match='W/"9"')

    assert (second.status, tree(second)) == (200, goal("two"))
    assert sorted(second.headers) == ["content-length", "content-location", "content-type"]
    assert ehr.ask("GET", "/Goal/g1/_history").status == 405


# Versions


def test_no_history() -> None:
    """Neither the history nor one version can be read, and the CapabilityStatement says so; all else works."""
    ehr = Ehr("no_history")
    ehr.put(goal())

    assert [ehr.ask("GET", f"/Goal/g1/{path}").status for path in ("_history", "_history/1")] == [405, 405]
    offered = next(each for each in ehr.get("/metadata")["rest"][0]["resource"] if each["type"] == "Goal")
    assert offered["readHistory"] is False
    assert [each["code"] for each in offered["interaction"]] == ["read", "search-type", "create", "update", "delete"]
    assert ehr.put(goal(), if_match='W/"1"').headers["etag"] == 'W/"2"'


def test_no_etag() -> None:
    """No reply has an ETag and a stale If-Match goes through; versions count on."""
    ehr = Ehr("no_etag")
    first = ehr.put(goal())

    second = ehr.put(goal(), if_match='W/"9"')

    assert [("etag" in reply.headers, tree(reply)["meta"]["versionId"]) for reply in (first, second)] == [
        (False, "1"),
        (False, "2"),
    ]


@pytest.mark.parametrize(
    ("name", "tag", "others"),
    [
        ("bare_etag", "2", ['"2"', 'W/"2"', "1"]),
        ("strong_etag", '"2"', ["2", 'W/"2"', '"1"']),
        ("weak_etag", 'W/"2"', ["2", 'W/"1"']),
    ],
)
def test_etag_spelling(name: str, tag: str, others: list[str]) -> None:
    """ETags are spelled one way everywhere; sent back as they came they hold, in the other spellings they do not."""
    ehr = Ehr(name)
    ehr.put(goal())
    ehr.put(goal("x"))

    assert ehr.ask("GET", "/Goal/g1").headers["etag"] == tag
    assert ehr.get("/Goal/g1/_history")["entry"][0]["response"]["etag"] == tag
    assert [ehr.put(goal(), if_match=other).status for other in others] == [412] * len(others)
    assert ehr.ask("GET", "/Goal/g1", if_none_match=tag).status == 304
    assert ehr.put(goal("y"), if_match=tag).status == 200
    assert ehr.put(goal("z"), if_none_match="*").status == 412


def test_second_resolution() -> None:
    """Times are whole seconds and version ids their count: two versions within one second look the same."""
    ehr = Ehr("second_resolution")
    first = ehr.put(goal("one"))
    ehr.clock.forward(0.5)
    second = ehr.put(goal("two"), if_match=first.headers["etag"])
    ehr.clock.forward(0.5)
    stale = ehr.put(goal("three"), if_match='W/"1793955599"')
    third = ehr.put(goal("three"))

    assert [tree(reply)["meta"] for reply in (first, second, third)] == [
        {"versionId": "1793955600", "lastUpdated": "2026-11-06T09:00:00.000Z"},
        {"versionId": "1793955600", "lastUpdated": "2026-11-06T09:00:00.000Z"},
        {"versionId": "1793955601", "lastUpdated": "2026-11-06T09:00:01.000Z"},
    ]
    assert stale.status == 412
    assert ehr.get("/Goal/g1/_history/1793955600")["description"] == {"text": "two"}


def test_version_always_1() -> None:
    """Every version says 1, so that an If-Match with it always holds; the history still has all, page by page."""
    ehr = Ehr("version_always_1")
    ehr.put(goal("one"))
    for text in ("two", "three"):
        assert ehr.put(goal(text), if_match='W/"1"').headers["etag"] == 'W/"1"'

    assert ehr.get("/Goal/g1")["meta"]["versionId"] == "1"
    assert ehr.get("/Goal/g1/_history/1")["description"] == {"text": "three"}
    texts, url = [], "/Goal/g1/_history?_count=2"
    while url:
        page = ehr.get(url)
        texts += [each["resource"]["description"]["text"] for each in page["entry"]]
        url = next((each["url"].removeprefix(BASE) for each in page["link"] if each["relation"] == "next"), "")
    assert texts == ["three", "two", "one"]
    assert [each["relation"] for each in ehr.get("/Goal/g1/_history?_count=3")["link"]] == ["self"]


def test_bumps_version() -> None:
    """Right after each write the server stores the same content once more, so that the ETag of the reply is old."""
    ehr = Ehr("bumps_version")
    reply = ehr.put(goal("one"))

    assert reply.headers["etag"] == 'W/"1"'
    assert ehr.ask("GET", "/Goal/g1").headers["etag"] == 'W/"2"'
    assert ehr.get("/Goal/g1")["description"] == {"text": "one"}
    assert ehr.put(goal("two"), if_match='W/"1"').status == 412
    assert ehr.get("/Goal/g1/_history")["total"] == 2


def test_keeps_version_on_noop() -> None:
    """The same content again, key order, meta.source and version aside, makes no version; If-Match is checked first."""
    ehr = Ehr("keeps_version_on_noop")
    ehr.put(goal(meta={"tag": [{"code": "a"}], "source": "urn:one"}))
    same = {**goal(), "meta": {"source": "urn:two", "versionId": "7", "tag": [{"code": "a"}]}}

    noop = ehr.put(same, if_match='W/"1"')

    assert (noop.status, noop.headers["etag"], tree(noop)["meta"]["source"]) == (200, 'W/"1"', "urn:one")
    assert ehr.put(same, if_match='W/"9"').status == 412
    assert ehr.put(goal(), if_match='W/"1"').headers["etag"] == 'W/"2"'


def test_stale_is_409() -> None:
    """An update with a stale If-Match is a 409 and stores nothing; other conditions stay 412."""
    ehr = Ehr("stale_is_409")
    ehr.put(goal())

    assert ehr.put(goal("x"), if_match='W/"9"').status == 409
    assert ehr.put(goal("x"), if_none_match="*").status == 412
    assert ehr.get("/Goal/g1")["meta"]["versionId"] == "1"


def test_gone_is_404() -> None:
    """After a delete nothing tells that the resource ever was."""
    ehr = Ehr("gone_is_404")
    ehr.put(goal())
    ehr.ask("DELETE", "/Goal/g1")

    paths = ("/Goal/g1", "/Goal/g1/_history", "/Goal/g1/_history/1")
    assert [ehr.ask("GET", path).status for path in paths] == [404, 404, 404]


def test_delete_unchecked() -> None:
    """A delete with a stale If-Match deletes; an update with one is refused."""
    ehr = Ehr("delete_unchecked")
    ehr.put(goal())

    assert ehr.put(goal(), if_match='W/"9"').status == 412
    assert ehr.ask("DELETE", "/Goal/g1", if_match='W/"9"').status == 204


# What may be written, and how often


def test_duplicates_allowed() -> None:
    """If-None-Exist is ignored: the same create twice makes two, which a search then finds."""
    ehr = Ehr("duplicates_allowed")
    sent = goal(identifier=[{"system": SYSTEM, "value": "a"}])

    replies = [ehr.ask("POST", "/Goal", sent, if_none_exist=f"identifier={SYSTEM}|a") for _ in range(2)]

    assert [reply.status for reply in replies] == [201, 201]
    assert ehr.get(f"/Goal?identifier={SYSTEM}|a")["total"] == 2


def test_ignores_if_none_match() -> None:
    """A create under a client's id overwrites what is there."""
    ehr = Ehr("ignores_if_none_match")
    ehr.put(goal("one"), if_none_match="*")

    assert ehr.put(goal("two"), if_none_match="*").status == 200
    assert ehr.get("/Goal/g1")["description"] == {"text": "two"}


def test_own_ids() -> None:
    """An update of an unknown id creates under another one, each time anew; a known id is updated."""
    ehr = Ehr("own_ids")

    first, second = ehr.put(goal("one")), ehr.put(goal("one"))
    updated = ehr.put(goal("two") | {"id": "made-1"})

    assert [(reply.status, tree(reply)["id"]) for reply in (first, second, updated)] == [
        (201, "made-1"),
        (201, "made-2"),
        (200, "made-1"),
    ]
    assert first.headers["location"] == f"{BASE}/Goal/made-1/_history/1"
    assert ehr.ask("GET", "/Goal/g1").status == 404
    assert ehr.put(goal(), if_match='W/"1"').status == 412


@pytest.mark.parametrize(("name", "status", "says"), [("read_only", 405, False), ("forbids_writes", 403, True)])
def test_read_only(name: str, status: int, says: bool) -> None:
    """No write gets through; one server's CapabilityStatement says so, the other's does not."""
    ehr = Ehr(name)
    ehr.box.storage.update("Goal", "g1", goal())

    writes = [ehr.put(goal("x")), ehr.ask("POST", "/Goal", goal("x")), ehr.ask("DELETE", "/Goal/g1")]

    assert [reply.status for reply in writes] == [status] * 3
    assert ehr.get("/Goal/g1")["description"] == {"text": "Walk every day"}
    offered = next(each for each in ehr.get("/metadata")["rest"][0]["resource"] if each["type"] == "Goal")
    assert ({"code": "update"} in offered["interaction"]) is says


def test_refuses_fields() -> None:
    """A write with one of the fields is a 422 that names it and stores nothing; without them it goes through."""
    ehr = Ehr("refuses_fields")

    refused = [
        ehr.put(goal(note=[{"text": "x"}])),
        ehr.put({"resourceType": "CarePlan", "id": "c1", "modifierExtension": [{"url": "u"}]}),
    ]

    assert [(reply.status, tree(reply)["issue"][0]["diagnostics"].split(" ")[0]) for reply in refused] == [
        (422, "Goal.note"),
        (422, "*.modifierExtension"),
    ]
    assert ehr.box.storage.versions() == []
    assert ehr.put(goal()).status == 201
    assert ehr.put({"resourceType": "CarePlan", "id": "c1", "note": [{"text": "x"}]}).status == 201


# Bundles


def put_if(version: str, id_: str = "g1") -> dict[str, Any]:
    return {"resource": goal(id=id_), "request": {"method": "PUT", "url": f"Goal/{id_}", "ifMatch": f'W/"{version}"'}}


def test_no_transactions() -> None:
    """A Bundle is not taken (405), and the CapabilityStatement offers none; plain offers both kinds."""
    ehr = Ehr("no_transactions")

    assert ehr.ask("POST", "", transaction(put_if("1"))).status == 405
    assert "interaction" not in ehr.get("/metadata")["rest"][0]
    assert Ehr("plain").get("/metadata")["rest"][0]["interaction"] == [{"code": "transaction"}, {"code": "batch"}]


def test_batch_transactions() -> None:
    """Each entry is done for itself, and the answer says that it is one of a batch."""
    ehr = Ehr("batch_transactions")
    for id_ in ("g1", "g2"):
        ehr.put(goal(id=id_))

    reply = tree(ehr.ask("POST", "", transaction(put_if("9"), put_if("1", "g2"))))

    assert reply["type"] == "batch-response"
    assert [one["response"]["status"] for one in reply["entry"]] == ["412 Precondition Failed", "200 OK"]


def test_half_kept_transactions() -> None:
    """The first entry that fails ends it with its status, and what came before it stays."""
    ehr = Ehr("half_kept_transactions")
    for id_ in ("g1", "g2", "g3"):
        ehr.put(goal(id=id_))

    reply = ehr.ask("POST", "", transaction(put_if("1"), put_if("9", "g2"), put_if("1", "g3")))

    assert reply.status == 412
    assert [ehr.get(f"/Goal/{id_}")["meta"]["versionId"] for id_ in ("g1", "g2", "g3")] == ["2", "1", "1"]


@pytest.mark.parametrize(("name", "paths"), [("plain", [["Bundle.entry[1]"]]), ("unnamed_transactions", [None])])
def test_unnamed_transactions(name: str, paths: list[object]) -> None:
    """Plain says which entry was declined; the variant does not."""
    ehr = Ehr(name)
    ehr.put(goal())

    reply = ehr.ask("POST", "", transaction(put_if("1"), put_if("9", "g2")))

    assert [issue.get("expression") for issue in tree(reply)["issue"]] == paths


def test_conditions_in_a_bundle_are_those_of_requests() -> None:
    """What a variant does not heed in a header it does not heed in a Bundle either, and shows no tag there."""
    ehr = Ehr("no_etag")
    ehr.put(goal())

    reply = tree(ehr.ask("POST", "", transaction(put_if("9"))))

    assert reply["entry"][0]["response"]["status"] == "200 OK"
    assert "etag" not in reply["entry"][0]["response"]


# What becomes visible when, and what is answered


def test_stale_search() -> None:
    """A search shows the state of a minute ago, reads and If-None-Exist the present one."""
    ehr = Ehr("stale_search")
    sent = goal("one", identifier=[{"system": SYSTEM, "value": "a"}])
    ehr.put(sent)
    query = f"/Goal?identifier={SYSTEM}|a"

    assert ehr.get(query)["total"] == 0
    assert ehr.ask("POST", "/Goal", sent, if_none_exist=f"identifier={SYSTEM}|a").status == 200
    ehr.clock.forward(59)
    assert ehr.get(query)["total"] == 0
    ehr.clock.forward(1)
    ehr.put(sent | {"description": {"text": "two"}})
    assert ehr.get(query)["entry"][0]["resource"]["description"] == {"text": "one"}
    assert ehr.get("/Goal/g1")["description"] == {"text": "two"}
    ehr.ask("DELETE", "/Goal/g1")
    assert ehr.get(query)["total"] == 1
    ehr.clock.forward(60)
    assert ehr.get(query)["total"] == 0


def test_loses_replies() -> None:
    """Each seventh write is stored and unanswered; reads and writes that are refused are answered."""
    ehr = Ehr("loses_replies")
    statuses: list[int | None] = []
    for n in range(15):
        assert ehr.ask("GET", "/Goal").status == 200
        try:
            statuses.append(ehr.put(goal(str(n))).status)
        except ReplyLostError:
            statuses.append(None)

    assert statuses == [201, *[200] * 5, None, *[200] * 6, None, 200]
    assert ehr.get("/Goal/g1")["meta"]["versionId"] == "15"
    for _ in range(5):
        ehr.put(goal())
    assert ehr.put(goal(), if_match='W/"9"').status == 412


def test_late_writes() -> None:
    """Each seventh write is unanswered and carried out thirty seconds later, over what was written meanwhile."""
    ehr = Ehr("late_writes")
    for n in range(6):
        ehr.put(goal(str(n)))
    with pytest.raises(ReplyLostError):
        ehr.put(goal("late"))
    ehr.put(goal("meanwhile"))
    ehr.clock.forward(29)

    assert ehr.get("/Goal/g1")["description"] == {"text": "meanwhile"}
    ehr.clock.forward(1)
    assert ehr.get("/Goal/g1")["description"] == {"text": "late"}
    assert ehr.get("/Goal/g1")["meta"]["versionId"] == "8"


def test_a_late_write_is_checked_when_it_lands() -> None:
    """A precondition that no longer holds when the write arrives stops it; `land` lets everything arrive at once."""
    clock = Clock()
    box = Sandbox(Knobs(lose_reply=lambda asked: b"late" in asked.body, late_s=5), clock=clock)
    url = f"{BASE}/Goal/g1"
    box.answer(Request("PUT", url, {}, dumps(goal("one"))))
    for match in ('W/"1"', 'W/"2"'):
        box.knobs = Knobs(lose_reply=lambda asked: b"late" in asked.body, late_s=5)
        with pytest.raises(ReplyLostError):
            box.answer(Request("PUT", url, {"If-Match": match}, dumps(goal(f"late {match[3]}"))))
    assert box.knobs == Knobs(late_s=5)
    box.answer(Request("PUT", url, {"If-Match": 'W/"1"'}, dumps(goal("two"))))

    box.land()

    texts = [each.body["description"] for each in box.storage.versions() if each.body]
    assert texts == [{"text": "one"}, {"text": "two"}, {"text": "late 2"}]


async def test_a_late_write_over_a_socket() -> None:
    """Over HTTP the connection closes unanswered, and the write is there once its time has come."""
    clock = Clock()
    box = Sandbox(Knobs(lose_reply=lambda asked: asked.method == "PUT", late_s=10), clock=clock)
    with serve({"ehr": box.app}) as urls:
        async with httpx.AsyncClient(base_url=urls["ehr"]) as client:
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await client.put("/Goal/g1", json=goal())
            before = await client.get("/Goal/g1")
            await asyncio.to_thread(clock.forward, 10)
            after = await client.get("/Goal/g1")

    assert [before.status_code, after.status_code] == [404, 200]


# The table


def test_names_and_sources() -> None:
    """Each variant stands under its name, no two have the same knobs but the plain one's other name, all say why."""
    assert all(name == variant.name for name, variant in VARIANTS.items())
    assert [name for name, variant in VARIANTS.items() if variant.knobs == Knobs()] == ["plain", "weak_etag"]
    assert len({repr(variant.knobs) for variant in VARIANTS.values()}) == len(VARIANTS) - 1
    for variant in VARIANTS.values():
        known = ("https://github.com/", "measured on ", "cautious choice", "CapabilityStatement")
        assert any(word in variant.source for word in known), variant.name


@pytest.mark.parametrize("name", sorted(set(VARIANTS) - {"read_only", "forbids_writes", "refuses_fields"}))
def test_a_variant_keeps_what_it_says(name: str) -> None:
    """`keeps_etag`, `keeps_history` and the other fields that say what a variant offers are what a client meets."""
    variant, ehr = VARIANTS[name], Ehr(name)
    sent = goal(
        "Walk every day",
        meta={"source": SOURCE},
        text={"status": "additional", "div": "<div>ours</div>"},
        extension=[{"url": "u", "valueDecimal": loads("3.00")}],
        identifier=[{"system": SYSTEM, "value": "a"}],
        subject={"reference": "Patient/p1"},
        note=[{"id": "n", "text": "a note that is long"}],
        target=[{"id": "due", "dueDate": "2026-12-18"}],
    )
    once = {"if_none_exist": f"identifier={SYSTEM}|a"}

    made = ehr.ask("POST", "/Goal", sent, **once)
    doubled = ehr.ask("POST", "/Goal", sent, **once).status == 201
    id_ = tree(made)["id"]
    read = ehr.ask("GET", f"/Goal/{id_}")
    again = ehr.ask(
        "PUT", f"/Goal/{id_}", sent | {"id": id_, "statusReason": "x"}, if_match=read.headers.get("etag", "")
    )
    stale = ehr.ask("PUT", f"/Goal/{id_}", sent | {"id": id_}, if_match=read.headers.get("etag", ""))
    history = ehr.ask("GET", f"/Goal/{id_}/_history")
    entries = tree(history).get("entry", [])
    content = {key: value for key, value in tree(read).items() if key not in ("id", "meta")}
    bad = {"resource": goal(), "request": {"method": "PUT", "url": "Goal/another"}}
    one = {"resource": goal(), "request": {"method": "PUT", "url": "Goal/g1"}}
    failed = ehr.ask("POST", "", transaction(one, bad)).status >= 400 and ehr.ask("GET", "/Goal/g1").status == 404
    whole = tree(ehr.ask("POST", "", transaction(one))).get("type") == "transaction-response"

    assert again.status == 200
    assert (not doubled) is variant.detects_doubles
    assert (stale.status in (409, 412)) is variant.keeps_etag
    versions = {entry["response"]["etag"] for entry in entries}
    assert (len(versions) == len(entries) >= 2) is variant.keeps_history
    expected = {key: value for key, value in sent.items() if key not in ("id", "meta")}
    assert (msgspec.json.encode(content) == msgspec.json.encode(expected)) is variant.keeps_content
    source = tree(read).get("meta", {}).get("source", "")
    assert (source.partition("#")[0] == SOURCE) is variant.keeps_source
    assert (failed and whole) is variant.all_or_nothing
