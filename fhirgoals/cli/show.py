"""`show`: a plan's tree as one reader gets it, and for a connection what stays here and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from fhirgoals.cli import show_goal, show_plan, words
from fhirgoals.cli.output import JsonOption, clean, printed_json, wrapped
from fhirgoals.cli.planfiles import read_plan
from fhirgoals.cli.session import Session, day, session_of
from fhirgoals.cli.show_goal import Told
from fhirgoals.cli.show_json import client_tree, plain_tree, therapist_tree
from fhirgoals.cli.show_plan import Section
from fhirgoals.cli.show_words import NOT_FOR
from fhirgoals.cli.sparkline import as_ascii, has_blocks
from fhirgoals.cli.tree import goal_lines, goal_numbers, goal_title, title_lines
from fhirgoals.domain.disclosure import Disclosed, disclose, not_covered
from fhirgoals.domain.instruments import standard
from fhirgoals.domain.progress import progress
from fhirgoals.domain.readers import View, client_words_first, proxy_view, view_as_client
from fhirgoals.domain.records import Goal, Plan
from fhirgoals.domain.smart import assess_all, other_wordings
from fhirgoals.domain.smart_limits import standard as smart_rules
from fhirgoals.errors import Refused
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.sync.connection import config_of

THERAPIST, CLIENT = "therapist", "client"

_COMPARED = 300
"""Wordings are compared with those of other clients in a store of up to so many plans."""


@dataclass(frozen=True)
class Reader:
    """Who reads: the therapist, the client, or a connection with what the store knows of it."""

    name: str
    portal_visible: bool = False
    send_proposed: bool = False
    sent_before: frozenset[str] = frozenset()
    wordings: frozenset[str] = frozenset()


def show(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan's id, or a plan file.")],
    reader: Annotated[
        str, typer.Option("--as", metavar="READER", help="therapist, client, or the name of a connection.")
    ] = THERAPIST,
    on: Annotated[str | None, typer.Option(metavar="DATE", help="The day to show it for; default today.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Also what closed goals were made of, and every note.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a plan's tree as one reader gets it.

    The therapist sees everything that figures say; the client their own words first, and nothing that stays with the
    practice. For a connection it also says of each goal that stays here why it stays. A plan file needs no store.
    """
    today = day(on)
    whole, who = _found(session_of(context), plan, reader)
    if who.name == THERAPIST:
        told = _told(whole, today, full)
        smart = assess_all(whole, today, smart_rules(), standard(), who.wordings)
        _printed(replace(told, smart=smart), who.name, as_json=as_json)
        return
    proxy = _proxy(whole, who.name)
    if who.name == CLIENT or proxy is not None:
        view = proxy or view_as_client(whole)
        if view.plan is None:
            _said_nothing(whole, view, who.name, today, as_json=as_json)
            return
        wanted = ("legal_representative",) if proxy else ("client",)
        me = frozenset(each.id for each in whole.participants if each.role in wanted)
        told = replace(_told(view.plan, today, full), me=me, reader="proxy" if proxy else "client")
        _printed(told, who.name, as_json=as_json)
        return
    shown = disclose(
        whole,
        who.name,
        on=today,
        portal_visible=who.portal_visible,
        sent_before=who.sent_before,
        send_proposed=who.send_proposed,
    )
    if as_json:
        kept: Tree = [{"id": goal, "why": why} for goal, why in shown.kept.items()]
        tree: dict[str, Tree] = {"id": whole.id, "goals": []}
        if shown.plan is not None:
            tree = plain_tree(_told(shown.plan, today, full))
        printed_json(tree | {"as": who.name, "on": today.isoformat(), "kept": kept, "refused": shown.refused})
        return
    told = replace(_told(shown.plan or whole, today, full), reader="connection")
    _say_disclosed(whole, shown, who.name, told)


def _told(plan: Plan, on: date, full: bool) -> Told:
    return Told(plan, on, progress(plan, on), goal_numbers(plan), full=full, blocks=has_blocks())


