"""The store: plans, links, bases, intents, inbox and audit, on SQLite or PostgreSQL."""
