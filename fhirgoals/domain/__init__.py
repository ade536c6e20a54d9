"""The goal hierarchy: records, invariants and disclosure. Pure: no I/O, no clock, no import from a higher layer."""
