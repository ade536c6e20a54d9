"""One connection's configuration, as `ehr add` stores it: where the EHR is and what it can do.

Cautious defaults: nothing is assumed that a server may lack. Vendor profiles (config/ehr) come later and fill these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import msgspec

from fhirgoals.domain import fields
from fhirgoals.domain.units import Unit
from fhirgoals.errors import ConfigurationError
from fhirgoals.fhir.exact_json import Resource
from fhirgoals.sync.decide import Retract
from fhirgoals.sync.merge import Accept, Clash

_CATEGORY = re.compile(r"([^\s|]+\|)?[^\s|]+")
"""A code of Goal.category, with its system before it or without."""


class ConnectionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The knobs of one connection (design 5; vendor reference, section 4).

    `create` is the means that keeps a repeated create from doubling; `operation_id_kept` says that the server keeps
    `meta.source`; `overlap_s` is how much later something read in the middle of a change is read again;
    `share_origins` names EHRs whose content may go here (default: our own only); `quiet_minutes`
    belongs to that release; `scope` says which goals that were born there are taken: none (`ours`), those that a linked
    CarePlan lists (`linked_plans`), or also those outside of any, of `scope_categories` (`categories`; each a code, or
    `system|code`) or `all`; `token` names an environment variable, never the token. `changes` is how a run learns what
    to read: everything (`hash`), or what the server says has changed, asked per patient or of the whole server
    (`changes_of`), from `changes_overlap_s` before its last answer on. `transactions` says that it does a Bundle
    of writes all or nothing (HAPI does; Medplum keeps what came before the failure, measured).
    """

    base_url: str
    create: Literal["client_id", "if_none_exist", "search"] = "if_none_exist"
    release: Literal["on_sign", "quiet_minutes", "on_save"] = "quiet_minutes"
    quiet_minutes: int = 15
    scope: Literal["ours", "linked_plans", "categories", "all"] = "linked_plans"
    scope_categories: tuple[str, ...] = ()
    retract: Retract = "leave"
    portal_visible: bool = False
    send_proposed: bool = False
    operation_id_kept: bool = False
    share_origins: tuple[str, ...] = ()
    changes: Literal["hash", "instant", "history"] = "hash"
    changes_of: Literal["patient", "server"] = "patient"
    changes_overlap_s: float = 60.0
    overlap_s: float = 5.0
    transactions: Literal["none", "atomic"] = "none"
    page_size: int = 100
    token: str | None = None
    policy: dict[str, tuple[Accept, Clash]] = {}

    def __post_init__(self) -> None:
        """Refuse what can't go together."""
        if self.changes == "history" and self.changes_of == "patient":
            # FHIR R4 http.html#history has no parameter for a patient.
            raise ValueError("the history of a type is that of the whole server, see `$.changes_of`")
        named = bool(self.scope_categories)
        if named != (self.scope == "categories") or not all(map(_CATEGORY.fullmatch, self.scope_categories)):
            raise ValueError("codes for that scope, and for no other, see `$.scope_categories`")


def config_of(tree: Resource) -> ConnectionConfig:
    """Return the configuration from the store's tree; raises `ConfigurationError` naming the key, never the value."""
    try:
        return msgspec.convert(tree, ConnectionConfig)
    except msgspec.ValidationError as error:
        where = str(error).rpartition("`")[0].rpartition("`")[2] or "$"
        raise ConfigurationError(f"the connection's configuration has a wrong value at {where}: add it again") from None


@dataclass(frozen=True)
class TablePolicy:
    """The policy of `fields.csv`, with a connection's own settings by unit name over it."""

    own: dict[str, tuple[Accept, Clash]]

    def accept(self, unit: Unit) -> Accept:
        """Return what becomes of a one-sided edit at the EHR."""
        return self._of(unit)[0]

    def clash(self, unit: Unit) -> Clash:
        """Return what becomes of a unit that both sides edited."""
        return self._of(unit)[1]

    def _of(self, unit: Unit) -> tuple[Accept, Clash]:
        return self.own.get(unit.family) or fields.policy(unit.family)
