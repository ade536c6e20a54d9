"""Mutation test of the pure heart: `python -m tests.mutation domain`. Not part of `tests/run`."""