def _proxy(plan: Plan, name: str) -> View | None:
    """Return what a legal representative reads, where the reader is one by their part in the plan."""
    found = [each for each in plan.participants if each.id == name and each.role == "legal_representative"]
    return proxy_view(plan, name) if found else None


def _found(session: Session, name: str, reader: str) -> tuple[Plan, Reader]:
    """Return the plan of a file or of the store, and the reader as the store knows them."""
    path = Path(name)
    if "/" in name or path.suffix.lower() in (".yaml", ".yml", ".json") or path.is_file():
        plan, _ = read_plan(path)
        return plan, Reader(reader)
    with session.open() as store, store.read() as tx:
        stored = tx.plans.get(name)
        if stored is None:
            raise Refused(f"there is no plan of that id; the store has {', '.join(tx.plans.ids()) or 'none'}")
        if reader == THERAPIST:
            others = tx.plans.list() if len(tx.plans.ids()) <= _COMPARED else ()
            return stored.plan, Reader(reader, wordings=other_wordings(stored.plan, [each.plan for each in others]))
        if reader == CLIENT or _proxy(stored.plan, reader) is not None:
            return stored.plan, Reader(reader)
        connection = tx.connections.get(reader)
        if connection is None:
            names = ", ".join(one.name for one in tx.connections.list()) or "none"
            raise Refused(f"--as: there is no connection of that name; the store has {names}")
        config = config_of(connection.config)
        links = tx.links.for_plan(reader, name)
        steps = {unit.member for unit in tx.bases.for_plan(reader, name) if unit.family == "steps"}
        sent = frozenset({link.local_id for link in links} | steps)
        return stored.plan, Reader(reader, config.portal_visible, config.send_proposed, sent)


def _printed(told: Told, reader: str, *, as_json: bool) -> None:
    """Print the plan for the therapist, the client or a representative."""
    therapist = reader == THERAPIST
    if as_json:
        tree = therapist_tree(told) if therapist else client_tree(told)
        printed_json(tree | {"as": reader, "on": told.on.isoformat()})
        return
    above, below = show_plan.for_therapist(told) if therapist else show_plan.for_client(told)
    lines = list(title_lines(told.plan, *show_plan.facts(told.plan)))
    if therapist:
        lines += [
            line
            for text in (*show_plan.people(told.plan), *show_plan.sessions(told))
            for line in wrapped(text, "  ", "    ")
        ]
    lines += [line for text in show_plan.as_it_stands(told) for line in wrapped(text, "  ", "    ")]
    lines += _sections(above)
    title = goal_title if therapist else _own_title
    about = partial(show_goal.for_therapist if therapist else show_goal.for_client, told)
    lines += goal_lines(told.plan, title, about)
    lines += _sections(below)
    _say(told, lines)


def _own_title(goal: Goal) -> str:
    return clean(client_words_first(goal).first) or "A goal without text"


def _sections(sections: Sequence[Section]) -> list[str]:
    lines: list[str] = []
    for heading, texts in sections:
        if texts:
            lines += ["", heading, *(line for text in texts for line in wrapped(text, "  ", "      "))]
    return lines


def _say(told: Told, lines: Sequence[str]) -> None:
    """Print lines, with the legend of the marks where one of them is used."""
    marks = [mark for mark in set(words.STEP_MARK.values()) if any(line.lstrip().startswith(mark) for line in lines)]
    every = [*lines, "", words.STEP_LEGEND] if marks else list(lines)
    for line in every:
        typer.echo(line if told.blocks else as_ascii(line))


def _said_nothing(plan: Plan, view: View, name: str, on: date, *, as_json: bool) -> None:
    if as_json:
        printed_json({"id": plan.id, "goals": [], "as": name, "on": on.isoformat(), "refused": view.why})
        return
    who = "The client" if name == CLIENT else "This reader"
    for line in wrapped(f"{who} gets nothing of this plan: {words.of_code(NOT_FOR, view.why)}."):
        typer.echo(line)


