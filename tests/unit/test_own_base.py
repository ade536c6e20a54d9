"""Which references lead to the connection's own server, however they are spelled."""

from __future__ import annotations

import pytest

from fhirgoals.mappers.refs import relative

BASE = "https://ehr.test/fhir"


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/1",
        "Patient/1/_history/4",
        "https://ehr.test/fhir/Patient/1",
        "HTTPS://EHR.Test:443/fhir/Patient/1/_history/4",
        "/fhir/Patient/1",
        "/Patient/1",
    ],
)
@pytest.mark.parametrize("base", [BASE, f"{BASE}/", "HTTPS://EHR.test:443/fhir"])
def test_a_reference_to_the_own_server_is_relative(base: str, reference: str) -> None:
    """Scheme and host in any case, the default port, a path alone, and without its version."""
    assert relative(base, reference) == "Patient/1"


@pytest.mark.parametrize(
    "reference",
    [
        "http://ehr.test/fhir/Patient/1",
        "https://ehr.test:8443/fhir/Patient/1",
        "https://ehr.test/FHIR/Patient/1",
        "https://ehr.test/fhir2/Patient/1",
        "https://ehr.test/Patient/1",
        "https://other.test/fhir/Patient/1",
        "https://somebody@ehr.test/fhir/Patient/1",
        "https://ehr.test/fhir/Patient/1?x=1",
        "https://[ehr.test/fhir/Patient/1",
        "//ehr.test/fhir/Patient/1",
        "/other/fhir/Patient/1",
        "urn:uuid:6f0e6d0a-2f0a-4b4c-9c3e-1d1f2a3b4c5d",
        "#p",
    ],
)
def test_a_reference_to_another_base_stays_as_it_is(reference: str) -> None:
    """Another scheme, port, path or host is another server; what is no address at all names nothing."""
    assert relative(BASE, reference) == reference


def test_without_a_base_an_address_is_nobodys() -> None:
    """Only what is relative already leads to the own server."""
    assert relative(None, "https://ehr.test/fhir/Patient/1") == "https://ehr.test/fhir/Patient/1"
    assert relative(None, "Patient/1") == "Patient/1"
