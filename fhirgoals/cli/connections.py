"""`ehr`: connections to EHRs. A new one observes; only `arm` lets it write, after its preview was shown."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from fhirgoals.cli import arming, guard, words
from fhirgoals.cli.output import JsonOption, printed_json, say, table
from fhirgoals.cli.planfiles import read_bytes
from fhirgoals.cli.session import actor, now, session_of
from fhirgoals.errors import ConfigurationError, InputError, Refused
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.store import Tx
from fhirgoals.sync.connection import ConnectionConfig, config_of
from fhirgoals.sync.first import first_of

app = typer.Typer(rich_markup_mode=None)

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LARGEST_FILE = 64 * 1024


@app.callback()
def _group() -> None:
    """Connections to EHRs."""


@app.command(epilog="Example:  fhirgoals ehr add ehr-main --url https://ehr.example/fhir")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What consents call it: small letters, digits, -.")],
    url: Annotated[str | None, typer.Option(metavar="URL", help="The EHR's FHIR base address.")] = None,
    create: Annotated[
        str | None, typer.Option(help="How a repeated create is kept from doubling: client_id, if_none_exist, search.")
    ] = None,
    release: Annotated[
        str | None, typer.Option(help="When an edit may go: quiet_minutes (default), on_save, on_sign (signed review).")
    ] = None,
    quiet_minutes: Annotated[
        int | None, typer.Option(metavar="N", help="How long an edit can still be taken back; default 15.")
    ] = None,
    scope: Annotated[
        str | None,
        typer.Option(
            help="Which goals born there are taken: ours (none), linked_plans (those in a linked care plan, default),"
            " categories or all (also others of the patient, into a plan that is never sent)."
        ),
    ] = None,
    scope_categories: Annotated[
        list[str] | None,
        typer.Option(
            "--scope-categories", metavar="CODE", help="With --scope categories: CODE or SYSTEM|CODE; may repeat."
        ),
    ] = None,
    changes: Annotated[
        str | None,
        typer.Option(help="How a run learns what to read: hash (all, default), instant (_lastUpdated), history."),
    ] = None,
    changes_of: Annotated[
        str | None, typer.Option(help="Of whom changes are asked for: patient (default) or server.")
    ] = None,
    transactions: Annotated[
        str | None,
        typer.Option(help="What is sent as one Bundle: none (default), or atomic where the EHR does all or nothing."),
    ] = None,
    retract: Annotated[
        str | None,
        typer.Option(help="What is done with what may no longer go: leave, blank, entered_in_error, delete."),
    ] = None,
    portal_visible: Annotated[
        bool | None, typer.Option("--portal-visible", help="What it gets is shown in a patient portal.")
    ] = None,
    send_proposed: Annotated[
        bool | None, typer.Option("--send-proposed", help="Goals that are only proposed go there too.")
    ] = None,
    operation_id_kept: Annotated[
        bool | None, typer.Option("--operation-id-kept", help="The server keeps meta.source as it is written.")
    ] = None,
    page_size: Annotated[int | None, typer.Option(metavar="N", help="Results on a page of a search.")] = None,
    token_env: Annotated[
        str | None, typer.Option(metavar="VAR", help="The environment variable that holds the bearer token.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="TOML", help="Take the settings from a file; options go before it.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="STAFF", help="Who does this.")] = "operator",
    as_json: JsonOption = False,
) -> None:
    """Add a connection. It observes: it reads, counts and previews, and writes nothing until it is armed."""
    given: dict[str, object] = {
        "base_url": url,
        "create": create,
        "release": release,
        "quiet_minutes": quiet_minutes,
        "scope": scope,
        "scope_categories": scope_categories or None,
        "changes": changes,
        "changes_of": changes_of,
        "transactions": transactions,
        "retract": retract,
        "portal_visible": portal_visible,
        "send_proposed": send_proposed,
        "operation_id_kept": operation_id_kept,
        "page_size": page_size,
        "token": token_env,
    }
    settings = _of_file(file) | {key: value for key, value in given.items() if value is not None}
    config = _checked(name, settings)
    staff = actor(by)
    at = now()
    with session_of(context).open(create=True) as store, store.write() as tx:
        tx.connections.add(name, config, at=at, by=staff)
        tx.audit.write(at=at, actor=staff, action="ehr_add", connection=name)
    if as_json:
        printed_json({"connection": name, "state": "observe"})
        return
    say(f"{name} is added. It observes: it reads and previews, and writes nothing.")
    say(f"Next: fhirgoals patients match {name} --by STAFF")


@app.command("list", epilog="Example:  fhirgoals ehr list --json")
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the connections with their state and what waits at each."""
    with session_of(context).open() as store, store.read() as tx:
        found = [(one, config_of(one.config), tx.inbox.list(connection=one.name)) for one in tx.connections.list()]
        waiting = {one.name: len(tx.dirty.marked(one.name)) for one, _, _ in found}
        first = {one.name: first_of(tx, one.name).limit for one, _, _ in found}
    if as_json:
        printed_json(
            {
                "connections": [
                    {
                        "connection": one.name,
                        "state": one.state,
                        "first": first[one.name],
                        "url": config.base_url,
                        "inbox": len(items),
                        "plans_to_look_at": waiting[one.name],
                    }
                    for one, config, items in found
                ]
            }
        )
        return
    if not found:
        say("There is no connection yet. Add one: fhirgoals ehr add NAME --url URL")
        return
    rows = [
        [
            one.name,
            words.STATE_WORD[one.state] + ("" if first[one.name] is None else f", first {first[one.name]}"),
            config.base_url,
            str(waiting[one.name]),
            str(len(items)),
        ]
        for one, config, items in found
    ]
    table(("name", "state", "address", "plans to do", "inbox"), rows)


