"""A label that one EHR puts on a goal of ours: what other connections get of it from then on, and what stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.fhir.terminology import ACT_CODE, CONFIDENTIALITY
from fhirgoals.sync.withdraw import WITHDRAWN
from tests.sync.test_newborn import WORDS, born, newborns
from tests.sync.test_resolve import PLAN, SLEEP, SOCIAL, change, two_connected
from tests.sync.test_resolve import started as begun
from tests.sync.test_run import quiet
from tests.sync.world import World, started, withhold, world

SOBER = "Stay sober at the Friday meeting"


@contextmanager
def two(**of_second: object) -> Iterator[tuple[World, World]]:
    with world() as first, world(**of_second) as second:
        yield first, second


def labelled(*codes: str) -> Callable[[dict[str, Tree]], None]:
    """Return the edit of somebody there who says what kind of content it is: these labels and no other."""

    def edit(tree: dict[str, Tree]) -> None:
        meta = tree["meta"]
        assert isinstance(meta, dict)
        meta["security"] = [{"system": CONFIDENTIALITY if code == "R" else ACT_CODE, "code": code} for code in codes]

    return edit


def labels(tree: Resource) -> set[str]:
    found = tree["meta"].get("security", [])  # type: ignore[union-attr,call-overload]
    return {one["code"] for one in found}  # type: ignore[index,call-overload]


async def covered(here: World, *sensitivities: str) -> None:
    """Let the consent for one connection cover these kinds of content."""
    plan = await here.plan(PLAN)
    consents = tuple(
        msgspec.structs.replace(one, sensitivities=sensitivities) if one.endpoint == here.connection else one
        for one in plan.disclosure.consents
    )
    await here.put(
        msgspec.structs.replace(plan, disclosure=msgspec.structs.replace(plan.disclosure, consents=consents))
    )


async def sensitivities(here: World, goal: str = "g-social") -> tuple[str, ...]:
    return (await here.plan(PLAN)).goal(goal).sensitivities


@pytest.mark.parametrize("code", ["SUD", "ETH"])
async def test_a_stricter_label_of_one_ehr_takes_the_goal_from_another(code: str) -> None:
    """The other's consent does not cover it: what it was sent is taken back. ETH is the wider word for SUD."""
    with two(retract="blank") as (first, second):
        await two_connected(first, second)
        change(first, SOCIAL, labelled(code))
        planned, counts = await first.runner().preview(), await first.sync()
        assert (counts.pulled, counts.writes, planned.operations) == (1, 1, counts.operations)
        assert "SUD" in labels(first.care_plans()[0])  # it tells of the goal, and bears its label
        assert await sensitivities(first) == ("SUD",)
        assert labels(first.goals()[SOCIAL]) == {code}
        await second.sync()
        assert SOCIAL not in second.goals()
        await first.edit(PLAN, "g-social", text=SOBER)
        await second.sync()
        assert SOBER not in str([*second.goals().values(), *second.care_plans()])
        await quiet(second)


async def test_where_the_consent_covers_it_the_label_goes_with_the_words() -> None:
    """Substance use goes with the labels of its law, too."""
    with two() as (first, second):
        await two_connected(first, second)
        await covered(second, "MH", "SUD")
        change(first, SOCIAL, labelled("SUD"))
        await first.sync()
        await first.edit(PLAN, "g-social", text=SOBER)
        await second.sync()
        assert labels(second.goals()[SOBER]) >= {"SUD", "R", "42CFRPart2"}
        await quiet(second)


async def test_the_ehr_that_labelled_it_goes_on_getting_it() -> None:
    """It needs no consent for what it marked itself; the label stays, also where it is taken away and put back."""
    with two() as (first, second):
        await two_connected(first, second)
        for codes in (("SUD",), (), ("SUD",)):
            change(first, SOCIAL, labelled(*codes))
            await first.sync()
            assert await sensitivities(first) == ("SUD",)
            await quiet(first)
        await first.edit(PLAN, "g-social", text=SOBER)
        await first.sync()
        assert "SUD" in labels(first.goals()[SOBER])
        assert await first.inbox() == []


async def test_a_label_that_is_taken_away_there_loosens_nothing() -> None:
    """Nobody here has said so: another EHR still does not get the goal."""
    with two() as (first, second):
        await two_connected(first, second)
        for codes in (("SUD",), ()):
            change(first, SOCIAL, labelled(*codes))
            await first.sync()
        await first.edit(PLAN, "g-social", text=SOBER)
        await second.sync()
        assert SOBER not in second.goals()


async def test_what_a_person_here_takes_away_stays_away() -> None:
    """The label that still stands there is no news; it is taken out there, and the other EHR gets the goal again."""
    with two() as (first, second):
        await two_connected(first, second)
        change(first, SOCIAL, labelled("SUD"))
        await first.sync()
        await second.sync()
        await first.edit(PLAN, "g-social", sensitivities=())
        for one in (first, second, first):
            await one.sync()
        assert await sensitivities(first) == ()
        assert "SUD" not in labels(first.goals()[SOCIAL])
        assert await second.inbox() == []


@pytest.mark.parametrize("code", ["SUD", "ETH"])
async def test_taking_back_leaves_the_label_that_the_ehr_put_there(code: str) -> None:
    """Ours goes, with what went with it; theirs is their chart."""
    with world(retract="blank") as here:
        plan = await begun(here)
        await covered(here, "MH", "VIO")
        await here.edit(PLAN, "g-social", sensitivities=("VIO",))
        await here.sync()
        change(here, SOCIAL, labelled("R", "VIO", code))
        await here.sync()
        assert await sensitivities(here) == ("VIO", "SUD")
        await withhold(here, plan.id, "g-social")
        await here.sync()
        assert labels(here.goals()[WITHDRAWN]) == {code}


async def test_a_label_that_comes_with_another_that_a_person_took_away_comes_alone() -> None:
    """Only what is new there is taken; what was taken away here is taken out there."""
    with world() as here:
        await begun(here)
        change(here, SOCIAL, labelled("SUD"))
        await here.sync()
        await here.edit(PLAN, "g-social", sensitivities=())
        change(here, SOCIAL, labelled("SUD", "VIO"))
        for _ in range(2):
            await here.sync()
        assert await sensitivities(here) == ("VIO",)
        assert labels(here.goals()[SOCIAL]) == {"VIO", "R"}


async def test_a_label_that_is_ours_asks_for_the_consent_of_every_ehr() -> None:
    """Only what an EHR put there itself is free of it, label by label."""
    with two() as (first, second):
        await two_connected(first, second)
        change(first, SOCIAL, labelled("SUD"))
        await first.sync()
        await first.edit(PLAN, "g-social", sensitivities=("SUD", "VIO"), text=SOBER)
        await first.sync()
        assert SOBER not in first.goals()
        assert ("retract", "g-social", None) in await first.inbox()
        assert SLEEP in first.goals()


async def test_a_goal_that_was_born_with_a_wider_label_is_taken() -> None:
    """ETH is no word of ours: it is kept there, and asked for as SUD."""
    with world() as here:
        await started(here)
        born(here, meta={"security": [{"system": ACT_CODE, "code": "ETH"}]})
        await here.sync()
        [goal] = await newborns(here)
        assert goal.sensitivities == ("SUD",)
        assert "ETH" in labels(here.goals()[WORDS])
        await quiet(here)
