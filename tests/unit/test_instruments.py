"""The instrument catalogue: its figures, how a measure finds its instrument, and what a bad file is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from fhirgoals.domain.instruments import facts, read_catalogue, standard
from fhirgoals.domain.records import Coding, Cutoff, Measure
from fhirgoals.errors import ConfigurationError
from fhirgoals.fhir.terminology import MEASURES
from tests.plans import EXAMPLES, ROOT, example

CATALOGUE = standard()
FILE: Path = ROOT / "config" / "codes" / "instruments.toml"


def test_the_catalogue_has_the_figures_of_the_reference() -> None:
    """Domain reference 6, line by line: range, better, cut-off, reliable change, response, remission, alert."""
    found = {
        each.name: (
            tuple(int(end) for end in each.range),
            each.better,
            None if each.cutoff is None else f"{each.cutoff.op}{each.cutoff.value}",
            None if each.reliable_change is None else int(each.reliable_change.value),
            None if each.response is None else str(each.response.share),
            None if each.remission is None else f"{each.remission.op}{each.remission.value}",
            None if each.alert_below is None else int(each.alert_below.value),
        )
        for each in CATALOGUE.instruments
    }
    assert found == {
        "PHQ-9": ((0, 27), "lower", ">=10", 6, "0.5", "<5", None),
        "GAD-7": ((0, 21), "lower", ">=8", 4, None, None, None),
        "WHO-5": ((0, 100), "higher", "<=50", 10, None, None, None),
        "Y-BOCS": ((0, 40), "lower", None, None, "0.35", "<=12", None),
        "OCI-R": ((0, 72), "lower", ">=21", None, None, None, None),
        "ORS": ((0, 40), "higher", "<25", 5, None, None, None),
        "SRS": ((0, 40), "higher", None, None, None, None, 36),
        "IIP-32": ((0, 4), "lower", None, None, None, None, None),
        "goal rating 0-10": ((0, 10), "higher", None, 3, None, None, None),
    }
    assert [each.name for each in CATALOGUE.instruments if each.item9] == ["PHQ-9"]


def test_the_codes_are_those_of_the_reference() -> None:
    """Each with where it was read; local ones have a display in our code system."""
    found = {
        each.name: {f"{code.system} {code.code}" + " panel" * code.panel for code in each.codes}
        for each in CATALOGUE.instruments
    }
    assert found == {
        "PHQ-9": {"loinc 44261-6", "loinc 44249-1 panel", "snomed 720433000"},
        "GAD-7": {"loinc 70274-6", "loinc 69737-5 panel", "snomed 445455005"},
        "WHO-5": {"local who5-percent", "snomed 1144665009"},
        "Y-BOCS": {"local ybocs-total"},
        "OCI-R": {"local oci-r-total"},
        "ORS": {"snomed 716613004"},
        "SRS": {"snomed 720482000"},
        "IIP-32": {"local iip-32-mean"},
        "goal rating 0-10": {"local goal-based-outcome", "snomed 959951000000108"},
    }
    local = {code.code for each in CATALOGUE.instruments for code in each.codes if code.system == "local"}
    assert local == set(MEASURES)
    assert all(code.source for each in CATALOGUE.instruments for code in each.codes)


def test_the_limits_are_those_of_the_reference() -> None:
    """Domain reference 6 and 11: three readings, 5 %, two levels, 90 days, 3-2-1."""
    limits = CATALOGUE.limits
    assert (limits.trend_readings, limits.trend_share_of_range) == (3, Decimal("0.05"))
    assert (limits.rater_gap, limits.review_interval_days) == (2, 90)
    weights = limits.priority_weight
    assert (weights.high, weights.medium, weights.low) == (3, 2, 1)


@pytest.mark.parametrize("said", ["PHQ-9", "phq-9", " P H Q-9 ", "PHQ9", "GBO", "Goal Rating 0-10"])
def test_a_measure_finds_its_instrument_by_name(said: str) -> None:
    """Case and spaces don't matter."""
    found = CATALOGUE.instrument(Measure(id="m", instrument=said))
    assert found is not None
    assert found.name in ("PHQ-9", "goal rating 0-10")


