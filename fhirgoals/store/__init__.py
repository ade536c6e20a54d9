"""The store: plans, links, bases, intents, inbox and audit, on SQLite or PostgreSQL."""

from fhirgoals.store.engine import Store, open_store
from fhirgoals.store.threads import AsyncStore
from fhirgoals.store.tx import Tx

__all__ = ["AsyncStore", "Store", "Tx", "open_store"]
