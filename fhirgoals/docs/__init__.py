"""Writes the reference pages that come from the code and its tables: `python -m fhirgoals.docs`."""