def _say_disclosed(whole: Plan, shown: Disclosed, name: str, told: Told) -> None:
    lines: list[str] = []
    if shown.plan is None:
        reason = words.of_code(words.KEPT, shown.refused, "no goal of it may go")
        lines += wrapped(f"{name} gets nothing of this plan: {reason}.")
    else:
        lines += [f"What {name} gets on {words.on_day(told.on)}:", "", *title_lines(shown.plan)]
        lines += [line for text in _linked(whole, shown.plan) for line in wrapped(text, "  ", "    ")]
        lines += goal_lines(shown.plan, goal_title, partial(show_goal.for_connection, told))
    if shown.kept and shown.refused is None:
        lines += ["", f"What stays here ({words.count(len(shown.kept), 'goal')}):"]
        goals = {goal.id: goal for goal in whole.goals}
        for goal_id, why in shown.kept.items():
            reason = words.of_code(words.KEPT, why)
            if why == "sensitivity_not_consented":
                missing = not_covered(whole, name, told.on, goal_id)
                reason += f" ({', '.join(words.LABEL[label] for label in missing)})"
            lines += wrapped(f"{goal_title(goals[goal_id])}: {reason}", "  ", "    ")
    notes, things = _left_of_goals(whole, shown)
    if shown.plan is not None and (notes or things):
        lines += ["", *wrapped("Of the goals that go, these stay here: " + ", ".join([*notes, *things]) + ".")]
    _say(told, lines)


def _linked(whole: Plan, shown: Plan) -> Iterator[str]:
    """Yield which people and problems are referred to: the EHR has its own entries for them, and gets no names."""
    roles = dict.fromkeys(words.of_code(words.ROLE, each.role) for each in shown.participants)
    if roles:
        yield "Refers to the EHR's own entries for: " + ", ".join(roles)
    going = {each.id for each in shown.problems}
    problems = [clean(each.code.display or each.code.code) for each in whole.problems if each.id in going]
    if problems:
        yield "and for the problems: " + "; ".join(problems)


def _left_of_goals(whole: Plan, shown: Disclosed) -> tuple[list[str], list[str]]:
    """Return how many notes, victories, findings, barriers and words of the goals that go are not sent."""
    going = {goal.id: goal for goal in shown.plan.goals} if shown.plan else {}
    pairs = [(goal, going[goal.id]) for goal in whole.goals if goal.id in going]

    def left(one: str, many: str, size: str) -> list[str]:
        number = sum(len(getattr(goal, size)) - len(getattr(sent, size)) for goal, sent in pairs)
        return [words.count(number, one, many)] if number else []

    notes = left("progress note", "progress notes", "progress") + left(
        "small victory", "small victories", "achievements"
    )
    notes += left("finding", "findings", "findings") + left("barrier", "barriers", "barriers")
    notes += _values_left(pairs, whole, shown.plan)
    silent = sum(goal.client_words is not None and sent.client_words is None for goal, sent in pairs)
    return notes, [f"the client's own words on {words.count(silent, 'goal')}"] if silent else []


def _values_left(pairs: Sequence[tuple[Goal, Goal]], whole: Plan, going: Plan | None) -> list[str]:
    """Return how many readings, ratings and tries of the goals that go are not sent."""
    sent = {each.id: each for each in going.measures} if going else {}
    readings = sum(len(each.readings) - len(sent[each.id].readings) for each in whole.measures if each.id in sent)
    ratings = sum(len(goal.gas.ratings) for goal, other in pairs if goal.gas and not other.gas)
    tries = sum(len(step.trials) for goal, _ in pairs for step in goal.steps)
    found = [
        (readings, "reading", "readings"),
        (ratings, "rating on its scale", "ratings on their scales"),
        (tries, "try with its distress", "tries with their distress"),
    ]
    return [words.count(number, one, many) for number, one, many in found if number]
