"""The entry of the command line: the table of commands, the global options, and how every error is told.

Only the module of the command that is asked for is imported, so that `fhirgoals --help` answers at once.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from fhirgoals import __version__
from fhirgoals.cli.session import Session
from fhirgoals.errors import FhirgoalsError

DONE, WAITS, FAILED = 0, 1, 2
STOPPED, READER_GONE = 130, 141
"""As shells have it: ended by ^C, and by a reader (`| head`) that went away."""


@dataclass(frozen=True)
class Command:
    """One line of the table: where the command is, what the list of commands says of it, and an example.

    A group has an example with each of its commands instead.
    """

    name: str
    module: str
    attribute: str
    says: str
    example: str | None = None


COMMANDS: tuple[Command, ...] = (
    Command(
        "demo",
        "fhirgoals.demo.command",
        "demo",
        "The main job end to end, on an EHR that is embedded.",
        "fhirgoals demo --json",
    ),
    Command(
        "put",
        "fhirgoals.cli.plans",
        "put",
        "Take plans in, from YAML or JSON files.",
        "fhirgoals put plan.yaml --by staff-7 --reason correction",
    ),
    Command(
        "get",
        "fhirgoals.cli.plans",
        "get",
        "Give a plan out, as YAML or JSON.",
        "fhirgoals get plan-dep-01 > plan.yaml",
    ),
    Command(
        "show",
        "fhirgoals.cli.show",
        "show",
        "Show a plan's tree as one reader gets it.",
        "fhirgoals show examples/01-depression.yaml --as ehr-main --on 2026-11-06",
    ),
    Command("goal", "fhirgoals.cli.goals", "app", "A goal's way: propose, agree, begin, pause, close, victories."),
    Command("reading", "fhirgoals.cli.readings", "app", "Values of measures: add."),
    Command(
        "rate",
        "fhirgoals.cli.readings",
        "rate",
        "Rate a goal on its attainment scale.",
        "fhirgoals rate g-social --level 1 --rater client --by client-101",
    ),
    Command("review", "fhirgoals.cli.reviews", "app", "Reviews of a plan: list, add, sign, refuse."),
    Command("plan", "fhirgoals.cli.caseload", "app", "A plan as a whole: agree, activate, hand over, discharge."),
    Command("consent", "fhirgoals.cli.consents", "app", "What a connection may see: list, grant, refuse, revoke."),
    Command("withhold", "fhirgoals.cli.consents", "withhold_app", "What the client keeps back: add, end."),
    Command(
        "map",
        "fhirgoals.cli.mapping",
        "map_",
        "Turn plans into FHIR and back, or check that nothing is lost.",
        "fhirgoals map plan.yaml --to r4 --as ehr-main > bundle.json",
    ),
    Command(
        "validate",
        "fhirgoals.cli.validate",
        "validate",
        "Check Goals and CarePlans in files and folders.",
        "fhirgoals validate export/ --json",
    ),
    Command("ehr", "fhirgoals.cli.connections", "app", "Connections to EHRs: add, list, match, arm, pause, guard."),
    Command("patients", "fhirgoals.cli.patients", "app", "Who is who at an EHR: match, list, confirm, unlink."),
    Command(
        "preview",
        "fhirgoals.cli.runs",
        "preview",
        "Show exactly what apply would do, and write nothing.",
        "fhirgoals preview ehr-main --out preview.json",
    ),
    Command(
        "apply",
        "fhirgoals.cli.runs",
        "apply",
        "Do what preview showed, on connections that are armed.",
        "fhirgoals apply preview.json",
    ),
    Command(
        "sync",
        "fhirgoals.cli.runs",
        "sync",
        "Bring plans and EHRs together.",
        "fhirgoals sync ehr-main --json",
    ),
    Command("inbox", "fhirgoals.cli.inbox", "app", "What waits for a person: list, show, resolve."),
    Command(
        "sandbox",
        "fhirgoals.cli.sandbox",
        "sandbox",
        "Run an EHR that is embedded, to try a connection on.",
        "fhirgoals sandbox --variant like_hapi --port 8090",
    ),
    Command("db", "fhirgoals.cli.db", "app", "The store itself: upgrade."),
)

_ABOUT = """Keep a therapy practice's goals and the Goals and CarePlans of its EHRs the same, both ways.