def test_a_measure_finds_its_instrument_by_code_where_the_name_is_not_ours() -> None:
    """As one that came from an EHR; another system with the same code is another code."""
    by_code = CATALOGUE.instrument(
        Measure(id="m", instrument="Some words", code=Coding(system="loinc", code="70274-6"))
    )
    assert by_code is not None
    assert by_code.name == "GAD-7"
    assert CATALOGUE.instrument(Measure(id="m", code=Coding(system="snomed", code="70274-6"))) is None
    assert CATALOGUE.instrument(Measure(id="m", instrument="custom")) is None
    assert CATALOGUE.instrument(Measure(id="m")) is None


def test_the_name_goes_before_the_code() -> None:
    """What a person wrote is what they meant."""
    both = CATALOGUE.instrument(Measure(id="m", instrument="ORS", code=Coding(system="loinc", code="70274-6")))
    assert both is not None
    assert both.name == "ORS"


def test_what_a_plan_says_goes_before_the_catalogue() -> None:
    """Range, direction, cut-off and reliable change; the rest is filled in."""
    bare = facts(Measure(id="m", instrument="PHQ-9"), CATALOGUE)
    assert (bare.better, bare.width, bare.reliable_change) == ("lower", 27, 6)
    assert bare.cutoff == Cutoff(op=">=", value=Decimal(10))
    own = facts(
        Measure(
            id="m",
            instrument="PHQ-9",
            range=(Decimal(1), Decimal(9)),
            better="range",
            cutoff=Cutoff(op=">", value=Decimal(4)),
            reliable_change=Decimal("1.5"),
        ),
        CATALOGUE,
    )
    assert (own.better, own.width, own.reliable_change) == ("range", 8, Decimal("1.5"))
    assert own.cutoff == Cutoff(op=">", value=Decimal(4))
    unknown = facts(Measure(id="m"), CATALOGUE)
    assert (unknown.instrument, unknown.better, unknown.width, unknown.cutoff, unknown.reliable_change) == (None,) * 5


def test_a_screening_line_is_no_cutoff_of_a_case() -> None:
    """WHO-5 at 50 and under is low well-being, which is not a disorder."""
    assert facts(Measure(id="m", instrument="WHO-5"), CATALOGUE).cutoff is None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_agree_with_the_catalogue(path: Path) -> None:
    """Range and direction of each known instrument are the same in both."""
    for measure in example(path).measures:
        known = CATALOGUE.instrument(measure)
        if known is not None:
            assert (measure.range, measure.better, measure.unit) == (known.range, known.better, known.unit)


def test_another_catalogue_can_take_its_place() -> None:
    """A program that goes by 6.6 points on the ORS writes 6.6; the digits stay."""
    text = FILE.read_text(encoding="utf-8").replace(
        'reliable_change = { value = 5, source = "hiboop.com" }', 'reliable_change = { value = 6.60, source = "ours" }'
    )
    found = facts(Measure(id="m", instrument="ORS"), read_catalogue(text, name="ours.toml"))
    assert str(found.reliable_change) == "6.60"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('better = "lower"', 'better = "down"', "$.instruments[0].better"),
        ("range = [0, 27]", "range = [0]", "$.instruments[0].range"),
        ("item9 = true", "item_text = true", "item_text"),
        ('name = "GAD-7"', "", "$.instruments[1]"),
        ('names = ["GAD-7", "GAD7"]', 'names = ["phq 9", "PHQ-9"]', "share a name"),
        ("trend_readings = 3", "trend_readings = three", "line"),
        ("rater_gap = 2", "", "$.limits"),
    ],
)
def test_a_bad_catalogue_is_refused_with_its_place(old: str, new: str, says: str) -> None:
    """It names the file and the place, so the operator can mend it."""
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(ConfigurationError) as caught:
        read_catalogue(text.replace(old, new, 1), name="ours.toml")
    assert "ours.toml" in str(caught.value)
    assert says in str(caught.value)
