"""End to end against real servers: what stands on both sides after edits, lost replies, a dead process."""
