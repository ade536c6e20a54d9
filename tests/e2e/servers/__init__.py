"""End to end against real third-party servers: what stands on both sides after people edited, replies got lost, a process died."""
