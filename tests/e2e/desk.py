"""A desk for tests of the command line: a store, and a sandbox EHR on a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhirgoals.cli.main import main
from fhirgoals.cli.session import now
from fhirgoals.domain.records import Plan
from fhirgoals.domain.units import touched
from fhirgoals.sandbox.ehr import Sandbox
from fhirgoals.sandbox.serve import serve
from fhirgoals.store import open_store
from fhirgoals.store.journal import AuditRow
from fhirgoals.sync.identify import known_there, wanted

EXAMPLES = Path(__file__).parents[2] / "examples"
BY = ["--by", "staff-7"]


@pytest.fixture(autouse=True)
def unwrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lines be as long as they are, whatever runs the tests sets the width to."""
    monkeypatch.delenv("COLUMNS", raising=False)


@dataclass
class Desk:
    """A store, an EHR, and the two plans that are in the store."""

    store: str
    url: str
    capsys: pytest.CaptureFixture[str]
    folder: Path

    def run(self, *arguments: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = main(["--store", self.store, *arguments])
        printed = self.capsys.readouterr()
        return code, printed.out, printed.err

    def ok(self, *arguments: str) -> str:
        code, out, err = self.run(*arguments)
        assert code == 0, out + err
        return out

    def json(self, *arguments: str, code: int = 0) -> Any:
        got, out, err = self.run(*arguments, "--json")
        assert got == code, out + err
        return json.loads(out)

    def create_people(self) -> None:
        """Create at the EHR everyone whom the plans name, with the identifiers we look for."""
        store = open_store(self.store)
        with store.read() as tx:
            plans = [stored.plan for stored in tx.plans.list()]
        ids: dict[str, str] = {}
        for plan in plans:
            for one in wanted(plan, store.installation, {}):
                if one.local_id in ids:
                    continue
                patient = f"Patient/{ids[one.patient_of]}" if one.patient_of is not None else None
                body = known_there(one, one.identifiers[-1:], patient)
                ids[one.local_id] = httpx.post(f"{self.url}/{one.kind}", json=body).raise_for_status().json()["id"]
        store.close()

    def goals(self) -> dict[str, dict[str, Any]]:
        """Return the EHR's goals by the beginning of their text."""
        found = httpx.get(f"{self.url}/Goal", params={"_count": "100"}).raise_for_status().json()
        return {one["resource"]["description"]["text"][:16]: one["resource"] for one in found.get("entry", [])}

    def edit(self, goal: dict[str, Any]) -> None:
        httpx.put(f"{self.url}/Goal/{goal['id']}", json=goal).raise_for_status()

    def edit_here(self, plan_id: str, change: Callable[[Plan], Plan]) -> None:
        """Save a plan as it is after a change, past the commands' rules."""
        store = open_store(self.store)
        with store.write() as tx:
            before = tx.plans.get(plan_id)
            assert before is not None
            after = change(before.plan)
            moved = touched(before.plan, after)
            tx.plans.save(after, expect=before.rev, by="staff-7", reason="review", at=now(), touched=moved)
        store.close()

    def configure(self, **settings: object) -> None:
        """Change settings of the connection, as `ehr add` keeps them."""
        store = open_store(self.store)
        with store.write() as tx:
            known = tx.connections.get("ehr-main")
            assert known is not None
            tx.connections.update_config("ehr-main", {**known.config, **settings})  # type: ignore[dict-item]
        store.close()

    def audit(self, action: str) -> list[AuditRow]:
        """Return the audit's lines of one kind."""
        store = open_store(self.store)
        with store.read() as tx:
            rows = [one for one in tx.audit.list() if one.action == action]
        store.close()
        return rows

    def armed(self) -> None:
        self.create_people()
        assert self.run("patients", "match", "ehr-main", *BY)[0] == 1
        self.ok("patients", "confirm", "ehr-main", "--all", *BY)
        self.ok("ehr", "arm", "ehr-main", *BY, "--reason", "seen", "--yes")


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """Every edit may go at once."""
    with _opened(tmp_path, capsys, "--release", "on_save") as found:
        yield found


@pytest.fixture
def default_desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """An edit may go when it is meant to go where nobody says otherwise."""
    with _opened(tmp_path, capsys) as found:
        yield found


@contextmanager
def _opened(tmp_path: Path, capsys: pytest.CaptureFixture[str], *release: str) -> Iterator[Desk]:
    with serve({"ehr-main": Sandbox().app}) as urls:
        found = Desk(f"sqlite:///{tmp_path / 'store.db'}", urls["ehr-main"], capsys, tmp_path)
        found.ok("ehr", "add", "ehr-main", "--url", found.url, *release)
        for name in ("primary-care", "patient-portal", "employer-eap", "school-clinic"):
            found.ok("ehr", "add", name, "--url", found.url)
        files = [str(EXAMPLES / "02-ocd-exposure.yaml"), str(EXAMPLES / "04-therapist-development.yaml")]
        found.ok("put", *files, *BY, "--reason", "initial")
        yield found
