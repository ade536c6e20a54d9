"""Random plans for the laws of disclosure, and a plan as if a goal had never been."""

# ruff: noqa: E501 - records read best with one a line

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from fhirgoals.domain.records import (
    Coding,
    Consent,
    Disclosure,
    Intervention,
    Measure,
    Participant,
    Plan,
    Problem,
    ProgressEntry,
    Step,
    Target,
)
from tests.plans import AS_OF, goal, replace, small

DAY = timedelta(days=1)
YES = Consent(
    id="c", endpoint="ehr", granted=AS_OF - DAY, expires=AS_OF + DAY, scope="treatment", sensitivities=("MH",)
)

LABELS = ("MH", "ADOL", "SUD")
LIFECYCLES = ("draft", "proposed", "active", "completed", "declined", "entered_in_error", "on_hold")


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan of up to seven goals with random marks, relations, notes, steps and interventions."""
    count = draw(st.integers(1, 7))
    ids = [f"g-{n}" for n in range(count)]
    some = st.lists(st.sampled_from(ids), unique=True, max_size=3).map(tuple)
    labels = st.lists(st.sampled_from(LABELS), unique=True, max_size=2).map(tuple)
    people = ("p-client", "p-ther", "p-aunt")
    goals = []
    for place, each in enumerate(ids):
        parent = draw(st.none() | st.sampled_from(ids[:place] or [None]))
        goals.append(
            goal(
                each,
                parent=parent,
                lifecycle=draw(st.sampled_from(LIFECYCLES)),
                share=draw(st.sampled_from(["default", "default", "default", "withheld"])),
                sensitivities=draw(labels),
                addresses=draw(st.lists(st.sampled_from(["pr-1", "pr-2"]), unique=True, min_size=1).map(tuple)),
                predecessors=draw(some),
                replaced_by=draw(st.none() | st.sampled_from(ids)),
                expressed_by=draw(st.none() | st.sampled_from(people)),
                targets=draw(st.lists(st.sampled_from(["m-1", "m-2"]), unique=True).map(measured)),
                steps=tuple(
                    Step(id=f"{each}-s{n}", n=n, kind="homework", text=f"step of {each}", status=status)
                    for n, status in enumerate(
                        draw(st.lists(st.sampled_from(["planned", "entered_in_error"]), max_size=2)), 1
                    )
                ),
                progress=tuple(
                    ProgressEntry(id=f"{each}-n{n}", visibility=who, text=f"note of {each}", author=draw(st.sampled_from(people)))
                    for n, who in enumerate(draw(st.lists(st.sampled_from(["shared", "team"]), max_size=2)))
                ),
            )
        )  # fmt: skip
    return small(
        goals=tuple(goals),
        participants=(*small().participants, Participant(id="p-aunt", role="family", ref="related-1")),
        problems=(
            Problem(id="pr-1", code=Coding(system="icd10cm", code="F32.1"), sensitivities=draw(labels)),
            Problem(id="pr-2", code=Coding(system="icd10cm", code="F41.1")),
        ),
        measures=(Measure(id="m-1", sensitivities=draw(labels)), Measure(id="m-2")),
        interventions=tuple(
            Intervention(id=f"iv-{n}", technique="x", by="p-ther", goals=draw(some)) for n in range(draw(st.integers(0, 3)))
        ),
        disclosure=Disclosure(consents=(replace(YES, sensitivities=("MH", *draw(labels))),)),
    )  # fmt: skip


def measured(measures: list[str]) -> tuple[Target, ...]:
    return tuple(Target(measure=each) for each in measures)


def without(plan: Plan, gone: str) -> Plan:
    """The plan as if that goal had never been: neither it nor any reference to it."""
    return replace(
        plan,
        goals=tuple(
            replace(
                each,
                parent=None if each.parent == gone else each.parent,
                predecessors=tuple(end for end in each.predecessors if end != gone),
                replaced_by=None if each.replaced_by == gone else each.replaced_by,
            )
            for each in plan.goals
            if each.id != gone
        ),
        interventions=tuple(
            replace(each, goals=tuple(end for end in each.goals if end != gone)) for each in plan.interventions
        ),
    )
