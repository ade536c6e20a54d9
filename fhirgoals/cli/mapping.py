"""`map`: plans to FHIR as one connection would get them, FHIR to plans, and the check that nothing is lost on the way.

Works without a store: every person and problem then counts as linked and is named by a wire id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer

from fhirgoals.cli import words
from fhirgoals.cli.output import JsonOption, note, printed_json, progress, written
from fhirgoals.cli.planfiles import read_plan
from fhirgoals.cli.roundtrip import check
from fhirgoals.cli.session import Session, day, session_of
from fhirgoals.cli.wire_in import ReadBack, laid_over, plans_in
from fhirgoals.cli.wire_out import Mapped, bundle, mapped
from fhirgoals.domain.disclosure import disclose
from fhirgoals.domain.identity import Installation
from fhirgoals.domain.planfile import dump_plan, dump_plan_json
from fhirgoals.domain.records import Plan
from fhirgoals.errors import InputError, Refused
from fhirgoals.fhir import exact_json
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.files import Found, Quarantined, iter_resources


class To(StrEnum):
    """What it is turned into."""

    R4 = "r4"
    INTERNAL = "internal"


def map_(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Plan files, or FHIR files and folders.")],
    to: Annotated[To | None, typer.Option(help="r4: plans to FHIR. internal: FHIR to plans.")] = None,
    check_: Annotated[
        bool, typer.Option("--check", help="Map every Goal and CarePlan in and out; say what changed.")
    ] = False,
    reader: Annotated[
        str | None, typer.Option("--as", metavar="CONNECTION", help="Whose eyes: a consent's endpoint in the plan.")
    ] = None,
    onto: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Lay it over this: FHIR for r4, a plan file for internal.")
    ] = None,
    on: Annotated[str | None, typer.Option(metavar="DATE", help="The day consents count for; default today.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write here instead of printing.")] = None,
    installation: Annotated[
        UUID | None, typer.Option(metavar="UUID", help="The installation's identifier; default the store's, or new.")
    ] = None,
    namespace: Annotated[
        UUID | None, typer.Option(metavar="UUID", help="What wire ids are made from; default the store's, or new.")
    ] = None,
    portal_visible: Annotated[
        bool, typer.Option("--portal-visible", help="What this reader gets is shown in a patient portal.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn plans into FHIR as one reader would get them, FHIR into plans, or check that nothing is lost.

    With `--to r4 --as CONNECTION` prints a Bundle of the plan's Goals and its CarePlan. With `--to internal` prints
    the plan file again; ids are those of the wire unless `--onto` names the plan. With `--check` prints a report.
    """
    if check_:
        _check(paths, out)
        return
    match to:
        case None:
            raise InputError("map: say what to do: --to r4 --as CONNECTION, --to internal, or --check")
        case To.R4:
            if reader is None:
                raise InputError("--as: name the connection that reads it; who reads decides what leaves")
            here = _installation(session_of(context), installation, namespace)
            _to_r4([read_plan(path)[0] for path in paths], reader, here, on, portal_visible, onto, out)
        case To.INTERNAL:
            resources = _resources(paths)
            if onto is None:
                found = plans_in(resources, reader or "file")
            else:
                here = _installation(session_of(context), installation, namespace)
                plan, _ = read_plan(onto)
                shown = disclose(plan, reader, on=day(on), portal_visible=portal_visible).plan if reader else None
                found = [laid_over(plan, resources, here, shown)]
            _say_plans(found, out, as_json)


def _check(paths: Sequence[Path], out: Path | None) -> None:
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder; check the path")
    with progress("Mapping in and out") as moved:
        report = check(paths, moved)
    if out is None:
        printed_json(report.as_tree())
    else:
        written(out, exact_json.dumps(report.as_tree()) + b"\n")
    if not report.good:
        raise typer.Exit(2)


def _installation(session: Session, system: UUID | None, namespace: UUID | None) -> Installation:
    """Return who we are on the wire: by the options, else the store's, else somebody new."""
    if system is not None and namespace is not None:
        return Installation(system.urn, namespace)
    known = session.installation_if_any() or Installation(uuid4().urn, uuid4())
    return Installation(system.urn if system else known.identifier_system, namespace or known.namespace)


def _to_r4(
    plans: Sequence[Plan],
    reader: str,
    installation: Installation,
    on: str | None,
    portal_visible: bool,
    onto: Path | None,
    out: Path | None,
) -> None:
    today = day(on)
    present = _resources([onto]) if onto is not None else []
    resources: list[Resource] = []
    missing = False
    for plan in plans:
        found = asyncio.run(mapped(plan, reader, installation, on=today, portal_visible=portal_visible, onto=present))
        resources.extend(found.resources)
        _say_mapped(plan, reader, found)
        missing = missing or bool(found.faults)
    text = exact_json.dumps(bundle(resources)) + b"\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        written(out, text)
    if missing:
        raise typer.Exit(2)  # some of what should go has no form on the wire: it was named above


def _say_mapped(plan: Plan, reader: str, found: Mapped) -> None:
    name = plan.id  # no text of a plan on stderr
    if found.refused is not None:
        note(f"{name}: nothing goes to {reader}: {words.of_code(words.KEPT, found.refused)}.")
        return
    goals = sum(one["resourceType"] == "Goal" for one in found.resources)
    stay: dict[str, int] = {}
    for why in found.kept.values():
        stay[why] = stay.get(why, 0) + 1
    reasons = "; ".join(f"{number} {words.of_code(words.KEPT, why)}" for why, number in stay.items())
    note(f"{name}: {words.count(goals, 'goal')} for {reader}" + (f"; here stay {reasons}." if reasons else "."))
    for (kind, _), rules in found.faults.items():
        for rule in rules:
            note(f"  a {kind} is not written: {rule}")


def _resources(paths: Sequence[Path]) -> list[Resource]:
    """Return the Goals and CarePlans of files; what can't be read is told, and is an error where nothing can."""
    found: list[Resource] = []
    wrong: list[Quarantined] = []
    for met in iter_resources(paths):
        if isinstance(met, Found):
            found.append(met.resource)
        elif isinstance(met, Quarantined):
            wrong.append(met)
    if wrong and not found:
        one = wrong[0]
        raise InputError(f"{one.file}: {one.path + ': ' if one.path else ''}{one.message}")
    for one in wrong:
        note(f"note: {one.file}: {one.path + ': ' if one.path else ''}{one.message}; passed over")
    if not found:
        raise Refused(f"{paths[0]}: holds no Goal and no CarePlan")
    return found


def _say_plans(found: Sequence[ReadBack], out: Path | None, as_json: bool) -> None:
    for one in found:
        if one.left:
            kinds = ", ".join(dict.fromkeys(words.field_name(unit) for unit in one.left))
            note(
                f"note: {words.count(len(one.left), 'value')} of {one.plan.id} left out,"
                f" since a plan file has no place for what stands there: {kinds}"
            )
    dump = dump_plan_json if as_json else dump_plan
    texts = [dump(one.plan) for one in found]
    text = ("" if as_json else "---\n").join(texts)
    if out is None:
        typer.echo(text, nl=False)
    else:
        written(out, text.encode())
