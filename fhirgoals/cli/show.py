"""`show`: a plan's tree as one reader gets it, and for a connection what stays here and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from fhirgoals.cli import words
from fhirgoals.cli.output import JsonOption, printed_json, say
from fhirgoals.cli.planfiles import read_plan
from fhirgoals.cli.session import Session, day, session_of
from fhirgoals.cli.tree import goal_title, plan_lines, status_words
from fhirgoals.domain.disclosure import Disclosed, disclose
from fhirgoals.domain.records import Goal, Plan
from fhirgoals.errors import Refused
from fhirgoals.fhir.exact_json import Tree
from fhirgoals.sync.connection import config_of

THERAPIST, CLIENT = "therapist", "client"


@dataclass(frozen=True)
class Reader:
    """Who reads: the therapist, the client, or a connection with what the store knows of it."""

    name: str
    portal_visible: bool = False
    send_proposed: bool = False
    sent_before: frozenset[str] = frozenset()


def show(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan's id, or a plan file.")],
    reader: Annotated[
        str, typer.Option("--as", metavar="READER", help="therapist, client, or the name of a connection.")
    ] = THERAPIST,
    on: Annotated[str | None, typer.Option(metavar="DATE", help="The day to show it for; default today.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a plan's tree as one reader gets it.

    For a connection it also says of each goal that stays here why it stays. A plan file needs no store.
    """
    today = day(on)
    whole, who = _found(session_of(context), plan, reader)
    if who.name in (THERAPIST, CLIENT):
        seen = whole if who.name == THERAPIST else for_client(whole)
        if as_json:
            printed_json(_tree(seen, today) | {"as": who.name, "on": today.isoformat()})
            return
        _say_tree(seen, today)
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
        tree: dict[str, Tree] = _tree(shown.plan, today) if shown.plan else {"id": whole.id, "goals": []}
        printed_json(tree | {"as": who.name, "on": today.isoformat(), "kept": kept, "refused": shown.refused})
        return
    _say_disclosed(whole, shown, who.name, today)


def for_client(plan: Plan) -> Plan:
    """Return the plan without what a client does not see in it: a therapist's drafts and what was an error."""
    hidden = {"draft", "entered_in_error"}
    goals = tuple(
        msgspec.structs.replace(goal, steps=tuple(step for step in goal.steps if step.status != "entered_in_error"))
        for goal in plan.goals
        if goal.lifecycle not in hidden
    )
    return msgspec.structs.replace(plan, goals=goals)


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
        if reader in (THERAPIST, CLIENT):
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


def _say_tree(plan: Plan, on: date) -> None:
    for line in plan_lines(plan, on):
        typer.echo(line)
    if any(goal.steps for goal in plan.goals):
        say()
        say(words.STEP_LEGEND)


def _say_disclosed(whole: Plan, shown: Disclosed, name: str, on: date) -> None:
    if shown.plan is None:
        reason = words.of_code(words.KEPT, shown.refused, "no goal of it may go")
        say(f"{name} gets nothing of this plan: {reason}.")
    else:
        say(f"What {name} gets on {words.on_day(on)}:")
        say()
        _say_tree(shown.plan, on)
    if shown.kept and shown.refused is None:
        say()
        say(f"What stays here ({words.count(len(shown.kept), 'goal')}):")
        goals = {goal.id: goal for goal in whole.goals}
        for goal_id, why in shown.kept.items():
            say(f"{goal_title(goals[goal_id])}: {words.of_code(words.KEPT, why)}", indent="  ", hanging="    ")
    notes, things = _left_of_goals(whole, shown)
    if shown.plan is not None and (notes or things):
        say()
        say("Of the goals that go, these stay here: " + ", ".join([*notes, *things]) + ".")


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
    silent = sum(goal.client_words is not None and sent.client_words is None for goal, sent in pairs)
    return notes, [f"the client's own words on {words.count(silent, 'goal')}"] if silent else []


def _tree(plan: Plan, on: date) -> dict[str, Tree]:
    def one(goal: Goal) -> dict[str, Tree]:
        steps: list[Tree] = [
            {"id": step.id, "text": step.text, "status": step.status if isinstance(step.status, str) else None}
            for step in sorted(goal.steps, key=lambda step: step.n)
        ]
        return {
            "id": goal.id,
            "parent": goal.parent,
            "text": goal.text,
            "status": status_words(goal, on),
            "steps": steps,
        }

    return {"id": plan.id, "title": plan.title, "goals": [one(goal) for goal in plan.goals]}
