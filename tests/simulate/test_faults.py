"""The faults that the simulator has to catch can still be put in, and one of them is caught here and now."""

from __future__ import annotations

import pytest

from tests.simulate.cells import read
from tests.simulate.faults import ROOT, Fault, faults, hunt

FAULTS = faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_has_its_place_exactly_once(fault: Fault) -> None:
    """A fault whose place is gone would be caught by nobody, and nobody would know."""
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    assert fault.broken(text) != text
    assert [str(read(cell)) for cell in fault.cells] == list(fault.cells)


def test_each_rule_and_a_dozen_more_faults_are_hunted() -> None:
    """R1 to R13 are all there, and at least twelve deliberate faults."""
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert {name.split()[0] for name in names if name.startswith("R")} == {f"R{number}" for number in range(1, 14)}
    assert len([name for name in names if not name.startswith("R")]) >= 12


@pytest.mark.slow
def test_a_fault_is_caught() -> None:
    """A copy of the product that loses its questions is caught within a few runs."""
    [fault] = [fault for fault in FAULTS if fault.name == "every question is closed at once"]
    found = hunt(fault, 50, 0)
    assert found is not None
    assert found.meter in ("silent", "lost")
