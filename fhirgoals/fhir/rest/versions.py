"""One version of one resource, and the stamp that a server puts on a body it stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from fhirgoals.fhir.exact_json import Resource, dumps

WriteVerb = Literal["POST", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one resource; `body` is `None` for a deletion. Nobody changes a body in place."""

    type: str
    id: str
    version_id: str
    last_updated: datetime
    """UTC, whole milliseconds: what the FHIR instant in the body shows."""
    verb: WriteVerb
    body: Resource | None
    _wire: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def wire(self) -> bytes:
        """The body's JSON text, made once."""
        made = self._wire
        if made is None:
            made = dumps(self.body)
            object.__setattr__(self, "_wire", made)
        return made


def instant(moment: datetime) -> str:
    """Return a FHIR instant in UTC with milliseconds, as HAPI writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def whole_milliseconds(moment: datetime) -> datetime:
    """Return the moment in UTC without what an instant with milliseconds can't show."""
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def stamp(body: Resource, id_: str, version_id: str, last_updated: datetime) -> Resource:
    """Return a copy with `id`, `meta.versionId` and `meta.lastUpdated` set; all else, key order too, as it was.

    What was not there comes right behind `resourceType`. `body["meta"]` must be an object if there is one.
    """
    sent = body.get("meta")
    meta: Resource = {"versionId": version_id, "lastUpdated": instant(last_updated)}
    if isinstance(sent, dict):
        meta |= {key: value for key, value in sent.items() if key not in meta}
    stamped: Resource = {}
    for key, value in body.items():
        stamped[key] = id_ if key == "id" else meta if key == "meta" else value
        if key == "resourceType" and "id" not in body:
            stamped["id"] = id_
        if "meta" not in body and "meta" not in stamped and "id" in stamped:
            stamped["meta"] = meta
    return stamped