Exit code 0: done. 1: done, and something new waits for a person. 2: failed or refused, nothing half done.
"""

_GROUPS = frozenset(command.name for command in COMMANDS if command.attribute.endswith("app"))

_VALUE_OPTIONS = ("--store", "--config")


def run() -> NoReturn:
    """Run the command line of this process and end it."""
    code = main(sys.argv[1:])
    # A reader that went away would be told of again, with a traceback, when Python closes the streams.
    if code == READER_GONE:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; no error leaves this function, and none shows a traceback."""
    first, rest = _globals_first(arguments)
    if not rest or (len(rest) == 1 and rest[0] in _GROUPS):
        rest = [*rest, "--help"]
    arguments = first + rest
    try:
        result = app_for(arguments)(args=list(arguments), prog_name="fhirgoals", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        return _told(error)
    return result if isinstance(result, int) else DONE


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line with those commands loaded that `arguments` name; the others have only their help."""
    app = typer.Typer(
        help=_ABOUT,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_global_options)
    for command in COMMANDS:
        if not _is_there(command):
            continue
        if command.name not in arguments:
            app.command(command.name, help=command.says)(_not_loaded)
            continue
        found = getattr(importlib.import_module(command.module), command.attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=command.name, help=command.says)
        else:
            app.command(command.name, epilog=f"Example:  {command.example}")(found)
    return app


def _global_options(
    context: typer.Context,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="The store: sqlite:///FILE or postgresql://USER@HOST/DATABASE.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings; default config/fhirgoals.toml.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    if version:
        typer.echo(f"fhirgoals {__version__}")
        raise typer.Exit
    context.obj = Session(store, config)


def _not_loaded() -> None:
    raise AssertionError("only the help of this command was loaded")


def _is_there(command: Command) -> bool:
    if not command.module.startswith("fhirgoals.demo"):
        return True
    try:
        return importlib.util.find_spec(command.module) is not None
    except ModuleNotFoundError:
        return False


def _globals_first(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return `--store` and `--config` with their values, wherever they were written, and the other arguments."""
    first: list[str] = []
    rest: list[str] = []
    pending = list(arguments)
    while pending:
        one = pending.pop(0)
        if one == "--":
            rest += [one, *pending]
            break
        if one in _VALUE_OPTIONS and pending:
            first += [one, pending.pop(0)]
        elif one.startswith(tuple(f"{option}=" for option in _VALUE_OPTIONS)):
            first.append(one)
        else:
            rest.append(one)
    return first, rest


def _told(error: BaseException) -> int:
    """Say what went wrong on stderr, in one line where one line is enough, and return the exit code."""
    match error:
        case KeyboardInterrupt() | typer.Abort():
            _complain("stopped")
            return STOPPED
        case BrokenPipeError():
            return READER_GONE
        case SystemExit():
            return error.code if isinstance(error.code, int) else FAILED
        case FhirgoalsError():
            _complain(f"error: {error}")
        case OSError():
            place = f"{error.filename}: " if isinstance(error.filename, str | Path) else ""
            _complain(
                f"error: {place}{error.strerror or type(error).__name__}: check the path, its rights and its disk"
            )
        case MemoryError() | RecursionError():
            _complain("error: this input is too large or too deeply nested; nothing was written: split it")
        case _ if callable(say := getattr(error, "format_message", None)):
            _complain(f"error: {' '.join(str(say()).split())} (see `{_usage_of(error)} --help`)")
        case _:
            # The message of a fault of ours may hold anything, so only its class and place are told.
            _complain(
                f"error: a fault of fhirgoals itself, {type(error).__name__} at {_place(error)}: please report it"
            )
    return FAILED


def _usage_of(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    return str(getattr(context, "command_path", None) or "fhirgoals")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    file = Path(frames[-1].filename)
    here = Path(__file__).parents[1]
    return f"{file.relative_to(here) if file.is_relative_to(here) else file.name}:{frames[-1].lineno}"


def _complain(text: str) -> None:
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody can be told any more
