"""`fhirgoals sandbox`: an embedded EHR to try a connection on, in any of its variants, until Ctrl-C."""

from __future__ import annotations

import difflib
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from fhirgoals.cli.output import JsonOption, printed_json, say, table
from fhirgoals.cli.session import session_of
from fhirgoals.errors import InputError

if TYPE_CHECKING:
    from fhirgoals.sandbox.ehr import Sandbox
    from fhirgoals.sandbox.variants import Variant
    from fhirgoals.store import Store

PLAIN = "plain"


def sandbox(
    context: typer.Context,
    variant: Annotated[str, typer.Option(metavar="VARIANT", help="Which kind of server; --list names them.")] = PLAIN,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Where on 127.0.0.1; 0 takes any that is free.")
    ] = 0,
    people: Annotated[
        bool, typer.Option("--people", help="Have everybody there whom the store's plans name, as a front desk would.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the variants, and start nothing.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Run an EHR that is embedded, a FHIR R4 server in memory on 127.0.0.1, until Ctrl-C.

    It starts without a goal and forgets everything when it ends. A variant drops, rewrites, lags or refuses as some
    real servers do: try on it what a connection makes of that.
    """
    if listed:
        _list(as_json)
        return 0
    chosen = _variant(variant)
    from fhirgoals.sandbox.ehr import Sandbox  # noqa: PLC0415 (`--list` needs none of it)

    ehr, registered = Sandbox(chosen.knobs), 0
    if people:
        with session_of(context).open() as store:
            registered = _register(store, ehr)
    _serve(chosen, ehr, port, registered, as_json)
    return 0


def _variant(name: str) -> Variant:
    """Return a variant; raises `InputError` that names those with a name like it."""
    from fhirgoals.sandbox.variants import VARIANTS  # noqa: PLC0415 (`--help` needs none of it)

    if name in VARIANTS:
        return VARIANTS[name]
    asked = name.lower().replace("-", "_")
    near = difflib.get_close_matches(asked, VARIANTS, n=3, cutoff=0.5)
    # The words of a name count too: `etag` is near to all that are about it.
    near += [each for each in VARIANTS if each not in near and set(asked.split("_")) & set(each.split("_"))]
    hint = f"near it are {', '.join(near[:5])}; " if near else ""
    raise InputError(f"--variant: there is none of that name: {hint}`fhirgoals sandbox --list` names all")


def _list(as_json: bool) -> None:
    from fhirgoals.sandbox.variants import VARIANTS  # noqa: PLC0415

    if as_json:
        printed_json([{"variant": one.name, "does": one.does, "source": one.source} for one in VARIANTS.values()])
        return
    table(
        ("VARIANT", "WHAT IT DOES", "WHO SAYS SO"),
        [(one.name, one.does, one.source) for one in VARIANTS.values()],
        unbroken=("VARIANT",),
    )


def _register(store: Store, ehr: Sandbox) -> int:
    """Create everybody and every problem of the store's plans, by the identifier that `patients match` looks for.

    Nothing else of them is told: no name, no code. Returns how many there are.
    """
    from fhirgoals.sync.identify import known_there, wanted  # noqa: PLC0415

    with store.read() as tx:
        plans = [stored.plan for stored in tx.plans.list()]
    made: dict[tuple[str, str], str] = {}
    for plan in plans:
        for one in wanted(plan, store.installation, {}):
            if (one.kind, one.local_id) in made:
                continue
            patient = f"Patient/{made['Patient', one.patient_of]}" if one.patient_of is not None else None
            body = known_there(one, one.identifiers[-1:], patient)
            made[one.kind, one.local_id] = ehr.storage.create(one.kind, body).version.id
    return len(made)


def _serve(variant: Variant, ehr: Sandbox, port: int, registered: int, as_json: bool) -> None:
    from fhirgoals.sandbox.serve import serve  # noqa: PLC0415

    try:
        with serve({variant.name: ehr.app}, port=port) as urls:
            url = urls[variant.name]
            if as_json:
                printed_json({"variant": variant.name, "url": url, "registered": registered})
            else:
                say(f"The sandbox EHR {variant.name} is at {url} until Ctrl-C.")
                say(f"It {variant.does}.")
                if registered:
                    say(f"{registered} people and problems are there, by the identifier that we look for.")
                say(f"To connect:  fhirgoals ehr add NAME --url {url}")
            # Whoever started it reads this from a pipe while it runs on.
            sys.stdout.flush()
            threading.Event().wait()
    except KeyboardInterrupt:
        return
