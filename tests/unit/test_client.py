"""The EHR client against a small hand-written server: what it sends, repeats, follows, refuses and never does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fhirgoals.errors import BadResource, Bug, ConfigurationError
from fhirgoals.fhir.answers import (
    Gone,
    NotFound,
    NotSent,
    Refused,
    Several,
    Stale,
    Stored,
    Throttled,
    Transient,
    UnknownOutcome,
    Unreadable,
)
from fhirgoals.fhir.client import EhrClient, SearchError
from fhirgoals.fhir.exact_json import Resource, loads
from fhirgoals.fhir.http import Failure, Http, Reply, Request
from fhirgoals.fhir.pages import Version
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.knobs import Knobs

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
BASE = "http://ehr.test/fhir"
SECRET = "MRN-4711"


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    query: list[tuple[str, str]]
    raw_path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """An ASGI app that answers in turn from a list; a reply is (status, body, headers) or a function of the request."""

    replies: list[Any] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = scope["query_string"].decode()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = Asked(scope["method"], scope["path"], parse_qsl(query), scope["raw_path"].decode(), headers, body)
        self.asked.append(asked)
        reply = self.replies.pop(0)
        status, tree, extra = reply(asked) if callable(reply) else reply
        raw = tree if isinstance(tree, bytes) else b"" if tree is None else json.dumps(tree).encode()
        sent = [(name.encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": raw})


@dataclass
class Line:
    """A sender that fails or answers in turn: the transport's failures without a socket."""

    outcomes: list[Reply | Failure]
    sent: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Reply | Failure:
        self.sent.append(request)
        return self.outcomes.pop(0)


class Rig:
    """A client of `Server` whose pauses are written down, not slept."""

    def __init__(self, *replies: Any, line: Line | None = None, base: str = BASE, **options: Any) -> None:
        self.server = Server(list(replies))
        self.line = line
        self.slept: list[float] = []
        self.client = EhrClient(
            base,
            line or Http(app=self.server),
            clock=lambda: NOW,
            sleep=self._sleep,
            jitter=lambda: 0.5,
            connection="ehr-main",
            **options,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    @property
    def asked(self) -> list[Asked]:
        return self.server.asked


def goal(goal_id: str = "g1", version: str = "1") -> Resource:
    return {"resourceType": "Goal", "id": goal_id, "meta": {"versionId": version}}


def page(*resources: Resource, link: str | None = None, **more: Any) -> dict[str, Any]:
    tree: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if link is not None:
        tree["link"] = [{"relation": "self", "url": BASE}, {"relation": "next", "url": link}]
    tree["entry"] = [{"resource": resource, "search": {"mode": "match"}} for resource in resources]
    return {**tree, **more}


def outcome(code: str, severity: str = "warning") -> Resource:
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": "processing", "details": {"coding": [{"code": code}]}}],
    }


def ok(tree: Any, **headers: str) -> tuple[int, Any, dict[str, str]]:
    return 200, tree, headers


def ids(resources: Sequence[Resource]) -> list[Any]:
    return [resource["id"] for resource in resources]


# --- reading ---


async def test_read_asks_for_fhir_json_past_caches() -> None:
    """One GET of [base]/[type]/[id]; the ETag goes to the caller as received."""
    rig = Rig(ok(goal(), ETag='W/"1"'))
    answer = await rig.client.read("Goal", "g1")
    assert isinstance(answer, Stored)
    assert (answer.tree, answer.etag, answer.etag_source) == (goal(), 'W/"1"', "header")
    (asked,) = rig.asked
    assert (asked.method, asked.path) == ("GET", "/fhir/Goal/g1")
    assert asked.headers["accept"] == "application/fhir+json"
    assert asked.headers["cache-control"] == "no-cache"
    assert (rig.client.requests, rig.client.writes) == (1, 0)


async def test_decimals_survive_both_ways() -> None:
    """`7.10` and 25 digits come and go with their digits."""
    raw = b'{"resourceType":"Goal","id":"g1","x":[7.10,19.00,1234567890.123456789012345]}'
    rig = Rig(ok(raw), ok(raw))
    answer = await rig.client.read("Goal", "g1")
    assert isinstance(answer, Stored)
    assert answer.tree is not None
    await rig.client.update("Goal", "g1", answer.tree, 'W/"1"')
    assert rig.asked[1].body == raw


