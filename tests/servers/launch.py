"""How each real server of the suite is started: its command, its limits, and when it counts as ready."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg

from fhirgoals.domain.planfile import load_plan
from fhirgoals.fhir import definitions, exact_json
from tests.servers import build
from tests.servers.shared import Program, new_folder, port_line

REPOSITORY = Path(__file__).resolve().parents[2]
US_CORE = "hl7.fhir.us.core-6.1.0.tgz"

# Measured to start fastest on two cores; the heap keeps two JVMs and a test run within 2 GB.
_JVM = ["-Xmx600m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]


def shared_inputs() -> Path:
    """The read-only folder with the implementation guides."""
    return Path(os.environ.get("FHIRGOALS_SHARED", REPOSITORY.parent / "shared"))


def hapi() -> Program:
    """HAPI FHIR JPA R4 on H2 in memory."""
    return _java("hapi", "fhirgoals.HapiServer", "/fhir", ["0"])


def referee() -> Program:
    """HAPI's validator with US Core 6.1.0 and our own definitions, to which the examples' local measures are added."""
    guide = shared_inputs() / "igs" / US_CORE
    if not guide.is_file():
        raise build.MissingServerError(f"{US_CORE} is missing: set FHIRGOALS_SHARED to the folder that holds igs/")
    program = _java("referee", "fhirgoals.Referee", "/", ["0", str(guide.resolve()), "definitions"])
    folder = program.folder / "definitions"
    folder.mkdir()
    for name, definition in definitions.build(example_measures()).items():
        (folder / name).write_bytes(exact_json.dumps(definition))
    return program


def example_measures() -> dict[str, str]:
    """The local measure codes of the example plans with their words: an installation that uses them defines them."""
    plans = [load_plan(path.read_bytes(), name=path.name) for path in sorted((REPOSITORY / "examples").glob("0*.yaml"))]
    codes = [measure.code.code for plan in plans for measure in plan.measures if measure.code.system == "local"]
    return {code: code.replace("-", " ") for code in codes if "SENTINEL" not in code}


def medplum() -> Program:
    """The Medplum FHIR router over its memory repository."""
    script = build.node_folder() / "medplum.mjs"
    return Program([str(build.node()), str(script), "0"], _url("/fhir/R4"), new_folder("medplum"))


def postgres() -> Program:
    """A private PostgreSQL cluster; the address is a SQLAlchemy URL of its maintenance database.

    Durability is off: a test that kills the server itself must not use it.
    """
    initdb, server = build.postgres_binary("initdb"), build.postgres_binary("postgres")
    folder = new_folder("postgres")
    user = _server_user()
    if user is not None:
        shutil.chown(folder, user, user)
    identity = {"user": user, "group": user, "extra_groups": []} if user else {}
    made = subprocess.run(
        [str(initdb), "-D", "cluster", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N"],
        cwd=folder, capture_output=True, text=True, check=False, **identity,
    )  # fmt: skip
    if made.returncode:
        shutil.rmtree(folder)
        raise build.MissingServerError(f"initdb failed: {made.stderr.strip()}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), "port": port, "max_connections": 200,
        "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def ready(_out: str) -> str | None:
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres").close()
        except psycopg.OperationalError:
            return None
        return f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"

    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
    return Program([str(server), "-D", str(folder / "cluster"), *options], ready, folder, user, signal.SIGINT)


def _java(name: str, main_class: str, path: str, arguments: list[str]) -> Program:
    classpath = build.java_classpath()
    folder = new_folder(name)
    command = ["java", *_JVM, f"-Djava.io.tmpdir={folder}", "-cp", classpath, main_class, *arguments]
    return Program(command, _url(path), folder)


def _url(path: str) -> Callable[[str], str | None]:
    def ready(out: str) -> str | None:
        port = port_line(out)
        return None if port is None else f"http://127.0.0.1:{port}{path}"

    return ready


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root: then the user that Debian's package made for it."""
    return "postgres" if os.geteuid() == 0 else None
