"""`fhirgoals demo`: plays the script, lets the oracle measure, and tells the story or prints one JSON object."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from fhirgoals.errors import ConfigurationError

if TYPE_CHECKING:
    from fhirgoals.demo.oracle import Verdict, Watched
    from fhirgoals.demo.world import World
    from fhirgoals.sandbox.ehr import Sandbox

DONE, FAILED = 0, 2

Fault: TypeAlias = Callable[[Mapping[str, "Sandbox"]], None]
"""Does harm to the sandboxes' storage after the last run and before the oracle looks; only tests have one."""


def demo(
    ehr: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Use this FHIR server (http://…) as ehr-main; what is created there stays."),
    ] = None,
    dir: Annotated[  # noqa: A002 (the option's name)
        Path | None, typer.Option(metavar="DIR", help="Keep the demo's store in this folder, to look around in it.")
    ] = None,
    ehr_token_env: Annotated[
        str | None,
        typer.Option(metavar="VAR", help="The environment variable that holds the bearer token for --ehr."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the story.")] = False,
) -> int:
    """Play the main job: five made-up plans, five EHRs, edits on both sides, a broken connection, a withdrawn goal.

    An observer of its own then measures what came of it. Exit code 0 where every promise held, else 2.
    """
    return run_demo(ehr, dir, as_json, token=_token(ehr, ehr_token_env))


def run_demo(
    ehr: str | None, folder: Path | None, as_json: bool, *, token: str | None = None, fault: Fault | None = None
) -> int:
    """Play, measure, print the story or one JSON object; return 0 where every promise held, else 2.

    What did not hold is told on stderr, a line each. Raises what `open_world` raises, and `RemoteError` where a server
    fails on the way.
    """
    import asyncio  # noqa: PLC0415 (all of this is slow to import, and `--help` needs none of it)
    import json  # noqa: PLC0415
    import time  # noqa: PLC0415

    from fhirgoals.demo.acts import play  # noqa: PLC0415
    from fhirgoals.demo.oracle import Census, Oracle  # noqa: PLC0415
    from fhirgoals.demo.script import examples, read_script  # noqa: PLC0415
    from fhirgoals.demo.story import tell  # noqa: PLC0415
    from fhirgoals.demo.world import REAL, open_world  # noqa: PLC0415

    started = time.monotonic()
    script = read_script(examples())
    counted: list[Census] = []
    with open_world(script, ehr, folder, token) as world:
        oracle = Oracle(script.folder, world.store_file, REAL)
        played = asyncio.run(play(world, lambda: counted.append(oracle.after_set_up(watched(world)))))
        if fault is not None:
            fault({name: each.sandbox for name, each in world.endpoints.items() if each.sandbox is not None})
        verdict = oracle.at_the_end(watched(world), played)
        plans = world.plans
    seconds = time.monotonic() - started
    if as_json:
        print(json.dumps(_figures(verdict, seconds)))  # noqa: T201
    else:
        print("\n".join(tell(script, plans, counted[0], verdict, seconds=seconds, folder=folder)))  # noqa: T201
    for line in _complaints(verdict):
        print(f"demo: {line}", file=sys.stderr)  # noqa: T201
    return DONE if verdict.holds else FAILED


def watched(world: World) -> dict[str, Watched]:
    """Return the EHRs as the oracle sees them."""
    from fhirgoals.demo.oracle import Watched  # noqa: PLC0415

    return {
        name: Watched(
            each.server,
            tuple(each.patients.values()),
            everything=each.sandbox is not None,
            exchanges=each.proxy.exchanges,
        )
        for name, each in world.endpoints.items()
    }


def _token(ehr: str | None, variable: str | None) -> str | None:
    """Return the token from the environment; raises `ConfigurationError` where it is not there or has no server."""
    if variable is None:
        return None
    if ehr is None:
        raise ConfigurationError("--ehr-token-env belongs to --ehr: name the server too")
    token = os.environ.get(variable)
    if not token:
        raise ConfigurationError("the environment variable that --ehr-token-env names is not set: put the token there")
    return token


def _figures(verdict: Verdict, seconds: float) -> dict[str, object]:
    census, outcomes = verdict.census, list(verdict.outcomes.values())
    return {
        "plans": census.plans,
        "goals": census.goals,
        "steps": census.steps,
        "sent": dict(census.sent),
        "kept_here": dict(census.kept_here),
        "created": dict(verdict.created),
        "pushed": outcomes.count("pushed"),
        "pulled": outcomes.count("pulled"),
        "conflicts": outcomes.count("conflict"),
        "proposals": outcomes.count("proposal"),
        "retracted": outcomes.count("retracted"),
        "versions_left": verdict.versions_left,
        "second_run_writes": verdict.second_run_writes,
        "lost": verdict.lost,
        "duplicates": verdict.duplicates,
        "leaks": verdict.leaks,
        "searched_texts": verdict.searched_texts,
        "seconds": round(seconds, 2),
    }


def _complaints(verdict: Verdict) -> list[str]:
    counts = {
        "lost": verdict.lost,
        "duplicates": verdict.duplicates,
        "leaks": verdict.leaks,
        "second_run_writes": verdict.second_run_writes,
    }
    return [*(f"{name} = {n}" for name, n in counts.items() if n), *verdict.faults]
