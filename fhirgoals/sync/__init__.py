"""Reconciliation of one plan with one connection: assemble, decide (pure), apply (crash-safe)."""
