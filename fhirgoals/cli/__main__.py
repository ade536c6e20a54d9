"""Lets `python -m fhirgoals.cli` stand for the `fhirgoals` command."""

from fhirgoals.cli.main import run

run()
