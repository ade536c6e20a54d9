"""The sandbox's variants: knobs under a name, the real server that behaves so, and what a client can rely on there.

Where no real server is known to do it, the source says "cautious choice": the sync must survive it all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fhirgoals.sandbox.knobs import Knobs

CUT_LENGTH = 10
"""Characters that `cuts_text` keeps: few, so that short texts are cut too."""

STALE_S = 60
LATE_S = 30
LOST_EVERY = 7
"""Of the writes each so-many-th goes unanswered in the variants that lose replies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A server: its name, what it does in a few words, its knobs, who says that some real one is so, what it offers."""

    name: str
    does: str
    knobs: Knobs
    source: str

    keeps_etag: bool = True
    """Each version has an ETag of its own, and an update with another one's is refused."""

    keeps_history: bool = True
    """The versions of a resource can be listed, each with an id of its own."""

    keeps_content: bool = True
    """What was sent comes back as it was sent, but for `meta`."""

    keeps_source: bool = True
    """`meta.source` comes back with the version that was sent with it, up to a `#`."""

    detects_doubles: bool = True
    """A create with If-None-Exist by our identifier never makes a second resource."""

    all_or_nothing: bool = True
    """A Bundle of type transaction is done, as a whole or not at all."""


def _variants(*variants: Variant) -> Mapping[str, Variant]:
    return MappingProxyType({variant.name: variant for variant in variants})


_HAPI = "measured on HAPI 8.8.0, 2026-11-23"
_MEDPLUM = "measured on Medplum 5.2.13, 2026-11-23"
_CAUTIOUS = "cautious choice"
_GITHUB = "https://github.com"
_MILLENNIUM = f"{_GITHUB}/cerner/fhir.cerner.com content/millennium, read 2026-11"

