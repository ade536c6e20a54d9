"""The page on the sandbox: its variants, the knobs behind each, what can be relied on there, and who is so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from fhirgoals.docs.markdown import GENERATED, code, page, table
from fhirgoals.sandbox.knobs import Knobs
from fhirgoals.sandbox.variants import VARIANTS, Variant

_INTRO = """# The sandbox EHR and its variants

The sandbox is a FHIR R4 server in memory (`fhirgoals.sandbox.ehr.Sandbox`). By itself it is a plain server; knobs make
it drop, rewrite, lag, lose or refuse as real servers do. A variant is a set of knobs under a name, with the source that
says some real server does so; where there is none, it is a cautious choice. What was shown on the sandbox alone is
called "simulated". What each knob does stands with it in `fhirgoals/sandbox/knobs.py`.

To try a connection on it:

    fhirgoals sandbox --list                            every variant; `--json` for programs
    fhirgoals ehr add ehr-main --url http://127.0.0.1:8090/fhir --release on_save
    fhirgoals put examples/01-depression.yaml --by staff-7 --reason initial
    fhirgoals sandbox --variant like_hapi --port 8090 --people

The last one runs until Ctrl-C; go on beside it with `fhirgoals patients match ehr-main --by staff-7`. It keeps nothing
when it ends. `--people` has everybody there whom the store's plans name, with the identifier that `match` looks for;
without it the server starts empty.

- **ETag**: each version has an ETag of its own, and an update with another one's is refused.
- **History**: the versions of a resource can be listed, each with an id of its own.
- **Content**: what was sent comes back as it was sent, but for `meta`.
- **Source**: `meta.source` comes back with the version that was sent with it, up to a `#`.
- **Once**: a create with If-None-Exist by our identifier never makes a second resource.
- **Whole**: a Bundle of type transaction is done, as a whole or not at all."""

_YES_NO = {True: "yes", False: "**no**"}


def sandbox_page() -> str:
    """Return `sandbox.md`."""
    return page(_lines())


def _lines() -> Iterator[str]:
    yield GENERATED
    yield from _INTRO.splitlines()
    yield ""
    head = ("Variant", "What it does", "Knobs", "ETag", "History", "Content", "Source", "Once", "Whole", "Who says so")
    yield from table(head, (_row(variant) for variant in VARIANTS.values()))


def _row(variant: Variant) -> tuple[str, ...]:
    keeps = (
        variant.keeps_etag,
        variant.keeps_history,
        variant.keeps_content,
        variant.keeps_source,
        variant.detects_doubles,
        variant.all_or_nothing,
    )
    return (code(variant.name), variant.does, _knobs(variant.knobs), *(_YES_NO[each] for each in keeps), variant.source)


def _knobs(knobs: Knobs) -> str:
    turned = ((each.name, getattr(knobs, each.name), each.default) for each in fields(Knobs))
    return ", ".join(code(f"{name} = {_value(value)}") for name, value, default in turned if value != default) or "none"


def _value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
