"""Fixtures that give any test a real server: `hapi`, `medplum`, `referee`, `postgres_url`, `postgres_database`.

Each server is started once per test run by the first test that asks, under pytest-xdist too. Tests keep apart by new
patients and identifiers, or a new database. A server that can't be had fails the test under `CI` and skips it
elsewhere. Tests that use one are marked `servers` here.
"""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.servers import launch
from tests.servers.build import MissingServerError
from tests.servers.shared import Program, Run

_REAL_SERVERS = {"hapi", "medplum", "referee", "postgres_url", "postgres_database"}


@dataclass(frozen=True)
class FhirServer:
    """A running FHIR server: its base URL without a slash at the end, and its log."""

    url: str
    log: Path


@dataclass(frozen=True)
class Issue:
    """One finding of the referee; severity is information, warning, error or fatal."""

    severity: str
    location: str
    message: str
    id: str | None


@dataclass(frozen=True)
class Referee:
    """HAPI's validator, warm: call it with a resource's bytes."""

    url: str

    def __call__(self, resource: bytes, *profiles: str) -> list[Issue]:
        """What it finds against the profiles in meta.profile, those given, and the base specification."""
        query = urllib.parse.urlencode([("profile", profile) for profile in profiles])
        request = urllib.request.Request(f"{self.url}?{query}", data=resource, method="POST")
        with urllib.request.urlopen(request, timeout=120) as reply:
            return [Issue(**found) for found in json.load(reply)]

    def errors(self, resource: bytes, *profiles: str) -> list[Issue]:
        """Only the findings that make the resource invalid."""
        return [issue for issue in self(resource, *profiles) if issue.severity in ("error", "fatal")]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that asks for a real server."""
    for item in items:
        if _REAL_SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


@pytest.fixture(scope="session")
def server_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The test run that owns the servers; pytest-xdist's workers share their parent's."""
    base = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    return Run(
        folder=(base.parent if is_worker else base) / "servers", process=os.getppid() if is_worker else os.getpid()
    )


@pytest.fixture(scope="session")
def hapi(server_run: Run) -> Iterator[FhirServer]:
    """HAPI FHIR JPA 8.8.0 R4 with its search cache on; `.url` ends in /fhir."""
    with had(server_run, "hapi", launch.hapi) as url:
        yield FhirServer(url, server_run.log("hapi"))


@pytest.fixture(scope="session")
def medplum(server_run: Run) -> Iterator[FhirServer]:
    """The Medplum router 5.2.13 over its memory repository; `.url` ends in /fhir/R4."""
    with had(server_run, "medplum", launch.medplum) as url:
        yield FhirServer(url, server_run.log("medplum"))


@pytest.fixture(scope="session")
def referee(server_run: Run) -> Iterator[Referee]:
    """HAPI's validator with US Core 6.1.0 and our own definitions loaded."""
    with had(server_run, "referee", launch.referee) as url:
        yield Referee(url)


@pytest.fixture(scope="session")
def postgres_url(server_run: Run) -> Iterator[str]:
    """SQLAlchemy URL of a private PostgreSQL's maintenance database; make nothing in it, see `postgres_database`."""
    with had(server_run, "postgres", launch.postgres) as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy URL of a new, empty database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    quoted = sql.Identifier(name)
    with psycopg.connect(postgres_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(quoted))
        yield postgres_url.rpartition("/")[0] + f"/{name}"
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(quoted))


@contextmanager
def had(run: Run, name: str, program: Callable[[], Program]) -> Iterator[str]:
    """Run a server; one that can't be had fails the test under `CI` and skips it elsewhere."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(run.server(name, program))
        except MissingServerError as missing:
            if os.environ.get("CI"):
                pytest.fail(f"{name}: {missing}", pytrace=False)
            pytest.skip(f"{name}: {missing}")
        yield address
