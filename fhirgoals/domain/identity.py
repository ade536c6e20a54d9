"""Who this installation is on the wire, and the ids that its resources get there (design 4).

Two independent UUIDs are minted once: the identifier system, which is sent, and the namespace, which never is. Without
the namespace nobody can tell from a wire id which plan or goal it stands for, even by guessing readable ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID, uuid5


@dataclass(frozen=True)
class Installation:
    """The two UUIDs of one store: `identifier_system` is a `urn:uuid:` URI, `namespace` a secret of this store."""

    identifier_system: str
    namespace: UUID = field(repr=False)

    def wire_id(self, kind: str, plan_id: str, local_id: str) -> str:
        """Return the wire id of a thing of ours, see `wire_id`."""
        return wire_id(self.namespace, kind, plan_id, local_id)


@lru_cache(maxsize=4096)
def wire_id(namespace: UUID, kind: str, plan_id: str, local_id: str) -> str:
    """Return the uuid5 of `kind/plan_id/local_id`: resource id (where the client may choose) and identifier value.

    `kind` is the FHIR type (`Goal`, `CarePlan`); `local_id` is the goal's id, or the plan's for its CarePlan.
    """
    return str(uuid5(namespace, "/".join(_escaped(part) for part in (kind, plan_id, local_id))))


def _escaped(part: str) -> str:
    # A slash inside an id must not make two different things one name.
    return part.replace("%", "%25").replace("/", "%2F")