@pytest.mark.parametrize("base", [BASE, BASE + "/"])
async def test_a_base_may_end_with_a_slash(base: str) -> None:
    """Both spellings give the same address."""
    rig = Rig(ok(goal()), base=base)
    await rig.client.vread("Goal", "g1", "7")
    assert rig.asked[0].path == "/fhir/Goal/g1/_history/7"


async def test_ids_are_escaped() -> None:
    """An id can't leave its place in the address."""
    rig = Rig((404, None, {}))
    await rig.client.read("Goal", "../Patient?x#y")
    assert rig.asked[0].raw_path == "/fhir/Goal/..%2FPatient%3Fx%23y"


@pytest.mark.parametrize("bad", ["", ".", "..", "x" * 300])
async def test_ids_that_change_the_address_are_refused(bad: str) -> None:
    """`DELETE [base]/Goal/..` would be another address altogether: nothing is sent."""
    rig = Rig()
    with pytest.raises(BadResource):
        await rig.client.delete("Goal", bad, 'W/"1"')
    assert not rig.asked


async def test_a_wrong_type_is_a_bug() -> None:
    """The type comes from us, never from outside."""
    with pytest.raises(Bug):
        await Rig().client.read("Goal/x", "1")


@pytest.mark.parametrize(
    "base", ["ehr.test/fhir", "ftp://h", "http://u:p@h/f", "http://h/f?x=1", "http://h/f#x", "http://"]
)
def test_a_base_that_is_none_is_a_configuration_error(base: str) -> None:
    """Credentials in an address end in logs; a query would be cut off."""
    with pytest.raises(ConfigurationError) as caught:
        Rig(base=base)
    assert "ehr-main" in str(caught.value)


async def test_capabilities_come_from_metadata() -> None:
    """The CapabilityStatement is at a fixed place."""
    rig = Rig(ok({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}))
    answer = await rig.client.capabilities()
    assert isinstance(answer, Stored)
    assert rig.asked[0].path == "/fhir/metadata"


async def test_a_page_that_is_no_fhir_is_an_answer() -> None:
    """A log-in page with status 200 crashes nothing."""
    rig = Rig(ok(b"<html>log in</html>"))
    assert await rig.client.read("Goal", "g1") == Unreadable("not_json", 200)


async def test_the_token_goes_along_as_bearer() -> None:
    """A static token, or whatever a source gives for this very request."""

    class Source:
        count = 0

        async def token(self) -> str | None:
            self.count += 1
            return f"t{self.count}"

    rig = Rig((503, None, {}), ok(goal()), token=Source())
    await rig.client.read("Goal", "g1")
    assert [asked.headers["authorization"] for asked in rig.asked] == ["Bearer t1", "Bearer t2"]
    rig = Rig(ok(goal()), token=SECRET)
    await rig.client.read("Goal", "g1")
    assert rig.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in repr(vars(rig.client))


# --- repeating ---


async def test_a_get_is_repeated_with_growing_pauses() -> None:
    """5xx and lost connections pass; the pauses double and are spread."""
    rig = Rig((503, None, {}), (500, None, {}), (502, None, {}), ok(goal()))
    assert isinstance(await rig.client.read("Goal", "g1"), Stored)
    assert rig.slept == [0.375, 0.75, 1.5]
    assert rig.client.requests == 4


async def test_a_get_is_given_up_after_its_tries() -> None:
    """The last answer is returned, not raised."""
    rig = Rig(*[(503, None, {})] * 4)
    assert await rig.client.read("Goal", "g1") == Transient(503)
    assert rig.client.requests == 4


async def test_a_lost_get_is_repeated() -> None:
    """Time-out and reset change nothing on the server."""
    line = Line(
        [Failure("timeout", sent=True), Failure("reset", sent=True), Reply(200, {}, b'{"resourceType":"Goal"}')]
    )
    assert isinstance(await Rig(line=line).client.read("Goal", "g1"), Stored)


async def test_the_servers_hint_is_waited_for() -> None:
    """Up to 30 s inside a call."""
    rig = Rig((429, None, {"Retry-After": "7"}), (503, None, {"Retry-After": "30"}), ok(goal()))
    assert isinstance(await rig.client.read("Goal", "g1"), Stored)
    assert rig.slept == [7.5, 30.0]