@app.command(epilog="Example:  fhirgoals ehr pause --all --by staff-7 --reason 'wrong charts, looking into it'")
def pause(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every connection.")] = False,
    by: Annotated[str, typer.Option(metavar="STAFF", help="Who does this.")] = "operator",
    reason: Annotated[str | None, typer.Option(metavar="WORDS", help="Why.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a connection, or all, from writing: from the next call on, also in a run that is going on."""
    staff = actor(by)
    if (name is None) == (not everything):
        raise InputError("ehr pause: name one connection, or say --all")
    at = now()
    with session_of(context).open() as store, store.write() as tx:
        names = [one.name for one in tx.connections.list()] if name is None else [name]
        for one in names:
            _set(tx, one, "paused", staff, reason)
            tx.audit.write(at=at, actor=staff, action="ehr_pause", connection=one)
    _say_state(names, "paused", as_json)


@app.command(epilog="Example:  fhirgoals ehr resume ehr-main --by staff-7")
def resume(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    by: Annotated[str, typer.Option(metavar="STAFF", help="Who does this.")] = "operator",
    reason: Annotated[str | None, typer.Option(metavar="WORDS", help="Why.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Let a paused connection go on as before: one that was armed writes again, one that observed observes."""
    staff = actor(by)
    at = now()
    with session_of(context).open() as store, store.write() as tx:
        known = tx.connections.get(name)
        if known is None:
            raise Refused(f"there is no connection {name}: `fhirgoals ehr list` names them")
        if known.state != "paused":
            raise Refused(f"{name} is not paused")
        armed = any(row.action == "ehr_arm" for row in tx.audit.list(connection=name))
        state: Literal["armed", "observe"] = "armed" if armed else "observe"
        _set(tx, name, state, staff, reason)
        tx.audit.write(at=at, actor=staff, action="ehr_resume", connection=name)
    _say_state([name], state, as_json)


app.command(epilog="Example:  fhirgoals ehr arm ehr-main --by staff-7 --reason 'preview checked with Ines'")(arming.arm)
app.command(epilog="Example:  fhirgoals ehr match ehr-main --yes --by staff-7")(arming.match)
app.command(epilog="Example:  fhirgoals ehr guard ehr-main")(guard.guard)


def _set(tx: Tx, name: str, state: Literal["armed", "observe", "paused"], by: str, reason: str | None) -> None:
    tx.connections.set_state(name, state, by=by, reason=reason, at=now())


def _say_state(names: list[str], state: str, as_json: bool) -> None:
    if as_json:
        printed_json({"connections": list(names), "state": state})
        return
    for one in names:
        say(f"{one}: {words.STATE[state]}.")
    if not names:
        say("There is no connection.")


def _of_file(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    raw = read_bytes(path, _LARGEST_FILE + 1)
    if len(raw) > _LARGEST_FILE:
        raise InputError(f"{path}: is too large for a connection's settings")
    try:
        return dict(tomllib.loads(raw.decode("utf-8")))
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text: save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError):
        # The parser's words may quote what stands there.
        raise InputError(f"{path}: not valid TOML: mend it") from None


def _checked(name: str, settings: dict[str, object]) -> Resource:
    """Return the settings as they are stored; raises `InputError` that names what is wrong, never a value."""
    if not _NAME.fullmatch(name):
        raise InputError("NAME: use small letters, digits and - _ . only, such as ehr-main")
    url = settings.get("base_url")
    if url is None:
        raise InputError(f"{name}: --url: give the EHR's FHIR base address, such as https://ehr.example/fhir")
    if not isinstance(url, str) or not _URL.fullmatch(url):
        raise InputError(f"{name}: --url: write http(s)://host/path, without user, password, query or fragment")
    token = settings.get("token")
    if token is not None and not (isinstance(token, str) and _VARIABLE.fullmatch(token)):
        raise InputError(f"{name}: --token-env: name the environment variable that holds the token, not the token")
    settings = {**settings, "base_url": url.rstrip("/")}
    unknown = sorted(settings.keys() - set(ConnectionConfig.__struct_fields__))
    if unknown:
        allowed = ", ".join(ConnectionConfig.__struct_fields__)
        raise InputError(f"{name}: a setting that there is not; known are {allowed}")
    try:
        config = config_of(_tree(settings))
    except ConfigurationError as error:
        key = re.search(r"\$\.(\w+)", str(error))
        raise InputError(f"{name}: {_wrong(key[1] if key else None)}") from None
    for key_name, least, most in (
        ("quiet_minutes", 0, 7 * 24 * 60),
        ("page_size", 1, 1000),
        ("changes_overlap_s", 0, 86_400),
    ):
        if not least <= getattr(config, key_name) <= most:
            raise InputError(f"{name}: --{key_name.replace('_', '-')}: must be from {least} to {most}")
    plain: Resource = msgspec.to_builtins(config)
    return plain


_ALLOWED = {
    "create": "client_id, if_none_exist or search",
    "release": "quiet_minutes, on_save or on_sign",
    "scope": "ours, linked_plans, categories or all",
    "scope_categories": "CODE or SYSTEM|CODE, at least one with --scope categories and none with another",
    "changes": "hash, instant or history",
    "changes_of": "patient or server, and server where --changes is history",
    "transactions": "none or atomic",
    "retract": "leave, blank, entered_in_error or delete",
}


def _wrong(key: str | None) -> str:
    if key is None:
        return "a setting has a wrong type: compare it with `fhirgoals ehr add --help`"
    option = f"--{key.replace('_', '-')}"
    return f"{option}: must be {_ALLOWED.get(key, 'of another type')}"


def _tree(settings: dict[str, object]) -> Resource:
    tree: dict[str, Tree] = msgspec.convert(settings, dict[str, object])
    return tree