VARIANTS: Mapping[str, Variant] = _variants(
    Variant(
        name="plain",
        does="is a plain FHIR R4 server: nothing deviates",
        knobs=Knobs(),
        source=f"{_HAPI}, and {_MEDPLUM}: what both have in common",
    ),
    # What is stored of what is sent
    Variant(
        name="drops_extensions",
        does="stores no extensions: parents and order of goals are lost",
        knobs=Knobs(drop_extensions=True),
        source=f"{_GITHUB}/openmrs/openmrs-module-fhir2/pull/570 (what a server has no field for is dropped)",
        keeps_content=False,
    ),
    Variant(
        name="drops_fields",
        does="stores no notes, status reasons and outcomes",
        knobs=Knobs(drop_fields=("Goal.note", "Goal.statusReason", "Goal.outcomeReference", "CarePlan.note")),
        source=f"{_GITHUB}/aehrc/pathling/issues/2746, 2026-09-06 (200, and unmodelled elements are gone)",
        keeps_content=False,
    ),
    Variant(
        name="drops_identifiers",
        does="stores no identifiers of Goals and CarePlans",
        knobs=Knobs(drop_fields=("Goal.identifier", "CarePlan.identifier")),
        source=f"{_MILLENNIUM}, r4 goal.md (identifier is not among what is returned)",
        keeps_content=False,
        detects_doubles=False,
    ),
    Variant(
        name="drops_element_ids",
        does="stores no ids of elements",
        knobs=Knobs(drop_element_ids=True),
        source=f"{_GITHUB}/hapifhir/hapi-fhir/issues/5686, 2024-02-07 (an element's id is not stored)",
        keeps_content=False,
    ),
    Variant(
        name="cuts_text",
        does="cuts descriptions and notes after 10 characters",
        knobs=Knobs(cut_text=CUT_LENGTH),
        source=f"{_GITHUB}/nhsconnect/gpconnect/issues/351, 2018-02-08 (cut where it exceeds the provider's capacity)",
        keeps_content=False,
    ),
    Variant(
        name="absolute_references",
        does="makes relative references absolute",
        knobs=Knobs(absolute_references=True),
        source=_CAUTIOUS,
        keeps_content=False,
    ),
    Variant(
        name="rewrites_decimals",
        does="drops trailing zeros of decimals",
        knobs=Knobs(rewrite_decimals=True),
        source=f"{_MEDPLUM}: the digits of 1.00 are lost",
        keeps_content=False,
    ),
    Variant(
        name="rewrites_narrative",
        does="writes a narrative of its own",
        knobs=Knobs(rewrite_narrative=True),
        source=f"{_MILLENNIUM}, r4 care-plan.md (the narrative is generated)",
        keeps_content=False,
    ),
    # meta
    Variant(
        name="merges_tags",
        does="keeps old tags when an update sends none",
        knobs=Knobs(merge_tags=True),
        source=f"{_HAPI}: an update without tags leaves the old ones",
    ),
    Variant(
        name="suffixes_source",
        does="appends a request id to meta.source",
        knobs=Knobs(source="suffixed"),
        source=f"{_HAPI}: #request id behind meta.source, and alone where none was sent",
    ),
    Variant(
        name="copies_source",
        does="appends to meta.source, and edits at the EHR keep it",
        knobs=Knobs(source="suffixed", edits_copy_source=True),
        source=f"{_HAPI}: an edit that copies the resource copies meta.source along",
    ),
    Variant(
        name="drops_source",
        does="stores no meta.source",
        knobs=Knobs(source="dropped"),
        source=_CAUTIOUS,
        keeps_source=False,
    ),
    Variant(
        name="no_meta",
        does="stores and shows no meta",
        knobs=Knobs(no_meta=True),
        source=f"{_GITHUB}/HeliosSoftware/hfs/issues/873, 2026-09-02 (meta missing in every body, ETag header right)",
        keeps_source=False,
    ),
    Variant(
        name="no_meta_no_etag",
        does="shows no meta and no history, ignores If-Match",
        knobs=Knobs(no_meta=True, no_history=True, no_etag=True),
        source=f"{_GITHUB}/cobuildwithus/murph/pull/3505, 2026-09-16 (Epic: neither versionId nor lastUpdated)",
        keeps_etag=False,
        keeps_history=False,
        keeps_source=False,
    ),
    # Versions
    Variant(
        name="no_history",
        does="has no history and reads no old version",
        knobs=Knobs(no_history=True),
        source="Epic's CapabilityStatement of 2026-07 (readHistory is false)",
        keeps_history=False,
    ),
    Variant(
        name="no_etag",
        does="sends no ETag and ignores If-Match",
        knobs=Knobs(no_etag=True),
        source=f"{_GITHUB}/openemr/openemr/issues/12378, 2026-06-02 (an update ignores If-Match)",
        keeps_etag=False,
    ),
    Variant(
        name="bare_etag",
        does="sends and takes ETags without quotes",
        knobs=Knobs(etag="bare"),
        source=f"{_GITHUB}/Aidbox/documentation, 2024-07 (examples with If-Match: 30)",
    ),
    Variant(
        name="strong_etag",
        does="sends and takes strong ETags",
        knobs=Knobs(etag="strong"),
        source=f"{_CAUTIOUS}; clients sent strong ones, {_GITHUB}/hapifhir/hapi-fhir/issues/2979, 2021-09-09",
    ),
    Variant(
        name="weak_etag",
        does="sends and takes weak ETags, as R4 has them",
        knobs=Knobs(etag="weak"),
        source=f'{_HAPI}: W/"1"',
    ),
    Variant(
        name="second_resolution",
        does="names versions by the second: two within one are the same",
        knobs=Knobs(whole_seconds=True, version_ids="seconds"),
        source=f"{_MILLENNIUM} (versionId is lastUpdated in whole seconds)",
        keeps_etag=False,
        keeps_history=False,
    ),
    Variant(
        name="version_always_1",
        does="names every version 1",
        knobs=Knobs(version_ids="always_1"),
        source=f"{_GITHUB}/aehrc/pathling/issues/2746, 2026-09-06 (versionId unchanged across updates)",
        keeps_etag=False,
        keeps_history=False,
    ),
    Variant(
        name="bumps_version",
        does="stores each write once more by itself",
        knobs=Knobs(resave=True),
        source=f"{_GITHUB}/microsoft/fhir-server/issues/3735, 2024-03-01 (versions without a change, by an update with "
        "the same content; here already by the server itself)",
    ),
    Variant(
        name="keeps_version_on_noop",
        does="makes no new version of an equal update",
        knobs=Knobs(keep_version_on_noop=True),
        source=f"{_HAPI}: an update with the same content makes no new version",
    ),
    Variant(
        name="stale_is_409",
        does="answers a stale If-Match with 409",
        knobs=Knobs(stale_status=409),
        source=f"{_HAPI}: 409 for a stale If-Match; so says Millennium's r4.md",
    ),
    Variant(
        name="gone_is_404",
        does="answers 404 for what was deleted, and has no history of it",
        knobs=Knobs(gone_is_404=True),
        source=f"{_MEDPLUM}: 404 and no history after a delete; "
        f"{_GITHUB}/awslabs/fhir-works-on-aws-deployment/issues/714",
    ),
    Variant(
        name="delete_unchecked",
        does="ignores If-Match on a delete",
        knobs=Knobs(delete_unchecked=True),
        source=f"{_HAPI}: a stale If-Match on a delete is ignored",
    ),
    # What may be written, and how often
    Variant(
        name="duplicates_allowed",
        does="ignores If-None-Exist: a create repeated makes two",
        knobs=Knobs(ignore_if_none_exist=True),
        source=f"{_GITHUB}/awslabs/fhir-works-on-aws-deployment/issues/824, 2023-03-08 (created anew each time)",
        detects_doubles=False,
    ),
    Variant(
        name="ignores_if_none_match",
        does="overwrites in spite of If-None-Match: *",
        knobs=Knobs(ignore_if_none_match=True),
        source=_CAUTIOUS,
    ),
    Variant(
        name="own_ids",
        does="creates under an id of its own where we chose one",
        knobs=Knobs(own_ids=True),
        source=_CAUTIOUS,
    ),
    Variant(
        name="read_only",
        does="offers no writes and answers them with 405",
        knobs=Knobs(read_only=405),
        source="the CapabilityStatements of Epic, athenahealth, MEDITECH and eClinicalWorks (2022-06 to 2026-08): "
        "read and search-type only",
    ),
    Variant(
        name="forbids_writes",
        does="offers writes and answers them with 403",
        knobs=Knobs(read_only=403),
        source="eClinicalWorks (2026-08): its SMART configuration offers system/Goal.u, "
        "its CapabilityStatement no update",
    ),
    Variant(
        name="refuses_fields",
        does="answers 422 for notes and modifier extensions",
        knobs=Knobs(refuse_fields=("Goal.note", "*.modifierExtension", "*.implicitRules")),
        source=f"{_MILLENNIUM}, r4.md (422 for a field, a modifier extension or implicitRules not supported)",
    ),
    # Bundles
    Variant(
        name="no_transactions",
        does="offers no transactions and no batches",
        knobs=Knobs(transactions="refused"),
        source=f"{_CAUTIOUS}: the system interaction may be missing in any CapabilityStatement",
        all_or_nothing=False,
    ),
    Variant(
        name="batch_transactions",
        does="does each entry of a transaction for itself",
        knobs=Knobs(transactions="as_batch"),
        source=_CAUTIOUS,
        all_or_nothing=False,
    ),
    Variant(
        name="half_kept_transactions",
        does="keeps what came before the failing entry of a transaction",
        knobs=Knobs(transactions="half_kept", unnamed_entries=True),
        source=f"{_MEDPLUM}: a transaction with one stale ifMatch is answered 412 and not rolled back",
        all_or_nothing=False,
    ),
    Variant(
        name="unnamed_transactions",
        does="does not say which entry of a transaction failed",
        knobs=Knobs(unnamed_entries=True),
        source=f"{_CAUTIOUS}: nothing obliges a server to say which entry failed",
    ),
    # What becomes visible when, and what is answered
    Variant(
        name="stale_search",
        does="finds by search only what is 60 s old",
        knobs=Knobs(stale_search_s=STALE_S),
        source=f"{_GITHUB}/hapifhir/hapi-fhir/issues/4345, 2022-12-08 (a search by identifier, for a minute)",
    ),
    Variant(
        name="loses_replies",
        does="carries out every 7th write and sends no reply",
        knobs=Knobs(lose_every=LOST_EVERY),
        source=f"{_GITHUB}/medplum/medplum/pull/9969, 2026-07-25 (a create that timed out may have been stored)",
    ),
    Variant(
        name="late_writes",
        does="carries out every 7th write 30 s later and sends no reply",
        knobs=Knobs(lose_every=LOST_EVERY, late_s=LATE_S),
        source=_CAUTIOUS,
    ),
    # Two whole servers
    Variant(
        name="like_hapi",
        does="keeps tags and source, and answers, as HAPI FHIR does",
        knobs=Knobs(
            merge_tags=True,
            source="suffixed",
            edits_copy_source=True,
            keep_version_on_noop=True,
            stale_status=409,
            delete_unchecked=True,
            unnamed_entries=True,
        ),
        source=f"{_HAPI}: the above together",
    ),
    Variant(
        name="like_medplum",
        does="keeps decimals and source, and answers, as Medplum does",
        knobs=Knobs(
            rewrite_decimals=True,
            gone_is_404=True,
            edits_copy_source=True,
            transactions="half_kept",
            unnamed_entries=True,
        ),
        source=f"{_MEDPLUM}: the above together",
        keeps_content=False,
        all_or_nothing=False,
    ),
)
"""All variants by name."""