async def test_a_longer_hint_goes_back_to_the_caller() -> None:
    """The caller pauses the connection; nothing sleeps for minutes inside a call."""
    rig = Rig((429, None, {"Retry-After": "31"}))
    assert await rig.client.read("Goal", "g1") == Throttled(429, 31.0)
    assert rig.slept == []


Act = Callable[[EhrClient], Any]
WRITES: dict[str, Act] = {
    "create": lambda client: client.create("Goal", {"resourceType": "Goal"}, if_none_exist="identifier=s|v"),
    "create_as": lambda client: client.create("Goal", goal(), client_id="g1"),
    "update": lambda client: client.update("Goal", "g1", goal(), 'W/"1"'),
    "delete": lambda client: client.delete("Goal", "g1", 'W/"1"'),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_write_in_doubt_is_never_repeated(write: str, status: int) -> None:
    """A 503 may come after storing: only the caller, who can look, may write again."""
    rig = Rig((status, None, {"Retry-After": "1"}))
    assert await WRITES[write](rig.client) == UnknownOutcome("server_error", status, retry_after_s=1.0)
    assert len(rig.asked) == 1


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_whose_reply_is_lost_is_never_repeated(write: str) -> None:
    """The request left: it may be stored."""
    line = Line([Failure("reset", sent=True)])
    assert await WRITES[write](Rig(line=line).client) == UnknownOutcome("no_reply", failure="reset")
    assert len(line.sent) == 1


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_that_never_left_is_repeated(write: str) -> None:
    """No connection, or a 429: surely nothing was stored, and the same bytes go again."""
    line = Line([Failure("connect", sent=False), Reply(429), Reply(403)])
    rig = Rig(line=line)
    await WRITES[write](rig.client)
    assert len(line.sent) == 3
    assert len({request.wire() for request in line.sent}) == 1
    assert (rig.client.requests, rig.client.writes) == (3, 3)


async def test_the_last_look_comes_before_each_attempt() -> None:
    """What was withheld while a throttled write waited does not go out any more."""
    allowed = [True, False]

    async def may_send() -> bool:
        return allowed.pop(0)

    rig = Rig((429, None, {}))
    answer = await rig.client.update("Goal", "g1", goal(), 'W/"1"', may_send=may_send)
    assert answer == NotSent()
    assert len(rig.asked) == 1
    assert rig.client.writes == 1


# --- writing ---


async def test_create_by_search_is_a_conditional_post() -> None:
    """If-None-Exist as written; the representation is asked for."""
    rig = Rig((201, goal(), {"ETag": 'W/"1"', "Location": f"{BASE}/Goal/g1/_history/1"}))
    answer = await rig.client.create("Goal", {"resourceType": "Goal"}, if_none_exist="identifier=urn:uuid:1|2")
    assert isinstance(answer, Stored)
    assert (answer.created, answer.resource_id) == (True, "g1")
    (asked,) = rig.asked
    assert (asked.method, asked.path) == ("POST", "/fhir/Goal")
    assert asked.headers["if-none-exist"] == "identifier=urn:uuid:1|2"
    assert asked.headers["content-type"] == "application/fhir+json"
    assert asked.headers["prefer"] == "return=representation"


async def test_create_under_our_id_is_a_put_that_overwrites_nothing() -> None:
    """If-None-Match: * makes a late repeat harmless."""
    rig = Rig((201, goal(), {}), (412, None, {}))
    assert isinstance(await rig.client.create("Goal", goal(), client_id="g1"), Stored)
    assert await rig.client.create("Goal", goal(), client_id="g1") == Stale(412)
    assert (rig.asked[0].method, rig.asked[0].path) == ("PUT", "/fhir/Goal/g1")
    assert rig.asked[0].headers["if-none-match"] == "*"


async def test_an_unconditional_post_is_a_bug() -> None:
    """It could neither be repeated nor found again."""
    rig = Rig()
    for condition in (None, ""):
        with pytest.raises(Bug):
            await rig.client.create("Goal", {"resourceType": "Goal"}, if_none_exist=condition)
    assert not rig.asked


async def test_several_matches_are_told_from_a_stale_version() -> None:
    """412 means two different things on a create and on an update."""
    rig = Rig((412, None, {}), (412, None, {}), (409, None, {}))
    assert await rig.client.create("Goal", {"resourceType": "Goal"}, if_none_exist="identifier=a|b") == Several(412)
    assert await rig.client.update("Goal", "g1", goal(), 'W/"1"') == Stale(412)
    assert await rig.client.update("Goal", "g1", goal(), 'W/"1"') == Stale(409)


@pytest.mark.parametrize("etag", ['W/"1"', '"1"', "30", 'W/"a b"'])
async def test_if_match_is_the_etag_as_received(etag: str) -> None:
    """No spelling is mended: the server compares its own."""
    rig = Rig(ok(goal()), (204, None, {}))
    await rig.client.update("Goal", "g1", goal(), etag)
    assert await rig.client.delete("Goal", "g1", etag) == Gone(204)
    assert [asked.headers["if-match"] for asked in rig.asked] == [etag, etag]


async def test_without_an_etag_no_precondition_is_invented() -> None:
    """A server without versions: the caller knows from its profile."""
    rig = Rig(ok(goal()))
    await rig.client.update("Goal", "g1", goal(), None)
    assert "if-match" not in rig.asked[0].headers


async def test_header_values_start_no_new_header() -> None:
    """An ETag from a hostile server is not sent if it could be read as more than a value."""
    rig = Rig()
    with pytest.raises(BadResource):
        await rig.client.update("Goal", "g1", goal(), '"1"\r\nX-Evil: 1')
    assert not rig.asked


async def test_a_body_of_another_id_is_a_bug() -> None:
    """What is written to one address must be that resource."""
    rig = Rig()
    with pytest.raises(Bug):
        await rig.client.update("Goal", "g2", goal("g1"), 'W/"1"')
    with pytest.raises(Bug):
        await rig.client.create("CarePlan", goal("g1"), client_id="g1")
    assert not rig.asked


# --- searching ---


async def test_a_search_escapes_its_parameters() -> None:
    """Values arrive as given; the page size is asked for; the cache is passed by only when fresh."""
    rig = Rig(ok(page(goal())), ok(page()))
    params = [("identifier", "urn:x|a&b=c d"), ("patient", "Patient/1")]
    result = await rig.client.search("Goal", params)
    assert (ids(result.entries), result.complete, result.warnings) == (["g1"], True, ())
    assert rig.asked[0].query == [*params, ("_count", "100")]
    assert rig.asked[0].headers["cache-control"] == "no-cache"
    await rig.client.search("Goal", [("_count", "5")], fresh=False)
    assert rig.asked[1].query == [("_count", "5")]
    assert "cache-control" not in rig.asked[1].headers


@pytest.mark.parametrize(
    ("link", "path", "query"),
    [
        (f"{BASE}?_getpages=a-b&_getpagesoffset=1", "/fhir", [("_getpages", "a-b"), ("_getpagesoffset", "1")]),
        ("?page=2", "/fhir/Goal", [("page", "2")]),
        ("Goal?page=2", "/fhir/Goal", [("page", "2")]),
        ("/other/place?page=2", "/other/place", [("page", "2")]),
        ("http://EHR.test:80/fhir/Goal?page=2", "/fhir/Goal", [("page", "2")]),
        ("//ehr.test/fhir/Goal?page=2", "/fhir/Goal", [("page", "2")]),
    ],
)
async def test_next_links_are_followed_as_they_are(link: str, path: str, query: list[tuple[str, str]]) -> None:
    """Opaque, on the base (HAPI), relative (Canvas) or elsewhere on the same origin."""
    rig = Rig(ok(page(goal("a"), link=link)), ok(page(goal("b"))), token="t")
    result = await rig.client.search("Goal", [])
    assert (ids(result.entries), result.pages) == (["a", "b"], 2)
    assert (rig.asked[1].path, rig.asked[1].query) == (path, query)
    assert rig.asked[1].headers["host"] == "ehr.test"
    assert rig.asked[1].headers["authorization"] == "Bearer t"


@pytest.mark.parametrize(
    "link",
    [
        "http://evil.test/fhir/Goal?page=2",
        "https://ehr.test/fhir/Goal?page=2",
        "http://ehr.test:8080/fhir/Goal?page=2",
        "//evil.test/x",
        "http://ehr.test@evil.test/x",
        "http://evil.test\\@ehr.test/x",
        "http://evil.test#@ehr.test/x",
        "http:///evil.test",
        "\\\\evil.test/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://ehr.test.evil.test/x",
        "http://[::1/x",
        "http://ehr.test:bad/x",
        " http://evil.test/x",
        "http://evil.test/\nhttp://ehr.test/",
    ],
)
async def test_a_link_to_another_host_is_refused(link: str) -> None:
    """Neither the token nor the patient's id is sent there; the search fails aloud."""
    sent: list[str] = []
    server = Server([ok(page(goal("a"), link=link))])
    http = Http(app=server, recorder=lambda request, _: sent.append(request.url))
    client = EhrClient(BASE, http, clock=lambda: NOW, token="t")
    with pytest.raises(SearchError) as caught:
        await client.search("Goal", [("patient", SECRET)])
    assert caught.value.answer == Unreadable("foreign_link")
    assert len(server.asked) == 1
    assert all(url.startswith(BASE) for url in sent)
    assert SECRET not in str(caught.value)
    assert "evil" not in str(caught.value)


async def test_a_resource_that_comes_twice_counts_once() -> None:
    """Pages may overlap; the later copy is the newer one."""
    rig = Rig(ok(page(goal("a"), goal("b", "1"), link="?p=2")), ok(page(goal("b", "2"), goal("c"))))
    result = await rig.client.search("Goal", [])
    assert ids(result.entries) == ["a", "b", "c"]
    assert result.entries[1] == goal("b", "2")


async def test_what_came_along_is_kept_apart() -> None:
    """Included resources and outcomes are no matches; a resource of another type isn't either."""
    bundle = page(goal("a"))
    patient: Resource = {"resourceType": "Patient", "id": "p"}
    bundle["entry"] += [
        {"resource": patient, "search": {"mode": "include"}},
        {"resource": goal("inc"), "search": {"mode": "include"}},
        {"resource": outcome("4101"), "search": {"mode": "outcome"}},
        {"resource": outcome("x1")},
        {"resource": {"resourceType": "CarePlan", "id": "c"}},
        {"resource": goal("plain")},
    ]
    result = await Rig(ok(bundle)).client.search("Goal", [])
    assert ids(result.entries) == ["a", "plain"]
    assert ids(result.included) == ["p", "inc", "c"]
    assert [issue.detail_codes for issue in result.warnings] == [("4101",), ("x1",)]
    assert result.complete


@pytest.mark.parametrize(
    "entry",
    [
        {"resource": outcome("4119"), "search": {"mode": "outcome"}},
        {"resource": outcome("x", "error"), "search": {"mode": "outcome"}},
        {"fullUrl": "http://x"},
        {"resource": "no object"},
        "no object",
    ],
)
async def test_a_result_that_may_lack_something_says_so(entry: Any) -> None:
    """Epic's 4119, an error among the entries, or an entry without a resource: not complete, and nothing crashes."""
    bundle = page(goal("a"))
    bundle["entry"].append(entry)
    result = await Rig(ok(bundle)).client.search("Goal", [])
    assert ids(result.entries) == ["a"]
    assert not result.complete
    assert result.warnings


async def test_a_search_that_finds_nothing_is_complete() -> None:
    """An outcome alone (Epic 4101), or no entries at all."""
    empty = {"resourceType": "Bundle", "type": "searchset", "total": 0}
    only = page()
    only["entry"] = [{"resource": outcome("4101")}]
    for bundle in (empty, only):
        result = await Rig(ok(bundle)).client.search("Goal", [])
        assert (result.entries, result.complete) == ((), True)


@pytest.mark.parametrize(("status", "kind"), [(400, Refused), (404, NotFound), (503, Transient), (410, Gone)])
async def test_a_failed_search_is_never_an_empty_one(status: int, kind: type) -> None:
    """Else a goal that is there would be created once more."""
    rig = Rig(*[(status, None, {})] * 4)
    with pytest.raises(SearchError) as caught:
        await rig.client.search("Goal", [("identifier", SECRET)])
    assert isinstance(caught.value.answer, kind)
    assert "ehr-main: Goal" in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_a_failed_later_page_fails_the_search() -> None:
    """Half a result is none."""
    rig = Rig(ok(page(goal("a"), link="?p=2")), (403, None, {}))
    with pytest.raises(SearchError):
        await rig.client.search("Goal", [])


EXPIRIES = [
    (410, None, {}),
    (400, outcome("4113", "error"), {}),
    ok({"resourceType": "Bundle", "entry": [{"resource": outcome("4113", "error")}]}),
]


@pytest.mark.parametrize("expiry", EXPIRIES)
async def test_an_expired_search_starts_anew_once(expiry: Any) -> None:
    """HAPI's 410 and Epic's 4113: the pages are gone, the question is not."""
    rig = Rig(ok(page(goal("old"), link="?p=2")), expiry, ok(page(goal("a"), link="?p=2")), ok(page(goal("b"))))
    result = await rig.client.search("Goal", [])
    assert ids(result.entries) == ["a", "b"]
    assert [asked.query for asked in rig.asked] == [[("_count", "100")], [("p", "2")]] * 2


async def test_a_search_that_expires_again_fails() -> None:
    """No loop."""
    rig = Rig(*[ok(page(goal("a"), link="?p=2")), (410, None, {})] * 2)
    with pytest.raises(SearchError) as caught:
        await rig.client.search("Goal", [])
    assert caught.value.answer == Gone(410)


async def test_pages_that_lead_round_end() -> None:
    """A next link that was followed before: stop, and say that it is not whole."""
    rig = Rig(ok(page(goal("a"), link="?p=2")), ok(page(goal("b"), link="?p=2")))
    result = await rig.client.search("Goal", [])
    assert (ids(result.entries), result.complete) == (["a", "b"], False)


async def test_pages_are_limited() -> None:
    """A server that always has one more page does not keep us for ever."""
    endless = [lambda asked, n=n: ok(page(goal(f"g{n}"), link=f"?p={n}")) for n in range(3)]
    result = await Rig(*endless, max_pages=3).client.search("Goal", [])
    assert (len(result.entries), result.complete, result.pages) == (3, False, 3)


# --- a server that pages without links ---


def linkless(stored: int, size: int, **more: Any) -> Callable[[Asked], Any]:
    """Medplum's way: `_count` and `_offset`, no links."""

    def reply(asked: Asked) -> Any:
        query = dict(asked.query)
        start = int(query.get("_offset", "0"))
        end = min(stored, start + min(size, int(query["_count"])))
        return ok(page(*(goal(f"g{n}") for n in range(start, end)), **more))

    return reply


@pytest.mark.parametrize("stored", [0, 1, 2, 3, 4, 5])
async def test_pages_without_links_are_asked_for_by_offset(stored: int) -> None:
    """A full page without a link is asked on until nothing new comes."""
    rig = Rig(*[linkless(stored, 2)] * 9, page_size=2)
    result = await rig.client.search("Goal", [])
    assert ids(result.entries) == [f"g{n}" for n in range(stored)]
    assert result.complete
    assert len(rig.asked) == stored // 2 + 1


async def test_a_total_asks_on_where_the_server_gives_smaller_pages() -> None:
    """It gives 2 at a time whatever was asked, and no links: the total shows it."""
    rig = Rig(*[linkless(5, 2, total=5)] * 9)
    result = await rig.client.search("Goal", [])
    assert (len(result.entries), result.complete, len(rig.asked)) == (5, True, 3)


async def test_a_server_that_ignores_the_offset_does_not_loop() -> None:
    """The same page again is nothing new."""
    same = ok(page(goal("a"), goal("b")))
    rig = Rig(same, same, page_size=2)
    result = await rig.client.search("Goal", [])
    assert (ids(result.entries), result.complete, len(rig.asked)) == (["a", "b"], True, 2)


@pytest.mark.parametrize(("total", "complete"), [(None, True), (2, True), (3, False)])
async def test_a_server_that_refuses_the_offset_has_given_its_last_page(total: int | None, complete: bool) -> None:
    """Unless its own total says that there is more."""
    more: dict[str, Any] = {} if total is None else {"total": total}
    rig = Rig(ok(page(goal("a"), goal("b"), **more)), (400, None, {}), page_size=2)
    result = await rig.client.search("Goal", [])
    assert (ids(result.entries), result.complete) == (["a", "b"], complete)


async def test_a_server_that_gives_links_is_never_asked_by_offset() -> None:
    """Its last page is full by chance: no next link is the end."""
    rig = Rig(ok(page(goal("a"), goal("b"), link="?p=2")), ok(page(goal("c"), goal("d"))), page_size=2)
    result = await rig.client.search("Goal", [])
    assert (len(result.entries), len(rig.asked)) == (4, 2)


# --- history ---


async def test_history_gives_each_version() -> None:
    """Newest first as the server gives them, a deletion without a tree."""
    newest: Resource = {
        "resourceType": "Goal",
        "id": "g1",
        "meta": {"versionId": "3", "lastUpdated": "2026-01-03T00:00:00.120Z"},
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "history",
        "entry": [
            {"resource": newest, "request": {"method": "PUT"}},
            {
                "fullUrl": f"{BASE}/Goal/g1/_history/2",
                "request": {"method": "DELETE", "url": "Goal/g1/_history/2"},
                "response": {"lastModified": "2026-01-02T00:00:00Z"},
            },
            {"resource": goal("g1", "1"), "response": {"etag": 'W/"1"', "lastModified": "2026-01-01T00:00:00Z"}},
            {"resource": goal("another", "1")},
        ],
    }
    rig = Rig(ok(bundle))
    assert await rig.client.history("Goal", "g1") == (
        Version("3", newest, "2026-01-03T00:00:00.120Z"),
        Version("2", None, "2026-01-02T00:00:00Z"),
        Version("1", goal("g1", "1"), "2026-01-01T00:00:00Z"),
    )
    assert rig.asked[0].path == "/fhir/Goal/g1/_history"


async def test_a_deletion_tells_its_version_by_etag_or_status() -> None:
    """Servers write a deleted version in more than one way."""
    entries = [
        {"request": {"method": "DELETE"}, "response": {"etag": 'W/"5"'}},
        {"response": {"status": "410 Gone", "lastModified": "2026-01-02T00:00:00Z"}},
    ]
    bundle = {"resourceType": "Bundle", "entry": entries}
    versions = await Rig(ok(bundle), (400, None, {})).client.history("Goal", "g1")
    assert versions == (Version("5", None, None), Version(None, None, "2026-01-02T00:00:00Z"))


async def test_a_version_without_meta_is_told_by_the_etag_of_its_entry() -> None:
    """Some servers leave meta out of every body (Helios); `entry.response.etag` names the version all the same."""
    newer, older = {"resourceType": "Goal", "id": "g1"}, {"resourceType": "Goal", "id": "g1"}
    entries = [
        {"resource": newer, "response": {"etag": 'W/"2"'}},
        {"resource": older, "response": {"etag": 'W/"1"'}},
    ]
    versions = await Rig(ok({"resourceType": "Bundle", "entry": entries})).client.history("Goal", "g1")
    assert versions == (Version("2", newer, None), Version("1", older, None))


async def test_a_history_with_a_deletion_is_asked_on() -> None:
    """HAPI 8.8.0 leaves the oldest version out of total and page for each deletion, and gives it by offset."""
    deletion = {"request": {"method": "DELETE", "url": "Goal/g1/_history/3"}, "response": {"etag": 'W/"3"'}}
    short = {"resourceType": "Bundle", "total": 2, "entry": [deletion, {"resource": goal("g1", "2")}]}
    rest = {"resourceType": "Bundle", "total": 2, "entry": [{"resource": goal("g1", "1")}]}
    rig = Rig(ok(short), ok(rest))
    versions = await rig.client.history("Goal", "g1")
    assert versions is not None
    assert [version.version for version in versions] == ["3", "2", "1"]
    assert rig.asked[1].query == [("_count", "100"), ("_offset", "2")]


async def test_versions_that_are_equal_to_the_byte_count_each() -> None:
    """A server that names every version 1 was written the same twice at one time: its one page is the whole history."""
    entries = [{"resource": goal("g1", "1")}, {"resource": goal("g1", "1")}]
    rig = Rig(ok({"resourceType": "Bundle", "total": 2, "entry": entries}), (400, None, {}))
    versions = await rig.client.history("Goal", "g1")
    assert versions is not None
    assert len(versions) == 2
    assert len(rig.asked) == 1


async def test_history_follows_its_pages() -> None:
    """Many versions come on several pages."""
    rig = Rig(ok(page(goal("g1", "2"), link="?p=2")), ok(page(goal("g1", "1"))))
    versions = await rig.client.history("Goal", "g1")
    assert versions is not None
    assert [version.version for version in versions] == ["2", "1"]


@pytest.mark.parametrize("status", [400, 403, 404, 405, 410, 501])
async def test_a_server_without_history_gives_none(status: int) -> None:
    """The caller proves by other means."""
    assert await Rig((status, None, {})).client.history("Goal", "g1") is None


async def test_a_history_that_fails_for_now_raises() -> None:
    """ "For now" must not be taken for "has none"."""
    with pytest.raises(SearchError):
        await Rig(*[(503, None, {})] * 4).client.history("Goal", "g1")


async def test_a_history_that_is_too_long_raises() -> None:
    """Half a history would prove the wrong thing."""
    rig = Rig(ok(page(goal("g1", "2"), link="?p=2")), max_pages=1)
    with pytest.raises(SearchError):
        await rig.client.history("Goal", "g1")


# --- against the REST core ---


async def test_a_goals_whole_life_on_the_sandbox() -> None:
    """Created once, found, edited, refused when stale, deleted, and told by its history."""
    sandbox = Sandbox(clock=lambda: NOW)
    client = EhrClient(BASE, Http(app=sandbox.app), clock=lambda: NOW)
    patient: Resource = {"resourceType": "Patient", "id": "p1"}
    assert isinstance(await client.create("Patient", patient, client_id="p1"), Stored)
    body: Resource = {
        "resourceType": "Goal",
        "identifier": [{"system": "urn:x", "value": "1"}],
        "lifecycleStatus": "active",
        "description": {"text": "sleep"},
        "subject": {"reference": "Patient/p1"},
    }
    first = await client.create("Goal", body, if_none_exist="identifier=urn:x|1")
    again = await client.create("Goal", body, if_none_exist="identifier=urn:x|1")
    assert isinstance(first, Stored)
    assert isinstance(again, Stored)
    assert (first.created, again.created, again.resource_id) == (True, False, first.resource_id)
    assert first.tree is not None
    assert first.resource_id is not None
    edited: Resource = {**first.tree, "lifecycleStatus": "completed"}
    second = await client.update("Goal", first.resource_id, edited, first.etag)
    assert isinstance(second, Stored)
    assert isinstance(await client.update("Goal", first.resource_id, edited, first.etag), Stale)
    found = await client.search("Goal", [("identifier", "urn:x|1")])
    assert (ids(found.entries), found.complete) == ([first.resource_id], True)
    assert isinstance(await client.delete("Goal", first.resource_id, second.etag), Gone)
    assert isinstance(await client.read("Goal", first.resource_id), Gone)
    versions = await client.history("Goal", first.resource_id)
    assert versions is not None
    assert [version.tree is None for version in versions] == [True, False, False]
    assert [version.version for version in versions[1:]] == [second.version, first.version]


async def test_a_page_at_a_time_from_the_sandbox() -> None:
    """Every goal comes once, whatever the page size."""
    sandbox = Sandbox(clock=lambda: NOW)
    http = Http(app=sandbox.app)
    writer = EhrClient(BASE, http, clock=lambda: NOW)
    for n in range(5):
        await writer.create("Patient", {"resourceType": "Patient", "id": f"p{n}"}, client_id=f"p{n}")
    for size in (1, 2, 5, 6):
        result = await EhrClient(BASE, http, clock=lambda: NOW, page_size=size).search("Patient", [])
        assert sorted(ids(result.entries)) == [f"p{n}" for n in range(5)]
        assert result.complete


async def test_a_reply_that_the_sandbox_loses_is_in_doubt_and_stored() -> None:
    """The write is there; nothing was sent twice."""
    sandbox = Sandbox(Knobs(lose_reply=lambda asked: asked.method == "PUT"), clock=lambda: NOW)
    client = EhrClient(BASE, Http(app=sandbox.app), clock=lambda: NOW)
    answer = await client.create("Patient", {"resourceType": "Patient", "id": "p1"}, client_id="p1")
    assert answer == UnknownOutcome("no_reply", failure="reset")
    assert client.writes == 1
    assert isinstance(await client.read("Patient", "p1"), Stored)


def test_results_show_no_content() -> None:
    """A result in a log or traceback shows counts and codes, no resource."""
    tree = loads(json.dumps({"resourceType": "Goal", "id": "1", "description": {"text": SECRET}}))
    assert isinstance(tree, dict)
    assert SECRET not in repr(Version("1", tree, None))
