"""The knobs of the sandbox: in what it behaves like servers that do not keep or say everything.

They change what is stored or answered around the REST core, which stays a plain server: `Knobs()`. Which real server
does so, and what that takes from a client, says `variants`; `rewriting`, `tags` and `deviating` carry it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fhirgoals.fhir.exact_json import Resource
from fhirgoals.fhir.rest import Asked
from fhirgoals.sandbox import rewriting
from fhirgoals.sandbox.memory import Stamping
from fhirgoals.sandbox.tags import TagForm

__all__ = ["Asked", "Knobs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """What deviates from the plain server; replace the whole record to change one.

    A path of fields begins with the type (`Goal.note.text`) or with `*` for every type, and leads through lists.
    """

    # What is stored of what is sent

    drop_extensions: bool = False
    """Every `extension` is taken out, at any depth."""

    drop_element_ids: bool = False
    """Every `id` of an element is taken out; those of the resource and of what it contains stay."""

    drop_fields: tuple[str, ...] = ()
    """What stands at these paths is taken out."""

    cut_text: int | None = None
    """description.text, note.text and activity.detail.description are stored up to this many characters."""

    absolute_references: bool = False
    """Relative references become absolute ones, with the server's URL as the client named it."""

    rewrite_decimals: bool = False
    """Decimals lose their trailing zeros but one: 3.00 becomes 3.0."""

    rewrite_narrative: bool = False
    """`text` is the server's own, whatever was sent."""

    merge_tags: bool = False
    """An update keeps the tags and security labels of the version before, and adds those that are sent."""

    source: Literal["kept", "suffixed", "dropped"] = "kept"
    """`meta.source` is stored as sent; up to its `#`, with `#` and the request's id behind it; or not at all."""

    edits_copy_source: bool = False
    """An edit at the EHR (`Sandbox.edit`) leaves `meta.source` as it was in the version before, ours too.

    Otherwise such a version has no `meta.source`.
    """

    # Versions

    no_etag: bool = False
    """No ETag header is sent, and If-Match and the tags of If-None-Match are ignored; `meta.versionId` stays."""

    etag: TagForm = "weak"
    """How ETags are spelled: `W/"3"`, `"3"` or `3`. With strong and bare ones a tag in another spelling never holds."""

    no_meta: bool = False
    """Nothing is stored or shown of `meta`; the Last-Modified header is left out too."""

    whole_seconds: bool = False
    """`meta.lastUpdated` is cut to the second."""

    version_ids: Literal["counted", "seconds", "always_1"] = "counted"
    """1, 2, …; or the seconds since 1970, so that two versions within one second have the same id; or always 1."""

    no_history: bool = False
    """There is neither `_history` nor a read of one version (405), and the CapabilityStatement says so."""

    gone_is_404: bool = False
    """What was deleted is answered as if it had never been: 404, no history."""

    resave: bool = False
    """The server stores each write once more right after it answered: another version with the same content."""

    keep_version_on_noop: bool = False
    """An update whose content is the stored one makes no new version and answers with the old one."""

    stale_status: Literal[409, 412] = 412
    """What an update with a stale If-Match is answered with."""

    delete_unchecked: bool = False
    """A delete ignores If-Match."""

    # What may be written, and how often

    read_only: Literal[405, 403] | None = None
    """Writes are refused: 405 and the CapabilityStatement offers none, or 403 although it offers them."""

    refuse_fields: tuple[str, ...] = ()
    """A write that has something at one of these paths is refused (422)."""

    ignore_if_none_exist: bool = False
    """A create is carried out whatever If-None-Exist finds."""

    ignore_if_none_match: bool = False
    """An update with `If-None-Match: *` overwrites what is there."""

    own_ids: bool = False
    """An update of an id that is not there creates the resource under an id of the server's choice."""

    # Bundles

    transactions: Literal["atomic", "as_batch", "half_kept", "refused"] = "atomic"
    """A transaction is all or nothing; carried out like a batch, each entry for itself, and answered as one; ended by
    the first entry that fails while those before it stay stored; or not offered (405).
    """

    unnamed_entries: bool = False
    """Where a transaction fails, the OperationOutcome does not say which entry it was."""

    # What becomes visible when, and what is answered

    stale_search_s: float = 0
    """A write shows in searches only after so many seconds of the sandbox's clock; reads are up to date.

    If-None-Exist too is up to date.
    """

    lose_reply: Callable[[Asked], bool] | None = None
    """The next request of which this says yes and that succeeds is carried out, and the connection closed unanswered.

    Then the knob is spent (`None`).
    """

    lose_every: int | None = None
    """Each so-many-th write (counted over the sandbox's life) that succeeds is carried out, and not answered."""

    late_s: float | None = None
    """A write that `lose_reply` or `lose_every` picks is carried out only so many seconds later.

    To be exact, before the first request after that time. It is picked whether or not it will succeed then.
    """

    @property
    def stamping(self) -> Stamping:
        """How the storage names and dates versions."""
        return Stamping(self.version_ids, self.whole_seconds, self.no_meta)

    def as_stored(self, resource: Resource, base: str = "") -> Resource:
        """Return what a server at `base` with these knobs stores of a resource; the argument is not changed."""
        stored = resource
        if self.drop_extensions:
            stored = rewriting.without_extensions(stored)
        if self.drop_element_ids:
            stored = rewriting.without_element_ids(stored)
        for path in self.drop_fields:
            stored = rewriting.without(stored, path)
        if self.cut_text is not None:
            stored = rewriting.with_texts_cut(stored, self.cut_text)
        if self.absolute_references:
            stored = rewriting.with_absolute_references(stored, base)
        if self.rewrite_decimals:
            stored = rewriting.with_short_decimals(stored)
        if self.rewrite_narrative:
            stored = rewriting.with_own_narrative(stored)
        return stored
