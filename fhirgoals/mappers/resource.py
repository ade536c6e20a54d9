"""What a Goal and a CarePlan have alike: security labels, lists of references, modifier extensions."""

from __future__ import annotations

from fhirgoals.fhir import terminology as t
from fhirgoals.fhir.exact_json import Resource, Tree
from fhirgoals.mappers import keyed
from fhirgoals.mappers.lens import Lens
from fhirgoals.mappers.records import WireCode
from fhirgoals.mappers.shapes import inside, reference_of, text_of

_VOCABULARY = {
    t.CONFIDENTIALITY: frozenset(t.CONFIDENTIALITY_ORDER),
    t.ACT_CODE: t.INBOUND_SENSITIVITIES | {*t.PART_2_LABELS, t.PSYCHOTHERAPY_NOTE},
}


def _read_label(element: Resource) -> WireCode | None:
    system, code = text_of(element.get("system")), text_of(element.get("code"))
    if system is None or code is None or code not in _VOCABULARY.get(system, ()):
        return None
    return WireCode(system=system, code=code)


LABELS: Lens[tuple[WireCode, ...]] = inside(
    "meta",
    keyed.keyed_list(
        "security",
        keyed.whole(_read_label, lambda label: {"system": label.system, "code": label.code}),
    ),
)
"""`meta.security`: the labels of our vocabulary; others are left alone."""


def references(key: str) -> Lens[tuple[str, ...]]:
    """Return the lens of a list of references: those with a `reference`; others are left alone."""
    return keyed.keyed_list(key, keyed.whole(reference_of, lambda reference: {"reference": reference}))


def blocked(tree: Resource) -> bool:
    """Tell whether a modifier extension stands anywhere in the resource: we know none, so we must not act on it.

    Reading goes on, to show what is there (rule FG-EXT-07; FHIR R4, Extensibility, "Modifier Extensions"). One inside
    a contained resource changes the meaning of that resource alone, which we do not read.
    """
    return any(_modified(value) for key, value in tree.items() if key != "contained") or _says(tree)


def _modified(tree: Tree) -> bool:
    if isinstance(tree, dict):
        return _says(tree) or any(_modified(value) for value in tree.values())
    return isinstance(tree, list) and any(_modified(value) for value in tree)


def _says(tree: Resource) -> bool:
    return tree.get("modifierExtension") not in (None, [], {})
