"""The generated pages by file name; a test compares them with the files in `docs/reference`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fhirgoals.docs.disclosure import disclosure_page
from fhirgoals.docs.model import model_page
from fhirgoals.docs.sandbox import sandbox_page

PAGES: Mapping[str, Callable[[], str]] = {
    "model.md": model_page,
    "disclosure.md": disclosure_page,
    "sandbox.md": sandbox_page,
}
