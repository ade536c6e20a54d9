"""Edits at the EHR, as its own users make them: read, change the JSON, write back with If-Match, without our client.

A resource is found by the words that a person sees, never by an identifier of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from fhirgoals.demo.plain_http import Server
from fhirgoals.demo.script import Edit
from fhirgoals.errors import RemoteError
from fhirgoals.fhir import exact_json

Json: TypeAlias = Any

PRIORITY = "http://terminology.hl7.org/CodeSystem/goal-priority"
ACHIEVEMENT = "http://terminology.hl7.org/CodeSystem/goal-achievement"


def edit(server: Server, wanted: Edit, *, text: str, patient: str, author: str, at: datetime) -> Json:
    """Make one edit of the script in the goal of that patient that reads `text`; return the goal as the EHR shows it.

    Servers may store less than they were given: Medplum drops the last digit of 7.10.
    """
    found = next((goal for goal in _goals(server, patient) if goal["description"]["text"] == text), None)
    if found is None:
        raise RemoteError(f"the EHR shows no goal with the words that edit {wanted.id} is about")
    answer = server.ask("GET", f"Goal/{found['id']}")
    goal: Json = exact_json.loads(answer.body)
    _change_of(wanted, author, at)(goal)
    etag = answer.headers.get("etag") or f'W/"{goal["meta"]["versionId"]}"'
    stored = server.ask("PUT", f"Goal/{goal['id']}", exact_json.dumps(goal), if_match=etag)
    if stored.status != 200:
        raise RemoteError(f"the EHR did not take edit {wanted.id} (status {stored.status})")
    return exact_json.loads(server.ask("GET", f"Goal/{goal['id']}").body)


def _goals(server: Server, patient: str) -> Iterator[Json]:
    page: str | None = f"Goal?patient={patient}&_count=50"
    while page:
        answer = server.ask("GET", page)
        bundle: Json = exact_json.loads(answer.body)
        yield from (entry["resource"] for entry in bundle.get("entry", ()))
        page = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)


def _change_of(wanted: Edit, author: str, at: datetime) -> Callable[[Json], None]:
    tree = wanted.tree
    match tree:
        case {"add_raw": {"url": url, "valueDecimal": digits}}:
            return lambda goal: _add(goal, "extension", {"url": url, "valueDecimal": Decimal(digits)})
        case {"field": "note", "add": words}:
            time = at.strftime("%Y-%m-%dT%H:%M:%SZ")
            return lambda goal: _add(goal, "note", {"authorString": author, "time": time, "text": words})
        case {"field": "priority", "to": level}:
            return lambda goal: goal.update(priority=_coded(PRIORITY, f"{level}-priority"))
        case {"unit": "status", "to": status}:
            return lambda goal: _close(goal, status)
        case {"unit": "target_date", "theirs": {"value": day}}:
            return lambda goal: _move(goal, day.isoformat())
        case _:
            raise RemoteError(f"nobody at the EHR knows how to make edit {wanted.id}")


def _add(goal: Json, key: str, element: Json) -> None:
    goal.setdefault(key, []).append(element)


def _coded(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def _close(goal: Json, status: Json) -> None:
    goal["lifecycleStatus"] = status["lifecycle"]
    goal["achievementStatus"] = _coded(ACHIEVEMENT, status["achievement"].replace("_", "-"))
    goal["statusDate"] = status["status_date"].isoformat()


def _move(goal: Json, day: str) -> None:
    for target in goal["target"]:
        if "measure" not in target:
            target["dueDate"] = day
