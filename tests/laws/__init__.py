"""The laws of the mappers, by Hypothesis and on every sample."""
